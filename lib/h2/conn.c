/* SPDX-License-Identifier: MIT */
/* Conn: one HTTP/2 connection as a byte machine, its life and the machine's verbs.
 *
 *	bytes --> receive --> guard --> nghttp2 --> callbacks (conn_in.c) --> in lanes
 *	                                   |            |
 *	                                   |        what is due --> settle
 *	                                   v
 *	bytes <-- pending <-- nghttp2 <-- callbacks (conn_out.c) <-- out lanes
 *
 * States go one way: OPENING, READY, DRAINING, CLOSED. A CLOSED conn has no calls any more; it may
 * have a GOAWAY left to send. When nghttp2 itself can no longer be trusted, for lack of memory, the
 * conn is `dead`: nothing is sent either. */
#include "h2/inside.h"

#include "base/alloc.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LAST_STREAM_ID 0x60000000 /* three quarters of the id space [G-4] */

/* ---- State ---- */

void mrpc_conn_touch(struct mrpc_conn *conn)
{
	if (conn->machine.flush != NULL)
		mrpc_turn_wake(conn->place.turn, conn->machine.flush);
}

void mrpc_conn_set_state(struct mrpc_conn *conn, enum mrpc_conn_state state, const char *reason)
{
	if (state <= conn->state)
		return;
	conn->state = state;
	if (reason != NULL && conn->reason[0] == '\0')
		snprintf(conn->reason, sizeof conn->reason, "%s", reason);
	if (conn->owner != NULL)
		mrpc_turn_wake(conn->place.turn, conn->owner);
	mrpc_conn_touch(conn);
}

/* Every call hears how it ended. Those that wait for room never left us. */
static void end_calls(struct mrpc_conn *conn, enum minirpc_code code, const char *text)
{
	const struct minirpc_status status = { .code = code, .message = text };
	struct mrpc_list *node = conn->streams.next, *next;

	for (; node != &conn->streams; node = next) {
		struct mrpc_stream *stream = mrpc_container(node, struct mrpc_stream, node);

		next = node->next;
		if (stream->end_waits && conn->role == MRPC_CLIENT) { /* it had ended before */
			mrpc_stream_drain_all(stream);
			mrpc_stream_end_call(stream, &stream->status, false);
		}
		mrpc_stream_end_call(stream, &status, stream->id == 0);
		if (stream->id == 0)
			mrpc_stream_free(stream);
	}
}

static void close_conn(struct mrpc_conn *conn, enum minirpc_code code, const char *reason)
{
	for (int i = 0; i < MRPC_ALARMS; i++)
		if (i != MRPC_ALARM_STALL)
			conn->alarms[i] = MINIRPC_NEVER;
	if (!conn->goaway.last)
		conn->goaway.due = false; /* what ends it says more */
	if (conn->dead)
		conn->alarms[MRPC_ALARM_STALL] = MINIRPC_NEVER;
	mrpc_conn_set_state(conn, MRPC_CONN_CLOSED, reason);
	end_calls(conn, code, conn->reason[0] == '\0' ? "the connection was closed" : conn->reason);
}

static enum minirpc_code lost(const struct mrpc_conn *conn)
{
	return conn->role == MRPC_CLIENT ? MINIRPC_UNAVAILABLE : MINIRPC_CANCELLED; /* S-6 */
}

void mrpc_conn_terminate(struct mrpc_conn *conn, uint32_t error_code, enum minirpc_code code,
			 const char *reason)
{
	if (conn->state == MRPC_CONN_CLOSED)
		return;
	if (nghttp2_session_terminate_session(conn->session, error_code) != 0)
		conn->dead = conn->no_memory = true;
	close_conn(conn, code, reason);
}

void mrpc_conn_lose(struct mrpc_conn *conn, const char *reason)
{
	conn->dead = true;
	conn->unsent = 0;
	if (conn->state != MRPC_CONN_CLOSED)
		close_conn(conn, lost(conn), reason);
}

void mrpc_conn_dismiss(struct mrpc_conn *conn, uint32_t error_code, const char *debug,
		       const char *reason)
{
	if (conn->state == MRPC_CONN_CLOSED)
		return;
	mrpc_goaway_say(conn,
			(uint32_t)nghttp2_session_get_last_proc_stream_id(conn->session),
			error_code, debug, true);
	close_conn(conn, lost(conn), reason);
}

int mrpc_conn_fatal(struct mrpc_conn *conn, int error)
{
	bool no_memory = error == NGHTTP2_ERR_NOMEM || error == NGHTTP2_ERR_CALLBACK_FAILURE;

	if (conn->state == MRPC_CONN_CLOSED && conn->dead)
		return -EPIPE;
	if (error == NGHTTP2_ERR_FLOODED) {
		mrpc_conn_breach(conn, MRPC_BREACH_CONTROL);
		return -EPROTO;
	}
	if (!no_memory) {
		mrpc_conn_terminate(conn, NGHTTP2_PROTOCOL_ERROR, lost(conn),
				    nghttp2_strerror(error));
		return -EPROTO;
	}
	/* limits.md 1: nghttp2 may have left a half-queued item behind; not another word with it. */
	conn->dead = conn->no_memory = true;
	close_conn(conn, conn->role == MRPC_CLIENT ? MINIRPC_RESOURCE_EXHAUSTED : MINIRPC_CANCELLED,
		   "out of memory");
	return -ENOMEM;
}

static void count_breach(struct mrpc_conn *conn, enum mrpc_breach breach)
{
	switch (breach) {
	case MRPC_BREACH_NONE:
		break;
	case MRPC_BREACH_RESETS:
		MRPC_COUNT(conn, closed_resets, 1);
		break;
	case MRPC_BREACH_ERRORS:
		MRPC_COUNT(conn, closed_errors, 1);
		break;
	case MRPC_BREACH_CONTROL:
		MRPC_COUNT(conn, closed_floods, 1);
		break;
	case MRPC_BREACH_PRIORITY:
		MRPC_COUNT(conn, closed_priority, 1);
		break;
	case MRPC_BREACH_UPDATES:
		MRPC_COUNT(conn, closed_updates, 1);
		break;
	case MRPC_BREACH_EMPTY_DATA:
		MRPC_COUNT(conn, closed_empty_data, 1);
		break;
	case MRPC_BREACH_TINY_DATA:
		MRPC_COUNT(conn, closed_tiny_data, 1);
		break;
	case MRPC_BREACH_CONTINUATIONS:
		MRPC_COUNT(conn, closed_continuations, 1);
		break;
	case MRPC_BREACH_HEADER_WIRE:
		MRPC_COUNT(conn, closed_header_wire, 1);
		break;
	case MRPC_BREACH_HEADER_LIST:
		MRPC_COUNT(conn, closed_headers, 1);
		break;
	case MRPC_BREACH_HEADER_TIME:
		MRPC_COUNT(conn, closed_header_time, 1);
		break;
	case MRPC_BREACH_PINGS:
		MRPC_COUNT(conn, closed_pings, 1);
		break;
	case MRPC_BREACH_STREAM_CLOSED: /* errors, not abuse */
	case MRPC_BREACH_STREAM_ID:
	case MRPC_BREACH_PRIORITY_ID:
		break;
	}
}

static uint32_t error_of(enum mrpc_breach breach)
{
	switch (breach) {
	case MRPC_BREACH_STREAM_CLOSED:
		return NGHTTP2_STREAM_CLOSED;
	case MRPC_BREACH_STREAM_ID:
	case MRPC_BREACH_PRIORITY_ID:
		return NGHTTP2_PROTOCOL_ERROR;
	default:
		return NGHTTP2_ENHANCE_YOUR_CALM;
	}
}

void mrpc_conn_breach(struct mrpc_conn *conn, enum mrpc_breach breach)
{
	const char *text = mrpc_breach_text(breach);

	if (conn->state == MRPC_CONN_CLOSED)
		return;
	count_breach(conn, breach);
	mrpc_log(conn->place.log, MINIRPC_LOG_WARNING, "connection of %s ended: %s",
		 conn->peer == NULL ? "?" : conn->peer, text);
	if (breach == MRPC_BREACH_PINGS) /* K-3: in these words, and at once */
		mrpc_conn_dismiss(conn, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings", text);
	else
		mrpc_conn_terminate(conn, error_of(breach), lost(conn), text);
}

/* ---- What callbacks found due ---- */

/* Calls that wait for room, on a connection that will never have any [G-1]. */
static void give_back_waiting(struct mrpc_conn *conn)
{
	static const struct minirpc_status status = {
		.code = MINIRPC_UNAVAILABLE,
		.message = "the server is going away",
	};
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(&conn->waiting)) != NULL) {
		struct mrpc_stream *stream = mrpc_container(node, struct mrpc_stream, wait_node);

		mrpc_stream_end_call(stream, &status, true);
		mrpc_stream_free(stream);
	}
}

/* Not the client's fault: it gets RESOURCE_EXHAUSTED [S-4]. */
static void reset_unrecorded(struct mrpc_conn *conn)
{
	while (conn->unrecorded_count > 0 && !conn->dead)
		if (nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE,
					      conn->unrecorded[--conn->unrecorded_count],
					      NGHTTP2_ENHANCE_YOUR_CALM) != 0)
			mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

static void settle_conn(struct mrpc_conn *conn)
{
	if (conn->settings_received && !conn->greeted) {
		conn->greeted = true;
		conn->alarms[MRPC_ALARM_HANDSHAKE] = MINIRPC_NEVER;
		mrpc_keepalive_begin(conn);
		mrpc_conn_set_state(conn, MRPC_CONN_READY, NULL);
	}
	if (conn->goaway_due) {
		conn->goaway_due = false;
		mrpc_conn_set_state(conn, MRPC_CONN_DRAINING, NULL);
		if (conn->role == MRPC_CLIENT)
			give_back_waiting(conn);
		if (conn->too_many_pings)
			mrpc_keepalive_rebuked(conn);
		conn->too_many_pings = false;
	}
	if (conn->unrecorded_count > 0)
		reset_unrecorded(conn);
	mrpc_ping_settle(conn);
	if (!conn->dead && !mrpc_list_is_empty(&conn->waiting))
		mrpc_conn_start_waiting(conn);
	if (conn->room_wanted)
		mrpc_conn_look_for_room(conn);
}

void mrpc_conn_settle(struct mrpc_conn *conn)
{
	struct mrpc_list *node;

	if (conn->settling) /* from within: the loop below sees to it */
		return;
	conn->settling = true;
	while (!conn->dead) {
		node = mrpc_list_pop(&conn->due);
		if (node == NULL)
			break;
		mrpc_stream_settle(mrpc_container(node, struct mrpc_stream, due_node));
	}
	if (!conn->dead && conn->state != MRPC_CONN_CLOSED)
		settle_conn(conn);
	conn->settling = false;
	if (conn->breach != MRPC_BREACH_NONE)
		mrpc_conn_breach(conn, conn->breach);
}

/* After GOAWAY either way, when no stream is left, nghttp2 wants no more; also after it gave up by
 * itself, with calls still open. */
static void check_over(struct mrpc_conn *conn)
{
	if (conn->state == MRPC_CONN_CLOSED || conn->dead)
		return;
	if (nghttp2_session_want_read(conn->session) || nghttp2_session_want_write(conn->session))
		return;
	close_conn(conn, lost(conn), NULL);
}

/* ---- The machine ---- */

static struct mrpc_conn *conn_of(struct mrpc_machine *machine)
{
	return mrpc_container(machine, struct mrpc_conn, machine);
}

static void watch_header_time(struct mrpc_conn *conn)
{
	minirpc_time *at = &conn->alarms[MRPC_ALARM_HEADERS];

	if (!conn->guard.in_block)
		*at = MINIRPC_NEVER;
	else if (*at == MINIRPC_NEVER)
		*at = mrpc_time_add(conn->now, conn->limits.header_time);
}

static int feed(struct mrpc_conn *conn, const uint8_t *data, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(conn->session, data, len);

	if (n < 0 && conn->breach == MRPC_BREACH_NONE)
		return mrpc_conn_fatal(conn, (int)n);
	if (n >= 0 && conn->arrived > 0) {
		n = nghttp2_session_consume_connection(conn->session, conn->arrived);
		conn->arrived = 0;
		if (n != 0)
			return mrpc_conn_fatal(conn, (int)n);
	}
	return 0;
}

/* The peer makes more than it reads. */
static bool is_behind(const struct mrpc_conn *conn)
{
	return conn->unsent >= conn->limits.unsent_bytes ||
	       nghttp2_session_get_outbound_queue_size(conn->session) >= conn->limits.control_queue;
}

/* After what may hold the peer off, or let it go on; each time that it is held off counts once. A
 * queue that leaves with the end of this turn is nothing to speak of. */
static void note_held_off(struct mrpc_conn *conn)
{
	bool held_off;

	if (conn->dead || conn->state == MRPC_CONN_CLOSED)
		return;
	held_off = conn->unsent > 0 && is_behind(conn);
	if (held_off && !conn->held_off)
		MRPC_COUNT(conn, held_off, 1);
	conn->held_off = held_off;
}

static int receive(struct mrpc_machine *machine, const uint8_t *data, size_t len, minirpc_time now)
{
	struct mrpc_conn *conn = conn_of(machine);
	enum mrpc_breach breach;
	int r = 0;

	conn->now = now;
	if (conn->state == MRPC_CONN_CLOSED)
		return -EPIPE;
	conn->read_at = now;
	MRPC_COUNT(conn, bytes_received, len);
	len = mrpc_guard_scan(&conn->guard, data, len, now, &breach);
	if (len > 0)
		r = feed(conn, data, len);
	if (breach == MRPC_BREACH_NONE)
		breach = mrpc_guard_judge(&conn->guard);
	if (conn->breach == MRPC_BREACH_NONE)
		conn->breach = breach;
	watch_header_time(conn);
	mrpc_conn_settle(conn);
	note_held_off(conn);
	mrpc_conn_touch(conn);
	if (r == 0 && conn->state == MRPC_CONN_CLOSED)
		r = -EPROTO;
	return r;
}

/* A frame, but not one that CONTINUATION has to follow. */
static bool ends_block(const uint8_t *frame)
{
	return (frame[4] & NGHTTP2_FLAG_END_HEADERS) != 0 ||
	       (frame[3] != NGHTTP2_HEADERS && frame[3] != NGHTTP2_CONTINUATION);
}

/* Takes what nghttp2 has, about limit bytes. DATA goes to out by itself (conn_out.c). Trailers and
 * resets that become due are submitted in between, so that they leave with the same write. */
static int fetch(struct mrpc_conn *conn)
{
	bool whole = true; /* no header block is under way: it goes out with this write */

	for (;;) {
		size_t before = mrpc_buf_len(conn->out);
		const uint8_t *bytes;
		ssize_t n;

		if (conn->goaway.due && whole && conn->hello_out && mrpc_goaway_write(conn) < 0)
			return mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
		if (conn->dead || (before >= conn->out_limit && whole))
			return 0;
		n = nghttp2_session_mem_send(conn->session, &bytes);
		if (n < 0)
			return mrpc_conn_fatal(conn, (int)n);
		if (n > 0 && mrpc_buf_append(conn->out, bytes, (size_t)n) < 0)
			return mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
		if (n > 0) {
			whole = ends_block(bytes);
			conn->hello_out = true;
		}
		if (!mrpc_list_is_empty(&conn->due)) {
			mrpc_conn_settle(conn);
			if (conn->dead)
				return 0;
		} else if (n == 0 && mrpc_buf_len(conn->out) == before) {
			return 0;
		}
	}
}

static int pending(struct mrpc_machine *machine, struct mrpc_buf *out, size_t limit,
		   minirpc_time now)
{
	struct mrpc_conn *conn = conn_of(machine);
	size_t before = mrpc_buf_len(out), made;
	int r;

	conn->now = now;
	if (conn->dead)
		return 0;
	conn->out = out;
	conn->out_limit = before + limit;
	if (conn->drain_begun && !conn->dead)
		mrpc_drain_go_on(conn);
	r = fetch(conn);
	conn->out = NULL;
	made = mrpc_buf_len(out) - before;
	if (made > 0) {
		MRPC_COUNT(conn, bytes_sent, made);
		if (conn->unsent == 0)
			conn->alarms[MRPC_ALARM_STALL] =
				mrpc_time_add(now, conn->limits.write_stall_time);
		conn->unsent += made;
	}
	if (!conn->dead)
		mrpc_conn_settle(conn);
	check_over(conn);
	note_held_off(conn);
	return r == -ENOMEM ? r : 0;
}

static void sent(struct mrpc_machine *machine, size_t len, minirpc_time now)
{
	struct mrpc_conn *conn = conn_of(machine);

	conn->now = now;
	conn->unsent -= len < conn->unsent ? len : conn->unsent;
	if (conn->unsent == 0)
		conn->alarms[MRPC_ALARM_STALL] = MINIRPC_NEVER;
	else if (len > 0)
		conn->alarms[MRPC_ALARM_STALL] = mrpc_time_add(now, conn->limits.write_stall_time);
	note_held_off(conn);
}

static minirpc_time deadline(const struct mrpc_machine *machine)
{
	const struct mrpc_conn *conn = mrpc_container((struct mrpc_machine *)(uintptr_t)machine,
						      struct mrpc_conn, machine);
	minirpc_time first = mrpc_timers_next(&conn->timers);

	for (int i = 0; i < MRPC_ALARMS; i++)
		if (conn->alarms[i] < first)
			first = conn->alarms[i];
	return first;
}

static void ring(struct mrpc_conn *conn, enum mrpc_alarm alarm)
{
	conn->alarms[alarm] = MINIRPC_NEVER;
	switch (alarm) {
	case MRPC_ALARM_HANDSHAKE:
		MRPC_COUNT(conn, closed_handshake, 1);
		mrpc_conn_terminate(conn, NGHTTP2_SETTINGS_TIMEOUT, lost(conn),
				    "the handshake took too long");
		break;
	case MRPC_ALARM_HEADERS:
		mrpc_conn_breach(conn, MRPC_BREACH_HEADER_TIME);
		break;
	case MRPC_ALARM_STALL: /* nobody would read a GOAWAY */
		MRPC_COUNT(conn, closed_stalled, 1);
		mrpc_conn_lose(conn, "the peer does not read");
		break;
	case MRPC_ALARM_PING:
	case MRPC_ALARM_PING_KEEPALIVE:
		mrpc_ping_timed_out(conn, alarm - MRPC_ALARM_PING);
		break;
	case MRPC_ALARM_KEEPALIVE:
		mrpc_keepalive_ring(conn);
		break;
	case MRPC_ALARM_LATE:
		mrpc_late_ring(conn);
		break;
	default:
		break;
	}
}

static void tick(struct mrpc_machine *machine, minirpc_time now)
{
	struct mrpc_conn *conn = conn_of(machine);

	conn->now = now;
	for (int i = 0; i < MRPC_ALARMS; i++)
		if (conn->alarms[i] <= now)
			ring(conn, i);
	mrpc_timers_run(&conn->timers, now);
	mrpc_conn_touch(conn);
}

static bool wants_receive(const struct mrpc_machine *machine)
{
	const struct mrpc_conn *conn = mrpc_container((struct mrpc_machine *)(uintptr_t)machine,
						      struct mrpc_conn, machine);

	return !conn->dead && conn->state != MRPC_CONN_CLOSED && !is_behind(conn);
}

static bool is_closed(const struct mrpc_machine *machine)
{
	return mrpc_container((struct mrpc_machine *)(uintptr_t)machine, struct mrpc_conn, machine)
		       ->state == MRPC_CONN_CLOSED;
}

static bool is_finished(const struct mrpc_machine *machine)
{
	const struct mrpc_conn *conn = mrpc_container((struct mrpc_machine *)(uintptr_t)machine,
						      struct mrpc_conn, machine);

	return conn->state == MRPC_CONN_CLOSED &&
	       (conn->dead ||
		(!conn->goaway.due && !nghttp2_session_want_write(conn->session)));
}

static void broke(struct mrpc_machine *machine, int error, const char *reason, minirpc_time now)
{
	struct mrpc_conn *conn = conn_of(machine);

	(void)error;
	conn->now = now;
	conn->dead = true;
	conn->unsent = 0;
	if (conn->state == MRPC_CONN_CLOSED)
		return;
	close_conn(conn, lost(conn),
		   reason == NULL || reason[0] == '\0' ? "the peer closed the connection" : reason);
}

static const struct mrpc_machine_ops machine_ops = {
	.receive = receive,
	.pending = pending,
	.sent = sent,
	.deadline = deadline,
	.tick = tick,
	.wants_receive = wants_receive,
	.is_closed = is_closed,
	.is_finished = is_finished,
	.broke = broke,
};

/* ---- Life ---- */

static void free_conn(struct mrpc_conn *conn)
{
	mrpc_session_free(conn);
	mrpc_blank_free(conn);
	mrpc_zone_clear(&conn->zone);
	mrpc_buf_clear(&conn->scratch);
	mrpc_timers_clear(&conn->timers);
	mrpc_free(conn->user_agent);
	mrpc_free(conn->peer);
	mrpc_free(conn);
}

int mrpc_conn_new(struct mrpc_conn **ret_conn, enum mrpc_role role,
		  const struct mrpc_conn_options *options, minirpc_time now)
{
	struct mrpc_conn *conn = mrpc_zalloc(sizeof *conn);
	int r;

	if (conn == NULL)
		return -ENOMEM;
	conn->machine.ops = &machine_ops;
	conn->role = role;
	conn->place = options->place;
	conn->limits = options->limits;
	conn->call_config = options->call;
	conn->call_config.place = options->place;
	conn->call_config.timers = &conn->timers;
	conn->compressors =
		options->call.compressors != NULL ? options->call.compressors : &mrpc_no_compressors;
	conn->accept = options->accept;
	conn->accept_user = options->accept_user;
	conn->admit = options->admit;
	conn->owner = options->owner;
	conn->also = options->counts;
	conn->scheme = options->scheme == NULL ? "http" : options->scheme;
	conn->now = now;
	conn->read_at = conn->idle_at = now;
	conn->last_taken = INT32_MAX;
	mrpc_zone_init(&conn->zone);
	mrpc_timers_init(&conn->timers);
	mrpc_list_init(&conn->streams);
	mrpc_list_init(&conn->lingering);
	mrpc_list_init(&conn->waiting);
	mrpc_list_init(&conn->late);
	mrpc_list_init(&conn->due);
	mrpc_list_init(&conn->crowd);
	for (int i = 0; i < MRPC_ALARMS; i++)
		conn->alarms[i] = MINIRPC_NEVER;

	r = mrpc_limits_complete(&conn->limits);
	if (r < 0)
		goto err;
	if (options->keepalive != NULL)
		conn->keepalive = *options->keepalive;
	r = mrpc_keepalive_complete(&conn->keepalive, role);
	if (r < 0)
		goto err;
	conn->keepalive_owner = options->keepalive;
	mrpc_guard_init(&conn->guard, &conn->limits, role == MRPC_SERVER, now);
	mrpc_guard_pings(&conn->guard, &conn->keepalive);
	conn->alarms[MRPC_ALARM_HANDSHAKE] = mrpc_time_add(now, conn->limits.handshake_time);
	if (options->user_agent != NULL) {
		conn->user_agent_len = strlen(options->user_agent);
		conn->user_agent = mrpc_strndup(options->user_agent, conn->user_agent_len);
		r = conn->user_agent == NULL ? -ENOMEM : 0;
		if (r < 0)
			goto err;
	}
	r = mrpc_session_new(conn);
	if (r < 0)
		goto err;
	*ret_conn = conn;
	return 0;

err:
	free_conn(conn);
	return r;
}

static void free_streams(struct mrpc_list *list)
{
	struct mrpc_list *node = list->next, *next;

	for (; node != list; node = next) {
		next = node->next;
		mrpc_stream_free(mrpc_container(node, struct mrpc_stream, node));
	}
}

void mrpc_conn_free(struct mrpc_conn *conn)
{
	if (conn == NULL)
		return;
	conn->dead = true;
	if (conn->state != MRPC_CONN_CLOSED)
		close_conn(conn, lost(conn), "the connection was closed");
	conn->machine.flush = NULL;
	mrpc_session_free(conn);
	free_streams(&conn->streams);
	free_streams(&conn->lingering);
	free_conn(conn);
}

/* ---- The owner ---- */

struct mrpc_machine *mrpc_conn_machine(struct mrpc_conn *conn)
{
	return &conn->machine;
}

int mrpc_conn_set_peer(struct mrpc_conn *conn, const char *peer)
{
	char *copy = mrpc_strdup(peer);
	struct mrpc_list *node;

	if (copy == NULL)
		return -ENOMEM;
	for (node = conn->streams.next; node != &conn->streams; node = node->next) {
		struct mrpc_stream *stream = mrpc_container(node, struct mrpc_stream, node);

		if (stream->call != NULL)
			stream->call->peer = copy;
	}
	mrpc_free(conn->peer);
	conn->peer = copy;
	return 0;
}

void mrpc_conn_set_certificate(struct mrpc_conn *conn, const void *der, size_t len)
{
	conn->certificate = der;
	conn->certificate_len = len;
}

void mrpc_conn_set_secure(struct mrpc_conn *conn)
{
	conn->call_config.secure = true;
}

enum mrpc_conn_state mrpc_conn_state(const struct mrpc_conn *conn)
{
	return conn->state;
}

const char *mrpc_conn_reason(const struct mrpc_conn *conn)
{
	return conn->reason;
}

size_t mrpc_conn_open_calls(const struct mrpc_conn *conn)
{
	return conn->calls - conn->ours;
}

int mrpc_conn_open(struct mrpc_conn *conn, struct minirpc_call *call)
{
	struct mrpc_stream *stream;

	assert(conn->role == MRPC_CLIENT);
	if (conn->state == MRPC_CONN_DRAINING || conn->state == MRPC_CONN_CLOSED)
		return -ESHUTDOWN;
	if (nghttp2_session_get_next_stream_id(conn->session) > LAST_STREAM_ID) { /* G-4 */
		mrpc_conn_drain(conn);
		return -ESHUTDOWN;
	}
	stream = mrpc_stream_new(conn);
	if (stream == NULL)
		return -ENOMEM;
	conn->unsubmitted++;
	mrpc_stream_attach(stream, call);
	if (conn->keepalive_asleep)
		mrpc_keepalive_wake(conn);
	return 0;
}

void mrpc_conn_drain(struct mrpc_conn *conn)
{
	mrpc_conn_drain_for(conn, "");
}

minirpc_time mrpc_conn_idle_since(const struct mrpc_conn *conn)
{
	return conn->open > 0 ? MINIRPC_NEVER : conn->idle_at;
}

void mrpc_conn_drain_for(struct mrpc_conn *conn, const char *why)
{
	if (conn->state == MRPC_CONN_CLOSED || conn->drain_begun)
		return;
	conn->now = *conn->place.now; /* it may have been silent for long */
	conn->drain_text = why;
	conn->drain_begun = true;
	mrpc_conn_set_state(conn, MRPC_CONN_DRAINING, NULL);
	mrpc_drain_begin(conn);
	mrpc_conn_touch(conn);
}

void mrpc_conn_abort(struct mrpc_conn *conn, enum minirpc_code code, const char *text)
{
	mrpc_conn_terminate(conn, NGHTTP2_NO_ERROR,
			    conn->role == MRPC_CLIENT ? code : MINIRPC_UNAVAILABLE, text);
}

const struct minirpc_conn_counts *mrpc_conn_counts(const struct mrpc_conn *conn)
{
	return &conn->counts;
}

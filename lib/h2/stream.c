/* SPDX-License-Identifier: MIT */
/* Stream: what a call is to a connection.
 *
 *	            out lane --> pull, read_data (conn_out.c) --> nghttp2
 *	 call                                                    stream
 *	            in lane  <-- receive (stream_in.c)        <-- nghttp2
 *
 * A call and its stream part in either order. The call may let go first (cancel, deadline): the
 * stream then lives until its RST_STREAM is out. The stream may close first (the peer's RST_STREAM,
 * a lost connection): the call is told and let go of. At a server the handler may still be at work
 * after that; such a stream lingers, so that a peer cannot have more handlers running than streams
 * it may open, by resetting them [limits.md 2, Rapid Reset]. */
#include "h2/inside.h"

#include <stdio.h>

static void on_run(struct mrpc_task *task);

struct mrpc_stream *mrpc_stream_new(struct mrpc_conn *conn)
{
	struct mrpc_stream *stream = mrpc_zone_zalloc(&conn->zone, sizeof *stream);

	if (stream == NULL)
		return NULL;
	stream->conn = conn;
	stream->task = (struct mrpc_task){ .phase = MRPC_STREAM, .run = on_run };
	mrpc_list_push(&conn->streams, &stream->node);
	return stream;
}

/* Server: whoever holds the call may do so longer than the connection lives, but its timer is one of
 * ours. And while it still has the events it came with, nobody else knows of it. */
static void release_pin(struct mrpc_stream *stream)
{
	mrpc_timer_unbind(&stream->pin->deadline_timer);
	stream->pin->watcher = NULL;
	if (stream->pin->events == stream->conn->accept)
		mrpc_call_drop(stream->pin);
}

/* A client's that never left. */
static void free_unsubmitted(struct mrpc_conn *conn)
{
	conn->unsubmitted--;
	mrpc_conn_look_for_room(conn);
}

void mrpc_stream_free(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	bool unsubmitted = stream->id == 0 && conn->role == MRPC_CLIENT;

	mrpc_task_sleep(&stream->task);
	mrpc_list_remove(&stream->node);
	mrpc_list_remove(&stream->due_node);
	mrpc_list_remove(&stream->wait_node);
	mrpc_stream_clear_input(stream);
	mrpc_zone_free(&conn->zone, stream->words);
	if (stream->pin != NULL) {
		if (conn->role == MRPC_SERVER)
			release_pin(stream);
		mrpc_call_unref(stream->pin);
	}
	if (conn->block.stream == stream)
		conn->block.stream = NULL;
	mrpc_zone_free(&conn->zone, stream);
	if (unsubmitted)
		free_unsubmitted(conn);
}

/* ---- The call's side ---- */

static void count_in(struct mrpc_conn *conn, const struct minirpc_call *call)
{
	conn->calls++;
	if (call->is_ours)
		conn->ours++;
	else
		MRPC_COUNT(conn, calls_started, 1);
}

static void count_out(struct mrpc_conn *conn, const struct minirpc_call *call, bool succeeded)
{
	conn->calls--;
	if (call->is_ours)
		conn->ours--;
	else if (succeeded)
		MRPC_COUNT(conn, calls_succeeded, 1);
	else
		MRPC_COUNT(conn, calls_failed, 1);
	if (conn->state == MRPC_CONN_DRAINING && conn->owner != NULL)
		mrpc_turn_wake(conn->place.turn, conn->owner);
}

/* The call lets go: cancelled, killed, or its time is over. */
static void on_detach(void *transport, struct minirpc_call *call)
{
	struct mrpc_stream *stream = transport;
	struct mrpc_conn *conn = stream->conn;

	stream->call = NULL;
	count_out(conn, call, false);
	if (stream->id == 0) { /* never left us */
		mrpc_stream_free(stream);
		return;
	}
	stream->reset_code = NGHTTP2_CANCEL; /* D-2, D-3, D-4 */
	stream->due |= stream->closed ? MRPC_DUE_CLOSED : MRPC_DUE_RESET;
	mrpc_turn_wake(conn->place.turn, &stream->task);
}

static void count_refused(void *transport, enum mrpc_refused what)
{
	const struct mrpc_stream *stream = transport;
	struct mrpc_conn *conn = stream->conn;

	*mrpc_call_refused_counter(&conn->counts, what) += 1;
	if (conn->also != NULL)
		*mrpc_call_refused_counter(conn->also, what) += 1;
}

static const struct mrpc_call_transport_ops transport_ops = { .detach = on_detach,
							      .count_refused = count_refused };

void mrpc_stream_attach(struct mrpc_stream *stream, struct minirpc_call *call)
{
	struct mrpc_conn *conn = stream->conn;

	stream->call = call;
	if (stream->pin == NULL)
		stream->pin = mrpc_call_ref(call);
	mrpc_deframer_init(&stream->deframer, conn->place.pool, call->max_receive_message);
	stream->deframer.ahead = conn->limits.stream_window;
	mrpc_call_attach(call, &transport_ops, stream, &stream->task);
	call->peer = conn->peer == NULL ? "" : conn->peer;
	call->certificate = conn->certificate;
	call->certificate_len = conn->certificate_len;
	count_in(conn, call);
}

static void let_go(struct mrpc_stream *stream, bool succeeded)
{
	const struct minirpc_call *call = stream->call;

	stream->end_waits = false;
	stream->call = NULL;
	count_out(stream->conn, call, succeeded);
}

void mrpc_stream_end_call(struct mrpc_stream *stream, const struct minirpc_status *status,
			  bool unprocessed)
{
	struct minirpc_call *call = stream->call;

	if (call == NULL)
		return;
	let_go(stream, status->code == MINIRPC_OK);
	call->never_left = stream->id == 0 || stream->not_sent; /* */
	mrpc_call_received_end(call, status, call->role == MRPC_SERVER, unprocessed);
	mrpc_call_detach(call);
}

void mrpc_stream_completed(struct mrpc_stream *stream)
{
	struct minirpc_call *call = stream->call;

	if (call == NULL)
		return;
	mrpc_guard_completed(&stream->conn->guard);
	let_go(stream, call->out_status.code == MINIRPC_OK);
	mrpc_call_detach(call);
}

/* ---- What is due ---- */

void mrpc_stream_due(struct mrpc_stream *stream, unsigned what)
{
	stream->due |= what;
	if (!mrpc_list_is_linked(&stream->due_node))
		mrpc_list_push(&stream->conn->due, &stream->due_node);
}

void mrpc_stream_due_reset(struct mrpc_stream *stream, uint32_t error_code)
{
	if ((stream->due & MRPC_DUE_RESET) == 0)
		stream->reset_code = error_code;
	mrpc_stream_due(stream, MRPC_DUE_RESET);
}

void mrpc_stream_fail_http(struct mrpc_stream *stream, const struct mrpc_answer *answer)
{
	if ((stream->due & (MRPC_DUE_FAIL | MRPC_DUE_END)) != 0 || stream->answered)
		return;
	stream->answer = *answer;
	stream->status = (struct minirpc_status){ .code = answer->code, .message = answer->text };
	mrpc_stream_due(stream, MRPC_DUE_FAIL);
}

void mrpc_stream_fail(struct mrpc_stream *stream, enum minirpc_code code, const char *text)
{
	mrpc_stream_fail_http(stream, &(struct mrpc_answer){
					      .http_status = 200,
					      .code = code,
					      .text = text,
				      });
}

static void submit_reset(struct mrpc_stream *stream)
{
	if (stream->closed)
		return;
	if (nghttp2_submit_rst_stream(stream->conn->session, NGHTTP2_FLAG_NONE, stream->id,
				      stream->reset_code) != 0)
		mrpc_conn_fatal(stream->conn, NGHTTP2_ERR_NOMEM);
}

/* The client's call ends, the stream is of no use any more. A server answers, and its handler hears
 * that the peer has left. */
static void settle_failure(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;

	if (conn->role == MRPC_CLIENT) {
		mrpc_stream_end_call(stream, &stream->status, false);
		mrpc_stream_due_reset(stream, NGHTTP2_CANCEL);
		return;
	}
	mrpc_stream_end_call(stream,
			     &(struct minirpc_status){
				     .code = MINIRPC_CANCELLED,
				     .message = stream->answer.text,
			     },
			     false);
	if (stream->closed || stream->data_done)
		return;
	stream->answered = true;
	if (stream->headers_out)
		mrpc_stream_resume(stream); /* its data ends here; then trailers */
	else if (stream->answer.late)
		mrpc_late_answer(stream);
	else
		mrpc_stream_submit_answer(stream);
}

/* How a client's call ends whose stream was closed without a status [S-4, G-1]. */
static void tell_closed(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	struct minirpc_status status = { 0 };
	bool unprocessed = false;
	char text[64];

	if (stream->call == NULL)
		return;
	if (conn->role == MRPC_SERVER) {
		status.code = MINIRPC_CANCELLED;
		status.message = "the client reset the call";
	} else if (stream->too_large) {
		status.code = MINIRPC_RESOURCE_EXHAUSTED;
		status.message = "metadata too large to send";
	} else if (conn->goaway_received && stream->id > conn->goaway_last) {
		status.code = MINIRPC_UNAVAILABLE;
		status.message = "the server is going away";
		unprocessed = true;
	} else {
		status.code = mrpc_status_from_reset(stream->close_code);
		unprocessed = stream->close_code == NGHTTP2_REFUSED_STREAM;
		/* D-2: the server's timer was faster than ours */
		if (status.code == MINIRPC_CANCELLED && stream->call->deadline <= conn->now)
			status.code = MINIRPC_DEADLINE_EXCEEDED;
		snprintf(text, sizeof text, "stream reset by the server: %s",
			 mrpc_reset_name(stream->close_code));
		status.message = text;
	}
	mrpc_stream_end_call(stream, &status, unprocessed);
}

static void leave_lingering(struct mrpc_stream *stream)
{
	stream->conn->lingerers--;
	mrpc_stream_free(stream);
}

/* The last thing that happens to a stream, unless its handler is still at work. */
static void settle_closed(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;

	tell_closed(stream);
	if (conn->role == MRPC_SERVER && stream->routed && stream->pin->has_handle) {
		mrpc_task_sleep(&stream->task);
		mrpc_stream_clear_input(stream);
		mrpc_list_remove(&stream->node);
		mrpc_list_push(&conn->lingering, &stream->node);
		conn->lingerers++;
		stream->lingering = true;
		stream->pin->watcher = &stream->task;
		return;
	}
	mrpc_stream_free(stream);
}

void mrpc_stream_settle(struct mrpc_stream *stream)
{
	unsigned due = stream->due;

	stream->due = 0;
	if ((due & MRPC_DUE_END) != 0) {
		mrpc_stream_end_call(stream, &stream->status, false);
		if (!stream->we_done) /* the server wants no more of it [W-22] */
			mrpc_stream_due_reset(stream, NGHTTP2_NO_ERROR);
	}
	if ((due & MRPC_DUE_FAIL) != 0)
		settle_failure(stream);
	if ((due & MRPC_DUE_CLOSED) != 0) {
		/* A client's messages, and how the call ended, may still be to come; at a server
		 * this is a reset, which does not wait. */
		if (!stream->end_waits || stream->call == NULL || stream->conn->role == MRPC_SERVER)
			settle_closed(stream);
		return;
	}
	if ((due & MRPC_DUE_TRAILERS) != 0)
		mrpc_stream_submit_trailers(stream);
	if ((due & MRPC_DUE_RESET) != 0)
		submit_reset(stream);
}

/* ---- The stream's turn ---- */

static void on_run(struct mrpc_task *task)
{
	struct mrpc_stream *stream = mrpc_container(task, struct mrpc_stream, task);
	struct mrpc_conn *conn = stream->conn;

	if (stream->lingering) { /* its handler has ended */
		leave_lingering(stream);
		return;
	}
	if (conn->dead || conn->state == MRPC_CONN_CLOSED)
		return;
	if (stream->due != 0)
		mrpc_stream_due(stream, 0);
	if (stream->call != NULL && stream->id != 0)
		mrpc_stream_reader_moved(stream);
	if (stream->call != NULL && !stream->closed)
		mrpc_stream_pull(stream);
	mrpc_conn_settle(conn);
	mrpc_conn_touch(conn);
}

/* ---- Many streams ---- */

bool mrpc_conn_has_room(const struct mrpc_conn *conn)
{
	uint32_t limit = nghttp2_session_get_remote_settings(
		conn->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return conn->open < limit;
}

/* Those that nghttp2 does not know yet will need theirs. */
static bool has_room_for_another(const struct mrpc_conn *conn)
{
	uint32_t limit = nghttp2_session_get_remote_settings(
		conn->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return conn->open + conn->unsubmitted < limit;
}

bool mrpc_conn_wants_another(struct mrpc_conn *conn)
{
	if (conn->state != MRPC_CONN_READY || conn->dead)
		return false;
	conn->room_wanted = !has_room_for_another(conn);
	return !conn->room_wanted;
}

void mrpc_conn_look_for_room(struct mrpc_conn *conn)
{
	if (!conn->room_wanted || conn->dead || !has_room_for_another(conn))
		return;
	conn->room_wanted = false;
	mrpc_turn_wake(conn->place.turn, conn->owner);
}

void mrpc_conn_start_waiting(struct mrpc_conn *conn)
{
	while (!mrpc_list_is_empty(&conn->waiting) && mrpc_conn_has_room(conn)) {
		struct mrpc_list *node = mrpc_list_pop(&conn->waiting);

		mrpc_stream_pull(mrpc_container(node, struct mrpc_stream, wait_node));
		if (conn->dead || conn->state == MRPC_CONN_CLOSED)
			return;
	}
}

/* Streams whose handler has ended meanwhile are swept away. */
static size_t count_stuck(struct mrpc_conn *conn)
{
	struct mrpc_list *node = conn->lingering.next, *next;
	size_t stuck = 0;

	for (; node != &conn->lingering; node = next) {
		struct mrpc_stream *stream = mrpc_container(node, struct mrpc_stream, node);

		next = node->next;
		if (!stream->pin->has_handle) {
			leave_lingering(stream);
		} else if (stream->pin->told_end) {
			stuck++;
		}
	}
	return stuck;
}

/* A handler that has not been told yet may still do the right thing, and does not count: otherwise
 * a client that resets calls as their deadlines expire, and opens others in their place, would be
 * refused in good faith. Until they are told the budget of resets bounds their number. */
size_t mrpc_conn_running(struct mrpc_conn *conn)
{
	if (conn->open + conn->lingerers < conn->limits.max_streams)
		return conn->open + conn->lingerers;
	return conn->open + count_stuck(conn);
}

/* SPDX-License-Identifier: MIT */
/* Subchannel: from an address to a connection that is ready [B-2].
 *
 *	        connect                 the peer's SETTINGS
 *	IDLE ------------> CONNECTING --------------------> READY
 *	 ^ ^                   |                              |
 *	 | |   failed, or      |                              |
 *	 | |   out of time     v                              |
 *	 | +-- retry_at -- TRANSIENT_FAILURE                  |
 *	 +---------------- lost, or GOAWAY -------------------+
 *
 * An attempt dials, opens TLS and HTTP/2, and is a success only when the peer's SETTINGS have come: a port
 * that accepts and says nothing runs into the deadline. With several addresses it goes on with those
 * behind the one that let us down. Attempts are spaced by the backoff from start to start [B-1].
 *
 * A connection that was lost without a single success, before the backoff of its attempt was over,
 * does not start the next one at once: a server that accepts and hangs up would be called in a
 * loop.
 *
 * A connection that takes no more calls (GOAWAY) leaves the stage and lives on until its last call has
 * ended [G-1]; so do those that are ready when nobody holds the subchannel any more.
 *
 * There may be several connections (scaling.c). The drawing is then that of the attempt, of which there is one at
 * a time, with one backoff for all; the state is READY as long as one connection is, and from READY it may go to
 * any other one [B-5]. */
#include "client/subchannel.h"

#include "base/alloc.h"
#include "base/text.h"
#include "client/authority.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_TIMEOUT MINIRPC_S(20) /* [B-1] */

/* What those who hold us are told: the attempt matters when there is no connection [B-5]. */
static void set_attempt(struct mrpc_subchannel *subchannel, enum minirpc_channel_state attempt)
{
	enum minirpc_channel_state state = subchannel->ready_count > 0 ? MINIRPC_READY : attempt;

	subchannel->attempt = attempt;
	if (subchannel->state == state)
		return;
	subchannel->state = state;
	subchannel->config->on_change(subchannel, subchannel->config->user);
}

static void free_dials(struct mrpc_subchannel *subchannel)
{
	mrpc_dial_free(subchannel->dial);
	mrpc_proxy_dial_free(subchannel->proxy_dial);
	subchannel->dial = NULL;
	subchannel->proxy_dial = NULL;
}

static void stop_attempt(struct mrpc_subchannel *subchannel)
{
	mrpc_task_sleep(&subchannel->task);
	mrpc_timer_stop(&subchannel->timer);
	free_dials(subchannel);
	subchannel->under_way = false;
}

/* The attempt is over. The opening connection, if it got that far, is the caller's to free. */
static MINIRPC_PRINTF(2, 3) void fail(struct mrpc_subchannel *subchannel, const char *format, ...)
{
	char text[sizeof subchannel->failure - 32];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(subchannel->failure, sizeof subchannel->failure, "%s (attempt %u)", text,
		 subchannel->attempts);
	mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_INFO, "%s", subchannel->failure);

	stop_attempt(subchannel);
	subchannel->opening = NULL;
	mrpc_timer_set(&subchannel->timer, subchannel->retry_at);
	set_attempt(subchannel, MINIRPC_TRANSIENT_FAILURE);
}

/* ---- One attempt ---- */

/* Which of ours it is; the one behind it is the next to try, should this one fail. */
static void set_next_address(struct mrpc_subchannel *subchannel, const struct mrpc_address *address)
{
	if (subchannel->config->proxied_host != NULL) {
		subchannel->next_address = subchannel->address_count;
		return;
	}
	if (subchannel->proxy_dial != NULL) { /* the address is the proxy's */
		subchannel->next_address += mrpc_proxy_dial_at(subchannel->proxy_dial) + 1;
		return;
	}
	while (subchannel->next_address < subchannel->address_count)
		if (mrpc_address_equals(&subchannel->addresses[subchannel->next_address++],
					address))
			return;
}

static void on_dialed(void *user, int fd, const struct mrpc_address *address, int error,
		      const char *reason)
{
	struct mrpc_subchannel *subchannel = user;
	const char *colon = NULL;
	int r;

	if (fd >= 0)
		set_next_address(subchannel, address);
	free_dials(subchannel);
	if (fd >= 0) {
		r = mrpc_connection_dialed(&subchannel->opening, subchannel, fd, address);
		if (r < 0)
			fail(subchannel, "connection failed: %s", mrpc_error_text(r));
		else
			mrpc_timer_set(&subchannel->timer, subchannel->deadline);
		return;
	}
	subchannel->next_address = 0;
	/* "ADDRESS: why", or several of them with "; " in between. */
	if (strstr(reason, "; ") == NULL)
		for (const char *at = strstr(reason, ": "); at != NULL; at = strstr(at + 1, ": "))
			colon = at;
	if (colon != NULL)
		fail(subchannel, "connection to %.*s failed: %s", (int)(colon - reason), reason,
		     colon + 2);
	else
		fail(subchannel, "connection failed: %s",
		     reason[0] != '\0' ? reason : mrpc_error_text(error));
}

static bool is_proxied(const struct mrpc_subchannel *subchannel)
{
	const struct mrpc_subchannel_config *config = subchannel->config;

	if (config->proxy == NULL)
		return false;
	return config->proxied_host != NULL ||
	       mrpc_proxy_is_for_address(config->proxy, &subchannel->addresses[0]);
}

/* For the text of a failure: where the connection goes, and not the proxy in between. */
static const char *server_of(const struct mrpc_subchannel *subchannel,
			     const struct mrpc_connection *connection, char text[MRPC_ADDRESS_TEXT])
{
	size_t next = subchannel->next_address;

	if (subchannel->config->proxied_host != NULL)
		return subchannel->config->proxied_address;
	if (!is_proxied(subchannel) || next == 0)
		return connection->peer;
	mrpc_address_format(&subchannel->addresses[next - 1], text);
	return text;
}

static void dial(struct mrpc_subchannel *subchannel)
{
	const struct mrpc_subchannel_config *config = subchannel->config;
	size_t at = subchannel->next_address;
	int r;

	if (config->dialer != NULL) {
		config->dialer(subchannel, config->dialer_user);
		return;
	}
	mrpc_timer_stop(&subchannel->timer); /* the dial keeps the deadline itself */
	if (is_proxied(subchannel))
		r = mrpc_proxy_dial(&subchannel->proxy_dial, config->loop, config->proxy,
				    config->proxied_host, config->proxied_port,
				    subchannel->addresses + at, subchannel->address_count - at,
				    subchannel->deadline, on_dialed, subchannel);
	else
		r = mrpc_dial(&subchannel->dial, config->loop, subchannel->addresses + at,
			      subchannel->address_count - at, subchannel->deadline, on_dialed,
			      subchannel);
	if (r < 0)
		fail(subchannel, "connection failed: %s", mrpc_error_text(r));
}

/* The backoff of a failed attempt is over. */
static void end_backoff(struct mrpc_subchannel *subchannel)
{
	set_attempt(subchannel, MINIRPC_IDLE);
	if (subchannel->ready_count == 0)
		return;
	/* That there was no more of it says nothing when it is lost. */
	subchannel->failure[0] = '\0';
	mrpc_subchannel_serve(subchannel);
}

static void begin_attempt(struct mrpc_task *task)
{
	struct mrpc_subchannel *subchannel = mrpc_container(task, struct mrpc_subchannel, task);
	const struct mrpc_subchannel_config *config = subchannel->config;
	minirpc_time now = config->loop->now, span, least;

	if (subchannel->attempt == MINIRPC_TRANSIENT_FAILURE) {
		end_backoff(subchannel);
		return;
	}
	if (subchannel->ready_count > 0 && !mrpc_subchannel_wants_another(subchannel)) {
		set_attempt(subchannel, MINIRPC_IDLE); /* there is room meanwhile */
		return;
	}
	if (subchannel->retry_at > now) {
		mrpc_timer_set(&subchannel->timer, subchannel->retry_at);
		return;
	}

	span = mrpc_backoff_next(&subchannel->backoff);
	least = config->connect_timeout > 0 ? config->connect_timeout : CONNECT_TIMEOUT;
	subchannel->retry_at = mrpc_time_add(now, span);
	subchannel->deadline = mrpc_time_add(now, span > least ? span : least);
	subchannel->attempts++;
	subchannel->under_way = true;
	if (subchannel->next_address >= subchannel->address_count)
		subchannel->next_address = 0;
	mrpc_timer_set(&subchannel->timer, subchannel->deadline);
	dial(subchannel);
}

/* The next attempt begins behind the address that was silent. */
static void run_out_of_time(struct mrpc_subchannel *subchannel)
{
	struct mrpc_connection *connection = subchannel->opening;
	char text[MRPC_ADDRESS_TEXT];

	if (connection == NULL) {
		fail(subchannel, "connection to %s failed: no answer in time", subchannel->first);
		return;
	}
	fail(subchannel, "connection to %s failed: no HTTP/2 SETTINGS in time",
	     server_of(subchannel, connection, text));
	mrpc_connection_free(connection);
}

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_subchannel *subchannel = mrpc_container(timer, struct mrpc_subchannel, timer);

	(void)now;
	/* In a task: those who hold us have heard of the failure by then. */
	if (!subchannel->under_way)
		mrpc_turn_wake(&subchannel->config->loop->turn, &subchannel->task);
	else
		run_out_of_time(subchannel);
}

/* ---- What connections tell ---- */

void mrpc_subchannel_is_ready(struct mrpc_subchannel *subchannel)
{
	struct mrpc_connection *connection = subchannel->opening;

	stop_attempt(subchannel);
	mrpc_backoff_reset(&subchannel->backoff);
	connection->is_ready = true;
	connection->retry_at = subchannel->retry_at;
	subchannel->opening = NULL;
	subchannel->retry_at = INT64_MIN;
	if (subchannel->ready_count++ == 0)
		subchannel->current = connection;
	subchannel->attempts = 0;
	subchannel->next_address = 0;
	mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_INFO, "connected to %s",
		 connection->peer);
	set_attempt(subchannel, MINIRPC_IDLE);
	subchannel->failure[0] = '\0'; /* health.c has kept it */
	mrpc_subchannel_serve(subchannel);
}

/* One that was never ready. The others of its addresses have their chance while there is time. */
static void try_behind(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection)
{
	char text[MRPC_ADDRESS_TEXT];
	const char *server = server_of(subchannel, connection, text);

	if (subchannel->next_address < subchannel->address_count) {
		mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_INFO,
			 "connection to %s failed: %s", server, mrpc_connection_reason(connection));
		subchannel->opening = NULL;
		dial(subchannel);
		return;
	}
	subchannel->next_address = 0;
	fail(subchannel, "connection to %s failed: %s", server, mrpc_connection_reason(connection));
}

static struct mrpc_connection *oldest_ready(struct mrpc_subchannel *subchannel)
{
	for (struct mrpc_list *node = subchannel->connections.next;
	     node != &subchannel->connections; node = node->next) {
		struct mrpc_connection *connection =
			mrpc_container(node, struct mrpc_connection, node);

		if (connection->is_ready)
			return connection;
	}
	return NULL;
}

static void leave_stage(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection)
{
	connection->is_ready = false;
	subchannel->ready_count--;
	subchannel->current = oldest_ready(subchannel);
}

void mrpc_subchannel_lost(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection)
{
	if (connection == subchannel->opening) {
		try_behind(subchannel, connection);
		return;
	}
	mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_INFO,
		 "connection to %s takes no more calls: %s", connection->peer,
		 mrpc_connection_reason(connection));
	leave_stage(subchannel, connection);
	if (mrpc_conn_counts(connection->conn)->calls_succeeded == 0 &&
	    subchannel->retry_at < connection->retry_at)
		subchannel->retry_at = connection->retry_at;
	if (subchannel->ready_count == 0)
		mrpc_subchannel_return_all(subchannel);
	set_attempt(subchannel, subchannel->attempt);
	mrpc_health_look(subchannel); /* another one is the current one now */
	mrpc_subchannel_serve(subchannel);
}

void mrpc_subchannel_forget(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection)
{
	mrpc_connection_free(connection);
	if (subchannel->state == MINIRPC_SHUTDOWN)
		mrpc_subchannel_leave(subchannel);
}

/* ---- The owner's verbs ---- */

/* What runs on them runs on. */
static void drain_all(struct mrpc_subchannel *subchannel)
{
	struct mrpc_connection *connection = subchannel->opening;

	subchannel->opening = NULL;
	if (connection != NULL)
		mrpc_connection_free(connection);
	while ((connection = subchannel->current) != NULL) {
		leave_stage(subchannel, connection);
		if (mrpc_conn_state(connection->conn) == MRPC_CONN_OPENING) /* the host's */
			mrpc_connection_free(connection);
		else
			mrpc_conn_drain(connection->conn);
	}
}

/* Nobody wants it. */
static void end(struct mrpc_task *task)
{
	struct mrpc_subchannel *subchannel = mrpc_container(task, struct mrpc_subchannel, ending);

	if (!mrpc_list_is_empty(&subchannel->handles))
		return;
	subchannel->state = subchannel->attempt = MINIRPC_SHUTDOWN;
	stop_attempt(subchannel);
	drain_all(subchannel);
	mrpc_subchannel_return_all(subchannel);
	if (mrpc_list_is_empty(&subchannel->connections))
		mrpc_subchannel_free(subchannel);
}

static int copy_texts(struct mrpc_subchannel *subchannel, const struct mrpc_address *addresses,
		      size_t count, const char *server_name)
{
	size_t size;

	if (!mrpc_mul(count, sizeof *addresses, &size))
		return -ENOMEM;
	subchannel->address_count = count;
	subchannel->addresses = size == 0 ? NULL : mrpc_alloc(size);
	subchannel->server_name = mrpc_strdup(server_name);
	if (subchannel->server_name == NULL || (size > 0 && subchannel->addresses == NULL))
		return -ENOMEM;
	if (count > 0) {
		memcpy(subchannel->addresses, addresses, size);
		mrpc_address_format(addresses, subchannel->first);
	}
	return 0;
}

int mrpc_subchannel_new(struct mrpc_subchannel **ret_subchannel,
			const struct mrpc_subchannel_config *config, struct mrpc_list *all,
			const struct mrpc_address *addresses, size_t count, const char *server_name,
			uint64_t seed)
{
	struct mrpc_subchannel *subchannel;
	int r;

	subchannel = mrpc_alloc(sizeof *subchannel);
	if (subchannel == NULL)
		return -ENOMEM;
	*subchannel = (struct mrpc_subchannel){
		.config = config,
		.state = MINIRPC_IDLE,
		.attempt = MINIRPC_IDLE,
		.scales = count > 0 && config->max_connections > 1,
		.task = { .phase = MRPC_STREAM, .run = begin_attempt },
		.ending = { .phase = MRPC_STREAM, .run = end },
		.retry_at = INT64_MIN,
	};
	mrpc_list_init(&subchannel->handles);
	mrpc_list_init(&subchannel->connections);
	mrpc_list_init(&subchannel->queue);
	mrpc_backoff_init(&subchannel->backoff, config->backoff_initial, config->backoff_max, seed);
	r = copy_texts(subchannel, addresses, count, server_name);
	if (r == 0)
		r = mrpc_timer_bind(&subchannel->timer, &config->loop->timers, on_timer);
	if (r == 0)
		r = mrpc_health_init(subchannel);
	if (r < 0) {
		mrpc_subchannel_free(subchannel);
		return r;
	}
	mrpc_list_push(all, &subchannel->node);
	*ret_subchannel = subchannel;
	return 0;
}

void mrpc_subchannel_free(struct mrpc_subchannel *subchannel)
{
	struct mrpc_list *node;

	stop_attempt(subchannel);
	mrpc_task_sleep(&subchannel->ending);
	mrpc_health_clear(subchannel);
	while ((node = subchannel->connections.next) != &subchannel->connections)
		mrpc_connection_free(mrpc_container(node, struct mrpc_connection, node));
	mrpc_timer_unbind(&subchannel->timer);
	mrpc_list_remove(&subchannel->node);
	mrpc_free(subchannel->addresses);
	mrpc_free(subchannel->server_name);
	mrpc_free(subchannel);
}

void mrpc_subchannel_leave(struct mrpc_subchannel *subchannel)
{
	mrpc_turn_wake(&subchannel->config->loop->turn, &subchannel->ending);
}

bool mrpc_subchannel_is_for(const struct mrpc_subchannel *subchannel,
			    const struct mrpc_address *addresses, size_t count,
			    const char *server_name)
{
	if (subchannel->state == MINIRPC_SHUTDOWN || subchannel->address_count != count ||
	    strcmp(subchannel->server_name, server_name) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!mrpc_address_equals(&subchannel->addresses[i], &addresses[i]))
			return false;
	return true;
}

void mrpc_subchannel_connect(struct mrpc_subchannel *subchannel)
{
	if (subchannel->state == MINIRPC_IDLE && subchannel->address_count > 0)
		mrpc_subchannel_begin(subchannel);
}

void mrpc_subchannel_begin(struct mrpc_subchannel *subchannel)
{
	if (subchannel->attempt != MINIRPC_IDLE)
		return;
	/* In a task: the caller may be a verb, and must not hear of a failure from inside it. */
	mrpc_turn_wake(&subchannel->config->loop->turn, &subchannel->task);
	set_attempt(subchannel, MINIRPC_CONNECTING);
}

int mrpc_subchannel_open(struct mrpc_subchannel *subchannel, minirpc_call *call)
{
	if (subchannel->state != MINIRPC_READY)
		return -ESHUTDOWN;
	if (subchannel->scales)
		return mrpc_scaling_open(subchannel, call);
	if (mrpc_authority_forbids(subchannel->current, call))
		return 0;
	return mrpc_conn_open(subchannel->current->conn, call);
}

size_t mrpc_subchannel_open_calls(const struct mrpc_subchannel *subchannel)
{
	size_t count = subchannel->queued;

	for (const struct mrpc_list *node = subchannel->connections.next;
	     node != &subchannel->connections; node = node->next)
		count += mrpc_conn_open_calls(
			mrpc_container(node, struct mrpc_connection, node)->conn);
	return count;
}

const char *mrpc_subchannel_address(const struct mrpc_subchannel *subchannel)
{
	const struct mrpc_connection *connection =
		subchannel->current != NULL ? subchannel->current : subchannel->opening;

	if (subchannel->config->proxied_host != NULL)
		return subchannel->config->proxied_address;
	if (connection == NULL || is_proxied(subchannel)) /* then the peer is the proxy */
		return subchannel->first;
	return connection->peer;
}

int mrpc_subchannel_attach(struct mrpc_subchannel *subchannel,
			   const struct minirpc_attach_options *options, minirpc_conn **ret_conn)
{
	struct mrpc_connection *current = subchannel->current;
	int r;

	/* One that has ended, but whose task has not looked yet, makes room at once. */
	if (subchannel->address_count == 0 && current != NULL &&
	    !mrpc_connection_takes_calls(current))
		mrpc_subchannel_lost(subchannel, current);
	if (subchannel->opening != NULL ||
	    (subchannel->address_count == 0 && subchannel->current != NULL))
		return -EISCONN;
	r = mrpc_connection_attached(&subchannel->opening, subchannel, options);
	if (r < 0)
		return r;
	subchannel->next_address = subchannel->address_count;
	*ret_conn = subchannel->opening->host;
	if (subchannel->address_count == 0)
		mrpc_subchannel_is_ready(subchannel);
	return 0;
}

void mrpc_subchannel_refuse(struct mrpc_subchannel *subchannel, const char *reason)
{
	fail(subchannel, "connection to %s failed: %s", subchannel->first, reason);
}

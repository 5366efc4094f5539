/* SPDX-License-Identifier: MIT */
/* Subchannel: from a target to a connection that is ready, again and again.
 *
 *	            connect                 the peer's SETTINGS
 *	IDLE ------------------> CONNECTING --------------------> READY
 *	  ^                        |    ^                           |
 *	  |          failed, or    |    | timer, at retry_at        |
 *	  |          out of time   v    |                           |
 *	  |                 TRANSIENT_FAILURE                       |
 *	  +------------------- lost, or GOAWAY --------------------+
 *
 * An attempt resolves the name (each time anew: servers move), dials, opens TLS and HTTP/2, and is a
 * success only when the peer's SETTINGS have come: a port that accepts and says nothing runs into the
 * deadline. Attempts are spaced by the backoff from start to start [B-1].
 *
 * A connection that was lost without a single success, before the backoff of its attempt was over,
 * does not start the next one at once: a server that accepts and hangs up would be called in a
 * loop. */
#include "client/subchannel.h"

#include "client/authority.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_TIMEOUT MINIRPC_S(20) /* [B-1] */

static void set_state(struct mrpc_subchannel *subchannel, enum minirpc_channel_state state)
{
	if (subchannel->state == state)
		return;
	subchannel->state = state;
	subchannel->config.on_change(subchannel, subchannel->config.user);
}

static void free_current(struct mrpc_subchannel *subchannel)
{
	struct mrpc_connection *connection = subchannel->current;

	subchannel->current = NULL;
	if (connection != NULL)
		mrpc_connection_free(connection);
}

static void stop_attempt(struct mrpc_subchannel *subchannel)
{
	mrpc_task_sleep(&subchannel->task);
	mrpc_timer_stop(&subchannel->timer);
	mrpc_resolution_free(subchannel->resolution);
	mrpc_dial_free(subchannel->dial);
	subchannel->resolution = NULL;
	subchannel->dial = NULL;
}

/* The attempt is over. The text must not live in what is freed here; the current connection, if the
 * attempt got that far, is the caller's to free. */
static MINIRPC_PRINTF(2, 3) void fail(struct mrpc_subchannel *subchannel, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(subchannel->failure, sizeof subchannel->failure, format, args);
	va_end(args);
	mrpc_log(&subchannel->config.loop->log, MINIRPC_LOG_INFO, "%s", subchannel->failure);

	stop_attempt(subchannel);
	subchannel->current = NULL;
	mrpc_timer_set(&subchannel->timer, subchannel->retry_at);
	set_state(subchannel, MINIRPC_TRANSIENT_FAILURE);
}

/* ---- One attempt ---- */

static void on_dialed(void *user, int fd, const struct mrpc_address *address, int error,
		      const char *reason)
{
	struct mrpc_subchannel *subchannel = user;
	const char *colon = NULL;
	int r;

	mrpc_dial_free(subchannel->dial);
	subchannel->dial = NULL;

	if (fd >= 0) {
		r = mrpc_connection_dialed(&subchannel->current, subchannel, fd, address);
		if (r < 0)
			fail(subchannel, "connection failed: %s", mrpc_error_text(r));
		else
			mrpc_timer_set(&subchannel->timer, subchannel->deadline);
		return;
	}
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

static void dial(struct mrpc_subchannel *subchannel, const struct mrpc_address *addresses,
		 size_t count)
{
	int r;

	mrpc_timer_stop(&subchannel->timer); /* the dial keeps the deadline itself */
	r = mrpc_dial(&subchannel->dial, subchannel->config.loop, addresses, count,
		      subchannel->deadline, on_dialed, subchannel);
	if (r < 0)
		fail(subchannel, "connection failed: %s", mrpc_error_text(r));
}

static void on_resolved(void *user, const struct mrpc_address *addresses, size_t count, int error,
			const char *reason)
{
	struct mrpc_subchannel *subchannel = user;
	struct mrpc_resolution *resolution = subchannel->resolution;

	/* What it handed us lives as long as it does. */
	subchannel->resolution = NULL;
	if (error < 0 || count == 0)
		fail(subchannel, "name resolution of %s failed: %s",
		     subchannel->config.target->host,
		     reason != NULL && reason[0] != '\0' ? reason : "no addresses");
	else
		dial(subchannel, addresses, count);
	mrpc_resolution_free(resolution);
}

static void begin_attempt(struct mrpc_task *task)
{
	struct mrpc_subchannel *subchannel = mrpc_container(task, struct mrpc_subchannel, task);
	const struct mrpc_subchannel_config *config = &subchannel->config;
	const struct mrpc_target *target = config->target;
	minirpc_time now = config->loop->now, span, least;
	int r;

	if (subchannel->retry_at > now) {
		mrpc_timer_set(&subchannel->timer, subchannel->retry_at);
		return;
	}

	span = mrpc_backoff_next(&subchannel->backoff);
	least = config->connect_timeout > 0 ? config->connect_timeout : CONNECT_TIMEOUT;
	subchannel->retry_at = mrpc_time_add(now, span);
	subchannel->deadline = mrpc_time_add(now, span > least ? span : least);
	mrpc_timer_set(&subchannel->timer, subchannel->deadline);

	if (target->kind != MRPC_TARGET_DNS) {
		dial(subchannel, target->addresses, target->address_count);
		return;
	}
	r = mrpc_resolve(&subchannel->resolution, config->loop, target->host, target->port,
			 on_resolved, subchannel);
	if (r < 0)
		fail(subchannel, "name resolution of %s failed: %s", target->host,
		     mrpc_error_text(r));
}

static bool is_under_way(const struct mrpc_subchannel *subchannel)
{
	return subchannel->resolution != NULL || subchannel->dial != NULL ||
	       subchannel->current != NULL;
}

static void run_out_of_time(struct mrpc_subchannel *subchannel)
{
	struct mrpc_connection *connection = subchannel->current;

	if (connection == NULL) {
		fail(subchannel, "name resolution of %s failed: no answer in time",
		     subchannel->config.target->host);
		return;
	}
	fail(subchannel, "connection to %s failed: no HTTP/2 SETTINGS in time", connection->peer);
	mrpc_connection_free(connection);
}

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_subchannel *subchannel = mrpc_container(timer, struct mrpc_subchannel, timer);

	(void)now;
	if (is_under_way(subchannel)) {
		run_out_of_time(subchannel);
		return;
	}
	mrpc_turn_wake(&subchannel->config.loop->turn, &subchannel->task);
	set_state(subchannel, MINIRPC_CONNECTING);
}

/* ---- What connections tell ---- */

void mrpc_subchannel_is_ready(struct mrpc_subchannel *subchannel)
{
	mrpc_timer_stop(&subchannel->timer);
	mrpc_backoff_reset(&subchannel->backoff);
	subchannel->failure[0] = '\0';
	mrpc_log(&subchannel->config.loop->log, MINIRPC_LOG_INFO, "connected to %s",
		 subchannel->current->peer);
	set_state(subchannel, MINIRPC_READY);
}

void mrpc_subchannel_lost(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection)
{
	if (subchannel->state != MINIRPC_READY) {
		fail(subchannel, "connection to %s failed: %s", connection->peer,
		     mrpc_connection_reason(connection));
		return;
	}
	mrpc_log(&subchannel->config.loop->log, MINIRPC_LOG_INFO,
		 "connection to %s takes no more calls: %s", connection->peer,
		 mrpc_connection_reason(connection));
	subchannel->current = NULL;
	if (mrpc_conn_counts(connection->conn)->calls_succeeded > 0)
		subchannel->retry_at = 0;
	set_state(subchannel, MINIRPC_IDLE);
}

/* ---- The owner's verbs ---- */

int mrpc_subchannel_init(struct mrpc_subchannel *subchannel,
			 const struct mrpc_subchannel_config *config)
{
	*subchannel = (struct mrpc_subchannel){
		.config = *config,
		.state = MINIRPC_IDLE,
		.task = { .phase = MRPC_STREAM, .run = begin_attempt },
		.retry_at = INT64_MIN,
	};
	mrpc_list_init(&subchannel->connections);
	mrpc_backoff_init(&subchannel->backoff, config->backoff_initial, config->backoff_max,
			  config->seed);
	return mrpc_timer_bind(&subchannel->timer, &config->loop->timers, on_timer);
}

void mrpc_subchannel_clear(struct mrpc_subchannel *subchannel)
{
	struct mrpc_list *node;

	if (subchannel->connections.next == NULL)
		return;
	stop_attempt(subchannel);
	free_current(subchannel);
	while ((node = subchannel->connections.next) != &subchannel->connections)
		mrpc_connection_free(mrpc_container(node, struct mrpc_connection, node));
	mrpc_timer_unbind(&subchannel->timer);
}

void mrpc_subchannel_connect(struct mrpc_subchannel *subchannel)
{
	if (subchannel->state != MINIRPC_IDLE ||
	    subchannel->config.target->kind == MRPC_TARGET_ATTACHED)
		return;
	/* In a task: the caller may be a verb, and must not hear of a failure from inside it. */
	mrpc_turn_wake(&subchannel->config.loop->turn, &subchannel->task);
	set_state(subchannel, MINIRPC_CONNECTING);
}

int mrpc_subchannel_open(struct mrpc_subchannel *subchannel, minirpc_call *call)
{
	if (subchannel->current == NULL)
		return -ESHUTDOWN;
	if (mrpc_authority_forbids(subchannel->current, call))
		return 0;
	return mrpc_conn_open(subchannel->current->conn, call);
}

int mrpc_subchannel_attach(struct mrpc_subchannel *subchannel,
			   const struct minirpc_attach_options *options, minirpc_conn **ret_conn)
{
	struct mrpc_connection *current = subchannel->current;
	int r;

	/* One that has ended, but whose task has not looked yet, makes room at once. */
	if (current != NULL && !mrpc_connection_takes_calls(current))
		mrpc_subchannel_lost(subchannel, current);
	if (subchannel->current != NULL)
		return -EISCONN;
	r = mrpc_connection_attached(&subchannel->current, subchannel, options);
	if (r < 0)
		return r;
	*ret_conn = subchannel->current->host;
	mrpc_subchannel_is_ready(subchannel);
	return 0;
}

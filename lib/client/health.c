/* SPDX-License-Identifier: MIT */
/* Health: a connection that stands is not yet a server that serves [H-4, A17].
 *
 *	                    /grpc.health.v1.Health/Watch
 *	READY of the ------------> CONNECTING ----- SERVING, UNIMPLEMENTED -----> READY
 *	connection                  |     ^                                       |  ^
 *	                 other      |     | next try                    not SERVING  | SERVING
 *	                 status     v     |                                       v  |
 *	                           TRANSIENT_FAILURE <-- the stream ends, nonsense --+
 *
 * The state of a subchannel stays what its connection is. What is drawn here lies over it, for the handles of those
 * policies that look at health: all but pick_first, which may share the subchannel with them while one policy
 * follows the other. So a connection does not end because its server is not healthy, and calls on it run on.
 *
 * The Watch is a call that lies on the connection like any other, without a channel: no pick, no retries, no
 * interceptors, no deadline. Users do not see it among calls. On the wire it is a stream: it takes one of those that
 * the server allows, and keepalive asks as long as it is there [K-1], which is what finds out a server that hangs and
 * cannot say so [A17].
 *
 * A17 begins the next Watch at once after one that was answered, and after a backoff otherwise. Ours waits for the
 * first span of the backoff, from start to start, also after an answer: a stream that lived longer than a second is
 * followed at once, and a server that answers and hangs up is not called in a loop. */
#include "client/health.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/text.h"
#include "client/balancing.h"
#include "client/channel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RESPONSE_MAX 4096u /* it has two bytes */
#define SERVING 1

static struct mrpc_subchannel *subchannel_of(struct mrpc_health *health)
{
	return mrpc_container(health, struct mrpc_subchannel, health);
}

enum minirpc_channel_state mrpc_health_state(const struct mrpc_subchannel *subchannel)
{
	if (subchannel->state != MINIRPC_READY || subchannel->health.service == NULL)
		return subchannel->state;
	return subchannel->health.state;
}

const char *mrpc_health_failure(const struct mrpc_subchannel *subchannel)
{
	if (subchannel->state != MINIRPC_READY || subchannel->health.service == NULL)
		return subchannel->failure;
	return subchannel->health.failure;
}

/* ---- What becomes of it ---- */

static void tell(const struct mrpc_subchannel *subchannel)
{
	for (struct mrpc_list *node = subchannel->handles.next; node != &subchannel->handles;
	     node = node->next) {
		struct minirpc_subchannel *handle =
			mrpc_container(node, struct minirpc_subchannel, sharer);

		if (handle->to->looks_at_health)
			mrpc_turn_wake(&subchannel->config->loop->turn, &handle->task);
	}
}

static void become(struct mrpc_health *health, enum minirpc_channel_state state)
{
	health->state = state;
	if (state == MINIRPC_READY)
		health->failure[0] = '\0';
	tell(subchannel_of(health));
}

static MINIRPC_PRINTF(2, 3) void fail(struct mrpc_health *health, const char *format, ...)
{
	const struct mrpc_subchannel *subchannel = subchannel_of(health);
	char text[MRPC_HEALTH_FAILURE - MRPC_ADDRESS_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(health->failure, sizeof health->failure, "%s: %s",
		 mrpc_subchannel_address(subchannel), text);
	mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_INFO, "%s", health->failure);
	become(health, MINIRPC_TRANSIENT_FAILURE);
}

/* ---- One Watch ---- */

static void drop_call(struct mrpc_health *health)
{
	minirpc_call *call = health->call;

	health->call = NULL;
	if (call != NULL)
		mrpc_call_drop(call);
}

static void try_later(struct mrpc_health *health)
{
	mrpc_timer_set(&health->timer, health->retry_at);
}

static void note_answer(struct mrpc_health *health)
{
	if (health->answered)
		return;
	health->answered = true;
	mrpc_backoff_reset(&health->backoff);
	health->retry_at = mrpc_time_add(health->started, mrpc_backoff_next(&health->backoff));
	mrpc_backoff_reset(&health->backoff);
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	static const char *const names[] = { "UNKNOWN", "SERVING", "NOT_SERVING",
					     "SERVICE_UNKNOWN" };
	struct mrpc_health *health = user;
	const struct mrpc_subchannel *subchannel = subchannel_of(health);
	int32_t status;

	(void)call;
	if (mrpc_health_read(message->data, message->len, &status) < 0) {
		drop_call(health);
		try_later(health);
		fail(health, "what the health check answers is malformed");
		return;
	}
	note_answer(health);
	if (status != SERVING) {
		if (status >= 0 && (size_t)status < sizeof names / sizeof names[0])
			fail(health, "the server reports %s", names[status]);
		else
			fail(health, "the server reports health status %ld", (long)status);
	} else if (health->state != MINIRPC_READY) {
		mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_INFO,
			 "%s: the server reports SERVING", mrpc_subchannel_address(subchannel));
		become(health, MINIRPC_READY);
	}
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct mrpc_health *health = user;
	const struct mrpc_subchannel *subchannel = subchannel_of(health);

	(void)call;
	health->call = NULL;
	if (!mrpc_connection_takes_calls(health->connection))
		return; /* it is lost, and that will be seen */
	if (status->code != MINIRPC_UNIMPLEMENTED) {
		try_later(health);
		fail(health, "the health check ended: %s%s%.200s", minirpc_code_name(status->code),
		     status->message[0] != '\0' ? ": " : "", status->message);
		return;
	}
	health->connection->knows_no_health = true;
	mrpc_log(&subchannel->config->loop->log, MINIRPC_LOG_ERROR,
		 "%s: the server knows no health checks (UNIMPLEMENTED) and counts as healthy",
		 mrpc_subchannel_address(subchannel));
	become(health, MINIRPC_READY);
}

static const struct minirpc_call_events events = { .on_message = on_message, .on_end = on_end };

/* HealthCheckRequest { string service = 1 }, in the call's arena. */
static int send_request(minirpc_call *call, const char *service)
{
	size_t len = strlen(service), at = 0;
	uint8_t *data = mrpc_arena_alloc(&call->arena, len + 6);
	int r;

	if (data == NULL)
		return -ENOMEM;
	if (len > 0) {
		data[at++] = 1 << 3 | 2;
		for (size_t left = len; left > 0; left >>= 7)
			data[at++] = (uint8_t)((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
		memcpy(data + at, service, len);
	}
	r = minirpc_call_send(call, data, at + len);
	return r < 0 ? r : minirpc_call_end(call, NULL);
}

static int open_watch(struct mrpc_health *health)
{
	static const char path[] = "/grpc.health.v1.Health/Watch";
	const struct mrpc_subchannel_config *config = subchannel_of(health)->config;
	struct mrpc_call_config of_call = *config->call;
	minirpc_call *call;
	int r;

	of_call.max_receive_message = RESPONSE_MAX;
	of_call.max_send_message = 0;
	of_call.compression = NULL;
	r = mrpc_call_new(&call, MRPC_CLIENT, &of_call);
	if (r < 0)
		return r;
	mrpc_lane_commit(&call->out); /* no other attempt */
	call->is_ours = true;
	call->flags = MINIRPC_SERVER_STREAMING;
	call->events = &events;
	call->user = health;
	r = mrpc_call_set_path(call, path, sizeof path - 1);
	if (r == 0)
		r = mrpc_call_set_authority(call, config->authority, strlen(config->authority));
	if (r == 0)
		r = send_request(call, health->service);
	if (r == 0)
		r = mrpc_conn_open(health->connection->conn, call);
	if (r < 0)
		mrpc_call_drop(call);
	else
		health->call = call;
	return r;
}

static void ask(struct mrpc_health *health)
{
	minirpc_time now = subchannel_of(health)->config->loop->now;
	int r;

	health->answered = false;
	health->started = now;
	health->retry_at = mrpc_time_add(now, mrpc_backoff_next(&health->backoff));
	r = open_watch(health);
	if (r == -ESHUTDOWN)
		return; /* it is lost, and that will be seen */
	if (r == 0) {
		become(health, MINIRPC_CONNECTING);
		return;
	}
	try_later(health);
	fail(health, "the health check cannot begin: %s", mrpc_error_text(r));
}

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	(void)now;
	ask(mrpc_container(timer, struct mrpc_health, timer));
}

/* ---- Whether there is one ---- */

static bool is_wanted(const struct mrpc_subchannel *subchannel)
{
	if (subchannel->config->health_service == NULL || subchannel->state != MINIRPC_READY ||
	    subchannel->current == NULL)
		return false;
	for (const struct mrpc_list *node = subchannel->handles.next; node != &subchannel->handles;
	     node = node->next)
		if (mrpc_container(node, struct minirpc_subchannel, sharer)->to->looks_at_health)
			return true;
	return false;
}

/* What was not READY when the connection was lost stays TRANSIENT_FAILURE until it is [A62]: it has a failure. */
static void stop(struct mrpc_health *health)
{
	struct mrpc_subchannel *subchannel = subchannel_of(health);

	drop_call(health);
	mrpc_timer_stop(&health->timer);
	if (subchannel->state != MINIRPC_READY && subchannel->failure[0] == '\0')
		snprintf(subchannel->failure, sizeof subchannel->failure, "%s", health->failure);
	health->service = NULL;
	health->connection = NULL;
}

/* For the same reason it begins with the failure that there was before. */
static void begin(struct mrpc_health *health, const char *service, const char *failure)
{
	struct mrpc_subchannel *subchannel = subchannel_of(health);

	health->service = service;
	health->connection = subchannel->current;
	health->state = MINIRPC_CONNECTING;
	snprintf(health->failure, sizeof health->failure, "%.*s", MRPC_HEALTH_FAILURE - 1, failure);
	mrpc_backoff_init(&health->backoff, 0, 0, mrpc_random_next(&subchannel->backoff.random));
	if (health->connection->knows_no_health)
		become(health, MINIRPC_READY);
	else
		ask(health);
}

void mrpc_health_look(struct mrpc_subchannel *subchannel)
{
	struct mrpc_health *health = &subchannel->health;
	const char *service = is_wanted(subchannel) ? subchannel->config->health_service : NULL;
	char failure[MRPC_HEALTH_FAILURE];

	if (service == NULL && health->service == NULL)
		return;
	if (service != NULL && health->service != NULL &&
	    health->connection == subchannel->current && strcmp(service, health->service) == 0) {
		health->service = service; /* of another config */
		return;
	}
	snprintf(failure, sizeof failure, "%.*s", MRPC_HEALTH_FAILURE - 1,
		 mrpc_health_failure(subchannel));
	if (health->service != NULL)
		stop(health);
	if (service != NULL)
		begin(health, service, failure);
	else
		tell(subchannel);
}

int mrpc_health_init(struct mrpc_subchannel *subchannel)
{
	return mrpc_timer_bind(&subchannel->health.timer, &subchannel->config->loop->timers,
			       on_timer);
}

void mrpc_health_clear(struct mrpc_subchannel *subchannel)
{
	struct mrpc_health *health = &subchannel->health;

	if (health->service != NULL)
		stop(health);
	mrpc_timer_unbind(&health->timer);
}

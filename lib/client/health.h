/* SPDX-License-Identifier: MIT */
/* Health: whether a server that is connected says of itself that it serves [H-4]. See health.c. */
#ifndef MRPC_CLIENT_HEALTH_H
#define MRPC_CLIENT_HEALTH_H

#include "base/timers.h"
#include "client/backoff.h"

#include <minirpc/call.h>
#include <minirpc/channel.h>

struct mrpc_connection;
struct mrpc_subchannel;

#define MRPC_HEALTH_FAILURE 384

struct mrpc_health {
	const char *service; /* the service config's; NULL: nobody asks, and nothing below counts */
	struct mrpc_connection *connection; /* whose stream asks */
	minirpc_call *call;                 /* Watch; NULL: none under way */
	enum minirpc_channel_state state;
	bool answered;         /* this call was */
	minirpc_time started;  /* it */
	minirpc_time retry_at; /* the next one may begin, start to start */
	struct mrpc_backoff backoff;
	struct mrpc_timer timer;
	char failure[MRPC_HEALTH_FAILURE]; /* why not READY; "" until it is known */
};

/* Returns 0 or -ENOMEM. clear is harmless without it. */
int mrpc_health_init(struct mrpc_subchannel *subchannel);
void mrpc_health_clear(struct mrpc_subchannel *subchannel);

/* Begins and stops asking: after its state, its current connection, its handles or the service config have
 * changed. Those who look at health are told when that makes a difference. */
void mrpc_health_look(struct mrpc_subchannel *subchannel);

/* What those see who look at health, in place of the connection's. */
enum minirpc_channel_state mrpc_health_state(const struct mrpc_subchannel *subchannel);
const char *mrpc_health_failure(const struct mrpc_subchannel *subchannel);

/* Reads a HealthCheckResponse. Returns 0 or -EINVAL: it is none. */
int mrpc_health_read(const void *data, size_t len, int32_t *ret_status);

#endif

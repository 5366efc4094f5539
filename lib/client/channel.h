/* SPDX-License-Identifier: MIT */
/* Channel: what its files share. See channel.c. */
#ifndef MRPC_CLIENT_CHANNEL_H
#define MRPC_CLIENT_CHANNEL_H

#include "call/call.h"
#include "client/subchannel.h"

#include <minirpc/channel.h>

struct minirpc_channel {
	minirpc_loop *loop;
	bool owns_loop;
	bool freeing;
	minirpc_tls *tls;
	struct mrpc_target target;
	char *authority, *user_agent;
	struct mrpc_compressors compressors;
	struct mrpc_call_config call;
	struct minirpc_conn_limits limits;
	struct minirpc_conn_counts counts; /* every connection counts here too */
	enum minirpc_channel_state state;
	struct mrpc_subchannel subchannel;

	struct mrpc_list waiting; /* calls without a connection */
	struct mrpc_list running; /* calls on one */
	struct mrpc_task task;    /* does for the waiting calls what the state allows */

	struct mrpc_task watch_task;
	enum minirpc_channel_state watch_last;
	void (*watch_fn)(minirpc_channel *channel, void *user);
	void *watch_user;
};

/* For tests: makes the jitter of the backoff replay. */
void mrpc_channel_seed(minirpc_channel *channel, uint64_t seed);

/* ---- calls.c ---- */

/* The task `task`. */
void mrpc_channel_serve(struct mrpc_task *task);

/* Takes the handles of all calls away, without an event. */
void mrpc_channel_drop_calls(minirpc_channel *channel);

#endif

/* SPDX-License-Identifier: MIT */
/* Channel: what its files share. See channel.c. */
#ifndef MRPC_CLIENT_CHANNEL_H
#define MRPC_CLIENT_CHANNEL_H

#include "call/chain.h"
#include "client/balancing.h"
#include "client/config.h"
#include "client/resolving.h"
#include "client/subchannel.h"
#include "client/throttle.h"

#include <minirpc/channel.h>

#define MRPC_UNAVAILABLE_TEXT 1024

struct minirpc_channel {
	minirpc_loop *loop;
	bool owns_loop;
	bool freeing;
	minirpc_tls *tls;
	struct mrpc_target target;
	char *authority, *user_agent;
	struct mrpc_compressors compressors;
	struct mrpc_interceptors interceptors;
	struct mrpc_call_config call;
	struct minirpc_conn_limits limits;
	struct minirpc_keepalive keepalive;
	struct minirpc_conn_counts counts; /* every connection counts here too */
	enum minirpc_channel_state state;

	/* Which servers, see servers.c. */
	struct minirpc_resolving resolving;
	char *target_text, *dns_servers;
	struct mrpc_proxy proxy;
	char failure[512];                /* why the last resolution failed */
	char note[400];                   /* of the last result */
	struct mrpc_endpoints *endpoints; /* the last result; NULL: none since IDLE */
	struct minirpc_balancing *balancing; /* whose picks count; NULL: no result yet */
	struct minirpc_balancing *next;      /* that is to follow it; NULL: none */
	struct minirpc_balancer_use *balancers; /* the user's, a copy; NULL: none */
	char *load_balancing;                   /* NULL: pick_first */
	struct mrpc_subchannel_config subchannel;
	struct mrpc_list subchannels;
	struct mrpc_task follow_task; /* `next` follows */
	uint64_t chance;              /* of balancers, and of the jitter of connects */
	struct mrpc_timer idle_timer;
	minirpc_time idle_timeout, last_over;

	struct mrpc_config *own_config, *resolved_config; /* references; NULL: none */
	struct mrpc_config *config; /* the one of them that is in force */
	bool is_configured;         /* there is something to be said to calls, see configure.c */
	bool has_resolved_config;   /* a result of the resolver was fine, with a config or without */
	bool no_resolver_config, no_retry;
	unsigned max_attempts;
	unsigned connections_cap; /* 0: the default */
	struct minirpc_retry_policy retry_safe; /* max_attempts 0: none */

	struct mrpc_list fresh;   /* calls to be placed by the task */
	struct mrpc_list waiting; /* calls that wait for the next update of the policy */
	struct mrpc_list running; /* calls on a connection, and those whose headers an interceptor has */
	struct mrpc_list resting; /* calls between two attempts, see retry.c */
	struct mrpc_throttle throttle;
	struct mrpc_replay replay;
	uint64_t random; /* of the jitter of retries */
	struct mrpc_task task;

	struct mrpc_task watch_task;
	enum minirpc_channel_state watch_last;
	void (*watch_fn)(minirpc_channel *channel, void *user);
	void *watch_user;
};

/* For tests: makes jitter and choices by chance replay; puts something in place of sockets. Before the channel is
 * used. */
void mrpc_channel_seed(minirpc_channel *channel, uint64_t seed);
void mrpc_channel_set_dialer(minirpc_channel *channel,
			     void (*dialer)(struct mrpc_subchannel *subchannel, void *user),
			     void *user);

/* ---- calls.c ---- */

/* The task `task`. */
void mrpc_channel_serve(struct mrpc_task *task);

/* Takes the handles of all calls away, without an event. */
void mrpc_channel_drop_calls(minirpc_channel *channel);

/* A call wants a connection, again. */
void mrpc_channel_wait(minirpc_channel *channel, minirpc_call *call);

/* Begins with a call that is an attempt of another one, for hedge.c, which hears of its events. Returns 0, or
 * -ENOMEM: it is as before. */
int mrpc_channel_attempt(minirpc_channel *channel, minirpc_call *call);

/* A call wants none for now. */
void mrpc_channel_rest(minirpc_channel *channel, minirpc_call *call);

/* ---- servers.c ---- */

/* channel->loop, tls, user_agent, target must be there. Returns 0, -EINVAL, -ENOMEM; end afterwards in any case,
 * once there are no calls. */
int mrpc_channel_begin_servers(minirpc_channel *channel, const char *target,
			       const struct minirpc_channel_options *options);
/* Before the service config is read. Returns 0, -EINVAL, -ENOMEM. */
int mrpc_channel_take_balancers(minirpc_channel *channel,
				const struct minirpc_channel_options *options);
void mrpc_channel_end_servers(minirpc_channel *channel);

void mrpc_channel_set_state(minirpc_channel *channel, enum minirpc_channel_state state);

/* A policy by its name: one of the user's (NULL: there are none), else a built-in one. NULL: nobody knows it. */
const struct minirpc_balancer_use *mrpc_balancer_find(const struct minirpc_balancer_use *own,
						      const char *name);

/* Resolves, or wakes the policy up; nothing unless IDLE. */
void mrpc_channel_leave_idle(minirpc_channel *channel);

/* Another config counts: perhaps another policy as well. Returns 0 or -ENOMEM: then it stays as it was. */
int mrpc_channel_choose_again(minirpc_channel *channel);

/* For balancing.c: the policy has said what it is. */
void mrpc_channel_balanced(minirpc_channel *channel, struct minirpc_balancing *balancing);

/* Why calls are UNAVAILABLE. */
void mrpc_channel_unavailable(const minirpc_channel *channel, char text[MRPC_UNAVAILABLE_TEXT]);

/* ---- configure.c ---- */

/* Reads what options say. Returns 0, -EINVAL (a mistake; a line in the loop's log names it), -ENOMEM; forget
 * afterwards in any case. */
int mrpc_channel_configure(minirpc_channel *channel, const struct minirpc_channel_options *options);
void mrpc_channel_forget_config(minirpc_channel *channel);

/* Of one subchannel, within the channel's cap [B-5]. At least 1. */
unsigned mrpc_channel_max_connections(const minirpc_channel *channel);

/* What the config in force says of health checks counts for all servers. While the config before lives. */
void mrpc_channel_check_health(minirpc_channel *channel);

/* What came with the resolver's result; NULL: it has no service config. Returns 0; -EINVAL (refused, and
 * logged: what an earlier result said stays in force), -ENODATA (the same, but there is no earlier result:
 * the channel cannot be used yet, [L-8]), -ENOMEM. */
int mrpc_channel_set_resolved_config(minirpc_channel *channel, const char *json);

/* When is_configured: gives a fresh client's call its limits, wait_for_ready, retry, hedging and (without a
 * reference yet) config. Returns the timeout that counts, of the call's own, 0 for none, and the
 * config's [D-7]. */
minirpc_time mrpc_channel_configure_call(minirpc_channel *channel, minirpc_call *call,
					 minirpc_time timeout);

#endif

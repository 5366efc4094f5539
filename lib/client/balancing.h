/* SPDX-License-Identifier: MIT */
/* Balancing: a load balancing policy at work for a channel, and the subchannels as it sees them. See
 * balancing.c; the policies themselves, written on minirpc/balancer.h only, are pick_first.c, round_robin.c
 * and least_request.c. */
#ifndef MRPC_CLIENT_BALANCING_H
#define MRPC_CLIENT_BALANCING_H

#include "base/list.h"
#include "base/turn.h"
#include "client/backoff.h"
#include "client/resolving.h"
#include "client/subchannel.h"

#include <minirpc/balancer.h>

#define MRPC_BALANCING_REASON 512

/* What a policy holds. Once given back it stays among `spare` for the next one, so that a picker which still
 * answers it hits no freed memory. */
struct minirpc_subchannel {
	struct mrpc_list node;   /* in to->held, or to->spare */
	struct mrpc_list sharer; /* in under->handles */
	struct mrpc_task task;   /* tells the state */
	minirpc_balancing *to;
	struct mrpc_subchannel *under; /* NULL: given back */
	unsigned life;                 /* how often it has been given back */
	void *user;
};

struct minirpc_balancing {
	minirpc_channel *channel;
	const struct minirpc_balancer *policy;
	void *policy_user, *self;
	char *config;                    /* its JSON */
	bool started;                    /* `start` has succeeded, stop is owed */
	bool stopped;                    /* nothing is called any more */
	bool looks_at_health;            /* [H-4] */
	bool updated;                    /* it has said what it is */
	bool exit_idle, resolver_failed; /* to be told */
	unsigned refs;                   /* the channel's, and calls under way into the policy */
	enum minirpc_channel_state state;
	char reason[MRPC_BALANCING_REASON];
	struct mrpc_endpoints *endpoints; /* to be told; NULL: none */
	struct mrpc_list held, spare, picked;
	struct mrpc_task task;
	struct mrpc_backoff backoff; /* of lists that it could not take */
	struct mrpc_timer timer;
};

/* One call that a policy with on_call_over wants to hear of, or that waits for room. */
struct mrpc_picked {
	struct mrpc_list node; /* in balancing->picked */
	struct mrpc_task task; /* tells it */
	struct mrpc_waiter waiter;
	struct minirpc_balancing *balancing;
	minirpc_call *call; /* NULL: it is over */
	struct minirpc_subchannel *handle;
	unsigned life;
	enum minirpc_code code;
};

/* The policy begins in a task. Returns 0 or -ENOMEM. */
int mrpc_balancing_new(struct minirpc_balancing **ret_balancing, minirpc_channel *channel,
		       const struct minirpc_balancer_use *use, const char *config);
/* Calls stop; all that it held is given back. NULL is fine. */
void mrpc_balancing_stop(struct minirpc_balancing *balancing);

bool mrpc_balancing_is(const struct minirpc_balancing *balancing,
		       const struct minirpc_balancer_use *use, const char *config);

/* To be told, in a task. push copies; returns 0 or -ENOMEM: nothing has changed. */
int mrpc_balancing_push(struct minirpc_balancing *balancing,
			const struct mrpc_endpoints *endpoints);
void mrpc_balancing_resolver_failed(struct minirpc_balancing *balancing);
void mrpc_balancing_exit_idle(struct minirpc_balancing *balancing);

/* For channels whose connections the host brings: one subchannel without an address, no task. */
extern const struct minirpc_balancer mrpc_attached_balancer;
int mrpc_balancing_begin_attached(struct minirpc_balancing *balancing);

/* Asks the policy and puts the call where it says. COMPLETE: it is on a connection, waits for room on one, or is over. QUEUE: it has to
 * wait for the next update. `failed`: -ENOMEM, and nothing was done. */
enum minirpc_pick mrpc_balancing_place(struct minirpc_balancing *balancing, minirpc_call *call,
				       int *ret_failed);

/* The attempt that was placed is over. Harmless when nobody wants to know. */
void mrpc_balancing_call_over(minirpc_call *call, enum minirpc_code code);

/* All subchannels of a channel have these for on_change and on_returned, and the channel for user. */
void mrpc_balancing_on_change(struct mrpc_subchannel *subchannel, void *user);
void mrpc_balancing_on_returned(struct mrpc_waiter *waiter, void *user);

/* ---- The policies ---- */

extern const struct minirpc_balancer mrpc_pick_first;
extern const struct minirpc_balancer mrpc_round_robin;
extern const struct minirpc_balancer mrpc_least_request;

#endif

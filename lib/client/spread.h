/* SPDX-License-Identifier: MIT */
/* Spread: what policies have in common that keep a connection to every server: round_robin, least_request. See
 * spread.c. */
#ifndef MRPC_CLIENT_SPREAD_H
#define MRPC_CLIENT_SPREAD_H

#include <minirpc/balancer.h>

struct mrpc_spread {
	minirpc_balancing *to;
	enum minirpc_channel_state state; /* that we said */
	minirpc_subchannel **all;         /* one for each endpoint */
	size_t count;
	minirpc_subchannel **ready; /* those that take calls */
	size_t ready_count;
	size_t next;     /* round_robin: whose turn it is */
	uint32_t choice; /* least_request: how many are compared */
};

/* Returns 0 or -ENOMEM. */
int mrpc_spread_start(minirpc_balancing *to, void **ret_self);

/* The members of struct minirpc_balancer, for a self that is a struct mrpc_spread. */
void mrpc_spread_stop(void *self);
int mrpc_spread_on_endpoints(void *self, const struct minirpc_endpoint *endpoints, size_t count);
void mrpc_spread_on_resolver_error(void *self, const char *reason);
void mrpc_spread_on_state(void *self, minirpc_subchannel *subchannel,
			  enum minirpc_channel_state state);
void mrpc_spread_exit_idle(void *self);

/* The answer when no server is ready. */
static inline enum minirpc_pick mrpc_spread_pick_none(const struct mrpc_spread *spread)
{
	return spread->state == MINIRPC_TRANSIENT_FAILURE ? MINIRPC_PICK_FAIL : MINIRPC_PICK_QUEUE;
}

#endif

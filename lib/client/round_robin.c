/* SPDX-License-Identifier: MIT */
/* round_robin: every server that is ready in turn [L-5]. */
#include "client/balancing.h"
#include "client/spread.h"

static int start(minirpc_balancing *to, const char *config, void *user, void **ret_self)
{
	(void)config; /* it has no fields */
	(void)user;
	return mrpc_spread_start(to, ret_self);
}

static enum minirpc_pick pick(void *self, const struct minirpc_pick_args *args,
			      minirpc_subchannel **ret_subchannel)
{
	struct mrpc_spread *spread = self;

	(void)args;
	if (spread->ready_count == 0)
		return mrpc_spread_pick_none(spread);
	if (spread->next >= spread->ready_count)
		spread->next = 0;
	*ret_subchannel = spread->ready[spread->next++];
	return MINIRPC_PICK_COMPLETE;
}

const struct minirpc_balancer mrpc_round_robin = {
	.name = "round_robin",
	.start = start,
	.stop = mrpc_spread_stop,
	.on_endpoints = mrpc_spread_on_endpoints,
	.on_resolver_error = mrpc_spread_on_resolver_error,
	.on_state = mrpc_spread_on_state,
	.pick = pick,
	.exit_idle = mrpc_spread_exit_idle,
};

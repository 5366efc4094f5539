/* SPDX-License-Identifier: MIT */
/* least_request: of a few servers chosen by chance the one with the fewest calls open [L-6, A48]. A choice of
 * two does nearly all that looking at every server would do, and two clients do not run after the same
 * least busy server. */
#include "client/balancing.h"
#include "client/policy_config.h"
#include "client/spread.h"

#include <errno.h>

#define CHOICE 2u

static int start(minirpc_balancing *to, const char *config, void *user, void **ret_self)
{
	uint32_t choice = CHOICE;
	struct mrpc_spread *spread;
	int r;

	(void)user;
	r = mrpc_policy_config_u32(config, "choiceCount", &choice);
	if (r < 0)
		return r;
	if (choice < MRPC_CHOICE_MIN)
		return -EINVAL;
	r = mrpc_spread_start(to, ret_self);
	if (r < 0)
		return r;
	spread = *ret_self;
	spread->choice = choice < MRPC_CHOICE_MAX ? choice : MRPC_CHOICE_MAX; /* [A48] */
	return 0;
}

static enum minirpc_pick pick(void *self, const struct minirpc_pick_args *args,
			      minirpc_subchannel **ret_subchannel)
{
	struct mrpc_spread *spread = self;
	size_t least = SIZE_MAX;

	(void)args;
	if (spread->ready_count == 0)
		return mrpc_spread_pick_none(spread);
	for (uint32_t i = 0; i < spread->choice; i++) {
		size_t at = (size_t)(minirpc_balancing_random(spread->to) % spread->ready_count);
		size_t open = minirpc_subchannel_open_calls(spread->ready[at]);

		if (open < least) {
			least = open;
			*ret_subchannel = spread->ready[at];
		}
	}
	return MINIRPC_PICK_COMPLETE;
}

const struct minirpc_balancer mrpc_least_request = {
	.name = "least_request",
	.start = start,
	.stop = mrpc_spread_stop,
	.on_endpoints = mrpc_spread_on_endpoints,
	.on_resolver_error = mrpc_spread_on_resolver_error,
	.on_state = mrpc_spread_on_state,
	.pick = pick,
	.exit_idle = mrpc_spread_exit_idle,
};

/* SPDX-License-Identifier: MIT */
/* Spread: a connection to every server, kept up [L-5].
 *
 *	any READY > any CONNECTING > any IDLE > TRANSIENT_FAILURE
 *
 * A server that was lost is connected to again at once. One that could not be reached counts as
 * TRANSIENT_FAILURE until it is READY, also while it is tried again [A62]: that is one which has a failure and is
 * not READY. */
#include "client/spread.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

static bool has_failed(const minirpc_subchannel *subchannel)
{
	return minirpc_subchannel_failure(subchannel)[0] != '\0';
}

static enum minirpc_channel_state state_of(const minirpc_subchannel *subchannel)
{
	enum minirpc_channel_state state = minirpc_subchannel_state(subchannel);

	return state != MINIRPC_READY && has_failed(subchannel) ? MINIRPC_TRANSIENT_FAILURE : state;
}

/* The state of all, and who is ready. */
static enum minirpc_channel_state add_up(struct mrpc_spread *spread)
{
	bool connecting = false, idle = false;

	spread->ready_count = 0;
	for (size_t i = 0; i < spread->count; i++)
		switch (state_of(spread->all[i])) {
		case MINIRPC_READY:
			spread->ready[spread->ready_count++] = spread->all[i];
			break;
		case MINIRPC_CONNECTING:
			connecting = true;
			break;
		case MINIRPC_IDLE:
			idle = true;
			break;
		case MINIRPC_TRANSIENT_FAILURE:
		case MINIRPC_SHUTDOWN:
			break;
		}
	if (spread->ready_count > 0)
		return MINIRPC_READY;
	if (connecting)
		return MINIRPC_CONNECTING;
	return idle ? MINIRPC_IDLE : MINIRPC_TRANSIENT_FAILURE;
}

/* `why`: the failure that was heard last; NULL: any of those there are. */
static void say(struct mrpc_spread *spread, const char *why)
{
	spread->state = add_up(spread);
	for (size_t i = 0; i < spread->count && why == NULL; i++)
		if (has_failed(spread->all[i]))
			why = minirpc_subchannel_failure(spread->all[i]);
	/* A thousand clients that hear of a new server must not all begin with the same one. */
	if (spread->ready_count > 0)
		spread->next = (size_t)(minirpc_balancing_random(spread->to) % spread->ready_count);
	minirpc_balancing_update(spread->to, spread->state, why);
}

static void connect_idle(struct mrpc_spread *spread)
{
	for (size_t i = 0; i < spread->count; i++)
		minirpc_subchannel_connect(spread->all[i]);
}

static void free_all(minirpc_subchannel **all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		minirpc_subchannel_free(all[i]);
	mrpc_free(all);
}

static void replace(struct mrpc_spread *spread, minirpc_subchannel **all,
		    minirpc_subchannel **ready, size_t count)
{
	minirpc_subchannel **before = spread->all;
	size_t count_before = spread->count;

	mrpc_free(spread->ready);
	spread->all = all;
	spread->ready = ready;
	spread->count = count;
	spread->ready_count = 0;
	free_all(before, count_before);
}

/* The new ones first: those that are in both lists keep their connection. */
static int make(struct mrpc_spread *spread, const struct minirpc_endpoint *endpoints, size_t count)
{
	minirpc_subchannel **all = mrpc_zalloc(count * sizeof *all);
	minirpc_subchannel **ready = mrpc_zalloc(count * sizeof *ready);
	int r = all == NULL || ready == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = minirpc_subchannel_new(&all[i], spread->to, &endpoints[i]);
	if (r < 0) {
		if (all != NULL)
			free_all(all, count);
		mrpc_free(ready);
		return r;
	}
	replace(spread, all, ready, count);
	return 0;
}

int mrpc_spread_on_endpoints(void *self, const struct minirpc_endpoint *endpoints, size_t count)
{
	struct mrpc_spread *spread = self;
	int r;

	if (count == 0) {
		replace(spread, NULL, NULL, 0);
		say(spread, "the name has no servers");
		minirpc_balancing_resolve_again(spread->to);
		return 0;
	}
	r = make(spread, endpoints, count);
	if (r < 0)
		return r;
	connect_idle(spread);
	say(spread, NULL);
	return 0;
}

void mrpc_spread_on_resolver_error(void *self, const char *reason)
{
	struct mrpc_spread *spread = self;

	if (spread->count == 0)
		say(spread, reason);
}

void mrpc_spread_on_state(void *self, minirpc_subchannel *subchannel,
			  enum minirpc_channel_state state)
{
	struct mrpc_spread *spread = self;

	if (state == MINIRPC_IDLE)
		minirpc_subchannel_connect(subchannel);
	if (state == MINIRPC_TRANSIENT_FAILURE ||
	    (state == MINIRPC_IDLE && !has_failed(subchannel)))
		minirpc_balancing_resolve_again(spread->to);
	say(spread,
	    state == MINIRPC_TRANSIENT_FAILURE ? minirpc_subchannel_failure(subchannel) : NULL);
}

void mrpc_spread_exit_idle(void *self)
{
	connect_idle(self);
}

int mrpc_spread_start(minirpc_balancing *to, void **ret_self)
{
	struct mrpc_spread *spread = mrpc_alloc(sizeof *spread);

	if (spread == NULL)
		return -ENOMEM;
	*spread = (struct mrpc_spread){ .to = to, .state = MINIRPC_CONNECTING };
	*ret_self = spread;
	return 0;
}

void mrpc_spread_stop(void *self)
{
	struct mrpc_spread *spread = self;

	replace(spread, NULL, NULL, 0);
	mrpc_free(spread);
}

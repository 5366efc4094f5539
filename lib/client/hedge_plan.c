/* SPDX-License-Identifier: MIT */
/* Hedge, the plan: which attempt is made, and when.
 *
 * Hedging [R-8, A6]:
 *
 *	time      0        delay     2 delay
 *	          |          |          |
 *	attempt 0 ------------------------->         the first response headers, OK, or a fatal status:
 *	attempt 1            -------------->         that attempt is chosen, the others are cancelled
 *	attempt 2               ^-------->
 *	                        a non-fatal failure: the next one goes out at once, those behind it
 *	                        follow at the delay
 *
 *	pushback n >= 0: the next one goes out after exactly n ms; else, or when the throttle says so: there
 *	are no more. When nothing is under way and nothing will be, the call ends as the last attempt did.
 *
 * Without hedging there is one attempt at a time, and what follows it is retry.c's decision. */
#include "client/hedge.h"

#include "client/channel.h"

/* ---- One after the other ---- */

static void again(struct mrpc_hedge *hedge)
{
	struct mrpc_hedge_attempt *attempt = &hedge->attempts[0];

	attempt->previous++;
	hedge->channel->counts.retries++;
	if (mrpc_hedge_begin(attempt) < 0)
		mrpc_hedge_fail(hedge);
}

static void retry_ended(struct mrpc_hedge_attempt *attempt, const struct minirpc_status *status)
{
	struct mrpc_hedge *hedge = attempt->hedge;
	struct mrpc_retry_plan *plan = hedge->call->retry == NULL ? NULL : &hedge->plan;
	minirpc_time span = 0;

	if (!mrpc_retry_plan_next(plan, hedge->channel, status, &attempt->call->in_trailers,
				  &span)) {
		mrpc_hedge_finish(hedge, attempt, status);
		return;
	}
	mrpc_hedge_note(attempt, status, false);
	if (span == 0) {
		again(hedge);
		return;
	}
	hedge->call->resting = true;
	mrpc_timer_set(&hedge->timer, mrpc_time_add(*hedge->call->place.now, span));
}

/* ---- Several at once ---- */

static bool has_more(const struct mrpc_hedge *hedge)
{
	return !hedge->no_more && hedge->begun < hedge->count;
}

/* Whether the next one may go out, which is what the throttle says; if not there are no more. */
static bool may_hedge(struct mrpc_hedge *hedge)
{
	if (!has_more(hedge))
		return false;
	if (mrpc_throttle_allows(&hedge->channel->throttle))
		return true;
	hedge->channel->counts.throttled++;
	hedge->no_more = true;
	return false;
}

/* Returns 0 or -ENOMEM. */
static int next(struct mrpc_hedge *hedge)
{
	struct mrpc_hedge_attempt *attempt = &hedge->attempts[hedge->begun];
	int r;

	attempt->previous = hedge->begun;
	r = mrpc_hedge_begin(attempt);
	if (r < 0)
		return r;
	if (hedge->begun++ > 0)
		hedge->channel->counts.hedges++;
	return 0;
}

/* The next one now, and its followers when it is their time. An attempt for which there is no memory is left
 * out while others are under way. Returns 0, or -ENOMEM when none is. */
static int next_and_so_on(struct mrpc_hedge *hedge)
{
	minirpc_time delay = hedge->call->hedging->delay;
	int r = next(hedge);

	while (r == 0 && delay == 0 && may_hedge(hedge))
		r = next(hedge);
	if (r < 0)
		hedge->no_more = true;
	else if (has_more(hedge))
		mrpc_timer_set(&hedge->timer, mrpc_time_add(*hedge->call->place.now, delay));
	return mrpc_hedge_under_way(hedge) > 0 ? 0 : r;
}

static bool is_fatal(const struct mrpc_hedge *hedge, enum minirpc_code code)
{
	return (unsigned)code >= 32 || (hedge->call->hedging->codes & MINIRPC_CODE(code)) == 0;
}

static void hedge_ended(struct mrpc_hedge_attempt *attempt, const struct minirpc_status *status)
{
	struct mrpc_hedge *hedge = attempt->hedge;
	minirpc_channel *channel = hedge->channel;
	minirpc_time span = 0;
	enum mrpc_pushback pushback = mrpc_pushback_read(&attempt->call->in_trailers, &span);
	bool fatal = is_fatal(hedge, status->code);

	if (!fatal || pushback == MRPC_PUSHBACK_NEVER)
		mrpc_throttle_failed(&channel->throttle);
	if (!fatal && pushback != MRPC_PUSHBACK_NONE && has_more(hedge))
		channel->counts.pushed_back++;
	if (pushback == MRPC_PUSHBACK_NEVER)
		hedge->no_more = true;
	if (fatal || (!may_hedge(hedge) && mrpc_hedge_under_way(hedge) == 1)) {
		mrpc_hedge_finish(hedge, attempt, status);
		return;
	}
	mrpc_hedge_note(attempt, status, false);
	if (!has_more(hedge)) {
		mrpc_timer_stop(&hedge->timer);
	} else if (pushback == MRPC_PUSHBACK_AFTER) {
		hedge->call->resting = mrpc_hedge_under_way(hedge) == 0;
		mrpc_timer_set(&hedge->timer, mrpc_time_add(*hedge->call->place.now, span));
	} else if (next_and_so_on(hedge) < 0) {
		mrpc_hedge_fail(hedge);
	}
}

/* ---- Both ---- */

int mrpc_hedge_plan_begin(struct mrpc_hedge *hedge)
{
	if (hedge->call->hedging == NULL)
		return mrpc_hedge_begin(&hedge->attempts[0]);
	return next_and_so_on(hedge);
}

/* As in calls.c. */
static bool starts_over(struct mrpc_hedge_attempt *attempt)
{
	struct mrpc_hedge *hedge = attempt->hedge;

	if (!attempt->call->unprocessed)
		return false;
	if (attempt->call->never_left)
		return true;
	if (hedge->refused_once || hedge->last.code != MINIRPC_OK)
		return false;
	hedge->refused_once = true;
	return true;
}

void mrpc_hedge_plan_ended(struct mrpc_hedge_attempt *attempt, const struct minirpc_status *status)
{
	struct mrpc_hedge *hedge = attempt->hedge;

	if (hedge->winner == attempt || status->code == MINIRPC_OK || attempt->call->dropped) {
		mrpc_hedge_finish(hedge, attempt, status);
	} else if (starts_over(attempt)) {
		mrpc_hedge_note(attempt, status, true);
		hedge->channel->counts.transparent_retries++;
		if (mrpc_hedge_begin(attempt) < 0)
			mrpc_hedge_fail(hedge);
	} else if (hedge->call->hedging != NULL) {
		hedge_ended(attempt, status);
	} else {
		retry_ended(attempt, status);
	}
}

void mrpc_hedge_plan_ring(struct mrpc_hedge *hedge)
{
	if (hedge->call->hedging == NULL) {
		again(hedge);
		return;
	}
	if (may_hedge(hedge)) {
		if (next_and_so_on(hedge) < 0)
			mrpc_hedge_fail(hedge);
	} else if (mrpc_hedge_under_way(hedge) == 0) {
		mrpc_hedge_finish(hedge, NULL, &hedge->last);
	}
}

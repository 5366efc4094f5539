/* SPDX-License-Identifier: MIT */
/* Retry: the life of a call that has a policy.
 *
 *	              +------------------- waiting <------------------+
 *	              |                   for a connection             |
 *	   attach     v                                                | timer, or at once
 *	           running ---- failed, and worth another try ----> resting
 *	              |                                                |
 *	              | headers, OK, or not worth it                   | deadline, cancel, parent
 *	              v                                                v
 *	           committed ------------------> over <----------------+
 *
 * A call that rests is in a list of its own, so that a state of the channel does not touch it: not
 * among those that wait (it would go out too early, or be failed for a connection it does not want
 * yet), and not among those on a connection. Its requests stay in the out lane, rewound.
 *
 * The call's deadline runs on meanwhile. A retry that would begin after it never does: the call
 * rests until the deadline ends it with DEADLINE_EXCEEDED, as in grpc-go.
 *
 * In order, as grpc-go has it: what the server forbids; what the policy does not list; tokens; the
 * number of attempts. A failure that could be retried costs its token also when there are no attempts
 * left. */
#include "client/retry.h"

#include "client/backoff.h"
#include "client/channel.h"

#include <errno.h>
#include <string.h>

/* ---- What servers say ---- */

/* -?[0-9]+, and fits into 32 bits [R-5]. */
static bool parse(const char *text, int32_t *ret_value)
{
	bool minus = *text == '-';
	int64_t value = 0;

	if (minus)
		text++;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (*text - '0');
		if (value > INT32_MAX)
			return false;
	}
	*ret_value = (int32_t)(minus ? -value : value);
	return true;
}

enum mrpc_pushback mrpc_pushback_read(const struct minirpc_metadata *trailers,
				      minirpc_time *ret_span)
{
	static const char key[] = "grpc-retry-pushback-ms";
	const struct minirpc_field *field = minirpc_metadata_find(trailers, key, NULL);
	int32_t ms;

	if (field == NULL)
		return MRPC_PUSHBACK_NONE;
	/* Two of them are no number either. */
	if (minirpc_metadata_find(trailers, key, field) != NULL || !parse(field->value, &ms) ||
	    ms < 0)
		return MRPC_PUSHBACK_NEVER;
	*ret_span = MINIRPC_MS(ms);
	return MRPC_PUSHBACK_AFTER;
}

/* ---- The plan ---- */

/* min(initial x multiplier^steps, max) x random(0.8, 1.2). */
static minirpc_time backoff(struct mrpc_retry_plan *plan, minirpc_channel *channel)
{
	const struct minirpc_retry_policy *policy = plan->policy;
	double span = (double)policy->initial_backoff, max = (double)policy->max_backoff;

	for (unsigned i = 0; i < plan->steps && span < max; i++)
		span *= policy->backoff_multiplier;
	plan->steps++;
	return mrpc_jitter(&channel->random, span < max ? (minirpc_time)span : policy->max_backoff);
}

static bool lists(const struct minirpc_retry_policy *policy, enum minirpc_code code)
{
	return (unsigned)code < 32 && (policy->codes & MINIRPC_CODE(code)) != 0;
}

bool mrpc_retry_plan_next(struct mrpc_retry_plan *plan, minirpc_channel *channel,
			  const struct minirpc_status *status,
			  const struct minirpc_metadata *trailers, minirpc_time *ret_span)
{
	enum mrpc_pushback pushback = mrpc_pushback_read(trailers, ret_span);
	bool is_last = plan == NULL || plan->attempts >= plan->policy->max_attempts;

	if (pushback == MRPC_PUSHBACK_NEVER) {
		if (!is_last && lists(plan->policy, status->code))
			channel->counts.pushed_back++;
		mrpc_throttle_failed(&channel->throttle);
		return false;
	}
	if (plan == NULL || !lists(plan->policy, status->code))
		return false;
	mrpc_throttle_failed(&channel->throttle);
	if (is_last)
		return false;
	if (!mrpc_throttle_allows(&channel->throttle)) {
		channel->counts.throttled++;
		return false;
	}
	if (pushback == MRPC_PUSHBACK_AFTER) {
		channel->counts.pushed_back++;
		plan->steps = 0;
	} else {
		*ret_span = backoff(plan, channel);
	}
	plan->attempts++;
	return true;
}

/* ---- The call ---- */

/* In the call's arena, made when its first attempt has failed: a call that succeeds at once pays nothing
 * for its policy. */
struct mrpc_retry {
	struct mrpc_retry_plan plan;
	struct mrpc_timer timer;
	minirpc_call *call;
};

static void try_again(minirpc_call *call)
{
	minirpc_channel *channel = call->owner;

	call->resting = false;
	call->attempt_started = *call->place.now;
	call->previous_attempts++;
	channel->counts.retries++;
	mrpc_channel_wait(channel, call);
}

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	const struct mrpc_retry *retry = mrpc_container(timer, struct mrpc_retry, timer);

	(void)now;
	if (!retry->call->gone)
		try_again(retry->call);
}

/* NULL when there is no memory: then the call is not repeated. */
static struct mrpc_retry *begin(minirpc_call *call)
{
	struct mrpc_retry *retry = call->retrying;

	if (retry != NULL)
		return retry;
	retry = mrpc_arena_alloc(&call->arena, sizeof *retry);
	if (retry == NULL ||
	    mrpc_timer_bind(&retry->timer, call->deadline_timer.bound, on_timer) < 0)
		return NULL;
	retry->plan = (struct mrpc_retry_plan){ .policy = call->retry, .attempts = 1 };
	retry->call = call;
	call->retrying = retry;
	return retry;
}

void mrpc_retry_clear(minirpc_call *call)
{
	if (call->retrying == NULL)
		return;
	mrpc_timer_unbind(&call->retrying->timer);
	call->retrying = NULL;
}

bool mrpc_retry_after(minirpc_call *call, const struct minirpc_status *status)
{
	minirpc_channel *channel = call->owner;
	struct mrpc_retry *retry = NULL;
	minirpc_time span = 0;

	if (call->retry != NULL)
		retry = begin(call);
	else if (!mrpc_throttle_is_set(&channel->throttle))
		return false;
	if (!mrpc_retry_plan_next(retry == NULL ? NULL : &retry->plan, channel, status,
				  &call->in_trailers, &span))
		return false;
	mrpc_call_note_attempt(call, status, false);
	if (span == 0) {
		try_again(call);
		return true;
	}
	call->resting = true;
	mrpc_channel_rest(channel, call);
	mrpc_timer_set(&retry->timer, mrpc_time_add(*call->place.now, span));
	return true;
}

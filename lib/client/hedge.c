/* SPDX-License-Identifier: MIT */
/* Hedge: a transport made of calls.
 *
 *	                          +--> attempt 0: a call with lanes, interceptors, a connection
 *	user <--> the call <--> hedge
 *	                          +--> attempt 1: another one, on another connection if the balancer likes
 *
 * The user's call is attached to the hedge as others are to a stream. Each attempt is a client's call like
 * any other, which waits for a connection, is balanced, refused, reset by itself; it has no handle that
 * anybody knows, and its events are ours.
 *
 * Outward: see hedge_out.c.
 *
 * Inward: nothing but an attempt's end is of interest until one is chosen, by the first response headers or
 * by an end that is final. Its messages are then pushed into the call's in lane as they are, still compressed
 * if they came so, and with the flow-control credit that is due for them: it goes back to the attempt's
 * stream when the user has taken them [N-2]. While some are untaken the attempt's in lane counts as lent, and
 * when many are the attempt is paused: then they stay where the stream sees them.
 *
 * The hedge lies in the call's arena. Either the call lets go of it (cancel, deadline), or it lets go of the
 * call when it knows the end. Attempts that are not chosen are cancelled. */
#include "client/hedge.h"

#include "base/alloc.h"
#include "call/chain.h"
#include "call/deliver.h"
#include "client/channel.h"

#include <errno.h>
#include <string.h>

/* So many bytes in the call's in lane that the user has not taken: the attempt pauses. */
#define AHEAD 16384u

/* ---- Which calls ---- */

static size_t count_per_attempt(const struct minirpc_use *uses, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += uses[i].interceptor->per_attempt;
	return n;
}

int mrpc_hedge_look(minirpc_channel *channel, minirpc_call *call, const struct minirpc_use *own)
{
	struct minirpc_use *kept;
	size_t count = 0, mine;

	while (own != NULL && own[count].interceptor != NULL)
		count++;
	mine = count_per_attempt(own, count);
	if (mine == 0 &&
	    count_per_attempt(channel->interceptors.uses, channel->interceptors.count) == 0)
		return 0;
	call->carried = true;
	call->late_compression = true;
	if (mine == 0)
		return 0;
	kept = mrpc_arena_alloc(&call->arena, (mine + 1) * sizeof *kept);
	if (kept == NULL)
		return -ENOMEM;
	call->attempt_uses = kept;
	for (size_t i = 0; i < count; i++)
		if (own[i].interceptor->per_attempt)
			*kept++ = own[i];
	return 0;
}

/* ---- The end of attempts, and ours ---- */

static void let_go(struct mrpc_hedge_attempt *attempt)
{
	minirpc_call *call = attempt->call;

	attempt->call = NULL;
	call->relay = NULL;
	mrpc_call_unref(call);
}

static void cancel(struct mrpc_hedge_attempt *attempt)
{
	minirpc_call *call = attempt->call;

	call->relay = NULL;
	mrpc_call_drop(call);
	let_go(attempt);
}

/* What is seen of the connection; the text outlives it. */
static void show_peer(struct mrpc_hedge_attempt *attempt)
{
	minirpc_call *call = attempt->hedge->call;

	call->peer = attempt->call->peer;
	call->peer = mrpc_call_keep_peer(call);
	call->attempt_started = attempt->started;
}

void mrpc_hedge_note(struct mrpc_hedge_attempt *attempt, const struct minirpc_status *status,
		     bool transparent)
{
	struct mrpc_hedge *hedge = attempt->hedge;
	minirpc_call *call = hedge->call;

	show_peer(attempt);
	mrpc_call_note_attempt(call, status, transparent);
	if (!transparent)
		mrpc_call_keep_status(call, &hedge->last, status);
	let_go(attempt);
}

static void cancel_others(struct mrpc_hedge *hedge, const struct mrpc_hedge_attempt *winner)
{
	static const struct minirpc_status lost = { .code = MINIRPC_CANCELLED,
						    .message = "another attempt was chosen" };

	for (unsigned i = 0; i < hedge->count; i++) {
		struct mrpc_hedge_attempt *attempt = &hedge->attempts[i];

		if (attempt == winner || attempt->call == NULL)
			continue;
		attempt->call->relay = NULL;
		mrpc_call_drop(attempt->call);
		mrpc_hedge_note(attempt, &lost, false);
	}
}

/* Nothing of it runs any more; attempts are the caller's. */
static void stop(struct mrpc_hedge *hedge)
{
	mrpc_task_sleep(&hedge->task);
	mrpc_timer_unbind(&hedge->timer);
	mrpc_hedge_drop_kept(hedge, NULL);
	hedge->call = NULL;
}

static int copy_metadata(struct minirpc_metadata *to, const struct minirpc_metadata *from)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->count; i++) {
		const struct minirpc_field *field = &from->fields[i];

		r = mrpc_metadata_add(to, field->key, strlen(field->key), field->value, field->len);
	}
	return r;
}

/* The call lets go: the last attempt under way is the one that ended so. */
static void on_detach(void *transport, struct minirpc_call *call)
{
	struct mrpc_hedge *hedge = transport;
	struct mrpc_hedge_attempt *last = NULL;

	(void)call;
	for (unsigned i = 0; i < hedge->count; i++)
		if (hedge->attempts[i].call != NULL)
			last = &hedge->attempts[i];
	cancel_others(hedge, last);
	if (last != NULL) {
		show_peer(last);
		cancel(last);
	}
	stop(hedge);
}

void mrpc_hedge_finish(struct mrpc_hedge *hedge, struct mrpc_hedge_attempt *attempt,
		       const struct minirpc_status *status)
{
	minirpc_call *call = hedge->call;
	bool abrupt = false;

	cancel_others(hedge, attempt);
	if (attempt != NULL) {
		show_peer(attempt);
		abrupt = attempt->call->gone;
		if (!abrupt) /* without memory the status must do */
			copy_metadata(&call->in_trailers, &attempt->call->in_trailers);
		let_go(attempt);
	} else {
		call->resting = true;
	}
	stop(hedge);
	mrpc_call_received_end(call, status, abrupt, false);
	mrpc_task_sleep(&hedge->task); /* woken by the end of the out lane */
	mrpc_call_detach(call);
}

void mrpc_hedge_fail(struct mrpc_hedge *hedge)
{
	mrpc_call_kill(hedge->call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

unsigned mrpc_hedge_under_way(const struct mrpc_hedge *hedge)
{
	unsigned n = 0;

	for (unsigned i = 0; i < hedge->count; i++)
		n += hedge->attempts[i].call != NULL;
	return n;
}

void mrpc_hedge_choose(struct mrpc_hedge_attempt *attempt)
{
	struct mrpc_hedge *hedge = attempt->hedge;

	if (hedge->winner == attempt)
		return;
	hedge->winner = attempt;
	hedge->no_more = true;
	mrpc_timer_stop(&hedge->timer);
	cancel_others(hedge, attempt);
	mrpc_hedge_drop_kept(hedge, attempt->next);
	mrpc_call_commit(hedge->call);
	mrpc_turn_wake(hedge->call->place.turn, &hedge->task);
}

/* ---- Inward ---- */

/* What the user has taken. */
static void repay(struct mrpc_hedge *hedge)
{
	struct mrpc_lane *in = &hedge->call->in;
	size_t credit = mrpc_lane_credit(in);
	bool all = in->cursor == NULL && !in->lent;
	minirpc_call *call = hedge->winner == NULL ? NULL : hedge->winner->call;

	if (call == NULL || !call->in.lent)
		return;
	mrpc_lane_repay(&call->in, credit, all);
	if (all && call->paused)
		minirpc_call_resume(call);
}

static void relay(minirpc_call *call, struct mrpc_part *part)
{
	const struct mrpc_hedge_attempt *attempt = minirpc_call_user(call);
	minirpc_call *to = attempt->hedge->call;

	call->in.lent = to->in.awaited = true;
	if (mrpc_call_received_message(to, part) < 0)
		mrpc_part_free(part);
	/* Not where a single response waits for the end behind it. */
	if (to->in.unread >= AHEAD && !mrpc_call_receives_one(call))
		minirpc_call_pause(call);
}

static void run(struct mrpc_task *task)
{
	struct mrpc_hedge *hedge = mrpc_container(task, struct mrpc_hedge, task);

	repay(hedge);
	if (mrpc_hedge_feed(hedge) < 0)
		mrpc_hedge_fail(hedge);
}

/* ---- An attempt's events ---- */

static void on_headers(minirpc_call *attempts_call, const struct minirpc_metadata *metadata,
		       void *user)
{
	struct mrpc_hedge_attempt *attempt = user;
	struct mrpc_hedge *hedge = attempt->hedge;
	minirpc_call *call = hedge->call;

	mrpc_hedge_choose(attempt);
	show_peer(attempt);
	call->in_compressor = attempts_call->in_compressor;
	if (copy_metadata(&call->in_headers, metadata) < 0)
		mrpc_hedge_fail(hedge);
	else
		mrpc_call_received_headers(call);
}

static void on_writable(minirpc_call *call, void *user)
{
	const struct mrpc_hedge_attempt *attempt = user;

	mrpc_turn_wake(call->place.turn, &attempt->hedge->task);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)call;
	mrpc_hedge_plan_ended(user, status);
}

static const struct minirpc_call_events events = {
	.on_headers = on_headers,
	.on_writable = on_writable,
	.on_end = on_end,
};

/* ---- Making attempts ---- */

/* As the user's call, but for its handle, its deadline's timer and what is kept for others: that is ours. */
static int new_call(struct mrpc_hedge_attempt *attempt, minirpc_call **ret_call)
{
	struct mrpc_hedge *hedge = attempt->hedge;
	const minirpc_call *call = hedge->call;
	struct mrpc_call_config config = hedge->channel->call;
	minirpc_call *new;
	int r;

	config.max_receive_message = call->max_receive_message;
	config.compression = call->out_compressor;
	r = mrpc_call_new(&new, MRPC_CLIENT, &config);
	if (r < 0)
		return r;
	mrpc_lane_commit(&new->out);
	new->method = call->method;
	new->flags = call->flags;
	new->max_receive_message = call->max_receive_message; /* 0 is one, too */
	new->wait_for_ready = call->wait_for_ready;
	new->own_authority = call->own_authority;
	new->deadline = call->deadline;
	new->previous_attempts = attempt->previous;
	r = mrpc_call_set_path(new, call->path, strlen(call->path));
	if (r == 0)
		r = mrpc_call_set_authority(new, call->authority, strlen(call->authority));
	if (r == 0 && call->content_type != NULL)
		r = mrpc_call_set_subtype(new, minirpc_call_subtype(call));
	if (r == 0)
		r = copy_metadata(&new->out_headers, &call->out_headers);
	if (r == 0 && call->late_compression)
		r = mrpc_call_intercept(new, &hedge->channel->interceptors, call->attempt_uses,
					true);
	if (r < 0)
		mrpc_call_drop(new);
	else
		*ret_call = new;
	return r;
}

int mrpc_hedge_begin(struct mrpc_hedge_attempt *attempt)
{
	struct mrpc_hedge *hedge = attempt->hedge;
	minirpc_call *call;
	int r;

	r = new_call(attempt, &call);
	if (r < 0)
		return r;
	call->events = &events;
	call->user = attempt;
	call->relay = relay;
	r = mrpc_channel_attempt(hedge->channel, call);
	if (r < 0) {
		mrpc_call_drop(call);
		return r;
	}
	attempt->call = mrpc_call_ref(call);
	attempt->started = *call->place.now;
	attempt->next = hedge->kept;
	attempt->given = 0;
	attempt->ended = false;
	hedge->call->resting = false;
	hedge->call->attempt_started = attempt->started;
	mrpc_turn_wake(call->place.turn, &hedge->task);
	return 0;
}

bool mrpc_hedge_has_tried(const minirpc_call *call, const char *peer)
{
	const struct mrpc_hedge_attempt *attempt = call->user;
	const struct mrpc_hedge *hedge;

	if (call->relay == NULL)
		return mrpc_call_has_tried(call, peer);
	hedge = attempt->hedge;
	for (unsigned i = 0; i < hedge->count; i++) {
		const minirpc_call *other = hedge->attempts[i].call;

		if (other != NULL && other != call && strcmp(other->peer, peer) == 0)
			return true;
	}
	return mrpc_call_has_tried(hedge->call, peer);
}

static const void *certificate(void *transport, size_t *ret_len)
{
	const struct mrpc_hedge *hedge = transport;
	const minirpc_call *call = hedge->winner == NULL ? NULL : hedge->winner->call;

	*ret_len = call == NULL ? 0 : call->certificate_len;
	return call == NULL ? NULL : call->certificate;
}

static const struct mrpc_call_transport_ops transport_ops = { .detach = on_detach,
							      .certificate = certificate };

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	(void)now;
	mrpc_hedge_plan_ring(mrpc_container(timer, struct mrpc_hedge, timer));
}

static struct mrpc_hedge *new_hedge(minirpc_channel *channel, minirpc_call *call)
{
	unsigned count = call->hedging == NULL ? 1 : call->hedging->max_attempts;
	struct mrpc_hedge *hedge;
	size_t size;

	if (!mrpc_mul(count, sizeof *hedge->attempts, &size) ||
	    !mrpc_add(size, sizeof *hedge, &size))
		return NULL;
	hedge = mrpc_arena_alloc(&call->arena, size); /* zeroed */
	if (hedge == NULL || mrpc_timer_bind(&hedge->timer, &channel->loop->timers, on_timer) < 0)
		return NULL;
	hedge->channel = channel;
	hedge->call = call;
	hedge->task = (struct mrpc_task){ .phase = MRPC_STREAM, .run = run };
	hedge->plan = (struct mrpc_retry_plan){ .policy = call->retry, .attempts = 1 };
	hedge->count = count;
	for (unsigned i = 0; i < count; i++)
		hedge->attempts[i].hedge = hedge;
	return hedge;
}

int mrpc_hedge_start(minirpc_channel *channel, minirpc_call *call)
{
	struct mrpc_hedge *hedge = new_hedge(channel, call);
	int r;

	if (hedge == NULL)
		return -ENOMEM;
	mrpc_lane_commit(&call->out); /* what is kept lies with us */
	r = mrpc_hedge_plan_begin(hedge);
	if (r < 0) {
		on_detach(hedge, call);
		return r;
	}
	mrpc_call_attach(call, &transport_ops, hedge, &hedge->task);
	return 0;
}

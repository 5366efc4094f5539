/* SPDX-License-Identifier: MIT */
/* A channel's calls: opening them, and finding a connection for those that wait.
 *
 * A call is in one of the channel's four lists from minirpc_call_open until it is over. It is put on a
 * connection at once when there is one, otherwise by the channel's task; a call that the policy cannot
 * place waits until that says something new. When its attempt ends before
 * the server can have seen it, it waits again: as often as need be when it never left us, once
 * when the server refused it (REFUSED_STREAM, or above GOAWAY's last id). */
#include "client/channel.h"

#include "client/authority.h"
#include "client/hedge.h"
#include "client/retry.h"
#include "wire/header.h"

#include <errno.h>
#include <string.h>

void mrpc_channel_wait(minirpc_channel *channel, minirpc_call *call)
{
	mrpc_list_remove(&call->owner_node);
	mrpc_list_push(&channel->fresh, &call->owner_node);
	mrpc_turn_wake(&channel->loop->turn, &channel->task);
}

void mrpc_channel_rest(minirpc_channel *channel, minirpc_call *call)
{
	mrpc_list_remove(&call->owner_node);
	mrpc_list_push(&channel->resting, &call->owner_node);
}

static void runs(minirpc_channel *channel, minirpc_call *call)
{
	mrpc_list_remove(&call->owner_node);
	mrpc_list_push(&channel->running, &call->owner_node);
}

/* ---- What calls ask of us ---- */

/* Never left us: as often as need be. Refused by the server: once, and not after an attempt that it may
 * have seen, as in grpc-go and gRPC Java. */
static bool starts_over(minirpc_call *call)
{
	if (call->never_left)
		return true;
	if (call->started_over || call->previous_attempts > 0)
		return false;
	call->started_over = true;
	return true;
}

static bool attempt_failed(minirpc_call *call, const struct minirpc_status *status,
			   bool unprocessed)
{
	minirpc_channel *channel = call->owner;

	mrpc_balancing_call_over(call, status->code);
	if (!unprocessed || !starts_over(call))
		return mrpc_retry_after(call, status);
	mrpc_call_note_attempt(call, status, true);
	call->attempt_started = channel->loop->now;
	channel->counts.transparent_retries++;
	mrpc_channel_wait(channel, call);
	return true;
}

static void forget_policies(minirpc_call *call)
{
	mrpc_retry_clear(call);
	if (call->config != NULL) {
		mrpc_config_unref(call->config);
		call->config = NULL;
	}
	call->retry = NULL;
	call->hedging = NULL;
}

static void over(minirpc_call *call)
{
	minirpc_channel *channel = call->owner;

	channel->last_over = channel->loop->now;
	mrpc_balancing_call_over(call, call->in_status.message != NULL ? call->in_status.code
								       : MINIRPC_CANCELLED);
	forget_policies(call);
	mrpc_list_remove(&call->owner_node);
	if (mrpc_throttle_is_set(&channel->throttle) && call->in_status.code == MINIRPC_OK &&
	    call->in.over && !call->in.was_cut)
		mrpc_throttle_succeeded(&channel->throttle);
}

/* The loop may be the channel's own, and the channel be freed by a callback: the loop is held until
 * the call, whose deadline is one of its timers, is let go of. */
static int wait_until(minirpc_call *call, const bool *done)
{
	minirpc_channel *channel = call->owner;
	minirpc_loop *loop = channel->loop;
	int r;

	mrpc_loop_hold(loop);
	mrpc_call_ref(call);
	r = minirpc_loop_run_until(loop, done);
	mrpc_call_unref(call);
	mrpc_loop_let_go(loop);
	return r;
}

static void ready(minirpc_call *call);

static const struct mrpc_call_owner_ops owner_ops = {
	.attempt_failed = attempt_failed,
	.over = over,
	.ready = ready,
	.wait = wait_until,
};

/* An attempt of a call that is carried: whoever carries it hears of its end as of any event. */
static void attempt_over(minirpc_call *call)
{
	minirpc_channel *channel = call->owner;

	channel->last_over = channel->loop->now;
	mrpc_balancing_call_over(call, call->in_status.message != NULL ? call->in_status.code
								       : MINIRPC_CANCELLED);
	mrpc_list_remove(&call->owner_node);
}

static void attempt_ready(minirpc_call *call);

static const struct mrpc_call_owner_ops attempt_ops = { .over = attempt_over,
							.ready = attempt_ready };

/* For what is left of calls whose channel is gone, in a delivery that is under way. */
static bool orphan_failed(minirpc_call *call, const struct minirpc_status *status, bool unprocessed)
{
	(void)call;
	(void)status;
	(void)unprocessed;
	return false;
}

static void orphan_over(minirpc_call *call)
{
	forget_policies(call);
}

static const struct mrpc_call_owner_ops orphan_ops = { .attempt_failed = orphan_failed,
						       .over = orphan_over };

static void drop_all(struct mrpc_list *calls)
{
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(calls)) != NULL) {
		minirpc_call *call = mrpc_container(node, minirpc_call, owner_node);

		mrpc_balancing_call_over(call, MINIRPC_CANCELLED);
		call->owner = NULL;
		call->owner_ops = &orphan_ops;
		mrpc_call_drop(call);
	}
}

void mrpc_channel_drop_calls(minirpc_channel *channel)
{
	drop_all(&channel->fresh);
	drop_all(&channel->waiting);
	drop_all(&channel->running);
	drop_all(&channel->resting);
}

/* ---- The waiting ---- */

/* A dropped call is not repeated, whatever its retry policy says [L-4]. */
static void fail_without_connection(minirpc_channel *channel, minirpc_call *call, bool dropped)
{
	char text[MRPC_UNAVAILABLE_TEXT];

	mrpc_channel_unavailable(channel, text);
	call->dropped = dropped;
	if (dropped)
		mrpc_call_kill(call, MINIRPC_UNAVAILABLE, text);
	else
		mrpc_call_fail_attempt(call, &(struct minirpc_status){ .code = MINIRPC_UNAVAILABLE,
								       .message = text });
}

/* What the policy says to one call [L-4]; before there is one, what the state says. */
static enum minirpc_pick place(minirpc_channel *channel, minirpc_call *call, int *ret_failed)
{
	const struct minirpc_balancing *balancing = channel->balancing;

	*ret_failed = 0;
	if (balancing != NULL && balancing->updated)
		return mrpc_balancing_place(channel->balancing, call, ret_failed);
	return channel->state == MINIRPC_TRANSIENT_FAILURE ? MINIRPC_PICK_FAIL : MINIRPC_PICK_QUEUE;
}

/* [B-3, L-4] */
static bool fails(const minirpc_call *call, enum minirpc_pick pick)
{
	return pick == MINIRPC_PICK_DROP || (pick == MINIRPC_PICK_FAIL && !call->wait_for_ready);
}

/* Does with it what the policy said. */
static void settle(minirpc_channel *channel, minirpc_call *call, enum minirpc_pick pick)
{
	runs(channel, call);
	if (fails(call, pick)) {
		fail_without_connection(channel, call, pick == MINIRPC_PICK_DROP);
	} else if (pick != MINIRPC_PICK_COMPLETE) {
		mrpc_list_remove(&call->owner_node);
		mrpc_list_push(&channel->waiting, &call->owner_node);
		mrpc_channel_leave_idle(channel);
	}
}

static void serve_one(minirpc_channel *channel, minirpc_call *call)
{
	enum minirpc_pick pick;
	int failed;

	if (call->gone || mrpc_call_is_over(call)) {
		runs(channel, call);
		return; /* about to be told its end */
	}
	if (call->verdict != 0) {
		pick = (enum minirpc_pick)call->verdict;
		call->verdict = 0;
		settle(channel, call, pick);
		return;
	}
	pick = place(channel, call, &failed);
	settle(channel, call, failed < 0 ? MINIRPC_PICK_COMPLETE : pick);
	if (failed < 0)
		mrpc_call_kill(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

void mrpc_channel_serve(struct mrpc_task *task)
{
	minirpc_channel *channel = mrpc_container(task, minirpc_channel, task);
	struct mrpc_list *node, *last = channel->fresh.prev;

	if (mrpc_list_is_empty(&channel->fresh))
		return;
	do { /* not those that come back while we are at it */
		node = channel->fresh.next;
		serve_one(channel, mrpc_container(node, minirpc_call, owner_node));
	} while (node != last);
}

/* Straight onto the connection if there is one. Returns 0, also when it waits for one; otherwise the
 * call is as before. */
static int start(minirpc_channel *channel, minirpc_call *call)
{
	enum minirpc_pick pick;
	int failed;

	if (call->gone || channel->state != MINIRPC_READY || !mrpc_list_is_empty(&channel->fresh)) {
		mrpc_channel_wait(channel, call);
		return 0;
	}
	pick = mrpc_balancing_place(channel->balancing, call, &failed);
	if (failed < 0)
		return failed;
	if (!fails(call, pick)) { /* one that waits does so from now on, or misses an update */
		settle(channel, call, pick);
		return 0;
	}
	/* In a turn: the caller shall not find that his call is over when he sends his request. */
	call->verdict = (unsigned char)pick;
	mrpc_channel_wait(channel, call);
	return 0;
}

/* An attempt's headers have passed the interceptors. */
static void attempt_ready(minirpc_call *call)
{
	if (start(call->owner, call) < 0)
		mrpc_call_kill(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

int mrpc_channel_attempt(minirpc_channel *channel, minirpc_call *call)
{
	call->owner = channel;
	call->owner_ops = &attempt_ops;
	if (call->chain == NULL)
		return start(channel, call);
	runs(channel, call);
	return 0;
}

/* Itself, or by attempts. */
static int begin(minirpc_channel *channel, minirpc_call *call)
{
	if (!call->carried)
		return start(channel, call);
	runs(channel, call);
	return call->gone ? 0 : mrpc_hedge_start(channel, call);
}

/* Its headers have passed the interceptors. */
static void ready(minirpc_call *call)
{
	if (begin(call->owner, call) < 0)
		mrpc_call_kill(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- Opening ---- */

static int check(const minirpc_channel *channel, const struct minirpc_method *method,
		 const struct minirpc_call_options *options)
{
	const minirpc_call *parent = options->parent;

	if (channel->freeing)
		return -ESHUTDOWN;
	if (method == NULL || method->path == NULL ||
	    !mrpc_path_is_valid(method->path, strlen(method->path)))
		return -EINVAL;
	if (method->subtype != NULL && !mrpc_subtype_is_valid(method->subtype))
		return -EINVAL;
	if (options->authority != NULL && !mrpc_authority_is_valid(options->authority))
		return -EINVAL;
	if (parent == NULL)
		return 0;
	if (parent->role != MRPC_SERVER)
		return -EINVAL;
	return parent->place.turn == &channel->loop->turn ? 0 : -EXDEV;
}

static int new_call(minirpc_call **ret_call, minirpc_channel *channel,
		    const struct minirpc_method *method, const struct minirpc_call_options *options)
{
	struct mrpc_call_config config = channel->call;
	const char *authority;
	minirpc_call *call;
	int r;

	if (options->max_receive_message > 0)
		config.max_receive_message = options->max_receive_message;
	if (options->compression != NULL) {
		r = mrpc_compressors_choose(config.compressors, options->compression,
					    &config.compression);
		if (r < 0)
			return r;
	}
	r = mrpc_call_new(&call, MRPC_CLIENT, &config);
	if (r < 0)
		return r;
	call->flags = method->flags;
	call->wait_for_ready = options->wait_for_ready;
	r = mrpc_call_set_path(call, method->path, strlen(method->path));
	if (r < 0)
		goto err_call;
	if (method->subtype != NULL) {
		r = mrpc_call_set_subtype(call, method->subtype);
		if (r < 0)
			goto err_call;
	}
	call->own_authority =
		options->authority != NULL && strcmp(options->authority, channel->authority) != 0;
	authority = call->own_authority ? options->authority : channel->authority;
	r = mrpc_call_set_authority(call, authority, strlen(authority));
	if (r < 0)
		goto err_call;
	r = mrpc_metadata_add_all(&call->out_headers, options->metadata);
	if (r == 0 && options->parent != NULL) /* [D-5] */
		r = mrpc_call_inherit_metadata(call, options->parent);
	if (r < 0)
		goto err_call;
	if (call->out_headers.bytes > channel->limits.max_header_bytes) { /* [M-5] */
		r = -E2BIG;
		goto err_call;
	}
	if (channel->interceptors.count > 0 || options->interceptors != NULL) {
		r = mrpc_call_intercept(call, &channel->interceptors, options->interceptors, false);
		if (r == 0)
			r = mrpc_hedge_look(channel, call, options->interceptors);
		if (r < 0)
			goto err_call;
	}
	*ret_call = call;
	return 0;

err_call:
	mrpc_call_drop(call);
	return r;
}

int minirpc_call_open(minirpc_call **ret_call, minirpc_channel *channel,
		      const struct minirpc_method *method,
		      const struct minirpc_call_options *options,
		      const struct minirpc_call_events *events, void *user)
{
	static const struct minirpc_call_options none;
	minirpc_time timeout;
	minirpc_call *call;
	int r;

	if (options == NULL)
		options = &none;
	r = check(channel, method, options);
	if (r < 0)
		return r;
	mrpc_loop_refresh(channel->loop);
	r = new_call(&call, channel, method, options);
	if (r < 0)
		return r;

	/* Until it is certain that there is a call nobody hears of it. */
	timeout = options->timeout;
	if (channel->is_configured)
		timeout = mrpc_channel_configure_call(channel, call, timeout);
	if (timeout > 0)
		mrpc_call_set_deadline(call, mrpc_time_add(channel->loop->now, timeout));
	if (options->parent != NULL)
		mrpc_call_set_parent(call, options->parent);
	if (timeout < 0)
		mrpc_call_kill(call, MINIRPC_DEADLINE_EXCEEDED, "deadline exceeded");

	call->owner = channel;
	call->owner_ops = &owner_ops;
	mrpc_config_ref(call->config);
	if (call->chain != NULL)
		runs(channel, call); /* in the hands of its interceptors */
	else
		r = begin(channel, call);
	if (r < 0) {
		mrpc_call_drop(call);
		return r;
	}
	call->events = events;
	call->user = user;
	*ret_call = call;
	return 0;
}

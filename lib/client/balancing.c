/* SPDX-License-Identifier: MIT */
/* Balancing: the channel's side of a policy.
 *
 *	channel --push, exit_idle--> task --on_endpoints, exit_idle--> policy
 *	                                                               |  ^
 *	                             subchannel_new, connect, free <---+  | on_state, in a task of the handle
 *	                                        v                         |
 *	 handle   handle   handle   (one for each time that a policy asked for one)
 *	    \      /         |
 *	   subchannel    subchannel (one for each list of addresses in a channel)
 *
 * Policies may be the user's, so they are told everything from tasks in the DELIVER phase, where user code
 * runs, and are trusted with nothing: a picker that answers a subchannel which was given back, one of another
 * channel, or none, makes its call wait for the next update, and loses nothing else. Only `pick` and `stop` are
 * called from inside verbs.
 *
 * A policy may free the channel from any of its callbacks. Whoever calls one holds a reference, or looks at
 * nothing afterwards. */
#include "client/balancing.h"

#include "base/alloc.h"
#include "base/cold.h"
#include "base/text.h"
#include "client/channel.h"
#include "client/hedge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void unref(struct minirpc_balancing *balancing)
{
	struct mrpc_list *node;

	if (--balancing->refs > 0)
		return;
	while ((node = mrpc_list_pop(&balancing->spare)) != NULL)
		mrpc_free(mrpc_container(node, struct minirpc_subchannel, node));
	mrpc_free(balancing->config);
	mrpc_free(balancing->endpoints);
	mrpc_free(balancing);
}

/* ---- What the policy is told ---- */

static void set_reason(struct minirpc_balancing *balancing, const char *reason)
{
	snprintf(balancing->reason, sizeof balancing->reason, "%s", reason != NULL ? reason : "");
}

/* The policy does not take what it was given; it is asked again after a backoff. */
static void wait_and_try_again(struct minirpc_balancing *balancing, const char *what, int error)
{
	minirpc_loop *loop = balancing->channel->loop;
	char reason[160];

	snprintf(reason, sizeof reason, "load balancing policy %.60s: %s: %s",
		 balancing->policy->name, what, mrpc_error_text(error));
	mrpc_log(&loop->log, MINIRPC_LOG_WARNING, "%s", reason);
	mrpc_timer_set(&balancing->timer,
		       mrpc_time_add(loop->now, mrpc_backoff_next(&balancing->backoff)));
	if (balancing->updated || balancing->channel->balancing != balancing)
		return; /* what there was goes on */
	balancing->state = MINIRPC_TRANSIENT_FAILURE;
	set_reason(balancing, reason);
	mrpc_channel_balanced(balancing->channel, balancing);
}

static void wake(struct minirpc_balancing *balancing)
{
	mrpc_turn_wake(&balancing->channel->loop->turn, &balancing->task);
}

static void take_endpoints(struct minirpc_balancing *balancing, struct mrpc_endpoints *endpoints)
{
	mrpc_free(balancing->endpoints);
	balancing->endpoints = endpoints;
	mrpc_timer_stop(&balancing->timer);
	wake(balancing);
}

/* A config that the policy refuses changes nothing, if there is something that goes on, and nothing to the
 * addresses, which are for that then [L-8]. */
static bool is_dropped(struct minirpc_balancing *balancing, int error)
{
	minirpc_channel *channel = balancing->channel;

	if (error != -EINVAL || channel->next != balancing)
		return false;
	mrpc_log(&channel->loop->log, MINIRPC_LOG_WARNING,
		 "load balancing policy %s refuses its config; %s goes on", balancing->policy->name,
		 channel->balancing->policy->name);
	channel->next = NULL;
	take_endpoints(channel->balancing, balancing->endpoints);
	balancing->endpoints = NULL;
	mrpc_balancing_stop(balancing);
	return true;
}

/* Whatever it has forgotten. */
static void give_back_all(struct minirpc_balancing *balancing)
{
	while (!mrpc_list_is_empty(&balancing->held))
		minirpc_subchannel_free(
			mrpc_container(balancing->held.next, struct minirpc_subchannel, node));
}

static bool start(struct minirpc_balancing *balancing)
{
	int r;

	r = balancing->policy->start(balancing, balancing->config, balancing->policy_user,
				     &balancing->self);
	if (balancing->stopped) {
		if (r == 0)
			balancing->policy->stop(balancing->self);
		return false;
	}
	if (r < 0) {
		balancing->updated = false; /* there is nobody who could be asked */
		give_back_all(balancing);
		if (!is_dropped(balancing, r))
			wait_and_try_again(balancing, "it cannot start", r);
		return false;
	}
	balancing->started = true;
	return true;
}

static bool tell_endpoints(struct minirpc_balancing *balancing)
{
	struct mrpc_endpoints *endpoints = balancing->endpoints;
	int r;

	/* A newer list may come while it reads this one. */
	balancing->endpoints = NULL;
	r = balancing->policy->on_endpoints(balancing->self, endpoints->endpoints,
					    endpoints->count);
	if (r < 0 && !balancing->stopped && balancing->endpoints == NULL) {
		balancing->endpoints = endpoints;
		wait_and_try_again(balancing, "the list of servers", r);
		return false;
	}
	mrpc_free(endpoints);
	if (!balancing->stopped && r == 0)
		mrpc_backoff_reset(&balancing->backoff);
	return !balancing->stopped;
}

static bool tell(struct minirpc_balancing *balancing)
{
	if (!balancing->started && !start(balancing))
		return false;
	if (balancing->endpoints != NULL && !tell_endpoints(balancing))
		return false;
	if (balancing->resolver_failed) {
		balancing->resolver_failed = false;
		if (balancing->policy->on_resolver_error != NULL)
			balancing->policy->on_resolver_error(balancing->self,
							     balancing->channel->failure);
		if (balancing->stopped)
			return false;
	}
	if (balancing->exit_idle) {
		balancing->exit_idle = false;
		if (balancing->policy->exit_idle != NULL)
			balancing->policy->exit_idle(balancing->self);
	}
	return true;
}

static void run(struct mrpc_task *task)
{
	struct minirpc_balancing *balancing = mrpc_container(task, struct minirpc_balancing, task);

	if (mrpc_timer_is_set(&balancing->timer))
		return; /* it could not take what it was given; all waits for the next try */
	balancing->refs++;
	tell(balancing);
	unref(balancing);
}

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	(void)now;
	wake(mrpc_container(timer, struct minirpc_balancing, timer));
}

int mrpc_balancing_push(struct minirpc_balancing *balancing, const struct mrpc_endpoints *endpoints)
{
	struct mrpc_endpoints *copy = mrpc_endpoints_copy(endpoints->endpoints, endpoints->count);

	if (copy == NULL)
		return -ENOMEM;
	take_endpoints(balancing, copy);
	return 0;
}

void mrpc_balancing_resolver_failed(struct minirpc_balancing *balancing)
{
	balancing->resolver_failed = true;
	wake(balancing);
}

void mrpc_balancing_exit_idle(struct minirpc_balancing *balancing)
{
	balancing->exit_idle = true;
	wake(balancing);
}

/* ---- Its life ---- */

int mrpc_balancing_new(struct minirpc_balancing **ret_balancing, minirpc_channel *channel,
		       const struct minirpc_balancer_use *use, const char *config)
{
	struct minirpc_balancing *balancing;
	int r;

	balancing = mrpc_alloc(sizeof *balancing);
	if (balancing == NULL)
		return -ENOMEM;
	*balancing = (struct minirpc_balancing){
		.channel = channel,
		.policy = use->balancer,
		.policy_user = use->user,
		.config = mrpc_strdup(config != NULL ? config : "{}"),
		.refs = 1,
		.state = MINIRPC_CONNECTING,
		.looks_at_health =
			use->balancer != &mrpc_pick_first && use->balancer != &mrpc_attached_balancer,
		.task = { .phase = MRPC_DELIVER, .run = run },
	};
	mrpc_list_init(&balancing->held);
	mrpc_list_init(&balancing->spare);
	mrpc_list_init(&balancing->picked);
	mrpc_backoff_init(&balancing->backoff, 0, 0, mrpc_random_next(&channel->chance));
	r = balancing->config == NULL
		    ? -ENOMEM
		    : mrpc_timer_bind(&balancing->timer, &channel->loop->timers, on_timer);
	if (r < 0) {
		unref(balancing);
		return r;
	}
	*ret_balancing = balancing;
	return 0;
}

static void free_picked(struct mrpc_picked *picked)
{
	if (picked->call != NULL)
		picked->call->picked = NULL;
	mrpc_waiter_leave(&picked->waiter);
	mrpc_task_sleep(&picked->task);
	mrpc_list_remove(&picked->node);
	mrpc_free(picked);
}

/* Calls that wait for room where this policy has placed them are for the next one to place. */
static void forget_picked(struct mrpc_picked *picked)
{
	minirpc_call *call = mrpc_list_is_linked(&picked->waiter.node) ? picked->waiter.call : NULL;

	free_picked(picked);
	if (call != NULL)
		mrpc_channel_wait(call->owner, call);
}

void mrpc_balancing_stop(struct minirpc_balancing *balancing)
{
	if (balancing == NULL || balancing->stopped)
		return;
	balancing->stopped = true;
	mrpc_task_sleep(&balancing->task);
	mrpc_timer_unbind(&balancing->timer);
	if (balancing->started)
		balancing->policy->stop(balancing->self);
	give_back_all(balancing);
	while (!mrpc_list_is_empty(&balancing->picked))
		forget_picked(mrpc_container(balancing->picked.next, struct mrpc_picked, node));
	unref(balancing);
}

bool mrpc_balancing_is(const struct minirpc_balancing *balancing,
		       const struct minirpc_balancer_use *use, const char *config)
{
	return balancing != NULL && balancing->policy == use->balancer &&
	       balancing->policy_user == use->user &&
	       strcmp(balancing->config, config != NULL ? config : "{}") == 0;
}

/* ---- Subchannels as policies see them ---- */

static void tell_state(struct mrpc_task *task)
{
	struct minirpc_subchannel *handle = mrpc_container(task, struct minirpc_subchannel, task);
	struct minirpc_balancing *balancing = handle->to;

	if (balancing->started)
		balancing->policy->on_state(balancing->self, handle,
					    minirpc_subchannel_state(handle));
}

void mrpc_balancing_on_change(struct mrpc_subchannel *subchannel, void *user)
{
	minirpc_channel *channel = user;

	mrpc_health_look(subchannel);
	for (struct mrpc_list *node = subchannel->handles.next; node != &subchannel->handles;
	     node = node->next) {
		struct minirpc_subchannel *handle =
			mrpc_container(node, struct minirpc_subchannel, sharer);

		if (handle->to->policy == &mrpc_attached_balancer)
			minirpc_balancing_update(handle->to, subchannel->state, NULL);
		else
			mrpc_turn_wake(&channel->loop->turn, &handle->task);
	}
}

/* The subchannel for these addresses: one that is there, or a fresh one. */
static int find_under(struct mrpc_subchannel **ret_under, minirpc_channel *channel,
		      const struct mrpc_address *addresses, size_t count, const char *name)
{
	for (struct mrpc_list *node = channel->subchannels.next; node != &channel->subchannels;
	     node = node->next) {
		struct mrpc_subchannel *under = mrpc_container(node, struct mrpc_subchannel, node);

		if (mrpc_subchannel_is_for(under, addresses, count, name)) {
			*ret_under = under;
			return 0;
		}
	}
	return mrpc_subchannel_new(ret_under, &channel->subchannel, &channel->subchannels,
				   addresses, count, name, mrpc_random_next(&channel->chance));
}

static struct minirpc_subchannel *take_handle(minirpc_balancing *to)
{
	struct mrpc_list *node = mrpc_list_pop(&to->spare);
	struct minirpc_subchannel *handle;

	if (node == NULL) {
		handle = mrpc_zalloc(sizeof *handle);
		if (handle != NULL)
			handle->task =
				(struct mrpc_task){ .phase = MRPC_DELIVER, .run = tell_state };
	} else {
		handle = mrpc_container(node, struct minirpc_subchannel, node);
		handle->user = NULL;
	}
	return handle;
}

static int new_handle(minirpc_subchannel **ret_subchannel, minirpc_balancing *to,
		      const struct mrpc_address *addresses, size_t count, const char *name)
{
	struct minirpc_subchannel *handle = take_handle(to);
	int r;

	if (handle == NULL)
		return -ENOMEM;
	r = find_under(&handle->under, to->channel, addresses, count, name);
	if (r < 0) {
		mrpc_list_push(&to->spare, &handle->node);
		return r;
	}
	handle->to = to;
	mrpc_list_push(&to->held, &handle->node);
	mrpc_list_push(&handle->under->handles, &handle->sharer);
	mrpc_health_look(handle->under);
	*ret_subchannel = handle;
	return 0;
}

int minirpc_subchannel_new(minirpc_subchannel **ret_subchannel, minirpc_balancing *to,
			   const struct minirpc_endpoint *endpoint)
{
	const char *name = endpoint->server_name;
	struct mrpc_address *addresses;
	size_t count = 0;
	int r = 0;

	while (endpoint->addresses != NULL && endpoint->addresses[count] != NULL)
		if (++count > MRPC_ENDPOINT_ADDRESSES_MAX)
			return -EINVAL;
	if (count == 0 || to->stopped)
		return -EINVAL;
	addresses = mrpc_zalloc(count * sizeof *addresses);
	if (addresses == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count && r == 0; i++)
		r = mrpc_address_parse(&addresses[i], endpoint->addresses[i]);
	if (r == 0)
		r = new_handle(ret_subchannel, to, addresses, count,
			       name != NULL ? name : to->channel->target.verify_name);
	mrpc_free(addresses);
	return r;
}

minirpc_subchannel *minirpc_subchannel_free(minirpc_subchannel *subchannel)
{
	struct mrpc_subchannel *under;

	if (subchannel == NULL || subchannel->under == NULL)
		return NULL;
	under = subchannel->under;
	subchannel->under = NULL;
	subchannel->life++;
	mrpc_task_sleep(&subchannel->task);
	mrpc_list_remove(&subchannel->sharer);
	mrpc_list_remove(&subchannel->node);
	mrpc_list_push(&subchannel->to->spare, &subchannel->node);
	mrpc_health_look(under);
	if (mrpc_list_is_empty(&under->handles))
		mrpc_subchannel_leave(under);
	return NULL;
}

void minirpc_subchannel_connect(minirpc_subchannel *subchannel)
{
	if (subchannel->under == NULL)
		return;
	mrpc_loop_refresh(subchannel->to->channel->loop);
	mrpc_subchannel_connect(subchannel->under);
}

enum minirpc_channel_state minirpc_subchannel_state(const minirpc_subchannel *subchannel)
{
	if (subchannel->under == NULL)
		return MINIRPC_SHUTDOWN;
	return subchannel->to->looks_at_health ? mrpc_health_state(subchannel->under)
					       : subchannel->under->state;
}

size_t minirpc_subchannel_open_calls(const minirpc_subchannel *subchannel)
{
	return subchannel->under == NULL ? 0 : mrpc_subchannel_open_calls(subchannel->under);
}

const char *minirpc_subchannel_address(const minirpc_subchannel *subchannel)
{
	return subchannel->under == NULL ? "" : mrpc_subchannel_address(subchannel->under);
}

const char *minirpc_subchannel_failure(const minirpc_subchannel *subchannel)
{
	if (subchannel->under == NULL)
		return "";
	return subchannel->to->looks_at_health ? mrpc_health_failure(subchannel->under)
					       : subchannel->under->failure;
}

void minirpc_subchannel_set_user(minirpc_subchannel *subchannel, void *user)
{
	subchannel->user = user;
}

void *minirpc_subchannel_user(const minirpc_subchannel *subchannel)
{
	return subchannel->user;
}

/* ---- What policies say ---- */

void minirpc_balancing_update(minirpc_balancing *to, enum minirpc_channel_state state,
			      const char *reason)
{
	if (to->stopped || state < MINIRPC_IDLE || state > MINIRPC_TRANSIENT_FAILURE)
		return;
	to->updated = true;
	to->state = state;
	set_reason(to, reason);
	mrpc_channel_balanced(to->channel, to);
}

void minirpc_balancing_resolve_again(minirpc_balancing *to)
{
	if (!to->stopped)
		mrpc_resolving_again(&to->channel->resolving);
}

minirpc_loop *minirpc_balancing_loop(const minirpc_balancing *to)
{
	return to->channel->loop;
}

uint64_t minirpc_balancing_random(minirpc_balancing *to)
{
	return mrpc_random_next(&to->channel->chance);
}

/* ---- Calls ---- */

static void tell_call_over(struct mrpc_task *task)
{
	struct mrpc_picked *picked = mrpc_container(task, struct mrpc_picked, task);
	struct minirpc_balancing *balancing = picked->balancing;
	struct minirpc_subchannel *handle = picked->handle;
	struct minirpc_status status = { .code = picked->code, .message = "" };
	bool is_wanted = handle->life == picked->life;

	free_picked(picked);
	if (is_wanted)
		balancing->policy->on_call_over(balancing->self, handle, &status);
}

/* Endings must not allocate: what they need is taken now. */
static int note_picked(minirpc_call *call, struct minirpc_subchannel *handle)
{
	struct mrpc_picked *picked = mrpc_alloc(sizeof *picked);

	if (picked == NULL)
		return -ENOMEM;
	*picked = (struct mrpc_picked){
		.task = { .phase = MRPC_DELIVER, .run = tell_call_over },
		.balancing = handle->to,
		.handle = handle,
		.life = handle->life,
		.call = call,
	};
	mrpc_list_push(&handle->to->picked, &picked->node);
	call->picked = picked;
	return 0;
}

void mrpc_balancing_call_over(minirpc_call *call, enum minirpc_code code)
{
	struct mrpc_picked *picked = call->picked;

	if (picked == NULL)
		return;
	call->picked = NULL;
	picked->call = NULL;
	picked->code = code;
	if (picked->balancing->policy->on_call_over == NULL) {
		free_picked(picked); /* it was there for the queue's sake */
		return;
	}
	mrpc_waiter_leave(&picked->waiter);
	mrpc_turn_wake(call->place.turn, &picked->task);
}

void mrpc_balancing_on_returned(struct mrpc_waiter *waiter, void *user)
{
	minirpc_call *call = waiter->call;

	mrpc_balancing_call_over(call, MINIRPC_UNAVAILABLE);
	mrpc_channel_wait(user, call);
}

/* It waits for room [B-5]. */
static int queue(minirpc_call *call, struct minirpc_subchannel *handle)
{
	struct mrpc_picked *picked;
	int r = call->picked != NULL ? 0 : note_picked(call, handle);

	if (r < 0)
		return r;
	picked = call->picked;
	mrpc_subchannel_queue(handle->under, &picked->waiter, call);
	return 0;
}

static bool was_tried(const minirpc_call *call, const minirpc_subchannel *handle)
{
	const struct mrpc_subchannel *under = handle == NULL ? NULL : handle->under;

	return under != NULL && under->current != NULL &&
	       mrpc_hedge_has_tried(call, under->current->peer);
}

/* Attempts of one call go to distinct servers if the policy has others to offer [A6]: it is asked again, as
 * often as there were attempts. Not one that hears how each of its picks ended: it would count those that nobody
 * took. */
MRPC_COLD static void pick_another(const struct minirpc_balancing *balancing,
			 const struct minirpc_pick_args *args, minirpc_subchannel **handle)
{
	for (unsigned left = args->call->previous_attempts; left > 0; left--) {
		minirpc_subchannel *other = NULL; /* a policy that says COMPLETE and nothing else */

		if (!was_tried(args->call, *handle) ||
		    balancing->policy->pick(balancing->self, args, &other) != MINIRPC_PICK_COMPLETE)
			break;
		*handle = other;
	}
}

enum minirpc_pick mrpc_balancing_place(struct minirpc_balancing *balancing, minirpc_call *call,
				       int *ret_failed)
{
	struct minirpc_pick_args args = { .call = call, .metadata = &call->out_headers };
	minirpc_subchannel *handle = NULL;
	enum minirpc_pick pick;
	int r;

	*ret_failed = 0;
	pick = balancing->policy->pick(balancing->self, &args, &handle);
	if (call->previous_attempts > 0 && pick == MINIRPC_PICK_COMPLETE &&
	    balancing->policy->on_call_over == NULL)
		pick_another(balancing, &args, &handle);
	if (pick == MINIRPC_PICK_FAIL || pick == MINIRPC_PICK_DROP)
		return pick;
	if (pick != MINIRPC_PICK_COMPLETE || handle == NULL || handle->to != balancing ||
	    handle->under == NULL)
		return MINIRPC_PICK_QUEUE;
	if (handle->under->health.service != NULL &&
	    minirpc_subchannel_state(handle) != MINIRPC_READY)
		return MINIRPC_PICK_QUEUE;
	if (balancing->policy->on_call_over != NULL) {
		r = note_picked(call, handle);
		if (r < 0)
			goto failed;
	}
	r = mrpc_subchannel_open(handle->under, call);
	if (r == -EAGAIN)
		r = queue(call, handle);
	if (r == 0)
		return MINIRPC_PICK_COMPLETE;
	mrpc_balancing_call_over(call, MINIRPC_UNAVAILABLE);
	if (r == -ESHUTDOWN)
		return MINIRPC_PICK_QUEUE;
failed:
	*ret_failed = r;
	return MINIRPC_PICK_QUEUE;
}

/* ---- Connections that the host brings ---- */

static enum minirpc_pick pick_attached(void *self, const struct minirpc_pick_args *args,
				       minirpc_subchannel **ret_subchannel)
{
	(void)args;
	*ret_subchannel = self;
	return MINIRPC_PICK_COMPLETE;
}

static void stop_attached(void *self)
{
	minirpc_subchannel_free(self);
}

const struct minirpc_balancer mrpc_attached_balancer = {
	.name = "attached",
	.stop = stop_attached,
	.pick = pick_attached,
};

int mrpc_balancing_begin_attached(struct minirpc_balancing *balancing)
{
	minirpc_subchannel *handle;
	int r = new_handle(&handle, balancing, NULL, 0, "");

	if (r < 0)
		return r;
	balancing->self = handle;
	balancing->started = balancing->updated = true;
	balancing->state = MINIRPC_IDLE;
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Servers: how a channel comes by connections, and gives them up.
 *
 *	            a call, connect            result                on_endpoints
 *	IDLE  --------------------> resolving --------> which policy --------------> balancing --> state
 *	  ^                                             [L-3]          (next)             |
 *	  +------------- enter_idle, idle_timeout ----------------------------------------+
 *
 * The policy that is to follow another (`next`) takes over once it is READY or TRANSIENT_FAILURE, or when the
 * old one is not READY any more [L-3]. It takes over in a task: the old one may be the one that is speaking.
 *
 * A channel is idle when it was not used for idle_timeout. Calls do not move the timer, that would cost every
 * one of them: the last to end leaves the time in last_over, and the timer looks there. */
#include "client/channel.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IDLE_TIMEOUT MINIRPC_S(30 * 60) /* [B-2] */

/* ---- State ---- */

void mrpc_channel_set_state(minirpc_channel *channel, enum minirpc_channel_state state)
{
	channel->state = state;
	if (channel->watch_fn != NULL && state != channel->watch_last)
		mrpc_turn_wake(&channel->loop->turn, &channel->watch_task);
}

/* All calls that wait are looked at again, before those that came later. */
static void pick_again(minirpc_channel *channel)
{
	mrpc_list_move_all(&channel->fresh, &channel->waiting);
	if (!mrpc_list_is_empty(&channel->fresh))
		mrpc_turn_wake(&channel->loop->turn, &channel->task);
}

static void become(minirpc_channel *channel, enum minirpc_channel_state state)
{
	mrpc_channel_set_state(channel, state);
	pick_again(channel);
}

/* Whether it is time for `next`. */
static bool follows(const minirpc_channel *channel)
{
	const struct minirpc_balancing *next = channel->next;

	if (next == NULL || channel->balancing->state != MINIRPC_READY)
		return next != NULL;
	return next->updated &&
	       (next->state == MINIRPC_READY || next->state == MINIRPC_TRANSIENT_FAILURE);
}

static void look_for_next(minirpc_channel *channel)
{
	if (follows(channel))
		mrpc_turn_wake(&channel->loop->turn, &channel->follow_task);
}

void mrpc_channel_balanced(minirpc_channel *channel, struct minirpc_balancing *balancing)
{
	look_for_next(channel);
	if (balancing == channel->balancing)
		become(channel, balancing->state);
}

static void follow(struct mrpc_task *task)
{
	minirpc_channel *channel = mrpc_container(task, minirpc_channel, follow_task);
	struct minirpc_balancing *before = channel->balancing;

	if (!follows(channel)) /* any more */
		return;
	channel->balancing = channel->next;
	channel->next = NULL;
	become(channel,
	       channel->balancing->updated ? channel->balancing->state : MINIRPC_CONNECTING);
	mrpc_balancing_stop(before); /* last: it may free the channel */
}

/* ---- Which policy [L-3] ---- */

const struct minirpc_balancer_use *mrpc_balancer_find(const struct minirpc_balancer_use *own,
						      const char *name)
{
	static const struct minirpc_balancer_use built_in[] = {
		{ &mrpc_pick_first, NULL },
		{ &mrpc_round_robin, NULL },
		{ &mrpc_least_request, NULL },
	};

	for (const struct minirpc_balancer_use *use = own; use != NULL && use->balancer != NULL;
	     use++)
		if (strcmp(use->balancer->name, name) == 0)
			return use;
	for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++)
		if (strcmp(built_in[i].balancer->name, name) == 0)
			return &built_in[i];
	return NULL;
}

static const struct minirpc_balancer_use *choose_policy(const minirpc_channel *channel,
							const char **ret_config)
{
	const struct mrpc_config_policy *policies;
	const struct minirpc_balancer_use *use;
	size_t count = 0;

	if (channel->config != NULL) {
		policies = mrpc_config_policies(channel->config, &count);
		for (size_t i = 0; i < count; i++) {
			use = mrpc_balancer_find(channel->balancers, policies[i].name);
			if (use != NULL) {
				*ret_config = policies[i].config;
				return use;
			}
		}
	}
	*ret_config = "{}";
	return mrpc_balancer_find(channel->balancers, channel->load_balancing != NULL
							      ? channel->load_balancing
							      : mrpc_pick_first.name);
}

static int give_endpoints(minirpc_channel *channel, const struct mrpc_endpoints *endpoints)
{
	const struct minirpc_balancer_use *use;
	struct minirpc_balancing *fresh, *next = channel->next;
	const char *config;
	int r;

	use = choose_policy(channel, &config);
	if (mrpc_balancing_is(next, use, config))
		return mrpc_balancing_push(next, endpoints);
	if (mrpc_balancing_is(channel->balancing, use, config)) {
		r = mrpc_balancing_push(channel->balancing, endpoints);
		if (r < 0)
			return r;
		channel->next = NULL;
		mrpc_balancing_stop(next);
		return 0;
	}

	r = mrpc_balancing_new(&fresh, channel, use, config);
	if (r < 0)
		return r;
	r = mrpc_balancing_push(fresh, endpoints);
	if (r < 0) {
		mrpc_balancing_stop(fresh);
		return r;
	}
	if (channel->balancing == NULL)
		channel->balancing = fresh;
	else
		channel->next = fresh;
	look_for_next(channel);
	mrpc_balancing_stop(next);
	return 0;
}

/* ---- What the resolver says ---- */

static void on_failure(const char *reason, void *user)
{
	minirpc_channel *channel = user;

	snprintf(channel->failure, sizeof channel->failure, "%s", reason);
	if (channel->next != NULL)
		mrpc_balancing_resolver_failed(channel->next);
	if (channel->balancing != NULL)
		mrpc_balancing_resolver_failed(channel->balancing);
	else
		become(channel, MINIRPC_TRANSIENT_FAILURE);
}

static int on_result(const struct minirpc_resolver_result *result, void *user)
{
	minirpc_channel *channel = user;
	struct mrpc_endpoints *endpoints, *before;
	int bad, r;

	/* [L-8] A bad config leaves the one before in force, and does nothing to the addresses. */
	bad = mrpc_channel_set_resolved_config(channel, result->service_config_json);
	if (bad == -ENODATA) {
		on_failure("the service config that the resolver brought is refused", channel);
		return -EINVAL;
	}
	if (bad < 0 && bad != -EINVAL)
		return bad;
	endpoints = mrpc_endpoints_copy(result->endpoints, result->endpoint_count);
	if (endpoints == NULL)
		return -ENOMEM;
	before = channel->endpoints;
	channel->endpoints = endpoints;
	snprintf(channel->note, sizeof channel->note, "%s",
		 result->note != NULL ? result->note : "");
	r = give_endpoints(channel, endpoints); /* it may stop a policy, which may make us IDLE */
	if (r < 0) {
		channel->endpoints = before;
		mrpc_free(endpoints);
		return r;
	}
	mrpc_free(before);
	return bad;
}

int mrpc_channel_choose_again(minirpc_channel *channel)
{
	return channel->endpoints == NULL ? 0 : give_endpoints(channel, channel->endpoints);
}

void mrpc_channel_unavailable(const minirpc_channel *channel, char text[MRPC_UNAVAILABLE_TEXT])
{
	const struct minirpc_balancing *balancing = channel->balancing;
	const char *reason = balancing != NULL ? balancing->reason : channel->failure;

	/* Its picker says no, although there is a server. */
	if (reason[0] == '\0' && channel->state == MINIRPC_READY)
		reason = "refused by the load balancing policy";
	snprintf(text, MRPC_UNAVAILABLE_TEXT, "%s%s%s%s",
		 reason[0] != '\0' ? reason : "the server cannot be reached",
		 channel->note[0] != '\0' ? " [" : "", channel->note,
		 channel->note[0] != '\0' ? "]" : "");
}

/* ---- "list:" targets ---- */

int minirpc_channel_set_addresses(minirpc_channel *channel,
				  const struct minirpc_endpoint *endpoints, size_t count)
{
	if (channel->freeing || channel->target.kind == MRPC_TARGET_ATTACHED)
		return -EINVAL;
	mrpc_loop_refresh(channel->loop);
	return mrpc_resolving_set_list(&channel->resolving, endpoints, count);
}

/* ---- Idle ---- */

static void watch_idleness(minirpc_channel *channel)
{
	if (channel->idle_timeout == MINIRPC_NEVER)
		return;
	channel->last_over = channel->loop->now;
	mrpc_timer_set(&channel->idle_timer,
		       mrpc_time_add(channel->loop->now, channel->idle_timeout));
}

void mrpc_channel_leave_idle(minirpc_channel *channel)
{
	struct minirpc_balancing *balancing = channel->balancing;

	if (channel->state != MINIRPC_IDLE || channel->target.kind == MRPC_TARGET_ATTACHED)
		return;
	if (balancing == NULL) {
		watch_idleness(channel);
		mrpc_resolving_start(&channel->resolving);
	} else if (balancing->policy->exit_idle != NULL) {
		mrpc_balancing_exit_idle(balancing);
	} else {
		return;
	}
	mrpc_channel_set_state(channel, MINIRPC_CONNECTING);
}

/* Their `stop` may do whatever it likes with the channel but free it: it finds it as if they had been stopped. */
static void stop_all(minirpc_channel *channel, enum minirpc_channel_state state)
{
	struct minirpc_balancing *balancing = channel->balancing, *next = channel->next;

	channel->balancing = channel->next = NULL;
	channel->endpoints = mrpc_free(channel->endpoints);
	mrpc_task_sleep(&channel->follow_task);
	become(channel, state);
	mrpc_balancing_stop(next);
	mrpc_balancing_stop(balancing);
}

static bool has_calls(const minirpc_channel *channel)
{
	return !mrpc_list_is_empty(&channel->fresh) || !mrpc_list_is_empty(&channel->waiting) ||
	       !mrpc_list_is_empty(&channel->running) || !mrpc_list_is_empty(&channel->resting);
}

void minirpc_channel_enter_idle(minirpc_channel *channel)
{
	if (channel->freeing || channel->state == MINIRPC_SHUTDOWN ||
	    channel->target.kind == MRPC_TARGET_ATTACHED || !channel->resolving.wanted)
		return;
	mrpc_loop_refresh(channel->loop);
	mrpc_timer_stop(&channel->idle_timer);
	mrpc_resolving_stop(&channel->resolving);
	channel->note[0] = channel->failure[0] = '\0';
	stop_all(channel, MINIRPC_IDLE); /* calls that wait wake it up again */
}

static void on_idle_timer(struct mrpc_timer *timer, minirpc_time now)
{
	minirpc_channel *channel = mrpc_container(timer, minirpc_channel, idle_timer);
	minirpc_time from = has_calls(channel) ? now : channel->last_over;
	minirpc_time at = mrpc_time_add(from, channel->idle_timeout);

	if (at > now)
		mrpc_timer_set(timer, at);
	else
		minirpc_channel_enter_idle(channel);
}

/* ---- Beginning and end ---- */

int mrpc_channel_take_balancers(minirpc_channel *channel,
				const struct minirpc_channel_options *options)
{
	const struct minirpc_balancer_use *own = options->balancers;
	size_t count = 0;

	if (own == NULL)
		return 0;
	for (; own[count].balancer != NULL; count++) {
		const struct minirpc_balancer *policy = own[count].balancer;

		if (policy->name == NULL || policy->name[0] == '\0' || policy->start == NULL ||
		    policy->stop == NULL || policy->on_endpoints == NULL ||
		    policy->on_state == NULL || policy->pick == NULL)
			return -EINVAL;
	}
	channel->balancers = mrpc_alloc((count + 1) * sizeof *own);
	if (channel->balancers == NULL)
		return -ENOMEM;
	memcpy(channel->balancers, own, (count + 1) * sizeof *own);
	return 0;
}

static int begin_attached(minirpc_channel *channel)
{
	int r;

	r = mrpc_balancing_new(&channel->balancing, channel,
			       &(struct minirpc_balancer_use){ &mrpc_attached_balancer, NULL },
			       NULL);
	return r < 0 ? r : mrpc_balancing_begin_attached(channel->balancing);
}

/* A name that is reached through a proxy is the proxy's to resolve [L-9]. */
static int begin_proxy(minirpc_channel *channel, const struct minirpc_channel_options *options)
{
	const struct mrpc_target *target = &channel->target;
	int r = mrpc_proxy_init(&channel->proxy, options->proxy, options->no_proxy,
				options->dns_servers);

	if (r < 0 || channel->proxy.host == NULL)
		return r;
	channel->proxy.min_interval = options->min_resolution_interval > 0
					      ? options->min_resolution_interval
					      : MRPC_RESOLUTION_INTERVAL;
	if (target->kind == MRPC_TARGET_DNS) {
		/* A name that is reached without is so whatever its addresses are. */
		if (!mrpc_proxy_is_for(&channel->proxy, target->host, target->port))
			return 0;
		channel->subchannel.proxied_host = target->host;
		channel->subchannel.proxied_port = target->port;
		snprintf(channel->subchannel.proxied_address,
			 sizeof channel->subchannel.proxied_address,
			 strchr(target->host, ':') != NULL ? "[%s]:%u" : "%s:%u", target->host,
			 (unsigned)target->port);
	}
	channel->subchannel.proxy = &channel->proxy;
	return 0;
}

static int begin_resolving(minirpc_channel *channel, const char *target,
			   const struct minirpc_channel_options *options)
{
	int r = begin_proxy(channel, options);

	if (r < 0)
		return r;
	channel->target_text = mrpc_strdup(target);
	if (options->dns_servers != NULL)
		channel->dns_servers = mrpc_strdup(options->dns_servers);
	if (channel->target_text == NULL ||
	    (options->dns_servers != NULL && channel->dns_servers == NULL))
		return -ENOMEM;
	return mrpc_resolving_init(&channel->resolving,
				   &(struct mrpc_resolving_config){
					   .loop = channel->loop,
					   .target = channel->target_text,
					   .parsed = &channel->target,
					   .own = options->resolvers,
					   .dns_servers = channel->dns_servers,
					   .ask_for_config = !options->no_resolver_config,
					   .proxied = channel->subchannel.proxied_host != NULL,
					   .min_interval = options->min_resolution_interval,
					   .backoff_initial = options->backoff_initial,
					   .backoff_max = options->backoff_max,
					   .seed = mrpc_random_next(&channel->chance),
					   .on_result = on_result,
					   .on_failure = on_failure,
					   .user = channel });
}

int mrpc_channel_begin_servers(minirpc_channel *channel, const char *target,
			       const struct minirpc_channel_options *options)
{
	int r;

	channel->chance = mrpc_backoff_seed();
	channel->follow_task = (struct mrpc_task){ .phase = MRPC_DELIVER, .run = follow };
	channel->idle_timeout = options->idle_timeout > 0 ? options->idle_timeout : IDLE_TIMEOUT;
	channel->subchannel = (struct mrpc_subchannel_config){
		.loop = channel->loop,
		.tls = channel->tls,
		.user_agent = channel->user_agent,
		.compressors = &channel->compressors,
		.limits = options->limits,
		.counts = &channel->counts,
		.keepalive = &channel->keepalive,
		.backoff_initial = options->backoff_initial,
		.backoff_max = options->backoff_max,
		.connect_timeout = options->connect_timeout,
		.max_connections = mrpc_channel_max_connections(channel),
		.on_returned = mrpc_balancing_on_returned,
		.call = &channel->call,
		.authority = channel->authority,
		.on_change = mrpc_balancing_on_change,
		.user = channel,
	};
	mrpc_channel_check_health(channel);
	if (options->load_balancing != NULL) {
		if (mrpc_balancer_find(channel->balancers, options->load_balancing) == NULL)
			return -EINVAL;
		channel->load_balancing = mrpc_strdup(options->load_balancing);
		if (channel->load_balancing == NULL)
			return -ENOMEM;
	}
	r = mrpc_timer_bind(&channel->idle_timer, &channel->loop->timers, on_idle_timer);
	if (r < 0)
		return r;
	if (channel->target.kind == MRPC_TARGET_ATTACHED)
		return begin_attached(channel);
	return begin_resolving(channel, target, options);
}

void mrpc_channel_end_servers(minirpc_channel *channel)
{
	mrpc_resolving_stop(&channel->resolving); /* first, or a policy's last word is a push */
	stop_all(channel, MINIRPC_SHUTDOWN);
	while (!mrpc_list_is_empty(&channel->subchannels))
		mrpc_subchannel_free(
			mrpc_container(channel->subchannels.next, struct mrpc_subchannel, node));
	mrpc_resolving_clear(&channel->resolving);
	mrpc_timer_unbind(&channel->idle_timer);
	mrpc_free(channel->balancers);
	mrpc_free(channel->load_balancing);
	mrpc_free(channel->target_text);
	mrpc_free(channel->dns_servers);
	mrpc_proxy_clear(&channel->proxy);
}

/* SPDX-License-Identifier: MIT */
/* Resolving: between a channel and its resolver, which may be the user's and is not trusted with anything.
 *
 *	channel                     resolving                        resolver
 *	start ----------------------> task -------------------------> start
 *	again ------> not before last + min_interval ----> task ----> again
 *	on_result <------------------ checks <----------------------- minirpc_resolving_push
 *	on_failure <----------------- backoff, then again <---------- minirpc_resolving_fail
 *	stop -------------------------------------------------------> stop
 *
 * One timer serves two purposes, never at once: after a failure it is the backoff, and who asks for a fresh
 * list in the meantime gets it when that is over; otherwise it is the rest of the minimum interval [L-2].
 *
 * Whatever calls out (to the resolver, to the owner) may find on its return that the channel was freed:
 * `freed` points to the caller's flag. */
#include "client/resolving.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SCHEME_MAX 32u
#define REASON_MAX 400
#define NOTE_MAX 400
#define DNS_SERVERS_MAX 1024u

/* ---- Which resolver ---- */

static bool is_scheme(const char *scheme)
{
	size_t len = scheme == NULL ? 0 : strnlen(scheme, SCHEME_MAX + 1);

	for (size_t i = 0; i < len; i++)
		if (!((scheme[i] >= 'a' && scheme[i] <= 'z') ||
		      (scheme[i] >= '0' && scheme[i] <= '9') || scheme[i] == '-'))
			return false;
	return len > 0 && len <= SCHEME_MAX;
}

/* The resolver of the user's that the target names; NULL when there is none. *ret_rest: behind the colon. */
static const struct minirpc_resolver_use *find_own(const struct minirpc_resolver_use *own,
						   const char *target, const char **ret_rest)
{
	for (; own != NULL && own->resolver != NULL; own++) {
		size_t len = strlen(own->resolver->scheme);

		if (strncasecmp(target, own->resolver->scheme, len) == 0 && target[len] == ':') {
			*ret_rest = target + len + 1;
			return own;
		}
	}
	return NULL;
}

int mrpc_resolving_parse(struct mrpc_target *target, const char *text,
			 const struct minirpc_resolver_use *own)
{
	const char *rest;

	for (const struct minirpc_resolver_use *use = own; use != NULL && use->resolver != NULL;
	     use++)
		if (!is_scheme(use->resolver->scheme) || use->resolver->start == NULL)
			return -EINVAL;
	if (find_own(own, text, &rest) != NULL)
		return mrpc_target_own(target, rest);
	return mrpc_target_parse(target, text); /* an unknown scheme is a name [L-1] */
}

static void choose(struct minirpc_resolving *resolving)
{
	const struct minirpc_resolver_use *own =
		find_own(resolving->config.own, resolving->config.target, &resolving->rest);

	resolving->config.own = NULL; /* the caller's, and only during init */
	if (own != NULL) {
		resolving->resolver = own->resolver;
		resolving->resolver_user = own->user;
		return;
	}
	resolving->rest = resolving->config.target; /* they look at what was parsed */
	resolving->resolver_user = resolving;
	switch (resolving->config.parsed->kind) {
	case MRPC_TARGET_DNS:
		resolving->resolver =
			resolving->config.proxied ? &mrpc_resolver_list : &mrpc_resolver_dns;
		break;
	case MRPC_TARGET_ADDRESSES:
	case MRPC_TARGET_LIST:
		resolving->resolver = &mrpc_resolver_list;
		break;
	case MRPC_TARGET_OWN:
	case MRPC_TARGET_ATTACHED:
		break;
	}
}

/* "10.0.0.1:53,[::1],10.0.0.2": addresses, because a name would have to be resolved. */
static int check_servers(const char *servers)
{
	if (servers == NULL)
		return 0;
	if (strnlen(servers, DNS_SERVERS_MAX + 1) > DNS_SERVERS_MAX)
		return -EINVAL;
	for (const char *at = servers;;) {
		size_t len = strcspn(at, ",");
		struct mrpc_host_port host;
		struct mrpc_address address;

		if (mrpc_host_port_split(&host, at, len) < 0 || (host.has_port && host.port == 0) ||
		    mrpc_address_from_ip(&address, host.bracketed ? AF_INET6 : AF_INET, host.host,
					 host.host_len, host.port) < 0)
			return -EINVAL;
		if (at[len] == '\0')
			return 0;
		at += len + 1;
	}
}

/* ---- At work ---- */

static void wait_for_backoff(struct minirpc_resolving *resolving)
{
	if (resolving->failed)
		return; /* one that fails twice does not wait longer for it */
	resolving->failed = true;
	mrpc_timer_set(&resolving->timer, mrpc_time_add(resolving->config.loop->now,
							mrpc_backoff_next(&resolving->backoff)));
}

static void fail(struct minirpc_resolving *resolving, const char *reason)
{
	minirpc_loop *loop = resolving->config.loop;
	char text[REASON_MAX];

	mrpc_loop_refresh(loop);
	snprintf(text, sizeof text, "%s",
		 reason != NULL && reason[0] != '\0' ? reason : "name resolution failed");
	mrpc_log(&loop->log, MINIRPC_LOG_INFO, "%s", text);
	wait_for_backoff(resolving);
	resolving->config.on_failure(text, resolving->config.user); /* last, it may free us */
}

/* Begins; the resolver may do anything in there but what it should: push, fail, free the channel. Whatever
 * happens, a start that succeeded is followed by one stop. */
static void start_resolver(struct minirpc_resolving *resolving)
{
	const struct minirpc_resolver *resolver = resolving->resolver;
	bool freed = false, *outer = resolving->freed;
	char reason[REASON_MAX];
	void *self = NULL;
	int r;

	resolving->freed = &freed;
	resolving->started = resolving->starting = true;
	r = resolver->start(resolving, resolving->rest, resolving->resolver_user, &self);
	if (freed || !resolving->started) {
		if (r == 0 && resolver->stop != NULL)
			resolver->stop(self);
		if (freed)
			return;
	}
	resolving->freed = outer;
	resolving->starting = false;
	if (!resolving->started)
		return;
	if (r == 0) {
		resolving->self = self;
		return;
	}
	snprintf(reason, sizeof reason, "the resolver for %s cannot start: %s",
		 resolving->config.target, mrpc_error_text(r));
	resolving->started = false;
	fail(resolving, reason);
}

/* Does in DELIVER, where user code runs, what the channel and the timer want. */
static void work(struct mrpc_task *task)
{
	struct minirpc_resolving *resolving = mrpc_container(task, struct minirpc_resolving, task);

	if (!resolving->wanted || (resolving->started && !resolving->asked))
		return;
	resolving->last = resolving->config.loop->now;
	resolving->asked = resolving->failed = false;
	if (!resolving->started)
		start_resolver(resolving);
	else if (resolving->resolver->again != NULL)
		resolving->resolver->again(resolving->self); /* last, it may free us */
}

static void on_time(struct mrpc_timer *timer, minirpc_time now)
{
	struct minirpc_resolving *resolving =
		mrpc_container(timer, struct minirpc_resolving, timer);

	(void)now;
	resolving->asked = true;
	mrpc_turn_wake(&resolving->config.loop->turn, &resolving->task);
}

/* ---- What resolvers say ---- */

int minirpc_resolving_push(minirpc_resolving *to, const struct minirpc_resolver_result *result)
{
	bool freed = false, *outer = to->freed;
	struct minirpc_resolver_result checked;
	char text[NOTE_MAX > MRPC_ENDPOINTS_ERROR ? NOTE_MAX : MRPC_ENDPOINTS_ERROR];
	int r;

	if (!to->started || result == NULL)
		return -EINVAL;
	mrpc_loop_refresh(to->config.loop);
	r = mrpc_endpoints_check(result->endpoints, result->endpoint_count, text);
	if (r < 0) {
		mrpc_log(&to->config.loop->log, MINIRPC_LOG_WARNING,
			 "what the resolver says of %s is refused: %s", to->config.target, text);
		return r;
	}
	checked = *result;
	if (result->note != NULL) {
		snprintf(text, NOTE_MAX, "%s", result->note);
		checked.note = text;
	}
	if (to->failed)
		mrpc_timer_stop(&to->timer);
	to->failed = false;
	to->told = true;
	to->freed = &freed;
	r = to->config.on_result(&checked, to->config.user);
	if (freed) {
		if (outer != NULL)
			*outer = true;
		return r;
	}
	to->freed = outer;
	if (r == 0) {
		mrpc_backoff_reset(&to->backoff);
	} else if (to->started) { /* a list that found no memory: once more, later */
		to->told = false;
		wait_for_backoff(to);
	}
	return r;
}

void minirpc_resolving_fail(minirpc_resolving *to, const char *reason)
{
	if (to->started)
		fail(to, reason);
}

minirpc_loop *minirpc_resolving_loop(const minirpc_resolving *to)
{
	return to->config.loop;
}

/* ---- What the channel wants ---- */

int mrpc_resolving_init(struct minirpc_resolving *resolving,
			const struct mrpc_resolving_config *config)
{
	int r = check_servers(config->dns_servers);

	if (r < 0)
		return r;
	if ((config->dns_servers != NULL || config->parsed->server != NULL) &&
	    !mrpc_resolve_asks_servers())
		return -ENOTSUP;
	*resolving = (struct minirpc_resolving){
		.config = *config,
		.task = { .phase = MRPC_DELIVER, .run = work },
	};
	if (config->min_interval <= 0)
		resolving->config.min_interval = MRPC_RESOLUTION_INTERVAL;
	choose(resolving);
	mrpc_backoff_init(&resolving->backoff, config->backoff_initial, config->backoff_max,
			  config->seed);
	return mrpc_timer_bind(&resolving->timer, &config->loop->timers, on_time);
}

void mrpc_resolving_clear(struct minirpc_resolving *resolving)
{
	mrpc_resolving_stop(resolving);
	if (resolving->freed != NULL)
		*resolving->freed = true;
	resolving->freed = NULL;
	mrpc_timer_unbind(&resolving->timer);
	resolving->list = mrpc_free(resolving->list);
}

void mrpc_resolving_start(struct minirpc_resolving *resolving)
{
	if (resolving->wanted || resolving->resolver == NULL)
		return;
	mrpc_loop_refresh(resolving->config.loop);
	resolving->wanted = true;
	mrpc_turn_wake(&resolving->config.loop->turn, &resolving->task);
}

void mrpc_resolving_stop(struct minirpc_resolving *resolving)
{
	bool started = resolving->started && !resolving->starting;
	void *self = resolving->self;

	if (!resolving->wanted)
		return;
	mrpc_task_sleep(&resolving->task);
	mrpc_timer_stop(&resolving->timer);
	resolving->wanted = resolving->started = resolving->asked = resolving->failed = false;
	resolving->self = NULL;
	if (started && resolving->resolver->stop != NULL)
		resolving->resolver->stop(self);
}

void mrpc_resolving_again(struct minirpc_resolving *resolving)
{
	minirpc_loop *loop = resolving->config.loop;
	minirpc_time at;

	/* Not begun, asked already, or after a failure: that comes by itself. */
	if (!resolving->started || resolving->asked || resolving->failed)
		return;
	mrpc_loop_refresh(loop);
	at = mrpc_time_add(resolving->last, resolving->config.min_interval);
	if (at > loop->now) {
		mrpc_timer_set(&resolving->timer, at);
		return;
	}
	mrpc_timer_stop(&resolving->timer);
	resolving->asked = true;
	mrpc_turn_wake(&loop->turn, &resolving->task);
}

/* SPDX-License-Identifier: MIT */
/* Resolver of names: io/resolve on the channel's loop, every A and AAAA record an endpoint.
 *
 *	start, again --+--> A, AAAA --+--> push ----------------- TTL ------> again, at the minimum interval
 *	               |              |
 *	               +--> TXT ------+         (without addresses: fail, the old list stays, again after the backoff)
 *
 * The records' TTL is kept: a list is looked up anew when the first of its records has run out, also while all
 * its connections are well. So new servers behind a name (a headless service of Kubernetes that was scaled
 * up) get their share without anybody losing a connection; grpc-go and C-core ask only when one is lost.
 *
 * The TXT record with a service config [L-7] is asked for at the same time, but is worth little waiting: users of
 * others know the name server that does not answer TXT, and every first call is late. Here addresses wait for it
 * TXT_GRACE and no longer; a config that comes later is told then. None is no error. One with a mistake leaves
 * the last good one in force; when there never was an answer the channel fails [L-8]. No TXT is asked for what needs no
 * packet: literals, localhost, /etc/hosts.
 *
 * Choices with a percentage are drawn once for a channel, so that it does not change sides with every look-up. */
#include "client/config.h"
#include "client/resolving.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_UP_TIME MINIRPC_S(20)
#define TXT_GRACE MINIRPC_MS(250)
#define TXT_PREFIX "grpc_config="

struct dns {
	struct minirpc_resolving *to;
	struct mrpc_resolution *names, *txt; /* look-ups under way */
	struct mrpc_timer timer;             /* names: takes too long; else the TTL */
	struct mrpc_timer grace;             /* there are addresses, and they wait for txt */
	struct mrpc_address *addresses;      /* the last good ones */
	size_t count;
	char *config;     /* that of the last good TXT answer; NULL: it says there is none */
	bool knows;       /* there was a good TXT answer */
	bool has_mistake; /* the last one was none */
};

static void stop_names(struct dns *dns)
{
	mrpc_timer_stop(&dns->timer);
	mrpc_resolution_free(dns->names);
	dns->names = NULL;
}

static void stop_txt(struct dns *dns)
{
	mrpc_timer_stop(&dns->grace);
	mrpc_resolution_free(dns->txt);
	dns->txt = NULL;
}

static void fail(struct dns *dns, const char *what, const char *why)
{
	char reason[600];

	snprintf(reason, sizeof reason, "%s of %s failed: %s", what, dns->to->config.parsed->host,
		 why);
	minirpc_resolving_fail(dns->to, reason); /* last, it may free us */
}

static void push(struct dns *dns)
{
	if (dns->has_mistake && !dns->knows)
		fail(dns, "name resolution", "its service config (DNS TXT) has a mistake");
	else
		(void)mrpc_resolving_push_addresses(dns->to, dns->addresses, dns->count,
						    dns->config); /* last */
}

/* ---- Addresses ---- */

static void on_names(void *user, const struct mrpc_address *addresses, size_t count, int error,
		     const char *reason)
{
	struct dns *dns = user;
	minirpc_time now = dns->to->config.loop->now, ttl = mrpc_resolution_ttl(dns->names);
	struct mrpc_address *copy;

	stop_names(dns); /* addresses and reason live until we return */
	if (error < 0) {
		stop_txt(dns);
		fail(dns, "name resolution", reason);
		return;
	}
	copy = mrpc_alloc(count * sizeof *copy);
	if (copy == NULL) {
		fail(dns, "name resolution", mrpc_error_text(ENOMEM));
		return;
	}
	memcpy(copy, addresses, count * sizeof *copy);
	mrpc_free(dns->addresses);
	dns->addresses = copy;
	dns->count = count;
	mrpc_timer_set(&dns->timer, mrpc_time_add(now, ttl));
	if (dns->txt != NULL)
		mrpc_timer_set(&dns->grace, mrpc_time_add(now, TXT_GRACE));
	else
		push(dns);
}

/* ---- TXT ---- */

/* Returns true when the config is another one now. */
static bool take_text(struct dns *dns, const char *text)
{
	const struct mrpc_resolving_config *config = &dns->to->config;
	struct mrpc_config *parsed = NULL;
	char error[200], name[256] = "", *json = NULL;
	bool changed = !dns->knows;
	int r = 0;

	(void)gethostname(name, sizeof name - 1);
	if (text != NULL)
		r = mrpc_config_choose_from_txt(&json, text, (unsigned)(config->seed % 100),
						name[0] != '\0' ? name : NULL, error, sizeof error);
	if (r == 0 && json != NULL)
		r = mrpc_config_from_json(&parsed, json, 0, error, sizeof error);
	mrpc_config_unref(parsed);
	dns->has_mistake = r < 0;
	if (r < 0) {
		mrpc_log(&config->loop->log, MINIRPC_LOG_WARNING,
			 "the service config of %s (DNS TXT) is refused: %s", config->parsed->host,
			 r == -ENOMEM ? mrpc_error_text(r) : error);
		mrpc_free(json);
		return false;
	}
	if (json == NULL || dns->config == NULL)
		changed = changed || json != dns->config;
	else
		changed = changed || strcmp(json, dns->config) != 0;
	mrpc_free(dns->config);
	dns->config = json;
	dns->knows = true;
	return changed;
}

static void on_text(void *user, const char *text, int error)
{
	struct dns *dns = user;
	bool waited = mrpc_timer_is_set(&dns->grace), changed = false;

	stop_txt(dns); /* text lives until we return */
	if (text != NULL || error == -ENOENT)
		changed = take_text(dns, text);
	/* Otherwise nobody knows, and what was good goes on. */
	if (waited || (dns->names == NULL && changed))
		push(dns);
}

static void on_grace(struct mrpc_timer *timer, minirpc_time now)
{
	(void)now;
	push(mrpc_container(timer, struct dns, grace));
}

/* ---- The resolver ---- */

static int look_up(struct dns *dns)
{
	const struct mrpc_resolving_config *config = &dns->to->config;
	const struct mrpc_target *target = config->parsed;
	const char *servers = target->server != NULL ? target->server : config->dns_servers;
	char name[300];
	int r;

	r = mrpc_resolve_by(&dns->names, config->loop, servers, target->host, target->port,
			    on_names, dns);
	if (r < 0)
		return r;
	mrpc_timer_set(&dns->timer, mrpc_time_add(config->loop->now, LOOK_UP_TIME));
	if (!config->ask_for_config || !mrpc_resolution_is_asking(dns->names))
		return 0;
	stop_txt(dns);
	snprintf(name, sizeof name, "_grpc_config.%s", target->host);
	r = mrpc_resolve_txt(&dns->txt, config->loop, servers, name, TXT_PREFIX, on_text, dns);
	if (r < 0)
		dns->txt = NULL; /* as if nobody had answered */
	return 0;
}

static void again(void *self)
{
	struct dns *dns = self;
	int r;

	if (dns->names != NULL)
		return;
	r = look_up(dns);
	if (r < 0)
		fail(dns, "name resolution", mrpc_error_text(r));
}

static void on_time(struct mrpc_timer *timer, minirpc_time now)
{
	struct dns *dns = mrpc_container(timer, struct dns, timer);

	(void)now;
	if (dns->names == NULL) {
		mrpc_resolving_again(dns->to); /* which keeps the minimum interval */
		return;
	}
	stop_names(dns);
	stop_txt(dns);
	fail(dns, "name resolution", "no answer in time");
}

static void stop(void *self)
{
	struct dns *dns = self;

	stop_names(dns);
	stop_txt(dns);
	mrpc_timer_unbind(&dns->timer);
	mrpc_timer_unbind(&dns->grace);
	mrpc_free(dns->addresses);
	mrpc_free(dns->config);
	mrpc_free(dns);
}

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	struct mrpc_timers *timers = &to->config.loop->timers;
	struct dns *dns;
	int r;

	(void)target;
	(void)user;
	dns = mrpc_zalloc(sizeof *dns);
	if (dns == NULL)
		return -ENOMEM;
	dns->to = to;
	r = mrpc_timer_bind(&dns->timer, timers, on_time);
	if (r == 0)
		r = mrpc_timer_bind(&dns->grace, timers, on_grace);
	if (r == 0)
		r = look_up(dns);
	if (r < 0) {
		mrpc_timer_unbind(&dns->grace);
		mrpc_timer_unbind(&dns->timer);
		mrpc_free(dns);
		return r;
	}
	*ret_self = dns;
	return 0;
}

const struct minirpc_resolver mrpc_resolver_dns = { "dns", start, again, stop };

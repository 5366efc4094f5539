/* SPDX-License-Identifier: MIT */
/* Resolver of names: io/resolve on the channel's loop, every A and AAAA record an endpoint.
 *
 *	start, again --> look-up --> push ----------------- TTL ------> again, at the minimum interval
 *	                    |
 *	                    +------> fail: the old list stays; again after the backoff
 *
 * The records' TTL is kept: a list is looked up anew when the first of its records has run out, also while
 * all its connections are well. So new servers behind a name (a headless service of Kubernetes that was scaled
 * up) get their share without anybody losing a connection; grpc-go and C-core ask only when one is lost. */
#include "client/resolving.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>

#define LOOK_UP_TIME MINIRPC_S(20)

struct dns {
	struct minirpc_resolving *to;
	struct mrpc_resolution *resolution;
	struct mrpc_timer timer; /* a look-up that takes too long, or a TTL that runs out */
};

static void fail(struct dns *dns, const char *why)
{
	char reason[600];

	snprintf(reason, sizeof reason, "name resolution of %s failed: %s",
		 dns->to->config.parsed->host, why);
	minirpc_resolving_fail(dns->to, reason);
}

static void stop_look_up(struct dns *dns)
{
	mrpc_timer_stop(&dns->timer);
	mrpc_resolution_free(dns->resolution);
	dns->resolution = NULL;
}

static void on_resolved(void *user, const struct mrpc_address *addresses, size_t count, int error,
			const char *reason)
{
	struct dns *dns = user;
	minirpc_loop *loop = dns->to->config.loop;
	minirpc_time ttl = mrpc_resolution_ttl(dns->resolution);
	int r;

	stop_look_up(dns); /* addresses and reason live until we return */
	if (error < 0) {
		fail(dns, reason);
		return;
	}
	mrpc_timer_set(&dns->timer, mrpc_time_add(loop->now, ttl));
	r = mrpc_resolving_push_addresses(dns->to, addresses, count, NULL);
	if (r == -ENOMEM)
		fail(dns, mrpc_error_text(r));
}

static int look_up(struct dns *dns)
{
	const struct mrpc_resolving_config *config = &dns->to->config;
	const struct mrpc_target *target = config->parsed;
	int r;

	r = mrpc_resolve_by(&dns->resolution, config->loop,
			    target->server != NULL ? target->server : config->dns_servers,
			    target->host, target->port, on_resolved, dns);
	if (r == 0)
		mrpc_timer_set(&dns->timer, mrpc_time_add(config->loop->now, LOOK_UP_TIME));
	return r;
}

static void again(void *self)
{
	struct dns *dns = self;
	int r;

	if (dns->resolution != NULL)
		return;
	r = look_up(dns);
	if (r < 0)
		fail(dns, mrpc_error_text(r));
}

static void on_time(struct mrpc_timer *timer, minirpc_time now)
{
	struct dns *dns = mrpc_container(timer, struct dns, timer);

	(void)now;
	if (dns->resolution == NULL) {
		mrpc_resolving_again(dns->to); /* which keeps the minimum interval */
		return;
	}
	stop_look_up(dns);
	fail(dns, "no answer in time");
}

static void stop(void *self)
{
	struct dns *dns = self;

	stop_look_up(dns);
	mrpc_timer_unbind(&dns->timer);
	mrpc_free(dns);
}

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	struct dns *dns;
	int r;

	(void)target;
	(void)user;
	dns = mrpc_zalloc(sizeof *dns);
	if (dns == NULL)
		return -ENOMEM;
	dns->to = to;
	r = mrpc_timer_bind(&dns->timer, &to->config.loop->timers, on_time);
	if (r == 0)
		r = look_up(dns);
	if (r < 0) {
		mrpc_timer_unbind(&dns->timer);
		mrpc_free(dns);
		return r;
	}
	*ret_self = dns;
	return 0;
}

const struct minirpc_resolver mrpc_resolver_dns = { "dns", start, again, stop };

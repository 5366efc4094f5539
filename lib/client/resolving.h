/* SPDX-License-Identifier: MIT */
/* Resolving: a channel's resolver at work. Chooses the resolver for the target's scheme, starts it when the
 * channel leaves IDLE, checks what it pushes, asks it again (not too often, and with backoff after a failure).
 * See resolving.c; the resolvers themselves are resolver_dns.c and resolver_list.c. */
#ifndef MRPC_CLIENT_RESOLVING_H
#define MRPC_CLIENT_RESOLVING_H

#include "client/backoff.h"
#include "io/loop.h"
#include "io/resolve.h"

#include <minirpc/resolver.h>

#define MRPC_ENDPOINTS_MAX 1000u        /* of a result */
#define MRPC_ENDPOINT_ADDRESSES_MAX 32u /* of an endpoint */
#define MRPC_ADDRESSES_MAX 4096u        /* of all of them: pick_first compares each with each */
#define MRPC_ENDPOINTS_ERROR 200u
#define MRPC_RESOLUTION_INTERVAL MINIRPC_S(30) /* between two look-ups [L-2] */

struct mrpc_resolving_config {
	minirpc_loop *loop;
	const char *target;                     /* as the user wrote it; the owner's */
	const struct mrpc_target *parsed;       /* the owner's; its kind tells which built-in one */
	const struct minirpc_resolver_use *own; /* the user's; NULL: none. Read by init only */
	const char *dns_servers;                /* the owner's; NULL: the system's. The target's own goes first */
	bool ask_for_config;                    /* DNS: look for TXT [L-7] */
	bool proxied;                           /* DNS: a proxy resolves it [L-9] */
	minirpc_time min_interval;              /* 0: 30 s */
	minirpc_time backoff_initial, backoff_max; /* after failures; 0: as for connections */
	uint64_t seed;
	/* A result that has been checked: every address parses. In a turn, or inside minirpc_resolving_push. Returns
	 * what that says: 0, -EINVAL (service config), -ENOMEM. */
	int (*on_result)(const struct minirpc_resolver_result *result, void *user);
	/* No result, and why. */
	void (*on_failure)(const char *reason, void *user);
	void *user;
};

struct minirpc_resolving {
	struct mrpc_resolving_config config;
	const struct minirpc_resolver *resolver; /* NULL: the host brings the connections */
	void *resolver_user, *self;
	const char *rest;     /* of the target, behind the scheme */
	bool wanted, started; /* by the channel; told to the resolver, and not stopped again */
	bool starting;        /* inside the resolver's start */
	bool asked;           /* `again`, before its time has come */
	bool failed;          /* the last answer was none: the timer is the backoff's */
	struct mrpc_backoff backoff;
	minirpc_time last; /* when it was last started or asked */
	struct mrpc_timer timer;
	struct mrpc_task task;
	bool *freed;                 /* of whoever is calling out: to be set when we are cleared */
	struct mrpc_endpoints *list; /* "list:name": what was set; NULL: nothing yet */
	bool told;                   /* the channel has the last result */
};

/* The target as the channel wants to see it: schemes of the user's own first, then mrpc_target_parse. Returns 0,
 * -EINVAL (also: a resolver without start or with a scheme that cannot be one), -ENOMEM. */
int mrpc_resolving_parse(struct mrpc_target *target, const char *text,
			 const struct minirpc_resolver_use *own);

/* Returns 0; -EINVAL (dns_servers that are none), -ENOTSUP (built without what asks them), -ENOMEM. */
int mrpc_resolving_init(struct minirpc_resolving *resolving,
			const struct mrpc_resolving_config *config);
void mrpc_resolving_clear(struct minirpc_resolving *resolving); /* harmless on a zeroed one */

/* Leaves IDLE: starts, in a task (DELIVER: resolvers are user code). Nothing when it has been started. */
void mrpc_resolving_start(struct minirpc_resolving *resolving);
/* IDLE again: stops. */
void mrpc_resolving_stop(struct minirpc_resolving *resolving);
/* A fresh result is wanted: soon, but not sooner than min_interval after the last time. */
void mrpc_resolving_again(struct minirpc_resolving *resolving);

/* For minirpc_channel_set_addresses: kept, also while IDLE, and told at once when started. Returns 0; -EINVAL (no
 * "list:" target, or nonsense), -ENOMEM. */
int mrpc_resolving_set_list(struct minirpc_resolving *resolving,
			    const struct minirpc_endpoint *endpoints, size_t count);

/* What a user may hand us. Returns 0 or -EINVAL with a sentence. */
int mrpc_endpoints_check(const struct minirpc_endpoint *endpoints, size_t count,
			 char error[MRPC_ENDPOINTS_ERROR]);

/* A copy in one block (mrpc_free). NULL when there is no memory. */
struct mrpc_endpoints {
	size_t count;
	struct minirpc_endpoint *endpoints;
};
struct mrpc_endpoints *mrpc_endpoints_copy(const struct minirpc_endpoint *endpoints, size_t count);

/* For the built-in ones: a result of at least one address, each an endpoint of its own. As minirpc_resolving_push,
 * and has failed when it returns -ENOMEM. */
int mrpc_resolving_push_addresses(struct minirpc_resolving *to,
				  const struct mrpc_address *addresses, size_t count,
				  const char *service_config_json);

/* The built-in ones. Their user is the minirpc_resolving. */
extern const struct minirpc_resolver
	mrpc_resolver_dns; /* io/resolve; again after the records' TTL */
extern const struct minirpc_resolver
	mrpc_resolver_list; /* ipv4:, ipv6:, unix:, unix-abstract:, vsock:, list: */

#endif

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

struct mrpc_resolving_config {
	minirpc_loop *loop;
	const char *target;                     /* as the user wrote it; the owner's */
	const struct mrpc_target *parsed;       /* the owner's; its kind tells which built-in one */
	const struct minirpc_resolver_use *own; /* the user's; NULL: none. Read by init only */
	const char *dns_servers;                /* the owner's; NULL: the system's */
	bool ask_for_config;                    /* DNS: look for TXT [L-7] */
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
	const struct minirpc_resolver *resolver;
	void *resolver_user, *self;
	const char *rest; /* of the target, behind the scheme */
	bool started, wanted;
	struct mrpc_backoff backoff;
	minirpc_time last; /* when it was last started or asked */
	struct mrpc_timer timer;
	struct mrpc_task task;
};

/* Returns 0; -EINVAL (a scheme that nobody knows), -ENOMEM. */
int mrpc_resolving_init(struct minirpc_resolving *resolving,
			const struct mrpc_resolving_config *config);
void mrpc_resolving_clear(struct minirpc_resolving *resolving); /* harmless on a zeroed one */

/* Leaves IDLE: starts, in a task. Nothing when it has been started. */
void mrpc_resolving_start(struct minirpc_resolving *resolving);
/* IDLE again: stops. */
void mrpc_resolving_stop(struct minirpc_resolving *resolving);
/* A fresh result is wanted: soon, but not sooner than min_interval after the last time. */
void mrpc_resolving_again(struct minirpc_resolving *resolving);

/* The built-in ones. Their user is the minirpc_resolving's config. */
extern const struct minirpc_resolver
	mrpc_resolver_dns; /* io/resolve; again after the records' TTL */
extern const struct minirpc_resolver
	mrpc_resolver_list; /* ipv4:, ipv6:, unix:, unix-abstract:, vsock:, list: */

#endif

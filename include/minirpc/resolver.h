/* SPDX-License-Identifier: MIT */
/* Resolvers: where a channel learns the addresses of its server. Those for dns, ipv4, ipv6, unix,
 * unix-abstract and vsock are built in; this header is for your own: a registry, a file, a list
 * that your program keeps. A resolver pushes a new list whenever it likes.
 *
 *	static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
 *	{
 *		struct registry *registry = user;
 *
 *		registry_subscribe(registry, target, to); // calls minirpc_resolving_push
 *		return 0;
 *	}
 *
 *	static const struct minirpc_resolver registry_resolver = { "registry", start, NULL, stop };
 *
 *	minirpc_channel_new(&channel, loop, "registry:///cache", &(struct minirpc_channel_options){
 *		.resolvers = (const struct minirpc_resolver_use[]){
 *			{ &registry_resolver, registry }, { NULL } },
 *	});
 *
 * For a list that just sits in the program there is nothing to write: use "list:name" as the
 * target and minirpc_channel_set_addresses. */
#ifndef MINIRPC_RESOLVER_H
#define MINIRPC_RESOLVER_H

#include <minirpc/channel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A channel, as its resolver sees it. Gone when stop has been called. */
typedef struct minirpc_resolving minirpc_resolving;

/* One server, which may be reached by several addresses (IPv4 and IPv6 of one host): they are
 * tried in turn, and only one is connected to. */
struct minirpc_endpoint {
	/* "127.0.0.1:5051", "[::1]:5051", "unix:/path", "vsock:2:5051"; ended by NULL, 32 at
	 * most. No names: resolving them is what you do. */
	const char *const *addresses;
	const char *server_name; /* what its certificate must be for; NULL: the channel's */
	uint32_t weight;         /* for policies that look at it; 0: 1 */
};

struct minirpc_resolver_result {
	/* 1000 at most, with 4096 addresses in all; none: the name is good, but has no servers, and the channel cannot be
	 * READY. */
	const struct minirpc_endpoint *endpoints;
	size_t endpoint_count;
	const char *service_config_json; /* NULL: it has none, the application's counts */
	/* For the text of an UNAVAILABLE when nothing can be reached; may be NULL. */
	const char *note;
};

struct minirpc_resolver {
	const char *scheme; /* of the target: lower-case letters, digits, '-' */
	/* Begins. target is what follows the scheme and its colon. Must push, or fail, sooner or
	 * later, but not from inside this function. *ret_self is handed to the two below. Returns
	 * 0 or -errno. */
	int (*start)(minirpc_resolving *to, const char *target, void *user, void **ret_self);
	/* The channel has trouble with what it knows: a fresh list would be welcome. Not more often
	 * than the channel's min_resolution_interval. May be NULL. */
	void (*again)(void *self);
	/* The channel is freed, or idle (then start follows, some day). No push after this.
	 * Called from inside whatever ends it, so do not free the channel here. */
	void (*stop)(void *self);
};

struct minirpc_resolver_use {
	const struct minirpc_resolver *resolver;
	void *user;
};

/* A new result; copied. Any time, on the loop's thread. Nonsense is refused whole and loses
 * nothing: returns -EINVAL (an address that cannot be parsed, a service config with a mistake;
 * the sentence is in the channel's log), -ENOMEM, or 0. A mistake in the config alone leaves the
 * config of the last good result in force with the new addresses; without one the channel is in
 * TRANSIENT_FAILURE [L-8]. */
MINIRPC_API int minirpc_resolving_push(minirpc_resolving *to,
				       const struct minirpc_resolver_result *result);

/* It did not work out. What was pushed before stays in force; without any, calls that do not wait
 * for ready fail with this reason. `again` follows after a backoff. */
MINIRPC_API void minirpc_resolving_fail(minirpc_resolving *to, const char *reason);

MINIRPC_API minirpc_loop *minirpc_resolving_loop(const minirpc_resolving *to);

/* For a "list:name" target: the addresses from now on. Returns 0; -EINVAL (another kind of
 * target, or nonsense), -ENOMEM. */
MINIRPC_API int minirpc_channel_set_addresses(minirpc_channel *channel,
					      const struct minirpc_endpoint *endpoints,
					      size_t count);

#ifdef __cplusplus
}
#endif

#endif

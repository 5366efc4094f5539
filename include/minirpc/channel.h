/* SPDX-License-Identifier: MIT */
/* A channel: where a client's calls go. It names a service, not a connection: it looks the name
 * up and connects when the first call needs it, and again, with backoff, whenever a connection is
 * lost.
 *
 *	minirpc_channel *channel;
 *
 *	r = minirpc_channel_new(&channel, NULL, "localhost:5051", NULL); // NULL: no loop, for _wait calls
 *	r = rpc_cache_get_wait(channel, &request, NULL, &response, &status);
 *	minirpc_channel_free(channel);
 *
 * Targets [L-1]; what begins with no known scheme is a name:
 *
 *	host:port, dns:///host:port     a name; port 443 when missing
 *	dns://10.0.0.1/host:port        the same, asked of that DNS server
 *	ipv4:10.0.0.1:5,10.0.0.2:5      addresses; also ipv6:[::1]:5
 *	unix:/path, unix-abstract:name  also unix:relative and unix:///path
 *	vsock:cid:port                  between a virtual machine and its host
 *	list:name                       what minirpc_channel_set_addresses says
 *	scheme:...                      a resolver of your own, see resolver.h
 *	attached:name                   connections whose bytes the host moves, see conn.h
 *
 * Behind a target may be many servers: .load_balancing says how calls are spread over them. */
#ifndef MINIRPC_CHANNEL_H
#define MINIRPC_CHANNEL_H

#include <minirpc/call.h>
#include <minirpc/compress.h>
#include <minirpc/limits.h>
#include <minirpc/loop.h>
#include <minirpc/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* [B-2] */
enum minirpc_channel_state {
	MINIRPC_IDLE,              /* no connection, and nobody asked for one */
	MINIRPC_CONNECTING,        /* names are resolved, connections made; calls wait */
	MINIRPC_READY,             /* calls go out */
	MINIRPC_TRANSIENT_FAILURE, /* tried and failed; calls fail, unless they wait for ready */
	MINIRPC_SHUTDOWN           /* being freed */
};

struct minirpc_use;            /* interceptor.h */
struct minirpc_service_config; /* service_config.h */
struct minirpc_retry_policy;
struct minirpc_balancer_use; /* balancer.h */
struct minirpc_resolver_use; /* resolver.h */

struct minirpc_channel_options {
	minirpc_tls *tls;           /* NULL: clear text; a reference is taken */
	const char *authority;      /* :authority to send; NULL: the target's own [L-1] */
	const char *user_agent;     /* put before "grpc-c-minirpc/0.1.0" [W-11]; NULL: nothing */
	size_t max_receive_message; /* bytes of one response; 0: 4 MiB [S-7] */
	size_t max_send_message;    /* bytes of one request; 0: 2^32-1 */
	size_t send_queue;          /* bytes that wait in one call before -EAGAIN; 0: 64 KiB */
	/* Bytes of a call's requests kept for another attempt; above that the call is not repeated
	 * 0: 256 KiB. */
	size_t max_replay;
	minirpc_time backoff_initial; /* connection backoff [B-1]; 0: 1 s */
	minirpc_time backoff_max;     /* 0: 120 s */
	minirpc_time connect_timeout; /* the least time an attempt gets, TLS included; 0: 20 s */
	/* To accept and to choose from besides gzip and deflate; ended by NULL, 12 at most; each
	 * stays yours, and valid. */
	const struct minirpc_compressor *const *compressors;
	bool only_compressors;   /* those alone; with NULL: nothing is accepted */
	const char *compression; /* of requests: "gzip"; NULL: none */
	struct minirpc_conn_limits limits;
	struct minirpc_keepalive keepalive; /* [K-1] */

	/* For every call, see interceptor.h; ended by an empty entry. */
	const struct minirpc_use *interceptors;

	/* How calls are made, see service_config.h. At most one of the first two. */
	const struct minirpc_service_config *service_config;
	const char *service_config_json;
	bool no_resolver_config; /* what the resolver says is not looked at (DNS: not asked for) */
	bool no_retry; /* no retry and no hedging policy; transparent retries stay */
	/* For methods marked idempotent or without side effects in the .proto, where the service
	 * config has no policy for them; NULL: none. */
	const struct minirpc_retry_policy *retry_safe;
	unsigned max_attempts; /* cap of every policy's; 0: 5 */
	/* To one server: cap of the service config's [B-5]; 0: 10. */
	unsigned max_connections_per_subchannel;
	size_t max_replay_total; /* as max_replay, of all calls together; 0: 16 MiB */

	/* Which servers, see resolver.h and balancer.h. */

	/* "pick_first", "round_robin", "least_request", or one of balancers; NULL: pick_first; a
	 * service config goes first [L-3]. */
	const char *load_balancing;
	const struct minirpc_balancer_use *balancers; /* your own; ended by an empty entry */
	const struct minirpc_resolver_use *resolvers; /* your own; ended by an empty entry */
	/* Between two look-ups of a name, also when its records' TTL is shorter; 0: 30 s. */
	minirpc_time min_resolution_interval;
	/* Without calls for so long the channel closes its connections and is IDLE [B-2];
	 * 0: 30 min; MINIRPC_NEVER: never. */
	minirpc_time idle_timeout;
	const char *dns_servers; /* "10.0.0.1:53,[::1]"; NULL: the system's; not without c-ares */
	/* HTTP CONNECT proxy [L-9]: "host:port" or "http://user:password@host:port"; it resolves
	 * the name. NULL: none; the environment is not looked at. */
	const char *proxy;
	/* Targets that are reached without it: "localhost,.example.org,10.0.0.0/8"; NULL: none. */
	const char *no_proxy;
	void *reserved[6]; /* leave 0 */
};

/* Makes a channel; nothing is resolved or connected yet. loop NULL: the channel brings a loop of
 * its own, and is used with _wait calls or minirpc_call_wait. Everything in options is copied, the
 * lists too; the interceptors, balancers, resolvers and compressors that they name stay yours.
 *
 * Returns 0, -EINVAL (target, dns_servers, proxy or no_proxy that cannot be parsed, limits out of
 * range, a time below 0, an authority or user agent that is empty or not printable ASCII, an
 * unknown compression or load balancing policy, a service config with a mistake, which the loop's
 * log names, a balancer or resolver that lacks a function), -ENOTSUP (dns_servers or
 * "dns://server/name" in a library that was built without c-ares), -ENOMEM, -EMFILE or -ENFILE
 * (own loop). */
MINIRPC_API int minirpc_channel_new(minirpc_channel **ret_channel, minirpc_loop *loop,
				    const char *target,
				    const struct minirpc_channel_options *options);

/* Ends everything: calls still open are cancelled without an on_end, connections are closed at
 * once. May be called from a callback. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_channel *minirpc_channel_free(minirpc_channel *channel);

/* The loop that the channel runs on; its own when it was made without. */
MINIRPC_API minirpc_loop *minirpc_channel_loop(const minirpc_channel *channel);

MINIRPC_API enum minirpc_channel_state minirpc_channel_state(const minirpc_channel *channel);

/* Replaces the application's service config while calls go on: those opened later see it. Returns
 * 0, or as minirpc_service_config_check, with the sentence in error (may be NULL); then the one
 * before stays. NULL takes it away. */
MINIRPC_API int minirpc_channel_set_service_config(minirpc_channel *channel, const char *json,
						   char *error, size_t error_size);

/* Closes connections that no call is on and goes to IDLE, as after idle_timeout; the others close
 * with their last call. The next call connects anew, and resolves. */
MINIRPC_API void minirpc_channel_enter_idle(minirpc_channel *channel);

/* Connects without waiting for a call; does nothing unless IDLE. */
MINIRPC_API void minirpc_channel_connect(minirpc_channel *channel);

/* Calls fn(channel, user) once, in a turn of the loop, when the state is another than `last` (at
 * once, in the next turn, when it is already). One watcher at a time; NULL forgets it. */
MINIRPC_API void minirpc_channel_watch(minirpc_channel *channel, enum minirpc_channel_state last,
				       void (*fn)(minirpc_channel *channel, void *user),
				       void *user);

/* Sums over all connections since the channel began. */
MINIRPC_API void minirpc_channel_counts(const minirpc_channel *channel,
					struct minirpc_conn_counts *ret_counts);

#ifdef __cplusplus
}
#endif

#endif

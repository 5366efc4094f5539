/* SPDX-License-Identifier: MIT */
/* A channel: where a client's calls go. It names a server, not a connection: it connects when the
 * first call needs it, and again, with backoff, whenever the connection is lost.
 *
 *	minirpc_channel *channel;
 *
 *	r = minirpc_channel_new(&channel, NULL, "localhost:5051", NULL); // NULL: no loop, for _wait calls
 *	r = rpc_cache_get_wait(channel, &request, NULL, &response, &status);
 *	minirpc_channel_free(channel);
 *
 * Targets [L-1]: "host:port", "dns:///host:port" (port 443 when missing), "dns://10.0.0.1/host:port" (asks that
 * server), "ipv4:1.2.3.4:5", "ipv6:[::1]:5", "unix:/path" (also "unix:relative" and "unix:///path"), "unix-abstract:name", "vsock:cid:port",
 * "list:name" (minirpc_channel_set_addresses), schemes of your own (resolver.h), and
 * "attached:name" for connections whose bytes the host moves (conn.h). ipv4 and ipv6 take a list:
 * "ipv4:10.0.0.1:5,10.0.0.2:5". */
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

enum minirpc_channel_state { /* [B-2] */
			     MINIRPC_IDLE,
			     MINIRPC_CONNECTING,
			     MINIRPC_READY,
			     MINIRPC_TRANSIENT_FAILURE,
			     MINIRPC_SHUTDOWN
};

struct minirpc_use;            /* interceptor.h */
struct minirpc_service_config; /* service_config.h */
struct minirpc_retry_policy;
struct minirpc_balancer_use; /* balancer.h */
struct minirpc_resolver_use; /* resolver.h */

struct minirpc_channel_options {
	minirpc_tls *tls;             /* NULL: clear text; a reference is taken */
	const char *authority;        /* :authority to send; NULL: the target's own [L-1] */
	const char *user_agent;       /* put before "grpc-c-minirpc/0.1.0" [W-11] */
	size_t max_receive_message;   /* bytes of one response; 0: 4 MiB [S-7] */
	size_t max_send_message;      /* bytes of one request; 0: 2^32-1 */
	size_t send_queue;            /* bytes that wait in one call before -EAGAIN; 0: 64 KiB */
	size_t max_replay;            /* bytes of a call's requests kept for another attempt; above
					 that the call is not repeated; 0: 256 KiB */
	minirpc_time backoff_initial; /* connection backoff [B-1]; 0: 1 s */
	minirpc_time backoff_max;     /* 0: 120 s */
	minirpc_time connect_timeout; /* the least time an attempt gets, TLS included; 0: 20 s */
	const struct minirpc_compressor *const
		*compressors;    /* to accept and to choose from besides gzip and deflate; ended
				    by NULL, 12 at most; each stays yours, and valid */
	bool only_compressors;   /* those alone, without gzip and deflate; with NULL: nothing is
				    accepted */
	const char *compression; /* of requests: "gzip"; NULL: none */
	struct minirpc_conn_limits limits;
	struct minirpc_keepalive keepalive; /* [K-1] */

	const struct minirpc_use
		*interceptors; /* for every call, see interceptor.h; ended by an empty entry */

	/* How calls are made, see service_config.h. At most one of the first two. */
	const struct minirpc_service_config *service_config;
	const char *service_config_json;
	bool no_resolver_config; /* what the resolver says about that is not looked at (DNS: not asked for) */
	bool no_retry; /* no retry and no hedging policy; transparent retries stay */
	const struct minirpc_retry_policy
		*retry_safe;   /* for methods marked idempotent or without side
							  effects in the .proto, where the service config has no
							  policy for them */
	unsigned max_attempts; /* cap of every policy's; 0: 5 */
	size_t max_replay_total; /* bytes that all calls together keep for another attempt; 0: 16 MiB */

	/* Which servers, see resolver.h and balancer.h. */
	const char *
		load_balancing; /* "pick_first", "round_robin", "least_request", or one of balancers; NULL:
				       pick_first; a service config goes first [L-3] */
	const struct minirpc_balancer_use *balancers; /* your own; ended by an empty entry */
	const struct minirpc_resolver_use *resolvers; /* your own; ended by an empty entry */
	minirpc_time min_resolution_interval; /* between two look-ups of a name, also when its records' TTL
						 is shorter; 0: 30 s */
	minirpc_time
		idle_timeout; /* without calls for so long the channel closes its connections and is
				      IDLE; 0: 30 min [B-2]; MINIRPC_NEVER: never */
	const char *dns_servers; /* "10.0.0.1:53,[::1]:53"; NULL: the system's. Not without c-ares */
	const char *
		proxy; /* HTTP CONNECT proxy [L-9]: "host:port" or "http://user:password@host:port";
				 the environment is not looked at. The proxy resolves the name */
	const char *
		no_proxy; /* "localhost,.example.org,10.0.0.0/8": targets that are reached without it */
	void *reserved[6]; /* leave 0 */
};

/* Makes a channel; nothing is resolved or connected yet. loop NULL: the channel brings a loop of
 * its own, and is used with _wait calls or minirpc_call_wait. Everything in options is copied.
 * Returns 0, -EINVAL (target that cannot be parsed, limits out of range, a time below 0, an authority
 * or user agent that is empty or not printable ASCII, an unknown compression), -ENOTSUP (dns_servers or
 * "dns://server/name" in a library that was built without c-ares), -ENOMEM, -EMFILE or -ENFILE (own loop). */
MINIRPC_API int minirpc_channel_new(minirpc_channel **ret_channel, minirpc_loop *loop,
				    const char *target,
				    const struct minirpc_channel_options *options);

/* Ends everything: calls still open are cancelled without an on_end, connections are closed at
 * once. May be called from a callback. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_channel *minirpc_channel_free(minirpc_channel *channel);

/* The loop that the channel runs on; its own when it was made without. */
MINIRPC_API minirpc_loop *minirpc_channel_loop(const minirpc_channel *channel);

MINIRPC_API enum minirpc_channel_state minirpc_channel_state(const minirpc_channel *channel);

/* Replaces the application's service config while calls go on: those opened later see it. Returns 0, or as
 * minirpc_service_config_check, with the sentence in error (may be NULL); then the one before stays. NULL
 * takes it away. */
MINIRPC_API int minirpc_channel_set_service_config(minirpc_channel *channel, const char *json,
						   char *error, size_t error_size);

/* Closes connections that no call is on and goes to IDLE, as after idle_timeout; the others close with their
 * last call. The next call connects anew, and resolves. */
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

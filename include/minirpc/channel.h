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
 * Targets [L-1]: "host:port", "dns:///host:port" (port 443 when missing), "ipv4:1.2.3.4:5",
 * "ipv6:[::1]:5", "unix:/path" (also "unix:relative" and "unix:///path"), "unix-abstract:name", and
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
	void *reserved[6]; /* leave 0 */
};

/* Makes a channel; nothing is resolved or connected yet. loop NULL: the channel brings a loop of
 * its own, and is used with _wait calls or minirpc_call_wait. Everything in options is copied.
 * Returns 0, -EINVAL (target that cannot be parsed, limits out of range, a time below 0, an authority
 * or user agent that is empty or not printable ASCII, an unknown compression), -ENOMEM, -EMFILE or -ENFILE (own loop). */
MINIRPC_API int minirpc_channel_new(minirpc_channel **ret_channel, minirpc_loop *loop,
				    const char *target,
				    const struct minirpc_channel_options *options);

/* Ends everything: calls still open are cancelled without an on_end, connections are closed at
 * once. May be called from a callback. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_channel *minirpc_channel_free(minirpc_channel *channel);

/* The loop that the channel runs on; its own when it was made without. */
MINIRPC_API minirpc_loop *minirpc_channel_loop(const minirpc_channel *channel);

MINIRPC_API enum minirpc_channel_state minirpc_channel_state(const minirpc_channel *channel);

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

/* SPDX-License-Identifier: MIT */
/* A server: listeners, connections and a table of methods, on one loop.
 *
 *	r = minirpc_server_new(&server, loop, NULL);
 *	r = rpc_cache_serve(server, &handlers, cache);            // generated, see typed.h
 *	r = minirpc_server_listen(server, "localhost:5051", NULL);
 *	r = minirpc_loop_run(loop);
 *	minirpc_server_free(server);
 *
 * For N cores: N threads, each with a loop and a server of its own, all listening on one port with
 * .reuse_port. */
#ifndef MINIRPC_SERVER_H
#define MINIRPC_SERVER_H

#include <minirpc/call.h>
#include <minirpc/compress.h>
#include <minirpc/limits.h>
#include <minirpc/loop.h>
#include <minirpc/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct minirpc_server minirpc_server;

struct minirpc_use; /* interceptor.h */

/* What is known of a request before it costs anything: its headers are in, not a byte of its body
 * is kept, and nobody else has heard of it. Valid during the hook. */
struct minirpc_admission {
	minirpc_server *server;
	const char *path, *authority, *peer;
	const struct minirpc_metadata *metadata;
	minirpc_time timeout;                        /* MINIRPC_NEVER: none */
	size_t open_calls, open_connections, memory; /* of the server, now */
	const struct minirpc_conn_counts *counts;

	/* To set when it is refused. */

	/* For the client; static, or alive until the next admission; NULL: none. */
	const char *text;
	/* Another attempt is welcome after so long; below 0: is not welcome; 0: nothing is said
	 * [R-5]. */
	minirpc_time pushback;
};

struct minirpc_server_options {
	minirpc_tls *tls;           /* NULL: clear text; a reference is taken */
	size_t max_receive_message; /* bytes of one request; 0: 4 MiB [S-7] */
	size_t max_send_message;    /* bytes of one response; 0: 2^32-1 */
	size_t send_queue;          /* bytes that wait in one call before -EAGAIN; 0: 64 KiB */
	uint32_t max_connections;   /* more are accepted, closed at once and counted; 0: 10000 */
	/* To accept and to choose from besides gzip and deflate; ended by NULL, 12 at most; each
	 * stays yours, and valid. */
	const struct minirpc_compressor *const *compressors;
	bool only_compressors; /* those alone; with NULL: nothing is accepted */
	/* Of responses, where the client accepts it: "gzip"; NULL: none; see
	 * minirpc_call_set_compression. */
	const char *compression;
	struct minirpc_conn_limits limits;

	/* For every call, see interceptor.h; ended by an empty entry. */
	const struct minirpc_use *interceptors;

	/* Admission (the tap): called for each request whose headers are good. OK lets it in; any
	 * other code is the answer, at next to no cost. Do not call the library from it, but for
	 * what looks at metadata and counts. NULL: everybody comes in. */
	enum minirpc_code (*admit)(struct minirpc_admission *request, void *user);
	void *admit_user;
	/* Open at once, of all connections; more are answered RESOURCE_EXHAUSTED with
	 * grpc-retry-pushback-ms; 0: no limit but max_streams of each connection. */
	size_t max_calls;
	/* Bytes held by calls, their queues and decoded messages; above it new calls are answered
	 * RESOURCE_EXHAUSTED with grpc-retry-pushback-ms, and what runs gets no more. Not
	 * counted: the message of a stream that is being handled, of which a loop has one at a
	 * time, within limits.max_decode_bytes; what a connection itself takes. 0: no limit. */
	size_t max_memory;
	minirpc_time shed_pushback; /* what that field says then; 0: 1 s; below 0: nothing */

	/* Keys of metadata that calls with .parent inherit, all values of each; ended by NULL;
	 * NULL: "dry-run", "traceparent", "tracestate". */
	const char *const *hand_down;

	struct minirpc_keepalive keepalive;    /* [K-2, K-3] */
	minirpc_time max_connection_idle;      /* without calls; 0: no limit [G-3] */
	minirpc_time max_connection_age;       /* give or take 10 %; 0: no limit */
	minirpc_time max_connection_age_grace; /* for its calls after that; 0: no limit */
	void *reserved[6];                     /* leave 0 */
};

struct minirpc_listen_options {
	bool reuse_port;           /* SO_REUSEPORT: several servers share one port */
	bool only_ipv6;            /* "[::]:port" does not take IPv4 */
	int backlog;               /* connections that the kernel lets wait; 0: 1024 */
	unsigned accepts_per_turn; /* the rest waits for the next turn; 0: 64 */
	/* Without descriptors or memory: one peer is turned away, then nobody is accepted for so
	 * long; 0: 100 ms. */
	minirpc_time accept_pause;
	uint16_t *ret_port; /* where to put the port that was bound, for port 0; may be NULL */
	char *error;        /* a sentence about what failed; may be NULL */
	size_t error_size;  /* bytes that error has room for */
	void *reserved[4];  /* leave 0 */
};

/* Makes a server that does not listen yet. Everything in options is copied. Returns 0, -EINVAL
 * (no loop, limits out of range, a time below 0, TLS without a certificate, an unknown
 * compression, a key to hand down that minirpc_call_open would not take), -ENOMEM. */
MINIRPC_API int minirpc_server_new(minirpc_server **ret_server, minirpc_loop *loop,
				   const struct minirpc_server_options *options);

/* Frees: listeners close, connections close at once, and the handles of open calls are gone when
 * this returns, without an on_end. Use minirpc_server_drain or minirpc_server_stop before, for a
 * polite end. NULL is fine. May be called from a callback. Returns NULL. */
MINIRPC_API minirpc_server *minirpc_server_free(minirpc_server *server);

/* Adds a method as bytes; generated code does this through typed.h. For each call
 * events->on_headers is the first event, with this user pointer; minirpc_call_listen gives the
 * call another table or pointer. `drop` (may be NULL) is called with user when the server is
 * freed. method, path and events must stay valid as long as the server. Returns 0, -EEXIST (path
 * is taken), -EINVAL (path not "/service/method", what is no subtype, no events), -ENOMEM; then
 * drop is not called. */
MINIRPC_API int minirpc_server_add(minirpc_server *server, const struct minirpc_method *method,
				   const struct minirpc_call_events *events, void *user,
				   void (*drop)(void *user));

/* Takes every call whose path nobody else has, of any content subtype: for proxies. The method of
 * such a call streams both ways. Once for a server. What a path's own method does not speak is
 * still refused. Errors as minirpc_server_add; -EEXIST: there is one. */
MINIRPC_API int minirpc_server_add_fallback(minirpc_server *server,
					    const struct minirpc_call_events *events, void *user,
					    void (*drop)(void *user));

/* Takes away a method that was added, for a registration that fails half way; its drop is called.
 * Not while calls of it are open. An unknown path is fine. */
MINIRPC_API void minirpc_server_remove(minirpc_server *server, const char *path);

/* Listens on an address: "host:port", "[::1]:port", ":port" or "*:port" (any), "unix:/path",
 * "unix-abstract:name". A name means every address it resolves to, all on one and the same port,
 * port 0 included. May be called several times, also while running. Name resolution blocks.
 *
 * Returns 0, -EINVAL (also: a pause below 0), -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -ENOENT (no
 * such name), -EAGAIN (the name servers do not answer), -EMFILE, -ENOMEM, -ESHUTDOWN (draining or
 * stopped) and what else the system says. */
MINIRPC_API int minirpc_server_listen(minirpc_server *server, const char *address,
				      const struct minirpc_listen_options *options);

/* Adopts a listening socket, non-blocking or not (socket activation, sockets passed from a parent).
 * The server owns and closes it, unless this fails: then it stays yours. Returns 0, -EINVAL (not a
 * stream socket that listens), -EMFILE, -ENFILE, -ENOMEM, -ESHUTDOWN (draining or stopped). */
MINIRPC_API int minirpc_server_listen_fd(minirpc_server *server, int fd);

/* Stops gently: listeners close; every connection says GOAWAY in two steps [G-2], takes no new
 * calls and ends when its last call has; what is left after `grace` (0: no limit) is cancelled.
 * Then done(server, user) is called from the loop; it may free the server. Returns 0, or -EALREADY:
 * grace is replaced when it ends earlier. */
MINIRPC_API int minirpc_server_drain(minirpc_server *server, minirpc_time grace,
				     void (*done)(minirpc_server *server, void *user), void *user);

/* Stops hard: listeners close now, every connection says GOAWAY and closes within a second, open
 * calls get on_end(UNAVAILABLE) in the next turn. A drain that was under way is done with it. */
MINIRPC_API void minirpc_server_stop(minirpc_server *server);

MINIRPC_API minirpc_loop *minirpc_server_loop(const minirpc_server *server);

/* Sums over all connections since the server began; and what is open now. */
MINIRPC_API void minirpc_server_counts(const minirpc_server *server,
				       struct minirpc_conn_counts *ret_counts);
MINIRPC_API size_t minirpc_server_open_calls(const minirpc_server *server);
MINIRPC_API size_t minirpc_server_open_connections(const minirpc_server *server);

/* Bytes held by calls, their queues and decoded messages: what max_memory looks at. */
MINIRPC_API size_t minirpc_server_memory(const minirpc_server *server);

/* The server of a call that came in; NULL for a client's. */
MINIRPC_API minirpc_server *minirpc_call_server(const minirpc_call *call);

#ifdef __cplusplus
}
#endif

#endif

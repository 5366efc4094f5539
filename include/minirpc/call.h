/* SPDX-License-Identifier: MIT */
/* A call, at either end, as bytes: what the generated stubs are made of. Most programs never need
 * this header; it is the one for proxies, for other serializations, and for what the stubs leave
 * out (peer, metadata, pause).
 *
 * Every call obeys one grammar in each direction: headers? message* end. A client opens a call,
 * sends messages and ends its side; the server answers with messages and ends the call with a
 * status.
 *
 *	static const struct minirpc_call_events events = { .on_message = on_reply, .on_end = on_done };
 *	static const struct minirpc_method echo = { .path = "/demo.Echo/Echo" };
 *
 *	r = minirpc_call_open(&call, channel, &echo, NULL, &events, user);
 *	r = minirpc_call_send(call, "hi", 2);
 *	r = minirpc_call_end(call, NULL);
 *
 * Who owns the handle: a client's call lives until its on_end returns or until minirpc_call_cancel;
 * a server's call lives until the handler ends it with minirpc_call_end (or cancels it), also when
 * on_end has said before that the peer is gone. No event is ever delivered from inside one of these
 * functions. */
#ifndef MINIRPC_CALL_H
#define MINIRPC_CALL_H

#include <stdarg.h>

#include <minirpc/limits.h>
#include <minirpc/metadata.h>
#include <minirpc/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct minirpc_call minirpc_call;
typedef struct minirpc_channel minirpc_channel;

/* What is known of a method before any call of it. Must stay valid, unchanged, as long as a server
 * has it; minirpc_call_open copies what it needs. Generated code has them static. */
enum {
	MINIRPC_CLIENT_STREAMING = 1, /* any number of requests; otherwise exactly one [W-15] */
	MINIRPC_SERVER_STREAMING = 2, /* any number of responses; otherwise one, if it is OK */
	MINIRPC_IDEMPOTENT = 4,       /* idempotency_level of the .proto: safe to repeat */
	MINIRPC_NO_SIDE_EFFECTS = 8   /* idempotency_level of the .proto: only looks */
};

struct minirpc_method {
	const char *path; /* "/package.Service/Method" */
	unsigned flags;   /* the MINIRPC_ bits above; 0: unary */
	/* How messages are written, of "application/grpc+subtype" [W-4, W-9]: lower case, at most
	 * 122 characters. NULL: "proto", said by saying nothing. */
	const char *subtype;
};

struct minirpc_use;

struct minirpc_message {
	const void *data;
	size_t len;
	bool compressed; /* it travelled compressed; data is not */
};

/* What can happen to a call. Every pointer may be NULL. The order is: on_headers, then on_message
 * any number of times, then on_half_close (server only), and on_end at most once and last.
 * on_writable comes in between as room appears. */
struct minirpc_call_events {
	/* Client: the server's initial metadata. Server: a new call; the first event of each. */
	void (*on_headers)(minirpc_call *call, const struct minirpc_metadata *metadata, void *user);
	/* One whole message, valid during the event. When it returns, its flow-control credit goes
	 * back to the peer. */
	void (*on_message)(minirpc_call *call, const struct minirpc_message *message, void *user);
	/* Server only: the client will send no more messages. */
	void (*on_half_close)(minirpc_call *call, void *user);
	/* After minirpc_call_send answered -EAGAIN: there is room again. */
	void (*on_writable)(minirpc_call *call, void *user);
	/* Client: the call is over, this is its one status; trailing metadata by
	 * minirpc_call_trailers; the handle is gone when this returns. Server: the call is over
	 * before the handler ended it. The peer has left (CANCELLED), its time is up
	 * (DEADLINE_EXCEEDED), this server stops hard (UNAVAILABLE), the peer sent more or fewer
	 * requests than the method has (UNIMPLEMENTED, which is what it was told), one cannot be
	 * inflated (INTERNAL, or RESOURCE_EXHAUSTED above the limit; the same), or
	 * minirpc_call_abort said so (its status). Nothing that is sent arrives any more, and the
	 * handler still has to end the call, now or later. Not delivered after minirpc_call_end of
	 * a server or minirpc_call_cancel. */
	void (*on_end)(minirpc_call *call, const struct minirpc_status *status, void *user);
};

struct minirpc_call_options {
	/* From now; 0: no deadline of its own. A passed one (< 0): nothing is sent, on_end says
	 * DEADLINE_EXCEEDED in the next turn. */
	minirpc_time timeout;
	const struct minirpc_field *metadata; /* to send first; ended by an empty field; copied */
	/* A server's call on the same loop: its deadline bounds this call, this call is cancelled
	 * (on_end says CANCELLED) when that one is over in any way, and what its server hands
	 * down of its metadata (.hand_down in server.h) is sent too, where this call does not set
	 * the key itself [D-5]. NULL: none. */
	minirpc_call *parent;
	/* Wait, up to the deadline, while the server cannot be reached, instead of failing
	 * [B-3]. */
	bool wait_for_ready;
	/* Async stubs: where to put the handle, for minirpc_call_cancel; minirpc_call_open itself
	 * and _wait stubs do not look at it. */
	minirpc_call **ret_call;
	size_t max_receive_message; /* bytes of one response; 0: the channel's */
	const char *compression;    /* of requests: "gzip"; "identity": none; NULL: the channel's */
	/* :authority of this call; NULL: the channel's. With TLS the server's certificate must be
	 * good for it, otherwise UNAVAILABLE and nothing is sent [N-4]. */
	const char *authority;
	/* Behind the channel's, see interceptor.h; ended by an empty entry; copied. */
	const struct minirpc_use *interceptors;
	void *reserved[5]; /* leave 0 */
};

/* ---- Client ---- */

/* Opens a call. It waits for a connection by itself, connecting if need be; failures of the
 * network come as on_end, never from here. Returns 0; -EINVAL (path not "/service/method",
 * metadata that M-1 forbids or with a reserved key, what is no subtype, a parent that is no
 * server's call, an unknown compression, a malformed authority); -EXDEV (parent on another loop);
 * -E2BIG (metadata, with what is handed down, above the channel's limits.max_header_bytes);
 * -ENOMEM; -ESHUTDOWN (channel is being freed). The table of events must stay valid as long as
 * the call. */
MINIRPC_API int minirpc_call_open(minirpc_call **ret_call, minirpc_channel *channel,
				  const struct minirpc_method *method,
				  const struct minirpc_call_options *options,
				  const struct minirpc_call_events *events, void *user);

/* Runs the call's loop until the call is over; the client's own on_end is delivered as usual. For
 * programs without a loop of their own. Returns 0; otherwise the call is as it was: -EDEADLK when
 * the loop is running already (you are inside a callback); -EINVAL when the host runs the loop
 * (hooks, manual), and for a server's call; -ECANCELED when minirpc_loop_stop came first. */
MINIRPC_API int minirpc_call_wait(minirpc_call *call);

/* ---- Both ends ---- */

/* Sends one message; the bytes are copied.
 *
 * The only rule to learn: a message is taken whole while the bytes that wait in this call are
 * fewer than its queue limit (64 KiB unless set; a message weighs 5 bytes more than its data), so
 * an empty queue takes any message. Otherwise the answer is -EAGAIN, nothing was taken, and one
 * on_writable follows when there is room: when half of the limit is free, not for each message.
 * A compressed message weighs what is left of it; limits look at what you give.
 *
 * Returns 0, -EAGAIN, -EPIPE (our side has ended, or the call is over), -EMSGSIZE (above the send
 * limit or 2^32-1 bytes), -EPROTO (a second message where the method allows one), -ENOMEM, -EIO
 * (it could not be compressed). */
MINIRPC_API int minirpc_call_send(minirpc_call *call, const void *data, size_t len);

/* Whether minirpc_call_send would take a message now. False: one on_writable follows when there
 * is room. For proxies, which pause whoever sends instead of keeping what he sent. True also when
 * nothing can be sent any more, which minirpc_call_send then says. */
MINIRPC_API bool minirpc_call_has_room(minirpc_call *call);

/* As minirpc_call_send, without the copy: `write` is called once, at once, and must fill exactly
 * len bytes. */
MINIRPC_API int minirpc_call_send_with(minirpc_call *call, size_t len,
				       void (*write)(void *user, uint8_t *data), void *user);

/* Whether the messages sent from now on are compressed; at first they are, when a compression was
 * chosen. Without one it changes nothing. For a message that must not be: its size could tell a
 * secret [C-5]. Empty messages never are. */
MINIRPC_API void minirpc_call_compress(minirpc_call *call, bool compress);

/* Ends our side of the call.
 *
 * A client ends without status (NULL): "no more requests". A server ends with the status that the
 * client will see, and with that gives the call back: do not use it again. Messages sent before are
 * still delivered. NULL at a server is OK.
 *
 * Returns 0, or -EPIPE if our side has ended already (client). Never fails for lack of memory; at
 * worst the status goes out without its text. */
MINIRPC_API int minirpc_call_end(minirpc_call *call, const struct minirpc_status *status);

/* Server: minirpc_call_end with a code and a formatted text. */
MINIRPC_API void minirpc_call_fail(minirpc_call *call, enum minirpc_code code, const char *format,
				   ...) MINIRPC_PRINTF(3, 4);
MINIRPC_API void minirpc_call_vfail(minirpc_call *call, enum minirpc_code code, const char *format,
				    va_list args) MINIRPC_PRINTF(3, 0);

/* A goodbye from either end: the stream is reset, nothing more is sent or delivered (no on_end),
 * and the handle is gone. NULL is fine. */
MINIRPC_API void minirpc_call_cancel(minirpc_call *call);

/* Ends the call from our side with this status, to be told by on_end in the next turn. For
 * interceptors, parents, codecs and programs that want their on_end. A client's peer sees a
 * cancellation. A server's peer sees this status, behind the messages sent before (those that its
 * interceptors have let pass by now: it does not wait for them); the handler still has to end the
 * call, and what it says then comes too late. Returns 0, or -EPIPE (over
 * already). */
MINIRPC_API int minirpc_call_abort(minirpc_call *call, const struct minirpc_status *status);

/* As minirpc_call_abort, for codecs that refuse a message (malformed, above their limits): it is
 * counted as refused_decodes. */
MINIRPC_API int minirpc_call_refuse(minirpc_call *call, const struct minirpc_status *status);

/* Holds back on_message (and what follows it) until resume. The peer may go on sending until the
 * window is full, and is then held off by flow control. A reset, a deadline or a cancellation still
 * comes through. */
MINIRPC_API void minirpc_call_pause(minirpc_call *call);
MINIRPC_API void minirpc_call_resume(minirpc_call *call);

/* Replaces the table of events and the user pointer. The table must stay valid as long as the
 * call. */
MINIRPC_API void minirpc_call_listen(minirpc_call *call, const struct minirpc_call_events *events,
				     void *user);
MINIRPC_API void *minirpc_call_user(const minirpc_call *call);

/* Zeroed memory, aligned for anything, that lives as long as the call: until after the client's
 * on_end, or until the server's minirpc_call_end or cancel. NULL when there is none. For state of a
 * handler; there is nothing to free. */
MINIRPC_API void *minirpc_call_alloc(minirpc_call *call, size_t size);

/* ---- Server ---- */

/* Sends initial metadata now (the array may be NULL: none). Without it headers go with the first
 * message, or not at all when the call fails at once. Returns 0, -EINVAL (as minirpc_call_open),
 * -E2BIG (above the server's limits.max_header_bytes), -EPIPE (headers or messages were sent
 * before, the call is over, or a client's), -ENOMEM. */
MINIRPC_API int minirpc_call_send_headers(minirpc_call *call, const struct minirpc_field *metadata);

/* Chooses how the answer's messages are compressed: "gzip", or NULL or "identity" for not at all;
 * in place of the server's .compression. Before headers and messages are sent. Returns 0;
 * -ENOTSUP (the client does not accept it [C-4]: messages go uncompressed); -EINVAL (unknown),
 * -EPIPE (headers or messages were sent before, the call is over, or a client's): then nothing
 * has changed. */
MINIRPC_API int minirpc_call_set_compression(minirpc_call *call, const char *name);

/* Sets the trailing metadata that minirpc_call_end will send; replaces what was set before.
 * Returns 0, -EINVAL, -E2BIG (above the server's limits.max_header_bytes), -EPIPE (over, or a
 * client's), -ENOMEM; then what was set before stands. */
MINIRPC_API int minirpc_call_set_trailers(minirpc_call *call, const struct minirpc_field *metadata);

/* Says with a status other than OK when another attempt is welcome (grpc-retry-pushback-ms
 * ): after so long, in whole milliseconds rounded up; below 0: not at all. Returns 0,
 * -EINVAL (a client's), -EPIPE (over). */
MINIRPC_API int minirpc_call_set_pushback(minirpc_call *call, minirpc_time after);

/* Notes who the peer is, for whoever asks minirpc_call_principal; copied; NULL: nobody. Returns
 * 0, -EINVAL (a client's), -ENOMEM. */
MINIRPC_API int minirpc_call_set_principal(minirpc_call *call, const char *principal);

/* ---- To look at ---- */

/* Metadata that came in; NULL before on_headers. The server's also shows "user-agent". */
MINIRPC_API const struct minirpc_metadata *minirpc_call_headers(const minirpc_call *call);

/* What of metadata that came in can be sent on, for .metadata, minirpc_call_send_headers or
 * _set_trailers of another call: without what belongs to one hop (user-agent, grpc-...), and
 * without values that gRPC does not send [M-1, M-4]. The array lives as long as this call, its
 * texts as long as the metadata. NULL: no memory. */
MINIRPC_API const struct minirpc_field *
minirpc_call_forward(minirpc_call *call, const struct minirpc_metadata *metadata);

/* Client, in on_end: trailing metadata; NULL when there was none. */
MINIRPC_API const struct minirpc_metadata *minirpc_call_trailers(const minirpc_call *call);

MINIRPC_API const char *minirpc_call_path(const minirpc_call *call);      /* "/rpc.Cache/Get" */
MINIRPC_API const char *minirpc_call_authority(const minirpc_call *call); /* never NULL */
MINIRPC_API bool minirpc_call_is_server(const minirpc_call *call);

/* How the peer compresses those of its messages that are compressed: "gzip"; "identity" when none
 * is, and before on_headers. To answer in kind, hand it to minirpc_call_set_compression. */
MINIRPC_API const char *minirpc_call_peer_compression(const minirpc_call *call);

/* Whether the message that came last travelled compressed: for handlers of messages as structs,
 * which do not see struct minirpc_message. In the handler of a unary call that message is the
 * request. */
MINIRPC_API bool minirpc_call_was_compressed(const minirpc_call *call);

/* The other end: "ipv4:127.0.0.1:5051", "ipv6:[::1]:5051", "unix:/run/x.sock", or what conn.h was
 * given. Through a proxy the other end is the proxy. "" while a client's call has no connection.
 * Still known in on_end. */
MINIRPC_API const char *minirpc_call_peer(const minirpc_call *call);

/* Whether the call goes, or came, over TLS (or what a host vouches for, .secure in conn.h). A
 * client knows before it has a connection: a channel with TLS has no others. */
MINIRPC_API bool minirpc_call_is_secure(const minirpc_call *call);

/* The loop that the call lives on, for timers and for what is asked on its behalf. */
MINIRPC_API struct minirpc_loop *minirpc_call_loop(const minirpc_call *call);

/* Server: who the peer is, as the one who found out said with minirpc_call_set_principal: an
 * interceptor (see interceptors.h), before the handler heard of the call. NULL: nobody said. */
MINIRPC_API const char *minirpc_call_principal(const minirpc_call *call);

/* How messages are written: "proto", or what stands behind "application/grpc+". */
MINIRPC_API const char *minirpc_call_subtype(const minirpc_call *call);

/* Client: what became of the attempts so far. index counts from 0; the one under way has no
 * status yet and is not among them, until on_end. Texts live as long as the call. */
struct minirpc_attempt {
	enum minirpc_code code;
	const char *message;
	const char *peer;            /* "" : it never had a connection */
	minirpc_time started, ended; /* on the loop's clock */
	bool transparent; /* the server never saw it; it does not count for the policy */
};
MINIRPC_API unsigned minirpc_call_attempt_count(const minirpc_call *call);
MINIRPC_API bool minirpc_call_attempt(const minirpc_call *call, unsigned index,
				      struct minirpc_attempt *ret_attempt);

/* The peer's certificate in DER, when it sent one and it was verified; NULL otherwise, and once the
 * call has left its connection (in on_end). Lives as long as the connection: copy what you keep. */
MINIRPC_API const void *minirpc_call_peer_certificate(const minirpc_call *call, size_t *ret_len);

/* The limits of the channel or the server, with the defaults filled in, for codecs. Never NULL;
 * valid as long as the call. */
MINIRPC_API const struct minirpc_conn_limits *minirpc_call_limits(const minirpc_call *call);

/* When the call is given up, on the loop's clock; and what is left until then, never below 0. Both
 * are MINIRPC_NEVER for a call without a deadline. */
MINIRPC_API minirpc_time minirpc_call_deadline(const minirpc_call *call);
MINIRPC_API minirpc_time minirpc_call_time_left(const minirpc_call *call);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* Connections whose bytes you move yourself: over a pipe, shared memory, a serial line, another
 * library's TLS.
 *
 * A connection is a byte machine. You give it the bytes that arrived, it gives you the bytes to
 * send:
 *
 *	minirpc_server_attach(server, &(struct minirpc_attach_options){ .peer = "pipe", .on_pending = flush },
 *			      &conn);
 *
 *	static void flush(minirpc_conn *conn, void *user)
 *	{
 *		const void *data;
 *		size_t len, n;
 *
 *		while ((len = minirpc_conn_pending(conn, &data)) > 0) {
 *			n = my_write(user, data, len); // may be fewer than len
 *			minirpc_conn_sent(conn, n);
 *			if (n < len)
 *				break; // and call flush again when there is room
 *		}
 *	}
 *
 * minirpc_conn_receive only takes the bytes in; events are delivered in the next turn of the loop
 * that server or channel belong to, of whatever kind it is. With a manual loop that is
 * minirpc_loop_advance. */
#ifndef MINIRPC_CONN_H
#define MINIRPC_CONN_H

#include <minirpc/channel.h>
#include <minirpc/server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct minirpc_conn minirpc_conn;

struct minirpc_attach_options {
	const char *peer; /* what minirpc_call_peer says; copied */
	/* There are bytes to fetch with minirpc_conn_pending, now or later. Once for each turn that
	 * made some; not again while some of them are unsent: what comes meanwhile shows up behind
	 * them. */
	void (*on_pending)(minirpc_conn *conn, void *user);
	/* The connection has ended by itself (drained, protocol error, abuse, time limit); whatever
	 * is pending should still be sent, then the transport closed. Call minirpc_conn_close when
	 * done with the handle. Once. */
	void (*on_finished)(minirpc_conn *conn, void *user);
	void *user;
	/* What the bytes travel over is as good as TLS: minirpc_call_is_secure says so, and
	 * credentials may go over it [N-4]. A channel that was made with .tls needs it. */
	bool secure;
	void *reserved[4]; /* leave 0 */
};

/* Adds a connection to a server. Returns 0, -ENOMEM, -ESHUTDOWN (server is draining or stopped). */
MINIRPC_API int minirpc_server_attach(minirpc_server *server,
				      const struct minirpc_attach_options *options,
				      minirpc_conn **ret_conn);

/* Gives a channel with an "attached:" target its connection; the channel is READY from then on.
 * Returns 0, -EINVAL (another kind of target, the channel is being freed, or it was made with
 * .tls and the connection is not .secure), -EISCONN (it has one), -ENOMEM. */
MINIRPC_API int minirpc_channel_attach(minirpc_channel *channel,
				       const struct minirpc_attach_options *options,
				       minirpc_conn **ret_conn);

/* Bytes have arrived. Always takes all of them. Returns 0, or -EPIPE when the connection has ended:
 * stop reading. */
MINIRPC_API int minirpc_conn_receive(minirpc_conn *conn, const void *data, size_t len);

/* False while the peer should be held off, because it does not read what we answer: do not read
 * from it for now. It changes only after minirpc_conn_sent. */
MINIRPC_API bool minirpc_conn_wants_receive(const minirpc_conn *conn);

/* Bytes to send: points *ret_data at them, valid until the next call for this connection; returns
 * their count, 0 for none. */
MINIRPC_API size_t minirpc_conn_pending(minirpc_conn *conn, const void **ret_data);

/* The first len bytes of what minirpc_conn_pending showed have left. */
MINIRPC_API void minirpc_conn_sent(minirpc_conn *conn, size_t len);

/* The transport is closed, or will be: calls still open on it end with UNAVAILABLE (a server's see
 * CANCELLED), and the handle is gone. After freeing the server or channel the handle is gone
 * already: on_finished is told first. NULL is fine. */
MINIRPC_API void minirpc_conn_close(minirpc_conn *conn);

#ifdef __cplusplus
}
#endif

#endif

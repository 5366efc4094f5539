/* SPDX-License-Identifier: MIT */
/* Conn: one HTTP/2 connection as a byte machine. The only user of nghttp2; touches no socket and no
 * clock. See conn.c.
 *
 * The owner (a subchannel or a server) makes it, gives it to a driver (io/link, or the host) as a
 * machine, and is told of changes by its own task, which then looks at mrpc_conn_state. */
#ifndef MRPC_H2_CONN_H
#define MRPC_H2_CONN_H

#include "base/machine.h"
#include "call/call.h"

#include <minirpc/limits.h>

enum mrpc_conn_state {
	MRPC_CONN_OPENING, /* the peer's SETTINGS have not arrived */
	MRPC_CONN_READY,
	MRPC_CONN_DRAINING, /* GOAWAY sent or received: no new calls, those running go on */
	MRPC_CONN_CLOSED    /* over; only bytes may be left to send */
};

/* What a request that is not let in is answered. */
struct mrpc_refusal {
	enum minirpc_code code;
	const char *text;      /* copied */
	minirpc_time pushback; /* 0: nothing is said of it; below 0: no other attempt */
};

struct mrpc_conn_options {
	struct mrpc_place place;
	struct minirpc_conn_limits limits; /* zeros are filled with the defaults */
	struct mrpc_call_config
		call; /* server: for calls that come in (place and timers are filled in) */
	const char *user_agent;  /* client; copied */
	const char *scheme;      /* client: "http" or "https"; static */
	/* The owner's, completed; NULL: the defaults. A client's time is doubled when a server says
	 * too_many_pings, for the connections that follow [K-3]; must outlive the conn. */
	struct minirpc_keepalive *keepalive;
	struct mrpc_task *owner; /* woken when the state changes, or a call ends while draining; may
				    be NULL */
	/* Server: the first events of each call that comes in; its on_headers routes. */
	const struct minirpc_call_events *accept;
	void *accept_user;
	/* Server: asked with accept_user for each request whose headers are good, from inside of receive:
	 * nothing of the conn may be called. True: it is let in, and may be given an owner. NULL: all are. */
	bool (*admit)(void *user, struct minirpc_call *call, minirpc_time timeout,
		      struct mrpc_refusal *ret_refusal);
	struct minirpc_conn_counts
		*counts; /* counted here as well, may be NULL; must outlive the conn */
};

struct mrpc_conn;

/* Fills in defaults and least values [K-1, K-2, K-3]. Returns 0 or -EINVAL: a time below 0. */
int mrpc_keepalive_complete(struct minirpc_keepalive *keepalive, enum mrpc_role role);

/* What TCP_USER_TIMEOUT should be [A18]; 0: the system's. */
minirpc_time mrpc_keepalive_user_timeout(const struct minirpc_keepalive *keepalive);

/* The preface and SETTINGS are pending at once. Returns 0, -ENOMEM, -EINVAL. */
int mrpc_conn_new(struct mrpc_conn **ret_conn, enum mrpc_role role,
		  const struct mrpc_conn_options *options, minirpc_time now);

/* Ends everything: calls still on it get UNAVAILABLE at a client (CANCELLED at a server). NULL is
 * fine. Not from inside a machine verb. */
void mrpc_conn_free(struct mrpc_conn *conn);

struct mrpc_machine *mrpc_conn_machine(struct mrpc_conn *conn);

/* Who the peer is, for its calls; copied. The certificate stays the caller's and must outlive the
 * conn. */
int mrpc_conn_set_peer(struct mrpc_conn *conn, const char *peer);
void mrpc_conn_set_certificate(struct mrpc_conn *conn, const void *der, size_t len);

/* Server: the calls that come in are over TLS. */
void mrpc_conn_set_secure(struct mrpc_conn *conn);

enum mrpc_conn_state mrpc_conn_state(const struct mrpc_conn *conn);

/* Why it closed, or is draining: a sentence, "" when there is none. too_many_pings for K-3's sake.
 */
const char *mrpc_conn_reason(const struct mrpc_conn *conn);

/* Without those that are not a user's (is_ours). */
size_t mrpc_conn_open_calls(const struct mrpc_conn *conn);

/* Client: puts a call on this connection. When the peer's MAX_CONCURRENT_STREAMS is reached it
 * waits inside [W-12]. Returns 0; -ESHUTDOWN (draining or closed); -ENOMEM: the call is as before.
 */
int mrpc_conn_open(struct mrpc_conn *conn, struct minirpc_call *call);

/* Client: it is READY and below the peer's MAX_CONCURRENT_STREAMS, counting the calls that are about to leave
 * [B-5]. When it has no room the owner is woken as soon as there is some. */
bool mrpc_conn_wants_another(struct mrpc_conn *conn);

/* Two-step GOAWAY; CLOSED when the last call has ended [G-2]. Client: calls run on, then one GOAWAY. */
void mrpc_conn_drain(struct mrpc_conn *conn);

/* The same, and says why in the GOAWAYs' debug data (static) [G-3]. */
void mrpc_conn_drain_for(struct mrpc_conn *conn, const char *why);

/* Server: since when no stream is open; MINIRPC_NEVER while one is. */
minirpc_time mrpc_conn_idle_since(const struct mrpc_conn *conn);

/* GOAWAY at once, all calls end: at a client with this status, at a server (on_end) with
 * UNAVAILABLE. */
void mrpc_conn_abort(struct mrpc_conn *conn, enum minirpc_code code, const char *text);

const struct minirpc_conn_counts *mrpc_conn_counts(const struct mrpc_conn *conn);

#endif

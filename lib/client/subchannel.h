/* SPDX-License-Identifier: MIT */
/* Subchannel: one server, by one address or several, and the connection to it, or the connections [B-5]. Connects when asked, once; a
 * failed attempt has to wait for its backoff. Tells its owner whenever its state changes. What balancers hold
 * are handles of it (balancing.h), any number of them for one subchannel. See subchannel.c. */
#ifndef MRPC_CLIENT_SUBCHANNEL_H
#define MRPC_CLIENT_SUBCHANNEL_H

#include "base/list.h"
#include "client/backoff.h"
#include "client/health.h"
#include "h2/conn.h"
#include "io/dial.h"
#include "io/host_conn.h"
#include "io/link.h"
#include "io/proxy.h"

#include <minirpc/channel.h>

#define MRPC_HOST_MAX 253 /* of a DNS name */

struct mrpc_connection;
struct mrpc_subchannel;

/* A call that waits for room on a subchannel; the caller's memory. */
struct mrpc_waiter {
	struct mrpc_list node; /* in subchannel->queue */
	struct mrpc_subchannel *subchannel;
	minirpc_call *call;
};

struct mrpc_subchannel_config {
	minirpc_loop *loop;
	minirpc_tls *tls;                           /* NULL: clear text; the owner's reference */
	const char *user_agent;                     /* the owner's */
	const struct mrpc_compressors *compressors; /* the owner's */
	struct minirpc_conn_limits limits;
	struct minirpc_conn_counts *counts;  /* the owner's; connections count here too */
	struct minirpc_keepalive *keepalive; /* the owner's, completed; of all its subchannels, as a
						server's too_many_pings is told to all [K-3] */
	minirpc_time backoff_initial, backoff_max, connect_timeout; /* 0: the defaults */
	const char *health_service;          /* the service config's; NULL: health is not asked for */
	const struct mrpc_call_config *call; /* the owner's, for calls that ask [H-4] */
	const char *authority;               /* of them */
	struct mrpc_proxy *proxy;                             /* the owner's [L-9] */
	const char
		*proxied_host; /* the owner's; the proxy resolves it, addresses mean nothing then.
					   NULL: the proxy is asked for the addresses */
	uint16_t proxied_port;
	char proxied_address[MRPC_HOST_MAX + 9]; /* the two together, with brackets where needed */
	unsigned max_connections; /* of one subchannel [B-5]; when it changes: mrpc_subchannel_scale */
	/* A call that waited must go elsewhere: its subchannel has no connection any more. */
	void (*on_returned)(struct mrpc_waiter *waiter, void *user);
	/* The state is another one. Told from tasks and timers; from inside connect and attach too. */
	void (*on_change)(struct mrpc_subchannel *subchannel, void *user);
	/* For tests, in place of the sockets: begins an attempt, which ends with
	 * mrpc_subchannel_attach or mrpc_subchannel_refuse, or in time. NULL: none. */
	void (*dialer)(struct mrpc_subchannel *subchannel, void *user);
	void *dialer_user;
	void *user;
};

struct mrpc_subchannel {
	struct mrpc_list node;    /* in the owner's list */
	struct mrpc_list handles; /* of balancers, see balancing.c; without any it ends itself */
	const struct mrpc_subchannel_config *config; /* the owner's */
	struct mrpc_address *addresses;
	size_t address_count; /* 0: the host brings the connections */
	char *server_name;    /* what the certificate must be for */
	char first[MRPC_ADDRESS_TEXT];

	enum minirpc_channel_state state; /* READY with a connection, else as `attempt`; SHUTDOWN: ending */
	bool scales;                      /* may have, or has had, several connections [B-5] */
	struct mrpc_connection *current;  /* the oldest that is ready: where new calls go */
	enum minirpc_channel_state attempt; /* IDLE: none is wanted; CONNECTING; TRANSIENT_FAILURE: in
					       its backoff */
	unsigned ready_count;
	struct mrpc_list queue; /* of waiters: calls for which no connection has room */
	size_t queued;
	struct mrpc_backoff backoff;
	bool under_way;        /* an attempt has begun */
	unsigned attempts;     /* since it was last ready */
	minirpc_time retry_at; /* when the attempt after the last one may begin, start to start; no matter
				  once that was a success */
	minirpc_time deadline; /* of the attempt under way */
	size_t next_address;   /* the attempt goes on with this one */
	struct mrpc_timer timer;
	struct mrpc_task task;   /* begins an attempt */
	struct mrpc_task ending; /* looks whether anybody wants it still */
	struct mrpc_dial *dial;
	struct mrpc_proxy_dial *proxy_dial; /* in its place */
	struct mrpc_connection *opening;    /* the attempt has got so far */
	struct mrpc_list connections; /* all: opening, ready, and on their way out; the oldest first */
	struct mrpc_health health;
	char failure[512];            /* why the last attempt failed, "" when none did */
};

/* Copies addresses and server_name; config stays the owner's. Linked into `all`. Returns 0 or -ENOMEM. */
int mrpc_subchannel_new(struct mrpc_subchannel **ret_subchannel,
			const struct mrpc_subchannel_config *config, struct mrpc_list *all,
			const struct mrpc_address *addresses, size_t count, const char *server_name,
			uint64_t seed);

/* Closes every connection at once. Nobody may hold a handle. */
void mrpc_subchannel_free(struct mrpc_subchannel *subchannel);

/* The last handle is gone: unless there is a new one before its task runs, it takes no more calls, and ends
 * with the last call that is on it. */
void mrpc_subchannel_leave(struct mrpc_subchannel *subchannel);

/* Same addresses in the same order, same server_name, and not ending. */
bool mrpc_subchannel_is_for(const struct mrpc_subchannel *subchannel,
			    const struct mrpc_address *addresses, size_t count,
			    const char *server_name);

/* Begins to connect; does nothing unless IDLE, or when the host brings the connections. */
void mrpc_subchannel_connect(struct mrpc_subchannel *subchannel);

/* Puts a call on a connection, or ends it when its authority forbids that. Returns 0, -ESHUTDOWN (there is none
 * that takes calls), -EAGAIN (none of them has room: queue it), -ENOMEM. */
int mrpc_subchannel_open(struct mrpc_subchannel *subchannel, minirpc_call *call);

/* ---- scaling.c: several connections [B-5] ---- */

/* What open does when it scales. */
int mrpc_scaling_open(struct mrpc_subchannel *subchannel, minirpc_call *call);

/* The call waits for room, behind those that wait already, and is put on a connection, or returned. */
void mrpc_subchannel_queue(struct mrpc_subchannel *subchannel, struct mrpc_waiter *waiter,
			   minirpc_call *call);
/* It does not wait any more. Harmless when it does not. */
void mrpc_waiter_leave(struct mrpc_waiter *waiter);

/* Puts those that wait where there is room, and sees to it that there will be more. */
void mrpc_subchannel_serve(struct mrpc_subchannel *subchannel);
/* Calls wait, there is no room, and there may be another connection. */
bool mrpc_subchannel_wants_another(struct mrpc_subchannel *subchannel);
/* Returns all that wait. */
void mrpc_subchannel_return_all(struct mrpc_subchannel *subchannel);

/* config->max_connections is another one. */
void mrpc_subchannel_scale(struct mrpc_subchannel *subchannel);

/* ---- */

/* With those that wait. */
size_t mrpc_subchannel_open_calls(const struct mrpc_subchannel *subchannel);

/* "ipv4:127.0.0.1:5051": the connected one, or the first; behind a proxy the first, or "a.org:5051" when the proxy
 * resolves the name. */
const char *mrpc_subchannel_address(const struct mrpc_subchannel *subchannel);

/* A connection whose bytes the host moves. Returns 0, -EISCONN, -ENOMEM. */
int mrpc_subchannel_attach(struct mrpc_subchannel *subchannel,
			   const struct minirpc_attach_options *options, minirpc_conn **ret_conn);

/* For dialers of tests: there is no such server. Not from inside the dialer. */
void mrpc_subchannel_refuse(struct mrpc_subchannel *subchannel, const char *reason);

/* ---- connection.c: what an attempt results in ---- */

struct mrpc_connection {
	struct mrpc_list node;
	struct mrpc_subchannel *subchannel;
	struct mrpc_conn *conn;
	struct mrpc_link *link;
	minirpc_conn *host;
	struct mrpc_task task; /* woken when the conn's state changes, or its transport is gone */
	bool is_ready;         /* takes calls: READY, and not on its way out */
	bool is_over;          /* its transport is gone */
	minirpc_time retry_at; /* until when its loss is a failed attempt, if no call succeeded on it */
	bool knows_no_health;  /* its server has no such service [H-4] */
	char peer[MRPC_ADDRESS_TEXT];
	char good_for[MRPC_HOST_MAX +
		      1]; /* authority.c: the host that was checked last, and found good */
	char reason[256];
};

/* Returns 0 or -errno; takes the socket also on failure. */
int mrpc_connection_dialed(struct mrpc_connection **ret_connection,
			   struct mrpc_subchannel *subchannel, int fd,
			   const struct mrpc_address *address);
int mrpc_connection_attached(struct mrpc_connection **ret_connection,
			     struct mrpc_subchannel *subchannel,
			     const struct minirpc_attach_options *options);

/* Closes its transport at once; calls on it fail, or start over. */
void mrpc_connection_free(struct mrpc_connection *connection);

/* Not on its way out. */
bool mrpc_connection_takes_calls(const struct mrpc_connection *connection);

/* Why it closed: a sentence, never "". */
const char *mrpc_connection_reason(const struct mrpc_connection *connection);

/* ---- subchannel.c, for connection.c ---- */

/* Begins an attempt beside the connections that there are; nothing if there is one already. */
void mrpc_subchannel_begin(struct mrpc_subchannel *subchannel);

/* The opening connection has become ready; it, or one that was ready, takes no calls any more; its transport is
 * gone. */
void mrpc_subchannel_is_ready(struct mrpc_subchannel *subchannel);
void mrpc_subchannel_lost(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection);
void mrpc_subchannel_forget(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection);

#endif

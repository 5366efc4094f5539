/* SPDX-License-Identifier: MIT */
/* Subchannel: one server and the connection to it. Connects when asked, and again with backoff until
 * it succeeds; tells its owner whenever its state changes. See subchannel.c. */
#ifndef MRPC_CLIENT_SUBCHANNEL_H
#define MRPC_CLIENT_SUBCHANNEL_H

#include "base/list.h"
#include "client/backoff.h"
#include "h2/conn.h"
#include "io/dial.h"
#include "io/host_conn.h"
#include "io/link.h"

#include <minirpc/channel.h>

#define MRPC_HOST_MAX 253 /* of a DNS name */

struct mrpc_connection;
struct mrpc_subchannel;

struct mrpc_subchannel_config {
	minirpc_loop *loop;
	minirpc_tls *tls;                 /* NULL: clear text; the owner's reference */
	const struct mrpc_target *target; /* the owner's */
	const char *user_agent;           /* the owner's */
	const struct mrpc_compressors *compressors; /* the owner's */
	struct minirpc_conn_limits limits;
	struct minirpc_conn_counts *counts; /* the owner's; connections count here too */
	struct minirpc_keepalive *keepalive; /* the owner's, completed; of all its subchannels, as a
						server's too_many_pings is told to all [K-3] */
	minirpc_time backoff_initial, backoff_max, connect_timeout; /* 0: the defaults */
	uint64_t seed;
	/* The state is another one. Told from tasks and timers; from inside connect and attach too. */
	void (*on_change)(struct mrpc_subchannel *subchannel, void *user);
	void *user;
};

struct mrpc_subchannel {
	struct mrpc_subchannel_config config;
	enum minirpc_channel_state state; /* TRANSIENT_FAILURE: waiting for the next attempt */
	struct mrpc_backoff backoff;
	minirpc_time retry_at; /* when the attempt after the last one may begin, start to start */
	minirpc_time deadline; /* of the attempt under way */
	struct mrpc_timer timer;
	struct mrpc_task task; /* begins an attempt */
	struct mrpc_resolution *resolution;
	struct mrpc_dial *dial;
	struct mrpc_connection *current; /* opening or ready: where new calls go */
	struct mrpc_list connections;    /* the current one, and those that are on their way out */
	char failure[512];               /* why the last attempt failed, "" when none did */
};

/* config is copied. Returns 0 or -ENOMEM. */
int mrpc_subchannel_init(struct mrpc_subchannel *subchannel,
			 const struct mrpc_subchannel_config *config);

/* Closes every connection at once. Harmless on a zeroed one. */
void mrpc_subchannel_clear(struct mrpc_subchannel *subchannel);

/* Begins to connect; does nothing unless IDLE, or when the host brings the connections. */
void mrpc_subchannel_connect(struct mrpc_subchannel *subchannel);

/* Puts a call on the current connection, or ends it when its authority forbids that. Returns 0, -ESHUTDOWN (there is none that takes calls),
 * -ENOMEM. */
int mrpc_subchannel_open(struct mrpc_subchannel *subchannel, minirpc_call *call);

/* A connection whose bytes the host moves. Returns 0, -EISCONN, -ENOMEM. */
int mrpc_subchannel_attach(struct mrpc_subchannel *subchannel,
			   const struct minirpc_attach_options *options, minirpc_conn **ret_conn);

/* ---- connection.c: what an attempt results in ---- */

struct mrpc_connection {
	struct mrpc_list node;
	struct mrpc_subchannel *subchannel;
	struct mrpc_conn *conn;
	struct mrpc_link *link;
	minirpc_conn *host;
	struct mrpc_task task; /* woken when the conn's state changes, or its transport is gone */
	bool is_over;          /* its transport is gone */
	char peer[MRPC_ADDRESS_TEXT];
	char good_for[MRPC_HOST_MAX + 1]; /* authority.c: the host that was checked last, and found good */
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

/* The current connection has become ready, or takes no calls any more. */
void mrpc_subchannel_is_ready(struct mrpc_subchannel *subchannel);
void mrpc_subchannel_lost(struct mrpc_subchannel *subchannel, struct mrpc_connection *connection);

#endif

/* SPDX-License-Identifier: MIT */
/* Server: what its files share. See server.c for the picture. */
#ifndef MRPC_SERVER_SERVER_H
#define MRPC_SERVER_SERVER_H

#include "base/list.h"
#include "call/chain.h"
#include "h2/conn.h"
#include "io/host_conn.h"
#include "io/link.h"
#include "io/listen.h"
#include "io/loop.h"
#include "server/router.h"

#include <minirpc/conn.h>
#include <minirpc/server.h>

enum mrpc_server_state {
	MRPC_SERVER_OPEN,
	MRPC_SERVER_DRAINING, /* no new connections, no new calls; those running may end */
	MRPC_SERVER_STOPPED   /* what is left only says goodbye */
};

struct minirpc_server {
	minirpc_loop *loop;
	minirpc_tls *tls; /* NULL: clear text */
	struct mrpc_compressors compressors;
	struct mrpc_interceptors interceptors;
	struct mrpc_call_config call;
	struct minirpc_conn_limits limits;
	struct minirpc_conn_counts counts; /* every connection counts here too */
	char **hand_down; /* NULL: the default */
	enum minirpc_code (*admit)(struct minirpc_admission *request, void *user);
	void *admit_user;
	size_t max_calls;           /* 0: no limit */
	minirpc_time shed_pushback; /* 0: nothing is said */
	struct mrpc_pool *memory;   /* the account of its calls, which may outlive it */
	uint32_t max_connections;
	struct minirpc_keepalive keepalive;
	minirpc_time max_idle, max_age, max_age_grace; /* MINIRPC_NEVER: no limit */
	uint64_t age_random;
	enum mrpc_server_state state;
	bool freeing;

	struct mrpc_router router;
	struct mrpc_list listeners;
	struct mrpc_list connections;
	size_t connection_count;

	/* Calls that were let in and whose handler has not ended them. The sweep moves those whose peer has left from
	 * calls to left, and what it finds there the next time to forgotten. */
	struct mrpc_list calls, left, forgotten;
	size_t call_count;
	struct mrpc_timer sweep;

	struct mrpc_timer
		grace; /* draining: when what is left is cut; stopped: when it is closed */
	minirpc_time grace_at;
	struct mrpc_task done_task;
	void (*done)(minirpc_server *server, void *user);
	void *done_user;
};

/* One connection: an h2 conn and who moves its bytes, a link or the host. */
struct mrpc_server_connection {
	struct mrpc_list node;
	minirpc_server *server;
	struct mrpc_conn *conn;
	struct mrpc_link *link;
	minirpc_conn *host;
	struct mrpc_task task; /* woken when the conn's state changes, or its transport is gone */
	bool is_over;          /* its transport is gone */
	struct mrpc_timer age; /* not bound without need */
	minirpc_time old_at, cut_at;
	bool is_old;
	char peer[MRPC_ADDRESS_TEXT];
	char reason[128];
};

/* ---- connection.c ---- */

/* A connection without transport yet. Returns 0 or -errno. */
int mrpc_server_connection_new(struct mrpc_server_connection **ret_connection,
			       minirpc_server *server, const char *peer);

/* Takes the socket, also on failure. Returns 0 or -errno. */
int mrpc_server_connection_accept(minirpc_server *server, int fd, const struct mrpc_address *peer);

/* Closes its transport at once; calls on it see that the peer left. */
void mrpc_server_connection_free(struct mrpc_server_connection *connection);

/* ---- age.c ---- */

/* A connection begins to age. Returns 0 or -ENOMEM. */
int mrpc_server_age_begin(struct mrpc_server_connection *connection);

/* For tests: makes the jitter replay. */
void mrpc_server_seed(minirpc_server *server, uint64_t seed);

/* ---- admit.c ---- */

/* For struct mrpc_conn_options; user is the server. */
bool mrpc_server_admit(void *user, struct minirpc_call *call, minirpc_time timeout,
		       struct mrpc_refusal *ret_refusal);
minirpc_time mrpc_server_shed_pushback(const struct minirpc_server_options *options);

/* ---- calls.c ---- */

/* From now on the call is remembered, until its handle is given back. */
void mrpc_server_take_call(minirpc_server *server, struct minirpc_call *call);

/* The first events of every call; their user is the server. */
extern const struct minirpc_call_events mrpc_server_accept;

/* Takes the handles of all calls away, without an event. */
void mrpc_server_drop_calls(minirpc_server *server);

/* The timer `sweep`: looks for forgotten calls. */
void mrpc_server_sweep(struct mrpc_timer *timer, minirpc_time now);

/* ---- hand_down.c ---- */

/* Returns 0, -EINVAL (what is no key, or may not be set), -ENOMEM. */
int mrpc_server_copy_hand_down(char ***ret_keys, const char *const *keys);

/* ---- server.c ---- */

void mrpc_server_close_listeners(minirpc_server *server);

/* ---- drain.c ---- */

/* A connection is gone or has closed: a drain may be complete. */
void mrpc_server_look_at_drain(minirpc_server *server);

/* The timer `grace` and the task `done_task`. */
void mrpc_server_grace_is_over(struct mrpc_timer *timer, minirpc_time now);
void mrpc_server_tell_done(struct mrpc_task *task);

#endif

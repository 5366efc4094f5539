/* SPDX-License-Identifier: MIT */
/* Ground: a client and a server that stand on one transport and one kind of loop. It has the world's
 * methods and probes (world.h), so a fact is told once and holds on every ground.
 *
 *	struct ground *g = ground_new(_i, NULL);
 *	struct probe probe = { 0 };
 *
 *	world_request(world_call(g->w, &world_echo, 0, &probe), "hello");
 *	ground_until(g, probe.ends == 1);
 *	ground_free(g);
 *
 * Real loops sleep until something happens; nothing waits for time to pass. What never happens runs
 * into Check's own limit. */
#ifndef TEST_TRANSPORT_GROUND_H
#define TEST_TRANSPORT_GROUND_H

#include "io/poll_loop.h"
#include "world/world.h"

#include <minirpc/conn.h>

#include <ev.h>

/* What a ground has. */
enum {
	GROUND_LISTENS = 1, /* the server listens, the channel connects */
	GROUND_TLS = 2,
	GROUND_MUTUAL = 4,   /* the client has a certificate */
	GROUND_OWN_LOOP = 8, /* minirpc_loop_run is there */
	GROUND_PEER = 16     /* the peer of a server's call has a name of its own */
};

struct transport {
	const char *name;
	const char *address; /* to listen on; NULL: attached. %: a folder of the test's own */
	const char *target;  /* %: the same, or the port */
	const char *peer;    /* how the client's address begins, as the server sees it */
	const char *refused; /* how the system says that nobody listens */
	unsigned has;
};

enum ground_loop { LOOP_OWN, LOOP_EV, LOOP_POLL, LOOP_MANUAL };

struct ground_kind {
	const struct transport *transport;
	enum ground_loop loop;
};

extern const struct ground_kind ground_kinds[];
extern const int ground_count;

/* "TLS over TCP, poll(2)" */
const char *ground_name(int index, char text[64]);
unsigned ground_has(int index);

struct socket_end;

struct ground {
	const struct transport *transport;
	enum ground_loop kind;
	struct world *w; /* its loop, server and channel are the ground's */
	struct ev_loop *ev;
	ev_prepare prepare;
	bool is_turning;
	struct poll_loop poll;
	char folder[32], address[128], target[128];
	minirpc_tls *server_tls, *client_tls;
	struct pki_identity *ca, *server_id, *client_id;
	struct minirpc_server_options server_options;
	struct minirpc_channel_options channel_options;
	struct socket_end *client_end, *server_end; /* socketpair only */
};

struct ground *ground_new(int index, const struct world_options *options);

/* Everything is given back: asserts that no memory is left over, and no descriptor. */
void ground_free(struct ground *g);

/* The server goes, hard; and comes back, on the same address. */
void ground_kill_server(struct ground *g);
void ground_start_server(struct ground *g);

/* Another channel, with what channel_options and client_tls say now. */
void ground_new_channel(struct ground *g);

/* Attached transports: a new pipe between both. Others connect by themselves. */
void ground_connect(struct ground *g);

/* Sleeps until something happens, and lets it. */
void ground_turn(struct ground *g);

#define ground_until(g, condition)                                                                 \
	do {                                                                                       \
		while (!(condition))                                                               \
			ground_turn(g);                                                            \
	} while (0)

/* Until the channel has noticed that its connection is gone: a call that is opened before may be lost
 * with it. */
void ground_until_lost(struct ground *g);

/* ---- socketpair.c: conn.h over the two ends of a socketpair ---- */

void socketpair_connect(struct ground *g);
void socketpair_close(struct ground *g);
bool socketpair_move(struct ground *g); /* true: something moved */

#endif

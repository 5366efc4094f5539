/* SPDX-License-Identifier: MIT */
/* Fleet: up to nine servers in memory and one channel that reaches them by addresses, all on one manual loop.
 * Server 3 has the addresses 10.0.0.3:1 ('3' in a list) and [fd00::3]:1 ('C'); the resolver is the test's own: fleet_list pushes. Each server serves what
 * pair.h has, is up, down (connections are refused) or silent (accepts, says nothing). */
#ifndef TEST_CLIENT_FLEET_H
#define TEST_CLIENT_FLEET_H

#include "client/pair.h"

#include <minirpc/balancer.h>

enum fleet_mode { FLEET_UP, FLEET_DOWN, FLEET_SILENT };

enum { FLEET_MAX = 9, FLEET_PIPES = 64 };

struct fleet {
	minirpc_loop *loop;
	minirpc_channel *channel;
	minirpc_time now;
	struct fleet_server {
		minirpc_server *server;
		enum fleet_mode mode;
		unsigned dials; /* attempts to connect */
		minirpc_time dialed[256];
	} servers[FLEET_MAX + 1]; /* by number, from 1 */
	unsigned dials;
	char order[256]; /* what was dialed, as in lists */
	struct fleet_pipe {
		struct fleet_end {
			struct fleet_end *other;
			minirpc_conn *conn;
		} client, server;
		unsigned number; /* of the server; 0: free */
	} pipes[FLEET_PIPES];

	/* The resolver. */
	minirpc_resolving *resolving; /* NULL: not started */
	unsigned starts, stops, agains;
	const char *list; /* what it pushes when it is started: "123"; NULL: nothing */
	void (*on_resolver)(bool stops); /* inside its start, again and stop; may be NULL */
	char log[8192];   /* the lines of the loop's log */
};

/* options may be NULL; their .resolvers must be. The list is pushed when the channel resolves. */
void fleet_open(struct fleet *fleet, const char *list,
		const struct minirpc_channel_options *options);
int fleet_try_open(struct fleet *fleet, const char *list,
		   const struct minirpc_channel_options *options);
int fleet_try_open_on(struct fleet *fleet, const char *list,
		      const struct minirpc_server_options *servers, /* NULL: defaults */
		      const struct minirpc_channel_options *options);
void fleet_close(struct fleet *fleet);

void fleet_settle(struct fleet *fleet);
void fleet_advance(struct fleet *fleet, minirpc_time span);

/* Pushes a list, of servers by number, now. Returns what the push does. A ',' between numbers separates endpoints, so
 * "12,3" is one of two addresses and one of one; without any ',' each number is an endpoint. */
int fleet_push(struct fleet *fleet, const char *list, const char *service_config, const char *note);

/* The server is gone, as if killed; its connections with it. */
void fleet_kill(struct fleet *fleet, unsigned number);
void fleet_revive(struct fleet *fleet, unsigned number);
/* It says GOAWAY and goes on with what it has. */
void fleet_drain(struct fleet *fleet, unsigned number);

/* Both ends of a connection see it closed, in the next turn. */
void fleet_cut(struct fleet_pipe *pipe);

unsigned fleet_connections(const struct fleet *fleet, unsigned number);

/* Makes a unary call, settles, and returns the number of the server that answered; 0: none did. */
unsigned fleet_call(struct fleet *fleet);

enum minirpc_channel_state fleet_state(const struct fleet *fleet);

#endif

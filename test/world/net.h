/* SPDX-License-Identifier: MIT */
/* Net: several servers in a world, and a channel that finds them by a resolver of the test's own and connects to
 * them by itself. Server 3 has the address 10.0.0.3:1. It takes the place of the world's channel:
 *
 *	net_open(&net, w, &(struct net_options){ .list = "123", .channel.load_balancing = "round_robin" });
 *	world_request(world_call(w, &world_echo, MINIRPC_S(1), &probe), "hello");
 *	world_settle(w);                        // moves the net's bytes as well
 *	net_kill(&net, 2);
 *	net_push(&net, "13", NULL);
 *	net_close(&net);                        // w->channel is NULL afterwards
 *
 * Every connection gets the properties (chop, delay, cut_after) that w->up and w->down have when it begins. */
#ifndef TEST_WORLD_NET_H
#define TEST_WORLD_NET_H

#include "world/world.h"

#include <minirpc/resolver.h>

enum { NET_SERVERS = 4, NET_LINKS = 48 };

enum net_mode { NET_UP, NET_DOWN, NET_SILENT };

struct net_options {
	const char *list; /* what the resolver says at first; NULL: nothing, until net_push */
	struct minirpc_channel_options channel; /* .resolvers is ours */
	struct minirpc_server_options server;
	int (*serve)(void *user, minirpc_server *server); /* NULL: world_serve_on */
	void *user;
};

struct net {
	struct world *w;
	struct net_options options;
	minirpc_resolving *resolving; /* NULL: not started */
	char list[16];
	struct net_server {
		minirpc_server *server; /* NULL: there was no memory for it, or it was freed */
		enum net_mode
			mode; /* NET_DOWN: connections are refused; NET_SILENT: nobody answers */
		unsigned dials;
	} servers[NET_SERVERS + 1]; /* by number, from 1 */
	struct world_link links[NET_LINKS];
	unsigned numbers[NET_LINKS]; /* of each link's server */
};

/* Returns 0 or -errno (faulty only; close it all the same). */
int net_open(struct net *net, struct world *w, const struct net_options *options);
void net_close(struct net *net);

/* The channel again, after it was freed; a server again. Return 0 or -errno. */
int net_open_channel(struct net *net);
int net_open_server(struct net *net, unsigned number);

/* A new list, of servers by number, perhaps with a service config; what minirpc_resolving_push says. */
int net_push(struct net *net, const char *list, const char *service_config);

/* The server is gone, as if killed, its connections with it; or it is back. */
void net_kill(struct net *net, unsigned number);
void net_revive(struct net *net, unsigned number);

/* It takes no more calls, and ends those it has. */
void net_drain(struct net *net, unsigned number, minirpc_time grace);

/* Its connections are cut; it is still there. */
void net_cut(struct net *net, unsigned number);
unsigned net_connections(const struct net *net, unsigned number);

#endif

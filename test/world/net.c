/* SPDX-License-Identifier: MIT */
#include "world/net.h"

#include "client/channel.h"

#include <stdio.h>
#include <string.h>

/* ---- Connecting ---- */

static int attach(void *to, const struct minirpc_attach_options *options, minirpc_conn **ret_conn)
{
	return mrpc_subchannel_attach(to, options, ret_conn);
}

static struct world_pipe pipe_like(const struct world_pipe *pipe)
{
	return (struct world_pipe){ .chop = pipe->chop,
				    .delay = pipe->delay,
				    .cut_after = pipe->cut_after };
}

static void note(size_t *most, const struct world_pipe *pipe)
{
	*most = pipe->moved > *most ? pipe->moved : *most;
}

static void note_moved(struct net *net, const struct world_link *link)
{
	note(&net->w->most_moved[true], &link->up);
	note(&net->w->most_moved[false], &link->down);
}

static bool is_free(const struct world_link *link)
{
	return link->client_end == NULL && link->server_end == NULL;
}

static void dial(struct mrpc_subchannel *subchannel, void *user)
{
	struct net *net = user;
	struct net_server *server;
	char peer[32];
	unsigned number = 0, i = 0;

	ck_assert_int_eq(sscanf(subchannel->first, "ipv4:10.0.0.%u:1", &number), 1);
	server = &net->servers[number];
	server->dials++;
	while (i < NET_LINKS && !is_free(&net->links[i]))
		i++;
	ck_assert_uint_lt(i, NET_LINKS);
	if (server->mode == NET_DOWN || server->server == NULL) {
		mrpc_subchannel_refuse(subchannel, "Connection refused");
		return;
	}
	net->numbers[i] = number;
	note_moved(net, &net->links[i]);
	world_link_cut(&net->links[i]); /* what nobody has read */
	net->links[i].up = pipe_like(&net->w->up);
	net->links[i].down = pipe_like(&net->w->down);
	snprintf(peer, sizeof peer, "server:%u", number);
	if (world_link_connect(&net->links[i], server->mode == NET_UP ? server->server : NULL,
			       attach, subchannel, peer) < 0)
		mrpc_subchannel_refuse(subchannel, "connection failed");
}

/* ---- The resolver ---- */

static void push_list(void *user)
{
	struct net *net = user;

	if (net->resolving != NULL && net_push(net, net->list, NULL) < 0)
		minirpc_resolving_fail(net->resolving, "no list");
}

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	struct net *net = user;
	int r;

	(void)target;
	r = minirpc_timer_start(NULL, minirpc_resolving_loop(to), 0, push_list, net);
	if (r < 0)
		return r;
	net->resolving = to;
	*ret_self = net;
	return 0;
}

static void again(void *self)
{
	push_list(self);
}

static void stop(void *self)
{
	struct net *net = self;

	net->resolving = NULL;
}

static const struct minirpc_resolver resolver = { "net", start, again, stop };

int net_push(struct net *net, const char *list, const char *service_config)
{
	char texts[16][16];
	const char *addresses[16][2] = { { NULL } };
	struct minirpc_endpoint endpoints[16] = { { 0 } };
	struct minirpc_resolver_result result = { .endpoints = endpoints,
						  .service_config_json = service_config };

	if (net->resolving == NULL)
		return -ENOENT;
	for (; result.endpoint_count < 16 && *list != '\0'; list++) {
		size_t i = result.endpoint_count++;

		snprintf(texts[i], sizeof texts[i], "10.0.0.%c:1", *list);
		addresses[i][0] = texts[i];
		endpoints[i].addresses = addresses[i];
	}
	return minirpc_resolving_push(net->resolving, &result);
}

/* ---- The net ---- */

int net_open_server(struct net *net, unsigned number)
{
	struct net_server *server = &net->servers[number];
	int r;

	r = minirpc_server_new(&server->server, net->w->loop, &net->options.server);
	if (r < 0)
		return r;
	if (net->options.serve == NULL)
		r = world_serve_on(net->w, server->server);
	else
		r = net->options.serve(net->options.user, server->server);
	if (r < 0)
		server->server = minirpc_server_free(server->server);
	return r;
}

int net_open_channel(struct net *net)
{
	struct minirpc_channel_options options = net->options.channel;
	int r;

	options.resolvers = (const struct minirpc_resolver_use[]){ { &resolver, net }, { NULL } };
	r = minirpc_channel_new(&net->w->channel, net->w->loop, "net:///servers", &options);
	if (r < 0) {
		net->w->channel = NULL;
		return r;
	}
	mrpc_channel_seed(net->w->channel, 1);
	mrpc_channel_set_dialer(net->w->channel, dial, net);
	return 0;
}

int net_open(struct net *net, struct world *w, const struct net_options *options)
{
	int r = 0;

	*net = (struct net){ .w = w, .options = *options };
	if (options->list != NULL)
		snprintf(net->list, sizeof net->list, "%s", options->list);
	w->client_end = NULL; /* goes with the channel */
	w->channel = minirpc_channel_free(w->channel);
	world_cut(w);
	w->more = net->links;
	w->more_count = NET_LINKS;
	for (unsigned i = 1; r == 0 && i <= NET_SERVERS; i++)
		r = net_open_server(net, i);
	if (r == 0)
		r = net_open_channel(net);
	world_expect(w, r == 0);
	return r;
}

void net_close(struct net *net)
{
	for (unsigned i = 0; i < NET_LINKS; i++) {
		note_moved(net, &net->links[i]);
		world_link_cut(&net->links[i]);
	}
	net->w->channel = minirpc_channel_free(net->w->channel);
	for (unsigned i = 1; i <= NET_SERVERS; i++)
		net->servers[i].server = minirpc_server_free(net->servers[i].server);
	minirpc_loop_advance(net->w->loop, net->w->now);
	net->w->more = NULL;
	net->w->more_count = 0;
}

void net_cut(struct net *net, unsigned number)
{
	for (unsigned i = 0; i < NET_LINKS; i++)
		if (net->numbers[i] == number)
			world_link_cut(&net->links[i]);
}

void net_kill(struct net *net, unsigned number)
{
	net->servers[number].mode = NET_DOWN;
	net_cut(net, number);
}

void net_drain(struct net *net, unsigned number, minirpc_time grace)
{
	net->servers[number].mode = NET_DOWN;
	if (net->servers[number].server != NULL)
		minirpc_server_drain(net->servers[number].server, grace, NULL, NULL);
}

void net_revive(struct net *net, unsigned number)
{
	net->servers[number].mode = NET_UP;
}

unsigned net_connections(const struct net *net, unsigned number)
{
	unsigned count = 0;

	for (unsigned i = 0; i < NET_LINKS; i++)
		count += net->numbers[i] == number && net->links[i].client_end != NULL;
	return count;
}

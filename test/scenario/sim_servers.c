/* SPDX-License-Identifier: MIT */
/* What a simulation's servers and channel are like, and what happens to them. */
#include "scenario/sim.h"

#include "world/alloc_fail.h"

#include <minirpc/server.h>

#include <stdio.h>
#include <string.h>

/* ---- Options ---- */

static enum minirpc_code admit(struct minirpc_admission *request, void *user)
{
	struct sim *sim = user;

	sim_must(sim, minirpc_metadata_get(request->metadata, "x-id") != NULL, "metadata");
	if (sim->is_open || !sim_one_in(sim, 8))
		return MINIRPC_OK;
	request->text = "not now";
	request->pushback = MINIRPC_MS(sim_random(sim, 200)) - MINIRPC_MS(20);
	return sim_one_in(sim, 2) ? MINIRPC_UNAVAILABLE : MINIRPC_ABORTED;
}

static int serve(void *user, minirpc_server *server)
{
	return sim_serve(user, server);
}

static void choose_server(struct sim *sim, struct minirpc_server_options *options)
{
	static const uint32_t windows[] = { 1024, 2000, 16384, 65535, 0 };
	static const uint32_t streams[] = { 1, 2, 5, 100, 100 };
	static const size_t queues[] = { 1, 100, 5000, 0, 0 };

	sim->max_streams = streams[sim_random(sim, 5)];
	options->send_queue = queues[sim_random(sim, 5)];
	options->limits.max_streams = sim->max_streams;
	options->limits.stream_window = windows[sim_random(sim, 5)];
	options->limits.conn_window = sim_one_in(sim, 2) ? 65535 : 0;
	options->compression = sim_one_in(sim, 4) ? "deflate" : NULL;
	options->keepalive.min_interval = -1;
	if (sim_one_in(sim, 3)) {
		sim->has_door = true;
		options->admit = admit;
		options->admit_user = sim;
	}
	if (sim_one_in(sim, 6))
		options->max_calls = sim->max_calls = 1 + sim_random(sim, 20);
	if (sim_one_in(sim, 6)) {
		sim->has_quota = true;
		options->max_memory = 20000 + sim_random(sim, 200000);
	}
	if (sim_one_in(sim, 2))
		options->shed_pushback = sim_one_in(sim, 3) ? -1 : MINIRPC_MS(50);
	if (!sim->is_calm && sim_one_in(sim, 4)) {
		options->max_connection_age = MINIRPC_MS(50 + sim_random(sim, 3000));
		options->max_connection_age_grace = MINIRPC_MS(1 + sim_random(sim, 500));
	}
	if (!sim->is_calm && sim_one_in(sim, 6))
		options->max_connection_idle = MINIRPC_MS(20 + sim_random(sim, 500));
}

static void choose_channel(struct sim *sim, struct minirpc_channel_options *options)
{
	static const uint32_t windows[] = { 1024, 2000, 16384, 65535, 0 };
	static const size_t queues[] = { 1, 100, 5000, 0, 0 };
	static const size_t replays[] = { 100, 2000, 0 };

	options->send_queue = queues[sim_random(sim, 5)];
	options->limits.stream_window = windows[sim_random(sim, 5)];
	options->limits.conn_window = sim_one_in(sim, 2) ? 65535 : 0;
	options->compression = sim_one_in(sim, 4) ? "gzip" : NULL;
	options->max_replay = replays[sim_random(sim, 3)];
	options->max_replay_total = replays[sim_random(sim, 3)];
	options->backoff_initial = MINIRPC_MS(10);
	options->backoff_max = MINIRPC_MS(100);
	options->connect_timeout = MINIRPC_MS(500);
	if (!sim->is_calm && sim_one_in(sim, 3))
		options->keepalive =
			(struct minirpc_keepalive){ .time = MINIRPC_S(10),
						    .timeout = MINIRPC_S(2),
						    .without_calls = sim_one_in(sim, 2) };
	if (sim_one_in(sim, 4))
		options->idle_timeout = MINIRPC_MS(1 + sim_random(sim, 2000));
	if (sim_one_in(sim, 5))
		options->max_attempts = 2 + sim_random(sim, 4);
}

/* A policy for some kinds of call. */
static void choose_policy(struct sim *sim, char text[512])
{
	unsigned attempts = 2 + sim_random(sim, 4);

	text[0] = '\0';
	switch (sim_random(sim, 4)) {
	case 0:
	case 1:
		snprintf(text, 512,
			 ",\"retryPolicy\":{\"maxAttempts\":%u,\"initialBackoff\":\"%u.0%02us\","
			 "\"maxBackoff\":\"0.2s\",\"backoffMultiplier\":%u.5,"
			 "\"retryableStatusCodes\":[\"UNAVAILABLE\",\"ABORTED\",\"RESOURCE_"
			 "EXHAUSTED\"]}",
			 attempts, 0u, 1 + sim_random(sim, 99), sim_random(sim, 3));
		break;
	case 2:
		snprintf(text, 512,
			 ",\"hedgingPolicy\":{\"maxAttempts\":%u,\"hedgingDelay\":\"0.0%02us\","
			 "\"nonFatalStatusCodes\":[\"UNAVAILABLE\",\"ABORTED\"]}",
			 attempts, sim_random(sim, 100));
		break;
	default:
		break;
	}
}

static const char *some_config(struct sim *sim, char text[SIM_CONFIG])
{
	static const char *const nonsense[] = { "{", "[]", "{\"methodConfig\":[{\"name\":7}]}",
						"{\"loadBalancingConfig\":[{\"unheard_of\":{}}]}",
						"{\"retryThrottling\":{\"maxTokens\":-1}}" };
	static const char *const balancers[] = { "pick_first", "round_robin", "least_request" };
	static const char *const names[] = { "{}", "{\"service\":\"sim.Sim\"}",
					     "{\"service\":\"sim.Sim\",\"method\":\"Up\"}" };
	char policy[512];
	int n;

	if (sim_one_in(sim, 5))
		return nonsense[sim_random(sim, 5)];
	choose_policy(sim, policy);
	n = snprintf(text, SIM_CONFIG, "{\"methodConfig\":[{\"name\":[%s]%s%s%s}]",
		     names[sim_random(sim, 3)], policy,
		     sim_one_in(sim, 4) ? ",\"timeout\":\"0.3s\"" : "",
		     sim_one_in(sim, 4) ? ",\"waitForReady\":true" : "");
	if (sim_one_in(sim, 3))
		n += snprintf(text + n, SIM_CONFIG - (size_t)n,
			      ",\"retryThrottling\":{\"maxTokens\":%u,\"tokenRatio\":0.5}",
			      1 + sim_random(sim, 20));
	if (sim_one_in(sim, 2))
		n += snprintf(text + n, SIM_CONFIG - (size_t)n,
			      ",\"loadBalancingConfig\":[{\"%s\":{}}]",
			      balancers[sim_random(sim, 3)]);
	snprintf(text + n, SIM_CONFIG - (size_t)n, "}");
	return text;
}

/* Static: they are copied by what is made with them. */
const struct net_options *sim_options(struct sim *sim)
{
	static struct net_options options;
	static struct minirpc_use client[3], server[3];
	static const char *const lists[] = { "1", "12", "123" };

	sim->server_count = 1 + sim_random(sim, 3);
	options = (struct net_options){ .list = lists[sim->server_count - 1],
					.serve = serve,
					.user = sim };
	choose_server(sim, &options.server);
	choose_channel(sim, &options.channel);
	if (sim_one_in(sim, 3)) {
		sim_use_hooks(sim, client, true);
		options.channel.interceptors = client;
	}
	if (sim_one_in(sim, 3)) {
		sim_use_hooks(sim, server, false);
		options.server.interceptors = server;
	}
	return &options;
}

/* ---- What happens ---- */

static const char *some_list(struct sim *sim)
{
	static const char *const lists[] = { "1", "2", "3", "12", "21", "13", "123", "312", "" };

	return sim->is_calm ? sim->net.list : lists[sim_random(sim, 9)];
}

void sim_tell(struct sim *sim)
{
	minirpc_channel *channel = sim->w->channel;
	char text[SIM_CONFIG];
	const char *config;
	bool was = sim->is_in_verb;

	if (channel == NULL)
		return;
	config = sim_one_in(sim, 4) ? NULL : some_config(sim, text);
	sim->is_in_verb = true;
	switch (sim_random(sim, 8)) {
	case 0:
	case 1:
	case 2:
		minirpc_channel_set_service_config(channel, config, NULL, 0);
		break;
	case 3:
		minirpc_channel_connect(channel);
		break;
	case 4:
		if (!sim->is_calm)
			minirpc_channel_enter_idle(channel);
		break;
	case 5:
		if (!sim->is_calm && sim->net.resolving != NULL)
			minirpc_resolving_fail(sim->net.resolving, "no answer");
		break;
	default:
		if (sim->net.resolving != NULL)
			net_push(&sim->net, some_list(sim), config);
	}
	sim->is_in_verb = was;
}

void sim_drop_channel(struct sim *sim)
{
	sim->w->channel = minirpc_channel_free(sim->w->channel);
	sim_forget_channel(sim);
}

static void drop_server(struct sim *sim, unsigned number)
{
	struct net_server *server = &sim->net.servers[number];

	server->server = minirpc_server_free(server->server);
	sim_forget_server(sim, number);
	sim->leaving[number] = false;
}

void sim_disturb(struct sim *sim)
{
	unsigned number = 1 + sim_random(sim, sim->server_count);
	struct net_server *server = &sim->net.servers[number];

	if (sim->is_calm || server->server == NULL)
		return;
	switch (sim_random(sim, 11)) {
	case 0:
		minirpc_server_drain(server->server, MINIRPC_MS(sim_random(sim, 100)), NULL, NULL);
		sim->leaving[number] = true;
		break;
	case 1:
		minirpc_server_stop(server->server);
		sim->leaving[number] = true;
		break;
	case 2:
		drop_server(sim, number);
		break;
	case 3:
		if (sim->w->channel != NULL)
			sim_drop_channel(sim);
		break;
	case 4:
		server->mode = NET_SILENT;
		break;
	case 5:
		net_kill(&sim->net, number);
		break;
	case 6:
		sim_tell(sim);
		break;
	default:
		net_cut(&sim->net, number);
	}
}

void sim_repair(struct sim *sim)
{
	struct net *net = &sim->net;

	alloc_fail_at(0, false);
	for (unsigned i = 1; i <= NET_SERVERS; i++) {
		if (sim->leaving[i])
			drop_server(sim, i);
		if (net->servers[i].server == NULL)
			ck_assert_int_eq(net_open_server(net, i), 0);
		net_revive(net, i);
	}
	if (sim->w->channel == NULL)
		ck_assert_int_eq(net_open_channel(net), 0);
	for (unsigned i = 0; i < NET_LINKS; i++) {
		net->links[i].up.stalled = net->links[i].down.stalled = false;
		net->links[i].up.delay = net->links[i].down.delay = 0;
		net->links[i].up.cut_after = net->links[i].down.cut_after = SIZE_MAX;
	}
	sim->w->up.cut_after = sim->w->down.cut_after = SIZE_MAX;
	sim->w->up.delay = sim->w->down.delay = 0;
	minirpc_channel_connect(sim->w->channel);
	world_settle(sim->w);
	if (net->resolving != NULL)
		net_push(net, net->list, NULL);
	world_settle(sim->w);
}

static void change_pipe(struct sim *sim, struct world_pipe *pipe)
{
	static const size_t chops[] = { 1, 7, 9, 100, 1500, 0 };

	switch (sim_random(sim, 4)) {
	case 0:
		pipe->stalled = !pipe->stalled;
		break;
	case 1:
		pipe->chop = chops[sim_random(sim, 6)];
		if (pipe->chop != 0 && pipe->chop < sim->scale / 100)
			pipe->chop = sim->scale / 100;
		break;
	case 2:
		pipe->delay = MINIRPC_US(sim_random(sim, 3) * 700);
		break;
	default:
		if (!sim->is_calm && sim_one_in(sim, 3))
			pipe->cut_after = pipe->moved + 1 + sim_random(sim, sim->scale * 20);
	}
}

/* Of one that is there, or of those to come. */
void sim_change_pipes(struct sim *sim)
{
	struct world_link *link = &sim->net.links[sim_random(sim, 6)];

	if (sim_one_in(sim, 4))
		link = &sim->w->link;
	change_pipe(sim, sim_one_in(sim, 2) ? &link->up : &link->down);
}

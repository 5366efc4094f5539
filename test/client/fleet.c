/* SPDX-License-Identifier: MIT */
#include "client/fleet.h"

#include "client/channel.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Pipes ---- */

static void move(minirpc_conn *conn, void *user)
{
	struct fleet_end *end = user;
	const void *data;
	size_t len;

	while ((len = minirpc_conn_pending(conn, &data)) > 0) {
		if (end->other->conn != NULL)
			minirpc_conn_receive(end->other->conn, data, len);
		minirpc_conn_sent(conn, len);
	}
}

static void finished(minirpc_conn *conn, void *user)
{
	struct fleet_end *end = user;

	move(conn, user);
	end->conn = NULL;
	minirpc_conn_close(conn);
	if (end->other->conn != NULL) {
		minirpc_conn *other = end->other->conn;

		end->other->conn = NULL;
		minirpc_conn_close(other);
	}
}

static struct fleet_pipe *take_pipe(struct fleet *fleet)
{
	for (size_t i = 0; i < FLEET_PIPES; i++) {
		struct fleet_pipe *pipe = &fleet->pipes[i];

		if (pipe->client.conn == NULL && pipe->server.conn == NULL) {
			pipe->client.other = &pipe->server;
			pipe->server.other = &pipe->client;
			return pipe;
		}
	}
	ck_abort_msg("more pipes than there is room for");
	return NULL;
}

void fleet_cut(struct fleet_pipe *pipe)
{
	minirpc_conn *client = pipe->client.conn, *server = pipe->server.conn;

	pipe->client.conn = pipe->server.conn = NULL;
	minirpc_conn_close(client);
	minirpc_conn_close(server);
}

static void connect_to(struct fleet *fleet, struct mrpc_subchannel *subchannel, unsigned number)
{
	struct fleet_pipe *pipe = take_pipe(fleet);
	struct minirpc_attach_options options = { .on_pending = move, .on_finished = finished };
	char peer[32];

	snprintf(peer, sizeof peer, "server:%u", number);
	pipe->number = number;
	if (fleet->servers[number].mode == FLEET_UP) {
		options.peer = "client";
		options.user = &pipe->server;
		if (minirpc_server_attach(fleet->servers[number].server, &options,
					  &pipe->server.conn) < 0) {
			mrpc_subchannel_refuse(subchannel, "the server has no memory");
			return;
		}
	}
	options.peer = peer;
	options.user = &pipe->client;
	if (mrpc_subchannel_attach(subchannel, &options, &pipe->client.conn) < 0) {
		mrpc_subchannel_refuse(subchannel, "no memory");
		fleet_cut(pipe);
	}
}

static void dial(struct mrpc_subchannel *subchannel, void *user)
{
	struct fleet *fleet = user;
	unsigned number = 0;
	struct fleet_server *server;
	bool v6 = sscanf(subchannel->first, "ipv6:[fd00::%u]:1", &number) == 1;
	char *at;

	ck_assert(v6 || sscanf(subchannel->first, "ipv4:10.0.0.%u:1", &number) == 1);
	server = &fleet->servers[number];
	if (server->dials < sizeof server->dialed / sizeof server->dialed[0])
		server->dialed[server->dials] = fleet->loop->now;
	server->dials++;
	fleet->dials++;
	at = fleet->order + strlen(fleet->order);
	if (at < fleet->order + sizeof fleet->order - 1)
		*at = (char)((v6 ? '@' : '0') + number);
	if (server->mode == FLEET_DOWN)
		mrpc_subchannel_refuse(subchannel, "Connection refused");
	else
		connect_to(fleet, subchannel, number);
}

/* ---- The resolver ---- */

static void push_list(void *user)
{
	struct fleet *fleet = user;

	if (fleet->resolving != NULL && fleet->list != NULL &&
	    fleet_push(fleet, fleet->list, NULL, NULL) == -ENOMEM)
		minirpc_resolving_fail(fleet->resolving, "no memory");
}

static void tell_resolver(const struct fleet *fleet, bool stops)
{
	if (fleet->on_resolver != NULL)
		fleet->on_resolver(stops);
}

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	struct fleet *fleet = user;
	int r;

	(void)target;
	r = minirpc_timer_start(NULL, minirpc_resolving_loop(to), 0, push_list, fleet);
	if (r < 0)
		return r;
	fleet->starts++;
	fleet->resolving = to;
	*ret_self = fleet;
	tell_resolver(fleet, false);
	return 0;
}

static void again(void *self)
{
	struct fleet *fleet = self;

	fleet->agains++;
	push_list(fleet);
	tell_resolver(fleet, false);
}

static void stop(void *self)
{
	struct fleet *fleet = self;

	fleet->stops++;
	fleet->resolving = NULL;
	tell_resolver(fleet, true);
}

static const struct minirpc_resolver resolver = { "fleet", start, again, stop };

int fleet_push(struct fleet *fleet, const char *list, const char *service_config, const char *note)
{
	char texts[64][16];
	const char *addresses[128];
	struct minirpc_endpoint endpoints[64] = { { 0 } };
	bool separated = strchr(list, ',') != NULL;
	size_t count = 0, used = 0, at = 0;

	for (; *list != '\0'; list++) {
		ck_assert_uint_lt(used, 64);
		if (*list == ',') {
			addresses[at++] = NULL;
			count++;
			continue;
		}
		if (*list > '9')
			snprintf(texts[used], sizeof texts[used], "[fd00::%d]:1", *list - '@');
		else
			snprintf(texts[used], sizeof texts[used], "10.0.0.%c:1", *list);
		if (endpoints[count].addresses == NULL)
			endpoints[count].addresses = &addresses[at];
		addresses[at++] = texts[used++];
		if (!separated) {
			addresses[at++] = NULL;
			count++;
		}
	}
	addresses[at] = NULL;
	if (separated)
		count++;
	return minirpc_resolving_push(fleet->resolving,
				      &(struct minirpc_resolver_result){
					      .endpoints = endpoints,
					      .endpoint_count = count,
					      .service_config_json = service_config,
					      .note = note,
				      });
}

/* ---- The fleet ---- */

static struct fleet *logging; /* whose log it is */

static void take_line(enum minirpc_log_level level, const char *line, void *user)
{
	size_t len = strlen(logging->log);

	(void)level;
	(void)user;
	snprintf(logging->log + len, sizeof logging->log - len, "%s\n", line);
}

int fleet_try_open(struct fleet *fleet, const char *list,
		   const struct minirpc_channel_options *options)
{
	return fleet_try_open_on(fleet, list, NULL, options);
}

int fleet_try_open_on(struct fleet *fleet, const char *list,
		      const struct minirpc_server_options *servers,
		      const struct minirpc_channel_options *options)
{
	struct minirpc_channel_options copy = { 0 };
	int r;

	memset(&seen, 0, sizeof seen);
	*fleet = (struct fleet){ .list = list };
	logging = fleet;
	if (options != NULL)
		copy = *options;
	copy.resolvers = (const struct minirpc_resolver_use[]){ { &resolver, fleet }, { NULL } };
	r = minirpc_loop_new(&fleet->loop,
			     &(struct minirpc_loop_options){ .manual = true,
							     .log = take_line,
							     .log_level = MINIRPC_LOG_INFO });
	for (unsigned i = 1; r == 0 && i <= FLEET_MAX; i++) {
		r = minirpc_server_new(&fleet->servers[i].server, fleet->loop, servers);
		if (r == 0)
			r = pair_try_serve(fleet->servers[i].server);
	}
	if (r == 0)
		r = minirpc_channel_new(&fleet->channel, fleet->loop, "fleet:///test", &copy);
	if (r < 0)
		return r;
	mrpc_channel_seed(fleet->channel, 1);
	mrpc_channel_set_dialer(fleet->channel, dial, fleet);
	return 0;
}

void fleet_open(struct fleet *fleet, const char *list,
		const struct minirpc_channel_options *options)
{
	ck_assert_int_eq(fleet_try_open(fleet, list, options), 0);
}

void fleet_close(struct fleet *fleet)
{
	fleet->channel = minirpc_channel_free(fleet->channel);
	for (unsigned i = 1; i <= FLEET_MAX; i++)
		fleet->servers[i].server = minirpc_server_free(fleet->servers[i].server);
	fleet->loop = minirpc_loop_free(fleet->loop);
}

void fleet_settle(struct fleet *fleet)
{
	minirpc_loop_turn(fleet->loop);
}

void fleet_advance(struct fleet *fleet, minirpc_time span)
{
	minirpc_time end = fleet->now + span, next;

	/* Step by step, as a real loop does. */
	while ((next = minirpc_loop_next(fleet->loop)) <= end) {
		if (next > fleet->now)
			fleet->now = next;
		minirpc_loop_advance(fleet->loop, fleet->now);
	}
	fleet->now = end;
	minirpc_loop_advance(fleet->loop, fleet->now);
}

void fleet_kill(struct fleet *fleet, unsigned number)
{
	fleet->servers[number].mode = FLEET_DOWN;
	for (size_t i = 0; i < FLEET_PIPES; i++)
		if (fleet->pipes[i].number == number && fleet->pipes[i].client.conn != NULL)
			fleet_cut(&fleet->pipes[i]);
	fleet_settle(fleet);
}

void fleet_revive(struct fleet *fleet, unsigned number)
{
	fleet->servers[number].mode = FLEET_UP;
}

void fleet_drain(struct fleet *fleet, unsigned number)
{
	struct fleet_server *server = &fleet->servers[number];

	minirpc_server_drain(server->server, MINIRPC_S(1000), NULL, NULL);
	server->mode = FLEET_DOWN;
	fleet_settle(fleet);
}

unsigned fleet_connections(const struct fleet *fleet, unsigned number)
{
	unsigned count = 0;

	for (size_t i = 0; i < FLEET_PIPES; i++)
		count += fleet->pipes[i].number == number && fleet->pipes[i].client.conn != NULL;
	return count;
}

unsigned fleet_call(struct fleet *fleet)
{
	struct probe probe = { 0 };

	probe_call(&probe, fleet->channel, &echo, NULL);
	fleet_settle(fleet);
	if (probe.ends == 0)
		minirpc_call_cancel(probe.call);
	else if (probe.code == MINIRPC_OK)
		return (unsigned)atoi(probe.peer + strlen("server:"));
	return 0;
}

enum minirpc_channel_state fleet_state(const struct fleet *fleet)
{
	return minirpc_channel_state(fleet->channel);
}

/* SPDX-License-Identifier: MIT */
#include "client/pair.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct seen seen;

const struct minirpc_method echo = { .path = "/t.T/echo" };
const struct minirpc_method hang = { .path = "/t.T/hang" };
const struct minirpc_method letters = { .path = "/t.T/list", .flags = MINIRPC_SERVER_STREAMING };
const struct minirpc_method sum = { .path = "/t.T/sum", .flags = MINIRPC_CLIENT_STREAMING };
const struct minirpc_method chat = {
	.path = "/t.T/chat",
	.flags = MINIRPC_SERVER_STREAMING | MINIRPC_CLIENT_STREAMING,
};

/* ---- The server's methods ---- */

static void came_in(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	seen.calls++;
	seen.last = call;
	seen.deadline = minirpc_call_deadline(call);
}

static void peer_left(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	seen.ends++;
	seen.end_code = status->code;
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
}

static void answer(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	int r = minirpc_call_send(call, message->data, message->len);

	(void)user;
	if (r == -ENOMEM)
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		ck_assert_int_eq(r, 0);
}

static void finish(minirpc_call *call, void *user)
{
	(void)user;
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
}

static void answer_list(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)message;
	(void)user;
	for (const char *letter = "abcde"; *letter != '\0'; letter++) {
		int r = minirpc_call_send(call, letter, 1);

		if (r == -ENOMEM) {
			minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
			return;
		}
		ck_assert_int_eq(r, 0);
	}
}

static void add_up(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	size_t *total = minirpc_call_user(call);

	(void)user;
	*total += message->len;
}

static void answer_sum(minirpc_call *call, void *user)
{
	char text[32];
	size_t *total = minirpc_call_user(call);

	(void)user;
	snprintf(text, sizeof text, "%zu", *total);
	if (minirpc_call_send(call, text, strlen(text)) < 0)
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
}

static const struct minirpc_call_events sum_events = { .on_message = add_up,
						       .on_half_close = answer_sum,
						       .on_end = peer_left };

static void begin_sum(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	void *total = minirpc_call_alloc(call, sizeof(size_t));

	came_in(call, metadata, user);
	if (total == NULL)
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		minirpc_call_listen(call, &sum_events, total);
}

static void drop(void *user)
{
	(void)user;
	seen.drops++;
}

int pair_try_serve(minirpc_server *server)
{
	static const struct minirpc_call_events echo_events = { .on_headers = came_in,
								.on_message = answer,
								.on_half_close = finish,
								.on_end = peer_left };
	static const struct minirpc_call_events hang_events = { .on_headers = came_in,
								.on_end = peer_left };
	static const struct minirpc_call_events list_events = { .on_headers = came_in,
								.on_message = answer_list,
								.on_half_close = finish,
								.on_end = peer_left };
	static const struct minirpc_call_events begin_sum_events = { .on_headers = begin_sum };
	int r;

	r = minirpc_server_add(server, &echo, &echo_events, NULL, drop);
	if (r == 0)
		r = minirpc_server_add(server, &hang, &hang_events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_add(server, &letters, &list_events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_add(server, &sum, &begin_sum_events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_add(server, &chat, &echo_events, NULL, NULL);
	return r;
}

void pair_serve(minirpc_server *server)
{
	ck_assert_int_eq(pair_try_serve(server), 0);
}

/* ---- The pipe ---- */

static void move(minirpc_conn *conn, void *user)
{
	struct end *end = user;
	const void *data;
	size_t len;

	while (!end->held && (len = minirpc_conn_pending(conn, &data)) > 0) {
		if (end->other->conn != NULL)
			minirpc_conn_receive(end->other->conn, data, len);
		minirpc_conn_sent(conn, len);
	}
}

static void finished(minirpc_conn *conn, void *user)
{
	struct end *end = user;

	end->finished++;
	move(conn, user);
	end->conn = NULL;
	minirpc_conn_close(conn);
	if (end->other->conn != NULL) {
		minirpc_conn_close(end->other->conn);
		end->other->conn = NULL;
	}
}

static int try_open_on(struct pair *pair, const struct minirpc_loop_options *loop,
		       const struct minirpc_server_options *server,
		       const struct minirpc_channel_options *channel)
{
	int r;

	memset(&seen, 0, sizeof seen);
	*pair = (struct pair){ 0 };
	pair->client = (struct end){ .pair = pair, .other = &pair->server_end };
	pair->server_end = (struct end){ .pair = pair, .other = &pair->client };
	r = minirpc_loop_new(&pair->loop, loop);
	if (r == 0)
		r = minirpc_server_new(&pair->server, pair->loop, server);
	if (r == 0)
		r = pair_try_serve(pair->server);
	if (r == 0)
		r = minirpc_channel_new(&pair->channel, pair->loop, "attached:test", channel);
	return r;
}

int pair_try_open(struct pair *pair, const struct minirpc_server_options *server,
		  const struct minirpc_channel_options *channel)
{
	return try_open_on(pair, &(struct minirpc_loop_options){ .manual = true }, server, channel);
}

void pair_open_on(struct pair *pair, const struct minirpc_loop_options *loop,
		  const struct minirpc_server_options *server,
		  const struct minirpc_channel_options *channel)
{
	ck_assert_int_eq(try_open_on(pair, loop, server, channel), 0);
}

void pair_open(struct pair *pair, const struct minirpc_server_options *server,
	       const struct minirpc_channel_options *channel)
{
	ck_assert_int_eq(pair_try_open(pair, server, channel), 0);
}

void pair_close(struct pair *pair)
{
	pair->channel = minirpc_channel_free(pair->channel);
	pair->server = minirpc_server_free(pair->server);
	pair->loop = minirpc_loop_free(pair->loop);
}

int pair_try_connect(struct pair *pair)
{
	struct minirpc_attach_options options = { .peer = "pipe:client",
						  .secure = pair->secure,
						  .on_pending = move,
						  .on_finished = finished,
						  .user = &pair->server_end };
	int r;

	r = minirpc_server_attach(pair->server, &options, &pair->server_end.conn);
	if (r < 0)
		return r;
	options.peer = "pipe:server";
	options.user = &pair->client;
	r = minirpc_channel_attach(pair->channel, &options, &pair->client.conn);
	if (r < 0) {
		minirpc_conn_close(pair->server_end.conn);
		pair->server_end.conn = NULL;
	}
	return r;
}

void pair_connect(struct pair *pair)
{
	ck_assert_int_eq(pair_try_connect(pair), 0);
}

void pair_cut(struct pair *pair)
{
	minirpc_conn_close(pair->client.conn);
	minirpc_conn_close(pair->server_end.conn);
	pair->client.conn = pair->server_end.conn = NULL;
}

void pair_release(struct pair *pair)
{
	pair->client.held = pair->server_end.held = false;
	if (pair->client.conn != NULL)
		move(pair->client.conn, &pair->client);
	if (pair->server_end.conn != NULL)
		move(pair->server_end.conn, &pair->server_end);
}

void pair_settle(struct pair *pair)
{
	minirpc_loop_turn(pair->loop);
}

void pair_advance(struct pair *pair, minirpc_time span)
{
	pair->now += span;
	minirpc_loop_advance(pair->loop, pair->now);
}

/* ---- Probes ---- */

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct probe *probe = user;

	(void)metadata;
	snprintf(probe->peer, sizeof probe->peer, "%s", minirpc_call_peer(call));
	probe->headers++;
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->messages++;
	snprintf(probe->last, sizeof probe->last, "%.*s", (int)message->len,
		 (const char *)message->data);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->ends++;
	probe->code = status->code;
	snprintf(probe->text, sizeof probe->text, "%s", status->message);
	if (probe->on_end != NULL)
		probe->on_end(probe);
}

const struct minirpc_call_events probe_events = { .on_headers = on_headers,
						  .on_message = on_message,
						  .on_end = on_end };

void probe_call(struct probe *probe, minirpc_channel *channel, const struct minirpc_method *method,
		const struct minirpc_call_options *options)
{
	ck_assert_int_eq(
		minirpc_call_open(&probe->call, channel, method, options, &probe_events, probe), 0);
	if (method->flags & MINIRPC_CLIENT_STREAMING)
		return;
	ck_assert_int_eq(minirpc_call_send(probe->call, "hello", 5), 0);
	ck_assert_int_eq(minirpc_call_end(probe->call, NULL), 0);
}

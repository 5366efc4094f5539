/* SPDX-License-Identifier: MIT */
#include "typed/pair.h"

/* ---- Joining ---- */

static bool move(minirpc_conn *from, minirpc_conn *to)
{
	const void *data;
	size_t len;
	bool moved = false;

	while (from != NULL && (len = minirpc_conn_pending(from, &data)) > 0) {
		if (to != NULL)
			minirpc_conn_receive(to, data, len);
		minirpc_conn_sent(from, len);
		moved = true;
	}
	return moved;
}

static bool move_both(struct pair *pair)
{
	bool there = move(pair->conns[0], pair->conns[1]);

	return move(pair->conns[1], pair->conns[0]) || there;
}

/* On a loop that runs by itself the bytes are moved as they come. */
static void on_pending(minirpc_conn *conn, void *user)
{
	struct pair *pair = user;

	if (pair->own_loop)
		move(conn, conn == pair->conns[0] ? pair->conns[1] : pair->conns[0]);
}

static void on_finished(minirpc_conn *conn, void *user)
{
	struct pair *pair = user;

	pair->conns[conn == pair->conns[0] ? 0 : 1] = NULL;
	minirpc_conn_close(conn);
}

static int join(struct pair *pair, const struct minirpc_server_options *server)
{
	const struct minirpc_attach_options options = {
		.peer = "pair",
		.on_pending = on_pending,
		.on_finished = on_finished,
		.user = pair,
	};
	int r;

	r = minirpc_server_new(&pair->server, pair->loop, server);
	if (r == 0)
		r = minirpc_server_attach(pair->server, &options, &pair->conns[1]);
	if (r == 0)
		r = minirpc_channel_attach(pair->channel, &options, &pair->conns[0]);
	if (r < 0)
		pair_close(pair);
	return r;
}

int pair_open(struct pair *pair)
{
	return pair_open_with(pair, NULL);
}

int pair_open_with(struct pair *pair, const struct minirpc_conn_limits *limits)
{
	struct minirpc_channel_options client = { 0 };
	struct minirpc_server_options server = { 0 };
	int r;

	if (limits != NULL)
		client.limits = server.limits = *limits;

	*pair = (struct pair){ 0 };
	r = minirpc_loop_new(&pair->loop, &(struct minirpc_loop_options){ .manual = true });
	if (r == 0)
		r = minirpc_channel_new(&pair->channel, pair->loop, "attached:pair", &client);
	if (r < 0) {
		pair_close(pair);
		return r;
	}
	return join(pair, &server);
}

int pair_open_waiting(struct pair *pair)
{
	int r;

	*pair = (struct pair){ .own_loop = true };
	r = minirpc_channel_new(&pair->channel, NULL, "attached:pair", NULL);
	if (r < 0)
		return r;
	pair->loop = minirpc_channel_loop(pair->channel);
	return join(pair, NULL);
}

void pair_close(struct pair *pair)
{
	minirpc_server_free(pair->server);
	minirpc_channel_free(pair->channel);
	if (!pair->own_loop)
		minirpc_loop_free(pair->loop);
	*pair = (struct pair){ 0 };
}

void pair_settle(struct pair *pair)
{
	do
		minirpc_loop_advance(pair->loop, pair->now);
	while (move_both(pair));
}

void pair_advance(struct pair *pair, minirpc_time span)
{
	pair->now += span;
	pair_settle(pair);
}

/* ---- The service ---- */

#define METHOD(name, flags_)                                                                       \
	{                                                                                          \
		.method = { .path = "/typedtest.Talk/" name, .flags = (flags_) },                  \
		.request = &typedtest__small__descriptor,                                          \
		.response = &typedtest__small__descriptor,                                         \
	}

enum { ASK, COUNT, SUM, CHAT, METHODS };

static const struct minirpc_typed_method methods[METHODS] = {
	METHOD("Ask", 0),
	METHOD("Count", MINIRPC_SERVER_STREAMING),
	METHOD("Sum", MINIRPC_CLIENT_STREAMING),
	METHOD("Chat", MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING),
};

const struct minirpc_typed_method talk_ask = METHOD("Ask", 0);
const struct minirpc_typed_method talk_count = METHOD("Count", MINIRPC_SERVER_STREAMING);
const struct minirpc_typed_method talk_sum = METHOD("Sum", MINIRPC_CLIENT_STREAMING);
const struct minirpc_typed_method talk_chat =
	METHOD("Chat", MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING);

static bool ask_is_handled(const void *handlers)
{
	return ((const struct talk_handlers *)handlers)->ask != NULL;
}

static bool count_is_handled(const void *handlers)
{
	return ((const struct talk_handlers *)handlers)->count != NULL;
}

static bool sum_is_handled(const void *handlers)
{
	return ((const struct talk_handlers *)handlers)->sum != NULL;
}

static bool chat_is_handled(const void *handlers)
{
	return ((const struct talk_handlers *)handlers)->chat != NULL;
}

static void on_ask(minirpc_call *call, const void *request, const void *handlers, void *user)
{
	((const struct talk_handlers *)handlers)->ask(call, request, user);
}

static void on_count(minirpc_call *call, const void *request, const void *handlers, void *user)
{
	((const struct talk_handlers *)handlers)->count(call, request, user);
}

static void on_sum(minirpc_call *call, const void *handlers, void *user)
{
	((const struct talk_handlers *)handlers)->sum(call, user);
}

static void on_chat(minirpc_call *call, const void *handlers, void *user)
{
	((const struct talk_handlers *)handlers)->chat(call, user);
}

static const struct minirpc_binding bindings[METHODS] = {
	{ .method = &methods[ASK], .is_handled = ask_is_handled, .on_request = on_ask },
	{ .method = &methods[COUNT], .is_handled = count_is_handled, .on_request = on_count },
	{ .method = &methods[SUM], .is_handled = sum_is_handled, .on_open = on_sum },
	{ .method = &methods[CHAT], .is_handled = chat_is_handled, .on_open = on_chat },
};

static const struct minirpc_service talk = {
	.name = "typedtest.Talk",
	.methods = methods,
	.method_count = METHODS,
};

int talk_serve(minirpc_server *server, const struct talk_handlers *handlers, void *user)
{
	return minirpc_serve(server, &talk, bindings, handlers, sizeof *handlers, user);
}

static void talk_on_message(minirpc_call *call, const void *message, const void *events, void *user)
{
	const struct talk_events *talk_events = events;

	if (talk_events->on_message != NULL)
		talk_events->on_message(call, message, user);
}

static void talk_on_half_close(minirpc_call *call, const void *events, void *user)
{
	const struct talk_events *talk_events = events;

	if (talk_events->on_half_close != NULL)
		talk_events->on_half_close(call, user);
}

static void talk_on_writable(minirpc_call *call, const void *events, void *user)
{
	const struct talk_events *talk_events = events;

	if (talk_events->on_writable != NULL)
		talk_events->on_writable(call, user);
}

static void talk_on_end(minirpc_call *call, const struct minirpc_status *status, const void *events,
			void *user)
{
	const struct talk_events *talk_events = events;

	if (talk_events->on_end != NULL)
		talk_events->on_end(call, status, user);
}

static const struct minirpc_stream_ops ops = {
	.on_message = talk_on_message,
	.on_half_close = talk_on_half_close,
	.on_writable = talk_on_writable,
	.on_end = talk_on_end,
};

int talk_listen(minirpc_call *call, const struct minirpc_typed_method *method,
		const struct talk_events *events, void *user)
{
	return minirpc_stream_listen(call, method, &ops, events, sizeof *events, user);
}

int talk_open(minirpc_call **ret_call, minirpc_channel *channel,
	      const struct minirpc_typed_method *method, const Typedtest__Small *request,
	      const struct minirpc_call_options *options, const struct talk_events *events,
	      void *user)
{
	return minirpc_stream_open(ret_call, channel, method,
				   request == NULL ? NULL : &request->base, options, &ops, events,
				   sizeof *events, user);
}

static void deliver(minirpc_fn fn, const struct minirpc_status *status, const void *response,
		    void *user)
{
	((talk_done)fn)(status, response, user);
}

int talk_ask_async(minirpc_channel *channel, const Typedtest__Small *request,
		   const struct minirpc_call_options *options, talk_done on_done, void *user)
{
	return minirpc_unary(channel, &talk_ask, &request->base, options, deliver,
			     (minirpc_fn)on_done, user);
}

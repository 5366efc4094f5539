/* SPDX-License-Identifier: MIT */
#include "world/world.h"

#include "world/alloc_fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Pipes ---- */

struct world_piece {
	struct world_piece *next;
	minirpc_time at; /* when the reader may have it */
	size_t len, start;
	unsigned char data[];
};

static void pipe_write(struct world_pipe *pipe, const void *data, size_t len, minirpc_time now)
{
	struct world_piece *piece = malloc(sizeof *piece + len);

	*piece = (struct world_piece){ .at = now + pipe->delay, .len = len };
	memcpy(piece->data, data, len);
	if (pipe->first == NULL)
		pipe->first = piece;
	else
		pipe->last->next = piece;
	pipe->last = piece;
}

static void pipe_empty(struct world_pipe *pipe)
{
	struct world_piece *next;

	for (; pipe->first != NULL; pipe->first = next) {
		next = pipe->first->next;
		free(pipe->first);
	}
	pipe->last = NULL;
}

static bool pipe_has(const struct world_pipe *pipe, minirpc_time now)
{
	return pipe->first != NULL && !pipe->stalled && pipe->first->at <= now;
}

/* The machine hands its bytes out; they are in the pipe from then on. */
static bool take_from(minirpc_conn *conn, struct world_pipe *pipe, minirpc_time now)
{
	const void *data;
	size_t len;
	bool moved = false;

	if (pipe->stalled)
		return false;
	while (conn != NULL && (len = minirpc_conn_pending(conn, &data)) > 0) {
		pipe_write(pipe, data, len, now);
		minirpc_conn_sent(conn, len);
		moved = true;
	}
	return moved;
}

/* Gives the reader the next piece, or a part of it. True: something moved. */
static bool give_to(minirpc_conn *conn, struct world_pipe *pipe, minirpc_time now)
{
	struct world_piece *piece = pipe->first;
	size_t len;

	if (conn == NULL || !pipe_has(pipe, now) || !minirpc_conn_wants_receive(conn))
		return false;
	len = piece->len - piece->start;
	if (pipe->chop > 0 && len > pipe->chop)
		len = pipe->chop;
	if (len > pipe->cut_after - pipe->moved)
		len = pipe->cut_after - pipe->moved;
	if (len > 0)
		minirpc_conn_receive(conn, piece->data + piece->start, len);
	pipe->moved += len;
	piece->start += len;
	if (piece->start == piece->len) {
		pipe->first = piece->next;
		if (pipe->first == NULL)
			pipe->last = NULL;
		free(piece);
	}
	return true;
}

/* ---- Connections ---- */

void world_link_cut(struct world_link *link)
{
	minirpc_conn *client = link->client_end, *server = link->server_end;

	link->client_end = link->server_end = NULL;
	minirpc_conn_close(client);
	minirpc_conn_close(server);
	pipe_empty(&link->up);
	pipe_empty(&link->down);
}

/* Nothing more will come out of it. */
static bool is_done(const struct world_pipe *pipe, const struct world_pipe *back)
{
	return pipe->is_last && (pipe->first == NULL || pipe->stalled || back->is_last);
}

static bool is_over(const struct world_link *link)
{
	return is_done(&link->up, &link->down) || is_done(&link->down, &link->up) ||
	       (link->up.is_last && link->server_end == NULL) ||
	       (link->down.is_last && link->client_end == NULL);
}

bool world_link_move(struct world_link *link, minirpc_time now)
{
	bool moved = false;

	moved |= take_from(link->client_end, &link->up, now);
	moved |= give_to(link->server_end, &link->up, now);
	if (link->up.moved < link->up.cut_after) {
		moved |= take_from(link->server_end, &link->down, now);
		moved |= give_to(link->client_end, &link->down, now);
	}
	if ((link->client_end != NULL || link->server_end != NULL) &&
	    (link->up.moved >= link->up.cut_after || link->down.moved >= link->down.cut_after ||
	     (!moved && is_over(link)))) {
		world_link_cut(link);
		moved = true;
	}
	return moved;
}

static minirpc_time pipe_next(const struct world_pipe *pipe, minirpc_time now)
{
	return pipe->first != NULL && !pipe->stalled && pipe->first->at > now ? pipe->first->at
									      : MINIRPC_NEVER;
}

minirpc_time world_link_next(const struct world_link *link, minirpc_time now)
{
	minirpc_time up = pipe_next(&link->up, now), down = pipe_next(&link->down, now);

	return up < down ? up : down;
}

/* What it has to say is on its way. Whoever frees a channel or a server takes the handle with it. */
static void finished(minirpc_conn **conn, struct world_pipe *pipe)
{
	minirpc_conn *gone = *conn;

	take_from(gone, pipe, pipe->last == NULL ? 0 : pipe->last->at);
	pipe->is_last = true;
	*conn = NULL;
	minirpc_conn_close(gone);
}

static void client_finished(minirpc_conn *conn, void *user)
{
	struct world_link *link = user;

	(void)conn;
	finished(&link->client_end, &link->up);
}

static void server_finished(minirpc_conn *conn, void *user)
{
	struct world_link *link = user;

	(void)conn;
	finished(&link->server_end, &link->down);
}

int world_link_connect(struct world_link *link, minirpc_server *server,
		       int (*attach)(void *to, const struct minirpc_attach_options *options,
				     minirpc_conn **ret_conn),
		       void *to, const char *peer)
{
	struct minirpc_attach_options options = { .peer = "world:client",
						  .on_finished = server_finished,
						  .user = link };
	int r = 0;

	link->up.moved = link->down.moved = 0;
	link->up.is_last = link->down.is_last = false;
	if (server != NULL)
		r = minirpc_server_attach(server, &options, &link->server_end);
	if (r < 0)
		link->server_end = NULL;
	options.peer = peer;
	options.on_finished = client_finished;
	if (r == 0)
		r = attach(to, &options, &link->client_end);
	if (r < 0) {
		link->client_end = NULL;
		world_link_cut(link);
	}
	return r;
}

/* ---- The server's methods ---- */

#define BOTH (MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING)

const struct minirpc_method world_echo = { "/world.World/Echo", 0 };
const struct minirpc_method world_fail = { "/world.World/Fail", 0 };
const struct minirpc_method world_ask = { "/world.World/Ask", 0 };
const struct minirpc_method world_hold = { "/world.World/Hold", BOTH };
const struct minirpc_method world_count = { "/world.World/Count", MINIRPC_SERVER_STREAMING };
const struct minirpc_method world_sum = { "/world.World/Sum", MINIRPC_CLIENT_STREAMING };
const struct minirpc_method world_chat = { "/world.World/Chat", BOTH };
const struct minirpc_method world_missing = { "/world.World/Missing", 0 };

struct handler; /* what each method does, in terms of one state */

struct state {
	const struct handler *handler;
	struct world *w;
	struct served *served;
	size_t left, size; /* Count: messages still to send, and their size */
	char *held;        /* Chat: a message that found no room */
	size_t held_len;
};

struct handler {
	const struct minirpc_method *method;
	void (*on_message)(minirpc_call *call, struct state *state,
			   const struct minirpc_message *message);
	void (*on_half_close)(minirpc_call *call, struct state *state);
	void (*on_writable)(minirpc_call *call, struct state *state);
};

static void remember(char last[64], const struct minirpc_message *message)
{
	snprintf(last, 64, "%.*s", (int)(message->len < 63 ? message->len : 63),
		 (const char *)message->data);
}

static void end(minirpc_call *call, struct state *state, const struct minirpc_status *status)
{
	state->served->call = NULL;
	free(state->held);
	state->held = NULL;
	minirpc_call_end(call, status);
}

/* Ends with OK after a send, or says why it could not be sent. */
static void end_after(minirpc_call *call, struct state *state, int r)
{
	struct minirpc_status status = { .code = r == 0 ? MINIRPC_OK : MINIRPC_RESOURCE_EXHAUSTED,
					 .message = "the answer could not be sent" };

	end(call, state, &status);
}

static void echo_message(minirpc_call *call, struct state *state,
			 const struct minirpc_message *message)
{
	end_after(call, state, minirpc_call_send(call, message->data, message->len));
}

static void fail_message(minirpc_call *call, struct state *state,
			 const struct minirpc_message *message)
{
	char text[64];

	remember(text, message);
	minirpc_call_set_trailers(
		call, (const struct minirpc_field[]){ { "x-trailer", "why", 0 }, { 0 } });
	end(call, state, &(struct minirpc_status){ .code = MINIRPC_NOT_FOUND, .message = text });
}

static void count_more(minirpc_call *call, struct state *state)
{
	int r = 0;

	for (; state->left > 0; state->left--) {
		char *data = malloc(state->size + 1);

		memset(data, 'x', state->size);
		r = minirpc_call_send(call, data, state->size);
		free(data);
		if (r == -EAGAIN)
			return;
		if (r < 0)
			break;
	}
	end_after(call, state, r);
}

static void count_message(minirpc_call *call, struct state *state,
			  const struct minirpc_message *message)
{
	char text[64];

	remember(text, message);
	if (sscanf(text, "%zu %zu", &state->left, &state->size) != 2)
		end(call, state,
		    &(struct minirpc_status){ .code = MINIRPC_INVALID_ARGUMENT,
					      .message = "N SIZE" });
	else
		count_more(call, state);
}

static void sum_end(minirpc_call *call, struct state *state)
{
	char text[32];

	snprintf(text, sizeof text, "%zu", state->served->bytes);
	end_after(call, state, minirpc_call_send(call, text, strlen(text)));
}

/* A chat that cannot answer now keeps the message and stops listening until it can. */
static void chat_message(minirpc_call *call, struct state *state,
			 const struct minirpc_message *message)
{
	int r = minirpc_call_send(call, message->data, message->len);

	if (r == -EAGAIN) {
		state->held = malloc(message->len + 1);
		memcpy(state->held, message->data, message->len);
		state->held_len = message->len;
		minirpc_call_pause(call);
	} else if (r < 0) {
		end_after(call, state, r);
	}
}

static void chat_room(minirpc_call *call, struct state *state)
{
	int r;

	if (state->held == NULL)
		return;
	r = minirpc_call_send(call, state->held, state->held_len);
	free(state->held);
	state->held = NULL;
	if (r < 0)
		end_after(call, state, r);
	else
		minirpc_call_resume(call);
}

static void chat_end(minirpc_call *call, struct state *state)
{
	end(call, state, NULL);
}

static const struct handler handlers[] = {
	{ .method = &world_echo, .on_message = echo_message },
	{ .method = &world_fail, .on_message = fail_message },
	{ .method = &world_ask },
	{ .method = &world_hold },
	{ .method = &world_count, .on_message = count_message, .on_writable = count_more },
	{ .method = &world_sum, .on_half_close = sum_end },
	{ .method = &world_chat,
	  .on_message = chat_message,
	  .on_half_close = chat_end,
	  .on_writable = chat_room },
};

static void served_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct state *state = user;

	state->w->stirred = true;
	state->served->messages++;
	state->served->compressed += message->compressed;
	state->served->bytes += message->len;
	remember(state->served->last, message);
	if (state->handler->on_message != NULL)
		state->handler->on_message(call, state, message);
}

static void served_half_close(minirpc_call *call, void *user)
{
	struct state *state = user;

	state->w->stirred = true;
	state->served->half_closes++;
	if (state->handler->on_half_close != NULL)
		state->handler->on_half_close(call, state);
}

static void served_writable(minirpc_call *call, void *user)
{
	struct state *state = user;

	state->w->stirred = true;
	state->served->rooms++;
	if (state->handler->on_writable != NULL)
		state->handler->on_writable(call, state);
}

static void served_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct state *state = user;

	state->w->stirred = true;
	state->served->ends++;
	state->served->left = status->code;
	end(call, state, NULL);
}

static const struct minirpc_call_events served_events = {
	.on_message = served_message,
	.on_half_close = served_half_close,
	.on_writable = served_writable,
	.on_end = served_end,
};

/* The registration's user pointer is the world's entry for the method. */
struct entry {
	struct world *w;
	const struct handler *handler;
};

static void served_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct entry *entry = user;
	struct state *state = minirpc_call_alloc(call, sizeof *state);
	struct served *served = &entry->w->served[entry->w->served_count++ % WORLD_SERVED];

	(void)metadata;
	entry->w->stirred = true;
	if (state == NULL) {
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no memory for the handler");
		return;
	}
	*served = (struct served){ .call = call };
	*state = (struct state){ .handler = entry->handler, .w = entry->w, .served = served };
	minirpc_call_set_compression(call, minirpc_call_peer_compression(call));
	minirpc_call_listen(call, &served_events, state);
}

static const struct minirpc_call_events entry_events = { .on_headers = served_headers };

int world_serve_on(struct world *w, minirpc_server *server)
{
	for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
		struct entry *entry = malloc(sizeof *entry);
		int r;

		*entry = (struct entry){ w, &handlers[i] };
		r = minirpc_server_add(server, handlers[i].method, &entry_events, entry, free);
		if (r < 0) {
			free(entry);
			return r;
		}
	}
	return 0;
}

int world_serve(struct world *w)
{
	return world_serve_on(w, w->server);
}

/* ---- The client's probe ---- */

static void probe_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct probe *probe = user;

	(void)call;
	(void)metadata;
	probe->w->stirred = true;
	probe->headers++;
	probe->bad_order |= probe->messages > 0 || probe->ends > 0 || probe->headers > 1;
}

static void probe_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->w->stirred = true;
	probe->messages++;
	probe->compressed += message->compressed;
	probe->bytes += message->len;
	remember(probe->last, message);
	probe->bad_order |= probe->headers == 0 || probe->ends > 0;
}

static void probe_writable(minirpc_call *call, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->w->stirred = true;
	probe->rooms++;
}

static void probe_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;
	const char *trailer = minirpc_metadata_get(minirpc_call_trailers(call), "x-trailer");

	probe->w->stirred = true;
	probe->bad_order |= probe->ends > 0;
	probe->ends++;
	probe->call = NULL;
	probe->code = status->code;
	snprintf(probe->text, sizeof probe->text, "%s", status->message);
	snprintf(probe->trailer, sizeof probe->trailer, "%s", trailer == NULL ? "" : trailer);
}

static const struct minirpc_call_events probe_events = {
	.on_headers = probe_headers,
	.on_message = probe_message,
	.on_writable = probe_writable,
	.on_end = probe_end,
};

minirpc_call *world_call_with(struct world *w, const struct minirpc_method *method,
			      const struct minirpc_call_options *options, struct probe *probe)
{
	minirpc_call *call = NULL;
	int r;

	probe->w = w;
	r = minirpc_call_open(&call, w->channel, method, options, &probe_events, probe);
	world_expect(w, r == 0);
	probe->call = r == 0 ? call : NULL;
	return probe->call;
}

minirpc_call *world_call(struct world *w, const struct minirpc_method *method, minirpc_time timeout,
			 struct probe *probe)
{
	return world_call_with(w, method, &(struct minirpc_call_options){ .timeout = timeout },
			       probe);
}

void world_request(minirpc_call *call, const char *text)
{
	if (call == NULL)
		return;
	/* Without memory for the message the call is given up, as a user would. */
	if (minirpc_call_send(call, text, strlen(text)) < 0)
		minirpc_call_abort(call,
				   &(struct minirpc_status){ .code = MINIRPC_RESOURCE_EXHAUSTED });
	else
		minirpc_call_end(call, NULL);
}

struct served *world_served(struct world *w)
{
	return w->served_count == 0 ? NULL : &w->served[(w->served_count - 1) % WORLD_SERVED];
}

/* ---- Connecting and time ---- */

static int attach_to_channel(void *to, const struct minirpc_attach_options *options,
			     minirpc_conn **ret_conn)
{
	return minirpc_channel_attach(to, options, ret_conn);
}

int world_connect(struct world *w)
{
	int r;

	world_cut(w);
	r = world_link_connect(&w->link, w->server, attach_to_channel, w->channel, "world:server");
	world_expect(w, r == 0);
	return r;
}

void world_cut(struct world *w)
{
	world_link_cut(&w->link);
}

static bool move(struct world *w)
{
	bool moved = world_link_move(&w->link, w->now);

	for (size_t i = 0; i < w->more_count; i++)
		moved |= world_link_move(&w->more[i], w->now);
	return moved;
}

void world_settle(struct world *w)
{
	do
		minirpc_loop_advance(w->loop, w->now);
	while (move(w) || minirpc_loop_next(w->loop) <= w->now);
}

static minirpc_time next_event(const struct world *w)
{
	minirpc_time next = minirpc_loop_next(w->loop), at = world_link_next(&w->link, w->now);

	next = at < next ? at : next;
	for (size_t i = 0; i < w->more_count; i++) {
		at = world_link_next(&w->more[i], w->now);
		next = at < next ? at : next;
	}
	return next;
}

void world_advance(struct world *w, minirpc_time span)
{
	minirpc_time until = w->now + span;

	world_settle(w);
	for (;;) {
		minirpc_time next = next_event(w);

		if (next > until)
			break;
		w->now = next > w->now ? next : w->now + 1;
		world_settle(w);
	}
	w->now = until;
	world_settle(w);
}

struct world *world_new_with(const struct world_options *options)
{
	struct world *w = calloc(1, sizeof *w);
	int r;

	w->is_faulty = options->faulty;
	w->up.cut_after = w->down.cut_after = SIZE_MAX;
	r = minirpc_loop_new(&w->loop, &(struct minirpc_loop_options){ .manual = true });
	if (r == 0)
		r = minirpc_server_new(&w->server, w->loop, &options->server);
	if (r == 0)
		r = world_serve(w);
	if (r == 0)
		r = minirpc_channel_new(&w->channel, w->loop, "attached:world", &options->channel);
	if (r == 0)
		r = world_connect(w);
	world_expect(w, r == 0);
	if (r == 0)
		return w;
	world_free(w);
	return NULL;
}

struct world *world_new(void)
{
	return world_new_with(&(struct world_options){ 0 });
}

void world_free(struct world *w)
{
	if (w == NULL)
		return;
	world_cut(w);
	minirpc_channel_free(w->channel);
	minirpc_server_free(w->server);
	if (w->loop != NULL)
		minirpc_loop_advance(w->loop, w->now);
	minirpc_loop_free(w->loop);
	free(w);
}

void world_check_usable(struct world *w)
{
	struct probe probe = { 0 };

	alloc_fail_at(0, false);
	w->is_faulty = false;
	w->up.cut_after = w->down.cut_after = SIZE_MAX;
	w->up.stalled = w->down.stalled = false;
	world_settle(w);
	ck_assert_int_eq(world_connect(w), 0);
	world_call_with(
		w, &world_echo,
		&(struct minirpc_call_options){ .timeout = MINIRPC_S(300), .wait_for_ready = true },
		&probe);
	world_request(probe.call, "still here");
	world_settle(w);
	ck_assert_msg(probe.ends == 1 && probe.code == MINIRPC_OK,
		      "not usable any more: %d ends, %s: %s", probe.ends,
		      minirpc_code_name(probe.code), probe.text);
	ck_assert_str_eq(probe.last, "still here");
}

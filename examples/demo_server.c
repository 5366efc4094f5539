/* SPDX-License-Identifier: MIT */
/* One method of each kind, for the clients beside it. Type
 *
 *	demo_server localhost:50052             listening on localhost:50052
 *
 * and then server_stream, client_stream or chat in another window. Port 0 picks a free one; after
 * SIGTERM or ^C calls in flight may end first. */
#include "demo.minirpc.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Echo: one in, one out ---- */

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	(void)user;
	demo_kinds_echo_reply(call, req);
}

/* ---- Count: one in, many out. Sends until the queue is full, and goes on when there is room ---- */

struct range {
	int64_t next, last;
};

static void count_on(demo_kinds_count_callee *call, void *user)
{
	struct range *range = user;

	for (; range->next <= range->last; range->next++) {
		int r = demo_kinds_count_reply(
			call, &(Demo__Number){ DEMO__NUMBER__FIELDS, .number = range->next });

		if (r == -EAGAIN)
			return; /* on_writable follows */
		if (r < 0) {
			demo_kinds_count_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "%s", strerror(-r));
			return;
		}
	}
	demo_kinds_count_finish(call);
}

static void count_left(demo_kinds_count_callee *call, const struct minirpc_status *status,
		       void *user)
{
	(void)user;
	demo_kinds_count_fail(call, status->code, "nobody listens"); /* gives the call back */
}

static void on_count(demo_kinds_count_callee *call, const Demo__Range *req, void *user)
{
	static const struct demo_kinds_count_callee_events events = { .on_writable = count_on,
								      .on_end = count_left };
	struct range *range = minirpc_call_alloc(demo_kinds_count_call(call), sizeof *range);

	(void)user;
	if (req->from > req->to || req->to == INT64_MAX) {
		demo_kinds_count_fail(call, MINIRPC_INVALID_ARGUMENT, "no range to count");
	} else if (range == NULL || demo_kinds_count_listen(call, &events, range) < 0) {
		demo_kinds_count_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	} else {
		*range = (struct range){ req->from, req->to };
		count_on(call, range);
	}
}

/* ---- Sum: many in, one out ---- */

static void sum_add(demo_kinds_sum_callee *call, const Demo__Number *number, void *user)
{
	int64_t *sum = user;

	if (__builtin_add_overflow(*sum, number->number, sum))
		demo_kinds_sum_fail(call, MINIRPC_OUT_OF_RANGE, "the sum has more than 64 bits");
}

static void sum_reply(demo_kinds_sum_callee *call, void *user)
{
	const int64_t *sum = user;

	demo_kinds_sum_reply(call, &(Demo__Number){ DEMO__NUMBER__FIELDS, .number = *sum });
}

static void sum_left(demo_kinds_sum_callee *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	demo_kinds_sum_fail(call, status->code, "nobody listens");
}

static void on_sum(demo_kinds_sum_callee *call, void *user)
{
	static const struct demo_kinds_sum_callee_events events = { .on_message = sum_add,
								    .on_half_close = sum_reply,
								    .on_end = sum_left };
	int64_t *sum = minirpc_call_alloc(demo_kinds_sum_call(call), sizeof *sum); /* zeroed */

	(void)user;
	if (sum == NULL || demo_kinds_sum_listen(call, &events, sum) < 0)
		demo_kinds_sum_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- Chat: many in, many out. Takes no further text while the last answer waits for room ---- */

struct chat {
	char *waiting;
};

static void chat_over(demo_kinds_chat_callee *call, const struct chat *chat, enum minirpc_code code)
{
	free(chat->waiting);
	if (code == MINIRPC_OK)
		demo_kinds_chat_finish(call);
	else
		demo_kinds_chat_fail(call, code, "cannot chat on");
}

static void chat_answer(demo_kinds_chat_callee *call, const Demo__Text *text, void *user)
{
	struct chat *chat = user;
	int r = demo_kinds_chat_reply(call, text);

	if (r == -EAGAIN) {
		minirpc_call_pause(demo_kinds_chat_call(call));
		chat->waiting = strdup(text->text);
		r = chat->waiting == NULL ? -ENOMEM : 0;
	}
	if (r < 0)
		chat_over(call, chat, MINIRPC_RESOURCE_EXHAUSTED);
}

static void chat_on(demo_kinds_chat_callee *call, void *user)
{
	struct chat *chat = user;
	char *text = chat->waiting;

	chat->waiting = NULL;
	minirpc_call_resume(demo_kinds_chat_call(call));
	chat_answer(call, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = text }, chat);
	free(text);
}

static void chat_done(demo_kinds_chat_callee *call, void *user)
{
	chat_over(call, user, MINIRPC_OK);
}

static void chat_left(demo_kinds_chat_callee *call, const struct minirpc_status *status, void *user)
{
	chat_over(call, user, status->code);
}

static void on_chat(demo_kinds_chat_callee *call, void *user)
{
	static const struct demo_kinds_chat_callee_events events = { .on_message = chat_answer,
								     .on_half_close = chat_done,
								     .on_writable = chat_on,
								     .on_end = chat_left };
	struct chat *chat = minirpc_call_alloc(demo_kinds_chat_call(call), sizeof *chat);

	(void)user;
	if (chat == NULL || demo_kinds_chat_listen(call, &events, chat) < 0)
		demo_kinds_chat_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- The server, on a libev loop that is ours, for the signals ---- */

static void on_drained(minirpc_server *server, void *user)
{
	(void)user;
	minirpc_loop_stop(minirpc_server_loop(server));
}

static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
	(void)ev;
	(void)events;
	minirpc_server_drain(watcher->data, MINIRPC_S(10), on_drained, NULL);
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_handlers handlers = {
		.echo = on_echo, .count = on_count, .sum = on_sum, .chat = on_chat
	};
	const char *address = argc > 1 ? argv[1] : "localhost:50052";
	struct ev_loop *ev = ev_default_loop(EVFLAG_AUTO);
	char error[128] = "out of memory";
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	ev_signal term, interrupt;
	uint16_t port;

	if (ev == NULL || minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .ev = ev }) < 0 ||
	    minirpc_server_new(&server, loop, NULL) < 0 ||
	    demo_kinds_serve(server, &handlers, NULL) < 0 ||
	    minirpc_server_listen(
		    server, address,
		    &(struct minirpc_listen_options){
			    .ret_port = &port, .error = error, .error_size = sizeof error }) < 0) {
		fprintf(stderr, "demo_server: %s\n", error);
		return 1;
	}
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&interrupt, on_signal, SIGINT);
	term.data = interrupt.data = server;
	ev_signal_start(ev, &term);
	ev_signal_start(ev, &interrupt);

	printf("listening on %.*s:%u\n", (int)(strrchr(address, ':') - address), address, port);
	fflush(stdout);
	minirpc_loop_run(loop);

	ev_signal_stop(ev, &term);
	ev_signal_stop(ev, &interrupt);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	ev_loop_destroy(ev);
	return 0;
}

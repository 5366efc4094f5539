/* SPDX-License-Identifier: MIT */
/* A call that is given up by its deadline, then one that is cancelled; both ends hear of it. Type
 *
 *	deadline_cancel
 *
 *	client: DEADLINE_EXCEEDED               (this line and the next in either order)
 *	server: the client has left, DEADLINE_EXCEEDED   (or CANCELLED: its reset may be quicker)
 *	client: CANCELLED
 *	server: the client has left, CANCELLED
 *
 * Client and server are on one loop here. The deadline travels with the call, so that each end can
 * watch the time for itself; nothing waits for the network. */
#include "demo.minirpc.h"

#include <stdio.h>

struct both {
	minirpc_call *call; /* the client's, so that it can be cancelled */
	bool cancel;        /* cancel it as soon as the server has it */
	int told;           /* how many ends have been told */
	bool done;          /* both */
};

static void told(struct both *both)
{
	fflush(stdout);
	both->done = ++both->told == 2;
}

/* ---- Server: takes calls, and answers none ---- */

static void on_left(demo_kinds_echo_callee *call, const struct minirpc_status *status, void *user)
{
	printf("server: the client has left, %s\n", minirpc_code_name(status->code));
	demo_kinds_echo_fail(call, status->code,
			     "too late"); /* gives the call back; nobody hears it */
	told(user);
}

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	static const struct demo_kinds_echo_callee_events events = { .on_end = on_left };
	struct both *both = user;

	(void)req;
	if (demo_kinds_echo_listen(call, &events, both) < 0)
		demo_kinds_echo_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	else if (both->cancel)
		minirpc_call_abort(both->call, &(struct minirpc_status){ MINIRPC_CANCELLED });
	/* minirpc_call_cancel would do the same without a word to on_done. */
}

/* ---- Client ---- */

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	(void)resp;
	printf("client: %s\n", minirpc_code_name(status->code));
	told(user);
}

static int call_and_see(minirpc_channel *channel, struct both *both, minirpc_time timeout)
{
	struct minirpc_call_options options = { .timeout = timeout, .ret_call = &both->call };
	int r;

	both->told = 0;
	both->done = false;
	r = demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = (char *)"hello" },
			    &options, on_done, both);
	return r < 0 ? r : minirpc_loop_run_until(minirpc_channel_loop(channel), &both->done);
}

int main(void)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	struct both both = { 0 };
	char target[32];
	uint16_t port;
	int r = 1;

	if (minirpc_loop_new(&loop, NULL) < 0 || minirpc_server_new(&server, loop, NULL) < 0 ||
	    demo_kinds_serve(server, &handlers, &both) < 0 ||
	    minirpc_server_listen(server, "localhost:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) < 0)
		goto out;
	snprintf(target, sizeof target, "localhost:%u", port);
	if (minirpc_channel_new(&channel, loop, target, NULL) < 0 ||
	    call_and_see(channel, &both, MINIRPC_MS(50)) < 0)
		goto out;
	both.cancel = true;
	if (call_and_see(channel, &both, 0) == 0)
		r = 0;
out:
	if (r != 0)
		fprintf(stderr, "deadline_cancel: cannot run\n");
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* Interceptors: one that times every call, at both ends, and one that holds each call back for 50 ms, without
 * a thread that waits. Type
 *
 *	interceptor
 *
 *	server: /demo.Kinds/Echo OK, in less than 50 ms
 *	client: /demo.Kinds/Echo OK, in 50 ms or more
 *	server: /demo.Kinds/Echo OUT_OF_RANGE, in less than 50 ms
 *	client: /demo.Kinds/Echo OUT_OF_RANGE, in 50 ms or more
 *
 * The second call's message is longer than the server's last interceptor lets pass. */
#include <minirpc/interceptor.h>

#include "demo.minirpc.h"

#include <stdio.h>
#include <string.h>

#define HELD MINIRPC_MS(50)

/* ---- Times each call ---- */

struct timing {
	minirpc_time began; /* zeroed for each call */
};

static enum minirpc_verdict on_part(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	struct timing *timing = minirpc_hook_data(hook);

	(void)part;
	if (timing->began == 0)
		timing->began = minirpc_loop_now(user);
	return MINIRPC_PASS;
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	const struct timing *timing = minirpc_hook_data(hook);
	const minirpc_call *call = minirpc_hook_call(hook);
	minirpc_time took = minirpc_loop_now(user) - timing->began;

	printf("%s: %s %s, in %s\n", minirpc_call_is_server(call) ? "server" : "client",
	       minirpc_call_path(call), minirpc_code_name(status->code),
	       took < HELD ? "less than 50 ms" : "50 ms or more");
}

static const struct minirpc_interceptor timer = {
	.name = "timer",
	.data_size = sizeof(struct timing),
	.on_send = on_part,
	.on_receive = on_part,
	.on_close = on_close,
};

/* ---- Holds each call back ---- */

struct hold {
	minirpc_timer *timer;
};

static void let_go(void *user)
{
	minirpc_hook *hook = user;
	struct hold *hold = minirpc_hook_data(hook);

	hold->timer = NULL;
	minirpc_hook_resume(hook, true, NULL);
}

static enum minirpc_verdict hold_headers(minirpc_hook *hook, const struct minirpc_part *part,
					 void *user)
{
	struct hold *hold = minirpc_hook_data(hook);

	if (part->kind != MINIRPC_PART_HEADERS)
		return MINIRPC_PASS;
	if (minirpc_timer_start(&hold->timer, user, HELD, let_go, hook) < 0)
		return MINIRPC_STOP;
	return MINIRPC_HOLD;
}

/* The call may have ended meanwhile, by its deadline or otherwise. */
static void forget(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct hold *hold = minirpc_hook_data(hook);

	(void)status, (void)user;
	minirpc_timer_cancel(hold->timer);
}

static const struct minirpc_interceptor brake = {
	.name = "brake",
	.data_size = sizeof(struct hold),
	.on_send = hold_headers,
	.on_close = forget,
};

/* ---- Looks into messages ---- */

static enum minirpc_verdict look(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	(void)user;
	if (part->kind != MINIRPC_PART_MESSAGE || part->len <= 32)
		return MINIRPC_PASS;
	minirpc_hook_set_status(
		hook, &(struct minirpc_status){ MINIRPC_OUT_OF_RANGE, "32 bytes, not more" });
	return MINIRPC_STOP;
}

static const struct minirpc_interceptor filter = { .name = "filter", .on_receive = look };

/* ---- A server and two calls ---- */

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	(void)user;
	demo_kinds_echo_reply(call, req);
}

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	(void)status, (void)resp;
	*(bool *)user = true;
}

static int echo(minirpc_channel *channel, const char *text)
{
	const struct minirpc_call_options options = { .timeout = MINIRPC_S(5) };
	bool done = false;
	int r;

	r = demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = (char *)text },
			    &options, on_done, &done);
	return r < 0 ? r : minirpc_loop_run_until(minirpc_channel_loop(channel), &done);
}

int main(void)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	char target[32];
	uint16_t port;
	int r = minirpc_loop_new(&loop, NULL);

	/* The lists are copied; what they point to is static, or outlives channel and server. */
	const struct minirpc_use of_server[] = { { &timer, loop }, { &filter, NULL }, { NULL } };
	const struct minirpc_use of_channel[] = { { &timer, loop }, { &brake, loop }, { NULL } };

	if (r == 0)
		r = minirpc_server_new(
			&server, loop,
			&(struct minirpc_server_options){ .interceptors = of_server });
	if (r == 0)
		r = demo_kinds_serve(server, &handlers, NULL);
	if (r == 0)
		r = minirpc_server_listen(server, "localhost:0",
					  &(struct minirpc_listen_options){ .ret_port = &port });
	if (r == 0) {
		snprintf(target, sizeof target, "localhost:%u", port);
		r = minirpc_channel_new(
			&channel, loop, target,
			&(struct minirpc_channel_options){ .interceptors = of_channel });
	}
	if (r == 0)
		r = echo(channel, "hi");
	if (r == 0)
		r = echo(channel, "what is said with so many words is often hardly worth saying");
	if (r < 0)
		fprintf(stderr, "interceptor: %s\n", strerror(-r));
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return r < 0;
}

/* SPDX-License-Identifier: MIT */
/* The service of bench.proto on libminirpc's public headers and generated stubs, as a user would
 * write it. Prints "listening on HOST:PORT"; SIGTERM ends it. And a client of it:
 * --client TARGET CALLS WITH, see client_options. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <minirpc/interceptor.h>
#include <minirpc/minirpc.h>

#include "bench.minirpc.h"

static void on_unary(bench_bench_unary_callee *call, const Bench__Msg *request, void *user)
{
	Bench__Msg response = BENCH__MSG__INIT;

	(void)user;
	response.payload = request->payload;
	bench_bench_unary_reply(call, &response);
}

/* A stream that is under way: what is left of it. */
struct flow {
	uint32_t left;
	Bench__Msg message;
	uint8_t payload[];
};

static void on_room(bench_bench_stream_callee *call, void *user)
{
	struct flow *flow = user;
	int r;

	while (flow->left > 0) {
		r = bench_bench_stream_reply(call, &flow->message);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			bench_bench_stream_fail(call, MINIRPC_INTERNAL, "send: %s", strerror(-r));
			return;
		}
		flow->left--;
	}
	bench_bench_stream_finish(call);
}

static void on_gone(bench_bench_stream_callee *call, const struct minirpc_status *status,
		    void *user)
{
	(void)status, (void)user;
	bench_bench_stream_finish(call);
}

static void on_stream(bench_bench_stream_callee *call, const Bench__StreamReq *request, void *user)
{
	static const struct bench_bench_stream_callee_events events = { .on_writable = on_room,
									.on_end = on_gone };
	struct flow *flow =
		minirpc_call_alloc(bench_bench_stream_call(call), sizeof *flow + request->size);

	(void)user;
	if (flow == NULL) {
		bench_bench_stream_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	bench__msg__init(&flow->message);
	memset(flow->payload, 'x', request->size);
	flow->message.payload = (ProtobufCBinaryData){ request->size, flow->payload };
	flow->left = request->count;
	bench_bench_stream_listen(call, &events, flow);
	on_room(call, flow);
}

/* What one interceptor costs that lets everything pass. */
static enum minirpc_verdict on_part(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	size_t *seen = minirpc_hook_data(hook);

	(void)user;
	*seen += part->len;
	return MINIRPC_PASS;
}

static const struct minirpc_interceptor all_pass = {
	.name = "all_pass",
	.data_size = sizeof(size_t),
	.on_send = on_part,
	.on_receive = on_part,
};

/* ---- The client: calls one after the other, ten at a time for each server ---- */

#define PARALLEL 10

static struct {
	minirpc_loop *loop;
	minirpc_channel *channel;
	unsigned long to_begin, to_end, failed;
} client;

static void on_answer(const struct minirpc_status *status, const Bench__Msg *response, void *user);

static void begin_call(void)
{
	static uint8_t payload[16] = "0123456789abcdef";
	Bench__Msg request = BENCH__MSG__INIT;

	if (client.to_begin == 0)
		return;
	client.to_begin--;
	request.payload = (ProtobufCBinaryData){ sizeof payload, payload };
	if (bench_bench_unary(client.channel, &request, NULL, on_answer, NULL) < 0) {
		client.failed++;
		client.to_end--;
	}
}

static void on_answer(const struct minirpc_status *status, const Bench__Msg *response, void *user)
{
	(void)response, (void)user;
	client.failed += status->code != MINIRPC_OK;
	if (--client.to_end == 0)
		minirpc_loop_stop(client.loop);
	else
		begin_call();
}

/* What the calls are made with, none of which is needed: "plain", "retry", "hedging", "attempts" (one
 * interceptor for each attempt), "round_robin" (over three servers). */
static struct minirpc_channel_options client_options(const char *with)
{
	static const struct minirpc_retry_policy retry = {
		.max_attempts = 4,
		.initial_backoff = MINIRPC_MS(100),
		.max_backoff = MINIRPC_S(1),
		.backoff_multiplier = 2,
		.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
	};
	static const struct minirpc_hedging_policy hedging = { .max_attempts = 2,
							       .delay = MINIRPC_S(60) };
	static const struct minirpc_method_config retried = { .retry = &retry },
						  hedged = { .hedging = &hedging };
	static const struct minirpc_service_config with_retry = { .methods = &retried,
								  .method_count = 1,
								  .max_tokens = 10,
								  .token_ratio = 0.1 },
						   with_hedging = { .methods = &hedged,
								    .method_count = 1 };
	static const struct minirpc_interceptor each = { .name = "each",
							 .data_size = sizeof(size_t),
							 .per_attempt = true,
							 .on_send = on_part,
							 .on_receive = on_part };
	static const struct minirpc_use uses[] = { { &each, NULL }, { NULL } };
	struct minirpc_channel_options options = { 0 };

	if (strcmp(with, "retry") == 0)
		options.service_config = &with_retry;
	else if (strcmp(with, "hedging") == 0)
		options.service_config = &with_hedging;
	else if (strcmp(with, "attempts") == 0)
		options.interceptors = uses;
	else if (strcmp(with, "round_robin") == 0)
		options.load_balancing = "round_robin";
	return options;
}

static int run_client(const char *address, unsigned long calls, const char *with)
{
	const struct minirpc_channel_options options = client_options(with);
	int parallel = options.load_balancing == NULL ? PARALLEL : 3 * PARALLEL, r;

	client.to_begin = client.to_end = calls;
	r = minirpc_loop_new(&client.loop, NULL);
	if (r == 0)
		r = minirpc_channel_new(&client.channel, client.loop, address, &options);
	for (int i = 0; r == 0 && i < parallel; i++)
		begin_call();
	if (r == 0)
		r = minirpc_loop_run(client.loop);
	minirpc_channel_free(client.channel);
	minirpc_loop_free(client.loop);
	if (client.failed > 0 || client.to_end > 0)
		fprintf(stderr, "ours: %lu calls failed\n", client.failed + client.to_end);
	return r < 0 || client.failed > 0 || client.to_end > 0;
}

/* What it costs to be turned away at the door. */
static enum minirpc_code turn_away(struct minirpc_admission *request, void *user)
{
	(void)user;
	request->text = "come again";
	request->pushback = MINIRPC_S(1);
	return MINIRPC_RESOURCE_EXHAUSTED;
}

int main(int argc, char **argv)
{
	static const struct bench_bench_handlers handlers = { .unary = on_unary,
							      .stream = on_stream };
	static const struct minirpc_use uses[] = { { &all_pass, NULL }, { NULL } };
	bool intercepted = argc == 2 && strcmp(argv[1], "--interceptor") == 0;
	bool refused = argc == 2 && strcmp(argv[1], "--refuse") == 0;
	const struct minirpc_server_options options = { .interceptors = intercepted ? uses : NULL,
							.admit = refused ? turn_away : NULL };
	const char *address =
		argc == 3 && strcmp(argv[1], "--listen") == 0 ? argv[2] : "127.0.0.1:0";
	minirpc_loop *loop = NULL;
	minirpc_server *server = NULL;
	uint16_t port;
	int r;

	if (argc == 5 && strcmp(argv[1], "--client") == 0)
		return run_client(argv[2], strtoul(argv[3], NULL, 10), argv[4]);
	r = minirpc_loop_new(&loop, NULL);
	if (r == 0)
		r = minirpc_server_new(&server, loop, &options);
	if (r == 0)
		r = bench_bench_serve(server, &handlers, NULL);
	if (r == 0)
		r = minirpc_server_listen(server, address,
					  &(struct minirpc_listen_options){ .ret_port = &port });
	if (r == 0) {
		printf("listening on 127.0.0.1:%d\n", port);
		fflush(stdout);
		r = minirpc_loop_run(loop);
	}
	if (r < 0)
		fprintf(stderr, "ours: %s\n", strerror(-r));
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return r < 0;
}

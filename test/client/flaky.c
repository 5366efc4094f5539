/* SPDX-License-Identifier: MIT */
#include "client/flaky.h"

#include "call/call.h"
#include "client/channel.h"

#include <check.h>
#include <minirpc/minirpc.h>
#include <stdio.h>
#include <string.h>

struct flaky flaky;

const struct minirpc_method flaky_unary = { .path = "/t.F/unary" };
const struct minirpc_method flaky_safe = { .path = "/t.F/safe", .flags = MINIRPC_IDEMPOTENT };
const struct minirpc_method flaky_stream = {
	.path = "/t.F/stream",
	.flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING,
};

void flaky_begin(const struct flaky_step *steps)
{
	flaky = (struct flaky){ .steps = steps };
}

static void add_pushback(minirpc_call *call, const char *text)
{
	static const char key[] = "grpc-retry-pushback-ms";

	if (text != NULL)
		mrpc_metadata_add(&call->out_trailers, key, strlen(key), text, strlen(text));
}

static void act(struct flaky_attempt *attempt, const struct flaky_step *step)
{
	minirpc_call *call = attempt->call;

	if (step->hangs)
		return;
	attempt->call = NULL;
	if (step->headers)
		minirpc_call_send_headers(call, NULL);
	if (step->message || step->code == MINIRPC_OK)
		minirpc_call_send(call, attempt->got, strlen(attempt->got));
	add_pushback(call, step->pushback);
	add_pushback(call, step->second_pushback);
	minirpc_call_end(call, &(struct minirpc_status){ .code = step->code, .message = "flaky" });
}

void flaky_finish(unsigned attempt, const struct flaky_step *step)
{
	ck_assert_ptr_nonnull(flaky.attempts[attempt].call);
	act(&flaky.attempts[attempt], step);
}

static const struct flaky_step *step_of(const struct flaky_attempt *attempt)
{
	const struct flaky_step *step = flaky.steps;

	for (const struct flaky_attempt *at = flaky.attempts; at < attempt; at++) {
		if (step->code == MINIRPC_OK && !step->hangs)
			break;
		step++;
	}
	return step;
}

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct flaky_attempt *attempt;
	const char *previous = minirpc_metadata_get(metadata, "grpc-previous-rpc-attempts");

	(void)user;
	ck_assert_uint_lt(flaky.count, FLAKY_ATTEMPTS);
	attempt = &flaky.attempts[flaky.count++];
	*attempt = (struct flaky_attempt){
		.server = call->owner,
		.call = call,
		.at = minirpc_loop_now(minirpc_call_loop(call)),
		.left = minirpc_call_time_left(call),
	};
	snprintf(attempt->previous, sizeof attempt->previous, "%s", previous ? previous : "");
	snprintf(attempt->compression, sizeof attempt->compression, "%s",
		 minirpc_call_peer_compression(call));
	minirpc_call_listen(call, call->events, attempt);
	if (step_of(attempt)->at_once)
		act(attempt, step_of(attempt));
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct flaky_attempt *attempt = user;
	size_t len = strlen(attempt->got);

	(void)call;
	snprintf(attempt->got + len, sizeof attempt->got - len, "%s%.*s", len > 0 ? "," : "",
		 (int)message->len, (const char *)message->data);
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct flaky_attempt *attempt = user;

	(void)call;
	attempt->half_closed = true;
	act(attempt, step_of(attempt));
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct flaky_attempt *attempt = user;

	(void)status;
	attempt->cancelled = true;
	attempt->call = NULL;
	minirpc_call_end(call, NULL);
}

int flaky_try_serve(minirpc_server *server)
{
	static const struct minirpc_call_events events = { .on_headers = on_headers,
							   .on_message = on_message,
							   .on_half_close = on_half_close,
							   .on_end = on_end };
	int r;

	r = minirpc_server_add(server, &flaky_unary, &events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_add(server, &flaky_safe, &events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_add(server, &flaky_stream, &events, NULL, NULL);
	return r;
}

void flaky_serve(minirpc_server *server)
{
	ck_assert_int_eq(flaky_try_serve(server), 0);
}

const struct minirpc_retry_policy flaky_policy = {
	.max_attempts = 4,
	.initial_backoff = MINIRPC_MS(100),
	.max_backoff = MINIRPC_S(1),
	.backoff_multiplier = 2,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_ABORTED),
};

void flaky_open(struct pair *pair, const struct minirpc_retry_policy *retry,
		const struct minirpc_hedging_policy *hedging, double max_tokens,
		const struct minirpc_channel_options *more)
{
	struct minirpc_channel_options options = { 0 };

	if (pair->loop != NULL)
		pair_close(pair);
	if (more != NULL)
		options = *more;
	options.service_config = &(struct minirpc_service_config){
		.methods = &(struct minirpc_method_config){ .service = "t.F",
							    .retry = retry,
							    .hedging = hedging },
		.method_count = 1,
		.max_tokens = max_tokens,
		.token_ratio = max_tokens > 0 ? 0.5 : 0,
	};
	pair_open(pair, NULL, &options);
	flaky_serve(pair->server);
	mrpc_channel_seed(pair->channel, 1);
	pair_connect(pair);
	pair_settle(pair);
}

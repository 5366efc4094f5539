/* SPDX-License-Identifier: MIT */
/* A service config: what the owner of a service says about calling it, as JSON or as C structs. Type
 *
 *	service_config
 *
 *	as JSON: OK, by 2 attempts
 *	as structs: OK, by 2 attempts
 *	a mistake: methodConfig[0].retryPolicy.maxAttempts: must be at least 2
 *
 * The server here refuses the first attempt of every call; the config tells clients to try again. With an
 * argument it says whether that is a valid config:
 *
 *	service_config '{ "methodConfig": [ { "timeout": "1 s" } ] }'
 *
 *	methodConfig[0].timeout: must be a duration such as "1.5s"
 */
#include "demo.minirpc.h"

#include <minirpc/service_config.h>

#include <stdio.h>

static const char as_json[] =
	"{"
	"  \"methodConfig\": [ {"
	"    \"name\": [ { \"service\": \"demo.Kinds\", \"method\": \"Echo\" } ],"
	"    \"timeout\": \"2s\","
	"    \"retryPolicy\": {"
	"      \"maxAttempts\": 3, \"initialBackoff\": \"0.01s\", \"maxBackoff\": \"0.1s\","
	"      \"backoffMultiplier\": 2, \"retryableStatusCodes\": [ \"UNAVAILABLE\" ]"
	"    }"
	"  } ],"
	"  \"retryThrottling\": { \"maxTokens\": 10, \"tokenRatio\": 0.1 }"
	"}";

static const struct minirpc_service_config as_structs = {
	.methods = (const struct minirpc_method_config[]){ {
		.service = "demo.Kinds",
		.method = "Echo",
		.timeout = MINIRPC_S(2),
		.retry =
			&(const struct minirpc_retry_policy){
				.max_attempts = 3,
				.initial_backoff = MINIRPC_MS(10),
				.max_backoff = MINIRPC_MS(100),
				.backoff_multiplier = 2,
				.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
			},
	} },
	.method_count = 1,
	.max_tokens = 10,
	.token_ratio = 0.1,
};

static const char mistake[] =
	"{ \"methodConfig\": [ { \"retryPolicy\": { \"maxAttempts\": 1 } } ] }";

/* ---- Server ---- */

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	int *attempts = user;

	if ((*attempts)++ == 0)
		demo_kinds_echo_fail(call, MINIRPC_UNAVAILABLE, "not at the first attempt");
	else
		demo_kinds_echo_reply(call, req);
}

/* ---- Client ---- */

struct outcome {
	enum minirpc_code code;
	bool done;
};

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	struct outcome *outcome = user;

	(void)resp;
	outcome->code = status->code;
	outcome->done = true;
}

/* One call through a channel of its own. */
static int call_once(minirpc_loop *loop, const char *target, const char *how,
		     const struct minirpc_channel_options *options, int *attempts)
{
	struct outcome outcome = { 0 };
	minirpc_channel *channel;
	int r;

	*attempts = 0;
	r = minirpc_channel_new(&channel, loop, target, options);
	if (r < 0)
		return r;
	r = demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = (char *)"hello" },
			    NULL, on_done, &outcome);
	if (r == 0)
		r = minirpc_loop_run_until(loop, &outcome.done);
	if (r == 0)
		printf("%s: %s, by %d attempts\n", how, minirpc_code_name(outcome.code), *attempts);
	minirpc_channel_free(channel);
	return r;
}

/* Says what is wrong with a config; what minirpc_channel_new would say in the loop's log. */
static void check(const char *before, const char *json)
{
	char error[256];
	int r = minirpc_service_config_check(json, error, sizeof error);

	printf("%s%s\n", before, r == 0 ? "valid" : error);
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	char target[32];
	uint16_t port;
	int attempts, r = 1;

	if (argc > 1) {
		check("", argv[1]);
		return 0;
	}
	if (minirpc_loop_new(&loop, NULL) < 0 || minirpc_server_new(&server, loop, NULL) < 0 ||
	    demo_kinds_serve(server, &handlers, &attempts) < 0 ||
	    minirpc_server_listen(server, "localhost:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) < 0)
		goto out;
	snprintf(target, sizeof target, "localhost:%u", port);
	if (call_once(loop, target, "as JSON",
		      &(struct minirpc_channel_options){ .service_config_json = as_json },
		      &attempts) < 0 ||
	    call_once(loop, target, "as structs",
		      &(struct minirpc_channel_options){ .service_config = &as_structs },
		      &attempts) < 0)
		goto out;
	check("a mistake: ", mistake);
	r = 0;
out:
	if (r != 0)
		fprintf(stderr, "service_config: cannot run\n");
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return r;
}

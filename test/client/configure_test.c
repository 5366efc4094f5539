/* SPDX-License-Identifier: MIT */
/* Which service config is in force in a channel, and what calls see of it. */
#include "client/pair.h"
#include "run_suite.h"

#include "client/channel.h"

#include <minirpc/resolver.h>

#include "world/alloc_fail.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pair pair;

static char line[512]; /* the last of the log */
static unsigned lines;

static void note(enum minirpc_log_level level, const char *text, void *user)
{
	(void)level;
	(void)user;
	lines++;
	snprintf(line, sizeof line, "%s", text);
}

static void setup(void)
{
	pair = (struct pair){ 0 };
	line[0] = '\0';
	lines = 0;
}

static void teardown(void)
{
	pair_close(&pair);
}

/* A channel on the pair's loop, which notes its log, and a server behind it. */
static void open_with(const struct minirpc_channel_options *options)
{
	pair_open(&pair, NULL, options);
	pair.loop->log = (struct mrpc_log){ .fn = note, .level = MINIRPC_LOG_WARNING };
	pair_connect(&pair);
}

#define TIMEOUT(text) "{\"methodConfig\":[{\"name\":[{}],\"timeout\":\"" text "\"}]}"

static void open_json(const char *json)
{
	open_with(&(struct minirpc_channel_options){ .service_config_json = json });
}

/* When a call of this method, with a timeout of its own or 0, ends; the clock stands still. */
static minirpc_time deadline_of(const struct minirpc_method *method, minirpc_time timeout)
{
	minirpc_time deadline;
	minirpc_call *call;

	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, method,
					   &(struct minirpc_call_options){ .timeout = timeout },
					   NULL, NULL),
			 0);
	deadline = minirpc_call_deadline(call);
	minirpc_call_cancel(call);
	return deadline == MINIRPC_NEVER ? MINIRPC_NEVER : deadline - pair.loop->now;
}

/* ---- Deadline ---- */

START_TEST(D_7_the_earlier_of_both_timeouts_counts)
{
	open_json(TIMEOUT("0.5s"));
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_MS(500));
	ck_assert_int_eq(deadline_of(&echo, MINIRPC_MS(499)), MINIRPC_MS(499));
	ck_assert_int_eq(deadline_of(&echo, MINIRPC_MS(500)), MINIRPC_MS(500));
	ck_assert_int_eq(deadline_of(&echo, MINIRPC_MS(501)), MINIRPC_MS(500));
	ck_assert_int_eq(deadline_of(&echo, MINIRPC_NEVER), MINIRPC_MS(500));
}
END_TEST

START_TEST(D_7_the_configs_timeout_ends_the_call_and_travels)
{
	struct probe probe = { 0 }, sooner = { 0 };

	open_json(TIMEOUT("0.5s"));
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(seen.deadline - pair.loop->now, MINIRPC_MS(500));
	probe_call(&sooner, pair.channel, &hang,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_MS(400) });
	pair_settle(&pair);
	ck_assert_int_eq(seen.deadline - pair.loop->now, MINIRPC_MS(400));

	pair_advance(&pair, MINIRPC_MS(400));
	ck_assert_uint_eq(sooner.ends, 1);
	ck_assert_int_eq(sooner.code, MINIRPC_DEADLINE_EXCEEDED);
	pair_advance(&pair, MINIRPC_MS(99));
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, MINIRPC_MS(1));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(D_7_a_timeout_that_has_passed_stays_passed)
{
	struct probe probe = { 0 };

	open_json(TIMEOUT("5s"));
	ck_assert_int_eq(minirpc_call_open(&probe.call, pair.channel, &hang,
					   &(struct minirpc_call_options){ .timeout = -1 },
					   &probe_events, &probe),
			 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(a_timeout_of_0_or_of_10000_years_is_none)
{
	open_json(TIMEOUT("0s"));
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_NEVER);
	ck_assert_int_eq(deadline_of(&echo, 5), 5);
	ck_assert_int_eq(
		minirpc_channel_set_service_config(pair.channel, TIMEOUT("315576000000s"), NULL, 0),
		0);
	ck_assert_int_gt(deadline_of(&echo, 0), MINIRPC_S(1000000000));
	ck_assert_int_eq(deadline_of(&echo, 5), 5);
}
END_TEST

START_TEST(a_call_takes_the_entry_of_its_method)
{
	open_json("{\"methodConfig\":[{\"name\":[{\"service\":\"t.T\",\"method\":\"hang\"}],"
		  "\"timeout\":"
		  "\"1s\"},{\"name\":[{\"service\":\"t.T\"}],\"timeout\":\"2s\"},{\"name\":[{"
		  "\"service\":"
		  "\"other\"}],\"timeout\":\"3s\"}]}");
	ck_assert_int_eq(deadline_of(&hang, 0), MINIRPC_S(1));
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(2));
	ck_assert_int_eq(deadline_of(&(struct minirpc_method){ .path = "/other/X" }, 0),
			 MINIRPC_S(3));
	ck_assert_int_eq(deadline_of(&(struct minirpc_method){ .path = "/third/X" }, 0),
			 MINIRPC_NEVER);
}
END_TEST

/* ---- Sizes ---- */

/* "hello" is 5 bytes, there and back. */
static enum minirpc_code echo_code(void)
{
	struct probe probe = { 0 };

	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	return probe.code;
}

static void set(const char *json)
{
	ck_assert_int_eq(minirpc_channel_set_service_config(pair.channel, json, NULL, 0), 0);
}

static void set_limit(const char *name, unsigned limit)
{
	char json[256];

	snprintf(json, sizeof json, "{\"methodConfig\":[{\"name\":[{}],\"%s\":%u}]}", name, limit);
	set(json);
}

static int send_5(void)
{
	minirpc_call *call;
	int r;

	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo, NULL, NULL, NULL), 0);
	r = minirpc_call_send(call, "hello", 5);
	minirpc_call_cancel(call);
	return r;
}

START_TEST(L_8_a_request_passes_at_the_smaller_limit_and_not_above)
{
	open_with(&(struct minirpc_channel_options){ .max_send_message = 5 });
	set_limit("maxRequestMessageBytes", 5);
	ck_assert_int_eq(echo_code(), MINIRPC_OK);
	set_limit("maxRequestMessageBytes", 4);
	ck_assert_int_eq(send_5(), -EMSGSIZE);
	set_limit("maxRequestMessageBytes", 0);
	ck_assert_int_eq(send_5(), -EMSGSIZE);

	/* The channel's own is the smaller one. */
	pair_close(&pair);
	open_with(&(struct minirpc_channel_options){ .max_send_message = 4 });
	set_limit("maxRequestMessageBytes", 5);
	ck_assert_int_eq(send_5(), -EMSGSIZE);
}
END_TEST

START_TEST(L_8_a_response_passes_at_the_smaller_limit_and_not_above)
{
	open_with(&(struct minirpc_channel_options){ .max_receive_message = 5 });
	set_limit("maxResponseMessageBytes", 5);
	ck_assert_int_eq(echo_code(), MINIRPC_OK);
	set_limit("maxResponseMessageBytes", 4);
	ck_assert_int_eq(echo_code(), MINIRPC_RESOURCE_EXHAUSTED);
	set_limit("maxResponseMessageBytes", 0);
	ck_assert_int_eq(echo_code(), MINIRPC_RESOURCE_EXHAUSTED);

	pair_close(&pair);
	open_with(&(struct minirpc_channel_options){ .max_receive_message = 4 });
	set_limit("maxResponseMessageBytes", 5);
	ck_assert_int_eq(echo_code(), MINIRPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(L_8_the_calls_own_limit_counts_too_where_it_is_smaller)
{
	struct probe small = { 0 }, large = { 0 };

	open_with(NULL);
	set_limit("maxResponseMessageBytes", 5);
	probe_call(&small, pair.channel, &echo,
		   &(struct minirpc_call_options){ .max_receive_message = 4 });
	probe_call(&large, pair.channel, &echo,
		   &(struct minirpc_call_options){ .max_receive_message = 1000 });
	pair_settle(&pair);
	ck_assert_int_eq(small.code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(large.code, MINIRPC_OK);
	set_limit("maxResponseMessageBytes", 4);
	large = (struct probe){ 0 };
	probe_call(&large, pair.channel, &echo,
		   &(struct minirpc_call_options){ .max_receive_message = 1000 });
	pair_settle(&pair);
	ck_assert_int_eq(large.code, MINIRPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(L_8_empty_messages_pass_a_limit_of_0)
{
	struct probe probe = { 0 };

	open_json("{\"methodConfig\":[{\"name\":[{}],\"maxRequestMessageBytes\":0,"
		  "\"maxResponseMessageBytes\":0}]}");
	ck_assert_int_eq(
		minirpc_call_open(&probe.call, pair.channel, &echo, NULL, &probe_events, &probe),
		0);
	ck_assert_int_eq(minirpc_call_send(probe.call, NULL, 0), 0);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(probe.messages, 1);
}
END_TEST

START_TEST(L_8_what_an_answer_inflates_to_counts)
{
	pair_open(&pair, &(struct minirpc_server_options){ .compression = "gzip" }, NULL);
	pair_connect(&pair);
	set_limit("maxResponseMessageBytes", 30); /* above its compressed size */
	ck_assert_int_eq(echo_code(), MINIRPC_OK);
	set_limit("maxResponseMessageBytes", 0);
	ck_assert_int_eq(echo_code(), MINIRPC_RESOURCE_EXHAUSTED);
}
END_TEST

/* ---- Wait for ready ---- */

static void stop(struct probe *probe)
{
	*(bool *)probe->user = true;
}

START_TEST(L_8_a_config_makes_calls_wait_for_ready)
{
	struct probe waits = { 0 }, fails = { 0 }, asks = { 0 };
	minirpc_channel *channel;
	bool done = false;

	ck_assert_int_eq(
		minirpc_channel_new(&channel, NULL, "unix:/nonexistent/minirpc-test",
				    &(struct minirpc_channel_options){
					    .service_config_json =
						    "{\"methodConfig\":[{\"name\":[{\"service\":"
						    "\"t.T\",\"method\":\"echo\"}],"
						    "\"waitForReady\":true},{\"name\":[{}],"
						    "\"waitForReady\":false}]}" }),
		0);
	fails.on_end = stop;
	fails.user = &done;
	probe_call(&waits, channel, &echo, NULL);
	probe_call(&asks, channel, &hang, &(struct minirpc_call_options){ .wait_for_ready = true });
	probe_call(&fails, channel, &hang, NULL);
	ck_assert_int_eq(minirpc_loop_run_until(minirpc_channel_loop(channel), &done), 0);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(waits.ends, 0);
	ck_assert_uint_eq(asks.ends, 0); /* true wins */
	minirpc_channel_free(channel);
}
END_TEST

/* ---- Which config ---- */

START_TEST(structs_and_json_are_the_same_option)
{
	const struct minirpc_service_config structs = {
		.methods = &(const struct minirpc_method_config){ .timeout = MINIRPC_MS(7) },
		.method_count = 1,
	};

	open_with(&(struct minirpc_channel_options){ .service_config = &structs });
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_MS(7));
}
END_TEST

static void refuse(const struct minirpc_channel_options *options, const char *sentence)
{
	minirpc_channel *channel = NULL;
	char expected[256];

	snprintf(expected, sizeof expected, "channel localhost:1: %s", sentence);
	line[0] = '\0';
	ck_assert_int_eq(minirpc_channel_new(&channel, pair.loop, "localhost:1", options), -EINVAL);
	ck_assert_ptr_null(channel);
	ck_assert_str_eq(line, expected);
}

START_TEST(a_mistake_in_the_options_is_einval_and_a_line_in_the_log)
{
	const struct minirpc_service_config structs = {
		.methods = &(const struct minirpc_method_config){ .method = "m" },
		.method_count = 1,
	};
	const struct minirpc_service_config empty = { 0 };
	const struct minirpc_retry_policy retry = { .max_attempts = 3 };
	char deep[] = "{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[";

	open_with(NULL);
	refuse(&(struct minirpc_channel_options){ .service_config_json = "{\"methodConfig\":7}" },
	       "service config refused: methodConfig: must be a list");
	refuse(&(struct minirpc_channel_options){ .service_config_json = deep },
	       "service config refused: nested deeper than 32");
	refuse(&(struct minirpc_channel_options){ .service_config = &structs },
	       "service config refused: methods[0].service: must be there, as there is a method");
	refuse(&(struct minirpc_channel_options){ .service_config = &empty,
						  .service_config_json = "{}" },
	       "service config refused: there is .service_config and .service_config_json");
	refuse(&(struct minirpc_channel_options){ .retry_safe = &retry },
	       "retry_safe refused: initial_backoff: must be above 0");
}
END_TEST

START_TEST(a_config_is_replaced_while_calls_run)
{
	struct probe before = { 0 }, after = { 0 };
	char error[128];

	open_json(TIMEOUT("1s"));
	probe_call(&before, pair.channel, &hang, NULL);
	pair_settle(&pair);
	set(TIMEOUT("2s"));
	probe_call(&after, pair.channel, &hang, NULL);
	ck_assert_int_eq(minirpc_call_time_left(before.call), MINIRPC_S(1));
	ck_assert_int_eq(minirpc_call_time_left(after.call), MINIRPC_S(2));

	/* A mistake changes nothing. */
	ck_assert_int_eq(minirpc_channel_set_service_config(pair.channel, "{\"methodConfig\":1}",
							    error, sizeof error),
			 -EINVAL);
	ck_assert_str_eq(error, "methodConfig: must be a list");
	ck_assert_int_eq(minirpc_channel_set_service_config(pair.channel,
							    "{\"retryThrottling\":{}}", NULL, 0),
			 -EINVAL);
	ck_assert_int_eq(deadline_of(&hang, 0), MINIRPC_S(2));
	ck_assert_int_eq(
		minirpc_channel_set_service_config(pair.channel, NULL, error, sizeof error), 0);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(deadline_of(&hang, 0), MINIRPC_NEVER);
	ck_assert(!pair.channel->is_configured);
	pair_advance(&pair, MINIRPC_S(2));
	ck_assert_int_eq(before.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(after.code, MINIRPC_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(L_8_the_resolvers_config_goes_before_the_applications)
{
	open_json(TIMEOUT("1s"));
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, NULL), 0);
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(1));
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, TIMEOUT("2s")), 0);
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(2));
	set(TIMEOUT("3s"));
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(2));
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "{}"), 0); /* one, too */
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_NEVER);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, NULL), 0);
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(3));
	ck_assert_uint_eq(lines, 0);
}
END_TEST

START_TEST(L_8_a_bad_config_of_the_resolver_leaves_the_one_before)
{
	open_json(TIMEOUT("1s"));
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, TIMEOUT("2s")), 0);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, TIMEOUT("2")), -EINVAL);
	ck_assert_str_eq(line, "channel test: resolver's service config refused: "
			       "methodConfig[0].timeout: must be a duration such as \"1.5s\"");
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(2));

	/* Also when the one before said: none. */
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, NULL), 0);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "{"), -EINVAL);
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(1));
}
END_TEST

START_TEST(L_8_without_a_good_one_before_the_channel_must_not_go_on)
{
	open_json(TIMEOUT("1s"));
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "[]"), -ENODATA);
	ck_assert_str_eq(line,
			 "channel test: resolver's service config refused: must be an object");
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "[]"), -ENODATA);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "{}"), 0);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "[]"), -EINVAL);
}
END_TEST

START_TEST(a_channel_may_not_listen_to_its_resolver)
{
	open_with(&(struct minirpc_channel_options){ .service_config_json = TIMEOUT("1s"),
						     .no_resolver_config = true });
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, TIMEOUT("2s")), 0);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, "["), 0);
	ck_assert_uint_eq(lines, 0);
	ck_assert_int_eq(deadline_of(&echo, 0), MINIRPC_S(1));
}
END_TEST

/* ---- With a resolver and balancers ---- */

static minirpc_resolving *resolving; /* of the resolver below, while it is started */

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	(void)target;
	(void)user;
	resolving = to;
	*ret_self = NULL;
	return 0;
}

static void stop_resolver(void *self)
{
	(void)self;
	resolving = NULL;
}

static const struct minirpc_resolver by_hand = { .scheme = "hand",
						 .start = start,
						 .stop = stop_resolver };

static int push(const char *json)
{
	const char *const addresses[] = { "unix:/nonexistent/minirpc-test", NULL };
	const struct minirpc_endpoint endpoint = { .addresses = addresses };

	return minirpc_resolving_push(resolving, &(struct minirpc_resolver_result){
							 .endpoints = &endpoint,
							 .endpoint_count = 1,
							 .service_config_json = json,
						 });
}

START_TEST(L_8_a_first_result_with_a_bad_config_is_transient_failure)
{
	const struct minirpc_resolver_use resolvers[] = { { &by_hand, NULL }, { NULL, NULL } };
	struct probe fails = { 0 }, waits = { 0 };
	minirpc_channel *channel;

	open_with(NULL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "hand:x",
				    &(struct minirpc_channel_options){ .resolvers = resolvers }),
		0);
	probe_call(&fails, channel, &echo, NULL);
	probe_call(&waits, channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	pair_settle(&pair);
	ck_assert_ptr_nonnull(resolving);
	ck_assert_int_eq(push("[]"), -EINVAL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_channel_state(channel), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(fails.text, "service config"));
	ck_assert_uint_eq(waits.ends, 0);

	/* A good one, and then a bad one again: the good one stays. */
	ck_assert_int_eq(push(TIMEOUT("2s")), 0);
	ck_assert_int_eq(push("{\"methodConfig\":{}}"), -EINVAL);
	ck_assert_ptr_nonnull(strstr(line, "methodConfig: must be a list"));
	minirpc_call_cancel(waits.call);
	ck_assert_int_eq(minirpc_call_open(&waits.call, channel, &echo, NULL, NULL, NULL), 0);
	ck_assert_int_eq(minirpc_call_time_left(waits.call), MINIRPC_S(2));
	minirpc_channel_free(channel);
	ck_assert_ptr_null(resolving);
}
END_TEST

START_TEST(L_3_a_config_with_unknown_policies_alone_is_refused)
{
	static const char unknown[] = "{\"loadBalancingConfig\":[{\"a\":{}},{\"b\":{}}]}";
	static const char old[] = "{\"loadBalancingPolicy\":\"A\"}";
	static const char known[] = "{\"loadBalancingConfig\":[{\"a\":{}},{\"pick_first\":{}}]}";
	static const char sentence[] = "loadBalancingConfig: no such policy is known";
	char error[128];

	open_with(NULL);
	refuse(&(struct minirpc_channel_options){ .service_config_json = unknown },
	       "service config refused: loadBalancingConfig: no such policy is known");
	refuse(&(struct minirpc_channel_options){ .service_config =
							  &(struct minirpc_service_config){
								  .load_balancing = "a" } },
	       "service config refused: load_balancing: no such policy is known");
	ck_assert_int_eq(
		minirpc_channel_set_service_config(pair.channel, unknown, error, sizeof error),
		-EINVAL);
	ck_assert_str_eq(error, sentence);
	ck_assert_int_eq(minirpc_channel_set_service_config(pair.channel, old, NULL, 0), -EINVAL);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, unknown), -ENODATA);
	ck_assert_ptr_nonnull(strstr(line, sentence));
	ck_assert_int_eq(
		minirpc_channel_set_service_config(pair.channel, known, error, sizeof error), 0);
	ck_assert_int_eq(mrpc_channel_set_resolved_config(pair.channel, known), 0);
}
END_TEST

/* ---- Policies ---- */

#define RETRY                                                                                      \
	"\"retryPolicy\":{\"maxAttempts\":9,\"initialBackoff\":\"1s\",\"maxBackoff\":\"1s\","      \
	"\"backoffMultiplier\":1,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}"
#define HEDGING "\"hedgingPolicy\":{\"maxAttempts\":9}"
#define FOR(method, what) "{\"name\":[{\"service\":\"t.T\",\"method\":\"" method "\"}]," what "}"
#define POLICIES "{\"methodConfig\":[" FOR("retry", RETRY) "," FOR("hedge", HEDGING) "]}"

static const struct minirpc_retry_policy safe = {
	.max_attempts = 9,
	.initial_backoff = 1,
	.max_backoff = 1,
	.backoff_multiplier = 1,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
};

static minirpc_call *call_of(const char *path, unsigned flags)
{
	static struct minirpc_method methods[32];
	static unsigned used;
	struct minirpc_method *method = &methods[used++ % 32];
	minirpc_call *call;

	*method = (struct minirpc_method){ .path = path, .flags = flags };
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, method, NULL, NULL, NULL), 0);
	return call;
}

/* 'r': retried by the config, 's': by retry_safe, 'h': hedged, '-': none; and how many attempts. */
static void check_policy(const char *path, unsigned flags, char kind, unsigned attempts)
{
	minirpc_call *call = call_of(path, flags);

	ck_assert_msg((call->retry != NULL) == (kind == 'r' || kind == 's'), "%s", path);
	ck_assert_msg((call->hedging != NULL) == (kind == 'h'), "%s", path);
	ck_assert_msg((call->config != NULL) == (kind == 'r' || kind == 'h'), "%s", path);
	if (call->retry != NULL)
		ck_assert_uint_eq(call->retry->max_attempts, attempts);
	if (call->hedging != NULL)
		ck_assert_uint_eq(call->hedging->max_attempts, attempts);
	minirpc_call_cancel(call);
}

START_TEST(a_call_gets_the_policy_of_its_method)
{
	open_json(POLICIES);
	check_policy("/t.T/retry", 0, 'r', 5);
	check_policy("/t.T/hedge", 0, 'h', 5);
	check_policy("/t.T/other", 0, '-', 0);
	check_policy("/t.T/other", MINIRPC_IDEMPOTENT | MINIRPC_NO_SIDE_EFFECTS, '-', 0);
}
END_TEST

START_TEST(retry_safe_is_for_methods_that_the_proto_calls_safe)
{
	open_with(&(struct minirpc_channel_options){
		.service_config_json = POLICIES, .retry_safe = &safe, .max_attempts = 7 });
	check_policy("/t.T/other", 0, '-', 0);
	check_policy("/t.T/other", MINIRPC_SERVER_STREAMING, '-', 0);
	check_policy("/t.T/other", MINIRPC_IDEMPOTENT, 's', 7);
	check_policy("/t.T/other", MINIRPC_NO_SIDE_EFFECTS, 's', 7);
	check_policy("/t.T/other", MINIRPC_IDEMPOTENT | MINIRPC_SERVER_STREAMING, 's', 7);
	/* The config has a policy for these. */
	check_policy("/t.T/retry", MINIRPC_IDEMPOTENT, 'r', 7);
	check_policy("/t.T/hedge", MINIRPC_IDEMPOTENT, 'h', 7);
	set(NULL);
	check_policy("/t.T/retry", MINIRPC_IDEMPOTENT, 's', 7);
	check_policy("/t.T/retry", 0, '-', 0);
}
END_TEST

START_TEST(no_retry_means_no_policy)
{
	open_with(&(struct minirpc_channel_options){
		.service_config_json = POLICIES, .retry_safe = &safe, .no_retry = true });
	check_policy("/t.T/retry", 0, '-', 0);
	check_policy("/t.T/hedge", 0, '-', 0);
	check_policy("/t.T/other", MINIRPC_IDEMPOTENT, '-', 0);
}
END_TEST

START_TEST(a_policy_lives_as_long_as_the_call_that_has_it)
{
	minirpc_call *call;

	open_json(POLICIES);
	call = call_of("/t.T/retry", 0);
	set(NULL);
	ck_assert_uint_eq(call->retry->max_attempts, 5);
	ck_assert_ptr_nonnull(call->config);
	minirpc_call_cancel(call); /* and nothing leaks */

	/* Calls that are left when the channel goes. */
	set(POLICIES);
	call_of("/t.T/hedge", 0);
	call_of("/t.T/retry", 0);
	set(TIMEOUT("1s"));
}
END_TEST

/* ---- Memory ---- */

/* One allocation fails, or all from one on. False: none was refused. */
static bool story(size_t n, bool forever)
{
	const struct minirpc_channel_options options = {
		.service_config_json = POLICIES,
		.retry_safe = &safe,
	};
	struct probe probe = { 0 };
	bool refused;
	int r;

	alloc_fail_at(n, forever);
	if (pair_try_open(&pair, NULL, &options) == 0 && pair_try_connect(&pair) == 0) {
		r = mrpc_channel_set_resolved_config(pair.channel, TIMEOUT("2s"));
		ck_assert(r == 0 || r == -ENOMEM);
		r = minirpc_channel_set_service_config(pair.channel, TIMEOUT("3s"), NULL, 0);
		ck_assert(r == 0 || r == -ENOMEM);
		r = minirpc_call_open(&probe.call, pair.channel, &chat, NULL, &probe_events,
				      &probe);
		ck_assert(r == 0 || r == -ENOMEM);
		if (r == 0)
			ck_assert(minirpc_call_time_left(probe.call) == MINIRPC_S(2) ||
				  minirpc_call_time_left(probe.call) == MINIRPC_NEVER ||
				  minirpc_call_time_left(probe.call) == MINIRPC_S(3));
		pair_settle(&pair);
	}
	refused = alloc_refused() > 0;
	alloc_fail_at(0, false);
	pair_close(&pair);
	return refused;
}

START_TEST(without_memory_the_config_before_stays_in_force)
{
	size_t live = alloc_live(), n;

	for (n = 1; story(n, false); n++)
		ck_assert_uint_eq(alloc_live(), live);
	for (n = 1; story(n, true); n++)
		ck_assert_uint_eq(alloc_live(), live);
	ck_assert_uint_gt(n, 20);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("configure");
	TCase *calls = tcase_create("calls"), *configs = tcase_create("configs");
	TCase *policies = tcase_create("policies"), *memory = tcase_create("memory");

	tcase_add_checked_fixture(calls, setup, teardown);
	tcase_add_test(calls, D_7_the_earlier_of_both_timeouts_counts);
	tcase_add_test(calls, D_7_the_configs_timeout_ends_the_call_and_travels);
	tcase_add_test(calls, D_7_a_timeout_that_has_passed_stays_passed);
	tcase_add_test(calls, a_timeout_of_0_or_of_10000_years_is_none);
	tcase_add_test(calls, a_call_takes_the_entry_of_its_method);
	tcase_add_test(calls, L_8_a_request_passes_at_the_smaller_limit_and_not_above);
	tcase_add_test(calls, L_8_a_response_passes_at_the_smaller_limit_and_not_above);
	tcase_add_test(calls, L_8_the_calls_own_limit_counts_too_where_it_is_smaller);
	tcase_add_test(calls, L_8_empty_messages_pass_a_limit_of_0);
	tcase_add_test(calls, L_8_what_an_answer_inflates_to_counts);
	tcase_add_test(calls, L_8_a_config_makes_calls_wait_for_ready);
	suite_add_tcase(suite, calls);

	tcase_add_checked_fixture(configs, setup, teardown);
	tcase_add_test(configs, structs_and_json_are_the_same_option);
	tcase_add_test(configs, a_mistake_in_the_options_is_einval_and_a_line_in_the_log);
	tcase_add_test(configs, a_config_is_replaced_while_calls_run);
	tcase_add_test(configs, L_8_the_resolvers_config_goes_before_the_applications);
	tcase_add_test(configs, L_8_a_bad_config_of_the_resolver_leaves_the_one_before);
	tcase_add_test(configs, L_8_without_a_good_one_before_the_channel_must_not_go_on);
	tcase_add_test(configs, a_channel_may_not_listen_to_its_resolver);
	tcase_add_test(configs, L_8_a_first_result_with_a_bad_config_is_transient_failure);
	tcase_add_test(configs, L_3_a_config_with_unknown_policies_alone_is_refused);
	suite_add_tcase(suite, configs);

	tcase_add_checked_fixture(policies, setup, teardown);
	tcase_add_test(policies, a_call_gets_the_policy_of_its_method);
	tcase_add_test(policies, retry_safe_is_for_methods_that_the_proto_calls_safe);
	tcase_add_test(policies, no_retry_means_no_policy);
	tcase_add_test(policies, a_policy_lives_as_long_as_the_call_that_has_it);
	suite_add_tcase(suite, policies);

	tcase_add_checked_fixture(memory, setup, teardown);
	tcase_add_test(memory, without_memory_the_config_before_stays_in_force);
	suite_add_tcase(suite, memory);
	return suite;
}

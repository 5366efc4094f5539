/* SPDX-License-Identifier: MIT */
/* Service configs as JSON: what is valid, what each mistake is called, and which entry goes for which
 * method. */
#include "run_suite.h"

#include "client/config.h"

#include <check.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char error[256];

static struct mrpc_config *load(const char *json)
{
	struct mrpc_config *config = NULL;
	int r = mrpc_config_from_json(&config, json, 0, error, sizeof error);

	ck_assert_msg(r == 0, "%s: %d, %s", json, r, error);
	ck_assert_str_eq(error, "");
	return config;
}

static void refuse(const char *json, const char *sentence)
{
	struct mrpc_config *config = NULL;
	int r = mrpc_config_from_json(&config, json, 0, error, sizeof error);

	ck_assert_msg(r == -EINVAL, "%s: %d", json, r);
	ck_assert_ptr_null(config);
	ck_assert_str_eq(error, sentence);
	ck_assert_int_eq(minirpc_service_config_check(json, NULL, 0), -EINVAL);
}

/* A config whose only entry, for everything, has these fields. */
static const char *entry_json(const char *fields)
{
	static char json[1024];

	snprintf(json, sizeof json, "{\"methodConfig\":[{\"name\":[{}],%s}]}", fields);
	return json;
}

/* A retryPolicy that is right but for one field. */
static const char *retry_json(const char *name, const char *value)
{
	static const char *const good[][2] = {
		{ "maxAttempts", "3" },
		{ "initialBackoff", "\"0.1s\"" },
		{ "maxBackoff", "\"1s\"" },
		{ "backoffMultiplier", "2" },
		{ "retryableStatusCodes", "[\"UNAVAILABLE\"]" },
	};
	static char fields[512];
	int at = snprintf(fields, sizeof fields, "\"retryPolicy\":{\"unknown\":[{}]");

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const char *what = strcmp(good[i][0], name) == 0 ? value : good[i][1];

		if (what != NULL)
			at += snprintf(fields + at, sizeof fields - (size_t)at, ",\"%s\":%s",
				       good[i][0], what);
	}
	snprintf(fields + at, sizeof fields - (size_t)at, "}");
	return entry_json(fields);
}

static const char *hedging_json(const char *fields)
{
	static char json[512];

	snprintf(json, sizeof json, "\"hedgingPolicy\":{%s}", fields);
	return entry_json(json);
}

/* What holds for "/any.Service/Method" in a config. */
static const struct minirpc_method_config *entry_of(const struct mrpc_config *config)
{
	const struct minirpc_method_config *entry = mrpc_config_find(config, "/any.Service/Method");

	ck_assert_ptr_nonnull(entry);
	return entry;
}

/* ---- What JSON says ---- */

START_TEST(a_config_is_read_whole)
{
	struct mrpc_config *config =
		load("{ \"methodConfig\": [ { \"name\": [ { \"service\": \"rpc.Cache\", "
		     "\"method\": \"Get\" },"
		     "                                   { \"service\": \"rpc.Other\" } ],"
		     "  \"timeout\": \"0.5s\", \"waitForReady\": true,"
		     "  \"maxRequestMessageBytes\": 1000, \"maxResponseMessageBytes\": \"2000\","
		     "  \"retryPolicy\": { \"maxAttempts\": 4, \"initialBackoff\": \"0.1s\","
		     "    \"maxBackoff\": \"1s\", \"backoffMultiplier\": 1.5,"
		     "    \"retryableStatusCodes\": [ \"UNAVAILABLE\", 10 ] } },"
		     "  { \"name\": [ {} ], \"hedgingPolicy\": { \"maxAttempts\": 3, "
		     "\"hedgingDelay\": \"0.02s\","
		     "    \"nonFatalStatusCodes\": [ \"ABORTED\" ] } } ],"
		     "  \"retryThrottling\": { \"maxTokens\": 10, \"tokenRatio\": 0.1 },"
		     "  \"loadBalancingConfig\": [ { \"xds\": { \"a\": [ 1, \"b\" ] } }, { "
		     "\"round_robin\": {} } ],"
		     "  \"healthCheckConfig\": { \"serviceName\": \"rpc.Cache\" } }");
	const struct minirpc_method_config *get = mrpc_config_find(config, "/rpc.Cache/Get");
	const struct minirpc_method_config *any = mrpc_config_find(config, "/rpc.Cache/Store");
	const struct minirpc_service_config *rest = mrpc_config_rest(config);
	const struct mrpc_config_policy *policies;
	size_t count;

	ck_assert_int_eq(get->timeout, MINIRPC_MS(500));
	ck_assert(get->has_wait_for_ready && get->wait_for_ready);
	ck_assert(get->has_max_request && get->has_max_response);
	ck_assert_uint_eq(get->max_request_bytes, 1000);
	ck_assert_uint_eq(get->max_response_bytes, 2000);
	ck_assert_ptr_null(get->hedging);
	ck_assert_uint_eq(get->retry->max_attempts, 4);
	ck_assert_int_eq(get->retry->initial_backoff, MINIRPC_MS(100));
	ck_assert_int_eq(get->retry->max_backoff, MINIRPC_S(1));
	ck_assert_double_eq(get->retry->backoff_multiplier, 1.5);
	ck_assert_uint_eq(get->retry->codes,
			  MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_ABORTED));
	ck_assert_ptr_eq(mrpc_config_find(config, "/rpc.Other/Any"), get);

	ck_assert_ptr_null(any->retry);
	ck_assert_int_eq(any->timeout, 0);
	ck_assert(!any->has_wait_for_ready && !any->has_max_request && !any->has_max_response);
	ck_assert_uint_eq(any->hedging->max_attempts, 3);
	ck_assert_int_eq(any->hedging->delay, MINIRPC_MS(20));
	ck_assert_uint_eq(any->hedging->codes, MINIRPC_CODE(MINIRPC_ABORTED));

	ck_assert_double_eq(rest->max_tokens, 10);
	ck_assert_double_eq(rest->token_ratio, 0.1);
	ck_assert_str_eq(rest->health_service, "rpc.Cache");
	ck_assert_str_eq(rest->load_balancing, "xds");
	ck_assert_ptr_null(rest->methods);
	policies = mrpc_config_policies(config, &count);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(policies[0].name, "xds");
	ck_assert_str_eq(policies[0].config, "{\"a\":[1,\"b\"]}");
	ck_assert_str_eq(policies[1].name, "round_robin");
	ck_assert_str_eq(policies[1].config, "{}");
	mrpc_config_unref(config);
}
END_TEST

START_TEST(an_empty_config_says_nothing)
{
	static const char *const empty[] = {
		"{}",
		" { } ",
		"{\"methodConfig\":[],\"retryThrottling\":null,\"loadBalancingConfig\":null}",
		"{\"methodConfig\":null,\"healthCheckConfig\":{}}",
		"{\"methodConfig\":[{\"timeout\":\"1s\"},{\"name\":[],\"timeout\":\"1s\"}]}",
	};

	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
		struct mrpc_config *config = load(empty[i]);
		size_t count = 9;

		ck_assert_ptr_null(mrpc_config_find(config, "/a.B/C"));
		ck_assert_double_eq(mrpc_config_rest(config)->max_tokens, 0);
		ck_assert_ptr_null(mrpc_config_rest(config)->health_service);
		ck_assert_ptr_null(mrpc_config_rest(config)->load_balancing);
		mrpc_config_policies(config, &count);
		ck_assert_uint_eq(count, 0);
		mrpc_config_unref(config);
	}
}
END_TEST

START_TEST(L_8_unknown_fields_are_ignored_wherever_they_are)
{
	struct mrpc_config *config = load(
		"{\"new\":{\"methodConfig\":7},\"methodConfig\":[{\"name\":[{\"x\":1}],"
		"\"timeout\":\"1s\",\"TIMEOUT\":3,\"hedgingPolicy\":{\"maxAttempts\":2,\"y\":[]}}],"
		"\"retryThrottling\":{\"maxTokens\":1,\"tokenRatio\":1,\"z\":null},"
		"\"healthCheckConfig\":{\"other\":1}}");

	ck_assert_int_eq(entry_of(config)->timeout, MINIRPC_S(1));
	mrpc_config_unref(config);
}
END_TEST

START_TEST(L_8_service_and_method_go_before_service_goes_before_nothing)
{
	struct mrpc_config *config =
		load("{\"methodConfig\":["
		     "{\"name\":[{}],\"timeout\":\"1s\"},"
		     "{\"name\":[{\"service\":\"a.B\"}],\"timeout\":\"2s\"},"
		     "{\"name\":[{\"service\":\"a.B\",\"method\":\"M\"},"
		     "{\"service\":\"a.C\",\"method\":\"N\"}],\"timeout\":\"3s\"}]}");
	static const struct {
		const char *path;
		int seconds;
	} cases[] = {
		{ "/a.B/M", 3 },  { "/a.C/N", 3 }, { "/a.B/N", 2 },  { "/a.B/m", 2 },
		{ "/a.C/M", 1 },  { "/a/M", 1 },   { "/a.BB/M", 1 }, { "/A.B/M", 1 },
		{ "/a.B/MM", 2 }, { "/a.B/", 2 },  { "/b", 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		ck_assert_int_eq(mrpc_config_find(config, cases[i].path)->timeout,
				 MINIRPC_S(cases[i].seconds));
	mrpc_config_unref(config);

	config = load("{\"methodConfig\":[{\"name\":[{\"service\":\"a.B\",\"method\":\"\"}]},"
		      "{\"name\":[{\"service\":\"a.C\",\"method\":\"M\"}]}]}");
	ck_assert_ptr_nonnull(mrpc_config_find(config, "/a.B/X")); /* "" is no method */
	ck_assert_ptr_null(mrpc_config_find(config, "/a.C/N"));
	mrpc_config_unref(config);
}
END_TEST

START_TEST(L_8_names_are_unique)
{
	refuse("{\"methodConfig\":[{\"name\":[{\"service\":\"a\"}]},{\"name\":[{\"service\":\"b\"},"
	       "{\"service\":\"a\"}]}]}",
	       "methodConfig[1].name[1]: names what is named before");
	refuse("{\"methodConfig\":[{\"name\":[{\"service\":\"a\",\"method\":\"m\"},"
	       "{\"method\":\"m\",\"service\":\"a\"}]}]}",
	       "methodConfig[0].name[1]: names what is named before");
	refuse("{\"methodConfig\":[{\"name\":[{}]},{\"name\":[{\"service\":\"\"}]}]}",
	       "methodConfig[1].name[0]: names what is named before");
	mrpc_config_unref(load("{\"methodConfig\":[{\"name\":[{\"service\":\"a\"},"
			       "{\"service\":\"a\",\"method\":\"m\"},{}]}]}"));
}
END_TEST

START_TEST(L_8_a_method_needs_its_service)
{
	refuse("{\"methodConfig\":[{\"name\":[{\"method\":\"m\"}]}]}",
	       "methodConfig[0].name[0].service: must be there, as there is a method");
	refuse("{\"methodConfig\":[{\"name\":[{\"method\":\"m\",\"service\":\"\"}]}]}",
	       "methodConfig[0].name[0].service: must be there, as there is a method");
}
END_TEST

START_TEST(L_8_a_known_field_of_another_kind_refuses_the_whole)
{
	static const char *const cases[][2] = {
		{ "[]", "must be an object" },
		{ "{\"methodConfig\":{}}", "methodConfig: must be a list" },
		{ "{\"methodConfig\":[7]}", "methodConfig[0]: must be an object" },
		{ "{\"methodConfig\":[{},null]}", "methodConfig[1]: must be an object" },
		{ "{\"methodConfig\":[{\"name\":{}}]}", "methodConfig[0].name: must be a list" },
		{ "{\"methodConfig\":[{\"name\":[\"a\"]}]}",
		  "methodConfig[0].name[0]: must be an object" },
		{ "{\"methodConfig\":[{\"name\":[{\"service\":1}]}]}",
		  "methodConfig[0].name[0].service: must be a string" },
		{ "{\"methodConfig\":[{\"name\":[{\"service\":\"a\",\"method\":[]}]}]}",
		  "methodConfig[0].name[0].method: must be a string" },
		{ "{\"methodConfig\":[{\"waitForReady\":\"true\"}]}",
		  "methodConfig[0].waitForReady: must be true or false" },
		{ "{\"methodConfig\":[{\"waitForReady\":1}]}",
		  "methodConfig[0].waitForReady: must be true or false" },
		{ "{\"methodConfig\":[{\"retryPolicy\":[]}]}",
		  "methodConfig[0].retryPolicy: must be an object" },
		{ "{\"methodConfig\":[{\"hedgingPolicy\":true}]}",
		  "methodConfig[0].hedgingPolicy: must be an object" },
		{ "{\"retryThrottling\":[]}", "retryThrottling: must be an object" },
		{ "{\"loadBalancingConfig\":{}}", "loadBalancingConfig: must be a list" },
		{ "{\"loadBalancingPolicy\":{}}", "loadBalancingPolicy: must be a string" },
		{ "{\"healthCheckConfig\":\"a\"}", "healthCheckConfig: must be an object" },
		{ "{\"healthCheckConfig\":{\"serviceName\":1}}",
		  "healthCheckConfig.serviceName: must be a string" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refuse(cases[i][0], cases[i][1]);
}
END_TEST

START_TEST(durations_are_proto3s)
{
	static const struct {
		const char *text;
		minirpc_time span;
	} good[] = {
		{ "0s", 0 },
		{ "1s", MINIRPC_S(1) },
		{ "007s", MINIRPC_S(7) },
		{ "1.5s", MINIRPC_MS(1500) },
		{ "0.000000001s", 1 },
		{ "1.123456789s", 1123456789 },
		{ "1.10s", MINIRPC_MS(1100) },
		{ "-0s", 0 },
		{ "315576000000s", MRPC_CONFIG_LONGEST },
		{ "315576000000.000s", MRPC_CONFIG_LONGEST },
		{ "315575999999.999999999s", MRPC_CONFIG_LONGEST },
		{ "1152921504s", MINIRPC_S(1152921504) }, /* the last before MRPC_CONFIG_LONGEST */
		{ "1152921505s", MRPC_CONFIG_LONGEST },
		{ "1152921504.999999999s", MRPC_CONFIG_LONGEST },
	};
	static const char *const bad[] = {
		"\"\"",
		"\"s\"",
		"\"1\"",
		"\"1.s\"",
		"\".5s\"",
		"\"1.0000000001s\"",
		"\"+1s\"",
		"\" 1s\"",
		"\"1s \"",
		"\"1S\"",
		"\"1ms\"",
		"\"1e3s\"",
		"\"1,5s\"",
		"\"--1s\"",
		"1",
		"1.5",
		"{}",
		"true",
		"\"-s\"",
		"\"315576000001s\"",
		"\"315576000000.000000001s\"",
		"\"9999999999999s\"",
		"\"1.5ss\"",
		"\"1..5s\"",
	};
	char fields[128];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct mrpc_config *config;

		snprintf(fields, sizeof fields, "\"timeout\":\"%s\"", good[i].text);
		config = load(entry_json(fields));
		ck_assert_int_eq(entry_of(config)->timeout, good[i].span);
		mrpc_config_unref(config);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(fields, sizeof fields, "\"timeout\":%s", bad[i]);
		refuse(entry_json(fields),
		       "methodConfig[0].timeout: must be a duration such as \"1.5s\"");
	}
	refuse(entry_json("\"timeout\":\"-0.000000001s\""),
	       "methodConfig[0].timeout: must not be negative");
	refuse(entry_json("\"timeout\":\"-315576000000s\""),
	       "methodConfig[0].timeout: must not be negative");
}
END_TEST

START_TEST(message_limits_are_32_bits_as_numbers_or_in_quotes)
{
	static const struct {
		const char *text;
		uint32_t number;
	} good[] = {
		{ "0", 0 },
		{ "\"0\"", 0 },
		{ "4294967295", UINT32_MAX },
		{ "\"4294967295\"", UINT32_MAX },
		{ "1e3", 1000 },
		{ "10.0", 10 },
		{ "\"1e3\"", 1000 },
	};
	static const char *const bad[] = {
		"4294967296", "\"4294967296\"", "-1", "\"-1\"",    "1.5",    "\"1.5\"",
		"true",       "\"\"",           "[]", "\"x\"",     "\" 1\"", "\"1 \"",
		"\"0x10\"",   "\"+1\"",         "{}", "\"1e999\"", "\"e\"",  "9223372036854775807",
	};
	char fields[128];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct mrpc_config *config;

		snprintf(fields, sizeof fields,
			 "\"maxRequestMessageBytes\":%s,\"maxResponseMessageBytes\":%s",
			 good[i].text, good[i].text);
		config = load(entry_json(fields));
		ck_assert(entry_of(config)->has_max_request && entry_of(config)->has_max_response);
		ck_assert_uint_eq(entry_of(config)->max_request_bytes, good[i].number);
		ck_assert_uint_eq(entry_of(config)->max_response_bytes, good[i].number);
		mrpc_config_unref(config);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(fields, sizeof fields, "\"maxRequestMessageBytes\":%s", bad[i]);
		refuse(entry_json(fields),
		       "methodConfig[0].maxRequestMessageBytes: must be a whole "
		       "number from 0 to 4294967295");
		snprintf(fields, sizeof fields, "\"maxResponseMessageBytes\":%s", bad[i]);
		refuse(entry_json(fields), "methodConfig[0].maxResponseMessageBytes: must be a "
					   "whole number from 0 to 4294967295");
	}
}
END_TEST

/* ---- Policies ---- */

START_TEST(R_1_each_breach_of_a_retry_policy_is_named)
{
#define AT "methodConfig[0].retryPolicy."
	static const struct {
		const char *name, *value, *sentence; /* value NULL: left out */
	} cases[] = {
		{ "maxAttempts", NULL, AT "maxAttempts: must be at least 2" },
		{ "maxAttempts", "0", AT "maxAttempts: must be at least 2" },
		{ "maxAttempts", "1", AT "maxAttempts: must be at least 2" },
		{ "maxAttempts", "-2",
		  AT "maxAttempts: must be a whole number from 0 to 4294967295" },
		{ "maxAttempts", "2.5",
		  AT "maxAttempts: must be a whole number from 0 to 4294967295" },
		{ "initialBackoff", NULL, AT "initialBackoff: must be above 0" },
		{ "initialBackoff", "\"0s\"", AT "initialBackoff: must be above 0" },
		{ "initialBackoff", "\"-1s\"", AT "initialBackoff: must be above 0" },
		{ "initialBackoff", "1", AT "initialBackoff: must be a duration such as \"1.5s\"" },
		{ "maxBackoff", NULL, AT "maxBackoff: must be above 0" },
		{ "maxBackoff", "\"0.000s\"", AT "maxBackoff: must be above 0" },
		{ "maxBackoff", "\"1\"", AT "maxBackoff: must be a duration such as \"1.5s\"" },
		{ "backoffMultiplier", NULL, AT "backoffMultiplier: must be above 0" },
		{ "backoffMultiplier", "0", AT "backoffMultiplier: must be above 0" },
		{ "backoffMultiplier", "-0.1", AT "backoffMultiplier: must be above 0" },
		{ "backoffMultiplier", "\"NaN\"", AT "backoffMultiplier: must be a number" },
		{ "backoffMultiplier", "\"Infinity\"", AT "backoffMultiplier: must be a number" },
		{ "backoffMultiplier", "[]", AT "backoffMultiplier: must be a number" },
		{ "retryableStatusCodes", NULL,
		  AT "retryableStatusCodes: must name at least one status code" },
		{ "retryableStatusCodes", "[]",
		  AT "retryableStatusCodes: must name at least one status code" },
		{ "retryableStatusCodes", "\"UNAVAILABLE\"",
		  AT "retryableStatusCodes: must be a list" },
		{ "retryableStatusCodes", "[14,\"NOPE\"]",
		  AT "retryableStatusCodes[1]: must be a status code, 0 to 16 or its name" },
		{ "retryableStatusCodes", "[17]",
		  AT "retryableStatusCodes[0]: must be a status code, 0 to 16 or its name" },
		{ "retryableStatusCodes", "[-1]",
		  AT "retryableStatusCodes[0]: must be a status code, 0 to 16 or its name" },
		{ "retryableStatusCodes", "[14.0]",
		  AT "retryableStatusCodes[0]: must be a status code, 0 to 16 or its name" },
		{ "retryableStatusCodes", "[\"\"]",
		  AT "retryableStatusCodes[0]: must be a status code, 0 to 16 or its name" },
		{ "retryableStatusCodes", "[null]",
		  AT "retryableStatusCodes[0]: must be a status code, 0 to 16 or its name" },
	};
#undef AT

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refuse(retry_json(cases[i].name, cases[i].value), cases[i].sentence);
}
END_TEST

START_TEST(R_1_codes_are_numbers_or_names_in_any_case)
{
	struct mrpc_config *config = load(retry_json(
		"retryableStatusCodes", "[\"unavailable\", \"Resource_Exhausted\", 16, 0, 1, 1]"));
	char value[32];

	/* OK is a code, but nothing to try again. */
	ck_assert_uint_eq(entry_of(config)->retry->codes,
			  MINIRPC_CODE(14) | MINIRPC_CODE(8) | MINIRPC_CODE(16) | MINIRPC_CODE(1));
	mrpc_config_unref(config);
	for (unsigned code = 1; code <= 16; code++) {
		snprintf(value, sizeof value, "[\"%s\"]",
			 minirpc_code_name((enum minirpc_code)code));
		config = load(retry_json("retryableStatusCodes", value));
		ck_assert_uint_eq(entry_of(config)->retry->codes, MINIRPC_CODE(code));
		mrpc_config_unref(config);
	}
}
END_TEST

START_TEST(R_1_attempts_above_the_cap_count_as_the_cap)
{
	static const struct {
		const char *value;
		unsigned cap, attempts;
	} cases[] = {
		{ "2", 0, 2 }, { "5", 0, 5 },
		{ "6", 0, 5 }, { "\"4294967295\"", 0, 5 },
		{ "6", 7, 6 }, { "8", 7, 7 },
		{ "2", 1, 1 }, { "4294967295", UINT32_MAX, UINT32_MAX },
	};
	char fields[64];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct mrpc_config *config;

		ck_assert_int_eq(mrpc_config_from_json(&config,
						       retry_json("maxAttempts", cases[i].value),
						       cases[i].cap, NULL, 0),
				 0);
		ck_assert_uint_eq(entry_of(config)->retry->max_attempts, cases[i].attempts);
		mrpc_config_unref(config);
		snprintf(fields, sizeof fields, "\"maxAttempts\":%s", cases[i].value);
		ck_assert_int_eq(
			mrpc_config_from_json(&config, hedging_json(fields), cases[i].cap, NULL, 0),
			0);
		ck_assert_uint_eq(entry_of(config)->hedging->max_attempts, cases[i].attempts);
		mrpc_config_unref(config);
	}
}
END_TEST

START_TEST(R_8_a_hedging_policy_needs_only_attempts)
{
	struct mrpc_config *config = load(hedging_json("\"maxAttempts\":\"2\""));

	ck_assert_uint_eq(entry_of(config)->hedging->max_attempts, 2);
	ck_assert_int_eq(entry_of(config)->hedging->delay, 0);
	ck_assert_uint_eq(entry_of(config)->hedging->codes, 0);
	mrpc_config_unref(config);
	config = load(hedging_json(
		"\"maxAttempts\":2,\"nonFatalStatusCodes\":[],\"hedgingDelay\":\"0s\""));
	ck_assert_uint_eq(entry_of(config)->hedging->codes, 0);
	mrpc_config_unref(config);

	refuse(hedging_json(""), "methodConfig[0].hedgingPolicy.maxAttempts: must be at least 2");
	refuse(hedging_json("\"maxAttempts\":1"),
	       "methodConfig[0].hedgingPolicy.maxAttempts: must be at least 2");
	refuse(hedging_json("\"maxAttempts\":2,\"hedgingDelay\":\"-1s\""),
	       "methodConfig[0].hedgingPolicy.hedgingDelay: must not be negative");
	refuse(hedging_json("\"maxAttempts\":2,\"hedgingDelay\":0"),
	       "methodConfig[0].hedgingPolicy.hedgingDelay: must be a duration such as \"1.5s\"");
	refuse(hedging_json("\"maxAttempts\":2,\"nonFatalStatusCodes\":[1,99]"),
	       "methodConfig[0].hedgingPolicy.nonFatalStatusCodes[1]: must be a status code, 0 to "
	       "16 or its name");
}
END_TEST

START_TEST(R_8_never_both_policies)
{
	refuse(entry_json(
		       "\"hedgingPolicy\":{\"maxAttempts\":2},\"retryPolicy\":{\"maxAttempts\":2,"
		       "\"initialBackoff\":\"1s\",\"maxBackoff\":\"1s\",\"backoffMultiplier\":1,"
		       "\"retryableStatusCodes\":[14]}"),
	       "methodConfig[0].hedgingPolicy: there is a retry policy already");
}
END_TEST

static const char *throttle_json(const char *tokens, const char *ratio)
{
	static char json[256];

	snprintf(json, sizeof json, "{\"retryThrottling\":{\"maxTokens\":%s,\"tokenRatio\":%s}}",
		 tokens, ratio);
	return json;
}

START_TEST(R_7_tokens_are_1_to_1000_and_the_ratio_has_three_decimals)
{
	static const struct {
		const char *tokens, *ratio;
		double max_tokens, token_ratio;
	} good[] = {
		{ "1", "0.001", 1, 0.001 },       { "1000", "1", 1000, 1 },
		{ "\"10\"", "\"0.5\"", 10, 0.5 }, { "10", "0.1239", 10, 0.123 },
		{ "10", "0.29", 10, 0.29 },       { "10", "0.57", 10, 0.57 },
		{ "10", "0.0019999", 10, 0.001 }, { "10", "2.5", 10, 2.5 },
	};

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct mrpc_config *config = load(throttle_json(good[i].tokens, good[i].ratio));

		ck_assert_double_eq(mrpc_config_rest(config)->max_tokens, good[i].max_tokens);
		ck_assert_double_eq_tol(mrpc_config_rest(config)->token_ratio, good[i].token_ratio,
					1e-12);
		mrpc_config_unref(config);
	}
	refuse(throttle_json("0", "1"),
	       "retryThrottling.maxTokens: must be above 0 and at most 1000");
	refuse(throttle_json("1001", "1"),
	       "retryThrottling.maxTokens: must be above 0 and at most 1000");
	refuse(throttle_json("-1", "1"),
	       "retryThrottling.maxTokens: must be a whole number from 0 to 4294967295");
	refuse(throttle_json("1.5", "1"),
	       "retryThrottling.maxTokens: must be a whole number from 0 to 4294967295");
	refuse("{\"retryThrottling\":{\"tokenRatio\":1}}",
	       "retryThrottling.maxTokens: must be above 0 and at most 1000");
	refuse("{\"retryThrottling\":{\"maxTokens\":10}}",
	       "retryThrottling.tokenRatio: must be from 0.001 to 4294967");
	refuse(throttle_json("10", "0"),
	       "retryThrottling.tokenRatio: must be from 0.001 to 4294967");
	refuse(throttle_json("10", "-1"),
	       "retryThrottling.tokenRatio: must be from 0.001 to 4294967");
	refuse(throttle_json("10", "0.0009"),
	       "retryThrottling.tokenRatio: must be from 0.001 to 4294967");
	refuse(throttle_json("10", "1e300"),
	       "retryThrottling.tokenRatio: must be from 0.001 to 4294967");
	refuse(throttle_json("10", "{}"), "retryThrottling.tokenRatio: must be a number");
}
END_TEST

/* ---- Load balancing, health ---- */

START_TEST(L_3_the_list_goes_before_the_old_form)
{
	struct mrpc_config *config =
		load("{\"loadBalancingPolicy\":\"ROUND_ROBIN\",\"loadBalancingConfig\":"
		     "[{\"pick_first\":{\"shuffleAddressList\":true}}]}");
	const struct mrpc_config_policy *policies;
	size_t count;

	policies = mrpc_config_policies(config, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(policies[0].name, "pick_first");
	ck_assert_str_eq(policies[0].config, "{\"shuffleAddressList\":true}");
	ck_assert_str_eq(mrpc_config_rest(config)->load_balancing_config,
			 "{\"shuffleAddressList\":true}");
	mrpc_config_unref(config);

	config = load("{\"loadBalancingPolicy\":\"ROUND_Robin\"}");
	policies = mrpc_config_policies(config, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(policies[0].name, "round_robin");
	ck_assert_str_eq(policies[0].config, "{}");
	mrpc_config_unref(config);
}
END_TEST

START_TEST(L_3_each_policy_of_the_list_is_an_object_with_one_object)
{
	refuse("{\"loadBalancingConfig\":[]}", "loadBalancingConfig: is empty");
	refuse("{\"loadBalancingConfig\":[{}]}",
	       "loadBalancingConfig[0]: must be an object with one field");
	refuse("{\"loadBalancingConfig\":[{\"a\":{}},{\"b\":{},\"c\":{}}]}",
	       "loadBalancingConfig[1]: must be an object with one field");
	refuse("{\"loadBalancingConfig\":[\"pick_first\"]}",
	       "loadBalancingConfig[0]: must be an object with one field");
	refuse("{\"loadBalancingConfig\":[{\"a\":[]}]}",
	       "loadBalancingConfig[0].a: must be an object");
	refuse("{\"loadBalancingConfig\":[{\"a\":null}]}",
	       "loadBalancingConfig[0].a: must be an object");
	refuse("{\"loadBalancingPolicy\":\"\"}", "loadBalancingPolicy: is empty");
	refuse("{\"loadBalancingConfig\":[{\"a\":{}}],\"loadBalancingPolicy\":7}",
	       "loadBalancingPolicy: must be a string");
}
END_TEST

START_TEST(B_5_so_many_connections_to_a_server)
{
	static const struct {
		const char *text;
		unsigned max;
	} good[] = { { "1", 1 },     { "10", 10 },  { "11", 11 }, /* the channel has a cap */
		     { "\"3\"", 3 }, { "null", 0 }, { "4294967295", 4294967295 } };
	static const char *const bad[] = { "-1", "1.5", "true", "\"many\"", "[1]", "4294967296" };
	char json[128];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct mrpc_config *config;

		snprintf(json, sizeof json,
			 "{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":%s}}",
			 good[i].text);
		config = load(json);
		ck_assert_uint_eq(mrpc_config_rest(config)->max_connections_per_subchannel,
				  good[i].max);
		mrpc_config_unref(config);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(json, sizeof json,
			 "{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":%s}}", bad[i]);
		refuse(json,
		       "connectionScaling.maxConnectionsPerSubchannel: must be a whole number "
		       "from 0 to 4294967295");
	}
	refuse("{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":0}}",
	       "connectionScaling.maxConnectionsPerSubchannel: must be at least 1");
	refuse("{\"connectionScaling\":3}", "connectionScaling: must be an object");
}
END_TEST

START_TEST(an_empty_health_service_is_a_name)
{
	struct mrpc_config *config = load("{\"healthCheckConfig\":{\"serviceName\":\"\"}}");

	ck_assert_str_eq(mrpc_config_rest(config)->health_service, "");
	mrpc_config_unref(config);
}
END_TEST

/* ---- JSON itself ---- */

START_TEST(syntax_errors_name_line_and_column)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"{\"a\":}",
		"{\"a\":1,}",
		"{}{}",
		"{a:1}",
		"{\"a\" 1}",
		"nul",
		"{\"a\":01}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\n\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"\\u0000\":1}",
		"{\"a\":tru}",
		"7",
		"{\"a\":1e999}",
		"{\"a\":123456789012345678901234567890}",
		"{\"a\":\"\\",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(minirpc_service_config_check(bad[i], error, sizeof error),
				 -EINVAL);
		ck_assert_msg(strncmp(error, "line 1, column ", 15) == 0 ||
				      strncmp(error, "line 2, column ", 15) == 0,
			      "%s: %s", bad[i], error);
		for (const char *c = error; *c != '\0'; c++)
			ck_assert(*c >= 0x20 && *c <= 0x7E);
	}
	ck_assert_int_eq(
		minirpc_service_config_check("{\n  \"a\": 1,\n  \"b\" 2\n}", error, sizeof error),
		-EINVAL);
	ck_assert_str_eq(error, "line 3, column 7: ':' expected near '2'");
}
END_TEST

START_TEST(a_key_twice_is_refused)
{
	ck_assert_int_eq(minirpc_service_config_check("{\"x\":1,\"x\":2}", error, sizeof error),
			 -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "duplicate"));
}
END_TEST

START_TEST(nesting_passes_to_32_and_no_deeper)
{
	char json[512];

	for (size_t brackets = 0; brackets < 2; brackets++) {
		for (size_t depth = 32; depth <= 33; depth++) {
			size_t at = 0;

			at += (size_t)snprintf(json, sizeof json, "{\"a\":");
			for (size_t i = 1; i < depth; i++)
				at += (size_t)snprintf(json + at, sizeof json - at, "%s",
						       brackets ? "[" : "{\"b\":");
			at += (size_t)snprintf(json + at, sizeof json - at, "\"[{[{\\\"[{\"");
			for (size_t i = 1; i < depth; i++)
				json[at++] = brackets ? ']' : '}';
			snprintf(json + at, sizeof json - at, "}");
			ck_assert_int_eq(minirpc_service_config_check(json, error, sizeof error),
					 depth == 32 ? 0 : -E2BIG);
			ck_assert_str_eq(error, depth == 32 ? "" : "nested deeper than 32");
		}
	}
	/* Closed before it opens: what jansson complains of comes first. */
	ck_assert_int_eq(minirpc_service_config_check("]]]]{}", error, sizeof error), -EINVAL);
}
END_TEST

START_TEST(a_million_brackets_do_not_reach_jansson)
{
	char *json = malloc(60001);

	memset(json, '[', 60000);
	json[60000] = '\0';
	ck_assert_int_eq(minirpc_service_config_check(json, error, sizeof error), -E2BIG);
	ck_assert_str_eq(error, "nested deeper than 32");
	free(json);
}
END_TEST

START_TEST(length_passes_to_64_kib_and_no_further)
{
	char *json = malloc(65538);

	memset(json, ' ', 65537);
	json[0] = '{';
	json[65535] = '}';
	json[65536] = '\0';
	ck_assert_int_eq(minirpc_service_config_check(json, error, sizeof error), 0);
	json[65536] = ' ';
	json[65537] = '\0';
	ck_assert_int_eq(minirpc_service_config_check(json, error, sizeof error), -E2BIG);
	ck_assert_str_eq(error, "longer than 65536 bytes");
	free(json);
}
END_TEST

START_TEST(a_sentence_that_does_not_fit_is_cut)
{
	char small[12];

	memset(small, 'x', sizeof small);
	ck_assert_int_eq(minirpc_service_config_check("{\"methodConfig\":7}", small, sizeof small),
			 -EINVAL);
	ck_assert_str_eq(small, "methodConfi");
	small[0] = 'x';
	ck_assert_int_eq(minirpc_service_config_check("{\"methodConfig\":7}", small, 0), -EINVAL);
	ck_assert_int_eq(small[0], 'x');
	ck_assert_int_eq(minirpc_service_config_check("{\"methodConfig\":7}", small, 1), -EINVAL);
	ck_assert_str_eq(small, "");
}
END_TEST

START_TEST(numbers_do_not_depend_on_the_locale)
{
	struct mrpc_config *config;

	/* Where there is none with a comma the test has nothing to say. */
	if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL && setlocale(LC_NUMERIC, "de_DE") == NULL)
		return;
	config = load("{\"retryThrottling\":{\"maxTokens\":10,\"tokenRatio\":\"0.5\"},"
		      "\"loadBalancingConfig\":[{\"a\":{\"b\":1.5}}]}");
	ck_assert_double_eq(mrpc_config_rest(config)->token_ratio, 0.5);
	ck_assert_str_eq(mrpc_config_rest(config)->load_balancing_config, "{\"b\":1.5}");
	mrpc_config_unref(config);
	setlocale(LC_NUMERIC, "C");
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("config_json");
	TCase *json = tcase_create("json"), *policies = tcase_create("policies");

	tcase_add_test(json, a_config_is_read_whole);
	tcase_add_test(json, an_empty_config_says_nothing);
	tcase_add_test(json, L_8_unknown_fields_are_ignored_wherever_they_are);
	tcase_add_test(json, L_8_service_and_method_go_before_service_goes_before_nothing);
	tcase_add_test(json, L_8_names_are_unique);
	tcase_add_test(json, L_8_a_method_needs_its_service);
	tcase_add_test(json, L_8_a_known_field_of_another_kind_refuses_the_whole);
	tcase_add_test(json, durations_are_proto3s);
	tcase_add_test(json, message_limits_are_32_bits_as_numbers_or_in_quotes);
	tcase_add_test(json, syntax_errors_name_line_and_column);
	tcase_add_test(json, a_key_twice_is_refused);
	tcase_add_test(json, nesting_passes_to_32_and_no_deeper);
	tcase_add_test(json, a_million_brackets_do_not_reach_jansson);
	tcase_add_test(json, length_passes_to_64_kib_and_no_further);
	tcase_add_test(json, a_sentence_that_does_not_fit_is_cut);
	tcase_add_test(json, numbers_do_not_depend_on_the_locale);
	suite_add_tcase(suite, json);

	tcase_add_test(policies, R_1_each_breach_of_a_retry_policy_is_named);
	tcase_add_test(policies, R_1_codes_are_numbers_or_names_in_any_case);
	tcase_add_test(policies, R_1_attempts_above_the_cap_count_as_the_cap);
	tcase_add_test(policies, R_8_a_hedging_policy_needs_only_attempts);
	tcase_add_test(policies, R_8_never_both_policies);
	tcase_add_test(policies, R_7_tokens_are_1_to_1000_and_the_ratio_has_three_decimals);
	tcase_add_test(policies, L_3_the_list_goes_before_the_old_form);
	tcase_add_test(policies, L_3_each_policy_of_the_list_is_an_object_with_one_object);
	tcase_add_test(policies, an_empty_health_service_is_a_name);
	tcase_add_test(policies, B_5_so_many_connections_to_a_server);
	suite_add_tcase(suite, policies);

	return suite;
}

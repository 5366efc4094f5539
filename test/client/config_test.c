/* SPDX-License-Identifier: MIT */
/* Service configs as structs, choices of them in DNS, and how they live and fail. What JSON says is tried in
 * config_json_test.c. */
#include "run_suite.h"

#include "base/alloc.h"
#include "client/config.h"

#include "world/alloc_fail.h"

#include <check.h>
#include <errno.h>
#include <jansson.h>
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

/* ---- Structs ---- */

static const struct minirpc_retry_policy good_retry = {
	.max_attempts = 4,
	.initial_backoff = MINIRPC_MS(100),
	.max_backoff = MINIRPC_S(1),
	.backoff_multiplier = 2,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
};

static int from_entry(const struct minirpc_method_config *entry, struct mrpc_config **ret)
{
	return mrpc_config_from_structs(
		ret, &(struct minirpc_service_config){ .methods = entry, .method_count = 1 }, 0,
		error, sizeof error);
}

static void refuse_structs(const struct minirpc_service_config *structs, const char *sentence)
{
	struct mrpc_config *config = NULL;

	ck_assert_int_eq(mrpc_config_from_structs(&config, structs, 0, error, sizeof error),
			 -EINVAL);
	ck_assert_ptr_null(config);
	ck_assert_str_eq(error, sentence);
}

static void refuse_entry(const struct minirpc_method_config *entry, const char *sentence)
{
	refuse_structs(&(struct minirpc_service_config){ .methods = entry, .method_count = 1 },
		       sentence);
}

START_TEST(structs_say_the_same_as_json)
{
	char service[] = "rpc.Cache", method[] = "Get", balancing[] = "round_robin", health[] = "h";
	char object[] = "{ \"x\": 1 }";
	struct minirpc_retry_policy retry = good_retry;
	struct minirpc_hedging_policy hedging = { .max_attempts = 99, .delay = 5 };
	const struct minirpc_method_config methods[] = {
		{ .service = service,
		  .method = method,
		  .timeout = MINIRPC_MS(500),
		  .retry = &retry },
		{ .service = service, .hedging = &hedging, .has_max_response = true },
		{ .has_wait_for_ready = true, .wait_for_ready = true, .timeout = MINIRPC_NEVER },
	};
	struct mrpc_config *config;
	const struct mrpc_config_policy *policies;
	const struct minirpc_method_config *found;
	size_t count;

	ck_assert_int_eq(mrpc_config_from_structs(&config,
						  &(struct minirpc_service_config){
							  .methods = methods,
							  .method_count = 3,
							  .max_tokens = 2.5,
							  .token_ratio = 0.1,
							  .load_balancing = balancing,
							  .load_balancing_config = object,
							  .max_connections_per_subchannel = 11,
							  .health_service = health,
						  },
						  0, error, sizeof error),
			 0);
	/* Everything is copied. */
	retry.max_attempts = hedging.max_attempts = 0;
	memset(service, 'x', sizeof service - 1);
	memset(method, 'x', sizeof method - 1);
	balancing[0] = health[0] = object[0] = 'x';

	found = mrpc_config_find(config, "/rpc.Cache/Get");
	ck_assert_int_eq(found->timeout, MINIRPC_MS(500));
	ck_assert_uint_eq(found->retry->max_attempts, 4);
	found = mrpc_config_find(config, "/rpc.Cache/Store");
	ck_assert_uint_eq(found->hedging->max_attempts, 5);
	ck_assert(found->has_max_response);
	found = mrpc_config_find(config, "/rpc.Other/Store");
	ck_assert(found->wait_for_ready);
	ck_assert_int_eq(found->timeout, MRPC_CONFIG_LONGEST);
	ck_assert_double_eq(mrpc_config_rest(config)->max_tokens, 2.5);
	ck_assert_double_eq(mrpc_config_rest(config)->token_ratio, 0.1);
	ck_assert_str_eq(mrpc_config_rest(config)->health_service, "h");
	ck_assert_uint_eq(mrpc_config_rest(config)->max_connections_per_subchannel, 11);
	policies = mrpc_config_policies(config, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq(policies[0].name, "round_robin");
	ck_assert_str_eq(policies[0].config, "{ \"x\": 1 }");
	mrpc_config_unref(config);
}
END_TEST

START_TEST(mistakes_in_structs_are_named_in_cs_words)
{
	struct minirpc_retry_policy retry;
	struct minirpc_hedging_policy hedging = { .max_attempts = 1 };
	const struct minirpc_method_config twice[] = { { .service = "a" }, { .service = "a" } };
	double bad[] = { 0, -1, 0.0 / 0.0, 1.0 / 0.0 };

	refuse_entry(&(struct minirpc_method_config){ .timeout = -1 },
		     "methods[0].timeout: must not be negative");
	refuse_entry(&(struct minirpc_method_config){ .method = "m" },
		     "methods[0].service: must be there, as there is a method");
	refuse_structs(&(struct minirpc_service_config){ .methods = twice, .method_count = 2 },
		       "methods[1]: names what is named before");
	refuse_structs(&(struct minirpc_service_config){ .method_count = 2 }, "methods: is NULL");

	retry = good_retry;
	retry.max_attempts = 1;
	refuse_entry(&(struct minirpc_method_config){ .retry = &retry },
		     "methods[0].retry.max_attempts: must be at least 2");
	retry = good_retry;
	retry.initial_backoff = 0;
	refuse_entry(&(struct minirpc_method_config){ .retry = &retry },
		     "methods[0].retry.initial_backoff: must be above 0");
	retry = good_retry;
	retry.max_backoff = -1;
	refuse_entry(&(struct minirpc_method_config){ .retry = &retry },
		     "methods[0].retry.max_backoff: must be above 0");
	for (size_t i = 0; i < 4; i++) {
		retry = good_retry;
		retry.backoff_multiplier = bad[i];
		refuse_entry(&(struct minirpc_method_config){ .retry = &retry },
			     "methods[0].retry.backoff_multiplier: must be above 0");
	}
	retry = good_retry;
	retry.codes = 0;
	refuse_entry(&(struct minirpc_method_config){ .retry = &retry },
		     "methods[0].retry.codes: must name at least one status code");
	retry.codes = UINT32_C(1) << 17;
	refuse_entry(&(struct minirpc_method_config){ .retry = &retry },
		     "methods[0].retry.codes: there are 17 status codes, 0 to 16");
	refuse_entry(&(struct minirpc_method_config){ .hedging = &hedging },
		     "methods[0].hedging.max_attempts: must be at least 2");
	hedging = (struct minirpc_hedging_policy){ .max_attempts = 2, .delay = -1 };
	refuse_entry(&(struct minirpc_method_config){ .hedging = &hedging },
		     "methods[0].hedging.delay: must not be negative");
	hedging = (struct minirpc_hedging_policy){ .max_attempts = 2, .codes = UINT32_MAX };
	refuse_entry(&(struct minirpc_method_config){ .hedging = &hedging },
		     "methods[0].hedging.codes: there are 17 status codes, 0 to 16");
	hedging.codes = 0;
	refuse_entry(&(struct minirpc_method_config){ .hedging = &hedging, .retry = &good_retry },
		     "methods[0].hedging: there is a retry policy already");

	refuse_structs(&(struct minirpc_service_config){ .max_tokens = 1 },
		       "token_ratio: must be from 0.001 to 4294967");
	refuse_structs(&(struct minirpc_service_config){ .token_ratio = 1 },
		       "max_tokens: must be above 0 and at most 1000");
	refuse_structs(&(struct minirpc_service_config){ .max_tokens = 1000.5, .token_ratio = 1 },
		       "max_tokens: must be above 0 and at most 1000");
	for (size_t i = 1; i < 4; i++) {
		refuse_structs(
			&(struct minirpc_service_config){ .max_tokens = bad[i], .token_ratio = 1 },
			"max_tokens: must be above 0 and at most 1000");
		refuse_structs(
			&(struct minirpc_service_config){ .max_tokens = 1, .token_ratio = bad[i] },
			"token_ratio: must be from 0.001 to 4294967");
	}
	refuse_structs(&(struct minirpc_service_config){ .load_balancing_config = "{}" },
		       "load_balancing_config: is there without a name");
	refuse_structs(&(struct minirpc_service_config){ .load_balancing = "" },
		       "load_balancing: is empty");
	refuse_structs(&(struct minirpc_service_config){ .load_balancing = "a",
							 .load_balancing_config = "[]" },
		       "load_balancing_config: must be an object");
	refuse_structs(&(struct minirpc_service_config){ .load_balancing = "a",
							 .load_balancing_config = "{" },
		       "load_balancing_config: line 1, column 1: string or '}' expected near end "
		       "of file");
}
END_TEST

START_TEST(a_config_is_there_until_the_last_lets_go)
{
	struct mrpc_config *config;
	size_t live = alloc_live();

	ck_assert_int_eq(from_entry(&(struct minirpc_method_config){ .service = "a" }, &config), 0);
	ck_assert_ptr_eq(mrpc_config_ref(config), config);
	mrpc_config_unref(config);
	ck_assert_ptr_nonnull(mrpc_config_find(config, "/a/b"));
	mrpc_config_unref(config);
	ck_assert_uint_eq(alloc_live(), live);
	ck_assert_ptr_null(mrpc_config_ref(NULL));
	mrpc_config_unref(NULL);
}
END_TEST

/* ---- Choices in DNS ---- */

static char *choose(const char *text, unsigned draw, const char *host)
{
	static char copy[256];
	char *json = NULL;
	int r = mrpc_config_choose_from_txt(&json, text, draw, host, error, sizeof error);

	ck_assert_msg(r == 0, "%s: %d, %s", text, r, error);
	if (json == NULL)
		return NULL;
	snprintf(copy, sizeof copy, "%s", json);
	mrpc_free(json);
	return copy;
}

START_TEST(L_7_the_first_choice_that_fits_is_taken)
{
	static const char text[] =
		"[ { \"clientLanguage\": [ \"go\", \"java\" ], \"serviceConfig\": { \"a\": 1 } },"
		"  { \"clientHostname\": [ \"canary7\", \"canary8\" ], \"serviceConfig\": { \"a\": "
		"2 } },"
		"  { \"clientLanguage\": [ \"go\", \"C\" ], \"percentage\": 10, \"serviceConfig\": "
		"{ \"a\": 3 } },"
		"  { \"percentage\": 0, \"serviceConfig\": { \"a\": 4 } },"
		"  { \"serviceConfig\": { \"a\": 5 } },"
		"  { \"serviceConfig\": { \"a\": 6 } } ]";

	ck_assert_str_eq(choose(text, 99, "web1"), "{\"a\":5}");
	ck_assert_str_eq(choose(text, 99, "CANARY8"), "{\"a\":2}");
	ck_assert_str_eq(choose(text, 9, "web1"), "{\"a\":3}");
	ck_assert_str_eq(choose(text, 10, "web1"), "{\"a\":5}");
	ck_assert_str_eq(choose(text, 0, NULL), "{\"a\":3}");
	ck_assert_str_eq(choose(text, 99, NULL), "{\"a\":5}");
}
END_TEST

START_TEST(L_7_all_criteria_of_a_choice_must_fit)
{
	static const char text[] =
		"[{\"clientLanguage\":[\"c\"],\"clientHostname\":[\"h\"],\"percentage\":50,"
		"\"serviceConfig\":{}}]";

	ck_assert_str_eq(choose(text, 49, "h"), "{}");
	ck_assert_ptr_null(choose(text, 50, "h"));
	ck_assert_ptr_null(choose(text, 49, "i"));
	ck_assert_ptr_null(choose(text, 49, NULL));
	ck_assert_ptr_null(choose("[{\"clientLanguage\":[\"cc\"],\"serviceConfig\":{}}]", 0, "h"));
	ck_assert_ptr_null(choose("[{\"clientLanguage\":[],\"serviceConfig\":{}}]", 0, "h"));
	ck_assert_ptr_null(choose("[]", 0, "h"));
	ck_assert_str_eq(choose("[{\"percentage\":100,\"serviceConfig\":{},\"new\":1}]", 99, "h"),
			 "{}");
}
END_TEST

START_TEST(L_7_a_mistake_in_any_choice_is_named)
{
	static const char *const cases[][2] = {
		{ "{}", "must be a list" },
		{ "[7]", "[0]: must be an object" },
		{ "[{\"serviceConfig\":{}},{}]", "[1]: has no serviceConfig" },
		{ "[{\"serviceConfig\":[]}]", "[0].serviceConfig: must be an object" },
		{ "[{\"clientLanguage\":\"c\",\"serviceConfig\":{}}]",
		  "[0].clientLanguage: must be a list" },
		{ "[{\"clientLanguage\":[\"c\",1],\"serviceConfig\":{}}]",
		  "[0].clientLanguage[1]: must be a string" },
		{ "[{\"clientHostname\":[{}],\"serviceConfig\":{}}]",
		  "[0].clientHostname[0]: must be a string" },
		{ "[{\"percentage\":101,\"serviceConfig\":{}}]", "[0]: percentage is above 100" },
		{ "[{\"percentage\":-1,\"serviceConfig\":{}}]",
		  "[0].percentage: must be a whole number from 0 to 4294967295" },
		{ "[", "line 1, column 1: ']' expected near end of file" },
	};
	char *json = NULL;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_int_eq(mrpc_config_choose_from_txt(&json, cases[i][0], 0, NULL, error,
							     sizeof error),
				 -EINVAL);
		ck_assert_ptr_null(json);
		ck_assert_str_eq(error, cases[i][1]);
	}
	ck_assert_int_eq(mrpc_config_choose_from_txt(&json, "[", 0, NULL, NULL, 0), -EINVAL);
}
END_TEST

/* ---- Memory ---- */

static const char whole[] =
	"{\"methodConfig\":[{\"name\":[{\"service\":\"a.B\",\"method\":\"M\"},{}],\"timeout\":"
	"\"1s\","
	"\"maxRequestMessageBytes\":\"7\",\"retryPolicy\":{\"maxAttempts\":4,\"initialBackoff\":"
	"\"0.1s\","
	"\"maxBackoff\":\"1s\",\"backoffMultiplier\":1.5,\"retryableStatusCodes\":[\"UNAVAILABLE\"]"
	"}},"
	"{\"name\":[{\"service\":\"a.B\"}],\"hedgingPolicy\":{\"maxAttempts\":2}}],"
	"\"retryThrottling\":{\"maxTokens\":10,\"tokenRatio\":0.1},"
	"\"loadBalancingConfig\":[{\"round_robin\":{\"x\":[1]}}],"
	"\"healthCheckConfig\":{\"serviceName\":\"s\"}}";

/* jansson's memory for these tests: its hooks are put back by whoever runs out of them. */
static struct {
	size_t at, asked, live;
} jansson;

static void *jansson_alloc(size_t size)
{
	void *p = ++jansson.asked == jansson.at ? NULL : malloc(size);

	jansson.live += p != NULL;
	return p;
}

static void jansson_free(void *p)
{
	jansson.live -= p != NULL;
	free(p);
}

/* False: none was refused. */
static bool load_with_a_failing_allocation(size_t ours, size_t janssons)
{
	struct mrpc_config *config = NULL;
	size_t live = alloc_live();
	bool refused;
	int r;

	jansson.at = janssons;
	jansson.asked = 0;
	alloc_fail_at(ours, false);
	r = mrpc_config_from_json(&config, whole, 0, error, sizeof error);
	refused = alloc_refused() > 0 || (janssons > 0 && jansson.asked >= janssons);
	alloc_fail_at(0, false);
	ck_assert_msg(r == (refused ? -ENOMEM : 0), "%zu %zu: %d %s", ours, janssons, r, error);
	if (r == 0)
		ck_assert_ptr_nonnull(mrpc_config_find(config, "/a.B/M")->retry);
	mrpc_config_unref(config);
	ck_assert_uint_eq(jansson.live, 0);
	ck_assert_uint_eq(alloc_live(), live);
	return refused;
}

START_TEST(without_memory_there_is_no_config_and_no_leak)
{
	size_t n = 1;

	while (load_with_a_failing_allocation(n, 0))
		n++;
	ck_assert_uint_gt(n, 3);
}
END_TEST

START_TEST(without_memory_for_jansson_there_is_no_config_and_no_leak)
{
	json_malloc_t malloc_fn;
	json_free_t free_fn;
	size_t n = 1;

	json_get_alloc_funcs(&malloc_fn, &free_fn);
	json_set_alloc_funcs(jansson_alloc, jansson_free);
	while (load_with_a_failing_allocation(0, n))
		n++;
	ck_assert_uint_gt(n, 20);
	json_set_alloc_funcs(malloc_fn, free_fn);
}
END_TEST

START_TEST(janssons_hooks_stay_as_they_were)
{
	json_malloc_t malloc_fn;
	json_free_t free_fn;

	mrpc_config_unref(load(whole));
	json_get_alloc_funcs(&malloc_fn, &free_fn);
	ck_assert_ptr_eq((void *)(uintptr_t)malloc_fn, (void *)(uintptr_t)malloc);
	ck_assert_ptr_eq((void *)(uintptr_t)free_fn, (void *)(uintptr_t)free);
}
END_TEST

START_TEST(without_memory_no_choice_is_taken)
{
	char *json = NULL;

	alloc_fail_at(1, true);
	ck_assert_int_eq(mrpc_config_choose_from_txt(&json, "[{\"serviceConfig\":{}}]", 0, NULL,
						     error, sizeof error),
			 -ENOMEM);
	alloc_fail_at(0, false);
	ck_assert_ptr_null(json);
}
END_TEST

START_TEST(without_memory_structs_make_no_config_and_no_leak)
{
	const struct minirpc_method_config methods[] = {
		{ .service = "a", .retry = &good_retry },
		{ .hedging = &(struct minirpc_hedging_policy){ .max_attempts = 2 } },
	};
	size_t live = alloc_live(), refused, n = 0;

	do {
		struct mrpc_config *config = NULL;
		int r;

		alloc_fail_at(++n, false);
		r = mrpc_config_from_structs(&config,
					     &(struct minirpc_service_config){
						     .methods = methods,
						     .method_count = 2,
						     .load_balancing = "a",
						     .health_service = "h",
					     },
					     0, error, sizeof error);
		refused = alloc_refused();
		alloc_fail_at(0, false);
		ck_assert_int_eq(r, refused > 0 ? -ENOMEM : 0);
		mrpc_config_unref(config);
		ck_assert_uint_eq(alloc_live(), live);
	} while (refused > 0);
	ck_assert_uint_gt(n, 3);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("config");
	TCase *rest = tcase_create("rest"), *memory = tcase_create("memory");

	tcase_add_test(rest, structs_say_the_same_as_json);
	tcase_add_test(rest, mistakes_in_structs_are_named_in_cs_words);
	tcase_add_test(rest, a_config_is_there_until_the_last_lets_go);
	tcase_add_test(rest, L_7_the_first_choice_that_fits_is_taken);
	tcase_add_test(rest, L_7_all_criteria_of_a_choice_must_fit);
	tcase_add_test(rest, L_7_a_mistake_in_any_choice_is_named);
	suite_add_tcase(suite, rest);

	tcase_add_test(memory, without_memory_there_is_no_config_and_no_leak);
	tcase_add_test(memory, without_memory_for_jansson_there_is_no_config_and_no_leak);
	tcase_add_test(memory, janssons_hooks_stay_as_they_were);
	tcase_add_test(memory, without_memory_no_choice_is_taken);
	tcase_add_test(memory, without_memory_structs_make_no_config_and_no_leak);
	suite_add_tcase(suite, memory);
	return suite;
}

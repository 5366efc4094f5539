/* SPDX-License-Identifier: MIT */
/* lib/client/resolver_dns.c: a DNS server on the same loop, real packets, a clock turned by hand. */
#include "client/resolving.h"

#include "io/dns_server.h"
#include "io/hand_loop.h"
#include "io/resolve.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL MINIRPC_S(30)
#define CONFIG_A "{\"methodConfig\":[{\"name\":[{}],\"timeout\":\"1s\"}]}"
#define CONFIG_B "{\"methodConfig\":[{\"name\":[{}],\"timeout\":\"2s\"}]}"
#define CHOICES(config) "grpc_config=[{\"serviceConfig\":" config "}]"

static struct hand_loop hand;
static struct dns_server server;
static struct minirpc_resolving resolving;
static struct mrpc_target target;
static int descriptors;

static struct told {
	unsigned results, failures;
	bool any;
	size_t endpoints;
	char addresses[4000], reason[600], config[200];
} told;

static char logged[600];

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)user;
	if (level == MINIRPC_LOG_WARNING)
		snprintf(logged, sizeof logged, "%s", line);
}

static int on_result(const struct minirpc_resolver_result *result, void *user)
{
	(void)user;
	told.results++;
	told.any = true;
	told.endpoints = result->endpoint_count;
	told.addresses[0] = '\0';
	for (size_t i = 0; i < result->endpoint_count; i++) {
		ck_assert_ptr_null(result->endpoints[i].addresses[1]);
		strcat(strcat(told.addresses, result->endpoints[i].addresses[0]), " ");
	}
	snprintf(told.config, sizeof told.config, "%s",
		 result->service_config_json != NULL ? result->service_config_json : "-");
	return 0;
}

static void on_failure(const char *reason, void *user)
{
	(void)user;
	told.failures++;
	told.any = true;
	snprintf(told.reason, sizeof told.reason, "%s", reason);
}

static int try_open(const char *text, bool with_config)
{
	int r = mrpc_target_parse(&target, text);

	if (r < 0)
		return r;
	r = mrpc_resolving_init(&resolving, &(struct mrpc_resolving_config){
						    .loop = hand.loop,
						    .target = text,
						    .parsed = &target,
						    .dns_servers = server.address,
						    .ask_for_config = with_config,
						    .seed = 7, /* and so is the draw */
						    .on_result = on_result,
						    .on_failure = on_failure,
					    });
	if (r < 0)
		return r;
	mrpc_resolving_start(&resolving);
	return 0;
}

/* Until the channel is told something. */
static void hear(void)
{
	told.any = false;
	hand_until(&hand, &told.any);
	hand_settle(&hand);
}

static void open_name(const char *text, bool with_config)
{
	ck_assert_int_eq(try_open(text, with_config), 0);
	hear();
}

static void hear_after(minirpc_time span)
{
	hand.now += span;
	hear();
}

/* So much later the name is looked up; answers have come when this returns. */
static void looks_up_after(minirpc_time span)
{
	unsigned asked = server.asked_a;

	hand_advance(&hand, span - 1);
	ck_assert_uint_eq(server.asked_a, asked);
	hand.now++;
	hear();
	ck_assert_uint_eq(server.asked_a, asked + 1);
}

static void set_up(void)
{
	hand_init(&hand, on_log);
	dns_server_init(&server, hand.loop);
	server.a[0] = "127.0.0.1"; /* with a route, so that c-ares sorts alike everywhere */
	descriptors = open_descriptors();
	told = (struct told){ 0 };
	logged[0] = '\0';
}

static void tear_down(void)
{
	mrpc_resolving_clear(&resolving);
	mrpc_target_clear(&target);
	ck_assert_int_eq(open_descriptors(), descriptors);
	dns_server_clear(&server);
	hand_clear(&hand);
	ck_assert_uint_eq(alloc_live(), 0);
}

/* ---- Addresses and their TTL ---- */

START_TEST(every_record_of_both_families_is_an_endpoint_by_turns)
{
	server.a[1] = "127.0.0.2";
	server.aaaa[0] = "::1";
	server.aaaa[1] = "2001:db8::2";
	open_name("cache.test:5051", false);
	ck_assert_uint_eq(told.results, 1);
	ck_assert_uint_eq(told.endpoints, 4);
	for (int i = 0; i < 3; i++) { /* ipv4, ipv6, ipv4 ... or the other way round */
		char *word = told.addresses;

		for (int j = 0; j < i; j++)
			word = strchr(word, ' ') + 1;
		ck_assert_int_ne(word[3], strchr(word, ' ')[4]);
	}
	ck_assert_ptr_nonnull(strstr(told.addresses, "ipv4:127.0.0.2:5051 "));
	ck_assert_ptr_nonnull(strstr(told.addresses, "ipv6:[2001:db8::2]:5051 "));
	ck_assert_uint_eq(server.asked_txt, 0);
}
END_TEST

START_TEST(L_2_a_list_is_looked_up_anew_when_its_ttl_is_over)
{
	server.ttl = 45;
	open_name("cache.test:80", false);
	server.a[0] = "127.0.0.9"; /* moved */
	server.ttl = 300;
	looks_up_after(MINIRPC_S(45));
	ck_assert_str_eq(told.addresses, "ipv4:127.0.0.9:80 ");
	ck_assert_uint_eq(told.results, 2);
	server.a[1] = "127.0.0.10"; /* scaled up */
	looks_up_after(MINIRPC_S(300));
	ck_assert_uint_eq(told.endpoints, 2);
	mrpc_resolving_stop(&resolving); /* idle channels do not ask */
	hand_advance(&hand, MINIRPC_S(3600));
	ck_assert_uint_eq(told.results, 3);
}
END_TEST

START_TEST(L_2_a_short_ttl_does_not_go_below_the_minimum_interval)
{
	server.ttl = 0;
	open_name("cache.test:80", false);
	looks_up_after(INTERVAL);
	server.ttl = 1;
	looks_up_after(INTERVAL);
	looks_up_after(INTERVAL);
}
END_TEST

START_TEST(the_least_ttl_counts_and_an_aliass_too)
{
	server.ttl = 500;
	server.alias = "pod.test";
	server.alias_ttl = 77;
	open_name("cache.test:80", false);
	server.alias_ttl = 0x80000005; /* RFC 2181, 8: is 0 */
	looks_up_after(MINIRPC_S(77));
	looks_up_after(INTERVAL);
}
END_TEST

START_TEST(a_look_up_on_request_starts_the_ttl_anew)
{
	server.ttl = 100;
	open_name("cache.test:80", false);
	hand_advance(&hand, MINIRPC_S(50));
	mrpc_resolving_again(&resolving);
	mrpc_resolving_again(&resolving);
	hear();
	ck_assert_uint_eq(server.asked_a, 2);
	looks_up_after(MINIRPC_S(100));
}
END_TEST

START_TEST(a_failed_refresh_keeps_the_list_and_is_tried_again)
{
	server.ttl = 60;
	open_name("cache.test:80", false);
	server.rcode = 3;
	hear_after(MINIRPC_S(60));
	ck_assert_uint_eq(told.results, 1); /* nothing took it away */
	ck_assert_uint_eq(told.failures, 1);
	ck_assert_str_eq(told.reason,
			 "name resolution of cache.test failed: cache.test: no such host");
	hear_after(MINIRPC_MS(1200));
	ck_assert_uint_eq(told.failures, 2);
	server.rcode = 0;
	hear_after(MINIRPC_MS(1920));
	ck_assert_uint_eq(told.results, 2);
	looks_up_after(MINIRPC_S(60));
}
END_TEST

START_TEST(bad_answers_are_failures)
{
	static const struct {
		unsigned rcode;
		bool garbage, cut;
	} rows[] = {
		{ 2, false, false }, { 5, false, false }, { 0, true, false }, { 0, false, true }
	};

	server.rcode = rows[_i].rcode;
	server.garbage = rows[_i].garbage;
	server.cut = rows[_i].cut;
	ck_assert_int_eq(try_open("cache.test:80", false), 0);
	hand_settle(&hand);
	hand_advance(&hand, MINIRPC_S(20)); /* c-ares asks others, or waits, by its own clock */
	if (!told.any)
		hear();
	ck_assert_uint_eq(told.results, 0);
	ck_assert_uint_ge(told.failures, 1);
	ck_assert_int_eq(strncmp(told.reason, "name resolution of cache.test failed: ", 38), 0);
}
END_TEST

START_TEST(silence_is_given_up_after_20_seconds)
{
	server.silent = true;
	ck_assert_int_eq(try_open("cache.test:80", true), 0);
	hand_settle(&hand);
	hand_advance(&hand, MINIRPC_S(20) - 1);
	ck_assert(!told.any);
	hand_advance(&hand, 1);
	ck_assert_uint_eq(told.failures, 1);
	ck_assert_str_eq(told.reason, "name resolution of cache.test failed: no answer in time");
	server.silent = false;
	hear_after(MINIRPC_MS(1200));
	ck_assert_uint_eq(told.results, 1);
}
END_TEST

START_TEST(L_1_the_server_of_the_target_goes_before_the_channels)
{
	char text[100];

	snprintf(text, sizeof text, "dns://%s/cache.test:80", server.address);
	ck_assert_int_eq(mrpc_target_parse(&target, text), 0);
	ck_assert_str_eq(target.server, server.address);
	ck_assert_str_eq(target.authority, "cache.test:80");
	mrpc_target_clear(&target);
	snprintf(server.address, sizeof server.address, "127.0.0.1:1"); /* of the channel */
	open_name(text, false);
	ck_assert_uint_eq(told.results, 1);
	ck_assert_uint_eq(server.asked_a, 1);
}
END_TEST

START_TEST(what_needs_no_packet_sends_none)
{
	static const char *const texts[] = { "127.0.0.1:5", "[::1]:5", "localhost:5",
					     "x.localhost" };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		told.results = 0;
		open_name(texts[i], true);
		ck_assert_uint_eq(told.results, 1);
		hand_advance(&hand, MINIRPC_S(86400)); /* has no TTL */
		ck_assert_uint_eq(told.results, 1);
		mrpc_resolving_clear(&resolving);
		mrpc_target_clear(&target);
	}
	ck_assert_uint_eq(server.asked_a + server.asked_aaaa + server.asked_txt, 0);
}
END_TEST

/* ---- TXT ---- */

START_TEST(L_7_the_txt_record_brings_a_service_config)
{
	server.txt[0] = "v=spf1 -all";
	server.txt[1] = CHOICES(CONFIG_A);
	server.txt[2] = CHOICES(CONFIG_B); /* only one of them counts */
	open_name("cache.test:80", true);
	ck_assert_uint_eq(told.results, 1);
	ck_assert_str_eq(server.txt_name, "_grpc_config.cache.test");
	ck_assert_uint_eq(told.endpoints, 1);
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
}
END_TEST

START_TEST(L_7_a_long_record_is_joined_from_its_strings)
{
	char text[700];

	snprintf(text, sizeof text, "grpc_config=[%250s{\"serviceConfig\":" CONFIG_A "}]", "");
	server.txt[0] = text;
	open_name("cache.test:80", true);
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
}
END_TEST

START_TEST(L_7_choices_for_others_are_none)
{
	server.txt[0] = "grpc_config=[{\"percentage\":7,\"serviceConfig\":{}},"
			"{\"clientLanguage\":[\"cobol\"],\"serviceConfig\":" CONFIG_A "},"
			"{\"percentage\":8,\"serviceConfig\":" CONFIG_B "}]"; /* the draw is 7 */
	open_name("cache.test:80", true);
	ck_assert_ptr_nonnull(strstr(told.config, "\"2s\""));
}
END_TEST

START_TEST(L_7_no_record_is_no_error)
{
	open_name("cache.test:80", true); /* an empty answer */
	ck_assert_str_eq(told.config, "-");
	server.txt_rcode = 3; /* NXDOMAIN */
	looks_up_after(MINIRPC_S(60));
	ck_assert_str_eq(told.config, "-");
	server.txt_rcode = 0;
	server.txt[0] = "something=else";
	looks_up_after(MINIRPC_S(60));
	ck_assert_str_eq(told.config, "-");
	ck_assert_uint_eq(server.asked_txt, 3);
	ck_assert_uint_eq(told.failures, 0);
}
END_TEST

START_TEST(L_7_it_is_not_asked_for_unless_allowed)
{
	server.txt[0] = CHOICES(CONFIG_A);
	open_name("cache.test:80", false);
	ck_assert_str_eq(told.config, "-");
	ck_assert_uint_eq(server.asked_txt, 0);
}
END_TEST

START_TEST(L_7_a_server_that_does_not_answer_txt_costs_250_ms)
{
	server.txt_silent = true;
	ck_assert_int_eq(try_open("cache.test:80", true), 0);
	while (server.asked_aaaa == 0 || server.asked_a == 0 || server.asked_txt == 0)
		hand_turn(&hand);
	hand_settle(&hand);
	ck_assert_uint_eq(told.results, 0);
	hand_advance(&hand, MINIRPC_MS(250) - 1);
	ck_assert_uint_eq(told.results, 0);
	hand_advance(&hand, 1);
	ck_assert_uint_eq(told.results, 1);
	ck_assert_str_eq(told.config, "-");
	server.txt_silent = false;
	server.txt[0] = CHOICES(CONFIG_A);
	looks_up_after(MINIRPC_S(60) - MINIRPC_MS(250));
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
}
END_TEST

START_TEST(L_7_a_failed_txt_look_up_keeps_the_config)
{
	server.txt[0] = CHOICES(CONFIG_A);
	open_name("cache.test:80", true);
	server.txt_rcode = 2;
	hand_advance(&hand, MINIRPC_S(60));
	while (server.asked_a < 2)
		hand_turn(&hand);
	hand_settle(&hand);
	hand_advance(&hand, MINIRPC_MS(250));
	ck_assert_uint_eq(told.results, 2);
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
}
END_TEST

START_TEST(L_8_a_mistake_in_it_leaves_the_config_before_in_force)
{
	server.txt[0] = CHOICES(CONFIG_A);
	open_name("cache.test:80", true);
	server.txt[0] = CHOICES("{\"methodConfig\":[{\"name\":[{}],\"timeout\":\"soon\"}]}");
	server.a[0] = "127.0.0.9"; /* this is news all the same */
	looks_up_after(MINIRPC_S(60));
	ck_assert_str_eq(told.addresses, "ipv4:127.0.0.9:80 ");
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
	ck_assert_ptr_nonnull(
		strstr(logged, "the service config of cache.test (DNS TXT) is refused: "));
	server.txt[0] = "grpc_config=[{";
	looks_up_after(MINIRPC_S(60));
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
	server.txt[0] = NULL; /* taken away: that is an answer */
	looks_up_after(MINIRPC_S(60));
	ck_assert_str_eq(told.config, "-");
}
END_TEST

START_TEST(L_8_a_mistake_in_the_first_one_is_a_failure)
{
	server.txt[0] = "grpc_config={}";
	open_name("cache.test:80", true);
	ck_assert_uint_eq(told.results, 0);
	ck_assert_str_eq(
		told.reason,
		"name resolution of cache.test failed: its service config (DNS TXT) has a mistake");
	server.txt[0] = CHOICES(CONFIG_A);
	hear_after(MINIRPC_MS(1200));
	ck_assert_ptr_nonnull(strstr(told.config, "\"1s\""));
}
END_TEST

START_TEST(one_that_is_stopped_at_any_moment_leaves_nothing)
{
	server.txt[0] = CHOICES(CONFIG_A);
	for (int turns = 0; turns < 12; turns++) {
		told.results = 0;
		ck_assert_int_eq(try_open("cache.test:80", true), 0);
		for (int i = 0; i < turns; i++)
			hand_turn(&hand);
		mrpc_resolving_stop(&resolving);
		hand_settle(&hand);
		told.results = 0;
		hand_advance(&hand, MINIRPC_S(3600));
		ck_assert_uint_eq(told.results + told.failures, 0);
		mrpc_resolving_clear(&resolving);
		mrpc_target_clear(&target);
	}
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	bool fine = false;

	server.txt[0] = CHOICES(CONFIG_A);
	for (size_t n = 1; !fine; n++) {
		int r;

		told = (struct told){ 0 };
		alloc_fail_at(n, false);
		r = try_open("cache.test:80", true);
		if (r == 0)
			while (told.results + told.failures == 0) {
				hand_settle(&hand);
				hand_advance(&hand, MINIRPC_MS(250));
			}
		else
			ck_assert_int_eq(r, -ENOMEM);
		fine = r == 0 && told.results == 1 && told.config[0] == '{';
		alloc_fail_at(0, false);
		mrpc_resolving_clear(&resolving);
		mrpc_target_clear(&target);
		ck_assert_int_eq(open_descriptors(), descriptors);
	}
}
END_TEST

Suite *suite(void)
{
	Suite *suite;
	TCase *all;

	if (!mrpc_resolve_asks_servers()) {
		puts("skipped: client/resolver_dns: a DNS server of the test's is asked: not without c-ares");
		return NULL;
	}
	suite = suite_create("client/resolver_dns");
	all = tcase_create("all");
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, every_record_of_both_families_is_an_endpoint_by_turns);
	tcase_add_test(all, L_2_a_list_is_looked_up_anew_when_its_ttl_is_over);
	tcase_add_test(all, L_2_a_short_ttl_does_not_go_below_the_minimum_interval);
	tcase_add_test(all, the_least_ttl_counts_and_an_aliass_too);
	tcase_add_test(all, a_look_up_on_request_starts_the_ttl_anew);
	tcase_add_test(all, a_failed_refresh_keeps_the_list_and_is_tried_again);
	tcase_add_loop_test(all, bad_answers_are_failures, 0, 4);
	tcase_add_test(all, silence_is_given_up_after_20_seconds);
	tcase_add_test(all, L_1_the_server_of_the_target_goes_before_the_channels);
	tcase_add_test(all, what_needs_no_packet_sends_none);
	tcase_add_test(all, L_7_the_txt_record_brings_a_service_config);
	tcase_add_test(all, L_7_a_long_record_is_joined_from_its_strings);
	tcase_add_test(all, L_7_choices_for_others_are_none);
	tcase_add_test(all, L_7_no_record_is_no_error);
	tcase_add_test(all, L_7_it_is_not_asked_for_unless_allowed);
	tcase_add_test(all, L_7_a_server_that_does_not_answer_txt_costs_250_ms);
	tcase_add_test(all, L_7_a_failed_txt_look_up_keeps_the_config);
	tcase_add_test(all, L_8_a_mistake_in_it_leaves_the_config_before_in_force);
	tcase_add_test(all, L_8_a_mistake_in_the_first_one_is_a_failure);
	tcase_add_test(all, one_that_is_stopped_at_any_moment_leaves_nothing);
	tcase_add_test(all, every_allocation_may_fail);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* Attempts of one call and several servers [R-8, A6]. */
#include "client/flaky.h"
#include "client/fleet.h"
#include "run_suite.h"

#include "client/channel.h"

#include <minirpc/minirpc.h>
#include <stdio.h>
#include <string.h>

static struct fleet fleet;

static void open_with(const char *list, const char *policy,
		      const struct minirpc_hedging_policy *hedging,
		      const struct minirpc_retry_policy *retry)
{
	fleet_open(&fleet, list,
		   &(struct minirpc_channel_options){
			   .load_balancing = policy,
			   .service_config =
				   &(struct minirpc_service_config){
					   .methods =
						   &(struct minirpc_method_config){
							   .service = "t.F",
							   .hedging = hedging,
							   .retry = retry,
						   },
					   .method_count = 1,
				   },
		   });
	mrpc_channel_seed(fleet.channel, 1);
	for (const char *number = list; *number != '\0'; number++)
		flaky_serve(fleet.servers[*number - '0'].server);
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
}

static void teardown(void)
{
	fleet_close(&fleet);
}

static const struct flaky_step all_hang[] = {
	{ .hangs = true }, { .hangs = true }, { .hangs = true },
	{ .hangs = true }, { .hangs = true }, { .hangs = true },
};

/* How many calls each server has open. */
static const char *open_calls(const char *list)
{
	static char text[16];
	size_t n = 0;

	for (; *list != '\0'; list++)
		text[n++] =
			(char)('0' + minirpc_server_open_calls(fleet.servers[*list - '0'].server));
	text[n] = '\0';
	return text;
}

static void hedged(const char *policy)
{
	const struct minirpc_hedging_policy three = { .max_attempts = 3 };

	for (int round = 0; round < 10; round++) {
		struct probe probe = { 0 };

		open_with("123", policy, &three, NULL);
		flaky_begin(all_hang);
		probe_call(&probe, fleet.channel, &flaky_unary, NULL);
		fleet_settle(&fleet);
		ck_assert_uint_eq(flaky.count, 3);
		ck_assert_str_eq(open_calls("123"), "111");
		flaky_finish(1, &(const struct flaky_step){ .code = MINIRPC_OK });
		fleet_settle(&fleet);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_str_eq(open_calls("123"), "000");
		if (round < 9)
			fleet_close(&fleet);
	}
}

START_TEST(R_8_hedges_go_to_distinct_servers_by_round_robin)
{
	hedged("round_robin");
}
END_TEST

/* Whatever else goes on: between the two another call takes its turn. */
START_TEST(R_8_a_hedge_is_not_sent_where_an_attempt_went_before)
{
	const struct minirpc_hedging_policy two = {
		.max_attempts = 2,
		.delay = MINIRPC_MS(100),
		.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
	};

	for (int ended = 0; ended < 2; ended++) {
		struct probe probe = { 0 };

		open_with("12", "round_robin", &two, NULL);
		flaky_begin(all_hang);
		probe_call(&probe, fleet.channel, &flaky_unary, NULL);
		fleet_settle(&fleet);
		ck_assert_uint_ne(fleet_call(&fleet), 0);
		if (ended == 0)
			fleet_advance(&fleet, MINIRPC_MS(100));
		else /* also when it is over already */
			flaky_finish(0, &(const struct flaky_step){ .code = MINIRPC_UNAVAILABLE });
		fleet_settle(&fleet);
		ck_assert_uint_eq(flaky.count, 2);
		if (ended == 0)
			ck_assert_str_eq(open_calls("12"), "11");
		else
			ck_assert_ptr_ne(flaky.attempts[0].server, flaky.attempts[1].server);
		if (ended == 0)
			fleet_close(&fleet);
	}
}
END_TEST

START_TEST(with_more_hedges_than_servers_they_share)
{
	const struct minirpc_hedging_policy five = { .max_attempts = 5 };
	struct probe probe = { 0 };

	open_with("12", "round_robin", &five, NULL);
	flaky_begin(all_hang);
	probe_call(&probe, fleet.channel, &flaky_unary, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(flaky.count, 5);
	fleet_kill(&fleet, 1);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 1); /* UNAVAILABLE is fatal here */
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(a_retry_goes_to_another_server_by_round_robin)
{
	const struct minirpc_retry_policy retry = {
		.max_attempts = 3,
		.initial_backoff = MINIRPC_MS(100),
		.max_backoff = MINIRPC_S(1),
		.backoff_multiplier = 2,
		.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
	};
	struct minirpc_attempt attempt;
	char peers[2][32];
	struct probe probe = { 0 };

	open_with("123", "round_robin", NULL, &retry);
	flaky_begin((const struct flaky_step[]){ { .code = MINIRPC_UNAVAILABLE },
						 { .code = MINIRPC_UNAVAILABLE },
						 { .hangs = true } });
	probe_call(&probe, fleet.channel, &flaky_unary, NULL);
	fleet_settle(&fleet);
	fleet_advance(&fleet, MINIRPC_MS(121));
	fleet_advance(&fleet, MINIRPC_MS(241));
	ck_assert_uint_eq(flaky.count, 3);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(minirpc_call_attempt(probe.call, i, &attempt));
		snprintf(peers[i], sizeof peers[i], "%s", attempt.peer);
	}
	ck_assert_str_ne(peers[0], peers[1]);
	ck_assert_str_ne(peers[1], minirpc_call_peer(probe.call));
	ck_assert_str_ne(peers[0], minirpc_call_peer(probe.call));
}
END_TEST

/* The server that dies under its attempts costs the call nothing. */
START_TEST(a_killed_server_is_hedged_around)
{
	const struct minirpc_hedging_policy two = {
		.max_attempts = 2,
		.delay = MINIRPC_S(1),
		.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
	};
	struct probe probe = { 0 };
	unsigned number;

	open_with("12", "round_robin", &two, NULL);
	flaky_begin(all_hang);
	probe_call(&probe, fleet.channel, &flaky_unary, NULL);
	fleet_settle(&fleet);
	number = open_calls("12")[0] == '1' ? 1 : 2;
	fleet_kill(&fleet, number);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(flaky.count, 2);
	flaky_finish(1, &(const struct flaky_step){ .code = MINIRPC_OK });
	fleet_settle(&fleet);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/hedge_spread");
	TCase *t = tcase_create("spread");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, R_8_hedges_go_to_distinct_servers_by_round_robin);
	tcase_add_test(t, R_8_a_hedge_is_not_sent_where_an_attempt_went_before);
	tcase_add_test(t, with_more_hedges_than_servers_they_share);
	tcase_add_test(t, a_retry_goes_to_another_server_by_round_robin);
	tcase_add_test(t, a_killed_server_is_hedged_around);
	suite_add_tcase(s, t);
	return s;
}

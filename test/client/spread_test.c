/* SPDX-License-Identifier: MIT */
/* round_robin and least_request over several servers [L-5, L-6, A48]. */
#include "client/fleet.h"
#include "run_suite.h"

#include "client/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct fleet fleet;

static void open_with(const char *list, const char *policy)
{
	fleet_open(&fleet, list, &(struct minirpc_channel_options){ .load_balancing = policy });
}

static void teardown(void)
{
	fleet_close(&fleet);
}

/* Who answers `count` calls, one after the other: "123123". */
static const char *answers(unsigned count)
{
	static char text[128];

	for (unsigned i = 0; i < count; i++)
		text[i] = (char)('0' + fleet_call(&fleet));
	text[count] = '\0';
	return text;
}

static unsigned count_of(const char *text, char c)
{
	unsigned count = 0;

	for (; *text != '\0'; text++)
		count += *text == c;
	return count;
}

static bool is_rotation(const char *text, const char *pattern)
{
	char twice[64];

	snprintf(twice, sizeof twice, "%s%s%s", pattern, pattern, pattern);
	return strstr(twice, text) != NULL;
}

static void connect_all(void)
{
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
}

START_TEST(round_robin_connects_to_all_and_takes_turns)
{
	open_with("123", "round_robin");
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(fleet.dials, 3);
	ck_assert(is_rotation(answers(6), "123"));
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(round_robin_begins_with_a_server_by_chance)
{
	unsigned first[10] = { 0 };

	for (unsigned i = 0; i < 60; i++) {
		open_with("123", "round_robin");
		mrpc_channel_seed(fleet.channel, i);
		connect_all();
		first[fleet_call(&fleet)]++;
		if (i < 59)
			fleet_close(&fleet);
	}
	ck_assert_uint_eq(first[0], 0);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_uint_ge(first[i], 8);
}
END_TEST

START_TEST(round_robin_leaves_out_those_that_are_down_and_takes_them_back)
{
	open_with("123", "round_robin");
	fleet.servers[2].mode = FLEET_DOWN;
	connect_all();
	ck_assert(is_rotation(answers(6), "13"));
	fleet_revive(&fleet, 2);
	fleet_advance(&fleet, MINIRPC_MS(1201)); /* its backoff [B-1] */
	ck_assert(is_rotation(answers(6), "123"));
	fleet_kill(&fleet, 1);
	ck_assert(is_rotation(answers(6), "23"));
}
END_TEST

/* [L-5]: any READY > any CONNECTING > any IDLE > TRANSIENT_FAILURE. */
START_TEST(the_state_of_all_is_the_best_of_them)
{
	open_with("123", "round_robin");
	fleet.servers[1].mode = FLEET_DOWN;
	fleet.servers[2].mode = fleet.servers[3].mode = FLEET_SILENT;
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	fleet_kill(&fleet, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	fleet_kill(&fleet, 3);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	/* Also while all are tried again [A62]. */
	fleet.servers[1].mode = FLEET_SILENT;
	fleet.servers[2].mode = fleet.servers[3].mode = FLEET_SILENT;
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_uint_ge(fleet.servers[1].dials, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	fleet_kill(&fleet, 2);
	fleet_revive(&fleet, 2);
	fleet_advance(&fleet, MINIRPC_S(4));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_str_eq(answers(3), "222");
}
END_TEST

START_TEST(when_all_are_down_calls_hear_of_the_last_failure)
{
	struct probe probe = { 0 };

	open_with("12", "round_robin");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe.text,
			 "connection to ipv4:10.0.0.2:1 failed: Connection refused (attempt 1)");
}
END_TEST

START_TEST(an_endpoint_of_several_addresses_is_one_server)
{
	open_with("12,3", "round_robin");
	connect_all();
	ck_assert_uint_eq(fleet.dials, 2);
	ck_assert(is_rotation(answers(4), "13"));
}
END_TEST

START_TEST(a_new_list_keeps_the_connections_that_are_in_both)
{
	struct probe open = { 0 };

	open_with("123", "round_robin");
	connect_all();
	while (strcmp(open.peer, "server:1") != 0) {
		minirpc_call_cancel(open.call);
		memset(&open, 0, sizeof open);
		probe_call(&open, fleet.channel, &chat, NULL);
		ck_assert_int_eq(minirpc_call_send(open.call, "x", 1), 0);
		fleet_settle(&fleet);
	}
	ck_assert_int_eq(fleet_push(&fleet, "234", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(fleet.order, "1234");
	ck_assert(is_rotation(answers(6), "234"));
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1); /* until the call has ended */
	ck_assert_int_eq(minirpc_call_end(open.call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(open.code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

START_TEST(an_empty_list_fails_calls_and_the_next_one_heals)
{
	open_with("12", "round_robin");
	connect_all();
	ck_assert_int_eq(fleet_push(&fleet, "", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	ck_assert_int_eq(fleet_push(&fleet, "3", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_call(&fleet), 3);
}
END_TEST

/* [G-1]: while all three restart one after the other, calls go on. */
START_TEST(a_rolling_restart_costs_no_call)
{
	struct probe calls[300] = { 0 };
	unsigned made = 0;

	open_with("123", "round_robin");
	connect_all();
	for (unsigned server = 1; server <= 3; server++) {
		for (int i = 0; i < 50; i++)
			probe_call(&calls[made++], fleet.channel, &echo, NULL);
		fleet_drain(&fleet, server);
		for (int i = 0; i < 50; i++)
			probe_call(&calls[made++], fleet.channel, &echo, NULL);
		fleet_settle(&fleet);
		minirpc_server_free(fleet.servers[server].server);
		ck_assert_int_eq(
			minirpc_server_new(&fleet.servers[server].server, fleet.loop, NULL), 0);
		pair_serve(fleet.servers[server].server);
		fleet_revive(&fleet, server);
		fleet_advance(&fleet, MINIRPC_S(3));
	}
	for (unsigned i = 0; i < made; i++) {
		ck_assert_uint_eq(calls[i].ends, 1);
		ck_assert_int_eq(calls[i].code, MINIRPC_OK);
	}
	ck_assert(is_rotation(answers(6), "123"));
}
END_TEST

/* ---- least_request ---- */

START_TEST(least_request_prefers_the_server_with_fewer_calls_open)
{
	struct probe open[40] = { 0 };
	const char *who;

	open_with("12", "least_request");
	connect_all();
	/* Long calls, all on one of the two as far as chance has it; the balance stays within one. */
	for (int i = 0; i < 40; i++) {
		probe_call(&open[i], fleet.channel, &chat, NULL);
		ck_assert_int_eq(minirpc_call_send(open[i].call, "x", 1), 0);
		fleet_settle(&fleet);
	}
	for (int i = 0, one = 0; i < 40; i++) {
		one += strcmp(open[i].peer, "server:1") == 0;
		if (i == 39)
			ck_assert(one >= 14 && one <= 26);
	}
	/* Those on server 1 end: it is the less busy one in every comparison with the other. */
	for (int i = 0; i < 40; i++)
		if (strcmp(open[i].peer, "server:1") == 0)
			minirpc_call_cancel(open[i].call);
	fleet_settle(&fleet);
	who = answers(100);
	/* Both choices fall on server 2 once in four. */
	ck_assert_uint_ge(count_of(who, '1'), 60);
	ck_assert_uint_ge(count_of(who, '2'), 10);
}
END_TEST

START_TEST(a_larger_choice_compares_more)
{
	struct probe open[2] = { 0 };
	const char *who;

	fleet_open(&fleet, "12",
		   &(struct minirpc_channel_options){
			   .service_config_json = "{\"loadBalancingConfig\":[{\"least_request\":"
						  "{\"choiceCount\":99}}]}" });
	connect_all();
	for (int i = 0; i < 2; i++)
		probe_call(&open[i], fleet.channel, &hang, NULL);
	fleet_settle(&fleet);
	/* With ten looks [A48] both calls do not end up on one server, but for one in a thousand. */
	who = answers(20);
	ck_assert_uint_ge(count_of(who, '1'), 1);
	ck_assert_uint_ge(count_of(who, '2'), 1);
	minirpc_call_cancel(open[0].call);
	fleet_settle(&fleet);
	who = answers(50);
	ck_assert(count_of(who, '1') == 50 || count_of(who, '2') == 50);
	minirpc_call_cancel(open[1].call);
}
END_TEST

static int try_config(const char *json)
{
	char error[128] = "";
	int r;

	open_with("1", NULL);
	r = minirpc_channel_set_service_config(fleet.channel, json, error, sizeof error);
	if (r == -EINVAL)
		ck_assert_str_eq(error, "loadBalancingConfig.least_request: choiceCount must be a "
					"whole number of at least 2");
	fleet_close(&fleet);
	return r;
}

START_TEST(a_choice_is_at_least_two)
{
	ck_assert_int_eq(try_config("{\"loadBalancingConfig\":[{\"least_request\":{}}]}"), 0);
	ck_assert_int_eq(
		try_config("{\"loadBalancingConfig\":[{\"least_request\":{\"choiceCount\":2}}]}"),
		0);
	ck_assert_int_eq(
		try_config("{\"loadBalancingConfig\":[{\"least_request\":{\"choiceCount\":1}}]}"),
		-EINVAL);
	ck_assert_int_eq(
		try_config(
			"{\"loadBalancingConfig\":[{\"least_request\":{\"choiceCount\":\"x\"}}]}"),
		-EINVAL);
	open_with("1", NULL);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/spread");
	TCase *t = tcase_create("spread");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, round_robin_connects_to_all_and_takes_turns);
	tcase_add_test(t, round_robin_begins_with_a_server_by_chance);
	tcase_add_test(t, round_robin_leaves_out_those_that_are_down_and_takes_them_back);
	tcase_add_test(t, the_state_of_all_is_the_best_of_them);
	tcase_add_test(t, when_all_are_down_calls_hear_of_the_last_failure);
	tcase_add_test(t, an_endpoint_of_several_addresses_is_one_server);
	tcase_add_test(t, a_new_list_keeps_the_connections_that_are_in_both);
	tcase_add_test(t, an_empty_list_fails_calls_and_the_next_one_heals);
	tcase_add_test(t, a_rolling_restart_costs_no_call);
	tcase_add_test(t, least_request_prefers_the_server_with_fewer_calls_open);
	tcase_add_test(t, a_larger_choice_compares_more);
	tcase_add_test(t, a_choice_is_at_least_two);
	suite_add_tcase(s, t);
	return s;
}

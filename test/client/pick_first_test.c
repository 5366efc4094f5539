/* SPDX-License-Identifier: MIT */
/* pick_first over several servers: happy eyeballs, lists that change, failures [L-5, A61, A62, B-3, B-4]. */
#include "client/fleet.h"
#include "run_suite.h"

#include "client/channel.h"

#include <string.h>

static struct fleet fleet;

static void open_fleet(const char *list)
{
	fleet_open(&fleet, list, NULL);
}

static void teardown(void)
{
	fleet_close(&fleet);
}

START_TEST(all_calls_go_to_the_first_server_that_answers)
{
	open_fleet("123");
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(fleet.dials, 1);
}
END_TEST

START_TEST(a_refused_address_hands_over_at_once)
{
	open_fleet("123");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 3);
	ck_assert_str_eq(fleet.order, "123");
	ck_assert_int_eq(fleet.now, 0);
}
END_TEST

/* [B-4] */
START_TEST(the_next_address_is_tried_250_ms_after_a_silent_one)
{
	struct probe probe = { 0 };

	open_fleet("123");
	fleet.servers[1].mode = FLEET_SILENT;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_advance(&fleet, MINIRPC_MS(250) - 1);
	ck_assert_str_eq(fleet.order, "1");
	ck_assert_uint_eq(probe.ends, 0);
	fleet_advance(&fleet, 1);
	ck_assert_str_eq(fleet.order, "12");
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	/* The silent one is given back, and the third never has its turn. */
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
	fleet_advance(&fleet, MINIRPC_S(100));
	ck_assert_str_eq(fleet.order, "12");
}
END_TEST

/* [B-4], RFC 8305, 4: whatever the list's first family is, the other has every second turn. */
START_TEST(families_take_turns)
{
	open_fleet("12EF3G4");
	for (unsigned i = 1; i <= FLEET_MAX; i++)
		fleet.servers[i].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	ck_assert_str_eq(fleet.order, "1E2F3G4");
	fleet_close(&fleet);
	open_fleet("EFG12");
	for (unsigned i = 1; i <= FLEET_MAX; i++)
		fleet.servers[i].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	ck_assert_str_eq(fleet.order, "E1F2G");
}
END_TEST

START_TEST(a_failure_of_an_earlier_address_does_not_hurry_the_next)
{
	open_fleet("1234");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_SILENT;
	minirpc_channel_connect(fleet.channel);
	fleet_advance(&fleet, MINIRPC_MS(300));
	ck_assert_str_eq(fleet.order, "12");
	fleet_kill(&fleet, 1);
	ck_assert_str_eq(fleet.order, "12");
	fleet_advance(&fleet, MINIRPC_MS(199));
	ck_assert_str_eq(fleet.order, "12");
	fleet_advance(&fleet, MINIRPC_MS(1));
	ck_assert_str_eq(fleet.order, "123");
}
END_TEST

START_TEST(B_4_every_new_list_begins_a_new_pass)
{
	open_fleet("12");
	for (unsigned i = 1; i <= 4; i++)
		fleet.servers[i].mode = FLEET_SILENT;
	minirpc_channel_connect(fleet.channel);
	fleet_advance(&fleet, MINIRPC_MS(260));
	ck_assert_str_eq(fleet.order, "12");
	ck_assert_int_eq(fleet_push(&fleet, "34", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(fleet.order, "123");
	fleet_advance(&fleet, MINIRPC_MS(249));
	ck_assert_str_eq(fleet.order, "123");
	fleet_advance(&fleet, MINIRPC_MS(1));
	ck_assert_str_eq(fleet.order, "1234");
}
END_TEST

START_TEST(when_all_have_failed_calls_fail_and_hear_of_each_address)
{
	struct probe fails = { 0 }, waits = { 0 }, later = { 0 };

	open_fleet("12");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	probe_call(&waits, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	probe_call(&fails, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(fails.text,
			 "connection to ipv4:10.0.0.1:1 failed: Connection refused (attempt 1); "
			 "connection to ipv4:10.0.0.2:1 failed: Connection refused (attempt 1)");
	ck_assert_uint_eq(waits.ends, 0); /* [B-3] */

	/* Sticky: fails at once also while the next attempts are under way [A62], and hears of them. */
	fleet.servers[1].mode = FLEET_SILENT;
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	probe_call(&later, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(later.code, MINIRPC_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(later.text, "ipv4:10.0.0.2:1 failed: Connection refused "
						 "(attempt 2)"));

	fleet.servers[2].mode = FLEET_UP;
	fleet_advance(&fleet, MINIRPC_S(4));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(waits.ends, 1);
	ck_assert_int_eq(waits.code, MINIRPC_OK);
	ck_assert_str_eq(waits.peer, "server:2");
}
END_TEST

/* [B-1] Each address has its own backoff, from start to start. */
START_TEST(each_address_is_tried_again_after_its_own_backoff)
{
	const struct fleet_server *one = &fleet.servers[1], *two = &fleet.servers[2];
	minirpc_time first = 0, second = 0;

	open_fleet("12");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	minirpc_channel_connect(fleet.channel);
	fleet_advance(&fleet, MINIRPC_S(20));
	ck_assert_uint_ge(one->dials, 4);
	ck_assert_uint_ge(two->dials, 4);
	for (unsigned i = 1; i < one->dials && i < two->dials; i++) {
		double expected = i == 1 ? 1e9 : i == 2 ? 1.6e9 : 2.56e9;

		first = one->dialed[i] - one->dialed[i - 1];
		second = two->dialed[i] - two->dialed[i - 1];
		if (i <= 3) {
			ck_assert_double_ge((double)first, 0.8 * expected - 10);
			ck_assert_double_le((double)first, 1.2 * expected + 10);
			ck_assert_double_ge((double)second, 0.8 * expected - 10);
			ck_assert_double_le((double)second, 1.2 * expected + 10);
			ck_assert_int_ne(first, second);
		}
	}
}
END_TEST

START_TEST(failures_and_losses_ask_for_a_fresh_list)
{
	open_fleet("12");
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_advance(&fleet, MINIRPC_S(40)); /* beyond the minimum interval */
	ck_assert_uint_eq(fleet.agains, 0);
	fleet_kill(&fleet, 1);
	ck_assert_uint_eq(fleet.agains, 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE); /* [B-2] */
	fleet.servers[2].mode = FLEET_DOWN;
	fleet_advance(&fleet, MINIRPC_S(40));
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	ck_assert_uint_eq(fleet.agains, 2);
}
END_TEST

START_TEST(a_lost_server_is_replaced_by_the_next_call)
{
	open_fleet("123");
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_kill(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(100));
	ck_assert_str_eq(fleet.order, "1"); /* nobody needs a connection */
	ck_assert_uint_eq(fleet_call(&fleet), 2);
	ck_assert_str_eq(fleet.order, "112");
}
END_TEST

START_TEST(a_new_list_with_the_same_address_keeps_the_connection)
{
	struct probe open = { 0 };

	open_fleet("12");
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	probe_call(&open, fleet.channel, &hang, NULL);
	ck_assert_int_eq(fleet_push(&fleet, "321", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_uint_eq(fleet.dials, 1);
	ck_assert_uint_eq(open.ends, 0);
	minirpc_call_cancel(open.call);
}
END_TEST

/* [G-1] for connections that nobody wants any more: as after GOAWAY. */
START_TEST(a_new_list_without_the_address_moves_new_calls_and_lets_old_ones_end)
{
	struct probe open = { 0 };

	open_fleet("12");
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	probe_call(&open, fleet.channel, &chat, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_push(&fleet, "3", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_call(&fleet), 3);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1);
	ck_assert_int_eq(minirpc_call_send(open.call, "still", 5), 0);
	ck_assert_int_eq(minirpc_call_end(open.call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(open.ends, 1);
	ck_assert_int_eq(open.code, MINIRPC_OK);
	ck_assert_str_eq(open.last, "still");
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

START_TEST(an_empty_list_fails_calls_with_the_resolvers_note)
{
	struct probe probe = { 0 };

	open_fleet("");
	fleet.list = NULL;
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_push(&fleet, "", NULL, "scaled to zero"), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe.text, "the name has no servers [scaled to zero]");

	/* Servers again: no attempt has failed, so calls wait for the first one. */
	fleet.servers[2].mode = FLEET_SILENT;
	ck_assert_int_eq(fleet_push(&fleet, "2", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
}
END_TEST

START_TEST(an_idle_channel_does_not_connect_for_a_new_list)
{
	open_fleet("1");
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_kill(&fleet, 1);
	ck_assert_int_eq(fleet_push(&fleet, "23", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	ck_assert_str_eq(fleet.order, "1");
	ck_assert_uint_eq(fleet_call(&fleet), 2);
}
END_TEST

START_TEST(an_address_is_tried_once_however_often_it_is_listed)
{
	open_fleet("1112");
	fleet.servers[1].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 2);
	ck_assert_str_eq(fleet.order, "12");
}
END_TEST

START_TEST(the_addresses_of_all_endpoints_count)
{
	open_fleet("12,3");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 3);
	ck_assert_str_eq(fleet.order, "123");
}
END_TEST

/* [A62] */
START_TEST(a_shuffled_list_has_each_server_first_some_day)
{
	unsigned first[10] = { 0 };

	for (unsigned i = 0; i < 60; i++) {
		fleet_open(&fleet, "123",
			   &(struct minirpc_channel_options){
				   .service_config_json =
					   "{\"loadBalancingConfig\":[{\"pick_first\":"
					   "{\"shuffleAddressList\":true}}]}" });
		mrpc_channel_seed(fleet.channel, i);
		first[fleet_call(&fleet)]++;
		if (i < 59)
			fleet_close(&fleet);
	}
	ck_assert_uint_eq(first[0], 0);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_uint_ge(first[i], 8);
}
END_TEST

/* [G-1] */
START_TEST(goaway_moves_new_calls_elsewhere_without_a_failed_one)
{
	struct probe open = { 0 }, calls[20] = { 0 };

	open_fleet("12");
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	probe_call(&open, fleet.channel, &chat, NULL);
	fleet_settle(&fleet);
	for (int i = 0; i < 10; i++)
		probe_call(&calls[i], fleet.channel, &echo, NULL);
	fleet_drain(&fleet, 1);
	for (int i = 10; i < 20; i++)
		probe_call(&calls[i], fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	for (int i = 0; i < 20; i++) {
		ck_assert_uint_eq(calls[i].ends, 1);
		ck_assert_int_eq(calls[i].code, MINIRPC_OK);
	}
	ck_assert_str_eq(calls[19].peer, "server:2");
	ck_assert_uint_eq(open.ends, 0);
	ck_assert_int_eq(minirpc_call_end(open.call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(open.ends, 1);
	ck_assert_int_eq(open.code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

static void free_channel(struct probe *probe)
{
	(void)probe;
	fleet.channel = minirpc_channel_free(fleet.channel);
}

START_TEST(the_channel_may_be_freed_when_a_call_fails_for_want_of_a_server)
{
	struct probe probe = { .on_end = free_channel };

	open_fleet("12");
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_ptr_null(fleet.channel);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/pick_first");
	TCase *t = tcase_create("pick_first");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, all_calls_go_to_the_first_server_that_answers);
	tcase_add_test(t, a_refused_address_hands_over_at_once);
	tcase_add_test(t, the_next_address_is_tried_250_ms_after_a_silent_one);
	tcase_add_test(t, families_take_turns);
	tcase_add_test(t, a_failure_of_an_earlier_address_does_not_hurry_the_next);
	tcase_add_test(t, B_4_every_new_list_begins_a_new_pass);
	tcase_add_test(t, when_all_have_failed_calls_fail_and_hear_of_each_address);
	tcase_add_test(t, each_address_is_tried_again_after_its_own_backoff);
	tcase_add_test(t, failures_and_losses_ask_for_a_fresh_list);
	tcase_add_test(t, a_lost_server_is_replaced_by_the_next_call);
	tcase_add_test(t, a_new_list_with_the_same_address_keeps_the_connection);
	tcase_add_test(t, a_new_list_without_the_address_moves_new_calls_and_lets_old_ones_end);
	tcase_add_test(t, an_empty_list_fails_calls_with_the_resolvers_note);
	tcase_add_test(t, an_idle_channel_does_not_connect_for_a_new_list);
	tcase_add_test(t, an_address_is_tried_once_however_often_it_is_listed);
	tcase_add_test(t, the_addresses_of_all_endpoints_count);
	tcase_add_test(t, a_shuffled_list_has_each_server_first_some_day);
	tcase_add_test(t, goaway_moves_new_calls_elsewhere_without_a_failed_one);
	tcase_add_test(t, the_channel_may_be_freed_when_a_call_fails_for_want_of_a_server);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* A channel that nobody uses: idle timeout, enter_idle, connect on demand, and the state to watch [B-2]. */
#include "client/fleet.h"
#include "run_suite.h"

#include "client/channel.h"

#include <string.h>

#define MINUTES(n) MINIRPC_S(60 * (n))

static struct fleet fleet;

static void teardown(void)
{
	fleet_close(&fleet);
}

static unsigned connections(void)
{
	unsigned count = 0;

	for (unsigned i = 1; i <= FLEET_MAX; i++)
		count += fleet_connections(&fleet, i);
	return count;
}

START_TEST(nothing_is_resolved_or_connected_before_it_is_needed)
{
	fleet_open(&fleet, "1", NULL);
	fleet_advance(&fleet, MINUTES(60));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	ck_assert_uint_eq(fleet.starts, 0);
	ck_assert_uint_eq(fleet.dials, 0);
	minirpc_channel_connect(fleet.channel);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	minirpc_channel_connect(fleet.channel); /* nothing any more */
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet.dials, 1);
}
END_TEST

START_TEST(after_thirty_minutes_without_a_call_the_channel_is_idle)
{
	fleet_open(&fleet, "12",
		   &(struct minirpc_channel_options){ .load_balancing = "round_robin" });
	ck_assert_uint_ne(fleet_call(&fleet), 0);
	fleet_advance(&fleet, MINUTES(30) - 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(connections(), 2);
	fleet_advance(&fleet, 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	ck_assert_uint_eq(connections(), 0);
	ck_assert_uint_eq(fleet.stops, 1);
	fleet_advance(&fleet, MINUTES(300));
	ck_assert_uint_eq(fleet.dials, 2);

	/* The next call resolves and connects anew. */
	ck_assert_uint_ne(fleet_call(&fleet), 0);
	ck_assert_uint_eq(fleet.starts, 2);
	ck_assert_uint_eq(fleet.dials, 4);
	fleet_advance(&fleet, MINUTES(30));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
}
END_TEST

START_TEST(the_time_counts_from_the_end_of_the_last_call)
{
	struct probe probe = { 0 };

	fleet_open(&fleet, "1",
		   &(struct minirpc_channel_options){ .idle_timeout = MINIRPC_S(100) });
	probe_call(&probe, fleet.channel, &hang, NULL);
	fleet_advance(&fleet, MINIRPC_S(1000) + 7);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	minirpc_call_cancel(probe.call);
	fleet_advance(&fleet, MINIRPC_S(50));
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_advance(&fleet, MINIRPC_S(100) - 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	fleet_advance(&fleet, 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
}
END_TEST

/* Also between two attempts. */
START_TEST(a_call_in_its_backoff_keeps_the_channel_from_being_idle)
{
	struct probe probe = { 0 };

	fleet_open(&fleet, "1",
		   &(struct minirpc_channel_options){
			   .idle_timeout = MINIRPC_S(100),
			   .service_config_json =
				   "{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{"
				   "\"maxAttempts\":2,\"initialBackoff\":\"1000s\","
				   "\"maxBackoff\":\"1000s\",\"backoffMultiplier\":1,"
				   "\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}",
		   });
	fleet.servers[1].mode = FLEET_DOWN;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_advance(&fleet, MINIRPC_S(700));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(600));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(never_is_never)
{
	fleet_open(&fleet, "1", &(struct minirpc_channel_options){ .idle_timeout = MINIRPC_NEVER });
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_advance(&fleet, MINUTES(100000));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

START_TEST(a_channel_that_cannot_connect_becomes_idle_too)
{
	fleet_open(&fleet, "1", NULL);
	fleet.servers[1].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	fleet_advance(&fleet, MINUTES(30) - 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	fleet_advance(&fleet, 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
}
END_TEST

START_TEST(enter_idle_lets_calls_end_on_the_connection_they_have)
{
	struct probe open = { 0 };

	fleet_open(&fleet, "12", NULL);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	probe_call(&open, fleet.channel, &chat, NULL);
	fleet_settle(&fleet);
	minirpc_channel_enter_idle(fleet.channel);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1);
	ck_assert_int_eq(minirpc_call_send(open.call, "still", 5), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(open.last, "still");
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);

	/* A new call connects anew, beside it. */
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_uint_eq(fleet.dials, 2);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
	ck_assert_int_eq(minirpc_call_end(open.call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(open.code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1);
}
END_TEST

START_TEST(enter_idle_with_calls_that_wait_begins_again)
{
	struct probe probe = { 0 };

	fleet_open(&fleet, "1", NULL);
	fleet.servers[1].mode = FLEET_SILENT;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	fleet_revive(&fleet, 1);
	minirpc_channel_enter_idle(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(fleet.starts, 2);
}
END_TEST

START_TEST(enter_idle_of_an_idle_channel_is_nothing)
{
	fleet_open(&fleet, "1", NULL);
	minirpc_channel_enter_idle(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	ck_assert_uint_eq(fleet.stops, 0);
}
END_TEST

/* ---- The state to watch ---- */

struct states {
	char text[256];
};

static void note(minirpc_channel *channel, void *user)
{
	static const char *const names[] = { "idle ", "connecting ", "ready ", "failure ",
					     "shutdown " };
	struct states *states = user;
	enum minirpc_channel_state state = minirpc_channel_state(channel);

	strcat(states->text, names[state]);
	minirpc_channel_watch(channel, state, note, states);
}

START_TEST(the_states_of_a_life)
{
	struct states states = { "" };

	fleet_open(&fleet, "1", NULL);
	minirpc_channel_watch(fleet.channel, MINIRPC_IDLE, note, &states);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_kill(&fleet, 1);
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(4));
	minirpc_channel_enter_idle(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_str_eq(states.text, "connecting ready idle connecting failure ready idle ");
}
END_TEST

/* [B-3] */
START_TEST(what_calls_do_in_each_state)
{
	struct probe idle = { 0 }, fails = { 0 }, waits = { 0 };

	fleet_open(&fleet, "1", NULL);
	fleet.servers[1].mode = FLEET_SILENT;
	probe_call(&idle, fleet.channel, &echo, NULL);
	fleet_advance(&fleet, MINIRPC_S(20) - 1);
	ck_assert_uint_eq(idle.ends, 0); /* IDLE, CONNECTING: it waits */
	fleet_advance(&fleet, 1);
	ck_assert_int_eq(idle.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(idle.text, "connection to server:1 failed: no HTTP/2 SETTINGS in time "
				    "(attempt 1)");
	probe_call(&fails, fleet.channel, &echo, NULL);
	probe_call(&waits, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	fleet_settle(&fleet);
	ck_assert_uint_eq(fails.ends, 1); /* TRANSIENT_FAILURE: at once */
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(waits.ends, 0);
	minirpc_call_cancel(waits.call);
}
END_TEST

/* Calls that wait are looked at when something is new, and not whenever another call comes. */
START_TEST(calls_that_wait_cost_nothing_while_nothing_changes)
{
	enum { MANY = 200 };
	static struct probe waits[MANY];
	struct probe fails;

	memset(waits, 0, sizeof waits);
	fleet_open(&fleet, "1", NULL);
	fleet.servers[1].mode = FLEET_DOWN;
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	for (int i = 0; i < MANY; i++)
		probe_call(&waits[i], fleet.channel, &echo,
			   &(struct minirpc_call_options){ .wait_for_ready = true });
	fleet_settle(&fleet);
	for (int i = 0; i < 10; i++) {
		memset(&fails, 0, sizeof fails);
		probe_call(&fails, fleet.channel, &echo, NULL);
		fleet_settle(&fleet);
		ck_assert_uint_eq(fails.ends, 1);
		ck_assert(fleet.channel->fresh.next == &fleet.channel->fresh);
		ck_assert(fleet.channel->waiting.next == &waits[0].call->owner_node);
	}
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(3));
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(waits[i].code, MINIRPC_OK);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/idle");
	TCase *t = tcase_create("idle");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, nothing_is_resolved_or_connected_before_it_is_needed);
	tcase_add_test(t, after_thirty_minutes_without_a_call_the_channel_is_idle);
	tcase_add_test(t, the_time_counts_from_the_end_of_the_last_call);
	tcase_add_test(t, a_call_in_its_backoff_keeps_the_channel_from_being_idle);
	tcase_add_test(t, never_is_never);
	tcase_add_test(t, a_channel_that_cannot_connect_becomes_idle_too);
	tcase_add_test(t, enter_idle_lets_calls_end_on_the_connection_they_have);
	tcase_add_test(t, enter_idle_with_calls_that_wait_begins_again);
	tcase_add_test(t, enter_idle_of_an_idle_channel_is_nothing);
	tcase_add_test(t, the_states_of_a_life);
	tcase_add_test(t, what_calls_do_in_each_state);
	tcase_add_test(t, calls_that_wait_cost_nothing_while_nothing_changes);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Connections that age, and a server's keepalive by its options; a pipe and a clock turned by hand. */
#include "client/pair.h"
#include "run_suite.h"
#include "server/server.h"

#include <errno.h>
#include <string.h>

#define S MINIRPC_S

static struct pair pair;

static void open_with(const struct minirpc_server_options *options)
{
	pair_open(&pair, options, NULL);
	mrpc_server_seed(pair.server, 7);
	pair_connect(&pair);
	pair_settle(&pair);
}

static void teardown(void)
{
	pair_close(&pair);
}

/* Time passes, and whatever becomes due meanwhile happens when it is due. */
static void pass(minirpc_time span)
{
	minirpc_time until = pair.now + span, next;

	while ((next = mrpc_timers_next(&pair.loop->timers)) <= until)
		pair_advance(&pair, next > pair.now ? next - pair.now : 0);
	pair_advance(&pair, until - pair.now);
}

static struct mrpc_server_connection *connection(void)
{
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 1);
	return mrpc_container(pair.server->connections.next, struct mrpc_server_connection, node);
}

static size_t open_connections(void)
{
	return minirpc_server_open_connections(pair.server);
}

/* A call that stays open; its headers have left. */
static void chat_call(struct probe *probe)
{
	probe_call(probe, pair.channel, &chat, NULL);
	ck_assert_int_eq(minirpc_call_send(probe->call, "one", 3), 0);
	pair_settle(&pair);
}

/* ---- Idle ---- */

START_TEST(G_3_a_connection_that_nobody_uses_ends)
{
	open_with(&(struct minirpc_server_options){ .max_connection_idle = S(60) });
	pass(S(60) - 1);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);
	pass(1);
	ck_assert_uint_eq(open_connections(), 0);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
}
END_TEST

START_TEST(G_3_idleness_counts_from_the_end_of_the_last_call)
{
	struct probe one = { 0 }, two = { 0 };

	open_with(&(struct minirpc_server_options){ .max_connection_idle = S(60) });
	pass(S(50));
	chat_call(&one);
	pass(S(10));
	chat_call(&two);
	pass(S(500)); /* far longer than the limit */
	ck_assert_int_eq(minirpc_call_end(one.call, NULL), 0);
	pass(S(100)); /* one is still open */
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);
	ck_assert_int_eq(minirpc_call_end(two.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(two.code, MINIRPC_OK);
	pass(S(60) - 1);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);
	pass(1);
	ck_assert_uint_eq(open_connections(), 0);
}
END_TEST

START_TEST(G_3_short_calls_keep_a_connection)
{
	open_with(&(struct minirpc_server_options){ .max_connection_idle = S(60) });
	for (int i = 0; i < 100; i++) {
		struct probe probe = { 0 };

		pass(S(60) - 1);
		probe_call(&probe, pair.channel, &echo, NULL);
		pair_settle(&pair);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
	}
	ck_assert_uint_eq(open_connections(), 1);
	pass(S(60));
	ck_assert_uint_eq(open_connections(), 0);
}
END_TEST

START_TEST(G_3_the_reason_is_in_the_goaway)
{
	static const char *const why[] = { "max_idle", "max_age" };

	open_with(_i == 0 ? &(struct minirpc_server_options){ .max_connection_idle = S(60) }
			  : &(struct minirpc_server_options){ .max_connection_age = S(60) });
	pair.client.held = pair.server_end.held = true;
	pass(S(67));
	ck_assert_int_eq(mrpc_conn_state(connection()->conn), MRPC_CONN_DRAINING);
	{
		const void *data;
		size_t len = minirpc_conn_pending(pair.server_end.conn, &data);

		ck_assert_ptr_nonnull(memmem(data, len, why[_i], strlen(why[_i])));
	}
	pair_release(&pair);
}
END_TEST

/* ---- Age ---- */

static minirpc_time age_of_one(uint64_t seed)
{
	minirpc_time before;

	pair_open(&pair, &(struct minirpc_server_options){ .max_connection_age = S(1000) }, NULL);
	mrpc_server_seed(pair.server, seed);
	pair_connect(&pair);
	pair_settle(&pair);
	before = pair.now;
	while (open_connections() > 0) {
		minirpc_time next = mrpc_timers_next(&pair.loop->timers);

		ck_assert_int_ne(next, MINIRPC_NEVER);
		pair_advance(&pair, next - pair.now);
	}
	pair_close(&pair);
	return pair.now - before;
}

START_TEST(G_3_ages_spread_by_10_percent_and_replay)
{
	minirpc_time least = MINIRPC_NEVER, most = 0;

	for (uint64_t seed = 0; seed < 300; seed++) {
		minirpc_time age = age_of_one(seed);

		ck_assert_int_ge(age, S(900));
		ck_assert_int_le(age, S(1100));
		least = age < least ? age : least;
		most = age > most ? age : most;
	}
	ck_assert_int_lt(least, S(905));
	ck_assert_int_gt(most, S(1095));
	ck_assert_int_eq(age_of_one(7), age_of_one(7));
	ck_assert_int_ne(age_of_one(7), age_of_one(8));
	pair_open(&pair, NULL, NULL); /* for the teardown */
}
END_TEST

START_TEST(G_3_an_old_connection_lets_its_calls_end)
{
	struct probe running = { 0 }, next = { 0 };

	open_with(&(struct minirpc_server_options){ .max_connection_age = S(1000) });
	chat_call(&running);
	pass(S(1100));
	ck_assert_int_eq(mrpc_conn_state(connection()->conn), MRPC_CONN_DRAINING);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
	probe_call(&next, pair.channel, &echo, NULL); /* waits for another connection */
	pass(S(100000));                              /* no grace: no limit */
	ck_assert_int_eq(minirpc_call_send(running.call, "still", 5), 0);
	ck_assert_int_eq(minirpc_call_end(running.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(running.code, MINIRPC_OK);
	ck_assert_str_eq(running.last, "still");
	ck_assert_uint_eq(open_connections(), 0);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(next.ends, 1);
	ck_assert_int_eq(next.code, MINIRPC_OK);
}
END_TEST

START_TEST(G_3_after_the_grace_the_rest_is_cut)
{
	struct probe running = { 0 };
	minirpc_time old_at;

	open_with(&(struct minirpc_server_options){ .max_connection_age = S(1000),
						    .max_connection_age_grace = S(30) });
	old_at = connection()->old_at;
	chat_call(&running);
	pass(old_at - pair.now + S(30) - 1); /* no jitter on the grace */
	ck_assert_uint_eq(running.ends, 0);
	ck_assert_uint_eq(seen.ends, 0);
	pass(1);
	ck_assert_uint_eq(running.ends, 1);
	ck_assert_int_eq(running.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(open_connections(), 0);
}
END_TEST

START_TEST(G_3_age_ends_what_idleness_has_begun)
{
	struct probe late = { 0 };

	open_with(&(struct minirpc_server_options){ .max_connection_idle = S(60),
						    .max_connection_age = S(1000),
						    .max_connection_age_grace = S(30) });
	pair.server_end.held = true;
	pass(S(60));
	ck_assert_int_eq(mrpc_conn_state(connection()->conn), MRPC_CONN_DRAINING);
	chat_call(&late); /* crosses the GOAWAY, and is served */
	pair_settle(&pair);
	ck_assert_uint_eq(seen.calls, 1);
	pair_release(&pair);
	pair.server_end.held = false;
	pass(S(800));
	ck_assert_uint_eq(late.ends, 0);
	pass(S(1200));
	ck_assert_uint_eq(late.ends, 1);
	ck_assert_int_eq(late.code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(G_3_without_limits_a_connection_stays)
{
	open_with(NULL);
	pass(S(86400) * 30); /* its PINGs, every two hours, are answered */
	ck_assert_uint_eq(open_connections(), 1);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);
}
END_TEST

START_TEST(times_below_0_are_refused)
{
	static const struct minirpc_server_options bad[] = {
		{ .max_connection_idle = -1 },      { .max_connection_age = -1 },
		{ .max_connection_age_grace = -1 }, { .keepalive = { .time = -1 } },
		{ .keepalive = { .timeout = -1 } },
	};
	minirpc_server *server;

	pair_open(&pair, NULL, NULL);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(minirpc_server_new(&server, pair.loop, &bad[i]), -EINVAL);
}
END_TEST

/* ---- Keepalive ---- */

START_TEST(K_2_a_client_that_is_gone_is_found_out)
{
	struct minirpc_conn_counts counts;
	struct probe running = { 0 };

	open_with(
		&(struct minirpc_server_options){ .keepalive = { .time = S(5), .timeout = S(2) } });
	chat_call(&running);
	pass(S(1000));
	ck_assert_uint_eq(seen.ends, 0);
	pair.client.held = true;
	pass(S(7) - 1);
	ck_assert_uint_eq(seen.ends, 0);
	pass(S(5));
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_CANCELLED);
	ck_assert_uint_eq(open_connections(), 0);
	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.closed_keepalive, 1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/age");
	TCase *t = tcase_create("age");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, G_3_a_connection_that_nobody_uses_ends);
	tcase_add_test(t, G_3_idleness_counts_from_the_end_of_the_last_call);
	tcase_add_test(t, G_3_short_calls_keep_a_connection);
	tcase_add_loop_test(t, G_3_the_reason_is_in_the_goaway, 0, 2);
	tcase_add_test(t, G_3_ages_spread_by_10_percent_and_replay);
	tcase_add_test(t, G_3_an_old_connection_lets_its_calls_end);
	tcase_add_test(t, G_3_after_the_grace_the_rest_is_cut);
	tcase_add_test(t, G_3_age_ends_what_idleness_has_begun);
	tcase_add_test(t, G_3_without_limits_a_connection_stays);
	tcase_add_test(t, times_below_0_are_refused);
	tcase_add_test(t, K_2_a_client_that_is_gone_is_found_out);
	suite_add_tcase(s, t);
	return s;
}

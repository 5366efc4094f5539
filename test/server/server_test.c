/* SPDX-License-Identifier: MIT */
/* Stories of a server over a pipe: routing, counting, draining, stopping, freeing, forgetting. */
#include "client/pair.h"
#include "run_suite.h"

#include <errno.h>
#include <string.h>

static struct pair pair;
static unsigned warnings;

static void setup(void)
{
	warnings = 0;
	pair_open(&pair, NULL, NULL);
}

static void teardown(void)
{
	pair_close(&pair);
}

/* ---- Routing ---- */

static void call_unknown(struct probe *probe, const char *path)
{
	const struct minirpc_method method = { .path = path };

	memset(probe, 0, sizeof *probe);
	probe_call(probe, pair.channel, &method, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_UNIMPLEMENTED);
}

START_TEST(unknown_methods_and_services_are_unimplemented_and_named)
{
	struct probe probe;

	pair_connect(&pair);
	call_unknown(&probe, "/t.T/other");
	ck_assert_str_eq(probe.text, "unknown method other of service t.T");
	call_unknown(&probe, "/t.Other/echo");
	ck_assert_str_eq(probe.text, "unknown service t.Other");
	call_unknown(&probe, "/t.T/Echo"); /* [W-2]: case matters */
	call_unknown(&probe, "/t/echo");
	ck_assert_str_eq(probe.text, "unknown service t");
	ck_assert_uint_eq(seen.calls, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(a_method_is_added_once_and_needs_a_path)
{
	static const struct minirpc_call_events none;
	const struct minirpc_method bad = { .path = "t.T/echo" }, empty = { 0 };

	ck_assert_int_eq(minirpc_server_add(pair.server, &echo, &none, NULL, NULL), -EEXIST);
	ck_assert_int_eq(minirpc_server_add(pair.server, &bad, &none, NULL, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_server_add(pair.server, &empty, &none, NULL, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_server_add(pair.server, &echo, NULL, NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(what_the_user_gave_is_dropped_with_the_server)
{
	ck_assert_uint_eq(seen.drops, 0);
	pair.server = minirpc_server_free(pair.server);
	ck_assert_uint_eq(seen.drops, 1);
}
END_TEST

START_TEST(a_server_wants_a_loop_and_limits_in_range)
{
	minirpc_server *server;

	ck_assert_int_eq(minirpc_server_new(&server, NULL, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_server_new(&server, pair.loop,
					    &(struct minirpc_server_options){
						    .limits = { .stream_window = 1u << 31 } }),
			 -EINVAL);
	ck_assert_ptr_null(minirpc_server_free(NULL));
	ck_assert_ptr_eq(minirpc_server_loop(pair.server), pair.loop);
}
END_TEST

START_TEST(calls_are_counted)
{
	struct probe ok = { 0 }, open = { 0 };
	struct minirpc_conn_counts counts;

	pair_connect(&pair);
	probe_call(&ok, pair.channel, &echo, NULL);
	probe_call(&open, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 1);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 1);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 0);

	pair_connect(&pair);
	memset(&ok, 0, sizeof ok);
	probe_call(&ok, pair.channel, &echo, NULL);
	pair_settle(&pair);
	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.calls_started, 3);
	ck_assert_uint_eq(counts.calls_succeeded, 2);
	ck_assert_uint_eq(counts.calls_failed, 1);
	ck_assert_uint_eq(counts.messages_received, 3);
	ck_assert_uint_eq(counts.messages_sent, 2);
}
END_TEST

/* ---- Draining ---- */

static unsigned drained;

static void on_drained(minirpc_server *server, void *user)
{
	drained++;
	if (user != NULL) {
		ck_assert_ptr_eq(server, pair.server);
		pair.server = minirpc_server_free(server);
	}
}

START_TEST(draining_lets_calls_in_flight_finish)
{
	struct probe probe = { 0 };
	minirpc_conn *conn;

	drained = 0;
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &chat, NULL);
	ck_assert_int_eq(minirpc_call_send(probe.call, "one", 3), 0);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_drain(pair.server, 0, on_drained, NULL), 0);
	ck_assert_int_eq(minirpc_server_attach(pair.server, NULL, &conn), -ESHUTDOWN);
	ck_assert_int_eq(minirpc_server_listen(pair.server, "127.0.0.1:0", NULL), -ESHUTDOWN);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_S(3600));
	ck_assert_uint_eq(drained, 0);
	ck_assert_int_eq(minirpc_call_send(probe.call, "two", 3), 0);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "two");
	ck_assert_uint_eq(drained, 1);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 0);
	ck_assert_int_eq(minirpc_server_drain(pair.server, 0, on_drained, NULL), -EALREADY);
	pair_settle(&pair);
	ck_assert_uint_eq(drained, 1);
}
END_TEST

START_TEST(a_server_without_connections_is_drained_in_the_next_turn)
{
	drained = 0;
	ck_assert_int_eq(minirpc_server_drain(pair.server, 0, on_drained, NULL), 0);
	ck_assert_uint_eq(drained, 0);
	pair_settle(&pair);
	ck_assert_uint_eq(drained, 1);
}
END_TEST

START_TEST(what_is_left_after_grace_is_cut_and_done_may_free_the_server)
{
	struct probe probe = { 0 };

	drained = 0;
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_drain(pair.server, MINIRPC_S(5), on_drained, &pair), 0);
	pair_advance(&pair, MINIRPC_S(5) - 1);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(drained, 1);
	ck_assert_ptr_null(pair.server);
}
END_TEST

START_TEST(a_shorter_grace_replaces_a_longer_one)
{
	struct probe probe = { 0 };

	drained = 0;
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_drain(pair.server, 0, on_drained, NULL), 0);
	ck_assert_int_eq(minirpc_server_drain(pair.server, MINIRPC_S(5), NULL, NULL), -EALREADY);
	ck_assert_int_eq(minirpc_server_drain(pair.server, MINIRPC_S(9), NULL, NULL), -EALREADY);
	pair_advance(&pair, MINIRPC_S(5));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_uint_eq(drained, 1);
}
END_TEST

START_TEST(stopping_ends_calls_with_unavailable_at_both_ends)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	minirpc_server_stop(pair.server);
	ck_assert_uint_eq(probe.ends + seen.ends, 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 0);
	minirpc_server_stop(pair.server);
}
END_TEST

START_TEST(stopping_a_server_that_drains_completes_the_drain)
{
	struct probe probe = { 0 };

	drained = 0;
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_drain(pair.server, 0, on_drained, NULL), 0);
	pair_settle(&pair);
	minirpc_server_stop(pair.server);
	pair_settle(&pair);
	ck_assert_uint_eq(drained, 1);
	ck_assert_uint_eq(probe.ends, 1);
}
END_TEST

/* ---- Freeing ---- */

START_TEST(freeing_a_server_takes_its_calls_along_without_a_word)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	pair.server = minirpc_server_free(pair.server);
	pair_settle(&pair);
	ck_assert_uint_eq(seen.ends, 0);
	ck_assert_uint_eq(pair.server_end.finished, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_ne(probe.code, MINIRPC_OK);
}
END_TEST

static void free_server(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)call;
	(void)metadata;
	(void)user;
	pair.server = minirpc_server_free(pair.server);
}

static const struct minirpc_method deadly = { .path = "/t.T/deadly" };

START_TEST(a_server_may_be_freed_by_a_handler)
{
	static const struct minirpc_call_events events = { .on_headers = free_server };
	struct probe probe = { 0 }, other = { 0 };

	ck_assert_int_eq(minirpc_server_add(pair.server, &deadly, &events, NULL, NULL), 0);
	pair_connect(&pair);
	probe_call(&other, pair.channel, &hang, NULL);
	probe_call(&probe, pair.channel, &deadly, NULL);
	probe_call(&other, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_ptr_null(pair.server);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_uint_eq(other.ends, 2);
}
END_TEST

static void free_both(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)call;
	(void)message;
	(void)user;
	pair.channel = minirpc_channel_free(pair.channel);
	pair.server = minirpc_server_free(pair.server);
}

START_TEST(a_handler_may_free_both_ends)
{
	static const struct minirpc_call_events events = { .on_message = free_both };
	struct probe probe = { 0 };

	ck_assert_int_eq(minirpc_server_add(pair.server, &deadly, &events, NULL, NULL), 0);
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &deadly, NULL);
	pair_settle(&pair);
	ck_assert_ptr_null(pair.server);
	ck_assert_uint_eq(probe.ends, 0);
}
END_TEST

/* ---- Handlers that forget ---- */

static void note(enum minirpc_log_level level, const char *line, void *user)
{
	(void)line;
	(void)user;
	if (level == MINIRPC_LOG_WARNING)
		warnings++;
}

START_TEST(a_call_that_its_handler_forgot_is_counted_and_logged_once)
{
	static const struct minirpc_call_events forgetful = { 0 };
	struct minirpc_conn_counts counts;
	struct probe probe = { 0 };
	minirpc_loop *loop;

	/* A loop that logs. */
	pair_close(&pair);
	pair_open(&pair, NULL, NULL);
	loop = pair.loop;
	minirpc_channel_free(pair.channel);
	minirpc_server_free(pair.server);
	minirpc_loop_free(loop);
	ck_assert_int_eq(
		minirpc_loop_new(
			&pair.loop,
			&(struct minirpc_loop_options){
				.manual = true, .log = note, .log_level = MINIRPC_LOG_WARNING }),
		0);
	ck_assert_int_eq(minirpc_server_new(&pair.server, pair.loop, NULL), 0);
	ck_assert_int_eq(minirpc_channel_new(&pair.channel, pair.loop, "attached:a", NULL), 0);
	ck_assert_int_eq(minirpc_server_add(pair.server, &hang, &forgetful, NULL, NULL), 0);

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_S(300)); /* a slow handler is none that forgot */
	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.forgotten_calls, 0);

	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_S(60) - 1);
	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.forgotten_calls, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 1);
	for (int i = 0; i < 10; i++)
		pair_advance(&pair, MINIRPC_S(60));
	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.forgotten_calls, 1);
	ck_assert_uint_eq(warnings, 1);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/server");
	TCase *t = tcase_create("server");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, unknown_methods_and_services_are_unimplemented_and_named);
	tcase_add_test(t, a_method_is_added_once_and_needs_a_path);
	tcase_add_test(t, what_the_user_gave_is_dropped_with_the_server);
	tcase_add_test(t, a_server_wants_a_loop_and_limits_in_range);
	tcase_add_test(t, calls_are_counted);
	tcase_add_test(t, draining_lets_calls_in_flight_finish);
	tcase_add_test(t, a_server_without_connections_is_drained_in_the_next_turn);
	tcase_add_test(t, what_is_left_after_grace_is_cut_and_done_may_free_the_server);
	tcase_add_test(t, a_shorter_grace_replaces_a_longer_one);
	tcase_add_test(t, stopping_ends_calls_with_unavailable_at_both_ends);
	tcase_add_test(t, stopping_a_server_that_drains_completes_the_drain);
	tcase_add_test(t, freeing_a_server_takes_its_calls_along_without_a_word);
	tcase_add_test(t, a_server_may_be_freed_by_a_handler);
	tcase_add_test(t, a_handler_may_free_both_ends);
	tcase_add_test(t, a_call_that_its_handler_forgot_is_counted_and_logged_once);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* A channel's keepalive, and what it does when a server has had enough of it, or of stream ids; a pipe
 * and a clock turned by hand. */
#include "client/pair.h"
#include "run_suite.h"

#include "h2/inside.h"
#include "io/loop.h"

#include <errno.h>
#include <string.h>

#define S MINIRPC_S

static struct pair pair;

static void teardown(void)
{
	pair_close(&pair);
}

static void open_with(const struct minirpc_server_options *server,
		      const struct minirpc_channel_options *channel)
{
	pair_open(&pair, server, channel);
	pair_connect(&pair);
	pair_settle(&pair);
}

/* Time passes, and whatever becomes due meanwhile happens when it is due. */
static void pass(minirpc_time span)
{
	minirpc_time until = pair.now + span, next;

	while ((next = mrpc_timers_next(&pair.loop->timers)) <= until)
		pair_advance(&pair, next > pair.now ? next - pair.now : 0);
	pair_advance(&pair, until - pair.now);
}

static struct mrpc_conn *conn_of(const struct probe *probe)
{
	const struct mrpc_stream *stream = probe->call->transport;

	return stream->conn;
}

START_TEST(K_1_a_server_that_is_gone_is_found_out)
{
	struct minirpc_conn_counts counts;
	struct probe probe = { 0 };

	open_with(&(struct minirpc_server_options){ .keepalive = { .min_interval = -1 } },
		  &(struct minirpc_channel_options){ .keepalive = { .time = S(10) } });
	probe_call(&probe, pair.channel, &hang, NULL);
	pass(S(1000));
	ck_assert_uint_eq(probe.ends, 0);
	pair.server_end.held = true;
	pass(S(40)); /* 10 at most until the PING, and 20 */
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe.text, "keepalive: the peer did not answer a PING within 20 s");
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
	minirpc_channel_counts(pair.channel, &counts);
	ck_assert_uint_eq(counts.closed_keepalive, 1);

	pair.server_end.held = false;
	probe = (struct probe){ 0 };
	probe_call(&probe, pair.channel, &echo, NULL); /* another connection, another try */
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

/* Each connection of the channel that is told too_many_pings makes the next ask half as often. The
 * first PING and the two strikes are free; at 160 s every second PING is in time. */
START_TEST(K_3_a_channel_learns_what_its_server_takes)
{
	static const minirpc_time told_after[] = { S(40), S(80), S(160), S(320), S(960), 0 };
	struct minirpc_conn_counts counts;
	size_t n = 0;

	open_with(NULL, &(struct minirpc_channel_options){ .keepalive = { .time = S(10) } });
	for (; told_after[n] > 0; n++) {
		struct probe probe = { 0 };

		probe_call(&probe, pair.channel, &hang, NULL);
		pair_settle(&pair);
		pass(told_after[n] - 1);
		ck_assert_uint_eq(probe.ends, 0);
		pass(1);
		ck_assert_uint_eq(probe.ends, 1);
		ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
		ck_assert_str_eq(probe.text,
				 "the peer said GOAWAY: ENHANCE_YOUR_CALM too_many_pings");
		pair_connect(&pair);
		pair_settle(&pair);
	}
	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.closed_pings, n);
	{ /* 320 s: more than 5 min */
		struct probe probe = { 0 };

		probe_call(&probe, pair.channel, &hang, NULL);
		pass(S(100000));
		ck_assert_uint_eq(probe.ends, 0);
		minirpc_server_counts(pair.server, &counts);
		ck_assert_uint_eq(counts.closed_pings, n);
	}
}
END_TEST

START_TEST(a_channel_refuses_times_below_0)
{
	minirpc_channel *channel;

	open_with(NULL, NULL);
	ck_assert_int_eq(minirpc_channel_new(
				 &channel, pair.loop, "attached:x",
				 &(struct minirpc_channel_options){ .keepalive = { .time = -1 } }),
			 -EINVAL);
	ck_assert_int_eq(minirpc_channel_new(&channel, pair.loop, "attached:x",
					     &(struct minirpc_channel_options){
						     .keepalive = { .timeout = -1 } }),
			 -EINVAL);
}
END_TEST

/* ---- Stream ids ---- */

START_TEST(G_4_calls_move_to_another_connection_before_ids_run_out)
{
	struct probe running = { 0 }, last = { 0 }, next = { 0 };

	open_with(NULL, NULL);
	probe_call(&running, pair.channel, &chat, NULL);
	pair_settle(&pair);
	nghttp2_session_set_next_stream_id(conn_of(&running)->session, 0x5fffffff);
	probe_call(&last, pair.channel, &echo, NULL); /* the last one that fits */
	pair_settle(&pair);
	ck_assert_int_eq(last.code, MINIRPC_OK);
	ck_assert_uint_eq(last.ends, 1);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);

	probe_call(&next, pair.channel, &echo, NULL); /* 0x60000001: three quarters */
	pair_settle(&pair);
	ck_assert_uint_eq(next.ends, 0);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(next.ends, 1);
	ck_assert_int_eq(next.code, MINIRPC_OK);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 2);

	ck_assert_int_eq(minirpc_call_send(running.call, "on", 2), 0);
	ck_assert_int_eq(minirpc_call_end(running.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(running.code, MINIRPC_OK);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/keepalive");
	TCase *t = tcase_create("keepalive");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, K_1_a_server_that_is_gone_is_found_out);
	tcase_add_test(t, K_3_a_channel_learns_what_its_server_takes);
	tcase_add_test(t, a_channel_refuses_times_below_0);
	tcase_add_test(t, G_4_calls_move_to_another_connection_before_ids_run_out);
	suite_add_tcase(s, t);
	return s;
}

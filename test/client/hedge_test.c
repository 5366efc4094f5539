/* SPDX-License-Identifier: MIT */
/* Hedging: several attempts at once, the first good answer wins. A pipe, and a clock turned by hand. */
#include "client/flaky.h"
#include "run_suite.h"

#include "call/call.h"
#include "client/channel.h"

#include <errno.h>
#include <minirpc/minirpc.h>
#include <stdio.h>
#include <string.h>

static struct pair pair;
static struct probe probe;

static struct minirpc_hedging_policy policy;

#define HANG                                                                                       \
	{                                                                                          \
		.hangs = true                                                                      \
	}
static const struct flaky_step all_hang[] = { HANG, HANG, HANG, HANG, HANG, HANG, HANG, HANG };
static const struct flaky_step failure = FAILURE, success = SUCCESS;

static void open_with(double max_tokens, const struct minirpc_channel_options *more)
{
	flaky_open(&pair, NULL, &policy, max_tokens, more);
	probe = (struct probe){ 0 };
}

static void setup(void)
{
	policy = (struct minirpc_hedging_policy){
		.max_attempts = 4,
		.delay = MINIRPC_MS(100),
		.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_ABORTED),
	};
	open_with(0, NULL);
}

static void teardown(void)
{
	pair_close(&pair);
}

static void call_with(const struct flaky_step *steps, const struct minirpc_call_options *options)
{
	flaky_begin(steps);
	probe.ends = 0;
	probe_call(&probe, pair.channel, &flaky_unary, options);
	pair_settle(&pair);
}

static void call(const struct flaky_step *steps)
{
	call_with(steps, NULL);
}

static struct minirpc_conn_counts counts(void)
{
	struct minirpc_conn_counts now;

	minirpc_channel_counts(pair.channel, &now);
	return now;
}

static void finish(unsigned attempt, const struct flaky_step *step)
{
	flaky_finish(attempt, step);
	pair_settle(&pair);
}

/* What became of the attempts, as on_end saw it. */
static unsigned told_count;
static struct minirpc_attempt told[8];

static void keep_attempts(struct probe *p)
{
	told_count = minirpc_call_attempt_count(p->call);
	ck_assert_uint_le(told_count, 8);
	for (unsigned i = 0; i < told_count; i++)
		ck_assert(minirpc_call_attempt(p->call, i, &told[i]));
}

/* ---- When ---- */

START_TEST(R_8_the_next_attempt_goes_out_after_the_delay_and_the_first_answer_wins)
{
	probe.on_end = keep_attempts;
	call(all_hang);
	ck_assert_uint_eq(flaky.count, 1);
	pair_advance(&pair, MINIRPC_MS(100) - 1);
	ck_assert_uint_eq(flaky.count, 1);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(flaky.count, 2);
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(flaky.count, 3);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_str_eq(flaky.attempts[i].got, "hello");
	/* */
	ck_assert_str_eq(flaky.attempts[0].previous, "");
	ck_assert_str_eq(flaky.attempts[1].previous, "1");
	ck_assert_str_eq(flaky.attempts[2].previous, "2");

	finish(1, &success);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_str_eq(probe.peer, "pipe:server");
	ck_assert(flaky.attempts[0].cancelled && flaky.attempts[2].cancelled);
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 3);
	ck_assert_uint_eq(counts().hedges, 2);

	ck_assert_uint_eq(told_count, 3);
	ck_assert_int_eq(told[0].code, MINIRPC_CANCELLED);
	ck_assert_int_eq(told[1].code, MINIRPC_CANCELLED);
	ck_assert_int_eq(told[2].code, MINIRPC_OK);
	ck_assert_int_eq(told[2].started, MINIRPC_MS(100));
}
END_TEST

START_TEST(R_8_no_more_than_max_attempts_and_then_whoever_answers)
{
	call(all_hang);
	for (int i = 0; i < 10; i++)
		pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(flaky.count, 4);
	finish(0, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	for (unsigned i = 1; i < 4; i++)
		ck_assert(flaky.attempts[i].cancelled);
}
END_TEST

START_TEST(R_8_the_cap_of_the_channel_counts)
{
	policy.max_attempts = 100;
	policy.delay = 0;
	open_with(0, NULL);
	call(all_hang);
	ck_assert_uint_eq(flaky.count, 5);
	open_with(0, &(struct minirpc_channel_options){ .max_attempts = 7 });
	call(all_hang);
	ck_assert_uint_eq(flaky.count, 7);
	open_with(0, &(struct minirpc_channel_options){ .no_retry = true });
	call(all_hang);
	ck_assert_uint_eq(flaky.count, 1);
}
END_TEST

START_TEST(R_8_without_a_delay_all_go_out_at_once)
{
	policy.delay = 0;
	open_with(0, NULL);
	call(all_hang);
	ck_assert_uint_eq(flaky.count, 4);
	ck_assert_str_eq(flaky.attempts[3].previous, "3");
	finish(2, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(counts().hedges, 3);
}
END_TEST

START_TEST(R_8_a_non_fatal_failure_sends_the_next_at_once_and_the_delay_begins_anew)
{
	call(all_hang);
	pair_advance(&pair, MINIRPC_MS(60));
	finish(0, &failure);
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, MINIRPC_MS(99)); /* the timer of the first one is no more */
	ck_assert_uint_eq(flaky.count, 2);
	pair_advance(&pair, MINIRPC_MS(1));
	ck_assert_uint_eq(flaky.count, 3);
	finish(1, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(R_8_a_fatal_failure_ends_all)
{
	call(all_hang);
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(flaky.count, 2);
	finish(1, &(const struct flaky_step){ .code = MINIRPC_INTERNAL });
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(probe.text, "flaky");
	ck_assert(flaky.attempts[0].cancelled);
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
}
END_TEST

START_TEST(R_8_when_all_have_failed_the_call_has)
{
	probe.on_end = keep_attempts;
	call((const struct flaky_step[]){
		FAILURE, FAILURE, FAILURE, { .code = MINIRPC_ABORTED }, SUCCESS });
	ck_assert_uint_eq(flaky.count, 4);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_uint_eq(told_count, 4);
	ck_assert_int_eq(told[0].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(told[3].code, MINIRPC_ABORTED);
}
END_TEST

START_TEST(R_8_one_that_still_runs_may_succeed_when_all_others_have_failed)
{
	policy.delay = 0;
	open_with(0, NULL);
	call(all_hang);
	finish(0, &failure);
	finish(3, &failure);
	finish(1, &failure);
	ck_assert_uint_eq(probe.ends, 0);
	finish(2, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(flaky.count, 4);
}
END_TEST

START_TEST(R_8_response_headers_choose_an_attempt_and_its_end_is_the_calls)
{
	call((const struct flaky_step[]){ HANG, HANG, HANG, HANG });
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_int_eq(minirpc_call_send_headers(flaky.attempts[0].call, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.headers, 1);
	ck_assert(flaky.attempts[1].cancelled);
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
	finish(0, &failure); /* not repeated: it is committed */
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(flaky.count, 2);
}
END_TEST

/* ---- Pushback and throttle ---- */

START_TEST(R_5_pushback_puts_the_next_hedge_off)
{
	call(all_hang);
	pair_advance(&pair, MINIRPC_MS(50));
	finish(0, &(const struct flaky_step){ .code = MINIRPC_UNAVAILABLE, .pushback = "300" });
	pair_advance(&pair, MINIRPC_MS(300) - 1);
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(flaky.count, 2);
	pair_advance(&pair, MINIRPC_MS(100)); /* and then as usual */
	ck_assert_uint_eq(flaky.count, 3);
	ck_assert_uint_eq(counts().pushed_back, 1);
	finish(2, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(R_5_pushback_that_says_no_means_no_more_hedges)
{
	call(all_hang);
	pair_advance(&pair, MINIRPC_MS(100));
	finish(0, &(const struct flaky_step){ .code = MINIRPC_UNAVAILABLE, .pushback = "-1" });
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_uint_eq(probe.ends, 0); /* the other one goes on */
	finish(1, &failure);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);

	call(all_hang);
	finish(0, &(const struct flaky_step){ .code = MINIRPC_UNAVAILABLE, .pushback = "x" });
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_uint_eq(flaky.count, 1);
}
END_TEST

START_TEST(R_7_the_throttle_holds_hedges_back_but_never_the_first_attempt)
{
	open_with(4, NULL);
	call((const struct flaky_step[]){ FAILURE, FAILURE, FAILURE, FAILURE, SUCCESS });
	ck_assert_uint_eq(flaky.count, 2); /* 4 -> 3 -> 2 tokens */
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(counts().throttled, 1);
	call(all_hang);
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 1);
	finish(0, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(pair.channel->throttle.tokens, 2500);
	call(all_hang);
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(flaky.count, 2);
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	call(all_hang);
	finish(0, &(const struct flaky_step){ .code = MINIRPC_INTERNAL });
	ck_assert_uint_eq(pair.channel->throttle.tokens, 2500); /* fatal ones do not count */
}
END_TEST

START_TEST(R_7_a_hedge_that_was_put_off_and_is_throttled_then_ends_the_call)
{
	open_with(4, NULL);
	call(all_hang);
	finish(0, &(const struct flaky_step){ .code = MINIRPC_UNAVAILABLE, .pushback = "500" });
	mrpc_throttle_failed(&pair.channel->throttle);
	pair_advance(&pair, MINIRPC_MS(500) - 1);
	ck_assert_uint_eq(probe.ends, 0);
	probe.on_end = keep_attempts;
	pair_advance(&pair, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe.text, "flaky");
	ck_assert_uint_eq(told_count, 1);
}
END_TEST

/* ---- Ends ---- */

START_TEST(a_deadline_ends_all_attempts)
{
	probe.on_end = keep_attempts;
	call_with(all_hang, &(struct minirpc_call_options){ .timeout = MINIRPC_MS(250) });
	pair_advance(&pair, MINIRPC_MS(100));
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(flaky.count, 3);
	ck_assert_int_le(flaky.attempts[2].left, MINIRPC_MS(50));
	pair_advance(&pair, MINIRPC_MS(50) - 1);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(flaky.attempts[i].cancelled);
	ck_assert_uint_eq(told_count, 3);
	ck_assert_int_eq(told[0].code, MINIRPC_CANCELLED);
	ck_assert_int_eq(told[2].code, MINIRPC_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(cancel_abort_parent_and_the_channels_end_reach_every_attempt)
{
	struct probe parent = { 0 };

	for (int way = 0; way < 4; way++) {
		struct minirpc_call_options options = { 0 };

		if (way == 2) {
			probe_call(&parent, pair.channel, &hang, NULL);
			pair_settle(&pair);
			options.parent = seen.last;
		}
		call_with(all_hang, &options);
		pair_advance(&pair, MINIRPC_MS(100));
		ck_assert_uint_eq(flaky.count, 2);
		if (way == 0)
			minirpc_call_cancel(probe.call);
		else if (way == 1)
			minirpc_call_abort(probe.call,
					   &(struct minirpc_status){ .code = MINIRPC_DATA_LOSS });
		else if (way == 2)
			minirpc_call_cancel(parent.call);
		else
			pair.channel = minirpc_channel_free(pair.channel);
		pair_settle(&pair);
		pair_advance(&pair, MINIRPC_S(1));
		ck_assert_uint_eq(flaky.count, 2);
		ck_assert(flaky.attempts[0].cancelled && flaky.attempts[1].cancelled);
		ck_assert_uint_eq(probe.ends, way == 1 || way == 2);
		if (way == 1)
			ck_assert_int_eq(probe.code, MINIRPC_DATA_LOSS);
		if (way == 2)
			ck_assert_int_eq(probe.code, MINIRPC_CANCELLED);
	}
}
END_TEST

static void free_channel(struct probe *p)
{
	(void)p;
	pair.channel = minirpc_channel_free(pair.channel);
}

START_TEST(the_channel_may_be_freed_in_on_end)
{
	probe.on_end = free_channel;
	call(all_hang);
	pair_advance(&pair, MINIRPC_MS(100));
	finish(1, &success);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_ptr_null(pair.channel);
}
END_TEST

START_TEST(attempts_wait_for_a_connection_as_any_call)
{
	pair_cut(&pair);
	pair_settle(&pair);
	call_with(all_hang, &(struct minirpc_call_options){ .wait_for_ready = true });
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(flaky.count, 0);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 2);
	pair_cut(&pair); /* UNAVAILABLE, twice: not fatal */
	pair_settle(&pair);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 4);
	finish(3, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

/* The request of an open call stays in the pipe, and the server says GOAWAY with 0 as its last id. */
static void refuse(void)
{
	minirpc_server *old = pair.server;

	pair_settle(&pair);
	minirpc_server_stop(old);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_new(&pair.server, pair.loop, NULL), 0);
	flaky_serve(pair.server);
	pair_cut(&pair);
	pair_settle(&pair);
	minirpc_server_free(old);
}

START_TEST(R_4_an_attempt_that_was_refused_unseen_is_made_again_for_nothing)
{
	pair.client.held = true;
	probe.on_end = keep_attempts;
	call(all_hang);
	refuse();
	ck_assert_uint_eq(counts().transparent_retries, 1);
	pair.client.held = false;
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_str_eq(flaky.attempts[0].previous, "");
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_str_eq(flaky.attempts[1].previous, "1");
	finish(0, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(told_count, 3);
	ck_assert(told[0].transparent);
}
END_TEST

/* ---- Messages ---- */

START_TEST(a_stream_is_given_to_each_attempt_and_goes_on_with_the_one_that_was_chosen)
{
	flaky_begin(all_hang);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	ck_assert_int_eq(minirpc_call_send(probe.call, "one", 3), 0);
	pair_settle(&pair);
	ck_assert_str_eq(flaky.attempts[0].got, "one");
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_str_eq(flaky.attempts[1].got, "one");
	ck_assert_int_eq(minirpc_call_send(probe.call, "two", 3), 0);
	pair_settle(&pair);
	ck_assert_str_eq(flaky.attempts[0].got, "one,two");
	ck_assert_str_eq(flaky.attempts[1].got, "one,two");
	ck_assert_uint_eq(pair.channel->replay.held, 16);
	ck_assert_int_eq(minirpc_call_send_headers(flaky.attempts[1].call, NULL), 0);
	pair_settle(&pair);
	ck_assert(flaky.attempts[0].cancelled);
	ck_assert_uint_eq(pair.channel->replay.held, 0);
	ck_assert_int_eq(minirpc_call_send(probe.call, "three", 5), 0);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_str_eq(flaky.attempts[1].got, "one,two,three");
	ck_assert(flaky.attempts[1].half_closed);
	ck_assert_int_eq(minirpc_call_send(flaky.attempts[1].call, "answer", 6), 0);
	pair_settle(&pair);
	ck_assert_str_eq(probe.last, "answer");
	finish(1, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(probe.messages, 2);
}
END_TEST

START_TEST(R_3_what_overflows_the_replay_buffer_chooses_the_attempt_that_has_sent_most)
{
	char big[600] = { 0 };

	memset(big, 'x', sizeof big - 1);
	open_with(0, &(struct minirpc_channel_options){ .max_replay = 1000 });
	flaky_begin(all_hang);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	ck_assert_int_eq(minirpc_call_send(probe.call, "a", 1), 0);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_int_eq(minirpc_call_send(probe.call, big, 600), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(counts().overflowed_replays, 0);
	ck_assert_int_eq(minirpc_call_send(probe.call, big, 600), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(counts().overflowed_replays, 1);
	ck_assert(!flaky.attempts[0].cancelled);
	ck_assert(flaky.attempts[1].cancelled);
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
	finish(0, &failure); /* and there is no other one */
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(flaky.count, 2);
}
END_TEST

START_TEST(the_send_rule_holds_through_it)
{
	char kib[1024] = { 0 };
	int sent = 0, r;

	flaky_begin(all_hang);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	pair_settle(&pair);
	pair.client.held = true;
	while (sent < 10000) {
		r = minirpc_call_send(probe.call, kib, sizeof kib);
		if (r == 0) {
			sent++;
			continue;
		}
		ck_assert_int_eq(r, -EAGAIN);
		pair_settle(&pair);
		if (minirpc_call_send(probe.call, kib, sizeof kib) == -EAGAIN)
			break;
		sent++;
	}
	/* the two queues and what the host is shown of the connection */
	ck_assert_int_ge(sent, 120);
	ck_assert_int_le(sent, 400);
	pair_release(&pair);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_send(probe.call, kib, sizeof kib), 0);
}
END_TEST

static unsigned got;

static void count_message(minirpc_call *c, const struct minirpc_message *message, void *user)
{
	(void)c;
	(void)user;
	got++;
	ck_assert_uint_eq(message->len, 1000);
}

static void count_end(minirpc_call *c, const struct minirpc_status *status, void *user)
{
	struct probe *p = user;

	(void)c;
	p->ends++;
	p->code = status->code;
}

/* N-2 */
START_TEST(a_reader_that_pauses_holds_the_writer_off)
{
	static const struct minirpc_call_events events = { .on_message = count_message,
							   .on_end = count_end };
	char text[1000] = { 0 };
	minirpc_call *server;
	int sent = 0, more = 0;

	got = 0;
	open_with(0, &(struct minirpc_channel_options){ .limits = { .stream_window = 65536 } });
	flaky_begin(all_hang);
	ck_assert_int_eq(
		minirpc_call_open(&probe.call, pair.channel, &flaky_stream, NULL, &events, &probe),
		0);
	pair_settle(&pair);
	server = flaky.attempts[0].call;
	minirpc_call_pause(probe.call);
	for (int round = 0; round < 100; round++) {
		while (minirpc_call_send(server, text, sizeof text) == 0)
			sent++;
		pair_settle(&pair);
	}
	/* the window, and the server's queue: 128 KiB */
	ck_assert_int_ge(sent, 120);
	ck_assert_int_le(sent, 140);
	ck_assert_uint_eq(got, 0);
	minirpc_call_resume(probe.call);
	pair_settle(&pair);
	for (int round = 0; round < 100; round++) {
		while (more < 2000 && minirpc_call_send(server, text, sizeof text) == 0)
			more++;
		pair_settle(&pair);
	}
	ck_assert_int_eq(more, 2000); /* no credit is lost */
	ck_assert_uint_eq(got, (unsigned)(sent + more));
	finish(0, &(const struct flaky_step){ .code = MINIRPC_UNAVAILABLE });
	ck_assert_uint_eq(probe.ends, 1);
}
END_TEST

START_TEST(a_message_larger_than_the_window_passes)
{
	static char big[300000];
	minirpc_call *server;

	memset(big, 'y', sizeof big);
	open_with(0, &(struct minirpc_channel_options){ .limits = { .stream_window = 65536 } });
	flaky_begin(all_hang);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	pair_settle(&pair);
	server = flaky.attempts[0].call;
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(minirpc_call_send(server, big, sizeof big), 0);
		pair_settle(&pair);
		ck_assert_uint_eq(probe.messages, i + 1);
	}
	call(all_hang); /* a single response waits for the end behind it */
	ck_assert_int_eq(minirpc_call_send(flaky.attempts[0].call, big, sizeof big), 0);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_end(flaky.attempts[0].call, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(compressed_messages_stay_so_in_both_directions)
{
	char text[2000];

	memset(text, 'z', sizeof text);
	open_with(0, &(struct minirpc_channel_options){ .compression = "gzip" });
	flaky_begin(all_hang);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	ck_assert_int_eq(minirpc_call_send(probe.call, text, sizeof text), 0);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_MS(100));
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_str_eq(flaky.attempts[i].compression, "gzip");
		ck_assert_uint_eq(strlen(flaky.attempts[i].got), 255);
		ck_assert(minirpc_call_was_compressed(flaky.attempts[i].call));
	}
	ck_assert_int_eq(minirpc_call_set_compression(flaky.attempts[1].call, "gzip"), 0);
	ck_assert_int_eq(minirpc_call_send(flaky.attempts[1].call, text, sizeof text), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.messages, 1);
	ck_assert_uint_eq(strlen(probe.last), 63);
	ck_assert(minirpc_call_was_compressed(probe.call));
	ck_assert_str_eq(minirpc_call_peer_compression(probe.call), "gzip");
	finish(1, &success);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(metadata_and_the_details_of_a_status_come_through)
{
	const struct minirpc_field fields[] = { { "a", "1" }, { "b-bin", "\0\1", 2 }, { 0 } };
	minirpc_call *server;

	call_with(all_hang, &(struct minirpc_call_options){ .metadata = fields });
	pair_advance(&pair, MINIRPC_MS(100));
	for (unsigned i = 0; i < 2; i++) {
		const struct minirpc_metadata *metadata =
			minirpc_call_headers(flaky.attempts[i].call);

		ck_assert_str_eq(minirpc_metadata_get(metadata, "a"), "1");
		ck_assert_uint_eq(minirpc_metadata_find(metadata, "b-bin", NULL)->len, 2);
	}
	server = flaky.attempts[1].call;
	ck_assert_int_eq(minirpc_call_send_headers(server, fields), 0);
	pair_settle(&pair);
	ck_assert_str_eq(minirpc_metadata_get(minirpc_call_headers(probe.call), "a"), "1");
	ck_assert_int_eq(minirpc_call_set_trailers(server, fields), 0);
	ck_assert_int_eq(
		minirpc_call_end(server, &(struct minirpc_status){ .code = MINIRPC_NOT_FOUND,
								   .message = "not here",
								   .details = "xyz",
								   .details_len = 3 }),
		0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(probe.text, "not here");
}
END_TEST

/* ---- Interceptors for each attempt ---- */

static struct {
	unsigned headers, messages, ends, closes, received;
	enum minirpc_code codes[16];
	char previous[16][8];
	bool hold;
	minirpc_hook *held;
} watched;

static enum minirpc_verdict watch_send(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	(void)user;
	if (part->kind == MINIRPC_PART_HEADERS) {
		watched.headers++;
		ck_assert_int_eq(minirpc_hook_set_metadata(
					 hook, &(const struct minirpc_field){ "attempt", "yes" }),
				 0);
		if (watched.hold) {
			watched.held = hook;
			return MINIRPC_HOLD;
		}
	} else if (part->kind == MINIRPC_PART_MESSAGE) {
		watched.messages++;
		ck_assert_int_eq(minirpc_hook_set_message(hook, "changed", 7), 0);
	} else {
		watched.ends++;
	}
	return MINIRPC_PASS;
}

static enum minirpc_verdict watch_receive(minirpc_hook *hook, const struct minirpc_part *part,
					  void *user)
{
	(void)user;
	watched.received++;
	if (part->kind == MINIRPC_PART_MESSAGE)
		ck_assert_int_eq(minirpc_hook_set_message(hook, "answer", 6), 0);
	return MINIRPC_PASS;
}

static void watch_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	(void)hook;
	(void)user;
	watched.codes[watched.closes++] = status->code;
}

static const struct minirpc_interceptor watcher = {
	.name = "watcher",
	.per_attempt = true,
	.on_send = watch_send,
	.on_receive = watch_receive,
	.on_close = watch_close,
};

static const struct minirpc_use watchers[] = { { &watcher, NULL }, { NULL, NULL } };

static const struct minirpc_retry_policy retry = {
	.max_attempts = 4,
	.initial_backoff = MINIRPC_MS(100),
	.max_backoff = MINIRPC_MS(100),
	.backoff_multiplier = 1,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
};

static void open_watched(const struct minirpc_retry_policy *with, const struct minirpc_use *uses,
			 const char *compression)
{
	memset(&watched, 0, sizeof watched);
	pair_close(&pair);
	pair_open(&pair, NULL,
		  &(struct minirpc_channel_options){
			  .interceptors = uses,
			  .compression = compression,
			  .service_config = &(struct minirpc_service_config){
				  .methods = &(struct minirpc_method_config){ .retry = with },
				  .method_count = 1 } });
	flaky_serve(pair.server);
	pair_connect(&pair);
	pair_settle(&pair);
}

START_TEST(an_interceptor_for_each_attempt_sees_every_retry)
{
	open_watched(&retry, watchers, NULL);
	probe.on_end = keep_attempts;
	call((const struct flaky_step[]){ FAILURE, FAILURE, SUCCESS });
	pair_advance(&pair, MINIRPC_MS(121));
	pair_advance(&pair, MINIRPC_MS(121));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "answer");
	ck_assert_uint_eq(flaky.count, 3);
	ck_assert_str_eq(flaky.attempts[2].got, "changed");
	ck_assert_str_eq(flaky.attempts[2].previous, "2");
	ck_assert_uint_eq(watched.headers, 3);
	ck_assert_uint_eq(watched.messages, 3);
	ck_assert_uint_eq(watched.ends, 3);
	ck_assert_uint_eq(watched.closes, 3);
	ck_assert_int_eq(watched.codes[0], MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(watched.codes[2], MINIRPC_OK);
	ck_assert_uint_eq(counts().retries, 2);
	ck_assert_uint_eq(told_count, 3);
}
END_TEST

START_TEST(an_interceptor_for_each_attempt_sees_transparent_ones_too)
{
	open_watched(NULL, watchers, NULL);
	pair.client.held = true;
	call((const struct flaky_step[]){ FAILURE, SUCCESS });
	refuse();
	pair.client.held = false;
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_uint_eq(watched.headers, 2);
	ck_assert_uint_eq(probe.ends, 1); /* no policy: no retry */
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(watched.closes, 2);
}
END_TEST

START_TEST(a_calls_own_interceptors_may_be_for_each_attempt_and_hold_it)
{
	open_watched(&retry, NULL, NULL);
	watched.hold = true;
	call_with((const struct flaky_step[]){ FAILURE, SUCCESS },
		  &(struct minirpc_call_options){ .interceptors = watchers });
	ck_assert_uint_eq(flaky.count, 0);
	minirpc_hook_resume(watched.held, true, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 1);
	pair_advance(&pair, MINIRPC_MS(121));
	ck_assert_uint_eq(watched.headers, 2);
	ck_assert_uint_eq(flaky.count, 1);
	minirpc_hook_resume(watched.held, true, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(compression_comes_behind_the_interceptors_of_an_attempt)
{
	open_watched(&retry, watchers, "gzip");
	call((const struct flaky_step[]){ FAILURE, SUCCESS });
	pair_advance(&pair, MINIRPC_MS(121));
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(flaky.attempts[1].got, "changed");
	ck_assert_str_eq(flaky.attempts[1].compression, "gzip");
	ck_assert_str_eq(probe.last, "answer");

	/* and what comes is inflated once only */
	flaky_begin(all_hang);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_set_compression(flaky.attempts[0].call, "gzip"), 0);
	ck_assert_int_eq(minirpc_call_send(flaky.attempts[0].call, "zzzzzzzzzzzz", 12), 0);
	pair_settle(&pair);
	ck_assert_str_eq(probe.last, "answer");
	ck_assert(minirpc_call_was_compressed(probe.call));
	minirpc_call_cancel(probe.call);
}
END_TEST

START_TEST(an_attempt_that_an_interceptor_stops_has_failed)
{
	const struct minirpc_status no = { .code = MINIRPC_UNAUTHENTICATED, .message = "no token" };

	open_watched(&retry, watchers, NULL);
	watched.hold = true;
	call((const struct flaky_step[]){ SUCCESS });
	minirpc_hook_resume(watched.held, true, &no);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 0);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
	ck_assert_str_eq(probe.text, "no token");
}
END_TEST

static TCase *new_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(s, t);
	return t;
}

Suite *suite(void)
{
	Suite *s = suite_create("client/hedge");
	TCase *t = new_case(s, "when");

	tcase_add_test(t, R_8_the_next_attempt_goes_out_after_the_delay_and_the_first_answer_wins);
	tcase_add_test(t, R_8_no_more_than_max_attempts_and_then_whoever_answers);
	tcase_add_test(t, R_8_the_cap_of_the_channel_counts);
	tcase_add_test(t, R_8_without_a_delay_all_go_out_at_once);
	tcase_add_test(t, R_8_a_non_fatal_failure_sends_the_next_at_once_and_the_delay_begins_anew);
	tcase_add_test(t, R_8_a_fatal_failure_ends_all);
	tcase_add_test(t, R_8_when_all_have_failed_the_call_has);
	tcase_add_test(t, R_8_one_that_still_runs_may_succeed_when_all_others_have_failed);
	tcase_add_test(t, R_8_response_headers_choose_an_attempt_and_its_end_is_the_calls);
	t = new_case(s, "pushback and throttle");
	tcase_add_test(t, R_5_pushback_puts_the_next_hedge_off);
	tcase_add_test(t, R_5_pushback_that_says_no_means_no_more_hedges);
	tcase_add_test(t, R_7_the_throttle_holds_hedges_back_but_never_the_first_attempt);
	tcase_add_test(t, R_7_a_hedge_that_was_put_off_and_is_throttled_then_ends_the_call);
	t = new_case(s, "ends");
	tcase_add_test(t, a_deadline_ends_all_attempts);
	tcase_add_test(t, cancel_abort_parent_and_the_channels_end_reach_every_attempt);
	tcase_add_test(t, the_channel_may_be_freed_in_on_end);
	tcase_add_test(t, attempts_wait_for_a_connection_as_any_call);
	tcase_add_test(t, R_4_an_attempt_that_was_refused_unseen_is_made_again_for_nothing);
	t = new_case(s, "messages");
	tcase_add_test(t,
		       a_stream_is_given_to_each_attempt_and_goes_on_with_the_one_that_was_chosen);
	tcase_add_test(t,
		       R_3_what_overflows_the_replay_buffer_chooses_the_attempt_that_has_sent_most);
	tcase_add_test(t, the_send_rule_holds_through_it);
	tcase_add_test(t, a_reader_that_pauses_holds_the_writer_off);
	tcase_add_test(t, a_message_larger_than_the_window_passes);
	tcase_add_test(t, compressed_messages_stay_so_in_both_directions);
	tcase_add_test(t, metadata_and_the_details_of_a_status_come_through);
	t = new_case(s, "interceptors");
	tcase_add_test(t, an_interceptor_for_each_attempt_sees_every_retry);
	tcase_add_test(t, an_interceptor_for_each_attempt_sees_transparent_ones_too);
	tcase_add_test(t, a_calls_own_interceptors_may_be_for_each_attempt_and_hold_it);
	tcase_add_test(t, compression_comes_behind_the_interceptors_of_an_attempt);
	tcase_add_test(t, an_attempt_that_an_interceptor_stops_has_failed);
	return s;
}

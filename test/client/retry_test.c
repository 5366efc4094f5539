/* SPDX-License-Identifier: MIT */
/* Retries by a policy: when, how often, and when not [A6]. A pipe, and a clock turned by hand. */
#include "client/flaky.h"
#include "run_suite.h"

#include "call/call.h"
#include "client/channel.h"
#include "client/retry.h"

#include <errno.h>
#include <minirpc/minirpc.h>
#include <stdio.h>
#include <string.h>

static struct pair pair;
static struct probe probe;

static void open_with(const struct minirpc_retry_policy *retry, double max_tokens,
		      const struct minirpc_channel_options *more)
{
	flaky_open(&pair, retry, NULL, max_tokens, more);
	probe = (struct probe){ 0 };
}

static void setup(void)
{
	open_with(&flaky_policy, 0, NULL);
}

static void teardown(void)
{
	pair_close(&pair);
}

static void call_with(const struct flaky_step *steps, const struct minirpc_call_options *options)
{
	flaky_begin(steps);
	probe = (struct probe){ 0 };
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

/* From one attempt to the next. */
static minirpc_time gap(unsigned attempt)
{
	return flaky.attempts[attempt].at - flaky.attempts[attempt - 1].at;
}

/* In small steps, so that attempts show when they came. */
static void pass(minirpc_time span)
{
	minirpc_time step = MINIRPC_MS(1);

	for (; span > 0; span -= step)
		pair_advance(&pair, span < step ? span : step);
}

#define ck_gap(attempt, low, high)                                                                 \
	do {                                                                                       \
		ck_assert_int_ge(gap(attempt), low);                                               \
		ck_assert_int_le(gap(attempt), (high) + MINIRPC_MS(1));                            \
	} while (0)

/* ---- When ---- */

START_TEST(R_2_each_wait_is_longer_and_within_its_jitter_up_to_the_cap)
{
	const struct flaky_step steps[] = { FAILURE, FAILURE, FAILURE, FAILURE, FAILURE, SUCCESS };
	struct minirpc_retry_policy six = flaky_policy;

	six.max_attempts = 6;
	six.max_backoff = MINIRPC_MS(300);
	open_with(&six, 0, &(struct minirpc_channel_options){ .max_attempts = 6 });
	for (uint64_t seed = 0; seed < 20; seed++) {
		mrpc_channel_seed(pair.channel, seed);
		call(steps);
		pass(MINIRPC_S(2));
		ck_assert_uint_eq(probe.ends, 1);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_uint_eq(flaky.count, 6);
		ck_gap(1, MINIRPC_MS(80), MINIRPC_MS(120));
		ck_gap(2, MINIRPC_MS(160), MINIRPC_MS(240));
		ck_gap(3, MINIRPC_MS(240), MINIRPC_MS(360)); /* the cap, with its jitter */
		ck_gap(4, MINIRPC_MS(240), MINIRPC_MS(360));
		ck_gap(5, MINIRPC_MS(240), MINIRPC_MS(360));
	}
	ck_assert_uint_eq(counts().retries, 100);
}
END_TEST

START_TEST(R_2_the_jitter_reaches_from_four_to_six_fifths)
{
	const minirpc_time span = MINIRPC_S(1);
	minirpc_time low = MINIRPC_NEVER, high = 0;
	struct mrpc_retry_plan plan;

	for (int i = 0; i < 10000; i++) {
		minirpc_time at;
		struct minirpc_metadata none = { 0 };
		struct minirpc_retry_policy one = flaky_policy;

		one.initial_backoff = span;
		plan = (struct mrpc_retry_plan){ .policy = &one, .attempts = 1 };
		ck_assert(mrpc_retry_plan_next(
			&plan, pair.channel,
			&(struct minirpc_status){ .code = MINIRPC_UNAVAILABLE }, &none, &at));
		low = at < low ? at : low;
		high = at > high ? at : high;
	}
	ck_assert_int_ge(low, span / 5 * 4);
	ck_assert_int_le(low, span / 100 * 81);
	ck_assert_int_le(high, span / 5 * 6);
	ck_assert_int_ge(high, span / 100 * 119);
}
END_TEST

START_TEST(a_seed_replays_the_same_times)
{
	const struct flaky_step steps[] = { FAILURE, FAILURE, FAILURE, SUCCESS };
	minirpc_time first[4];

	for (int round = 0; round < 2; round++) {
		mrpc_channel_seed(pair.channel, 42);
		call(steps);
		pass(MINIRPC_S(2));
		ck_assert_uint_eq(flaky.count, 4);
		for (unsigned i = 1; i < 4; i++) {
			if (round == 0)
				first[i] = gap(i);
			ck_assert_int_eq(gap(i), first[i]);
		}
	}
}
END_TEST

START_TEST(a_retry_does_not_begin_a_nanosecond_before_its_time)
{
	const struct flaky_step steps[] = { FAILURE, SUCCESS };
	uint64_t seed = 7;
	minirpc_time span = mrpc_jitter(&seed, flaky_policy.initial_backoff);

	mrpc_channel_seed(pair.channel, 7);
	call(steps);
	pair_advance(&pair, span - 1);
	ck_assert_uint_eq(flaky.count, 1);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_uint_eq(probe.ends, 1);
}
END_TEST

START_TEST(a_policy_of_extremes_waits_no_longer_than_its_cap)
{
	const struct flaky_step steps[] = { FAILURE, FAILURE, FAILURE, SUCCESS };
	struct minirpc_retry_policy wild = flaky_policy;

	wild.backoff_multiplier = 1e300;
	wild.max_backoff = MINIRPC_MS(500);
	open_with(&wild, 0, NULL);
	call(steps);
	pass(MINIRPC_S(2));
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_gap(1, MINIRPC_MS(80), MINIRPC_MS(120));
	ck_gap(2, MINIRPC_MS(400), MINIRPC_MS(600));

	wild.backoff_multiplier = 0.5; /* allowed: ever shorter */
	open_with(&wild, 0, NULL);
	call(steps);
	pass(MINIRPC_S(2));
	ck_gap(2, MINIRPC_MS(40), MINIRPC_MS(60));
	ck_gap(3, MINIRPC_MS(20), MINIRPC_MS(30));
}
END_TEST

/* ---- How often ---- */

START_TEST(R_6_retries_say_how_many_attempts_there_were_and_the_first_says_nothing)
{
	const struct flaky_step steps[] = {
		FAILURE, { .code = MINIRPC_ABORTED }, FAILURE, SUCCESS
	};

	call(steps);
	pass(MINIRPC_S(2));
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(flaky.count, 4);
	ck_assert_str_eq(flaky.attempts[0].previous, "");
	ck_assert_str_eq(flaky.attempts[1].previous, "1");
	ck_assert_str_eq(flaky.attempts[2].previous, "2");
	ck_assert_str_eq(flaky.attempts[3].previous, "3");
	for (unsigned i = 0; i < 4; i++)
		ck_assert_str_eq(flaky.attempts[i].got, "hello");
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_uint_eq(counts().retries, 3);
}
END_TEST

START_TEST(the_last_attempt_is_the_one_whose_status_is_told)
{
	const struct flaky_step steps[] = {
		FAILURE, FAILURE, FAILURE, { .code = MINIRPC_ABORTED }, SUCCESS
	};

	call(steps);
	pass(MINIRPC_S(5));
	ck_assert_uint_eq(flaky.count, 4);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_str_eq(probe.text, "flaky");
}
END_TEST

START_TEST(other_codes_are_not_repeated)
{
	const struct flaky_step steps[] = { { .code = MINIRPC_INTERNAL }, SUCCESS };

	call(steps);
	pass(MINIRPC_S(5));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	ck_assert_uint_eq(counts().retries, 0);
}
END_TEST

/* [P1] */
START_TEST(without_a_policy_a_request_reaches_the_handler_at_most_once)
{
	const struct flaky_step steps[] = { FAILURE, SUCCESS };

	open_with(NULL, 0, NULL);
	call(steps);
	pass(MINIRPC_S(5));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);

	/* also when nobody knows what became of it */
	call((const struct flaky_step[]){ { .hangs = true } });
	ck_assert_uint_eq(flaky.count, 1);
	pair_cut(&pair);
	pair_settle(&pair);
	pair_connect(&pair);
	pass(MINIRPC_S(5));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(a_channel_may_forbid_retries_and_lower_their_number)
{
	const struct flaky_step steps[] = { FAILURE, FAILURE, SUCCESS };

	open_with(&flaky_policy, 0, &(struct minirpc_channel_options){ .no_retry = true });
	call(steps);
	pass(MINIRPC_S(5));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);

	open_with(&flaky_policy, 0, &(struct minirpc_channel_options){ .max_attempts = 2 });
	call(steps);
	pass(MINIRPC_S(5));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(retry_safe_is_for_methods_marked_safe_only)
{
	const struct flaky_step steps[] = { FAILURE, SUCCESS };

	open_with(NULL, 0, &(struct minirpc_channel_options){ .retry_safe = &flaky_policy });
	call(steps);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);

	flaky_begin(steps);
	probe = (struct probe){ 0 };
	probe_call(&probe, pair.channel, &flaky_safe, NULL);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

/* ---- Pushback ---- */

START_TEST(R_5_pushback_is_exact_and_the_backoff_begins_anew)
{
	const struct flaky_step steps[] = {
		FAILURE, FAILURE, { .code = MINIRPC_UNAVAILABLE, .pushback = "777" },
		FAILURE, SUCCESS,
	};
	struct minirpc_retry_policy five = flaky_policy;

	five.max_attempts = 5;
	open_with(&five, 0, NULL);
	call(steps);
	pass(MINIRPC_MS(500));
	ck_assert_uint_eq(flaky.count, 3);
	pair_advance(&pair, flaky.attempts[2].at + MINIRPC_MS(777) - pair.now - 1);
	ck_assert_uint_eq(flaky.count, 3);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(flaky.count, 4);
	ck_assert_int_eq(gap(3), MINIRPC_MS(777));
	pass(MINIRPC_MS(125));
	ck_assert_uint_eq(flaky.count, 5);
	ck_gap(4, MINIRPC_MS(80), MINIRPC_MS(120)); /* the initial one */
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(counts().pushed_back, 1);
}
END_TEST

START_TEST(R_5_pushback_of_zero_is_at_once)
{
	const struct flaky_step steps[] = { { .code = MINIRPC_UNAVAILABLE, .pushback = "0" },
					    SUCCESS };

	call(steps);
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(R_5_negative_or_unparsable_pushback_means_no)
{
	static const char *const texts[] = {
		"-1",   "-2147483648", "-99999999999",         "abc", "",  "1s", "1.5",
		"0x10", "2147483648",  "99999999999999999999", "+5",  " 5"
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		const struct flaky_step steps[] = {
			{ .code = MINIRPC_UNAVAILABLE, .pushback = texts[i] }, SUCCESS
		};

		if (texts[i][0] == ' ') /* does not survive HTTP [M-1] */
			continue;
		call(steps);
		pass(MINIRPC_S(2));
		ck_assert_msg(flaky.count == 1, "%s", texts[i]);
		ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
		ck_assert_uint_eq(counts().pushed_back, i + 1);
	}
	/* two of them are none */
	call((const struct flaky_step[]){
		{ .code = MINIRPC_UNAVAILABLE, .pushback = "1", .second_pushback = "1" },
		SUCCESS });
	pass(MINIRPC_S(2));
	ck_assert_uint_eq(flaky.count, 1);
}
END_TEST

START_TEST(R_5_the_longest_pushback_is_24_days)
{
	const struct flaky_step steps[] = {
		{ .code = MINIRPC_UNAVAILABLE, .pushback = "2147483647" }, SUCCESS
	};

	call(steps);
	pair_advance(&pair, MINIRPC_MS(2147483647) - 1);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(R_5_pushback_makes_no_code_retryable_and_gives_no_further_attempt)
{
	call((const struct flaky_step[]){ { .code = MINIRPC_INTERNAL, .pushback = "1" }, SUCCESS });
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);

	call((const struct flaky_step[]){ { .code = MINIRPC_ABORTED, .pushback = "1" },
					  { .code = MINIRPC_ABORTED, .pushback = "1" },
					  { .code = MINIRPC_ABORTED, .pushback = "1" },
					  { .code = MINIRPC_ABORTED, .pushback = "1" },
					  SUCCESS });
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 4);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
}
END_TEST

/* ---- Commit ---- */

START_TEST(R_3_response_headers_commit_a_call)
{
	call((const struct flaky_step[]){ { .code = MINIRPC_UNAVAILABLE, .headers = true },
					  SUCCESS });
	pass(MINIRPC_S(2));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(probe.headers, 1);

	call((const struct flaky_step[]){ { .code = MINIRPC_UNAVAILABLE, .message = true },
					  SUCCESS });
	pass(MINIRPC_S(2));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(R_3_the_requests_of_a_stream_are_sent_again_and_those_that_came_meanwhile)
{
	const struct flaky_step steps[] = { { .code = MINIRPC_UNAVAILABLE, .hangs = true },
					    { .code = MINIRPC_OK, .hangs = true } };
	const struct flaky_step step = { .code = MINIRPC_UNAVAILABLE };

	flaky_begin(steps);
	probe_call(&probe, pair.channel, &flaky_stream, NULL);
	ck_assert_int_eq(minirpc_call_send(probe.call, "one", 3), 0);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_send(probe.call, "two", 3), 0);
	pair_settle(&pair);
	ck_assert_str_eq(flaky.attempts[0].got, "one,two");
	flaky_finish(0, &step);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_send(probe.call, "three", 5), 0); /* while it rests */
	pair_settle(&pair);
	pass(MINIRPC_MS(121));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_str_eq(flaky.attempts[1].got, "one,two,three");
	ck_assert_int_eq(minirpc_call_send(probe.call, "four", 4), 0);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	pair_settle(&pair);
	flaky_finish(1, &(const struct flaky_step){ .code = MINIRPC_OK });
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "one,two,three,four");
}
END_TEST

START_TEST(R_3_what_overflows_the_replay_buffer_commits)
{
	const struct flaky_step steps[] = { FAILURE, SUCCESS };
	char big[1001] = { 0 };

	memset(big, 'x', 1000);
	for (size_t over = 0; over < 2; over++) {
		open_with(&flaky_policy, 0, &(struct minirpc_channel_options){ .max_replay = 1000 });
		flaky_begin(steps);
		probe_call(&probe, pair.channel, &flaky_stream, NULL);
		ck_assert_int_eq(minirpc_call_send(probe.call, big, 1000 + over), 0);
		ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
		pass(MINIRPC_S(1));
		ck_assert_uint_eq(flaky.count, over == 0 ? 2 : 1);
		ck_assert_int_eq(probe.code, over == 0 ? MINIRPC_OK : MINIRPC_UNAVAILABLE);
		ck_assert_uint_eq(counts().overflowed_replays, over);
	}
}
END_TEST

START_TEST(R_3_a_channel_keeps_no_more_than_its_total)
{
	const struct flaky_step steps[] = {
		{ .hangs = true }, { .hangs = true }, { .hangs = true }, { .hangs = true }, SUCCESS
	};
	struct probe probes[4] = { 0 };
	const struct flaky_step step = FAILURE;

	/* a message weighs its prefix too */
	open_with(&flaky_policy, 0, &(struct minirpc_channel_options){ .max_replay_total = 2 * 105 });
	flaky_begin(steps);
	for (int i = 0; i < 3; i++) {
		char text[100] = { 0 };

		probe_call(&probes[i], pair.channel, &flaky_stream, NULL);
		ck_assert_int_eq(minirpc_call_send(probes[i].call, text, sizeof text), 0);
		ck_assert_int_eq(minirpc_call_end(probes[i].call, NULL), 0);
	}
	pair_settle(&pair);
	ck_assert_uint_eq(counts().overflowed_replays, 1);
	ck_assert_uint_eq(pair.channel->replay.held, 210);
	flaky_finish(2, &step); /* the third was not kept */
	pair_settle(&pair);
	ck_assert_uint_eq(probes[2].ends, 1);
	ck_assert_int_eq(probes[2].code, MINIRPC_UNAVAILABLE);
	flaky_finish(0, &(const struct flaky_step){ .code = MINIRPC_OK });
	pair_settle(&pair);
	ck_assert_uint_eq(probes[0].ends, 1);
	ck_assert_uint_eq(pair.channel->replay.held, 105); /* room again */
	probe_call(&probes[3], pair.channel, &flaky_stream, NULL);
	ck_assert_int_eq(minirpc_call_send(probes[3].call, "", 0), 0);
	ck_assert_uint_eq(pair.channel->replay.held, 110);
	minirpc_call_cancel(probes[3].call);
	ck_assert_uint_eq(pair.channel->replay.held, 105);
	minirpc_call_abort(probes[1].call,
			   &(struct minirpc_status){ .code = MINIRPC_CANCELLED, .message = "" });
	pair_settle(&pair);
	ck_assert_uint_eq(pair.channel->replay.held, 0);
}
END_TEST

START_TEST(a_compressed_request_is_sent_again_as_it_was)
{
	open_with(&flaky_policy, 0, &(struct minirpc_channel_options){ .compression = "gzip" });
	call((const struct flaky_step[]){ FAILURE, SUCCESS });
	pass(MINIRPC_S(1));
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(flaky.attempts[1].got, "hello");
	ck_assert_str_eq(flaky.attempts[1].compression, "gzip");
}
END_TEST

/* ---- Throttle ---- */

START_TEST(R_7_retries_stop_when_the_bucket_is_half_empty_and_come_back_with_successes)
{
	const struct flaky_step failures[] = { FAILURE, FAILURE, FAILURE, FAILURE, SUCCESS };
	const struct flaky_step success[] = { SUCCESS };

	open_with(&flaky_policy, 4, NULL);
	call(failures); /* 4, 3, and at 2 there is no further attempt */
	pass(MINIRPC_S(2));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(counts().throttled, 1);

	call(failures); /* 1 */
	pass(MINIRPC_S(2));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_uint_eq(pair.channel->throttle.tokens, 1000);
	for (int i = 0; i < 6; i++) /* 1.5, 2, 2.5, 3, 3.5, 4 */
		call(success);
	ck_assert_uint_eq(pair.channel->throttle.tokens, 4000);
	call(success);
	ck_assert_uint_eq(pair.channel->throttle.tokens, 4000);
	call((const struct flaky_step[]){ FAILURE, SUCCESS });
	pass(MINIRPC_S(2));
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(R_7_what_costs_a_token)
{
	open_with(&flaky_policy, 1000, NULL);
	call((const struct flaky_step[]){ { .code = MINIRPC_INTERNAL }, SUCCESS });
	ck_assert_uint_eq(pair.channel->throttle.tokens, 1000000); /* the request's own fault */
	call((const struct flaky_step[]){ { .code = MINIRPC_INTERNAL, .pushback = "-1" },
					  SUCCESS });
	ck_assert_uint_eq(pair.channel->throttle.tokens, 999000); /* the server said no */
	call((const struct flaky_step[]){ { .code = MINIRPC_ABORTED, .pushback = "nonsense" },
					  SUCCESS });
	ck_assert_uint_eq(pair.channel->throttle.tokens, 998000);
	/* a call without a policy: its failure has no retryable code, what the server says counts,
	 * and so does its success */
	flaky_begin((const struct flaky_step[]){ SUCCESS });
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(pair.channel->throttle.tokens, 998500);
	/* one that is given up is neither */
	call((const struct flaky_step[]){ { .hangs = true } });
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_uint_eq(pair.channel->throttle.tokens, 998500);
}
END_TEST

START_TEST(a_config_without_a_throttle_takes_it_away)
{
	char text[] = "{ \"retryThrottling\": { \"maxTokens\": 10, \"tokenRatio\": 0.25 } }";

	ck_assert(!mrpc_throttle_is_set(&pair.channel->throttle));
	ck_assert_int_eq(minirpc_channel_set_service_config(pair.channel, text, NULL, 0), 0);
	ck_assert_uint_eq(pair.channel->throttle.max, 10000);
	ck_assert_uint_eq(pair.channel->throttle.ratio, 250);
	ck_assert_int_eq(minirpc_channel_set_service_config(pair.channel, "{}", NULL, 0), 0);
	ck_assert(!mrpc_throttle_is_set(&pair.channel->throttle));
}
END_TEST

/* ---- Deadline, cancellation ---- */

START_TEST(R_2_the_deadline_spans_all_attempts)
{
	const struct flaky_step steps[] = { FAILURE, { .hangs = true } };

	call_with(steps, &(struct minirpc_call_options){ .timeout = MINIRPC_MS(200) });
	ck_assert_int_le(flaky.attempts[0].left, MINIRPC_MS(200));
	pass(MINIRPC_MS(125));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_int_le(flaky.attempts[1].left, MINIRPC_MS(120));
	ck_assert_int_ge(flaky.attempts[1].left, MINIRPC_MS(75));
	pass(MINIRPC_MS(74));
	ck_assert_uint_eq(probe.ends, 0);
	pass(MINIRPC_MS(1));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert(flaky.attempts[1].cancelled);
}
END_TEST

static unsigned attempts_told, codes_told[FLAKY_ATTEMPTS];

static void note_attempts(struct probe *p)
{
	struct minirpc_attempt attempt;

	attempts_told = minirpc_call_attempt_count(p->call);
	for (unsigned i = 0; i < attempts_told; i++) {
		ck_assert(minirpc_call_attempt(p->call, i, &attempt));
		codes_told[i] = attempt.code;
	}
	ck_assert(!minirpc_call_attempt(p->call, attempts_told, &attempt));
}

START_TEST(a_deadline_in_the_backoff_ends_the_call_in_time)
{
	const struct flaky_step steps[] = { FAILURE, SUCCESS };

	flaky_begin(steps);
	probe.on_end = note_attempts;
	probe_call(&probe, pair.channel, &flaky_unary,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_MS(50) });
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_MS(50) - 1);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(attempts_told, 1); /* none was under way */
	ck_assert_uint_eq(codes_told[0], MINIRPC_UNAVAILABLE);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 1);
}
END_TEST

START_TEST(a_call_in_its_backoff_can_be_cancelled_aborted_and_lose_its_channel)
{
	const struct flaky_step steps[] = { FAILURE, SUCCESS };

	call(steps);
	minirpc_call_cancel(probe.call);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(flaky.count, 1);

	call(steps);
	minirpc_call_abort(probe.call,
			   &(struct minirpc_status){ .code = MINIRPC_INTERNAL, .message = "" });
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	ck_assert_uint_eq(flaky.count, 1);

	call(steps);
	pair.channel = minirpc_channel_free(pair.channel);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(flaky.count, 1);
}
END_TEST

START_TEST(a_call_in_its_backoff_ends_with_its_parent)
{
	struct probe parent = { 0 };

	probe_call(&parent, pair.channel, &hang, NULL);
	pair_settle(&pair);
	call_with((const struct flaky_step[]){ FAILURE, SUCCESS },
		  &(struct minirpc_call_options){ .parent = seen.last });
	ck_assert_uint_eq(flaky.count, 1);
	minirpc_call_cancel(parent.call);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_CANCELLED);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 1);
}
END_TEST

START_TEST(a_paused_call_is_repeated_all_the_same)
{
	flaky_begin((const struct flaky_step[]){ FAILURE, SUCCESS });
	probe_call(&probe, pair.channel, &flaky_unary, NULL);
	minirpc_call_pause(probe.call);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_uint_eq(probe.messages, 0);
	ck_assert_uint_eq(probe.ends, 0);
	minirpc_call_resume(probe.call);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.messages, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
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
	Suite *s = suite_create("client/retry");
	TCase *t = new_case(s, "when");

	tcase_add_test(t, R_2_each_wait_is_longer_and_within_its_jitter_up_to_the_cap);
	tcase_add_test(t, R_2_the_jitter_reaches_from_four_to_six_fifths);
	tcase_add_test(t, a_seed_replays_the_same_times);
	tcase_add_test(t, a_retry_does_not_begin_a_nanosecond_before_its_time);
	tcase_add_test(t, a_policy_of_extremes_waits_no_longer_than_its_cap);
	t = new_case(s, "how often");
	tcase_add_test(t, R_6_retries_say_how_many_attempts_there_were_and_the_first_says_nothing);
	tcase_add_test(t, the_last_attempt_is_the_one_whose_status_is_told);
	tcase_add_test(t, other_codes_are_not_repeated);
	tcase_add_test(t, without_a_policy_a_request_reaches_the_handler_at_most_once);
	tcase_add_test(t, a_channel_may_forbid_retries_and_lower_their_number);
	tcase_add_test(t, retry_safe_is_for_methods_marked_safe_only);
	t = new_case(s, "pushback");
	tcase_add_test(t, R_5_pushback_is_exact_and_the_backoff_begins_anew);
	tcase_add_test(t, R_5_pushback_of_zero_is_at_once);
	tcase_add_test(t, R_5_negative_or_unparsable_pushback_means_no);
	tcase_add_test(t, R_5_the_longest_pushback_is_24_days);
	tcase_add_test(t, R_5_pushback_makes_no_code_retryable_and_gives_no_further_attempt);
	t = new_case(s, "commit");
	tcase_add_test(t, R_3_response_headers_commit_a_call);
	tcase_add_test(t,
		       R_3_the_requests_of_a_stream_are_sent_again_and_those_that_came_meanwhile);
	tcase_add_test(t, R_3_what_overflows_the_replay_buffer_commits);
	tcase_add_test(t, R_3_a_channel_keeps_no_more_than_its_total);
	tcase_add_test(t, a_compressed_request_is_sent_again_as_it_was);
	t = new_case(s, "throttle");
	tcase_add_test(t,
		       R_7_retries_stop_when_the_bucket_is_half_empty_and_come_back_with_successes);
	tcase_add_test(t, R_7_what_costs_a_token);
	tcase_add_test(t, a_config_without_a_throttle_takes_it_away);
	t = new_case(s, "ends");
	tcase_add_test(t, R_2_the_deadline_spans_all_attempts);
	tcase_add_test(t, a_deadline_in_the_backoff_ends_the_call_in_time);
	tcase_add_test(t, a_call_in_its_backoff_can_be_cancelled_aborted_and_lose_its_channel);
	tcase_add_test(t, a_call_in_its_backoff_ends_with_its_parent);
	tcase_add_test(t, a_paused_call_is_repeated_all_the_same);
	return s;
}

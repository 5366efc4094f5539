/* SPDX-License-Identifier: MIT */
/* Retries and connections, transparent retries beside those by a policy, and what is seen of attempts. */
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

static void call(const struct flaky_step *steps)
{
	flaky_begin(steps);
	probe = (struct probe){ 0 };
	probe_call(&probe, pair.channel, &flaky_unary, NULL);
	pair_settle(&pair);
}

static struct minirpc_conn_counts counts(void)
{
	struct minirpc_conn_counts now;

	minirpc_channel_counts(pair.channel, &now);
	return now;
}

/* In small steps, so that attempts show when they came. */
static void pass(minirpc_time span)
{
	minirpc_time step = MINIRPC_MS(1);

	for (; span > 0; span -= step)
		pair_advance(&pair, span < step ? span : step);
}

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

/* ---- Connections ---- */

START_TEST(a_call_on_a_connection_that_breaks_is_repeated_on_the_next)
{
	call((const struct flaky_step[]){ { .code = MINIRPC_UNAVAILABLE, .hangs = true },
					  SUCCESS });
	ck_assert_uint_eq(flaky.count, 1);
	pair_cut(&pair);
	pair_settle(&pair);
	pass(MINIRPC_MS(121)); /* and now it waits */
	ck_assert_uint_eq(probe.ends, 0);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_str_eq(flaky.attempts[1].previous, "1");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(a_server_that_cannot_be_reached_fails_attempts)
{
	struct minirpc_service_config config = {
		.methods = &(struct minirpc_method_config){ .retry = &flaky_policy },
		.method_count = 1,
	};
	minirpc_channel *channel;

	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "unix:/nonexistent/socket",
				    &(struct minirpc_channel_options){ .service_config = &config }),
		0);
	probe = (struct probe){ .on_end = note_attempts };
	probe_call(&probe, channel, &flaky_unary, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 0);
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(attempts_told, 4);
	minirpc_channel_free(channel);
}
END_TEST

START_TEST(a_call_that_waits_for_ready_fails_no_attempt_by_waiting)
{
	pair_cut(&pair);
	pair_settle(&pair);
	flaky_begin((const struct flaky_step[]){ FAILURE, SUCCESS });
	probe_call(&probe, pair.channel, &flaky_unary,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	pass(MINIRPC_S(5));
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_str_eq(flaky.attempts[0].previous, "");
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(flaky.count, 2);
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

/* [P3] */
START_TEST(R_4_a_transparent_retry_counts_for_nothing)
{
	open_with(&flaky_policy, 10, NULL);
	pair.client.held = true;
	flaky_begin((const struct flaky_step[]){ FAILURE, FAILURE, FAILURE, SUCCESS });
	probe.on_end = note_attempts;
	probe_call(&probe, pair.channel, &flaky_unary, NULL);
	refuse();
	ck_assert_uint_eq(pair.channel->throttle.tokens, 10000);
	pair.client.held = false;
	pair_connect(&pair);
	pair_settle(&pair); /* at once, without a backoff */
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_str_eq(flaky.attempts[0].previous, "");
	pass(MINIRPC_S(2));
	ck_assert_uint_eq(flaky.count, 4); /* all of the policy's */
	ck_assert_str_eq(flaky.attempts[3].previous, "3");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(counts().transparent_retries, 1);
	ck_assert_uint_eq(counts().retries, 3);
	ck_assert_uint_eq(attempts_told, 5);
}
END_TEST

START_TEST(R_4_the_second_refusal_is_the_policys)
{
	pair.client.held = true;
	flaky_begin((const struct flaky_step[]){ SUCCESS });
	probe_call(&probe, pair.channel, &flaky_unary, NULL);
	refuse();
	pair_connect(&pair);
	refuse();
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(counts().transparent_retries, 1);
	pair.client.held = false;
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 0); /* it rests */
	pass(MINIRPC_MS(121));
	ck_assert_uint_eq(flaky.count, 1);
	ck_assert_str_eq(flaky.attempts[0].previous, "1");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(R_4_after_an_attempt_that_counts_a_refusal_counts_too)
{
	flaky_begin((const struct flaky_step[]){ FAILURE, SUCCESS });
	probe_call(&probe, pair.channel, &flaky_unary, NULL);
	pair_settle(&pair);
	pair.client.held = true;
	pass(MINIRPC_MS(121));
	refuse(); /* the retry */
	pair.client.held = false;
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(flaky.count, 1);
	pass(MINIRPC_MS(241));
	ck_assert_uint_eq(flaky.count, 2);
	ck_assert_str_eq(flaky.attempts[1].previous, "2");
	ck_assert_uint_eq(counts().transparent_retries, 0);
}
END_TEST

/* ---- To look at ---- */

static struct minirpc_attempt told[8];
static char told_texts[8][64];

static void keep_attempts(struct probe *p)
{
	attempts_told = minirpc_call_attempt_count(p->call);
	for (unsigned i = 0; i < attempts_told; i++) {
		ck_assert(minirpc_call_attempt(p->call, i, &told[i]));
		snprintf(told_texts[i], sizeof told_texts[i], "%s|%s", told[i].peer,
			 told[i].message);
	}
}

START_TEST(attempts_are_seen_while_the_call_goes_on_and_at_its_end)
{
	struct minirpc_attempt attempt;
	minirpc_time began = pair.now;

	flaky_begin((const struct flaky_step[]){ FAILURE, { .code = MINIRPC_ABORTED }, SUCCESS });
	probe.on_end = keep_attempts;
	probe_call(&probe, pair.channel, &flaky_unary, NULL);
	ck_assert_uint_eq(minirpc_call_attempt_count(probe.call), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(minirpc_call_attempt_count(probe.call), 1);
	ck_assert(minirpc_call_attempt(probe.call, 0, &attempt));
	ck_assert_int_eq(attempt.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(attempt.message, "flaky");
	ck_assert_str_eq(attempt.peer, "pipe:server");
	ck_assert(!minirpc_call_attempt(probe.call, 1, &attempt));
	pass(MINIRPC_S(1));
	ck_assert_uint_eq(attempts_told, 3);
	ck_assert_int_eq(told[0].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(told[1].code, MINIRPC_ABORTED);
	ck_assert_int_eq(told[2].code, MINIRPC_OK);
	ck_assert_str_eq(told_texts[1], "pipe:server|flaky");
	ck_assert_str_eq(told_texts[2], "pipe:server|");
	ck_assert_int_eq(told[0].started, began);
	ck_assert_int_eq(told[1].started, flaky.attempts[1].at);
	ck_assert_int_eq(told[1].ended, flaky.attempts[1].at);
	ck_assert_int_eq(told[2].started, flaky.attempts[2].at);
	ck_assert(!told[0].transparent && !told[2].transparent);
}
END_TEST

START_TEST(an_ordinary_call_has_one_attempt_and_a_servers_none)
{
	open_with(NULL, 0, NULL);
	probe.on_end = keep_attempts;
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(minirpc_call_attempt_count(seen.last), 0);
	ck_assert_uint_eq(minirpc_call_attempt_count(probe.call), 0);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(attempts_told, 1);
	ck_assert_int_eq(told[0].code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(transparent_attempts_are_shown_but_not_without_end)
{
	struct probe first[10] = { 0 };

	pair_close(&pair);
	pair_open(&pair, &(struct minirpc_server_options){ .limits = { .max_streams = 1 } }, NULL);
	for (int i = 0; i < 10; i++)
		probe_call(&first[i], pair.channel, &hang, NULL);
	probe = (struct probe){ .on_end = keep_attempts };
	probe_call(&probe, pair.channel, &echo, NULL);
	for (int i = 0; i < 10; i++) {
		pair_connect(&pair);
		pair_release(&pair);
		pair_settle(&pair);
		pair_cut(&pair);
		pair_settle(&pair);
	}
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(attempts_told, 5);
	ck_assert(told[0].transparent && told[3].transparent && !told[4].transparent);
	ck_assert_int_eq(told[0].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(told[4].code, MINIRPC_OK);
	ck_assert_uint_eq(counts().transparent_retries, 55);
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
	Suite *s = suite_create("client/attempts");
	TCase *t = new_case(s, "connections");

	tcase_add_test(t, a_call_on_a_connection_that_breaks_is_repeated_on_the_next);
	tcase_add_test(t, a_server_that_cannot_be_reached_fails_attempts);
	tcase_add_test(t, a_call_that_waits_for_ready_fails_no_attempt_by_waiting);
	tcase_add_test(t, R_4_a_transparent_retry_counts_for_nothing);
	tcase_add_test(t, R_4_the_second_refusal_is_the_policys);
	tcase_add_test(t, R_4_after_an_attempt_that_counts_a_refusal_counts_too);
	t = new_case(s, "to look at");
	tcase_add_test(t, attempts_are_seen_while_the_call_goes_on_and_at_its_end);
	tcase_add_test(t, an_ordinary_call_has_one_attempt_and_a_servers_none);
	tcase_add_test(t, transparent_attempts_are_shown_but_not_without_end);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Limits at both ends: the n-th call and the one above, order, time, and those who leave the queue. */
#include "client/pair.h"
#include "run_suite.h"

#include <minirpc/interceptors.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CALLS = 8 };

static struct pair pair;
static minirpc_limiter *limiter;
static struct probe probes[CALLS];
static char pushbacks[CALLS][16];

static void open_pair(const struct minirpc_limiter_options *options, bool at_server)
{
	struct minirpc_use uses[2] = { { NULL } };

	memset(probes, 0, sizeof probes);
	memset(pushbacks, 0, sizeof pushbacks);
	ck_assert_int_eq(minirpc_limiter_new(&limiter, options), 0);
	uses[0] = minirpc_limiter_use(limiter);
	pair_open(&pair,
		  &(struct minirpc_server_options){ .interceptors = at_server ? uses : NULL },
		  &(struct minirpc_channel_options){ .interceptors = at_server ? NULL : uses });
	pair_connect(&pair);
	pair_settle(&pair);
}

static void teardown(void)
{
	pair_close(&pair);
	limiter = minirpc_limiter_free(limiter);
}

static void note_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;
	const char *pushback =
		minirpc_metadata_get(minirpc_call_trailers(call), "grpc-retry-pushback-ms");

	snprintf(pushbacks[probe - probes], sizeof pushbacks[0], "%s",
		 pushback == NULL ? "none" : pushback);
	probe_events.on_end(call, status, user);
}

static const struct minirpc_call_events events = { .on_end = note_end };

static void start(int i, const struct minirpc_method *method)
{
	probes[i] = (struct probe){ 0 };
	ck_assert_int_eq(
		minirpc_call_open(&probes[i].call, pair.channel, method,
				  &(struct minirpc_call_options){ .timeout = MINIRPC_S(60) },
				  &events, &probes[i]),
		0);
	ck_assert_int_eq(minirpc_call_send(probes[i].call, "hello", 5), 0);
	ck_assert_int_eq(minirpc_call_end(probes[i].call, NULL), 0);
	pair_settle(&pair);
}

static struct minirpc_limiter_counts counts(void)
{
	struct minirpc_limiter_counts now;

	minirpc_limiter_counts(limiter, &now);
	return now;
}

static uint64_t started_at_server(void)
{
	struct minirpc_conn_counts now;

	minirpc_server_counts(pair.server, &now);
	return now.calls_started;
}

/* ---- At a server ---- */

START_TEST(a_server_answers_the_call_above_the_limit_and_says_when_to_come_back) /* */
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 2 }, true);
	start(0, &hang);
	start(1, &hang);
	start(2, &hang);
	ck_assert_uint_eq(probes[0].ends + probes[1].ends, 0);
	ck_assert_int_eq(probes[2].code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(probes[2].text, "too many calls at once");
	ck_assert_str_eq(pushbacks[2], "1000");
	ck_assert_uint_eq(seen.calls, 2);
	ck_assert_uint_eq(counts().running, 2);
	ck_assert_uint_eq(counts().refused, 1);

	minirpc_call_cancel(probes[0].call);
	pair_settle(&pair);
	ck_assert_uint_eq(counts().running, 1);
	start(3, &echo);
	ck_assert_int_eq(probes[3].code, MINIRPC_OK);
	ck_assert_uint_eq(counts().running, 1);
	start(4, &hang);
	start(5, &echo);
	ck_assert_int_eq(probes[5].code, MINIRPC_RESOURCE_EXHAUSTED);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(counts().running, 0);
	ck_assert_uint_eq(counts().passed, 4);
}
END_TEST

START_TEST(pushback_may_be_chosen_or_left_out) /* */
{
	static const struct {
		minirpc_time pushback;
		const char *text;
	} cases[] = { { MINIRPC_MS(20), "20" }, { -1, "none" } };

	for (size_t i = 0; i < 2; i++) {
		open_pair(&(struct minirpc_limiter_options){ .max_calls = 1,
							     .pushback = cases[i].pushback },
			  true);
		start(0, &hang);
		start(1, &hang);
		ck_assert_int_eq(probes[1].code, MINIRPC_RESOURCE_EXHAUSTED);
		ck_assert_str_eq(pushbacks[1], cases[i].text);
		teardown();
	}
}
END_TEST

START_TEST(a_server_lets_in_so_many_in_a_second_and_says_when_the_next_may_come) /* */
{
	open_pair(&(struct minirpc_limiter_options){ .per_second = 10, .burst = 2 }, true);
	start(0, &echo);
	start(1, &echo);
	start(2, &echo);
	ck_assert_int_eq(probes[1].code, MINIRPC_OK);
	ck_assert_int_eq(probes[2].code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(probes[2].text, "too many calls in a second");
	ck_assert_str_eq(pushbacks[2], "100");
	pair_advance(&pair, MINIRPC_MS(100) - 1);
	start(3, &echo);
	ck_assert_str_eq(pushbacks[3], "1");
	pair_advance(&pair, 1);
	start(4, &echo);
	ck_assert_int_eq(probes[4].code, MINIRPC_OK);
	start(5, &echo);
	ck_assert_int_eq(probes[5].code, MINIRPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(a_server_may_let_them_wait_too)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1, .queue = 1 }, true);
	start(0, &hang);
	start(1, &echo);
	start(2, &echo);
	ck_assert_uint_eq(probes[1].ends, 0);
	ck_assert_int_eq(probes[2].code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_uint_eq(seen.calls, 1);
	minirpc_call_cancel(probes[0].call);
	pair_settle(&pair);
	ck_assert_int_eq(probes[1].code, MINIRPC_OK);
	ck_assert_str_eq(pushbacks[1], "none");
}
END_TEST

/* ---- At a client ---- */

START_TEST(a_clients_calls_wait_in_order_and_nothing_of_them_is_sent)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1 }, false);
	start(0, &hang);
	for (int i = 1; i < 4; i++)
		start(i, i == 1 ? &hang : &echo);
	ck_assert_uint_eq(started_at_server(), 1);
	ck_assert_uint_eq(counts().waiting, 3);

	minirpc_call_cancel(probes[0].call);
	pair_settle(&pair);
	ck_assert_uint_eq(started_at_server(), 2); /* 1, which hangs */
	ck_assert_uint_eq(probes[2].ends + probes[3].ends, 0);
	minirpc_call_cancel(probes[1].call);
	pair_settle(&pair);
	ck_assert_int_eq(probes[2].code, MINIRPC_OK);
	ck_assert_int_eq(probes[3].code, MINIRPC_OK);
	ck_assert_uint_eq(probes[2].ends + probes[3].ends, 2);
	ck_assert_uint_eq(counts().running + counts().waiting, 0);
	ck_assert_uint_eq(counts().passed, 4);
	ck_assert_uint_eq(counts().waited, 3);
}
END_TEST

START_TEST(a_queue_has_an_end)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1, .queue = 2 }, false);
	for (int i = 0; i < 4; i++)
		start(i, &hang);
	ck_assert_uint_eq(probes[2].ends, 0);
	ck_assert_int_eq(probes[3].code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_uint_eq(started_at_server(), 1);
	teardown();
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1, .queue = UINT32_MAX }, false);
	start(0, &hang);
	start(1, &hang);
	ck_assert_int_eq(probes[1].code, MINIRPC_RESOURCE_EXHAUSTED);
}
END_TEST

START_TEST(who_leaves_the_queue_takes_nobodys_place)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1 }, false);
	start(0, &hang);
	start(1, &hang);
	start(2, &hang);
	start(3, &echo);
	minirpc_call_cancel(probes[1].call);
	pair_settle(&pair);
	ck_assert_uint_eq(counts().waiting, 2);
	ck_assert_uint_eq(counts().running, 1);
	ck_assert_int_eq(minirpc_call_abort(probes[2].call,
					    &(struct minirpc_status){ .code = MINIRPC_CANCELLED }),
			 0);
	minirpc_call_cancel(probes[0].call);
	pair_settle(&pair);
	ck_assert_int_eq(probes[2].code, MINIRPC_CANCELLED);
	ck_assert_int_eq(probes[3].code, MINIRPC_OK);
	ck_assert_uint_eq(started_at_server(), 2);
	ck_assert_uint_eq(counts().running + counts().waiting, 0);
}
END_TEST

START_TEST(a_deadline_ends_a_call_in_the_queue)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1 }, false);
	start(0, &hang);
	start(1, &hang);
	pair_advance(&pair, MINIRPC_S(60));
	ck_assert_int_eq(probes[1].code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(counts().waiting + counts().running, 0);
}
END_TEST

START_TEST(a_client_sends_so_many_in_a_second)
{
	open_pair(&(struct minirpc_limiter_options){ .per_second = 10, .burst = 2 }, false);
	for (int i = 0; i < 5; i++)
		start(i, &echo);
	ck_assert_uint_eq(started_at_server(), 2);
	pair_advance(&pair, MINIRPC_MS(100) - 1);
	ck_assert_uint_eq(started_at_server(), 2);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(started_at_server(), 3);
	ck_assert_uint_eq(probes[2].ends, 1);
	pair_advance(&pair, MINIRPC_MS(100));
	ck_assert_uint_eq(started_at_server(), 4);
	minirpc_call_cancel(probes[4].call);
	pair_advance(&pair, MINIRPC_S(10));
	ck_assert_uint_eq(started_at_server(), 4);
	ck_assert_uint_eq(counts().waiting, 0);
}
END_TEST

START_TEST(both_limits_hold_together)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1, .per_second = 1 }, false);
	start(0, &hang);
	start(1, &hang);
	pair_advance(&pair, MINIRPC_S(5)); /* time alone does not make room */
	ck_assert_uint_eq(started_at_server(), 1);
	minirpc_call_cancel(probes[0].call);
	pair_settle(&pair);
	ck_assert_uint_eq(started_at_server(), 2);
	minirpc_call_cancel(probes[1].call);
	start(2, &echo); /* nor room alone time */
	ck_assert_uint_eq(started_at_server(), 2);
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_int_eq(probes[2].code, MINIRPC_OK);
}
END_TEST

START_TEST(what_waits_goes_with_its_channel)
{
	open_pair(&(struct minirpc_limiter_options){ .max_calls = 1, .per_second = 1 }, false);
	start(0, &echo);
	start(1, &echo);   /* waits for time */
	pair_close(&pair); /* and the loop with it, before the limiter */
	ck_assert_uint_eq(counts().waiting + counts().running, 0);
}
END_TEST

START_TEST(a_limiter_limits_something)
{
	struct minirpc_limiter_options options = { 0 };

	ck_assert_int_eq(minirpc_limiter_new(&limiter, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_limiter_new(&limiter, &options), -EINVAL);
	options.per_second = 1000000001;
	ck_assert_int_eq(minirpc_limiter_new(&limiter, &options), -EINVAL);
	ck_assert_ptr_null(minirpc_limiter_free(NULL));
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/limiter");
	TCase *t = tcase_create("limiter");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_server_answers_the_call_above_the_limit_and_says_when_to_come_back);
	tcase_add_test(t, pushback_may_be_chosen_or_left_out);
	tcase_add_test(t, a_server_lets_in_so_many_in_a_second_and_says_when_the_next_may_come);
	tcase_add_test(t, a_server_may_let_them_wait_too);
	tcase_add_test(t, a_clients_calls_wait_in_order_and_nothing_of_them_is_sent);
	tcase_add_test(t, a_queue_has_an_end);
	tcase_add_test(t, who_leaves_the_queue_takes_nobodys_place);
	tcase_add_test(t, a_deadline_ends_a_call_in_the_queue);
	tcase_add_test(t, a_client_sends_so_many_in_a_second);
	tcase_add_test(t, both_limits_hold_together);
	tcase_add_test(t, what_waits_goes_with_its_channel);
	tcase_add_test(t, a_limiter_limits_something);
	suite_add_tcase(s, t);
	return s;
}

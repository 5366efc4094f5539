/* SPDX-License-Identifier: MIT */
#include "run_suite.h"

#include "client/backoff.h"

START_TEST(spans_grow_by_1_6_up_to_120_seconds_each_with_20_percent_of_jitter)
{
	struct mrpc_backoff backoff;
	double expected = 1e9;

	mrpc_backoff_init(&backoff, 0, 0, 7);
	for (int i = 0; i < 40; i++) {
		double span = (double)mrpc_backoff_next(&backoff);

		ck_assert_double_ge(span, expected * 0.8 - 2);
		ck_assert_double_le(span, expected * 1.2 + 2);
		expected = expected * 1.6 < 120e9 ? expected * 1.6 : 120e9;
	}
	ck_assert_int_eq(backoff.current, MINIRPC_S(120));
}
END_TEST

START_TEST(the_jitter_reaches_both_ends_and_is_no_constant)
{
	struct mrpc_backoff backoff;
	minirpc_time least = MINIRPC_S(10), most = 0, sum = 0;

	mrpc_backoff_init(&backoff, MINIRPC_S(1), MINIRPC_S(1), 1);
	for (int i = 0; i < 10000; i++) {
		minirpc_time span = mrpc_backoff_next(&backoff);

		least = span < least ? span : least;
		most = span > most ? span : most;
		sum += span;
	}
	ck_assert_int_ge(least, MINIRPC_MS(800));
	ck_assert_int_lt(least, MINIRPC_MS(801));
	ck_assert_int_le(most, MINIRPC_MS(1200));
	ck_assert_int_gt(most, MINIRPC_MS(1199));
	ck_assert_int_gt(sum / 10000, MINIRPC_MS(990));
	ck_assert_int_lt(sum / 10000, MINIRPC_MS(1010));
}
END_TEST

START_TEST(a_seed_replays_exactly)
{
	struct mrpc_backoff a, b;

	mrpc_backoff_init(&a, 0, 0, 42);
	mrpc_backoff_init(&b, 0, 0, 42);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(mrpc_backoff_next(&a), mrpc_backoff_next(&b));
}
END_TEST

START_TEST(success_starts_over)
{
	struct mrpc_backoff backoff;

	mrpc_backoff_init(&backoff, 0, 0, 3);
	for (int i = 0; i < 5; i++)
		mrpc_backoff_next(&backoff);
	mrpc_backoff_reset(&backoff);
	ck_assert_int_le(mrpc_backoff_next(&backoff), MINIRPC_MS(1200));
}
END_TEST

START_TEST(odd_settings_stay_sane)
{
	struct mrpc_backoff backoff;

	/* One nanosecond, and a maximum below it. */
	mrpc_backoff_init(&backoff, 1, MINIRPC_NEVER, 3);
	for (int i = 0; i < 200; i++)
		ck_assert_int_ge(mrpc_backoff_next(&backoff), 1);
	mrpc_backoff_init(&backoff, MINIRPC_S(10), MINIRPC_S(2), 3);
	ck_assert_int_ge(mrpc_backoff_next(&backoff), MINIRPC_S(8));
	ck_assert_int_ge(mrpc_backoff_next(&backoff), MINIRPC_S(8));
	ck_assert_int_le(mrpc_backoff_next(&backoff), MINIRPC_S(12));
}
END_TEST

START_TEST(seeds_differ)
{
	ck_assert_uint_ne(mrpc_backoff_seed(), mrpc_backoff_seed());
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/backoff");
	TCase *t = tcase_create("backoff");

	tcase_add_test(t, spans_grow_by_1_6_up_to_120_seconds_each_with_20_percent_of_jitter);
	tcase_add_test(t, the_jitter_reaches_both_ends_and_is_no_constant);
	tcase_add_test(t, a_seed_replays_exactly);
	tcase_add_test(t, success_starts_over);
	tcase_add_test(t, odd_settings_stay_sane);
	tcase_add_test(t, seeds_differ);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* The arithmetic of the throttle. */
#include "client/throttle.h"
#include "run_suite.h"

static struct mrpc_throttle throttle;

static void set(double max_tokens, double ratio)
{
	mrpc_throttle_set(&throttle, max_tokens, ratio);
}

static void setup(void)
{
	throttle = (struct mrpc_throttle){ 0 };
}

static void failures(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		mrpc_throttle_failed(&throttle);
}

static void successes(unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		mrpc_throttle_succeeded(&throttle);
}

START_TEST(without_a_throttle_everything_is_allowed)
{
	ck_assert(!mrpc_throttle_is_set(&throttle));
	ck_assert(mrpc_throttle_allows(&throttle));
	failures(1000);
	ck_assert(mrpc_throttle_allows(&throttle));
	successes(1000);
	ck_assert_uint_eq(throttle.tokens, 0);
}
END_TEST

START_TEST(R_7_it_begins_full_and_allows_above_half)
{
	set(10, 0.1);
	ck_assert_uint_eq(throttle.tokens, 10000);
	failures(4);
	ck_assert(mrpc_throttle_allows(&throttle)); /* 6 */
	failures(1);
	ck_assert(!mrpc_throttle_allows(&throttle)); /* 5 is half: no */
	successes(1);
	ck_assert(mrpc_throttle_allows(&throttle)); /* 5.1 */
}
END_TEST

START_TEST(R_7_an_odd_bucket_has_its_half_between_two_tokens)
{
	set(3, 1);
	failures(1);
	ck_assert(mrpc_throttle_allows(&throttle)); /* 2 > 1.5 */
	failures(1);
	ck_assert(!mrpc_throttle_allows(&throttle));

	setup();
	set(0.001, 1); /* half a thousandth */
	ck_assert(mrpc_throttle_allows(&throttle));
	failures(1);
	ck_assert(!mrpc_throttle_allows(&throttle));
}
END_TEST

START_TEST(R_7_it_is_never_below_nothing_nor_above_full)
{
	set(10, 0.1);
	failures(100);
	ck_assert_uint_eq(throttle.tokens, 0);
	successes(50);
	ck_assert(
		!mrpc_throttle_allows(&throttle)); /* 5.0 exactly, for all that 0.1 is no double */
	successes(1);
	ck_assert(mrpc_throttle_allows(&throttle));
	successes(1000);
	ck_assert_uint_eq(throttle.tokens, 10000);
}
END_TEST

START_TEST(R_7_three_decimals_count)
{
	set(1000, 0.001);
	ck_assert_uint_eq(throttle.max, 1000000);
	ck_assert_uint_eq(throttle.ratio, 1);
	setup();
	set(2.5, 0.0019);
	ck_assert_uint_eq(throttle.max, 2500);
	ck_assert_uint_eq(throttle.ratio, 1);
	setup();
	set(1, 0.0001); /* above 0, and stays so */
	ck_assert_uint_eq(throttle.ratio, 1);
	setup();
	set(1, 0.123);
	ck_assert_uint_eq(throttle.ratio, 123);
	setup();
	set(1, 1e9); /* one success fills it */
	failures(1);
	successes(1);
	ck_assert_uint_eq(throttle.tokens, 1000);
}
END_TEST

START_TEST(R_7_the_same_config_again_changes_nothing_and_another_keeps_the_share)
{
	set(10, 0.1);
	failures(4);
	set(10, 0.1);
	ck_assert_uint_eq(throttle.tokens, 6000);
	set(100, 0.5);
	ck_assert_uint_eq(throttle.tokens, 60000);
	ck_assert_uint_eq(throttle.ratio, 500);
	set(1000, 0.5);
	ck_assert_uint_eq(throttle.tokens, 600000);
	set(0, 0);
	ck_assert(!mrpc_throttle_is_set(&throttle));
	set(10, 0.1); /* there was none: it begins full */
	ck_assert_uint_eq(throttle.tokens, 10000);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/throttle");
	TCase *t = tcase_create("throttle");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, without_a_throttle_everything_is_allowed);
	tcase_add_test(t, R_7_it_begins_full_and_allows_above_half);
	tcase_add_test(t, R_7_an_odd_bucket_has_its_half_between_two_tokens);
	tcase_add_test(t, R_7_it_is_never_below_nothing_nor_above_full);
	tcase_add_test(t, R_7_three_decimals_count);
	tcase_add_test(t, R_7_the_same_config_again_changes_nothing_and_another_keeps_the_share);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* The bucket's arithmetic, at its edges. */
#include "run_suite.h"

#include "interceptors/bucket.h"

static unsigned taken_at(struct mrpc_bucket *bucket, minirpc_time now)
{
	unsigned taken = 0;

	while (taken < 100000 && mrpc_bucket_wait(bucket, now) == 0) {
		mrpc_bucket_take(bucket, now);
		taken++;
	}
	return taken;
}

START_TEST(it_begins_full_and_refills_at_its_rate)
{
	struct mrpc_bucket bucket;

	mrpc_bucket_init(&bucket, 10, 5);
	ck_assert_uint_eq(taken_at(&bucket, 0), 5);
	ck_assert_int_eq(mrpc_bucket_wait(&bucket, 0), MINIRPC_MS(100));
	ck_assert_uint_eq(taken_at(&bucket, MINIRPC_MS(100) - 1), 0);
	ck_assert_int_eq(mrpc_bucket_wait(&bucket, MINIRPC_MS(100) - 1), 1);
	ck_assert_uint_eq(taken_at(&bucket, MINIRPC_MS(100)), 1);
	ck_assert_uint_eq(taken_at(&bucket, MINIRPC_MS(400)), 3);
	ck_assert_uint_eq(taken_at(&bucket, MINIRPC_S(100)), 5); /* never fuller than full */
}
END_TEST

START_TEST(a_burst_of_none_is_one)
{
	struct mrpc_bucket bucket;

	mrpc_bucket_init(&bucket, 1, 0);
	ck_assert_uint_eq(taken_at(&bucket, 7), 1);
	ck_assert_int_eq(mrpc_bucket_wait(&bucket, 7), MINIRPC_S(1));
}
END_TEST

START_TEST(the_extremes_do_not_wrap)
{
	struct mrpc_bucket bucket;

	mrpc_bucket_init(&bucket, 1, UINT32_MAX);
	ck_assert_uint_eq(taken_at(&bucket, MINIRPC_S(1)), 100000);
	mrpc_bucket_init(&bucket, 1000000000, 1);
	ck_assert_uint_eq(taken_at(&bucket, 5), 1);
	ck_assert_int_eq(mrpc_bucket_wait(&bucket, 5), 1);
	mrpc_bucket_init(&bucket, 1, 1);
	ck_assert_uint_eq(taken_at(&bucket, MINIRPC_NEVER / 2), 1);
	mrpc_bucket_init(&bucket, 0, 0); /* no limit */
	ck_assert_uint_eq(taken_at(&bucket, 0), 100000);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/bucket");
	TCase *t = tcase_create("bucket");

	tcase_add_test(t, it_begins_full_and_refills_at_its_rate);
	tcase_add_test(t, a_burst_of_none_is_one);
	tcase_add_test(t, the_extremes_do_not_wrap);
	suite_add_tcase(s, t);
	return s;
}

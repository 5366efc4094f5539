/* SPDX-License-Identifier: MIT */
/* Pool. */
#include "base/pool.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <stdint.h>
#include <string.h>

#define LIMIT 100000u

static struct mrpc_pool pool;

static void setup(void)
{
	mrpc_pool_init(&pool, LIMIT);
	ck_assert_uint_eq(pool.limit, 0); /* we are watching */
	pool.limit = LIMIT;
}

static void teardown(void)
{
	mrpc_pool_clear(&pool);
	ck_assert_uint_eq(pool.bytes, 0);
	ck_assert_uint_eq(alloc_live(), 0);
}

START_TEST(every_size_gets_room_for_itself)
{
	for (size_t size = 0; size < 300000; size += size < 5000 ? 1 : 997) {
		uint8_t *p = mrpc_pool_alloc(&pool, size), *q;

		memset(p, 0xAA, size);
		mrpc_pool_free(&pool, p, size);
		q = mrpc_pool_alloc(&pool, size);
		memset(q, 0xBB, size);
		if (size < LIMIT * 3 / 4)
			ck_assert_ptr_eq(p, q);
		ck_assert_uint_le(alloc_live_bytes(), LIMIT + size + size / 4 + 64);
		mrpc_pool_free(&pool, q, size);
	}
}
END_TEST

START_TEST(a_class_is_at_most_a_quarter_larger)
{
	for (size_t size = 64; size <= 262144; size += size < 5000 ? 1 : 997) {
		void *p = mrpc_pool_alloc(&pool, size);

		ck_assert_uint_ge(alloc_live_bytes(), size);
		ck_assert_uint_le(alloc_live_bytes(), size + size / 4 + 16);
		mrpc_pool_free(&pool, p, size);
		mrpc_pool_clear(&pool);
	}
}
END_TEST

START_TEST(a_full_shelf_makes_room_for_what_is_used_now)
{
	void *small[1000], *p;

	for (size_t i = 0; i < 1000; i++)
		small[i] = mrpc_pool_alloc(&pool, 100);
	for (size_t i = 0; i < 1000; i++)
		mrpc_pool_free(&pool, small[i], 100);
	ck_assert_uint_le(pool.bytes, LIMIT);

	for (int i = 0; i < 1000; i++) {
		p = mrpc_pool_alloc(&pool, 40000);
		mrpc_pool_free(&pool, p, 40000);
		ck_assert_uint_le(pool.bytes, LIMIT);
	}
	ck_assert_ptr_eq(mrpc_pool_alloc(&pool, 40000), p);
	mrpc_pool_free(&pool, p, 40000);
}
END_TEST

START_TEST(what_is_not_needed_between_two_trims_goes)
{
	void *p[4];

	for (int i = 0; i < 4; i++)
		p[i] = mrpc_pool_alloc(&pool, 1024);
	for (int i = 0; i < 4; i++)
		mrpc_pool_free(&pool, p[i], 1024);
	mrpc_pool_trim(&pool); /* all of them were needed */
	ck_assert_uint_eq(pool.bytes, 4096);

	p[0] = mrpc_pool_alloc(&pool, 1024);
	mrpc_pool_free(&pool, p[0], 1024);
	mrpc_pool_trim(&pool);
	ck_assert_uint_eq(pool.bytes, 1024);
	mrpc_pool_trim(&pool);
	ck_assert_uint_eq(pool.bytes, 0);
}
END_TEST

START_TEST(one_that_is_watched_keeps_nothing)
{
	pool.limit = 0;
	mrpc_pool_free(&pool, mrpc_pool_alloc(&pool, 1000), 1000);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(without_a_pool_it_is_plain_memory)
{
	void *p = mrpc_pool_alloc(NULL, 1000);

	ck_assert_uint_eq(alloc_live(), 1);
	mrpc_pool_free(NULL, p, 1000);
	ck_assert_uint_eq(alloc_live(), 0);
	mrpc_pool_free(&pool, NULL, 1000);
}
END_TEST

START_TEST(no_memory_is_told)
{
	alloc_fail_at(1, true);
	ck_assert_ptr_null(mrpc_pool_alloc(&pool, 1000));
	ck_assert_ptr_null(mrpc_pool_alloc(&pool, 1000000));
	alloc_fail_at(0, false);
}
END_TEST

START_TEST(an_account_gives_its_quota_and_not_a_byte_more)
{
	struct mrpc_pool *account = mrpc_pool_open(&pool, 1000);
	void *a = mrpc_pool_alloc(account, 600), *b = mrpc_pool_alloc(account, 400), *c;

	ck_assert(a != NULL && b != NULL);
	ck_assert(!mrpc_pool_was_refused(account));
	ck_assert_ptr_null(mrpc_pool_alloc(account, 1));
	ck_assert(mrpc_pool_was_refused(account));
	ck_assert(!mrpc_pool_was_refused(account));
	ck_assert(!mrpc_pool_charge(account, 1));
	c = mrpc_pool_alloc_anyway(account, 5000);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(account->used, 6000);
	mrpc_pool_free(account, c, 5000);
	mrpc_pool_free(account, b, 400);
	ck_assert(mrpc_pool_charge(account, 400));
	mrpc_pool_discharge(account, 400);
	mrpc_pool_free(account, a, 600);
	ck_assert_uint_eq(account->used, 0);
	mrpc_pool_close(account);
}
END_TEST

START_TEST(an_account_lives_until_everything_is_given_back)
{
	struct mrpc_pool *account = mrpc_pool_open(&pool, SIZE_MAX);
	void *a = mrpc_pool_alloc(account, 300000), *b = mrpc_pool_alloc(account, 64);

	mrpc_pool_close(account);
	mrpc_pool_free(account, a, 300000);
	ck_assert_uint_eq(account->used, 64);
	mrpc_pool_free(account, b, 64); /* and with it the account, as teardown sees */
	mrpc_pool_close(NULL);
	alloc_fail_at(1, true);
	ck_assert_ptr_null(mrpc_pool_open(&pool, 1));
	alloc_fail_at(0, false);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("base/pool");
	TCase *c = tcase_create("pool");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, every_size_gets_room_for_itself);
	tcase_add_test(c, a_class_is_at_most_a_quarter_larger);
	tcase_add_test(c, a_full_shelf_makes_room_for_what_is_used_now);
	tcase_add_test(c, what_is_not_needed_between_two_trims_goes);
	tcase_add_test(c, one_that_is_watched_keeps_nothing);
	tcase_add_test(c, without_a_pool_it_is_plain_memory);
	tcase_add_test(c, no_memory_is_told);
	tcase_add_test(c, an_account_gives_its_quota_and_not_a_byte_more);
	tcase_add_test(c, an_account_lives_until_everything_is_given_back);
	suite_add_tcase(s, c);
	return s;
}

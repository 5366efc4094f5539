/* SPDX-License-Identifier: MIT */
#include "h2/zone.h"
#include "run_suite.h"

#include "world/alloc_fail.h"

#include <stdint.h>
#include <string.h>

START_TEST(a_zone_gives_everything_back_at_once)
{
	struct mrpc_zone zone;
	size_t live = alloc_live();

	mrpc_zone_init(&zone);
	for (size_t size = 0; size < 2000; size += 7)
		ck_assert_ptr_nonnull(mrpc_zone_alloc(&zone, size));
	for (size_t size = 1; size < 1000; size += 13)
		mrpc_zone_free(&zone, mrpc_zone_zalloc(&zone, size));
	mrpc_zone_clear(&zone);
	ck_assert_uint_eq(alloc_live(), live);
}
END_TEST

START_TEST(blocks_are_aligned_and_do_not_overlap)
{
	struct mrpc_zone zone;
	uint8_t *blocks[100];

	mrpc_zone_init(&zone);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 100; i++) {
			blocks[i] = mrpc_zone_alloc(&zone, i * 9);
			ck_assert_uint_eq((uintptr_t)blocks[i] % 16, 0);
			memset(blocks[i], (int)i, i * 9);
		}
		for (size_t i = 0; i < 100; i++) {
			for (size_t j = 0; j < i * 9; j++)
				ck_assert_uint_eq(blocks[i][j], i);
			mrpc_zone_free(&zone, blocks[i]);
		}
	}
	mrpc_zone_clear(&zone);
}
END_TEST

START_TEST(small_blocks_come_back_without_an_allocation)
{
	struct mrpc_zone zone;
	void *p;

	mrpc_zone_init(&zone);
	p = mrpc_zone_alloc(&zone, 100);
	mrpc_zone_free(&zone, p);
	alloc_fail_at(1, true);
	ck_assert_ptr_eq(mrpc_zone_zalloc(&zone, 128), p);
	for (int i = 0; i < 128; i++)
		ck_assert_int_eq(((char *)p)[i], 0);
	ck_assert_ptr_null(mrpc_zone_alloc(&zone, 100));
	alloc_fail_at(0, false);
	mrpc_zone_clear(&zone);
}
END_TEST

START_TEST(no_more_than_64_kib_stay_at_hand)
{
	struct mrpc_zone zone;
	size_t before = alloc_live_bytes();
	void *blocks[400];

	mrpc_zone_init(&zone);
	for (int i = 0; i < 400; i++)
		blocks[i] = mrpc_zone_alloc(&zone, 512);
	for (int i = 0; i < 400; i++)
		mrpc_zone_free(&zone, blocks[i]);
	ck_assert_uint_le(zone.free_bytes, 65536);
	ck_assert_uint_le(alloc_live_bytes() - before, 72 << 10);
	mrpc_zone_clear(&zone);
}
END_TEST

START_TEST(realloc_keeps_the_bytes_and_on_failure_the_block)
{
	struct mrpc_zone zone;
	char *p, *q;

	mrpc_zone_init(&zone);
	p = mrpc_zone_realloc(&zone, NULL, 10);
	strcpy(p, "123456789");
	ck_assert_ptr_eq(mrpc_zone_realloc(&zone, p, 64), p);
	q = mrpc_zone_realloc(&zone, p, 5000);
	ck_assert_str_eq(q, "123456789");
	alloc_fail_at(1, false);
	ck_assert_ptr_null(mrpc_zone_realloc(&zone, q, 6000));
	alloc_fail_at(0, false);
	ck_assert_str_eq(q, "123456789");
	ck_assert_ptr_null(mrpc_zone_alloc(&zone, SIZE_MAX));
	ck_assert_ptr_null(mrpc_zone_alloc(&zone, SIZE_MAX - 20));
	mrpc_zone_clear(&zone);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/zone");
	TCase *t = tcase_create("zone");

	tcase_add_test(t, a_zone_gives_everything_back_at_once);
	tcase_add_test(t, blocks_are_aligned_and_do_not_overlap);
	tcase_add_test(t, small_blocks_come_back_without_an_allocation);
	tcase_add_test(t, no_more_than_64_kib_stay_at_hand);
	tcase_add_test(t, realloc_keeps_the_bytes_and_on_failure_the_block);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Buf, arena and map. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

START_TEST(a_buf_gives_back_what_was_appended_in_any_mix)
{
	struct mrpc_buf buf = { 0 };
	uint8_t next_in = 0, next_out = 0;

	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < round % 37; i++, next_in++)
			ck_assert_int_eq(mrpc_buf_append(&buf, &next_in, 1), 0);
		for (int i = 0; i < round % 31 && mrpc_buf_len(&buf) > 0; i++, next_out++) {
			ck_assert_int_eq(*mrpc_buf_bytes(&buf), next_out);
			mrpc_buf_consume(&buf, 1);
		}
	}
	while (mrpc_buf_len(&buf) > 0) {
		ck_assert_int_eq(*mrpc_buf_bytes(&buf), next_out++);
		mrpc_buf_consume(&buf, 1);
	}
	ck_assert_int_eq(next_in, next_out);
	mrpc_buf_clear(&buf);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(a_buf_that_cannot_grow_keeps_what_it_has)
{
	struct mrpc_buf buf = { 0 };
	static char big[5000];

	ck_assert_int_eq(mrpc_buf_append(&buf, "abc", 3), 0);
	alloc_fail_at(1, true);
	ck_assert_int_eq(mrpc_buf_append(&buf, big, sizeof big), -ENOMEM);
	ck_assert_int_eq(mrpc_buf_reserve(&buf, SIZE_MAX), -ENOMEM);
	alloc_fail_at(0, false);
	ck_assert_uint_eq(mrpc_buf_len(&buf), 3);
	ck_assert_mem_eq(mrpc_buf_bytes(&buf), "abc", 3);
	mrpc_buf_clear(&buf);
}
END_TEST

START_TEST(an_arena_gives_zeroed_aligned_memory_that_does_not_overlap)
{
	struct mrpc_arena arena;
	uint8_t first[100];
	uint8_t *pieces[300];

	memset(first, 0xAA, sizeof first);
	mrpc_arena_init(&arena, NULL, first + 1, sizeof first - 1);
	for (size_t i = 0; i < 300; i++) {
		pieces[i] = mrpc_arena_alloc(&arena, i * 7);
		ck_assert_ptr_nonnull(pieces[i]);
		ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
		for (size_t k = 0; k < i * 7; k++)
			ck_assert_int_eq(pieces[i][k], 0);
		memset(pieces[i], (int)(i & 0x7F) + 1, i * 7);
	}
	for (size_t i = 0; i < 300; i++)
		for (size_t k = 0; k < i * 7; k++)
			ck_assert_int_eq(pieces[i][k], (int)(i & 0x7F) + 1);
	mrpc_arena_clear(&arena);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(an_arena_refuses_sizes_that_wrap_and_survives_no_memory)
{
	struct mrpc_arena arena;

	mrpc_arena_init(&arena, NULL, NULL, 0);
	ck_assert_ptr_null(mrpc_arena_alloc(&arena, SIZE_MAX));
	ck_assert_ptr_null(mrpc_arena_alloc(&arena, SIZE_MAX - 20));
	alloc_fail_at(1, false);
	ck_assert_ptr_null(mrpc_arena_alloc(&arena, 10));
	ck_assert_str_eq(mrpc_arena_strndup(&arena, "hello", 4), "hell");
	mrpc_arena_clear(&arena);
}
END_TEST

START_TEST(a_map_finds_each_of_its_keys_and_no_other)
{
	enum { COUNT = 1000 };
	static char keys[COUNT][32];
	struct mrpc_map map;

	mrpc_map_init(&map, 0x1234);
	ck_assert_ptr_null(mrpc_map_get(&map, "x", 1));
	for (int i = 0; i < COUNT; i++) {
		snprintf(keys[i], sizeof keys[i], "/pkg.Service%d/M", i);
		ck_assert_int_eq(mrpc_map_put(&map, keys[i], strlen(keys[i]), keys[i]), 0);
	}
	for (int i = 0; i < COUNT; i++)
		ck_assert_ptr_eq(mrpc_map_get(&map, keys[i], strlen(keys[i])), keys[i]);
	ck_assert_int_eq(mrpc_map_put(&map, keys[5], strlen(keys[5]), keys), -EEXIST);
	ck_assert_ptr_null(mrpc_map_get(&map, "/pkg.Service1000/M", 18));
	ck_assert_ptr_null(mrpc_map_get(&map, keys[7], strlen(keys[7]) - 1));
	mrpc_map_clear(&map);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(a_map_forgets_what_is_removed_and_nothing_else)
{
	enum { COUNT = 500 };
	static char keys[COUNT][32];
	struct mrpc_map map;
	unsigned wrong = 0;

	mrpc_map_init(&map, 0x1234);
	mrpc_map_remove(&map, "x", 1);
	for (int i = 0; i < COUNT; i++) {
		snprintf(keys[i], sizeof keys[i], "/pkg.Service%d/M", i);
		ck_assert_int_eq(mrpc_map_put(&map, keys[i], strlen(keys[i]), keys[i]), 0);
	}
	for (int gone = 0; gone < COUNT; gone++) {
		mrpc_map_remove(&map, keys[gone], strlen(keys[gone]));
		mrpc_map_remove(&map, keys[gone], strlen(keys[gone]));
		for (int i = 0; i < COUNT; i++)
			wrong += mrpc_map_get(&map, keys[i], strlen(keys[i])) !=
				 (i > gone ? keys[i] : NULL);
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(map.count, 0);
	mrpc_map_clear(&map);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("base/memory");
	TCase *c = tcase_create("memory");

	tcase_add_test(c, a_buf_gives_back_what_was_appended_in_any_mix);
	tcase_add_test(c, a_buf_that_cannot_grow_keeps_what_it_has);
	tcase_add_test(c, an_arena_gives_zeroed_aligned_memory_that_does_not_overlap);
	tcase_add_test(c, an_arena_refuses_sizes_that_wrap_and_survives_no_memory);
	tcase_add_test(c, a_map_finds_each_of_its_keys_and_no_other);
	tcase_add_test(c, a_map_forgets_what_is_removed_and_nothing_else);
	suite_add_tcase(s, c);
	return s;
}

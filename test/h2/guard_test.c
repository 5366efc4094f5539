/* SPDX-License-Identifier: MIT */
/* The guard on its own: bytes and time in, a verdict out. */
#include "h2/guard.h"
#include "run_suite.h"

#include <string.h>

struct bench {
	struct minirpc_conn_limits limits;
	struct mrpc_guard guard;
	uint8_t bytes[1 << 20];
	size_t len;
	minirpc_time now;
};

static struct bench *begin(bool server)
{
	static struct bench bench;

	memset(&bench, 0, sizeof bench);
	bench.limits = (struct minirpc_conn_limits){
		.max_continuations = 2,
		.max_header_wire = 100,
		.resets_burst = 3,
		.resets_per_second = 2,
		.errors_burst = 2,
		.errors_per_second = 1,
		.empty_data = 2,
		.tiny_data_frames = 1000,
		.tiny_data_average = 16,
		.priority_per_stream = 100,
		.updates_per_data = 10,
		.control_burst = 5,
	};
	bench.now = MINIRPC_S(5);
	mrpc_guard_init(&bench.guard, &bench.limits, server, bench.now);
	if (server)
		bench.len = 24;
	return &bench;
}

static void frame(struct bench *bench, int type, int flags, uint32_t id, size_t len)
{
	uint8_t *at = bench->bytes + bench->len;

	at[1] = (uint8_t)(len >> 8);
	at[2] = (uint8_t)len;
	at[3] = (uint8_t)type;
	at[4] = (uint8_t)flags;
	at[8] = (uint8_t)id;
	bench->len += 9 + len;
}

/* Feeds what was written, in pieces; the verdict, and where it fell. */
static enum mrpc_breach scan(struct bench *bench, size_t piece, size_t *ret_used)
{
	enum mrpc_breach breach = MRPC_BREACH_NONE;
	size_t at = 0;

	while (at < bench->len && breach == MRPC_BREACH_NONE) {
		size_t n = bench->len - at < piece ? bench->len - at : piece;

		at += mrpc_guard_scan(&bench->guard, bench->bytes + at, n, bench->now, &breach);
	}
	*ret_used = at;
	bench->len = 0;
	memset(bench->bytes, 0, sizeof bench->bytes);
	return breach;
}

enum { DATA, HEADERS, PRIORITY, RST, PING = 6, CONTINUATION = 9 };

START_TEST(a_verdict_does_not_depend_on_how_bytes_are_cut)
{
	static const size_t pieces[] = { 1, 2, 3, 8, 9, 10, 17, 1000 };
	struct bench *bench = begin(true);
	size_t used;

	frame(bench, HEADERS, 4, 1, 20);
	frame(bench, DATA, 0, 1, 7);
	for (int i = 0; i < 3; i++)
		frame(bench, RST, 0, 1, 4);
	frame(bench, RST, 0, 1, 4); /* one too many */
	frame(bench, DATA, 0, 1, 100);
	ck_assert_int_eq(scan(bench, pieces[_i], &used), MRPC_BREACH_RESETS);
	ck_assert_uint_le(used, 24 + 29 + 16 + 3 * 13 + 8);
	ck_assert_uint_gt(used + 9, 24 + 29 + 16 + 3 * 13);
}
END_TEST

START_TEST(tokens_come_back_with_time_without_losing_fractions)
{
	struct bench *bench = begin(true);
	size_t used;
	int resets = 0;

	for (int i = 0; i < 3; i++)
		frame(bench, RST, 0, 1, 4);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	for (int i = 0; i <= 10000; i++) { /* 10 s in steps of a millisecond, after the first */
		bench->now += MINIRPC_MS(1);
		if (mrpc_guard_caused_reset(&bench->guard, bench->now) == MRPC_BREACH_NONE)
			resets++;
	}
	ck_assert_int_eq(resets, 2 + 10); /* the burst, and 1/s */
	for (int i = 0; i < 3; i++)
		frame(bench, RST, 0, 1, 4);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE); /* never above the burst */
	frame(bench, RST, 0, 1, 4);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_RESETS);
}
END_TEST

START_TEST(a_call_that_ends_pays_for_one_reset)
{
	struct bench *bench = begin(true);
	size_t used;

	for (int i = 0; i < 3; i++)
		frame(bench, RST, 0, 1, 4);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	mrpc_guard_completed(&bench->guard);
	frame(bench, RST, 0, 1, 4);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	frame(bench, RST, 0, 1, 4);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_RESETS);
}
END_TEST

START_TEST(a_block_is_open_until_its_last_byte)
{
	struct bench *bench = begin(false);
	size_t used;

	frame(bench, HEADERS, 0, 1, 10);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	ck_assert(bench->guard.in_block);
	frame(bench, CONTINUATION, 4, 1, 10);
	bench->len--;
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	ck_assert(bench->guard.in_block);
	bench->len = 1;
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	ck_assert(!bench->guard.in_block);
}
END_TEST

START_TEST(a_block_has_so_many_frames_and_bytes)
{
	struct bench *bench = begin(false);
	size_t used;

	frame(bench, HEADERS, 0, 1, 50);
	frame(bench, CONTINUATION, 0, 1, 25);
	frame(bench, CONTINUATION, 0, 1, 25);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	frame(bench, CONTINUATION, 4, 1, 0);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_CONTINUATIONS);

	bench = begin(false);
	frame(bench, HEADERS, 0, 1, 50);
	frame(bench, CONTINUATION, 0, 1, 51);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_HEADER_WIRE);
	ck_assert_uint_eq(used, 59);

	bench = begin(false);
	frame(bench, HEADERS, 4, 1, 101);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_HEADER_WIRE);
}
END_TEST

START_TEST(what_a_call_explains_is_not_counted)
{
	struct bench *bench = begin(true);
	size_t used;

	for (uint32_t id = 1; id < 201; id += 2) {
		frame(bench, HEADERS, 4, id, 10);
		for (int i = 0; i < 5; i++)
			frame(bench, PRIORITY, 0, id, 5);
	}
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
	frame(bench, PING, 0, 0, 8);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_CONTROL);
	bench->now += MINIRPC_MS(100);
	frame(bench, PING, 0, 0, 8);
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
}
END_TEST

START_TEST(padding_is_not_data)
{
	struct bench *bench = begin(true);
	size_t used;

	for (int i = 0; i < 3; i++) {
		frame(bench, DATA, 8, 1, 4);
		bench->bytes[bench->len - 4] = 3;
	}
	ck_assert_int_eq(scan(bench, 1, &used), MRPC_BREACH_EMPTY_DATA);

	bench = begin(true);
	for (int i = 0; i < 30; i++) {
		frame(bench, DATA, 8, 1, 4);
		bench->bytes[bench->len - 4] = i % 2 ? 3 : 2;
	}
	ck_assert_int_eq(scan(bench, 1000, &used), MRPC_BREACH_NONE);
}
END_TEST

START_TEST(tiny_frames_are_judged_by_the_thousand)
{
	for (int value = 15; value <= 16; value++) {
		struct bench *bench = begin(true);
		size_t used;

		for (int i = 0; i < 1000; i++)
			frame(bench, DATA, 0, 1, (size_t)value);
		ck_assert_int_eq(scan(bench, 1 << 20, &used), MRPC_BREACH_NONE);
		ck_assert_int_eq(mrpc_guard_judge(&bench->guard),
				 value == 15 ? MRPC_BREACH_TINY_DATA : MRPC_BREACH_NONE);
	}
}
END_TEST

START_TEST(a_client_does_not_mind_tiny_frames)
{
	struct bench *bench = begin(false);
	size_t used;

	for (int i = 0; i < 1000; i++)
		frame(bench, DATA, 0, 1, 5);
	ck_assert_int_eq(scan(bench, 1 << 20, &used), MRPC_BREACH_NONE);
	ck_assert_int_eq(mrpc_guard_judge(&bench->guard), MRPC_BREACH_NONE);
}
END_TEST

START_TEST(every_breach_has_a_text)
{
	for (int i = MRPC_BREACH_RESETS; i <= MRPC_BREACH_HEADER_TIME; i++)
		ck_assert_str_ne(mrpc_breach_text((enum mrpc_breach)i), "");
	ck_assert_str_eq(mrpc_breach_text(MRPC_BREACH_NONE), "");
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/guard");
	TCase *t = tcase_create("guard");

	tcase_add_loop_test(t, a_verdict_does_not_depend_on_how_bytes_are_cut, 0, 8);
	tcase_add_test(t, tokens_come_back_with_time_without_losing_fractions);
	tcase_add_test(t, a_call_that_ends_pays_for_one_reset);
	tcase_add_test(t, a_block_is_open_until_its_last_byte);
	tcase_add_test(t, a_block_has_so_many_frames_and_bytes);
	tcase_add_test(t, what_a_call_explains_is_not_counted);
	tcase_add_test(t, padding_is_not_data);
	tcase_add_test(t, tiny_frames_are_judged_by_the_thousand);
	tcase_add_test(t, a_client_does_not_mind_tiny_frames);
	tcase_add_test(t, every_breach_has_a_text);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* The deframer, over memory that is counted and that can run out. */
#include "run_suite.h"

#include "wire/frame.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + i / 255);
}

/* Appends a frame of len bytes to out; returns its whole length. */
static size_t put_frame(uint8_t *out, bool compressed, uint32_t len)
{
	uint32_t i;

	mrpc_frame_prefix(out, compressed, len);
	for (i = 0; i < len; i++)
		out[MRPC_PREFIX + i] = byte_at(i);
	return MRPC_PREFIX + len;
}

static void check_part(struct mrpc_part *part, bool compressed, size_t len)
{
	size_t i;

	ck_assert_ptr_nonnull(part);
	ck_assert_int_eq(part->kind, MRPC_MESSAGE);
	ck_assert(!part->embedded);
	ck_assert_int_eq(part->compressed, compressed);
	ck_assert_uint_eq(part->len, len);
	ck_assert_uint_ge(part->capacity, len);
	for (i = 0; i < len; i++)
		ck_assert_uint_eq(mrpc_part_data(part)[i], byte_at(i));
	mrpc_part_free(part);
}

static struct mrpc_deframer deframer;

static void setup(void)
{
	mrpc_deframer_init(&deframer, NULL, 1000000);
}

static void teardown(void)
{
	mrpc_deframer_clear(&deframer);
	ck_assert_uint_eq(alloc_live_bytes(), 0);
}

START_TEST(the_prefix_is_a_flag_and_a_big_endian_length) /* W-13 */
{
	uint8_t prefix[5];

	mrpc_frame_prefix(prefix, false, 0);
	ck_assert_mem_eq(prefix, "\0\0\0\0\0", 5);
	mrpc_frame_prefix(prefix, true, 0x01020384);
	ck_assert_mem_eq(prefix, "\1\1\2\3\x84", 5);
	mrpc_frame_prefix(prefix, false, UINT32_MAX);
	ck_assert_mem_eq(prefix, "\0\xff\xff\xff\xff", 5);
}
END_TEST

static const struct {
	bool compressed;
	uint32_t len;
} sequence[] = { { false, 3 }, { false, 0 }, { true, 1 }, { true, 0 }, { false, 7 }, { false, 0 } };

#define SEQUENCE (sizeof sequence / sizeof sequence[0])

static size_t put_sequence(uint8_t *out)
{
	size_t len = 0, i;

	for (i = 0; i < SEQUENCE; i++)
		len += put_frame(out + len, sequence[i].compressed, sequence[i].len);
	return len;
}

/* Feeds one chunk; *at is the index of the next message to come. */
static void feed_sequence(const uint8_t *data, size_t len, size_t *at)
{
	struct mrpc_part *part;

	while (len > 0) {
		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &data, &len, &part), 0);
		if (part == NULL) {
			ck_assert_uint_eq(len, 0);
			break;
		}
		ck_assert_uint_lt(*at, SEQUENCE);
		check_part(part, sequence[*at].compressed, sequence[*at].len);
		(*at)++;
		ck_assert(!mrpc_deframer_is_partial(&deframer));
	}
}

START_TEST(chunks_of_any_size_give_the_same_messages)
{
	uint8_t data[64];
	size_t len = put_sequence(data), chunk, from, at;

	for (chunk = 1; chunk <= len; chunk++) {
		at = 0;
		for (from = 0; from < len; from += chunk)
			feed_sequence(data + from, len - from < chunk ? len - from : chunk, &at);
		ck_assert_uint_eq(at, SEQUENCE);
	}
}
END_TEST

START_TEST(a_cut_at_any_two_places_gives_the_same_messages)
{
	uint8_t data[64];
	size_t len = put_sequence(data), a, b, at;

	for (a = 0; a <= len; a++)
		for (b = a; b <= len; b++) {
			at = 0;
			feed_sequence(data, a, &at);
			feed_sequence(data + a, b - a, &at);
			feed_sequence(data + b, len - b, &at);
			ck_assert_uint_eq(at, SEQUENCE);
			ck_assert(!mrpc_deframer_is_partial(&deframer));
		}
}
END_TEST

START_TEST(one_call_takes_one_message_and_leaves_the_rest)
{
	uint8_t data[64];
	const uint8_t *at = data;
	size_t len = put_sequence(data), whole = len;
	struct mrpc_part *part;

	ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
	check_part(part, false, 3);
	ck_assert_ptr_eq(at, data + 8);
	ck_assert_uint_eq(len, whole - 8);
}
END_TEST

START_TEST(no_bytes_are_no_message)
{
	const uint8_t *at = NULL;
	struct mrpc_part *part = (struct mrpc_part *)1;
	size_t len = 0;

	ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
	ck_assert_ptr_null(part);
	ck_assert(!mrpc_deframer_is_partial(&deframer));
}
END_TEST

START_TEST(a_message_is_partial_from_its_first_byte_to_its_last) /* W-14 */
{
	uint8_t data[8];
	size_t whole = put_frame(data, false, 3), i;
	struct mrpc_part *part = NULL;

	for (i = 0; i < whole; i++) {
		const uint8_t *at = data + i;
		size_t len = 1;

		ck_assert_int_eq(mrpc_deframer_is_partial(&deframer), i > 0);
		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
	}
	ck_assert(!mrpc_deframer_is_partial(&deframer));
	check_part(part, false, 3);
}
END_TEST

static int feed_prefix(uint8_t flag, uint32_t len)
{
	uint8_t prefix[5];
	const uint8_t *at = prefix;
	size_t n = sizeof prefix;
	struct mrpc_part *part;
	int r;

	mrpc_frame_prefix(prefix, false, len);
	prefix[0] = flag;
	r = mrpc_deframer_feed(&deframer, &at, &n, &part);
	mrpc_part_free(part);
	return r;
}

START_TEST(a_flag_other_than_0_and_1_is_refused) /* W-13 */
{
	int flag;

	for (flag = 0; flag < 256; flag++) {
		ck_assert_int_eq(feed_prefix((uint8_t)flag, 10), flag <= 1 ? 0 : -EPROTO);
		mrpc_deframer_clear(&deframer);
	}
}
END_TEST

START_TEST(the_limit_passes_and_one_more_is_refused_by_the_prefix) /* S-7, P12 */
{
	static const size_t limits[] = { 0, 1, 255, 256, 65535, 65536, 4194304 };
	size_t i;

	for (i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		mrpc_deframer_init(&deframer, NULL, limits[i]);
		ck_assert_int_eq(feed_prefix(0, (uint32_t)limits[i]), 0);
		mrpc_deframer_clear(&deframer);
		ck_assert_int_eq(feed_prefix(0, (uint32_t)limits[i] + 1), -EMSGSIZE);
		ck_assert_uint_eq(alloc_live_bytes(), 0);
		mrpc_deframer_clear(&deframer);
	}
	mrpc_deframer_init(&deframer, NULL, UINT32_MAX);
	ck_assert_int_eq(feed_prefix(0, UINT32_MAX), 0);
}
END_TEST

START_TEST(an_error_stays_an_error)
{
	const uint8_t more[] = { 0, 0, 0, 0, 0 };
	const uint8_t *at = more;
	size_t len = sizeof more;
	struct mrpc_part *part;

	ck_assert_int_eq(feed_prefix(2, 0), -EPROTO);
	ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), -EPROTO);
	ck_assert_ptr_null(part);
	ck_assert(mrpc_deframer_is_partial(&deframer));
}
END_TEST

START_TEST(clear_keeps_the_limit_and_forgets_the_rest)
{
	ck_assert_int_eq(feed_prefix(0, 100), 0);
	ck_assert_uint_gt(alloc_live_bytes(), 0);
	mrpc_deframer_clear(&deframer);
	ck_assert_uint_eq(alloc_live_bytes(), 0);
	ck_assert(!mrpc_deframer_is_partial(&deframer));
	ck_assert_int_eq(feed_prefix(0, 1000001), -EMSGSIZE);
}
END_TEST

START_TEST(announcing_much_costs_little)
{
	mrpc_deframer_init(&deframer, NULL, UINT32_MAX);
	ck_assert_int_eq(feed_prefix(0, UINT32_MAX), 0);
	ck_assert_uint_le(alloc_live_bytes(), 4096 + 256);
}
END_TEST

START_TEST(memory_is_at_most_four_times_what_arrived)
{
	const uint32_t whole = 300000;
	uint8_t *data = malloc(MRPC_PREFIX + whole);
	size_t sent = 0, arrived, chunk;
	struct mrpc_part *part = NULL;

	put_frame(data, false, whole);
	while (part == NULL) {
		const uint8_t *at = data + sent;
		size_t len;

		chunk = 1000 + sent % 777;
		if (chunk > MRPC_PREFIX + whole - sent)
			chunk = MRPC_PREFIX + whole - sent;
		len = chunk;
		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
		ck_assert_uint_eq(len, 0);
		sent += chunk;
		arrived = sent - MRPC_PREFIX;
		ck_assert_uint_le(alloc_live_bytes(), 4 * arrived + 4096 + 256);
	}
	check_part(part, false, whole);
	free(data);
}
END_TEST

START_TEST(a_message_that_is_here_gets_exactly_its_room)
{
	static const uint32_t lens[] = { 0, 1, 4095, 4096, 4097, 70000 };
	uint8_t *data = malloc(MRPC_PREFIX + 70000);
	size_t i;

	for (i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		const uint8_t *at = data;
		size_t len = put_frame(data, true, lens[i]);
		struct mrpc_part *part;

		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
		ck_assert_ptr_nonnull(part);
		ck_assert_uint_eq(part->capacity, lens[i]);
		check_part(part, true, lens[i]);
	}
	free(data);
}
END_TEST

/* The prefix came alone; then the rest comes at once, or first a large piece of it. */
START_TEST(growing_jumps_to_what_is_here)
{
	static const size_t first[] = { 0, 1, 20000, 69999 };
	const uint32_t whole = 70000;
	uint8_t *data = malloc(MRPC_PREFIX + whole);
	size_t i;

	put_frame(data, false, whole);
	for (i = 0; i < sizeof first / sizeof first[0]; i++) {
		const uint8_t *at = data;
		size_t len = MRPC_PREFIX;
		struct mrpc_part *part;

		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
		len = first[i];
		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
		ck_assert_ptr_null(part);
		ck_assert_uint_le(alloc_live_bytes(), 4 * first[i] + 4096 + 256);
		len = whole - first[i];
		ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part), 0);
		ck_assert_ptr_nonnull(part);
		ck_assert_uint_eq(part->capacity, whole);
		check_part(part, false, whole);
	}
	free(data);
}
END_TEST

/* Each allocation fails once; the same bytes, fed again, go on where it stopped. */
START_TEST(without_memory_nothing_is_lost)
{
	const uint32_t whole = 50000;
	uint8_t *data = malloc(MRPC_PREFIX + whole);
	size_t total = put_frame(data, false, whole), sent, chunk;
	size_t fail;
	int failures;

	for (fail = 1;; fail++) {
		struct mrpc_part *part = NULL;

		alloc_fail_at(fail, false);
		failures = 0;
		for (sent = 0; sent < total; sent += chunk) {
			const uint8_t *at = data + sent;
			size_t len;
			int r;

			chunk = total - sent < 3000 ? total - sent : 3000;
			len = chunk;
			r = mrpc_deframer_feed(&deframer, &at, &len, &part);
			if (r < 0) {
				ck_assert_int_eq(r, -ENOMEM);
				failures++;
				ck_assert_int_eq(mrpc_deframer_feed(&deframer, &at, &len, &part),
						 0);
			}
			ck_assert_uint_eq(len, 0);
		}
		check_part(part, false, whole);
		if (failures == 0)
			break;
	}
	ck_assert_uint_gt(fail, 3);
	alloc_fail_at(0, false);
	free(data);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("wire/frame");
	TCase *t = tcase_create("frame");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_prefix_is_a_flag_and_a_big_endian_length);
	tcase_add_test(t, chunks_of_any_size_give_the_same_messages);
	tcase_add_test(t, a_cut_at_any_two_places_gives_the_same_messages);
	tcase_add_test(t, one_call_takes_one_message_and_leaves_the_rest);
	tcase_add_test(t, no_bytes_are_no_message);
	tcase_add_test(t, a_message_is_partial_from_its_first_byte_to_its_last);
	tcase_add_test(t, a_flag_other_than_0_and_1_is_refused);
	tcase_add_test(t, the_limit_passes_and_one_more_is_refused_by_the_prefix);
	tcase_add_test(t, an_error_stays_an_error);
	tcase_add_test(t, clear_keeps_the_limit_and_forgets_the_rest);
	tcase_add_test(t, announcing_much_costs_little);
	tcase_add_test(t, memory_is_at_most_four_times_what_arrived);
	tcase_add_test(t, a_message_that_is_here_gets_exactly_its_room);
	tcase_add_test(t, growing_jumps_to_what_is_here);
	tcase_add_test(t, without_memory_nothing_is_lost);
	suite_add_tcase(s, t);
	return s;
}

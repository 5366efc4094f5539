/* SPDX-License-Identifier: MIT */
#include "call/lane.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <string.h>

struct ends {
	struct mrpc_turn turn;
	struct mrpc_lane lane;
	struct mrpc_task reader, writer;
	int reads, writes;
};

static void on_read(struct mrpc_task *task)
{
	mrpc_container(task, struct ends, reader)->reads++;
}

static void on_write(struct mrpc_task *task)
{
	mrpc_container(task, struct ends, writer)->writes++;
}

static void begin(struct ends *ends)
{
	*ends = (struct ends){ .reader = { .run = on_read }, .writer = { .run = on_write } };
	mrpc_turn_init(&ends->turn);
	mrpc_lane_init(&ends->lane, &ends->turn);
	ends->lane.reader = &ends->reader;
	ends->lane.writer = &ends->writer;
}

static void finish(struct ends *ends)
{
	mrpc_lane_clear(&ends->lane);
	ck_assert_uint_eq(alloc_live(), 0);
}

static struct mrpc_part *message(const char *text)
{
	struct mrpc_part *part = mrpc_part_new(NULL, strlen(text));

	memcpy(mrpc_part_data(part), text, strlen(text));
	part->credit = MRPC_PREFIX + part->len;
	return part;
}

static void push(struct ends *ends, const char *text)
{
	ck_assert_int_eq(mrpc_lane_push(&ends->lane, message(text)), 0);
}

static void expect(struct ends *ends, const char *text)
{
	struct mrpc_part *part = mrpc_lane_peek(&ends->lane);

	ck_assert_ptr_nonnull(part);
	ck_assert_int_eq(part->kind, MRPC_MESSAGE);
	ck_assert_uint_eq(part->len, strlen(text));
	ck_assert_mem_eq(mrpc_part_data(part), text, part->len);
	mrpc_lane_next(&ends->lane);
}

static void expect_kind(struct ends *ends, enum mrpc_part_kind kind)
{
	ck_assert_ptr_nonnull(mrpc_lane_peek(&ends->lane));
	ck_assert_int_eq(mrpc_lane_peek(&ends->lane)->kind, kind);
	mrpc_lane_next(&ends->lane);
}

START_TEST(parts_come_out_in_the_order_they_went_in)
{
	struct ends ends;

	begin(&ends);
	ck_assert_int_eq(mrpc_lane_push_headers(&ends.lane), 0);
	push(&ends, "one");
	push(&ends, "");
	push(&ends, "three");
	ck_assert_int_eq(mrpc_lane_end(&ends.lane), 0);
	expect_kind(&ends, MRPC_HEADERS);
	expect(&ends, "one");
	expect(&ends, "");
	ck_assert(!mrpc_lane_is_over(&ends.lane));
	expect(&ends, "three");
	expect_kind(&ends, MRPC_END);
	ck_assert(mrpc_lane_is_over(&ends.lane));
	ck_assert_ptr_null(mrpc_lane_peek(&ends.lane));
	finish(&ends);
}
END_TEST

START_TEST(the_grammar_is_headers_then_messages_then_end)
{
	struct ends ends;
	struct mrpc_part *part = message("early");

	begin(&ends);
	ck_assert_int_lt(mrpc_lane_push(&ends.lane, part), 0);
	ck_assert_int_eq(mrpc_lane_push_headers(&ends.lane), 0);
	ck_assert_int_eq(mrpc_lane_push_headers(&ends.lane), -EPROTO);
	ck_assert_int_eq(mrpc_lane_push(&ends.lane, part), 0);
	ck_assert_int_eq(mrpc_lane_push_headers(&ends.lane), -EPROTO);
	ck_assert_int_eq(mrpc_lane_end(&ends.lane), 0);
	ck_assert_int_eq(mrpc_lane_end(&ends.lane), -EPIPE);
	part = message("late");
	ck_assert_int_eq(mrpc_lane_push(&ends.lane, part), -EPIPE);
	mrpc_part_free(part);
	finish(&ends);
}
END_TEST

START_TEST(a_lane_may_end_at_once)
{
	struct ends ends;

	begin(&ends);
	ck_assert_int_eq(mrpc_lane_end(&ends.lane), 0);
	expect_kind(&ends, MRPC_END);
	finish(&ends);
}
END_TEST

START_TEST(pushing_wakes_the_reader_once_a_turn)
{
	struct ends ends;

	begin(&ends);
	mrpc_lane_push_headers(&ends.lane);
	push(&ends, "a");
	push(&ends, "b");
	mrpc_turn_run(&ends.turn, 100);
	ck_assert_int_eq(ends.reads, 1);
	finish(&ends);
}
END_TEST

START_TEST(an_empty_queue_takes_any_message_and_a_full_one_none)
{
	struct ends ends;

	begin(&ends);
	ends.lane.limit = 8;
	mrpc_lane_push_headers(&ends.lane);
	ck_assert(mrpc_lane_has_room(&ends.lane));
	push(&ends, "far more than eight bytes");
	ck_assert(!mrpc_lane_has_room(&ends.lane));
	mrpc_turn_run(&ends.turn, 100);
	ck_assert_int_eq(ends.writes, 0);
	expect_kind(&ends, MRPC_HEADERS);
	expect(&ends, "far more than eight bytes");
	mrpc_turn_run(&ends.turn, 100);
	ck_assert_int_eq(ends.writes, 1);
	ck_assert(mrpc_lane_has_room(&ends.lane));
	finish(&ends);
}
END_TEST

START_TEST(a_writer_that_was_not_refused_hears_nothing_of_room)
{
	struct ends ends;

	begin(&ends);
	ends.lane.limit = 8;
	mrpc_lane_push_headers(&ends.lane);
	push(&ends, "1234");
	mrpc_lane_peek(&ends.lane)->credit = 0;
	mrpc_lane_next(&ends.lane);
	mrpc_lane_peek(&ends.lane)->credit = 0;
	mrpc_lane_next(&ends.lane);
	mrpc_turn_run(&ends.turn, 100);
	ck_assert_int_eq(ends.writes, 0);
	finish(&ends);
}
END_TEST

START_TEST(a_writer_that_awaits_the_reader_hears_when_all_is_read)
{
	struct ends e;
	struct mrpc_part *part;

	begin(&e);
	mrpc_lane_push_headers(&e.lane);
	mrpc_lane_next(&e.lane);
	for (int i = 0; i < 2; i++) {
		part = message("small");
		part->credit = 0; /* held back: no reason to wake */
		ck_assert_int_eq(mrpc_lane_push(&e.lane, part), 0);
	}
	e.lane.awaited = true;
	mrpc_lane_next(&e.lane);
	mrpc_turn_run(&e.turn, 100);
	ck_assert_int_eq(e.writes, 0);
	mrpc_lane_next(&e.lane);
	mrpc_turn_run(&e.turn, 100);
	ck_assert_int_eq(e.writes, 1);
	ck_assert(!e.lane.awaited);
	finish(&e);
}
END_TEST

START_TEST(reading_makes_credit_due_and_asking_forgets_it)
{
	struct ends ends;

	begin(&ends);
	mrpc_lane_push_headers(&ends.lane);
	push(&ends, "12345");
	push(&ends, "123");
	mrpc_lane_next(&ends.lane);
	ck_assert_uint_eq(mrpc_lane_credit(&ends.lane), 0);
	mrpc_lane_next(&ends.lane);
	mrpc_part_free(mrpc_lane_take(&ends.lane));
	ck_assert_uint_eq(mrpc_lane_credit(&ends.lane), 18);
	ck_assert_uint_eq(mrpc_lane_credit(&ends.lane), 0);
	finish(&ends);
}
END_TEST

START_TEST(credit_may_go_back_before_its_message_is_read)
{
	struct ends e;

	begin(&e);
	mrpc_lane_push_headers(&e.lane);
	push(&e, "x");
	mrpc_lane_next(&e.lane);
	mrpc_lane_give_back(&e.lane);
	mrpc_lane_give_back(&e.lane);
	mrpc_turn_run(&e.turn, 100);
	ck_assert_int_eq(e.writes, 1);
	ck_assert_uint_eq(mrpc_lane_credit(&e.lane), MRPC_PREFIX + 1);
	expect(&e, "x");
	ck_assert_uint_eq(mrpc_lane_credit(&e.lane), 0);
	finish(&e);
}
END_TEST

START_TEST(cutting_drops_what_is_unread_and_leaves_the_end)
{
	struct ends ends;

	begin(&ends);
	mrpc_lane_push_headers(&ends.lane);
	push(&ends, "a");
	mrpc_lane_next(&ends.lane);
	push(&ends, "b");
	mrpc_lane_cut(&ends.lane);
	ck_assert_uint_eq(ends.lane.unread, 0);
	ck_assert(ends.lane.was_cut);
	mrpc_lane_cut(&ends.lane);
	expect_kind(&ends, MRPC_END);
	ck_assert(mrpc_lane_is_over(&ends.lane));
	mrpc_lane_cut(&ends.lane);
	ck_assert_ptr_null(mrpc_lane_peek(&ends.lane));
	finish(&ends);
}
END_TEST

START_TEST(empty_messages_meet_the_limit_too)
{
	struct ends ends;

	begin(&ends);
	ends.lane.limit = 10 * MRPC_PREFIX;
	mrpc_lane_push_headers(&ends.lane);
	for (int i = 0; i < 10; i++) {
		ck_assert(mrpc_lane_has_room(&ends.lane));
		push(&ends, "");
	}
	ck_assert(!mrpc_lane_has_room(&ends.lane));
	mrpc_lane_clear(&ends.lane);
}
END_TEST

START_TEST(a_retained_lane_rewinds_to_its_beginning_with_everything)
{
	struct ends ends;

	begin(&ends);
	mrpc_lane_retain(&ends.lane);
	mrpc_lane_push_headers(&ends.lane);
	push(&ends, "a");
	push(&ends, "bc");
	for (int attempt = 0; attempt < 3; attempt++) {
		expect_kind(&ends, MRPC_HEADERS);
		expect(&ends, "a");
		ck_assert_uint_eq(ends.lane.kept, MRPC_PREFIX + 1);
		ck_assert_uint_eq(ends.lane.unread, MRPC_PREFIX + 2);
		expect(&ends, "bc");
		mrpc_lane_rewind(&ends.lane);
		ck_assert_uint_eq(ends.lane.unread, 2 * MRPC_PREFIX + 3);
	}
	mrpc_lane_end(&ends.lane);
	expect_kind(&ends, MRPC_HEADERS);
	expect(&ends, "a");
	expect(&ends, "bc");
	expect_kind(&ends, MRPC_END);
	mrpc_lane_rewind(&ends.lane);
	ck_assert(!mrpc_lane_is_over(&ends.lane));
	expect_kind(&ends, MRPC_HEADERS);
	finish(&ends);
}
END_TEST

START_TEST(committing_drops_what_was_read_and_keeps_the_rest)
{
	struct ends ends;

	begin(&ends);
	mrpc_lane_retain(&ends.lane);
	mrpc_lane_push_headers(&ends.lane);
	push(&ends, "a");
	push(&ends, "b");
	expect_kind(&ends, MRPC_HEADERS);
	expect(&ends, "a");
	mrpc_lane_commit(&ends.lane);
	ck_assert_uint_eq(ends.lane.kept, 0);
	ck_assert_uint_eq(alloc_live(), 1);
	expect(&ends, "b");
	ck_assert_uint_eq(alloc_live(), 0);
	push(&ends, "c");
	expect(&ends, "c");
	finish(&ends);
}
END_TEST

START_TEST(a_part_grows_and_keeps_its_bytes)
{
	struct mrpc_part *part = message("hello");
	struct mrpc_part *same = part;

	ck_assert_int_eq(mrpc_part_grow(&part, 3), 0);
	ck_assert_ptr_eq(part, same);
	ck_assert_int_eq(mrpc_part_grow(&part, 5000), 0);
	ck_assert_mem_eq(mrpc_part_data(part), "hello", 5);
	ck_assert_uint_eq(part->len, 5);
	ck_assert_int_eq(mrpc_part_grow(&part, SIZE_MAX), -ENOMEM);
	ck_assert_ptr_null(mrpc_part_new(NULL, SIZE_MAX - 2));
	mrpc_part_free(part);
	mrpc_part_free(NULL);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("call/lane");
	TCase *c = tcase_create("lane");

	tcase_add_test(c, parts_come_out_in_the_order_they_went_in);
	tcase_add_test(c, the_grammar_is_headers_then_messages_then_end);
	tcase_add_test(c, a_lane_may_end_at_once);
	tcase_add_test(c, pushing_wakes_the_reader_once_a_turn);
	tcase_add_test(c, an_empty_queue_takes_any_message_and_a_full_one_none);
	tcase_add_test(c, a_writer_that_was_not_refused_hears_nothing_of_room);
	tcase_add_test(c, a_writer_that_awaits_the_reader_hears_when_all_is_read);
	tcase_add_test(c, reading_makes_credit_due_and_asking_forgets_it);
	tcase_add_test(c, credit_may_go_back_before_its_message_is_read);
	tcase_add_test(c, cutting_drops_what_is_unread_and_leaves_the_end);
	tcase_add_test(c, empty_messages_meet_the_limit_too);
	tcase_add_test(c, a_retained_lane_rewinds_to_its_beginning_with_everything);
	tcase_add_test(c, committing_drops_what_was_read_and_keeps_the_rest);
	tcase_add_test(c, a_part_grows_and_keeps_its_bytes);
	suite_add_tcase(s, c);
	return s;
}

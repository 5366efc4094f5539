/* SPDX-License-Identifier: MIT */
/* Requests that are no gRPC, as browsers, scanners and h2spec send them: what they get, and when. */
#include "raw.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <string.h>

#define PATIENCE MINIRPC_MS(50)
#define GET ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "here"
#define POST ":method", "POST", ":scheme", "http", ":path", "/", ":authority", "here"
#define HINT "This is a gRPC server: POST, with content-type application/grpc.\n"

static void wait(struct raw *raw, minirpc_time span)
{
	pair_advance(raw->pair, span);
	raw_send(raw);
}

static uint32_t reset_code(const struct raw *raw, uint32_t id)
{
	const struct seen *reset = raw_find(raw, RST_STREAM, id);

	return reset == NULL ? UINT32_MAX : reset->code;
}

START_TEST(it_gets_a_line_for_people)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, END_STREAM, RAW(GET));
	raw_send(raw);
	wait(raw, PATIENCE);
	ck_assert_str_eq(raw_find(raw, HEADERS, 1)->headers,
			 ":status: 405\nallow: POST\ncontent-type: text/plain\n");
	ck_assert_int_eq(raw_count(raw, DATA, 1), 1);
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, strlen(HINT));
	ck_assert_mem_eq(raw_find(raw, DATA, 1)->bytes, HINT, 64);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags & END_STREAM, END_STREAM);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 1); /* no trailers */
	ck_assert_int_eq(raw_count(raw, RST_STREAM, 1), 0);
	raw_free(raw);
}
END_TEST

START_TEST(head_gets_no_body)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, END_STREAM,
		    RAW(":method", "HEAD", ":scheme", "http", ":path", "/", ":authority", "here"));
	raw_send(raw);
	wait(raw, PATIENCE);
	ck_assert_str_eq(raw_find(raw, HEADERS, 1)->headers, ":status: 405\nallow: POST\n");
	ck_assert_int_eq(raw_find(raw, HEADERS, 1)->flags & END_STREAM, END_STREAM);
	ck_assert_int_eq(raw_count(raw, DATA, 1), 0);
	raw_free(raw);
}
END_TEST

START_TEST(the_answer_takes_its_time)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, END_STREAM, RAW(GET));
	raw_send(raw);
	wait(raw, PATIENCE - 1);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 0);
	wait(raw, 1);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 1);
	raw_free(raw);
}
END_TEST

START_TEST(answers_leave_in_order_each_in_its_time)
{
	struct raw *raw = raw_client(NULL);

	for (uint32_t id = 1; id <= 5; id += 2) {
		raw_headers(raw, id, END_STREAM, RAW(GET));
		raw_send(raw);
		wait(raw, MINIRPC_MS(10));
	}
	wait(raw, PATIENCE - MINIRPC_MS(30));
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 1);
	ck_assert_int_eq(raw_count(raw, HEADERS, 3), 0);
	wait(raw, MINIRPC_MS(10));
	ck_assert_int_eq(raw_count(raw, HEADERS, 3), 1);
	ck_assert_int_eq(raw_count(raw, HEADERS, 5), 0);
	wait(raw, MINIRPC_MS(10));
	ck_assert_int_eq(raw_count(raw, HEADERS, 5), 1);
	raw_free(raw);
}
END_TEST

/* RFC 9113, 8.1.1 and 6.9: the stream is still there to be judged, however the packets fall. */
START_TEST(what_follows_is_judged)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, 0, RAW(POST, "content-length", "1"));
	raw_headers(raw, 3, 0, RAW(POST));
	raw_headers(raw, 5, 0, RAW(POST));
	raw_headers(raw, 7, 0, RAW(POST));
	raw_send(raw);
	raw_frame(raw, DATA, END_STREAM, 1, "four", 4);
	raw_headers(raw, 3, 0, RAW("a", "second block"));
	raw_headers(raw, 5, END_STREAM, RAW(":path", "/"));
	raw_window(raw, 7, 0x7fffffff);
	raw_send(raw);
	ck_assert_uint_eq(reset_code(raw, 1), NGHTTP2_PROTOCOL_ERROR);
	ck_assert_uint_eq(reset_code(raw, 3), NGHTTP2_PROTOCOL_ERROR);
	ck_assert_uint_eq(reset_code(raw, 5), NGHTTP2_PROTOCOL_ERROR);
	ck_assert_uint_eq(reset_code(raw, 7), NGHTTP2_FLOW_CONTROL_ERROR);
	wait(raw, PATIENCE);
	ck_assert_int_eq(raw_count(raw, HEADERS, ANY), 0);
	raw_free(raw);
}
END_TEST

START_TEST(a_reset_meanwhile_takes_the_answer_away)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, END_STREAM, RAW(GET));
	raw_headers(raw, 3, END_STREAM, RAW(GET));
	raw_send(raw);
	raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	wait(raw, PATIENCE);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 0);
	ck_assert_int_eq(raw_count(raw, HEADERS, 3), 1);
	raw_free(raw);
}
END_TEST

START_TEST(the_body_obeys_the_window)
{
	static const uint8_t window_1[] = { 0, 4, 0, 0, 0, 1 }; /* SETTINGS_INITIAL_WINDOW_SIZE */
	struct raw *raw = raw_client(NULL);

	raw_frame(raw, SETTINGS, 0, 0, window_1, sizeof window_1);
	raw_headers(raw, 1, END_STREAM, RAW(GET));
	raw_send(raw);
	wait(raw, PATIENCE);
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, 1);
	raw_window(raw, 1, 1000);
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, DATA, 1), 2);
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, strlen(HINT) - 1);
	ck_assert_mem_eq(raw_find(raw, DATA, 1)->bytes, &HINT[1], 64);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags & END_STREAM, END_STREAM);
	raw_free(raw);
}
END_TEST

START_TEST(a_request_that_has_not_ended_is_reset_with_no_error)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, 0, RAW(POST));
	raw_send(raw);
	wait(raw, PATIENCE);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags & END_STREAM, END_STREAM);
	ck_assert_uint_eq(reset_code(raw, 1), NGHTTP2_NO_ERROR); /* W-22 */
	raw_free(raw);
}
END_TEST

START_TEST(streams_that_wait_count)
{
	struct raw *raw = raw_client(&(struct minirpc_conn_limits){ .max_streams = 2 });

	for (uint32_t id = 1; id <= 5; id += 2)
		raw_headers(raw, id, END_STREAM, RAW(GET));
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, RST_STREAM, ANY) + raw_count(raw, GOAWAY, ANY), 1);
	raw_free(raw);
}
END_TEST

START_TEST(a_connection_may_end_before_the_answer)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, END_STREAM, RAW(GET));
	raw_send(raw);
	raw_frame(raw, PRIORITY, 0, 0, "\0\0\0\0\1", 5);
	raw_send(raw);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	wait(raw, PATIENCE);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 0);
	raw_free(raw);
}
END_TEST

START_TEST(any_allocation_may_fail)
{
	size_t live = alloc_live(), refused, n = 0;

	do {
		struct raw *raw = raw_client(NULL);

		raw_headers(raw, 1, END_STREAM, RAW(GET));
		raw_headers(raw, 3, 0, RAW(POST));
		alloc_fail_at(++n, _i == 1);
		raw_send(raw);
		wait(raw, PATIENCE);
		wait(raw, PATIENCE);
		refused = alloc_refused();
		alloc_fail_at(0, false);
		if (mrpc_conn_state(raw->conn) == MRPC_CONN_READY && refused == 0)
			ck_assert_int_eq(raw_find(raw, DATA, 3)->flags & END_STREAM, END_STREAM);
		raw_free(raw);
		ck_assert_uint_eq(alloc_live(), live);
	} while (refused > 0);
	ck_assert_uint_gt(n, 3);
}
END_TEST

/* ---- What nghttp2 lets pass ---- */

static void ck_goaway(struct raw *raw, uint32_t code)
{
	raw_send(raw);
	ck_assert_ptr_nonnull(raw_find(raw, GOAWAY, 0));
	ck_assert_uint_eq(raw_find(raw, GOAWAY, 0)->code, code);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	raw_free(raw);
}

/* RFC 9113, 5.1: after END_STREAM or RST_STREAM of its own a peer has nothing more to say. */
START_TEST(a_frame_behind_the_end_is_stream_closed)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/unary", NULL);
	if ((_i & 1) != 0)
		raw_reset(raw, 1, NGHTTP2_CANCEL);
	else
		raw_message(raw, 1, END_STREAM, "x");
	if ((_i & 4) != 0)
		raw_send(raw);
	if ((_i & 2) != 0)
		raw_message(raw, 1, END_STREAM, "y");
	else
		raw_headers(raw, 1, END_STREAM, RAW("late", "trailer"));
	ck_goaway(raw, NGHTTP2_STREAM_CLOSED);
}
END_TEST

/* RFC 9113, 5.1: our RST_STREAM and what is still sent may cross. */
START_TEST(a_frame_behind_our_own_end_is_no_error)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/malformed", NULL);
	raw_send(raw);
	ck_assert_uint_eq(reset_code(raw, 1), NGHTTP2_NO_ERROR);
	raw_message(raw, 1, 0, "still");
	raw_message(raw, 1, END_STREAM, "on its way");
	raw_request(raw, 3, 0, "/t/unary", NULL);
	raw_message(raw, 3, END_STREAM, "x");
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 3), "grpc-status: 0\n");
	raw_free(raw);
}
END_TEST

/* RFC 9113, 5.1.1; nghttp2 leaves that to us. */
START_TEST(a_lower_id_that_was_passed_over_is_a_protocol_error)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 5, END_STREAM, "/t/unary", NULL);
	if (_i == 1)
		raw_send(raw);
	raw_request(raw, 3, END_STREAM, "/t/unary", NULL);
	ck_goaway(raw, NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(priority_of_no_stream_is_a_protocol_error)
{
	struct raw *raw = raw_client(NULL);

	raw_frame(raw, PRIORITY, 0, 0, "\0\0\0\3\xff", 5);
	ck_goaway(raw, NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(priority_on_itself_is_a_protocol_error)
{
	static const char *const itself[] = { "\0\0\0\3\xff", "\x80\0\0\3\xff" };
	struct raw *raw = raw_client(NULL);

	raw_frame(raw, PRIORITY, 0, 3, itself[_i], 5);
	ck_goaway(raw, NGHTTP2_PROTOCOL_ERROR);
}
END_TEST

START_TEST(priority_on_another_is_fine)
{
	struct raw *raw = raw_client(NULL);

	raw_frame(raw, PRIORITY, 0, 3, "\0\0\0\1\xff", 5);
	raw_frame(raw, PRIORITY, 0, 3, "\0\0\0\0\3", 5);
	raw_send(raw);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	raw_free(raw);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/late");
	TCase *t = tcase_create("late");

	tcase_add_test(t, it_gets_a_line_for_people);
	tcase_add_test(t, head_gets_no_body);
	tcase_add_test(t, the_answer_takes_its_time);
	tcase_add_test(t, answers_leave_in_order_each_in_its_time);
	tcase_add_test(t, what_follows_is_judged);
	tcase_add_test(t, a_reset_meanwhile_takes_the_answer_away);
	tcase_add_test(t, the_body_obeys_the_window);
	tcase_add_test(t, a_request_that_has_not_ended_is_reset_with_no_error);
	tcase_add_test(t, streams_that_wait_count);
	tcase_add_test(t, a_connection_may_end_before_the_answer);
	tcase_add_loop_test(t, any_allocation_may_fail, 0, 2);
	suite_add_tcase(s, t);

	t = tcase_create("what nghttp2 lets pass");
	tcase_add_loop_test(t, a_frame_behind_the_end_is_stream_closed, 0, 8);
	tcase_add_test(t, a_frame_behind_our_own_end_is_no_error);
	tcase_add_loop_test(t, a_lower_id_that_was_passed_over_is_a_protocol_error, 0, 2);
	tcase_add_test(t, priority_of_no_stream_is_a_protocol_error);
	tcase_add_loop_test(t, priority_on_itself_is_a_protocol_error, 0, 2);
	tcase_add_test(t, priority_on_another_is_fine);
	suite_add_tcase(s, t);
	return s;
}

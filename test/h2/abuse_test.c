/* SPDX-License-Identifier: MIT */
/* A server and a client that abuses it: each limit served at its value, and refused at one more. */
#include "raw.h"
#include "run_suite.h"

#include <errno.h>
#include <string.h>

static void ck_alive(struct raw *raw)
{
	ck_assert_msg(mrpc_conn_state(raw->conn) == MRPC_CONN_READY, "%s",
		      mrpc_conn_reason(raw->conn));
	ck_assert_ptr_null(raw_find(raw, GOAWAY, 0));
}

static void ck_closed(struct raw *raw, uint64_t count)
{
	const struct seen *goaway = raw_find(raw, GOAWAY, 0);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert_ptr_nonnull(goaway);
	ck_assert_int_eq(goaway->code, NGHTTP2_ENHANCE_YOUR_CALM);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_lt(machine->ops->receive(machine, NULL, 0, raw->pair->now), 0);
	ck_assert(machine->ops->is_finished(machine));
	ck_assert_str_ne(mrpc_conn_reason(raw->conn), "");
}

#define COUNTS(raw) mrpc_conn_counts((raw)->conn)

/* ---- RST_STREAM received ---- */

static void open_and_reset(struct raw *raw, uint32_t calls, uint32_t *id)
{
	for (uint32_t i = 0; i < calls; i++, *id += 2) {
		raw_request(raw, *id, 0, "/t/stream", NULL);
		raw_reset(raw, *id, NGHTTP2_CANCEL);
		raw_send(raw);
	}
}

START_TEST(rapid_reset_200_are_served_and_the_201st_is_too_many)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	raw->pair->hold = true;
	open_and_reset(raw, 200, &id);
	ck_alive(raw);
	open_and_reset(raw, 1, &id);
	ck_closed(raw, COUNTS(raw)->closed_resets);
	raw_free(raw);
}
END_TEST

START_TEST(resets_are_forgiven_with_time)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	raw->pair->hold = true;
	open_and_reset(raw, 200, &id);
	raw->pair->now += MINIRPC_S(1);
	open_and_reset(raw, 33, &id);
	ck_alive(raw);
	open_and_reset(raw, 1, &id);
	ck_closed(raw, COUNTS(raw)->closed_resets);
	raw_free(raw);
}
END_TEST

START_TEST(calls_that_end_pay_for_resets)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	for (int i = 0; i < 500; i++) { /* half of all calls time out, and that is no abuse */
		raw_request(raw, id, 0, "/t/unary", NULL);
		raw_message(raw, id, END_STREAM, "x");
		raw_send(raw);
		raw->seen_count = 0;
		id += 2;
		open_and_reset(raw, 1, &id);
	}
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(resets_of_streams_long_gone_count_too)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, END_STREAM, "/t", NULL);
	raw_send(raw);
	for (int i = 0; i < 200; i++)
		raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	ck_alive(raw);
	raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_resets);
	raw_free(raw);
}
END_TEST

/* ---- RST_STREAM that we send ---- */

static void provoke(struct raw *raw, uint32_t times, uint32_t *id)
{
	for (uint32_t i = 0; i < times; i++, *id += 2) {
		raw_request(raw, *id, 0, "/t/stream", NULL);
		raw_window(raw, *id, 0x7fffffff); /* MadeYouReset: overflow */
		raw_send(raw);
	}
}

START_TEST(made_you_reset_200_are_served_and_the_201st_is_too_many)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	raw->pair->hold = true;
	provoke(raw, 200, &id);
	ck_assert_int_eq(raw_count(raw, RST_STREAM, ANY), 200);
	ck_alive(raw);
	provoke(raw, 1, &id);
	ck_closed(raw, COUNTS(raw)->closed_errors);
	raw_free(raw);
}
END_TEST

START_TEST(malformed_requests_are_counted_as_resets_caused)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	for (; id < 2 * 200; id += 2) {
		raw_headers(raw, id, END_STREAM, RAW("no-pseudo", "headers"));
		raw_send(raw);
	}
	ck_alive(raw);
	raw_headers(raw, id, END_STREAM, RAW("no-pseudo", "headers"));
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_errors);
	raw_free(raw);
}
END_TEST

START_TEST(resets_caused_are_forgiven_with_time)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	raw->pair->hold = true;
	provoke(raw, 200, &id);
	raw->pair->now += MINIRPC_S(1);
	provoke(raw, 20, &id);
	ck_alive(raw);
	provoke(raw, 1, &id);
	ck_closed(raw, COUNTS(raw)->closed_errors);
	raw_free(raw);
}
END_TEST

/* ---- DATA ---- */

/* A handler that says more than a header block may hold: it is not the client that pays for it. */
START_TEST(an_answer_that_is_too_large_to_send_is_no_error_of_the_peer)
{
	static char text[70000];
	struct pair *pair = pair_new();

	memset(text, 'x', sizeof text - 1);
	pair->hold = true;
	for (int i = 0; i < 250; i++) {
		struct probe *probe = pair_unary(pair, "x");

		pair_settle(pair);
		minirpc_call_fail(pair->served[i].call, MINIRPC_ABORTED, "%s", text);
		pair->served[i].call = NULL;
		pair_settle(pair);
		ck_assert_int_eq(probe->ends, 1);
		ck_assert_int_eq(probe->code, MINIRPC_INTERNAL);
	}
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_READY);
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->closed_errors, 0);
	pair_free(pair);
}
END_TEST

START_TEST(a_hundred_empty_data_frames_are_served_and_one_more_is_too_many)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	for (int i = 0; i < 100; i++)
		raw_frame(raw, DATA, 0, 1, NULL, 0);
	raw_message(raw, 1, 0, "x");
	for (int i = 0; i < 100; i++)
		raw_frame(raw, DATA, 0, 1, NULL, 0);
	raw_send(raw);
	ck_alive(raw);
	raw_frame(raw, DATA, 0, 1, NULL, 0);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_empty_data);
	raw_free(raw);
}
END_TEST

START_TEST(frames_of_nothing_but_padding_are_empty)
{
	struct raw *raw = raw_client(NULL);
	static const uint8_t padding[10] = { 9 };

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	for (int i = 0; i < 100; i++)
		raw_frame(raw, DATA, PADDED, 1, padding, sizeof padding);
	raw_send(raw);
	ck_alive(raw);
	raw_frame(raw, DATA, PADDED, 1, padding, sizeof padding);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_empty_data);
	raw_free(raw);
}
END_TEST

START_TEST(empty_frames_that_end_a_request_are_lawful)
{
	struct raw *raw = raw_client(NULL);

	for (uint32_t id = 1; id < 600; id += 2) {
		raw_request(raw, id, 0, "/t/unary", NULL);
		raw_message(raw, id, 0, "x");
		raw_frame(raw, DATA, END_STREAM, id, NULL, 0);
		raw_send(raw);
	}
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(frames_of_one_byte_are_too_small_after_a_thousand)
{
	struct raw *raw = raw_client(NULL);
	uint8_t prefix[5];

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	mrpc_frame_prefix(prefix, false, 100000);
	raw_frame(raw, DATA, 0, 1, prefix, 5);
	for (int i = 0; i < 998; i++)
		raw_frame(raw, DATA, 0, 1, "x", 1);
	raw_send(raw);
	ck_alive(raw);
	raw_frame(raw, DATA, 0, 1, "x", 1);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_tiny_data);
	raw_free(raw);
}
END_TEST

START_TEST(a_chat_of_tiny_messages_is_no_abuse)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	for (int i = 0; i < 5000; i++)
		raw_message(raw, 1, 0, "hi");
	raw_send(raw);
	ck_alive(raw);
	ck_assert_int_eq(raw->pair->served[0].messages, 5000);
	raw_free(raw);
}
END_TEST

/* ---- Control frames ---- */

static void control(struct raw *raw, int kind)
{
	switch (kind) {
	case 0:
		raw_ping(raw);
		break;
	case 1:
		raw_frame(raw, SETTINGS, 0, 0, NULL, 0);
		break;
	case 2:
		raw_frame(raw, PRIORITY, 0, 1, "\0\0\0\0\1", 5);
		break;
	case 3:
		raw_window(raw, 0, 1);
		break;
	case 4:
		raw_frame(raw, 0xbe, 0, 0, "what", 4);
		break;
	default: /* ignored by nghttp2 without a word: a stream that is long gone */
		raw_headers(raw, 1, END_STREAM, RAW("late", "trailer"));
		break;
	}
}

START_TEST(a_thousand_control_frames_are_served_and_one_more_is_too_many)
{
	/* PRIORITY and WINDOW_UPDATE have limits of their own, which would come first. */
	struct minirpc_conn_limits limits = { .priority_per_stream = 1000,
					      .updates_per_data = 1000 };
	struct raw *raw = raw_client(&limits);

	raw_request(raw, 1, END_STREAM, "/t", NULL);
	raw_request(raw, 1 + 2 * MRPC_IDS, END_STREAM, "/t", NULL);
	raw_send(raw);
	for (int i = 0; i < 1000; i++) {
		control(raw, _i);
		if (i % 50 == 49)
			raw_send(raw);
	}
	ck_alive(raw);
	control(raw, _i);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_floods);
	raw_free(raw);
}
END_TEST

START_TEST(a_hundred_priority_frames_a_stream_are_served_and_one_more_is_too_many)
{
	for (int streams = 0; streams < 3; streams++) {
		struct raw *raw = raw_client(NULL);

		raw->pair->hold = true;
		for (int i = 0; i < streams; i++)
			raw_request(raw, (uint32_t)i * 2 + 1, 0, "/t/stream", NULL);
		for (int i = 0; i < 100 * (1 + streams); i++)
			control(raw, 2);
		raw_send(raw);
		ck_alive(raw);
		control(raw, 2);
		raw_send(raw);
		ck_closed(raw, COUNTS(raw)->closed_priority);
		raw_free(raw);
	}
}
END_TEST

START_TEST(ten_window_updates_a_data_frame_are_served_and_one_more_is_too_many)
{
	for (int frames = 0; frames < 3; frames++) {
		struct raw *raw = raw_client(NULL);

		raw->pair->hold = true;
		raw_request(raw, 1, 0, "/t/stream", NULL);
		raw_send(raw);
		for (int i = 0; i < frames; i++) {
			minirpc_call_send(raw->pair->served[0].call, "x", 1);
			raw_send(raw);
		}
		for (int i = 0; i < 10 * (1 + 1 + frames); i++) /* to begin with, the call */
			control(raw, 3);
		raw_send(raw);
		ck_alive(raw);
		control(raw, 3);
		raw_send(raw);
		ck_closed(raw, COUNTS(raw)->closed_updates);
		raw_free(raw);
	}
}
END_TEST

START_TEST(an_idle_connection_may_ping_for_years)
{
	struct raw *raw = raw_client(NULL);

	for (int i = 0; i < 5000; i++) {
		raw->pair->now += MINIRPC_S(10);
		raw_ping(raw);
		raw_send(raw);
		raw->seen_count = 0;
	}
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(window_updates_that_answer_data_are_lawful)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	for (int i = 0; i < 3000; i++) {
		minirpc_call_send(raw->pair->served[0].call, "x", 1);
		raw_window(raw, 0, 6);
		raw_window(raw, 1, 6);
		raw_send(raw);
		raw->seen_count = 0;
	}
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(acks_that_are_not_read_end_the_connection)
{
	struct raw *raw = raw_client(NULL);

	for (int i = 0; i < 101; i++)
		raw_ping(raw);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_floods);
	raw_free(raw);
}
END_TEST

START_TEST(acks_waiting_hold_the_peer_off)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	raw->wire->stalled = true;
	raw_ping(raw);
	raw_send(raw); /* the socket is full from here on */
	for (int i = 0; i < 99; i++)
		raw_ping(raw);
	raw_send(raw);
	ck_assert(machine->ops->wants_receive(machine));
	raw_ping(raw);
	raw_send(raw);
	ck_assert(!machine->ops->wants_receive(machine));
	ck_assert_uint_eq(COUNTS(raw)->held_off, 1);
	raw->wire->stalled = false;
	raw_read(raw);
	mrpc_conn_touch(raw->conn);
	raw_send(raw);
	ck_assert(machine->ops->wants_receive(machine));
	ck_assert_int_eq(raw_count(raw, PING, 0), 101);
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(unsent_bytes_hold_the_peer_off)
{
	struct minirpc_conn_limits limits = { .unsent_bytes = 10000 };
	struct raw *raw = raw_client(&limits);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);
	static uint8_t zeros[20000];

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	raw->wire->stalled = true;
	minirpc_call_send(raw->pair->served[0].call, zeros, sizeof zeros);
	raw_send(raw);
	ck_assert(!machine->ops->wants_receive(machine));
	ck_assert_uint_eq(COUNTS(raw)->held_off, 1);
	machine->ops->sent(machine, raw->conn->unsent - 10000, raw->pair->now);
	ck_assert(!machine->ops->wants_receive(machine));
	machine->ops->sent(machine, 1, raw->pair->now);
	ck_assert(machine->ops->wants_receive(machine));
	raw_free(raw);
}
END_TEST

/* ---- Header blocks ---- */

static void fragments(struct raw *raw, int continuations)
{
	struct mrpc_buf block = { 0 };

	raw_block(&block, RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary",
			      ":authority", "here", "content-type", "application/grpc"));
	raw_frame(raw, HEADERS, END_STREAM, 1, mrpc_buf_bytes(&block), mrpc_buf_len(&block));
	for (int i = 1; i <= continuations; i++)
		raw_frame(raw, CONTINUATION, i == continuations ? END_HEADERS : 0, 1, NULL, 0);
	mrpc_buf_clear(&block);
}

START_TEST(eight_continuations_are_served_and_nine_are_too_many)
{
	struct raw *raw = raw_client(NULL);

	fragments(raw, 8);
	raw_send(raw);
	ck_alive(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status");
	raw_free(raw);

	raw = raw_client(NULL);
	fragments(raw, 9);
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_continuations);
	raw_free(raw);
}
END_TEST

START_TEST(the_wire_bytes_of_a_block_are_bounded)
{
	for (uint32_t over = 0; over <= 1; over++) {
		struct minirpc_conn_limits limits = { .max_header_wire = 300 };
		struct raw *raw = raw_client(&limits);
		struct mrpc_buf block = { 0 };
		char pad[400];
		size_t fixed;

		raw_block(&block, RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary",
				      ":authority", "here", "content-type", "application/grpc"));
		fixed = mrpc_buf_len(&block) + 1 + 1 + 1 + 2; /* one more field, length in two */
		memset(pad, 'x', sizeof pad);
		pad[300 - fixed + over] = '\0';
		raw_block(&block, RAW("p", pad));
		ck_assert_uint_eq(mrpc_buf_len(&block), 300 + over);
		raw_frame(raw, HEADERS, 0, 1, mrpc_buf_bytes(&block), 100);
		raw_frame(raw, CONTINUATION, END_HEADERS, 1, mrpc_buf_bytes(&block) + 100,
			  200 + over);
		raw_send(raw);
		if (over)
			ck_closed(raw, COUNTS(raw)->closed_header_wire);
		else
			ck_alive(raw);
		mrpc_buf_clear(&block);
		raw_free(raw);
	}
}
END_TEST

START_TEST(a_block_must_be_finished_in_time)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);
	static const uint8_t begin[] = "\0\0\100\1\4\0\0\0\1\0\7:method\4PO";

	raw_bytes(raw, begin, sizeof begin - 1); /* END_HEADERS, but the bytes trickle */
	raw_send(raw);
	ck_assert_int_eq(machine->ops->deadline(machine), raw->pair->now + MINIRPC_S(10));
	pair_advance(raw->pair, MINIRPC_S(10) - 1);
	raw_bytes(raw, "S", 1);
	raw_send(raw);
	ck_alive(raw);
	pair_advance(raw->pair, 1);
	raw_read(raw);
	ck_closed(raw, COUNTS(raw)->closed_header_time);
	raw_free(raw);
}
END_TEST

START_TEST(a_finished_block_stops_the_clock)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	fragments(raw, 1);
	raw->out.end -= 9; /* without its CONTINUATION */
	raw_send(raw);
	ck_assert_int_ne(machine->ops->deadline(machine), MINIRPC_NEVER);
	raw_frame(raw, CONTINUATION, END_HEADERS, 1, NULL, 0);
	raw_send(raw);
	ck_assert_int_eq(machine->ops->deadline(machine), MINIRPC_NEVER);
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(a_header_list_far_over_the_limit_ends_the_connection)
{
	struct minirpc_conn_limits limits = { .max_header_bytes = 1000 };

	for (size_t over = 0; over <= 1; over++) {
		struct raw *raw = raw_client(&limits);
		char pad[4000];
		size_t fixed = 7 + 4 + 7 + 4 + 5 + 8 + 10 + 4 + 2 + 8 + 12 + 16 + 7 * 32 + 1;

		memset(pad, 'x', sizeof pad);
		pad[4000 - fixed + over] = '\0';
		raw_request(raw, 1, END_STREAM, "/t/unary", RAW("p", pad));
		raw_send(raw);
		if (over) {
			ck_closed(raw, COUNTS(raw)->closed_headers);
		} else {
			ck_alive(raw);
			ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 8\n");
		}
		raw_free(raw);
	}
}
END_TEST

START_TEST(an_hpack_bomb_is_cut_off_early)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_buf block = { 0 };
	char value[3000];
	static const uint8_t insert = 0x40, again = 0x80 | 62;

	memset(value, 'x', sizeof value);
	value[2999] = '\0';
	raw_block(&block, RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary",
			      ":authority", "here"));
	mrpc_buf_append(&block, &insert, 1);
	{
		struct mrpc_buf field = { 0 };

		raw_block(&field, RAW("bomb", value));
		mrpc_buf_append(&block, mrpc_buf_bytes(&field) + 1, mrpc_buf_len(&field) - 1);
		mrpc_buf_clear(&field);
	}
	while (mrpc_buf_len(&block) < 16000)
		mrpc_buf_append(&block, &again, 1);
	raw_frame(raw, HEADERS, END_STREAM | END_HEADERS, 1, mrpc_buf_bytes(&block),
		  mrpc_buf_len(&block));
	raw_send(raw);
	ck_closed(raw, COUNTS(raw)->closed_headers);
	ck_assert_uint_le(raw->conn->block.fields, 4 + 4 * 16384 / 3000 + 1);
	mrpc_buf_clear(&block);
	raw_free(raw);
}
END_TEST

/* ---- Time ---- */

START_TEST(the_handshake_must_be_over_in_time)
{
	struct raw *raw = raw_client_silent(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	raw_read(raw);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_OPENING);
	ck_assert_int_eq(machine->ops->deadline(machine), raw->pair->now + MINIRPC_S(10));
	pair_advance(raw->pair, MINIRPC_S(10) - 1);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_OPENING);
	pair_advance(raw->pair, 1);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert_uint_eq(COUNTS(raw)->closed_handshake, 1);
	raw_free(raw);
}
END_TEST

START_TEST(a_handshake_stops_the_clock)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	ck_assert_int_eq(machine->ops->deadline(machine), MINIRPC_NEVER);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	ck_assert_int_ge(raw->pair->server_woken, 1);
	raw_free(raw);
}
END_TEST

START_TEST(a_peer_that_does_not_read_is_left_after_30_s)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	raw->wire->stalled = true;
	minirpc_call_send(raw->pair->served[0].call, "0123456789", 10);
	pair_turn(raw->pair);
	pair_advance(raw->pair, MINIRPC_S(29));
	machine->ops->sent(machine, 1, raw->pair->now); /* progress */
	pair_advance(raw->pair, MINIRPC_S(30) - 1);
	ck_alive(raw);
	pair_advance(raw->pair, 1);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert_uint_eq(COUNTS(raw)->closed_stalled, 1);
	ck_assert(machine->ops->is_finished(machine));
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	raw_free(raw);
}
END_TEST

START_TEST(bytes_that_are_no_http2_end_the_connection)
{
	struct raw *raw = raw_client_silent(NULL);

	raw_bytes(raw, "GET / HTTP/1.1\r\n\r\n", 18);
	raw_send(raw);
	ck_assert_int_lt(raw->result, 0);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	raw_free(raw);
}
END_TEST

START_TEST(streams_over_the_limit_after_the_ack_are_a_connection_error)
{
	struct minirpc_conn_limits limits = { .max_streams = 2 };
	struct raw *raw = raw_client(&limits);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_request(raw, 3, 0, "/t/stream", NULL);
	raw_send(raw);
	ck_alive(raw);
	raw_request(raw, 5, 0, "/t/stream", NULL);
	raw_send(raw);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert_int_eq(raw_find(raw, GOAWAY, 0)->code, NGHTTP2_PROTOCOL_ERROR);
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_CANCELLED);
	raw_free(raw);
}
END_TEST

START_TEST(limits_out_of_range_are_refused)
{
	struct minirpc_conn_limits limits = { 0 };

	ck_assert_int_eq(mrpc_limits_complete(&limits), 0);
	ck_assert_uint_eq(limits.max_streams, 100);
	ck_assert_uint_eq(limits.conn_window, 16 << 20);
	ck_assert_int_eq(limits.write_stall_time, MINIRPC_S(30));
	ck_assert_mem_eq(&limits, &mrpc_limits_default, sizeof limits);

#define REFUSED(...)                                                                               \
	ck_assert_int_eq(mrpc_limits_complete(&(struct minirpc_conn_limits){ __VA_ARGS__ }),       \
			 -EINVAL)
#define TAKEN(...)                                                                                 \
	ck_assert_int_eq(mrpc_limits_complete(&(struct minirpc_conn_limits){ __VA_ARGS__ }), 0)
	TAKEN(.stream_window = 1024);
	REFUSED(.stream_window = 1023);
	TAKEN(.stream_window = 0x7fffffff);
	REFUSED(.stream_window = 0x80000000u);
	TAKEN(.conn_window = 65535);
	REFUSED(.conn_window = 65534);
	TAKEN(.conn_window = 0x7fffffff);
	REFUSED(.conn_window = 0x80000000u);
	TAKEN(.max_streams = 0x7fffffff);
	REFUSED(.max_streams = 0x80000000u);
	TAKEN(.max_decode_depth = 1000);
	REFUSED(.max_decode_depth = 1001);
	TAKEN(.max_decode_bytes = 65536);
	REFUSED(.max_decode_bytes = 65535);
	TAKEN(.max_decode_bytes = 1 << 30);
	REFUSED(.max_decode_bytes = (1 << 30) + 1);
	REFUSED(.handshake_time = -1);
	REFUSED(.header_time = -1);
	REFUSED(.write_stall_time = -1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/abuse");
	TCase *t = tcase_create("abuse");

	tcase_add_test(t, rapid_reset_200_are_served_and_the_201st_is_too_many);
	tcase_add_test(t, resets_are_forgiven_with_time);
	tcase_add_test(t, calls_that_end_pay_for_resets);
	tcase_add_test(t, resets_of_streams_long_gone_count_too);
	tcase_add_test(t, made_you_reset_200_are_served_and_the_201st_is_too_many);
	tcase_add_test(t, malformed_requests_are_counted_as_resets_caused);
	tcase_add_test(t, resets_caused_are_forgiven_with_time);
	tcase_add_test(t, an_answer_that_is_too_large_to_send_is_no_error_of_the_peer);
	tcase_add_test(t, a_hundred_empty_data_frames_are_served_and_one_more_is_too_many);
	tcase_add_test(t, frames_of_nothing_but_padding_are_empty);
	tcase_add_test(t, empty_frames_that_end_a_request_are_lawful);
	tcase_add_test(t, frames_of_one_byte_are_too_small_after_a_thousand);
	tcase_add_test(t, a_chat_of_tiny_messages_is_no_abuse);
	tcase_add_loop_test(t, a_thousand_control_frames_are_served_and_one_more_is_too_many, 0, 6);
	tcase_add_test(t, a_hundred_priority_frames_a_stream_are_served_and_one_more_is_too_many);
	tcase_add_test(t, ten_window_updates_a_data_frame_are_served_and_one_more_is_too_many);
	tcase_add_test(t, an_idle_connection_may_ping_for_years);
	tcase_add_test(t, window_updates_that_answer_data_are_lawful);
	tcase_add_test(t, acks_that_are_not_read_end_the_connection);
	tcase_add_test(t, acks_waiting_hold_the_peer_off);
	tcase_add_test(t, unsent_bytes_hold_the_peer_off);
	tcase_add_test(t, eight_continuations_are_served_and_nine_are_too_many);
	tcase_add_test(t, the_wire_bytes_of_a_block_are_bounded);
	tcase_add_test(t, a_block_must_be_finished_in_time);
	tcase_add_test(t, a_finished_block_stops_the_clock);
	tcase_add_test(t, a_header_list_far_over_the_limit_ends_the_connection);
	tcase_add_test(t, an_hpack_bomb_is_cut_off_early);
	tcase_add_test(t, the_handshake_must_be_over_in_time);
	tcase_add_test(t, a_handshake_stops_the_clock);
	tcase_add_test(t, a_peer_that_does_not_read_is_left_after_30_s);
	tcase_add_test(t, bytes_that_are_no_http2_end_the_connection);
	tcase_add_test(t, streams_over_the_limit_after_the_ack_are_a_connection_error);
	tcase_add_test(t, limits_out_of_range_are_refused);
	suite_add_tcase(s, t);
	return s;
}

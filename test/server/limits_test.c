/* SPDX-License-Identifier: MIT */
/* Every published limit of a server's connection, in one table: at its value the peer is served, at
 * one more it is refused as documented, and the breach is counted once, under its own name, at the
 * connection and at its owner [limits.md 3, P12]. Each row breaks the default, unless it says.
 *
 * The finer points of each limit (what pays for what, what is lawful) are in test/h2/abuse_test.c;
 * those of sockets and of protobuf in server/socket_test.c and typed/limits_test.c. */
#include "h2/raw.h"
#include "run_suite.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum answer {
	STATUS, /* the call's: grpc-status */
	RESET,  /* the stream's: RST_STREAM */
	GOODBYE /* the connection's: GOAWAY */
};

struct row {
	const char *name;
	uint64_t value;                                /* as published */
	struct minirpc_conn_limits limits;             /* zeros: the defaults */
	void (*act)(struct raw *raw, uint64_t amount); /* the last call, if any, is `last` */
	size_t counter;                                /* in struct minirpc_conn_counts */
	enum answer answer;
	uint32_t code;
	size_t beside; /* another counter, of a smaller limit, that counts too */
	bool silent;   /* the peer has not said hello yet */
};

static uint32_t last;

/* ---- What the peer does ---- */

static void open_streams(struct raw *raw, uint64_t amount)
{
	raw_preface(raw); /* and no ack: it may not know our SETTINGS yet */
	for (last = 1; amount > 0; amount--, last += 2)
		raw_request(raw, last, 0, "/t/stream", NULL);
	last -= 2;
}

#define BASIC_BYTES (7 + 4 + 7 + 4 + 5 + 8 + 10 + 4 + 2 + 8 + 12 + 16 + 6 * 32)
#define BASIC_FIELDS 6

static void send_header_bytes(struct raw *raw, uint64_t amount)
{
	size_t len = amount - BASIC_BYTES - 1 - 32;
	char *pad = malloc(len + 1);
	struct mrpc_buf block = { 0 };

	memset(pad, 'x', len);
	pad[len] = '\0';
	raw_block(&block,
		  RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary", ":authority",
		      "here", "te", "trailers", "content-type", "application/grpc", "p", pad));
	last = 1;
	for (size_t at = 0; at < mrpc_buf_len(&block); at += 16384) {
		size_t left = mrpc_buf_len(&block) - at;
		int end = left <= 16384 ? END_HEADERS : 0;

		raw_frame(raw, at == 0 ? HEADERS : CONTINUATION, at == 0 ? end | END_STREAM : end,
			  1, mrpc_buf_bytes(&block) + at, end ? left : 16384);
	}
	mrpc_buf_clear(&block);
	free(pad);
}

/* A block of so many compressed bytes. */
static void send_header_wire(struct raw *raw, uint64_t amount)
{
	struct mrpc_buf block = { 0 };

	raw_block(&block,
		  RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary", ":authority",
		      "here", "te", "trailers", "content-type", "application/grpc", "p", ""));
	/* The literal's length then takes three bytes instead of one. */
	send_header_bytes(raw, BASIC_BYTES + 1 + 32 + amount - (mrpc_buf_len(&block) + 3));
	mrpc_buf_clear(&block);
}

static void send_header_fields(struct raw *raw, uint64_t amount)
{
	const char *fields[2 * 200] = { NULL };

	for (uint64_t i = 0; i < amount - BASIC_FIELDS; i++) {
		fields[2 * i] = "f";
		fields[2 * i + 1] = "v";
	}
	last = 1;
	raw_request(raw, 1, END_STREAM, "/t/unary", fields);
}

static void send_continuations(struct raw *raw, uint64_t amount)
{
	static const uint8_t again[] = { 0x83 }; /* ":method: POST"; what follows does not matter */

	raw_frame(raw, HEADERS, END_STREAM, 1, again, 1);
	for (; amount > 0; amount--)
		raw_frame(raw, CONTINUATION, amount == 1 ? END_HEADERS : 0, 1, NULL, 0);
}

static void reset_streams(struct raw *raw, uint64_t amount)
{
	for (uint32_t id = 1; amount > 0; amount--, id += 2) {
		raw_request(raw, id, 0, "/t/stream", NULL);
		raw_reset(raw, id, NGHTTP2_CANCEL);
		raw_send(raw);
	}
}

static void provoke_resets(struct raw *raw, uint64_t amount)
{
	for (uint32_t id = 1; amount > 0; amount--, id += 2) {
		raw_request(raw, id, 0, "/t/stream", NULL);
		raw_window(raw, id, 0x7fffffff);
		raw_send(raw);
	}
}

static void send_empty_data(struct raw *raw, uint64_t amount)
{
	raw_request(raw, 1, 0, "/t/stream", NULL);
	for (; amount > 0; amount--)
		raw_frame(raw, DATA, 0, 1, NULL, 0);
}

/* The beginning of a message, in so many frames of so many bytes. */
static void send_small_data(struct raw *raw, uint64_t frames, size_t size)
{
	uint8_t bytes[32] = { 0 };

	raw_request(raw, 1, 0, "/t/stream", NULL);
	mrpc_frame_prefix(bytes, false, 1u << 20);
	for (; frames > 0; frames--) {
		raw_frame(raw, DATA, 0, 1, bytes, size);
		memset(bytes, 'x', sizeof bytes);
	}
}

static void send_tiny_data(struct raw *raw, uint64_t amount)
{
	send_small_data(raw, amount, 15);
}

/* It is the least that is served: more is less here. */
static void send_average_data(struct raw *raw, uint64_t amount)
{
	send_small_data(raw, 1000, 32 - amount);
}

static void send_priority(struct raw *raw, uint64_t amount)
{
	raw_request(raw, 1, 0, "/t/stream", NULL);
	for (amount += 100; amount > 0; amount--) /* those to begin with, and the stream's */
		raw_frame(raw, PRIORITY, 0, 1, "\0\0\0\0\1", 5);
}

static void send_updates(struct raw *raw, uint64_t amount)
{
	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	minirpc_call_send(raw->pair->served[0].call, "x", 1);
	raw_send(raw);
	for (amount += 20; amount > 0; amount--) /* to begin with, the call's, the DATA frame's */
		raw_window(raw, 0, 1);
}

static void send_pings(struct raw *raw, uint64_t amount)
{
	raw_request(raw, 1, END_STREAM, "/t", NULL); /* pays for the SETTINGS that were exchanged */
	raw_send(raw);
	for (; amount > 0; amount--) {
		raw_ping(raw);
		if (amount % 50 == 0) /* the answers are read */
			raw_send(raw);
	}
}

static void send_pings_at_once(struct raw *raw, uint64_t amount)
{
	for (; amount > 0; amount--)
		raw_ping(raw);
}

static void announce_message(struct raw *raw, uint64_t amount)
{
	uint8_t prefix[5];

	last = 1;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	mrpc_frame_prefix(prefix, false, (uint32_t)amount);
	raw_frame(raw, DATA, 0, 1, prefix, 5);
}

static void send_timeout(struct raw *raw, uint64_t amount)
{
	char text[16];

	memset(text, '9', amount);
	text[amount] = 'H';
	text[amount + 1] = '\0';
	last = 1;
	raw_request(raw, 1, 0, "/t/stream", RAW("grpc-timeout", text));
}

static void say_nothing(struct raw *raw, uint64_t amount)
{
	raw_read(raw);
	pair_advance(raw->pair, (minirpc_time)amount);
}

static void begin_a_block(struct raw *raw, uint64_t amount)
{
	raw_frame(raw, HEADERS, END_STREAM, 1, "\x83", 1);
	raw_send(raw);
	pair_advance(raw->pair, (minirpc_time)amount);
}

/* ---- The table ---- */

#define COUNTER(name) offsetof(struct minirpc_conn_counts, name)
#define S MINIRPC_S

/* Names are those of struct minirpc_conn_limits, and what they count as. A time is up at its value. */
/* clang-format off */
static const struct row rows[] = {
	{ "max_streams", 100, .act = open_streams, .silent = true,
	  .counter = COUNTER(refused_streams), .answer = RESET, .code = NGHTTP2_REFUSED_STREAM },
	{ "max_header_bytes", 16 << 10, .act = send_header_bytes,
	  .counter = COUNTER(refused_headers), .answer = STATUS, .code = MINIRPC_RESOURCE_EXHAUSTED },
	{ "max_header_fields", 128, .act = send_header_fields,
	  .counter = COUNTER(refused_headers), .answer = STATUS, .code = MINIRPC_RESOURCE_EXHAUSTED },
	{ "4 x max_header_bytes", 4 * 1000, { .max_header_bytes = 1000 }, .act = send_header_bytes,
	  .counter = COUNTER(closed_headers), .beside = COUNTER(refused_headers), .answer = GOODBYE },
	{ "max_header_wire", 64 << 10, { .max_header_bytes = 1 << 20 }, .act = send_header_wire,
	  .counter = COUNTER(closed_header_wire), .answer = GOODBYE },
	{ "max_continuations", 8, .act = send_continuations,
	  .counter = COUNTER(closed_continuations), .answer = GOODBYE },
	{ "resets_burst", 200, .act = reset_streams,
	  .counter = COUNTER(closed_resets), .answer = GOODBYE },
	{ "errors_burst", 200, .act = provoke_resets,
	  .counter = COUNTER(closed_errors), .answer = GOODBYE },
	{ "empty_data", 100, .act = send_empty_data,
	  .counter = COUNTER(closed_empty_data), .answer = GOODBYE },
	{ "tiny_data_frames", 1000 - 1, .act = send_tiny_data,
	  .counter = COUNTER(closed_tiny_data), .answer = GOODBYE },
	{ "tiny_data_average", 16, .act = send_average_data,
	  .counter = COUNTER(closed_tiny_data), .answer = GOODBYE },
	{ "priority_per_stream", 100, .act = send_priority,
	  .counter = COUNTER(closed_priority), .answer = GOODBYE },
	{ "updates_per_data", 10, .act = send_updates,
	  .counter = COUNTER(closed_updates), .answer = GOODBYE },
	{ "control_burst", 1000, .act = send_pings,
	  .counter = COUNTER(closed_floods), .answer = GOODBYE },
	{ "answers at once", 100, .act = send_pings_at_once,
	  .counter = COUNTER(closed_floods), .answer = GOODBYE },
	{ "max_receive_message", 4 << 20, .act = announce_message,
	  .counter = COUNTER(refused_messages), .answer = STATUS, .code = MINIRPC_RESOURCE_EXHAUSTED },
	{ "digits of grpc-timeout", 8, .act = send_timeout,
	  .counter = COUNTER(refused_timeouts), .answer = STATUS, .code = MINIRPC_INTERNAL },
	{ "handshake_time", S(10) - 1, .act = say_nothing, .silent = true,
	  .counter = COUNTER(closed_handshake), .answer = GOODBYE, .code = NGHTTP2_SETTINGS_TIMEOUT },
	{ "header_time", S(10) - 1, .act = begin_a_block,
	  .counter = COUNTER(closed_header_time), .answer = GOODBYE },
};
/* clang-format on */

/* ---- The judgement ---- */

/* The counter stands at `n`, and no other of those that tell of limits counts. */
static void ck_counted(const struct row *row, const struct minirpc_conn_counts *counts, uint64_t n)
{
	for (size_t at = COUNTER(refused_streams); at <= COUNTER(overflowed_replays); at += 8) {
		uint64_t value = *(const uint64_t *)((const char *)counts + at);

		if (at == row->beside)
			continue;
		ck_assert_msg(value == (at == row->counter ? n : 0), "%s: counter %zu is %llu",
			      row->name, (at - COUNTER(refused_streams)) / 8,
			      (unsigned long long)value);
	}
}

static void ck_refused(const struct row *row, struct raw *raw)
{
	const struct seen *goaway = raw_find(raw, GOAWAY, 0);
	const struct seen *reset = raw_find(raw, RST_STREAM, last);
	char status[32];

	switch (row->answer) {
	case STATUS:
		snprintf(status, sizeof status, "grpc-status: %u\n", row->code);
		ck_has(raw_find(raw, HEADERS, last), status);
		ck_assert_ptr_null(goaway);
		break;
	case RESET:
		ck_assert_msg(reset != NULL && reset->code == row->code, "%s", row->name);
		ck_assert_ptr_null(goaway);
		break;
	case GOODBYE:
		ck_assert_msg(goaway != NULL, "%s", row->name);
		ck_assert_msg(goaway->code ==
				      (row->code == 0 ? NGHTTP2_ENHANCE_YOUR_CALM : row->code),
			      "%s: GOAWAY(%u)", row->name, goaway->code);
		ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
		break;
	}
}

static void ck_served(const struct row *row, struct raw *raw)
{
	const struct seen *answer = raw_find(raw, HEADERS, last);

	ck_assert_msg(raw_find(raw, GOAWAY, 0) == NULL, "%s: %s", row->name,
		      mrpc_conn_reason(raw->conn));
	ck_assert_int_ne(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	if (row->answer == STATUS && answer != NULL)
		ck_assert_msg(strstr(answer->headers, ": 8\n") == NULL, "%s:\n%s", row->name,
			      answer->headers);
	if (row->answer == RESET)
		ck_assert_int_eq(raw_count(raw, RST_STREAM, ANY), 0);
}

static void play(const struct row *row, bool over)
{
	struct raw *raw = row->silent ? raw_client_silent(&row->limits) : raw_client(&row->limits);
	struct minirpc_conn_counts owner = { 0 };

	raw->conn->also = &owner;
	raw->pair->hold = row->answer != STATUS || row->act == announce_message;
	last = 0;
	row->act(raw, row->value + (over ? 1 : 0));
	raw_send(raw);
	if (over)
		ck_refused(row, raw);
	else
		ck_served(row, raw);
	ck_counted(row, mrpc_conn_counts(raw->conn), over ? 1 : 0);
	ck_counted(row, &owner, over ? 1 : 0);
	raw_free(raw);
}

START_TEST(a_limit_at_its_value_is_served_and_one_more_is_refused_and_counted)
{
	play(&rows[_i], false);
	play(&rows[_i], true);
}
END_TEST

/* Those that hold the peer off instead of refusing it. */
START_TEST(answers_that_wait_hold_the_peer_off_at_100_and_are_counted)
{
	for (int waiting = 99; waiting <= 100; waiting++) {
		struct raw *raw = raw_client(NULL);
		struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

		raw->wire->stalled = true;
		raw_ping(raw);
		raw_send(raw); /* its answer fills the socket */
		for (int i = 0; i < waiting; i++)
			raw_ping(raw);
		raw_send(raw);
		ck_assert_int_eq(machine->ops->wants_receive(machine), waiting == 99);
		ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->held_off, waiting == 99 ? 0 : 1);
		raw_free(raw);
	}
}
END_TEST

static void fill_socket(struct raw *raw)
{
	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	raw->wire->stalled = true;
	minirpc_call_send(raw->pair->served[0].call, "0123456789", 10);
	pair_turn(raw->pair);
}

START_TEST(bytes_that_wait_hold_the_peer_off_at_the_limit_and_are_counted)
{
	size_t unsent, before;

	for (uint32_t over = 0; over <= 1; over++) {
		struct raw *raw = raw_client(NULL);
		struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

		fill_socket(raw);
		unsent = raw->conn->unsent;
		raw_free(raw);
		raw = raw_client(&(struct minirpc_conn_limits){ .unsent_bytes = (uint32_t)unsent +
										1 - over });
		machine = mrpc_conn_machine(raw->conn);
		before = mrpc_conn_counts(raw->conn)->held_off;
		fill_socket(raw);
		ck_assert_uint_eq(raw->conn->unsent, unsent);
		ck_assert_int_eq(machine->ops->wants_receive(machine), over == 0);
		ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->held_off - before, over);
		raw_free(raw);
	}
}
END_TEST

START_TEST(a_write_may_stall_for_30_s_and_that_is_counted)
{
	struct raw *raw = raw_client(NULL);

	fill_socket(raw);
	pair_advance(raw->pair, S(30) - 1);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->closed_stalled, 0);
	pair_advance(raw->pair, 1);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->closed_stalled, 1);
	raw_free(raw);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/limits");
	TCase *t = tcase_create("limits");

	tcase_add_loop_test(t, a_limit_at_its_value_is_served_and_one_more_is_refused_and_counted,
			    0, sizeof rows / sizeof rows[0]);
	tcase_add_test(t, answers_that_wait_hold_the_peer_off_at_100_and_are_counted);
	tcase_add_test(t, bytes_that_wait_hold_the_peer_off_at_the_limit_and_are_counted);
	tcase_add_test(t, a_write_may_stall_for_30_s_and_that_is_counted);
	suite_add_tcase(s, t);
	return s;
}

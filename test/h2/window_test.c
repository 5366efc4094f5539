/* SPDX-License-Identifier: MIT */
/* The connection's windows after a hundred thousand calls of every fate: no byte of credit is lost
 * on the way. One lost byte in a call is a connection that stands still after hours.
 *
 * nghttp2 sends WINDOW_UPDATE when half of the window was consumed, and what it counts as received
 * then drops to what nobody consumed: to nothing, if the books are right. */
#include "pair.h"
#include "raw.h"
#include "run_suite.h"

#include <string.h>

#define WINDOW 65535u
#define ROUNDS 1000
#define CALLS 100

static uint32_t below(uint32_t *seed, uint32_t n)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % n;
}

/* The least that was ever outstanding while whole unary calls pass, one at a time. */
static void ck_windows_are_whole(struct pair *pair)
{
	static char text[1000];
	int32_t up = INT32_MAX, down = INT32_MAX;

	memset(text, 'w', sizeof text - 1);
	pair->hold = false;
	for (int i = 0; i < 1100; i++) {
		struct probe *probe;
		int32_t n;

		pair->called = pair->accepted = 0;
		probe = pair_unary(pair, text);
		pair_settle(pair);
		ck_assert_int_eq(probe->ends, 1);
		ck_assert_int_eq(probe->code, MINIRPC_OK);
		n = nghttp2_session_get_effective_recv_data_length(pair->server->session);
		up = n < up ? n : up;
		n = nghttp2_session_get_effective_recv_data_length(pair->client->session);
		down = n < down ? n : down;
	}
	ck_assert_int_eq(up, 0);
	ck_assert_int_eq(down, 0);
}

static const struct minirpc_conn_limits tight = {
	.stream_window = 8192,
	.conn_window = WINDOW,
	.resets_burst = 1u << 30,
	.errors_burst = 1u << 30,
	.control_burst = 1u << 30,
};

static void send_some(minirpc_call *call, size_t len)
{
	static const char zeros[20000];

	if (call != NULL)
		(void)minirpc_call_send(call, zeros, len);
}

static void end_server(struct probe *served, enum minirpc_code code)
{
	if (served->call != NULL)
		minirpc_call_end(served->call, &(struct minirpc_status){ .code = code });
	served->call = NULL;
}

static void cancel(struct probe *probe)
{
	minirpc_call_cancel(probe->call);
	probe->call = NULL;
}

/* One of the ways in which a call may go on, at either end. */
static void do_something(struct pair *pair, uint32_t *seed, int i)
{
	struct probe *mine = &pair->calls[i];
	struct probe *theirs = i < pair->accepted ? &pair->served[i] : NULL;

	switch (below(seed, 10)) {
	case 0:
		cancel(mine);
		break;
	case 1:
		if (mine->call != NULL)
			minirpc_call_end(mine->call, NULL);
		break;
	case 2:
		if (mine->call != NULL)
			minirpc_call_pause(mine->call);
		break;
	case 3:
		if (theirs != NULL && theirs->call != NULL)
			minirpc_call_pause(theirs->call);
		break;
	case 4:
		if (theirs != NULL)
			cancel(theirs);
		break;
	case 5:
		if (theirs != NULL)
			end_server(theirs, below(seed, 17));
		break;
	case 6:
	case 7:
		if (theirs != NULL)
			send_some(theirs->call, below(seed, 20000));
		break;
	default:
		send_some(mine->call, below(seed, 20000));
		break;
	}
}

static void move_a_little(struct pair *pair, uint32_t *seed)
{
	pair->chop = 1 + below(seed, 5000);
	pair->to_server.stalled = below(seed, 4) == 0;
	pair->to_client.stalled = below(seed, 4) == 0;
	pair_settle(pair);
	pair->chop = 0;
	pair->to_server.stalled = pair->to_client.stalled = false;
}

static void end_round(struct pair *pair)
{
	for (int i = 0; i < pair->called; i++)
		cancel(&pair->calls[i]);
	for (int i = 0; i < pair->accepted; i++)
		end_server(&pair->served[i], MINIRPC_OK);
	pair_settle(pair);
	for (int i = 0; i < pair->accepted; i++) /* that came in only now */
		end_server(&pair->served[i], MINIRPC_OK);
	pair_settle(pair);
	pair->called = pair->accepted = 0;
}

START_TEST(a_hundred_thousand_calls_of_every_fate_leave_the_windows_whole)
{
	struct pair *pair = pair_new_with(&tight, &tight);
	uint32_t seed = 42;

	pair->hold = true;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CALLS; i++)
			pair_call(pair, "/t/stream", STREAMS, 0);
		for (int i = 0; i < 3 * CALLS; i++) {
			do_something(pair, &seed, (int)below(&seed, CALLS));
			if (below(&seed, 60) == 0)
				move_a_little(pair, &seed);
		}
		end_round(pair);
		ck_assert_int_eq(mrpc_conn_state(pair->client), MRPC_CONN_READY);
		ck_assert_uint_eq(pair->client->open, 0);
		ck_assert_uint_eq(pair->server->open, 0);
		ck_assert_uint_eq(mrpc_conn_open_calls(pair->client), 0);
		ck_assert_uint_eq(mrpc_conn_open_calls(pair->server), 0);
	}
	ck_windows_are_whole(pair);
	pair_free(pair);
}
END_TEST

/* What a server throws away counts too: padding, DATA of refused and of failed streams, DATA after
 * our RST_STREAM. */
START_TEST(data_that_nobody_wants_gives_its_credit_back)
{
	struct raw *raw = raw_client(&(struct minirpc_conn_limits){
		.max_streams = 1,
		.conn_window = WINDOW,
		.errors_burst = 1u << 30,
		.control_burst = 1u << 30,
	});
	static const uint8_t padded[1 + 500 + 255] = { 255, 0, 0, 0, 1, 239 };
	static const uint8_t junk[1000] = { 7 };
	int32_t least = INT32_MAX, n;

	uint32_t id = 1;

	for (; id < 4000; id += 2) {
		raw->seen_count = 0;
		raw->pair->accepted = 0;
		raw_request(raw, id, END_HEADERS, "/t/unary", NULL);
		switch (id % 6) {
		case 1: /* padded */
			raw_frame(raw, DATA, PADDED | END_STREAM, id, padded, sizeof padded);
			break;
		case 3: /* not a message; then more, before and behind the answer */
			raw_frame(raw, DATA, 0, id, junk, sizeof junk);
			raw_frame(raw, DATA, 0, id, junk, sizeof junk);
			raw_send(raw);
			raw_frame(raw, DATA, 0, id, junk, sizeof junk);
			break;
		default: /* reset in the middle */
			raw_frame(raw, DATA, 0, id, padded + 1, 500);
			raw_reset(raw, id, NGHTTP2_CANCEL);
			break;
		}
		raw_send(raw);
		ck_assert_int_ne(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	}
	for (; id < 4200; id += 2) { /* one frame at a time, so that an update leaves nothing */
		raw->seen_count = 0;
		raw->pair->accepted = 0;
		raw_request(raw, id, END_HEADERS, "/t/unary", NULL);
		raw_frame(raw, DATA, END_STREAM, id, padded + 1, 500);
		raw_send(raw);
		n = nghttp2_session_get_effective_recv_data_length(raw->conn->session);
		least = n < least ? n : least;
	}
	ck_assert_int_eq(least, 0);
	raw_free(raw);
}
END_TEST

/* ---- Large messages: one after the other ---- */

#define LARGE 10000u
#define WHOLE (5 + LARGE)
#define PIECE 3000u

static void begin_large(struct raw *raw, uint32_t id)
{
	static const uint8_t start[5 + PIECE] = { 0, 0, 0, LARGE >> 8, LARGE & 0xff };

	raw_request(raw, id, END_HEADERS, "/t/stream", NULL);
	raw_frame(raw, DATA, 0, id, start, sizeof start);
	raw_send(raw);
}

static void end_large(struct raw *raw, uint32_t id)
{
	static const uint8_t zeros[PIECE];

	for (size_t left = LARGE - PIECE; left > 0;) {
		size_t len = left < PIECE ? left : PIECE;

		raw_frame(raw, DATA, 0, id, zeros, len);
		raw_send(raw);
		left -= len;
	}
}

static const struct mrpc_stream *stream_of(const struct raw *raw, uint32_t id)
{
	return nghttp2_session_get_stream_user_data(raw->conn->session, (int32_t)id);
}

static struct raw *client_of(uint32_t max_assembly)
{
	struct raw *raw = raw_client(&(struct minirpc_conn_limits){ .stream_window = 4096,
								    .max_assembly = max_assembly });

	raw->pair->hold = true;
	return raw;
}

START_TEST(large_messages_at_the_limit_come_in_together_and_one_more_byte_waits)
{
	for (uint32_t less = 0; less < 2; less++) {
		struct raw *raw = client_of(2 * WHOLE - less);

		begin_large(raw, 1);
		begin_large(raw, 3);
		ck_assert_int_eq(raw_count(raw, WINDOW_UPDATE, 1), 1);
		ck_assert_int_eq(raw_count(raw, WINDOW_UPDATE, 3), less == 0);
		if (less > 0) /* no room is made for what may not come */
			ck_assert_uint_le(stream_of(raw, 3)->deframer.part->capacity, 4096);
		end_large(raw, 1);
		ck_assert_int_eq(raw->pair->served[0].messages, 1);
		ck_assert_int_ge(raw_count(raw, WINDOW_UPDATE, 3), 1);
		end_large(raw, 3);
		ck_assert_int_eq(raw->pair->served[1].messages, 1);
		ck_assert_uint_eq(raw->conn->assembly, 0);
		raw_free(raw);
	}
}
END_TEST

START_TEST(a_large_message_that_never_ends_makes_room_when_its_call_goes)
{
	struct raw *raw = client_of(WHOLE);

	for (uint32_t id = 1; id <= 7; id += 2)
		begin_large(raw, id);
	for (uint32_t id = 1; id <= 7; id += 2) {
		ck_assert_int_eq(raw_count(raw, WINDOW_UPDATE, id), 1);
		if (id < 7)
			ck_assert_int_eq(raw_count(raw, WINDOW_UPDATE, id + 2), 0);
		raw_reset(raw, id, NGHTTP2_CANCEL);
		raw_send(raw);
	}
	ck_assert_uint_eq(raw->conn->assembly, 0);
	raw_free(raw);
}
END_TEST

START_TEST(one_large_message_may_always_come_in_and_small_ones_need_not_ask)
{
	struct raw *raw = client_of(1);

	begin_large(raw, 1);
	raw_request(raw, 3, END_HEADERS, "/t/stream", NULL);
	for (int i = 0; i < 100; i++) {
		raw_message(raw, 3, 0, "small");
		raw_send(raw);
	}
	ck_assert_int_eq(raw->pair->served[1].messages, 100);
	end_large(raw, 1);
	ck_assert_int_eq(raw->pair->served[0].messages, 1);
	raw_free(raw);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("h2/window");
	TCase *tcase = tcase_create("window");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_hundred_thousand_calls_of_every_fate_leave_the_windows_whole);
	tcase_add_test(tcase, data_that_nobody_wants_gives_its_credit_back);
	tcase_add_test(tcase, large_messages_at_the_limit_come_in_together_and_one_more_byte_waits);
	tcase_add_test(tcase, a_large_message_that_never_ends_makes_room_when_its_call_goes);
	tcase_add_test(tcase, one_large_message_may_always_come_in_and_small_ones_need_not_ask);
	suite_add_tcase(suite, tcase);
	return suite;
}

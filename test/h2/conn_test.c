/* SPDX-License-Identifier: MIT */
/* Two conns and a pipe: what well-behaved ends do. */
#include "pair.h"
#include "run_suite.h"

#include "world/alloc_fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static minirpc_call *served(struct pair *pair, int i)
{
	ck_assert_int_lt(i, pair->accepted);
	ck_assert_ptr_nonnull(pair->served[i].call);
	return pair->served[i].call;
}

static void answer(struct pair *pair, int i, const char *text, enum minirpc_code code)
{
	minirpc_call *call = served(pair, i);

	if (text != NULL)
		ck_assert_int_eq(minirpc_call_send(call, text, strlen(text)), 0);
	pair->served[i].call = NULL;
	minirpc_call_end(call, &(struct minirpc_status){ .code = code });
}

static uint8_t *filled(size_t len)
{
	uint8_t *data = malloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + i / 251);
	return data;
}

/* ---- Calls ---- */

START_TEST(a_unary_call_is_answered)
{
	struct pair *pair = pair_new();
	struct probe *probe = pair_unary(pair, "hello");

	pair_settle(pair);
	ck_assert_int_eq(probe->headers, 1);
	ck_assert_int_eq(probe->messages, 1);
	ck_assert_str_eq(probe->last, "hello");
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	ck_assert_str_eq(probe->text, "");
	ck_assert_int_eq(pair->served[0].half_closes, 1);
	ck_assert_int_eq(pair->served[0].ends, 0);
	ck_assert_uint_eq(mrpc_conn_counts(pair->client)->calls_succeeded, 1);
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->calls_succeeded, 1);
	ck_assert_uint_eq(mrpc_conn_open_calls(pair->client), 0);
	ck_assert_uint_eq(mrpc_conn_open_calls(pair->server), 0);
	pair_free(pair);
}
END_TEST

START_TEST(a_call_costs_one_write_at_each_end)
{
	struct pair *pair = pair_new();
	uint64_t up, down;

	pair_unary(pair, "warm");
	pair_settle(pair);
	up = pair->to_server.flushes;
	down = pair->to_client.flushes;
	for (int i = 0; i < 50; i++)
		pair_unary(pair, "hello");
	pair_settle(pair);
	ck_assert_uint_eq(pair->to_server.flushes, up + 1);
	ck_assert_uint_eq(pair->to_client.flushes, down + 1);
	ck_assert_uint_eq(mrpc_conn_counts(pair->client)->calls_succeeded, 51);
	pair_free(pair);
}
END_TEST

START_TEST(both_sides_of_a_stream_talk_in_turns)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(minirpc_call_send(probe->call, "ping", 4), 0);
		pair_settle(pair);
		ck_assert_int_eq(pair->served[0].messages, i + 1);
		ck_assert_int_eq(minirpc_call_send(served(pair, 0), "pong", 4), 0);
		pair_settle(pair);
		ck_assert_int_eq(probe->messages, i + 1);
	}
	minirpc_call_end(probe->call, NULL);
	pair_settle(pair);
	ck_assert_int_eq(pair->served[0].half_closes, 1);
	answer(pair, 0, "bye", MINIRPC_OK);
	pair_settle(pair);
	ck_assert_str_eq(probe->last, "bye");
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	pair_free(pair);
}
END_TEST

START_TEST(status_text_and_details_arrive)
{
	static const char text[] = "\t\r\n\xc2\xa1\xf0\x9f\x98\x88 100%";
	struct pair *pair = pair_new();
	struct probe *probe;
	minirpc_call *call;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	call = served(pair, 0);
	pair->served[0].call = NULL;
	minirpc_call_set_trailers(call,
				  (const struct minirpc_field[]){ { "x-trailer", "t" }, { 0 } });
	minirpc_call_end(call, &(struct minirpc_status){ .code = MINIRPC_DATA_LOSS,
							 .message = text,
							 .details = "\0\1\2",
							 .details_len = 3 });
	pair_settle(pair);
	ck_assert_int_eq(probe->code, MINIRPC_DATA_LOSS);
	ck_assert_str_eq(probe->text, text);
	ck_assert_uint_eq(probe->details_len, 3);
	ck_assert_mem_eq(probe->details, "\0\1\2", 3);
	ck_assert_str_eq(probe->trailer, "t");
	ck_assert_int_eq(probe->headers, 0);
	pair_free(pair);
}
END_TEST

START_TEST(a_client_sees_who_the_peer_is)
{
	struct pair *pair = pair_new();
	struct probe *probe;
	size_t len;

	ck_assert_int_eq(mrpc_conn_set_peer(pair->client, "pipe:server"), 0);
	mrpc_conn_set_certificate(pair->server, "DER", 3);
	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	ck_assert_str_eq(minirpc_call_peer(probe->call), "pipe:server");
	ck_assert_ptr_nonnull(minirpc_call_peer_certificate(served(pair, 0), &len));
	ck_assert_uint_eq(len, 3);
	mrpc_conn_free(pair->server);
	pair->server = NULL;
	mrpc_task_sleep(&pair->to_client.flush);
	pair->forget = true;
	pair_turn(pair);
	ck_assert_str_eq(minirpc_call_peer(served(pair, 0)), "pipe:client");
	ck_assert_ptr_null(minirpc_call_peer_certificate(served(pair, 0), &len));
	pair_free(pair);
}
END_TEST

START_TEST(more_metadata_than_fits_a_small_block)
{
	struct pair *pair = pair_new();
	struct minirpc_field fields[101] = { 0 };

	for (int i = 0; i < 100; i++)
		fields[i] = (struct minirpc_field){ i % 2 ? "a-bin" : "x-meta", "value" };
	pair->hold = true;
	pair_call_with(pair, "/t/stream", STREAMS, 0, fields);
	pair_settle(pair);
	ck_assert_uint_eq(minirpc_metadata_count(minirpc_call_headers(served(pair, 0))), 101);
	pair_free(pair);
}
END_TEST

START_TEST(P_5_cancel_reaches_the_handler_in_one_trip)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	minirpc_call_cancel(probe->call);
	probe->call = NULL;
	pair_settle(pair);
	ck_assert_int_eq(pair->served[0].ends, 1);
	ck_assert_int_eq(pair->served[0].code, MINIRPC_CANCELLED);
	ck_assert_int_eq(probe->ends, 0);
	pair_free(pair);
}
END_TEST

START_TEST(a_handler_may_cancel)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	minirpc_call_cancel(served(pair, 0));
	pair->served[0].call = NULL;
	pair_settle(pair);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_CANCELLED);
	pair_free(pair);
}
END_TEST

START_TEST(both_ends_give_up_at_the_deadline)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_call(pair, "/t/unary", 0, MS(50));
	pair_settle(pair);
	pair_advance(pair, MS(50));
	ck_assert_int_eq(probe->code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(pair->served[0].ends, 1);
	pair_free(pair);
}
END_TEST

/* ---- Flow control ---- */

START_TEST(a_message_larger_than_every_window_passes)
{
	struct minirpc_conn_limits small = { .stream_window = 1024, .conn_window = 65535 };
	struct pair *pair = pair_new_with(&small, &small);
	struct probe *probe;
	size_t len = 1 << 20;
	uint8_t *data = filled(len);

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	ck_assert_int_eq(minirpc_call_send(probe->call, data, len), 0);
	pair_settle(pair);
	ck_assert_uint_eq(pair->served[0].bytes, len);
	ck_assert_int_eq(minirpc_call_send(served(pair, 0), data, len), 0);
	pair_settle(pair);
	ck_assert_uint_eq(probe->bytes, len);
	free(data);
	pair_free(pair);
}
END_TEST

START_TEST(N_2_a_reader_that_pauses_holds_the_writer_off)
{
	struct pair *pair = pair_new();
	struct probe *probe;
	static uint8_t zeros[10000];
	size_t taken = 0;
	int r;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	minirpc_call_pause(served(pair, 0));
	for (int i = 0; i < 1000; i++) {
		r = minirpc_call_send(probe->call, zeros, sizeof zeros);
		if (r == -EAGAIN) {
			pair_settle(pair);
			r = minirpc_call_send(probe->call, zeros, sizeof zeros);
			if (r == -EAGAIN)
				break;
		}
		ck_assert_int_eq(r, 0);
		taken += sizeof zeros;
	}
	ck_assert_int_eq(r, -EAGAIN);
	ck_assert_uint_ge(taken, 1 << 20);
	ck_assert_uint_le(taken, (1 << 20) + (64 << 10) + 2 * sizeof zeros);
	ck_assert_int_eq(pair->served[0].messages, 0);

	/* Another call on the same connection is not held up. */
	pair->hold = false;
	ck_assert_int_eq(pair_unary(pair, "quick")->ends, 0);
	pair_settle(pair);
	ck_assert_int_eq(pair->calls[1].code, MINIRPC_OK);
	ck_assert_int_eq(pair->calls[1].ends, 1);

	minirpc_call_resume(served(pair, 0));
	pair_settle(pair);
	ck_assert_uint_eq(pair->served[0].bytes, taken);
	ck_assert_int_ge(probe->writables, 1);
	pair_free(pair);
}
END_TEST

START_TEST(empty_messages_use_up_the_window_too)
{
	struct minirpc_conn_limits small = { .stream_window = 5000 };
	struct pair *pair = pair_new_with(&small, &small);
	struct probe *probe;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	minirpc_call_pause(served(pair, 0));
	for (int i = 0; i < 3000; i++) {
		minirpc_call_send(probe->call, NULL, 0);
		if (i % 100 == 0)
			pair_settle(pair);
	}
	pair_settle(pair);
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->messages_received, 1000);
	minirpc_call_resume(served(pair, 0));
	pair_settle(pair);
	ck_assert_int_eq(pair->served[0].messages, 3000);
	pair_free(pair);
}
END_TEST

/* Sends empty messages until no more are taken; returns how many were. */
static int send_empties(struct pair *pair, minirpc_call *call, int most)
{
	int sent = 0;

	while (sent < most) {
		if (minirpc_call_send(call, NULL, 0) == 0) {
			sent++;
			continue;
		}
		pair_settle(pair);
		if (minirpc_call_send(call, NULL, 0) < 0)
			break;
		sent++;
	}
	pair_settle(pair);
	return sent;
}

START_TEST(P_7_a_reader_that_pauses_costs_little_more_than_the_window)
{
	struct pair *pair = pair_new();
	struct probe *probe;
	size_t before;
	int sent;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	minirpc_call_pause(served(pair, 0));
	before = alloc_live_bytes();
	sent = send_empties(pair, probe->call, 1000000);
	ck_assert_int_gt(sent, (1 << 20) / 5); /* the window is full */
	ck_assert_uint_le(alloc_live_bytes() - before, 4 << 20);
	minirpc_call_end(probe->call, NULL);
	pair_settle(pair);
	ck_assert_int_eq(pair->served[0].half_closes, 0);

	minirpc_call_resume(served(pair, 0));
	pair_settle(pair);
	ck_assert_int_eq(pair->served[0].messages, sent);
	ck_assert_int_eq(pair->served[0].half_closes, 1);
	answer(pair, 0, NULL, MINIRPC_OK);
	pair_settle(pair);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	pair_free(pair);
}
END_TEST

/* A client that pauses gets an answer of n empty messages, and its end. */
static struct probe *answered_in_a_pause(struct pair *pair, int n)
{
	struct probe *probe;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	minirpc_call_end(probe->call, NULL);
	pair_settle(pair);
	minirpc_call_pause(probe->call);
	ck_assert_int_eq(send_empties(pair, served(pair, 0), n), n);
	answer(pair, 0, NULL, MINIRPC_ABORTED);
	pair_settle(pair);
	ck_assert_int_eq(probe->ends, 0);
	return probe;
}

START_TEST(P_10_the_end_comes_behind_all_messages)
{
	struct pair *pair = pair_new();
	struct probe *probe = answered_in_a_pause(pair, 50000);

	ck_assert_uint_eq(pair->client->open, 0);
	minirpc_call_resume(probe->call);
	pair_settle(pair);
	ck_assert_int_eq(probe->messages, 50000);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_ABORTED);
	ck_assert_ptr_eq(pair->client->streams.next, &pair->client->streams);
	pair_free(pair);
}
END_TEST

START_TEST(P_10_also_when_the_connection_is_lost_meanwhile)
{
	struct pair *pair = pair_new();
	struct probe *probe = answered_in_a_pause(pair, 50000);
	struct mrpc_machine *machine = mrpc_conn_machine(pair->client);

	machine->ops->broke(machine, 0, "", pair->now);
	minirpc_call_resume(probe->call);
	pair_settle(pair);
	ck_assert_int_eq(probe->messages, 50000);
	ck_assert_int_eq(probe->code, MINIRPC_ABORTED);
	pair_free(pair);
}
END_TEST

START_TEST(an_answer_that_waits_for_its_reader_can_be_cancelled)
{
	struct pair *pair = pair_new();
	struct probe *probe = answered_in_a_pause(pair, 50000);

	minirpc_call_cancel(probe->call);
	probe->call = NULL;
	pair_settle(pair);
	ck_assert_ptr_eq(pair->client->streams.next, &pair->client->streams);
	pair_free(pair);
}
END_TEST

START_TEST(many_megabytes_pass_without_a_leak_of_credit)
{
	struct minirpc_conn_limits small = { .stream_window = 65536, .conn_window = 65535 };
	struct pair *pair = pair_new_with(&small, &small);
	struct probe *probe;
	static uint8_t data[40000];
	int sent = 0;

	pair->hold = true;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	while (sent < 2000) { /* odd sizes, so that nothing aligns */
		size_t len = (size_t)sent * 7919 % sizeof data;

		if (minirpc_call_send(served(pair, 0), data, len) == 0)
			sent++;
		else
			pair_settle(pair);
	}
	answer(pair, 0, NULL, MINIRPC_OK);
	pair_settle(pair);
	ck_assert_int_eq(probe->messages, 2000);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	pair_free(pair);
}
END_TEST

START_TEST(a_long_answer_lets_a_short_one_pass)
{
	struct pair *pair = pair_new();
	struct probe *big, *small;
	size_t len = 4 << 20;
	uint8_t *data = filled(len);

	pair->hold = true;
	pair->call_config.max_receive_message = len;
	big = pair_call(pair, "/t/stream", STREAMS, 0);
	small = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	minirpc_call_send(served(pair, 0), data, len);
	pair_turn(pair);
	pair->chop = 40000;
	answer(pair, 1, "short", MINIRPC_OK);
	for (int i = 0; i < 100 && small->ends == 0; i++) {
		pair_turn(pair);
		pair->chop = 40000;
		/* one chunk at a time */
		{
			uint8_t *copy;
			struct mrpc_machine *to = mrpc_conn_machine(pair->client);
			struct mrpc_machine *from = mrpc_conn_machine(pair->server);
			size_t n = mrpc_buf_len(&pair->to_client.bytes);

			n = n > pair->chop ? pair->chop : n;
			copy = malloc(n);
			memcpy(copy, mrpc_buf_bytes(&pair->to_client.bytes), n);
			mrpc_buf_consume(&pair->to_client.bytes, n);
			from->ops->sent(from, n, pair->now);
			to->ops->receive(to, copy, n, pair->now);
			free(copy);
			mrpc_turn_wake(&pair->turn, &pair->to_client.flush);
		}
	}
	ck_assert_int_eq(small->ends, 1);
	ck_assert_int_eq(big->messages, 0);
	pair->chop = 0;
	pair_settle(pair);
	ck_assert_int_eq(big->messages, 1);
	free(data);
	pair_free(pair);
}
END_TEST

/* ---- Streams, limits ---- */

START_TEST(W_12_more_calls_than_streams_all_end)
{
	struct minirpc_conn_limits limits = { .max_streams = 3 };
	struct pair *pair = pair_new_with(NULL, &limits);

	for (int i = 0; i < 50; i++)
		pair_unary(pair, "x");
	pair_settle(pair);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(pair->calls[i].code, MINIRPC_OK);
	ck_assert_uint_eq(mrpc_conn_counts(pair->client)->calls_succeeded, 50);
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->refused_streams, 0);
	pair_free(pair);
}
END_TEST

START_TEST(thousands_of_calls_leave_nothing_behind)
{
	struct pair *pair = pair_new();
	size_t live = 0;

	for (int i = 0; i < 3000; i++) {
		pair->called = pair->accepted = 0;
		pair_unary(pair, "x");
		pair_settle(pair);
		if (i == 100)
			live = alloc_live();
	}
	ck_assert_uint_eq(alloc_live(), live);
	pair_free(pair);
}
END_TEST

/* ---- Ends ---- */

static bool finished(struct mrpc_conn *conn)
{
	return mrpc_conn_machine(conn)->ops->is_finished(mrpc_conn_machine(conn));
}

START_TEST(G_2_a_drain_lets_calls_finish_and_takes_no_new_ones)
{
	struct pair *pair = pair_new();
	struct probe *probe;
	minirpc_call *call;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	mrpc_conn_drain(pair->server);
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_DRAINING);
	pair_settle(pair);
	ck_assert_int_eq(mrpc_conn_state(pair->client), MRPC_CONN_DRAINING);
	ck_assert_int_eq(pair->client->goaway_last, 1); /* the second step */
	ck_assert_int_eq(mrpc_call_new(&call, MRPC_CLIENT, &pair->call_config), 0);
	ck_assert_int_eq(mrpc_conn_open(pair->client, call), -ESHUTDOWN);
	minirpc_call_cancel(call);
	ck_assert(!finished(pair->server));

	pair->server_woken = 0;
	answer(pair, 0, "done", MINIRPC_OK);
	pair_settle(pair);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	ck_assert_str_eq(probe->last, "done");
	ck_assert_int_ge(pair->server_woken, 1);
	ck_assert(finished(pair->server));
	ck_assert(finished(pair->client));
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_CLOSED);
	pair_free(pair);
}
END_TEST

START_TEST(G_2_an_idle_connection_drains_at_once)
{
	struct pair *pair = pair_new();

	mrpc_conn_drain(pair->server);
	pair_settle(pair);
	ck_assert(finished(pair->client)); /* its driver hangs up, without an answer to the PING */
	ck_assert(!finished(pair->server));
	pair_advance(pair, MINIRPC_S(5) - 1); /* whoever does not hang up gets this long */
	ck_assert(!finished(pair->server));
	pair_advance(pair, 1);
	ck_assert(finished(pair->server));
	pair_free(pair);
}
END_TEST

START_TEST(G_2_a_call_that_crosses_the_first_goaway_is_served)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	mrpc_conn_drain(pair->server);
	probe = pair_unary(pair, "x"); /* the client has not heard of it */
	pair_settle(pair);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	ck_assert(finished(pair->server));
	pair_free(pair);
}
END_TEST

START_TEST(G_2_without_an_answer_to_the_ping_the_drain_goes_on_after_5_s)
{
	struct pair *pair = pair_new();

	pair->hold = true;
	pair_unary(pair, "x");
	pair_settle(pair);
	pair->to_server.stalled = true;
	mrpc_conn_drain(pair->server);
	pair_settle(pair);
	ck_assert_int_eq(pair->client->goaway_last, 0x7fffffff);
	pair_advance(pair, MINIRPC_S(5) - 1);
	ck_assert_int_eq(pair->client->goaway_last, 0x7fffffff);
	pair_advance(pair, 1);
	ck_assert_int_eq(pair->client->goaway_last, 1);
	pair_free(pair);
}
END_TEST

START_TEST(a_client_that_drains_keeps_its_calls)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	mrpc_conn_drain(pair->client);
	pair_settle(pair);
	ck_assert_int_eq(probe->ends, 0);
	answer(pair, 0, "done", MINIRPC_OK);
	pair_settle(pair);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	ck_assert(finished(pair->client));
	ck_assert(finished(pair->server));
	pair_free(pair);
}
END_TEST

START_TEST(a_client_that_drains_keeps_calls_that_wait_for_a_stream)
{
	struct minirpc_conn_limits limits = { .max_streams = 1 };
	struct pair *pair = pair_new_with(NULL, &limits);
	struct probe *first, *second;

	pair->hold = true;
	pair_settle(pair);
	first = pair_unary(pair, "x");
	second = pair_unary(pair, "y");
	pair_settle(pair);
	mrpc_conn_drain(pair->client);
	pair_settle(pair);
	ck_assert_int_eq(pair->accepted, 1);
	answer(pair, 0, "done", MINIRPC_OK);
	pair_settle(pair);
	ck_assert_int_eq(first->code, MINIRPC_OK);
	ck_assert_int_eq(pair->accepted, 2);
	ck_assert_int_eq(second->ends, 0);
	answer(pair, 1, "done", MINIRPC_OK);
	pair_settle(pair);
	ck_assert_int_eq(second->code, MINIRPC_OK);
	ck_assert(finished(pair->client));
	ck_assert(finished(pair->server));
	pair_free(pair);
}
END_TEST

START_TEST(a_client_that_aborts_ends_its_calls_with_that_status)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	mrpc_conn_abort(pair->client, MINIRPC_UNAVAILABLE, "enough");
	pair_settle(pair);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe->text, "enough");
	ck_assert(finished(pair->client));
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_DRAINING);
	pair_free(pair);
}
END_TEST

START_TEST(a_server_that_aborts_tells_its_handlers_unavailable)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	mrpc_conn_abort(pair->server, MINIRPC_UNAVAILABLE, "stopped");
	pair_settle(pair);
	ck_assert_int_eq(pair->served[0].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(pair->served[0].ends, 1);
	ck_assert(finished(pair->server));
	mrpc_conn_machine(pair->client)
		->ops->broke(mrpc_conn_machine(pair->client), 0, "", pair->now);
	pair_settle(pair);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	pair_free(pair);
}
END_TEST

START_TEST(freeing_either_conn_ends_the_calls_on_it)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->hold = pair->forget = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	pair_unary(pair, "not even submitted");
	mrpc_conn_free(pair->client);
	mrpc_conn_free(pair->server);
	pair->client = pair->server = NULL;
	mrpc_task_sleep(&pair->to_client.flush);
	mrpc_task_sleep(&pair->to_server.flush);
	pair_turn(pair);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(pair->calls[1].unprocessed, 1);
	ck_assert_int_eq(pair->served[0].code, MINIRPC_CANCELLED);
	answer(pair, 0, NULL, MINIRPC_OK); /* the handler outlives the conn */
	pair_free(pair);
}
END_TEST

/* ---- Chopped ---- */

START_TEST(bytes_may_come_in_pieces_of_any_size)
{
	static const size_t sizes[] = { 1, 2, 3, 5, 7, 9, 11, 13, 17, 100 };
	struct pair *pair = pair_new();
	struct probe *unary, *stream;

	pair->chop = sizes[_i];
	unary = pair_call_with(pair, "/t/unary", 0, MINIRPC_S(5),
			       (const struct minirpc_field[]){
				       { "x-meta", "m" }, { "b-bin", "\0\1\2", 3 }, { 0 } });
	minirpc_call_send(unary->call, "hello", 5);
	minirpc_call_end(unary->call, NULL);
	pair_settle(pair);
	ck_assert_str_eq(unary->last, "hello");
	ck_assert_int_eq(unary->code, MINIRPC_OK);
	ck_assert_str_eq(pair->served[0].meta, "m");

	stream = pair_call(pair, "/t/stream", STREAMS, 0);
	for (int i = 0; i < 20; i++)
		minirpc_call_send(stream->call, "0123456789", (size_t)i % 10);
	minirpc_call_end(stream->call, NULL);
	pair_settle(pair);
	ck_assert_int_eq(pair->served[1].messages, 20);
	ck_assert_int_eq(stream->code, MINIRPC_OK);
	pair_free(pair);
}
END_TEST

/* ---- Without memory ---- */

/* One of everything. Checks nothing but that each call ends, at most once. */
static void story(struct pair *pair)
{
	struct probe *probe;
	minirpc_call *call;
	int i;

	pair_settle(pair);
	for (i = 0; i < 3; i++) {
		if (mrpc_call_new(&call, MRPC_CLIENT, &pair->call_config) < 0)
			continue;
		probe = &pair->calls[pair->called++];
		pair_probe(probe, pair, call, i == 0 ? 0 : STREAMS);
		if (mrpc_call_set_path(call, i == 0 ? "/t/unary" : "/t/stream", 8 + (i != 0)) < 0 ||
		    mrpc_call_set_authority(call, "localhost", 9) < 0 ||
		    mrpc_metadata_add_all(&call->out_headers,
					  (const struct minirpc_field[]){ { "a-bin", "xyz" },
									  { "x-meta", "m" },
									  { 0 } }) < 0 ||
		    mrpc_conn_open(pair->client, call) < 0) {
			minirpc_call_cancel(call);
			probe->call = NULL;
			continue;
		}
		minirpc_call_send(call, "hello", 5);
		if (i != 1)
			minirpc_call_end(call, NULL);
		pair_settle(pair);
	}
	if (pair->calls[1].call != NULL)
		minirpc_call_cancel(pair->calls[1].call);
	pair->calls[1].call = NULL;
	pair_settle(pair);
	mrpc_conn_drain(pair->server);
	pair_settle(pair);
	/* What still waits, waits for bytes that a dead conn will never send. */
	mrpc_conn_machine(pair->client)
		->ops->broke(mrpc_conn_machine(pair->client), 0, "", pair->now);
	mrpc_conn_machine(pair->server)
		->ops->broke(mrpc_conn_machine(pair->server), 0, "", pair->now);
	pair_settle(pair);
	for (i = 0; i < pair->called; i++) {
		ck_assert_int_le(pair->calls[i].ends, 1);
		ck_assert_ptr_null(pair->calls[i].call);
	}
}

static void tell(bool forever)
{
	size_t live = alloc_live();

	for (size_t n = 1;; n++) {
		struct pair *pair;
		size_t refused;

		alloc_fail_at(n, forever);
		pair = pair_try();
		if (pair != NULL) {
			story(pair);
			refused = alloc_refused();
			alloc_fail_at(0, false);
			pair_free(pair);
		} else {
			refused = alloc_refused();
			alloc_fail_at(0, false);
		}
		ck_assert_uint_eq(alloc_live(), live);
		if (refused == 0)
			break;
	}
}

START_TEST(P_9_any_allocation_may_fail_once)
{
	tell(false);
}
END_TEST

START_TEST(P_9_any_allocation_may_fail_and_all_after_it)
{
	tell(true);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/conn");
	TCase *t = tcase_create("conn");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_unary_call_is_answered);
	tcase_add_test(t, a_call_costs_one_write_at_each_end);
	tcase_add_test(t, both_sides_of_a_stream_talk_in_turns);
	tcase_add_test(t, status_text_and_details_arrive);
	tcase_add_test(t, a_client_sees_who_the_peer_is);
	tcase_add_test(t, more_metadata_than_fits_a_small_block);
	tcase_add_test(t, P_5_cancel_reaches_the_handler_in_one_trip);
	tcase_add_test(t, a_handler_may_cancel);
	tcase_add_test(t, both_ends_give_up_at_the_deadline);
	tcase_add_test(t, a_message_larger_than_every_window_passes);
	tcase_add_test(t, N_2_a_reader_that_pauses_holds_the_writer_off);
	tcase_add_test(t, empty_messages_use_up_the_window_too);
	tcase_add_test(t, P_7_a_reader_that_pauses_costs_little_more_than_the_window);
	tcase_add_test(t, P_10_the_end_comes_behind_all_messages);
	tcase_add_test(t, P_10_also_when_the_connection_is_lost_meanwhile);
	tcase_add_test(t, an_answer_that_waits_for_its_reader_can_be_cancelled);
	tcase_add_test(t, many_megabytes_pass_without_a_leak_of_credit);
	tcase_add_test(t, a_long_answer_lets_a_short_one_pass);
	tcase_add_test(t, W_12_more_calls_than_streams_all_end);
	tcase_add_test(t, thousands_of_calls_leave_nothing_behind);
	tcase_add_test(t, G_2_a_drain_lets_calls_finish_and_takes_no_new_ones);
	tcase_add_test(t, G_2_an_idle_connection_drains_at_once);
	tcase_add_test(t, G_2_a_call_that_crosses_the_first_goaway_is_served);
	tcase_add_test(t, G_2_without_an_answer_to_the_ping_the_drain_goes_on_after_5_s);
	tcase_add_test(t, a_client_that_drains_keeps_its_calls);
	tcase_add_test(t, a_client_that_drains_keeps_calls_that_wait_for_a_stream);
	tcase_add_test(t, a_client_that_aborts_ends_its_calls_with_that_status);
	tcase_add_test(t, a_server_that_aborts_tells_its_handlers_unavailable);
	tcase_add_test(t, freeing_either_conn_ends_the_calls_on_it);
	tcase_add_loop_test(t, bytes_may_come_in_pieces_of_any_size, 0, 10);
	tcase_add_test(t, P_9_any_allocation_may_fail_once);
	tcase_add_test(t, P_9_any_allocation_may_fail_and_all_after_it);
	suite_add_tcase(s, t);
	return s;
}

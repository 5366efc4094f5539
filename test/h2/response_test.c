/* SPDX-License-Identifier: MIT */
/* A client and a raw server: what the client sends, and what it makes of every kind of answer. */
#include "raw.h"
#include "run_suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OK_HEADERS RAW(":status", "200", "content-type", "application/grpc")

/* A unary call whose request has reached the server. */
static struct probe *asked(struct raw *raw)
{
	struct probe *probe = pair_unary(raw->pair, "ask");

	raw_send(raw);
	return probe;
}

static void ck_ended(const struct probe *probe, enum minirpc_code code)
{
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_msg(probe->code == code, "%s: %s", minirpc_code_name(probe->code), probe->text);
}

START_TEST(W_1_request_headers_and_their_order)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe;

	probe = pair_call_with(
		raw->pair, "/t/unary", 0, MS(50),
		(const struct minirpc_field[]){
			{ "x-a", "1" }, { "b-bin", "\xab\xab\xab", 3 }, { "x-a", "2" }, { 0 } });
	minirpc_call_send(probe->call, "ask", 3);
	minirpc_call_end(probe->call, NULL);
	raw->pair->now += MS(10); /* what is left when it leaves */
	raw_send(raw);
	ck_assert_str_eq(raw_find(raw, HEADERS, 1)->headers,
			 ":method: POST\n:scheme: http\n:path: /t/unary\n:authority: localhost\n"
			 "grpc-timeout: 40000000n\nte: trailers\ncontent-type: application/grpc\n"
			 "grpc-accept-encoding: gzip,deflate\n"
			 "user-agent: grpc-c-test/1\nx-a: 1\nb-bin: q6ur\nx-a: 2\n");
	ck_assert_mem_eq(raw_find(raw, DATA, 1)->bytes, "\0\0\0\0\3ask", 8);
	raw_free(raw);
}
END_TEST

START_TEST(W_10_the_last_message_carries_end_stream)
{
	struct raw *raw = raw_server(NULL);

	asked(raw);
	ck_assert_int_eq(raw_count(raw, DATA, 1), 1);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags, END_STREAM);
	raw_free(raw);
}
END_TEST

START_TEST(W_10_with_nothing_left_an_empty_frame_ends_the_request)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_call(raw->pair, "/t/stream", STREAMS, 0);

	raw_send(raw);
	ck_assert_ptr_nonnull(raw_find(raw, HEADERS, 1)); /* before there is a message */
	minirpc_call_send(probe->call, "one", 3);
	raw_send(raw);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags, 0);
	minirpc_call_end(probe->call, NULL);
	raw_send(raw);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags, END_STREAM);
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, 0);
	raw_free(raw);
}
END_TEST

START_TEST(W_17_headers_data_trailers)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0,
		    RAW(":status", "200", "content-type", "application/grpc", "x-meta", "m"));
	raw_message(raw, 1, 0, "answer");
	raw_send(raw);
	ck_assert_int_eq(probe->headers, 1);
	ck_assert_str_eq(probe->meta, "m");
	raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0", "x-trailer", "t"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_str_eq(probe->last, "answer");
	ck_assert_str_eq(probe->trailer, "t");
	ck_assert_int_eq(raw_count(raw, RST_STREAM, 1), 0);
	raw_free(raw);
}
END_TEST

START_TEST(W_18_trailers_only)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "5",
			"grpc-message", "no k%C3%A9y%0A%zz", "x-trailer", "t", "x-meta", "m"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(probe->text, "no k\xc3\xa9y\n%zz"); /* S-2 */
	ck_assert_int_eq(probe->headers, 0);
	ck_assert_str_eq(probe->trailer, "t"); /* W-23 */
	raw_free(raw);
}
END_TEST

/* As gRPC C++ and grpc-go send it, although RFC 9113, 8.2.1 forbids it. */
START_TEST(S_2_a_text_that_ends_in_a_space_arrives)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "5",
			"grpc-message", "no account ", "x-trailer", " t "));
	raw_send(raw);
	ck_ended(probe, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(probe->text, "no account ");
	ck_assert_str_eq(probe->trailer, " t "); /* M-1: passed */
	raw_free(raw);
}
END_TEST

START_TEST(S_8_details_are_decoded)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "10",
			"grpc-status-details-bin", "CAoSAQ=="));
	raw_send(raw);
	ck_ended(probe, MINIRPC_ABORTED);
	ck_assert_uint_eq(probe->details_len, 4);
	ck_assert_mem_eq(probe->details, "\x08\x0a\x12\x01", 4);
	raw_free(raw);
}
END_TEST

START_TEST(S_3_http_status_without_grpc_status)
{
	static const struct {
		const char *status;
		enum minirpc_code code;
	} cases[] = {
		{ "400", MINIRPC_INTERNAL },          { "401", MINIRPC_UNAUTHENTICATED },
		{ "403", MINIRPC_PERMISSION_DENIED }, { "404", MINIRPC_UNIMPLEMENTED },
		{ "429", MINIRPC_UNAVAILABLE },       { "502", MINIRPC_UNAVAILABLE },
		{ "503", MINIRPC_UNAVAILABLE },       { "504", MINIRPC_UNAVAILABLE },
		{ "415", MINIRPC_UNKNOWN },           { "500", MINIRPC_UNKNOWN },
		{ "200", MINIRPC_UNKNOWN },           { "431", MINIRPC_UNKNOWN },
	};

	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = asked(raw);

		raw_headers(raw, 1, i % 2 == 0 ? END_STREAM : 0,
			    RAW(":status", cases[i / 2].status, "content-type", "text/html"));
		if (i % 2 == 1)
			raw_frame(raw, DATA, END_STREAM, 1, "<html>", 6);
		raw_send(raw);
		ck_ended(probe, cases[i / 2].code);
		raw_free(raw);
	}
}
END_TEST

START_TEST(S_3_a_grpc_status_goes_before_the_http_status)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "503", "content-type", "application/grpc", "grpc-status", "7"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_PERMISSION_DENIED);
	raw_free(raw);
}
END_TEST

START_TEST(W_14_a_truncated_answer_is_internal)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0, OK_HEADERS);
	raw_frame(raw, DATA, 0, 1, "\0\0\0\0\5he", 7);
	raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_INTERNAL);
	raw_free(raw);
}
END_TEST

START_TEST(W_19_a_body_without_trailers_is_internal)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "0"));
	raw_message(raw, 1, END_STREAM, "answer");
	raw_send(raw);
	ck_ended(probe, MINIRPC_INTERNAL);
	raw_free(raw);
}
END_TEST

START_TEST(W_19_a_status_in_headers_that_go_on_is_ignored)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "9"));
	raw_message(raw, 1, 0, "answer");
	raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_OK);
	raw_free(raw);
}
END_TEST

START_TEST(W_20_trailers_without_a_status_or_with_a_broken_one_are_unknown)
{
	static const char *const values[] = { NULL, "x", "17", "-1", "01", "" };

	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = asked(raw);

		raw_headers(raw, 1, 0, OK_HEADERS);
		raw_message(raw, 1, 0, "answer");
		raw_headers(raw, 1, END_STREAM,
			    values[i] == NULL ? RAW("x", "y") : RAW("grpc-status", values[i]));
		raw_send(raw);
		ck_ended(probe, MINIRPC_UNKNOWN);
		raw_free(raw);
	}
}
END_TEST

START_TEST(W_21_another_content_type_with_200_is_unknown)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0, RAW(":status", "200", "content-type", "text/plain"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_UNKNOWN);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_CANCEL);
	raw_free(raw);
}
END_TEST

START_TEST(W_9_another_subtype_is_internal)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0, RAW(":status", "200", "content-type", "application/grpc+json"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_INTERNAL);
	raw_free(raw);
}
END_TEST

START_TEST(W_9_the_calls_own_subtype_is_taken)
{
	static const struct {
		const char *ours, *theirs;
		enum minirpc_code code;
	} cases[] = {
		{ "json", "application/grpc+json", MINIRPC_OK },
		{ "json", "application/grpc+JSON; charset=utf-8", MINIRPC_OK },
		{ "json", "application/grpc", MINIRPC_INTERNAL },
		{ "json", "application/grpc+proto", MINIRPC_INTERNAL },
		{ "json", "application/grpc+jso", MINIRPC_INTERNAL },
		{ "json", "application/grpc+jsonx", MINIRPC_INTERNAL },
		{ "proto", "application/grpc", MINIRPC_OK },
		{ "proto", "application/grpc+proto", MINIRPC_OK },
		{ NULL, "application/grpc+Proto", MINIRPC_OK },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = asked(raw);

		if (cases[i].ours != NULL)
			ck_assert_int_eq(mrpc_call_set_subtype(probe->call, cases[i].ours), 0);
		raw_headers(raw, 1, 0, RAW(":status", "200", "content-type", cases[i].theirs));
		raw_message(raw, 1, 0, "answer");
		raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0"));
		raw_send(raw);
		ck_ended(probe, cases[i].code);
		raw_free(raw);
	}
}
END_TEST

START_TEST(W_21_informational_blocks_are_skipped)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0, RAW(":status", "100"));
	raw_headers(raw, 1, 0, RAW(":status", "103", "x-meta", "wrong", "grpc-status", "3"));
	raw_headers(raw, 1, 0,
		    RAW(":status", "200", "content-type", "application/grpc", "x-meta", "right"));
	raw_message(raw, 1, 0, "answer");
	raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_int_eq(probe->headers, 1);
	ck_assert_str_eq(probe->meta, "right");
	raw_free(raw);
}
END_TEST

START_TEST(W_22_an_early_answer_stops_our_request)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_call(raw->pair, "/t/stream", STREAMS, 0);

	minirpc_call_send(probe->call, "one", 3);
	raw_send(raw);
	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "0"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_NO_ERROR);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags, 0);
	raw_free(raw);
}
END_TEST

START_TEST(W_22_a_reset_after_the_whole_answer_changes_nothing)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_call(raw->pair, "/t/stream", STREAMS, 0);

	raw_send(raw);
	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "0"));
	raw_reset(raw, 1, NGHTTP2_NO_ERROR);
	raw_send(raw);
	ck_ended(probe, MINIRPC_OK);
	raw_free(raw);
}
END_TEST

START_TEST(S_4_resets_and_their_codes)
{
	static const struct {
		uint32_t reset;
		enum minirpc_code code;
		bool unprocessed;
	} cases[] = {
		{ NGHTTP2_NO_ERROR, MINIRPC_INTERNAL, false },
		{ NGHTTP2_PROTOCOL_ERROR, MINIRPC_INTERNAL, false },
		{ NGHTTP2_INTERNAL_ERROR, MINIRPC_INTERNAL, false },
		{ NGHTTP2_FLOW_CONTROL_ERROR, MINIRPC_INTERNAL, false },
		{ NGHTTP2_REFUSED_STREAM, MINIRPC_UNAVAILABLE, true },
		{ NGHTTP2_CANCEL, MINIRPC_CANCELLED, false },
		{ NGHTTP2_ENHANCE_YOUR_CALM, MINIRPC_RESOURCE_EXHAUSTED, false },
		{ NGHTTP2_INADEQUATE_SECURITY, MINIRPC_PERMISSION_DENIED, false },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = asked(raw);

		raw_reset(raw, 1, cases[i].reset);
		raw_send(raw);
		ck_ended(probe, cases[i].code);
		ck_assert_int_eq(probe->unprocessed, cases[i].unprocessed);
		ck_assert_int_eq(probe->failed_attempts, 1);
		raw_free(raw);
	}
}
END_TEST

/* The interop suite's rst_after_header, rst_during_data and rst_after_data. */
START_TEST(S_4_a_reset_at_any_point_of_an_answer_is_internal)
{
	static const uint8_t message[] = "\0\0\0\0\4text";
	static const size_t sent[] = { 0, 3, 5, 7, sizeof message - 1 };

	for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = asked(raw);

		raw_headers(raw, 1, 0, OK_HEADERS);
		if (sent[i] > 0)
			raw_frame(raw, DATA, 0, 1, message, sent[i]);
		raw_reset(raw, 1, NGHTTP2_NO_ERROR);
		raw_send(raw);
		ck_ended(probe, MINIRPC_INTERNAL);
		ck_assert_int_eq(probe->failed_attempts, 0);
		raw_free(raw);
	}
}
END_TEST

START_TEST(R_3_after_headers_no_attempt_is_given_back)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0, OK_HEADERS);
	raw_reset(raw, 1, NGHTTP2_REFUSED_STREAM);
	raw_send(raw);
	ck_ended(probe, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(probe->failed_attempts, 0);
	raw_free(raw);
}
END_TEST

START_TEST(R_4_a_refused_call_can_be_opened_again)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_unary(raw->pair, "ask");

	probe->retry = true;
	raw_send(raw);
	raw_reset(raw, 1, NGHTTP2_REFUSED_STREAM);
	raw_send(raw);
	ck_assert_int_eq(probe->ends, 0);
	ck_assert_int_eq(probe->unprocessed, 1);
	ck_assert_int_eq(mrpc_conn_open(raw->conn, probe->call), 0);
	raw_send(raw);
	ck_assert_mem_eq(raw_find(raw, DATA, 3)->bytes, "\0\0\0\0\3ask", 8);
	ck_assert_int_eq(raw_find(raw, DATA, 3)->flags, END_STREAM);
	raw_headers(raw, 3, 0, OK_HEADERS);
	raw_message(raw, 3, 0, "answer");
	raw_headers(raw, 3, END_STREAM, RAW("grpc-status", "0"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_OK);
	raw_free(raw);
}
END_TEST

START_TEST(G_1_goaway_gives_back_what_is_above_its_last_stream)
{
	struct raw *raw = raw_server(NULL);
	struct probe *one = asked(raw), *two = asked(raw);

	raw_goaway(raw, 1, NGHTTP2_NO_ERROR, "");
	raw_send(raw);
	ck_assert_int_eq(one->ends, 0);
	ck_ended(two, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(two->unprocessed, 1);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_DRAINING);
	ck_assert_int_ge(raw->pair->client_woken, 1);

	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "9"));
	raw_send(raw);
	ck_ended(one, MINIRPC_FAILED_PRECONDITION);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert(mrpc_conn_machine(raw->conn)->ops->is_finished(mrpc_conn_machine(raw->conn)));
	raw_free(raw);
}
END_TEST

START_TEST(R_4_what_was_queued_when_goaway_came_never_left)
{
	struct raw *raw = raw_server(NULL);
	struct probe *first, *second;

	raw->wire->stalled = true;
	first = pair_unary(raw->pair, "sent");
	pair_turn(raw->pair); /* the socket is full from here on */
	second = pair_unary(raw->pair, "queued");
	second->retry = true;
	pair_turn(raw->pair);
	raw_goaway(raw, INT32_MAX, NGHTTP2_NO_ERROR, ""); /* the first step of a drain */
	raw_send(raw);
	raw->wire->stalled = false;
	raw_read(raw);
	mrpc_conn_touch(raw->conn);
	raw_send(raw);
	ck_assert_int_eq(first->failed_attempts, 0);
	ck_assert_ptr_nonnull(raw_find(raw, HEADERS, 1));
	ck_assert_ptr_null(raw_find(raw, HEADERS, 3));
	ck_assert_int_eq(second->unprocessed, 1);
	ck_assert(second->call->never_left);
	raw_free(raw);
}
END_TEST

START_TEST(G_1_after_goaway_no_call_can_be_opened)
{
	struct raw *raw = raw_server(NULL);
	minirpc_call *call;

	asked(raw);
	raw_goaway(raw, 0x7fffffff, NGHTTP2_NO_ERROR, "");
	raw_send(raw);
	ck_assert_int_eq(mrpc_call_new(&call, MRPC_CLIENT, &raw->pair->call_config), 0);
	ck_assert_int_eq(mrpc_conn_open(raw->conn, call), -ESHUTDOWN);
	minirpc_call_cancel(call);
	ck_assert_int_eq(raw->pair->calls[0].ends, 0);
	raw_free(raw);
}
END_TEST

START_TEST(K_3_the_reason_of_a_goaway_is_kept)
{
	struct raw *raw = raw_server(NULL);

	raw_goaway(raw, 0, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
	raw_send(raw);
	ck_assert_ptr_nonnull(strstr(mrpc_conn_reason(raw->conn), "too_many_pings"));
	raw_free(raw);
}
END_TEST

START_TEST(W_12_calls_over_the_peers_limit_wait)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probes[3];

	raw_frame(raw, SETTINGS, 0, 0, "\0\3\0\0\0\1", 6); /* MAX_CONCURRENT_STREAMS 1 */
	raw_send(raw);
	for (int i = 0; i < 3; i++)
		probes[i] = asked(raw);
	ck_assert_int_eq(raw_count(raw, HEADERS, ANY), 1);
	ck_assert_uint_eq(mrpc_conn_open_calls(raw->conn), 3);
	for (uint32_t i = 0; i < 3; i++) {
		raw_headers(raw, 1 + 2 * i, END_STREAM,
			    RAW(":status", "200", "content-type", "application/grpc", "grpc-status",
				"5"));
		raw_send(raw);
		ck_ended(probes[i], MINIRPC_NOT_FOUND);
		ck_assert_int_eq(raw_count(raw, HEADERS, ANY), i < 2 ? 2 + (int)i : 3);
	}
	raw_free(raw);
}
END_TEST

START_TEST(B_5_a_conn_says_when_it_has_room_again)
{
	struct raw *raw = raw_server(NULL);
	struct probe *first, *second;

	raw_frame(raw, SETTINGS, 0, 0, "\0\3\0\0\0\1", 6); /* MAX_CONCURRENT_STREAMS 1 */
	raw_send(raw);
	raw->pair->client_woken = 0;
	ck_assert(mrpc_conn_wants_another(raw->conn));
	first = pair_unary(raw->pair, "x"); /* has not left yet */
	ck_assert(!mrpc_conn_wants_another(raw->conn));
	raw_send(raw);
	ck_assert(!mrpc_conn_wants_another(raw->conn));
	ck_assert_int_eq(raw->pair->client_woken, 0);
	raw_headers(raw, 1, END_STREAM,
		    RAW(":status", "200", "content-type", "application/grpc", "grpc-status", "5"));
	raw_send(raw);
	ck_ended(first, MINIRPC_NOT_FOUND);
	ck_assert_int_eq(raw->pair->client_woken, 1);
	ck_assert(mrpc_conn_wants_another(raw->conn));

	/* By a call that ends before it has left, and by SETTINGS. */
	second = pair_unary(raw->pair, "x");
	ck_assert(!mrpc_conn_wants_another(raw->conn));
	minirpc_call_cancel(second->call);
	second->call = NULL;
	pair_turn(raw->pair);
	ck_assert_int_eq(raw->pair->client_woken, 2);
	ck_assert(mrpc_conn_wants_another(raw->conn));
	asked(raw);
	ck_assert(!mrpc_conn_wants_another(raw->conn));
	raw_frame(raw, SETTINGS, 0, 0, "\0\3\0\0\0\2", 6);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->client_woken, 3);
	ck_assert(mrpc_conn_wants_another(raw->conn));

	/* Nobody waits for room: nobody is woken. */
	asked(raw);
	raw_reset(raw, 3, NGHTTP2_CANCEL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->client_woken, 3);
	raw_goaway(raw, 5, NGHTTP2_NO_ERROR, "");
	raw_send(raw);
	ck_assert(!mrpc_conn_wants_another(raw->conn));
	raw_free(raw);
}
END_TEST

START_TEST(W_12_before_settings_100_streams_are_assumed)
{
	struct pair *pair = pair_client_only(NULL);

	for (int i = 0; i < 101; i++)
		pair_unary(pair, "x");
	pair_turn(pair);
	ck_assert_uint_eq(pair->client->open, 100);
	ck_assert(!mrpc_list_is_empty(&pair->client->waiting));
	pair_free(pair);
}
END_TEST

START_TEST(W_12_a_call_that_waits_can_be_cancelled_or_given_back)
{
	struct raw *raw = raw_server(NULL);
	struct probe *first, *second, *third;

	raw_frame(raw, SETTINGS, 0, 0, "\0\3\0\0\0\1", 6);
	raw_send(raw);
	first = asked(raw);
	second = asked(raw);
	third = asked(raw);
	minirpc_call_cancel(second->call);
	second->call = NULL;
	raw_goaway(raw, 1, NGHTTP2_NO_ERROR, "");
	raw_send(raw);
	ck_assert_int_eq(first->ends, 0);
	ck_assert_int_eq(second->ends, 0);
	ck_ended(third, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(third->unprocessed, 1);
	ck_assert_int_eq(raw_count(raw, HEADERS, ANY), 1);
	raw_free(raw);
}
END_TEST

START_TEST(G_4_the_id_space_is_not_used_up)
{
	struct raw *raw = raw_server(NULL);
	minirpc_call *call;

	nghttp2_session_set_next_stream_id(raw->conn->session, 0x60000001);
	ck_assert_int_eq(mrpc_call_new(&call, MRPC_CLIENT, &raw->pair->call_config), 0);
	ck_assert_int_eq(mrpc_conn_open(raw->conn, call), -ESHUTDOWN);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_DRAINING);
	minirpc_call_cancel(call);
	raw_free(raw);
}
END_TEST

START_TEST(D_2_at_the_deadline_the_stream_is_reset)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_call(raw->pair, "/t/unary", 0, MS(50));

	raw_send(raw);
	raw_headers(raw, 1, 0, OK_HEADERS);
	raw_send(raw);
	pair_advance(raw->pair, MS(50));
	raw_read(raw);
	ck_ended(probe, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_CANCEL);
	raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0")); /* too late */
	raw_send(raw);
	ck_assert_int_eq(probe->ends, 1);
	raw_free(raw);
}
END_TEST

START_TEST(D_2_a_cancel_from_the_server_after_the_deadline_is_the_deadline)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_call(raw->pair, "/t/unary", 0, MS(50));

	raw_send(raw);
	raw->pair->now += MS(50); /* our timer has not run yet */
	raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	ck_ended(probe, MINIRPC_DEADLINE_EXCEEDED);
	raw_free(raw);
}
END_TEST

START_TEST(D_4_cancel_resets_the_stream)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	minirpc_call_cancel(probe->call);
	probe->call = NULL;
	raw_send(raw);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_CANCEL);
	ck_assert_int_eq(probe->ends, 0);
	ck_assert_uint_eq(mrpc_conn_open_calls(raw->conn), 0);
	ck_assert_ptr_eq(raw->conn->streams.next, &raw->conn->streams);
	raw_free(raw);
}
END_TEST

START_TEST(a_call_cancelled_before_its_turn_leaves_nothing)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_unary(raw->pair, "ask");

	minirpc_call_cancel(probe->call);
	probe->call = NULL;
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, HEADERS, ANY), 0);
	raw_free(raw);
}
END_TEST

START_TEST(a_call_cancelled_between_submission_and_sending_is_harmless)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe;

	raw->wire->stalled = true;
	probe = pair_unary(raw->pair, "one"); /* fills the pipe */
	pair_turn(raw->pair);
	probe = pair_unary(raw->pair, "two");
	pair_turn(raw->pair); /* submitted, not fetched */
	minirpc_call_cancel(probe->call);
	probe->call = NULL;
	pair_turn(raw->pair);
	raw->wire->stalled = false;
	raw_read(raw);
	mrpc_conn_touch(raw->conn);
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, DATA, 3), 0);
	raw_free(raw);
}
END_TEST

START_TEST(S_6_a_lost_connection_is_unavailable)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	machine->ops->broke(machine, -104, "connection reset", raw->pair->now);
	pair_turn(raw->pair);
	ck_ended(probe, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe->text, "connection reset");
	ck_assert_int_eq(probe->unprocessed, 0);
	ck_assert(machine->ops->is_finished(machine));
	ck_assert_str_eq(mrpc_conn_reason(raw->conn), "connection reset");
	raw_free(raw);
}
END_TEST

START_TEST(S_7_an_answer_over_the_limit_is_resource_exhausted)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe;

	raw->pair->call_config.max_receive_message = 10;
	probe = asked(raw);
	raw_headers(raw, 1, 0, OK_HEADERS);
	raw_frame(raw, DATA, 0, 1, "\0\0\0\0\13", 5);
	raw_send(raw);
	ck_ended(probe, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_CANCEL);
	raw_free(raw);
}
END_TEST

START_TEST(M_5_response_headers_over_the_limit_cost_the_call)
{
	struct minirpc_conn_limits limits = { .max_header_bytes = 200 };

	for (int over = 0; over <= 1; over++) {
		struct raw *raw = raw_server(&limits);
		struct probe *probe = asked(raw);
		char pad[200];

		memset(pad, 'x', sizeof pad);
		pad[200 - (7 + 3 + 12 + 16 + 1 + 3 * 32) + over] = '\0';
		raw_headers(raw, 1, 0,
			    RAW(":status", "200", "content-type", "application/grpc", "p", pad));
		raw_send(raw);
		ck_assert_int_eq(probe->ends, over);
		if (over)
			ck_ended(probe, MINIRPC_RESOURCE_EXHAUSTED);
		raw_free(raw);
	}
}
END_TEST

START_TEST(M_2_broken_base64_in_an_answer_is_internal)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(raw, 1, 0,
		    RAW(":status", "200", "content-type", "application/grpc", "a-bin", "!"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_INTERNAL);
	raw_free(raw);
}
END_TEST

START_TEST(C_3_an_unknown_encoding_in_an_answer_is_internal)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);

	raw_headers(
		raw, 1, 0,
		RAW(":status", "200", "content-type", "application/grpc", "grpc-encoding", "sdch"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_INTERNAL);
	raw_free(raw);
}
END_TEST

START_TEST(malformed_answers_cost_only_their_call)
{
	static const char *const bad[][3] = {
		{ "X-Upper", "1" }, { "connection", "close" }, { ":status", "200" },
		{ ":path", "/" },   { "te", "gzip" },          { "transfer-encoding", "chunked" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = asked(raw), *other = asked(raw);

		raw_headers(raw, 1, END_STREAM,
			    RAW(":status", "200", "content-type", "application/grpc", "grpc-status",
				"0", bad[i][0], bad[i][1]));
		raw_headers(raw, 3, END_STREAM,
			    RAW(":status", "200", "content-type", "application/grpc", "grpc-status",
				"3"));
		raw_send(raw);
		ck_assert_msg(probe->ends == 1, "%s", bad[i][0]);
		ck_ended(other, MINIRPC_INVALID_ARGUMENT);
		raw_free(raw);
	}
}
END_TEST

START_TEST(N_1_pings_and_settings_are_acknowledged)
{
	struct raw *raw = raw_server(NULL);

	raw_ping(raw);
	raw_send(raw);
	ck_assert_int_eq(raw_find(raw, PING, 0)->flags, ACK);
	ck_assert_mem_eq(raw_find(raw, PING, 0)->bytes, "12345678", 8);
	ck_assert_int_eq(raw_find(raw, SETTINGS, 0)->flags, ACK);
	raw_free(raw);
}
END_TEST

START_TEST(N_1_padding_is_given_back_to_the_window)
{
	struct minirpc_conn_limits limits = { .stream_window = 65535, .conn_window = 65535 };
	struct raw *raw = raw_server(&limits);
	struct probe *probe = pair_call(raw->pair, "/t/stream", STREAMS, 0);
	uint8_t padded[1 + 5 + 255] = { 255 };
	uint64_t given = 0;

	raw_send(raw);
	raw_headers(raw, 1, 0, OK_HEADERS);
	for (int i = 0; i < 2000; i++) {
		raw_frame(raw, DATA, PADDED, 1, padded, sizeof padded);
		raw_send(raw);
	}
	ck_assert_int_eq(probe->messages, 2000);
	for (int i = 0; i < raw->seen_count; i++)
		if (raw->seen[i].type == WINDOW_UPDATE && raw->seen[i].id == 1)
			given += raw->seen[i].code;
	ck_assert_uint_ge(given + 65535, 2000 * sizeof padded);
	raw_free(raw);
}
END_TEST

START_TEST(a_protocol_error_ends_the_connection_and_its_calls)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = asked(raw);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	raw_frame(raw, DATA, 0, 0, "x", 1);
	raw_send(raw);
	ck_ended(probe, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(raw_find(raw, GOAWAY, 0)->code, NGHTTP2_PROTOCOL_ERROR);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert(machine->ops->is_finished(machine));
	ck_assert_str_ne(mrpc_conn_reason(raw->conn), "");
	ck_assert_int_lt(machine->ops->receive(machine, (const uint8_t *)"x", 1, raw->pair->now),
			 0);
	raw_free(raw);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/response");
	TCase *t = tcase_create("response");

	tcase_add_test(t, W_1_request_headers_and_their_order);
	tcase_add_test(t, W_10_the_last_message_carries_end_stream);
	tcase_add_test(t, W_10_with_nothing_left_an_empty_frame_ends_the_request);
	tcase_add_test(t, W_17_headers_data_trailers);
	tcase_add_test(t, W_18_trailers_only);
	tcase_add_test(t, S_2_a_text_that_ends_in_a_space_arrives);
	tcase_add_test(t, S_8_details_are_decoded);
	tcase_add_test(t, S_3_http_status_without_grpc_status);
	tcase_add_test(t, S_3_a_grpc_status_goes_before_the_http_status);
	tcase_add_test(t, W_14_a_truncated_answer_is_internal);
	tcase_add_test(t, W_19_a_body_without_trailers_is_internal);
	tcase_add_test(t, W_19_a_status_in_headers_that_go_on_is_ignored);
	tcase_add_test(t, W_20_trailers_without_a_status_or_with_a_broken_one_are_unknown);
	tcase_add_test(t, W_21_another_content_type_with_200_is_unknown);
	tcase_add_test(t, W_9_another_subtype_is_internal);
	tcase_add_test(t, W_9_the_calls_own_subtype_is_taken);
	tcase_add_test(t, W_21_informational_blocks_are_skipped);
	tcase_add_test(t, W_22_an_early_answer_stops_our_request);
	tcase_add_test(t, W_22_a_reset_after_the_whole_answer_changes_nothing);
	tcase_add_test(t, S_4_resets_and_their_codes);
	tcase_add_test(t, S_4_a_reset_at_any_point_of_an_answer_is_internal);
	tcase_add_test(t, R_3_after_headers_no_attempt_is_given_back);
	tcase_add_test(t, R_4_a_refused_call_can_be_opened_again);
	tcase_add_test(t, G_1_goaway_gives_back_what_is_above_its_last_stream);
	tcase_add_test(t, R_4_what_was_queued_when_goaway_came_never_left);
	tcase_add_test(t, G_1_after_goaway_no_call_can_be_opened);
	tcase_add_test(t, K_3_the_reason_of_a_goaway_is_kept);
	tcase_add_test(t, W_12_calls_over_the_peers_limit_wait);
	tcase_add_test(t, W_12_before_settings_100_streams_are_assumed);
	tcase_add_test(t, B_5_a_conn_says_when_it_has_room_again);
	tcase_add_test(t, W_12_a_call_that_waits_can_be_cancelled_or_given_back);
	tcase_add_test(t, G_4_the_id_space_is_not_used_up);
	tcase_add_test(t, D_2_at_the_deadline_the_stream_is_reset);
	tcase_add_test(t, D_2_a_cancel_from_the_server_after_the_deadline_is_the_deadline);
	tcase_add_test(t, D_4_cancel_resets_the_stream);
	tcase_add_test(t, a_call_cancelled_before_its_turn_leaves_nothing);
	tcase_add_test(t, a_call_cancelled_between_submission_and_sending_is_harmless);
	tcase_add_test(t, S_6_a_lost_connection_is_unavailable);
	tcase_add_test(t, S_7_an_answer_over_the_limit_is_resource_exhausted);
	tcase_add_test(t, M_5_response_headers_over_the_limit_cost_the_call);
	tcase_add_test(t, M_2_broken_base64_in_an_answer_is_internal);
	tcase_add_test(t, C_3_an_unknown_encoding_in_an_answer_is_internal);
	tcase_add_test(t, malformed_answers_cost_only_their_call);
	tcase_add_test(t, N_1_pings_and_settings_are_acknowledged);
	tcase_add_test(t, N_1_padding_is_given_back_to_the_window);
	tcase_add_test(t, a_protocol_error_ends_the_connection_and_its_calls);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* A server and a raw client: requests of every kind, and what it answers. */
#include "raw.h"
#include "run_suite.h"

#include <stdio.h>
#include <string.h>

#define GRPC_FIELDS                                                                                \
	":method", "POST", ":scheme", "http", ":path", "/t/unary", ":authority", "here", "te",     \
		"trailers"

/* Sends one block with END_STREAM on stream 1 and returns the first block of the answer. */
static const struct seen *answer_to(struct raw *raw, const char *const *fields)
{
	raw_headers(raw, 1, END_STREAM, fields);
	raw_send(raw);
	pair_advance(raw->pair, MINIRPC_MS(50)); /* what is no gRPC is answered late */
	raw_send(raw);
	return raw_find(raw, HEADERS, 1);
}

START_TEST(W_17_an_answer_is_headers_data_trailers)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/unary", NULL);
	raw_message(raw, 1, END_STREAM, "hello");
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 2);
	ck_assert_int_eq(raw_count(raw, DATA, 1), 1);
	ck_assert_int_eq(raw_count(raw, RST_STREAM, 1), 0);
	ck_assert_mem_eq(raw_find(raw, DATA, 1)->bytes, "\0\0\0\0\5hello", 10);
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags & END_STREAM, 0);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
	ck_has_not(raw_find(raw, HEADERS, 1), "grpc-message");
	ck_has_not(raw_find(raw, HEADERS, 1), ":status");
	ck_assert_int_eq(raw_find(raw, HEADERS, 1)->flags & END_STREAM, END_STREAM);
	raw_free(raw);
}
END_TEST

START_TEST(an_answer_leaves_with_one_write)
{
	struct raw *raw = raw_client(NULL);
	uint64_t flushes = raw->wire->flushes;

	for (uint32_t id = 1; id < 40; id += 2) {
		raw_request(raw, id, 0, "/t/unary", NULL);
		raw_message(raw, id, END_STREAM, "hello");
	}
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, HEADERS, ANY), 40);
	ck_assert_uint_eq(raw->wire->flushes, flushes + 1);
	raw_free(raw);
}
END_TEST

START_TEST(W_3_a_missing_te_is_tolerated_and_counted)
{
	struct raw *raw = raw_client(NULL);

	raw_headers(raw, 1, 0,
		    RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary", ":authority",
			"here", "content-type", "application/grpc"));
	raw_message(raw, 1, END_STREAM, "x");
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->missing_te, 1);
	raw_free(raw);
}
END_TEST

/* The first block of an answer, or the only one. */
static const struct seen *first_headers(const struct raw *raw)
{
	for (int i = 0; i < raw->seen_count; i++)
		if (raw->seen[i].type == HEADERS)
			return &raw->seen[i];
	return NULL;
}

START_TEST(W_4_content_types)
{
	static const struct {
		const char *type, *expected;
	} cases[] = {
		{ "application/grpc", "content-type: application/grpc\n" },
		{ "application/grpc+proto", "content-type: application/grpc+proto\n" },
		{ "application/grpc;charset=utf-8", "content-type: application/grpc\n" },
		{ "application/grpc+", "content-type: application/grpc\n" },
		/* who speaks it is the router's question */
		{ "application/grpc+foo", "content-type: application/grpc+foo\n" },
		{ "application/grpc+Foo", "content-type: application/grpc+foo\n" },
		{ "application/grpc+vnd.x ;v=1", "content-type: application/grpc+vnd.x\n" },
		{ "application/grpc+a b", "grpc-status: 12\n" }, /* W-9: no subtype */
		{ "application/grpc+.a", "grpc-status: 12\n" },
		{ "application/grpc+(a)", "grpc-status: 12\n" },
		{ "application/grpc-web", ":status: 415\n" },
		{ "application/grpcfoo", ":status: 415\n" },
		{ "Application/grpc", ":status: 415\n" },
		{ "text/html", ":status: 415\n" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw *raw = raw_client(NULL);

		raw_headers(raw, 1, 0, RAW(GRPC_FIELDS, "content-type", cases[i].type));
		raw_message(raw, 1, END_STREAM, "x");
		raw_send(raw);
		pair_advance(raw->pair, MINIRPC_MS(50));
		raw_send(raw);
		ck_has(first_headers(raw), cases[i].expected);
		raw_free(raw);
	}
}
END_TEST

/* RFC 6838, 4.2: 127 characters behind "application/". */
START_TEST(W_9_a_subtype_has_at_most_122_characters)
{
	for (size_t len = 122; len <= 123; len++) {
		struct raw *raw = raw_client(NULL);
		char type[160] = "application/grpc+";

		memset(type + strlen(type), 's', len);
		raw_headers(raw, 1, 0, RAW(GRPC_FIELDS, "content-type", type));
		raw_message(raw, 1, END_STREAM, "x");
		raw_send(raw);
		if (len == 122)
			ck_has(first_headers(raw), type);
		else
			ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 12\n");
		ck_assert_int_eq(raw->pair->accepted, len == 122);
		raw_free(raw);
	}
}
END_TEST

START_TEST(W_5_what_is_not_grpc_gets_a_bare_415)
{
	struct raw *raw = raw_client(NULL);
	const struct seen *answer = answer_to(raw, RAW(GRPC_FIELDS));

	ck_assert_str_eq(answer->headers, ":status: 415\ncontent-type: text/plain\n");
	ck_assert_int_eq(raw_find(raw, DATA, 1)->flags & END_STREAM, END_STREAM);
	ck_assert_int_eq(raw->pair->accepted, 0);
	raw_free(raw);
}
END_TEST

START_TEST(W_6_other_methods_get_405)
{
	struct raw *raw = raw_client(NULL);
	const struct seen *answer =
		answer_to(raw, RAW(":method", "GET", ":scheme", "http", ":path", "/t/unary",
				   ":authority", "here", "content-type", "application/grpc"));

	ck_has(answer, ":status: 405\n");
	ck_has(answer, "allow: POST\n");
	ck_has_not(answer, "grpc-status");
	raw_free(raw);
}
END_TEST

START_TEST(W_7_two_authorities_cost_the_stream)
{
	static const char *const twice[] = { ":authority", "host" };

	for (int i = 0; i < 2; i++) {
		struct raw *raw = raw_client(NULL);

		raw_headers(raw, 1, END_STREAM,
			    i == 0 ? RAW(":authority", "a", GRPC_FIELDS, "content-type",
					 "application/grpc")
				   : RAW(GRPC_FIELDS, "host", "a", "host", "b", "content-type",
					 "application/grpc"));
		raw_request(raw, 3, END_STREAM, "/t/unary", NULL);
		raw_send(raw);
		ck_assert_ptr_nonnull(raw_find(raw, RST_STREAM, 1));
		ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_PROTOCOL_ERROR);
		ck_assert_msg(raw_find(raw, HEADERS, 3) != NULL, "%s", twice[i]);
		raw_free(raw);
	}
}
END_TEST

START_TEST(W_7_host_stands_in_for_authority)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	answer_to(raw, RAW(":method", "POST", ":scheme", "http", ":path", "/t/stream", "host",
			   "there", "content-type", "application/grpc"));
	ck_assert_int_eq(raw->pair->accepted, 1);
	ck_assert_str_eq(minirpc_call_authority(raw->pair->served[0].call), "there");
	raw_free(raw);
}
END_TEST

START_TEST(W_7_authority_goes_before_host)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", RAW("host", "there"));
	raw_send(raw);
	ck_assert_str_eq(minirpc_call_authority(raw->pair->served[0].call), "here");
	ck_assert_str_eq(minirpc_call_path(raw->pair->served[0].call), "/t/stream");
	ck_assert_str_eq(minirpc_call_peer(raw->pair->served[0].call), "pipe:client");
	raw_free(raw);
}
END_TEST

START_TEST(userinfo_in_the_authority_is_refused)
{
	struct raw *raw = raw_client(NULL);
	const struct seen *answer =
		answer_to(raw, RAW(":method", "POST", ":scheme", "http", ":path", "/t/unary",
				   ":authority", "me@here", "content-type", "application/grpc"));

	if (answer == NULL) { /* nghttp2 from 1.64 on refuses it itself */
		ck_assert_ptr_nonnull(raw_find(raw, RST_STREAM, 1));
	} else {
		ck_has(answer, ":status: 400\n");
		ck_has(answer, "grpc-status: 13\n");
	}
	raw_free(raw);
}
END_TEST

START_TEST(W_8_a_path_without_method_is_unimplemented)
{
	static const char *const paths[] = { "/t", "t/unary", "/t/", "//x", "*" };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct raw *raw = raw_client(NULL);

		raw_request(raw, 1, END_STREAM, paths[i], NULL);
		raw_send(raw);
		if (raw_find(raw, RST_STREAM, 1) == NULL) { /* nghttp2 minds some of them */
			ck_has(raw_find(raw, HEADERS, 1), ":status: 200\n");
			ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 12\n");
			ck_assert_int_eq(raw_find(raw, HEADERS, 1)->flags & END_STREAM, END_STREAM);
		}
		ck_assert_int_eq(raw->pair->accepted, 0);
		raw_free(raw);
	}
}
END_TEST

START_TEST(W_10_request_trailers_are_ignored_and_end_the_request)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/unary", NULL);
	raw_message(raw, 1, 0, "hello");
	raw_headers(raw, 1, END_STREAM, RAW("x-late", "1"));
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
	raw_free(raw);
}
END_TEST

START_TEST(W_10_messages_and_frames_do_not_align)
{
	struct raw *raw = raw_client(NULL);
	static const uint8_t two[] = "\0\0\0\0\3one\0\0\0\0\3two";

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	for (size_t i = 0; i < 16; i++)
		raw_frame(raw, DATA, 0, 1, two + i, 1);
	raw_frame(raw, DATA, END_STREAM, 1, two, 16);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->served[0].messages, 4);
	ck_assert_int_eq(raw->pair->served[0].half_closes, 1);
	ck_assert_str_eq(raw->pair->served[0].last, "two");
	raw_free(raw);
}
END_TEST

START_TEST(W_13_a_flag_other_than_0_and_1_is_internal)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	raw_frame(raw, DATA, 0, 1, "\2\0\0\0\0", 5);
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_NO_ERROR);
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_CANCELLED);
	raw_free(raw);
}
END_TEST

START_TEST(W_14_a_truncated_request_is_internal)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/unary", NULL);
	raw_frame(raw, DATA, END_STREAM, 1, "\0\0\0\0\5he", 7);
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 1); /* trailers-only */
	raw_free(raw);
}
END_TEST

START_TEST(W_14_an_empty_message_is_a_message)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/unary", NULL);
	raw_message(raw, 1, END_STREAM, "");
	raw_send(raw);
	ck_assert_int_eq(raw->pair->served[0].messages, 1);
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, 5);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
	raw_free(raw);
}
END_TEST

START_TEST(W_18_an_early_failure_is_one_block)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, END_STREAM, "/t/stream", NULL);
	raw_send(raw);
	minirpc_call_set_trailers(raw->pair->served[0].call,
				  (const struct minirpc_field[]){ { "x-trailer", "t" }, { 0 } });
	minirpc_call_fail(raw->pair->served[0].call, MINIRPC_NOT_FOUND, "no %s\n", "k\xc3\xa9y");
	raw->pair->served[0].call = NULL;
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 1);
	ck_assert_str_eq(raw_find(raw, HEADERS, 1)->headers,
			 ":status: 200\ncontent-type: application/grpc\ngrpc-status: 5\n"
			 "grpc-message: no k%C3%A9y%0A\nx-trailer: t\n"); /* S-2 */
	ck_assert_int_eq(raw_find(raw, HEADERS, 1)->flags & END_STREAM, END_STREAM);
	raw_free(raw);
}
END_TEST

START_TEST(W_18_headers_can_go_first)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, END_STREAM, "/t/stream", NULL);
	raw_send(raw);
	ck_assert_ptr_null(raw_find(raw, HEADERS, 1));
	minirpc_call_send_headers(raw->pair->served[0].call,
				  (const struct minirpc_field[]){ { "x-meta", "m" },
								  { "b-bin", "\xab\xab\xab", 3 },
								  { "b-bin", "\0", 1 },
								  { 0 } });
	raw_send(raw);
	ck_assert_str_eq(raw_find(raw, HEADERS, 1)->headers,
			 ":status: 200\ncontent-type: application/grpc\nx-meta: m\n"
			 "b-bin: q6ur\nb-bin: AA\n"); /* M-2: unpadded */
	ck_assert_int_eq(raw_count(raw, DATA, 1), 0);
	raw_free(raw);
}
END_TEST

START_TEST(W_22_an_answer_before_the_requests_end_resets_with_no_error)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	minirpc_call_send(raw->pair->served[0].call, "x", 1);
	minirpc_call_end(raw->pair->served[0].call, NULL);
	raw->pair->served[0].call = NULL;
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_NO_ERROR);
	ck_assert_int_eq(raw->seen[raw->seen_count - 1].type, RST_STREAM); /* last */
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->calls_succeeded, 1);
	raw_free(raw);
}
END_TEST

START_TEST(M_2_binary_metadata_is_decoded)
{
	struct raw *raw = raw_client(NULL);
	const struct minirpc_metadata *metadata;
	const struct minirpc_field *field;

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", RAW("a-bin", "q6ur", "a-bin", "AA==,AQ", "b-bin", ""));
	raw_send(raw);
	ck_assert_int_eq(raw->pair->accepted, 1);
	metadata = minirpc_call_headers(raw->pair->served[0].call);
	ck_assert_uint_eq(minirpc_metadata_count(metadata), 4);
	field = minirpc_metadata_find(metadata, "a-bin", NULL);
	ck_assert_uint_eq(field->len, 3);
	ck_assert_mem_eq(field->value, "\xab\xab\xab", 3);
	field = minirpc_metadata_find(metadata, "a-bin", field);
	ck_assert_uint_eq(field->len, 1);
	ck_assert_mem_eq(field->value, "\0", 1);
	field = minirpc_metadata_find(metadata, "a-bin", field);
	ck_assert_mem_eq(field->value, "\1", 1);
	field = minirpc_metadata_find(metadata, "b-bin", NULL);
	ck_assert_uint_eq(field->len, 0);
	raw_free(raw);
}
END_TEST

START_TEST(M_2_broken_base64_is_400_and_internal)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, END_STREAM, "/t/unary", RAW("a-bin", "q6u!"));
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), ":status: 400\n");
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
	raw_free(raw);
}
END_TEST

START_TEST(M_4_reserved_names_are_hidden)
{
	struct raw *raw = raw_client(NULL);
	const struct minirpc_metadata *metadata;

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream",
		    RAW("grpc-foo", "1", "grpc-message-type", "x", "grpc-encoding", "identity",
			"grpc-timeout", "1H", "grpc-previous-rpc-attempts", "2", "user-agent", "me",
			"x-meta", "yes"));
	raw_send(raw);
	metadata = minirpc_call_headers(raw->pair->served[0].call);
	ck_assert_uint_eq(minirpc_metadata_count(metadata), 3);
	ck_assert_str_eq(minirpc_metadata_at(metadata, 0)->key, "grpc-previous-rpc-attempts");
	ck_assert_str_eq(minirpc_metadata_get(metadata, "user-agent"), "me");
	ck_assert_str_eq(raw->pair->served[0].meta, "yes");
	raw_free(raw);
}
END_TEST

START_TEST(M_5_header_bytes_at_the_limit_are_served_and_one_more_is_refused)
{
	struct minirpc_conn_limits limits = { .max_header_bytes = 1000 };

	for (int over = 0; over <= 1; over++) {
		struct raw *raw = raw_client(&limits);
		char pad[1000];
		size_t fixed = 7 + 4 + 7 + 4 + 5 + 8 + 10 + 4 + 2 + 8 + 12 + 16 + 7 * 32 + 1;

		memset(pad, 'x', sizeof pad);
		pad[1000 - fixed + (size_t)over] = '\0';
		raw_request(raw, 1, 0, "/t/unary", RAW("p", pad));
		raw_message(raw, 1, END_STREAM, "x");
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), over ? "grpc-status: 8\n" : "grpc-status: 0\n");
		ck_assert_int_eq(raw_count(raw, HEADERS, 1), over ? 1 : 2);
		ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->refused_headers, (unsigned)over);
		ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
		raw_free(raw);
	}
}
END_TEST

START_TEST(M_5_the_128th_field_is_served_and_the_129th_is_refused)
{
	for (int over = 0; over <= 1; over++) {
		struct raw *raw = raw_client(NULL);
		const char *more[2 * 123 + 1] = { NULL };

		for (int i = 0; i < 122 + over; i++) {
			more[2 * i] = "a";
			more[2 * i + 1] = "b";
		}
		raw_request(raw, 1, 0, "/t/unary", more);
		raw_message(raw, 1, END_STREAM, "x");
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), over ? "grpc-status: 8\n" : "grpc-status: 0\n");
		raw_free(raw);
	}
}
END_TEST

/* Joined values cost as much as fields of their own: a byte of wire must not become sixty of memory. */
START_TEST(M_5_values_joined_by_commas_count_as_fields)
{
	for (unsigned over = 0; over <= 1; over++) {
		struct raw *raw = raw_client(NULL);
		char joined[124] = { 0 };

		memset(joined, ',', 121 + over); /* as many values as commas, and one more */
		raw_request(raw, 1, 0, "/t/unary", RAW("x-bin", joined));
		raw_message(raw, 1, END_STREAM, "x");
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), over ? "grpc-status: 8\n" : "grpc-status: 0\n");
		ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->refused_headers, over);
		raw_free(raw);
	}
}
END_TEST

START_TEST(C_2_a_compressed_message_without_encoding_is_internal)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/unary", NULL);
	raw_frame(raw, DATA, END_STREAM, 1, "\1\0\0\0\1x", 6);
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
	raw_free(raw);
}
END_TEST

START_TEST(C_3_an_unknown_encoding_is_unimplemented_and_the_known_ones_are_named)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, END_STREAM, "/t/unary", RAW("grpc-encoding", "sdch"));
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 12\n");
	ck_has(raw_find(raw, HEADERS, 1), "grpc-accept-encoding: gzip,deflate\n");
	raw_free(raw);
}
END_TEST

START_TEST(D_1_a_timeout_becomes_the_deadline)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", RAW("grpc-timeout", "50m"));
	raw_send(raw);
	ck_assert_int_eq(minirpc_call_time_left(raw->pair->served[0].call), MS(50));
	raw_free(raw);
}
END_TEST

START_TEST(D_1_a_malformed_timeout_is_400_and_internal)
{
	static const char *const bad[] = { "1", "m", "123456789m", "1x", "-1m", "1 m" };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct raw *raw = raw_client(NULL);

		raw_request(raw, 1, END_STREAM, "/t/unary", RAW("grpc-timeout", bad[i]));
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), ":status: 400\n");
		ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
		raw_free(raw);
	}
}
END_TEST

START_TEST(D_3_a_deadline_over_on_arrival_is_answered_without_a_handler)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, END_STREAM, "/t/unary", RAW("grpc-timeout", "0n"));
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), ":status: 200\n");
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 4\n");
	ck_assert_int_eq(raw->pair->accepted, 0);
	raw_free(raw);
}
END_TEST

START_TEST(D_3_at_the_deadline_the_handler_is_told_and_the_client_answered)
{
	struct raw *raw = raw_client(NULL);
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);

	raw->pair->hold = true;
	raw_request(raw, 1, END_STREAM, "/t/stream", RAW("grpc-timeout", "50m"));
	raw_send(raw);
	ck_assert_int_eq(machine->ops->deadline(machine), raw->pair->now + MS(50));
	pair_advance(raw->pair, MS(49));
	ck_assert_int_eq(raw->pair->served[0].ends, 0);
	pair_advance(raw->pair, MS(1));
	raw_read(raw);
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_DEADLINE_EXCEEDED);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 4\n");
	ck_assert_int_eq(raw_find(raw, HEADERS, 1)->flags & END_STREAM, END_STREAM);
	raw_free(raw);
}
END_TEST

START_TEST(D_3_what_cannot_leave_at_the_deadline_is_reset)
{
	struct raw *raw = raw_client(NULL);
	static uint8_t zeros[100000]; /* more than the client's window */

	raw->pair->hold = true;
	raw_request(raw, 1, END_STREAM, "/t/stream", RAW("grpc-timeout", "50m"));
	raw_send(raw);
	minirpc_call_send(raw->pair->served[0].call, zeros, sizeof zeros);
	raw_send(raw);
	pair_advance(raw->pair, MS(50));
	raw_read(raw);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_DEADLINE_EXCEEDED);
	pair_advance(raw->pair, MINIRPC_S(1));
	raw_read(raw);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_CANCEL);
	raw_free(raw);
}
END_TEST

START_TEST(D_4_a_reset_from_the_client_cancels_the_handler)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_CANCELLED);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 0);
	ck_assert_uint_eq(mrpc_conn_open_calls(raw->conn), 0);
	ck_assert_ptr_eq(raw->conn->streams.next, &raw->conn->streams); /* nothing is kept */
	raw_free(raw);
}
END_TEST

START_TEST(S_7_a_message_at_the_limit_is_served_and_one_byte_more_is_refused)
{
	for (uint32_t over = 0; over <= 1; over++) {
		struct raw *raw = raw_client(NULL);
		uint8_t prefix[5];
		static uint8_t zeros[16384];
		size_t left;

		raw->conn->call_config.max_receive_message = 100000;
		raw_request(raw, 1, 0, "/t/unary", NULL);
		mrpc_frame_prefix(prefix, false, 100000 + over);
		raw_frame(raw, DATA, 0, 1, prefix, 5);
		for (left = over ? 0 : 100000; left > 0;) {
			size_t n = left < sizeof zeros ? left : sizeof zeros;

			left -= n;
			raw_frame(raw, DATA, left == 0 ? END_STREAM : 0, 1, zeros, n);
		}
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), over ? "grpc-status: 8\n" : "grpc-status: 0\n");
		ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->refused_messages, over);
		raw_free(raw);
	}
}
END_TEST

START_TEST(S_8_details_travel_as_unpadded_base64)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, END_STREAM, "/t/stream", NULL);
	raw_send(raw);
	minirpc_call_end(raw->pair->served[0].call,
			 &(struct minirpc_status){ .code = MINIRPC_ABORTED,
						   .message = "m",
						   .details = "\x08\x0a\x12\x01",
						   .details_len = 4 });
	raw->pair->served[0].call = NULL;
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status-details-bin: CAoSAQ\n");
	raw_free(raw);
}
END_TEST

START_TEST(a_failure_in_mid_answer_is_told_by_trailers)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	minirpc_call_send(raw->pair->served[0].call, "one", 3);
	raw_send(raw);
	raw_frame(raw, DATA, 0, 1, "\7\0\0\0\0", 5);
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, HEADERS, 1), 2);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
	ck_has_not(raw_find(raw, HEADERS, 1), ":status");
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 1)->code, NGHTTP2_NO_ERROR);
	raw_free(raw);
}
END_TEST

START_TEST(data_for_a_finished_stream_does_not_eat_the_connections_window)
{
	struct minirpc_conn_limits limits = { .conn_window = 65535 };
	struct raw *raw = raw_client(&limits);
	static uint8_t zeros[16000];

	raw_request(raw, 1, 0, "/t", NULL); /* refused, and reset */
	raw_send(raw);
	for (int i = 0; i < 40; i++) {
		raw_frame(raw, DATA, 0, 1, zeros, sizeof zeros);
		raw_send(raw);
	}
	ck_assert_int_ge(raw_count(raw, WINDOW_UPDATE, 0), 8);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	raw_free(raw);
}
END_TEST

START_TEST(small_messages_share_a_frame)
{
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, END_STREAM, "/t/stream", NULL);
	raw_send(raw);
	for (int i = 0; i < 100; i++)
		minirpc_call_send(raw->pair->served[0].call, "0123456789", 10);
	minirpc_call_end(raw->pair->served[0].call, NULL);
	raw->pair->served[0].call = NULL;
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, DATA, 1), 1);
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, 1500);
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->messages_sent, 100);
	raw_free(raw);
}
END_TEST

START_TEST(streams_over_the_limit_are_refused_until_the_settings_are_known)
{
	struct minirpc_conn_limits limits = { .max_streams = 3 };
	struct raw *raw = raw_client_silent(&limits);

	raw->pair->hold = true;
	raw_preface(raw); /* no ack */
	for (uint32_t id = 1; id <= 7; id += 2)
		raw_request(raw, id, 0, "/t/stream", NULL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->accepted, 3);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 7)->code, NGHTTP2_REFUSED_STREAM);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	raw_free(raw);
}
END_TEST

START_TEST(handlers_count_until_they_end)
{
	struct minirpc_conn_limits limits = { .max_streams = 3 };
	struct raw *raw = raw_client(&limits);

	raw->pair->hold = raw->pair->forget = true;
	for (uint32_t id = 1; id <= 5; id += 2) {
		raw_request(raw, id, 0, "/t/stream", NULL);
		raw_send(raw);
		raw_reset(raw, id, NGHTTP2_CANCEL);
		raw_send(raw);
	}
	ck_assert_int_eq(raw->pair->served[2].ends, 1);
	raw_request(raw, 7, 0, "/t/stream", NULL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->accepted, 3);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 7)->code, NGHTTP2_REFUSED_STREAM);
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->refused_streams, 1);

	minirpc_call_end(raw->pair->served[1].call, NULL);
	raw->pair->served[1].call = NULL;
	raw_request(raw, 9, 0, "/t/stream", NULL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->accepted, 4);
	ck_assert_ptr_null(raw_find(raw, RST_STREAM, 9));
	raw_free(raw);
}
END_TEST

START_TEST(calls_that_lingered_are_let_go_as_others_come)
{
	struct raw *raw = raw_client(NULL);
	uint32_t id = 1;

	raw->pair->hold = raw->pair->forget = true;
	for (; id < 60; id += 2) {
		raw_request(raw, id, 0, "/t/stream", NULL);
		raw_send(raw);
		raw_reset(raw, id, NGHTTP2_CANCEL);
		raw_send(raw);
	}
	for (int i = 1; i < 30; i++) { /* all but the first */
		minirpc_call_end(raw->pair->served[i].call, NULL);
		raw->pair->served[i].call = NULL;
	}
	for (; id < 100; id += 2) {
		raw_request(raw, id, 0, "/t/stream", NULL);
		raw_send(raw);
	}
	ck_assert_uint_eq(raw->conn->lingerers, 1);
	raw_free(raw);
}
END_TEST

START_TEST(handlers_over_their_deadline_count_too)
{
	struct minirpc_conn_limits limits = { .max_streams = 2 };
	struct raw *raw = raw_client(&limits);

	raw->pair->hold = raw->pair->forget = true;
	raw_request(raw, 1, 0, "/t/stream", RAW("grpc-timeout", "1m"));
	raw_request(raw, 3, 0, "/t/stream", RAW("grpc-timeout", "1m"));
	raw_send(raw);
	pair_advance(raw->pair, MS(1));
	raw_read(raw);
	ck_assert_int_eq(raw->pair->served[1].code, MINIRPC_DEADLINE_EXCEEDED);
	raw_request(raw, 5, 0, "/t/stream", NULL);
	raw_send(raw);
	ck_assert_int_eq(raw_find(raw, RST_STREAM, 5)->code, NGHTTP2_REFUSED_STREAM);
	raw_free(raw);
}
END_TEST

/* Nobody else knows of it: it must not wait for a turn that may never come. */
START_TEST(a_call_that_no_handler_has_seen_goes_with_its_connection)
{
	for (int reset = 0; reset <= 1; reset++) {
		struct raw *raw = raw_client(NULL);
		struct pair *pair = raw->pair;

		raw_request(raw, 1, 0, "/t/unary", NULL);
		if (reset)
			raw_reset(raw, 1, NGHTTP2_CANCEL);
		mrpc_conn_machine(raw->conn)->ops->receive(mrpc_conn_machine(raw->conn),
							   mrpc_buf_bytes(&raw->out),
							   mrpc_buf_len(&raw->out), pair->now);
		mrpc_conn_free(pair->server);
		pair->server = raw->conn = NULL;
		mrpc_task_sleep(&raw->wire->flush);
		mrpc_task_sleep(&pair->server_owner);
		ck_assert(mrpc_turn_is_idle(&pair->turn));
		ck_assert_int_eq(pair->accepted, 0);
		raw_free(raw);
	}
}
END_TEST

START_TEST(a_reset_comes_through_whatever_waits_before_it)
{
	static const uint8_t empty_messages[5 * 1100];
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	minirpc_call_pause(raw->pair->served[0].call);
	raw_frame(raw, DATA, END_STREAM, 1, empty_messages, sizeof empty_messages);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->served[0].messages, 0);
	raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_CANCELLED);
	raw_free(raw);
}
END_TEST

/* As when a handler cancels, takes in the peer's reset and frees the connection, all in one event. */
START_TEST(a_call_may_outlive_its_connection_by_a_reference)
{
	struct raw *raw = raw_client(NULL);
	minirpc_call *call;

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", RAW("grpc-timeout", "1S"));
	raw_send(raw);
	call = mrpc_call_ref(raw->pair->served[0].call);
	raw->pair->served[0].call = NULL;
	minirpc_call_cancel(call);
	raw_reset(raw, 1, NGHTTP2_CANCEL);
	raw_send(raw);
	mrpc_conn_free(raw->pair->server);
	raw->pair->server = raw->conn = NULL;
	mrpc_call_unref(call);
	raw_free(raw);
}
END_TEST

START_TEST(a_reset_and_a_new_request_in_one_read_are_fine)
{
	struct minirpc_conn_limits limits = { .max_streams = 2 };
	struct raw *raw = raw_client(&limits);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_request(raw, 3, 0, "/t/stream", NULL);
	raw_send(raw);
	for (uint32_t id = 5; id < 100; id += 2) {
		raw_reset(raw, id - 4, NGHTTP2_CANCEL);
		raw_request(raw, id, 0, "/t/stream", NULL);
		raw_send(raw);
	}
	ck_assert_int_eq(raw_count(raw, RST_STREAM, ANY), 0);
	ck_assert_int_eq(raw->pair->accepted, 50);
	raw_free(raw);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/request");
	TCase *t = tcase_create("request");

	tcase_add_test(t, W_17_an_answer_is_headers_data_trailers);
	tcase_add_test(t, an_answer_leaves_with_one_write);
	tcase_add_test(t, W_3_a_missing_te_is_tolerated_and_counted);
	tcase_add_test(t, W_4_content_types);
	tcase_add_test(t, W_9_a_subtype_has_at_most_122_characters);
	tcase_add_test(t, W_5_what_is_not_grpc_gets_a_bare_415);
	tcase_add_test(t, W_6_other_methods_get_405);
	tcase_add_test(t, W_7_two_authorities_cost_the_stream);
	tcase_add_test(t, W_7_host_stands_in_for_authority);
	tcase_add_test(t, W_7_authority_goes_before_host);
	tcase_add_test(t, userinfo_in_the_authority_is_refused);
	tcase_add_test(t, W_8_a_path_without_method_is_unimplemented);
	tcase_add_test(t, W_10_request_trailers_are_ignored_and_end_the_request);
	tcase_add_test(t, W_10_messages_and_frames_do_not_align);
	tcase_add_test(t, W_13_a_flag_other_than_0_and_1_is_internal);
	tcase_add_test(t, W_14_a_truncated_request_is_internal);
	tcase_add_test(t, W_14_an_empty_message_is_a_message);
	tcase_add_test(t, W_18_an_early_failure_is_one_block);
	tcase_add_test(t, W_18_headers_can_go_first);
	tcase_add_test(t, W_22_an_answer_before_the_requests_end_resets_with_no_error);
	tcase_add_test(t, M_2_binary_metadata_is_decoded);
	tcase_add_test(t, M_2_broken_base64_is_400_and_internal);
	tcase_add_test(t, M_4_reserved_names_are_hidden);
	tcase_add_test(t, M_5_header_bytes_at_the_limit_are_served_and_one_more_is_refused);
	tcase_add_test(t, M_5_the_128th_field_is_served_and_the_129th_is_refused);
	tcase_add_test(t, M_5_values_joined_by_commas_count_as_fields);
	tcase_add_test(t, C_2_a_compressed_message_without_encoding_is_internal);
	tcase_add_test(t, C_3_an_unknown_encoding_is_unimplemented_and_the_known_ones_are_named);
	tcase_add_test(t, D_1_a_timeout_becomes_the_deadline);
	tcase_add_test(t, D_1_a_malformed_timeout_is_400_and_internal);
	tcase_add_test(t, D_3_a_deadline_over_on_arrival_is_answered_without_a_handler);
	tcase_add_test(t, D_3_at_the_deadline_the_handler_is_told_and_the_client_answered);
	tcase_add_test(t, D_3_what_cannot_leave_at_the_deadline_is_reset);
	tcase_add_test(t, D_4_a_reset_from_the_client_cancels_the_handler);
	tcase_add_test(t, S_7_a_message_at_the_limit_is_served_and_one_byte_more_is_refused);
	tcase_add_test(t, S_8_details_travel_as_unpadded_base64);
	tcase_add_test(t, a_failure_in_mid_answer_is_told_by_trailers);
	tcase_add_test(t, data_for_a_finished_stream_does_not_eat_the_connections_window);
	tcase_add_test(t, small_messages_share_a_frame);
	tcase_add_test(t, streams_over_the_limit_are_refused_until_the_settings_are_known);
	tcase_add_test(t, handlers_count_until_they_end);
	tcase_add_test(t, calls_that_lingered_are_let_go_as_others_come);
	tcase_add_test(t, handlers_over_their_deadline_count_too);
	tcase_add_test(t, a_call_that_no_handler_has_seen_goes_with_its_connection);
	tcase_add_test(t, a_reset_comes_through_whatever_waits_before_it);
	tcase_add_test(t, a_call_may_outlive_its_connection_by_a_reference);
	tcase_add_test(t, a_reset_and_a_new_request_in_one_read_are_fine);
	suite_add_tcase(s, t);
	return s;
}

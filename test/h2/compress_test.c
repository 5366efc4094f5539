/* SPDX-License-Identifier: MIT */
/* Compression between a client and a server, and against ends that are played by hand. */
#include "raw.h"
#include "run_suite.h"

#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GZIP minirpc_compressor_gzip()
#define DEFLATE minirpc_compressor_deflate()

static const char text[] = "compress me compress me compress me compress me compress me";
#define LEN (sizeof text - 1)

static void ck_ended(const struct probe *probe, enum minirpc_code code)
{
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_msg(probe->code == code, "%s: %s", minirpc_code_name(probe->code), probe->text);
}

/* A message with its prefix, compressed; to be freed. */
static uint8_t *framed(const struct minirpc_compressor *compressor, const void *data, size_t len,
		       size_t *ret_len)
{
	struct mrpc_part *part;
	uint8_t *bytes;

	ck_assert_int_eq(mrpc_part_compress(&part, compressor, NULL, data, len), 0);
	*ret_len = MRPC_PREFIX + part->len;
	bytes = malloc(*ret_len);
	mrpc_frame_prefix(bytes, true, (uint32_t)part->len);
	memcpy(bytes + MRPC_PREFIX, mrpc_part_data(part), part->len);
	mrpc_part_free(part);
	return bytes;
}

static void raw_compressed(struct raw *raw, int flags, const void *data, size_t len)
{
	size_t framed_len;
	uint8_t *bytes = framed(GZIP, data, len, &framed_len);

	raw_frame(raw, DATA, flags, 1, bytes, framed_len);
	free(bytes);
}

/* ---- C-1 ---- */

START_TEST(C_1_messages_go_compressed_both_ways)
{
	const struct minirpc_compressor *const both[] = { GZIP, DEFLATE };

	for (int i = 0; i < 2; i++) {
		struct pair *pair = pair_new();
		struct probe *probe;

		pair->hold = true;
		pair->call_config.compression = both[i];
		probe = pair_unary(pair, text);
		pair_settle(pair);
		ck_assert_str_eq(pair->served[0].last, text);
		ck_assert_int_eq(pair->served[0].compressed, 1);
		ck_assert_str_eq(minirpc_call_peer_compression(pair->served[0].call),
				 both[i]->name);
		ck_assert_int_eq(minirpc_call_set_compression(pair->served[0].call, both[i]->name),
				 0);
		ck_assert_int_eq(minirpc_call_send(pair->served[0].call, text, LEN), 0);
		pair_settle(pair);
		ck_assert_str_eq(minirpc_call_peer_compression(probe->call), both[i]->name);
		minirpc_call_end(pair->served[0].call, NULL);
		pair->served[0].call = NULL;
		pair_settle(pair);
		ck_ended(probe, MINIRPC_OK);
		ck_assert_str_eq(probe->last, text);
		ck_assert_int_eq(probe->compressed, 1);
		pair_free(pair);
	}
}
END_TEST

START_TEST(C_1_each_message_stands_alone)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe;
	size_t len;
	uint8_t *bytes = framed(GZIP, text, LEN, &len);

	raw->pair->call_config.compression = GZIP;
	probe = pair_call(raw->pair, "/t/stream", STREAMS, 0);
	minirpc_call_send(probe->call, text, LEN);
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "content-type: application/grpc\n"
					  "grpc-encoding: gzip\n"
					  "grpc-accept-encoding: gzip,deflate\n"); /* W-1 */
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, len);
		ck_assert_mem_eq(raw_find(raw, DATA, 1)->bytes, bytes, len < 64 ? len : 64);
		ck_assert_int_eq(raw_count(raw, DATA, 1), i + 1);
		minirpc_call_send(probe->call, text,
				  LEN); /* the same bytes, as if it were the first */
		raw_send(raw);
	}
	free(bytes);
	raw_free(raw);
}
END_TEST

START_TEST(an_empty_message_is_not_compressed)
{
	struct raw *raw = raw_server(NULL);

	raw->pair->call_config.compression = GZIP;
	pair_unary(raw->pair, "");
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-encoding: gzip\n");
	ck_assert_uint_eq(raw_find(raw, DATA, 1)->len, 5);
	ck_assert_mem_eq(raw_find(raw, DATA, 1)->bytes, "\0\0\0\0\0", 5);
	raw_free(raw);
}
END_TEST

/* ---- C-2 ---- */

START_TEST(C_2_flag_1_needs_an_encoding)
{
	for (int identity = 0; identity <= 1; identity++) {
		struct raw *raw = raw_client(NULL);

		raw_request(raw, 1, 0, "/t/unary",
			    identity ? RAW("grpc-encoding", "identity") : NULL);
		raw_compressed(raw, END_STREAM, text, LEN);
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
		raw_free(raw);
	}
}
END_TEST

START_TEST(C_2_flag_1_in_an_answer_needs_an_encoding)
{
	for (int identity = 0; identity <= 1; identity++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe = pair_unary(raw->pair, "ask");

		raw_send(raw);
		raw_headers(raw, 1, 0,
			    RAW(":status", "200", "content-type", "application/grpc",
				identity ? "grpc-encoding" : "x-a", "identity"));
		raw_compressed(raw, 0, text, LEN);
		raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0"));
		raw_send(raw);
		ck_ended(probe, MINIRPC_INTERNAL);
		raw_free(raw);
	}
}
END_TEST

START_TEST(C_2_flag_0_is_always_allowed)
{
	struct raw *raw = raw_client(NULL);

	raw_request(raw, 1, 0, "/t/stream", RAW("grpc-encoding", "gzip"));
	raw_message(raw, 1, 0, "plain");
	raw_compressed(raw, 0, text, LEN);
	raw_message(raw, 1, END_STREAM, "plain");
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
	ck_assert_int_eq(raw->pair->served[0].messages, 3);
	ck_assert_int_eq(raw->pair->served[0].compressed, 1);
	ck_assert_uint_eq(raw->pair->served[0].bytes, 5 + LEN + 5);
	raw_free(raw);
}
END_TEST

/* ---- C-3 ---- */

START_TEST(C_3_a_corrupt_request_is_internal)
{
	static const char *const corrupt[] = { "\1\0\0\0\0", "\1\0\0\0\3abc" };

	for (int i = 0; i < 4; i++) {
		struct raw *raw = raw_client(NULL);
		bool stream = i >= 2;

		raw_request(raw, 1, 0, stream ? "/t/stream" : "/t/unary",
			    RAW("grpc-encoding", "gzip"));
		if (stream)
			raw_compressed(raw, 0, text, LEN);
		raw_frame(raw, DATA, stream ? 0 : END_STREAM, 1, corrupt[i % 2],
			  i % 2 == 0 ? 5 : 8);
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 13\n");
		ck_has(raw_find(raw, HEADERS, 1), "grpc-message: malformed compressed message\n");
		ck_assert_int_eq(raw->pair->served[0].messages, stream);
		ck_ended(&raw->pair->served[0], MINIRPC_INTERNAL);

		raw_request(raw, 3, 0, "/t/unary",
			    RAW("grpc-encoding", "gzip")); /* it cost its call */
		raw_message(raw, 3, END_STREAM, "ask");
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 3), "grpc-status: 0\n");
		raw_free(raw);
	}
}
END_TEST

START_TEST(C_3_a_corrupt_answer_is_internal)
{
	for (int status = 0; status <= 1; status++) {
		struct raw *raw = raw_server(NULL);
		struct probe *unary = pair_unary(raw->pair, "ask");
		struct probe *stream = pair_call(raw->pair, "/t/stream", STREAMS, 0);

		raw_send(raw);
		for (uint32_t id = 1; id <= 3; id += 2) {
			raw_headers(raw, id, 0,
				    RAW(":status", "200", "content-type", "application/grpc",
					"grpc-encoding", "gzip"));
			raw_frame(raw, DATA, 0, id, "\1\0\0\0\3abc", 8);
			if (id == 1 || status == 1)
				raw_headers(raw, id, END_STREAM,
					    RAW("grpc-status", "0", "x-trailer", "no"));
		}
		raw_send(raw);
		ck_ended(unary, MINIRPC_INTERNAL);
		ck_ended(stream, MINIRPC_INTERNAL);
		ck_assert_int_eq(unary->messages + stream->messages, 0);
		ck_assert_str_eq(unary->trailer, "");
		if (status == 0)
			ck_assert_uint_eq(raw_find(raw, RST_STREAM, 3)->code, NGHTTP2_CANCEL);
		raw_free(raw);
	}
}
END_TEST

START_TEST(an_error_of_the_server_goes_before_a_corrupt_response)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_unary(raw->pair, "ask");

	raw_send(raw);
	raw_headers(
		raw, 1, 0,
		RAW(":status", "200", "content-type", "application/grpc", "grpc-encoding", "gzip"));
	raw_frame(raw, DATA, 0, 1, "\1\0\0\0\3abc", 8);
	raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "5"));
	raw_send(raw);
	ck_ended(probe, MINIRPC_NOT_FOUND);
	raw_free(raw);
}
END_TEST

/* ---- C-4 ---- */

START_TEST(C_4_the_answer_is_compressed_only_as_the_client_accepts)
{
	static const struct {
		const char *accept, *and_accept, *want;
		int result;
	} cases[] = {
		{ "identity,gzip,deflate", NULL, "gzip", 0 },
		{ "identity, deflate, gzip", NULL, "deflate", 0 },
		{ "identity,deflate", NULL, "gzip", -ENOTSUP },
		{ "identity", NULL, "gzip", -ENOTSUP },
		{ NULL, NULL, "gzip", -ENOTSUP },
		{ "deflate", "gzip", "gzip", 0 },
		{ "deflate", "gzip", "deflate", 0 },
		{ "gzip", NULL, "sdch", -EINVAL },
		{ "sdch", NULL, "sdch", -EINVAL },
		{ "gzip", NULL, "identity", 0 },
		{ "gzip", NULL, NULL, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw *raw = raw_client(NULL);
		minirpc_call *call;
		const char *want = cases[i].want;
		bool compressed =
			cases[i].result == 0 && want != NULL && strcmp(want, "identity") != 0;
		char line[64];

		raw->pair->hold = true;
		raw_request(raw, 1, END_STREAM, "/t/stream",
			    RAW(cases[i].accept == NULL ? NULL : "grpc-accept-encoding",
				cases[i].accept,
				cases[i].and_accept == NULL ? NULL : "grpc-accept-encoding",
				cases[i].and_accept));
		raw_send(raw);
		call = raw->pair->served[0].call;
		ck_assert_int_eq(minirpc_call_set_compression(call, want), cases[i].result);
		ck_assert_int_eq(minirpc_call_send(call, text, LEN), 0);
		ck_assert_int_eq(minirpc_call_set_compression(call, "gzip"), -EPIPE); /* too late */
		raw_send(raw);
		snprintf(line, sizeof line, "grpc-encoding: %s\n", want == NULL ? "" : want);
		if (compressed)
			ck_has(raw_find(raw, HEADERS, 1), line);
		else
			ck_has_not(raw_find(raw, HEADERS, 1), "grpc-encoding");
		ck_assert_int_eq(raw_find(raw, DATA, 1)->bytes[0], compressed);
		raw_free(raw);
	}
}
END_TEST

START_TEST(C_4_each_call_says_what_it_accepts)
{
	static const char *const accepts[] = {
		"gzip",
		"deflate",
		"gzip",
		NULL,
		"gzip",
		"gzip",
		"identity,a,long,list,of,things,that,nobody,has,gzip",
		"identity,a,long,list,of,things,that,nobody,has",
		"gzip",
		"gzi",
	};
	struct raw *raw = raw_client(NULL);

	raw->pair->hold = true;
	for (uint32_t i = 0; i < sizeof accepts / sizeof *accepts; i++) {
		const char *list = accepts[i] == NULL ? "" : accepts[i];
		size_t len = strlen(list);
		bool has = len >= 4 && strcmp(list + len - 4, "gzip") == 0;

		raw_request(raw, 2 * i + 1, END_STREAM, "/t/stream",
			    RAW(accepts[i] == NULL ? NULL : "grpc-accept-encoding", list));
		raw_send(raw);
		ck_assert_int_eq(minirpc_call_set_compression(raw->pair->served[i].call, "gzip"),
				 has ? 0 : -ENOTSUP);
	}
	raw_free(raw);
}
END_TEST

START_TEST(C_4_a_servers_own_choice_is_for_those_who_accept_it)
{
	static const char *const accepts[] = { "deflate", "deflate,gzip" };

	for (int i = 0; i < 2; i++) {
		struct raw *raw = raw_client(NULL);

		raw->conn->call_config.compression = GZIP;
		raw_request(raw, 1, 0, "/t/unary", RAW("grpc-accept-encoding", accepts[i]));
		raw_message(raw, 1, END_STREAM, text);
		raw_send(raw);
		ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 0\n");
		ck_assert_int_eq(raw_find(raw, DATA, 1)->bytes[0], i);
		raw_free(raw);
	}
}
END_TEST

START_TEST(C_4_whoever_compresses_is_told_what_we_accept)
{
	for (int fails = 0; fails <= 1; fails++) {
		struct raw *raw = raw_client(NULL);

		raw->pair->hold = true;
		raw_request(raw, 1, 0, "/t/stream", RAW("grpc-encoding", "deflate"));
		raw_request(raw, 3, 0, "/t/stream", NULL);
		raw_send(raw);
		for (int i = 0; i < 2; i++) {
			if (!fails)
				minirpc_call_send_headers(raw->pair->served[i].call, NULL);
			minirpc_call_fail(raw->pair->served[i].call, MINIRPC_ABORTED, "no");
			raw->pair->served[i].call = NULL;
		}
		raw_send(raw);
		for (int i = 0; i < raw->seen_count; i++) {
			const struct seen *seen = &raw->seen[i];

			if (seen->type != HEADERS || strstr(seen->headers, ":status") == NULL)
				continue;
			if (seen->id == 1)
				ck_has(seen, "grpc-accept-encoding: gzip,deflate\n");
			else
				ck_has_not(seen, "grpc-accept-encoding");
		}
		raw_free(raw);
	}
}
END_TEST

/* ---- C-5 ---- */

START_TEST(C_5_turned_off_it_is_off_for_the_next_message)
{
	struct pair *pair = pair_new();
	struct probe *probe;
	minirpc_call *call;

	pair->hold = true;
	pair->call_config.compression = GZIP;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	call = pair->served[0].call;
	ck_assert_int_eq(minirpc_call_set_compression(call, "deflate"), 0);
	for (int i = 0; i < 4; i++) { /* compressed, plain, plain, compressed */
		bool on = i == 0 || i == 3;

		if (i == 1 || i == 3) {
			minirpc_call_compress(probe->call, on);
			minirpc_call_compress(call, on);
		}
		ck_assert_int_eq(minirpc_call_send(probe->call, text, LEN), 0);
		ck_assert_int_eq(minirpc_call_send(call, text, LEN), 0);
		ck_assert_int_eq(call->out.tail->compressed, on);
		ck_assert_int_eq(probe->call->out.tail->compressed, on);
		if (!on)
			ck_assert_mem_eq(mrpc_part_data(call->out.tail), text, LEN);
	}
	pair_settle(pair);
	ck_assert_int_eq(probe->messages, 4);
	ck_assert_int_eq(probe->compressed, 2);
	ck_assert_int_eq(pair->served[0].messages, 4);
	ck_assert_int_eq(pair->served[0].compressed, 2);
	pair_free(pair);
}
END_TEST

START_TEST(C_5_turned_on_without_a_compression_nothing_is_compressed)
{
	struct pair *pair = pair_new();
	struct probe *probe = pair_call(pair, "/t/unary", 0, 0);

	minirpc_call_compress(probe->call, true);
	minirpc_call_send(probe->call, text, LEN);
	minirpc_call_end(probe->call, NULL);
	pair_settle(pair);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_int_eq(pair->served[0].compressed, 0);
	pair_free(pair);
}
END_TEST

START_TEST(C_5_the_answers_encoding_does_not_depend_on_the_requests)
{
	struct pair *pair = pair_new();
	struct probe *probe;

	pair->call_config.compression = GZIP;
	probe = pair_unary(pair, text); /* compressed; the answer is not */
	pair_settle(pair);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_int_eq(pair->served[0].compressed, 1);
	ck_assert_int_eq(probe->compressed, 0);

	pair->call_config.compression = NULL;
	pair->server->call_config.compression = DEFLATE;
	probe = pair_unary(pair, text); /* the other way round */
	pair_settle(pair);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_int_eq(pair->served[1].compressed, 0);
	ck_assert_int_eq(probe->compressed, 1);
	pair_free(pair);
}
END_TEST

START_TEST(only_a_server_chooses_after_the_call_has_begun)
{
	struct pair *pair = pair_new();
	struct probe *probe = pair_call(pair, "/t/stream", STREAMS, 0);

	ck_assert_int_eq(minirpc_call_set_compression(probe->call, "gzip"), -EPIPE);
	ck_assert_str_eq(minirpc_call_peer_compression(probe->call), "identity");
	pair_free(pair);
}
END_TEST

/* ---- S-7 ---- */

START_TEST(S_7_the_limit_is_for_the_inflated_request_too)
{
	uint8_t *data = calloc(1, 100001);

	for (size_t over = 0; over <= 1; over++) {
		for (int stream = 0; stream <= 1; stream++) {
			struct raw *raw = raw_client(NULL);

			raw->conn->call_config.max_receive_message = 100000;
			raw_request(raw, 1, 0, stream ? "/t/stream" : "/t/unary",
				    RAW("grpc-encoding", "gzip"));
			raw_compressed(raw, END_STREAM, data, 100000 + over);
			raw_send(raw);
			ck_has(raw_find(raw, HEADERS, 1),
			       over ? "grpc-status: 8\n" : "grpc-status: 0\n");
			ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->refused_messages, over);
			ck_assert_uint_eq(raw->pair->served[0].bytes, over ? 0 : 100000);
			raw_free(raw);
		}
	}
	free(data);
}
END_TEST

START_TEST(S_7_the_limit_is_for_the_inflated_answer_too)
{
	uint8_t *data = calloc(1, 100001);

	for (size_t over = 0; over <= 1; over++) {
		struct raw *raw = raw_server(NULL);
		struct probe *probe;

		raw->pair->call_config.max_receive_message = 100000;
		probe = pair_unary(raw->pair, "ask");
		raw_send(raw);
		raw_headers(raw, 1, 0,
			    RAW(":status", "200", "content-type", "application/grpc",
				"grpc-encoding", "gzip"));
		raw_compressed(raw, 0, data, 100000 + over);
		raw_headers(raw, 1, END_STREAM, RAW("grpc-status", "0"));
		raw_send(raw);
		ck_ended(probe, over ? MINIRPC_RESOURCE_EXHAUSTED : MINIRPC_OK);
		ck_assert_uint_eq(probe->bytes, over ? 0 : 100000);
		raw_free(raw);
	}
	free(data);
}
END_TEST

/* ---- Memory and credit ---- */

/* A hundred messages of 4 MiB, 4 KiB each on the wire, for a reader that does not read: they cost what
 * arrived, and one of them when it is read. */
START_TEST(messages_that_wait_stay_compressed)
{
	const size_t size = 4u << 20;
	uint8_t *data = calloc(1, size);
	struct raw *raw = raw_client(NULL);
	size_t before, len;
	uint8_t *bytes = framed(GZIP, data, size, &len);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", RAW("grpc-encoding", "gzip"));
	raw_send(raw);
	minirpc_call_pause(raw->pair->served[0].call);
	before = alloc_live_bytes();
	alloc_reset_peak();
	for (int i = 0; i < 100; i++)
		raw_frame(raw, DATA, 0, 1, bytes, len);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->served[0].messages, 0);
	ck_assert_uint_le(alloc_peak_bytes() - before, 4 * 100 * len);

	minirpc_call_resume(raw->pair->served[0].call);
	pair_settle(raw->pair);
	ck_assert_int_eq(raw->pair->served[0].messages, 100);
	ck_assert_uint_eq(raw->pair->served[0].bytes, 100 * size);
	ck_assert_uint_le(alloc_peak_bytes() - before, 4 * 100 * len + size * 3 / 2 + (1u << 20));
	free(bytes);
	free(data);
	raw_free(raw);
}
END_TEST

START_TEST(a_bomb_costs_its_call)
{
	const size_t size = 256u << 20;
	uint8_t *data = calloc(1, size);
	struct raw *raw = raw_client(NULL);
	size_t before, len, at, n;
	uint8_t *bytes = framed(GZIP, data, size, &len);

	free(data);
	raw_request(raw, 1, 0, "/t/unary", RAW("grpc-encoding", "gzip"));
	raw_send(raw);
	before = alloc_live_bytes();
	alloc_reset_peak();
	for (at = 0; at < len; at += n) {
		n = len - at < 16384 ? len - at : 16384;
		raw_frame(raw, DATA, at + n == len ? END_STREAM : 0, 1, bytes + at, n);
	}
	raw_send(raw);
	ck_has(raw_find(raw, HEADERS, 1), "grpc-status: 8\n");
	ck_assert_uint_le(alloc_peak_bytes() - before, 4 * len + (6u << 20) + (1u << 20));
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->refused_messages, 1);
	free(bytes);
	raw_free(raw);
}
END_TEST

START_TEST(many_compressed_megabytes_pass_without_a_leak_of_credit)
{
	struct minirpc_conn_limits small = { .stream_window = 65536, .conn_window = 65535 };
	struct pair *pair = pair_new_with(&small, &small);
	struct probe *probe;
	static uint8_t data[40000];
	uint32_t noise = 1;
	int sent = 0;

	for (size_t i = 0; i < sizeof data; i++) {
		noise = noise * 1664525 + 1013904223;
		data[i] = (uint8_t)(noise >> 24);
	}
	pair->hold = true;
	pair->server->call_config.compression = GZIP;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	while (sent <
	       500) { /* noise does not shrink; and now and then one that is not compressed */
		size_t len = (size_t)sent * 7919 % sizeof data;

		minirpc_call_compress(pair->served[0].call, sent % 5 != 0);
		if (minirpc_call_send(pair->served[0].call, data, len) == 0)
			sent++;
		else
			pair_settle(pair);
	}
	minirpc_call_end(pair->served[0].call, NULL);
	pair->served[0].call = NULL;
	pair_settle(pair);
	ck_assert_int_eq(probe->messages, 500);
	ck_assert_int_eq(probe->compressed, 400);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	pair_free(pair);
}
END_TEST

START_TEST(what_compressed_messages_weigh_in_the_queue_is_what_is_left_of_them)
{
	struct pair *pair = pair_new();
	uint8_t *data = calloc(1, 1 << 20);
	struct probe *probe;

	pair->call_config.compression = GZIP;
	probe = pair_call(pair, "/t/stream", STREAMS, 0);
	for (int i = 0; i < 10; i++) /* each about 1 KiB: all fit into 64 KiB */
		ck_assert_int_eq(minirpc_call_send(probe->call, data, 1 << 20), 0);
	probe->call->max_send_message = (1 << 20) - 1; /* but this limit sees what was given */
	ck_assert_int_eq(minirpc_call_send(probe->call, data, 1 << 20), -EMSGSIZE);
	pair_settle(pair);
	ck_assert_uint_eq(pair->served[0].bytes, 10 << 20);
	free(data);
	pair_free(pair);
}
END_TEST

START_TEST(without_memory_a_message_is_not_taken)
{
	struct pair *pair = pair_new();
	struct probe *probe;
	int r;

	pair->call_config.compression = GZIP;
	probe = pair_call(pair, "/t/unary", 0, 0);
	for (size_t fail = 1;; fail++) {
		alloc_fail_at(fail, false);
		r = minirpc_call_send(probe->call, text, LEN);
		if (r == 0)
			break;
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_uint_eq(probe->call->out.messages, 0);
	}
	alloc_fail_at(0, false);
	minirpc_call_end(probe->call, NULL);
	pair_settle(pair);
	ck_ended(probe, MINIRPC_OK);
	ck_assert_str_eq(probe->last, text);
	pair_free(pair);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/compress");
	TCase *t = tcase_create("compress");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, C_1_messages_go_compressed_both_ways);
	tcase_add_test(t, C_1_each_message_stands_alone);
	tcase_add_test(t, an_empty_message_is_not_compressed);
	tcase_add_test(t, C_2_flag_1_needs_an_encoding);
	tcase_add_test(t, C_2_flag_1_in_an_answer_needs_an_encoding);
	tcase_add_test(t, C_2_flag_0_is_always_allowed);
	tcase_add_test(t, C_3_a_corrupt_request_is_internal);
	tcase_add_test(t, C_3_a_corrupt_answer_is_internal);
	tcase_add_test(t, an_error_of_the_server_goes_before_a_corrupt_response);
	tcase_add_test(t, C_4_the_answer_is_compressed_only_as_the_client_accepts);
	tcase_add_test(t, C_4_each_call_says_what_it_accepts);
	tcase_add_test(t, C_4_a_servers_own_choice_is_for_those_who_accept_it);
	tcase_add_test(t, C_4_whoever_compresses_is_told_what_we_accept);
	tcase_add_test(t, C_5_turned_off_it_is_off_for_the_next_message);
	tcase_add_test(t, C_5_turned_on_without_a_compression_nothing_is_compressed);
	tcase_add_test(t, C_5_the_answers_encoding_does_not_depend_on_the_requests);
	tcase_add_test(t, only_a_server_chooses_after_the_call_has_begun);
	tcase_add_test(t, S_7_the_limit_is_for_the_inflated_request_too);
	tcase_add_test(t, S_7_the_limit_is_for_the_inflated_answer_too);
	tcase_add_test(t, messages_that_wait_stay_compressed);
	tcase_add_test(t, a_bomb_costs_its_call);
	tcase_add_test(t, many_compressed_megabytes_pass_without_a_leak_of_credit);
	tcase_add_test(t, what_compressed_messages_weigh_in_the_queue_is_what_is_left_of_them);
	tcase_add_test(t, without_memory_a_message_is_not_taken);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Compression, message by message [C-1 to C-5]. A probe goes first: a message that is not compressed
 * where the request says that it was must be refused, or the server does not look. */
#include "cases.h"

static const struct minirpc_call_options with_gzip = { .compression = "gzip" };

static Grpc__Testing__BoolValue yes = { GRPC__TESTING__BOOL_VALUE__FIELDS, .value = true };
static Grpc__Testing__BoolValue no = { GRPC__TESTING__BOOL_VALUE__FIELDS, .value = false };

/* ---- Requests ---- */

static bool unary_is(struct client *client, bool compress, bool expect, enum minirpc_code code)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload,
						 .expect_compressed = expect ? &yes : &no };
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &unary_call, &with_gzip);
	minirpc_call_compress(talk.call, compress);
	talk_send(&talk, &request.base);
	talk_close(&talk);
	talk_end(&talk);
	ok = ended_with(&talk, code) &&
	     (code != MINIRPC_OK || brought(&talk, (const int[]){ 314159 }, 1));
	talk_clear(&talk);
	return ok;
}

static bool client_compressed_unary(struct client *client)
{
	return unary_is(client, false, true, MINIRPC_INVALID_ARGUMENT) &&
	       unary_is(client, true, true, MINIRPC_OK) &&
	       unary_is(client, false, false, MINIRPC_OK);
}

static void input_send(struct talk *talk, int size, bool compress, bool expect)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(size) };
	Grpc__Testing__StreamingInputCallRequest request = {
		GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__FIELDS,
		.payload = &payload,
		.expect_compressed = expect ? &yes : &no,
	};

	if (talk->call != NULL)
		minirpc_call_compress(talk->call, compress);
	talk_send(talk, &request.base);
}

static bool client_compressed_streaming(struct client *client)
{
	const Grpc__Testing__StreamingInputCallResponse *response;
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &input_call, &with_gzip);
	input_send(&talk, 27182, false, true);
	talk_close(&talk);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_INVALID_ARGUMENT);
	talk_clear(&talk);
	if (!ok)
		return false;

	talk_open(&talk, client, &input_call, &with_gzip);
	input_send(&talk, 27182, true, true);
	input_send(&talk, 45904, false, false);
	talk_close(&talk);
	talk_end(&talk);
	response = (const void *)talk.last;
	ok = ended_with(&talk, MINIRPC_OK) &&
	     (response->aggregated_payload_size == 73086 ||
	      fail_case("the sum is %d, not 73086", response->aggregated_payload_size));
	talk_clear(&talk);
	return ok;
}

/* ---- Responses ---- */

static bool came_as(const struct talk *talk, size_t index, bool compressed)
{
	if (talk->heard[index].compressed != compressed)
		return fail_case("%s: response %zu came %scompressed", talk->method->method.path,
				 index, compressed ? "un" : "");
	return true;
}

static bool response_is(struct client *client, bool compressed)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload,
						 .response_compressed = compressed ? &yes : &no };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, (const int[]){ 314159 }, 1) &&
	     came_as(&talk, 0, compressed);
	talk_clear(&talk);
	return ok;
}

static bool server_compressed_unary(struct client *client)
{
	return response_is(client, true) && response_is(client, false);
}

static bool server_compressed_streaming(struct client *client)
{
	Grpc__Testing__ResponseParameters first = { GRPC__TESTING__RESPONSE_PARAMETERS__FIELDS,
						    .size = 31415, .compressed = &yes };
	Grpc__Testing__ResponseParameters second = { GRPC__TESTING__RESPONSE_PARAMETERS__FIELDS,
						     .size = 92653, .compressed = &no };
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS,
		.response_parameters = (Grpc__Testing__ResponseParameters *[]){ &first, &second },
		.n_response_parameters = 2,
	};
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &output_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, (const int[]){ 31415, 92653 }, 2) &&
	     came_as(&talk, 0, true) && came_as(&talk, 1, false);
	talk_clear(&talk);
	return ok;
}

const struct test_case compressed_cases[] = {
	{ "client_compressed_unary", client_compressed_unary },
	{ "client_compressed_streaming", client_compressed_streaming },
	{ "server_compressed_unary", server_compressed_unary },
	{ "server_compressed_streaming", server_compressed_streaming },
	{ 0 },
};

/* SPDX-License-Identifier: MIT */
#include "cases.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const uint8_t body_zeros[1 << 20];

static const int request_sizes[] = { 27182, 8, 1828, 45904 };
static const int response_sizes[] = { 31415, 9, 2653, 58979 };
#define SIZES 4

bool fail_case(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "interop_client: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	return false;
}

bool ended_with(const struct talk *talk, enum minirpc_code code)
{
	if (talk->wrong != NULL)
		return fail_case("%s: %s", talk->method->method.path, talk->wrong);
	if (talk->code != code)
		return fail_case("%s ended with %s (%s), not with %s", talk->method->method.path,
				 minirpc_code_name(talk->code),
				 talk->text == NULL ? "" : talk->text, minirpc_code_name(code));
	return true;
}

bool brought(const struct talk *talk, const int *sizes, size_t count)
{
	if (talk->count != count)
		return fail_case("%s brought %zu responses, not %zu", talk->method->method.path,
				 talk->count, count);
	for (size_t i = 0; i < count; i++)
		if (talk->heard[i].body != (size_t)sizes[i])
			return fail_case("%s: body %zu has %zu bytes, not %d",
					 talk->method->method.path, i, talk->heard[i].body,
					 sizes[i]);
	return true;
}

/* ---- One request, one response ---- */

static bool empty_unary(struct client *client)
{
	Grpc__Testing__Empty request = { GRPC__TESTING__EMPTY__FIELDS };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &empty_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_OK) &&
	     (talk.heard[0].len == 0 || fail_case("the response is not empty"));
	talk_clear(&talk);
	return ok;
}

bool large_unary(struct client *client)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, (const int[]){ 314159 }, 1);
	talk_clear(&talk);
	return ok;
}

static bool pick_first_unary(struct client *client)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(1) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 1, .payload = &payload,
						 .fill_server_id = true };
	char first[128] = "";
	bool ok = true;

	for (int i = 0; ok && i < 100; i++) {
		const Grpc__Testing__SimpleResponse *response;
		struct talk talk;

		talk_unary(&talk, client, &unary_call, &request.base, NULL);
		response = (const void *)talk.last;
		ok = ended_with(&talk, MINIRPC_OK);
		if (ok && i == 0)
			snprintf(first, sizeof first, "%s", response->server_id);
		if (ok && (*response->server_id == '\0' || strcmp(response->server_id, first) != 0))
			ok = fail_case("call %d went to \"%s\", the first to \"%s\"", i,
				       response->server_id, first);
		talk_clear(&talk);
	}
	return ok;
}

/* ---- Streams ---- */

static bool client_streaming(struct client *client)
{
	const Grpc__Testing__StreamingInputCallResponse *response;
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &input_call, NULL);
	for (size_t i = 0; i < SIZES; i++) {
		Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS,
						   .body = BODY(request_sizes[i]) };
		Grpc__Testing__StreamingInputCallRequest request = {
			GRPC__TESTING__STREAMING_INPUT_CALL_REQUEST__FIELDS, .payload = &payload
		};

		talk_send(&talk, &request.base);
	}
	talk_close(&talk);
	talk_end(&talk);
	response = (const void *)talk.last;
	ok = ended_with(&talk, MINIRPC_OK) &&
	     (response->aggregated_payload_size == 74922 ||
	      fail_case("the sum is %d, not 74922", response->aggregated_payload_size));
	talk_clear(&talk);
	return ok;
}

static bool server_streaming(struct client *client)
{
	Grpc__Testing__ResponseParameters wanted[SIZES], *list[SIZES];
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS, .response_parameters = list,
		.n_response_parameters = SIZES
	};
	struct talk talk;
	bool ok;

	for (size_t i = 0; i < SIZES; i++) {
		wanted[i] = (Grpc__Testing__ResponseParameters){
			GRPC__TESTING__RESPONSE_PARAMETERS__FIELDS, .size = response_sizes[i]
		};
		list[i] = &wanted[i];
	}
	talk_unary(&talk, client, &output_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, response_sizes, SIZES);
	talk_clear(&talk);
	return ok;
}

/* Asks for one response of this size, with a request of that. */
static void duplex_send(struct talk *talk, int request_size, int response_size)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS,
					   .body = BODY(request_size) };
	Grpc__Testing__ResponseParameters wanted = { GRPC__TESTING__RESPONSE_PARAMETERS__FIELDS,
						     .size = response_size };
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS,
		.payload = &payload,
		.response_parameters = (Grpc__Testing__ResponseParameters *[]){ &wanted },
		.n_response_parameters = 1,
	};

	talk_send(talk, &request.base);
}

static bool ping_pong(struct client *client)
{
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &full_duplex_call, NULL);
	for (size_t i = 0; i < SIZES; i++) {
		duplex_send(&talk, request_sizes[i], response_sizes[i]);
		talk_hear(&talk, i + 1);
	}
	talk_close(&talk);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, response_sizes, SIZES);
	talk_clear(&talk);
	return ok;
}

/* What a server owes beside the suite's cases: HalfDuplexCall answers once all has been asked. */
static bool half_duplex(struct client *client)
{
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &half_duplex_call, NULL);
	for (size_t i = 0; i < SIZES; i++)
		duplex_send(&talk, request_sizes[i], response_sizes[i]);
	client_rest(client, MINIRPC_MS(20));
	ok = talk.count == 0 || fail_case("HalfDuplexCall answered before the end of the requests");
	talk_close(&talk);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, response_sizes, SIZES) && ok;
	talk_clear(&talk);
	return ok;
}

/* Three responses, 30 ms before each. */
static bool response_intervals(struct client *client)
{
	Grpc__Testing__ResponseParameters wanted = { GRPC__TESTING__RESPONSE_PARAMETERS__FIELDS,
						     .size = 5, .interval_us = 30000 };
	Grpc__Testing__ResponseParameters *list[] = { &wanted, &wanted, &wanted };
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS, .response_parameters = list,
		.n_response_parameters = 3
	};
	minirpc_time began = minirpc_loop_now(client->loop), took;
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &output_call, &request.base, NULL);
	took = minirpc_loop_now(client->loop) - began;
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, (const int[]){ 5, 5, 5 }, 3) &&
	     (took >= MINIRPC_MS(90) || fail_case("the intervals were not kept"));
	talk_clear(&talk);
	return ok;
}

static bool unsupported_type(struct client *client)
{
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_type = (Grpc__Testing__PayloadType)7,
						 .response_size = 1 };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_INVALID_ARGUMENT);
	talk_clear(&talk);
	return ok;
}

static bool empty_stream(struct client *client)
{
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &full_duplex_call, NULL);
	talk_close(&talk);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, NULL, 0);
	talk_clear(&talk);
	return ok;
}

/* ---- Metadata and status ---- */

#define ECHO_TEXT "test_initial_metadata_value"
#define ECHO_BYTES "\xab\xab\xab"

static bool echoed(const struct talk *talk)
{
	if (talk->echo == NULL || strcmp(talk->echo, ECHO_TEXT) != 0)
		return fail_case("%s: initial metadata came back as \"%s\"",
				 talk->method->method.path, talk->echo == NULL ? "" : talk->echo);
	if (talk->echo_bin_len != 3 || memcmp(talk->echo_bin, ECHO_BYTES, 3) != 0)
		return fail_case("%s: trailing metadata did not come back",
				 talk->method->method.path);
	return true;
}

static bool custom_metadata(struct client *client)
{
	const struct minirpc_call_options options = {
		.metadata =
			(const struct minirpc_field[]){
				{ "x-grpc-test-echo-initial", ECHO_TEXT },
				{ "x-grpc-test-echo-trailing-bin", ECHO_BYTES, 3 },
				{ 0 },
			},
	};
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, &options);
	ok = ended_with(&talk, MINIRPC_OK) && brought(&talk, (const int[]){ 314159 }, 1) &&
	     echoed(&talk);
	talk_clear(&talk);

	talk_open(&talk, client, &full_duplex_call, &options);
	duplex_send(&talk, 271828, 314159);
	talk_hear(&talk, 1);
	talk_close(&talk);
	talk_end(&talk);
	ok = ok && ended_with(&talk, MINIRPC_OK) && brought(&talk, (const int[]){ 314159 }, 1) &&
	     echoed(&talk);
	talk_clear(&talk);
	return ok;
}

static bool failed_with(const struct talk *talk, const char *text)
{
	return ended_with(talk, MINIRPC_UNKNOWN) &&
	       (strcmp(talk->text, text) == 0 ||
		fail_case("%s: the status says \"%s\"", talk->method->method.path, talk->text));
}

static bool unary_fails_with(struct client *client, const char *text)
{
	Grpc__Testing__EchoStatus status = { GRPC__TESTING__ECHO_STATUS__FIELDS,
					     .code = MINIRPC_UNKNOWN,
					     .message = (char *)(uintptr_t)text };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_status = &status };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = failed_with(&talk, text);
	talk_clear(&talk);
	return ok;
}

static bool status_code_and_message(struct client *client)
{
	static const char text[] = "test status message";
	Grpc__Testing__EchoStatus status = { GRPC__TESTING__ECHO_STATUS__FIELDS,
					     .code = MINIRPC_UNKNOWN,
					     .message = (char *)(uintptr_t)text };
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS, .response_status = &status
	};
	struct talk talk;
	bool ok = unary_fails_with(client, text);

	talk_open(&talk, client, &full_duplex_call, NULL);
	talk_send(&talk, &request.base);
	talk_close(&talk);
	talk_end(&talk);
	ok = ok && failed_with(&talk, text);
	talk_clear(&talk);
	return ok;
}

static bool special_status_message(struct client *client)
{
	return unary_fails_with(client, "\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba "
					"and non-BMP \xf0\x9f\x98\x88\t\n");
}

static bool is_unimplemented(struct client *client, const struct method *method)
{
	Grpc__Testing__Empty request = { GRPC__TESTING__EMPTY__FIELDS };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, method, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_UNIMPLEMENTED);
	talk_clear(&talk);
	return ok;
}

static bool method_is_unimplemented(struct client *client)
{
	return is_unimplemented(client, &unimplemented_method);
}

static bool service_is_unimplemented(struct client *client)
{
	return is_unimplemented(client, &unimplemented_service);
}

/* ---- Ends before the end ---- */

static const struct minirpc_status cancelled = { .code = MINIRPC_CANCELLED };

static bool cancel_after_begin(struct client *client)
{
	struct talk talk;
	bool ok = large_unary(client); /* so that the headers below have a connection to go on */

	talk_open(&talk, client, &input_call, NULL);
	client_rest(client, MINIRPC_MS(1)); /* they are sent */
	minirpc_call_abort(talk.call, &cancelled);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_CANCELLED) && ok;
	talk_clear(&talk);
	return ok;
}

static bool cancel_after_first_response(struct client *client)
{
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &full_duplex_call, NULL);
	duplex_send(&talk, 27182, 31415);
	talk_hear(&talk, 1);
	minirpc_call_abort(talk.call, &cancelled);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_CANCELLED) && brought(&talk, (const int[]){ 31415 }, 1);
	talk_clear(&talk);
	return ok;
}

static bool timeout_on_sleeping_server(struct client *client)
{
	const struct minirpc_call_options options = { .timeout = MINIRPC_MS(1) };
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(27182) };
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS, .payload = &payload
	};
	struct talk talk;
	bool ok = large_unary(client); /* connected, so that the deadline is met at the server */

	talk_open(&talk, client, &full_duplex_call, &options);
	talk_send(&talk, &request.base);
	talk_end(&talk);
	ok = ended_with(&talk, MINIRPC_DEADLINE_EXCEEDED) && ok;
	talk_clear(&talk);
	return ok;
}

const struct test_case basic_cases[] = {
	{ "empty_unary", empty_unary },
	{ "large_unary", large_unary },
	{ "client_streaming", client_streaming },
	{ "server_streaming", server_streaming },
	{ "ping_pong", ping_pong },
	{ "empty_stream", empty_stream },
	{ "custom_metadata", custom_metadata },
	{ "status_code_and_message", status_code_and_message },
	{ "special_status_message", special_status_message },
	{ "unimplemented_method", method_is_unimplemented },
	{ "unimplemented_service", service_is_unimplemented },
	{ "cancel_after_begin", cancel_after_begin },
	{ "cancel_after_first_response", cancel_after_first_response },
	{ "timeout_on_sleeping_server", timeout_on_sleeping_server },
	{ "pick_first_unary", pick_first_unary },
	{ "half_duplex", half_duplex },
	{ "response_intervals", response_intervals },
	{ "unsupported_type", unsupported_type },
	{ 0 },
};

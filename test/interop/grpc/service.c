/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct service {
	struct stage stage;
	const char *id;
	char hostname[256];
};

#define NAME(method) grpc_testing_test_service_##method

static const struct minirpc_status no_memory = { .code = MINIRPC_RESOURCE_EXHAUSTED,
						 .message = "no memory" };

/* ---- Metadata that comes back ---- */

/* The trailers hold what the client wants echoed, and the load report of this call. */
static int echo_metadata(minirpc_call *call, const struct report *report)
{
	static const char initial_key[] = "x-grpc-test-echo-initial";
	static const char trailing_key[] = "x-grpc-test-echo-trailing-bin";
	const struct minirpc_metadata *metadata = minirpc_call_headers(call);
	const struct minirpc_field *initial = minirpc_metadata_find(metadata, initial_key, NULL);
	const struct minirpc_field *trailing = minirpc_metadata_find(metadata, trailing_key, NULL);
	struct minirpc_field trailers[3] = { 0 };
	size_t n = 0;
	int r = 0;

	if (initial != NULL)
		r = minirpc_call_send_headers(call, (struct minirpc_field[]){ *initial, { 0 } });
	if (trailing != NULL)
		trailers[n++] = *trailing;
	if (report != NULL)
		trailers[n++] = (struct minirpc_field){ "endpoint-load-metrics-bin", report->data,
							report->len };
	return r < 0 || n == 0 ? r : minirpc_call_set_trailers(call, trailers);
}

/* ---- One request, one response ---- */

static void on_empty(NAME(empty_call_callee) * call, const Grpc__Testing__Empty *request,
		     void *user)
{
	(void)user;
	NAME(empty_call_reply)(call, request);
}

/* The request came compressed, or not, as it says; otherwise it is refused. A client asks this to learn
 * whether we look. */
static bool came_as_it_says(const minirpc_call *call, const Grpc__Testing__BoolValue *expected)
{
	return expected == NULL || minirpc_call_was_compressed(call) == (expected->value != 0);
}

static const struct minirpc_status other_compression = {
	.code = MINIRPC_INVALID_ARGUMENT,
	.message = "the request was to come compressed, or was not, and it is not so",
};

static int echo_with_report(minirpc_call *call, const Grpc__Testing__SimpleRequest *request)
{
	struct report report;
	int r;

	if (request->orca_per_query_report == NULL)
		return echo_metadata(call, NULL);
	r = report_make(&report, request->orca_per_query_report);
	if (r == 0) {
		r = echo_metadata(call, &report);
		report_clear(&report);
	}
	return r;
}

static void on_unary(NAME(unary_call_callee) * callee, const Grpc__Testing__SimpleRequest *request,
		     void *user)
{
	struct service *service = user;
	minirpc_call *call = NAME(unary_call_call)(callee);
	const Grpc__Testing__EchoStatus *echo = request->response_status;
	const struct minirpc_status *refusal =
		body_refusal((int)request->response_type, request->response_size);
	Grpc__Testing__Payload payload = {
		GRPC__TESTING__PAYLOAD__FIELDS,
		.body = { (size_t)request->response_size, (uint8_t *)(uintptr_t)zeros },
	};
	Grpc__Testing__SimpleResponse response = {
		GRPC__TESTING__SIMPLE_RESPONSE__FIELDS,
		.payload = &payload,
	};

	if (request->fill_server_id) {
		response.server_id = (char *)(uintptr_t)service->id;
		response.hostname = service->hostname;
	}
	if (request->response_compressed != NULL && request->response_compressed->value)
		minirpc_call_set_compression(call, "gzip"); /* if the client accepts it [C-4] */
	if (!came_as_it_says(call, request->expect_compressed))
		minirpc_call_end(call, &other_compression);
	else if (echo_with_report(call, request) < 0)
		minirpc_call_end(call, &no_memory);
	else if (echo != NULL && echo->code != 0)
		minirpc_call_fail(call, (enum minirpc_code)echo->code, "%s", echo->message);
	else if (refusal != NULL)
		minirpc_call_end(call, refusal);
	else
		NAME(unary_call_reply)(callee, &response);
}

/* ---- Many requests, one response ---- */

static void input_add(NAME(streaming_input_call_callee) * call,
		      const Grpc__Testing__StreamingInputCallRequest *request, void *user)
{
	int64_t *sum = user;

	if (!came_as_it_says(NAME(streaming_input_call_call)(call), request->expect_compressed))
		minirpc_call_end(NAME(streaming_input_call_call)(call), &other_compression);
	else if (request->payload != NULL)
		*sum += (int64_t)request->payload->body.len;
}

static void input_reply(NAME(streaming_input_call_callee) * call, void *user)
{
	const int64_t *sum = user;

	NAME(streaming_input_call_reply)
	(call, &(Grpc__Testing__StreamingInputCallResponse){
		       GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__FIELDS,
		       .aggregated_payload_size = (int32_t)(*sum > INT32_MAX ? INT32_MAX : *sum),
	       });
}

static void input_left(NAME(streaming_input_call_callee) * call,
		       const struct minirpc_status *status, void *user)
{
	(void)user;
	minirpc_call_end(NAME(streaming_input_call_call)(call), status);
}

static void on_input(NAME(streaming_input_call_callee) * callee, void *user)
{
	static const struct NAME(streaming_input_call_callee_events) events = {
		.on_message = input_add,
		.on_half_close = input_reply,
		.on_end = input_left,
	};
	minirpc_call *call = NAME(streaming_input_call_call)(callee);
	int64_t *sum = minirpc_call_alloc(call, sizeof *sum);

	(void)user;
	if (sum == NULL || NAME(streaming_input_call_listen)(callee, &events, sum) < 0)
		minirpc_call_end(call, &no_memory);
}

/* ---- One request, many responses ---- */

static void output_on(NAME(streaming_output_call_callee) * call, void *user)
{
	(void)call;
	script_run(user);
}

static void output_left(NAME(streaming_output_call_callee) * call,
			const struct minirpc_status *status, void *user)
{
	(void)call;
	script_end(user, status);
}

static void on_output(NAME(streaming_output_call_callee) * callee,
		      const Grpc__Testing__StreamingOutputCallRequest *request, void *user)
{
	static const struct NAME(streaming_output_call_callee_events) events = {
		.on_writable = output_on,
		.on_end = output_left,
	};
	struct service *service = user;
	struct script *script =
		script_new(NAME(streaming_output_call_call)(callee), &service->stage);

	if (script == NULL)
		return;
	if (NAME(streaming_output_call_listen)(callee, &events, script) < 0) {
		script_end(script, &no_memory);
	} else if (script_add(script, request)) {
		script->is_last = true;
		script_run(script);
	}
}

/* ---- Many requests, many responses: at once ---- */

static void full_message(NAME(full_duplex_call_callee) * call,
			 const Grpc__Testing__StreamingOutputCallRequest *request, void *user)
{
	minirpc_call_pause(NAME(full_duplex_call_call)(call)); /* until it is answered */
	if (script_add(user, request))
		script_run(user);
}

static void full_half_close(NAME(full_duplex_call_callee) * call, void *user)
{
	struct script *script = user;

	(void)call;
	script->is_last = true;
	script_run(script);
}

static void full_on(NAME(full_duplex_call_callee) * call, void *user)
{
	(void)call;
	script_run(user);
}

static void full_left(NAME(full_duplex_call_callee) * call, const struct minirpc_status *status,
		      void *user)
{
	(void)call;
	script_end(user, status);
}

static void on_full(NAME(full_duplex_call_callee) * callee, void *user)
{
	static const struct NAME(full_duplex_call_callee_events) events = {
		.on_message = full_message,
		.on_half_close = full_half_close,
		.on_writable = full_on,
		.on_end = full_left,
	};
	struct service *service = user;
	struct script *script = script_new(NAME(full_duplex_call_call)(callee), &service->stage);

	if (script != NULL && (echo_metadata(script->call, NULL) < 0 ||
			       NAME(full_duplex_call_listen)(callee, &events, script) < 0))
		script_end(script, &no_memory);
}

/* ---- Many requests, many responses: at the end ---- */

static void half_message(NAME(half_duplex_call_callee) * call,
			 const Grpc__Testing__StreamingOutputCallRequest *request, void *user)
{
	(void)call;
	script_add(user, request);
}

static void half_half_close(NAME(half_duplex_call_callee) * call, void *user)
{
	struct script *script = user;

	(void)call;
	script->is_last = true;
	script_run(script);
}

static void half_on(NAME(half_duplex_call_callee) * call, void *user)
{
	(void)call;
	script_run(user);
}

static void half_left(NAME(half_duplex_call_callee) * call, const struct minirpc_status *status,
		      void *user)
{
	(void)call;
	script_end(user, status);
}

static void on_half(NAME(half_duplex_call_callee) * callee, void *user)
{
	static const struct NAME(half_duplex_call_callee_events) events = {
		.on_message = half_message,
		.on_half_close = half_half_close,
		.on_writable = half_on,
		.on_end = half_left,
	};
	struct service *service = user;
	struct script *script = script_new(NAME(half_duplex_call_call)(callee), &service->stage);

	if (script != NULL && NAME(half_duplex_call_listen)(callee, &events, script) < 0)
		script_end(script, &no_memory);
}

/* ---- The service ---- */

struct service *service_new(const char *server_id)
{
	struct service *service = calloc(1, sizeof *service);

	if (service == NULL)
		return NULL;
	service->id = server_id;
	if (gethostname(service->hostname, sizeof service->hostname - 1) < 0)
		strcpy(service->hostname, "localhost");
	return service;
}

struct service *service_free(struct service *service)
{
	if (service != NULL)
		report_clear(&service->stage.report);
	free(service);
	return NULL;
}

int service_serve(struct service *service, minirpc_server *server)
{
	/* UnimplementedCall has no handler, and UnimplementedService is not there at all. */
	static const struct NAME(handlers) handlers = {
		.empty_call = on_empty,
		.unary_call = on_unary,
		.streaming_input_call = on_input,
		.streaming_output_call = on_output,
		.full_duplex_call = on_full,
		.half_duplex_call = on_half,
	};
	int r = NAME(serve)(server, &handlers, service);

	return r < 0 ? r : orca_serve(server, &service->stage.report);
}

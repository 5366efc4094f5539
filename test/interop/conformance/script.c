/* SPDX-License-Identifier: MIT */
/* Every call is an `answer`: the requests noted so far, and the script that the first of them holds.
 * Unary, client stream, server stream and half duplex play the script when the last request is there;
 * a full duplex stream plays one line of it for each request, and the rest at the end.
 *
 *	request --note--> [requests] --play--> line* --> finish
 *	                      ^                 |
 *	                      \__ next request _/   (full duplex)
 *
 * A line may be delayed; meanwhile the call is paused, so that requests are answered in turn. */
#include "script.h"

#include "talk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { UNARY, CLIENT_STREAM, SERVER_STREAM, BIDI_STREAM };

struct script {
	bool is_set; /* the request held one */
	MSG(Header) * *headers, **trailers;
	size_t header_count, trailer_count;
	const ProtobufCBinaryData *lines;
	size_t line_count;
	uint32_t delay_ms;
	const MSG(Error) * error;
};

struct answer {
	minirpc_call *call;
	void *callee; /* the same, as the stubs see it */
	enum kind kind;
	ProtobufCMessage *first; /* what script points into */
	struct script script;
	Google__Protobuf__Any **requests; /* not told of yet */
	size_t request_count;
	size_t played;
	bool is_duplex, has_headers, is_half_closed, is_waited;
	minirpc_timer *timer;
};

/* ---- Requests ---- */

static void forget_requests(struct answer *answer)
{
	for (size_t i = 0; i < answer->request_count; i++)
		any_free(answer->requests[i]);
	free(answer->requests);
	answer->requests = NULL;
	answer->request_count = 0;
}

static void read_unary_script(struct script *script,
			      const MSG(UnaryResponseDefinition) * definition)
{
	static const ProtobufCBinaryData nothing = { 0 };

	script->lines = &nothing; /* one response, whatever the script says */
	script->line_count = 1;
	script->is_set = definition != NULL;
	if (definition == NULL)
		return;
	script->headers = definition->response_headers;
	script->header_count = definition->n_response_headers;
	script->trailers = definition->response_trailers;
	script->trailer_count = definition->n_response_trailers;
	script->delay_ms = definition->response_delay_ms;
	if (definition->response_case ==
	    CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_RESPONSE_DATA)
		script->lines = &definition->response_data;
	if (definition->response_case ==
	    CONNECTRPC__CONFORMANCE__V1__UNARY_RESPONSE_DEFINITION__RESPONSE_ERROR) {
		script->error = definition->error;
		script->line_count = 0;
	}
}

static void read_stream_script(struct script *script,
			       const MSG(StreamResponseDefinition) * definition)
{
	script->is_set = definition != NULL;
	if (definition == NULL)
		return;
	script->headers = definition->response_headers;
	script->header_count = definition->n_response_headers;
	script->trailers = definition->response_trailers;
	script->trailer_count = definition->n_response_trailers;
	script->lines = definition->response_data;
	script->line_count = definition->n_response_data;
	script->delay_ms = definition->response_delay_ms;
	script->error = definition->error;
}

static void read_script(struct answer *answer)
{
	const void *first = answer->first;

	switch (answer->kind) {
	case UNARY:
		read_unary_script(&answer->script,
				  ((const MSG(UnaryRequest) *)first)->response_definition);
		break;
	case CLIENT_STREAM:
		read_unary_script(&answer->script,
				  ((const MSG(ClientStreamRequest) *)first)->response_definition);
		break;
	case SERVER_STREAM:
		read_stream_script(&answer->script,
				   ((const MSG(ServerStreamRequest) *)first)->response_definition);
		break;
	case BIDI_STREAM:
		read_stream_script(&answer->script,
				   ((const MSG(BidiStreamRequest) *)first)->response_definition);
		answer->is_duplex = ((const MSG(BidiStreamRequest) *)first)->full_duplex;
		break;
	}
}

static void note(struct answer *answer, const ProtobufCMessage *request)
{
	Google__Protobuf__Any *any = any_new(request);

	answer->requests =
		realloc(answer->requests, (answer->request_count + 1) * sizeof *answer->requests);
	if (answer->requests == NULL)
		die("out of memory");
	answer->requests[answer->request_count++] = any;
	if (answer->first == NULL) {
		if (minirpc_decode(request->descriptor, any->value.data, any->value.len,
				   &answer->first) < 0)
			die("a request cannot be copied");
		read_script(answer);
	}
}

/* ---- What is echoed ---- */

static void info_fill(MSG(ConformancePayload__RequestInfo) * info, const struct answer *answer,
		      bool is_whole)
{
	minirpc_time left = minirpc_call_time_left(answer->call);

	if (is_whole) {
		info->request_headers =
			headers_new(minirpc_call_headers(answer->call), &info->n_request_headers);
		info->has_timeout_ms = left != MINIRPC_NEVER;
		info->timeout_ms = info->has_timeout_ms ? left / MINIRPC_MS(1) : 0;
	}
	info->requests = answer->requests;
	info->n_requests = answer->request_count;
}

static void info_clear(MSG(ConformancePayload__RequestInfo) * info)
{
	headers_free(info->request_headers, info->n_request_headers);
}

/* ---- Answers ---- */

static struct answer *answer_new(minirpc_call *call, void *callee, enum kind kind)
{
	struct answer *answer = must_alloc(1, sizeof *answer);

	/* in kind; where the client does not accept that, it goes as it is */
	minirpc_call_set_compression(call, minirpc_call_peer_compression(call));

	*answer = (struct answer){ .call = call, .callee = callee, .kind = kind };
	return answer;
}

static void answer_free(struct answer *answer)
{
	minirpc_timer_cancel(answer->timer);
	forget_requests(answer);
	if (answer->first != NULL)
		protobuf_c_message_free_unpacked(answer->first, NULL);
	free(answer);
}

static void give_up(struct answer *answer, int r)
{
	minirpc_call_fail(answer->call, MINIRPC_INTERNAL, "conformance_server cannot say this: %s",
			  strerror(-r));
	answer_free(answer);
}

/* Ends the call with the error of the script. Before any response it tells of the request. */
static void finish_with_error(struct answer *answer)
{
	const MSG(Error) *error = answer->script.error;
	MSG(ConformancePayload__RequestInfo) info = { FIELDS(CONFORMANCE_PAYLOAD__REQUEST_INFO) };
	Google__Protobuf__Any **details = must_alloc(error->n_details + 1, sizeof *details),
			      *echo = NULL;
	Google__Rpc__Status rich = { GOOGLE__RPC__STATUS__FIELDS, .code = (int32_t)error->code };
	struct minirpc_status status = { .code = (enum minirpc_code)error->code,
					 .message = error->message };
	uint8_t *packed = NULL;

	if (error->n_details > 0)
		memcpy(details, error->details, error->n_details * sizeof *details);
	rich.details = details;
	rich.n_details = error->n_details;
	if (answer->played == 0) {
		info_fill(&info, answer, true);
		echo = any_new(&info.base);
		info_clear(&info);
		details[rich.n_details++] = echo;
	}
	if (error->message != NULL)
		rich.message = error->message;
	if (rich.n_details > 0) {
		packed = must_alloc(google__rpc__status__get_packed_size(&rich), 1);
		status.details_len = google__rpc__status__pack(&rich, packed);
		status.details = packed;
	}
	minirpc_call_end(answer->call, &status);
	any_free(echo);
	free(details);
	free(packed);
	answer_free(answer);
}

static void finish(struct answer *answer)
{
	if (answer->script.error != NULL) {
		finish_with_error(answer);
		return;
	}
	if (answer->kind == SERVER_STREAM || answer->kind == BIDI_STREAM)
		minirpc_call_end(answer->call, NULL);
	answer_free(answer);
}

/* Sends one response. A single response ends the call with it, whatever comes back. */
static int reply(const struct answer *answer, MSG(ConformancePayload) * payload)
{
	void *callee = answer->callee;

	switch (answer->kind) {
	case UNARY:
		return RPC(unary_reply)(callee, &(MSG(UnaryResponse)){ FIELDS(UNARY_RESPONSE),
								       .payload = payload });
	case CLIENT_STREAM:
		return RPC(client_stream_reply)(
			callee, &(MSG(ClientStreamResponse)){ FIELDS(CLIENT_STREAM_RESPONSE),
							      .payload = payload });
	case SERVER_STREAM:
		return RPC(server_stream_reply)(
			callee, &(MSG(ServerStreamResponse)){ FIELDS(SERVER_STREAM_RESPONSE),
							      .payload = payload });
	case BIDI_STREAM:
		break;
	}
	return RPC(bidi_stream_reply)(
		callee,
		&(MSG(BidiStreamResponse)){ FIELDS(BIDI_STREAM_RESPONSE), .payload = payload });
}

static int play_line(struct answer *answer)
{
	MSG(ConformancePayload__RequestInfo) info = { FIELDS(CONFORMANCE_PAYLOAD__REQUEST_INFO) };
	MSG(ConformancePayload) payload = { FIELDS(CONFORMANCE_PAYLOAD) };
	int r;

	payload.data = answer->script.lines[answer->played];
	if (answer->played == 0 || (answer->is_duplex && answer->request_count > 0)) {
		info_fill(&info, answer, answer->played == 0);
		payload.request_info = &info;
	}
	r = reply(answer, &payload);
	info_clear(&info);
	if (r == 0) {
		answer->played++;
		forget_requests(answer);
	}
	return r;
}

/* ---- Playing ---- */

static void play(struct answer *answer);

static void on_time(void *user)
{
	struct answer *answer = user;

	answer->timer = NULL;
	answer->is_waited = true;
	play(answer);
}

/* Initial metadata goes at once where the script says so; trailing metadata is kept for the end.
 * Returns a negative errno when the script asks for what cannot be sent. */
static int send_metadata(struct answer *answer)
{
	const struct script *script = &answer->script;
	struct minirpc_field *fields;
	int r = 0;

	if (answer->has_headers || !script->is_set)
		return 0;
	answer->has_headers = true;
	if (script->trailer_count > 0) {
		fields = fields_new(script->trailers, script->trailer_count);
		r = minirpc_call_set_trailers(answer->call, fields);
		fields_free(fields);
	}
	if (r == 0 && (script->header_count > 0 || answer->kind == SERVER_STREAM ||
		       answer->kind == BIDI_STREAM)) {
		fields = fields_new(script->headers, script->header_count);
		r = minirpc_call_send_headers(answer->call, fields);
		fields_free(fields);
	}
	return r;
}

/* True while the script waits before its next step; play goes on after that. */
static bool waits(struct answer *answer)
{
	if (answer->script.delay_ms == 0 || answer->is_waited)
		return false;
	if (answer->timer == NULL &&
	    minirpc_timer_start(&answer->timer,
				minirpc_server_loop(minirpc_call_server(answer->call)),
				MINIRPC_MS(answer->script.delay_ms), on_time, answer) < 0)
		die("out of memory");
	return true;
}

/* Goes on with the script as far as possible, and ends the call after its last line. A single response
 * is delayed as is the error instead of it; of a stream each line is. */
static void play(struct answer *answer)
{
	bool is_single = answer->kind == UNARY || answer->kind == CLIENT_STREAM;
	int r = send_metadata(answer);

	while (r == 0) {
		bool is_over = answer->played == answer->script.line_count;

		if (answer->is_duplex && !answer->is_half_closed && answer->request_count == 0) {
			minirpc_call_resume(answer->call); /* the next request first */
			return;
		}
		if ((!is_over || is_single) && waits(answer)) {
			minirpc_call_pause(answer->call);
			return;
		}
		if (is_over) {
			finish(answer);
			return;
		}
		r = play_line(answer);
		if (is_single) { /* and the call is over, whatever r says */
			answer_free(answer);
			return;
		}
		if (r == 0)
			answer->is_waited = false;
	}
	if (r == -EAGAIN)
		minirpc_call_pause(answer->call); /* on_writable follows */
	else
		give_up(answer, r);
}

/* The call is over before it was answered. */
static void leave(struct answer *answer, const struct minirpc_status *status)
{
	minirpc_call_end(answer->call, status);
	answer_free(answer);
}

/* ---- The four methods ---- */

static void unary_left(RPC(unary_callee) * callee, const struct minirpc_status *status, void *user)
{
	(void)callee;
	leave(user, status);
}

static void on_unary(RPC(unary_callee) * callee, const MSG(UnaryRequest) * request, void *user)
{
	static const struct RPC(unary_callee_events) events = { .on_end = unary_left };
	struct answer *answer = answer_new(RPC(unary_call)(callee), callee, UNARY);

	(void)user;
	if (RPC(unary_listen)(callee, &events, answer) < 0)
		die("out of memory");
	note(answer, &request->base);
	play(answer);
}

static void server_stream_writable(RPC(server_stream_callee) * callee, void *user)
{
	(void)callee;
	play(user);
}

static void server_stream_left(RPC(server_stream_callee) * callee,
			       const struct minirpc_status *status, void *user)
{
	(void)callee;
	leave(user, status);
}

static void on_server_stream(RPC(server_stream_callee) * callee,
			     const MSG(ServerStreamRequest) * request, void *user)
{
	static const struct RPC(server_stream_callee_events)
		events = { .on_writable = server_stream_writable, .on_end = server_stream_left };
	struct answer *answer = answer_new(RPC(server_stream_call)(callee), callee, SERVER_STREAM);

	(void)user;
	if (RPC(server_stream_listen)(callee, &events, answer) < 0)
		die("out of memory");
	note(answer, &request->base);
	play(answer);
}

static void client_stream_message(RPC(client_stream_callee) * callee,
				  const MSG(ClientStreamRequest) * request, void *user)
{
	(void)callee;
	note(user, &request->base);
}

static void client_stream_half_close(RPC(client_stream_callee) * callee, void *user)
{
	struct answer *answer = user;

	(void)callee;
	if (answer->first == NULL)
		read_unary_script(&answer->script, NULL);
	play(answer);
}

static void client_stream_left(RPC(client_stream_callee) * callee,
			       const struct minirpc_status *status, void *user)
{
	(void)callee;
	leave(user, status);
}

static void on_client_stream(RPC(client_stream_callee) * callee, void *user)
{
	static const struct RPC(client_stream_callee_events)
		events = { .on_message = client_stream_message,
			   .on_half_close = client_stream_half_close,
			   .on_end = client_stream_left };
	struct answer *answer = answer_new(RPC(client_stream_call)(callee), callee, CLIENT_STREAM);

	(void)user;
	if (RPC(client_stream_listen)(callee, &events, answer) < 0)
		die("out of memory");
}

static void bidi_message(RPC(bidi_stream_callee) * callee, const MSG(BidiStreamRequest) * request,
			 void *user)
{
	struct answer *answer = user;

	(void)callee;
	note(answer, &request->base);
	if (answer->is_duplex)
		play(answer);
}

static void bidi_half_close(RPC(bidi_stream_callee) * callee, void *user)
{
	struct answer *answer = user;

	(void)callee;
	answer->is_half_closed = true;
	play(answer);
}

static void bidi_writable(RPC(bidi_stream_callee) * callee, void *user)
{
	(void)callee;
	play(user);
}

static void bidi_left(RPC(bidi_stream_callee) * callee, const struct minirpc_status *status,
		      void *user)
{
	(void)callee;
	leave(user, status);
}

static void on_bidi_stream(RPC(bidi_stream_callee) * callee, void *user)
{
	static const struct RPC(bidi_stream_callee_events)
		events = { .on_message = bidi_message,
			   .on_half_close = bidi_half_close,
			   .on_writable = bidi_writable,
			   .on_end = bidi_left };
	struct answer *answer = answer_new(RPC(bidi_stream_call)(callee), callee, BIDI_STREAM);

	(void)user;
	if (RPC(bidi_stream_listen)(callee, &events, answer) < 0)
		die("out of memory");
}

int script_serve(minirpc_server *server)
{
	static const struct RPC(handlers) handlers = { .unary = on_unary,
						       .server_stream = on_server_stream,
						       .client_stream = on_client_stream,
						       .bidi_stream = on_bidi_stream };

	return RPC(serve)(server, &handlers, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The client under test of connectconformance (protocol.md, 2.3).
 *
 * The runner's stdin says which calls to make, each is a `task`; what became of it goes to stdout in
 * any order. All calls are under way at once on one loop, and calls to the same server share a
 * channel. Ends when stdin has ended and the last call is told, at once on SIGTERM.
 *
 *	request --> [task] --open--> events ... --on_end--> response
 *	                \__ request timer, cancel timer __/
 *
 * Unary calls use the generated stubs; streams use what the stubs are made of (typed.h), since the
 * three kinds differ in nothing but their types. */
#include "talk.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARALLEL 64 /* calls at once; more wait in stdin */

/* A channel and what it was made for. */
struct route {
	struct route *next;
	char *target, *ca, *cert;
	minirpc_channel *channel;
};

struct client {
	struct ev_loop *ev;
	minirpc_loop *loop;
	ev_io input;
	struct talk talk;
	struct route *routes;
	const struct minirpc_compressor *compressors[COMPRESSORS];
	size_t open;
	bool input_ended;
};

struct task {
	struct client *client;
	MSG(ClientCompatRequest) * request;
	minirpc_call *call;
	const struct minirpc_typed_method *method;
	minirpc_timer *send_timer, *cancel_timer;
	bool is_duplex, is_waited, is_ended, is_aborted;
	size_t sent, received;
	MSG(ConformancePayload) * *payloads;
	size_t payload_count;
};

static void read_on(struct client *client);

/* ---- What became of it ---- */

static void task_free(struct task *task)
{
	struct client *client = task->client;

	minirpc_timer_cancel(task->send_timer);
	minirpc_timer_cancel(task->cancel_timer);
	for (size_t i = 0; i < task->payload_count; i++)
		connectrpc__conformance__v1__conformance_payload__free_unpacked(task->payloads[i],
										NULL);
	free(task->payloads);
	connectrpc__conformance__v1__client_compat_request__free_unpacked(task->request, NULL);
	free(task);
	client->open--;
	read_on(client);
}

/* It could not even be tried. */
static void task_refuse(struct task *task, const char *why)
{
	MSG(ClientErrorResult) error = { FIELDS(CLIENT_ERROR_RESULT), .message = (char *)why };
	MSG(ClientCompatResponse)
	response = {
		FIELDS(CLIENT_COMPAT_RESPONSE),
		.test_name = task->request->test_name,
		.result_case = CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_RESPONSE__RESULT_ERROR,
		.error = &error,
	};

	talk_say(STDOUT_FILENO, &response.base);
	task_free(task);
}

static void task_tell(struct task *task, const struct minirpc_status *status)
{
	MSG(Error)
	error = { FIELDS(ERROR), .code = (MSG(Code))status->code,
		  .message = (char *)status->message };
	MSG(ClientResponseResult) result = { FIELDS(CLIENT_RESPONSE_RESULT) };
	MSG(ClientCompatResponse)
	response = {
		FIELDS(CLIENT_COMPAT_RESPONSE),
		.test_name = task->request->test_name,
		.result_case = CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_RESPONSE__RESULT_RESPONSE,
		.response = &result,
	};
	Google__Rpc__Status *details = NULL;

	if (status->details != NULL)
		details = google__rpc__status__unpack(NULL, status->details_len, status->details);
	if (details != NULL) {
		error.details = details->details;
		error.n_details = details->n_details;
	}
	if (status->code != MINIRPC_OK)
		result.error = &error;
	result.response_headers =
		headers_new(minirpc_call_headers(task->call), &result.n_response_headers);
	result.response_trailers =
		headers_new(minirpc_call_trailers(task->call), &result.n_response_trailers);
	result.payloads = task->payloads;
	result.n_payloads = task->payload_count;
	result.num_unsent_requests = (int32_t)(task->request->n_request_messages - task->sent);
	talk_say(STDOUT_FILENO, &response.base);

	headers_free(result.response_headers, result.n_response_headers);
	headers_free(result.response_trailers, result.n_response_trailers);
	google__rpc__status__free_unpacked(details, NULL);
	task_free(task);
}

static void keep_payload(struct task *task, const MSG(ConformancePayload) * payload)
{
	MSG(ConformancePayload) empty = { FIELDS(CONFORMANCE_PAYLOAD) };
	ProtobufCMessage *copy = NULL;
	Google__Protobuf__Any *any = any_new(payload != NULL ? &payload->base : &empty.base);

	if (minirpc_decode(empty.base.descriptor, any->value.data, any->value.len, &copy) < 0)
		die("a payload cannot be copied");
	any_free(any);
	task->payloads =
		realloc(task->payloads, (task->payload_count + 1) * sizeof *task->payloads);
	if (task->payloads == NULL)
		die("out of memory");
	task->payloads[task->payload_count++] = (MSG(ConformancePayload) *)copy;
}

/* ---- Cancelling ---- */

static void abort_call(struct task *task)
{
	static const struct minirpc_status cancelled = { .code = MINIRPC_CANCELLED,
							 .message = "as the runner wished" };

	task->is_aborted = true;
	minirpc_call_abort(task->call, &cancelled);
}

static void on_cancel_time(void *user)
{
	struct task *task = user;

	task->cancel_timer = NULL;
	abort_call(task);
}

/* All requests are sent; what is to be done instead of, or after, ending our side. */
static void after_requests(struct task *task)
{
	const MSG(ClientCompatRequest__Cancel) *cancel = task->request->cancel;
	uint32_t after_ms = 0;

	task->is_ended = true;
	if (cancel != NULL &&
	    cancel->cancel_timing_case ==
		    CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_BEFORE_CLOSE_SEND) {
		abort_call(task);
		return;
	}
	if ((task->method->method.flags & MINIRPC_CLIENT_STREAMING) != 0)
		minirpc_call_end(task->call, NULL);
	if (cancel == NULL ||
	    cancel->cancel_timing_case ==
		    CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_AFTER_NUM_RESPONSES)
		return;
	if (cancel->cancel_timing_case ==
	    CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_AFTER_CLOSE_SEND_MS)
		after_ms = cancel->after_close_send_ms;
	if (minirpc_timer_start(&task->cancel_timer, task->client->loop, MINIRPC_MS(after_ms),
				on_cancel_time, task) < 0)
		die("out of memory");
}

/* ---- Unary ---- */

static void on_unary_done(const struct minirpc_status *status, const MSG(UnaryResponse) * response,
			  void *user)
{
	struct task *task = user;

	if (response != NULL)
		keep_payload(task, response->payload);
	task_tell(task, status);
}

static void on_unimplemented_done(const struct minirpc_status *status,
				  const MSG(UnimplementedResponse) * response, void *user)
{
	struct task *task = user;

	if (response != NULL)
		keep_payload(task, NULL);
	task_tell(task, status);
}

/* ---- Streams ---- */

static void send_on(struct task *task);

static void on_send_time(void *user)
{
	struct task *task = user;

	task->send_timer = NULL;
	task->is_waited = true;
	send_on(task);
}

/* Sends what can be sent now, then ends our side. Full duplex means that each request is answered
 * before anything else is done. */
static void send_on(struct task *task)
{
	const MSG(ClientCompatRequest) *request = task->request;

	while (!task->is_aborted && !task->is_ended) {
		const ProtobufCBinaryData *data;
		ProtobufCMessage *message = NULL;
		int r;

		if (task->is_duplex && task->received < task->sent)
			return;
		if (task->sent == request->n_request_messages) {
			after_requests(task);
			return;
		}
		if (request->request_delay_ms > 0 && !task->is_waited) {
			if (task->send_timer == NULL &&
			    minirpc_timer_start(&task->send_timer, task->client->loop,
						MINIRPC_MS(request->request_delay_ms), on_send_time,
						task) < 0)
				die("out of memory");
			return;
		}
		data = &request->request_messages[task->sent]->value;
		if (minirpc_decode(task->method->request, data->data, data->len, &message) < 0)
			die("%s: a request that cannot be decoded", request->test_name);
		r = minirpc_typed_send(task->call, message);
		protobuf_c_message_free_unpacked(message, NULL);
		if (r < 0)
			return; /* -EAGAIN: on_writable follows; otherwise on_end does */
		task->is_waited = false;
		task->sent++;
	}
}

static void on_writable(minirpc_call *call, const void *events, void *user)
{
	(void)call;
	(void)events;
	send_on(user);
}

static void on_message(minirpc_call *call, const void *message, const void *events, void *user)
{
	struct task *task = user;
	const MSG(ClientCompatRequest__Cancel) *cancel = task->request->cancel;

	(void)call;
	(void)events;
	if (task->is_aborted)
		return;
	if (task->method->response ==
	    &connectrpc__conformance__v1__server_stream_response__descriptor)
		keep_payload(task, ((const MSG(ServerStreamResponse) *)message)->payload);
	else if (task->method->response ==
		 &connectrpc__conformance__v1__client_stream_response__descriptor)
		keep_payload(task, ((const MSG(ClientStreamResponse) *)message)->payload);
	else
		keep_payload(task, ((const MSG(BidiStreamResponse) *)message)->payload);
	task->received++;
	if (cancel != NULL &&
	    cancel->cancel_timing_case ==
		    CONNECTRPC__CONFORMANCE__V1__CLIENT_COMPAT_REQUEST__CANCEL__CANCEL_TIMING_AFTER_NUM_RESPONSES &&
	    task->received == cancel->after_num_responses)
		abort_call(task);
	else if (task->is_duplex)
		send_on(task);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, const void *events,
		   void *user)
{
	(void)call;
	(void)events;
	task_tell(user, status);
}

/* ---- Routes ---- */

static minirpc_tls *make_tls(const MSG(ClientCompatRequest) * request, const char *ca,
			     const char *cert)
{
	struct minirpc_tls_options options = { .ca_pem = ca };
	char error[256] = "out of memory";
	minirpc_tls *tls = NULL;
	char *key = NULL;

	if (cert[0] != '\0') {
		key = strndup((const char *)request->client_tls_creds->key.data,
			      request->client_tls_creds->key.len);
		options.cert_pem = cert;
		options.key_pem = key;
	}
	if (minirpc_tls_new_explained(&tls, &options, error, sizeof error) < 0)
		fprintf(stderr, "conformance_client: %s\n", error);
	free(key);
	return tls;
}

static char *pem_text(const ProtobufCBinaryData *data)
{
	char *text = must_alloc(data->len + 1, 1);

	if (data->len > 0)
		memcpy(text, data->data, data->len);
	return text;
}

/* The channel to a request's server; NULL: it cannot be made. */
static minirpc_channel *find_channel(struct client *client,
				     const MSG(ClientCompatRequest) * request)
{
	static const ProtobufCBinaryData nothing = { 0 };
	char *ca = pem_text(&request->server_tls_cert);
	char *cert = pem_text(request->client_tls_creds != NULL ? &request->client_tls_creds->cert
								: &nothing);
	struct route *route;
	minirpc_tls *tls = NULL;
	char target[300];

	snprintf(target, sizeof target, strchr(request->host, ':') != NULL ? "[%s]:%u" : "%s:%u",
		 request->host, request->port);
	for (route = client->routes; route != NULL; route = route->next) {
		if (strcmp(route->target, target) == 0 && strcmp(route->ca, ca) == 0 &&
		    strcmp(route->cert, cert) == 0)
			break;
	}
	if (route != NULL) {
		free(ca);
		free(cert);
		return route->channel;
	}
	route = must_alloc(1, sizeof *route);
	*route = (struct route){
		.next = client->routes, .target = must_copy(target), .ca = ca, .cert = cert
	};
	client->routes = route;
	if (ca[0] != '\0')
		tls = make_tls(request, ca, cert);
	if (ca[0] == '\0' || tls != NULL)
		minirpc_channel_new(&route->channel, client->loop, target,
				    &(struct minirpc_channel_options){
					    .tls = tls, .compressors = client->compressors });
	minirpc_tls_unref(tls);
	return route->channel;
}

/* ---- From the runner ---- */

static const struct minirpc_typed_method *find_method(const MSG(ClientCompatRequest) * request)
{
	const struct minirpc_service *service = &RPC(service);
	char path[200];

	snprintf(path, sizeof path, "/%s/%s",
		 request->service != NULL ? request->service : service->name,
		 request->method != NULL ? request->method : "");
	for (size_t i = 0; i < service->method_count; i++) {
		if (strcmp(service->methods[i].method.path, path) == 0)
			return &service->methods[i];
	}
	return NULL;
}

/* How to compress requests; NULL for what the runner should not ask for. */
static const char *compression_of(const MSG(ClientCompatRequest) * request)
{
	switch (request->compression) {
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_UNSPECIFIED:
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_IDENTITY:
		return "identity";
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_GZIP:
		return "gzip";
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_BR:
		return "br";
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_ZSTD:
		return "zstd";
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_DEFLATE:
		return "deflate";
	case CONNECTRPC__CONFORMANCE__V1__COMPRESSION__COMPRESSION_SNAPPY:
		return "snappy";
	default:
		return NULL;
	}
}

/* Starts the call. Returns 0 or a negative errno; then nothing was started. */
static int open_call(struct task *task, minirpc_channel *channel,
		     const struct minirpc_call_options *options)
{
	static const struct minirpc_stream_ops ops = { .on_message = on_message,
						       .on_writable = on_writable,
						       .on_end = on_end };
	const MSG(ClientCompatRequest) *request = task->request;
	const struct minirpc_typed_method *method = task->method;
	ProtobufCMessage *message = NULL;
	int r = 0;

	if ((method->method.flags & MINIRPC_CLIENT_STREAMING) == 0) {
		const ProtobufCBinaryData *data = &request->request_messages[0]->value;

		r = minirpc_decode(method->request, data->data, data->len, &message);
		if (r < 0)
			return r;
	}
	if (method->request == &connectrpc__conformance__v1__unary_request__descriptor)
		r = RPC(unary)(channel, (const MSG(UnaryRequest) *)message, options, on_unary_done,
			       task);
	else if (method->request == &connectrpc__conformance__v1__unimplemented_request__descriptor)
		r = RPC(unimplemented)(channel, (const MSG(UnimplementedRequest) *)message, options,
				       on_unimplemented_done, task);
	else
		r = minirpc_stream_open(&task->call, channel, method, message, options, &ops, &ops,
					sizeof ops, task);
	if (message != NULL) {
		protobuf_c_message_free_unpacked(message, NULL);
		task->sent = 1;
	}
	return r;
}

static void task_start(struct client *client, MSG(ClientCompatRequest) * request)
{
	struct task *task = must_alloc(1, sizeof *task);
	struct minirpc_call_options options = { .max_receive_message =
							request->message_receive_limit };
	struct minirpc_field *fields;
	minirpc_channel *channel;
	int r;

	*task = (struct task){ .client = client,
			       .request = request,
			       .method = find_method(request) };
	task->is_duplex =
		request->stream_type ==
		CONNECTRPC__CONFORMANCE__V1__STREAM_TYPE__STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM;
	client->open++;
	channel = find_channel(client, request);
	if (task->method == NULL ||
	    task->method->request ==
		    &connectrpc__conformance__v1__idempotent_unary_request__descriptor) {
		task_refuse(task, "no such method here");
		return;
	}
	if (channel == NULL) {
		task_refuse(task, "no channel can be made for this");
		return;
	}
	if ((task->method->method.flags & MINIRPC_CLIENT_STREAMING) == 0 &&
	    request->n_request_messages != 1) {
		task_refuse(task, "such a method takes one request");
		return;
	}
	options.compression = compression_of(request);
	if (options.compression == NULL) {
		task_refuse(task, "no such compression here");
		return;
	}
	if (request->has_timeout_ms)
		options.timeout = request->timeout_ms > 0 ? MINIRPC_MS(request->timeout_ms) : -1;
	fields = fields_new(request->request_headers, request->n_request_headers);
	options.metadata = fields;
	options.ret_call = &task->call;
	r = open_call(task, channel, &options);
	fields_free(fields);
	if (r < 0) {
		task_refuse(task, strerror(-r));
		return;
	}
	if ((task->method->method.flags & MINIRPC_CLIENT_STREAMING) != 0)
		send_on(task);
	else
		after_requests(task);
}

/* Starts calls while there is room, and ends the program after the last. */
static void read_on(struct client *client)
{
	ProtobufCMessage *message = NULL;

	while (client->open < PARALLEL &&
	       (message = talk_take(
			&client->talk,
			&connectrpc__conformance__v1__client_compat_request__descriptor)) != NULL)
		task_start(client, (MSG(ClientCompatRequest) *)message);
	if (client->input_ended && client->open == 0)
		minirpc_loop_stop(client->loop);
	if (client->open >= PARALLEL || client->input_ended)
		ev_io_stop(client->ev, &client->input);
	else
		ev_io_start(client->ev, &client->input);
}

static void on_input(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct client *client = watcher->data;
	ssize_t n = talk_fill(&client->talk, STDIN_FILENO);

	(void)ev;
	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN))
		client->input_ended = true;
	read_on(client);
}

static void on_term(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct client *client = watcher->data;

	(void)ev;
	(void)events;
	minirpc_loop_stop(client->loop);
}

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "conformance_client: %s\n", line);
}

int main(void)
{
	struct client client = { .ev = ev_default_loop(EVFLAG_AUTO) };
	ev_signal term;

	if (client.ev == NULL ||
	    minirpc_loop_new(&client.loop,
			     &(struct minirpc_loop_options){ .ev = client.ev, .log = on_log }) < 0)
		die("conformance_client: no loop");
	compressors_fill(client.compressors);
	ev_signal_init(&term, on_term, SIGTERM);
	term.data = &client;
	ev_signal_start(client.ev, &term);
	ev_io_init(&client.input, on_input, STDIN_FILENO, EV_READ);
	client.input.data = &client;
	ev_io_start(client.ev, &client.input);
	minirpc_loop_run(client.loop);

	ev_io_stop(client.ev, &client.input);
	ev_signal_stop(client.ev, &term);
	for (struct route *route = client.routes, *next; route != NULL; route = next) {
		next = route->next;
		minirpc_channel_free(route->channel);
		free(route->target);
		free(route->ca);
		free(route->cert);
		free(route);
	}
	minirpc_loop_free(client.loop);
	free(client.talk.data);
	ev_loop_destroy(client.ev);
	return 0;
}

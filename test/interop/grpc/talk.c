/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/grpc.testing.TestService/"

const struct method empty_call = { { PATH "EmptyCall", 0 }, &grpc__testing__empty__descriptor };
const struct method unary_call = { { PATH "UnaryCall", 0 },
				   &grpc__testing__simple_response__descriptor };
const struct method input_call = { { PATH "StreamingInputCall", MINIRPC_CLIENT_STREAMING },
				   &grpc__testing__streaming_input_call_response__descriptor };
const struct method output_call = { { PATH "StreamingOutputCall", MINIRPC_SERVER_STREAMING },
				    &grpc__testing__streaming_output_call_response__descriptor };
const struct method full_duplex_call = {
	{ PATH "FullDuplexCall", MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING },
	&grpc__testing__streaming_output_call_response__descriptor
};
const struct method half_duplex_call = {
	{ PATH "HalfDuplexCall", MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING },
	&grpc__testing__streaming_output_call_response__descriptor
};
const struct method unimplemented_method = { { PATH "UnimplementedCall", 0 },
					     &grpc__testing__empty__descriptor };
const struct method unimplemented_service = {
	{ "/grpc.testing.UnimplementedService/UnimplementedCall", 0 },
	&grpc__testing__empty__descriptor
};
const struct method core_metrics = { { "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
				       MINIRPC_SERVER_STREAMING },
				     &xds__data__orca__v3__orca_load_report__descriptor };

/* ---- What is heard ---- */

static const Grpc__Testing__Payload *payload_of(const ProtobufCMessage *message)
{
	if (message->descriptor == &grpc__testing__simple_response__descriptor)
		return ((const Grpc__Testing__SimpleResponse *)message)->payload;
	if (message->descriptor == &grpc__testing__streaming_output_call_response__descriptor)
		return ((const Grpc__Testing__StreamingOutputCallResponse *)message)->payload;
	return NULL;
}

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct talk *talk = user;
	const char *echo = minirpc_metadata_get(metadata, "x-grpc-test-echo-initial");

	(void)call;
	if (echo != NULL)
		talk->echo = strdup(echo);
	talk->moved = true;
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct talk *talk = user;
	struct heard heard = { .len = message->len, .compressed = message->compressed };
	const Grpc__Testing__Payload *payload;

	(void)call;
	talk->moved = true;
	if (talk->last != NULL)
		protobuf_c_message_free_unpacked(talk->last, NULL);
	talk->last = NULL;
	if (minirpc_decode(talk->method->response, message->data, message->len, &talk->last) < 0) {
		talk->wrong = "a response that cannot be decoded";
		return;
	}
	payload = payload_of(talk->last);
	heard.has_payload = payload != NULL;
	heard.body = payload == NULL ? 0 : payload->body.len;
	for (size_t i = 0; i < heard.body; i++)
		if (payload->body.data[i] != 0)
			talk->wrong = "a body that is not all zeros";
	if (payload != NULL && payload->type != GRPC__TESTING__PAYLOAD_TYPE__COMPRESSABLE)
		talk->wrong = "a payload of another type";
	if (talk->count < HEARD_MAX)
		talk->heard[talk->count] = heard;
	talk->count++;
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct talk *talk = user;
	const struct minirpc_metadata *trailers = minirpc_call_trailers(call);
	const struct minirpc_field *field;
	ProtobufCMessage *load;

	talk->moved = true;
	talk->call = NULL;
	talk->code = status->code;
	talk->text = strdup(status->message);
	field = minirpc_metadata_find(trailers, "x-grpc-test-echo-trailing-bin", NULL);
	if (field != NULL && field->len <= sizeof talk->echo_bin) {
		memcpy(talk->echo_bin, field->value, field->len);
		talk->echo_bin_len = field->len;
	}
	field = minirpc_metadata_find(trailers, "endpoint-load-metrics-bin", NULL);
	if (field != NULL && minirpc_decode(&xds__data__orca__v3__orca_load_report__descriptor,
					    field->value, field->len, &load) == 0)
		talk->load = (Xds__Data__Orca__V3__OrcaLoadReport *)load;
}

static void on_writable(minirpc_call *call, void *user)
{
	struct talk *talk = user;

	(void)call;
	talk->moved = true;
}

static const struct minirpc_call_events events = {
	.on_headers = on_headers,
	.on_message = on_message,
	.on_writable = on_writable,
	.on_end = on_end,
};

/* ---- What is said ---- */

static void check(struct talk *talk, int r, const char *wrong)
{
	if (r < 0 && talk->wrong == NULL)
		talk->wrong = wrong;
}

/* Waits for the next event. */
static void wait(struct talk *talk)
{
	talk->moved = false;
	check(talk, minirpc_loop_run_until(talk->client->loop, &talk->moved), "the loop failed");
}

void talk_open(struct talk *talk, struct client *client, const struct method *method,
	       const struct minirpc_call_options *options)
{
	struct minirpc_call_options all = { 0 };

	if (options != NULL)
		all = *options;
	if (all.metadata == NULL)
		all.metadata = client->metadata;
	if (all.timeout == 0)
		all.timeout = MINIRPC_S(60); /* nothing here takes as long */
	*talk = (struct talk){ .client = client, .method = method };
	check(talk,
	      minirpc_call_open(&talk->call, client->channel, &method->method, &all, &events, talk),
	      "the call could not be opened");
}

void talk_send(struct talk *talk, const ProtobufCMessage *message)
{
	int r = -EAGAIN;

	while (talk->call != NULL && talk->wrong == NULL) {
		r = minirpc_typed_send(talk->call, message);
		if (r != -EAGAIN)
			break;
		wait(talk);
	}
	if (talk->call != NULL && r != -EPIPE) /* it is ending; on_end says how */
		check(talk, r, "a request could not be sent");
}

void talk_close(struct talk *talk)
{
	if (talk->call != NULL)
		minirpc_call_end(talk->call, NULL);
}

void talk_hear(struct talk *talk, size_t count)
{
	while (talk->call != NULL && talk->count < count && talk->wrong == NULL)
		wait(talk);
}

void talk_end(struct talk *talk)
{
	while (talk->call != NULL && talk->wrong == NULL)
		wait(talk);
}

void talk_clear(struct talk *talk)
{
	minirpc_call_cancel(talk->call);
	if (talk->last != NULL)
		protobuf_c_message_free_unpacked(talk->last, NULL);
	if (talk->load != NULL)
		protobuf_c_message_free_unpacked(&talk->load->base, NULL);
	free(talk->text);
	free(talk->echo);
	*talk = (struct talk){ 0 };
}

void talk_unary(struct talk *talk, struct client *client, const struct method *method,
		const ProtobufCMessage *request, const struct minirpc_call_options *options)
{
	talk_open(talk, client, method, options);
	talk_send(talk, request);
	talk_close(talk);
	talk_end(talk);
}

static void rested(void *user)
{
	bool *done = user;

	*done = true;
}

void client_rest(struct client *client, minirpc_time span)
{
	bool done = false;

	if (minirpc_timer_start(NULL, client->loop, span, rested, &done) == 0)
		minirpc_loop_run_until(client->loop, &done);
}

/* SPDX-License-Identifier: MIT */
/* Stream: takes the events of a call, bytes, to a table of typed events; the same at both ends.
 *
 *	on_message(bytes) -> check, decode -> ops->on_message(message, events, user)
 *
 * The state lives in the call's memory, so there is nothing to free; and after the user's function
 * has returned it is not looked at, because the user may have ended the call in it. */
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "base/alloc.h"
#include "decode.h"

#include <minirpc/typed.h>

/* Messages that fit are decoded on the stack. */
#define ROOM 4096

struct stream {
	const struct minirpc_typed_method *method;
	const struct minirpc_stream_ops *ops;
	void *user;
	struct mrpc_typed_fault fault; /* a message could not be decoded: the call is over */
	alignas(max_align_t) unsigned char events[];
};

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct stream *stream = user;

	if (stream->ops->on_headers != NULL)
		stream->ops->on_headers(call, metadata, stream->events, stream->user);
}

static void on_message(minirpc_call *call, const struct minirpc_message *bytes, void *user)
{
	struct stream *stream = user;
	bool is_server = minirpc_call_is_server(call);
	struct mrpc_typed_bounds bounds = mrpc_typed_bounds_of(minirpc_call_limits(call));
	uint64_t room[ROOM / sizeof(uint64_t)] __attribute__((uninitialized)); /* decode zeroes */
	ProtobufCMessage *message;
	void *block;
	int r;

	if (stream->ops->on_message == NULL || stream->fault.error != 0)
		return;

	r = mrpc_typed_decode_in_room(&bounds, room, sizeof room,
				      is_server ? stream->method->request
						: stream->method->response,
				      bytes, &message, &block, &stream->fault);
	if (r < 0) {
		char text[MRPC_TYPED_TEXT_SIZE];
		struct minirpc_status status = mrpc_typed_fault_status(
			&stream->fault, is_server ? "request" : "response", text);

		if (mrpc_typed_fault_is_ours(&stream->fault))
			minirpc_call_abort(call, &status);
		else
			minirpc_call_refuse(call, &status);
		return;
	}

	stream->ops->on_message(call, message, stream->events, stream->user);
	mrpc_free(block);
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct stream *stream = user;

	if (stream->ops->on_half_close != NULL && stream->fault.error == 0)
		stream->ops->on_half_close(call, stream->events, stream->user);
}

static void on_writable(minirpc_call *call, void *user)
{
	struct stream *stream = user;

	if (stream->ops->on_writable != NULL)
		stream->ops->on_writable(call, stream->events, stream->user);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct stream *stream = user;
	char text[MRPC_TYPED_TEXT_SIZE];
	struct minirpc_status fault;

	/* A stream that lost a message did not end well, whatever the peer says. */
	if (stream->fault.error != 0 && status->code == MINIRPC_OK) {
		fault = mrpc_typed_fault_status(&stream->fault, "response", text);
		status = &fault;
	}
	if (stream->ops->on_end != NULL)
		stream->ops->on_end(call, status, stream->events, stream->user);
}

int minirpc_stream_listen(minirpc_call *call, const struct minirpc_typed_method *method,
			  const struct minirpc_stream_ops *ops, const void *events,
			  size_t events_size, void *user)
{
	static const struct minirpc_call_events stream_events = {
		.on_headers = on_headers,
		.on_message = on_message,
		.on_half_close = on_half_close,
		.on_writable = on_writable,
		.on_end = on_end,
	};
	struct stream *stream = minirpc_call_alloc(call, sizeof *stream + events_size);

	if (stream == NULL)
		return -ENOMEM;
	stream->method = method;
	stream->ops = ops;
	stream->user = user;
	if (events_size > 0)
		memcpy(stream->events, events, events_size);
	minirpc_call_listen(call, &stream_events, stream);
	return 0;
}

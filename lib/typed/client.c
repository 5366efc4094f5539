/* SPDX-License-Identifier: MIT */
/* Client: calls that take a protobuf-c message, and hand one back.
 *
 *	open -> request -> end of our side   ...   on_message: decode, keep   on_end: deliver, once
 *
 * A response that cannot be decoded aborts the call, and its on_end tells why. What is kept of a
 * call lives in its memory; of a blocking one on the stack of who waits. */
#include <errno.h>

#include "base/alloc.h"
#include "decode.h"

#include <minirpc/typed.h>

/* The one response of a call, as far as it has come. */
struct answer {
	ProtobufCMessage *response;
	struct mrpc_typed_fault fault;
};

static void abort_for(minirpc_call *call, const struct mrpc_typed_fault *fault)
{
	char text[MRPC_TYPED_TEXT_SIZE];
	struct minirpc_status status = mrpc_typed_fault_status(fault, "response", text);

	if (mrpc_typed_fault_is_ours(fault))
		minirpc_call_abort(call, &status);
	else
		minirpc_call_refuse(call, &status);
}

/* What to tell at the end. OK without a response does not get here from lib/call [W-15], nor does
 * OK behind an abort; a user must never see either. */
static struct minirpc_status outcome(const struct answer *answer,
				     const struct minirpc_status *status,
				     char text[MRPC_TYPED_TEXT_SIZE])
{
	if (status->code != MINIRPC_OK || answer->response != NULL)
		return *status;
	if (answer->fault.error != 0)
		return mrpc_typed_fault_status(&answer->fault, "response", text);
	return (struct minirpc_status){ .code = MINIRPC_UNIMPLEMENTED, .message = "no response" };
}

/* Sends the one request and ends our side. On failure the call is cancelled; but -EPIPE is none: a
 * fresh call that is over already (a deadline in the past, a parent that has ended) tells so by
 * on_end. */
static int ask(minirpc_call *call, const ProtobufCMessage *request)
{
	int r = minirpc_typed_send(call, request);

	if (r == 0)
		r = minirpc_call_end(call, NULL);
	if (r == -EPIPE)
		return 0;
	if (r < 0)
		minirpc_call_cancel(call);
	return r;
}

/* ret_call is filled in when nothing can fail any more. */
static int open_call(minirpc_call **ret_call, minirpc_channel *channel,
		     const struct minirpc_typed_method *method,
		     const struct minirpc_call_options *options,
		     const struct minirpc_call_events *events, void *user)
{
	struct minirpc_call_options without;

	if (options != NULL && options->ret_call != NULL) {
		without = *options;
		without.ret_call = NULL;
		options = &without;
	}
	return minirpc_call_open(ret_call, channel, &method->method, options, events, user);
}

/* ---- Unary ---- */

struct unary {
	struct answer answer;
	const struct minirpc_typed_method *method;
	void (*deliver)(minirpc_fn fn, const struct minirpc_status *status, const void *response,
			void *user);
	minirpc_fn fn;
	void *user;
};

static void unary_on_message(minirpc_call *call, const struct minirpc_message *bytes, void *user)
{
	struct unary *unary = user;
	struct answer *answer = &unary->answer;

	if (answer->response != NULL || answer->fault.error != 0)
		return;
	if (mrpc_typed_decode_in_call(call, unary->method->response, bytes, &answer->response,
				      &answer->fault) < 0)
		abort_for(call, &answer->fault);
}

static void unary_on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct unary *unary = user;
	char text[MRPC_TYPED_TEXT_SIZE];
	struct minirpc_status end = outcome(&unary->answer, status, text);

	(void)call;
	unary->deliver(unary->fn, &end, end.code == MINIRPC_OK ? unary->answer.response : NULL,
		       unary->user);
}

int minirpc_unary(minirpc_channel *channel, const struct minirpc_typed_method *method,
		  const ProtobufCMessage *request, const struct minirpc_call_options *options,
		  void (*deliver)(minirpc_fn fn, const struct minirpc_status *status,
				  const void *response, void *user),
		  minirpc_fn fn, void *user)
{
	static const struct minirpc_call_events events = {
		.on_message = unary_on_message,
		.on_end = unary_on_end,
	};
	struct unary *unary;
	minirpc_call *call;
	int r;

	r = open_call(&call, channel, method, options, &events, NULL);
	if (r < 0)
		return r;
	unary = minirpc_call_alloc(call, sizeof *unary);
	if (unary == NULL) {
		minirpc_call_cancel(call);
		return -ENOMEM;
	}
	*unary = (struct unary){ .method = method, .deliver = deliver, .fn = fn, .user = user };
	minirpc_call_listen(call, &events, unary);

	r = ask(call, request);
	if (r == 0 && options != NULL && options->ret_call != NULL)
		*options->ret_call = call;
	return r;
}

/* ---- Unary, blocking ---- */

struct waiting {
	struct answer answer;
	const struct minirpc_typed_method *method;
	struct minirpc_status *ret_status;
	bool is_over;
};

static void waiting_on_message(minirpc_call *call, const struct minirpc_message *bytes, void *user)
{
	struct waiting *waiting = user;
	struct answer *answer = &waiting->answer;
	struct mrpc_typed_bounds bounds = mrpc_typed_bounds_of(minirpc_call_limits(call));

	if (answer->response != NULL || answer->fault.error != 0)
		return;
	if (mrpc_typed_decode_apart(&bounds, waiting->method->response, bytes->data, bytes->len,
				    &answer->response, &answer->fault) < 0)
		abort_for(call, &answer->fault);
}

static void waiting_on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct waiting *waiting = user;
	char text[MRPC_TYPED_TEXT_SIZE];
	struct minirpc_status end = outcome(&waiting->answer, status, text);

	(void)call;
	minirpc_status_copy(waiting->ret_status, &end); /* without memory the code alone */
	waiting->is_over = true;
}

int minirpc_unary_wait(minirpc_channel *channel, const struct minirpc_typed_method *method,
		       const ProtobufCMessage *request, const struct minirpc_call_options *options,
		       void **ret_response, struct minirpc_status *ret_status)
{
	static const struct minirpc_call_events events = {
		.on_message = waiting_on_message,
		.on_end = waiting_on_end,
	};
	struct waiting waiting = { .method = method, .ret_status = ret_status };
	minirpc_call *call;
	int r;

	*ret_response = NULL;
	*ret_status = (struct minirpc_status){ .message = "" };

	r = open_call(&call, channel, method, options, &events, &waiting);
	if (r < 0)
		return r;
	r = ask(call, request);
	if (r < 0)
		return r;
	r = minirpc_call_wait(call);
	if (!waiting.is_over) {
		minirpc_call_cancel(call);
		mrpc_typed_free(waiting.answer.response);
		return r < 0 ? r : -ECANCELED; /* a loop that was stopped */
	}

	if (ret_status->code == MINIRPC_OK)
		*ret_response = waiting.answer.response;
	else
		mrpc_typed_free(waiting.answer.response);
	return 0;
}

/* ---- Streams ---- */

int minirpc_stream_open(minirpc_call **ret_call, minirpc_channel *channel,
			const struct minirpc_typed_method *method, const ProtobufCMessage *request,
			const struct minirpc_call_options *options,
			const struct minirpc_stream_ops *ops, const void *events,
			size_t events_size, void *user)
{
	static const struct minirpc_call_events none = { 0 };
	minirpc_call *call;
	int r;

	r = open_call(&call, channel, method, options, &none, NULL);
	if (r < 0)
		return r;
	r = minirpc_stream_listen(call, method, ops, events, events_size, user);
	if (r < 0) {
		minirpc_call_cancel(call);
		return r;
	}
	if (request != NULL) {
		r = ask(call, request);
		if (r < 0)
			return r;
	}

	*ret_call = call;
	if (options != NULL && options->ret_call != NULL)
		*options->ret_call = call;
	return 0;
}

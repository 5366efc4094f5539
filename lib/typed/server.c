/* SPDX-License-Identifier: MIT */
/* Server: registers the methods of a service and brings their calls to its handlers.
 *
 *	one request     on_message: decode -> on_half_close: on_request(call, request)
 *	many requests   on_headers: on_open(call), which listens (stream.c)
 *	no handler      on_headers: UNIMPLEMENTED
 *
 * Until a handler has been called the call is ours, and we end it when the peer leaves; after that
 * it is the handler's. */
#include <errno.h>
#include <stdalign.h>
#include <string.h>

#include "base/alloc.h"
#include "decode.h"

#include <minirpc/typed.h>

struct served;

struct served_method {
	struct served *served;
	const struct minirpc_binding *binding;
};

/* One service at one server; its methods share it. */
struct served {
	size_t refs; /* methods that are registered, and minirpc_serve while it works */
	void *user;
	const void *handlers; /* behind the methods */
	struct served_method methods[];
};

static void give_back(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	minirpc_call_end(call, status);
}

/* ---- No handler ---- */

static void refuse(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	static const struct minirpc_status unimplemented = {
		.code = MINIRPC_UNIMPLEMENTED,
		.message = "this method is not implemented here",
	};

	(void)metadata;
	(void)user;
	minirpc_call_end(call, &unimplemented);
}

static const struct minirpc_call_events refusing = { .on_headers = refuse, .on_end = give_back };

/* ---- One request ---- */

/* The handler has the call now. Until it listens to something there is nobody to tell. */
static const struct minirpc_call_events handed_over = { 0 };

struct request {
	const struct served_method *method;
	ProtobufCMessage *message;
};

static void hand_over(minirpc_call *call, void *user)
{
	struct request *request = user;
	const struct served *served = request->method->served;

	minirpc_call_listen(call, &handed_over, NULL);
	request->method->binding->on_request(call, request->message, served->handlers,
					     served->user);
}

/* The request is there; its end is still to come. A second one does not get here [W-15]. */
static const struct minirpc_call_events complete = { .on_half_close = hand_over,
						     .on_end = give_back };

static void refuse_request(minirpc_call *call, const struct mrpc_typed_fault *fault)
{
	char text[MRPC_TYPED_TEXT_SIZE];
	const struct minirpc_status status = mrpc_typed_fault_status(fault, "request", text);

	if (!mrpc_typed_fault_is_ours(fault))
		minirpc_call_refuse(call, &status);
	minirpc_call_end(call, &status);
}

static void take_request(minirpc_call *call, const struct minirpc_message *bytes, void *user)
{
	const struct served_method *method = user;
	struct mrpc_typed_fault fault = { .error = -ENOMEM, .what = "found no memory" };
	struct request *request;

	request = minirpc_call_alloc(call, sizeof *request);
	if (request != NULL && mrpc_typed_decode_in_call(call, method->binding->method->request,
							 bytes, &request->message, &fault) == 0) {
		request->method = method;
		minirpc_call_listen(call, &complete, request);
		return;
	}
	refuse_request(call, &fault);
}

/* The end without a request; lib/call answers such a call itself [W-15]. */
static void miss_request(minirpc_call *call, void *user)
{
	static const struct minirpc_status no_request = {
		.code = MINIRPC_UNIMPLEMENTED,
		.message = "no request",
	};

	(void)user;
	minirpc_call_end(call, &no_request);
}

static const struct minirpc_call_events awaiting = {
	.on_message = take_request,
	.on_half_close = miss_request,
	.on_end = give_back,
};

/* ---- Many requests ---- */

static void open_stream(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	const struct served_method *method = user;
	const struct served *served = method->served;

	(void)metadata;
	minirpc_call_listen(call, &handed_over, NULL);
	method->binding->on_open(call, served->handlers, served->user);
}

static const struct minirpc_call_events opening = { .on_headers = open_stream,
						    .on_end = give_back };

/* ---- The service ---- */

static const struct minirpc_call_events *events_of(const struct minirpc_binding *binding,
						   const void *handlers)
{
	if (!binding->is_handled(handlers))
		return &refusing;
	if ((binding->method->method.flags & MINIRPC_CLIENT_STREAMING) != 0)
		return &opening;
	return &awaiting;
}

static void unref(struct served *served)
{
	if (--served->refs == 0)
		mrpc_free(served);
}

static void drop_method(void *user)
{
	struct served_method *method = user;

	unref(method->served);
}

/* [struct served][served_method]...[pad][copy of the user's handlers] */
static struct served *served_new(const struct minirpc_service *service,
				 const struct minirpc_binding *bindings, const void *handlers,
				 size_t handlers_size, void *user)
{
	const size_t align = alignof(max_align_t);
	struct served *served;
	size_t size, i;
	uint8_t *copy;

	if (!mrpc_mul(service->method_count, sizeof served->methods[0], &size) ||
	    !mrpc_add(size, sizeof *served + align - 1, &size))
		return NULL;
	size = size / align * align;
	served = mrpc_alloc(size + handlers_size);
	if (served == NULL)
		return NULL;

	copy = (uint8_t *)served + size;
	if (handlers_size > 0)
		memcpy(copy, handlers, handlers_size);
	*served = (struct served){ .refs = 1, .user = user, .handlers = copy };
	for (i = 0; i < service->method_count; i++)
		served->methods[i] = (struct served_method){ served, &bindings[i] };
	return served;
}

int minirpc_serve(minirpc_server *server, const struct minirpc_service *service,
		  const struct minirpc_binding *bindings, const void *handlers,
		  size_t handlers_size, void *user)
{
	struct served *served;
	size_t i;
	int r = 0;

	served = served_new(service, bindings, handlers, handlers_size, user);
	if (served == NULL)
		return -ENOMEM;

	for (i = 0; i < service->method_count; i++) {
		r = minirpc_server_add(server, &bindings[i].method->method,
				       events_of(&bindings[i], served->handlers),
				       &served->methods[i], drop_method);
		if (r < 0)
			break;
		served->refs++;
	}
	while (r < 0 && i-- > 0)
		minirpc_server_remove(server, bindings[i].method->method.path);

	unref(served);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* What generated stubs are made of: calls whose messages are protobuf-c structs instead of bytes.
 *
 * You rarely call these functions; `protoc --minirpc_out=DIR cache.proto` writes typed wrappers for
 * each method. For a service Cache in package rpc with a unary method Get and a server-streaming
 * method Dump it declares:
 *
 *	// client
 *	int rpc_cache_get(minirpc_channel *, const Rpc__GetReq *, const struct minirpc_call_options *,
 *			  void (*on_done)(const struct minirpc_status *, const Rpc__GetResp *,
 *					  void *user),
 *			  void *user);
 *	int rpc_cache_get_wait(minirpc_channel *, const Rpc__GetReq *,
 *			       const struct minirpc_call_options *, Rpc__GetResp **ret_response,
 *			       struct minirpc_status *ret_status);
 *	int rpc_cache_dump_open(rpc_cache_dump_caller **, minirpc_channel *, const Rpc__DumpReq *,
 *				const struct minirpc_call_options *,
 *				const struct rpc_cache_dump_events *, void *user);
 *	// client streams also: _send, _end; every stream: _cancel, _caller_call (the minirpc_call below)
 *
 *	// server
 *	int rpc_cache_serve(minirpc_server *, const struct rpc_cache_handlers *, void *user);
 *	int rpc_cache_get_reply(rpc_cache_get_callee *, const Rpc__GetResp *);      // answers and ends
 *	void rpc_cache_get_fail(rpc_cache_get_callee *, enum minirpc_code, const char *format, ...);
 *	int rpc_cache_dump_reply(rpc_cache_dump_callee *, const Rpc__DumpItem *);   // one message
 *	int rpc_cache_dump_finish(rpc_cache_dump_callee *);                         // ends with OK
 *	int rpc_cache_dump_listen(rpc_cache_dump_callee *, const struct rpc_cache_dump_callee_events *,
 *				  void *user);
 *	minirpc_call *rpc_cache_dump_call(rpc_cache_dump_callee *);                 // the minirpc_call
 *
 * What call.h can do with a minirpc_call goes for these too: metadata, pause, deadline, compression
 * (minirpc_call_set_compression(rpc_cache_get_call(callee), "gzip"), before it replies).
 *
 * Messages that arrive are checked against their descriptor (wire format, nesting at most 100,
 * UTF-8 without NUL in strings, required fields) before protobuf-c sees them, then decoded into
 * zeroed memory with a budget of 64 KiB + 32 times the message's length, at most 64 MiB (both are
 * options, see max_decode_ in limits.h). What fails costs the call: INTERNAL, or
 * RESOURCE_EXHAUSTED for the budget and for lack of memory [W-16]. A stream's handler hears of it
 * by on_end, with that status, and then ends the call as if the peer had left.
 *
 * How long a message lives: the request of a unary or server-streaming method until its handler
 * ends the call; every other message during its event; the response of a _wait call is yours,
 * free it with x__free_unpacked(response, NULL). */
#ifndef MINIRPC_TYPED_H
#define MINIRPC_TYPED_H

#include <protobuf-c/protobuf-c.h>

#include <minirpc/channel.h>
#include <minirpc/server.h>

#ifdef __cplusplus
extern "C" {
#endif

struct minirpc_typed_method {
	struct minirpc_method method;
	const ProtobufCMessageDescriptor *request;
	const ProtobufCMessageDescriptor *response;
};

/* A .proto file as the compiler saw it: a serialized google.protobuf.FileDescriptorProto, for
 * reflection. */
struct minirpc_file {
	const char *name; /* "rpc/cache.proto" */
	const uint8_t *descriptor;
	size_t descriptor_len;
	const struct minirpc_file *const *imports; /* ended by NULL */
};

struct minirpc_service {
	const char *name; /* "rpc.Cache" */
	const struct minirpc_file *file;
	const struct minirpc_typed_method *methods;
	size_t method_count;
};

/* Any function, to be cast back to what it is before it is called. */
typedef void (*minirpc_fn)(void);

/* ---- Client ---- */

/* Starts a unary call. When it is over, deliver(fn, status, response, user) is called once,
 * response NULL unless the status is OK. Returns 0 or the errors of minirpc_call_open and
 * minirpc_call_send; then deliver is not called. */
MINIRPC_API int minirpc_unary(minirpc_channel *channel, const struct minirpc_typed_method *method,
			      const ProtobufCMessage *request,
			      const struct minirpc_call_options *options,
			      void (*deliver)(minirpc_fn fn, const struct minirpc_status *status,
					      const void *response, void *user),
			      minirpc_fn fn, void *user);

/* A unary call that blocks. Returns 0 when the call took place: *ret_status tells how it ended
 * (clear it with minirpc_status_clear), *ret_response is the response when the status is OK and
 * NULL otherwise (free it with its free_unpacked function). Otherwise the errors of minirpc_unary
 * and minirpc_call_wait, with both outputs empty. */
MINIRPC_API int minirpc_unary_wait(minirpc_channel *channel,
				   const struct minirpc_typed_method *method,
				   const ProtobufCMessage *request,
				   const struct minirpc_call_options *options, void **ret_response,
				   struct minirpc_status *ret_status);

/* ---- Streams, both ends ---- */

/* Generated: takes an event to the typed table that stands behind `events`. NULL: such an event
 * does not exist. */
struct minirpc_stream_ops {
	void (*on_headers)(minirpc_call *call, const struct minirpc_metadata *metadata,
			   const void *events, void *user);
	void (*on_message)(minirpc_call *call, const void *message, const void *events, void *user);
	void (*on_half_close)(minirpc_call *call, const void *events, void *user);
	void (*on_writable)(minirpc_call *call, const void *events, void *user);
	void (*on_end)(minirpc_call *call, const struct minirpc_status *status, const void *events,
		       void *user);
};

/* Opens a stream. request: for a method with one request, which is sent and our side ended; NULL
 * for client streaming. The table `events` of events_size bytes is copied. Errors as
 * minirpc_unary. */
MINIRPC_API int minirpc_stream_open(minirpc_call **ret_call, minirpc_channel *channel,
				    const struct minirpc_typed_method *method,
				    const ProtobufCMessage *request,
				    const struct minirpc_call_options *options,
				    const struct minirpc_stream_ops *ops, const void *events,
				    size_t events_size, void *user);

/* Server: gives a stream its table of events; in the handler of the call. The table is copied.
 * Returns 0 or -ENOMEM. */
MINIRPC_API int minirpc_stream_listen(minirpc_call *call, const struct minirpc_typed_method *method,
				      const struct minirpc_stream_ops *ops, const void *events,
				      size_t events_size, void *user);

/* Sends one message of either end, by the send rule of minirpc_call_send. Packs straight into
 * the call's queue. Returns its errors, or -EINVAL for a struct that was never initialised
 * (X__INIT). */
MINIRPC_API int minirpc_typed_send(minirpc_call *call, const ProtobufCMessage *message);

/* Server: sends the one response and ends the call with OK. The call is given back in any case;
 * when the response could not be taken it ends with RESOURCE_EXHAUSTED (no memory, too large)
 * instead. Returns 0, -ENOMEM, -EMSGSIZE, -EPIPE (the call was over), -EPROTO (the response was
 * sent before), or -EINVAL and INTERNAL for a struct that was never initialised, -EIO and
 * INTERNAL when it could not be compressed. */
MINIRPC_API int minirpc_typed_reply(minirpc_call *call, const ProtobufCMessage *response);

/* ---- Server ---- */

/* Generated: one method as the server calls it. */
struct minirpc_binding {
	const struct minirpc_typed_method *method;
	/* True when the user's table has a handler for it; otherwise calls are answered
	 * UNIMPLEMENTED. */
	bool (*is_handled)(const void *handlers);
	/* Methods with one request: it has arrived, and it lives until the call ends. */
	void (*on_request)(minirpc_call *call, const void *request, const void *handlers,
			   void *user);
	/* Client streaming methods: a call has come in. */
	void (*on_open)(minirpc_call *call, const void *handlers, void *user);
};

/* Registers all methods of a service. `handlers`, a table of handlers_size bytes, is copied.
 * bindings has service->method_count entries and must stay valid. Returns 0, -EEXIST (the service
 * is registered), -ENOMEM; then nothing was registered. */
MINIRPC_API int minirpc_serve(minirpc_server *server, const struct minirpc_service *service,
			      const struct minirpc_binding *bindings, const void *handlers,
			      size_t handlers_size, void *user);

/* ---- Codec, for those who need it alone ---- */

/* Checks len bytes against the descriptor, then decodes them into one allocation-counted message
 * that protobuf_c_message_free_unpacked(message, NULL) frees. Returns 0, -EBADMSG (malformed: wire
 * format, depth, UTF-8, missing required field), -E2BIG (above the budget), -ENOMEM. */
MINIRPC_API int minirpc_decode(const ProtobufCMessageDescriptor *descriptor, const void *data,
			       size_t len, ProtobufCMessage **ret_message);

#ifdef __cplusplus
}
#endif

#endif

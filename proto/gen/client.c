/* SPDX-License-Identifier: MIT */
/* What a client calls: unary calls with a callback or blocking, and streams with a table of events. */
#include "stubs.h"

/* Templates keep their lines. */
/* clang-format off */
static const char unary_header[] =
	"/* $signature$\n"
	"$comment$"
	" *\n"
	" * When the call is over, on_done (may be NULL) is called once: how it ended, and the response,\n"
	" * valid until on_done returns; NULL unless the status is OK. Returns 0 or a negative errno;\n"
	" * then on_done is not called. */\n"
	"int @$m$(minirpc_channel *channel, const $req$ *request,\n"
	"\tconst struct minirpc_call_options *options,\n"
	"\tvoid (*on_done)(const struct minirpc_status *status, const $resp$ *response,\n"
	"\t\tvoid *user),\n"
	"\tvoid *user);\n"
	"\n"
	"/* The same, blocking. Returns 0 when the call took place: *ret_status says how it ended (give it\n"
	" * to minirpc_status_clear), and *ret_response is the response, or NULL unless the status is OK.\n"
	" * It is yours: $free$. */\n"
	"int @$m$_wait(minirpc_channel *channel, const $req$ *request,\n"
	"\tconst struct minirpc_call_options *options,\n"
	"\t$resp$ **ret_response, struct minirpc_status *ret_status);\n"
	"\n";

static const char unary_source[] =
	"static void @$m$__deliver(minirpc_fn fn,\n"
	"\tconst struct minirpc_status *status, const void *response, void *user)\n"
	"{\n"
	"\ttypedef void on_done_fn(const struct minirpc_status *, const $resp$ *, void *);\n"
	"\n"
	"\tif (fn != NULL)\n"
	"\t\t((on_done_fn *)fn)(status, response, user);\n"
	"}\n"
	"\n"
	"int $m$(minirpc_channel *channel, const $req$ *request,\n"
	"\tconst struct minirpc_call_options *options,\n"
	"\tvoid (*on_done)(const struct minirpc_status *status, const $resp$ *response,\n"
	"\t\tvoid *user),\n"
	"\tvoid *user)\n"
	"{\n"
	"\treturn minirpc_unary(channel, &$s$__methods[$index$],\n"
	"\t\t(const ProtobufCMessage *)request, options, $m$__deliver, (minirpc_fn)on_done,\n"
	"\t\tuser);\n"
	"}\n"
	"\n"
	"int $m$_wait(minirpc_channel *channel, const $req$ *request,\n"
	"\tconst struct minirpc_call_options *options,\n"
	"\t$resp$ **ret_response, struct minirpc_status *ret_status)\n"
	"{\n"
	"\tvoid *response = NULL;\n"
	"\tint r;\n"
	"\n"
	"\tr = minirpc_unary_wait(channel, &$s$__methods[$index$],\n"
	"\t\t(const ProtobufCMessage *)request, options, &response, ret_status);\n"
	"\t*ret_response = response;\n"
	"\treturn r;\n"
	"}\n"
	"\n";

/* ---- Streams ---- */

static const char events_header[] =
	"/* $signature$\n"
	"$comment$"
	" *\n"
	" * What can happen to a call; every pointer may be NULL. */\n"
	"struct @$m$_events {\n"
	"\t/* The server's initial metadata. */\n"
	"\tvoid (*on_headers)($m$_caller *call,\n"
	"\t\tconst struct minirpc_metadata *metadata, void *user);\n";

static const char on_message_header[] =
	"\tvoid (*on_message)($m$_caller *call, const $resp$ *message, void *user);\n";

static const char on_writable_header[] =
	"\t/* After _send answered -EAGAIN: there is room again. */\n"
	"\tvoid (*on_writable)($m$_caller *call, void *user);\n";

static const char on_end_header[] =
	"\t/* The call is over, and its handle is gone when this returns. */\n"
	"\tvoid (*on_end)($m$_caller *call, const struct minirpc_status *status,\n"
	"\t\tvoid *user);\n"
	"};\n"
	"\n";

static const char open_one_header[] =
	"/* Opens a call and sends its one request. The table of events is copied. Returns 0 or a negative\n"
	" * errno; then nothing was opened. */\n"
	"int @$m$_open($m$_caller **ret_call, minirpc_channel *channel,\n"
	"\tconst $req$ *request, const struct minirpc_call_options *options,\n"
	"\tconst struct $m$_events *events, void *user);\n"
	"\n";

static const char open_many_header[] =
	"/* Opens a call; requests follow by _send. The table of events is copied. Returns 0 or a negative\n"
	" * errno; then nothing was opened. */\n"
	"int @$m$_open($m$_caller **ret_call, minirpc_channel *channel,\n"
	"\tconst struct minirpc_call_options *options,\n"
	"\tconst struct $m$_events *events, void *user);\n"
	"\n"
	"/* Sends one request. Returns 0; -EAGAIN: the queue is full, nothing was taken, and one\n"
	" * on_writable follows; -EPIPE: over; or what else minirpc_call_send says. */\n"
	"int @$m$_send($m$_caller *call, const $req$ *message);\n"
	"\n"
	"/* No more requests. Returns 0, or -EPIPE. */\n"
	"int @$m$_end($m$_caller *call);\n"
	"\n";

static const char cancel_header[] =
	"/* A goodbye: no event follows, and the handle is gone. */\n"
	"void @$m$_cancel($m$_caller *call);\n"
	"\n"
	"/* The call as minirpc/call.h sees it: peer, trailers, pause and resume. */\n"
	"minirpc_call *@$m$_caller_call($m$_caller *call);\n"
	"\n";

static const char events_source[] =
	"static void @$m$__caller_on_headers(minirpc_call *call,\n"
	"\tconst struct minirpc_metadata *metadata, const void *events, void *user)\n"
	"{\n"
	"\tconst struct $m$_events *table = events;\n"
	"\n"
	"\tif (table->on_headers != NULL)\n"
	"\t\ttable->on_headers(($m$_caller *)call, metadata, user);\n"
	"}\n"
	"\n"
	"static void @$m$__caller_on_message(minirpc_call *call, const void *message,\n"
	"\tconst void *events, void *user)\n"
	"{\n"
	"\tconst struct $m$_events *table = events;\n"
	"\n"
	"\tif (table->on_message != NULL)\n"
	"\t\ttable->on_message(($m$_caller *)call, message, user);\n"
	"}\n"
	"\n";

static const char on_writable_source[] =
	"static void @$m$__caller_on_writable(minirpc_call *call, const void *events,\n"
	"\tvoid *user)\n"
	"{\n"
	"\tconst struct $m$_events *table = events;\n"
	"\n"
	"\tif (table->on_writable != NULL)\n"
	"\t\ttable->on_writable(($m$_caller *)call, user);\n"
	"}\n"
	"\n";

static const char on_end_source[] =
	"static void @$m$__caller_on_end(minirpc_call *call,\n"
	"\tconst struct minirpc_status *status, const void *events, void *user)\n"
	"{\n"
	"\tconst struct $m$_events *table = events;\n"
	"\n"
	"\tif (table->on_end != NULL)\n"
	"\t\ttable->on_end(($m$_caller *)call, status, user);\n"
	"}\n"
	"\n"
	"static const struct minirpc_stream_ops @$m$__caller_ops = {\n"
	"\t.on_headers = $m$__caller_on_headers,\n"
	"\t.on_message = $m$__caller_on_message,\n";

static const char ops_writable_source[] = "\t.on_writable = $m$__caller_on_writable,\n";

static const char ops_end_source[] = "\t.on_end = $m$__caller_on_end,\n"
				     "};\n"
				     "\n";

static const char open_one_source[] =
	"int $m$_open($m$_caller **ret_call, minirpc_channel *channel,\n"
	"\tconst $req$ *request, const struct minirpc_call_options *options,\n"
	"\tconst struct $m$_events *events, void *user)\n"
	"{\n"
	"\tminirpc_call *call = NULL;\n"
	"\tint r;\n"
	"\n"
	"\tr = minirpc_stream_open(&call, channel, &$s$__methods[$index$],\n"
	"\t\t(const ProtobufCMessage *)request, options, &$m$__caller_ops, events,\n"
	"\t\tsizeof *events, user);\n"
	"\tif (r == 0)\n"
	"\t\t*ret_call = ($m$_caller *)call;\n"
	"\treturn r;\n"
	"}\n"
	"\n";

static const char open_many_source[] =
	"int $m$_open($m$_caller **ret_call, minirpc_channel *channel,\n"
	"\tconst struct minirpc_call_options *options,\n"
	"\tconst struct $m$_events *events, void *user)\n"
	"{\n"
	"\tminirpc_call *call = NULL;\n"
	"\tint r;\n"
	"\n"
	"\tr = minirpc_stream_open(&call, channel, &$s$__methods[$index$], NULL, options,\n"
	"\t\t&$m$__caller_ops, events, sizeof *events, user);\n"
	"\tif (r == 0)\n"
	"\t\t*ret_call = ($m$_caller *)call;\n"
	"\treturn r;\n"
	"}\n"
	"\n"
	"int $m$_send($m$_caller *call, const $req$ *message)\n"
	"{\n"
	"\treturn minirpc_typed_send((minirpc_call *)call, (const ProtobufCMessage *)message);\n"
	"}\n"
	"\n"
	"int $m$_end($m$_caller *call)\n"
	"{\n"
	"\treturn minirpc_call_end((minirpc_call *)call, NULL);\n"
	"}\n"
	"\n";

static const char cancel_source[] =
	"void $m$_cancel($m$_caller *call)\n"
	"{\n"
	"\tminirpc_call_cancel((minirpc_call *)call);\n"
	"}\n"
	"\n"
	"minirpc_call *$m$_caller_call($m$_caller *call)\n"
	"{\n"
	"\treturn (minirpc_call *)call;\n"
	"}\n"
	"\n";

/* clang-format on */

static void generate_stream(struct stubs *stubs, const struct method *method)
{
	struct text *header = &stubs->header, *source = &stubs->source;
	const struct scope *scope = &method->scope;

	text_expand(header, scope, events_header);
	text_puts(header,
		  method->many_responses ? "\t/* One of the responses" : "\t/* The response");
	text_puts(header, ", valid during the event. */\n");
	text_expand(header, scope, on_message_header);
	if (method->many_requests)
		text_expand(header, scope, on_writable_header);
	text_expand(header, scope, on_end_header);
	text_expand(header, scope, method->many_requests ? open_many_header : open_one_header);
	text_expand(header, scope, cancel_header);

	text_expand(source, scope, events_source);
	if (method->many_requests)
		text_expand(source, scope, on_writable_source);
	text_expand(source, scope, on_end_source);
	if (method->many_requests)
		text_expand(source, scope, ops_writable_source);
	text_expand(source, scope, ops_end_source);
	text_expand(source, scope, method->many_requests ? open_many_source : open_one_source);
	text_expand(source, scope, cancel_source);
}

void client_generate(struct stubs *stubs, const struct service *service)
{
	text_expand(&stubs->header, &service->scope, "/* ---- $name$: client ---- */\n\n");
	text_expand(&stubs->source, &service->scope, "/* ---- $name$: client ---- */\n\n");
	for (size_t i = 0; i < service->method_count; i++) {
		const struct method *method = &service->methods[i];

		if (method->many_requests || method->many_responses) {
			generate_stream(stubs, method);
		} else {
			text_expand(&stubs->header, &method->scope, unary_header);
			text_expand(&stubs->source, &method->scope, unary_source);
		}
	}
}

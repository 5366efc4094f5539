/* SPDX-License-Identifier: MIT */
/* What a server calls: one table of handlers for a service, and verbs to answer with. */
#include "stubs.h"

/* ---- The header ---- */

/* Templates keep their lines. */
/* clang-format off */
static const char handlers_header[] =
	"/* The handlers of $name$. Those that are NULL answer UNIMPLEMENTED.\n"
	" * A handler may answer at once or later; the call lives until it is answered (_reply of a single\n"
	" * response, _finish, _fail), also when the client has left. A request lives as long as its call. */\n"
	"struct @$s$_handlers {\n";

static const char handler_one_header[] =
	"\tvoid (*$member$)($m$_callee *call, const $req$ *request, void *user);\n";

static const char handler_many_header[] = "\tvoid (*$member$)($m$_callee *call, void *user);\n";

static const char serve_header[] =
	"};\n"
	"\n"
	"/* Adds $name$ to a server; the table of handlers is copied.\n"
	" * Returns 0, -EEXIST (it was added before), -ENOMEM. */\n"
	"int @$s$_serve(minirpc_server *server, const struct $s$_handlers *handlers,\n"
	"\tvoid *user);\n"
	"\n";

static const char reply_once_header[] =
	"/* $signature$\n"
	" *\n"
	" * Answers, and ends the call in any case. Returns 0, or a negative errno: the response could not\n"
	" * be taken, and the client sees RESOURCE_EXHAUSTED instead. */\n"
	"int @$m$_reply($m$_callee *call, const $resp$ *response);\n"
	"\n";

static const char reply_many_header[] =
	"/* $signature$\n"
	" *\n"
	" * Sends one response of many. Returns 0; -EAGAIN: the queue is full, nothing was taken, and one\n"
	" * on_writable follows; -EPIPE: the client has left; or what else minirpc_call_send says. */\n"
	"int @$m$_reply($m$_callee *call, const $resp$ *response);\n"
	"\n"
	"/* No more responses: ends the call with OK. */\n"
	"void @$m$_finish($m$_callee *call);\n"
	"\n";

static const char fail_header[] =
	"/* Ends the call with a status and a formatted text. */\n"
	"void @$m$_fail($m$_callee *call, enum minirpc_code code,\n"
	"\tconst char *format, ...) MINIRPC_PRINTF(3, 4);\n"
	"\n";

static const char events_header[] = "/* What else can happen to a call; every pointer may be NULL. */\n"
				    "struct @$m$_callee_events {\n";

static const char on_message_header[] =
	"\t/* One of the requests, valid during the event. */\n"
	"\tvoid (*on_message)($m$_callee *call, const $req$ *message, void *user);\n"
	"\t/* There will be no more requests. */\n"
	"\tvoid (*on_half_close)($m$_callee *call, void *user);\n";

static const char on_writable_header[] =
	"\t/* After _reply answered -EAGAIN: there is room again. */\n"
	"\tvoid (*on_writable)($m$_callee *call, void *user);\n";

static const char on_end_header[] =
	"\t/* The client has left before the call was answered. Nothing arrives any more; the call still\n"
	"\t * has to be ended, now or later. */\n"
	"\tvoid (*on_end)($m$_callee *call, const struct minirpc_status *status,\n"
	"\t\tvoid *user);\n"
	"};\n"
	"\n"
	"/* Listens to these events, from inside the handler; the table is copied. Returns 0 or -ENOMEM. */\n"
	"int @$m$_listen($m$_callee *call,\n"
	"\tconst struct $m$_callee_events *events, void *user);\n"
	"\n"
	"/* The call as minirpc/call.h sees it: metadata, peer, deadline, and .parent of other calls. */\n"
	"minirpc_call *@$m$_call($m$_callee *call);\n"
	"\n";

/* clang-format on */

static void generate_header(struct stubs *stubs, const struct service *service)
{
	struct text *header = &stubs->header;

	text_expand(header, &service->scope, "/* ---- $name$: server ---- */\n\n");
	text_expand(header, &service->scope, handlers_header);
	for (size_t i = 0; i < service->method_count; i++) {
		const struct method *method = &service->methods[i];

		text_expand(header, &method->scope,
			    method->many_requests ? handler_many_header : handler_one_header);
	}
	if (service->method_count == 0)
		text_puts(header, "\tvoid *unused; /* there are no methods */\n");
	text_expand(header, &service->scope, serve_header);

	for (size_t i = 0; i < service->method_count; i++) {
		const struct method *method = &service->methods[i];
		const struct scope *scope = &method->scope;

		text_expand(header, scope,
			    method->many_responses ? reply_many_header : reply_once_header);
		text_expand(header, scope, fail_header);
		text_expand(header, scope, events_header);
		if (method->many_requests)
			text_expand(header, scope, on_message_header);
		if (method->many_responses)
			text_expand(header, scope, on_writable_header);
		text_expand(header, scope, on_end_header);
	}
}

/* ---- The source ---- */

/* clang-format off */
static const char is_handled_source[] =
	"static bool @$m$__is_handled(const void *handlers)\n"
	"{\n"
	"\tconst struct $s$_handlers *table = handlers;\n"
	"\n"
	"\treturn table->$member$ != NULL;\n"
	"}\n"
	"\n";

static const char on_request_source[] =
	"static void @$m$__on_request(minirpc_call *call, const void *request,\n"
	"\tconst void *handlers, void *user)\n"
	"{\n"
	"\tconst struct $s$_handlers *table = handlers;\n"
	"\n"
	"\ttable->$member$(($m$_callee *)call, request, user);\n"
	"}\n"
	"\n";

static const char on_open_source[] =
	"static void @$m$__on_open(minirpc_call *call, const void *handlers, void *user)\n"
	"{\n"
	"\tconst struct $s$_handlers *table = handlers;\n"
	"\n"
	"\ttable->$member$(($m$_callee *)call, user);\n"
	"}\n"
	"\n";

static const char on_message_source[] =
	"static void @$m$__callee_on_message(minirpc_call *call, const void *message,\n"
	"\tconst void *events, void *user)\n"
	"{\n"
	"\tconst struct $m$_callee_events *table = events;\n"
	"\n"
	"\tif (table->on_message != NULL)\n"
	"\t\ttable->on_message(($m$_callee *)call, message, user);\n"
	"}\n"
	"\n"
	"static void @$m$__callee_on_half_close(minirpc_call *call, const void *events,\n"
	"\tvoid *user)\n"
	"{\n"
	"\tconst struct $m$_callee_events *table = events;\n"
	"\n"
	"\tif (table->on_half_close != NULL)\n"
	"\t\ttable->on_half_close(($m$_callee *)call, user);\n"
	"}\n"
	"\n";

static const char on_writable_source[] =
	"static void @$m$__callee_on_writable(minirpc_call *call, const void *events,\n"
	"\tvoid *user)\n"
	"{\n"
	"\tconst struct $m$_callee_events *table = events;\n"
	"\n"
	"\tif (table->on_writable != NULL)\n"
	"\t\ttable->on_writable(($m$_callee *)call, user);\n"
	"}\n"
	"\n";

static const char on_end_source[] =
	"static void @$m$__callee_on_end(minirpc_call *call,\n"
	"\tconst struct minirpc_status *status, const void *events, void *user)\n"
	"{\n"
	"\tconst struct $m$_callee_events *table = events;\n"
	"\n"
	"\tif (table->on_end != NULL)\n"
	"\t\ttable->on_end(($m$_callee *)call, status, user);\n"
	"}\n"
	"\n"
	"static const struct minirpc_stream_ops @$m$__callee_ops = {\n";

static const char ops_message_source[] = "\t.on_message = $m$__callee_on_message,\n"
					 "\t.on_half_close = $m$__callee_on_half_close,\n";

static const char ops_writable_source[] = "\t.on_writable = $m$__callee_on_writable,\n";

static const char ops_end_source[] = "\t.on_end = $m$__callee_on_end,\n"
				     "};\n"
				     "\n";

static const char reply_once_source[] =
	"int $m$_reply($m$_callee *call, const $resp$ *response)\n"
	"{\n"
	"\treturn minirpc_typed_reply((minirpc_call *)call, (const ProtobufCMessage *)response);\n"
	"}\n"
	"\n";

static const char reply_many_source[] =
	"int $m$_reply($m$_callee *call, const $resp$ *response)\n"
	"{\n"
	"\treturn minirpc_typed_send((minirpc_call *)call, (const ProtobufCMessage *)response);\n"
	"}\n"
	"\n"
	"void $m$_finish($m$_callee *call)\n"
	"{\n"
	"\t(void)minirpc_call_end((minirpc_call *)call, NULL);\n"
	"}\n"
	"\n";

static const char verbs_source[] =
	"void $m$_fail($m$_callee *call, enum minirpc_code code,\n"
	"\tconst char *format, ...)\n"
	"{\n"
	"\tva_list args;\n"
	"\n"
	"\tva_start(args, format);\n"
	"\tminirpc_call_vfail((minirpc_call *)call, code, format, args);\n"
	"\tva_end(args);\n"
	"}\n"
	"\n"
	"int $m$_listen($m$_callee *call,\n"
	"\tconst struct $m$_callee_events *events, void *user)\n"
	"{\n"
	"\treturn minirpc_stream_listen((minirpc_call *)call, &$s$__methods[$index$],\n"
	"\t\t&$m$__callee_ops, events, sizeof *events, user);\n"
	"}\n"
	"\n"
	"minirpc_call *$m$_call($m$_callee *call)\n"
	"{\n"
	"\treturn (minirpc_call *)call;\n"
	"}\n"
	"\n";

static const char binding_one_source[] = "\t{ .method = &$s$__methods[$index$],\n"
					 "\t  .is_handled = $m$__is_handled,\n"
					 "\t  .on_request = $m$__on_request },\n";

static const char binding_many_source[] = "\t{ .method = &$s$__methods[$index$],\n"
					  "\t  .is_handled = $m$__is_handled,\n"
					  "\t  .on_open = $m$__on_open },\n";

static const char serve_source[] =
	"int $s$_serve(minirpc_server *server, const struct $s$_handlers *handlers,\n"
	"\tvoid *user)\n"
	"{\n"
	"\treturn minirpc_serve(server, &$s$_service, $bindings$, handlers, sizeof *handlers,\n"
	"\t\tuser);\n"
	"}\n"
	"\n";

/* clang-format on */

static void generate_method(struct text *source, const struct method *method)
{
	const struct scope *scope = &method->scope;

	text_expand(source, scope, is_handled_source);
	text_expand(source, scope, method->many_requests ? on_open_source : on_request_source);
	if (method->many_requests)
		text_expand(source, scope, on_message_source);
	if (method->many_responses)
		text_expand(source, scope, on_writable_source);
	text_expand(source, scope, on_end_source);
	if (method->many_requests)
		text_expand(source, scope, ops_message_source);
	if (method->many_responses)
		text_expand(source, scope, ops_writable_source);
	text_expand(source, scope, ops_end_source);
	text_expand(source, scope, method->many_responses ? reply_many_source : reply_once_source);
	text_expand(source, scope, verbs_source);
}

static void generate_source(struct stubs *stubs, const struct service *service)
{
	struct text *source = &stubs->source;

	text_expand(source, &service->scope, "/* ---- $name$: server ---- */\n\n");
	for (size_t i = 0; i < service->method_count; i++)
		generate_method(source, &service->methods[i]);

	if (service->method_count > 0) {
		text_expand(source, &service->scope,
			    "static const struct minirpc_binding @$s$__bindings[] = {\n");
		for (size_t i = 0; i < service->method_count; i++)
			text_expand(source, &service->methods[i].scope,
				    service->methods[i].many_requests ? binding_many_source
								      : binding_one_source);
		text_puts(source, "};\n\n");
	}
	text_expand(source, &service->scope, serve_source);
}

void server_generate(struct stubs *stubs, const struct service *service)
{
	generate_header(stubs, service);
	generate_source(stubs, service);
}

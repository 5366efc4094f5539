/* SPDX-License-Identifier: MIT */
/* Finds the types of all methods and the names that the templates speak of. */
#include "stubs.h"

#include <string.h>

#include "names.h"

/* "MINIRPC_CLIENT_STREAMING | MINIRPC_IDEMPOTENT". What only looks may be repeated as well. */
static const char *method_flags(struct arena *arena, const struct method *method)
{
	const Google__Protobuf__MethodOptions *options = method->proto->options;
	struct text flags = { .arena = arena };

	if (method->many_requests)
		text_puts(&flags, " | MINIRPC_CLIENT_STREAMING");
	if (method->many_responses)
		text_puts(&flags, " | MINIRPC_SERVER_STREAMING");
	if (options != NULL && options->has_idempotency_level) {
		switch (options->idempotency_level) {
		case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__NO_SIDE_EFFECTS:
			text_puts(&flags, " | MINIRPC_IDEMPOTENT | MINIRPC_NO_SIDE_EFFECTS");
			break;
		case GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENT:
			text_puts(&flags, " | MINIRPC_IDEMPOTENT");
			break;
		default:
			break;
		}
	}
	return flags.len == 0 ? "0" : text_string(&flags) + strlen(" | ");
}

/* How the reader of the header frees a message that is his: protoc-gen-c writes x__free_unpacked for
 * messages that are not inside another one. */
static const char *how_to_free(struct arena *arena, const struct type *type)
{
	if (type->is_nested)
		return arena_format(arena,
				    "protobuf_c_message_free_unpacked(&(*ret_response)->%s, NULL)",
				    type->base);
	return arena_format(arena, "%s__free_unpacked(*ret_response, NULL)", type->lower);
}

/* "Dump(rpc.DumpReq) returns (stream rpc.DumpItem)" */
static const char *signature(struct arena *arena, const struct method *method)
{
	struct text text = { .arena = arena };

	text_comment(&text, method->proto->name, strlen(method->proto->name));
	text_printf(&text, "(%s", method->many_requests ? "stream " : "");
	text_puts(&text, method->request->full_name);
	text_printf(&text, ") returns (%s", method->many_responses ? "stream " : "");
	text_puts(&text, method->response->full_name);
	text_puts(&text, ")");
	return text_string(&text);
}

static bool prepare_method(struct stubs *stubs, const struct service *service,
			   const char *service_name, const char *service_verb,
			   struct method *method)
{
	struct arena *arena = stubs->model->arena;
	const char *name = method->proto->name;
	const char *word = name_verb(arena, name);
	struct var *vars = arena_alloc(arena, 16 * sizeof *vars), *var = vars;

	method->request = model_type(stubs->model, method->proto->input_type);
	method->response = model_type(stubs->model, method->proto->output_type);
	if (method->request == NULL || method->response == NULL)
		return model_fail(stubs->model, "%s: %s.%s uses a message that was not given: %s",
				  stubs->file->name, service_name, name,
				  method->request == NULL ? method->proto->input_type
							  : method->proto->output_type);
	method->many_requests = method->proto->client_streaming;
	method->many_responses = method->proto->server_streaming;

	/* A service has two names of its own. */
	if (strcmp(word, "serve") == 0 || strcmp(word, "service") == 0)
		word = arena_format(arena, "%s_", word);

	*var++ = (struct var){ "s", service_verb };
	*var++ = (struct var){ "m", arena_format(arena, "%s_%s", service_verb, word) };
	*var++ = (struct var){ "member", name_member(arena, name) };
	*var++ = (struct var){ "req", method->request->c };
	*var++ = (struct var){ "resp", method->response->c };
	*var++ = (struct var){ "req_lower", method->request->lower };
	*var++ = (struct var){ "resp_lower", method->response->lower };
	*var++ = (struct var){ "path", arena_format(arena, "/%s/%s", service_name, name) };
	*var++ = (struct var){ "index",
			       arena_format(arena, "%zu", (size_t)(method - service->methods)) };
	*var++ = (struct var){ "flags", method_flags(arena, method) };
	*var++ = (struct var){ "free", how_to_free(arena, method->response) };
	*var++ = (struct var){ "signature", signature(arena, method) };
	*var++ = (struct var){ "comment", method->comment };

	method->scope = (struct scope){ vars, &stubs->claims,
					arena_format(arena, "%s.%s", service_name, name) };
	return true;
}

static bool prepare_service(struct stubs *stubs, struct service *service, int index)
{
	struct arena *arena = stubs->model->arena;
	const char *package = stubs->file->package, *c_package = stubs->file->c_package;
	const char *name = service->proto->name;
	const char *full_name =
		arena_format(arena, "%s%s%s", package, *package == '\0' ? "" : ".", name);
	const char *verb = name_verb(arena, arena_format(arena, "%s%s%s", c_package,
							 *c_package == '\0' ? "" : ".", name));
	struct var *vars = arena_alloc(arena, 8 * sizeof *vars), *var = vars;

	service->comment = comments_of(stubs, index, -1);
	service->method_count = service->proto->n_method;
	*var++ = (struct var){ "s", verb };
	*var++ = (struct var){ "name", full_name };
	*var++ = (struct var){ "file", stubs->file->symbol };
	*var++ = (struct var){ "comment", *service->comment == '\0'
						  ? ""
						  : arena_format(arena, "\n%s", service->comment) };
	*var++ = (struct var){ "count", arena_format(arena, "%zu", service->method_count) };
	*var++ = (struct var){ "bindings", service->method_count == 0
						   ? "NULL"
						   : arena_format(arena, "%s__bindings", verb) };
	*var++ = (struct var){ "methods", service->method_count == 0
						  ? "NULL"
						  : arena_format(arena, "%s__methods", verb) };
	service->scope = (struct scope){ vars, &stubs->claims, full_name };

	service->methods = arena_alloc(arena, (service->method_count + 1) * sizeof(struct method));
	for (size_t i = 0; i < service->method_count; i++) {
		struct method *method = &service->methods[i];

		method->proto = service->proto->method[i];
		method->comment = comments_of(stubs, index, (int)i);
		if (!prepare_method(stubs, service, full_name, verb, method))
			return false;
	}
	return true;
}

bool stubs_prepare(struct stubs *stubs)
{
	const pb_file *proto = stubs->file->proto;

	stubs->service_count = proto->n_service;
	stubs->services = arena_alloc(stubs->model->arena,
				      (stubs->service_count + 1) * sizeof(struct service));
	for (size_t i = 0; i < stubs->service_count; i++) {
		stubs->services[i].proto = proto->service[i];
		if (!prepare_service(stubs, &stubs->services[i], (int)i))
			return false;
	}
	return true;
}

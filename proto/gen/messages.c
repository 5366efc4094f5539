/* SPDX-License-Identifier: MIT */
#include "messages.h"

#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__Compiler__CodeGeneratorResponse pb_response;

void outputs_add(struct model *model, struct outputs *outputs, const char *name,
		 const char *content)
{
	if (outputs->count == outputs->capacity) {
		size_t capacity = 2 * outputs->capacity + 16;
		struct output *bigger = arena_alloc(model->arena, capacity * sizeof *bigger);

		if (outputs->count > 0)
			memcpy(bigger, outputs->list, outputs->count * sizeof *bigger);
		outputs->list = bigger;
		outputs->capacity = capacity;
	}
	outputs->list[outputs->count++] = (struct output){ name, content };
}

/* protobuf-c's stubs are not ours, and those of a method named Return do not compile. */
static void drop_services(pb_request *request)
{
	for (size_t i = 0; i < request->n_proto_file; i++)
		request->proto_file[i]->n_service = 0;
}

static pb_response *run(struct model *model, pb_request *request)
{
	ProtobufCAllocator allocator = model_allocator(model->arena);
	size_t len = google__protobuf__compiler__code_generator_request__get_packed_size(request);
	uint8_t *data = arena_alloc(model->arena, len + 1);
	pb_response *response;
	const uint8_t *answer;
	size_t answer_len;

	google__protobuf__compiler__code_generator_request__pack(request, data);
	if (!child_run(model, data, len, &answer, &answer_len))
		return NULL;

	response = google__protobuf__compiler__code_generator_response__unpack(&allocator,
									       answer_len, answer);
	if (response == NULL)
		model_fail(model, "protoc-gen-c did not answer as a plugin of protoc does");
	else if (response->error != NULL && response->error[0] != '\0')
		model_fail(model, "%s", response->error);
	return model->error == NULL ? response : NULL;
}

/* One run of protoc-gen-c for the files that use `optional`, or for those that do not. */
static bool generate(struct model *model, struct outputs *outputs, bool with_optional)
{
	pb_request *request = model_decode(model->arena, model->data, model->len);
	size_t wanted = 0;
	pb_response *response;

	if (request == NULL)
		return model_fail(model, "the request cannot be read twice");
	for (size_t i = 0; i < request->n_file_to_generate; i++) {
		const struct file *file = model_file(model, request->file_to_generate[i]);

		if (file != NULL && optional_is_used(file->proto) == with_optional)
			request->file_to_generate[wanted++] = request->file_to_generate[i];
	}
	if (wanted == 0)
		return true;
	request->n_file_to_generate = wanted;
	request->parameter = NULL;
	drop_services(request);
	if (with_optional)
		optional_rewrite(model->arena, request);

	response = run(model, request);
	if (response == NULL)
		return false;
	for (size_t i = 0; i < response->n_file; i++) {
		const char *name = response->file[i]->name, *content = response->file[i]->content;

		if (name == NULL || content == NULL)
			return model_fail(model, "protoc-gen-c answered with a file without name");
		if (with_optional)
			content = optional_restore(model->arena, content);
		outputs_add(model, outputs, name, content);
	}
	return true;
}

bool messages_generate(struct model *model, struct outputs *outputs)
{
	return generate(model, outputs, false) && generate(model, outputs, true);
}

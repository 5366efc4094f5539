/* SPDX-License-Identifier: MIT */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

bool model_fail(struct model *model, const char *format, ...)
{
	char line[2048];
	va_list args;

	if (model->error != NULL)
		return false;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	model->error = arena_copy(model->arena, line, strlen(line));
	return false;
}

static void *pb_alloc(void *user, size_t size)
{
	return arena_alloc(user, size);
}

static void pb_free(void *user, void *block)
{
	(void)user;
	(void)block;
}

ProtobufCAllocator model_allocator(struct arena *arena)
{
	return (ProtobufCAllocator){ pb_alloc, pb_free, arena };
}

/* ---- The options of protobuf-c, which arrive as extension 1019 and unknown to us ---- */

enum {
	PB_C_OPTIONS = 1019,
	FILE_NO_GENERATE = 1, /* ProtobufCFileOptions */
	FILE_C_PACKAGE = 6,
	MESSAGE_BASE_NAME = 3 /* ProtobufCMessageOptions */
};

static bool take_varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; *p < end && shift < 64; shift += 7) {
		uint8_t byte = *(*p)++;

		*ret |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

/* The last field `wanted` in a serialized message: a number, or bytes. False when there is none. */
static bool find_field(const uint8_t *p, size_t len, uint64_t wanted, uint64_t *ret_number,
		       const uint8_t **ret_data)
{
	const uint8_t *end = p + len;
	bool is_found = false;
	uint64_t tag, value;

	while (p < end && take_varint(&p, end, &tag)) {
		const uint8_t *data = NULL;

		if ((tag & 7) == 0) {
			if (!take_varint(&p, end, &value))
				return is_found;
		} else if ((tag & 7) == 2) {
			if (!take_varint(&p, end, &value) || value > (uint64_t)(end - p))
				return is_found;
			data = p;
			p += value;
		} else {
			return is_found; /* no option of protobuf-c has another wire type */
		}
		if (tag >> 3 == wanted) {
			is_found = true;
			*ret_number = value;
			*ret_data = data;
		}
	}
	return is_found;
}

static bool find_option(const ProtobufCMessage *options, uint64_t field, uint64_t *ret_number,
			const uint8_t **ret_data)
{
	for (unsigned i = 0; options != NULL && i < options->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *unknown = &options->unknown_fields[i];
		const uint8_t *p = unknown->data, *end = p + unknown->len;
		uint64_t len;

		/* protobuf-c keeps the length prefix in the data of a length-delimited field */
		if (unknown->tag == PB_C_OPTIONS &&
		    unknown->wire_type == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
		    take_varint(&p, end, &len) && len <= (uint64_t)(end - p) &&
		    find_field(p, (size_t)len, field, ret_number, ret_data))
			return true;
	}
	return false;
}

static const char *string_option(struct arena *arena, const ProtobufCMessage *options,
				 uint64_t field, const char *otherwise)
{
	const uint8_t *data;
	uint64_t len;

	if (find_option(options, field, &len, &data) && data != NULL)
		return arena_copy(arena, (const char *)data, (size_t)len);
	return otherwise;
}

/* ---- Files and types ---- */

static void add_file(struct model *model, pb_file *proto)
{
	struct file *file = &model->files[model->file_count++];
	const ProtobufCMessage *options = proto->options == NULL ? NULL : &proto->options->base;
	const uint8_t *data;
	uint64_t number;

	file->proto = proto;
	file->name = proto->name;
	file->stem = name_stem(model->arena, proto->name);
	file->symbol =
		arena_format(model->arena, "minirpc_file_%s", name_file(model->arena, proto->name));
	file->package = proto->package == NULL ? "" : proto->package;
	file->c_package = string_option(model->arena, options, FILE_C_PACKAGE, file->package);
	file->is_skipped = find_option(options, FILE_NO_GENERATE, &number, &data) && number != 0;
}

static void add_type(struct model *model, const struct file *file, const pb_message *message,
		     const char *scope, const char *c_scope, bool is_nested)
{
	const ProtobufCMessage *options = message->options == NULL ? NULL : &message->options->base;
	const char *full_name = arena_format(model->arena, "%s%s%s", scope,
					     *scope == '\0' ? "" : ".", message->name);
	const char *c_name = arena_format(model->arena, "%s%s%s", c_scope,
					  *c_scope == '\0' ? "" : ".", message->name);

	model->types[model->type_count++] = (struct type){
		.full_name = full_name,
		.c = name_type(model->arena, c_name),
		.lower = name_lower(model->arena, c_name),
		.upper = name_upper(model->arena, c_name),
		.base = string_option(model->arena, options, MESSAGE_BASE_NAME, "base"),
		.file = file,
		.is_nested = is_nested,
	};
	for (size_t i = 0; i < message->n_nested_type; i++)
		add_type(model, file, message->nested_type[i], full_name, c_name, true);
}

static int type_compare(const void *a, const void *b)
{
	const struct type *const *x = a, *const *y = b;

	return strcmp((*x)->full_name, (*y)->full_name);
}

static void index_types(struct model *model)
{
	model->by_name = arena_alloc(model->arena, (model->type_count + 1) * sizeof(struct type *));
	for (size_t i = 0; i < model->type_count; i++)
		model->by_name[i] = &model->types[i];
	if (model->type_count > 0)
		qsort(model->by_name, model->type_count, sizeof *model->by_name, type_compare);
}

const struct type *model_type(const struct model *model, const char *full_name)
{
	struct type key = { .full_name = full_name + (*full_name == '.') }, *pointer = &key;
	struct type **found;

	if (model->type_count == 0)
		return NULL;
	found = bsearch(&pointer, model->by_name, model->type_count, sizeof *model->by_name,
			type_compare);
	return found == NULL ? NULL : *found;
}

const struct file *model_file(const struct model *model, const char *name)
{
	for (size_t i = 0; i < model->file_count; i++) {
		if (strcmp(model->files[i].name, name) == 0)
			return &model->files[i];
	}
	return NULL;
}

/* ---- Trust: protoc checks all this, but we were not promised that it is protoc who calls ---- */

static bool count_message(const pb_message *message, size_t *count)
{
	++*count;
	if (message->name == NULL)
		return false;
	for (size_t i = 0; i < message->n_field; i++) {
		if (message->field[i]->name == NULL)
			return false;
	}
	for (size_t i = 0; i < message->n_nested_type; i++) {
		if (!count_message(message->nested_type[i], count))
			return false;
	}
	return true;
}

static bool count_file(const pb_file *file, size_t *count)
{
	if (file->name == NULL)
		return false;
	for (size_t i = 0; i < file->n_message_type; i++) {
		if (!count_message(file->message_type[i], count))
			return false;
	}
	for (size_t i = 0; i < file->n_service; i++) {
		const pb_service *service = file->service[i];

		if (service->name == NULL)
			return false;
		for (size_t j = 0; j < service->n_method; j++) {
			const pb_method *method = service->method[j];

			if (method->name == NULL || method->input_type == NULL ||
			    method->output_type == NULL)
				return false;
		}
	}
	return true;
}

/* protobuf-c decodes nested messages by recursion without a limit, so look before it leaps. */
static bool is_shallow(const ProtobufCMessageDescriptor *descriptor, const uint8_t *p, size_t len,
		       unsigned depth)
{
	const uint8_t *end = p + len;
	uint64_t tag, value;

	if (depth == 0)
		return false;
	while (p < end) {
		const ProtobufCFieldDescriptor *field;

		if (!take_varint(&p, end, &tag) || tag >> 3 > UINT32_MAX)
			return false;
		switch (tag & 7) {
		case 0:
			if (!take_varint(&p, end, &value))
				return false;
			continue;
		case 1:
			value = 8;
			break;
		case 5:
			value = 4;
			break;
		case 2:
			if (!take_varint(&p, end, &value))
				return false;
			break;
		default:
			return false;
		}
		if (value > (uint64_t)(end - p))
			return false;
		field = protobuf_c_message_descriptor_get_field(descriptor, (unsigned)(tag >> 3));
		if ((tag & 7) == 2 && field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE &&
		    !is_shallow(field->descriptor, p, (size_t)value, depth - 1))
			return false;
		p += value;
	}
	return true;
}

pb_request *model_decode(struct arena *arena, const uint8_t *data, size_t len)
{
	ProtobufCAllocator allocator = model_allocator(arena);

	if (!is_shallow(&google__protobuf__compiler__code_generator_request__descriptor, data, len,
			100))
		return NULL;
	return google__protobuf__compiler__code_generator_request__unpack(&allocator, len, data);
}

bool model_build(struct model *model)
{
	const pb_request *request = model->request;
	size_t type_count = 0;

	for (size_t i = 0; i < request->n_proto_file; i++) {
		if (!count_file(request->proto_file[i], &type_count))
			return model_fail(model, "the request has descriptors without names");
	}
	model->files = arena_alloc(model->arena, (request->n_proto_file + 1) * sizeof(struct file));
	model->types = arena_alloc(model->arena, (type_count + 1) * sizeof(struct type));

	for (size_t i = 0; i < request->n_proto_file; i++) {
		pb_file *proto = request->proto_file[i];
		const struct file *file = &model->files[model->file_count];

		add_file(model, proto);
		for (size_t j = 0; j < proto->n_message_type; j++)
			add_type(model, file, proto->message_type[j], file->package,
				 file->c_package, false);
	}
	index_types(model);
	return true;
}

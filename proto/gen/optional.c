/* SPDX-License-Identifier: MIT */
/* proto3 `optional`, which protoc-gen-c 1.4 refuses.
 *
 * Wanted is what proto2 has: `optional int32 x` becomes has_x and x, and the runtime knows
 * PROTOBUF_C_LABEL_OPTIONAL well. But in a proto3 file protoc-gen-c never writes has_x (an optional
 * field arrives as the only member of a "synthetic" oneof, and would become a union), and in a
 * proto2 file every plain field would get one. So a file that uses `optional` is handed over as
 * proto2 in which
 *
 *	optional int32 x = 1;   stays so, out of its synthetic oneof
 *	int32 y = 2;            is `required`: no has_y; PROTOBUF_C_LABEL_REQUIRED in its descriptor
 *	string s = 3;           also has the default "", as proto3 strings have
 *	repeated int32 r = 4;   says [packed = true], which proto3 means without saying
 *
 * and in the result LABEL_REQUIRED becomes LABEL_NONE, proto3's label, and the defaults become
 * proto3's empty string. No other required fields and defaults can be there; proto3 has none.
 * Other files of the request are rewritten as well, because proto3 messages may not use proto2 enums;
 * nothing is generated from them in that run. */
#include "messages.h"

#include <string.h>

static bool message_uses_optional(const pb_message *message)
{
	for (size_t i = 0; i < message->n_field; i++) {
		if (message->field[i]->proto3_optional)
			return true;
	}
	for (size_t i = 0; i < message->n_nested_type; i++) {
		if (message_uses_optional(message->nested_type[i]))
			return true;
	}
	return false;
}

bool optional_is_used(const pb_file *file)
{
	for (size_t i = 0; i < file->n_message_type; i++) {
		if (message_uses_optional(file->message_type[i]))
			return true;
	}
	for (size_t i = 0; i < file->n_extension; i++) {
		if (file->extension[i]->proto3_optional)
			return true;
	}
	return false;
}

static bool is_packable(const pb_field *field)
{
	switch (field->type) {
	case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING:
	case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES:
	case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_MESSAGE:
	case GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_GROUP:
		return false;
	default:
		return true;
	}
}

static void pack_by_default(struct arena *arena, pb_field *field)
{
	if (field->options == NULL) {
		field->options = arena_alloc(arena, sizeof *field->options);
		google__protobuf__field_options__init(field->options);
	}
	if (!field->options->has_packed) {
		field->options->has_packed = true;
		field->options->packed = true;
	}
}

static void rewrite_field(struct arena *arena, pb_field *field)
{
	if (field->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED) {
		if (is_packable(field))
			pack_by_default(arena, field);
	} else if (field->proto3_optional) {
		field->has_proto3_optional = field->proto3_optional = false;
		field->has_oneof_index = false;
	} else if (!field->has_oneof_index) {
		field->label = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REQUIRED;
		if (field->type == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING)
			field->default_value = arena_copy(arena, "", 0);
	}
}

/* Synthetic oneofs come last (descriptor.proto says so), so the others keep their index. */
static void drop_synthetic_oneofs(pb_message *message)
{
	size_t real = 0;

	for (size_t i = 0; i < message->n_field; i++) {
		const pb_field *field = message->field[i];

		if (field->has_oneof_index && !field->proto3_optional &&
		    field->oneof_index >= (int32_t)real)
			real = (size_t)field->oneof_index + 1;
	}
	if (real < message->n_oneof_decl)
		message->n_oneof_decl = real;
}

static void rewrite_message(struct arena *arena, pb_message *message)
{
	drop_synthetic_oneofs(message);
	for (size_t i = 0; i < message->n_field; i++)
		rewrite_field(arena, message->field[i]);
	for (size_t i = 0; i < message->n_extension; i++)
		message->extension[i]->has_proto3_optional = false;
	for (size_t i = 0; i < message->n_nested_type; i++)
		rewrite_message(arena, message->nested_type[i]);
	/* The entries of a map may not have required fields, but they are ordinary messages too. */
	if (message->options != NULL)
		message->options->has_map_entry = false;
}

void optional_rewrite(struct arena *arena, pb_request *request)
{
	for (size_t i = 0; i < request->n_proto_file; i++) {
		pb_file *file = request->proto_file[i];

		if (file->syntax == NULL || strcmp(file->syntax, "proto3") != 0)
			continue;
		file->syntax = arena_copy(arena, "proto2", strlen("proto2"));
		for (size_t j = 0; j < file->n_message_type; j++)
			rewrite_message(arena, file->message_type[j]);
		for (size_t j = 0; j < file->n_extension; j++)
			file->extension[j]->has_proto3_optional = false;
	}
}

static size_t name_length(const char *p)
{
	return strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}

static bool ends_with(const char *text, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len && memcmp(text + len - suffix_len, suffix, suffix_len) == 0;
}

/* The defaults "" became arrays, x__default_value, that anybody could write to. proto3 has
 * protobuf_c_empty_string for all of them. */
static void restore_line(struct text *text, const char *line, size_t len)
{
	static const char required[] = "    PROTOBUF_C_LABEL_REQUIRED,\n";
	const char *end = line + len;

	if (ends_with(line, len, "__default_value[];\n") ||
	    ends_with(line, len, "__default_value[] = \"\";\n"))
		return;
	if (len == sizeof required - 1 && memcmp(line, required, len) == 0) {
		text_puts(text, "    PROTOBUF_C_LABEL_NONE,\n");
		return;
	}
	while (line < end) {
		size_t name = name_length(line);

		if (name == 0)
			text_add(text, line, name = 1);
		else if (!ends_with(line, name, "__default_value"))
			text_add(text, line, name);
		else
			text_puts(text, text->len > 0 && text->data[text->len - 1] == '&'
						? "protobuf_c_empty_string"
						: "(char *)protobuf_c_empty_string");
		line += name;
	}
}

const char *optional_restore(struct arena *arena, const char *content)
{
	struct text text = { .arena = arena };

	while (*content != '\0') {
		size_t len = strcspn(content, "\n");

		len += content[len] == '\n';
		restore_line(&text, content, len);
		content += len;
	}
	return text_string(&text);
}

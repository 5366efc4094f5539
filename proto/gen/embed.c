/* SPDX-License-Identifier: MIT */
/* The .proto file itself as bytes of a FileDescriptorProto, for reflection; linked to its imports. */
#include "stubs.h"

static void add_bytes(struct text *text, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		text_puts(text, i % 16 == 0 ? "\n\t" : " ");
		text_printf(text, "%u,", data[i]);
	}
}

/* Positions and comments are half of its size, and reflection does not want them. */
static const uint8_t *pack_file(struct stubs *stubs, size_t *ret_len)
{
	pb_file file = *stubs->file->proto;
	uint8_t *data;

	file.source_code_info = NULL;
	*ret_len = google__protobuf__file_descriptor_proto__get_packed_size(&file);
	data = arena_alloc(stubs->model->arena, *ret_len + 1);
	google__protobuf__file_descriptor_proto__pack(&file, data);
	return data;
}

void embed_generate(struct stubs *stubs)
{
	const pb_file *proto = stubs->file->proto;
	struct text *source = &stubs->source;
	size_t len;
	const uint8_t *data = pack_file(stubs, &len);

	text_puts(source, "/* A google.protobuf.FileDescriptorProto. */\n"
			  "static const uint8_t file_descriptor[] = {");
	add_bytes(source, data, len);
	text_puts(source, "\n};\n\n");

	text_puts(source, "static const struct minirpc_file *const file_imports[] = {\n");
	for (size_t i = 0; i < proto->n_dependency; i++) {
		const struct file *import = model_file(stubs->model, proto->dependency[i]);

		if (import != NULL && !import->is_skipped) {
			text_puts(source, "\t&");
			text_puts(source, import->symbol);
			text_puts(source, ",\n");
		}
	}
	text_puts(source, "\tNULL,\n};\n\n");

	text_puts(source, "const struct minirpc_file ");
	text_puts(source, stubs->file->symbol);
	text_puts(source, " = {\n\t.name = \"");
	text_escape(source, stubs->file->name);
	text_puts(source, "\",\n"
			  "\t.descriptor = file_descriptor,\n"
			  "\t.descriptor_len = sizeof file_descriptor,\n"
			  "\t.imports = file_imports,\n"
			  "};\n\n");
}

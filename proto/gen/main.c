/* SPDX-License-Identifier: MIT */
/* protoc-gen-minirpc: `protoc --minirpc_out=DIR x.proto` writes messages and stubs.
 *
 * protoc starts us with a CodeGeneratorRequest on standard input and takes a CodeGeneratorResponse
 * from standard output. What is wrong with a .proto file is told in the response; what is wrong with
 * the request itself goes to standard error and ends with exit code 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <minirpc/base.h>

#include "depfile.h"
#include "parameters.h"
#include "stubs.h"

typedef Google__Protobuf__Compiler__CodeGeneratorResponse pb_response;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File pb_response_file;

static bool read_input(struct text *input)
{
	char buffer[65536];

	for (;;) {
		ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);

		if (n > 0)
			text_add(input, buffer, (size_t)n);
		else if (n == 0)
			return true;
		else if (errno != EINTR)
			return false;
	}
}

static bool generate(struct model *model, struct outputs *outputs)
{
	if (!parameters_read(model) || !model_build(model) || !messages_generate(model, outputs))
		return false;
	for (size_t i = 0; i < model->request->n_file_to_generate; i++) {
		const char *name = model->request->file_to_generate[i];
		const struct file *file = model_file(model, name);

		if (file == NULL)
			return model_fail(model, "%s: its descriptor was not given", name);
		if (!stubs_generate(model, file, outputs))
			return false;
	}
	return depfile_write(model);
}

static bool write_response(struct model *model, const struct outputs *outputs)
{
	struct arena *arena = model->arena;
	pb_response response = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
	pb_response_file *files = arena_alloc(arena, (outputs->count + 1) * sizeof *files);
	uint8_t *data;
	size_t len;

	response.has_supported_features = true;
	response.supported_features =
		GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
	if (model->error != NULL) {
		response.error = arena_copy(arena, model->error, strlen(model->error));
	} else {
		response.n_file = outputs->count;
		response.file = arena_alloc(arena, (outputs->count + 1) * sizeof *response.file);
		for (size_t i = 0; i < outputs->count; i++) {
			const struct output *output = &outputs->list[i];

			google__protobuf__compiler__code_generator_response__file__init(&files[i]);
			files[i].name = arena_copy(arena, output->name, strlen(output->name));
			files[i].content =
				arena_copy(arena, output->content, strlen(output->content));
			response.file[i] = &files[i];
		}
	}

	len = google__protobuf__compiler__code_generator_response__get_packed_size(&response);
	data = arena_alloc(arena, len + 1);
	google__protobuf__compiler__code_generator_response__pack(&response, data);
	return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0;
}

static int run(struct arena *arena)
{
	struct text input = { .arena = arena };
	struct model model = { .arena = arena };
	struct outputs outputs = { 0 };

	if (!read_input(&input)) {
		fprintf(stderr, "protoc-gen-minirpc: standard input: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	model.data = (const uint8_t *)text_string(&input);
	model.len = input.len;
	model.request = model_decode(arena, model.data, model.len);
	if (model.request == NULL || model.request->n_file_to_generate == 0) {
		fputs("protoc-gen-minirpc: standard input is not a request of protoc\n", stderr);
		return EXIT_FAILURE;
	}
	(void)generate(&model, &outputs); /* an error goes into the response */
	if (!write_response(&model, &outputs)) {
		fprintf(stderr, "protoc-gen-minirpc: standard output: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

static int usage(FILE *stream, int code)
{
	fputs("protoc-gen-minirpc " MINIRPC_VERSION ", a plugin of protoc:\n"
	      "  protoc --minirpc_out=DIR x.proto\n"
	      "writes messages (x.pb-c.h, x.pb-c.c) and stubs (x.minirpc.h, x.minirpc.c).\n"
	      "Parameters, as --minirpc_opt=NAME=VALUE:\n" PARAMETERS_HELP,
	      stream);
	return code;
}

int main(int argc, char **argv)
{
	struct arena arena = { NULL };
	int code;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("protoc-gen-minirpc " MINIRPC_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return usage(stdout, EXIT_SUCCESS);
	if (argc > 1)
		return usage(stderr, 2);

	code = run(&arena);
	arena_free(&arena);
	return code;
}

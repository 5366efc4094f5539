/* SPDX-License-Identifier: MIT */
/* The messages: x.pb-c.h and x.pb-c.c, written by protobuf-c's own protoc-gen-c, which we run. */
#ifndef GEN_MESSAGES_H
#define GEN_MESSAGES_H

#include "model.h"

/* A file to hand back to protoc. */
struct output {
	const char *name, *content;
};

struct outputs {
	struct output *list;
	size_t count, capacity;
};

void outputs_add(struct model *model, struct outputs *outputs, const char *name,
		 const char *content);

/* Adds the messages of all files to generate. Returns false with model->error set. */
bool messages_generate(struct model *model, struct outputs *outputs);

/* Runs a plugin of protoc: request in, response out. Returns false with model->error set. */
bool child_run(struct model *model, const uint8_t *request, size_t len,
	       const uint8_t **ret_response, size_t *ret_len);

/* True when the file has a proto3 field that is marked `optional`. */
bool optional_is_used(const pb_file *file);

/* Rewrites proto3 files as proto2 files that protoc-gen-c makes the wanted structs from, and takes
 * the marks of that out of what it wrote; see optional.c. */
void optional_rewrite(struct arena *arena, pb_request *request);
const char *optional_restore(struct arena *arena, const char *content);

#endif

/* SPDX-License-Identifier: MIT */
/* What protoc asks for, and what of it the stubs are written from.
 *
 * A request holds every file in question, imports first. Messages are looked up by full name; the
 * methods of the files to generate are prepared with the C names that the templates use. */
#ifndef GEN_MODEL_H
#define GEN_MODEL_H

#include "text.h"

#include "google/protobuf/compiler/plugin.pb-c.h"

typedef Google__Protobuf__Compiler__CodeGeneratorRequest pb_request;
typedef Google__Protobuf__FileDescriptorProto pb_file;
typedef Google__Protobuf__DescriptorProto pb_message;
typedef Google__Protobuf__FieldDescriptorProto pb_field;
typedef Google__Protobuf__ServiceDescriptorProto pb_service;
typedef Google__Protobuf__MethodDescriptorProto pb_method;

struct parameters {
	const char *protoc_gen_c; /* NULL: next to us, else in PATH */
	const char *depfile;      /* NULL: none */
	const char *out;          /* depfile: the folder that protoc was told to write to */
	const char **roots;       /* depfile: the folders that it reads from */
	size_t root_count;
};

struct file {
	pb_file *proto;
	const char *name;      /* "rpc/cache.proto" */
	const char *stem;      /* "rpc/cache" */
	const char *symbol;    /* "minirpc_file_rpc__cache" */
	const char *package;   /* "rpc", or "" */
	const char *c_package; /* the same, unless option (pb_c_file).c_package says otherwise */
	bool is_skipped;       /* option (pb_c_file).no_generate: it has no header to include */
};

struct type {
	const char *full_name; /* "rpc.GetReq" */
	const char *c;         /* "Rpc__GetReq" */
	const char *lower;     /* "rpc__get_req" */
	const char *upper;     /* "RPC__GET_REQ" */
	const char *base;      /* the member that is the ProtobufCMessage: "base" */
	const struct file *file;
	bool is_nested;
};

struct model {
	struct arena *arena;
	const uint8_t *data; /* the request as it came */
	size_t len;
	pb_request *request;
	struct parameters parameters;
	struct file *files;
	size_t file_count;
	struct type *types; /* in the order of the files */
	size_t type_count;
	struct type **by_name; /* sorted */
	const char *error;     /* the first thing that went wrong; NULL: nothing */
};

/* Keeps the first error, to be told to protoc. Returns false. */
bool model_fail(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Decodes a request into the arena; NULL when it is none, or nests too deep to be one. */
pb_request *model_decode(struct arena *arena, const uint8_t *data, size_t len);

/* Fills the model from the decoded request. Returns false with model->error set. */
bool model_build(struct model *model);

const struct file *model_file(const struct model *model, const char *name);
const struct type *model_type(const struct model *model, const char *full_name);

/* Allocates protobuf-c's memory from the arena; freeing does nothing. */
ProtobufCAllocator model_allocator(struct arena *arena);

#endif

/* SPDX-License-Identifier: MIT */
/* The parameters of --minirpc_opt=NAME=VALUE (or --minirpc_out=NAME=VALUE,...:DIR). */
#ifndef GEN_PARAMETERS_H
#define GEN_PARAMETERS_H

#include "model.h"

#define PARAMETERS_HELP                                                                            \
	"  protoc_gen_c=PATH  the plugin of protobuf-c that writes the messages; otherwise the\n"  \
	"                     protoc-gen-c next to this program, otherwise the one in PATH\n"      \
	"  depfile=PATH       write there which files the outputs were made from, for make and\n"  \
	"                     ninja; with out=DIR, the folder given to --minirpc_out, and\n"       \
	"                     root=DIR, a folder given to -I (may be repeated; otherwise .)\n"

/* Reads model->request->parameter. Returns false with model->error set. */
bool parameters_read(struct model *model);

#endif

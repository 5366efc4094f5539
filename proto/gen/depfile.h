/* SPDX-License-Identifier: MIT */
/* A file that tells make and ninja what the outputs depend on.
 *
 * protoc has --dependency_out of its own, which knows every path and is all that a build with one
 * .proto for each command needs. This one takes any number of files in one command. A plugin sees
 * names as they are imported, not where they were found: the parameters out and root say that. */
#ifndef GEN_DEPFILE_H
#define GEN_DEPFILE_H

#include "model.h"

/* Writes parameters.depfile, if there is one. Returns false with model->error set. */
bool depfile_write(struct model *model);

#endif

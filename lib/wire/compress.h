/* SPDX-License-Identifier: MIT */
/* Compress: which encodings a channel or server knows, and messages through them [C-1]. */
#ifndef MRPC_WIRE_COMPRESS_H
#define MRPC_WIRE_COMPRESS_H

#include "call/part.h"

#include <minirpc/compress.h>

#define MRPC_COMPRESSORS 14 /* 12 of the application, and ours */

struct mrpc_compressors {
	const struct minirpc_compressor *all[MRPC_COMPRESSORS];
	size_t count;
	char accept
		[448]; /* "gzip,deflate", for grpc-accept-encoding; every call brings it: short */
	size_t accept_len;
};

/* For whoever has none: accept is "identity". */
extern const struct mrpc_compressors mrpc_no_compressors;

/* The application's (a list ended by NULL, or NULL), then gzip and deflate, unless it brings its own of
 * that name, or wants only its own. Returns 0 or -EINVAL (a name that is none, or there twice; too many). */
int mrpc_compressors_init(struct mrpc_compressors *compressors,
			  const struct minirpc_compressor *const *more, bool only);

/* NULL: unknown. */
const struct minirpc_compressor *mrpc_compressors_find(const struct mrpc_compressors *compressors,
						       const char *name, size_t len);

/* As an option says it: NULL and "identity" are none. Returns 0 or -EINVAL (unknown). */
int mrpc_compressors_choose(const struct mrpc_compressors *compressors, const char *name,
			    const struct minirpc_compressor **ret_compressor);

/* Which of them are in a list as grpc-accept-encoding has it: "gzip, deflate". Bit i is all[i]. */
uint32_t mrpc_compressors_in(const struct mrpc_compressors *compressors, const char *list,
			     size_t len);

/* A fresh part from the pool (may be NULL) with the bytes compressed, and marked so. Returns 0, -ENOMEM, -EMSGSIZE (2^32-1 bytes do
 * not hold it), -EIO (the compressor failed). */
int mrpc_part_compress(struct mrpc_part **ret_part, const struct minirpc_compressor *compressor,
		       struct mrpc_pool *pool, const void *data, size_t len);

/* A fresh part with what was in `part`, which stays. Not a byte over the limit is kept, and room is
 * made only for what has been inflated. Returns 0, -EMSGSIZE (more than the limit [S-7]), -ENOMEM,
 * -EBADMSG (corrupt). */
int mrpc_part_decompress(struct mrpc_part **ret_part, const struct minirpc_compressor *compressor,
			 struct mrpc_part *part, size_t limit);

#endif

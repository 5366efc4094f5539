/* SPDX-License-Identifier: MIT */
/* Part: what a lane is made of - headers, one message, or an end.
 *
 * A message part carries its bytes behind it, after five bytes of room for gRPC's prefix, so that a
 * message is framed where it lies:  [struct mrpc_part][pad][prefix 5][data len]. */
#ifndef MRPC_CALL_PART_H
#define MRPC_CALL_PART_H

#include "base/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mrpc_part_kind { MRPC_HEADERS, MRPC_MESSAGE, MRPC_END };

#define MRPC_PREFIX 5

struct mrpc_part {
	struct mrpc_part *next;
	enum mrpc_part_kind kind;
	bool compressed; /* MESSAGE: it travelled, or is to travel, compressed */
	bool inflated;   /* MESSAGE: it was, and `compressed` only tells how it travelled */
	bool embedded;   /* lives in its lane (headers, end); not to be freed */
	size_t len;      /* MESSAGE: bytes of data */
	size_t capacity; /* MESSAGE: room for data */
	struct mrpc_pool *pool; /* MESSAGE: where its memory came from */
	size_t credit; /* MESSAGE: flow-control bytes that are due when the reader takes it; set by
			  the transport */
};

/* A message part with room for len bytes, from the pool (which may be NULL); NULL when there is no
 * memory. */
struct mrpc_part *mrpc_part_new(struct mrpc_pool *pool, size_t len);

/* Makes room for len bytes, keeping what is there; *part may move. Returns 0 or -ENOMEM. */
int mrpc_part_grow(struct mrpc_part **part, size_t len);

/* A fresh message: gives back the room behind the data, if there is much of it; *part may move. */
void mrpc_part_trim(struct mrpc_part **part);

/* Frees a message part; embedded ones are left alone. NULL is fine. */
static inline void mrpc_part_free(struct mrpc_part *part)
{
	if (part != NULL && !part->embedded)
		mrpc_pool_free(part->pool, part, sizeof *part + MRPC_PREFIX + part->capacity);
}

uint8_t *mrpc_part_data(struct mrpc_part *part);

/* Prefix and data as one piece of MRPC_PREFIX + len bytes; the prefix is written by
 * mrpc_part_frame. */
uint8_t *mrpc_part_framed(struct mrpc_part *part);

#endif

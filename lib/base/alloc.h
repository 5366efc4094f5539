/* SPDX-License-Identifier: MIT */
/* Memory: the only way to it for the whole library, so that a test can make any allocation fail
 * (test/world puts an alloc.c of its own in front of ours). Blocks are malloc's: minirpc_decode
 * hands some to users, whose protobuf-c gives them to free(). */
#ifndef MRPC_BASE_ALLOC_H
#define MRPC_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

void *mrpc_alloc(size_t size);            /* not zeroed; NULL when there is none */
void *mrpc_zalloc(size_t size);           /* zeroed */
void *mrpc_realloc(void *p, size_t size); /* the old block stays when NULL comes back */
void *mrpc_free(void *p);                 /* NULL is fine; returns NULL */

/* True when somebody looks at every block: a test that makes allocations fail, or a tool that watches
 * freed memory. Then nothing is kept for later. */
bool mrpc_alloc_is_watched(void);

/* Sums and products of sizes that come from a peer: false when they would wrap. */
static inline bool mrpc_add(size_t a, size_t b, size_t *ret)
{
	return !__builtin_add_overflow(a, b, ret);
}

static inline bool mrpc_mul(size_t a, size_t b, size_t *ret)
{
	return !__builtin_mul_overflow(a, b, ret);
}

#endif

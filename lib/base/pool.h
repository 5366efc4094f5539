/* SPDX-License-Identifier: MIT */
/* Pool: blocks that were given back, at hand for the next one who wants their size. A loop has one,
 * for its calls and messages. See pool.c. */
#ifndef MRPC_BASE_POOL_H
#define MRPC_BASE_POOL_H

#include <stddef.h>

#define MRPC_POOL_CLASSES 49

struct mrpc_pool_block;

struct mrpc_pool {
	struct mrpc_pool_block *free[MRPC_POOL_CLASSES]; /* by size */
	size_t bytes;                                    /* at hand */
	size_t low;    /* the least there was since mrpc_pool_trim */
	size_t limit;  /* no more than this */
	unsigned hand; /* the class that makes room next */
};

void mrpc_pool_init(struct mrpc_pool *pool, size_t limit);
void mrpc_pool_clear(struct mrpc_pool *pool); /* what is handed out stays good */

/* Frees as much as was not needed since the last time. */
void mrpc_pool_trim(struct mrpc_pool *pool);

/* The caller remembers the size. pool may be NULL: plain mrpc_alloc and mrpc_free. */
void *mrpc_pool_alloc(struct mrpc_pool *pool, size_t size); /* NULL when there is no memory */
void mrpc_pool_free(struct mrpc_pool *pool, void *p, size_t size);

#endif

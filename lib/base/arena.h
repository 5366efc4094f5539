/* SPDX-License-Identifier: MIT */
/* Arena: memory that is given back all at once. Zeroed, aligned to 16 bytes. The first block may be
 * the owner's. */
#ifndef MRPC_BASE_ARENA_H
#define MRPC_BASE_ARENA_H

#include "base/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mrpc_arena {
	uint8_t *at, *end; /* room in the current block */
	struct mrpc_arena_block *blocks;
	struct mrpc_pool *pool;
	bool anyway; /* whatever the pool's quota says */
};

/* Blocks come from the pool, which may be NULL. first (may be NULL) is used before there are any; it
 * stays the caller's. */
void mrpc_arena_init(struct mrpc_arena *arena, struct mrpc_pool *pool, void *first,
		     size_t first_size);
void mrpc_arena_clear(struct mrpc_arena *arena);

void *mrpc_arena_alloc(struct mrpc_arena *arena, size_t size); /* NULL when there is no memory */
char *mrpc_arena_strndup(struct mrpc_arena *arena, const char *s, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* Arena: a pointer that moves through the current block; full blocks hang in a chain until the end.
 */
#include "base/arena.h"

#include "base/alloc.h"
#include "base/cold.h"

#include <stdalign.h>
#include <string.h>

#define BLOCK 4096u
#define ALIGN 16u

struct mrpc_arena_block {
	struct mrpc_arena_block *next;
	size_t size; /* of all of it */
	alignas(ALIGN) uint8_t bytes[];
};

static uint8_t *aligned(uint8_t *p)
{
	return p + (-(uintptr_t)p & (ALIGN - 1));
}

void mrpc_arena_init(struct mrpc_arena *arena, struct mrpc_pool *pool, void *first,
		     size_t first_size)
{
	*arena = (struct mrpc_arena){ .pool = pool };
	if (first != NULL) {
		arena->at = aligned(first);
		arena->end = (uint8_t *)first + first_size;
	}
}

void mrpc_arena_clear(struct mrpc_arena *arena)
{
	struct mrpc_arena_block *block = arena->blocks, *next;

	for (; block != NULL; block = next) {
		next = block->next;
		mrpc_pool_free(arena->pool, block, block->size);
	}
	*arena = (struct mrpc_arena){ .pool = arena->pool };
}

MRPC_COLD static void *from_new_block(struct mrpc_arena *arena, size_t size)
{
	size_t room = size > BLOCK / 4 ? size : BLOCK;
	struct mrpc_arena_block *block;
	size_t total;

	if (!mrpc_add(sizeof *block, room, &total))
		return NULL;
	block = arena->anyway ? mrpc_pool_alloc_anyway(arena->pool, total)
			      : mrpc_pool_alloc(arena->pool, total);
	if (block == NULL)
		return NULL;
	block->next = arena->blocks;
	block->size = total;
	arena->blocks = block;
	/* A large piece gets a block to itself, and the current one goes on being used. */
	if (room == BLOCK) {
		arena->at = block->bytes + size;
		arena->end = block->bytes + room;
	}
	return block->bytes;
}

/* Not zeroed. */
static void *take(struct mrpc_arena *arena, size_t size, size_t *ret_padded)
{
	size_t padded;
	uint8_t *p;

	if (!mrpc_add(size, (ALIGN - size % ALIGN) % ALIGN, &padded))
		return NULL;
	if (padded == 0)
		padded = ALIGN;
	*ret_padded = padded;
	if (arena->at == NULL || (size_t)(arena->end - arena->at) < padded ||
	    arena->at > arena->end)
		return from_new_block(arena, padded);
	p = arena->at;
	arena->at += padded;
	return p;
}

void *mrpc_arena_alloc(struct mrpc_arena *arena, size_t size)
{
	size_t padded;
	void *p = take(arena, size, &padded);

	return p == NULL ? NULL : memset(p, 0, padded);
}

char *mrpc_arena_strndup(struct mrpc_arena *arena, const char *s, size_t len)
{
	char *copy;
	size_t size;

	if (!mrpc_add(len, 1, &size))
		return NULL;
	copy = take(arena, size, &size);
	if (copy == NULL)
		return NULL;
	if (len > 0)
		memcpy(copy, s, len);
	memset(copy + len, 0, size - len);
	return copy;
}

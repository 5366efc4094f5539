/* SPDX-License-Identifier: MIT */
/* Pool: a shelf of free blocks for each size, the last one given back on top (its bytes are still
 * in the cache).
 *
 * Why not malloc alone: a call is 2 KiB, which is past malloc's quick lists; and blocks of messages
 * at the top of the heap go back to the kernel when they are freed, so that each 64 KiB answer
 * would fault in sixteen pages of zeros, which costs more than all else that is done for it.
 *
 * Sizes are rounded up to four classes in each power of two, 64, 80, 96, 112, 128, 160 ... 256 KiB;
 * a block is malloc's own, with no head. A larger one, or any with no room for it on the shelf, is
 * freed at once. When the shelf is full, blocks of other classes make room, each class in its turn;
 * and now and then all goes that was not needed for a while. So the shelf follows what the loop does
 * now, not what it did once. */
#include "base/pool.h"

#include "base/alloc.h"

#include <limits.h>
#include <stdbool.h>

#define SMALLEST 64u
#define LARGEST (256u << 10)

struct mrpc_pool_block {
	struct mrpc_pool_block *next;
};

/* Rounds size, at most LARGEST, up to its class. With s the two bits below the highest one of
 * size - 1, a class is [highest bit][s], and its size the next step of that width. */
static unsigned class_of(size_t *size)
{
	unsigned shift;
	size_t steps;

	if (*size <= SMALLEST) {
		*size = SMALLEST;
		return 0;
	}
	shift = (unsigned)(sizeof(long) * CHAR_BIT - 3) - (unsigned)__builtin_clzl(*size - 1);
	steps = (*size - 1) >> shift; /* 4 to 7 */
	*size = (steps + 1) << shift;
	return (shift - 4) * 4 + (unsigned)steps - 3;
}

void mrpc_pool_init(struct mrpc_pool *pool, size_t limit)
{
	*pool = (struct mrpc_pool){ .limit = mrpc_alloc_is_watched() ? 0 : limit };
}

static size_t size_of(unsigned class)
{
	return class == 0 ? SMALLEST : (size_t)((class - 1) % 4 + 5) << ((class - 1) / 4 + 4);
}

static void drop(struct mrpc_pool *pool, unsigned class)
{
	struct mrpc_pool_block *block = pool->free[class];

	if (block == NULL)
		return;
	pool->free[class] = block->next;
	pool->bytes -= size_of(class);
	mrpc_free(block);
}

void mrpc_pool_clear(struct mrpc_pool *pool)
{
	for (unsigned class = 0; class < MRPC_POOL_CLASSES; class ++)
		while (pool->free[class] != NULL)
			drop(pool, class);
}

void mrpc_pool_trim(struct mrpc_pool *pool)
{
	size_t enough = pool->bytes - pool->low;

	while (pool->bytes > enough) {
		pool->hand = (pool->hand + 1) % MRPC_POOL_CLASSES;
		drop(pool, pool->hand);
	}
	pool->low = pool->bytes;
}

void *mrpc_pool_alloc(struct mrpc_pool *pool, size_t size)
{
	struct mrpc_pool_block *block;
	unsigned class;

	if (pool == NULL || size > LARGEST)
		return mrpc_alloc(size);
	class = class_of(&size);
	block = pool->free[class];
	if (block == NULL)
		return mrpc_alloc(size);
	pool->free[class] = block->next;
	pool->bytes -= size;
	if (pool->bytes < pool->low)
		pool->low = pool->bytes;
	return block;
}

/* Sees to it that size more bytes fit, at the cost of other classes. */
static bool make_room(struct mrpc_pool *pool, size_t size, unsigned class)
{
	for (unsigned i = 0; i < MRPC_POOL_CLASSES && pool->bytes + size > pool->limit; i++) {
		pool->hand = (pool->hand + 1) % MRPC_POOL_CLASSES;
		if (pool->hand != class)
			drop(pool, pool->hand);
	}
	return pool->bytes + size <= pool->limit;
}

void mrpc_pool_free(struct mrpc_pool *pool, void *p, size_t size)
{
	struct mrpc_pool_block *block = p;
	unsigned class;

	if (p == NULL)
		return;
	if (pool == NULL || size > LARGEST) {
		mrpc_free(p);
		return;
	}
	class = class_of(&size);
	if (pool->bytes + size > pool->limit && !make_room(pool, size, class)) {
		mrpc_free(p);
		return;
	}
	block->next = pool->free[class];
	pool->free[class] = block;
	pool->bytes += size;
}

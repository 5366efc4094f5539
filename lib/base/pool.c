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
 * now, not what it did once.
 *
 * An account is a pool in front of another one: it has no shelf, but counts what it hands out, and stops at
 * a quota. Whoever holds memory of a server then holds it of the server's account, and a quota that is used
 * up looks to everybody like the end of memory, which everybody can deal with already. */
#include "base/pool.h"

#include "base/alloc.h"
#include "base/cold.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

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

static bool is_in_quota(struct mrpc_pool *pool, size_t size)
{
	if (pool->shelf == NULL || pool->used + size <= pool->quota)
		return true;
	pool->refused = true;
	return false;
}

/* Past the shelf. What was charged for it is given back when there is none. */
MRPC_COLD static void *fresh(struct mrpc_pool *account, size_t charged, size_t size)
{
	void *block = mrpc_alloc(size);

	if (block == NULL && account != NULL)
		account->used -= charged;
	return block;
}

void *mrpc_pool_alloc(struct mrpc_pool *pool, size_t size)
{
	struct mrpc_pool *account = NULL;
	struct mrpc_pool_block *block;
	size_t charged = size;
	unsigned class;

	if (pool == NULL)
		return mrpc_alloc(size);
	if (pool->shelf != NULL) {
		if (!is_in_quota(pool, size))
			return NULL;
		account = pool;
		account->used += size;
		pool = pool->shelf;
	}
	if (size > LARGEST)
		return fresh(account, charged, size);
	class = class_of(&size);
	block = pool->free[class];
	if (block == NULL)
		return fresh(account, charged, size);
	pool->free[class] = block->next;
	pool->bytes -= size;
	if (pool->bytes < pool->low)
		pool->low = pool->bytes;
	return block;
}

void *mrpc_pool_alloc_anyway(struct mrpc_pool *pool, size_t size)
{
	size_t quota = pool == NULL ? 0 : pool->quota;
	void *block;

	if (pool == NULL)
		return mrpc_alloc(size);
	pool->quota = SIZE_MAX;
	block = mrpc_pool_alloc(pool, size);
	pool->quota = quota;
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

/* Where the shelf is full. */
MRPC_COLD static void crowd_in(struct mrpc_pool *pool, struct mrpc_pool_block *block, size_t size,
			       unsigned class)
{
	if (!make_room(pool, size, class)) {
		mrpc_free(block);
		return;
	}
	block->next = pool->free[class];
	pool->free[class] = block;
	pool->bytes += size;
}

/* The last block of an account that was closed. */
MRPC_COLD static void end_account(struct mrpc_pool *account, void *p, size_t size)
{
	struct mrpc_pool *shelf = account->shelf;

	mrpc_free(account);
	mrpc_pool_free(shelf, p, size);
}

/* Nothing but tail calls, so that the usual way saves no registers. */
void mrpc_pool_free(struct mrpc_pool *pool, void *p, size_t size)
{
	struct mrpc_pool_block *block = p;
	unsigned class;

	if (p == NULL)
		return;
	if (pool != NULL && pool->shelf != NULL) {
		assert(size <= pool->used);
		pool->used -= size;
		if (pool->used == 0 && pool->is_closed) {
			end_account(pool, p, size);
			return;
		}
		pool = pool->shelf;
	}
	if (pool == NULL || size > LARGEST) {
		mrpc_free(p);
		return;
	}
	class = class_of(&size);
	if (pool->bytes + size > pool->limit) {
		crowd_in(pool, block, size, class);
		return;
	}
	block->next = pool->free[class];
	pool->free[class] = block;
	pool->bytes += size;
}

/* ---- Accounts ---- */

struct mrpc_pool *mrpc_pool_open(struct mrpc_pool *shelf, size_t quota)
{
	struct mrpc_pool *account = mrpc_alloc(sizeof *account);

	if (account != NULL)
		*account = (struct mrpc_pool){ .shelf = shelf, .quota = quota };
	return account;
}

void mrpc_pool_close(struct mrpc_pool *account)
{
	if (account == NULL)
		return;
	account->is_closed = true;
	mrpc_pool_discharge(account, 0);
}

bool mrpc_pool_charge(struct mrpc_pool *pool, size_t size)
{
	if (pool != NULL && !is_in_quota(pool, size))
		return false;
	mrpc_pool_charge_anyway(pool, size);
	return true;
}

void mrpc_pool_charge_anyway(struct mrpc_pool *pool, size_t size)
{
	if (pool != NULL && pool->shelf != NULL)
		pool->used += size;
}

void mrpc_pool_discharge(struct mrpc_pool *pool, size_t size)
{
	if (pool == NULL || pool->shelf == NULL)
		return;
	assert(size <= pool->used);
	pool->used -= size;
	if (pool->used == 0 && pool->is_closed)
		mrpc_free(pool);
}

bool mrpc_pool_was_refused(struct mrpc_pool *pool)
{
	bool refused = pool != NULL && pool->refused;

	if (refused)
		pool->refused = false;
	return refused;
}

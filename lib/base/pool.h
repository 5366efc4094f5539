/* SPDX-License-Identifier: MIT */
/* Pool: blocks that were given back, at hand for the next one who wants their size. A loop has one,
 * for its calls and messages. See pool.c. */
#ifndef MRPC_BASE_POOL_H
#define MRPC_BASE_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define MRPC_POOL_CLASSES 49

struct mrpc_pool_block;

struct mrpc_pool {
	struct mrpc_pool_block *free[MRPC_POOL_CLASSES]; /* by size */
	size_t bytes;                                    /* at hand */
	size_t low;    /* the least there was since mrpc_pool_trim */
	size_t limit;  /* no more than this */
	unsigned hand; /* the class that makes room next */

	/* An account has no shelf of its own. */
	struct mrpc_pool *shelf; /* whose blocks these are; NULL: this is no account */
	size_t used, quota;      /* bytes handed out and charged; no more than this */
	bool is_closed;
	bool refused; /* since somebody asked */
};

void mrpc_pool_init(struct mrpc_pool *pool, size_t limit);
void mrpc_pool_clear(struct mrpc_pool *pool); /* what is handed out stays good */

/* Frees as much as was not needed since the last time. */
void mrpc_pool_trim(struct mrpc_pool *pool);

/* The caller remembers the size. pool may be NULL: plain mrpc_alloc and mrpc_free. */
void *mrpc_pool_alloc(struct mrpc_pool *pool, size_t size); /* NULL when there is no memory */
void mrpc_pool_free(struct mrpc_pool *pool, void *p, size_t size);

/* ---- Accounts: who took how much of a pool ---- */

/* Hands out blocks of the shelf, which must outlive it, up to a quota of bytes (SIZE_MAX: none): above it
 * there is no memory. NULL when there is none now. */
struct mrpc_pool *mrpc_pool_open(struct mrpc_pool *shelf, size_t quota);

/* It goes when everything has been given back. NULL is fine. */
void mrpc_pool_close(struct mrpc_pool *account);

/* As mrpc_pool_alloc, whatever the quota says: for what must be looked at before it can be refused. */
void *mrpc_pool_alloc_anyway(struct mrpc_pool *pool, size_t size);

/* Memory that comes from elsewhere; a pool that is no account does not mind. False: that would be above the quota, nothing was charged. */
bool mrpc_pool_charge(struct mrpc_pool *pool, size_t size);
void mrpc_pool_charge_anyway(struct mrpc_pool *pool, size_t size);
void mrpc_pool_discharge(struct mrpc_pool *pool, size_t size);

/* Whether the quota has refused memory since the last time that was asked. */
bool mrpc_pool_was_refused(struct mrpc_pool *pool);

#endif

/* SPDX-License-Identifier: MIT */
/* Zone: the memory of one nghttp2 session, which can be given back without asking nghttp2; and of
 * our streams beside it.
 *
 * When an allocation fails while nghttp2 (before 1.61) queues DATA, it frees the item and leaves it
 * attached to its stream; nghttp2_session_del then frees it again. So after NGHTTP2_ERR_NOMEM not
 * even that may be called, and the zone is cleared instead.
 *
 *	[list node | size class][ bytes ...
 *
 * Small blocks that come back stay at hand for the next call, in classes of 64 bytes: a call takes
 * and returns a dozen of them. */
#include "h2/zone.h"

#include "base/alloc.h"
#include "base/cold.h"
#include "base/zero.h"

#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#define STEP 64u
#define KEEP                                                                                       \
	65536u /* bytes at hand, at most; only a connection with many calls at once gets there */

struct mrpc_zone_block {
	union {
		struct mrpc_list node;        /* handed out */
		struct mrpc_zone_block *next; /* at hand */
	};
	size_t size; /* of the bytes */
	alignas(16) unsigned char bytes[];
};

static struct mrpc_zone_block *block_of(void *p)
{
	return mrpc_container(p, struct mrpc_zone_block, bytes);
}

static bool is_small(size_t size)
{
	return size <= STEP * MRPC_ZONE_CLASSES;
}

void mrpc_zone_init(struct mrpc_zone *zone)
{
	*zone = (struct mrpc_zone){ 0 };
	mrpc_list_init(&zone->used);
}

void mrpc_zone_clear(struct mrpc_zone *zone)
{
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(&zone->used)) != NULL)
		mrpc_free(mrpc_container(node, struct mrpc_zone_block, node));
	for (size_t class = 0; class <= MRPC_ZONE_CLASSES; class ++) {
		struct mrpc_zone_block *block = zone->free[class], *next;

		for (; block != NULL; block = next) {
			next = block->next;
			mrpc_free(block);
		}
		zone->free[class] = NULL;
	}
	zone->free_bytes = 0;
}

MRPC_COLD static struct mrpc_zone_block *new_block(size_t size)
{
	struct mrpc_zone_block *block;
	size_t total;

	if (!mrpc_add(size, sizeof *block, &total))
		return NULL;
	block = mrpc_alloc(total);
	if (block != NULL)
		block->size = size;
	return block;
}

void *mrpc_zone_alloc(struct mrpc_zone *zone, size_t size)
{
	struct mrpc_zone_block *block = NULL;

	if (is_small(size)) {
		size_t class = (size + STEP - 1) / STEP;

		size = class * STEP;
		block = zone->free[class];
		if (block != NULL) {
			zone->free[class] = block->next;
			zone->free_bytes -= size;
		}
	}
	if (block == NULL) {
		block = new_block(size);
		if (block == NULL)
			return NULL;
	}
	mrpc_list_push(&zone->used, &block->node);
	return block->bytes;
}

void *mrpc_zone_zalloc(struct mrpc_zone *zone, size_t size)
{
	void *p = mrpc_zone_alloc(zone, size);

	if (p != NULL)
		mrpc_zero(p, size);
	return p;
}

void *mrpc_zone_realloc(struct mrpc_zone *zone, void *p, size_t size)
{
	void *fresh;

	if (p != NULL && size <= block_of(p)->size)
		return p;
	fresh = mrpc_zone_alloc(zone, size);
	if (fresh == NULL || p == NULL)
		return fresh;
	memcpy(fresh, p, block_of(p)->size);
	mrpc_zone_free(zone, p);
	return fresh;
}

void mrpc_zone_free(struct mrpc_zone *zone, void *p)
{
	struct mrpc_zone_block *block;
	size_t class;

	if (p == NULL)
		return;
	block = block_of(p);
	mrpc_list_remove(&block->node);
	if (!is_small(block->size) || zone->free_bytes + block->size > KEEP) {
		mrpc_free(block);
		return;
	}
	class = block->size / STEP;
	block->next = zone->free[class];
	zone->free[class] = block;
	zone->free_bytes += block->size;
}

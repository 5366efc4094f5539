/* SPDX-License-Identifier: MIT */
/* Zone: the memory of one nghttp2 session. See zone.c for why it has its own. */
#ifndef MRPC_H2_ZONE_H
#define MRPC_H2_ZONE_H

#include "base/list.h"

#define MRPC_ZONE_CLASSES 8

struct mrpc_zone_block;

struct mrpc_zone {
	struct mrpc_list used;                           /* every block that is handed out */
	struct mrpc_zone_block *free[MRPC_ZONE_CLASSES + 1]; /* blocks at hand, by size */
	size_t free_bytes;
};

void mrpc_zone_init(struct mrpc_zone *zone);

/* Gives everything back, also what is handed out. */
void mrpc_zone_clear(struct mrpc_zone *zone);

void *mrpc_zone_alloc(struct mrpc_zone *zone, size_t size); /* NULL when there is no memory */
void *mrpc_zone_zalloc(struct mrpc_zone *zone, size_t size);
void *mrpc_zone_realloc(struct mrpc_zone *zone, void *p, size_t size);
void mrpc_zone_free(struct mrpc_zone *zone, void *p);

#endif

/* SPDX-License-Identifier: MIT */
/* Map: from strings to pointers; open addressing, keyed hash (a peer cannot choose collisions).
 * Keys are not copied. */
#ifndef MRPC_BASE_MAP_H
#define MRPC_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct mrpc_map {
	struct mrpc_map_slot *slots;
	size_t count, capacity; /* capacity is 0 or a power of two */
	uint64_t seed;
};

void mrpc_map_init(struct mrpc_map *map, uint64_t seed);
void mrpc_map_clear(struct mrpc_map *map);

/* The value for a key of len bytes, or NULL. */
void *mrpc_map_get(const struct mrpc_map *map, const char *key, size_t len);

/* Adds; key stays the caller's and must outlive the map. Returns 0, -EEXIST, -ENOMEM. */
int mrpc_map_put(struct mrpc_map *map, const char *key, size_t len, void *value);

/* Forgets a key; fine when it is not there. */
void mrpc_map_remove(struct mrpc_map *map, const char *key, size_t len);

/* Calls fn for each value, in no order. */
void mrpc_map_each(const struct mrpc_map *map, void (*fn)(void *value, void *user), void *user);

#endif

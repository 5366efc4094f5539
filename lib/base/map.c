/* SPDX-License-Identifier: MIT */
/* Map: linear probing in a table that is at most half full. The hash is SipHash-1-3 keyed by a seed
 * of the owner's, so that whoever chooses the keys (paths come from peers) cannot choose where they
 * fall. */
#include "base/map.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

struct mrpc_map_slot {
	const char *key; /* NULL: free */
	size_t len;
	uint64_t hash;
	void *value;
};

static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void round_once(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t hash(uint64_t seed, const char *key, size_t len)
{
	uint64_t v[4] = { seed ^ 0x736f6d6570736575u, ~seed ^ 0x646f72616e646f6du,
			  seed ^ 0x6c7967656e657261u, ~seed ^ 0x7465646279746573u };
	uint64_t word, last = (uint64_t)len << 56;
	size_t whole = len / 8 * 8;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, key + i, 8);
		v[3] ^= word;
		round_once(v);
		v[0] ^= word;
	}
	for (size_t i = whole; i < len; i++)
		last |= (uint64_t)(uint8_t)key[i] << (8 * (i - whole));
	v[3] ^= last;
	round_once(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		round_once(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void mrpc_map_init(struct mrpc_map *map, uint64_t seed)
{
	*map = (struct mrpc_map){ .seed = seed };
}

void mrpc_map_clear(struct mrpc_map *map)
{
	mrpc_free(map->slots);
	*map = (struct mrpc_map){ .seed = map->seed };
}

/* The slot that holds the key, or the free one where it would go. The table has a free slot always.
 */
static struct mrpc_map_slot *find(const struct mrpc_map *map, const char *key, size_t len,
				  uint64_t h)
{
	for (size_t i = h & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
		struct mrpc_map_slot *slot = &map->slots[i];

		if (slot->key == NULL ||
		    (slot->hash == h && slot->len == len && memcmp(slot->key, key, len) == 0))
			return slot;
	}
}

void *mrpc_map_get(const struct mrpc_map *map, const char *key, size_t len)
{
	if (map->count == 0)
		return NULL;
	return find(map, key, len, hash(map->seed, key, len))->value;
}

static int grow(struct mrpc_map *map)
{
	size_t capacity = map->capacity == 0 ? 16 : map->capacity * 2;
	struct mrpc_map bigger = { .capacity = capacity, .count = map->count, .seed = map->seed };

	bigger.slots = mrpc_zalloc(capacity * sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < map->capacity; i++) {
		const struct mrpc_map_slot *slot = &map->slots[i];

		if (slot->key != NULL)
			*find(&bigger, slot->key, slot->len, slot->hash) = *slot;
	}
	mrpc_free(map->slots);
	*map = bigger;
	return 0;
}

int mrpc_map_put(struct mrpc_map *map, const char *key, size_t len, void *value)
{
	uint64_t h = hash(map->seed, key, len);
	struct mrpc_map_slot *slot;
	int r;

	if (map->capacity == 0 || (map->count + 1) * 2 > map->capacity) {
		r = grow(map);
		if (r < 0)
			return r;
	}
	slot = find(map, key, len, h);
	if (slot->key != NULL)
		return -EEXIST;
	*slot = (struct mrpc_map_slot){ .key = key, .len = len, .hash = h, .value = value };
	map->count++;
	return 0;
}

/* What probed past the hole is moved into it, so that every search still ends where it must. */
void mrpc_map_remove(struct mrpc_map *map, const char *key, size_t len)
{
	size_t mask = map->capacity - 1, hole, i, home;
	struct mrpc_map_slot *slot;

	if (map->count == 0)
		return;
	slot = find(map, key, len, hash(map->seed, key, len));
	if (slot->key == NULL)
		return;

	hole = (size_t)(slot - map->slots);
	for (i = (hole + 1) & mask; map->slots[i].key != NULL; i = (i + 1) & mask) {
		home = map->slots[i].hash & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole] = (struct mrpc_map_slot){ 0 };
	map->count--;
}

void mrpc_map_each(const struct mrpc_map *map, void (*fn)(void *value, void *user), void *user)
{
	for (size_t i = 0; i < map->capacity; i++)
		if (map->slots[i].key != NULL)
			fn(map->slots[i].value, user);
}

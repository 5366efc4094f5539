/* SPDX-License-Identifier: MIT */
/* The store of the cache: keys to values, within a memory quota, with views that stand still.
 *
 * A view shows the store as it was at the moment it was opened, key by key in the order in which
 * the keys were first stored, while others go on storing. A value that is replaced while an open
 * view still has to show it is kept until that view has passed it; it counts against the quota like
 * any other. */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct blob {
	const uint8_t *data;
	size_t len;
};

struct store_item {
	const char *key;   /* valid as long as the store */
	struct blob value; /* valid until the next call of a store function */
};

/* What an entry takes beside the bytes of its key and value; part of the published arithmetic of
 * --max-memory. */
#define STORE_OVERHEAD 160u

struct store *store_new(size_t max_bytes);
void store_free(struct store *store); /* with the views that are open still */

/* Returns 0, -ENOSPC (above the quota) or -ENOMEM; then the old value, if any, is still there.
 * *ret_is_new (may be NULL) tells whether the key was not there before. */
int store_put(struct store *store, const char *key, const void *value, size_t len, int *ret_is_new);

/* Whether store_put would not say -ENOSPC. */
bool store_has_room(const struct store *store, const char *key, size_t len);

/* Returns 0 or -ENOENT. */
int store_get(const struct store *store, const char *key, struct blob *ret_value);

size_t store_count(const struct store *store);
size_t store_bytes(const struct store *store);

/* ---- Views ---- */

struct store_view;

struct store_view *store_view_open(struct store *store); /* NULL: no memory */
void store_view_close(struct store_view *view);

/* The item the view stands at: 0, or -ENOENT at its end. Does not move. */
int store_view_peek(struct store_view *view, struct store_item *ret_item);
void store_view_next(struct store_view *view);

#endif

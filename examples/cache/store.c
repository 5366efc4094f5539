/* SPDX-License-Identifier: MIT */
/* Store: a hash of entries that are also in a list, oldest key first. Keys are never removed.
 *
 * Every put counts the clock of the store up; a value knows the time of its birth. A view remembers
 * the time it was opened and the entry it stands at, and shows of each entry the youngest value that
 * is not younger than itself:
 *
 *	entry "a" -> value born 7 -> value born 3        view opened at 5 shows the value born 3
 *	entry "b" -> value born 4
 *	entry "c" -> value born 6                        ... and stops here: "c" was not there yet
 *
 * Older values hang behind the youngest only while an open view that has not passed the entry wants
 * them. */
#include "store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct value {
	struct value *older;
	uint64_t born;
	size_t len;
	uint8_t data[];
};

struct entry {
	UT_hash_handle hh;
	struct entry *next;      /* in the order of the keys' birth */
	struct entry *next_kept; /* in the list of entries that have older values */
	bool is_kept;
	uint64_t number; /* counts entries from 1 */
	uint64_t born;
	struct value *value;
	char key[];
};

struct store {
	struct entry *by_key;
	struct entry *first, *last;
	struct entry *kept; /* entries with more than one value */
	struct store_view *views;
	uint64_t clock;
	size_t count, bytes, max_bytes;
};

struct store_view {
	struct store *store;
	struct store_view *next, **link;
	uint64_t opened;
	struct entry *at; /* where it stands; NULL: before the first entry, or at the end */
	bool started;
};

struct store *store_new(size_t max_bytes)
{
	struct store *store = calloc(1, sizeof *store);

	if (store != NULL)
		store->max_bytes = max_bytes;
	return store;
}

static void free_values(struct value *value)
{
	struct value *older;

	for (; value != NULL; value = older) {
		older = value->older;
		free(value);
	}
}

void store_free(struct store *store)
{
	struct entry *entry, *next;

	if (store == NULL)
		return;
	while (store->views != NULL)
		store_view_close(store->views);
	HASH_CLEAR(hh, store->by_key);
	for (entry = store->first; entry != NULL; entry = next) {
		next = entry->next;
		free_values(entry->value);
		free(entry);
	}
	free(store);
}

static struct entry *find(const struct store *store, const char *key)
{
	struct entry *entry;

	HASH_FIND_STR(store->by_key, key, entry);
	return entry;
}

int store_get(const struct store *store, const char *key, struct blob *ret_value)
{
	const struct entry *entry = find(store, key);

	if (entry == NULL)
		return -ENOENT;
	*ret_value = (struct blob){ entry->value->data, entry->value->len };
	return 0;
}

size_t store_count(const struct store *store)
{
	return store->count;
}

size_t store_bytes(const struct store *store)
{
	return store->bytes;
}

/* ---- Keeping older values for views ---- */

/* The number of the entry a view stands at; it has passed all below. */
static uint64_t position(const struct store_view *view)
{
	if (!view->started)
		return 0;
	return view->at == NULL ? UINT64_MAX : view->at->number;
}

/* Does an open view still have to show this value, which was replaced at `replaced`? */
static bool is_wanted(const struct store *store, const struct entry *entry,
		      const struct value *value, uint64_t replaced)
{
	for (const struct store_view *view = store->views; view != NULL; view = view->next)
		if (view->opened >= value->born && view->opened < replaced &&
		    position(view) <= entry->number)
			return true;
	return false;
}

/* Frees the older values of an entry that nobody wants. True: some are left. */
static bool prune(struct store *store, struct entry *entry)
{
	struct value **link = &entry->value->older;
	uint64_t replaced = entry->value->born;

	while (*link != NULL) {
		struct value *value = *link;

		if (is_wanted(store, entry, value, replaced)) {
			replaced = value->born;
			link = &value->older;
			continue;
		}
		*link = value->older;
		replaced = value->born;
		store->bytes -= value->len + STORE_OVERHEAD;
		free(value);
	}
	return entry->value->older != NULL;
}

static void prune_all(struct store *store)
{
	struct entry **link = &store->kept;

	while (*link != NULL) {
		struct entry *entry = *link;

		if (prune(store, entry)) {
			link = &entry->next_kept;
			continue;
		}
		*link = entry->next_kept;
		entry->is_kept = false;
	}
}

/* ---- Storing ---- */

static struct value *value_new(const void *data, size_t len)
{
	struct value *value = malloc(sizeof *value + len);

	if (value == NULL)
		return NULL;
	*value = (struct value){ .len = len };
	if (len > 0)
		memcpy(value->data, data, len);
	return value;
}

static int add_entry(struct store *store, const char *key, struct value *value)
{
	size_t key_len = strlen(key);
	struct entry *entry = malloc(sizeof *entry + key_len + 1);

	if (entry == NULL)
		return -ENOMEM;
	memset(entry, 0, sizeof *entry);
	memcpy(entry->key, key, key_len + 1);
	HASH_ADD_STR(store->by_key, key, entry);
	if (entry->hh.tbl == NULL) { /* uthash had no memory */
		free(entry);
		return -ENOMEM;
	}
	entry->number = ++store->count;
	entry->born = value->born;
	entry->value = value;
	if (store->last == NULL)
		store->first = entry;
	else
		store->last->next = entry;
	store->last = entry;
	store->bytes += key_len + value->len + STORE_OVERHEAD;
	return 0;
}

static void replace(struct store *store, struct entry *entry, struct value *value)
{
	value->older = entry->value;
	entry->value = value;
	store->bytes += value->len + STORE_OVERHEAD;
	if (prune(store, entry) && !entry->is_kept) {
		entry->is_kept = true;
		entry->next_kept = store->kept;
		store->kept = entry;
	}
}

/* What the store would hold after the put. */
static size_t bytes_after(const struct store *store, const struct entry *entry, const char *key,
			  size_t len)
{
	size_t after = store->bytes + len;

	if (entry == NULL)
		return after + strlen(key) + STORE_OVERHEAD;
	if (is_wanted(store, entry, entry->value, store->clock + 1))
		return after + STORE_OVERHEAD;
	return after - entry->value->len;
}

bool store_has_room(const struct store *store, const char *key, size_t len)
{
	return len <= store->max_bytes &&
	       bytes_after(store, find(store, key), key, len) <= store->max_bytes;
}

int store_put(struct store *store, const char *key, const void *data, size_t len, int *ret_is_new)
{
	struct entry *entry = find(store, key);
	struct value *value;

	if (!store_has_room(store, key, len))
		return -ENOSPC;
	value = value_new(data, len);
	if (value == NULL)
		return -ENOMEM;
	value->born = store->clock + 1;
	if (entry == NULL && add_entry(store, key, value) < 0) {
		free(value);
		return -ENOMEM;
	}
	store->clock++;
	if (entry != NULL)
		replace(store, entry, value);
	if (ret_is_new != NULL)
		*ret_is_new = entry == NULL;
	return 0;
}

/* ---- Views ---- */

struct store_view *store_view_open(struct store *store)
{
	struct store_view *view = calloc(1, sizeof *view);

	if (view == NULL)
		return NULL;
	view->store = store;
	view->opened = store->clock;
	view->next = store->views;
	view->link = &store->views;
	if (view->next != NULL)
		view->next->link = &view->next;
	store->views = view;
	return view;
}

void store_view_close(struct store_view *view)
{
	if (view == NULL)
		return;
	*view->link = view->next;
	if (view->next != NULL)
		view->next->link = view->link;
	prune_all(view->store);
	free(view);
}

int store_view_peek(struct store_view *view, struct store_item *ret_item)
{
	const struct value *value;

	if (!view->started) {
		view->started = true;
		view->at = view->store->first;
	}
	/* Keys are in the order of their birth: the first that is too young ends the view. */
	if (view->at == NULL || view->at->born > view->opened) {
		view->at = NULL;
		return -ENOENT;
	}
	for (value = view->at->value; value->born > view->opened; value = value->older)
		;
	*ret_item = (struct store_item){ view->at->key, { value->data, value->len } };
	return 0;
}

void store_view_next(struct store_view *view)
{
	struct entry *passed = view->at;

	if (passed == NULL)
		return;
	view->at = passed->next;
	if (passed->is_kept)
		prune(view->store, passed); /* it leaves the list of kept ones when a view closes */
}

/* SPDX-License-Identifier: MIT */
/* The store of the cache: its arithmetic, and views that stand still. */
#include "run_suite.h"

#include "store.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int put(struct store *store, const char *key, const char *value)
{
	return store_put(store, key, value, strlen(value), NULL);
}

static void check_value(const struct store *store, const char *key, const char *value)
{
	struct blob blob;

	ck_assert_int_eq(store_get(store, key, &blob), 0);
	ck_assert_uint_eq(blob.len, strlen(value));
	ck_assert_mem_eq(blob.data, value, blob.len);
}

/* The view stands at this item; goes to the next. */
static void check_item(struct store_view *view, const char *key, const char *value)
{
	struct store_item item;

	ck_assert_int_eq(store_view_peek(view, &item), 0);
	ck_assert_str_eq(item.key, key);
	ck_assert_uint_eq(item.value.len, strlen(value));
	ck_assert_mem_eq(item.value.data, value, item.value.len);
	store_view_next(view);
}

static void check_end(struct store_view *view)
{
	struct store_item item;

	ck_assert_int_eq(store_view_peek(view, &item), -ENOENT);
	store_view_next(view);
	ck_assert_int_eq(store_view_peek(view, &item), -ENOENT);
}

/* ---- Values ---- */

START_TEST(what_is_put_can_be_had)
{
	struct store *store = store_new(10000);
	struct blob blob;
	int is_new = -1;

	ck_assert_int_eq(store_get(store, "a", &blob), -ENOENT);
	ck_assert_int_eq(store_put(store, "a", "1\0002", 3, &is_new), 0);
	ck_assert_int_eq(is_new, 1);
	ck_assert_int_eq(store_get(store, "a", &blob), 0);
	ck_assert_uint_eq(blob.len, 3);
	ck_assert_mem_eq(blob.data, "1\0002", 3);

	ck_assert_int_eq(store_put(store, "a", NULL, 0, &is_new), 0);
	ck_assert_int_eq(is_new, 0);
	check_value(store, "a", "");
	ck_assert_int_eq(store_get(store, "A", &blob), -ENOENT);
	ck_assert_uint_eq(store_count(store), 1);
	store_free(store);
	store_free(NULL);
}
END_TEST

START_TEST(bytes_are_counted_exactly)
{
	struct store *store = store_new(10000);

	ck_assert_uint_eq(store_bytes(store), 0);
	ck_assert_int_eq(put(store, "ab", "123"), 0);
	ck_assert_uint_eq(store_bytes(store), 2 + 3 + STORE_OVERHEAD);
	ck_assert_int_eq(put(store, "ab", "1234567"), 0); /* nobody looks at the old value */
	ck_assert_uint_eq(store_bytes(store), 2 + 7 + STORE_OVERHEAD);
	ck_assert_int_eq(put(store, "c", ""), 0);
	ck_assert_uint_eq(store_bytes(store), 3 + 7 + 2 * STORE_OVERHEAD);
	store_free(store);
}
END_TEST

START_TEST(the_quota_is_met_to_the_byte)
{
	const size_t quota = 2 * (1 + 10 + STORE_OVERHEAD);
	struct store *store = store_new(quota);

	ck_assert_int_eq(put(store, "a", "0123456789"), 0);
	ck_assert_int_eq(put(store, "b", "0123456789A"), -ENOSPC);
	ck_assert_int_eq(put(store, "bb", "0123456789"), -ENOSPC);
	ck_assert_uint_eq(store_count(store), 1);
	ck_assert_int_eq(put(store, "b", "0123456789"), 0);
	ck_assert_uint_eq(store_bytes(store), quota);

	ck_assert_int_eq(put(store, "c", ""), -ENOSPC);
	ck_assert_int_eq(put(store, "a", "0123456789A"), -ENOSPC); /* the old value stays */
	check_value(store, "a", "0123456789");
	ck_assert_int_eq(put(store, "a", "9876543210"), 0); /* as long as the old one: fits */
	check_value(store, "a", "9876543210");
	ck_assert_int_eq(put(store, "a", ""), 0);
	ck_assert_uint_eq(store_bytes(store), quota - 10);
	store_free(store);
}
END_TEST

START_TEST(no_length_wraps_the_quota)
{
	struct store *store = store_new(1000);

	ck_assert_int_eq(store_put(store, "a", "", SIZE_MAX, NULL), -ENOSPC);
	ck_assert_int_eq(store_put(store, "a", "", SIZE_MAX - STORE_OVERHEAD, NULL), -ENOSPC);
	ck_assert_int_eq(put(store, "a", "x"), 0);
	ck_assert_int_eq(store_put(store, "a", "", SIZE_MAX, NULL), -ENOSPC);
	check_value(store, "a", "x");
	store_free(store);
}
END_TEST

/* ---- Views ---- */

START_TEST(a_view_of_nothing_is_at_its_end)
{
	struct store *store = store_new(10000);
	struct store_view *view = store_view_open(store);

	ck_assert_int_eq(put(store, "a", "1"), 0); /* too young */
	check_end(view);
	store_view_close(view);
	store_view_close(NULL);
	store_free(store);
}
END_TEST

START_TEST(a_view_goes_in_the_order_of_the_first_puts)
{
	struct store *store = store_new(10000);
	struct store_view *view;

	ck_assert_int_eq(put(store, "z", "1"), 0);
	ck_assert_int_eq(put(store, "a", "2"), 0);
	ck_assert_int_eq(put(store, "m", "3"), 0);
	ck_assert_int_eq(put(store, "z", "4"), 0);
	view = store_view_open(store);
	check_item(view, "z", "4");
	check_item(view, "a", "2");
	check_item(view, "m", "3");
	check_end(view);
	store_view_close(view);
	store_free(store);
}
END_TEST

START_TEST(peek_does_not_move)
{
	struct store *store = store_new(10000);
	struct store_view *view;
	struct store_item item;

	ck_assert_int_eq(put(store, "a", "1"), 0);
	view = store_view_open(store);
	ck_assert_int_eq(store_view_peek(view, &item), 0);
	ck_assert_int_eq(store_view_peek(view, &item), 0);
	check_item(view, "a", "1");
	check_end(view);
	store_view_close(view);
	store_free(store);
}
END_TEST

START_TEST(a_view_stands_still_while_others_store)
{
	struct store *store = store_new(10000);
	struct store_view *view;

	ck_assert_int_eq(put(store, "a", "a1"), 0);
	ck_assert_int_eq(put(store, "b", "b1"), 0);
	ck_assert_int_eq(put(store, "c", "c1"), 0);
	view = store_view_open(store);
	ck_assert_int_eq(put(store, "a", "a2"), 0); /* before it has begun */
	check_item(view, "a", "a1");
	ck_assert_int_eq(put(store, "a", "a3"), 0); /* behind it */
	ck_assert_int_eq(put(store, "b", "b2"), 0); /* where it stands */
	ck_assert_int_eq(put(store, "c", "c2"), 0); /* before it, twice */
	ck_assert_int_eq(put(store, "c", "c3"), 0);
	ck_assert_int_eq(put(store, "d", "d1"), 0); /* too young */
	check_item(view, "b", "b1");
	check_item(view, "c", "c1");
	check_end(view);
	store_view_close(view);

	check_value(store, "a", "a3");
	check_value(store, "b", "b2");
	check_value(store, "c", "c3");
	view = store_view_open(store);
	check_item(view, "a", "a3");
	check_item(view, "b", "b2");
	check_item(view, "c", "c3");
	check_item(view, "d", "d1");
	check_end(view);
	store_view_close(view);
	store_free(store);
}
END_TEST

START_TEST(each_view_has_its_own_time)
{
	struct store *store = store_new(10000);
	struct store_view *views[4];

	for (int i = 0; i < 4; i++) {
		char value[2] = { (char)('0' + i), '\0' };

		ck_assert_int_eq(put(store, "a", value), 0);
		views[i] = store_view_open(store);
	}
	ck_assert_int_eq(put(store, "a", "9"), 0);
	store_view_close(views[1]); /* from the middle of the list */
	check_item(views[3], "a", "3");
	check_item(views[0], "a", "0");
	check_item(views[2], "a", "2");
	store_view_close(views[0]);
	store_view_close(views[3]);
	check_end(views[2]);
	store_view_close(views[2]);
	ck_assert_uint_eq(store_bytes(store), 1 + 1 + STORE_OVERHEAD);
	store_free(store);
}
END_TEST

START_TEST(views_that_are_open_still_go_with_the_store)
{
	struct store *store = store_new(10000);

	ck_assert_int_eq(put(store, "a", "old"), 0);
	ck_assert_ptr_nonnull(store_view_open(store));
	ck_assert_ptr_nonnull(store_view_open(store));
	ck_assert_int_eq(put(store, "a", "new"), 0);
	store_free(store); /* a leak checker watches */
}
END_TEST

/* ---- What views cost ---- */

START_TEST(a_kept_value_counts_until_its_view_has_passed)
{
	struct store *store = store_new(10000);
	struct store_view *view;
	size_t alone;

	ck_assert_int_eq(put(store, "a", "old"), 0);
	ck_assert_int_eq(put(store, "b", "1"), 0);
	alone = store_bytes(store);
	view = store_view_open(store);
	ck_assert_int_eq(put(store, "a", "new"), 0);
	ck_assert_uint_eq(store_bytes(store), alone + 3 + STORE_OVERHEAD);
	ck_assert_int_eq(put(store, "a", "NEW"), 0); /* nobody saw "new" */
	ck_assert_uint_eq(store_bytes(store), alone + 3 + STORE_OVERHEAD);
	check_item(view, "a", "old");
	ck_assert_uint_eq(store_bytes(store), alone);
	ck_assert_int_eq(put(store, "a", "gone by"), 0); /* the view has passed: nothing is kept */
	ck_assert_uint_eq(store_bytes(store), alone + 4);
	store_view_close(view);
	store_free(store);
}
END_TEST

START_TEST(a_kept_value_goes_when_its_view_closes)
{
	struct store *store = store_new(10000);
	struct store_view *view = NULL;
	size_t alone;

	for (char key[2] = "a"; key[0] <= 'e'; key[0]++)
		ck_assert_int_eq(put(store, key, "old"), 0);
	alone = store_bytes(store);
	view = store_view_open(store);
	for (char key[2] = "a"; key[0] <= 'e'; key[0]++)
		ck_assert_int_eq(put(store, key, "new"), 0);
	ck_assert_uint_eq(store_bytes(store), alone + 5 * (3 + STORE_OVERHEAD));
	check_item(view, "a", "old");
	store_view_close(view);
	ck_assert_uint_eq(store_bytes(store), alone);
	store_free(store);
}
END_TEST

START_TEST(the_quota_counts_what_a_view_keeps)
{
	const size_t one = 1 + 10 + STORE_OVERHEAD;
	struct store *store = store_new(one + 9 + STORE_OVERHEAD);
	struct store_view *view;

	ck_assert_int_eq(put(store, "a", "0123456789"), 0);
	view = store_view_open(store);
	ck_assert_int_eq(put(store, "a", "9876543210"), -ENOSPC); /* one too many beside the old */
	check_value(store, "a", "0123456789");
	ck_assert_int_eq(put(store, "a", "987654321"), 0);
	ck_assert_uint_eq(store_bytes(store), one + 9 + STORE_OVERHEAD);
	check_item(view, "a", "0123456789");
	ck_assert_int_eq(put(store, "a", "9876543210"), 0); /* it has passed */
	store_view_close(view);
	ck_assert_uint_eq(store_bytes(store), one);
	store_free(store);
}
END_TEST

/* ---- Against a simple model ---- */

#define KEYS 12
#define VIEWS 4

/* What a view must show: a copy of everything at the time it was opened. */
struct model {
	int order[KEYS], count; /* keys, in the order of their first put */
	int values[KEYS];       /* 0: not there */
};

static void check_step(struct store_view *view, const struct model *model, int *at)
{
	char key[16], value[16];

	if (*at == model->count) {
		check_end(view);
		return;
	}
	snprintf(key, sizeof key, "key %d", model->order[*at]);
	snprintf(value, sizeof value, "%d", model->values[model->order[*at]]);
	check_item(view, key, value);
	(*at)++;
}

START_TEST(views_show_what_a_copy_would_for_any_order_of_steps)
{
	struct store *store = store_new(1 << 20);
	struct store_view *views[VIEWS] = { NULL };
	struct model now = { .count = 0 }, seen[VIEWS];
	int at[VIEWS] = { 0 };
	uint32_t random = (uint32_t)_i + 1;
	size_t alone = 0;

	for (int step = 1; step <= 2000; step++) {
		char key[16], value[16];
		int k, v;

		random = random * 1664525 + 1013904223; /* Numerical Recipes, 7.1 */
		k = (int)(random >> 8) % KEYS;
		v = (int)(random >> 16) % VIEWS;
		switch (random >> 28) {
		case 0:
			if (views[v] != NULL)
				store_view_close(views[v]);
			views[v] = NULL;
			break;
		case 1:
			if (views[v] != NULL)
				break;
			views[v] = store_view_open(store);
			ck_assert_ptr_nonnull(views[v]);
			seen[v] = now;
			at[v] = 0;
			break;
		case 2:
		case 3:
		case 4:
		case 5:
		case 6:
		case 7:
			if (views[v] != NULL)
				check_step(views[v], &seen[v], &at[v]);
			break;
		default:
			snprintf(key, sizeof key, "key %d", k);
			snprintf(value, sizeof value, "%d", step);
			ck_assert_int_eq(put(store, key, value), 0);
			if (now.values[k] == 0)
				now.order[now.count++] = k;
			now.values[k] = step;
			check_value(store, key, value);
		}
	}
	for (int v = 0; v < VIEWS; v++) {
		while (views[v] != NULL && at[v] < seen[v].count)
			check_step(views[v], &seen[v], &at[v]);
		store_view_close(views[v]);
	}
	for (int i = 0; i < now.count; i++) {
		char key[16], value[16];

		alone += (size_t)snprintf(key, sizeof key, "key %d", now.order[i]);
		alone += (size_t)snprintf(value, sizeof value, "%d", now.values[now.order[i]]);
		alone += STORE_OVERHEAD;
	}
	ck_assert_uint_eq(store_bytes(store), alone); /* nothing old is left */
	store_free(store);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("examples/store");
	TCase *t = tcase_create("store");

	tcase_add_test(t, what_is_put_can_be_had);
	tcase_add_test(t, bytes_are_counted_exactly);
	tcase_add_test(t, the_quota_is_met_to_the_byte);
	tcase_add_test(t, no_length_wraps_the_quota);
	tcase_add_test(t, a_view_of_nothing_is_at_its_end);
	tcase_add_test(t, a_view_goes_in_the_order_of_the_first_puts);
	tcase_add_test(t, peek_does_not_move);
	tcase_add_test(t, a_view_stands_still_while_others_store);
	tcase_add_test(t, each_view_has_its_own_time);
	tcase_add_test(t, views_that_are_open_still_go_with_the_store);
	tcase_add_test(t, a_kept_value_counts_until_its_view_has_passed);
	tcase_add_test(t, a_kept_value_goes_when_its_view_closes);
	tcase_add_test(t, the_quota_counts_what_a_view_keeps);
	tcase_add_loop_test(t, views_show_what_a_copy_would_for_any_order_of_steps, 0, 50);
	suite_add_tcase(s, t);
	return s;
}

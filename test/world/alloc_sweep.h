/* SPDX-License-Identifier: MIT */
/* A story told again and again, with another allocation failing each time (alloc_fail.h): for tests of Check. */
#ifndef TEST_WORLD_ALLOC_SWEEP_H
#define TEST_WORLD_ALLOC_SWEEP_H

#include "world/alloc_fail.h"

#include <check.h>

/* story(n, forever) makes the n-th allocation fail, and with `forever` every one after it, and returns how many
 * were refused; it leaves nothing behind. Returns how many allocations the story takes when none fails. */
static inline size_t alloc_sweep(size_t (*story)(size_t n, bool forever), bool forever)
{
	size_t n = 0, live = alloc_live(), refused;

	do {
		n++;
		refused = story(n, forever);
		alloc_fail_at(0, false);
		ck_assert_msg(alloc_live() == live, "leaked when allocation %zu failed", n);
	} while (refused > 0);
	return n;
}

#endif

/* SPDX-License-Identifier: MIT */
/* Every story again, with the n-th allocation failing - once, and from then on - and with the pipe
 * cut after each byte, in either direction. Nothing is asked of the story but the rules: no crash,
 * one end for each call, order kept, nothing left over, and an ordinary call works afterwards
 * [limits.md 4, P2, P9, P10].
 *
 * SWEEP_STEP in the environment tells every how-manyth place is tried (1: all, as test/run --all
 * does), SWEEP_FROM with which story it begins. */
#include "run_suite.h"
#include "scenario/stories.h"
#include "world/alloc_fail.h"

#include <stdlib.h>

static int number(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text == NULL || atoi(text) < 1 ? otherwise : atoi(text);
}

static size_t step(void)
{
	return (size_t)number("SWEEP_STEP", 7);
}

static void finish(struct world *w, const struct story *story, const char *what, size_t n)
{
	alloc_fail_at(0, false);
	if (w != NULL) {
		world_settle(w);
		story_check(w);
		if (!w->is_drained && w->channel != NULL) /* what was stopped is not asked */
			world_check_usable(w);
	}
	story_end(story, w);
	ck_assert_msg(alloc_live() == 0, "%s leaves %zu blocks (%s %zu)", story->name, alloc_live(),
		      what, n);
}

/* Fails the n-th allocation of a world and its story; returns whether there was one. */
static bool fail_allocation(const struct story *story, size_t n, bool forever)
{
	struct world *w;
	bool reached;

	alloc_fail_at(n, forever);
	w = story_world(story, NULL, true);
	if (w != NULL)
		story->tell(w);
	reached = alloc_refused() > 0;
	finish(w, story, "allocation", n);
	return reached;
}

START_TEST(a_story_survives_one_failing_allocation)
{
	for (size_t n = 1; fail_allocation(story_at(_i), n, false); n += n < 300 ? 1 : step())
		;
}
END_TEST

START_TEST(a_story_survives_the_end_of_memory)
{
	for (size_t n = 1; fail_allocation(story_at(_i), n, true); n += n < 300 ? 1 : step())
		;
}
END_TEST

/* Where to cut after n: in the first 20,000 bytes everywhere, when every place is asked for. What is
 * behind them is the same message over and over. */
static size_t next_cut(size_t n)
{
	if (step() == 1)
		return n + (n < 20000 ? 1 : 997);
	if (n < 400)
		return n + 1;
	return n + (n < 5000 ? step() * 7 : 9973);
}

static size_t moved_in(const struct world_link *link, bool up)
{
	return up ? link->up.moved : link->down.moved;
}

/* Bytes of the longest connection. */
static size_t most_moved(const struct world *w, bool up)
{
	size_t most = w->most_moved[up];

	return moved_in(&w->link, up) > most ? moved_in(&w->link, up) : most;
}

/* Cuts after n bytes in one direction; returns whether so many came. */
static bool cut(const struct story *story, size_t n, bool up)
{
	struct world *w = story_world(story, NULL, true);
	bool reached;

	if (up)
		w->up.cut_after = n;
	else
		w->down.cut_after = n;
	w->up.chop = w->down.chop = 16384;
	story->tell(w);
	reached = most_moved(w, up) >= n;
	finish(w, story, up ? "cut up" : "cut down", n);
	return reached;
}

START_TEST(a_story_survives_a_cut_after_each_byte)
{
	for (int up = 0; up < 2; up++)
		for (size_t n = 1; cut(story_at(_i), n, up); n = next_cut(n))
			;
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("sweep/sweep");
	TCase *c = tcase_create("sweep");

	int from = number("SWEEP_FROM", 0);

	tcase_set_timeout(c, 600);
	tcase_add_loop_test(c, a_story_survives_one_failing_allocation, from, story_count());
	tcase_add_loop_test(c, a_story_survives_the_end_of_memory, from, story_count());
	tcase_add_loop_test(c, a_story_survives_a_cut_after_each_byte, from, story_count());
	suite_add_tcase(s, c);
	return s;
}

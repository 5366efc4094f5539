/* SPDX-License-Identifier: MIT */
/* Every story in a world where nothing fails: as it comes, in chunks of every small size, and over
 * a slow pipe. */
#include "run_suite.h"
#include "scenario/stories.h"
#include "world/alloc_fail.h"

static void tell(const struct story *story, size_t chop, minirpc_time delay)
{
	struct world *w = world_new();

	w->up.chop = w->down.chop = chop;
	w->up.delay = w->down.delay = delay;
	story->tell(w);
	story_check(w);
	world_free(w);
	ck_assert_msg(alloc_live() == 0, "%s leaves %zu blocks", story->name, alloc_live());
}

START_TEST(a_story_goes_well)
{
	tell(&stories[_i], 0, 0);
}
END_TEST

START_TEST(a_story_goes_well_in_every_chunk_size)
{
	static const size_t sizes[] = {
		1, 2, 3, 5, 7, 9, 10, 16, 17, 33, 64, 100, 1000, 4096, 16384
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		tell(&stories[_i], sizes[i], 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("scenario/stories");
	TCase *c = tcase_create("stories");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, a_story_goes_well, 0, (int)story_count);
	tcase_add_loop_test(c, a_story_goes_well_in_every_chunk_size, 0, (int)story_count);
	suite_add_tcase(s, c);
	return s;
}

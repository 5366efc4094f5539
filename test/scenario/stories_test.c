/* SPDX-License-Identifier: MIT */
/* Every story in a world where nothing fails: as it comes, in chunks of every small size, and
 * compressed, and carried by attempts. */
#include "run_suite.h"
#include "scenario/stories.h"
#include "world/alloc_fail.h"

/* What compresses without making anything smaller, so that a story about large messages stays one. */
static int turn(void *user, const void *data, size_t len,
		int (*put)(void *sink, const void *bytes, size_t len), void *sink)
{
	const uint8_t *bytes = data;
	uint8_t piece[1000];
	int r = 0;

	(void)user;
	for (size_t i = 0, n; i < len && r == 0; i += n) {
		for (n = 0; n < sizeof piece && i + n < len; n++)
			piece[n] = (uint8_t)~bytes[i + n];
		r = put(sink, piece, n);
	}
	return r;
}

static const struct minirpc_compressor turned = { .name = "turned",
						  .compress = turn,
						  .decompress = turn };
static const struct minirpc_compressor *const turned_only[] = { &turned, NULL };

static const struct world_options compressed = {
	.server = { .compressors = turned_only, .compression = "turned" },
	.channel = { .compressors = turned_only, .compression = "turned" },
};

static void tell_in(const struct story *story, const struct world_options *variation,
		    size_t chop)
{
	struct world *w = story_world(story, variation, false);

	w->up.chop = w->down.chop = chop;
	story->tell(w);
	story_check(w);
	story_end(story, w);
	ck_assert_msg(alloc_live() == 0, "%s leaves %zu blocks", story->name, alloc_live());
}

START_TEST(a_story_goes_well)
{
	tell_in(story_at(_i), NULL, 0);
}
END_TEST

START_TEST(a_story_goes_well_in_every_chunk_size)
{
	static const size_t sizes[] = {
		1, 2, 3, 5, 7, 9, 10, 16, 17, 33, 64, 100, 1000, 4096, 16384
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		tell_in(story_at(_i), NULL, sizes[i]);
}
END_TEST

START_TEST(a_story_goes_well_compressed)
{
	tell_in(story_at(_i), &compressed, 0);
	tell_in(story_at(_i), &compressed, 17);
}
END_TEST

/* Each call is attached to a hedge, and its one attempt to the connection. */
static const struct world_options carried = {
	.channel = { .service_config_json = "{\"methodConfig\":[{\"name\":[{}],\"hedgingPolicy\":{"
					    "\"maxAttempts\":2,"
					    "\"hedgingDelay\":\"3600s\"}}]}" },
};

START_TEST(a_story_goes_well_when_its_calls_are_carried)
{
	tell_in(story_at(_i), &carried, 0);
	tell_in(story_at(_i), &carried, 17);
	tell_in(story_at(_i), &carried, 4096);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("scenario/stories");
	TCase *c = tcase_create("stories");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, a_story_goes_well, 0, story_count());
	tcase_add_loop_test(c, a_story_goes_well_compressed, 0, story_count());
	tcase_add_loop_test(c, a_story_goes_well_when_its_calls_are_carried, 0, story_count());
	tcase_add_loop_test(c, a_story_goes_well_in_every_chunk_size, 0, story_count());
	suite_add_tcase(s, c);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Every story in a world where nothing fails: as it comes, in chunks of every small size, over a slow
 * pipe, and compressed. */
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

static void tell_in(const struct world_options *options, const struct story *story, size_t chop,
		    minirpc_time delay)
{
	struct world *w = world_new_with(options);

	w->up.chop = w->down.chop = chop;
	w->up.delay = w->down.delay = delay;
	story->tell(w);
	story_check(w);
	world_free(w);
	ck_assert_msg(alloc_live() == 0, "%s leaves %zu blocks", story->name, alloc_live());
}

static void tell(const struct story *story, size_t chop, minirpc_time delay)
{
	tell_in(&(struct world_options){ 0 }, story, chop, delay);
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

START_TEST(a_story_goes_well_compressed)
{
	tell_in(&compressed, &stories[_i], 0, 0);
	tell_in(&compressed, &stories[_i], 17, 0);
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
	tell_in(&carried, &stories[_i], 0, 0);
	tell_in(&carried, &stories[_i], 17, 0);
	tell_in(&carried, &stories[_i], 4096, 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("scenario/stories");
	TCase *c = tcase_create("stories");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, a_story_goes_well, 0, (int)story_count);
	tcase_add_loop_test(c, a_story_goes_well_compressed, 0, (int)story_count);
	tcase_add_loop_test(c, a_story_goes_well_when_its_calls_are_carried, 0, (int)story_count);
	tcase_add_loop_test(c, a_story_goes_well_in_every_chunk_size, 0, (int)story_count);
	suite_add_tcase(s, c);
	return s;
}

/* SPDX-License-Identifier: MIT */
#include "scenario/telling.h"

#include "client/channel.h"

#include <string.h>

static const struct story *const lists[] = { stories_of_calls, stories_of_attempts,
					     stories_of_hooks, stories_of_servers };

const struct story *story_at(int index)
{
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		for (const struct story *story = lists[i]; story->name != NULL; story++)
			if (index-- == 0)
				return story;
	return NULL;
}

int story_count(void)
{
	int count = 0;

	while (story_at(count) != NULL)
		count++;
	return count;
}

/* ---- Its world ---- */

struct world_options story_options(const struct story *story,
				   const struct world_options *variation)
{
	struct world_options options = { 0 };

	if (story->options != NULL)
		options = *story->options;
	if (variation == NULL)
		return options;
	options.server.compressors = variation->server.compressors;
	options.server.compression = variation->server.compression;
	options.channel.compressors = variation->channel.compressors;
	options.channel.compression = variation->channel.compression;
	if (options.channel.service_config == NULL)
		options.channel.service_config_json = variation->channel.service_config_json;
	return options;
}

struct world *story_world(const struct story *story, const struct world_options *variation,
			  bool faulty)
{
	struct world_options options = story_options(story, variation);

	if (story->begin != NULL)
		story->begin();
	options.faulty = faulty;
	return world_new_with(&options);
}

void story_end(const struct story *story, struct world *w)
{
	world_free(w);
	if (story->end != NULL)
		story->end();
}

/* ---- Its calls ---- */

#define PROBES 12

/* The probes of the story that is being told, so that story_check can look at all of them. */
static struct probe probes[PROBES];
static int probe_count;

struct probe *new_probe(void)
{
	struct probe *probe = &probes[probe_count++];

	ck_assert_int_le(probe_count, PROBES);
	*probe = (struct probe){ 0 };
	return probe;
}

void story_check(struct world *w)
{
	for (int i = 0; i < probe_count; i++) {
		const struct probe *probe = &probes[i];

		ck_assert_int_le(probe->ends, 1);
		ck_assert(!probe->bad_order);
		/* Told its end, or given up by the story itself, or never opened. */
		ck_assert_msg(probe->call == NULL, "call %d has not ended", i);
	}
	for (unsigned i = 0; i < w->served_count && i < WORLD_SERVED; i++)
		ck_assert_int_le(w->served[i].ends, 1);
	probe_count = 0;
	if (w->channel != NULL)
		ck_assert_uint_eq(w->channel->replay.held, 0);
	if (minirpc_server_open_calls(w->server) == 0)
		ck_assert_uint_eq(minirpc_server_memory(w->server), 0);
}

void wait_for_the_end(struct world *w)
{
	world_settle(w);
	world_advance(w, MINIRPC_S(60));
}

minirpc_call *open_call(struct world *w, const struct minirpc_method *method, struct probe **probe)
{
	*probe = new_probe();
	return world_call(w, method, MINIRPC_S(30), *probe);
}

minirpc_call *handle_of(struct world *w)
{
	return world_served(w) == NULL ? NULL : world_served(w)->call;
}

void answer(struct world *w, const char *text)
{
	minirpc_call *call = handle_of(w);
	int r;

	if (call == NULL)
		return;
	world_served(w)->call = NULL;
	r = minirpc_call_send(call, text, strlen(text));
	minirpc_call_end(call,
			 r == 0 ? NULL
				: &(struct minirpc_status){ .code = MINIRPC_RESOURCE_EXHAUSTED });
}

void refuse(struct world *w, enum minirpc_code code, minirpc_time pushback)
{
	minirpc_call *call = handle_of(w);

	if (call == NULL)
		return;
	world_served(w)->call = NULL;
	if (pushback != 0)
		minirpc_call_set_pushback(call, pushback);
	minirpc_call_fail(call, code, "refused");
}

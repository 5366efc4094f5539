/* SPDX-License-Identifier: MIT */
/* Stories: what can happen between a client and a server, told once. scenario/ tells each in a
 * world where all goes well, in every chunk size; sweep/ tells them again with each allocation
 * failing and the pipe cut after each byte.
 *
 * So a story may end early: it uses world_expect for what only holds when nothing fails. The rules
 * that always hold (one end for each call, order, nothing left over) are checked by whoever tells
 * it. How to write one: telling.h. */
#ifndef TEST_SCENARIO_STORIES_H
#define TEST_SCENARIO_STORIES_H

#include "world/world.h"

struct story {
	const char *name;
	void (*tell)(struct world *w);
	const struct world_options *options; /* of the world that it wants; NULL: any */
	void (*begin)(void);                 /* before its world is made; NULL: nothing to do */
	void (*end)(void);                   /* after its world is gone: is all as it should be? */
};

/* All of them, by number; NULL: there are no more. */
const struct story *story_at(int index);
int story_count(void);

/* The options of the story's world: its own, and in a variation compressors, and a config unless it has one. */
struct world_options story_options(const struct story *story,
				   const struct world_options *variation);

/* A world for it, where nothing fails or (faulty) anything may; NULL only then. */
struct world *story_world(const struct story *story, const struct world_options *variation,
			  bool faulty);

/* True for every story: what always holds held. */
void story_check(struct world *w);

/* The world is freed, w may be NULL. */
void story_end(const struct story *story, struct world *w);

#endif

/* SPDX-License-Identifier: MIT */
/* Stories: what can happen between a client and a server, told once. scenario/ tells each in a
 * world where all goes well, in every chunk size; sweep/ tells them again with each allocation
 * failing and the pipe cut after each byte.
 *
 * So a story may end early: it uses world_expect for what only holds when nothing fails. The rules
 * that always hold (one end for each call, order, nothing left over) are checked by whoever tells
 * it. */
#ifndef TEST_SCENARIO_STORIES_H
#define TEST_SCENARIO_STORIES_H

#include "world/world.h"

struct story {
	const char *name;
	void (*tell)(struct world *w);
};

extern const struct story stories[];
extern const size_t story_count;

/* True for every story told in a world of these options: what always holds held. */
void story_check(struct world *w);

#endif

/* SPDX-License-Identifier: MIT */
/* Telling: what stories are written with. */
#ifndef TEST_SCENARIO_TELLING_H
#define TEST_SCENARIO_TELLING_H

#include "scenario/stories.h"

/* One more client's call of this story; its end is asked for afterwards. */
struct probe *new_probe(void);

/* Opens a call that has half a minute. NULL only when faulty; then probe->call is NULL as well. */
minirpc_call *open_call(struct world *w, const struct minirpc_method *method, struct probe **probe);

/* Calls that nobody ends run into their deadline, in a faulty world too. */
void wait_for_the_end(struct world *w);

/* The newest call as its handler holds it; NULL when it has been ended, or never came. */
minirpc_call *handle_of(struct world *w);

/* The handler of the newest call ends it: OK with the text as its answer, or fails it with the text; pushback
 * as minirpc_call_set_pushback, 0: none. Harmless when there is none. */
void answer(struct world *w, const char *text);
void refuse(struct world *w, enum minirpc_code code, minirpc_time pushback);

extern const struct story stories_of_calls[], stories_of_attempts[], stories_of_hooks[],
	stories_of_servers[];

#endif

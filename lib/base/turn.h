/* SPDX-License-Identifier: MIT */
/* Turn: the one dispatch point. Whoever has something to do wakes its task; a turn runs the tasks
 * that are awake.
 *
 * Tasks run in three phases, and a later phase runs only while nothing of an earlier one is awake:
 *
 *	DELIVER   calls tell the user what came in      (user code runs here, and only here)
 *	STREAM    streams take what the user pushed     (nghttp2 is told of it)
 *	FLUSH     connections turn all that into bytes  (one write for each)
 *
 * So everything that the user produced in a turn leaves together, and nobody is ever called from
 * inside what he called. */
#ifndef MRPC_BASE_TURN_H
#define MRPC_BASE_TURN_H

#include "base/list.h"

enum mrpc_phase { MRPC_DELIVER, MRPC_STREAM, MRPC_FLUSH, MRPC_PHASES };

struct mrpc_task {
	struct mrpc_list node;
	enum mrpc_phase phase;
	void (*run)(struct mrpc_task *task);
};

struct mrpc_turn {
	struct mrpc_list awake[MRPC_PHASES];
	bool running;
	/* Called when a task wakes while no turn is running, so that a sleeping loop takes one; may
	 * be NULL. */
	void (*on_wake)(struct mrpc_turn *turn);
};

void mrpc_turn_init(struct mrpc_turn *turn);

/* Asks for task->run(task), once, in this turn or the next. Harmless when it is awake already.
 * Never fails. */
void mrpc_turn_wake(struct mrpc_turn *turn, struct mrpc_task *task);

/* Puts a task to sleep without running it; owners call it before they free the task. */
void mrpc_task_sleep(struct mrpc_task *task);

bool mrpc_turn_is_idle(const struct mrpc_turn *turn);

/* Runs tasks until none is awake, or until `limit` of them have run, so that descriptors get their
 * share; returns true when some are left. Does nothing from inside itself. */
bool mrpc_turn_run(struct mrpc_turn *turn, unsigned limit);

#endif

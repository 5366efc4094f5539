/* SPDX-License-Identifier: MIT */
/* Turn: three lists of tasks that are awake, one for each phase. A task is in at most one list, so
 * waking is free of allocation and of duplicates. */
#include "base/turn.h"

void mrpc_turn_init(struct mrpc_turn *turn)
{
	*turn = (struct mrpc_turn){ 0 };
	for (int phase = 0; phase < MRPC_PHASES; phase++)
		mrpc_list_init(&turn->awake[phase]);
}

void mrpc_turn_wake(struct mrpc_turn *turn, struct mrpc_task *task)
{
	if (mrpc_list_is_linked(&task->node))
		return;
	mrpc_list_push(&turn->awake[task->phase], &task->node);
	if (!turn->running && turn->on_wake != NULL)
		turn->on_wake(turn);
}

void mrpc_task_sleep(struct mrpc_task *task)
{
	mrpc_list_remove(&task->node);
}

static struct mrpc_task *pop_first(struct mrpc_turn *turn)
{
	for (int phase = 0; phase < MRPC_PHASES; phase++) {
		struct mrpc_list *node = mrpc_list_pop(&turn->awake[phase]);

		if (node != NULL)
			return mrpc_container(node, struct mrpc_task, node);
	}
	return NULL;
}

bool mrpc_turn_is_idle(const struct mrpc_turn *turn)
{
	for (int phase = 0; phase < MRPC_PHASES; phase++)
		if (!mrpc_list_is_empty(&turn->awake[phase]))
			return false;
	return true;
}

bool mrpc_turn_run(struct mrpc_turn *turn, unsigned limit)
{
	if (turn->running)
		return !mrpc_turn_is_idle(turn);

	turn->running = true;
	for (; limit > 0; limit--) {
		struct mrpc_task *task = pop_first(turn);

		if (task == NULL)
			break;
		task->run(task);
	}
	turn->running = false;
	return !mrpc_turn_is_idle(turn);
}

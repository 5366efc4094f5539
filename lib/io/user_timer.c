/* SPDX-License-Identifier: MIT */
/* User timer: a timer that the library's user starts on a loop.
 *
 * When its time has come it only wakes a task, so that the user's function runs where all user code
 * runs. A timer that starts itself again for "now" therefore waits for the next turn, and cannot
 * hold the loop. */
#include "io/backend.h"

#include "base/alloc.h"

#include <errno.h>

struct minirpc_timer {
	minirpc_loop *loop;
	struct mrpc_timer timer;
	struct mrpc_task task;
	struct mrpc_list node; /* in loop->user_timers */
	void (*fn)(void *user);
	void *user;
};

minirpc_timer *minirpc_timer_cancel(minirpc_timer *timer)
{
	if (timer == NULL)
		return NULL;
	mrpc_task_sleep(&timer->task);
	mrpc_timer_unbind(&timer->timer);
	mrpc_list_remove(&timer->node);
	return mrpc_free(timer);
}

static void fire(struct mrpc_task *task)
{
	minirpc_timer *timer = mrpc_container(task, minirpc_timer, task);
	void (*fn)(void *user) = timer->fn;
	void *user = timer->user;

	minirpc_timer_cancel(timer);
	fn(user);
}

static void expire(struct mrpc_timer *at, minirpc_time now)
{
	minirpc_timer *timer = mrpc_container(at, minirpc_timer, timer);

	(void)now;
	mrpc_turn_wake(&timer->loop->turn, &timer->task);
}

int minirpc_timer_start(minirpc_timer **ret_timer, minirpc_loop *loop, minirpc_time after,
			void (*fn)(void *user), void *user)
{
	minirpc_timer *timer;
	int r;

	timer = mrpc_alloc(sizeof *timer);
	if (timer == NULL)
		return -ENOMEM;
	*timer = (minirpc_timer){
		.loop = loop,
		.task = { .phase = MRPC_DELIVER, .run = fire },
		.fn = fn,
		.user = user,
	};
	r = mrpc_timer_bind(&timer->timer, &loop->timers, expire);
	if (r < 0) {
		mrpc_free(timer);
		return r;
	}

	mrpc_list_push(&loop->user_timers, &timer->node);
	mrpc_loop_refresh(loop);
	mrpc_timer_set(&timer->timer, mrpc_time_add(loop->now, after > 0 ? after : 0));
	if (!loop->in_turn)
		mrpc_loop_set_wake(loop);
	if (ret_timer != NULL)
		*ret_timer = timer;
	return 0;
}

void mrpc_user_timers_free(minirpc_loop *loop)
{
	while (!mrpc_list_is_empty(&loop->user_timers))
		minirpc_timer_cancel(mrpc_container(loop->user_timers.next, minirpc_timer, node));
}

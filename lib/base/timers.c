/* SPDX-License-Identifier: MIT */
/* Timers: a binary heap of pointers. Its array has a place for every bound timer, so starting one
 * cannot fail. */
#include "base/timers.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>

void mrpc_timers_init(struct mrpc_timers *timers)
{
	*timers = (struct mrpc_timers){ 0 };
}

void mrpc_timers_clear(struct mrpc_timers *timers)
{
	assert(timers->bound == 0);
	mrpc_free(timers->heap);
	*timers = (struct mrpc_timers){ 0 };
}

int mrpc_timer_bind(struct mrpc_timer *timer, struct mrpc_timers *timers,
		    void (*run)(struct mrpc_timer *timer, minirpc_time now))
{
	if (timers->bound == timers->capacity) {
		size_t capacity = timers->capacity == 0 ? 8 : timers->capacity * 2;
		struct mrpc_timer **heap = mrpc_realloc(timers->heap, capacity * sizeof *heap);

		if (heap == NULL)
			return -ENOMEM;
		timers->heap = heap;
		timers->capacity = capacity;
	}
	timers->bound++;
	*timer = (struct mrpc_timer){ .at = MINIRPC_NEVER, .run = run, .bound = timers };
	return 0;
}

void mrpc_timer_unbind(struct mrpc_timer *timer)
{
	if (timer->bound == NULL)
		return;
	mrpc_timer_stop(timer);
	timer->bound->bound--;
	timer->bound = NULL;
}

static void place(struct mrpc_timers *timers, size_t index, struct mrpc_timer *timer)
{
	timers->heap[index] = timer;
	timer->slot = index + 1;
}

static void sift_up(struct mrpc_timers *timers, size_t index, struct mrpc_timer *timer)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;

		if (timers->heap[parent]->at <= timer->at)
			break;
		place(timers, index, timers->heap[parent]);
		index = parent;
	}
	place(timers, index, timer);
}

static void sift_down(struct mrpc_timers *timers, size_t index, struct mrpc_timer *timer)
{
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= timers->count)
			break;
		if (child + 1 < timers->count &&
		    timers->heap[child + 1]->at < timers->heap[child]->at)
			child++;
		if (timer->at <= timers->heap[child]->at)
			break;
		place(timers, index, timers->heap[child]);
		index = child;
	}
	place(timers, index, timer);
}

/* Puts a timer where it belongs, starting from a free place. */
static void settle(struct mrpc_timers *timers, size_t index, struct mrpc_timer *timer)
{
	if (index > 0 && timers->heap[(index - 1) / 2]->at > timer->at)
		sift_up(timers, index, timer);
	else
		sift_down(timers, index, timer);
}

void mrpc_timer_stop(struct mrpc_timer *timer)
{
	struct mrpc_timers *timers = timer->bound;
	size_t index = timer->slot - 1;
	struct mrpc_timer *last;

	if (timer->slot == 0)
		return;
	timer->slot = 0;
	timer->at = MINIRPC_NEVER;
	last = timers->heap[--timers->count];
	if (index < timers->count)
		settle(timers, index, last);
}

void mrpc_timer_set(struct mrpc_timer *timer, minirpc_time at)
{
	struct mrpc_timers *timers = timer->bound;

	assert(timers != NULL);
	if (at == MINIRPC_NEVER) {
		mrpc_timer_stop(timer);
		return;
	}
	timer->at = at;
	if (timer->slot == 0)
		sift_up(timers, timers->count++, timer);
	else
		settle(timers, timer->slot - 1, timer);
}

minirpc_time mrpc_timers_next(const struct mrpc_timers *timers)
{
	return timers->count == 0 ? MINIRPC_NEVER : timers->heap[0]->at;
}

/* A timer that sets itself again to a time that has passed would keep us here for ever: no more
 * rounds than there were timers; what is left runs next time. */
void mrpc_timers_run(struct mrpc_timers *timers, minirpc_time now)
{
	for (size_t left = timers->count; left > 0 && timers->count > 0; left--) {
		struct mrpc_timer *first = timers->heap[0];

		if (first->at > now)
			break;
		mrpc_timer_stop(first);
		first->run(first, now);
	}
}

minirpc_time mrpc_time_add(minirpc_time now, minirpc_time span)
{
	minirpc_time sum;

	if (now == MINIRPC_NEVER || span == MINIRPC_NEVER)
		return MINIRPC_NEVER;
	if (__builtin_add_overflow(now, span, &sum))
		return span > 0 ? MINIRPC_NEVER - 1 : INT64_MIN;
	return sum;
}

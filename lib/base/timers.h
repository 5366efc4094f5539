/* SPDX-License-Identifier: MIT */
/* Timers: a heap of points in time. Whoever owns the heap says what time it is; starting a timer
 * never fails (room is reserved when the timer is bound), so an end of a call can be timed without
 * memory. */
#ifndef MRPC_BASE_TIMERS_H
#define MRPC_BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>

#include <minirpc/base.h>

struct mrpc_timer {
	minirpc_time at;
	void (*run)(struct mrpc_timer *timer, minirpc_time now);
	size_t slot; /* 1 + index in the heap; 0: not running */
	struct mrpc_timers *bound;
};

struct mrpc_timers {
	struct mrpc_timer **heap;
	size_t count, capacity, bound;
};

void mrpc_timers_init(struct mrpc_timers *timers);
void mrpc_timers_clear(struct mrpc_timers *timers); /* no timer may be bound any more */

/* Reserves a place for the timer and sets what it runs. Returns 0 or -ENOMEM. */
int mrpc_timer_bind(struct mrpc_timer *timer, struct mrpc_timers *timers,
		    void (*run)(struct mrpc_timer *timer, minirpc_time now));

/* Stops it and gives its place back. Harmless on a zeroed timer. */
void mrpc_timer_unbind(struct mrpc_timer *timer);

/* Starts, or moves, a bound timer. MINIRPC_NEVER stops it. */
void mrpc_timer_set(struct mrpc_timer *timer, minirpc_time at);
void mrpc_timer_stop(struct mrpc_timer *timer);

static inline bool mrpc_timer_is_set(const struct mrpc_timer *timer)
{
	return timer->slot != 0;
}

/* The earliest time, or MINIRPC_NEVER. */
minirpc_time mrpc_timers_next(const struct mrpc_timers *timers);

/* Runs every timer whose time has come, earliest first; each is stopped before it runs. */
void mrpc_timers_run(struct mrpc_timers *timers, minirpc_time now);

/* now + span without wrapping; MINIRPC_NEVER when either is. */
minirpc_time mrpc_time_add(minirpc_time now, minirpc_time span);

#endif

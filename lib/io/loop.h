/* SPDX-License-Identifier: MIT */
/* Loop: descriptors, one clock, timers and the turn, over a backend (libev, hooks, or none). See
 * loop.c. */
#ifndef MRPC_IO_LOOP_H
#define MRPC_IO_LOOP_H

#include "base/buf.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/timers.h"
#include "base/turn.h"

#include <minirpc/loop.h>

struct minirpc_watch {
	minirpc_loop *loop;
	struct mrpc_list node; /* in the loop's list of ready ones */
	int fd;                /* -1: not watching */
	unsigned events, ready;
	void (*on_ready)(struct minirpc_watch *watch, unsigned events);
	void *backend; /* the backend's handle */
};

/* A bit beside MINIRPC_READ and MINIRPC_WRITE, told together with them: the backend can no longer
 * watch this descriptor (epoll_ctl failed). Whoever reads and writes and finds nothing wrong should
 * give the descriptor up. */
#define MRPC_WATCH_LOST 4u

struct mrpc_loop_backend {
	int (*watch)(minirpc_loop *loop, struct minirpc_watch *watch);
	int (*change)(minirpc_loop *loop, struct minirpc_watch *watch);
	void (*unwatch)(minirpc_loop *loop, struct minirpc_watch *watch);
	/* Asks for a turn at this time: MINIRPC_NEVER, or MRPC_LOOP_AT_ONCE. Called when the time
	 * changes, and again while it is near, because a host's timer may be early. */
	void (*wake_at)(minirpc_loop *loop, minirpc_time at);
	minirpc_time (*now)(const minirpc_loop *loop);
	int (*run)(minirpc_loop *loop, const bool *done); /* NULL: the host runs it */
	void (*free)(minirpc_loop *loop);
};

struct minirpc_loop {
	struct mrpc_turn turn;
	struct mrpc_timers timers;
	minirpc_time now;
	struct mrpc_log log;
	const struct mrpc_loop_backend *backend;
	void *backend_data;
	size_t watches;              /* how many there are */
	struct mrpc_list ready;      /* watches with something to do */
	struct mrpc_list again;      /* tasks that have had their share of this turn */
	struct mrpc_list user_timers;
	struct mrpc_loop_post *post; /* the door from other threads */
	struct mrpc_helpers *helpers; /* threads that ask for names (resolve_gai.c); NULL: never needed */
	struct mrpc_buf out; /* one for all links: bytes of the connection that is being flushed */
	struct mrpc_buf spare; /* follows when a link keeps `out`, because its socket was full */
	struct mrpc_buf plain; /* what a link has decrypted, or is about to encrypt */
	struct mrpc_pool pool; /* of calls and messages */
	minirpc_time trim_at;  /* the pool gives back what it does not need */
	uint8_t *in; /* one for all links: MRPC_LOOP_IN bytes, what was just read; NULL for a manual
			loop */
	minirpc_time wake_at;
	unsigned holds; /* runs and turns under way, and mrpc_loop_hold */
	bool running, in_turn, stopped;
	bool doomed; /* free it when nobody holds it any more */
};

#define MRPC_LOOP_IN 65536u
#define MRPC_LOOP_AT_ONCE 0

/* Outside a turn `now` is the time of the last one, which may be long ago: verbs that count from now, or
 * pass it on, read the clock first. Inside a turn time stands still. */
static inline void mrpc_loop_refresh(minirpc_loop *loop)
{
	minirpc_time now;

	if (loop->in_turn)
		return;
	now = loop->backend->now(loop);
	if (now > loop->now)
		loop->now = now;
}

/* For whoever brings a loop of its own: frees it, or, when that is asked for from inside a callback
 * of the loop, stops it and frees it once nobody holds it any more. All that is bound to the loop
 * must be gone by then. */
void mrpc_loop_free_later(minirpc_loop *loop);
void mrpc_loop_hold(minirpc_loop *loop);
void mrpc_loop_let_go(minirpc_loop *loop);

/* Starts watching. events may be 0. Returns 0 or -errno. watch must be zeroed or unwatched before.
 */
int mrpc_loop_watch(minirpc_loop *loop, struct minirpc_watch *watch, int fd, unsigned events,
		    void (*on_ready)(struct minirpc_watch *watch, unsigned events));
int mrpc_loop_change(struct minirpc_watch *watch, unsigned events); /* cheap when nothing changes */
void mrpc_loop_unwatch(struct minirpc_watch *watch); /* harmless twice; before the fd is closed */

/* Wakes a task that is asleep, but only in the next turn, after descriptors had their share. */
void mrpc_loop_again(minirpc_loop *loop, struct mrpc_task *task);

#endif

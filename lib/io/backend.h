/* SPDX-License-Identifier: MIT */
/* Backend: what loop.c, its backends, post.c and helper threads (resolve_gai.c) know of each other, and nobody
 * else does. */
#ifndef MRPC_IO_BACKEND_H
#define MRPC_IO_BACKEND_H

#include "io/loop.h"

/* Each sets loop->backend and backend_data. Returns 0, -ENOMEM, -EMFILE, -ENFILE. */
int mrpc_loop_ev_init(minirpc_loop *loop, struct ev_loop *host, unsigned poll_before_sleep_us);
int mrpc_loop_hooks_init(minirpc_loop *loop, const struct minirpc_loop_hooks *hooks, void *user);
int mrpc_loop_manual_init(minirpc_loop *loop);

/* CLOCK_MONOTONIC. */
minirpc_time mrpc_clock(void);

/* Something is due already, whatever the clock says. */
bool mrpc_loop_has_work(const minirpc_loop *loop);

/* One turn, see loop.c. Nothing happens from inside a turn. */
void mrpc_loop_take_turn(minirpc_loop *loop);

/* Tells the backend when the next turn should be. */
void mrpc_loop_set_wake(minirpc_loop *loop);

/* The backend's timer has fired, maybe early: it must be told again, even of the same time. */
void mrpc_loop_woke(minirpc_loop *loop);

/* Forgets the timers that the user has left (user_timer.c). */
void mrpc_user_timers_free(minirpc_loop *loop);

/* ---- post.c ---- */

/* wakes: with a descriptor that wakes the loop from another thread. */
int mrpc_post_new(struct mrpc_loop_post **ret_post, minirpc_loop *loop, bool wakes);
void mrpc_post_free(struct mrpc_loop_post *post);

/* Runs what was posted until now; what those post in turn comes next time. */
void mrpc_post_run(struct mrpc_loop_post *post);
bool mrpc_post_is_waiting(struct mrpc_loop_post *post);

/* A post without an allocation: this is where it lives. fn may put it again. */
struct mrpc_posted {
	struct mrpc_list node;
	void (*fn)(void *user);
	void *user;
	bool is_allocated; /* post.c's own */
};

/* As minirpc_loop_post, of a loop that can be woken; not while it is put already. */
void mrpc_post_put(struct mrpc_loop_post *post, struct mrpc_posted *posted);
/* It does not run any more; harmless when it is not put. From the loop's thread. */
void mrpc_post_take_out(struct mrpc_loop_post *post, struct mrpc_posted *posted);

/* The descriptor's watch; NULL when there is none. */
struct minirpc_watch *mrpc_post_watch(struct mrpc_loop_post *post);

#endif

/* SPDX-License-Identifier: MIT */
/* The loop: where events come from. One loop belongs to one thread, every other object to one loop.
 *
 *	minirpc_loop *loop;
 *
 *	r = minirpc_loop_new(&loop, NULL);      // libev inside
 *	...
 *	r = minirpc_loop_run(loop);             // until minirpc_loop_stop
 *	minirpc_loop_free(loop);
 *
 * There are four kinds, chosen by the options:
 * - its own (all defaults): a libev loop that minirpc_loop_run drives;
 * - the host's struct ev_loop (.ev): the host runs it, the library adds watchers to it;
 * - any other loop (.hooks): the host watches descriptors and one timer for the library, see struct
 *   minirpc_loop_hooks;
 * - by hand (.manual): no sockets at all; the host moves bytes (conn.h) and says what time it is.
 *   Tests use this one.
 *
 * All callbacks to you come from one place in a turn of the loop, never from inside a verb that you
 * called. After them the turn sends, with one write for each connection, whatever they produced. */
#ifndef MINIRPC_LOOP_H
#define MINIRPC_LOOP_H

#include <minirpc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ev_loop;
typedef struct minirpc_loop minirpc_loop;

/* A descriptor that a foreign loop watches for the library. Its address is the name; there is
 * nothing to look into. */
typedef struct minirpc_watch minirpc_watch;

enum {
	MINIRPC_READ = 1, /* readable, or the other end closed */
	MINIRPC_WRITE = 2 /* writable, or an error is pending */
};

/* Five hooks bring any loop. All are called on the loop's thread only: a post from another thread
 * comes through a descriptor that is watched like any other. They are also called from inside
 * verbs (a send outside of a turn asks for one by wake_at), and `watch` already by
 * minirpc_loop_new, before you have the loop. A hook only notes; it must not call back into the
 * library. */
struct minirpc_loop_hooks {
	/* Starts watching fd, level-triggered, for the MINIRPC_READ / MINIRPC_WRITE bits in events
	 * (0: none for now). When they come true call minirpc_loop_ready(loop, watch, bits), then,
	 * before the loop sleeps again, minirpc_loop_turn(loop). *ret_handle is yours, handed back
	 * to `change` and `unwatch`. Returns 0 or -errno. */
	int (*watch)(void *user, int fd, unsigned events, minirpc_watch *watch, void **ret_handle);
	/* Changes the events that are watched for. Returns 0 or -errno. */
	int (*change)(void *user, void *handle, unsigned events);
	/* Stops watching; minirpc_loop_ready must not be called for it any more. The descriptor is
	 * closed after. */
	void (*unwatch)(void *user, void *handle);
	/* Sets the one timer: call minirpc_loop_turn at `at` (CLOCK_MONOTONIC nanoseconds) or soon
	 * after, at once when `at` has passed, or not at all for MINIRPC_NEVER. Replaces the time
	 * set before. Must not fail. */
	void (*wake_at)(void *user, minirpc_time at);
	/* Optional. Tells the time, CLOCK_MONOTONIC nanoseconds; NULL: the library reads the clock
	 * itself. */
	minirpc_time (*now)(void *user);
};

struct minirpc_loop_options {
	/* Run on this libev loop, which must outlive ours. Our sockets and timers keep its ev_run
	 * going, an idle minirpc_loop does not. */
	struct ev_loop *ev;
	const struct minirpc_loop_hooks *hooks; /* run on any other loop; copied */
	void *hooks_user;
	bool manual;        /* no descriptors; time comes by minirpc_loop_advance and starts at 0 */
	minirpc_log_fn log; /* where log lines go; NULL: nowhere */
	void *log_user;
	enum minirpc_log_level log_level; /* lines above it are not made; 0: errors only */
	/* Own loop: microseconds to spin before sleeping, for latency; 0: none; at most 1000. */
	unsigned poll_before_sleep_us;
	void *reserved[6]; /* leave 0 */
};

/* Makes a loop. Returns 0, -ENOMEM, -EMFILE or -ENFILE (no descriptor left), -EINVAL (more than one
 * kind asked for, or hooks that lack one of the first four), or what the `watch` hook says. */
MINIRPC_API int minirpc_loop_new(minirpc_loop **ret_loop,
				 const struct minirpc_loop_options *options);

/* Frees the loop. Free its channels and servers first (an assertion of the debug build checks).
 * Timers that have not fired and posts that have not run are forgotten. NULL is fine. Not from
 * inside a callback of this loop. Returns NULL. */
MINIRPC_API minirpc_loop *minirpc_loop_free(minirpc_loop *loop);

/* Runs a loop of its own, or the host's struct ev_loop, until minirpc_loop_stop. Returns 0;
 * -EDEADLK when it is running already (you are inside a callback); -EINVAL for hooks and manual
 * loops, which their host runs. */
MINIRPC_API int minirpc_loop_run(minirpc_loop *loop);

/* Runs until *done is true, which a callback will set. Otherwise as minirpc_loop_run; also
 * -ECANCELED when minirpc_loop_stop came first. */
MINIRPC_API int minirpc_loop_run_until(minirpc_loop *loop, const bool *done);

/* Makes minirpc_loop_run return once the current turn is over; before run: makes the next run
 * return at once. */
MINIRPC_API void minirpc_loop_stop(minirpc_loop *loop);

/* Calls fn(user) in a turn of the loop. The only function that another thread, or a signal
 * handler's thread, may call; not async-signal-safe. The order of posts from one thread is kept.
 * Returns 0, -ENOMEM, or -EINVAL for a manual loop that is posted to from another thread (it has
 * nothing to be woken by; use it from its own thread). */
MINIRPC_API int minirpc_loop_post(minirpc_loop *loop, void (*fn)(void *user), void *user);

/* The time of the current turn on the loop's clock. */
MINIRPC_API minirpc_time minirpc_loop_now(const minirpc_loop *loop);

/* One line to the loop's log, as the library's own: dropped above its level, cut at 512 bytes,
 * with control characters and bytes above 0x7E escaped. */
MINIRPC_API void minirpc_loop_log(const minirpc_loop *loop, enum minirpc_log_level level,
				  const char *line);

/* A timer of your own on the loop, for handlers that answer later and for every host without a
 * timer of its own. */
typedef struct minirpc_timer minirpc_timer;

/* Calls fn(user) once, `after` nanoseconds from now, then frees the timer. *ret_timer (may be NULL)
 * cancels it until then. Returns 0 or -ENOMEM. */
MINIRPC_API int minirpc_timer_start(minirpc_timer **ret_timer, minirpc_loop *loop,
				    minirpc_time after, void (*fn)(void *user), void *user);

/* Forgets a timer that has not fired. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_timer *minirpc_timer_cancel(minirpc_timer *timer);

/* ---- For hosts with hooks ---- */

/* Tells that a watched descriptor has become ready. Only notes it; the work is done by
 * minirpc_loop_turn. */
MINIRPC_API void minirpc_loop_ready(minirpc_loop *loop, minirpc_watch *watch, unsigned events);

/* Does everything that is due: descriptors that became ready, timers, events to you, writes. Sets
 * the timer hook for the next thing. Not from inside a callback (nothing happens then). */
MINIRPC_API void minirpc_loop_turn(minirpc_loop *loop);

/* ---- For manual loops ---- */

/* Sets the clock to now (never backwards) and does everything that is due. */
MINIRPC_API void minirpc_loop_advance(minirpc_loop *loop, minirpc_time now);

/* When minirpc_loop_advance or minirpc_loop_turn should be called next: a time in the past when
 * something is waiting already, MINIRPC_NEVER when nothing is. */
MINIRPC_API minirpc_time minirpc_loop_next(const minirpc_loop *loop);

#ifdef __cplusplus
}
#endif

#endif

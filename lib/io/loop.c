/* SPDX-License-Identifier: MIT */
/* Loop: descriptors, one clock, timers and the turn, over a backend (libev, hooks, or none).
 *
 * A turn, in this order:
 *
 *	clock -> ready descriptors -> expired timers -> posts -> tasks (user code, then writes) ->
 *	backend's timer
 *
 * Backends only note what became ready and ask for a turn before they sleep; so a burst of events
 * is one turn, and a turn is one write for each connection. A turn runs a bounded number of tasks:
 * what is left over waits for the next one, which comes at once, after descriptors had their share.
 *
 * Work also appears outside of turns, when the user calls a verb from his own code: the turn tells
 * us of the first task that wakes (on_wake), and the backend is asked for a turn. */
#include "io/backend.h"

#include "base/alloc.h"
#include "io/look_up.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

/* Memory of calls and messages that stays at hand: what a hundred calls use that exchange 64 KiB
 * messages. What was not needed for TRIM goes back. */
#define POOL (8u << 20)
#define TRIM MINIRPC_S(1)

/* How many tasks a turn runs: some milliseconds of work. */
#define TASKS_A_TURN 4096u

/* A manual loop takes turns until nothing is due; two ends that answer each other for ever must not
 * hold its host. */
#define TURNS_AN_ADVANCE 100000u

/* A host's timer may be this early (it counts in milliseconds, say); then it is set once more. */
#define EARLY MINIRPC_MS(20)

#define WAKE_UNKNOWN INT64_MIN

minirpc_time mrpc_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (minirpc_time)now.tv_sec * 1000000000 + now.tv_nsec;
}

minirpc_time minirpc_loop_now(const minirpc_loop *loop)
{
	minirpc_time now;

	if (loop->in_turn)
		return loop->now;
	now = loop->backend->now(loop);
	return now > loop->now ? now : loop->now;
}

void minirpc_loop_log(const minirpc_loop *loop, enum minirpc_log_level level, const char *line)
{
	mrpc_log(&loop->log, level, "%s", line);
}

/* ---- when the next turn should be ---- */

bool mrpc_loop_has_work(const minirpc_loop *loop)
{
	return !mrpc_list_is_empty(&loop->ready) || !mrpc_list_is_empty(&loop->again) ||
	       !mrpc_turn_is_idle(&loop->turn);
}

void mrpc_loop_set_wake(minirpc_loop *loop)
{
	minirpc_time at = MRPC_LOOP_AT_ONCE;

	if (!mrpc_loop_has_work(loop))
		at = mrpc_timers_next(&loop->timers);
	if (at == loop->wake_at && at > loop->now + EARLY)
		return;
	loop->wake_at = at;
	loop->backend->wake_at(loop, at);
}

void mrpc_loop_woke(minirpc_loop *loop)
{
	loop->wake_at = WAKE_UNKNOWN;
}

static void wake_at_once(minirpc_loop *loop)
{
	if (loop->in_turn || loop->wake_at == MRPC_LOOP_AT_ONCE)
		return;
	loop->wake_at = MRPC_LOOP_AT_ONCE;
	loop->backend->wake_at(loop, MRPC_LOOP_AT_ONCE);
}

static void on_wake(struct mrpc_turn *turn)
{
	wake_at_once(mrpc_container(turn, minirpc_loop, turn));
}

void mrpc_loop_again(minirpc_loop *loop, struct mrpc_task *task)
{
	if (mrpc_list_is_linked(&task->node))
		return;
	mrpc_list_push(&loop->again, &task->node);
	wake_at_once(loop);
}

minirpc_time minirpc_loop_next(const minirpc_loop *loop)
{
	if (mrpc_loop_has_work(loop) || mrpc_post_is_waiting(loop->post))
		return loop->now - 1;
	return mrpc_timers_next(&loop->timers);
}

/* ---- the turn ---- */

/* Moves all of a list, so that what is added meanwhile waits for the next turn. */
static void move_all(struct mrpc_list *to, struct mrpc_list *from)
{
	struct mrpc_list *node;

	mrpc_list_init(to);
	while ((node = mrpc_list_pop(from)) != NULL)
		mrpc_list_push(to, node);
}

static void run_ready(minirpc_loop *loop)
{
	struct mrpc_list now, *node;

	/* The list is on our stack, but a watch that is unwatched meanwhile leaves it all the same.
	 */
	move_all(&now, &loop->ready);
	while ((node = mrpc_list_pop(&now)) != NULL) {
		struct minirpc_watch *watch = mrpc_container(node, struct minirpc_watch, node);
		unsigned events = watch->ready;

		watch->ready = 0;
		if ((events & MRPC_WATCH_LOST) == 0)
			events &= watch->events;
		if (events != 0)
			watch->on_ready(watch, events);
	}
}

static void wake_again(minirpc_loop *loop)
{
	struct mrpc_list now, *node;

	move_all(&now, &loop->again);
	while ((node = mrpc_list_pop(&now)) != NULL)
		mrpc_turn_wake(&loop->turn, mrpc_container(node, struct mrpc_task, node));
}

static void trim(minirpc_loop *loop)
{
	if (loop->now < loop->trim_at)
		return;
	loop->trim_at = mrpc_time_add(loop->now, TRIM);
	mrpc_pool_trim(&loop->pool);
}

void mrpc_loop_take_turn(minirpc_loop *loop)
{
	if (loop->in_turn)
		return;
	mrpc_loop_refresh(loop);
	mrpc_loop_hold(loop);
	loop->in_turn = true;

	run_ready(loop);
	mrpc_timers_run(&loop->timers, loop->now);
	mrpc_post_run(loop->post);
	wake_again(loop);
	mrpc_turn_run(&loop->turn, TASKS_A_TURN);
	trim(loop);

	loop->in_turn = false;
	mrpc_loop_set_wake(loop);
	mrpc_loop_let_go(loop);
}

/* ---- descriptors ---- */

int mrpc_loop_watch(minirpc_loop *loop, struct minirpc_watch *watch, int fd, unsigned events,
		    void (*on_ready)(struct minirpc_watch *watch, unsigned events))
{
	int r;

	*watch = (struct minirpc_watch){
		.loop = loop, .fd = fd, .events = events, .on_ready = on_ready
	};
	r = loop->backend->watch(loop, watch);
	if (r < 0) {
		*watch = (struct minirpc_watch){ .fd = -1 };
		return r;
	}
	loop->watches++;
	return 0;
}

int mrpc_loop_change(struct minirpc_watch *watch, unsigned events)
{
	unsigned before = watch->events;
	int r;

	if (events == before)
		return 0;
	watch->events = events;
	r = watch->loop->backend->change(watch->loop, watch);
	if (r < 0)
		watch->events = before;
	return r;
}

void mrpc_loop_unwatch(struct minirpc_watch *watch)
{
	minirpc_loop *loop = watch->loop;

	if (loop == NULL)
		return;
	loop->backend->unwatch(loop, watch);
	mrpc_list_remove(&watch->node);
	loop->watches--;
	*watch = (struct minirpc_watch){ .fd = -1 };
}

void minirpc_loop_ready(minirpc_loop *loop, minirpc_watch *watch, unsigned events)
{
	watch->ready |= events & (MINIRPC_READ | MINIRPC_WRITE | MRPC_WATCH_LOST);
	if (watch->ready != 0 && !mrpc_list_is_linked(&watch->node))
		mrpc_list_push(&loop->ready, &watch->node);
}

/* ---- making and freeing ---- */

static int choose_backend(minirpc_loop *loop, const struct minirpc_loop_options *options)
{
	if (options->manual)
		return mrpc_loop_manual_init(loop);
	if (options->hooks != NULL)
		return mrpc_loop_hooks_init(loop, options->hooks, options->hooks_user);
	return mrpc_loop_ev_init(loop, options->ev, options->poll_before_sleep_us);
}

static bool is_sensible(const struct minirpc_loop_options *options)
{
	const struct minirpc_loop_hooks *hooks = options->hooks;

	if ((options->ev != NULL) + (hooks != NULL) + options->manual > 1)
		return false;
	return hooks == NULL || (hooks->watch != NULL && hooks->change != NULL &&
				 hooks->unwatch != NULL && hooks->wake_at != NULL);
}

int minirpc_loop_new(minirpc_loop **ret_loop, const struct minirpc_loop_options *options)
{
	static const struct minirpc_loop_options defaults;
	minirpc_loop *loop;
	int r;

	if (options == NULL)
		options = &defaults;
	if (!is_sensible(options))
		return -EINVAL;

	loop = mrpc_zalloc(sizeof *loop);
	if (loop == NULL)
		return -ENOMEM;
	mrpc_turn_init(&loop->turn);
	loop->turn.on_wake = on_wake;
	mrpc_timers_init(&loop->timers);
	mrpc_pool_init(&loop->pool, POOL);
	mrpc_list_init(&loop->ready);
	mrpc_list_init(&loop->again);
	mrpc_list_init(&loop->user_timers);
	loop->wake_at = MINIRPC_NEVER;
	loop->log = (struct mrpc_log){ .fn = options->log,
				       .user = options->log_user,
				       .level = options->log_level };

	r = -ENOMEM;
	if (!options->manual) {
		loop->in = mrpc_alloc(MRPC_LOOP_IN);
		if (loop->in == NULL)
			goto err_loop;
	}
	r = choose_backend(loop, options);
	if (r < 0)
		goto err_in;
	loop->now = loop->backend->now(loop);
	r = mrpc_post_new(&loop->post, loop, !options->manual);
	if (r < 0)
		goto err_backend;

	*ret_loop = loop;
	return 0;

err_backend:
	loop->backend->free(loop);
err_in:
	mrpc_free(loop->in);
err_loop:
	mrpc_timers_clear(&loop->timers);
	mrpc_free(loop);
	return r;
}

minirpc_loop *minirpc_loop_free(minirpc_loop *loop)
{
	if (loop == NULL)
		return NULL;
	assert(!loop->in_turn && !loop->running);

	mrpc_look_ups_close(loop);
	mrpc_post_free(loop->post);
	mrpc_user_timers_free(loop);
	assert(loop->watches == 0 && loop->timers.bound == 0);

	loop->backend->free(loop);
	mrpc_timers_clear(&loop->timers);
	mrpc_buf_clear(&loop->out);
	mrpc_buf_clear(&loop->spare);
	mrpc_buf_clear(&loop->plain);
	mrpc_pool_clear(&loop->pool);
	mrpc_free(loop->in);
	return mrpc_free(loop);
}

void mrpc_loop_hold(minirpc_loop *loop)
{
	loop->holds++;
}

void mrpc_loop_let_go(minirpc_loop *loop)
{
	if (--loop->holds == 0 && loop->doomed)
		minirpc_loop_free(loop);
}

void mrpc_loop_free_later(minirpc_loop *loop)
{
	loop->doomed = true;
	minirpc_loop_stop(loop);
	mrpc_loop_hold(loop);
	mrpc_loop_let_go(loop);
}

/* ---- running ---- */

int minirpc_loop_run_until(minirpc_loop *loop, const bool *done)
{
	bool stopped;
	int r;

	if (loop->running || loop->in_turn)
		return -EDEADLK;
	if (loop->backend->run == NULL)
		return -EINVAL;

	mrpc_loop_hold(loop);
	loop->running = true;
	r = loop->backend->run(loop, done);
	loop->running = false;
	stopped = loop->stopped;
	if (r == 0)
		loop->stopped = false;
	mrpc_loop_let_go(loop);
	if (r < 0)
		return r;
	return done != NULL && stopped && !*done ? -ECANCELED : 0;
}

int minirpc_loop_run(minirpc_loop *loop)
{
	return minirpc_loop_run_until(loop, NULL);
}

void minirpc_loop_stop(minirpc_loop *loop)
{
	loop->stopped = true;
}

static void advance(minirpc_loop *loop)
{
	for (unsigned i = 0; i < TURNS_AN_ADVANCE; i++) {
		mrpc_loop_take_turn(loop);
		if (minirpc_loop_next(loop) > loop->now)
			break;
	}
}

void minirpc_loop_turn(minirpc_loop *loop)
{
	if (loop->in_turn)
		return;
	if (loop->in == NULL)
		advance(loop);
	else
		mrpc_loop_take_turn(loop);
}

/* ---- manual: a backend without descriptors, whose clock stands still ---- */

static int manual_watch(minirpc_loop *loop, struct minirpc_watch *watch)
{
	(void)loop;
	(void)watch;
	return -ENOTSUP;
}

static void manual_unwatch(minirpc_loop *loop, struct minirpc_watch *watch)
{
	(void)loop;
	(void)watch;
}

static void manual_wake_at(minirpc_loop *loop, minirpc_time at)
{
	(void)loop;
	(void)at;
}

static minirpc_time manual_now(const minirpc_loop *loop)
{
	return loop->now;
}

static void manual_free(minirpc_loop *loop)
{
	(void)loop;
}

int mrpc_loop_manual_init(minirpc_loop *loop)
{
	static const struct mrpc_loop_backend backend = {
		.watch = manual_watch,
		.change = manual_watch,
		.unwatch = manual_unwatch,
		.wake_at = manual_wake_at,
		.now = manual_now,
		.free = manual_free,
	};

	loop->backend = &backend;
	return 0;
}

void minirpc_loop_advance(minirpc_loop *loop, minirpc_time now)
{
	if (loop->in_turn)
		return;
	if (loop->in == NULL && now > loop->now)
		loop->now = now;
	minirpc_loop_turn(loop);
}

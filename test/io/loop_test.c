/* SPDX-License-Identifier: MIT */
/* lib/io/loop.c and its backends: what a turn does, and when there is one. */
#include "run_suite.h"

#include "base/alloc.h"
#include "io/loop.h"
#include "io/poll_loop.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* What happened, in order, a letter for each event. */
static struct {
	minirpc_loop *loop;
	char log[64];
	int count;
	bool done;
	minirpc_timer *timer;
} story;

static void note(char letter)
{
	size_t len = strlen(story.log);

	ck_assert_uint_lt(len + 1, sizeof story.log);
	story.log[len] = letter;
	story.log[len + 1] = '\0';
}

static void note_letter(void *letter)
{
	note(*(const char *)letter);
}

static void finish_story(void *user)
{
	(void)user;
	story.done = true;
}

static void stop(void *loop)
{
	minirpc_loop_stop(loop);
}

static minirpc_loop *loop_new(const struct minirpc_loop_options *options)
{
	memset(&story, 0, sizeof story);
	ck_assert_int_eq(minirpc_loop_new(&story.loop, options), 0);
	return story.loop;
}

static void pair_new(int pair[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
}

static void pair_free(int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static void put(int fd)
{
	ck_assert_int_eq(write(fd, "x", 1), 1);
}

static void on_readable(struct minirpc_watch *watch, unsigned events)
{
	char byte;

	ck_assert_uint_eq(events, MINIRPC_READ);
	ck_assert_int_eq(read(watch->fd, &byte, 1), 1);
	note('r');
	story.done = true;
}

static void run_flush(struct mrpc_task *task)
{
	(void)task;
	note('f');
}

static struct mrpc_task flush_task = { .phase = MRPC_FLUSH, .run = run_flush };

/* ---- options ---- */

START_TEST(two_kinds_at_once_are_refused)
{
	minirpc_loop *loop;
	struct minirpc_loop_hooks none = { 0 };
	struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV);

	ck_assert_int_eq(
		minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .hooks = &poll_loop_hooks,
									.manual = true }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .ev = ev, .manual = true }),
		-EINVAL);
	ck_assert_int_eq(minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .hooks = &none }),
			 -EINVAL);
	ev_loop_destroy(ev);
}
END_TEST

START_TEST(a_loop_without_descriptors_left_says_emfile)
{
	struct rlimit before, none;
	minirpc_loop *loop;
	int r;

	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)dup(0);
	close((int)none.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &none);
	r = minirpc_loop_new(&loop, NULL);
	setrlimit(RLIMIT_NOFILE, &before);
	ck_assert_int_eq(r, -EMFILE);

	none.rlim_cur++; /* enough for epoll, not for the descriptor of posts */
	setrlimit(RLIMIT_NOFILE, &none);
	r = minirpc_loop_new(&loop, NULL);
	setrlimit(RLIMIT_NOFILE, &before);
	ck_assert_int_eq(r, -EMFILE);
}
END_TEST

START_TEST(every_failed_allocation_is_enomem_and_leaves_nothing)
{
	static const struct minirpc_loop_options manual = { .manual = true };
	const struct minirpc_loop_options *kinds[] = { NULL, &manual };

	for (int kind = 0; kind < 2; kind++) {
		bool failed = true;

		for (size_t nth = 1; failed; nth++) {
			minirpc_loop *loop = NULL;
			int r;

			alloc_fail_at(nth, true);
			r = minirpc_loop_new(&loop, kinds[kind]);
			failed = alloc_refused() > 0;
			alloc_fail_at(0, false);
			ck_assert_int_eq(r, failed ? -ENOMEM : 0);
			minirpc_loop_free(loop);
		}
	}
}
END_TEST

/* ---- the turn ---- */

START_TEST(a_turn_takes_descriptors_then_timers_then_posts_then_writes)
{
	minirpc_loop *loop = loop_new(NULL);
	struct minirpc_watch watch;
	int pair[2];

	pair_new(pair);
	ck_assert_int_eq(mrpc_loop_watch(loop, &watch, pair[0], MINIRPC_READ, on_readable), 0);
	mrpc_turn_wake(&loop->turn, &flush_task);
	ck_assert_int_eq(minirpc_loop_post(loop, note_letter, (void *)"p"), 0);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 0, note_letter, (void *)"t"), 0);
	minirpc_loop_ready(loop, &watch, MINIRPC_READ);
	put(pair[1]);

	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	/* The user's timer only wakes a task, so that user code runs where all of it runs. */
	ck_assert_str_eq(story.log, "rptf");

	mrpc_loop_unwatch(&watch);
	mrpc_loop_unwatch(&watch);
	pair_free(pair);
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(a_watch_that_is_unwatched_in_the_turn_is_not_told)
{
	minirpc_loop *loop = loop_new(NULL);
	struct minirpc_watch watch;
	int pair[2];

	pair_new(pair);
	ck_assert_int_eq(mrpc_loop_watch(loop, &watch, pair[0], MINIRPC_READ, on_readable), 0);
	minirpc_loop_ready(loop, &watch, MINIRPC_READ);
	mrpc_loop_unwatch(&watch);
	put(pair[1]);
	ck_assert_int_eq(minirpc_loop_post(loop, stop, loop), 0);
	ck_assert_int_eq(minirpc_loop_run(loop), 0);
	ck_assert_str_eq(story.log, "");
	pair_free(pair);
	minirpc_loop_free(loop);
}
END_TEST

static void on_any(struct minirpc_watch *watch, unsigned events)
{
	note(events == MINIRPC_WRITE ? 'w' : events == MINIRPC_READ ? 'r' : 'b');
	if (++story.count == 1)
		ck_assert_int_eq(mrpc_loop_change(watch, MINIRPC_READ), 0);
	else
		story.done = true;
}

START_TEST(only_the_events_that_are_watched_for_are_told)
{
	minirpc_loop *loop = loop_new(NULL);
	struct minirpc_watch watch;
	int pair[2];

	pair_new(pair);
	put(pair[1]);
	ck_assert_int_eq(mrpc_loop_watch(loop, &watch, pair[0], 0, on_any), 0);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(2), finish_story, NULL), 0);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_str_eq(story.log, "");

	story.done = false;
	ck_assert_int_eq(mrpc_loop_change(&watch, MINIRPC_WRITE), 0);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_str_eq(story.log, "wr");
	mrpc_loop_unwatch(&watch);
	pair_free(pair);
	minirpc_loop_free(loop);
}
END_TEST

static void on_lost(struct minirpc_watch *watch, unsigned events)
{
	(void)watch;
	ck_assert_uint_eq(events, MINIRPC_READ | MINIRPC_WRITE | MRPC_WATCH_LOST);
	story.done = true;
}

START_TEST(a_descriptor_that_libev_gives_up_is_told_as_lost)
{
	struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV);
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .ev = ev });
	struct minirpc_watch watch;
	int pair[2];

	pair_new(pair);
	ck_assert_int_eq(mrpc_loop_watch(loop, &watch, pair[0], MINIRPC_READ, on_lost), 0);
	/* What libev does when epoll_ctl fails. */
	ev_io_stop(ev, (ev_io *)watch.backend);
	ev_feed_event(ev, watch.backend, EV_ERROR | EV_READ | EV_WRITE);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	mrpc_loop_unwatch(&watch);
	pair_free(pair);
	minirpc_loop_free(loop);
	ev_loop_destroy(ev);
}
END_TEST

static void run_again(struct mrpc_task *task)
{
	note('a');
	if (++story.count < 3)
		mrpc_loop_again(story.loop, task);
	else
		story.done = true;
}

START_TEST(a_task_that_runs_again_lets_descriptors_go_first)
{
	minirpc_loop *loop = loop_new(NULL);
	struct mrpc_task task = { .phase = MRPC_FLUSH, .run = run_again };
	struct minirpc_watch watch;
	int pair[2];

	pair_new(pair);
	ck_assert_int_eq(mrpc_loop_watch(loop, &watch, pair[0], MINIRPC_READ, on_readable), 0);
	mrpc_turn_wake(&loop->turn, &task);
	put(pair[1]);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	story.done = false;
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_str_eq(story.log, "araa");
	mrpc_loop_unwatch(&watch);
	pair_free(pair);
	minirpc_loop_free(loop);
}
END_TEST

/* ---- running ---- */

START_TEST(stop_before_run_makes_the_next_run_return)
{
	minirpc_loop *loop = loop_new(NULL);

	minirpc_loop_stop(loop);
	ck_assert_int_eq(minirpc_loop_run(loop), 0);

	ck_assert_int_eq(minirpc_loop_post(loop, stop, loop), 0);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), -ECANCELED);
	story.done = true;
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	minirpc_loop_free(loop);
}
END_TEST

static void run_inside(void *loop)
{
	ck_assert_int_eq(minirpc_loop_run(loop), -EDEADLK);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), -EDEADLK);
	minirpc_loop_turn(loop);
	story.done = true;
}

START_TEST(running_from_a_callback_is_a_deadlock_refused)
{
	minirpc_loop *loop = loop_new(NULL);

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 0, run_inside, loop), 0);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(a_task_woken_before_run_does_not_wait_for_an_event)
{
	minirpc_loop *loop = loop_new(NULL);

	mrpc_turn_wake(&loop->turn, &flush_task);
	minirpc_loop_post(loop, stop, loop);
	ck_assert_int_eq(minirpc_loop_run(loop), 0);
	ck_assert_str_eq(story.log, "f");
	minirpc_loop_free(loop);
}
END_TEST

static void on_turn_of_polling(void *user)
{
	(void)user;
	if (++story.count == 5)
		story.done = true;
	else
		ck_assert_int_eq(minirpc_timer_start(NULL, story.loop, MINIRPC_US(300),
						     on_turn_of_polling, NULL),
				 0);
}

START_TEST(a_loop_that_polls_before_it_sleeps_does_the_same_work)
{
	minirpc_loop *loop =
		loop_new(&(struct minirpc_loop_options){ .poll_before_sleep_us = 5000 });

	on_turn_of_polling(NULL);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_int_eq(story.count, 5);
	minirpc_loop_free(loop);
}
END_TEST

/* ---- timers ---- */

START_TEST(timers_fire_in_order_and_not_early)
{
	minirpc_loop *loop = loop_new(NULL);
	minirpc_time start = minirpc_loop_now(loop);

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(6), finish_story, NULL), 0);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(3), note_letter, (void *)"2"),
			 0);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, -1, note_letter, (void *)"1"), 0);
	ck_assert_int_eq(
		minirpc_timer_start(&story.timer, loop, MINIRPC_MS(1), note_letter, (void *)"x"),
		0);
	ck_assert_ptr_null(minirpc_timer_cancel(story.timer));
	ck_assert_ptr_null(minirpc_timer_cancel(NULL));

	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_str_eq(story.log, "12");
	ck_assert_int_ge(minirpc_loop_now(loop) - start, MINIRPC_MS(6));
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(a_timer_counts_from_now_even_if_the_last_turn_was_long_ago)
{
	minirpc_loop *loop = loop_new(NULL);
	minirpc_time start;

	loop->now -= MINIRPC_S(100); /* as if it had not run for a while */
	start = minirpc_loop_now(loop);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(2), finish_story, NULL), 0);
	ck_assert_int_ge(loop->now, start);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_int_ge(minirpc_loop_now(loop) - start, MINIRPC_MS(2));
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(timers_and_posts_that_are_left_are_freed_with_the_loop)
{
	minirpc_loop *loop = loop_new(NULL);

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_S(9), note_letter, (void *)"x"),
			 0);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 0, note_letter, (void *)"x"), 0);
	ck_assert_int_eq(minirpc_loop_post(loop, note_letter, (void *)"x"), 0);
	ck_assert_ptr_null(minirpc_loop_free(loop));
	ck_assert_str_eq(story.log, "");
	ck_assert_ptr_null(minirpc_loop_free(NULL));
}
END_TEST

static void cancel_other(void *user)
{
	(void)user;
	note('c');
	story.timer = minirpc_timer_cancel(story.timer);
}

START_TEST(a_timer_that_is_due_can_still_be_cancelled_by_the_one_before)
{
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .manual = true });

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 1, cancel_other, NULL), 0);
	ck_assert_int_eq(minirpc_timer_start(&story.timer, loop, 2, note_letter, (void *)"x"), 0);
	minirpc_loop_advance(loop, 2);
	ck_assert_str_eq(story.log, "c");
	minirpc_loop_free(loop);
}
END_TEST

/* ---- manual ---- */

static void restart(void *user)
{
	(void)user;
	note('t');
	if (++story.count < 3)
		ck_assert_int_eq(minirpc_timer_start(NULL, story.loop, 0, restart, NULL), 0);
}

START_TEST(a_manual_loop_lives_by_the_hand_that_turns_it)
{
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .manual = true });

	ck_assert_int_eq(minirpc_loop_now(loop), 0);
	ck_assert_int_eq(minirpc_loop_next(loop), MINIRPC_NEVER);
	ck_assert_int_eq(minirpc_loop_run(loop), -EINVAL);

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_S(120), note_letter, (void *)"t"),
			 0);
	ck_assert_int_eq(minirpc_loop_next(loop), MINIRPC_S(120));
	minirpc_loop_advance(loop, MINIRPC_S(120) - 1);
	ck_assert_str_eq(story.log, "");
	minirpc_loop_advance(loop, MINIRPC_S(120));
	ck_assert_str_eq(story.log, "t");
	minirpc_loop_advance(loop, 5);
	ck_assert_int_eq(minirpc_loop_now(loop), MINIRPC_S(120));

	ck_assert_int_eq(minirpc_loop_post(loop, note_letter, (void *)"p"), 0);
	ck_assert_int_lt(minirpc_loop_next(loop), minirpc_loop_now(loop));
	minirpc_loop_turn(loop);
	ck_assert_str_eq(story.log, "tp");
	ck_assert_int_eq(minirpc_loop_next(loop), MINIRPC_NEVER);
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(one_advance_does_everything_that_is_due)
{
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .manual = true });

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 7, restart, NULL), 0);
	minirpc_loop_advance(loop, 7);
	ck_assert_str_eq(story.log, "ttt");
	minirpc_loop_free(loop);
}
END_TEST

/* ---- the host's struct ev_loop ---- */

static void host_uses_a_verb(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	note('h');
	mrpc_turn_wake(&((minirpc_loop *)timer->data)->turn, &flush_task);
}

START_TEST(work_queued_in_the_hosts_callback_gets_a_turn_before_libev_sleeps)
{
	struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV);
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .ev = ev });
	ev_timer timer;

	ev_timer_init(&timer, host_uses_a_verb, 0.001, 0.);
	timer.data = loop;
	ev_timer_start(ev, &timer);
	ev_run(ev, 0); /* returns by itself: an idle loop of ours does not hold it */
	ck_assert_str_eq(story.log, "hf");
	minirpc_loop_free(loop);
	ev_loop_destroy(ev);
}
END_TEST

START_TEST(our_timers_and_descriptors_keep_the_hosts_loop_running)
{
	struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV);
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .ev = ev });

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(2), note_letter, (void *)"t"),
			 0);
	ev_run(ev, 0);
	ck_assert_str_eq(story.log, "t");

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 0, stop, loop), 0);
	ck_assert_int_eq(minirpc_loop_run(loop), 0);
	minirpc_loop_free(loop);
	ck_assert_int_eq(ev_run(ev, EVRUN_NOWAIT), 0); /* nothing of ours is left in it */
	ev_loop_destroy(ev);
}
END_TEST

static void host_is_busy(struct ev_loop *ev, ev_idle *idle, int events)
{
	(void)events;
	story.count++;
	if (story.done)
		ev_idle_stop(ev, idle);
}

START_TEST(our_timer_is_not_put_off_by_a_host_that_is_always_busy)
{
	struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV);
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .ev = ev });
	minirpc_time start = minirpc_loop_now(loop);
	ev_idle idle;

	ev_idle_init(&idle, host_is_busy);
	ev_idle_start(ev, &idle);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(5), finish_story, NULL), 0);
	ev_run(ev, 0);
	ck_assert(story.done);
	ck_assert_int_gt(story.count, 1);
	ck_assert_int_ge(minirpc_loop_now(loop) - start, MINIRPC_MS(5));
	minirpc_loop_free(loop);
	ev_loop_destroy(ev);
}
END_TEST

static void host_waits(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)events;
	ck_assert_int_eq(minirpc_loop_run_until(timer->data, &story.done), -EDEADLK);
	note('d');
}

START_TEST(waiting_inside_the_hosts_own_callback_is_refused)
{
	struct ev_loop *ev = ev_loop_new(EVFLAG_NOENV);
	minirpc_loop *loop = loop_new(&(struct minirpc_loop_options){ .ev = ev });
	ev_timer timer;

	ev_timer_init(&timer, host_waits, 0., 0.);
	timer.data = loop;
	ev_timer_start(ev, &timer);
	ev_run(ev, 0);
	ck_assert_str_eq(story.log, "d");
	minirpc_loop_free(loop);
	ev_loop_destroy(ev);
}
END_TEST

/* ---- libev and memory ---- */

static size_t ev_allocations;

static void *count_allocations(void *p, long size)
{
	if (size == 0) {
		free(p);
		return NULL;
	}
	ev_allocations++;
	return realloc(p, (size_t)size);
}

static void on_nothing(struct minirpc_watch *watch, unsigned events)
{
	(void)events;
	ck_assert_int_eq(mrpc_loop_change(watch, 0), 0);
	if (++story.count == 40)
		story.done = true;
}

/* docs/decisions/002-libev-memory.md. The allocator is set by this test, in a process of its own.
 */
START_TEST(libev_allocates_only_where_we_looked_for_memory_first)
{
	enum { COUNT = 40 };
	struct minirpc_watch watches[COUNT];
	int pairs[COUNT][2];
	minirpc_loop *loop;

	ev_set_allocator(count_allocations);
	loop = loop_new(NULL);
	for (int i = 0; i < COUNT; i++)
		pair_new(pairs[i]);
	ck_assert_int_eq(
		mrpc_loop_watch(loop, &watches[COUNT - 1], pairs[COUNT - 1][0], 0, on_nothing), 0);
	ck_assert_uint_gt(ev_allocations, 0);
	ev_allocations = 0;

	for (int i = 0; i < COUNT - 1; i++)
		ck_assert_int_eq(
			mrpc_loop_watch(loop, &watches[i], pairs[i][0], MINIRPC_WRITE, on_nothing),
			0);
	ck_assert_int_eq(mrpc_loop_change(&watches[COUNT - 1], MINIRPC_WRITE), 0);
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, 0, note_letter, (void *)"t"), 0);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	for (int i = 0; i < COUNT; i++)
		mrpc_loop_unwatch(&watches[i]);
	story.done = false;
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(1), finish_story, NULL), 0);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	ck_assert_uint_eq(ev_allocations, 0);

	for (int i = 0; i < COUNT; i++)
		pair_free(pairs[i]);
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(a_watch_without_memory_says_enomem_and_the_loop_goes_on)
{
	minirpc_loop *loop = loop_new(NULL);
	struct minirpc_watch watch;
	int pair[2], high;
	bool failed = true;

	pair_new(pair);
	high = fcntl(pair[0], F_DUPFD_CLOEXEC, 200);
	ck_assert_int_ge(high, 200);
	for (size_t nth = 1; failed; nth++) {
		int r;

		alloc_fail_at(nth, true);
		r = mrpc_loop_watch(loop, &watch, high, MINIRPC_READ, on_readable);
		failed = alloc_refused() > 0;
		alloc_fail_at(0, false);
		ck_assert_int_eq(r, failed ? -ENOMEM : 0);
	}
	put(pair[1]);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &story.done), 0);
	mrpc_loop_unwatch(&watch);
	close(high);
	pair_free(pair);
	minirpc_loop_free(loop);
}
END_TEST

/* ---- any other loop ---- */

START_TEST(a_foreign_loop_drives_everything_by_five_hooks)
{
	struct poll_loop poll;
	minirpc_loop *loop;
	struct minirpc_watch watch;
	int pair[2];

	poll_loop_init(&poll);
	loop = loop_new(
		&(struct minirpc_loop_options){ .hooks = &poll_loop_hooks, .hooks_user = &poll });
	ck_assert_int_eq(minirpc_loop_run(loop), -EINVAL);

	pair_new(pair);
	ck_assert_int_eq(mrpc_loop_watch(loop, &watch, pair[0], MINIRPC_READ, on_readable), 0);
	put(pair[1]);
	ck_assert(poll_loop_once(&poll, loop));
	ck_assert_str_eq(story.log, "r");

	mrpc_turn_wake(&loop->turn, &flush_task);
	ck_assert(poll_loop_once(&poll, loop));
	ck_assert_str_eq(story.log, "rf");

	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(2), note_letter, (void *)"t"),
			 0);
	while (strlen(story.log) < 3)
		ck_assert(poll_loop_once(&poll, loop));
	ck_assert_int_eq(poll.wake_at, MINIRPC_NEVER);

	ck_assert_int_eq(minirpc_loop_post(loop, note_letter, (void *)"p"), 0);
	ck_assert(poll_loop_once(&poll, loop));
	ck_assert_str_eq(story.log, "rftp");

	mrpc_loop_unwatch(&watch);
	pair_free(pair);
	minirpc_loop_free(loop);
	for (int i = 0; i < POLL_LOOP_MAX; i++)
		ck_assert_int_eq(poll.entries[i].fd, -1);
}
END_TEST

START_TEST(a_host_whose_timer_is_early_is_told_the_time_again)
{
	struct poll_loop poll;
	minirpc_loop *loop;
	unsigned before;

	poll_loop_init(&poll);
	loop = loop_new(
		&(struct minirpc_loop_options){ .hooks = &poll_loop_hooks, .hooks_user = &poll });
	ck_assert_int_eq(minirpc_timer_start(NULL, loop, MINIRPC_MS(15), finish_story, NULL), 0);
	before = poll.wakes_set;
	minirpc_loop_turn(loop); /* nothing is due yet */
	ck_assert(!story.done);
	ck_assert_uint_gt(poll.wakes_set, before);
	while (!story.done)
		ck_assert(poll_loop_once(&poll, loop));
	minirpc_loop_free(loop);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("io/loop");
	TCase *t = tcase_create("loop");

	tcase_add_test(t, two_kinds_at_once_are_refused);
	tcase_add_test(t, a_loop_without_descriptors_left_says_emfile);
	tcase_add_test(t, every_failed_allocation_is_enomem_and_leaves_nothing);
	tcase_add_test(t, a_turn_takes_descriptors_then_timers_then_posts_then_writes);
	tcase_add_test(t, a_watch_that_is_unwatched_in_the_turn_is_not_told);
	tcase_add_test(t, only_the_events_that_are_watched_for_are_told);
	tcase_add_test(t, a_descriptor_that_libev_gives_up_is_told_as_lost);
	tcase_add_test(t, a_task_that_runs_again_lets_descriptors_go_first);
	tcase_add_test(t, stop_before_run_makes_the_next_run_return);
	tcase_add_test(t, running_from_a_callback_is_a_deadlock_refused);
	tcase_add_test(t, a_task_woken_before_run_does_not_wait_for_an_event);
	tcase_add_test(t, a_loop_that_polls_before_it_sleeps_does_the_same_work);
	tcase_add_test(t, timers_fire_in_order_and_not_early);
	tcase_add_test(t, a_timer_counts_from_now_even_if_the_last_turn_was_long_ago);
	tcase_add_test(t, timers_and_posts_that_are_left_are_freed_with_the_loop);
	tcase_add_test(t, a_timer_that_is_due_can_still_be_cancelled_by_the_one_before);
	tcase_add_test(t, a_manual_loop_lives_by_the_hand_that_turns_it);
	tcase_add_test(t, one_advance_does_everything_that_is_due);
	tcase_add_test(t, work_queued_in_the_hosts_callback_gets_a_turn_before_libev_sleeps);
	tcase_add_test(t, our_timers_and_descriptors_keep_the_hosts_loop_running);
	tcase_add_test(t, our_timer_is_not_put_off_by_a_host_that_is_always_busy);
	tcase_add_test(t, waiting_inside_the_hosts_own_callback_is_refused);
	tcase_add_test(t, libev_allocates_only_where_we_looked_for_memory_first);
	tcase_add_test(t, a_watch_without_memory_says_enomem_and_the_loop_goes_on);
	tcase_add_test(t, a_foreign_loop_drives_everything_by_five_hooks);
	tcase_add_test(t, a_host_whose_timer_is_early_is_told_the_time_again);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Libev: a loop of our own, or the host's struct ev_loop.
 *
 *	ev_io, one for each watch      notes what became ready
 *	ev_timer                       the next turn
 *	ev_check, lowest priority      takes the turn after all callbacks of an iteration
 *	ev_prepare, lowest priority    takes a turn before sleeping, for work queued outside of
 *	                               turns
 *
 * Prepare, check and the post descriptor do not keep the host's ev_run going, and the timer only
 * while it is wanted.
 *
 * Libev aborts the process when an allocation fails, and its allocator is global, so the host's and
 * not ours to change. Therefore whatever libev may allocate for us is made to be allocated in one
 * place, reserve(), after we have seen that the memory is there; docs/decisions/002-libev-memory.md
 * has the details. */
#include "io/backend.h"

#include "base/alloc.h"

#include <errno.h>
#include <ev.h>

/* What reserve() sees is there: several times what libev needs for a descriptor, and for a loop
 * with its first arrays. */
#define BYTES_A_DESCRIPTOR 256u
#define BYTES_A_LOOP 65536u

/* While nothing is to be done the timer stays on the heap, so that setting it never allocates. */
#define FAR_AWAY 1e9

#define POLL_AT_MOST_US 1000u

struct ev_data {
	minirpc_loop *loop;
	struct ev_loop *ev;
	bool owned; /* ev is ours to destroy */
	bool want_turn;
	bool timer_holds; /* the timer keeps ev_run going */
	ev_timer timer;
	ev_prepare prepare;
	ev_check check;
	int reserved;     /* descriptors below this need no allocation in libev */
	const bool *done; /* minirpc_loop_run_until */
	unsigned poll_us;
	uint64_t turns;
};

/* ---- memory ---- */

static bool is_available(size_t size)
{
	void *probe = mrpc_alloc(size);

	mrpc_free(probe);
	return probe != NULL;
}

static void ignore_io(struct ev_loop *ev, ev_io *io, int events)
{
	(void)ev;
	(void)io;
	(void)events;
}

static void ignore_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	(void)ev;
	(void)prepare;
	(void)events;
}

/* Makes libev's arrays long enough for descriptors 0 .. count - 1: its table of descriptors and its
 * list of changed ones by starting and stopping a watcher for each (without events that would reach
 * the kernel), its list of pending watchers by feeding it that many. None of them ever shrinks. */
static void stretch(struct ev_loop *ev, ev_prepare *dummies, int count)
{
	for (int fd = 0; fd < count; fd++) {
		ev_io io;

		ev_io_init(&io, ignore_io, fd, EV_READ);
		io.events = EV_READ; /* without EV__IOFDSET: the kernel's view is not touched */
		ev_io_start(ev, &io);
		ev_io_stop(ev, &io);
	}
	for (int i = 0; i < count; i++) {
		ev_prepare_init(&dummies[i], ignore_prepare);
		ev_feed_event(ev, &dummies[i], EV_CUSTOM);
	}
	for (int i = 0; i < count; i++)
		ev_clear_pending(ev, &dummies[i]);
}

static int reserve(struct ev_data *data, int fd)
{
	int count = data->reserved > 0 ? data->reserved : 32;
	ev_prepare *dummies;

	if (fd < data->reserved)
		return 0;
	while (count <= fd)
		count *= 2;
	dummies = mrpc_alloc((size_t)count * sizeof *dummies);
	if (dummies == NULL)
		return -ENOMEM;
	if (!is_available((size_t)count * BYTES_A_DESCRIPTOR + BYTES_A_LOOP)) {
		mrpc_free(dummies);
		return -ENOMEM;
	}
	stretch(data->ev, dummies, count);
	mrpc_free(dummies);
	data->reserved = count;
	return 0;
}

/* ---- turns ---- */

static bool is_over(const struct ev_data *data)
{
	return data->loop->stopped || (data->done != NULL && *data->done);
}

static void take_turn(struct ev_data *data)
{
	minirpc_loop *loop = data->loop;

	if (data->want_turn || mrpc_loop_has_work(loop)) {
		data->want_turn = false;
		data->turns++;
		mrpc_loop_take_turn(loop);
	} else {
		/* Timers may have been set by verbs that were called outside of turns. */
		mrpc_loop_set_wake(loop);
	}
	if (loop->running && is_over(data))
		ev_break(data->ev, EVBREAK_ONE);
}

static void on_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	(void)ev;
	(void)events;
	take_turn(prepare->data);
}

static void on_check(struct ev_loop *ev, ev_check *check, int events)
{
	struct ev_data *data = check->data;

	(void)ev;
	(void)events;
	if (data->want_turn)
		take_turn(data);
}

/* Libev counts from its own idea of now, which is older than ours, so it may be early; never late.
 * The turn that follows sets it again. */
static void on_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct ev_data *data = timer->data;

	(void)ev;
	(void)events;
	data->want_turn = true;
	mrpc_loop_woke(data->loop);
}

/* From a fresh clock: loop->now may be older than libev's now, and then the timer would be late. */
static void wake_at(minirpc_loop *loop, minirpc_time at)
{
	struct ev_data *data = loop->backend_data;
	bool holds = at != MINIRPC_NEVER;
	minirpc_time after = holds && at != MRPC_LOOP_AT_ONCE ? at - mrpc_clock() : 0;

	data->timer.repeat = !holds ? FAR_AWAY : after > 0 ? (double)after * 1e-9 : 1e-9;
	ev_timer_again(data->ev, &data->timer);

	if (holds && !data->timer_holds)
		ev_ref(data->ev);
	else if (!holds && data->timer_holds)
		ev_unref(data->ev);
	data->timer_holds = holds;
}

static minirpc_time now(const minirpc_loop *loop)
{
	(void)loop;
	return mrpc_clock();
}

/* ---- descriptors ---- */

/* EV_ERROR (libev gave the descriptor up: epoll_ctl failed) is told as "try it and see". */
static void on_io(struct ev_loop *ev, ev_io *io, int events)
{
	struct minirpc_watch *watch = io->data;
	struct ev_data *data = watch->loop->backend_data;
	unsigned ready = 0;

	(void)ev;
	if (events & EV_READ)
		ready |= MINIRPC_READ;
	if (events & EV_WRITE)
		ready |= MINIRPC_WRITE;
	if (events & EV_ERROR)
		ready |= MINIRPC_READ | MINIRPC_WRITE | MRPC_WATCH_LOST;
	data->want_turn = true;
	minirpc_loop_ready(watch->loop, watch, ready);
}

static int to_ev(unsigned events)
{
	return (events & MINIRPC_READ ? EV_READ : 0) | (events & MINIRPC_WRITE ? EV_WRITE : 0);
}

/* The descriptor of posts must not keep the host's ev_run going; it is the first that is watched.
 */
static bool is_post(const minirpc_loop *loop)
{
	return loop->post == NULL;
}

static int watch(minirpc_loop *loop, struct minirpc_watch *watch)
{
	struct ev_data *data = loop->backend_data;
	ev_io *io;
	int r;

	r = reserve(data, watch->fd);
	if (r < 0)
		return r;
	io = mrpc_alloc(sizeof *io);
	if (io == NULL)
		return -ENOMEM;
	ev_io_init(io, on_io, watch->fd, to_ev(watch->events));
	io->data = watch;
	if (watch->events != 0)
		ev_io_start(data->ev, io);
	if (is_post(loop))
		ev_unref(data->ev);
	watch->backend = io;
	return 0;
}

static int change(minirpc_loop *loop, struct minirpc_watch *watch)
{
	struct ev_data *data = loop->backend_data;
	ev_io *io = watch->backend;

	ev_io_stop(data->ev, io);
#ifdef ev_io_modify
	ev_io_modify(io, to_ev(watch->events));
#else
	ev_io_set(io, watch->fd, to_ev(watch->events));
#endif
	if (watch->events != 0)
		ev_io_start(data->ev, io);
	return 0;
}

static void unwatch(minirpc_loop *loop, struct minirpc_watch *watch)
{
	struct ev_data *data = loop->backend_data;

	if (mrpc_post_watch(loop->post) == watch)
		ev_ref(data->ev);
	ev_io_stop(data->ev, watch->backend);
	mrpc_free(watch->backend);
}

/* ---- running ---- */

/* Spins for a while: whoever answers within microseconds is heard without a sleep and a wake-up.
 * Returns true when there was a turn. */
static bool poll_for_a_while(struct ev_data *data)
{
	uint64_t turns = data->turns;
	minirpc_time until = mrpc_clock() + MINIRPC_US(data->poll_us);

	do
		ev_run(data->ev, EVRUN_NOWAIT);
	while (data->turns == turns && !is_over(data) && mrpc_clock() < until);
	return data->turns != turns;
}

static int run(minirpc_loop *loop, const bool *done)
{
	struct ev_data *data = loop->backend_data;

	if (ev_depth(data->ev) > 0)
		return -EDEADLK; /* the host is running it, and we are inside one of its callbacks
				  */
	data->done = done;
	ev_ref(data->ev); /* sleep, even if nothing but a post can wake us */
	while (!is_over(data)) {
		if (data->poll_us > 0 && poll_for_a_while(data))
			continue;
		if (!is_over(data))
			ev_run(data->ev, EVRUN_ONCE);
	}
	ev_unref(data->ev);
	data->done = NULL;
	return 0;
}

/* ---- making and freeing ---- */

static void start_watchers(struct ev_data *data)
{
	struct ev_loop *ev = data->ev;

	ev_timer_init(&data->timer, on_timer, 0., FAR_AWAY);
	ev_prepare_init(&data->prepare, on_prepare);
	ev_check_init(&data->check, on_check);
	data->timer.data = data->prepare.data = data->check.data = data;
	ev_set_priority(&data->prepare, EV_MINPRI);
	ev_set_priority(&data->check, EV_MINPRI);

	ev_timer_again(ev, &data->timer);
	ev_unref(ev);
	ev_prepare_start(ev, &data->prepare);
	ev_unref(ev);
	ev_check_start(ev, &data->check);
	ev_unref(ev);

	/* Two entries of the list of pending watchers of the lowest priority, ahead of time. */
	ev_feed_event(ev, &data->prepare, EV_CUSTOM);
	ev_feed_event(ev, &data->check, EV_CUSTOM);
	ev_clear_pending(ev, &data->prepare);
	ev_clear_pending(ev, &data->check);
}

static void free_ev(minirpc_loop *loop)
{
	struct ev_data *data = loop->backend_data;
	struct ev_loop *ev = data->ev;

	if (!data->timer_holds)
		ev_ref(ev);
	ev_timer_stop(ev, &data->timer);
	ev_ref(ev);
	ev_prepare_stop(ev, &data->prepare);
	ev_ref(ev);
	ev_check_stop(ev, &data->check);
	if (data->owned)
		ev_loop_destroy(ev);
	loop->backend_data = mrpc_free(data);
}

static void ignore_timer(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev;
	(void)timer;
	(void)events;
}

/* A first iteration, with a timer that fires: it makes the arrays that only ev_run can make. */
static void warm_up(struct ev_loop *ev)
{
	ev_timer timer;

	ev_timer_init(&timer, ignore_timer, -1., 0.);
	ev_timer_start(ev, &timer);
	ev_run(ev, EVRUN_NOWAIT);
	ev_timer_stop(ev, &timer);
}

/* Not the default loop, which takes SIGCHLD; no signal mask, no environment. */
static int new_ev_loop(struct ev_loop **ret_ev)
{
	unsigned flags = EVFLAG_NOENV | EVFLAG_NOSIGMASK;

	errno = 0;
	*ret_ev = ev_loop_new(flags | EVBACKEND_EPOLL);
	if (*ret_ev != NULL) {
		warm_up(*ret_ev);
		return 0;
	}
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return -errno;
	*ret_ev = ev_loop_new(flags); /* a system without epoll */
	if (*ret_ev == NULL)
		return -ENOMEM;
	warm_up(*ret_ev);
	return 0;
}

int mrpc_loop_ev_init(minirpc_loop *loop, struct ev_loop *host, unsigned poll_before_sleep_us)
{
	static const struct mrpc_loop_backend backend = {
		.watch = watch,
		.change = change,
		.unwatch = unwatch,
		.wake_at = wake_at,
		.now = now,
		.run = run,
		.free = free_ev,
	};
	struct ev_data *data;
	int r;

	if (!is_available(BYTES_A_LOOP))
		return -ENOMEM;
	data = mrpc_zalloc(sizeof *data);
	if (data == NULL)
		return -ENOMEM;
	data->loop = loop;
	data->ev = host;
	if (host == NULL) {
		r = new_ev_loop(&data->ev);
		if (r < 0) {
			mrpc_free(data);
			return r;
		}
		data->owned = true;
		data->poll_us = poll_before_sleep_us < POLL_AT_MOST_US ? poll_before_sleep_us
								       : POLL_AT_MOST_US;
	}
	start_watchers(data);
	loop->backend = &backend;
	loop->backend_data = data;
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "io/poll_loop.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

static minirpc_time hook_now(void *user)
{
	const struct poll_loop *loop = user;
	struct timespec ts;

	if (loop->now != 0)
		return loop->now;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (minirpc_time)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void poll_loop_init(struct poll_loop *loop)
{
	*loop = (struct poll_loop){ .wake_at = MINIRPC_NEVER };
	for (int i = 0; i < POLL_LOOP_MAX; i++)
		loop->entries[i].fd = -1;
}

static int hook_watch(void *user, int fd, unsigned events, minirpc_watch *watch, void **ret_handle)
{
	struct poll_loop *loop = user;

	for (int i = 0; i < POLL_LOOP_MAX; i++) {
		if (loop->entries[i].fd >= 0)
			continue;
		loop->entries[i] =
			(struct poll_entry){ .fd = fd, .events = events, .watch = watch };
		*ret_handle = &loop->entries[i];
		return 0;
	}
	return -ENOSPC;
}

static int hook_change(void *user, void *handle, unsigned events)
{
	struct poll_entry *entry = handle;

	(void)user;
	entry->events = events;
	return 0;
}

static void hook_unwatch(void *user, void *handle)
{
	struct poll_entry *entry = handle;

	(void)user;
	entry->fd = -1;
}

static void hook_wake_at(void *user, minirpc_time at)
{
	struct poll_loop *loop = user;

	loop->wake_at = at;
	loop->wakes_set++;
}

const struct minirpc_loop_hooks poll_loop_hooks = {
	.watch = hook_watch,
	.change = hook_change,
	.unwatch = hook_unwatch,
	.wake_at = hook_wake_at,
	.now = hook_now,
};

static int timeout_ms(struct poll_loop *loop)
{
	minirpc_time left;

	if (loop->wake_at == MINIRPC_NEVER)
		return 5000;
	left = loop->wake_at - hook_now(loop);
	if (left <= 0)
		return 0;
	return left > MINIRPC_S(5) ? 5000 : (int)((left + 999999) / 1000000);
}

static int poll_for(struct poll_loop *loop, minirpc_loop *rpc, int timeout)
{
	struct pollfd fds[POLL_LOOP_MAX] = { 0 };
	int count;

	for (int i = 0; i < POLL_LOOP_MAX; i++) {
		unsigned events = loop->entries[i].events;

		fds[i].fd = events != 0 ? loop->entries[i].fd : -1;
		fds[i].events = (short)((events & MINIRPC_READ ? POLLIN : 0) |
					(events & MINIRPC_WRITE ? POLLOUT : 0));
	}
	count = poll(fds, POLL_LOOP_MAX, timeout);
	for (int i = 0; i < POLL_LOOP_MAX && count > 0; i++) {
		unsigned ready = 0;

		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			ready |= MINIRPC_READ;
		if (fds[i].revents & (POLLOUT | POLLERR))
			ready |= MINIRPC_WRITE;
		if (ready != 0)
			minirpc_loop_ready(rpc, loop->entries[i].watch, ready);
	}
	return count;
}

bool poll_loop_once(struct poll_loop *loop, minirpc_loop *rpc)
{
	if (poll_for(loop, rpc, timeout_ms(loop)) == 0 && loop->wake_at > hook_now(loop))
		return false;
	minirpc_loop_turn(rpc);
	return true;
}

void poll_loop_settle(struct poll_loop *loop, minirpc_loop *rpc)
{
	while (poll_for(loop, rpc, 0) > 0 || loop->wake_at <= loop->now)
		minirpc_loop_turn(rpc);
}

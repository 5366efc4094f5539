/* SPDX-License-Identifier: MIT */
/* A client on a loop that is not libev: poll(2), by hand. With hello_server running type
 *
 *	foreign_loop localhost:50051 gopher     Hello gopher
 *
 * Your own loop needs the same five things: watch, change, unwatch, wake_at, and a call of
 * minirpc_loop_turn after it woke up. */
#include "hello.minirpc.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SLOTS 64

/* The loop: what it watches, and when it wakes up by itself. poll(2) ignores descriptors below 0. */
struct host {
	struct pollfd fds[SLOTS];
	minirpc_watch *watches[SLOTS]; /* NULL: the slot is free */
	minirpc_time wake_at;
	bool done, failed;
};

static void set(struct host *host, size_t slot, int fd, unsigned events)
{
	host->fds[slot].fd = events != 0 ? fd : ~fd; /* ~fd is negative, and fd again when undone */
	host->fds[slot].events = (short)((events & MINIRPC_READ ? POLLIN : 0) |
					 (events & MINIRPC_WRITE ? POLLOUT : 0));
}

static int watch(void *user, int fd, unsigned events, minirpc_watch *watch, void **ret_handle)
{
	struct host *host = user;

	for (size_t slot = 0; slot < SLOTS; slot++) {
		if (host->watches[slot] != NULL)
			continue;
		host->watches[slot] = watch;
		set(host, slot, fd, events);
		*ret_handle = &host->fds[slot];
		return 0;
	}
	return -ENOSPC;
}

static int change(void *user, void *handle, unsigned events)
{
	struct host *host = user;
	struct pollfd *entry = handle;

	set(host, (size_t)(entry - host->fds), entry->fd < 0 ? ~entry->fd : entry->fd, events);
	return 0;
}

static void unwatch(void *user, void *handle)
{
	struct host *host = user;
	struct pollfd *entry = handle;

	host->watches[entry - host->fds] = NULL;
	entry->fd = -1;
}

static void wake_at(void *user, minirpc_time at)
{
	struct host *host = user;

	host->wake_at = at;
}

static minirpc_time now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return MINIRPC_S(ts.tv_sec) + ts.tv_nsec;
}

/* For poll: milliseconds, rounded up; -1 sleeps for ever. */
static int milliseconds_left(minirpc_time at)
{
	minirpc_time left = at == MINIRPC_NEVER ? 0 : at - now();

	if (at == MINIRPC_NEVER)
		return -1;
	if (left <= 0)
		return 0;
	return left > MINIRPC_S(60) ? 60000 : (int)((left + MINIRPC_MS(1) - 1) / MINIRPC_MS(1));
}

/* One round of the loop; a real one would look after descriptors of its own here, too. */
static int run_once(struct host *host, minirpc_loop *loop)
{
	if (poll(host->fds, SLOTS, milliseconds_left(host->wake_at)) < 0)
		return errno == EINTR ? 0 : -errno;
	for (size_t slot = 0; slot < SLOTS; slot++) {
		short ready = host->fds[slot].revents;

		if (host->watches[slot] == NULL || host->fds[slot].fd < 0 || ready == 0)
			continue;
		minirpc_loop_ready(loop, host->watches[slot],
				   (ready & (POLLIN | POLLHUP | POLLERR) ? MINIRPC_READ : 0) |
					   (ready & (POLLOUT | POLLERR) ? MINIRPC_WRITE : 0));
	}
	minirpc_loop_turn(loop);
	return 0;
}

static void on_reply(const struct minirpc_status *status, const Hello__HelloReply *reply,
		     void *user)
{
	struct host *host = user;

	if (status->code == MINIRPC_OK)
		printf("%s\n", reply->message);
	else
		fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
	host->failed = status->code != MINIRPC_OK;
	host->done = true;
}

int main(int argc, char **argv)
{
	static const struct minirpc_loop_hooks hooks = {
		.watch = watch, .change = change, .unwatch = unwatch, .wake_at = wake_at
	};
	struct host host = { .wake_at = MINIRPC_NEVER };
	Hello__HelloRequest req = { HELLO__HELLO_REQUEST__FIELDS,
				    .name = argc > 2 ? argv[2] : (char *)"world" };
	minirpc_channel *channel = NULL;
	minirpc_loop *loop = NULL;
	int r;

	for (size_t slot = 0; slot < SLOTS; slot++)
		host.fds[slot].fd = -1;
	r = minirpc_loop_new(
		&loop, &(struct minirpc_loop_options){ .hooks = &hooks, .hooks_user = &host });
	if (r == 0)
		r = minirpc_channel_new(&channel, loop, argc > 1 ? argv[1] : "localhost:50051",
					NULL);
	if (r == 0)
		r = hello_greeter_say_hello(
			channel, &req, &(struct minirpc_call_options){ .timeout = MINIRPC_S(5) },
			on_reply, &host);
	while (r == 0 && !host.done)
		r = run_once(&host, loop);

	if (r < 0)
		fprintf(stderr, "foreign_loop: %s\n", strerror(-r));
	minirpc_channel_free(channel);
	minirpc_loop_free(loop);
	return r < 0 || host.failed;
}

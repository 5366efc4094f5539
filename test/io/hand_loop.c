/* SPDX-License-Identifier: MIT */
#include "io/hand_loop.h"

#include <check.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static minirpc_time hand_now(void *user)
{
	return ((const struct hand_loop *)user)->now;
}

void hand_init(struct hand_loop *hand, minirpc_log_fn log)
{
	struct minirpc_loop_hooks hooks = poll_loop_hooks;

	poll_loop_init(&hand->poll);
	hand->now = MINIRPC_S(1000);
	hooks.now = hand_now;
	ck_assert_int_eq(
		minirpc_loop_new(&hand->loop,
				 &(struct minirpc_loop_options){ .hooks = &hooks,
								 .hooks_user = hand,
								 .log = log,
								 .log_level = MINIRPC_LOG_DEBUG }),
		0);
}

void hand_clear(struct hand_loop *hand)
{
	minirpc_loop_free(hand->loop);
}

/* Only what is watched: poll(2) refuses more entries than RLIMIT_NOFILE allows. */
static nfds_t collect(const struct hand_loop *hand, struct pollfd *fds,
		      const struct poll_entry **entries)
{
	nfds_t count = 0;

	for (int i = 0; i < POLL_LOOP_MAX; i++) {
		const struct poll_entry *entry = &hand->poll.entries[i];

		if (entry->fd < 0 || entry->events == 0)
			continue;
		entries[count] = entry;
		fds[count++] = (struct pollfd){
			.fd = entry->fd,
			.events = (short)((entry->events & MINIRPC_READ ? POLLIN : 0) |
					  (entry->events & MINIRPC_WRITE ? POLLOUT : 0))
		};
	}
	return count;
}

static bool turn(struct hand_loop *hand, int timeout)
{
	const struct poll_entry *entries[POLL_LOOP_MAX];
	struct pollfd fds[POLL_LOOP_MAX];
	nfds_t count = collect(hand, fds, entries);
	bool due = hand->poll.wake_at <= hand->now, any = due;

	ck_assert_int_ge(poll(fds, count, due ? 0 : timeout), 0);
	for (nfds_t i = 0; i < count; i++) {
		unsigned ready = 0;

		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			ready |= MINIRPC_READ;
		if (fds[i].revents & (POLLOUT | POLLERR))
			ready |= MINIRPC_WRITE;
		if (ready != 0)
			minirpc_loop_ready(hand->loop, entries[i]->watch, ready);
		any = any || ready != 0;
	}
	minirpc_loop_turn(hand->loop);
	return any;
}

bool hand_turn(struct hand_loop *hand)
{
	return turn(hand, 0);
}

void hand_settle(struct hand_loop *hand)
{
	for (int i = 0; i < 1000 && turn(hand, 0); i++)
		;
}

void hand_until(struct hand_loop *hand, const bool *done)
{
	while (!*done && turn(hand, 20000))
		;
	ck_assert(*done);
}

void hand_advance(struct hand_loop *hand, minirpc_time span)
{
	hand->now += span;
	hand_settle(hand);
}

int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

bool has_ipv6(void)
{
	struct sockaddr_in6 loopback = { .sin6_family = AF_INET6,
					 .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;

	if (fd >= 0)
		close(fd);
	return has;
}

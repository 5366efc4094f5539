/* SPDX-License-Identifier: MIT */
/* Poll loop: the smallest foreign loop, on poll(2), driven by the five hooks. */
#ifndef TEST_IO_POLL_LOOP_H
#define TEST_IO_POLL_LOOP_H

#include <minirpc/loop.h>

#define POLL_LOOP_MAX 24

struct poll_entry {
	int fd; /* -1: free */
	unsigned events;
	minirpc_watch *watch;
};

struct poll_loop {
	struct poll_entry entries[POLL_LOOP_MAX];
	minirpc_time wake_at;
	unsigned wakes_set;
	minirpc_time now; /* a clock turned by hand; 0: the real one */
};

void poll_loop_init(struct poll_loop *poll);
extern const struct minirpc_loop_hooks poll_loop_hooks; /* user: the struct poll_loop */

/* Sleeps once, for 5 seconds at most, and takes a turn. False when nothing came in this time. */
bool poll_loop_once(struct poll_loop *poll, minirpc_loop *loop);

/* With a clock turned by hand: polls and takes turns, without sleeping, until nothing is due. */
void poll_loop_settle(struct poll_loop *poll, minirpc_loop *loop);

#endif

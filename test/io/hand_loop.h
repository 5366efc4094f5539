/* SPDX-License-Identifier: MIT */
/* Hand loop: real descriptors, and a clock that is turned by hand. */
#ifndef TEST_IO_HAND_LOOP_H
#define TEST_IO_HAND_LOOP_H

#include "io/poll_loop.h"

struct hand_loop {
	struct poll_loop poll;
	minirpc_time now;
	minirpc_loop *loop;
};

/* Makes hand->loop; the clock begins at 1000 s. log may be NULL. */
void hand_init(struct hand_loop *hand, minirpc_log_fn log);
void hand_clear(struct hand_loop *hand);

/* One turn, with what is ready now. True when anything was. */
bool hand_turn(struct hand_loop *hand);

/* Turns until nothing is ready and nothing due. The clock stands. */
void hand_settle(struct hand_loop *hand);

/* Waits for descriptors, 20 seconds at most, until *done. The clock stands. */
void hand_until(struct hand_loop *hand, const bool *done);

void hand_advance(struct hand_loop *hand, minirpc_time span);

/* How many descriptors this process has open. */
int open_descriptors(void);

/* False on a machine whose loopback has no ::1. */
bool has_ipv6(void);

#endif

/* SPDX-License-Identifier: MIT */
/* Backoff: how long to wait between attempts to connect [B-1]: 1 s, then 1.6 times as long each
 * time, at most 120 s, each 20 % shorter or longer by chance so that a thousand clients of a server
 * that came back do not all knock at once. */
#ifndef MRPC_CLIENT_BACKOFF_H
#define MRPC_CLIENT_BACKOFF_H

#include "base/random.h"

#include <stdint.h>

struct mrpc_backoff {
	minirpc_time initial, max;
	minirpc_time current; /* the last span before jitter; 0: none yet */
	uint64_t random;      /* state of the generator */
};

/* Zeros: 1 s and 120 s. A max below initial counts as initial. */
void mrpc_backoff_init(struct mrpc_backoff *backoff, minirpc_time initial, minirpc_time max,
		       uint64_t seed);

/* The next span, from the start of the attempt that is about to be made to the start of the one
 * after it, should that one be needed. */
minirpc_time mrpc_backoff_next(struct mrpc_backoff *backoff);

/* random(0.8, 1.2) x span, both ends included; `random` is the generator's state. */
minirpc_time mrpc_jitter(uint64_t *random, minirpc_time span);

/* Success: the next span is the first one again. */
void mrpc_backoff_reset(struct mrpc_backoff *backoff);

/* A seed from the system's generator; from the time when that has none to give. */
uint64_t mrpc_backoff_seed(void);

#endif

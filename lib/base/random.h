/* SPDX-License-Identifier: MIT */
/* Random: numbers for spreading things out, not for secrets. The state is one word that belongs to whoever
 * asks, so that a test can play it again. */
#ifndef MRPC_BASE_RANDOM_H
#define MRPC_BASE_RANDOM_H

#include <minirpc/base.h>

/* The next number of a splitmix64. */
uint64_t mrpc_random_next(uint64_t *random);

/* From span - part to span + part, both included. A span near the end of time keeps its length. */
minirpc_time mrpc_random_spread(uint64_t *random, minirpc_time span, minirpc_time part);

#endif

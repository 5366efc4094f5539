/* SPDX-License-Identifier: MIT */
/* Backoff in whole nanoseconds. */
#include "client/backoff.h"

#include <sys/random.h>
#include <time.h>

void mrpc_backoff_init(struct mrpc_backoff *backoff, minirpc_time initial, minirpc_time max,
		       uint64_t seed)
{
	initial = initial > 0 ? initial : MINIRPC_S(1);
	max = max > 0 ? max : MINIRPC_S(120);
	*backoff = (struct mrpc_backoff){
		.initial = initial,
		.max = max > initial ? max : initial,
		.random = seed,
	};
}

minirpc_time mrpc_jitter(uint64_t *random, minirpc_time span)
{
	return mrpc_random_spread(random, span, span / 5);
}

minirpc_time mrpc_backoff_next(struct mrpc_backoff *backoff)
{
	minirpc_time span = backoff->current;

	if (span == 0)
		span = backoff->initial;
	else if (span > backoff->max / 8 * 5)
		span = backoff->max;
	else
		span = span / 5 * 8 + span % 5 * 8 / 5;
	backoff->current = span;

	return mrpc_jitter(&backoff->random, span);
}

void mrpc_backoff_reset(struct mrpc_backoff *backoff)
{
	backoff->current = 0;
}

uint64_t mrpc_backoff_seed(void)
{
	uint64_t seed;
	struct timespec now;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
		return seed;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_nsec * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)now.tv_sec;
}

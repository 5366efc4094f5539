/* SPDX-License-Identifier: MIT */
#include "base/random.h"

uint64_t mrpc_random_next(uint64_t *random)
{
	uint64_t z = (*random += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

minirpc_time mrpc_random_spread(uint64_t *random, minirpc_time span, minirpc_time part)
{
	if (span > MINIRPC_NEVER / 2)
		return span;
	return span - part + (minirpc_time)(mrpc_random_next(random) % (2 * (uint64_t)part + 1));
}

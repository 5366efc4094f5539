/* SPDX-License-Identifier: MIT */
/* The cases of the interop suite, as its descriptions define them. A case returns true when all was
 * as it should be, otherwise it has said on stderr what was not. */
#ifndef INTEROP_CASES_H
#define INTEROP_CASES_H

#include "talk.h"

struct test_case {
	const char *name;
	bool (*run)(struct client *client);
};

/* Tables that end with an empty entry. */
extern const struct test_case basic_cases[], compressed_cases[], soak_cases[], orca_cases[],
	http2_cases[];

/* Says what is wrong; returns false. */
bool fail_case(const char *format, ...) MINIRPC_PRINTF(1, 2);

/* Did the talk end with this code, without a fault? */
bool ended_with(const struct talk *talk, enum minirpc_code code);

/* Did it bring exactly these bodies, in this order? */
bool brought(const struct talk *talk, const int *sizes, size_t count);

/* large_unary, which many cases are made of. */
bool large_unary(struct client *client);

/* A request for one response. */
#define BODY(size_)                                                                                \
	{                                                                                          \
		(size_t)(size_), (uint8_t *)(uintptr_t)body_zeros                                  \
	}
extern const uint8_t body_zeros[1 << 20];

#endif

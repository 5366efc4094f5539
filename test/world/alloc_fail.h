/* SPDX-License-Identifier: MIT */
/* An allocator that fails on demand. A test that lists world/alloc_fail.c among its sources gets it
 * instead of lib/base/alloc.c; everything the library allocates, nghttp2's and protobuf-c's memory
 * included, passes here. */
#ifndef TEST_WORLD_ALLOC_FAIL_H
#define TEST_WORLD_ALLOC_FAIL_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now (1: the next) fails, and with `forever` every one after it. 0: none
 * fails any more. */
void alloc_fail_at(size_t n, bool forever);

/* Allocations asked for since the last alloc_fail_at, refused ones included. */
size_t alloc_asked(void);

/* Allocations refused since the last alloc_fail_at. */
size_t alloc_refused(void);

/* Blocks, and bytes in them, that are allocated and not freed; the most bytes since
 * alloc_reset_peak. */
size_t alloc_live(void);
size_t alloc_live_bytes(void);
size_t alloc_peak_bytes(void);
void alloc_reset_peak(void);

#endif

/* SPDX-License-Identifier: MIT */
/* grpc-timeout: one to eight digits and a unit of H M S m u n [D-1]. */
#ifndef MRPC_WIRE_TIMEOUT_H
#define MRPC_WIRE_TIMEOUT_H

#include <stddef.h>

#include <minirpc/base.h>

#define MRPC_TIMEOUT_SIZE 10 /* eight digits, unit, NUL */

/* Finest unit whose value has at most eight digits, rounded up; <= 0 is "0n". Returns the length.
 */
size_t mrpc_timeout_format(char text[MRPC_TIMEOUT_SIZE], minirpc_time timeout);

/* grpc-retry-pushback-ms: whole milliseconds, not too early; "-1" below 0. Returns the length. */
#define MRPC_PUSHBACK_SIZE 12
size_t mrpc_pushback_format(char text[MRPC_PUSHBACK_SIZE], minirpc_time after);

/* Returns 0, or -EINVAL (length not 2 to 9, unknown unit, not a digit). Saturates at 2^62
 * nanoseconds. */
int mrpc_timeout_parse(const char *text, size_t len, minirpc_time *ret_timeout);

#endif

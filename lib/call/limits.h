/* SPDX-License-Identifier: MIT */
/* Limits: what zeros in struct minirpc_conn_limits stand for. */
#ifndef MRPC_CALL_LIMITS_H
#define MRPC_CALL_LIMITS_H

#include <minirpc/limits.h>

extern const struct minirpc_conn_limits mrpc_limits_default;

/* Defaults for zeros. Returns 0 or -EINVAL (a value out of range). */
int mrpc_limits_complete(struct minirpc_conn_limits *limits);

#endif

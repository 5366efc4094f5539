/* SPDX-License-Identifier: MIT */
/* Log: one line to the host's sink, made only when it is wanted. */
#ifndef MRPC_BASE_LOG_H
#define MRPC_BASE_LOG_H

#include <minirpc/base.h>

struct mrpc_log {
	minirpc_log_fn fn;
	void *user;
	enum minirpc_log_level level;
};

/* At most 512 bytes, longer lines are cut. Control characters and bytes above 0x7E are written
 * \xNN. log may be NULL. */
void mrpc_log(const struct mrpc_log *log, enum minirpc_log_level level, const char *format, ...)
	MINIRPC_PRINTF(3, 4);

#endif

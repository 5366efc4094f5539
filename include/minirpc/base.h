/* SPDX-License-Identifier: MIT */
/* The words every other header uses: versions, time, bytes and log lines.
 *
 * Times are 64-bit nanoseconds. A point in time is read off a monotonic clock, so that steps of the
 * wall clock never matter; a span is a difference of two points.
 *
 *	struct minirpc_call_options options = { .timeout = MINIRPC_MS(50) };
 *
 * A function that returns int returns 0 or a negative errno value; on failure nothing has changed.
 * How a call ended is another matter, told once by a struct minirpc_status (see status.h). */
#ifndef MINIRPC_BASE_H
#define MINIRPC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MINIRPC_API __attribute__((visibility("default")))
#define MINIRPC_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#else
#define MINIRPC_API
#define MINIRPC_PRINTF(format_at, args_at)
#endif

#define MINIRPC_VERSION_MAJOR 0
#define MINIRPC_VERSION_MINOR 1
#define MINIRPC_VERSION_PATCH 0
#define MINIRPC_VERSION "0.1.0"

/* The version of the library that is linked, "0.1.0"; MINIRPC_VERSION is that of the headers. */
MINIRPC_API const char *minirpc_version(void);

/* Nanoseconds: a point on the monotonic clock, or a span. */
typedef int64_t minirpc_time;

#define MINIRPC_NS(n) ((minirpc_time)(n))
#define MINIRPC_US(n) ((minirpc_time)(n)*1000)
#define MINIRPC_MS(n) ((minirpc_time)(n)*1000000)
#define MINIRPC_S(n) ((minirpc_time)(n)*1000000000)

/* A point in time that never comes: "no deadline". Sums of times saturate well before it. */
#define MINIRPC_NEVER INT64_MAX

/* What a log line is about. The default sink (none) drops everything; see struct
 * minirpc_loop_options. */
enum minirpc_log_level {
	MINIRPC_LOG_ERROR,   /* something of ours went wrong; a person should look */
	MINIRPC_LOG_WARNING, /* a peer or the user did something wrong, loudly insecure settings,
				forgotten calls */
	MINIRPC_LOG_INFO,    /* connections come and go */
	MINIRPC_LOG_DEBUG    /* one line for each call */
};

/* Takes one log line, without a newline, valid during the call. Text that came from a peer is
 * escaped; payloads, credentials and metadata values never appear. It must not call back into the
 * library. */
typedef void (*minirpc_log_fn)(enum minirpc_log_level level, const char *line, void *user);

#ifdef __cplusplus
}
#endif

#endif

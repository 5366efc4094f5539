/* SPDX-License-Identifier: MIT */
/* How a call ended: one of gRPC's seventeen codes, a text for people, and optionally details for
 * programs.
 *
 *	struct minirpc_status status = { 0 };
 *
 *	r = rpc_cache_get_wait(channel, &request, NULL, &response, &status);
 *	if (r == 0 && status.code != MINIRPC_OK)
 *		fprintf(stderr, "%s: %s\n", minirpc_code_name(status.code), status.message);
 *	minirpc_status_clear(&status);
 *
 * A status that reaches an event (on_end) belongs to the library and is valid during the event;
 * copy it to keep it. A status that you fill in to end a call is yours: designated initialisers do,
 * and it may live on the stack. */
#ifndef MINIRPC_STATUS_H
#define MINIRPC_STATUS_H

#include <minirpc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The codes of gRPC, with the numbers that travel in grpc-status (S-1). */
enum minirpc_code {
	MINIRPC_OK = 0,
	MINIRPC_CANCELLED = 1,
	MINIRPC_UNKNOWN = 2,
	MINIRPC_INVALID_ARGUMENT = 3,
	MINIRPC_DEADLINE_EXCEEDED = 4,
	MINIRPC_NOT_FOUND = 5,
	MINIRPC_ALREADY_EXISTS = 6,
	MINIRPC_PERMISSION_DENIED = 7,
	MINIRPC_RESOURCE_EXHAUSTED = 8,
	MINIRPC_FAILED_PRECONDITION = 9,
	MINIRPC_ABORTED = 10,
	MINIRPC_OUT_OF_RANGE = 11,
	MINIRPC_UNIMPLEMENTED = 12,
	MINIRPC_INTERNAL = 13,
	MINIRPC_UNAVAILABLE = 14,
	MINIRPC_DATA_LOSS = 15,
	MINIRPC_UNAUTHENTICATED = 16
};

struct minirpc_status {
	enum minirpc_code code;
	/* UTF-8; NULL or "" when there is none. Never NULL in what the library hands out. */
	const char *message;
	/* A serialized google.rpc.Status (grpc-status-details-bin), or NULL; see
	 * error_details.h. */
	const void *details;
	size_t details_len;
	void *owned; /* for minirpc_status_copy and _clear; leave it 0 */
};

/* "NOT_FOUND" for MINIRPC_NOT_FOUND; "UNKNOWN" for a number that is no code. Never NULL. */
MINIRPC_API const char *minirpc_code_name(enum minirpc_code code);

/* Makes *copy an independent copy of *status, to be cleared with minirpc_status_clear. What *copy
 * held before is forgotten, not freed. Returns 0, or -ENOMEM: then *copy has the code and an empty
 * text, and needs no clearing. */
MINIRPC_API int minirpc_status_copy(struct minirpc_status *copy,
				    const struct minirpc_status *status);

/* Frees what minirpc_status_copy or a _wait call allocated and sets *status to OK. Harmless on a
 * zeroed or a user-filled status. */
MINIRPC_API void minirpc_status_clear(struct minirpc_status *status);

#ifdef __cplusplus
}
#endif

#endif

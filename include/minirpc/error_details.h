/* SPDX-License-Identifier: MIT */
/* Rich errors: a status that says, for programs, what a code and a text cannot. Its details are
 * messages; google.rpc has ten for the usual needs (ErrorInfo, RetryInfo, DebugInfo, QuotaFailure,
 * PreconditionFailure, BadRequest, RequestInfo, ResourceInfo, Help, LocalizedMessage), any other
 * message will do as well. They travel as a google.rpc.Status in grpc-status-details-bin, and every
 * gRPC reads them. [S-8]
 *
 *	#include <google/rpc/error_details.minirpc.h>
 *	#include <minirpc/error_details.h>
 *
 *	// a handler says when to come back
 *	Google__Protobuf__Duration delay = { GOOGLE__PROTOBUF__DURATION__FIELDS, .seconds = 5 };
 *	Google__Rpc__RetryInfo retry = { GOOGLE__RPC__RETRY_INFO__FIELDS, .retry_delay = &delay };
 *
 *	minirpc_call_fail_with(rpc_cache_store_call(call), MINIRPC_RESOURCE_EXHAUSTED, "too busy",
 *			       (const ProtobufCMessage *[]){ &retry.base }, 1);
 *
 *	// a client, in on_done or behind a _wait call
 *	ProtobufCMessage *found;
 *
 *	if (minirpc_status_find(status, &google__rpc__retry_info__descriptor, &found) == 0) {
 *		const Google__Rpc__RetryInfo *retry = (const void *)found;
 *		...
 *		protobuf_c_message_free_unpacked(found, NULL);
 *	}
 *
 * Details share the peer's limit for one block of trailers, 8 KiB with most others: keep them
 * short. examples/rich_errors.c is a server and a client that use them. */
#ifndef MINIRPC_ERROR_DETAILS_H
#define MINIRPC_ERROR_DETAILS_H

#include <minirpc/typed.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As in <google/rpc/status.pb-c.h>. */
typedef struct Google__Rpc__Status Google__Rpc__Status;

/* ---- To write ---- */

/* Server: ends the call with a code, a text (may be NULL) and details, and gives it back in any
 * case. When the details cannot be had the code and the text go alone; the value returned says why:
 * 0; -ENOMEM; -EINVAL (a detail that was never initialised, or a text that is not UTF-8). OK has no
 * details: with it, as with a count of 0, this is minirpc_call_end. */
MINIRPC_API int minirpc_call_fail_with(minirpc_call *call, enum minirpc_code code,
				       const char *message, const ProtobufCMessage *const *details,
				       size_t count);

/* The same status as a value, for minirpc_call_end, minirpc_call_abort or to keep; what *ret_status
 * held before is forgotten. Clear it with minirpc_status_clear. Returns as above; on failure
 * *ret_status has the code and no text, and needs no clearing. */
MINIRPC_API int minirpc_status_make(struct minirpc_status *ret_status, enum minirpc_code code,
				    const char *message, const ProtobufCMessage *const *details,
				    size_t count);

/* ---- To read ---- */

/* Decodes the details of a status, all of them: free *ret_details with
 * google__rpc__status__free_unpacked(details, NULL). It is checked as every message from a peer is
 * (typed.h). Returns 0; -ENOENT (the status has none); -EBADMSG (malformed, or of another code than
 * the status: trust the status alone); -E2BIG (above the budget for decoding); -ENOMEM. */
MINIRPC_API int minirpc_status_details(const struct minirpc_status *status,
				       Google__Rpc__Status **ret_details);

/* Finds the first detail of this type and decodes it: free *ret_message with
 * protobuf_c_message_free_unpacked(message, NULL). Errors as minirpc_status_details; -ENOENT also
 * when no detail has this type. */
MINIRPC_API int minirpc_status_find(const struct minirpc_status *status,
				    const ProtobufCMessageDescriptor *descriptor,
				    ProtobufCMessage **ret_message);

#ifdef __cplusplus
}
#endif

#endif

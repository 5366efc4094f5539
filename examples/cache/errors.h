/* SPDX-License-Identifier: MIT */
/* The cache's errors, each with what a program needs to know besides code and text: which quota, which
 * key, when to come back. cachectl prints them; every other gRPC reads them too. */
#ifndef CACHE_ERRORS_H
#define CACHE_ERRORS_H

#include <minirpc/minirpc.h>

/* Each ends the call and gives it back. */

/* FAILED_PRECONDITION with google.rpc.QuotaFailure. */
void fail_over_quota(minirpc_call *call, const char *account, int64_t max_keys);

/* RESOURCE_EXHAUSTED with google.rpc.RetryInfo: what is stored now may be gone by then. */
void fail_full(minirpc_call *call, const char *why, size_t used, size_t max);

/* NOT_FOUND with google.rpc.ResourceInfo. */
void fail_not_found(minirpc_call *call, const char *key);

/* The code of the failed call to Accounts, with its reason and its details. */
void fail_by_accounts(minirpc_call *call, const struct minirpc_status *status);

/* ---- For clients ---- */

/* Says on stderr what a failed status says: "CODE: text", and a line for each detail. */
void explain_status(const struct minirpc_status *status);

#endif

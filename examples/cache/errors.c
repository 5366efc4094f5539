/* SPDX-License-Identifier: MIT */
/* The server's half of the cache's errors. A detail is a message like any other: fill it in, hand it over. */
#include "errors.h"

#include <google/rpc/error_details.minirpc.h>

#include <inttypes.h>
#include <stdio.h>

#define TEXT_MAX 1200 /* a key has 1024 bytes at most */
#define FULL_RETRY_S 5

void fail_over_quota(minirpc_call *call, const char *account, int64_t max_keys)
{
	char text[TEXT_MAX], subject[TEXT_MAX];
	Google__Rpc__QuotaFailure__Violation violation = {
		GOOGLE__RPC__QUOTA_FAILURE__VIOLATION__FIELDS,
		.subject = subject,
		.description = text,
	};
	Google__Rpc__QuotaFailure quota = {
		GOOGLE__RPC__QUOTA_FAILURE__FIELDS,
		.violations = (Google__Rpc__QuotaFailure__Violation *[]){ &violation },
		.n_violations = 1,
	};

	snprintf(text, sizeof text, "Account %s exceeds max key limit %" PRId64, account, max_keys);
	snprintf(subject, sizeof subject, "account:%s", account);
	minirpc_call_fail_with(call, MINIRPC_FAILED_PRECONDITION, text,
			       (const ProtobufCMessage *[]){ &quota.base }, 1);
}

void fail_full(minirpc_call *call, const char *why, size_t used, size_t max)
{
	char text[TEXT_MAX];
	Google__Protobuf__Duration delay = { GOOGLE__PROTOBUF__DURATION__FIELDS,
					     .seconds = FULL_RETRY_S };
	Google__Rpc__RetryInfo retry = { GOOGLE__RPC__RETRY_INFO__FIELDS, .retry_delay = &delay };

	snprintf(text, sizeof text, "%s: %zu of %zu bytes are in use", why, used, max);
	minirpc_call_fail_with(call, MINIRPC_RESOURCE_EXHAUSTED, text,
			       (const ProtobufCMessage *[]){ &retry.base }, 1);
}

void fail_not_found(minirpc_call *call, const char *key)
{
	char text[TEXT_MAX];
	Google__Rpc__ResourceInfo resource = {
		GOOGLE__RPC__RESOURCE_INFO__FIELDS,
		.resource_type = (char *)"key",
		.resource_name = (char *)(uintptr_t)key,
		.description = (char *)"was never stored",
	};

	snprintf(text, sizeof text, "Key not found %s", key);
	minirpc_call_fail_with(call, MINIRPC_NOT_FOUND, text,
			       (const ProtobufCMessage *[]){ &resource.base }, 1);
}

/* The details say the same code and text as the status [S-8], so ours are made anew around theirs. */
void fail_by_accounts(minirpc_call *call, const struct minirpc_status *status)
{
	char text[TEXT_MAX];
	Google__Rpc__ErrorInfo info = {
		GOOGLE__RPC__ERROR_INFO__FIELDS,
		.reason = (char *)"ACCOUNTS_FAILED",
		.domain = (char *)"rpc.Accounts",
	};

	snprintf(text, sizeof text, "accounts: %s", status->message);
	minirpc_call_fail_with(call, status->code, text, (const ProtobufCMessage *[]){ &info.base },
			       1);
}

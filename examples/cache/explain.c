/* SPDX-License-Identifier: MIT */
/* The client's half of the cache's errors: a status with its details, for people. What it has not heard of it
 * names by its type. */
#include "errors.h"

#include <google/rpc/error_details.minirpc.h>
#include <google/rpc/status.pb-c.h>

#include <stdio.h>
#include <string.h>

static void explain_quota(const void *message)
{
	const Google__Rpc__QuotaFailure *quota = message;

	for (size_t i = 0; i < quota->n_violations; i++)
		fprintf(stderr, "  quota of %s: %s\n", quota->violations[i]->subject,
			quota->violations[i]->description);
}

static void explain_retry(const void *message)
{
	const Google__Rpc__RetryInfo *retry = message;

	if (retry->retry_delay != NULL)
		fprintf(stderr, "  try again in %g s\n",
			(double)retry->retry_delay->seconds +
				(double)retry->retry_delay->nanos / 1e9);
}

static void explain_resource(const void *message)
{
	const Google__Rpc__ResourceInfo *resource = message;

	fprintf(stderr, "  %s %s: %s\n", resource->resource_type, resource->resource_name,
		resource->description);
}

static void explain_info(const void *message)
{
	const Google__Rpc__ErrorInfo *info = message;

	fprintf(stderr, "  reason %s (%s)\n", info->reason, info->domain);
}

static const struct known {
	const ProtobufCMessageDescriptor *descriptor;
	void (*explain)(const void *message);
} known[] = {
	{ &google__rpc__quota_failure__descriptor, explain_quota },
	{ &google__rpc__retry_info__descriptor, explain_retry },
	{ &google__rpc__resource_info__descriptor, explain_resource },
	{ &google__rpc__error_info__descriptor, explain_info },
};

static void explain_detail(const struct minirpc_status *status, const Google__Protobuf__Any *detail)
{
	const char *slash = strrchr(detail->type_url, '/');
	const char *type = slash == NULL ? detail->type_url : slash + 1;
	ProtobufCMessage *message;

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].descriptor->name, type) != 0 ||
		    minirpc_status_find(status, known[i].descriptor, &message) < 0)
			continue;
		known[i].explain(message);
		protobuf_c_message_free_unpacked(message, NULL);
		return;
	}
	fprintf(stderr, "  %s, %zu bytes\n", type, detail->value.len);
}

void explain_status(const struct minirpc_status *status)
{
	Google__Rpc__Status *details;

	fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
	if (minirpc_status_details(status, &details) < 0)
		return;
	for (size_t i = 0; i < details->n_details; i++)
		explain_detail(status, details->details[i]);
	google__rpc__status__free_unpacked(details, NULL);
}

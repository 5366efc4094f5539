/* SPDX-License-Identifier: MIT */
#include "call/status.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *minirpc_code_name(enum minirpc_code code)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return (unsigned)code < sizeof names / sizeof *names ? names[code] : "UNKNOWN";
}

int minirpc_status_copy(struct minirpc_status *copy, const struct minirpc_status *status)
{
	size_t text = status->message == NULL ? 0 : strlen(status->message);
	size_t size;
	char *owned;

	*copy = (struct minirpc_status){ .code = status->code, .message = "" };
	if (!mrpc_add(text + 1, status->details_len, &size))
		return -ENOMEM;
	owned = mrpc_alloc(size);
	if (owned == NULL)
		return -ENOMEM;
	if (text > 0)
		memcpy(owned, status->message, text);
	owned[text] = '\0';
	copy->message = owned;
	copy->owned = owned;
	if (status->details_len > 0) {
		memcpy(owned + text + 1, status->details, status->details_len);
		copy->details = owned + text + 1;
		copy->details_len = status->details_len;
	}
	return 0;
}

void minirpc_status_clear(struct minirpc_status *status)
{
	mrpc_free(status->owned);
	*status = (struct minirpc_status){ .message = "" };
}

static bool is_for_applications(enum minirpc_code code)
{
	switch (code) {
	case MINIRPC_OK:
	case MINIRPC_INVALID_ARGUMENT:
	case MINIRPC_NOT_FOUND:
	case MINIRPC_ALREADY_EXISTS:
	case MINIRPC_FAILED_PRECONDITION:
	case MINIRPC_ABORTED:
	case MINIRPC_OUT_OF_RANGE:
	case MINIRPC_DATA_LOSS:
		return true;
	default:
		return (unsigned)code > MINIRPC_UNAUTHENTICATED;
	}
}

struct minirpc_status mrpc_status_of_control_plane(const struct minirpc_status *status, char *text,
						   size_t size)
{
	const char *message = status->message == NULL ? "" : status->message;

	if (!is_for_applications(status->code))
		return (struct minirpc_status){ .code = status->code, .message = message };
	snprintf(text, size, "control plane failed with %s, which is not for it to say%s%s",
		 minirpc_code_name(status->code), message[0] == '\0' ? "" : ": ", message);
	return (struct minirpc_status){ .code = MINIRPC_INTERNAL, .message = text };
}

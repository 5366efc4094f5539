/* SPDX-License-Identifier: MIT */
/* Retry: another attempt after a failure, as the policy of the method says [R-2, R-5, A6]. See retry.c. */
#ifndef MRPC_CLIENT_RETRY_H
#define MRPC_CLIENT_RETRY_H

#include "call/call.h"

#include <minirpc/service_config.h>

/* What a server said about another attempt. */
enum mrpc_pushback {
	MRPC_PUSHBACK_NONE,
	MRPC_PUSHBACK_AFTER, /* after exactly so long */
	MRPC_PUSHBACK_NEVER
};

enum mrpc_pushback mrpc_pushback_read(const struct minirpc_metadata *trailers,
				      minirpc_time *ret_span);

/* Where a call stands with its policy. */
struct mrpc_retry_plan {
	const struct minirpc_retry_policy *policy;
	unsigned attempts; /* that counted, the one under way included */
	unsigned steps;    /* of the backoff, since the last pushback */
};

/* An attempt that was not committed has failed, and counts. True: another one is due after *ret_span.
 * plan NULL: there is no policy; what the server says is taken note of all the same. */
bool mrpc_retry_plan_next(struct mrpc_retry_plan *plan, minirpc_channel *channel,
			  const struct minirpc_status *status,
			  const struct minirpc_metadata *trailers, minirpc_time *ret_span);

/* Before the call is let go of. */
void mrpc_retry_clear(minirpc_call *call);

/* The attempt of a call of a channel has failed, and counts. True: it rests, or waits for a connection again; false: the status is final. */
bool mrpc_retry_after(minirpc_call *call, const struct minirpc_status *status);

#endif

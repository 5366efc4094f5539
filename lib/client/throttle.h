/* SPDX-License-Identifier: MIT */
/* Throttle: a bucket of tokens for each server name that keeps retries from making an overload worse
 * [R-7, A6]. It begins full; a failure takes a token, a success brings a part of one back; retries and
 * hedges go out only while it is more than half full. First attempts always do.
 *
 *	0 ------------- max / 2 ------------- max
 *	   no retries      |      retries
 *
 * In thousandths of a token, which is as fine as the config can say. */
#ifndef MRPC_CLIENT_THROTTLE_H
#define MRPC_CLIENT_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

struct mrpc_throttle {
	uint32_t max; /* 0: there is none, everything is allowed */
	uint32_t ratio, tokens;
};

/* What the service config says; 0 tokens: no throttle. The first one begins full. The same again
 * changes nothing: a resolver repeats itself. Another one keeps the share that is left: what was learnt
 * of the server is not forgotten because its numbers were tuned. */
void mrpc_throttle_set(struct mrpc_throttle *throttle, double max_tokens, double token_ratio);

void mrpc_throttle_failed(struct mrpc_throttle *throttle);
void mrpc_throttle_succeeded(struct mrpc_throttle *throttle);

static inline bool mrpc_throttle_is_set(const struct mrpc_throttle *throttle)
{
	return throttle->max > 0;
}

/* Whether another attempt may go out. */
static inline bool mrpc_throttle_allows(const struct mrpc_throttle *throttle)
{
	return throttle->max == 0 || throttle->tokens > throttle->max / 2;
}

#endif

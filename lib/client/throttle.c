/* SPDX-License-Identifier: MIT */
#include "client/throttle.h"

#define TOKEN 1000u
#define TOKENS_MAX 1000u /* */

/* Three decimals count. What is written 0.1 is a little more or less than that in a double. */
static uint32_t thousandths(double value, uint32_t max)
{
	double whole = value * TOKEN + 1e-6;

	return whole >= max ? max : whole < 1 ? 1 : (uint32_t)whole;
}

void mrpc_throttle_set(struct mrpc_throttle *throttle, double max_tokens, double token_ratio)
{
	const struct mrpc_throttle before = *throttle;

	*throttle = (struct mrpc_throttle){ 0 };
	if (!(max_tokens > 0))
		return;
	throttle->max = thousandths(max_tokens, TOKENS_MAX * TOKEN);
	throttle->ratio = thousandths(token_ratio, TOKENS_MAX * TOKEN);
	throttle->tokens = throttle->max;
	if (before.max > 0)
		throttle->tokens = (uint32_t)((uint64_t)throttle->max * before.tokens / before.max);
}

void mrpc_throttle_failed(struct mrpc_throttle *throttle)
{
	throttle->tokens = throttle->tokens > TOKEN ? throttle->tokens - TOKEN : 0;
}

void mrpc_throttle_succeeded(struct mrpc_throttle *throttle)
{
	uint32_t room = throttle->max - throttle->tokens;

	throttle->tokens += throttle->ratio < room ? throttle->ratio : room;
}

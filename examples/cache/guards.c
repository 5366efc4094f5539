/* SPDX-License-Identifier: MIT */
/* What stands in front of the handlers, when a server is told so: --max-rate, a bucket of tokens in the
 * admission hook, and --flaky, an interceptor that fails most calls so that retries can be tried. */
#include "guards.h"

/* The talk's tap: asked when a request's headers are in, before anything of it is kept. A bucket holds the
 * calls of one second; who finds it empty is told when to come back. */
enum minirpc_code guards_admit(struct minirpc_admission *request, void *user)
{
	struct guards *guards = user;
	minirpc_time now = minirpc_loop_now(guards->loop);
	double rate = guards->max_rate;

	guards->tokens += (double)(now - guards->filled) / 1e9 * rate;
	guards->filled = now;
	if (guards->tokens > rate)
		guards->tokens = rate;
	if (guards->tokens >= 1) {
		guards->tokens -= 1;
		return MINIRPC_OK;
	}
	request->text = "too many calls a second";
	request->pushback = MINIRPC_S(1) / guards->max_rate + MINIRPC_MS(1);
	return MINIRPC_RESOURCE_EXHAUSTED;
}

static enum minirpc_verdict fail_most(minirpc_hook *hook, const struct minirpc_part *part,
				      void *user)
{
	struct guards *guards = user;

	if (part->kind != MINIRPC_PART_HEADERS || ++guards->calls % guards->flaky == 0)
		return MINIRPC_PASS;
	minirpc_hook_set_status(hook, &(struct minirpc_status){ .code = MINIRPC_UNAVAILABLE,
								.message = "flaky, as asked" });
	return MINIRPC_STOP;
}

const struct minirpc_interceptor guards_flaky = { .name = "flaky", .on_receive = fail_most };

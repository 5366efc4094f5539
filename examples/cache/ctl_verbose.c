/* SPDX-License-Identifier: MIT */
/* cachectl -v: what lies behind a call. On stderr, a line for each state of the channel, each attempt, and each
 * hop that says how long it took (the server's "server-timing" trailer). */
#include "ctl.h"

#include <stdio.h>

static double ms(minirpc_time span)
{
	return (double)span / 1e6;
}

static const char *state_name(enum minirpc_channel_state state)
{
	static const char *const names[] = { "IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE",
					     "SHUTDOWN" };

	return names[state];
}

static void on_state(minirpc_channel *channel, void *user)
{
	struct ctl *ctl = user;

	fprintf(stderr, "* %8.3f ms  channel %s\n", ms(minirpc_loop_now(ctl->loop) - ctl->began),
		state_name(minirpc_channel_state(channel)));
	ctl_verbose_watch(ctl);
}

void ctl_verbose_watch(struct ctl *ctl)
{
	minirpc_channel_watch(ctl->channel, minirpc_channel_state(ctl->channel), on_state, ctl);
}

static void show_attempt(const struct ctl *ctl, unsigned number,
			 const struct minirpc_attempt *attempt)
{
	fprintf(stderr, "* %8.3f ms  attempt %u: %s %s%s%s, %.3f ms%s\n",
		ms(attempt->started - ctl->began), number,
		attempt->peer[0] != '\0' ? attempt->peer : "(no connection)",
		minirpc_code_name(attempt->code), attempt->message[0] != '\0' ? ": " : "",
		attempt->message, ms(attempt->ended - attempt->started),
		attempt->transparent ? " (the server never saw it)" : "");
}

void ctl_verbose_call(const struct ctl *ctl, const minirpc_call *call,
		      const struct minirpc_status *status)
{
	unsigned count = minirpc_call_attempt_count(call);
	const struct minirpc_field *field = NULL;
	struct minirpc_attempt attempt;

	for (unsigned i = 0; i < count; i++)
		if (minirpc_call_attempt(call, i, &attempt))
			show_attempt(ctl, i + 1, &attempt);
	while ((field = minirpc_metadata_find(minirpc_call_trailers(call), "server-timing",
					      field)) != NULL)
		fprintf(stderr, "*              hop %s\n", (const char *)field->value);
	fprintf(stderr, "* %8.3f ms  %s%s %s\n", ms(minirpc_loop_now(ctl->loop) - ctl->began),
		minirpc_call_path(call), minirpc_call_is_secure(call) ? " over TLS" : "",
		minirpc_code_name(status->code));
}

/* SPDX-License-Identifier: MIT */
/* Attempts: what became of those that another one followed, for whoever asks. The last one is not in
 * the list: it is the call itself.
 *
 * In the call's arena, which only grows: of the transparent ones, whose number has no limit, a
 * few are kept. */
#include "base/arena.h"
#include "call/call.h"

#include <string.h>

#define TRANSPARENT_KEPT 4u
#define TEXT_KEPT 512u /* bytes of a message */

struct mrpc_attempt {
	struct mrpc_attempt *next;
	struct minirpc_attempt is;
};

static const char *keep(struct minirpc_call *call, const char *text, size_t len)
{
	const char *copy;

	if (len == 0)
		return "";
	copy = mrpc_arena_strndup(&call->arena, text, len);
	return copy == NULL ? "" : copy;
}

/* Attempts mostly go to the same few peers; a call that starts over again and again must not grow. */
const char *mrpc_call_keep_peer(struct minirpc_call *call)
{
	if (call->peer[0] == '\0')
		return "";
	if (call->kept_peer == NULL || strcmp(call->kept_peer, call->peer) != 0)
		call->kept_peer = keep(call, call->peer, strlen(call->peer));
	return call->kept_peer;
}

void mrpc_call_note_attempt(struct minirpc_call *call, const struct minirpc_status *status,
			    bool transparent)
{
	struct mrpc_attempt *attempt, **at = &call->past;
	const char *text = status->message == NULL ? "" : status->message;

	if (transparent && call->past_transparent >= TRANSPARENT_KEPT)
		return;
	attempt = mrpc_arena_alloc(&call->arena, sizeof *attempt);
	if (attempt == NULL) /* then it is not seen */
		return;
	attempt->is = (struct minirpc_attempt){
		.code = status->code,
		.message = keep(call, text, strnlen(text, TEXT_KEPT)),
		.peer = mrpc_call_keep_peer(call),
		.started = call->attempt_started,
		.ended = *call->place.now,
		.transparent = transparent,
	};
	while (*at != NULL)
		at = &(*at)->next;
	*at = attempt;
	call->past_count++;
	if (transparent)
		call->past_transparent++;
}

bool mrpc_call_has_tried(const struct minirpc_call *call, const char *peer)
{
	for (const struct mrpc_attempt *attempt = call->past; attempt != NULL; attempt = attempt->next)
		if (strcmp(attempt->is.peer, peer) == 0)
			return true;
	return false;
}

/* One that ended while it rested had no attempt under way. */
static bool shows_last(const struct minirpc_call *call)
{
	return call->role == MRPC_CLIENT && call->told_end && !call->resting;
}

unsigned minirpc_call_attempt_count(const minirpc_call *call)
{
	return call->past_count + (shows_last(call) ? 1 : 0);
}

bool minirpc_call_attempt(const minirpc_call *call, unsigned index,
			  struct minirpc_attempt *ret_attempt)
{
	const struct mrpc_attempt *attempt = call->past;

	if (index >= minirpc_call_attempt_count(call))
		return false;
	if (index == call->past_count) {
		*ret_attempt = (struct minirpc_attempt){
			.code = call->in_status.code,
			.message = call->in_status.message == NULL ? "" : call->in_status.message,
			.peer = call->peer,
			.started = call->attempt_started,
			.ended = call->ended,
		};
		return true;
	}
	for (; index > 0; index--)
		attempt = attempt->next;
	*ret_attempt = attempt->is;
	return true;
}

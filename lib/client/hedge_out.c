/* SPDX-License-Identifier: MIT */
/* Hedge, outward: the requests, from the call's out lane to those of its attempts.
 *
 * Messages are taken from the call's out lane when the attempt that is ahead of all has room for
 * one more, so the send rule is that of the slowest link of the fastest attempt. They are kept until one
 * attempt is chosen, and each attempt is given copies:
 *
 *	kept:  [M] -> [M] -> [M] -> [M]
 *	              ^next of 1    ^next of 0: it has all but one
 *
 * What no longer fits into the replay buffer makes us choose the attempt that has sent most [A6]. Once
 * chosen, messages go from lane to lane as they are. */
#include "client/hedge.h"

#include "client/channel.h"

#include <errno.h>
#include <string.h>

/* ---- The messages kept ---- */

static size_t weight(const struct mrpc_part *part)
{
	return MRPC_PREFIX + part->len;
}

void mrpc_hedge_drop_kept(struct mrpc_hedge *hedge, const struct mrpc_part *until)
{
	while (hedge->kept != until) {
		struct mrpc_part *part = hedge->kept;

		hedge->kept = part->next;
		mrpc_part_free(part);
	}
	if (hedge->kept == NULL)
		hedge->last_kept = NULL;
}

/* Within the call's limit and that of all calls together, where it counts as the call's own. */
static bool may_keep(struct mrpc_hedge *hedge, const struct mrpc_part *part)
{
	minirpc_call *call = hedge->call;
	struct mrpc_replay *replay = call->replay;

	if (hedge->kept_bytes + part->len > call->max_replay ||
	    weight(part) > replay->max - replay->held)
		return false;
	hedge->kept_bytes += weight(part);
	call->replay_held += weight(part);
	replay->held += weight(part);
	return true;
}

static void keep(struct mrpc_hedge *hedge, struct mrpc_part *part)
{
	part->next = NULL;
	if (hedge->kept == NULL)
		hedge->kept = part;
	else
		hedge->last_kept->next = part;
	hedge->last_kept = part;
	for (unsigned i = 0; i < hedge->count; i++)
		if (hedge->attempts[i].next == NULL)
			hedge->attempts[i].next = part;
}

/* ---- From lane to lane ---- */

static struct mrpc_part *copy_part(const minirpc_call *call, struct mrpc_part *part)
{
	struct mrpc_part *copy = mrpc_part_new(call->place.pool, part->len);

	if (copy == NULL)
		return NULL;
	copy->compressed = part->compressed;
	if (part->len > 0)
		memcpy(mrpc_part_data(copy), mrpc_part_data(part), part->len);
	return copy;
}

/* An attempt that is over takes nothing, and will tell. */
static void give(struct mrpc_hedge_attempt *attempt, struct mrpc_part *part)
{
	attempt->given++;
	if (mrpc_call_give(attempt->call, part) < 0)
		mrpc_part_free(part);
}

/* Returns 0 or -ENOMEM. */
static int give_next(struct mrpc_hedge_attempt *attempt)
{
	struct mrpc_hedge *hedge = attempt->hedge;
	struct mrpc_part *part = attempt->next;

	if (hedge->winner == attempt) { /* it is the first one kept, and for nobody else */
		hedge->kept = attempt->next = part->next;
		if (hedge->kept == NULL)
			hedge->last_kept = NULL;
	} else {
		attempt->next = part->next;
		part = copy_part(hedge->call, part);
		if (part == NULL)
			return -ENOMEM;
	}
	give(attempt, part);
	return 0;
}

/* Hands out what is kept. Returns 0 or -ENOMEM. */
static int catch_up(struct mrpc_hedge *hedge)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < hedge->count; i++) {
		struct mrpc_hedge_attempt *attempt = &hedge->attempts[i];

		if (attempt->call == NULL)
			continue;
		while (r == 0 && attempt->next != NULL && mrpc_call_has_room(attempt->call))
			r = give_next(attempt);
		if (hedge->ended && attempt->next == NULL && !attempt->ended) {
			attempt->ended = true;
			minirpc_call_end(attempt->call, NULL);
		}
	}
	return r;
}

/* One that has all that is kept, and could take more; NULL: none. */
static struct mrpc_hedge_attempt *hungry(struct mrpc_hedge *hedge)
{
	for (unsigned i = 0; i < hedge->count; i++) {
		struct mrpc_hedge_attempt *attempt = &hedge->attempts[i];

		if (attempt->call != NULL && attempt->next == NULL &&
		    mrpc_call_has_room(attempt->call))
			return attempt;
	}
	return NULL;
}

/* On which most messages have been sent [A6]: those that have been given more; of equals the one with less
 * waiting. */
static struct mrpc_hedge_attempt *ahead_of_all(struct mrpc_hedge *hedge)
{
	struct mrpc_hedge_attempt *best = NULL;

	for (unsigned i = 0; i < hedge->count; i++) {
		struct mrpc_hedge_attempt *attempt = &hedge->attempts[i];

		if (attempt->call == NULL)
			continue;
		if (best == NULL || attempt->given > best->given ||
		    (attempt->given == best->given &&
		     attempt->call->out.unread < best->call->out.unread))
			best = attempt;
	}
	return best;
}

/* One message from the call's lane. */
static void take_message(struct mrpc_hedge *hedge, struct mrpc_hedge_attempt *attempt)
{
	struct mrpc_part *part = mrpc_lane_peek(&hedge->call->out);

	if (hedge->winner == NULL && !may_keep(hedge, part)) {
		hedge->channel->counts.overflowed_replays++;
		attempt = ahead_of_all(hedge);
		mrpc_hedge_choose(attempt);
	}
	if (hedge->winner != NULL && attempt->next == NULL)
		give(attempt, mrpc_lane_take(&hedge->call->out));
	else
		keep(hedge, mrpc_lane_take(&hedge->call->out));
}

int mrpc_hedge_feed(struct mrpc_hedge *hedge)
{
	struct mrpc_lane *out = &hedge->call->out;

	for (;;) {
		struct mrpc_hedge_attempt *attempt;
		const struct mrpc_part *part;
		int r = catch_up(hedge);

		if (r < 0)
			return r;
		attempt = hungry(hedge);
		part = mrpc_lane_peek(out);
		if (attempt == NULL || part == NULL || out->was_cut)
			return 0;
		if (part->kind == MRPC_MESSAGE) {
			take_message(hedge, attempt);
		} else {
			if (part->kind == MRPC_END)
				hedge->ended = true;
			mrpc_lane_next(out);
		}
	}
}

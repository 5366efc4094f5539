/* SPDX-License-Identifier: MIT */
/* Lane: one direction of a call, a queue of parts with gRPC's grammar (headers? message* end). See
 * lane.c. */
#ifndef MRPC_CALL_LANE_H
#define MRPC_CALL_LANE_H

#include "base/turn.h"
#include "call/part.h"

enum mrpc_lane_state {
	MRPC_LANE_IDLE, /* nothing pushed */
	MRPC_LANE_OPEN, /* headers or a message pushed */
	MRPC_LANE_ENDED /* end pushed, or cut */
};

struct mrpc_lane {
	struct mrpc_turn *turn;
	struct mrpc_task *reader; /* woken by push, end, cut; may be NULL */
	struct mrpc_task *writer; /* woken when room appears after a refusal, when credit is due,
				     and when all is read that it waits for; may be NULL */
	struct mrpc_part *head;   /* first part kept */
	struct mrpc_part *tail;
	struct mrpc_part *cursor; /* next part to read; NULL: none */
	size_t unread;            /* bytes of messages from the cursor on, prefixes included */
	size_t kept;              /* bytes of messages before the cursor (retained only) */
	size_t limit;      /* send rule: no message is taken while unread >= limit; 0: no limit */
	size_t taken;      /* credit of the parts read since mrpc_lane_credit was asked */
	unsigned messages; /* messages pushed, saturating at 2 (for cardinality) */
	enum mrpc_lane_state state;
	bool retained; /* keep parts behind the cursor for a rewind */
	bool refused;  /* a message was refused: the writer wants to hear of room */
	bool awaited;  /* the writer wants to hear when everything has been read */
	bool was_cut;  /* ended by mrpc_lane_cut: whoever reads must not finish politely */
	bool over;     /* the end has been read */
	bool lent;     /* the reader has borrowed a message */
	struct mrpc_part headers, end; /* embedded, so that beginning and ending never allocate */
};

void mrpc_lane_init(struct mrpc_lane *lane, struct mrpc_turn *turn);
void mrpc_lane_clear(struct mrpc_lane *lane); /* frees the parts */

/* ---- Writer ---- */

/* Headers first, once. Returns 0 or -EPROTO. What is in them is the call's business. */
int mrpc_lane_push_headers(struct mrpc_lane *lane);

/* True when the send rule would take a message now. Otherwise notes that the writer waits. */
bool mrpc_lane_has_room(struct mrpc_lane *lane);

/* Takes ownership of the part unless it fails. Returns 0 or -EPIPE (ended). Does not look at the
 * limit. */
int mrpc_lane_push(struct mrpc_lane *lane, struct mrpc_part *part);

/* The end, after everything pushed before. Returns 0 or -EPIPE (ended already). */
int mrpc_lane_end(struct mrpc_lane *lane);

/* Ends now: what is unread is dropped, the end is the next part to read. Harmless on a lane whose
 * end was read; a lane that has ended but is not read to its end loses what is left. */
void mrpc_lane_cut(struct mrpc_lane *lane);

/* Bytes that the reader took since the last time; forgets them. */
size_t mrpc_lane_credit(struct mrpc_lane *lane);

/* ---- Reader ---- */

/* The part at the cursor, or NULL. */
struct mrpc_part *mrpc_lane_peek(const struct mrpc_lane *lane);

/* Moves the cursor over that part, which is freed unless the lane is retained; counts it as taken.
 */
void mrpc_lane_next(struct mrpc_lane *lane);

/* The credit of that message goes back now, and not when it is read: the reader waits for what comes
 * behind it. */
void mrpc_lane_give_back(struct mrpc_lane *lane);

/* Moves the cursor over that message and gives it to the caller, who frees it. Not while retained.
 */
struct mrpc_part *mrpc_lane_take(struct mrpc_lane *lane);

/* As take, but the message counts as unread for its writer (credit, `awaited`) until it is settled. One at
 * a time. */
struct mrpc_part *mrpc_lane_borrow(struct mrpc_lane *lane);
void mrpc_lane_settle(struct mrpc_lane *lane, const struct mrpc_part *part);

/* For a writer that is fed from another lane, whose parts it pushed on, credit and all: so much of it has been
 * read at the end of the line; `all`: and nothing is left there. Until then that lane counts as lent. */
void mrpc_lane_repay(struct mrpc_lane *lane, size_t credit, bool all);

/* True once the end has been read. */
bool mrpc_lane_is_over(const struct mrpc_lane *lane);

/* ---- Retry ---- */

void mrpc_lane_retain(struct mrpc_lane *lane); /* before anything is read */
void mrpc_lane_rewind(struct mrpc_lane *lane); /* cursor back to the head; wakes the reader */
void mrpc_lane_commit(
	struct mrpc_lane *lane); /* no rewind any more: drops what is behind the cursor */

#endif

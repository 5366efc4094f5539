/* SPDX-License-Identifier: MIT */
/* Lane: one direction of a call, a queue of parts with gRPC's grammar (headers? message* end).
 *
 * The writer pushes; the reader moves a cursor over the parts. Parts behind the cursor are dropped,
 * unless the lane is retained for a retry: then they stay until it is committed, and the cursor may
 * be rewound.
 *
 *      head          cursor        tail
 *       v              v             v
 *     [H] -> [M] -> [M] -> [M] -> [END]
 *      kept if retained   still to be read
 *
 * Headers and end live inside the lane, so that neither beginning nor ending one needs memory.
 *
 * A lane knows nothing of clients, servers, HTTP/2 or memory limits; see call.c and h2/conn_out.c
 * for those. */
#include "call/lane.h"

#include <assert.h>
#include <errno.h>

void mrpc_lane_init(struct mrpc_lane *lane, struct mrpc_turn *turn)
{
	*lane = (struct mrpc_lane){
		.turn = turn,
		.headers = { .kind = MRPC_HEADERS, .embedded = true },
		.end = { .kind = MRPC_END, .embedded = true },
	};
}

/* Frees the parts from `from` up to, not including, `to`. */
static void drop(struct mrpc_part *from, const struct mrpc_part *to)
{
	struct mrpc_part *next;

	for (; from != to; from = next) {
		next = from->next;
		mrpc_part_free(from);
	}
}

void mrpc_lane_clear(struct mrpc_lane *lane)
{
	drop(lane->head, NULL);
	lane->head = lane->tail = lane->cursor = NULL;
	lane->unread = lane->kept = 0;
}

static void wake_reader(struct mrpc_lane *lane)
{
	if (lane->reader != NULL)
		mrpc_turn_wake(lane->turn, lane->reader);
}

static void wake_writer(struct mrpc_lane *lane)
{
	if (lane->writer != NULL)
		mrpc_turn_wake(lane->turn, lane->writer);
}

/* An empty message costs memory too, and its prefix on the wire: a writer of nothing but those must meet the
 * limit as any other. */
static size_t weight(const struct mrpc_part *part)
{
	return MRPC_PREFIX + part->len;
}

static bool accepts(const struct mrpc_lane *lane, enum mrpc_part_kind kind)
{
	switch (lane->state) {
	case MRPC_LANE_IDLE:
		return kind != MRPC_MESSAGE;
	case MRPC_LANE_OPEN:
		return kind != MRPC_HEADERS;
	case MRPC_LANE_ENDED:
		break;
	}
	return false;
}

static void append(struct mrpc_lane *lane, struct mrpc_part *part)
{
	part->next = NULL;
	if (lane->head == NULL)
		lane->head = part;
	else
		lane->tail->next = part;
	lane->tail = part;
	if (lane->cursor == NULL)
		lane->cursor = part;
	wake_reader(lane);
}

int mrpc_lane_push_headers(struct mrpc_lane *lane)
{
	if (!accepts(lane, MRPC_HEADERS))
		return -EPROTO;
	lane->state = MRPC_LANE_OPEN;
	append(lane, &lane->headers);
	return 0;
}

bool mrpc_lane_has_room(struct mrpc_lane *lane)
{
	if (lane->limit == 0 || lane->unread < lane->limit)
		return true;
	lane->refused = true;
	return false;
}

int mrpc_lane_push(struct mrpc_lane *lane, struct mrpc_part *part)
{
	assert(part->kind == MRPC_MESSAGE);
	if (!accepts(lane, MRPC_MESSAGE))
		return -EPIPE;
	lane->unread += weight(part);
	if (lane->messages < 2)
		lane->messages++;
	append(lane, part);
	return 0;
}

int mrpc_lane_end(struct mrpc_lane *lane)
{
	if (!accepts(lane, MRPC_END))
		return -EPIPE;
	lane->state = MRPC_LANE_ENDED;
	append(lane, &lane->end);
	return 0;
}

void mrpc_lane_cut(struct mrpc_lane *lane)
{
	if (lane->over)
		return;
	mrpc_lane_clear(lane);
	lane->retained = false;
	lane->was_cut = true;
	lane->state = MRPC_LANE_ENDED;
	append(lane, &lane->end);
}

size_t mrpc_lane_credit(struct mrpc_lane *lane)
{
	size_t taken = lane->taken;

	lane->taken = 0;
	return taken;
}

struct mrpc_part *mrpc_lane_peek(const struct mrpc_lane *lane)
{
	return lane->cursor;
}

/* A writer that was refused hears of room when half of it is there, not for every message. */
static void tell_room(struct mrpc_lane *lane)
{
	if (lane->refused && lane->unread <= lane->limit / 2) {
		lane->refused = false;
		wake_writer(lane);
	}
}

void mrpc_lane_give_back(struct mrpc_lane *lane)
{
	struct mrpc_part *part = lane->cursor;

	if (part->credit == 0)
		return;
	lane->taken += part->credit;
	part->credit = 0;
	wake_writer(lane);
}

/* A message has been read: whoever writes may wait for that. */
static void passed_message(struct mrpc_lane *lane, const struct mrpc_part *part)
{
	lane->unread -= weight(part);
	if (lane->retained)
		lane->kept += weight(part);
	if (part->credit > 0) {
		lane->taken += part->credit;
		wake_writer(lane);
	}
	tell_room(lane);
	if (lane->awaited && lane->cursor == NULL) {
		lane->awaited = false;
		wake_writer(lane);
	}
}

static struct mrpc_part *move_cursor(struct mrpc_lane *lane)
{
	struct mrpc_part *part = lane->cursor;

	assert(part != NULL);
	lane->cursor = part->next;
	if (!lane->retained) {
		lane->head = part->next;
		if (lane->head == NULL)
			lane->tail = NULL;
	}
	return part;
}

static struct mrpc_part *advance(struct mrpc_lane *lane)
{
	struct mrpc_part *part = move_cursor(lane);

	if (part->kind == MRPC_MESSAGE)
		passed_message(lane, part);
	else if (part->kind == MRPC_END)
		lane->over = true;
	return part;
}

void mrpc_lane_next(struct mrpc_lane *lane)
{
	struct mrpc_part *part = advance(lane);

	if (!lane->retained)
		mrpc_part_free(part);
}

struct mrpc_part *mrpc_lane_take(struct mrpc_lane *lane)
{
	assert(!lane->retained && lane->cursor->kind == MRPC_MESSAGE);
	return advance(lane);
}

struct mrpc_part *mrpc_lane_borrow(struct mrpc_lane *lane)
{
	struct mrpc_part *part;

	assert(!lane->retained && lane->cursor->kind == MRPC_MESSAGE);
	part = move_cursor(lane);
	lane->unread -= weight(part);
	tell_room(lane);
	lane->lent = true;
	return part;
}

void mrpc_lane_settle(struct mrpc_lane *lane, const struct mrpc_part *part)
{
	bool heard = part->credit > 0 || (lane->awaited && lane->cursor == NULL);

	lane->lent = false;
	lane->taken += part->credit;
	if (lane->cursor == NULL)
		lane->awaited = false;
	if (heard)
		wake_writer(lane);
}

void mrpc_lane_repay(struct mrpc_lane *lane, size_t credit, bool all)
{
	bool heard = credit > 0 || (all && lane->awaited && lane->cursor == NULL);

	lane->taken += credit;
	if (all) {
		lane->lent = false;
		if (lane->cursor == NULL)
			lane->awaited = false;
	}
	if (heard)
		wake_writer(lane);
}

bool mrpc_lane_is_over(const struct mrpc_lane *lane)
{
	return lane->over;
}

void mrpc_lane_retain(struct mrpc_lane *lane)
{
	assert(lane->head == lane->cursor);
	lane->retained = true;
}

void mrpc_lane_rewind(struct mrpc_lane *lane)
{
	assert(lane->retained);
	lane->unread += lane->kept;
	lane->kept = 0;
	lane->cursor = lane->head;
	lane->over = false;
	if (lane->cursor != NULL)
		wake_reader(lane);
}

void mrpc_lane_commit(struct mrpc_lane *lane)
{
	if (!lane->retained)
		return;
	lane->retained = false;
	drop(lane->head, lane->cursor);
	lane->head = lane->cursor;
	if (lane->head == NULL)
		lane->tail = NULL;
	lane->kept = 0;
}

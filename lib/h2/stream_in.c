/* SPDX-License-Identifier: MIT */
/* Stream, inward: from the bytes of DATA frames to messages in the in lane, and the credit for them.
 *
 *	DATA --> deframer --> in lane --> reader (call/deliver.c, which inflates)
 *	   \                    ^
 *	    `--> backlog -------'      when the reader is far behind
 *
 * A message in the lane costs a block of its own, at least a dozen times what an empty one takes on
 * the wire. So only so many wait there; what comes after stays as bytes, and the window bounds it. */
#include "h2/inside.h"

#include <errno.h>

#define CROWD 1024u /* messages in the lane */

/* ---- Credit ---- */

/* Nothing undelivered lies before the message under assembly. */
static bool is_first(const struct minirpc_call *call)
{
	if (call->in.lent)
		return false;
	return call->in.cursor == NULL || call->in.tail->kind == MRPC_HEADERS;
}

/* ---- Large messages ----
 *
 * A message that is larger than the window needs credit beyond it before anybody has read a byte. If all
 * calls of a connection got that, they could hold the largest message each. So such a message asks for its
 * whole length of the connection's `assembly` first, and waits in the crowd, with what its window let in,
 * until there is that much: those that were let in can always come to their end. */

static bool is_large(const struct mrpc_stream *stream)
{
	const struct mrpc_deframer *deframer = &stream->deframer;

	return deframer->part != NULL &&
	       deframer->announced >= stream->conn->limits.stream_window / 2;
}

static bool may_come_in(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	size_t whole = MRPC_PREFIX + (size_t)stream->deframer.announced;

	if (stream->assembly > 0 || !is_large(stream))
		return true;
	if (conn->assembly > 0 && conn->assembly + whole > conn->limits.max_assembly) {
		if (!mrpc_list_is_linked(&stream->wait_node))
			mrpc_list_push(&conn->crowd, &stream->wait_node);
		return false;
	}
	conn->assembly += whole;
	stream->assembly = whole;
	stream->deframer.ahead = SIZE_MAX;
	return true;
}

/* The message is complete, or will never be. Whoever waits may try again. */
static void leave_assembly(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	struct mrpc_list *node;

	if (stream->assembly == 0)
		return;
	conn->assembly -= stream->assembly;
	stream->assembly = 0;
	stream->deframer.ahead = conn->limits.stream_window;
	while ((node = mrpc_list_pop(&conn->crowd)) != NULL)
		mrpc_turn_wake(conn->place.turn,
			       &mrpc_container(node, struct mrpc_stream, wait_node)->task);
}

/* Credit of a message under assembly goes back as it arrives, if the reader waits for it: a message
 * larger than the window must pass. While others lie before it, the lane tells us when they have
 * been read: their own credit may be held back, and the peer may have none left. */
static void advance_credit(struct mrpc_stream *stream)
{
	const struct mrpc_deframer *deframer = &stream->deframer;
	size_t here = deframer->prefix_len + (deframer->part == NULL ? 0 : deframer->part->len);

	if (stream->call == NULL || here <= stream->advanced)
		return;
	if (!is_first(stream->call)) {
		stream->call->in.awaited = true;
		return;
	}
	if (!may_come_in(stream))
		return;
	stream->credit += here - stream->advanced;
	stream->advanced = here;
}

/* Small amounts are held back, so that a call whose messages are small against the window costs no
 * second look at all. */
static void set_credit(struct mrpc_stream *stream, struct mrpc_part *part)
{
	stream->held += MRPC_PREFIX + part->len - stream->advanced;
	stream->advanced = 0;
	leave_assembly(stream);
	if (stream->held >= stream->conn->limits.stream_window / 8) {
		part->credit = stream->held;
		stream->held = 0;
	}
}

static void give_credit(struct mrpc_stream *stream)
{
	size_t credit;

	stream->credit += mrpc_lane_credit(&stream->call->in);
	advance_credit(stream);
	credit = stream->credit;
	stream->credit = 0;
	if (credit == 0 || stream->peer_done || stream->closed)
		return;
	if (nghttp2_session_consume_stream(stream->conn->session, stream->id, credit) ==
	    NGHTTP2_ERR_NOMEM)
		mrpc_conn_fatal(stream->conn, NGHTTP2_ERR_NOMEM);
}

/* ---- Messages ---- */

static bool accepts(const struct mrpc_stream *stream)
{
	return stream->call != NULL && (stream->due & (MRPC_DUE_FAIL | MRPC_DUE_END)) == 0;
}

static void fail_message(struct mrpc_stream *stream, int error)
{
	switch (error) {
	case -EMSGSIZE:
		MRPC_COUNT(stream->conn, refused_messages, 1);
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED,
				 "message larger than the limit"); /* S-7 */
		break;
	case -EPROTO:
		mrpc_stream_fail(stream, MINIRPC_INTERNAL, "malformed message prefix"); /* W-13 */
		break;
	default:
		if (mrpc_pool_was_refused(stream->conn->place.pool)) {
			MRPC_COUNT(stream->conn, refused_memory, 1);
			mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, MRPC_QUOTA_TEXT);
		} else {
			mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
		}
		break;
	}
}

/* False: the stream takes no more. */
static bool take_message(struct mrpc_stream *stream, struct mrpc_part *part)
{
	mrpc_guard_message(&stream->conn->guard);
	if (part->compressed && stream->call->in_compressor == NULL) { /* C-2 */
		mrpc_part_free(part);
		mrpc_stream_fail(stream, MINIRPC_INTERNAL,
				 "compressed message without an encoding");
		return false;
	}
	set_credit(stream, part);
	stream->row++;
	MRPC_COUNT(stream->conn, messages_received, 1);
	if (mrpc_call_received_message(stream->call, part) < 0) {
		mrpc_part_free(part);
		return false;
	}
	return true;
}

/* The lane tells us when all of them have been read. */
static bool is_crowded(struct mrpc_stream *stream)
{
	if (is_first(stream->call))
		stream->row = 0;
	if (stream->row < CROWD)
		return false;
	stream->call->in.awaited = true;
	return true;
}

/* Cuts messages out of the bytes until there are none, or (unless all must go) the lane is crowded.
 */
static void deframe(struct mrpc_stream *stream, const uint8_t **data, size_t *len, bool all)
{
	struct mrpc_part *part;
	int r;

	while (*len > 0 && accepts(stream) && (all || !is_crowded(stream))) {
		r = mrpc_deframer_feed(&stream->deframer, data, len, &part);
		if (r < 0)
			fail_message(stream, r);
		else if (part != NULL && !take_message(stream, part))
			return;
	}
}

/* What is kept here counts like the messages it will be. */
static int append_backlog(struct mrpc_stream *stream, const uint8_t *data, size_t len)
{
	struct mrpc_buf *backlog = &stream->backlog;
	size_t before = backlog->capacity;
	int r = mrpc_buf_append(backlog, data, len);
	bool fits;

	if (backlog->capacity == before)
		return r;
	fits = mrpc_pool_charge(stream->conn->place.pool, backlog->capacity - before);
	if (!fits)
		mrpc_pool_charge_anyway(stream->conn->place.pool, backlog->capacity - before);
	return fits ? r : -ENOMEM;
}

static void clear_backlog(struct mrpc_stream *stream)
{
	if (stream->backlog.capacity == 0)
		return;
	mrpc_pool_discharge(stream->conn->place.pool, stream->backlog.capacity);
	mrpc_buf_clear(&stream->backlog);
}

void mrpc_stream_clear_input(struct mrpc_stream *stream)
{
	mrpc_list_remove(&stream->wait_node);
	leave_assembly(stream);
	mrpc_deframer_clear(&stream->deframer);
	clear_backlog(stream);
}

void mrpc_stream_receive(struct mrpc_stream *stream, const uint8_t *data, size_t len)
{
	if (mrpc_buf_len(&stream->backlog) == 0)
		deframe(stream, &data, &len, false);
	if (!accepts(stream))
		return;
	if (len > 0) {
		mrpc_guard_message(&stream->conn->guard); /* there may be some in it */
		if (append_backlog(stream, data, len) < 0)
			fail_message(stream, -ENOMEM);
		return;
	}
	advance_credit(stream);
	if (stream->credit > 0)
		mrpc_turn_wake(stream->conn->place.turn, &stream->task);
}

/* ---- The backlog ---- */

bool mrpc_stream_end_must_wait(struct mrpc_stream *stream)
{
	if (mrpc_buf_len(&stream->backlog) > 0)
		stream->end_waits = true;
	return stream->end_waits;
}

/* The end that came behind the backlog. */
static void take_end(struct mrpc_stream *stream)
{
	stream->end_waits = false;
	if (stream->conn->role == MRPC_SERVER) {
		mrpc_request_half_close(stream);
		return;
	}
	if (stream->status.code == MINIRPC_OK && mrpc_deframer_is_partial(&stream->deframer))
		stream->status = (struct minirpc_status){ .code = MINIRPC_INTERNAL, /* W-14 */
							  .message = "truncated message" };
	mrpc_stream_due(stream, MRPC_DUE_END | (stream->closed ? MRPC_DUE_CLOSED : 0));
}

static void drain(struct mrpc_stream *stream, bool all)
{
	const uint8_t *data = mrpc_buf_bytes(&stream->backlog);
	size_t there = mrpc_buf_len(&stream->backlog), left = there;

	deframe(stream, &data, &left, all);
	if (!accepts(stream)) {
		clear_backlog(stream);
		stream->end_waits = false;
		if (stream->closed)
			mrpc_stream_due(stream, MRPC_DUE_CLOSED);
		return;
	}
	mrpc_buf_consume(&stream->backlog, there - left);
	if (left > 0)
		return;
	clear_backlog(stream);
	if (stream->end_waits)
		take_end(stream);
}

void mrpc_stream_drain_all(struct mrpc_stream *stream)
{
	if (stream->end_waits)
		drain(stream, true);
}

void mrpc_stream_reader_moved(struct mrpc_stream *stream)
{
	if (mrpc_buf_len(&stream->backlog) > 0)
		drain(stream, false);
	give_credit(stream);
}

/* SPDX-License-Identifier: MIT */
/* Deliver: the call's turn. Reads the in lane and tells the user; the only place where events come
 * from.
 *
 * In every event the user may use any verb, cancel and end included: after each the call is looked
 * at anew, and a reference keeps it alive until we are done.
 *
 * Where a method has exactly one message in our direction (unary, and half of the streams), that
 * message waits until the part behind it shows that it was the only one [W-15]. Its credit does not
 * wait: when it has used up the window to the last byte, a peer that is built on nghttp2 (as we are)
 * could not even send its end. */
#include "call/deliver.h"

#include "call/chain.h"

#include <errno.h>

/* So many events in one go; then others get their turn. */
#define BATCH 256
#define COMPRESSED 32 /* a message that has to be inflated counts as so many */

bool mrpc_call_receives_one(const struct minirpc_call *call)
{
	unsigned streaming =
		call->role == MRPC_CLIENT ? MINIRPC_SERVER_STREAMING : MINIRPC_CLIENT_STREAMING;

	return (call->flags & streaming) == 0;
}

bool mrpc_call_sends_one(const struct minirpc_call *call)
{
	unsigned streaming =
		call->role == MRPC_CLIENT ? MINIRPC_CLIENT_STREAMING : MINIRPC_SERVER_STREAMING;

	return (call->flags & streaming) == 0;
}

/* The last event. A client's handle goes with it; a server's handler still has to end the call. */
static bool tell_end(struct minirpc_call *call)
{
	const struct minirpc_call_events *events = call->events;

	call->told_end = true;
	call->want_room = false;
	if (call->role == MRPC_CLIENT) /* an answer on its way still has its deadline */
		mrpc_timer_stop(&call->deadline_timer);
	if (events != NULL && events->on_end != NULL)
		events->on_end(call, &call->in_status, call->user);
	if (call->role == MRPC_CLIENT)
		mrpc_call_release(call);
	return false;
}

/* A part that is not a message meets the interceptors. False: it does not go on, or not yet. */
static bool passes(struct minirpc_call *call, enum mrpc_part_kind kind)
{
	if (call->chain == NULL)
		return true;
	if (!mrpc_chain_is_busy(call) && kind == MRPC_HEADERS)
		mrpc_chain_begin_headers(call->chain);
	else if (!mrpc_chain_is_busy(call))
		mrpc_chain_begin_end(call->chain);
	return mrpc_chain_receive(call->chain);
}

static bool deliver_headers(struct minirpc_call *call)
{
	if (!passes(call, MRPC_HEADERS))
		return true;
	mrpc_lane_next(&call->in);
	call->headers_told = true;
	if (call->events != NULL && call->events->on_headers != NULL)
		call->events->on_headers(call, &call->in_headers, call->user);
	return true;
}

/* The peer sent several messages, or none, where the method has one [W-15]. */
static bool breach(struct minirpc_call *call, const char *text)
{
	const struct minirpc_status status = { .code = MINIRPC_UNIMPLEMENTED, .message = text };

	if (call->role == MRPC_CLIENT) {
		mrpc_call_kill_with(call, &status);
		return true;
	}
	/* The answer goes out now; the handler hears that the call is over, and gives it back when
	 * it likes. */
	mrpc_call_keep_status(call, &call->out_status, &status);
	mrpc_call_keep_status(call, &call->in_status, &status);
	mrpc_call_end_out(call);
	mrpc_call_kill_children(call);
	return tell_end(call);
}

/* Ends the call for a message that cannot be read; a server's peer is answered. */
static void refuse_message(struct minirpc_call *call, int error)
{
	struct minirpc_status status = { .code = MINIRPC_RESOURCE_EXHAUSTED };

	if (error == -EMSGSIZE) { /* S-7 */
		status.message = "message larger than the limit";
		mrpc_call_count_refused(call, MRPC_REFUSED_MESSAGE);
	} else if (error == -ENOMEM && mrpc_pool_was_refused(call->place.pool)) {
		status.message = MRPC_QUOTA_TEXT;
		mrpc_call_count_refused(call, MRPC_REFUSED_MEMORY);
	} else if (error == -ENOMEM) {
		status.message = "out of memory";
	} else { /* C-3 */
		status.code = MINIRPC_INTERNAL;
		status.message = "malformed compressed message";
	}
	if (call->role == MRPC_CLIENT)
		mrpc_call_kill_with(call, &status);
	else
		mrpc_call_answer_early(call, &status);
}

/* Compressed messages stay so in the lane: a reader that is behind costs what arrived, not what is in
 * it. False: the call ends. */
static bool inflate(struct minirpc_call *call, struct mrpc_part **part)
{
	struct mrpc_part *whole;
	int r;

	call->left -= COMPRESSED;
	r = mrpc_part_decompress(&whole, call->in_compressor, *part, call->max_receive_message);
	mrpc_part_free(*part);
	if (r < 0) {
		refuse_message(call, r);
		return false;
	}
	whole->inflated = true;
	*part = whole;
	return true;
}

static void tell_message(struct minirpc_call *call, struct mrpc_part *part)
{
	const struct minirpc_message message = {
		.data = mrpc_part_data(part),
		.len = part->len,
		.compressed = part->compressed,
	};

	call->was_compressed = part->compressed;
	if (call->events != NULL && call->events->on_message != NULL)
		call->events->on_message(call, &message, call->user);
	mrpc_part_free(part);
}

/* As the usual way, with the interceptors in between: its credit goes back when they let it pass. */
static bool deliver_shown(struct minirpc_call *call)
{
	struct mrpc_part *part;

	if (!mrpc_chain_is_busy(call)) {
		part = mrpc_lane_borrow(&call->in);
		if (part->compressed && !part->inflated) {
			size_t credit = part->credit;

			if (!inflate(call, &part))
				return true;
			part->credit = credit;
		}
		mrpc_chain_begin_message(call->chain, part);
	}
	if (!mrpc_chain_receive(call->chain))
		return true;
	part = mrpc_chain_take(call->chain);
	if (call->relay != NULL) {
		call->relay(call, part);
		return true;
	}
	mrpc_lane_settle(&call->in, part);
	tell_message(call, part);
	return true;
}

static bool deliver_message(struct minirpc_call *call)
{
	struct mrpc_part *part = mrpc_lane_peek(&call->in);

	if (mrpc_call_receives_one(call)) {
		const struct mrpc_part *behind = part->next;

		if (behind == NULL) {
			mrpc_lane_give_back(&call->in);
			return false;
		}
		if (behind->kind == MRPC_MESSAGE)
			return breach(call, call->role == MRPC_CLIENT ? "more than one response"
								      : "more than one request");
		if (call->role == MRPC_CLIENT && call->in_status.code != MINIRPC_OK) {
			mrpc_lane_next(&call->in); /* a response that the status takes back */
			return true;
		}
	}

	if (call->chain != NULL)
		return deliver_shown(call);
	if (call->relay != NULL) {
		call->relay(call, mrpc_lane_borrow(&call->in));
		return true;
	}
	part = mrpc_lane_take(&call->in);
	if (part->compressed && !part->inflated && !inflate(call, &part))
		return true;
	tell_message(call, part);
	return true;
}

/* A method with one message in this direction has had none. */
static bool had_none(const struct minirpc_call *call)
{
	if (!mrpc_call_receives_one(call))
		return false;
	return call->chain == NULL ? call->in.messages == 0 : !call->chain->told_message;
}

static void need_response(struct minirpc_call *call)
{
	if (call->in_status.code == MINIRPC_OK && had_none(call))
		call->in_status = (struct minirpc_status){
			.code = MINIRPC_UNIMPLEMENTED,
			.message = "no response",
		};
}

static bool deliver_end(struct minirpc_call *call)
{
	if (call->role == MRPC_CLIENT) {
		need_response(call);
		if (call->chain != NULL) {
			if (!passes(call, MRPC_END))
				return true;
			need_response(call); /* whatever status they have made of it */
		}
		mrpc_lane_next(&call->in);
		return tell_end(call);
	}
	if (had_none(call)) {
		mrpc_lane_next(&call->in);
		return breach(call, "no request");
	}
	if (!passes(call, MRPC_END))
		return true;
	mrpc_lane_next(&call->in);
	call->half_closed = true;
	if (call->events != NULL && call->events->on_half_close != NULL)
		call->events->on_half_close(call, call->user);
	return true;
}

bool mrpc_call_is_paused(const struct minirpc_call *call)
{
	return call->paused && !call->in.was_cut;
}

/* What the interceptors have had at hand before: if it passes now it is told. */
static bool deliver_busy(struct minirpc_call *call)
{
	const struct mrpc_passage *received = &call->chain->received;

	if (received->held)
		return false;
	if (received->view.kind == MINIRPC_PART_HEADERS)
		return deliver_headers(call);
	if (mrpc_call_is_paused(call))
		return false;
	return received->view.kind == MINIRPC_PART_MESSAGE ? deliver_shown(call) : deliver_end(call);
}

/* One event, or none. True: there may be more. */
static bool deliver_one(struct minirpc_call *call)
{
	const struct mrpc_part *part = mrpc_lane_peek(&call->in);

	if (mrpc_call_is_over(call))
		return false;
	if (call->gone || call->answered)
		return tell_end(call);
	if (mrpc_chain_is_busy(call))
		return deliver_busy(call);
	if (part == NULL)
		return false;
	if (part->kind == MRPC_HEADERS)
		return deliver_headers(call);
	if (mrpc_call_is_paused(call))
		return false;
	return part->kind == MRPC_MESSAGE ? deliver_message(call) : deliver_end(call);
}

static void tell_room(struct minirpc_call *call)
{
	if (mrpc_call_is_over(call) || !call->want_room)
		return;
	if (call->chain == NULL ? !mrpc_lane_has_room(&call->out)
				: !mrpc_chain_has_much_room(call->chain))
		return;
	call->want_room = false;
	if (call->events != NULL && call->events->on_writable != NULL)
		call->events->on_writable(call, call->user);
}

void mrpc_call_deliver(struct mrpc_task *task)
{
	struct minirpc_call *call = mrpc_container(task, struct minirpc_call, task);

	call->left = BATCH;
	mrpc_call_ref(call);
	while (call->left > 0 && deliver_one(call))
		call->left--;
	if (call->left <= 0)
		mrpc_turn_wake(call->place.turn, &call->task);
	tell_room(call);
	mrpc_call_unref(call);
}

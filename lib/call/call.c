/* SPDX-License-Identifier: MIT */
/* Call: two lanes, a deadline and a status; its life. What the user sees of it is in verbs.c and
 * deliver.c.
 *
 * References: one for the user's handle, one for the transport, one while events are delivered. The
 * last one frees.
 *
 *	                 handle ends by             transport ends by
 *	client           on_end, cancel             the stream closing, kill, cancel
 *	server           end, cancel                the stream closing, kill, cancel
 *
 * A call ends in one of three ways, and each is final: the in lane's end is read (client: the
 * status arrived), it is `gone` (killed from our side, or the peer left), or its handle is dropped
 * without a word. */
#include "call/call.h"

#include "base/cold.h"
#include "base/zero.h"
#include "call/chain.h"
#include "call/deliver.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define SEND_QUEUE (64u << 10)
#define RECEIVE_MAX (4u << 20) /* [S-7] */
#define REPLAY_MAX (256u << 10) /* bytes kept for another attempt */
#define DEADLINE_GRACE MINIRPC_S(1)

static const char *const hand_down[] = { "dry-run", "traceparent", "tracestate", NULL };

/* A client resets its stream at once [D-2]. A server says DEADLINE_EXCEEDED in trailers, and resets what
 * has not left a second later [D-3]: its timer may ring a little before the client's own, and a client
 * that sees RST_STREAM(CANCEL) so early reports CANCELLED (gRPC C++, Python and Go do). */
static void on_deadline(struct mrpc_timer *timer, minirpc_time now)
{
	static const struct minirpc_status status = { .code = MINIRPC_DEADLINE_EXCEEDED,
						      .message = "deadline exceeded" };
	struct minirpc_call *call = mrpc_container(timer, struct minirpc_call, deadline_timer);

	if (call->role == MRPC_SERVER && !call->gone && !call->answered &&
	    mrpc_call_answer_early(call, &status) == 0)
		mrpc_timer_set(timer, now + DEADLINE_GRACE);
	else
		mrpc_call_kill_with(call, &status);
}

int mrpc_call_new(struct minirpc_call **ret_call, enum mrpc_role role,
		  const struct mrpc_call_config *config)
{
	struct minirpc_call *call;
	int r;

	/* A request must be read before it can be refused. */
	call = mrpc_pool_alloc_anyway(config->place.pool, sizeof *call);
	if (call == NULL)
		return -ENOMEM;
	mrpc_zero(call, offsetof(struct minirpc_call, in));
	r = mrpc_timer_bind(&call->deadline_timer, config->timers, on_deadline);
	if (r < 0) {
		mrpc_pool_free(config->place.pool, call, sizeof *call);
		return r;
	}

	call->role = role;
	call->refs = 1;
	call->has_handle = true;
	call->place = config->place;
	call->started = call->attempt_started = *config->place.now;
	call->deadline = MINIRPC_NEVER;
	call->max_receive_message =
		config->max_receive_message > 0 ? config->max_receive_message : RECEIVE_MAX;
	call->max_send_message =
		config->max_send_message > 0 ? config->max_send_message : UINT32_MAX;
	call->max_replay = config->max_replay > 0 ? config->max_replay : REPLAY_MAX;
	call->replay = config->replay;
	call->limits = config->limits != NULL ? config->limits : &mrpc_limits_default;
	call->counts = config->counts;
	call->secure = config->secure;
	call->hand_down = config->hand_down != NULL ? config->hand_down : hand_down;
	call->compressors =
		config->compressors != NULL ? config->compressors : &mrpc_no_compressors;
	call->out_compressor = role == MRPC_CLIENT ? config->compression : NULL;
	call->path = call->authority = (char *)"";
	call->peer = "";
	mrpc_list_init(&call->children);
	mrpc_arena_init(&call->arena, call->place.pool, call->room, sizeof call->room);
	mrpc_metadata_init(&call->in_headers, &call->arena);
	mrpc_metadata_init(&call->in_trailers, &call->arena);
	mrpc_metadata_init(&call->out_headers, &call->arena);
	mrpc_metadata_init(&call->out_trailers, &call->arena);

	call->task = (struct mrpc_task){ .phase = MRPC_DELIVER, .run = mrpc_call_deliver };
	mrpc_lane_init(&call->in, config->place.turn);
	mrpc_lane_init(&call->out, config->place.turn);
	call->in.reader = call->out.writer = &call->task;
	call->out.limit = config->send_queue > 0 ? config->send_queue : SEND_QUEUE;
	if (role == MRPC_CLIENT) {
		mrpc_lane_retain(&call->out);
		mrpc_lane_push_headers(&call->out);
	} else {
		call->arena.anyway = true;
	}
	*ret_call = call;
	return 0;
}

void mrpc_call_reset(struct minirpc_call *call)
{
	assert(call->refs == 1 && call->transport == NULL && call->in.state == MRPC_LANE_IDLE);
	mrpc_arena_clear(&call->arena);
	mrpc_arena_init(&call->arena, call->place.pool, call->room, sizeof call->room);
	mrpc_metadata_init(&call->in_headers, &call->arena);
	call->arena.anyway = true;
	call->path = call->authority = (char *)"";
	call->content_type = NULL;
	call->accepts = 0;
}

int mrpc_call_admitted(struct minirpc_call *call, struct mrpc_interceptors *interceptors)
{
	call->arena.anyway = false;
	if (interceptors == NULL || interceptors->count == 0)
		return 0;
	return mrpc_call_intercept_all(call, interceptors);
}

struct minirpc_call *mrpc_call_ref(struct minirpc_call *call)
{
	call->refs++;
	return call;
}

void mrpc_call_unref(struct minirpc_call *call)
{
	assert(call->refs > 0);
	if (--call->refs > 0)
		return;
	mrpc_task_sleep(&call->task);
	mrpc_timer_unbind(&call->deadline_timer);
	mrpc_list_remove(&call->parent_node);
	mrpc_lane_clear(&call->in);
	mrpc_lane_clear(&call->out);
	mrpc_arena_clear(&call->arena);
	mrpc_pool_free(call->place.pool, call, sizeof *call);
}

static int set_text(struct minirpc_call *call, char **text, const char *value, size_t len)
{
	char *copy = mrpc_arena_strndup(&call->arena, value, len);

	if (copy == NULL)
		return -ENOMEM;
	*text = copy;
	return 0;
}

int mrpc_call_set_path(struct minirpc_call *call, const char *path, size_t len)
{
	return set_text(call, &call->path, path, len);
}

int mrpc_call_set_authority(struct minirpc_call *call, const char *authority, size_t len)
{
	return set_text(call, &call->authority, authority, len);
}

int mrpc_call_set_subtype(struct minirpc_call *call, const char *subtype)
{
	size_t len = strlen(subtype);
	char *text;

	if (strcmp(subtype, "proto") == 0) {
		call->content_type = MRPC_CONTENT_TYPE "+proto";
		return 0;
	}
	text = mrpc_arena_alloc(&call->arena, sizeof MRPC_CONTENT_TYPE + 1 + len);
	if (text == NULL)
		return -ENOMEM;
	memcpy(text, MRPC_CONTENT_TYPE "+", sizeof MRPC_CONTENT_TYPE);
	memcpy(text + sizeof MRPC_CONTENT_TYPE, subtype, len);
	call->content_type = text;
	return 0;
}

bool mrpc_call_accepts(const struct minirpc_call *call, const struct minirpc_compressor *compressor)
{
	for (size_t i = 0; i < call->compressors->count; i++)
		if (call->compressors->all[i] == compressor)
			return (call->accepts >> i & 1) != 0;
	return false;
}

void mrpc_call_set_deadline(struct minirpc_call *call, minirpc_time at)
{
	call->deadline = at;
	mrpc_timer_set(&call->deadline_timer, at);
}

void mrpc_call_set_parent(struct minirpc_call *call, struct minirpc_call *parent)
{
	call->parent = parent;
	if (parent->deadline < call->deadline)
		mrpc_call_set_deadline(call, parent->deadline);
	mrpc_list_push(&parent->children, &call->parent_node);
	/* A parent that is over already: the child ends in the next turn, as any other would. */
	if (mrpc_call_is_over(parent) || parent->gone || parent->answered)
		mrpc_call_kill(call, MINIRPC_CANCELLED, "the parent call is over");
}

/* All values of one key, in their order [M-3]. They came in over HTTP/2, so they may leave over it. */
static int inherit_key(struct minirpc_call *call, const struct minirpc_metadata *from,
		       const char *key)
{
	const struct minirpc_field *field = minirpc_metadata_find(from, key, NULL);
	int r = 0;

	if (field == NULL || minirpc_metadata_find(&call->out_headers, key, NULL) != NULL)
		return 0;
	for (; r == 0 && field != NULL; field = minirpc_metadata_find(from, key, field))
		r = mrpc_metadata_add(&call->out_headers, key, strlen(key), field->value,
				      field->len);
	return r;
}

int mrpc_call_inherit_metadata(struct minirpc_call *call, const struct minirpc_call *parent)
{
	const char *const *key;
	int r = 0;

	for (key = parent->hand_down; r == 0 && *key != NULL; key++)
		r = inherit_key(call, &parent->in_headers, *key);
	return r;
}

bool mrpc_call_is_over(const struct minirpc_call *call)
{
	return call->told_end || !call->has_handle;
}

/* Ends the children in turn: each takes itself off the list. */
MRPC_COLD static void kill_children(struct minirpc_call *call)
{
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(&call->children)) != NULL) {
		struct minirpc_call *child = mrpc_container(node, struct minirpc_call, parent_node);

		child->parent = NULL;
		mrpc_call_kill(child, MINIRPC_CANCELLED, "the parent call is over");
	}
}

void mrpc_call_kill_children(struct minirpc_call *call)
{
	if (!mrpc_list_is_empty(&call->children))
		kill_children(call);
}

/* ---- The transport ---- */

void mrpc_call_attach(struct minirpc_call *call, const struct mrpc_call_transport_ops *ops,
		      void *transport, struct mrpc_task *task)
{
	assert(call->transport == NULL);
	mrpc_call_ref(call);
	call->transport_ops = ops;
	call->transport = transport;
	call->attempts++;
	call->never_left = false;
	call->out.reader = call->in.writer = task;
	if (mrpc_lane_peek(&call->out) != NULL)
		mrpc_turn_wake(call->place.turn, task);
}

/* What belonged to the connection must not outlive it in the call. The text stays, for whoever asks
 * in on_end. */
static void forget_connection(struct minirpc_call *call)
{
	bool asked = !mrpc_call_is_over(call) ||
		     (call->chain != NULL && mrpc_chain_owes(call->chain));

	call->peer = asked ? mrpc_call_keep_peer(call) : "";
	call->certificate = NULL;
	call->certificate_len = 0;
}

static void let_go(struct minirpc_call *call)
{
	forget_connection(call);
	call->transport = NULL;
	call->transport_ops = NULL;
	call->out.reader = call->in.writer = NULL;
	if (call->chain != NULL)
		mrpc_chain_look(call->chain);
}

/* What a lane that is cut, or is not retained any more, has given back to the owner's budget. */
static void give_back_replay(struct minirpc_call *call)
{
	if (call->replay_held == 0)
		return;
	call->replay->held -= call->replay_held;
	call->replay_held = 0;
}

/* Both lanes outward: what the interceptors have not seen and what the transport has not read. */
static void cut_out(struct minirpc_call *call)
{
	give_back_replay(call);
	if (call->chain != NULL)
		mrpc_chain_cut(call->chain);
	mrpc_lane_cut(&call->out);
}

void mrpc_call_detach(struct minirpc_call *call)
{
	if (call->transport == NULL)
		return;
	let_go(call);
	mrpc_call_unref(call);
}

/* From our side: tells the transport, which resets the stream. */
static void leave_transport(struct minirpc_call *call)
{
	const struct mrpc_call_transport_ops *ops = call->transport_ops;
	void *transport = call->transport;

	if (transport == NULL)
		return;
	let_go(call);
	ops->detach(transport, call);
	mrpc_call_unref(call);
}

void mrpc_call_commit(struct minirpc_call *call)
{
	call->committed = true;
	give_back_replay(call);
	mrpc_lane_commit(&call->out);
}

int mrpc_call_received_headers(struct minirpc_call *call)
{
	int r = mrpc_lane_push_headers(&call->in);

	if (r == 0 && call->role == MRPC_CLIENT)
		mrpc_call_commit(call); /* */
	return r;
}

int mrpc_call_received_message(struct minirpc_call *call, struct mrpc_part *part)
{
	/* The handler has ended its call; the stream will be closed behind it. */
	if (mrpc_call_is_over(call) || call->gone || call->answered) {
		mrpc_part_free(part);
		return 0;
	}
	return mrpc_lane_push(&call->in, part);
}

void mrpc_call_received_half_close(struct minirpc_call *call)
{
	if (!mrpc_call_is_over(call))
		mrpc_lane_end(&call->in);
}

/* Without memory the code still stands. */
void mrpc_call_keep_status(struct minirpc_call *call, struct minirpc_status *kept,
			   const struct minirpc_status *status)
{
	const char *text = status->message == NULL ? "" : status->message;
	char *message = NULL, *details = NULL;

	if (text[0] != '\0') /* most are OK */
		message = mrpc_arena_strndup(&call->arena, text, strlen(text));
	if (status->details_len > 0)
		details = mrpc_arena_strndup(&call->arena, status->details, status->details_len);
	*kept = (struct minirpc_status){
		.code = status->code,
		.message = message == NULL ? "" : message,
		.details = details,
		.details_len = details == NULL ? 0 : status->details_len,
	};
}

uint64_t *mrpc_call_refused_counter(struct minirpc_conn_counts *counts, enum mrpc_refused what)
{
	switch (what) {
	case MRPC_REFUSED_MESSAGE:
		return &counts->refused_messages;
	case MRPC_REFUSED_MEMORY:
		return &counts->refused_memory;
	case MRPC_REFUSED_DECODE:
		break;
	}
	return &counts->refused_decodes;
}

/* A response may be read when its stream is gone already. */
void mrpc_call_count_refused(struct minirpc_call *call, enum mrpc_refused what)
{
	if (call->transport != NULL && call->transport_ops->count_refused != NULL)
		call->transport_ops->count_refused(call->transport, what);
	else if (call->counts != NULL)
		*mrpc_call_refused_counter(call->counts, what) += 1;
}

/* Asks the owner for another attempt. True: the call starts over, in its owner's hands. */
static bool starts_over(struct minirpc_call *call, const struct minirpc_status *status,
			bool unprocessed)
{
	if (call->committed || !call->out.retained || status->code == MINIRPC_OK)
		return false;
	if (call->owner_ops == NULL || !call->owner_ops->attempt_failed(call, status, unprocessed))
		return false;
	call->out.reader = NULL;
	mrpc_lane_rewind(&call->out);
	mrpc_metadata_init(&call->in_headers, &call->arena);
	mrpc_metadata_init(&call->in_trailers, &call->arena);
	return true;
}

static void peer_left(struct minirpc_call *call, const struct minirpc_status *status)
{
	mrpc_call_keep_status(call, &call->in_status, status);
	call->ended = *call->place.now;
	mrpc_lane_cut(&call->in);
	cut_out(call);
	mrpc_timer_stop(&call->deadline_timer);
	mrpc_call_kill_children(call);
	if (!mrpc_call_is_over(call)) {
		call->gone = true;
		mrpc_turn_wake(call->place.turn, &call->task);
	}
}

void mrpc_call_received_end(struct minirpc_call *call, const struct minirpc_status *status,
			    bool abrupt, bool unprocessed)
{
	if (call->gone)
		return;
	if (call->role == MRPC_SERVER) {
		peer_left(call, status);
		return;
	}
	if (mrpc_call_is_over(call) || call->in.state == MRPC_LANE_ENDED)
		return;
	call->unprocessed = unprocessed;
	if (starts_over(call, status, unprocessed))
		return;
	call->committed = true;
	if (abrupt) { /* also past what an interceptor holds */
		peer_left(call, status);
		return;
	}
	mrpc_call_keep_status(call, &call->in_status, status);
	call->ended = *call->place.now;
	cut_out(call);
	mrpc_lane_end(&call->in);
}

/* ---- The owner ---- */

void mrpc_call_kill_with(struct minirpc_call *call, const struct minirpc_status *status)
{
	if (call->gone || (call->role == MRPC_CLIENT && mrpc_call_is_over(call)))
		return;
	mrpc_call_ref(call);
	peer_left(call, status);
	leave_transport(call);
	mrpc_call_unref(call);
}

void mrpc_call_end_out(struct minirpc_call *call)
{
	if (call->chain != NULL)
		mrpc_chain_cut(call->chain);
	mrpc_lane_end(&call->out);
}

/* As if the peer had left, but for the out lane: it ends politely, and the transport stays until it
 * has read it, or the deadline cuts it. */
int mrpc_call_answer_early(struct minirpc_call *call, const struct minirpc_status *status)
{
	if (call->out.state == MRPC_LANE_ENDED)
		return -EPIPE;
	mrpc_call_keep_status(call, &call->out_status, status);
	mrpc_call_keep_status(call, &call->in_status, status);
	mrpc_call_end_out(call);
	mrpc_lane_cut(&call->in);
	mrpc_call_kill_children(call);
	call->answered = true;
	mrpc_turn_wake(call->place.turn, &call->task);
	return 0;
}

void mrpc_call_fail_attempt(struct minirpc_call *call, const struct minirpc_status *status)
{
	if (!starts_over(call, status, false))
		mrpc_call_kill_with(call, status);
}

void mrpc_call_kill(struct minirpc_call *call, enum minirpc_code code, const char *text)
{
	mrpc_call_kill_with(call, &(struct minirpc_status){ .code = code, .message = text });
}

/* Ends the handle's part in the call: no event any more, the owner forgets it. */
void mrpc_call_release(struct minirpc_call *call)
{
	if (!call->has_handle)
		return;
	call->has_handle = false;
	call->told_end = true;
	call->events = NULL;
	mrpc_call_kill_children(call);
	mrpc_list_remove(&call->parent_node);
	call->parent = NULL;
	if (call->owner_ops != NULL && call->owner_ops->over != NULL)
		call->owner_ops->over(call);
	if (call->watcher != NULL)
		mrpc_turn_wake(call->place.turn, call->watcher);
	if (call->chain != NULL)
		mrpc_chain_look(call->chain);
	mrpc_call_unref(call);
}

void mrpc_call_drop(struct minirpc_call *call)
{
	if (!call->has_handle)
		return;
	mrpc_call_ref(call);
	if (call->chain != NULL && !call->gone && !call->told_end) /* what on_close will say */
		call->in_status = (struct minirpc_status){ .code = MINIRPC_CANCELLED,
							   .message = "cancelled" };
	mrpc_lane_cut(&call->in);
	cut_out(call);
	mrpc_timer_stop(&call->deadline_timer);
	leave_transport(call);
	mrpc_call_release(call);
	mrpc_task_sleep(&call->task);
	mrpc_call_unref(call);
}

void mrpc_call_orphan(struct minirpc_call *call)
{
	call->owner = NULL;
	call->owner_ops = NULL;
	call->counts = NULL;
	call->limits = &mrpc_limits_default;
	call->hand_down = hand_down;
	call->compressors = &mrpc_no_compressors;
	call->in_compressor = call->out_compressor = NULL;
}

void mrpc_call_route(struct minirpc_call *call, const struct minirpc_method *method,
		     const struct minirpc_call_events *events, void *user)
{
	call->method = method;
	call->flags = method->flags;
	call->events = events;
	call->user = user;
}

/* SPDX-License-Identifier: MIT */
/* Verbs: what a user does with a call. All of them only push parts or set flags; whoever reads the
 * lane does the rest in its own turn. */
#include "base/alloc.h"
#include "base/text.h"
#include "call/chain.h"
#include "call/deliver.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static bool is_closed(struct minirpc_call *call)
{
	return mrpc_call_is_over(call) || call->gone ||
	       mrpc_call_sending(call) == MRPC_LANE_ENDED;
}

static bool has_room(struct minirpc_call *call)
{
	return call->chain == NULL ? mrpc_lane_has_room(&call->out)
				   : mrpc_chain_has_room(call->chain);
}

static int may_send(struct minirpc_call *call, size_t len)
{
	if (is_closed(call))
		return -EPIPE;
	if (len > call->max_send_message)
		return -EMSGSIZE;
	if (mrpc_call_sent(call) > 0 && mrpc_call_sends_one(call))
		return -EPROTO;
	if (!has_room(call)) {
		call->want_room = true;
		return -EAGAIN;
	}
	return 0;
}

bool minirpc_call_has_room(minirpc_call *call)
{
	if (is_closed(call) || has_room(call))
		return true;
	call->want_room = true;
	return false;
}

/* Within the call's limit and that of all calls together. */
static bool may_keep(struct minirpc_call *call, const struct mrpc_part *part)
{
	const struct mrpc_lane *out = &call->out;
	size_t weight = MRPC_PREFIX + part->len;

	if (out->kept + out->unread + part->len > call->max_replay)
		return false;
	if (call->replay == NULL)
		return true;
	if (weight > call->replay->max - call->replay->held)
		return false;
	call->replay->held += weight;
	call->replay_held += weight;
	return true;
}

void mrpc_call_keep_part(struct minirpc_call *call, const struct mrpc_part *part)
{
	if (may_keep(call, part))
		return;
	if (call->counts != NULL)
		call->counts->overflowed_replays++;
	mrpc_call_commit(call);
}

static int push(struct minirpc_call *call, struct mrpc_part *part)
{
	if (call->chain != NULL) {
		mrpc_chain_push(call->chain, part);
		return 0;
	}
	if (call->late_compression)
		part->compressed = call->out_compressor != NULL && !call->plain;
	return mrpc_call_push_out(call, part);
}

bool mrpc_call_has_room(struct minirpc_call *call)
{
	if (has_room(call))
		return true;
	call->want_room = true;
	return false;
}

int mrpc_call_give(struct minirpc_call *call, struct mrpc_part *part)
{
	if (is_closed(call))
		return -EPIPE;
	call->plain = !part->compressed; /* for the interceptors */
	return push(call, part);
}

/* An empty message would only grow. Interceptors see it before it is. */
static bool is_compressed(const struct minirpc_call *call, size_t len)
{
	return call->out_compressor != NULL && !call->plain && len > 0 && call->chain == NULL &&
	       !call->late_compression;
}

static int compress(const struct minirpc_call *call, struct mrpc_part **ret_part, const void *data,
		    size_t len)
{
	return mrpc_part_compress(ret_part, call->out_compressor, call->place.pool, data, len);
}

/* Compresses a part in place of itself. */
static int compress_part(const struct minirpc_call *call, struct mrpc_part **part)
{
	struct mrpc_part *whole = *part;
	int r = compress(call, part, mrpc_part_data(whole), whole->len);

	mrpc_part_free(whole);
	return r;
}

int minirpc_call_send_with(minirpc_call *call, size_t len, void (*write)(void *user, uint8_t *data),
			   void *user)
{
	struct mrpc_part *part;
	int r;

	r = may_send(call, len);
	if (r < 0)
		return r;
	part = mrpc_part_new(call->place.pool, len);
	if (part == NULL)
		return -ENOMEM;
	write(user, mrpc_part_data(part));
	if (is_compressed(call, len))
		r = compress_part(call, &part);
	return r < 0 ? r : push(call, part);
}

struct bytes {
	const void *data;
	size_t len;
};

static void write_bytes(void *user, uint8_t *data)
{
	const struct bytes *bytes = user;

	if (bytes->len > 0)
		memcpy(data, bytes->data, bytes->len);
}

/* Without a copy in between. */
static int send_compressed(struct minirpc_call *call, const void *data, size_t len)
{
	struct mrpc_part *part;
	int r = may_send(call, len);

	if (r == 0)
		r = compress(call, &part, data, len);
	return r < 0 ? r : push(call, part);
}

int minirpc_call_send(minirpc_call *call, const void *data, size_t len)
{
	struct bytes bytes = { data, len };

	if (is_compressed(call, len))
		return send_compressed(call, data, len);
	return minirpc_call_send_with(call, len, write_bytes, &bytes);
}

void minirpc_call_compress(minirpc_call *call, bool compress)
{
	call->plain = !compress;
}

/* What a handler says that its method does not allow is turned into what the client would see
 * anyway. */
void mrpc_call_set_answer(struct minirpc_call *call, const struct minirpc_status *status)
{
	static const struct minirpc_status ok = { .message = "" };
	static const struct minirpc_status nothing = {
		.code = MINIRPC_INTERNAL,
		.message = "the handler answered OK without a response",
	};

	if (status == NULL)
		status = &ok;
	if (status->code == MINIRPC_OK && call->method != NULL && mrpc_call_sends_one(call) &&
	    mrpc_call_sent(call) == 0)
		status = &nothing;
	if (status->code == MINIRPC_OK)
		call->out_status = ok; /* no text with OK [S-2] */
	else
		mrpc_call_keep_status(call, &call->out_status, status);
}

static int push_end(struct minirpc_call *call)
{
	if (call->chain == NULL)
		return mrpc_lane_end(&call->out);
	mrpc_chain_push_end(call->chain);
	return 0;
}

int minirpc_call_end(minirpc_call *call, const struct minirpc_status *status)
{
	if (call->role == MRPC_CLIENT)
		return is_closed(call) ? -EPIPE : push_end(call);

	if (mrpc_call_sending(call) != MRPC_LANE_ENDED) {
		mrpc_call_set_answer(call, status);
		push_end(call);
	}
	mrpc_call_release(call);
	return 0;
}

void minirpc_call_vfail(minirpc_call *call, enum minirpc_code code, const char *format,
			va_list args)
{
	struct minirpc_status status = { .code = code };
	char *text;

	text = mrpc_vformat(format, args);
	status.message = text;
	minirpc_call_end(call, &status);
	mrpc_free(text);
}

void minirpc_call_fail(minirpc_call *call, enum minirpc_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	minirpc_call_vfail(call, code, format, args);
	va_end(args);
}

void minirpc_call_cancel(minirpc_call *call)
{
	/* In a client's on_end the handle goes anyway. */
	if (call == NULL || (call->role == MRPC_CLIENT && call->told_end))
		return;
	mrpc_call_drop(call);
}

static bool has_ended(const struct minirpc_call *call)
{
	return mrpc_call_is_over(call) || call->gone || call->answered;
}

int minirpc_call_abort(minirpc_call *call, const struct minirpc_status *status)
{
	if (has_ended(call))
		return -EPIPE;
	if (call->role == MRPC_SERVER)
		return mrpc_call_answer_early(call, status);
	mrpc_call_kill_with(call, status);
	return 0;
}

int minirpc_call_refuse(minirpc_call *call, const struct minirpc_status *status)
{
	if (has_ended(call))
		return -EPIPE;
	mrpc_call_count_refused(call, MRPC_REFUSED_DECODE);
	return minirpc_call_abort(call, status);
}

int minirpc_call_wait(minirpc_call *call)
{
	if (call->owner_ops == NULL || call->owner_ops->wait == NULL)
		return -EINVAL;
	return call->owner_ops->wait(call, &call->told_end);
}

void minirpc_call_pause(minirpc_call *call)
{
	call->paused = true;
}

void minirpc_call_resume(minirpc_call *call)
{
	call->paused = false;
	if (mrpc_lane_peek(&call->in) != NULL || call->chain != NULL)
		mrpc_turn_wake(call->place.turn, &call->task);
}

void minirpc_call_listen(minirpc_call *call, const struct minirpc_call_events *events, void *user)
{
	call->events = events;
	call->user = user;
}

void *minirpc_call_user(const minirpc_call *call)
{
	return call->user;
}

/* Codecs decode into this. */
void *minirpc_call_alloc(minirpc_call *call, size_t size)
{
	void *room = mrpc_arena_alloc(&call->arena, size);

	if (room == NULL && mrpc_pool_was_refused(call->place.pool))
		mrpc_call_count_refused(call, MRPC_REFUSED_MEMORY);
	return room;
}

/* Fills a fresh list, so that a failure leaves the old one. */
static int set_metadata(struct minirpc_call *call, struct minirpc_metadata *metadata,
			const struct minirpc_field *fields)
{
	struct minirpc_metadata fresh;
	int r;

	mrpc_metadata_init(&fresh, &call->arena);
	r = mrpc_metadata_add_all(&fresh, fields);
	if (r < 0)
		return r;
	if (fresh.bytes > call->limits->max_header_bytes) /* [M-5] */
		return -E2BIG;
	*metadata = fresh;
	return 0;
}

int minirpc_call_send_headers(minirpc_call *call, const struct minirpc_field *metadata)
{
	int r;

	if (call->role != MRPC_SERVER || is_closed(call) ||
	    mrpc_call_sending(call) != MRPC_LANE_IDLE)
		return -EPIPE;
	r = set_metadata(call, &call->out_headers, metadata);
	if (r < 0 || call->chain == NULL)
		return r < 0 ? r : mrpc_lane_push_headers(&call->out);
	mrpc_chain_push_headers(call->chain);
	return 0;
}

int minirpc_call_set_compression(minirpc_call *call, const char *name)
{
	const struct minirpc_compressor *compressor;
	int r;

	if (call->role != MRPC_SERVER || is_closed(call) ||
	    mrpc_call_sending(call) != MRPC_LANE_IDLE)
		return -EPIPE;
	r = mrpc_compressors_choose(call->compressors, name, &compressor);
	if (r < 0)
		return r;
	if (compressor != NULL && !mrpc_call_accepts(call, compressor)) { /* C-4 */
		call->out_compressor = NULL;
		return -ENOTSUP;
	}
	call->out_compressor = compressor;
	return 0;
}

int minirpc_call_set_trailers(minirpc_call *call, const struct minirpc_field *metadata)
{
	if (call->role != MRPC_SERVER || is_closed(call))
		return -EPIPE;
	return set_metadata(call, &call->out_trailers, metadata);
}

const struct minirpc_metadata *minirpc_call_headers(const minirpc_call *call)
{
	return call->headers_told ? &call->in_headers : NULL;
}

const struct minirpc_metadata *minirpc_call_trailers(const minirpc_call *call)
{
	bool there = call->role == MRPC_CLIENT && call->told_end && call->in_trailers.count > 0;

	return there && !call->gone ? &call->in_trailers : NULL; /* [D-2] */
}

const char *minirpc_call_path(const minirpc_call *call)
{
	return call->path;
}

const char *minirpc_call_authority(const minirpc_call *call)
{
	return call->authority;
}

bool minirpc_call_is_server(const minirpc_call *call)
{
	return call->role == MRPC_SERVER;
}

const char *minirpc_call_peer_compression(const minirpc_call *call)
{
	return call->in_compressor == NULL ? "identity" : call->in_compressor->name;
}

bool minirpc_call_was_compressed(const minirpc_call *call)
{
	return call->was_compressed;
}

const char *minirpc_call_peer(const minirpc_call *call)
{
	return call->peer;
}

const void *minirpc_call_peer_certificate(const minirpc_call *call, size_t *ret_len)
{
	if (call->transport_ops != NULL && call->transport_ops->certificate != NULL)
		return call->transport_ops->certificate(call->transport, ret_len);
	*ret_len = call->certificate_len;
	return call->certificate;
}

const struct minirpc_conn_limits *minirpc_call_limits(const minirpc_call *call)
{
	return call->limits;
}

minirpc_time minirpc_call_deadline(const minirpc_call *call)
{
	return call->deadline;
}

minirpc_time minirpc_call_time_left(const minirpc_call *call)
{
	minirpc_time now = *call->place.now;

	if (call->deadline == MINIRPC_NEVER)
		return MINIRPC_NEVER;
	return call->deadline > now ? call->deadline - now : 0;
}

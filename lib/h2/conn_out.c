/* SPDX-License-Identifier: MIT */
/* Conn, outward: header blocks, data and trailers of our side.
 *
 * Header fields are handed to nghttp2 without a copy. They are static, or lie in the call's arena,
 * which the stream keeps alive (pin) until it is closed.
 *
 * DATA is copied once: from the part in the lane to the driver's buffer. nghttp2 asks read_data how
 * much there is; it copies the bytes behind the place of the frame head and answers NO_COPY; then
 * send_data, called right after, puts the head in front. As many messages as fit share a frame. */
#include "h2/inside.h"

#include "wire/base64.h"
#include "wire/percent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FRAME_HEAD 9u
#define FIXED_FIELDS 11u /* no block has more fields of our own */
#define SMALL_BLOCK 32u
#define NUMBER_SIZE 11u   /* "4294967295" */
#define LONG_DATA 16384u /* more than this waiting: one frame will not do */

#define NO_COPY (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)
#define FIELD(name, value)                                                                         \
	{                                                                                          \
		(uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1,        \
			NO_COPY                                                                    \
	}

static const nghttp2_nv method_post = FIELD(":method", "POST");
static const nghttp2_nv te_trailers = FIELD("te", "trailers"); /* W-3 */
static const nghttp2_nv content_type = FIELD("content-type", MRPC_CONTENT_TYPE);
static const nghttp2_nv text_plain = FIELD("content-type", "text/plain");
static const nghttp2_nv allow_post = FIELD("allow", "POST"); /* RFC 9110, 15.5.6 */
static const nghttp2_nv status_200 = FIELD(":status", "200");
static const nghttp2_nv status_400 = FIELD(":status", "400");
static const nghttp2_nv status_405 = FIELD(":status", "405");
static const nghttp2_nv status_415 = FIELD(":status", "415");

/* A header block under construction. Not cleared when it comes to be (we build with automatic
 * variables zeroed): 1.3 KiB, of which two fields are used. */
struct fields {
	nghttp2_nv *at;
	size_t count;
	nghttp2_nv small[SMALL_BLOCK];
};

#define FIELDS(name) struct fields name __attribute__((uninitialized))

/* Makes room for n fields of metadata and our own. Returns 0 or -ENOMEM. */
static int fields_init(struct fields *fields, struct minirpc_call *call, size_t n)
{
	fields->at = fields->small;
	fields->count = 0;
	if (n <= SMALL_BLOCK - FIXED_FIELDS)
		return 0;
	fields->at = mrpc_arena_alloc(&call->arena, (n + FIXED_FIELDS) * sizeof *fields->at);
	return fields->at == NULL ? -ENOMEM : 0;
}

static void add(struct fields *fields, const nghttp2_nv *field)
{
	fields->at[fields->count++] = *field;
}

/* name is a literal; flags as for HPACK: NO_INDEX for what is unique to a call, and would only
 * churn the table. */
static void add_value(struct fields *fields, const char *name, size_t name_len, const char *value,
		      size_t value_len, unsigned flags)
{
	fields->at[fields->count++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.namelen = name_len,
		.value = (uint8_t *)(uintptr_t)value,
		.valuelen = value_len,
		.flags = (uint8_t)(NO_COPY | flags),
	};
}

#define ADD(fields, name, value, len, flags)                                                       \
	add_value(fields, name, sizeof(name) - 1, value, len, flags)

/* Returns 0 or -ENOMEM. */
static int add_binary(struct fields *fields, struct minirpc_call *call, const char *name,
		      size_t name_len, const void *value, size_t len)
{
	char *text = mrpc_arena_alloc(&call->arena, mrpc_base64_encoded_len(len) + 1);

	if (text == NULL)
		return -ENOMEM;
	add_value(fields, name, name_len, text, mrpc_base64_encode(text, value, len), 0);
	return 0;
}

static int add_metadata(struct fields *fields, struct minirpc_call *call,
			const struct minirpc_metadata *metadata)
{
	for (size_t i = 0; i < metadata->count; i++) {
		const struct minirpc_field *field = &metadata->fields[i];
		size_t name_len = strlen(field->key);

		if (!mrpc_metadata_key_is_binary(field->key, name_len)) {
			add_value(fields, field->key, name_len, field->value, field->len, 0);
			continue;
		}
		if (add_binary(fields, call, field->key, name_len, field->value, field->len) < 0)
			return -ENOMEM; /* M-2 */
	}
	return 0;
}

/* A server's is its client's [W-4]. NULL: that of most. */
static void add_content_type(struct fields *fields, const char *type)
{
	if (type == NULL)
		add(fields, &content_type);
	else
		ADD(fields, "content-type", type, strlen(type), 0);
}

static const char *code_text(enum minirpc_code code)
{
	static const char texts[][3] = { "0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
					 "9", "10", "11", "12", "13", "14", "15", "16" };

	return texts[(unsigned)code < sizeof texts / sizeof *texts ? code : MINIRPC_UNKNOWN];
}

/* Whole milliseconds, not too early. Without memory the client makes up its own mind. */
static void add_pushback(struct fields *fields, struct minirpc_call *call)
{
	char *text = mrpc_arena_alloc(&call->arena, MRPC_PUSHBACK_SIZE);
	size_t len;

	if (text == NULL)
		return;
	len = mrpc_pushback_format(text, call->pushback);
	ADD(fields, "grpc-retry-pushback-ms", text, len, NGHTTP2_NV_FLAG_NO_INDEX);
}

/* grpc-status, grpc-message, grpc-status-details-bin [S-1, S-2, S-8]. Without memory the code goes
 * alone. */
static void add_status(struct fields *fields, struct minirpc_call *call,
		       const struct minirpc_status *status)
{
	const char *code = code_text(status->code);
	size_t len = status->message == NULL ? 0 : strlen(status->message);
	char *text;

	ADD(fields, "grpc-status", code, strlen(code), 0);
	if (status->code == MINIRPC_OK)
		return;
	if (call->has_pushback)
		add_pushback(fields, call);
	if (len > 0) {
		text = mrpc_arena_alloc(&call->arena,
					mrpc_percent_encoded_len(status->message, len) + 1);
		if (text != NULL)
			ADD(fields, "grpc-message", text,
			    mrpc_percent_encode(text, status->message, len),
			    NGHTTP2_NV_FLAG_NO_INDEX);
	}
	if (status->details_len > 0)
		add_binary(fields, call, "grpc-status-details-bin",
			   sizeof "grpc-status-details-bin" - 1, status->details,
			   status->details_len);
}

static void add_accept_encoding(struct fields *fields, const struct mrpc_conn *conn)
{
	ADD(fields, "grpc-accept-encoding", conn->compressors->accept,
	    conn->compressors->accept_len, 0);
}

static void add_encoding(struct fields *fields, const struct minirpc_call *call)
{
	const struct minirpc_compressor *compressor = call->out_compressor;

	if (compressor != NULL)
		ADD(fields, "grpc-encoding", compressor->name, strlen(compressor->name), 0);
}

/* A client that compresses may do so without having heard of us [C-4]; the others need not know. */
static void tell_what_we_accept(struct fields *fields, const struct mrpc_stream *stream)
{
	if (stream->call->in_compressor != NULL)
		add_accept_encoding(fields, stream->conn);
}

static void add_answer(struct fields *fields, const struct mrpc_conn *conn,
		       const struct mrpc_answer *answer)
{
	const char *code = code_text(answer->code);

	if (answer->bare)
		return;
	ADD(fields, "grpc-status", code, strlen(code), 0);
	/* Indexed, other than a handler's: whoever is refused once is so more often, in the same words. */
	if (answer->text[0] != '\0')
		ADD(fields, "grpc-message", answer->text, strlen(answer->text), 0);
	if (answer->pushback != NULL)
		ADD(fields, "grpc-retry-pushback-ms", answer->pushback, strlen(answer->pushback),
		    0); /* */
	if (answer->accept_encoding)
		add_accept_encoding(fields, conn); /* C-3 */
}

/* ---- DATA ---- */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Copies up to len bytes of framed messages to `to`; returns how many. */
static size_t take_messages(struct mrpc_stream *stream, uint8_t *to, size_t len)
{
	struct mrpc_lane *lane = &stream->call->out;
	size_t done = 0;

	while (done < len) {
		struct mrpc_part *part = mrpc_lane_peek(lane);
		size_t n;

		if (part == NULL || part->kind != MRPC_MESSAGE)
			break;
		if (stream->offset == 0)
			mrpc_frame_prefix(mrpc_part_framed(part), part->compressed,
					  (uint32_t)part->len);
		n = smaller(len - done, MRPC_PREFIX + part->len - stream->offset);
		memcpy(to + done, mrpc_part_framed(part) + stream->offset, n);
		done += n;
		stream->offset += n;
		if (stream->offset == MRPC_PREFIX + part->len) {
			stream->offset = 0;
			MRPC_COUNT(stream->conn, messages_sent, 1);
			mrpc_lane_next(lane);
		}
	}
	return done;
}

/* The body of an answer that is for people. Returns how many bytes were copied; the stream ends
 * behind the last of them. */
static ssize_t take_body(struct mrpc_stream *stream, size_t len, uint32_t *flags)
{
	struct mrpc_buf *out = stream->conn->out;

	len = smaller(len, strlen(stream->body));
	if (mrpc_buf_reserve(out, FRAME_HEAD + len) < 0)
		return NGHTTP2_ERR_NOMEM;
	memcpy(out->data + out->end + FRAME_HEAD, stream->body, len);
	stream->body += len;
	stream->data_done = *stream->body == '\0';
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY | (stream->data_done ? NGHTTP2_DATA_FLAG_EOF : 0u);
	return (ssize_t)len;
}

/* Reads the polite end of the lane. */
static bool take_end(struct mrpc_stream *stream)
{
	struct mrpc_lane *lane = &stream->call->out;
	const struct mrpc_part *part = mrpc_lane_peek(lane);

	if (part == NULL || part->kind != MRPC_END || lane->was_cut)
		return false;
	mrpc_lane_next(lane);
	return true;
}

static ssize_t read_data(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
			 uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct mrpc_stream *stream = source->ptr;
	struct mrpc_conn *conn = user;
	size_t done = 0;
	bool ended = stream->answered;

	(void)session;
	(void)id;
	(void)buf;
	if (mrpc_buf_len(conn->out) >= conn->out_limit)
		return NGHTTP2_ERR_PAUSE;
	if (stream->body != NULL)
		return take_body(stream, len, flags);
	if (stream->call != NULL && !ended) {
		/* the driver's buffer need not grow for more than is there */
		len = smaller(len, stream->call->out.unread);
		if (mrpc_buf_reserve(conn->out, FRAME_HEAD + len) < 0)
			return NGHTTP2_ERR_NOMEM;
		done = take_messages(stream, conn->out->data + conn->out->end + FRAME_HEAD, len);
		ended = take_end(stream);
	}
	if (done == 0 && !ended) {
		stream->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}

	if (ended) {
		stream->data_done = true;
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (conn->role == MRPC_SERVER) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			mrpc_stream_due(stream, MRPC_DUE_TRAILERS);
		}
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	return (ssize_t)done;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
		     size_t len, nghttp2_data_source *source, void *user)
{
	struct mrpc_conn *conn = user;

	(void)session;
	(void)frame;
	(void)source;
	if (mrpc_buf_reserve(conn->out, FRAME_HEAD + len) < 0)
		return NGHTTP2_ERR_CALLBACK_FAILURE; /* only when len is 0 */
	memcpy(conn->out->data + conn->out->end, head, FRAME_HEAD);
	conn->out->end += FRAME_HEAD + len;
	return 0;
}

void mrpc_stream_resume(struct mrpc_stream *stream)
{
	static const nghttp2_extpri in_turns = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY,
						 .inc = 1 };
	struct mrpc_conn *conn = stream->conn;

	/* nghttp2 finishes one stream after the other unless told that they may mix; a server's
	 * long answer must not hold up all others. At a client it has no such switch. */
	if (!stream->fair && conn->role == MRPC_SERVER && stream->call != NULL &&
	    (stream->deferred || stream->call->out.unread > LONG_DATA)) {
		stream->fair = true;
		if (nghttp2_session_change_extpri_stream_priority(
			    conn->session, stream->id, &in_turns, 1) == NGHTTP2_ERR_NOMEM) {
			mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
			return;
		}
	}
	if (!stream->deferred)
		return;
	stream->deferred = false;
	if (nghttp2_session_resume_data(conn->session, stream->id) == NGHTTP2_ERR_NOMEM)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

/* ---- Client ---- */

/* Says that it is a further attempt, and which. Returns 0 or -ENOMEM. */
static int add_previous_attempts(struct fields *fields, struct minirpc_call *call)
{
	char *text = mrpc_arena_alloc(&call->arena, NUMBER_SIZE);

	if (text == NULL)
		return -ENOMEM;
	ADD(fields, "grpc-previous-rpc-attempts", text,
	    (size_t)snprintf(text, NUMBER_SIZE, "%u", call->previous_attempts), 0);
	return 0;
}

static int request_fields(struct mrpc_stream *stream, struct fields *fields)
{
	struct minirpc_call *call = stream->call;
	struct mrpc_conn *conn = stream->conn;
	size_t len;

	if (fields_init(fields, call, call->out_headers.count) < 0)
		return -ENOMEM;
	/* the order of W-1 */
	add(fields, &method_post);
	ADD(fields, ":scheme", conn->scheme, strlen(conn->scheme), 0);
	ADD(fields, ":path", call->path, strlen(call->path), 0);
	if (call->authority[0] != '\0')
		ADD(fields, ":authority", call->authority, strlen(call->authority), 0);
	if (call->deadline != MINIRPC_NEVER) {
		len = mrpc_timeout_format(stream->timeout, call->deadline - *conn->place.now);
		ADD(fields, "grpc-timeout", stream->timeout, len, NGHTTP2_NV_FLAG_NO_INDEX);
	}
	add(fields, &te_trailers);
	add_content_type(fields, call->content_type);
	add_encoding(fields, call);
	if (conn->compressors->count > 0)
		add_accept_encoding(fields, conn);
	if (conn->user_agent_len > 0)
		ADD(fields, "user-agent", conn->user_agent, conn->user_agent_len, 0);
	if (call->previous_attempts > 0 && add_previous_attempts(fields, call) < 0)
		return -ENOMEM;
	return add_metadata(fields, call, &call->out_headers);
}

static void fail_request(struct mrpc_stream *stream)
{
	mrpc_stream_end_call(stream,
			     &(struct minirpc_status){
				     .code = MINIRPC_RESOURCE_EXHAUSTED,
				     .message = "out of memory",
			     },
			     false);
	mrpc_stream_free(stream);
}

static void submit_request(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_data };
	FIELDS(fields);
	int32_t id;

	if (request_fields(stream, &fields) < 0) {
		fail_request(stream);
		return;
	}
	mrpc_lane_next(&stream->call->out);
	stream->headers_out = true;
	id = nghttp2_submit_request(conn->session, NULL, fields.at, fields.count, &provider,
				    stream);
	if (id < 0) {
		mrpc_conn_fatal(conn, id);
		return;
	}
	stream->id = id;
	conn->unsubmitted--;
	conn->open++;
}

/* ---- Server ---- */

static int submit_response(struct mrpc_stream *stream, const struct fields *fields, bool with_data)
{
	nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = read_data };
	int r;

	stream->headers_out = true;
	r = nghttp2_submit_response(stream->conn->session, stream->id, fields->at, fields->count,
				    with_data ? &provider : NULL);
	if (r != 0)
		mrpc_conn_fatal(stream->conn, r);
	return r;
}

/* The handler ends at once, or before it said anything: one block for all [W-18]. */
static void submit_trailers_only(struct mrpc_stream *stream)
{
	struct minirpc_call *call = stream->call;
	FIELDS(fields);

	if (fields_init(&fields, call, call->out_trailers.count) < 0) {
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	add(&fields, &status_200);
	add_content_type(&fields, call->content_type);
	tell_what_we_accept(&fields, stream);
	add_status(&fields, call, &call->out_status);
	if (add_metadata(&fields, call, &call->out_trailers) < 0) {
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	mrpc_lane_next(&call->out);
	stream->data_done = true;
	if (submit_response(stream, &fields, false) == 0)
		mrpc_stream_completed(stream);
}

static void submit_headers(struct mrpc_stream *stream)
{
	struct minirpc_call *call = stream->call;
	FIELDS(fields);

	if (fields_init(&fields, call, call->out_headers.count) < 0) {
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	add(&fields, &status_200);
	add_content_type(&fields, call->content_type);
	add_encoding(&fields, call);
	tell_what_we_accept(&fields, stream);
	if (add_metadata(&fields, call, &call->out_headers) < 0) {
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	mrpc_lane_next(&call->out);
	if (submit_response(stream, &fields, true) == 0 && call->out.unread > LONG_DATA)
		mrpc_stream_resume(stream);
}

void mrpc_stream_submit_answer(struct mrpc_stream *stream)
{
	const struct mrpc_answer *answer = &stream->answer;
	FIELDS(fields);

	fields_init(&fields, NULL, 0);
	add(&fields, answer->http_status == 400   ? &status_400
		     : answer->http_status == 405 ? &status_405
		     : answer->http_status == 415 ? &status_415
						  : &status_200);
	if (answer->http_status == 405)
		add(&fields, &allow_post);
	if (!answer->bare)
		add_content_type(&fields, stream->pin != NULL ? stream->pin->content_type
							    : answer->content_type);
	else if (answer->body != NULL)
		add(&fields, &text_plain);
	add_answer(&fields, stream->conn, answer);
	stream->body = answer->body;
	stream->data_done = answer->body == NULL;
	submit_response(stream, &fields, answer->body != NULL);
}

void mrpc_stream_submit_trailers(struct mrpc_stream *stream)
{
	struct minirpc_call *call = stream->call;
	FIELDS(fields);
	int r = 0;

	if (stream->closed)
		return;
	if (stream->answered) {
		fields_init(&fields, NULL, 0);
		add_answer(&fields, stream->conn, &stream->answer);
	} else if (call == NULL) {
		return; /* cut meanwhile: a reset is due */
	} else {
		r = fields_init(&fields, call, call->out_trailers.count);
		if (r == 0) {
			add_status(&fields, call, &call->out_status);
			r = add_metadata(&fields, call, &call->out_trailers);
		}
		if (r < 0) { /* what was promised cannot be said */
			mrpc_stream_completed(stream);
			mrpc_stream_due_reset(stream, NGHTTP2_INTERNAL_ERROR);
			return;
		}
	}
	r = nghttp2_submit_trailer(stream->conn->session, stream->id, fields.at, fields.count);
	if (r != 0)
		mrpc_conn_fatal(stream->conn, r);
	else
		mrpc_stream_completed(stream);
}

/* ---- What the lane holds ---- */

static void pull_client(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;

	if (stream->headers_out) {
		mrpc_stream_resume(stream);
		return;
	}
	if (mrpc_list_is_linked(&stream->wait_node) || mrpc_lane_peek(&stream->call->out) == NULL)
		return;
	if (stream->call->out.was_cut) /* it will let go of us */
		return;
	if (mrpc_conn_has_room(conn))
		submit_request(stream);
	else
		mrpc_list_push(&conn->waiting, &stream->wait_node); /* W-12 */
}

void mrpc_stream_pull(struct mrpc_stream *stream)
{
	const struct mrpc_part *part = mrpc_lane_peek(&stream->call->out);

	if (stream->conn->role == MRPC_CLIENT) {
		pull_client(stream);
	} else if (stream->headers_out) {
		if (part != NULL)
			mrpc_stream_resume(stream);
	} else if (part != NULL && !stream->call->out.was_cut) {
		if (part->kind == MRPC_HEADERS)
			submit_headers(stream);
		else
			submit_trailers_only(stream);
	}
}

/* ---- Callbacks ---- */

static bool is_error(uint32_t error_code)
{
	return error_code != NGHTTP2_NO_ERROR && error_code != NGHTTP2_CANCEL;
}

static void sent_reset(struct mrpc_conn *conn, const struct mrpc_stream *stream,
		       uint32_t error_code)
{
	enum mrpc_breach breach = MRPC_BREACH_NONE;

	/* nghttp2 refuses by itself, and tells nobody, while our SETTINGS are not acknowledged. */
	if (error_code == NGHTTP2_REFUSED_STREAM && stream == NULL && conn->role == MRPC_SERVER)
		MRPC_COUNT(conn, refused_streams, 1);
	if (error_code == NGHTTP2_REFUSED_STREAM)
		breach = mrpc_guard_refused(&conn->guard, conn->now);
	else if (is_error(error_code) && (stream == NULL || !stream->too_large)) /* that is ours */
		breach = mrpc_guard_caused_reset(&conn->guard, conn->now);
	if (conn->breach == MRPC_BREACH_NONE)
		conn->breach = breach;
}

static void sent_end_stream(nghttp2_session *session, struct mrpc_conn *conn, int32_t id)
{
	struct mrpc_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	if (stream == NULL)
		return;
	stream->we_done = true;
	/* The client need not send what nobody reads [W-22]. */
	if (conn->role == MRPC_SERVER && !stream->peer_done)
		mrpc_stream_due_reset(stream, NGHTTP2_NO_ERROR);
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct mrpc_conn *conn = user;

	switch (frame->hd.type) {
	case NGHTTP2_DATA:
		mrpc_guard_sent_data(&conn->guard);
		/* fall through */
	case NGHTTP2_HEADERS:
		conn->guard.pings.pardon = true;
		if (frame->hd.type == NGHTTP2_HEADERS && conn->role == MRPC_CLIENT)
			mrpc_guard_opened(&conn->guard); /* we send no others */
		if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
			sent_end_stream(session, conn, frame->hd.stream_id);
		break;
	case NGHTTP2_RST_STREAM:
		sent_reset(conn,
			   nghttp2_session_get_stream_user_data(session, frame->hd.stream_id),
			   frame->rst_stream.error_code);
		break;
	case NGHTTP2_GOAWAY:
		/* nghttp2 gave the connection up by itself; the text says why. */
		if (frame->goaway.error_code != NGHTTP2_NO_ERROR && conn->reason[0] == '\0')
			snprintf(conn->reason, sizeof conn->reason, "HTTP/2 error %s: %.*s",
				 mrpc_reset_name(frame->goaway.error_code),
				 (int)smaller(frame->goaway.opaque_data_len, 80),
				 (const char *)frame->goaway.opaque_data);
		break;
	default:
		break;
	}
	return 0;
}

/* Our HEADERS could not be sent: too large, or the stream is closing anyway. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
			     void *user)
{
	struct mrpc_stream *stream;

	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (stream == NULL)
		return 0;
	stream->not_sent = true;
	stream->too_large = error == NGHTTP2_ERR_FRAME_SIZE_ERROR;
	if (stream->too_large && stream->conn->role == MRPC_SERVER)
		mrpc_stream_due_reset(stream, NGHTTP2_INTERNAL_ERROR);
	return 0;
}

void mrpc_conn_out_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
}

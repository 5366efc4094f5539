/* SPDX-License-Identifier: MIT */
/* Conn, inward: nghttp2's callbacks. They record, push parts into lanes and wake tasks; whatever
 * nghttp2 should be told of it is marked as due (see inside.h). */
#include "h2/inside.h"

#include "base/text.h"
#include "wire/base64.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FIELD_OVERHEAD 32u /* what HPACK's size of a field adds [M-5] */
#define BOMB 4u /* so many times over the limit the connection is at fault, not the call */

/* ---- Header blocks ---- */

int mrpc_block_decode(struct mrpc_conn *conn, const char *text, size_t len, size_t *ret_len)
{
	mrpc_buf_empty(&conn->scratch);
	if (mrpc_buf_reserve(&conn->scratch, mrpc_base64_decoded_max(len)) < 0)
		return -ENOMEM;
	return mrpc_base64_decode(conn->scratch.data, ret_len, text, len);
}

/* Over the limit nothing more is kept. */
static void count_one(struct mrpc_conn *conn)
{
	struct mrpc_block *block = &conn->block;

	block->fields++;
	if (block->bytes > conn->limits.max_header_bytes ||
	    block->fields > conn->limits.max_header_fields)
		block->too_large = true;
}

static void note_error(struct mrpc_block *block, int error)
{
	if (error == -ENOMEM)
		block->no_memory = true;
	else if (error < 0)
		block->bad_metadata = true;
}

/* Several values may have been joined with commas on the way [M-2, M-3]. */
static void add_binary(struct mrpc_conn *conn, const char *name, size_t name_len, const char *value,
		       size_t value_len)
{
	struct mrpc_block *block = &conn->block;

	for (;;) {
		const char *comma = value_len == 0 ? NULL : memchr(value, ',', value_len);
		size_t len = comma == NULL ? value_len : (size_t)(comma - value);
		size_t decoded;
		int r = mrpc_block_decode(conn, value, len, &decoded);

		if (r == 0)
			r = mrpc_metadata_add(block->into, name, name_len, conn->scratch.data,
					      decoded);
		if (r < 0) {
			note_error(block, r);
			return;
		}
		if (comma != NULL)
			count_one(conn); /* each costs as much as a field of its own */
		if (comma == NULL || block->too_large)
			return;
		value_len -= len + 1;
		value = comma + 1;
		while (value_len > 0 && *value == ' ') {
			value++;
			value_len--;
		}
	}
}

void mrpc_block_add(struct mrpc_conn *conn, const char *name, size_t name_len, const char *value,
		    size_t value_len)
{
	struct mrpc_block *block = &conn->block;

	if (block->into == NULL)
		return;
	if (mrpc_metadata_key_is_binary(name, name_len))
		add_binary(conn, name, name_len, value, value_len);
	else
		note_error(block, mrpc_metadata_add(block->into, name, name_len, value, value_len));
}

void mrpc_block_encoding(struct mrpc_conn *conn, const char *value, size_t len)
{
	struct mrpc_block *block = &conn->block;

	if (mrpc_equals(value, len, "identity"))
		return;
	block->compressor = mrpc_compressors_find(conn->compressors, value, len);
	if (block->compressor == NULL)
		block->bad_encoding = true;
}

/* The list counts as M-5 says. Far over the limit it is a bomb: HPACK makes thousands of bytes of
 * one. */
static int count_field(struct mrpc_conn *conn, size_t name_len, size_t value_len)
{
	struct mrpc_block *block = &conn->block;

	block->bytes += name_len + value_len + FIELD_OVERHEAD;
	count_one(conn);
	if (block->bytes <= (size_t)conn->limits.max_header_bytes * BOMB)
		return 0;
	conn->breach = MRPC_BREACH_HEADER_LIST;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct mrpc_conn *conn = user;
	struct mrpc_stream *stream;

	conn->block = (struct mrpc_block){ .timeout = MINIRPC_NEVER };
	if (conn->role == MRPC_SERVER && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		return mrpc_request_begin(conn, frame->hd.stream_id);

	stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (stream != NULL && conn->role == MRPC_CLIENT)
		mrpc_response_begin(conn, stream, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *user)
{
	struct mrpc_conn *conn = user;
	enum mrpc_header header;
	int r;

	(void)session;
	(void)frame;
	(void)flags;
	r = count_field(conn, name_len, value_len);
	if (r != 0 || conn->block.stream == NULL || conn->block.too_large)
		return r;
	header = mrpc_header_classify((const char *)name, name_len);
	if (conn->role == MRPC_SERVER)
		mrpc_request_field(conn, header, (const char *)name, name_len, (const char *)value,
				   value_len);
	else
		mrpc_response_field(conn, header, (const char *)name, name_len, (const char *)value,
				    value_len);
	return 0;
}

/* Fields that nghttp2 drops cost their decoding all the same. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
			     const uint8_t *name, size_t name_len, const uint8_t *value,
			     size_t value_len, uint8_t flags, void *user)
{
	(void)session;
	(void)frame;
	(void)name;
	(void)value;
	(void)flags;
	return count_field(user, name_len, value_len);
}

/* ---- Frames ---- */

static void on_end_stream(struct mrpc_stream *stream)
{
	stream->peer_done = true;
	if (stream->conn->role == MRPC_SERVER)
		mrpc_request_half_close(stream);
	else
		mrpc_response_without_trailers(stream);
}

static void on_headers(struct mrpc_conn *conn, struct mrpc_stream *stream,
		       const nghttp2_frame *frame)
{
	bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (conn->role == MRPC_CLIENT) {
		if (end)
			stream->peer_done = true;
		mrpc_response_end(conn, stream, end);
		return;
	}
	/* Trailers of a request say nothing to gRPC [W-10]. */
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		mrpc_request_end(conn, stream);
	if (end)
		on_end_stream(stream);
}

static void on_goaway(struct mrpc_conn *conn, const nghttp2_goaway *goaway)
{
	int text = goaway->opaque_data_len > 80 ? 80 : (int)goaway->opaque_data_len;

	conn->goaway_received = true;
	conn->goaway_due = true;
	conn->goaway_last = goaway->last_stream_id;
	if (goaway->error_code == NGHTTP2_ENHANCE_YOUR_CALM &&
	    mrpc_equals((const char *)goaway->opaque_data, goaway->opaque_data_len,
			"too_many_pings"))
		conn->too_many_pings = true; /* K-3 */
	if (goaway->error_code != NGHTTP2_NO_ERROR && conn->reason[0] == '\0')
		snprintf(conn->reason, sizeof conn->reason, "the peer said GOAWAY: %s %.*s",
			 mrpc_reset_name(goaway->error_code), text,
			 text == 0 ? "" : (const char *)goaway->opaque_data);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct mrpc_conn *conn = user;
	struct mrpc_stream *stream;
	bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;

	switch (frame->hd.type) {
	case NGHTTP2_DATA:
		if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
			break;
		stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
		if (stream != NULL)
			on_end_stream(stream);
		break;
	case NGHTTP2_HEADERS:
		stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
		if (stream != NULL)
			on_headers(conn, stream, frame);
		conn->block.stream = NULL;
		break;
	case NGHTTP2_SETTINGS:
		if (!ack)
			conn->settings_received = true;
		break;
	case NGHTTP2_PING:
		if (ack)
			mrpc_ping_received_ack(conn, frame->ping.opaque_data);
		else if (conn->breach == MRPC_BREACH_NONE)
			conn->breach = mrpc_guard_ping(&conn->guard, conn->open > 0, conn->now);
		break;
	case NGHTTP2_GOAWAY:
		on_goaway(conn, &frame->goaway);
		break;
	default:
		break;
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
			 size_t len, void *user)
{
	struct mrpc_conn *conn = user;
	struct mrpc_stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	/* The connection's credit goes back on arrival, so that a call that nobody reads holds up
	 * none but itself. */
	conn->arrived += (uint32_t)len;
	if (stream != NULL)
		mrpc_stream_receive(stream, data, len);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
	struct mrpc_stream *stream = nghttp2_session_get_stream_user_data(session, id);
	struct mrpc_conn *conn = user;

	if (stream != NULL) {
		stream->closed = true;
		stream->close_code = error_code;
		conn->open--;
		conn->idle_at = conn->now;
		mrpc_stream_due(stream, MRPC_DUE_CLOSED);
	}
	return 0;
}

void mrpc_conn_in_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

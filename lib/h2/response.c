/* SPDX-License-Identifier: MIT */
/* Response: a client reads the header blocks of an answer, and finds out how the call ended.
 *
 *	1xx*  HEADERS  DATA*  HEADERS(END_STREAM)      the usual answer [W-17]
 *	1xx*  HEADERS(END_STREAM)                      trailers-only [W-18]
 *
 * The status is what the last block's grpc-status says; without one, what the HTTP status means
 * [S-3]. */
#include "h2/inside.h"

#include "base/cold.h"
#include "base/text.h"
#include "wire/percent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HTTP_OK 200u

void mrpc_response_begin(struct mrpc_conn *conn, struct mrpc_stream *stream, bool end_stream)
{
	struct minirpc_call *call = stream->call;
	struct mrpc_block *block = &conn->block;

	if (call == NULL)
		return;
	block->stream = stream;
	block->into = stream->final_headers || end_stream ? &call->in_trailers : &call->in_headers;
	block->into->count = 0; /* what a 1xx block left there */
	block->into->bytes = 0;
}

static void set_http_status(struct mrpc_block *block, const char *value, size_t len)
{
	uint32_t status;

	if (!mrpc_parse_u32(value, len, &status))
		status = 0;
	block->informational = status >= 100 && status < 200;
	if (block->informational)
		block->into = NULL; /* W-21 */
	else
		block->stream->http_status = status;
}

MRPC_COLD static bool is_same(const struct minirpc_call *call, const char *value, size_t len)
{
	char subtype[MRPC_SUBTYPE_SIZE];

	return mrpc_subtype_lower(subtype, value, len) &&
	       strcmp(subtype, minirpc_call_subtype(call)) == 0;
}

/* What the server sends is what we sent [W-9]. */
static bool is_ours(const struct minirpc_call *call, const char *value, size_t len)
{
	return (call->content_type == NULL && value == mrpc_subtype_proto) ||
	       is_same(call, value, len);
}

static void set_content_type(struct mrpc_block *block, const char *value, size_t len)
{
	const char *subtype;
	size_t subtype_len;

	block->content_type = true;
	block->grpc_type = mrpc_content_type_is_grpc(value, len, &subtype, &subtype_len);
	block->subtype_ok = block->grpc_type && is_ours(block->stream->call, subtype, subtype_len);
}

/* Texts go to the call's arena; without memory the code stands alone. */
static void set_message(struct mrpc_block *block, const char *value, size_t len)
{
	char *text = mrpc_arena_alloc(&block->stream->call->arena, len + 1);

	if (text == NULL)
		return;
	text[mrpc_percent_decode(text, value, len)] = '\0';
	block->status.message = text;
}

static void set_details(struct mrpc_conn *conn, const char *value, size_t len)
{
	struct mrpc_block *block = &conn->block;
	size_t decoded;

	if (mrpc_block_decode(conn, value, len, &decoded) < 0)
		return; /* the code and the text are worth more than what was spoilt */
	block->status.details = mrpc_arena_strndup(&block->stream->call->arena,
						   (const char *)conn->scratch.data, decoded);
	block->status.details_len = block->status.details == NULL ? 0 : decoded;
}

void mrpc_response_field(struct mrpc_conn *conn, enum mrpc_header header, const char *name,
			 size_t name_len, const char *value, size_t value_len)
{
	struct mrpc_block *block = &conn->block;

	if (block->informational || block->stream->call == NULL)
		return;
	switch (header) {
	case MRPC_HEADER_STATUS:
		set_http_status(block, value, value_len);
		break;
	case MRPC_HEADER_CONTENT_TYPE:
		set_content_type(block, value, value_len);
		break;
	case MRPC_HEADER_GRPC_ENCODING:
		mrpc_block_encoding(conn, value, value_len);
		break;
	case MRPC_HEADER_GRPC_STATUS:
		block->has_status = true;
		mrpc_status_parse(value, value_len, &block->status.code); /* W-20: else UNKNOWN */
		break;
	case MRPC_HEADER_GRPC_MESSAGE:
		set_message(block, value, value_len);
		break;
	case MRPC_HEADER_GRPC_STATUS_DETAILS:
		set_details(conn, value, value_len);
		mrpc_block_add(conn, name, name_len, value, value_len); /* shown as metadata too */
		break;
	case MRPC_HEADER_CUSTOM:
	case MRPC_HEADER_GRPC_VISIBLE: /* M-4 */
		mrpc_block_add(conn, name, name_len, value, value_len);
		break;
	default:
		break;
	}
}

/* ---- How the call ended ---- */

static void end(struct mrpc_stream *stream, enum minirpc_code code, const char *text)
{
	if ((stream->due & MRPC_DUE_FAIL) != 0)
		return;
	stream->status = (struct minirpc_status){ .code = code, .message = text };
	if (!mrpc_stream_end_must_wait(stream))
		mrpc_stream_due(stream, MRPC_DUE_END);
}

/* The text for an HTTP status is made in the arena: rare, and it may be missing. */
static const char *http_text(struct mrpc_stream *stream)
{
	char text[48];
	const char *copy;

	snprintf(text, sizeof text, "unexpected HTTP status %u", stream->http_status);
	copy = mrpc_arena_strndup(&stream->call->arena, text, strlen(text));
	return copy == NULL ? "unexpected HTTP status" : copy;
}

static void end_by_http(struct mrpc_stream *stream, const char *text)
{
	if (stream->http_status != HTTP_OK)
		text = http_text(stream);
	end(stream, mrpc_status_from_http(stream->http_status), text); /* S-3; UNKNOWN for 200 */
}

static void end_by_trailers(struct mrpc_block *block, struct mrpc_stream *stream)
{
	if (!block->has_status) {
		end_by_http(stream, "no grpc-status"); /* W-20 */
	} else if (block->status.code != MINIRPC_OK) {
		end(stream, block->status.code, block->status.message);
		stream->status.details = block->status.details;
		stream->status.details_len = block->status.details_len;
	} else if (mrpc_deframer_is_partial(&stream->deframer) &&
		   !mrpc_stream_end_must_wait(stream)) {
		end(stream, MINIRPC_INTERNAL, "truncated message"); /* W-14 */
	} else {
		end(stream, MINIRPC_OK, ""); /* S-2: no text with OK */
	}
}

/* True: the block is of no use, and the call has failed for it. */
static bool is_spoilt(struct mrpc_conn *conn, struct mrpc_stream *stream)
{
	const struct mrpc_block *block = &conn->block;

	if (block->too_large) {
		MRPC_COUNT(conn, refused_headers, 1);
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED,
				 "metadata larger than the limit");
	} else if (block->no_memory) {
		mrpc_stream_fail(stream, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	} else if (block->bad_metadata) {
		mrpc_stream_fail(stream, MINIRPC_INTERNAL, "malformed binary metadata");
	} else {
		return false;
	}
	return true;
}

/* The headers of an answer that goes on. A grpc-status among them means nothing yet [W-19]. */
static void begin_answer(struct mrpc_conn *conn, struct mrpc_stream *stream)
{
	const struct mrpc_block *block = &conn->block;

	stream->final_headers = true;
	if (!block->grpc_type) { /* W-21 */
		mrpc_stream_fail(stream, mrpc_status_from_http(stream->http_status),
				 stream->http_status == HTTP_OK ? "the answer is not gRPC"
								: http_text(stream));
	} else if (!block->subtype_ok) {
		mrpc_stream_fail(stream, MINIRPC_INTERNAL, "unexpected content subtype"); /* W-9 */
	} else if (block->bad_encoding) {
		mrpc_stream_fail(stream, MINIRPC_INTERNAL, "unknown grpc-encoding"); /* C-3 */
	} else {
		stream->call->in_compressor = block->compressor;
		mrpc_call_received_headers(stream->call);
	}
}

void mrpc_response_end(struct mrpc_conn *conn, struct mrpc_stream *stream, bool end_stream)
{
	struct mrpc_block *block = &conn->block;

	if (block->stream != stream)
		return;
	if (block->informational) { /* one is a courtesy, many are a flood */
		if (conn->breach == MRPC_BREACH_NONE)
			conn->breach = mrpc_guard_informational(&conn->guard, conn->now);
		return;
	}
	if (stream->call == NULL || is_spoilt(conn, stream))
		return;
	if (!end_stream)
		begin_answer(conn, stream);
	else if (!stream->final_headers && block->content_type && !block->grpc_type &&
		 !block->has_status)
		end_by_http(stream, "the answer is not gRPC");
	else
		end_by_trailers(block, stream);
}

/* END_STREAM on DATA [W-19]. */
void mrpc_response_without_trailers(struct mrpc_stream *stream)
{
	if (stream->call == NULL)
		return;
	if (stream->http_status != HTTP_OK)
		end_by_http(stream, "");
	else
		end(stream, MINIRPC_INTERNAL, "the answer ended without trailers");
}

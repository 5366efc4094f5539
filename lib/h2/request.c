/* SPDX-License-Identifier: MIT */
/* Request: a server reads the header block of a call that comes in, and judges it.
 *
 * The call exists from the first field on, so that each field goes straight into its arena. What is
 * wrong with the block is only noted; the end of the block answers, or routes. */
#include "h2/inside.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static const char hint[] = "This is a gRPC server: POST, with content-type application/grpc.\n";

static const struct mrpc_answer not_grpc = { .http_status = 415, /* W-5 */
					     .bare = true,
					     .late = true,
					     .body = hint };
static const struct mrpc_answer not_post = { .http_status = 405, /* W-6 */
					     .bare = true,
					     .late = true,
					     .body = hint };
static const struct mrpc_answer head = { .http_status = 405, .bare = true, .late = true };
static const struct mrpc_answer bad_authority = { .http_status = 400, /* W-7 */
						  .code = MINIRPC_INTERNAL,
						  .text = "malformed authority" };
static const struct mrpc_answer bad_timeout = { .http_status = 400, /* D-1 */
						.code = MINIRPC_INTERNAL,
						.text = "malformed grpc-timeout" };
static const struct mrpc_answer bad_metadata = { .http_status = 400, /* M-2 */
						 .code = MINIRPC_INTERNAL,
						 .text = "malformed binary metadata" };
static const struct mrpc_answer bad_path = { .http_status = 200, /* W-8 */
					     .code = MINIRPC_UNIMPLEMENTED,
					     .text = "malformed method name" };
static const struct mrpc_answer bad_subtype = { .http_status = 200, /* W-9 */
						.code = MINIRPC_UNIMPLEMENTED,
						.text = "unknown content subtype" };
static const struct mrpc_answer bad_encoding = { .http_status = 200, /* C-3 */
						 .accept_encoding = true,
						 .code = MINIRPC_UNIMPLEMENTED,
						 .text = "unknown grpc-encoding" };
static const struct mrpc_answer too_large = { .http_status = 200, /* M-5 */
					      .code = MINIRPC_RESOURCE_EXHAUSTED,
					      .text = "metadata larger than the limit" };
static const struct mrpc_answer too_late = { .http_status = 200, /* D-3 */
					     .code = MINIRPC_DEADLINE_EXCEEDED,
					     .text = "deadline exceeded" };
static const struct mrpc_answer no_memory = { .http_status = 200,
					      .code = MINIRPC_RESOURCE_EXHAUSTED,
					      .text = "out of memory" };

int mrpc_request_begin(struct mrpc_conn *conn, int32_t id)
{
	size_t running = mrpc_conn_running(conn);
	struct mrpc_stream *stream = mrpc_stream_new(conn);
	struct minirpc_call *call;

	if (stream == NULL) {
		if (conn->unrecorded_count == sizeof conn->unrecorded / sizeof *conn->unrecorded)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* INTERNAL_ERROR, then */
		conn->unrecorded[conn->unrecorded_count++] = id;
		return 0;
	}
	stream->id = id;
	conn->open++;
	nghttp2_session_set_stream_user_data(conn->session, id, stream);
	if (id > conn->last_taken) { /* G-2: we have said that we do not take it */
		mrpc_stream_due_reset(stream, NGHTTP2_REFUSED_STREAM);
		return 0;
	}
	if (running >= conn->limits.max_streams) { /* W-12 */
		MRPC_COUNT(conn, refused_streams, 1);
		mrpc_stream_due_reset(stream, NGHTTP2_REFUSED_STREAM);
		return 0;
	}
	call = mrpc_blank_take(conn);
	if (call == NULL) {
		mrpc_stream_fail_http(stream, &no_memory);
		return 0;
	}
	stream->pin = mrpc_call_ref(call);
	conn->block.stream = stream;
	conn->block.into = &call->in_headers;
	return 0;
}

static void set_text(struct mrpc_block *block,
		     int (*set)(struct minirpc_call *call, const char *text, size_t len),
		     const char *value, size_t len)
{
	if (set(block->stream->pin, value, len) < 0)
		block->no_memory = true;
}

static void set_authority(struct mrpc_block *block, const char *value, size_t len)
{
	/* RFC 9113, 8.3.1: no userinfo. nghttp2 lets it pass before 1.64. */
	if (memchr(value, '@', len) != NULL)
		block->bad_authority = true;
	set_text(block, mrpc_call_set_authority, value, len);
}

static void set_accept_encoding(struct mrpc_conn *conn, const char *value, size_t len)
{
	uint32_t accepts = conn->accepts;

	if (len != conn->accept_len || memcmp(value, conn->accept_text, len) != 0) {
		accepts = mrpc_compressors_in(conn->compressors, value, len);
		if (len <= sizeof conn->accept_text) {
			memcpy(conn->accept_text, value, len);
			conn->accept_len = len;
			conn->accepts = accepts;
		}
	}
	conn->block.stream->pin->accepts |= accepts;
}

static void set_subtype(struct mrpc_block *block, const char *value, size_t len)
{
	char subtype[MRPC_SUBTYPE_SIZE];

	block->subtype_ok = mrpc_subtype_lower(subtype, value, len);
	if (block->subtype_ok && mrpc_call_set_subtype(block->stream->pin, subtype) < 0)
		block->no_memory = true;
}

/* Whether anybody speaks it is the router's question [W-9]. */
static void set_content_type(struct mrpc_block *block, const char *value, size_t len)
{
	const char *subtype;
	size_t subtype_len;

	block->content_type = block->subtype_ok = true;
	block->grpc_type = mrpc_content_type_is_grpc(value, len, &subtype, &subtype_len);
	block->stream->pin->content_type = NULL;
	if (block->grpc_type && subtype != mrpc_subtype_proto)
		set_subtype(block, subtype, subtype_len);
}

void mrpc_request_field(struct mrpc_conn *conn, enum mrpc_header header, const char *name,
			size_t name_len, const char *value, size_t value_len)
{
	struct mrpc_block *block = &conn->block;

	switch (header) {
	case MRPC_HEADER_METHOD:
		block->post = mrpc_equals(value, value_len, "POST");
		block->head = mrpc_equals(value, value_len, "HEAD"); /* RFC 9110, 9.3.2: no body */
		break;
	case MRPC_HEADER_PATH:
		set_text(block, mrpc_call_set_path, value, value_len);
		break;
	case MRPC_HEADER_AUTHORITY:
		set_authority(block, value, value_len);
		break;
	case MRPC_HEADER_HOST: /* W-7: only when there is no :authority, which would come first */
		if (block->stream->pin->authority[0] == '\0')
			set_authority(block, value, value_len);
		break;
	case MRPC_HEADER_TE:
		block->te = true; /* nghttp2 lets only "trailers" pass */
		break;
	case MRPC_HEADER_CONTENT_TYPE:
		set_content_type(block, value, value_len);
		break;
	case MRPC_HEADER_GRPC_TIMEOUT:
		if (mrpc_timeout_parse(value, value_len, &block->timeout) < 0)
			block->bad_timeout = true;
		break;
	case MRPC_HEADER_GRPC_ENCODING:
		mrpc_block_encoding(conn, value, value_len);
		break;
	case MRPC_HEADER_GRPC_ACCEPT_ENCODING:
		set_accept_encoding(conn, value, value_len);
		break;
	case MRPC_HEADER_CUSTOM:
	case MRPC_HEADER_USER_AGENT: /* M-4 */
	case MRPC_HEADER_GRPC_VISIBLE:
		mrpc_block_add(conn, name, name_len, value, value_len);
		break;
	default: /* M-4: hidden */
		break;
	}
}

/* What is wrong with the request; NULL: nothing. */
static const struct mrpc_answer *judge(const struct mrpc_block *block,
				       const struct minirpc_call *call)
{
	if (block->too_large)
		return &too_large;
	if (!block->post)
		return block->head ? &head : &not_post;
	if (!block->grpc_type)
		return &not_grpc;
	if (block->no_memory)
		return &no_memory;
	if (block->bad_authority)
		return &bad_authority;
	if (block->bad_timeout)
		return &bad_timeout;
	if (block->bad_metadata)
		return &bad_metadata;
	if (!mrpc_path_is_valid(call->path, strlen(call->path)))
		return &bad_path;
	if (!block->subtype_ok)
		return &bad_subtype;
	if (block->bad_encoding)
		return &bad_encoding;
	if (block->timeout <= 0)
		return &too_late;
	return NULL;
}

void mrpc_request_end(struct mrpc_conn *conn, struct mrpc_stream *stream)
{
	struct mrpc_block *block = &conn->block;
	struct minirpc_call *call = stream->pin;
	const struct mrpc_answer *answer;

	if (block->stream != stream) /* refused before it was read */
		return;
	answer = judge(block, call);
	if (answer == &too_large)
		MRPC_COUNT(conn, refused_headers, 1);
	if (answer == &bad_timeout)
		MRPC_COUNT(conn, refused_timeouts, 1);
	if (answer != NULL) {
		mrpc_request_refuse(stream, answer);
		return;
	}
	if (!mrpc_request_is_admitted(stream))
		return;
	if (mrpc_call_admitted(call, conn->call_config.interceptors) < 0) {
		mrpc_stream_fail_http(stream, &no_memory);
		return;
	}
	if (!block->te) /* W-3 */
		MRPC_COUNT(conn, missing_te, 1);
	if (block->timeout != MINIRPC_NEVER)
		mrpc_call_set_deadline(call, mrpc_time_add(conn->now, block->timeout));
	call->in_compressor = block->compressor;
	if (conn->call_config.compression != NULL &&
	    mrpc_call_accepts(call, conn->call_config.compression)) /* C-4 */
		call->out_compressor = conn->call_config.compression;
	stream->routed = true;
	mrpc_stream_attach(stream, call);
	mrpc_call_received_headers(call);
}

void mrpc_request_half_close(struct mrpc_stream *stream)
{
	if (stream->call == NULL || mrpc_stream_end_must_wait(stream))
		return;
	if (mrpc_deframer_is_partial(&stream->deframer))
		mrpc_stream_fail(stream, MINIRPC_INTERNAL, "truncated message"); /* W-14 */
	else
		mrpc_call_received_half_close(stream->call);
}

/* SPDX-License-Identifier: MIT */
/* Session: nghttp2, set up as limits.md section 2 wants it.
 *
 * Newer options are used where the build finds their symbol; a distribution's back-ports make
 * versions say nothing. */
#include "h2/inside.h"

#include "base/alloc.h"
#include "h2/have.h" /* made by meson */

#include <errno.h>

#define HTTP2_WINDOW 65535 /* RFC 9113, 6.9.2 */
#define ASSUMED_STREAMS 100u
#define OUTBOUND_ACKS 100u
#define SETTINGS_ENTRIES 32u
#define SEND_HEADERS_MAX (64u << 10)

/* We count CONTINUATIONs ourselves; nghttp2's own count, 8 by default, ends a connection without a
 * GOAWAY. */
#define CONTINUATIONS 1000u

static void *mem_malloc(size_t size, void *zone)
{
	return mrpc_zone_alloc(zone, size);
}

static void mem_free(void *p, void *zone)
{
	mrpc_zone_free(zone, p);
}

static void *mem_calloc(size_t n, size_t size, void *zone)
{
	size_t total;

	return mrpc_mul(n, size, &total) ? mrpc_zone_zalloc(zone, total) : NULL;
}

static void *mem_realloc(void *p, size_t size, void *zone)
{
	return mrpc_zone_realloc(zone, p, size);
}

static void set_options(nghttp2_option *option)
{
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS);
	nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES);
	nghttp2_option_set_peer_max_concurrent_streams(option, ASSUMED_STREAMS);
	nghttp2_option_set_max_send_header_block_length(option, SEND_HEADERS_MAX);
	/* grpc-go and gRPC C++ send a status text that ends in a space as it is, which RFC 9113,
	 * 8.2.1 forbids: nghttp2 would drop the field, and the caller never see why it failed. */
	nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
#ifdef MRPC_HAVE_STREAM_RESET_RATE_LIMIT
	/* The guard's bucket is stricter, and fairer: it knows of calls that ran to their end. Two
	 * judges would end a busy connection on which deadlines expire; and this one reads the
	 * clock by itself. */
	nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX, UINT64_MAX);
#endif
#ifdef MRPC_HAVE_MAX_CONTINUATIONS
	nghttp2_option_set_max_continuations(option, CONTINUATIONS);
#endif
#ifdef MRPC_HAVE_GLITCH_RATE_LIMIT
	nghttp2_option_set_glitch_rate_limit(option, UINT64_MAX, UINT64_MAX); /* guard: errors */
#endif
}

static int submit_settings(struct mrpc_conn *conn)
{
	const struct minirpc_conn_limits *limits = &conn->limits;
	nghttp2_settings_entry entries[5];
	size_t n = 0;

	entries[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
						 limits->stream_window };
	entries[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
						 limits->max_header_bytes };
	entries[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 };
	if (conn->role == MRPC_SERVER)
		entries[n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
							 limits->max_streams };
	else
		entries[n++] =
			(nghttp2_settings_entry){ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 }; /* N-1 */
	if (nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, entries, n) != 0)
		return -ENOMEM;
	if (limits->conn_window != HTTP2_WINDOW &&
	    nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0,
						  (int32_t)limits->conn_window) != 0)
		return -ENOMEM;
	return 0;
}

int mrpc_session_new(struct mrpc_conn *conn)
{
	nghttp2_mem mem = { &conn->zone, mem_malloc, mem_free, mem_calloc, mem_realloc };
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r;

	/* These two come from malloc, not from mem: nghttp2 offers no other way. */
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return -ENOMEM;
	if (nghttp2_option_new(&option) != 0) {
		nghttp2_session_callbacks_del(callbacks);
		return -ENOMEM;
	}
	set_options(option);
	mrpc_conn_in_callbacks(callbacks);
	mrpc_conn_out_callbacks(callbacks);
	r = conn->role == MRPC_SERVER
		    ? nghttp2_session_server_new3(&conn->session, callbacks, conn, option, &mem)
		    : nghttp2_session_client_new3(&conn->session, callbacks, conn, option, &mem);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	if (r != 0) {
		conn->session = NULL;
		return -ENOMEM;
	}
	return submit_settings(conn);
}

void mrpc_session_free(struct mrpc_conn *conn)
{
	if (conn->session != NULL && !conn->no_memory)
		nghttp2_session_del(conn->session);
	conn->session = NULL;
}

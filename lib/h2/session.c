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

/* Every block that nghttp2 has is in a list. After a failed allocation its session cannot be deleted
 * safely: Debian's 1.52 leaves a DATA item attached to its stream and freed at the same time
 * (nghttp2's fix 9277c1ab is in 1.61), and nghttp2_session_del ends the process. Then the blocks go
 * back without asking nghttp2. */
struct block {
	_Alignas(max_align_t) struct mrpc_list node;
};

static struct block *block_of(void *p)
{
	return (struct block *)p - 1;
}

static void *keep(struct mrpc_conn *conn, struct block *block)
{
	if (block == NULL)
		return NULL;
	mrpc_list_push(&conn->memory, &block->node);
	return block + 1;
}

static void *mem_malloc(size_t size, void *user)
{
	size_t total;

	return mrpc_add(size, sizeof(struct block), &total) ? keep(user, mrpc_alloc(total)) : NULL;
}

static void mem_free(void *p, void *user)
{
	(void)user;
	if (p == NULL)
		return;
	mrpc_list_remove(&block_of(p)->node);
	mrpc_free(block_of(p));
}

static void *mem_calloc(size_t n, size_t size, void *user)
{
	size_t total;

	if (!mrpc_mul(n, size, &total) || !mrpc_add(total, sizeof(struct block), &total))
		return NULL;
	return keep(user, mrpc_zalloc(total));
}

static void *mem_realloc(void *p, size_t size, void *user)
{
	struct block *block;
	size_t total;

	if (p == NULL)
		return mem_malloc(size, user);
	if (!mrpc_add(size, sizeof(struct block), &total))
		return NULL;
	mrpc_list_remove(&block_of(p)->node);
	block = mrpc_realloc(block_of(p), total);
	if (block == NULL) {
		keep(user, block_of(p));
		return NULL;
	}
	return keep(user, block);
}

static void set_options(nghttp2_option *option)
{
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS);
	nghttp2_option_set_max_settings(option, SETTINGS_ENTRIES);
	nghttp2_option_set_peer_max_concurrent_streams(option, ASSUMED_STREAMS);
	nghttp2_option_set_max_send_header_block_length(option, SEND_HEADERS_MAX);
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
	nghttp2_mem mem = { conn, mem_malloc, mem_free, mem_calloc, mem_realloc };
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r;

	mrpc_list_init(&conn->memory);
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
	if (r != 0)
		return -ENOMEM;

	r = submit_settings(conn);
	if (r < 0) {
		conn->no_memory = true;
		mrpc_session_free(conn);
	}
	return r;
}

void mrpc_session_free(struct mrpc_conn *conn)
{
	struct mrpc_list *node;

	if (!conn->no_memory)
		nghttp2_session_del(conn->session);
	while ((node = mrpc_list_pop(&conn->memory)) != NULL)
		mrpc_free(mrpc_container(node, struct block, node));
	conn->session = NULL;
}

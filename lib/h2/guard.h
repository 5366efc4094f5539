/* SPDX-License-Identifier: MIT */
/* Guard: counts what a peer does to a connection, and says when it is too much. Knows bytes and
 * time, but neither nghttp2 nor calls. See guard.c for the rules. */
#ifndef MRPC_H2_GUARD_H
#define MRPC_H2_GUARD_H

#include "h2/ids.h"

#include <minirpc/limits.h>

enum mrpc_breach {
	MRPC_BREACH_NONE,
	MRPC_BREACH_RESETS,        /* RST_STREAM received */
	MRPC_BREACH_ERRORS,        /* RST_STREAM that we had to send */
	MRPC_BREACH_CONTROL,       /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown frames */
	MRPC_BREACH_PRIORITY,      /* PRIORITY alone */
	MRPC_BREACH_UPDATES,       /* WINDOW_UPDATE alone */
	MRPC_BREACH_EMPTY_DATA,    /* too many in a row */
	MRPC_BREACH_TINY_DATA,     /* too small on average */
	MRPC_BREACH_CONTINUATIONS, /* frames of one header block */
	MRPC_BREACH_HEADER_WIRE,   /* compressed bytes of one header block */
	MRPC_BREACH_HEADER_LIST,   /* decoded bytes of one header block, far over */
	MRPC_BREACH_HEADER_TIME,   /* header block not finished in time */
	MRPC_BREACH_PINGS,         /* too many strikes [K-3] */
	/* Errors that nghttp2 lets pass. */
	MRPC_BREACH_STREAM_CLOSED, /* DATA or HEADERS behind the end of a stream */
	MRPC_BREACH_STREAM_ID,     /* a stream that can be opened no more */
	MRPC_BREACH_PRIORITY_ID    /* PRIORITY for no stream, or on itself */
};

/* Tokens that come with time, and are spent. Counted in thousandths, so that slow rates work. */
struct mrpc_bucket {
	int64_t tokens, burst; /* thousandths */
	int64_t per_second;    /* whole ones */
	minirpc_time at;       /* up to when refilled */
};

struct mrpc_guard {
	const struct minirpc_conn_limits *limits;
	bool server;

	/* Where we are in the peer's bytes: preface, frame head, payload. */
	unsigned preface_left;
	uint8_t head[9];
	unsigned head_len;
	uint32_t payload_left;
	uint8_t type, flags;
	uint32_t stream;
	uint32_t depends_on;   /* PRIORITY: what has been read of it */
	unsigned depends_left; /* payload bytes of it that are still to come */
	bool pad_due; /* the next payload byte says how much padding there is */

	bool in_block; /* from HEADERS to the last byte of the frame with END_HEADERS */
	uint32_t continuations, block_wire;
	struct mrpc_ids ids; /* server: of requests */

	uint32_t empty_row;
	uint32_t data_frames;
	uint64_t data_useful;

	uint64_t priority_left, updates_left; /* frames that are still explained */

	struct mrpc_bucket resets, errors, control;

	/* Server: the peer's PINGs, as A8 judges them. */
	struct {
		minirpc_time interval, lonely_interval; /* the second: without calls; below 0: any */
		minirpc_time valid_at;                  /* the last that came in time */
		unsigned strikes;
		bool pardon; /* HEADERS or DATA were sent: starts over */
	} pings;
};

/* limits must be complete and outlive the guard. */
void mrpc_guard_init(struct mrpc_guard *guard, const struct minirpc_conn_limits *limits,
		     bool server, minirpc_time now);

/* Looks at bytes that arrived. Returns how many of them may be used: all, or those before the frame
 * that is too much; then *ret_breach says why. */
size_t mrpc_guard_scan(struct mrpc_guard *guard, const uint8_t *data, size_t len, minirpc_time now,
		       enum mrpc_breach *ret_breach);

/* After the scanned bytes were used, and mrpc_guard_message told of the messages in them. */
enum mrpc_breach mrpc_guard_judge(struct mrpc_guard *guard);

/* A whole message arrived: however small, its frame was no waste. */
void mrpc_guard_message(struct mrpc_guard *guard);

/* Client: we opened a call. */
void mrpc_guard_opened(struct mrpc_guard *guard);

/* We sent a DATA frame: the peer may answer it with some WINDOW_UPDATEs. */
void mrpc_guard_sent_data(struct mrpc_guard *guard);

/* What is taken of the peer's PINGs; completed. Without this: any. */
void mrpc_guard_pings(struct mrpc_guard *guard, const struct minirpc_keepalive *keepalive);

/* A PING that is no answer arrived. */
enum mrpc_breach mrpc_guard_ping(struct mrpc_guard *guard, bool has_calls, minirpc_time now);

/* Client: a block of informational headers arrived, which nothing asked for. */
enum mrpc_breach mrpc_guard_informational(struct mrpc_guard *guard, minirpc_time now);

/* A call ran to its end: pays for one reset. */
void mrpc_guard_completed(struct mrpc_guard *guard);

/* We reset a stream for an error of the peer's. */
enum mrpc_breach mrpc_guard_caused_reset(struct mrpc_guard *guard, minirpc_time now);

/* We refused a stream. */
enum mrpc_breach mrpc_guard_refused(struct mrpc_guard *guard, minirpc_time now);

/* For the log and the reason: a sentence. */
const char *mrpc_breach_text(enum mrpc_breach breach);

#endif

/* SPDX-License-Identifier: MIT */
/* What one connection may cost. Zero means the default in the comment; each breach is counted by
 * name.
 *
 * A bad message costs its call, abuse costs its connection (GOAWAY ENHANCE_YOUR_CALM), nothing
 * costs the process. */
#ifndef MINIRPC_LIMITS_H
#define MINIRPC_LIMITS_H

#include <minirpc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct minirpc_conn_limits {
	uint32_t max_streams;   /* server: calls at once on a connection, counted until the handler
				   ends; 100 */
	uint32_t stream_window; /* receive credit of a call, bytes; 1 MiB; from 1 KiB to 2^31-1 */
	uint32_t conn_window;   /* receive credit of a connection, bytes; 16 MiB; from 65535 to
				   2^31-1 */
	uint32_t max_header_bytes;  /* sum of name + value + 32 of one header block [M-5]; 16 KiB */
	uint32_t max_header_fields; /* 128 */
	uint32_t max_continuations; /* CONTINUATION frames in one block; 8 */
	uint32_t max_header_wire;   /* compressed bytes of one block; 64 KiB */
	uint32_t resets_burst;      /* server: RST_STREAM received: this many at once, ... 200 */
	uint32_t resets_per_second; /* ... refilled at this rate, +1 for each call that ran to its
				       end; 33 */
	uint32_t errors_burst;      /* streams that we had to reset for the peer's errors; 200 */
	uint32_t errors_per_second; /* 20 */
	uint32_t empty_data;        /* empty DATA frames in a row; 100 */
	uint32_t control_burst; /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE and unknown frames, and
				   streams refused, beyond what DATA, requests and time (10/s)
				   explain; 1000 */
	uint32_t control_queue; /* control frames waiting to be sent before we stop reading; 100 */
	uint32_t unsent_bytes;  /* bytes waiting for the socket before we stop reading; 256 KiB */
	minirpc_time handshake_time;   /* TLS + preface + SETTINGS; 10 s */
	minirpc_time header_time;      /* from HEADERS to END_HEADERS; 10 s */
	minirpc_time write_stall_time; /* bytes waiting and none leaving; 30 s */
	void *reserved[4];             /* leave 0 */
};

/* How often a limit was met, since the connection or the server began. */
struct minirpc_conn_counts {
	uint64_t calls_started, calls_succeeded, calls_failed;
	uint64_t messages_sent, messages_received;
	uint64_t bytes_sent, bytes_received; /* on the wire, without TLS */
	uint64_t refused_streams;            /* over max_streams */
	uint64_t refused_headers;            /* header bytes or fields over the limit */
	uint64_t refused_messages;           /* message over the limit */
	uint64_t refused_decodes;            /* protobuf that the check refused */
	uint64_t closed_resets, closed_errors,
		closed_floods; /* connections ended for abuse, by kind */
	uint64_t closed_headers, closed_stalled, closed_handshake;
	uint64_t missing_te;      /* requests without "te: trailers" [W-3] */
	uint64_t forgotten_calls; /* the peer left and the handler has not ended its call for a
				     minute (found within two) */
	uint64_t reserved[8];
};

#ifdef __cplusplus
}
#endif

#endif

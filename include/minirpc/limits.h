/* SPDX-License-Identifier: MIT */
/* What one connection, and what comes over it, may cost. Zero means the default in the comment;
 * each breach is counted by name.
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
	uint32_t max_streams;   /* server: calls at once, until their handler ends them; 100 */
	uint32_t stream_window; /* receive credit of a call, bytes; 1 MiB; 1 KiB to 2^31-1 */
	uint32_t conn_window;   /* ... of a connection; 16 MiB; 65535 to 2^31-1 */

	uint32_t max_header_bytes;  /* sum of name + value + 32 of one header block [M-5]; 16 KiB */
	uint32_t max_header_fields; /* 128; "-bin" values joined by commas count each */
	uint32_t max_continuations; /* CONTINUATION frames in one block; 8 */
	uint32_t max_header_wire;   /* compressed bytes of one block; 64 KiB */

	/* Server: RST_STREAM received: so many at once, refilled at this rate, and by one for each
	 * call that ran to its end. */
	uint32_t resets_burst;      /* 200 */
	uint32_t resets_per_second; /* 33 */
	/* Streams that we had to reset for the peer's errors, in the same way. */
	uint32_t errors_burst;      /* 200 */
	uint32_t errors_per_second; /* 20 */
	uint32_t empty_data;        /* empty DATA frames in a row; 100 */
	/* Server: so many DATA frames must hold so many bytes on average, where one that ends a
	 * message counts as if it did (an average of 1: only empty ones are too small). */
	uint32_t tiny_data_frames;  /* 1000 */
	uint32_t tiny_data_average; /* 16 */
	/* Server: PRIORITY frames for each call, and as many to begin with; 100. */
	uint32_t priority_per_stream;
	/* WINDOW_UPDATE frames for each DATA frame that we sent, and for each call; as many to
	 * begin with; 10. */
	uint32_t updates_per_data;
	/* PING, SETTINGS, PRIORITY, WINDOW_UPDATE and unknown frames, and streams refused, beyond
	 * what DATA, requests and time (10/s) explain; 1000. */
	uint32_t control_burst;
	uint32_t control_queue; /* control frames waiting to be sent before we stop reading; 100 */
	uint32_t unsent_bytes;  /* bytes waiting for the socket before we stop reading; 256 KiB */

	/* Protobuf: messages inside each other; 100; at most 1000 (a KiB of stack each). */
	uint32_t max_decode_depth;
	/* Protobuf: what a decoded message may take is 64 KiB + 32 x its length, at most this; 64
	 * MiB; 64 KiB to 1 GiB. */
	uint32_t max_decode_bytes;
	/* Bytes of messages that are coming in and are larger than half a stream_window, of all
	 * calls of a connection; one may always come in, the next wait with a window full of
	 * theirs until there is room; 16 MiB. */
	uint32_t max_assembly;

	minirpc_time handshake_time;   /* TLS + preface + SETTINGS; 10 s */
	minirpc_time header_time;      /* from HEADERS to END_HEADERS; 10 s */
	minirpc_time write_stall_time; /* bytes waiting and none leaving; 30 s */
	void *reserved[4];             /* leave 0 */
};

/* PINGs that find out whether the other end is still there, and what we take of its PINGs. */
struct minirpc_keepalive {
	/* After so long without a byte from the peer we ask. Client: 0: never; below 10 s counts as
	 * 10 s [K-1]. Server: 0: 2 h; below 1 s counts as 1 s; MINIRPC_NEVER: never [K-2]. */
	minirpc_time time;
	/* Without an answer for so long the connection is given up; 0: 20 s. Also TCP_USER_TIMEOUT,
	 * while `time` is set [A18]. */
	minirpc_time timeout;
	bool without_calls; /* client: ask also while no call is open */

	/* Server: what is taken of a client [K-3]. */

	/* Between its PINGs; 0: 5 min, and without calls 2 h; < 0: any PING is taken. */
	minirpc_time min_interval;
	bool permit_without_calls; /* min_interval goes for connections without calls as well */
	void *reserved[2];         /* leave 0 */
};

/* What happened, and how often a limit was met, since the channel or the server began. Each breach
 * counts once, under one name. */
struct minirpc_conn_counts {
	uint64_t calls_started, calls_succeeded, calls_failed;
	uint64_t messages_sent, messages_received;
	uint64_t bytes_sent, bytes_received; /* on the wire, without TLS */

	/* What cost a call. */
	uint64_t refused_streams;  /* over max_streams */
	uint64_t refused_headers;  /* over max_header_bytes or max_header_fields */
	uint64_t refused_timeouts; /* a grpc-timeout that is malformed, or of more than 8 digits */
	uint64_t refused_messages; /* over max_receive_message */
	uint64_t refused_decodes;  /* codecs: malformed, nested too deeply, over the budget */

	/* What cost a connection. */
	uint64_t closed_resets;        /* resets_burst, resets_per_second */
	uint64_t closed_errors;        /* errors_burst, errors_per_second */
	uint64_t closed_empty_data;    /* empty_data */
	uint64_t closed_tiny_data;     /* tiny_data_frames, tiny_data_average */
	uint64_t closed_priority;      /* priority_per_stream */
	uint64_t closed_updates;       /* updates_per_data */
	uint64_t closed_floods;        /* control_burst; more answers asked for than may wait */
	uint64_t closed_headers;       /* four times over max_header_bytes */
	uint64_t closed_continuations; /* max_continuations */
	uint64_t closed_header_wire;   /* max_header_wire */
	uint64_t closed_header_time;   /* header_time */
	uint64_t closed_handshake;     /* handshake_time */
	uint64_t closed_stalled;       /* write_stall_time */

	/* What cost less. */
	uint64_t held_off;            /* stopped reading: control_queue, unsent_bytes */
	uint64_t refused_connections; /* server: over max_connections */
	uint64_t accept_pauses;       /* server: no descriptor or memory to accept with */
	uint64_t overflowed_replays;  /* channel: calls over max_replay */
	uint64_t missing_te;          /* requests without "te: trailers" [W-3] */
	/* The peer left, and the handler has not ended its call for a minute (found within two). */
	uint64_t forgotten_calls;
	uint64_t closed_pings;     /* server: too many PINGs [K-3] */
	uint64_t closed_keepalive; /* a PING was not answered */

	/* Server: turned away at the door. */
	uint64_t refused_admissions; /* by the admission hook */
	uint64_t refused_calls;      /* over max_calls */
	/* Over max_memory; also a message that found no room in it, as it came in, inflated or
	 * decoded (and any minirpc_call_alloc). */
	uint64_t refused_memory;

	/* Channel: more than one attempt. */
	uint64_t retries;             /* by a retry policy */
	uint64_t transparent_retries; /* the server never saw them */
	uint64_t hedges;              /* further attempts by a hedging policy */
	uint64_t throttled;           /* attempts that were not made for want of tokens */
	uint64_t pushed_back;         /* attempts that a server forbade, or put off */
	uint64_t reserved[8];
};

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* Limits: the defaults, their anchors in limits.md, section 3, and the ranges. */
#include "call/limits.h"

#include <errno.h>

#define WINDOW_MAX 0x7fffffffu /* RFC 9113, 6.9.1 */
#define CONN_WINDOW_MIN 65535u
#define STREAM_WINDOW_MIN 1024u
#define DEPTH_MAX 1000u /* protobuf-c recurses, a KiB of stack for each level */
#define DECODE_MIN (64u << 10)
#define DECODE_MAX (1u << 30)

const struct minirpc_conn_limits mrpc_limits_default = {
	.max_streams = 100,
	.stream_window = 1u << 20,
	.conn_window = 16u << 20,
	.max_header_bytes = 16u << 10,
	.max_header_fields = 128,
	.max_continuations = 8,
	.max_header_wire = 64u << 10,
	.resets_burst = 200,
	.resets_per_second = 33,
	.errors_burst = 200,
	.errors_per_second = 20,
	.empty_data = 100,
	.tiny_data_frames = 1000,
	.tiny_data_average = 16,
	.priority_per_stream = 100,
	.updates_per_data = 10,
	.control_burst = 1000,
	.control_queue = 100,
	.unsent_bytes = 256u << 10,
	.max_decode_depth = 100,
	.max_decode_bytes = 64u << 20,
	.max_assembly = 16u << 20,
	.handshake_time = MINIRPC_S(10),
	.header_time = MINIRPC_S(10),
	.write_stall_time = MINIRPC_S(30),
};

static void complete(uint32_t *limit, uint32_t value)
{
	if (*limit == 0)
		*limit = value;
}

static void complete_time(minirpc_time *limit, minirpc_time value)
{
	if (*limit == 0)
		*limit = value;
}

int mrpc_limits_complete(struct minirpc_conn_limits *limits)
{
	const struct minirpc_conn_limits *value = &mrpc_limits_default;

	complete(&limits->max_streams, value->max_streams);
	complete(&limits->stream_window, value->stream_window);
	complete(&limits->conn_window, value->conn_window);
	complete(&limits->max_header_bytes, value->max_header_bytes);
	complete(&limits->max_header_fields, value->max_header_fields);
	complete(&limits->max_continuations, value->max_continuations);
	complete(&limits->max_header_wire, value->max_header_wire);
	complete(&limits->resets_burst, value->resets_burst);
	complete(&limits->resets_per_second, value->resets_per_second);
	complete(&limits->errors_burst, value->errors_burst);
	complete(&limits->errors_per_second, value->errors_per_second);
	complete(&limits->empty_data, value->empty_data);
	complete(&limits->tiny_data_frames, value->tiny_data_frames);
	complete(&limits->tiny_data_average, value->tiny_data_average);
	complete(&limits->priority_per_stream, value->priority_per_stream);
	complete(&limits->updates_per_data, value->updates_per_data);
	complete(&limits->control_burst, value->control_burst);
	complete(&limits->control_queue, value->control_queue);
	complete(&limits->unsent_bytes, value->unsent_bytes);
	complete(&limits->max_decode_depth, value->max_decode_depth);
	complete(&limits->max_decode_bytes, value->max_decode_bytes);
	complete(&limits->max_assembly, value->max_assembly);
	complete_time(&limits->handshake_time, value->handshake_time);
	complete_time(&limits->header_time, value->header_time);
	complete_time(&limits->write_stall_time, value->write_stall_time);
	if (limits->stream_window > WINDOW_MAX || limits->stream_window < STREAM_WINDOW_MIN ||
	    limits->conn_window > WINDOW_MAX || limits->conn_window < CONN_WINDOW_MIN ||
	    limits->max_streams > WINDOW_MAX || limits->max_decode_depth > DEPTH_MAX ||
	    limits->max_decode_bytes > DECODE_MAX || limits->max_decode_bytes < DECODE_MIN ||
	    limits->handshake_time < 0 || limits->header_time < 0 || limits->write_stall_time < 0)
		return -EINVAL;
	return 0;
}

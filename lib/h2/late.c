/* SPDX-License-Identifier: MIT */
/* Late: answers to what is no gRPC at all (405, 415) take their time.
 *
 * Whoever sends a GET has no hurry, and is often a scanner: an answer that waits bounds how many of
 * them a connection can ask for. And an answer ends a stream; what is wrong with the frames behind
 * its HEADERS, which are on their way, would be judged no more, or not depending on how the packets
 * fell. So all such answers leave in order, each PATIENCE after its HEADERS. */
#include "h2/inside.h"

#define PATIENCE MINIRPC_MS(50)

void mrpc_late_answer(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;

	stream->answer_at = mrpc_time_add(conn->now, PATIENCE);
	if (mrpc_list_is_empty(&conn->late))
		conn->alarms[MRPC_ALARM_LATE] = stream->answer_at;
	mrpc_list_push(&conn->late, &stream->wait_node);
}

void mrpc_late_ring(struct mrpc_conn *conn)
{
	while (!conn->dead && !mrpc_list_is_empty(&conn->late)) {
		struct mrpc_stream *stream =
			mrpc_container(conn->late.next, struct mrpc_stream, wait_node);

		if (stream->answer_at > conn->now) {
			conn->alarms[MRPC_ALARM_LATE] = stream->answer_at;
			return;
		}
		mrpc_list_remove(&stream->wait_node);
		if (!stream->closed)
			mrpc_stream_submit_answer(stream);
	}
}

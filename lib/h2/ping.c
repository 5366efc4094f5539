/* SPDX-License-Identifier: MIT */
/* Ping: one PING of a kind at a time and its answer; and the graceful end that is built on it [G-2].
 *
 *	GOAWAY(2^31-1)  "no new calls, please"; those that are on their way are still taken
 *	PING            its answer proves that the peer has read that; a client without calls may
 *	                as well hang up
 *	GOAWAY(last)    now everything above `last` was certainly not touched
 *
 * That number is fixed when the GOAWAY is queued, which may be long before it leaves: a peer that has
 * not answered may not read either, and send more meanwhile. What it sends is refused, or it would be
 * done here and then once more elsewhere.
 *
 * When the last call has ended nghttp2 wants neither to read nor to write, and the conn is over. */
#include "h2/inside.h"

#include <string.h>

#define DRAIN_PATIENCE MINIRPC_S(5)

void mrpc_ping_send(struct mrpc_conn *conn, enum mrpc_ping_kind kind, minirpc_time patience,
		    void (*on_ping)(struct mrpc_conn *conn, bool answered))
{
	struct mrpc_ping *ping = &conn->pings[kind];
	uint8_t opaque[8];

	if (ping->out)
		return;
	*ping = (struct mrpc_ping){ .number = ++conn->ping_number, .out = true, .on_ping = on_ping };
	memcpy(opaque, &ping->number, sizeof opaque);
	conn->alarms[MRPC_ALARM_PING + kind] = mrpc_time_add(conn->now, patience);
	if (nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, opaque) != 0)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

void mrpc_ping_received_ack(struct mrpc_conn *conn, const uint8_t opaque[8])
{
	for (int kind = 0; kind < MRPC_PINGS; kind++) {
		struct mrpc_ping *ping = &conn->pings[kind];

		if (ping->out && memcmp(opaque, &ping->number, 8) == 0)
			ping->answered = conn->ping_answered = true;
	}
}

static void finish(struct mrpc_conn *conn, enum mrpc_ping_kind kind, bool answered)
{
	struct mrpc_ping *ping = &conn->pings[kind];

	ping->out = ping->answered = false;
	conn->alarms[MRPC_ALARM_PING + kind] = MINIRPC_NEVER;
	ping->on_ping(conn, answered);
}

void mrpc_ping_settle(struct mrpc_conn *conn)
{
	if (!conn->ping_answered)
		return;
	conn->ping_answered = false;
	for (int kind = 0; kind < MRPC_PINGS && !conn->dead; kind++)
		if (conn->pings[kind].answered)
			finish(conn, kind, true);
}

void mrpc_ping_timed_out(struct mrpc_conn *conn, enum mrpc_ping_kind kind)
{
	if (conn->pings[kind].out)
		finish(conn, kind, false);
}

/* Either way: who does not answer within 5 s is not waited for. */
static void on_drain_ping(struct mrpc_conn *conn, bool answered)
{
	int32_t last = nghttp2_session_get_last_proc_stream_id(conn->session);

	(void)answered;
	conn->last_taken = last;
	if (nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR,
				  (const uint8_t *)conn->drain_text,
				  strlen(conn->drain_text)) != 0)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

void mrpc_drain_begin(struct mrpc_conn *conn)
{
	if (conn->role != MRPC_SERVER)
		return;
	/* nghttp2_submit_shutdown_notice would say it without debug data [A9] */
	mrpc_goaway_say(conn, INT32_MAX, NGHTTP2_NO_ERROR, conn->drain_text, false);
	mrpc_ping_send(conn, MRPC_PING_DRAIN, DRAIN_PATIENCE, on_drain_ping);
}

/* A client says it behind its last call. A call that still waits for a stream would be sent after it,
 * to a server that may have hung up meanwhile. */
void mrpc_drain_go_on(struct mrpc_conn *conn)
{
	if (conn->role != MRPC_CLIENT || !conn->drain_begun || conn->drain_said || conn->calls > 0)
		return;
	conn->drain_said = true;
	if (nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0) != 0)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

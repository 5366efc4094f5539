/* SPDX-License-Identifier: MIT */
/* Ping: one PING at a time and its answer; and the graceful end that is built on it [G-2].
 *
 *	GOAWAY(2^31-1)  "no new calls, please"; those that are on their way are still taken
 *	PING            its answer proves that the peer has read that
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

void mrpc_ping_send(struct mrpc_conn *conn, minirpc_time patience,
		    void (*on_ping)(struct mrpc_conn *conn, bool answered))
{
	uint8_t opaque[8];

	if (conn->ping_out)
		return;
	conn->ping_number++;
	memcpy(opaque, &conn->ping_number, sizeof opaque);
	conn->ping_out = true;
	conn->ping_answered = false;
	conn->on_ping = on_ping;
	conn->alarms[MRPC_ALARM_PING] = mrpc_time_add(conn->now, patience);
	if (nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, opaque) != 0)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

void mrpc_ping_received_ack(struct mrpc_conn *conn, const uint8_t opaque[8])
{
	if (conn->ping_out && memcmp(opaque, &conn->ping_number, 8) == 0)
		conn->ping_answered = true;
}

static void finish(struct mrpc_conn *conn, bool answered)
{
	conn->ping_out = conn->ping_answered = false;
	conn->alarms[MRPC_ALARM_PING] = MINIRPC_NEVER;
	conn->on_ping(conn, answered);
}

void mrpc_ping_settle(struct mrpc_conn *conn)
{
	if (conn->ping_answered)
		finish(conn, true);
}

void mrpc_ping_timed_out(struct mrpc_conn *conn)
{
	if (conn->ping_out)
		finish(conn, false);
}

/* Either way: who does not answer within 5 s is not waited for. */
static void on_drain_ping(struct mrpc_conn *conn, bool answered)
{
	int32_t last = nghttp2_session_get_last_proc_stream_id(conn->session);

	(void)answered;
	conn->last_taken = last;
	if (nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL,
				  0) != 0)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
}

void mrpc_drain_begin(struct mrpc_conn *conn)
{
	int r;

	if (conn->role == MRPC_CLIENT)
		r = nghttp2_submit_goaway(conn->session, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR,
					  NULL, 0);
	else
		r = nghttp2_submit_shutdown_notice(conn->session);
	if (r != 0)
		mrpc_conn_fatal(conn, NGHTTP2_ERR_NOMEM);
	else if (conn->role == MRPC_SERVER)
		mrpc_ping_send(conn, DRAIN_PATIENCE, on_drain_ping);
}

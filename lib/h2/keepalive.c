/* SPDX-License-Identifier: MIT */
/* Keepalive: is the peer still there? Nothing of TCP says so while nobody sends [A8, A9].
 *
 *	            read_at + time                      asked_at + timeout
 *	last byte ------------------> PING, wait ------------------------> give the connection up
 *	    ^                          |
 *	    +------- any byte ---------+
 *
 * A read costs one store. The alarm is set once, and looks again when it rings: if bytes have come
 * meanwhile it moves behind the last of them. So a busy connection is looked at once in `time`.
 *
 * A client without calls does not ask, unless it was told to: the alarm rings once in vain, and then
 * we are asleep until a call is opened. If the silence has lasted longer than `time` by then, the
 * PING goes before the call's headers, so that a dead connection is found within `timeout` and not
 * `time` + `timeout`. */
#include "h2/inside.h"

#include <errno.h>
#include <stdio.h>

#define CLIENT_MIN MINIRPC_S(10) /* [K-1] */
#define SERVER_MIN MINIRPC_S(1)
#define SERVER_TIME MINIRPC_S(7200) /* [K-2] */
#define TIMEOUT MINIRPC_S(20)
#define MIN_INTERVAL MINIRPC_S(300) /* [K-3] */

int mrpc_keepalive_complete(struct minirpc_keepalive *keepalive, enum mrpc_role role)
{
	minirpc_time least = role == MRPC_CLIENT ? CLIENT_MIN : SERVER_MIN;

	if (keepalive->time < 0 || keepalive->timeout < 0)
		return -EINVAL;
	if (keepalive->time == 0)
		keepalive->time = role == MRPC_CLIENT ? MINIRPC_NEVER : SERVER_TIME;
	if (keepalive->time < least)
		keepalive->time = least;
	if (keepalive->timeout == 0)
		keepalive->timeout = TIMEOUT;
	if (keepalive->min_interval == 0)
		keepalive->min_interval = MIN_INTERVAL;
	return 0;
}

minirpc_time mrpc_keepalive_user_timeout(const struct minirpc_keepalive *keepalive)
{
	return keepalive->time == MINIRPC_NEVER ? 0 : keepalive->timeout;
}

static minirpc_time next_look(const struct mrpc_conn *conn)
{
	return mrpc_time_add(conn->read_at, conn->keepalive.time);
}

static void give_up(struct mrpc_conn *conn)
{
	minirpc_time timeout = conn->keepalive.timeout;
	bool whole = timeout % MINIRPC_S(1) == 0;
	char text[96];

	MRPC_COUNT(conn, closed_keepalive, 1);
	snprintf(text, sizeof text, "keepalive: the peer did not answer a PING within %lld %s",
		 (long long)(timeout / (whole ? MINIRPC_S(1) : MINIRPC_MS(1))), whole ? "s" : "ms");
	mrpc_conn_lose(conn, text);
}

/* Any byte will do: the answer may stand behind a long download. */
static void on_answer(struct mrpc_conn *conn, bool answered)
{
	if (answered || conn->read_at >= conn->asked_at)
		conn->alarms[MRPC_ALARM_KEEPALIVE] = next_look(conn);
	else
		give_up(conn);
}

static void ask(struct mrpc_conn *conn)
{
	conn->asked_at = conn->now;
	mrpc_ping_send(conn, MRPC_PING_KEEPALIVE, conn->keepalive.timeout, on_answer);
	mrpc_conn_touch(conn);
}

void mrpc_keepalive_begin(struct mrpc_conn *conn)
{
	if (conn->keepalive.time != MINIRPC_NEVER)
		conn->alarms[MRPC_ALARM_KEEPALIVE] = next_look(conn);
}

void mrpc_keepalive_ring(struct mrpc_conn *conn)
{
	bool wanted = conn->role == MRPC_SERVER || conn->calls > 0 || conn->keepalive.without_calls;

	if (next_look(conn) > conn->now)
		conn->alarms[MRPC_ALARM_KEEPALIVE] = next_look(conn);
	else if (wanted)
		ask(conn);
	else
		conn->keepalive_asleep = true;
}

void mrpc_keepalive_wake(struct mrpc_conn *conn)
{
	conn->now = *conn->place.now;
	conn->keepalive_asleep = false;
	mrpc_keepalive_ring(conn);
	mrpc_conn_touch(conn);
}

/* Twice what this connection had, not what the channel has: several connections may be told at once.
 * An error, as that is what is logged by default [A8]. */
void mrpc_keepalive_rebuked(struct mrpc_conn *conn)
{
	struct minirpc_keepalive *owner = conn->keepalive_owner;
	minirpc_time twice = mrpc_time_add(conn->keepalive.time, conn->keepalive.time);

	if (owner == NULL || conn->keepalive.time == MINIRPC_NEVER) {
		mrpc_log(conn->place.log, MINIRPC_LOG_ERROR, "%s: too_many_pings",
			 conn->peer == NULL ? "?" : conn->peer);
		return;
	}
	if (twice > owner->time)
		owner->time = twice;
	mrpc_log(conn->place.log, MINIRPC_LOG_ERROR,
		 "%s: too_many_pings: keepalive is %lld s from now on",
		 conn->peer == NULL ? "?" : conn->peer, (long long)(owner->time / MINIRPC_S(1)));
}

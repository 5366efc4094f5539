/* SPDX-License-Identifier: MIT */
/* Age: connections that nobody uses, or that are old, end gently [A9, G-3].
 *
 *	               max_connection_idle without a call
 *	accepted --+----------------------------------------> GOAWAY "max_idle" --+
 *	           |                                                              |  calls run on
 *	           +----------------------------------------> GOAWAY "max_age" ---+---------> closed
 *	               max_connection_age +-10 %                                  |              ^
 *	                                                 max_connection_age_grace +-- cut -------+
 *
 * An old connection is moved so that a balancer in between, which only sees connections, can spread
 * its calls anew; the jitter keeps those that were opened together from coming back together.
 *
 * One timer for each connection, and none without these options. It is set for the earliest time at
 * which something can be due; calls do not touch it, so it may find when it rings that there was one
 * meanwhile, and moves on. */
#include "server/server.h"

#include "base/random.h"

static minirpc_time idle_until(const struct mrpc_server_connection *connection)
{
	minirpc_time since = mrpc_conn_idle_since(connection->conn);

	if (since == MINIRPC_NEVER) /* look again when that could be due at the earliest */
		since = connection->server->loop->now;
	return mrpc_time_add(since, connection->server->max_idle);
}

static void set_timer(struct mrpc_server_connection *connection)
{
	bool draining = mrpc_conn_state(connection->conn) >= MRPC_CONN_DRAINING;
	minirpc_time at = connection->is_old ? connection->cut_at : connection->old_at;

	if (!draining && idle_until(connection) < at)
		at = idle_until(connection);
	mrpc_timer_set(&connection->age, at);
}

static void on_age(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_server_connection *connection =
		mrpc_container(timer, struct mrpc_server_connection, age);
	minirpc_server *server = connection->server;
	struct mrpc_conn *conn = connection->conn;

	if (connection->is_old && connection->cut_at <= now) {
		mrpc_conn_abort(conn, MINIRPC_UNAVAILABLE, "the connection is too old");
		return;
	}
	if (!connection->is_old && connection->old_at <= now) {
		connection->is_old = true;
		connection->cut_at = mrpc_time_add(now, server->max_age_grace);
		mrpc_conn_drain_for(conn, "max_age");
	} else if (mrpc_conn_idle_since(conn) != MINIRPC_NEVER && idle_until(connection) <= now) {
		mrpc_conn_drain_for(conn, "max_idle");
	}
	set_timer(connection);
}

int mrpc_server_age_begin(struct mrpc_server_connection *connection)
{
	minirpc_server *server = connection->server;
	int r;

	if (server->max_idle == MINIRPC_NEVER && server->max_age == MINIRPC_NEVER)
		return 0;
	r = mrpc_timer_bind(&connection->age, &server->loop->timers, on_age);
	if (r < 0)
		return r;
	connection->old_at = mrpc_time_add(
		server->loop->now,
		mrpc_random_spread(&server->age_random, server->max_age, server->max_age / 10));
	set_timer(connection);
	return 0;
}

void mrpc_server_seed(minirpc_server *server, uint64_t seed)
{
	server->age_random = seed;
}

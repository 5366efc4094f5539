/* SPDX-License-Identifier: MIT */
/* Ending a server.
 *
 *	OPEN --drain--> DRAINING --grace is over, or stop--> STOPPED --one second--> all closed
 *
 * Draining says GOAWAY in two steps on every connection [G-2] and lets its calls run on; stopping
 * ends the calls too, and leaves each connection a second to say so. Either way the drain is done
 * when no connection is left. */
#include "server/server.h"

#include <errno.h>

#define GOODBYE MINIRPC_S(1)

/* A connection that the host moves stays until the host closes it; once it has closed by itself there
 * is nothing more to wait for. */
static bool is_over(const struct mrpc_server_connection *connection)
{
	return connection->is_over ||
	       (connection->host != NULL && mrpc_conn_state(connection->conn) == MRPC_CONN_CLOSED);
}

void mrpc_server_look_at_drain(minirpc_server *server)
{
	const struct mrpc_list *node;

	if (server->done == NULL)
		return;
	for (node = server->connections.next; node != &server->connections; node = node->next)
		if (!is_over(mrpc_container(node, struct mrpc_server_connection, node)))
			return;
	mrpc_turn_wake(&server->loop->turn, &server->done_task);
}

void mrpc_server_tell_done(struct mrpc_task *task)
{
	minirpc_server *server = mrpc_container(task, minirpc_server, done_task);
	void (*done)(minirpc_server * server, void *user) = server->done;

	mrpc_timer_stop(&server->grace);
	server->done = NULL;
	if (done != NULL)
		done(server, server->done_user); /* which may free the server */
}

static void nobody_asked(minirpc_server *server, void *user)
{
	(void)server;
	(void)user;
}

int minirpc_server_drain(minirpc_server *server, minirpc_time grace,
			 void (*done)(minirpc_server *server, void *user), void *user)
{
	struct mrpc_list *node;
	minirpc_time at;

	mrpc_loop_refresh(server->loop);
	at = grace > 0 ? mrpc_time_add(server->loop->now, grace) : MINIRPC_NEVER;
	if (server->state != MRPC_SERVER_OPEN) {
		if (server->state == MRPC_SERVER_DRAINING && at < server->grace_at) {
			server->grace_at = at;
			mrpc_timer_set(&server->grace, at);
		}
		return -EALREADY;
	}

	server->state = MRPC_SERVER_DRAINING;
	server->done = done != NULL ? done : nobody_asked;
	server->done_user = user;
	mrpc_server_close_listeners(server);
	for (node = server->connections.next; node != &server->connections; node = node->next)
		mrpc_conn_drain(mrpc_container(node, struct mrpc_server_connection, node)->conn);
	server->grace_at = at;
	mrpc_timer_set(&server->grace, at);
	mrpc_server_look_at_drain(server);
	return 0;
}

void minirpc_server_stop(minirpc_server *server)
{
	struct mrpc_list *node;

	if (server->state == MRPC_SERVER_STOPPED)
		return;
	mrpc_loop_refresh(server->loop);
	server->state = MRPC_SERVER_STOPPED;
	mrpc_server_close_listeners(server);
	for (node = server->connections.next; node != &server->connections; node = node->next)
		mrpc_conn_abort(mrpc_container(node, struct mrpc_server_connection, node)->conn,
				MINIRPC_UNAVAILABLE, "the server is shutting down");
	if (server->connection_count > 0)
		mrpc_timer_set(&server->grace, mrpc_time_add(server->loop->now, GOODBYE));
	mrpc_server_look_at_drain(server);
}

void mrpc_server_grace_is_over(struct mrpc_timer *timer, minirpc_time now)
{
	minirpc_server *server = mrpc_container(timer, minirpc_server, grace);
	struct mrpc_list *node, *next;

	(void)now;
	if (server->state == MRPC_SERVER_DRAINING) {
		minirpc_server_stop(server);
		return;
	}

	/* Whoever does not read our goodbye does without. The host's own are the host's to close. */
	for (node = server->connections.next; node != &server->connections; node = next) {
		struct mrpc_server_connection *connection =
			mrpc_container(node, struct mrpc_server_connection, node);

		next = node->next;
		if (connection->host == NULL)
			mrpc_server_connection_free(connection);
	}
	mrpc_server_look_at_drain(server);
}

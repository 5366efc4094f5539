/* SPDX-License-Identifier: MIT */
/* A server's connection whose bytes the host moves. */
#include "server/server.h"

#include <errno.h>

static void on_closed(minirpc_conn *conn, void *user)
{
	struct mrpc_server_connection *connection = user;

	(void)conn;
	connection->host = NULL;
	connection->is_over = true;
	mrpc_turn_wake(&connection->server->loop->turn, &connection->task);
}

int minirpc_server_attach(minirpc_server *server, const struct minirpc_attach_options *options,
			  minirpc_conn **ret_conn)
{
	static const struct minirpc_attach_options none;
	struct mrpc_server_connection *connection;
	int r;

	if (server->state != MRPC_SERVER_OPEN)
		return -ESHUTDOWN;
	if (options == NULL)
		options = &none;

	mrpc_loop_refresh(server->loop);
	r = mrpc_server_connection_new(&connection, server,
				       options->peer != NULL ? options->peer : "");
	if (r < 0)
		return r;
	if (options->secure)
		mrpc_conn_set_secure(connection->conn);
	r = mrpc_host_conn_new(&connection->host, server->loop,
			       &(struct mrpc_host_conn_options){
				       .machine = mrpc_conn_machine(connection->conn),
				       .host = options,
				       .on_closed = on_closed,
				       .user = connection,
			       });
	if (r < 0) {
		mrpc_server_connection_free(connection);
		return r;
	}

	mrpc_log(&server->loop->log, MINIRPC_LOG_INFO, "connection from %s", connection->peer);
	*ret_conn = connection->host;
	return 0;
}

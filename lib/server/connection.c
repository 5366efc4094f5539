/* SPDX-License-Identifier: MIT */
/* A server's connection: where h2/conn meets io/link (or the host, attach.c).
 *
 * The link and the conn drive each other; all that is left to do here is to hear that the transport
 * is gone, and to take both apart. That happens in the connection's own task, when neither of the
 * two is on the stack. The order matters: the link lets go of the machine before the conn is freed,
 * and the certificate, which the link's TLS session keeps, is not looked at in between. */
#include "server/server.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void look(struct mrpc_task *task)
{
	struct mrpc_server_connection *connection =
		mrpc_container(task, struct mrpc_server_connection, task);
	minirpc_server *server = connection->server;

	if (connection->is_over)
		mrpc_server_connection_free(connection);
	mrpc_server_look_at_drain(server);
}

int mrpc_server_connection_new(struct mrpc_server_connection **ret_connection,
			       minirpc_server *server, const char *peer)
{
	minirpc_loop *loop = server->loop;
	struct mrpc_server_connection *connection;
	int r;

	connection = mrpc_alloc(sizeof *connection);
	if (connection == NULL)
		return -ENOMEM;
	*connection = (struct mrpc_server_connection){
		.server = server,
		.task = { .phase = MRPC_STREAM, .run = look },
	};
	snprintf(connection->peer, sizeof connection->peer, "%s", peer);

	r = mrpc_conn_new(&connection->conn, MRPC_SERVER,
			  &(struct mrpc_conn_options){
				  .place = server->call.place,
				  .limits = server->limits,
				  .call = server->call,
				  .owner = &connection->task,
				  .accept = &mrpc_server_accept,
				  .accept_user = server,
				  .admit = mrpc_server_admit,
				  .counts = &server->counts,
				  .keepalive = &server->keepalive,
			  },
			  loop->now);
	if (r < 0)
		goto err_connection;
	r = mrpc_conn_set_peer(connection->conn, peer);
	if (r == 0)
		r = mrpc_server_age_begin(connection);
	if (r < 0)
		goto err_conn;

	mrpc_list_push(&server->connections, &connection->node);
	server->connection_count++;
	*ret_connection = connection;
	return 0;

err_conn:
	mrpc_task_sleep(&connection->task);
	mrpc_conn_free(connection->conn);
err_connection:
	mrpc_task_sleep(&connection->task);
	mrpc_free(connection);
	return r;
}

static void on_secured(struct mrpc_link *link, void *user)
{
	struct mrpc_server_connection *connection = user;
	size_t len;
	const void *der = mrpc_tls_session_certificate(mrpc_link_tls(link), &len);

	mrpc_conn_set_secure(connection->conn);
	if (der != NULL)
		mrpc_conn_set_certificate(connection->conn, der, len);
}

static void on_closed(struct mrpc_link *link, int error, const char *reason, void *user)
{
	struct mrpc_server_connection *connection = user;

	(void)link;
	(void)error;
	snprintf(connection->reason, sizeof connection->reason, "%s", reason);
	connection->is_over = true;
	mrpc_turn_wake(&connection->server->loop->turn, &connection->task);
}

int mrpc_server_connection_accept(minirpc_server *server, int fd, const struct mrpc_address *peer)
{
	const struct mrpc_log *log = &server->loop->log;
	struct mrpc_server_connection *connection;
	struct mrpc_tls_session *tls = NULL;
	char text[MRPC_ADDRESS_TEXT];
	int r;

	mrpc_address_format(peer, text);
	r = mrpc_server_connection_new(&connection, server, text);
	if (r < 0) {
		close(fd);
		return r;
	}

	if (server->tls != NULL) {
		r = mrpc_tls_session_new(&tls, server->tls, true, NULL, log);
		if (r < 0) {
			close(fd);
			goto err_connection;
		}
	}
	/* From here on socket and session are the link's, also when this fails. */
	r = mrpc_link_new(&connection->link, server->loop, fd,
			  &(struct mrpc_link_options){
				  .machine = mrpc_conn_machine(connection->conn),
				  .tls = tls,
				  .user_timeout = mrpc_keepalive_user_timeout(&server->keepalive),
				  .on_secured = on_secured,
				  .on_closed = on_closed,
				  .user = connection,
			  });
	if (r < 0)
		goto err_connection;

	mrpc_log(log, MINIRPC_LOG_INFO, "connection from %s", connection->peer);
	return 0;

err_connection:
	snprintf(connection->reason, sizeof connection->reason, "out of memory");
	mrpc_server_connection_free(connection);
	return r;
}

void mrpc_server_connection_free(struct mrpc_server_connection *connection)
{
	minirpc_server *server = connection->server;
	const char *reason = mrpc_conn_reason(connection->conn);

	if (reason[0] == '\0')
		reason = connection->reason;
	mrpc_log(&server->loop->log, MINIRPC_LOG_INFO, "connection from %s closed%s%s",
		 connection->peer, reason[0] == '\0' ? "" : ": ", reason);

	mrpc_list_remove(&connection->node);
	mrpc_timer_unbind(&connection->age);
	server->connection_count--;
	mrpc_link_free(connection->link);
	mrpc_host_conn_free(connection->host);
	mrpc_conn_free(connection->conn);
	mrpc_task_sleep(&connection->task);
	mrpc_free(connection);
}

/* SPDX-License-Identifier: MIT */
/* A client's connection: where h2/conn meets io/link (or the host).
 *
 * Its task looks at it whenever something has changed. It says so when it is ready, when it has room again
 * and when it takes no more calls; after that it lives on, off the stage, until its last call has ended [G-1] and its last bytes have left. */
#include "client/subchannel.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void look(struct mrpc_task *task)
{
	struct mrpc_connection *connection = mrpc_container(task, struct mrpc_connection, task);
	struct mrpc_subchannel *subchannel = connection->subchannel;
	enum mrpc_conn_state state = mrpc_conn_state(connection->conn);

	if (connection->is_ready || subchannel->opening == connection) {
		if (connection->is_over || state == MRPC_CONN_DRAINING || state == MRPC_CONN_CLOSED)
			mrpc_subchannel_lost(subchannel, connection);
		else if (connection->is_ready)
			mrpc_subchannel_serve(subchannel);
		else if (state == MRPC_CONN_READY)
			mrpc_subchannel_is_ready(subchannel);
	}
	if (connection->is_over)
		mrpc_subchannel_forget(subchannel, connection);
	else if (state == MRPC_CONN_DRAINING && mrpc_conn_open_calls(connection->conn) == 0)
		mrpc_conn_abort(connection->conn, MINIRPC_UNAVAILABLE,
				mrpc_connection_reason(connection));
}

bool mrpc_connection_takes_calls(const struct mrpc_connection *connection)
{
	enum mrpc_conn_state state = mrpc_conn_state(connection->conn);

	return !connection->is_over && state != MRPC_CONN_DRAINING && state != MRPC_CONN_CLOSED;
}

const char *mrpc_connection_reason(const struct mrpc_connection *connection)
{
	const char *reason = mrpc_conn_reason(connection->conn);

	if (reason[0] != '\0')
		return reason;
	return connection->reason[0] != '\0' ? connection->reason : "the server closed it";
}

static int new_connection(struct mrpc_connection **ret_connection,
			  struct mrpc_subchannel *subchannel, const char *peer,
			  minirpc_time handshake_time)
{
	const struct mrpc_subchannel_config *config = subchannel->config;
	minirpc_loop *loop = config->loop;
	struct mrpc_connection *connection;
	struct mrpc_conn_options options;
	int r;

	connection = mrpc_alloc(sizeof *connection);
	if (connection == NULL)
		return -ENOMEM;
	*connection = (struct mrpc_connection){
		.subchannel = subchannel,
		.task = { .phase = MRPC_STREAM, .run = look },
	};
	snprintf(connection->peer, sizeof connection->peer, "%s", peer);

	options = (struct mrpc_conn_options){
		.place = { &loop->turn, &loop->now, &loop->log, &loop->pool, loop },
		.limits = config->limits,
		.call = { .place = { &loop->turn, &loop->now, &loop->log, &loop->pool, loop },
			  .timers = &loop->timers,
			  .compressors = config->compressors },
		.user_agent = config->user_agent,
		.scheme = config->tls != NULL ? "https" : "http",
		.owner = &connection->task,
		.counts = config->counts,
		.keepalive = config->keepalive,
	};
	/* The attempt has a deadline; the conn's own must not come before it. */
	if (options.limits.handshake_time < handshake_time)
		options.limits.handshake_time = handshake_time;
	r = mrpc_conn_new(&connection->conn, MRPC_CLIENT, &options, loop->now);
	if (r < 0)
		goto err_connection;
	r = mrpc_conn_set_peer(connection->conn, peer);
	if (r < 0)
		goto err_conn;

	mrpc_list_push(&subchannel->connections, &connection->node);
	*ret_connection = connection;
	return 0;

err_conn:
	mrpc_conn_free(connection->conn);
err_connection:
	mrpc_task_sleep(&connection->task);
	mrpc_free(connection);
	return r;
}

void mrpc_connection_free(struct mrpc_connection *connection)
{
	/* The link lets go of the machine before the conn is freed; the certificate, which its TLS
	 * session keeps, is not looked at in between. */
	mrpc_list_remove(&connection->node);
	mrpc_link_free(connection->link);
	mrpc_host_conn_free(connection->host);
	mrpc_conn_free(connection->conn);
	mrpc_task_sleep(&connection->task);
	mrpc_free(connection);
}

static void is_over(struct mrpc_connection *connection)
{
	connection->is_over = true;
	mrpc_turn_wake(&connection->subchannel->config->loop->turn, &connection->task);
}

/* ---- Over a socket ---- */

static void on_secured(struct mrpc_link *link, void *user)
{
	struct mrpc_connection *connection = user;
	size_t len;
	const void *der = mrpc_tls_session_certificate(mrpc_link_tls(link), &len);

	if (der != NULL)
		mrpc_conn_set_certificate(connection->conn, der, len);
}

static void on_closed(struct mrpc_link *link, int error, const char *reason, void *user)
{
	struct mrpc_connection *connection = user;

	(void)link;
	if (reason == NULL || reason[0] == '\0')
		reason = error < 0 ? mrpc_error_text(error) : "";
	snprintf(connection->reason, sizeof connection->reason, "%s", reason);
	is_over(connection);
}

int mrpc_connection_dialed(struct mrpc_connection **ret_connection,
			   struct mrpc_subchannel *subchannel, int fd,
			   const struct mrpc_address *address)
{
	const struct mrpc_subchannel_config *config = subchannel->config;
	struct mrpc_connection *connection;
	struct mrpc_tls_session *tls = NULL;
	char peer[MRPC_ADDRESS_TEXT];
	int r;

	mrpc_address_format(address, peer);
	r = new_connection(&connection, subchannel, peer, subchannel->deadline - config->loop->now);
	if (r < 0) {
		close(fd);
		return r;
	}
	if (config->tls != NULL) {
		r = mrpc_tls_session_new(&tls, config->tls, false, subchannel->server_name,
					 &config->loop->log);
		if (r < 0) {
			close(fd);
			goto err_connection;
		}
	}
	/* From here on socket and session are the link's, also when this fails. */
	r = mrpc_link_new(&connection->link, config->loop, fd,
			  &(struct mrpc_link_options){
				  .machine = mrpc_conn_machine(connection->conn),
				  .tls = tls,
				  .user_timeout = mrpc_keepalive_user_timeout(config->keepalive),
				  .on_secured = on_secured,
				  .on_closed = on_closed,
				  .user = connection,
			  });
	if (r < 0)
		goto err_connection;

	*ret_connection = connection;
	return 0;

err_connection:
	mrpc_connection_free(connection);
	return r;
}

/* ---- By the host ---- */

static void on_host_closed(minirpc_conn *conn, void *user)
{
	struct mrpc_connection *connection = user;

	(void)conn;
	connection->host = NULL;
	is_over(connection);
}

int mrpc_connection_attached(struct mrpc_connection **ret_connection,
			     struct mrpc_subchannel *subchannel,
			     const struct minirpc_attach_options *options)
{
	struct mrpc_connection *connection;
	int r;

	r = new_connection(&connection, subchannel, options->peer != NULL ? options->peer : "",
			   subchannel->under_way ? subchannel->deadline - subchannel->config->loop->now
						 : 0);
	if (r < 0)
		return r;
	r = mrpc_host_conn_new(&connection->host, subchannel->config->loop,
			       &(struct mrpc_host_conn_options){
				       .machine = mrpc_conn_machine(connection->conn),
				       .host = options,
				       .on_closed = on_host_closed,
				       .user = connection,
			       });
	if (r < 0) {
		mrpc_connection_free(connection);
		return r;
	}
	*ret_connection = connection;
	return 0;
}

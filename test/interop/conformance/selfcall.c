/* SPDX-License-Identifier: MIT */
#include "selfcall.h"

#include "talk.h"

#include <stdlib.h>
#include <string.h>

struct end {
	minirpc_conn *conn;
	struct end *other;
};

struct selfcall {
	struct end client, server;
	minirpc_channel *channel;
	void (*tell)(const char *wrong, void *user);
	void *user;
};

static void move_bytes(minirpc_conn *conn, void *user)
{
	const struct end *end = user;
	const void *data;
	size_t len;

	while ((len = minirpc_conn_pending(conn, &data)) > 0) {
		if (end->other->conn != NULL)
			minirpc_conn_receive(end->other->conn, data, len);
		minirpc_conn_sent(conn, len);
	}
}

static void on_finished(minirpc_conn *conn, void *user)
{
	struct end *end = user;

	end->conn = NULL;
	minirpc_conn_close(conn);
}

static void on_done(const struct minirpc_status *status, const MSG(UnaryResponse) * response,
		    void *user)
{
	struct selfcall *selfcall = user;
	bool is_echoed = response != NULL && response->payload != NULL &&
			 response->payload->request_info != NULL &&
			 response->payload->request_info->n_requests == 1;

	if (status->code != MINIRPC_OK)
		selfcall->tell(minirpc_code_name(status->code), selfcall->user);
	else
		selfcall->tell(is_echoed ? NULL : "its answer is another", selfcall->user);
}

struct selfcall *selfcall_start(minirpc_server *server, void (*tell)(const char *wrong, void *user),
				void *user)
{
	struct selfcall *selfcall = must_alloc(1, sizeof *selfcall);
	MSG(UnaryRequest) request = { FIELDS(UNARY_REQUEST) };
	struct minirpc_attach_options options = { .on_pending = move_bytes,
						  .on_finished = on_finished };

	*selfcall = (struct selfcall){ .tell = tell, .user = user };
	selfcall->client.other = &selfcall->server;
	selfcall->server.other = &selfcall->client;
	if (minirpc_channel_new(&selfcall->channel, minirpc_server_loop(server), "attached:self",
				NULL) < 0)
		die("no channel");
	options.user = &selfcall->server;
	if (minirpc_server_attach(server, &options, &selfcall->server.conn) < 0)
		die("no connection");
	options.user = &selfcall->client;
	if (minirpc_channel_attach(selfcall->channel, &options, &selfcall->client.conn) < 0)
		die("no connection");
	if (RPC(unary)(selfcall->channel, &request,
		       &(struct minirpc_call_options){ .timeout = MINIRPC_S(2) }, on_done,
		       selfcall) < 0)
		die("no call");
	return selfcall;
}

void selfcall_free(struct selfcall *selfcall)
{
	if (selfcall == NULL)
		return;
	minirpc_channel_free(selfcall->channel);
	if (selfcall->server.conn != NULL)
		minirpc_conn_close(selfcall->server.conn);
	free(selfcall);
}

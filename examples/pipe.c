/* SPDX-License-Identifier: MIT */
/* Client and server in one process, without a socket, a thread, or a clock. Type
 *
 *	pipe gopher                             Hello gopher
 *
 * Each connection is a machine that takes bytes and has bytes to send; here what one end sends is
 * handed to the other. Put a serial line, shared memory or another library's TLS in between in the
 * same way. */
#include "hello.minirpc.h"

#include <minirpc/conn.h>

#include <stdio.h>

struct end {
	minirpc_conn *conn;
	struct end *other;
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

static void on_say_hello(hello_greeter_say_hello_callee *call, const Hello__HelloRequest *req,
			 void *user)
{
	char text[256];

	(void)user;
	snprintf(text, sizeof text, "Hello %.200s", req->name);
	hello_greeter_say_hello_reply(
		call, &(Hello__HelloReply){ HELLO__HELLO_REPLY__FIELDS, .message = text });
}

static void on_reply(const struct minirpc_status *status, const Hello__HelloReply *reply,
		     void *user)
{
	bool *is_done = user;

	if (status->code == MINIRPC_OK)
		printf("%s\n", reply->message);
	*is_done = status->code == MINIRPC_OK;
}

int main(int argc, char **argv)
{
	static const struct hello_greeter_handlers handlers = { .say_hello = on_say_hello };
	Hello__HelloRequest req = { HELLO__HELLO_REQUEST__FIELDS,
				    .name = argc > 1 ? argv[1] : (char *)"world" };
	struct end server_end = { 0 }, client_end = { 0 };
	struct minirpc_attach_options options = { .on_pending = move_bytes,
						  .on_finished = on_finished };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	bool is_done = false;
	int r;

	server_end.other = &client_end;
	client_end.other = &server_end;
	r = minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .manual = true });
	if (r == 0)
		r = minirpc_server_new(&server, loop, NULL);
	if (r == 0)
		r = hello_greeter_serve(server, &handlers, NULL);
	if (r == 0)
		r = minirpc_channel_new(&channel, loop, "attached:pipe", NULL);

	options.peer = "the client";
	options.user = &server_end;
	if (r == 0)
		r = minirpc_server_attach(server, &options, &server_end.conn);
	options.peer = "the server";
	options.user = &client_end;
	if (r == 0)
		r = minirpc_channel_attach(channel, &options, &client_end.conn);
	if (r == 0)
		r = hello_greeter_say_hello(channel, &req, NULL, on_reply, &is_done);

	/* Time stands still at 0: turns as long as something is due now. */
	while (r == 0 && minirpc_loop_next(loop) <= 0)
		minirpc_loop_turn(loop);

	if (!is_done)
		fprintf(stderr, "pipe: no reply\n");
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return !is_done;
}

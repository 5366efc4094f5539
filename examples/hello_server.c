/* SPDX-License-Identifier: MIT */
/* A greeter. Type
 *
 *	hello_server localhost:50051            listening on localhost:50051
 *
 * and in another window: hello_client localhost:50051 gopher. Port 0 picks a free one. */
#include "hello.minirpc.h"

#include <stdio.h>
#include <string.h>

static void on_say_hello(hello_greeter_say_hello_callee *call, const Hello__HelloRequest *req,
			 void *user)
{
	char text[256];

	(void)user;
	snprintf(text, sizeof text, "Hello %.200s", req->name);
	hello_greeter_say_hello_reply(
		call, &(Hello__HelloReply){ HELLO__HELLO_REPLY__FIELDS, .message = text });
}

int main(int argc, char **argv)
{
	static const struct hello_greeter_handlers handlers = { .say_hello = on_say_hello };
	const char *address = argc > 1 ? argv[1] : "localhost:50051";
	char why[128] = "out of memory";
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	uint16_t port = 0;
	struct minirpc_listen_options at = { .ret_port = &port, .error = why, .error_size = sizeof why };
	int r = -1;

	if (minirpc_loop_new(&loop, NULL) < 0 || minirpc_server_new(&server, loop, NULL) < 0 ||
	    hello_greeter_serve(server, &handlers, NULL) < 0 ||
	    minirpc_server_listen(server, address, &at) < 0) {
		fprintf(stderr, "hello_server: %s\n", why);
	} else {
		printf("listening on %.*s:%u\n", (int)(strrchr(address, ':') - address), address, port);
		fflush(stdout);
		r = minirpc_loop_run(loop);
	}
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return r != 0;
}

/* SPDX-License-Identifier: MIT */
/* A user's program outside this build: server and client on one loop, over a socket of its own.
 * Prints "Hello gopher, who is 9" and exits with 0. */
#include "greeter.minirpc.h"

#include <minirpc/minirpc.h>

#include <stdio.h>
#include <string.h>

static void on_hello(greeter_greeter_say_hello_callee *call, const Greeter__HelloRequest *request,
		     void *user)
{
	char text[128];
	Words__Words words = { WORDS__WORDS__FIELDS, .text = text };
	Google__Protobuf__Timestamp at = { GOOGLE__PROTOBUF__TIMESTAMP__FIELDS, .seconds = 1 };

	(void)user;
	if (!request->has_age)
		snprintf(text, sizeof text, "Hello %.50s", request->name);
	else
		snprintf(text, sizeof text, "Hello %.50s, who is %d", request->name,
			 (int)request->age);
	greeter_greeter_say_hello_reply(call, &(Greeter__HelloReply){ GREETER__HELLO_REPLY__FIELDS,
								      .words = &words, .at = &at });
}

struct client {
	minirpc_loop *loop;
	int exit_code;
};

static void on_done(const struct minirpc_status *status, const Greeter__HelloReply *reply,
		    void *user)
{
	struct client *client = user;

	if (status->code != MINIRPC_OK)
		fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
	else if (reply->words != NULL && reply->at != NULL && reply->at->seconds == 1)
		client->exit_code = printf("%s\n", reply->words->text) > 0 ? 0 : 1;
	minirpc_loop_stop(client->loop);
}

int main(void)
{
	static const struct greeter_greeter_handlers handlers = { .say_hello = on_hello };
	struct client client = { .exit_code = 1 };
	Greeter__HelloRequest request = { GREETER__HELLO_REQUEST__FIELDS, .name = (char *)"gopher",
					  .has_age = 1, .age = 9 };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	char target[32];
	uint16_t port;

	if (strcmp(minirpc_version(), MINIRPC_VERSION) != 0)
		return 1;
	if (minirpc_loop_new(&client.loop, NULL) < 0 ||
	    minirpc_server_new(&server, client.loop, NULL) < 0 ||
	    greeter_greeter_serve(server, &handlers, NULL) < 0 ||
	    minirpc_server_listen(server, "127.0.0.1:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) < 0)
		return 1;
	snprintf(target, sizeof target, "127.0.0.1:%d", port);
	if (minirpc_channel_new(&channel, client.loop, target, NULL) < 0 ||
	    greeter_greeter_say_hello(channel, &request,
				      &(struct minirpc_call_options){ .timeout = MINIRPC_S(10) },
				      on_done, &client) < 0)
		return 1;
	minirpc_loop_run(client.loop);

	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(client.loop);
	return client.exit_code;
}

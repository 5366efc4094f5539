/* SPDX-License-Identifier: MIT */
/* Messages that are not protobuf: one port serves a greeter in protobuf and one in JSON, each to those who
 * speak it. Type
 *
 *	json_service
 *
 *	protobuf: Hello gopher
 *	json: {"message": "Hello gopher"}
 *	json, of another method: UNIMPLEMENTED: unknown content subtype
 *
 * A method with .subtype "json" travels as application/grpc+json. Below the stubs a call is bytes; what they
 * mean is up to its two ends. */
#include "hello.minirpc.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct minirpc_method greet = { .path = "/hello.JsonGreeter/SayHello",
					     .subtype = "json" };
/* The path of the protobuf one. */
static const struct minirpc_method wrong = { .path = "/hello.Greeter/SayHello", .subtype = "json" };

/* ---- Server ---- */

static void on_say_hello(hello_greeter_say_hello_callee *call, const Hello__HelloRequest *req,
			 void *user)
{
	char text[256];

	(void)user;
	snprintf(text, sizeof text, "Hello %.200s", req->name);
	hello_greeter_say_hello_reply(
		call, &(Hello__HelloReply){ HELLO__HELLO_REPLY__FIELDS, .message = text });
}

/* One request: on_message comes once, and it is all there is. */
static void on_greet(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	json_error_t error;
	json_t *request = json_loadb(message->data, message->len, 0, &error), *reply;
	const char *name = json_string_value(json_object_get(request, "name"));
	char *text;

	(void)user;
	reply = name == NULL ? NULL : json_pack("{s: s++}", "message", "Hello ", name, "");
	text = reply == NULL ? NULL : json_dumps(reply, 0);
	if (text == NULL)
		minirpc_call_fail(call, MINIRPC_INVALID_ARGUMENT, "this is no greeting: %s",
				  request == NULL ? error.text : "it has no name");
	else if (minirpc_call_send(call, text, strlen(text)) < 0)
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no memory");
	else
		minirpc_call_end(call, NULL);
	free(text);
	json_decref(reply);
	json_decref(request);
}

static void on_left(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	minirpc_call_end(call, status);
}

/* ---- Client ---- */

static void on_reply(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)user;
	printf("%s: %.*s\n", minirpc_call_subtype(call), (int)message->len,
	       (const char *)message->data);
}

static void on_over(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)call;
	if (status->code != MINIRPC_OK)
		printf("json, of another method: %s: %s\n", minirpc_code_name(status->code),
		       status->message);
	*(enum minirpc_code *)user = status->code;
}

static enum minirpc_code ask(minirpc_channel *channel, const struct minirpc_method *method)
{
	static const struct minirpc_call_events events = { .on_message = on_reply,
							   .on_end = on_over };
	static const char request[] = "{\"name\": \"gopher\"}";
	enum minirpc_code code = MINIRPC_UNKNOWN;
	minirpc_call *call;

	if (minirpc_call_open(&call, channel, method, NULL, &events, &code) < 0)
		return code;
	if (minirpc_call_send(call, request, sizeof request - 1) < 0 ||
	    minirpc_call_end(call, NULL) < 0 || minirpc_call_wait(call) < 0)
		minirpc_call_cancel(call);
	return code;
}

/* The same greeting with the generated stub. */
static enum minirpc_code ask_in_protobuf(minirpc_channel *channel)
{
	const Hello__HelloRequest request = { HELLO__HELLO_REQUEST__FIELDS, .name = (char *)"gopher" };
	struct minirpc_status status = { .code = MINIRPC_UNKNOWN };
	Hello__HelloReply *reply = NULL;
	enum minirpc_code code;

	if (hello_greeter_say_hello_wait(channel, &request, NULL, &reply, &status) == 0 &&
	    reply != NULL)
		printf("protobuf: %s\n", reply->message);
	hello__hello_reply__free_unpacked(reply, NULL);
	code = status.code;
	minirpc_status_clear(&status);
	return code;
}

int main(void)
{
	static const struct hello_greeter_handlers handlers = { .say_hello = on_say_hello };
	static const struct minirpc_call_events events = { .on_message = on_greet,
							   .on_end = on_left };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	char target[32];
	uint16_t port;
	bool good = false;

	if (minirpc_loop_new(&loop, NULL) == 0 && minirpc_server_new(&server, loop, NULL) == 0 &&
	    hello_greeter_serve(server, &handlers, NULL) == 0 &&
	    minirpc_server_add(server, &greet, &events, NULL, NULL) == 0 &&
	    minirpc_server_listen(server, "localhost:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) == 0) {
		snprintf(target, sizeof target, "localhost:%u", port);
		if (minirpc_channel_new(&channel, loop, target, NULL) == 0)
			good = ask_in_protobuf(channel) == MINIRPC_OK &&
			       ask(channel, &greet) == MINIRPC_OK &&
			       ask(channel, &wrong) == MINIRPC_UNIMPLEMENTED;
	}
	if (!good)
		fprintf(stderr, "json_service: this did not go well\n");
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return !good;
}

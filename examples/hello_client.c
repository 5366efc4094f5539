/* SPDX-License-Identifier: MIT */
/* Greets. Type
 *
 *	hello_client localhost:50051 gopher     Hello gopher
 *
 * No loop in sight: _wait calls bring their own. */
#include "hello.minirpc.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	Hello__HelloRequest req = { HELLO__HELLO_REQUEST__FIELDS,
				    .name = argc > 2 ? argv[2] : (char *)"world" };
	struct minirpc_call_options options = { .timeout = MINIRPC_S(5) };
	struct minirpc_status status = { .code = MINIRPC_UNKNOWN };
	Hello__HelloReply *reply = NULL;
	minirpc_channel *channel;
	int r;

	if (minirpc_channel_new(&channel, NULL, argc > 1 ? argv[1] : "localhost:50051", NULL) < 0)
		return 1;
	if (hello_greeter_say_hello_wait(channel, &req, &options, &reply, &status) == 0 &&
	    reply != NULL) {
		printf("%s\n", reply->message);
		hello__hello_reply__free_unpacked(reply, NULL);
	} else {
		fprintf(stderr, "%s: %s\n", minirpc_code_name(status.code), status.message);
	}
	r = status.code == MINIRPC_OK ? 0 : 1;
	minirpc_status_clear(&status);
	minirpc_channel_free(channel);
	return r;
}

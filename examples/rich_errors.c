/* SPDX-License-Identifier: MIT */
/* An error that says more than a code and a text: which field was wrong, and when to try again. Type
 *
 *	rich_errors
 *
 *	INVALID_ARGUMENT: cannot echo nothing
 *	field text: must not be empty
 *	try again after 2 s
 *
 * The details are messages of google/rpc/error_details.proto here, and may be any others. Every gRPC
 * can read them: Go by status.Details(), Python by grpc_status.rpc_status, Java by StatusProto. */
#include "demo.minirpc.h"

#include <minirpc/error_details.h>

#include <google/rpc/error_details.minirpc.h>

#include <stdio.h>

/* ---- Server ---- */

static void refuse(demo_kinds_echo_callee *call)
{
	Google__Rpc__BadRequest__FieldViolation field = {
		GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__FIELDS,
		.field = (char *)"text",
		.description = (char *)"must not be empty",
	};
	Google__Rpc__BadRequest bad = {
		GOOGLE__RPC__BAD_REQUEST__FIELDS,
		.field_violations = (Google__Rpc__BadRequest__FieldViolation *[]){ &field },
		.n_field_violations = 1,
	};
	Google__Protobuf__Duration delay = { GOOGLE__PROTOBUF__DURATION__FIELDS, .seconds = 2 };
	Google__Rpc__RetryInfo retry = { GOOGLE__RPC__RETRY_INFO__FIELDS, .retry_delay = &delay };

	minirpc_call_fail_with(demo_kinds_echo_call(call), MINIRPC_INVALID_ARGUMENT,
			       "cannot echo nothing",
			       (const ProtobufCMessage *[]){ &bad.base, &retry.base }, 2);
}

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	(void)user;
	if (req->text[0] == '\0')
		refuse(call);
	else
		demo_kinds_echo_reply(call, req);
}

/* ---- Client ---- */

static void explain(const struct minirpc_status *status)
{
	ProtobufCMessage *found;

	printf("%s: %s\n", minirpc_code_name(status->code), status->message);
	if (minirpc_status_find(status, &google__rpc__bad_request__descriptor, &found) == 0) {
		const Google__Rpc__BadRequest *bad = (const void *)found;

		for (size_t i = 0; i < bad->n_field_violations; i++)
			printf("field %s: %s\n", bad->field_violations[i]->field,
			       bad->field_violations[i]->description);
		protobuf_c_message_free_unpacked(found, NULL);
	}
	if (minirpc_status_find(status, &google__rpc__retry_info__descriptor, &found) == 0) {
		const Google__Rpc__RetryInfo *retry = (const void *)found;

		if (retry->retry_delay != NULL)
			printf("try again after %lld s\n", (long long)retry->retry_delay->seconds);
		protobuf_c_message_free_unpacked(found, NULL);
	}
}

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	bool *done = user;

	(void)resp;
	explain(status);
	*done = true;
}

int main(void)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	static const struct minirpc_call_options options = { .timeout = MINIRPC_S(5) };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	bool done = false;
	char target[32];
	uint16_t port;

	if (minirpc_loop_new(&loop, NULL) == 0 && minirpc_server_new(&server, loop, NULL) == 0 &&
	    demo_kinds_serve(server, &handlers, NULL) == 0 &&
	    minirpc_server_listen(server, "localhost:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) == 0) {
		snprintf(target, sizeof target, "localhost:%u", port);
		if (minirpc_channel_new(&channel, loop, target, NULL) == 0 &&
		    demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS }, &options, on_done,
				    &done) == 0)
			minirpc_loop_run_until(loop, &done);
	}
	if (!done)
		fprintf(stderr, "rich_errors: cannot call\n");
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return !done;
}

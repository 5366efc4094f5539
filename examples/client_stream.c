/* SPDX-License-Identifier: MIT */
/* A client stream: many requests, one response. With demo_server running type
 *
 *	client_stream localhost:50052 1 2 39    42
 *
 * It sends until the call's queue is full and goes on when there is room: the way to send more than
 * memory holds. */
#include "demo.minirpc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sum {
	char **next; /* the next number to send; NULL ends them */
	bool failed;
};

static void send_on(demo_kinds_sum_caller *call, void *user)
{
	struct sum *sum = user;

	for (; *sum->next != NULL; sum->next++) {
		int r = demo_kinds_sum_send(
			call, &(Demo__Number){ DEMO__NUMBER__FIELDS, .number = atoll(*sum->next) });

		if (r == -EAGAIN || r == -EPIPE)
			return; /* on_writable follows; or on_end, which tells why */
		if (r < 0) {
			struct minirpc_status status = { MINIRPC_INTERNAL, strerror(-r) };

			minirpc_call_abort(demo_kinds_sum_caller_call(call), &status);
			return;
		}
	}
	demo_kinds_sum_end(call);
}

static void on_sum(demo_kinds_sum_caller *call, const Demo__Number *number, void *user)
{
	(void)call;
	(void)user;
	printf("%" PRId64 "\n", number->number);
}

static void on_end(demo_kinds_sum_caller *call, const struct minirpc_status *status, void *user)
{
	struct sum *sum = user;

	(void)call;
	sum->failed = status->code != MINIRPC_OK;
	if (sum->failed)
		fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_sum_events events = { .on_message = on_sum,
							     .on_writable = send_on,
							     .on_end = on_end };
	struct sum sum = { .next = argv + (argc > 1 ? 2 : 1) };
	minirpc_channel *channel = NULL;
	demo_kinds_sum_caller *call;
	int r;

	r = minirpc_channel_new(&channel, NULL, argc > 1 ? argv[1] : "localhost:50052", NULL);
	if (r == 0)
		r = demo_kinds_sum_open(&call, channel, NULL, &events, &sum);
	if (r == 0) {
		send_on(call, &sum);
		r = minirpc_call_wait(demo_kinds_sum_caller_call(call));
	}
	if (r < 0)
		fprintf(stderr, "client_stream: %s\n", strerror(-r));
	minirpc_channel_free(channel);
	return r < 0 || sum.failed;
}

/* SPDX-License-Identifier: MIT */
/* A server stream: one request, many responses, read slowly. With demo_server running type
 *
 *	server_stream localhost:50052 1 3       1
 *	                                        2
 *	                                        3
 *
 * After each number it reads no further for 10 ms. Meanwhile the server can send as much as the
 * window holds, and no more: neither end piles up memory, however long the stream is. */
#include "demo.minirpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	minirpc_loop *loop;
	minirpc_call *call;
	minirpc_timer *pause;
	bool failed;
};

static void read_on(void *user)
{
	struct reader *reader = user;

	reader->pause = NULL;
	minirpc_call_resume(reader->call);
}

static void on_number(demo_kinds_count_caller *call, const Demo__Number *number, void *user)
{
	struct reader *reader = user;

	(void)call;
	printf("%" PRId64 "\n", number->number);
	fflush(stdout);
	if (minirpc_timer_start(&reader->pause, reader->loop, MINIRPC_MS(10), read_on, reader) == 0)
		minirpc_call_pause(reader->call);
}

static void on_end(demo_kinds_count_caller *call, const struct minirpc_status *status, void *user)
{
	struct reader *reader = user;

	(void)call;
	reader->pause = minirpc_timer_cancel(reader->pause);
	reader->failed = status->code != MINIRPC_OK;
	if (reader->failed)
		fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_count_events events = { .on_message = on_number,
							       .on_end = on_end };
	const char *target = argc > 1 ? argv[1] : "localhost:50052";
	Demo__Range range = { DEMO__RANGE__FIELDS, .from = argc > 2 ? atoll(argv[2]) : 1,
			      .to = argc > 3 ? atoll(argv[3]) : 3 };
	minirpc_channel *channel = NULL;
	demo_kinds_count_caller *call;
	struct reader reader = { 0 };
	int r;

	r = minirpc_channel_new(&channel, NULL, target, NULL);
	if (r == 0)
		r = demo_kinds_count_open(&call, channel, &range, NULL, &events, &reader);
	if (r == 0) {
		reader.loop = minirpc_channel_loop(channel);
		reader.call = demo_kinds_count_caller_call(call);
		r = minirpc_call_wait(reader.call);
	}
	if (r < 0)
		fprintf(stderr, "server_stream: %s\n", strerror(-r));
	minirpc_channel_free(channel);
	return r < 0 || reader.failed;
}

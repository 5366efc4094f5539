/* SPDX-License-Identifier: MIT */
/* Channel and server while allocations fail: the n-th one, for every n, once and from then on [P9].
 * Nothing crashes or leaks, every call that was opened hears its end once, and when there is memory
 * again the same objects work. */
#include "client/pair.h"
#include "run_suite.h"

#include "world/alloc_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CALLS = 4 };

static struct probe probes[CALLS];

/* As probe_call, but may fail. */
static void try_call(struct probe *probe, minirpc_channel *channel,
		     const struct minirpc_method *method)
{
	const struct minirpc_field metadata[] = { { "key", "value" },
						  { "b-bin", "\0\1", 2 },
						  { 0 } };
	int r;

	*probe = (struct probe){ 0 };
	r = minirpc_call_open(
		&probe->call, channel, method,
		&(struct minirpc_call_options){ .timeout = MINIRPC_S(5), .metadata = metadata },
		&probe_events, probe);
	if (r < 0) {
		ck_assert_int_eq(r, -ENOMEM);
		probe->call = NULL;
		return;
	}
	r = minirpc_call_send(probe->call, "hello", 5);
	ck_assert(r == 0 || r == -ENOMEM);
	if (r == 0)
		ck_assert_int_eq(minirpc_call_end(probe->call, NULL), 0);
	else
		minirpc_call_abort(probe->call,
				   &(struct minirpc_status){ .code = MINIRPC_RESOURCE_EXHAUSTED,
							     .message = "out of memory" });
}

static void works_again(struct pair *pair)
{
	struct probe probe;

	pair_cut(pair);
	pair_settle(pair);
	ck_assert_int_eq(pair_try_connect(pair), 0);
	try_call(&probe, pair->channel, &echo);
	pair_settle(pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
}

/* A story returns how many allocations were refused. */
static size_t pipe_story(size_t n, bool forever)
{
	static const struct minirpc_method *const methods[CALLS] = { &echo, &letters, &sum, &chat };
	struct pair pair;
	size_t refused;

	alloc_fail_at(n, forever);
	if (pair_try_open(&pair, NULL, NULL) == 0 && pair_try_connect(&pair) == 0) {
		for (int i = 0; i < CALLS; i++)
			try_call(&probes[i], pair.channel, methods[i]);
		pair_settle(&pair);
		pair_advance(&pair, MINIRPC_S(5));
		for (int i = 0; i < CALLS; i++)
			ck_assert_uint_eq(probes[i].ends, probes[i].call != NULL);
	}
	refused = alloc_refused();
	alloc_fail_at(0, false);
	if (pair.channel != NULL)
		works_again(&pair);
	pair_close(&pair);
	return refused;
}

static size_t socket_story(size_t n, bool forever)
{
	minirpc_loop *loop = NULL;
	minirpc_server *server = NULL;
	minirpc_channel *channel = NULL;
	char target[64];
	uint16_t port;
	int r;

	alloc_fail_at(n, forever);
	r = minirpc_loop_new(&loop, NULL);
	if (r == 0)
		r = minirpc_server_new(&server, loop, NULL);
	if (r == 0)
		r = pair_try_serve(server);
	if (r == 0)
		r = minirpc_server_listen(server, "127.0.0.1:0",
					  &(struct minirpc_listen_options){ .ret_port = &port });
	if (r == 0) {
		snprintf(target, sizeof target, "localhost:%u", port);
		r = minirpc_channel_new(
			&channel, loop, target,
			&(struct minirpc_channel_options){ .backoff_initial = MINIRPC_MS(1) });
	}
	ck_assert(r == 0 || r == -ENOMEM);
	if (r == 0) {
		try_call(&probes[0], channel, &echo);
		if (probes[0].call != NULL) {
			ck_assert_int_eq(minirpc_call_wait(probes[0].call), 0);
			ck_assert_uint_eq(probes[0].ends, 1);
			ck_assert_int_ne(probes[0].code, MINIRPC_DEADLINE_EXCEEDED);
		}
	}
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return alloc_refused();
}

START_TEST(over_a_pipe_one_allocation_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(pipe_story, false), 50);
}
END_TEST

START_TEST(over_a_pipe_all_allocations_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(pipe_story, true), 50);
}
END_TEST

START_TEST(over_a_socket_one_allocation_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(socket_story, false), 50);
}
END_TEST

START_TEST(over_a_socket_all_allocations_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(socket_story, true), 50);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/memory");
	TCase *t = tcase_create("memory");

	tcase_set_timeout(t, 100);
	tcase_add_test(t, over_a_pipe_one_allocation_may_fail);
	tcase_add_test(t, over_a_pipe_all_allocations_may_fail);
	tcase_add_test(t, over_a_socket_one_allocation_may_fail);
	tcase_add_test(t, over_a_socket_all_allocations_may_fail);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Stories of a channel over a pipe: calls of every kind, waiting, deadlines, cancellation, starting
 * over, parents, freeing. */
#include "client/pair.h"
#include "run_suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct pair pair;

static void setup(void)
{
	pair_open(&pair, NULL, NULL);
}

static void teardown(void)
{
	pair_close(&pair);
}

/* ---- Calls ---- */

START_TEST(a_unary_call_runs_over_a_pipe)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	ck_assert_str_eq(minirpc_call_path(probe.call), "/t.T/echo");
	ck_assert_str_eq(minirpc_call_authority(probe.call), "test");
	ck_assert_uint_eq(probe.ends, 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(probe.headers, 1);
	ck_assert_uint_eq(probe.messages, 1);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_str_eq(probe.peer, "pipe:server");
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(streams_of_each_kind_run_over_a_pipe)
{
	struct probe listed = { 0 }, summed = { 0 }, chatted = { 0 };

	pair_connect(&pair);
	probe_call(&listed, pair.channel, &letters, NULL);
	probe_call(&summed, pair.channel, &sum, NULL);
	probe_call(&chatted, pair.channel, &chat, NULL);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(minirpc_call_send(summed.call, "four", 4), 0);
	ck_assert_int_eq(minirpc_call_send(chatted.call, "one", 3), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(listed.ends, 1);
	ck_assert_uint_eq(listed.messages, 5);
	ck_assert_str_eq(listed.last, "e");
	ck_assert_str_eq(chatted.last, "one");
	ck_assert_uint_eq(summed.ends + chatted.ends, 0);

	ck_assert_int_eq(minirpc_call_send(chatted.call, "two", 3), 0);
	ck_assert_int_eq(minirpc_call_end(chatted.call, NULL), 0);
	ck_assert_int_eq(minirpc_call_end(summed.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(chatted.ends, 1);
	ck_assert_uint_eq(chatted.messages, 2);
	ck_assert_str_eq(chatted.last, "two");
	ck_assert_uint_eq(summed.ends, 1);
	ck_assert_str_eq(summed.last, "12");
}
END_TEST

START_TEST(what_cannot_be_opened_is_refused_at_once)
{
	static char large[16 << 10];
	const struct minirpc_field reserved[] = { { "grpc-timeout", "1S" }, { 0 } };
	const struct minirpc_field upper[] = { { "Key", "v" }, { 0 } };
	const struct minirpc_field huge[] = { { "large", large, sizeof large }, { 0 } };
	const struct minirpc_field fits[] = { { "large", large, sizeof large - 32 - 5 }, { 0 } };
	const struct minirpc_method no_slash = { .path = "echo" }, no_method = { .path = "/t/" };
	struct minirpc_call_options options = { .metadata = reserved };
	minirpc_call *call = NULL;

	memset(large, 'x', sizeof large);
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &no_slash, NULL, NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &no_method, NULL, NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo, &options, NULL, NULL),
			 -EINVAL);
	options.metadata = upper;
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo, &options, NULL, NULL),
			 -EINVAL);
	options.metadata = huge;
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo, &options, NULL, NULL),
			 -E2BIG);
	ck_assert_ptr_null(call);
	options.metadata = fits; /* 16 KiB to the byte */
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo, &options, NULL, NULL), 0);
	minirpc_call_cancel(call);
}
END_TEST

START_TEST(a_bad_channel_is_refused)
{
	minirpc_channel *channel;

	ck_assert_int_eq(minirpc_channel_new(&channel, pair.loop, NULL, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_channel_new(&channel, pair.loop, "ipv4:nonsense", NULL), -EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "attached:a",
				    &(struct minirpc_channel_options){ .authority = "two words" }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "attached:a",
				    &(struct minirpc_channel_options){ .user_agent = "a\nb" }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "attached:a",
				    &(struct minirpc_channel_options){ .connect_timeout = -1 }),
		-EINVAL);
}
END_TEST

START_TEST(authority_and_user_agent_are_what_the_options_say)
{
	struct probe probe = { 0 };
	minirpc_channel *channel;
	minirpc_conn *conn;

	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "attached:a",
				    &(struct minirpc_channel_options){ .authority = "example.org:1",
								       .user_agent = "probe/1" }),
		0);
	ck_assert_int_eq(minirpc_channel_attach(pair.channel, NULL, &conn), 0);
	minirpc_channel_free(pair.channel);
	pair.channel = channel;
	pair_connect(&pair);
	probe_call(&probe, channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_str_eq(minirpc_call_authority(seen.last), "example.org:1");
	ck_assert_str_eq(minirpc_metadata_get(minirpc_call_headers(seen.last), "user-agent"),
			 "probe/1 grpc-c-minirpc/0.1.0");
	ck_assert_str_eq(minirpc_call_peer(seen.last), "pipe:client");
	ck_assert_ptr_eq(minirpc_call_server(seen.last), pair.server);
	ck_assert_ptr_null(minirpc_call_server(probe.call));
}
END_TEST

/* ---- Deadline and cancellation ---- */

START_TEST(a_deadline_ends_the_call_at_both_ends)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_MS(50) });
	pair_settle(&pair);
	ck_assert_int_eq(seen.deadline, MINIRPC_MS(50));
	pair_advance(&pair, MINIRPC_MS(50) - 1);
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(a_deadline_ends_a_call_that_waits_for_a_connection)
{
	struct probe probe = { 0 };

	probe_call(&probe, pair.channel, &echo,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_MS(50),
						   .wait_for_ready = true });
	pair_advance(&pair, MINIRPC_MS(49));
	ck_assert_uint_eq(probe.ends, 0);
	pair_advance(&pair, MINIRPC_MS(1));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(a_timeout_that_has_passed_fails_in_the_next_turn_and_sends_nothing)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_open(&probe.call, pair.channel, &echo,
					   &(struct minirpc_call_options){ .timeout = -1 },
					   &probe_events, &probe),
			 0);
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_int_eq(minirpc_call_send(probe.call, "x", 1), -EPIPE);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(a_cancelled_call_is_heard_of_by_the_server_only)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_CANCELLED);
}
END_TEST

START_TEST(a_call_that_waits_can_be_cancelled)
{
	struct probe probe = { 0 };

	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	minirpc_call_cancel(probe.call);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends + seen.calls, 0);
}
END_TEST

START_TEST(a_server_that_cancels_ends_the_call)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	minirpc_call_cancel(seen.last);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_CANCELLED);
	ck_assert_uint_eq(seen.ends, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

/* ---- Connections come and go ---- */

START_TEST(a_call_waits_until_there_is_a_connection)
{
	struct probe probe = { 0 };

	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_str_eq(minirpc_call_peer(probe.call), "");
	pair_connect(&pair);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_READY);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(one_connection_at_a_time)
{
	minirpc_conn *conn;

	pair_connect(&pair);
	ck_assert_int_eq(minirpc_channel_attach(pair.channel, NULL, &conn), -EISCONN);
	pair_cut(&pair);
	pair_connect(&pair); /* at once, without a turn in between */
}
END_TEST

START_TEST(a_broken_connection_fails_its_calls_and_the_next_one_works)
{
	struct probe broken = { 0 }, next = { 0 };

	pair_connect(&pair);
	probe_call(&broken, pair.channel, &hang, NULL);
	pair_settle(&pair);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(broken.ends, 1);
	ck_assert_int_eq(broken.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_CANCELLED);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 0);

	probe_call(&next, pair.channel, &echo, NULL);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(next.ends, 1);
	ck_assert_int_eq(next.code, MINIRPC_OK);
}
END_TEST

/* One stream at a time: what stands behind the first call waits inside the connection [W-12]. */
START_TEST(a_call_that_never_left_starts_over_as_often_as_need_be)
{
	struct probe first[3] = { 0 }, last = { 0 };

	pair_close(&pair);
	pair_open(&pair, &(struct minirpc_server_options){ .limits = { .max_streams = 1 } }, NULL);
	for (int i = 0; i < 3; i++)
		probe_call(&first[i], pair.channel, &hang, NULL);
	probe_call(&last, pair.channel, &echo, NULL);
	for (int i = 0; i < 3; i++) {
		pair_connect(&pair);
		pair_release(&pair); /* the server's SETTINGS, before anything is opened */
		pair_settle(&pair);
		pair_cut(&pair);
		pair_settle(&pair);
		ck_assert_uint_eq(first[i].ends, 1);
		ck_assert_int_eq(first[i].code, MINIRPC_UNAVAILABLE);
		ck_assert_uint_eq(last.ends, 0);
	}
	ck_assert_uint_eq(seen.calls, 3);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(last.ends, 1);
	ck_assert_int_eq(last.code, MINIRPC_OK);
	ck_assert_uint_eq(seen.calls, 4);
}
END_TEST

/* The request of an open call stays in the pipe, and the server says GOAWAY with 0 as its last id.
 * Another server takes its place. */
static minirpc_server *refuse(void)
{
	minirpc_server *old = pair.server;

	pair_settle(&pair);
	minirpc_server_stop(old);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_new(&pair.server, pair.loop, NULL), 0);
	pair_serve(pair.server);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
	return minirpc_server_free(old);
}

START_TEST(a_call_above_goaways_last_id_starts_over)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	pair_settle(&pair);
	pair.client.held = true;
	probe_call(&probe, pair.channel, &echo, NULL);
	refuse();
	ck_assert_uint_eq(probe.ends, 0);

	pair.client.held = false;
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_uint_eq(seen.calls, 1);
}
END_TEST

START_TEST(a_call_that_is_refused_twice_fails)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	pair_settle(&pair);
	pair.client.held = true;
	probe_call(&probe, pair.channel, &echo, NULL);
	refuse();
	ck_assert_uint_eq(probe.ends, 0);

	pair_connect(&pair);
	refuse();
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(a_stream_refused_for_the_limit_starts_over_on_the_same_connection)
{
	struct probe probes[3] = { 0 };

	pair_close(&pair);
	pair_open(&pair, &(struct minirpc_server_options){ .limits = { .max_streams = 1 } }, NULL);
	pair_connect(&pair);
	/* The server's SETTINGS have not come yet: all three go out, two come back refused. */
	for (int i = 0; i < 3; i++)
		probe_call(&probes[i], pair.channel, &echo, NULL);
	pair_settle(&pair);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(probes[i].ends, 1);
		ck_assert_int_eq(probes[i].code, MINIRPC_OK);
	}
	ck_assert_uint_eq(seen.calls, 3);
}
END_TEST

START_TEST(after_goaway_running_calls_go_on_and_new_ones_wait_for_a_new_connection)
{
	struct probe running = { 0 }, next = { 0 };
	minirpc_server *old = pair.server;

	pair_connect(&pair);
	probe_call(&running, pair.channel, &chat, NULL);
	ck_assert_int_eq(minirpc_call_send(running.call, "one", 3), 0);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_server_drain(pair.server, 0, NULL, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_channel_state(pair.channel), MINIRPC_IDLE);
	probe_call(&next, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(next.ends, 0);

	ck_assert_int_eq(minirpc_call_send(running.call, "two", 3), 0);
	ck_assert_int_eq(minirpc_call_end(running.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(running.ends, 1);
	ck_assert_int_eq(running.code, MINIRPC_OK);
	ck_assert_str_eq(running.last, "two");
	ck_assert_ptr_null(pair.client.conn); /* its last call has ended: closed */

	ck_assert_int_eq(minirpc_server_new(&pair.server, pair.loop, NULL), 0);
	pair_serve(pair.server);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(next.ends, 1);
	ck_assert_int_eq(next.code, MINIRPC_OK);
	minirpc_server_free(old);
}
END_TEST

/* ---- Watching ---- */

struct watcher {
	unsigned told;
	enum minirpc_channel_state state;
	bool free;
};

static void on_state(minirpc_channel *channel, void *user)
{
	struct watcher *watcher = user;

	watcher->told++;
	watcher->state = minirpc_channel_state(channel);
	if (watcher->free)
		pair.channel = minirpc_channel_free(channel);
}

START_TEST(a_watcher_is_told_once_in_a_turn)
{
	struct watcher watcher = { 0 };

	minirpc_channel_watch(pair.channel, MINIRPC_IDLE, on_state, &watcher);
	pair_settle(&pair);
	ck_assert_uint_eq(watcher.told, 0);
	pair_connect(&pair);
	ck_assert_uint_eq(watcher.told, 0);
	pair_settle(&pair);
	ck_assert_uint_eq(watcher.told, 1);
	ck_assert_int_eq(watcher.state, MINIRPC_READY);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(watcher.told, 1);

	/* Another state already: told in the next turn. */
	minirpc_channel_watch(pair.channel, MINIRPC_READY, on_state, &watcher);
	pair_settle(&pair);
	ck_assert_uint_eq(watcher.told, 2);
	ck_assert_int_eq(watcher.state, MINIRPC_IDLE);

	minirpc_channel_watch(pair.channel, MINIRPC_IDLE, on_state, &watcher);
	minirpc_channel_watch(pair.channel, MINIRPC_IDLE, NULL, NULL);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(watcher.told, 2);
}
END_TEST

START_TEST(a_watcher_may_free_the_channel)
{
	struct watcher watcher = { .free = true };

	minirpc_channel_watch(pair.channel, MINIRPC_IDLE, on_state, &watcher);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(watcher.told, 1);
	ck_assert_ptr_null(pair.channel);
	ck_assert_uint_eq(pair.client.finished, 1);
}
END_TEST

/* ---- Parents ---- */

/* A method that calls /t.T/hang through the channel it gets as user, as the child of its own call. */
static struct probe child;

static void call_child(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	probe_call(&child, user, &hang,
		   &(struct minirpc_call_options){ .parent = call, .timeout = MINIRPC_S(60) });
}

static void end_parent(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)status;
	(void)user;
	minirpc_call_end(call, NULL);
}

static const struct minirpc_method outer = { .path = "/t.T/outer" };
static const struct minirpc_call_events outer_events = { .on_headers = call_child,
							 .on_end = end_parent };

static void open_parent(struct probe *probe, minirpc_time timeout)
{
	memset(&child, 0, sizeof child);
	ck_assert_int_eq(minirpc_server_add(pair.server, &outer, &outer_events, pair.channel, NULL),
			 0);
	pair_connect(&pair);
	probe_call(probe, pair.channel, &outer,
		   &(struct minirpc_call_options){ .timeout = timeout });
	pair_settle(&pair);
	ck_assert_uint_eq(seen.calls, 1); /* the child's */
}

START_TEST(a_parents_deadline_cuts_the_childs_and_goes_onto_the_wire)
{
	struct probe probe = { 0 };

	open_parent(&probe, MINIRPC_MS(80));
	ck_assert_int_eq(minirpc_call_deadline(child.call), MINIRPC_MS(80));
	ck_assert_int_eq(seen.deadline, MINIRPC_MS(80));
	pair_advance(&pair, MINIRPC_MS(80));
	ck_assert_uint_eq(child.ends, 1);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(seen.ends, 1);
}
END_TEST

START_TEST(a_cancelled_parent_cancels_its_child)
{
	struct probe probe = { 0 };

	open_parent(&probe, 0);
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_uint_eq(child.ends, 1);
	ck_assert_int_eq(child.code, MINIRPC_CANCELLED);
	ck_assert_uint_eq(seen.ends, 1);
	ck_assert_int_eq(seen.end_code, MINIRPC_CANCELLED);
}
END_TEST

START_TEST(a_parent_must_be_a_servers_call_on_the_same_loop)
{
	struct probe probe = { 0 };
	minirpc_loop *loop;
	minirpc_channel *channel;
	minirpc_call *call;

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo,
					   &(struct minirpc_call_options){ .parent = probe.call },
					   NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .manual = true }),
			 0);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, "attached:other", NULL), 0);
	ck_assert_int_eq(minirpc_call_open(&call, channel, &echo,
					   &(struct minirpc_call_options){ .parent = seen.last },
					   NULL, NULL),
			 -EXDEV);
	minirpc_channel_free(channel);
	minirpc_loop_free(loop);
}
END_TEST

/* ---- Freeing ---- */

START_TEST(freeing_a_channel_takes_its_calls_along_without_a_word)
{
	struct probe running = { 0 }, waiting = { 0 };

	probe_call(&waiting, pair.channel, &echo, NULL);
	pair_connect(&pair);
	probe_call(&running, pair.channel, &hang, NULL);
	pair.channel = minirpc_channel_free(pair.channel);
	pair_settle(&pair);
	ck_assert_uint_eq(running.ends + waiting.ends, 0);
	ck_assert_uint_eq(pair.client.finished, 1);
	ck_assert_uint_eq(minirpc_server_open_connections(pair.server), 0);
}
END_TEST

static void free_channel(struct probe *probe)
{
	(void)probe;
	pair.channel = minirpc_channel_free(pair.channel);
}

START_TEST(a_channel_may_be_freed_in_on_end)
{
	struct probe probe = { .on_end = free_channel }, other = { 0 };

	pair_connect(&pair);
	probe_call(&other, pair.channel, &hang, NULL);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_uint_eq(other.ends, 0);
	ck_assert_uint_eq(seen.ends, 1);
}
END_TEST

static void open_again(struct probe *probe)
{
	probe->on_end = NULL;
	probe_call(probe, pair.channel, &echo, NULL);
}

START_TEST(a_call_may_be_opened_in_on_end)
{
	struct probe probe = { .on_end = open_again };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 2);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(waiting_is_for_loops_that_run_themselves)
{
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	ck_assert_int_eq(minirpc_call_wait(probe.call), -EINVAL);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
}
END_TEST

START_TEST(a_channel_counts_what_its_connections_saw)
{
	struct minirpc_conn_counts here, there;
	struct probe probe = { 0 };

	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	pair_cut(&pair);
	pair_settle(&pair);
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	minirpc_channel_counts(pair.channel, &here);
	minirpc_server_counts(pair.server, &there);
	ck_assert_uint_eq(here.calls_started, 2);
	ck_assert_uint_eq(here.calls_succeeded, 2);
	ck_assert_uint_eq(here.messages_sent, there.messages_received);
	ck_assert_uint_eq(here.messages_received, 2);
}
END_TEST

static void send_unconnected(size_t max_replay, size_t len, uint64_t overflows)
{
	struct minirpc_conn_counts counts;
	struct probe probe = { 0 };
	minirpc_call *call;
	char *data = calloc(1, len);

	pair_close(&pair);
	pair_open(&pair, NULL, &(struct minirpc_channel_options){ .max_replay = max_replay });
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &chat, NULL, &probe_events, &probe),
			 0);
	ck_assert_int_eq(minirpc_call_send(call, data, len), 0);
	minirpc_channel_counts(pair.channel, &counts);
	ck_assert_uint_eq(counts.overflowed_replays, overflows);
	free(data);
}

START_TEST(the_replay_buffer_at_its_limit_is_kept_and_one_byte_more_is_not)
{
	send_unconnected(0, 256 << 10, 0);
	send_unconnected(0, (256 << 10) + 1, 1);
	send_unconnected(10, 10, 0);
	send_unconnected(10, 11, 1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/channel");
	TCase *t = tcase_create("channel");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_unary_call_runs_over_a_pipe);
	tcase_add_test(t, streams_of_each_kind_run_over_a_pipe);
	tcase_add_test(t, what_cannot_be_opened_is_refused_at_once);
	tcase_add_test(t, a_bad_channel_is_refused);
	tcase_add_test(t, authority_and_user_agent_are_what_the_options_say);
	tcase_add_test(t, a_deadline_ends_the_call_at_both_ends);
	tcase_add_test(t, a_deadline_ends_a_call_that_waits_for_a_connection);
	tcase_add_test(t, a_timeout_that_has_passed_fails_in_the_next_turn_and_sends_nothing);
	tcase_add_test(t, a_cancelled_call_is_heard_of_by_the_server_only);
	tcase_add_test(t, a_call_that_waits_can_be_cancelled);
	tcase_add_test(t, a_server_that_cancels_ends_the_call);
	tcase_add_test(t, a_call_waits_until_there_is_a_connection);
	tcase_add_test(t, one_connection_at_a_time);
	tcase_add_test(t, a_broken_connection_fails_its_calls_and_the_next_one_works);
	tcase_add_test(t, a_call_that_never_left_starts_over_as_often_as_need_be);
	tcase_add_test(t, a_call_above_goaways_last_id_starts_over);
	tcase_add_test(t, a_call_that_is_refused_twice_fails);
	tcase_add_test(t, a_stream_refused_for_the_limit_starts_over_on_the_same_connection);
	tcase_add_test(t, after_goaway_running_calls_go_on_and_new_ones_wait_for_a_new_connection);
	tcase_add_test(t, a_watcher_is_told_once_in_a_turn);
	tcase_add_test(t, a_watcher_may_free_the_channel);
	tcase_add_test(t, a_parents_deadline_cuts_the_childs_and_goes_onto_the_wire);
	tcase_add_test(t, a_cancelled_parent_cancels_its_child);
	tcase_add_test(t, a_parent_must_be_a_servers_call_on_the_same_loop);
	tcase_add_test(t, freeing_a_channel_takes_its_calls_along_without_a_word);
	tcase_add_test(t, a_channel_may_be_freed_in_on_end);
	tcase_add_test(t, a_call_may_be_opened_in_on_end);
	tcase_add_test(t, waiting_is_for_loops_that_run_themselves);
	tcase_add_test(t, a_channel_counts_what_its_connections_saw);
	tcase_add_test(t, the_replay_buffer_at_its_limit_is_kept_and_one_byte_more_is_not);
	suite_add_tcase(s, t);
	return s;
}

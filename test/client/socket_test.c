/* SPDX-License-Identifier: MIT */
/* Channel and server over real sockets: states, backoff, timeouts, waiting without a loop. Ports are
 * the system's choice; times are milliseconds, and no test depends on one being short. */
#include "client/pair.h"
#include "run_suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static minirpc_loop *loop;
static minirpc_server *server;
static minirpc_channel *channel;
static char target[64];

static void listen_with(minirpc_server *one, uint16_t port)
{
	char address[32];

	pair_serve(one);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	ck_assert_int_eq(
		minirpc_server_listen(one, address,
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", port);
}

static void listen_on(uint16_t port)
{
	ck_assert_int_eq(minirpc_server_new(&server, loop, NULL), 0);
	listen_with(server, port);
}

/* A socket on a port of its own that listens, or not, and never says anything. */
static int silent_socket(bool listening)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	if (listening)
		ck_assert_int_eq(listen(fd, 8), 0);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", ntohs(address.sin_port));
	return fd;
}

static uint16_t port_of_target(void)
{
	return (uint16_t)atoi(strrchr(target, ':') + 1);
}

static void connect_with(const struct minirpc_channel_options *options)
{
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target, options), 0);
}

static void setup(void)
{
	memset(&seen, 0, sizeof seen);
	server = NULL;
	channel = NULL;
	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
}

static void teardown(void)
{
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
}

/* Sockets of this process that have a TCP_USER_TIMEOUT. */
static int user_timeouts(unsigned *ret_ms)
{
	int count = 0;

	for (int fd = 3; fd < 1024; fd++) {
		unsigned ms = 0;
		socklen_t len = sizeof ms;

		if (getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, &len) == 0 && ms > 0) {
			*ret_ms = ms;
			count++;
		}
	}
	return count;
}

/* [A18, K-1] Of both ends of the connection, both here: the server's keepalive is off. */
START_TEST(A18_only_with_keepalive_a_client_has_a_user_timeout)
{
	for (int with = 0; with < 2; with++) {
		struct probe probe = { 0 };
		unsigned ms = 0;

		ck_assert_int_eq(minirpc_server_new(&server, loop,
						    &(struct minirpc_server_options){
							    .keepalive = { .time = MINIRPC_NEVER } }),
				 0);
		listen_with(server, 0);
		connect_with(&(struct minirpc_channel_options){
			.keepalive = { .time = with ? MINIRPC_S(60) : 0, .timeout = MINIRPC_S(7) } });
		probe_call(&probe, channel, &echo, NULL);
		minirpc_call_wait(probe.call);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_int_eq(user_timeouts(&ms), with);
		ck_assert_uint_eq(ms, with ? 7000 : 0);
		channel = minirpc_channel_free(channel);
		server = minirpc_server_free(server);
	}
}
END_TEST

static bool is_state(enum minirpc_channel_state state)
{
	return minirpc_channel_state(channel) == state;
}

struct arrival {
	enum minirpc_channel_state state;
	bool there;
};

static void on_state(minirpc_channel *changed, void *user)
{
	struct arrival *arrival = user;

	if (minirpc_channel_state(changed) == arrival->state)
		arrival->there = true;
	else
		minirpc_channel_watch(changed, minirpc_channel_state(changed), on_state, user);
}

static void run_until_state(enum minirpc_channel_state state)
{
	struct arrival arrival = { .state = state };

	if (is_state(state))
		return;
	minirpc_channel_watch(channel, minirpc_channel_state(channel), on_state, &arrival);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &arrival.there), 0);
}

static void wait_for(struct probe *probe)
{
	ck_assert_int_eq(minirpc_call_wait(probe->call), 0);
	ck_assert_uint_eq(probe->ends, 1);
}

START_TEST(a_call_connects_and_runs)
{
	struct probe probe = { 0 };

	listen_on(0);
	connect_with(NULL);
	ck_assert(is_state(MINIRPC_IDLE));
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_str_eq(probe.peer, target);
	ck_assert(is_state(MINIRPC_READY));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 1);
}
END_TEST

START_TEST(a_name_is_resolved_and_connected_to)
{
	struct probe probe = { 0 };

	listen_on(0);
	snprintf(target, sizeof target, "localhost:%u", port_of_target());
	connect_with(NULL);
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(connect_makes_the_channel_ready_without_a_call)
{
	listen_on(0);
	connect_with(NULL);
	minirpc_channel_connect(channel);
	ck_assert(is_state(MINIRPC_CONNECTING));
	run_until_state(MINIRPC_READY);
	ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(a_refused_connection_fails_calls_at_once_and_says_why)
{
	int fd = silent_socket(false);
	struct probe probe = { 0 }, next = { 0 };
	char expected[128];

	connect_with(NULL);
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	snprintf(expected, sizeof expected, "connection to %s failed: Connection refused (attempt 1)",
		 target);
	ck_assert_str_eq(probe.text, expected);
	ck_assert(is_state(MINIRPC_TRANSIENT_FAILURE));

	/* In the backoff of a second, without another attempt. */
	probe_call(&next, channel, &echo, NULL);
	wait_for(&next);
	ck_assert_int_eq(next.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(next.text, expected);
	close(fd);
}
END_TEST

START_TEST(a_call_that_waits_for_ready_outlasts_failures)
{
	int fd = silent_socket(false);
	struct probe waits = { 0 }, fails = { 0 };
	uint16_t port = port_of_target();

	connect_with(&(struct minirpc_channel_options){ .backoff_initial = MINIRPC_MS(5),
							.backoff_max = MINIRPC_MS(20) });
	probe_call(&waits, channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	probe_call(&fails, channel, &echo, NULL);
	wait_for(&fails);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(waits.ends, 0);
	close(fd);
	listen_on(port);
	wait_for(&waits);
	ck_assert_int_eq(waits.code, MINIRPC_OK);
	ck_assert(is_state(MINIRPC_READY));
}
END_TEST

static void note_state(minirpc_channel *changed, void *user)
{
	struct arrival *arrival = user;

	arrival->state = minirpc_channel_state(changed);
	arrival->there = true;
}

START_TEST(transient_failure_stays_until_ready)
{
	int fd = silent_socket(false);
	struct arrival next = { 0 };
	uint16_t port = port_of_target();

	connect_with(&(struct minirpc_channel_options){ .backoff_initial = MINIRPC_MS(1),
							.backoff_max = MINIRPC_MS(2) });
	minirpc_channel_connect(channel);
	run_until_state(MINIRPC_TRANSIENT_FAILURE);
	close(fd);
	listen_on(port);
	minirpc_channel_watch(channel, MINIRPC_TRANSIENT_FAILURE, note_state, &next);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &next.there), 0);
	ck_assert_int_eq(next.state, MINIRPC_READY);
}
END_TEST

START_TEST(a_server_that_accepts_and_says_nothing_runs_out_of_time)
{
	int fd = silent_socket(true);
	struct probe probe = { 0 };
	char expected[128];

	connect_with(&(struct minirpc_channel_options){ .backoff_initial = MINIRPC_MS(10),
							.connect_timeout = MINIRPC_MS(30) });
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	snprintf(expected, sizeof expected, "connection to %s failed: no HTTP/2 SETTINGS in time (attempt 1)", target);
	ck_assert_str_eq(probe.text, expected);
	close(fd);
}
END_TEST

START_TEST(a_name_that_does_not_exist_fails)
{
	struct probe probe = { 0 };

	snprintf(target, sizeof target, "no-such-host.invalid:1");
	connect_with(NULL);
	probe_call(&probe, channel, &echo,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_S(30) });
	wait_for(&probe);
	ck_assert(probe.code == MINIRPC_UNAVAILABLE || probe.code == MINIRPC_DEADLINE_EXCEEDED);
	if (probe.code == MINIRPC_UNAVAILABLE)
		ck_assert_ptr_nonnull(
			strstr(probe.text, "name resolution of no-such-host.invalid failed: "));
}
END_TEST

START_TEST(a_lost_server_makes_the_channel_idle_and_the_next_call_connects_again)
{
	struct probe probe = { 0 }, lost = { 0 }, next = { 0 };
	uint16_t port;

	listen_on(0);
	port = port_of_target();
	connect_with(NULL);
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	probe_call(&lost, channel, &hang, NULL);
	probe_call(&next, channel, &echo, NULL); /* behind it: the server has seen both */
	wait_for(&next);
	server = minirpc_server_free(server);
	wait_for(&lost);
	ck_assert_int_ne(lost.code, MINIRPC_OK);
	run_until_state(MINIRPC_IDLE);

	listen_on(port);
	memset(&next, 0, sizeof next);
	probe_call(&next, channel, &echo, NULL);
	wait_for(&next);
	ck_assert_int_eq(next.code, MINIRPC_OK);
}
END_TEST

static unsigned drained;

static void on_drained(minirpc_server *gone, void *user)
{
	(void)gone;
	drained++;
	*(bool *)user = true;
}

START_TEST(a_drained_server_closes_its_sockets)
{
	struct probe running = { 0 }, refused = { 0 };
	bool done = false;

	drained = 0;
	listen_on(0);
	connect_with(NULL);
	probe_call(&running, channel, &chat, NULL);
	ck_assert_int_eq(minirpc_call_send(running.call, "one", 3), 0);
	run_until_state(MINIRPC_READY);
	ck_assert_int_eq(minirpc_server_drain(server, MINIRPC_S(60), on_drained, &done), 0);
	run_until_state(MINIRPC_IDLE);

	probe_call(&refused, channel, &echo, NULL);
	wait_for(&refused);
	ck_assert_int_eq(refused.code, MINIRPC_UNAVAILABLE);

	ck_assert_int_eq(minirpc_call_end(running.call, NULL), 0);
	wait_for(&running);
	ck_assert_int_eq(running.code, MINIRPC_OK);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &done), 0);
	ck_assert_uint_eq(drained, 1);
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
}
END_TEST

START_TEST(connections_over_the_limit_are_closed)
{
	struct probe probe = { 0 }, other = { 0 };
	struct minirpc_conn_counts counts;
	minirpc_channel *second;
	uint16_t port;

	ck_assert_int_eq(
		minirpc_server_new(&server, loop,
				   &(struct minirpc_server_options){ .max_connections = 1 }),
		0);
	pair_serve(server);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", port);
	connect_with(NULL);
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);

	ck_assert_int_eq(minirpc_channel_new(&second, loop, target, NULL), 0);
	probe_call(&other, second, &echo, NULL);
	wait_for(&other);
	ck_assert_int_eq(other.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(minirpc_server_open_connections(server), 1);
	minirpc_server_counts(server, &counts);
	ck_assert_uint_ge(counts.refused_connections, 1);
	minirpc_channel_free(second);
}
END_TEST

START_TEST(a_socket_that_listens_already_is_adopted)
{
	struct probe probe = { 0 };
	int fd = silent_socket(true);

	ck_assert_int_eq(minirpc_server_new(&server, loop, NULL), 0);
	pair_serve(server);
	ck_assert_int_eq(minirpc_server_listen_fd(server, -1), -EINVAL);
	ck_assert_int_eq(minirpc_server_listen_fd(server, fd), 0);
	connect_with(NULL);
	probe_call(&probe, channel, &echo, NULL);
	wait_for(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

/* ---- A channel with a loop of its own ---- */

START_TEST(a_channel_of_its_own_loop_waits_with_a_fresh_clock)
{
	int fd = silent_socket(true);
	struct probe probe = { 0 };
	minirpc_channel *own;
	struct timespec now;

	ck_assert_int_eq(minirpc_channel_new(&own, NULL, target, NULL), 0);
	ck_assert_ptr_ne(minirpc_channel_loop(own), loop);
	/* The loop has never run; what it thinks the time is must not cut the deadline. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	ck_assert_int_eq(
		minirpc_call_open(&probe.call, own, &hang,
				  &(struct minirpc_call_options){ .timeout = MINIRPC_MS(20) },
				  &probe_events, &probe),
		0);
	ck_assert_int_ge(minirpc_call_deadline(probe.call),
			 MINIRPC_S(now.tv_sec) + now.tv_nsec + MINIRPC_MS(20));
	ck_assert_int_eq(minirpc_call_wait(probe.call), 0);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	minirpc_channel_free(own);
	close(fd);
}
END_TEST

static void wait_inside(struct probe *probe)
{
	minirpc_call *call;

	ck_assert_int_eq(minirpc_call_open(&call, probe->user, &echo, NULL, NULL, NULL), 0);
	ck_assert_int_eq(minirpc_call_wait(call), -EDEADLK);
	minirpc_call_cancel(call);
}

static void free_inside(struct probe *probe)
{
	probe->user = minirpc_channel_free(probe->user);
}

START_TEST(waiting_inside_a_callback_is_a_deadlock_and_says_so)
{
	int fd = silent_socket(false);
	struct probe probe = { .on_end = wait_inside };
	minirpc_channel *own;

	ck_assert_int_eq(minirpc_channel_new(&own, NULL, target, NULL), 0);
	probe.user = own;
	probe_call(&probe, own, &echo, NULL);
	ck_assert_int_eq(minirpc_call_wait(probe.call), 0);
	ck_assert_uint_eq(probe.ends, 1);
	minirpc_channel_free(own);
	close(fd);
}
END_TEST

START_TEST(a_channel_of_its_own_loop_may_be_freed_inside_the_wait)
{
	int fd = silent_socket(false);
	struct probe frees = { .on_end = free_inside }, waits = { 0 };
	minirpc_channel *own;

	ck_assert_int_eq(minirpc_channel_new(&own, NULL, target, NULL), 0);
	frees.user = own;
	probe_call(&frees, own, &echo, NULL);
	probe_call(
		&waits, own, &echo,
		&(struct minirpc_call_options){ .wait_for_ready = true, .timeout = MINIRPC_S(60) });
	ck_assert_int_eq(minirpc_call_wait(waits.call), 0); /* its handle is gone now */
	ck_assert_uint_eq(frees.ends, 1);
	ck_assert_uint_eq(waits.ends, 0);
	ck_assert_ptr_null(frees.user);

	/* And inside the wait for the very call. */
	ck_assert_int_eq(minirpc_channel_new(&own, NULL, target, NULL), 0);
	frees = (struct probe){ .on_end = free_inside, .user = own };
	probe_call(&frees, own, &echo, NULL);
	ck_assert_int_eq(minirpc_call_wait(frees.call), 0);
	ck_assert_uint_eq(frees.ends, 1);
	close(fd);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/socket");
	TCase *t = tcase_create("socket");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, A18_only_with_keepalive_a_client_has_a_user_timeout);
	tcase_add_test(t, a_call_connects_and_runs);
	tcase_add_test(t, a_name_is_resolved_and_connected_to);
	tcase_add_test(t, connect_makes_the_channel_ready_without_a_call);
	tcase_add_test(t, a_refused_connection_fails_calls_at_once_and_says_why);
	tcase_add_test(t, a_call_that_waits_for_ready_outlasts_failures);
	tcase_add_test(t, transient_failure_stays_until_ready);
	tcase_add_test(t, a_server_that_accepts_and_says_nothing_runs_out_of_time);
	tcase_add_test(t, a_name_that_does_not_exist_fails);
	tcase_add_test(t, a_lost_server_makes_the_channel_idle_and_the_next_call_connects_again);
	tcase_add_test(t, a_drained_server_closes_its_sockets);
	tcase_add_test(t, connections_over_the_limit_are_closed);
	tcase_add_test(t, a_socket_that_listens_already_is_adopted);
	tcase_add_test(t, a_channel_of_its_own_loop_waits_with_a_fresh_clock);
	tcase_add_test(t, waiting_inside_a_callback_is_a_deadlock_and_says_so);
	tcase_add_test(t, a_channel_of_its_own_loop_may_be_freed_inside_the_wait);
	suite_add_tcase(s, t);
	return s;
}

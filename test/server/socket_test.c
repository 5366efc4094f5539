/* SPDX-License-Identifier: MIT */
/* A server and bare sockets that do not behave: real sockets, a clock turned by hand. */
#include "client/pair.h"
#include "run_suite.h"

#include "io/poll_loop.h"

#include "io/link_own.h"
#include "server/server.h"
#include "world/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct poll_loop host;
static minirpc_loop *loop;
static minirpc_server *server;
static uint16_t port;
static char lines[2000];

static void note(enum minirpc_log_level level, const char *line, void *user)
{
	size_t len = strlen(lines);

	(void)user;
	if (level == MINIRPC_LOG_INFO)
		snprintf(lines + len, sizeof lines - len, "%s\n", line);
}

static void open_server(const struct minirpc_server_options *options)
{
	ck_assert_int_eq(minirpc_server_new(&server, loop, options), 0);
	pair_serve(server);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
}

static void setup(void)
{
	lines[0] = '\0';
	server = NULL;
	poll_loop_init(&host);
	host.now = MINIRPC_S(1000);
	ck_assert_int_eq(
		minirpc_loop_new(&loop,
				 &(struct minirpc_loop_options){ .hooks = &poll_loop_hooks,
								 .hooks_user = &host,
								 .log = note,
								 .log_level = MINIRPC_LOG_INFO }),
		0);
}

static void teardown(void)
{
	minirpc_server_free(server);
	minirpc_loop_free(loop);
}

static void run_until(minirpc_time at)
{
	for (;;) {
		poll_loop_settle(&host, loop);
		if (host.wake_at > at)
			break;
		host.now = host.wake_at;
	}
	host.now = at;
	poll_loop_settle(&host, loop);
}

/* A connection of which the server knows; -1 when nobody listens. */
static int dial(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		ck_assert_int_eq(errno, ECONNREFUSED);
		close(fd);
		return -1;
	}
	poll_loop_settle(&host, loop);
	return fd;
}

static bool is_closed(int fd)
{
	char data[1024];
	ssize_t n;

	while ((n = recv(fd, data, sizeof data, MSG_DONTWAIT)) > 0)
		;
	return n == 0 || errno == ECONNRESET;
}

START_TEST(a_peer_that_says_nothing_is_closed_when_the_handshake_time_is_over)
{
	struct minirpc_conn_counts counts;
	int fd;

	open_server(NULL);
	fd = dial();
	run_until(MINIRPC_S(1010) - 1);
	ck_assert_uint_eq(minirpc_server_open_connections(server), 1);
	ck_assert(!is_closed(fd));
	run_until(MINIRPC_S(1012));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
	ck_assert(is_closed(fd));
	minirpc_server_counts(server, &counts);
	ck_assert_uint_eq(counts.closed_handshake, 1);
	close(fd);
}
END_TEST

/* While keepalive is on, which it is unless told otherwise. */
START_TEST(A18_what_is_sent_may_stay_unacknowledged_for_the_timeout)
{
	static const struct {
		struct minirpc_keepalive keepalive;
		unsigned ms;
	} cases[] = {
		{ { .timeout = 0 }, 20000 },
		{ { .timeout = MINIRPC_MS(1500) }, 1500 },
		{ { .timeout = MINIRPC_MS(1500) + 1 }, 1501 }, /* 0 would mean the system's */
		{ { .timeout = MINIRPC_S(86400) * 365 }, INT32_MAX },
		{ { .time = MINIRPC_NEVER }, 0 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct mrpc_server_connection *connection;
		unsigned ms = 1;
		socklen_t len = sizeof ms;
		int fd;

		open_server(&(struct minirpc_server_options){ .keepalive = cases[i].keepalive });
		fd = dial();
		connection = mrpc_container(server->connections.next, struct mrpc_server_connection,
					    node);
		ck_assert_int_eq(getsockopt(connection->link->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms,
					    &len),
				 0);
		ck_assert_uint_eq(ms, cases[i].ms);
		close(fd);
		server = minirpc_server_free(server);
	}
}
END_TEST

START_TEST(connections_come_and_go_in_the_log)
{
	int fd;

	open_server(NULL);
	fd = dial();
	ck_assert_ptr_nonnull(strstr(lines, "connection from ipv4:127.0.0.1:"));
	ck_assert_ptr_null(strstr(lines, "closed"));
	close(fd);
	run_until(MINIRPC_S(1001));
	ck_assert_ptr_nonnull(strstr(lines, "closed"));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
}
END_TEST

START_TEST(stopping_closes_everything_within_a_second)
{
	int quiet, fd;

	open_server(NULL);
	quiet = dial();
	minirpc_server_stop(server);
	run_until(MINIRPC_S(1001));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
	ck_assert(is_closed(quiet));
	fd = dial();
	ck_assert_int_lt(fd, 0);
	ck_assert_int_eq(minirpc_server_listen(server, "127.0.0.1:0", NULL), -ESHUTDOWN);
	close(quiet);
}
END_TEST

static void on_drained(minirpc_server *drained, void *user)
{
	ck_assert_ptr_eq(drained, server);
	*(minirpc_time *)user = minirpc_loop_now(loop);
}

START_TEST(a_drain_ends_with_its_grace_whatever_peers_do)
{
	minirpc_time drained = 0;
	int fd;

	open_server(
		&(struct minirpc_server_options){ .limits = { .handshake_time = MINIRPC_S(600) } });
	fd = dial();
	ck_assert_int_eq(minirpc_server_drain(server, MINIRPC_S(30), on_drained, &drained), 0);
	run_until(MINIRPC_S(1000));
	ck_assert_int_lt(dial(), 0);
	run_until(MINIRPC_S(1040));
	ck_assert_int_ge(drained, MINIRPC_S(1000));
	ck_assert_int_le(drained, MINIRPC_S(1031));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
	close(fd);
}
END_TEST

/* Whoever does not even finish the TLS handshake keeps nobody waiting longer than that may take, also when
 * its connection was to end anyway: nothing that we have to say can reach it. */
START_TEST(the_handshake_time_bounds_a_connection_that_ends_already)
{
	struct pki_identity *ca = pki_ca("test authority");
	struct pki_identity *id = pki_leaf(ca, &(struct pki_leaf){ 0 });
	struct minirpc_server_options options = { 0 };
	minirpc_time drained = 0;
	minirpc_tls *tls;
	int fd;

	ck_assert_int_eq(minirpc_tls_new(&tls, &(struct minirpc_tls_options){
						       .cert_pem = id->cert_pem,
						       .key_pem = id->key_pem }),
			 0);
	options.tls = tls;
	if (_i == 1)
		options.max_connection_idle = MINIRPC_S(2);
	if (_i == 2)
		options.max_connection_age = MINIRPC_S(2);
	open_server(&options);
	fd = dial();
	if (_i == 3)
		ck_assert_int_eq(minirpc_server_drain(server, 0, on_drained, &drained), 0);
	run_until(MINIRPC_S(1009));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 1);
	run_until(MINIRPC_S(1013));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
	ck_assert(is_closed(fd));
	ck_assert_int_eq(drained > 0, _i == 3);
	close(fd);
	minirpc_tls_unref(tls);
	pki_free(id);
	pki_free(ca);
}
END_TEST

START_TEST(garbage_costs_its_connection_only)
{
	int garbage, fd;

	open_server(NULL);
	garbage = dial();
	fd = dial();
	ck_assert_int_eq(write(garbage, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27), 27);
	run_until(MINIRPC_S(1002));
	ck_assert(is_closed(garbage));
	ck_assert(!is_closed(fd));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 1);
	close(garbage);
	close(fd);
}
END_TEST

START_TEST(connections_at_the_limit_are_served_and_one_more_is_closed_and_counted)
{
	struct minirpc_conn_counts counts;
	int fds[4];

	open_server(&(struct minirpc_server_options){ .max_connections = 3 });
	for (int i = 0; i < 4; i++)
		fds[i] = dial();
	for (int i = 0; i < 3; i++)
		ck_assert(!is_closed(fds[i]));
	ck_assert(is_closed(fds[3]));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 3);
	minirpc_server_counts(server, &counts);
	ck_assert_uint_eq(counts.refused_connections, 1);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}
END_TEST

START_TEST(pauses_for_want_of_descriptors_last_as_long_as_asked_and_are_counted)
{
	struct minirpc_conn_counts counts;
	struct rlimit limit, less;
	int fds[2], fill[64], count = 0;

	ck_assert_int_eq(minirpc_server_new(&server, loop, NULL), 0);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .accept_pause = -1 }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){
					      .accept_pause = MINIRPC_S(3), .ret_port = &port }),
		0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = limit;
	less.rlim_cur = 64; /* poll_loop's poll wants more than a few */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
	while ((fill[count] = dup(0)) >= 0)
		count++;
	close(fill[--count]); /* one: the peer's own end */
	fds[0] = dial();
	ck_assert(is_closed(fds[0]));
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fds[1] = dial();
	run_until(MINIRPC_S(1003) - 1);
	ck_assert_uint_eq(minirpc_server_open_connections(server), 0);
	run_until(MINIRPC_S(1003));
	ck_assert_uint_eq(minirpc_server_open_connections(server), 1);
	minirpc_server_counts(server, &counts);
	ck_assert_uint_eq(counts.accept_pauses, 1);
	close(fds[0]);
	close(fds[1]);
	while (count > 0)
		close(fill[--count]);
}
END_TEST

START_TEST(freeing_closes_sockets_at_once)
{
	int fd;

	open_server(NULL);
	fd = dial();
	server = minirpc_server_free(server);
	ck_assert(is_closed(fd));
	close(fd);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/socket");
	TCase *t = tcase_create("socket");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_peer_that_says_nothing_is_closed_when_the_handshake_time_is_over);
	tcase_add_test(t, A18_what_is_sent_may_stay_unacknowledged_for_the_timeout);
	tcase_add_test(t, connections_come_and_go_in_the_log);
	tcase_add_test(t, stopping_closes_everything_within_a_second);
	tcase_add_test(t, a_drain_ends_with_its_grace_whatever_peers_do);
	tcase_add_loop_test(t, the_handshake_time_bounds_a_connection_that_ends_already, 0, 4);
	tcase_add_test(t, garbage_costs_its_connection_only);
	tcase_add_test(t, connections_at_the_limit_are_served_and_one_more_is_closed_and_counted);
	tcase_add_test(t, pauses_for_want_of_descriptors_last_as_long_as_asked_and_are_counted);
	tcase_add_test(t, freeing_closes_sockets_at_once);
	suite_add_tcase(s, t);
	return s;
}

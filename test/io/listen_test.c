/* SPDX-License-Identifier: MIT */
/* lib/io/listen.c, listen_bind.c: real sockets on loopback, and a clock turned by hand. */
#include "io/hand_loop.h"
#include "io/listen.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEERS_MAX 200

static struct accepted {
	int count, fds[PEERS_MAX];
	char peer[MRPC_ADDRESS_TEXT];
	struct mrpc_listener *free_at_once;
} accepted;

static char logged[512];
static int log_lines;

static void take_line(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level, (void)user;
	snprintf(logged, sizeof logged, "%s", line);
	log_lines++;
}

static void on_accept(void *user, int fd, const struct mrpc_address *peer)
{
	struct accepted *to = user;

	ck_assert_int_lt(to->count, PEERS_MAX);
	to->fds[to->count++] = fd;
	mrpc_address_format(peer, to->peer);
	mrpc_listener_free(to->free_at_once);
	to->free_at_once = NULL;
}

static const struct mrpc_listener_events events = { .on_accept = on_accept };

static void close_accepted(void)
{
	while (accepted.count > 0)
		close(accepted.fds[--accepted.count]);
	accepted = (struct accepted){ 0 };
}

static struct mrpc_listener *listener_of(struct hand_loop *hand, const char *address,
					 uint16_t *ret_port)
{
	struct mrpc_listener *listener;
	char error[200] = "";
	int r;

	r = mrpc_listener_new(&listener, hand->loop, address,
			      &(struct minirpc_listen_options){ .ret_port = ret_port,
								.error = error,
								.error_size = sizeof error },
			      &events, &accepted);
	ck_assert_str_eq(error, "");
	ck_assert_int_eq(r, 0);
	return listener;
}

/* A client's end, connected or refused (-1). */
static int connect_to(const char *ip, uint16_t port)
{
	struct mrpc_address address;
	int fd;

	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, ip, strlen(ip), port), 0);
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, &address.any, address.len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int connect_unix(const char *path)
{
	struct mrpc_address address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(mrpc_address_from_unix(&address, path, strlen(path), false), 0);
	if (connect(fd, &address.any, address.len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

START_TEST(a_peer_is_accepted_ready_to_use)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	struct mrpc_address own = { .len = sizeof own.storage };
	char expected[MRPC_ADDRESS_TEXT];
	int on = 0, client, before;
	socklen_t size = sizeof on;
	uint16_t port = 0;

	hand_init(&hand, NULL);
	before = open_descriptors();
	listener = listener_of(&hand, "127.0.0.1:0", &port);
	ck_assert_uint_ne(port, 0);
	client = connect_to("127.0.0.1", port);
	hand_settle(&hand);
	ck_assert_int_eq(accepted.count, 1);
	ck_assert_int_ne(fcntl(accepted.fds[0], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(accepted.fds[0], F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(getsockopt(accepted.fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
	ck_assert_int_ne(on, 0);
	getsockname(client, &own.any, &own.len);
	mrpc_address_format(&own, expected);
	ck_assert_str_eq(accepted.peer, expected);

	mrpc_listener_free(listener);
	mrpc_listener_free(NULL);
	ck_assert_int_eq(connect_to("127.0.0.1", port), -1);
	close(client);
	close_accepted();
	ck_assert_int_eq(open_descriptors(), before);
	hand_clear(&hand);
}
END_TEST

START_TEST(no_host_means_any_address_of_both_families_on_one_port)
{
	static const char *const addresses[] = { ":0", "*:0" };

	for (int i = 0; i < 2; i++) {
		struct hand_loop hand;
		struct mrpc_listener *listener;
		uint16_t port;
		int a, b = -1;

		hand_init(&hand, NULL);
		listener = listener_of(&hand, addresses[i], &port);
		a = connect_to("127.0.0.1", port);
		ck_assert_int_ge(a, 0);
		if (has_ipv6()) {
			b = connect_to("::1", port);
			ck_assert_int_ge(b, 0);
		}
		hand_settle(&hand);
		ck_assert_int_eq(accepted.count, b < 0 ? 1 : 2);
		mrpc_listener_free(listener);
		close(a);
		if (b >= 0)
			close(b);
		close_accepted();
		hand_clear(&hand);
	}
}
END_TEST

START_TEST(a_name_is_every_address_it_has)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	uint16_t port;
	int a;

	hand_init(&hand, NULL);
	listener = listener_of(&hand, "localhost:0", &port);
	ck_assert_uint_ne(port, 0);
	a = connect_to("127.0.0.1", port);
	ck_assert_int_ge(a, 0);
	hand_settle(&hand);
	ck_assert_int_eq(accepted.count, 1);
	mrpc_listener_free(listener);
	close(a);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

START_TEST(the_any_address_of_ipv6_takes_ipv4_too_unless_told_not_to)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	uint16_t port;
	int a;

	if (!has_ipv6())
		return;
	hand_init(&hand, NULL);
	listener = listener_of(&hand, "[::]:0", &port);
	a = connect_to("127.0.0.1", port);
	ck_assert_int_ge(a, 0);
	hand_settle(&hand);
	ck_assert_int_eq(strncmp(accepted.peer, "ipv4:127.0.0.1:", 15), 0);
	mrpc_listener_free(listener);
	close(a);
	close_accepted();

	ck_assert_int_eq(mrpc_listener_new(&listener, hand.loop, "[::]:0",
					   &(struct minirpc_listen_options){ .only_ipv6 = true,
									     .ret_port = &port },
					   &events, &accepted),
			 0);
	ck_assert_int_eq(connect_to("127.0.0.1", port), -1);
	a = connect_to("::1", port);
	ck_assert_int_ge(a, 0);
	hand_settle(&hand);
	ck_assert_int_eq(strncmp(accepted.peer, "ipv6:[::1]:", 11), 0);
	mrpc_listener_free(listener);
	close(a);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

static void assert_refused(struct hand_loop *hand, const char *address, bool reuse_port, int error,
			   const char *sentence)
{
	struct mrpc_listener *listener = NULL;
	char text[400] = "untouched", tiny[5];
	int before = open_descriptors();
	size_t live = alloc_live();

	ck_assert_int_eq(
		mrpc_listener_new(&listener, hand->loop, address,
				  &(struct minirpc_listen_options){ .error = text,
								    .error_size = sizeof text,
								    .reuse_port = reuse_port },
				  &events, &accepted),
		error);
	ck_assert_str_eq(text, sentence);
	ck_assert_int_eq(mrpc_listener_new(&listener, hand->loop, address,
					   &(struct minirpc_listen_options){
						   .error = tiny, .error_size = sizeof tiny },
					   &events, &accepted),
			 error);
	ck_assert_uint_eq(strlen(tiny), 4);
	ck_assert_int_eq(
		mrpc_listener_new(&listener, hand->loop, address, NULL, &events, &accepted), error);
	ck_assert_ptr_null(listener);
	ck_assert_int_eq(open_descriptors(), before);
	ck_assert_uint_eq(alloc_live(), live);
}

START_TEST(what_cannot_be_listened_on_is_refused_with_a_sentence)
{
	static const char *const malformed[] = {
		"",      "localhost", "localhost:", "localhost:x",    "localhost:65536", "[::1:80",
		"[::1]", "[::1]80",   "::1",        "[127.0.0.1]:80", "[localhost]:80",  ":-1"
	};
	char sentence[300];
	struct hand_loop hand;
	struct mrpc_listener *listener;
	uint16_t port;

	hand_init(&hand, NULL);
	for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
		char full[100];

		snprintf(full, sizeof full, "%s", malformed[i]);
		snprintf(sentence, sizeof sentence, "%s: not of the form host:port", full);
		assert_refused(&hand, full, false, -EINVAL, sentence);
	}
	assert_refused(&hand, "192.0.2.99:0", false, -EADDRNOTAVAIL,
		       "192.0.2.99:0: Cannot assign requested address");
	memset(sentence, 'a', 260);
	snprintf(sentence + 260, sizeof sentence - 260, ":1");
	{
		char expected[400];

		snprintf(expected, sizeof expected, "%s: the name is too long", sentence);
		assert_refused(&hand, sentence, false, -EINVAL, expected);
	}

	listener = listener_of(&hand, "127.0.0.1:0", &port);
	{
		char address[40];

		snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
		snprintf(sentence, sizeof sentence, "%s: Address already in use", address);
		assert_refused(&hand, address, false, -EADDRINUSE, sentence);
		assert_refused(&hand, address, true, -EADDRINUSE, sentence); /* both must want it */
	}
	mrpc_listener_free(listener);
	hand_clear(&hand);
}
END_TEST

START_TEST(several_may_share_a_port_when_all_want_to)
{
	struct minirpc_listen_options options = { .reuse_port = true };
	struct hand_loop hand;
	struct mrpc_listener *first, *second;
	uint16_t port, again;
	char address[40];

	hand_init(&hand, NULL);
	options.ret_port = &port;
	ck_assert_int_eq(
		mrpc_listener_new(&first, hand.loop, "127.0.0.1:0", &options, &events, &accepted),
		0);
	snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
	options.ret_port = &again;
	ck_assert_int_eq(
		mrpc_listener_new(&second, hand.loop, address, &options, &events, &accepted), 0);
	ck_assert_uint_eq(again, port);
	mrpc_listener_free(first);
	mrpc_listener_free(second);
	hand_clear(&hand);
}
END_TEST

/* ---- unix ---- */

static char directory[40];

static void enter_directory(void)
{
	snprintf(directory, sizeof directory, "/tmp/minirpc-listen-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(chdir(directory), 0);
}

static void leave_directory(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(rmdir(directory), 0); /* empty */
}

START_TEST(a_unix_socket_has_a_file_as_long_as_it_listens)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	uint16_t port = 7;
	int client;

	hand_init(&hand, NULL);
	enter_directory();
	listener = listener_of(&hand, "unix:s", &port);
	ck_assert_uint_eq(port, 0);
	client = connect_unix("s");
	ck_assert_int_ge(client, 0);
	hand_settle(&hand);
	ck_assert_int_eq(accepted.count, 1);
	ck_assert_str_eq(accepted.peer, "unix:"); /* clients have no name */
	assert_refused(&hand, "unix:s", false, -EADDRINUSE, "unix:s: Address already in use");
	close(client);
	close_accepted();
	client = connect_unix("s"); /* the refused ones have not harmed it */
	ck_assert_int_ge(client, 0);
	close(client);
	mrpc_listener_free(listener);
	ck_assert_int_eq(access("s", F_OK), -1);
	leave_directory();
	close_accepted();
	hand_clear(&hand);
}
END_TEST

START_TEST(a_stale_file_is_replaced_and_nothing_else_is)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	struct mrpc_address address;
	char path[300] = "unix:";
	int fd;

	hand_init(&hand, NULL);
	enter_directory();
	ck_assert_int_eq(mrpc_address_from_unix(&address, "s", 1, false), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	close(fd); /* as a process that was killed leaves it */
	listener = listener_of(&hand, "unix:s", NULL);
	fd = connect_unix("s");
	ck_assert_int_ge(fd, 0);
	close(fd);

	/* Somebody replaced our file: it is not ours to remove. */
	ck_assert_int_eq(unlink("s"), 0);
	ck_assert_int_eq(mkdir("s", 0700), 0);
	mrpc_listener_free(listener);
	ck_assert_int_eq(rmdir("s"), 0);

	fd = open("s", O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_refused(&hand, "unix:s", false, -EADDRINUSE,
		       "unix:s: there is a file of this name that is no socket");
	ck_assert_int_eq(unlink("s"), 0);

	assert_refused(&hand, "unix:", false, -EINVAL,
		       "unix:: not a path for a unix socket (empty, or too long)");
	memset(path + 5, 'a', 107);
	listener = listener_of(&hand, path, NULL); /* just fits */
	mrpc_listener_free(listener);
	path[5 + 107] = 'a';
	ck_assert_int_eq(mrpc_listener_new(&listener, hand.loop, path, NULL, &events, &accepted),
			 -EINVAL);
	assert_refused(&hand, "unix:no/s", false, -ENOENT, "unix:no/s: No such file or directory");
	leave_directory();
	hand_clear(&hand);
}
END_TEST

/* ---- many, and too many ---- */

START_TEST(a_wake_accepts_at_most_64)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	int clients[100];
	uint16_t port;

	hand_init(&hand, NULL);
	listener = listener_of(&hand, "127.0.0.1:0", &port);
	for (int i = 0; i < 100; i++)
		clients[i] = connect_to("127.0.0.1", port);
	hand_turn(&hand);
	ck_assert_int_eq(accepted.count, 64);
	hand_turn(&hand);
	ck_assert_int_eq(accepted.count, 100);
	mrpc_listener_free(listener);
	for (int i = 0; i < 100; i++)
		close(clients[i]);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

START_TEST(a_turn_accepts_as_many_as_asked_for)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	int clients[3];
	uint16_t port;

	hand_init(&hand, NULL);
	ck_assert_int_eq(mrpc_listener_new(&listener, hand.loop, "127.0.0.1:0",
					   &(struct minirpc_listen_options){ .accepts_per_turn = 2,
									     .ret_port = &port },
					   &events, &accepted),
			 0);
	for (int i = 0; i < 3; i++)
		clients[i] = connect_to("127.0.0.1", port);
	hand_turn(&hand);
	ck_assert_int_eq(accepted.count, 2);
	hand_turn(&hand);
	ck_assert_int_eq(accepted.count, 3);
	mrpc_listener_free(listener);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

START_TEST(a_listener_may_be_freed_by_the_one_it_accepts)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	int clients[3];
	uint16_t port;

	hand_init(&hand, NULL);
	listener = listener_of(&hand, "127.0.0.1:0", &port);
	for (int i = 0; i < 3; i++)
		clients[i] = connect_to("127.0.0.1", port);
	accepted.free_at_once = listener;
	hand_settle(&hand);
	ck_assert_int_eq(accepted.count, 1);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

/* What a peer sees now: 'w' nothing yet, 'e' an end. */
static char seen(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	return n < 0 && errno == EAGAIN ? 'w' : 'e';
}

START_TEST(without_descriptors_one_peer_is_turned_away_and_accepting_pauses)
{
	struct rlimit limit, less;
	struct hand_loop hand;
	struct mrpc_listener *listener;
	int clients[3], top;
	uint16_t port;

	hand_init(&hand, take_line);
	listener = listener_of(&hand, "127.0.0.1:0", &port);
	for (int i = 0; i < 3; i++)
		clients[i] = connect_to("127.0.0.1", port);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	top = dup(0); /* the lowest that is free */
	close(top);
	less = limit;
	less.rlim_cur = (rlim_t)top;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &less), 0);

	hand_settle(&hand); /* ends: it does not spin */
	ck_assert_int_eq(accepted.count, 0);
	ck_assert_int_eq(seen(clients[0]), 'e');
	ck_assert_int_eq(seen(clients[1]), 'w');
	ck_assert_str_eq(logged, "cannot accept connections: Too many open files; trying again "
				 "every 100 ms");
	hand_advance(&hand, MINIRPC_MS(100) - 1);
	ck_assert_int_eq(seen(clients[1]), 'w');
	hand_advance(&hand, 1);
	ck_assert_int_eq(seen(clients[1]), 'e');
	ck_assert_int_eq(seen(clients[2]), 'w');
	ck_assert_int_eq(log_lines, 1); /* not at each try */

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	hand_settle(&hand);
	ck_assert_int_eq(accepted.count, 0);
	hand_advance(&hand, MINIRPC_MS(100));
	ck_assert_int_eq(accepted.count, 1);
	ck_assert_int_eq(seen(clients[2]), 'w');
	mrpc_listener_free(listener);
	for (int i = 0; i < 3; i++)
		close(clients[i]);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

/* ---- adopted ---- */

START_TEST(a_listening_socket_may_be_adopted)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	struct mrpc_address address;
	int fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), client;

	hand_init(&hand, NULL);
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_INET, "127.0.0.1", 9, 0), 0);
	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	ck_assert_int_eq(mrpc_listener_adopt(&listener, hand.loop, fd, &events, &accepted),
			 -EINVAL);
	ck_assert_int_eq(mrpc_listener_adopt(&listener, hand.loop, udp, &events, &accepted),
			 -EINVAL);
	ck_assert_int_eq(mrpc_listener_adopt(&listener, hand.loop, -1, &events, &accepted),
			 -EINVAL);
	ck_assert_int_ge(fcntl(udp, F_GETFD), 0); /* still the caller's */

	ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(mrpc_listener_adopt(&listener, hand.loop, fd, &events, &accepted), 0);
	ck_assert_int_eq(getsockname(fd, &address.any, &address.len), 0);
	client = connect_to("127.0.0.1", mrpc_address_port(&address));
	hand_settle(&hand);
	ck_assert_int_eq(accepted.count, 1);
	mrpc_listener_free(listener);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1); /* closed */
	close(client);
	close(udp);
	close_accepted();
	hand_clear(&hand);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	struct hand_loop hand;
	struct mrpc_listener *listener;
	int before, r = -1;
	size_t live;

	hand_init(&hand, NULL);
	enter_directory();
	listener = listener_of(&hand, ":0", NULL); /* the timers' heap has its room now */
	mrpc_listener_free(listener);
	before = open_descriptors();
	live = alloc_live();
	for (size_t n = 1; r != 0; n++) {
		alloc_fail_at(n, false);
		r = mrpc_listener_new(&listener, hand.loop, n % 2 ? ":0" : "unix:s", NULL, &events,
				      &accepted);
		alloc_fail_at(0, false);
		if (r == 0)
			mrpc_listener_free(listener);
		else
			ck_assert_int_eq(r, -ENOMEM);
		ck_assert_int_eq(open_descriptors(), before);
		ck_assert_uint_le(alloc_live(), live + 1);
		ck_assert_int_eq(access("s", F_OK), -1);
	}
	leave_directory();
	hand_clear(&hand);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/listen");
	TCase *tcase = tcase_create("listen");
	TCase *limit = tcase_create("descriptors");

	tcase_add_test(tcase, a_peer_is_accepted_ready_to_use);
	tcase_add_test(tcase, no_host_means_any_address_of_both_families_on_one_port);
	tcase_add_test(tcase, a_name_is_every_address_it_has);
	tcase_add_test(tcase, the_any_address_of_ipv6_takes_ipv4_too_unless_told_not_to);
	tcase_add_test(tcase, what_cannot_be_listened_on_is_refused_with_a_sentence);
	tcase_add_test(tcase, several_may_share_a_port_when_all_want_to);
	tcase_add_test(tcase, a_unix_socket_has_a_file_as_long_as_it_listens);
	tcase_add_test(tcase, a_stale_file_is_replaced_and_nothing_else_is);
	tcase_add_test(tcase, a_wake_accepts_at_most_64);
	tcase_add_test(tcase, a_turn_accepts_as_many_as_asked_for);
	tcase_add_test(tcase, a_listener_may_be_freed_by_the_one_it_accepts);
	tcase_add_test(tcase, a_listening_socket_may_be_adopted);
	tcase_add_test(tcase, every_allocation_may_fail);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);

	/* valgrind keeps the limit of descriptors itself, and turns peers away that the kernel
	 * would keep: test/run.py leaves these out there. */
	tcase_add_test(limit, without_descriptors_one_peer_is_turned_away_and_accepting_pauses);
	tcase_set_tags(limit, "descriptors");
	suite_add_tcase(suite, limit);
	return suite;
}

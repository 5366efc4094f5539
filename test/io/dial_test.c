/* SPDX-License-Identifier: MIT */
/* lib/io/dial.c: real sockets on loopback, and a clock turned by hand. */
#include "io/dial.h"
#include "io/hand_loop.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct result {
	bool done;
	int calls, fd, error;
	char address[MRPC_ADDRESS_TEXT], reason[600];
	struct mrpc_dial *dial; /* to free in on_done */
};

static void on_done(void *user, int fd, const struct mrpc_address *address, int error,
		    const char *reason)
{
	struct result *result = user;

	mrpc_dial_free(result->dial); /* address and reason must survive it */
	result->done = true;
	result->calls++;
	result->fd = fd;
	result->error = error;
	if (address != NULL)
		mrpc_address_format(address, result->address);
	snprintf(result->reason, sizeof result->reason, "%s", reason);
}

static struct mrpc_address ip(const char *text, uint16_t port)
{
	struct mrpc_address address;

	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, text, strlen(text), port), 0);
	return address;
}

static struct mrpc_address own_address(int fd)
{
	struct mrpc_address address = { .len = sizeof address.storage };

	ck_assert_int_eq(getsockname(fd, &address.any, &address.len), 0);
	return address;
}

/* A socket that listens on a free port of the address. */
static int listening(const char *text, int backlog, struct mrpc_address *ret)
{
	struct mrpc_address address = ip(text, 0);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	*ret = own_address(fd);
	return fd;
}

/* An address that refuses: bound, so that nobody else gets the port, but not listening. */
static int refusing(struct mrpc_address *ret)
{
	struct mrpc_address address = ip("127.0.0.1", 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	*ret = own_address(fd);
	return fd;
}

/* An address that answers nothing: its queue is full, and the kernel drops what comes. */
struct silent {
	struct mrpc_address address;
	int fd, filling[4];
};

static void silent_init(struct silent *silent)
{
	silent->fd = listening("127.0.0.1", 0, &silent->address);
	for (int i = 0; i < 4; i++) {
		silent->filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(silent->filling[i], &silent->address.any, silent->address.len);
	}
}

static void silent_clear(struct silent *silent)
{
	close(silent->fd);
	for (int i = 0; i < 4; i++)
		close(silent->filling[i]);
}

START_TEST(a_connection_is_made_and_handed_out_ready_to_use)
{
	static const char *const texts[] = { "127.0.0.1", "::1" };

	for (int i = 0; i < (has_ipv6() ? 2 : 1); i++) {
		struct hand_loop hand;
		struct mrpc_address address;
		struct result result = { 0 };
		struct mrpc_dial *dial;
		char expected[MRPC_ADDRESS_TEXT];
		int before, on = 0, fd;
		socklen_t size = sizeof on;

		hand_init(&hand, NULL);
		fd = listening(texts[i], 5, &address);
		before = open_descriptors();
		ck_assert_int_eq(
			mrpc_dial(&dial, hand.loop, &address, 1, MINIRPC_NEVER, on_done, &result),
			0);
		ck_assert_int_eq(result.calls, 0); /* never from inside */
		hand_until(&hand, &result.done);

		ck_assert_int_eq(result.error, 0);
		ck_assert_str_eq(result.reason, "");
		ck_assert_int_ge(result.fd, 0);
		mrpc_address_format(&address, expected);
		ck_assert_str_eq(result.address, expected);
		ck_assert_int_ne(fcntl(result.fd, F_GETFL) & O_NONBLOCK, 0);
		ck_assert_int_ne(fcntl(result.fd, F_GETFD) & FD_CLOEXEC, 0);
		ck_assert_int_eq(getsockopt(result.fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
		ck_assert_int_ne(on, 0);
		ck_assert_int_eq(send(result.fd, "x", 1, MSG_NOSIGNAL), 1);

		mrpc_dial_free(dial); /* the descriptor stays */
		ck_assert_int_eq(open_descriptors(), before + 1);
		hand_settle(&hand);
		ck_assert_int_eq(result.calls, 1);
		close(result.fd);
		close(fd);
		hand_clear(&hand);
	}
}
END_TEST

START_TEST(each_address_that_fails_is_named_with_its_reason)
{
	struct hand_loop hand;
	struct mrpc_address addresses[2];
	struct result result = { 0 };
	char first[MRPC_ADDRESS_TEXT], expected[400];
	int fd = refusing(&addresses[0]), before;

	addresses[1] = ip("255.255.255.255", 1);
	hand_init(&hand, NULL);
	before = open_descriptors();
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, addresses, 2, MINIRPC_NEVER, on_done, &result),
		0);
	hand_until(&hand, &result.done); /* the clock stands: no waiting between them */

	ck_assert_int_eq(result.fd, -1);
	mrpc_address_format(&addresses[0], first);
	ck_assert_int_eq(result.error, -ENETUNREACH);
	snprintf(expected, sizeof expected,
		 "%s: Connection refused; ipv4:255.255.255.255:1: Network is unreachable", first);
	ck_assert_str_eq(result.reason, expected);
	ck_assert_int_eq(open_descriptors(), before);
	close(fd);
	hand_clear(&hand);
}
END_TEST

START_TEST(many_reasons_are_cut_between_two_addresses)
{
	struct hand_loop hand;
	struct mrpc_address addresses[64];
	struct result result = { 0 };
	int fd = refusing(&addresses[0]);

	for (int i = 1; i < 64; i++)
		addresses[i] = addresses[0];
	hand_init(&hand, NULL);
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, addresses, 64, MINIRPC_NEVER, on_done, &result),
		0);
	hand_until(&hand, &result.done);
	ck_assert_int_eq(result.error, -ECONNREFUSED);
	ck_assert_uint_gt(strlen(result.reason), 400);
	ck_assert_str_eq(result.reason + strlen(result.reason) - 20, ": Connection refused");
	close(fd);
	hand_clear(&hand);
}
END_TEST

START_TEST(a_refused_address_makes_room_for_the_next_at_once)
{
	struct hand_loop hand;
	struct mrpc_address addresses[2];
	struct result result = { 0 };
	int refuser = refusing(&addresses[0]), fd = listening("127.0.0.1", 5, &addresses[1]);
	char expected[MRPC_ADDRESS_TEXT];

	hand_init(&hand, NULL);
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, addresses, 2, MINIRPC_NEVER, on_done, &result),
		0);
	hand_until(&hand, &result.done);
	mrpc_address_format(&addresses[1], expected);
	ck_assert_str_eq(result.address, expected);
	ck_assert_str_eq(result.reason, "");
	close(result.fd);
	close(fd);
	close(refuser);
	hand_clear(&hand);
}
END_TEST

START_TEST(a_silent_address_gets_250_ms_before_the_next_joins)
{
	struct hand_loop hand;
	struct silent silent;
	struct mrpc_address addresses[2];
	struct result result = { 0 };
	char expected[MRPC_ADDRESS_TEXT];
	int fd = listening("127.0.0.1", 5, &addresses[1]), before;

	hand_init(&hand, NULL);
	silent_init(&silent);
	addresses[0] = silent.address;
	before = open_descriptors();
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, addresses, 2, MINIRPC_NEVER, on_done, &result),
		0);
	hand_advance(&hand, MINIRPC_MS(250) - 1);
	ck_assert(!result.done);
	ck_assert_int_eq(open_descriptors(), before + 1);
	hand_advance(&hand, 1);
	hand_until(&hand, &result.done);

	mrpc_address_format(&addresses[1], expected);
	ck_assert_str_eq(result.address, expected);
	ck_assert_int_eq(open_descriptors(), before + 1); /* the loser is closed */
	close(result.fd);
	close(fd);
	silent_clear(&silent);
	hand_clear(&hand);
}
END_TEST

START_TEST(the_deadline_ends_it)
{
	struct hand_loop hand;
	struct silent silent;
	struct result result = { 0 };
	char address[MRPC_ADDRESS_TEXT], expected[300];
	int before;

	hand_init(&hand, NULL);
	silent_init(&silent);
	before = open_descriptors();
	ck_assert_int_eq(mrpc_dial(&result.dial, hand.loop, &silent.address, 1,
				   hand.now + MINIRPC_S(20), on_done, &result),
			 0);
	hand_advance(&hand, MINIRPC_S(20) - 1);
	ck_assert(!result.done);
	hand_advance(&hand, 1);
	ck_assert(result.done);
	ck_assert_int_eq(result.error, -ETIMEDOUT);
	mrpc_address_format(&silent.address, address);
	snprintf(expected, sizeof expected, "%s: Connection timed out", address);
	ck_assert_str_eq(result.reason, expected);
	ck_assert_int_eq(open_descriptors(), before);

	/* One that has passed: nothing is tried. */
	result = (struct result){ 0 };
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, &silent.address, 1, hand.now, on_done, &result),
		0);
	ck_assert_int_eq(result.calls, 0);
	ck_assert_int_eq(open_descriptors(), before);
	hand_settle(&hand);
	ck_assert_int_eq(result.error, -ETIMEDOUT);
	silent_clear(&silent);
	hand_clear(&hand);
}
END_TEST

START_TEST(without_addresses_it_fails_in_a_turn)
{
	struct hand_loop hand;
	struct result result = { 0 };

	hand_init(&hand, NULL);
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, NULL, 0, MINIRPC_NEVER, on_done, &result), 0);
	ck_assert_int_eq(result.calls, 0);
	hand_settle(&hand);
	ck_assert_int_eq(result.error, -EADDRNOTAVAIL);
	ck_assert_str_eq(result.reason, "there is no address to connect to");
	hand_clear(&hand);
}
END_TEST

START_TEST(unix_sockets_are_dialled)
{
	char path[] = "/tmp/minirpc-dial-XXXXXX", expected[300];
	struct hand_loop hand;
	struct mrpc_address address;
	struct result result = { 0 };
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chdir(path), 0);
	hand_init(&hand, NULL);
	ck_assert_int_eq(mrpc_address_from_unix(&address, "s", 1, false), 0);

	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, &address, 1, MINIRPC_NEVER, on_done, &result),
		0);
	hand_settle(&hand);
	ck_assert_int_eq(result.error, -ENOENT);
	ck_assert_str_eq(result.reason, "unix:s: No such file or directory");

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	result = (struct result){ 0 };
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, &address, 1, MINIRPC_NEVER, on_done, &result),
		0);
	hand_settle(&hand);
	ck_assert_int_eq(result.error, 0);
	ck_assert_str_eq(result.address, "unix:s");
	close(result.fd);
	close(fd);
	unlink("s");

	snprintf(expected, sizeof expected, "minirpc-test-%d", getpid());
	ck_assert_int_eq(mrpc_address_from_unix(&address, expected, strlen(expected), true), 0);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(fd, &address.any, address.len), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	result = (struct result){ 0 };
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, &address, 1, MINIRPC_NEVER, on_done, &result),
		0);
	hand_settle(&hand);
	ck_assert_int_eq(result.error, 0);
	snprintf(expected, sizeof expected, "unix-abstract:minirpc-test-%d", getpid());
	ck_assert_str_eq(result.address, expected);
	close(result.fd);
	close(fd);
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(path);
	hand_clear(&hand);
}
END_TEST

START_TEST(one_that_is_freed_says_nothing_and_leaves_nothing)
{
	struct hand_loop hand;
	struct silent silent;
	struct mrpc_address addresses[3];
	struct result result = { 0 };
	struct mrpc_dial *dial;
	int fd = listening("127.0.0.1", 5, &addresses[1]), before;

	hand_init(&hand, NULL);
	silent_init(&silent);
	addresses[0] = addresses[2] = silent.address;
	before = open_descriptors();
	mrpc_dial_free(NULL);
	/* While connecting; with a second running; when it has won but not told. */
	ck_assert_int_eq(mrpc_dial(&dial, hand.loop, addresses, 3, MINIRPC_NEVER, on_done, &result),
			 0);
	mrpc_dial_free(dial);
	ck_assert_int_eq(
		mrpc_dial(&dial, hand.loop, addresses + 2, 1, MINIRPC_NEVER, on_done, &result), 0);
	hand_advance(&hand, MINIRPC_S(1));
	mrpc_dial_free(dial);
	ck_assert_int_eq(mrpc_dial(&dial, hand.loop, NULL, 0, MINIRPC_NEVER, on_done, &result), 0);
	mrpc_dial_free(dial);
	hand_advance(&hand, MINIRPC_S(100));
	ck_assert_int_eq(result.calls, 0);
	ck_assert_int_eq(open_descriptors(), before);
	close(fd);
	silent_clear(&silent);
	hand_clear(&hand);
}
END_TEST

START_TEST(a_process_without_descriptors_is_told_so)
{
	struct hand_loop hand;
	struct mrpc_address address;
	struct result result = { 0 };
	struct rlimit limit, less;
	int fd = listening("127.0.0.1", 5, &address);

	hand_init(&hand, NULL);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	less = limit;
	less.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &less), 0);
	ck_assert_int_eq(
		mrpc_dial(&result.dial, hand.loop, &address, 1, MINIRPC_NEVER, on_done, &result),
		0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	hand_settle(&hand);
	ck_assert_int_eq(result.error, -EMFILE);
	ck_assert_ptr_nonnull(strstr(result.reason, ": Too many open files"));
	close(fd);
	hand_clear(&hand);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	struct hand_loop hand;
	struct mrpc_address address;
	int fd = listening("127.0.0.1", 50, &address);
	size_t before;
	int r = -1;

	hand_init(&hand, NULL);
	before = alloc_live();
	for (size_t n = 1; r != 0; n++) {
		struct result result = { 0 };

		alloc_fail_at(n, true);
		r = mrpc_dial(&result.dial, hand.loop, &address, 1, MINIRPC_NEVER, on_done,
			      &result);
		ck_assert(r == 0 || r == -ENOMEM);
		if (r == 0) {
			alloc_fail_at(n, true); /* the rest needs none, but for the watch */
			hand_until(&hand, &result.done);
			if (result.fd >= 0)
				close(result.fd);
		}
		alloc_fail_at(0, false);
		ck_assert_uint_le(alloc_live(), before + 1); /* the timers' heap may have grown */
	}
	close(fd);
	hand_clear(&hand);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/dial");
	TCase *tcase = tcase_create("dial");

	tcase_add_test(tcase, a_connection_is_made_and_handed_out_ready_to_use);
	tcase_add_test(tcase, each_address_that_fails_is_named_with_its_reason);
	tcase_add_test(tcase, many_reasons_are_cut_between_two_addresses);
	tcase_add_test(tcase, a_refused_address_makes_room_for_the_next_at_once);
	tcase_add_test(tcase, a_silent_address_gets_250_ms_before_the_next_joins);
	tcase_add_test(tcase, the_deadline_ends_it);
	tcase_add_test(tcase, without_addresses_it_fails_in_a_turn);
	tcase_add_test(tcase, unix_sockets_are_dialled);
	tcase_add_test(tcase, one_that_is_freed_says_nothing_and_leaves_nothing);
	tcase_add_test(tcase, a_process_without_descriptors_is_told_so);
	tcase_add_test(tcase, every_allocation_may_fail);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite;
}

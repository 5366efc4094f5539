/* SPDX-License-Identifier: MIT */
/* When a channel connects again: real sockets, a clock turned by hand [B-1]. */
#include "client/pair.h"
#include "run_suite.h"

#include "client/channel.h"
#include "io/poll_loop.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES = 1000 };

static struct poll_loop host;
static minirpc_loop *loop;
static minirpc_channel *channel;
static int listener;

static struct {
	unsigned failures, connects;
	minirpc_time at[LINES]; /* of the failures */
	char last[256];
} noted;

static void note(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	if (strstr(line, "failed: ") != NULL) {
		ck_assert_uint_lt(noted.failures, LINES);
		noted.at[noted.failures++] = host.now;
		snprintf(noted.last, sizeof noted.last, "%s", line);
	}
	if (strncmp(line, "connected to", 12) == 0)
		noted.connects++;
}

static void open_socket(bool listening, const struct minirpc_channel_options *options)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	char target[64];

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	if (listening)
		ck_assert_int_eq(listen(listener, 64), 0);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", ntohs(address.sin_port));
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target, options), 0);
	mrpc_channel_seed(channel, 1);
}

static void setup(void)
{
	memset(&noted, 0, sizeof noted);
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
	minirpc_channel_free(channel);
	minirpc_loop_free(loop);
	close(listener);
}

/* Turns the clock to the next thing that is due, until `at`. */
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

START_TEST(attempts_of_nine_minutes_keep_the_backoff)
{
	double expected = 1e9;

	open_socket(false, NULL);
	minirpc_channel_connect(channel);
	run_until(MINIRPC_S(1000 + 540));
	/* 1, 2.6, 5.2, 9.3, ... 110, 195, then every 120 s, each with its jitter. */
	ck_assert_uint_ge(noted.failures, 12);
	ck_assert_uint_le(noted.failures, 18);
	ck_assert_int_eq(noted.at[0], MINIRPC_S(1000));
	for (unsigned i = 1; i < noted.failures; i++) {
		double gap = (double)(noted.at[i] - noted.at[i - 1]);

		ck_assert_double_ge(gap, expected * 0.8 - 10);
		ck_assert_double_le(gap, expected * 1.2 + 10);
		expected = expected * 1.6 < 120e9 ? expected * 1.6 : 120e9;
	}
	ck_assert_int_eq(minirpc_channel_state(channel), MINIRPC_TRANSIENT_FAILURE);
}
END_TEST

START_TEST(an_attempt_gets_twenty_seconds_and_the_next_begins_at_once)
{
	open_socket(true, NULL);
	minirpc_channel_connect(channel);
	run_until(MINIRPC_S(1020) - 1);
	ck_assert_int_eq(minirpc_channel_state(channel), MINIRPC_CONNECTING);
	run_until(MINIRPC_S(1020));
	ck_assert_uint_eq(noted.failures, 1);
	ck_assert_ptr_nonnull(strstr(noted.last, "no HTTP/2 SETTINGS in time"));
	/* The second of backoff, counted from start to start, is long over. */
	run_until(MINIRPC_S(1040));
	ck_assert_uint_eq(noted.failures, 2);
}
END_TEST

START_TEST(an_attempt_gets_the_whole_backoff_when_that_is_longer)
{
	minirpc_time first, second;

	open_socket(true, &(struct minirpc_channel_options){ .backoff_initial = MINIRPC_S(100),
							     .backoff_max = MINIRPC_S(100) });
	minirpc_channel_connect(channel);
	run_until(MINIRPC_S(1000 + 250));
	ck_assert_uint_eq(noted.failures, 2);
	first = noted.at[0] - MINIRPC_S(1000);
	second = noted.at[1] - noted.at[0];
	ck_assert_int_ge(first, MINIRPC_S(80));
	ck_assert_int_le(first, MINIRPC_S(120));
	ck_assert_int_ge(second, MINIRPC_S(80));
	ck_assert_int_le(second, MINIRPC_S(120));
	ck_assert_int_ne(first, second);
}
END_TEST

/* Says SETTINGS to whoever has connected, and hangs up. */
static void greet_and_hang_up(void)
{
	static const uint8_t settings[9] = { 0, 0, 0, 4 };
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		ck_assert_int_eq(write(fd, settings, sizeof settings), sizeof settings);
		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
		poll_loop_settle(&host, loop);
		close(fd);
	}
}

START_TEST(a_server_that_greets_and_hangs_up_is_not_called_in_a_loop)
{
	open_socket(true, NULL);
	while (host.now < MINIRPC_S(1100)) {
		minirpc_channel_connect(channel); /* an impatient user */
		poll_loop_settle(&host, loop);
		greet_and_hang_up();
		poll_loop_settle(&host, loop);
		if (minirpc_channel_state(channel) != MINIRPC_IDLE)
			host.now = host.wake_at;
	}
	ck_assert_uint_ge(noted.connects, 80);
	ck_assert_uint_le(noted.connects, 126);
}
END_TEST

START_TEST(a_call_in_the_wait_before_an_attempt_is_bounded_by_its_deadline)
{
	struct probe fails = { 0 }, waits = { 0 };

	open_socket(false, NULL);
	minirpc_channel_connect(channel);
	run_until(MINIRPC_S(1000));
	ck_assert_int_eq(minirpc_channel_state(channel), MINIRPC_TRANSIENT_FAILURE);
	probe_call(
		&waits, channel, &echo,
		&(struct minirpc_call_options){ .wait_for_ready = true, .timeout = MINIRPC_S(90) });
	probe_call(&fails, channel, &echo, NULL);
	run_until(MINIRPC_S(1000));
	ck_assert_uint_eq(fails.ends, 1);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	run_until(MINIRPC_S(1090) - 1);
	ck_assert_uint_eq(waits.ends, 0);
	run_until(MINIRPC_S(1090));
	ck_assert_uint_eq(waits.ends, 1);
	ck_assert_int_eq(waits.code, MINIRPC_DEADLINE_EXCEEDED);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/reconnect");
	TCase *t = tcase_create("reconnect");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, attempts_of_nine_minutes_keep_the_backoff);
	tcase_add_test(t, an_attempt_gets_twenty_seconds_and_the_next_begins_at_once);
	tcase_add_test(t, an_attempt_gets_the_whole_backoff_when_that_is_longer);
	tcase_add_test(t, a_server_that_greets_and_hangs_up_is_not_called_in_a_loop);
	tcase_add_test(t, a_call_in_the_wait_before_an_attempt_is_bounded_by_its_deadline);
	suite_add_tcase(s, t);
	return s;
}

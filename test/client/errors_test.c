/* SPDX-License-Identifier: MIT */
/* The errnos of docs/errors.md that no other story meets: what a caller may get wrong. */
#include "run_suite.h"

#include <minirpc/minirpc.h>

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct minirpc_method hold = {
	.path = "/t.T/hold",
	.flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING,
};

static minirpc_loop *loop;
static minirpc_server *server;
static minirpc_channel *channel;
static minirpc_call *served;
static int wait_in_event, headers_twice, headers_bad, trailers_large;

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	static const struct minirpc_field bad[] = { { "grpc-mine", "x", 0 }, { 0 } };
	static char large_value[16 << 10];
	struct minirpc_field large[] = { { "large-bin", large_value, sizeof large_value }, { 0 } };

	(void)metadata;
	(void)user;
	served = call;
	wait_in_event = minirpc_call_wait(call);
	headers_bad = minirpc_call_send_headers(call, bad);
	trailers_large = minirpc_call_set_trailers(call, large);
	ck_assert_int_eq(minirpc_call_send_headers(call, NULL), 0);
	headers_twice = minirpc_call_send_headers(call, NULL);
	minirpc_loop_stop(loop);
}

static void setup(void)
{
	static const struct minirpc_call_events events = { .on_headers = on_headers };
	char target[32];
	uint16_t port;

	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(minirpc_server_new(&server, loop, NULL), 0);
	ck_assert_int_eq(minirpc_server_add(server, &hold, &events, NULL, NULL), 0);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
	snprintf(target, sizeof target, "127.0.0.1:%u", port);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target, NULL), 0);
}

static void teardown(void)
{
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
}

static minirpc_call *open_hold(void)
{
	static const struct minirpc_call_events none = { 0 };
	minirpc_call *call;

	ck_assert_int_eq(minirpc_call_open(&call, channel, &hold, NULL, &none, NULL), 0);
	return call;
}

START_TEST(a_wait_that_is_stopped_says_canceled_and_leaves_the_call)
{
	minirpc_call *call = open_hold();

	ck_assert_int_eq(minirpc_call_wait(call), -ECANCELED);
	ck_assert_ptr_nonnull(served);
	ck_assert_int_eq(minirpc_call_send(call, "x", 1), 0);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	ck_assert_int_eq(minirpc_call_end(call, NULL), -EPIPE);
	ck_assert_int_eq(minirpc_call_send(call, "x", 1), -EPIPE);
}
END_TEST

START_TEST(a_servers_call_is_not_waited_for_and_sends_headers_once)
{
	ck_assert_int_eq(minirpc_call_wait(open_hold()), -ECANCELED);
	ck_assert_int_eq(wait_in_event, -EINVAL);
	ck_assert_int_eq(headers_bad, -EINVAL);
	ck_assert_int_eq(trailers_large, -E2BIG);
	ck_assert_int_eq(headers_twice, -EPIPE);
}
END_TEST

START_TEST(a_client_has_neither_headers_nor_trailers_to_send)
{
	minirpc_call *call = open_hold();

	ck_assert_int_eq(minirpc_call_send_headers(call, NULL), -EPIPE);
	ck_assert_int_eq(minirpc_call_set_trailers(call, NULL), -EPIPE);
}
END_TEST

START_TEST(a_parent_is_a_servers_call)
{
	minirpc_call *call = open_hold(), *child;
	int r = minirpc_call_open(&child, channel, &hold,
				  &(struct minirpc_call_options){ .parent = call }, NULL, NULL);

	ck_assert_int_eq(r, -EINVAL);
}
END_TEST

START_TEST(an_aborted_call_is_not_aborted_again)
{
	minirpc_call *call = open_hold();
	const struct minirpc_status status = { .code = MINIRPC_CANCELLED };

	ck_assert_int_eq(minirpc_call_abort(call, &status), 0);
	ck_assert_int_eq(minirpc_call_abort(call, &status), -EPIPE);
	ck_assert_int_eq(minirpc_call_send(call, "x", 1), -EPIPE);
}
END_TEST

START_TEST(a_server_that_drains_takes_no_listener_and_no_connection)
{
	minirpc_conn *conn;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(minirpc_server_listen_fd(server, -1), -EINVAL);
	ck_assert_int_eq(minirpc_server_listen_fd(server, fd), -EINVAL); /* does not listen */
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(minirpc_server_drain(server, 0, NULL, NULL), 0);
	ck_assert_int_eq(minirpc_server_drain(server, 0, NULL, NULL), -EALREADY);
	ck_assert_int_eq(minirpc_server_listen(server, "127.0.0.1:0", NULL), -ESHUTDOWN);
	ck_assert_int_eq(minirpc_server_listen_fd(server, fd), -ESHUTDOWN);
	ck_assert_int_eq(close(fd), 0); /* it is still ours */
	ck_assert_int_eq(minirpc_server_attach(server, NULL, &conn), -ESHUTDOWN);
}
END_TEST

START_TEST(only_an_attached_target_is_given_its_connection)
{
	minirpc_conn *conn;

	ck_assert_int_eq(minirpc_channel_attach(channel, NULL, &conn), -EINVAL);
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
	minirpc_channel *other;

	ck_assert_int_eq(
		minirpc_channel_new(&other, loop, "localhost:1",
				    &(struct minirpc_channel_options){ .backoff_max = -1 }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(&other, loop, "localhost:1",
				    &(struct minirpc_channel_options){ .user_agent = "\n" }),
		-EINVAL);
	ck_assert_int_eq(minirpc_channel_new(&other, loop, "localhost:1",
					     &(struct minirpc_channel_options){
						     .limits = { .stream_window = 1023 } }),
			 -EINVAL);
}
END_TEST

START_TEST(a_loop_that_was_stopped_before_its_time_says_canceled)
{
	bool done = false;

	minirpc_loop_stop(loop);
	ck_assert_int_eq(minirpc_loop_run_until(loop, &done), -ECANCELED);
	done = true;
	ck_assert_int_eq(minirpc_loop_run_until(loop, &done), 0);
}
END_TEST

START_TEST(what_is_no_file_of_certificates_is_refused)
{
	minirpc_tls *tls;
	char error[128];

	ck_assert_int_eq(minirpc_tls_new_explained(&tls,
						   &(struct minirpc_tls_options){ .ca_file = "/" },
						   error, sizeof error),
			 -EISDIR);
	ck_assert_int_eq(
		minirpc_tls_new(&tls, &(struct minirpc_tls_options){ .ca_file = "/dev/null" }),
		-EINVAL);
	ck_assert_int_eq(minirpc_tls_new(&tls, &(struct minirpc_tls_options){ .key_pem = "x" }),
			 -EINVAL);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/errors");
	TCase *c = tcase_create("errors");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_wait_that_is_stopped_says_canceled_and_leaves_the_call);
	tcase_add_test(c, a_servers_call_is_not_waited_for_and_sends_headers_once);
	tcase_add_test(c, a_client_has_neither_headers_nor_trailers_to_send);
	tcase_add_test(c, a_parent_is_a_servers_call);
	tcase_add_test(c, an_aborted_call_is_not_aborted_again);
	tcase_add_test(c, a_server_that_drains_takes_no_listener_and_no_connection);
	tcase_add_test(c, only_an_attached_target_is_given_its_connection);
	tcase_add_test(c, options_out_of_range_are_refused);
	tcase_add_test(c, a_loop_that_was_stopped_before_its_time_says_canceled);
	tcase_add_test(c, what_is_no_file_of_certificates_is_refused);
	suite_add_tcase(s, c);
	return s;
}

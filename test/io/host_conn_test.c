/* SPDX-License-Identifier: MIT */
/* Stories of a connection whose bytes the host moves, with a fake machine. */
#include "run_suite.h"

#include "io/fake_machine.h"
#include "io/host_conn.h"

#include <errno.h>
#include <string.h>

static minirpc_loop *loop;
static struct fake_machine fake;
static minirpc_conn *conn;
static minirpc_time now;

static struct {
	unsigned pendings, finisheds, closeds;
	size_t take;  /* bytes that on_pending takes each time */
	size_t taken; /* in all */
	bool close_in_pending, close_in_finished, free_in_pending;
} host;

static void take(minirpc_conn *from, size_t limit)
{
	const void *data;
	size_t len;

	while (limit > 0 && (len = minirpc_conn_pending(from, &data)) > 0) {
		if (len > limit)
			len = limit;
		ck_assert_int_eq(*(const char *)data, 'x');
		minirpc_conn_sent(from, len);
		host.taken += len;
		limit -= len;
	}
}

static void on_pending(minirpc_conn *from, void *user)
{
	ck_assert_ptr_eq(user, &host);
	host.pendings++;
	take(from, host.take);
	if (host.close_in_pending) {
		minirpc_conn_close(from);
		conn = NULL;
	}
	if (host.free_in_pending) {
		mrpc_host_conn_free(from);
		conn = NULL;
	}
}

static void on_finished(minirpc_conn *from, void *user)
{
	ck_assert_ptr_eq(user, &host);
	host.finisheds++;
	if (host.close_in_finished) {
		minirpc_conn_close(from);
		conn = NULL;
	}
}

static void on_closed(minirpc_conn *from, void *user)
{
	(void)from;
	ck_assert_ptr_eq(user, &fake);
	ck_assert_uint_eq(fake.brokes, 1);
	host.closeds++;
}

static void open_conn(size_t to_send)
{
	static const struct minirpc_attach_options attach = { .on_pending = on_pending,
							      .on_finished = on_finished,
							      .user = &host };

	memset(&host, 0, sizeof host);
	host.take = SIZE_MAX;
	now = 0;
	fake_machine_init(&fake, 'x', to_send);
	ck_assert_int_eq(minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .manual = true }),
			 0);
	ck_assert_int_eq(
		mrpc_host_conn_new(&conn, loop,
				   &(struct mrpc_host_conn_options){ .machine = &fake.machine,
								     .host = &attach,
								     .on_closed = on_closed,
								     .user = &fake }),
		0);
}

static void close_all(void)
{
	mrpc_host_conn_free(conn);
	ck_assert_ptr_null(fake.machine.flush);
	minirpc_loop_free(loop);
}

static void advance(minirpc_time span)
{
	now += span;
	minirpc_loop_advance(loop, now);
}

START_TEST(what_a_machine_has_at_birth_is_offered_in_the_first_turn)
{
	open_conn(300);
	ck_assert_uint_eq(host.pendings, 0);
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.pendings, 1);
	ck_assert_uint_eq(host.taken, 300);
	ck_assert_uint_eq(fake.sent, 300);
	close_all();
}
END_TEST

START_TEST(more_than_a_buffer_goes_through_in_pieces)
{
	open_conn(1000000);
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.taken, 1000000);
	ck_assert_uint_eq(fake.sent, 1000000);
	close_all();
}
END_TEST

START_TEST(a_slow_host_takes_what_it_can_and_comes_back)
{
	const void *data;

	open_conn(300);
	host.take = 100;
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(fake.sent, 100);
	ck_assert_uint_eq(minirpc_conn_pending(conn, &data), 200);

	/* What is new waits in the machine; the host knows already that there is something. */
	fake.to_send = 50;
	mrpc_turn_wake(&loop->turn, fake.machine.flush);
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.pendings, 1);
	ck_assert_uint_eq(fake.handed, 300);
	take(conn, SIZE_MAX);
	ck_assert_uint_eq(fake.sent, 350);
	ck_assert_uint_eq(minirpc_conn_pending(conn, &data), 0);
	ck_assert_ptr_null(data);
	close_all();
}
END_TEST

START_TEST(sent_never_counts_more_than_was_pending)
{
	const void *data;

	open_conn(10);
	ck_assert_uint_eq(minirpc_conn_pending(conn, &data), 10);
	minirpc_conn_sent(conn, 0);
	minirpc_conn_sent(conn, 1000);
	minirpc_conn_sent(conn, 1);
	ck_assert_uint_eq(fake.sent, 10);
	close_all();
}
END_TEST

START_TEST(received_bytes_reach_the_machine_at_once)
{
	open_conn(0);
	ck_assert_int_eq(minirpc_conn_receive(conn, "hello", 5), 0);
	ck_assert_str_eq(fake.in, "hello");
	ck_assert(minirpc_conn_wants_receive(conn));
	fake.wants_receive = false;
	ck_assert(!minirpc_conn_wants_receive(conn));
	fake.receive_error = -EPROTO;
	ck_assert_int_eq(minirpc_conn_receive(conn, "!", 1), -EPIPE);
	fake.finished = true;
	ck_assert_int_eq(minirpc_conn_receive(conn, "?", 1), -EPIPE);
	ck_assert_str_eq(fake.in, "hello!");
	close_all();
}
END_TEST

START_TEST(the_machines_deadline_is_kept)
{
	open_conn(0);
	fake.deadline = MINIRPC_S(5);
	mrpc_turn_wake(&loop->turn, fake.machine.flush);
	minirpc_loop_turn(loop);
	advance(MINIRPC_S(5) - 1);
	ck_assert_uint_eq(fake.ticks, 0);
	advance(1);
	ck_assert_uint_eq(fake.ticks, 1);
	ck_assert_int_eq(fake.ticked_at, MINIRPC_S(5));
	advance(MINIRPC_S(60));
	ck_assert_uint_eq(fake.ticks, 1);
	close_all();
}
END_TEST

START_TEST(a_machine_that_finishes_is_told_once_after_its_last_bytes)
{
	open_conn(20);
	fake.finished = true;
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.taken, 20);
	ck_assert_uint_eq(host.finisheds, 1);
	ck_assert(mrpc_host_conn_is_finished(conn));
	mrpc_turn_wake(&loop->turn, fake.machine.flush);
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.finisheds, 1);
	minirpc_conn_close(conn);
	conn = NULL;
	ck_assert_uint_eq(host.closeds, 1);
	close_all();
}
END_TEST

START_TEST(closing_tells_the_machine_and_the_owner_and_ends_the_handle)
{
	open_conn(20);
	minirpc_conn_close(conn);
	conn = NULL;
	ck_assert_uint_eq(fake.brokes, 1);
	ck_assert_int_eq(fake.error, 0);
	ck_assert_uint_eq(host.closeds, 1);
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.pendings + host.finisheds, 0);
	minirpc_conn_close(NULL);
	close_all();
}
END_TEST

START_TEST(a_host_may_close_from_inside_on_pending)
{
	open_conn(20);
	host.close_in_pending = true;
	fake.finished = true;
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.closeds, 1);
	ck_assert_uint_eq(host.finisheds, 0);
	close_all();
}
END_TEST

START_TEST(a_host_may_close_from_inside_on_finished)
{
	open_conn(20);
	host.close_in_finished = true;
	fake.finished = true;
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.finisheds, 1);
	ck_assert_uint_eq(host.closeds, 1);
	close_all();
}
END_TEST

START_TEST(an_owner_that_goes_away_tells_finished_first_and_nobody_closes)
{
	for (int i = 0; i < 2; i++) {
		open_conn(20);
		host.close_in_finished = i == 1;
		mrpc_host_conn_free(conn);
		conn = NULL;
		ck_assert_uint_eq(host.finisheds, 1);
		ck_assert_uint_eq(host.closeds, 0);
		minirpc_loop_turn(loop);
		ck_assert_uint_eq(host.pendings, 0);
		close_all();
	}
}
END_TEST

START_TEST(an_owner_may_go_away_inside_on_pending)
{
	open_conn(20);
	host.free_in_pending = true;
	fake.finished = true;
	minirpc_loop_turn(loop);
	ck_assert_uint_eq(host.pendings, 1);
	ck_assert_uint_eq(host.finisheds, 1);
	close_all();
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("io/host_conn");
	TCase *t = tcase_create("host_conn");

	tcase_add_test(t, what_a_machine_has_at_birth_is_offered_in_the_first_turn);
	tcase_add_test(t, more_than_a_buffer_goes_through_in_pieces);
	tcase_add_test(t, a_slow_host_takes_what_it_can_and_comes_back);
	tcase_add_test(t, sent_never_counts_more_than_was_pending);
	tcase_add_test(t, received_bytes_reach_the_machine_at_once);
	tcase_add_test(t, the_machines_deadline_is_kept);
	tcase_add_test(t, a_machine_that_finishes_is_told_once_after_its_last_bytes);
	tcase_add_test(t, closing_tells_the_machine_and_the_owner_and_ends_the_handle);
	tcase_add_test(t, a_host_may_close_from_inside_on_pending);
	tcase_add_test(t, a_host_may_close_from_inside_on_finished);
	tcase_add_test(t, an_owner_that_goes_away_tells_finished_first_and_nobody_closes);
	tcase_add_test(t, an_owner_may_go_away_inside_on_pending);
	suite_add_tcase(s, t);
	return s;
}

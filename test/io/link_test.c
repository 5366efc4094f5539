/* SPDX-License-Identifier: MIT */
/* lib/io/link.c over socket pairs, on a foreign loop whose clock is turned by hand. */
#include "run_suite.h"

#include "io/fake_machine.h"
#include "io/fake_tls.h"
#include "io/link.h"
#include "io/poll_loop.h"
#include "world/alloc_fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct poll_loop host;
static minirpc_loop *loop;

/* One end is a link with its machine, the other a bare descriptor. */
struct end {
	struct fake_machine fake;
	struct mrpc_link *link;
	int peer;
	unsigned secured, closed;
	int error;
	char reason[128];
	bool free_when_secured, free_when_closed;
};

static void on_secured(struct mrpc_link *link, void *user)
{
	struct end *end = user;

	end->secured++;
	ck_assert_uint_eq(end->fake.receives, 0);
	if (end->free_when_secured) {
		mrpc_link_free(link);
		end->link = NULL;
	}
}

static void on_closed(struct mrpc_link *link, int error, const char *reason, void *user)
{
	struct end *end = user;

	end->closed++;
	end->error = error;
	snprintf(end->reason, sizeof end->reason, "%s", reason);
	ck_assert_uint_eq(end->fake.brokes, 1);
	if (end->free_when_closed) {
		mrpc_link_free(link);
		end->link = NULL;
	}
}

static void end_on(struct end *end, const int pair[2], struct mrpc_tls_session *tls)
{
	const struct mrpc_link_options options = { .machine = &end->fake.machine,
						   .tls = tls,
						   .on_secured = on_secured,
						   .on_closed = on_closed,
						   .user = end };

	end->peer = pair[1];
	ck_assert_int_eq(mrpc_link_new(&end->link, loop, pair[0], &options), 0);
	ck_assert_ptr_nonnull(end->fake.machine.flush);
	ck_assert_ptr_eq(mrpc_link_tls(end->link), tls);
}

static void end_open_type(struct end *end, char letter, size_t to_send, int type)
{
	int pair[2];

	*end = (struct end){ 0 };
	fake_machine_init(&end->fake, letter, to_send);
	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	end_on(end, pair, NULL);
}

static void small_buffer(int fd)
{
	int size = 4096;

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

/* A socket that is full after some KiB. */
static void end_open_small(struct end *end, char letter, size_t to_send,
			   struct mrpc_tls_session *tls)
{
	int pair[2];

	*end = (struct end){ 0 };
	fake_machine_init(&end->fake, letter, to_send);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	small_buffer(pair[0]);
	end_on(end, pair, tls);
}

static void end_open(struct end *end, char letter, size_t to_send)
{
	end_open_type(end, letter, to_send, SOCK_STREAM);
}

static void end_open_tls(struct end *end, char letter, size_t to_send)
{
	int pair[2];

	*end = (struct end){ 0 };
	fake_machine_init(&end->fake, letter, to_send);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	end_on(end, pair, fake_tls_new());
}

/* TCP, for what only TCP can do: resets. */
static void end_open_tcp(struct end *end, char letter, size_t to_send)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), pair[2];

	*end = (struct end){ 0 };
	fake_machine_init(&end->fake, letter, to_send);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(pair[1], (struct sockaddr *)&address, len), 0);
	pair[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(pair[0], 0);
	ck_assert_int_eq(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	close(listener);
	end_on(end, pair, NULL);
}

static void end_close(struct end *end)
{
	mrpc_link_free(end->link);
	ck_assert_ptr_null(end->fake.machine.flush);
	if (end->peer >= 0)
		close(end->peer);
}

static void peer_close(struct end *end)
{
	close(end->peer);
	end->peer = -1;
}

static void settle(void)
{
	poll_loop_settle(&host, loop);
}

static void advance(minirpc_time span)
{
	host.now += span;
	settle();
}

static void wake(struct end *end)
{
	mrpc_turn_wake(&loop->turn, end->fake.machine.flush);
}

static void peer_says(struct end *end, const char *text)
{
	ck_assert_int_eq(write(end->peer, text, strlen(text)), (ssize_t)strlen(text));
}

/* Reads what there is; -1: EOF came after no byte. Every byte must be the letter. */
static ssize_t peer_hears(struct end *end)
{
	static char bytes[1 << 20];
	ssize_t n = read(end->peer, bytes, sizeof bytes);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] != end->fake.letter)
			ck_abort_msg("byte %zd is %c", i, bytes[i]);
	return n == 0 ? -1 : n;
}

static void peer_hears_text(struct end *end, const char *text)
{
	char bytes[256] = "";
	ssize_t n = read(end->peer, bytes, sizeof bytes - 1);

	ck_assert_int_ge(n, 0);
	ck_assert_str_eq(bytes, text);
}

static void setup(void)
{
	poll_loop_init(&host);
	host.now = MINIRPC_S(1000);
	fake_tls_alive = 0;
	ck_assert_int_eq(
		minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .hooks = &poll_loop_hooks,
									.hooks_user = &host }),
		0);
}

static void teardown(void)
{
	ck_assert_uint_eq(mrpc_buf_len(&loop->out), 0);
	ck_assert_uint_eq(mrpc_buf_len(&loop->plain), 0);
	loop = minirpc_loop_free(loop);
	ck_assert_uint_eq(fake_tls_alive, 0);
	ck_assert_uint_eq(alloc_live(), 0);
}

/* ---- bytes ---- */

START_TEST(bytes_go_both_ways)
{
	struct end end;

	end_open(&end, 'a', 5);
	ck_assert_uint_eq(end.fake.pendings, 0); /* not from inside mrpc_link_new */
	settle();
	ck_assert_int_eq(peer_hears(&end), 5);
	ck_assert_uint_eq(end.fake.sent, 5);

	peer_says(&end, "hello");
	settle();
	ck_assert_str_eq(end.fake.in, "hello");
	ck_assert_uint_eq(end.fake.receives, 1);
	end_close(&end);
}
END_TEST

START_TEST(a_turn_writes_once)
{
	struct end end;

	/* Packets keep their bounds, so they count writes. */
	end_open_type(&end, 'a', 100, SOCK_SEQPACKET);
	for (int i = 0; i < 10; i++) {
		end.fake.to_send += 10;
		wake(&end);
	}
	settle();
	ck_assert_int_eq(peer_hears(&end), 200);
	ck_assert_int_eq(peer_hears(&end), 0);
	end_close(&end);
}
END_TEST

START_TEST(a_wake_up_reads_once_and_64_KiB_at_most)
{
	static char bytes[150000];
	struct end end;
	ssize_t n;

	end_open(&end, 'a', 0);
	settle();
	n = write(end.peer, bytes, sizeof bytes);
	ck_assert_int_gt(n, MRPC_LOOP_IN);
	ck_assert(poll_loop_once(&host, loop));
	ck_assert_uint_eq(end.fake.receives, 1);
	ck_assert_uint_le(end.fake.received, MRPC_LOOP_IN);
	settle();
	ck_assert_uint_eq(end.fake.received, (size_t)n);
	ck_assert_uint_le(end.fake.most_received, MRPC_LOOP_IN);
	end_close(&end);
}
END_TEST

START_TEST(a_full_socket_is_waited_for_and_nothing_is_lost)
{
	const size_t total = 1000003;
	struct end end;
	size_t heard = 0;

	end_open_small(&end, 'a', total, NULL);
	while (heard < total) {
		ssize_t n;

		settle(); /* the machine checks that it is not asked while it waits for `sent` */
		n = peer_hears(&end);
		ck_assert_int_ge(n, 0);
		heard += (size_t)n;
	}
	settle();
	ck_assert_int_eq(peer_hears(&end), 0);
	ck_assert_uint_eq(heard, total);
	ck_assert_uint_eq(end.fake.sent, total);
	end_close(&end);
}
END_TEST

START_TEST(sent_tells_what_left_even_if_the_rest_waits)
{
	struct end end;

	end_open_small(&end, 'a', 1 << 20, NULL);
	settle();
	ck_assert_uint_gt(end.fake.sent, 0);
	ck_assert_uint_lt(end.fake.sent, end.fake.handed);
	ck_assert_uint_eq(end.fake.pendings, 1);
	wake(&end); /* new bytes of the machine do not change that */
	settle();
	ck_assert_uint_eq(end.fake.pendings, 1);
	ck_assert_int_eq(peer_hears(&end), (ssize_t)end.fake.sent);
	end_close(&end);
}
END_TEST

START_TEST(a_turn_writes_128_KiB_and_lets_others_go_first)
{
	struct end end;
	int size = 8 << 20;
	ssize_t heard = 0;

	end_open_tcp(&end, 'a', 1 << 20);
	ck_assert_int_eq(setsockopt(end.peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
	for (int turn = 1; turn <= 3; turn++) {
		ssize_t n;

		minirpc_loop_turn(loop);
		ck_assert_uint_eq(end.fake.pendings, (unsigned)turn);
		ck_assert_uint_le(end.fake.handed, (size_t)turn * 133000);
		while ((n = peer_hears(&end)) > 0)
			heard += n;
	}
	ck_assert_int_gt(heard, 0);
	end_close(&end);
}
END_TEST

START_TEST(a_machine_that_wants_nothing_is_not_read_for)
{
	struct end end;

	end_open(&end, 'a', 0);
	end.fake.wants_receive = false;
	settle();
	peer_says(&end, "later");
	settle();
	ck_assert_uint_eq(end.fake.receives, 0);

	end.fake.wants_receive = true;
	wake(&end);
	settle();
	ck_assert_str_eq(end.fake.in, "later");
	end_close(&end);
}
END_TEST

/* ---- the shared buffer ---- */

START_TEST(the_bytes_of_a_dead_peer_never_reach_the_next_one)
{
	struct end dead, next;

	end_open(&dead, 'd', 70000);
	end_open(&next, 'n', 3);
	peer_close(&dead);
	minirpc_loop_turn(loop); /* without asking poll: both flush, the first fails */
	ck_assert_uint_gt(dead.fake.handed, 0);
	ck_assert_int_eq(peer_hears(&next), 3);
	settle();
	ck_assert_int_eq(peer_hears(&next), 0);
	ck_assert_uint_eq(dead.closed, 1);
	end_close(&dead);
	end_close(&next);
}
END_TEST

START_TEST(a_link_that_is_freed_with_unsent_bytes_takes_them_along)
{
	struct end full, next;

	end_open_small(&full, 'f', 1 << 20, NULL);
	settle();
	end_close(&full);

	ck_assert_ptr_nonnull(loop->spare.data); /* its buffer is the loop's again, empty */
	ck_assert_uint_eq(mrpc_buf_len(&loop->spare), 0);
	end_open(&next, 'n', 200000);
	for (size_t heard = 0; heard < 200000;) {
		settle();
		heard += (size_t)peer_hears(&next);
	}
	end_close(&next);
}
END_TEST

/* ---- time ---- */

START_TEST(the_machine_is_ticked_at_its_deadline)
{
	struct end end;

	end_open(&end, 'a', 0);
	end.fake.deadline = host.now + MINIRPC_S(10);
	settle();
	advance(MINIRPC_S(10) - 1);
	ck_assert_uint_eq(end.fake.ticks, 0);
	advance(1);
	ck_assert_uint_eq(end.fake.ticks, 1);
	ck_assert_int_eq(end.fake.ticked_at, host.now);
	advance(MINIRPC_S(100));
	ck_assert_uint_eq(end.fake.ticks, 1);
	end_close(&end);
}
END_TEST

/* ---- ends ---- */

START_TEST(a_finished_machine_sends_its_rest_then_fin_and_waits_for_the_peer)
{
	struct end end;

	end_open(&end, 'a', 7);
	end.fake.finished = true;
	settle();
	ck_assert_int_eq(peer_hears(&end), 7);
	ck_assert_int_eq(peer_hears(&end), -1);
	ck_assert_uint_eq(end.fake.brokes, 1);
	ck_assert_int_eq(end.fake.error, 0);
	ck_assert_uint_eq(end.closed, 0);

	peer_says(&end, "still talking"); /* dropped */
	settle();
	ck_assert_uint_eq(end.fake.receives, 0);
	peer_close(&end);
	settle();
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, 0);
	ck_assert_str_eq(end.reason, "");
	end_close(&end);
}
END_TEST

START_TEST(a_peer_that_does_not_close_is_waited_for_one_second)
{
	struct end end;

	end_open(&end, 'a', 7);
	end.fake.finished = true;
	end.free_when_closed = true;
	settle();
	advance(MINIRPC_S(1) - 1);
	ck_assert_uint_eq(end.closed, 0);
	advance(1);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, 0);
	ck_assert_ptr_null(end.link);
	end_close(&end);
}
END_TEST

START_TEST(a_peer_that_goes_on_sending_is_dropped_after_1_MiB)
{
	static char bytes[65536];
	struct end end;
	size_t sent = 0;

	end_open(&end, 'a', 0);
	end.fake.finished = true;
	settle();
	while (end.closed == 0) {
		ssize_t n = write(end.peer, bytes, sizeof bytes);

		ck_assert_int_gt(n, 0);
		sent += (size_t)n;
		ck_assert_uint_le(sent, 1200000);
		settle();
	}
	ck_assert_uint_gt(sent, 1000000);
	end_close(&end);
}
END_TEST

START_TEST(a_peer_that_does_not_take_our_last_bytes_is_given_up_after_30_seconds)
{
	struct end end;

	end_open_small(&end, 'a', 100000, NULL);
	end.fake.finished = true;
	settle();
	advance(MINIRPC_S(30) - 1);
	ck_assert_uint_eq(end.closed, 0);
	advance(1);
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, -ETIMEDOUT);
	end_close(&end);
}
END_TEST

START_TEST(a_machine_that_refuses_input_has_its_last_words_sent)
{
	struct end end;

	end_open(&end, 'g', 0);
	settle();
	end.fake.receive_error = -EPROTO;
	end.fake.to_send = 17; /* GOAWAY */
	peer_says(&end, "nonsense");
	settle();
	peer_says(&end, "more");
	settle();
	ck_assert_uint_eq(end.fake.receives, 1);
	ck_assert_int_eq(peer_hears(&end), 17);
	ck_assert_int_eq(peer_hears(&end), -1); /* FIN, no reset */
	peer_close(&end);
	settle();
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, 0);
	end_close(&end);
}
END_TEST

START_TEST(a_machine_without_memory_ends_the_link)
{
	struct end end;

	end_open(&end, 'a', 5);
	end.fake.pending_error = -ENOMEM;
	settle();
	ck_assert_int_eq(peer_hears(&end), 5);
	ck_assert_int_eq(peer_hears(&end), -1);
	ck_assert_uint_eq(end.fake.brokes, 1);
	end_close(&end);
}
END_TEST

START_TEST(a_peer_that_closes_breaks_the_machine_before_the_owner_hears_of_it)
{
	struct end end;

	end_open(&end, 'a', 0);
	settle();
	peer_says(&end, "bye");
	peer_close(&end);
	end.free_when_closed = true;
	settle();
	ck_assert_str_eq(end.fake.in, "bye");
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, 0);
	ck_assert_str_eq(end.reason, "the peer closed the connection");
	ck_assert_str_eq(end.fake.reason, "the peer closed the connection");
	end_close(&end);
}
END_TEST

START_TEST(a_reset_is_told_as_such)
{
	struct linger now = { .l_onoff = 1 };
	struct end end;

	end_open_tcp(&end, 'a', 0);
	settle();
	ck_assert_int_eq(setsockopt(end.peer, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
	peer_close(&end);
	while (end.closed == 0)
		ck_assert(poll_loop_once(&host, loop));
	ck_assert_int_eq(end.error, -ECONNRESET);
	ck_assert_str_eq(end.reason, "cannot receive: Connection reset by peer");
	end_close(&end);
}
END_TEST

START_TEST(what_a_peer_said_before_it_left_is_read_even_if_our_write_fails_first)
{
	struct end end;

	end_open(&end, 'a', 10);
	peer_says(&end, "my last words");
	peer_close(&end);
	minirpc_loop_turn(loop); /* without asking poll: the write fails */
	ck_assert_uint_eq(end.fake.handed, 10);
	ck_assert_uint_eq(end.closed, 0);
	settle();
	ck_assert_str_eq(end.fake.in, "my last words");
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_uint_eq(end.fake.sent, 0);
	end_close(&end);
}
END_TEST

START_TEST(a_link_freed_at_any_time_is_silent_and_lets_the_machine_go)
{
	struct end end;

	end_open(&end, 'a', 10);
	end_close(&end); /* before its first turn */
	settle();
	ck_assert_uint_eq(end.closed + end.fake.brokes, 0);
	mrpc_link_free(NULL);
}
END_TEST

START_TEST(a_link_that_cannot_be_made_closes_the_socket)
{
	for (size_t nth = 1, refused = 1; refused > 0; nth++) {
		struct fake_machine fake;
		struct mrpc_link_options options = { .machine = &fake.machine };
		struct mrpc_link *link = NULL;
		char byte;
		int pair[2], r;

		fake_machine_init(&fake, 'a', 0);
		options.tls = fake_tls_new();
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
		alloc_fail_at(nth, true);
		r = mrpc_link_new(&link, loop, pair[0], &options);
		refused = alloc_refused();
		alloc_fail_at(0, false);
		ck_assert_int_eq(r, refused > 0 ? -ENOMEM : 0);
		mrpc_link_free(link);
		ck_assert_int_eq(read(pair[1], &byte, 1), 0);
		ck_assert_uint_eq(fake_tls_alive, 0);
		close(pair[1]);
	}
}
END_TEST

START_TEST(allocations_that_fail_later_end_the_link_or_change_nothing)
{
	for (size_t nth = 1, refused = 1; refused > 0; nth++) {
		struct end end;

		mrpc_buf_clear(&loop->out);
		mrpc_buf_clear(&loop->spare);
		mrpc_buf_clear(&loop->plain);
		end_open_tls(&end, 'a', 3000);
		peer_says(&end, "H.x");
		alloc_fail_at(nth, true);
		settle();
		refused = alloc_refused();
		alloc_fail_at(0, false);
		settle();
		ck_assert_uint_eq(end.fake.brokes, refused > 0);
		end_close(&end);
	}
}
END_TEST

/* ---- TLS ---- */

START_TEST(the_machine_is_asked_once_tls_is_open)
{
	struct end end;

	end_open_tls(&end, 'a', 2);
	settle();
	peer_hears_text(&end, "H");
	ck_assert_uint_eq(end.fake.pendings, 0);
	ck_assert_uint_eq(end.secured, 0);

	peer_says(&end, "H.x"); /* a server may send its first bytes along */
	settle();
	ck_assert_uint_eq(end.secured, 1);
	ck_assert_str_eq(end.fake.in, "x");
	peer_hears_text(&end, ".a.a");
	ck_assert_uint_eq(end.fake.sent, 2);
	end_close(&end);
}
END_TEST

START_TEST(handshake_and_first_bytes_share_a_write)
{
	struct end end;
	int pair[2];

	end = (struct end){ 0 };
	fake_machine_init(&end.fake, 'a', 1);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	end_on(&end, pair, fake_tls_new());
	peer_says(&end, "H");
	settle();
	peer_hears_text(&end, "H.a");
	end_close(&end);
}
END_TEST

START_TEST(the_link_may_be_freed_when_it_is_secured)
{
	struct end end;

	end_open_tls(&end, 'a', 2);
	end.free_when_secured = true;
	peer_says(&end, "H.x");
	settle();
	ck_assert_uint_eq(end.secured, 1);
	ck_assert_uint_eq(end.fake.receives, 0);
	ck_assert_uint_eq(end.closed, 0);
	end_close(&end);
}
END_TEST

START_TEST(an_alert_leaves_before_the_link_closes)
{
	struct end end;

	end_open_tls(&end, 'a', 2);
	peer_says(&end, "GET / HTTP/1.1");
	settle();
	peer_hears_text(&end, "A");
	peer_hears_text(&end, ""); /* FIN */
	ck_assert_uint_eq(end.fake.brokes, 1);
	ck_assert_int_eq(end.fake.error, -EPROTO);
	ck_assert_uint_eq(end.closed, 0);
	peer_close(&end);
	settle();
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, -EPROTO);
	ck_assert_str_eq(end.reason, "the fake is offended");
	ck_assert_uint_eq(end.fake.pendings, 0);
	end_close(&end);
}
END_TEST

START_TEST(what_was_good_before_a_bad_record_is_still_delivered)
{
	struct end end;

	end_open_tls(&end, 'a', 0);
	peer_says(&end, "H");
	settle();
	peer_says(&end, ".o.kX");
	settle();
	ck_assert_str_eq(end.fake.in, "ok");
	ck_assert_int_eq(end.fake.error, -EPROTO);
	end_close(&end);
}
END_TEST

START_TEST(close_notify_goes_out_with_the_end_and_is_understood)
{
	struct end end;

	end_open_tls(&end, 'a', 1);
	peer_says(&end, "H");
	settle();
	peer_hears_text(&end, "H.a");
	end.fake.finished = true;
	wake(&end);
	settle();
	peer_hears_text(&end, "C");
	end_close(&end);

	end_open_tls(&end, 'a', 0);
	peer_says(&end, "H.yC");
	settle();
	ck_assert_str_eq(end.fake.in, "y");
	ck_assert_uint_eq(end.closed, 1);
	ck_assert_int_eq(end.error, 0);
	end_close(&end);
}
END_TEST

START_TEST(a_peer_that_leaves_in_the_handshake_is_an_error)
{
	struct end end;

	end_open_tls(&end, 'a', 1);
	settle();
	peer_hears_text(&end, "H");
	peer_close(&end);
	settle();
	ck_assert_int_eq(end.error, -ECONNRESET);
	ck_assert_str_eq(end.reason, "the peer closed the connection in the TLS handshake");
	end_close(&end);
}
END_TEST

START_TEST(with_tls_sent_never_tells_more_than_has_left)
{
	struct end end;
	size_t heard = 0;

	end_open_small(&end, 'a', 300000, fake_tls_new());
	peer_says(&end, "H");
	while (heard < 600001) {
		static char bytes[65536];
		ssize_t n;

		settle();
		n = read(end.peer, bytes, sizeof bytes);
		ck_assert_int_gt(n, 0);
		heard += (size_t)n;
		ck_assert_uint_le(end.fake.sent, heard / 2);
	}
	settle();
	ck_assert_uint_eq(end.fake.sent, 300000);
	end_close(&end);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("io/link");
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, bytes_go_both_ways);
	tcase_add_test(t, a_turn_writes_once);
	tcase_add_test(t, a_wake_up_reads_once_and_64_KiB_at_most);
	tcase_add_test(t, a_full_socket_is_waited_for_and_nothing_is_lost);
	tcase_add_test(t, sent_tells_what_left_even_if_the_rest_waits);
	tcase_add_test(t, a_turn_writes_128_KiB_and_lets_others_go_first);
	tcase_add_test(t, a_machine_that_wants_nothing_is_not_read_for);
	tcase_add_test(t, the_bytes_of_a_dead_peer_never_reach_the_next_one);
	tcase_add_test(t, a_link_that_is_freed_with_unsent_bytes_takes_them_along);
	tcase_add_test(t, the_machine_is_ticked_at_its_deadline);
	tcase_add_test(t, a_finished_machine_sends_its_rest_then_fin_and_waits_for_the_peer);
	tcase_add_test(t, a_peer_that_does_not_close_is_waited_for_one_second);
	tcase_add_test(t, a_peer_that_goes_on_sending_is_dropped_after_1_MiB);
	tcase_add_test(t, a_peer_that_does_not_take_our_last_bytes_is_given_up_after_30_seconds);
	tcase_add_test(t, a_machine_that_refuses_input_has_its_last_words_sent);
	tcase_add_test(t, a_machine_without_memory_ends_the_link);
	tcase_add_test(t, a_peer_that_closes_breaks_the_machine_before_the_owner_hears_of_it);
	tcase_add_test(t, a_reset_is_told_as_such);
	tcase_add_test(t, what_a_peer_said_before_it_left_is_read_even_if_our_write_fails_first);
	tcase_add_test(t, a_link_freed_at_any_time_is_silent_and_lets_the_machine_go);
	tcase_add_test(t, a_link_that_cannot_be_made_closes_the_socket);
	tcase_add_test(t, allocations_that_fail_later_end_the_link_or_change_nothing);
	tcase_add_test(t, the_machine_is_asked_once_tls_is_open);
	tcase_add_test(t, handshake_and_first_bytes_share_a_write);
	tcase_add_test(t, the_link_may_be_freed_when_it_is_secured);
	tcase_add_test(t, an_alert_leaves_before_the_link_closes);
	tcase_add_test(t, what_was_good_before_a_bad_record_is_still_delivered);
	tcase_add_test(t, close_notify_goes_out_with_the_end_and_is_understood);
	tcase_add_test(t, a_peer_that_leaves_in_the_handshake_is_an_error);
	tcase_add_test(t, with_tls_sent_never_tells_more_than_has_left);
	suite_add_tcase(s, t);
	return s;
}

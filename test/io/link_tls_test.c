/* SPDX-License-Identifier: MIT */
/* Two links, one loop, real TLS in between: link.c and tls.c together. */
#include "run_suite.h"

#include "io/fake_machine.h"
#include "io/link.h"
#include "io/poll_loop.h"
#include "world/alloc_fail.h"
#include "world/pki.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct poll_loop host;
static minirpc_loop *loop;

struct side {
	struct fake_machine fake;
	struct mrpc_link *link;
	unsigned secured, closed;
	int error;
	char reason[128];
};

static struct side client, server;

static void on_secured(struct mrpc_link *link, void *user)
{
	struct side *side = user;

	side->secured++;
	ck_assert_int_eq(mrpc_tls_session_state(mrpc_link_tls(link)), MRPC_TLS_OPEN);
}

static void on_closed(struct mrpc_link *link, int error, const char *reason, void *user)
{
	struct side *side = user;

	side->closed++;
	side->error = error;
	snprintf(side->reason, sizeof side->reason, "%s", reason);
	mrpc_link_free(link);
	side->link = NULL;
}

static void side_open(struct side *side, int fd, minirpc_tls *tls, bool is_server, const char *name,
		      size_t to_send)
{
	struct mrpc_link_options options = { .machine = &side->fake.machine,
					     .on_secured = on_secured,
					     .on_closed = on_closed,
					     .user = side };

	*side = (struct side){ 0 };
	fake_machine_init(&side->fake, is_server ? 's' : 'c', to_send);
	ck_assert_int_eq(mrpc_tls_session_new(&options.tls, tls, is_server, name, NULL), 0);
	ck_assert_int_eq(mrpc_link_new(&side->link, loop, fd, &options), 0);
}

static void both_open(const char *name, size_t to_send)
{
	struct pki_identity *ca = pki_ca("ca");
	struct pki_identity *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *ours, *theirs;
	int pair[2];

	ck_assert_int_eq(
		minirpc_tls_new(&theirs, &(struct minirpc_tls_options){ .cert_pem = leaf->cert_pem,
									.key_pem = leaf->key_pem }),
		0);
	ck_assert_int_eq(
		minirpc_tls_new(&ours, &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	side_open(&client, pair[0], ours, false, name, to_send);
	side_open(&server, pair[1], theirs, true, NULL, to_send);
	minirpc_tls_unref(ours);
	minirpc_tls_unref(theirs);
	pki_free(leaf);
	pki_free(ca);
}

static void setup(void)
{
	poll_loop_init(&host);
	host.now = MINIRPC_S(1000);
	ck_assert_int_eq(
		minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .hooks = &poll_loop_hooks,
									.hooks_user = &host }),
		0);
}

static void teardown(void)
{
	mrpc_link_free(client.link);
	mrpc_link_free(server.link);
	minirpc_loop_free(loop);
	ck_assert_uint_eq(alloc_live(), 0);
}

START_TEST(a_million_bytes_each_way_arrive_and_are_counted)
{
	both_open("localhost", 1000000);
	poll_loop_settle(&host, loop);
	ck_assert_uint_eq(client.secured, 1);
	ck_assert_uint_eq(server.secured, 1);
	ck_assert_uint_eq(client.fake.received, 1000000);
	ck_assert_uint_eq(server.fake.received, 1000000);
	ck_assert_uint_eq(client.fake.sent, 1000000);
	ck_assert_uint_eq(server.fake.sent, 1000000);
	ck_assert_str_eq(client.reason, "");
}
END_TEST

START_TEST(an_orderly_end_is_orderly_on_both_sides)
{
	both_open("localhost", 10);
	poll_loop_settle(&host, loop);
	server.fake.finished = true;
	mrpc_turn_wake(&loop->turn, server.fake.machine.flush);
	poll_loop_settle(&host, loop);
	ck_assert_uint_eq(client.closed, 1);
	ck_assert_int_eq(client.error, 0);
	ck_assert_uint_eq(server.closed, 1); /* the other end has closed: no second to wait */
	ck_assert_int_eq(server.error, 0);
}
END_TEST

/* Moves what OpenSSL wants to send; false when the link has stopped reading. */
static bool push(BIO *out, int fd)
{
	char *data;
	long len = BIO_get_mem_data(out, &data);
	ssize_t n = send(fd, data, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT);

	poll_loop_settle(&host, loop);
	if (n <= 0)
		return len == 0;
	memmove(data, data + n, (size_t)(len - n));
	(void)BIO_reset(out);
	if (n < len)
		BIO_write(out, data, (int)(len - n));
	return true;
}

START_TEST(a_peer_that_only_asks_for_new_keys_is_held_off)
{
	static const unsigned char h2[] = "\2h2";
	struct pki_identity *leaf = pki_leaf(NULL, &(struct pki_leaf){ 0 });
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	int pair[2], rounds = 0, small = 4096;
	minirpc_tls *theirs;

	ck_assert_int_eq(
		minirpc_tls_new(&theirs, &(struct minirpc_tls_options){ .cert_pem = leaf->cert_pem,
									.key_pem = leaf->key_pem }),
		0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
	side_open(&server, pair[1], theirs, true, NULL, 0);
	minirpc_tls_unref(theirs);

	SSL_set_bio(ssl, in, out);
	SSL_set_connect_state(ssl);
	SSL_set_alpn_protos(ssl, h2, sizeof h2 - 1);
	while (SSL_do_handshake(ssl) != 1) {
		char data[4096];
		ssize_t n;

		push(out, pair[0]);
		while ((n = recv(pair[0], data, sizeof data, MSG_DONTWAIT)) > 0)
			BIO_write(in, data, (int)n);
	}
	push(out, pair[0]);
	ck_assert_uint_eq(server.secured, 1);

	do {
		for (int i = 0; i < 100; i++) {
			SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
			SSL_do_handshake(ssl);
		}
		ck_assert_int_lt(++rounds, 400); /* 1 MiB: nobody stops us */
	} while (push(out, pair[0]));
	ck_assert_uint_eq(server.closed, 0);
	ck_assert_uint_lt(alloc_live_bytes(), 2 * 1048576);
	ERR_clear_error();
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(pair[0]);
	pki_free(leaf);
}
END_TEST

START_TEST(a_certificate_for_another_name_ends_both_sides_with_a_reason)
{
	both_open("example.org", 10);
	poll_loop_settle(&host, loop);
	ck_assert_uint_eq(client.secured, 0);
	ck_assert_uint_eq(client.closed, 1);
	ck_assert_int_eq(client.error, -EPROTO);
	ck_assert_ptr_nonnull(strstr(client.reason, "example.org"));
	ck_assert_uint_eq(server.closed, 1);
	ck_assert_int_eq(server.error, -EPROTO); /* it was told by an alert */
	ck_assert_uint_eq(client.fake.handed, 0);
	ck_assert_uint_eq(server.fake.received, 0);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("io/link_tls");
	TCase *t = tcase_create("link_tls");

	tcase_set_timeout(t, 30); /* under the sanitizers, on a machine that has more to do */
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_peer_that_only_asks_for_new_keys_is_held_off);
	tcase_add_test(t, a_million_bytes_each_way_arrive_and_are_counted);
	tcase_add_test(t, an_orderly_end_is_orderly_on_both_sides);
	tcase_add_test(t, a_certificate_for_another_name_ends_both_sides_with_a_reason);
	suite_add_tcase(s, t);
	return s;
}

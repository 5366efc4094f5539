/* SPDX-License-Identifier: MIT */
/* lib/io/tls.c: two sessions of ours, and every kind of certificate in between. */
#include "io/tls_ends.h"
#include "run_suite.h"

#include <errno.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

/* ---- The right ones ---- */

START_TEST(both_ends_open_and_bytes_go_both_ways_however_they_are_chopped)
{
	static const size_t pieces[] = { 1, 2, 3, 5, 16, 1000, SIZE_MAX };
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL), *client = client_tls(ca, NULL);
	struct ends ends;

	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		size_t len;
		const uint8_t *der;

		begin(&ends, client, server, "localhost");
		settle(&ends, pieces[i]);
		assert_open(&ends);
		exchange(&ends.client, &ends.server, 1, pieces[i]);
		exchange(&ends.server, &ends.client, 16384, pieces[i]);
		exchange(&ends.server, &ends.client, 16385, pieces[i]);
		exchange(&ends.client, &ends.server, 300000, pieces[i]);

		der = mrpc_tls_session_certificate(ends.client.session, &len);
		ck_assert_int_eq((int)len, i2d_X509(leaf->cert, NULL));
		ck_assert_ptr_nonnull(der);
		ck_assert_ptr_null(mrpc_tls_session_certificate(ends.server.session, &len));
		ck_assert_uint_eq(len, 0);
		ends_clear(&ends);
	}
	ck_assert_str_eq(tls_logged, "");
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(a_handshake_that_is_cut_anywhere_is_neither_open_nor_failed)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL), *client = client_tls(ca, NULL);
	size_t cut = 0, total;

	for (;; cut++) {
		struct ends ends;

		begin(&ends, client, server, "localhost");
		carry(&ends.client, &ends.server, SIZE_MAX);
		total = mrpc_buf_len(&ends.server.cipher); /* signatures vary by a byte or two */
		if (cut >= total) {
			ends_clear(&ends);
			break;
		}
		ck_assert_int_eq(mrpc_tls_session_receive(ends.client.session,
							  mrpc_buf_bytes(&ends.server.cipher), cut,
							  &ends.client.plain, &ends.client.cipher),
				 0);
		ck_assert_int_eq(mrpc_tls_session_state(ends.client.session), MRPC_TLS_HANDSHAKE);
		ck_assert_int_eq(mrpc_tls_session_send(ends.client.session, (const uint8_t *)"x", 1,
						       &ends.client.cipher),
				 -EPROTO); /* too early, and not taken */
		ck_assert_int_eq(mrpc_tls_session_state(ends.client.session), MRPC_TLS_HANDSHAKE);
		ends_clear(&ends);
	}
	ck_assert_uint_gt(cut, 500);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(close_notify_closes_and_what_follows_is_ignored)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL), *client = client_tls(ca, NULL);
	struct ends ends;

	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	ck_assert_int_eq(mrpc_tls_session_send(ends.server.session, (const uint8_t *)"bye", 3,
					       &ends.server.cipher),
			 0);
	mrpc_tls_session_close(ends.server.session, &ends.server.cipher);
	mrpc_tls_session_close(ends.server.session, &ends.server.cipher); /* once */
	ck_assert_int_eq(mrpc_tls_session_send(ends.server.session, (const uint8_t *)"x", 1,
					       &ends.server.cipher),
			 -EPROTO);
	settle(&ends, SIZE_MAX);
	ck_assert_int_eq(mrpc_tls_session_state(ends.client.session), MRPC_TLS_CLOSED);
	ck_assert_uint_eq(mrpc_buf_len(&ends.client.plain), 3);
	ck_assert_int_eq(mrpc_tls_session_receive(ends.client.session, (const uint8_t *)"junk", 4,
						  &ends.client.plain, &ends.client.cipher),
			 0);
	ck_assert_str_eq(mrpc_tls_session_error(ends.client.session), "");

	/* Half closed: this way is still open. */
	ck_assert_int_eq(mrpc_tls_session_send(ends.client.session, (const uint8_t *)"ok", 2,
					       &ends.client.cipher),
			 0);
	settle(&ends, SIZE_MAX);
	ck_assert_uint_eq(mrpc_buf_len(&ends.server.plain), 2);
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

/* ---- Whom we believe ---- */

struct believed {
	const char *what;
	struct pki_leaf leaf;
	const char *name;     /* that is called */
	const char *sentence; /* NULL: fine */
	bool self_signed, other_ca;
};

#define IP_MISMATCH "certificate verify failed: IP address mismatch (for "

static const struct believed believed[] = {
	{ "name", { 0 }, "localhost", NULL },
	{ "upper case", { 0 }, "LOCALHOST", NULL },
	{ "root's dot", { 0 }, "localhost.", NULL },
	{ "IPv4", { 0 }, "127.0.0.1", NULL },
	{ "IPv6", { 0 }, "::1", NULL },
	{ "IPv6 spelled out, with a zone", { 0 }, "0:0:0:0:0:0:0:1%1", NULL },
	{ "no EKU", { .eku = "" }, "localhost", NULL },
	{ "wildcard", { .san = "DNS:*.example.org" }, "a.example.org", NULL },
	{ "P-384", { .curve = "P-384" }, "localhost", NULL },
	{ "wrong host", { 0 }, "example.org", MISMATCH "example.org)" },
	{ "wrong IP", { 0 }, "127.0.0.2", IP_MISMATCH "127.0.0.2)" },
	{ "an IP is no name", { .san = "DNS:127.0.0.1" }, "127.0.0.1", IP_MISMATCH "127.0.0.1)" },
	{ "a name is no IP", { .san = "IP:127.0.0.1" }, "localhost", MISMATCH "localhost)" },
	{ "wildcard of two labels",
	  { .san = "DNS:*.example.org" },
	  "a.b.example.org",
	  MISMATCH "a.b.example.org)" },
	{ "wildcard of none",
	  { .san = "DNS:*.example.org" },
	  "example.org",
	  MISMATCH "example.org)" },
	{ "partial wildcard",
	  { .san = "DNS:f*.example.org" },
	  "foo.example.org",
	  MISMATCH "foo.example.org)" },
	{ "CN without SAN", { .cn = "localhost", .san = "" }, "localhost", MISMATCH "localhost)" },
	{ "IP in CN", { .cn = "127.0.0.1", .san = "" }, "127.0.0.1", IP_MISMATCH "127.0.0.1)" },
	{ "NUL in the name",
	  { .san_raw = "localhost\0.evil.org", .san_raw_len = 19 },
	  "localhost",
	  MISMATCH "localhost)" },
	{ "NUL after the name",
	  { .san_raw = "localhost\0", .san_raw_len = 10 },
	  "localhost",
	  MISMATCH "localhost)" },
	{ "expired",
	  { .from = -7200, .until = -3600 },
	  "localhost",
	  "certificate verify failed: certificate has expired (for localhost)" },
	{ "not yet",
	  { .from = 3600, .until = 7200 },
	  "localhost",
	  "certificate verify failed: certificate is not yet valid (for localhost)" },
	{ "wrong EKU",
	  { .eku = "clientAuth" },
	  "localhost",
	  "certificate verify failed: unsuitable certificate purpose (for localhost)" },
	{ "self-signed",
	  { 0 },
	  "localhost",
	  "certificate verify failed: self-signed certificate (for localhost)",
	  .self_signed = true },
	{ "other CA",
	  { 0 },
	  "localhost",
	  "certificate verify failed: unable to get local issuer certificate (for localhost)",
	  .other_ca = true },
};

START_TEST(a_server_is_believed_only_with_the_right_certificate)
{
	const struct believed *b = &believed[_i];
	struct pki_identity *ca = pki_ca("ca"), *other = pki_ca("other");
	struct pki_identity *leaf = pki_leaf(b->self_signed ? NULL
					     : b->other_ca  ? other
							    : ca,
					     &b->leaf);
	minirpc_tls *server = server_tls(leaf, NULL), *client = client_tls(ca, NULL);
	struct ends ends;
	size_t len;

	begin(&ends, client, server, b->name);
	settle(&ends, SIZE_MAX);
	if (b->sentence == NULL) {
		assert_open(&ends);
	} else {
		assert_failed(&ends.client, b->sentence);
		ck_assert_int_eq(ends.client.error, -EPROTO);
		ck_assert_ptr_null(mrpc_tls_session_certificate(ends.client.session, &len));
		/* The server hears of it by an alert. */
		ck_assert_int_eq(mrpc_tls_session_state(ends.server.session), MRPC_TLS_FAILED);
		ck_assert_ptr_nonnull(strstr(mrpc_tls_session_error(ends.server.session),
					     "the peer ended TLS: "));
		/* And it stays failed. */
		ck_assert_int_eq(mrpc_tls_session_receive(ends.client.session, NULL, 0,
							  &ends.client.plain, &ends.client.cipher),
				 -EPROTO);
		ck_assert_int_eq(mrpc_tls_session_send(ends.client.session, (const uint8_t *)"x", 1,
						       &ends.client.cipher),
				 -EPROTO);
		assert_failed(&ends.client, b->sentence);
	}
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(other);
	pki_free(ca);
}
END_TEST

START_TEST(the_very_certificate_may_be_what_is_trusted)
{
	struct pki_identity *ca = pki_ca("ca"), *self = pki_leaf(NULL, &(struct pki_leaf){ 0 });
	struct pki_identity *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	const struct pki_identity *both[] = { self, leaf };

	for (int i = 0; i < 2; i++) {
		minirpc_tls *server = server_tls(both[i], NULL),
			    *client = client_tls(both[i], NULL);
		struct ends ends;

		begin(&ends, client, server, "localhost");
		settle(&ends, SIZE_MAX);
		assert_open(&ends);
		ends_clear(&ends);
		minirpc_tls_unref(client);
		minirpc_tls_unref(server);
	}
	pki_free(leaf);
	pki_free(self);
	pki_free(ca);
}
END_TEST

START_TEST(without_a_ca_the_system_is_asked_and_knows_no_test_ca)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL), *client = tls_of(NULL);
	struct ends ends;

	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_failed(&ends.client, "certificate verify failed: unable to get local issuer "
				    "certificate (for localhost)");
	ends_clear(&ends);

	/* A server's configuration, without a CA, may be used for clients too. */
	begin(&ends, server, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_failed(&ends.client, "certificate verify failed: unable to get local issuer "
				    "certificate (for localhost)");
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(the_configured_name_replaces_the_targets)
{
	struct pki_identity *ca = pki_ca("ca");
	struct pki_identity *leaf = pki_leaf(ca, &(struct pki_leaf){ .san = "DNS:a.org" });
	minirpc_tls *server = server_tls(leaf, NULL);
	minirpc_tls *client = tls_of(
		&(struct minirpc_tls_options){ .ca_pem = ca->cert_pem, .server_name = "a.org" });
	struct ends ends;

	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(a_client_without_a_name_to_verify_is_refused)
{
	static char long_name[300];
	struct pki_identity *ca = pki_ca("ca");
	minirpc_tls *client = client_tls(ca, NULL);
	struct mrpc_tls_session *session;

	memset(long_name, 'a', sizeof long_name - 1);
	ck_assert_int_eq(mrpc_tls_session_new(&session, client, false, NULL, NULL), -EINVAL);
	ck_assert_int_eq(mrpc_tls_session_new(&session, client, false, "", NULL), -EINVAL);
	ck_assert_int_eq(mrpc_tls_session_new(&session, client, false, ".", NULL), -EINVAL);
	ck_assert_int_eq(mrpc_tls_session_new(&session, client, false, "%", NULL), -EINVAL);
	ck_assert_int_eq(mrpc_tls_session_new(&session, client, false, long_name, NULL), -EINVAL);
	ck_assert_int_eq(mrpc_tls_session_new(&session, client, true, NULL, NULL), -EINVAL);
	minirpc_tls_unref(client);
	pki_free(ca);
}
END_TEST

START_TEST(skipping_verification_works_and_is_loud)
{
	struct pki_identity *leaf = pki_leaf(NULL, &(struct pki_leaf){ .until = -3600 });
	minirpc_tls *server = server_tls(leaf, NULL);
	minirpc_tls *client = tls_of(&(struct minirpc_tls_options){ .insecure_skip_verify = true });
	struct ends ends;
	size_t len;

	begin(&ends, client, server, "example.org");
	ck_assert_str_eq(tls_logged,
			 "the TLS certificate of \"example.org\" is NOT verified "
			 "(insecure_skip_verify): whoever is in between reads and changes "
			 "everything");
	tls_logged[0] = '\0';
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ck_assert_ptr_null(mrpc_tls_session_certificate(ends.client.session, &len));
	ends_clear(&ends);

	begin(&ends, client, server, "example.org"); /* each time */
	ck_assert_str_ne(tls_logged, "");
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
}
END_TEST

/* ---- Clients with certificates ---- */

START_TEST(a_server_with_a_ca_takes_clients_of_that_ca)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	struct pki_identity *mine =
		pki_leaf(ca, &(struct pki_leaf){ .eku = "clientAuth", .san = "" });
	minirpc_tls *server = server_tls(leaf, ca), *client = client_tls(ca, mine);
	struct ends ends;
	unsigned char *expected = NULL;
	size_t len;
	const void *der;

	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	exchange(&ends.client, &ends.server, 100, SIZE_MAX);
	der = mrpc_tls_session_certificate(ends.server.session, &len);
	ck_assert_int_eq((int)len, i2d_X509(mine->cert, &expected));
	ck_assert_mem_eq(der, expected, len);
	OPENSSL_free(expected);
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(mine);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(a_server_with_a_ca_refuses_all_other_clients)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	struct pki_identity *other = pki_ca("other");
	struct pki_identity *foreign = pki_leaf(other, &(struct pki_leaf){ .eku = "clientAuth" });
	struct pki_identity *wrong = pki_leaf(ca, &(struct pki_leaf){ .eku = "serverAuth" });
	struct pki_identity *old = pki_leaf(
		ca, &(struct pki_leaf){ .eku = "clientAuth", .from = -7200, .until = -3600 });
	const struct {
		const struct pki_identity *identity;
		const char *server, *client;
	} cases[] = {
		{ NULL, "the client sent no certificate",
		  "the peer ended TLS: certificate required (alert 116)" },
		{ foreign,
		  "certificate verify failed: unable to get local issuer certificate (of the "
		  "client)",
		  "the peer ended TLS: unknown CA (alert 48)" },
		{ wrong,
		  "certificate verify failed: unsuitable certificate purpose (of the client)",
		  "the peer ended TLS: unsupported certificate (alert 43)" },
		{ old, "certificate verify failed: certificate has expired (of the client)",
		  "the peer ended TLS: certificate expired (alert 45)" },
	};
	minirpc_tls *server = server_tls(leaf, ca);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		minirpc_tls *client = client_tls(ca, cases[i].identity);
		struct ends ends;
		size_t len;

		begin(&ends, client, server, "localhost");
		settle(&ends, SIZE_MAX);
		assert_failed(&ends.server, cases[i].server);
		ck_assert_ptr_null(mrpc_tls_session_certificate(ends.server.session, &len));
		assert_failed(&ends.client, cases[i].client);
		ends_clear(&ends);
		minirpc_tls_unref(client);
	}
	minirpc_tls_unref(server);
	pki_free(old);
	pki_free(wrong);
	pki_free(foreign);
	pki_free(other);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/tls");
	TCase *tcase = tcase_create("tls");

	tcase_add_test(tcase, both_ends_open_and_bytes_go_both_ways_however_they_are_chopped);
	tcase_add_test(tcase, a_handshake_that_is_cut_anywhere_is_neither_open_nor_failed);
	tcase_add_test(tcase, close_notify_closes_and_what_follows_is_ignored);
	tcase_add_loop_test(tcase, a_server_is_believed_only_with_the_right_certificate, 0,
			    (int)(sizeof believed / sizeof believed[0]));
	tcase_add_test(tcase, the_very_certificate_may_be_what_is_trusted);
	tcase_add_test(tcase, without_a_ca_the_system_is_asked_and_knows_no_test_ca);
	tcase_add_test(tcase, the_configured_name_replaces_the_targets);
	tcase_add_test(tcase, a_client_without_a_name_to_verify_is_refused);
	tcase_add_test(tcase, skipping_verification_works_and_is_loud);
	tcase_add_test(tcase, a_server_with_a_ca_takes_clients_of_that_ca);
	tcase_add_test(tcase, a_server_with_a_ca_refuses_all_other_clients);
	tcase_set_timeout(tcase, 100);
	suite_add_tcase(suite, tcase);
	return suite;
}

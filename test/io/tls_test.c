/* SPDX-License-Identifier: MIT */
/* lib/io/tls.c, tls_config.c: two sessions, or a session and somebody else's OpenSSL, and a wire in
 * between that we hold in our hands. */
#include "base/alloc.h"
#include "io/tls.h"
#include "run_suite.h"
#include "world/alloc_fail.h"
#include "world/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- OpenSSL's own memory, failing on demand ---- */

static size_t ossl_asked, ossl_fail_at;
static bool ossl_forever;

static bool ossl_fails(void)
{
	ossl_asked++;
	return ossl_fail_at != 0 &&
	       (ossl_asked == ossl_fail_at || (ossl_forever && ossl_asked > ossl_fail_at));
}

static void *ossl_malloc(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return ossl_fails() ? NULL : malloc(size);
}

static void *ossl_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return ossl_fails() ? NULL : realloc(p, size);
}

static void ossl_free(void *p, const char *file, int line)
{
	(void)file, (void)line;
	free(p);
}

static void ossl_fail(size_t n, bool forever)
{
	ossl_asked = 0;
	ossl_fail_at = n;
	ossl_forever = forever;
}

/* ---- Two ends ---- */

struct end {
	struct mrpc_tls_session *session;
	struct mrpc_buf plain, cipher;
	int error; /* of the last receive */
};

struct ends {
	struct end client, server;
};

static char logged[512];

static void take_line(enum minirpc_log_level level, const char *line, void *user)
{
	(void)user;
	ck_assert_int_eq(level, MINIRPC_LOG_WARNING);
	snprintf(logged, sizeof logged, "%s", line);
}

static const struct mrpc_log log_all = { .fn = take_line, .level = MINIRPC_LOG_DEBUG };

static minirpc_tls *tls_of(const struct minirpc_tls_options *options)
{
	minirpc_tls *tls;
	char error[256];
	int r = minirpc_tls_new_explained(&tls, options, error, sizeof error);

	ck_assert_str_eq(error, "");
	ck_assert_int_eq(r, 0);
	return tls;
}

static minirpc_tls *server_tls(const struct pki_identity *leaf, const struct pki_identity *ca)
{
	return tls_of(&(struct minirpc_tls_options){ .cert_pem = leaf->cert_pem,
						     .key_pem = leaf->key_pem,
						     .ca_pem = ca == NULL ? NULL : ca->cert_pem });
}

static minirpc_tls *client_tls(const struct pki_identity *ca, const struct pki_identity *leaf)
{
	return tls_of(
		&(struct minirpc_tls_options){ .ca_pem = ca->cert_pem,
					       .cert_pem = leaf == NULL ? NULL : leaf->cert_pem,
					       .key_pem = leaf == NULL ? NULL : leaf->key_pem });
}

static struct mrpc_tls_session *session_of(minirpc_tls *tls, bool server, const char *name)
{
	struct mrpc_tls_session *session;

	ck_assert_int_eq(mrpc_tls_session_new(&session, tls, server, name, &log_all), 0);
	return session;
}

static void end_clear(struct end *end)
{
	mrpc_tls_session_free(end->session);
	mrpc_buf_clear(&end->plain);
	mrpc_buf_clear(&end->cipher);
	*end = (struct end){ 0 };
}

static void ends_clear(struct ends *ends)
{
	end_clear(&ends->client);
	end_clear(&ends->server);
}

/* Carries what one end has to send to the other, in pieces. */
static bool carry(struct end *from, struct end *to, size_t piece)
{
	bool any = false;

	while (mrpc_buf_len(&from->cipher) > 0 && to->error == 0) {
		size_t len = mrpc_buf_len(&from->cipher);
		uint8_t *data;

		if (len > piece)
			len = piece;
		data = malloc(len); /* so that the sanitizer sees its end */
		memcpy(data, mrpc_buf_bytes(&from->cipher), len);
		mrpc_buf_consume(&from->cipher, len);
		to->error =
			mrpc_tls_session_receive(to->session, data, len, &to->plain, &to->cipher);
		free(data);
		any = true;
	}
	return any;
}

static void settle(struct ends *ends, size_t piece)
{
	bool any;

	do {
		any = carry(&ends->client, &ends->server, piece);
		any = carry(&ends->server, &ends->client, piece) || any;
	} while (any);
}

static void begin(struct ends *ends, minirpc_tls *client, minirpc_tls *server, const char *name)
{
	*ends = (struct ends){ 0 };
	ends->client.session = session_of(client, false, name);
	ends->server.session = session_of(server, true, NULL);
	ck_assert_int_eq(mrpc_tls_session_send(ends->client.session, NULL, 0, &ends->client.cipher),
			 0);
	ck_assert_uint_gt(mrpc_buf_len(&ends->client.cipher), 0);
}

static void assert_open(const struct ends *ends)
{
	ck_assert_str_eq(mrpc_tls_session_error(ends->client.session), "");
	ck_assert_str_eq(mrpc_tls_session_error(ends->server.session), "");
	ck_assert_int_eq(mrpc_tls_session_state(ends->client.session), MRPC_TLS_OPEN);
	ck_assert_int_eq(mrpc_tls_session_state(ends->server.session), MRPC_TLS_OPEN);
}

static void assert_failed(const struct end *end, const char *sentence)
{
	ck_assert_str_eq(mrpc_tls_session_error(end->session), sentence);
	ck_assert_int_eq(mrpc_tls_session_state(end->session), MRPC_TLS_FAILED);
	ck_assert_uint_eq(mrpc_buf_len(&end->plain), 0);
}

/* Sends bytes one way and looks at them at the other. */
static void exchange(struct end *from, struct end *to, size_t len, size_t piece)
{
	uint8_t *data = malloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 8));
	ck_assert_int_eq(mrpc_tls_session_send(from->session, data, len, &from->cipher), 0);
	carry(from, to, piece);
	ck_assert_int_eq(to->error, 0);
	ck_assert_uint_eq(mrpc_buf_len(&to->plain), len);
	ck_assert_mem_eq(mrpc_buf_bytes(&to->plain), data, len);
	mrpc_buf_empty(&to->plain);
	free(data);
}

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
	ck_assert_str_eq(logged, "");
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

#define MISMATCH "certificate verify failed: hostname mismatch (for "
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
	ck_assert_str_eq(logged, "the TLS certificate of \"example.org\" is NOT verified "
				 "(insecure_skip_verify): whoever is in between reads and changes "
				 "everything");
	logged[0] = '\0';
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ck_assert_ptr_null(mrpc_tls_session_certificate(ends.client.session, &len));
	ends_clear(&ends);

	begin(&ends, client, server, "example.org"); /* each time */
	ck_assert_str_ne(logged, "");
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

/* ---- Peers that are not us ---- */

struct stranger {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	int alert; /* received, or -1 */
};

static void note_alert(const SSL *ssl, int where, int alert)
{
	struct stranger *stranger = SSL_get_app_data(ssl);

	if (where == SSL_CB_READ_ALERT)
		stranger->alert = alert & 0xFF;
}

static void stranger_init(struct stranger *stranger, bool server, SSL_CTX *ctx)
{
	stranger->ctx = ctx;
	stranger->ssl = SSL_new(ctx);
	stranger->in = BIO_new(BIO_s_mem());
	stranger->out = BIO_new(BIO_s_mem());
	stranger->alert = -1;
	BIO_set_mem_eof_return(stranger->in, -1);
	SSL_set_bio(stranger->ssl, stranger->in, stranger->out);
	SSL_set_app_data(stranger->ssl, stranger);
	SSL_set_info_callback(stranger->ssl, note_alert);
	if (server)
		SSL_set_accept_state(stranger->ssl);
	else
		SSL_set_connect_state(stranger->ssl);
}

static void stranger_clear(struct stranger *stranger)
{
	SSL_free(stranger->ssl);
	SSL_CTX_free(stranger->ctx);
	ERR_clear_error();
}

/* A round of both. */
static void meet(struct stranger *stranger, struct end *end)
{
	for (int i = 0; i < 8; i++) {
		char data[65536];
		int len;

		(void)SSL_do_handshake(stranger->ssl);
		(void)SSL_read(stranger->ssl, data, sizeof data);
		ERR_clear_error();
		while ((len = BIO_read(stranger->out, data, sizeof data)) > 0 && end->error == 0)
			end->error =
				mrpc_tls_session_receive(end->session, (uint8_t *)data, (size_t)len,
							 &end->plain, &end->cipher);
		BIO_write(stranger->in, mrpc_buf_bytes(&end->cipher),
			  (int)mrpc_buf_len(&end->cipher));
		mrpc_buf_empty(&end->cipher);
	}
}

static SSL_CTX *stranger_server_ctx(const struct pki_identity *leaf)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_use_certificate(ctx, leaf->cert);
	SSL_CTX_use_PrivateKey(ctx, leaf->key);
	return ctx;
}

static int choose_nothing(SSL *ssl, const unsigned char **out, unsigned char *out_len,
			  const unsigned char *in, unsigned in_len, void *user)
{
	(void)ssl, (void)out, (void)out_len, (void)in, (void)in_len, (void)user;
	return SSL_TLSEXT_ERR_NOACK;
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		     const unsigned char *in, unsigned in_len, void *user)
{
	(void)ssl, (void)user;
	ck_assert_uint_eq(in_len, 3); /* h2 is all that we offer */
	ck_assert_mem_eq(in, "\2h2", 3);
	*out = in + 1;
	*out_len = 2;
	return SSL_TLSEXT_ERR_OK;
}

START_TEST(a_server_that_does_not_choose_h2_is_left)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *client = client_tls(ca, NULL);

	for (int i = 0; i < 2; i++) {
		struct end end = { .session = session_of(client, false, "localhost") };
		SSL_CTX *ctx = stranger_server_ctx(leaf);
		struct stranger stranger;

		if (i == 1)
			SSL_CTX_set_alpn_select_cb(ctx, choose_nothing, NULL);
		stranger_init(&stranger, true, ctx);
		mrpc_tls_session_send(end.session, NULL, 0, &end.cipher);
		meet(&stranger, &end);
		assert_failed(&end, "the server did not choose h2 by ALPN: it speaks no HTTP/2 "
				    "here");
		end_clear(&end);
		stranger_clear(&stranger);
	}
	minirpc_tls_unref(client);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(a_client_that_does_not_offer_h2_gets_the_alert_for_it)
{
	static const unsigned char http1[] = "\x8http/1.1", many[] = "\x2h3\x3h2c\x8http/1.1\x1x",
				   both[] = "\x8http/1.1\x2h2";
	const struct {
		const unsigned char *protocols;
		unsigned len;
		bool fine;
	} cases[] = { { NULL, 0, false },
		      { http1, sizeof http1 - 1, false },
		      { many, sizeof many - 1, false },
		      { both, sizeof both - 1, true } };
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL);

	for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		struct end end = { .session = session_of(server, true, NULL) };
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		struct stranger stranger;

		if (i % 2 == 1)
			SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
		if (cases[i / 2].protocols != NULL)
			SSL_CTX_set_alpn_protos(ctx, cases[i / 2].protocols, cases[i / 2].len);
		stranger_init(&stranger, false, ctx);
		meet(&stranger, &end);
		if (cases[i / 2].fine) {
			ck_assert_int_eq(mrpc_tls_session_state(end.session), MRPC_TLS_OPEN);
			ck_assert_int_eq(stranger.alert, -1);
		} else {
			assert_failed(&end, "the client does not offer h2 by ALPN");
			ck_assert_int_eq(stranger.alert, SSL_AD_NO_APPLICATION_PROTOCOL);
		}
		end_clear(&end);
		stranger_clear(&stranger);
	}
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(tls_1_1_and_weak_ciphers_are_not_spoken)
{
	static const unsigned char h2[] = "\2h2";
	static const struct {
		int version;
		const char *ciphers;
	} cases[] = {
		{ TLS1_1_VERSION, "ALL:@SECLEVEL=0" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM" }, /* an AEAD, but not of our list */
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305" },
	};
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct end end = { .session = session_of(server, true, NULL) };
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		struct stranger stranger;

		SSL_CTX_set_min_proto_version(ctx, TLS1_1_VERSION);
		SSL_CTX_set_max_proto_version(ctx, cases[i].version);
		ck_assert_int_eq(SSL_CTX_set_cipher_list(ctx, cases[i].ciphers), 1);
		SSL_CTX_set_alpn_protos(ctx, h2, sizeof h2 - 1);
		stranger_init(&stranger, false, ctx);
		meet(&stranger, &end);
		if (i >= 3)
			ck_assert_int_eq(mrpc_tls_session_state(end.session), MRPC_TLS_OPEN);
		else if (i == 0)
			assert_failed(&end, "TLS failed: unsupported protocol");
		else
			assert_failed(&end, "TLS failed: no shared cipher");
		end_clear(&end);
		stranger_clear(&stranger);
	}
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(the_server_name_is_sent_for_names_only)
{
	static const struct {
		const char *name, *sni;
	} cases[] = { { "localhost", "localhost" },
		      { "localhost.", "localhost" },
		      { "127.0.0.1", NULL },
		      { "::1", NULL } };
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *client = client_tls(ca, NULL);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct end end = { .session = session_of(client, false, cases[i].name) };
		SSL_CTX *ctx = stranger_server_ctx(leaf);
		struct stranger stranger;
		const char *sni;

		SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
		stranger_init(&stranger, true, ctx);
		mrpc_tls_session_send(end.session, NULL, 0, &end.cipher);
		meet(&stranger, &end);
		ck_assert_int_eq(mrpc_tls_session_state(end.session), MRPC_TLS_OPEN);
		sni = SSL_get_servername(stranger.ssl, TLSEXT_NAMETYPE_host_name);
		ck_assert_pstr_eq(sni, cases[i].sni);
		end_clear(&end);
		stranger_clear(&stranger);
	}
	minirpc_tls_unref(client);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(renegotiation_and_tickets_are_off)
{
	static const unsigned char h2[] = "\2h2";
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL);
	struct end end = { .session = session_of(server, true, NULL) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct stranger stranger;

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_alpn_protos(ctx, h2, sizeof h2 - 1);
	stranger_init(&stranger, false, ctx);
	meet(&stranger, &end);
	ck_assert_int_eq(mrpc_tls_session_state(end.session), MRPC_TLS_OPEN);
	ck_assert_int_eq(SSL_SESSION_has_ticket(SSL_get0_session(stranger.ssl)), 0);
	ck_assert_int_eq(SSL_renegotiate(stranger.ssl), 1);
	meet(&stranger, &end);
	ck_assert_int_eq(stranger.alert, SSL_AD_NO_RENEGOTIATION);
	end_clear(&end);
	stranger_clear(&stranger);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(keys_may_be_changed_on_the_way_and_answers_are_no_longer_than_questions)
{
	static const unsigned char h2[] = "\2h2";
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL);
	struct end end = { .session = session_of(server, true, NULL) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct stranger stranger;
	char data[65536];
	int asked = 0, len;

	SSL_CTX_set_alpn_protos(ctx, h2, sizeof h2 - 1);
	stranger_init(&stranger, false, ctx);
	meet(&stranger, &end);
	for (int i = 0; i < 1000; i++) { /* a flood: it does not read what we answer */
		ck_assert_int_eq(SSL_key_update(stranger.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		ck_assert_int_eq(SSL_do_handshake(stranger.ssl), 1);
	}
	while ((len = BIO_read(stranger.out, data, sizeof data)) > 0) {
		asked += len;
		ck_assert_int_eq(mrpc_tls_session_receive(end.session, (uint8_t *)data, (size_t)len,
							  &end.plain, &end.cipher),
				 0);
	}
	/* The link stops reading while much waits to be sent; so this bounds it. */
	ck_assert_uint_le(mrpc_buf_len(&end.cipher), (size_t)asked);
	meet(&stranger, &end);
	ck_assert_int_eq(SSL_write(stranger.ssl, "x", 1), 1);
	meet(&stranger, &end);
	ck_assert_uint_eq(mrpc_buf_len(&end.plain), 1);
	ck_assert_int_eq(mrpc_tls_session_state(end.session), MRPC_TLS_OPEN);
	end_clear(&end);
	stranger_clear(&stranger);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(bytes_that_are_no_tls_fail_with_a_sentence)
{
	static const char *const texts[] = {
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
		"\x16\x03\x01\xFF\xFF\x01", "\x80\x2E\x01\x03\x01\x01\x01\x01\x01\x01\x01\x01\x01"
	};
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL), *client = client_tls(ca, NULL);

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		for (int s = 0; s < 2; s++) {
			struct end end = { .session = session_of(s ? server : client, s,
								 "localhost") };

			if (s == 0)
				mrpc_tls_session_send(end.session, NULL, 0, &end.cipher);
			end.error =
				mrpc_tls_session_receive(end.session, (const uint8_t *)texts[i],
							 strlen(texts[i]), &end.plain, &end.cipher);
			if (end.error == 0) /* may wait for the rest of a record */
				end.error = mrpc_tls_session_receive(
					end.session, (const uint8_t[70000]){ 0 }, 70000, &end.plain,
					&end.cipher);
			ck_assert_int_eq(end.error, -EPROTO);
			ck_assert_int_eq(mrpc_tls_session_state(end.session), MRPC_TLS_FAILED);
			ck_assert_int_eq(
				strncmp(mrpc_tls_session_error(end.session), "TLS failed", 10), 0);
			end_clear(&end);
		}
	}
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(a_changed_byte_anywhere_opens_nothing)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server = server_tls(leaf, NULL), *client = client_tls(ca, NULL);
	size_t total = 1;

	for (size_t at = 0; at < total; at += 3) {
		struct ends ends;

		begin(&ends, client, server, "localhost");
		carry(&ends.client, &ends.server, SIZE_MAX);
		total = mrpc_buf_len(&ends.server.cipher);
		ends.server.cipher.data[ends.server.cipher.start + at] ^= 0x41;
		settle(&ends, SIZE_MAX);
		ck_assert_int_ne(mrpc_tls_session_state(ends.client.session), MRPC_TLS_OPEN);
		ck_assert_int_ne(mrpc_tls_session_state(ends.server.session), MRPC_TLS_OPEN);
		ends_clear(&ends);
	}

	/* And after the handshake: nothing of a record that was changed is handed out. */
	for (size_t at = 0; at < 27; at++) {
		struct ends ends;

		begin(&ends, client, server, "localhost");
		settle(&ends, SIZE_MAX);
		mrpc_tls_session_send(ends.client.session, (const uint8_t *)"hello", 5,
				      &ends.client.cipher);
		ends.client.cipher.data[ends.client.cipher.start + at] ^= 1;
		settle(&ends, SIZE_MAX);
		ck_assert_uint_eq(mrpc_buf_len(&ends.server.plain), 0);
		ck_assert_int_ne(mrpc_tls_session_state(ends.server.session), MRPC_TLS_CLOSED);
		ends_clear(&ends);
	}
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

/* ---- Contexts of the caller ---- */

START_TEST(a_context_of_the_caller_keeps_its_own_mind_about_chains)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	SSL_CTX *server_ctx = stranger_server_ctx(leaf);
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	minirpc_tls *server = tls_of(&(struct minirpc_tls_options){ .ctx = server_ctx });
	minirpc_tls *client = tls_of(&(struct minirpc_tls_options){ .ctx = client_ctx });
	struct ends ends;

	SSL_CTX_set_min_proto_version(client_ctx, TLS1_VERSION);
	begin(&ends, client, server, "localhost");
	ck_assert_ptr_nonnull(strstr(logged, "NOT verified (verify mode of the SSL_CTX)"));
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ends_clear(&ends);

	SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), ca->cert);
	logged[0] = '\0';
	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ends_clear(&ends);
	begin(&ends, client, server, "example.org");
	settle(&ends, SIZE_MAX);
	assert_failed(&ends.client, MISMATCH "example.org)");
	ends_clear(&ends);
	ck_assert_str_eq(logged, "");

	/* Ours, not the context's, is the minimum; its maximum leaves nothing. */
	SSL_CTX_set_cipher_list(server_ctx, "ALL:@SECLEVEL=0");
	SSL_CTX_set_min_proto_version(server_ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
	SSL_CTX_set_cipher_list(client_ctx, "ECDHE-ECDSA-AES128-SHA256");
	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	ck_assert_ptr_nonnull(strstr(mrpc_tls_session_error(ends.client.session),
				     "is not allowed in HTTP/2 (RFC 9113, 9.2.2)"));
	ends_clear(&ends);

	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	/* Ours are gone, the caller's stay. */
	ck_assert_int_eq(SSL_CTX_get_min_proto_version(client_ctx), TLS1_VERSION);
	SSL_CTX_free(client_ctx);
	SSL_CTX_free(server_ctx);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(a_context_without_alpn_from_the_client_is_not_opened)
{
	struct pki_identity *leaf = pki_leaf(NULL, &(struct pki_leaf){ 0 });
	SSL_CTX *server_ctx = stranger_server_ctx(leaf);
	minirpc_tls *server = tls_of(&(struct minirpc_tls_options){ .ctx = server_ctx });
	struct end end = { .session = session_of(server, true, NULL) };
	struct stranger stranger;

	stranger_init(&stranger, false, SSL_CTX_new(TLS_client_method()));
	meet(&stranger, &end);
	assert_failed(&end, "the client does not offer h2 by ALPN");
	end_clear(&end);
	stranger_clear(&stranger);
	minirpc_tls_unref(server);
	SSL_CTX_free(server_ctx);
	pki_free(leaf);
}
END_TEST

/* ---- The error queue ---- */

START_TEST(the_error_queue_of_the_thread_is_left_as_it_was_found)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	const char *file, *function, *data;
	minirpc_tls *server, *client, *bad;
	struct ends ends;
	int line, flags;

	for (int errors = 0; errors < 3; errors++) {
		ERR_clear_error();
		for (int i = 0; i < errors; i++) {
			ERR_new();
			ERR_set_debug("host.c", 42 + i, "host_function");
			ERR_set_error(ERR_LIB_USER, 100 + i, "text %d", i);
		}
		server = server_tls(leaf, NULL);
		client = client_tls(ca, NULL);
		ck_assert_int_eq(
			minirpc_tls_new(&bad,
					&(struct minirpc_tls_options){ .ca_pem = "nonsense" }),
			-EBADMSG);
		begin(&ends, client, server, "localhost");
		settle(&ends, 100);
		assert_open(&ends);
		exchange(&ends.client, &ends.server, 1000, 100);
		mrpc_tls_session_close(ends.client.session, &ends.client.cipher);
		ends_clear(&ends);
		begin(&ends, client, server, "example.org");
		settle(&ends, 100);
		assert_failed(&ends.client, MISMATCH "example.org)");
		ends_clear(&ends);
		minirpc_tls_unref(client);
		minirpc_tls_unref(server);

		for (int i = 0; i < errors; i++) {
			unsigned long code =
				ERR_get_error_all(&file, &line, &function, &data, &flags);

			ck_assert_int_eq(ERR_GET_LIB(code), ERR_LIB_USER);
			ck_assert_int_eq(ERR_GET_REASON(code), 100 + i);
			ck_assert_int_eq(line, 42 + i);
			ck_assert_str_eq(file, "host.c");
			ck_assert_str_eq(function, "host_function");
			ck_assert_str_eq(data, i == 0 ? "text 0" : "text 1");
		}
		ck_assert_uint_eq(ERR_peek_error(), 0);
	}
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

/* ---- Configuration ---- */

static char directory[40];

static void make_directory(void)
{
	snprintf(directory, sizeof directory, "/tmp/minirpc-tls-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static const char *in_directory(const char *name)
{
	static char paths[8][128];
	static int at;
	char *path = paths[at++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

static const char *write_file(const char *name, const char *text)
{
	const char *path = in_directory(name);
	FILE *file = fopen(path, "w");

	fputs(text, file);
	fclose(file);
	return path;
}

static void assert_refused(const struct minirpc_tls_options *options, int error,
			   const char *sentence)
{
	minirpc_tls *tls = NULL;
	char text[256] = "untouched", tiny[4];

	ck_assert_int_eq(minirpc_tls_new_explained(&tls, options, text, sizeof text), error);
	ck_assert_ptr_null(tls);
	ck_assert_str_eq(text, sentence);
	ck_assert_int_eq(minirpc_tls_new_explained(&tls, options, tiny, sizeof tiny), error);
	ck_assert_uint_le(strlen(tiny), 3);
	ck_assert_int_eq(minirpc_tls_new(&tls, options), error);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

static char *encrypted_key(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *copy;
	long len;

	PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), (const unsigned char *)"pw", 2, NULL,
				 NULL);
	len = BIO_get_mem_data(bio, &data);
	copy = strndup(data, (size_t)len);
	BIO_free(bio);
	return copy;
}

START_TEST(a_configuration_that_cannot_be_says_which_file_and_why)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	struct pki_identity *other = pki_leaf(ca, &(struct pki_leaf){ 0 });
	char *encrypted = encrypted_key(leaf->key), expected[256], *broken = strdup(leaf->cert_pem);
	const char *cert, *key, *missing;

	make_directory();
	cert = write_file("cert.pem", leaf->cert_pem);
	key = write_file("key.pem", other->key_pem);
	missing = in_directory("missing.pem");
	broken[strlen(broken) / 2] = '!';

	snprintf(expected, sizeof expected, "%s: No such file or directory", missing);
	assert_refused(&(struct minirpc_tls_options){ .cert_file = missing, .key_file = key },
		       -ENOENT, expected);
	assert_refused(&(struct minirpc_tls_options){ .ca_file = missing }, -ENOENT, expected);
	snprintf(expected, sizeof expected, "%s: Is a directory", directory);
	assert_refused(&(struct minirpc_tls_options){ .ca_file = directory }, -EISDIR, expected);
	snprintf(expected, sizeof expected, "%s: the key does not belong to the certificate in %s",
		 key, cert);
	assert_refused(&(struct minirpc_tls_options){ .cert_file = cert, .key_file = key },
		       -EBADMSG, expected);
	snprintf(expected, sizeof expected, "%s: no private key in it (PEM)", cert);
	assert_refused(&(struct minirpc_tls_options){ .cert_file = cert, .key_file = cert },
		       -EBADMSG, expected);
	snprintf(expected, sizeof expected, "%s: no certificate in it (PEM)", key);
	assert_refused(&(struct minirpc_tls_options){ .cert_file = key, .key_file = key }, -EBADMSG,
		       expected);
	assert_refused(&(struct minirpc_tls_options){ .ca_file = key }, -EBADMSG, expected);
	assert_refused(&(struct minirpc_tls_options){ .ca_pem = "" }, -EBADMSG,
		       "ca: no certificate in it (PEM)");
	assert_refused(
		&(struct minirpc_tls_options){ .cert_pem = leaf->cert_pem, .key_pem = encrypted },
		-EBADMSG, "key: the key is encrypted");
	snprintf(expected, sizeof expected, "%s: a key without its certificate", key);
	assert_refused(&(struct minirpc_tls_options){ .key_file = key }, -EINVAL, expected);
	assert_refused(&(struct minirpc_tls_options){ .cert_pem = leaf->cert_pem }, -EINVAL,
		       "cert: a certificate without its key");
	assert_refused(&(struct minirpc_tls_options){ .ca_pem = "x", .ca_file = "x" }, -EINVAL,
		       "ca: given as a file and from memory");
	{
		SSL_CTX *ctx = SSL_CTX_new(TLS_method());

		assert_refused(&(struct minirpc_tls_options){ .ctx = ctx, .ca_pem = "x" }, -EINVAL,
			       "an SSL_CTX and files for the same thing");
		SSL_CTX_free(ctx);
	}
	{
		minirpc_tls *tls;

		ck_assert_int_eq(
			minirpc_tls_new(&tls,
					&(struct minirpc_tls_options){ .cert_pem = broken,
								       .key_pem = leaf->key_pem }),
			-EBADMSG);
	}

	remove(cert);
	remove(key);
	rmdir(directory);
	free(encrypted);
	free(broken);
	pki_free(other);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(files_and_chains_are_read)
{
	struct pki_identity *ca = pki_ca("ca"), *leaf = pki_leaf(ca, &(struct pki_leaf){ 0 });
	struct pki_identity *other = pki_ca("other");
	char chain[8192];
	minirpc_tls *server, *client;
	const char *cert, *key, *trust;
	struct ends ends;

	make_directory();
	snprintf(chain, sizeof chain, "a word before\n%s%s\n", leaf->cert_pem, ca->cert_pem);
	cert = write_file("cert.pem", chain);
	key = write_file("key.pem", leaf->key_pem);
	snprintf(chain, sizeof chain, "%s%s", other->cert_pem, ca->cert_pem);
	trust = write_file("ca.pem", chain);
	server = tls_of(&(struct minirpc_tls_options){ .cert_file = cert, .key_file = key });
	client = tls_of(&(struct minirpc_tls_options){ .ca_file = trust });

	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	/* The configuration may go first: the sessions hold it. */
	ck_assert_ptr_null(minirpc_tls_unref(client));
	ck_assert_ptr_null(minirpc_tls_unref(server));
	exchange(&ends.client, &ends.server, 10, SIZE_MAX);
	ends_clear(&ends);
	ck_assert_ptr_null(minirpc_tls_unref(NULL));

	remove(cert);
	remove(key);
	remove(trust);
	rmdir(directory);
	pki_free(other);
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

/* ---- Memory ---- */

/* All of it once; what fails must say so, and be freed. True when nothing failed. */
static bool live_through(const struct pki_identity *ca, const struct pki_identity *leaf)
{
	const struct minirpc_tls_options server_options = { .cert_pem = leaf->cert_pem,
							    .key_pem = leaf->key_pem,
							    .ca_pem = ca->cert_pem },
					 client_options = { .ca_pem = ca->cert_pem,
							    .cert_pem = leaf->cert_pem,
							    .key_pem = leaf->key_pem };
	minirpc_tls *server = NULL, *client = NULL;
	struct ends ends = { 0 };
	bool done = false;
	uint8_t data[20000] = { 0 };

	if (minirpc_tls_new(&server, &server_options) < 0 ||
	    minirpc_tls_new(&client, &client_options) < 0)
		goto out;
	if (mrpc_tls_session_new(&ends.client.session, client, false, "localhost", NULL) < 0 ||
	    mrpc_tls_session_new(&ends.server.session, server, true, NULL, NULL) < 0)
		goto out;
	if (mrpc_tls_session_send(ends.client.session, NULL, 0, &ends.client.cipher) < 0)
		goto out;
	settle(&ends, SIZE_MAX);
	if (mrpc_tls_session_state(ends.client.session) != MRPC_TLS_OPEN ||
	    mrpc_tls_session_state(ends.server.session) != MRPC_TLS_OPEN)
		goto out;
	if (mrpc_tls_session_send(ends.client.session, data, sizeof data, &ends.client.cipher) < 0)
		goto out;
	mrpc_tls_session_close(ends.client.session, &ends.client.cipher);
	settle(&ends, SIZE_MAX);
	done = mrpc_buf_len(&ends.server.plain) == sizeof data &&
	       mrpc_tls_session_state(ends.server.session) == MRPC_TLS_CLOSED;
out:
	ck_assert(done || ends.client.error <= 0);
	ends_clear(&ends);
	minirpc_tls_unref(client);
	minirpc_tls_unref(server);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	return done;
}

START_TEST(every_allocation_of_ours_may_fail)
{
	struct pki_identity *ca = pki_ca("ca");
	struct pki_identity *leaf =
		pki_leaf(ca, &(struct pki_leaf){ .eku = "serverAuth,clientAuth" });
	size_t before = alloc_live();

	for (int forever = 0; forever < 2; forever++) {
		bool done = false;

		for (size_t n = 1; !done || alloc_refused() > 0; n++) {
			alloc_fail_at(n, forever);
			done = live_through(ca, leaf);
			ck_assert(!done || alloc_refused() == 0);
			ck_assert_uint_eq(alloc_live(), before);
		}
		alloc_fail_at(0, false);
	}
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

START_TEST(every_allocation_of_openssl_may_fail)
{
	struct pki_identity *ca = pki_ca("ca");
	struct pki_identity *leaf =
		pki_leaf(ca, &(struct pki_leaf){ .eku = "serverAuth,clientAuth" });
	size_t before = alloc_live(), total;

	ck_assert(live_through(ca, leaf)); /* once, so that the process's own tables are made */
	ossl_fail(0, false);
	ck_assert(live_through(ca, leaf));
	total = ossl_asked;
	for (int forever = 0; forever < 2; forever++) {
		/* There are many thousands; a few hundred of them, spread, in each round. */
		for (size_t n = 1 + (size_t)forever; n <= total; n += 1 + total / 400) {
			ossl_fail(n, forever);
			(void)live_through(ca, leaf); /* some are not missed */
			ossl_fail(0, false);
			ck_assert_uint_eq(alloc_live(), before);
		}
	}
	ck_assert(live_through(ca, leaf));
	pki_free(leaf);
	pki_free(ca);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/tls");
	TCase *sessions = tcase_create("sessions"), *config = tcase_create("config"),
	      *memory = tcase_create("memory");

	/* Before OpenSSL allocates anything, or it refuses. */
	if (CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free) != 1)
		abort();

	tcase_add_test(sessions, both_ends_open_and_bytes_go_both_ways_however_they_are_chopped);
	tcase_add_test(sessions, a_handshake_that_is_cut_anywhere_is_neither_open_nor_failed);
	tcase_add_test(sessions, close_notify_closes_and_what_follows_is_ignored);
	tcase_add_loop_test(sessions, a_server_is_believed_only_with_the_right_certificate, 0,
			    (int)(sizeof believed / sizeof believed[0]));
	tcase_add_test(sessions, the_very_certificate_may_be_what_is_trusted);
	tcase_add_test(sessions, without_a_ca_the_system_is_asked_and_knows_no_test_ca);
	tcase_add_test(sessions, the_configured_name_replaces_the_targets);
	tcase_add_test(sessions, a_client_without_a_name_to_verify_is_refused);
	tcase_add_test(sessions, skipping_verification_works_and_is_loud);
	tcase_add_test(sessions, a_server_with_a_ca_takes_clients_of_that_ca);
	tcase_add_test(sessions, a_server_with_a_ca_refuses_all_other_clients);
	tcase_add_test(sessions, a_server_that_does_not_choose_h2_is_left);
	tcase_add_test(sessions, a_client_that_does_not_offer_h2_gets_the_alert_for_it);
	tcase_add_test(sessions, tls_1_1_and_weak_ciphers_are_not_spoken);
	tcase_add_test(sessions, the_server_name_is_sent_for_names_only);
	tcase_add_test(sessions, renegotiation_and_tickets_are_off);
	tcase_add_test(sessions,
		       keys_may_be_changed_on_the_way_and_answers_are_no_longer_than_questions);
	tcase_add_test(sessions, bytes_that_are_no_tls_fail_with_a_sentence);
	tcase_add_test(sessions, a_changed_byte_anywhere_opens_nothing);
	tcase_add_test(sessions, a_context_of_the_caller_keeps_its_own_mind_about_chains);
	tcase_add_test(sessions, a_context_without_alpn_from_the_client_is_not_opened);
	tcase_add_test(sessions, the_error_queue_of_the_thread_is_left_as_it_was_found);
	tcase_set_timeout(sessions, 60);
	suite_add_tcase(suite, sessions);

	tcase_add_test(config, a_configuration_that_cannot_be_says_which_file_and_why);
	tcase_add_test(config, files_and_chains_are_read);
	suite_add_tcase(suite, config);

	tcase_add_test(memory, every_allocation_of_ours_may_fail);
	tcase_add_test(memory, every_allocation_of_openssl_may_fail);
	tcase_set_timeout(memory, 100);
	suite_add_tcase(suite, memory);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* lib/io/tls.c against somebody else's OpenSSL: other protocols, other versions, contexts of the
 * caller. */
#include "io/tls_ends.h"
#include "run_suite.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

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
		if (at >= total) { /* the length of a signature varies by a byte or two */
			ends_clear(&ends);
			break;
		}
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
	ck_assert_ptr_nonnull(strstr(tls_logged, "NOT verified (verify mode of the SSL_CTX)"));
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ends_clear(&ends);

	SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), ca->cert);
	tls_logged[0] = '\0';
	begin(&ends, client, server, "localhost");
	settle(&ends, SIZE_MAX);
	assert_open(&ends);
	ends_clear(&ends);
	begin(&ends, client, server, "example.org");
	settle(&ends, SIZE_MAX);
	assert_failed(&ends.client, MISMATCH "example.org)");
	ends_clear(&ends);
	ck_assert_str_eq(tls_logged, "");

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

Suite *suite(void)
{
	Suite *suite = suite_create("io/tls_stranger");
	TCase *tcase = tcase_create("tls");

	tcase_add_test(tcase, a_server_that_does_not_choose_h2_is_left);
	tcase_add_test(tcase, a_client_that_does_not_offer_h2_gets_the_alert_for_it);
	tcase_add_test(tcase, tls_1_1_and_weak_ciphers_are_not_spoken);
	tcase_add_test(tcase, the_server_name_is_sent_for_names_only);
	tcase_add_test(tcase, renegotiation_and_tickets_are_off);
	tcase_add_test(tcase,
		       keys_may_be_changed_on_the_way_and_answers_are_no_longer_than_questions);
	tcase_add_test(tcase, bytes_that_are_no_tls_fail_with_a_sentence);
	tcase_add_test(tcase, a_changed_byte_anywhere_opens_nothing);
	tcase_add_test(tcase, a_context_of_the_caller_keeps_its_own_mind_about_chains);
	tcase_add_test(tcase, a_context_without_alpn_from_the_client_is_not_opened);
	tcase_set_timeout(tcase, 100);
	suite_add_tcase(suite, tcase);
	return suite;
}

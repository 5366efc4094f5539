/* SPDX-License-Identifier: MIT */
/* lib/io/tls_config.c, tls_errors.c: files, OpenSSL's error queue, and memory that runs out. */
#include "io/tls_ends.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
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
	Suite *suite = suite_create("io/tls_config");
	TCase *tcase = tcase_create("tls");

	/* Before OpenSSL allocates anything, or it refuses. */
	if (CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free) != 1)
		abort();

	tcase_add_test(tcase, a_configuration_that_cannot_be_says_which_file_and_why);
	tcase_add_test(tcase, files_and_chains_are_read);
	tcase_add_test(tcase, the_error_queue_of_the_thread_is_left_as_it_was_found);
	tcase_add_test(tcase, every_allocation_of_ours_may_fail);
	tcase_add_test(tcase, every_allocation_of_openssl_may_fail);
	tcase_set_timeout(tcase, 100);
	suite_add_tcase(suite, tcase);
	return suite;
}

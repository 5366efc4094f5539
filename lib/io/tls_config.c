/* SPDX-License-Identifier: MIT */
/* TLS configuration: an SSL_CTX from the user's files, or the user's own.
 *
 * One context serves as client and as server; what differs is set for each session (tls.c). Files
 * are read here, in whole, and parsed from memory: so a file and a string take the same way, and
 * the sentence of an error can name the file. */
#include "io/tls_own.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (4u << 20) /* the system's whole bundle is 220 KiB */

/* RFC 9113, 9.2.2: of TLS 1.2 only ephemeral ECDH with AEAD. All of TLS 1.3 is. */
#define TLS12_CIPHERS                                                                              \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* Where the sentence about a failure goes. */
struct explanation {
	char *text;
	size_t size;
};

static int explain(const struct explanation *to, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int explain(const struct explanation *to, int error, const char *format, ...)
{
	va_list args;

	if (to->text != NULL && to->size > 0) {
		va_start(args, format);
		vsnprintf(to->text, to->size, format, args);
		va_end(args);
	}
	return error;
}

/* The last OpenSSL error as -ENOMEM or -EBADMSG, and its sentence. */
static int explain_openssl(const struct explanation *to, const char *name, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (mrpc_tls_errors_say_no_memory())
		return explain(to, -ENOMEM, "%s: %s", name, mrpc_error_text(ENOMEM));
	return explain(to, -EBADMSG, "%s: %s%s%s", name, what, reason == NULL ? "" : ": ",
		       reason == NULL ? "" : reason);
}

/* ---- PEM, from a file or from memory ---- */

struct pem {
	const char *name; /* of the file, or of the option */
	char *data;       /* NULL: not given */
	size_t len;
	bool owned;
};

static void pem_clear(struct pem *pem)
{
	if (!pem->owned || pem->data == NULL)
		return;
	OPENSSL_cleanse(pem->data, pem->len); /* it may be a key */
	mrpc_free(pem->data);
}

static int read_all(int fd, char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = read(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* it shrank */
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_file(struct pem *pem, const char *path)
{
	struct stat st;
	int fd, r = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	else if (st.st_size > (off_t)FILE_MAX)
		r = -EFBIG;
	if (r < 0)
		goto out;

	pem->data = mrpc_alloc((size_t)st.st_size + 1);
	if (pem->data == NULL) {
		r = -ENOMEM;
		goto out;
	}
	pem->owned = true;
	pem->len = (size_t)st.st_size;
	r = read_all(fd, pem->data, pem->len);
out:
	close(fd);
	return r;
}

static int pem_load(struct pem *pem, const char *file, const char *memory, const char *option,
		    const struct explanation *why)
{
	int r;

	*pem = (struct pem){ .name = file != NULL ? file : option };
	if (file != NULL && memory != NULL)
		return explain(why, -EINVAL, "%s: given as a file and from memory", option);
	if (memory != NULL) {
		pem->data = (char *)(uintptr_t)memory; /* only read */
		pem->len = strlen(memory);
		return pem->len <= FILE_MAX
			       ? 0
			       : explain(why, -EFBIG, "%s: %s", option, mrpc_error_text(EFBIG));
	}
	if (file == NULL)
		return 0;
	r = read_file(pem, file);
	return r == 0 ? 0 : explain(why, r, "%s: %s", file, mrpc_error_text(-r));
}

static BIO *pem_open(const struct pem *pem)
{
	return BIO_new_mem_buf(pem->data, (int)pem->len);
}

/* Without this OpenSSL would ask at the terminal for the password of an encrypted key. */
static int no_password(char *data, int size, int writing, void *user)
{
	(void)data, (void)size, (void)writing;
	*(bool *)user = true;
	return -1;
}

/* The next certificate: 1 and *ret, 0 at the end, or -errno. */
static int next_certificate(BIO *bio, X509 **ret, const struct pem *pem,
			    const struct explanation *why)
{
	bool encrypted = false;
	unsigned long code;

	*ret = PEM_read_bio_X509(bio, NULL, no_password, &encrypted);
	if (*ret != NULL)
		return 1;
	code = ERR_peek_last_error();
	if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return 0;
	}
	return explain_openssl(why, pem->name, "a certificate in it is broken");
}

/* ---- Our identity ---- */

static int use_chain(minirpc_tls *tls, const struct pem *pem, const struct explanation *why)
{
	BIO *bio = pem_open(pem);
	bool leaf = true;
	X509 *certificate;
	int r;

	if (bio == NULL)
		return explain(why, -ENOMEM, "%s: %s", pem->name, mrpc_error_text(ENOMEM));
	while ((r = next_certificate(bio, &certificate, pem, why)) == 1) {
		bool taken = leaf ? SSL_CTX_use_certificate(tls->ctx, certificate) == 1
				  : SSL_CTX_add0_chain_cert(tls->ctx, certificate) == 1;

		if (leaf || !taken)
			X509_free(certificate); /* add0 takes ownership when it succeeds */
		if (!taken) {
			r = explain_openssl(why, pem->name, "this certificate cannot be used");
			break;
		}
		leaf = false;
	}
	BIO_free(bio);
	if (r == 0 && leaf)
		r = explain(why, -EBADMSG, "%s: no certificate in it (PEM)", pem->name);
	return r;
}

static int use_key(minirpc_tls *tls, const struct pem *pem, const struct pem *chain,
		   const struct explanation *why)
{
	BIO *bio = pem_open(pem);
	bool encrypted = false;
	EVP_PKEY *key;
	int r = 0;

	if (bio == NULL)
		return explain(why, -ENOMEM, "%s: %s", pem->name, mrpc_error_text(ENOMEM));
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted);
	BIO_free(bio);
	if (key == NULL) {
		if (mrpc_tls_errors_say_no_memory())
			return explain(why, -ENOMEM, "%s: %s", pem->name, mrpc_error_text(ENOMEM));
		return explain(why, -EBADMSG, "%s: %s", pem->name,
			       encrypted ? "the key is encrypted" : "no private key in it (PEM)");
	}
	if (X509_check_private_key(SSL_CTX_get0_certificate(tls->ctx), key) != 1)
		r = mrpc_tls_errors_say_no_memory()
			    ? explain(why, -ENOMEM, "%s: %s", pem->name, mrpc_error_text(ENOMEM))
			    : explain(why, -EBADMSG,
				      "%s: the key does not belong to the certificate in %s",
				      pem->name, chain->name);
	else if (SSL_CTX_use_PrivateKey(tls->ctx, key) != 1)
		r = explain_openssl(why, pem->name, "this key cannot be used");
	EVP_PKEY_free(key);
	return r;
}

/* ---- Whom we trust ---- */

static int use_ca(minirpc_tls *tls, const struct pem *pem, const struct explanation *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(tls->ctx);
	BIO *bio = pem_open(pem);
	X509 *certificate;
	bool any = false;
	int r;

	if (bio == NULL)
		return explain(why, -ENOMEM, "%s: %s", pem->name, mrpc_error_text(ENOMEM));
	while ((r = next_certificate(bio, &certificate, pem, why)) == 1) {
		/* A server also names its CAs to clients, who may have several certificates. */
		bool taken = X509_STORE_add_cert(store, certificate) == 1 &&
			     SSL_CTX_add_client_CA(tls->ctx, certificate) == 1;

		X509_free(certificate);
		if (!taken) {
			r = explain_openssl(why, pem->name, "a certificate in it cannot be used");
			break;
		}
		any = true;
	}
	BIO_free(bio);
	if (r == 0 && !any)
		r = explain(why, -EBADMSG, "%s: no certificate in it (PEM)", pem->name);
	if (r < 0)
		return r;

	/* What is in the file is trusted, also when it is not a root: an intermediate's, or the
	 * server's very own certificate. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(tls->ctx), X509_V_FLAG_PARTIAL_CHAIN);
	tls->has_trust = tls->asks_for_certificate = true;
	return 0;
}

int mrpc_tls_trust_system(minirpc_tls *tls)
{
	if (tls->has_trust)
		return 0;
	/* A system without a store is no error here: chains just do not verify. */
	if (SSL_CTX_set_default_verify_paths(tls->ctx) != 1 && mrpc_tls_errors_say_no_memory())
		return -ENOMEM;
	ERR_clear_error();
	tls->has_trust = true;
	return 0;
}

/* ---- The whole ---- */

static int make_context(minirpc_tls *tls, const struct explanation *why)
{
	tls->ctx = SSL_CTX_new(TLS_method());
	if (tls->ctx == NULL)
		return explain(why, -ENOMEM, "OpenSSL: %s", mrpc_error_text(ENOMEM));
	tls->own_ctx = true;

	SSL_CTX_set_options(tls->ctx,
			    SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_early_data(tls->ctx, 0); /* 0-RTT can be replayed; calls are not all safe */
	if (SSL_CTX_set_num_tickets(tls->ctx, 0) != 1 ||
	    SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(tls->ctx, TLS12_CIPHERS) != 1)
		return explain_openssl(why, "OpenSSL", "cannot be set up");
	return 0;
}

static bool has_files(const struct minirpc_tls_options *options)
{
	return options->cert_file != NULL || options->key_file != NULL ||
	       options->ca_file != NULL || options->cert_pem != NULL || options->key_pem != NULL ||
	       options->ca_pem != NULL;
}

static int load(minirpc_tls *tls, const struct minirpc_tls_options *options,
		const struct explanation *why)
{
	struct pem cert = { 0 }, key = { 0 }, ca = { 0 };
	int r;

	r = make_context(tls, why);
	if (r == 0)
		r = pem_load(&cert, options->cert_file, options->cert_pem, "cert", why);
	if (r == 0)
		r = pem_load(&key, options->key_file, options->key_pem, "key", why);
	if (r == 0)
		r = pem_load(&ca, options->ca_file, options->ca_pem, "ca", why);
	if (r == 0 && cert.data == NULL && key.data != NULL)
		r = explain(why, -EINVAL, "%s: a key without its certificate", key.name);
	if (r == 0 && cert.data != NULL && key.data == NULL)
		r = explain(why, -EINVAL, "%s: a certificate without its key", cert.name);
	if (r == 0 && cert.data != NULL) {
		r = use_chain(tls, &cert, why);
		if (r == 0)
			r = use_key(tls, &key, &cert, why);
		tls->has_certificate = r == 0;
	}
	if (r == 0 && ca.data != NULL)
		r = use_ca(tls, &ca, why);
	/* Without a certificate of its own it will be a client: read the system's store now and not
	 * in the middle of a connection. A server never needs it. */
	if (r == 0 && cert.data == NULL && ca.data == NULL && !options->insecure_skip_verify)
		r = mrpc_tls_trust_system(tls);

	pem_clear(&cert);
	pem_clear(&key);
	pem_clear(&ca);
	return r;
}

static int set_up(minirpc_tls *tls, const struct minirpc_tls_options *options,
		  const struct explanation *why)
{
	tls->insecure_skip_verify = options->insecure_skip_verify;
	if (options->server_name != NULL) {
		tls->server_name = mrpc_strdup(options->server_name);
		if (tls->server_name == NULL)
			return explain(why, -ENOMEM, "%s", mrpc_error_text(ENOMEM));
	}
	if (options->ctx == NULL)
		return load(tls, options, why);

	if (has_files(options))
		return explain(why, -EINVAL, "an SSL_CTX and files for the same thing");
	if (SSL_CTX_up_ref(options->ctx) != 1)
		return explain(why, -EINVAL, "the SSL_CTX cannot be shared");
	tls->ctx = options->ctx;
	return 0;
}

int minirpc_tls_new_explained(minirpc_tls **ret_tls, const struct minirpc_tls_options *options,
			      char *error, size_t error_size)
{
	const struct explanation why = { .text = error, .size = error_size };
	static const struct minirpc_tls_options defaults;
	struct mrpc_tls_errors errors;
	minirpc_tls *tls;
	int r;

	explain(&why, 0, "%s", "");
	tls = mrpc_zalloc(sizeof *tls);
	if (tls == NULL)
		return explain(&why, -ENOMEM, "%s", mrpc_error_text(ENOMEM));
	tls->references = 1;

	mrpc_tls_errors_begin(&errors);
	r = set_up(tls, options == NULL ? &defaults : options, &why);
	mrpc_tls_errors_end(&errors);
	if (r < 0) {
		minirpc_tls_unref(tls);
		return r;
	}
	*ret_tls = tls;
	return 0;
}

int minirpc_tls_new(minirpc_tls **ret_tls, const struct minirpc_tls_options *options)
{
	return minirpc_tls_new_explained(ret_tls, options, NULL, 0);
}

minirpc_tls *minirpc_tls_ref(minirpc_tls *tls)
{
	tls->references++;
	return tls;
}

minirpc_tls *minirpc_tls_unref(minirpc_tls *tls)
{
	struct mrpc_tls_errors errors;

	if (tls == NULL || --tls->references > 0)
		return NULL;
	mrpc_tls_errors_begin(&errors);
	SSL_CTX_free(tls->ctx);
	BIO_meth_free(tls->bio_method);
	mrpc_tls_errors_end(&errors);
	mrpc_free(tls->server_name);
	mrpc_free(tls);
	return NULL;
}

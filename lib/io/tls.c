/* SPDX-License-Identifier: MIT */
/* TLS session: a byte machine around OpenSSL.
 *
 *	        receive(data)                          send(data)
 *	             |                                      |
 *	    data -> BIO read    +-----------+   SSL_write <-+
 *	                        |    SSL    |
 *	   plain <- SSL_read    +-----------+   BIO write -> cipher
 *
 * One BIO of our own stands for the network. It reads from the bytes of the receive that is going
 * on, and appends what OpenSSL writes straight to the caller's buffer: all records of a turn leave
 * with one send (speed.md 4.6: 27 % of the cost of bulk, and half of the handshake's), and there is
 * never a socket to block on or to get a SIGPIPE from.
 *
 * A session is OPEN only when the peer has been verified and ALPN has agreed on "h2" [N-3]: not a
 * byte of plaintext is handed out before. */
#include "io/tls_own.h"

#include "base/alloc.h"
#include "io/address.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define RECORD_MAX 16384u /* plaintext of one record, RFC 8446, 5.1 */
#define RECORD_EXTRA 64u  /* header, nonce, tag and padding: more than any cipher of ours adds */
#define ERROR_SIZE 320
#define HOST_FLAGS (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

struct mrpc_tls_session {
	minirpc_tls *tls;
	SSL *ssl;
	enum mrpc_tls_state state;
	bool server, no_memory, close_sent;
	const uint8_t *in; /* what OpenSSL may read now */
	size_t in_len;
	struct mrpc_buf *out; /* where it writes to now */
	uint8_t *certificate;
	size_t certificate_len;
	char name[256]; /* that is verified; "" at a server */
	char error[ERROR_SIZE];
};

/* ---- The BIO ---- */

static int bio_read(BIO *bio, char *data, size_t size, size_t *ret_len)
{
	struct mrpc_tls_session *session = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	*ret_len = size < session->in_len ? size : session->in_len;
	if (*ret_len == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(data, session->in, *ret_len);
	session->in += *ret_len;
	session->in_len -= *ret_len;
	return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *ret_len)
{
	struct mrpc_tls_session *session = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	*ret_len = 0;
	if (session->out == NULL || mrpc_buf_append(session->out, data, len) < 0) {
		session->no_memory = true;
		return 0;
	}
	*ret_len = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method(minirpc_tls *tls)
{
	BIO_METHOD *method = tls->bio_method;

	if (method != NULL)
		return method;
	/* BIO_get_new_index has 127 numbers for a whole process; nobody asks for ours. */
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "minirpc");
	if (method == NULL)
		return NULL;
	if (!BIO_meth_set_read_ex(method, bio_read) || !BIO_meth_set_write_ex(method, bio_write) ||
	    !BIO_meth_set_ctrl(method, bio_ctrl)) {
		BIO_meth_free(method);
		return NULL;
	}
	tls->bio_method = method;
	return method;
}

static int attach_bio(struct mrpc_tls_session *session)
{
	BIO_METHOD *method = bio_method(session->tls);
	BIO *bio = method == NULL ? NULL : BIO_new(method);

	if (bio == NULL)
		return -ENOMEM;
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio); /* owns it */
	return 0;
}

/* ---- What we insist on ---- */

static const unsigned char alpn_h2[] = { 2, 'h', '2' };

/* Server: h2 or nothing. RFC 7301, 3.2: no protocol in common is a fatal alert. */
static int select_h2(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		     const unsigned char *in, unsigned in_len, void *user)
{
	(void)ssl, (void)user;
	for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
		if (in[at] == 2 && in_len - at > 2 && memcmp(in + at + 1, "h2", 2) == 0) {
			*out = in + at + 1;
			*out_len = 2;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* Server: a client that does not offer ALPN at all is told in the handshake too. */
static int require_alpn(SSL *ssl, int *alert, void *user)
{
	const unsigned char *data;
	size_t len;

	(void)user;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation,
				      &data, &len))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

/* RFC 9113, 9.2.2 and appendix A: ephemeral keys and AEAD, or not at all. Ours offers nothing else;
 * a caller's context might. */
static bool is_good_cipher(const SSL_CIPHER *cipher)
{
	int exchange = SSL_CIPHER_get_kx_nid(cipher);

	return SSL_CIPHER_is_aead(cipher) &&
	       (exchange == NID_kx_any || exchange == NID_kx_ecdhe || exchange == NID_kx_dhe ||
		exchange == NID_kx_ecdhe_psk || exchange == NID_kx_dhe_psk);
}

static int set_client_name(struct mrpc_tls_session *session, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(session->ssl);
	struct mrpc_address ip;
	size_t len;

	if (session->tls->server_name != NULL)
		name = session->tls->server_name;
	if (name == NULL || name[0] == '\0')
		return session->tls->insecure_skip_verify ? 0 : -EINVAL;

	/* "example.org." and "fe80::1%eth0": neither the dot nor the zone is in a certificate. */
	len = strcspn(name, "%");
	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0 || len >= sizeof session->name)
		return -EINVAL;
	memcpy(session->name, name, len);

	X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
	if (mrpc_address_from_ip(&ip, AF_UNSPEC, session->name, len, 0) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(param, session->name) ? 0 : -ENOMEM;

	/* RFC 6066, 3: SNI is for names, never for addresses. */
	if (!SSL_set1_host(session->ssl, session->name) ||
	    !SSL_set_tlsext_host_name(session->ssl, session->name))
		return mrpc_tls_errors_say_no_memory() ? -ENOMEM : -EINVAL;
	return 0;
}

static int set_client(struct mrpc_tls_session *session, const char *name,
		      const struct mrpc_log *log)
{
	minirpc_tls *tls = session->tls;
	int r;

	SSL_set_connect_state(session->ssl);
	r = set_client_name(session, name);
	if (r < 0)
		return r;
	if (SSL_set_alpn_protos(session->ssl, alpn_h2, sizeof alpn_h2) != 0) /* 0 is success */
		return -ENOMEM;

	if (tls->insecure_skip_verify) {
		SSL_set_verify(session->ssl, SSL_VERIFY_NONE, NULL);
	} else if (tls->own_ctx) {
		r = mrpc_tls_trust_system(tls);
		if (r < 0)
			return r;
		SSL_set_verify(session->ssl, SSL_VERIFY_PEER, NULL);
	}
	if ((SSL_get_verify_mode(session->ssl) & SSL_VERIFY_PEER) == 0)
		mrpc_log(log, MINIRPC_LOG_WARNING,
			 "the TLS certificate of \"%s\" is NOT verified (%s): whoever is in "
			 "between reads and changes everything",
			 session->name,
			 tls->insecure_skip_verify ? "insecure_skip_verify"
						   : "verify mode of the SSL_CTX");
	return 0;
}

static int set_server(struct mrpc_tls_session *session)
{
	minirpc_tls *tls = session->tls;

	if (tls->own_ctx && !tls->has_certificate)
		return -EINVAL;
	if (!tls->selects_alpn) {
		SSL_CTX_set_alpn_select_cb(tls->ctx, select_h2, NULL);
		if (tls->own_ctx)
			SSL_CTX_set_client_hello_cb(tls->ctx, require_alpn, NULL);
		tls->selects_alpn = true;
	}

	SSL_set_accept_state(session->ssl);
	if (tls->asks_for_certificate)
		SSL_set_verify(session->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			       NULL);
	return 0;
}

static int set_up(struct mrpc_tls_session *session, const char *name, const struct mrpc_log *log)
{
	int r;

	session->ssl = SSL_new(session->tls->ctx);
	if (session->ssl == NULL)
		return -ENOMEM;
	r = attach_bio(session);
	if (r < 0)
		return r;

	/* RFC 9113, 9.2: 1.2 or newer, neither compression nor renegotiation. A context that asks
	 * for more keeps it. */
	if (SSL_get_min_proto_version(session->ssl) < TLS1_2_VERSION &&
	    !SSL_set_min_proto_version(session->ssl, TLS1_2_VERSION))
		return -EINVAL;
	SSL_set_options(session->ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_set_mode(session->ssl, SSL_MODE_RELEASE_BUFFERS);

	return session->server ? set_server(session) : set_client(session, name, log);
}

int mrpc_tls_session_new(struct mrpc_tls_session **ret_session, minirpc_tls *tls, bool server,
			 const char *name, const struct mrpc_log *log)
{
	struct mrpc_tls_session *session;
	struct mrpc_tls_errors errors;
	int r;

	session = mrpc_zalloc(sizeof *session);
	if (session == NULL)
		return -ENOMEM;
	session->tls = minirpc_tls_ref(tls);
	session->server = server;

	mrpc_tls_errors_begin(&errors);
	r = set_up(session, name, log);
	mrpc_tls_errors_end(&errors);
	if (r < 0) {
		mrpc_tls_session_free(session);
		return r;
	}
	*ret_session = session;
	return 0;
}

void mrpc_tls_session_free(struct mrpc_tls_session *session)
{
	struct mrpc_tls_errors errors;

	if (session == NULL)
		return;
	mrpc_tls_errors_begin(&errors);
	SSL_free(session->ssl);
	mrpc_tls_errors_end(&errors);
	mrpc_free(session->certificate);
	minirpc_tls_unref(session->tls);
	mrpc_free(session);
}

/* ---- Failing ---- */

static int fail(struct mrpc_tls_session *session, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct mrpc_tls_session *session, int error, const char *format, ...)
{
	va_list args;

	if (session->state == MRPC_TLS_FAILED)
		return error;
	session->state = MRPC_TLS_FAILED;
	va_start(args, format);
	vsnprintf(session->error, sizeof session->error, format, args);
	va_end(args);
	return error;
}

/* The peer's own words are few: the number of an alert. */
static int fail_by_alert(struct mrpc_tls_session *session, int alert)
{
	const char *text = SSL_alert_desc_string_long(alert);

	if (alert == SSL_AD_NO_APPLICATION_PROTOCOL)
		text = "no application protocol (it does not speak h2)";
	else if (alert == SSL_AD_CERTIFICATE_REQUIRED)
		text = "certificate required";
	return fail(session, -EPROTO, "the peer ended TLS: %s (alert %d)", text, alert);
}

static int fail_by_reason(struct mrpc_tls_session *session, unsigned long code)
{
	long verified = SSL_get_verify_result(session->ssl);
	int reason = ERR_GET_REASON(code);
	const char *text;

	if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
		switch (reason) {
		case SSL_R_CERTIFICATE_VERIFY_FAILED:
			return fail(session, -EPROTO, "certificate verify failed: %s (%s%s)",
				    X509_verify_cert_error_string(verified),
				    session->server ? "of the client" : "for ", session->name);
		case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
			return fail(session, -EPROTO, "the client sent no certificate");
		case SSL_R_NO_APPLICATION_PROTOCOL:
		case SSL_R_CALLBACK_FAILED: /* of require_alpn */
			return fail(session, -EPROTO, "the client does not offer h2 by ALPN");
		default:
			break;
		}
		if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255)
			return fail_by_alert(session, reason - SSL_AD_REASON_OFFSET);
	}
	text = ERR_reason_error_string(code);
	return fail(session, -EPROTO, "TLS failed: %s", text == NULL ? "unknown reason" : text);
}

/* The error that says most: libssl's first, else the first of all. Empties the queue. */
static unsigned long main_error(bool *no_memory)
{
	unsigned long code, first = 0, first_ssl = 0;

	*no_memory = false;
	while ((code = ERR_get_error()) != 0) {
		if (first == 0)
			first = code;
		if (first_ssl == 0 && ERR_GET_LIB(code) == ERR_LIB_SSL)
			first_ssl = code;
		if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
			*no_memory = true;
	}
	return first_ssl != 0 ? first_ssl : first;
}

/* After an operation of OpenSSL that did not succeed: 0 when it only wants more bytes. */
static int judge(struct mrpc_tls_session *session, int result)
{
	int kind = SSL_get_error(session->ssl, result);
	bool no_memory;
	unsigned long code;

	if (session->no_memory)
		return fail(session, -ENOMEM, "no memory");
	if (kind == SSL_ERROR_WANT_READ)
		return 0;
	if (kind == SSL_ERROR_ZERO_RETURN) {
		if (session->state == MRPC_TLS_HANDSHAKE)
			return fail(session, -EPROTO, "the peer closed TLS during the handshake");
		session->state = MRPC_TLS_CLOSED;
		return 0;
	}
	code = main_error(&no_memory);
	if (no_memory)
		return fail(session, -ENOMEM, "no memory");
	if (code == 0)
		return fail(session, -EPROTO, "TLS failed");
	return fail_by_reason(session, code);
}

/* ---- Handshake ---- */

static int keep_certificate(struct mrpc_tls_session *session)
{
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	unsigned char *to;
	int len;

	if (certificate == NULL || SSL_get_verify_result(session->ssl) != X509_V_OK ||
	    (SSL_get_verify_mode(session->ssl) & SSL_VERIFY_PEER) == 0)
		return 0;
	len = i2d_X509(certificate, NULL);
	if (len <= 0)
		return fail(session, -ENOMEM, "no memory");
	session->certificate = to = mrpc_alloc((size_t)len);
	if (to == NULL)
		return fail(session, -ENOMEM, "no memory");
	session->certificate_len = (size_t)len;
	return i2d_X509(certificate, &to) == len ? 0 : fail(session, -ENOMEM, "no memory");
}

/* The handshake is over: is it what we want? */
static int judge_handshake(struct mrpc_tls_session *session)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);
	const unsigned char *protocol;
	unsigned len;
	int r;

	SSL_get0_alpn_selected(session->ssl, &protocol, &len);
	if (len != 2 || memcmp(protocol, "h2", 2) != 0)
		return fail(session, -EPROTO,
			    session->server ? "the client does not offer h2 by ALPN"
					    : "the server did not choose h2 by ALPN: it speaks no "
					      "HTTP/2 here");
	if (cipher == NULL || !is_good_cipher(cipher))
		return fail(session, -EPROTO,
			    "cipher %s is not allowed in HTTP/2 (RFC 9113, 9.2.2)",
			    SSL_CIPHER_get_name(cipher));
	r = keep_certificate(session);
	if (r < 0)
		return r;
	session->state = MRPC_TLS_OPEN;
	return 0;
}

static int handshake(struct mrpc_tls_session *session)
{
	int r = SSL_do_handshake(session->ssl);

	return r == 1 ? judge_handshake(session) : judge(session, r);
}

/* ---- Bytes ---- */

/* Decrypts all that is there, a record at a time, straight into plain. */
static int read_plain(struct mrpc_tls_session *session, struct mrpc_buf *plain)
{
	while (session->state == MRPC_TLS_OPEN) {
		size_t got;
		int r;

		if (mrpc_buf_reserve(plain, RECORD_MAX) < 0)
			return fail(session, -ENOMEM, "no memory");
		r = SSL_read_ex(session->ssl, plain->data + plain->end, RECORD_MAX, &got);
		if (r != 1)
			return judge(session, r);
		plain->end += got;
	}
	return 0;
}

int mrpc_tls_session_receive(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			     struct mrpc_buf *plain, struct mrpc_buf *cipher)
{
	struct mrpc_tls_errors errors;
	int r = 0;

	if (session->state == MRPC_TLS_CLOSED)
		return 0; /* RFC 8446, 6.1: what comes after close_notify is ignored */
	if (session->state == MRPC_TLS_FAILED)
		return -EPROTO;

	mrpc_tls_errors_begin(&errors);
	session->in = data;
	session->in_len = len;
	session->out = cipher;
	if (session->state == MRPC_TLS_HANDSHAKE)
		r = handshake(session);
	if (r == 0)
		r = read_plain(session, plain);
	session->in = NULL;
	session->in_len = 0;
	session->out = NULL;
	mrpc_tls_errors_end(&errors);
	return r;
}

/* Room for all records of len bytes at once, so that lack of memory is met before any is made. */
static int reserve_records(struct mrpc_buf *cipher, size_t len)
{
	size_t size;

	if (!mrpc_mul(len / RECORD_MAX + 1, RECORD_EXTRA, &size) || !mrpc_add(size, len, &size))
		return -ENOMEM;
	return mrpc_buf_reserve(cipher, size);
}

static int write_records(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			 struct mrpc_buf *cipher)
{
	size_t written;
	int r;

	if (session->state == MRPC_TLS_HANDSHAKE || session->close_sent)
		return -EPROTO;
	r = reserve_records(cipher, len);
	if (r < 0)
		return r;
	r = SSL_write_ex(session->ssl, data, len, &written);
	if (r == 1)
		return 0;
	r = judge(session, r);
	return r < 0 ? r : fail(session, -EPROTO, "TLS cannot send");
}

int mrpc_tls_session_send(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			  struct mrpc_buf *cipher)
{
	struct mrpc_tls_errors errors;
	int r = 0;

	if (session->state == MRPC_TLS_FAILED)
		return -EPROTO;

	mrpc_tls_errors_begin(&errors);
	session->out = cipher;
	if (len > 0)
		r = write_records(session, data, len, cipher);
	else if (session->state == MRPC_TLS_HANDSHAKE)
		r = handshake(session);
	session->out = NULL;
	mrpc_tls_errors_end(&errors);
	return r;
}

void mrpc_tls_session_close(struct mrpc_tls_session *session, struct mrpc_buf *cipher)
{
	struct mrpc_tls_errors errors;

	if (session->close_sent ||
	    (session->state != MRPC_TLS_OPEN && session->state != MRPC_TLS_CLOSED))
		return;
	mrpc_tls_errors_begin(&errors);
	session->close_sent = true;
	session->out = cipher;
	(void)SSL_shutdown(session->ssl);
	session->out = NULL;
	mrpc_tls_errors_end(&errors);
}

enum mrpc_tls_state mrpc_tls_session_state(const struct mrpc_tls_session *session)
{
	return session->state;
}

const char *mrpc_tls_session_error(const struct mrpc_tls_session *session)
{
	return session->error;
}

const void *mrpc_tls_session_certificate(const struct mrpc_tls_session *session, size_t *ret_len)
{
	if (ret_len != NULL)
		*ret_len = session->certificate_len;
	return session->certificate;
}

bool mrpc_tls_session_is_good_for(const struct mrpc_tls_session *session, const char *host)
{
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	struct mrpc_tls_errors errors;
	struct mrpc_address ip;
	size_t len = strlen(host);
	int good;

	if (len > 0 && host[len - 1] == '.')
		len--;
	/* OpenSSL takes ".example.org" for any name below. */
	if (certificate == NULL || len == 0 || host[0] == '.')
		return false;
	mrpc_tls_errors_begin(&errors);
	if (mrpc_address_from_ip(&ip, AF_UNSPEC, host, len, 0) == 0)
		good = X509_check_ip_asc(certificate, host, 0);
	else
		good = X509_check_host(certificate, host, len, HOST_FLAGS, NULL);
	mrpc_tls_errors_end(&errors);
	return good == 1;
}

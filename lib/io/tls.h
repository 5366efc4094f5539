/* SPDX-License-Identifier: MIT */
/* TLS over memory: ciphertext in, plaintext out, and the other way round. The only user of OpenSSL.
 * See tls.c. */
#ifndef MRPC_IO_TLS_H
#define MRPC_IO_TLS_H

#include "base/buf.h"
#include "base/log.h"

#include <minirpc/tls.h>

struct mrpc_tls_session;

enum mrpc_tls_state {
	MRPC_TLS_HANDSHAKE,
	MRPC_TLS_OPEN,   /* verified, ALPN is h2 */
	MRPC_TLS_CLOSED, /* the peer said close_notify */
	MRPC_TLS_FAILED
};

/* name (client): to verify and for SNI, or an IP address to verify only. Returns 0, -ENOMEM,
 * -EINVAL (a server without a certificate). */
int mrpc_tls_session_new(struct mrpc_tls_session **ret_session, minirpc_tls *tls, bool server,
			 const char *name, const struct mrpc_log *log);
void mrpc_tls_session_free(struct mrpc_tls_session *session);

/* Ciphertext arrived; all is taken. Plaintext is appended to plain, ciphertext to send (handshake,
 * alerts) to cipher. Returns 0, -ENOMEM, or -EPROTO (failed: mrpc_tls_session_error says why; an
 * alert may be in cipher). */
int mrpc_tls_session_receive(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			     struct mrpc_buf *plain, struct mrpc_buf *cipher);

/* Encrypts; with len 0 only moves the handshake along (a client's first bytes). Before the
 * handshake is over data must be empty. Returns 0, -ENOMEM, -EPROTO. */
int mrpc_tls_session_send(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			  struct mrpc_buf *cipher);

/* Appends our close_notify. */
void mrpc_tls_session_close(struct mrpc_tls_session *session, struct mrpc_buf *cipher);

enum mrpc_tls_state mrpc_tls_session_state(const struct mrpc_tls_session *session);
const char *
mrpc_tls_session_error(const struct mrpc_tls_session *session); /* a sentence, "" when none */

/* The peer's certificate in DER, kept by the session; NULL when it sent none, or it was not
 * verified. */
const void *mrpc_tls_session_certificate(const struct mrpc_tls_session *session, size_t *ret_len);

/* Whether the peer's certificate is good for this host as well: a name, or an IP address without brackets
 * [N-4]. False also before there is a certificate, and without memory. */
bool mrpc_tls_session_is_good_for(const struct mrpc_tls_session *session, const char *host);

#endif

/* SPDX-License-Identifier: MIT */
/* TLS for channels and servers: who we are, whom we trust.
 *
 *	minirpc_tls *tls;
 *
 *	r = minirpc_tls_new(&tls, &(struct minirpc_tls_options){
 *		.cert_file = "cert.pem", .key_file = "key.pem" });
 *	r = minirpc_server_new(&server, loop, &(struct minirpc_server_options){ .tls = tls });
 *	minirpc_tls_unref(tls);                 // the server keeps its own reference
 *
 * Verification of chain and name is on, TLS is 1.2 or newer, ALPN "h2" is required at both ends
 * [N-3]. The same object may serve any number of channels and servers, on one thread. */
#ifndef MINIRPC_TLS_H
#define MINIRPC_TLS_H

#include <minirpc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
typedef struct minirpc_tls minirpc_tls;

struct minirpc_tls_options {
	const char *cert_file; /* our certificate chain, PEM; a server needs one */
	const char *key_file;  /* its private key, PEM */
	/* Whom we trust, PEM. Client: NULL means the system's store. Server: asks for, and
	 * requires, a client certificate signed by one of these; NULL: asks for none. */
	const char *ca_file;
	const char *cert_pem; /* the same three from memory, NUL-terminated; instead of the files */
	const char *key_pem;
	const char *ca_pem;
	const char *server_name; /* client: to verify and to send as SNI; NULL: the target's host */
	/* Client: accept any certificate. Whoever is in between reads and changes everything; a
	 * warning is logged for each connection. */
	bool insecure_skip_verify;
	/* A context of your own, instead of all files above; one reference is taken. ALPN, the
	 * minimum version (1.2) and verification by name are still set for each connection, and a
	 * cipher that RFC 9113 bans ends it; whether the chain is verified is the context's own
	 * verify mode. The first server connection replaces the context's ALPN selection
	 * callback; nothing else in it is changed. */
	struct ssl_ctx_st *ctx;
	void *reserved[6]; /* leave 0 */
};

/* Makes a configuration: reads files, checks that key and certificate belong together. *ret_tls
 * has one reference, yours. Returns 0; -ENOENT, -EACCES, -EFBIG (above 4 MiB) or what else
 * reading a file says; -EBADMSG (no PEM, an encrypted key, or key and certificate do not match);
 * -EINVAL (a key without its certificate or the other way round, file and memory for the same
 * thing, an SSL_CTX and files, or what is no regular file); -ENOMEM. error (may be NULL) receives
 * a sentence of at most error_size bytes that names the file and the reason. */
MINIRPC_API int minirpc_tls_new(minirpc_tls **ret_tls, const struct minirpc_tls_options *options);
MINIRPC_API int minirpc_tls_new_explained(minirpc_tls **ret_tls,
					  const struct minirpc_tls_options *options, char *error,
					  size_t error_size);

MINIRPC_API minirpc_tls *minirpc_tls_ref(minirpc_tls *tls);

/* Gives a reference back; the last one frees. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_tls *minirpc_tls_unref(minirpc_tls *tls);

#ifdef __cplusplus
}
#endif

#endif

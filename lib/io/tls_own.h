/* SPDX-License-Identifier: MIT */
/* What the files of TLS share: the configuration, and how OpenSSL's error queue is treated. The
 * only header with OpenSSL in it. */
#ifndef MRPC_IO_TLS_OWN_H
#define MRPC_IO_TLS_OWN_H

#include "io/tls.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

struct minirpc_tls {
	unsigned references;
	SSL_CTX *ctx;
	BIO_METHOD *bio_method; /* of the sessions, see tls.c; here, since it must outlive them */
	char *server_name;      /* NULL: the target's */
	bool own_ctx;           /* made by us, not by the caller */
	bool has_certificate;
	bool has_trust; /* the store is filled: from ca_file, or with the system's certificates */
	bool asks_for_certificate; /* server, ca_file given: clients must show one */
	bool insecure_skip_verify;
	bool selects_alpn; /* the server's callback is set */
};

/* Fills the store with the system's certificates unless it has something. Returns 0 or -ENOMEM. */
int mrpc_tls_trust_system(minirpc_tls *tls);

/* The thread's error queue, put aside while we use it and put back as it was found. OpenSSL needs
 * it empty to say what went wrong (SSL_get_error(3)), and empties it itself in every handshake. */
struct mrpc_tls_errors {
	unsigned count; /* 0, nearly always */
	struct mrpc_tls_error {
		unsigned long code;
		int line;
		char file[64], function[48], data[112];
	} kept[16]; /* as many as OpenSSL keeps */
};

void mrpc_tls_errors_begin(struct mrpc_tls_errors *errors);
void mrpc_tls_errors_end(const struct mrpc_tls_errors *errors);

/* True when memory ran out somewhere below the last call. */
bool mrpc_tls_errors_say_no_memory(void);

#endif

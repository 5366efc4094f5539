/* SPDX-License-Identifier: MIT */
/* A small certification authority, made in memory when a test wants it. */
#ifndef TEST_WORLD_PKI_H
#define TEST_WORLD_PKI_H

#include <stddef.h>

struct pki_identity {
	char *cert_pem, *key_pem; /* ready for struct minirpc_tls_options */
	struct x509_st *cert;
	struct evp_pkey_st *key;
};

/* What a certificate is like; all zero is a decent one for a server called localhost. */
struct pki_leaf {
	const char *cn;      /* NULL: "test" */
	const char *san;     /* as in openssl.cnf, "DNS:a.org,IP:::1"; NULL: DNS:localhost,
				IP:127.0.0.1,IP:::1; "": no such extension */
	const char *eku;     /* NULL: serverAuth; "": no such extension */
	const char *san_raw; /* one DNS name of san_raw_len bytes, NULs included, in place of san */
	size_t san_raw_len;
	long from, until;  /* seconds from now; both 0: yesterday until tomorrow */
	const char *curve; /* NULL: P-256 */
};

/* A self-signed CA of this name. Failures end the test. */
struct pki_identity *pki_ca(const char *cn);

/* A certificate signed by ca, or by itself when ca is NULL. */
struct pki_identity *pki_leaf(const struct pki_identity *ca, const struct pki_leaf *leaf);

void pki_free(struct pki_identity *identity);

#endif

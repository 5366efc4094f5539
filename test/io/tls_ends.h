/* SPDX-License-Identifier: MIT */
/* Two TLS sessions and a wire in between that we hold in our hands. */
#ifndef TEST_IO_TLS_ENDS_H
#define TEST_IO_TLS_ENDS_H

#include "io/tls.h"
#include "world/pki.h"

#include <stdio.h>

struct end {
	struct mrpc_tls_session *session;
	struct mrpc_buf plain, cipher;
	int error; /* of the last receive */
};

struct ends {
	struct end client, server;
};

extern char tls_logged[512]; /* the last line */

minirpc_tls *tls_of(const struct minirpc_tls_options *options);
minirpc_tls *server_tls(const struct pki_identity *leaf, const struct pki_identity *ca);
minirpc_tls *client_tls(const struct pki_identity *ca, const struct pki_identity *leaf);
struct mrpc_tls_session *session_of(minirpc_tls *tls, bool server, const char *name);

/* Two sessions; the client has something to send. */
void begin(struct ends *ends, minirpc_tls *client, minirpc_tls *server, const char *name);
void end_clear(struct end *end);
void ends_clear(struct ends *ends);

/* Carries what one end has to send to the other, in pieces. True when there was any. */
bool carry(struct end *from, struct end *to, size_t piece);
void settle(struct ends *ends, size_t piece);

void assert_open(const struct ends *ends);
void assert_failed(const struct end *end, const char *sentence);

/* Sends bytes one way and looks at them at the other. */
void exchange(struct end *from, struct end *to, size_t len, size_t piece);

#define MISMATCH "certificate verify failed: hostname mismatch (for "

#endif

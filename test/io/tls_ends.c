/* SPDX-License-Identifier: MIT */
#include "io/tls_ends.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

char tls_logged[512];

static void take_line(enum minirpc_log_level level, const char *line, void *user)
{
	(void)user;
	ck_assert_int_eq(level, MINIRPC_LOG_WARNING);
	snprintf(tls_logged, sizeof tls_logged, "%s", line);
}

static const struct mrpc_log log_all = { .fn = take_line, .level = MINIRPC_LOG_DEBUG };

minirpc_tls *tls_of(const struct minirpc_tls_options *options)
{
	minirpc_tls *tls;
	char error[256];
	int r = minirpc_tls_new_explained(&tls, options, error, sizeof error);

	ck_assert_str_eq(error, "");
	ck_assert_int_eq(r, 0);
	return tls;
}

minirpc_tls *server_tls(const struct pki_identity *leaf, const struct pki_identity *ca)
{
	return tls_of(&(struct minirpc_tls_options){ .cert_pem = leaf->cert_pem,
						     .key_pem = leaf->key_pem,
						     .ca_pem = ca == NULL ? NULL : ca->cert_pem });
}

minirpc_tls *client_tls(const struct pki_identity *ca, const struct pki_identity *leaf)
{
	return tls_of(
		&(struct minirpc_tls_options){ .ca_pem = ca->cert_pem,
					       .cert_pem = leaf == NULL ? NULL : leaf->cert_pem,
					       .key_pem = leaf == NULL ? NULL : leaf->key_pem });
}

struct mrpc_tls_session *session_of(minirpc_tls *tls, bool server, const char *name)
{
	struct mrpc_tls_session *session;

	ck_assert_int_eq(mrpc_tls_session_new(&session, tls, server, name, &log_all), 0);
	return session;
}

void end_clear(struct end *end)
{
	mrpc_tls_session_free(end->session);
	mrpc_buf_clear(&end->plain);
	mrpc_buf_clear(&end->cipher);
	*end = (struct end){ 0 };
}

void ends_clear(struct ends *ends)
{
	end_clear(&ends->client);
	end_clear(&ends->server);
}

/* Carries what one end has to send to the other, in pieces. */
bool carry(struct end *from, struct end *to, size_t piece)
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

void settle(struct ends *ends, size_t piece)
{
	bool any;

	do {
		any = carry(&ends->client, &ends->server, piece);
		any = carry(&ends->server, &ends->client, piece) || any;
	} while (any);
}

void begin(struct ends *ends, minirpc_tls *client, minirpc_tls *server, const char *name)
{
	*ends = (struct ends){ 0 };
	ends->client.session = session_of(client, false, name);
	ends->server.session = session_of(server, true, NULL);
	ck_assert_int_eq(mrpc_tls_session_send(ends->client.session, NULL, 0, &ends->client.cipher),
			 0);
	ck_assert_uint_gt(mrpc_buf_len(&ends->client.cipher), 0);
}

void assert_open(const struct ends *ends)
{
	ck_assert_str_eq(mrpc_tls_session_error(ends->client.session), "");
	ck_assert_str_eq(mrpc_tls_session_error(ends->server.session), "");
	ck_assert_int_eq(mrpc_tls_session_state(ends->client.session), MRPC_TLS_OPEN);
	ck_assert_int_eq(mrpc_tls_session_state(ends->server.session), MRPC_TLS_OPEN);
}

void assert_failed(const struct end *end, const char *sentence)
{
	ck_assert_str_eq(mrpc_tls_session_error(end->session), sentence);
	ck_assert_int_eq(mrpc_tls_session_state(end->session), MRPC_TLS_FAILED);
	ck_assert_uint_eq(mrpc_buf_len(&end->plain), 0);
}

/* Sends bytes one way and looks at them at the other. */
void exchange(struct end *from, struct end *to, size_t len, size_t piece)
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

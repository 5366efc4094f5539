/* SPDX-License-Identifier: MIT */
#include "io/fake_tls.h"

#include "base/alloc.h"

#include <errno.h>

unsigned fake_tls_alive;

struct mrpc_tls_session {
	enum mrpc_tls_state state;
	bool said_hello, in_record;
};

struct mrpc_tls_session *fake_tls_new(void)
{
	struct mrpc_tls_session *session = mrpc_zalloc(sizeof *session);

	fake_tls_alive += session != NULL;
	return session;
}

void mrpc_tls_session_free(struct mrpc_tls_session *session)
{
	fake_tls_alive -= session != NULL;
	mrpc_free(session);
}

static int hello(struct mrpc_tls_session *session, struct mrpc_buf *cipher)
{
	if (session->said_hello)
		return 0;
	session->said_hello = true;
	return mrpc_buf_append(cipher, "H", 1);
}

static int take(struct mrpc_tls_session *session, uint8_t byte, struct mrpc_buf *plain,
		struct mrpc_buf *cipher)
{
	if (session->in_record) {
		session->in_record = false;
		return mrpc_buf_append(plain, &byte, 1);
	}
	if (session->state == MRPC_TLS_HANDSHAKE && byte == 'H') {
		session->state = MRPC_TLS_OPEN;
		return hello(session, cipher);
	}
	if (session->state == MRPC_TLS_OPEN && byte == '.') {
		session->in_record = true;
		return 0;
	}
	if (session->state == MRPC_TLS_OPEN && byte == 'C') {
		session->state = MRPC_TLS_CLOSED;
		return 0;
	}
	session->state = MRPC_TLS_FAILED;
	return mrpc_buf_append(cipher, "A", 1) < 0 ? -ENOMEM : -EPROTO;
}

int mrpc_tls_session_receive(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			     struct mrpc_buf *plain, struct mrpc_buf *cipher)
{
	int r = 0;

	for (size_t i = 0; i < len && r == 0; i++)
		r = take(session, data[i], plain, cipher);
	return r;
}

int mrpc_tls_session_send(struct mrpc_tls_session *session, const uint8_t *data, size_t len,
			  struct mrpc_buf *cipher)
{
	int r = hello(session, cipher);

	for (size_t i = 0; i < len && r == 0; i++)
		r = mrpc_buf_append(cipher, (const uint8_t[]){ '.', data[i] }, 2);
	return r;
}

void mrpc_tls_session_close(struct mrpc_tls_session *session, struct mrpc_buf *cipher)
{
	(void)session;
	(void)mrpc_buf_append(cipher, "C", 1);
}

enum mrpc_tls_state mrpc_tls_session_state(const struct mrpc_tls_session *session)
{
	return session->state;
}

const char *mrpc_tls_session_error(const struct mrpc_tls_session *session)
{
	return session->state == MRPC_TLS_FAILED ? "the fake is offended" : "";
}

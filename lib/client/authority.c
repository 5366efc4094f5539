/* SPDX-License-Identifier: MIT */
/* Authority: the :authority that a single call asks for, in place of the channel's.
 *
 * The channel's own has been checked by the TLS handshake, or is what its user says by .authority of the
 * channel. One call's must be good by itself, or a name taken from a request could make us speak to a server in
 * the name of another [N-4, A81]. It is checked against each connection the call is put on: two servers of one
 * channel may have two certificates. */
#include "client/authority.h"

#include "base/cold.h"

#include <stdio.h>
#include <string.h>

#define HOST_MAX MRPC_HOST_MAX

/* RFC 3986, 3.2.2, without userinfo and without percent-encoding, which no certificate knows. */
static bool is_host_char(char c, bool bracketed)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c != '\0' && strchr(bracketed ? ".:" : "-._~", c) != NULL;
}

/* Finds the host in it. Returns its length, 0: malformed. */
static size_t host_of(const char *authority, const char **ret_host)
{
	bool bracketed = authority[0] == '[';
	const char *host = authority + bracketed, *at = host;
	size_t len;

	while (is_host_char(*at, bracketed))
		at++;
	len = (size_t)(at - host);
	if (len > HOST_MAX || (bracketed && *at++ != ']'))
		return 0;
	if (*at == ':') { /* a port */
		size_t digits = strspn(at + 1, "0123456789");

		if (digits == 0 || digits > 5)
			return 0;
		at += 1 + digits;
	}
	*ret_host = host;
	return *at == '\0' ? len : 0;
}

bool mrpc_authority_is_valid(const char *authority)
{
	const char *host;

	return host_of(authority, &host) > 0;
}

bool mrpc_connection_is_good_for(struct mrpc_connection *connection, const char *authority)
{
	const struct mrpc_tls_session *tls =
		connection->link == NULL ? NULL : mrpc_link_tls(connection->link);
	char host[HOST_MAX + 1];
	const char *from;
	size_t len;

	if (tls == NULL) /* clear text, or the host's business */
		return true;
	len = host_of(authority, &from);
	if (len == 0)
		return false;
	memcpy(host, from, len);
	host[len] = '\0';
	if (strcmp(host, connection->good_for) == 0)
		return true;
	if (!mrpc_tls_session_is_good_for(tls, host))
		return false;
	memcpy(connection->good_for, host, len + 1); /* the next call will ask the same */
	return true;
}

/* Few calls have an authority of their own; the others shall not clear the text on their way. */
MRPC_COLD static bool forbids(struct mrpc_connection *connection, minirpc_call *call)
{
	char text[HOST_MAX + 96];

	if (mrpc_connection_is_good_for(connection, call->authority))
		return false;
	snprintf(text, sizeof text, "the server's certificate is not good for authority %s",
		 call->authority);
	mrpc_call_kill(call, MINIRPC_UNAVAILABLE, text);
	return true;
}

bool mrpc_authority_forbids(struct mrpc_connection *connection, minirpc_call *call)
{
	return call->own_authority && forbids(connection, call);
}

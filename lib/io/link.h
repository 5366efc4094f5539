/* SPDX-License-Identifier: MIT */
/* Link: drives a machine (a connection) over a socket, with or without TLS in between. See link.c.
 *
 * One read a wake-up, one write a turn. */
#ifndef MRPC_IO_LINK_H
#define MRPC_IO_LINK_H

#include "base/machine.h"
#include "io/loop.h"
#include "io/tls.h"

struct mrpc_link;

struct mrpc_link_options {
	struct mrpc_machine *machine;
	struct mrpc_tls_session *tls; /* NULL: clear text; the link owns it from then on, also when
					 mrpc_link_new fails */
	minirpc_time user_timeout;    /* TCP_USER_TIMEOUT: what was sent may stay unacknowledged for
					 so long [A18]; 0: the system's */
	/* TLS is open and the peer verified (without TLS: never called). */
	void (*on_secured)(struct mrpc_link *link, void *user);
	/* The link is over: error is 0 for an orderly end or -errno, reason a sentence ("" when
	 * there is none). The machine was told (broke) before. The owner frees the link, now or
	 * later. Once, never from inside mrpc_link_new. */
	void (*on_closed)(struct mrpc_link *link, int error, const char *reason, void *user);
	void *user;
};

/* Takes the connected, non-blocking socket over, and closes it in the end; also when this fails.
 * Returns 0 or -errno. */
int mrpc_link_new(struct mrpc_link **ret_link, minirpc_loop *loop, int fd,
		  const struct mrpc_link_options *options);

/* Closes the socket at once. No on_closed follows. NULL is fine, also from inside on_secured and
 * on_closed. The machine must still be there unless it was told `broke`; its flush task is unset. */
void mrpc_link_free(struct mrpc_link *link);

struct mrpc_tls_session *mrpc_link_tls(struct mrpc_link *link);

#endif

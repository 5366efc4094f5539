/* SPDX-License-Identifier: MIT */
/* Listen: sockets that accept. One listener has a socket for each address that its name resolves
 * to, all on one port. */
#ifndef MRPC_IO_LISTEN_H
#define MRPC_IO_LISTEN_H

#include "io/resolve.h"

#include <minirpc/server.h>

struct mrpc_listener;

struct mrpc_listener_events {
	/* A connection: fd is non-blocking, close-on-exec, with TCP_NODELAY; the callee owns it. */
	void (*on_accept)(void *user, int fd, const struct mrpc_address *peer);
	void (*on_pause)(void *user); /* accepting pauses; may be NULL */
};

/* Errors as minirpc_server_listen; options may be NULL. So many accepts a turn; on EMFILE and
 * ENFILE one waiting peer is closed through a reserve descriptor and accepting pauses. A
 * stale unix socket file is replaced (only a socket, only when nobody listens on it), and removed
 * when the listener is freed. */
int mrpc_listener_new(struct mrpc_listener **ret_listener, minirpc_loop *loop, const char *address,
		      const struct minirpc_listen_options *options,
		      const struct mrpc_listener_events *events, void *user);
int mrpc_listener_adopt(struct mrpc_listener **ret_listener, minirpc_loop *loop, int fd,
			const struct mrpc_listener_events *events, void *user);
void mrpc_listener_free(
	struct mrpc_listener *listener); /* NULL is fine; also from inside on_accept */

#endif

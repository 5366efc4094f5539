/* SPDX-License-Identifier: MIT */
/* Listening sockets from an address text. Only listen.c uses it. */
#ifndef MRPC_IO_LISTEN_BIND_H
#define MRPC_IO_LISTEN_BIND_H

#include "io/address.h"

#include <minirpc/server.h>

#include <sys/types.h>

#define MRPC_BIND_MAX 32u /* sockets of one listener: addresses of one name */

struct mrpc_bound {
	int fds[MRPC_BIND_MAX];
	size_t count;
	uint16_t port;          /* 0 for unix */
	struct mrpc_address un; /* the file to remove in the end; len 0: none */
	dev_t device;           /* the file that we made, in case it is replaced */
	ino_t inode;
};

/* Opens non-blocking sockets that listen. Returns 0 or -errno; then nothing is left open, and *why
 * (static text, or NULL for what strerror says) explains. */
int mrpc_bind(struct mrpc_bound *bound, const char *address,
	      const struct minirpc_listen_options *options, const char **why);

/* Removes the file of a unix socket, if it is still ours. The descriptors are the caller's. */
void mrpc_bound_unlink(struct mrpc_bound *bound);

#endif

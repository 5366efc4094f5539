/* SPDX-License-Identifier: MIT */
/* Resolve by c-ares: one look-up on a loop. Only resolve.c uses it. */
#ifndef MRPC_IO_RESOLVE_ARES_H
#define MRPC_IO_RESOLVE_ARES_H

#include "io/resolve.h"

struct mrpc_ares;

struct mrpc_ares_options {
	const char *servers; /* "127.0.0.1:5353"; NULL: the system's */
	bool only_files;     /* /etc/hosts, never a packet */
};

/* Asks for the addresses of host, a valid name. on_found is called once, also from inside this
 * function, in no order but c-ares's own (RFC 6724); error 0 or -errno with its sentence; ttl: the
 * least of the records', MINIRPC_NEVER without one. It must
 * not free the look-up. Returns 0, or -ENOMEM, -EMFILE, -EIO: c-ares could not begin, and on_found
 * is not called. */
int mrpc_ares_new(struct mrpc_ares **ret_ares, minirpc_loop *loop, const char *host,
		  const struct mrpc_ares_options *options,
		  void (*on_found)(void *user, const struct mrpc_address *addresses, size_t count,
				   minirpc_time ttl, int error, const char *reason),
		  void *user);

/* Asks for a TXT record of name that begins with prefix. on_text is called once, under the same rules: text is what
 * follows the prefix, its strings joined, not ended by a NUL; NULL with error -ENOENT when there is no such record. */
int mrpc_ares_txt_new(struct mrpc_ares **ret_ares, minirpc_loop *loop, const char *name,
		      const char *prefix, const struct mrpc_ares_options *options,
		      void (*on_text)(void *user, const char *text, size_t len, int error),
		      void *user);
void mrpc_ares_free(struct mrpc_ares *ares); /* NULL is fine; on_found is not called any more */

#endif

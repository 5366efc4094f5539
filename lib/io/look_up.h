/* SPDX-License-Identifier: MIT */
/* Look-up: one name asked for, and the answer on a loop. There are two of it, and the build takes one: resolve_ares.c,
 * on the loop; and without c-ares resolve_gai.c, getaddrinfo on helper threads. Only resolve.c uses it. */
#ifndef MRPC_IO_LOOK_UP_H
#define MRPC_IO_LOOK_UP_H

#include "io/resolve.h"

struct mrpc_look_up;

struct mrpc_look_up_options {
	const char *servers; /* "127.0.0.1:5353"; NULL: the system's */
	bool only_files;     /* /etc/hosts, never a packet */
};

/* Asks for the addresses of host, a valid name. on_found is called once, also from inside this
 * function, in no order but RFC 6724's; error 0 or -errno with its sentence; ttl: the
 * least of the records', MINIRPC_NEVER without one. It must
 * not free the look-up. Returns 0, or -ENOMEM, -EMFILE, -EIO, -ENOTSUP (what the options say cannot be
 * done this way): it could not begin, and on_found is not called. */
int mrpc_look_up_new(struct mrpc_look_up **ret_ares, minirpc_loop *loop, const char *host,
		     const struct mrpc_look_up_options *options,
		     void (*on_found)(void *user, const struct mrpc_address *addresses,
				      size_t count, minirpc_time ttl, int error,
				      const char *reason),
		     void *user);

/* Asks for a TXT record of name that begins with prefix. on_text is called once, under the same rules: text is what
 * follows the prefix, its strings joined, not ended by a NUL; NULL with error -ENOENT when there is no such record. Also -ENOTSUP. */
int mrpc_look_up_txt_new(struct mrpc_look_up **ret_ares, minirpc_loop *loop, const char *name,
			 const char *prefix, const struct mrpc_look_up_options *options,
			 void (*on_text)(void *user, const char *text, size_t len, int error),
			 void *user);
void mrpc_look_up_free(
	struct mrpc_look_up *ares); /* NULL is fine; on_found is not called any more */

/* The loop is about to be freed, all its look-ups are. */
void mrpc_look_ups_close(minirpc_loop *loop);

#endif

/* SPDX-License-Identifier: MIT */
/* Dial: one connected socket out of a list of addresses, tried in turn, 250 ms apart (happy
 * eyeballs, B-4). */
#ifndef MRPC_IO_DIAL_H
#define MRPC_IO_DIAL_H

#include "io/resolve.h"

struct mrpc_dial;

/* on_done is called once, in a turn, unless the dial is freed before: fd is a connected,
 * non-blocking, close-on-exec socket (TCP_NODELAY set) that is the caller's, with the address it
 * goes to; or -1 with the error of the last address (-ETIMEDOUT after the deadline) and a sentence
 * for each ("ipv4:127.0.0.1:1: Connection refused; ipv6:[::1]:1: Network is unreachable"). deadline:
 * on the loop's clock. addresses are copied; address and reason are valid during on_done, also when
 * it frees the dial. The owner frees the dial, then or later. Returns 0, -ENOMEM. */
int mrpc_dial(struct mrpc_dial **ret_dial, minirpc_loop *loop, const struct mrpc_address *addresses,
	      size_t count, minirpc_time deadline,
	      void (*on_done)(void *user, int fd, const struct mrpc_address *address, int error,
			      const char *reason),
	      void *user);
void mrpc_dial_free(struct mrpc_dial *dial); /* NULL is fine; also from inside on_done */

#endif

/* SPDX-License-Identifier: MIT */
/* cachectl load: many stores at once over one connection. */
#ifndef CACHE_LOAD_H
#define CACHE_LOAD_H

#include <minirpc/minirpc.h>

#include <stdio.h>

/* Stores a KEY => VALUE line each, as `cachectl dump` writes them, with up to 64 calls in flight.
 * Stops at the first failure. Returns 0 and how it ended in *ret_status (clear it), or -errno when
 * lines cannot be read or calls not made (-EBADMSG: a line without " => "). *ret_count: lines
 * stored. */
int load_lines(minirpc_channel *channel, FILE *in, const char *account_token,
	       const struct minirpc_call_options *options, size_t *ret_count,
	       struct minirpc_status *ret_status);

#endif

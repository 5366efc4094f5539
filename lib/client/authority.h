/* SPDX-License-Identifier: MIT */
/* Authority: the :authority that a single call asks for. See authority.c. */
#ifndef MRPC_CLIENT_AUTHORITY_H
#define MRPC_CLIENT_AUTHORITY_H

#include "client/subchannel.h"

/* "host", "host:port", "[v6]:port"; at most 253 characters of host. */
bool mrpc_authority_is_valid(const char *authority);

/* Whether the connection's server may be asked in this name: over TLS its certificate says so [N-4]. */
bool mrpc_connection_is_good_for(struct mrpc_connection *connection, const char *authority);

/* If not, the call ends UNAVAILABLE, and nothing of it is sent. True: that has happened. For whoever puts calls
 * on connections, right before he does. */
bool mrpc_authority_forbids(struct mrpc_connection *connection, minirpc_call *call);

#endif

/* SPDX-License-Identifier: MIT */
/* Resolve: from a target or a listening address to socket addresses. Names by c-ares on the loop,
 * never on a thread. */
#ifndef MRPC_IO_RESOLVE_H
#define MRPC_IO_RESOLVE_H

#include "io/loop.h"

#include <sys/socket.h>
#include <sys/un.h>

struct mrpc_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage; /* large enough for in, in6 and un */
		struct sockaddr_un un;
	};
	socklen_t len;
};

#define MRPC_ADDRESS_TEXT 128

/* "ipv4:127.0.0.1:80", "ipv6:[::1]:80", "unix:/path". Cut when longer than MRPC_ADDRESS_TEXT - 1.
 */
void mrpc_address_format(const struct mrpc_address *address, char text[MRPC_ADDRESS_TEXT]);

/* A target taken apart [L-1]. */
enum mrpc_target_kind {
	MRPC_TARGET_DNS,       /* host and port still to be resolved */
	MRPC_TARGET_ADDRESSES, /* ipv4:, ipv6:, unix: - the addresses are here */
	MRPC_TARGET_ATTACHED
};

struct mrpc_target {
	enum mrpc_target_kind kind;
	char *host; /* DNS: the name, without brackets */
	uint16_t port;
	char *authority;                /* the default :authority: "localhost" for unix */
	char *verify_name;              /* what a certificate must be for: host or IP */
	struct mrpc_address *addresses; /* ADDRESSES */
	size_t address_count;
};

/* Returns 0, -EINVAL, -ENOMEM. */
int mrpc_target_parse(struct mrpc_target *target, const char *text);
void mrpc_target_clear(struct mrpc_target *target);

/* Looks a name up, IPv6 and IPv4 interleaved as RFC 8305 wants. on_done is called once, in a turn
 * of the loop, unless the resolution is freed before; addresses are valid during the call. error 0
 * or -errno, reason a sentence. IP literals and names in /etc/hosts answer without a packet, also
 * in a turn. */
struct mrpc_resolution;

int mrpc_resolve(struct mrpc_resolution **ret_resolution, minirpc_loop *loop, const char *host,
		 uint16_t port,
		 void (*on_done)(void *user, const struct mrpc_address *addresses, size_t count,
				 int error, const char *reason),
		 void *user);
void mrpc_resolution_free(
	struct mrpc_resolution *resolution); /* NULL is fine; also from inside on_done */

#endif

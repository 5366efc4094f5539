/* SPDX-License-Identifier: MIT */
/* Address: a socket address of any family we speak, and the texts that mean one without a look-up.
 */
#ifndef MRPC_IO_ADDRESS_H
#define MRPC_IO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#if __has_include(<linux/vm_sockets.h>)
#include <linux/vm_sockets.h> /* after sys/socket.h */
#define MRPC_HAS_VSOCK 1
#else
#define MRPC_HAS_VSOCK 0
#endif

struct mrpc_address {
	union {
		struct sockaddr any;
		struct sockaddr_storage storage; /* large enough for all of them */
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
#if MRPC_HAS_VSOCK
		struct sockaddr_vm vm;
#endif
	};
	socklen_t len;
};

#define MRPC_ADDRESS_TEXT 128

/* "ipv4:127.0.0.1:80", "ipv6:[::1]:80", "vsock:2:80", "unix:/path", "unix-abstract:name", "unix:" for a
 * peer without a name. Cut when longer than MRPC_ADDRESS_TEXT - 1; bytes that do not print become '?'.
 */
void mrpc_address_format(const struct mrpc_address *address, char text[MRPC_ADDRESS_TEXT]);

/* The same for machines: mrpc_address_parse reads every byte of it back. */
void mrpc_address_write(const struct mrpc_address *address, char text[MRPC_ADDRESS_TEXT]);

/* From what resolvers write: "127.0.0.1:5051", "[::1]:5051" (443 when there is no port), "unix:/path",
 * "unix-abstract:name", "vsock:cid:port", and what mrpc_address_format writes. Returns 0, or -EINVAL:
 * it is none of them, a name for example, or has port 0. */
int mrpc_address_parse(struct mrpc_address *ret, const char *text);

#define MRPC_DEFAULT_PORT 443u /* [L-1] */

/* From an IP literal without brackets, "127.0.0.1", "::1", "fe80::1%eth0". Family AF_UNSPEC takes
 * either. Returns 0, or -EINVAL when it is none. */
int mrpc_address_from_ip(struct mrpc_address *ret, int family, const char *ip, size_t len,
			 uint16_t port);

/* From the path of a unix socket, len bytes. Abstract names (Linux) have no file. Returns 0, or
 * -EINVAL: empty, too long for a sockaddr_un, or a NUL in it. */
int mrpc_address_from_unix(struct mrpc_address *ret, const char *path, size_t len, bool abstract);

/* From "cid:port", two numbers of 32 bits. Returns 0; -EINVAL when it is no such thing, or when the system
 * that this was built on has no vsock. */
int mrpc_address_from_vsock(struct mrpc_address *ret, const char *text, size_t len);

/* "[::]:80" and the like: IPv4 in the clothes of IPv6 (::ffff:1.2.3.4) becomes plain IPv4. */
void mrpc_address_unmap(struct mrpc_address *address);

bool mrpc_address_equals(const struct mrpc_address *a, const struct mrpc_address *b);

uint16_t mrpc_address_port(const struct mrpc_address *address); /* 0 for unix and vsock */
void mrpc_address_set_port(struct mrpc_address *address, uint16_t port);

/* "host:port", "host", "[v6]:port", "[v6]", or a bare v6 literal, taken apart without a copy. */
struct mrpc_host_port {
	const char *host; /* without brackets; may be empty */
	size_t host_len;
	bool bracketed; /* or a bare v6: host is an IPv6 literal, if anything */
	bool has_port;
	uint16_t port;
};

/* Returns 0, or -EINVAL: unbalanced brackets, a port that is no number up to 65535. */
int mrpc_host_port_split(struct mrpc_host_port *ret, const char *text, size_t len);

#endif

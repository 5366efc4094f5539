/* SPDX-License-Identifier: MIT */
/* Proxy: HTTP CONNECT [L-9]. Which proxy, which targets are reached without it, and a dial that goes through it:
 * a socket to the proxy, turned into one to the server before TLS and HTTP/2 see it. */
#ifndef MRPC_IO_PROXY_H
#define MRPC_IO_PROXY_H

#include "io/resolve.h"

struct mrpc_proxy {
	char *host; /* NULL: there is none */
	uint16_t port;
	char *authorization; /* "Basic ..."; NULL: none is sent */
	char *no_proxy;      /* NULL: everything goes through the proxy */
	char *dns_servers;   /* to ask for the proxy's own name; NULL: the system's */

	/* The proxy's own addresses, which all dials share; proxy_dial.c. */
	minirpc_time min_interval; /* between two look-ups, for the owner to set */
	minirpc_time asked, good_until;
	struct mrpc_address *addresses;
	size_t address_count; /* 0: none yet */
};

/* proxy: "host:port", "http://user:password@host:port" (percent escapes in user and password; port 80 when
 * missing). no_proxy, dns_servers: may be NULL; dns_servers has been checked. proxy NULL: none. Returns 0, -EINVAL,
 * -ENOMEM. */
int mrpc_proxy_init(struct mrpc_proxy *proxy, const char *text, const char *no_proxy,
		    const char *dns_servers);
void mrpc_proxy_clear(struct mrpc_proxy *proxy); /* harmless on a zeroed one */

/* Whether a server is reached through the proxy. host: a name or an IP address without brackets. no_proxy is a
 * list with commas:
 *
 *	*                everything
 *	a.org            that name and all below it
 *	.a.org           all below it
 *	10.1.2.3  ::1    that address; 10.0.0.0/8, fd00::/8: those
 *	a.org:8080       each of them with a port: for that port ([::1]:8080)
 */
bool mrpc_proxy_is_for(const struct mrpc_proxy *proxy, const char *host, uint16_t port);
/* False for unix and vsock too. */
bool mrpc_proxy_is_for_address(const struct mrpc_proxy *proxy, const struct mrpc_address *address);

/* Resolves the proxy's name, connects to it and asks for the server: host (a name that the proxy resolves), or when
 * that is NULL for the addresses (copied), one after the other. on_done as mrpc_dial's, but address is the
 * proxy's. proxy must live as long. Returns 0, -ENOMEM.
 *
 * The proxy's name is not asked for by each dial, but again after its records' TTL, or when a dial has failed, and not
 * within min_interval [L-2]. */
struct mrpc_proxy_dial;

int mrpc_proxy_dial(struct mrpc_proxy_dial **ret_dial, minirpc_loop *loop, struct mrpc_proxy *proxy,
		    const char *host, uint16_t port, const struct mrpc_address *addresses,
		    size_t count, minirpc_time deadline,
		    void (*on_done)(void *user, int fd, const struct mrpc_address *address,
				    int error, const char *reason),
		    void *user);
/* In on_done: which of the addresses it went to last. */
size_t mrpc_proxy_dial_at(const struct mrpc_proxy_dial *dial);
void mrpc_proxy_dial_free(
	struct mrpc_proxy_dial *dial); /* NULL is fine; also from inside on_done */

#endif

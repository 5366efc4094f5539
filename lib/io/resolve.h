/* SPDX-License-Identifier: MIT */
/* Resolve: from a target or a listening address to socket addresses. Names by c-ares on the loop; on helper
 * threads in a library that was built without it. */
#ifndef MRPC_IO_RESOLVE_H
#define MRPC_IO_RESOLVE_H

#include "io/address.h"
#include "io/loop.h"

/* A target taken apart [L-1]. */
enum mrpc_target_kind {
	MRPC_TARGET_DNS,       /* host and port still to be resolved */
	MRPC_TARGET_ADDRESSES, /* ipv4:, ipv6:, unix:, vsock: - the addresses are here */
	MRPC_TARGET_LIST,      /* list: - the program says which */
	MRPC_TARGET_OWN,       /* a resolver of the user's knows; never from mrpc_target_parse */
	MRPC_TARGET_ATTACHED
};

struct mrpc_target {
	enum mrpc_target_kind kind;
	char *host; /* DNS: the name, without brackets */
	uint16_t port;
	char *server;      /* DNS: who is to be asked, "10.0.0.1:53"; NULL: the system's */
	char *authority;   /* the default :authority [L-1]: the path part, percent-encoded;
			      "localhost" for unix */
	char *verify_name; /* what a certificate must be for: host or IP (of a list: the first) */
	struct mrpc_address *addresses; /* ADDRESSES */
	size_t address_count;
};

/* Percent escapes in the path part are decoded. Names are letters, digits, '-', '_' and '.': write
 * international ones in their xn-- form. An authority is for dns alone ("dns://10.0.0.1/host"), and an
 * IP address. Returns 0, -EINVAL, -ENOMEM. */
int mrpc_target_parse(struct mrpc_target *target, const char *text);
/* The same for a scheme that the user's resolver knows; path is what follows its colon. Our :authority
 * is that without a leading "/", or "//anything/". Returns 0, -EINVAL (nothing is left), -ENOMEM. */
int mrpc_target_own(struct mrpc_target *target, const char *path);
void mrpc_target_clear(struct mrpc_target *target);

/* Looks a name up, IPv6 and IPv4 interleaved as RFC 8305 wants. on_done is called once, in a turn
 * of the loop, unless the resolution is freed before; addresses are valid during the call. error 0
 * or -errno, reason a sentence. IP literals, localhost and names in /etc/hosts answer without a
 * packet, also in a turn. The owner frees the resolution, then or later, and has a timer for it: nothing here ends
 * in time, and a thread does not keep the host's ev_run going. Returns 0, -ENOMEM, or what kept the resolver from
 * beginning. */
struct mrpc_resolution;

/* False in a library that was built without c-ares: servers other than NULL and TXT are -ENOTSUP then, and no
 * answer has a TTL. */
bool mrpc_resolve_asks_servers(void);

int mrpc_resolve(struct mrpc_resolution **ret_resolution, minirpc_loop *loop, const char *host,
		 uint16_t port,
		 void (*on_done)(void *user, const struct mrpc_address *addresses, size_t count,
				 int error, const char *reason),
		 void *user);

/* The same, with the DNS servers to ask ("127.0.0.1:5353,[::1]:5353"; NULL: the system's). */
int mrpc_resolve_by(struct mrpc_resolution **ret_resolution, minirpc_loop *loop,
		    const char *servers, const char *host, uint16_t port,
		    void (*on_done)(void *user, const struct mrpc_address *addresses, size_t count,
				    int error, const char *reason),
		    void *user);

/* Looks up a TXT record of name that begins with prefix (which lives as long). text: what follows it, ended by a
 * NUL (also when there are some inside), valid during the call; NULL with error -ENOENT when there is no
 * such record, or another -errno. Everything else as above. */
int mrpc_resolve_txt(struct mrpc_resolution **ret_resolution, minirpc_loop *loop,
		     const char *servers, const char *name, const char *prefix,
		     void (*on_text)(void *user, const char *text, int error), void *user);

/* The answer is a matter of the network: a packet went out, and nothing is known yet. */
bool mrpc_resolution_is_asking(const struct mrpc_resolution *resolution);

/* For how long the answer is good, the least of its records' TTLs; MINIRPC_NEVER when it came without (a
 * literal, a file). To be asked in on_done, before the resolution is freed. */
minirpc_time mrpc_resolution_ttl(const struct mrpc_resolution *resolution);

void mrpc_resolution_free(
	struct mrpc_resolution *resolution); /* NULL is fine; also from inside on_done */

#endif

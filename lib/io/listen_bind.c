/* SPDX-License-Identifier: MIT */
/* Listening sockets from an address text.
 *
 *	"host:port"      every address of the name, all on one port
 *	":port" "*:port" any address: 0.0.0.0, and :: for IPv6 only
 *	"[::]:port"      one socket for both, unless only_ipv6
 *	"unix:/path"     a file; a stale one, that nobody listens on, is replaced
 *
 * With port 0 the first socket gets a port from the kernel and the others must have the same; when
 * one is taken, all begin anew. Looking a name up blocks here: a server does it while it starts. */
#include "io/listen_bind.h"

#include "io/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 1024
#define PORT_TRIES 32 /* with port 0: how often to look for one that is free on all addresses */

static const struct minirpc_listen_options defaults;

static void close_all(struct mrpc_bound *bound)
{
	while (bound->count > 0)
		close(bound->fds[--bound->count]);
}

static int set(int fd, int level, int name, bool on)
{
	int value = on;

	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

/* One socket, bound and listening. Returns it, or -errno. */
static int open_socket(const struct mrpc_address *address,
		       const struct minirpc_listen_options *options, bool only_ipv6)
{
	int family = address->any.sa_family, r = 0;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (family != AF_UNIX) /* a restarted server need not wait for TIME_WAIT */
		r = set(fd, SOL_SOCKET, SO_REUSEADDR, true);
	if (r == 0 && family != AF_UNIX && options->reuse_port)
		r = set(fd, SOL_SOCKET, SO_REUSEPORT, true);
	if (r == 0 && family == AF_INET6)
		r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, only_ipv6);
	if (r == 0 && bind(fd, &address->any, address->len) < 0)
		r = -errno;
	if (r == 0 && listen(fd, options->backlog > 0 ? options->backlog : BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct mrpc_address own = { .len = sizeof own.storage };

	return getsockname(fd, &own.any, &own.len) == 0 ? mrpc_address_port(&own) : 0;
}

/* A machine without IPv6 may still have ::1 in /etc/hosts. That alone stops nobody. */
static bool is_absent_ipv6(const struct mrpc_address *address, int error)
{
	return address->any.sa_family == AF_INET6 &&
	       (error == -EAFNOSUPPORT ||
		(error == -EADDRNOTAVAIL && (IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr) ||
					     IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr))));
}

/* All addresses on one port. Returns 0 or -errno with nothing left open. */
static int open_all(struct mrpc_bound *bound, const struct mrpc_address *addresses, size_t count,
		    uint16_t port, const struct minirpc_listen_options *options, bool only_ipv6)
{
	int skipped = -EADDRNOTAVAIL;

	bound->port = port;
	for (size_t i = 0; i < count; i++) {
		struct mrpc_address address = addresses[i];
		int fd;

		mrpc_address_set_port(&address, bound->port);
		fd = open_socket(&address, options, only_ipv6);
		if (fd < 0 && is_absent_ipv6(&address, fd)) {
			skipped = fd;
			continue;
		}
		if (fd < 0) {
			close_all(bound);
			return fd;
		}
		bound->fds[bound->count++] = fd;
		if (bound->port == 0)
			bound->port = port_of(fd);
	}
	return bound->count > 0 ? 0 : skipped;
}

static int open_on_one_port(struct mrpc_bound *bound, const struct mrpc_address *addresses,
			    size_t count, uint16_t port,
			    const struct minirpc_listen_options *options, bool only_ipv6)
{
	int r = 0;

	for (int i = 0; i < PORT_TRIES; i++) {
		r = open_all(bound, addresses, count, port, options, only_ipv6);
		if (r != -EADDRINUSE || port != 0)
			break;
	}
	return r;
}

static int error_of(int gai)
{
	switch (gai) {
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return -errno;
	case EAI_AGAIN:
		return -EAGAIN;
	default:
		return -ENOENT;
	}
}

/* Every address of a name, without repetitions. Blocks. */
static int look_up(struct mrpc_address addresses[MRPC_BIND_MAX], size_t *count, const char *host,
		   size_t len, const char **why)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	char name[256];
	int r;

	if (len >= sizeof name) {
		*why = "the name is too long";
		return -EINVAL;
	}
	memcpy(name, host, len);
	name[len] = '\0';

	r = getaddrinfo(name, NULL, &hints, &list);
	if (r != 0) {
		int error = error_of(r);

		*why = r == EAI_SYSTEM ? NULL : gai_strerror(r);
		return error;
	}
	for (const struct addrinfo *at = list; at != NULL && *count < MRPC_BIND_MAX;
	     at = at->ai_next) {
		struct mrpc_address *address = &addresses[*count];
		bool known = false;

		if (at->ai_addrlen > sizeof address->storage)
			continue;
		*address = (struct mrpc_address){ .len = at->ai_addrlen };
		memcpy(&address->any, at->ai_addr, at->ai_addrlen);
		for (size_t i = 0; i < *count; i++)
			known = known || mrpc_address_equals(&addresses[i], address);
		if (!known)
			++*count;
	}
	freeaddrinfo(list);
	return 0;
}

static int bind_host_port(struct mrpc_bound *bound, const char *text,
			  const struct minirpc_listen_options *options, const char **why)
{
	struct mrpc_address addresses[MRPC_BIND_MAX];
	struct mrpc_host_port host;
	bool only_ipv6 = true;
	size_t count = 0;
	int r;

	*why = "not of the form host:port";
	r = mrpc_host_port_split(&host, text, strlen(text));
	if (r < 0 || !host.has_port)
		return -EINVAL;

	if (!host.bracketed &&
	    (host.host_len == 0 || (host.host_len == 1 && host.host[0] == '*'))) {
		(void)mrpc_address_from_ip(&addresses[count++], AF_INET, "0.0.0.0", 7, 0);
		(void)mrpc_address_from_ip(&addresses[count++], AF_INET6, "::", 2, 0);
	} else if (mrpc_address_from_ip(&addresses[0], host.bracketed ? AF_INET6 : AF_UNSPEC,
					host.host, host.host_len, 0) == 0) {
		only_ipv6 = options->only_ipv6;
		count = 1;
	} else if (host.bracketed) {
		return -EINVAL;
	} else {
		r = look_up(addresses, &count, host.host, host.host_len, why);
		if (r < 0)
			return r;
	}
	*why = NULL;
	return open_on_one_port(bound, addresses, count, host.port, options, only_ipv6);
}

/* Somebody, or nobody any more, has a file there. A refused connect to a socket means nobody. */
static int remove_stale(const struct mrpc_address *address, const char **why)
{
	struct stat st;
	int fd, r;

	if (lstat(address->un.sun_path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		*why = "there is a file of this name that is no socket";
		return -EADDRINUSE;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = connect(fd, &address->any, address->len) == 0 ? 0 : -errno;
	close(fd);
	if (r != -ECONNREFUSED)
		return r == -ENOENT ? 0 : -EADDRINUSE;
	return unlink(address->un.sun_path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int bind_unix(struct mrpc_bound *bound, const struct mrpc_address *address,
		     const struct minirpc_listen_options *options, const char **why)
{
	bool has_file = address->un.sun_path[0] != '\0';
	struct stat st;
	int fd, r;

	fd = open_socket(address, options, false);
	if (fd == -EADDRINUSE && has_file) {
		r = remove_stale(address, why);
		if (r < 0)
			return r;
		fd = open_socket(address, options, false);
	}
	if (fd < 0)
		return fd;

	bound->fds[bound->count++] = fd;
	if (has_file && lstat(address->un.sun_path, &st) == 0) {
		bound->un = *address;
		bound->device = st.st_dev;
		bound->inode = st.st_ino;
	}
	return 0;
}

int mrpc_bind(struct mrpc_bound *bound, const char *address,
	      const struct minirpc_listen_options *options, const char **why)
{
	struct mrpc_target target;
	int r;

	if (options == NULL)
		options = &defaults;
	*bound = (struct mrpc_bound){ 0 };
	*why = NULL;
	if (strncmp(address, "unix:", 5) != 0 && strncmp(address, "unix-abstract:", 14) != 0)
		return bind_host_port(bound, address, options, why);

	r = mrpc_target_parse(&target, address); /* the very rules of those who will connect */
	if (r < 0) {
		*why = r == -EINVAL ? "not a path for a unix socket (empty, or too long)" : NULL;
		return r;
	}
	r = bind_unix(bound, &target.addresses[0], options, why);
	mrpc_target_clear(&target);
	return r;
}

void mrpc_bound_unlink(struct mrpc_bound *bound)
{
	struct stat st;

	if (bound->un.len == 0)
		return;
	if (lstat(bound->un.un.sun_path, &st) == 0 && st.st_dev == bound->device &&
	    st.st_ino == bound->inode)
		(void)unlink(bound->un.un.sun_path);
	bound->un.len = 0;
}

/* SPDX-License-Identifier: MIT */
/* Address: see address.h. */
#include "io/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static void format_unix(const struct mrpc_address *address, bool exact,
			char text[MRPC_ADDRESS_TEXT])
{
	size_t len = address->len > offsetof(struct sockaddr_un, sun_path)
			     ? address->len - offsetof(struct sockaddr_un, sun_path)
			     : 0;
	const char *path = address->un.sun_path;
	bool abstract = len > 1 && path[0] == '\0';
	char *at = text;

	if (abstract) {
		path++;
		len--;
	} else {
		len = strnlen(path, len);
	}
	at += snprintf(text, MRPC_ADDRESS_TEXT, abstract ? "unix-abstract:" : "unix:");
	for (size_t i = 0; i < len && at < text + MRPC_ADDRESS_TEXT - 1; i++)
		*at++ = (char)(exact || (path[i] >= 0x20 && path[i] < 0x7F) ? path[i] : '?');
	*at = '\0';
}

static void format(const struct mrpc_address *address, bool exact, char text[MRPC_ADDRESS_TEXT])
{
	char ip[INET6_ADDRSTRLEN], zone[IF_NAMESIZE + 1] = "";

	switch (address->any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->in.sin_addr, ip, sizeof ip);
		snprintf(text, MRPC_ADDRESS_TEXT, "ipv4:%s:%u", ip,
			 (unsigned)ntohs(address->in.sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->in6.sin6_addr, ip, sizeof ip);
		if (address->in6.sin6_scope_id != 0)
			snprintf(zone, sizeof zone, "%%%u", address->in6.sin6_scope_id);
		snprintf(text, MRPC_ADDRESS_TEXT, "ipv6:[%s%s]:%u", ip, zone,
			 (unsigned)ntohs(address->in6.sin6_port));
		break;
	case AF_UNIX:
		format_unix(address, exact, text);
		break;
#if MRPC_HAS_VSOCK
	case AF_VSOCK:
		snprintf(text, MRPC_ADDRESS_TEXT, "vsock:%u:%u", address->vm.svm_cid,
			 address->vm.svm_port);
		break;
#endif
	default:
		snprintf(text, MRPC_ADDRESS_TEXT, "unknown:");
	}
}

void mrpc_address_format(const struct mrpc_address *address, char text[MRPC_ADDRESS_TEXT])
{
	format(address, false, text);
}

void mrpc_address_write(const struct mrpc_address *address, char text[MRPC_ADDRESS_TEXT])
{
	format(address, true, text);
}

/* The number or the name of a network interface. */
static uint32_t parse_zone(const char *zone)
{
	uint32_t number;

	if (mrpc_parse_u32(zone, strlen(zone), &number))
		return number;
	return if_nametoindex(zone);
}

static int from_ipv6(struct mrpc_address *ret, char *ip, uint16_t port)
{
	char *zone = strchr(ip, '%');
	uint32_t scope = 0;

	if (zone != NULL) {
		*zone++ = '\0';
		scope = parse_zone(zone);
		if (scope == 0)
			return -EINVAL;
	}

	*ret = (struct mrpc_address){ .len = sizeof ret->in6 };
	ret->in6.sin6_family = AF_INET6;
	ret->in6.sin6_port = htons(port);
	ret->in6.sin6_scope_id = scope;
	return inet_pton(AF_INET6, ip, &ret->in6.sin6_addr) == 1 ? 0 : -EINVAL;
}

int mrpc_address_from_ip(struct mrpc_address *ret, int family, const char *ip, size_t len,
			 uint16_t port)
{
	char copy[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
	struct in_addr v4;

	if (len == 0 || len >= sizeof copy || memchr(ip, '\0', len) != NULL)
		return -EINVAL;
	memcpy(copy, ip, len);
	copy[len] = '\0';

	if (family != AF_INET6 && inet_pton(AF_INET, copy, &v4) == 1) {
		*ret = (struct mrpc_address){ .len = sizeof ret->in };
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons(port);
		ret->in.sin_addr = v4;
		return 0;
	}
	if (family == AF_INET)
		return -EINVAL;
	return from_ipv6(ret, copy, port);
}

int mrpc_address_from_unix(struct mrpc_address *ret, const char *path, size_t len, bool abstract)
{
	size_t room = sizeof ret->un.sun_path - 1; /* the NUL of a path, or before a name */
	size_t at = abstract ? 1 : 0;

	if (len == 0 || len > room || memchr(path, '\0', len) != NULL)
		return -EINVAL;

	*ret = (struct mrpc_address){ 0 };
	ret->un.sun_family = AF_UNIX;
	memcpy(ret->un.sun_path + at, path, len);
	ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return 0;
}

int mrpc_address_from_vsock(struct mrpc_address *ret, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	uint32_t cid, port;

	if (colon == NULL || !mrpc_parse_u32(text, (size_t)(colon - text), &cid) ||
	    !mrpc_parse_u32(colon + 1, len - (size_t)(colon - text) - 1, &port))
		return -EINVAL;
#if MRPC_HAS_VSOCK
	*ret = (struct mrpc_address){ .len = sizeof ret->vm };
	ret->vm.svm_family = AF_VSOCK;
	ret->vm.svm_cid = cid;
	ret->vm.svm_port = port;
	return 0;
#else
	(void)ret;
	return -EINVAL;
#endif
}

int mrpc_address_parse(struct mrpc_address *ret, const char *text)
{
	size_t len = strlen(text);
	int family = AF_UNSPEC, r;
	struct mrpc_host_port host;

	if (mrpc_starts_with(text, len, "unix:"))
		return mrpc_address_from_unix(ret, text + 5, len - 5, false);
	if (mrpc_starts_with(text, len, "unix-abstract:"))
		return mrpc_address_from_unix(ret, text + 14, len - 14, true);
	if (mrpc_starts_with(text, len, "vsock:"))
		return mrpc_address_from_vsock(ret, text + 6, len - 6);
	if (mrpc_starts_with(text, len, "ipv4:") || mrpc_starts_with(text, len, "ipv6:")) {
		family = text[3] == '4' ? AF_INET : AF_INET6;
		text += 5;
		len -= 5;
	}
	r = mrpc_host_port_split(&host, text, len);
	if (r < 0)
		return r;
	if (host.bracketed && family == AF_INET)
		return -EINVAL;
	if (!host.has_port)
		host.port = MRPC_DEFAULT_PORT;
	if (host.port == 0)
		return -EINVAL;
	return mrpc_address_from_ip(ret, host.bracketed ? AF_INET6 : family, host.host, host.host_len,
				    host.port);
}

void mrpc_address_unmap(struct mrpc_address *address)
{
	struct in6_addr v6 = address->in6.sin6_addr;
	in_port_t port = address->in6.sin6_port;

	if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6))
		return;
	*address = (struct mrpc_address){ .len = sizeof address->in };
	address->in.sin_family = AF_INET;
	address->in.sin_port = port;
	memcpy(&address->in.sin_addr, &v6.s6_addr[12], 4);
}

bool mrpc_address_equals(const struct mrpc_address *a, const struct mrpc_address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	switch (a->any.sa_family) {
	case AF_INET:
		return a->in.sin_port == b->in.sin_port &&
		       a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
	case AF_INET6:
		return a->in6.sin6_port == b->in6.sin6_port &&
		       a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
		       memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
	default:
		return a->len == b->len && memcmp(&a->any, &b->any, a->len) == 0;
	}
}

uint16_t mrpc_address_port(const struct mrpc_address *address)
{
	switch (address->any.sa_family) {
	case AF_INET:
		return ntohs(address->in.sin_port);
	case AF_INET6:
		return ntohs(address->in6.sin6_port);
	default:
		return 0;
	}
}

void mrpc_address_set_port(struct mrpc_address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET)
		address->in.sin_port = htons(port);
	else if (address->any.sa_family == AF_INET6)
		address->in6.sin6_port = htons(port);
}

int mrpc_host_port_split(struct mrpc_host_port *ret, const char *text, size_t len)
{
	const char *end = text + len, *colon = NULL;
	uint32_t port;

	*ret = (struct mrpc_host_port){ .host = text, .host_len = len };
	if (len > 0 && text[0] == '[') {
		const char *bracket = memchr(text, ']', len);

		if (bracket == NULL)
			return -EINVAL;
		ret->host = text + 1;
		ret->host_len = (size_t)(bracket - text) - 1;
		ret->bracketed = true;
		if (bracket + 1 == end)
			return 0;
		if (bracket[1] != ':')
			return -EINVAL;
		colon = bracket + 1;
	} else {
		colon = memchr(text, ':', len);
		if (colon == NULL)
			return 0;
		if (memchr(colon + 1, ':', (size_t)(end - colon) - 1) != NULL) {
			ret->bracketed = true; /* two colons and no brackets: all of it is host */
			return 0;
		}
		ret->host_len = (size_t)(colon - text);
	}

	if (!mrpc_parse_u32(colon + 1, (size_t)(end - colon) - 1, &port) || port > UINT16_MAX)
		return -EINVAL;
	ret->has_port = true;
	ret->port = (uint16_t)port;
	return 0;
}

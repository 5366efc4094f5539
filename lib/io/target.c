/* SPDX-License-Identifier: MIT */
/* Target: what a user calls a server, taken apart [L-1].
 *
 *	scheme:            path
 *	dns:        (///)  host[:port]            resolved later; also when there is no known scheme
 *	dns:        //server[:port]/host[:port]   asks that server
 *	ipv4: ipv6: (///)  ip[:port],ip[:port]    the addresses are in the text
 *	unix:       (//)   path                   a file
 *	unix-abstract:     name                   Linux's sockets without a file
 *	vsock:             cid:port               between a virtual machine and its host
 *	list:              name                   the program says which addresses
 *	attached:          name                   the host moves the bytes
 */
#include "io/resolve.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define DNS_PORT 53u
#define NAME_MAX_LEN 253u
#define LABEL_MAX_LEN 63u
#define ADDRESSES_MAX 1000u /* of a list; as of a resolver's */

/* Decodes %XX in place. What is no escape stays as it is, so that "%eth0" and "100%" may be
 * written. A NUL has no place in a name or path. */
static int percent_decode(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0'; at++) {
		if (at[0] == '%' && mrpc_hex_value(at[1]) >= 0 && mrpc_hex_value(at[2]) >= 0) {
			*to = (char)(mrpc_hex_value(at[1]) * 16 + mrpc_hex_value(at[2]));
			if (*to++ == '\0')
				return -EINVAL;
			at += 2;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	return 0;
}

/* RFC 3986, 3.2: what may stand in an authority (less '@': nobody logs in here). */
static bool is_authority(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("-._~!$&'()*+,;=:[]", c) != NULL);
}

static char *percent_encode(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t size;
	char *encoded, *to;

	if (!mrpc_mul(strlen(text), 3, &size) || !mrpc_add(size, 1, &size))
		return NULL;
	encoded = to = mrpc_alloc(size);
	if (encoded == NULL)
		return NULL;
	for (const char *at = text; *at != '\0'; at++) {
		if (is_authority(*at)) {
			*to++ = *at;
		} else {
			*to++ = '%';
			*to++ = digits[(unsigned char)*at >> 4];
			*to++ = digits[(unsigned char)*at & 15];
		}
	}
	*to = '\0';
	return encoded;
}

/* RFC 1035, 2.3.1, and the '_' that real names have. */
static bool is_name(const char *name, size_t len)
{
	size_t label = 0;

	if (len > 0 && name[len - 1] == '.')
		len--; /* the root, written out */
	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      c == '-' || c == '_') ||
		    ++label > LABEL_MAX_LEN)
			return false;
	}
	return label > 0;
}

/* A host with its port; bare or bracketed IPv6 must be a literal. */
static int parse_host_port(struct mrpc_host_port *ret, const char *text, size_t len)
{
	struct mrpc_address address;
	int r;

	r = mrpc_host_port_split(ret, text, len);
	if (r < 0)
		return r;
	if (!ret->has_port)
		ret->port = MRPC_DEFAULT_PORT;
	if (ret->port == 0)
		return -EINVAL;
	if (ret->bracketed)
		return mrpc_address_from_ip(&address, AF_INET6, ret->host, ret->host_len,
					    ret->port);
	return is_name(ret->host, ret->host_len) ? 0 : -EINVAL;
}

/* Host without the zone: it means something on this machine only (RFC 6874, 1). */
static char *verify_name(const struct mrpc_host_port *host)
{
	const char *zone = memchr(host->host, '%', host->host_len);
	size_t len = zone == NULL ? host->host_len : (size_t)(zone - host->host);

	return mrpc_strndup(host->host, len);
}

static int parse_dns(struct mrpc_target *target, const char *path)
{
	size_t len = strlen(path);
	struct mrpc_host_port host;
	int r;

	r = parse_host_port(&host, path, len);
	if (r < 0)
		return r;

	target->kind = MRPC_TARGET_DNS;
	target->port = host.port;
	target->host = mrpc_strndup(host.host, host.host_len);
	target->verify_name = verify_name(&host);
	if (host.bracketed && path[0] != '[') {
		char *bracketed = mrpc_format("[%s]", path);

		target->authority = bracketed == NULL ? NULL : percent_encode(bracketed);
		mrpc_free(bracketed);
	} else {
		target->authority = percent_encode(path);
	}
	return 0;
}

static int parse_ip_list(struct mrpc_target *target, const char *path, int family)
{
	size_t count = 1, size;

	for (const char *at = path; *at != '\0'; at++)
		count += *at == ',';
	if (count > ADDRESSES_MAX)
		return -EINVAL;
	if (!mrpc_mul(count, sizeof *target->addresses, &size))
		return -ENOMEM;
	target->addresses = mrpc_alloc(size);
	if (target->addresses == NULL)
		return -ENOMEM;

	for (const char *at = path;;) {
		size_t len = strcspn(at, ",");
		struct mrpc_host_port host;
		int r;

		r = mrpc_host_port_split(&host, at, len);
		if (r < 0)
			return r;
		if (!host.has_port)
			host.port = MRPC_DEFAULT_PORT;
		if (host.port == 0)
			return -EINVAL;
		r = mrpc_address_from_ip(&target->addresses[target->address_count], family,
					 host.host, host.host_len, host.port);
		if (r < 0)
			return r;

		if (target->address_count++ == 0)
			target->verify_name = verify_name(&host);
		if (at[len] == '\0')
			break;
		at += len + 1;
	}
	target->kind = MRPC_TARGET_ADDRESSES;
	target->authority = percent_encode(path);
	return 0;
}

static int parse_unix(struct mrpc_target *target, const char *path, bool abstract)
{
	target->addresses = mrpc_alloc(sizeof *target->addresses);
	if (target->addresses == NULL)
		return -ENOMEM;
	target->kind = MRPC_TARGET_ADDRESSES;
	target->address_count = 1;
	target->authority = mrpc_strdup("localhost");
	target->verify_name = mrpc_strdup("localhost");
	return mrpc_address_from_unix(target->addresses, path, strlen(path), abstract);
}

static int parse_vsock(struct mrpc_target *target, const char *path)
{
	target->addresses = mrpc_alloc(sizeof *target->addresses);
	if (target->addresses == NULL)
		return -ENOMEM;
	target->kind = MRPC_TARGET_ADDRESSES;
	target->address_count = 1;
	target->authority = mrpc_strdup("localhost"); /* as C-core */
	target->verify_name = mrpc_strdup("localhost");
	return mrpc_address_from_vsock(target->addresses, path, strlen(path));
}

static int parse_named(struct mrpc_target *target, const char *path, enum mrpc_target_kind kind)
{
	struct mrpc_host_port host;

	if (path[0] == '\0')
		return -EINVAL;
	target->kind = kind;
	target->authority = percent_encode(path);
	if (mrpc_host_port_split(&host, path, strlen(path)) == 0)
		target->verify_name = verify_name(&host);
	else
		target->verify_name = mrpc_strdup(path);
	return 0;
}

enum scheme { DNS, IPV4, IPV6, UNIX, UNIX_ABSTRACT, VSOCK, LIST, ATTACHED };

/* The scheme of text; *text moves behind it. */
static enum scheme take_scheme(const char **text)
{
	static const char *const names[] = {
		[DNS] = "dns:",   [IPV4] = "ipv4:",         [IPV6] = "ipv6:",
		[UNIX] = "unix:", [ATTACHED] = "attached:", [UNIX_ABSTRACT] = "unix-abstract:",
		[LIST] = "list:", [VSOCK] = "vsock:",
	};

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		size_t len = strlen(names[i]);

		if (strncasecmp(*text, names[i], len) == 0) {
			*text += len;
			return (enum scheme)i;
		}
	}
	return DNS;
}

/* The DNS server that the user wants asked: an address, since who would resolve its name? */
static int take_server(struct mrpc_target *target, const char *text, size_t len)
{
	struct mrpc_host_port host;
	struct mrpc_address address;
	int r;

	r = mrpc_host_port_split(&host, text, len);
	if (r < 0)
		return r;
	if (!host.has_port)
		host.port = DNS_PORT;
	if (host.port == 0)
		return -EINVAL;
	r = mrpc_address_from_ip(&address, host.bracketed ? AF_INET6 : AF_INET, host.host,
				 host.host_len, host.port);
	if (r < 0)
		return r;
	target->server = mrpc_format(host.bracketed ? "[%.*s]:%u" : "%.*s:%u", (int)host.host_len,
				     host.host, (unsigned)host.port);
	return target->server == NULL ? -ENOMEM : 0;
}

/* Leaves the path part of "//authority/path", whose authority is empty but for dns. A path of dns, ipv4
 * and ipv6 does not begin with its slash; a file's does. */
static int take_authority(struct mrpc_target *target, const char **text, enum scheme scheme)
{
	if ((*text)[0] == '/' && (*text)[1] == '/') {
		size_t len = strcspn(*text + 2, "/");
		int r = 0;

		if (len > 0 && (scheme != DNS || (*text)[2 + len] == '\0'))
			return -EINVAL;
		if (len > 0)
			r = take_server(target, *text + 2, len);
		if (r < 0)
			return r;
		*text += 2 + len;
	}
	if (scheme <= IPV6 && (*text)[0] == '/')
		(*text)++;
	return 0;
}

int mrpc_target_parse(struct mrpc_target *target, const char *text)
{
	const char *rest = text;
	enum scheme scheme = take_scheme(&rest);
	char *path;
	int r;

	*target = (struct mrpc_target){ 0 };
	if (rest != text && scheme <= UNIX) {
		r = take_authority(target, &rest, scheme);
		if (r < 0)
			goto out;
	}
	path = mrpc_strdup(rest);
	if (path == NULL) {
		r = -ENOMEM;
		goto out;
	}
	r = percent_decode(path);
	if (r == 0) {
		switch (scheme) {
		case DNS:
			r = parse_dns(target, path);
			break;
		case IPV4:
		case IPV6:
			r = parse_ip_list(target, path, scheme == IPV4 ? AF_INET : AF_INET6);
			break;
		case UNIX:
		case UNIX_ABSTRACT:
			r = parse_unix(target, path, scheme == UNIX_ABSTRACT);
			break;
		case VSOCK:
			r = parse_vsock(target, path);
			break;
		case LIST:
			r = parse_named(target, path, MRPC_TARGET_LIST);
			break;
		case ATTACHED:
			r = parse_named(target, path, MRPC_TARGET_ATTACHED);
			break;
		}
	}
	mrpc_free(path);
out:
	if (r == 0 && (target->authority == NULL || target->verify_name == NULL ||
		       (target->kind == MRPC_TARGET_DNS && target->host == NULL)))
		r = -ENOMEM;
	if (r < 0)
		mrpc_target_clear(target);
	return r;
}

int mrpc_target_own(struct mrpc_target *target, const char *path)
{
	char *decoded;
	int r;

	*target = (struct mrpc_target){ 0 };
	if (path[0] == '/' && path[1] == '/') {
		path += 2;
		path += strcspn(path, "/");
	}
	if (path[0] == '/')
		path++;
	decoded = mrpc_strdup(path);
	if (decoded == NULL)
		return -ENOMEM;
	r = percent_decode(decoded);
	if (r == 0)
		r = parse_named(target, decoded, MRPC_TARGET_OWN);
	mrpc_free(decoded);
	if (r == 0 && (target->authority == NULL || target->verify_name == NULL))
		r = -ENOMEM;
	if (r < 0)
		mrpc_target_clear(target);
	return r;
}

void mrpc_target_clear(struct mrpc_target *target)
{
	mrpc_free(target->host);
	mrpc_free(target->server);
	mrpc_free(target->authority);
	mrpc_free(target->verify_name);
	mrpc_free(target->addresses);
	*target = (struct mrpc_target){ 0 };
}

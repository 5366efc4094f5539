/* SPDX-License-Identifier: MIT */
/* Proxy: what the options say of it. See proxy_dial.c for the way through it. */
#include "io/proxy.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define HTTP_PORT 80u
#define TEXT_MAX 1024u
#define NO_PROXY_MAX 4096u

/* RFC 7617: no control characters. Returns the length, or -EINVAL. */
static int decode(char *to, const char *text, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			if (len - i < 3 || mrpc_hex_value(text[i + 1]) < 0 ||
			    mrpc_hex_value(text[i + 2]) < 0)
				return -EINVAL;
			c = (char)(mrpc_hex_value(text[i + 1]) * 16 + mrpc_hex_value(text[i + 2]));
			i += 2;
		}
		if ((unsigned char)c < 0x20 || c == 0x7F)
			return -EINVAL;
		to[count++] = c;
	}
	return (int)count;
}

static char *basic(const char *plain, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = mrpc_alloc(6 + (len + 2) / 3 * 4 + 1), *to;

	if (text == NULL)
		return NULL;
	to = text + 6;
	memcpy(text, "Basic ", 6);
	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)(unsigned char)plain[i] << 16;

		if (i + 1 < len)
			bits |= (uint32_t)(unsigned char)plain[i + 1] << 8;
		if (i + 2 < len)
			bits |= (unsigned char)plain[i + 2];
		*to++ = digits[bits >> 18];
		*to++ = digits[bits >> 12 & 63];
		*to++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
		*to++ = i + 2 < len ? digits[bits & 63] : '=';
	}
	*to = '\0';
	return text;
}

/* "user:password", still with its escapes. */
static int set_authorization(struct mrpc_proxy *proxy, const char *text, size_t len)
{
	const char *colon = memchr(text, ':', len);
	size_t user_len = colon == NULL ? len : (size_t)(colon - text);
	char plain[TEXT_MAX + 1];
	int user, password = 0;

	user = decode(plain, text, user_len);
	if (user <= 0 || memchr(plain, ':', (size_t)user) != NULL) /* RFC 7617, 2 */
		return -EINVAL;
	plain[user] = ':';
	if (colon != NULL)
		password = decode(plain + user + 1, colon + 1, len - user_len - 1);
	if (password < 0)
		return password;
	proxy->authorization = basic(plain, (size_t)user + 1 + (size_t)password);
	explicit_bzero(plain, sizeof plain);
	return proxy->authorization == NULL ? -ENOMEM : 0;
}

static int set_server(struct mrpc_proxy *proxy, const char *text, size_t len)
{
	struct mrpc_host_port host;
	struct mrpc_target target;
	char *name;
	int r;

	r = mrpc_host_port_split(&host, text, len);
	if (r < 0 || (host.has_port && host.port == 0))
		return -EINVAL;
	name = mrpc_format(host.bracketed ? "dns:[%.*s]" : "dns:%.*s", (int)host.host_len,
			   host.host);
	if (name == NULL)
		return -ENOMEM;
	r = mrpc_target_parse(&target, name); /* the rules of other names */
	mrpc_free(name);
	if (r < 0)
		return r;
	proxy->host = target.host;
	target.host = NULL;
	proxy->port = host.has_port ? host.port : HTTP_PORT;
	mrpc_target_clear(&target);
	return 0;
}

static int parse(struct mrpc_proxy *proxy, const char *text)
{
	size_t len = strnlen(text, TEXT_MAX + 1);
	const char *at = NULL;
	int r;

	if (len > TEXT_MAX)
		return -EINVAL;
	if (len > 7 && strncasecmp(text, "http://", 7) == 0) {
		text += 7;
		len -= 7;
		if (text[len - 1] == '/')
			len--;
	}
	for (size_t i = 0; i < len; i++)
		if (text[i] == '@')
			at = text + i; /* the last: passwords are not always escaped */
	if (at != NULL) {
		r = set_authorization(proxy, text, (size_t)(at - text));
		if (r < 0)
			return r;
		len -= (size_t)(at - text) + 1;
		text = at + 1;
	}
	return set_server(proxy, text, len);
}

int mrpc_proxy_init(struct mrpc_proxy *proxy, const char *text, const char *no_proxy,
		    const char *dns_servers)
{
	int r;

	*proxy = (struct mrpc_proxy){ 0 };
	if (no_proxy != NULL && strnlen(no_proxy, NO_PROXY_MAX + 1) > NO_PROXY_MAX)
		return -EINVAL;
	if (text == NULL)
		return 0;
	r = parse(proxy, text);
	if (r == 0 && no_proxy != NULL) {
		proxy->no_proxy = mrpc_strdup(no_proxy);
		r = proxy->no_proxy == NULL ? -ENOMEM : 0;
	}
	if (r == 0 && dns_servers != NULL) {
		proxy->dns_servers = mrpc_strdup(dns_servers);
		r = proxy->dns_servers == NULL ? -ENOMEM : 0;
	}
	if (r < 0)
		mrpc_proxy_clear(proxy);
	return r;
}

void mrpc_proxy_clear(struct mrpc_proxy *proxy)
{
	if (proxy->authorization != NULL)
		explicit_bzero(proxy->authorization, strlen(proxy->authorization));
	mrpc_free(proxy->host);
	mrpc_free(proxy->authorization);
	mrpc_free(proxy->no_proxy);
	mrpc_free(proxy->dns_servers);
	mrpc_free(proxy->addresses);
	*proxy = (struct mrpc_proxy){ 0 };
}

/* ---- no_proxy ---- */

static const uint8_t *ip_bytes(const struct mrpc_address *address, unsigned *ret_bits)
{
	if (address->any.sa_family == AF_INET) {
		*ret_bits = 32;
		return (const uint8_t *)&address->in.sin_addr;
	}
	*ret_bits = 128;
	return (const uint8_t *)&address->in6.sin6_addr;
}

/* Whether the first `bits` of both are alike. */
static bool shares_prefix(const struct mrpc_address *a, const struct mrpc_address *b, uint32_t bits)
{
	unsigned size;
	const uint8_t *x = ip_bytes(a, &size), *y = ip_bytes(b, &size);

	if (a->any.sa_family != b->any.sa_family || bits > size)
		return false;
	if (memcmp(x, y, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || (x[bits / 8] ^ y[bits / 8]) >> (8 - bits % 8) == 0;
}

static bool matches_name(const char *host, size_t host_len, const char *entry, size_t len)
{
	if (len > 0 && entry[len - 1] == '.')
		len--;
	if (len == 0 || host_len < len || strncasecmp(host + host_len - len, entry, len) != 0)
		return false;
	if (entry[0] == '.')
		return host_len > len;
	return host_len == len || host[host_len - len - 1] == '.';
}

/* ip: of the host, NULL when it is a name. */
static bool matches(const char *host, const struct mrpc_address *ip, uint16_t port,
		    const char *entry, size_t len)
{
	const char *slash = memchr(entry, '/', len);
	size_t host_len = strlen(host);
	struct mrpc_host_port parts;
	struct mrpc_address network;
	uint32_t bits;

	if (len == 1 && entry[0] == '*')
		return true;
	if (slash != NULL)
		return ip != NULL &&
		       mrpc_address_from_ip(&network, AF_UNSPEC, entry, (size_t)(slash - entry),
					    1) == 0 &&
		       mrpc_parse_u32(slash + 1, len - (size_t)(slash - entry) - 1, &bits) &&
		       shares_prefix(ip, &network, bits);
	if (mrpc_host_port_split(&parts, entry, len) < 0 || (parts.has_port && parts.port != port))
		return false;
	if (ip != NULL)
		return mrpc_address_from_ip(&network, AF_UNSPEC, parts.host, parts.host_len, 1) ==
			       0 &&
		       shares_prefix(ip, &network, ip->any.sa_family == AF_INET ? 32 : 128);
	if (host_len > 0 && host[host_len - 1] == '.')
		host_len--;
	return matches_name(host, host_len, parts.host, parts.host_len);
}

bool mrpc_proxy_is_for(const struct mrpc_proxy *proxy, const char *host, uint16_t port)
{
	struct mrpc_address ip;
	bool is_ip;

	if (proxy->host == NULL || proxy->no_proxy == NULL)
		return proxy->host != NULL;
	is_ip = mrpc_address_from_ip(&ip, AF_UNSPEC, host, strlen(host), 1) == 0;
	if (is_ip)
		mrpc_address_unmap(&ip);
	for (const char *at = proxy->no_proxy;;) {
		size_t len = strcspn(at, ","), first = 0, end = len;

		while (first < end && (at[first] == ' ' || at[first] == '\t'))
			first++;
		while (end > first && (at[end - 1] == ' ' || at[end - 1] == '\t'))
			end--;
		if (end > first && matches(host, is_ip ? &ip : NULL, port, at + first, end - first))
			return false;
		if (at[len] == '\0')
			return true;
		at += len + 1;
	}
}

bool mrpc_proxy_is_for_address(const struct mrpc_proxy *proxy, const struct mrpc_address *address)
{
	char text[MRPC_ADDRESS_TEXT];
	struct mrpc_host_port parts;
	char host[MRPC_ADDRESS_TEXT];

	if (proxy->host == NULL ||
	    (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6))
		return false;
	mrpc_address_format(address, text);
	if (mrpc_host_port_split(&parts, text + 5, strlen(text) - 5) < 0)
		return true;
	memcpy(host, parts.host, parts.host_len);
	host[parts.host_len] = '\0';
	return mrpc_proxy_is_for(proxy, host, parts.port);
}

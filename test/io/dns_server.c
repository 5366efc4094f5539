/* SPDX-License-Identifier: MIT */
#include "io/dns_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { A = 1, CNAME = 5, TXT = 16, AAAA = 28 };

static uint8_t *put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

/* name: the offset of a name in the packet. */
static uint8_t *put_head(uint8_t *at, unsigned name, unsigned type, unsigned ttl, size_t len)
{
	at = put16(at, 0xC000 | name);
	at = put16(at, type);
	at = put16(at, 1);
	at = put16(at, ttl >> 16);
	at = put16(at, ttl & 0xFFFF);
	return put16(at, (unsigned)len);
}

static uint8_t *put_address(uint8_t *at, unsigned name, int family, const char *text, unsigned ttl)
{
	size_t len = family == AF_INET ? 4 : 16;

	at = put_head(at, name, family == AF_INET ? A : AAAA, ttl, len);
	ck_assert_int_eq(inet_pton(family, text, at), 1);
	return at + len;
}

static uint8_t *put_text(uint8_t *at, unsigned name, const char *text, unsigned ttl)
{
	size_t len = strlen(text), left = len;

	at = put_head(at, name, TXT, ttl, len + (len + 254) / 255);
	for (; left > 0; text += len, left -= len) {
		len = left < 255 ? left : 255;
		*at++ = (uint8_t)len;
		memcpy(at, text, len);
		at += len;
	}
	return at;
}

/* Labels of an alias, without compression; the offset of it. */
static uint8_t *put_alias(uint8_t *packet, uint8_t *at, const char *alias, unsigned ttl,
			  unsigned *ret_name)
{
	at = put_head(at, 12, CNAME, ttl, strlen(alias) + 2);
	*ret_name = (unsigned)(at - packet);
	while (*alias != '\0') {
		size_t len = strcspn(alias, ".");

		*at++ = (uint8_t)len;
		memcpy(at, alias, len);
		at += len;
		alias += len + (alias[len] == '.');
	}
	*at++ = 0;
	return at;
}

static void read_name(const uint8_t *at, char name[300])
{
	size_t len = 0;

	for (; *at != 0; at += 1 + *at)
		len += (size_t)snprintf(name + len, 300 - len, "%s%.*s", len == 0 ? "" : ".", *at,
					at + 1);
}

static size_t answer(struct dns_server *server, uint8_t *packet)
{
	unsigned count = 0, type, rcode = server->rcode, name = 12;
	uint8_t *at = packet + 12, *end;

	while (*at != 0)
		at += 1 + *at;
	type = (unsigned)(at[1] << 8 | at[2]);
	end = at + 5;
	if (type == A)
		server->asked_a++;
	else if (type == AAAA)
		server->asked_aaaa++;
	else {
		server->asked_txt++;
		read_name(packet + 12, server->txt_name);
		rcode = server->txt_rcode;
	}
	if (server->silent || (type == TXT && server->txt_silent))
		return 0;

	if (rcode == 0 && server->alias != NULL && type != TXT) {
		end = put_alias(packet, end, server->alias, server->alias_ttl, &name);
		count++;
	}
	for (const char **a = server->a; rcode == 0 && type == A && *a != NULL; a++, count++)
		end = put_address(end, name, AF_INET, *a, server->ttl);
	for (const char **a = server->aaaa; rcode == 0 && type == AAAA && *a != NULL; a++, count++)
		end = put_address(end, name, AF_INET6, *a, server->ttl);
	for (const char **t = server->txt; rcode == 0 && type == TXT && *t != NULL; t++, count++)
		end = put_text(end, name, *t, server->ttl);
	packet[2] = 0x81;
	packet[3] = (uint8_t)(0x80 | rcode);
	put16(packet + 6, count);
	memset(packet + 8, 0, 4);
	if (server->garbage)
		memset(packet + 12, 0xFF, (size_t)(end - packet) - 12);
	return (size_t)(end - packet) / (server->cut ? 2 : 1);
}

static void on_query(struct minirpc_watch *watch, unsigned events)
{
	struct dns_server *server = mrpc_container(watch, struct dns_server, watch);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof peer;
	uint8_t packet[8192];
	size_t len;

	(void)events;
	ck_assert_int_gt(recvfrom(server->fd, packet, 512, 0, (struct sockaddr *)&peer, &peer_len),
			 16);
	len = answer(server, packet);
	if (len > 0)
		(void)!sendto(server->fd, packet, len, 0, (struct sockaddr *)&peer, peer_len);
}

void dns_server_init(struct dns_server *server, minirpc_loop *loop)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof own;

	*server = (struct dns_server){ .ttl = 60, .alias_ttl = 60 };
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server->fd, (struct sockaddr *)&own, sizeof own), 0);
	ck_assert_int_eq(getsockname(server->fd, (struct sockaddr *)&own, &len), 0);
	snprintf(server->address, sizeof server->address, "127.0.0.1:%u",
		 (unsigned)ntohs(own.sin_port));
	ck_assert_int_eq(mrpc_loop_watch(loop, &server->watch, server->fd, MINIRPC_READ, on_query),
			 0);
}

void dns_server_clear(struct dns_server *server)
{
	mrpc_loop_unwatch(&server->watch);
	close(server->fd);
}

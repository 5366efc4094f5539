/* SPDX-License-Identifier: MIT */
/* lib/io/address.c, target.c, resolve.c, resolve_ares.c (resolve_gai.c has a test of its own). The DNS server that is asked is a UDP
 * socket on the same loop. */
#include "io/resolve.h"

#include "base/alloc.h"
#include "io/hand_loop.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- Addresses ---- */

START_TEST(addresses_are_written_as_grpc_writes_them)
{
	struct mrpc_address address;
	char text[MRPC_ADDRESS_TEXT], path[108];

	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, "10.1.2.3", 8, 65535), 0);
	mrpc_address_format(&address, text);
	ck_assert_str_eq(text, "ipv4:10.1.2.3:65535");
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, "2001:DB8:0::1", 13, 80), 0);
	mrpc_address_format(&address, text);
	ck_assert_str_eq(text, "ipv6:[2001:db8::1]:80");
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, "fe80::1%lo", 10, 80), 0);
	mrpc_address_format(&address, text);
	ck_assert_str_eq(text, "ipv6:[fe80::1%1]:80");
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, "::ffff:1.2.3.4", 14, 80), 0);
	mrpc_address_unmap(&address);
	mrpc_address_format(&address, text);
	ck_assert_str_eq(text, "ipv4:1.2.3.4:80");

	ck_assert_int_eq(mrpc_address_from_unix(&address, "/run/a\nb\xC3", 9, false), 0);
	mrpc_address_format(&address, text);
	ck_assert_str_eq(text, "unix:/run/a?b?");
	ck_assert_int_eq(mrpc_address_from_unix(&address, "name", 4, true), 0);
	mrpc_address_format(&address, text);
	ck_assert_str_eq(text, "unix-abstract:name");
	memset(path, 'p', sizeof path);
	ck_assert_int_eq(mrpc_address_from_unix(&address, path, 107, false), 0);
	mrpc_address_format(&address, text);
	ck_assert_uint_eq(strlen(text), 5 + 107);
	ck_assert_int_eq(mrpc_address_from_unix(&address, path, 107, true), 0);
	mrpc_address_format(&address, text);
	ck_assert_uint_eq(strlen(text), 14 + 107);
	ck_assert_int_eq(mrpc_address_from_unix(&address, path, 108, false), -EINVAL);
	ck_assert_int_eq(mrpc_address_from_unix(&address, path, 108, true), -EINVAL);
	ck_assert_int_eq(mrpc_address_from_unix(&address, "a\0b", 3, false), -EINVAL);
	ck_assert_int_eq(mrpc_address_from_unix(&address, "", 0, false), -EINVAL);
}
END_TEST

START_TEST(what_is_no_ip_is_refused)
{
	static const char *const texts[] = { "",          "1.2.3",         "1.2.3.256",
					     "01.2.3.4",  "localhost",     "1.2.3.4 ",
					     ":",         "1::2::3",       "[::1]",
					     "fe80::1%",  "::1%nosuchif0", "%1",
					     "1.2.3.4%1", "12345::" };
	struct mrpc_address address;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_msg(mrpc_address_from_ip(&address, AF_UNSPEC, texts[i], strlen(texts[i]),
						   1) == -EINVAL,
			      "%s", texts[i]);
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_INET, "::1", 3, 1), -EINVAL);
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_INET6, "1.2.3.4", 7, 1), -EINVAL);
	ck_assert_int_eq(mrpc_address_from_ip(&address, AF_UNSPEC, "1.2.3.4\0", 8, 1), -EINVAL);
}
END_TEST

/* ---- Targets ---- */

struct parsed {
	const char *text;
	enum mrpc_target_kind kind;
	const char *host;
	unsigned port;
	const char *authority, *verify_name;
	const char *addresses; /* formatted, separated by spaces */
};

static const struct parsed parsed[] = {
	{ "localhost:5051", MRPC_TARGET_DNS, "localhost", 5051, "localhost:5051", "localhost" },
	{ "localhost", MRPC_TARGET_DNS, "localhost", 443, "localhost", "localhost" },
	{ "dns:a.org:1", MRPC_TARGET_DNS, "a.org", 1, "a.org:1", "a.org" },
	{ "dns:///a.org:65535", MRPC_TARGET_DNS, "a.org", 65535, "a.org:65535", "a.org" },
	{ "dns:/a.org", MRPC_TARGET_DNS, "a.org", 443, "a.org", "a.org" },
	{ "DNS:///a.org.", MRPC_TARGET_DNS, "a.org.", 443, "a.org.", "a.org." },
	{ "dns:///a%2Eorg", MRPC_TARGET_DNS, "a.org", 443, "a.org", "a.org" },
	{ "_grpc.my-host_1:80", MRPC_TARGET_DNS, "_grpc.my-host_1", 80, "_grpc.my-host_1:80",
	  "_grpc.my-host_1" },
	{ "127.0.0.1:80", MRPC_TARGET_DNS, "127.0.0.1", 80, "127.0.0.1:80", "127.0.0.1" },
	{ "[::1]:80", MRPC_TARGET_DNS, "::1", 80, "[::1]:80", "::1" },
	{ "[::1]", MRPC_TARGET_DNS, "::1", 443, "[::1]", "::1" },
	{ "::1", MRPC_TARGET_DNS, "::1", 443, "[::1]", "::1" },
	{ "dns:///::1", MRPC_TARGET_DNS, "::1", 443, "[::1]", "::1" },
	{ "[fe80::1%lo]:80", MRPC_TARGET_DNS, "fe80::1%lo", 80, "[fe80::1%25lo]:80", "fe80::1" },
	{ "[fe80::1%25lo]:80", MRPC_TARGET_DNS, "fe80::1%lo", 80, "[fe80::1%25lo]:80", "fe80::1" },
	{ "ipv4:1.2.3.4:5", MRPC_TARGET_ADDRESSES, NULL, 0, "1.2.3.4:5", "1.2.3.4",
	  "ipv4:1.2.3.4:5 " },
	{ "ipv4:///1.2.3.4", MRPC_TARGET_ADDRESSES, NULL, 0, "1.2.3.4", "1.2.3.4",
	  "ipv4:1.2.3.4:443 " },
	{ "ipv4:10.0.0.1:5,10.0.0.2:6", MRPC_TARGET_ADDRESSES, NULL, 0, "10.0.0.1:5,10.0.0.2:6",
	  "10.0.0.1", "ipv4:10.0.0.1:5 ipv4:10.0.0.2:6 " },
	{ "ipv6:[::1]:5,[::2],::3", MRPC_TARGET_ADDRESSES, NULL, 0, "[::1]:5,[::2],::3", "::1",
	  "ipv6:[::1]:5 ipv6:[::2]:443 ipv6:[::3]:443 " },
	{ "ipv6:%5B::1%5D:5", MRPC_TARGET_ADDRESSES, NULL, 0, "[::1]:5", "::1", "ipv6:[::1]:5 " },
	{ "unix:/run/x.sock", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost",
	  "unix:/run/x.sock " },
	{ "unix:x.sock", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost", "unix:x.sock " },
	{ "unix:///run/x.sock", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost",
	  "unix:/run/x.sock " },
	{ "unix:/a%20b%", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost", "unix:/a b% " },
	{ "unix-abstract:name", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost",
	  "unix-abstract:name " },
	{ "vsock:2:5051", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost",
	  "vsock:2:5051 " },
	{ "VSOCK:4294967295:4294967295", MRPC_TARGET_ADDRESSES, NULL, 0, "localhost", "localhost",
	  "vsock:4294967295:4294967295 " },
	{ "list:cache", MRPC_TARGET_LIST, NULL, 0, "cache", "cache" },
	{ "list:cache.org:80", MRPC_TARGET_LIST, NULL, 0, "cache.org:80", "cache.org" },
	{ "dns://10.0.0.1/a.org:80", MRPC_TARGET_DNS, "a.org", 80, "a.org:80", "a.org" },
	{ "attached:pipe", MRPC_TARGET_ATTACHED, NULL, 0, "pipe", "pipe" },
	{ "attached:a b/\xC3\xA9:80", MRPC_TARGET_ATTACHED, NULL, 0, "a%20b%2F%C3%A9:80",
	  "a b/\xC3\xA9" },
};

START_TEST(a_target_is_taken_apart)
{
	const struct parsed *expected = &parsed[_i];
	struct mrpc_target target;
	char addresses[400] = "";

	ck_assert_int_eq(mrpc_target_parse(&target, expected->text), 0);
	ck_assert_int_eq(target.kind, expected->kind);
	ck_assert_pstr_eq(target.host, expected->host);
	ck_assert_uint_eq(target.port, expected->port);
	ck_assert_pstr_eq(target.authority, expected->authority);
	ck_assert_pstr_eq(target.verify_name, expected->verify_name);
	for (size_t i = 0; i < target.address_count; i++) {
		char text[MRPC_ADDRESS_TEXT];

		mrpc_address_format(&target.addresses[i], text);
		strcat(addresses, text);
		strcat(addresses, " ");
	}
	ck_assert_str_eq(addresses, expected->addresses == NULL ? "" : expected->addresses);
	mrpc_target_clear(&target);
	mrpc_target_clear(&target);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

static const char *const not_targets[] = {
	"",
	":",
	":80",
	"a.org:",
	"a.org:0",
	"a.org:65536",
	"a.org:4294967376",
	"a.org:-1",
	"a.org:80x",
	"a.org: 80",
	"a..org",
	".org",
	".",
	"a b",
	"a\nb",
	"a%00b",
	"\xC3\xA9.org",
	"a/b",
	"user@a.org",
	"a:80:90",
	"[::1",
	"[::1]80",
	"[]:80",
	"[1.2.3.4]:80",
	"[a.org]:80",
	"dns:",
	"dns:///",
	"dns://",
	"dns://8.8.8.8",
	"dns://ns.a.org/a.org",
	"dns://8.8.8.8:0/a.org",
	"dns://8.8.8.8:x/a.org",
	"dns://[8.8.8.8]/a.org",
	"dns://[::1/a.org",
	"dns://8.8.8.8/",
	"dns://8.8.8.8/a.org/b",
	"dns://user@8.8.8.8/a.org",
	"dns://a.org",
	"dns:////a.org",
	"http://a.org",
	"https://a.org:443/",
	"passthrough:///a.org:80",
	"xds:///service",
	"vsock:",
	"vsock:1",
	"vsock:1:",
	"vsock::2",
	"vsock:1:2:3",
	"vsock:-1:2",
	"vsock:4294967296:2",
	"vsock:1:4294967296",
	"vsock:host:2",
	"list:",
	"ipv4:",
	"ipv4:a.org:80",
	"ipv4:1.2.3.4:5,",
	"ipv4:,1.2.3.4:5",
	"ipv4:1.2.3.4:5 ,1.2.3.4:5",
	"ipv4:[::1]:5",
	"ipv4://host/1.2.3.4",
	"ipv4:1.2.3.4:0",
	"ipv6:1.2.3.4:5",
	"ipv6:[::1]:65536",
	"unix:",
	"unix://",
	"unix://run/x.sock",
	"unix:/a%00",
	"unix-abstract:",
	"attached:",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org", /* label of 64 */
};

START_TEST(what_is_no_target_is_refused)
{
	struct mrpc_target target;

	ck_assert_msg(mrpc_target_parse(&target, not_targets[_i]) == -EINVAL, "%s",
		      not_targets[_i]);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(names_and_paths_have_a_longest)
{
	struct mrpc_target target;
	char text[300], path[120] = "unix:";

	for (size_t i = 0; i < 253; i++)
		text[i] = i % 50 == 49 ? '.' : 'a';
	text[253] = '\0';
	ck_assert_int_eq(mrpc_target_parse(&target, text), 0);
	mrpc_target_clear(&target);
	strcat(text, "a");
	ck_assert_int_eq(mrpc_target_parse(&target, text), -EINVAL);

	memset(path + 5, 'p', 107);
	ck_assert_int_eq(mrpc_target_parse(&target, path), 0);
	mrpc_target_clear(&target);
	path[5 + 107] = 'p';
	ck_assert_int_eq(mrpc_target_parse(&target, path), -EINVAL);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(every_allocation_of_a_target_may_fail)
{
	for (size_t i = 0; i < sizeof parsed / sizeof parsed[0]; i++) {
		struct mrpc_target target;
		int r = -1;

		for (size_t n = 1; r != 0; n++) {
			alloc_fail_at(n, false);
			r = mrpc_target_parse(&target, parsed[i].text);
			alloc_fail_at(0, false);
			ck_assert(r == 0 || r == -ENOMEM);
			if (r == 0)
				mrpc_target_clear(&target);
			ck_assert_uint_eq(alloc_live(), 0);
		}
	}
}
END_TEST

/* ---- Names ---- */

/* A DNS server: what it answers is in the name that is asked. What is long it answers by TCP. */
struct dns {
	struct minirpc_watch watch, listener, stream;
	int fd, listening_fd, stream_fd;
	int asked, asked_by_tcp;
	char servers[40];
	bool silent;
};

/* One address record for the question at offset 12. */
static size_t put_record(uint8_t *at, int type, unsigned last)
{
	static const uint8_t head[] = { 0xC0, 12, 0, 0, 0, 1, 0, 0, 0, 60, 0 };
	size_t len = type == 1 ? 4 : 16;

	memcpy(at, head, sizeof head);
	at[3] = (uint8_t)type;
	at[11] = (uint8_t)len;
	memset(at + 12, 0, len);
	if (type == 1) {
		at[12] = 127; /* routes exist, so that c-ares's sorting is the same everywhere */
		at[14] = (uint8_t)(last >> 8);
	} else {
		memcpy(at + 12, "\x20\x01\x0d\xb8", 4); /* 2001:db8::, for documentation */
	}
	at[12 + len - 1] = (uint8_t)last;
	return 12 + len;
}

/* Turns the question in the packet into its answer; its length. */
static size_t answer_of(uint8_t *packet, bool by_tcp)
{
	const char *name = (const char *)packet + 13; /* behind the length of the first label */
	unsigned count = 0, type;
	size_t end;

	for (end = 12; packet[end] != 0; end += 1u + packet[end])
		;
	type = packet[end + 2];
	end += 5;
	packet[2] = 0x81; /* a response; recursion desired, and had */
	packet[3] = 0x80;
	memset(packet + 8, 0, 4); /* no additional records */
	if (strncmp(name, "both", 4) == 0)
		count = 3;
	else if (strncmp(name, "four", 4) == 0 && type == 1)
		count = 2;
	else if (strncmp(name, "many", 4) == 0 && type == 1 && by_tcp)
		count = 200;
	else if (strncmp(name, "many", 4) == 0 && type == 1)
		packet[2] |= 2; /* truncated */
	else if (strncmp(name, "fail", 4) == 0)
		packet[3] = 0x82;
	else if (strncmp(name, "none", 4) != 0)
		packet[3] = 0x83;
	for (unsigned i = 0; i < count; i++)
		end += put_record(packet + end, (int)type, i + 1);
	packet[6] = (uint8_t)(count >> 8);
	packet[7] = (uint8_t)count;
	return end;
}

static void on_query(struct minirpc_watch *watch, unsigned events)
{
	struct dns *dns = mrpc_container(watch, struct dns, watch);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof peer;
	uint8_t packet[8192];
	ssize_t len;

	(void)events;
	len = recvfrom(dns->fd, packet, 512, 0, (struct sockaddr *)&peer, &peer_len);
	ck_assert_int_gt(len, 16);
	dns->asked++;
	if (!dns->silent)
		(void)!sendto(dns->fd, packet, answer_of(packet, false), 0,
			      (struct sockaddr *)&peer, peer_len);
}

static void on_stream(struct minirpc_watch *watch, unsigned events)
{
	struct dns *dns = mrpc_container(watch, struct dns, stream);
	uint8_t packet[8192];
	ssize_t len = recv(dns->stream_fd, packet, 514, 0);
	size_t size;

	(void)events;
	if (len > 2) { /* small enough to come in one piece */
		dns->asked_by_tcp++;
		size = answer_of(packet + 2, true);
		packet[0] = (uint8_t)(size >> 8);
		packet[1] = (uint8_t)size;
		ck_assert_int_eq(send(dns->stream_fd, packet, size + 2, MSG_NOSIGNAL),
				 (ssize_t)size + 2);
		return;
	}
	mrpc_loop_unwatch(&dns->stream);
	close(dns->stream_fd);
}

static void on_connection(struct minirpc_watch *watch, unsigned events)
{
	struct dns *dns = mrpc_container(watch, struct dns, listener);

	(void)events;
	dns->stream_fd = accept(dns->listening_fd, NULL, NULL);
	ck_assert_int_ge(dns->stream_fd, 0);
	ck_assert_int_eq(
		mrpc_loop_watch(watch->loop, &dns->stream, dns->stream_fd, MINIRPC_READ, on_stream),
		0);
}

/* One port for both; another, when it is taken for the second. */
static uint16_t bind_both(struct dns *dns)
{
	for (;;) {
		struct sockaddr_in own = { .sin_family = AF_INET,
					   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof own;

		dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		dns->listening_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		ck_assert_int_eq(bind(dns->fd, (struct sockaddr *)&own, sizeof own), 0);
		getsockname(dns->fd, (struct sockaddr *)&own, &len);
		if (bind(dns->listening_fd, (struct sockaddr *)&own, sizeof own) == 0) {
			ck_assert_int_eq(listen(dns->listening_fd, 5), 0);
			return ntohs(own.sin_port);
		}
		close(dns->fd);
		close(dns->listening_fd);
	}
}

static void dns_init(struct dns *dns, minirpc_loop *loop)
{
	*dns = (struct dns){ 0 };
	snprintf(dns->servers, sizeof dns->servers, "127.0.0.1:%u", (unsigned)bind_both(dns));
	ck_assert_int_eq(mrpc_loop_watch(loop, &dns->watch, dns->fd, MINIRPC_READ, on_query), 0);
	ck_assert_int_eq(mrpc_loop_watch(loop, &dns->listener, dns->listening_fd, MINIRPC_READ,
					 on_connection),
			 0);
}

static void dns_clear(struct dns *dns)
{
	mrpc_loop_unwatch(&dns->watch);
	mrpc_loop_unwatch(&dns->listener);
	close(dns->fd);
	close(dns->listening_fd);
}

struct answer {
	bool done;
	int calls, error;
	size_t count;
	struct mrpc_address addresses[300];
	char reason[400];
	struct mrpc_resolution *resolution; /* to free in on_done */
};

static void on_done(void *user, const struct mrpc_address *addresses, size_t count, int error,
		    const char *reason)
{
	struct answer *answer = user;

	mrpc_resolution_free(answer->resolution); /* what we were given must survive it */
	answer->resolution = NULL;
	answer->done = true;
	answer->calls++;
	answer->error = error;
	answer->count = count;
	for (size_t i = 0; i < count; i++)
		answer->addresses[i] = addresses[i];
	snprintf(answer->reason, sizeof answer->reason, "%s", reason);
}

static struct hand_loop hand;
static struct dns dns;
static int descriptors;
static size_t live;

static void set_up(void)
{
	hand_init(&hand, NULL);
	dns_init(&dns, hand.loop);
	descriptors = open_descriptors();
	live = alloc_live();
}

static void tear_down(void)
{
	ck_assert_int_eq(open_descriptors(), descriptors);
	ck_assert_uint_le(alloc_live(), live + 1); /* the timers' heap */
	dns_clear(&dns);
	hand_clear(&hand);
	ck_assert_uint_eq(alloc_live(), 0);
}

static void resolve(struct answer *answer, const char *host)
{
	*answer = (struct answer){ 0 };
	ck_assert_int_eq(mrpc_resolve_by(&answer->resolution, hand.loop, dns.servers, host, 77,
					 on_done, answer),
			 0);
	ck_assert_int_eq(answer->calls, 0); /* never from inside */
	hand_until(&hand, &answer->done);
	hand_settle(&hand);
	ck_assert_int_eq(answer->calls, 1);
}

static void assert_address(const struct mrpc_address *address, const char *expected)
{
	char text[MRPC_ADDRESS_TEXT];

	mrpc_address_format(address, text);
	ck_assert_str_eq(text, expected);
}

START_TEST(literals_need_no_asking)
{
	static const char *const hosts[][2] = { { "127.0.0.1", "ipv4:127.0.0.1:77" },
						{ "::1", "ipv6:[::1]:77" },
						{ "fe80::1%lo", "ipv6:[fe80::1%1]:77" } };
	struct answer answer;

	for (size_t i = 0; i < 3; i++) {
		resolve(&answer, hosts[i][0]);
		ck_assert_int_eq(answer.error, 0);
		ck_assert_str_eq(answer.reason, "");
		ck_assert_uint_eq(answer.count, 1);
		assert_address(&answer.addresses[0], hosts[i][1]);
	}
	ck_assert_int_eq(dns.asked, 0);
}
END_TEST

START_TEST(localhost_is_this_machine_and_never_asked_for)
{
	static const char *const hosts[] = { "localhost", "LocalHost.", "a.b.localhost",
					     "x.localhost." };
	struct answer answer;

	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		bool has_ipv4 = false;

		resolve(&answer, hosts[i]);
		ck_assert_int_eq(answer.error, 0);
		ck_assert_uint_ge(answer.count, 1);
		for (size_t j = 0; j < answer.count; j++) {
			char text[MRPC_ADDRESS_TEXT];

			mrpc_address_format(&answer.addresses[j], text);
			ck_assert(strncmp(text, "ipv4:127.", 9) == 0 ||
				  strcmp(text, "ipv6:[::1]:77") == 0);
			has_ipv4 = has_ipv4 || text[3] == '4';
		}
		ck_assert(has_ipv4);
	}
	ck_assert_int_eq(dns.asked, 0);
}
END_TEST

START_TEST(both_families_come_by_turns_with_the_port)
{
	struct answer answer;

	resolve(&answer, "both.test");
	ck_assert_int_eq(answer.error, 0);
	ck_assert_uint_eq(answer.count, 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(mrpc_address_port(&answer.addresses[i]), 77);
		if (i > 0)
			ck_assert_int_ne(answer.addresses[i].any.sa_family,
					 answer.addresses[i - 1].any.sa_family);
	}
	ck_assert_int_eq(dns.asked, 2);
}
END_TEST

START_TEST(one_family_is_enough)
{
	struct answer answer;

	resolve(&answer, "four.test");
	ck_assert_int_eq(answer.error, 0);
	ck_assert_uint_eq(answer.count, 2);
	ck_assert_int_eq(answer.addresses[0].any.sa_family, AF_INET);
}
END_TEST

START_TEST(a_long_answer_comes_by_tcp_and_an_endless_one_is_cut)
{
	struct answer answer;

	resolve(&answer, "many.test");
	ck_assert_int_eq(answer.error, 0);
	ck_assert_uint_eq(answer.count, 64);
	ck_assert_int_eq(dns.asked_by_tcp, 1);
}
END_TEST

START_TEST(names_that_do_not_exist_say_so)
{
	struct answer answer;

	resolve(&answer, "nx.test");
	ck_assert_int_eq(answer.error, -ENOENT);
	ck_assert_str_eq(answer.reason, "nx.test: no such host");
	resolve(&answer, "none.test");
	ck_assert_int_eq(answer.error, -ENOENT);
	ck_assert_str_eq(answer.reason, "none.test: the name has no address");
	resolve(&answer, "fail.test");
	ck_assert_int_lt(answer.error, 0);
	ck_assert_uint_eq(answer.count, 0);
	ck_assert_int_eq(strncmp(answer.reason, "fail.test: ", 11), 0);
}
END_TEST

START_TEST(a_server_that_is_not_there_is_named)
{
	struct answer answer = { 0 };

	mrpc_loop_unwatch(&dns.watch);
	close(dns.fd); /* and with it goes the port */
	ck_assert_int_eq(mrpc_resolve_by(&answer.resolution, hand.loop, dns.servers, "both.test", 1,
					 on_done, &answer),
			 0);
	hand_until(&hand, &answer.done);
	ck_assert_int_eq(answer.error, -ECONNREFUSED);
	ck_assert_str_eq(answer.reason, "both.test: cannot reach the DNS servers");
	dns.fd = socket(AF_INET, SOCK_DGRAM, 0); /* for the tear-down */
}
END_TEST

START_TEST(one_that_is_freed_says_nothing_and_leaves_nothing)
{
	struct mrpc_resolution *resolution;
	struct answer answer = { 0 };

	mrpc_resolution_free(NULL);
	ck_assert_int_eq(mrpc_resolve_by(&resolution, hand.loop, dns.servers, "127.0.0.1", 1,
					 on_done, &answer),
			 0);
	mrpc_resolution_free(resolution); /* known, not told */
	ck_assert_int_eq(mrpc_resolve_by(&resolution, hand.loop, dns.servers, "both.test", 1,
					 on_done, &answer),
			 0);
	mrpc_resolution_free(resolution); /* asked */
	hand_settle(&hand);
	dns.silent = true;
	ck_assert_int_eq(mrpc_resolve_by(&resolution, hand.loop, dns.servers, "both.test", 1,
					 on_done, &answer),
			 0);
	hand_settle(&hand);
	hand_advance(&hand, MINIRPC_S(3600)); /* c-ares has a clock of its own: nothing happens */
	mrpc_resolution_free(resolution);     /* heard, no answer */
	hand_settle(&hand);
	ck_assert_int_eq(answer.calls, 0);
}
END_TEST

START_TEST(servers_that_cannot_be_parsed_are_refused)
{
	struct mrpc_resolution *resolution;
	struct answer answer = { 0 };

	ck_assert_int_lt(mrpc_resolve_by(&resolution, hand.loop, "no server", "both.test", 1,
					 on_done, &answer),
			 0);
	ck_assert_int_eq(answer.calls, 0);
}
END_TEST

START_TEST(every_allocation_of_a_resolution_may_fail)
{
	static const char *const hosts[] = { "127.0.0.1", "localhost", "both.test" };

	for (size_t i = 0; i < 3; i++) {
		bool fine = false;

		for (size_t n = 1; !fine; n++) {
			struct answer answer = { 0 };
			int r;

			alloc_fail_at(n, false);
			r = mrpc_resolve_by(&answer.resolution, hand.loop, dns.servers, hosts[i], 1,
					    on_done, &answer);
			if (r == 0)
				hand_until(&hand, &answer.done);
			else
				ck_assert_int_eq(r, -ENOMEM);
			fine = r == 0 && answer.error == 0;
			if (r == 0 && answer.error != 0)
				ck_assert_int_eq(answer.error, -ENOMEM);
			alloc_fail_at(0, false);
			ck_assert_int_eq(open_descriptors(), descriptors);
		}
	}
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/resolve");
	TCase *texts = tcase_create("texts"), *names = tcase_create("names");

	tcase_add_test(texts, addresses_are_written_as_grpc_writes_them);
	tcase_add_test(texts, what_is_no_ip_is_refused);
	tcase_add_loop_test(texts, a_target_is_taken_apart, 0,
			    (int)(sizeof parsed / sizeof parsed[0]));
	tcase_add_loop_test(texts, what_is_no_target_is_refused, 0,
			    (int)(sizeof not_targets / sizeof not_targets[0]));
	tcase_add_test(texts, names_and_paths_have_a_longest);
	tcase_add_test(texts, every_allocation_of_a_target_may_fail);
	suite_add_tcase(suite, texts);

	tcase_add_checked_fixture(names, set_up, tear_down);
	tcase_add_test(names, literals_need_no_asking);
	tcase_add_test(names, localhost_is_this_machine_and_never_asked_for);
	tcase_set_timeout(names, 60);
	suite_add_tcase(suite, names);
	if (!mrpc_resolve_asks_servers()) {
		puts("skipped: io/resolve: a DNS server of the test's is asked: not without c-ares");
		return suite;
	}
	tcase_add_test(names, both_families_come_by_turns_with_the_port);
	tcase_add_test(names, one_family_is_enough);
	tcase_add_test(names, a_long_answer_comes_by_tcp_and_an_endless_one_is_cut);
	tcase_add_test(names, names_that_do_not_exist_say_so);
	tcase_add_test(names, a_server_that_is_not_there_is_named);
	tcase_add_test(names, one_that_is_freed_says_nothing_and_leaves_nothing);
	tcase_add_test(names, servers_that_cannot_be_parsed_are_refused);
	tcase_add_test(names, every_allocation_of_a_resolution_may_fail);
	return suite;
}

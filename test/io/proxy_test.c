/* SPDX-License-Identifier: MIT */
/* lib/io/proxy.c, proxy_dial.c: a CONNECT proxy of the test's on the same loop, which says what it is told to. */
#include "io/proxy.h"

#include "base/alloc.h"
#include "io/dns_server.h"
#include "io/hand_loop.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Options ---- */

START_TEST(L_9_a_proxy_is_host_and_port_and_perhaps_a_login)
{
	static const struct {
		const char *text, *host;
		unsigned port;
		const char *authorization;
	} rows[] = {
		{ "squid:3128", "squid", 3128, NULL },
		{ "squid", "squid", 80, NULL },
		{ "http://squid.a.org:3128", "squid.a.org", 3128, NULL },
		{ "HTTP://10.0.0.1:3128/", "10.0.0.1", 3128, NULL },
		{ "[::1]:3128", "::1", 3128, NULL },
		{ "http://Aladdin:open%20sesame@squid:1", "squid", 1,
		  "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" }, /* RFC 7617 */
		{ "a:b@c@squid:1", "squid", 1, "Basic YTpiQGM=" },
		{ "a:%40%3a@squid:1", "squid", 1, "Basic YTpAOg==" },
		{ "user@squid:1", "squid", 1, "Basic dXNlcjo=" },
		{ "u:@squid:1", "squid", 1, "Basic dTo=" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mrpc_proxy proxy;

		ck_assert_msg(mrpc_proxy_init(&proxy, rows[i].text, NULL, NULL) == 0, "%s",
			      rows[i].text);
		ck_assert_str_eq(proxy.host, rows[i].host);
		ck_assert_uint_eq(proxy.port, rows[i].port);
		ck_assert_pstr_eq(proxy.authorization, rows[i].authorization);
		mrpc_proxy_clear(&proxy);
	}
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(what_is_no_proxy_is_refused)
{
	static const char *const texts[] = {
		"",
		"http://",
		"https://squid:1",
		"socks5://squid:1",
		"squid:0",
		"squid:x",
		"squid:65536",
		"squid:1/path",
		"a b:1",
		"@squid:1",
		":p@squid:1",
		"a%3ab:p@squid:1",
		"a%:p@squid:1",
		"a%4:p@squid:1",
		"a:%0d%0aX@squid:1",
		"a:\x7F@squid:1",
		"a:b@",
		"[::1:1",
		"squid\r\nX: y:1",
		"a:%00@squid:1",
	};
	char text[1100];
	struct mrpc_proxy proxy;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		ck_assert_msg(mrpc_proxy_init(&proxy, texts[i], NULL, NULL) == -EINVAL, "%s",
			      texts[i]);
	memset(text, 'u', sizeof text);
	strcpy(text + 1018, "@squid");
	ck_assert_int_eq(mrpc_proxy_init(&proxy, text, NULL, NULL), 0); /* 1024 bytes */
	mrpc_proxy_clear(&proxy);
	strcpy(text + 1019, "@squid");
	ck_assert_int_eq(mrpc_proxy_init(&proxy, text, NULL, NULL), -EINVAL);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(L_9_no_proxy_says_what_is_reached_without)
{
	static const struct {
		const char *no_proxy, *host;
		unsigned port;
		bool direct;
	} rows[] = {
		{ "", "a.org", 1, false },
		{ "*", "a.org", 1, true },
		{ " , * ", "10.0.0.1", 1, true },
		{ "a.org", "a.org", 1, true },
		{ "A.ORG.", "a.org", 1, true },
		{ "a.org", "a.org.", 1, true },
		{ "a.org", "b.a.org", 1, true },
		{ "a.org", "ba.org", 1, false },
		{ "a.org", "a.org.b", 1, false },
		{ "a.org", "org", 1, false },
		{ ".a.org", "b.a.org", 1, true },
		{ ".a.org", "c.b.a.org", 1, true },
		{ ".a.org", "a.org", 1, false },
		{ ".a.org", ".a.org", 1, false },
		{ "x,a.org ,y", "a.org", 1, true },
		{ "a.org:80", "a.org", 80, true },
		{ "a.org:80", "a.org", 81, false },
		{ "localhost", "localhost", 1, true },
		{ "localhost", "127.0.0.1", 1, false }, /* nothing is implied */
		{ "10.0.0.1", "10.0.0.1", 1, true },
		{ "10.0.0.1", "10.0.0.2", 1, false },
		{ "10.0.0.1", "x10.0.0.1", 1, false },
		{ "0.0.1", "10.0.0.1", 1, false },
		{ "10.0.0.1:5", "10.0.0.1", 5, true },
		{ "10.0.0.1:5", "10.0.0.1", 6, false },
		{ "10.0.0.0/8", "10.255.1.2", 1, true },
		{ "10.0.0.0/8", "11.0.0.1", 1, false },
		{ "10.0.0.0/31", "10.0.0.1", 1, true },
		{ "10.0.0.0/31", "10.0.0.2", 1, false },
		{ "10.0.0.0/32", "10.0.0.0", 1, true },
		{ "10.0.0.0/33", "10.0.0.0", 1, false },
		{ "0.0.0.0/0", "1.2.3.4", 1, true },
		{ "0.0.0.0/0", "::1", 1, false },
		{ "10.0.0.0/", "10.0.0.0", 1, false },
		{ "10.0.0.0/x", "10.0.0.0", 1, false },
		{ "10.0.0.0/8", "a.org", 1, false },
		{ "::1", "::1", 1, true },
		{ "[::1]:5", "::1", 5, true },
		{ "[::1]:5", "::1", 6, false },
		{ "fd00::/8", "fd12::1", 1, true },
		{ "fd00::/8", "fe80::1", 1, false },
		{ "fd00::/129", "fd00::", 1, false },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", 1, true },
		{ "/", "a.org", 1, false },
		{ ".", "a.org", 1, false },
		{ ":", "a.org", 1, false },
		{ "[", "a.org", 1, false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct mrpc_proxy proxy;

		ck_assert_int_eq(mrpc_proxy_init(&proxy, "squid:1", rows[i].no_proxy, NULL), 0);
		ck_assert_msg(mrpc_proxy_is_for(&proxy, rows[i].host, (uint16_t)rows[i].port) ==
				      !rows[i].direct,
			      "%s for %s:%u", rows[i].no_proxy, rows[i].host, rows[i].port);
		mrpc_proxy_clear(&proxy);
	}
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(only_tcp_goes_through_a_proxy)
{
	static const struct {
		const char *address;
		bool through;
	} rows[] = { { "10.0.0.1:5", false }, { "11.0.0.1:5", true }, { "[::1]:5", true },
		     { "[::2]:5", false },    { "unix:/x", false },   { "vsock:2:5", false } };
	struct mrpc_proxy proxy, none;
	struct mrpc_address address;

	ck_assert_int_eq(mrpc_proxy_init(&none, NULL, "a", NULL), 0);
	ck_assert_int_eq(mrpc_proxy_init(&proxy, "squid:1", "10.0.0.0/8,::2", NULL), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_int_eq(mrpc_address_parse(&address, rows[i].address), 0);
		ck_assert_int_eq(mrpc_proxy_is_for_address(&proxy, &address), rows[i].through);
		ck_assert(!mrpc_proxy_is_for_address(&none, &address));
	}
	mrpc_proxy_clear(&proxy);
}
END_TEST

/* ---- A proxy ---- */

static struct server {
	struct minirpc_watch listener, stream;
	int listening, fd;
	uint16_t port;
	const char *answers[3]; /* to the first, second, third CONNECT; NULL: silence */
	bool by_bytes, closes;
	unsigned asked;
	char request[4096];
	size_t len;
} server;

static struct hand_loop hand;
static struct mrpc_proxy proxy;
static int descriptors;

static void hang_up(void)
{
	if (server.fd < 0)
		return;
	mrpc_loop_unwatch(&server.stream);
	close(server.fd);
	server.fd = -1;
}

static void answer(const char *text)
{
	size_t len = strlen(text);

	for (; server.by_bytes && len > 1; text++, len--) {
		ck_assert_int_eq(send(server.fd, text, 1, MSG_NOSIGNAL), 1);
		hand_turn(&hand); /* the client reads this byte alone */
	}
	ck_assert_int_eq(send(server.fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static bool has_request;

static void on_request(struct minirpc_watch *watch, unsigned events)
{
	ssize_t len = recv(server.fd, server.request + server.len,
			   sizeof server.request - 1 - server.len, 0);

	(void)watch;
	(void)events;
	if (len <= 0) {
		hang_up();
		return;
	}
	server.len += (size_t)len;
	server.request[server.len] = '\0';
	has_request = strstr(server.request, "\r\n\r\n") != NULL;
}

static void on_connection(struct minirpc_watch *watch, unsigned events)
{
	(void)events;
	hang_up();
	server.len = 0;
	server.fd = accept4(server.listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ge(server.fd, 0);
	ck_assert_int_eq(setsockopt(server.fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)),
			 0);
	ck_assert_int_eq(
		mrpc_loop_watch(watch->loop, &server.stream, server.fd, MINIRPC_READ, on_request),
		0);
}

static struct got {
	bool done;
	unsigned calls;
	int fd, error;
	char reason[600], peer[MRPC_ADDRESS_TEXT];
	struct mrpc_proxy_dial *dial;
} got;

static void on_done(void *user, int fd, const struct mrpc_address *address, int error,
		    const char *reason)
{
	(void)user;
	mrpc_proxy_dial_free(got.dial); /* what we were given must survive it */
	got.dial = NULL;
	got.done = true;
	got.calls++;
	got.fd = fd;
	got.error = error;
	snprintf(got.reason, sizeof got.reason, "%s", reason);
	if (address != NULL)
		mrpc_address_format(address, got.peer);
}

static void set_up(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof own;
	char text[60];

	hand_init(&hand, NULL);
	server = (struct server){ .fd = -1 };
	got = (struct got){ .fd = -1 };
	has_request = false;
	server.listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(server.listening, (struct sockaddr *)&own, sizeof own), 0);
	ck_assert_int_eq(listen(server.listening, 5), 0);
	getsockname(server.listening, (struct sockaddr *)&own, &len);
	server.port = ntohs(own.sin_port);
	ck_assert_int_eq(mrpc_loop_watch(hand.loop, &server.listener, server.listening,
					 MINIRPC_READ, on_connection),
			 0);
	snprintf(text, sizeof text, "u:p%%3A@127.0.0.1:%u", server.port);
	ck_assert_int_eq(mrpc_proxy_init(&proxy, text, NULL, NULL), 0);
	descriptors = open_descriptors();
}

static void tear_down(void)
{
	mrpc_proxy_dial_free(got.dial);
	hang_up();
	if (got.fd >= 0)
		close(got.fd);
	ck_assert_int_eq(open_descriptors(), descriptors);
	mrpc_proxy_clear(&proxy);
	mrpc_loop_unwatch(&server.listener);
	close(server.listening);
	hand_clear(&hand);
	ck_assert_uint_eq(alloc_live(), 0);
}

static int try_begin(const char *host, const char *const *addresses, size_t count)
{
	struct mrpc_address parsed[3];

	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(mrpc_address_parse(&parsed[i], addresses[i]), 0);
	return mrpc_proxy_dial(&got.dial, hand.loop, &proxy, host, 443, parsed, count,
			       hand.now + MINIRPC_S(20), on_done, NULL);
}

/* Plays both sides until on_done. */
static void run(void)
{
	ck_assert_uint_eq(got.calls, 0); /* never from inside */
	while (!got.done) {
		hand_turn(&hand);
		if (!has_request)
			continue;
		has_request = false;
		if (server.answers[server.asked] != NULL)
			answer(server.answers[server.asked]);
		server.asked++;
		if (server.closes)
			hang_up();
	}
	hand_settle(&hand);
	ck_assert_uint_eq(got.calls, 1);
}

static void connect_to(const char *host, const char *response)
{
	server.answers[0] = response;
	ck_assert_int_eq(try_begin(host, NULL, 0), 0);
	run();
}

static void assert_refused(int error, const char *why)
{
	char reason[600];

	snprintf(reason, sizeof reason, "proxy 127.0.0.1:%u for a.org:443: %s", server.port, why);
	ck_assert_int_eq(got.fd, -1);
	ck_assert_int_eq(got.error, error);
	ck_assert_str_eq(got.reason, reason);
	ck_assert_ptr_null(strstr(got.reason, "dTpwOg"));
}

START_TEST(L_9_connect_names_the_server_and_logs_in)
{
	connect_to("a.org", "HTTP/1.1 200 Connection established\r\n\r\n");
	ck_assert_int_eq(got.error, 0);
	ck_assert_int_ge(got.fd, 0);
	ck_assert_int_eq(strncmp(got.peer, "ipv4:127.0.0.1:", 15), 0);
	ck_assert_str_eq(server.request, "CONNECT a.org:443 HTTP/1.1\r\n"
					 "Host: a.org:443\r\n"
					 "Proxy-Authorization: Basic dTpwOg==\r\n\r\n");
}
END_TEST

START_TEST(L_9_literals_and_no_login)
{
	proxy.authorization = mrpc_free(proxy.authorization);
	connect_to("::1", "HTTP/1.0 299\r\nA: b\r\n\r\n");
	ck_assert_int_eq(got.error, 0);
	ck_assert_str_eq(server.request, "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
}
END_TEST

START_TEST(the_servers_first_bytes_are_not_swallowed)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\n\r\nSETTINGS",
		"HTTP/1.1 200 OK\n\nSETTINGS",
		"HTTP/1.1 200\r\nVia: x\r\n\nSETTINGS",
		"HTTP/1.1 100 A\r\n\r\nHTTP/1.1 103 B\r\nC: d\r\n\r\nHTTP/1.1 204 \r\n\r\nSETTINGS",
	};
	char rest[20] = "";

	server.by_bytes = _i >= 4;
	connect_to("a.org", answers[_i % 4]);
	ck_assert_int_eq(got.error, 0);
	ck_assert_int_eq(recv(got.fd, rest, sizeof rest - 1, 0), 8);
	ck_assert_str_eq(rest, "SETTINGS");
}
END_TEST

START_TEST(L_9_a_refusal_is_told_with_its_status_line)
{
	static const struct {
		const char *answer, *why;
		int error;
	} rows[] = {
		{ "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
		  "HTTP/1.1 407 Proxy Authentication Required", -ECONNREFUSED },
		{ "HTTP/1.1 503 \x1B[2J\xC3\xA9\r\n\r\nbody", "HTTP/1.1 503 \\x1B[2J\\xC3\\xA9",
		  -ECONNREFUSED },
		{ "HTTP/1.1 302 Found\r\n\r\n", "HTTP/1.1 302 Found", -ECONNREFUSED },
		{ "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 101 Switching", -ECONNREFUSED },
		{ "HTTP/1.1 199999\r\n\r\n", "HTTP/1.1 199999", -EPROTO },
		{ "HTTP/2 200 OK\r\n\r\n", "HTTP/2 200 OK", -EPROTO },
		{ "SSH-2.0-OpenSSH_9.2\r\n\r\n", "SSH-2.0-OpenSSH_9.2", -EPROTO },
		{ "\r\n\r\n", "no HTTP answer", -EPROTO },
		{ "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 20", -EPROTO },
	};

	connect_to("a.org", rows[_i].answer);
	assert_refused(rows[_i].error, rows[_i].why);
}
END_TEST

START_TEST(a_long_status_line_is_cut)
{
	char answer[300] = "HTTP/1.1 500 ";

	memset(answer + 13, 0x01, 250);
	strcpy(answer + 263, "\r\n\r\n");
	connect_to("a.org", answer);
	ck_assert_uint_lt(strlen(got.reason), 512);
}
END_TEST

START_TEST(a_header_has_8_KiB)
{
	static char answer[8192 + 2];
	static const char start[] = "HTTP/1.1 200 OK\r\nX: ";
	size_t len = 8192 + (size_t)_i;

	memset(answer, 'x', len);
	memcpy(answer, start, sizeof start - 1);
	strcpy(answer + len - 4, "\r\n\r\n");
	connect_to("a.org", answer);
	if (_i == 0)
		ck_assert_int_eq(got.error, 0);
	else
		assert_refused(-EPROTO, "the header of its answer is longer than 8 KiB");
}
END_TEST

/* A flood of them would never let go of the loop, deadline or not. */
START_TEST(sixteen_interim_answers_are_enough)
{
	static const char interim[] = "HTTP/1.1 103 H\r\n\r\n", last[] = "HTTP/1.1 200 OK\r\n\r\n";
	char answer[17 * (sizeof interim - 1) + sizeof last] = "";

	for (int i = 0; i < 16 + _i; i++)
		strcat(answer, interim);
	strcat(answer, last);
	connect_to("a.org", answer);
	if (_i == 0)
		ck_assert_int_eq(got.error, 0);
	else
		assert_refused(-ECONNREFUSED, "HTTP/1.1 103 H");
}
END_TEST

START_TEST(one_that_hangs_up_is_told)
{
	server.closes = true;
	connect_to("a.org", _i == 0 ? NULL : "HTTP/1.1 200 OK\r\n");
	assert_refused(-ECONNRESET, "it closed the connection without an answer");
}
END_TEST

START_TEST(a_slow_one_has_until_the_deadline)
{
	ck_assert_int_eq(try_begin("a.org", NULL, 0), 0);
	while (!has_request)
		hand_turn(&hand);
	hand_advance(&hand, MINIRPC_S(20) - 1);
	ck_assert(!got.done);
	hand_advance(&hand, 1);
	assert_refused(-ETIMEDOUT, "no answer to CONNECT in time");
}
END_TEST

START_TEST(a_proxy_that_is_not_there_is_named)
{
	char expected[100];

	mrpc_loop_unwatch(&server.listener);
	close(server.listening);
	ck_assert_int_eq(try_begin("a.org", NULL, 0), 0);
	hand_until(&hand, &got.done);
	snprintf(expected, sizeof expected, "ipv4:127.0.0.1:%u: Connection refused", server.port);
	assert_refused(-ECONNREFUSED, expected);
	server.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* for the tear-down */
}
END_TEST

START_TEST(addresses_are_asked_for_one_after_the_other)
{
	static const char *const addresses[] = { "10.0.0.1:5", "[fd00::1]:5", "10.0.0.2:6" };
	char expected[200];

	server.answers[0] = "HTTP/1.1 502 Bad Gateway\r\n\r\n";
	server.answers[1] = "HTTP/1.1 200 OK\r\n\r\n";
	ck_assert_int_eq(try_begin(NULL, addresses, 3), 0);
	run();
	ck_assert_int_eq(got.error, 0);
	ck_assert_uint_eq(server.asked, 2);
	ck_assert_int_eq(strncmp(server.request, "CONNECT [fd00::1]:5 HTTP", 24), 0);
	close(got.fd);

	got = (struct got){ .fd = -1 };
	server.asked = 0;
	server.answers[1] = server.answers[2] = server.answers[0];
	ck_assert_int_eq(try_begin(NULL, addresses, 3), 0);
	run();
	ck_assert_uint_eq(server.asked, 3);
	snprintf(expected, sizeof expected,
		 "proxy 127.0.0.1:%u for 10.0.0.2:6: HTTP/1.1 502 Bad Gateway", server.port);
	ck_assert_str_eq(got.reason, expected);
}
END_TEST

START_TEST(one_that_is_freed_says_nothing_and_leaves_nothing)
{
	for (int turns = 0; turns < 8; turns++) {
		ck_assert_int_eq(try_begin("a.org", NULL, 0), 0);
		for (int i = 0; i < turns; i++)
			hand_turn(&hand);
		mrpc_proxy_dial_free(got.dial);
		got.dial = NULL;
		hand_settle(&hand);
	}
	mrpc_proxy_dial_free(NULL);
	ck_assert_uint_eq(got.calls, 0);
}
END_TEST

/* ---- The proxy's own name ---- */

static struct dns_server dns;
static struct mrpc_proxy named;

static void set_up_name(void)
{
	char text[60];

	set_up();
	dns_server_init(&dns, hand.loop);
	dns.a[0] = "127.0.0.1";
	snprintf(text, sizeof text, "proxy.test:%u", server.port);
	ck_assert_int_eq(mrpc_proxy_init(&named, text, NULL, dns.address), 0);
	named.min_interval = MINIRPC_S(30);
	descriptors = open_descriptors();
}

static void tear_down_name(void)
{
	mrpc_proxy_clear(&named);
	dns_server_clear(&dns);
	descriptors -= 1;
	tear_down();
}

/* What a dial later than the last one by so much ends with. */
static int dial_after(minirpc_time span)
{
	hand.now += span;
	hand_settle(&hand);
	got = (struct got){ .fd = -1 };
	has_request = false;
	server.asked = 0;
	server.answers[0] = "HTTP/1.1 200 OK\r\n\r\n";
	ck_assert_int_eq(mrpc_proxy_dial(&got.dial, hand.loop, &named, "a.org", 443, NULL, 0,
					 hand.now + MINIRPC_S(20), on_done, NULL),
			 0);
	run();
	if (got.fd >= 0)
		close(got.fd);
	got.fd = -1;
	return got.error;
}

START_TEST(L_2_the_proxys_name_is_looked_up_anew_after_its_ttl)
{
	dns.ttl = 60;
	ck_assert_int_eq(dial_after(0), 0);
	ck_assert_uint_eq(dns.asked_a, 1);
	ck_assert_int_eq(dial_after(MINIRPC_S(60) - 1), 0);
	ck_assert_uint_eq(dns.asked_a, 1);
	ck_assert_int_eq(dial_after(1), 0);
	ck_assert_uint_eq(dns.asked_a, 2);
}
END_TEST

START_TEST(L_2_the_proxys_name_keeps_the_minimum_interval)
{
	dns.ttl = 5;
	ck_assert_int_eq(dial_after(0), 0);
	ck_assert_int_eq(dial_after(MINIRPC_S(30) - 1), 0);
	ck_assert_uint_eq(dns.asked_a, 1);
	ck_assert_int_eq(dial_after(1), 0);
	ck_assert_uint_eq(dns.asked_a, 2);
}
END_TEST

START_TEST(L_2_a_proxy_that_moved_is_found)
{
	dns.ttl = 3600;
	dns.a[0] = "127.0.0.2"; /* nobody listens there */
	ck_assert_int_eq(dial_after(0), -ECONNREFUSED);
	dns.a[0] = "127.0.0.1";
	ck_assert_int_eq(dial_after(MINIRPC_S(30) - 1), -ECONNREFUSED);
	ck_assert_uint_eq(dns.asked_a, 1);
	ck_assert_int_eq(dial_after(1), 0); /* its TTL is not over */
	ck_assert_uint_eq(dns.asked_a, 2);
	ck_assert_int_eq(dial_after(MINIRPC_S(3599)), 0);
	ck_assert_uint_eq(dns.asked_a, 2);
}
END_TEST

START_TEST(a_proxy_whose_name_is_not_found_is_asked_for_by_every_dial)
{
	dns.rcode = 3;
	ck_assert_int_eq(dial_after(0), -ENOENT);
	dns.rcode = 0;
	ck_assert_int_eq(dial_after(0), 0); /* they have a backoff of their own */
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	for (size_t n = 1;; n++) {
		int r;

		got = (struct got){ .fd = -1 };
		server.asked = 0;
		server.answers[0] = "HTTP/1.1 200 OK\r\n\r\n";
		has_request = false;
		alloc_fail_at(n, false);
		r = try_begin("a.org", NULL, 0);
		if (r == 0)
			run();
		alloc_fail_at(0, false);
		if (r == 0 && got.error == 0)
			return;
		ck_assert_int_eq(r < 0 ? r : got.error, -ENOMEM);
	}
}
END_TEST

START_TEST(every_allocation_of_the_options_may_fail)
{
	int r = -1;

	for (size_t n = 1; r != 0; n++) {
		struct mrpc_proxy made;

		alloc_fail_at(n, false);
		r = mrpc_proxy_init(&made, "http://a:b@squid:1", "a", "10.0.0.1");
		alloc_fail_at(0, false);
		ck_assert(r == 0 || r == -ENOMEM);
		if (r == 0)
			mrpc_proxy_clear(&made);
		ck_assert_uint_eq(alloc_live(), 0);
	}
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/proxy");
	TCase *options = tcase_create("options"), *ways = tcase_create("ways"),
	      *name = tcase_create("name");

	tcase_add_test(options, L_9_a_proxy_is_host_and_port_and_perhaps_a_login);
	tcase_add_test(options, what_is_no_proxy_is_refused);
	tcase_add_test(options, L_9_no_proxy_says_what_is_reached_without);
	tcase_add_test(options, only_tcp_goes_through_a_proxy);
	tcase_add_test(options, every_allocation_of_the_options_may_fail);
	suite_add_tcase(suite, options);

	tcase_add_checked_fixture(ways, set_up, tear_down);
	tcase_add_test(ways, L_9_connect_names_the_server_and_logs_in);
	tcase_add_test(ways, L_9_literals_and_no_login);
	tcase_add_loop_test(ways, the_servers_first_bytes_are_not_swallowed, 0, 8);
	tcase_add_loop_test(ways, L_9_a_refusal_is_told_with_its_status_line, 0, 9);
	tcase_add_test(ways, a_long_status_line_is_cut);
	tcase_add_loop_test(ways, a_header_has_8_KiB, 0, 2);
	tcase_add_loop_test(ways, sixteen_interim_answers_are_enough, 0, 2);
	tcase_add_loop_test(ways, one_that_hangs_up_is_told, 0, 2);
	tcase_add_test(ways, a_slow_one_has_until_the_deadline);
	tcase_add_test(ways, a_proxy_that_is_not_there_is_named);
	tcase_add_test(ways, addresses_are_asked_for_one_after_the_other);
	tcase_add_test(ways, one_that_is_freed_says_nothing_and_leaves_nothing);
	tcase_add_test(ways, every_allocation_may_fail);
	suite_add_tcase(suite, ways);

	if (!mrpc_resolve_asks_servers()) {
		puts("skipped: io/proxy: a DNS server of the test's is asked: not without c-ares");
		return suite;
	}
	tcase_add_checked_fixture(name, set_up_name, tear_down_name);
	tcase_add_test(name, L_2_the_proxys_name_is_looked_up_anew_after_its_ttl);
	tcase_add_test(name, L_2_the_proxys_name_keeps_the_minimum_interval);
	tcase_add_test(name, L_2_a_proxy_that_moved_is_found);
	tcase_add_test(name, a_proxy_whose_name_is_not_found_is_asked_for_by_every_dial);
	suite_add_tcase(suite, name);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* A channel through an HTTP CONNECT proxy [L-9]: a proxy of the test's that forwards, on the same loop, between
 * real sockets. What it may say is tried in io/proxy. */
#include "client/channel.h"
#include "client/pair.h"
#include "io/loop.h"
#include "run_suite.h"
#include "world/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One client at a time: what comes from one side goes to the other. */
static struct forwarder {
	struct minirpc_watch listener, client, server;
	int listening, client_fd, server_fd; /* -1: closed */
	uint16_t port, to;                   /* 0: where the request says */
	const char *refusal;                 /* NULL: forwards */
	char request[2000];
	size_t len;
	unsigned connects;
} proxy;

static minirpc_loop *loop;
static minirpc_server *server;
static minirpc_channel *channel;
static uint16_t port;

static void close_both(void)
{
	mrpc_loop_unwatch(&proxy.client);
	mrpc_loop_unwatch(&proxy.server);
	if (proxy.client_fd >= 0)
		close(proxy.client_fd);
	if (proxy.server_fd >= 0)
		close(proxy.server_fd);
	proxy.client_fd = proxy.server_fd = -1;
}

static void forward(int from, int to)
{
	char bytes[16384];
	ssize_t len = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);

	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0 || send(to, bytes, (size_t)len, MSG_NOSIGNAL) != len)
		close_both();
}

static void from_server(struct minirpc_watch *watch, unsigned events)
{
	(void)watch;
	(void)events;
	forward(proxy.server_fd, proxy.client_fd);
}

static void from_client(struct minirpc_watch *watch, unsigned events)
{
	static const char fine[] = "HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n";
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(proxy.to),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ssize_t len;

	(void)events;
	if (proxy.server_fd >= 0) {
		forward(proxy.client_fd, proxy.server_fd);
		return;
	}
	len = recv(proxy.client_fd, proxy.request + proxy.len, sizeof proxy.request - 1 - proxy.len,
		   MSG_DONTWAIT);
	if (len <= 0) {
		close_both();
		return;
	}
	proxy.len += (size_t)len;
	proxy.request[proxy.len] = '\0';
	if (strstr(proxy.request, "\r\n\r\n") == NULL)
		return;
	proxy.connects++;
	if (proxy.refusal != NULL) {
		(void)!send(proxy.client_fd, proxy.refusal, strlen(proxy.refusal), MSG_NOSIGNAL);
		return;
	}
	if (proxy.to == 0)
		to.sin_port = htons((uint16_t)atoi(strchr(proxy.request, ':') + 1));
	proxy.server_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(proxy.server_fd, (struct sockaddr *)&to, sizeof to), 0);
	ck_assert_int_eq(send(proxy.client_fd, fine, strlen(fine), MSG_NOSIGNAL),
			 (ssize_t)strlen(fine));
	ck_assert_int_eq(mrpc_loop_watch(watch->loop, &proxy.server, proxy.server_fd, MINIRPC_READ,
					 from_server),
			 0);
}

static void on_connection(struct minirpc_watch *watch, unsigned events)
{
	(void)events;
	close_both();
	proxy.len = 0;
	proxy.client_fd = accept(proxy.listening, NULL, NULL);
	ck_assert_int_ge(proxy.client_fd, 0);
	ck_assert_int_eq(mrpc_loop_watch(watch->loop, &proxy.client, proxy.client_fd, MINIRPC_READ,
					 from_client),
			 0);
}

static void set_up(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof own;

	server = NULL;
	channel = NULL;
	memset(&seen, 0, sizeof seen);
	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
	proxy = (struct forwarder){ .client_fd = -1, .server_fd = -1 };
	proxy.client.fd = proxy.server.fd = -1;
	proxy.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(proxy.listening, (struct sockaddr *)&own, sizeof own), 0);
	ck_assert_int_eq(listen(proxy.listening, 5), 0);
	ck_assert_int_eq(getsockname(proxy.listening, (struct sockaddr *)&own, &len), 0);
	proxy.port = ntohs(own.sin_port);
	ck_assert_int_eq(mrpc_loop_watch(loop, &proxy.listener, proxy.listening, MINIRPC_READ,
					 on_connection),
			 0);
}

static void tear_down(void)
{
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	close_both();
	mrpc_loop_unwatch(&proxy.listener);
	close(proxy.listening);
	minirpc_loop_free(loop);
}

static void serve(minirpc_tls *tls)
{
	ck_assert_int_eq(
		minirpc_server_new(&server, loop, &(struct minirpc_server_options){ .tls = tls }),
		0);
	pair_serve(server);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
	proxy.to = port;
}

static void open_to(const char *target, const char *no_proxy, minirpc_tls *tls)
{
	char text[80];

	snprintf(text, sizeof text, "http://user:p%%40ss@127.0.0.1:%u", proxy.port);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target,
					     &(struct minirpc_channel_options){
						     .tls = tls,
						     .proxy = text,
						     .no_proxy = no_proxy,
						     .connect_timeout = MINIRPC_S(5) }),
			 0);
}

static void call(struct probe *probe)
{
	*probe = (struct probe){ 0 };
	probe_call(probe, channel, &echo, NULL);
	ck_assert_int_eq(minirpc_call_wait(probe->call), 0);
	ck_assert_uint_eq(probe->ends, 1);
}

START_TEST(L_9_the_proxy_resolves_the_name)
{
	struct probe probe;

	serve(NULL);
	open_to("dns:///cache.nowhere.invalid:5051", NULL, NULL);
	call(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_ptr_nonnull(
		strstr(proxy.request, "CONNECT cache.nowhere.invalid:5051 HTTP/1.1\r\n"));
	ck_assert_ptr_nonnull(
		strstr(proxy.request, "\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n"));
	call(&probe);
	ck_assert_uint_eq(proxy.connects, 1);
}
END_TEST

START_TEST(L_9_tls_goes_on_to_the_server)
{
	struct pki_identity *ca = pki_ca("test authority"),
			    *identity = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *of_server, *of_client;
	struct probe probe;
	char target[40];

	ck_assert_int_eq(
		minirpc_tls_new(&of_server,
				&(struct minirpc_tls_options){ .cert_pem = identity->cert_pem,
							       .key_pem = identity->key_pem }),
		0);
	ck_assert_int_eq(minirpc_tls_new(&of_client,
					 &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }),
			 0);
	serve(of_server);
	snprintf(target, sizeof target, "localhost:%u", port);
	open_to(target, "127.0.0.1,.localhost", of_client);
	call(&probe);
	ck_assert_str_eq(probe.text, "");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(proxy.connects, 1);
	minirpc_tls_unref(of_server);
	minirpc_tls_unref(of_client);
	pki_free(identity);
	pki_free(ca);
}
END_TEST

START_TEST(L_9_addresses_are_asked_for_as_they_are)
{
	struct probe probe;
	char target[60], expected[80];

	serve(NULL);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", port);
	open_to(target, "localhost", NULL);
	call(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	snprintf(expected, sizeof expected, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n", port);
	ck_assert_int_eq(strncmp(proxy.request, expected, strlen(expected)), 0);
}
END_TEST

START_TEST(L_9_no_proxy_is_honoured_for_names_and_addresses)
{
	static const char *const rows[][2] = {
		{ "localhost", "localhost" }, /* whatever its addresses are */
		{ "ipv4:127.0.0.1", "x,127.0.0.0/8" },
		{ "127.0.0.1", "127.0.0.1" },
	};
	struct probe probe;
	char target[60];

	serve(NULL);
	for (size_t i = 0; i < 3; i++) {
		snprintf(target, sizeof target, "%s:%u", rows[i][0], port);
		open_to(target, rows[i][1], NULL);
		call(&probe);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		channel = minirpc_channel_free(channel);
	}
	ck_assert_uint_eq(proxy.connects, 0);
}
END_TEST

/* The address of the channel's one subchannel. */
static const char *address(void)
{
	return mrpc_subchannel_address(
		mrpc_container(channel->subchannels.next, struct mrpc_subchannel, node));
}

START_TEST(the_peer_is_the_proxy_and_the_address_is_the_servers)
{
	struct probe probe;
	char text[80];

	serve(NULL);
	open_to("cache.nowhere.invalid:5051", NULL, NULL);
	call(&probe);
	snprintf(text, sizeof text, "ipv4:127.0.0.1:%u", proxy.port);
	ck_assert_str_eq(probe.peer, text);
	ck_assert_str_eq(address(), "cache.nowhere.invalid:5051");
	minirpc_channel_free(channel);

	open_to("[2001:db8::1]:5051", NULL, NULL);
	call(&probe);
	ck_assert_str_eq(address(), "[2001:db8::1]:5051");
	minirpc_channel_free(channel);

	snprintf(text, sizeof text, "ipv4:127.0.0.1:%u", port);
	open_to(text, NULL, NULL);
	call(&probe);
	ck_assert_str_eq(address(), text);
}
END_TEST

/* The first of two addresses of a server is not the one that it should be; there is no wait for the second. */
START_TEST(a_server_whose_tls_fails_behind_the_proxy_has_its_other_addresses_tried)
{
	struct pki_identity *ca = pki_ca("test authority"),
			    *identity = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *of_server, *of_client;
	minirpc_server *plain;
	char texts[2][40], proxy_text[40];
	const char *addresses[] = { texts[0], texts[1], NULL };
	struct probe probe;

	ck_assert_int_eq(
		minirpc_tls_new(&of_server,
				&(struct minirpc_tls_options){ .cert_pem = identity->cert_pem,
							       .key_pem = identity->key_pem }),
		0);
	ck_assert_int_eq(minirpc_tls_new(&of_client,
					 &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }),
			 0);
	serve(NULL);
	plain = server;
	snprintf(texts[0], sizeof texts[0], "127.0.0.1:%u", port);
	serve(of_server);
	snprintf(texts[1], sizeof texts[1], "127.0.0.1:%u", port);
	proxy.to = 0;
	snprintf(proxy_text, sizeof proxy_text, "127.0.0.1:%u", proxy.port);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, "list:cache",
					     &(struct minirpc_channel_options){
						     .tls = of_client,
						     .proxy = proxy_text,
						     .load_balancing = "round_robin",
						     .backoff_initial = MINIRPC_S(3600),
						     .backoff_max = MINIRPC_S(3600) }),
			 0);
	ck_assert_int_eq(minirpc_channel_set_addresses(
				 channel,
				 &(struct minirpc_endpoint){ .addresses = addresses,
							     .server_name = "localhost" },
				 1),
			 0);
	call(&probe);
	ck_assert_str_eq(probe.text, "");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(proxy.connects, 2);
	minirpc_server_free(plain);
	minirpc_tls_unref(of_server);
	minirpc_tls_unref(of_client);
	pki_free(identity);
	pki_free(ca);
}
END_TEST

START_TEST(a_failure_behind_the_proxy_names_the_server)
{
	struct pki_identity *ca = pki_ca("test authority");
	struct probe probe;
	minirpc_tls *tls;
	char target[40], expected[80];

	ck_assert_int_eq(
		minirpc_tls_new(&tls, &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }), 0);
	serve(NULL); /* it does not speak TLS */
	open_to("a.test:443", NULL, tls);
	call(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_msg(strstr(probe.text, "connection to a.test:443 failed: ") != NULL, "%s",
		      probe.text);
	minirpc_channel_free(channel);

	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", port);
	open_to(target, NULL, tls);
	call(&probe);
	snprintf(expected, sizeof expected, "connection to %s failed: ", target);
	ck_assert_msg(strstr(probe.text, expected) != NULL, "%s", probe.text);
	minirpc_tls_unref(tls);
	pki_free(ca);
}
END_TEST

START_TEST(a_refusal_fails_calls_and_says_why)
{
	struct probe probe;
	char expected[200];

	proxy.refusal = "HTTP/1.1 403 Not for you\r\n\r\n";
	open_to("cache.test:5051", NULL, NULL);
	call(&probe);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	snprintf(expected, sizeof expected,
		 "connection to proxy 127.0.0.1:%u for cache.test:5051 failed: HTTP/1.1 403 Not "
		 "for you",
		 proxy.port);
	ck_assert_msg(strstr(probe.text, expected) != NULL, "%s", probe.text);
	ck_assert_ptr_null(strstr(probe.text, "p@ss"));
}
END_TEST

START_TEST(a_proxy_that_is_none_is_refused_at_once)
{
	minirpc_channel *none;

	ck_assert_int_eq(minirpc_channel_new(
				 &none, loop, "a.org",
				 &(struct minirpc_channel_options){ .proxy = "socks5://squid:1" }),
			 -EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(&none, loop, "a.org",
				    &(struct minirpc_channel_options){ .dns_servers = "ns.a.org" }),
		-EINVAL);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("client/proxy");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, L_9_the_proxy_resolves_the_name);
	tcase_add_test(all, L_9_tls_goes_on_to_the_server);
	tcase_add_test(all, L_9_addresses_are_asked_for_as_they_are);
	tcase_add_test(all, L_9_no_proxy_is_honoured_for_names_and_addresses);
	tcase_add_test(all, the_peer_is_the_proxy_and_the_address_is_the_servers);
	tcase_add_test(all,
		       a_server_whose_tls_fails_behind_the_proxy_has_its_other_addresses_tried);
	tcase_add_test(all, a_failure_behind_the_proxy_names_the_server);
	tcase_add_test(all, a_refusal_fails_calls_and_says_why);
	tcase_add_test(all, a_proxy_that_is_none_is_refused_at_once);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	return suite;
}

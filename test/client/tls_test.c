/* SPDX-License-Identifier: MIT */
/* Channel and server over TLS: who is verified, what handlers see, what a failure says. */
#include "client/pair.h"
#include "run_suite.h"

#include "world/pki.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static minirpc_loop *loop;
static minirpc_server *server;
static minirpc_channel *channel;
static struct pki_identity *ca, *server_id, *client_id;
static uint16_t port;

static struct {
	unsigned calls;
	size_t certificate_len;
} peer;

static void note_certificate(minirpc_call *call, const struct minirpc_metadata *metadata,
			     void *user)
{
	(void)metadata;
	(void)user;
	peer.calls++;
	if (minirpc_call_peer_certificate(call, &peer.certificate_len) == NULL)
		peer.certificate_len = 0;
	minirpc_call_fail(call, MINIRPC_ABORTED, "seen");
}

static const struct minirpc_method look = { .path = "/t.T/look" };
static const struct minirpc_call_events look_events = { .on_headers = note_certificate };

static minirpc_tls *tls_of(const struct minirpc_tls_options *options)
{
	minirpc_tls *tls;

	ck_assert_int_eq(minirpc_tls_new(&tls, options), 0);
	return tls;
}

static void serve_with(const struct minirpc_tls_options *options)
{
	minirpc_tls *tls = tls_of(options);

	ck_assert_int_eq(
		minirpc_server_new(&server, loop, &(struct minirpc_server_options){ .tls = tls }),
		0);
	minirpc_tls_unref(tls);
	pair_serve(server);
	ck_assert_int_eq(minirpc_server_add(server, &look, &look_events, NULL, NULL), 0);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
}

static void connect_with(const char *host, const struct minirpc_tls_options *options)
{
	minirpc_tls *tls = options == NULL ? NULL : tls_of(options);
	char target[64];

	snprintf(target, sizeof target, "%s:%u", host, port);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target,
					     &(struct minirpc_channel_options){
						     .tls = tls, .connect_timeout = MINIRPC_S(5) }),
			 0);
	minirpc_tls_unref(tls);
}

static void call(struct probe *probe, const struct minirpc_method *method)
{
	*probe = (struct probe){ 0 };
	probe_call(probe, channel, method, NULL);
	ck_assert_int_eq(minirpc_call_wait(probe->call), 0);
	ck_assert_uint_eq(probe->ends, 1);
}

static void setup(void)
{
	memset(&peer, 0, sizeof peer);
	server = NULL;
	channel = NULL;
	ca = pki_ca("test authority");
	server_id = pki_leaf(ca, &(struct pki_leaf){ 0 });
	client_id = pki_leaf(ca, &(struct pki_leaf){ .cn = "client", .eku = "clientAuth" });
	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
}

static void teardown(void)
{
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	pki_free(client_id);
	pki_free(server_id);
	pki_free(ca);
}

static struct minirpc_tls_options server_options(void)
{
	return (struct minirpc_tls_options){ .cert_pem = server_id->cert_pem,
					     .key_pem = server_id->key_pem };
}

START_TEST(a_call_runs_over_tls_by_name_and_by_address)
{
	static const char *const hosts[] = { "localhost", "ipv4:127.0.0.1" };
	struct minirpc_tls_options options = server_options();
	struct probe probe;

	serve_with(&options);
	for (int i = 0; i < 2; i++) {
		connect_with(hosts[i], &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem });
		call(&probe, &echo);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_str_eq(probe.last, "hello");
		call(&probe, &look);
		ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
		ck_assert_uint_eq(peer.certificate_len, 0); /* it was not asked for one */
		channel = minirpc_channel_free(channel);
	}
}
END_TEST

START_TEST(a_handler_sees_the_clients_certificate)
{
	struct minirpc_tls_options options = server_options();
	struct probe probe;

	options.ca_pem = ca->cert_pem;
	serve_with(&options);
	connect_with("localhost", &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem,
								 .cert_pem = client_id->cert_pem,
								 .key_pem = client_id->key_pem });
	call(&probe, &look);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_uint_gt(peer.certificate_len, 100);
}
END_TEST

START_TEST(a_client_without_the_certificate_it_was_asked_for_is_refused)
{
	struct minirpc_tls_options options = server_options();
	struct probe probe;

	options.ca_pem = ca->cert_pem;
	serve_with(&options);
	connect_with("localhost", &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem });
	call(&probe, &echo);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(peer.calls, 0);
}
END_TEST

START_TEST(a_server_that_is_not_who_it_should_be_is_refused_and_the_text_says_why)
{
	struct pki_identity *other = pki_ca("somebody else");
	struct minirpc_tls_options options = server_options();
	struct probe probe;

	serve_with(&options);
	connect_with("localhost", &(struct minirpc_tls_options){ .ca_pem = other->cert_pem });
	call(&probe, &echo);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(probe.text, "connection to ipv4:127.0.0.1:"));
	ck_assert_ptr_nonnull(strstr(probe.text, "certificate"));
	channel = minirpc_channel_free(channel);

	connect_with("localhost", &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem,
								 .server_name = "example.org" });
	call(&probe, &echo);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(probe.text, "failed: "));
	channel = minirpc_channel_free(channel);

	connect_with("localhost", &(struct minirpc_tls_options){ .insecure_skip_verify = true });
	call(&probe, &echo);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	pki_free(other);
}
END_TEST

START_TEST(clear_text_and_tls_do_not_meet)
{
	struct minirpc_tls_options options = server_options();
	struct probe probe;

	serve_with(&options);
	connect_with("localhost", NULL);
	call(&probe, &echo);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(a_server_without_a_certificate_is_refused_when_it_is_made)
{
	minirpc_tls *tls = tls_of(&(struct minirpc_tls_options){ .ca_pem = ca->cert_pem });

	ck_assert_int_eq(
		minirpc_server_new(&server, loop, &(struct minirpc_server_options){ .tls = tls }),
		-EINVAL);
	minirpc_tls_unref(tls);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/tls");
	TCase *t = tcase_create("tls");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_call_runs_over_tls_by_name_and_by_address);
	tcase_add_test(t, a_handler_sees_the_clients_certificate);
	tcase_add_test(t, a_client_without_the_certificate_it_was_asked_for_is_refused);
	tcase_add_test(t, a_server_that_is_not_who_it_should_be_is_refused_and_the_text_says_why);
	tcase_add_test(t, clear_text_and_tls_do_not_meet);
	tcase_add_test(t, a_server_without_a_certificate_is_refused_when_it_is_made);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* An :authority of a call's own: who sees it, who may not be told it [N-4], and what is malformed. With it,
 * what else a call says about itself: secure, loop, principal, pushback. */
#include "client/pair.h"
#include "run_suite.h"

#include "world/pki.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static minirpc_loop *loop;
static minirpc_server *server;
static minirpc_channel *channel;
static minirpc_tls *server_tls, *client_tls;
static struct pki_identity *ca, *server_id;
static uint16_t port;

static struct {
	unsigned calls;
	char authority[64];
	bool secure;
	minirpc_loop *loop;
} seen_call;

static void note(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	seen_call.calls++;
	snprintf(seen_call.authority, sizeof seen_call.authority, "%s",
		 minirpc_call_authority(call));
	seen_call.secure = minirpc_call_is_secure(call);
	seen_call.loop = minirpc_call_loop(call);
	minirpc_call_fail(call, MINIRPC_ABORTED, "seen");
}

static const struct minirpc_method look = { .path = "/t.T/look" };
static const struct minirpc_call_events look_events = { .on_headers = note };

static void open_both(bool tls)
{
	char target[64];

	ck_assert_int_eq(minirpc_server_new(&server, loop,
					    &(struct minirpc_server_options){
						    .tls = tls ? server_tls : NULL }),
			 0);
	ck_assert_int_eq(minirpc_server_add(server, &look, &look_events, NULL, NULL), 0);
	ck_assert_int_eq(
		minirpc_server_listen(server, "127.0.0.1:0",
				      &(struct minirpc_listen_options){ .ret_port = &port }),
		0);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", port);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target,
					     &(struct minirpc_channel_options){
						     .tls = tls ? client_tls : NULL,
						     .authority = "channel.example" }),
			 0);
}

static void call_as(struct probe *probe, const char *authority)
{
	*probe = (struct probe){ 0 };
	ck_assert_int_eq(minirpc_call_open(&probe->call, channel, &look,
					   &(struct minirpc_call_options){ .authority = authority },
					   &probe_events, probe),
			 0);
	if (minirpc_call_send(probe->call, "x", 1) == 0) /* else it is over already */
		ck_assert_int_eq(minirpc_call_end(probe->call, NULL), 0);
	ck_assert_int_eq(minirpc_call_wait(probe->call), 0);
	ck_assert_uint_eq(probe->ends, 1);
}

static uint64_t started(void)
{
	struct minirpc_conn_counts counts;

	minirpc_server_counts(server, &counts);
	return counts.calls_started;
}

static void setup(void)
{
	memset(&seen_call, 0, sizeof seen_call);
	server = NULL;
	channel = NULL;
	ca = pki_ca("test authority");
	server_id = pki_leaf(
		ca, &(struct pki_leaf){
			    .san = "DNS:localhost,DNS:*.shop.example,IP:127.0.0.1,IP:::1" });
	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(
		minirpc_tls_new(&server_tls,
				&(struct minirpc_tls_options){ .cert_pem = server_id->cert_pem,
							       .key_pem = server_id->key_pem }),
		0);
	ck_assert_int_eq(minirpc_tls_new(&client_tls,
					 &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }),
			 0);
}

static void teardown(void)
{
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	minirpc_tls_unref(server_tls);
	minirpc_tls_unref(client_tls);
	pki_free(server_id);
	pki_free(ca);
}

START_TEST(over_tls_an_authority_that_the_certificate_is_good_for_is_sent) /* N-4 */
{
	static const char *const good[] = { "localhost",   "a.shop.example:8443", "B.Shop.Example",
					    "127.0.0.1:1", "[::1]:50051",         "localhost." };
	struct probe probe;

	open_both(true);
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		call_as(&probe, good[i]);
		ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
		ck_assert_str_eq(seen_call.authority, good[i]);
	}
	ck_assert_uint_eq(started(), sizeof good / sizeof *good);
}
END_TEST

START_TEST(over_tls_any_other_ends_unavailable_and_nothing_is_sent) /* N-4, A81 */
{
	static const char *const bad[] = { "evil.example",
					   "shop.example",
					   "a.b.shop.example",
					   ".shop.example",
					   "127.0.0.2",
					   "[::2]:443",
					   "a" };
	struct probe probe;

	open_both(true);
	call_as(&probe, NULL);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_uint_eq(started(), 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		call_as(&probe, bad[i]);
		ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
		ck_assert_ptr_nonnull(strstr(probe.text, "certificate is not good for authority "));
		ck_assert_ptr_nonnull(strstr(probe.text, bad[i]));
	}
	ck_assert_uint_eq(started(), 1);
	ck_assert_uint_eq(seen_call.calls, 1);

	/* One bad name costs the others nothing, and a good one is not good for the next. */
	call_as(&probe, "a.shop.example");
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	call_as(&probe, "a.shop.exampl");
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(started(), 2);
}
END_TEST

START_TEST(a_call_that_waited_for_its_connection_is_checked_as_well) /* N-4 */
{
	struct probe probe;

	open_both(true); /* the first call of a channel connects it */
	call_as(&probe, "evil.example");
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(started(), 0);
	ck_assert_int_eq(minirpc_channel_state(channel), MINIRPC_READY);
}
END_TEST

START_TEST(the_channels_own_authority_is_its_users_business)
{
	struct probe probe;

	open_both(true);
	call_as(&probe, NULL);
	ck_assert_str_eq(seen_call.authority, "channel.example");
	call_as(&probe, "channel.example"); /* the same, said again */
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_uint_eq(started(), 2);
}
END_TEST

START_TEST(a_client_that_verifies_nobody_still_checks_the_authority) /* N-4 */
{
	struct probe probe;
	minirpc_tls *other = client_tls;

	ck_assert_int_eq(
		minirpc_tls_new(&client_tls,
				&(struct minirpc_tls_options){ .insecure_skip_verify = true }),
		0);
	minirpc_tls_unref(other);
	open_both(true);
	call_as(&probe, "evil.example");
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	call_as(&probe, "localhost");
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
}
END_TEST

START_TEST(in_clear_text_any_authority_is_sent_as_it_is)
{
	struct probe probe;

	open_both(false);
	call_as(&probe, "any.example:1");
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_str_eq(seen_call.authority, "any.example:1");
}
END_TEST

START_TEST(a_malformed_authority_opens_no_call)
{
	static const char *const bad[] = { "",       "a b",  "user@host", "a/b",      "a:",
					   "a:b",    ":80",  "[::1",      "[]",       "[::1]x",
					   "a\nb",   "a:1:", "a:123456",  "\xC3\xA4", "a?b",
					   "[a]b:1", "%61" };
	char longest[256];
	minirpc_call *call;

	open_both(false);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(
			minirpc_call_open(&call, channel, &look,
					  &(struct minirpc_call_options){ .authority = bad[i] },
					  &probe_events, NULL),
			-EINVAL);
	memset(longest, 'a', sizeof longest);
	longest[254] = '\0';
	ck_assert_int_eq(minirpc_call_open(&call, channel, &look,
					   &(struct minirpc_call_options){ .authority = longest },
					   &probe_events, NULL),
			 -EINVAL);
	longest[253] = '\0';
	ck_assert_int_eq(minirpc_call_open(&call, channel, &look,
					   &(struct minirpc_call_options){ .authority = longest },
					   &probe_events, NULL),
			 0);
	minirpc_call_cancel(call);
}
END_TEST

START_TEST(both_ends_know_whether_a_call_is_secure_and_where_it_lives)
{
	struct probe probe;

	for (int tls = 0; tls < 2; tls++) {
		open_both(tls);
		probe = (struct probe){ 0 };
		probe_call(&probe, channel, &look, NULL);
		ck_assert_int_eq(minirpc_call_is_secure(probe.call), tls); /* not connected yet */
		ck_assert_ptr_eq(minirpc_call_loop(probe.call), loop);
		ck_assert_int_eq(minirpc_call_wait(probe.call), 0);
		ck_assert_int_eq(seen_call.secure, tls);
		ck_assert_ptr_eq(seen_call.loop, loop);
		channel = minirpc_channel_free(channel);
		server = minirpc_server_free(server);
	}
}
END_TEST

/* ---- Over a pipe ---- */

static const struct minirpc_attach_options clear_pipe, secure_pipe = { .secure = true };

static void drop_conn(minirpc_conn *conn, void *user)
{
	(void)user;
	minirpc_conn_close(conn);
}

START_TEST(a_channel_with_tls_is_attached_only_to_what_the_host_vouches_for) /* N-4 */
{
	struct minirpc_attach_options options = secure_pipe;
	minirpc_loop *manual;
	minirpc_channel *attached;
	minirpc_conn *conn;

	options.on_finished = drop_conn;
	ck_assert_int_eq(
		minirpc_loop_new(&manual, &(struct minirpc_loop_options){ .manual = true }), 0);
	ck_assert_int_eq(
		minirpc_channel_new(&attached, manual, "attached:x",
				    &(struct minirpc_channel_options){ .tls = client_tls }),
		0);
	ck_assert_int_eq(minirpc_channel_attach(attached, &clear_pipe, &conn), -EINVAL);
	ck_assert_int_eq(minirpc_channel_attach(attached, NULL, &conn), -EINVAL);
	ck_assert_int_eq(minirpc_channel_attach(attached, &options, &conn), 0);
	minirpc_channel_free(attached);
	minirpc_loop_free(manual);
}
END_TEST

static struct {
	minirpc_time pushback;
	enum minirpc_code code;
	int principal, again;
	char who[32];
} order;

static void push_back(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	char name[16] = "alice";

	(void)metadata;
	(void)user;
	ck_assert_ptr_null(minirpc_call_principal(call));
	order.principal = minirpc_call_set_principal(call, name);
	name[0] = 'X'; /* it was copied */
	snprintf(order.who, sizeof order.who, "%s", minirpc_call_principal(call));
	ck_assert_int_eq(minirpc_call_set_pushback(call, order.pushback), 0);
	if (order.again) /* behind headers: in trailers, not trailers-only */
		ck_assert_int_eq(minirpc_call_send_headers(call, NULL), 0);
	minirpc_call_fail(call, order.code, "not now");
}

static char pushed[32];

static void note_pushback(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	const char *text =
		minirpc_metadata_get(minirpc_call_trailers(call), "grpc-retry-pushback-ms");

	(void)status;
	(void)user;
	snprintf(pushed, sizeof pushed, "%s", text == NULL ? "none" : text);
}

START_TEST(a_server_says_when_it_may_be_asked_again) /* */
{
	static const struct minirpc_call_events server_events = { .on_headers = push_back };
	static const struct minirpc_call_events client_events = { .on_end = note_pushback };
	static const struct {
		minirpc_time after;
		enum minirpc_code code;
		const char *text;
	} cases[] = {
		{ MINIRPC_MS(250), MINIRPC_UNAVAILABLE, "250" },
		{ 1, MINIRPC_UNAVAILABLE, "1" },
		{ MINIRPC_MS(1), MINIRPC_UNAVAILABLE, "1" },
		{ MINIRPC_MS(1) + 1, MINIRPC_RESOURCE_EXHAUSTED, "2" },
		{ 0, MINIRPC_UNAVAILABLE, "0" },
		{ -1, MINIRPC_UNAVAILABLE, "-1" },
		{ MINIRPC_NEVER, MINIRPC_UNAVAILABLE, "2147483647" },
		{ INT64_MIN, MINIRPC_UNAVAILABLE, "-1" },
		{ MINIRPC_MS(250), MINIRPC_OK, "none" },
	};
	static const struct minirpc_method method = { .path = "/t.T/push",
						      .flags = MINIRPC_SERVER_STREAMING };
	struct pair pair;
	minirpc_call *call;

	pair_open(&pair, NULL, NULL);
	pair_connect(&pair);
	ck_assert_int_eq(minirpc_server_add(pair.server, &method, &server_events, NULL, NULL), 0);
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		order.pushback = cases[i / 2].after;
		order.code = cases[i / 2].code;
		order.again = i % 2;
		strcpy(pushed, "not told");
		ck_assert_int_eq(
			minirpc_call_open(&call, pair.channel, &method, NULL, &client_events, NULL),
			0);
		ck_assert_int_eq(minirpc_call_set_pushback(call, 1), -EINVAL);
		ck_assert_int_eq(minirpc_call_set_principal(call, "me"), -EINVAL);
		ck_assert_ptr_null(minirpc_call_principal(call));
		ck_assert_int_eq(minirpc_call_send(call, "x", 1), 0);
		ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
		pair_settle(&pair);
		ck_assert_str_eq(pushed, cases[i / 2].text);
		ck_assert_int_eq(order.principal, 0);
		ck_assert_str_eq(order.who, "alice");
	}
	pair_close(&pair);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/authority");
	TCase *t = tcase_create("authority");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, over_tls_an_authority_that_the_certificate_is_good_for_is_sent);
	tcase_add_test(t, over_tls_any_other_ends_unavailable_and_nothing_is_sent);
	tcase_add_test(t, a_call_that_waited_for_its_connection_is_checked_as_well);
	tcase_add_test(t, the_channels_own_authority_is_its_users_business);
	tcase_add_test(t, a_client_that_verifies_nobody_still_checks_the_authority);
	tcase_add_test(t, in_clear_text_any_authority_is_sent_as_it_is);
	tcase_add_test(t, a_malformed_authority_opens_no_call);
	tcase_add_test(t, both_ends_know_whether_a_call_is_secure_and_where_it_lives);
	tcase_add_test(t, a_channel_with_tls_is_attached_only_to_what_the_host_vouches_for);
	tcase_add_test(t, a_server_says_when_it_may_be_asked_again);
	suite_add_tcase(s, t);
	return s;
}

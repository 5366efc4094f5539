/* SPDX-License-Identifier: MIT */
/* Authentication at a server: who is let in, what a handler hears, and of whom. */
#include "client/pair.h"
#include "run_suite.h"

#include "world/pki.h"

#include <minirpc/interceptors.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pair pair;
static minirpc_auth *auth;

static struct {
	unsigned checks;
	minirpc_auth_request *last;
	bool at_once, frees; /* frees: the server, from inside check */
	char path[64];
	size_t certificate_len;
} asked;

static const char *principal_of(const char *token)
{
	static const char *const tokens[][2] = { { "alices", "alice" }, { "bobs", "bob" } };
	const char *found = NULL;

	for (size_t i = 0; i < 2; i++)
		if (minirpc_secret_equals(token, tokens[i][0]))
			found = tokens[i][1];
	return found;
}

static void check(minirpc_auth_request *request, void *user)
{
	const char *who = principal_of(minirpc_bearer_token(minirpc_auth_metadata(request)));
	minirpc_call *call = minirpc_auth_call(request);

	ck_assert_ptr_eq(user, &asked);
	asked.checks++;
	asked.last = request;
	snprintf(asked.path, sizeof asked.path, "%s", minirpc_call_path(call));
	if (minirpc_call_peer_certificate(call, &asked.certificate_len) == NULL)
		asked.certificate_len = 0;
	if (asked.frees)
		pair.server = minirpc_server_free(pair.server);
	if (!asked.at_once)
		return;
	if (who != NULL)
		minirpc_auth_accept(request, who);
	else
		minirpc_auth_refuse(request, NULL);
}

static struct {
	unsigned calls;
	char principal[32];
} who;

static void greet(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	const char *principal = minirpc_call_principal(call);

	(void)metadata;
	(void)user;
	who.calls++;
	snprintf(who.principal, sizeof who.principal, "%s",
		 principal == NULL ? "nobody" : principal);
	minirpc_call_fail(call, MINIRPC_ABORTED, "seen");
}

static const struct minirpc_method who_method = { .path = "/t.T/who" };
static const struct minirpc_call_events who_events = { .on_headers = greet };

static void setup(void)
{
	struct minirpc_use uses[2] = { { NULL } };

	memset(&asked, 0, sizeof asked);
	memset(&who, 0, sizeof who);
	asked.at_once = true;
	ck_assert_int_eq(minirpc_auth_new(&auth, &(struct minirpc_auth_options){ .check = check,
										 .user = &asked }),
			 0);
	uses[0] = minirpc_auth_use(auth);
	pair_open(&pair, &(struct minirpc_server_options){ .interceptors = uses }, NULL);
	ck_assert_int_eq(minirpc_server_add(pair.server, &who_method, &who_events, NULL, NULL), 0);
	pair_connect(&pair);
}

static void teardown(void)
{
	pair_close(&pair);
	auth = minirpc_auth_free(auth);
}

static void call_with(struct probe *probe, const struct minirpc_method *method,
		      const char *authorization)
{
	const struct minirpc_field fields[] = { { "authorization", authorization }, { NULL } };

	*probe = (struct probe){ 0 };
	probe_call(
		probe, pair.channel, method,
		&(struct minirpc_call_options){ .metadata = authorization == NULL ? NULL : fields,
						.timeout = MINIRPC_S(10) });
	pair_settle(&pair);
}

START_TEST(who_is_known_is_let_in_and_the_handler_sees_who_it_is)
{
	struct probe probe;

	call_with(&probe, &who_method, "Bearer alices");
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_str_eq(who.principal, "alice");
	call_with(&probe, &who_method, "bearer bobs"); /* RFC 9110, 11.1 */
	ck_assert_str_eq(who.principal, "bob");
	call_with(&probe, &echo, "Bearer alices");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
}
END_TEST

START_TEST(who_is_not_is_unauthenticated_and_no_handler_hears_of_it)
{
	static const char *const bad[] = {
		NULL,           "",       "Bearer",       "Bearer alice", "Bearer alicesx",
		"Basic alices", "alices", "Bearer ALICES"
	};
	struct probe probe;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		call_with(&probe, &who_method, bad[i]);
		ck_assert_uint_eq(probe.ends, 1);
		ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
	}
	/* Nor does it hear which methods there are. */
	call_with(&probe, &(struct minirpc_method){ .path = "/t.T/none" }, "Bearer x");
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
	call_with(&probe, &(struct minirpc_method){ .path = "/t.T/none" }, "Bearer bobs");
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_uint_eq(who.calls, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(two_tokens_are_none)
{
	static const struct minirpc_field fields[] = { { "authorization", "Bearer alices" },
						       { "authorization", "Bearer bobs" },
						       { NULL } };
	struct probe probe = { 0 };

	probe_call(&probe, pair.channel, &who_method,
		   &(struct minirpc_call_options){ .metadata = fields });
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
}
END_TEST

START_TEST(an_answer_may_come_later_and_only_that_call_waits)
{
	minirpc_auth_request *first;
	struct probe probe, other;

	asked.at_once = false;
	call_with(&probe, &echo, "Bearer alices");
	first = asked.last;
	pair_advance(&pair, MINIRPC_S(1));
	ck_assert_str_eq(asked.path, "/t.T/echo");
	ck_assert_ptr_null(minirpc_auth_metadata(first)); /* only inside */
	ck_assert_ptr_nonnull(minirpc_auth_call(first));
	ck_assert_uint_eq(seen.calls, 0);
	ck_assert_uint_eq(probe.ends, 0);

	asked.at_once = true;
	call_with(&other, &who_method, "Bearer bobs");
	ck_assert_uint_eq(other.ends, 1);

	minirpc_auth_accept(first, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello"); /* the message had waited behind */
}
END_TEST

START_TEST(the_answer_may_be_any_status_but_ok)
{
	struct minirpc_status status = { .code = MINIRPC_PERMISSION_DENIED, .message = "not you" };
	struct probe probe;

	asked.at_once = false;
	call_with(&probe, &who_method, NULL);
	minirpc_auth_refuse(asked.last, &status);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_PERMISSION_DENIED);
	ck_assert_str_eq(probe.text, "not you");

	status.code = MINIRPC_OK;
	call_with(&probe, &who_method, NULL);
	minirpc_auth_refuse(asked.last, &status);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
	ck_assert_uint_eq(who.calls, 0);
}
END_TEST

START_TEST(a_call_that_is_over_does_not_need_its_answer_any_more)
{
	struct probe probe;
	minirpc_auth_request *late;

	asked.at_once = false;
	call_with(&probe, &who_method, "Bearer alices"); /* its deadline */
	late = asked.last;
	pair_advance(&pair, MINIRPC_S(12));
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_ptr_null(minirpc_auth_call(late));
	minirpc_auth_accept(late, "alice");

	call_with(&probe, &who_method, "Bearer alices"); /* the client leaves */
	late = asked.last;
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_ptr_null(minirpc_auth_call(late));
	minirpc_auth_refuse(late, NULL);

	call_with(&probe, &who_method, "Bearer alices"); /* the connection goes */
	late = asked.last;
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_ptr_null(minirpc_auth_call(late));
	minirpc_auth_accept(late, "alice");
	ck_assert_uint_eq(who.calls, 0);

	pair_connect(&pair);
	call_with(&probe, &who_method, "Bearer alices"); /* the server goes */
	late = asked.last;
	pair.server = minirpc_server_free(pair.server);
	ck_assert_ptr_null(minirpc_auth_call(late));
	auth = minirpc_auth_free(auth);
	minirpc_auth_accept(late, "alice");
}
END_TEST

START_TEST(a_check_may_free_the_server_and_answer_now_or_later)
{
	struct probe probe;

	asked.at_once = _i == 0;
	asked.frees = true;
	call_with(&probe, &who_method, "Bearer alices");
	ck_assert_uint_eq(asked.checks, 1);
	ck_assert_uint_eq(who.calls, 0);
	ck_assert_int_eq(probe.ends, 1);
	if (asked.at_once)
		return;
	ck_assert_ptr_null(minirpc_auth_call(asked.last));
	minirpc_auth_accept(asked.last, "alice");
}
END_TEST

START_TEST(secrets_are_compared_whole)
{
	ck_assert(minirpc_secret_equals("abc", "abc"));
	ck_assert(minirpc_secret_equals("", ""));
	ck_assert(!minirpc_secret_equals("abc", "abd"));
	ck_assert(!minirpc_secret_equals("ab", "abc"));
	ck_assert(!minirpc_secret_equals("abc", "ab"));
	ck_assert(!minirpc_secret_equals("abcabc", "abc"));
	ck_assert(!minirpc_secret_equals("", "abc"));
	ck_assert(!minirpc_secret_equals("abc", ""));
	ck_assert(!minirpc_secret_equals(NULL, "abc"));
	ck_assert(!minirpc_secret_equals("abc", NULL));
	ck_assert(!minirpc_secret_equals(NULL, NULL));
	ck_assert_ptr_null(minirpc_bearer_token(NULL));
	ck_assert_int_eq(minirpc_auth_new(&(minirpc_auth *){ NULL }, NULL), -EINVAL);
	ck_assert_int_eq(
		minirpc_auth_new(&(minirpc_auth *){ NULL }, &(struct minirpc_auth_options){ 0 }),
		-EINVAL);
}
END_TEST

START_TEST(at_a_client_it_asks_nobody)
{
	const struct minirpc_use uses[] = { minirpc_auth_use(auth), { NULL } };
	minirpc_auth_request *last = asked.last;
	struct probe probe = { 0 };

	pair_close(&pair);
	pair_open(&pair, NULL, &(struct minirpc_channel_options){ .interceptors = uses });
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_ptr_eq(asked.last, last);
}
END_TEST

START_TEST(a_check_sees_the_clients_certificate)
{
	const struct minirpc_use uses[] = { minirpc_auth_use(auth), { NULL } };
	struct pki_identity *ca = pki_ca("test authority");
	struct pki_identity *id = pki_leaf(ca, &(struct pki_leaf){ 0 });
	struct pki_identity *mine =
		pki_leaf(ca, &(struct pki_leaf){ .cn = "me", .eku = "clientAuth" });
	struct minirpc_listen_options listen = { 0 };
	minirpc_tls *server_tls, *client_tls;
	struct probe probe = { 0 };
	char target[64];
	uint16_t port;

	pair_close(&pair);
	listen.ret_port = &port;
	ck_assert_int_eq(minirpc_tls_new(&server_tls,
					 &(struct minirpc_tls_options){ .cert_pem = id->cert_pem,
									.key_pem = id->key_pem,
									.ca_pem = ca->cert_pem }),
			 0);
	ck_assert_int_eq(minirpc_tls_new(&client_tls,
					 &(struct minirpc_tls_options){ .cert_pem = mine->cert_pem,
									.key_pem = mine->key_pem,
									.ca_pem = ca->cert_pem }),
			 0);
	ck_assert_int_eq(minirpc_loop_new(&pair.loop, NULL), 0);
	ck_assert_int_eq(minirpc_server_new(&pair.server, pair.loop,
					    &(struct minirpc_server_options){
						    .tls = server_tls, .interceptors = uses }),
			 0);
	ck_assert_int_eq(minirpc_server_listen(pair.server, "127.0.0.1:0", &listen), 0);
	snprintf(target, sizeof target, "localhost:%u", port);
	ck_assert_int_eq(
		minirpc_channel_new(&pair.channel, pair.loop, target,
				    &(struct minirpc_channel_options){ .tls = client_tls }),
		0);
	probe_call(&probe, pair.channel, &who_method, NULL);
	ck_assert_int_eq(minirpc_call_wait(probe.call), 0);
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
	ck_assert_uint_gt(asked.certificate_len, 100);
	minirpc_tls_unref(server_tls);
	minirpc_tls_unref(client_tls);
	pki_free(mine);
	pki_free(id);
	pki_free(ca);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/auth");
	TCase *t = tcase_create("auth");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_is_known_is_let_in_and_the_handler_sees_who_it_is);
	tcase_add_test(t, who_is_not_is_unauthenticated_and_no_handler_hears_of_it);
	tcase_add_test(t, two_tokens_are_none);
	tcase_add_test(t, an_answer_may_come_later_and_only_that_call_waits);
	tcase_add_test(t, the_answer_may_be_any_status_but_ok);
	tcase_add_test(t, a_call_that_is_over_does_not_need_its_answer_any_more);
	tcase_add_loop_test(t, a_check_may_free_the_server_and_answer_now_or_later, 0, 2);
	tcase_add_test(t, secrets_are_compared_whole);
	tcase_add_test(t, at_a_client_it_asks_nobody);
	tcase_add_test(t, a_check_sees_the_clients_certificate);
	suite_add_tcase(s, t);
	return s;
}

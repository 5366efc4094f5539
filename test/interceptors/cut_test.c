/* SPDX-License-Identifier: MIT */
/* All interceptors at once while the connection is cut after each byte, in either direction, and with answers
 * that come at once or later: each call ends once, is logged once at each end that saw it, frees its place, and
 * leaves no request behind. */
#include "run_suite.h"
#include "world/world.h"

#include <minirpc/interceptors.h>

#include <string.h>

enum { CALLS = 3, REQUESTS = 64 };

static struct {
	minirpc_credentials_request *gets[REQUESTS];
	minirpc_auth_request *checks[REQUESTS];
	unsigned get_count, check_count, client_records, server_records;
	bool later;
} state;

static void get(minirpc_credentials_request *request, void *user)
{
	(void)user;
	if (state.later)
		state.gets[state.get_count++] = request;
	else
		minirpc_credentials_answer_bearer(request, "token", 0);
}

static void check(minirpc_auth_request *request, void *user)
{
	(void)user;
	if (state.later)
		state.checks[state.check_count++] = request;
	else
		minirpc_auth_accept(request, "somebody");
}

static void count(const struct minirpc_call_record *record, void *user)
{
	(void)user;
	if (record->server)
		state.server_records++;
	else
		state.client_records++;
}

static void answer(struct world *w)
{
	while (state.get_count + state.check_count > 0) {
		while (state.get_count > 0)
			minirpc_credentials_answer_bearer(state.gets[--state.get_count], "token",
							  0);
		while (state.check_count > 0)
			minirpc_auth_accept(state.checks[--state.check_count], "somebody");
		world_settle(w);
	}
}

struct kit {
	minirpc_call_log *log;
	minirpc_credentials *credentials;
	minirpc_auth *auth;
	minirpc_limiter *out, *in;
};

static void make(struct kit *kit)
{
	const struct minirpc_call_log_options log = { .on_record = count };
	const struct minirpc_credentials_options credentials = { .get = get,
								 .allow_plaintext = true };
	const struct minirpc_auth_options auth = { .check = check };
	const struct minirpc_limiter_options out = { .max_calls = 2 }, in = { .max_calls = 9 };

	ck_assert_int_eq(minirpc_call_log_new(&kit->log, &log), 0);
	ck_assert_int_eq(minirpc_credentials_new(&kit->credentials, &credentials), 0);
	ck_assert_int_eq(minirpc_auth_new(&kit->auth, &auth), 0);
	ck_assert_int_eq(minirpc_limiter_new(&kit->out, &out), 0);
	ck_assert_int_eq(minirpc_limiter_new(&kit->in, &in), 0);
}

static void unmake(struct kit *kit)
{
	struct minirpc_limiter_counts out, in;

	minirpc_limiter_counts(kit->out, &out);
	minirpc_limiter_counts(kit->in, &in);
	ck_assert_uint_eq(out.running + out.waiting + in.running + in.waiting, 0);
	/* Who has not asked to come in has not been let in either. */
	ck_assert_uint_eq(in.passed + in.refused, state.server_records);
	minirpc_call_log_free(kit->log);
	minirpc_credentials_free(kit->credentials);
	minirpc_auth_free(kit->auth);
	minirpc_limiter_free(kit->out);
	minirpc_limiter_free(kit->in);
}

static struct world *new_world(const struct kit *kit)
{
	const struct minirpc_use client[] = { minirpc_call_log_use(kit->log),
					      minirpc_limiter_use(kit->out),
					      minirpc_credentials_use(kit->credentials),
					      { NULL } };
	const struct minirpc_use server[] = { minirpc_call_log_use(kit->log),
					      minirpc_limiter_use(kit->in),
					      minirpc_auth_use(kit->auth),
					      { NULL } };

	return world_new_with(&(struct world_options){
		.server.interceptors = server, .channel.interceptors = client, .faulty = true });
}

/* True: it was not cut any more. */
static bool tell(size_t up, size_t down, bool later)
{
	struct probe probes[CALLS] = { { 0 } };
	struct kit kit;
	struct world *w;
	bool whole;

	memset(&state, 0, sizeof state);
	state.later = later;
	make(&kit);
	w = new_world(&kit);
	w->up.cut_after = up;
	w->down.cut_after = down;
	for (int i = 0; i < CALLS; i++) {
		world_call(w, &world_echo, MINIRPC_S(30), &probes[i]);
		world_request(probes[i].call, "hello");
	}
	world_settle(w);
	answer(w);
	whole = w->up.moved < up && w->down.moved < down;
	world_advance(w, MINIRPC_S(60));
	answer(w);
	for (int i = 0; i < CALLS; i++) {
		ck_assert_int_eq(probes[i].ends, 1);
		ck_assert(!probes[i].bad_order);
		if (whole)
			ck_assert_int_eq(probes[i].code, MINIRPC_OK);
	}
	ck_assert_uint_eq(state.client_records, CALLS);
	world_free(w);
	ck_assert_uint_le(state.server_records, CALLS);
	ck_assert_uint_eq(state.get_count + state.check_count, 0);
	unmake(&kit);
	return whole;
}

START_TEST(cut_after_each_byte_of_the_client)
{
	size_t n = 0;

	while (!tell(n, SIZE_MAX, _i))
		n++;
	ck_assert_uint_gt(n, 100);
}
END_TEST

START_TEST(cut_after_each_byte_of_the_server)
{
	size_t n = 0;

	while (!tell(SIZE_MAX, n, _i))
		n++;
	ck_assert_uint_gt(n, 100);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/cut");
	TCase *t = tcase_create("cut");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, cut_after_each_byte_of_the_client, 0, 2);
	tcase_add_loop_test(t, cut_after_each_byte_of_the_server, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

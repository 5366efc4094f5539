/* SPDX-License-Identifier: MIT */
/* All interceptors at once while allocations fail: the n-th one, for every n, once and from then on. Every call
 * that was opened hears its end once, no request stays unanswered, and when there is memory again the same
 * objects work. */
#include "client/pair.h"
#include "run_suite.h"

#include "world/alloc_fail.h"

#include <minirpc/interceptors.h>

#include <errno.h>
#include <string.h>

enum { CALLS = 4 };

static bool per_attempt;
static size_t story_n;

static struct probe probes[CALLS];

/* Answers come later, all at once. */
static minirpc_credentials_request *asked[2 * CALLS];
static minirpc_auth_request *checked[2 * CALLS];
static unsigned asked_count, checked_count, closed;

static void get(minirpc_credentials_request *request, void *user)
{
	(void)user;
	asked[asked_count++] = request;
}

static void check(minirpc_auth_request *request, void *user)
{
	(void)user;
	checked[checked_count++] = request;
}

static void count_record(const struct minirpc_call_record *record, void *user)
{
	(void)user;
	ck_assert_ptr_nonnull(record->status->message);
	closed++;
}

static void answer_all(struct pair *pair)
{
	bool any;

	do {
		any = asked_count + checked_count > 0;
		while (asked_count > 0)
			minirpc_credentials_answer_bearer(asked[--asked_count], "token",
							  MINIRPC_S(5));
		while (checked_count > 0)
			minirpc_auth_accept(checked[--checked_count], "somebody");
		pair_settle(pair);
	} while (any);
}

static void try_call(struct probe *probe, struct pair *pair)
{
	int r;

	*probe = (struct probe){ 0 };
	r = minirpc_call_open(&probe->call, pair->channel, &echo,
			      &(struct minirpc_call_options){ .timeout = MINIRPC_S(60) },
			      &probe_events, probe);
	if (r < 0) {
		ck_assert_int_eq(r, -ENOMEM);
		probe->call = NULL;
		return;
	}
	r = minirpc_call_send(probe->call, "hello", 5);
	ck_assert(r == 0 || r == -ENOMEM);
	if (r == 0)
		ck_assert_int_eq(minirpc_call_end(probe->call, NULL), 0);
	else
		minirpc_call_abort(probe->call,
				   &(struct minirpc_status){ .code = MINIRPC_RESOURCE_EXHAUSTED });
}

struct objects {
	minirpc_call_log *log;
	minirpc_credentials *credentials;
	minirpc_auth *auth;
	minirpc_limiter *limiter;
};

static int make(struct objects *objects)
{
	const struct minirpc_call_log_options log = { .on_record = count_record };
	const struct minirpc_credentials_options credentials = { .get = get,
								 .shared = true,
								 .allow_plaintext = true,
								 .per_attempt = per_attempt };
	const struct minirpc_auth_options auth = { .check = check };
	const struct minirpc_limiter_options limiter = { .max_calls = 2, .per_second = 1 };
	int r;

	r = minirpc_call_log_new(&objects->log, &log);
	if (r == 0)
		r = minirpc_credentials_new(&objects->credentials, &credentials);
	if (r == 0)
		r = minirpc_auth_new(&objects->auth, &auth);
	if (r == 0)
		r = minirpc_limiter_new(&objects->limiter, &limiter);
	return r;
}

static int open_both(struct pair *pair, const struct objects *objects)
{
	struct minirpc_use client[4] = { { NULL } }, server[3] = { { NULL } };

	client[0] = server[0] = minirpc_call_log_use(objects->log);
	client[1] = minirpc_limiter_use(objects->limiter);
	client[2] = minirpc_credentials_use(objects->credentials);
	server[1] = minirpc_auth_use(objects->auth);
	return pair_try_open(pair, &(struct minirpc_server_options){ .interceptors = server },
			     &(struct minirpc_channel_options){ .interceptors = client });
}

static void tell(struct pair *pair)
{
	for (int i = 0; i < CALLS; i++)
		try_call(&probes[i], pair);
	pair_settle(pair);
	for (int i = 0; i < CALLS; i++) {
		answer_all(pair);
		pair_advance(pair, MINIRPC_S(1));
	}
	answer_all(pair);
	pair_advance(pair, MINIRPC_S(60));
	for (int i = 0; i < CALLS; i++)
		ck_assert_uint_eq(probes[i].ends, probes[i].call != NULL);
}

static void works_again(struct pair *pair)
{
	pair_cut(pair);
	pair_settle(pair);
	ck_assert_int_eq(pair_try_connect(pair), 0);
	pair_settle(pair);
	pair_advance(
		pair,
		MINIRPC_S(
			10)); /* what is kept of a token, or of its failure, is not good any more */
	tell(pair);
	for (int i = 0; i < CALLS; i++) {
		ck_assert_msg(probes[i].code == MINIRPC_OK, "n %zu i %d code %d %s", story_n, i,
			      probes[i].code, probes[i].text);
		ck_assert_str_eq(probes[i].last, "hello");
	}
}

static size_t story(size_t n, bool forever)
{
	struct objects objects = { NULL };
	struct pair pair = { 0 };
	size_t refused, live = alloc_live();

	story_n = n;
	closed = 0;
	alloc_fail_at(n, forever);
	if (make(&objects) == 0 && open_both(&pair, &objects) == 0 && pair_try_connect(&pair) == 0)
		tell(&pair);
	refused = alloc_refused();
	alloc_fail_at(0, false);
	if (pair.channel != NULL) {
		works_again(&pair);
		ck_assert_uint_ge(closed, 2 * CALLS);
	}
	pair_close(&pair);
	minirpc_limiter_free(objects.limiter);
	minirpc_auth_free(objects.auth);
	minirpc_credentials_free(objects.credentials);
	minirpc_call_log_free(objects.log);
	ck_assert_uint_eq(asked_count + checked_count, 0);
	ck_assert_uint_eq(alloc_live(), live);
	return refused;
}

static void every_allocation_fails(bool forever)
{
	size_t n = 1;

	while (story(n, forever) > 0)
		n++;
	ck_assert_uint_gt(n, 20);
}

START_TEST(each_allocation_fails_once)
{
	per_attempt = _i;
	every_allocation_fails(false);
}
END_TEST

START_TEST(from_each_allocation_on_all_fail)
{
	per_attempt = _i;
	every_allocation_fails(true);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/memory");
	TCase *t = tcase_create("memory");

	tcase_set_timeout(t, 100);
	tcase_add_loop_test(t, each_allocation_fails_once, 0, 2);
	tcase_add_loop_test(t, from_each_allocation_on_all_fail, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
#include "run_suite.h"

#include "server/router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct minirpc_call_events events;

static int add(struct mrpc_router *router, const struct minirpc_method *method)
{
	return mrpc_router_add(router, method, &events, NULL, NULL);
}

START_TEST(a_path_finds_its_method_and_no_other)
{
	static struct minirpc_method methods[300];
	static char paths[300][32];
	struct mrpc_router router;

	mrpc_router_init(&router, 1);
	for (int i = 0; i < 300; i++) {
		snprintf(paths[i], sizeof paths[i], "/s%d/m%d", i % 7, i);
		methods[i].path = paths[i];
		ck_assert_int_eq(add(&router, &methods[i]), 0);
		ck_assert_int_eq(add(&router, &methods[i]), -EEXIST);
	}
	for (int i = 0; i < 300; i++) {
		const struct mrpc_route *route =
			mrpc_router_find(&router, paths[i], strlen(paths[i]));

		ck_assert_ptr_nonnull(route);
		ck_assert_ptr_eq(route->method, &methods[i]);
	}
	ck_assert_ptr_null(mrpc_router_find(&router, "/s0/m1", 6));
	ck_assert_ptr_null(mrpc_router_find(&router, "/s1/m", 5));
	ck_assert_ptr_null(mrpc_router_find(&router, "", 0));
	mrpc_router_clear(&router);
}
END_TEST

START_TEST(paths_are_checked)
{
	static const char *const bad[] = { "", "/", "//", "/a", "/a/", "//b", "a/b", NULL };
	struct mrpc_router router;

	mrpc_router_init(&router, 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(add(&router, &(struct minirpc_method){ .path = bad[i] }), -EINVAL);
	ck_assert_int_eq(add(&router, NULL), -EINVAL);
	mrpc_router_clear(&router);
}
END_TEST

START_TEST(services_are_known_by_the_methods_they_have)
{
	static const struct minirpc_method method = { .path = "/a.B/C" };
	struct mrpc_router router;

	mrpc_router_init(&router, 1);
	ck_assert(!mrpc_router_knows_service(&router, "/a.B/C", 6));
	ck_assert_int_eq(add(&router, &method), 0);
	ck_assert(mrpc_router_knows_service(&router, "/a.B/D", 6));
	ck_assert(!mrpc_router_knows_service(&router, "/a.BB/C", 7));
	ck_assert(!mrpc_router_knows_service(&router, "/a/C", 4));
	ck_assert(!mrpc_router_knows_service(&router, "", 0));
	mrpc_router_clear(&router);
}
END_TEST

static void count(void *user)
{
	++*(int *)user;
}

START_TEST(clearing_and_removing_tell_each_drop_once)
{
	static const struct minirpc_method a = { .path = "/s/a" }, b = { .path = "/s/b" };
	struct mrpc_router router;
	int drops = 0;

	mrpc_router_init(&router, 1);
	ck_assert_int_eq(mrpc_router_add(&router, &a, &events, &drops, count), 0);
	ck_assert_int_eq(mrpc_router_add(&router, &a, &events, &drops, count), -EEXIST);
	ck_assert_int_eq(mrpc_router_add(&router, &b, &events, &drops, count), 0);
	ck_assert_int_eq(drops, 0);
	mrpc_router_remove(&router, "/s/a");
	mrpc_router_remove(&router, "/s/a");
	ck_assert_int_eq(drops, 1);
	ck_assert_ptr_null(mrpc_router_find(&router, "/s/a", 4));
	mrpc_router_clear(&router);
	ck_assert_int_eq(drops, 2);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/router");
	TCase *t = tcase_create("router");

	tcase_add_test(t, a_path_finds_its_method_and_no_other);
	tcase_add_test(t, paths_are_checked);
	tcase_add_test(t, services_are_known_by_the_methods_they_have);
	tcase_add_test(t, clearing_and_removing_tell_each_drop_once);
	suite_add_tcase(s, t);
	return s;
}

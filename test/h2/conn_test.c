/* SPDX-License-Identifier: MIT */
/* Two conns and a pipe: what well-behaved ends do. */
#include "pair.h"
#include "run_suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_unary_call_is_answered)
{
	struct pair *pair = pair_new();
	struct probe *probe = pair_unary(pair, "hello");

	pair_settle(pair);
	ck_assert_int_eq(probe->headers, 1);
	ck_assert_int_eq(probe->messages, 1);
	ck_assert_str_eq(probe->last, "hello");
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_OK);
	ck_assert_str_eq(probe->text, "");
	ck_assert_int_eq(pair->served[0].half_closes, 1);
	ck_assert_int_eq(pair->served[0].ends, 0);
	ck_assert_uint_eq(mrpc_conn_counts(pair->client)->calls_succeeded, 1);
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->calls_succeeded, 1);
	ck_assert_uint_eq(mrpc_conn_open_calls(pair->client), 0);
	ck_assert_uint_eq(mrpc_conn_open_calls(pair->server), 0);
	pair_free(pair);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/conn");
	TCase *t = tcase_create("pair");

	tcase_add_test(t, a_unary_call_is_answered);
	suite_add_tcase(s, t);
	return s;
}

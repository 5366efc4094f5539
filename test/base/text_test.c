/* SPDX-License-Identifier: MIT */
/* Text and log. */
#include "base/log.h"
#include "base/text.h"
#include "run_suite.h"

#include <errno.h>
#include <string.h>

static bool valid(const char *text)
{
	return mrpc_utf8_is_valid(text, strlen(text));
}

START_TEST(utf8_accepts_what_rfc_3629_allows)
{
	ck_assert(valid(""));
	ck_assert(valid("plain ascii that is longer than eight bytes"));
	ck_assert(valid("\xC2\x80 \xDF\xBF"));
	ck_assert(valid("\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF"));
	ck_assert(valid("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
	ck_assert(mrpc_utf8_is_valid("a\0b", 3));
}
END_TEST

START_TEST(utf8_refuses_overlong_surrogates_too_large_and_cut)
{
	static const char *const bad[] = {
		"\x80",
		"\xBF",
		"\xC0\x80",
		"\xC1\xBF",
		"\xC2",
		"\xC2 ",
		"\xE0\x9F\xBF",
		"\xE2\x82",
		"\xED\xA0\x80",
		"\xED\xBF\xBF",
		"\xF0\x8F\xBF\xBF",
		"\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80",
		"\xFF",
		"12345678\xE2\x82",
		"\xF0\x90\x80",
		"\xE2\x28\xA1",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(!valid(bad[i]), "bad[%zu] was accepted", i);
}
END_TEST

START_TEST(numbers_are_decimal_and_fit)
{
	uint32_t n = 7;

	ck_assert(mrpc_parse_u32("4294967295", 10, &n));
	ck_assert_uint_eq(n, UINT32_MAX);
	ck_assert(mrpc_parse_u32("007", 3, &n));
	ck_assert_uint_eq(n, 7);
	ck_assert(!mrpc_parse_u32("4294967296", 10, &n));
	ck_assert(!mrpc_parse_u32("", 0, &n));
	ck_assert(!mrpc_parse_u32("-1", 2, &n));
	ck_assert(!mrpc_parse_u32("1 ", 2, &n));
	ck_assert(!mrpc_parse_u32("00000000001", 11, &n));
}
END_TEST

static char seen[600];

static void sink(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	strncpy(seen, line, sizeof seen - 1);
}

START_TEST(log_lines_are_escaped_cut_and_made_only_when_wanted)
{
	struct mrpc_log log = { .fn = sink, .level = MINIRPC_LOG_INFO };
	char text[2000];

	mrpc_log(&log, MINIRPC_LOG_INFO, "peer said %s",
		 "\x1b[2J\n\xff"
		 "ok");
	ck_assert_str_eq(seen, "peer said \\x1B[2J\\x0A\\xFFok");
	seen[0] = '\0';
	mrpc_log(&log, MINIRPC_LOG_DEBUG, "not wanted");
	ck_assert_str_eq(seen, "");
	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	mrpc_log(&log, MINIRPC_LOG_ERROR, "%s", text);
	ck_assert_uint_lt(strlen(seen), 512);
	mrpc_log(NULL, MINIRPC_LOG_ERROR, "nowhere");
}
END_TEST

START_TEST(errors_have_english_texts_with_either_sign)
{
	ck_assert_str_eq(mrpc_error_text(ECONNREFUSED), "Connection refused");
	ck_assert_str_eq(mrpc_error_text(-ECONNREFUSED), "Connection refused");
	ck_assert_str_eq(mrpc_error_text(-99999), "unknown error");
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("base/text");
	TCase *c = tcase_create("text");

	tcase_add_test(c, utf8_accepts_what_rfc_3629_allows);
	tcase_add_test(c, utf8_refuses_overlong_surrogates_too_large_and_cut);
	tcase_add_test(c, numbers_are_decimal_and_fit);
	tcase_add_test(c, log_lines_are_escaped_cut_and_made_only_when_wanted);
	tcase_add_test(c, errors_have_english_texts_with_either_sign);
	suite_add_tcase(s, c);
	return s;
}

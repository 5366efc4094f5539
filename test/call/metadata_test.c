/* SPDX-License-Identifier: MIT */
/* Metadata and status as values. */
#include "call/metadata.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <minirpc/status.h>

#include <errno.h>
#include <string.h>

static struct mrpc_arena arena;
static struct minirpc_metadata md;

static void begin(void)
{
	mrpc_arena_init(&arena, NULL, NULL, 0);
	mrpc_metadata_init(&md, &arena);
}

static void finish(void)
{
	mrpc_arena_clear(&arena);
	ck_assert_uint_eq(alloc_live(), 0);
}

static int add(const char *key, const char *value)
{
	return mrpc_metadata_add_all(&md,
				     (const struct minirpc_field[]){ { key, value, 0 }, { 0 } });
}

START_TEST(repeated_keys_keep_their_order) /* [M-3] */
{
	const struct minirpc_field *field;

	ck_assert_int_eq(add("k", "1"), 0);
	ck_assert_int_eq(add("other", "x"), 0);
	ck_assert_int_eq(add("k", "2"), 0);
	ck_assert_uint_eq(minirpc_metadata_count(&md), 3);
	ck_assert_str_eq(minirpc_metadata_get(&md, "k"), "1");
	field = minirpc_metadata_find(&md, "k", NULL);
	field = minirpc_metadata_find(&md, "k", field);
	ck_assert_str_eq(field->value, "2");
	ck_assert_ptr_null(minirpc_metadata_find(&md, "k", field));
	ck_assert_ptr_null(minirpc_metadata_get(&md, "absent"));
	ck_assert_ptr_null(minirpc_metadata_at(&md, 3));
	ck_assert_uint_eq(minirpc_metadata_count(NULL), 0);
}
END_TEST

START_TEST(keys_are_lower_case_digits_and_three_marks) /* [M-1] */
{
	for (int c = 1; c < 256; c++) {
		char key[] = { 'x', (char)c, '\0' };
		bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
			    c == '-' || c == '.';

		ck_assert_int_eq(add(key, "v"), fine ? 0 : -EINVAL);
	}
	ck_assert_int_eq(add("", "v"), -EINVAL);
}
END_TEST

START_TEST(values_are_printable_ascii_without_outer_spaces_unless_binary) /* [M-1, M-2] */
{
	for (int c = 1; c < 256; c++) {
		char value[] = { 'x', (char)c, 'x', '\0' };

		ck_assert_int_eq(add("k", value), c >= 0x20 && c <= 0x7E ? 0 : -EINVAL);
		ck_assert_int_eq(add("k-bin", value), 0);
	}
	ck_assert_int_eq(add("k", " x"), -EINVAL);
	ck_assert_int_eq(add("k", "x "), -EINVAL);
	ck_assert_int_eq(add("k", ""), 0);
	ck_assert_int_eq(add("k", NULL), 0);
}
END_TEST

START_TEST(names_that_grpc_and_http_keep_are_refused) /* [M-4] */
{
	static const char *const names[] = {
		"grpc-timeout", "grpc-anything",    ":path",      "te",
		"content-type", "user-agent",       "connection", "host",
		"upgrade",      "content-length",   "keep-alive", "trailer",
		"grpc-x-bin",   "transfer-encoding"
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ck_assert_int_eq(add(names[i], "v"), -EINVAL);
	ck_assert_int_eq(add("grpcx", "v"), 0);
	ck_assert_int_eq(add("tea", "v"), 0);
}
END_TEST

START_TEST(size_is_name_value_and_32_with_binary_after_base64) /* [M-5] */
{
	ck_assert_int_eq(add("abc", "12345"), 0);
	ck_assert_uint_eq(md.bytes, 3 + 5 + 32);
	ck_assert_int_eq(mrpc_metadata_add(&md, "x-bin", 5, "\0\1\2\3", 4), 0);
	ck_assert_uint_eq(md.bytes, 40 + 5 + 6 + 32);
	ck_assert_uint_eq(minirpc_metadata_at(&md, 1)->len, 4);
	ck_assert_mem_eq(minirpc_metadata_at(&md, 1)->value, "\0\1\2\3", 5);
}
END_TEST

START_TEST(a_refused_or_failed_array_adds_nothing)
{
	const struct minirpc_field bad[] = { { "a", "1", 0 }, { "B", "2", 0 }, { 0 } };
	const struct minirpc_field good[] = { { "a", "1", 0 }, { "b", "2", 0 }, { 0 } };

	ck_assert_int_eq(mrpc_metadata_add_all(&md, bad), -EINVAL);
	ck_assert_uint_eq(md.count, 0);
	alloc_fail_at(1, true);
	ck_assert_int_eq(mrpc_metadata_add_all(&md, good), -ENOMEM);
	alloc_fail_at(0, false);
	ck_assert_uint_eq(md.count, 0);
	ck_assert_uint_eq(md.bytes, 0);
	ck_assert_int_eq(mrpc_metadata_add_all(&md, good), 0);
	ck_assert_uint_eq(md.count, 2);
}
END_TEST

START_TEST(codes_have_grpcs_names_and_numbers) /* [S-1] */
{
	ck_assert_str_eq(minirpc_code_name(MINIRPC_OK), "OK");
	ck_assert_str_eq(minirpc_code_name((enum minirpc_code)5), "NOT_FOUND");
	ck_assert_str_eq(minirpc_code_name((enum minirpc_code)16), "UNAUTHENTICATED");
	ck_assert_str_eq(minirpc_code_name((enum minirpc_code)17), "UNKNOWN");
	ck_assert_str_eq(minirpc_code_name((enum minirpc_code) - 1), "UNKNOWN");
}
END_TEST

START_TEST(a_copied_status_stands_alone_and_clears_to_ok)
{
	char text[] = "gone", details[] = "\1\2\3";
	struct minirpc_status status = { MINIRPC_NOT_FOUND, text, details, 3, NULL };
	struct minirpc_status copy;

	ck_assert_int_eq(minirpc_status_copy(&copy, &status), 0);
	memset(text, 'x', 4);
	memset(details, 'x', 3);
	ck_assert_int_eq(copy.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(copy.message, "gone");
	ck_assert_uint_eq(copy.details_len, 3);
	ck_assert_mem_eq(copy.details, "\1\2\3", 3);
	minirpc_status_clear(&copy);
	ck_assert_int_eq(copy.code, MINIRPC_OK);
	ck_assert_str_eq(copy.message, "");
	minirpc_status_clear(&copy);
	alloc_fail_at(1, false);
	ck_assert_int_eq(minirpc_status_copy(&copy, &status), -ENOMEM);
	ck_assert_int_eq(copy.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(copy.message, "");
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("call/metadata");
	TCase *c = tcase_create("metadata");

	tcase_add_checked_fixture(c, begin, finish);
	tcase_add_test(c, repeated_keys_keep_their_order);
	tcase_add_test(c, keys_are_lower_case_digits_and_three_marks);
	tcase_add_test(c, values_are_printable_ascii_without_outer_spaces_unless_binary);
	tcase_add_test(c, names_that_grpc_and_http_keep_are_refused);
	tcase_add_test(c, size_is_name_value_and_32_with_binary_after_base64);
	tcase_add_test(c, a_refused_or_failed_array_adds_nothing);
	tcase_add_test(c, codes_have_grpcs_names_and_numbers);
	tcase_add_test(c, a_copied_status_stands_alone_and_clears_to_ok);
	suite_add_tcase(s, c);
	return s;
}

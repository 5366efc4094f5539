/* SPDX-License-Identifier: MIT */
#include "run_suite.h"

#include "wire/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int decode(const char *text, uint8_t *out, size_t *ret_len)
{
	return mrpc_base64_decode(out, ret_len, text, strlen(text));
}

static void check_pair(const char *plain, const char *unpadded, const char *padded)
{
	uint8_t out[64];
	char text[64];
	size_t len;

	len = mrpc_base64_encode(text, (const uint8_t *)plain, strlen(plain));
	ck_assert_uint_eq(len, strlen(unpadded));
	ck_assert_uint_eq(len, mrpc_base64_encoded_len(strlen(plain)));
	ck_assert_mem_eq(text, unpadded, len);

	ck_assert_int_eq(decode(unpadded, out, &len), 0);
	ck_assert_uint_eq(len, strlen(plain));
	ck_assert_mem_eq(out, plain, len);
	ck_assert_int_eq(decode(padded, out, &len), 0);
	ck_assert_uint_eq(len, strlen(plain));
	ck_assert_mem_eq(out, plain, len);
}

START_TEST(the_vectors_of_rfc_4648_hold_with_and_without_padding)
{
	check_pair("", "", "");
	check_pair("f", "Zg", "Zg==");
	check_pair("fo", "Zm8", "Zm8=");
	check_pair("foo", "Zm9v", "Zm9v");
	check_pair("foob", "Zm9vYg", "Zm9vYg==");
	check_pair("fooba", "Zm9vYmE", "Zm9vYmE=");
	check_pair("foobar", "Zm9vYmFy", "Zm9vYmFy");
}
END_TEST

START_TEST(any_bytes_of_any_length_come_back_also_in_place)
{
	uint8_t bytes[300], out[303];
	char text[400];
	size_t len, i, n, got;

	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 167 + i / 256);
	for (len = 0; len <= sizeof bytes; len++) {
		n = mrpc_base64_encode(text, bytes, len);
		ck_assert_uint_eq(n, mrpc_base64_encoded_len(len));
		ck_assert_ptr_null(memchr(text, '=', n));
		ck_assert_uint_le(len, mrpc_base64_decoded_max(n));

		ck_assert_int_eq(mrpc_base64_decode(out, &got, text, n), 0);
		ck_assert_uint_eq(got, len);
		ck_assert_mem_eq(out, bytes, len);

		ck_assert_int_eq(mrpc_base64_decode((uint8_t *)text, &got, text, n), 0);
		ck_assert_uint_eq(got, len);
		ck_assert_mem_eq(text, bytes, len);
	}
}
END_TEST

START_TEST(nothing_is_written_behind_the_decoded_bytes)
{
	uint8_t out[8];
	size_t len;

	memset(out, 0xEE, sizeof out);
	ck_assert_int_eq(decode("Zm9vYg", out, &len), 0);
	ck_assert_uint_eq(len, 4);
	ck_assert_uint_eq(out[4], 0xEE);
}
END_TEST

/* Each of the 256 bytes in each place of a group of each length. */
START_TEST(only_the_alphabet_is_read)
{
	size_t group, at, len;
	uint8_t out[8];
	char text[4];
	int c, expected;

	for (group = 2; group <= 4; group++)
		for (at = 0; at < group; at++)
			for (c = 0; c < 256; c++) {
				bool is_last = at == group - 1;
				const char *letter = memchr(alphabet, c, 64);

				memset(text, 'A', sizeof text);
				text[at] = (char)c;
				expected = letter != NULL ? 0 : -EINVAL;
				if (letter != NULL && is_last && group < 4 &&
				    (letter - alphabet) % (group == 2 ? 16 : 4) != 0)
					expected = -EINVAL; /* bits left over */
				if (c == '=' && group == 4 && is_last)
					expected = 0; /* padding */
				ck_assert_msg(mrpc_base64_decode(out, &len, text, group) ==
						      expected,
					      "byte %d at %zu of %zu", c, at, group);
			}
}
END_TEST

START_TEST(padding_is_whole_or_absent)
{
	static const char *const bad[] = { "=",        "==",       "===",      "====",    "A",
					   "A=",       "A==",      "A===",     "AA=",     "AAA==",
					   "AA=A",     "A=AA",     "=AAA",     "AAAA=",   "AAAA==",
					   "AAAA====", "AAAA=AAA", "AA==AAAA", "Zm9vYg=", "Zm8==" };
	uint8_t out[16];
	size_t len, i;

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(decode(bad[i], out, &len) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(bits_left_over_are_refused)
{
	uint8_t out[16];
	size_t len;

	ck_assert_int_eq(decode("Zg", out, &len), 0);
	ck_assert_int_eq(decode("Zh", out, &len), -EINVAL);
	ck_assert_int_eq(decode("Zh==", out, &len), -EINVAL);
	ck_assert_int_eq(decode("Zm8", out, &len), 0);
	ck_assert_int_eq(decode("Zm9", out, &len), -EINVAL);
	ck_assert_int_eq(decode("Zm9=", out, &len), -EINVAL);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("wire/base64");
	TCase *t = tcase_create("base64");

	tcase_add_test(t, the_vectors_of_rfc_4648_hold_with_and_without_padding);
	tcase_add_test(t, any_bytes_of_any_length_come_back_also_in_place);
	tcase_add_test(t, nothing_is_written_behind_the_decoded_bytes);
	tcase_add_test(t, only_the_alphabet_is_read);
	tcase_add_test(t, padding_is_whole_or_absent);
	tcase_add_test(t, bits_left_over_are_refused);
	suite_add_tcase(s, t);
	return s;
}

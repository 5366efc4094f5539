/* SPDX-License-Identifier: MIT */
#include "run_suite.h"

#include "base/text.h"
#include "wire/percent.h"

#include <stdio.h>
#include <string.h>

static void check_encoded(const char *text, const char *expected)
{
	char out[256];
	size_t len = mrpc_percent_encode(out, text, strlen(text));

	ck_assert_uint_eq(len, mrpc_percent_encoded_len(text, strlen(text)));
	out[len] = '\0';
	ck_assert_str_eq(out, expected);
}

static void check_decoded(const char *text, const char *expected)
{
	char out[256];
	size_t len = mrpc_percent_decode(out, text, strlen(text));

	ck_assert_uint_le(len, strlen(text));
	out[len] = '\0';
	ck_assert_str_eq(out, expected);

	strcpy(out, text); /* in place */
	len = mrpc_percent_decode(out, out, strlen(text));
	out[len] = '\0';
	ck_assert_str_eq(out, expected);
}

START_TEST(each_byte_is_verbatim_or_an_escape)
{
	char c, out[3], expected[4];
	size_t len;
	int i;

	for (i = 0; i < 256; i++) {
		bool verbatim = (i >= 0x21 && i <= 0x24) || (i >= 0x26 && i <= 0x7E);

		c = (char)i;
		len = mrpc_percent_encode(out, &c, 1);
		ck_assert_uint_eq(len, verbatim ? 1 : 3);
		ck_assert_uint_eq(len, mrpc_percent_encoded_len(&c, 1));
		if (verbatim) {
			ck_assert_int_eq(out[0], c);
		} else {
			snprintf(expected, sizeof expected, "%%%02X", (unsigned)i);
			ck_assert_mem_eq(out, expected, 3);
		}
	}
}
END_TEST

START_TEST(each_escape_is_read_in_both_cases_of_its_letters)
{
	char text[4], out[3];
	int i;

	for (i = 1; i < 0x80; i++) {
		snprintf(text, sizeof text, "%%%02X", (unsigned)i);
		ck_assert_uint_eq(mrpc_percent_decode(out, text, 3), 1);
		ck_assert_int_eq(out[0], i);
		snprintf(text, sizeof text, "%%%02x", (unsigned)i);
		ck_assert_uint_eq(mrpc_percent_decode(out, text, 3), 1);
		ck_assert_int_eq(out[0], i);
	}
}
END_TEST

START_TEST(the_text_of_the_interop_suite_survives)
{
	static const char text[] =
		"\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP "
		"\xf0\x9f\x98\x88\t\n";
	static const char wire[] =
		"%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP "
		"%F0%9F%98%88%09%0A";

	check_encoded(text, wire);
	check_decoded(wire, text);
	check_encoded("", "");
	check_decoded("", "");
	check_encoded("100%", "100%25");
}
END_TEST

START_TEST(a_space_at_either_end_is_an_escape)
{
	check_encoded("a b", "a b");
	check_encoded("a  b", "a  b");
	check_encoded("a ", "a%20");
	check_encoded(" a", "%20a");
	check_encoded(" ", "%20");
	check_encoded("  ", "%20%20");
	check_encoded("   ", "%20 %20");
	check_decoded("%20 a%20", "  a ");
	check_decoded(" a ", " a "); /* others send it as it is */
}
END_TEST

START_TEST(a_broken_escape_stays_as_it_is)
{
	check_decoded("%", "%");
	check_decoded("%4", "%4");
	check_decoded("%%", "%%");
	check_decoded("%%%", "%%%");
	check_decoded("%G0", "%G0");
	check_decoded("%0G", "%0G");
	check_decoded("% 41", "% 41");
	check_decoded("%-1", "%-1");
	check_decoded("%%41", "%A");
	check_decoded("%4%41", "%4A");
	check_decoded("a%", "a%");
	check_decoded("a%2", "a%2");
	check_decoded("%25%32%35", "%25"); /* decoded once */
}
END_TEST

/* Each byte as a digit of an escape, in both places. */
START_TEST(only_hex_digits_make_an_escape)
{
	char text[3], out[3];
	size_t at;
	int c;

	for (at = 1; at <= 2; at++)
		for (c = 1; c < 256; c++) {
			bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
				      (c >= 'A' && c <= 'F');

			memcpy(text, "%66", 3);
			text[at] = (char)c;
			ck_assert_msg(mrpc_percent_decode(out, text, 3) == (is_hex ? 1 : 3),
				      "byte %d at %zu", c, at);
		}
}
END_TEST

START_TEST(bytes_that_are_no_utf8_become_question_marks)
{
	check_decoded("%80", "?");
	check_decoded("%FF%FE", "??");
	check_decoded("%C0%80", "??"); /* overlong */
	check_decoded("%C1%BF", "??");
	check_decoded("%E0%9F%BF", "???");          /* overlong */
	check_decoded("%E0%A0%80", "\xe0\xa0\x80"); /* the first that is not */
	check_decoded("%ED%9F%BF", "\xed\x9f\xbf");
	check_decoded("%ED%A0%80", "???"); /* a surrogate */
	check_decoded("%F0%8F%BF%BF", "????");
	check_decoded("%F0%90%80%80", "\xf0\x90\x80\x80");
	check_decoded("%F4%8F%BF%BF", "\xf4\x8f\xbf\xbf"); /* U+10FFFF */
	check_decoded("%F4%90%80%80", "????");
	check_decoded("%F5%80%80%80", "????");
	check_decoded("%E2%98", "??"); /* cut off */
	check_decoded("%E2%98x", "??x");
	check_decoded("%F0%9F%98", "???");
	check_decoded("%E2%98%BA", "\xe2\x98\xba");
	check_decoded("\xe2\x98\xba", "\xe2\x98\xba"); /* raw UTF-8 is let through */
	check_decoded("\xe2\x98", "??");
	check_decoded("%00", "?"); /* it would end the C string */
	check_decoded("a%00b", "a?b");
}
END_TEST

START_TEST(every_pair_of_bytes_comes_out_as_utf8)
{
	char text[7], out[6];
	unsigned pair;
	size_t len;

	for (pair = 0; pair < 65536; pair++) {
		snprintf(text, sizeof text, "%%%02X%%%02X", pair >> 8, pair & 255);
		len = mrpc_percent_decode(out, text, 6);
		ck_assert_uint_eq(len, 2);
		ck_assert_ptr_null(memchr(out, '\0', len));
		ck_assert_msg(mrpc_utf8_is_valid(out, len), "%s", text);
	}
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("wire/percent");
	TCase *t = tcase_create("percent");

	tcase_add_test(t, each_byte_is_verbatim_or_an_escape);
	tcase_add_test(t, each_escape_is_read_in_both_cases_of_its_letters);
	tcase_add_test(t, the_text_of_the_interop_suite_survives);
	tcase_add_test(t, a_space_at_either_end_is_an_escape);
	tcase_add_test(t, a_broken_escape_stays_as_it_is);
	tcase_add_test(t, only_hex_digits_make_an_escape);
	tcase_add_test(t, bytes_that_are_no_utf8_become_question_marks);
	tcase_add_test(t, every_pair_of_bytes_comes_out_as_utf8);
	suite_add_tcase(s, t);
	return s;
}

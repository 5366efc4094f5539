/* SPDX-License-Identifier: MIT */
#include "run_suite.h"

#include "wire/timeout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FOREVER (INT64_C(1) << 62)

static const char letters[] = "numSMH";
static const int64_t ns[] = {
	1, 1000, 1000000, INT64_C(1000000000), INT64_C(60000000000), INT64_C(3600000000000)
};

static void check_format(minirpc_time timeout, const char *expected)
{
	char text[MRPC_TIMEOUT_SIZE];
	size_t len = mrpc_timeout_format(text, timeout);

	ck_assert_str_eq(text, expected);
	ck_assert_uint_eq(len, strlen(expected));
}

static void check_parse(const char *text, minirpc_time expected)
{
	minirpc_time timeout = -1;

	ck_assert_msg(mrpc_timeout_parse(text, strlen(text), &timeout) == 0, "%s", text);
	ck_assert_msg(timeout == expected, "%s is %lld", text, (long long)timeout);
}

static void check_refused(const char *text, size_t len)
{
	minirpc_time timeout = -1;

	ck_assert_msg(mrpc_timeout_parse(text, len, &timeout) == -EINVAL, "%.*s", (int)len, text);
	ck_assert_int_eq(timeout, -1);
}

START_TEST(the_finest_unit_that_fits_is_written)
{
	check_format(1, "1n");
	check_format(99999999, "99999999n");
	check_format(100000000, "100000u");
	check_format(MINIRPC_US(99999999), "99999999u");
	check_format(MINIRPC_US(100000000), "100000m");
	check_format(MINIRPC_MS(99999999), "99999999m");
	check_format(MINIRPC_MS(100000000), "100000S");
	check_format(MINIRPC_S(99999999), "99999999S");
	check_format(MINIRPC_S(100000000), "1666667M");
	check_format(MINIRPC_S(60) * 99999999, "99999999M");
	check_format(MINIRPC_S(60) * 100000000, "1666667H");
	check_format(MINIRPC_MS(50), "50000000n");
	check_format(MINIRPC_S(2), "2000000u");
}
END_TEST

START_TEST(a_span_between_two_values_is_rounded_up)
{
	check_format(100000001, "100001u");
	check_format(100000999, "100001u");
	check_format(100001000, "100001u");
	check_format(MINIRPC_US(99999999) + 1, "100000m"); /* the carry needs the next unit */
	check_format(MINIRPC_S(99999999) + 1, "1666667M");
	check_format(FOREVER, "76861434M");
	check_format(MINIRPC_NEVER, "2562048H");
}
END_TEST

START_TEST(no_time_left_is_0n)
{
	check_format(0, "0n");
	check_format(-1, "0n");
	check_format(INT64_MIN, "0n");
}
END_TEST

START_TEST(one_to_eight_digits_of_each_unit_are_read)
{
	static const char digits[] = "98765432";
	char text[16];
	size_t unit, n;
	int64_t value;

	for (unit = 0; unit < 6; unit++)
		for (n = 1, value = 0; n <= 8; n++) {
			value = value * 10 + (digits[n - 1] - '0');
			snprintf(text, sizeof text, "%.*s%c", (int)n, digits, letters[unit]);
			check_parse(text, value > FOREVER / ns[unit] ? FOREVER : value * ns[unit]);
		}
	check_parse("0n", 0);
	check_parse("0H", 0);
	check_parse("00000000S", 0);
	check_parse("00000007S", MINIRPC_S(7));
}
END_TEST

START_TEST(nine_digits_are_refused)
{
	size_t unit;
	char text[16];

	for (unit = 0; unit < 6; unit++) {
		snprintf(text, sizeof text, "000000001%c", letters[unit]);
		check_refused(text, 10);
	}
	check_refused("12345678901234567890S", 21);
}
END_TEST

START_TEST(a_text_without_a_digit_or_without_a_unit_is_refused)
{
	check_refused("", 0);
	check_refused("S", 1);
	check_refused("1", 1);
	check_refused("12", 2);
	check_refused("SS", 2);
	check_refused("-1S", 3);
	check_refused("+1S", 3);
	check_refused(" 1S", 3);
	check_refused("1 S", 3);
	check_refused("1.5S", 4);
	check_refused("1S ", 3);
	check_refused("0x1S", 4);
	check_refused("1s", 2);
	check_refused("1h", 2);
}
END_TEST

START_TEST(each_other_byte_in_each_place_is_refused)
{
	char text[9];
	size_t at;
	int c;

	for (at = 0; at < sizeof text; at++)
		for (c = 0; c < 256; c++) {
			minirpc_time timeout;
			bool good = at == 8 ? c != 0 && strchr(letters, c) != NULL
					    : c >= '0' && c <= '9';

			memcpy(text, "12345678n", 9);
			text[at] = (char)c;
			ck_assert_msg((mrpc_timeout_parse(text, 9, &timeout) == 0) == good,
				      "byte %d at %zu", c, at);
		}
}
END_TEST

START_TEST(what_is_longer_than_2_to_the_62_saturates)
{
	check_parse("1281023H", MINIRPC_S(3600) * 1281023); /* 2^62 ns are 1281023.89 H */
	check_parse("1281024H", FOREVER);
	check_parse("99999999H", FOREVER);
	check_parse("76861433M", MINIRPC_S(60) * 76861433);
	check_parse("76861434M", FOREVER);
	check_parse("99999999S", MINIRPC_S(99999999));
}
END_TEST

START_TEST(a_span_comes_back_no_shorter_and_at_most_one_unit_longer)
{
	char text[MRPC_TIMEOUT_SIZE];
	minirpc_time span, back;
	size_t len, unit;

	for (span = 1; span < FOREVER / 3; span = span * 3 + 1) {
		len = mrpc_timeout_format(text, span);
		unit = (size_t)(strchr(letters, text[len - 1]) - letters);
		ck_assert_int_eq(mrpc_timeout_parse(text, len, &back), 0);
		ck_assert_int_ge(back, span);
		ck_assert_int_lt(back - span, ns[unit]);
	}
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("wire/timeout");
	TCase *t = tcase_create("timeout");

	tcase_add_test(t, the_finest_unit_that_fits_is_written);
	tcase_add_test(t, a_span_between_two_values_is_rounded_up);
	tcase_add_test(t, no_time_left_is_0n);
	tcase_add_test(t, one_to_eight_digits_of_each_unit_are_read);
	tcase_add_test(t, nine_digits_are_refused);
	tcase_add_test(t, a_text_without_a_digit_or_without_a_unit_is_refused);
	tcase_add_test(t, each_other_byte_in_each_place_is_refused);
	tcase_add_test(t, what_is_longer_than_2_to_the_62_saturates);
	tcase_add_test(t, a_span_comes_back_no_shorter_and_at_most_one_unit_longer);
	suite_add_tcase(s, t);
	return s;
}

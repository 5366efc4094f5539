/* SPDX-License-Identifier: MIT */
/* Timeout: nanoseconds to the text of grpc-timeout and back [D-1].
 *
 * Eight digits cannot hold every span, so a long one is told in a coarser unit, rounded up: the
 * peer may give up a little later than we, never earlier. */
#include "wire/timeout.h"

#include <errno.h>
#include <stdint.h>

#define MOST_DIGITS 8
#define MOST_VALUE 99999999
#define FOREVER (INT64_C(1) << 62)

struct unit {
	char letter;
	int64_t ns;
};

static const struct unit units[] = {
	{ 'n', 1 },
	{ 'u', 1000 },
	{ 'm', 1000000 },
	{ 'S', INT64_C(1000000000) },
	{ 'M', INT64_C(60000000000) },
	{ 'H', INT64_C(3600000000000) }, /* 2^63 ns are 2562048 H: always short enough */
};

static int64_t divide_up(int64_t value, int64_t by)
{
	return value / by + (value % by != 0);
}

/* Not below 0. Returns the length; no NUL. */
static size_t write_number(char *text, int64_t value)
{
	size_t len = 0, left, right;

	do {
		text[len++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	for (left = 0, right = len - 1; left < right; left++, right--) {
		char digit = text[left];

		text[left] = text[right];
		text[right] = digit;
	}
	return len;
}

size_t mrpc_timeout_format(char text[MRPC_TIMEOUT_SIZE], minirpc_time timeout)
{
	const struct unit *unit = units;
	int64_t value = timeout > 0 ? timeout : 0;
	size_t len;

	while (value > MOST_VALUE)
		value = divide_up(timeout, (++unit)->ns);
	len = write_number(text, value);
	text[len++] = unit->letter;
	text[len] = '\0';
	return len;
}

static int64_t unit_ns(char letter)
{
	switch (letter) {
	case 'n':
		return units[0].ns;
	case 'u':
		return units[1].ns;
	case 'm':
		return units[2].ns;
	case 'S':
		return units[3].ns;
	case 'M':
		return units[4].ns;
	case 'H':
		return units[5].ns;
	default:
		return 0;
	}
}

int mrpc_timeout_parse(const char *text, size_t len, minirpc_time *ret_timeout)
{
	int64_t value = 0, ns;
	size_t i;

	if (len < 2 || len > MOST_DIGITS + 1)
		return -EINVAL;
	ns = unit_ns(text[len - 1]);
	if (ns == 0)
		return -EINVAL;
	for (i = 0; i < len - 1; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		value = value * 10 + (text[i] - '0');
	}

	*ret_timeout = value > FOREVER / ns ? FOREVER : value * ns;
	return 0;
}

size_t mrpc_pushback_format(char text[MRPC_PUSHBACK_SIZE], minirpc_time after)
{
	int64_t ms = after < 0 ? 1 : divide_up(after, MINIRPC_MS(1));
	size_t len = after < 0;

	if (after < 0)
		text[0] = '-';
	len += write_number(text + len, ms > INT32_MAX ? INT32_MAX : ms);
	text[len] = '\0';
	return len;
}

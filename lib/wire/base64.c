/* SPDX-License-Identifier: MIT */
/* Base64, RFC 4648 section 4, in and out of "-bin" metadata [M-2].
 *
 *	three bytes   aaaaaaaa bbbbbbbb cccccccc
 *	four letters  aaaaaa aabbbb bbbbcc cccccc
 *
 * Reading is strict: one text for each value, but for the padding that is there whole or not at
 * all. */
#include "wire/base64.h"

#include <errno.h>

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define XX 0x80 /* no letter: above every value, so one look at the OR of a group judges it */

/* clang-format off */
static const uint8_t values[256] = {
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, 62, XX, XX, XX, 63,
	52, 53, 54, 55, 56, 57, 58, 59, 60, 61, XX, XX, XX, XX, XX, XX,
	XX,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14,
	15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, XX, XX, XX, XX, XX,
	XX, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
	XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX, XX,
};
/* clang-format on */

static uint8_t value(char letter)
{
	return values[(unsigned char)letter];
}

size_t mrpc_base64_encode(char *out, const uint8_t *data, size_t len)
{
	char *start = out;

	for (; len >= 3; data += 3, len -= 3) {
		*out++ = letters[data[0] >> 2];
		*out++ = letters[(data[0] & 3) << 4 | data[1] >> 4];
		*out++ = letters[(data[1] & 15) << 2 | data[2] >> 6];
		*out++ = letters[data[2] & 63];
	}
	if (len > 0) {
		*out++ = letters[data[0] >> 2];
		if (len == 1) {
			*out++ = letters[(data[0] & 3) << 4];
		} else {
			*out++ = letters[(data[0] & 3) << 4 | data[1] >> 4];
			*out++ = letters[(data[1] & 15) << 2];
		}
	}
	return (size_t)(out - start);
}

/* Padding belongs to a text of whole groups only: "QQ==", "QUI=", not "QQ=". */
static size_t without_padding(const char *text, size_t len)
{
	if (len > 0 && len % 4 == 0 && text[len - 1] == '=') {
		len--;
		if (text[len - 1] == '=')
			len--;
	}
	return len;
}

int mrpc_base64_decode(uint8_t *out, size_t *ret_len, const char *text, size_t len)
{
	uint8_t *start = out;
	uint8_t a, b, c, d;

	len = without_padding(text, len);
	for (; len >= 4; text += 4, len -= 4) {
		a = value(text[0]);
		b = value(text[1]);
		c = value(text[2]);
		d = value(text[3]);
		if ((a | b | c | d) & XX)
			return -EINVAL;
		*out++ = (uint8_t)(a << 2 | b >> 4);
		*out++ = (uint8_t)(b << 4 | c >> 2);
		*out++ = (uint8_t)(c << 6 | d);
	}
	if (len == 1)
		return -EINVAL;
	if (len > 0) {
		a = value(text[0]);
		b = value(text[1]);
		c = len == 3 ? value(text[2]) : 0;
		if ((a | b | c) & XX)
			return -EINVAL;
		if ((len == 2 ? b & 15 : c & 3) != 0)
			return -EINVAL; /* bits that would be lost */
		*out++ = (uint8_t)(a << 2 | b >> 4);
		if (len == 3)
			*out++ = (uint8_t)(b << 4 | c >> 2);
	}
	*ret_len = (size_t)(out - start);
	return 0;
}

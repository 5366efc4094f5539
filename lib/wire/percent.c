/* SPDX-License-Identifier: MIT */
/* Percent: the text of a status in a header field [S-2].
 *
 * Reading is forgiving, as the text is for people: what is no escape stays, what is no UTF-8, or
 * would end a C string early, becomes '?'. */
#include "wire/percent.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A space at either end is no part of a field's value (RFC 9113, 8.2.1: such a field is malformed,
 * and nghttp2 drops it), so it is escaped, too. */
static bool is_verbatim(const char *text, size_t i, size_t len)
{
	unsigned char c = (unsigned char)text[i];

	if (c == ' ')
		return i > 0 && i + 1 < len;
	return c > 0x20 && c <= 0x7E && c != '%';
}

size_t mrpc_percent_encoded_len(const char *text, size_t len)
{
	size_t encoded = len, i;

	for (i = 0; i < len; i++)
		if (!is_verbatim(text, i, len))
			encoded += 2;
	return encoded;
}

size_t mrpc_percent_encode(char *out, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0, i;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (is_verbatim(text, i, len)) {
			out[n++] = (char)c;
		} else {
			out[n++] = '%';
			out[n++] = hex[c >> 4];
			out[n++] = hex[c & 15];
		}
	}
	return n;
}

static size_t unescape(char *out, const char *text, size_t len)
{
	size_t n = 0, i = 0;

	while (i < len) {
		int high, low;

		if (text[i] == '%' && len - i >= 3) {
			high = mrpc_hex_value(text[i + 1]);
			low = mrpc_hex_value(text[i + 2]);
			if (high >= 0 && low >= 0) {
				out[n++] = (char)(high << 4 | low);
				i += 3;
				continue;
			}
		}
		out[n++] = text[i++];
	}
	return n;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

/* The length of the character at the start of n > 0 bytes, or 0 when there is none. RFC 3629, 4:
 * only the second byte has narrower bounds, against overlong forms, surrogates and the end of
 * Unicode. */
static size_t utf8_character(const unsigned char *s, size_t n)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t len, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xC2 || s[0] > 0xF4)
		return 0;
	len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	if (n < len)
		return 0;

	if (s[0] == 0xE0)
		low = 0xA0;
	else if (s[0] == 0xED)
		high = 0x9F;
	else if (s[0] == 0xF0)
		low = 0x90;
	else if (s[0] == 0xF4)
		high = 0x8F;
	if (s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < len; i++)
		if (!is_continuation(s[i]))
			return 0;
	return len;
}

static void make_text(char *out, size_t len)
{
	size_t i = 0, character;

	while (i < len) {
		character = utf8_character((const unsigned char *)out + i, len - i);
		if (character == 0 || out[i] == '\0') {
			out[i] = '?';
			character = 1;
		}
		i += character;
	}
}

size_t mrpc_percent_decode(char *out, const char *text, size_t len)
{
	size_t n = unescape(out, text, len);

	make_text(out, n);
	return n;
}

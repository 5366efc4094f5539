/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* The length of the well-formed sequence at p, of at most `left` bytes; 0 when there is none (RFC
 * 3629, 4). */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xBF;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xC2 && p[0] <= 0xDF)
		len = 2;
	else if (p[0] >= 0xE0 && p[0] <= 0xEF)
		len = 3;
	else if (p[0] >= 0xF0 && p[0] <= 0xF4)
		len = 4;
	else
		return 0;
	if (left < len)
		return 0;

	/* The second byte has a narrower range after these, against overlong forms, surrogates and
	 * too large ones. */
	if (p[0] == 0xE0)
		low = 0xA0;
	else if (p[0] == 0xED)
		high = 0x9F;
	else if (p[0] == 0xF0)
		low = 0x90;
	else if (p[0] == 0xF4)
		high = 0x8F;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((p[i] & 0xC0) != 0x80)
			return 0;
	return len;
}

bool mrpc_utf8_is_valid(const void *text, size_t len)
{
	const uint8_t *p = text;
	uint64_t word;
	size_t step;

	while (len > 0) {
		if (len >= 8) { /* ASCII, eight at a time */
			memcpy(&word, p, 8);
			if ((word & 0x8080808080808080u) == 0) {
				p += 8;
				len -= 8;
				continue;
			}
		}
		step = utf8_sequence(p, len);
		if (step == 0)
			return false;
		p += step;
		len -= step;
	}
	return true;
}

bool mrpc_starts_with(const char *text, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && memcmp(text, prefix, n) == 0;
}

bool mrpc_ends_with(const char *text, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len >= n && memcmp(text + len - n, suffix, n) == 0;
}

bool mrpc_equals(const char *text, size_t len, const char *other)
{
	return strlen(other) == len && memcmp(text, other, len) == 0;
}

char *mrpc_strndup(const char *s, size_t len)
{
	char *copy;
	size_t size;

	if (!mrpc_add(len, 1, &size))
		return NULL;
	copy = mrpc_alloc(size);
	if (copy == NULL)
		return NULL;
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

char *mrpc_strdup(const char *s)
{
	return mrpc_strndup(s, strlen(s));
}

char *mrpc_vformat(const char *format, va_list args)
{
	va_list again;
	char *text;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (len < 0)
		return NULL;
	text = mrpc_alloc((size_t)len + 1);
	if (text != NULL)
		vsnprintf(text, (size_t)len + 1, format, args);
	return text;
}

char *mrpc_format(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = mrpc_vformat(format, args);
	va_end(args);
	return text;
}

int mrpc_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool mrpc_parse_u32(const char *text, size_t len, uint32_t *ret)
{
	uint64_t value = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

const char *mrpc_error_text(int error)
{
	const char *text = strerrordesc_np(error < 0 ? -error : error);

	return text != NULL ? text : "unknown error";
}

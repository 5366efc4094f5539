/* SPDX-License-Identifier: MIT */
#include "print.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 sequence at p, or 0 (RFC 3629). */
static size_t sequence(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t mask, lead;
		size_t len;
		uint32_t least;
	} kinds[] = { { 0x80, 0, 1, 0 },
		      { 0xE0, 0xC0, 2, 0x80 },
		      { 0xF0, 0xE0, 3, 0x800 },
		      { 0xF8, 0xF0, 4, 0x10000 } };

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		uint32_t point = p[0] & (uint8_t)~kinds[k].mask;

		if ((p[0] & kinds[k].mask) != kinds[k].lead)
			continue;
		if (left < kinds[k].len)
			return 0;
		for (size_t i = 1; i < kinds[k].len; i++) {
			if ((p[i] & 0xC0) != 0x80)
				return 0;
			point = point << 6 | (p[i] & 0x3Fu);
		}
		if (point < kinds[k].least || point > 0x10FFFF ||
		    (point >= 0xD800 && point <= 0xDFFF))
			return 0;
		return kinds[k].len;
	}
	return 0;
}

static bool is_utf8(const uint8_t *p, size_t len)
{
	size_t step;

	for (; len > 0; p += step, len -= step) {
		step = sequence(p, len);
		if (step == 0)
			return false;
	}
	return true;
}

void print_json_string(FILE *out, const void *text, size_t len)
{
	const uint8_t *p = text;

	putc('"', out);
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '"' || p[i] == '\\')
			fprintf(out, "\\%c", p[i]);
		else if (p[i] < 0x20 || p[i] == 0x7F)
			fprintf(out, "\\u%04x", p[i]);
		else
			putc(p[i], out);
	}
	putc('"', out);
}

static void print_base64(FILE *out, const uint8_t *p, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t bits = (uint32_t)p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)p[i + 1] << 8;
		if (left > 2)
			bits |= p[i + 2];
		putc(digits[bits >> 18], out);
		putc(digits[bits >> 12 & 63], out);
		putc(left > 1 ? digits[bits >> 6 & 63] : '=', out);
		putc(left > 2 ? digits[bits & 63] : '=', out);
	}
}

void print_json_item(FILE *out, const char *key, const void *value, size_t len)
{
	putc('{', out);
	if (key != NULL) {
		fputs("\"key\":", out);
		print_json_string(out, key, strlen(key));
		putc(',', out);
	}
	if (is_utf8(value, len)) {
		fputs("\"value\":", out);
		print_json_string(out, value, len);
	} else {
		fputs("\"value_base64\":\"", out);
		print_base64(out, value, len);
		putc('"', out);
	}
	fputs("}\n", out);
}

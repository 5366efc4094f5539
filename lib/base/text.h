/* SPDX-License-Identifier: MIT */
/* Text: UTF-8 and small string helpers. */
#ifndef MRPC_BASE_TEXT_H
#define MRPC_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF. NUL bytes are fine. */
bool mrpc_utf8_is_valid(const void *text, size_t len);

bool mrpc_starts_with(const char *text, size_t len, const char *prefix);
bool mrpc_ends_with(const char *text, size_t len, const char *suffix);
bool mrpc_equals(const char *text, size_t len, const char *other);

/* printf into a fresh string (mrpc_free). NULL when there is no memory. */
char *mrpc_vformat(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
char *mrpc_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fresh copies (mrpc_free). NULL when there is no memory. */
char *mrpc_strdup(const char *s);
char *mrpc_strndup(const char *s, size_t len); /* NUL added */

/* "Connection refused" for ECONNREFUSED and for -ECONNREFUSED: English, whatever the locale, and
 * without strerror's hidden buffer. Never NULL. */
const char *mrpc_error_text(int error);

/* Of one hexadecimal digit of either case: 0 to 15, or -1. */
int mrpc_hex_value(char c);

/* A decimal number of 1 to 10 digits, nothing else. */
bool mrpc_parse_u32(const char *text, size_t len, uint32_t *ret);

#endif

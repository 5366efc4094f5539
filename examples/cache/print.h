/* SPDX-License-Identifier: MIT */
/* How cachectl shows keys and values: raw, or as JSON for machines. */
#ifndef CACHE_PRINT_H
#define CACHE_PRINT_H

#include <stddef.h>
#include <stdio.h>

/* "text" as a JSON string, escaped as RFC 8259 wants; text must be UTF-8. */
void print_json_string(FILE *out, const void *text, size_t len);

/* {"key":"k","value":"v"}, or {"key":"k","value_base64":"..."} when the value is not UTF-8; key
 * NULL leaves it out. One line. */
void print_json_item(FILE *out, const char *key, const void *value, size_t len);

#endif

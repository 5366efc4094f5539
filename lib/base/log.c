/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LINE 512

/* Peers' text may be in the line: nothing in it may move a terminal's cursor or end the line. */
static void escape(char line[LINE], const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t at = 0;

	for (; *text != '\0' && at + 5 < LINE; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c <= 0x7E) {
			line[at++] = (char)c;
			continue;
		}
		line[at++] = '\\';
		line[at++] = 'x';
		line[at++] = digits[c >> 4];
		line[at++] = digits[c & 15];
	}
	line[at] = '\0';
}

void mrpc_log(const struct mrpc_log *log, enum minirpc_log_level level, const char *format, ...)
{
	char text[LINE], line[LINE];
	va_list args;

	if (log == NULL || log->fn == NULL || level > log->level)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	escape(line, text);
	log->fn(level, line, log->user);
}

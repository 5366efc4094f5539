/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	_Alignas(max_align_t) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_block *block = NULL;

	if (size <= SIZE_MAX - sizeof *block)
		block = calloc(1, sizeof *block + size);
	if (block == NULL) {
		fputs("protoc-gen-minirpc: out of memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	block->next = arena->blocks;
	arena->blocks = block;
	return block->data;
}

void arena_free(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *next = arena->blocks->next;

		free(arena->blocks);
		arena->blocks = next;
	}
}

char *arena_copy(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	memcpy(copy, text, len);
	return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *result;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(len >= 0);

	result = arena_alloc(arena, (size_t)len + 1);
	va_start(args, format);
	vsnprintf(result, (size_t)len + 1, format, args);
	va_end(args);
	return result;
}

void text_add(struct text *text, const void *data, size_t len)
{
	if (text->capacity - text->len <= len) { /* one more for the NUL */
		size_t capacity = 2 * text->capacity + len + 256;
		char *bigger = arena_alloc(text->arena, capacity);

		if (text->len > 0)
			memcpy(bigger, text->data, text->len);
		text->data = bigger;
		text->capacity = capacity;
	}
	if (len > 0)
		memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void text_puts(struct text *text, const char *string)
{
	text_add(text, string, strlen(string));
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	char line[4096];
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof line, format, args);
	va_end(args);
	assert(len >= 0 && (size_t)len < sizeof line);
	text_add(text, line, (size_t)len);
}

const char *text_string(struct text *text)
{
	return text->data == NULL ? "" : text->data;
}

void claims_add(struct claims *claims, const char *name, const char *owner)
{
	if (claims->count == claims->capacity) {
		size_t capacity = 2 * claims->capacity + 64;
		struct claim *bigger = arena_alloc(claims->arena, capacity * sizeof *bigger);

		if (claims->count > 0)
			memcpy(bigger, claims->list, claims->count * sizeof *bigger);
		claims->list = bigger;
		claims->capacity = capacity;
	}
	claims->list[claims->count] = (struct claim){ name, owner, claims->count };
	claims->count++;
}

static int claim_compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order != 0)
		return order;
	return x->order < y->order ? -1 : x->order > y->order;
}

bool claims_clash(struct claims *claims, const char **ret_name, const char *ret_owners[2])
{
	if (claims->count > 1)
		qsort(claims->list, claims->count, sizeof *claims->list, claim_compare);
	for (size_t i = 1; i < claims->count; i++) {
		if (strcmp(claims->list[i - 1].name, claims->list[i].name) == 0) {
			*ret_name = claims->list[i].name;
			ret_owners[0] = claims->list[i - 1].owner;
			ret_owners[1] = claims->list[i].owner;
			return true;
		}
	}
	return false;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static const char *lookup(const struct scope *scope, const char *name, size_t len)
{
	for (const struct var *var = scope->vars; var->name != NULL; var++) {
		if (strlen(var->name) == len && memcmp(var->name, name, len) == 0)
			return var->value;
	}
	assert(false && "template names an unknown variable");
	return "";
}

static void claim_declared(struct text *text, size_t start, const struct scope *scope)
{
	static const char tag[] = "struct ";
	const size_t tag_len = sizeof tag - 1;

	if (start >= tag_len && memcmp(text->data + start - tag_len, tag, tag_len) == 0)
		start -= tag_len;
	claims_add(scope->claims, arena_copy(text->arena, text->data + start, text->len - start),
		   scope->owner);
}

void text_expand(struct text *text, const struct scope *scope, const char *template)
{
	const char *p = template;
	bool declares = false;
	size_t start = 0;

	for (;;) {
		size_t plain = strcspn(p, "$@");

		if (declares && plain > 0) {
			size_t name_len = 0;

			while (name_len < plain && is_name_char(p[name_len]))
				name_len++;
			text_add(text, p, name_len);
			p += name_len;
			plain -= name_len;
			if (plain > 0 || *p == '\0') {
				claim_declared(text, start, scope);
				declares = false;
			}
		}
		text_add(text, p, plain);
		p += plain;

		if (*p == '\0') {
			assert(!declares);
			return;
		}
		if (*p == '@') {
			declares = true;
			start = text->len;
			p++;
		} else {
			size_t len = strcspn(p + 1, "$");

			text_puts(text, lookup(scope, p + 1, len));
			p += len + 2;
		}
	}
}

void text_escape(struct text *text, const char *string)
{
	for (const unsigned char *p = (const unsigned char *)string; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\' || *p == '?')
			text_printf(text, "\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			text_printf(text, "\\%03o", *p);
		else
			text_add(text, p, 1);
	}
}

/* What could end the comment, open another one, hide in it (control characters, the Unicode marks
 * that turn the direction of text) or be a trigraph is taken apart; the rest stays as written. */
void text_comment(struct text *text, const char *string, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const unsigned char *p = (const unsigned char *)string + i;
		unsigned char next = i + 1 < len ? p[1] : 0;
		unsigned char after = i + 2 < len ? p[2] : 0;

		if ((*p == '*' && next == '/') || (*p == '/' && next == '*') ||
		    (*p == '?' && next == '?'))
			text_printf(text, "%c ", *p);
		else if (*p == 0xe2 && ((next == 0x80 && after >= 0xaa && after <= 0xae) ||
					(next == 0x81 && after >= 0xa6 && after <= 0xa9))) {
			text_puts(text, "?");
			i += 2;
		} else if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			text_puts(text, "?");
		else
			text_add(text, p, 1);
	}
}

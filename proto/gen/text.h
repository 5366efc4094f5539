/* SPDX-License-Identifier: MIT */
/* Text that grows, and the arena that everything of one run lives in.
 *
 * The generator is a program of a few milliseconds: nothing is freed before its end, and when memory
 * runs out it says so and exits. */
#ifndef GEN_TEXT_H
#define GEN_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena_block;
struct arena {
	struct arena_block *blocks;
};

void *arena_alloc(struct arena *arena, size_t size); /* zeroed; exits when there is none */
void arena_free(struct arena *arena);
char *arena_copy(struct arena *arena, const char *text, size_t len);
char *arena_format(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct text {
	struct arena *arena;
	char *data; /* NUL-terminated once something was added */
	size_t len, capacity;
};

void text_add(struct text *text, const void *data, size_t len);
void text_puts(struct text *text, const char *string);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *text_string(struct text *text); /* never NULL */

/* Names that the generated file declares, to find two that are the same. */
struct claim {
	const char *name;
	const char *owner; /* the method or message it belongs to, "rpc.Cache.Get" */
	size_t order;
};

struct claims {
	struct arena *arena;
	struct claim *list;
	size_t count, capacity;
};

void claims_add(struct claims *claims, const char *name, const char *owner);

/* The first two owners that claim the same name; false when there are none. Sorts the list. */
bool claims_clash(struct claims *claims, const char **ret_name, const char *ret_owners[2]);

/* Template with variables: $name$ is replaced by its value. An @ in front of a name says "this is
 * declared here": it is dropped, and the name goes to the claims (with "struct " when it is a tag,
 * which is a name space of its own). */
struct var {
	const char *name, *value;
};

struct scope {
	const struct var *vars; /* ended by an empty one */
	struct claims *claims;
	const char *owner;
};

void text_expand(struct text *text, const struct scope *scope, const char *template);

/* As the inside of a C string literal; of a C comment. */
void text_escape(struct text *text, const char *string);
void text_comment(struct text *text, const char *string, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <string.h>

/* Not <ctype.h>: the locale has no say in names. */
static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
	return is_upper(c) || is_lower(c) || (c >= '0' && c <= '9');
}

static char to_lower(char c)
{
	return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static char to_upper(char c)
{
	return is_lower(c) ? (char)(c - 'a' + 'A') : c;
}

/* One piece of a full name, a word that starts a new word at each hump. */
static void add_humps(struct text *text, const char *piece, size_t len, char (*letter)(char))
{
	bool was_upper = true; /* no underscore in front */

	for (size_t i = 0; i < len; i++) {
		char c = letter(piece[i]);

		if (is_upper(piece[i]) && !was_upper)
			text_puts(text, "_");
		text_add(text, &c, 1);
		was_upper = is_upper(piece[i]);
	}
}

static void add_camel(struct text *text, const char *piece, size_t len)
{
	bool next_is_upper = true;

	for (size_t i = 0; i < len; i++) {
		char c = next_is_upper ? to_upper(piece[i]) : piece[i];

		if (piece[i] != '_')
			text_add(text, &c, 1);
		next_is_upper = piece[i] == '_';
	}
}

enum style { CAMEL, LOWER, UPPER };

static const char *convert(struct arena *arena, const char *full_name, enum style style,
			   const char *between)
{
	struct text text = { .arena = arena };

	for (const char *piece = full_name; *piece != '\0';) {
		size_t len = strcspn(piece, ".");

		if (len > 0 && text.len > 0)
			text_puts(&text, between);
		if (style == CAMEL)
			add_camel(&text, piece, len);
		else
			add_humps(&text, piece, len, style == LOWER ? to_lower : to_upper);
		piece += len;
		if (*piece == '.')
			piece++;
	}
	return text_string(&text);
}

const char *name_type(struct arena *arena, const char *full_name)
{
	return convert(arena, full_name, CAMEL, "__");
}

const char *name_lower(struct arena *arena, const char *full_name)
{
	return convert(arena, full_name, LOWER, "__");
}

const char *name_upper(struct arena *arena, const char *full_name)
{
	return convert(arena, full_name, UPPER, "__");
}

const char *name_verb(struct arena *arena, const char *full_name)
{
	return convert(arena, full_name, LOWER, "_");
}

static bool is_taken(const char *word)
{
	/* clang-format off */
	static const char taken[] =
		/* C11, C23 and C++20 */
		" alignas alignof and and_eq asm auto bitand bitor bool break case catch char"
		" char8_t char16_t char32_t class co_await co_return co_yield compl concept const"
		" const_cast consteval constexpr constinit continue decltype default delete do double"
		" dynamic_cast else enum explicit export extern false float for friend goto if inline"
		" int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private"
		" protected public register reinterpret_cast requires restrict return short signed"
		" sizeof static static_assert static_cast struct switch template this thread_local"
		" throw true try typedef typeid typename typeof typeof_unqual union unsigned using"
		" virtual void volatile wchar_t while xor xor_eq "
		/* macros of system headers and of GNU C that look like names */
		" complex errno environ i386 imaginary linux noreturn stderr stdin stdout unix ";
	/* clang-format on */
	const char *found = taken;
	size_t len = strlen(word);

	while ((found = strstr(found, word)) != NULL) {
		if (found > taken && found[-1] == ' ' && found[len] == ' ')
			return true;
		found += len;
	}
	return false;
}

const char *name_member(struct arena *arena, const char *word)
{
	const char *lower = convert(arena, word, LOWER, "_");

	if (*lower != '\0' && is_taken(lower))
		return arena_format(arena, "%s_", lower);
	return lower;
}

static bool ends_with(const char *path, size_t len, const char *suffix)
{
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len && memcmp(path + len - suffix_len, suffix, suffix_len) == 0;
}

const char *name_stem(struct arena *arena, const char *path)
{
	size_t len = strlen(path);

	if (ends_with(path, len, ".protodevel"))
		len -= strlen(".protodevel");
	else if (ends_with(path, len, ".proto"))
		len -= strlen(".proto");
	return arena_copy(arena, path, len);
}

/* Letters and digits stay; "/" is "__"; "_" stays alone between two of them; the rest, and "_" where
 * it could be mistaken for one of these, is "_Z" and two hex digits. Read from the left there is one
 * way back. */
const char *name_file(struct arena *arena, const char *path)
{
	const char *stem = name_stem(arena, path);
	struct text text = { .arena = arena };

	for (const char *p = stem; *p != '\0'; p++) {
		bool alone = p > stem && is_alnum(p[-1]) && is_alnum(p[1]) && p[1] != 'Z';

		if (is_alnum(*p) || (*p == '_' && alone))
			text_add(&text, p, 1);
		else if (*p == '/')
			text_puts(&text, "__");
		else
			text_printf(&text, "_Z%02x", (unsigned char)*p);
	}
	return text_string(&text);
}

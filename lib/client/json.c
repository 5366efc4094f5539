/* SPDX-License-Identifier: MIT */
/* JSON by jansson, which the config_ files use, and nobody else of ours.
 *
 * Size and depth are bounded before jansson sees a byte: it is recursive. Its memory is malloc's, by hooks that
 * belong to the whole process, which we leave as they are. */
#include "client/json.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- Text to JSON and back ---- */

/* Brackets outside of strings, counted as jansson's lexer sees them up to its first complaint. */
static int check_bounds(const struct mrpc_config_draft *draft,
			const struct mrpc_config_where *where, const char *text)
{
	size_t len = strnlen(text, MRPC_CONFIG_SIZE + 1);
	unsigned depth = 0;
	bool in_string = false;

	if (len > MRPC_CONFIG_SIZE) {
		mrpc_config_fault(draft, where, "longer than 65536 bytes");
		return -E2BIG;
	}
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (in_string && c == '\\' && text[i + 1] != '\0')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']') && depth > 0)
			depth--;
		if (depth > MRPC_CONFIG_DEPTH) {
			mrpc_config_fault(draft, where, "nested deeper than 32");
			return -E2BIG;
		}
	}
	return 0;
}

/* Reads twice, and believes what came out the same. When memory runs out jansson 2.14 may say so, or call a string
 * malformed, or quietly leave a byte out of one (its lexer does not look whether its buffer grew); a second time
 * at the very same byte it hardly will. Returns 0, -EINVAL (error says why), -ENOMEM. */
static int read_twice(const char *text, size_t flags, json_error_t *error, json_t **ret)
{
	json_t *json = json_loadb(text, strlen(text), flags, error);
	int first = error->position;
	json_t *again = json_loadb(text, strlen(text), flags, error);
	bool no_words = error->text[0] == '\0';
	int r = 0;

	if (json == NULL && again == NULL)
		r = no_words || first != error->position ? -ENOMEM : -EINVAL;
	else if (json == NULL || again == NULL || !json_equal(json, again))
		r = -ENOMEM;
	json_decref(again);
	if (r == 0)
		*ret = json;
	else
		json_decref(json);
	return r;
}

int mrpc_json_parse(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		    const char *text, json_t **ret_root)
{
	char sentence[JSON_ERROR_TEXT_LENGTH + 64];
	json_error_t error;
	int r;

	r = check_bounds(draft, where, text);
	if (r < 0)
		return r;
	r = read_twice(text, JSON_REJECT_DUPLICATES, &error, ret_root);
	if (r != -EINVAL)
		return r;
	snprintf(sentence, sizeof sentence, "line %d, column %d: %s", error.line, error.column,
		 error.text);
	return mrpc_config_fault(draft, where, sentence);
}

char *mrpc_json_print(const json_t *json, struct mrpc_arena *arena)
{
	size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT);
	char *text;

	if (size == 0)
		return NULL;
	text = arena != NULL ? mrpc_arena_alloc(arena, size + 1) : mrpc_alloc(size + 1);
	if (text == NULL)
		return NULL;
	if (json_dumpb(json, text, size, JSON_COMPACT) != size) {
		if (arena == NULL)
			mrpc_free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

char mrpc_json_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool mrpc_json_equals_in_any_case(const char *a, const char *b)
{
	for (; *a != '\0' && mrpc_json_lower(*a) == mrpc_json_lower(*b); a++, b++)
		;
	return *a == *b;
}

/* ---- Lists and objects ---- */

int mrpc_json_fault(const struct mrpc_json *json, const char *sentence)
{
	return mrpc_config_fault(json->draft, json->at, sentence);
}

static void find(const struct mrpc_json *object, const char *name, struct mrpc_json *ret)
{
	*ret = (struct mrpc_json){
		.draft = object->draft,
		.at = &ret->where,
		.where = { .up = object->at, .name = name },
		.value = json_object_get(object->value, name),
	};
	if (json_is_null(ret->value))
		ret->value = NULL;
}

void mrpc_json_item(struct mrpc_json *ret, const struct mrpc_json *list, size_t i)
{
	*ret = (struct mrpc_json){
		.draft = list->draft,
		.at = &ret->where,
		.where = { .up = list->at, .index = i },
		.value = json_array_get(list->value, i),
	};
}

int mrpc_json_list(const struct mrpc_json *object, const char *name, struct mrpc_json *ret)
{
	find(object, name, ret);
	if (ret->value != NULL && !json_is_array(ret->value))
		return mrpc_json_fault(ret, "must be a list");
	return 0;
}

int mrpc_json_object(const struct mrpc_json *object, const char *name, struct mrpc_json *ret)
{
	find(object, name, ret);
	if (ret->value != NULL && !json_is_object(ret->value))
		return mrpc_json_fault(ret, "must be an object");
	return 0;
}

/* ---- Single values ---- */

int mrpc_json_bool(const struct mrpc_json *object, const char *name, bool *ret_has, bool *ret)
{
	struct mrpc_json field;

	find(object, name, &field);
	if (field.value == NULL)
		return 0;
	if (!json_is_boolean(field.value))
		return mrpc_json_fault(&field, "must be true or false");
	*ret_has = true;
	*ret = json_is_true(field.value);
	return 0;
}

int mrpc_json_text(const struct mrpc_json *object, const char *name, const char **ret)
{
	struct mrpc_json field;

	find(object, name, &field);
	if (field.value == NULL)
		return 0;
	if (!json_is_string(field.value))
		return mrpc_json_fault(&field, "must be a string");
	*ret = json_string_value(field.value);
	return 0;
}

/* A number, or one in quotes as proto3's JSON allows: jansson reads that once more, as its decimal point does
 * not depend on the locale. Returns 0, -EINVAL, -ENOMEM. */
static int number_of(const json_t *value, double *ret)
{
	const char *text;
	json_error_t error;
	json_t *inner;
	size_t len;
	int r;

	if (json_is_number(value)) {
		*ret = json_number_value(value);
		return 0;
	}
	if (!json_is_string(value))
		return -EINVAL;
	text = json_string_value(value);
	len = json_string_length(value);
	if (len == 0 || strspn(text, "0123456789+-.eE") != len)
		return -EINVAL;
	r = read_twice(text, JSON_DECODE_ANY, &error, &inner);
	if (r < 0)
		return r;
	*ret = json_number_value(inner);
	json_decref(inner);
	return 0;
}

int mrpc_json_number(const struct mrpc_json *object, const char *name, double *ret)
{
	struct mrpc_json field;
	int r;

	find(object, name, &field);
	if (field.value == NULL)
		return 0;
	r = number_of(field.value, ret);
	return r == -EINVAL ? mrpc_json_fault(&field, "must be a number") : r;
}

int mrpc_json_u32(const struct mrpc_json *object, const char *name, bool *ret_has, uint32_t *ret)
{
	struct mrpc_json field;
	double number = 0;
	int r;

	find(object, name, &field);
	if (field.value == NULL)
		return 0;
	r = number_of(field.value, &number);
	if (r == 0 &&
	    (!(number >= 0 && number <= UINT32_MAX) || number != (double)(uint32_t)number))
		r = -EINVAL;
	if (r == -EINVAL)
		return mrpc_json_fault(&field, "must be a whole number from 0 to 4294967295");
	if (r < 0)
		return r;
	*ret_has = true;
	*ret = (uint32_t)number;
	return 0;
}

/* ---- Durations ---- */

#define LONGEST_S INT64_C(315576000000) /* 10000 years */

/* Digits, at most `most` of them, at *text, which moves behind them. 0: there are none, or too many. */
static size_t digits_of(const char **text, size_t most, int64_t *ret)
{
	size_t n = 0;

	for (*ret = 0; **text >= '0' && **text <= '9'; (*text)++) {
		if (++n > most)
			return 0;
		*ret = *ret * 10 + (**text - '0');
	}
	return n;
}

/* google.protobuf.Duration in JSON: "1.5s", up to 9 decimals. */
static bool parse_duration(const char *text, minirpc_time *ret)
{
	bool negative = *text == '-';
	int64_t seconds, nanos = 0;
	size_t n;

	text += negative;
	if (digits_of(&text, 12, &seconds) == 0)
		return false;
	if (*text == '.') {
		text++;
		n = digits_of(&text, 9, &nanos);
		if (n == 0)
			return false;
		for (; n < 9; n++)
			nanos *= 10;
	}
	if (text[0] != 's' || text[1] != '\0' || seconds > LONGEST_S ||
	    (seconds == LONGEST_S && nanos > 0))
		return false;
	if (seconds > MRPC_CONFIG_LONGEST / MINIRPC_S(1))
		*ret = MRPC_CONFIG_LONGEST;
	else
		*ret = seconds * MINIRPC_S(1) + nanos;
	if (negative)
		*ret = -*ret;
	return true;
}

int mrpc_json_duration(const struct mrpc_json *object, const char *name, minirpc_time *ret)
{
	struct mrpc_json field;

	find(object, name, &field);
	if (field.value == NULL)
		return 0;
	if (!json_is_string(field.value) || !parse_duration(json_string_value(field.value), ret))
		return mrpc_json_fault(&field, "must be a duration such as \"1.5s\"");
	return 0;
}

/* ---- Status codes ---- */

/* A number, or a name in any case. */
static bool code_of(const json_t *value, unsigned *ret_code)
{
	unsigned code;

	if (json_is_integer(value)) {
		json_int_t number = json_integer_value(value);

		*ret_code = (unsigned)number;
		return number >= MINIRPC_OK && number <= MINIRPC_UNAUTHENTICATED;
	}
	for (code = MINIRPC_OK; json_is_string(value) && code <= MINIRPC_UNAUTHENTICATED; code++)
		if (mrpc_json_equals_in_any_case(json_string_value(value),
						 minirpc_code_name((enum minirpc_code)code))) {
			*ret_code = code;
			return true;
		}
	return false;
}

int mrpc_json_codes(const struct mrpc_json *object, const char *name, uint32_t *ret)
{
	struct mrpc_json list, item;
	unsigned code;
	int r;

	r = mrpc_json_list(object, name, &list);
	for (size_t i = 0; r == 0 && i < json_array_size(list.value); i++) {
		mrpc_json_item(&item, &list, i);
		if (!code_of(item.value, &code))
			return mrpc_json_fault(&item, "must be a status code, 0 to 16 or its name");
		*ret |= MINIRPC_CODE(code);
	}
	return r;
}

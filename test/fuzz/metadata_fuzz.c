/* SPDX-License-Identifier: MIT */
/* Metadata as a user writes it: taken whole or refused whole, and read back as it was written.
 *
 *	for each field: length of key, key, length of value, value ... */
#include "fuzz.h"

#include "call/metadata.h"
#include "wire/header.h"

#include <errno.h>

#define MOST 32

static bool may_be_sent(const struct minirpc_field *field)
{
	size_t len = strlen(field->key);
	size_t value_len = field->len > 0 ? field->len : strlen(field->value);

	return mrpc_metadata_key_is_valid(field->key, len) &&
	       !mrpc_metadata_key_is_reserved(field->key, len) &&
	       (mrpc_metadata_key_is_binary(field->key, len) ||
		mrpc_metadata_value_is_valid(field->value, value_len));
}

static void check_read_back(const struct minirpc_metadata *metadata,
			    const struct minirpc_field *fields, size_t count)
{
	size_t i, bytes = 0;

	hold(minirpc_metadata_count(metadata) == count);
	hold(minirpc_metadata_at(metadata, count) == NULL);
	for (i = 0; i < count; i++) {
		const struct minirpc_field *field = minirpc_metadata_at(metadata, i), *first;
		size_t len = fields[i].len > 0 ? fields[i].len : strlen(fields[i].value);
		enum mrpc_header header;

		hold(strcmp(field->key, fields[i].key) == 0);
		hold(field->len == len);
		hold(len == 0 || memcmp(field->value, fields[i].value, len) == 0);
		hold(((const char *)field->value)[len] == '\0');

		first = minirpc_metadata_find(metadata, field->key, NULL);
		hold(first <= field);
		while (first != field)
			hold((first = minirpc_metadata_find(metadata, field->key, first)) != NULL);

		/* Nothing that a user may send means something to us. */
		header = mrpc_header_classify(field->key, strlen(field->key));
		hold(header == MRPC_HEADER_CUSTOM);
		bytes += strlen(field->key) + len + 32;
	}
	hold(metadata->bytes >= bytes);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	struct minirpc_field fields[MOST + 1] = { { 0 } };
	struct minirpc_metadata metadata;
	struct mrpc_arena arena;
	uint8_t first[256];
	size_t count = 0, n, i;
	bool good = true;
	int r;

	while (input.left > 0 && count < MOST) {
		fields[count].key = input_copy(&input, input_byte(&input), true, &n);
		fields[count].value = input_copy(&input, input_byte(&input), true, &n);
		fields[count].len = n;
		good = good && may_be_sent(&fields[count]);
		count++;
	}

	mrpc_arena_init(&arena, NULL, first, sizeof first);
	mrpc_metadata_init(&metadata, &arena);
	r = mrpc_metadata_add_all(&metadata, fields);
	hold(r == (good ? 0 : -EINVAL));
	check_read_back(&metadata, fields, good ? count : 0);
	mrpc_arena_clear(&arena);

	for (i = 0; i < count; i++) {
		free((void *)(uintptr_t)fields[i].key);
		free((void *)(uintptr_t)fields[i].value);
	}
	return 0;
}

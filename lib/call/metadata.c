/* SPDX-License-Identifier: MIT */
/* Metadata: fields in an array that doubles inside its arena; the arrays outgrown stay there, at
 * most as large again. */
#include "call/metadata.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define FIRST 8u
#define FIELD_OVERHEAD 32u /* what HPACK's size of a field adds [M-5] */

void mrpc_metadata_init(struct minirpc_metadata *metadata, struct mrpc_arena *arena)
{
	*metadata = (struct minirpc_metadata){ .arena = arena };
}

bool mrpc_metadata_key_is_binary(const char *key, size_t len)
{
	return mrpc_ends_with(key, len, "-bin");
}

static size_t wire_size(const char *key, size_t key_len, size_t value_len)
{
	if (mrpc_metadata_key_is_binary(key, key_len))
		value_len = value_len / 3 * 4 + (value_len % 3 == 0 ? 0 : value_len % 3 + 1);
	return key_len + value_len + FIELD_OVERHEAD;
}

static int make_room(struct minirpc_metadata *metadata)
{
	size_t capacity = metadata->capacity == 0 ? FIRST : metadata->capacity * 2;
	struct minirpc_field *fields;

	if (metadata->count < metadata->capacity)
		return 0;
	fields = mrpc_arena_alloc(metadata->arena, capacity * sizeof *fields);
	if (fields == NULL)
		return -ENOMEM;
	if (metadata->count > 0)
		memcpy(fields, metadata->fields, metadata->count * sizeof *fields);
	metadata->fields = fields;
	metadata->capacity = capacity;
	return 0;
}

int mrpc_metadata_add(struct minirpc_metadata *metadata, const char *key, size_t key_len,
		      const void *value, size_t value_len)
{
	char *texts;
	size_t size;
	int r;

	r = make_room(metadata);
	if (r < 0)
		return r;
	if (!mrpc_add(key_len, value_len, &size) || !mrpc_add(size, 2, &size))
		return -ENOMEM;
	texts = mrpc_arena_alloc(metadata->arena, size); /* zeroed: both texts end with a NUL */
	if (texts == NULL)
		return -ENOMEM;
	memcpy(texts, key, key_len);
	if (value_len > 0)
		memcpy(texts + key_len + 1, value, value_len);

	metadata->fields[metadata->count++] = (struct minirpc_field){
		.key = texts,
		.value = texts + key_len + 1,
		.len = value_len,
	};
	metadata->bytes += wire_size(key, key_len, value_len);
	return 0;
}

bool mrpc_metadata_key_is_valid(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = key[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
		      c == '.'))
			return false;
	}
	return len > 0;
}

bool mrpc_metadata_key_is_reserved(const char *key, size_t len)
{
	/* gRPC's own call definition, and the fields that RFC 9113, 8.2.2 forbids or HTTP gives a
	 * meaning. */
	static const char *const names[] = {
		"te",      "content-type", "content-length",   "user-agent",
		"host",    "connection",   "keep-alive",       "transfer-encoding",
		"upgrade", "trailer",      "proxy-connection",
	};

	if (mrpc_starts_with(key, len, "grpc-") || mrpc_starts_with(key, len, ":"))
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (mrpc_equals(key, len, names[i]))
			return true;
	return false;
}

/* Printable ASCII; a space at an end would not survive HTTP [M-1]. */
bool mrpc_metadata_value_is_valid(const void *value, size_t len)
{
	const char *text = value;

	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7E)
			return false;
	return len == 0 || (text[0] != ' ' && text[len - 1] != ' ');
}

static size_t value_len(const struct minirpc_field *field)
{
	if (field->len > 0 || field->value == NULL)
		return field->value == NULL ? 0 : field->len;
	return strlen(field->value);
}

bool mrpc_metadata_field_is_valid(const struct minirpc_field *field)
{
	size_t len = strlen(field->key);

	if (!mrpc_metadata_key_is_valid(field->key, len) ||
	    mrpc_metadata_key_is_reserved(field->key, len))
		return false;
	return mrpc_metadata_key_is_binary(field->key, len) ||
	       mrpc_metadata_value_is_valid(field->value, value_len(field));
}

int mrpc_metadata_add_all(struct minirpc_metadata *metadata, const struct minirpc_field *fields)
{
	const struct minirpc_metadata before = *metadata;
	int r;

	if (fields == NULL)
		return 0;
	for (const struct minirpc_field *field = fields; field->key != NULL; field++)
		if (!mrpc_metadata_field_is_valid(field))
			return -EINVAL;
	for (const struct minirpc_field *field = fields; field->key != NULL; field++) {
		r = mrpc_metadata_add(metadata, field->key, strlen(field->key), field->value,
				      value_len(field));
		if (r < 0) {
			*metadata = before;
			return r;
		}
	}
	return 0;
}

size_t mrpc_metadata_bytes(const struct minirpc_metadata *metadata, const char *key)
{
	const struct minirpc_field *field = NULL;
	size_t bytes = 0;

	while ((field = minirpc_metadata_find(metadata, key, field)) != NULL)
		bytes += wire_size(key, strlen(key), field->len);
	return bytes;
}

void mrpc_metadata_remove(struct minirpc_metadata *metadata, const char *key, size_t among)
{
	size_t kept = 0;

	for (size_t i = 0; i < metadata->count; i++) {
		const struct minirpc_field *field = &metadata->fields[i];

		if (i < among && strcmp(field->key, key) == 0)
			metadata->bytes -= wire_size(key, strlen(key), field->len);
		else
			metadata->fields[kept++] = *field;
	}
	metadata->count = kept;
}

size_t minirpc_metadata_count(const struct minirpc_metadata *metadata)
{
	return metadata == NULL ? 0 : metadata->count;
}

const struct minirpc_field *minirpc_metadata_at(const struct minirpc_metadata *metadata,
						size_t index)
{
	return index < minirpc_metadata_count(metadata) ? &metadata->fields[index] : NULL;
}

const struct minirpc_field *minirpc_metadata_find(const struct minirpc_metadata *metadata,
						  const char *key,
						  const struct minirpc_field *after)
{
	size_t i = after == NULL ? 0 : (size_t)(after - metadata->fields) + 1;

	for (; i < minirpc_metadata_count(metadata); i++)
		if (strcmp(metadata->fields[i].key, key) == 0)
			return &metadata->fields[i];
	return NULL;
}

const char *minirpc_metadata_get(const struct minirpc_metadata *metadata, const char *key)
{
	const struct minirpc_field *field = minirpc_metadata_find(metadata, key, NULL);

	return field == NULL ? NULL : field->value;
}

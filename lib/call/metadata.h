/* SPDX-License-Identifier: MIT */
/* Metadata: a growing array of fields, whose texts live in an arena. */
#ifndef MRPC_CALL_METADATA_H
#define MRPC_CALL_METADATA_H

#include "base/arena.h"

#include <minirpc/metadata.h>

struct minirpc_metadata {
	struct mrpc_arena *arena;
	struct minirpc_field *fields;
	size_t count, capacity;
	size_t bytes; /* sum of name + value + 32 as on the wire, "-bin" after base64 [M-5] */
};

void mrpc_metadata_init(struct minirpc_metadata *metadata, struct mrpc_arena *arena);

/* Copies a field in, unchecked. Returns 0 or -ENOMEM. */
int mrpc_metadata_add(struct minirpc_metadata *metadata, const char *key, size_t key_len,
		      const void *value, size_t value_len);

/* Checks and copies a user's array (NULL: nothing). Returns 0, -EINVAL (key characters, reserved
 * key, value that is not printable ASCII), -ENOMEM; on failure nothing was added. */
int mrpc_metadata_add_all(struct minirpc_metadata *metadata, const struct minirpc_field *fields);

/* What all fields of that key count [M-5]. */
size_t mrpc_metadata_bytes(const struct minirpc_metadata *metadata, const char *key);

/* Takes away every field of that key among the first `among`. */
void mrpc_metadata_remove(struct minirpc_metadata *metadata, const char *key, size_t among);

/* M-1: 0-9 a-z _ - . and not empty. */
bool mrpc_metadata_key_is_valid(const char *key, size_t len);
/* M-4 and HTTP/2's own: may not be set by a user. */
bool mrpc_metadata_key_is_reserved(const char *key, size_t len);
/* Both, and a value that may go with the key. */
bool mrpc_metadata_field_is_valid(const struct minirpc_field *field);
bool mrpc_metadata_key_is_binary(const char *key, size_t len);
bool mrpc_metadata_value_is_valid(const void *value, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* JSON as service configs are written in: the JSON form of proto3. See json.c. */
#ifndef MRPC_CLIENT_JSON_H
#define MRPC_CLIENT_JSON_H

#include "client/config_draft.h"

#include <jansson.h>

/* A value and where it stands, for complaints. It points to what it was found in, and to itself: do not copy. */
struct mrpc_json {
	const struct mrpc_config_draft *draft;
	const struct mrpc_config_where *at; /* NULL: the top */
	struct mrpc_config_where where;
	json_t *value; /* NULL: it is not there */
};

/* Reads text, within the bounds of config.h; duplicate keys and NULs are refused. Returns 0 (*ret_root is to be given
 * to json_decref), -EINVAL, -E2BIG, -ENOMEM. */
int mrpc_json_parse(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		    const char *text, json_t **ret_root);

/* Returns -EINVAL, with "where: sentence" as the draft's error. */
int mrpc_json_fault(const struct mrpc_json *json, const char *sentence);

/* Item i of a list. */
void mrpc_json_item(struct mrpc_json *ret, const struct mrpc_json *list, size_t i);

/* Fields of an object. Each returns 0; -EINVAL when it is something else, -ENOMEM. A field that is not there,
 * or null, is fine: *ret stays as it was, or has a value of NULL. */
int mrpc_json_object(const struct mrpc_json *object, const char *name, struct mrpc_json *ret);
int mrpc_json_list(const struct mrpc_json *object, const char *name, struct mrpc_json *ret);
int mrpc_json_bool(const struct mrpc_json *object, const char *name, bool *ret_has, bool *ret);
int mrpc_json_number(const struct mrpc_json *object, const char *name, double *ret);
int mrpc_json_u32(const struct mrpc_json *object, const char *name, bool *ret_has, uint32_t *ret);
int mrpc_json_text(const struct mrpc_json *object, const char *name, const char **ret); /* json's */
int mrpc_json_duration(const struct mrpc_json *object, const char *name, minirpc_time *ret);
int mrpc_json_codes(const struct mrpc_json *object, const char *name, uint32_t *ret);

/* JSON as text again, in memory from an arena or, where that is NULL, from mrpc_alloc. NULL when there is none. */
char *mrpc_json_print(const json_t *json, struct mrpc_arena *arena);

/* ASCII, whatever the locale. */
char mrpc_json_lower(char c);
bool mrpc_json_equals_in_any_case(const char *a, const char *b);

#endif

/* SPDX-License-Identifier: MIT */
/* Service configs in DNS [L-7]: a TXT record at _grpc_config.HOST with "grpc_config=" and a list of choices,
 * each with the clients that it is for:
 *
 *	[ { "clientLanguage": [ "c", "java" ], "percentage": 10, "clientHostname": [ "canary7" ],
 *	    "serviceConfig": { ... } }, ... ]
 *
 * What a choice does not say fits everybody. The first that fits is taken. */
#include "client/config_draft.h"
#include "client/json.h"

#include <errno.h>

#define LANGUAGE "c"

struct client {
	unsigned draw;
	const char *host_name;
};

/* A criterion that is a list of texts: ours must be among them. */
static int match_text(const struct mrpc_json *choice, const char *name, const char *ours,
		      bool *matches)
{
	struct mrpc_json list, item;
	bool found = false;
	int r;

	r = mrpc_json_list(choice, name, &list);
	if (r < 0 || list.value == NULL)
		return r;
	for (size_t i = 0; i < json_array_size(list.value); i++) {
		mrpc_json_item(&item, &list, i);
		if (!json_is_string(item.value))
			return mrpc_json_fault(&item, "must be a string");
		if (ours != NULL &&
		    mrpc_json_equals_in_any_case(json_string_value(item.value), ours))
			found = true;
	}
	*matches = *matches && found;
	return 0;
}

/* *ret_config is NULL when the choice is for others. */
static int match(const struct mrpc_json *choice, const struct client *client, json_t **ret_config)
{
	struct mrpc_json config;
	uint32_t percentage = 100;
	bool has = false, matches = true;
	int r;

	if (!json_is_object(choice->value))
		return mrpc_json_fault(choice, "must be an object");
	r = match_text(choice, "clientLanguage", LANGUAGE, &matches);
	if (r == 0)
		r = match_text(choice, "clientHostname", client->host_name, &matches);
	if (r == 0)
		r = mrpc_json_u32(choice, "percentage", &has, &percentage);
	if (r == 0)
		r = mrpc_json_object(choice, "serviceConfig", &config);
	if (r < 0)
		return r;
	if (percentage > 100)
		return mrpc_json_fault(choice, "percentage is above 100");
	if (config.value == NULL)
		return mrpc_json_fault(choice, "has no serviceConfig");
	*ret_config = matches && client->draw < percentage ? config.value : NULL;
	return 0;
}

/* All choices must be right, also those behind the one that is taken: so a mistake shows everywhere. */
static int choose(const struct mrpc_json *list, const struct client *client, char **ret_json)
{
	json_t *chosen = NULL, *config = NULL;
	struct mrpc_json choice;
	int r;

	if (!json_is_array(list->value))
		return mrpc_json_fault(list, "must be a list");
	for (size_t i = 0; i < json_array_size(list->value); i++) {
		mrpc_json_item(&choice, list, i);
		r = match(&choice, client, &config);
		if (r < 0)
			return r;
		if (chosen == NULL)
			chosen = config;
	}
	if (chosen == NULL)
		return 0;
	*ret_json = mrpc_json_print(chosen, NULL);
	return *ret_json == NULL ? -ENOMEM : 0;
}

int mrpc_config_choose_from_txt(char **ret_json, const char *text, unsigned draw,
				const char *host_name, char *error, size_t error_size)
{
	const struct mrpc_config_draft draft = { .error = error, .error_size = error_size };
	const struct client client = { draw, host_name };
	struct mrpc_json list = { .draft = &draft };
	int r;

	if (error != NULL && error_size > 0)
		error[0] = '\0';
	*ret_json = NULL;
	r = mrpc_json_parse(&draft, NULL, text, &list.value);
	if (r < 0)
		return r;
	r = choose(&list, &client, ret_json);
	json_decref(list.value);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* Policy config: each field is looked up in the text by itself; there are few, and they are read once. */
#include "client/policy_config.h"

#include "client/json.h"

#include <errno.h>
#include <string.h>

static const struct mrpc_config_draft quiet; /* the policy says no, and that is all */

/* *ret_root NULL: there is nothing in it. */
static int parse(const char *config, json_t **ret_root)
{
	int r;

	*ret_root = NULL;
	if (config == NULL || strcmp(config, "{}") == 0)
		return 0;
	r = mrpc_json_parse(&quiet, NULL, config, ret_root);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	if (json_is_object(*ret_root))
		return 0;
	json_decref(*ret_root);
	return -EINVAL;
}

int mrpc_policy_config_bool(const char *config, const char *name, bool *ret)
{
	struct mrpc_json object = { .draft = &quiet };
	bool has;
	int r;

	r = parse(config, &object.value);
	if (r < 0 || object.value == NULL)
		return r;
	r = mrpc_json_bool(&object, name, &has, ret);
	json_decref(object.value);
	return r;
}

int mrpc_policy_config_u32(const char *config, const char *name, uint32_t *ret)
{
	struct mrpc_json object = { .draft = &quiet };
	bool has;
	int r;

	r = parse(config, &object.value);
	if (r < 0 || object.value == NULL)
		return r;
	r = mrpc_json_u32(&object, name, &has, ret);
	json_decref(object.value);
	return r;
}

int mrpc_policy_config_check(const char *policy, const char *config, const char **ret_sentence)
{
	uint32_t choice = MRPC_CHOICE_MIN;
	bool shuffle;
	int r = 0;

	if (strcmp(policy, "pick_first") == 0) {
		*ret_sentence = "shuffleAddressList must be true or false";
		r = mrpc_policy_config_bool(config, "shuffleAddressList", &shuffle);
	} else if (strcmp(policy, "least_request") == 0) {
		*ret_sentence = "choiceCount must be a whole number of at least 2";
		r = mrpc_policy_config_u32(config, "choiceCount", &choice);
		if (r == 0 && choice < MRPC_CHOICE_MIN)
			r = -EINVAL;
	}
	return r;
}

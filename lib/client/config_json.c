/* SPDX-License-Identifier: MIT */
/* Config from JSON: gRPC's service_config.proto in the JSON form of proto3.
 *
 * Every field that is known must be right, however deep it sits, or the whole config is refused with the path
 * of the mistake; fields that are not known are not looked at [L-8]. null is as if the field were not there. */
#include "client/config_draft.h"
#include "client/json.h"

#include <errno.h>
#include <string.h>

static const struct mrpc_config_words words = {
	.service = "service",
	.timeout = "timeout",
	.retry = "retryPolicy",
	.hedging = "hedgingPolicy",
	.max_attempts = "maxAttempts",
	.initial_backoff = "initialBackoff",
	.max_backoff = "maxBackoff",
	.backoff_multiplier = "backoffMultiplier",
	.retry_codes = "retryableStatusCodes",
	.delay = "hedgingDelay",
	.hedging_codes = "nonFatalStatusCodes",
	.max_tokens = "maxTokens",
	.token_ratio = "tokenRatio",
};

/* ---- methodConfig ---- */

static int read_retry(const struct mrpc_json *entry, struct minirpc_retry_policy *retry,
		      bool *ret_is_there)
{
	struct mrpc_json json;
	uint32_t attempts = 0;
	bool has = false;
	int r;

	r = mrpc_json_object(entry, words.retry, &json);
	if (r < 0 || json.value == NULL)
		return r;
	*ret_is_there = true;
	r = mrpc_json_u32(&json, words.max_attempts, &has, &attempts);
	retry->max_attempts = attempts;
	if (r == 0)
		r = mrpc_json_duration(&json, words.initial_backoff, &retry->initial_backoff);
	if (r == 0)
		r = mrpc_json_duration(&json, words.max_backoff, &retry->max_backoff);
	if (r == 0)
		r = mrpc_json_number(&json, words.backoff_multiplier, &retry->backoff_multiplier);
	if (r == 0)
		r = mrpc_json_codes(&json, words.retry_codes, &retry->codes);
	return r;
}

static int read_hedging(const struct mrpc_json *entry, struct minirpc_hedging_policy *hedging,
			bool *ret_is_there)
{
	struct mrpc_json json;
	uint32_t attempts = 0;
	bool has = false;
	int r;

	r = mrpc_json_object(entry, words.hedging, &json);
	if (r < 0 || json.value == NULL)
		return r;
	*ret_is_there = true;
	r = mrpc_json_u32(&json, words.max_attempts, &has, &attempts);
	hedging->max_attempts = attempts;
	if (r == 0)
		r = mrpc_json_duration(&json, words.delay, &hedging->delay);
	if (r == 0)
		r = mrpc_json_codes(&json, words.hedging_codes, &hedging->codes);
	return r;
}

static int read_names(struct mrpc_config_draft *draft, const struct mrpc_json *entry,
		      struct minirpc_method_config *config)
{
	struct mrpc_json list, name;
	int r;

	r = mrpc_json_list(entry, "name", &list);
	for (size_t i = 0; r == 0 && i < json_array_size(list.value); i++) {
		const char *service = NULL, *method = NULL;

		mrpc_json_item(&name, &list, i);
		if (!json_is_object(name.value))
			return mrpc_json_fault(&name, "must be an object");
		r = mrpc_json_text(&name, "service", &service);
		if (r == 0)
			r = mrpc_json_text(&name, "method", &method);
		if (r == 0)
			r = mrpc_config_draft_name(draft, name.at, service, method, config);
	}
	return r;
}

static int read_entry(struct mrpc_config_draft *draft, const struct mrpc_json *json)
{
	struct minirpc_retry_policy retry = { 0 };
	struct minirpc_hedging_policy hedging = { 0 };
	struct minirpc_method_config entry = { 0 }, *config;
	bool has_retry = false, has_hedging = false;
	int r;

	if (!json_is_object(json->value))
		return mrpc_json_fault(json, "must be an object");
	r = mrpc_json_duration(json, words.timeout, &entry.timeout);
	if (r == 0)
		r = mrpc_json_bool(json, "waitForReady", &entry.has_wait_for_ready,
				   &entry.wait_for_ready);
	if (r == 0)
		r = mrpc_json_u32(json, "maxRequestMessageBytes", &entry.has_max_request,
				  &entry.max_request_bytes);
	if (r == 0)
		r = mrpc_json_u32(json, "maxResponseMessageBytes", &entry.has_max_response,
				  &entry.max_response_bytes);
	if (r == 0)
		r = read_retry(json, &retry, &has_retry);
	if (r == 0)
		r = read_hedging(json, &hedging, &has_hedging);
	if (r < 0)
		return r;
	entry.retry = has_retry ? &retry : NULL;
	entry.hedging = has_hedging ? &hedging : NULL;
	r = mrpc_config_draft_entry(draft, json->at, &entry, &config);
	return r < 0 ? r : read_names(draft, json, config);
}

static int read_methods(struct mrpc_config_draft *draft, const struct mrpc_json *root)
{
	struct mrpc_json list, item;
	int r;

	r = mrpc_json_list(root, "methodConfig", &list);
	for (size_t i = 0; r == 0 && i < json_array_size(list.value); i++) {
		mrpc_json_item(&item, &list, i);
		r = read_entry(draft, &item);
	}
	return r;
}

/* ---- The rest ---- */

static int read_throttle(struct mrpc_config_draft *draft, const struct mrpc_json *root)
{
	struct mrpc_json json;
	double ratio = 0;
	uint32_t tokens = 0;
	bool has = false;
	int r;

	r = mrpc_json_object(root, "retryThrottling", &json);
	if (r < 0 || json.value == NULL)
		return r;
	r = mrpc_json_u32(&json, words.max_tokens, &has, &tokens);
	if (r == 0)
		r = mrpc_json_number(&json, words.token_ratio, &ratio);
	return r < 0 ? r : mrpc_config_draft_throttle(draft, json.at, tokens, ratio);
}

static int read_health(struct mrpc_config_draft *draft, const struct mrpc_json *root)
{
	struct mrpc_config *config = draft->config;
	const char *service = NULL;
	struct mrpc_json json;
	int r;

	r = mrpc_json_object(root, "healthCheckConfig", &json);
	if (r < 0 || json.value == NULL)
		return r;
	r = mrpc_json_text(&json, "serviceName", &service);
	if (r < 0 || service == NULL)
		return r;
	config->rest.health_service = mrpc_arena_strndup(&config->arena, service, strlen(service));
	return config->rest.health_service == NULL ? -ENOMEM : 0;
}

static int read_scaling(struct mrpc_config_draft *draft, const struct mrpc_json *root)
{
	struct mrpc_config_where where = { .name = "maxConnectionsPerSubchannel" };
	struct mrpc_json json;
	uint32_t max = 0;
	bool has = false;
	int r;

	r = mrpc_json_object(root, "connectionScaling", &json);
	if (r < 0 || json.value == NULL)
		return r;
	r = mrpc_json_u32(&json, where.name, &has, &max);
	where.up = json.at;
	if (r == 0 && has && max == 0)
		return mrpc_config_fault(draft, &where, "must be at least 1");
	draft->config->rest.max_connections_per_subchannel = max;
	return r;
}

/* One item of loadBalancingConfig: { "round_robin": { } }. */
static int read_policy(struct mrpc_config_draft *draft, const struct mrpc_json *item,
		       struct mrpc_config_policy *policy)
{
	struct mrpc_arena *arena = &draft->config->arena;
	struct mrpc_json json;
	const char *name;
	int r;

	if (json_object_size(item->value) != 1)
		return mrpc_json_fault(item, "must be an object with one field");
	name = json_object_iter_key(json_object_iter(item->value));
	r = mrpc_json_object(item, name, &json);
	if (r < 0)
		return r;
	if (json.value == NULL) /* null */
		return mrpc_json_fault(&json, "must be an object");
	policy->name = mrpc_arena_strndup(arena, name, strlen(name));
	policy->config = mrpc_json_print(json.value, arena);
	return policy->name == NULL || policy->config == NULL ? -ENOMEM : 0;
}

static int read_policies(struct mrpc_config_draft *draft, const struct mrpc_json *root,
			 bool *ret_is_there)
{
	struct mrpc_config_policy *policies;
	struct mrpc_json list, item;
	size_t count;
	int r;

	r = mrpc_json_list(root, "loadBalancingConfig", &list);
	if (r < 0 || list.value == NULL)
		return r;
	*ret_is_there = true;
	count = json_array_size(list.value);
	if (count == 0)
		return mrpc_json_fault(&list, "is empty");
	policies = mrpc_arena_alloc(&draft->config->arena, count * sizeof *policies);
	if (policies == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++) {
		mrpc_json_item(&item, &list, i);
		r = read_policy(draft, &item, &policies[i]);
	}
	if (r == 0)
		mrpc_config_draft_policies(draft, policies, count);
	return r;
}

/* The old form, { "loadBalancingPolicy": "ROUND_ROBIN" }, counts where there is no list [L-3]; right it must
 * be in any case. */
static int read_old_policy(struct mrpc_config_draft *draft, const struct mrpc_json *root,
			   bool counts)
{
	struct mrpc_config_where where = { .name = "loadBalancingPolicy" };
	struct mrpc_arena *arena = &draft->config->arena;
	struct mrpc_config_policy *policy;
	const char *name = NULL;
	char *copy;
	int r;

	r = mrpc_json_text(root, where.name, &name);
	if (r < 0 || name == NULL)
		return r;
	if (name[0] == '\0')
		return mrpc_config_fault(draft, &where, "is empty");
	if (!counts)
		return 0;
	policy = mrpc_arena_alloc(arena, sizeof *policy);
	copy = mrpc_arena_strndup(arena, name, strlen(name));
	if (policy == NULL || copy == NULL)
		return -ENOMEM;
	for (size_t i = 0; copy[i] != '\0'; i++)
		copy[i] = mrpc_json_lower(copy[i]);
	*policy = (struct mrpc_config_policy){ .name = copy, .config = "{}" };
	mrpc_config_draft_policies(draft, policy, 1);
	return 0;
}

static int read_config(struct mrpc_config_draft *draft, json_t *value)
{
	const struct mrpc_json root = { .draft = draft, .value = value };
	bool has_policies = false;
	int r;

	if (!json_is_object(value))
		return mrpc_json_fault(&root, "must be an object");
	r = read_policies(draft, &root, &has_policies);
	if (r == 0)
		r = read_old_policy(draft, &root, !has_policies);
	if (r == 0)
		r = read_methods(draft, &root);
	if (r == 0)
		r = read_throttle(draft, &root);
	if (r == 0)
		r = read_health(draft, &root);
	if (r == 0)
		r = read_scaling(draft, &root);
	return r;
}

int mrpc_config_from_json(struct mrpc_config **ret_config, const char *json, unsigned max_attempts,
			  char *error, size_t error_size)
{
	struct mrpc_config_draft draft;
	json_t *root;
	int r;

	r = mrpc_config_draft_begin(&draft, &words, max_attempts, error, error_size);
	if (r < 0)
		return r;
	r = mrpc_json_parse(&draft, NULL, json, &root);
	if (r == 0) {
		r = read_config(&draft, root);
		json_decref(root);
	}
	if (r < 0) {
		mrpc_config_unref(draft.config);
		return r;
	}
	*ret_config = draft.config;
	return 0;
}

int minirpc_service_config_check(const char *json, char *error, size_t error_size)
{
	struct mrpc_config *config;
	int r;

	r = mrpc_config_from_json(&config, json, 0, error, error_size);
	if (r == 0)
		mrpc_config_unref(config);
	return r;
}

int mrpc_config_check_object(const struct mrpc_config_draft *draft,
			     const struct mrpc_config_where *where, const char *text)
{
	json_t *json;
	int r;

	r = mrpc_json_parse(draft, where, text, &json);
	if (r < 0)
		return r;
	if (!json_is_object(json))
		r = mrpc_config_fault(draft, where, "must be an object");
	json_decref(json);
	return r;
}

/* SPDX-License-Identifier: MIT */
/* Config: the rules of service configs, their C form, and which entry goes for which method.
 *
 * An entry hangs in a map under each of its names, so that looking a method up is at most two steps:
 *
 *	"/rpc.Cache/Get" --> entry      service and method [L-8]
 *	"/rpc.Cache/"    --> entry      the service
 *	any              --> entry      neither */
#include "client/config.h"

#include "base/alloc.h"
#include "client/backoff.h"
#include "client/config_draft.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <string.h>

#define MAX_ATTEMPTS 5u /* */

static const struct mrpc_config_words struct_words = {
	.service = "service",
	.timeout = "timeout",
	.retry = "retry",
	.hedging = "hedging",
	.max_attempts = "max_attempts",
	.initial_backoff = "initial_backoff",
	.max_backoff = "max_backoff",
	.backoff_multiplier = "backoff_multiplier",
	.retry_codes = "codes",
	.delay = "delay",
	.hedging_codes = "codes",
	.max_tokens = "max_tokens",
	.token_ratio = "token_ratio",
};

/* ---- Complaints ---- */

static void put(const struct mrpc_config_draft *draft, size_t *at, const char *text)
{
	for (; *text != '\0' && *at + 1 < draft->error_size; text++)
		draft->error[(*at)++] = *text >= 0x20 && *text <= 0x7E ? *text : '?';
	draft->error[*at] = '\0';
}

/* Paths are as deep as the config's form is, not as its text. */
static void put_where(const struct mrpc_config_draft *draft, size_t *at,
		      const struct mrpc_config_where *where)
{
	char number[32];

	if (where->up != NULL)
		put_where(draft, at, where->up);
	if (where->name == NULL) {
		snprintf(number, sizeof number, "[%zu]", where->index);
		put(draft, at, number);
		return;
	}
	if (where->up != NULL)
		put(draft, at, ".");
	put(draft, at, where->name);
}

int mrpc_config_fault(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		      const char *sentence)
{
	size_t at = 0;

	if (draft->error == NULL || draft->error_size == 0)
		return -EINVAL;
	if (where != NULL) {
		put_where(draft, &at, where);
		put(draft, &at, ": ");
	}
	put(draft, &at, sentence);
	return -EINVAL;
}

/* The same, for something in `where`. */
static int fault_in(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		    const char *name, const char *sentence)
{
	struct mrpc_config_where leaf = { .up = where, .name = name };

	return mrpc_config_fault(draft, &leaf, sentence);
}

/* ---- The rules ---- */

static minirpc_time at_most(minirpc_time span)
{
	return span < MRPC_CONFIG_LONGEST ? span : MRPC_CONFIG_LONGEST;
}

/* Attempts within the cap; codes that exist, without OK: a good answer is no failure. */
static int check_attempts(const struct mrpc_config_draft *draft,
			  const struct mrpc_config_where *where, unsigned *attempts)
{
	if (*attempts < 2)
		return fault_in(draft, where, draft->words->max_attempts, "must be at least 2");
	if (*attempts > draft->max_attempts)
		*attempts = draft->max_attempts;
	return 0;
}

static int check_codes(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		       const char *name, uint32_t *codes)
{
	if (*codes >= MINIRPC_CODE(MINIRPC_UNAUTHENTICATED + 1))
		return fault_in(draft, where, name, "there are 17 status codes, 0 to 16");
	*codes &= ~MINIRPC_CODE(MINIRPC_OK);
	return 0;
}

static int check_retry(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		       struct minirpc_retry_policy *retry)
{
	const struct mrpc_config_words *words = draft->words;
	int r;

	r = check_attempts(draft, where, &retry->max_attempts);
	if (r < 0)
		return r;
	if (retry->initial_backoff <= 0)
		return fault_in(draft, where, words->initial_backoff, "must be above 0");
	if (retry->max_backoff <= 0)
		return fault_in(draft, where, words->max_backoff, "must be above 0");
	if (!(retry->backoff_multiplier > 0 && retry->backoff_multiplier <= DBL_MAX))
		return fault_in(draft, where, words->backoff_multiplier, "must be above 0");
	if (retry->codes == 0)
		return fault_in(draft, where, words->retry_codes,
				"must name at least one status code");
	retry->initial_backoff = at_most(retry->initial_backoff);
	retry->max_backoff = at_most(retry->max_backoff);
	return check_codes(draft, where, words->retry_codes, &retry->codes);
}

static int check_hedging(const struct mrpc_config_draft *draft,
			 const struct mrpc_config_where *where,
			 struct minirpc_hedging_policy *hedging)
{
	int r;

	r = check_attempts(draft, where, &hedging->max_attempts);
	if (r < 0)
		return r;
	if (hedging->delay < 0)
		return fault_in(draft, where, draft->words->delay, "must not be negative");
	hedging->delay = at_most(hedging->delay);
	return check_codes(draft, where, draft->words->hedging_codes, &hedging->codes);
}

/* Copies of the policies, checked. */
static int add_retry(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		     struct minirpc_method_config *entry)
{
	struct mrpc_config_where leaf = { .up = where, .name = draft->words->retry };
	struct minirpc_retry_policy *retry;

	if (entry->retry == NULL)
		return 0;
	retry = mrpc_arena_alloc(&draft->config->arena, sizeof *retry);
	if (retry == NULL)
		return -ENOMEM;
	*retry = *entry->retry;
	entry->retry = retry;
	return check_retry(draft, &leaf, retry);
}

static int add_hedging(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		       struct minirpc_method_config *entry)
{
	struct mrpc_config_where leaf = { .up = where, .name = draft->words->hedging };
	struct minirpc_hedging_policy *hedging;

	if (entry->hedging == NULL)
		return 0;
	if (entry->retry != NULL)
		return mrpc_config_fault(draft, &leaf, "there is a retry policy already");
	hedging = mrpc_arena_alloc(&draft->config->arena, sizeof *hedging);
	if (hedging == NULL)
		return -ENOMEM;
	*hedging = *entry->hedging;
	entry->hedging = hedging;
	return check_hedging(draft, &leaf, hedging);
}

int mrpc_config_draft_entry(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
			    const struct minirpc_method_config *entry,
			    struct minirpc_method_config **ret_entry)
{
	struct minirpc_method_config *copy;
	int r;

	if (entry->timeout < 0)
		return fault_in(draft, where, draft->words->timeout, "must not be negative");
	copy = mrpc_arena_alloc(&draft->config->arena, sizeof *copy);
	if (copy == NULL)
		return -ENOMEM;
	*copy = *entry;
	copy->service = copy->method = NULL;
	copy->timeout = at_most(copy->timeout);
	r = add_retry(draft, where, copy);
	if (r == 0)
		r = add_hedging(draft, where, copy);
	*ret_entry = copy;
	return r;
}

int mrpc_config_draft_name(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
			   const char *service, const char *method,
			   struct minirpc_method_config *entry)
{
	struct mrpc_config *config = draft->config;
	size_t service_len = service == NULL ? 0 : strlen(service);
	size_t method_len = method == NULL ? 0 : strlen(method);
	size_t len = service_len + method_len + 2;
	char *key;
	int r;

	if (service_len == 0 && method_len > 0)
		return fault_in(draft, where, draft->words->service,
				"must be there, as there is a method");
	if (service_len == 0) {
		if (config->any != NULL)
			return mrpc_config_fault(draft, where, "names what is named before");
		config->any = entry;
		return 0;
	}
	key = mrpc_arena_alloc(&config->arena, len + 1);
	if (key == NULL)
		return -ENOMEM;
	snprintf(key, len + 1, "/%s/%s", service, method_len > 0 ? method : "");
	r = mrpc_map_put(&config->names, key, len, entry);
	return r == -EEXIST ? mrpc_config_fault(draft, where, "names what is named before") : r;
}

int mrpc_config_draft_throttle(struct mrpc_config_draft *draft,
			       const struct mrpc_config_where *where, double max_tokens,
			       double token_ratio)
{
	/* Three decimals count, the others are cut off; 0.29 * 1000 is a little below 290. */
	double thousandths = token_ratio * 1000 + 1e-6;

	if (!(max_tokens > 0 && max_tokens <= 1000))
		return fault_in(draft, where, draft->words->max_tokens,
				"must be above 0 and at most 1000");
	if (!(thousandths >= 1 && thousandths <= UINT32_MAX))
		return fault_in(draft, where, draft->words->token_ratio,
				"must be from 0.001 to 4294967");
	draft->config->rest.max_tokens = max_tokens;
	draft->config->rest.token_ratio = (double)(uint32_t)thousandths / 1000;
	return 0;
}

void mrpc_config_draft_policies(struct mrpc_config_draft *draft,
				const struct mrpc_config_policy *policies, size_t count)
{
	draft->config->policies = policies;
	draft->config->policy_count = count;
	draft->config->rest.load_balancing = policies[0].name;
	draft->config->rest.load_balancing_config = policies[0].config;
}

int mrpc_config_draft_begin(struct mrpc_config_draft *draft, const struct mrpc_config_words *words,
			    unsigned max_attempts, char *error, size_t error_size)
{
	struct mrpc_config *config;

	if (error != NULL && error_size > 0)
		error[0] = '\0';
	config = mrpc_zalloc(sizeof *config);
	if (config == NULL)
		return -ENOMEM;
	config->refs = 1;
	mrpc_arena_init(&config->arena, NULL, NULL, 0);
	mrpc_map_init(&config->names, mrpc_backoff_seed());
	*draft = (struct mrpc_config_draft){
		.config = config,
		.max_attempts = max_attempts > 0 ? max_attempts : MAX_ATTEMPTS,
		.words = words,
		.error = error,
		.error_size = error_size,
	};
	return 0;
}

/* ---- The C form ---- */

static char *copy_text(struct mrpc_config *config, const char *text)
{
	return mrpc_arena_strndup(&config->arena, text, strlen(text));
}

static int add_methods(struct mrpc_config_draft *draft,
		       const struct minirpc_service_config *structs)
{
	struct mrpc_config_where methods = { .name = "methods" };
	int r = 0;

	if (structs->methods == NULL && structs->method_count > 0)
		return mrpc_config_fault(draft, &methods, "is NULL");
	for (size_t i = 0; r == 0 && i < structs->method_count; i++) {
		const struct minirpc_method_config *entry = &structs->methods[i];
		struct mrpc_config_where where = { .up = &methods, .index = i };
		struct minirpc_method_config *copy;

		r = mrpc_config_draft_entry(draft, &where, entry, &copy);
		if (r == 0)
			r = mrpc_config_draft_name(draft, &where, entry->service, entry->method,
						   copy);
	}
	return r;
}

static int add_balancing(struct mrpc_config_draft *draft,
			 const struct minirpc_service_config *structs)
{
	struct mrpc_config_where name = { .name = "load_balancing" };
	struct mrpc_config_where object = { .name = "load_balancing_config" };
	struct mrpc_config *config = draft->config;
	const char *text = structs->load_balancing_config;
	struct mrpc_config_policy *policy;
	int r;

	if (structs->load_balancing == NULL)
		return text == NULL ? 0
				    : mrpc_config_fault(draft, &object, "is there without a name");
	if (structs->load_balancing[0] == '\0')
		return mrpc_config_fault(draft, &name, "is empty");
	if (text != NULL) {
		r = mrpc_config_check_object(draft, &object, text);
		if (r < 0)
			return r;
	}
	policy = mrpc_arena_alloc(&config->arena, sizeof *policy);
	if (policy == NULL)
		return -ENOMEM;
	policy->name = copy_text(config, structs->load_balancing);
	policy->config = copy_text(config, text != NULL ? text : "{}");
	if (policy->name == NULL || policy->config == NULL)
		return -ENOMEM;
	mrpc_config_draft_policies(draft, policy, 1);
	return 0;
}

static int add_rest(struct mrpc_config_draft *draft, const struct minirpc_service_config *structs)
{
	struct mrpc_config *config = draft->config;

	config->rest.max_connections_per_subchannel = structs->max_connections_per_subchannel;
	if (structs->health_service == NULL)
		return 0;
	config->rest.health_service = copy_text(config, structs->health_service);
	return config->rest.health_service == NULL ? -ENOMEM : 0;
}

int mrpc_config_from_structs(struct mrpc_config **ret_config,
			     const struct minirpc_service_config *structs, unsigned max_attempts,
			     char *error, size_t error_size)
{
	struct mrpc_config_draft draft;
	int r;

	r = mrpc_config_draft_begin(&draft, &struct_words, max_attempts, error, error_size);
	if (r < 0)
		return r;
	r = add_methods(&draft, structs);
	/* Both 0 is none. */
	if (r == 0 && (structs->max_tokens != 0 || structs->token_ratio != 0))
		r = mrpc_config_draft_throttle(&draft, NULL, structs->max_tokens,
					       structs->token_ratio);
	if (r == 0)
		r = add_balancing(&draft, structs);
	if (r == 0)
		r = add_rest(&draft, structs);
	if (r < 0) {
		mrpc_config_unref(draft.config);
		return r;
	}
	*ret_config = draft.config;
	return 0;
}

int mrpc_config_check_retry(struct minirpc_retry_policy *policy, unsigned max_attempts, char *error,
			    size_t error_size)
{
	const struct mrpc_config_draft draft = {
		.max_attempts = max_attempts > 0 ? max_attempts : MAX_ATTEMPTS,
		.words = &struct_words,
		.error = error,
		.error_size = error_size,
	};

	return check_retry(&draft, NULL, policy);
}

/* ---- Use ---- */

struct mrpc_config *mrpc_config_ref(struct mrpc_config *config)
{
	if (config != NULL)
		config->refs++;
	return config;
}

void mrpc_config_unref(struct mrpc_config *config)
{
	if (config == NULL || --config->refs > 0)
		return;
	mrpc_map_clear(&config->names);
	mrpc_arena_clear(&config->arena);
	mrpc_free(config);
}

const struct minirpc_method_config *mrpc_config_find(const struct mrpc_config *config,
						     const char *path)
{
	const struct minirpc_method_config *entry;
	const char *slash;

	if (config->names.count == 0)
		return config->any;
	entry = mrpc_map_get(&config->names, path, strlen(path));
	if (entry != NULL)
		return entry;
	slash = strrchr(path, '/');
	if (slash != NULL)
		entry = mrpc_map_get(&config->names, path, (size_t)(slash - path) + 1);
	return entry != NULL ? entry : config->any;
}

const struct minirpc_service_config *mrpc_config_rest(const struct mrpc_config *config)
{
	return &config->rest;
}

const struct mrpc_config_policy *mrpc_config_policies(const struct mrpc_config *config,
						      size_t *ret_count)
{
	*ret_count = config->policy_count;
	return config->policies;
}

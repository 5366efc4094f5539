/* SPDX-License-Identifier: MIT */
/* Config from JSON: gRPC's service_config.proto in the JSON form of proto3, read by jansson; nothing else of
 * ours knows jansson.
 *
 * Every field that is known must be right, however deep it sits, or the whole config is refused with the path
 * of the mistake; fields that are not known are not looked at [L-8]. null is as if the field were not there.
 * Size and depth are bounded before jansson sees a byte: it is recursive. Its memory is malloc's, by hooks that
 * belong to the whole process, which we leave as they are. */
#include "base/alloc.h"
#include "base/text.h"
#include "client/config_draft.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct mrpc_config_words json_words = {
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

/* ---- Text to values ---- */

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

/* jansson's complaint. Where it has no words there was no memory. */
static int bad_json(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		    const json_error_t *error)
{
	char sentence[JSON_ERROR_TEXT_LENGTH + 64];

	if (error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory)
		return -ENOMEM;
	snprintf(sentence, sizeof sentence, "line %d, column %d: %s", error->line, error->column,
		 error->text);
	return mrpc_config_fault(draft, where, sentence);
}

/* *ret_json is to be given to json_decref. */
static int parse(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		 const char *text, json_t **ret_json)
{
	json_error_t error;
	int r;

	r = check_bounds(draft, where, text);
	if (r < 0)
		return r;
	*ret_json = json_loadb(text, strlen(text), JSON_REJECT_DUPLICATES, &error);
	return *ret_json == NULL ? bad_json(draft, where, &error) : 0;
}

int mrpc_config_check_object(const struct mrpc_config_draft *draft,
			     const struct mrpc_config_where *where, const char *text)
{
	json_t *json;
	int r;

	r = parse(draft, where, text, &json);
	if (r < 0)
		return r;
	if (!json_is_object(json))
		r = mrpc_config_fault(draft, where, "must be an object");
	json_decref(json);
	return r;
}

/* JSON as text again, in memory from an arena or, without one, from mrpc_alloc. */
static char *text_of(const json_t *json, struct mrpc_arena *arena)
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

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool equals_in_any_case(const char *a, const char *b)
{
	for (; *a != '\0' && lower(*a) == lower(*b); a++, b++)
		;
	return *a == *b;
}

/* ---- Values of fields. Each: 0 also when the field is not there, and *ret stays as it was. ---- */

static const json_t *field(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return json_is_null(value) ? NULL : value;
}

static int read_bool(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		     const json_t *object, const char *name, bool *ret_has, bool *ret)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *value = field(object, name);

	if (value == NULL)
		return 0;
	if (!json_is_boolean(value))
		return mrpc_config_fault(draft, &where, "must be true or false");
	*ret_has = true;
	*ret = json_is_true(value);
	return 0;
}

/* A number, or one in quotes as proto3's JSON allows: then jansson reads it once more, whose decimal point
 * does not depend on the locale. */
static int number_of(const json_t *value, double *ret)
{
	const char *text;
	json_error_t error;
	json_t *inner;
	size_t len;

	if (json_is_number(value)) {
		*ret = json_number_value(value);
		return 0;
	}
	if (!json_is_string(value))
		return -EINVAL;
	text = json_string_value(value);
	len = json_string_length(value);
	if (len == 0 || len > 64 || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')) ||
	    text[len - 1] < '0' || text[len - 1] > '9')
		return -EINVAL;
	inner = json_loadb(text, len, JSON_DECODE_ANY, &error);
	if (inner == NULL)
		return bad_json(&(struct mrpc_config_draft){ 0 }, NULL, &error);
	*ret = json_number_value(inner);
	json_decref(inner);
	return 0;
}

static int read_number(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		       const json_t *object, const char *name, double *ret)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *value = field(object, name);
	int r;

	if (value == NULL)
		return 0;
	r = number_of(value, ret);
	return r == -EINVAL ? mrpc_config_fault(draft, &where, "must be a number") : r;
}

static int read_u32(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		    const json_t *object, const char *name, bool *ret_has, uint32_t *ret)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *value = field(object, name);
	double number = 0;
	int r;

	if (value == NULL)
		return 0;
	r = number_of(value, &number);
	if (r == -EINVAL || (r == 0 && !(number >= 0 && number <= UINT32_MAX &&
					 number == (double)(uint32_t)number)))
		return mrpc_config_fault(draft, &where,
					 "must be a whole number from 0 to 4294967295");
	if (r < 0)
		return r;
	*ret_has = true;
	*ret = (uint32_t)number;
	return 0;
}

/* *ret stays json's. */
static int read_text(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		     const json_t *object, const char *name, const char **ret)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *value = field(object, name);

	if (value == NULL)
		return 0;
	if (!json_is_string(value))
		return mrpc_config_fault(draft, &where, "must be a string");
	*ret = json_string_value(value);
	return 0;
}

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

/* google.protobuf.Duration in JSON: "1.5s", up to 9 decimals, 10000 years either way. */
#define LONGEST_S INT64_C(315576000000)

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

static int read_duration(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
			 const json_t *object, const char *name, minirpc_time *ret)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *value = field(object, name);

	if (value == NULL)
		return 0;
	if (!json_is_string(value) || !parse_duration(json_string_value(value), ret))
		return mrpc_config_fault(draft, &where, "must be a duration such as \"1.5s\"");
	return 0;
}

/* A field that is a list or an object: *ret is NULL when it is not there. */
static int read_list(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		     const json_t *object, const json_t **ret)
{
	*ret = field(object, where->name);
	if (*ret != NULL && !json_is_array(*ret))
		return mrpc_config_fault(draft, where, "must be a list");
	return 0;
}

static int read_object(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		       const json_t *object, const json_t **ret)
{
	*ret = field(object, where->name);
	if (*ret != NULL && !json_is_object(*ret))
		return mrpc_config_fault(draft, where, "must be an object");
	return 0;
}

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
		if (equals_in_any_case(json_string_value(value),
				       minirpc_code_name((enum minirpc_code)code))) {
			*ret_code = code;
			return true;
		}
	return false;
}

static int read_codes(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		      const json_t *object, const char *name, uint32_t *ret)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *list;
	unsigned code;
	int r;

	r = read_list(draft, &where, object, &list);
	if (r < 0 || list == NULL)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct mrpc_config_where item = { .up = &where, .index = i };

		if (!code_of(json_array_get(list, i), &code))
			return mrpc_config_fault(draft, &item,
						 "must be a status code, 0 to 16 or its name");
		*ret |= MINIRPC_CODE(code);
	}
	return 0;
}

/* ---- methodConfig ---- */

static int read_retry(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		      const json_t *object, struct minirpc_retry_policy *retry, bool *ret_is_there)
{
	struct mrpc_config_where where = { .up = up, .name = json_words.retry };
	uint32_t attempts = 0;
	const json_t *policy;
	bool has = false;
	int r;

	r = read_object(draft, &where, object, &policy);
	if (r < 0 || policy == NULL)
		return r;
	*ret_is_there = true;
	r = read_u32(draft, &where, policy, json_words.max_attempts, &has, &attempts);
	if (r == 0)
		r = read_duration(draft, &where, policy, json_words.initial_backoff,
				  &retry->initial_backoff);
	if (r == 0)
		r = read_duration(draft, &where, policy, json_words.max_backoff,
				  &retry->max_backoff);
	if (r == 0)
		r = read_number(draft, &where, policy, json_words.backoff_multiplier,
				&retry->backoff_multiplier);
	if (r == 0)
		r = read_codes(draft, &where, policy, json_words.retry_codes, &retry->codes);
	retry->max_attempts = attempts;
	return r;
}

static int read_hedging(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
			const json_t *object, struct minirpc_hedging_policy *hedging,
			bool *ret_is_there)
{
	struct mrpc_config_where where = { .up = up, .name = json_words.hedging };
	uint32_t attempts = 0;
	const json_t *policy;
	bool has = false;
	int r;

	r = read_object(draft, &where, object, &policy);
	if (r < 0 || policy == NULL)
		return r;
	*ret_is_there = true;
	r = read_u32(draft, &where, policy, json_words.max_attempts, &has, &attempts);
	if (r == 0)
		r = read_duration(draft, &where, policy, json_words.delay, &hedging->delay);
	if (r == 0)
		r = read_codes(draft, &where, policy, json_words.hedging_codes, &hedging->codes);
	hedging->max_attempts = attempts;
	return r;
}

static int read_names(struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		      const json_t *object, struct minirpc_method_config *entry)
{
	struct mrpc_config_where where = { .up = up, .name = "name" };
	const json_t *list;
	int r;

	r = read_list(draft, &where, object, &list);
	for (size_t i = 0; r == 0 && list != NULL && i < json_array_size(list); i++) {
		struct mrpc_config_where item = { .up = &where, .index = i };
		const json_t *name = json_array_get(list, i);
		const char *service = NULL, *method = NULL;

		if (!json_is_object(name))
			return mrpc_config_fault(draft, &item, "must be an object");
		r = read_text(draft, &item, name, "service", &service);
		if (r == 0)
			r = read_text(draft, &item, name, "method", &method);
		if (r == 0)
			r = mrpc_config_draft_name(draft, &item, service, method, entry);
	}
	return r;
}

static int read_entry(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		      const json_t *object)
{
	struct minirpc_retry_policy retry = { 0 };
	struct minirpc_hedging_policy hedging = { 0 };
	struct minirpc_method_config entry = { 0 }, *copy;
	bool has_retry = false, has_hedging = false;
	int r;

	if (!json_is_object(object))
		return mrpc_config_fault(draft, where, "must be an object");
	r = read_duration(draft, where, object, json_words.timeout, &entry.timeout);
	if (r == 0)
		r = read_bool(draft, where, object, "waitForReady", &entry.has_wait_for_ready,
			      &entry.wait_for_ready);
	if (r == 0)
		r = read_u32(draft, where, object, "maxRequestMessageBytes", &entry.has_max_request,
			     &entry.max_request_bytes);
	if (r == 0)
		r = read_u32(draft, where, object, "maxResponseMessageBytes",
			     &entry.has_max_response, &entry.max_response_bytes);
	if (r == 0)
		r = read_retry(draft, where, object, &retry, &has_retry);
	if (r == 0)
		r = read_hedging(draft, where, object, &hedging, &has_hedging);
	if (r < 0)
		return r;
	entry.retry = has_retry ? &retry : NULL;
	entry.hedging = has_hedging ? &hedging : NULL;
	r = mrpc_config_draft_entry(draft, where, &entry, &copy);
	return r < 0 ? r : read_names(draft, where, object, copy);
}

static int read_methods(struct mrpc_config_draft *draft, const json_t *object)
{
	struct mrpc_config_where where = { .name = "methodConfig" };
	const json_t *list;
	int r;

	r = read_list(draft, &where, object, &list);
	for (size_t i = 0; r == 0 && list != NULL && i < json_array_size(list); i++) {
		struct mrpc_config_where item = { .up = &where, .index = i };

		r = read_entry(draft, &item, json_array_get(list, i));
	}
	return r;
}

/* ---- The rest ---- */

static int read_throttle(struct mrpc_config_draft *draft, const json_t *object)
{
	struct mrpc_config_where where = { .name = "retryThrottling" };
	double ratio = 0;
	uint32_t tokens = 0;
	const json_t *throttle;
	bool has = false;
	int r;

	r = read_object(draft, &where, object, &throttle);
	if (r < 0 || throttle == NULL)
		return r;
	r = read_u32(draft, &where, throttle, json_words.max_tokens, &has, &tokens);
	if (r == 0)
		r = read_number(draft, &where, throttle, json_words.token_ratio, &ratio);
	return r < 0 ? r : mrpc_config_draft_throttle(draft, &where, tokens, ratio);
}

static int read_health(struct mrpc_config_draft *draft, const json_t *object)
{
	struct mrpc_config_where where = { .name = "healthCheckConfig" };
	struct mrpc_config *config = draft->config;
	const char *service = NULL;
	const json_t *health;
	int r;

	r = read_object(draft, &where, object, &health);
	if (r < 0 || health == NULL)
		return r;
	r = read_text(draft, &where, health, "serviceName", &service);
	if (r < 0 || service == NULL)
		return r;
	config->rest.health_service = mrpc_arena_strndup(&config->arena, service, strlen(service));
	return config->rest.health_service == NULL ? -ENOMEM : 0;
}

/* One item of loadBalancingConfig: { "round_robin": { } }. */
static int read_policy(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		       json_t *item, struct mrpc_config_policy *policy)
{
	struct mrpc_config_where leaf = { .up = where };
	struct mrpc_config *config = draft->config;
	const char *name;
	json_t *value;
	void *it;

	if (json_object_size(item) != 1)
		return mrpc_config_fault(draft, where, "must be an object with one field");
	it = json_object_iter(item);
	name = json_object_iter_key(it);
	value = json_object_iter_value(it);
	leaf.name = name;
	if (!json_is_object(value))
		return mrpc_config_fault(draft, &leaf, "must be an object");
	policy->name = mrpc_arena_strndup(&config->arena, name, strlen(name));
	policy->config = text_of(value, &config->arena);
	return policy->name == NULL || policy->config == NULL ? -ENOMEM : 0;
}

static int read_policies(struct mrpc_config_draft *draft, const json_t *object, bool *ret_is_there)
{
	struct mrpc_config_where where = { .name = "loadBalancingConfig" };
	struct mrpc_config *config = draft->config;
	struct mrpc_config_policy *policies;
	const json_t *list;
	size_t count;
	int r;

	r = read_list(draft, &where, object, &list);
	if (r < 0 || list == NULL)
		return r;
	*ret_is_there = true;
	count = json_array_size(list);
	if (count == 0)
		return mrpc_config_fault(draft, &where, "is empty");
	policies = mrpc_arena_alloc(&config->arena, count * sizeof *policies);
	if (policies == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct mrpc_config_where item = { .up = &where, .index = i };

		r = read_policy(draft, &item, json_array_get(list, i), &policies[i]);
	}
	if (r == 0)
		mrpc_config_draft_policies(draft, policies, count);
	return r;
}

/* The old form, { "loadBalancingPolicy": "ROUND_ROBIN" }: where there is no list [L-3], but right it must be. */
static int read_old_policy(struct mrpc_config_draft *draft, const json_t *object, bool counts)
{
	struct mrpc_config_where where = { .name = "loadBalancingPolicy" };
	struct mrpc_config *config = draft->config;
	struct mrpc_config_policy *policy;
	const char *name = NULL;
	char *copy;
	int r;

	r = read_text(draft, NULL, object, where.name, &name);
	if (r < 0 || name == NULL)
		return r;
	if (name[0] == '\0')
		return mrpc_config_fault(draft, &where, "is empty");
	if (!counts)
		return 0;
	policy = mrpc_arena_alloc(&config->arena, sizeof *policy);
	copy = mrpc_arena_strndup(&config->arena, name, strlen(name));
	if (policy == NULL || copy == NULL)
		return -ENOMEM;
	for (size_t i = 0; copy[i] != '\0'; i++)
		copy[i] = lower(copy[i]);
	*policy = (struct mrpc_config_policy){ .name = copy, .config = "{}" };
	mrpc_config_draft_policies(draft, policy, 1);
	return 0;
}

static int read_config(struct mrpc_config_draft *draft, const json_t *object)
{
	bool has_policies = false;
	int r;

	if (!json_is_object(object))
		return mrpc_config_fault(draft, NULL, "must be an object");
	r = read_policies(draft, object, &has_policies);
	if (r == 0)
		r = read_old_policy(draft, object, !has_policies);
	if (r == 0)
		r = read_methods(draft, object);
	if (r == 0)
		r = read_throttle(draft, object);
	if (r == 0)
		r = read_health(draft, object);
	return r;
}

int mrpc_config_from_json(struct mrpc_config **ret_config, const char *json, unsigned max_attempts,
			  char *error, size_t error_size)
{
	struct mrpc_config_draft draft;
	json_t *root = NULL;
	int r;

	r = mrpc_config_draft_begin(&draft, &json_words, max_attempts, error, error_size);
	if (r < 0)
		return r;
	r = parse(&draft, NULL, json, &root);
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

/* ---- Choices in DNS [L-7] ---- */

struct host {
	unsigned draw;
	const char *name;
};

/* A criterion that is a list of texts: is ours among them? Without the criterion everything matches. */
static int match_text(const struct mrpc_config_draft *draft, const struct mrpc_config_where *up,
		      const json_t *choice, const char *name, const char *ours, bool *ret_matches)
{
	struct mrpc_config_where where = { .up = up, .name = name };
	const json_t *list;
	bool found = false;
	int r;

	r = read_list(draft, &where, choice, &list);
	if (r < 0 || list == NULL)
		return r;
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct mrpc_config_where item = { .up = &where, .index = i };
		const json_t *text = json_array_get(list, i);

		if (!json_is_string(text))
			return mrpc_config_fault(draft, &item, "must be a string");
		if (ours != NULL && equals_in_any_case(json_string_value(text), ours))
			found = true;
	}
	*ret_matches = *ret_matches && found;
	return 0;
}

static int match_choice(const struct mrpc_config_draft *draft,
			const struct mrpc_config_where *where, const json_t *choice,
			const struct host *host, const json_t **ret_config)
{
	struct mrpc_config_where percentage = { .up = where, .name = "percentage" };
	struct mrpc_config_where config = { .up = where, .name = "serviceConfig" };
	uint32_t percent = 100;
	bool has = false, matches = true;
	int r;

	*ret_config = NULL;
	if (!json_is_object(choice))
		return mrpc_config_fault(draft, where, "must be an object");
	r = match_text(draft, where, choice, "clientLanguage", "c", &matches);
	if (r == 0)
		r = match_text(draft, where, choice, "clientHostname", host->name, &matches);
	if (r == 0)
		r = read_u32(draft, where, choice, percentage.name, &has, &percent);
	if (r < 0)
		return r;
	if (percent > 100)
		return mrpc_config_fault(draft, &percentage, "must be at most 100");
	r = read_object(draft, &config, choice, ret_config);
	if (r == 0 && *ret_config == NULL)
		return mrpc_config_fault(draft, &config, "is missing");
	if (!matches || host->draw >= percent)
		*ret_config = NULL;
	return r;
}

/* All choices must be right, also those behind the first that matches: a mistake shows everywhere at once. */
static int choose(const struct mrpc_config_draft *draft, const json_t *choices,
		  const struct host *host, char **ret_json)
{
	const json_t *chosen = NULL;
	int r;

	if (!json_is_array(choices))
		return mrpc_config_fault(draft, NULL, "must be a list");
	for (size_t i = 0; i < json_array_size(choices); i++) {
		struct mrpc_config_where where = { .index = i };
		const json_t *config;

		r = match_choice(draft, &where, json_array_get(choices, i), host, &config);
		if (r < 0)
			return r;
		if (chosen == NULL)
			chosen = config;
	}
	if (chosen == NULL)
		return 0;
	*ret_json = text_of(chosen, NULL);
	return *ret_json == NULL ? -ENOMEM : 0;
}

int mrpc_config_choose_from_txt(char **ret_json, const char *text, unsigned draw,
				const char *host_name, char *error, size_t error_size)
{
	struct mrpc_config_draft draft = { .error = error, .error_size = error_size };
	struct host host = { draw, host_name };
	json_t *choices;
	int r;

	if (error != NULL && error_size > 0)
		error[0] = '\0';
	*ret_json = NULL;
	r = parse(&draft, NULL, text, &choices);
	if (r < 0)
		return r;
	r = choose(&draft, choices, &host, ret_json);
	json_decref(choices);
	return r;
}

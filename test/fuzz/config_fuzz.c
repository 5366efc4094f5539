/* SPDX-License-Identifier: MIT */
/* Service configs as JSON, and lists of choices as DNS has them: the bytes as a text. */
#include "fuzz.h"

#include "base/alloc.h"
#include "client/config.h"

#include <errno.h>

/* What every config holds to, however it was written. */
static void an_entry_holds(const struct minirpc_method_config *entry)
{
	hold(entry->timeout >= 0 && entry->timeout <= MRPC_CONFIG_LONGEST);
	hold(entry->retry == NULL || entry->hedging == NULL);
	hold(entry->service == NULL && entry->method == NULL);
	if (entry->retry != NULL) {
		hold(entry->retry->max_attempts >= 2 && entry->retry->max_attempts <= 5);
		hold(entry->retry->initial_backoff > 0 && entry->retry->max_backoff > 0);
		hold(entry->retry->initial_backoff <= MRPC_CONFIG_LONGEST);
		hold(entry->retry->max_backoff <= MRPC_CONFIG_LONGEST);
		hold(entry->retry->backoff_multiplier > 0);
		hold(entry->retry->codes < MINIRPC_CODE(17) && (entry->retry->codes & 1) == 0);
	}
	if (entry->hedging != NULL) {
		hold(entry->hedging->max_attempts >= 2 && entry->hedging->max_attempts <= 5);
		hold(entry->hedging->delay >= 0 && entry->hedging->delay <= MRPC_CONFIG_LONGEST);
		hold(entry->hedging->codes < MINIRPC_CODE(17) && (entry->hedging->codes & 1) == 0);
	}
}

static void a_config_holds(const struct mrpc_config *config)
{
	static const char *const paths[] = { "/a/b", "/a/", "/a.B/M", "/rpc.Cache/Get", "/", "" };
	const struct minirpc_service_config *rest = mrpc_config_rest(config);
	const struct mrpc_config_policy *policies;
	struct mrpc_config *again;
	char error[64];
	size_t count;

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		const struct minirpc_method_config *entry = mrpc_config_find(config, paths[i]);

		if (entry != NULL)
			an_entry_holds(entry);
	}
	hold(rest->max_tokens >= 0 && rest->max_tokens <= 1000);
	hold((rest->max_tokens > 0) == (rest->token_ratio >= 0.0009));
	policies = mrpc_config_policies(config, &count);
	hold((count > 0) == (rest->load_balancing != NULL));
	/* A policy's config is JSON again, as the C form takes it. */
	for (size_t i = 0; i < count; i++) {
		int r;

		if (policies[i].name[0] == '\0')
			continue;
		r = mrpc_config_from_structs(&again,
					     &(struct minirpc_service_config){
						     .load_balancing = policies[i].name,
						     .load_balancing_config = policies[i].config,
					     },
					     0, error, sizeof error);
		hold(r == 0 || r == -E2BIG); /* numbers may print longer than they were */
		if (r == 0)
			mrpc_config_unref(again);
	}
}

static void a_sentence_holds(int r, const char *error, size_t size)
{
	size_t len = strnlen(error, size);

	hold(len < size);
	hold((len > 0) == (r == -EINVAL || r == -E2BIG));
	for (size_t i = 0; i < len; i++)
		hold(error[i] >= 0x20 && error[i] <= 0x7E);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	char *text = input_copy(&input, len, true, &len), *chosen;
	struct mrpc_config *config = NULL;
	char error[128];
	int r;

	r = mrpc_config_from_json(&config, text, 0, error, sizeof error);
	hold(r == 0 || r == -EINVAL || r == -E2BIG || r == -ENOMEM);
	hold((r == 0) == (config != NULL));
	a_sentence_holds(r, error, sizeof error);
	if (r == 0)
		a_config_holds(config);
	mrpc_config_unref(config);

	r = mrpc_config_choose_from_txt(&chosen, text, (unsigned)(len % 100), "h", error,
					sizeof error);
	hold(r == 0 || r == -EINVAL || r == -E2BIG || r == -ENOMEM);
	a_sentence_holds(r, error, sizeof error);
	if (chosen != NULL)
		hold(r == 0 && chosen[0] == '{');
	mrpc_free(chosen);
	free(text);
	return 0;
}

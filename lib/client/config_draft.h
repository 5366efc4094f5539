/* SPDX-License-Identifier: MIT */
/* A config in the making, for its two readers: config.c reads structs, config_json.c reads JSON. They hand
 * over what they read; the rules are here, once, and complain in the reader's own words. */
#ifndef MRPC_CLIENT_CONFIG_DRAFT_H
#define MRPC_CLIENT_CONFIG_DRAFT_H

#include "base/arena.h"
#include "base/map.h"
#include "client/config.h"

struct mrpc_config {
	unsigned refs;
	struct mrpc_arena arena; /* everything below is in it */
	struct mrpc_map
		names; /* "/service/method" and "/service/" to struct minirpc_method_config */
	const struct minirpc_method_config *any; /* for what no name fits */
	struct minirpc_service_config rest;
	const struct mrpc_config_policy *policies;
	size_t policy_count;
};

/* Where something is, from the leaf up: "maxAttempts" in "retryPolicy" in [0] in "methodConfig". */
struct mrpc_config_where {
	const struct mrpc_config_where *up; /* NULL: the top */
	const char *name;                   /* NULL: it is number `index` of a list */
	size_t index;
};

/* How a reader calls things. */
struct mrpc_config_words {
	const char *service, *timeout, *retry, *hedging, *max_attempts;
	const char *initial_backoff, *max_backoff, *backoff_multiplier, *retry_codes;
	const char *delay, *hedging_codes, *max_tokens, *token_ratio;
};

struct mrpc_config_draft {
	struct mrpc_config *config;
	unsigned max_attempts;
	const struct mrpc_config_words *words;
	char *error; /* NULL: nobody wants to know */
	size_t error_size;
};

/* Writes "where: sentence" into the draft's error, printable ASCII only. Returns -EINVAL. */
int mrpc_config_fault(const struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
		      const char *sentence);

/* Begins a config. error is set to "". Returns 0 or -ENOMEM. */
int mrpc_config_draft_begin(struct mrpc_config_draft *draft, const struct mrpc_config_words *words,
			    unsigned max_attempts, char *error, size_t error_size);

/* Each of these returns 0, -EINVAL (error says why), -ENOMEM. What they are given is copied. */

/* Checks one entry and puts a copy of it, without names, into the config. */
int mrpc_config_draft_entry(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
			    const struct minirpc_method_config *entry,
			    struct minirpc_method_config **ret_entry);
/* Gives an entry a name; NULL or "" is none. */
int mrpc_config_draft_name(struct mrpc_config_draft *draft, const struct mrpc_config_where *where,
			   const char *service, const char *method,
			   struct minirpc_method_config *entry);
/* retryThrottling. */
int mrpc_config_draft_throttle(struct mrpc_config_draft *draft,
			       const struct mrpc_config_where *where, double max_tokens,
			       double token_ratio);

/* loadBalancingConfig: at least one, in the config's arena. */
void mrpc_config_draft_policies(struct mrpc_config_draft *draft,
				const struct mrpc_config_policy *policies, size_t count);

/* ---- config_json.c, for config.c ---- */

/* Whether text is a JSON object, within our bounds: 0, -EINVAL, -E2BIG, -ENOMEM. */
int mrpc_config_check_object(const struct mrpc_config_draft *draft,
			     const struct mrpc_config_where *where, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/* Config: a service config in the form in which calls use it. Immutable, counted; calls look their method up
 * once, when they are opened, and keep a reference while they need what it says. See config.c (structs,
 * matching), config_json.c and config_txt.c (JSON) and configure.c (what it does to channels and calls). */
#ifndef MRPC_CLIENT_CONFIG_H
#define MRPC_CLIENT_CONFIG_H

#include <minirpc/service_config.h>

#define MRPC_CONFIG_SIZE 65536u /* bytes of JSON, at most */
#define MRPC_CONFIG_DEPTH 32u   /* of its nesting */

struct mrpc_config;

/* Checked, clamped and copied. max_attempts is the cap of every policy's; 0: 5. Returns 0; -EINVAL with
 * a sentence that names the path; -E2BIG (the same), -ENOMEM. error may be NULL. */
int mrpc_config_from_json(struct mrpc_config **ret_config, const char *json, unsigned max_attempts,
			  char *error, size_t error_size);
int mrpc_config_from_structs(struct mrpc_config **ret_config,
			     const struct minirpc_service_config *structs, unsigned max_attempts,
			     char *error, size_t error_size);

struct mrpc_config *mrpc_config_ref(struct mrpc_config *config); /* NULL is fine */
void mrpc_config_unref(struct mrpc_config *config);              /* NULL is fine */

/* What goes for a path "/service/method": the most particular entry [L-8], or NULL. Lives as long as the
 * config. Its service and method are NULL: an entry may have many names. Its policies' max_attempts are within
 * the cap, their codes are without OK, and every time is at most MRPC_CONFIG_LONGEST. */
const struct minirpc_method_config *mrpc_config_find(const struct mrpc_config *config,
						     const char *path);

#define MRPC_CONFIG_LONGEST (INT64_MAX / 8) /* 36 years: sums and products with it do not wrap */

/* A single policy: checked, and clamped as in a config. Returns 0 or -EINVAL, with a sentence. */
int mrpc_config_check_retry(struct minirpc_retry_policy *policy, unsigned max_attempts, char *error,
			    size_t error_size);

/* Everything but methods: max_tokens, token_ratio (in whole thousandths), load_balancing ... methods is NULL. */
const struct minirpc_service_config *mrpc_config_rest(const struct mrpc_config *config);

/* The `ret_count` policies that loadBalancingConfig lists, in order, each with its JSON object: the first that is
 * known counts [L-3]. loadBalancingPolicy, where there is no such list, is a list of one. 0: the config does
 * not say. */
struct mrpc_config_policy {
	const char *name, *config;
};
const struct mrpc_config_policy *mrpc_config_policies(const struct mrpc_config *config,
						      size_t *ret_count);

/* Service configs in DNS [L-7]: text is what stands behind "grpc_config=", a JSON list of choices; the first
 * that matches is chosen. draw is a random number below 100 for choices with a percentage, host_name is this
 * host's (NULL: unknown, no choice with host names matches). *ret_json is the chosen serviceConfig, to be freed with
 * mrpc_free; NULL when no choice matches. Returns 0; -EINVAL with a sentence that names the path, -E2BIG (the
 * same), -ENOMEM. */
int mrpc_config_choose_from_txt(char **ret_json, const char *text, unsigned draw,
				const char *host_name, char *error, size_t error_size);

#endif

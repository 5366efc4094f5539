/* SPDX-License-Identifier: MIT */
/* Config: a service config in the form in which calls use it. Immutable, counted; calls look their method up
 * once, when they are opened, and keep a reference while they need what it says. See config.c (structs,
 * matching) and config_json.c (JSON). */
#ifndef MRPC_CLIENT_CONFIG_H
#define MRPC_CLIENT_CONFIG_H

#include <minirpc/service_config.h>

struct mrpc_config;

/* Checked, clamped and copied. Returns 0; -EINVAL with a sentence that names the path; -E2BIG, -ENOMEM, -ENOTSUP
 * (no JSON in this build). error may be NULL. */
int mrpc_config_from_json(struct mrpc_config **ret_config, const char *json, char *error,
			  size_t error_size);
int mrpc_config_from_structs(struct mrpc_config **ret_config,
			     const struct minirpc_service_config *structs, char *error,
			     size_t error_size);

struct mrpc_config *mrpc_config_ref(struct mrpc_config *config); /* NULL is fine */
void mrpc_config_unref(struct mrpc_config *config);              /* NULL is fine */

/* What goes for a path "/service/method": the most particular entry [L-8], or NULL. */
const struct minirpc_method_config *mrpc_config_find(const struct mrpc_config *config,
						     const char *path);

/* Everything but methods: max_tokens, load_balancing ... methods is NULL. */
const struct minirpc_service_config *mrpc_config_rest(const struct mrpc_config *config);

/* The `ret_count` policies that loadBalancingConfig lists, in order, each with its JSON object: the first that is
 * known counts [L-3]. */
struct mrpc_config_policy {
	const char *name, *config;
};
const struct mrpc_config_policy *mrpc_config_policies(const struct mrpc_config *config,
						      size_t *ret_count);

#endif

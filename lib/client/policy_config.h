/* SPDX-License-Identifier: MIT */
/* Policy config: what a balancer reads in its JSON object. */
#ifndef MRPC_CLIENT_POLICY_CONFIG_H
#define MRPC_CLIENT_POLICY_CONFIG_H

#define MRPC_CHOICE_MIN 2u  /* of least_request's choiceCount [L-6] */
#define MRPC_CHOICE_MAX 10u /* what is above counts as this */

#include <stdbool.h>
#include <stdint.h>

/* One field of it; *ret stays when the field is not there. Returns 0, -EINVAL, -ENOMEM. */
int mrpc_policy_config_bool(const char *config, const char *name, bool *ret);
int mrpc_policy_config_u32(const char *config, const char *name, uint32_t *ret);

/* Whether a built-in policy takes this config; true of any that is not built in. Returns 0; -EINVAL with a sentence,
 * -ENOMEM. */
int mrpc_policy_config_check(const char *policy, const char *config, const char **ret_sentence);

#endif

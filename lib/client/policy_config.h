/* SPDX-License-Identifier: MIT */
/* Policy config: what a balancer reads in its JSON object. */
#ifndef MRPC_CLIENT_POLICY_CONFIG_H
#define MRPC_CLIENT_POLICY_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* One field of it; *ret stays when the field is not there. Returns 0, -EINVAL, -ENOMEM. */
int mrpc_policy_config_bool(const char *config, const char *name, bool *ret);
int mrpc_policy_config_u32(const char *config, const char *name, uint32_t *ret);

#endif

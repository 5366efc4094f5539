/* SPDX-License-Identifier: MIT */
/* Resolver of lists: targets that have their addresses in them (ipv4:, ipv6:, unix:, unix-abstract:, vsock:)
 * those whose addresses the program sets (list:), and names that a proxy resolves [L-9]. Each address is an endpoint of its own: a policy like
 * round_robin spreads over them, pick_first takes them for one list. Nothing is ever looked up, so `again`
 * has something to say only after a result that did not arrive for lack of memory. */
#include "client/resolving.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int mrpc_resolving_push_addresses(struct minirpc_resolving *to,
				  const struct mrpc_address *addresses, size_t count,
				  const char *service_config_json)
{
	struct minirpc_endpoint *endpoints;
	const char **pointers;
	char *texts;
	size_t size;
	int r;

	if (count > MRPC_ENDPOINTS_MAX)
		return -EINVAL;
	size = count * (sizeof *endpoints + 2 * sizeof *pointers + MRPC_ADDRESS_TEXT);
	endpoints = mrpc_zalloc(size);
	if (endpoints == NULL) {
		minirpc_resolving_fail(to, "no memory for the addresses");
		return -ENOMEM;
	}
	pointers = (const char **)(void *)(endpoints + count);
	texts = (char *)(pointers + 2 * count);
	for (size_t i = 0; i < count; i++) {
		char *text = texts + i * MRPC_ADDRESS_TEXT;

		mrpc_address_write(&addresses[i], text);
		pointers[2 * i] = text;
		endpoints[i].addresses = &pointers[2 * i];
	}
	r = minirpc_resolving_push(to, &(struct minirpc_resolver_result){
					       .endpoints = endpoints,
					       .endpoint_count = count,
					       .service_config_json = service_config_json,
				       });
	mrpc_free(endpoints);
	return r;
}

/* One server, which a proxy will find: its address here is nobody's, if it is no literal. */
static int tell_unresolved(struct minirpc_resolving *to)
{
	const struct mrpc_target *target = to->config.parsed;
	struct mrpc_address address;

	if (mrpc_address_from_ip(&address, AF_UNSPEC, target->host, strlen(target->host),
				 target->port) < 0)
		(void)mrpc_address_from_ip(&address, AF_INET, "0.0.0.0", 7, target->port);
	return mrpc_resolving_push_addresses(to, &address, 1, NULL);
}

static int tell(struct minirpc_resolving *to)
{
	const struct mrpc_target *target = to->config.parsed;
	char note[200];

	if (target->kind == MRPC_TARGET_DNS) /* proxied */
		return tell_unresolved(to);
	if (target->kind == MRPC_TARGET_ADDRESSES)
		return mrpc_resolving_push_addresses(to, target->addresses, target->address_count,
						     NULL);
	if (to->list != NULL)
		return minirpc_resolving_push(to, &(struct minirpc_resolver_result){
							  .endpoints = to->list->endpoints,
							  .endpoint_count = to->list->count,
						  });
	snprintf(note, sizeof note, "%.100s has no addresses yet (minirpc_channel_set_addresses)",
		 to->config.target);
	return minirpc_resolving_push(to, &(struct minirpc_resolver_result){ .note = note });
}

static void again(void *self)
{
	struct minirpc_resolving *to = self;

	if (!to->told)
		(void)tell(to);
}

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	(void)target;
	(void)user;
	*ret_self = to;
	to->told = false;
	(void)tell(to); /* in its task: nobody is surprised */
	return 0;
}

const struct minirpc_resolver mrpc_resolver_list = { "list", start, again, NULL };

int mrpc_resolving_set_list(struct minirpc_resolving *resolving,
			    const struct minirpc_endpoint *endpoints, size_t count)
{
	char error[MRPC_ENDPOINTS_ERROR];
	struct mrpc_endpoints *copy, *before = resolving->list;
	int r;

	if (resolving->resolver != &mrpc_resolver_list ||
	    resolving->config.parsed->kind != MRPC_TARGET_LIST)
		return -EINVAL;
	r = mrpc_endpoints_check(endpoints, count, error);
	if (r < 0) {
		mrpc_log(&resolving->config.loop->log, MINIRPC_LOG_WARNING,
			 "the addresses for %s are refused: %s", resolving->config.target, error);
		return r;
	}
	copy = mrpc_endpoints_copy(endpoints, count);
	if (copy == NULL)
		return -ENOMEM;
	resolving->list = copy;
	if (resolving->started) {
		r = tell(resolving);
		if (r < 0) {
			resolving->list = before;
			mrpc_free(copy);
			return r;
		}
	}
	mrpc_free(before);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* rpc.Cache as the talk has it: Store, Get, Dump. See service.c. */
#ifndef CACHE_SERVICE_H
#define CACHE_SERVICE_H

#include "store.h"

#include <minirpc/minirpc.h>

struct service;

struct service_options {
	minirpc_channel *accounts; /* NULL: no quotas */
	size_t max_memory;         /* of the store */
	size_t max_value;          /* bytes of one value */
};

struct service *service_new(const struct service_options *options); /* NULL: no memory */
void service_free(struct service *service);                         /* after the server */

/* Stores what a file says, a line "KEY => VALUE" for each: a cache that starts warm. Returns 0 or -errno
 * (-EBADMSG: another kind of line). */
int service_load(struct service *service, const char *path);

/* Registers rpc.Cache. Returns 0 or -errno. */
int service_serve(struct service *service, minirpc_server *server);

#endif

/* SPDX-License-Identifier: MIT */
/* Router: from ":path" to the method that serves it. */
#ifndef MRPC_SERVER_ROUTER_H
#define MRPC_SERVER_ROUTER_H

#include "base/list.h"
#include "base/map.h"

#include <minirpc/server.h>

struct mrpc_route {
	struct mrpc_list node;
	const struct minirpc_method *method;
	const struct minirpc_call_events *events;
	void *user;
	void (*drop)(void *user);
	const char *subtype; /* of its calls; NULL: any */
};

struct mrpc_router {
	struct mrpc_map paths;
	struct mrpc_list routes; /* in the order in which they were added */
	struct mrpc_route *fallback; /* for paths that nobody has; NULL: nobody */
};

void mrpc_router_init(struct mrpc_router *router, uint64_t seed);

/* Tells each route's drop, then forgets it. */
void mrpc_router_clear(struct mrpc_router *router);

/* Returns 0, -EEXIST, -EINVAL (path), -ENOMEM. */
int mrpc_router_add(struct mrpc_router *router, const struct minirpc_method *method,
		    const struct minirpc_call_events *events, void *user, void (*drop)(void *user));

/* For all other paths, of any subtype. Returns 0, -EEXIST, -EINVAL, -ENOMEM. */
int mrpc_router_add_fallback(struct mrpc_router *router, const struct minirpc_call_events *events,
			     void *user, void (*drop)(void *user));

/* Tells the route's drop and forgets it; fine when there is none. */
void mrpc_router_remove(struct mrpc_router *router, const char *path);

/* Falls back; NULL: nobody takes it. */
const struct mrpc_route *mrpc_router_find(const struct mrpc_router *router, const char *path,
					  size_t len);

/* Whether any method of that service is known: all of the path before its last '/'. For the text of
 * a refusal; walks over all routes. */
bool mrpc_router_knows_service(const struct mrpc_router *router, const char *path, size_t len);

#endif

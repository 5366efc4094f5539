/* SPDX-License-Identifier: MIT */
/* Router: one keyed hash lookup for each call, so that the number of methods does not matter and a
 * peer cannot choose paths that collide. */
#include "server/router.h"

#include "base/alloc.h"
#include "wire/header.h"

#include <errno.h>
#include <string.h>

void mrpc_router_init(struct mrpc_router *router, uint64_t seed)
{
	mrpc_map_init(&router->paths, seed);
	mrpc_list_init(&router->routes);
	router->fallback = NULL;
}

static void drop_route(struct mrpc_route *route)
{
	if (route->drop != NULL)
		route->drop(route->user);
	mrpc_free(route);
}

void mrpc_router_clear(struct mrpc_router *router)
{
	struct mrpc_list *node;

	mrpc_map_clear(&router->paths);
	while ((node = mrpc_list_pop(&router->routes)) != NULL)
		drop_route(mrpc_container(node, struct mrpc_route, node));
	if (router->fallback != NULL)
		drop_route(router->fallback);
	router->fallback = NULL;
}

int mrpc_router_add(struct mrpc_router *router, const struct minirpc_method *method,
		    const struct minirpc_call_events *events, void *user, void (*drop)(void *user))
{
	struct mrpc_route *route;
	int r;

	if (method == NULL || events == NULL || method->path == NULL ||
	    !mrpc_path_is_valid(method->path, strlen(method->path)))
		return -EINVAL;
	if (method->subtype != NULL && !mrpc_subtype_is_valid(method->subtype))
		return -EINVAL;

	route = mrpc_alloc(sizeof *route);
	if (route == NULL)
		return -ENOMEM;
	*route = (struct mrpc_route){
		.method = method,
		.events = events,
		.user = user,
		.drop = drop,
		.subtype = method->subtype != NULL ? method->subtype : mrpc_subtype_proto,
	};

	r = mrpc_map_put(&router->paths, method->path, strlen(method->path), route);
	if (r < 0) {
		mrpc_free(route);
		return r;
	}
	mrpc_list_push(&router->routes, &route->node);
	return 0;
}

int mrpc_router_add_fallback(struct mrpc_router *router, const struct minirpc_call_events *events,
			     void *user, void (*drop)(void *user))
{
	static const struct minirpc_method any = {
		.path = "",
		.flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING,
	};
	struct mrpc_route *route;

	if (events == NULL)
		return -EINVAL;
	if (router->fallback != NULL)
		return -EEXIST;
	route = mrpc_alloc(sizeof *route);
	if (route == NULL)
		return -ENOMEM;
	*route = (struct mrpc_route){
		.method = &any, .events = events, .user = user, .drop = drop
	};
	router->fallback = route;
	return 0;
}

void mrpc_router_remove(struct mrpc_router *router, const char *path)
{
	size_t len = strlen(path);
	struct mrpc_route *route = mrpc_map_get(&router->paths, path, len);

	if (route == NULL)
		return;
	mrpc_map_remove(&router->paths, path, len);
	mrpc_list_remove(&route->node);
	drop_route(route);
}

const struct mrpc_route *mrpc_router_find(const struct mrpc_router *router, const char *path,
					  size_t len)
{
	const struct mrpc_route *route = mrpc_map_get(&router->paths, path, len);

	return route != NULL ? route : router->fallback;
}

bool mrpc_router_knows_service(const struct mrpc_router *router, const char *path, size_t len)
{
	const struct mrpc_list *node;

	while (len > 0 && path[len - 1] != '/')
		len--;
	for (node = router->routes.next; node != &router->routes; node = node->next) {
		const struct mrpc_route *route = mrpc_container(node, struct mrpc_route, node);

		if (len > 0 && strncmp(route->method->path, path, len) == 0)
			return true;
	}
	return false;
}

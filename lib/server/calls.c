/* SPDX-License-Identifier: MIT */
/* A server's calls: finding the method of each that comes in, and remembering it until its handler
 * has ended it, so that freeing the server takes every handle along and a forgotten one shows. */
#include "server/server.h"

#include "wire/header.h"

#include <string.h>

/* A call whose peer has left is looked at twice, this far apart, before it counts as forgotten. */
#define SWEEP MINIRPC_S(60)

static bool attempt_failed(struct minirpc_call *call, const struct minirpc_status *status,
			   bool unprocessed)
{
	(void)call;
	(void)status;
	(void)unprocessed;
	return false;
}

static void over(struct minirpc_call *call)
{
	minirpc_server *server = call->owner;

	if (!mrpc_list_is_linked(&call->owner_node))
		return;
	mrpc_list_remove(&call->owner_node);
	server->call_count--;
}

static const struct mrpc_call_owner_ops owner_ops = { .attempt_failed = attempt_failed,
						      .over = over };

/* For calls that outlive their server, in a delivery that is under way. */
static void orphan_over(struct minirpc_call *call)
{
	(void)call;
}

static const struct mrpc_call_owner_ops orphan_ops = { .attempt_failed = attempt_failed,
						       .over = orphan_over };

void mrpc_server_take_call(minirpc_server *server, struct minirpc_call *call)
{
	call->owner = server;
	call->owner_ops = &owner_ops;
	mrpc_list_push(&server->calls, &call->owner_node);
	server->call_count++;
	if (!mrpc_timer_is_set(&server->sweep))
		mrpc_timer_set(&server->sweep, mrpc_time_add(server->loop->now, SWEEP));
}

static void refuse(const minirpc_server *server, struct minirpc_call *call, const char *path,
		   size_t len)
{
	const char *slash = strrchr(path, '/');
	int service, method;

	/* "/service/method" has been checked [W-8]; what is long is cut, it is only for people. */
	service = slash - path > 1 ? (int)(slash - path - 1) : 0;
	method = (int)(len - (size_t)(slash - path) - 1);
	if (service > 256)
		service = 256;
	if (method > 256)
		method = 256;
	if (mrpc_router_knows_service(&server->router, path, len))
		minirpc_call_fail(call, MINIRPC_UNIMPLEMENTED,
				  "unknown method %.*s of service %.*s", method, slash + 1, service,
				  path + 1);
	else
		minirpc_call_fail(call, MINIRPC_UNIMPLEMENTED, "unknown service %.*s", service,
				  path + 1);
}

/* [W-9] */
static bool speaks(const struct mrpc_route *route, const struct minirpc_call *call)
{
	if (route->subtype == NULL || (call->content_type == NULL && route->subtype == mrpc_subtype_proto))
		return true;
	return strcmp(route->subtype, minirpc_call_subtype(call)) == 0;
}

static void on_headers(struct minirpc_call *call, const struct minirpc_metadata *metadata,
		       void *user)
{
	minirpc_server *server = user;
	size_t len = strlen(call->path);
	const struct mrpc_route *route = mrpc_router_find(&server->router, call->path, len);

	if (route == NULL) {
		refuse(server, call, call->path, len);
		return;
	}
	if (!speaks(route, call)) {
		minirpc_call_fail(call, MINIRPC_UNIMPLEMENTED, "unknown content subtype");
		return;
	}

	mrpc_call_route(call, route->method, route->events, route->user);
	if (route->events->on_headers != NULL)
		route->events->on_headers(call, metadata, route->user);
}

/* Over before the call was routed: the peer left, or an interceptor held it until its time was up and
 * the answer is on its way. Nobody else has its handle. */
static void on_end(struct minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)status;
	(void)user;
	minirpc_call_end(call, NULL);
}

const struct minirpc_call_events mrpc_server_accept = { .on_headers = on_headers,
							.on_end = on_end };

static void drop_all(struct mrpc_list *calls)
{
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(calls)) != NULL) {
		struct minirpc_call *call = mrpc_container(node, struct minirpc_call, owner_node);

		call->owner = NULL;
		call->owner_ops = &orphan_ops;
		mrpc_call_drop(call);
	}
}

void mrpc_server_drop_calls(minirpc_server *server)
{
	drop_all(&server->calls);
	drop_all(&server->left);
	drop_all(&server->forgotten);
	server->call_count = 0;
}

/* Moves the calls whose peer has left; returns how many those were. `told_end` of a server's call
 * that still has its owner means just that: its handler would have ended it otherwise. */
static size_t move_left(struct mrpc_list *from, struct mrpc_list *to)
{
	struct mrpc_list *node, *next;
	size_t count = 0;

	for (node = from->next; node != from; node = next) {
		struct minirpc_call *call = mrpc_container(node, struct minirpc_call, owner_node);

		next = node->next;
		if (!call->told_end)
			continue;
		mrpc_list_remove(node);
		mrpc_list_push(to, node);
		count++;
	}
	return count;
}

void mrpc_server_sweep(struct mrpc_timer *timer, minirpc_time now)
{
	minirpc_server *server = mrpc_container(timer, minirpc_server, sweep);
	const struct mrpc_list *first = server->left.next;
	size_t count;

	if (first != &server->left) {
		const struct minirpc_call *call =
			mrpc_container(first, struct minirpc_call, owner_node);

		count = move_left(&server->left, &server->forgotten);
		server->counts.forgotten_calls += count;
		mrpc_log(&server->loop->log, MINIRPC_LOG_WARNING,
			 "%zu calls were left by their peer a minute ago and their handler has not "
			 "ended them, one of %s",
			 count, call->path);
	}
	move_left(&server->calls, &server->left);

	if (!mrpc_list_is_empty(&server->calls) || !mrpc_list_is_empty(&server->left))
		mrpc_timer_set(timer, mrpc_time_add(now, SWEEP));
}

/* SPDX-License-Identifier: MIT */
/* Hooks: a backend made of the five functions of a host that brings its own loop. */
#include "io/backend.h"

#include "base/alloc.h"

#include <errno.h>

struct hooks {
	struct minirpc_loop_hooks fn;
	void *user;
};

static int watch(minirpc_loop *loop, struct minirpc_watch *watch)
{
	struct hooks *hooks = loop->backend_data;

	return hooks->fn.watch(hooks->user, watch->fd, watch->events, watch, &watch->backend);
}

static int change(minirpc_loop *loop, struct minirpc_watch *watch)
{
	struct hooks *hooks = loop->backend_data;

	return hooks->fn.change(hooks->user, watch->backend, watch->events);
}

static void unwatch(minirpc_loop *loop, struct minirpc_watch *watch)
{
	struct hooks *hooks = loop->backend_data;

	hooks->fn.unwatch(hooks->user, watch->backend);
}

static void wake_at(minirpc_loop *loop, minirpc_time at)
{
	struct hooks *hooks = loop->backend_data;

	hooks->fn.wake_at(hooks->user, at);
}

static minirpc_time now(const minirpc_loop *loop)
{
	const struct hooks *hooks = loop->backend_data;

	return hooks->fn.now != NULL ? hooks->fn.now(hooks->user) : mrpc_clock();
}

static void free_hooks(minirpc_loop *loop)
{
	loop->backend_data = mrpc_free(loop->backend_data);
}

int mrpc_loop_hooks_init(minirpc_loop *loop, const struct minirpc_loop_hooks *fn, void *user)
{
	static const struct mrpc_loop_backend backend = {
		.watch = watch,
		.change = change,
		.unwatch = unwatch,
		.wake_at = wake_at,
		.now = now,
		.free = free_hooks,
	};
	struct hooks *hooks = mrpc_alloc(sizeof *hooks);

	if (hooks == NULL)
		return -ENOMEM;
	*hooks = (struct hooks){ .fn = *fn, .user = user };
	loop->backend = &backend;
	loop->backend_data = hooks;
	return 0;
}

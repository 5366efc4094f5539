/* SPDX-License-Identifier: MIT */
/* About a call: where it lives, who is at the other end, and what of that its peer shall know. */
#include "call/call.h"

#include <errno.h>
#include <string.h>

struct minirpc_loop *minirpc_call_loop(const minirpc_call *call)
{
	return call->place.loop;
}

const char *minirpc_call_subtype(const minirpc_call *call)
{
	const char *type = call->content_type;

	return type == NULL ? "proto" : type + sizeof MRPC_CONTENT_TYPE;
}

const struct minirpc_field *minirpc_call_forward(minirpc_call *call,
						 const struct minirpc_metadata *metadata)
{
	size_t count = minirpc_metadata_count(metadata), kept = 0;
	struct minirpc_field *fields;

	fields = mrpc_arena_alloc(&call->arena, (count + 1) * sizeof *fields); /* zeroed: it is ended */
	for (size_t i = 0; fields != NULL && i < count; i++)
		if (mrpc_metadata_field_is_valid(&metadata->fields[i]))
			fields[kept++] = metadata->fields[i];
	return fields;
}

bool minirpc_call_is_secure(const minirpc_call *call)
{
	return call->secure;
}

int minirpc_call_set_principal(minirpc_call *call, const char *principal)
{
	const char *copy = NULL;

	if (call->role != MRPC_SERVER)
		return -EINVAL;
	if (principal != NULL) {
		copy = mrpc_arena_strndup(&call->arena, principal, strlen(principal));
		if (copy == NULL)
			return -ENOMEM;
	}
	call->principal = copy;
	return 0;
}

const char *minirpc_call_principal(const minirpc_call *call)
{
	return call->principal;
}

int minirpc_call_set_pushback(minirpc_call *call, minirpc_time after)
{
	if (call->role != MRPC_SERVER)
		return -EINVAL;
	if (call->gone || call->out.state == MRPC_LANE_ENDED) /* not: its handler has ended it */
		return -EPIPE;
	call->has_pushback = true;
	call->pushback = after;
	return 0;
}

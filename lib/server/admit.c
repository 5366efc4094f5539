/* SPDX-License-Identifier: MIT */
/* Admit: a server's say at the door, when the headers of a request are in and nothing else of it.
 *
 *	max_memory --> max_calls --> the hook --> the call is ours
 *
 * Who is let in is counted from here on, not from the handler's first event: requests that come in one read
 * must find each other counted. The hook comes last, so that whoever keeps a budget there spends it only on
 * what will be served. */
#include "server/server.h"

#include "base/cold.h"

#define PUSHBACK MINIRPC_S(1)

MRPC_COLD static bool shed(const minirpc_server *server, struct mrpc_refusal *refusal, const char *text)
{
	*refusal = (struct mrpc_refusal){
		.code = MINIRPC_RESOURCE_EXHAUSTED,
		.text = text,
		.pushback = server->shed_pushback,
	};
	return false;
}

/* A frame of its own: most servers have no hook. */
MRPC_COLD static bool ask(minirpc_server *server, struct minirpc_call *call, minirpc_time timeout,
		struct mrpc_refusal *refusal)
{
	struct minirpc_admission request = {
		.server = server,
		.path = call->path,
		.authority = call->authority,
		.peer = call->peer,
		.metadata = &call->in_headers,
		.timeout = timeout,
		.open_calls = server->call_count,
		.open_connections = server->connection_count,
		.memory = server->memory->used,
		.counts = &server->counts,
	};
	enum minirpc_code code = server->admit(&request, server->admit_user);

	if (code == MINIRPC_OK)
		return true;
	server->counts.refused_admissions++;
	*refusal = (struct mrpc_refusal){
		.code = code,
		.text = request.text,
		.pushback = request.pushback,
	};
	return false;
}

static bool may_come_in(minirpc_server *server, struct minirpc_call *call, minirpc_time timeout,
			struct mrpc_refusal *refusal)
{
	if (server->memory->used > server->memory->quota) {
		server->counts.refused_memory++;
		return shed(server, refusal, MRPC_QUOTA_TEXT);
	}
	if (server->max_calls > 0 && server->call_count >= server->max_calls) {
		server->counts.refused_calls++;
		return shed(server, refusal, "the server has too many calls");
	}
	return server->admit == NULL || ask(server, call, timeout, refusal);
}

bool mrpc_server_admit(void *user, struct minirpc_call *call, minirpc_time timeout,
		       struct mrpc_refusal *ret_refusal)
{
	minirpc_server *server = user;

	if (!may_come_in(server, call, timeout, ret_refusal))
		return false;
	mrpc_server_take_call(server, call);
	return true;
}

minirpc_time mrpc_server_shed_pushback(const struct minirpc_server_options *options)
{
	return options->shed_pushback == 0  ? PUSHBACK
	       : options->shed_pushback < 0 ? 0
					    : options->shed_pushback;
}

size_t minirpc_server_memory(const minirpc_server *server)
{
	return server->memory->used;
}

/* SPDX-License-Identifier: MIT */
/* Server bytes: a peer may send anything to an echo server; every call keeps its grammar, and
 * nothing is left over.
 *
 *	flags  script of session.h, with
 *	0xF5  all calls that wait are answered     0xF6  they fail     0xF7  they are cancelled
 *	0xF8  drain    0xF9  stop    0xFA  the transport closes    0xFB  pause all    0xFC  resume all
 *
 * flags: 1 preface and SETTINGS come by themselves, 2 answer later, 4 the transport closes first in the end,
 * 8 a door with quotas, 16 interceptors, 32 a fallback for any path, 64 a connection that ages. */
#include "session.h"

#include <minirpc/conn.h>

#define MOST 256

struct state {
	struct target *target;
	bool has_headers, half_closed, peer_left;
};

struct target {
	struct session session;
	minirpc_server *server;
	bool answers_later;
	unsigned asked;           /* at the door */
	minirpc_call *open[MOST]; /* calls that we have not ended */
	size_t count;
};

static struct state *state_of(minirpc_call *call)
{
	return minirpc_call_user(call);
}

/* The handle is given back: by end, fail or cancel. */
static void forget(struct target *target, minirpc_call *call)
{
	for (size_t i = 0; i < target->count; i++)
		if (target->open[i] == call) {
			target->open[i] = target->open[--target->count];
			return;
		}
	never("a call that is not open");
}

static void finish(minirpc_call *call)
{
	forget(state_of(call)->target, call);
	minirpc_call_set_trailers(call,
				  (const struct minirpc_field[]){ { "x-bin", "\1\2", 2 }, { 0 } });
	hold(minirpc_call_end(call, NULL) == 0);
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct state *state = user;

	hold(state->has_headers && !state->half_closed && !state->peer_left);
	hold(message->len <= 4194304);
	if (!state->target->answers_later)
		minirpc_call_send(call, message->data, message->len);
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct state *state = user;

	hold(!state->half_closed && !state->peer_left);
	state->half_closed = true;
	if (!state->target->answers_later)
		finish(call);
}

static void on_writable(minirpc_call *call, void *user)
{
	(void)user;
	minirpc_call_send(call, "room", 4);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct state *state = user;

	hold(!state->peer_left);
	hold(status->code != MINIRPC_OK && status->code <= MINIRPC_UNAUTHENTICATED);
	hold(status->message != NULL);
	state->peer_left = true;
	if (!state->target->answers_later)
		finish(call);
}

static void check_metadata(const struct minirpc_metadata *metadata)
{
	for (size_t i = 0; i < minirpc_metadata_count(metadata); i++) {
		const struct minirpc_field *field = minirpc_metadata_at(metadata, i);

		hold(field->key[0] != '\0' && field->key[0] != ':');
		hold(((const char *)field->value)[field->len] == '\0');
		hold(strcmp(field->key, "content-type") != 0 && strcmp(field->key, "te") != 0);
	}
}

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	static const struct minirpc_call_events events = { .on_message = on_message,
							   .on_half_close = on_half_close,
							   .on_writable = on_writable,
							   .on_end = on_end };
	struct target *target = user;
	struct state *state = minirpc_call_alloc(call, sizeof *state);

	if (state == NULL) {
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	hold(target->count < MOST);
	*state = (struct state){ .target = target, .has_headers = true };
	check_metadata(metadata);
	hold(minirpc_call_time_left(call) >= 0);
	hold(strcmp(minirpc_call_peer(call), "fuzz") == 0);
	hold(minirpc_call_authority(call) != NULL);
	minirpc_call_listen(call, &events, state);
	target->open[target->count++] = call;
	if (!target->answers_later)
		minirpc_call_send_headers(call,
					  (const struct minirpc_field[]){ { "x", "y" }, { 0 } });
}

static void each_open_call(struct target *target, void (*fn)(minirpc_call *call))
{
	minirpc_call *open[MOST];
	size_t count = target->count;

	memcpy(open, target->open, sizeof open);
	for (size_t i = 0; i < count; i++)
		fn(open[i]);
}

static void fail(minirpc_call *call)
{
	forget(state_of(call)->target, call);
	minirpc_call_fail(call, MINIRPC_DATA_LOSS, "tabs\tand %s", "\xe2\x98\xba");
}

static void cancel(minirpc_call *call)
{
	forget(state_of(call)->target, call);
	minirpc_call_cancel(call);
}

static void on_drained(minirpc_server *server, void *user)
{
	(void)server;
	(void)user;
}

static void step(struct session *session, uint8_t op)
{
	struct target *target = (struct target *)(void *)session; /* its first member */

	switch (op) {
	case 0xF5:
		each_open_call(target, finish);
		break;
	case 0xF6:
		each_open_call(target, fail);
		break;
	case 0xF7:
		each_open_call(target, cancel);
		break;
	case 0xF8:
		minirpc_server_drain(target->server, MINIRPC_S(30), on_drained, NULL);
		break;
	case 0xF9:
		minirpc_server_stop(target->server);
		break;
	case 0xFA:
		session_close(session);
		break;
	case 0xFB:
		each_open_call(target, minirpc_call_pause);
		break;
	case 0xFC:
		each_open_call(target, minirpc_call_resume);
		break;
	default:
		break;
	}
	session_settle(session);
}

static enum minirpc_code admit(struct minirpc_admission *request, void *user)
{
	struct target *target = user;

	hold(request->server == target->server && request->path[0] == '/');
	hold(request->timeout >= 0);
	check_metadata(request->metadata);
	if (++target->asked % 3 != 0)
		return MINIRPC_OK;
	request->text = "not % now";
	request->pushback = (minirpc_time)(target->asked % 7) * MINIRPC_MS(1) - MINIRPC_MS(3);
	return (enum minirpc_code)(1 + target->asked % 16);
}

static void open_server(struct target *target, uint8_t flags)
{
	const struct minirpc_use uses[] = { { &session_interceptor, &target->session },
					    { &session_interceptor, &target->session },
					    { NULL } };
	struct minirpc_server_options options = { 0 };

	if ((flags & 8) != 0) {
		options.admit = admit;
		options.admit_user = target;
		options.max_calls = 5;
		options.max_memory = 64 << 10;
		options.shed_pushback = MINIRPC_MS(5);
	}
	if ((flags & 16) != 0)
		options.interceptors = uses;
	if ((flags & 64) != 0) {
		options.max_connection_idle = MINIRPC_MS(3);
		options.max_connection_age = MINIRPC_S(30);
		options.max_connection_age_grace = MINIRPC_S(15);
	}
	hold(minirpc_server_new(&target->server, target->session.loop, &options) == 0);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	static const struct minirpc_method json = { .path = "/t.T/Json", .subtype = "json" };
	static const struct minirpc_method unary = { .path = "/t.T/Unary" };
	static const struct minirpc_method chat = {
		.path = "/t.T/Chat", .flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING
	};
	static const struct minirpc_call_events events = { .on_headers = on_headers };
	struct input input = { data, len };
	struct target target = { .count = 0 };
	struct session *session = &target.session;
	struct minirpc_attach_options attach;
	uint8_t flags = input_byte(&input);

	session_init(session, false, len);
	target.answers_later = (flags & 2) != 0;
	attach = session_attach(session);
	open_server(&target, flags);
	hold(minirpc_server_add(target.server, &unary, &events, &target, NULL) == 0);
	hold(minirpc_server_add(target.server, &chat, &events, &target, NULL) == 0);
	hold(minirpc_server_add(target.server, &json, &events, &target, NULL) == 0);
	if ((flags & 32) != 0)
		hold(minirpc_server_add_fallback(target.server, &events, &target, NULL) == 0);
	hold(minirpc_server_attach(target.server, &attach, &session->conn) == 0);

	if ((flags & 1) != 0)
		session_receive(session, PREFACE SETTINGS SETTINGS_ACK,
				sizeof PREFACE SETTINGS SETTINGS_ACK - 1);
	session_run(session, &input, step);

	if ((flags & 4) != 0)
		session_close(session);
	session->conn = NULL;
	minirpc_server_free(target.server);
	session_clear(session);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Client bytes: a server may send anything to a client with a unary call and a stream open; each
 * call ends once, with a status, and keeps its grammar until then.
 *
 *	flags  script of session.h, with
 *	0xF5  one more unary call   0xF6  one more stream   0xF7  a message on each stream
 *	0xF8  streams half-close    0xF9  cancel all        0xFA  the transport closes
 *	0xFB  pause all             0xFC  resume all
 *
 * flags: 1 the server's SETTINGS come by themselves, 2 the transport closes first in the end, 4 a retry policy,
 * 8 hedging, 16 interceptors of calls, 32 of attempts, 64 keepalive. */
#include "session.h"

#include <errno.h>

#include <minirpc/conn.h>
#include <minirpc/service_config.h>

#define MOST 32

struct target;

struct probe {
	struct target *target;
	minirpc_call *call; /* NULL: over */
	bool has_headers, has_message, is_stream;
};

struct target {
	struct session session;
	minirpc_channel *channel;
	struct probe probes[MOST];
	size_t count;
};

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct probe *probe = user;

	hold(probe->call == call && !probe->has_headers && !probe->has_message);
	hold(minirpc_call_headers(call) == metadata);
	probe->has_headers = true;
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct probe *probe = user;

	hold(probe->call == call && probe->has_headers);
	hold(probe->is_stream || !probe->has_message); /* W-15 */
	hold(message->len <= 4194304);
	probe->has_message = true;
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;
	const struct minirpc_metadata *trailers = minirpc_call_trailers(call);

	hold(probe->call == call);
	hold(status->code <= MINIRPC_UNAUTHENTICATED);
	hold(status->message != NULL);
	hold(status->details != NULL || status->details_len == 0);
	if (status->code == MINIRPC_OK && !probe->is_stream)
		hold(probe->has_message);
	for (size_t i = 0; i < minirpc_metadata_count(trailers); i++)
		hold(strcmp(minirpc_metadata_at(trailers, i)->key, "grpc-status") != 0);
	probe->call = NULL;
}

static void open_call(struct target *target, bool is_stream)
{
	static const struct minirpc_method unary = { .path = "/t.T/Unary" };
	static const struct minirpc_method chat = {
		.path = "/t.T/Chat", .flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING
	};
	static const struct minirpc_call_events events = { .on_headers = on_headers,
							   .on_message = on_message,
							   .on_end = on_end };
	static const struct minirpc_field metadata[] = { { "a", "b" }, { 0 } };
	const struct minirpc_call_options options = { .timeout = MINIRPC_S(60),
						      .metadata = metadata };
	struct probe *probe = &target->probes[target->count];
	int r;

	if (target->count == MOST)
		return;
	*probe = (struct probe){ .target = target, .is_stream = is_stream };
	r = minirpc_call_open(&probe->call, target->channel, is_stream ? &chat : &unary, &options,
			      &events, probe);
	hold(r == 0 || r == -ENOMEM);
	if (r < 0) {
		probe->call = NULL;
		return;
	}
	target->count++;
	r = minirpc_call_send(probe->call, "hello", 5);
	hold(r == 0 || r == -ENOMEM);
	if (!is_stream)
		hold(minirpc_call_end(probe->call, NULL) == 0);
}

static void send(minirpc_call *call)
{
	minirpc_call_send(call, "more", 4);
}

static void half_close(minirpc_call *call)
{
	minirpc_call_end(call, NULL);
}

static void each_open_call(struct target *target, void (*fn)(minirpc_call *call))
{
	for (size_t i = 0; i < target->count; i++)
		if (target->probes[i].call != NULL)
			fn(target->probes[i].call);
}

static void cancel_all(struct target *target)
{
	each_open_call(target, minirpc_call_cancel);
	for (size_t i = 0; i < target->count; i++)
		target->probes[i].call = NULL;
}

static void step(struct session *session, uint8_t op)
{
	struct target *target = (struct target *)(void *)session; /* its first member */

	switch (op) {
	case 0xF5:
		open_call(target, false);
		break;
	case 0xF6:
		open_call(target, true);
		break;
	case 0xF7:
		each_open_call(target, send);
		break;
	case 0xF8:
		each_open_call(target, half_close);
		break;
	case 0xF9:
		cancel_all(target);
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

#define CODES (MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_INTERNAL) | MINIRPC_CODE(5))

static const struct minirpc_retry_policy retry = { .max_attempts = 4,
						   .initial_backoff = MINIRPC_MS(1),
						   .max_backoff = MINIRPC_S(1),
						   .backoff_multiplier = 10,
						   .codes = CODES };
static const struct minirpc_hedging_policy hedging = { .max_attempts = 3,
						       .delay = MINIRPC_MS(1),
						       .codes = CODES };

static void open_channel(struct target *target, uint8_t flags)
{
	const struct minirpc_use uses[] = { { (flags & 32) != 0 ? &session_attempt_interceptor
								: &session_interceptor,
					      &target->session },
					    { &session_interceptor, &target->session },
					    { NULL } };
	const struct minirpc_method_config method = { .retry = (flags & 8) == 0 ? &retry : NULL,
						      .hedging =
							      (flags & 8) != 0 ? &hedging : NULL };
	const struct minirpc_service_config config = {
		.methods = &method, .method_count = 1, .max_tokens = 10, .token_ratio = 1
	};
	struct minirpc_channel_options options = { 0 };

	if ((flags & (4 | 8)) != 0)
		options.service_config = &config;
	if ((flags & (16 | 32)) != 0)
		options.interceptors = uses;
	if ((flags & 64) != 0)
		options.keepalive = (struct minirpc_keepalive){ .time = MINIRPC_S(10),
								.timeout = MINIRPC_S(1) };
	hold(minirpc_channel_new(&target->channel, target->session.loop, "attached:fuzz",
				 &options) == 0);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	struct target target = { .count = 0 };
	struct session *session = &target.session;
	struct minirpc_attach_options attach;
	uint8_t flags = input_byte(&input);

	session_init(session, true, len);
	attach = session_attach(session);
	open_channel(&target, flags);
	hold(minirpc_channel_attach(target.channel, &attach, &session->conn) == 0);
	open_call(&target, false);
	open_call(&target, true);
	if ((flags & 1) != 0)
		session_receive(session, SETTINGS SETTINGS_ACK, sizeof SETTINGS SETTINGS_ACK - 1);
	session_run(session, &input, step);

	/* Every call has a deadline, so every call ends. */
	each_open_call(&target, minirpc_call_resume);
	session->now += MINIRPC_S(60);
	session_settle(session);
	for (size_t i = 0; i < target.count; i++)
		hold(target.probes[i].call == NULL);

	if ((flags & 2) != 0)
		session_close(session);
	session->conn = NULL;
	minirpc_channel_free(target.channel);
	session_clear(session);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT (128u << 10)

/* ---- Wires ---- */

static void run_flush(struct mrpc_task *task)
{
	struct wire *wire = mrpc_container(task, struct wire, flush);
	struct mrpc_machine *machine = mrpc_conn_machine(wire->from);
	size_t before = mrpc_buf_len(&wire->bytes);

	if (wire->stalled && before > 0) /* a full socket: the driver asks no more */
		return;
	for (;;) {
		size_t len = mrpc_buf_len(&wire->bytes);

		machine->ops->pending(machine, &wire->bytes, LIMIT, *wire->from->place.now);
		if (mrpc_buf_len(&wire->bytes) == len || wire->stalled)
			break;
	}
	if (mrpc_buf_len(&wire->bytes) > before) {
		wire->total += mrpc_buf_len(&wire->bytes) - before;
		wire->flushes++;
	}
}

static void wire_init(struct wire *wire, struct mrpc_conn *from)
{
	wire->from = from;
	wire->flush = (struct mrpc_task){ .phase = MRPC_FLUSH, .run = run_flush };
	if (from == NULL)
		return;
	mrpc_conn_machine(from)->flush = &wire->flush;
	mrpc_turn_wake(from->place.turn, &wire->flush);
}

/* True: something moved. */
static bool wire_move(struct pair *pair, struct wire *wire, struct mrpc_conn *to)
{
	struct mrpc_machine *from = wire->from == NULL ? NULL : mrpc_conn_machine(wire->from);
	struct mrpc_machine *machine = to == NULL ? NULL : mrpc_conn_machine(to);
	size_t len = mrpc_buf_len(&wire->bytes);
	uint8_t *copy;

	if (wire->stalled || len == 0 || machine == NULL || from == NULL)
		return false;
	if (machine->ops->is_finished(machine)) { /* it falls on the floor */
		mrpc_buf_empty(&wire->bytes);
		from->ops->sent(from, len, pair->now);
		return true;
	}
	if (!machine->ops->wants_receive(machine) && mrpc_conn_state(to) != MRPC_CONN_CLOSED)
		return false;
	if (pair->chop > 0 && len > pair->chop)
		len = pair->chop;
	copy = malloc(len); /* exactly as large, for the sanitizers */
	memcpy(copy, mrpc_buf_bytes(&wire->bytes), len);
	mrpc_buf_consume(&wire->bytes, len);
	from->ops->sent(from, len, pair->now);
	machine->ops->receive(machine, copy, len, pair->now);
	free(copy);
	mrpc_turn_wake(&pair->turn, &wire->flush);
	return true;
}

void pair_turn(struct pair *pair)
{
	while (mrpc_turn_run(&pair->turn, 1000))
		;
}

void pair_settle(struct pair *pair)
{
	bool moved = true;

	while (moved) {
		pair_turn(pair);
		moved = wire_move(pair, &pair->to_server, pair->server);
		pair_turn(pair);
		moved = wire_move(pair, &pair->to_client, pair->client) || moved;
	}
	pair_turn(pair);
}

static void tick(struct pair *pair, struct mrpc_conn *conn)
{
	struct mrpc_machine *machine;

	if (conn == NULL)
		return;
	machine = mrpc_conn_machine(conn);
	if (machine->ops->deadline(machine) <= pair->now)
		machine->ops->tick(machine, pair->now);
}

void pair_advance(struct pair *pair, minirpc_time span)
{
	pair->now += span;
	mrpc_timers_run(&pair->timers, pair->now);
	tick(pair, pair->client);
	tick(pair, pair->server);
	pair_settle(pair);
}

int pair_give(struct pair *pair, struct mrpc_conn *conn, const void *data, size_t len)
{
	struct mrpc_machine *machine = mrpc_conn_machine(conn);
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	memcpy(copy, data, len);
	r = machine->ops->receive(machine, copy, len, pair->now);
	free(copy);
	pair_turn(pair);
	return r;
}

/* ---- Probes ---- */

static void copy_field(char *to, size_t size, const struct minirpc_metadata *metadata,
		       const char *key)
{
	const char *value = minirpc_metadata_get(metadata, key);

	if (value != NULL)
		strncpy(to, value, size - 1);
}

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->headers++;
	copy_field(probe->meta, sizeof probe->meta, metadata, "x-meta");
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->messages++;
	probe->compressed += message->compressed;
	probe->bytes += message->len;
	memset(probe->last, 0, sizeof probe->last);
	memcpy(probe->last, message->data,
	       message->len < sizeof probe->last ? message->len : sizeof probe->last - 1);
}

static void on_writable(minirpc_call *call, void *user)
{
	struct probe *probe = user;

	(void)call;
	probe->writables++;
}

static void keep_status(struct probe *probe, const struct minirpc_status *status)
{
	probe->ends++;
	probe->code = status->code;
	strncpy(probe->text, status->message, sizeof probe->text - 1);
	probe->details_len = status->details_len;
	if (status->details_len > 0 && status->details_len <= sizeof probe->details)
		memcpy(probe->details, status->details, status->details_len);
}

static void on_client_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;

	keep_status(probe, status);
	copy_field(probe->trailer, sizeof probe->trailer, minirpc_call_trailers(call), "x-trailer");
	probe->call = NULL;
}

static void on_server_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;

	keep_status(probe, status);
	if (probe->pair->forget)
		return;
	minirpc_call_end(call, NULL);
	probe->call = NULL;
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct probe *probe = user;

	probe->half_closes++;
	if (probe->hold)
		return;
	if (minirpc_call_send(call, probe->last, strlen(probe->last)) < 0)
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		minirpc_call_end(call, NULL);
	probe->call = NULL;
}

static const struct minirpc_call_events client_events = {
	.on_headers = on_headers,
	.on_message = on_message,
	.on_writable = on_writable,
	.on_end = on_client_end,
};

static const struct minirpc_call_events server_events = {
	.on_headers = on_headers,
	.on_message = on_message,
	.on_half_close = on_half_close,
	.on_writable = on_writable,
	.on_end = on_server_end,
};

static void on_accept(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	static const struct minirpc_method unary = { .path = "/t/unary" };
	static const struct minirpc_method streaming = { .path = "/t/stream", .flags = STREAMS };
	struct pair *pair = user;
	struct probe *probe;

	ck_assert_int_lt(pair->accepted, PROBES);
	probe = &pair->served[pair->accepted++];
	*probe = (struct probe){ .pair = pair, .call = call, .hold = pair->hold };
	mrpc_call_route(call,
			strcmp(minirpc_call_path(call), "/t/unary") == 0 ? &unary : &streaming,
			&server_events, probe);
	on_headers(call, metadata, probe);
}

/* The peer left before the call was told of. */
static void on_early_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)status;
	(void)user;
	minirpc_call_end(call, NULL);
}

static const struct minirpc_call_events accept_events = {
	.on_headers = on_accept,
	.on_end = on_early_end,
};

static bool on_attempt_failed(minirpc_call *call, const struct minirpc_status *status,
			      bool unprocessed)
{
	struct probe *probe = call->user;

	(void)status;
	probe->failed_attempts++;
	if (unprocessed)
		probe->unprocessed++;
	return probe->retry;
}

static const struct mrpc_call_owner_ops owner_ops = { .attempt_failed = on_attempt_failed };

/* ---- The pair ---- */

static void on_client_owner(struct mrpc_task *task)
{
	mrpc_container(task, struct pair, client_owner)->client_woken++;
}

static void on_server_owner(struct mrpc_task *task)
{
	mrpc_container(task, struct pair, server_owner)->server_woken++;
}

static const struct minirpc_keepalive any_ping = { .time = MINIRPC_NEVER,
						   .min_interval = -1 },
				      none;

static struct pair *make_with(const struct minirpc_conn_limits *client,
			      const struct minirpc_conn_limits *server, bool with_client,
			      bool with_server, const struct minirpc_keepalive *client_keepalive,
			      const struct minirpc_keepalive *server_keepalive)
{
	struct pair *pair = calloc(1, sizeof *pair);
	struct mrpc_conn_options options = { .user_agent = "grpc-c-test/1", .scheme = "http" };
	int r = 0;

	mrpc_turn_init(&pair->turn);
	mrpc_timers_init(&pair->timers);
	pair->now = MINIRPC_S(1000);
	pair->place = (struct mrpc_place){ .turn = &pair->turn, .now = &pair->now };
	pair->client_owner = (struct mrpc_task){ .phase = MRPC_STREAM, .run = on_client_owner };
	pair->server_owner = (struct mrpc_task){ .phase = MRPC_STREAM, .run = on_server_owner };
	ck_assert_int_eq(mrpc_compressors_init(&pair->compressors, NULL, false), 0);
	pair->call_config = (struct mrpc_call_config){ .place = pair->place,
						       .timers = &pair->timers,
						       .compressors = &pair->compressors };
	options.place = pair->place;
	options.call.compressors = &pair->compressors;
	pair->client_keepalive = client_keepalive == NULL ? none : *client_keepalive;
	pair->server_keepalive = server_keepalive == NULL ? none : *server_keepalive;
	ck_assert_int_eq(mrpc_keepalive_complete(&pair->client_keepalive, MRPC_CLIENT), 0);
	ck_assert_int_eq(mrpc_keepalive_complete(&pair->server_keepalive, MRPC_SERVER), 0);
	options.keepalive = &pair->client_keepalive;
	if (with_client) {
		if (client != NULL)
			options.limits = *client;
		options.owner = &pair->client_owner;
		r = mrpc_conn_new(&pair->client, MRPC_CLIENT, &options, pair->now);
	}
	if (with_server && r == 0) {
		options.limits = server == NULL ? (struct minirpc_conn_limits){ 0 } : *server;
		options.owner = &pair->server_owner;
		options.keepalive = &pair->server_keepalive;
		options.accept = &accept_events;
		options.accept_user = pair;
		r = mrpc_conn_new(&pair->server, MRPC_SERVER, &options, pair->now);
		if (r == 0)
			r = mrpc_conn_set_peer(pair->server, "pipe:client");
	}
	if (r < 0) {
		pair_free(pair);
		return NULL;
	}
	wire_init(&pair->to_server, pair->client);
	wire_init(&pair->to_client, pair->server);
	pair_settle(pair);
	return pair;
}

static struct pair *make(const struct minirpc_conn_limits *client,
			 const struct minirpc_conn_limits *server, bool with_client,
			 bool with_server)
{
	return make_with(client, server, with_client, with_server, NULL, &any_ping);
}

struct pair *pair_try(void)
{
	return make(NULL, NULL, true, true);
}

static struct pair *sure(struct pair *pair)
{
	ck_assert_ptr_nonnull(pair);
	return pair;
}

struct pair *pair_new(void)
{
	return sure(pair_try());
}

struct pair *pair_new_keepalive(const struct minirpc_keepalive *client,
				const struct minirpc_keepalive *server)
{
	return sure(make_with(NULL, NULL, true, true, client, server));
}

struct pair *pair_server_keepalive(const struct minirpc_keepalive *keepalive)
{
	return sure(make_with(NULL, NULL, false, true, NULL, keepalive));
}

struct pair *pair_client_keepalive(const struct minirpc_keepalive *keepalive)
{
	return sure(make_with(NULL, NULL, true, false, keepalive, NULL));
}

struct pair *pair_new_with(const struct minirpc_conn_limits *client,
			   const struct minirpc_conn_limits *server)
{
	return sure(make(client, server, true, true));
}

struct pair *pair_server_only(const struct minirpc_conn_limits *limits)
{
	return sure(make(NULL, limits, false, true));
}

struct pair *pair_client_only(const struct minirpc_conn_limits *limits)
{
	return sure(make(limits, NULL, true, false));
}

void pair_free(struct pair *pair)
{
	mrpc_conn_free(pair->client);
	mrpc_conn_free(pair->server);
	pair->client = pair->server = NULL;
	mrpc_task_sleep(&pair->to_server.flush);
	mrpc_task_sleep(&pair->to_client.flush);
	pair_turn(pair);
	for (int i = 0; i < pair->called; i++)
		minirpc_call_cancel(pair->calls[i].call);
	for (int i = 0; i < pair->accepted; i++)
		if (pair->served[i].call != NULL)
			minirpc_call_end(pair->served[i].call, NULL);
	pair_turn(pair);
	ck_assert_uint_eq(pair->timers.bound, 0); /* no call is left */
	mrpc_timers_clear(&pair->timers);
	mrpc_buf_clear(&pair->to_server.bytes);
	mrpc_buf_clear(&pair->to_client.bytes);
	free(pair);
}

void pair_probe(struct probe *probe, struct pair *pair, minirpc_call *call, unsigned flags)
{
	*probe = (struct probe){ .pair = pair, .call = call };
	call->flags = flags;
	call->events = &client_events;
	call->user = probe;
	call->owner_ops = &owner_ops;
}

struct probe *pair_call_with(struct pair *pair, const char *path, unsigned flags,
			     minirpc_time timeout, const struct minirpc_field *metadata)
{
	struct probe *probe = &pair->calls[pair->called++];
	minirpc_call *call;

	ck_assert_int_le(pair->called, PROBES);
	ck_assert_int_eq(mrpc_call_new(&call, MRPC_CLIENT, &pair->call_config), 0);
	pair_probe(probe, pair, call, flags);
	ck_assert_int_eq(mrpc_call_set_path(call, path, strlen(path)), 0);
	ck_assert_int_eq(mrpc_call_set_authority(call, "localhost", 9), 0);
	ck_assert_int_eq(mrpc_metadata_add_all(&call->out_headers, metadata), 0);
	if (timeout != 0)
		mrpc_call_set_deadline(call, pair->now + timeout);
	ck_assert_int_eq(mrpc_conn_open(pair->client, call), 0);
	return probe;
}

struct probe *pair_call(struct pair *pair, const char *path, unsigned flags, minirpc_time timeout)
{
	return pair_call_with(pair, path, flags, timeout, NULL);
}

struct probe *pair_unary(struct pair *pair, const char *message)
{
	struct probe *probe = pair_call(pair, "/t/unary", 0, 0);

	ck_assert_int_eq(minirpc_call_send(probe->call, message, strlen(message)), 0);
	ck_assert_int_eq(minirpc_call_end(probe->call, NULL), 0);
	return probe;
}

/* SPDX-License-Identifier: MIT */
/* The two ends of a talk: what they do, and what they may be told. */
#include "scenario/sim.h"

#include "call/call.h"

#include <minirpc/service_config.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOTH (MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING)

static const struct minirpc_method methods[SIM_KINDS] = {
	[SIM_UNARY] = { "/sim.Sim/Unary", 0 },
	[SIM_DOWN] = { "/sim.Sim/Down", MINIRPC_SERVER_STREAMING },
	[SIM_UP] = { "/sim.Sim/Up", MINIRPC_CLIENT_STREAMING },
	[SIM_CHAT] = { "/sim.Sim/Chat", BOTH },
};

void sim_failed(const struct sim *sim, const char *condition, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	ck_abort_msg("SIM_SEED=%d, step %u%s%s: %s (%s)", sim->seed, sim->step,
		     sim->is_calm ? ", calm" : "", sim->is_faulty ? ", faulty" : "", text,
		     condition);
	abort();
}

/* splitmix64 */
static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned sim_random(struct sim *sim, unsigned below)
{
	sim->random += 0x9e3779b97f4a7c15u;
	return (unsigned)(mix(sim->random) >> 32) % below;
}

/* ---- Messages ---- */

static uint64_t hash_of(const struct sim_party *from, unsigned seq)
{
	return mix(((uint64_t)from->talk->id << 33) + ((uint64_t)from->is_server << 32) + seq);
}

static size_t size_of(const struct sim_party *from, unsigned seq)
{
	uint64_t hash = hash_of(from, seq);
	unsigned scale = from->talk->sim->scale;

	switch (hash % 8) {
	case 0:
		return hash >> 8 & 1;
	case 1:
	case 2:
	case 3:
		return (hash >> 8) % 60;
	case 7:
		return (hash >> 8) % (scale * 10);
	default:
		return (hash >> 8) % scale;
	}
}

static unsigned char byte_of(uint64_t hash, size_t at)
{
	return (unsigned char)((hash >> 16) + at * 7 + (at >> 8));
}

static unsigned char *message_of(const struct sim_party *from, unsigned seq, size_t *ret_len)
{
	uint64_t hash = hash_of(from, seq);
	size_t len = size_of(from, seq);
	unsigned char *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = byte_of(hash, i);
	*ret_len = len;
	return data;
}

/* The next one, and whole. */
static void check_message(const struct sim_party *from, unsigned seq,
			  const struct minirpc_message *message)
{
	const struct sim *sim = from->talk->sim;
	const unsigned char *data = message->data;
	uint64_t hash = hash_of(from, seq);

	sim_must(sim, message->len == size_of(from, seq),
		 "message %u of talk %u has %zu bytes, not %zu", seq, from->talk->id, message->len,
		 size_of(from, seq));
	for (size_t i = 0; i < message->len; i++)
		sim_must(sim, data[i] == byte_of(hash, i), "message %u of talk %u, byte %zu", seq,
			 from->talk->id, i);
}

/* ---- Verbs ---- */

static bool enter(struct sim *sim)
{
	bool was = sim->is_in_verb;

	sim->is_in_verb = true;
	return was;
}

bool sim_sends_one(const struct sim_party *party)
{
	unsigned streaming = party->is_server ? MINIRPC_SERVER_STREAMING : MINIRPC_CLIENT_STREAMING;

	return (methods[party->talk->kind].flags & streaming) == 0;
}

static void act_send(struct sim_party *party)
{
	struct sim *sim = party->talk->sim;
	size_t len;
	unsigned char *data = message_of(party, party->sent, &len);
	bool was = enter(sim);
	int r = minirpc_call_send(party->call, data, len);

	sim->is_in_verb = was;
	free(data);
	switch (r) {
	case 0:
		sim_must(sim, !party->ended, "talk %u takes a message after its end",
			 party->talk->id);
		party->sent++;
		sim_must(sim, !sim_sends_one(party) || party->sent == 1,
			 "talk %u takes a second message", party->talk->id);
		break;
	case -EAGAIN:
		party->wants_room = true;
		break;
	case -EPROTO:
		sim_must(sim, sim_sends_one(party) && party->sent == 1, "talk %u", party->talk->id);
		break;
	default:
		sim_must(sim,
			 r == -EPIPE || (r == -ENOMEM && sim->is_faulty) ||
				 (r == -ENOMEM && sim->has_quota && party->is_server),
			 "send says %d", r);
	}
}

static void said_by(const struct sim_party *party, char text[32])
{
	snprintf(text, 32, "said by %u.%u", party->talk->id, party->attempt);
}

static void say(struct sim_party *party, enum minirpc_code code)
{
	if (party->has_said || party->ends > 0)
		return; /* too late */
	party->has_said = true;
	party->said = code;
}

static enum minirpc_code some_code(struct sim *sim)
{
	static const enum minirpc_code codes[] = { MINIRPC_OK,        MINIRPC_OK,
						   MINIRPC_OK,        MINIRPC_ABORTED,
						   MINIRPC_NOT_FOUND, MINIRPC_UNAVAILABLE };

	return codes[sim_random(sim, 6)];
}

void sim_end(struct sim_party *party)
{
	struct talk *talk = party->talk;
	struct sim *sim = talk->sim;
	struct minirpc_status status = { .code = some_code(sim) };
	minirpc_call *call = party->call;
	char text[32];
	bool was;
	int r;

	if (call == NULL)
		return;
	if (!party->is_server) {
		was = enter(sim);
		r = minirpc_call_end(call, NULL);
		sim->is_in_verb = was;
		sim_must(sim, r == 0 || r == -EPIPE, "end says %d", r);
		sim_must(sim, r == -EPIPE || !party->ended, "ended twice");
		party->ended |= r == 0;
		return;
	}
	if (status.code == MINIRPC_OK && sim_sends_one(party) && party->sent == 0 &&
	    !sim_one_in(sim, 8))
		act_send(party);
	if (status.code == MINIRPC_OK && sim_sends_one(party) && party->sent == 0)
		say(party, MINIRPC_INTERNAL);
	else
		say(party, status.code);
	if (sim_one_in(sim, 6))
		minirpc_call_set_pushback(call, MINIRPC_MS(sim_random(sim, 300)) - MINIRPC_MS(20));
	said_by(party, text);
	status.message = text;
	party->call = NULL;
	party->ended = true;
	was = enter(sim);
	minirpc_call_end(call, &status);
	sim->is_in_verb = was;
}

static void act_cancel(struct sim_party *party)
{
	struct sim *sim = party->talk->sim;
	minirpc_call *call = party->call;
	bool was = enter(sim);

	party->call = NULL;
	party->cancelled = true;
	minirpc_call_cancel(call);
	sim->is_in_verb = was;
}

static void act_abort(struct sim_party *party)
{
	struct talk *talk = party->talk;
	struct sim *sim = talk->sim;
	char text[32];
	bool was = enter(sim);
	int r;

	said_by(party, text);
	r = minirpc_call_abort(
		party->call, &(struct minirpc_status){ .code = party->is_server ? MINIRPC_ABORTED
										: MINIRPC_DATA_LOSS,
						       .message = text });
	sim->is_in_verb = was;
	sim_must(sim, r == 0 || r == -EPIPE, "abort says %d", r);
	if (r < 0)
		return;
	if (party->is_server)
		say(party, MINIRPC_ABORTED);
	party->aborted = party->ended = true;
}

void sim_resume(struct sim_party *party)
{
	bool was = enter(party->talk->sim);

	party->paused = false;
	if (party->call != NULL)
		minirpc_call_resume(party->call);
	party->talk->sim->is_in_verb = was;
}

static void act_on_metadata(struct sim_party *party)
{
	struct sim *sim = party->talk->sim;
	char text[16];
	bool was;
	int r;

	if (!party->is_server)
		return;
	snprintf(text, sizeof text, "%u", party->talk->id);
	was = enter(sim);
	if (sim_one_in(sim, 2)) {
		minirpc_call_send_headers(party->call, (const struct minirpc_field[]){
							       { "x-head", text, 0 }, { 0 } });
	} else {
		r = minirpc_call_set_trailers(party->call, (const struct minirpc_field[]){
								   { "x-tail", text, 0 }, { 0 } });
		party->has_trailer |= r == 0;
	}
	sim->is_in_verb = was;
}

void sim_act(struct sim_party *party)
{
	struct sim *sim = party->talk->sim;
	bool was;

	if (party->call == NULL)
		return;
	switch (sim_random(sim, 24)) {
	case 0:
	case 1:
	case 2:
		was = enter(sim);
		minirpc_call_pause(party->call);
		sim->is_in_verb = was;
		party->paused = true;
		break;
	case 3:
	case 4:
	case 5:
	case 6:
		sim_resume(party);
		break;
	case 7:
	case 8:
		if (!party->is_server && party->sent == 0 && sim_sends_one(party) &&
		    !sim_one_in(sim, 10))
			act_send(party);
		sim_end(party);
		break;
	case 9:
		if (sim_one_in(sim, 2))
			act_cancel(party);
		break;
	case 10:
		if (sim_one_in(sim, 3))
			act_abort(party);
		break;
	case 11:
		act_on_metadata(party);
		break;
	case 12:
		minirpc_call_compress(party->call, sim_one_in(sim, 2));
		break;
	default:
		for (unsigned n = 1 + sim_random(sim, 4); n > 0 && party->call != NULL; n--)
			act_send(party);
	}
}

/* In an event: often nothing, sometimes this end does something, rarely something else happens. */
static void react(struct sim_party *party)
{
	struct sim *sim = party->talk->sim;

	if (sim->is_finishing)
		return;
	if (sim_one_in(sim, 3))
		sim_act(party);
	if (sim_one_in(sim, 40))
		sim_open(sim);
	if (sim_one_in(sim, 400))
		sim_disturb(sim);
}

/* ---- Events ---- */

static struct sim_party *told(minirpc_call *call, void *user)
{
	struct sim_party *party = user;
	const struct sim *sim = party->talk->sim;

	sim_must(sim, !sim->is_in_verb, "an event of talk %u from inside a verb", party->talk->id);
	sim_must(sim, party->call == call, "an event of talk %u after its handle has gone",
		 party->talk->id);
	sim_must(sim, party->ends == 0, "an event of talk %u after its end", party->talk->id);
	return party;
}

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct sim_party *party = told(call, user);
	const char *head = minirpc_metadata_get(metadata, "x-head");
	const struct sim *sim = party->talk->sim;

	sim_must(sim, !party->is_server && party->headers++ == 0 && party->received == 0,
		 "headers");
	sim_must(sim, head == NULL || (unsigned)atoi(head) == party->talk->id, "of another call");
	react(party);
}

/* The handler that has sent most; what they all send is the same. */
static const struct sim_party *loudest(const struct talk *talk)
{
	const struct sim_party *most = &talk->servers[0];

	for (unsigned i = 1; i < talk->arrivals; i++)
		if (talk->servers[i].sent > most->sent)
			most = &talk->servers[i];
	return most;
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct sim_party *party = told(call, user);
	struct talk *talk = party->talk;
	struct sim *sim = talk->sim;
	const struct sim_party *from = party->is_server ? &talk->client : loudest(talk);

	sim_must(sim, !party->paused, "a message for talk %u, which is paused", talk->id);
	sim_must(sim, party->headers == 1 && party->half_closes == 0, "out of order");
	sim_must(sim, party->received < from->sent, "more messages than were sent");
	check_message(from, party->received, message);
	party->received++;
	react(party);
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct sim_party *party = told(call, user);
	struct talk *talk = party->talk;
	const struct sim *sim = talk->sim;

	sim_must(sim, party->is_server && party->half_closes++ == 0, "half-closed twice");
	sim_must(sim, talk->client.ended && party->received == talk->client.sent,
		 "talk %u half-closed after %u of %u", talk->id, party->received,
		 talk->client.sent);
	react(party);
}

static void on_writable(minirpc_call *call, void *user)
{
	struct sim_party *party = told(call, user);

	sim_must(party->talk->sim, party->wants_room, "room that was not asked for");
	party->wants_room = false;
	if (party->call != NULL)
		act_send(party);
	react(party);
}

/* The status is this handler's own: then everything that it sent came before. */
static bool said(const struct sim_party *server, const struct minirpc_status *status)
{
	const struct sim *sim = server->talk->sim;
	char text[32];

	if (!server->has_said || server->said != status->code)
		return false;
	said_by(server, text);
	if (status->code == MINIRPC_OK)
		return status->message[0] == '\0';
	return strcmp(status->message, text) == 0 || status->code == MINIRPC_INTERNAL ||
	       (status->message[0] == '\0' && (sim->is_faulty || sim->has_quota));
}

static bool agrees(const struct sim_party *server, const minirpc_call *call,
		   const struct minirpc_status *status)
{
	const char *tail = minirpc_metadata_get(minirpc_call_trailers(call), "x-tail");
	unsigned received = server->talk->client.received;
	bool taken_back = sim_sends_one(server) && status->code != MINIRPC_OK;

	/* An abort does not wait for interceptors. */
	if (server->aborted && server->talk->sim->has_hooks)
		return received <= server->sent;
	return received == (taken_back ? 0 : server->sent) &&
	       (tail != NULL) == server->has_trailer &&
	       (tail == NULL || (unsigned)atoi(tail) == server->talk->id);
}

/* False: no handler has said so. */
static bool is_a_servers(const struct talk *talk, const minirpc_call *call,
			 const struct minirpc_status *status)
{
	const struct sim_party *found = NULL;

	for (unsigned i = 0; i < talk->arrivals; i++) {
		if (!said(&talk->servers[i], status))
			continue;
		found = &talk->servers[i];
		if (agrees(found, call, status))
			return true;
	}
	sim_must(talk->sim, found == NULL || talk->client.aborted,
		 "talk %u: %u of %u messages came before the status, trailers or not", talk->id,
		 talk->client.received, found->sent);
	return false;
}

static bool was_cancelled(const struct talk *talk)
{
	bool cancelled = false;

	for (unsigned i = 0; i < talk->arrivals; i++)
		cancelled |= talk->servers[i].cancelled;
	return cancelled;
}

/* Why a call may have ended like this. */
static bool is_explained(const struct talk *talk, const struct minirpc_status *status)
{
	const struct sim *sim = talk->sim;
	const struct sim_party *client = &talk->client;

	if (sim->has_door && (strcmp(status->message, "not now") == 0 ||
			      (sim->is_faulty && status->message[0] == '\0')))
		return true; /* at the door; without memory it says only the code */
	if (sim->has_hooks && strcmp(status->message, "stopped") == 0)
		return status->code == MINIRPC_PERMISSION_DENIED;
	switch (status->code) {
	case MINIRPC_DATA_LOSS:
		return client->aborted;
	case MINIRPC_DEADLINE_EXCEEDED:
		return minirpc_loop_now(sim->w->loop) >= talk->deadline;
	case MINIRPC_CANCELLED:
		return was_cancelled(talk) || talk->parent != NULL ||
		       talk->deadline <= minirpc_loop_now(sim->w->loop) + MINIRPC_MS(1);
	case MINIRPC_UNAVAILABLE:
		return !sim->is_calm || strstr(status->message, "REFUSED_STREAM") != NULL;
	case MINIRPC_UNIMPLEMENTED:
		return sim_sends_one(client) && client->ended && client->sent == 0;
	case MINIRPC_RESOURCE_EXHAUSTED:
		return sim->is_faulty || sim->has_quota ||
		       (sim->max_calls > 0 && strstr(status->message, "too many calls") != NULL);
	case MINIRPC_INTERNAL: /* a server without memory for a stream resets it */
		return sim->is_faulty && strstr(status->message, "INTERNAL_ERROR") != NULL;
	default:
		return false;
	}
}

static void count_attempts(struct talk *talk, const minirpc_call *call)
{
	struct minirpc_attempt attempt;

	for (unsigned i = 0; minirpc_call_attempt(call, i, &attempt); i++)
		talk->told += !attempt.transparent;
	talk->is_told = true;
	sim_must(talk->sim, talk->told <= talk->max_arrivals, "talk %u: %u attempts of %u",
		 talk->id, talk->told, talk->max_arrivals);
}

static void client_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct sim_party *party = told(call, user);
	struct talk *talk = party->talk;
	const struct sim *sim = talk->sim;

	party->ends++;
	sim_must(sim, is_a_servers(talk, call, status) || is_explained(talk, status),
		 "talk %u ends with %s: %s", talk->id, minirpc_code_name(status->code),
		 status->message);
	count_attempts(talk, call);
	react(party);
	if (party->call != NULL && sim_one_in(talk->sim, 8))
		act_cancel(party); /* harmless here */
	party->call = NULL;
}

static void server_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct sim_party *party = told(call, user);
	struct talk *talk = party->talk;
	const struct sim *sim = talk->sim;
	bool explained = false;

	switch (status->code) {
	case MINIRPC_CANCELLED:
		explained = true;
		break;
	case MINIRPC_DEADLINE_EXCEEDED:
		explained = minirpc_call_time_left(call) == 0;
		break;
	case MINIRPC_UNAVAILABLE:
		explained = !sim->is_calm;
		break;
	case MINIRPC_ABORTED:
		explained = party->aborted;
		break;
	case MINIRPC_UNIMPLEMENTED:
		explained = sim_sends_one(&talk->client) && talk->client.sent == 0;
		break;
	case MINIRPC_PERMISSION_DENIED:
		explained = sim->has_hooks;
		break;
	default:
		explained = (sim->is_faulty || sim->has_quota) &&
			    status->code == MINIRPC_RESOURCE_EXHAUSTED;
		break;
	}
	sim_must(sim, explained, "the server of talk %u hears %s: %s", talk->id,
		 minirpc_code_name(status->code), status->message);
	party->ends++;
	party->wants_room = false;
	react(party);
	if (sim->is_finishing || sim_one_in(talk->sim, 2))
		sim_end(party);
}

static const struct minirpc_call_events client_events = { .on_headers = on_headers,
							  .on_message = on_message,
							  .on_writable = on_writable,
							  .on_end = client_end };
static const struct minirpc_call_events server_events = { .on_message = on_message,
							  .on_half_close = on_half_close,
							  .on_writable = on_writable,
							  .on_end = server_end };

static void arrival(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct sim *sim = user;
	const char *id = minirpc_metadata_get(metadata, "x-id");
	const char *before = minirpc_metadata_get(metadata, "grpc-previous-rpc-attempts");
	struct talk *talk;
	struct sim_party *party;

	sim_must(sim, !sim->is_in_verb, "a call comes in from inside a verb");
	sim_must(sim, id != NULL && (unsigned)atoi(id) < sim->count, "a call from nowhere");
	talk = &sim->talks[atoi(id)];
	sim_must(sim, talk->arrivals < talk->max_arrivals,
		 "talk %u reaches its handler once more than %u times", talk->id,
		 talk->max_arrivals);
	sim_must(sim, before == NULL || (unsigned)atoi(before) < talk->max_arrivals,
		 "talk %u says %s attempts were before", talk->id, before);
	party = &talk->servers[talk->arrivals];
	*party = (struct sim_party){
		.talk = talk, .is_server = true, .attempt = talk->arrivals++, .server = 1
	};
	while (sim->net.servers[party->server].server != minirpc_call_server(call))
		party->server++;
	sim_must(sim, strcmp(minirpc_call_path(call), methods[talk->kind].path) == 0, "path");
	sim_must(sim,
		 talk->deadline == MINIRPC_NEVER || minirpc_call_deadline(call) >= talk->deadline,
		 "the server's deadline is before the client's");
	party->call = call;
	party->headers = 1;
	minirpc_call_listen(call, &server_events, party);
	if (sim->is_finishing)
		sim_end(party);
	else
		react(party);
}

static const struct minirpc_call_events arrival_events = { .on_headers = arrival };

int sim_serve(struct sim *sim, minirpc_server *server)
{
	int r = 0;

	for (int i = 0; i < SIM_KINDS && r == 0; i++)
		r = minirpc_server_add(server, &methods[i], &arrival_events, sim, NULL);
	return r;
}

/* ---- Opening ---- */

static struct sim_party *some_handler(struct sim *sim)
{
	struct talk *talk = &sim->talks[sim_random(sim, sim->count)];

	return talk->arrivals == 0 ? NULL : &talk->servers[sim_random(sim, talk->arrivals)];
}

static struct sim_party *some_parent(struct sim *sim)
{
	struct sim_party *parent;

	if (sim->count == 0 || !sim_one_in(sim, 5))
		return NULL;
	parent = some_handler(sim);
	return parent == NULL || parent->call == NULL ? NULL : parent;
}

static unsigned max_arrivals(const minirpc_call *call)
{
	return call->retry != NULL     ? call->retry->max_attempts
	       : call->hedging != NULL ? call->hedging->max_attempts
				       : 1;
}

void sim_open(struct sim *sim)
{
	struct talk *talk = &sim->talks[sim->count];
	struct minirpc_call_options options = { 0 };
	struct minirpc_field metadata[2] = { 0 };
	char text[16];
	bool was;
	int r;

	if (sim->count == SIM_TALKS || sim->w->channel == NULL)
		return;
	*talk = (struct talk){ .sim = sim,
			       .id = sim->count,
			       .kind = sim_random(sim, SIM_KINDS),
			       .deadline = MINIRPC_NEVER };
	talk->client.talk = talk;
	snprintf(text, sizeof text, "%u", talk->id);
	metadata[0] = (struct minirpc_field){ "x-id", text, 0 };
	options.metadata = metadata;
	options.wait_for_ready = sim_one_in(sim, 2);
	if (sim_one_in(sim, 3))
		options.timeout = MINIRPC_MS(sim_random(sim, 200)) + (int)sim_random(sim, 1000000);
	if (sim_one_in(sim, 50))
		options.timeout = -1;
	talk->parent = some_parent(sim);
	options.parent = talk->parent == NULL ? NULL : talk->parent->call;
	sim->count++;

	was = enter(sim);
	r = minirpc_call_open(&talk->client.call, sim->w->channel, &methods[talk->kind], &options,
			      &client_events, &talk->client);
	sim->is_in_verb = was;
	if (r < 0) {
		sim_must(sim, r == -ENOMEM && sim->is_faulty, "open says %d", r);
		talk->client.call = NULL;
		talk->client.cancelled = true;
		return;
	}
	talk->max_arrivals = max_arrivals(talk->client.call);
	talk->deadline = options.timeout < 0 ? minirpc_loop_now(sim->w->loop)
					     : minirpc_call_deadline(talk->client.call);
	if (sim_sends_one(&talk->client) && sim_one_in(sim, 2)) {
		act_send(&talk->client);
		sim_end(&talk->client);
	}
}

void sim_forget_server(struct sim *sim, unsigned number)
{
	for (unsigned i = 0; i < sim->count; i++)
		for (unsigned k = 0; k < sim->talks[i].arrivals; k++)
			if (sim->talks[i].servers[k].server == number)
				sim->talks[i].servers[k].call = NULL;
}

void sim_forget_channel(struct sim *sim)
{
	for (unsigned i = 0; i < sim->count; i++)
		sim->talks[i].client.call = NULL;
}

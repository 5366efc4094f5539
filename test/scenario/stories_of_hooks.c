/* SPDX-License-Identifier: MIT */
/* Calls with interceptors on both sides that hold, change and stop: each call once, or each attempt. */
#include "scenario/telling.h"

#include <minirpc/interceptor.h>
#include <minirpc/service_config.h>

#include <string.h>

/* What the interceptors of a story do. A hook that holds is in the list until it is let go. */
enum { HELD = 64 };

struct guard {
	bool holds;        /* every part */
	unsigned stops_at; /* at this part, in either direction; 0: none */
	bool changes;      /* messages: a "!" behind them, and metadata */
	unsigned parts, opens, closes;
};

static struct guard client_guard, attempt_guard, server_guard;

static struct held {
	minirpc_hook *hook;
	bool sent;
} held[HELD];
static unsigned held_count;

struct life {
	bool seen;
};

static void change(minirpc_hook *hook, const struct minirpc_part *part)
{
	char text[64];

	if (part->metadata != NULL)
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "x-seen", "yes", 0 });
	if (part->kind != MINIRPC_PART_MESSAGE || part->len > 60)
		return;
	memcpy(text, part->data, part->len);
	text[part->len] = '!';
	minirpc_hook_set_message(hook, text, part->len + 1);
}

static enum minirpc_verdict look(minirpc_hook *hook, const struct minirpc_part *part,
				 struct guard *guard, bool sent)
{
	struct life *life = minirpc_hook_data(hook);

	guard->opens += !life->seen;
	life->seen = true;
	guard->parts++;
	if (guard->changes)
		change(hook, part);
	if (guard->parts == guard->stops_at) {
		minirpc_hook_set_status(hook,
					&(struct minirpc_status){ .code = MINIRPC_PERMISSION_DENIED,
								  .message = "stopped" });
		return MINIRPC_STOP;
	}
	if (!guard->holds || held_count == HELD)
		return MINIRPC_PASS;
	held[held_count++] = (struct held){ hook, sent };
	return MINIRPC_HOLD;
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	return look(hook, part, user, true);
}

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	return look(hook, part, user, false);
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct guard *guard = user;

	ck_assert_ptr_nonnull(status->message);
	guard->closes++;
	for (unsigned i = 0; i < held_count;)
		if (held[i].hook == hook)
			held[i] = held[--held_count];
		else
			i++;
}

static const struct minirpc_interceptor guarding = { .name = "guard",
						     .data_size = sizeof(struct life),
						     .on_send = on_send,
						     .on_receive = on_receive,
						     .on_close = on_close };
static const struct minirpc_interceptor guarding_attempts = { .name = "guard of attempts",
							      .data_size = sizeof(struct life),
							      .per_attempt = true,
							      .on_send = on_send,
							      .on_receive = on_receive,
							      .on_close = on_close };

static const struct minirpc_use on_client[] = { { &guarding, &client_guard }, { NULL } };
static const struct minirpc_use on_attempts[] = { { &guarding, &client_guard },
						  { &guarding_attempts, &attempt_guard },
						  { NULL } };
static const struct minirpc_use on_server[] = { { &guarding, &server_guard }, { NULL } };

static const struct minirpc_retry_policy policy = {
	.max_attempts = 3,
	.initial_backoff = MINIRPC_MS(100),
	.max_backoff = MINIRPC_S(1),
	.backoff_multiplier = 1,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
};
static const struct minirpc_service_config retries = {
	.methods = (const struct minirpc_method_config[]){ { .retry = &policy } },
	.method_count = 1,
};
static const struct minirpc_hedging_policy hedging = { .max_attempts = 3,
						       .delay = MINIRPC_MS(100),
						       .codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE) };
static const struct minirpc_service_config hedges = {
	.methods = (const struct minirpc_method_config[]){ { .hedging = &hedging } },
	.method_count = 1,
};

static const struct world_options both = { .server.interceptors = on_server,
					   .channel.interceptors = on_client };
static const struct world_options retrying = { .server.interceptors = on_server,
					       .channel = { .interceptors = on_client,
							    .service_config = &retries } };
static const struct world_options retrying_attempts = { .server.interceptors = on_server,
							.channel = { .interceptors = on_attempts,
								     .service_config = &retries } };
static const struct world_options hedging_attempts = { .server.interceptors = on_server,
						       .channel = { .interceptors = on_attempts,
								    .service_config = &hedges } };

/* ---- Before, behind, in between ---- */

static void begin(void)
{
	client_guard = attempt_guard = server_guard = (struct guard){ 0 };
	held_count = 0;
}

/* Whoever saw a part heard of the end. */
static void end(void)
{
	ck_assert_uint_eq(client_guard.opens, client_guard.closes);
	ck_assert_uint_eq(attempt_guard.opens, attempt_guard.closes);
	ck_assert_uint_eq(server_guard.opens, server_guard.closes);
	ck_assert_uint_eq(held_count, 0);
}

static void let_one_go(const struct minirpc_status *stop)
{
	struct held first = held[0];

	held_count--;
	memmove(&held[0], &held[1], held_count * sizeof held[0]);
	minirpc_hook_resume(first.hook, first.sent, stop);
}

/* One after the other, until none holds any more; or, with n, so many. */
static void let_go(struct world *w, unsigned n)
{
	world_settle(w);
	while (held_count > 0 && n-- > 0) {
		let_one_go(NULL);
		world_settle(w);
	}
}

static void let_all_go(struct world *w)
{
	let_go(w, 100000);
}

/* What is asked for afterwards must not be held. */
static void finish(struct world *w)
{
	client_guard.holds = attempt_guard.holds = server_guard.holds = false;
	client_guard.stops_at = attempt_guard.stops_at = server_guard.stops_at = 0;
	client_guard.changes = attempt_guard.changes = server_guard.changes = false;
	let_all_go(w);
	wait_for_the_end(w);
}

static void all_hold(void)
{
	client_guard.holds = attempt_guard.holds = server_guard.holds = true;
}

/* ---- Stories ---- */

static void every_part_is_held_and_let_go(struct world *w)
{
	struct probe *unary, *chat;
	minirpc_call *call;

	all_hold();
	world_request(open_call(w, &world_echo, &unary), "hello");
	call = open_call(w, &world_chat, &chat);
	for (int i = 0; i < 3 && chat->call != NULL; i++)
		minirpc_call_send(call, "line", 4);
	if (chat->call != NULL)
		minirpc_call_end(call, NULL);
	let_all_go(w);
	world_expect(w, unary->code == MINIRPC_OK && strcmp(unary->last, "hello") == 0);
	world_expect(w, chat->code == MINIRPC_OK && chat->messages == 3);
	finish(w);
}

static void what_is_held_for_ever_ends_with_its_deadline(struct world *w)
{
	/* So many parts pass before the one that stays. */
	for (unsigned n = 0; n < 8; n++) {
		struct probe *probe = new_probe();

		all_hold();
		world_request(world_call(w, &world_echo, MINIRPC_MS(50), probe), "hello");
		let_go(w, n);
		world_advance(w, MINIRPC_MS(50));
		world_expect(w, probe->ends == 1 && probe->code == MINIRPC_DEADLINE_EXCEEDED);
		client_guard.holds = server_guard.holds = false;
		let_all_go(w);
	}
	finish(w);
}

static void a_held_call_is_cancelled(struct world *w)
{
	for (unsigned n = 0; n < 8; n++) {
		struct probe *probe;

		all_hold();
		world_request(open_call(w, &world_echo, &probe), "hello");
		let_go(w, n);
		if (probe->call != NULL)
			minirpc_call_cancel(probe->call);
		probe->call = NULL;
		client_guard.holds = server_guard.holds = false;
		let_all_go(w);
	}
	finish(w);
}

static void a_call_is_stopped_at_any_part(struct world *w)
{
	for (unsigned n = 1; n <= 6; n++) {
		struct probe *probe;

		client_guard.parts = server_guard.parts = 0;
		client_guard.stops_at = n;
		world_request(open_call(w, &world_echo, &probe), "hello");
		world_settle(w);
		world_expect(w, probe->ends == 1 && probe->code == MINIRPC_PERMISSION_DENIED);
		client_guard.stops_at = 0;
	}
	finish(w);
}

/* The handler has answered before it hears that the client has ended: those are five. */
static void a_server_stops_a_call_at_any_part(struct world *w)
{
	for (unsigned n = 1; n <= 5; n++) {
		struct probe *probe;

		server_guard.parts = 0;
		server_guard.stops_at = n;
		world_request(open_call(w, &world_echo, &probe), "hello");
		world_settle(w);
		world_expect(w, probe->ends == 1 && probe->code == MINIRPC_PERMISSION_DENIED);
		server_guard.stops_at = 0;
	}
	finish(w);
}

static void a_held_call_is_stopped(struct world *w)
{
	static const struct minirpc_status stop = { .code = MINIRPC_ABORTED, .message = "enough" };

	for (unsigned n = 0; n < 8; n++) {
		struct probe *probe;

		all_hold();
		world_request(open_call(w, &world_echo, &probe), "hello");
		let_go(w, n);
		if (held_count > 0)
			let_one_go(&stop);
		client_guard.holds = server_guard.holds = false;
		let_all_go(w);
		world_expect(w, probe->ends == 1 && probe->code == MINIRPC_ABORTED);
	}
	finish(w);
}

static void everything_is_changed_on_its_way(struct world *w)
{
	struct probe *probe, *failed;

	client_guard.changes = server_guard.changes = true;
	world_request(open_call(w, &world_echo, &probe), "hello");
	world_request(open_call(w, &world_fail, &failed), "hello");
	world_settle(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "hello!!!!") == 0);
	world_expect(w, failed->code == MINIRPC_NOT_FOUND && strcmp(failed->text, "hello!!") == 0);
	finish(w);
}

static void a_dump_passes_behind_hooks_that_hold(struct world *w)
{
	struct probe *probe;

	all_hold();
	world_request(open_call(w, &world_count, &probe), "30 5000");
	let_all_go(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->messages == 30);
	finish(w);
}

static void a_connection_goes_while_parts_are_held(struct world *w)
{
	for (unsigned n = 0; n < 8; n++) {
		struct probe *probe;

		all_hold();
		world_request(open_call(w, &world_echo, &probe), "hello");
		let_go(w, n);
		world_cut(w);
		world_settle(w);
		client_guard.holds = server_guard.holds = false;
		let_all_go(w);
		world_connect(w);
		let_all_go(w);
		world_expect(w, probe->ends == 1);
	}
	finish(w);
}

/* Each attempt is seen by the hooks of attempts; the others see one call. */
static void a_retried_call_is_held_in_each_attempt(struct world *w)
{
	struct probe *probe;

	all_hold();
	world_request(open_call(w, &world_ask, &probe), "hello");
	for (int i = 0; i < 2; i++) {
		let_all_go(w);
		refuse(w, MINIRPC_UNAVAILABLE, 0);
		let_all_go(w);
		world_advance(w, MINIRPC_MS(120));
	}
	let_all_go(w);
	world_expect(w, w->served_count == 3 && probe->ends == 0);
	answer(w, "at last");
	let_all_go(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "at last") == 0);
	finish(w);
	world_expect(w, client_guard.opens == 1 && server_guard.opens == 3);
}

static void a_retried_call_is_stopped_in_its_second_attempt(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	attempt_guard.holds = server_guard.holds = true;
	world_advance(w, MINIRPC_MS(120));
	if (held_count > 0)
		let_one_go(&(struct minirpc_status){ .code = MINIRPC_ABORTED });
	attempt_guard.holds = server_guard.holds = false;
	let_all_go(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_ABORTED);
	finish(w);
}

/* The attempt's response headers have gone on to the call, which holds them, when its hook stops it. */
static void an_attempt_is_stopped_while_its_headers_are_held(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	client_guard.holds = true;
	attempt_guard.stops_at = attempt_guard.parts + 2;
	answer(w, "never told");
	let_all_go(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_PERMISSION_DENIED);
	world_expect(w, probe->messages == 0);
	finish(w);
}

/* One of the three is stopped by its hook, with a code that does not end the call; one is held and never let
 * go; the third answers. */
static void hedged_attempts_have_hooks_of_their_own(struct world *w)
{
	struct probe *probe;

	attempt_guard.stops_at = 1;
	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	attempt_guard.stops_at = 0;
	attempt_guard.holds = true;
	world_advance(w, MINIRPC_MS(120));
	attempt_guard.holds = false;
	world_advance(w, MINIRPC_MS(120));
	answer(w, "third");
	finish(w);
	world_expect(w, probe->ends == 1);
}

static void hedged_attempts_are_held_and_the_call_is_cancelled(struct world *w)
{
	struct probe *probe;

	all_hold();
	client_guard.holds = false;
	world_request(open_call(w, &world_ask, &probe), "hello");
	world_advance(w, MINIRPC_MS(120));
	let_go(w, 3);
	world_advance(w, MINIRPC_MS(120));
	if (probe->call != NULL)
		minirpc_call_cancel(probe->call);
	probe->call = NULL;
	finish(w);
}

static void hedged_attempts_are_held_and_let_go(struct world *w)
{
	struct probe *probe;

	all_hold();
	world_request(open_call(w, &world_echo, &probe), "hello");
	let_go(w, 3);
	world_advance(w, MINIRPC_MS(120));
	let_go(w, 5);
	world_advance(w, MINIRPC_MS(120));
	let_all_go(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "hello") == 0);
	finish(w);
}

static void both_ends_go_while_parts_are_held(struct world *w)
{
	struct probe *probe[4];

	all_hold();
	for (unsigned i = 0; i < 4; i++) {
		world_request(open_call(w, &world_echo, &probe[i]), "hello");
		let_go(w, i);
	}
	w->client_end = NULL;
	minirpc_channel_free(w->channel);
	w->channel = NULL;
	for (unsigned i = 0; i < 4; i++)
		probe[i]->call = NULL;
	world_cut(w);
	finish(w);
}

#define HOOKS(name, options)                                                                       \
	{                                                                                          \
#name, name, &options, begin, end                                                  \
	}

const struct story stories_of_hooks[] = {
	HOOKS(every_part_is_held_and_let_go, both),
	HOOKS(what_is_held_for_ever_ends_with_its_deadline, both),
	HOOKS(a_held_call_is_cancelled, both),
	HOOKS(a_call_is_stopped_at_any_part, both),
	HOOKS(a_server_stops_a_call_at_any_part, both),
	HOOKS(a_held_call_is_stopped, both),
	HOOKS(everything_is_changed_on_its_way, both),
	HOOKS(a_dump_passes_behind_hooks_that_hold, both),
	HOOKS(a_connection_goes_while_parts_are_held, both),
	HOOKS(both_ends_go_while_parts_are_held, both),
	{ "a_retried_call_is_held_before_and_behind", a_retried_call_is_held_in_each_attempt,
	  &retrying, begin, end },
	HOOKS(a_retried_call_is_held_in_each_attempt, retrying_attempts),
	HOOKS(a_retried_call_is_stopped_in_its_second_attempt, retrying_attempts),
	HOOKS(an_attempt_is_stopped_while_its_headers_are_held, retrying_attempts),
	HOOKS(hedged_attempts_have_hooks_of_their_own, hedging_attempts),
	HOOKS(hedged_attempts_are_held_and_the_call_is_cancelled, hedging_attempts),
	HOOKS(hedged_attempts_are_held_and_let_go, hedging_attempts),
	{ 0 },
};

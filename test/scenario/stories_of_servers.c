/* SPDX-License-Identifier: MIT */
/* Servers that turn calls away, run out of room, fall silent, grow old; and channels that go on with another one. */
#include "scenario/telling.h"
#include "world/net.h"

#include "call/call.h"

#include <minirpc/server.h>
#include <minirpc/service_config.h>

#include <stdio.h>
#include <string.h>

static const struct minirpc_retry_policy policy = {
	.max_attempts = 5,
	.initial_backoff = MINIRPC_MS(100),
	.max_backoff = MINIRPC_S(1),
	.backoff_multiplier = 1,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_RESOURCE_EXHAUSTED),
};
static const struct minirpc_service_config config = {
	.methods = (const struct minirpc_method_config[]){ { .retry = &policy } },
	.method_count = 1,
};

/* ---- Turned away ---- */

static struct {
	unsigned left, asked; /* so many are turned away, so many were asked for */
	minirpc_time pushback;
} door;

static void open_door(void)
{
	memset(&door, 0, sizeof door);
}

static enum minirpc_code admit(struct minirpc_admission *request, void *user)
{
	(void)user;
	door.asked++;
	ck_assert_ptr_nonnull(request->path);
	ck_assert_ptr_nonnull(request->metadata);
	if (door.left == 0)
		return MINIRPC_OK;
	door.left--;
	request->text = "not now";
	request->pushback = door.pushback;
	return MINIRPC_UNAVAILABLE;
}

static const struct world_options admitting = { .server.admit = admit,
						.channel.service_config = &config };

static void who_is_turned_away_comes_back_when_told(struct world *w)
{
	struct probe *probe;

	door.left = 2;
	door.pushback = MINIRPC_S(3);
	world_request(open_call(w, &world_echo, &probe), "hello");
	world_settle(w);
	world_expect(w, door.asked == 1 && probe->ends == 0);
	world_advance(w, MINIRPC_S(3));
	world_expect(w, door.asked == 2 && probe->ends == 0 && w->served_count == 0);
	world_advance(w, MINIRPC_S(3));
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_OK && door.asked == 3);
	door.left = 0;
	wait_for_the_end(w);
}

static void who_is_turned_away_for_good_does_not_come_back(struct world *w)
{
	struct probe *unary, *stream;
	minirpc_call *call;

	door.left = 2;
	door.pushback = -1;
	call = open_call(w, &world_sum, &stream);
	if (call != NULL)
		minirpc_call_send(call, "half of it", 10);
	world_request(open_call(w, &world_echo, &unary), "hello");
	world_settle(w);
	world_expect(w, unary->code == MINIRPC_UNAVAILABLE && stream->code == MINIRPC_UNAVAILABLE);
	door.left = 0;
	wait_for_the_end(w);
	world_expect(w, w->served_count == 0);
}

static const struct world_options few = { .server = { .max_calls = 2,
						      .shed_pushback = MINIRPC_S(2) },
					  .channel.service_config = &config };

static void a_call_over_the_servers_limit_comes_back(struct world *w)
{
	struct probe *first, *second, *third;

	open_call(w, &world_hold, &first);
	open_call(w, &world_hold, &second);
	world_settle(w);
	world_request(open_call(w, &world_echo, &third), "hello");
	world_settle(w);
	world_expect(w, third->ends == 0);
	answer(w, "done");
	world_advance(w, MINIRPC_S(2));
	world_expect(w, second->ends == 1 && third->ends == 1 && third->code == MINIRPC_OK);
	wait_for_the_end(w);
}

/* ---- Out of room ---- */

#define QUOTA 150000

static const struct world_options narrow = { .server = { .max_memory = QUOTA } };
static const struct world_options small = { .server = { .max_memory = QUOTA },
					    .channel.service_config = &config };

static void an_upload_meets_the_quota_in_its_middle(struct world *w)
{
	static char piece[40000];
	struct probe *upload, *other;
	minirpc_call *call = open_call(w, &world_hold, &upload);

	world_settle(w);
	if (handle_of(w) != NULL)
		minirpc_call_pause(handle_of(w)); /* it falls behind */
	for (int i = 0; i < 10 && upload->call != NULL; i++) {
		if (minirpc_call_send(call, piece, sizeof piece) < 0)
			break;
		world_settle(w);
		ck_assert_uint_le(minirpc_server_memory(w->server), QUOTA + 8192);
	}
	world_expect(w, upload->ends == 1 && upload->code == MINIRPC_RESOURCE_EXHAUSTED);
	world_request(open_call(w, &world_echo, &other), "hello");
	wait_for_the_end(w);
	world_expect(w, other->code == MINIRPC_OK);
}

static void a_call_that_finds_no_room_comes_back(struct world *w)
{
	static char piece[40000];
	struct probe *upload, *other, fill[12] = { { 0 } };
	minirpc_call *call = open_call(w, &world_hold, &upload);

	world_settle(w);
	if (handle_of(w) != NULL)
		minirpc_call_pause(handle_of(w));
	for (int i = 0; i < 3 && upload->call != NULL; i++) {
		minirpc_call_send(call, piece, sizeof piece);
		world_settle(w);
	}
	for (int i = 0; i < 12; i++) { /* each call weighs a little */
		minirpc_call *held_open = world_call(w, &world_hold, MINIRPC_S(30), &fill[i]);

		(void)held_open;
	}
	world_request(open_call(w, &world_echo, &other), "hello");
	world_settle(w);
	world_expect(w, other->ends == 0);
	for (int i = 0; i < 12; i++)
		if (fill[i].call != NULL)
			minirpc_call_cancel(fill[i].call);
	if (upload->call != NULL)
		minirpc_call_cancel(upload->call);
	upload->call = NULL;
	wait_for_the_end(w);
	world_expect(w, other->code == MINIRPC_OK);
}

/* ---- Silent, and old ---- */

static const struct world_options watchful = {
	.server = { .keepalive = { .min_interval = -1 } },
	.channel = { .keepalive = { .time = MINIRPC_S(10), .timeout = MINIRPC_S(5) } },
};

static void a_peer_that_falls_silent_is_given_up(struct world *w)
{
	struct probe *held, *next;

	open_call(w, &world_hold, &held);
	world_settle(w);
	w->down.stalled = true;
	world_advance(w, MINIRPC_S(15));
	world_expect(w, held->ends == 1 && held->code == MINIRPC_UNAVAILABLE);
	w->down.stalled = false;
	world_connect(w);
	world_request(open_call(w, &world_echo, &next), "hello");
	wait_for_the_end(w);
	world_expect(w, next->code == MINIRPC_OK);
}

static void a_peer_that_answers_is_kept(struct world *w)
{
	struct probe *held;

	open_call(w, &world_hold, &held);
	world_advance(w, MINIRPC_S(29));
	world_expect(w, held->ends == 0);
	answer(w, "still here");
	wait_for_the_end(w);
	world_expect(w, held->code == MINIRPC_OK);
}

static const struct world_options ageing = {
	.server = { .max_connection_age = MINIRPC_S(10), .max_connection_age_grace = MINIRPC_S(8) },
};

static void an_old_connection_ends_with_its_calls(struct world *w)
{
	struct probe *held, *next;

	open_call(w, &world_hold, &held);
	world_advance(w, MINIRPC_S(12));
	world_request(open_call(w, &world_echo, &next), "hello");
	world_settle(w);
	world_expect(w, held->ends == 0 && next->ends == 0); /* it wants another connection */
	answer(w, "done");
	world_settle(w);
	world_expect(w, held->code == MINIRPC_OK && w->client_end == NULL);
	world_connect(w);
	wait_for_the_end(w);
	world_expect(w, next->code == MINIRPC_OK);
}

static void what_outlives_the_grace_of_an_old_connection_is_cut(struct world *w)
{
	struct probe *held;

	open_call(w, &world_hold, &held);
	world_advance(w, MINIRPC_S(20));
	world_expect(w, held->ends == 1 && held->code == MINIRPC_UNAVAILABLE);
	wait_for_the_end(w);
	world_expect(w, world_served(w)->ends == 1);
	world_connect(w);
}

/* ---- By another name ---- */

static void a_call_has_an_authority_of_its_own(struct world *w)
{
	struct probe *probe = new_probe();

	world_request(
		world_call_with(w, &world_ask,
				&(struct minirpc_call_options){ .timeout = MINIRPC_S(30),
								.authority = "other.example:99" },
				probe),
		"hello");
	world_settle(w);
	world_expect(w, strcmp(minirpc_call_authority(handle_of(w)), "other.example:99") == 0);
	answer(w, "yes");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
}

/* ---- One of several ---- */

static const struct minirpc_service_config in_turn = {
	.methods = (const struct minirpc_method_config[]){ { .retry = &policy } },
	.method_count = 1,
	.load_balancing = "round_robin",
};

static void open_net(struct net *net, struct world *w, const char *list,
		     const struct minirpc_service_config *service_config)
{
	net_open(net, w,
		 &(struct net_options){ .list = list, .channel.service_config = service_config });
}

/* The number of the server that has the newest call. */
static unsigned number_of(const struct net *net, minirpc_call *served)
{
	unsigned i = NET_SERVERS;

	while (i > 0 && (served == NULL || net->servers[i].server != minirpc_call_server(served)))
		i--;
	return i;
}

static struct probe *ask(struct world *w)
{
	struct probe *probe = new_probe();

	if (w->channel != NULL)
		world_request(world_call(w, &world_ask, MINIRPC_S(30), probe), "hello");
	world_settle(w);
	return probe;
}

static void tell_turns(struct world *w, struct net *net)
{
	struct probe *probes[3];
	unsigned seen = 0;

	for (int i = 0; i < 3; i++) {
		probes[i] = ask(w);
		seen |= 1u << number_of(net, handle_of(w));
		answer(w, "here");
		world_settle(w);
		world_expect(w, probes[i]->code == MINIRPC_OK);
	}
	world_expect(w, seen == (2u | 4u | 8u));
}

static void calls_go_to_each_server_in_turn(struct world *w)
{
	struct net net;

	open_net(&net, w, "123", &in_turn);
	tell_turns(w, &net);
	wait_for_the_end(w);
	net_close(&net);
}

static void a_server_that_is_killed_costs_no_call(struct world *w)
{
	struct probe *probe;
	struct net net;

	open_net(&net, w, "123", &in_turn);
	probe = ask(w);
	if (number_of(&net, handle_of(w)) > 0)
		net_kill(&net, number_of(&net, handle_of(w)));
	world_settle(w);
	world_expect(w, probe->ends == 0);
	world_advance(w, MINIRPC_MS(120));
	answer(w, "instead");
	world_settle(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_OK);
	for (unsigned i = 1; i <= NET_SERVERS; i++)
		net_revive(&net, i);
	world_advance(w, MINIRPC_S(10));
	tell_turns(w, &net);
	wait_for_the_end(w);
	net_close(&net);
}

static void a_server_that_leaves_politely_moves_new_calls(struct world *w)
{
	struct probe *begun, *next[4];
	struct net net;
	unsigned number;

	open_net(&net, w, "12", &in_turn);
	begun = ask(w);
	number = number_of(&net, handle_of(w));
	if (number > 0) {
		net_drain(&net, number, MINIRPC_S(25));
	}
	world_settle(w);
	for (int i = 0; i < 4; i++) {
		next[i] = ask(w);
		world_expect(w, number_of(&net, handle_of(w)) == 3 - number);
		answer(w, "here");
		world_settle(w);
		world_expect(w, next[i]->code == MINIRPC_OK);
	}
	world_expect(w, begun->ends == 0);
	if (w->served[0].call != NULL) {
		minirpc_call *call = w->served[0].call;

		w->served[0].call = NULL;
		minirpc_call_send(call, "done", 4);
		minirpc_call_end(call, NULL);
	}
	world_settle(w);
	world_expect(w, begun->code == MINIRPC_OK && net_connections(&net, number) == 0);
	wait_for_the_end(w);
	net_close(&net);
}

static void the_list_changes_while_calls_run(struct world *w)
{
	struct probe *begun, *next;
	struct net net;

	open_net(&net, w, "12", &in_turn);
	begun = ask(w);
	net_push(&net, "34", NULL);
	world_settle(w);
	world_expect(w, begun->ends == 0);
	next = ask(w);
	world_expect(w, number_of(&net, handle_of(w)) >= 3);
	answer(w, "new");
	world_settle(w);
	world_expect(w, next->code == MINIRPC_OK);
	net_push(&net, "", NULL);
	world_settle(w);
	next = ask(w);
	world_expect(w, next->ends == 0); /* its first attempt has failed */
	net_push(&net, "1", NULL);
	world_advance(w, MINIRPC_S(2));
	answer(w, "back");
	world_settle(w);
	world_expect(w, next->code == MINIRPC_OK);
	wait_for_the_end(w);
	net_close(&net);
}

static void the_policy_changes_while_calls_run(struct world *w)
{
	struct probe *begun, *next;
	struct net net;

	open_net(&net, w, "12", NULL);
	begun = ask(w);
	net_push(&net, "123", "{\"loadBalancingConfig\":[{\"round_robin\":{}}]}");
	world_settle(w);
	net_push(&net, "123", "{\"loadBalancingConfig\":17}");
	world_settle(w);
	tell_turns(w, &net);
	net_push(&net, "21", "{\"loadBalancingConfig\":[{\"pick_first\":{}}]}");
	world_settle(w);
	next = ask(w);
	answer(w, "first");
	world_settle(w);
	world_expect(w, next->code == MINIRPC_OK && begun->ends == 0);
	wait_for_the_end(w);
	net_close(&net);
}

static const struct minirpc_service_config patient = {
	.methods = (const struct minirpc_method_config[]){ { .has_wait_for_ready = true,
							     .wait_for_ready = true } },
	.method_count = 1,
	.load_balancing = "least_request",
};

static void every_server_goes_and_one_comes_back(struct world *w)
{
	struct probe *lost, *waits;
	struct net net;

	open_net(&net, w, "12", &patient);
	lost = ask(w);
	for (unsigned i = 1; i <= 2; i++)
		net_kill(&net, i);
	world_settle(w);
	world_expect(w, lost->ends == 1 && lost->code == MINIRPC_UNAVAILABLE);
	waits = ask(w);
	world_advance(w, MINIRPC_S(3));
	world_expect(w, waits->ends == 0);
	net_revive(&net, 2);
	world_advance(w, MINIRPC_S(10));
	world_expect(w, number_of(&net, handle_of(w)) == 2);
	answer(w, "again");
	wait_for_the_end(w);
	world_expect(w, waits->code == MINIRPC_OK);
	net_close(&net);
}

static void a_silent_server_is_passed_over(struct world *w)
{
	struct probe *probe;
	struct net net;

	open_net(&net, w, "12", NULL);
	net.servers[1].mode = NET_SILENT;
	probe = ask(w);
	world_advance(w, MINIRPC_S(25));
	world_expect(w, number_of(&net, handle_of(w)) == 2);
	answer(w, "the other one");
	world_settle(w);
	world_expect(w, probe->code == MINIRPC_OK);
	wait_for_the_end(w);
	net_close(&net);
}

static const struct minirpc_hedging_policy three = { .max_attempts = 3,
						     .codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE) };

static const struct minirpc_service_config spread = {
	.methods = (const struct minirpc_method_config[]){ { .hedging = &three } },
	.method_count = 1,
	.load_balancing = "round_robin",
};

/* Attempts side by side go to different servers, and each of these goes in another way. */
static void hedged_attempts_are_spread(struct world *w)
{
	struct probe *first, *probe;
	struct net net;

	open_net(&net, w, "123", &spread);
	first = ask(w); /* while only one is connected, perhaps */
	if (first->call != NULL)
		minirpc_call_cancel(first->call);
	first->call = NULL;
	world_settle(w);
	w->served_count = 0;
	probe = ask(w);
	world_expect(w, w->served_count == 3);
	net_kill(&net, 1);
	net_drain(&net, 2, MINIRPC_S(1));
	world_settle(w);
	for (unsigned i = 0; i < 3; i++)
		if (w->served[i].call != NULL && number_of(&net, w->served[i].call) == 3) {
			minirpc_call *call = w->served[i].call;

			w->served[i].call = NULL;
			minirpc_call_send(call, "third", 5);
			minirpc_call_end(call, NULL);
		}
	wait_for_the_end(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_OK);
	net_close(&net);
}

static void an_idle_channel_connects_again(struct world *w)
{
	struct net net;

	open_net(&net, w, "123", &in_turn);
	tell_turns(w, &net);
	if (w->channel != NULL)
		minirpc_channel_enter_idle(w->channel);
	world_settle(w);
	world_expect(w, minirpc_channel_state(w->channel) == MINIRPC_IDLE);
	world_expect(w, net_connections(&net, 1) == 0 && net.resolving == NULL);
	tell_turns(w, &net);
	wait_for_the_end(w);
	net_close(&net);
}

static void a_channel_goes_while_it_connects(struct world *w)
{
	struct probe *probe;
	struct net net;

	open_net(&net, w, "123", &in_turn);
	net.servers[2].mode = NET_SILENT;
	net.servers[3].mode = NET_DOWN;
	probe = ask(w);
	minirpc_channel_free(w->channel);
	w->channel = NULL;
	probe->call = NULL;
	wait_for_the_end(w);
	world_expect(w, probe->ends == 0);
	net_close(&net);
}

#define ANY(name)                                                                                  \
	{                                                                                          \
#name, name, NULL, NULL, NULL                                                      \
	}

const struct story stories_of_servers[] = {
	{ "who_is_turned_away_comes_back_when_told", who_is_turned_away_comes_back_when_told,
	  &admitting, open_door, NULL },
	{ "who_is_turned_away_for_good_does_not_come_back",
	  who_is_turned_away_for_good_does_not_come_back, &admitting, open_door, NULL },
	{ "a_call_over_the_servers_limit_comes_back", a_call_over_the_servers_limit_comes_back,
	  &few, NULL, NULL },
	{ "an_upload_meets_the_quota_in_its_middle", an_upload_meets_the_quota_in_its_middle,
	  &narrow, NULL, NULL },
	{ "a_call_that_finds_no_room_comes_back", a_call_that_finds_no_room_comes_back, &small,
	  NULL, NULL },
	{ "a_peer_that_falls_silent_is_given_up", a_peer_that_falls_silent_is_given_up, &watchful,
	  NULL, NULL },
	{ "a_peer_that_answers_is_kept", a_peer_that_answers_is_kept, &watchful, NULL, NULL },
	{ "an_old_connection_ends_with_its_calls", an_old_connection_ends_with_its_calls, &ageing,
	  NULL, NULL },
	{ "what_outlives_the_grace_of_an_old_connection_is_cut",
	  what_outlives_the_grace_of_an_old_connection_is_cut, &ageing, NULL, NULL },
	ANY(a_call_has_an_authority_of_its_own),
	ANY(calls_go_to_each_server_in_turn),
	ANY(a_server_that_is_killed_costs_no_call),
	ANY(a_server_that_leaves_politely_moves_new_calls),
	ANY(the_list_changes_while_calls_run),
	ANY(the_policy_changes_while_calls_run),
	ANY(every_server_goes_and_one_comes_back),
	ANY(a_silent_server_is_passed_over),
	ANY(hedged_attempts_are_spread),
	ANY(an_idle_channel_connects_again),
	ANY(a_channel_goes_while_it_connects),
	{ 0 },
};

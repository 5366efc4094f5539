/* SPDX-License-Identifier: MIT */
/* Seeded random simulation [limits.md 6]: calls of all kinds over a pipe that chops, delays, stalls,
 * is cut and comes back, between a channel and servers that are drained, stopped and replaced, with
 * allocations that fail in some runs. Whatever happens [limits.md 4]: one end for each call (P2), order
 * kept and messages whole (P10), each request at most once at a handler (P1), deadlines and
 * cancellations kept (P4, P5), nobody waits for ever, nothing is left over.
 *
 * One test of the loop is one seed. SIM_SEED=n runs that one alone, SIM_SEEDS=n so many. */
#include "run_suite.h"
#include "scenario/sim.h"
#include "world/alloc_fail.h"

#include <stdlib.h>
#include <string.h>

static const struct world_options *options_of(struct sim *sim, struct world_options *options)
{
	static const uint32_t windows[] = { 1024, 2000, 16384, 65535, 0 };
	static const uint32_t streams[] = { 1, 2, 5, 100, 100 };
	static const size_t queues[] = { 1, 100, 5000, 0, 0 };

	sim->max_streams = streams[sim_random(sim, 5)];
	*options = (struct world_options){
		.faulty = true, /* a drained server takes no connection: the world shrugs */
		.server = { .send_queue = queues[sim_random(sim, 5)],
			    .limits = { .max_streams = sim->max_streams,
					.stream_window = windows[sim_random(sim, 5)],
					.conn_window = sim_one_in(sim, 2) ? 65535 : 0 } },
		.channel = { .send_queue = queues[sim_random(sim, 5)],
			     .limits = { .stream_window = windows[sim_random(sim, 5)],
					 .conn_window = sim_one_in(sim, 2) ? 65535 : 0 } },
	};
	/* Now and then one end compresses, or both. */
	options->server.compression = sim_one_in(sim, 4) ? "deflate" : NULL;
	options->channel.compression = sim_one_in(sim, 4) ? "gzip" : NULL;
	return options;
}

/* ---- What happens to the world ---- */

static void drop_channel(struct sim *sim)
{
	struct world *w = sim->w;

	/* The handle of its connection goes with it. */
	w->client_end = NULL;
	w->channel = minirpc_channel_free(w->channel);
	sim_forget_channel(sim);
	world_cut(w);
}

static void drop_server(struct sim *sim)
{
	struct world *w = sim->w;

	w->server_end = NULL;
	w->server = minirpc_server_free(w->server);
	sim_forget_server(sim);
	world_cut(w);
}

void sim_disturb(struct sim *sim)
{
	struct world *w = sim->w;

	if (sim->is_calm || w->server == NULL)
		return;
	switch (sim_random(sim, 8)) {
	case 0:
		minirpc_server_drain(w->server, MINIRPC_MS(sim_random(sim, 100)), NULL, NULL);
		break;
	case 1:
		minirpc_server_stop(w->server);
		break;
	case 2:
		drop_server(sim);
		break;
	case 3:
		if (w->channel != NULL)
			drop_channel(sim);
		break;
	default:
		world_cut(w);
	}
}

static void repair(struct sim *sim, const struct world_options *options)
{
	struct world *w = sim->w;

	alloc_fail_at(0, false);
	if (w->channel == NULL)
		ck_assert_int_eq(minirpc_channel_new(&w->channel, w->loop, "attached:world",
						     &options->channel),
				 0);
	if (w->server == NULL) {
		ck_assert_int_eq(minirpc_server_new(&w->server, w->loop, &options->server), 0);
		ck_assert_int_eq(sim_serve(sim, w->server), 0);
	}
	if (w->client_end == NULL || w->server_end == NULL ||
	    minirpc_channel_state(w->channel) != MINIRPC_READY) {
		w->up.cut_after = w->down.cut_after = SIZE_MAX;
		if (world_connect(w) == -ESHUTDOWN) {
			drop_server(sim);
			repair(sim, options);
		}
	}
}

static void change_pipe(struct sim *sim, struct world_pipe *pipe)
{
	static const size_t chops[] = { 1, 7, 9, 100, 1500, 0 };

	switch (sim_random(sim, 4)) {
	case 0:
		pipe->stalled = !pipe->stalled;
		break;
	case 1:
		pipe->chop = chops[sim_random(sim, 6)];
		if (pipe->chop != 0 && pipe->chop < sim->scale / 100)
			pipe->chop = sim->scale / 100;
		break;
	case 2:
		pipe->delay = MINIRPC_US(sim_random(sim, 3) * 700);
		break;
	default:
		if (!sim->is_calm && sim_one_in(sim, 3))
			pipe->cut_after = pipe->moved + 1 + sim_random(sim, sim->scale * 20);
	}
}

/* ---- What always holds ---- */

static bool is_over(const struct sim_party *party)
{
	return party->call == NULL || party->ends > 0;
}

static void check_rules(struct sim *sim)
{
	minirpc_time now = sim->w->now;

	for (unsigned i = 0; i < sim->count; i++) {
		const struct talk *talk = &sim->talks[i];
		const struct sim_party *server = &talk->server;

		sim_must(sim, talk->client.call == NULL || talk->client.ends == 0,
			 "the client of talk %u has ended and goes on", i);
		sim_must(sim, now < talk->deadline || is_over(&talk->client),
			 "the deadline of talk %u has passed unnoticed", i);
		sim_must(sim, is_over(server) || now < minirpc_call_deadline(server->call),
			 "the deadline of talk %u has passed unnoticed by its handler", i);
		sim_must(sim,
			 talk->parent == NULL || !is_over(&talk->parent->server) ||
				 is_over(&talk->client),
			 "talk %u outlives its parent", i);
	}
}

/* What a party has sent must have arrived, now that nothing is in the way; one message alone waits
 * for the end behind it. */
static void check_arrived(const struct sim *sim, const struct sim_party *from,
			  const struct sim_party *to)
{
	unsigned expected = from->sent;

	if (sim_sends_one(from) && !from->ended)
		expected = 0;
	sim_must(sim, to->received == expected, "talk %u: the %s has %u messages of %u",
		 from->talk->id, to->is_server ? "server" : "client", to->received, expected);
	sim_must(sim, !from->wants_room, "talk %u: the %s waits for room for ever", from->talk->id,
		 from->is_server ? "server" : "client");
}

/* Takes everything out of the way; then whatever can move has moved. */
static void check_that_nobody_waits(struct sim *sim, const struct world_options *options)
{
	struct world *w = sim->w;
	unsigned waiting = 0, running = 0;
	bool was_finishing = sim->is_finishing;

	repair(sim, options);
	w->up.stalled = w->down.stalled = false;
	w->up.delay = w->down.delay = 0;
	w->up.cut_after = w->down.cut_after = SIZE_MAX;
	sim->is_finishing = true; /* no new ideas; what arrives is ended */
	for (unsigned i = 0; i < sim->count; i++) {
		sim_resume(&sim->talks[i].client);
		sim_resume(&sim->talks[i].server);
	}
	world_advance(w, MINIRPC_MS(5));
	sim->is_finishing = was_finishing;
	check_rules(sim);
	if (minirpc_channel_state(w->channel) != MINIRPC_READY)
		return; /* it broke meanwhile, for want of memory, or by a drain */

	for (unsigned i = 0; i < sim->count; i++) {
		const struct talk *talk = &sim->talks[i];

		waiting += talk->client.call != NULL && talk->arrivals == 0;
		running += talk->server.call != NULL;
		if (talk->client.call == NULL)
			sim_must(sim, is_over(&talk->server),
				 "the handler of talk %u has not heard that its client left", i);
		if (talk->client.call == NULL || is_over(&talk->server))
			continue;
		check_arrived(sim, &talk->client, &talk->server);
		check_arrived(sim, &talk->server, &talk->client);
	}
	sim_must(sim, waiting == 0 || running >= sim->max_streams,
		 "%u calls wait, and only %u of %u run", waiting, running, sim->max_streams);
	for (unsigned i = 0; i < sim->count; i++)
		sim_must(sim,
			 sim->talks[i].client.call == NULL || sim->talks[i].arrivals == 0 ||
				 sim->talks[i].server.call != NULL,
			 "the handler of talk %u has ended it and the client has not heard", i);
}

/* ---- One run ---- */

static void step(struct sim *sim, const struct world_options *options)
{
	struct world *w = sim->w;
	struct talk *talk;

	switch (sim_random(sim, 32)) {
	case 0:
	case 1:
	case 2:
	case 3:
		sim_open(sim);
		break;
	case 4:
		change_pipe(sim, &w->up);
		break;
	case 5:
		change_pipe(sim, &w->down);
		break;
	case 6:
		if (sim_one_in(sim, 4))
			sim_disturb(sim);
		break;
	case 7:
		if (sim_one_in(sim, 2))
			repair(sim, options);
		break;
	case 8:
		if (sim_one_in(sim, 4))
			check_that_nobody_waits(sim, options);
		break;
	case 9:
		if (sim->is_faulty)
			alloc_fail_at(1 + sim_random(sim, 300), sim_one_in(sim, 8));
		break;
	case 10:
	case 11:
	case 12:
		world_advance(w, MINIRPC_US(sim_random(sim, 20000)));
		break;
	case 13:
		if (!sim->is_calm && sim_one_in(sim, 5))
			world_advance(w, MINIRPC_S(sim_random(sim, 40)));
		break;
	case 14:
	case 15:
	case 16:
	case 17:
		world_settle(w);
		check_rules(sim);
		break;
	default:
		if (sim->count == 0)
			break;
		talk = &sim->talks[sim_random(sim, sim->count)];
		sim_act(sim_one_in(sim, 2) ? &talk->client : &talk->server);
	}
}

static void on_drained(minirpc_server *server, void *user)
{
	(void)server;
	*(bool *)user = true;
}

static void finish(struct sim *sim, const struct world_options *options)
{
	struct world *w = sim->w;
	bool drained = false, was_draining;
	unsigned arrived = 0;

	world_settle(w);
	check_rules(sim);
	check_that_nobody_waits(sim, options);
	for (unsigned i = 0; i < sim->count; i++)
		arrived += sim->talks[i].arrivals;
	sim_must(sim, arrived > 0 || sim->count < 20 || !sim->is_calm, "nothing ever arrives");
	sim->is_finishing = true;
	for (unsigned i = 0; i < sim->count; i++)
		sim_end(&sim->talks[i].server);
	for (unsigned i = 0; i < sim->count; i++)
		sim_end(&sim->talks[i].client);
	world_settle(w);
	repair(sim, options);
	world_settle(w);
	for (unsigned i = 0; i < sim->count; i++) {
		sim_must(sim, sim->talks[i].client.call == NULL, "talk %u never ends", i);
		sim_must(sim, sim->talks[i].server.call == NULL, "the handler of %u", i);
	}
	ck_assert_uint_eq(minirpc_server_open_calls(w->server), 0);
	was_draining = minirpc_server_drain(w->server, 0, on_drained, &drained) < 0;
	world_settle(w);
	sim_must(sim, drained || was_draining, "an idle server is not drained");
}

static void run(int seed)
{
	struct sim *sim = calloc(1, sizeof *sim);
	struct world_options options;
	unsigned steps;

	sim->seed = seed;
	sim->random = (uint64_t)seed * 0x9e3779b97f4a7c15u;
	sim->is_calm = sim_one_in(sim, 3);
	sim->is_faulty = !sim->is_calm && sim_one_in(sim, 2);
	sim->scale = sim_one_in(sim, 3) ? 20000 : 500;
	sim->w = world_new_with(options_of(sim, &options));
	ck_assert_ptr_nonnull(sim->w);
	ck_assert_int_eq(sim_serve(sim, sim->w->server), 0);

	steps = 200 + sim_random(sim, 1500);
	for (sim->step = 0; sim->step < steps; sim->step++)
		step(sim, &options);
	finish(sim, &options);

	alloc_fail_at(0, false);
	world_free(sim->w);
	sim_must(sim, alloc_live() == 0, "%zu blocks are left", alloc_live());
	free(sim);
}

START_TEST(the_rules_hold_whatever_happens)
{
	run(_i);
}
END_TEST

static int number(const char *name, int otherwise)
{
	const char *text = getenv(name);

	return text == NULL ? otherwise : atoi(text);
}

Suite *suite(void)
{
	Suite *s = suite_create("scenario/simulation");
	TCase *c = tcase_create("simulation");
	int seed = number("SIM_SEED", 0);

	tcase_set_timeout(c, 60);
	if (seed > 0)
		tcase_add_loop_test(c, the_rules_hold_whatever_happens, seed, seed + 1);
	else
		tcase_add_loop_test(c, the_rules_hold_whatever_happens, 1,
				    number("SIM_SEEDS", 300) + 1);
	suite_add_tcase(s, c);
	return s;
}

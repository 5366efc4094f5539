/* SPDX-License-Identifier: MIT */
/* Seeded random simulation [limits.md 6]: calls of all kinds over a pipe that chops, delays, stalls,
 * is cut and comes back, between a channel and servers that are drained, stopped, silent and replaced, that
 * turn calls away and run out of room; with retries, hedging, interceptors, policies and configs that change;
 * with allocations that fail in some runs. Whatever happens [limits.md 4]: one end for each call (P2), order
 * kept and messages whole (P10), each request at most once at a handler or as often as its policy says (P1),
 * deadlines and cancellations kept (P4, P5), nobody waits for ever, nothing is left over.
 *
 * One test of the loop is one seed. SIM_SEED=n runs that one alone, SIM_SEEDS=n so many, SIM_FROM=n from
 * that one on. */
#include "run_suite.h"
#include "scenario/sim.h"
#include "world/alloc_fail.h"

#include "client/channel.h"

#include <stdlib.h>

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

		sim_must(sim, talk->client.call == NULL || talk->client.ends == 0,
			 "the client of talk %u has ended and goes on", i);
		sim_must(sim, now < talk->deadline || is_over(&talk->client),
			 "the deadline of talk %u has passed unnoticed", i);
		sim_must(sim,
			 talk->parent == NULL || !is_over(talk->parent) || is_over(&talk->client),
			 "talk %u outlives its parent", i);
		for (unsigned k = 0; k < talk->arrivals; k++)
			sim_must(sim,
				 is_over(&talk->servers[k]) ||
					 now < minirpc_call_deadline(talk->servers[k].call),
				 "the deadline of talk %u has passed unnoticed by its handler", i);
	}
}

/* ---- Nobody waits for ever ---- */

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

static unsigned handlers_of(const struct talk *talk)
{
	unsigned count = 0;

	for (unsigned k = 0; k < talk->arrivals; k++)
		count += !is_over(&talk->servers[k]);
	return count;
}

static void check_talk(struct sim *sim, const struct talk *talk)
{
	if (talk->client.call == NULL) {
		sim_must(sim, handlers_of(talk) == 0,
			 "a handler of talk %u has not heard that its client left", talk->id);
		return;
	}
	for (unsigned k = 0; k < talk->arrivals; k++) {
		const struct sim_party *server = &talk->servers[k];

		if (is_over(server))
			continue;
		check_arrived(sim, &talk->client, server);
		check_arrived(sim, server, &talk->client);
	}
	sim_must(sim, talk->max_arrivals > 1 || talk->arrivals == 0 || handlers_of(talk) > 0,
		 "the handler of talk %u has ended it and the client has not heard", talk->id);
}

static void resume_everything(struct sim *sim)
{
	sim->never_holds = true;
	for (unsigned i = 0; i < sim->count; i++) {
		sim_resume(&sim->talks[i].client);
		for (unsigned k = 0; k < sim->talks[i].arrivals; k++)
			sim_resume(&sim->talks[i].servers[k]);
	}
	sim_resume_all(sim);
}

static bool is_everybody_there(const struct sim *sim)
{
	for (unsigned i = 1; i <= sim->server_count; i++)
		if (sim->leaving[i] || net_connections(&sim->net, i) > 1)
			return false;
	return minirpc_channel_state(sim->w->channel) == MINIRPC_READY;
}

/* Takes everything out of the way; then whatever can move has moved. */
static void check_that_nobody_waits(struct sim *sim)
{
	struct world *w = sim->w;
	unsigned waiting = 0, running = 0;
	bool was_finishing = sim->is_finishing;

	sim->is_finishing = sim->is_open = true; /* no new ideas; what arrives is ended */
	sim_repair(sim);
	resume_everything(sim);
	world_advance(w, MINIRPC_MS(5));
	sim->is_finishing = was_finishing;
	sim->is_open = sim->never_holds = false;
	check_rules(sim);
	if (!is_everybody_there(sim))
		return; /* it broke meanwhile, for want of memory, or by a drain */

	for (unsigned i = 0; i < sim->count; i++) {
		const struct talk *talk = &sim->talks[i];

		waiting += talk->client.call != NULL && !talk->client.call->resting &&
			   handlers_of(talk) == 0;
		for (unsigned k = 0; k < talk->arrivals; k++)
			running += talk->servers[k].call != NULL;
	}
	sim_must(sim, waiting == 0 || running >= sim->max_streams,
		 "%u calls wait, and only %u of %u run", waiting, running, sim->max_streams);
	for (unsigned i = 0; i < sim->count; i++)
		check_talk(sim, &sim->talks[i]);
}

/* ---- One run ---- */

static void act(struct sim *sim)
{
	struct talk *talk;

	if (sim->count == 0)
		return;
	talk = &sim->talks[sim_random(sim, sim->count)];
	if (sim_one_in(sim, 2))
		sim_act(&talk->client);
	else if (talk->arrivals > 0)
		sim_act(&talk->servers[sim_random(sim, talk->arrivals)]);
}

static void step(struct sim *sim)
{
	struct world *w = sim->w;

	switch (sim_random(sim, 36)) {
	case 0:
	case 1:
	case 2:
	case 3:
		sim_open(sim);
		break;
	case 4:
	case 5:
		sim_change_pipes(sim);
		break;
	case 6:
		if (sim_one_in(sim, 3))
			sim_disturb(sim);
		break;
	case 7:
		if (sim_one_in(sim, 2))
			sim_repair(sim);
		break;
	case 8:
		if (sim_one_in(sim, 4))
			check_that_nobody_waits(sim);
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
	case 18:
		if (sim_one_in(sim, 2))
			sim_tell(sim);
		break;
	case 19:
	case 20:
		sim_resume_one(sim);
		break;
	default:
		act(sim);
	}
}

static void on_drained(minirpc_server *server, void *user)
{
	(void)server;
	*(bool *)user = true;
}

static void check_end(struct sim *sim)
{
	const struct talk *talk;

	for (unsigned i = 0; i < sim->count; i++) {
		talk = &sim->talks[i];
		sim_must(sim, talk->client.call == NULL, "talk %u never ends", i);
		for (unsigned k = 0; k < talk->arrivals; k++)
			sim_must(sim, talk->servers[k].call == NULL, "a handler of %u", i);
		/* Each attempt that was seen was told of, unless there was no memory to remember it. */
		sim_must(sim, !talk->is_told || sim->is_faulty || talk->told >= talk->arrivals,
			 "talk %u tells of %u attempts, and handlers saw %u", i, talk->told,
			 talk->arrivals);
	}
	sim_must(sim, sim->w->channel->replay.held == 0, "%zu bytes are kept for another attempt",
		 sim->w->channel->replay.held);
}

static void check_server(struct sim *sim, minirpc_server *server)
{
	bool drained = false, was_draining;

	ck_assert_uint_eq(minirpc_server_open_calls(server), 0);
	ck_assert_uint_eq(minirpc_server_memory(server), 0);
	was_draining = minirpc_server_drain(server, 0, on_drained, &drained) < 0;
	world_settle(sim->w);
	sim_must(sim, drained || was_draining, "an idle server is not drained");
}

static void finish(struct sim *sim)
{
	struct world *w = sim->w;
	unsigned arrived = 0;

	world_settle(w);
	check_rules(sim);
	check_that_nobody_waits(sim);
	for (unsigned i = 0; i < sim->count; i++)
		arrived += sim->talks[i].arrivals;
	sim_must(sim, arrived > 0 || sim->count < 20 || !sim->is_calm || sim->has_hooks,
		 "nothing ever arrives");
	sim->is_finishing = sim->is_open = true;
	sim_repair(sim);
	resume_everything(sim);
	for (unsigned i = 0; i < sim->count; i++)
		for (unsigned k = 0; k < sim->talks[i].arrivals; k++)
			sim_end(&sim->talks[i].servers[k]);
	for (unsigned i = 0; i < sim->count; i++)
		sim_end(&sim->talks[i].client);
	world_advance(w, MINIRPC_S(3)); /* backoffs, and what was pushed back */
	sim_repair(sim);
	world_advance(w, MINIRPC_S(3));
	check_end(sim);
	for (unsigned i = 1; i <= NET_SERVERS; i++)
		check_server(sim, sim->net.servers[i].server);
}

static void run(int seed)
{
	struct sim *sim = calloc(1, sizeof *sim);
	unsigned steps;

	sim->seed = seed;
	sim->random = (uint64_t)seed * 0x9e3779b97f4a7c15u;
	sim->is_calm = sim_one_in(sim, 3);
	sim->is_faulty = !sim->is_calm && sim_one_in(sim, 2);
	sim->scale = sim_one_in(sim, 3) ? 20000 : 500;
	/* Calls may fail for want of memory: the world shrugs. */
	sim->w = world_new_with(&(struct world_options){ .faulty = true });
	ck_assert_ptr_nonnull(sim->w);
	ck_assert_int_eq(net_open(&sim->net, sim->w, sim_options(sim)), 0);

	steps = 200 + sim_random(sim, 1500);
	for (sim->step = 0; sim->step < steps; sim->step++)
		step(sim);
	finish(sim);

	alloc_fail_at(0, false);
	net_close(&sim->net);
	world_free(sim->w);
	sim_must(sim, sim->hook_opens == sim->hook_closes, "%u of %u interceptors heard the end",
		 sim->hook_closes, sim->hook_opens);
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
	int seed = number("SIM_SEED", 0), from = number("SIM_FROM", 1);

	tcase_set_timeout(c, 60);
	if (seed > 0)
		tcase_add_loop_test(c, the_rules_hold_whatever_happens, seed, seed + 1);
	else
		tcase_add_loop_test(c, the_rules_hold_whatever_happens, from,
				    from + number("SIM_SEEDS", 2000));
	suite_add_tcase(s, c);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Simulation: many calls at once in a world that goes wrong, driven by the numbers of one seed.
 *
 * A `talk` is a call seen from both ends. Every message of it can be foretold from the talk's id, the
 * direction and its place, so whoever receives one knows whether it is whole and the next one. The
 * rules that hold whatever happens are checked in the events (sim_talk.c) and between the steps
 * (simulation_test.c). */
#ifndef TEST_SCENARIO_SIM_H
#define TEST_SCENARIO_SIM_H

#include "world/world.h"

#define SIM_TALKS 160

enum sim_kind { SIM_UNARY, SIM_DOWN, SIM_UP, SIM_CHAT, SIM_KINDS };

/* One end of a talk. */
struct sim_party {
	struct talk *talk;
	bool is_server;
	minirpc_call *call; /* NULL: the handle is gone, or never was */
	unsigned sent, received, headers, ends, half_closes;
	bool ended;      /* our side was ended */
	bool cancelled;  /* by us, a goodbye */
	bool aborted;    /* by us, with a status */
	bool paused;     /* by us */
	bool wants_room; /* -EAGAIN was answered, on_writable is owed */
};

struct talk {
	struct sim *sim;
	unsigned id;
	enum sim_kind kind;
	struct sim_party client, server;
	struct talk *parent;
	minirpc_time deadline; /* the client's */
	unsigned arrivals;     /* times that the handler heard of it: at most once */
	bool has_said; /* the server's handler has ended it, and was heard as far as it knows */
	enum minirpc_code said;
	bool has_trailer;
	bool server_freed; /* the handle went with its server */
};

struct sim {
	struct world *w;
	uint64_t random;
	bool is_calm;      /* nothing is cut, drained, stalled for long or fails */
	bool is_faulty;    /* allocations fail */
	bool is_finishing; /* handlers end what comes in */
	bool is_in_verb;
	unsigned max_streams, scale;
	unsigned step;
	int seed;
	unsigned count;
	struct talk talks[SIM_TALKS];
};

/* An assertion that names the seed and the step. */
#define sim_must(sim, condition, ...)                                                              \
	do {                                                                                       \
		if (!(condition))                                                                  \
			sim_failed(sim, #condition, __VA_ARGS__);                                  \
	} while (0)
void sim_failed(const struct sim *sim, const char *condition, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

unsigned sim_random(struct sim *sim, unsigned below);
static inline bool sim_one_in(struct sim *sim, unsigned n)
{
	return sim_random(sim, n) == 0;
}

/* ---- sim_talk.c ---- */

int sim_serve(struct sim *sim, minirpc_server *server);

/* Opens a call of a random method, with what options chance brings. */
void sim_open(struct sim *sim);

/* One random verb for this end; harmless when its handle is gone. */
void sim_act(struct sim_party *party);
void sim_resume(struct sim_party *party);
void sim_end(struct sim_party *party);

/* What only one end may do: exactly one message. */
bool sim_sends_one(const struct sim_party *party);

/* Server or channel are gone, and every handle with them. */
void sim_forget_server(struct sim *sim);
void sim_forget_channel(struct sim *sim);

/* Something that happens to the world, from inside an event too. */
void sim_disturb(struct sim *sim);

#endif

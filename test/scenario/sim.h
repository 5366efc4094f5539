/* SPDX-License-Identifier: MIT */
/* Simulation: many calls at once in a world that goes wrong, driven by the numbers of one seed.
 *
 * A `talk` is a call seen from both ends: from the client's, and from that of each handler that one of its
 * attempts reached. Every message of it can be foretold from the talk's id, the direction and its place, so
 * whoever receives one knows whether it is whole and the next one. The rules that hold whatever happens are
 * checked in the events (sim_talk.c) and between the steps (simulation_test.c); what happens to servers,
 * addresses and configs is in sim_servers.c, interceptors are in sim_hooks.c. */
#ifndef TEST_SCENARIO_SIM_H
#define TEST_SCENARIO_SIM_H

#include "world/net.h"

#include <minirpc/interceptor.h>

enum { SIM_TALKS = 160, SIM_ATTEMPTS = 8, SIM_HELD = 40, SIM_CONFIG = 1024 };

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

	/* Of a handler. */
	unsigned attempt;
	unsigned server; /* its number */
	bool has_said;   /* it has ended the call, and was heard as far as it knows */
	enum minirpc_code said;
	bool has_trailer;
};

struct talk {
	struct sim *sim;
	unsigned id;
	enum sim_kind kind;
	struct sim_party client, servers[SIM_ATTEMPTS];
	const struct sim_party *parent;
	minirpc_time deadline; /* the client's */
	unsigned arrivals;     /* attempts that reached a handler ... */
	unsigned max_arrivals; /* ... at most: 1, or what its policy says */
	unsigned told;         /* attempts that on_end told of, without transparent ones */
	bool is_told;
};

struct sim {
	struct world *w;
	struct net net;
	unsigned server_count;
	bool leaving[NET_SERVERS + 1]; /* drained, or stopped */
	uint64_t random;
	bool is_calm;      /* nothing is cut, drained, stalled for long or fails */
	bool is_faulty;    /* allocations fail */
	bool is_finishing; /* handlers end what comes in */
	bool is_in_verb;
	bool has_hooks, has_door, has_quota; /* interceptors; refusals at the door; max_memory */
	bool never_holds;                    /* interceptors let all pass */
	bool is_open;                        /* nobody is refused at the door */
	struct sim_held {
		minirpc_hook *hook;
		bool sent;
	} held[SIM_HELD];
	unsigned held_count, hook_opens, hook_closes;
	unsigned max_streams, max_calls, scale;
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
void sim_forget_server(struct sim *sim, unsigned number);
void sim_forget_channel(struct sim *sim);

/* ---- sim_hooks.c ---- */

/* Interceptors that hold, stop, change, by chance; on each call, and on each attempt. */
void sim_use_hooks(struct sim *sim, struct minirpc_use uses[3], bool per_attempt);
void sim_resume_one(struct sim *sim);
void sim_resume_all(struct sim *sim);

/* ---- sim_servers.c ---- */

/* What the world, its servers and its channel are like. */
const struct net_options *sim_options(struct sim *sim);

/* Something that happens to the world, from inside an event too. */
void sim_disturb(struct sim *sim);

/* Something that is told to the channel: servers, a config, or nonsense. */
void sim_tell(struct sim *sim);

/* Every server is there and can be reached; nothing is in the way. */
void sim_repair(struct sim *sim);

void sim_drop_channel(struct sim *sim);

/* Some property of the connections is another one. */
void sim_change_pipes(struct sim *sim);

#endif

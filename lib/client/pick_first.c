/* SPDX-License-Identifier: MIT */
/* pick_first: all calls to one server, the first that answers [L-5, A62], by happy eyeballs over the whole list
 * [B-4, A61].
 *
 *	          first pass: each address in turn, the next after 250 ms, or at once when one fails
 *	IDLE --> CONNECTING -------------------------------> READY --> lost: IDLE, asks to resolve again
 *	              | all have failed                        ^
 *	              v                                        |
 *	        TRANSIENT_FAILURE: each is tried again after its own backoff, until one succeeds
 *
 * A subchannel is made when its address has its turn; when one is ready the others are given back. A new list
 * keeps the connection if its address is still there. */
#include "base/alloc.h"
#include "client/balancing.h"
#include "client/policy_config.h"

#include <minirpc/balancer.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPT_DELAY MINIRPC_MS(250) /* [B-4] */
#define MEMORY_DELAY MINIRPC_S(1)

struct candidate {
	struct minirpc_endpoint endpoint; /* one address */
	const char *addresses[2];
	minirpc_subchannel *subchannel; /* NULL: it had no turn yet, or another is ready */
	bool failed;                    /* in this pass */
};

/* One list of the resolver's: addresses, each once, families taking turns. */
struct candidates {
	struct mrpc_endpoints *copy; /* what the texts live in */
	size_t count;
	struct candidate list[];
};

struct pick_first {
	minirpc_balancing *to;
	bool shuffle;
	enum minirpc_channel_state state; /* that we said */
	struct candidates *candidates;    /* NULL: no list yet, or an empty one */
	struct candidate *ready;          /* NULL: none */
	bool passing;                     /* the first pass is under way */
	size_t next;                      /* whose turn is next in the pass */
	size_t failures;                  /* since the last call for a fresh list */
	bool short_of_memory;             /* an address had no turn for want of it */
	minirpc_timer *timer; /* of the pass; or until another one, when short_of_memory */
};

static void say(struct pick_first *self, enum minirpc_channel_state state, const char *reason)
{
	self->state = state;
	minirpc_balancing_update(self->to, state, reason);
}

/* Gives all back but one (NULL: all). */
static void give_back(struct pick_first *self, const struct candidate *keep)
{
	self->timer = minirpc_timer_cancel(self->timer);
	if (self->candidates == NULL)
		return;
	for (size_t i = 0; i < self->candidates->count; i++) {
		struct candidate *candidate = &self->candidates->list[i];

		if (candidate != keep)
			candidate->subchannel = minirpc_subchannel_free(candidate->subchannel);
	}
}

static void select_ready(struct pick_first *self, struct candidate *candidate)
{
	give_back(self, candidate);
	self->passing = self->short_of_memory = false;
	self->failures = 0;
	self->ready = candidate;
	say(self, MINIRPC_READY, NULL);
}

/* ---- A pass ---- */

/* What went wrong at each address, as far as there is room. */
static void say_failed(struct pick_first *self)
{
	char reason[MRPC_BALANCING_REASON] = "";
	size_t len = 0;

	for (size_t i = 0; i < self->candidates->count; i++) {
		const minirpc_subchannel *subchannel = self->candidates->list[i].subchannel;
		const char *why = subchannel == NULL ? "" : minirpc_subchannel_failure(subchannel);
		size_t size = strlen(why);

		if (size == 0 || len + size + 3 > sizeof reason)
			continue;
		len += (size_t)snprintf(reason + len, sizeof reason - len, "%s%s",
					len > 0 ? "; " : "", why);
	}
	say(self, MINIRPC_TRANSIENT_FAILURE, reason);
}

static void on_memory(void *user);

/* If there is none even for a timer, the next call tries. */
static void wait_for_memory(struct pick_first *self, minirpc_time span)
{
	if (self->timer == NULL)
		(void)minirpc_timer_start(&self->timer, minirpc_balancing_loop(self->to), span,
					  on_memory, self);
}

static void end_pass(struct pick_first *self)
{
	for (size_t i = 0; i < self->candidates->count; i++)
		if (!self->candidates->list[i].failed)
			return;
	self->passing = false;
	self->failures = 0;
	say_failed(self);
	minirpc_balancing_resolve_again(self->to);
	/* Those whose backoff was over before the others had failed. */
	for (size_t i = 0; i < self->candidates->count; i++) {
		minirpc_subchannel *subchannel = self->candidates->list[i].subchannel;

		if (subchannel != NULL && minirpc_subchannel_state(subchannel) == MINIRPC_IDLE)
			minirpc_subchannel_connect(subchannel);
	}
	if (self->short_of_memory)
		wait_for_memory(self, MEMORY_DELAY);
}

/* False: it has failed already. */
static bool begin_candidate(struct pick_first *self, struct candidate *candidate)
{
	if (candidate->subchannel == NULL &&
	    minirpc_subchannel_new(&candidate->subchannel, self->to, &candidate->endpoint) < 0) {
		self->short_of_memory = true;
		return false;
	}
	minirpc_subchannel_set_user(candidate->subchannel, candidate);
	/* One that failed before, and is not through its backoff, has had its chance. */
	if (minirpc_subchannel_state(candidate->subchannel) == MINIRPC_TRANSIENT_FAILURE)
		return false;
	minirpc_subchannel_connect(candidate->subchannel);
	return true;
}

static void on_delay(void *user);

/* The next address has its turn; those that fail at once are passed over. */
static void go_on(struct pick_first *self)
{
	struct candidates *candidates = self->candidates;

	self->timer = minirpc_timer_cancel(self->timer);
	while (self->next < candidates->count) {
		struct candidate *candidate = &candidates->list[self->next++];

		candidate->failed = !begin_candidate(self, candidate);
		if (candidate->failed)
			continue;
		if (minirpc_subchannel_state(candidate->subchannel) == MINIRPC_READY) {
			select_ready(self, candidate);
			return;
		}
		if (self->next == candidates->count ||
		    minirpc_timer_start(&self->timer, minirpc_balancing_loop(self->to),
					ATTEMPT_DELAY, on_delay, self) == 0)
			return;
	}
	end_pass(self);
}

static void on_delay(void *user)
{
	struct pick_first *self = user;

	self->timer = NULL;
	go_on(self);
}

static void begin_pass(struct pick_first *self)
{
	self->passing = true;
	self->short_of_memory = false;
	self->next = 0;
	self->ready = NULL;
	for (size_t i = 0; i < self->candidates->count; i++)
		self->candidates->list[i].failed = false;
	if (self->state != MINIRPC_TRANSIENT_FAILURE) /* [A62] */
		say(self, MINIRPC_CONNECTING, NULL);
	go_on(self);
}

static void on_memory(void *user)
{
	struct pick_first *self = user;

	self->timer = NULL;
	begin_pass(self);
}

static void lose(struct pick_first *self, const struct candidate *candidate)
{
	give_back(self, candidate);
	self->passing = false;
	self->ready = NULL;
	minirpc_balancing_resolve_again(self->to);
	say(self, MINIRPC_IDLE, NULL);
}

/* The connections are lost while another one was on its way, or had failed [B-5]: all have their chance. */
static void fall_back(struct pick_first *self)
{
	minirpc_balancing_resolve_again(self->to);
	begin_pass(self);
}

/* ---- Lists ---- */

static bool is_v6(const char *address)
{
	return address[0] == '[';
}

static bool is_known(const struct candidates *candidates, const char *address)
{
	for (size_t i = 0; i < candidates->count; i++)
		if (strcmp(candidates->list[i].addresses[0], address) == 0)
			return true;
	return false;
}

static void add(struct candidates *candidates, const struct minirpc_endpoint *from,
		const char *address)
{
	struct candidate *candidate = &candidates->list[candidates->count];

	if (is_known(candidates, address))
		return;
	candidates->count++;
	*candidate = (struct candidate){ .endpoint = *from, .addresses = { address, NULL } };
	candidate->endpoint.addresses = candidate->addresses;
}

static void shuffle(struct pick_first *self, struct minirpc_endpoint *list, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = (size_t)(minirpc_balancing_random(self->to) % i);
		struct minirpc_endpoint endpoint = list[i - 1];

		list[i - 1] = list[other];
		list[other] = endpoint;
	}
}

/* The first of the family, then the first of the other one, and so on (RFC 8305, 4): moves entries of `from` that
 * are out of turn behind the next one that is not. */
static void interleave(struct candidates *candidates)
{
	for (size_t i = 1; i < candidates->count; i++) {
		bool wanted = !is_v6(candidates->list[i - 1].addresses[0]);
		size_t found = i;
		struct candidate candidate;

		while (found < candidates->count &&
		       is_v6(candidates->list[found].addresses[0]) != wanted)
			found++;
		if (found == i || found == candidates->count)
			continue;
		candidate = candidates->list[found];
		memmove(&candidates->list[i + 1], &candidates->list[i],
			(found - i) * sizeof candidate);
		candidates->list[i] = candidate;
	}
	for (size_t i = 0; i < candidates->count; i++) /* they have moved */
		candidates->list[i].endpoint.addresses = candidates->list[i].addresses;
}

static struct candidates *new_candidates(struct pick_first *self,
					 const struct minirpc_endpoint *endpoints, size_t count)
{
	struct candidates *candidates;
	size_t addresses = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; endpoints[i].addresses[k] != NULL; k++)
			addresses++;
	candidates = mrpc_zalloc(sizeof *candidates + addresses * sizeof candidates->list[0]);
	if (candidates == NULL)
		return NULL;
	candidates->copy = mrpc_endpoints_copy(endpoints, count);
	if (candidates->copy == NULL)
		return mrpc_free(candidates);
	if (self->shuffle)
		shuffle(self, candidates->copy->endpoints, count);
	for (size_t i = 0; i < count; i++) {
		const struct minirpc_endpoint *endpoint = &candidates->copy->endpoints[i];

		for (size_t k = 0; endpoint->addresses[k] != NULL; k++)
			add(candidates, endpoint, endpoint->addresses[k]);
	}
	interleave(candidates);
	return candidates;
}

static void free_candidates(struct candidates *candidates)
{
	if (candidates == NULL)
		return;
	mrpc_free(candidates->copy);
	mrpc_free(candidates);
}

/* The entry of the new list that goes where we are connected; it shares the connection. */
static struct candidate *find_ready(struct pick_first *self, struct candidates *candidates)
{
	const char *address = self->ready->addresses[0];

	for (size_t i = 0; i < candidates->count; i++) {
		struct candidate *candidate = &candidates->list[i];

		if (strcmp(candidate->addresses[0], address) != 0)
			continue;
		if (minirpc_subchannel_new(&candidate->subchannel, self->to, &candidate->endpoint) <
		    0)
			return NULL;
		minirpc_subchannel_set_user(candidate->subchannel, candidate);
		if (minirpc_subchannel_state(candidate->subchannel) == MINIRPC_READY)
			return candidate;
		candidate->subchannel = minirpc_subchannel_free(candidate->subchannel);
	}
	return NULL;
}

static int no_servers(struct pick_first *self)
{
	give_back(self, NULL);
	free_candidates(self->candidates);
	self->candidates = NULL;
	self->ready = NULL;
	self->passing = self->short_of_memory = false;
	say(self, MINIRPC_TRANSIENT_FAILURE, "the name has no servers");
	minirpc_balancing_resolve_again(self->to);
	return 0;
}

static int on_endpoints(void *user, const struct minirpc_endpoint *endpoints, size_t count)
{
	struct pick_first *self = user;
	struct candidates *fresh, *before = self->candidates;
	struct candidate *kept = NULL;
	bool was_idle = before != NULL && self->state == MINIRPC_IDLE;

	if (count == 0)
		return no_servers(self);
	fresh = new_candidates(self, endpoints, count);
	if (fresh == NULL)
		return -ENOMEM;
	if (self->ready != NULL)
		kept = find_ready(self, fresh);
	give_back(self, NULL);
	self->candidates = fresh;
	self->ready = NULL;
	if (before == NULL)
		self->state = MINIRPC_CONNECTING; /* no servers is no failed attempt */
	if (kept != NULL)
		select_ready(self, kept);
	else if (!was_idle)
		begin_pass(self);
	free_candidates(before);
	return 0;
}

/* ---- What it is told ---- */

static void on_failed(struct pick_first *self, struct candidate *candidate)
{
	candidate->failed = true;
	if (self->passing) {
		/* Only the latest has the others wait for it. */
		if (candidate == &self->candidates->list[self->next - 1])
			go_on(self);
		else if (self->next == self->candidates->count)
			end_pass(self);
		return;
	}
	say_failed(self);
	if (++self->failures >= self->candidates->count) {
		self->failures = 0;
		minirpc_balancing_resolve_again(self->to);
	}
}

static void on_state(void *user, minirpc_subchannel *subchannel, enum minirpc_channel_state state)
{
	struct pick_first *self = user;
	struct candidate *candidate = minirpc_subchannel_user(subchannel);

	if (candidate == NULL)
		return;
	if (candidate == self->ready &&
	    (state == MINIRPC_CONNECTING || state == MINIRPC_TRANSIENT_FAILURE)) {
		fall_back(self);
		return;
	}
	switch (state) {
	case MINIRPC_READY:
		if (self->ready != candidate)
			select_ready(self, candidate);
		break;
	case MINIRPC_TRANSIENT_FAILURE:
		on_failed(self, candidate);
		break;
	case MINIRPC_IDLE:
		/* Lost, perhaps before we heard that it was ready; or through its backoff. */
		if (candidate == self->ready || (self->passing && !candidate->failed))
			lose(self, candidate);
		else if (!self->passing && self->state == MINIRPC_TRANSIENT_FAILURE)
			minirpc_subchannel_connect(subchannel);
		break;
	case MINIRPC_CONNECTING:
	case MINIRPC_SHUTDOWN:
		break;
	}
}

static void on_resolver_error(void *user, const char *reason)
{
	struct pick_first *self = user;

	if (self->candidates == NULL)
		say(self, MINIRPC_TRANSIENT_FAILURE, reason);
}

static void exit_idle(void *user)
{
	struct pick_first *self = user;

	if (self->state == MINIRPC_IDLE && self->candidates != NULL)
		begin_pass(self);
}

static enum minirpc_pick pick(void *user, const struct minirpc_pick_args *args,
			      minirpc_subchannel **ret_subchannel)
{
	struct pick_first *self = user;

	(void)args;
	if (self->ready != NULL) {
		*ret_subchannel = self->ready->subchannel;
		return MINIRPC_PICK_COMPLETE;
	}
	if (self->state != MINIRPC_TRANSIENT_FAILURE)
		return MINIRPC_PICK_QUEUE;
	if (self->short_of_memory)
		wait_for_memory(self, 0);
	return MINIRPC_PICK_FAIL;
}

/* ---- Its life ---- */

static int start(minirpc_balancing *to, const char *config, void *user, void **ret_self)
{
	struct pick_first *self;
	bool shuffle_list = false;
	int r;

	(void)user;
	r = mrpc_policy_config_bool(config, "shuffleAddressList", &shuffle_list);
	if (r < 0)
		return r;
	self = mrpc_alloc(sizeof *self);
	if (self == NULL)
		return -ENOMEM;
	*self = (struct pick_first){
		.to = to,
		.shuffle = shuffle_list,
		.state = MINIRPC_CONNECTING,
	};
	*ret_self = self;
	return 0;
}

static void stop(void *user)
{
	struct pick_first *self = user;

	give_back(self, NULL);
	free_candidates(self->candidates);
	mrpc_free(self);
}

const struct minirpc_balancer mrpc_pick_first = {
	.name = "pick_first",
	.start = start,
	.stop = stop,
	.on_endpoints = on_endpoints,
	.on_resolver_error = on_resolver_error,
	.on_state = on_state,
	.pick = pick,
	.exit_idle = exit_idle,
};

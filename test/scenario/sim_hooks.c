/* SPDX-License-Identifier: MIT */
/* Interceptors that do by chance what interceptors may do. What they change is changed into itself, so that
 * messages stay what both ends expect. */
#include "scenario/sim.h"

#include <stdlib.h>
#include <string.h>

struct life {
	bool opened, stopped;
	unsigned parts[2]; /* [true]: sent */
	bool is_held[2];
};

static void change(minirpc_hook *hook, const struct minirpc_part *part)
{
	if (part->metadata != NULL)
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "x-seen", "yes", 0 });
	if (part->kind == MINIRPC_PART_MESSAGE) {
		char *copy = malloc(part->len + 1);

		memcpy(copy, part->data, part->len);
		minirpc_hook_set_message(hook, copy, part->len);
		free(copy);
	}
}

static enum minirpc_verdict look(minirpc_hook *hook, const struct minirpc_part *part,
				 struct sim *sim, bool sent)
{
	struct life *life = minirpc_hook_data(hook);

	sim_must(sim, !sim->is_in_verb, "an interceptor from inside a verb");
	sim_must(sim, !life->is_held[sent], "a part passes one that is held");
	sim_must(sim, !life->stopped, "a part after a stop");
	sim_must(sim, (part->kind == MINIRPC_PART_HEADERS) <= (life->parts[sent] == 0),
		 "headers behind other parts");
	life->parts[sent]++;
	sim->hook_opens += !life->opened;
	life->opened = true;
	if (sim_one_in(sim, 10))
		change(hook, part);
	if (sim->never_holds)
		return MINIRPC_PASS;
	if (sim_one_in(sim, 100)) {
		minirpc_hook_set_status(
			hook, &(struct minirpc_status){ MINIRPC_PERMISSION_DENIED, "stopped" });
		life->stopped = true;
		return MINIRPC_STOP;
	}
	if (sim->held_count == SIM_HELD || !sim_one_in(sim, 12))
		return MINIRPC_PASS;
	if (sim_one_in(sim, 6)) { /* thinks better of it */
		minirpc_hook_resume(hook, sent, NULL);
		return MINIRPC_HOLD;
	}
	sim->held[sim->held_count++] = (struct sim_held){ hook, sent };
	life->is_held[sent] = true;
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
	struct sim *sim = user;
	const struct life *life = minirpc_hook_data(hook);

	(void)status;
	sim_must(sim, life->opened, "an end of what has seen nothing");
	sim->hook_closes++;
	for (unsigned i = 0; i < sim->held_count;)
		if (sim->held[i].hook == hook)
			sim->held[i] = sim->held[--sim->held_count];
		else
			i++;
}

static const struct minirpc_interceptor of_calls = { .name = "calls",
						     .data_size = sizeof(struct life),
						     .on_send = on_send,
						     .on_receive = on_receive,
						     .on_close = on_close };
static const struct minirpc_interceptor of_attempts = { .name = "attempts",
							.data_size = sizeof(struct life),
							.per_attempt = true,
							.on_send = on_send,
							.on_receive = on_receive,
							.on_close = on_close };

void sim_use_hooks(struct sim *sim, struct minirpc_use uses[3], bool per_attempt)
{
	unsigned count = 1 + sim_random(sim, 2);

	sim->has_hooks = true;
	for (unsigned i = 0; i < 3; i++)
		uses[i] = (struct minirpc_use){ 0 };
	for (unsigned i = 0; i < count; i++)
		uses[i] = (struct minirpc_use){ per_attempt && sim_one_in(sim, 2) ? &of_attempts
										  : &of_calls,
						sim };
}

static void let_go(struct sim *sim, unsigned i)
{
	static const struct minirpc_status stop = { MINIRPC_PERMISSION_DENIED, "stopped" };
	struct sim_held held = sim->held[i];
	struct life *life = minirpc_hook_data(held.hook);
	bool stops = !sim->never_holds && sim_one_in(sim, 12), was = sim->is_in_verb;

	sim->held[i] = sim->held[--sim->held_count];
	life->is_held[held.sent] = false;
	sim->is_in_verb = true;
	minirpc_hook_resume(held.hook, held.sent, stops ? &stop : NULL);
	sim->is_in_verb = was;
}

void sim_resume_one(struct sim *sim)
{
	if (sim->held_count > 0)
		let_go(sim, sim_random(sim, sim->held_count));
}

void sim_resume_all(struct sim *sim)
{
	while (sim->held_count > 0)
		let_go(sim, 0);
}

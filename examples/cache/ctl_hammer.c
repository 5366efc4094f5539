/* SPDX-License-Identifier: MIT */
/* cachectl hammer: gets a key again and again, at a steady rate, and says each half second which server
 * answered how often. To see what load balancing and retries make of a server that dies. */
#include "cache.minirpc.h"
#include "ctl.h"
#include "errors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK MINIRPC_MS(10)
#define CALLS_PER_TICK 5
#define TICKS_PER_LINE 50

struct peer {
	char name[64];
	unsigned now, sum;
};

struct hammer {
	struct ctl *ctl;
	const char *key;
	struct peer peers[CTL_SERVERS_MAX];
	int peer_count, ticks, ticks_left;
	unsigned in_flight, calls, failed, repeated;
	struct minirpc_status first_failure;
	bool done;
};

/* A get on its way. */
struct shot {
	struct hammer *hammer;
	minirpc_call *call;
};

static struct peer *find_peer(struct hammer *hammer, const char *name)
{
	struct peer *peer;

	for (int i = 0; i < hammer->peer_count; i++)
		if (strcmp(hammer->peers[i].name, name) == 0)
			return &hammer->peers[i];
	if (hammer->peer_count == CTL_SERVERS_MAX)
		return &hammer->peers[0];
	peer = &hammer->peers[hammer->peer_count++];
	snprintf(peer->name, sizeof peer->name, "%s", name);
	return peer;
}

static void look_if_done(struct hammer *hammer)
{
	hammer->done = hammer->ticks_left == 0 && hammer->in_flight == 0;
}

static void on_got(const struct minirpc_status *status, const Rpc__GetResp *resp, void *user)
{
	struct shot *shot = user;
	struct hammer *hammer = shot->hammer;

	(void)resp;
	hammer->in_flight--;
	hammer->calls++;
	if (minirpc_call_attempt_count(shot->call) > 1)
		hammer->repeated++;
	if (status->code == MINIRPC_OK) {
		struct peer *peer = find_peer(hammer, minirpc_call_peer(shot->call));

		peer->now++;
		peer->sum++;
	} else if (hammer->failed++ == 0) {
		minirpc_status_copy(&hammer->first_failure, status);
	}
	free(shot);
	look_if_done(hammer);
}

static void shoot(struct hammer *hammer)
{
	struct minirpc_call_options options = hammer->ctl->call;
	Rpc__GetReq req = { RPC__GET_REQ__FIELDS, .key = (char *)(uintptr_t)hammer->key };
	struct shot *shot = calloc(1, sizeof *shot);

	if (shot == NULL)
		return;
	shot->hammer = hammer;
	options.ret_call = &shot->call;
	if (rpc_cache_get(hammer->ctl->channel, &req, &options, on_got, shot) == 0)
		hammer->in_flight++;
	else
		free(shot);
}

static void show(struct hammer *hammer)
{
	printf("%4.1f s ", (double)hammer->ticks * (double)TICK / 1e9);
	for (int i = 0; i < hammer->peer_count; i++) {
		printf("  %s %3u", hammer->peers[i].name, hammer->peers[i].now);
		hammer->peers[i].now = 0;
	}
	printf("  failed %u\n", hammer->failed);
	fflush(stdout);
}

static void on_tick(void *user)
{
	struct hammer *hammer = user;

	for (int i = 0; i < CALLS_PER_TICK; i++)
		shoot(hammer);
	if (++hammer->ticks % TICKS_PER_LINE == 0)
		show(hammer);
	if (--hammer->ticks_left > 0 &&
	    minirpc_timer_start(NULL, hammer->ctl->loop, TICK, on_tick, hammer) < 0)
		hammer->ticks_left = 0;
	look_if_done(hammer);
}

int ctl_hammer(struct ctl *ctl, char **args)
{
	double seconds = strtod(args[1], NULL);
	struct hammer hammer = { .ctl = ctl, .key = args[0], .first_failure = { .message = "" } };
	int r;

	if (!(seconds >= 0.5) || seconds > 3600)
		ctl_wrong_usage("hammer takes seconds from 0.5 to 3600, not '%s'", args[1]);
	hammer.ticks_left = (int)(seconds * 1e9 / (double)TICK);
	r = minirpc_timer_start(NULL, ctl->loop, TICK, on_tick, &hammer);
	if (r == 0)
		r = minirpc_loop_run_until(ctl->loop, &hammer.done);
	if (r < 0)
		return ctl_fail("hammer", r);
	printf("%u calls, %u failed, %u of them needed more than one attempt\n", hammer.calls,
	       hammer.failed, hammer.repeated);
	if (hammer.failed > 0)
		explain_status(&hammer.first_failure);
	minirpc_status_clear(&hammer.first_failure);
	return hammer.failed > 0;
}

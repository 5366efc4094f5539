/* SPDX-License-Identifier: MIT */
/* Many large calls: one after the other, each on a new channel, after long rests, all at once. */
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool one_iteration(struct client *client, long number)
{
	const struct soak *soak = &client->soak;
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS,
					   .body = BODY(soak->request_size) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = (int32_t)soak->response_size,
						 .payload = &payload };
	minirpc_time began = minirpc_loop_now(client->loop), took;
	char peer[64] = "";
	struct talk talk;
	bool ok;

	talk_open(&talk, client, &unary_call, NULL);
	talk_send(&talk, &request.base);
	talk_close(&talk);
	while (talk.call != NULL && talk.wrong == NULL) {
		talk_hear(&talk, talk.count + 1);
		if (talk.call != NULL)
			snprintf(peer, sizeof peer, "%s", minirpc_call_peer(talk.call));
	}
	ok = ended_with(&talk, MINIRPC_OK) &&
	     brought(&talk, (const int[]){ (int)soak->response_size }, 1);
	talk_clear(&talk);

	took = (minirpc_loop_now(client->loop) - began) / MINIRPC_MS(1);
	if (ok && took > soak->per_iteration_ms)
		ok = fail_case("soak iteration %ld took %lld ms", number, (long long)took);
	fprintf(stderr, "soak iteration: %ld elapsed_ms: %lld peer: %s %s\n", number,
		(long long)took, peer, ok ? "succeeded" : "failed");
	return ok;
}

static bool soak(struct client *client, bool new_channels)
{
	const struct soak *soak = &client->soak;
	minirpc_time began = minirpc_loop_now(client->loop);
	long done = 0, failures = 0;

	if (soak->request_size < 0 || soak->request_size > (long)sizeof body_zeros)
		return fail_case("--soak_request_size is at most %zu", sizeof body_zeros);
	if (soak->threads != 1)
		return fail_case("--soak_num_threads can only be 1: we have one loop");
	for (; done < soak->iterations; done++) {
		minirpc_time at = minirpc_loop_now(client->loop);

		if (at - began >= MINIRPC_S(soak->overall_s))
			break;
		if (new_channels && client->open_channel(client) < 0)
			return fail_case("no new channel");
		failures += !one_iteration(client, done);
		at += MINIRPC_MS(soak->min_ms_between);
		if (at > minirpc_loop_now(client->loop))
			client_rest(client, at - minirpc_loop_now(client->loop));
	}
	fprintf(stderr, "soak test: %ld of %ld iterations, %ld failures\n", done, soak->iterations,
		failures);
	if (done < soak->iterations)
		return fail_case("the soak test took longer than %ld s", soak->overall_s);
	return failures <= soak->max_failures || fail_case("too many failures");
}

static bool rpc_soak(struct client *client)
{
	return soak(client, false);
}

static bool channel_soak(struct client *client)
{
	return soak(client, true);
}

/* The connection does nothing for a while, again and again, and is still good. */
static bool long_lived_channel(struct client *client)
{
	for (long i = 0; i < client->soak.iterations; i++) {
		if (!large_unary(client))
			return false;
		client_rest(client, MINIRPC_MS(client->soak.min_ms_between));
	}
	return large_unary(client);
}

static bool concurrent_large_unary(struct client *client)
{
	enum { CALLS = 1000 };
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload };
	struct talk *talks = calloc(CALLS, sizeof *talks);
	bool ok = talks != NULL;

	for (int i = 0; talks != NULL && i < CALLS; i++) {
		talk_open(&talks[i], client, &unary_call, NULL);
		talk_send(&talks[i], &request.base);
		talk_close(&talks[i]);
	}
	for (int i = 0; talks != NULL && i < CALLS; i++) {
		talk_end(&talks[i]);
		ok = ok && ended_with(&talks[i], MINIRPC_OK) &&
		     brought(&talks[i], (const int[]){ 314159 }, 1);
		talk_clear(&talks[i]);
	}
	free(talks);
	return ok;
}

const struct test_case soak_cases[] = {
	{ "rpc_soak", rpc_soak },
	{ "channel_soak", channel_soak },
	{ "long_lived_channel", long_lived_channel },
	{ "concurrent_large_unary", concurrent_large_unary },
	{ 0 },
};

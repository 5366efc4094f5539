/* SPDX-License-Identifier: MIT */
/* Calls of more than one attempt: retries by policy, in their backoff, pushed back, throttled, cut off
 * in the middle and sent again; hedging, with attempts side by side. */
#include "scenario/telling.h"

#include "call/call.h"

#include <minirpc/service_config.h>

#include <stdio.h>
#include <string.h>

/* Backoffs are 100 and 200 ms, give or take a fifth. */
#define LONGEST MINIRPC_MS(240)

static const struct minirpc_retry_policy policy = {
	.max_attempts = 3,
	.initial_backoff = MINIRPC_MS(100),
	.max_backoff = MINIRPC_S(1),
	.backoff_multiplier = 2,
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_RESOURCE_EXHAUSTED),
};

static const struct minirpc_service_config config = {
	.methods = (const struct minirpc_method_config[]){ { .retry = &policy } },
	.method_count = 1,
	.max_tokens = 20,
	.token_ratio = 0.5,
};

static const struct world_options retrying = { .channel.service_config = &config };

static const struct world_options brief = {
	.channel = { .service_config = &config, .max_replay = 1000, .max_replay_total = 3000 }
};

/* The newest attempt is refused, and the next one is there. */
static void refuse_once(struct world *w, const struct probe *probe)
{
	unsigned attempts = w->served_count;

	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	world_expect(w, probe->ends == 0 && w->served_count == attempts);
	world_advance(w, LONGEST);
	world_expect(w, w->served_count == attempts + 1);
}

static void a_refused_request_is_made_again_after_its_backoff(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	refuse_once(w, probe);
	refuse_once(w, probe);
	world_expect(w, strcmp(world_served(w)->last, "hello") == 0);
	answer(w, "at last");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "at last") == 0);
	world_expect(w, w->served_count == 3);
}

static void the_last_refusal_is_the_calls_end(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	refuse_once(w, probe);
	refuse_once(w, probe);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	world_expect(w, probe->ends == 1 && strcmp(probe->text, "refused") == 0);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_UNAVAILABLE && w->served_count == 3);
}

/* Refused in the middle, and it goes on sending in the backoff. */
static void a_stream_of_requests_is_sent_again_from_its_beginning(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);
	char text[16];

	for (int i = 0; i < 6 && probe->call != NULL; i++) {
		snprintf(text, sizeof text, "request %d", i);
		minirpc_call_send(call, text, strlen(text));
		if (i == 2 || i == 4)
			refuse(w, MINIRPC_UNAVAILABLE, 0);
		world_settle(w);
		if (i == 3 || i == 5)
			world_advance(w, LONGEST);
	}
	world_expect(w, world_served(w)->messages == 6 && w->served_count == 3);
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	world_settle(w);
	world_expect(w, world_served(w)->half_closes == 1);
	answer(w, "all of them");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->messages == 1);
}

static void what_has_been_answered_is_not_repeated(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);

	if (call != NULL)
		minirpc_call_send(call, "one", 3);
	world_settle(w);
	if (handle_of(w) != NULL)
		minirpc_call_send(handle_of(w), "un", 2);
	world_settle(w);
	world_expect(w, probe->messages == 1);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_UNAVAILABLE && w->served_count == 1);
}

static void a_server_says_when_to_come_back_and_when_not_to(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	refuse(w, MINIRPC_UNAVAILABLE, MINIRPC_S(2));
	world_settle(w);
	world_advance(w, MINIRPC_S(2) - 1);
	world_expect(w, w->served_count == 1);
	world_advance(w, 1);
	world_expect(w, w->served_count == 2 && probe->ends == 0);
	refuse(w, MINIRPC_UNAVAILABLE, -1);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_UNAVAILABLE && w->served_count == 2);
}

static void the_deadline_ends_a_call_that_rests(struct world *w)
{
	struct probe *probe = new_probe();

	world_request(world_call(w, &world_ask, MINIRPC_MS(50), probe), "hello");
	world_settle(w);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	world_expect(w, probe->ends == 0);
	world_advance(w, MINIRPC_MS(50));
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_DEADLINE_EXCEEDED);
	wait_for_the_end(w);
	world_expect(w, w->served_count == 1);
}

static void a_call_that_rests_is_cancelled(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_ask, &probe);

	world_request(call, "hello");
	world_settle(w);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	if (probe->call != NULL)
		minirpc_call_cancel(call);
	probe->call = NULL;
	wait_for_the_end(w);
	world_expect(w, probe->ends == 0 && w->served_count == 1);
}

static void a_call_is_cancelled_in_its_second_attempt(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);

	if (call != NULL)
		minirpc_call_send(call, "one", 3);
	world_settle(w);
	refuse_once(w, probe);
	if (probe->call != NULL)
		minirpc_call_cancel(call);
	probe->call = NULL;
	world_settle(w);
	world_expect(w, world_served(w)->ends == 1 && world_served(w)->left == MINIRPC_CANCELLED);
	wait_for_the_end(w);
}

static void a_call_whose_connection_is_lost_goes_over_the_next_one(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	world_cut(w);
	world_settle(w);
	world_expect(w, probe->ends == 0);
	world_expect(w, w->served[0].ends == 1 && w->served[0].left == MINIRPC_CANCELLED);
	world_connect(w);
	world_advance(w, LONGEST);
	world_expect(w, w->served_count == 2);
	answer(w, "over the second one");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
}

/* The connection goes while half of a large request is on its way. */
static void a_large_request_is_cut_and_sent_again_whole(struct world *w)
{
	static char large[200000];
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_ask, &probe);

	if (call != NULL && minirpc_call_send(call, large, sizeof large) == 0)
		minirpc_call_end(call, NULL);
	w->up.stalled = true;
	world_settle(w);
	w->up.stalled = false;
	w->up.cut_after = w->up.moved + 100000;
	world_settle(w);
	w->up.cut_after = SIZE_MAX;
	world_connect(w);
	world_advance(w, LONGEST);
	world_expect(w, world_served(w)->bytes == sizeof large);
	answer(w, "got it");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
}

static void more_than_the_replay_buffer_commits_a_call(struct world *w)
{
	static char some[600];
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);

	for (int i = 0; i < 3 && probe->call != NULL; i++) {
		minirpc_call_send(call, some, sizeof some);
		world_settle(w);
	}
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_UNAVAILABLE && w->served_count == 1);
}

/* Each call keeps 900 bytes: there is room for three. */
static void a_channel_that_keeps_enough_repeats_no_more_calls(struct world *w)
{
	static char some[890];
	struct probe *probes[5];
	unsigned ended = 0;

	for (int i = 0; i < 5; i++) {
		minirpc_call *call = open_call(w, &world_hold, &probes[i]);

		if (call != NULL)
			minirpc_call_send(call, some, sizeof some);
	}
	world_settle(w);
	for (unsigned i = 0, n = w->served_count; i < n && i < WORLD_SERVED; i++) {
		minirpc_call *served = w->served[i].call;

		w->served[i].call = NULL;
		if (served != NULL)
			minirpc_call_fail(served, MINIRPC_UNAVAILABLE, "refused");
	}
	world_settle(w);
	for (int i = 0; i < 5; i++)
		ended += probes[i]->ends == 1;
	world_expect(w, ended == 2);
	wait_for_the_end(w);
	world_expect(w, w->served_count == 8);
}

/* It had its eleven tokens' worth of failures: half of the bucket is gone. */
static void failures_of_others_keep_a_call_from_its_retry(struct world *w)
{
	struct probe *probe;

	for (int i = 0; i < 10; i++) {
		world_request(open_call(w, &world_ask, &probe), "hello");
		world_settle(w);
		refuse(w, MINIRPC_UNAVAILABLE, -1);
		world_settle(w);
	}
	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_UNAVAILABLE);
	wait_for_the_end(w);
	world_expect(w, w->served_count == 11);
}

static void a_paused_call_is_repeated_and_tells_when_it_goes_on(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_ask, &probe);

	if (call != NULL)
		minirpc_call_pause(call);
	world_request(call, "hello");
	world_settle(w);
	refuse_once(w, probe);
	answer(w, "for later");
	world_settle(w);
	world_expect(w, probe->messages == 0 && probe->ends == 0);
	if (probe->call != NULL)
		minirpc_call_resume(call);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "for later") == 0);
}

static void a_channel_goes_with_calls_that_rest_and_calls_that_run(struct world *w)
{
	struct probe *resting, *running;

	world_request(open_call(w, &world_ask, &resting), "hello");
	world_settle(w);
	refuse(w, MINIRPC_UNAVAILABLE, 0);
	world_settle(w);
	open_call(w, &world_hold, &running);
	world_settle(w);
	w->client_end = NULL;
	minirpc_channel_free(w->channel);
	w->channel = NULL;
	resting->call = running->call = NULL;
	world_cut(w);
	world_settle(w);
	world_expect(w, world_served(w)->ends == 1);
	wait_for_the_end(w);
	world_expect(w, resting->ends == 0 && running->ends == 0);
}

/* Over its limit of streams a server refuses, and a channel that knows of the limit waits; each call is
 * made again by itself, which is none of the policy's attempts. */
static void a_draining_server_gives_calls_back_that_it_has_not_begun(struct world *w)
{
	struct probe *begun, *late;

	world_request(open_call(w, &world_ask, &begun), "begun");
	world_settle(w);
	w->is_drained = true;
	w->down.stalled = true;
	minirpc_server_drain(w->server, MINIRPC_S(20), NULL, NULL);
	world_settle(w);
	world_advance(w, MINIRPC_S(6));
	world_request(open_call(w, &world_ask, &late), "late");
	world_settle(w);
	w->down.stalled = false;
	world_settle(w);
	world_expect(w, w->served_count == 1 && late->ends == 0);
	answer(w, "done");
	world_settle(w);
	world_expect(w, begun->ends == 1 && begun->code == MINIRPC_OK);
	wait_for_the_end(w);
	world_expect(w, late->code == MINIRPC_DEADLINE_EXCEEDED && w->served_count == 1);
}

/* ---- Attempts side by side ---- */

static const struct minirpc_hedging_policy hedging_policy = {
	.max_attempts = 3,
	.delay = MINIRPC_MS(100),
	.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
};

static const struct minirpc_service_config hedging_config = {
	.methods = (const struct minirpc_method_config[]){ { .hedging = &hedging_policy } },
	.method_count = 1,
};

static const struct world_options hedging = { .channel.service_config = &hedging_config };

/* The handler's end of the n-th attempt. */
static minirpc_call *attempt(struct world *w, unsigned n)
{
	return w->served_count > n ? w->served[n].call : NULL;
}

static void finish(struct world *w, unsigned n, enum minirpc_code code, const char *text)
{
	minirpc_call *call = attempt(w, n);

	if (call == NULL)
		return;
	w->served[n].call = NULL;
	if (code == MINIRPC_OK)
		minirpc_call_send(call, text, strlen(text));
	minirpc_call_fail(call, code, "%s", text);
}

static struct probe *three_at_once(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_advance(w, MINIRPC_MS(250));
	world_expect(w, w->served_count == 3 && probe->ends == 0);
	return probe;
}

static void the_first_good_answer_of_three_wins(struct world *w)
{
	struct probe *probe = three_at_once(w);

	finish(w, 1, MINIRPC_OK, "second");
	world_settle(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "second") == 0);
	world_expect(w, w->served[0].ends == 1 && w->served[2].ends == 1);
	world_expect(w, w->served[0].left == MINIRPC_CANCELLED);
	wait_for_the_end(w);
}

static void two_answers_at_once_are_one(struct world *w)
{
	struct probe *probe = three_at_once(w);

	w->down.stalled = true;
	finish(w, 2, MINIRPC_OK, "third");
	finish(w, 0, MINIRPC_OK, "first");
	world_settle(w);
	w->down.stalled = false;
	wait_for_the_end(w);
	world_expect(w, probe->ends == 1 && probe->messages == 1 && probe->code == MINIRPC_OK);
}

static void a_fatal_answer_ends_them_all(struct world *w)
{
	struct probe *probe = three_at_once(w);

	finish(w, 2, MINIRPC_PERMISSION_DENIED, "no");
	world_settle(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_PERMISSION_DENIED);
	world_expect(w, attempt(w, 0) == NULL && attempt(w, 1) == NULL);
	wait_for_the_end(w);
}

static void a_failure_calls_the_next_one_at_once(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_settle(w);
	for (unsigned i = 0; i < 3; i++) {
		world_expect(w, w->served_count == i + 1);
		finish(w, i, MINIRPC_UNAVAILABLE, "not me");
		world_settle(w);
	}
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_UNAVAILABLE);
	wait_for_the_end(w);
}

static void a_hedged_call_is_cancelled_in_the_middle(struct world *w)
{
	struct probe *probe = three_at_once(w);

	if (probe->call != NULL)
		minirpc_call_cancel(probe->call);
	probe->call = NULL;
	world_settle(w);
	for (unsigned i = 0; i < 3; i++)
		world_expect(w, w->served[i].ends == 1 && w->served[i].left == MINIRPC_CANCELLED);
	wait_for_the_end(w);
}

static void a_deadline_ends_all_attempts(struct world *w)
{
	struct probe *probe = new_probe();

	world_request(world_call(w, &world_ask, MINIRPC_MS(150), probe), "hello");
	world_advance(w, MINIRPC_MS(150));
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_DEADLINE_EXCEEDED);
	wait_for_the_end(w);
	world_expect(w, w->served_count == 2 && attempt(w, 0) == NULL && attempt(w, 1) == NULL);
}

static void a_hedged_stream_reaches_each_attempt_whole(struct world *w)
{
	static char large[100000];
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);
	size_t sent = 0;

	for (int i = 0; i < 3 && probe->call != NULL; i++) {
		size_t len = i == 1 ? sizeof large : 7;

		if (minirpc_call_send(call, large, len) == 0)
			sent += len;
		world_advance(w, MINIRPC_MS(100));
	}
	for (unsigned i = 0; i < 3; i++)
		world_expect(w, w->served[i].bytes == sent);
	if (attempt(w, 1) != NULL)
		minirpc_call_send(attempt(w, 1), large, sizeof large);
	world_settle(w);
	world_expect(w, probe->messages == 1 && w->served[0].ends == 1);
	if (probe->call != NULL)
		minirpc_call_send(call, large, sizeof large);
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	world_settle(w);
	world_expect(w, w->served[1].bytes == sent + sizeof large);
	finish(w, 1, MINIRPC_OK, "done");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->messages == 2);
}

static void a_hedged_dump_is_held_off_by_its_reader(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_count, &probe);

	if (call != NULL)
		minirpc_call_pause(call);
	world_request(call, "300 10000");
	world_settle(w);
	world_expect(w, probe->messages == 0 && w->served[0].call != NULL);
	if (probe->call != NULL)
		minirpc_call_resume(call);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->messages == 300);
}

static void hedged_attempts_lose_their_connection(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_ask, &probe), "hello");
	world_advance(w, MINIRPC_MS(150));
	world_cut(w);
	world_settle(w);
	world_connect(w);
	world_settle(w);
	world_expect(w, w->served_count == 3 && probe->ends == 0);
	finish(w, 2, MINIRPC_OK, "third");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
}

static void a_channel_goes_with_hedged_calls(struct world *w)
{
	struct probe *probe = three_at_once(w);

	w->client_end = NULL;
	minirpc_channel_free(w->channel);
	w->channel = NULL;
	probe->call = NULL;
	world_cut(w);
	wait_for_the_end(w);
	world_expect(w, probe->ends == 0 && attempt(w, 2) == NULL);
}

#define RETRY(name)                                                                                \
	{                                                                                          \
#name, name, &retrying, NULL, NULL                                                 \
	}
#define HEDGE(name)                                                                                \
	{                                                                                          \
#name, name, &hedging, NULL, NULL                                                  \
	}

const struct story stories_of_attempts[] = {
	RETRY(a_refused_request_is_made_again_after_its_backoff),
	RETRY(the_last_refusal_is_the_calls_end),
	RETRY(a_stream_of_requests_is_sent_again_from_its_beginning),
	RETRY(what_has_been_answered_is_not_repeated),
	RETRY(a_server_says_when_to_come_back_and_when_not_to),
	RETRY(the_deadline_ends_a_call_that_rests),
	RETRY(a_call_that_rests_is_cancelled),
	RETRY(a_call_is_cancelled_in_its_second_attempt),
	RETRY(a_call_whose_connection_is_lost_goes_over_the_next_one),
	RETRY(a_large_request_is_cut_and_sent_again_whole),
	RETRY(failures_of_others_keep_a_call_from_its_retry),
	RETRY(a_paused_call_is_repeated_and_tells_when_it_goes_on),
	RETRY(a_channel_goes_with_calls_that_rest_and_calls_that_run),
	RETRY(a_draining_server_gives_calls_back_that_it_has_not_begun),
	{ "more_than_the_replay_buffer_commits_a_call", more_than_the_replay_buffer_commits_a_call,
	  &brief, NULL, NULL },
	{ "a_channel_that_keeps_enough_repeats_no_more_calls",
	  a_channel_that_keeps_enough_repeats_no_more_calls, &brief, NULL, NULL },
	HEDGE(the_first_good_answer_of_three_wins),
	HEDGE(two_answers_at_once_are_one),
	HEDGE(a_fatal_answer_ends_them_all),
	HEDGE(a_failure_calls_the_next_one_at_once),
	HEDGE(a_hedged_call_is_cancelled_in_the_middle),
	HEDGE(a_deadline_ends_all_attempts),
	HEDGE(a_hedged_stream_reaches_each_attempt_whole),
	HEDGE(a_hedged_dump_is_held_off_by_its_reader),
	HEDGE(hedged_attempts_lose_their_connection),
	HEDGE(a_channel_goes_with_hedged_calls),
	{ 0 },
};

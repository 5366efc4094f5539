/* SPDX-License-Identifier: MIT */
/* Calls of all kinds, deadlines, cancellation, drains, compression. */
#include "scenario/telling.h"

#include <minirpc/interceptor.h>

#include <stdio.h>
#include <string.h>

static void a_unary_call_is_answered(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_echo, &probe), "hello");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
	world_expect(w, strcmp(probe->last, "hello") == 0);
	world_expect(w, probe->headers == 1 && probe->messages == 1);
}

static void an_error_brings_its_text_and_trailers(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_fail, &probe), "100 % of \xC3\xBC\n");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_NOT_FOUND);
	world_expect(w, strcmp(probe->text, "100 % of \xC3\xBC\n") == 0);
	world_expect(w, strcmp(probe->trailer, "why") == 0);
	world_expect(w, probe->messages == 0);
}

static void an_unknown_method_is_unimplemented(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_missing, &probe), "?");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_UNIMPLEMENTED);
}

static void two_calls_share_a_connection(struct world *w)
{
	struct probe *first, *second;
	minirpc_call *held = open_call(w, &world_hold, &first);

	world_settle(w);
	world_request(open_call(w, &world_echo, &second), "overtaking");
	world_settle(w);
	world_expect(w, second->ends == 1 && second->code == MINIRPC_OK);
	world_expect(w, first->ends == 0);
	if (first->call != NULL)
		minirpc_call_cancel(held);
	first->call = NULL;
	wait_for_the_end(w);
}

static void a_deadline_ends_both_ends(struct world *w)
{
	struct probe *probe = new_probe();
	minirpc_call *call = world_call(w, &world_hold, MINIRPC_MS(50), probe);

	(void)call;
	world_settle(w);
	world_expect(w, probe->ends == 0);
	world_advance(w, MINIRPC_MS(50));
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_DEADLINE_EXCEEDED);
	world_expect(w, world_served(w) != NULL && world_served(w)->ends == 1);
	wait_for_the_end(w);
}

static void a_cancelled_call_reaches_the_handler(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);

	if (call != NULL)
		minirpc_call_send(call, "one", 3);
	world_settle(w);
	if (probe->call != NULL)
		minirpc_call_cancel(call);
	probe->call = NULL;
	world_settle(w);
	world_expect(w, probe->ends == 0);
	world_expect(w, world_served(w)->ends == 1 && world_served(w)->left == MINIRPC_CANCELLED);
	wait_for_the_end(w);
}

static void a_server_stream_arrives_in_order_and_whole(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_count, &probe), "50 3000");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
	world_expect(w, probe->messages == 50 && probe->bytes == 150000);
}

static void a_message_larger_than_the_window_passes(struct world *w)
{
	struct probe *probe;

	world_request(open_call(w, &world_count, &probe), "1 1500000");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->bytes == 1500000);
}

static void a_client_stream_is_summed_up(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_sum, &probe);

	for (int i = 0; i < 10 && probe->call != NULL; i++) {
		if (minirpc_call_send(call, "0123456789", (size_t)i) < 0)
			world_expect(w, false);
		world_settle(w);
	}
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
	world_expect(w, strcmp(probe->last, "45") == 0);
}

static void a_chat_goes_back_and_forth(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_chat, &probe);
	char text[16];

	for (int i = 0; i < 5 && probe->call != NULL; i++) {
		snprintf(text, sizeof text, "line %d", i);
		minirpc_call_send(call, text, strlen(text));
		world_settle(w);
		world_expect(w, probe->messages == i + 1 && strcmp(probe->last, text) == 0);
	}
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->messages == 5);
}

static void a_paused_reader_holds_the_writer_off(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_count, &probe);

	if (call != NULL)
		minirpc_call_pause(call);
	world_request(call, "100 100000");
	world_settle(w);
	world_expect(w, probe->messages == 0);
	world_expect(w, world_served(w)->call != NULL); /* ten million bytes do not fit anywhere */
	if (probe->call != NULL)
		minirpc_call_resume(call);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->messages == 100);
}

/* The small message's credit is too little to bother with, and the rest of the large one waits for
 * it. */
static void a_large_message_passes_behind_one_that_was_not_read(struct world *w)
{
	static char large[1500000];
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_chat, &probe);

	if (call != NULL)
		minirpc_call_pause(call);
	if (call != NULL && minirpc_call_send(call, "small", 5) == 0)
		minirpc_call_send(call, large, sizeof large);
	world_settle(w);
	world_expect(w, probe->messages == 0);
	if (probe->call != NULL)
		minirpc_call_resume(call);
	world_settle(w);
	world_expect(w, probe->messages == 2 && probe->bytes == 5 + sizeof large);
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
}

static void a_handler_answers_before_the_client_has_ended(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_call(w, &world_hold, &probe);

	if (call != NULL)
		minirpc_call_send(call, "begun", 5);
	world_settle(w);
	if (world_served(w) != NULL && world_served(w)->call != NULL) {
		minirpc_call_fail(world_served(w)->call, MINIRPC_ABORTED, "enough");
		world_served(w)->call = NULL;
	}
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_ABORTED && strcmp(probe->text, "enough") == 0);
}

static void a_lost_connection_ends_its_calls(struct world *w)
{
	struct probe *probe;

	open_call(w, &world_hold, &probe);
	world_settle(w);
	world_cut(w);
	world_settle(w);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_UNAVAILABLE);
	world_expect(w, world_served(w)->ends == 1 && world_served(w)->left == MINIRPC_CANCELLED);
	wait_for_the_end(w);
}

static void look_at_metadata(struct world *w, minirpc_call *served)
{
	const struct minirpc_metadata *metadata = minirpc_call_headers(served);

	world_expect(w, strcmp(minirpc_metadata_get(metadata, "k"), "1") == 0);
	world_expect(w, minirpc_metadata_find(metadata, "b-bin", NULL)->len == 2);
	world_expect(w, strcmp(minirpc_call_peer(served), "world:client") == 0);
}

static void metadata_travels_both_ways(struct world *w)
{
	const struct minirpc_field sent[] = {
		{ "k", "1", 0 }, { "k", "2", 0 }, { "b-bin", "\0\xFF", 2 }, { 0 }
	};
	struct probe *probe = new_probe();

	world_call_with(
		w, &world_hold,
		&(struct minirpc_call_options){ .timeout = MINIRPC_S(30), .metadata = sent },
		probe);
	world_settle(w);
	world_expect(w, handle_of(w) != NULL);
	if (handle_of(w) != NULL) {
		look_at_metadata(w, handle_of(w));
		minirpc_call_send_headers(handle_of(w),
					  (const struct minirpc_field[]){ { "h", "v", 0 }, { 0 } });
	}
	world_settle(w);
	world_expect(w, probe->headers == 1);
	if (handle_of(w) != NULL) {
		minirpc_call_set_trailers(handle_of(w), (const struct minirpc_field[]){
								{ "x-trailer", "t", 0 }, { 0 } });
		minirpc_call_end(handle_of(w), NULL);
		world_served(w)->call = NULL;
	}
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->trailer, "t") == 0);
}

static void on_drained(minirpc_server *server, void *user)
{
	(void)server;
	*(bool *)user = true;
}

static void a_drained_server_finishes_what_it_began(struct world *w)
{
	struct probe *probe;
	bool drained = false;

	open_call(w, &world_hold, &probe);
	world_settle(w);
	w->is_drained = true;
	minirpc_server_drain(w->server, MINIRPC_S(20), on_drained, &drained);
	world_settle(w);
	world_expect(w, !drained && probe->ends == 0);
	if (world_served(w) != NULL && world_served(w)->call != NULL) {
		minirpc_call_end(world_served(w)->call, NULL);
		world_served(w)->call = NULL;
	}
	wait_for_the_end(w);
	world_expect(w, drained);
	world_expect(w, probe->ends == 1 && probe->code == MINIRPC_OK);
}

/* The client does not read, so neither of the GOAWAYs reaches it, and it opens one more call. When it
 * hears at last that the server has not taken that call, this must be true. */
static void what_a_draining_server_disowns_it_has_not_done(struct world *w)
{
	struct probe *held, *late;
	unsigned served;

	open_call(w, &world_hold, &held);
	world_settle(w);
	served = w->served_count;
	w->is_drained = true;
	w->down.stalled = true;
	minirpc_server_drain(w->server, MINIRPC_S(50), NULL, NULL);
	world_settle(w);
	world_advance(w,
		      MINIRPC_S(6)); /* as long as it waits for an answer to its PING, and more */
	world_request(open_call(w, &world_echo, &late), "late");
	world_settle(w);
	w->down.stalled = false;
	world_settle(w);
	ck_assert_uint_eq(w->served_count, served);
	world_expect(w, held->ends == 0);
	world_expect(w, late->ends == 0); /* it waits for another server */
	wait_for_the_end(w);
	world_expect(w, late->code == MINIRPC_DEADLINE_EXCEEDED);
}

static minirpc_call *open_compressed(struct world *w, const struct minirpc_method *method,
				     size_t max_receive_message, struct probe **probe)
{
	*probe = new_probe();
	return world_call_with(w, method,
			       &(struct minirpc_call_options){
				       .timeout = MINIRPC_S(30),
				       .compression = "gzip",
				       .max_receive_message = max_receive_message,
			       },
			       *probe);
}

static void a_compressed_call_is_answered_in_kind(struct world *w)
{
	struct probe *probe;

	world_request(open_compressed(w, &world_echo, 0, &probe), "hello hello hello");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->compressed == 1);
	world_expect(w, strcmp(probe->last, "hello hello hello") == 0);
	world_expect(w, world_served(w)->compressed == 1);
}

static void a_secret_of_a_chat_is_not_compressed(struct world *w)
{
	struct probe *probe;
	minirpc_call *call = open_compressed(w, &world_chat, 0, &probe);
	static const char *const lines[] = { "in the open", "the secret", "in the open" };

	for (int i = 0; i < 3 && probe->call != NULL; i++) {
		minirpc_call_compress(call, i != 1);
		minirpc_call_send(call, lines[i], strlen(lines[i]));
		world_settle(w);
		world_expect(w, probe->messages == i + 1 && strcmp(probe->last, lines[i]) == 0);
	}
	world_expect(w, world_served(w)->messages == 3 && world_served(w)->compressed == 2);
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && probe->compressed == 3);
}

static void large_messages_that_shrink_arrive_whole(struct world *w)
{
	struct probe *probe;

	world_request(open_compressed(w, &world_count, 0, &probe), "2 300000");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK);
	world_expect(w, probe->compressed == 2 && probe->bytes == 2 * 300000);
}

static void what_inflates_beyond_the_limit_ends_its_call(struct world *w)
{
	struct probe *probe;

	world_request(open_compressed(w, &world_count, 299999, &probe), "2 300000");
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_RESOURCE_EXHAUSTED && probe->messages == 0);
	world_expect(w, world_served(w)->call == NULL);
}

/* The channel's config may not be there when memory is short; then the calls' own deadlines count. */
static void a_config_ends_a_call_and_another_one_lets_the_next_pass(struct world *w)
{
	static const char brief[] =
		"{\"methodConfig\":[{\"name\":[{}],\"timeout\":\"0.05s\",\"waitForReady\":true,"
		"\"retryPolicy\":{\"maxAttempts\":3,\"initialBackoff\":\"0.01s\",\"maxBackoff\":"
		"\"1s\","
		"\"backoffMultiplier\":2,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}";
	struct probe *first, *second;
	minirpc_call *held;

	minirpc_channel_set_service_config(w->channel, brief, NULL, 0);
	held = open_call(w, &world_hold, &first);
	(void)held;
	world_settle(w);
	minirpc_channel_set_service_config(w->channel, "{\"methodConfig\":[]}", NULL, 0);
	world_expect(w, first->ends == 0);
	world_advance(w, MINIRPC_MS(50));
	world_expect(w, first->ends == 1 && first->code == MINIRPC_DEADLINE_EXCEEDED);
	world_request(open_call(w, &world_echo, &second), "hello");
	wait_for_the_end(w);
	world_expect(w, second->code == MINIRPC_OK);
}

/* ---- Interceptors ---- */

/* Holds every part of its call, in both directions, until the story resumes it; stops it at `stop`. */
struct holder {
	minirpc_hook *hook; /* NULL: nothing seen yet, or closed */
	int parts, closes, stop;
};

static enum minirpc_verdict hold_part(minirpc_hook *hook, const struct minirpc_part *part,
				      void *user)
{
	struct holder *holder = user;

	(void)part;
	ck_assert_int_eq(holder->closes, 0);
	holder->hook = hook;
	if (++holder->parts != holder->stop)
		return MINIRPC_HOLD;
	minirpc_hook_set_status(hook, &(struct minirpc_status){ MINIRPC_ABORTED, "stopped" });
	return MINIRPC_STOP;
}

static void hold_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct holder *holder = user;

	(void)status;
	ck_assert_ptr_eq(holder->hook, hook);
	holder->hook = NULL;
	holder->closes++;
}

static const struct minirpc_interceptor holding = {
	.name = "holding",
	.on_send = hold_part,
	.on_receive = hold_part,
	.on_close = hold_close,
};

/* A chat under two holders; each part goes on only when both have been asked to let it. */
static void chat_held(struct world *w, struct probe *probe, struct holder holders[2])
{
	const struct minirpc_use uses[] = { { &holding, &holders[0] },
					    { &holding, &holders[1] },
					    { NULL } };
	const struct minirpc_call_options options = { .timeout = MINIRPC_S(30),
						      .interceptors = uses };
	minirpc_call *call = world_call_with(w, &world_chat, &options, probe);

	world_request(call, "hello");
	world_settle(w);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 2; i++)
			if (holders[i].hook != NULL) {
				minirpc_hook_resume(holders[i].hook, true, NULL);
				minirpc_hook_resume(holders[i].hook, false, NULL);
			}
		world_settle(w);
	}
	wait_for_the_end(w);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(holders[i].closes, holders[i].parts > 0);
}

static void interceptors_hold_and_resume_every_part(struct world *w)
{
	struct holder holders[2] = { { 0 }, { 0 } };
	struct probe *probe = new_probe();

	chat_held(w, probe, holders);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "hello") == 0);
	world_expect(w, holders[0].parts == 6 && holders[1].parts == 6);
}

static void an_interceptor_stops_a_call_at_each_of_its_parts(struct world *w)
{
	for (int stop = 1; stop <= 6; stop++) {
		struct holder holders[2] = { { 0 }, { .stop = stop } };
		struct probe *probe = new_probe();

		chat_held(w, probe, holders);
		world_expect(w, probe->code == MINIRPC_ABORTED);
		world_expect(w, holders[1].parts == stop);
	}
}

/* ---- Retries and hedges ---- */

/* The handler of a bidi call ends it. */
static void fail_served(struct served *served, enum minirpc_code code)
{
	minirpc_call *call = served == NULL ? NULL : served->call;

	if (call == NULL)
		return;
	served->call = NULL;
	if (code == MINIRPC_OK && minirpc_call_send(call, "done", 4) < 0)
		code = MINIRPC_RESOURCE_EXHAUSTED;
	minirpc_call_fail(call, code, "as told");
}

#define POLICY(words) "{\"methodConfig\":[{\"name\":[{}]," words "}]}"

/* */
static void a_failed_attempt_is_repeated_with_all_that_was_sent(struct world *w)
{
	static const char retry[] =
		POLICY("\"retryPolicy\":{\"maxAttempts\":3,\"initialBackoff\":\"0.1s\","
		       "\"maxBackoff\":\"1s\","
		       "\"backoffMultiplier\":2,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}");
	struct probe *probe;
	minirpc_call *call;

	minirpc_channel_set_service_config(w->channel, retry, NULL, 0);
	call = open_call(w, &world_hold, &probe);
	if (call != NULL)
		minirpc_call_send(call, "one", 3);
	world_settle(w);
	fail_served(world_served(w), MINIRPC_UNAVAILABLE);
	world_settle(w);
	if (probe->call != NULL)
		minirpc_call_send(call, "two", 3);
	world_advance(w, MINIRPC_MS(121));
	world_expect(w, w->served_count == 2 && probe->ends == 0);
	world_expect(w, world_served(w)->messages == 2);
	fail_served(world_served(w), MINIRPC_UNAVAILABLE);
	world_advance(w, MINIRPC_MS(241));
	world_expect(w, w->served_count == 3 && world_served(w)->messages == 2);
	if (probe->call != NULL)
		minirpc_call_end(call, NULL);
	world_settle(w);
	fail_served(world_served(w), MINIRPC_OK);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "done") == 0);
}

/* What was lost with its connection is repeated on the next one, and a call that is given up while it waits
 * is gone. */
static void a_lost_call_is_repeated_on_another_connection(struct world *w)
{
	static const char retry[] = POLICY(
		"\"waitForReady\":true,\"retryPolicy\":{\"maxAttempts\":3,\"initialBackoff\":\"0."
		"1s\","
		"\"maxBackoff\":\"1s\",\"backoffMultiplier\":2,\"retryableStatusCodes\":[14]}");
	struct probe *first, *second;
	minirpc_call *given_up;

	minirpc_channel_set_service_config(w->channel, retry, NULL, 0);
	open_call(w, &world_hold, &first);
	given_up = open_call(w, &world_hold, &second);
	world_settle(w);
	world_cut(w);
	world_settle(w);
	world_expect(w, first->ends == 0 && second->ends == 0);
	if (second->call != NULL)
		minirpc_call_cancel(given_up);
	second->call = NULL;
	world_connect(w);
	world_advance(w, MINIRPC_MS(121));
	world_expect(w, w->served_count == 3);
	fail_served(world_served(w), MINIRPC_OK);
	wait_for_the_end(w);
	world_expect(w, first->code == MINIRPC_OK);
}

/* */
static void the_first_good_answer_of_several_wins(struct world *w)
{
	static const char hedging[] =
		POLICY("\"hedgingPolicy\":{\"maxAttempts\":3,\"hedgingDelay\":\"0.05s\","
		       "\"nonFatalStatusCodes\":[\"UNAVAILABLE\"]}");
	struct served *second = NULL;
	struct probe *probe;
	minirpc_call *call;

	minirpc_channel_set_service_config(w->channel, hedging, NULL, 0);
	call = open_call(w, &world_hold, &probe);
	if (call != NULL)
		minirpc_call_send(call, "one", 3);
	world_settle(w);
	world_advance(w, MINIRPC_MS(50));
	world_expect(w, w->served_count == 2);
	if (w->served_count == 2)
		second = world_served(w);
	fail_served(&w->served[0], MINIRPC_UNAVAILABLE); /* so the third comes at once */
	world_settle(w);
	world_expect(w, w->served_count == 3 && probe->ends == 0);
	if (probe->call != NULL)
		minirpc_call_send(call, "two", 3);
	world_settle(w);
	if (second != NULL && second->call != NULL)
		minirpc_call_send(second->call, "mine", 4);
	world_settle(w);
	world_expect(w, probe->messages == 1 && strcmp(probe->last, "mine") == 0);
	world_expect(w, w->served[2].left == MINIRPC_CANCELLED);
	if (probe->call != NULL)
		minirpc_call_send(call, "three", 5);
	world_settle(w);
	world_expect(w, second->messages == 3);
	fail_served(second, MINIRPC_OK);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "done") == 0);
}

static unsigned attempts_begun, attempts_closed;

static enum minirpc_verdict count_begun(minirpc_hook *hook, const struct minirpc_part *part,
					void *user)
{
	(void)hook;
	(void)user;
	attempts_begun += part->kind == MINIRPC_PART_HEADERS;
	return MINIRPC_PASS;
}

static void count_closed(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	(void)hook;
	(void)status;
	(void)user;
	attempts_closed++;
}

static void an_interceptor_sees_every_attempt(struct world *w)
{
	static const struct minirpc_interceptor counter = {
		.name = "counter",
		.per_attempt = true,
		.on_send = count_begun,
		.on_close = count_closed,
	};
	static const struct minirpc_use uses[] = { { &counter, NULL }, { NULL, NULL } };
	static const char retry[] =
		POLICY("\"retryPolicy\":{\"maxAttempts\":2,\"initialBackoff\":\"0.1s\","
		       "\"maxBackoff\":\"1s\","
		       "\"backoffMultiplier\":2,\"retryableStatusCodes\":[\"UNAVAILABLE\"]}");
	struct probe *probe = new_probe();
	minirpc_call *call;

	attempts_begun = attempts_closed = 0;
	minirpc_channel_set_service_config(w->channel, retry, NULL, 0);
	call = world_call_with(
		w, &world_hold,
		&(struct minirpc_call_options){ .timeout = MINIRPC_S(30), .interceptors = uses },
		probe);
	if (call != NULL)
		minirpc_call_send(call, "one", 3);
	world_settle(w);
	fail_served(world_served(w), MINIRPC_UNAVAILABLE);
	world_settle(w);
	world_advance(w, MINIRPC_MS(121));
	world_expect(w, attempts_begun == 2);
	fail_served(world_served(w), MINIRPC_OK);
	wait_for_the_end(w);
	world_expect(w, probe->code == MINIRPC_OK && strcmp(probe->last, "done") == 0);
	ck_assert_uint_eq(attempts_begun, attempts_closed);
}

const struct story stories_of_calls[] = {
	{ "a_unary_call_is_answered", a_unary_call_is_answered },
	{ "an_error_brings_its_text_and_trailers", an_error_brings_its_text_and_trailers },
	{ "an_unknown_method_is_unimplemented", an_unknown_method_is_unimplemented },
	{ "two_calls_share_a_connection", two_calls_share_a_connection },
	{ "a_deadline_ends_both_ends", a_deadline_ends_both_ends },
	{ "a_cancelled_call_reaches_the_handler", a_cancelled_call_reaches_the_handler },
	{ "a_server_stream_arrives_in_order_and_whole",
	  a_server_stream_arrives_in_order_and_whole },
	{ "a_message_larger_than_the_window_passes", a_message_larger_than_the_window_passes },
	{ "a_client_stream_is_summed_up", a_client_stream_is_summed_up },
	{ "a_chat_goes_back_and_forth", a_chat_goes_back_and_forth },
	{ "a_paused_reader_holds_the_writer_off", a_paused_reader_holds_the_writer_off },
	{ "a_large_message_passes_behind_one_that_was_not_read",
	  a_large_message_passes_behind_one_that_was_not_read },
	{ "a_handler_answers_before_the_client_has_ended",
	  a_handler_answers_before_the_client_has_ended },
	{ "a_compressed_call_is_answered_in_kind", a_compressed_call_is_answered_in_kind },
	{ "a_secret_of_a_chat_is_not_compressed", a_secret_of_a_chat_is_not_compressed },
	{ "large_messages_that_shrink_arrive_whole", large_messages_that_shrink_arrive_whole },
	{ "what_inflates_beyond_the_limit_ends_its_call",
	  what_inflates_beyond_the_limit_ends_its_call },
	{ "interceptors_hold_and_resume_every_part", interceptors_hold_and_resume_every_part },
	{ "an_interceptor_stops_a_call_at_each_of_its_parts",
	  an_interceptor_stops_a_call_at_each_of_its_parts },
	{ "a_lost_connection_ends_its_calls", a_lost_connection_ends_its_calls },
	{ "metadata_travels_both_ways", metadata_travels_both_ways },
	{ "a_drained_server_finishes_what_it_began", a_drained_server_finishes_what_it_began },
	{ "what_a_draining_server_disowns_it_has_not_done",
	  what_a_draining_server_disowns_it_has_not_done },
	{ "a_failed_attempt_is_repeated_with_all_that_was_sent",
	  a_failed_attempt_is_repeated_with_all_that_was_sent },
	{ "a_lost_call_is_repeated_on_another_connection",
	  a_lost_call_is_repeated_on_another_connection },
	{ "the_first_good_answer_of_several_wins", the_first_good_answer_of_several_wins },
	{ "an_interceptor_sees_every_attempt", an_interceptor_sees_every_attempt },
	{ "a_config_ends_a_call_and_another_one_lets_the_next_pass",
	  a_config_ends_a_call_and_another_one_lets_the_next_pass },
	{ 0 },
};

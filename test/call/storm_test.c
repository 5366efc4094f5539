/* SPDX-License-Identifier: MIT */
/* Storm: calls under interceptors that do, at every part, whatever comes to their minds: pass, hold, stop,
 * change what they see, use verbs of the call, resume what others hold, free what they stand in. Each storm
 * follows from its number. Nothing is expected of the calls but the rules: every hook that saw something is
 * closed exactly once and last, every call of a client that was not cancelled ends once, and nothing is left. */
#include "run_suite.h"
#include "world/alloc_fail.h"
#include "world/world.h"

#include <string.h>

#define STORMS 1000
#define FORKS 10
#define HOOKS 64
#define CALLS 6

static struct storm {
	uint64_t random;
	struct world *w;
	minirpc_hook *hooks[HOOKS]; /* that have seen something and are not closed */
	unsigned opens, closes;
	unsigned seen; /* of what hooks were shown, so that it is read */
	struct probe probes[CALLS];
	bool cancelled[CALLS];
	bool calm; /* all pass from now on */
	bool may_free;
	unsigned frees;
} storm;

/* In each call. */
struct data {
	unsigned slot; /* + 1; 0: none */
	bool closed;
};

static unsigned dice(unsigned sides)
{
	uint64_t z = (storm.random += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (unsigned)((z ^ (z >> 31)) % sides);
}

static const struct minirpc_status *some_status(void)
{
	static const struct minirpc_status some[] = {
		{ .code = MINIRPC_PERMISSION_DENIED, .message = "not you" },
		{ .code = MINIRPC_OK, .message = "" },
		{ .code = MINIRPC_ABORTED, .message = NULL, .details = "xyz", .details_len = 3 },
	};

	return &some[dice(3)];
}

static void free_something(void)
{
	struct world *w = storm.w;

	storm.frees++;
	if (dice(2) == 0) {
		w->client_end = NULL;
		w->channel = minirpc_channel_free(w->channel);
	} else {
		w->server_end = NULL;
		w->server = minirpc_server_free(w->server);
	}
}

static void resume_one(void)
{
	minirpc_hook *hook = storm.hooks[dice(HOOKS)];

	if (hook != NULL)
		minirpc_hook_resume(hook, dice(2), dice(6) == 0 ? some_status() : NULL);
}

static void change(minirpc_hook *hook)
{
	static const char bytes[3000];

	switch (dice(5)) {
	case 0:
		minirpc_hook_set_message(hook, bytes, dice(sizeof bytes));
		break;
	case 1:
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "x-storm", "1", 0 });
		break;
	case 2:
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "x-storm-bin", bytes, 7 });
		break;
	case 3:
		minirpc_hook_remove_metadata(hook, "x-storm");
		break;
	default:
		minirpc_hook_set_status(hook, some_status());
		break;
	}
}

static void use_verb(minirpc_call *call)
{
	switch (dice(9)) {
	case 0:
		minirpc_call_pause(call);
		break;
	case 1:
		minirpc_call_resume(call);
		break;
	case 2:
		minirpc_call_send(call, "storm", 5);
		break;
	case 3:
		minirpc_call_abort(call, some_status());
		break;
	case 4:
		if (!minirpc_call_is_server(call))
			minirpc_call_end(call, NULL);
		break;
	case 5:
		minirpc_call_send_headers(call, NULL);
		break;
	case 6:
		minirpc_call_set_trailers(call,
					  (struct minirpc_field[]){ { "x-t", "1", 0 }, { NULL } });
		break;
	case 7:
		minirpc_call_set_pushback(call, MINIRPC_MS(5));
		break;
	default:
		minirpc_call_compress(call, dice(2));
		break;
	}
}

/* What a hook sees must be there, also after whatever it did. */
static void look_at(const struct minirpc_part *part)
{
	unsigned sum = 0;

	for (size_t i = 0; i < part->len; i++)
		sum += ((const unsigned char *)part->data)[i];
	for (size_t i = 0; i < minirpc_metadata_count(part->metadata); i++)
		sum += (unsigned)strlen(minirpc_metadata_at(part->metadata, i)->key);
	if (part->status != NULL && part->status->message != NULL)
		sum += (unsigned)strlen(part->status->message);
	storm.seen += sum;
}

static void act(minirpc_hook *hook, bool sent)
{
	switch (dice(7)) {
	case 0:
		resume_one();
		break;
	case 1:
		minirpc_hook_resume(hook, sent, dice(4) == 0 ? some_status() : NULL);
		break;
	case 2:
	case 3:
		use_verb(minirpc_hook_call(hook));
		break;
	default:
		change(hook);
		break;
	}
}

static enum minirpc_verdict see(minirpc_hook *hook, const struct minirpc_part *part, bool sent)
{
	struct data *data = minirpc_hook_data(hook);

	ck_assert(!data->closed);
	look_at(part);
	if (data->slot == 0) {
		storm.opens++;
		while (storm.hooks[data->slot] != NULL)
			data->slot++;
		ck_assert_uint_lt(data->slot, HOOKS);
		storm.hooks[data->slot++] = hook;
	}
	if (storm.calm)
		return MINIRPC_PASS;
	if (storm.may_free && storm.frees == 0 && dice(50) == 0) {
		free_something();
		return (enum minirpc_verdict)dice(3);
	}
	for (unsigned n = dice(4); n > 0; n--)
		act(hook, sent);
	look_at(part);
	return (enum minirpc_verdict)(dice(12) == 0  ? MINIRPC_STOP
				      : dice(3) == 0 ? MINIRPC_HOLD
						     : MINIRPC_PASS);
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	(void)user;
	return see(hook, part, true);
}

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	(void)user;
	return see(hook, part, false);
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct data *data = minirpc_hook_data(hook);

	(void)user;
	ck_assert(!data->closed && data->slot > 0);
	ck_assert_uint_le(status->code, MINIRPC_UNAUTHENTICATED);
	data->closed = true;
	storm.closes++;
	storm.hooks[data->slot - 1] = NULL;
	change(hook);
	minirpc_hook_resume(hook, dice(2), NULL);
	if (dice(3) == 0)
		resume_one();
}

static const struct minirpc_interceptor stormy = { .name = "stormy",
						   .data_size = sizeof(struct data),
						   .on_send = on_send,
						   .on_receive = on_receive,
						   .on_close = on_close };

static const struct minirpc_use two[] = { { &stormy, NULL }, { &stormy, NULL }, { NULL } };
static const struct minirpc_use one[] = { { &stormy, NULL }, { NULL } };

static void open_calls(void)
{
	static const struct minirpc_method *const methods[] = { &world_echo, &world_fail,
								&world_chat, &world_count,
								&world_sum,  &world_missing };
	const struct minirpc_call_options options = { .timeout = MINIRPC_S(1),
						      .interceptors = one };

	for (int i = 0; i < CALLS; i++) {
		minirpc_call *call;

		if (storm.w->channel == NULL)
			return;
		call = world_call_with(storm.w, methods[dice(6)], &options, &storm.probes[i]);
		minirpc_call_send(call, "3 50", 4);
		if (dice(4) > 0)
			minirpc_call_end(call, NULL);
		if (dice(2) == 0)
			world_settle(storm.w);
	}
}

static void go_on(void)
{
	struct probe *probe = &storm.probes[dice(CALLS)];

	switch (dice(6)) {
	case 0:
		if (dice(8) == 0 && storm.w->channel != NULL && probe->call != NULL &&
		    probe->ends == 0) {
			storm.cancelled[probe - storm.probes] = true;
			minirpc_call_cancel(probe->call);
			probe->call = NULL;
		}
		break;
	case 1:
		if (storm.w->channel != NULL && probe->call != NULL)
			minirpc_call_end(probe->call, NULL);
		break;
	case 2:
		if (dice(20) == 0)
			world_cut(storm.w);
		break;
	default:
		resume_one();
		break;
	}
	if (dice(2) == 0)
		world_settle(storm.w);
}

static void check_ends(void)
{
	struct world *w = storm.w;

	if (w->channel != NULL)
		for (int i = 0; i < CALLS; i++)
			ck_assert_int_eq(storm.probes[i].ends + storm.cancelled[i], 1);
	if (w->server != NULL) {
		world_cut(w);
		world_settle(w);
		ck_assert_uint_eq(minirpc_server_open_calls(w->server), 0);
		ck_assert_uint_eq(minirpc_server_memory(w->server), 0);
	}
	ck_assert_uint_eq(storm.closes, storm.opens);
}

static void rage(unsigned number)
{
	storm = (struct storm){ .random = number, .may_free = number % 2 == 1 };
	storm.w = world_new_with(&(struct world_options){
		.server = { .interceptors = two,
			    .send_queue = 100,
			    .max_memory = number % 5 == 0 ? 40000 : 0 },
		.channel = { .interceptors = two,
			     .send_queue = 100,
			     .compression = number % 3 == 0 ? "gzip" : NULL },
	});
	storm.w->up.chop = storm.w->down.chop = number % 7 == 0 ? 3 : 0;
	open_calls();
	for (int i = 0; i < 60; i++)
		go_on();
	/* The deadline ends what is held for ever. */
	storm.calm = true;
	world_advance(storm.w, MINIRPC_S(3));
	check_ends();
	world_free(storm.w);
	ck_assert_uint_eq(storm.closes, storm.opens);
	ck_assert_int_eq(alloc_live(), 0);
}

START_TEST(whatever_interceptors_do_each_is_closed_once_and_nothing_is_left)
{
	for (unsigned i = 0; i < STORMS / FORKS; i++)
		rage((unsigned)_i + i * FORKS);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("call/storm");
	TCase *tc = tcase_create("storm");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, whatever_interceptors_do_each_is_closed_once_and_nothing_is_left, 0,
			    FORKS);
	suite_add_tcase(suite, tc);
	return suite;
}

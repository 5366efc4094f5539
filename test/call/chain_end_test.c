/* SPDX-License-Identifier: MIT */
/* How calls with interceptors end: stopped at any part, or by whatever else ends a call while a part is
 * held. Every hook that saw something hears of it exactly once, and last. */
#include "call/script.h"
#include "run_suite.h"
#include "world/alloc_fail.h"
#include "world/world.h"

#include <stdio.h>
#include <string.h>

/* a, b on the channel; s, t on the server. The spots are b's and t's: others come before and behind. */
static struct script a, b, s, t;
static struct script *const all[] = { &a, &b, &s, &t };
#define SCRIPTS (int)(sizeof all / sizeof *all)

static const struct minirpc_use on_channel[] = { { &scripted, &a }, { &scripted, &b }, { NULL } };
static const struct minirpc_use on_server[] = { { &scripted, &s }, { &scripted, &t }, { NULL } };

static const struct minirpc_status denied = { .code = MINIRPC_PERMISSION_DENIED,
					      .message = "not you" };

static const struct spot {
	struct script *script;
	bool sent;
	enum minirpc_part_kind kind;
} spots[] = {
	{ &b, true, MINIRPC_PART_HEADERS },  { &b, true, MINIRPC_PART_MESSAGE },
	{ &b, true, MINIRPC_PART_END },      { &b, false, MINIRPC_PART_HEADERS },
	{ &b, false, MINIRPC_PART_MESSAGE }, { &b, false, MINIRPC_PART_END },
	{ &t, true, MINIRPC_PART_HEADERS },  { &t, true, MINIRPC_PART_MESSAGE },
	{ &t, true, MINIRPC_PART_END },      { &t, false, MINIRPC_PART_HEADERS },
	{ &t, false, MINIRPC_PART_MESSAGE }, { &t, false, MINIRPC_PART_END },
};
#define SPOTS (int)(sizeof spots / sizeof *spots)

static void set_verdict(const struct spot *spot, enum minirpc_verdict verdict)
{
	(spot->sent ? spot->script->send : spot->script->receive)[spot->kind] = verdict;
}

static bool is_at(const struct spot *spot, const struct minirpc_part *part, bool sent)
{
	return part->kind == spot->kind && sent == spot->sent;
}

static struct world *open_world(bool faulty)
{
	static const char *const names[] = { "a", "b", "s", "t" };

	script_log[0] = '\0';
	for (int i = 0; i < SCRIPTS; i++)
		*all[i] = (struct script){ .name = names[i] };
	return world_new_with(&(struct world_options){ .server = { .interceptors = on_server },
						       .channel = { .interceptors = on_channel },
						       .faulty = faulty });
}

static void check_closes(void)
{
	for (int i = 0; i < SCRIPTS; i++) {
		ck_assert_int_eq(all[i]->closes, all[i]->opens);
		ck_assert(!all[i]->bad_order);
	}
}

static void close_world(struct world *w)
{
	if (w->server != NULL) {
		world_cut(w);
		world_settle(w);
		ck_assert_uint_eq(minirpc_server_memory(w->server), 0);
		ck_assert_uint_eq(minirpc_server_open_calls(w->server), 0);
	}
	world_free(w);
	check_closes();
	ck_assert_int_eq(alloc_live(), 0);
}

/* As the owners of the two ends: a connection is gone with them. */
static void drop_channel(struct world *w)
{
	w->client_end = NULL;
	w->channel = minirpc_channel_free(w->channel);
}

static void drop_server(struct world *w)
{
	w->server_end = NULL;
	w->server = minirpc_server_free(w->server);
}

static minirpc_call *chat(struct world *w, struct probe *probe)
{
	minirpc_call *call = world_call(w, &world_chat, MINIRPC_S(30), probe);

	if (call != NULL) {
		minirpc_call_send(call, "hello", 5);
		minirpc_call_end(call, NULL);
	}
	world_settle(w);
	return call;
}

/* ---- Stop ---- */

/* Stopped with `denied` at this spot: at once, from inside before HOLD, or later. */
static void check_stopped(struct world *w, const struct spot *spot, const struct probe *probe)
{
	const struct served *served = world_served(w);
	bool client = spot->script == &b;

	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_PERMISSION_DENIED);
	ck_assert_str_eq(probe->text, "not you");
	for (int i = 0; i < SCRIPTS; i++)
		ck_assert_int_eq(all[i]->closes, all[i]->opens);
	ck_assert_int_eq(a.code, MINIRPC_PERMISSION_DENIED);
	ck_assert_int_eq(b.code, MINIRPC_PERMISSION_DENIED);
	if (client && spot->sent && spot->kind == MINIRPC_PART_HEADERS) {
		ck_assert_ptr_null(served); /* nothing was sent */
		ck_assert_int_eq(w->up.moved > 0 ? s.opens : 0, 0);
	} else if (client && spot->sent && served == NULL) { /* in the turn of its headers */
		ck_assert_int_eq(s.opens, 0);
	} else if (client && spot->sent) {
		ck_assert_int_eq(s.code, MINIRPC_CANCELLED);
		ck_assert_int_eq(served->ends, 1);
		ck_assert_int_eq(served->left, MINIRPC_CANCELLED);
	} else if (!client && !spot->sent && spot->kind == MINIRPC_PART_HEADERS) {
		ck_assert_ptr_null(served); /* the handler never heard of it */
		ck_assert_int_eq(s.code, MINIRPC_PERMISSION_DENIED);
	} else if (!client) {
		ck_assert_int_eq(s.code, MINIRPC_PERMISSION_DENIED);
		ck_assert_str_eq(s.text, "not you");
		ck_assert_ptr_null(served->call);
	}
}

START_TEST(stop_ends_a_call_at_every_part)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_STOP);
	spot->script->stop = &denied;
	chat(w, &probe);
	check_stopped(w, spot, &probe);
	for (int i = 0; i < SCRIPTS; i++)
		memset(all[i]->send, 0, 2 * sizeof all[i]->send);
	set_verdict(spot, MINIRPC_PASS);
	world_check_usable(w);
	close_world(w);
}
END_TEST

START_TEST(stop_without_a_status_is_internal)
{
	static const struct minirpc_status ok = { .message = "?" };
	const struct spot *spot = &spots[_i];

	for (int with_ok = 0; with_ok < 2; with_ok++) {
		struct world *w = open_world(false);
		struct probe probe = { 0 };

		set_verdict(spot, MINIRPC_STOP);
		spot->script->stop = with_ok == 1 ? &ok : NULL;
		chat(w, &probe);
		ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
		close_world(w);
	}
}
END_TEST

START_TEST(a_held_part_can_be_stopped_instead)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	chat(w, &probe);
	ck_assert_int_eq(probe.ends, 0);
	minirpc_hook_resume(spot->script->hook, spot->sent, &denied);
	ck_assert_int_eq(probe.ends, 0);
	world_settle(w);
	check_stopped(w, spot, &probe);
	close_world(w);
}
END_TEST

START_TEST(a_hook_may_stop_by_resume_before_it_holds)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	spot->script->resumes = true;
	spot->script->stop = &denied;
	chat(w, &probe);
	check_stopped(w, spot, &probe);
	close_world(w);
}
END_TEST

/* Headers have left already: the status goes out as trailers, behind what had passed. */
START_TEST(a_server_stopped_in_the_middle_of_its_answer_says_so_in_trailers)
{
	struct world *w = open_world(false);
	struct probe probe = { 0 };
	minirpc_call *served;

	world_call(w, &world_hold, MINIRPC_S(30), &probe);
	world_settle(w);
	served = world_served(w)->call;
	minirpc_call_send(served, "first", 5);
	world_settle(w);
	ck_assert_int_eq(probe.messages, 1);
	t.send[MINIRPC_PART_MESSAGE] = MINIRPC_STOP;
	t.stop = &denied;
	minirpc_call_send(served, "second", 6);
	world_settle(w);
	ck_assert_int_eq(probe.messages, 1);
	ck_assert_int_eq(probe.code, MINIRPC_PERMISSION_DENIED);
	ck_assert_int_eq(world_served(w)->ends, 1);
	ck_assert_int_eq(world_served(w)->left, MINIRPC_PERMISSION_DENIED);
	close_world(w);
}
END_TEST

/* ---- While a part is held ---- */

START_TEST(the_deadline_ends_a_call_whose_interceptor_never_resumes)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	chat(w, &probe);
	world_advance(w, MINIRPC_S(30) - 1);
	ck_assert_int_eq(probe.ends, 0);
	world_advance(w, 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(b.code, MINIRPC_DEADLINE_EXCEEDED);
	world_advance(w, MINIRPC_S(2));
	ck_assert_int_eq(s.opens, s.closes);
	ck_assert(s.opens == 0 || spot->script == &b || s.code == MINIRPC_DEADLINE_EXCEEDED ||
		  s.code == MINIRPC_CANCELLED);
	close_world(w);
}
END_TEST

/* The client's reset is late: the server answers by itself [D-3], with trailers (a reset would be 13 bytes),
 * also when no handler knows of the call yet. */
START_TEST(a_server_answers_when_the_deadline_finds_a_part_held)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };
	size_t before;

	ck_assert_ptr_eq(spot->script, &t);
	set_verdict(spot, MINIRPC_HOLD);
	chat(w, &probe);
	w->up.delay = MINIRPC_S(1);
	before = w->down.moved;
	world_advance(w, MINIRPC_S(30));
	ck_assert_int_gt(w->down.moved, before + 30);
	ck_assert_int_eq(s.closes, 1);
	ck_assert_int_eq(s.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	close_world(w);
}
END_TEST

START_TEST(a_call_can_be_cancelled_while_a_part_is_held)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };
	minirpc_call *call;

	set_verdict(spot, MINIRPC_HOLD);
	call = chat(w, &probe);
	minirpc_call_cancel(call);
	ck_assert_int_eq(b.closes, 0); /* not from inside a verb */
	world_settle(w);
	ck_assert_int_eq(b.closes, 1);
	ck_assert_int_eq(b.code, MINIRPC_CANCELLED);
	ck_assert_int_eq(s.closes, s.opens);
	ck_assert(s.opens == 0 || spot->script == &b || s.code == MINIRPC_CANCELLED);
	ck_assert_int_eq(probe.ends, 0);
	close_world(w);
}
END_TEST

START_TEST(a_call_can_be_aborted_while_a_part_is_held)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };
	minirpc_call *call;

	set_verdict(spot, MINIRPC_HOLD);
	call = chat(w, &probe);
	ck_assert_int_eq(minirpc_call_abort(call, &denied), 0);
	ck_assert_int_eq(b.closes, 0);
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_PERMISSION_DENIED);
	ck_assert_int_eq(b.code, MINIRPC_PERMISSION_DENIED);
	close_world(w);
}
END_TEST

START_TEST(a_lost_connection_ends_both_while_a_part_is_held)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	chat(w, &probe);
	world_cut(w);
	world_settle(w);
	ck_assert_int_eq(s.closes, s.opens);
	if (spot->script == &t)
		ck_assert_int_eq(s.code, MINIRPC_CANCELLED);
	world_advance(w, MINIRPC_S(30)); /* what was never sent, or read already, runs on */
	ck_assert_int_eq(probe.ends, 1);
	close_world(w);
}
END_TEST

START_TEST(a_handler_may_cancel_while_a_part_is_held)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	world_request(world_call(w, &world_hold, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	if (world_served(w) != NULL && world_served(w)->call != NULL) {
		minirpc_call_send(world_served(w)->call, "hello", 5);
		world_settle(w);
		minirpc_call_cancel(world_served(w)->call);
		world_served(w)->call = NULL;
		ck_assert_int_eq(s.closes, 0);
		world_settle(w);
		ck_assert_int_eq(s.closes, 1);
		ck_assert_int_eq(s.code, MINIRPC_CANCELLED);
	}
	if (probe.call != NULL)
		minirpc_call_cancel(probe.call);
	close_world(w);
}
END_TEST

/* ---- The owner is freed ---- */

START_TEST(freeing_a_channel_closes_before_it_returns)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	chat(w, &probe);
	drop_channel(w);
	ck_assert_int_eq(a.closes, 1);
	ck_assert_int_eq(b.closes, 1);
	ck_assert_int_eq(b.code, MINIRPC_CANCELLED);
	world_settle(w);
	ck_assert_int_eq(probe.ends, 0);
	ck_assert_int_eq(s.closes, s.opens);
	close_world(w);
}
END_TEST

START_TEST(freeing_a_server_closes_before_it_returns)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	chat(w, &probe);
	drop_server(w);
	ck_assert_int_eq(s.closes, s.opens);
	ck_assert_int_eq(t.closes, t.opens);
	world_settle(w);
	if (probe.call != NULL)
		minirpc_call_cancel(probe.call);
	close_world(w);
}
END_TEST

START_TEST(a_call_that_was_cancelled_is_closed_when_its_channel_is_freed_right_after)
{
	struct world *w = open_world(false);
	struct probe probe = { 0 };
	minirpc_call *call;

	b.receive[MINIRPC_PART_MESSAGE] = MINIRPC_HOLD;
	call = chat(w, &probe);
	minirpc_call_cancel(call);
	ck_assert_int_eq(b.closes, 0);
	drop_channel(w);
	ck_assert_int_eq(b.closes, 1);
	close_world(w);
}
END_TEST

/* ---- Verbs from inside ---- */

struct deed {
	const struct spot *spot;
	struct world *w;
	unsigned done;
};

static void free_channel(struct script *script, const struct minirpc_part *part, bool sent)
{
	struct deed *deed = script->user;
	char before[64] = "";

	if (!is_at(deed->spot, part, sent))
		return;
	deed->done++;
	if (part->len > 0)
		memcpy(before, part->data, part->len);
	drop_channel(deed->w);
	ck_assert_int_eq(script->closes, 0); /* last means last */
	ck_assert(part->len == 0 || memcmp(before, part->data, part->len) == 0);
	ck_assert_int_lt(minirpc_hook_set_message(script->hook, "?", 1), 0);
}

static void free_server(struct script *script, const struct minirpc_part *part, bool sent)
{
	struct deed *deed = script->user;

	if (!is_at(deed->spot, part, sent))
		return;
	deed->done++;
	drop_server(deed->w);
	ck_assert_int_eq(script->closes, 0);
}

static void abort_call(struct script *script, const struct minirpc_part *part, bool sent)
{
	struct deed *deed = script->user;
	int r;

	if (!is_at(deed->spot, part, sent))
		return;
	deed->done++;
	r = minirpc_call_abort(minirpc_hook_call(script->hook), &denied);
	/* what a handler has ended cannot be aborted any more: stop it */
	ck_assert_int_eq(r, script == &t && sent ? -EPIPE : 0);
	ck_assert(part->len == 0 || memcmp("hello", part->data, part->len) == 0);
	minirpc_hook_resume(script->hook, sent, NULL);
}

START_TEST(a_hook_may_free_the_channel_or_the_server)
{
	const struct spot *spot = &spots[_i];

	for (int verdict = MINIRPC_PASS; verdict <= MINIRPC_STOP; verdict++) {
		struct world *w = open_world(false);
		struct deed deed = { spot, w, 0 };
		struct probe probe = { 0 };

		spot->script->at = spot->script == &b ? free_channel : free_server;
		spot->script->user = &deed;
		set_verdict(spot, (enum minirpc_verdict)verdict);
		chat(w, &probe);
		world_settle(w);
		ck_assert_int_eq(deed.done, 1);
		ck_assert_int_eq(spot->script->closes, 1);
		if (w->channel != NULL && probe.call != NULL)
			minirpc_call_cancel(probe.call);
		close_world(w);
	}
}
END_TEST

START_TEST(a_hook_may_abort_the_call_that_it_looks_at)
{
	const struct spot *spot = &spots[_i];

	for (int verdict = MINIRPC_PASS; verdict <= MINIRPC_STOP; verdict++) {
		struct world *w = open_world(false);
		struct deed deed = { spot, w, 0 };
		struct probe probe = { 0 };

		spot->script->at = abort_call;
		spot->script->user = &deed;
		set_verdict(spot, (enum minirpc_verdict)verdict);
		chat(w, &probe);
		world_settle(w);
		ck_assert_int_eq(deed.done, 1);
		ck_assert_int_eq(probe.ends, 1);
		if (spot->script == &t && spot->sent)
			ck_assert_int_eq(probe.code,
					 verdict == MINIRPC_STOP ? MINIRPC_INTERNAL : MINIRPC_OK);
		else
			ck_assert_int_eq(probe.code, MINIRPC_PERMISSION_DENIED);
		close_world(w);
	}
}
END_TEST

static void free_on_close(struct script *script)
{
	struct deed *deed = script->user;

	deed->done++;
	drop_channel(deed->w);
}

START_TEST(an_on_close_may_free_the_channel)
{
	for (int freed_already = 0; freed_already < 2; freed_already++) {
		struct world *w = open_world(false);
		struct deed deed = { NULL, w, 0 };
		struct probe first = { 0 }, second = { 0 };

		a.at_close = free_on_close;
		a.user = &deed;
		b.send[MINIRPC_PART_END] = MINIRPC_HOLD;
		chat(w, &first);
		b.send[MINIRPC_PART_END] = freed_already == 1 ? MINIRPC_HOLD : MINIRPC_PASS;
		chat(w, &second);
		if (freed_already == 1)
			drop_channel(w);
		world_settle(w);
		ck_assert_int_eq(deed.done, 2);
		ck_assert_int_eq(a.closes, 2);
		close_world(w);
	}
}
END_TEST

/* A hook says something of its own, before what is sent: a server's greeting. */
static void greet(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (part->kind == MINIRPC_PART_HEADERS && sent)
		ck_assert_int_eq(minirpc_call_send(minirpc_hook_call(script->hook), "bye", 3), 0);
}

START_TEST(a_hook_may_send_messages)
{
	struct world *w = open_world(false);
	struct probe probe = { 0 };

	b.at = greet;
	world_call(w, &world_chat, MINIRPC_S(30), &probe);
	world_settle(w);
	ck_assert_str_eq(probe.last, "bye");
	minirpc_call_end(probe.call, NULL);
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	close_world(w);
}
END_TEST

/* ---- Everything fails ---- */

/* Headers and messages are held at both ends in both directions, and resumed by and by. */
static void tell(struct world *w, struct probe *probe)
{
	for (int i = 0; i < SCRIPTS; i++)
		all[i]->send[0] = all[i]->send[1] = all[i]->receive[1] = all[i]->receive[2] =
			MINIRPC_HOLD;
	chat(w, probe);
	for (int round = 0; round < 40 && probe->ends == 0; round++) {
		for (int i = 0; i < SCRIPTS; i++)
			if (all[i]->opens > all[i]->closes) {
				minirpc_hook_set_message(all[i]->hook, "HELLO", 5);
				minirpc_hook_set_metadata(
					all[i]->hook, &(struct minirpc_field){ "key", "value", 0 });
				minirpc_hook_resume(all[i]->hook, true, NULL);
				minirpc_hook_resume(all[i]->hook, false, NULL);
			}
		world_settle(w);
	}
	world_advance(w, MINIRPC_S(60));
}

static void finish(struct world *w, const struct probe *probe, const char *what, size_t n)
{
	alloc_fail_at(0, false);
	if (w != NULL) {
		world_settle(w);
		ck_assert(probe->call == NULL);
		ck_assert_int_le(probe->ends, 1);
		ck_assert(!probe->bad_order);
	}
	world_free(w);
	check_closes();
	ck_assert_msg(alloc_live() == 0, "%zu blocks left (%s %zu)", alloc_live(), what, n);
}

START_TEST(every_hook_is_closed_whichever_allocation_fails)
{
	for (int forever = 0; forever < 2; forever++) {
		bool reached = true;

		for (size_t n = 1; reached; n++) {
			struct probe probe = { 0 };
			struct world *w;

			alloc_fail_at(n, forever == 1);
			w = open_world(true);
			if (w != NULL)
				tell(w, &probe);
			reached = alloc_refused() > 0;
			ck_assert(reached || probe.code == MINIRPC_OK);
			finish(w, &probe, "allocation", n);
		}
	}
}
END_TEST

START_TEST(every_hook_is_closed_wherever_the_pipe_is_cut)
{
	for (int up = 0; up < 2; up++) {
		bool reached = true;

		for (size_t n = 1; reached; n++) {
			struct world *w = open_world(true);
			struct probe probe = { 0 };

			*(up == 1 ? &w->up.cut_after : &w->down.cut_after) = n;
			tell(w, &probe);
			reached = (up == 1 ? w->up.moved : w->down.moved) >= n;
			finish(w, &probe, "cut", n);
		}
	}
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("call/chain_end");
	TCase *tests = tcase_create("chain_end");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, stop_ends_a_call_at_every_part, 0, SPOTS);
	tcase_add_loop_test(tests, stop_without_a_status_is_internal, 0, SPOTS);
	tcase_add_loop_test(tests, a_held_part_can_be_stopped_instead, 0, SPOTS);
	tcase_add_loop_test(tests, a_hook_may_stop_by_resume_before_it_holds, 0, SPOTS);
	tcase_add_test(tests, a_server_stopped_in_the_middle_of_its_answer_says_so_in_trailers);
	tcase_add_loop_test(tests, the_deadline_ends_a_call_whose_interceptor_never_resumes, 0,
			    SPOTS);
	tcase_add_loop_test(tests, a_server_answers_when_the_deadline_finds_a_part_held, SPOTS / 2,
			    SPOTS);
	tcase_add_loop_test(tests, a_call_can_be_cancelled_while_a_part_is_held, 0, SPOTS);
	tcase_add_loop_test(tests, a_call_can_be_aborted_while_a_part_is_held, 0, SPOTS);
	tcase_add_loop_test(tests, a_lost_connection_ends_both_while_a_part_is_held, 0, SPOTS);
	tcase_add_loop_test(tests, a_handler_may_cancel_while_a_part_is_held, 0, SPOTS);
	tcase_add_loop_test(tests, freeing_a_channel_closes_before_it_returns, 0, SPOTS);
	tcase_add_loop_test(tests, freeing_a_server_closes_before_it_returns, 0, SPOTS);
	tcase_add_test(tests,
		       a_call_that_was_cancelled_is_closed_when_its_channel_is_freed_right_after);
	tcase_add_loop_test(tests, a_hook_may_free_the_channel_or_the_server, 0, SPOTS);
	tcase_add_loop_test(tests, a_hook_may_abort_the_call_that_it_looks_at, 0, SPOTS);
	tcase_add_test(tests, an_on_close_may_free_the_channel);
	tcase_add_test(tests, a_hook_may_send_messages);
	tcase_add_test(tests, every_hook_is_closed_whichever_allocation_fails);
	tcase_add_test(tests, every_hook_is_closed_wherever_the_pipe_is_cut);
	suite_add_tcase(suite, tests);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* Interceptors on channel, call and server, in a world of both. How calls end under them is in
 * chain_end_test.c. */
#include "call/script.h"
#include "run_suite.h"
#include "world/world.h"

#include <stdio.h>
#include <string.h>

/* a, b on the channel, c on the call, s, t on the server. */
static struct script a, b, c, s, t;
static struct script *const all[] = { &a, &b, &c, &s, &t };

static const struct minirpc_use on_channel[] = { { &scripted, &a }, { &scripted, &b }, { NULL } };
static const struct minirpc_use on_call[] = { { &scripted, &c }, { NULL } };
static const struct minirpc_use on_server[] = { { &scripted, &s }, { &scripted, &t }, { NULL } };
static const struct minirpc_use only_a[] = { { &scripted, &a }, { NULL } };
static const struct minirpc_use only_s[] = { { &scripted, &s }, { NULL } };

static const struct minirpc_status denied = { .code = MINIRPC_PERMISSION_DENIED,
					      .message = "not you" };

static void reset(void)
{
	static const char *const names[] = { "a", "b", "c", "s", "t" };

	script_log[0] = '\0';
	for (int i = 0; i < 5; i++)
		*all[i] = (struct script){ .name = names[i] };
}

static struct world *open_with(const struct minirpc_use *client, const struct minirpc_use *server)
{
	reset();
	return world_new_with(&(struct world_options){
		.server = { .interceptors = server, .send_queue = 1000 },
		.channel = { .interceptors = client, .send_queue = 1000 },
	});
}

static struct world *open_all(void)
{
	return open_with(on_channel, on_server);
}

/* Whoever saw something has been told the end, once and last. */
static void close_world(struct world *w)
{
	world_free(w);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(all[i]->closes, all[i]->opens);
		ck_assert(!all[i]->bad_order);
	}
}

static void ask(struct world *w, const struct minirpc_method *method, const char *text,
		struct probe *probe)
{
	const struct minirpc_call_options options = { .timeout = MINIRPC_S(30),
						      .interceptors = on_call };

	world_request(world_call_with(w, method, &options, probe), text);
	world_settle(w);
}

/* ---- Order ---- */

START_TEST(a_call_without_interceptors_has_no_chain)
{
	struct world *w = open_with(NULL, NULL);
	struct probe probe = { 0 };

	world_request(world_call(w, &world_echo, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(script_log, "");
	close_world(w);
}
END_TEST

START_TEST(parts_pass_in_the_order_of_the_lists)
{
	struct world *w = open_all();
	struct probe probe = { 0 };

	ask(w, &world_chat, "hello", &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_str_eq(script_log, "aH> bH> cH> aM> bM> cM> aE> bE> cE> "
				     "sH< tH< sM< tM< sE< tE< "
				     "tH> sH> tM> sM> tE> sE> "
				     "s. t. "
				     "cH< bH< aH< cM< bM< aM< cE< bE< aE< "
				     "a. b. c. ");
	ck_assert_int_eq(a.code, MINIRPC_OK);
	ck_assert_int_eq(s.code, MINIRPC_OK);
	close_world(w);
}
END_TEST

START_TEST(an_answer_without_headers_shows_its_end_only)
{
	struct world *w = open_with(only_a, only_s);
	struct probe probe = { 0 };

	world_request(world_call(w, &world_fail, MINIRPC_S(30), &probe), "why not");
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(script_log, "aH> aM> aE> sH< sM< sE> s. aE< a. ");
	ck_assert_int_eq(a.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(a.text, "why not");
	ck_assert_int_eq(s.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(s.text, "why not");
	close_world(w);
}
END_TEST

START_TEST(all_four_kinds_of_call_pass)
{
	static const struct {
		const struct minirpc_method *method;
		const char *request, *last;
		int messages;
	} kinds[] = {
		{ &world_echo, "hello", "hello", 1 },
		{ &world_count, "20 300", NULL, 20 },
		{ &world_sum, "12345", "5", 1 },
		{ &world_chat, "hello", "hello", 1 },
	};
	struct world *w = open_all();

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct probe probe = { 0 };

		ask(w, kinds[i].method, kinds[i].request, &probe);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_int_eq(probe.messages, kinds[i].messages);
		ck_assert(kinds[i].last == NULL || strcmp(probe.last, kinds[i].last) == 0);
		ck_assert_int_eq(a.closes, i + 1);
		ck_assert_int_eq(t.closes, i + 1);
	}
	close_world(w);
}
END_TEST

/* ---- Changes ---- */

static const char *get(const struct minirpc_part *part, const char *key)
{
	const char *value = minirpc_metadata_get(part->metadata, key);

	return value == NULL ? "" : value;
}

/* a adds, b looks, replaces and removes; s looks at the result, and says so in trailers of its own. */
static void change_metadata(struct script *script, const struct minirpc_part *part, bool sent)
{
	minirpc_hook *hook = script->hook;

	if (part->kind != MINIRPC_PART_HEADERS) {
		if (part->metadata == NULL)
			ck_assert_int_eq(minirpc_hook_add_metadata(
						 hook, &(struct minirpc_field){ "k", "v", 0 }),
					 -EINVAL);
		return;
	}
	if (!sent)
		return;
	ck_assert_int_eq(
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "tenant", "blue", 0 }), 0);
	ck_assert_int_eq(
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "tenant", "red", 0 }), 0);
	ck_assert_int_eq(
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "mode", "slow", 0 }), 0);
	ck_assert_int_eq(
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "raw-bin", "\0\1", 2 }),
		0);
	ck_assert_int_eq(
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "grpc-x", "1", 0 }),
		-EINVAL);
	ck_assert_int_eq(minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "te", "1", 0 }),
			 -EINVAL);
	ck_assert_int_eq(minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "BAD", "1", 0 }),
			 -EINVAL);
	ck_assert_int_eq(minirpc_hook_remove_metadata(hook, "grpc-timeout"), -EINVAL);
	ck_assert_int_eq(minirpc_hook_set_message(hook, "no", 2), -EINVAL);
}

static void change_again(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (part->kind != MINIRPC_PART_HEADERS || !sent)
		return;
	ck_assert_str_eq(get(part, "tenant"), "blue");
	ck_assert_int_eq(minirpc_metadata_count(part->metadata), 4);
	ck_assert_int_eq(minirpc_hook_set_metadata(script->hook,
						   &(struct minirpc_field){ "tenant", "green", 0 }),
			 0);
	ck_assert_int_eq(minirpc_metadata_count(part->metadata), 3);
	ck_assert_int_eq(minirpc_hook_remove_metadata(script->hook, "mode"), 0);
	ck_assert_int_eq(minirpc_hook_remove_metadata(script->hook, "mode"), 0);
	ck_assert_int_eq(minirpc_metadata_count(part->metadata), 2);
}

static void look_at_metadata(struct script *script, const struct minirpc_part *part, bool sent)
{
	const struct minirpc_field *raw;

	(void)script;
	if (part->kind != MINIRPC_PART_HEADERS || sent)
		return;
	ck_assert_str_eq(get(part, "tenant"), "green");
	ck_assert_str_eq(get(part, "mode"), "");
	raw = minirpc_metadata_find(part->metadata, "raw-bin", NULL);
	ck_assert_ptr_nonnull(raw);
	ck_assert_int_eq(raw->len, 2);
	script->user = script;
}

START_TEST(metadata_sent_by_a_client_can_be_changed)
{
	struct world *w = open_all();
	struct probe probe = { 0 };

	a.at = change_metadata;
	b.at = change_again;
	s.at = look_at_metadata;
	ask(w, &world_echo, "hello", &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_ptr_nonnull(s.user);
	close_world(w);
}
END_TEST

static void fill(struct script *script, const struct minirpc_part *part, bool sent)
{
	static char large[16000];
	unsigned *full = script->user;

	if (part->kind != MINIRPC_PART_HEADERS || !sent)
		return;
	memset(large, 'x', sizeof large - 1);
	ck_assert_int_eq(minirpc_hook_add_metadata(script->hook,
						   &(struct minirpc_field){ "fill", large, 0 }),
			 0);
	ck_assert_int_eq(minirpc_hook_add_metadata(script->hook,
						   &(struct minirpc_field){ "more", large, 0 }),
			 -E2BIG);
	(*full)++;
}

START_TEST(metadata_that_is_sent_keeps_to_the_limit) /* M-5 */
{
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };
	unsigned full = 0;

	a.at = fill;
	a.user = &full;
	world_request(world_call(w, &world_echo, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	ck_assert_int_eq(full, 1);
	ck_assert_int_eq(probe.ends, 1);
	close_world(w);
}
END_TEST

/* The server's interceptor puts something into initial and trailing metadata, the client's sees it and
 * changes what its application will see. */
static void mark_answer(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (!sent || part->metadata == NULL)
		return;
	ck_assert_int_eq(minirpc_hook_set_metadata(
				 script->hook,
				 part->kind == MINIRPC_PART_HEADERS
					 ? &(struct minirpc_field){ "x-initial", "from s", 0 }
					 : &(struct minirpc_field){ "x-trailer", "from s", 0 }),
			 0);
}

static void rewrite_answer(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (sent || part->metadata == NULL)
		return;
	if (part->kind == MINIRPC_PART_HEADERS) {
		ck_assert_str_eq(get(part, "x-initial"), "from s");
		return;
	}
	ck_assert_str_eq(get(part, "x-trailer"), "from s");
	ck_assert_int_eq(minirpc_hook_set_metadata(
				 script->hook, &(struct minirpc_field){ "x-trailer", "from a", 0 }),
			 0);
}

START_TEST(metadata_of_the_answer_can_be_changed_at_both_ends)
{
	struct world *w = open_all();
	struct probe probe = { 0 };

	s.at = mark_answer;
	a.at = rewrite_answer;
	ask(w, &world_echo, "hello", &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.trailer, "from a");
	close_world(w);
}
END_TEST

/* Puts its name before each message, in both directions. */
static void sign(struct script *script, const struct minirpc_part *part, bool sent)
{
	char text[64];

	(void)sent;
	if (part->kind != MINIRPC_PART_MESSAGE)
		return;
	snprintf(text, sizeof text, "%s%.*s", script->name, (int)part->len,
		 (const char *)part->data);
	ck_assert_int_eq(minirpc_hook_set_message(script->hook, text, strlen(text)), 0);
}

START_TEST(messages_can_be_changed_in_both_directions_at_both_ends)
{
	static const struct minirpc_method *const methods[] = { &world_echo, &world_chat };

	for (int i = 0; i < 2; i++) {
		struct world *w = open_all();
		struct probe probe = { 0 };

		for (int j = 0; j < 5; j++)
			all[j]->at = sign;
		ask(w, methods[i], ".", &probe);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_str_eq(world_served(w)->last, "tscba.");
		ck_assert_str_eq(probe.last, "abcsttscba.");
		close_world(w);
	}
}
END_TEST

static void grow(struct script *script, const struct minirpc_part *part, bool sent)
{
	static char large[4001];

	if (part->kind != MINIRPC_PART_MESSAGE)
		return;
	ck_assert_int_eq(minirpc_hook_set_message(script->hook, large, 4001), -EMSGSIZE);
	ck_assert_int_eq(minirpc_hook_set_message(script->hook, large, sent ? 3000 : 4000), 0);
	if (sent)
		ck_assert_int_eq(minirpc_hook_set_message(script->hook, large, 3001), -EMSGSIZE);
}

START_TEST(a_changed_message_keeps_to_the_limit_of_its_direction) /* S-7 */
{
	struct world *w;
	struct probe probe = { 0 };

	reset();
	w = world_new_with(&(struct world_options){ .channel = { .interceptors = only_a,
								 .max_send_message = 3000,
								 .max_receive_message = 4000 } });
	a.at = grow;
	world_request(world_call(w, &world_echo, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(world_served(w)->bytes, 3000);
	ck_assert_int_eq(probe.bytes, 4000);
	close_world(w);
}
END_TEST

static void set_denied(struct script *script, const struct minirpc_part *part, bool sent)
{
	(void)sent;
	if (part->status != NULL)
		minirpc_hook_set_status(script->hook, &denied);
}

START_TEST(the_status_can_be_changed_at_both_ends)
{
	for (int client = 0; client < 2; client++) {
		struct world *w = open_all();
		struct probe probe = { 0 };

		(client == 1 ? &b : &t)->at = set_denied;
		ask(w, &world_chat, "hello", &probe);
		ck_assert_int_eq(probe.code, MINIRPC_PERMISSION_DENIED);
		ck_assert_str_eq(probe.text, "not you");
		ck_assert_int_eq(a.code, MINIRPC_PERMISSION_DENIED);
		ck_assert_int_eq(s.code, client == 1 ? MINIRPC_OK : MINIRPC_PERMISSION_DENIED);
		ck_assert_int_eq(probe.messages, 1);
		close_world(w);
	}
}
END_TEST

static void set_ok(struct script *script, const struct minirpc_part *part, bool sent)
{
	(void)sent;
	if (part->status != NULL)
		minirpc_hook_set_status(script->hook,
					&(struct minirpc_status){ .message = "fine" });
}

START_TEST(ok_without_the_response_that_it_promises_is_none)
{
	struct world *w = open_with(only_a, only_s);
	struct probe probe = { 0 };

	a.at = set_ok;
	world_request(world_call(w, &world_fail, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED);
	a.at = NULL;
	s.at = set_ok;
	world_request(world_call(w, &world_fail, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	close_world(w);
}
END_TEST

/* A message that the status takes back is shown to nobody, as it is told to nobody. */
START_TEST(a_method_with_one_response_still_has_one) /* W-15 */
{
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(w, &world_hold, MINIRPC_S(30), &probe);
	struct minirpc_method one = world_hold;

	minirpc_call_cancel(call);
	one.flags = 0;
	world_request(world_call(w, &one, MINIRPC_S(30), &probe), "hello");
	world_settle(w);
	minirpc_call_send(world_served(w)->call, "1", 1);
	world_settle(w);
	ck_assert_ptr_null(strstr(script_log, "aM<"));
	minirpc_call_send(world_served(w)->call, "2", 1);
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_ptr_null(strstr(script_log, "aM<"));
	close_world(w);
}
END_TEST

/* ---- Holding ---- */

/* Every part of a chat, at both ends, in both directions. */
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

/* How often the log has what the script notes at that spot. */
static int shown(const struct spot *spot)
{
	const char what[] = { spot->script->name[0], "HME"[spot->kind], spot -> sent ? '>' : '<',
			      '\0' };
	int count = 0;

	for (const char *at = script_log; (at = strstr(at, what)) != NULL; at++)
		count++;
	return count;
}

START_TEST(a_part_that_is_held_waits_until_it_is_resumed)
{
	static const struct {
		const struct minirpc_method *method;
		const char *request;
	} kinds[] = { { &world_chat, "hello" },
		      { &world_sum, "hello" },
		      { &world_echo, "hello" },
		      { &world_count, "3 10" } };
	const struct spot *spot = &spots[_i];
	size_t count = spot->script == &t && !spot->sent && spot->kind == MINIRPC_PART_END ? 2 : 4;

	for (size_t i = 0; i < count;
	     i++) { /* the last two end before they see the request's end */
		struct world *w = open_all();
		struct probe probe = { 0 };
		size_t before;

		set_verdict(spot, MINIRPC_HOLD);
		ask(w, kinds[i].method, kinds[i].request, &probe);
		ck_assert_int_eq(probe.ends, 0);
		ck_assert_int_eq(shown(spot), 1);
		before = strlen(script_log);
		world_advance(w, MINIRPC_S(1));
		ck_assert_int_eq(strlen(script_log), before);
		minirpc_hook_resume(spot->script->hook, !spot->sent,
				    NULL); /* nothing is held there */
		world_settle(w);
		ck_assert_int_eq(strlen(script_log), before);

		set_verdict(spot, MINIRPC_PASS);
		minirpc_hook_resume(spot->script->hook, spot->sent, NULL);
		ck_assert_int_eq(strlen(script_log), before); /* what follows is the next turn's */
		minirpc_hook_resume(spot->script->hook, spot->sent, NULL); /* once is enough */
		world_settle(w);
		ck_assert_int_eq(probe.ends, 1);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		close_world(w);
	}
}
END_TEST

START_TEST(a_hook_may_resume_before_it_holds)
{
	const struct spot *spot = &spots[_i];
	struct world *w = open_all();
	struct probe probe = { 0 };

	set_verdict(spot, MINIRPC_HOLD);
	spot->script->resumes = true;
	ask(w, &world_chat, "hello", &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(shown(spot), 1);
	close_world(w);
}
END_TEST

/* Every hook holds every part, and each is resumed one after the other: nothing is lost, nothing is
 * shown twice. */
START_TEST(all_may_hold_everything)
{
	struct world *w = open_all();
	struct probe probe = { 0 };

	for (int i = 0; i < 5; i++)
		for (int kind = 0; kind < 3; kind++)
			all[i]->send[kind] = all[i]->receive[kind] = MINIRPC_HOLD;
	ask(w, &world_chat, "hello", &probe);
	for (int round = 0; round < 100 && probe.ends == 0; round++) {
		for (int i = 0; i < 5; i++) {
			if (all[i]->opens == 0 || all[i]->closes > 0)
				continue;
			minirpc_hook_resume(all[i]->hook, true, NULL);
			minirpc_hook_resume(all[i]->hook, false, NULL);
		}
		world_settle(w);
	}
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(all[i]->parts, 6);
	close_world(w);
}
END_TEST

/* Changes are possible while a part is held, and mean the one that fits. */
START_TEST(a_part_that_is_held_can_be_changed)
{
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };
	minirpc_call *call;

	a.send[MINIRPC_PART_MESSAGE] = a.receive[MINIRPC_PART_HEADERS] = MINIRPC_HOLD;
	call = world_call(w, &world_hold, MINIRPC_S(30), &probe);
	minirpc_call_send(call, "one", 3);
	world_settle(w);
	minirpc_call_send_headers(world_served(w)->call, NULL);
	minirpc_call_set_trailers(world_served(w)->call, NULL);
	world_settle(w);
	ck_assert_int_eq(shown(&(struct spot){ &a, true, MINIRPC_PART_MESSAGE }), 1);
	ck_assert_int_eq(shown(&(struct spot){ &a, false, MINIRPC_PART_HEADERS }), 1);
	ck_assert_int_eq(minirpc_hook_set_message(a.hook, "two", 3), 0);
	ck_assert_int_eq(
		minirpc_hook_set_metadata(a.hook, &(struct minirpc_field){ "late", "yes", 0 }), 0);
	minirpc_hook_resume(a.hook, true, NULL);
	minirpc_hook_resume(a.hook, false, NULL);
	world_settle(w);
	ck_assert_str_eq(world_served(w)->last, "two");
	ck_assert_str_eq(minirpc_metadata_get(minirpc_call_headers(call), "late"), "yes");
	minirpc_call_cancel(call);
	close_world(w);
}
END_TEST

START_TEST(a_pause_and_a_hold_are_independent)
{
	for (int resume_first = 0; resume_first < 2; resume_first++) {
		struct world *w = open_with(only_a, NULL);
		struct probe probe = { 0 };
		minirpc_call *call;

		a.receive[MINIRPC_PART_MESSAGE] = MINIRPC_HOLD;
		call = world_call(w, &world_chat, MINIRPC_S(30), &probe);
		world_request(call, "hello");
		world_settle(w);
		ck_assert_int_eq(shown(&(struct spot){ &a, false, MINIRPC_PART_MESSAGE }), 1);
		minirpc_call_pause(call);
		if (resume_first == 1)
			minirpc_hook_resume(a.hook, false, NULL);
		else
			minirpc_call_resume(call);
		world_settle(w);
		ck_assert_int_eq(probe.messages, 0);
		if (resume_first == 1)
			minirpc_call_resume(call);
		else
			minirpc_hook_resume(a.hook, false, NULL);
		world_settle(w);
		ck_assert_int_eq(probe.messages, 1);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		close_world(w);
	}
}
END_TEST

static void pause_call(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (part->kind == MINIRPC_PART_MESSAGE && !sent)
		minirpc_call_pause(minirpc_hook_call(script->hook));
}

START_TEST(a_pause_from_inside_a_hook_holds_the_message)
{
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(w, &world_chat, MINIRPC_S(30), &probe);

	a.at = pause_call;
	world_request(call, "hello");
	world_settle(w);
	ck_assert_int_eq(a.opens, 1);
	ck_assert_int_eq(probe.messages, 0);
	minirpc_call_resume(call);
	world_settle(w);
	ck_assert_int_eq(probe.messages, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	close_world(w);
}
END_TEST

/* ---- The send rule ---- */

static size_t send_until_full(minirpc_call *call, size_t len)
{
	static char bytes[1000];
	size_t count = 0;
	int r;

	while ((r = minirpc_call_send(call, bytes, len)) == 0 && count < 100000)
		count++;
	ck_assert_int_eq(r, -EAGAIN);
	return count;
}

START_TEST(the_send_rule_holds_while_a_part_is_held) /* limit and limit + 1 */
{
	static const enum minirpc_part_kind held[] = { MINIRPC_PART_HEADERS, MINIRPC_PART_MESSAGE };

	for (int i = 0; i < 2; i++) {
		struct world *w = open_with(only_a, NULL);
		struct probe probe = { 0 };
		minirpc_call *call;

		a.send[held[i]] = MINIRPC_HOLD;
		call = world_call(w, &world_hold, MINIRPC_S(30), &probe);
		/* a message weighs 100, the queue takes 1000: ten fit */
		ck_assert_int_eq(send_until_full(call, 95), 10);
		world_settle(w);
		ck_assert_int_eq(minirpc_call_send(call, "x", 1), -EAGAIN);
		ck_assert_int_eq(probe.rooms, 0);
		a.send[held[i]] = MINIRPC_PASS;
		minirpc_hook_resume(a.hook, true, NULL);
		world_settle(w);
		ck_assert_int_eq(probe.rooms, 1);
		ck_assert_int_eq(world_served(w)->messages, 10);
		ck_assert_int_eq(minirpc_call_send(call, "x", 1), 0);
		world_settle(w);
		ck_assert_int_eq(probe.rooms, 1);
		minirpc_call_cancel(call);
		close_world(w);
	}
}
END_TEST

/* Nothing is read on the other side: what passes the hooks is bounded too, also when they make it
 * larger. */
START_TEST(what_has_passed_the_hooks_counts_too)
{
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(w, &world_hold, MINIRPC_S(30), &probe);
	size_t count;

	world_settle(w);
	w->up.stalled = true;
	minirpc_call_pause(world_served(w)->call);
	count = send_until_full(call, 95);
	for (int i = 0; i < 2000; i++) { /* until the transport takes no more */
		size_t more;

		world_settle(w);
		more = minirpc_call_send(call, "", 0) == 0 ? 1 + send_until_full(call, 95) : 0;
		if (more == 0)
			break;
		count += more;
	}
	ck_assert_int_eq(minirpc_call_send(call, "", 0), -EAGAIN);
	probe.rooms = 0;
	w->up.stalled = false;
	minirpc_call_resume(world_served(w)->call);
	world_settle(w);
	ck_assert_int_eq(probe.rooms, 1);
	ck_assert_int_ge(world_served(w)->messages, count);
	minirpc_call_cancel(call);
	close_world(w);
}
END_TEST

START_TEST(a_servers_answer_obeys_the_send_rule_under_a_hold)
{
	struct world *w = open_with(NULL, only_s);
	struct probe probe = { 0 };

	s.send[MINIRPC_PART_MESSAGE] = MINIRPC_HOLD;
	world_request(world_call(w, &world_count, MINIRPC_S(30), &probe), "100 95");
	world_settle(w);
	ck_assert_ptr_nonnull(world_served(w)->call); /* it has met the limit */
	ck_assert_int_eq(world_served(w)->rooms, 0);
	s.send[MINIRPC_PART_MESSAGE] = MINIRPC_PASS;
	minirpc_hook_resume(s.hook, true, NULL);
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(probe.messages, 100);
	ck_assert_int_gt(world_served(w)->rooms, 0);
	close_world(w);
}
END_TEST

/* A reader that is held off gives no credit, for messages larger than the window as well. */
START_TEST(a_hold_holds_the_peer_off)
{
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };

	a.receive[MINIRPC_PART_MESSAGE] = MINIRPC_HOLD;
	world_request(world_call(w, &world_count, MINIRPC_S(30), &probe), "40 100000");
	world_settle(w);
	ck_assert_ptr_nonnull(world_served(w)->call); /* four million bytes do not fit anywhere */
	ck_assert_int_lt(w->down.moved, 1200000);
	a.receive[MINIRPC_PART_MESSAGE] = MINIRPC_PASS;
	minirpc_hook_resume(a.hook, false, NULL);
	world_settle(w);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(probe.messages, 40);
	close_world(w);
}
END_TEST

START_TEST(a_message_larger_than_the_window_passes_behind_a_held_one)
{
	static char large[1500000];
	struct world *w = open_with(only_a, NULL);
	struct probe probe = { 0 };

	a.receive[MINIRPC_PART_MESSAGE] = MINIRPC_HOLD;
	world_call(w, &world_hold, MINIRPC_S(30), &probe);
	world_settle(w);
	minirpc_call_send(world_served(w)->call, "small", 5);
	world_settle(w);
	minirpc_call_send(world_served(w)->call, large, sizeof large);
	world_settle(w);
	ck_assert_int_eq(probe.messages, 0);
	a.receive[MINIRPC_PART_MESSAGE] = MINIRPC_PASS;
	minirpc_hook_resume(a.hook, false, NULL);
	world_settle(w);
	ck_assert_int_eq(probe.messages, 2);
	ck_assert_int_eq(probe.bytes, 5 + sizeof large);
	minirpc_call_cancel(probe.call);
	close_world(w);
}
END_TEST

/* ---- With compression ---- */

START_TEST(hooks_see_messages_before_they_are_compressed_and_after_they_are_inflated)
{
	static char text[3000];
	struct world *w;
	struct probe probe = { 0 };

	reset();
	w = world_new_with(&(struct world_options){
		.server = { .interceptors = on_server },
		.channel = { .interceptors = on_channel, .compression = "gzip" } });
	memset(text, 'z', sizeof text - 1);
	ask(w, &world_echo, text, &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(probe.bytes, sizeof text - 1);
	ck_assert_int_eq(probe.compressed, 1);
	ck_assert_int_eq(world_served(w)->compressed, 1);
	ck_assert_int_lt(w->up.moved, 1000);

	for (int j = 0; j < 5; j++)
		all[j]->at = sign;
	ask(w, &world_echo, ".", &probe);
	ck_assert_str_eq(probe.last, "abcsttscba.");
	ck_assert_int_eq(probe.compressed, 2);
	ck_assert_int_eq(world_served(w)->compressed, 1);
	close_world(w);
}
END_TEST

static void replace_empty(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (part->kind == MINIRPC_PART_MESSAGE && sent && part->len == 0)
		ck_assert_int_eq(minirpc_hook_set_message(script->hook, "filled", 6), 0);
	else if (part->kind == MINIRPC_PART_MESSAGE && sent)
		ck_assert_int_eq(minirpc_hook_set_message(script->hook, NULL, 0), 0);
}

START_TEST(a_message_is_compressed_as_the_sender_wished) /* C-5 */
{
	struct world *w;
	struct probe probe = { 0 };
	minirpc_call *call;

	reset();
	w = world_new_with(&(struct world_options){
		.channel = { .interceptors = only_a, .compression = "gzip" } });
	call = world_call(w, &world_hold, MINIRPC_S(30), &probe);
	a.send[MINIRPC_PART_HEADERS] = MINIRPC_HOLD;
	a.at = replace_empty;
	minirpc_call_send(call, "", 0); /* will not stay empty */
	minirpc_call_send(call, "gone", 4);
	minirpc_call_compress(call, false);
	a.at = NULL;
	world_settle(w);
	minirpc_call_send(call, "secret", 6);
	minirpc_call_compress(call, true);
	minirpc_call_send(call, "public", 6);
	a.at = replace_empty;
	minirpc_hook_resume(a.hook, true, NULL);
	world_settle(w);
	a.at = NULL;
	ck_assert_int_eq(world_served(w)->messages, 4);
	ck_assert_int_eq(world_served(w)->bytes, 6); /* "filled"; the others were emptied */
	ck_assert_int_eq(world_served(w)->compressed, 1);
	minirpc_call_cancel(call);
	close_world(w);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("call/chain");
	TCase *tests = tcase_create("chain");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_call_without_interceptors_has_no_chain);
	tcase_add_test(tests, parts_pass_in_the_order_of_the_lists);
	tcase_add_test(tests, an_answer_without_headers_shows_its_end_only);
	tcase_add_test(tests, all_four_kinds_of_call_pass);
	tcase_add_test(tests, metadata_sent_by_a_client_can_be_changed);
	tcase_add_test(tests, metadata_that_is_sent_keeps_to_the_limit);
	tcase_add_test(tests, metadata_of_the_answer_can_be_changed_at_both_ends);
	tcase_add_test(tests, messages_can_be_changed_in_both_directions_at_both_ends);
	tcase_add_test(tests, a_changed_message_keeps_to_the_limit_of_its_direction);
	tcase_add_test(tests, the_status_can_be_changed_at_both_ends);
	tcase_add_test(tests, ok_without_the_response_that_it_promises_is_none);
	tcase_add_test(tests, a_method_with_one_response_still_has_one);
	tcase_add_loop_test(tests, a_part_that_is_held_waits_until_it_is_resumed, 0, SPOTS);
	tcase_add_loop_test(tests, a_hook_may_resume_before_it_holds, 0, SPOTS);
	tcase_add_test(tests, all_may_hold_everything);
	tcase_add_test(tests, a_part_that_is_held_can_be_changed);
	tcase_add_test(tests, a_pause_and_a_hold_are_independent);
	tcase_add_test(tests, a_pause_from_inside_a_hook_holds_the_message);
	tcase_add_test(tests, the_send_rule_holds_while_a_part_is_held);
	tcase_add_test(tests, what_has_passed_the_hooks_counts_too);
	tcase_add_test(tests, a_servers_answer_obeys_the_send_rule_under_a_hold);
	tcase_add_test(tests, a_hold_holds_the_peer_off);
	tcase_add_test(tests, a_message_larger_than_the_window_passes_behind_a_held_one);
	tcase_add_test(tests,
		       hooks_see_messages_before_they_are_compressed_and_after_they_are_inflated);
	tcase_add_test(tests, a_message_is_compressed_as_the_sender_wished);
	suite_add_tcase(suite, tests);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* What an interceptor does to the part that is shown, to one that it holds, and to its call. The course
 * of parts is in chain_test.c. */
#include "call/script.h"
#include "run_suite.h"
#include "world/world.h"

#include "call/call.h"

#include <stdio.h>
#include <string.h>

/* a, b on the channel; s on the server. */
static struct script a, b, s;

static const struct minirpc_use on_channel[] = { { &scripted, &a }, { &scripted, &b }, { NULL } };
static const struct minirpc_use on_server[] = { { &scripted, &s }, { NULL } };

static struct world *open_world(void)
{
	script_log[0] = '\0';
	a = (struct script){ .name = "a" };
	b = (struct script){ .name = "b" };
	s = (struct script){ .name = "s" };
	return world_new_with(&(struct world_options){ .server = { .interceptors = on_server },
						       .channel = { .interceptors = on_channel } });
}

static void ask(struct world *w, const struct minirpc_method *method, struct probe *probe)
{
	world_request(world_call(w, method, MINIRPC_S(30), probe), "hello");
	world_settle(w);
}

/* ---- The part that is shown ---- */

static void grow(struct script *script, const struct minirpc_part *part, bool sent)
{
	static char large[100000];

	(void)sent;
	if (part->kind != MINIRPC_PART_MESSAGE)
		return;
	memset(large, 'x', sizeof large);
	ck_assert_int_eq(minirpc_hook_set_message(script->hook, large, sizeof large), 0);
	ck_assert_uint_eq(part->len, sizeof large);
	ck_assert_int_eq(memcmp(part->data, large, sizeof large), 0);
	/* made of what it is */
	ck_assert_int_eq(minirpc_hook_set_message(script->hook, part->data, 3), 0);
	ck_assert_uint_eq(part->len, 3);
	ck_assert_int_eq(memcmp(part->data, "xxx", 3), 0);
}

START_TEST(a_part_shows_the_message_that_took_its_place)
{
	struct world *w = open_world();
	struct probe probe = { 0 };

	a.at = s.at = grow;
	ask(w, &world_echo, &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "xxx");
	world_free(w);
}
END_TEST

static void replace_large(struct script *script, const struct minirpc_part *part, bool sent)
{
	static char large[17000];
	minirpc_hook *hook = script->hook;
	const struct minirpc_field *field;

	if (part->kind != MINIRPC_PART_HEADERS || !sent)
		return;
	memset(large, 'x', 12000);
	ck_assert_int_eq(
		minirpc_hook_add_metadata(hook, &(struct minirpc_field){ "fill", large, 0 }), 0);
	memset(large, 'y', 12001);
	ck_assert_int_eq(
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "fill", large, 0 }), 0);
	field = minirpc_metadata_find(part->metadata, "fill", NULL);
	ck_assert_uint_eq(field->len, 12001);
	ck_assert_ptr_null(minirpc_metadata_find(part->metadata, "fill", field));
	memset(large, 'z', 16999);
	ck_assert_int_eq(
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "fill", large, 0 }),
		-E2BIG);
	ck_assert_int_eq(
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "else", large, 0 }),
		-E2BIG);
	field = minirpc_metadata_find(part->metadata, "fill", NULL);
	ck_assert_uint_eq(field->len, 12001); /* that one stands */
	ck_assert_int_eq(memcmp(field->value, "yyy", 3), 0);
	script->user = script;
}

START_TEST(a_large_value_can_take_the_place_of_a_large_one) /* M-5 */
{
	struct world *w = open_world();
	struct probe probe = { 0 };

	b.at = replace_large;
	ask(w, &world_echo, &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_ptr_nonnull(b.user);
	world_free(w);
}
END_TEST

/* ---- The part that is held ---- */

/* a looks at a part of the other direction, which makes up b's mind about the one that it holds. */
static void change_held(struct script *script, const struct minirpc_part *part, bool sent)
{
	struct script *holder = script->user;

	if (part->kind != MINIRPC_PART_HEADERS || sent)
		return;
	ck_assert_int_eq(minirpc_hook_set_message(holder->hook, "other", 5), 0);
	minirpc_hook_resume(holder->hook, true, NULL);
}

START_TEST(what_a_hook_holds_can_be_changed_while_another_one_looks)
{
	struct world *w = open_world();
	struct probe probe = { 0 };

	b.send[MINIRPC_PART_MESSAGE] = MINIRPC_HOLD;
	a.at = change_held;
	a.user = &b;
	ask(w, &world_hold, &probe);
	ck_assert_int_eq(world_served(w)->messages, 0);
	ck_assert_int_eq(minirpc_call_send_headers(world_served(w)->call, NULL), 0);
	world_settle(w);
	ck_assert_str_eq(world_served(w)->last, "other");
	minirpc_call_cancel(probe.call);
	world_free(w);
}
END_TEST

/* ---- Its call ---- */

static void push_back(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (sent && part->kind == MINIRPC_PART_END)
		ck_assert_int_eq(minirpc_call_set_pushback(minirpc_hook_call(script->hook),
							   MINIRPC_MS(70) + 1),
				 0);
}

static void read_pushback(struct script *script, const struct minirpc_part *part, bool sent)
{
	if (!sent && part->kind == MINIRPC_PART_END)
		script->user = (void *)(uintptr_t)minirpc_metadata_get(part->metadata,
								       "grpc-retry-pushback-ms");
	if (script->user != NULL) {
		ck_assert_str_eq(script->user, "71");
		script->user = script;
	}
}

START_TEST(an_interceptor_may_push_back_with_the_handlers_answer) /* */
{
	struct world *w = open_world();
	struct probe probe = { 0 };

	s.at = push_back;
	a.at = read_pushback;
	ask(w, &world_fail, &probe);
	ck_assert_int_eq(probe.code, MINIRPC_NOT_FOUND);
	ck_assert_ptr_nonnull(a.user);
	world_free(w);
}
END_TEST

/* The owner is gone when on_close comes: what there is to ask about the call has an answer still. */
static void free_owner(struct script *script, const struct minirpc_part *part, bool sent)
{
	struct world *w = script->user;

	if (!sent || part->kind != MINIRPC_PART_END)
		return;
	if (script == &s) {
		w->server_end = NULL;
		w->server = minirpc_server_free(w->server);
	} else {
		w->client_end = NULL;
		w->channel = minirpc_channel_free(w->channel);
	}
}

static void ask_about(struct script *script)
{
	minirpc_call *call = minirpc_hook_call(script->hook);

	ck_assert_ptr_null(minirpc_call_server(call));
	ck_assert_uint_eq(minirpc_call_limits(call)->max_streams, 100);
	ck_assert_int_eq(minirpc_call_wait(call), -EINVAL);
	ck_assert_int_eq(minirpc_call_set_compression(call, "gzip"), -EPIPE);
	ck_assert_str_eq(minirpc_call_path(call), "/world.World/Echo");
	script->user = NULL;
}

START_TEST(a_call_can_be_asked_when_a_hook_has_freed_its_owner)
{
	struct script *script = _i == 0 ? &s : &b;
	struct world *w = open_world();
	struct probe probe = { 0 };

	script->at = free_owner;
	script->at_close = ask_about;
	script->user = w;
	ask(w, &world_echo, &probe);
	ck_assert_ptr_null(script->user);
	ck_assert_int_eq(script->closes, 1);
	if (w->channel != NULL && probe.call != NULL)
		minirpc_call_cancel(probe.call);
	world_free(w);
}
END_TEST

static void free_owner_at_close(struct script *script)
{
	struct world *w = script->user;

	w->client_end = NULL;
	w->channel = minirpc_channel_free(w->channel);
}

START_TEST(a_call_can_be_asked_when_another_on_close_has_freed_its_owner)
{
	struct world *w = open_world();
	struct probe probe = { 0 };

	a.at_close = free_owner_at_close;
	b.at_close = ask_about;
	a.user = b.user = w;
	ask(w, &world_echo, &probe);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_ptr_null(b.user);
	world_free(w);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("call/hook");
	TCase *tc = tcase_create("hook");

	tcase_add_test(tc, a_part_shows_the_message_that_took_its_place);
	tcase_add_test(tc, a_large_value_can_take_the_place_of_a_large_one);
	tcase_add_test(tc, what_a_hook_holds_can_be_changed_while_another_one_looks);
	tcase_add_test(tc, an_interceptor_may_push_back_with_the_handlers_answer);
	tcase_add_loop_test(tc, a_call_can_be_asked_when_a_hook_has_freed_its_owner, 0, 2);
	tcase_add_test(tc, a_call_can_be_asked_when_another_on_close_has_freed_its_owner);
	suite_add_tcase(suite, tc);
	return suite;
}

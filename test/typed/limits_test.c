/* SPDX-License-Identifier: MIT */
/* What protobuf may cost: depth and memory are options of both ends, served at their value, refused
 * at one more, and counted [limits.md 3, P12]. */
#include "typed/pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "run_suite.h"
#include "wire.h"

#include "base/alloc.h"
#include "typed/check.h"

/* One service for trees. Its answer is the handler's bytes, as they are. */
#define TREE                                                                                       \
	{                                                                                          \
		.method = { .path = "/typedtest.Trees/Grow" },                                     \
		.request = &typedtest__tree__descriptor, .response = &typedtest__tree__descriptor, \
	}

static const struct minirpc_typed_method grow = TREE, methods[] = { TREE };
static struct pair pair;
static struct wire wire;
static const struct minirpc_conn_limits *seen_limits;
static unsigned served;
static bool answer_wire; /* with what is in `wire`; otherwise with nothing */

static bool is_handled(const void *handlers)
{
	(void)handlers;
	return true;
}

static void on_request(minirpc_call *call, const void *request, const void *handlers, void *user)
{
	(void)request;
	(void)handlers;
	(void)user;
	served++;
	seen_limits = minirpc_call_limits(call);
	ck_assert_int_eq(minirpc_call_send(call, wire.data, answer_wire ? wire.len : 0), 0);
	minirpc_call_end(call, NULL);
}

static const struct minirpc_binding bindings[] = {
	{ .method = methods, .is_handled = is_handled, .on_request = on_request },
};
static const struct minirpc_service trees = {
	.name = "typedtest.Trees",
	.methods = methods,
	.method_count = 1,
};

static void open_pair(const struct minirpc_conn_limits *limits)
{
	ck_assert_int_eq(pair_open_with(&pair, limits), 0);
	ck_assert_int_eq(minirpc_serve(pair.server, &trees, bindings, "", 0, NULL), 0);
	served = 0;
	seen_limits = NULL;
}

static void close_pair(void)
{
	pair_close(&pair);
	wire_clear(&wire);
}

struct outcome {
	unsigned ends;
	enum minirpc_code code;
	char text[256];
};

static void take_status(struct outcome *outcome, const struct minirpc_status *status)
{
	outcome->ends++;
	outcome->code = status->code;
	strncpy(outcome->text, status->message, sizeof outcome->text - 1);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)call;
	take_status(user, status);
}

/* A request that is `wire`, as no stub would send it. */
static struct outcome send_wire(void)
{
	static const struct minirpc_call_events events = { .on_end = on_end };
	struct outcome outcome = { 0 };
	minirpc_call *call;

	answer_wire = false;
	ck_assert_int_eq(
		minirpc_call_open(&call, pair.channel, &grow.method, NULL, &events, &outcome), 0);
	ck_assert_int_eq(minirpc_call_send(call, wire.data, wire.len), 0);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(outcome.ends, 1);
	return outcome;
}

static void deliver(minirpc_fn fn, const struct minirpc_status *status, const void *response,
		    void *user)
{
	(void)fn;
	ck_assert_int_eq(response != NULL, status->code == MINIRPC_OK);
	take_status(user, status);
}

/* A response that is `wire`. */
static struct outcome receive_wire(void)
{
	Typedtest__Tree request = TYPEDTEST__TREE__INIT;
	struct outcome outcome = { 0 };

	answer_wire = true;
	ck_assert_int_eq(
		minirpc_unary(pair.channel, &grow, &request.base, NULL, deliver, NULL, &outcome),
		0);
	pair_settle(&pair);
	ck_assert_uint_eq(outcome.ends, 1);
	return outcome;
}

static void ck_refusals(uint64_t of_server, uint64_t of_channel)
{
	struct minirpc_conn_counts counts;

	minirpc_server_counts(pair.server, &counts);
	ck_assert_uint_eq(counts.refused_decodes, of_server);
	minirpc_channel_counts(pair.channel, &counts);
	ck_assert_uint_eq(counts.refused_decodes, of_channel);
}

static void try_depth(unsigned value)
{
	struct outcome outcome;

	wire_nested(&wire, 1, value);
	ck_assert_int_eq(send_wire().code, MINIRPC_OK);
	ck_assert_int_eq(receive_wire().code, MINIRPC_OK);
	ck_refusals(0, 0);

	wire_nested(&wire, 1, value + 1);
	outcome = send_wire();
	ck_assert_int_eq(outcome.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(outcome.text, "request cannot be decoded: field typedtest.Tree.child is "
				       "nested too deeply");
	ck_refusals(1, 0);
	outcome = receive_wire();
	ck_assert_int_eq(outcome.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(outcome.text, "response cannot be decoded: field typedtest.Tree.child is "
				       "nested too deeply");
	ck_refusals(1, 1);
	ck_assert_uint_eq(served, 3); /* all but the refused request */
}

START_TEST(depth_100_is_served_and_101_refused_and_counted_at_both_ends)
{
	open_pair(NULL);
	try_depth(100);
	ck_assert_uint_eq(seen_limits->max_decode_depth, 100);
	ck_assert_uint_eq(seen_limits->max_decode_bytes, 64 << 20);
	close_pair();
}
END_TEST

START_TEST(depth_is_an_option_from_1_to_1000)
{
	open_pair(&(struct minirpc_conn_limits){ .max_decode_depth = 1 });
	try_depth(1);
	close_pair();

	open_pair(&(struct minirpc_conn_limits){ .max_decode_depth = 1000 });
	try_depth(1000);
	ck_assert_uint_eq(seen_limits->max_decode_depth, 1000);
	close_pair();
}
END_TEST

/* A string takes its length and a NUL, rounded up, besides the struct. */
START_TEST(memory_at_the_cap_is_served_and_one_byte_more_refused_and_counted_at_both_ends)
{
	const size_t cap = 100000;
	const size_t most = cap - mrpc_typed_round_up(sizeof(Typedtest__Tree)) - 1;
	char *text = malloc(cap);

	memset(text, 'x', cap);
	open_pair(&(struct minirpc_conn_limits){ .max_decode_bytes = (uint32_t)cap });
	wire_bytes(&wire, 3, text, most);
	ck_assert_int_eq(send_wire().code, MINIRPC_OK);
	ck_assert_int_eq(receive_wire().code, MINIRPC_OK);
	ck_refusals(0, 0);

	wire_clear(&wire);
	wire_bytes(&wire, 3, text, most + 1);
	ck_assert_int_eq(send_wire().code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_refusals(1, 0);
	ck_assert_int_eq(receive_wire().code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_refusals(1, 1);
	close_pair();
	free(text);
}
END_TEST

START_TEST(what_is_malformed_is_counted_once_for_each_call)
{
	open_pair(NULL);
	wire_raw(&wire, "\x1a\x02\xff\xff", 4); /* not UTF-8 */
	for (uint64_t i = 1; i <= 3; i++) {
		ck_assert_int_eq(send_wire().code, MINIRPC_INTERNAL);
		ck_refusals(i, 0);
	}
	ck_assert_uint_eq(served, 0);
	close_pair();
}
END_TEST

static void refuse(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	static const struct minirpc_status status = { .code = MINIRPC_INVALID_ARGUMENT,
						      .message = "not for us" };

	(void)message;
	(void)user;
	ck_assert_int_eq(minirpc_call_refuse(call, &status), 0);
	ck_assert_int_eq(minirpc_call_refuse(call, &status), -EPIPE); /* and is not counted */
}

START_TEST(a_codec_of_ones_own_refuses_as_the_stubs_do)
{
	static const struct minirpc_call_events events = { .on_message = refuse, .on_end = on_end };
	struct outcome outcome = { 0 };
	minirpc_call *call;

	open_pair(NULL);
	answer_wire = false;
	ck_assert_int_eq(
		minirpc_call_open(&call, pair.channel, &grow.method, NULL, &events, &outcome), 0);
	ck_assert_int_eq(minirpc_call_send(call, "", 0), 0);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	ck_assert_uint_eq(minirpc_call_limits(call)->max_decode_depth, 100);
	pair_settle(&pair);
	ck_assert_int_eq(outcome.code, MINIRPC_INVALID_ARGUMENT);
	ck_assert_str_eq(outcome.text, "not for us");
	ck_refusals(0, 1);
	close_pair();
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("typed/limits");
	TCase *tcase = tcase_create("limits");

	tcase_add_test(tcase, depth_100_is_served_and_101_refused_and_counted_at_both_ends);
	tcase_add_test(tcase, depth_is_an_option_from_1_to_1000);
	tcase_add_test(
		tcase,
		memory_at_the_cap_is_served_and_one_byte_more_refused_and_counted_at_both_ends);
	tcase_add_test(tcase, what_is_malformed_is_counted_once_for_each_call);
	tcase_add_test(tcase, a_codec_of_ones_own_refuses_as_the_stubs_do);
	suite_add_tcase(suite, tcase);
	return suite;
}

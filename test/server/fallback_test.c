/* SPDX-License-Identifier: MIT */
/* Who takes a call: by its path, by how its messages are written [W-4, W-9], or the handler for
 * whatever is left. */
#include "client/pair.h"
#include "run_suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pair pair;

static void setup(void)
{
	pair_open(&pair, NULL, NULL);
	pair_connect(&pair);
}

static void teardown(void)
{
	pair_close(&pair);
}

/* ---- What handlers and clients note ---- */

static char subtype[160], path[64]; /* of the last call that came in */
static char client_subtype[160];
static unsigned drops;

static void note_call(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	snprintf(subtype, sizeof subtype, "%s", minirpc_call_subtype(call));
	snprintf(path, sizeof path, "%s", minirpc_call_path(call));
}

static void send_back(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)user;
	ck_assert_int_eq(minirpc_call_send(call, message->data, message->len), 0);
}

static void end_too(minirpc_call *call, void *user)
{
	(void)user;
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
}

static void give_back(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	minirpc_call_end(call, status);
}

static const struct minirpc_call_events echoing = { .on_headers = note_call,
						    .on_message = send_back,
						    .on_half_close = end_too,
						    .on_end = give_back };

static void note_drop(void *user)
{
	(void)user;
	drops++;
}

static struct probe ask(const struct minirpc_method *method)
{
	struct probe probe = { 0 };

	probe_call(&probe, pair.channel, method, NULL);
	snprintf(client_subtype, sizeof client_subtype, "%s", minirpc_call_subtype(probe.call));
	pair_settle(&pair);
	ck_assert_uint_eq(probe.ends, 1);
	return probe;
}

/* ---- Subtypes ---- */

static const struct minirpc_method json = { .path = "/t.T/json", .subtype = "json" };
static const struct minirpc_method json_as_proto = { .path = "/t.T/json" };
static const struct minirpc_method explicit_proto = { .path = "/t.T/echo", .subtype = "proto" };
static const struct minirpc_method echo_as_json = { .path = "/t.T/echo", .subtype = "json" };

START_TEST(W_9_a_method_is_served_for_its_own_subtype_only)
{
	struct probe probe;

	ck_assert_int_eq(minirpc_server_add(pair.server, &json, &echoing, NULL, NULL), 0);
	probe = ask(&json);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_str_eq(subtype, "json");
	ck_assert_str_eq(client_subtype, "json");

	probe = ask(&json_as_proto);
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_str_eq(probe.text, "unknown content subtype");
	ck_assert_str_eq(client_subtype, "proto");
	probe = ask(&echo_as_json);
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_str_eq(probe.text, "unknown content subtype");

	ck_assert_int_eq(ask(&echo).code, MINIRPC_OK);
	ck_assert_int_eq(ask(&explicit_proto).code, MINIRPC_OK);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(a_subtype_is_lower_case_and_at_most_122_characters)
{
	char text[124];
	struct minirpc_method method = { .path = "/t.T/new", .subtype = text };
	static const char *const bad[] = { "", "JSON", "a b", "a;b", "a/b", ".a", "\xe9" };
	minirpc_call *call;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		strcpy(text, bad[i]);
		ck_assert_int_eq(minirpc_server_add(pair.server, &method, &echoing, NULL, NULL),
				 -EINVAL);
		ck_assert_int_eq(
			minirpc_call_open(&call, pair.channel, &method, NULL, &probe_events, NULL),
			-EINVAL);
	}
	memset(text, 's', 123);
	text[123] = '\0';
	ck_assert_int_eq(minirpc_server_add(pair.server, &method, &echoing, NULL, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &method, NULL, &probe_events, NULL),
			 -EINVAL);
	text[122] = '\0';
	ck_assert_int_eq(minirpc_server_add(pair.server, &method, &echoing, NULL, NULL), 0);
	ck_assert_int_eq(ask(&method).code, MINIRPC_OK);
	ck_assert_str_eq(subtype, text);
	minirpc_server_remove(pair.server, method.path);
}
END_TEST

/* ---- The fallback ---- */

static const struct minirpc_method unknown = { .path = "/any.Thing/Goes" };
static const struct minirpc_method unknown_flat = { .path = "/any.Thing/Goes", .subtype = "flat" };
static const struct minirpc_method unknown_stream = {
	.path = "/any.Thing/Streams",
	.flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING,
};

START_TEST(a_fallback_takes_whatever_nobody_else_has)
{
	struct probe probe = { 0 };

	ck_assert_int_eq(ask(&unknown).code, MINIRPC_UNIMPLEMENTED);
	ck_assert_int_eq(minirpc_server_add_fallback(pair.server, &echoing, NULL, note_drop), 0);
	ck_assert_int_eq(ask(&unknown).code, MINIRPC_OK);
	ck_assert_str_eq(path, "/any.Thing/Goes");
	ck_assert_str_eq(subtype, "proto");
	ck_assert_int_eq(ask(&unknown_flat).code, MINIRPC_OK);
	ck_assert_str_eq(subtype, "flat");

	probe_call(&probe, pair.channel, &unknown_stream, NULL);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(minirpc_call_send(probe.call, "again", 5), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(probe.messages, 3);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 1);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(a_service_goes_before_the_fallback)
{
	ck_assert_int_eq(minirpc_server_add_fallback(pair.server, &echoing, NULL, NULL), 0);
	path[0] = '\0';
	ck_assert_int_eq(ask(&echo).code, MINIRPC_OK);
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_str_eq(path, "");
	/* also where it does not speak the subtype: the path is taken */
	ck_assert_int_eq(ask(&echo_as_json).code, MINIRPC_UNIMPLEMENTED);
	ck_assert_str_eq(path, "");
	/* and what is removed falls back */
	minirpc_server_remove(pair.server, echo.path);
	ck_assert_int_eq(ask(&echo).code, MINIRPC_OK);
	ck_assert_str_eq(path, "/t.T/echo");
}
END_TEST

START_TEST(there_is_one_fallback_and_it_goes_with_the_server)
{
	drops = 0;
	ck_assert_int_eq(minirpc_server_add_fallback(pair.server, NULL, NULL, note_drop), -EINVAL);
	ck_assert_int_eq(minirpc_server_add_fallback(pair.server, &echoing, NULL, note_drop), 0);
	ck_assert_int_eq(minirpc_server_add_fallback(pair.server, &echoing, NULL, note_drop),
			 -EEXIST);
	ck_assert_uint_eq(drops, 0);
	pair.server = minirpc_server_free(pair.server);
	ck_assert_uint_eq(drops, 1);
}
END_TEST

/* ---- For proxies ---- */

static const struct minirpc_method front = {
	.path = "/t.T/front", .flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING
};
static minirpc_call *front_call;
static unsigned rooms;

static void keep_call(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	front_call = call;
}

static void note_room(minirpc_call *call, void *user)
{
	(void)call;
	(void)user;
	rooms++;
}

static const struct minirpc_call_events keeping = { .on_headers = keep_call,
						    .on_writable = note_room,
						    .on_end = give_back };

START_TEST(M_4_what_is_sent_on_is_what_may_be_sent)
{
	const struct minirpc_field metadata[] = {
		{ "a", "1" }, { "a", "2" }, { "raw-bin", "\0\xff", 2 }, { "empty", "" }, { 0 }
	};
	const struct minirpc_field *fields;
	struct probe probe = { 0 };

	ck_assert_int_eq(minirpc_server_add(pair.server, &front, &keeping, NULL, NULL), 0);
	probe_call(&probe, pair.channel, &front,
		   &(struct minirpc_call_options){ .metadata = metadata });
	pair_settle(&pair);
	/* there is also a user-agent, which is the last hop's */
	ck_assert_uint_eq(minirpc_metadata_count(minirpc_call_headers(front_call)), 5);
	fields = minirpc_call_forward(front_call, minirpc_call_headers(front_call));
	for (size_t i = 0; i < 4; i++) {
		ck_assert_str_eq(fields[i].key, metadata[i].key);
		ck_assert_mem_eq(fields[i].value, metadata[i].value, fields[i].len);
	}
	ck_assert_uint_eq(fields[2].len, 2);
	ck_assert_ptr_null(fields[4].key);
	ck_assert_ptr_null(minirpc_call_forward(front_call, NULL)->key);
	ck_assert_int_eq(minirpc_call_send_headers(front_call, fields), 0);
	minirpc_call_cancel(probe.call);
}
END_TEST

START_TEST(has_room_says_what_send_would_and_asks_for_on_writable)
{
	static char text[64 << 10];
	struct probe probe = { 0 };

	rooms = 0;
	ck_assert_int_eq(minirpc_server_add(pair.server, &front, &keeping, NULL, NULL), 0);
	probe_call(&probe, pair.channel, &front, NULL);
	pair_settle(&pair);
	ck_assert(minirpc_call_has_room(front_call));
	pair.server_end.held = true;
	ck_assert_int_eq(minirpc_call_send(front_call, text, sizeof text - 5 - 1), 0);
	ck_assert(minirpc_call_has_room(front_call));
	ck_assert_int_eq(minirpc_call_send(front_call, "", 0), 0); /* now it is at its limit */
	ck_assert(!minirpc_call_has_room(front_call));
	ck_assert_int_eq(minirpc_call_send(front_call, "", 0), -EAGAIN);
	pair_settle(&pair);
	pair_release(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(rooms, 1);
	ck_assert(minirpc_call_has_room(front_call));
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/fallback");
	TCase *t = tcase_create("subtypes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, W_9_a_method_is_served_for_its_own_subtype_only);
	tcase_add_test(t, a_subtype_is_lower_case_and_at_most_122_characters);
	suite_add_tcase(s, t);

	t = tcase_create("fallback");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_fallback_takes_whatever_nobody_else_has);
	tcase_add_test(t, a_service_goes_before_the_fallback);
	tcase_add_test(t, there_is_one_fallback_and_it_goes_with_the_server);
	tcase_add_test(t, M_4_what_is_sent_on_is_what_may_be_sent);
	tcase_add_test(t, has_room_says_what_send_would_and_asks_for_on_writable);
	suite_add_tcase(s, t);
	return s;
}

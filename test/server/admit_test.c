/* SPDX-License-Identifier: MIT */
/* At a server's door: the admission hook, max_calls, max_memory, and what is said to those who are turned
 * away. */
#include "client/pair.h"
#include "h2/inside.h"
#include "run_suite.h"
#include "server/server.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pair pair;

static void start(const struct minirpc_server_options *options)
{
	pair_open(&pair, options, NULL);
	pair_connect(&pair);
	pair_settle(&pair);
}

static void stop(void)
{
	pair_close(&pair);
	ck_assert_uint_eq(alloc_live(), 0);
}

static struct minirpc_conn_counts counts_of(void)
{
	struct minirpc_conn_counts counts;

	minirpc_server_counts(pair.server, &counts);
	return counts;
}

/* ---- A client that also looks at trailers ---- */

struct asker {
	minirpc_call *call;
	unsigned messages, ends;
	enum minirpc_code code;
	char text[512], pushback[16];
};

static void on_answer(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct asker *asker = user;

	(void)call;
	(void)message;
	asker->messages++;
}

static void on_over(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct asker *asker = user;
	const char *pushback =
		minirpc_metadata_get(minirpc_call_trailers(call), "grpc-retry-pushback-ms");

	asker->ends++;
	asker->code = status->code;
	snprintf(asker->text, sizeof asker->text, "%s", status->message);
	snprintf(asker->pushback, sizeof asker->pushback, "%s", pushback == NULL ? "" : pushback);
	asker->call = NULL;
}

static const struct minirpc_call_events asking = { .on_message = on_answer, .on_end = on_over };

static void ask(struct asker *asker, const struct minirpc_method *method,
		const struct minirpc_call_options *options)
{
	*asker = (struct asker){ 0 };
	ck_assert_int_eq(
		minirpc_call_open(&asker->call, pair.channel, method, options, &asking, asker), 0);
	if (method->flags & MINIRPC_CLIENT_STREAMING)
		return;
	ck_assert_int_eq(minirpc_call_send(asker->call, "hello", 5), 0);
	ck_assert_int_eq(minirpc_call_end(asker->call, NULL), 0);
}

#define ck_ended(asker, what)                                                                      \
	do {                                                                                       \
		ck_assert_uint_eq((asker)->ends, 1);                                               \
		ck_assert_int_eq((asker)->code, what);                                             \
	} while (0)

/* ---- The hook ---- */

static struct hook {
	unsigned asked;
	enum minirpc_code code; /* to answer */
	const char *text;
	minirpc_time pushback;
	bool count_up; /* the text is a number, in one buffer for all */
	char buffer[32];
	struct minirpc_admission last;
	char path[64], authority[64], peer[64], key[64];
	uint64_t started;
} hook;

static enum minirpc_code on_admit(struct minirpc_admission *request, void *user)
{
	const char *value = minirpc_metadata_get(request->metadata, "key");

	ck_assert_ptr_eq(user, &hook);
	hook.asked++;
	hook.last = *request;
	snprintf(hook.path, sizeof hook.path, "%s", request->path);
	snprintf(hook.authority, sizeof hook.authority, "%s", request->authority);
	snprintf(hook.peer, sizeof hook.peer, "%s", request->peer);
	snprintf(hook.key, sizeof hook.key, "%s", value == NULL ? "" : value);
	hook.started = request->counts->calls_started;
	request->text = hook.text;
	request->pushback = hook.pushback;
	if (hook.count_up) {
		snprintf(hook.buffer, sizeof hook.buffer, "number %u", hook.asked);
		request->text = hook.buffer;
	}
	return hook.code;
}

static void start_with_hook(void)
{
	memset(&hook, 0, sizeof hook);
	start(&(struct minirpc_server_options){ .admit = on_admit, .admit_user = &hook });
}

START_TEST(the_hook_sees_what_is_known_of_a_request_and_of_the_server)
{
	const struct minirpc_field metadata[] = { { "key", "value" }, { 0 } };
	struct asker first, second;

	start_with_hook();
	ask(&first, &hang, NULL);
	pair_settle(&pair);
	ck_assert_uint_eq(hook.asked, 1);
	ck_assert_int_eq(hook.last.timeout, MINIRPC_NEVER);
	ck_assert_uint_eq(hook.last.open_calls, 0);
	ck_assert_uint_eq(hook.started, 0);

	ask(&second, &hang,
	    &(struct minirpc_call_options){ .metadata = metadata, .timeout = MINIRPC_MS(250) });
	pair_settle(&pair);
	ck_assert_uint_eq(hook.asked, 2);
	ck_assert_ptr_eq(hook.last.server, pair.server);
	ck_assert_str_eq(hook.path, "/t.T/hang");
	ck_assert_str_eq(hook.authority, "test");
	ck_assert_str_eq(hook.peer, "pipe:client");
	ck_assert_str_eq(hook.key, "value");
	ck_assert_int_eq(hook.last.timeout, MINIRPC_MS(250));
	ck_assert_uint_eq(hook.last.open_calls, 1);
	ck_assert_uint_eq(hook.last.open_connections, 1);
	ck_assert_uint_ge(hook.last.memory, 2 * sizeof(minirpc_call));
	ck_assert_uint_eq(hook.started, 1);
	ck_assert_uint_eq(seen.calls, 2);
	stop();
}
END_TEST

START_TEST(what_the_hook_refuses_reaches_nobody)
{
	struct asker asker;

	start_with_hook();
	hook.code = MINIRPC_PERMISSION_DENIED;
	hook.text = "100 % \xe2\x82\xac";
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_PERMISSION_DENIED);
	ck_assert_str_eq(asker.text, "100 % \xe2\x82\xac");
	ck_assert_str_eq(asker.pushback, "");
	ck_assert_uint_eq(seen.calls, 0);
	ck_assert_uint_eq(counts_of().refused_admissions, 1);
	ck_assert_uint_eq(counts_of().calls_started, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
	ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);

	hook.code = MINIRPC_OK;
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_OK);
	ck_assert_uint_eq(counts_of().refused_admissions, 1);
	ck_assert_uint_eq(counts_of().calls_started, 1);
	stop();
}
END_TEST

START_TEST(R_5_a_refusal_pushes_back_as_it_is_told)
{
	static const struct {
		minirpc_time pushback;
		const char *text;
	} cases[] = {
		{ 0, "" },
		{ 1, "1" },
		{ MINIRPC_MS(1500), "1500" },
		{ MINIRPC_MS(1500) + 1, "1501" },
		{ -1, "-1" },
		{ MINIRPC_NEVER, "2147483647" },
	};

	start_with_hook();
	hook.code = MINIRPC_UNAVAILABLE;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct asker asker;

		hook.pushback = cases[i].pushback;
		ask(&asker, &echo, NULL);
		pair_settle(&pair);
		ck_ended(&asker, MINIRPC_UNAVAILABLE);
		ck_assert_str_eq(asker.text, "");
		ck_assert_str_eq(asker.pushback, cases[i].text);
	}
	stop();
}
END_TEST

START_TEST(each_of_many_refusals_has_its_own_text)
{
	struct asker askers[5];
	char text[32];

	start_with_hook();
	hook.code = MINIRPC_UNAUTHENTICATED;
	hook.count_up = true;
	pair.client.held = true;
	for (int i = 0; i < 5; i++)
		ask(&askers[i], &echo, NULL);
	pair_settle(&pair);
	pair_release(&pair); /* all of them in one read */
	pair_settle(&pair);
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof text, "number %d", i + 1);
		ck_ended(&askers[i], MINIRPC_UNAUTHENTICATED);
		ck_assert_str_eq(askers[i].text, text);
	}
	stop();
}
END_TEST

static struct mrpc_conn *server_conn(void)
{
	return mrpc_container(pair.server->connections.next, struct mrpc_server_connection, node)
		->conn;
}

START_TEST(all_refused_requests_share_one_call)
{
	const struct minirpc_field metadata[] = { { "key", "value" }, { 0 } };
	static char large[8000];
	const struct minirpc_field more[] = { { "key", large, sizeof large }, { 0 } };
	const minirpc_call *blank;
	struct asker asker;

	memset(large, 'x', sizeof large);
	start_with_hook();
	hook.code = MINIRPC_UNAVAILABLE;
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	blank = server_conn()->blank;
	ck_assert_ptr_nonnull(blank);
	for (int i = 0; i < 300; i++) {
		ask(&asker, &echo,
		    &(struct minirpc_call_options){ .metadata = i % 3 == 0   ? NULL
								: i % 3 == 1 ? metadata
									     : more });
		pair_settle(&pair);
		ck_ended(&asker, MINIRPC_UNAVAILABLE);
		ck_assert_ptr_eq(server_conn()->blank, blank);
		ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
	}
	/* and the next that is let in takes it, as good as new */
	hook.code = MINIRPC_OK;
	ask(&asker, &hang, &(struct minirpc_call_options){ .metadata = metadata });
	pair_settle(&pair);
	ck_assert_ptr_eq(seen.last, blank);
	ck_assert_ptr_null(server_conn()->blank);
	ck_assert_uint_eq(minirpc_metadata_count(minirpc_call_headers(seen.last)), 2);
	ck_assert_str_eq(minirpc_call_path(seen.last), "/t.T/hang");
	ck_assert_int_eq(minirpc_call_deadline(seen.last), MINIRPC_NEVER);
	stop();
}
END_TEST

START_TEST(the_body_of_what_was_refused_is_dropped_and_costs_no_credit)
{
	static char body[60000];
	struct asker asker;

	start_with_hook();
	/* More than the connection's window, in calls that end before they know that they are refused. */
	for (int i = 0; i < 400; i++) {
		hook.code = MINIRPC_RESOURCE_EXHAUSTED;
		pair.server_end.held = true;
		ask(&asker, &sum, NULL);
		ck_assert_int_eq(minirpc_call_send(asker.call, body, sizeof body), 0);
		pair_settle(&pair);
		ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
		pair.server_end.held = false;
		pair_release(&pair);
		pair_settle(&pair);
		ck_ended(&asker, MINIRPC_RESOURCE_EXHAUSTED);
	}
	hook.code = MINIRPC_OK;
	ask(&asker, &sum, NULL);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(minirpc_call_send(asker.call, body, sizeof body), 0);
		pair_settle(&pair);
	}
	ck_assert_int_eq(minirpc_call_end(asker.call, NULL), 0);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_OK);
	ck_assert_uint_eq(asker.messages, 1);
	stop();
}
END_TEST

START_TEST(the_hook_is_asked_about_good_requests_only)
{
	static const struct minirpc_method late = { .path = "/t.T/echo" };
	struct asker asker;

	start_with_hook();
	pair.client.held = true;
	ask(&asker, &late, &(struct minirpc_call_options){ .timeout = 1 });
	pair_settle(&pair);
	pair_release(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(hook.asked, 1); /* 1 ns is still some time */
	/* unknown paths are asked about, since the fallback might take them */
	ask(&asker, &(const struct minirpc_method){ .path = "/no/where" }, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_UNIMPLEMENTED);
	ck_assert_uint_eq(hook.asked, 2);
	stop();
}
END_TEST

/* ---- max_calls ---- */

START_TEST(calls_at_the_limit_are_served_and_one_more_is_refused_and_counted)
{
	struct asker askers[4], asker;

	start(&(struct minirpc_server_options){ .max_calls = 3 });
	pair.client.held = true;
	for (int i = 0; i < 4; i++) /* they come in one read */
		ask(&askers[i], &hang, NULL);
	pair_settle(&pair);
	pair_release(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(seen.calls, 3);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 3);
	ck_ended(&askers[3], MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(askers[3].text, "the server has too many calls");
	ck_assert_str_eq(askers[3].pushback, "1000");
	ck_assert_uint_eq(counts_of().refused_calls, 1);

	minirpc_call_cancel(askers[0].call);
	pair_settle(&pair);
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_OK);
	ck_assert_uint_eq(counts_of().refused_calls, 1);
	stop();
}
END_TEST

static minirpc_call *forgotten;

static void forget(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	forgotten = call;
}

START_TEST(a_call_counts_until_its_handler_has_ended_it_whatever_becomes_of_its_connection)
{
	static const struct minirpc_method method = { .path = "/t.T/forgets" };
	static const struct minirpc_call_events forgetting = { .on_headers = forget };
	struct asker asker;

	start(&(struct minirpc_server_options){ .max_calls = 1, .shed_pushback = -1 });
	ck_assert_int_eq(minirpc_server_add(pair.server, &method, &forgetting, NULL, NULL), 0);
	ask(&asker, &method, NULL);
	pair_settle(&pair);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_UNAVAILABLE);

	pair_connect(&pair);
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(asker.pushback, ""); /* nothing, as asked */
	ck_assert_int_eq(minirpc_call_end(forgotten, NULL), 0);
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_OK);
	stop();
}
END_TEST

/* ---- max_memory ---- */

START_TEST(memory_at_the_limit_is_served_and_one_byte_more_is_refused_and_counted)
{
	struct asker first, second;
	size_t held;

	/* What is held at the door by the second of two calls. */
	start_with_hook();
	ask(&first, &hang, NULL);
	pair_settle(&pair);
	ask(&second, &hang, NULL);
	pair_settle(&pair);
	held = hook.last.memory;
	stop();

	for (size_t less = 0; less < 2; less++) {
		memset(&hook, 0, sizeof hook);
		start(&(struct minirpc_server_options){ .max_memory = held - less,
							.shed_pushback = MINIRPC_MS(20),
							.admit = on_admit,
							.admit_user = &hook });
		ask(&first, &hang, NULL);
		pair_settle(&pair);
		ask(&second, &hang, NULL);
		pair_settle(&pair);
		/* either way it gets no further: there is no room for its message */
		ck_assert_uint_eq(hook.asked, 2 - less);
		ck_assert_uint_eq(counts_of().calls_started, 2 - less);
		ck_assert_uint_eq(counts_of().refused_memory, 1);
		ck_ended(&second, MINIRPC_RESOURCE_EXHAUSTED);
		ck_assert_str_eq(second.text, "the server's memory quota is used up");
		ck_assert_str_eq(second.pushback, less > 0 ? "20" : "");
		minirpc_call_cancel(first.call);
		pair_settle(&pair);
		ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
		stop();
	}
}
END_TEST

/* A handler that reads nothing. */
static void pause_it(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	minirpc_call_pause(call);
}

static void give_back(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	minirpc_call_end(call, status);
}

static const struct minirpc_method paused = { .path = "/t.T/paused",
					      .flags = MINIRPC_CLIENT_STREAMING };

static const struct minirpc_call_events pausing = { .on_headers = pause_it, .on_end = give_back };

#define UPLOAD (100u << 20)
#define QUOTA (2u << 20)

/* Pushes what the window lets through. Returns the most that the server held. */
static size_t upload(struct asker *asker, size_t piece)
{
	char *body = calloc(1, piece);
	size_t most = 0;

	ck_assert_ptr_nonnull(body);
	for (size_t sent = 0; sent < UPLOAD && asker->call != NULL; sent += piece) {
		size_t held;

		if (minirpc_call_send(asker->call, body, piece) < 0)
			break;
		pair_settle(&pair);
		held = minirpc_server_memory(pair.server);
		most = held > most ? held : most;
	}
	free(body);
	return most;
}

START_TEST(an_upload_of_100_MB_stops_at_the_quota)
{
	static const size_t pieces[] = { 1, 1000, 300000, 4u << 20 };

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct asker asker, other;

		start(&(struct minirpc_server_options){
			.max_memory = QUOTA,
			.limits = { .stream_window = 512u << 20, .conn_window = 512u << 20 },
		});
		ck_assert_int_eq(minirpc_server_add(pair.server, &paused, &pausing, NULL, NULL), 0);
		ask(&asker, &paused, NULL);
		ck_assert_uint_le(upload(&asker, pieces[i]), QUOTA + sizeof(minirpc_call));
		if (pieces[i] > 1) { /* single bytes have not got so far */
			ck_ended(&asker, MINIRPC_RESOURCE_EXHAUSTED);
			ck_assert_uint_eq(counts_of().refused_memory, 1);
		} else {
			minirpc_call_cancel(asker.call);
		}
		pair_settle(&pair);
		ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
		ask(&other, &echo, NULL);
		pair_settle(&pair);
		ck_ended(&other, MINIRPC_OK);
		stop();
	}
}
END_TEST

/* Small on the wire, and larger than all that is left once it is inflated. */
START_TEST(a_message_that_finds_no_room_when_it_is_inflated_says_so_and_is_counted)
{
	const struct minirpc_call_options zipped = { .compression = "gzip" };
	static char zeros[1u << 20];
	struct asker asker;

	start(&(struct minirpc_server_options){ .max_memory = 512u << 10 });
	asker = (struct asker){ 0 };
	ck_assert_int_eq(
		minirpc_call_open(&asker.call, pair.channel, &sum, &zipped, &asking, &asker), 0);
	ck_assert_int_eq(minirpc_call_send(asker.call, zeros, sizeof zeros), 0);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(asker.text, "the server's memory quota is used up");
	ck_assert_uint_eq(counts_of().refused_memory, 1);
	ck_assert_uint_eq(counts_of().refused_messages, 0);
	pair_settle(&pair);
	ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
	stop();
}
END_TEST

static void want_much(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)message;
	*(bool *)user = minirpc_call_alloc(call, 1u << 20) == NULL;
	minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no room");
}

static const struct minirpc_method wanting = { .path = "/t.T/wanting" };
static const struct minirpc_call_events wants = { .on_message = want_much, .on_end = give_back };

START_TEST(what_a_message_becomes_counts_too)
{
	struct asker asker;
	bool refused = false;

	start(&(struct minirpc_server_options){ .max_memory = 512u << 10 });
	ck_assert_int_eq(minirpc_server_add(pair.server, &wanting, &wants, &refused, NULL), 0);
	ask(&asker, &wanting, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert(refused);
	ck_assert_uint_eq(counts_of().refused_memory, 1);
	ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
	stop();
}
END_TEST

/* ---- A Dump ---- */

static const struct minirpc_method dump = { .path = "/t.T/dump",
					    .flags = MINIRPC_SERVER_STREAMING };
static struct {
	unsigned sent;
	int error;
} dumped;

static void go_on(minirpc_call *call, void *user)
{
	static const char item[1000];
	int r;

	(void)user;
	do
		r = dumped.sent == 100000 ? -ENODATA : minirpc_call_send(call, item, sizeof item);
	while (r == 0 && ++dumped.sent > 0);
	if (r == -EAGAIN)
		return;
	dumped.error = r;
	if (r == -ENODATA)
		minirpc_call_end(call, NULL);
	else
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no memory for more");
}

static const struct minirpc_call_events dumping = { .on_half_close = go_on,
						    .on_writable = go_on,
						    .on_end = give_back };

START_TEST(a_dump_to_a_slow_reader_holds_its_queue_and_no_more)
{
	struct asker slow, asker;
	size_t held;

	memset(&dumped, 0, sizeof dumped);
	start(&(struct minirpc_server_options){ .max_memory = 1u << 20 });
	ck_assert_int_eq(minirpc_server_add(pair.server, &dump, &dumping, NULL, NULL), 0);
	ask(&slow, &dump, NULL);
	minirpc_call_pause(slow.call);
	pair_settle(&pair);
	held = minirpc_server_memory(pair.server);
	ck_assert_uint_ge(held, 64u << 10);
	ck_assert_uint_le(held, 128u << 10);
	ck_assert_uint_lt(dumped.sent, 100000);
	ask(&asker, &echo, NULL);
	pair_settle(&pair);
	ck_ended(&asker, MINIRPC_OK);

	minirpc_call_resume(slow.call);
	while (slow.call != NULL)
		pair_settle(&pair);
	ck_ended(&slow, MINIRPC_OK);
	ck_assert_uint_eq(slow.messages, 100000);
	ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
	stop();
}
END_TEST

START_TEST(a_dump_that_meets_the_quota_is_told_and_can_still_say_so)
{
	struct asker slow;

	memset(&dumped, 0, sizeof dumped);
	start(&(struct minirpc_server_options){ .max_memory = 32u << 10, .send_queue = 1u << 20 });
	ck_assert_int_eq(minirpc_server_add(pair.server, &dump, &dumping, NULL, NULL), 0);
	pair.server_end.held = true;
	ask(&slow, &dump, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(dumped.error, -ENOMEM);
	ck_assert_uint_le(minirpc_server_memory(pair.server), 32u << 10);
	pair_release(&pair);
	pair_settle(&pair);
	ck_ended(&slow, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_uint_eq(slow.messages, dumped.sent);
	ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
	stop();
}
END_TEST

/* ---- When things fail ---- */

START_TEST(memory_is_back_at_zero_after_any_failing_allocation)
{
	static const struct minirpc_server_options options = {
		.max_memory = 1u << 20, .max_calls = 3, .admit = on_admit, .admit_user = &hook
	};
	size_t n;
	bool done = false;

	memset(&hook, 0, sizeof hook);
	for (n = 1; !done; n++) {
		struct probe first = { 0 }, second = { 0 };
		static char body[5000];
		int r;

		alloc_fail_at(n, false);
		hook.code = MINIRPC_OK;
		r = pair_try_open(&pair, &options, NULL);
		if (r == 0)
			r = pair_try_connect(&pair);
		if (r == 0) {
			r = minirpc_call_open(&first.call, pair.channel, &sum, NULL, &probe_events,
					      &first);
			if (r == 0 && minirpc_call_send(first.call, body, sizeof body) == 0)
				pair_settle(&pair);
			hook.code = MINIRPC_ABORTED;
			hook.text = "no %";
			hook.pushback = 5;
			if (minirpc_call_open(&second.call, pair.channel, &echo, NULL,
					      &probe_events, &second) == 0)
				pair_settle(&pair);
			if (second.call != NULL && second.ends == 0)
				minirpc_call_cancel(second.call);
			if (first.call != NULL && first.ends == 0)
				minirpc_call_cancel(first.call);
			pair_settle(&pair);
			ck_assert_uint_eq(minirpc_server_memory(pair.server), 0);
		}
		done = alloc_refused() == 0;
		alloc_fail_at(0, false);
		pair_close(&pair);
		ck_assert_uint_eq(alloc_live(), 0);
	}
	ck_assert_uint_gt(n, 50);
}
END_TEST

static void free_server(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)call;
	(void)message;
	(void)user;
	pair.server = minirpc_server_free(pair.server);
	/* the call, and its message, are still held by whoever tells us */
}

START_TEST(a_call_in_delivery_outlives_its_server_and_the_account_with_it)
{
	static const struct minirpc_method method = { .path = "/t.T/frees" };
	static const struct minirpc_call_events freeing = { .on_message = free_server };
	struct asker asker;

	start(&(struct minirpc_server_options){ .max_memory = 1u << 20 });
	ck_assert_int_eq(minirpc_server_add(pair.server, &method, &freeing, NULL, NULL), 0);
	ask(&asker, &method, NULL);
	pair_settle(&pair);
	ck_assert_ptr_null(pair.server);
	stop();
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/admit");
	TCase *t = tcase_create("hook");

	tcase_add_test(t, the_hook_sees_what_is_known_of_a_request_and_of_the_server);
	tcase_add_test(t, what_the_hook_refuses_reaches_nobody);
	tcase_add_test(t, R_5_a_refusal_pushes_back_as_it_is_told);
	tcase_add_test(t, each_of_many_refusals_has_its_own_text);
	tcase_add_test(t, all_refused_requests_share_one_call);
	tcase_add_test(t, the_body_of_what_was_refused_is_dropped_and_costs_no_credit);
	tcase_add_test(t, the_hook_is_asked_about_good_requests_only);
	suite_add_tcase(s, t);

	t = tcase_create("quotas");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, calls_at_the_limit_are_served_and_one_more_is_refused_and_counted);
	tcase_add_test(
		t, a_call_counts_until_its_handler_has_ended_it_whatever_becomes_of_its_connection);
	tcase_add_test(t, memory_at_the_limit_is_served_and_one_byte_more_is_refused_and_counted);
	tcase_add_test(t, an_upload_of_100_MB_stops_at_the_quota);
	tcase_add_test(t, a_message_that_finds_no_room_when_it_is_inflated_says_so_and_is_counted);
	tcase_add_test(t, what_a_message_becomes_counts_too);
	tcase_add_test(t, a_dump_to_a_slow_reader_holds_its_queue_and_no_more);
	tcase_add_test(t, a_dump_that_meets_the_quota_is_told_and_can_still_say_so);
	tcase_add_test(t, memory_is_back_at_zero_after_any_failing_allocation);
	tcase_add_test(t, a_call_in_delivery_outlives_its_server_and_the_account_with_it);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Typed calls from end to end: what the generated stubs stand on. */
#include "typed/decode.h"
#include "typed/pair.h"

#include "run_suite.h"
#include "typed/wire.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What happened at one end. */
struct probe {
	int calls, messages, half_closes, ends;
	int sum;
	char last[64];
	enum minirpc_code code;
	char text[256];
	minirpc_call *call;
	const Typedtest__Small *request;
};

static struct pair pair;
static struct probe client, server;

static void setup(void)
{
	memset(&client, 0, sizeof client);
	memset(&server, 0, sizeof server);
	alloc_fail_at(0, false);
	ck_assert_int_eq(pair_open(&pair), 0);
}

static void teardown(void)
{
	pair_close(&pair);
	ck_assert_uint_eq(alloc_live(), 0);
}

static void note_end(struct probe *probe, const struct minirpc_status *status)
{
	probe->ends++;
	probe->code = status->code;
	snprintf(probe->text, sizeof probe->text, "%s", status->message);
}

static void note_message(struct probe *probe, const Typedtest__Small *message)
{
	probe->messages++;
	probe->sum += message->count;
	snprintf(probe->last, sizeof probe->last, "%s", message->name);
}

/* ---- Unary ---- */

static void on_answer(const struct minirpc_status *status, const Typedtest__Small *response,
		      void *user)
{
	struct probe *probe = user;

	note_end(probe, status);
	ck_assert_int_eq(response != NULL, status->code == MINIRPC_OK);
	if (response != NULL)
		note_message(probe, response);
}

static void answer(minirpc_call *call, const Typedtest__Small *request, void *user)
{
	struct probe *probe = user;

	probe->calls++;
	note_message(probe, request);
	ck_assert_int_eq(minirpc_typed_reply(call, &SMALL(request->name, request->count + 1)->base),
			 0);
}

static void keep(minirpc_call *call, const Typedtest__Small *request, void *user)
{
	struct probe *probe = user;

	probe->calls++;
	probe->call = call;
	probe->request = request;
}

static void ask(const char *name, int count)
{
	ck_assert_int_eq(talk_ask_async(pair.channel, SMALL(name, count), NULL, on_answer, &client),
			 0);
	ck_assert_int_eq(client.ends, 0);
	pair_settle(&pair);
}

static void serve(const struct talk_handlers *handlers)
{
	ck_assert_int_eq(talk_serve(pair.server, handlers, &server), 0);
}

START_TEST(a_unary_call_brings_its_response)
{
	serve(&(struct talk_handlers){ .ask = answer });
	ask("gopher", 41);
	ck_assert_str_eq(server.last, "gopher");
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
	ck_assert_str_eq(client.last, "gopher");
	ck_assert_int_eq(client.sum, 42);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

/* ---- Compression, which a typed handler does not see in its message ---- */

static void ask_compressed(const char *compression)
{
	const struct minirpc_call_options options = { .compression = compression };

	ck_assert_int_eq(talk_ask_async(pair.channel, SMALL("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1),
					&options, on_answer, &client),
			 0);
	pair_settle(&pair);
}

START_TEST(a_handler_sees_whether_its_request_came_compressed)
{
	serve(&(struct talk_handlers){ .ask = keep });
	ask_compressed("gzip");
	ck_assert(minirpc_call_was_compressed(server.call));
	ask_compressed("identity");
	ck_assert_int_eq(server.calls, 2);
	ck_assert(!minirpc_call_was_compressed(server.call));
}
END_TEST

static int compressed_messages, plain_messages;

static void count_compressed(minirpc_call *call, const Typedtest__Small *message, void *user)
{
	(void)message;
	(void)user;
	if (minirpc_call_was_compressed(call))
		compressed_messages++;
	else
		plain_messages++;
}

static void listen_to_compression(minirpc_call *call, void *user)
{
	static const struct talk_events events = { .on_message = count_compressed };

	ck_assert(!minirpc_call_was_compressed(call)); /* nothing has come */
	ck_assert_int_eq(talk_listen(call, &talk_sum, &events, user), 0);
}

START_TEST(a_handler_sees_whether_each_message_of_a_stream_came_compressed)
{
	static const struct talk_events nothing = { 0 };
	const struct minirpc_call_options options = { .compression = "gzip" };
	minirpc_call *call;

	compressed_messages = plain_messages = 0;
	serve(&(struct talk_handlers){ .sum = listen_to_compression });
	ck_assert_int_eq(talk_open(&call, pair.channel, &talk_sum, NULL, &options, &nothing, NULL),
			 0);
	for (int i = 0; i < 3; i++) {
		minirpc_call_compress(call, i != 1);
		ck_assert_int_eq(minirpc_typed_send(call, &SMALL("aaaaaaaaaaaaaaaaaaaa", i)->base),
				 0);
	}
	pair_settle(&pair);
	ck_assert_int_eq(compressed_messages, 2);
	ck_assert_int_eq(plain_messages, 1);
	minirpc_call_cancel(call);
	pair_settle(&pair);
}
END_TEST

START_TEST(an_empty_message_is_a_message)
{
	serve(&(struct talk_handlers){ .ask = keep });
	ask("", 0);
	ck_assert_str_eq(server.request->name, "");
	ck_assert_int_eq(minirpc_typed_reply(server.call, &SMALL("", 0)->base), 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.code, MINIRPC_OK);
	ck_assert_int_eq(client.messages, 1);
}
END_TEST

START_TEST(a_request_lives_until_its_handler_ends_the_call)
{
	serve(&(struct talk_handlers){ .ask = keep });
	ask("gopher", 1);
	ck_assert_int_eq(server.calls, 1);
	ask("another", 2);
	ck_assert_int_eq(server.calls, 2);
	ck_assert_int_eq(client.ends, 0);
	ck_assert_str_eq(server.request->name, "another");
	minirpc_call_fail(server.call, MINIRPC_NOT_FOUND, "no %s", server.request->name);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(client.text, "no another");
	ck_assert_int_eq(client.messages, 0);
}
END_TEST

static void answer_then_fail(minirpc_call *call, const Typedtest__Small *request, void *user)
{
	(void)user;
	ck_assert_int_eq(minirpc_typed_send(call, &request->base), 0);
	minirpc_call_fail(call, MINIRPC_ABORTED, "changed my mind");
}

START_TEST(a_response_that_an_error_follows_is_not_shown)
{
	serve(&(struct talk_handlers){ .ask = answer_then_fail });
	ask("gopher", 1);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_ABORTED);
	ck_assert_int_eq(client.messages, 0);
}
END_TEST

START_TEST(a_method_without_handler_is_unimplemented)
{
	minirpc_call *call;
	struct talk_events events = { 0 };

	serve(&(struct talk_handlers){ 0 });
	ask("gopher", 1);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_int_eq(talk_open(&call, pair.channel, &talk_chat, NULL, NULL, &events, NULL), 0);
	pair_settle(&pair);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(ret_call_cancels_a_call)
{
	minirpc_call *call = NULL;
	struct minirpc_call_options options = { .ret_call = &call };

	serve(&(struct talk_handlers){ .ask = keep });
	ck_assert_int_eq(talk_ask_async(pair.channel, SMALL("x", 1), &options, on_answer, &client),
			 0);
	ck_assert_ptr_nonnull(call);
	pair_settle(&pair);
	minirpc_call_cancel(call);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 0);
	minirpc_call_end(server.call, NULL);
}
END_TEST

START_TEST(a_deadline_in_the_past_is_told_as_the_end)
{
	struct minirpc_call_options options = { .timeout = -1 };

	serve(&(struct talk_handlers){ .ask = answer });
	ck_assert_int_eq(talk_ask_async(pair.channel, SMALL("x", 1), &options, on_answer, &client),
			 0);
	ck_assert_int_eq(client.ends, 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(server.calls, 0);
}
END_TEST

START_TEST(a_struct_that_was_never_initialised_is_refused)
{
	Typedtest__Small zero;

	memset(&zero, 0, sizeof zero);
	serve(&(struct talk_handlers){ .ask = keep });
	ck_assert_int_eq(talk_ask_async(pair.channel, &zero, NULL, on_answer, &client), -EINVAL);
	ask("x", 1);
	ck_assert_int_eq(minirpc_typed_reply(server.call, &zero.base), -EINVAL);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_INTERNAL);
}
END_TEST

START_TEST(a_response_above_the_limit_ends_with_resource_exhausted)
{
	static char large[(4 << 20) + 1];

	memset(large, 'x', sizeof large - 1);
	serve(&(struct talk_handlers){ .ask = keep });
	ask("x", 1);
	ck_assert_int_eq(minirpc_typed_reply(server.call, &SMALL(large, 1)->base), 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_RESOURCE_EXHAUSTED);
}
END_TEST

/* ---- Bytes that are no message ---- */

static void raw_on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)call;
	note_end(user, status);
}

static const struct minirpc_call_events raw_events = { .on_end = raw_on_end };

/* A client that sends these bytes. */
static minirpc_call *raw_call(const struct minirpc_method *method, const void *data, size_t len)
{
	minirpc_call *call;

	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, method, NULL, &raw_events, &client),
			 0);
	ck_assert_int_eq(minirpc_call_send(call, data, len), 0);
	return call;
}

START_TEST(a_request_that_is_no_message_never_reaches_the_handler)
{
	serve(&(struct talk_handlers){ .ask = answer });
	minirpc_call_end(raw_call(&talk_ask.method, "\x0a\x01\xff", 3), NULL);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(client.text,
			 "request cannot be decoded: field typedtest.Small.name is not UTF-8");
	ck_assert_int_eq(server.calls, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

START_TEST(a_request_above_the_budget_is_resource_exhausted)
{
	struct wire wire = { 0 };
	int i;

	for (i = 0; i < 1 << 17; i++) /* unknown fields */
		wire_raw(&wire, "\x78\x01", 2);
	serve(&(struct talk_handlers){ .ask = answer });
	minirpc_call_end(raw_call(&talk_ask.method, wire.data, wire.len), NULL);
	wire_clear(&wire);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(server.calls, 0);
}
END_TEST

START_TEST(a_peer_that_leaves_before_its_request_is_whole_leaves_nothing)
{
	minirpc_call *call;

	serve(&(struct talk_handlers){ .ask = answer });
	call = raw_call(&talk_ask.method, "", 0);
	pair_settle(&pair);
	minirpc_call_cancel(call);
	pair_settle(&pair);
	ck_assert_int_eq(server.calls, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

static void raw_answer(minirpc_call *call, void *user)
{
	(void)user;
	ck_assert_int_eq(minirpc_call_send(call, "\x0b", 1), 0);
	minirpc_call_end(call, NULL);
}

START_TEST(a_response_that_is_no_message_ends_the_call_with_internal)
{
	static const struct minirpc_call_events events = { .on_half_close = raw_answer };

	ck_assert_int_eq(minirpc_server_add(pair.server, &talk_ask.method, &events, NULL, NULL), 0);
	ask("gopher", 1);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(client.text,
			 "response cannot be decoded: message typedtest.Small has a group");
}
END_TEST

/* ---- Streams ---- */

static void stream_message(minirpc_call *call, const Typedtest__Small *message, void *user)
{
	struct probe *probe = user;

	probe->call = call;
	note_message(probe, message);
}

static void stream_half_close(minirpc_call *call, void *user)
{
	struct probe *probe = user;

	probe->half_closes++;
	if ((strcmp(minirpc_call_path(call), talk_sum.method.path)) == 0)
		ck_assert_int_eq(minirpc_typed_reply(call, &SMALL("sum", probe->sum)->base), 0);
	else
		minirpc_call_end(call, NULL);
}

static void stream_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	note_end(user, status);
	if (minirpc_call_is_server(call))
		minirpc_call_end(call, NULL);
}

static const struct talk_events stream_events = {
	.on_message = stream_message,
	.on_half_close = stream_half_close,
	.on_end = stream_end,
};

static void listen_to_sum(minirpc_call *call, void *user)
{
	struct probe *probe = user;

	probe->calls++;
	ck_assert_int_eq(talk_listen(call, &talk_sum, &stream_events, user), 0);
}

static void listen_to_chat(minirpc_call *call, void *user)
{
	struct probe *probe = user;

	probe->calls++;
	ck_assert_int_eq(talk_listen(call, &talk_chat, &stream_events, user), 0);
}

static void count(minirpc_call *call, const Typedtest__Small *request, void *user)
{
	struct probe *probe = user;
	int i;

	probe->calls++;
	for (i = 1; i <= request->count; i++)
		ck_assert_int_eq(minirpc_typed_send(call, &SMALL(request->name, i)->base), 0);
	minirpc_call_end(call, NULL);
}

static const struct talk_handlers streams = { .count = count,
					      .sum = listen_to_sum,
					      .chat = listen_to_chat };

START_TEST(a_server_stream_brings_its_messages_and_one_end)
{
	minirpc_call *call;

	serve(&streams);
	ck_assert_int_eq(talk_open(&call, pair.channel, &talk_count, SMALL("n", 100), NULL,
				   &stream_events, &client),
			 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.messages, 100);
	ck_assert_int_eq(client.sum, 5050);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
}
END_TEST

START_TEST(a_client_stream_brings_one_response)
{
	minirpc_call *call;
	int i;

	serve(&streams);
	ck_assert_int_eq(
		talk_open(&call, pair.channel, &talk_sum, NULL, NULL, &stream_events, &client), 0);
	for (i = 1; i <= 100; i++) {
		ck_assert_int_eq(minirpc_typed_send(call, &SMALL("n", i)->base), 0);
		pair_settle(&pair);
	}
	ck_assert_int_eq(server.messages, 100);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.messages, 1);
	ck_assert_int_eq(client.sum, 5050);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
	ck_assert_int_eq(server.ends, 0);
}
END_TEST

START_TEST(a_chat_goes_both_ways)
{
	minirpc_call *call;

	serve(&streams);
	ck_assert_int_eq(
		talk_open(&call, pair.channel, &talk_chat, NULL, NULL, &stream_events, &client), 0);
	ck_assert_int_eq(minirpc_typed_send(call, &SMALL("hello", 1)->base), 0);
	pair_settle(&pair);
	ck_assert_str_eq(server.last, "hello");
	ck_assert_int_eq(minirpc_typed_send(server.call, &SMALL("who is there", 2)->base), 0);
	pair_settle(&pair);
	ck_assert_str_eq(client.last, "who is there");
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(server.half_closes, 1);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
}
END_TEST

START_TEST(a_large_message_does_not_fit_the_stack_and_arrives)
{
	static char large[100000];
	minirpc_call *call;

	memset(large, 'x', sizeof large - 1);
	serve(&streams);
	ck_assert_int_eq(
		talk_open(&call, pair.channel, &talk_chat, NULL, NULL, &stream_events, &client), 0);
	ck_assert_int_eq(minirpc_typed_send(call, &SMALL(large, 1)->base), 0);
	pair_settle(&pair);
	ck_assert_int_eq(server.messages, 1);
	ck_assert_uint_eq(strlen(server.last), sizeof server.last - 1);
	minirpc_call_end(call, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(client.ends, 1);
}
END_TEST

START_TEST(a_stream_message_that_is_none_is_answered_and_the_handler_hears_of_it)
{
	minirpc_call *call;

	serve(&streams);
	call = raw_call(&talk_chat.method, "\x0a\x01x", 3);
	ck_assert_int_eq(minirpc_call_send(call, "\x0a\x02x", 3), 0);
	ck_assert_int_eq(minirpc_call_send(call, "\x0a\x01y", 3), 0);
	pair_settle(&pair);
	ck_assert_int_eq(server.messages, 1);
	ck_assert_int_eq(server.ends, 1);
	ck_assert_int_eq(server.code, MINIRPC_INTERNAL);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(client.text,
			 "request cannot be decoded: message typedtest.Small is cut short");
	ck_assert_uint_eq(minirpc_server_open_calls(pair.server), 0);
}
END_TEST

static void raw_stream(minirpc_call *call, void *user)
{
	(void)user;
	ck_assert_int_eq(minirpc_call_send(call, "\x0a\x01x", 3), 0);
	ck_assert_int_eq(minirpc_call_send(call, "\x0b", 1), 0);
	ck_assert_int_eq(minirpc_call_send(call, "\x0a\x01y", 3), 0);
	minirpc_call_end(call, NULL);
}

START_TEST(a_streamed_response_that_is_none_ends_the_call_with_internal)
{
	static const struct minirpc_call_events events = { .on_half_close = raw_stream };
	minirpc_call *call;

	ck_assert_int_eq(minirpc_server_add(pair.server, &talk_count.method, &events, NULL, NULL),
			 0);
	ck_assert_int_eq(talk_open(&call, pair.channel, &talk_count, SMALL("n", 3), NULL,
				   &stream_events, &client),
			 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.messages, 1);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_INTERNAL);
}
END_TEST

static void cancel_it(minirpc_call *call, const Typedtest__Small *message, void *user)
{
	note_message(user, message);
	minirpc_call_cancel(call);
}

static const struct talk_events cancelling = { .on_message = cancel_it, .on_end = stream_end };

static void listen_and_cancel(minirpc_call *call, void *user)
{
	ck_assert_int_eq(talk_listen(call, &talk_chat, &cancelling, user), 0);
}

START_TEST(a_call_may_be_cancelled_in_its_own_event)
{
	minirpc_call *call;

	serve(&(struct talk_handlers){ .count = count, .chat = listen_and_cancel });
	ck_assert_int_eq(talk_open(&call, pair.channel, &talk_count, SMALL("n", 3), NULL,
				   &cancelling, &client),
			 0);
	pair_settle(&pair);
	ck_assert_int_eq(client.messages, 1);
	ck_assert_int_eq(client.ends, 0);

	ck_assert_int_eq(
		talk_open(&call, pair.channel, &talk_chat, NULL, NULL, &stream_events, &client), 0);
	ck_assert_int_eq(minirpc_typed_send(call, &SMALL("hello", 1)->base), 0);
	ck_assert_int_eq(minirpc_typed_send(call, &SMALL("hello", 1)->base), 0);
	pair_settle(&pair);
	ck_assert_int_eq(server.messages, 1);
	ck_assert_int_eq(server.ends, 0);
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.code, MINIRPC_CANCELLED);
}
END_TEST

START_TEST(a_handler_hears_that_its_peer_left)
{
	minirpc_call *call;

	serve(&streams);
	ck_assert_int_eq(
		talk_open(&call, pair.channel, &talk_chat, NULL, NULL, &stream_events, &client), 0);
	ck_assert_int_eq(minirpc_typed_send(call, &SMALL("hello", 1)->base), 0);
	pair_settle(&pair);
	minirpc_call_cancel(call);
	pair_settle(&pair);
	ck_assert_int_eq(server.ends, 1);
	ck_assert_int_eq(server.code, MINIRPC_CANCELLED);
	ck_assert_int_eq(client.ends, 0);
}
END_TEST

/* ---- Registering ---- */

START_TEST(a_service_is_registered_once)
{
	serve(&(struct talk_handlers){ .ask = answer });
	ck_assert_int_eq(talk_serve(pair.server, &(struct talk_handlers){ .ask = keep }, NULL),
			 -EEXIST);
	ask("gopher", 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
}
END_TEST

START_TEST(a_service_is_registered_whole_or_not_at_all)
{
	static const struct minirpc_call_events none = { 0 };

	ck_assert_int_eq(minirpc_server_add(pair.server, &talk_chat.method, &none, NULL, NULL), 0);
	ck_assert_int_eq(talk_serve(pair.server, &streams, &server), -EEXIST);
	minirpc_server_remove(pair.server, talk_chat.method.path);
	serve(&(struct talk_handlers){ .ask = answer });
	ask("gopher", 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
}
END_TEST

START_TEST(registering_may_fail_for_lack_of_memory_and_be_tried_again)
{
	size_t n;
	int r = -ENOMEM;

	for (n = 1; r < 0; n++) {
		alloc_fail_at(n, false);
		r = talk_serve(pair.server, &(struct talk_handlers){ .ask = answer }, &server);
		ck_assert_int_eq(r, alloc_refused() > 0 ? -ENOMEM : 0);
		alloc_fail_at(0, false);
	}
	ck_assert_uint_gt(n, 5);
	ask("gopher", 1);
	ck_assert_int_eq(client.code, MINIRPC_OK);
}
END_TEST

/* ---- Without memory ---- */

/* Only the verbs: what allocations fail in a turn of the loop is the business of test/sweep. */
START_TEST(a_call_that_finds_no_memory_is_not_started)
{
	static char large[5000];
	int r = -ENOMEM, started = 0;
	minirpc_call *call = NULL;
	size_t n;

	memset(large, 'x', sizeof large - 1);
	serve(&(struct talk_handlers){ .ask = answer, .count = count });
	pair_settle(&pair);
	for (n = 1; r < 0; n++) {
		alloc_fail_at(n, false);
		r = talk_ask_async(pair.channel, SMALL(large, 1), NULL, on_answer, &client);
		ck_assert_int_eq(r, alloc_refused() > 0 ? -ENOMEM : 0);
		alloc_fail_at(0, false);
		started += r == 0;
		pair_settle(&pair);
		ck_assert_int_eq(client.ends, started);
	}
	ck_assert_uint_gt(n, 2);

	for (n = 1, r = -ENOMEM; r < 0; n++) {
		alloc_fail_at(n, false);
		r = talk_open(&call, pair.channel, &talk_count, SMALL(large, 1), NULL,
			      &stream_events, &client);
		ck_assert_int_eq(r, alloc_refused() > 0 ? -ENOMEM : 0);
		alloc_fail_at(0, false);
		started += r == 0;
		pair_settle(&pair);
		ck_assert_int_eq(client.ends, started);
	}
	ck_assert_uint_gt(n, 2);
}
END_TEST

/* ---- Blocking ---- */

static void setup_waiting(void)
{
	memset(&client, 0, sizeof client);
	memset(&server, 0, sizeof server);
	alloc_fail_at(0, false);
	ck_assert_int_eq(pair_open_waiting(&pair), 0);
}

static int ask_and_wait(const char *name, Typedtest__Small **ret_response,
			struct minirpc_status *ret_status)
{
	void *response;
	int r;

	r = minirpc_unary_wait(pair.channel, &talk_ask, &SMALL(name, 1)->base, NULL, &response,
			       ret_status);
	*ret_response = response;
	return r;
}

START_TEST(a_waiting_call_hands_the_response_over)
{
	struct minirpc_status status;
	Typedtest__Small *response;

	serve(&(struct talk_handlers){ .ask = answer });
	ck_assert_int_eq(ask_and_wait("gopher", &response, &status), 0);
	ck_assert_int_eq(status.code, MINIRPC_OK);
	ck_assert_str_eq(response->name, "gopher");
	ck_assert_int_eq(response->count, 2);
	minirpc_status_clear(&status);
	pair_close(&pair);
	mrpc_typed_free(&response->base); /* it does not need its channel; counted, unlike free() */
}
END_TEST

START_TEST(a_waiting_call_hands_the_status_over)
{
	struct minirpc_status status;
	Typedtest__Small *response;

	serve(&(struct talk_handlers){ .ask = answer_then_fail });
	ck_assert_int_eq(ask_and_wait("gopher", &response, &status), 0);
	ck_assert_int_eq(status.code, MINIRPC_ABORTED);
	ck_assert_str_eq(status.message, "changed my mind");
	ck_assert_ptr_null(response);
	minirpc_status_clear(&status);
	pair_close(&pair);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(a_call_that_cannot_wait_leaves_its_outputs_empty)
{
	struct minirpc_status status = { .code = MINIRPC_UNKNOWN };
	Typedtest__Small *response = (void *)&status;

	setup(); /* a loop by hand */
	ck_assert_int_eq(ask_and_wait("gopher", &response, &status), -EINVAL);
	ck_assert_ptr_null(response);
	ck_assert_int_eq(status.code, MINIRPC_OK);
	ck_assert_str_eq(status.message, "");
	teardown();
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("typed/stub");
	TCase *tcase = tcase_create("stub");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_unary_call_brings_its_response);
	tcase_add_test(tcase, an_empty_message_is_a_message);
	tcase_add_test(tcase, a_handler_sees_whether_its_request_came_compressed);
	tcase_add_test(tcase, a_handler_sees_whether_each_message_of_a_stream_came_compressed);
	tcase_add_test(tcase, a_request_lives_until_its_handler_ends_the_call);
	tcase_add_test(tcase, a_response_that_an_error_follows_is_not_shown);
	tcase_add_test(tcase, a_method_without_handler_is_unimplemented);
	tcase_add_test(tcase, ret_call_cancels_a_call);
	tcase_add_test(tcase, a_deadline_in_the_past_is_told_as_the_end);
	tcase_add_test(tcase, a_struct_that_was_never_initialised_is_refused);
	tcase_add_test(tcase, a_response_above_the_limit_ends_with_resource_exhausted);
	tcase_add_test(tcase, a_request_that_is_no_message_never_reaches_the_handler);
	tcase_add_test(tcase, a_request_above_the_budget_is_resource_exhausted);
	tcase_add_test(tcase, a_peer_that_leaves_before_its_request_is_whole_leaves_nothing);
	tcase_add_test(tcase, a_response_that_is_no_message_ends_the_call_with_internal);
	tcase_add_test(tcase, a_server_stream_brings_its_messages_and_one_end);
	tcase_add_test(tcase, a_client_stream_brings_one_response);
	tcase_add_test(tcase, a_chat_goes_both_ways);
	tcase_add_test(tcase, a_large_message_does_not_fit_the_stack_and_arrives);
	tcase_add_test(tcase,
		       a_stream_message_that_is_none_is_answered_and_the_handler_hears_of_it);
	tcase_add_test(tcase, a_streamed_response_that_is_none_ends_the_call_with_internal);
	tcase_add_test(tcase, a_call_may_be_cancelled_in_its_own_event);
	tcase_add_test(tcase, a_handler_hears_that_its_peer_left);
	tcase_add_test(tcase, a_service_is_registered_once);
	tcase_add_test(tcase, a_service_is_registered_whole_or_not_at_all);
	tcase_add_test(tcase, registering_may_fail_for_lack_of_memory_and_be_tried_again);
	tcase_add_test(tcase, a_call_that_finds_no_memory_is_not_started);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("waiting");
	tcase_add_checked_fixture(tcase, setup_waiting, NULL);
	tcase_add_test(tcase, a_waiting_call_hands_the_response_over);
	tcase_add_test(tcase, a_waiting_call_hands_the_status_over);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("by hand");
	tcase_add_test(tcase, a_call_that_cannot_wait_leaves_its_outputs_empty);
	suite_add_tcase(suite, tcase);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* Generated stubs against a library that only notes what it was asked: the right method, the right
 * table, the right function with the right type. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "run_suite.h"
#include "streams.minirpc.h"

/* ---- The library ---- */

static struct {
	char what[64];
	const struct minirpc_typed_method *method;
	const ProtobufCMessage *message;
	const void *options;
	void (*deliver)(minirpc_fn fn, const struct minirpc_status *status, const void *response,
			void *user);
	minirpc_fn fn;
	const struct minirpc_stream_ops *ops;
	size_t table_size;
	void *user;
	enum minirpc_code code;
	char text[64];
	int answer;
} asked;

static char a_call, a_channel, a_server; /* stand for the real ones */
#define CALL ((minirpc_call *)&a_call)
#define CHANNEL ((minirpc_channel *)&a_channel)
#define SERVER ((minirpc_server *)&a_server)

static void note(const char *what, const minirpc_call *call)
{
	ck_assert_ptr_eq(call, CALL);
	snprintf(asked.what, sizeof asked.what, "%s", what);
}

int minirpc_unary(minirpc_channel *channel, const struct minirpc_typed_method *method,
		  const ProtobufCMessage *request, const struct minirpc_call_options *options,
		  void (*deliver)(minirpc_fn fn, const struct minirpc_status *status,
				  const void *response, void *user),
		  minirpc_fn fn, void *user)
{
	ck_assert_ptr_eq(channel, CHANNEL);
	asked.method = method;
	asked.message = request;
	asked.options = options;
	asked.deliver = deliver;
	asked.fn = fn;
	asked.user = user;
	return asked.answer;
}

static Test__Item response = { TEST__ITEM__FIELDS, .number = 42 };

int minirpc_unary_wait(minirpc_channel *channel, const struct minirpc_typed_method *method,
		       const ProtobufCMessage *request, const struct minirpc_call_options *options,
		       void **ret_response, struct minirpc_status *ret_status)
{
	ck_assert_ptr_eq(channel, CHANNEL);
	asked.method = method;
	asked.message = request;
	asked.options = options;
	*ret_response = asked.answer == 0 ? &response : NULL;
	*ret_status = (struct minirpc_status){ .code = MINIRPC_OK };
	return asked.answer;
}

int minirpc_stream_open(minirpc_call **ret_call, minirpc_channel *channel,
			const struct minirpc_typed_method *method, const ProtobufCMessage *request,
			const struct minirpc_call_options *options,
			const struct minirpc_stream_ops *ops, const void *events,
			size_t events_size, void *user)
{
	(void)events;
	ck_assert_ptr_eq(channel, CHANNEL);
	asked.method = method;
	asked.message = request;
	asked.options = options;
	asked.ops = ops;
	asked.table_size = events_size;
	asked.user = user;
	*ret_call = CALL;
	return asked.answer;
}

int minirpc_stream_listen(minirpc_call *call, const struct minirpc_typed_method *method,
			  const struct minirpc_stream_ops *ops, const void *events,
			  size_t events_size, void *user)
{
	(void)events;
	note("listen", call);
	asked.method = method;
	asked.ops = ops;
	asked.table_size = events_size;
	asked.user = user;
	return asked.answer;
}

int minirpc_typed_send(minirpc_call *call, const ProtobufCMessage *message)
{
	note("send", call);
	asked.message = message;
	return asked.answer;
}

int minirpc_typed_reply(minirpc_call *call, const ProtobufCMessage *message)
{
	note("reply", call);
	asked.message = message;
	return asked.answer;
}

int minirpc_call_end(minirpc_call *call, const struct minirpc_status *status)
{
	note("end", call);
	ck_assert_ptr_null(status);
	return asked.answer;
}

void minirpc_call_cancel(minirpc_call *call)
{
	note("cancel", call);
}

void minirpc_call_vfail(minirpc_call *call, enum minirpc_code code, const char *format,
			va_list args)
{
	note("fail", call);
	asked.code = code;
	vsnprintf(asked.text, sizeof asked.text, format, args);
}

static const struct minirpc_service *served;
static const struct minirpc_binding *bindings;

int minirpc_serve(minirpc_server *server, const struct minirpc_service *service,
		  const struct minirpc_binding *given, const void *handlers, size_t handlers_size,
		  void *user)
{
	(void)handlers;
	ck_assert_ptr_eq(server, SERVER);
	served = service;
	bindings = given;
	asked.table_size = handlers_size;
	asked.user = user;
	return asked.answer;
}

/* ---- The user ---- */

static char heard[256];

static void hear(const char *what, void *user)
{
	ck_assert_ptr_eq(user, heard);
	strcat(strcat(heard, heard[0] == '\0' ? "" : " "), what);
}

static void on_done(const struct minirpc_status *status, const Test__Item *item, void *user)
{
	ck_assert_int_eq(status->code, MINIRPC_OK);
	ck_assert_int_eq(item->number, 42);
	hear("done", user);
}

static const struct minirpc_status ok = { .code = MINIRPC_OK };

static void start(void)
{
	memset(&asked, 0, sizeof asked);
	heard[0] = '\0';
}

START_TEST(a_service_is_described_as_data)
{
	const struct minirpc_typed_method *methods = test_one_service.methods;

	ck_assert_str_eq(test_one_service.name, "test.One");
	ck_assert_ptr_eq(test_one_service.file, &minirpc_file_streams);
	ck_assert_uint_eq(test_one_service.method_count, 2);
	ck_assert_str_eq(methods[0].method.path, "/test.One/Unary");
	ck_assert_uint_eq(methods[0].method.flags, 0);
	ck_assert_str_eq(methods[1].method.path, "/test.One/Down");
	ck_assert_uint_eq(methods[1].method.flags, MINIRPC_SERVER_STREAMING);
	methods = test_two_service.methods;
	ck_assert_uint_eq(methods[0].method.flags, MINIRPC_CLIENT_STREAMING);
	ck_assert_uint_eq(methods[1].method.flags,
			  MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING);
	ck_assert_ptr_eq(methods[1].request, &test__item__descriptor);
	ck_assert_ptr_eq(methods[1].response, &test__item__descriptor);
}
END_TEST

START_TEST(a_unary_call_reaches_its_callback)
{
	Test__Item request = { TEST__ITEM__FIELDS, .number = 1 };
	struct minirpc_call_options options = { .timeout = 1 };

	start();
	ck_assert_int_eq(test_one_unary(CHANNEL, &request, &options, on_done, heard), 0);
	ck_assert_ptr_eq(asked.method, &test_one_service.methods[0]);
	ck_assert_ptr_eq(asked.message, &request.base);
	ck_assert_ptr_eq(asked.options, &options);
	asked.deliver(asked.fn, &ok, &response, asked.user);
	ck_assert_str_eq(heard, "done");

	asked.answer = -ENOMEM;
	ck_assert_int_eq(test_one_unary(CHANNEL, &request, NULL, NULL, NULL), -ENOMEM);
	asked.deliver(asked.fn, &ok, &response, asked.user); /* nobody wants to know */
}
END_TEST

START_TEST(a_blocking_call_hands_out_its_response)
{
	Test__Item request = { TEST__ITEM__FIELDS }, *got = &request;
	struct minirpc_status status;

	start();
	ck_assert_int_eq(test_one_unary_wait(CHANNEL, &request, NULL, &got, &status), 0);
	ck_assert_ptr_eq(asked.method, &test_one_service.methods[0]);
	ck_assert_ptr_eq(got, &response);

	asked.answer = -EDEADLK;
	ck_assert_int_eq(test_one_unary_wait(CHANNEL, &request, NULL, &got, &status), -EDEADLK);
	ck_assert_ptr_null(got);
}
END_TEST

static void both_headers(test_two_both_caller *call, const struct minirpc_metadata *metadata,
			 void *user)
{
	ck_assert_ptr_eq(test_two_both_caller_call(call), CALL);
	ck_assert_ptr_null(metadata);
	hear("headers", user);
}

static void both_message(test_two_both_caller *call, const Test__Item *item, void *user)
{
	ck_assert_ptr_eq(test_two_both_caller_call(call), CALL);
	ck_assert_int_eq(item->number, 42);
	hear("message", user);
}

static void both_writable(test_two_both_caller *call, void *user)
{
	ck_assert_ptr_eq(test_two_both_caller_call(call), CALL);
	hear("writable", user);
}

static void both_end(test_two_both_caller *call, const struct minirpc_status *status, void *user)
{
	ck_assert_ptr_eq(test_two_both_caller_call(call), CALL);
	ck_assert_ptr_eq(status, &ok);
	hear("end", user);
}

START_TEST(a_client_stream_hears_its_events)
{
	static const struct test_two_both_events events = { both_headers, both_message,
							    both_writable, both_end };
	static const struct test_two_both_events deaf = { NULL, NULL, NULL, NULL };
	Test__Item request = { TEST__ITEM__FIELDS };
	test_two_both_caller *call = NULL;

	start();
	ck_assert_int_eq(test_two_both_open(&call, CHANNEL, NULL, &events, heard), 0);
	ck_assert_ptr_eq(asked.method, &test_two_service.methods[1]);
	ck_assert_ptr_null(asked.message);
	ck_assert_uint_eq(asked.table_size, sizeof events);
	for (int i = 0; i < 2; i++) {
		const void *table = i == 0 ? &events : &deaf;

		asked.ops->on_headers(CALL, NULL, table, asked.user);
		asked.ops->on_message(CALL, &response, table, asked.user);
		asked.ops->on_writable(CALL, table, asked.user);
		asked.ops->on_end(CALL, &ok, table, asked.user);
		ck_assert_ptr_null(asked.ops->on_half_close);
	}
	ck_assert_str_eq(heard, "headers message writable end");

	asked.answer = -EAGAIN;
	ck_assert_int_eq(test_two_both_send(call, &request), -EAGAIN);
	ck_assert_str_eq(asked.what, "send");
	ck_assert_ptr_eq(asked.message, &request.base);
	ck_assert_int_eq(test_two_both_end(call), -EAGAIN);
	ck_assert_str_eq(asked.what, "end");
	test_two_both_cancel(call);
	ck_assert_str_eq(asked.what, "cancel");
}
END_TEST

START_TEST(a_server_stream_is_opened_with_its_request)
{
	static const struct test_one_down_events deaf = { NULL, NULL, NULL };
	Test__Item request = { TEST__ITEM__FIELDS };
	test_one_down_caller *call = NULL;

	start();
	ck_assert_int_eq(test_one_down_open(&call, CHANNEL, &request, NULL, &deaf, heard), 0);
	ck_assert_ptr_eq(test_one_down_caller_call(call), CALL);
	ck_assert_ptr_eq(asked.method, &test_one_service.methods[1]);
	ck_assert_ptr_eq(asked.message, &request.base);
	ck_assert_ptr_null(asked.ops->on_writable);

	call = NULL;
	asked.answer = -ENOMEM;
	ck_assert_int_eq(test_one_down_open(&call, CHANNEL, &request, NULL, &deaf, heard), -ENOMEM);
	ck_assert_ptr_null(call);
}
END_TEST

static void on_unary(test_one_unary_callee *call, const Test__Item *item, void *user)
{
	ck_assert_ptr_eq(test_one_unary_call(call), CALL);
	ck_assert_int_eq(item->number, 42);
	hear("unary", user);
}

static void on_up(test_two_up_callee *call, void *user)
{
	ck_assert_ptr_eq(test_two_up_call(call), CALL);
	hear("up", user);
}

START_TEST(a_server_calls_the_handlers_that_are_there)
{
	static const struct test_one_handlers one = { .unary = on_unary };
	static const struct test_two_handlers two = { .up = on_up };

	start();
	ck_assert_int_eq(test_one_serve(SERVER, &one, heard), 0);
	ck_assert_ptr_eq(served, &test_one_service);
	ck_assert_uint_eq(asked.table_size, sizeof one);
	ck_assert_ptr_eq(bindings[0].method, &test_one_service.methods[0]);
	ck_assert_ptr_eq(bindings[1].method, &test_one_service.methods[1]);
	ck_assert(bindings[0].is_handled(&one));
	ck_assert(!bindings[1].is_handled(&one));
	ck_assert_ptr_null((const void *)bindings[0].on_open);
	bindings[0].on_request(CALL, &response, &one, asked.user);

	ck_assert_int_eq(test_two_serve(SERVER, &two, heard), 0);
	ck_assert(bindings[0].is_handled(&two));
	ck_assert(!bindings[1].is_handled(&two));
	ck_assert_ptr_null((const void *)bindings[0].on_request);
	bindings[0].on_open(CALL, &two, asked.user);
	ck_assert_str_eq(heard, "unary up");

	asked.answer = -EEXIST;
	ck_assert_int_eq(test_two_serve(SERVER, &two, heard), -EEXIST);
}
END_TEST

static void up_message(test_two_up_callee *call, const Test__Item *item, void *user)
{
	ck_assert_ptr_eq(test_two_up_call(call), CALL);
	ck_assert_int_eq(item->number, 42);
	hear("message", user);
}

static void up_half_close(test_two_up_callee *call, void *user)
{
	ck_assert_ptr_eq(test_two_up_call(call), CALL);
	hear("half_close", user);
}

static void up_end(test_two_up_callee *call, const struct minirpc_status *status, void *user)
{
	ck_assert_ptr_eq(test_two_up_call(call), CALL);
	ck_assert_ptr_eq(status, &ok);
	hear("end", user);
}

START_TEST(a_server_call_hears_its_events)
{
	static const struct test_two_up_callee_events events = { up_message, up_half_close,
								 up_end };

	start();
	ck_assert_int_eq(test_two_up_listen((test_two_up_callee *)CALL, &events, heard), 0);
	ck_assert_ptr_eq(asked.method, &test_two_service.methods[0]);
	ck_assert_uint_eq(asked.table_size, sizeof events);
	asked.ops->on_message(CALL, &response, &events, asked.user);
	asked.ops->on_half_close(CALL, &events, asked.user);
	asked.ops->on_end(CALL, &ok, &events, asked.user);
	ck_assert_ptr_null((const void *)asked.ops->on_writable); /* one response needs no room */
	ck_assert_ptr_null((const void *)asked.ops->on_headers);
	ck_assert_str_eq(heard, "message half_close end");
}
END_TEST

START_TEST(a_single_response_ends_the_call_and_one_of_many_does_not)
{
	start();
	ck_assert_int_eq(test_one_unary_reply((test_one_unary_callee *)CALL, &response), 0);
	ck_assert_str_eq(asked.what, "reply");
	ck_assert_int_eq(test_two_up_reply((test_two_up_callee *)CALL, &response), 0);
	ck_assert_str_eq(asked.what, "reply");
	asked.answer = -EAGAIN;
	ck_assert_int_eq(test_one_down_reply((test_one_down_callee *)CALL, &response), -EAGAIN);
	ck_assert_str_eq(asked.what, "send");
	ck_assert_int_eq(test_two_both_reply((test_two_both_callee *)CALL, &response), -EAGAIN);
	ck_assert_str_eq(asked.what, "send");
	test_two_both_finish((test_two_both_callee *)CALL);
	ck_assert_str_eq(asked.what, "end");
}
END_TEST

START_TEST(a_failure_is_formatted)
{
	start();
	test_one_down_fail((test_one_down_callee *)CALL, MINIRPC_NOT_FOUND, "no %s, %d", "key", 7);
	ck_assert_str_eq(asked.what, "fail");
	ck_assert_int_eq(asked.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(asked.text, "no key, 7");
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("stubs");
	TCase *t = tcase_create("stubs");

	tcase_add_test(t, a_service_is_described_as_data);
	tcase_add_test(t, a_unary_call_reaches_its_callback);
	tcase_add_test(t, a_blocking_call_hands_out_its_response);
	tcase_add_test(t, a_client_stream_hears_its_events);
	tcase_add_test(t, a_server_stream_is_opened_with_its_request);
	tcase_add_test(t, a_server_calls_the_handlers_that_are_there);
	tcase_add_test(t, a_server_call_hears_its_events);
	tcase_add_test(t, a_single_response_ends_the_call_and_one_of_many_does_not);
	tcase_add_test(t, a_failure_is_formatted);
	suite_add_tcase(s, t);
	return s;
}

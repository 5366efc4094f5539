/* SPDX-License-Identifier: MIT */
/* Rich errors, from a handler to a client and back to messages. */
#include <minirpc/error_details.h>

#include "typed/decode.h"
#include "typed/pair.h"

#include "run_suite.h"
#include "world/alloc_fail.h"

#include <google/protobuf/any.pb-c.h>
#include <google/rpc/error_details.minirpc.h>
#include <google/rpc/status.pb-c.h>

#include <errno.h>
#include <string.h>

static struct pair pair;

static struct {
	int ends, returned;
	struct minirpc_status status;
} seen;

/* What the handler of the next call says. */
static struct {
	enum minirpc_code code;
	const char *text;
	const ProtobufCMessage *const *details;
	size_t count;
} answer;

static void refuse(minirpc_call *call, const Typedtest__Small *request, void *user)
{
	(void)request;
	(void)user;
	seen.returned = minirpc_call_fail_with(call, answer.code, answer.text, answer.details,
					       answer.count);
}

static void setup(void)
{
	memset(&seen, 0, sizeof seen);
	memset(&answer, 0, sizeof answer);
	alloc_fail_at(0, false);
	ck_assert_int_eq(pair_open(&pair), 0);
	ck_assert_int_eq(talk_serve(pair.server, &(struct talk_handlers){ .ask = refuse }, NULL),
			 0);
}

static void teardown(void)
{
	minirpc_status_clear(&seen.status);
	pair_close(&pair);
	ck_assert_uint_eq(alloc_live(), 0);
}

static void on_answer(const struct minirpc_status *status, const Typedtest__Small *response,
		      void *user)
{
	(void)response;
	(void)user;
	seen.ends++;
	ck_assert_int_eq(minirpc_status_copy(&seen.status, status), 0);
}

static void ask(enum minirpc_code code, const char *text, const ProtobufCMessage *const *details,
		size_t count)
{
	answer.code = code;
	answer.text = text;
	answer.details = details;
	answer.count = count;
	ck_assert_int_eq(talk_ask_async(pair.channel, SMALL("", 0), NULL, on_answer, NULL), 0);
	pair_settle(&pair);
	ck_assert_int_eq(seen.ends, 1);
}

/* The ten standard details, each with something in it. */
static Google__Protobuf__Duration delay = { GOOGLE__PROTOBUF__DURATION__FIELDS, .seconds = 5 };
static Google__Rpc__ErrorInfo info = { GOOGLE__RPC__ERROR_INFO__FIELDS, .reason = (char *)"NO_KEY",
				       .domain = (char *)"cache" };
static Google__Rpc__RetryInfo retry = { GOOGLE__RPC__RETRY_INFO__FIELDS, .retry_delay = &delay };
static Google__Rpc__DebugInfo debug = { GOOGLE__RPC__DEBUG_INFO__FIELDS,
					.stack_entries = (char *[]){ (char *)"a", (char *)"b" },
					.n_stack_entries = 2, .detail = (char *)"deep" };
static Google__Rpc__QuotaFailure__Violation violation = {
	GOOGLE__RPC__QUOTA_FAILURE__VIOLATION__FIELDS,
	.subject = (char *)"account:gopher",
	.description = (char *)"100 keys",
	.api_service = (char *)"",
	.quota_metric = (char *)"keys",
	.quota_id = (char *)"",
	.quota_value = 100
};
static Google__Rpc__QuotaFailure quota = {
	GOOGLE__RPC__QUOTA_FAILURE__FIELDS,
	.violations = (Google__Rpc__QuotaFailure__Violation *[]){ &violation }, .n_violations = 1
};
static Google__Rpc__PreconditionFailure precondition = {
	GOOGLE__RPC__PRECONDITION_FAILURE__FIELDS
};
static Google__Rpc__BadRequest bad_request = { GOOGLE__RPC__BAD_REQUEST__FIELDS };
static Google__Rpc__RequestInfo request_info = { GOOGLE__RPC__REQUEST_INFO__FIELDS,
						 .request_id = (char *)"7",
						 .serving_data = (char *)"" };
static Google__Rpc__ResourceInfo resource = { GOOGLE__RPC__RESOURCE_INFO__FIELDS,
					      .resource_type = (char *)"key",
					      .resource_name = (char *)"gopher",
					      .owner = (char *)"", .description = (char *)"" };
static Google__Rpc__Help help = { GOOGLE__RPC__HELP__FIELDS };
static Google__Rpc__LocalizedMessage localized = { GOOGLE__RPC__LOCALIZED_MESSAGE__FIELDS,
						   .locale = (char *)"fr-CH",
						   .message = (char *)"trop tard" };

static const ProtobufCMessage *const ten[] = {
	&info.base,        &retry.base,        &debug.base,    &quota.base, &precondition.base,
	&bad_request.base, &request_info.base, &resource.base, &help.base,  &localized.base,
};
#define TEN (sizeof ten / sizeof *ten)

static void *find(const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage *found = NULL;

	ck_assert_int_eq(minirpc_status_find(&seen.status, descriptor, &found), 0);
	ck_assert_ptr_eq(found->descriptor, descriptor);
	return found;
}

/* ---- From end to end ---- */

START_TEST(S_8_the_ten_standard_details_arrive)
{
	Google__Rpc__QuotaFailure *got_quota;
	Google__Rpc__RetryInfo *got_retry;
	Google__Rpc__DebugInfo *got_debug;

	ask(MINIRPC_RESOURCE_EXHAUSTED, "too many keys", ten, TEN);
	ck_assert_int_eq(seen.returned, 0);
	ck_assert_int_eq(seen.status.code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(seen.status.message, "too many keys");

	for (size_t i = 0; i < TEN; i++)
		mrpc_typed_free(find(ten[i]->descriptor));
	got_quota = find(&google__rpc__quota_failure__descriptor);
	ck_assert_uint_eq(got_quota->n_violations, 1);
	ck_assert_str_eq(got_quota->violations[0]->subject, "account:gopher");
	ck_assert_int_eq(got_quota->violations[0]->quota_value, 100);
	mrpc_typed_free(&got_quota->base);
	got_retry = find(&google__rpc__retry_info__descriptor);
	ck_assert_int_eq(got_retry->retry_delay->seconds, 5);
	mrpc_typed_free(&got_retry->base);
	got_debug = find(&google__rpc__debug_info__descriptor);
	ck_assert_uint_eq(got_debug->n_stack_entries, 2);
	ck_assert_str_eq(got_debug->stack_entries[1], "b");
	mrpc_typed_free(&got_debug->base);
}
END_TEST

START_TEST(S_8_code_and_message_equal_the_trailers)
{
	Google__Rpc__Status *details;

	ask(MINIRPC_NOT_FOUND, "no k\xc3\xa9y\n", ten, 1);
	ck_assert_int_eq(minirpc_status_details(&seen.status, &details), 0);
	ck_assert_int_eq(details->code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(details->message, "no k\xc3\xa9y\n");
	ck_assert_uint_eq(details->n_details, 1);
	ck_assert_str_eq(details->details[0]->type_url, "type.googleapis.com/google.rpc.ErrorInfo");
	mrpc_typed_free(&details->base);
}
END_TEST

START_TEST(S_8_no_details_with_ok)
{
	struct minirpc_status status;

	ck_assert_int_eq(minirpc_status_make(&status, MINIRPC_OK, "fine", ten, TEN), 0);
	ck_assert_int_eq(status.code, MINIRPC_OK);
	ck_assert_str_eq(status.message, ""); /* S-2 */
	ck_assert_uint_eq(status.details_len, 0);

	/* and none are read that came with it */
	ck_assert_int_eq(minirpc_status_make(&status, MINIRPC_ABORTED, "", ten, 1), 0);
	seen.status = status;
	seen.status.code = MINIRPC_OK;
	ck_assert_int_eq(minirpc_status_details(&seen.status, &(Google__Rpc__Status *){ NULL }),
			 -ENOENT);
}
END_TEST

START_TEST(the_bytes_are_what_protobuf_c_packs)
{
	char url[] = "type.googleapis.com/google.rpc.LocalizedMessage";
	uint8_t value[64], whole[256];
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
	size_t len;

	any.type_url = url;
	any.value.data = value;
	any.value.len = protobuf_c_message_pack(&localized.base, value);
	status.code = MINIRPC_ABORTED;
	status.message = (char *)"too late";
	status.details = (Google__Protobuf__Any *[]){ &any };
	status.n_details = 1;
	len = google__rpc__status__pack(&status, whole);

	ck_assert_int_eq(minirpc_status_make(&seen.status, MINIRPC_ABORTED, "too late",
					     (const ProtobufCMessage *[]){ &localized.base }, 1),
			 0);
	ck_assert_uint_eq(seen.status.details_len, len);
	ck_assert_mem_eq(seen.status.details, whole, len);
}
END_TEST

START_TEST(a_long_text_and_a_long_detail_have_longer_lengths)
{
	static char text[300], detail[20000];
	Google__Rpc__DebugInfo long_debug = { GOOGLE__RPC__DEBUG_INFO__FIELDS, .detail = detail };
	Google__Rpc__DebugInfo *found;

	memset(text, 't', sizeof text - 1);
	memset(detail, 'd', sizeof detail - 1);
	ck_assert_int_eq(minirpc_status_make(&seen.status, MINIRPC_INTERNAL, text,
					     (const ProtobufCMessage *[]){ &long_debug.base }, 1),
			 0);
	found = find(&google__rpc__debug_info__descriptor);
	ck_assert_str_eq(found->detail, detail);
	mrpc_typed_free(&found->base);
}
END_TEST

/* ---- What is asked wrongly ---- */

START_TEST(without_details_it_is_an_ordinary_end)
{
	ask(MINIRPC_ABORTED, NULL, NULL, 0);
	ck_assert_int_eq(seen.returned, 0);
	ck_assert_int_eq(seen.status.code, MINIRPC_ABORTED);
	ck_assert_str_eq(seen.status.message, "");
	ck_assert_uint_eq(seen.status.details_len, 0);
}
END_TEST

START_TEST(a_detail_without_init_is_left_out_with_all_others)
{
	static const Google__Rpc__Help zeroed;

	ask(MINIRPC_ABORTED, "text", (const ProtobufCMessage *[]){ &info.base, &zeroed.base }, 2);
	ck_assert_int_eq(seen.returned, -EINVAL);
	ck_assert_int_eq(seen.status.code, MINIRPC_ABORTED);
	ck_assert_str_eq(seen.status.message, "text");
	ck_assert_uint_eq(seen.status.details_len, 0);
}
END_TEST

START_TEST(a_text_that_is_not_utf8_goes_without_details)
{
	ask(MINIRPC_ABORTED, "\xff", ten, 1);
	ck_assert_int_eq(seen.returned, -EINVAL);
	ck_assert_int_eq(seen.status.code, MINIRPC_ABORTED);
	ck_assert_uint_eq(seen.status.details_len, 0);
}
END_TEST

START_TEST(a_number_that_is_no_code_is_unknown_in_both)
{
	Google__Rpc__Status *details;

	ask((enum minirpc_code)42, "text", ten, 1);
	ck_assert_int_eq(seen.status.code, MINIRPC_UNKNOWN);
	ck_assert_int_eq(minirpc_status_details(&seen.status, &details), 0);
	ck_assert_int_eq(details->code, MINIRPC_UNKNOWN);
	mrpc_typed_free(&details->base);
}
END_TEST

START_TEST(without_memory_the_code_and_the_text_go_alone)
{
	struct minirpc_status status;

	alloc_fail_at(1, false);
	ck_assert_int_eq(minirpc_status_make(&status, MINIRPC_ABORTED, "text", ten, TEN), -ENOMEM);
	ck_assert_int_eq(status.code, MINIRPC_ABORTED);
	ck_assert_str_eq(status.message, "");
	ck_assert_ptr_null(status.owned);
}
END_TEST

/* ---- What a peer may send ---- */

static void take(const char *bytes, size_t len)
{
	struct minirpc_status status = {
		.code = MINIRPC_NOT_FOUND, .message = "", .details = bytes, .details_len = len
	};

	ck_assert_int_eq(minirpc_status_copy(&seen.status, &status), 0);
}

#define TAKE(literal) take(literal, sizeof(literal) - 1)

static int find_error(const ProtobufCMessageDescriptor *descriptor)
{
	ProtobufCMessage *untouched = NULL;
	int r = minirpc_status_find(&seen.status, descriptor, &untouched);

	ck_assert_ptr_null(untouched);
	return r;
}

START_TEST(a_status_without_details_has_none)
{
	TAKE("");
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -ENOENT);
	ck_assert_int_eq(minirpc_status_details(&seen.status, &(Google__Rpc__Status *){ NULL }),
			 -ENOENT);
}
END_TEST

START_TEST(another_type_is_not_found)
{
	TAKE("\x08\x05\x1a\x09\x0a\x07"
	     "x/other");
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -ENOENT);
	minirpc_status_clear(&seen.status);
	TAKE("\x08\x05\x1a\x11\x0a\x0f"
	     "google.rpc.Help"); /* a type has a slash before it */
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -ENOENT);
}
END_TEST

START_TEST(any_prefix_will_do_and_the_first_of_a_type_is_found)
{
	Google__Rpc__RequestInfo *found;

	TAKE("\x08\x05"
	     "\x1a\x21\x0a\x1a"
	     "a/b/google.rpc.RequestInfo\x12\x03\x0a\x01"
	     "1"
	     "\x1a\x1f\x0a\x18"
	     "c/google.rpc.RequestInfo\x12\x03\x0a\x01"
	     "2");
	found = find(&google__rpc__request_info__descriptor);
	ck_assert_str_eq(found->request_id, "1");
	mrpc_typed_free(&found->base);
}
END_TEST

START_TEST(malformed_details_are_refused)
{
	TAKE("\x08\x05\x1a\xff");
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -EBADMSG);
	minirpc_status_clear(&seen.status);
	TAKE("\x08\x05\x1a\x16\x0a\x11" /* the Status is fine, the Help in it is not */
	     "x/google.rpc.Help\x12\x01\x0a");
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -EBADMSG);
	minirpc_status_clear(&seen.status);
	TAKE("\x08\x05\x12\x01\xff"); /* not UTF-8 */
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -EBADMSG);
}
END_TEST

START_TEST(S_8_details_of_another_code_are_refused)
{
	TAKE("\x08\x06");
	ck_assert_int_eq(minirpc_status_details(&seen.status, &(Google__Rpc__Status *){ NULL }),
			 -EBADMSG);
	minirpc_status_clear(&seen.status);
	TAKE("\x12\x01x"); /* OK, by default */
	ck_assert_int_eq(find_error(&google__rpc__help__descriptor), -EBADMSG);
}
END_TEST

START_TEST(reading_without_memory_leaves_nothing_behind)
{
	ProtobufCMessage *found;
	size_t live;
	int r = -ENOMEM;

	ck_assert_int_eq(
		minirpc_status_make(&seen.status, MINIRPC_RESOURCE_EXHAUSTED, "text", ten, TEN), 0);
	live = alloc_live();
	for (size_t n = 1; r != 0; n++) {
		ck_assert_int_eq(r, -ENOMEM);
		ck_assert_uint_eq(alloc_live(), live);
		alloc_fail_at(n, false);
		r = minirpc_status_find(&seen.status, &google__rpc__quota_failure__descriptor,
					&found);
	}
	alloc_fail_at(0, false);
	mrpc_typed_free(found);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("typed/details");
	TCase *t = tcase_create("details");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, S_8_the_ten_standard_details_arrive);
	tcase_add_test(t, S_8_code_and_message_equal_the_trailers);
	tcase_add_test(t, S_8_no_details_with_ok);
	tcase_add_test(t, the_bytes_are_what_protobuf_c_packs);
	tcase_add_test(t, a_long_text_and_a_long_detail_have_longer_lengths);
	tcase_add_test(t, without_details_it_is_an_ordinary_end);
	tcase_add_test(t, a_detail_without_init_is_left_out_with_all_others);
	tcase_add_test(t, a_text_that_is_not_utf8_goes_without_details);
	tcase_add_test(t, a_number_that_is_no_code_is_unknown_in_both);
	tcase_add_test(t, without_memory_the_code_and_the_text_go_alone);
	tcase_add_test(t, a_status_without_details_has_none);
	tcase_add_test(t, another_type_is_not_found);
	tcase_add_test(t, any_prefix_will_do_and_the_first_of_a_type_is_found);
	tcase_add_test(t, malformed_details_are_refused);
	tcase_add_test(t, S_8_details_of_another_code_are_refused);
	tcase_add_test(t, reading_without_memory_leaves_nothing_behind);
	suite_add_tcase(s, t);
	return s;
}

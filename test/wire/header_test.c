/* SPDX-License-Identifier: MIT */
#include "run_suite.h"

#include "wire/header.h"

#include <string.h>

static const struct known {
	const char *name;
	enum mrpc_header header;
} known[] = {
	{ ":method", MRPC_HEADER_METHOD },
	{ ":scheme", MRPC_HEADER_SCHEME },
	{ ":path", MRPC_HEADER_PATH },
	{ ":authority", MRPC_HEADER_AUTHORITY },
	{ ":status", MRPC_HEADER_STATUS },
	{ "host", MRPC_HEADER_HOST },
	{ "te", MRPC_HEADER_TE },
	{ "content-type", MRPC_HEADER_CONTENT_TYPE },
	{ "content-length", MRPC_HEADER_CONTENT_LENGTH },
	{ "connection", MRPC_HEADER_CONNECTION },
	{ "keep-alive", MRPC_HEADER_CONNECTION },
	{ "proxy-connection", MRPC_HEADER_CONNECTION },
	{ "transfer-encoding", MRPC_HEADER_CONNECTION },
	{ "upgrade", MRPC_HEADER_CONNECTION },
	{ "user-agent", MRPC_HEADER_USER_AGENT },
	{ "grpc-timeout", MRPC_HEADER_GRPC_TIMEOUT },
	{ "grpc-status", MRPC_HEADER_GRPC_STATUS },
	{ "grpc-message", MRPC_HEADER_GRPC_MESSAGE },
	{ "grpc-message-type", MRPC_HEADER_GRPC_MESSAGE_TYPE },
	{ "grpc-encoding", MRPC_HEADER_GRPC_ENCODING },
	{ "grpc-accept-encoding", MRPC_HEADER_GRPC_ACCEPT_ENCODING },
	{ "grpc-status-details-bin", MRPC_HEADER_GRPC_STATUS_DETAILS },
	{ "grpc-previous-rpc-attempts", MRPC_HEADER_GRPC_VISIBLE },
	{ "grpc-retry-pushback-ms", MRPC_HEADER_GRPC_VISIBLE },
};

#define KNOWN (sizeof known / sizeof known[0])

/* What a name is that is not in the table. */
static enum mrpc_header unknown(const char *name, size_t len)
{
	if (len > 0 && name[0] == ':')
		return MRPC_HEADER_PSEUDO;
	if (len >= 5 && memcmp(name, "grpc-", 5) == 0)
		return MRPC_HEADER_GRPC_OTHER;
	return MRPC_HEADER_CUSTOM;
}

static enum mrpc_header classify(const char *name)
{
	return mrpc_header_classify(name, strlen(name));
}

START_TEST(each_known_name_is_known)
{
	size_t i;

	for (i = 0; i < KNOWN; i++)
		ck_assert_msg(classify(known[i].name) == known[i].header, "%s", known[i].name);
}
END_TEST

/* One letter changed, missing or added, at each place, makes another name. */
START_TEST(a_name_that_differs_in_one_letter_is_another_name)
{
	char name[32];
	size_t i, at, len;

	for (i = 0; i < KNOWN; i++) {
		len = strlen(known[i].name);
		for (at = 0; at < len; at++) {
			memcpy(name, known[i].name, len);
			name[at] = '\x7F';
			ck_assert_int_eq(mrpc_header_classify(name, len), unknown(name, len));
			name[at] = (char)(known[i].name[at] ^ 0x20);
			ck_assert_int_eq(mrpc_header_classify(name, len), unknown(name, len));
		}
		memcpy(name, known[i].name, len);
		name[len] = 'x';
		ck_assert_int_eq(mrpc_header_classify(name, len + 1), unknown(name, len + 1));
		name[len] = '\0';
		ck_assert_int_eq(mrpc_header_classify(name, len + 1), unknown(name, len + 1));
		ck_assert_int_eq(mrpc_header_classify(name, len - 1), unknown(name, len - 1));
		ck_assert_int_eq(mrpc_header_classify(name + 1, len - 1),
				 unknown(name + 1, len - 1));
	}
}
END_TEST

START_TEST(other_names_are_pseudo_reserved_or_the_applications)
{
	ck_assert_int_eq(classify(""), MRPC_HEADER_CUSTOM);
	ck_assert_int_eq(classify(":"), MRPC_HEADER_PSEUDO);
	ck_assert_int_eq(classify(":protocol"), MRPC_HEADER_PSEUDO);
	ck_assert_int_eq(classify("grpc"), MRPC_HEADER_CUSTOM);
	ck_assert_int_eq(classify("grpc-"), MRPC_HEADER_GRPC_OTHER);
	ck_assert_int_eq(classify("grpc-trace-bin"), MRPC_HEADER_GRPC_OTHER);
	ck_assert_int_eq(classify("grpc_x"), MRPC_HEADER_CUSTOM);
	ck_assert_int_eq(classify("authorization"), MRPC_HEADER_CUSTOM);
	ck_assert_int_eq(classify("x"), MRPC_HEADER_CUSTOM);
}
END_TEST

/* expected NULL: not gRPC. */
static void check_type(const char *value, const char *expected)
{
	const char *subtype = NULL;
	size_t len = 0;

	ck_assert_msg(mrpc_content_type_is_grpc(value, strlen(value), &subtype, &len) ==
			      (expected != NULL),
		      "%s", value);
	if (expected != NULL) {
		ck_assert_uint_eq(len, strlen(expected));
		ck_assert_mem_eq(subtype, expected, len);
	}
}

START_TEST(a_content_type_is_grpc_alone_or_before_plus_and_semicolon) /* W-4 */
{
	check_type("application/grpc", "proto");
	check_type("application/grpc+proto", "proto");
	check_type("application/grpc+json", "json");
	check_type("application/grpc+", "proto");
	check_type("application/grpc;", "proto");
	check_type("application/grpc; charset=utf-8", "proto");
	check_type("application/grpc;x=a+b", "proto");
	check_type("application/grpc+foo;charset=utf-8", "foo");
	check_type("application/grpc+foo ; charset=utf-8", "foo");
	check_type("application/grpc+;x", "proto");
	check_type("application/grpc+ \t", "proto");

	check_type("", NULL);
	check_type("application/grp", NULL);
	check_type("application/grpcfoo", NULL);
	check_type("application/grpc-web", NULL);
	check_type("application/grpc-web+proto", NULL);
	check_type("application/grpc ", NULL);
	check_type("application/grpc/", NULL);
	check_type(" application/grpc", NULL);
	check_type("application/json", NULL);
	check_type("text/html", NULL);
}
END_TEST

START_TEST(after_the_content_type_only_two_of_256_bytes_go_on)
{
	char value[] = "application/grpc?";
	const char *subtype;
	size_t len;
	int c;

	for (c = 0; c < 256; c++) {
		value[16] = (char)c;
		ck_assert_int_eq(mrpc_content_type_is_grpc(value, 17, &subtype, &len),
				 c == '+' || c == ';');
	}
}
END_TEST

static bool path(const char *text)
{
	return mrpc_path_is_valid(text, strlen(text));
}

START_TEST(a_path_is_slash_service_slash_method) /* W-2, W-8 */
{
	ck_assert(path("/a/b"));
	ck_assert(path("/rpc.Cache/Get"));
	ck_assert(path("/a/b/c"));

	ck_assert(!path(""));
	ck_assert(!path("/"));
	ck_assert(!path("//"));
	ck_assert(!path("///"));
	ck_assert(!path("a/b"));
	ck_assert(!path("/a"));
	ck_assert(!path("/a/"));
	ck_assert(!path("//b"));
	ck_assert(!path("a"));
	ck_assert(!path("*"));
	ck_assert(!path("http://x/a/b"));
}
END_TEST

START_TEST(a_path_is_made_of_visible_ascii)
{
	char text[] = "/aa/bb";
	int c;
	size_t at;

	for (at = 1; at < 6; at++)
		for (c = 0; c < 256; c++) {
			if (at == 3 || c == '/')
				continue;
			memcpy(text, "/aa/bb", 6);
			text[at] = (char)c;
			ck_assert_msg(mrpc_path_is_valid(text, 6) == (c > 0x20 && c < 0x7F),
				      "byte %d at %zu", c, at);
		}
}
END_TEST

START_TEST(a_status_is_0_to_16_without_leading_zeros) /* S-1 */
{
	enum minirpc_code code;
	char text[3];
	int a, b;

	for (a = 0; a < 256; a++) {
		text[0] = (char)a;
		ck_assert_int_eq(mrpc_status_parse(text, 1, &code), a >= '0' && a <= '9');
		ck_assert_int_eq(code, a >= '0' && a <= '9' ? a - '0' : MINIRPC_UNKNOWN);
		for (b = 0; b < 256; b++) {
			bool good = a == '1' && b >= '0' && b <= '6';

			text[1] = (char)b;
			ck_assert_int_eq(mrpc_status_parse(text, 2, &code), good);
			ck_assert_int_eq(code, good ? 10 + b - '0' : MINIRPC_UNKNOWN);
		}
	}
	ck_assert(!mrpc_status_parse("", 0, &code));
	ck_assert_int_eq(code, MINIRPC_UNKNOWN);
	ck_assert(!mrpc_status_parse("100", 3, &code));
	ck_assert_int_eq(code, MINIRPC_UNKNOWN);
	ck_assert(!mrpc_status_parse("000", 3, &code));
}
END_TEST

START_TEST(http_statuses_map_as_the_table_says) /* S-3 */
{
	unsigned http;

	for (http = 0; http < 1000; http++) {
		enum minirpc_code expected = MINIRPC_UNKNOWN;

		if (http == 400)
			expected = MINIRPC_INTERNAL;
		else if (http == 401)
			expected = MINIRPC_UNAUTHENTICATED;
		else if (http == 403)
			expected = MINIRPC_PERMISSION_DENIED;
		else if (http == 404)
			expected = MINIRPC_UNIMPLEMENTED;
		else if (http == 429 || (http >= 502 && http <= 504))
			expected = MINIRPC_UNAVAILABLE;
		ck_assert_int_eq(mrpc_status_from_http(http), expected);
	}
}
END_TEST

START_TEST(resets_map_as_the_table_says) /* S-4 */
{
	static const struct {
		uint32_t error;
		const char *name;
		enum minirpc_code code;
	} table[] = {
		{ 0x0, "NO_ERROR", MINIRPC_INTERNAL },
		{ 0x1, "PROTOCOL_ERROR", MINIRPC_INTERNAL },
		{ 0x2, "INTERNAL_ERROR", MINIRPC_INTERNAL },
		{ 0x3, "FLOW_CONTROL_ERROR", MINIRPC_INTERNAL },
		{ 0x4, "SETTINGS_TIMEOUT", MINIRPC_INTERNAL },
		{ 0x5, "STREAM_CLOSED", MINIRPC_INTERNAL },
		{ 0x6, "FRAME_SIZE_ERROR", MINIRPC_INTERNAL },
		{ 0x7, "REFUSED_STREAM", MINIRPC_UNAVAILABLE },
		{ 0x8, "CANCEL", MINIRPC_CANCELLED },
		{ 0x9, "COMPRESSION_ERROR", MINIRPC_INTERNAL },
		{ 0xa, "CONNECT_ERROR", MINIRPC_INTERNAL },
		{ 0xb, "ENHANCE_YOUR_CALM", MINIRPC_RESOURCE_EXHAUSTED },
		{ 0xc, "INADEQUATE_SECURITY", MINIRPC_PERMISSION_DENIED },
		{ 0xd, "HTTP_1_1_REQUIRED", MINIRPC_INTERNAL },
		{ 0xe, "?", MINIRPC_INTERNAL },
		{ UINT32_MAX, "?", MINIRPC_INTERNAL },
	};
	size_t i;

	for (i = 0; i < sizeof table / sizeof table[0]; i++) {
		ck_assert_str_eq(mrpc_reset_name(table[i].error), table[i].name);
		ck_assert_int_eq(mrpc_status_from_reset(table[i].error), table[i].code);
	}
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("wire/header");
	TCase *t = tcase_create("header");

	tcase_add_test(t, each_known_name_is_known);
	tcase_add_test(t, a_name_that_differs_in_one_letter_is_another_name);
	tcase_add_test(t, other_names_are_pseudo_reserved_or_the_applications);
	tcase_add_test(t, a_content_type_is_grpc_alone_or_before_plus_and_semicolon);
	tcase_add_test(t, after_the_content_type_only_two_of_256_bytes_go_on);
	tcase_add_test(t, a_path_is_slash_service_slash_method);
	tcase_add_test(t, a_path_is_made_of_visible_ascii);
	tcase_add_test(t, a_status_is_0_to_16_without_leading_zeros);
	tcase_add_test(t, http_statuses_map_as_the_table_says);
	tcase_add_test(t, resets_map_as_the_table_says);
	suite_add_tcase(s, t);
	return s;
}

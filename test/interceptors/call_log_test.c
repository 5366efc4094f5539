/* SPDX-License-Identifier: MIT */
/* The call log: what it says of each kind of end, how much of it, and what it never says. */
#include "client/pair.h"
#include "run_suite.h"

#include <minirpc/interceptors.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pair pair;
static minirpc_call_log *call_log;

/* The lines that were written, and the last record. */
static struct {
	unsigned count;
	enum minirpc_log_level level;
	char last[600], all[16384];
} lines;

static struct {
	unsigned count;
	struct minirpc_call_record record;
	char method[64], peer[64], authority[64], message[128];
} told;

static void take_line(enum minirpc_log_level level, const char *line, void *user)
{
	size_t len = strlen(lines.all);

	(void)user;
	lines.count++;
	lines.level = level;
	snprintf(lines.last, sizeof lines.last, "%s", line);
	snprintf(lines.all + len, sizeof lines.all - len, "%s\n", line);
}

static void take_record(const struct minirpc_call_record *record, void *user)
{
	ck_assert_ptr_eq(user, &told);
	told.count++;
	told.record = *record;
	snprintf(told.method, sizeof told.method, "%s", record->method);
	snprintf(told.peer, sizeof told.peer, "%s", record->peer);
	snprintf(told.authority, sizeof told.authority, "%s", record->authority);
	snprintf(told.message, sizeof told.message, "%s", record->status->message);
	told.record.status = NULL;
}

static enum minirpc_code told_code;

static void take_code(const struct minirpc_call_record *record, void *user)
{
	take_record(record, user);
	told_code = record->status->code;
}

static void open_pair(const struct minirpc_call_log_options *options, bool at_server)
{
	struct minirpc_use uses[2] = { { NULL } };

	memset(&lines, 0, sizeof lines);
	memset(&told, 0, sizeof told);
	ck_assert_int_eq(minirpc_call_log_new(&call_log, options), 0);
	uses[0] = minirpc_call_log_use(call_log);
	pair_open(&pair,
		  &(struct minirpc_server_options){ .interceptors = at_server ? uses : NULL },
		  &(struct minirpc_channel_options){ .interceptors = at_server ? NULL : uses,
						     .authority = "shop.example" });
	pair_connect(&pair);
	pair_settle(&pair);
}

static void teardown(void)
{
	pair_close(&pair);
	call_log = minirpc_call_log_free(call_log);
}

static const struct minirpc_call_log_options to_lines = { .log = take_line };
static const struct minirpc_call_log_options to_records = { .on_record = take_code, .user = &told };

static void run(struct probe *probe, const struct minirpc_method *method, minirpc_time timeout)
{
	*probe = (struct probe){ 0 };
	probe_call(probe, pair.channel, method,
		   &(struct minirpc_call_options){ .timeout = timeout });
	pair_settle(&pair);
}

/* ---- What it says ---- */

START_TEST(a_line_of_a_client_and_one_of_a_server)
{
	struct probe probe;

	open_pair(&to_lines, false);
	run(&probe, &echo, 0);
	ck_assert_str_eq(lines.last, "call client /t.T/echo OK in 0.000 ms, peer pipe:server, "
				     "authority shop.example, sent 1 messages 5 bytes, received 1 "
				     "messages 5 bytes, attempts 1");
	ck_assert_int_eq(lines.level, MINIRPC_LOG_INFO);
	run(&probe, &hang, MINIRPC_MS(50));
	pair_advance(&pair, MINIRPC_MS(50));
	ck_assert_str_eq(lines.last,
			 "call client /t.T/hang DEADLINE_EXCEEDED in 50.000 ms, peer pipe:server, "
			 "authority shop.example, sent 1 messages 5 bytes, received 0 messages 0 "
			 "bytes, attempts 1, left 0.000 ms: deadline exceeded");
	ck_assert_uint_eq(lines.count, 2);
	teardown();

	open_pair(&to_lines, true);
	run(&probe, &letters, MINIRPC_MS(1500));
	ck_assert_str_eq(lines.last, "call server /t.T/list OK in 0.000 ms, peer pipe:client, "
				     "authority shop.example, sent 5 messages 5 bytes, received 1 "
				     "messages 5 bytes, left 1500.000 ms");
	ck_assert_uint_eq(lines.count, 1);
}
END_TEST

START_TEST(a_record_has_it_all)
{
	struct probe probe;

	open_pair(&to_records, true);
	pair_advance(&pair, MINIRPC_S(7));
	run(&probe, &hang, MINIRPC_S(3));
	pair_advance(&pair, MINIRPC_S(2));
	ck_assert_uint_eq(told.count, 0);
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_uint_eq(told.count, 1);
	ck_assert(told.record.server);
	ck_assert_str_eq(told.method, "/t.T/hang");
	ck_assert_str_eq(told.peer, "pipe:client");
	ck_assert_str_eq(told.authority, "shop.example");
	ck_assert_int_eq(told_code, MINIRPC_CANCELLED);
	ck_assert_int_eq(told.record.started, MINIRPC_S(7));
	ck_assert_int_eq(told.record.duration, MINIRPC_S(2));
	ck_assert_int_eq(told.record.time_left, MINIRPC_S(1));
	ck_assert_uint_eq(told.record.messages_received, 1);
	ck_assert_uint_eq(told.record.bytes_received, 5);
	ck_assert_uint_eq(told.record.attempts, 0);
	ck_assert_uint_eq(lines.count, 0);
}
END_TEST

START_TEST(a_client_that_cancels_or_goes_is_told_of_as_well)
{
	struct probe probe;

	open_pair(&to_records, false);
	run(&probe, &hang, 0);
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_uint_eq(told.count, 1);
	ck_assert_int_eq(told_code, MINIRPC_CANCELLED);
	ck_assert_int_eq(told.record.time_left, MINIRPC_NEVER);
	run(&probe, &hang, 0);
	pair_cut(&pair);
	pair_settle(&pair);
	ck_assert_uint_eq(told.count, 2);
	ck_assert_int_eq(told_code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(told.peer, "pipe:server");
	run(&probe, &echo, 0); /* never had a connection */
	pair.channel = minirpc_channel_free(pair.channel);
	ck_assert_uint_eq(told.count, 3);
	ck_assert_int_eq(told_code, MINIRPC_CANCELLED);
	ck_assert_str_eq(told.peer, "");
}
END_TEST

START_TEST(the_loops_own_log_takes_the_lines_when_nobody_else_does)
{
	const struct minirpc_loop_options loop = { .manual = true,
						   .log = take_line,
						   .log_level = MINIRPC_LOG_WARNING };
	struct minirpc_use uses[2] = { { NULL } };
	struct probe probe;

	for (int warn = 0; warn < 2; warn++) {
		memset(&lines, 0, sizeof lines);
		ck_assert_int_eq(
			minirpc_call_log_new(
				&call_log,
				warn ? &(struct
					 minirpc_call_log_options){ .level = MINIRPC_LOG_WARNING }
				     : NULL),
			0);
		uses[0] = minirpc_call_log_use(call_log);
		pair_open_on(&pair, &loop, NULL,
			     &(struct minirpc_channel_options){ .interceptors = uses });
		pair_connect(&pair);
		run(&probe, &echo, 0);
		ck_assert_uint_eq(lines.count, (unsigned)warn); /* INFO is below its level */
		teardown();
	}
	pair_open(&pair, NULL, NULL);
}
END_TEST

/* ---- How much ---- */

START_TEST(only_slow_ones_only_failed_ones_or_either)
{
	static const struct {
		minirpc_time slower_than;
		bool only_failed;
		unsigned fast_ok, fast_failed, slow_failed, just_below;
	} cases[] = {
		{ 0, false, 1, 1, 1, 1 },
		{ MINIRPC_MS(20), false, 0, 0, 1, 0 },
		{ 0, true, 0, 1, 1, 1 },
		{ MINIRPC_MS(20), true, 0, 1, 1, 1 },
	};
	static const struct minirpc_method none = { .path = "/t.T/none" };
	struct probe probe;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		open_pair(&(struct minirpc_call_log_options){ .log = take_line,
							      .slower_than = cases[i].slower_than,
							      .only_failed = cases[i].only_failed },
			  false);
		run(&probe, &echo, 0);
		ck_assert_uint_eq(lines.count, cases[i].fast_ok);
		lines.count = 0;
		run(&probe, &none, 0);
		ck_assert_uint_eq(lines.count, cases[i].fast_failed);
		lines.count = 0;
		run(&probe, &hang, MINIRPC_MS(20));
		pair_advance(&pair, MINIRPC_MS(20));
		ck_assert_uint_eq(lines.count, cases[i].slow_failed);
		lines.count = 0;
		run(&probe, &hang, MINIRPC_MS(20) - 1);
		pair_advance(&pair, MINIRPC_MS(20) - 1);
		ck_assert_uint_eq(lines.count, cases[i].just_below);
		teardown();
	}
	ck_assert_int_eq(
		minirpc_call_log_new(&call_log,
				     &(struct minirpc_call_log_options){ .slower_than = -1 }),
		-EINVAL);
	pair_open(&pair, NULL, NULL);
}
END_TEST

START_TEST(so_many_lines_in_a_second_and_the_next_says_how_many_were_left_out)
{
	struct probe probe;

	open_pair(&(struct minirpc_call_log_options){ .log = take_line,
						      .on_record = take_record,
						      .user = &told,
						      .per_second = 10,
						      .burst = 3 },
		  true);
	for (int i = 0; i < 10; i++)
		run(&probe, &echo, 0);
	ck_assert_uint_eq(lines.count, 3);
	ck_assert_uint_eq(told.count, 10); /* records are not lines */
	ck_assert_ptr_null(strstr(lines.all, "left out"));
	pair_advance(&pair, MINIRPC_MS(100));
	run(&probe, &echo, 0);
	ck_assert_uint_eq(lines.count, 4);
	ck_assert_ptr_nonnull(strstr(lines.last, " (7 left out)"));
	pair_advance(&pair, MINIRPC_MS(100));
	run(&probe, &echo, 0);
	ck_assert_uint_eq(lines.count, 5);
	ck_assert_ptr_null(strstr(lines.last, "left out"));
}
END_TEST

START_TEST(a_hundred_lines_at_once_unless_told_otherwise)
{
	struct probe probe;

	open_pair(&to_lines, true);
	for (int i = 0; i < 101; i++)
		run(&probe, &echo, 0);
	ck_assert_uint_eq(lines.count, 100);
	teardown();
	open_pair(&(struct minirpc_call_log_options){ .log = take_line, .per_second = UINT32_MAX },
		  true);
	for (int i = 0; i < 101; i++)
		run(&probe, &echo, 0);
	ck_assert_uint_eq(lines.count, 101);
}
END_TEST

/* ---- What it never says ---- */

static void fail_oddly(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)metadata;
	(void)user;
	minirpc_call_fail(call, MINIRPC_ABORTED, "line 1\nline 2\x1b[31m \\n \xC3\xA4");
}

START_TEST(what_came_from_a_peer_is_escaped)
{
	static const struct minirpc_method odd = { .path = "/t.T/odd,peer" };
	static const struct minirpc_call_events events = { .on_headers = fail_oddly };
	static char huge[3000];
	struct minirpc_method longest = { .path = huge };
	struct probe probe;

	open_pair(&to_lines, false);
	ck_assert_int_eq(minirpc_server_add(pair.server, &odd, &events, NULL, NULL), 0);
	run(&probe, &odd, 0);
	ck_assert_str_eq(lines.last,
			 "call client /t.T/odd\\x2Cpeer ABORTED in 0.000 ms, peer "
			 "pipe:server, authority shop.example, sent 1 messages 5 bytes, received 0 "
			 "messages 0 bytes, attempts 1: line 1\\x0Aline 2\\x1B[31m \\x5Cn "
			 "\\xC3\\xA4");
	memset(huge, 'x', sizeof huge - 1);
	memcpy(huge, "/t.T/", 5);
	run(&probe, &longest, 0);
	ck_assert_uint_le(strlen(lines.last), 511);
	ck_assert_ptr_nonnull(strstr(lines.last, "xxx... UNIMPLEMENTED in "));
	ck_assert_ptr_nonnull(strstr(lines.last, "attempts 1: unknown method xxx"));
}
END_TEST

static void keep_secret(minirpc_credentials_request *request, void *user)
{
	(void)user;
	minirpc_credentials_answer_bearer(request, "s3cr3t-token", 0);
}

static void check_secret(minirpc_auth_request *request, void *user)
{
	const char *token = minirpc_bearer_token(minirpc_auth_metadata(request));

	(void)user;
	if (minirpc_secret_equals(token, "s3cr3t-token"))
		minirpc_auth_accept(request, "s3cr3t-principal");
	else
		minirpc_auth_refuse(request, NULL);
}

START_TEST(no_log_of_any_level_has_a_token_metadata_or_a_payload)
{
	static const struct minirpc_loop_options loop = { .manual = true,
							  .log = take_line,
							  .log_level = MINIRPC_LOG_DEBUG };
	static const struct minirpc_field fields[] = { { "x-key", "s3cr3t-value" },
						       { "x-bin", "s3cr3t-bytes" },
						       { NULL } };
	const struct minirpc_credentials_options get = { .get = keep_secret,
							 .allow_plaintext = true };
	struct minirpc_use client[3] = { { NULL } }, server[3] = { { NULL } };
	minirpc_credentials *credentials;
	minirpc_auth *auth;

	memset(&lines, 0, sizeof lines);
	ck_assert_int_eq(minirpc_call_log_new(&call_log, NULL), 0);
	ck_assert_int_eq(minirpc_credentials_new(&credentials, &get), 0);
	ck_assert_int_eq(
		minirpc_auth_new(&auth, &(struct minirpc_auth_options){ .check = check_secret }),
		0);
	client[0] = server[0] = minirpc_call_log_use(call_log);
	client[1] = minirpc_credentials_use(credentials);
	server[1] = minirpc_auth_use(auth);
	pair_open_on(&pair, &loop, &(struct minirpc_server_options){ .interceptors = server },
		     &(struct minirpc_channel_options){ .interceptors = client });
	pair_connect(&pair);
	for (int i = 0; i < 4; i++) {
		struct probe probe = { 0 };

		ck_assert_int_eq(
			minirpc_call_open(&probe.call, pair.channel, i < 2 ? &echo : &hang,
					  &(struct minirpc_call_options){ .metadata = fields },
					  &probe_events, &probe),
			0);
		ck_assert_int_eq(minirpc_call_send(probe.call, "s3cr3t-payload", 14), 0);
		ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
		pair_settle(&pair);
		if (i == 2)
			minirpc_call_cancel(probe.call);
		else if (i == 3)
			pair_cut(&pair);
		pair_settle(&pair);
		if (i < 2)
			ck_assert_int_eq(probe.code, MINIRPC_OK);
	}
	pair_close(&pair);
	minirpc_credentials_free(credentials);
	minirpc_auth_free(auth);
	ck_assert_uint_ge(lines.count, 8); /* two of each call */
	ck_assert_ptr_nonnull(strstr(lines.all, "call client /t.T/echo OK"));
	ck_assert_ptr_nonnull(strstr(lines.all, "call server /t.T/hang CANCELLED"));
	ck_assert_ptr_null(strstr(lines.all, "s3cr3t"));
	ck_assert_ptr_null(strstr(lines.all, "Bearer"));
	ck_assert_ptr_null(strstr(lines.all, "czNjcjN0")); /* nor in base64 */
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/call_log");
	TCase *t = tcase_create("call_log");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, a_line_of_a_client_and_one_of_a_server);
	tcase_add_test(t, a_record_has_it_all);
	tcase_add_test(t, a_client_that_cancels_or_goes_is_told_of_as_well);
	tcase_add_test(t, the_loops_own_log_takes_the_lines_when_nobody_else_does);
	tcase_add_test(t, only_slow_ones_only_failed_ones_or_either);
	tcase_add_test(t, so_many_lines_in_a_second_and_the_next_says_how_many_were_left_out);
	tcase_add_test(t, a_hundred_lines_at_once_unless_told_otherwise);
	tcase_add_test(t, what_came_from_a_peer_is_escaped);
	tcase_add_test(t, no_log_of_any_level_has_a_token_metadata_or_a_payload);
	suite_add_tcase(s, t);
	return s;
}

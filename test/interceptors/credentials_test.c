/* SPDX-License-Identifier: MIT */
/* Call credentials: what is sent and what is not [N-4], what a failure says [S-5], and one answer for many. */
#include "client/pair.h"
#include "run_suite.h"

#include "world/pki.h"

#include <minirpc/interceptors.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECRET "s3cr3t-token"

static struct pair pair;
static minirpc_tls *tls;
static minirpc_credentials *credentials;
static unsigned warnings, lines_with_secret;

/* What get was asked, and what it shall answer at once. */
static struct {
	unsigned gets;
	minirpc_credentials_request *last;
	const char *at_once; /* a token; NULL: later */
	minirpc_time lifetime;
	bool frees, cancels; /* from inside get: the channel; the call, where it is known */
	char path[64], authority[64];
} asked;

static void get(minirpc_credentials_request *request, void *user)
{
	minirpc_call *call = minirpc_credentials_call(request);

	ck_assert_ptr_eq(user, &asked);
	asked.gets++;
	asked.last = request;
	if (call != NULL) {
		snprintf(asked.path, sizeof asked.path, "%s", minirpc_call_path(call));
		snprintf(asked.authority, sizeof asked.authority, "%s",
			 minirpc_call_authority(call));
	}
	if (asked.frees)
		pair.channel = minirpc_channel_free(pair.channel);
	if (asked.cancels && call != NULL)
		minirpc_call_cancel(call);
	if (asked.at_once != NULL)
		minirpc_credentials_answer_bearer(request, asked.at_once, asked.lifetime);
}

/* What the handler of /t.T/who saw. */
static struct {
	unsigned calls, fields;
	char authorization[64], extra[64];
	bool secure;
} who;

static void look(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	const struct minirpc_field *field = NULL;
	const char *value = minirpc_metadata_get(metadata, "authorization");

	(void)user;
	who.calls++;
	who.secure = minirpc_call_is_secure(call);
	who.fields = 0;
	while ((field = minirpc_metadata_find(metadata, "authorization", field)) != NULL)
		who.fields++;
	snprintf(who.authorization, sizeof who.authorization, "%s", value == NULL ? "" : value);
	value = minirpc_metadata_get(metadata, "extra");
	snprintf(who.extra, sizeof who.extra, "%s", value == NULL ? "" : value);
	minirpc_call_fail(call, MINIRPC_ABORTED, "seen");
}

static const struct minirpc_method who_method = { .path = "/t.T/who" };
static const struct minirpc_call_events who_events = { .on_headers = look };

static void log_line(enum minirpc_log_level level, const char *line, void *user)
{
	(void)user;
	warnings += level == MINIRPC_LOG_WARNING && strstr(line, "CLEAR TEXT") != NULL;
	lines_with_secret += strstr(line, "s3cr3t") != NULL;
}

static const struct minirpc_loop_options loop_options = { .manual = true,
							  .log = log_line,
							  .log_level = MINIRPC_LOG_DEBUG };

/* A server and a channel whose calls carry `credentials`, connected. */
static void open_pair(bool secure)
{
	const struct minirpc_use uses[] = { minirpc_credentials_use(credentials), { NULL } };

	pair_open_on(&pair, &loop_options, NULL,
		     &(struct minirpc_channel_options){ .tls = secure ? tls : NULL,
							.interceptors = uses });
	pair.secure = secure;
	ck_assert_int_eq(minirpc_server_add(pair.server, &who_method, &who_events, NULL, NULL), 0);
	pair_connect(&pair);
	pair_settle(&pair);
}

static void make(bool shared, bool allow_plaintext)
{
	ck_assert_int_eq(minirpc_credentials_new(&credentials,
						 &(struct minirpc_credentials_options){
							 .get = get,
							 .user = &asked,
							 .shared = shared,
							 .allow_plaintext = allow_plaintext }),
			 0);
}

static struct probe *start(struct probe *probe)
{
	*probe = (struct probe){ 0 };
	probe_call(probe, pair.channel, &who_method, NULL);
	pair_settle(&pair);
	return probe;
}

static struct minirpc_conn_counts server_counts(void)
{
	struct minirpc_conn_counts counts;

	minirpc_server_counts(pair.server, &counts);
	return counts;
}

static void setup(void)
{
	memset(&asked, 0, sizeof asked);
	memset(&who, 0, sizeof who);
	memset(&pair, 0, sizeof pair);
	warnings = lines_with_secret = 0;
	credentials = NULL;
	ck_assert_int_eq(
		minirpc_tls_new(&tls,
				&(struct minirpc_tls_options){ .insecure_skip_verify = true }),
		0);
}

static void teardown(void)
{
	pair_close(&pair);
	minirpc_credentials_free(credentials);
	minirpc_tls_unref(tls);
	ck_assert_uint_eq(lines_with_secret, 0);
}

/* ---- Where they go ---- */

START_TEST(in_clear_text_the_call_is_unauthenticated_and_nothing_is_sent) /* N-4 */
{
	struct minirpc_conn_counts before, after;
	struct probe probe;

	make(false, false);
	asked.at_once = SECRET;
	open_pair(false);
	before = server_counts();
	start(&probe);
	after = server_counts();
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);
	ck_assert_uint_eq(asked.gets, 0);
	ck_assert_uint_eq(after.calls_started, 0);
	ck_assert_uint_eq(after.bytes_received, before.bytes_received);
}
END_TEST

START_TEST(in_clear_text_they_are_sent_if_that_is_meant_and_the_log_says_so_once) /* N-4 */
{
	struct probe probe;

	make(false, true);
	asked.at_once = SECRET;
	open_pair(false);
	for (int i = 0; i < 3; i++) {
		start(&probe);
		ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
		ck_assert_str_eq(who.authorization, "Bearer " SECRET);
	}
	ck_assert_uint_eq(asked.gets, 3);
	ck_assert_uint_eq(warnings, 1);
}
END_TEST

START_TEST(a_call_waits_for_its_credentials_and_sends_nothing_before) /* N-4 */
{
	static const struct minirpc_field fields[] = { { "authorization", SECRET },
						       { "extra", "1" },
						       { NULL } };
	minirpc_credentials_request *first;
	struct minirpc_conn_counts before;
	struct probe probe, other;

	make(false, false);
	open_pair(true);
	before = server_counts();
	start(&probe);
	pair_advance(&pair, MINIRPC_S(60));
	first = asked.last;
	ck_assert_uint_eq(asked.gets, 1);
	ck_assert_str_eq(asked.path, "/t.T/who");
	ck_assert_str_eq(asked.authority, minirpc_call_authority(probe.call));
	ck_assert_ptr_eq(minirpc_credentials_call(first), probe.call);
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(server_counts().bytes_received, before.bytes_received);

	/* Only that call waits. */
	asked.at_once = "other";
	start(&other);
	ck_assert_uint_eq(other.ends, 1);
	ck_assert_str_eq(who.authorization, "Bearer other");

	minirpc_credentials_answer(first, fields, 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_str_eq(who.authorization, SECRET);
	ck_assert_str_eq(who.extra, "1");
	ck_assert(who.secure);
	ck_assert_uint_eq(warnings, 0);
}
END_TEST

START_TEST(they_take_the_place_of_what_the_call_had)
{
	static const struct minirpc_field own[] = { { "authorization", "a" },
						    { "authorization", "b" },
						    { NULL } };
	struct probe probe = { 0 };

	make(false, false);
	asked.at_once = SECRET;
	open_pair(true);
	probe_call(&probe, pair.channel, &who_method,
		   &(struct minirpc_call_options){ .metadata = own });
	pair_settle(&pair);
	ck_assert_uint_eq(who.fields, 1);
	ck_assert_str_eq(who.authorization, "Bearer " SECRET);
}
END_TEST

START_TEST(one_bearer_token_for_ever)
{
	static const char *const bad[] = { "", "a b", "a\n", "\xC3\xA4", " a" };
	struct probe probe;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_int_eq(minirpc_credentials_new_bearer(&credentials, bad[i], false),
				 -EINVAL);
	ck_assert_int_eq(minirpc_credentials_new_bearer(&credentials, NULL, false), -EINVAL);
	ck_assert_int_eq(minirpc_credentials_new_bearer(&credentials, SECRET, false), 0);
	open_pair(true);
	for (unsigned i = 1; i <= 3; i++) {
		start(&probe);
		ck_assert_uint_eq(who.calls, i);
		ck_assert_str_eq(who.authorization, "Bearer " SECRET);
		pair_advance(&pair, MINIRPC_S(600));
	}
}
END_TEST

/* ---- Failures ---- */

START_TEST(a_failure_is_unauthenticated_or_what_the_source_may_say) /* N-4, S-5 */
{
	static const bool is_for_applications[] = {
		[MINIRPC_OK] = true,
		[MINIRPC_INVALID_ARGUMENT] = true,
		[MINIRPC_NOT_FOUND] = true,
		[MINIRPC_ALREADY_EXISTS] = true,
		[MINIRPC_FAILED_PRECONDITION] = true,
		[MINIRPC_ABORTED] = true,
		[MINIRPC_OUT_OF_RANGE] = true,
		[MINIRPC_DATA_LOSS] = true,
		[MINIRPC_UNAUTHENTICATED] = false,
	};
	struct probe probe;

	make(false, false);
	open_pair(true);
	start(&probe);
	minirpc_credentials_refuse(asked.last, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_UNAUTHENTICATED);

	for (unsigned i = 0; i <= MINIRPC_UNAUTHENTICATED; i++) {
		const struct minirpc_status status = { .code = (enum minirpc_code)i,
						       .message = "no such key" };

		start(&probe);
		minirpc_credentials_refuse(asked.last, &status);
		pair_settle(&pair);
		ck_assert_uint_eq(probe.ends, 1);
		if (!is_for_applications[i]) {
			ck_assert_int_eq(probe.code, status.code);
			ck_assert_str_eq(probe.text, "no such key");
			continue;
		}
		ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
		ck_assert_ptr_nonnull(strstr(probe.text, minirpc_code_name(status.code)));
		ck_assert_ptr_nonnull(strstr(probe.text, "no such key"));
	}
	ck_assert_uint_eq(server_counts().calls_started, 0);
}
END_TEST

START_TEST(what_is_no_metadata_ends_the_call)
{
	static const struct minirpc_field bad[][2] = { { { "Upper", "x" }, { NULL } },
						       { { "grpc-status", "0" }, { NULL } },
						       { { "authorization", "a\nb" }, { NULL } },
						       { { "te", "x" }, { NULL } } };
	static char huge[20000];
	struct probe probe;

	make(false, false);
	open_pair(true);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		start(&probe);
		minirpc_credentials_answer(asked.last, bad[i], 0);
		pair_settle(&pair);
		ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	}
	memset(huge, 'x', sizeof huge - 1);
	start(&probe);
	minirpc_credentials_answer_bearer(asked.last, huge, 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	ck_assert_uint_eq(server_counts().calls_started, 0);

	start(&probe); /* and nothing at all is fine: nobody calls */
	minirpc_credentials_answer(asked.last, NULL, 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_str_eq(who.authorization, "");
}
END_TEST

START_TEST(a_call_that_is_over_does_not_need_its_answer_any_more)
{
	struct probe probe = { 0 };
	minirpc_credentials_request *late;

	make(false, false);
	open_pair(true);
	probe_call(&probe, pair.channel, &who_method,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_MS(50) });
	pair_settle(&pair);
	late = asked.last;
	pair_advance(&pair, MINIRPC_MS(50));
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_ptr_null(minirpc_credentials_call(late));
	minirpc_credentials_answer_bearer(late, SECRET, 0);

	start(&probe);
	late = asked.last;
	minirpc_call_cancel(probe.call);
	pair_settle(&pair);
	ck_assert_ptr_null(minirpc_credentials_call(late));
	minirpc_credentials_refuse(late, NULL);

	start(&probe);
	late = asked.last;
	pair.channel = minirpc_channel_free(pair.channel);
	ck_assert_ptr_null(minirpc_credentials_call(late));
	credentials = minirpc_credentials_free(credentials);
	minirpc_credentials_answer_bearer(late, SECRET, 0);
	ck_assert_uint_eq(server_counts().calls_started, 0);
}
END_TEST

START_TEST(each_attempt_asks_if_that_is_meant_and_a_failure_is_an_attempt) /* S-5, R-1 */
{
	static const char config[] =
		"{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":3,"
		"\"initialBackoff\":\"0.01s\",\"maxBackoff\":\"0.01s\",\"backoffMultiplier\":1,"
		"\"retryableStatusCodes\":[\"UNAVAILABLE\",\"NOT_FOUND\"]}}]}";
	struct minirpc_status status = { .code = MINIRPC_UNAVAILABLE, .message = "away" };
	struct minirpc_use uses[2] = { { NULL } };
	struct probe probe = { 0 };

	ck_assert_int_eq(
		minirpc_credentials_new(&credentials,
					&(struct minirpc_credentials_options){
						.get = get, .user = &asked, .per_attempt = true }),
		0);
	uses[0] = minirpc_credentials_use(credentials);
	pair_open_on(&pair, &loop_options, NULL,
		     &(struct minirpc_channel_options){
			     .tls = tls, .service_config_json = config, .interceptors = uses });
	pair.secure = true;
	ck_assert_int_eq(minirpc_server_add(pair.server, &who_method, &who_events, NULL, NULL), 0);
	pair_connect(&pair);
	start(&probe);
	ck_assert_uint_eq(asked.gets, 1);
	ck_assert_str_eq(asked.path, "/t.T/who");
	minirpc_credentials_refuse(asked.last, &status);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_MS(20));
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(asked.gets, 2);
	minirpc_credentials_answer_bearer(asked.last, SECRET, 0);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
	ck_assert_str_eq(who.authorization, "Bearer " SECRET);

	/* NOT_FOUND is INTERNAL before the policy looks at it. */
	status.code = MINIRPC_NOT_FOUND;
	start(&probe);
	minirpc_credentials_refuse(asked.last, &status);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_MS(20));
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	ck_assert_uint_eq(asked.gets, 3);
	ck_assert_uint_eq(server_counts().calls_started, 1);
}
END_TEST

/* ---- Shared ---- */

START_TEST(those_that_wait_share_one_answer_and_later_ones_use_it)
{
	struct probe a, b, c;

	make(true, false);
	open_pair(true);
	start(&a);
	start(&b);
	ck_assert_uint_eq(asked.gets, 1);
	ck_assert_ptr_null(minirpc_credentials_call(asked.last)); /* it is for all */
	ck_assert_uint_eq(server_counts().calls_started, 0);
	minirpc_credentials_answer_bearer(asked.last, SECRET, MINIRPC_S(1000));
	pair_settle(&pair);
	ck_assert_uint_eq(a.ends + b.ends, 2);
	ck_assert_uint_eq(who.calls, 2);

	pair_advance(&pair, MINIRPC_S(1000 - 60) - 1);
	start(&c);
	ck_assert_uint_eq(asked.gets, 1);
	ck_assert_str_eq(who.authorization, "Bearer " SECRET);
}
END_TEST

START_TEST(it_is_renewed_before_its_end_while_the_old_one_serves)
{
	struct probe probe;

	make(true, false);
	asked.at_once = "first";
	asked.lifetime = MINIRPC_S(1000);
	open_pair(true);
	start(&probe);
	asked.at_once = NULL;
	pair_advance(&pair, MINIRPC_S(940));
	start(&probe); /* asks, and does not wait for it */
	ck_assert_uint_eq(asked.gets, 2);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_str_eq(who.authorization, "Bearer first");
	start(&probe); /* once */
	ck_assert_uint_eq(asked.gets, 2);

	minirpc_credentials_answer_bearer(asked.last, "second", MINIRPC_S(1000));
	start(&probe);
	ck_assert_str_eq(who.authorization, "Bearer second");
	pair_advance(&pair, MINIRPC_S(940) - 1);
	start(&probe);
	ck_assert_uint_eq(asked.gets, 2);
}
END_TEST

START_TEST(one_that_has_expired_is_never_sent)
{
	struct probe probe;

	make(true, false);
	asked.at_once = "first";
	asked.lifetime = MINIRPC_S(100);
	open_pair(true);
	start(&probe);
	asked.at_once = NULL;
	pair_advance(&pair, MINIRPC_S(100) - 1);
	start(&probe);
	ck_assert_uint_eq(probe.ends, 1); /* to the last moment */
	ck_assert_uint_eq(asked.gets, 2);
	pair_advance(&pair, 1);
	start(&probe);
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(asked.gets, 2); /* which is under way already */
	minirpc_credentials_answer_bearer(asked.last, "second", 0);
	pair_settle(&pair);
	ck_assert_str_eq(who.authorization, "Bearer second");
	asked.at_once = "third";
	start(&probe); /* a lifetime of 0 was for those that waited */
	ck_assert_uint_eq(asked.gets, 3);
	ck_assert_str_eq(who.authorization, "Bearer third");
}
END_TEST

START_TEST(a_short_life_is_renewed_in_its_second_half)
{
	struct probe probe;

	make(true, false);
	asked.at_once = "x";
	asked.lifetime = MINIRPC_S(10); /* less than the 60 s of .early */
	open_pair(true);
	start(&probe);
	pair_advance(&pair, MINIRPC_S(5) - 1);
	start(&probe);
	ck_assert_uint_eq(asked.gets, 1);
	pair_advance(&pair, 1);
	start(&probe);
	ck_assert_uint_eq(asked.gets, 2);
}
END_TEST

START_TEST(after_a_failure_nobody_is_asked_for_a_while)
{
	static const struct minirpc_status away = { .code = MINIRPC_UNAVAILABLE,
						    .message = "token server is away" };
	struct probe a, b, c;

	make(true, false);
	open_pair(true);
	start(&a);
	start(&b);
	minirpc_credentials_refuse(asked.last, &away);
	pair_settle(&pair);
	ck_assert_int_eq(a.code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(b.code, MINIRPC_UNAVAILABLE);
	pair_advance(&pair, MINIRPC_S(1) - 1);
	start(&c);
	ck_assert_int_eq(c.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(c.text, "token server is away");
	ck_assert_uint_eq(asked.gets, 1);
	pair_advance(&pair, 1);
	start(&c);
	ck_assert_uint_eq(asked.gets, 2);
	minirpc_credentials_answer_bearer(asked.last, SECRET, MINIRPC_S(1000));
	pair_settle(&pair);
	ck_assert_int_eq(c.code, MINIRPC_ABORTED);

	/* While the old one is good a failure to renew costs no call. */
	pair_advance(&pair, MINIRPC_S(950));
	start(&c);
	ck_assert_uint_eq(asked.gets, 3);
	minirpc_credentials_refuse(asked.last, NULL);
	start(&c);
	ck_assert_int_eq(c.code, MINIRPC_ABORTED);
	ck_assert_uint_eq(asked.gets, 3);
	pair_advance(&pair, MINIRPC_S(1));
	start(&c);
	ck_assert_uint_eq(asked.gets, 4);
	minirpc_credentials_refuse(asked.last, NULL);
}
END_TEST

START_TEST(a_shared_answer_that_is_no_metadata_is_not_kept)
{
	struct probe probe;

	make(true, false);
	open_pair(true);
	start(&probe);
	minirpc_credentials_answer_bearer(asked.last, "a\nb", MINIRPC_S(1000));
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_INTERNAL);
	asked.at_once = SECRET;
	start(&probe);
	ck_assert_uint_eq(asked.gets, 2);
	ck_assert_int_eq(probe.code, MINIRPC_ABORTED);
}
END_TEST

START_TEST(a_call_that_leaves_does_not_take_the_others_answer_along)
{
	struct probe a, b;
	minirpc_credentials_request *late;

	make(true, false);
	open_pair(true);
	start(&a);
	start(&b);
	minirpc_call_cancel(a.call);
	pair_settle(&pair);
	minirpc_credentials_answer_bearer(asked.last, SECRET, 0);
	pair_settle(&pair);
	ck_assert_int_eq(b.code, MINIRPC_ABORTED);

	start(&a);
	late = asked.last;
	pair.channel = minirpc_channel_free(pair.channel);
	credentials = minirpc_credentials_free(credentials);
	minirpc_credentials_answer_bearer(late, SECRET, MINIRPC_S(1));
}
END_TEST

/* It is over, but has not been closed when the answer comes. */
START_TEST(a_call_that_is_cancelled_just_before_does_not_spoil_the_answer)
{
	struct probe a, b, c;

	make(true, false);
	open_pair(true);
	start(&a);
	start(&b);
	minirpc_call_cancel(_i == 0 ? a.call : b.call);
	minirpc_credentials_answer_bearer(asked.last, SECRET, MINIRPC_S(1000));
	pair_settle(&pair);
	ck_assert_int_eq(_i == 0 ? b.code : a.code, MINIRPC_ABORTED);
	start(&c);
	ck_assert_int_eq(c.code, MINIRPC_ABORTED);
	ck_assert_uint_eq(asked.gets, 1);
}
END_TEST

START_TEST(a_channel_may_be_freed_and_a_call_be_cancelled_by_whoever_is_asked)
{
	struct probe probe;

	make(_i % 2 == 1, false);
	asked.at_once = _i < 4 ? SECRET : NULL;
	asked.lifetime = MINIRPC_S(10);
	asked.frees = _i % 4 < 2;
	asked.cancels = !asked.frees;
	open_pair(true);
	start(&probe);
	ck_assert_uint_eq(asked.gets, 1);
	ck_assert_int_eq(probe.ends, asked.cancels && _i % 2 == 1 && _i < 4 ? 1 : 0);
	if (asked.at_once == NULL)
		minirpc_credentials_answer_bearer(asked.last, SECRET, MINIRPC_S(10));
	ck_assert_uint_eq(who.calls, probe.ends);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused)
{
	struct minirpc_credentials_options options = { 0 };

	ck_assert_int_eq(minirpc_credentials_new(&credentials, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_credentials_new(&credentials, &options), -EINVAL);
	options.get = get;
	options.early = -1;
	ck_assert_int_eq(minirpc_credentials_new(&credentials, &options), -EINVAL);
	options.early = 0;
	options.retry_after = -1;
	ck_assert_int_eq(minirpc_credentials_new(&credentials, &options), -EINVAL);
	ck_assert_ptr_null(minirpc_credentials_free(NULL));
}
END_TEST

/* ---- Over sockets ---- */

static uint64_t call_over_a_socket(minirpc_tls *server_tls, minirpc_tls *client_tls,
				   enum minirpc_code expected)
{
	const struct minirpc_use uses[] = { minirpc_credentials_use(credentials), { NULL } };
	struct minirpc_listen_options listen = { 0 };
	struct probe probe = { 0 };
	struct minirpc_conn_counts counts;
	char target[64];
	uint16_t port;

	listen.ret_port = &port;
	ck_assert_int_eq(minirpc_loop_new(&pair.loop, NULL), 0);
	ck_assert_int_eq(minirpc_server_new(&pair.server, pair.loop,
					    &(struct minirpc_server_options){ .tls = server_tls }),
			 0);
	ck_assert_int_eq(minirpc_server_add(pair.server, &who_method, &who_events, NULL, NULL), 0);
	ck_assert_int_eq(minirpc_server_listen(pair.server, "127.0.0.1:0", &listen), 0);
	snprintf(target, sizeof target, "localhost:%u", port);
	ck_assert_int_eq(minirpc_channel_new(&pair.channel, pair.loop, target,
					     &(struct minirpc_channel_options){
						     .tls = client_tls, .interceptors = uses }),
			 0);
	probe_call(&probe, pair.channel, &who_method, NULL);
	ck_assert_int_eq(minirpc_call_wait(probe.call), 0);
	ck_assert_int_eq(probe.code, expected);
	counts = server_counts();
	pair_close(&pair);
	return counts.calls_started;
}

START_TEST(over_tls_the_token_arrives_and_over_clear_text_it_never_leaves) /* N-4 */
{
	struct pki_identity *ca = pki_ca("test authority");
	struct pki_identity *id = pki_leaf(ca, &(struct pki_leaf){ 0 });
	minirpc_tls *server_tls, *client_tls;

	ck_assert_int_eq(minirpc_tls_new(&server_tls,
					 &(struct minirpc_tls_options){ .cert_pem = id->cert_pem,
									.key_pem = id->key_pem }),
			 0);
	ck_assert_int_eq(minirpc_tls_new(&client_tls,
					 &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }),
			 0);
	ck_assert_int_eq(minirpc_credentials_new_bearer(&credentials, SECRET, false), 0);
	ck_assert_uint_eq(call_over_a_socket(NULL, NULL, MINIRPC_UNAUTHENTICATED), 0);
	ck_assert_uint_eq(call_over_a_socket(server_tls, client_tls, MINIRPC_ABORTED), 1);
	ck_assert_str_eq(who.authorization, "Bearer " SECRET);
	ck_assert(who.secure);
	minirpc_tls_unref(server_tls);
	minirpc_tls_unref(client_tls);
	pki_free(id);
	pki_free(ca);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/credentials");
	TCase *t = tcase_create("credentials");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, in_clear_text_the_call_is_unauthenticated_and_nothing_is_sent);
	tcase_add_test(t, in_clear_text_they_are_sent_if_that_is_meant_and_the_log_says_so_once);
	tcase_add_test(t, a_call_waits_for_its_credentials_and_sends_nothing_before);
	tcase_add_test(t, they_take_the_place_of_what_the_call_had);
	tcase_add_test(t, one_bearer_token_for_ever);
	tcase_add_test(t, a_failure_is_unauthenticated_or_what_the_source_may_say);
	tcase_add_test(t, what_is_no_metadata_ends_the_call);
	tcase_add_test(t, a_call_that_is_over_does_not_need_its_answer_any_more);
	tcase_add_test(t, each_attempt_asks_if_that_is_meant_and_a_failure_is_an_attempt);
	tcase_add_test(t, those_that_wait_share_one_answer_and_later_ones_use_it);
	tcase_add_test(t, it_is_renewed_before_its_end_while_the_old_one_serves);
	tcase_add_test(t, one_that_has_expired_is_never_sent);
	tcase_add_test(t, a_short_life_is_renewed_in_its_second_half);
	tcase_add_test(t, after_a_failure_nobody_is_asked_for_a_while);
	tcase_add_test(t, a_shared_answer_that_is_no_metadata_is_not_kept);
	tcase_add_test(t, a_call_that_leaves_does_not_take_the_others_answer_along);
	tcase_add_loop_test(t, a_call_that_is_cancelled_just_before_does_not_spoil_the_answer, 0, 2);
	tcase_add_loop_test(t, a_channel_may_be_freed_and_a_call_be_cancelled_by_whoever_is_asked, 0, 8);
	tcase_add_test(t, what_makes_no_sense_is_refused);
	tcase_add_test(t, over_tls_the_token_arrives_and_over_clear_text_it_never_leaves);
	suite_add_tcase(s, t);
	return s;
}

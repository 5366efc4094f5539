/* SPDX-License-Identifier: MIT */
/* Keepalive at both ends, what a server takes of PINGs, and the GOAWAYs that say why. */
#include "raw.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <string.h>

#define S MINIRPC_S
#define HOUR S(3600)
#define HELLO_HEADERS RAW(":status", "200", "content-type", "application/grpc")

static minirpc_time deadline_of(struct mrpc_conn *conn)
{
	return conn == NULL ? MINIRPC_NEVER
			    : mrpc_conn_machine(conn)->ops->deadline(mrpc_conn_machine(conn));
}

/* Time passes, and whatever becomes due meanwhile happens when it is due. */
static void pass(struct pair *pair, minirpc_time span)
{
	minirpc_time until = pair->now + span;

	for (;;) {
		minirpc_time client = deadline_of(pair->client), server = deadline_of(pair->server);
		minirpc_time next = client < server ? client : server;

		if (next > until)
			break;
		pair_advance(pair, next > pair->now ? next - pair->now : 0);
	}
	pair_advance(pair, until - pair->now);
}

static bool finished(struct mrpc_conn *conn)
{
	return mrpc_conn_machine(conn)->ops->is_finished(mrpc_conn_machine(conn));
}

/* PINGs that a conn has sent so far. */
static uint64_t pings(const struct mrpc_conn *conn)
{
	return conn->ping_number;
}

static struct pair *client_asks(minirpc_time time)
{
	return pair_new_keepalive(
		&(struct minirpc_keepalive){ .time = time },
		&(struct minirpc_keepalive){ .time = MINIRPC_NEVER, .min_interval = -1 });
}

/* A call that stays open. */
static struct probe *open_call(struct pair *pair)
{
	struct probe *probe;

	pair->hold = true;
	probe = pair_unary(pair, "x");
	pair_settle(pair);
	return probe;
}

/* ---- Client ---- */

START_TEST(K_1_the_defaults_and_least_values_of_a_client)
{
	static const struct {
		minirpc_time time, timeout, want_time, want_timeout;
	} cases[] = {
		{ 0, 0, MINIRPC_NEVER, S(20) }, { 1, 0, S(10), S(20) },
		{ S(10) - 1, 0, S(10), S(20) }, { S(10), S(1), S(10), S(1) },
		{ S(10) + 1, 1, S(10) + 1, 1 }, { MINIRPC_NEVER, 0, MINIRPC_NEVER, S(20) },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct minirpc_keepalive keepalive = { .time = cases[i].time,
						       .timeout = cases[i].timeout };

		ck_assert_int_eq(mrpc_keepalive_complete(&keepalive, MRPC_CLIENT), 0);
		ck_assert_int_eq(keepalive.time, cases[i].want_time);
		ck_assert_int_eq(keepalive.timeout, cases[i].want_timeout);
		ck_assert_int_eq(mrpc_keepalive_user_timeout(&keepalive), /* A18 */
				 keepalive.time == MINIRPC_NEVER ? 0 : cases[i].want_timeout);
	}
	ck_assert_int_eq(
		mrpc_keepalive_complete(&(struct minirpc_keepalive){ .time = -1 }, MRPC_CLIENT),
		-EINVAL);
	ck_assert_int_eq(
		mrpc_keepalive_complete(&(struct minirpc_keepalive){ .timeout = -1 }, MRPC_CLIENT),
		-EINVAL);
}
END_TEST

START_TEST(K_1_a_client_asks_when_no_byte_has_come_for_so_long)
{
	struct pair *pair = client_asks(S(10));
	struct probe *probe = open_call(pair);

	pass(pair, S(10) - 1);
	ck_assert_uint_eq(pings(pair->client), 0);
	pass(pair, 1);
	ck_assert_uint_eq(pings(pair->client), 1);
	ck_assert(!pair->client->pings[MRPC_PING_KEEPALIVE].out); /* answered, at once */
	pass(pair, S(10) - 1);
	ck_assert_uint_eq(pings(pair->client), 1);
	pass(pair, 1);
	ck_assert_uint_eq(pings(pair->client), 2);
	pass(pair, HOUR);
	ck_assert_uint_eq(pings(pair->client), 362);
	ck_assert_int_eq(probe->ends, 0);
	pair_free(pair);
}
END_TEST

START_TEST(K_1_every_byte_that_is_read_puts_it_off)
{
	struct pair *pair = client_asks(S(10));

	pair->hold = true;
	pair_call(pair, "/t/stream", STREAMS, 0);
	pair_settle(pair);
	for (int i = 0; i < 100; i++) {
		pass(pair, S(10) - 1);
		ck_assert_int_eq(minirpc_call_send(pair->served[0].call, "x", 1), 0);
		pair_settle(pair);
	}
	ck_assert_uint_eq(pings(pair->client), 0);
	pass(pair, S(10) - 1);
	ck_assert_uint_eq(pings(pair->client), 0);
	pass(pair, 1);
	ck_assert_uint_eq(pings(pair->client), 1);
	pair_free(pair);
}
END_TEST

START_TEST(K_1_a_client_is_not_asked_to_by_default)
{
	struct pair *pair = client_asks(0);

	open_call(pair);
	ck_assert_int_eq(deadline_of(pair->client), MINIRPC_NEVER);
	pass(pair, 100 * HOUR);
	ck_assert_uint_eq(pings(pair->client), 0);
	pair_free(pair);
}
END_TEST

START_TEST(K_1_without_calls_a_client_asks_only_when_told_to)
{
	for (int without_calls = 0; without_calls < 2; without_calls++) {
		struct pair *pair = pair_new_keepalive(
			&(struct minirpc_keepalive){ .time = S(10),
						     .without_calls = without_calls },
			&(struct minirpc_keepalive){ .min_interval = -1 });

		pass(pair, S(100));
		ck_assert_uint_eq(pings(pair->client), without_calls ? 10 : 0);
		if (!without_calls) /* asleep: nothing to wake up for */
			ck_assert_int_eq(deadline_of(pair->client), MINIRPC_NEVER);
		pair_free(pair);
	}
}
END_TEST

/* PING, then HEADERS: a dead connection is found within timeout, not time + timeout. */
START_TEST(K_1_a_call_after_a_long_silence_pings_at_once)
{
	for (minirpc_time silence = S(10) - 1; silence <= S(10) + 1; silence++) {
		struct raw *raw =
			raw_server_keepalive(&(struct minirpc_keepalive){ .time = S(10) });
		bool at_once = silence >= S(10);
		int i;

		pass(raw->pair, silence);
		pair_unary(raw->pair, "x");
		pair_turn(raw->pair);
		raw_read(raw);
		ck_assert_int_eq(raw_count(raw, PING, 0), at_once);
		ck_assert_int_eq(raw_count(raw, HEADERS, 1), 1);
		for (i = 0; i < raw->seen_count && raw->seen[i].type != HEADERS; i++)
			;
		if (at_once)
			ck_assert_int_eq(raw->seen[i - 1].type, PING);
		raw_free(raw);
	}
}
END_TEST

START_TEST(K_1_bytes_that_came_while_asleep_count)
{
	struct raw *raw = raw_server_keepalive(&(struct minirpc_keepalive){ .time = S(10) });

	pass(raw->pair, S(50));
	raw_ping(raw); /* the server's: a byte is a byte */
	raw_send(raw);
	pass(raw->pair, S(5));
	pair_unary(raw->pair, "x");
	raw_send(raw);
	ck_assert_uint_eq(pings(raw->conn), 0);
	pass(raw->pair, S(5) - 1);
	ck_assert_uint_eq(pings(raw->conn), 0);
	pass(raw->pair, 1);
	ck_assert_uint_eq(pings(raw->conn), 1);
	raw_free(raw);
}
END_TEST

START_TEST(K_1_without_an_answer_the_connection_is_given_up)
{
	struct pair *pair = client_asks(S(10));
	struct probe *probe = open_call(pair);

	pair->to_client.stalled = true;
	pass(pair, S(30) - 1);
	ck_assert_uint_eq(pings(pair->client), 1);
	ck_assert_int_eq(probe->ends, 0);
	pass(pair, 1);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe->text, "keepalive: the peer did not answer a PING within 20 s");
	ck_assert(finished(pair->client));
	ck_assert_uint_eq(mrpc_conn_counts(pair->client)->closed_keepalive, 1);
	ck_assert_str_eq(mrpc_conn_reason(pair->client), probe->text);
	pair_free(pair);
}
END_TEST

START_TEST(K_1_the_timeout_is_the_users)
{
	struct pair *pair = pair_new_keepalive(
		&(struct minirpc_keepalive){ .time = S(10), .timeout = MS(1500) },
		&(struct minirpc_keepalive){ .min_interval = -1 });
	struct probe *probe = open_call(pair);

	pair->to_client.stalled = true;
	pass(pair, S(10) + MS(1500) - 1);
	ck_assert_int_eq(probe->ends, 0);
	pass(pair, 1);
	ck_assert_str_eq(probe->text, "keepalive: the peer did not answer a PING within 1500 ms");
	pair_free(pair);
}
END_TEST

/* A8: "not receiving any bytes". The answer may stand behind a long download. */
START_TEST(K_1_any_byte_is_an_answer)
{
	struct raw *raw = raw_server_keepalive(&(struct minirpc_keepalive){ .time = S(60) });
	struct probe *probe = pair_call(raw->pair, "/t/stream", STREAMS, 0);

	raw_send(raw);
	pass(raw->pair, S(60));
	ck_assert_uint_eq(pings(raw->conn), 1);
	pass(raw->pair, S(19));
	raw_headers(raw, 1, 0, HELLO_HEADERS);
	raw_send(raw); /* 79 s */
	pass(raw->pair, S(60) - 1);
	ck_assert_uint_eq(pings(raw->conn), 1);
	ck_assert_int_eq(probe->ends, 0);
	pass(raw->pair, 1); /* measured from that byte */
	ck_assert_uint_eq(pings(raw->conn), 2);
	pass(raw->pair, S(20));
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	raw_free(raw);
}
END_TEST

/* ---- Server ---- */

START_TEST(K_2_the_defaults_and_least_values_of_a_server)
{
	struct minirpc_keepalive keepalive = { 0 };

	ck_assert_int_eq(mrpc_keepalive_complete(&keepalive, MRPC_SERVER), 0);
	ck_assert_int_eq(keepalive.time, 2 * HOUR);
	ck_assert_int_eq(keepalive.timeout, S(20));
	ck_assert_int_eq(keepalive.min_interval, S(300));
	ck_assert_int_eq(mrpc_keepalive_user_timeout(&keepalive), S(20));
	keepalive.time = 1;
	ck_assert_int_eq(mrpc_keepalive_complete(&keepalive, MRPC_SERVER), 0);
	ck_assert_int_eq(keepalive.time, S(1));
	keepalive.time = MINIRPC_NEVER;
	ck_assert_int_eq(mrpc_keepalive_complete(&keepalive, MRPC_SERVER), 0);
	ck_assert_int_eq(keepalive.time, MINIRPC_NEVER);
	ck_assert_int_eq(mrpc_keepalive_user_timeout(&keepalive), 0);
}
END_TEST

START_TEST(K_2_a_server_asks_after_two_hours_with_or_without_calls)
{
	struct pair *pair = pair_new_keepalive(NULL, NULL);

	if (_i == 1)
		open_call(pair);
	pass(pair, 2 * HOUR - 1);
	ck_assert_uint_eq(pings(pair->server), 0);
	pass(pair, 1);
	ck_assert_uint_eq(pings(pair->server), 1);
	pass(pair, 20 * HOUR);
	ck_assert_uint_eq(pings(pair->server), 11);
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_READY);
	pair_free(pair);
}
END_TEST

START_TEST(K_2_without_an_answer_its_calls_are_cancelled)
{
	struct pair *pair = pair_new_keepalive(NULL, NULL);

	open_call(pair);
	pair->to_server.stalled = true;
	pass(pair, 2 * HOUR + S(20) - 1);
	ck_assert_int_eq(pair->served[0].ends, 0);
	pass(pair, 1);
	ck_assert_int_eq(pair->served[0].ends, 1);
	ck_assert_int_eq(pair->served[0].code, MINIRPC_CANCELLED);
	ck_assert_str_eq(pair->served[0].text,
			 "keepalive: the peer did not answer a PING within 20 s");
	ck_assert(finished(pair->server));
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->closed_keepalive, 1);
	pair_free(pair);
}
END_TEST

START_TEST(K_2_a_server_may_be_told_not_to_ask)
{
	struct pair *pair =
		pair_new_keepalive(NULL, &(struct minirpc_keepalive){ .time = MINIRPC_NEVER });

	pass(pair, 1000 * HOUR);
	ck_assert_uint_eq(pings(pair->server), 0);
	pair_free(pair);
}
END_TEST

/* ---- What a server takes ---- */

static void ping_after(struct raw *raw, minirpc_time span)
{
	raw->pair->now += span; /* the server's own PINGs are not the matter here */
	raw_ping(raw);
	raw_send(raw);
}

static void ck_alive(struct raw *raw)
{
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	ck_assert_int_eq(raw_count(raw, GOAWAY, 0), 0);
}

static void ck_too_many_pings(struct raw *raw, uint32_t last)
{
	const struct seen *goaway = raw_find(raw, GOAWAY, 0);

	ck_assert_ptr_nonnull(goaway);
	ck_assert_int_eq(raw_count(raw, GOAWAY, 0), 1);
	ck_assert_ptr_eq(goaway, &raw->seen[raw->seen_count - 1]); /* not a word after it */
	ck_assert_uint_eq(goaway->code, NGHTTP2_ENHANCE_YOUR_CALM);
	ck_assert_uint_eq(goaway->last, last);
	ck_assert_uint_eq(goaway->len, 8 + strlen("too_many_pings"));
	ck_assert_mem_eq(goaway->bytes + 8, "too_many_pings", 14);
	ck_assert(finished(raw->conn));
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->closed_pings, 1);
}

START_TEST(K_3_the_third_strike_ends_the_connection_at_once)
{
	struct raw *raw = raw_client_keepalive(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	ping_after(raw, 0); /* the first is never too early */
	ping_after(raw, S(1));
	ping_after(raw, S(1));
	ck_alive(raw);
	ck_assert_int_eq(raw_count(raw, PING, 0), 3); /* each was answered */
	ping_after(raw, S(1));
	ck_too_many_pings(raw, 1);
	ck_assert_int_eq(raw->pair->served[0].ends, 1);
	ck_assert_int_eq(raw->pair->served[0].code, MINIRPC_CANCELLED);
	raw_free(raw);
}
END_TEST

START_TEST(K_3_with_a_call_every_five_minutes_is_allowed)
{
	for (int early = 0; early < 2; early++) {
		struct raw *raw = raw_client_keepalive(NULL);

		raw->pair->hold = true;
		raw_request(raw, 1, 0, "/t/stream", NULL);
		raw_send(raw);
		ping_after(raw, 0);
		for (int i = 0; i < 20 && mrpc_conn_state(raw->conn) == MRPC_CONN_READY; i++)
			ping_after(raw, S(300) - early);
		if (early)
			ck_too_many_pings(raw, 1);
		else
			ck_alive(raw);
		raw_free(raw);
	}
}
END_TEST

/* Judged from the last that was in time, not from the last: every second one is a strike. */
START_TEST(K_3_a_strike_does_not_put_the_next_valid_ping_off)
{
	struct raw *raw = raw_client_keepalive(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	ping_after(raw, 0);
	for (int i = 0; i < 5; i++) {
		ck_alive(raw);
		ping_after(raw, S(150));
	}
	ck_too_many_pings(raw,
			  1); /* strikes at 150, 450 and 750 s; nothing was sent that clears them */
	raw_free(raw);
}
END_TEST

START_TEST(K_3_without_calls_every_two_hours_unless_permitted)
{
	static const struct {
		bool permit;
		minirpc_time interval;
		bool is_too_early;
	} cases[] = {
		{ false, 2 * HOUR, false }, { false, 2 * HOUR - 1, true }, { false, S(300), true },
		{ true, S(300), false },    { true, S(300) - 1, true },
	};

	for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
		struct raw *raw = raw_client_keepalive(&(struct minirpc_keepalive){
			.time = MINIRPC_NEVER, .permit_without_calls = cases[n].permit });

		ping_after(raw, 0);
		for (int i = 0; i < 10 && mrpc_conn_state(raw->conn) == MRPC_CONN_READY; i++)
			ping_after(raw, cases[n].interval);
		if (cases[n].is_too_early)
			ck_too_many_pings(raw, 0);
		else
			ck_alive(raw);
		raw_free(raw);
	}
}
END_TEST

START_TEST(K_3_headers_or_data_sent_clear_the_strikes)
{
	struct raw *raw = raw_client_keepalive(NULL);

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	ping_after(raw, 0);
	for (int i = 0; i < 100; i++) {
		ping_after(raw, 1); /* two strikes */
		ping_after(raw, 1);
		ck_alive(raw);
		ck_assert_int_eq(minirpc_call_send(raw->pair->served[0].call, "x", 1), 0);
		raw_send(raw);
		ping_after(raw, 1); /* pardoned; the bandwidth estimate of grpc-go, for one */
		raw->seen_count = 0;
	}
	ping_after(raw, 1);
	ping_after(raw, 1);
	ck_alive(raw);
	ping_after(raw, 1);
	ck_too_many_pings(raw, 1);
	raw_free(raw);
}
END_TEST

/* HEADERS alone do, be they the first of an answer or its trailers; RST_STREAM and the like do not. */
START_TEST(K_3_headers_alone_clear_the_strikes)
{
	struct raw *raw = raw_client_keepalive(NULL);
	minirpc_call *call;

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_request(raw, 3, 0, "/t/stream", NULL);
	raw_send(raw);
	call = raw->pair->served[0].call;
	ping_after(raw, 0);
	for (int i = 0; i < 2; i++) {
		ping_after(raw, 1);
		ping_after(raw, 1);
		ck_alive(raw);
		if (i == 0)
			ck_assert_int_eq(minirpc_call_send_headers(call, NULL), 0);
		else
			minirpc_call_end(call, NULL);
		raw->pair->served[0].call = i == 0 ? call : NULL;
		raw_send(raw);
		ck_assert_int_eq(raw_count(raw, DATA, 1), 0);
		ck_assert_int_eq(raw_count(raw, HEADERS, 1), i + 1);
		ping_after(raw, 1); /* pardoned */
	}
	ping_after(raw, 1);
	ping_after(raw, 1);
	ck_alive(raw);
	minirpc_call_cancel(raw->pair->served[1].call);
	raw->pair->served[1].call = NULL;
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, RST_STREAM, 3), 1);
	ping_after(raw, 1);
	ck_too_many_pings(raw, 3);
	raw_free(raw);
}
END_TEST

START_TEST(K_3_a_server_may_take_any_ping)
{
	struct raw *raw = raw_client_keepalive(
		&(struct minirpc_keepalive){ .time = MINIRPC_NEVER, .min_interval = -1 });

	for (int i = 0; i < 50; i++)
		ping_after(raw, 0);
	ck_alive(raw);
	raw_free(raw);
}
END_TEST

START_TEST(K_3_answers_to_the_servers_own_pings_are_no_strikes)
{
	struct pair *pair = pair_new_keepalive(NULL, &(struct minirpc_keepalive){ .time = S(1) });

	open_call(pair);
	pass(pair, S(1000));
	ck_assert_uint_eq(pings(pair->server), 1000);
	mrpc_conn_drain(pair->server);
	pass(pair, S(10));
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_DRAINING);
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->closed_pings, 0);
	pair_free(pair);
}
END_TEST

/* ---- A client that is told ---- */

static int errors;
static char error_line[256];

static void note(enum minirpc_log_level level, const char *line, void *user)
{
	(void)user;
	if (level > MINIRPC_LOG_ERROR)
		return;
	errors++;
	strncpy(error_line, line, sizeof error_line - 1);
}

START_TEST(K_3_a_client_that_is_told_doubles_its_time_and_says_so)
{
	static const struct mrpc_log log = { .fn = note, .level = MINIRPC_LOG_ERROR };
	static const struct {
		minirpc_time time;
		uint32_t code;
		const char *text;
		minirpc_time then;
	} cases[] = {
		{ S(10), NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings", S(20) },
		{ S(30), NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings", S(60) },
		{ S(10), NGHTTP2_ENHANCE_YOUR_CALM, "too_many_ping", S(10) },
		{ S(10), NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings!", S(10) },
		{ S(10), NGHTTP2_NO_ERROR, "too_many_pings", S(10) },
		{ 0, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings", MINIRPC_NEVER },
		{ MINIRPC_NEVER / 2 + 1, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings",
		  MINIRPC_NEVER - 1 },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct raw *raw =
			raw_server_keepalive(&(struct minirpc_keepalive){ .time = cases[i].time });
		bool is_told = cases[i].code == NGHTTP2_ENHANCE_YOUR_CALM &&
			       strcmp(cases[i].text, "too_many_pings") == 0;

		errors = 0;
		raw->conn->place.log = &log;
		raw_goaway(raw, 0, cases[i].code, cases[i].text);
		raw_send(raw);
		ck_assert_int_eq(raw->pair->client_keepalive.time, cases[i].then);
		ck_assert_int_eq(errors, is_told);
		if (is_told)
			ck_assert_ptr_nonnull(strstr(error_line, "too_many_pings"));
		raw_free(raw);
	}
}
END_TEST

/* Several connections of a channel may be told at the same time. */
START_TEST(K_3_two_connections_that_are_told_double_once)
{
	struct raw *one = raw_server_keepalive(&(struct minirpc_keepalive){ .time = S(10) });
	struct raw *two = raw_server_keepalive(&(struct minirpc_keepalive){ .time = S(10) });

	two->conn->keepalive_owner = &one->pair->client_keepalive;
	raw_goaway(one, 0, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
	raw_send(one);
	raw_goaway(two, 0, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
	raw_send(two);
	ck_assert_int_eq(one->pair->client_keepalive.time, S(20));
	raw_free(two);
	raw_free(one);
}
END_TEST

/* Ours against ours: the client asks at its 10 s, the server allows 5 min. */
START_TEST(K_3_an_eager_client_is_told_and_knows)
{
	struct pair *pair = pair_new_keepalive(&(struct minirpc_keepalive){ .time = S(10) }, NULL);
	struct probe *probe = open_call(pair);

	pass(pair, S(40) - 1);
	ck_assert_int_eq(mrpc_conn_state(pair->server), MRPC_CONN_READY);
	pass(pair, 1); /* the fourth */
	ck_assert(finished(pair->server));
	mrpc_conn_machine(pair->client)->ops->broke(mrpc_conn_machine(pair->client), 0, "",
						    pair->now); /* as its driver will say */
	pair_settle(pair);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe->text, "the peer said GOAWAY: ENHANCE_YOUR_CALM too_many_pings");
	ck_assert_int_eq(pair->client_keepalive.time, S(20));
	ck_assert_uint_eq(mrpc_conn_counts(pair->server)->closed_pings, 1);
	pair_free(pair);
}
END_TEST

/* ---- GOAWAY with words ---- */

START_TEST(G_3_both_steps_of_a_drain_say_why)
{
	struct raw *raw = raw_client_keepalive(NULL);
	int at[3] = { 0 }, n = 0;

	raw->pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	mrpc_conn_drain_for(raw->conn, "max_age");
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, GOAWAY, 0), 1);
	ck_assert_uint_eq(raw_find(raw, GOAWAY, 0)->last, INT32_MAX);
	ck_assert_uint_eq(raw_find(raw, GOAWAY, 0)->code, NGHTTP2_NO_ERROR);
	raw_frame(raw, PING, ACK, 0, raw_find(raw, PING, 0)->bytes, 8);
	raw_send(raw);
	ck_assert_int_eq(raw_count(raw, GOAWAY, 0), 2);
	ck_assert_uint_eq(raw_find(raw, GOAWAY, 0)->last, 1);
	for (int i = 0; i < raw->seen_count; i++) {
		if (raw->seen[i].type == GOAWAY) {
			ck_assert_uint_eq(raw->seen[i].len, 8 + 7);
			ck_assert_mem_eq(raw->seen[i].bytes + 8, "max_age", 7);
		}
		if (raw->seen[i].type == GOAWAY || raw->seen[i].type == PING)
			at[n++] = raw->seen[i].type;
	}
	ck_assert_int_eq(n, 3); /* the answer to PING proves that the first was read [G-2] */
	ck_assert_int_eq(at[0], GOAWAY);
	ck_assert_int_eq(at[1], PING);
	ck_assert_int_eq(at[2], GOAWAY);
	raw_free(raw);
}
END_TEST

/* RFC 9113, 3.4 and 4.3: SETTINGS go first, and nothing comes between HEADERS and CONTINUATION. */
START_TEST(a_goaway_waits_for_settings)
{
	struct pair *pair = pair_server_keepalive(NULL);
	struct mrpc_conn *conn;
	struct mrpc_conn_options options = { .place = pair->place, .call = pair->call_config };
	struct mrpc_buf out = { 0 };
	struct mrpc_machine *machine;

	ck_assert_int_eq(mrpc_conn_new(&conn, MRPC_SERVER, &options, pair->now), 0);
	machine = mrpc_conn_machine(conn);
	mrpc_conn_drain(conn);
	ck_assert_int_eq(machine->ops->pending(machine, &out, 100000, pair->now), 0);
	ck_assert_int_eq(mrpc_buf_bytes(&out)[3], SETTINGS);
	ck_assert_int_eq(mrpc_buf_bytes(&out)[9 + mrpc_buf_bytes(&out)[2] + 3], GOAWAY);
	mrpc_buf_clear(&out);
	mrpc_conn_free(conn);
	pair_free(pair);
}
END_TEST

START_TEST(a_goaway_never_cuts_a_header_block)
{
	static char text[20000];
	struct raw *raw = raw_client(NULL);
	struct pair *pair = raw->pair;
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);
	struct mrpc_buf out = { 0 };
	const struct minirpc_status status = { .code = MINIRPC_INTERNAL, .message = text };
	bool in_block = false;
	int goaways = 0, continuations = 0;

	memset(text, '\1', sizeof text - 1); /* "%01" each: more than a frame */
	pair->hold = true;
	raw_request(raw, 1, 0, "/t/stream", NULL);
	raw_send(raw);
	raw->wire->stalled = true;
	mrpc_conn_machine(raw->conn)->flush = NULL; /* we ask ourselves */
	ck_assert_int_eq(minirpc_call_end(pair->served[0].call, &status), 0);
	pair->served[0].call = NULL;
	pair_turn(pair);
	for (int i = 0; i < 20; i++) { /* a byte at a time, as far as a limit can do that */
		mrpc_buf_empty(&out);
		ck_assert_int_eq(machine->ops->pending(machine, &out, 1, pair->now), 0);
		machine->ops->sent(machine, mrpc_buf_len(&out), pair->now);
		for (const uint8_t *at = mrpc_buf_bytes(&out), *end = at + mrpc_buf_len(&out);
		     at < end; at += 9 + ((size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2])) {
			ck_assert(!in_block || at[3] == CONTINUATION);
			if (at[3] == HEADERS || at[3] == CONTINUATION)
				in_block = (at[4] & END_HEADERS) == 0;
			goaways += at[3] == GOAWAY;
			continuations += at[3] == CONTINUATION;
		}
		if (i == 0)
			mrpc_conn_drain(raw->conn);
	}
	ck_assert_int_eq(goaways, 1);
	ck_assert_int_ge(continuations, 1);
	mrpc_buf_clear(&out);
	mrpc_conn_machine(raw->conn)->flush = &raw->wire->flush;
	raw_free(raw);
}
END_TEST

START_TEST(G_2_a_drain_does_not_mind_a_keepalive_under_way)
{
	struct pair *pair = pair_new_keepalive(NULL, &(struct minirpc_keepalive){ .time = S(60) });
	struct probe *probe = open_call(pair);

	pair->to_client.stalled = true;
	pass(pair, S(60));
	ck_assert(pair->server->pings[MRPC_PING_KEEPALIVE].out);
	mrpc_conn_drain(pair->server);
	ck_assert(pair->server->pings[MRPC_PING_DRAIN].out);
	pair->to_client.stalled = false;
	pair_settle(pair);
	ck_assert(!pair->server->pings[MRPC_PING_KEEPALIVE].out);
	ck_assert(!pair->server->pings[MRPC_PING_DRAIN].out);
	ck_assert_int_eq(pair->client->goaway_last, 1);
	ck_assert_int_eq(probe->ends, 0);
	pair_free(pair);
}
END_TEST

START_TEST(K_2_a_drain_that_began_before_the_handshake_still_asks)
{
	struct raw *raw = raw_client_silent(NULL);

	raw->pair->hold = true;
	raw->conn->keepalive.time = 2 * HOUR;
	mrpc_conn_drain(raw->conn);
	raw_preface(raw);
	raw_frame(raw, SETTINGS, 0, 0, NULL, 0);
	raw_request(raw, 1, END_HEADERS, "/t/m", NULL);
	raw_send(raw);
	ck_assert_int_eq(raw->pair->accepted, 1);
	pass(raw->pair, S(5));
	raw_read(raw);
	pass(raw->pair, 2 * HOUR - S(5) - 1);
	ck_assert_uint_eq(pings(raw->conn), 1); /* the drain's own */
	pass(raw->pair, 1);
	ck_assert_uint_eq(pings(raw->conn), 2);
	raw_free(raw);
}
END_TEST

START_TEST(G_2_after_a_long_silence_the_peer_still_gets_its_5_s)
{
	struct pair *pair =
		pair_new_keepalive(NULL, &(struct minirpc_keepalive){ .time = MINIRPC_NEVER });

	open_call(pair);
	pair->now += HOUR; /* the conn has not looked at the clock */
	pair->to_server.stalled = true;
	mrpc_conn_drain(pair->server);
	pass(pair, S(5) - 1);
	ck_assert_int_eq(pair->client->goaway_last, INT32_MAX);
	pass(pair, 1);
	ck_assert_int_eq(pair->client->goaway_last, 1);
	pair_free(pair);
}
END_TEST

/* ---- Without memory ---- */

/* One failure after the other, once or for good: nothing leaks, nothing breaks, and a connection
 * that was to end has ended. */
START_TEST(any_allocation_may_fail)
{
	size_t refused, n = 0;

	do {
		struct raw *raw =
			raw_client_keepalive(&(struct minirpc_keepalive){ .time = S(60) });

		raw->pair->hold = true;
		raw_request(raw, 1, 0, "/t/stream", NULL);
		alloc_fail_at(++n, _i == 1);
		raw_send(raw);
		pass(raw->pair, S(60)); /* PING */
		raw_send(raw);
		for (int i = 0; i < 4; i++)
			ping_after(raw, 1);
		mrpc_conn_drain_for(raw->conn, "max_age");
		raw_send(raw);
		refused = alloc_refused();
		alloc_fail_at(0, false);
		ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
		ck_assert(refused > 0 || raw->pair->served[0].ends == 1);
		raw_free(raw);
	} while (refused > 0);
	ck_assert_uint_gt(n, 3);
}
END_TEST

/* The record of a stream cannot be had, nghttp2's own could: the client hears of the want of memory,
 * not of an error [S-4]. */
START_TEST(a_call_without_memory_for_its_record_is_resource_exhausted)
{
	bool seen = false;
	size_t refused, n = 0;

	do {
		struct raw *raw = raw_client(NULL);
		const struct seen *reset;

		raw_request(raw, 1, END_STREAM, "/t/unary", NULL);
		alloc_fail_at(++n, false);
		raw_send(raw);
		refused = alloc_refused();
		alloc_fail_at(0, false);
		reset = raw_find(raw, RST_STREAM, 1);
		if (reset != NULL && raw->pair->accepted == 0) {
			ck_assert_uint_eq(reset->code, NGHTTP2_ENHANCE_YOUR_CALM);
			ck_assert_int_eq(mrpc_status_from_reset(reset->code),
					 MINIRPC_RESOURCE_EXHAUSTED);
			raw_request(raw, 3, END_STREAM, "/t/unary", NULL); /* the next is served */
			raw_send(raw);
			ck_assert_int_eq(raw->pair->accepted, 1);
			ck_assert_uint_eq(raw->conn->open, 0);
			seen = true;
		}
		raw_free(raw);
	} while (refused > 0);
	ck_assert(seen);
}
END_TEST

/* ---- A server that only clears its throat ---- */

START_TEST(a_thousand_informational_blocks_are_read_and_one_more_is_too_many)
{
	struct raw *raw = raw_server(NULL);
	struct probe *probe = pair_unary(raw->pair, "x");

	raw_send(raw);
	for (int i = 0; i < 1000; i++)
		raw_headers(raw, 1, 0, RAW(":status", "103"));
	raw_send(raw);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_READY);
	ck_assert_int_eq(probe->ends, 0);
	for (int i = 0; i < 10; i++) /* what the handshake and our request were worth, at most */
		raw_headers(raw, 1, 0, RAW(":status", "103"));
	raw_send(raw);
	ck_assert_int_eq(mrpc_conn_state(raw->conn), MRPC_CONN_CLOSED);
	ck_assert_int_eq(probe->ends, 1);
	ck_assert_int_eq(probe->code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(mrpc_conn_counts(raw->conn)->closed_floods, 1);
	raw_free(raw);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/keepalive");
	TCase *t = tcase_create("client");

	tcase_add_test(t, K_1_the_defaults_and_least_values_of_a_client);
	tcase_add_test(t, K_1_a_client_asks_when_no_byte_has_come_for_so_long);
	tcase_add_test(t, K_1_every_byte_that_is_read_puts_it_off);
	tcase_add_test(t, K_1_a_client_is_not_asked_to_by_default);
	tcase_add_test(t, K_1_without_calls_a_client_asks_only_when_told_to);
	tcase_add_test(t, K_1_a_call_after_a_long_silence_pings_at_once);
	tcase_add_test(t, K_1_bytes_that_came_while_asleep_count);
	tcase_add_test(t, K_1_without_an_answer_the_connection_is_given_up);
	tcase_add_test(t, K_1_the_timeout_is_the_users);
	tcase_add_test(t, K_1_any_byte_is_an_answer);
	suite_add_tcase(s, t);

	t = tcase_create("server");
	tcase_add_test(t, K_2_the_defaults_and_least_values_of_a_server);
	tcase_add_loop_test(t, K_2_a_server_asks_after_two_hours_with_or_without_calls, 0, 2);
	tcase_add_test(t, K_2_without_an_answer_its_calls_are_cancelled);
	tcase_add_test(t, K_2_a_server_may_be_told_not_to_ask);
	suite_add_tcase(s, t);

	t = tcase_create("enforcement");
	tcase_add_test(t, K_3_the_third_strike_ends_the_connection_at_once);
	tcase_add_test(t, K_3_with_a_call_every_five_minutes_is_allowed);
	tcase_add_test(t, K_3_a_strike_does_not_put_the_next_valid_ping_off);
	tcase_add_test(t, K_3_without_calls_every_two_hours_unless_permitted);
	tcase_add_test(t, K_3_headers_or_data_sent_clear_the_strikes);
	tcase_add_test(t, K_3_headers_alone_clear_the_strikes);
	tcase_add_test(t, K_3_a_server_may_take_any_ping);
	tcase_add_test(t, K_3_answers_to_the_servers_own_pings_are_no_strikes);
	tcase_add_test(t, K_3_a_client_that_is_told_doubles_its_time_and_says_so);
	tcase_add_test(t, K_3_two_connections_that_are_told_double_once);
	tcase_add_test(t, K_3_an_eager_client_is_told_and_knows);
	suite_add_tcase(s, t);

	t = tcase_create("goaway");
	tcase_add_test(t, G_3_both_steps_of_a_drain_say_why);
	tcase_add_test(t, a_goaway_waits_for_settings);
	tcase_add_test(t, a_goaway_never_cuts_a_header_block);
	tcase_add_test(t, G_2_a_drain_does_not_mind_a_keepalive_under_way);
	tcase_add_test(t, K_2_a_drain_that_began_before_the_handshake_still_asks);
	tcase_add_test(t, G_2_after_a_long_silence_the_peer_still_gets_its_5_s);
	suite_add_tcase(s, t);

	t = tcase_create("memory");
	tcase_add_loop_test(t, any_allocation_may_fail, 0, 2);
	tcase_add_test(t, a_call_without_memory_for_its_record_is_resource_exhausted);
	tcase_add_test(t, a_thousand_informational_blocks_are_read_and_one_more_is_too_many);
	suite_add_tcase(s, t);
	return s;
}

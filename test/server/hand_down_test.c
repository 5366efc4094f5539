/* SPDX-License-Identifier: MIT */
/* Three hops: a client calls a, whose handler calls b, whose handler calls c, whose handler hangs.
 * Bytes take 10 ms from one end of a hop to the other, and each handler thinks for 5 ms before it
 * calls on. What the first client said about time, metadata and giving up has to reach the last
 * handler [D-5]. */
#include "run_suite.h"

#include <minirpc/conn.h>

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOPS 3
#define DELAY MINIRPC_MS(10)
#define THINK MINIRPC_MS(5)
#define STEP MINIRPC_MS(1)

struct piece {
	struct piece *next;
	minirpc_time due;
	size_t len;
	char bytes[];
};

struct end {
	struct end *other;
	minirpc_conn *conn;
	struct piece *first, **last; /* what was written here and has not arrived there */
};

struct hop {
	minirpc_server *server;
	minirpc_channel *channel; /* to this server */
	struct end client, served;

	/* of its handler */
	unsigned calls, ends;
	enum minirpc_code code;
	minirpc_call *call;
	minirpc_time time_left;
	minirpc_time calls_on; /* MINIRPC_NEVER: does not */
	minirpc_time ended_at;
	char metadata[512]; /* key=value; of all that came in */
	enum minirpc_code child_code;
};

static minirpc_loop *loop;
static minirpc_time now;
static struct hop hops[HOPS];
static struct minirpc_call_options child_options; /* of every child */

static const struct minirpc_method hang = { .path = "/t.T/hang" };

/* ---- Pipes ---- */

static void on_pending(minirpc_conn *conn, void *user)
{
	struct end *end = user;
	const void *data;
	size_t len;

	while ((len = minirpc_conn_pending(conn, &data)) > 0) {
		struct piece *piece = malloc(sizeof *piece + len);

		ck_assert_ptr_nonnull(piece);
		*piece = (struct piece){ .due = now + DELAY, .len = len };
		memcpy(piece->bytes, data, len);
		*end->last = piece;
		end->last = &piece->next;
		minirpc_conn_sent(conn, len);
	}
}

static void on_finished(minirpc_conn *conn, void *user)
{
	struct end *end = user;

	end->conn = NULL;
	minirpc_conn_close(conn);
}

static void arrive(struct end *end)
{
	while (end->first != NULL && end->first->due <= now) {
		struct piece *piece = end->first;

		end->first = piece->next;
		if (end->first == NULL)
			end->last = &end->first;
		if (end->other->conn != NULL)
			minirpc_conn_receive(end->other->conn, piece->bytes, piece->len);
		free(piece);
	}
}

static void drop_pieces(struct end *end)
{
	while (end->first != NULL) {
		struct piece *next = end->first->next;

		free(end->first);
		end->first = next;
	}
}

/* ---- Handlers ---- */

static void note(struct hop *hop, const struct minirpc_metadata *metadata)
{
	size_t len = 0;

	for (size_t i = 0; i < minirpc_metadata_count(metadata); i++) {
		const struct minirpc_field *field = minirpc_metadata_at(metadata, i);

		len += (size_t)snprintf(hop->metadata + len, sizeof hop->metadata - len, "%s=%.*s;",
					field->key, (int)field->len, (const char *)field->value);
	}
}

static void on_call(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct hop *hop = user;

	hop->calls++;
	hop->call = call;
	hop->time_left = minirpc_call_time_left(call);
	hop->calls_on = hop == &hops[HOPS - 1] ? MINIRPC_NEVER : now + THINK;
	note(hop, metadata);
}

static void on_left(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct hop *hop = user;

	hop->ends++;
	hop->code = status->code;
	hop->ended_at = now;
	hop->call = NULL;
	hop->calls_on = MINIRPC_NEVER;
	minirpc_call_end(call, status);
}

static const struct minirpc_call_events handler = { .on_headers = on_call, .on_end = on_left };

static void on_child_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct hop *hop = user;

	(void)call;
	hop->child_code = status->code;
}

static const struct minirpc_call_events child_events = { .on_end = on_child_end };

static int try_call_on(struct hop *hop)
{
	struct minirpc_call_options options = child_options;
	minirpc_call *child;
	int r;

	options.parent = hop->call;
	hop->calls_on = MINIRPC_NEVER;
	r = minirpc_call_open(&child, hop[1].channel, &hang, &options, &child_events, hop);
	if (r == 0)
		ck_assert_int_eq(minirpc_call_send(child, "on", 2), 0);
	return r;
}

/* ---- The world ---- */

static void run(minirpc_time span)
{
	for (minirpc_time end = now + span; now < end;) {
		now += STEP;
		minirpc_loop_advance(loop, now);
		for (int i = 0; i < HOPS; i++) {
			arrive(&hops[i].client);
			arrive(&hops[i].served);
		}
		minirpc_loop_turn(loop);
		for (int i = 0; i < HOPS; i++)
			if (hops[i].calls_on <= now)
				ck_assert_int_eq(try_call_on(&hops[i]), 0);
		minirpc_loop_turn(loop);
	}
}

static void connect_hop(struct hop *hop)
{
	struct minirpc_attach_options options = {
		.peer = "pipe:", .on_pending = on_pending, .on_finished = on_finished
	};

	hop->client = (struct end){ .other = &hop->served, .last = &hop->client.first };
	hop->served = (struct end){ .other = &hop->client, .last = &hop->served.first };
	options.user = &hop->served;
	ck_assert_int_eq(minirpc_server_attach(hop->server, &options, &hop->served.conn), 0);
	options.user = &hop->client;
	ck_assert_int_eq(minirpc_channel_attach(hop->channel, &options, &hop->client.conn), 0);
}

static void open_hops(const struct minirpc_server_options *options)
{
	now = 0;
	memset(hops, 0, sizeof hops);
	child_options = (struct minirpc_call_options){ 0 };
	ck_assert_int_eq(minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .manual = true }),
			 0);
	for (int i = 0; i < HOPS; i++) {
		hops[i].calls_on = MINIRPC_NEVER;
		ck_assert_int_eq(minirpc_server_new(&hops[i].server, loop, options), 0);
		ck_assert_int_eq(
			minirpc_server_add(hops[i].server, &hang, &handler, &hops[i], NULL), 0);
		ck_assert_int_eq(minirpc_channel_new(&hops[i].channel, loop, "attached:hop", NULL),
				 0);
		connect_hop(&hops[i]);
	}
	run(2 * DELAY);
}

static void close_hops(void)
{
	for (int i = 0; i < HOPS; i++) {
		minirpc_channel_free(hops[i].channel);
		minirpc_server_free(hops[i].server);
		drop_pieces(&hops[i].client);
		drop_pieces(&hops[i].served);
	}
	minirpc_loop_free(loop);
}

/* The first client. */
struct top {
	minirpc_call *call;
	unsigned ends;
	enum minirpc_code code;
};

static void on_top_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct top *top = user;

	(void)call;
	top->ends++;
	top->code = status->code;
}

static const struct minirpc_call_events top_events = { .on_end = on_top_end };

static void start(struct top *top, const struct minirpc_call_options *options)
{
	ck_assert_int_eq(
		minirpc_call_open(&top->call, hops[0].channel, &hang, options, &top_events, top),
		0);
	ck_assert_int_eq(minirpc_call_send(top->call, "go", 2), 0);
	minirpc_loop_turn(loop);
	run(HOPS * (DELAY + THINK));
	for (int i = 0; i < HOPS; i++)
		ck_assert_uint_eq(hops[i].calls, 1);
}

/* ---- Time and cancellation ---- */

START_TEST(D_5_the_deadline_shrinks_at_each_hop)
{
	struct top top = { 0 };

	open_hops(NULL);
	start(&top, &(struct minirpc_call_options){ .timeout = MINIRPC_MS(100) });
	ck_assert_int_eq(hops[0].time_left, MINIRPC_MS(100));
	ck_assert_int_eq(hops[1].time_left, MINIRPC_MS(100) - THINK);
	ck_assert_int_eq(hops[2].time_left, MINIRPC_MS(100) - 2 * THINK);
	run(MINIRPC_MS(100));
	ck_assert_uint_eq(top.ends, 1);
	ck_assert_int_eq(top.code, MINIRPC_DEADLINE_EXCEEDED);
	for (int i = 0; i < HOPS; i++)
		ck_assert_uint_eq(hops[i].ends, 1);
	close_hops();
}
END_TEST

START_TEST(D_5_a_childs_own_shorter_timeout_stands)
{
	struct top top = { 0 };

	open_hops(NULL);
	child_options.timeout = MINIRPC_MS(50);
	start(&top, &(struct minirpc_call_options){ .timeout = MINIRPC_S(1) });
	ck_assert_int_eq(hops[0].time_left, MINIRPC_S(1));
	ck_assert_int_eq(hops[1].time_left, MINIRPC_MS(50));
	ck_assert_int_eq(hops[2].time_left, MINIRPC_MS(45));
	close_hops();
}
END_TEST

START_TEST(D_5_a_cancel_at_the_top_ends_the_bottom_within_a_trip_for_each_hop)
{
	struct top top = { 0 };
	minirpc_time at;

	open_hops(NULL);
	start(&top, NULL);
	at = now;
	minirpc_call_cancel(top.call);
	run(HOPS * 2 * DELAY);
	for (int i = 0; i < HOPS; i++) {
		ck_assert_uint_eq(hops[i].ends, 1);
		ck_assert_int_eq(hops[i].code, MINIRPC_CANCELLED);
		ck_assert_int_le(hops[i].ended_at, at + (i + 1) * DELAY + STEP);
		ck_assert_uint_eq(minirpc_server_open_calls(hops[i].server), 0);
	}
	ck_assert_int_eq(hops[0].child_code, MINIRPC_CANCELLED);
	ck_assert_int_eq(hops[1].child_code, MINIRPC_CANCELLED);
	ck_assert_uint_eq(top.ends, 0);
	close_hops();
}
END_TEST

/* ---- Metadata ---- */

START_TEST(D_5_dry_run_and_tracing_reach_the_bottom_and_nothing_else_does)
{
	const struct minirpc_field metadata[] = {
		{ "dry-run", "true" },   { "private", "mine" },   { "traceparent", "00-1-2-01" },
		{ "tracestate", "a=1" }, { "tracestate", "b=2" }, { 0 }
	};
	struct top top = { 0 };

	open_hops(NULL);
	start(&top, &(struct minirpc_call_options){ .metadata = metadata });
	ck_assert_ptr_nonnull(strstr(hops[0].metadata, "private=mine;"));
	for (int i = 1; i < HOPS; i++) {
		ck_assert_ptr_null(strstr(hops[i].metadata, "private"));
		ck_assert_ptr_nonnull(strstr(hops[i].metadata, "dry-run=true;"));
		ck_assert_ptr_nonnull(strstr(hops[i].metadata, "traceparent=00-1-2-01;"));
		ck_assert_ptr_nonnull(strstr(hops[i].metadata, "tracestate=a=1;tracestate=b=2;"));
	}
	close_hops();
}
END_TEST

START_TEST(D_5_the_server_chooses_what_it_hands_down)
{
	char key[] = "tenant", binary[] = "ids-bin";
	const char *keys[] = { key, binary, NULL };
	const struct minirpc_field metadata[] = { { "dry-run", "true" },
						  { "tenant", "blue" },
						  { "ids-bin", "\xff\x01", 2 },
						  { "ids-bin", "\x02", 1 },
						  { 0 } };
	struct top top = { 0 };

	open_hops(&(struct minirpc_server_options){ .hand_down = keys });
	key[0] = binary[0] = 'x'; /* it was copied */
	start(&top, &(struct minirpc_call_options){ .metadata = metadata });
	ck_assert_ptr_null(strstr(hops[2].metadata, "dry-run"));
	ck_assert_ptr_nonnull(strstr(hops[2].metadata, "tenant=blue;"));
	ck_assert_ptr_nonnull(strstr(hops[2].metadata, "ids-bin=\xff\x01;ids-bin=\x02;"));
	close_hops();
}
END_TEST

START_TEST(D_5_what_the_child_says_itself_stands)
{
	const struct minirpc_field metadata[] = { { "dry-run", "true" }, { 0 } };
	const struct minirpc_field own[] = { { "dry-run", "false" }, { 0 } };
	struct top top = { 0 };

	open_hops(NULL);
	child_options.metadata = own;
	start(&top, &(struct minirpc_call_options){ .metadata = metadata });
	ck_assert_ptr_nonnull(strstr(hops[0].metadata, "dry-run=true;"));
	ck_assert_ptr_nonnull(strstr(hops[1].metadata, "dry-run=false;"));
	ck_assert_ptr_null(strstr(hops[1].metadata, "dry-run=true;"));
	close_hops();
}
END_TEST

START_TEST(D_5_nothing_is_handed_down_when_the_list_is_empty)
{
	const char *keys[] = { NULL };
	const struct minirpc_field metadata[] = { { "dry-run", "true" }, { 0 } };
	struct top top = { 0 };

	open_hops(&(struct minirpc_server_options){ .hand_down = keys });
	start(&top, &(struct minirpc_call_options){ .metadata = metadata });
	ck_assert_ptr_null(strstr(hops[1].metadata, "dry-run"));
	close_hops();
}
END_TEST

/* A dry run that is no dry run any more, for want of room, would be worse than a failure. */
START_TEST(D_5_what_does_not_fit_fails_the_child)
{
	static char large[16 << 10];
	const struct minirpc_field metadata[] = { { "dry-run", "true" }, { 0 } };
	struct minirpc_field own[] = { { "large", large, 0 }, { 0 } };
	struct top top = { 0 };

	memset(large, 'x', sizeof large);
	open_hops(NULL);
	start(&top, &(struct minirpc_call_options){ .metadata = metadata });
	own[0].len = (16 << 10) - (5 + 32) - (7 + 4 + 32);
	child_options.metadata = own;
	ck_assert_int_eq(try_call_on(&hops[0]), 0);
	own[0].len++;
	ck_assert_int_eq(try_call_on(&hops[0]), -E2BIG);
	close_hops();
}
END_TEST

START_TEST(D_5_a_list_of_what_is_no_key_is_refused)
{
	static const char *const bad[] = { "Upper", "", "grpc-timeout", ":path", "te" };
	minirpc_server *server;

	ck_assert_int_eq(minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .manual = true }),
			 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *keys[] = { "good", bad[i], NULL };

		ck_assert_int_eq(
			minirpc_server_new(&server, loop,
					   &(struct minirpc_server_options){ .hand_down = keys }),
			-EINVAL);
	}
	minirpc_loop_free(loop);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("server/hand_down");
	TCase *t = tcase_create("three hops");

	tcase_add_test(t, D_5_the_deadline_shrinks_at_each_hop);
	tcase_add_test(t, D_5_a_childs_own_shorter_timeout_stands);
	tcase_add_test(t, D_5_a_cancel_at_the_top_ends_the_bottom_within_a_trip_for_each_hop);
	tcase_add_test(t, D_5_dry_run_and_tracing_reach_the_bottom_and_nothing_else_does);
	tcase_add_test(t, D_5_the_server_chooses_what_it_hands_down);
	tcase_add_test(t, D_5_what_the_child_says_itself_stands);
	tcase_add_test(t, D_5_nothing_is_handed_down_when_the_list_is_empty);
	tcase_add_test(t, D_5_what_does_not_fit_fails_the_child);
	tcase_add_test(t, D_5_a_list_of_what_is_no_key_is_refused);
	suite_add_tcase(s, t);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* The same facts over every transport, on every kind of loop (ground.c has the table of both). */
#include "run_suite.h"
#include "transport/ground.h"

#include "io/hand_loop.h"
#include "world/alloc_fail.h"
#include "world/pki.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_3_MIB (3u << 20)

static void finish(struct ground *g, const struct probe *probe)
{
	ck_assert_int_eq(probe->ends, 1);
	ck_assert(!probe->bad_order);
	ground_free(g);
}

static void echo(struct ground *g, const char *text)
{
	struct probe probe = { 0 };

	world_request(world_call_with(g->w, &world_echo,
				      &(struct minirpc_call_options){ .wait_for_ready = true },
				      &probe),
		      text);
	ground_until(g, probe.ends == 1);
	ck_assert_msg(probe.code == MINIRPC_OK, "%s: %s", minirpc_code_name(probe.code),
		      probe.text);
	ck_assert_str_eq(probe.last, text);
}

/* A call of world_hold that has reached its handler. */
static minirpc_call *hold(struct ground *g, minirpc_time timeout, struct probe *probe,
			  minirpc_call **ret_served)
{
	unsigned before = g->w->served_count;
	minirpc_call *call = world_call(g->w, &world_hold, timeout, probe);

	ground_until(g, g->w->served_count > before || probe->ends == 1);
	ck_assert_msg(probe->ends == 0, "%s", probe->text);
	*ret_served = world_served(g->w)->call;
	return call;
}

static void end_served(struct ground *g)
{
	minirpc_call *call = world_served(g->w)->call;

	world_served(g->w)->call = NULL;
	minirpc_call_end(call, NULL);
}

/* ---- Calls ---- */

START_TEST(a_unary_call_is_answered)
{
	struct ground *g = ground_new(_i, NULL);

	echo(g, "hello");
	echo(g, "");
	echo(g, "again");
	ck_assert_uint_eq(minirpc_server_open_connections(g->w->server), 1);
	ground_free(g);
}
END_TEST

START_TEST(an_error_brings_its_text_and_trailers)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };

	world_request(world_call(g->w, &world_fail, 0, &probe), "100 % of \xC3\xBC\n");
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_NOT_FOUND);
	ck_assert_str_eq(probe.text, "100 % of \xC3\xBC\n");
	ck_assert_str_eq(probe.trailer, "why");
	finish(g, &probe);
}
END_TEST

static void check_metadata(const struct minirpc_metadata *metadata)
{
	const struct minirpc_field *field;

	field = minirpc_metadata_find(metadata, "k", NULL);
	ck_assert_str_eq(field->value, "one");
	field = minirpc_metadata_find(metadata, "k", field);
	ck_assert_str_eq(field->value, "two, three");
	ck_assert_ptr_null(minirpc_metadata_find(metadata, "k", field));
	field = minirpc_metadata_find(metadata, "b-bin", NULL);
	ck_assert_uint_eq(field->len, 4);
	ck_assert_mem_eq(field->value, "\0\xFF,\n", 4);
	field = minirpc_metadata_find(metadata, "b-bin", field);
	ck_assert_uint_eq(field->len, 1);
}

START_TEST(metadata_travels_both_ways)
{
	static const struct minirpc_field fields[] = { { "k", "one", 0 },
						       { "b-bin", "\0\xFF,\n", 4 },
						       { "k", "two, three", 0 },
						       { "b-bin", "x", 1 },
						       { 0 } };
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };

	world_call_with(g->w, &world_hold, &(struct minirpc_call_options){ .metadata = fields },
			&probe);
	ground_until(g, g->w->served_count == 1);
	check_metadata(minirpc_call_headers(world_served(g->w)->call));
	ck_assert_int_eq(minirpc_call_send_headers(world_served(g->w)->call, fields), 0);
	ground_until(g, probe.headers == 1);
	check_metadata(minirpc_call_headers(probe.call));
	end_served(g);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	finish(g, &probe);
}
END_TEST

START_TEST(a_server_stream_of_a_thousand_messages_arrives)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };

	world_request(world_call(g->w, &world_count, 0, &probe), "1000 333");
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(probe.messages, 1000);
	ck_assert_uint_eq(probe.bytes, 333000);
	finish(g, &probe);
}
END_TEST

START_TEST(three_mebibytes_go_there_and_back)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(g->w, &world_echo, 0, &probe);
	char *large = malloc(MESSAGE_3_MIB);

	memset(large, 'x', MESSAGE_3_MIB);
	ck_assert_int_eq(minirpc_call_send(call, large, MESSAGE_3_MIB), 0);
	minirpc_call_end(call, NULL);
	free(large);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(probe.bytes, MESSAGE_3_MIB);
	finish(g, &probe);
}
END_TEST

START_TEST(a_message_over_the_limit_costs_its_call_and_no_other)
{
	struct ground *g = ground_new(
		_i, &(struct world_options){ .server = { .max_receive_message = 100000 } });
	struct probe probe = { 0 }, held = { 0 };
	minirpc_call *call, *served;
	char *large = calloc(1, 100001);

	hold(g, 0, &held, &served);
	call = world_call(g->w, &world_echo, 0, &probe);
	ck_assert_int_eq(minirpc_call_send(call, large, 100001), 0);
	minirpc_call_end(call, NULL);
	free(large);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_int_eq(held.ends, 0);
	minirpc_call_end(served, NULL);
	ground_until(g, held.ends == 1);
	ck_assert_int_eq(held.code, MINIRPC_OK);
	g->w->served[0].call = NULL;
	finish(g, &held);
}
END_TEST

START_TEST(a_client_stream_is_summed_up)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(g->w, &world_sum, 0, &probe);
	char bytes[1000] = { 0 };

	for (int i = 0; i < 1000; i++) {
		int rooms = probe.rooms, r;

		while ((r = minirpc_call_send(call, bytes, (size_t)i)) == -EAGAIN) {
			ground_until(g, probe.rooms > rooms);
			rooms = probe.rooms;
		}
		ck_assert_int_eq(r, 0);
	}
	minirpc_call_end(call, NULL);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "499500");
	finish(g, &probe);
}
END_TEST

START_TEST(a_chat_goes_back_and_forth)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(g->w, &world_chat, 0, &probe);
	char text[16];

	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "line %d", i);
		ck_assert_int_eq(minirpc_call_send(call, text, strlen(text)), 0);
		ground_until(g, probe.messages == i + 1);
		ck_assert_str_eq(probe.last, text);
	}
	minirpc_call_end(call, NULL);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	finish(g, &probe);
}
END_TEST

START_TEST(more_calls_than_streams_all_end_well)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probes[250] = { 0 };

	for (int i = 0; i < 250; i++)
		world_request(world_call(g->w, &world_echo, 0, &probes[i]), "one of many");
	for (int i = 0; i < 250; i++) {
		ground_until(g, probes[i].ends == 1);
		ck_assert_msg(probes[i].code == MINIRPC_OK, "%d: %s", i, probes[i].text);
	}
	ck_assert_uint_eq(minirpc_server_open_connections(g->w->server), 1);
	ground_free(g);
}
END_TEST

/* ---- Back-pressure ---- */

START_TEST(a_reader_that_pauses_costs_bounded_memory_and_holds_up_nobody)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(g->w, &world_count, 0, &probe);

	minirpc_call_pause(call);
	world_request(call, "400 50000"); /* 20 MB */
	for (int i = 0; i < 50; i++)
		echo(g, "passing");
	ck_assert_int_eq(probe.messages, 0);
	/* the client's window, our queue, and what is on its way through the kernel */
	ck_assert_uint_lt(alloc_live_bytes(), 3u << 20);
	minirpc_call_resume(call);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(probe.bytes, 20000000);
	ck_assert_uint_lt(alloc_peak_bytes(), 6u << 20);
	finish(g, &probe);
}
END_TEST

START_TEST(a_large_message_passes_behind_one_that_was_not_read)
{
	static char large[1500000];
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(g->w, &world_chat, 0, &probe);

	minirpc_call_pause(call);
	ck_assert_int_eq(minirpc_call_send(call, "small", 5), 0);
	ck_assert_int_eq(minirpc_call_send(call, large, sizeof large), 0);
	minirpc_call_end(call, NULL);
	for (int i = 0; i < 100; i++)
		echo(g, "passing");
	minirpc_call_resume(call);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(probe.messages, 2);
	finish(g, &probe);
}
END_TEST

/* To the byte: an END_STREAM of nghttp2's waits for room, too, and a unary request for its end. */
START_TEST(a_request_that_fills_the_window_can_be_ended_later)
{
	static const char request[8192 - 5];
	struct ground *g = ground_new(
		_i, &(struct world_options){ .server = { .limits = { .stream_window = 8192 } } });
	struct probe probe = { 0 };
	minirpc_call *call;

	echo(g, "connected");
	call = world_call(g->w, &world_echo, 0, &probe);
	ck_assert_int_eq(minirpc_call_send(call, request, sizeof request), 0);
	echo(g, "behind it");
	minirpc_call_end(call, NULL);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(probe.bytes, sizeof request);
	finish(g, &probe);
}
END_TEST

/* ---- Ends ---- */

START_TEST(a_deadline_ends_both_ends)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	const struct served *served;

	echo(g, "connected");
	world_call(g->w, &world_hold, MINIRPC_MS(40), &probe);
	ground_until(g, g->w->served_count == 2);
	served = world_served(g->w);
	ground_until(g, probe.ends == 1 && served->ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert(served->left == MINIRPC_DEADLINE_EXCEEDED || served->left == MINIRPC_CANCELLED);
	echo(g, "still here");
	finish(g, &probe);
}
END_TEST

START_TEST(a_cancelled_call_reaches_the_handler)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	const struct served *served;
	minirpc_call *ignored;

	minirpc_call_cancel(hold(g, 0, &probe, &ignored));
	served = world_served(g->w);
	ground_until(g, served->ends == 1);
	ck_assert_int_eq(served->left, MINIRPC_CANCELLED);
	ck_assert_int_eq(probe.ends, 0);
	echo(g, "still here");
	ground_free(g);
}
END_TEST

START_TEST(a_handler_that_cancels_is_seen)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *served;

	hold(g, 0, &probe, &served);
	world_served(g->w)->call = NULL;
	minirpc_call_cancel(served);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_CANCELLED);
	finish(g, &probe);
}
END_TEST

START_TEST(a_server_that_is_gone_ends_its_calls)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *ignored;

	hold(g, 0, &probe, &ignored);
	ground_kill_server(g);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_ne(probe.text, "");
	finish(g, &probe);
}
END_TEST

START_TEST(a_server_that_stops_tells_its_calls_and_handlers)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *ignored;
	const struct served *served;

	hold(g, 0, &probe, &ignored);
	served = world_served(g->w);
	minirpc_server_stop(g->w->server);
	ground_until(g, probe.ends == 1 && served->ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(served->left, MINIRPC_UNAVAILABLE);
	finish(g, &probe);
}
END_TEST

START_TEST(a_client_that_is_gone_is_told_to_the_handler)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *ignored;
	const struct served *served;

	hold(g, 0, &probe, &ignored);
	served = world_served(g->w);
	ground_new_channel(g);
	ground_until(g, served->ends == 1);
	ck_assert_int_eq(served->left, MINIRPC_CANCELLED);
	ck_assert_int_eq(probe.ends, 0);
	ground_connect(g);
	echo(g, "another one");
	ground_free(g);
}
END_TEST

static void on_drained(minirpc_server *server, void *user)
{
	struct ground *g = user;

	(void)server;
	g->w->is_drained = g->w->stirred = true;
}

START_TEST(a_drain_lets_a_call_in_flight_finish)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 }, late = { 0 };
	minirpc_call *call = world_call(g->w, &world_chat, 0, &probe);

	ck_assert_int_eq(minirpc_call_send(call, "before", 6), 0);
	ground_until(g, probe.messages == 1);
	ck_assert_int_eq(minirpc_server_drain(g->w->server, MINIRPC_S(60), on_drained, g), 0);
	for (int i = 2; i < 20; i++) { /* so many round trips */
		ck_assert_int_eq(minirpc_call_send(call, "during", 6), 0);
		ground_until(g, probe.messages == i);
	}
	ck_assert(!g->w->is_drained);
	ck_assert_int_ne(minirpc_channel_state(g->w->channel), MINIRPC_READY);
	world_request(world_call(g->w, &world_echo, MINIRPC_MS(30), &late), "late");
	ground_until(g, late.ends == 1);
	ck_assert(late.code == MINIRPC_UNAVAILABLE || late.code == MINIRPC_DEADLINE_EXCEEDED);
	minirpc_call_end(call, NULL);
	ground_until(g, probe.ends == 1 && g->w->is_drained);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_int_eq(probe.messages, 19);
	finish(g, &probe);
}
END_TEST

START_TEST(a_drain_ends_what_is_left_after_its_grace)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *ignored;

	hold(g, 0, &probe, &ignored);
	ck_assert_int_eq(minirpc_server_drain(g->w->server, MINIRPC_MS(20), on_drained, g), 0);
	ground_until(g, probe.ends == 1 && g->w->is_drained);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	finish(g, &probe);
}
END_TEST

START_TEST(a_lost_server_is_found_again)
{
	struct ground *g = ground_new(_i, NULL);

	for (int i = 0; i < 5; i++) {
		echo(g, "here");
		ground_kill_server(g);
		ground_start_server(g);
		ground_until_lost(g);
		ground_connect(g);
	}
	echo(g, "here again");
	ground_free(g);
}
END_TEST

static void wait_inside(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct ground *g = user;
	minirpc_call *another;

	(void)call;
	(void)status;
	ck_assert_int_eq(minirpc_call_open(&another, g->w->channel, &world_echo, NULL, NULL, NULL),
			 0);
	ck_assert_int_eq(minirpc_call_wait(another), -EDEADLK);
	minirpc_call_cancel(another);
	g->w->stirred = g->w->is_faulty = true;
}

START_TEST(a_call_may_be_waited_for_but_not_in_a_callback)
{
	static const struct minirpc_call_events events = { .on_end = wait_inside };
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *call = world_call(g->w, &world_hold, MINIRPC_MS(30), &probe);
	bool host_runs_it = g->kind == LOOP_POLL || g->kind == LOOP_MANUAL;

	ck_assert_int_eq(minirpc_call_wait(call), host_runs_it ? -EINVAL : 0);
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(minirpc_call_open(&call, g->w->channel, &world_echo, NULL, &events, g), 0);
	world_request(call, "inside");
	ground_until(g, g->w->is_faulty);
	finish(g, &probe);
}
END_TEST

/* ---- Those that listen ---- */

START_TEST(a_call_that_waits_for_ready_outlasts_a_server_that_starts_later)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe waits = { 0 }, fails = { 0 };

	ground_kill_server(g);
	world_request(world_call_with(g->w, &world_echo,
				      &(struct minirpc_call_options){ .wait_for_ready = true },
				      &waits),
		      "patience");
	world_request(world_call(g->w, &world_echo, 0, &fails), "haste");
	ground_until(g, fails.ends == 1);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(waits.ends, 0);
	ground_start_server(g);
	ground_until(g, waits.ends == 1);
	ck_assert_int_eq(waits.code, MINIRPC_OK);
	finish(g, &waits);
}
END_TEST

START_TEST(a_call_that_cannot_be_connected_says_where_and_why)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	const char *where = strchr(g->target, ':') + 1;

	ground_kill_server(g);
	world_request(world_call(g->w, &world_echo, 0, &probe), "haste");
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_msg(strstr(probe.text, where) != NULL, "no '%s' in: %s", where, probe.text);
	ck_assert_msg(strstr(probe.text, g->transport->refused) != NULL, "no '%s' in: %s",
		      g->transport->refused, probe.text);
	finish(g, &probe);
}
END_TEST

START_TEST(both_ends_know_their_peer)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *served;
	const char *peer;

	hold(g, 0, &probe, &served);
	ck_assert_msg(strncmp(minirpc_call_peer(served), g->transport->peer,
			      strlen(g->transport->peer)) == 0,
		      "%s", minirpc_call_peer(served));
	peer = minirpc_call_peer(probe.call);
	if (strncmp(g->target, "localhost", 9) == 0)
		ck_assert_msg(strstr(peer, strchr(g->target, ':')) != NULL, "%s", peer);
	else if (ground_has(_i) & GROUND_LISTENS)
		ck_assert_str_eq(peer, g->target);
	end_served(g);
	ground_until(g, probe.ends == 1);
	finish(g, &probe);
}
END_TEST

/* ---- TLS ---- */

static void check_certificate(minirpc_call *call, const struct pki_identity *identity)
{
	unsigned char *der = NULL;
	int len = i2d_X509(identity->cert, &der);
	size_t seen_len;
	const void *seen = minirpc_call_peer_certificate(call, &seen_len);

	ck_assert_ptr_nonnull(seen);
	ck_assert_int_eq((int)seen_len, len);
	ck_assert_mem_eq(seen, der, seen_len);
	OPENSSL_free(der);
}

START_TEST(both_ends_see_the_certificate_that_was_verified)
{
	struct ground *g = ground_new(_i, NULL);
	struct probe probe = { 0 };
	minirpc_call *served;
	size_t len;

	hold(g, 0, &probe, &served);
	check_certificate(probe.call, g->server_id);
	if (ground_has(_i) & GROUND_MUTUAL)
		check_certificate(served, g->client_id);
	else
		ck_assert_ptr_null(minirpc_call_peer_certificate(served, &len));
	end_served(g);
	ground_until(g, probe.ends == 1);
	finish(g, &probe);
}
END_TEST

/* With this configuration the client is refused, or refuses; the reason says this. */
static void check_refused(struct ground *g, const struct minirpc_tls_options *options,
			  const char *why)
{
	struct probe probe = { 0 };
	minirpc_tls *tls = NULL;

	if (options != NULL)
		ck_assert_int_eq(minirpc_tls_new(&tls, options), 0);
	g->channel_options.tls = tls;
	ground_new_channel(g);
	world_request(world_call(g->w, &world_echo, 0, &probe), "let me in");
	ground_until(g, probe.ends == 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_msg(strstr(probe.text, why) != NULL, "no '%s' in: %s", why, probe.text);
	ck_assert_uint_eq(g->w->served_count, 0);
	minirpc_tls_unref(tls);
}

START_TEST(a_server_of_another_authority_is_refused)
{
	struct ground *g = ground_new(_i, NULL);
	struct pki_identity *other = pki_ca("another CA");

	check_refused(g,
		      &(struct minirpc_tls_options){ .ca_pem = other->cert_pem,
						     .server_name = "localhost" },
		      "certificate");
	pki_free(other);
	ground_free(g);
}
END_TEST

START_TEST(a_server_of_another_name_is_refused)
{
	struct ground *g = ground_new(_i, NULL);

	check_refused(g,
		      &(struct minirpc_tls_options){ .ca_pem = g->ca->cert_pem,
						     .server_name = "elsewhere.org" },
		      "name");
	ground_free(g);
}
END_TEST

START_TEST(clear_text_to_a_tls_server_is_refused)
{
	struct ground *g = ground_new(_i, NULL);

	check_refused(g, NULL, "connection");
	ground_free(g);
}
END_TEST

START_TEST(a_client_without_its_certificate_is_refused)
{
	struct ground *g = ground_new(_i, NULL);

	check_refused(g, &(struct minirpc_tls_options){ .ca_pem = g->ca->cert_pem }, "certificate");
	ground_free(g);
}
END_TEST

START_TEST(a_client_of_another_authority_is_refused)
{
	struct ground *g = ground_new(_i, NULL);
	struct pki_identity *other = pki_ca("another CA");
	struct pki_identity *leaf = pki_leaf(other, &(struct pki_leaf){ .eku = "clientAuth" });

	check_refused(g,
		      &(struct minirpc_tls_options){ .ca_pem = g->ca->cert_pem,
						     .cert_pem = leaf->cert_pem,
						     .key_pem = leaf->key_pem },
		      "alert");
	pki_free(leaf);
	pki_free(other);
	ground_free(g);
}
END_TEST

START_TEST(tls_to_a_clear_text_server_is_refused)
{
	struct ground *g = ground_new(_i, NULL);
	struct pki_identity *ca = pki_ca("a CA");

	check_refused(g, &(struct minirpc_tls_options){ .ca_pem = ca->cert_pem }, "connection");
	pki_free(ca);
	ground_free(g);
}
END_TEST

/* ---- Both tables ---- */

static void add_facts(TCase *c, int i)
{
	const struct {
		const TTest *test;
		unsigned needs, not_with;
	} facts[] = {
		{ a_unary_call_is_answered, 0, 0 },
		{ an_error_brings_its_text_and_trailers, 0, 0 },
		{ metadata_travels_both_ways, 0, 0 },
		{ a_server_stream_of_a_thousand_messages_arrives, 0, 0 },
		{ three_mebibytes_go_there_and_back, 0, 0 },
		{ a_message_over_the_limit_costs_its_call_and_no_other, 0, 0 },
		{ a_client_stream_is_summed_up, 0, 0 },
		{ a_chat_goes_back_and_forth, 0, 0 },
		{ more_calls_than_streams_all_end_well, 0, 0 },
		{ a_reader_that_pauses_costs_bounded_memory_and_holds_up_nobody, 0, 0 },
		{ a_large_message_passes_behind_one_that_was_not_read, 0, 0 },
		{ a_request_that_fills_the_window_can_be_ended_later, 0, 0 },
		{ a_deadline_ends_both_ends, 0, 0 },
		{ a_cancelled_call_reaches_the_handler, 0, 0 },
		{ a_handler_that_cancels_is_seen, 0, 0 },
		{ a_server_that_is_gone_ends_its_calls, 0, 0 },
		{ a_server_that_stops_tells_its_calls_and_handlers, 0, 0 },
		{ a_client_that_is_gone_is_told_to_the_handler, 0, 0 },
		{ a_drain_lets_a_call_in_flight_finish, 0, 0 },
		{ a_drain_ends_what_is_left_after_its_grace, 0, 0 },
		{ a_lost_server_is_found_again, 0, 0 },
		{ a_call_may_be_waited_for_but_not_in_a_callback, 0, 0 },
		{ both_ends_know_their_peer, 0, 0 },
		{ a_call_that_waits_for_ready_outlasts_a_server_that_starts_later, GROUND_LISTENS,
		  0 },
		{ a_call_that_cannot_be_connected_says_where_and_why, GROUND_LISTENS, 0 },
		{ both_ends_see_the_certificate_that_was_verified, GROUND_TLS, 0 },
		{ a_server_of_another_authority_is_refused, GROUND_TLS, 0 },
		{ a_server_of_another_name_is_refused, GROUND_TLS, 0 },
		{ clear_text_to_a_tls_server_is_refused, GROUND_TLS, 0 },
		{ a_client_without_its_certificate_is_refused, GROUND_MUTUAL, 0 },
		{ a_client_of_another_authority_is_refused, GROUND_MUTUAL, 0 },
		{ tls_to_a_clear_text_server_is_refused, GROUND_LISTENS, GROUND_TLS },
	};

	for (size_t fact = 0; fact < sizeof facts / sizeof *facts; fact++)
		if ((facts[fact].needs & ~ground_has(i)) == 0 &&
		    (facts[fact].not_with & ground_has(i)) == 0)
			tcase_add_loop_test(c, facts[fact].test, i, i + 1);
}

Suite *suite(void)
{
	static char names[64][64];
	Suite *s = suite_create("transport/transport");

	for (int i = 0; i < ground_count && i < 64; i++) {
		TCase *c = tcase_create(ground_name(i, names[i]));

		if (strstr(names[i], "IPv6") != NULL && !has_ipv6()) {
			printf("skipped: %s: this machine has no ::1\n", names[i]);
			continue;
		}
		tcase_set_timeout(c, 10);
		add_facts(c, i);
		suite_add_tcase(s, c);
	}
	return s;
}

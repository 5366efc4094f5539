/* SPDX-License-Identifier: MIT */
/* Client-side health checks [H-4, A17]: what a server says of itself, and who gets calls. */
#include "client/doctor.h"
#include "run_suite.h"

#include "client/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LB(policy) "{\"loadBalancingConfig\":[{\"" policy "\":{}}]}"
#define WATCH(policy, service)                                                                     \
	"{\"loadBalancingConfig\":[{\"" policy                                                     \
	"\":{}}],\"healthCheckConfig\":{\"serviceName\":\"" service "\"}}"

static struct fleet fleet;

static void teardown(void)
{
	fleet_close(&fleet);
}

static void open_with(const char *list, const char *without, const char *config)
{
	ck_assert_int_eq(doctors_try_open(&fleet, list, without,
					  &(struct minirpc_channel_options){ .service_config_json =
										     config }),
			 0);
}

static void connect_all(void)
{
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
}

static void says(unsigned number, int status)
{
	doctor_says(number, status);
	fleet_settle(&fleet);
}

static void ends(unsigned number, enum minirpc_code code)
{
	doctor_ends(number, code);
	fleet_settle(&fleet);
}

static void set_config(const char *json)
{
	ck_assert_int_eq(minirpc_channel_set_service_config(fleet.channel, json, NULL, 0), 0);
	fleet_settle(&fleet);
}

/* Who answers six calls, as a set: "13". */
static const char *who(void)
{
	static char text[FLEET_MAX + 2];
	bool seen_one[FLEET_MAX + 1] = { false };
	char *at = text;

	for (unsigned i = 0; i < 6; i++)
		seen_one[fleet_call(&fleet)] = true;
	for (unsigned i = 0; i <= FLEET_MAX; i++)
		if (seen_one[i])
			*at++ = (char)('0' + i);
	*at = '\0';
	return text;
}

/* Why a call is UNAVAILABLE. */
static const char *why(void)
{
	static struct probe probe;

	probe = (struct probe){ 0 };
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	return probe.text;
}

static unsigned lines_with(const char *text)
{
	unsigned count = 0;

	for (const char *at = fleet.log; (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

/* ---- What it says ---- */

START_TEST(H_4_the_watch_names_the_service_and_has_no_deadline)
{
	open_with("1", "", WATCH("round_robin", "rpc.Cache"));
	connect_all();
	ck_assert_uint_eq(doctors[1].asked, 1);
	ck_assert_uint_eq(doctors[1].request_len, 11);
	ck_assert_mem_eq(doctors[1].request, "\x0a\x09rpc.Cache", 11);
	ck_assert(!doctors[1].has_deadline);
	ck_assert_str_eq(doctors[1].authority, fleet.channel->authority);
}
END_TEST

START_TEST(H_4_the_empty_name_is_the_whole_server)
{
	open_with("1", "", WATCH("round_robin", ""));
	connect_all();
	ck_assert_uint_eq(doctors[1].asked, 1);
	ck_assert_uint_eq(doctors[1].request_len, 0);
	ck_assert_str_eq(who(), "1");
}
END_TEST

START_TEST(H_4_a_long_name_has_a_length_of_two_bytes)
{
	char config[600], name[201];

	memset(name, 'n', 200);
	name[200] = '\0';
	snprintf(config, sizeof config, WATCH("round_robin", "%s"), name);
	open_with("1", "", config);
	connect_all();
	ck_assert_uint_eq(doctors[1].request_len, 203);
	ck_assert_mem_eq(doctors[1].request, "\x0a\xc8\x01n", 4);
}
END_TEST

START_TEST(H_4_connecting_until_the_first_answer)
{
	struct probe probe = { 0 };

	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = SILENT;
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_advance(&fleet, MINIRPC_S(100)); /* nobody gives up */
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	says(1, SERVING);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(doctors[1].asked, 1);
}
END_TEST

START_TEST(H_4_a_server_that_does_not_serve_gets_no_calls_until_it_does)
{
	open_with("123", "", WATCH("round_robin", "s"));
	doctors[2].says = NOT_SERVING;
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_str_eq(who(), "13");
	says(2, SERVING);
	ck_assert_str_eq(who(), "123");
	says(1, SERVICE_UNKNOWN);
	says(3, UNKNOWN);
	ck_assert_str_eq(who(), "2");
	says(1, SERVING);
	ck_assert_str_eq(who(), "12");
	/* All that on the connections and the streams that there were. */
	ck_assert_uint_eq(fleet.dials, 3);
	for (unsigned i = 1; i <= 3; i++)
		ck_assert_uint_eq(doctors[i].asked, 1);
}
END_TEST

START_TEST(H_4_least_request_looks_at_health_too)
{
	open_with("12", "", WATCH("least_request", "s"));
	doctors[2].says = NOT_SERVING;
	connect_all();
	ck_assert_str_eq(who(), "1");
	says(2, SERVING);
	says(1, NOT_SERVING);
	ck_assert_str_eq(who(), "2");
}
END_TEST

START_TEST(H_4_calls_that_run_on_an_unhealthy_server_run_on)
{
	struct probe probe = { 0 };

	open_with("1", "", WATCH("round_robin", "s"));
	connect_all();
	probe_call(&probe, fleet.channel, &chat, NULL);
	fleet_settle(&fleet);
	says(1, NOT_SERVING);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_int_eq(minirpc_call_send(probe.call, "still", 5), 0);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(probe.last, "still");
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(H_4_calls_hear_what_the_server_says)
{
	static const struct {
		int status;
		const char *text;
	} cases[] = {
		{ UNKNOWN, "server:1: the server reports UNKNOWN" },
		{ NOT_SERVING, "server:1: the server reports NOT_SERVING" },
		{ SERVICE_UNKNOWN, "server:1: the server reports SERVICE_UNKNOWN" },
		{ 4, "server:1: the server reports health status 4" },
	};

	open_with("1", "", WATCH("round_robin", "s"));
	connect_all();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		says(1, cases[i].status);
		ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
		ck_assert_str_eq(why(), cases[i].text);
		ck_assert_uint_eq(lines_with(cases[i].text), 1);
	}
	says(1, SERVING);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_str_eq(
		minirpc_subchannel_failure(mrpc_container(fleet.channel->balancing->held.next,
							  struct minirpc_subchannel, node)),
		"");
}
END_TEST

START_TEST(H_4_a_server_without_health_checks_counts_as_healthy)
{
	static const char line[] =
		"server:2: the server knows no health checks (UNIMPLEMENTED) and "
		"counts as healthy";

	open_with("12", "2", WATCH("round_robin", "s"));
	connect_all();
	ck_assert_str_eq(who(), "12");
	ck_assert_uint_eq(lines_with(line), 1);
	fleet_advance(&fleet, MINIRPC_S(1000)); /* nobody asks again */
	ck_assert_uint_eq(lines_with(line), 1);
	set_config(WATCH("round_robin", "other")); /* nor for another service */
	ck_assert_uint_eq(doctors[1].asked, 2);
	ck_assert_uint_eq(lines_with(line), 1);
	ck_assert_str_eq(who(), "12");
	fleet_kill(&fleet, 2); /* once for a connection */
	fleet_revive(&fleet, 2);
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_uint_eq(lines_with(line), 2);
	ck_assert_str_eq(who(), "12");
}
END_TEST

/* ---- When it ends ---- */

static minirpc_time gap(unsigned number, unsigned after)
{
	return doctors[number].at[after] - doctors[number].at[after - 1];
}

#define ASSERT_SPAN(span, ms)                                                                      \
	do {                                                                                       \
		ck_assert_int_ge(span, MINIRPC_MS(ms) / 5 * 4);                                    \
		ck_assert_int_le(span, MINIRPC_MS(ms) / 5 * 6);                                    \
	} while (0)

START_TEST(H_4_a_watch_that_fails_is_made_again_after_a_backoff)
{
	static const long spans[] = { 1000,  1600,  2560,  4096,   6554,   10486, 16777,
				      26844, 42950, 68720, 109951, 120000, 120000 };
	unsigned count = sizeof spans / sizeof spans[0];
	bool differs = false;

	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = FAILS;
	doctors[1].code = MINIRPC_INTERNAL;
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_str_eq(why(), "server:1: the health check ended: INTERNAL: the doctor is out");
	fleet_advance(&fleet, MINIRPC_S(700));
	ck_assert_uint_ge(doctors[1].asked, count + 1);
	for (unsigned i = 0; i < count; i++) {
		ASSERT_SPAN(gap(1, i + 1), spans[i]);
		differs = differs || gap(1, i + 1) != MINIRPC_MS(spans[i]);
	}
	ck_assert(differs); /* there is jitter */
	ck_assert_uint_eq(fleet.dials, 1);

	doctors[1].says = SERVING;
	fleet_advance(&fleet, MINIRPC_S(144));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

/* [A17]: at once. With us: when a second has passed since it began, see health.c. */
START_TEST(H_4_a_message_resets_the_backoff)
{
	unsigned asked;

	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = FAILS;
	doctors[1].code = MINIRPC_UNAVAILABLE;
	connect_all();
	fleet_advance(&fleet, MINIRPC_S(60));
	ck_assert_uint_ge(doctors[1].asked, 6);
	doctors[1].says = NOT_SERVING; /* any message */
	fleet_advance(&fleet, MINIRPC_S(60));
	ck_assert_ptr_nonnull(doctors[1].call);

	/* It has lived for long enough. */
	asked = doctors[1].asked;
	doctors[1].says = FAILS;
	ends(1, MINIRPC_OK);
	fleet_advance(&fleet, 0);
	ck_assert_uint_eq(doctors[1].asked, asked + 1);
	fleet_advance(&fleet, MINIRPC_S(10));
	ASSERT_SPAN(gap(1, asked + 1), 1000);
	ASSERT_SPAN(gap(1, asked + 2), 1600);
}
END_TEST

START_TEST(H_4_a_server_that_answers_and_hangs_up_is_not_called_in_a_loop)
{
	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = SERVING;
	doctors[1].and_ends = true;
	connect_all();
	fleet_advance(&fleet, MINIRPC_S(20));
	ck_assert_uint_ge(doctors[1].asked, 17);
	ck_assert_uint_le(doctors[1].asked, 26);
	for (unsigned i = 1; i < doctors[1].asked; i++)
		ASSERT_SPAN(gap(1, i), 1000);
}
END_TEST

START_TEST(H_4_between_two_watches_calls_go_elsewhere)
{
	open_with("12", "", WATCH("round_robin", "s"));
	connect_all();
	ck_assert_str_eq(who(), "12");
	doctors[1].says = SILENT;
	ends(1, MINIRPC_UNKNOWN);
	ck_assert_str_eq(who(), "2");
	fleet_advance(&fleet, MINIRPC_MS(1200));
	ck_assert_uint_eq(doctors[1].asked, 2);
	ck_assert_str_eq(who(), "2");
	says(2, NOT_SERVING);
	/* One asks again, which is no news until it has an answer [A62]. */
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	says(1, SERVING);
	ck_assert_str_eq(who(), "1");
}
END_TEST

START_TEST(H_4_what_is_malformed_ends_the_watch)
{
	static const struct {
		const char *bytes;
		size_t len;
	} cases[] = {
		{ "\x08", 1 },                                          /* no value */
		{ "\x08\x80", 2 },                                      /* half a value */
		{ "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11 }, /* more than 64 bits */
		{ "\x00\x01", 2 },                                      /* field 0 */
		{ "\x12\x05zz", 4 },                                    /* more than there is */
		{ "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
		{ "\x15zzz", 4 },                  /* fixed32 of three bytes */
		{ "\x11zzzzzzz", 8 },              /* fixed64 of seven */
		{ "\x0b\x0c", 2 },                 /* a group */
		{ "\x0e", 1 },                     /* wire type 6 */
		{ "\x80\x80\x80\x80\x10\x01", 6 }, /* a tag of more than 32 bits */
		{ "\x08\x01\x80", 3 },             /* SERVING, and then */
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		open_with("1", "", WATCH("round_robin", "s"));
		doctors[1].says = BABBLES;
		doctors[1].babble = cases[i].bytes;
		doctors[1].babble_len = cases[i].len;
		connect_all();
		ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
		ck_assert_str_eq(why(), "server:1: what the health check answers is malformed");
		ck_assert_uint_eq(doctors[1].left, 1); /* we have left it */
		fleet_advance(&fleet, MINIRPC_MS(3120));
		ck_assert_uint_eq(doctors[1].asked, 3);
		ASSERT_SPAN(gap(1, 1), 1000);
		ASSERT_SPAN(gap(1, 2), 1600); /* that was no message */
		fleet_close(&fleet);
	}
	open_with("", "", NULL);
}
END_TEST

START_TEST(H_4_fields_that_nobody_knows_are_skipped)
{
	static const char bytes[] = "\x12\x02zz" /* bytes */
				    "\x19zzzzzzzz"
				    "\x25zzzz"
				    "\x28\xff\xff\x03"
				    "\x0a\x01\x02"      /* field 1, of another type */
				    "\x08\x02"          /* NOT_SERVING, but the last one counts */
				    "\x08\x81\x80\x00"; /* SERVING, in more bytes than it needs */

	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = BABBLES;
	doctors[1].babble = bytes;
	doctors[1].babble_len = sizeof bytes - 1;
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

START_TEST(H_4_a_status_is_an_enum_of_32_bits)
{
	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = BABBLES;
	doctors[1].babble = "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
	doctors[1].babble_len = 11;
	connect_all();
	ck_assert_str_eq(why(), "server:1: the server reports health status -1");
}
END_TEST

START_TEST(H_4_an_answer_of_more_than_4096_bytes_is_not_read)
{
	static char bytes[4098] = "\x12\xfb\x1f"; /* field 2, 4091 bytes */

	for (unsigned over = 0; over < 2; over++) {
		size_t len = 4094;

		bytes[len++] = 0x08;
		bytes[len++] = SERVING;
		if (over > 0) { /* 4092 bytes of it */
			memcpy(bytes, "\x12\xfc\x1f", 3);
			memmove(bytes + 4095, "\x08\x01", 2);
			bytes[4094] = 0;
			len = 4097;
		}
		open_with("1", "", WATCH("round_robin", "s"));
		doctors[1].says = BABBLES;
		doctors[1].babble = bytes;
		doctors[1].babble_len = len;
		connect_all();
		if (over == 0)
			ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
		else
			ck_assert_ptr_nonnull(strstr(why(), "RESOURCE_EXHAUSTED"));
		fleet_close(&fleet);
	}
	open_with("", "", NULL);
}
END_TEST

/* ---- Connections ---- */

START_TEST(H_4_a_connection_that_is_lost_is_made_again_and_asked_again)
{
	struct probe probe = { 0 };

	open_with("1", "", WATCH("round_robin", "s"));
	connect_all();
	ck_assert_str_eq(who(), "1");
	doctors[1].says = SILENT;
	fleet_kill(&fleet, 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE); /* and refused */
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_MS(1300));
	ck_assert_uint_eq(doctors[1].asked, 2);
	/* TRANSIENT_FAILURE until READY [A62], the reason is still that of the connection. */
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_ptr_nonnull(strstr(why(), "Connection refused"));
	says(1, SERVING);
	ck_assert_str_eq(who(), "1");

	/* A server that was healthy, and comes back at once, costs no call. */
	for (size_t i = 0; i < FLEET_PIPES; i++)
		if (fleet.pipes[i].client.conn != NULL) {
			minirpc_conn *client = fleet.pipes[i].client.conn;

			fleet.pipes[i].client.conn = NULL;
			minirpc_conn_close(client);
			minirpc_conn_close(fleet.pipes[i].server.conn);
			fleet.pipes[i].server.conn = NULL;
			break;
		}
	fleet_settle(&fleet);
	ck_assert_uint_eq(doctors[1].asked, 3);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 0);
	says(1, SERVING);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

START_TEST(H_4_an_unhealthy_server_that_is_lost_counts_as_failed_until_it_is_ready)
{
	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = NOT_SERVING;
	connect_all();
	fleet.servers[1].mode = FLEET_SILENT;
	for (size_t i = 0; i < FLEET_PIPES; i++)
		if (fleet.pipes[i].server.conn != NULL) {
			minirpc_conn_close(fleet.pipes[i].client.conn);
			minirpc_conn_close(fleet.pipes[i].server.conn);
			fleet.pipes[i].client.conn = fleet.pipes[i].server.conn = NULL;
		}
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_uint_eq(fleet.dials, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_str_eq(why(), "server:1: the server reports NOT_SERVING");
}
END_TEST

START_TEST(H_4_goaway_cancels_the_watch_and_nothing_else)
{
	struct probe probe = { 0 };

	open_with("12", "", WATCH("round_robin", "s"));
	connect_all();
	while (probe.messages == 0 || strcmp(probe.peer, "server:1") != 0) {
		if (probe.call != NULL)
			minirpc_call_cancel(probe.call);
		probe = (struct probe){ 0 };
		probe_call(&probe, fleet.channel, &chat, NULL);
		ck_assert_int_eq(minirpc_call_send(probe.call, "a", 1), 0);
		fleet_settle(&fleet);
	}
	fleet_drain(&fleet, 1);
	ck_assert_uint_eq(doctors[1].left, 1);
	ck_assert_str_eq(who(), "2");
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1);
	ck_assert_int_eq(minirpc_call_end(probe.call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

START_TEST(H_4_a_server_that_leaves_the_list_is_let_go_of)
{
	open_with("12", "", WATCH("round_robin", "s"));
	connect_all();
	ck_assert_int_eq(fleet_push(&fleet, "2", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(doctors[1].left, 1);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
	ck_assert_uint_eq(doctors[2].asked, 1);
	ck_assert_uint_eq(doctors[2].left, 0);
}
END_TEST

/* [B-5]: two of the three streams that a connection may have are left for calls. */
START_TEST(H_4_of_several_connections_the_oldest_is_asked)
{
	static const char config[] =
		"{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":2},"
		"\"loadBalancingConfig\":[{"
		"\"round_robin\":{}}],\"healthCheckConfig\":{\"serviceName\":\"s\"}}";
	struct probe probes[3] = { 0 };
	minirpc_conn *oldest;

	ck_assert_int_eq(
		doctors_try_open_on(
			&fleet, "1", "",
			&(struct minirpc_server_options){ .limits.max_streams = 3 },
			&(struct minirpc_channel_options){ .service_config_json = config }),
		0);
	connect_all();
	oldest = fleet.pipes[0].client.conn;
	for (unsigned i = 0; i < 3; i++) {
		probe_call(&probes[i], fleet.channel, &chat, NULL);
		ck_assert_int_eq(minirpc_call_send(probes[i].call, "a", 1), 0);
		fleet_settle(&fleet);
		ck_assert_uint_eq(probes[i].messages, 1);
		ck_assert_uint_eq(fleet_connections(&fleet, 1), i < 2 ? 1 : 2);
	}
	ck_assert_uint_eq(doctors[1].asked, 1);

	doctors[1].says = SILENT;
	fleet.pipes[0].client.conn = NULL;
	minirpc_conn_close(oldest);
	minirpc_conn_close(fleet.pipes[0].server.conn);
	fleet.pipes[0].server.conn = NULL;
	fleet_settle(&fleet);
	ck_assert_uint_eq(probes[0].ends + probes[1].ends, 2);
	ck_assert_uint_eq(probes[2].ends, 0);
	ck_assert_uint_eq(doctors[1].asked, 2); /* on the one that is left */
	ck_assert_uint_eq(fleet.dials, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	says(1, SERVING);
	ck_assert_str_eq(who(), "1");
	ck_assert_int_eq(minirpc_call_end(probes[2].call, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_int_eq(probes[2].code, MINIRPC_OK);
}
END_TEST

/* ---- Who looks ---- */

START_TEST(H_4_pick_first_does_not_ask)
{
	open_with("1", "", "{\"healthCheckConfig\":{\"serviceName\":\"s\"}}");
	doctors[1].says = NOT_SERVING;
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_str_eq(who(), "1");
	ck_assert_uint_eq(doctors[1].asked, 0);
}
END_TEST

START_TEST(H_4_without_a_name_nobody_asks)
{
	open_with("1", "", LB("round_robin"));
	doctors[1].says = NOT_SERVING;
	connect_all();
	ck_assert_str_eq(who(), "1");
	ck_assert_uint_eq(doctors[1].asked, 0);
}
END_TEST

START_TEST(H_4_a_connection_that_two_policies_share_is_healthy_for_one_of_them_only)
{
	open_with("1", "", WATCH("pick_first", "s"));
	doctors[1].says = SILENT;
	connect_all();
	ck_assert_str_eq(who(), "1");
	set_config(WATCH("round_robin", "s")); /* follows when it is READY [L-3] */
	ck_assert_uint_eq(doctors[1].asked, 1);
	ck_assert_ptr_nonnull(fleet.channel->next);
	ck_assert_str_eq(who(), "1");
	says(1, NOT_SERVING);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	set_config(WATCH("pick_first", "s"));
	ck_assert_str_eq(who(), "1");
	ck_assert_uint_eq(doctors[1].left, 1); /* nobody wants to know any more */
	ck_assert_uint_eq(fleet.dials, 1);
}
END_TEST

/* ---- Another config ---- */

START_TEST(H_4_another_config_goes_for_the_connections_that_there_are)
{
	open_with("12", "", LB("round_robin"));
	doctors[2].says = NOT_SERVING;
	connect_all();
	ck_assert_str_eq(who(), "12");

	set_config(WATCH("round_robin", "s")); /* on */
	ck_assert_uint_eq(doctors[1].asked, 1);
	ck_assert_str_eq(who(), "1");

	doctors[1].says = NOT_SERVING;
	doctors[2].says = SERVING;
	set_config(WATCH("round_robin", "other")); /* another name */
	ck_assert_uint_eq(doctors[1].left, 1);
	ck_assert_uint_eq(doctors[1].asked, 2);
	ck_assert_mem_eq(doctors[1].request, "\x0a\x05other", 7);
	ck_assert_str_eq(who(), "2");

	set_config("{\"loadBalancingConfig\":[{\"round_robin\":{}}],\"methodConfig\":[],"
		   "\"healthCheckConfig\":{\"serviceName\":\"other\"}}"); /* the same name */
	ck_assert_uint_eq(doctors[1].asked, 2);
	ck_assert_str_eq(who(), "2");

	set_config(LB("round_robin")); /* off */
	ck_assert_uint_eq(doctors[1].left, 2);
	ck_assert_uint_eq(doctors[2].left, 2);
	ck_assert_str_eq(who(), "12");
	ck_assert_uint_eq(fleet.dials, 2);

	/* From the resolver, too. */
	doctors[1].says = SERVING;
	doctors[2].says = NOT_SERVING;
	ck_assert_int_eq(fleet_push(&fleet, "12", WATCH("round_robin", "s"), NULL), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(who(), "1");
	ck_assert_uint_eq(fleet.dials, 2);
}
END_TEST

START_TEST(H_4_off_in_the_middle_of_a_backoff)
{
	open_with("1", "", WATCH("round_robin", "s"));
	doctors[1].says = FAILS;
	doctors[1].code = MINIRPC_INTERNAL;
	connect_all();
	set_config(LB("round_robin"));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	fleet_advance(&fleet, MINIRPC_S(100));
	ck_assert_uint_eq(doctors[1].asked, 1);
	ck_assert_str_eq(who(), "1");
}
END_TEST

/* ---- It is no user's call ---- */

START_TEST(H_4_the_watch_is_not_among_the_calls)
{
	struct minirpc_conn_counts counts;

	open_with("12", "2", WATCH("round_robin", "s"));
	connect_all();
	fleet_advance(&fleet, MINIRPC_S(5));
	minirpc_channel_counts(fleet.channel, &counts);
	ck_assert_uint_eq(counts.calls_started, 0);
	ck_assert_uint_eq(counts.calls_failed + counts.calls_succeeded, 0);
	for (struct mrpc_list *node = fleet.channel->balancing->held.next;
	     node != &fleet.channel->balancing->held; node = node->next)
		ck_assert_uint_eq(minirpc_subchannel_open_calls(
					  mrpc_container(node, struct minirpc_subchannel, node)),
				  0);
	set_config(LB("round_robin"));
	ck_assert_uint_eq(fleet_call(&fleet) > 0, 1);
	minirpc_channel_counts(fleet.channel, &counts);
	ck_assert_uint_eq(counts.calls_started, 1);
	ck_assert_uint_eq(counts.calls_succeeded, 1);
	ck_assert_uint_eq(counts.calls_failed, 0);
}
END_TEST

START_TEST(H_4_the_channel_becomes_idle_in_spite_of_it)
{
	ck_assert_int_eq(doctors_try_open(&fleet, "1", "",
					  &(struct minirpc_channel_options){
						  .service_config_json = WATCH("round_robin", "s"),
						  .idle_timeout = MINIRPC_S(60) }),
			 0);
	connect_all();
	ck_assert_str_eq(who(), "1");
	fleet_advance(&fleet, MINIRPC_S(50));
	says(1, NOT_SERVING); /* is no use of the channel */
	fleet_advance(&fleet, MINIRPC_S(11));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_IDLE);
	ck_assert_uint_eq(doctors[1].left, 1);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

/* [A17]: a server that hangs cannot say so. On the wire the Watch is a call, for both ends [K-1, K-3]. */
START_TEST(H_4_keepalive_finds_a_server_that_hangs_while_it_is_watched)
{
	ck_assert_int_eq(doctors_try_open(&fleet, "1", "",
					  &(struct minirpc_channel_options){
						  .service_config_json = WATCH("round_robin", "s"),
						  .idle_timeout = MINIRPC_S(100000),
						  .keepalive = { .time = MINIRPC_S(400) } }),
			 0);
	connect_all();
	fleet_advance(&fleet, MINIRPC_S(1700)); /* four PINGs, no strike */
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(fleet.dials, 1);
	fleet.servers[1].mode = FLEET_DOWN;
	for (size_t i = 0; i < FLEET_PIPES; i++)
		if (fleet.pipes[i].server.conn != NULL) { /* nothing gets there any more */
			minirpc_conn_close(fleet.pipes[i].server.conn);
			fleet.pipes[i].server.conn = NULL;
		}
	fleet_advance(&fleet, MINIRPC_S(421));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_uint_gt(fleet.dials, 1);
}
END_TEST

/* ---- Its end ---- */

START_TEST(H_4_a_channel_may_be_freed_at_any_time)
{
	static const int all[] = { SERVING, NOT_SERVING, SILENT, FAILS, BABBLES };

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		open_with("123", "3", WATCH("round_robin", "s"));
		doctors[1].says = doctors[2].says = all[i];
		doctors[1].code = doctors[2].code = MINIRPC_INTERNAL;
		doctors[1].babble = "\x08";
		doctors[1].babble_len = 1;
		connect_all();
		if (i % 2 == 0)
			doctor_says(1, NOT_SERVING); /* on its way */
		fleet.channel = minirpc_channel_free(fleet.channel);
		fleet_advance(&fleet, MINIRPC_S(10));
		ck_assert_ptr_null(doctors[1].call);
		fleet_close(&fleet);
	}
	open_with("", "", NULL);
}
END_TEST

static void free_it(minirpc_channel *channel, void *user)
{
	(void)user;
	fleet.channel = minirpc_channel_free(channel);
}

START_TEST(H_4_a_watcher_may_free_the_channel_when_it_hears_of_health)
{
	open_with("12", "", WATCH("round_robin", "s"));
	doctors[1].says = doctors[2].says = SILENT;
	connect_all();
	minirpc_channel_watch(fleet.channel, MINIRPC_CONNECTING, free_it, NULL);
	says(1, SERVING);
	ck_assert_ptr_null(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_uint_eq(doctors[1].left, 1);
	ck_assert_uint_eq(doctors[2].left, 1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/health");
	TCase *t = tcase_create("health");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, H_4_the_watch_names_the_service_and_has_no_deadline);
	tcase_add_test(t, H_4_the_empty_name_is_the_whole_server);
	tcase_add_test(t, H_4_a_long_name_has_a_length_of_two_bytes);
	tcase_add_test(t, H_4_connecting_until_the_first_answer);
	tcase_add_test(t, H_4_a_server_that_does_not_serve_gets_no_calls_until_it_does);
	tcase_add_test(t, H_4_least_request_looks_at_health_too);
	tcase_add_test(t, H_4_calls_that_run_on_an_unhealthy_server_run_on);
	tcase_add_test(t, H_4_calls_hear_what_the_server_says);
	tcase_add_test(t, H_4_a_server_without_health_checks_counts_as_healthy);
	tcase_add_test(t, H_4_a_watch_that_fails_is_made_again_after_a_backoff);
	tcase_add_test(t, H_4_a_message_resets_the_backoff);
	tcase_add_test(t, H_4_a_server_that_answers_and_hangs_up_is_not_called_in_a_loop);
	tcase_add_test(t, H_4_between_two_watches_calls_go_elsewhere);
	tcase_add_test(t, H_4_what_is_malformed_ends_the_watch);
	tcase_add_test(t, H_4_fields_that_nobody_knows_are_skipped);
	tcase_add_test(t, H_4_a_status_is_an_enum_of_32_bits);
	tcase_add_test(t, H_4_an_answer_of_more_than_4096_bytes_is_not_read);
	tcase_add_test(t, H_4_a_connection_that_is_lost_is_made_again_and_asked_again);
	tcase_add_test(t, H_4_an_unhealthy_server_that_is_lost_counts_as_failed_until_it_is_ready);
	tcase_add_test(t, H_4_goaway_cancels_the_watch_and_nothing_else);
	tcase_add_test(t, H_4_a_server_that_leaves_the_list_is_let_go_of);
	tcase_add_test(t, H_4_of_several_connections_the_oldest_is_asked);
	tcase_add_test(t, H_4_pick_first_does_not_ask);
	tcase_add_test(t, H_4_without_a_name_nobody_asks);
	tcase_add_test(t, H_4_a_connection_that_two_policies_share_is_healthy_for_one_of_them_only);
	tcase_add_test(t, H_4_another_config_goes_for_the_connections_that_there_are);
	tcase_add_test(t, H_4_off_in_the_middle_of_a_backoff);
	tcase_add_test(t, H_4_the_watch_is_not_among_the_calls);
	tcase_add_test(t, H_4_the_channel_becomes_idle_in_spite_of_it);
	tcase_add_test(t, H_4_keepalive_finds_a_server_that_hangs_while_it_is_watched);
	tcase_add_test(t, H_4_a_channel_may_be_freed_at_any_time);
	tcase_add_test(t, H_4_a_watcher_may_free_the_channel_when_it_hears_of_health);
	suite_add_tcase(s, t);
	return s;
}

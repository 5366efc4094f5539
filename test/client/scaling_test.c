/* SPDX-License-Identifier: MIT */
/* Several connections to one server [B-5, A105]: when another one is made, which calls go where, and what becomes of
 * those that wait when connections fail and go. Every server allows so many calls on a connection, and calls stay
 * open until the test ends them. */
#include "client/fleet.h"
#include "run_suite.h"

#include "client/channel.h"
#include "world/alloc_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SCALING(max) "{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":" max "}}"
#define AND_LB(max, policy)                                                                        \
	"{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":" max                             \
	"},\"loadBalancingConfig\":[{\"" policy "\":{}}]}"

enum { CALLS = 40 };

static struct fleet fleet;
static struct probe probes[CALLS];
static char ended[256]; /* whose calls, 'a' the first, in their order */

static void teardown(void)
{
	fleet_close(&fleet);
}

static void open_with(const char *list, uint32_t streams, struct minirpc_channel_options options)
{
	memset(probes, 0, sizeof probes);
	ended[0] = '\0';
	ck_assert_int_eq(
		fleet_try_open_on(&fleet, list,
				  &(struct minirpc_server_options){ .limits.max_streams = streams },
				  &options),
		0);
}

static void open_json(const char *list, uint32_t streams, const char *json)
{
	open_with(list, streams, (struct minirpc_channel_options){ .service_config_json = json });
}

static void note_end(struct probe *probe)
{
	size_t len = strlen(ended);

	ended[len] = (char)('a' + (probe - probes));
	ended[len + 1] = '\0';
}

/* A call that is answered as soon as it is there, and stays open. */
static void begin_with(int i, struct minirpc_call_options options)
{
	probes[i] = (struct probe){ .on_end = note_end };
	probe_call(&probes[i], fleet.channel, &chat, &options);
	ck_assert_int_eq(minirpc_call_send(probes[i].call, "hello", 5), 0);
}

static void begin(int from, int to)
{
	for (int i = from; i < to; i++)
		begin_with(i, (struct minirpc_call_options){ 0 });
	fleet_settle(&fleet);
}

static void end(int i)
{
	ck_assert_int_eq(minirpc_call_end(probes[i].call, NULL), 0);
	fleet_settle(&fleet);
}

/* "xxx..": which of the first calls the server has seen. */
static const char *seen_by_server(int count)
{
	static char text[CALLS + 1];

	for (int i = 0; i < count; i++)
		text[i] = probes[i].messages > 0 ? 'x' : '.';
	text[count] = '\0';
	return text;
}

static struct mrpc_subchannel *first_subchannel(void)
{
	return mrpc_container(fleet.channel->subchannels.next, struct mrpc_subchannel, node);
}

/* "221": calls on each connection that is ready, the oldest first. */
static const char *spread_out(void)
{
	static char text[32];
	size_t len = 0;
	struct mrpc_subchannel *subchannel = first_subchannel();

	for (struct mrpc_list *node = subchannel->connections.next;
	     node != &subchannel->connections; node = node->next) {
		struct mrpc_connection *connection =
			mrpc_container(node, struct mrpc_connection, node);

		if (connection->is_ready)
			text[len++] = (char)('0' + mrpc_conn_open_calls(connection->conn));
	}
	text[len] = '\0';
	return text;
}

static struct fleet_pipe *pipe_number(int i)
{
	for (size_t at = 0; at < FLEET_PIPES; at++)
		if (fleet.pipes[at].client.conn != NULL && i-- == 0)
			return &fleet.pipes[at];
	ck_abort_msg("there is no such connection");
	return NULL;
}

static void cut(int i)
{
	fleet_cut(pipe_number(i));
	fleet_settle(&fleet);
}

/* ---- How many there are ---- */

START_TEST(B_5_without_a_word_there_is_one_connection)
{
	open_json("1", 2, "{}");
	begin(0, 5);
	ck_assert_uint_eq(fleet.dials, 1);
	ck_assert_str_eq(seen_by_server(5), "xx...");
	end(0);
	ck_assert_str_eq(seen_by_server(5), "xxx..");
}
END_TEST

START_TEST(B_5_ten_calls_over_three_connections)
{
	open_json("1", 2, SCALING("3"));
	begin(0, 10);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 3);
	ck_assert_str_eq(spread_out(), "222");
	ck_assert_str_eq(seen_by_server(10), "xxxxxx....");
	for (int i = 0; i < 10; i++)
		end(i);
	ck_assert_str_eq(ended, "abcdefghij");
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(probes[i].code, MINIRPC_OK);
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(B_5_calls_that_wait_go_in_their_order_to_where_there_is_room)
{
	open_json("1", 1, SCALING("3"));
	begin(0, 6);
	ck_assert_str_eq(seen_by_server(6), "xxx...");
	end(1); /* on the second connection */
	ck_assert_str_eq(seen_by_server(6), "xxxx..");
	end(2);
	end(0);
	ck_assert_str_eq(seen_by_server(6), "xxxxxx");
	ck_assert_str_eq(spread_out(), "111");
}
END_TEST

START_TEST(B_5_a_call_goes_to_the_oldest_with_room)
{
	open_json("1", 2, SCALING("2"));
	begin(0, 3);
	ck_assert_str_eq(spread_out(), "21");
	end(0);
	begin(3, 4);
	ck_assert_str_eq(spread_out(), "21");
	begin(4, 5);
	ck_assert_str_eq(spread_out(), "22");
	ck_assert_uint_eq(fleet.dials, 2);
}
END_TEST

START_TEST(B_5_no_connection_is_made_before_it_is_needed_nor_closed_for_being_idle)
{
	open_json("1", 2, SCALING("3"));
	begin(0, 2);
	ck_assert_uint_eq(fleet.dials, 1);
	begin(2, 3);
	ck_assert_uint_eq(fleet.dials, 2);
	end(2);
	fleet_advance(&fleet, MINIRPC_S(3600)); /* with a call on the first */
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
	end(0);
	end(1);
	fleet_advance(&fleet, MINIRPC_S(3600)); /* the channel's own idle timeout [B-2] */
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

static void ck_connections(const char *json, unsigned cap, unsigned expected)
{
	open_with("1", 1,
		  (struct minirpc_channel_options){ .service_config_json = json,
						    .max_connections_per_subchannel = cap });
	begin(0, 20);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), expected);
	fleet_close(&fleet);
}

START_TEST(B_5_the_channel_has_a_cap)
{
	ck_connections(SCALING("1"), 0, 1);
	ck_connections(SCALING("9"), 0, 9);
	ck_connections(SCALING("10"), 0, 10);
	ck_connections(SCALING("11"), 0, 10);
	ck_connections(SCALING("4294967295"), 0, 10);
	ck_connections(SCALING("12"), 11, 11);
	ck_connections(SCALING("12"), 12, 12);
	ck_connections(SCALING("12"), 1, 1);
	open_json("1", 1, "{}"); /* for the teardown */
}
END_TEST

START_TEST(B_5_as_a_struct)
{
	open_with("1", 1,
		  (struct minirpc_channel_options){
			  .service_config = &(struct minirpc_service_config){
				  .max_connections_per_subchannel = 2 } });
	begin(0, 3);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
}
END_TEST

/* ---- Another maximum while it runs ---- */

static void set_config(const char *json)
{
	ck_assert_int_eq(minirpc_channel_set_service_config(fleet.channel, json, NULL, 0), 0);
	fleet_settle(&fleet);
}

START_TEST(B_5_a_higher_maximum_serves_those_that_wait)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 5);
	ck_assert_str_eq(seen_by_server(5), "xx...");
	set_config(SCALING("4"));
	ck_assert_str_eq(seen_by_server(5), "xxxx.");
}
END_TEST

START_TEST(B_5_a_maximum_above_one_may_come_when_there_is_a_connection)
{
	open_json("1", 1, "{}");
	begin(0, 2);
	set_config(SCALING("2"));
	begin(2, 4);
	ck_assert_str_eq(seen_by_server(4), "x.x."); /* the second one waits in the connection */
	end(0);
	end(1);
	end(2);
	ck_assert_str_eq(seen_by_server(4), "xxxx");
}
END_TEST

START_TEST(B_5_a_lower_maximum_closes_nothing)
{
	open_json("1", 1, SCALING("3"));
	begin(0, 4);
	set_config(SCALING("1"));
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 3);
	end(1);
	ck_assert_str_eq(seen_by_server(4), "xxxx");
	begin(4, 5);
	cut(0);
	cut(0);
	ck_assert_uint_eq(fleet.dials, 3); /* one is left, and that is the maximum */
	ck_assert_str_eq(seen_by_server(5), "xxxx.");
}
END_TEST

/* ---- Failures ---- */

START_TEST(B_5_while_another_connection_fails_calls_wait_and_the_backoff_counts)
{
	struct fleet_server *server = &fleet.servers[1];

	open_json("1", 1, SCALING("2"));
	begin(0, 1);
	server->mode = FLEET_DOWN;
	begin(1, 4);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_uint_eq(server->dials, 2);
	fleet_advance(&fleet, MINIRPC_S(4));
	ck_assert_uint_ge(server->dials, 4);
	ck_assert_uint_le(server->dials, 5);
	ck_assert_int_ge(server->dialed[2] - server->dialed[1], MINIRPC_MS(800)); /* [B-1] */
	ck_assert_int_ge(server->dialed[3] - server->dialed[2], MINIRPC_MS(1280));
	ck_assert_str_eq(seen_by_server(4), "x...");
	end(0); /* there is room without another one */
	ck_assert_str_eq(seen_by_server(4), "xx..");
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(10));
	ck_assert_str_eq(seen_by_server(4), "xxx.");
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

START_TEST(B_5_an_attempt_that_is_needed_no_more_is_not_made)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 1);
	fleet.servers[1].mode = FLEET_DOWN;
	begin(1, 2);
	ck_assert_uint_eq(fleet.dials, 2);
	end(0);
	ck_assert_str_eq(seen_by_server(2), "xx");
	fleet_advance(&fleet, MINIRPC_S(60));
	ck_assert_uint_eq(fleet.dials, 2);
}
END_TEST

START_TEST(B_5_one_attempt_at_a_time)
{
	open_json("1", 1, SCALING("5"));
	begin(0, 1);
	fleet.servers[1].mode = FLEET_SILENT;
	begin(1, 5);
	fleet_advance(&fleet, MINIRPC_S(19));
	ck_assert_uint_eq(fleet.dials, 2);
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet,
		      MINIRPC_S(2)); /* given up after 20 s [B-1]; then one after the other */
	ck_assert_str_eq(seen_by_server(5), "xxxxx");
	ck_assert_uint_eq(fleet.dials, 6);
}
END_TEST

START_TEST(B_5_a_server_that_hangs_up_on_the_second_is_not_called_in_a_loop)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 3);
	ck_assert_uint_eq(fleet.dials, 2);
	cut(1);
	ck_assert_int_eq(probes[1].code, MINIRPC_UNAVAILABLE);
	ck_assert_uint_eq(fleet.dials, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	fleet_advance(&fleet, MINIRPC_MS(1200));
	ck_assert_uint_eq(fleet.dials, 3);
	ck_assert_str_eq(seen_by_server(3), "xxx");
}
END_TEST

START_TEST(B_5_the_loss_of_one_of_several_concerns_its_calls_alone)
{
	open_json("1", 2, SCALING("2"));
	begin(0, 6);
	ck_assert_str_eq(seen_by_server(6), "xxxx..");
	fleet_advance(&fleet, MINIRPC_S(5));
	end(1); /* a success: the server is fine */
	cut(0);
	ck_assert_str_eq(ended, "bae");
	ck_assert_int_eq(probes[0].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_str_eq(seen_by_server(6), "xxxxxx");
	ck_assert_str_eq(spread_out(), "21");
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(B_5_when_the_last_one_is_lost_those_that_wait_are_picked_again)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 5);
	end(0);
	ck_assert_str_eq(seen_by_server(5), "xxx..");
	fleet_cut(pipe_number(0));
	fleet_cut(pipe_number(0));
	fleet_settle(&fleet);
	ck_assert_int_eq(probes[1].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(probes[2].code, MINIRPC_UNAVAILABLE);
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_str_eq(seen_by_server(5), "xxxxx");
	end(3);
	end(4);
	ck_assert_str_eq(ended + strlen(ended) - 2, "de");
}
END_TEST

START_TEST(B_5_from_ready_to_transient_failure)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 1);
	fleet.servers[1].mode = FLEET_DOWN;
	begin(1, 2);
	begin_with(2, (struct minirpc_call_options){ .wait_for_ready = true });
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	cut(0); /* while the second one is in its backoff */
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_int_eq(probes[1].code, MINIRPC_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(probes[1].text, "Connection refused"));
	ck_assert_uint_eq(probes[2].ends, 0);
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_str_eq(seen_by_server(3), "x.x");
}
END_TEST

START_TEST(B_5_from_ready_to_connecting)
{
	open_json("12", 1, SCALING("2"));
	begin(0, 1);
	fleet.servers[1].mode = FLEET_SILENT;
	begin(1, 2);
	ck_assert_uint_eq(fleet.dials, 2);
	cut(0); /* while the second one is on its way */
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
	fleet_advance(&fleet, MINIRPC_MS(250)); /* all have their chance */
	ck_assert_str_eq(fleet.order, "112");
	ck_assert_str_eq(seen_by_server(2), "xx");
	ck_assert_str_eq(probes[1].peer, "server:2");
}
END_TEST

START_TEST(B_5_policies_that_spread_see_those_states_too)
{
	open_json("12", 1, AND_LB("2", "round_robin"));
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
	begin(0, 2);
	fleet.servers[1].mode = fleet.servers[2].mode = FLEET_DOWN;
	begin(2, 4);
	ck_assert_str_eq(seen_by_server(4), "xx..");
	cut(0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY); /* the other one */
	cut(0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	ck_assert_int_eq(probes[2].code, MINIRPC_UNAVAILABLE);
	ck_assert_int_eq(probes[3].code, MINIRPC_UNAVAILABLE);
}
END_TEST

START_TEST(B_5_a_failure_of_the_second_is_forgotten_after_its_backoff)
{
	open_json("1", 1, AND_LB("2", "round_robin"));
	begin(0, 1);
	fleet.servers[1].mode = FLEET_DOWN;
	begin(1, 2);
	end(0);
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(5));
	fleet.servers[1].mode = FLEET_SILENT;
	cut(0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING); /* and not as if it had failed */
}
END_TEST

START_TEST(B_5_goaway_of_all_calls_run_on_and_the_others_wait)
{
	open_json("12", 1, SCALING("2"));
	begin(0, 3);
	fleet_drain(&fleet, 1);
	fleet_settle(&fleet);
	fleet_advance(&fleet, MINIRPC_S(3));
	ck_assert_str_eq(seen_by_server(3), "xxx");
	ck_assert_str_eq(probes[2].peer, "server:2");
	end(0);
	end(1);
	ck_assert_int_eq(probes[0].code, MINIRPC_OK);
	ck_assert_int_eq(probes[1].code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 0);
}
END_TEST

START_TEST(B_5_goaway_of_one)
{
	memset(probes, 0, sizeof probes);
	ended[0] = '\0';
	ck_assert_int_eq(
		fleet_try_open_on(
			&fleet, "1",
			&(struct minirpc_server_options){ .limits.max_streams = 1,
							  .max_connection_age = MINIRPC_S(100) },
			&(struct minirpc_channel_options){ .service_config_json = SCALING("2") }),
		0);
	begin(0, 1);
	fleet_advance(&fleet, MINIRPC_S(60));
	begin(1, 2);
	fleet_advance(&fleet, MINIRPC_S(55)); /* the first one has gone by now, the second not */
	ck_assert_str_eq(spread_out(), "1");
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	begin(2, 3);
	ck_assert_str_eq(spread_out(), "11");
	end(0);
	ck_assert_int_eq(probes[0].code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
	end(1);
	end(2);
	ck_assert_str_eq(ended, "abc");
}
END_TEST

/* ---- Calls that wait ---- */

START_TEST(B_5_calls_that_wait_can_be_cancelled_and_have_deadlines)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 3);
	begin_with(3, (struct minirpc_call_options){ .timeout = MINIRPC_S(1) });
	begin(4, 6);
	ck_assert_uint_eq(first_subchannel()->queued, 4);
	minirpc_call_cancel(probes[2].call);
	fleet_settle(&fleet);
	ck_assert_uint_eq(first_subchannel()->queued, 3);
	fleet_advance(&fleet, MINIRPC_S(1));
	ck_assert_int_eq(probes[3].code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_uint_eq(first_subchannel()->queued, 2);
	end(0);
	end(1);
	ck_assert_str_eq(seen_by_server(6), "xx..xx");
	ck_assert_uint_eq(first_subchannel()->queued, 0);
}
END_TEST

START_TEST(B_5_the_channel_may_be_freed_in_the_middle)
{
	open_json("1", 1, SCALING("3"));
	begin(0, 1);
	fleet.servers[1].mode = FLEET_SILENT;
	begin(1, 5);
	fleet.channel = minirpc_channel_free(fleet.channel);
	fleet_settle(&fleet);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(probes[i].ends, 0);
}
END_TEST

static void free_channel(struct probe *probe)
{
	(void)probe;
	fleet.channel = minirpc_channel_free(fleet.channel);
}

START_TEST(B_5_the_channel_may_be_freed_by_a_call_that_makes_room)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 5);
	probes[1].on_end = free_channel;
	end(1);
	ck_assert_ptr_null(fleet.channel);
}
END_TEST

START_TEST(B_5_those_that_wait_for_a_server_that_leaves_the_list_go_to_another)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 4);
	ck_assert_int_eq(fleet_push(&fleet, "2", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(seen_by_server(4), "xxxx");
	ck_assert_str_eq(probes[3].peer, "server:2");
	end(0);
	ck_assert_int_eq(probes[0].code, MINIRPC_OK);
}
END_TEST

START_TEST(B_5_another_policy_places_those_that_wait_anew)
{
	open_json("12", 1, AND_LB("1", "pick_first"));
	begin(0, 1);
	set_config(AND_LB("2", "pick_first"));
	begin(1, 5);
	ck_assert_str_eq(seen_by_server(5), "xx...");
	set_config(AND_LB(
		"2", "round_robin")); /* with the same connections, until there are those to 2 */
	ck_assert_str_eq(seen_by_server(5), "xx...");
	ck_assert_uint_eq(first_subchannel()->queued, 3);
	ck_assert_int_eq(fleet_push(&fleet, "3", AND_LB("2", "pick_first"), NULL), 0);
	fleet_settle(&fleet);
	ck_assert_str_eq(seen_by_server(5), "xxxx.");
	ck_assert_str_eq(probes[3].peer, "server:3");
	for (int i = 0; i < 5; i++)
		end(i);
	ck_assert_uint_eq((unsigned)strlen(ended), 5);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(probes[i].code, MINIRPC_OK);
}
END_TEST

START_TEST(B_5_idle_by_hand_is_no_end_for_those_that_wait)
{
	open_json("1", 1, SCALING("2"));
	begin(0, 4);
	minirpc_channel_enter_idle(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_str_eq(seen_by_server(4), "xxxx");
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 4); /* two of them end with their calls */
	end(0);
	end(1);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
}
END_TEST

START_TEST(B_5_least_request_counts_those_that_wait)
{
	open_json("12", 1,
		  "{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":2},"
		  "\"loadBalancingConfig\":[{\"least_request\":{\"choiceCount\":10}}]}");
	begin(0, 1);
	for (int i = 1; i < 12; i++)
		begin(i, i + 1);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 2);
	ck_assert_uint_eq(fleet_connections(&fleet, 2), 2);
	for (struct mrpc_list *node = fleet.channel->subchannels.next;
	     node != &fleet.channel->subchannels; node = node->next)
		ck_assert_uint_eq(mrpc_subchannel_open_calls(
					  mrpc_container(node, struct mrpc_subchannel, node)),
				  6);
}
END_TEST

/* ---- Without memory ---- */

static unsigned made;

static void try_begin(bool wait_for_ready)
{
	struct probe *probe = &probes[made];
	int r;

	r = minirpc_call_open(&probe->call, fleet.channel, &echo,
			      &(struct minirpc_call_options){ .wait_for_ready = wait_for_ready,
							      .timeout = MINIRPC_S(300) },
			      &probe_events, probe);
	ck_assert(r == 0 || r == -ENOMEM);
	if (r < 0)
		return;
	made++;
	r = minirpc_call_send(probe->call, "hello", 5);
	if (r == -ENOMEM) {
		minirpc_call_cancel(probe->call);
		made--;
		memset(probe, 0, sizeof *probe);
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_int_eq(minirpc_call_end(probe->call, NULL), 0);
}

static void tell(void)
{
	for (int i = 0; i < 6; i++)
		try_begin(i % 2 == 0);
	fleet_settle(&fleet);
	for (int i = 0; i < 4; i++)
		try_begin(true);
	fleet_kill(&fleet, 1);
	for (int i = 0; i < 4; i++)
		try_begin(true);
	fleet_advance(&fleet, MINIRPC_S(5));
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(30));
	for (int i = 0; i < 4; i++)
		try_begin(false);
	minirpc_channel_enter_idle(fleet.channel);
	fleet_advance(&fleet, MINIRPC_S(30));
}

static size_t story(size_t n, bool forever)
{
	struct probe last = { 0 };
	size_t refused;

	memset(probes, 0, sizeof probes);
	made = 0;
	alloc_fail_at(n, forever);
	if (fleet_try_open_on(
		    &fleet, "1", &(struct minirpc_server_options){ .limits.max_streams = 1 },
		    &(struct minirpc_channel_options){ .service_config_json = SCALING("3") }) == 0)
		tell();
	refused = alloc_refused();
	alloc_fail_at(0, false);
	if (fleet.channel != NULL) {
		probe_call(&last, fleet.channel, &echo,
			   &(struct minirpc_call_options){ .wait_for_ready = true,
							   .timeout = MINIRPC_S(200) });
		fleet_advance(&fleet, MINIRPC_S(300));
		ck_assert_uint_eq(last.ends, 1);
		ck_assert_int_eq(last.code, MINIRPC_OK);
	}
	for (unsigned i = 0; i < made; i++)
		ck_assert_uint_eq(probes[i].ends, 1);
	fleet_close(&fleet);
	return refused;
}

START_TEST(B_5_one_allocation_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(story, false), 100);
}
END_TEST

START_TEST(B_5_all_allocations_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(story, true), 100);
}
END_TEST

START_TEST(B_5_with_memory_no_call_is_lost)
{
	ck_assert_uint_eq(story(0, false), 0);
	ck_assert_uint_eq(made, 18);
	for (unsigned i = 0; i < made; i++)
		ck_assert_int_eq(probes[i].code, MINIRPC_OK);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/scaling");
	TCase *t = tcase_create("scaling"), *memory = tcase_create("memory");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, B_5_without_a_word_there_is_one_connection);
	tcase_add_test(t, B_5_ten_calls_over_three_connections);
	tcase_add_test(t, B_5_calls_that_wait_go_in_their_order_to_where_there_is_room);
	tcase_add_test(t, B_5_a_call_goes_to_the_oldest_with_room);
	tcase_add_test(t, B_5_no_connection_is_made_before_it_is_needed_nor_closed_for_being_idle);
	tcase_add_test(t, B_5_the_channel_has_a_cap);
	tcase_add_test(t, B_5_as_a_struct);
	tcase_add_test(t, B_5_a_higher_maximum_serves_those_that_wait);
	tcase_add_test(t, B_5_a_maximum_above_one_may_come_when_there_is_a_connection);
	tcase_add_test(t, B_5_a_lower_maximum_closes_nothing);
	tcase_add_test(t, B_5_while_another_connection_fails_calls_wait_and_the_backoff_counts);
	tcase_add_test(t, B_5_an_attempt_that_is_needed_no_more_is_not_made);
	tcase_add_test(t, B_5_one_attempt_at_a_time);
	tcase_add_test(t, B_5_a_server_that_hangs_up_on_the_second_is_not_called_in_a_loop);
	tcase_add_test(t, B_5_the_loss_of_one_of_several_concerns_its_calls_alone);
	tcase_add_test(t, B_5_when_the_last_one_is_lost_those_that_wait_are_picked_again);
	tcase_add_test(t, B_5_from_ready_to_transient_failure);
	tcase_add_test(t, B_5_from_ready_to_connecting);
	tcase_add_test(t, B_5_policies_that_spread_see_those_states_too);
	tcase_add_test(t, B_5_a_failure_of_the_second_is_forgotten_after_its_backoff);
	tcase_add_test(t, B_5_goaway_of_all_calls_run_on_and_the_others_wait);
	tcase_add_test(t, B_5_goaway_of_one);
	tcase_add_test(t, B_5_calls_that_wait_can_be_cancelled_and_have_deadlines);
	tcase_add_test(t, B_5_the_channel_may_be_freed_in_the_middle);
	tcase_add_test(t, B_5_the_channel_may_be_freed_by_a_call_that_makes_room);
	tcase_add_test(t, B_5_those_that_wait_for_a_server_that_leaves_the_list_go_to_another);
	tcase_add_test(t, B_5_another_policy_places_those_that_wait_anew);
	tcase_add_test(t, B_5_idle_by_hand_is_no_end_for_those_that_wait);
	tcase_add_test(t, B_5_least_request_counts_those_that_wait);
	tcase_set_timeout(memory, 120);
	tcase_add_test(memory, B_5_one_allocation_may_fail);
	tcase_add_test(memory, B_5_all_allocations_may_fail);
	tcase_add_test(memory, B_5_with_memory_no_call_is_lost);
	suite_add_tcase(s, t);
	suite_add_tcase(s, memory);
	return s;
}

/* SPDX-License-Identifier: MIT */
/* Three servers on real sockets behind one channel, one of them killed and brought back. Ports are the system's
 * choice; nothing sleeps: calls are made until what has to come has come. */
#include "client/pair.h"
#include "run_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static minirpc_loop *loop;
static minirpc_channel *channel;
static struct host {
	minirpc_server *server;
	uint16_t port;
} hosts[3];

static void listen_again(struct host *host)
{
	char address[32];

	ck_assert_int_eq(minirpc_server_new(&host->server, loop, NULL), 0);
	pair_serve(host->server);
	snprintf(address, sizeof address, "127.0.0.1:%u", host->port);
	ck_assert_int_eq(
		minirpc_server_listen(host->server, address,
				      &(struct minirpc_listen_options){ .ret_port = &host->port }),
		0);
}

static void setup(void)
{
	memset(&seen, 0, sizeof seen);
	memset(hosts, 0, sizeof hosts);
	channel = NULL;
	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
	for (int i = 0; i < 3; i++)
		listen_again(&hosts[i]);
}

static void teardown(void)
{
	minirpc_channel_free(channel);
	for (int i = 0; i < 3; i++)
		minirpc_server_free(hosts[i].server);
	minirpc_loop_free(loop);
}

static void open_channel(const char *policy, const char *config)
{
	char target[128];

	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u,127.0.0.1:%u,127.0.0.1:%u",
		 hosts[0].port, hosts[1].port, hosts[2].port);
	ck_assert_int_eq(minirpc_channel_new(&channel, loop, target,
					     &(struct minirpc_channel_options){
						     .load_balancing = policy,
						     .service_config_json = config,
						     .backoff_initial = MINIRPC_MS(5),
						     .backoff_max = MINIRPC_MS(20) }),
			 0);
}

/* The index of the server that answered; -1: none. */
static int call(void)
{
	struct probe probe = { 0 };
	char peer[64];

	probe_call(&probe, channel, &echo,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_S(20) });
	ck_assert_int_eq(minirpc_call_wait(probe.call), 0);
	ck_assert_uint_eq(probe.ends, 1);
	for (int i = 0; i < 3 && probe.code == MINIRPC_OK; i++) {
		snprintf(peer, sizeof peer, "ipv4:127.0.0.1:%u", hosts[i].port);
		if (strcmp(probe.peer, peer) == 0)
			return i;
	}
	return -1;
}

/* Calls until every server in the set (a bit each) has answered; asserts that no other does, and that none fails. */
static void call_until_all_of(unsigned set)
{
	unsigned answered = 0;

	for (int i = 0; i < 20000 && answered != set; i++) {
		int who = call();

		ck_assert_int_ge(who, 0);
		answered |= 1u << who;
		ck_assert_uint_eq(answered & ~set, 0);
	}
	ck_assert_uint_eq(answered, set);
}

static void kill_and_revive(void)
{
	call_until_all_of(7);
	hosts[1].server = minirpc_server_free(hosts[1].server);
	/* Calls that were on it when it died are repeated by the policy; those that begin later go to the others. */
	call_until_all_of(5);
	listen_again(&hosts[1]);
	call_until_all_of(7);
}

#define RETRY                                                                                      \
	"{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":4,"                    \
	"\"initialBackoff\":\"0.001s\",\"maxBackoff\":\"0.01s\",\"backoffMultiplier\":2,"          \
	"\"retryableStatusCodes\":[\"UNAVAILABLE\"]}}]}"

START_TEST(round_robin_survives_one_of_three_and_takes_it_back)
{
	open_channel("round_robin", RETRY);
	kill_and_revive();
}
END_TEST

START_TEST(least_request_survives_one_of_three_and_takes_it_back)
{
	open_channel("least_request", RETRY);
	kill_and_revive();
}
END_TEST

START_TEST(pick_first_moves_on_when_its_server_is_killed)
{
	int first, next;

	open_channel("pick_first", RETRY);
	first = call();
	ck_assert_int_eq(first, 0);
	hosts[0].server = minirpc_server_free(hosts[0].server);
	next = call();
	ck_assert_int_eq(next, 1);
	ck_assert_int_eq(call(), next);
}
END_TEST

START_TEST(a_drained_server_costs_no_call_even_without_retries)
{
	open_channel("round_robin", NULL);
	call_until_all_of(7);
	ck_assert_int_eq(minirpc_server_drain(hosts[2].server, 0, NULL, NULL), 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_ge(call(), 0);
	call_until_all_of(3);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/three_servers");
	TCase *t = tcase_create("three_servers");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, round_robin_survives_one_of_three_and_takes_it_back);
	tcase_add_test(t, least_request_survives_one_of_three_and_takes_it_back);
	tcase_add_test(t, pick_first_moves_on_when_its_server_is_killed);
	tcase_add_test(t, a_drained_server_costs_no_call_even_without_retries);
	suite_add_tcase(s, t);
	return s;
}

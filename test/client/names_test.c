/* SPDX-License-Identifier: MIT */
/* A channel to a name whose records change: servers, a DNS server and the channel on one loop, real sockets, a clock
 * turned by hand. The question that users of others ask most: new servers behind a name, and no calls for them. */
#include "client/pair.h"
#include "io/dns_server.h"
#include "io/hand_loop.h"
#include "io/resolve.h"
#include "run_suite.h"

#include <stdio.h>
#include <string.h>

static struct hand_loop hand;
static struct dns_server dns;
static minirpc_server *servers[3]; /* 127.0.0.1, .2 and .3, on one port */
static minirpc_channel *channel;
static uint16_t port;

static const char *const addresses[] = { "127.0.0.1", "127.0.0.2", "127.0.0.3" };

static bool listen_on_all(void)
{
	port = 0;
	for (int i = 0; i < 3; i++) {
		char address[32];

		ck_assert_int_eq(minirpc_server_new(&servers[i], hand.loop, NULL), 0);
		pair_serve(servers[i]);
		snprintf(address, sizeof address, "%s:%u", addresses[i], port);
		if (minirpc_server_listen(servers[i], address,
					  &(struct minirpc_listen_options){ .ret_port = &port }) ==
		    0)
			continue;
		for (; i >= 0; i--)
			minirpc_server_free(servers[i]);
		return false; /* the port is taken on one of them */
	}
	return true;
}

static void set_up(void)
{
	hand_init(&hand, NULL);
	dns_server_init(&dns, hand.loop);
	while (!listen_on_all())
		;
	channel = NULL;
}

static void tear_down(void)
{
	minirpc_channel_free(channel);
	for (int i = 0; i < 3; i++)
		minirpc_server_free(servers[i]);
	dns_server_clear(&dns);
	hand_clear(&hand);
}

static void open_channel(const char *policy)
{
	char target[80];

	snprintf(target, sizeof target, "dns://%s/cache.test:%u", dns.address, port);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, hand.loop, target,
				    &(struct minirpc_channel_options){
					    .load_balancing = policy, .no_resolver_config = true }),
		0);
}

/* Makes calls, none of which fails; the servers that answered, as a set: 1, 2 and 4. */
static unsigned answerers_of(int calls)
{
	unsigned set = 0;

	for (int i = 0; i < calls; i++) {
		struct probe probe = { 0 };

		probe_call(&probe, channel, &echo, NULL);
		while (probe.ends == 0)
			hand_turn(&hand);
		ck_assert_int_eq(probe.code, MINIRPC_OK);
		ck_assert_int_eq(strncmp(probe.peer, "ipv4:127.0.0.", 13), 0);
		set |= 1U << (probe.peer[13] - '1');
	}
	return set;
}

static unsigned answerers(void)
{
	return answerers_of(6);
}

/* Turns until the name has been asked for once more and the answers have had their effect. */
static void after_look_up(unsigned asked)
{
	while (dns.asked_a < asked)
		hand_turn(&hand);
	hand_settle(&hand);
}

START_TEST(new_servers_behind_a_name_get_calls_after_the_ttl)
{
	uint64_t begun;
	struct minirpc_conn_counts counts;

	dns.a[0] = addresses[0];
	dns.ttl = 30;
	open_channel("round_robin");
	ck_assert_uint_eq(answerers(), 1);
	ck_assert_uint_eq(dns.asked_a, 1);
	minirpc_channel_counts(channel, &counts);
	begun = counts.calls_started;

	dns.a[1] = addresses[1];
	dns.a[2] = addresses[2];
	hand_advance(&hand, MINIRPC_S(30) - 1);
	ck_assert_uint_eq(answerers(), 1);
	hand_advance(&hand, 1);
	after_look_up(2);
	ck_assert_uint_eq(answerers(), 7);
	ck_assert_int_eq(minirpc_channel_state(channel), MINIRPC_READY);
	minirpc_channel_counts(channel, &counts);
	ck_assert_uint_eq(counts.calls_started, begun + 12); /* none was started twice */

	dns.a[0] = addresses[1]; /* the first is taken away */
	dns.a[1] = NULL;
	hand_advance(&hand, MINIRPC_S(30));
	after_look_up(3);
	ck_assert_uint_eq(answerers(), 2);
}
END_TEST

START_TEST(a_name_that_fails_later_keeps_its_servers)
{
	dns.a[0] = addresses[0];
	dns.a[1] = addresses[1];
	dns.ttl = 30;
	open_channel("round_robin");
	ck_assert_uint_eq(answerers(), 3);
	dns.rcode = 3;
	hand_advance(&hand, MINIRPC_S(30));
	after_look_up(2);
	ck_assert_uint_eq(answerers(), 3);
	dns.rcode = 0;
	dns.a[0] = addresses[2];
	hand_advance(&hand, MINIRPC_MS(1200));
	after_look_up(3);
	ck_assert_uint_eq(answerers(), 6);
}
END_TEST

START_TEST(a_server_that_moved_is_found_when_it_is_lost)
{
	dns.a[0] = addresses[0];
	dns.ttl = 3600;
	open_channel(NULL);
	ck_assert_uint_eq(answerers(), 1);
	hand_advance(&hand, MINIRPC_S(60));
	ck_assert_uint_eq(dns.asked_a, 1);
	dns.a[0] = addresses[1];
	servers[0] = minirpc_server_free(servers[0]);
	after_look_up(2); /* without a call that asks for it */
	ck_assert_uint_eq(answerers(), 2);
}
END_TEST

/* least_request draws: so many calls that all of them have one. */
enum { MANY = 40 };
static const char *const spreading[] = { "round_robin", "least_request" };

START_TEST(L_2_policies_that_spread_ask_again_when_one_of_their_servers_is_lost)
{
	dns.a[0] = addresses[0];
	dns.a[1] = addresses[1];
	dns.ttl = 3600;
	open_channel(spreading[_i]);
	ck_assert_uint_eq(answerers_of(MANY), 3);
	hand_advance(&hand, MINIRPC_S(60));
	ck_assert_uint_eq(dns.asked_a, 1);
	dns.a[0] = addresses[2]; /* the first has moved */
	servers[0] = minirpc_server_free(servers[0]);
	after_look_up(2); /* without a call that asks for it */
	ck_assert_uint_eq(answerers_of(MANY), 6);

	hand_advance(&hand, MINIRPC_S(3600) - 1); /* and never without a reason */
	ck_assert_uint_eq(dns.asked_a, 2);
}
END_TEST

START_TEST(L_2_policies_that_spread_ask_again_when_a_server_restarts)
{
	char address[32];

	dns.a[0] = addresses[0];
	dns.ttl = 3600;
	open_channel(spreading[_i]);
	ck_assert_uint_eq(answerers_of(MANY), 1);
	hand_advance(&hand, MINIRPC_S(60));
	minirpc_server_free(servers[0]);
	ck_assert_int_eq(minirpc_server_new(&servers[0], hand.loop, NULL), 0);
	pair_serve(servers[0]);
	snprintf(address, sizeof address, "%s:%u", addresses[0], port);
	ck_assert_int_eq(minirpc_server_listen(servers[0], address, NULL), 0);
	after_look_up(2); /* though it can be reached again at once */
	ck_assert_uint_eq(answerers_of(MANY), 1);
	ck_assert_uint_eq(dns.asked_a, 2);
}
END_TEST

START_TEST(L_2_policies_that_spread_ask_again_when_a_server_cannot_be_reached)
{
	dns.a[0] = addresses[0];
	dns.a[1] = addresses[1];
	dns.ttl = 3600;
	servers[0] = minirpc_server_free(servers[0]);
	open_channel(spreading[_i]);
	ck_assert_uint_eq(answerers_of(MANY), 2);
	ck_assert_uint_eq(dns.asked_a, 1);
	dns.a[0] = addresses[2];
	hand_advance(&hand, MINIRPC_S(30) - 1); /* the minimum interval */
	ck_assert_uint_eq(dns.asked_a, 1);
	hand_advance(&hand, 1);
	after_look_up(2);
	ck_assert_uint_eq(answerers_of(MANY), 6);
}
END_TEST

START_TEST(L_2_a_service_that_moved_as_a_whole_is_found)
{
	struct probe probe = { 0 };

	dns.a[0] = addresses[0];
	dns.ttl = 3600;
	servers[0] = minirpc_server_free(servers[0]);
	open_channel(spreading[_i]);
	probe_call(&probe, channel, &echo, NULL);
	while (probe.ends == 0)
		hand_turn(&hand);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	dns.a[0] = addresses[1];
	hand_advance(&hand, MINIRPC_S(30));
	after_look_up(2);
	ck_assert_uint_eq(answerers_of(MANY), 2);
}
END_TEST

START_TEST(a_name_without_an_address_fails_calls_and_says_why)
{
	struct probe probe = { 0 };

	dns.rcode = 3;
	open_channel(NULL);
	probe_call(&probe, channel, &echo, NULL);
	while (probe.ends == 0)
		hand_turn(&hand);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_ptr_nonnull(strstr(
		probe.text, "name resolution of cache.test failed: cache.test: no such host"));
}
END_TEST

Suite *suite(void)
{
	Suite *suite;
	TCase *all;

	if (!mrpc_resolve_asks_servers()) {
		puts("skipped: client/names: a DNS server of the test's is asked: not without "
		     "c-ares");
		return NULL;
	}
	suite = suite_create("client/names");
	all = tcase_create("all");
	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, new_servers_behind_a_name_get_calls_after_the_ttl);
	tcase_add_test(all, a_name_that_fails_later_keeps_its_servers);
	tcase_add_test(all, a_server_that_moved_is_found_when_it_is_lost);
	tcase_add_loop_test(
		all, L_2_policies_that_spread_ask_again_when_one_of_their_servers_is_lost, 0, 2);
	tcase_add_loop_test(all, L_2_policies_that_spread_ask_again_when_a_server_restarts, 0, 2);
	tcase_add_loop_test(all, L_2_policies_that_spread_ask_again_when_a_server_cannot_be_reached,
			    0, 2);
	tcase_add_loop_test(all, L_2_a_service_that_moved_as_a_whole_is_found, 0, 2);
	tcase_add_test(all, a_name_without_an_address_fails_calls_and_says_why);
	tcase_set_timeout(all, 20);
	suite_add_tcase(suite, all);
	return suite;
}

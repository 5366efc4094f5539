/* SPDX-License-Identifier: MIT */
/* A story of a channel that changes its servers and its policy all the time, told with each allocation failing, once
 * and for ever after: every call has one end, nothing is left over, and what is in order afterwards works. */
#include "client/fleet.h"
#include "run_suite.h"

#include "world/alloc_sweep.h"

#include <errno.h>
#include <string.h>

#define LB(policy) "{\"loadBalancingConfig\":[{\"" policy "\":{}}]}"

enum { CALLS = 24 };

static struct fleet fleet;
static struct probe probes[CALLS];
static unsigned made;

static void try_call(const struct minirpc_method *method, bool wait_for_ready)
{
	struct probe *probe = &probes[made];
	int r;

	r = minirpc_call_open(&probe->call, fleet.channel, method,
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

static void push(const char *list)
{
	int r;

	if (fleet.resolving == NULL)
		return;
	r = fleet_push(&fleet, list, NULL, NULL);
	ck_assert(r == 0 || r == -ENOMEM);
	fleet_settle(&fleet);
}

static void choose(const char *config)
{
	int r = minirpc_channel_set_service_config(fleet.channel, config, NULL, 0);

	ck_assert(r == 0 || r == -ENOMEM);
	fleet_settle(&fleet);
}

static void tell(void)
{
	try_call(&echo, false);
	try_call(&chat, true);
	fleet_settle(&fleet);
	push("234");
	try_call(&echo, true);
	fleet_kill(&fleet, 2);
	try_call(&echo, false);
	choose(LB("pick_first"));
	try_call(&echo, false);
	fleet_settle(&fleet);
	fleet_drain(&fleet, 3);
	try_call(&echo, true);
	push("12,34");
	choose(LB("least_request"));
	try_call(&echo, true);
	fleet_settle(&fleet);
	push("");
	try_call(&echo, false);
	try_call(&echo, true);
	fleet_settle(&fleet);
	push("5");
	minirpc_channel_enter_idle(fleet.channel);
	try_call(&echo, true);
	fleet_advance(&fleet, MINIRPC_S(30));
}

/* The channel is what it was, once there is memory. */
static void works_again(void)
{
	struct probe probe = { 0 };

	fleet.list = "6";
	push("6");
	probe_call(&probe, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true,
						   .timeout = MINIRPC_S(200) });
	fleet_advance(&fleet, MINIRPC_S(150));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.peer, "server:6");
}

static size_t story(size_t n, bool forever)
{
	size_t refused;

	memset(probes, 0, sizeof probes);
	made = 0;
	alloc_fail_at(n, forever);
	if (fleet_try_open(&fleet, "123",
			   &(struct minirpc_channel_options){ .load_balancing = "round_robin" }) ==
	    0)
		tell();
	refused = alloc_refused();
	alloc_fail_at(0, false);
	if (fleet.channel != NULL) {
		works_again();
		fleet_advance(&fleet, MINIRPC_S(300));
	}
	for (unsigned i = 0; i < made; i++)
		ck_assert_uint_eq(probes[i].ends, 1);
	fleet_close(&fleet);
	return refused;
}

START_TEST(one_allocation_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(story, false), 100);
}
END_TEST

START_TEST(all_allocations_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(story, true), 100);
}
END_TEST

START_TEST(with_memory_every_call_that_may_succeed_does)
{
	ck_assert_uint_eq(story(0, false), 0);
	ck_assert_uint_eq(made, 10);
	for (unsigned i = 0; i < made; i++)
		ck_assert_int_eq(probes[i].code, i == 7 ? MINIRPC_UNAVAILABLE /* no servers */
							: MINIRPC_OK);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/rebalancing");
	TCase *t = tcase_create("rebalancing");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, one_allocation_may_fail);
	tcase_add_test(t, all_allocations_may_fail);
	tcase_add_test(t, with_memory_every_call_that_may_succeed_does);
	suite_add_tcase(s, t);
	return s;
}

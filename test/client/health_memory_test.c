/* SPDX-License-Identifier: MIT */
/* Health checks [H-4] with each allocation failing, once and for ever after: every call has one end, nothing is left
 * over, and once there is memory a server gets calls when it serves, and none when it does not. */
#include "client/doctor.h"
#include "run_suite.h"

#include "world/alloc_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WATCH(service)                                                                             \
	"{\"loadBalancingConfig\":[{\"round_robin\":{}}],"                                         \
	"\"healthCheckConfig\":{\"serviceName\":\"" service "\"}}"

enum { CALLS = 8 };

static struct fleet fleet;
static struct probe probes[CALLS];
static unsigned made;

static void try_call(void)
{
	struct probe *probe = &probes[made];
	int r;

	r = minirpc_call_open(
		&probe->call, fleet.channel, &echo,
		&(struct minirpc_call_options){ .wait_for_ready = true, .timeout = MINIRPC_S(300) },
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

static void choose(const char *config)
{
	int r = minirpc_channel_set_service_config(fleet.channel, config, NULL, 0);

	ck_assert(r == 0 || r == -ENOMEM);
	fleet_settle(&fleet);
}

static void tell(void)
{
	doctors[2].says = NOT_SERVING;
	doctors[3].says = FAILS;
	doctors[3].code = MINIRPC_INTERNAL;
	try_call();
	fleet_advance(&fleet, MINIRPC_S(2));
	doctor_says(1, NOT_SERVING);
	doctor_says(2, SERVING);
	fleet_settle(&fleet);
	try_call();
	doctor_ends(2, MINIRPC_OK);
	fleet_advance(&fleet, MINIRPC_S(2));
	choose(WATCH("another"));
	try_call();
	fleet_kill(&fleet, 1);
	fleet_revive(&fleet, 1);
	fleet_advance(&fleet, MINIRPC_S(2));
	choose("{\"loadBalancingConfig\":[{\"round_robin\":{}}]}");
	choose(WATCH("the last"));
	try_call();
	fleet_advance(&fleet, MINIRPC_S(5));
}

static void works_again(void)
{
	for (unsigned i = 1; i <= 4; i++)
		doctors[i].says = i == 3 ? SERVING : NOT_SERVING;
	/* Without the old one, whatever it was: a config that could not be taken counts no more. */
	ck_assert_int_eq(
		minirpc_channel_set_service_config(fleet.channel, WATCH("memory"), NULL, 0), 0);
	fleet_advance(&fleet, MINIRPC_S(300));
	minirpc_channel_connect(fleet.channel);
	fleet_advance(&fleet, MINIRPC_S(1));
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(fleet_call(&fleet), 3);
}

static size_t story(size_t n, bool forever)
{
	size_t refused;

	memset(probes, 0, sizeof probes);
	made = 0;
	alloc_fail_at(n, forever);
	if (doctors_try_open(
		    &fleet, "123", "",
		    &(struct minirpc_channel_options){ .service_config_json = WATCH("s") }) == 0)
		tell();
	refused = alloc_refused();
	alloc_fail_at(0, false);
	if (fleet.channel != NULL && doctors[FLEET_MAX].says == SERVING)
		works_again();
	for (unsigned i = 0; i < made; i++)
		ck_assert_uint_eq(probes[i].ends, 1);
	fleet_close(&fleet);
	return refused;
}

START_TEST(H_4_one_allocation_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(story, false), 100);
}
END_TEST

START_TEST(H_4_all_allocations_may_fail)
{
	ck_assert_uint_gt(alloc_sweep(story, true), 100);
}
END_TEST

START_TEST(H_4_with_memory_every_call_succeeds)
{
	ck_assert_uint_eq(story(0, false), 0);
	ck_assert_uint_eq(made, 4);
	for (unsigned i = 0; i < made; i++)
		ck_assert_int_eq(probes[i].code, MINIRPC_OK);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/health_memory");
	TCase *t = tcase_create("health_memory");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, H_4_one_allocation_may_fail);
	tcase_add_test(t, H_4_all_allocations_may_fail);
	tcase_add_test(t, H_4_with_memory_every_call_succeeds);
	suite_add_tcase(s, t);
	return s;
}

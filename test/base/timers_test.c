/* SPDX-License-Identifier: MIT */
#include "base/list.h"
#include "base/timers.h"
#include "run_suite.h"

#include <stdlib.h>

struct probe {
	struct mrpc_timer timer;
	minirpc_time ran_at, again_at;
	int runs;
};

static minirpc_time last_run;

static void run(struct mrpc_timer *timer, minirpc_time now)
{
	struct probe *probe = mrpc_container(timer, struct probe, timer);

	probe->runs++;
	probe->ran_at = now;
	last_run = now;
	if (probe->again_at != 0)
		mrpc_timer_set(timer, probe->again_at);
}

START_TEST(timers_run_in_order_of_time_whatever_the_order_of_setting)
{
	enum { COUNT = 500 };
	static struct probe probes[COUNT];
	struct mrpc_timers timers;
	minirpc_time next;

	srandom(7);
	mrpc_timers_init(&timers);
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(mrpc_timer_bind(&probes[i].timer, &timers, run), 0);
		mrpc_timer_set(&probes[i].timer, random() % 1000);
	}
	for (int i = 0; i < COUNT; i += 3) /* some are moved, some stopped */
		mrpc_timer_set(&probes[i].timer, random() % 1000);
	for (int i = 0; i < COUNT; i += 7)
		mrpc_timer_stop(&probes[i].timer);

	while ((next = mrpc_timers_next(&timers)) != MINIRPC_NEVER) {
		ck_assert_int_ge(next, last_run);
		mrpc_timers_run(&timers, next);
	}
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(probes[i].runs, i % 7 == 0 ? 0 : 1);
		mrpc_timer_unbind(&probes[i].timer);
	}
	mrpc_timers_clear(&timers);
}
END_TEST

START_TEST(a_timer_does_not_run_before_its_time_and_runs_at_it)
{
	struct mrpc_timers timers;
	struct probe probe = { 0 };

	mrpc_timers_init(&timers);
	ck_assert_int_eq(mrpc_timer_bind(&probe.timer, &timers, run), 0);
	mrpc_timer_set(&probe.timer, 100);
	mrpc_timers_run(&timers, 99);
	ck_assert_int_eq(probe.runs, 0);
	mrpc_timers_run(&timers, 100);
	ck_assert_int_eq(probe.runs, 1);
	mrpc_timers_run(&timers, 1000);
	ck_assert_int_eq(probe.runs, 1);
	mrpc_timer_unbind(&probe.timer);
	mrpc_timers_clear(&timers);
}
END_TEST

START_TEST(a_timer_that_sets_itself_to_the_past_does_not_hold_the_others_up)
{
	struct mrpc_timers timers;
	struct probe greedy = { .again_at = 1 }, other = { 0 };

	mrpc_timers_init(&timers);
	ck_assert_int_eq(mrpc_timer_bind(&greedy.timer, &timers, run), 0);
	ck_assert_int_eq(mrpc_timer_bind(&other.timer, &timers, run), 0);
	greedy.again_at = 1;
	mrpc_timer_set(&greedy.timer, 1);
	mrpc_timer_set(&other.timer, 2);
	mrpc_timers_run(&timers, 10);
	ck_assert_int_le(greedy.runs, 2);
	greedy.again_at = 0;
	mrpc_timers_run(&timers, 10);
	mrpc_timers_run(&timers, 10);
	ck_assert_int_eq(other.runs, 1);
	mrpc_timer_unbind(&greedy.timer);
	mrpc_timer_unbind(&other.timer);
	mrpc_timers_clear(&timers);
}
END_TEST

START_TEST(sums_of_times_saturate)
{
	ck_assert_int_eq(mrpc_time_add(1, 2), 3);
	ck_assert_int_eq(mrpc_time_add(1, MINIRPC_NEVER), MINIRPC_NEVER);
	ck_assert_int_eq(mrpc_time_add(MINIRPC_NEVER, -5), MINIRPC_NEVER);
	ck_assert_int_eq(mrpc_time_add(MINIRPC_NEVER - 5, 10), MINIRPC_NEVER - 1);
	ck_assert_int_eq(mrpc_time_add(INT64_MIN + 5, -10), INT64_MIN);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("base/timers");
	TCase *c = tcase_create("timers");

	tcase_add_test(c, timers_run_in_order_of_time_whatever_the_order_of_setting);
	tcase_add_test(c, a_timer_does_not_run_before_its_time_and_runs_at_it);
	tcase_add_test(c, a_timer_that_sets_itself_to_the_past_does_not_hold_the_others_up);
	tcase_add_test(c, sums_of_times_saturate);
	suite_add_tcase(s, c);
	return s;
}

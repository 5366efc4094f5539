/* SPDX-License-Identifier: MIT */
#include "base/turn.h"
#include "run_suite.h"

struct probe {
	struct mrpc_task task;
	struct mrpc_turn *turn;
	struct probe *wakes; /* woken from inside run */
	int *order;
	int runs, position;
};

static void run(struct mrpc_task *task)
{
	struct probe *probe = mrpc_container(task, struct probe, task);

	probe->runs++;
	probe->position = ++*probe->order;
	if (probe->wakes != NULL)
		mrpc_turn_wake(probe->turn, &probe->wakes->task);
}

static void probe_init(struct probe *probe, struct mrpc_turn *turn, enum mrpc_phase phase,
		       int *order)
{
	*probe = (struct probe){ .task = { .phase = phase, .run = run },
				 .turn = turn,
				 .order = order };
}

START_TEST(a_task_woken_twice_runs_once)
{
	struct mrpc_turn turn;
	struct probe probe;
	int order = 0;

	mrpc_turn_init(&turn);
	probe_init(&probe, &turn, MRPC_DELIVER, &order);
	mrpc_turn_wake(&turn, &probe.task);
	mrpc_turn_wake(&turn, &probe.task);
	ck_assert(!mrpc_turn_run(&turn, 100));
	ck_assert_int_eq(probe.runs, 1);
	ck_assert(mrpc_turn_is_idle(&turn));
}
END_TEST

START_TEST(earlier_phases_run_first_also_when_woken_late)
{
	struct mrpc_turn turn;
	struct probe deliver, stream, flush, late;
	int order = 0;

	mrpc_turn_init(&turn);
	probe_init(&flush, &turn, MRPC_FLUSH, &order);
	probe_init(&stream, &turn, MRPC_STREAM, &order);
	probe_init(&deliver, &turn, MRPC_DELIVER, &order);
	probe_init(&late, &turn, MRPC_DELIVER, &order);
	stream.wakes = &late;
	mrpc_turn_wake(&turn, &flush.task);
	mrpc_turn_wake(&turn, &stream.task);
	mrpc_turn_wake(&turn, &deliver.task);
	mrpc_turn_run(&turn, 100);
	ck_assert_int_eq(deliver.position, 1);
	ck_assert_int_eq(stream.position, 2);
	ck_assert_int_eq(late.position, 3);
	ck_assert_int_eq(flush.position, 4);
}
END_TEST

START_TEST(a_turn_stops_at_its_limit_and_says_that_more_is_left)
{
	struct mrpc_turn turn;
	struct probe probe;
	int order = 0;

	mrpc_turn_init(&turn);
	probe_init(&probe, &turn, MRPC_DELIVER, &order);
	probe.wakes = &probe;
	mrpc_turn_wake(&turn, &probe.task);
	ck_assert(mrpc_turn_run(&turn, 7));
	ck_assert_int_eq(probe.runs, 7);
	mrpc_task_sleep(&probe.task);
	ck_assert(mrpc_turn_is_idle(&turn));
}
END_TEST

static int wakes;

static void on_wake(struct mrpc_turn *turn)
{
	(void)turn;
	wakes++;
}

START_TEST(a_sleeping_loop_is_told_of_work_and_a_running_turn_is_not)
{
	struct mrpc_turn turn;
	struct probe first, second;
	int order = 0;

	mrpc_turn_init(&turn);
	turn.on_wake = on_wake;
	probe_init(&first, &turn, MRPC_DELIVER, &order);
	probe_init(&second, &turn, MRPC_FLUSH, &order);
	first.wakes = &second;
	mrpc_turn_wake(&turn, &first.task);
	ck_assert_int_eq(wakes, 1);
	mrpc_turn_run(&turn, 100);
	ck_assert_int_eq(wakes, 1);
	ck_assert_int_eq(second.runs, 1);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("base/turn");
	TCase *c = tcase_create("turn");

	tcase_add_test(c, a_task_woken_twice_runs_once);
	tcase_add_test(c, earlier_phases_run_first_also_when_woken_late);
	tcase_add_test(c, a_turn_stops_at_its_limit_and_says_that_more_is_left);
	tcase_add_test(c, a_sleeping_loop_is_told_of_work_and_a_running_turn_is_not);
	suite_add_tcase(s, c);
	return s;
}

/* SPDX-License-Identifier: MIT */
#include "h2/ids.h"
#include "run_suite.h"

START_TEST(an_id_is_idle_open_ended)
{
	struct mrpc_ids ids = { 0 };

	ck_assert_int_eq(mrpc_ids_state(&ids, 1), MRPC_ID_IDLE);
	mrpc_ids_open(&ids, 1);
	ck_assert_int_eq(mrpc_ids_state(&ids, 1), MRPC_ID_OPEN);
	ck_assert_int_eq(mrpc_ids_state(&ids, 3), MRPC_ID_IDLE);
	mrpc_ids_end(&ids, 1);
	ck_assert_int_eq(mrpc_ids_state(&ids, 1), MRPC_ID_ENDED);
	mrpc_ids_end(&ids, 1);
	mrpc_ids_end(&ids, 3);
	ck_assert_int_eq(mrpc_ids_state(&ids, 3), MRPC_ID_IDLE);
	ck_assert_int_eq(mrpc_ids_state(&ids, 0), MRPC_ID_IDLE);
}
END_TEST

START_TEST(even_ids_are_no_clients)
{
	struct mrpc_ids ids = { 0 };

	mrpc_ids_open(&ids, 7);
	for (uint32_t id = 0; id < 10; id += 2) {
		mrpc_ids_end(&ids, id);
		ck_assert_int_eq(mrpc_ids_state(&ids, id), MRPC_ID_IDLE);
	}
}
END_TEST

START_TEST(ids_below_are_skipped)
{
	struct mrpc_ids ids = { 0 };

	mrpc_ids_open(&ids, 5);
	ck_assert_int_eq(mrpc_ids_state(&ids, 1), MRPC_ID_SKIPPED);
	ck_assert_int_eq(mrpc_ids_state(&ids, 3), MRPC_ID_SKIPPED);
	mrpc_ids_end(&ids, 3);
	ck_assert_int_eq(mrpc_ids_state(&ids, 3), MRPC_ID_SKIPPED);
	ck_assert_int_eq(mrpc_ids_state(&ids, 5), MRPC_ID_OPEN);
}
END_TEST

START_TEST(the_last_256_are_known)
{
	struct mrpc_ids ids = { 0 };
	uint32_t last = 2 * 1000 - 1;

	for (uint32_t id = 1; id <= last; id += 2) {
		mrpc_ids_open(&ids, id);
		if (id % 3 == 0)
			mrpc_ids_end(&ids, id);
	}
	for (uint32_t id = 1; id <= last; id += 2) {
		if (last - id >= 2 * MRPC_IDS)
			ck_assert_int_eq(mrpc_ids_state(&ids, id), MRPC_ID_FORGOTTEN);
		else
			ck_assert_int_eq(mrpc_ids_state(&ids, id),
					 id % 3 == 0 ? MRPC_ID_ENDED : MRPC_ID_OPEN);
	}
}
END_TEST

/* What was there before in the same places of the ring must not shine through. */
START_TEST(a_jump_of_any_length_skips_all_between)
{
	static const uint32_t jumps[] = {
		2, 4, 2 * 255, 2 * 256, 2 * 257, 2 * 1000, 0x7ffffffe - 511 - 1
	};
	struct mrpc_ids ids = { 0 };
	uint32_t to = 511 + jumps[_i];

	for (uint32_t id = 1; id <= 511; id += 2)
		mrpc_ids_open(&ids, id);
	mrpc_ids_open(&ids, to);
	ck_assert_int_eq(mrpc_ids_state(&ids, to), MRPC_ID_OPEN);
	for (uint32_t i = 1; i < MRPC_IDS; i++) {
		uint32_t id = to - 2 * i;

		ck_assert_int_eq(mrpc_ids_state(&ids, id),
				 id > 511 ? MRPC_ID_SKIPPED : MRPC_ID_OPEN);
	}
	ck_assert_int_eq(mrpc_ids_state(&ids, to - 2 * MRPC_IDS), MRPC_ID_FORGOTTEN);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("h2/ids");
	TCase *t = tcase_create("ids");

	tcase_add_test(t, an_id_is_idle_open_ended);
	tcase_add_test(t, even_ids_are_no_clients);
	tcase_add_test(t, ids_below_are_skipped);
	tcase_add_test(t, the_last_256_are_known);
	tcase_add_loop_test(t, a_jump_of_any_length_skips_all_between, 0, 7);
	suite_add_tcase(s, t);
	return s;
}

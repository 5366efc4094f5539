/* SPDX-License-Identifier: MIT */
#include "typed/check.h"

#include "run_suite.h"
#include "three.pb-c.h"
#include "two.pb-c.h"
#include "typed/field.h"
#include "typed/normal.h"
#include "typed/wire.h"
#include "world/alloc_fail.h"

#include <base/alloc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL &typedtest__small__descriptor
#define TREE &typedtest__tree__descriptor
#define TYPES &typedtest__types__descriptor
#define EMPTY &typedtest__empty__descriptor
#define OUTER &typedtest2__outer__descriptor
#define WIDE &typedtest2__wide__descriptor

static struct mrpc_typed_fault fault;
static struct mrpc_typed_verdict verdict;

static int check_bytes(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t len)
{
	return mrpc_typed_check(&mrpc_typed_bounds_default, descriptor, data, len, &verdict,
				&fault);
}

/* Checks what was written, and forgets it. */
static int check_wire(const ProtobufCMessageDescriptor *descriptor, struct wire *wire)
{
	int r = check_bytes(descriptor, wire->data, wire->len);

	wire_clear(wire);
	return r;
}

#define CHECK(descriptor, ...)                                                                     \
	check_bytes(descriptor, (const uint8_t[]){ __VA_ARGS__ },                                  \
		    sizeof((const uint8_t[]){ __VA_ARGS__ }))

START_TEST(an_empty_message_passes)
{
	ck_assert_int_eq(check_bytes(SMALL, NULL, 0), 0);
	ck_assert_int_eq(check_bytes(EMPTY, NULL, 0), 0);
	ck_assert_uint_eq(verdict.memory, mrpc_typed_round_up(sizeof(Typedtest__Empty)));
	ck_assert(!verdict.is_odd);
}
END_TEST

START_TEST(a_tag_must_be_whole_and_its_number_in_range)
{
	ck_assert_int_eq(CHECK(EMPTY, 0x00), -EBADMSG);             /* number 0 */
	ck_assert_int_eq(CHECK(EMPTY, 0x80, 0x00, 0x00), -EBADMSG); /* number 0, written long */
	ck_assert_int_eq(CHECK(EMPTY, 0x80), -EBADMSG);             /* cut */
	ck_assert_int_eq(CHECK(EMPTY, 0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01), -EBADMSG);

	/* 2^29-1 is the last number; 2^29 would be tag 2^32. */
	ck_assert_int_eq(CHECK(EMPTY, 0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01), 0);
	ck_assert_int_eq(CHECK(EMPTY, 0x80, 0x80, 0x80, 0x80, 0x10, 0x01), -EBADMSG);
	ck_assert_int_eq(CHECK(EMPTY, 0x88, 0x80, 0x80, 0x80, 0x00, 0x01), 0); /* 1, written long */
}
END_TEST

START_TEST(groups_and_unknown_wire_types_are_refused)
{
	ck_assert_int_eq(CHECK(EMPTY, 0x0b, 0x0c), -EBADMSG);
	ck_assert_str_eq(fault.what, "has a group");
	ck_assert_int_eq(CHECK(EMPTY, 0x0c), -EBADMSG);
	ck_assert_int_eq(CHECK(EMPTY, 0x0e, 0x00), -EBADMSG);
	ck_assert_int_eq(CHECK(EMPTY, 0x0f, 0x00), -EBADMSG);
}
END_TEST

START_TEST(a_varint_has_at_most_ten_bytes)
{
	ck_assert_int_eq(
		CHECK(SMALL, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), 0);
	ck_assert_int_eq(CHECK(SMALL, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			       0xff, 0x01),
			 -EBADMSG);
	ck_assert_int_eq(CHECK(SMALL, 0x10), -EBADMSG);
	ck_assert_int_eq(CHECK(SMALL, 0x10, 0x80), -EBADMSG);
}
END_TEST

START_TEST(no_length_reaches_past_the_end)
{
	ck_assert_int_eq(CHECK(SMALL, 0x0a, 0x01, 'a'), 0);
	ck_assert_int_eq(CHECK(SMALL, 0x0a, 0x02, 'a'), -EBADMSG);
	ck_assert_int_eq(CHECK(SMALL, 0x0a), -EBADMSG);
	ck_assert_int_eq(CHECK(SMALL, 0x0a, 0x81, 0x80, 0x80, 0x80, 0x00, 'a'), 0);
	ck_assert_int_eq(CHECK(SMALL, 0x0a, 0x81, 0x80, 0x80, 0x80, 0x80, 0x00, 'a'), -EBADMSG);
	ck_assert_int_eq(CHECK(SMALL, 0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), -EBADMSG);
	ck_assert_int_eq(CHECK(EMPTY, 0x0d, 1, 2, 3), -EBADMSG);
	ck_assert_int_eq(CHECK(EMPTY, 0x0d, 1, 2, 3, 4), 0);
	ck_assert_int_eq(CHECK(EMPTY, 0x09, 1, 2, 3, 4, 5, 6, 7), -EBADMSG);
	ck_assert_int_eq(CHECK(EMPTY, 0x09, 1, 2, 3, 4, 5, 6, 7, 8), 0);
	/* Inside a sub-message its end counts. */
	ck_assert_int_eq(CHECK(TREE, 0x0a, 0x02, 0x1a, 0x01, 'a'), -EBADMSG);
}
END_TEST

START_TEST(level_100_passes_and_101_does_not)
{
	struct wire wire = { 0 };

	wire_nested(&wire, 1, 100);
	ck_assert_int_eq(check_wire(TREE, &wire), 0);
	wire_nested(&wire, 2, 100);
	ck_assert_int_eq(check_wire(TREE, &wire), 0);
	wire_nested(&wire, 1, 101);
	ck_assert_int_eq(check_wire(TREE, &wire), -EBADMSG);
	ck_assert_str_eq(fault.what, "is nested too deeply");
	ck_assert_str_eq(fault.field->name, "child");
	wire_nested(&wire, 2, 101);
	ck_assert_int_eq(check_wire(TREE, &wire), -EBADMSG);
	wire_nested(&wire, 1, 10000);
	ck_assert_int_eq(check_wire(TREE, &wire), -EBADMSG);
}
END_TEST

START_TEST(an_unknown_field_is_not_looked_into)
{
	struct wire wire = { 0 };

	wire_nested(&wire, 9, 101);
	ck_assert_int_eq(check_wire(TREE, &wire), 0);
}
END_TEST

START_TEST(strings_are_utf8_without_nul)
{
	static const char *const good[] = { "",
					    "plain ascii, rather long",
					    "\xc3\xa4",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x90\xb9",
					    "\xf4\x8f\xbf\xbf",
					    "12345678\xc3\xa4" };
	static const char *const bad[] = {
		"\x80", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "1234567890\xff"
	};
	struct wire wire = { 0 };
	size_t i;

	for (i = 0; i < sizeof good / sizeof *good; i++) {
		wire_text(&wire, 1, good[i]);
		ck_assert_int_eq(check_wire(SMALL, &wire), 0);
	}
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		wire_text(&wire, 1, bad[i]);
		ck_assert_int_eq(check_wire(SMALL, &wire), -EBADMSG);
		ck_assert_str_eq(fault.field->name, "name");
		ck_assert_str_eq(fault.what, "is not UTF-8");
		wire_text(&wire, 35, bad[i]); /* repeated */
		ck_assert_int_eq(check_wire(TYPES, &wire), -EBADMSG);
		wire_text(&wire, 103, bad[i]); /* oneof */
		ck_assert_int_eq(check_wire(TYPES, &wire), -EBADMSG);
		wire_text(&wire, 16, bad[i]); /* bytes */
		ck_assert_int_eq(check_wire(TYPES, &wire), 0);
		wire_text(&wire, 10, bad[i]); /* proto2 */
		ck_assert_int_eq(check_wire(OUTER, &wire), -EBADMSG);
	}
	wire_bytes(&wire, 1, "a\0b", 3);
	ck_assert_int_eq(check_wire(SMALL, &wire), -EBADMSG);
	ck_assert_str_eq(fault.what, "holds a NUL");
	wire_bytes(&wire, 1, "a", 2);
	ck_assert_int_eq(check_wire(SMALL, &wire), -EBADMSG);
}
END_TEST

START_TEST(packed_fields_hold_whole_elements)
{
	ck_assert_int_eq(CHECK(TYPES, 0xaa, 0x01, 3, 1, 0x96, 1), 0);    /* r_int32 = 21, packed */
	ck_assert_int_eq(CHECK(TYPES, 0xa8, 0x01, 3, 0xa8, 0x01, 4), 0); /* one by one */
	ck_assert(!verdict.is_odd);
	ck_assert_int_eq(CHECK(TYPES, 0xaa, 0x01, 0), 0);                 /* none */
	ck_assert_int_eq(CHECK(TYPES, 0xaa, 0x01, 2, 1, 0x96), -EBADMSG); /* last one cut */
	ck_assert_int_eq(CHECK(TYPES, 0xaa, 0x01, 12, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
			       0x80, 0x80, 0x80, 0x80, 0),
			 -EBADMSG);
	ck_assert_int_eq(CHECK(TYPES, 0xba, 0x01, 4, 1, 2, 3, 4), 0); /* r_sfixed32 = 23 */
	ck_assert_int_eq(CHECK(TYPES, 0xba, 0x01, 3, 1, 2, 3), -EBADMSG);
	ck_assert_int_eq(CHECK(TYPES, 0xd2, 0x01, 4, 1, 2, 3, 4), -EBADMSG); /* r_sfixed64 = 26 */
	ck_assert_int_eq(CHECK(OUTER, 0x0a, 0, 0x12, 2, 8, 1, 0x2a, 2, 1, 2), 0); /* proto2 */
}
END_TEST

START_TEST(a_known_field_of_a_wrong_wire_type_is_odd_but_passes)
{
	ck_assert_int_eq(CHECK(SMALL, 0x12, 1, 'x'), 0); /* count as bytes */
	ck_assert(verdict.is_odd);
	ck_assert_int_eq(CHECK(SMALL, 0x08, 1), 0); /* name as a varint */
	ck_assert(verdict.is_odd);
	ck_assert_int_eq(CHECK(TYPES, 0x6d, 1, 2, 3, 4), 0); /* f_bool as four bytes */
	ck_assert(verdict.is_odd);
	ck_assert_int_eq(CHECK(SMALL, 0x18, 1), 0); /* unknown is not odd */
	ck_assert(!verdict.is_odd);
	/* It does not count as having come. */
	ck_assert_int_eq(CHECK(OUTER, 0x08, 1, 0x12, 2, 8, 1), 0);
	ck_assert(verdict.is_odd);
}
END_TEST

START_TEST(a_sub_message_that_comes_twice_is_odd)
{
	ck_assert_int_eq(CHECK(TREE, 0x0a, 0, 0x12, 0, 0x12, 0), 0);
	ck_assert(!verdict.is_odd);
	ck_assert_int_eq(CHECK(TREE, 0x0a, 0, 0x12, 0, 0x0a, 0), 0);
	ck_assert(verdict.is_odd);
	ck_assert_int_eq(CHECK(SMALL, 0x10, 1, 0x10, 2), 0); /* scalars: the last one wins */
	ck_assert(!verdict.is_odd);
}
END_TEST

START_TEST(required_fields_must_come)
{
	struct wire wire = { 0 };
	unsigned i;

	ck_assert_int_eq(CHECK(OUTER, 0x0a, 0, 0x12, 2, 8, 1), 0);
	ck_assert_int_eq(CHECK(OUTER, 0x12, 2, 8, 1), -EBADMSG);
	ck_assert_str_eq(fault.message->name, "typedtest2.Outer");
	ck_assert_str_eq(fault.field->name, "key");
	ck_assert_str_eq(fault.what, "is missing");
	ck_assert_int_eq(CHECK(OUTER, 0x0a, 0, 0x12, 0), -EBADMSG); /* inside */
	ck_assert_str_eq(fault.message->name, "typedtest2.Inner");
	ck_assert_int_eq(check_bytes(OUTER, NULL, 0), -EBADMSG);

	/* Beyond the first word of the bits that are kept of each. */
	for (i = 0; i < 4; i++) {
		if (i & 1)
			wire_number(&wire, 70, 1);
		if (i & 2)
			wire_number(&wire, 147, 1);
		ck_assert_int_eq(check_wire(WIDE, &wire), i == 3 ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(required_fields_may_be_spread_over_two_pieces)
{
	static const uint8_t data[] = { 0x0a, 0, 0x12, 3, 0x12, 1, 'n', /* inner.name */
					0x12, 2, 8,    7 };             /* inner.id */
	uint8_t *joined;
	size_t len;

	ck_assert_int_eq(check_bytes(OUTER, data, sizeof data), 0);
	ck_assert(verdict.is_odd);
	ck_assert_int_eq(mrpc_typed_normalize(OUTER, data, sizeof data, &joined, &len), 0);
	ck_assert_int_eq(check_bytes(OUTER, joined, len), 0);
	ck_assert(!verdict.is_odd);
	mrpc_free(joined);

	/* Joined, it is missing all the same. */
	ck_assert_int_eq(mrpc_typed_normalize(OUTER, data, 7, &joined, &len), 0);
	ck_assert_int_eq(check_bytes(OUTER, joined, len), -EBADMSG);
	mrpc_free(joined);
}
END_TEST

START_TEST(the_budget_is_64_kib_and_32_times_the_length_up_to_64_mib)
{
	ck_assert_uint_eq(mrpc_typed_budget(&mrpc_typed_bounds_default, 0), 64 << 10);
	ck_assert_uint_eq(mrpc_typed_budget(&mrpc_typed_bounds_default, 1), (64 << 10) + 32);
	ck_assert_uint_eq(
		mrpc_typed_budget(&mrpc_typed_bounds_default, ((64 << 20) - (64 << 10)) / 32 - 1),
		(64 << 20) - 32);
	ck_assert_uint_eq(
		mrpc_typed_budget(&mrpc_typed_bounds_default, ((64 << 20) - (64 << 10)) / 32),
		64 << 20);
	ck_assert_uint_eq(mrpc_typed_budget(&mrpc_typed_bounds_default, SIZE_MAX), 64 << 20);
}
END_TEST

START_TEST(four_mib_of_empty_sub_messages_are_above_the_budget)
{
	struct wire wire = { 0 };
	int i;

	for (i = 0; i < 2 << 20; i++)
		wire_raw(&wire, "\x12", 2);
	alloc_fail_at(0, false);
	ck_assert_int_eq(check_wire(TREE, &wire), -E2BIG);
	ck_assert_str_eq(fault.what, "needs too much memory");

	for (i = 0; i < 2 << 20; i++) /* one single message in two million pieces */
		wire_raw(&wire, "\x0a", 2);
	ck_assert_int_eq(check_wire(TREE, &wire), -E2BIG);

	for (i = 0; i < 2 << 20; i++) /* unknown fields */
		wire_raw(&wire, "\x78\x01", 2);
	ck_assert_int_eq(check_wire(TREE, &wire), -E2BIG);
	ck_assert_uint_eq(alloc_asked(), 0);
}
END_TEST

START_TEST(the_budget_is_exact)
{
	struct wire wire = { 0 };
	size_t budget, n;

	/* A string takes its length and a NUL, rounded up, besides the struct: at most 64 MiB. */
	budget = (64 << 20) - mrpc_typed_round_up(sizeof(Typedtest__Small)) - 1;
	for (n = budget; n <= budget + 1; n++) {
		uint8_t *text = malloc(n);

		memset(text, 'x', n);
		wire_bytes(&wire, 1, text, n);
		free(text);
		ck_assert_int_eq(check_wire(SMALL, &wire), n == budget ? 0 : -E2BIG);
	}
}
END_TEST

START_TEST(fields_are_found_in_any_order)
{
	const ProtobufCMessageDescriptor *types = TYPES;
	unsigned hint, i;

	for (hint = 0; hint < types->n_fields; hint++)
		for (i = 0; i < types->n_fields; i++)
			ck_assert_int_eq(mrpc_typed_find(types, types->fields[i].id, hint), (int)i);
	ck_assert_int_eq(mrpc_typed_find(types, 0, 0), -1);
	ck_assert_int_eq(mrpc_typed_find(types, 18, 0), -1);
	ck_assert_int_eq(mrpc_typed_find(types, 107, 3), -1);
	ck_assert_int_eq(mrpc_typed_find(types, 536870910, 3), -1);
	ck_assert_int_eq(mrpc_typed_find(EMPTY, 1, 0), -1);
}
END_TEST

/* ---- Normal ---- */

/* Normalizes what was written and compares with what is expected. */
static void expect_normal(const ProtobufCMessageDescriptor *descriptor, struct wire *wire,
			  struct wire *expected)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(mrpc_typed_normalize(descriptor, wire->data, wire->len, &data, &len), 0);
	ck_assert_uint_eq(len, expected->len);
	ck_assert_mem_eq(data, expected->data, len);
	ck_assert_uint_le(len, wire->len);
	mrpc_free(data);
	wire_clear(wire);
	wire_clear(expected);
}

START_TEST(a_wrong_wire_type_is_left_out)
{
	struct wire wire = { 0 }, expected = { 0 };

	wire_text(&wire, 1, "n");
	wire_text(&wire, 2, "not a number");
	wire_number(&wire, 1, 3);
	wire_number(&wire, 2, 4);
	wire_number(&wire, 99, 4); /* unknown ones stay */
	wire_text(&expected, 1, "n");
	wire_number(&expected, 2, 4);
	wire_number(&expected, 99, 4);
	expect_normal(SMALL, &wire, &expected);
}
END_TEST

START_TEST(pieces_are_joined_where_the_last_one_was)
{
	struct wire wire = { 0 }, expected = { 0 }, a = { 0 }, b = { 0 };

	wire_text(&a, 1, "name");
	wire_number(&b, 2, 7);
	wire_message(&wire, 17, &a);
	wire_number(&wire, 1, 5);
	wire_message(&wire, 17, &b);
	wire_number(&wire, 2, 6);

	wire_raw(&a, b.data, b.len);
	wire_number(&expected, 1, 5);
	wire_message(&expected, 17, &a);
	wire_number(&expected, 2, 6);
	expect_normal(TYPES, &wire, &expected);
	wire_clear(&a);
	wire_clear(&b);
}
END_TEST

START_TEST(pieces_inside_pieces_are_joined_too)
{
	struct wire wire = { 0 }, expected = { 0 }, leaf[2] = { { 0 } }, child[2] = { { 0 } };
	int i;

	/* child { child { leaf a } }, child { child { children {} leaf b } } */
	wire_text(&leaf[0], 3, "a");
	wire_text(&leaf[1], 2, "");
	wire_text(&leaf[1], 3, "b");
	for (i = 0; i < 2; i++) {
		wire_message(&child[i], 1, &leaf[i]);
		wire_message(&wire, 1, &child[i]);
	}

	wire_raw(&leaf[0], leaf[1].data, leaf[1].len);
	wire_clear(&child[0]);
	wire_message(&child[0], 1, &leaf[0]);
	wire_message(&expected, 1, &child[0]);
	expect_normal(TREE, &wire, &expected);
	for (i = 0; i < 2; i++) {
		wire_clear(&leaf[i]);
		wire_clear(&child[i]);
	}
}
END_TEST

START_TEST(another_member_of_a_oneof_ends_the_pieces)
{
	struct wire wire = { 0 }, expected = { 0 }, a = { 0 }, b = { 0 };

	wire_text(&a, 1, "name");
	wire_number(&b, 2, 7);
	wire_message(&wire, 105, &a);
	wire_number(&wire, 102, 1);
	wire_message(&wire, 105, &b);
	wire_number(&expected, 102, 1);
	wire_message(&expected, 105, &b);
	expect_normal(TYPES, &wire, &expected);

	wire_message(&wire, 105, &a);
	wire_message(&wire, 105, &b);
	wire_number(&wire, 102, 1);
	wire_number(&expected, 102, 1);
	expect_normal(TYPES, &wire, &expected);

	wire_message(&wire, 105, &a);
	wire_message(&wire, 105, &b);
	wire_raw(&a, b.data, b.len);
	wire_message(&expected, 105, &a);
	expect_normal(TYPES, &wire, &expected);
	wire_clear(&a);
	wire_clear(&b);
}
END_TEST

START_TEST(joining_may_fail_for_lack_of_memory)
{
	struct wire wire = { 0 };
	uint8_t *data;
	size_t len, n;
	int r = -ENOMEM, i;

	for (i = 0; i < 40; i++) {
		wire_nested(&wire, 1, 3);
		wire_text(&wire, 2, "");
	}
	for (n = 1; r < 0; n++) {
		alloc_fail_at(n, false);
		r = mrpc_typed_normalize(TREE, wire.data, wire.len, &data, &len);
		ck_assert_int_eq(r, alloc_refused() > 0 ? -ENOMEM : 0);
	}
	ck_assert_uint_gt(n, 4);
	alloc_fail_at(0, false);
	mrpc_free(data);
	wire_clear(&wire);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("typed/check");
	TCase *tcase = tcase_create("check");

	tcase_add_test(tcase, an_empty_message_passes);
	tcase_add_test(tcase, a_tag_must_be_whole_and_its_number_in_range);
	tcase_add_test(tcase, groups_and_unknown_wire_types_are_refused);
	tcase_add_test(tcase, a_varint_has_at_most_ten_bytes);
	tcase_add_test(tcase, no_length_reaches_past_the_end);
	tcase_add_test(tcase, level_100_passes_and_101_does_not);
	tcase_add_test(tcase, an_unknown_field_is_not_looked_into);
	tcase_add_test(tcase, strings_are_utf8_without_nul);
	tcase_add_test(tcase, packed_fields_hold_whole_elements);
	tcase_add_test(tcase, a_known_field_of_a_wrong_wire_type_is_odd_but_passes);
	tcase_add_test(tcase, a_sub_message_that_comes_twice_is_odd);
	tcase_add_test(tcase, required_fields_must_come);
	tcase_add_test(tcase, required_fields_may_be_spread_over_two_pieces);
	tcase_add_test(tcase, the_budget_is_64_kib_and_32_times_the_length_up_to_64_mib);
	tcase_add_test(tcase, four_mib_of_empty_sub_messages_are_above_the_budget);
	tcase_add_test(tcase, the_budget_is_exact);
	tcase_add_test(tcase, fields_are_found_in_any_order);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("normal");
	tcase_add_test(tcase, a_wrong_wire_type_is_left_out);
	tcase_add_test(tcase, pieces_are_joined_where_the_last_one_was);
	tcase_add_test(tcase, pieces_inside_pieces_are_joined_too);
	tcase_add_test(tcase, another_member_of_a_oneof_ends_the_pieces);
	tcase_add_test(tcase, joining_may_fail_for_lack_of_memory);
	suite_add_tcase(suite, tcase);
	return suite;
}

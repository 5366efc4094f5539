/* SPDX-License-Identifier: MIT */
#include "typed/decode.h"

#include "run_suite.h"
#include "three.pb-c.h"
#include "two.pb-c.h"
#include "typed/wire.h"
#include "world/alloc_fail.h"

#include <base/alloc.h>
#include <errno.h>
#include <minirpc/typed.h>
#include <stdlib.h>
#include <string.h>

static const ProtobufCMessageDescriptor *const small = &typedtest__small__descriptor;
static const ProtobufCMessageDescriptor *const tree = &typedtest__tree__descriptor;
static const ProtobufCMessageDescriptor *const types = &typedtest__types__descriptor;

static struct mrpc_typed_fault fault;

static void *decode_apart(const ProtobufCMessageDescriptor *descriptor, struct wire *wire)
{
	ProtobufCMessage *message;

	ck_assert_int_eq(minirpc_decode(descriptor, wire->data, wire->len, &message), 0);
	wire_clear(wire);
	return message;
}

static void write_small(struct wire *wire, const char *name, int count)
{
	wire_text(wire, 1, name);
	wire_number(wire, 2, (uint64_t)count);
}

START_TEST(a_message_decoded_apart_is_freed_by_protobuf_c)
{
	struct wire wire = { 0 };
	Typedtest__Small *message;

	write_small(&wire, "gopher", 7);
	message = decode_apart(small, &wire);
	ck_assert_str_eq(message->name, "gopher");
	ck_assert_int_eq(message->count, 7);
	typedtest__small__free_unpacked(message, NULL);
}
END_TEST

START_TEST(a_small_message_is_decoded_in_the_room_that_is_given)
{
	uint64_t room[32];
	struct wire wire = { 0 };
	struct minirpc_message bytes;
	ProtobufCMessage *message;
	void *block;

	memset(room, 0xff, sizeof room);
	write_small(&wire, "gopher", 7);
	bytes = (struct minirpc_message){ .data = wire.data, .len = wire.len };
	alloc_fail_at(1, true);
	ck_assert_int_eq(mrpc_typed_decode_in_room(&mrpc_typed_bounds_default, room, sizeof room,
						   small, &bytes, &message, &block, &fault),
			 0);
	ck_assert_ptr_null(block);
	ck_assert_ptr_eq(message, room);
	ck_assert_str_eq(((Typedtest__Small *)message)->name, "gopher");
	ck_assert_uint_eq(alloc_asked(), 0);
	wire_clear(&wire);
}
END_TEST

START_TEST(a_large_one_gets_one_block)
{
	char text[1001] = { 0 };
	uint64_t room[32];
	struct wire wire = { 0 };
	struct minirpc_message bytes;
	ProtobufCMessage *message;
	void *block;

	memset(text, 'x', 1000);
	write_small(&wire, text, 7);
	bytes = (struct minirpc_message){ .data = wire.data, .len = wire.len };
	alloc_fail_at(0, false);
	ck_assert_int_eq(mrpc_typed_decode_in_room(&mrpc_typed_bounds_default, room, sizeof room,
						   small, &bytes, &message, &block, &fault),
			 0);
	ck_assert_ptr_eq(message, block);
	ck_assert_str_eq(((Typedtest__Small *)message)->name, text);
	ck_assert_uint_eq(alloc_asked(), 1);
	mrpc_free(block);

	alloc_fail_at(1, false);
	ck_assert_int_eq(mrpc_typed_decode_in_room(&mrpc_typed_bounds_default, room, sizeof room,
						   small, &bytes, &message, &block, &fault),
			 -ENOMEM);
	ck_assert_ptr_null(block);
	alloc_fail_at(0, false);
	ck_assert_uint_eq(alloc_live(), 0);
	wire_clear(&wire);
}
END_TEST

START_TEST(sub_messages_that_come_twice_are_merged)
{
	struct wire wire = { 0 }, a = { 0 }, b = { 0 };
	Typedtest__Types *message;

	/* Numbers of the first would be lost by protobuf-c alone. */
	wire_number(&a, 1, 5);
	wire_text(&a, 35, "one");
	wire_number(&b, 2, 6);
	wire_text(&b, 35, "two");
	wire_message(&wire, 1000, &a);
	wire_message(&wire, 1000, &b);
	message = decode_apart(types, &wire);
	ck_assert_int_eq(message->nested->f_int32, 5);
	ck_assert_int_eq(message->nested->f_sint32, 3);
	ck_assert_uint_eq(message->nested->n_r_string, 2);
	ck_assert_str_eq(message->nested->r_string[0], "one");
	ck_assert_str_eq(message->nested->r_string[1], "two");
	typedtest__types__free_unpacked(message, NULL);
	wire_clear(&a);
	wire_clear(&b);
}
END_TEST

START_TEST(a_wrong_wire_type_counts_as_unknown)
{
	struct wire wire = { 0 };
	Typedtest__Small *message;

	write_small(&wire, "gopher", 7);
	wire_text(&wire, 2, "eight");
	message = decode_apart(small, &wire);
	ck_assert_str_eq(message->name, "gopher");
	ck_assert_int_eq(message->count, 7);
	typedtest__small__free_unpacked(message, NULL);
}
END_TEST

START_TEST(defaults_of_proto2_survive)
{
	static const uint8_t data[] = { 0x0a, 1, 'k', 0x12, 2, 8, 1 };
	ProtobufCMessage *message;
	Typedtest2__Outer *outer;

	ck_assert_int_eq(
		minirpc_decode(&typedtest2__outer__descriptor, data, sizeof data, &message), 0);
	outer = (Typedtest2__Outer *)message;
	ck_assert_str_eq(outer->text, "text");
	ck_assert_uint_eq(outer->data.len, 5);
	ck_assert_str_eq(outer->inner->name, "nobody");
	ck_assert_int_eq(outer->flag, 1);
	typedtest2__outer__free_unpacked(outer, NULL);
}
END_TEST

/* What an attacker sends: it ends in an error and in little memory. */
static void expect_refusal(const ProtobufCMessageDescriptor *descriptor, struct wire *wire,
			   int error)
{
	ProtobufCMessage *message = NULL;

	alloc_reset_peak();
	ck_assert_int_eq(minirpc_decode(descriptor, wire->data, wire->len, &message), error);
	ck_assert_ptr_null(message);
	ck_assert_uint_eq(alloc_peak_bytes(), 0);
	wire_clear(wire);
}

START_TEST(attacks_end_in_an_error_without_a_byte_allocated)
{
	struct wire wire = { 0 };
	int i;

	wire_nested(&wire, 1, 10000);
	expect_refusal(tree, &wire, -EBADMSG);
	for (i = 0; i < 2 << 20; i++)
		wire_raw(&wire, "\x12", 2);
	expect_refusal(tree, &wire, -E2BIG);
	for (i = 0; i < 2 << 20; i++)
		wire_raw(&wire, "\x0a", 2);
	expect_refusal(tree, &wire, -E2BIG);
	wire_text(&wire, 1, "caf\xe9");
	expect_refusal(small, &wire, -EBADMSG);
	for (i = 0; i < 2 << 20; i++)
		wire_raw(&wire, "\x1a", 2); /* last one wins: each is allocated */
	expect_refusal(tree, &wire, -E2BIG);
}
END_TEST

START_TEST(memory_stays_within_the_budget)
{
	struct wire wire = { 0 };
	ProtobufCMessage *message;
	size_t budget, n;
	int r = 0;

	/* Sub-messages of one byte of text: up to where the budget ends. */
	for (n = 1; r == 0; n *= 2) {
		size_t i;

		for (i = 0; i < n; i++)
			wire_raw(&wire, "\x12\x03\x1a\x01x", 5);
		budget = mrpc_typed_budget(&mrpc_typed_bounds_default, wire.len);
		alloc_reset_peak();
		r = minirpc_decode(tree, wire.data, wire.len, &message);
		wire_clear(&wire);
		ck_assert(r == 0 || r == -E2BIG);
		/* malloc's own rounding is up to three times a block of 24 bytes and less */
		ck_assert_uint_le(alloc_peak_bytes(), budget * 3);
		if (r == 0)
			mrpc_typed_free(message);
	}
	ck_assert_uint_gt(n, 1024);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	struct wire wire = { 0 }, sub = { 0 };
	ProtobufCMessage *message;
	int r = -ENOMEM, i;
	size_t n;

	write_small(&sub, "name", 3);
	for (i = 0; i < 40; i++) {
		wire_message(&wire, 37, &sub);
		wire_text(&wire, 35, "word");
		wire_text(&wire, 103, "chosen");
		wire_message(&wire, 105, &sub);
		wire_number(&wire, 777, 1);
	}
	wire_message(&wire, 17, &sub);
	wire_message(&wire, 17, &sub); /* odd */
	for (n = 1; r < 0; n++) {
		message = NULL;
		alloc_fail_at(n, n % 2 == 0);
		r = mrpc_typed_decode_apart(&mrpc_typed_bounds_default, types, wire.data, wire.len,
					    &message, &fault);
		ck_assert_int_eq(r, alloc_refused() > 0 ? -ENOMEM : 0);
		alloc_fail_at(0, false);
		if (r < 0)
			ck_assert_uint_eq(alloc_live(), 0);
	}
	ck_assert_uint_gt(n, 100);
	mrpc_typed_free(message);
	ck_assert_uint_eq(alloc_live(), 0);
	wire_clear(&wire);
	wire_clear(&sub);
}
END_TEST

START_TEST(a_fault_reads_well_and_has_its_code)
{
	char text[MRPC_TYPED_TEXT_SIZE];
	struct minirpc_status status;
	struct wire wire = { 0 };
	ProtobufCMessage *message;
	int i;

	wire_text(&wire, 1, "\xff");
	mrpc_typed_decode_apart(&mrpc_typed_bounds_default, small, wire.data, wire.len, &message,
				&fault);
	status = mrpc_typed_fault_status(&fault, "request", text);
	ck_assert_int_eq(status.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(status.message,
			 "request cannot be decoded: field typedtest.Small.name is not UTF-8");

	wire_clear(&wire);
	wire_raw(&wire, "\x0b", 1);
	mrpc_typed_decode_apart(&mrpc_typed_bounds_default, small, wire.data, wire.len, &message,
				&fault);
	status = mrpc_typed_fault_status(&fault, "response", text);
	ck_assert_int_eq(status.code, MINIRPC_INTERNAL);
	ck_assert_str_eq(status.message,
			 "response cannot be decoded: message typedtest.Small has a group");

	wire_clear(&wire);
	for (i = 0; i < 1 << 16; i++)
		wire_raw(&wire, "\x12", 2);
	mrpc_typed_decode_apart(&mrpc_typed_bounds_default, tree, wire.data, wire.len, &message,
				&fault);
	status = mrpc_typed_fault_status(&fault, "request", text);
	ck_assert_int_eq(status.code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(status.message, "request cannot be decoded: message typedtest.Tree needs "
					 "too much memory");
	wire_clear(&wire);

	fault = (struct mrpc_typed_fault){ .error = -ENOMEM, .what = "found no memory" };
	status = mrpc_typed_fault_status(&fault, "request", text);
	ck_assert_int_eq(status.code, MINIRPC_RESOURCE_EXHAUSTED);
	ck_assert_str_eq(status.message, "request cannot be decoded: it found no memory");
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("typed/decode");
	TCase *tcase = tcase_create("decode");

	tcase_add_test(tcase, a_message_decoded_apart_is_freed_by_protobuf_c);
	tcase_add_test(tcase, a_small_message_is_decoded_in_the_room_that_is_given);
	tcase_add_test(tcase, a_large_one_gets_one_block);
	tcase_add_test(tcase, sub_messages_that_come_twice_are_merged);
	tcase_add_test(tcase, a_wrong_wire_type_counts_as_unknown);
	tcase_add_test(tcase, defaults_of_proto2_survive);
	tcase_add_test(tcase, attacks_end_in_an_error_without_a_byte_allocated);
	tcase_add_test(tcase, memory_stays_within_the_budget);
	tcase_add_test(tcase, every_allocation_may_fail);
	tcase_add_test(tcase, a_fault_reads_well_and_has_its_code);
	suite_add_tcase(suite, tcase);
	return suite;
}

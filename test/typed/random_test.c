/* SPDX-License-Identifier: MIT */
/* Whatever protobuf-c packs passes the check and comes back the same; whatever passes the check
 * protobuf-c unpacks, within the memory that was foretold. */
#include "run_suite.h"
#include "three.pb-c.h"
#include "two.pb-c.h"
#include "typed/decode.h"
#include "typed/normal.h"
#include "typed/random_message.h"
#include "typed/wire.h"
#include "world/alloc_fail.h"

#include <base/alloc.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const ProtobufCMessageDescriptor *const kinds[] = {
	&typedtest__types__descriptor,
	&typedtest__tree__descriptor,
	&typedtest2__outer__descriptor,
	&typedtest2__wide__descriptor,
};

static const ProtobufCMessageDescriptor *any_kind(struct dice *dice)
{
	return kinds[dice_below(dice, sizeof kinds / sizeof *kinds)];
}

/* Bytes in a block of just their size, so that a sanitizer sees one read too many. */
static void pack(const ProtobufCMessage *message, struct wire *wire)
{
	size_t len = protobuf_c_message_get_packed_size(message);

	*wire = (struct wire){ .data = malloc(len), .len = len, .capacity = len };
	ck_assert_uint_eq(protobuf_c_message_pack(message, wire->data), len);
}

static void expect_same(const ProtobufCMessage *message, const struct wire *expected)
{
	struct wire again;

	pack(message, &again);
	ck_assert_uint_eq(again.len, expected->len);
	if (again.len > 0)
		ck_assert_mem_eq(again.data, expected->data, again.len);
	wire_clear(&again);
}

START_TEST(what_is_packed_comes_back_the_same)
{
	struct dice dice = { .state = 0x9e3779b97f4a7c15u + (uint64_t)_i };
	int round;

	for (round = 0; round < 100; round++) {
		const ProtobufCMessageDescriptor *kind = any_kind(&dice);
		ProtobufCMessage *message = random_message(&dice, kind, 3), *decoded;
		struct mrpc_typed_fault fault;
		struct mrpc_typed_verdict verdict;
		struct minirpc_message bytes;
		struct wire wire;
		void *block;

		pack(message, &wire);
		ck_assert_int_eq(mrpc_typed_check(&mrpc_typed_bounds_default, kind, wire.data,
						  wire.len, &verdict, &fault),
				 0);
		ck_assert(!verdict.is_odd);

		ck_assert_int_eq(mrpc_typed_decode_apart(&mrpc_typed_bounds_default, kind,
							 wire.data, wire.len, &decoded, &fault),
				 0);
		expect_same(decoded, &wire);
		mrpc_typed_free(decoded);

		bytes = (struct minirpc_message){ .data = wire.data, .len = wire.len };
		alloc_fail_at(0, false);
		ck_assert_int_eq(mrpc_typed_decode_in_room(&mrpc_typed_bounds_default, NULL, 0,
							   kind, &bytes, &decoded, &block, &fault),
				 0);
		ck_assert_uint_eq(alloc_asked(), 1); /* the memory foretold sufficed */
		expect_same(decoded, &wire);
		mrpc_free(block);

		wire_clear(&wire);
		random_message_free(message);
	}
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

START_TEST(normalizing_what_is_normal_changes_nothing_of_it)
{
	struct dice dice = { .state = 0xd1b54a32d192ed03u + (uint64_t)_i };
	int round;

	for (round = 0; round < 100; round++) {
		const ProtobufCMessageDescriptor *kind = any_kind(&dice);
		ProtobufCMessage *message = random_message(&dice, kind, 3);
		struct wire wire;
		uint8_t *data;
		size_t len;

		pack(message, &wire);
		ck_assert_int_eq(mrpc_typed_normalize(kind, wire.data, wire.len, &data, &len), 0);
		ck_assert_uint_eq(len, wire.len);
		if (len > 0)
			ck_assert_mem_eq(data, wire.data, len);
		mrpc_free(data);
		wire_clear(&wire);
		random_message_free(message);
	}
}
END_TEST

/* One message behind another is their merge: protobuf's own law, tried on a sub-message. */
START_TEST(two_encodings_in_a_row_are_their_merge)
{
	struct dice dice = { .state = 0x2545f4914f6cdd1du + (uint64_t)_i };
	const ProtobufCMessageDescriptor *types = &typedtest__types__descriptor;
	int round;

	for (round = 0; round < 50; round++) {
		struct wire a, b, split = { 0 }, joined = { 0 };
		ProtobufCMessage *one = random_message(&dice, types, 2);
		ProtobufCMessage *two = random_message(&dice, types, 2);
		ProtobufCMessage *from_split, *from_joined;
		struct mrpc_typed_fault fault;
		struct wire packed;
		int r;

		pack(one, &a);
		pack(two, &b);
		wire_message(&split, 1000, &a);
		wire_message(&split, 1000, &b);
		wire_raw(&a, b.data, b.len);
		wire_message(&joined, 1000, &a);

		r = mrpc_typed_decode_apart(&mrpc_typed_bounds_default, types, split.data,
					    split.len, &from_split, &fault);
		ck_assert_int_eq(r, 0);
		r = mrpc_typed_decode_apart(&mrpc_typed_bounds_default, types, joined.data,
					    joined.len, &from_joined, &fault);
		ck_assert_int_eq(r, 0);
		pack(from_joined, &packed);
		expect_same(from_split, &packed);

		mrpc_typed_free(from_split);
		mrpc_typed_free(from_joined);
		wire_clear(&packed);
		wire_clear(&a);
		wire_clear(&b);
		wire_clear(&split);
		wire_clear(&joined);
		random_message_free(one);
		random_message_free(two);
	}
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

/* Spoils a message a little: bits, bytes lost, doubled and moved. */
static void mutate(struct dice *dice, struct wire *wire)
{
	size_t times = 1 + dice_below(dice, 4);
	uint8_t *exact;

	while (times-- > 0 && wire->len > 0) {
		size_t at = dice_below(dice, wire->len);
		size_t len = dice_below(dice, wire->len - at);
		struct wire tail = { 0 };

		switch (dice_below(dice, 5)) {
		case 0:
			wire->data[at] ^= (uint8_t)(1u << dice_below(dice, 8));
			break;
		case 1:
			wire->data[at] = (uint8_t)dice_roll(dice);
			break;
		case 2:
			wire->len = at;
			break;
		case 3:
			memmove(wire->data + at, wire->data + at + len, wire->len - at - len);
			wire->len -= len;
			break;
		default:
			wire_raw(&tail, wire->data + at, wire->len - at);
			wire->len = at + len;
			wire_raw(wire, tail.data, tail.len);
			wire_clear(&tail);
		}
	}

	exact = malloc(wire->len);
	if (wire->len > 0)
		memcpy(exact, wire->data, wire->len);
	free(wire->data);
	wire->data = exact;
	wire->capacity = wire->len;
}

START_TEST(what_passes_the_check_is_unpacked)
{
	struct dice dice = { .state = 0x6a09e667f3bcc909u + (uint64_t)_i };
	unsigned decoded_count = 0;
	int round;

	for (round = 0; round < 1000; round++) {
		const ProtobufCMessageDescriptor *kind = any_kind(&dice);
		ProtobufCMessage *message = random_message(&dice, kind, 2), *decoded = NULL;
		struct mrpc_typed_fault fault;
		struct minirpc_message bytes;
		struct wire wire;
		void *block;
		int r;

		pack(message, &wire);
		random_message_free(message);
		mutate(&dice, &wire);
		bytes = (struct minirpc_message){ .data = wire.data, .len = wire.len };

		r = mrpc_typed_decode_apart(&mrpc_typed_bounds_default, kind, wire.data, wire.len,
					    &decoded, &fault);
		if (r < 0) {
			ck_assert_int_eq(r, fault.error);
			ck_assert_str_ne(fault.what, "is refused by protobuf-c");
		} else {
			struct wire again;

			decoded_count++;
			pack(decoded, &again);
			mrpc_typed_free(decoded);
			r = mrpc_typed_decode_in_room(&mrpc_typed_bounds_default, NULL, 0, kind,
						      &bytes, &decoded, &block, &fault);
			ck_assert_int_eq(r, 0);
			expect_same(decoded, &again);
			mrpc_free(block);
			wire_clear(&again);
		}
		wire_clear(&wire);
	}
	ck_assert_uint_gt(decoded_count, 100);
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

/* Noise has no structure to begin with, but short pieces of it pass. */
START_TEST(noise_ends_in_an_error_or_a_message)
{
	struct dice dice = { .state = 0xbb67ae8584caa73bu + (uint64_t)_i };
	int round;

	for (round = 0; round < 2000; round++) {
		const ProtobufCMessageDescriptor *kind = any_kind(&dice);
		struct wire wire = { .len = dice_below(&dice, 40) };
		ProtobufCMessage *decoded;
		struct mrpc_typed_fault fault;
		size_t i;

		wire.data = malloc(wire.len);
		for (i = 0; i < wire.len; i++)
			wire.data[i] = (uint8_t)(dice_roll(&dice) >> 40);
		if (mrpc_typed_decode_apart(&mrpc_typed_bounds_default, kind, wire.data, wire.len,
					    &decoded, &fault) == 0)
			mrpc_typed_free(decoded);
		else
			ck_assert_str_ne(fault.what, "is refused by protobuf-c");
		wire_clear(&wire);
	}
	ck_assert_uint_eq(alloc_live(), 0);
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("typed/random");
	TCase *tcase = tcase_create("random");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, what_is_packed_comes_back_the_same, 0, 10);
	tcase_add_loop_test(tcase, normalizing_what_is_normal_changes_nothing_of_it, 0, 10);
	tcase_add_loop_test(tcase, two_encodings_in_a_row_are_their_merge, 0, 10);
	tcase_add_loop_test(tcase, what_passes_the_check_is_unpacked, 0, 10);
	tcase_add_loop_test(tcase, noise_ends_in_an_error_or_a_message, 0, 10);
	suite_add_tcase(suite, tcase);
	return suite;
}

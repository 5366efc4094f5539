/* SPDX-License-Identifier: MIT */
/* Decoding: whatever the bytes, a message comes out within its budget or not at all; and what comes
 * out, packed again, is read as the same message.
 *
 *	which descriptor (1 byte)  bytes ... */
#include "fuzz.h"
#include "three.pb-c.h"
#include "two.pb-c.h"

#include "base/alloc.h"
#include "typed/decode.h"
#include "world/alloc_fail.h"

#include <errno.h>

#include <google/protobuf/descriptor.pb-c.h>
#include <google/protobuf/struct.pb-c.h>
#include <minirpc/typed.h>

static const ProtobufCMessageDescriptor *const kinds[] = {
	&typedtest__types__descriptor,         &typedtest__tree__descriptor,
	&typedtest2__outer__descriptor,        &typedtest2__wide__descriptor,
	&google__protobuf__struct__descriptor, &google__protobuf__file_descriptor_proto__descriptor,
};

#define KINDS (sizeof kinds / sizeof kinds[0])

struct packed {
	uint8_t *data;
	size_t len;
};

static struct packed pack(const ProtobufCMessage *message)
{
	struct packed packed = { .len = protobuf_c_message_get_packed_size(message) };

	packed.data = malloc(packed.len + 1);
	hold(packed.data != NULL);
	hold(protobuf_c_message_pack(message, packed.data) == packed.len);
	return packed;
}

static void expect_same(const ProtobufCMessage *message, const struct packed *expected)
{
	struct packed packed = pack(message);

	hold(packed.len == expected->len);
	hold(packed.len == 0 || memcmp(packed.data, expected->data, packed.len) == 0);
	free(packed.data);
}

/* In a room as large as the budget the message always fits, and is the same. */
static void in_a_room_it_is_the_same(const ProtobufCMessageDescriptor *kind, const uint8_t *data,
				     size_t len, int expected, const struct packed *packed)
{
	size_t budget = mrpc_typed_budget(&mrpc_typed_bounds_default, len);
	struct minirpc_message bytes = { .data = data, .len = len };
	struct mrpc_typed_fault fault;
	ProtobufCMessage *message;
	char text[MRPC_TYPED_TEXT_SIZE];
	void *room = malloc(budget), *block;
	int r;

	hold(room != NULL);
	r = mrpc_typed_decode_in_room(&mrpc_typed_bounds_default, room, budget, kind, &bytes,
				      &message, &block, &fault);
	hold(r == expected);
	hold(block == NULL);
	if (r == 0)
		expect_same(message, packed);
	else
		hold(mrpc_typed_fault_status(&fault, "request", text).message != NULL);
	free(room);
}

static void packed_again_it_is_the_same(const ProtobufCMessageDescriptor *kind,
					const struct packed *packed)
{
	ProtobufCMessage *message;
	int r = minirpc_decode(kind, packed->data, packed->len, &message);

	hold(r == 0 || r == -E2BIG); /* the budget goes with the length, which may be smaller now */
	if (r < 0)
		return;
	expect_same(message, packed);
	mrpc_typed_free(message);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	const ProtobufCMessageDescriptor *kind = kinds[input_byte(&input) % KINDS];
	uint8_t *bytes = input_copy(&input, input.left, false, &len);
	struct packed packed = { 0 };
	ProtobufCMessage *message;
	int r;

	alloc_reset_peak();
	r = minirpc_decode(kind, bytes, len, &message);
	hold(r == 0 || r == -EBADMSG || r == -E2BIG);
	if (r == 0) {
		packed = pack(message);
		mrpc_typed_free(message);
	}
	hold(alloc_live() == 0);

	in_a_room_it_is_the_same(kind, bytes, len, r, &packed);
	if (r == 0)
		packed_again_it_is_the_same(kind, &packed);
	hold(alloc_live() == 0);
	free(packed.data);
	free(bytes);
	return 0;
}

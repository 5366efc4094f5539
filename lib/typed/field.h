/* SPDX-License-Identifier: MIT */
/* Field: one field of a protobuf message as it lies on the wire, and what the descriptor says of
 * it.
 *
 *	[tag varint][length varint, wire type 2 only][data ........]
 *	 ^start                                       ^data         ^end
 *
 * Everything here reads; nothing allocates. What is accepted here protobuf-c 1.4 and 1.5 accept
 * too, and with the same bounds; where they are laxer (field number 0 written long, numbers above
 * 2^29-1) we follow the protobuf encoding specification. */
#ifndef MRPC_TYPED_FIELD_H
#define MRPC_TYPED_FIELD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct mrpc_typed_field {
	uint32_t number;
	unsigned wire; /* a ProtobufCWireType */
	const uint8_t *start, *data, *end;
};

/* Moves *at over a varint of at most `most` bytes; false when it does not end in time. Bits above
 * the 64th are dropped, as every parser does. */
static inline bool mrpc_typed_varint(const uint8_t **at, const uint8_t *end, unsigned most,
				     uint64_t *ret_value)
{
	uint64_t value = 0;
	unsigned i;

	for (i = 0; i < most && *at < end; i++) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

/* Reads the field at `at`, which lies before end. Returns NULL, or what is wrong with it. */
static inline const char *mrpc_typed_read_field(struct mrpc_typed_field *field, const uint8_t *at,
						const uint8_t *end)
{
	uint64_t tag, len;

	field->start = at;
	if (!mrpc_typed_varint(&at, end, 5, &tag))
		return "has a malformed tag";
	if (tag > UINT32_MAX || tag >> 3 == 0)
		return "has a field number out of range";
	field->number = (uint32_t)(tag >> 3);
	field->wire = tag & 7;

	switch (field->wire) {
	case PROTOBUF_C_WIRE_TYPE_VARINT:
		field->data = at;
		if (!mrpc_typed_varint(&at, end, 10, &len))
			return "has a malformed varint";
		field->end = at;
		return NULL;
	case PROTOBUF_C_WIRE_TYPE_64BIT:
		len = 8;
		break;
	case PROTOBUF_C_WIRE_TYPE_32BIT:
		len = 4;
		break;
	case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
		if (!mrpc_typed_varint(&at, end, 5, &len) || len > INT_MAX)
			return "has a malformed length";
		break;
	case 3:
	case 4:
		return "has a group"; /* protobuf-c knows none */
	default:
		return "has an unknown wire type";
	}
	if (len > (size_t)(end - at))
		return "is cut short";
	field->data = at;
	field->end = at + len;
	return NULL;
}

/* The index of the field with this number in descriptor->fields, or -1. `hint` is the index that
 * was found last: fields mostly come in order. */
static inline int mrpc_typed_find(const ProtobufCMessageDescriptor *descriptor, uint32_t number,
				  unsigned hint)
{
	const ProtobufCIntRange *ranges = descriptor->field_ranges;
	unsigned low = 0, high = descriptor->n_field_ranges;
	unsigned i;

	for (i = hint; i < descriptor->n_fields && i < hint + 2; i++)
		if (descriptor->fields[i].id == number)
			return (int)i;

	/* A range holds consecutive numbers from start_value on; the next one's orig_index tells
	 * where it ends. */
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		uint32_t first = (uint32_t)ranges[middle].start_value;
		uint32_t count = ranges[middle + 1].orig_index - ranges[middle].orig_index;

		if (number < first)
			high = middle;
		else if (number - first >= count)
			low = middle + 1;
		else
			return (int)(ranges[middle].orig_index + (number - first));
	}
	return -1;
}

/* How a type travels, and what an element of its repeated field takes in memory. */
struct mrpc_typed_shape {
	uint8_t wire;
	uint8_t size;
};

extern const struct mrpc_typed_shape mrpc_typed_shapes[PROTOBUF_C_TYPE_MESSAGE + 1];

static inline bool mrpc_typed_is_packed(const ProtobufCFieldDescriptor *descriptor, unsigned wire)
{
	return wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED &&
	       descriptor->label == PROTOBUF_C_LABEL_REPEATED &&
	       descriptor->type < PROTOBUF_C_TYPE_STRING;
}

/* True when a known field comes with a wire type that its type can have; otherwise it counts as an
 * unknown field (protobuf encoding: "as though it were unknown"). */
static inline bool mrpc_typed_fits(const ProtobufCFieldDescriptor *descriptor, unsigned wire)
{
	return mrpc_typed_shapes[descriptor->type].wire == wire ||
	       mrpc_typed_is_packed(descriptor, wire);
}

/* A sub-message that there is one of at most: when it comes twice the two are one, merged. */
static inline bool mrpc_typed_is_single_message(const ProtobufCFieldDescriptor *descriptor)
{
	return descriptor->type == PROTOBUF_C_TYPE_MESSAGE &&
	       descriptor->label != PROTOBUF_C_LABEL_REPEATED;
}

#endif

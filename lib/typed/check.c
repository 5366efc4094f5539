/* SPDX-License-Identifier: MIT */
/* Check: walks the wire form of a message beside its descriptor, without allocating.
 *
 * protobuf-c 1.4 to 1.5 trusts its input where it must not (limits.md, section 1), so nothing
 * reaches it that has not passed here:
 *
 *	nesting           it recurses without a limit        at most 100 levels
 *	memory            up to 96 times the message         a budget, counted before, see below
 *	strings           any bytes, cut at a NUL            UTF-8 without a NUL
 *	required fields   missing ones and no memory both    named here
 *	                  give NULL
 *	wire type not     the whole message fails, or (bool) is_odd: such a field counts as unknown
 *	the field's       is taken anyway
 *	a sub-message     scalars of the first are lost,     is_odd: the two are joined on the wire,
 *	that comes twice  an unset oneof fails the message   which means the same
 *
 * What unpack allocates for one message, and hence what is counted: the struct; a table of fields
 * seen when there are more than 128; its list of 32-byte members, in slabs that double from 16 (the
 * first is on its stack); one array for each repeated field; one array of unknown fields; and the
 * bytes of each string, bytes and unknown field.
 *
 * The recursion is as deep as the nesting and a frame is some 200 bytes, so 20 KiB of stack. (The
 * limits of a channel or a server may set another depth, up to 1000.) */
#include "check.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "field.h"

enum {
	FIRST_SLAB = 16,   /* members on unpack's stack */
	MEMBER_SIZE = 32,  /* BOUND_SIZEOF_SCANNED_MEMBER_LOG2 is 5 */
	FIELDS_SEEN = 128, /* fields whose table is on unpack's stack */
	WORDS = 1024       /* bits for 65536 fields: 100 levels of 640 fields each */
};

const struct mrpc_typed_shape mrpc_typed_shapes[PROTOBUF_C_TYPE_MESSAGE + 1] = {
	[PROTOBUF_C_TYPE_INT32] = { PROTOBUF_C_WIRE_TYPE_VARINT, 4 },
	[PROTOBUF_C_TYPE_SINT32] = { PROTOBUF_C_WIRE_TYPE_VARINT, 4 },
	[PROTOBUF_C_TYPE_SFIXED32] = { PROTOBUF_C_WIRE_TYPE_32BIT, 4 },
	[PROTOBUF_C_TYPE_INT64] = { PROTOBUF_C_WIRE_TYPE_VARINT, 8 },
	[PROTOBUF_C_TYPE_SINT64] = { PROTOBUF_C_WIRE_TYPE_VARINT, 8 },
	[PROTOBUF_C_TYPE_SFIXED64] = { PROTOBUF_C_WIRE_TYPE_64BIT, 8 },
	[PROTOBUF_C_TYPE_UINT32] = { PROTOBUF_C_WIRE_TYPE_VARINT, 4 },
	[PROTOBUF_C_TYPE_FIXED32] = { PROTOBUF_C_WIRE_TYPE_32BIT, 4 },
	[PROTOBUF_C_TYPE_UINT64] = { PROTOBUF_C_WIRE_TYPE_VARINT, 8 },
	[PROTOBUF_C_TYPE_FIXED64] = { PROTOBUF_C_WIRE_TYPE_64BIT, 8 },
	[PROTOBUF_C_TYPE_FLOAT] = { PROTOBUF_C_WIRE_TYPE_32BIT, 4 },
	[PROTOBUF_C_TYPE_DOUBLE] = { PROTOBUF_C_WIRE_TYPE_64BIT, 8 },
	[PROTOBUF_C_TYPE_BOOL] = { PROTOBUF_C_WIRE_TYPE_VARINT, sizeof(protobuf_c_boolean) },
	[PROTOBUF_C_TYPE_ENUM] = { PROTOBUF_C_WIRE_TYPE_VARINT, 4 },
	[PROTOBUF_C_TYPE_STRING] = { PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof(char *) },
	[PROTOBUF_C_TYPE_BYTES] = { PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
				    sizeof(ProtobufCBinaryData) },
	[PROTOBUF_C_TYPE_MESSAGE] = { PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof(void *) },
};

const struct mrpc_typed_bounds mrpc_typed_bounds_default = { .depth = 100, .memory = 64 << 20 };

struct scan {
	const struct mrpc_typed_bounds *bounds;
	uint64_t memory, budget; /* 64 bits: a step may add more than a small size_t holds */
	bool is_odd;
	struct mrpc_typed_fault *fault;
	struct mrpc_typed_fault missing; /* first required field that did not come */
	uint64_t *words;                 /* free ones: bits of the fields seen, by level */
	unsigned words_left;
};

static bool scan_message(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
			 const uint8_t *at, const uint8_t *end, unsigned depth);

struct mrpc_typed_bounds mrpc_typed_bounds_of(const struct minirpc_conn_limits *limits)
{
	return (struct mrpc_typed_bounds){ .depth = limits->max_decode_depth,
					   .memory = limits->max_decode_bytes };
}

size_t mrpc_typed_budget(const struct mrpc_typed_bounds *bounds, size_t len)
{
	const size_t base = 64 << 10;

	return len < (bounds->memory - base) / 32 ? base + len * 32 : bounds->memory;
}

static bool fail(struct scan *scan, int error, const ProtobufCMessageDescriptor *message,
		 const ProtobufCFieldDescriptor *field, const char *what)
{
	*scan->fault = (struct mrpc_typed_fault){ error, message, field, what };
	return false;
}

static bool scan_packed(struct scan *scan, const ProtobufCMessageDescriptor *message,
			const ProtobufCFieldDescriptor *field, const struct mrpc_typed_field *wire)
{
	const struct mrpc_typed_shape *shape = &mrpc_typed_shapes[field->type];
	size_t len = (size_t)(wire->end - wire->data);
	const uint8_t *at = wire->data;
	uint64_t count, value;

	if (shape->wire != PROTOBUF_C_WIRE_TYPE_VARINT) {
		if (len % shape->size != 0)
			return fail(scan, -EBADMSG, message, field, "is not whole elements");
		scan->memory += len;
		return true;
	}

	for (count = 0; at < wire->end; count++)
		if (!mrpc_typed_varint(&at, wire->end, 10, &value))
			return fail(scan, -EBADMSG, message, field, "has a malformed varint");
	if (field->type == PROTOBUF_C_TYPE_BOOL)
		count = len; /* unpack takes room for one-byte values */
	scan->memory += count * shape->size;
	return true;
}

/* The value of a known field of the right wire type. */
static bool scan_value(struct scan *scan, const ProtobufCMessageDescriptor *message,
		       const ProtobufCFieldDescriptor *field, const struct mrpc_typed_field *wire,
		       unsigned depth)
{
	size_t len = (size_t)(wire->end - wire->data);

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		if (mrpc_typed_is_packed(field, wire->wire))
			return scan_packed(scan, message, field, wire);
		scan->memory += mrpc_typed_shapes[field->type].size;
	}

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		/* protobuf allows U+0000, but a C string would end there without a word. */
		if (memchr(wire->data, 0, len) != NULL)
			return fail(scan, -EBADMSG, message, field, "holds a NUL");
		if (!mrpc_utf8_is_valid(wire->data, len))
			return fail(scan, -EBADMSG, message, field, "is not UTF-8");
		scan->memory += mrpc_typed_round_up(len + 1);
		return true;
	case PROTOBUF_C_TYPE_BYTES:
		scan->memory += mrpc_typed_round_up(len);
		return true;
	case PROTOBUF_C_TYPE_MESSAGE:
		if (depth == scan->bounds->depth)
			return fail(scan, -EBADMSG, message, field, "is nested too deeply");
		return scan_message(scan, field->descriptor, wire->data, wire->end, depth + 1);
	default:
		return true;
	}
}

/* Notes a required field that did not come. Only the end of the check tells whether it matters:
 * when a sub-message comes in two pieces the other one may have it. */
static void note_missing(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
			 const uint64_t *seen)
{
	unsigned i;

	if (scan->missing.error != 0)
		return;
	for (i = 0; i < descriptor->n_fields; i++)
		if (descriptor->fields[i].label == PROTOBUF_C_LABEL_REQUIRED &&
		    (seen[i / 64] >> (i % 64) & 1) == 0) {
			scan->missing =
				(struct mrpc_typed_fault){ -EBADMSG, descriptor,
							   &descriptor->fields[i], "is missing" };
			return;
		}
}

static bool scan_message(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
			 const uint8_t *at, const uint8_t *end, unsigned depth)
{
	unsigned word_count = (descriptor->n_fields + 63) / 64;
	uint64_t *seen = scan->words;
	size_t members = 0, slab = FIRST_SLAB, slab_end = FIRST_SLAB;
	unsigned index = 0;

	if (word_count > scan->words_left)
		return fail(scan, -E2BIG, descriptor, NULL, "has too many fields to nest");
	scan->words += word_count;
	scan->words_left -= word_count;
	memset(seen, 0, word_count * sizeof *seen);

	scan->memory += mrpc_typed_round_up(descriptor->sizeof_message);
	if (descriptor->n_fields > FIELDS_SEEN)
		scan->memory += mrpc_typed_round_up((descriptor->n_fields + 7) / 8);

	while (at < end) {
		struct mrpc_typed_field wire;
		const ProtobufCFieldDescriptor *field = NULL;
		const char *what = mrpc_typed_read_field(&wire, at, end);
		int found;

		if (what != NULL)
			return fail(scan, -EBADMSG, descriptor, NULL, what);
		at = wire.end;

		if (members++ == slab_end) {
			slab *= 2;
			slab_end += slab;
			scan->memory += (uint64_t)slab * MEMBER_SIZE;
		}

		found = mrpc_typed_find(descriptor, wire.number, index);
		if (found >= 0) {
			index = (unsigned)found;
			field = &descriptor->fields[index];
		}
		if (field == NULL || !mrpc_typed_fits(field, wire.wire)) {
			scan->is_odd |= field != NULL;
			scan->memory += sizeof(ProtobufCMessageUnknownField) +
					mrpc_typed_round_up((size_t)(wire.end - wire.start));
		} else {
			uint64_t bit = UINT64_C(1) << (index % 64);

			if ((seen[index / 64] & bit) == 0 &&
			    field->label == PROTOBUF_C_LABEL_REPEATED)
				scan->memory += MRPC_TYPED_STEP; /* rounding of its array */
			else if ((seen[index / 64] & bit) != 0 &&
				 mrpc_typed_is_single_message(field))
				scan->is_odd = true;
			seen[index / 64] |= bit;
			if (!scan_value(scan, descriptor, field, &wire, depth))
				return false;
		}
		if (scan->memory > scan->budget)
			return fail(scan, -E2BIG, descriptor, NULL, "needs too much memory");
	}

	note_missing(scan, descriptor, seen);
	scan->words = seen;
	scan->words_left += word_count;
	return true;
}

int mrpc_typed_check(const struct mrpc_typed_bounds *bounds,
		     const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len,
		     struct mrpc_typed_verdict *ret_verdict, struct mrpc_typed_fault *ret_fault)
{
	uint64_t words[WORDS] __attribute__((uninitialized)); /* scan_message clears what it uses */
	struct scan scan = { .bounds = bounds,
			     .budget = mrpc_typed_budget(bounds, len),
			     .fault = ret_fault,
			     .words = words,
			     .words_left = WORDS };

	*ret_fault = (struct mrpc_typed_fault){ 0 };
	if (len > INT_MAX) {
		fail(&scan, -E2BIG, descriptor, NULL, "needs too much memory");
		return -E2BIG;
	}
	if (data == NULL) /* an empty message may come without a place */
		data = (const uint8_t *)"";
	if (!scan_message(&scan, descriptor, data, data + len, 0))
		return ret_fault->error;
	if (scan.missing.error != 0 && !scan.is_odd) {
		*ret_fault = scan.missing;
		return -EBADMSG;
	}
	if (scan.memory > scan.budget) { /* the struct alone */
		fail(&scan, -E2BIG, descriptor, NULL, "needs too much memory");
		return -E2BIG;
	}

	*ret_verdict =
		(struct mrpc_typed_verdict){ .memory = (size_t)scan.memory, .is_odd = scan.is_odd };
	return 0;
}

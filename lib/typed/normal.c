/* SPDX-License-Identifier: MIT */
/* Normal: rewrites the rare message that holds what protobuf-c gets wrong (see check.c).
 *
 *	a sub-message in several pieces   joined where the last piece was: protobuf says that the
 *	                                  concatenation of two encodings is their merge
 *	a field of the wrong wire type    left out; as an unknown field it would have meant nothing
 *
 *	A{x} other A{y}   ->   other A{x y}         pieces   [A x] -> [A y]
 *
 * A piece is a stretch of the input that holds fields of one message; a message is a list of
 * pieces. Within a oneof the member that comes last wins, so pieces before another member are
 * forgotten.
 *
 * The outcome never grows: of the pieces that are joined all tags but one fall away, and the prefix
 * of a sum needs no more bytes than the prefixes of its terms. The length is written in as many
 * bytes as its upper bound takes, because the fields inside may still shrink; a varint may be
 * longer than it must be.
 *
 * Recursion is bounded: the check has seen the nesting. Time is linear: each field is read twice.
 */
#include "normal.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "field.h"

#define NONE SIZE_MAX

struct piece {
	const uint8_t *data, *end;
	size_t next; /* index of the message's next piece, or NONE */
};

struct rewrite {
	struct piece *pieces; /* a stack: deeper levels lie above */
	size_t count, capacity;
	uint8_t *out;
};

/* The pieces of one field of one message. */
struct chain {
	size_t first, last;
};

static int write_message(struct rewrite *rewrite, const ProtobufCMessageDescriptor *descriptor,
			 size_t first);

static int push_piece(struct rewrite *rewrite, const uint8_t *data, const uint8_t *end)
{
	if (rewrite->count == rewrite->capacity) {
		size_t capacity = rewrite->capacity * 2 + 16;
		struct piece *pieces =
			mrpc_realloc(rewrite->pieces, capacity * sizeof *rewrite->pieces);

		if (pieces == NULL)
			return -ENOMEM;
		rewrite->pieces = pieces;
		rewrite->capacity = capacity;
	}
	rewrite->pieces[rewrite->count++] = (struct piece){ data, end, NONE };
	return 0;
}

static void append(struct rewrite *rewrite, const uint8_t *data, const uint8_t *end)
{
	memcpy(rewrite->out, data, (size_t)(end - data));
	rewrite->out += end - data;
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		*out++ = (uint8_t)(value | 0x80);
	*out++ = (uint8_t)value;
	return out;
}

/* A sub-message made of the pieces from `first` on. */
static int write_sub_message(struct rewrite *rewrite, const ProtobufCFieldDescriptor *field,
			     size_t first)
{
	uint8_t *prefix, *body;
	size_t most = 0, len, i;
	int r;

	for (i = first; i != NONE; i = rewrite->pieces[i].next)
		most += (size_t)(rewrite->pieces[i].end - rewrite->pieces[i].data);

	rewrite->out = put_varint(rewrite->out,
				  (uint64_t)field->id << 3 | PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
	prefix = rewrite->out;
	body = put_varint(prefix, most);
	rewrite->out = body;
	r = write_message(rewrite, field->descriptor, first);
	if (r < 0)
		return r;

	len = (size_t)(rewrite->out - body);
	for (; prefix < body - 1; len >>= 7)
		*prefix++ = (uint8_t)(len | 0x80);
	*prefix = (uint8_t)len;
	return 0;
}

/* The next field of a message that is read piece by piece; false at its end. */
static bool next_field(const struct rewrite *rewrite, struct mrpc_typed_field *field, size_t *piece)
{
	while (*piece != NONE && field->end == rewrite->pieces[*piece].end) {
		*piece = rewrite->pieces[*piece].next;
		if (*piece != NONE)
			field->end = rewrite->pieces[*piece].data;
	}
	return *piece != NONE &&
	       mrpc_typed_read_field(field, field->end, rewrite->pieces[*piece].end) == NULL;
}

/* The known field that this is, with a wire type that it can have; or NULL. */
static const ProtobufCFieldDescriptor *known_field(const ProtobufCMessageDescriptor *descriptor,
						   const struct mrpc_typed_field *wire, bool *drop)
{
	int i = mrpc_typed_find(descriptor, wire->number, 0);

	*drop = i >= 0 && !mrpc_typed_fits(&descriptor->fields[i], wire->wire);
	return i < 0 || *drop ? NULL : &descriptor->fields[i];
}

/* Another member of a oneof has come: the pieces of its sub-messages count no more. */
static void forget_rivals(const ProtobufCMessageDescriptor *descriptor, struct chain *chains,
			  const ProtobufCFieldDescriptor *field)
{
	unsigned i;

	for (i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *rival = &descriptor->fields[i];

		if (rival != field && (rival->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
		    rival->quantifier_offset == field->quantifier_offset)
			chains[i] = (struct chain){ NONE, NONE };
	}
}

/* Collects the pieces of each single sub-message, in the order of their coming. */
static int collect(struct rewrite *rewrite, const ProtobufCMessageDescriptor *descriptor,
		   size_t first, struct chain *chains)
{
	struct mrpc_typed_field wire = { .end = rewrite->pieces[first].data };
	size_t piece = first, now;
	unsigned i;
	bool drop;
	int r;

	for (i = 0; i < descriptor->n_fields; i++)
		chains[i] = (struct chain){ NONE, NONE };

	while (next_field(rewrite, &wire, &piece)) {
		const ProtobufCFieldDescriptor *field = known_field(descriptor, &wire, &drop);

		if (field == NULL)
			continue;
		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
			forget_rivals(descriptor, chains, field);
		if (!mrpc_typed_is_single_message(field))
			continue;

		now = rewrite->count;
		r = push_piece(rewrite, wire.data, wire.end);
		if (r < 0)
			return r;
		i = (unsigned)(field - descriptor->fields);
		if (chains[i].first == NONE)
			chains[i].first = now;
		else
			rewrite->pieces[chains[i].last].next = now;
		chains[i].last = now;
	}
	return 0;
}

static int write_fields(struct rewrite *rewrite, const ProtobufCMessageDescriptor *descriptor,
			size_t first, const struct chain *chains, size_t now)
{
	struct mrpc_typed_field wire = { .end = rewrite->pieces[first].data };
	size_t piece = first;
	bool drop;
	int r = 0;

	while (r == 0 && next_field(rewrite, &wire, &piece)) {
		const ProtobufCFieldDescriptor *field = known_field(descriptor, &wire, &drop);

		if (drop)
			continue;
		if (field == NULL || field->type != PROTOBUF_C_TYPE_MESSAGE) {
			append(rewrite, wire.start, wire.end);
			continue;
		}
		if (mrpc_typed_is_single_message(field)) {
			const struct chain *chain = &chains[field - descriptor->fields];

			if (chain->last == now++)
				r = write_sub_message(rewrite, field, chain->first);
			continue;
		}

		r = push_piece(rewrite, wire.data, wire.end);
		if (r == 0) {
			r = write_sub_message(rewrite, field, rewrite->count - 1);
			rewrite->count--;
		}
	}
	return r;
}

static int write_message(struct rewrite *rewrite, const ProtobufCMessageDescriptor *descriptor,
			 size_t first)
{
	size_t before = rewrite->count;
	struct chain *chains;
	int r;

	chains = mrpc_alloc((descriptor->n_fields + 1) * sizeof *chains);
	if (chains == NULL)
		return -ENOMEM;
	r = collect(rewrite, descriptor, first, chains);
	if (r == 0)
		r = write_fields(rewrite, descriptor, first, chains, before);
	rewrite->count = before;
	mrpc_free(chains);
	return r;
}

int mrpc_typed_normalize(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
			 size_t len, uint8_t **ret_data, size_t *ret_len)
{
	struct rewrite rewrite = { 0 };
	uint8_t *out;
	int r;

	out = mrpc_alloc(len);
	if (out == NULL)
		return -ENOMEM;
	rewrite.out = out;
	r = push_piece(&rewrite, data, data + len);
	if (r == 0)
		r = write_message(&rewrite, descriptor, 0);
	mrpc_free(rewrite.pieces);
	if (r < 0) {
		mrpc_free(out);
		return r;
	}

	*ret_data = out;
	*ret_len = (size_t)(rewrite.out - out);
	return 0;
}

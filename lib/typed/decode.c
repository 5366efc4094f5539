/* SPDX-License-Identifier: MIT */
/* Decode: check, then unpack with an allocator that counts, zeroes and never lends more than the
 * check has seen.
 *
 * The check knows beforehand what a message takes, so a call's or an event's message gets one block
 * and is laid out in it from the front:
 *
 *	block  [struct][array][string][sub-message]...[room for what the check counted in excess]
 *
 * Should another version of protobuf-c need more than was counted, unpack is run again with twice
 * the room, up to the budget. Memory is zeroed because protobuf-c before 1.5.1 leaves a field
 * uninitialised. */
#include "decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "normal.h"

#include <minirpc/typed.h>

/* ---- Before ---- */

struct checked {
	const uint8_t *data;
	size_t len;
	size_t memory, budget;
	uint8_t *copy; /* normalized; NULL when the bytes were fine as they came */
};

static int explain(struct mrpc_typed_fault *fault, int error,
		   const ProtobufCMessageDescriptor *message, const char *what)
{
	*fault = (struct mrpc_typed_fault){ .error = error, .message = message, .what = what };
	return error;
}

static int check(struct checked *checked, const struct mrpc_typed_bounds *bounds,
		 const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len,
		 struct mrpc_typed_fault *fault)
{
	struct mrpc_typed_verdict verdict;
	int r;

	*checked = (struct checked){ .data = data,
				     .len = len,
				     .budget = mrpc_typed_budget(bounds, len) };
	r = mrpc_typed_check(bounds, descriptor, data, len, &verdict, fault);
	if (r < 0)
		return r;

	if (verdict.is_odd) {
		r = mrpc_typed_normalize(descriptor, data, len, &checked->copy, &checked->len);
		if (r < 0)
			return explain(fault, r, descriptor, "found no memory");
		checked->data = checked->copy;
		r = mrpc_typed_check(bounds, descriptor, checked->data, checked->len, &verdict,
				     fault);
		if (r < 0) {
			mrpc_free(checked->copy);
			return r;
		}
	}
	checked->memory = verdict.memory;
	return 0;
}

/* ---- One block ---- */

struct block {
	uint8_t *at;
	size_t left;
	bool is_full;
};

static void *block_alloc(void *allocator_data, size_t size)
{
	struct block *block = allocator_data;
	size_t rounded = mrpc_typed_round_up(size);
	void *p = block->at;

	if (rounded < size || rounded > block->left) {
		block->is_full = true;
		return NULL;
	}
	block->at += rounded;
	block->left -= rounded;
	return p;
}

static void block_free(void *allocator_data, void *pointer)
{
	(void)allocator_data;
	(void)pointer;
}

/* Gives zeroed room of this size; a new one takes the place of the last. */
typedef void *(*room_fn)(void *user, size_t size);

static int unpack_in_block(const struct checked *checked,
			   const ProtobufCMessageDescriptor *descriptor, room_fn room, void *user,
			   ProtobufCMessage **ret_message, struct mrpc_typed_fault *fault)
{
	size_t size = checked->memory;

	for (;;) {
		struct block block = { .at = room(user, size), .left = size };
		ProtobufCAllocator allocator = { block_alloc, block_free, &block };

		if (block.at == NULL)
			return explain(fault, -ENOMEM, descriptor, "found no memory");
		*ret_message = protobuf_c_message_unpack(descriptor, &allocator, checked->len,
							 checked->data);
		if (*ret_message != NULL)
			return 0;
		if (!block.is_full)
			return explain(fault, -EBADMSG, descriptor, "is refused by protobuf-c");
		if (size >= checked->budget)
			return explain(fault, -E2BIG, descriptor, "needs too much memory");
		size = size < checked->budget / 2 ? size * 2 : checked->budget;
	}
}

static int decode_in_block(const struct mrpc_typed_bounds *bounds,
			   const ProtobufCMessageDescriptor *descriptor,
			   const struct minirpc_message *bytes, room_fn room, void *user,
			   ProtobufCMessage **ret_message, struct mrpc_typed_fault *fault)
{
	struct checked checked;
	int r;

	r = check(&checked, bounds, descriptor, bytes->data, bytes->len, fault);
	if (r < 0)
		return r;
	r = unpack_in_block(&checked, descriptor, room, user, ret_message, fault);
	mrpc_free(checked.copy);
	return r;
}

static void *room_of_call(void *user, size_t size)
{
	return minirpc_call_alloc(user, size);
}

int mrpc_typed_decode_in_call(minirpc_call *call, const ProtobufCMessageDescriptor *descriptor,
			      const struct minirpc_message *bytes, ProtobufCMessage **ret_message,
			      struct mrpc_typed_fault *ret_fault)
{
	const struct mrpc_typed_bounds bounds = mrpc_typed_bounds_of(minirpc_call_limits(call));

	return decode_in_block(&bounds, descriptor, bytes, room_of_call, call, ret_message,
			       ret_fault);
}

struct first_room {
	void *room;
	size_t size;
	void *block; /* used instead, when room is too small */
};

static void *first_or_block(void *user, size_t size)
{
	struct first_room *first = user;

	mrpc_free(first->block);
	first->block = NULL;
	if (size <= first->size)
		return memset(first->room, 0, size);
	first->block = mrpc_zalloc(size);
	return first->block;
}

int mrpc_typed_decode_in_room(const struct mrpc_typed_bounds *bounds, void *room, size_t room_size,
			      const ProtobufCMessageDescriptor *descriptor,
			      const struct minirpc_message *bytes, ProtobufCMessage **ret_message,
			      void **ret_block, struct mrpc_typed_fault *ret_fault)
{
	struct first_room first = { .room = room, .size = room_size };
	int r;

	r = decode_in_block(bounds, descriptor, bytes, first_or_block, &first, ret_message,
			    ret_fault);
	if (r < 0)
		first.block = mrpc_free(first.block);
	*ret_block = first.block;
	return r;
}

/* ---- Piece by piece ---- */

struct purse {
	size_t left;
	bool is_empty; /* the budget is used up */
	bool no_memory;
};

static void *purse_alloc(void *allocator_data, size_t size)
{
	struct purse *purse = allocator_data;
	void *p;

	if (size > purse->left) {
		purse->is_empty = true;
		return NULL;
	}
	p = mrpc_zalloc(size);
	if (p == NULL) {
		purse->no_memory = true;
		return NULL;
	}
	purse->left -= size;
	return p;
}

static void purse_free(void *allocator_data, void *pointer)
{
	(void)allocator_data;
	mrpc_free(pointer);
}

int mrpc_typed_decode_apart(const struct mrpc_typed_bounds *bounds,
			    const ProtobufCMessageDescriptor *descriptor, const void *data,
			    size_t len, ProtobufCMessage **ret_message,
			    struct mrpc_typed_fault *ret_fault)
{
	struct checked checked;
	struct purse purse;
	ProtobufCAllocator allocator = { purse_alloc, purse_free, &purse };
	ProtobufCMessage *message;
	int r;

	r = check(&checked, bounds, descriptor, data, len, ret_fault);
	if (r < 0)
		return r;
	purse = (struct purse){ .left = checked.budget };
	message = protobuf_c_message_unpack(descriptor, &allocator, checked.len, checked.data);
	mrpc_free(checked.copy);

	if (message != NULL) {
		*ret_message = message;
		return 0;
	}
	if (purse.no_memory)
		return explain(ret_fault, -ENOMEM, descriptor, "found no memory");
	if (purse.is_empty)
		return explain(ret_fault, -E2BIG, descriptor, "needs too much memory");
	return explain(ret_fault, -EBADMSG, descriptor, "is refused by protobuf-c");
}

void mrpc_typed_free(ProtobufCMessage *message)
{
	ProtobufCAllocator allocator = { purse_alloc, purse_free, NULL };

	protobuf_c_message_free_unpacked(message, &allocator);
}

int minirpc_decode(const ProtobufCMessageDescriptor *descriptor, const void *data, size_t len,
		   ProtobufCMessage **ret_message)
{
	struct mrpc_typed_fault fault;

	return mrpc_typed_decode_apart(&mrpc_typed_bounds_default, descriptor, data, len,
				       ret_message, &fault);
}

/* ---- When it fails ---- */

/* Only names of the .proto file and our own words: nothing of the payload gets into a status. */
struct minirpc_status mrpc_typed_fault_status(const struct mrpc_typed_fault *fault,
					      const char *noun, char text[MRPC_TYPED_TEXT_SIZE])
{
	if (fault->message == NULL)
		snprintf(text, MRPC_TYPED_TEXT_SIZE, "%s cannot be decoded: it %s", noun,
			 fault->what);
	else
		snprintf(text, MRPC_TYPED_TEXT_SIZE, "%s cannot be decoded: %s %s%s%s %s", noun,
			 fault->field == NULL ? "message" : "field", fault->message->name,
			 fault->field == NULL ? "" : ".",
			 fault->field == NULL ? "" : fault->field->name, fault->what);
	return (struct minirpc_status){
		.code = fault->error == -EBADMSG ? MINIRPC_INTERNAL : MINIRPC_RESOURCE_EXHAUSTED,
		.message = text,
	};
}

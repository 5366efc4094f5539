/* SPDX-License-Identifier: MIT */
/* Decode: from bytes to a protobuf-c message, in memory of three kinds. See decode.c. */
#ifndef MRPC_TYPED_DECODE_H
#define MRPC_TYPED_DECODE_H

#include <errno.h>

#include "check.h"

#include <minirpc/call.h>

/* All return 0, or -EBADMSG, -E2BIG, -ENOMEM with the fault explained. */

/* In memory of the call: the message lives as long as the call does; it and what it points to must
 * not be freed. */
int mrpc_typed_decode_in_call(minirpc_call *call, const ProtobufCMessageDescriptor *descriptor,
			      const struct minirpc_message *bytes, ProtobufCMessage **ret_message,
			      struct mrpc_typed_fault *ret_fault);

/* In `room` (bounds: of its call), which the message must not outlive, or when it is too small in a block of its own:
 * *ret_block, to be given to mrpc_free when done (NULL: none). */
int mrpc_typed_decode_in_room(const struct mrpc_typed_bounds *bounds, void *room, size_t room_size,
			      const ProtobufCMessageDescriptor *descriptor,
			      const struct minirpc_message *bytes, ProtobufCMessage **ret_message,
			      void **ret_block, struct mrpc_typed_fault *ret_fault);

/* Piece by piece: protobuf_c_message_free_unpacked(message, NULL) frees it. */
int mrpc_typed_decode_apart(const struct mrpc_typed_bounds *bounds,
			    const ProtobufCMessageDescriptor *descriptor, const void *data,
			    size_t len, ProtobufCMessage **ret_message,
			    struct mrpc_typed_fault *ret_fault);

void mrpc_typed_free(ProtobufCMessage *message); /* one decoded apart; NULL is fine */

/* Not the peer's doing: not to be counted as refused. */
static inline bool mrpc_typed_fault_is_ours(const struct mrpc_typed_fault *fault)
{
	return fault->error == -ENOMEM;
}

/* How a fault ends a call: `text` holds the status's message and must live as long as it is used.
 * noun: "request" or "response". */
#define MRPC_TYPED_TEXT_SIZE 256
struct minirpc_status mrpc_typed_fault_status(const struct mrpc_typed_fault *fault,
					      const char *noun, char text[MRPC_TYPED_TEXT_SIZE]);

#endif

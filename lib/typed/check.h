/* SPDX-License-Identifier: MIT */
/* Check: what the bytes of a message must pass before protobuf-c sees them. See check.c. */
#ifndef MRPC_TYPED_CHECK_H
#define MRPC_TYPED_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <minirpc/limits.h>

/* How deep and how large a message may be (limits.md, section 3). */
struct mrpc_typed_bounds {
	unsigned depth; /* sub-messages inside each other; the outermost message is 0 */
	size_t memory;  /* when decoded, whatever its length */
};

/* Without a call to ask. */
extern const struct mrpc_typed_bounds mrpc_typed_bounds_default;

struct mrpc_typed_bounds mrpc_typed_bounds_of(const struct minirpc_conn_limits *limits);

/* The memory that a message of len bytes may take when decoded. */
size_t mrpc_typed_budget(const struct mrpc_typed_bounds *bounds, size_t len);

/* Allocations are counted, and made, in steps of so many bytes. */
#define MRPC_TYPED_STEP sizeof(uint64_t)

static inline size_t mrpc_typed_round_up(size_t size)
{
	return (size + MRPC_TYPED_STEP - 1) & ~(MRPC_TYPED_STEP - 1);
}

/* What is wrong with a message: "rpc.GetReq.key is not UTF-8". Everything pointed to is static. */
struct mrpc_typed_fault {
	int error;                                 /* 0, -EBADMSG, -E2BIG, -ENOMEM */
	const ProtobufCMessageDescriptor *message; /* where, NULL: nowhere in particular */
	const ProtobufCFieldDescriptor *field;     /* NULL: the message as a whole */
	const char *what;
};

struct mrpc_typed_verdict {
	/* Bytes that protobuf_c_message_unpack will allocate in all, each allocation rounded up;
	 * what it frees underway is counted too. Never too little for protobuf-c 1.4 and 1.5. */
	size_t memory;
	/* It holds what protobuf-c gets wrong: give it to mrpc_typed_normalize, then check the
	 * outcome. */
	bool is_odd;
};

/* Returns 0, or -EBADMSG, -E2BIG with the fault explained. */
int mrpc_typed_check(const struct mrpc_typed_bounds *bounds,
		     const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t len,
		     struct mrpc_typed_verdict *ret_verdict, struct mrpc_typed_fault *ret_fault);

#endif

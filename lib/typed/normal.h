/* SPDX-License-Identifier: MIT */
/* Normal: the same message, written so that protobuf-c reads it right. See normal.c. */
#ifndef MRPC_TYPED_NORMAL_H
#define MRPC_TYPED_NORMAL_H

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* Rewrites a message that mrpc_typed_check let pass. The outcome, *ret_len bytes and never more
 * than len, is the caller's (mrpc_free). Returns 0 or -ENOMEM. */
int mrpc_typed_normalize(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
			 size_t len, uint8_t **ret_data, size_t *ret_len);

#endif

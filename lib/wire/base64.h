/* SPDX-License-Identifier: MIT */
/* Standard base64 for "-bin" metadata: written without padding, read with or without [M-2]. */
#ifndef MRPC_WIRE_BASE64_H
#define MRPC_WIRE_BASE64_H

#include <stddef.h>
#include <stdint.h>

static inline size_t mrpc_base64_encoded_len(size_t len)
{
	return len / 3 * 4 + (len % 3 == 0 ? 0 : len % 3 + 1);
}

/* Writes mrpc_base64_encoded_len(len) bytes, no NUL; returns their number. */
size_t mrpc_base64_encode(char *out, const uint8_t *data, size_t len);

/* The most that decoding len characters may yield. */
static inline size_t mrpc_base64_decoded_max(size_t len)
{
	return len / 4 * 3 + 3;
}

/* Returns 0, or -EINVAL (a character outside the alphabet, impossible length, bits left over in the
 * last character). out may be text. */
int mrpc_base64_decode(uint8_t *out, size_t *ret_len, const char *text, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* grpc-message: 0x20-0x24 and 0x26-0x7E verbatim, every other byte %XX [S-2]; and a space that
 * begins or ends the text. */
#ifndef MRPC_WIRE_PERCENT_H
#define MRPC_WIRE_PERCENT_H

#include <stddef.h>

/* The length of the encoded text, without NUL. */
size_t mrpc_percent_encoded_len(const char *text, size_t len);

/* Writes that many bytes, no NUL; returns their number. */
size_t mrpc_percent_encode(char *out, const char *text, size_t len);

/* Writes at most len bytes, no NUL; returns their number. Never fails: a broken escape stays as it
 * is. out may be text. Decoded bytes that are no UTF-8, and NUL, are replaced by '?', so that a
 * status text is always UTF-8 and a whole C string. */
size_t mrpc_percent_decode(char *out, const char *text, size_t len);

#endif

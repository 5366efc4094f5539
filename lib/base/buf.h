/* SPDX-License-Identifier: MIT */
/* Buf: bytes that are appended at the end and consumed at the front.
 *
 *	data ....[start........end]......capacity
 */
#ifndef MRPC_BASE_BUF_H
#define MRPC_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct mrpc_buf {
	uint8_t *data;
	size_t start, end, capacity;
};

static inline size_t mrpc_buf_len(const struct mrpc_buf *buf)
{
	return buf->end - buf->start;
}

static inline const uint8_t *mrpc_buf_bytes(const struct mrpc_buf *buf)
{
	return buf->data + buf->start;
}

/* Makes room for `room` more bytes at the end: moves or grows. Returns 0 or -ENOMEM. */
int mrpc_buf_reserve(struct mrpc_buf *buf, size_t room);

/* Returns 0 or -ENOMEM; then nothing was appended. */
int mrpc_buf_append(struct mrpc_buf *buf, const void *data, size_t len);

/* Forgets len bytes at the front (at most what is there); an empty buffer starts over. */
void mrpc_buf_consume(struct mrpc_buf *buf, size_t len);

void mrpc_buf_empty(struct mrpc_buf *buf); /* keeps the memory */
void mrpc_buf_clear(struct mrpc_buf *buf); /* gives it back; leaves a zeroed buf */

#endif

/* SPDX-License-Identifier: MIT */
/* Buf: grows by doubling; a read front is reused before memory is asked for. */
#include "base/buf.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>

#define SMALLEST 256u

int mrpc_buf_reserve(struct mrpc_buf *buf, size_t room)
{
	size_t len = mrpc_buf_len(buf);
	size_t need, capacity;
	uint8_t *data;

	if (buf->capacity - buf->end >= room)
		return 0;
	if (!mrpc_add(len, room, &need))
		return -ENOMEM;
	if (need <= buf->capacity && buf->start >= len) {
		memmove(buf->data, buf->data + buf->start, len);
		buf->start = 0;
		buf->end = len;
		return 0;
	}

	capacity = buf->capacity < SMALLEST ? SMALLEST : buf->capacity;
	while (capacity < need)
		if (!mrpc_mul(capacity, 2, &capacity))
			return -ENOMEM;
	data = mrpc_alloc(capacity);
	if (data == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(data, buf->data + buf->start, len);
	mrpc_free(buf->data);
	*buf = (struct mrpc_buf){ .data = data, .end = len, .capacity = capacity };
	return 0;
}

int mrpc_buf_append(struct mrpc_buf *buf, const void *data, size_t len)
{
	int r;

	if (len == 0)
		return 0;
	r = mrpc_buf_reserve(buf, len);
	if (r < 0)
		return r;
	memcpy(buf->data + buf->end, data, len);
	buf->end += len;
	return 0;
}

void mrpc_buf_consume(struct mrpc_buf *buf, size_t len)
{
	if (len >= mrpc_buf_len(buf))
		mrpc_buf_empty(buf);
	else
		buf->start += len;
}

void mrpc_buf_empty(struct mrpc_buf *buf)
{
	buf->start = buf->end = 0;
}

void mrpc_buf_clear(struct mrpc_buf *buf)
{
	mrpc_free(buf->data);
	*buf = (struct mrpc_buf){ 0 };
}

/* SPDX-License-Identifier: MIT */
#include "call/part.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define WORTH_IT 512u

/* False when it would wrap. */
static bool size_of(size_t len, size_t *ret_size)
{
	return mrpc_add(len, sizeof(struct mrpc_part) + MRPC_PREFIX, ret_size);
}

struct mrpc_part *mrpc_part_new(struct mrpc_pool *pool, size_t len)
{
	struct mrpc_part *part;
	size_t size;

	if (!size_of(len, &size))
		return NULL;
	part = mrpc_pool_alloc(pool, size);
	if (part == NULL)
		return NULL;
	*part = (struct mrpc_part){
		.kind = MRPC_MESSAGE, .len = len, .capacity = len, .pool = pool
	};
	return part;
}

int mrpc_part_grow(struct mrpc_part **part, size_t len)
{
	struct mrpc_part *old = *part, *bigger;
	size_t size;

	assert(!old->embedded);
	if (len <= old->capacity)
		return 0;
	if (!size_of(len, &size))
		return -ENOMEM;
	bigger = mrpc_pool_alloc(old->pool, size);
	if (bigger == NULL)
		return -ENOMEM;
	memcpy(bigger, old, sizeof *old + MRPC_PREFIX + old->capacity);
	bigger->capacity = len;
	*part = bigger;
	mrpc_part_free(old);
	return 0;
}

void mrpc_part_trim(struct mrpc_part **part)
{
	struct mrpc_part *old = *part, *smaller;

	if (old->capacity - old->len < WORTH_IT)
		return;
	smaller = mrpc_part_new(old->pool, old->len);
	if (smaller == NULL) /* then not */
		return;
	smaller->compressed = old->compressed;
	memcpy(mrpc_part_data(smaller), mrpc_part_data(old), old->len);
	*part = smaller;
	mrpc_part_free(old);
}

uint8_t *mrpc_part_framed(struct mrpc_part *part)
{
	return (uint8_t *)(part + 1);
}

uint8_t *mrpc_part_data(struct mrpc_part *part)
{
	return mrpc_part_framed(part) + MRPC_PREFIX;
}

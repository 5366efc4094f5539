/* SPDX-License-Identifier: MIT */
#include "call/part.h"

#include "base/alloc.h"

#include <assert.h>
#include <errno.h>

struct mrpc_part *mrpc_part_new(size_t len)
{
	struct mrpc_part *part;
	size_t size;

	if (!mrpc_add(len, sizeof *part + MRPC_PREFIX, &size))
		return NULL;
	part = mrpc_alloc(size);
	if (part == NULL)
		return NULL;
	*part = (struct mrpc_part){ .kind = MRPC_MESSAGE, .len = len, .capacity = len };
	return part;
}

int mrpc_part_grow(struct mrpc_part **part, size_t len)
{
	struct mrpc_part *bigger;
	size_t size;

	assert(!(*part)->embedded);
	if (len <= (*part)->capacity)
		return 0;
	if (!mrpc_add(len, sizeof *bigger + MRPC_PREFIX, &size))
		return -ENOMEM;
	bigger = mrpc_realloc(*part, size);
	if (bigger == NULL)
		return -ENOMEM;
	bigger->capacity = len;
	*part = bigger;
	return 0;
}

void mrpc_part_free(struct mrpc_part *part)
{
	if (part != NULL && !part->embedded)
		mrpc_free(part);
}

uint8_t *mrpc_part_framed(struct mrpc_part *part)
{
	return (uint8_t *)(part + 1);
}

uint8_t *mrpc_part_data(struct mrpc_part *part)
{
	return mrpc_part_framed(part) + MRPC_PREFIX;
}

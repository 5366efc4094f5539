/* SPDX-License-Identifier: MIT */
/* Memory: thin names over malloc. A test program that links an alloc.c of its own first takes this
 * one's place. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

void *mrpc_alloc(size_t size)
{
	return malloc(size == 0 ? 1 : size);
}

void *mrpc_zalloc(size_t size)
{
	return calloc(1, size == 0 ? 1 : size);
}

void *mrpc_realloc(void *p, size_t size)
{
	return realloc(p, size == 0 ? 1 : size);
}

void *mrpc_free(void *p)
{
	free(p);
	return NULL;
}

bool mrpc_alloc_is_watched(void)
{
#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
	return true;
#else
	return false;
#endif
}

/* SPDX-License-Identifier: MIT */
#include "world/alloc_fail.h"

#include "base/alloc.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Of all threads: what one posts another gives back. */
static struct {
	_Atomic size_t at, asked, refused, live, bytes, peak;
	_Atomic bool forever;
} state;

void alloc_fail_at(size_t n, bool forever)
{
	state.at = n;
	state.forever = forever;
	state.asked = 0;
	state.refused = 0;
}

size_t alloc_asked(void)
{
	return state.asked;
}

size_t alloc_refused(void)
{
	return state.refused;
}

size_t alloc_live(void)
{
	return state.live;
}

size_t alloc_live_bytes(void)
{
	return state.bytes;
}

size_t alloc_peak_bytes(void)
{
	return state.peak;
}

void alloc_reset_peak(void)
{
	state.peak = state.bytes;
}

static bool is_refused(void)
{
	bool refused;

	state.asked++;
	refused = state.at > 0 &&
		  (state.asked == state.at || (state.forever && state.asked > state.at));
	state.refused += refused;
	return refused;
}

static void *count(void *p)
{
	if (p != NULL) {
		state.live++;
		state.bytes += malloc_usable_size(p);
		if (state.bytes > state.peak)
			state.peak = state.bytes;
	}
	return p;
}

static void uncount(void *p)
{
	if (p != NULL) {
		state.live--;
		state.bytes -= malloc_usable_size(p);
	}
}

void *mrpc_alloc(size_t size)
{
	return is_refused() ? NULL : count(malloc(size == 0 ? 1 : size));
}

void *mrpc_zalloc(size_t size)
{
	return is_refused() ? NULL : count(calloc(1, size == 0 ? 1 : size));
}

/* Always moves, so that a pointer that was kept too long is found. */
void *mrpc_realloc(void *p, size_t size)
{
	size_t old = p == NULL ? 0 : malloc_usable_size(p);
	void *fresh = mrpc_alloc(size);

	if (fresh == NULL)
		return NULL;
	if (p != NULL)
		memcpy(fresh, p, old < size ? old : size);
	mrpc_free(p);
	return fresh;
}

void *mrpc_free(void *p)
{
	uncount(p);
	free(p);
	return NULL;
}

bool mrpc_alloc_is_watched(void)
{
	return true;
}

/* SPDX-License-Identifier: MIT */
/* Compress: a table of names, and a sink that makes a message of what a compressor puts.
 *
 *	data --> compressor --put--> sink --> part
 *
 * The sink is where a bomb ends: it refuses the first byte over the limit, and remembers that it did,
 * so that a compressor that does not listen cannot turn it into a success. */
#include "wire/compress.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_LEN 32u
#define FIRST_ROOM 256u

const struct mrpc_compressors mrpc_no_compressors = { .accept = "identity",
						      .accept_len = sizeof "identity" - 1 };

/* ---- Names ---- */

static bool is_name(const char *name)
{
	size_t len = name == NULL ? 0 : strlen(name);

	return len > 0 && len <= NAME_MAX_LEN && strcmp(name, "identity") != 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.+") == len;
}

const struct minirpc_compressor *mrpc_compressors_find(const struct mrpc_compressors *compressors,
						       const char *name, size_t len)
{
	for (size_t i = 0; i < compressors->count; i++)
		if (mrpc_equals(name, len, compressors->all[i]->name))
			return compressors->all[i];
	return NULL;
}

int mrpc_compressors_choose(const struct mrpc_compressors *compressors, const char *name,
			    const struct minirpc_compressor **ret_compressor)
{
	*ret_compressor = NULL;
	if (name == NULL || strcmp(name, "identity") == 0)
		return 0;
	*ret_compressor = mrpc_compressors_find(compressors, name, strlen(name));
	return *ret_compressor == NULL ? -EINVAL : 0;
}

static int add(struct mrpc_compressors *compressors, const struct minirpc_compressor *compressor)
{
	size_t len = strlen(compressor->name);

	if (compressors->count == MRPC_COMPRESSORS ||
	    compressors->accept_len + 1 + len >= sizeof compressors->accept)
		return -EINVAL;
	if (compressors->count == 0)
		compressors->accept_len = 0; /* in place of "identity", which goes without saying */
	else
		compressors->accept[compressors->accept_len++] = ',';
	compressors->all[compressors->count++] = compressor;
	memcpy(compressors->accept + compressors->accept_len, compressor->name, len + 1);
	compressors->accept_len += len;
	return 0;
}

static bool has(const struct mrpc_compressors *compressors, const char *name)
{
	return mrpc_compressors_find(compressors, name, strlen(name)) != NULL;
}

int mrpc_compressors_init(struct mrpc_compressors *compressors,
			  const struct minirpc_compressor *const *more, bool only)
{
	const struct minirpc_compressor *const built_in[] = { minirpc_compressor_gzip(),
							      minirpc_compressor_deflate() };
	int r = 0;

	*compressors = mrpc_no_compressors;
	for (; more != NULL && *more != NULL && r == 0; more++) {
		if (!is_name((*more)->name) || has(compressors, (*more)->name) ||
		    (*more)->compress == NULL || (*more)->decompress == NULL)
			return -EINVAL;
		r = add(compressors, *more);
	}
	for (size_t i = 0; i < sizeof built_in / sizeof *built_in && r == 0 && !only; i++)
		if (!has(compressors, built_in[i]->name))
			r = add(compressors, built_in[i]);
	return r;
}

static bool is_separator(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

uint32_t mrpc_compressors_in(const struct mrpc_compressors *compressors, const char *list,
			     size_t len)
{
	uint32_t found = 0;
	size_t at = 0, end;

	for (; at < len; at = end + 1) {
		for (end = at; end < len && !is_separator(list[end]);)
			end++;
		for (size_t i = 0; i < compressors->count; i++)
			if (mrpc_equals(list + at, end - at, compressors->all[i]->name))
				found |= 1u << i;
	}
	return found;
}

/* ---- Messages ---- */

struct sink {
	struct mrpc_part *part;
	size_t limit;
	int error;
};

/* Doubles, and goes to the limit in one step when it is near: an old and a new block together are never
 * more than one and a half times the limit. */
static int grow(struct sink *sink, size_t need)
{
	size_t room = sink->part->capacity;

	if (need <= room)
		return 0;
	room = room > sink->limit / 4 ? sink->limit : room * 2;
	return mrpc_part_grow(&sink->part, room < need ? need : room);
}

static int put(void *user, const void *bytes, size_t len)
{
	struct sink *sink = user;
	size_t have = sink->part->len;

	if (sink->error != 0 || len == 0)
		return sink->error;
	if (len > sink->limit - have)
		sink->error = -EMSGSIZE;
	else
		sink->error = grow(sink, have + len);
	if (sink->error != 0)
		return sink->error;
	memcpy(mrpc_part_data(sink->part) + have, bytes, len);
	sink->part->len = have + len;
	return 0;
}

static int sink_init(struct sink *sink, struct mrpc_pool *pool, size_t room, size_t limit)
{
	if (room < FIRST_ROOM)
		room = FIRST_ROOM;
	*sink = (struct sink){ .limit = limit,
			       .part = mrpc_part_new(pool, room < limit ? room : limit) };
	if (sink->part == NULL)
		return -ENOMEM;
	sink->part->len = 0;
	sink->part->compressed = true;
	return 0;
}

/* What a compressor returned, in the words of ours. */
static int finish(struct sink *sink, int r, int other, struct mrpc_part **ret_part)
{
	if (sink->error != 0)
		r = sink->error;
	else if (r != 0)
		r = r == -ENOMEM ? r : other;
	if (r == 0)
		*ret_part = sink->part;
	else
		mrpc_part_free(sink->part);
	return r;
}

int mrpc_part_compress(struct mrpc_part **ret_part, const struct minirpc_compressor *compressor,
		       struct mrpc_pool *pool, const void *data, size_t len)
{
	struct sink sink;
	int r;

	r = sink_init(&sink, pool, len / 2, UINT32_MAX);
	if (r < 0)
		return r;
	r = compressor->compress(compressor->user, data, len, put, &sink);
	r = finish(&sink, r, -EIO, ret_part);
	if (r == 0) /* it may wait for long */
		mrpc_part_trim(ret_part);
	return r;
}

int mrpc_part_decompress(struct mrpc_part **ret_part, const struct minirpc_compressor *compressor,
			 struct mrpc_part *part, size_t limit)
{
	struct sink sink;
	int r;

	r = sink_init(&sink, part->pool, part->len > limit / 2 ? limit : part->len * 2, limit);
	if (r < 0)
		return r;
	r = compressor->decompress(compressor->user, mrpc_part_data(part), part->len, put, &sink);
	return finish(&sink, r, -EBADMSG, ret_part);
}

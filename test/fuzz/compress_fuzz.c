/* SPDX-License-Identifier: MIT */
/* Inflating: whatever the bytes, what comes out is within the limit and costs no more memory than that,
 * or it does not come out; and what came out survives the way back.
 *
 *	which compressor (1 byte)  limit (1 byte, 23 steps: up to 4 MiB)  bytes ... */
#include "fuzz.h"

#include "wire/compress.h"
#include "world/alloc_fail.h"

#include <errno.h>

static const struct minirpc_compressor *compressor_of(uint8_t byte)
{
	switch (byte % 5) {
	case 0:
		return minirpc_compressor_gzip();
	case 1:
		return minirpc_compressor_deflate();
	case 2:
		return minirpc_compressor_zstd();
	case 3:
		return minirpc_compressor_brotli();
	default:
		return minirpc_compressor_snappy();
	}
}

/* A compressor's own, beside the message; br may keep a window of 16 MiB, zstd's is not counted. */
static size_t own_memory(uint8_t byte)
{
	return byte % 5 == 3 ? 20u << 20 : byte % 5 == 4 ? 66u << 10 : 48u << 10;
}

static void check_way_back(const struct minirpc_compressor *compressor, struct mrpc_part *whole)
{
	struct mrpc_part *part, *again;

	hold(mrpc_part_compress(&part, compressor, NULL, mrpc_part_data(whole), whole->len) == 0);
	hold(mrpc_part_decompress(&again, compressor, part, whole->len) == 0);
	hold(again->len == whole->len);
	hold(memcmp(mrpc_part_data(again), mrpc_part_data(whole), whole->len) == 0);
	mrpc_part_free(again);
	if (whole->len > 0)
		hold(mrpc_part_decompress(&again, compressor, part, whole->len - 1) == -EMSGSIZE);
	mrpc_part_free(part);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	uint8_t which = input_byte(&input);
	const struct minirpc_compressor *compressor = compressor_of(which);
	size_t limit = (size_t)1 << (input_byte(&input) % 23);
	struct mrpc_part *part, *whole;
	size_t before = alloc_live();
	int r;

	if (compressor == NULL) /* not in this build */
		return 0;
	part = mrpc_part_new(NULL, input.left);
	hold(part != NULL);
	if (input.left > 0)
		memcpy(mrpc_part_data(part), input.at, input.left);
	alloc_reset_peak();
	r = mrpc_part_decompress(&whole, compressor, part, limit);
	hold(r == 0 || r == -EMSGSIZE || r == -EBADMSG);
	hold(alloc_peak_bytes() <= 512 + input.left + limit + limit / 2 + own_memory(which));
	mrpc_part_free(part);
	if (r == 0) {
		hold(whole->len <= limit && whole->capacity <= limit);
		if (whole->len <= 1u << 16) /* searching is to be quick */
			check_way_back(compressor, whole);
		mrpc_part_free(whole);
	}
	hold(alloc_live() == before);
	return 0;
}

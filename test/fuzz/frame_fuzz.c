/* SPDX-License-Identifier: MIT */
/* Deframer: whatever the bytes and however they are cut, it says what a reading of the whole says.
 *
 *	limit (1 byte, 16 steps)  number of chunk sizes, those sizes  bytes ... */
#include "fuzz.h"

#include "wire/frame.h"

#include <errno.h>

struct expected {
	const uint8_t *at;
	size_t left, limit;
	int error;
};

/* The next message, read plainly; false at the end or at an error. */
static bool next_message(struct expected *expected, const uint8_t **ret_data, size_t *ret_len,
			 bool *ret_compressed)
{
	const uint8_t *p = expected->at;
	size_t announced;

	if (expected->left < MRPC_PREFIX)
		return false;
	announced = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (p[0] > 1)
		expected->error = -EPROTO;
	else if (announced > expected->limit)
		expected->error = -EMSGSIZE;
	if (expected->error != 0 || expected->left - MRPC_PREFIX < announced)
		return false;

	*ret_compressed = p[0] == 1;
	*ret_data = p + MRPC_PREFIX;
	*ret_len = announced;
	expected->at += MRPC_PREFIX + announced;
	expected->left -= MRPC_PREFIX + announced;
	return true;
}

static void check_message(struct expected *expected, struct mrpc_part *part)
{
	const uint8_t *data;
	uint8_t prefix[MRPC_PREFIX];
	size_t len;
	bool compressed;

	hold(next_message(expected, &data, &len, &compressed));
	hold(part->kind == MRPC_MESSAGE && part->len == len && part->compressed == compressed);
	hold(len == 0 || memcmp(mrpc_part_data(part), data, len) == 0);
	hold(part->capacity >= len && part->capacity <= (2 * len > 4096 ? 2 * len : 4096));

	mrpc_frame_prefix(prefix, compressed, (uint32_t)len);
	hold(memcmp(prefix, data - MRPC_PREFIX, MRPC_PREFIX) == 0);
	mrpc_part_free(part);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	size_t limit = ((size_t)1 << (input_byte(&input) & 15)) - 1;
	size_t sizes = input_byte(&input) & 15, i, n;
	uint8_t chunks[16] = { 0 };
	struct mrpc_deframer deframer;
	struct expected expected = { .limit = limit };
	int r = 0;

	for (i = 0; i < sizes; i++)
		chunks[i] = input_byte(&input);
	expected.at = input.at;
	expected.left = input.left;

	mrpc_deframer_init(&deframer, NULL, limit);
	for (i = 0; input.left > 0 && r == 0; i++) {
		const uint8_t *at;
		uint8_t *chunk;

		/* A size of 0 is a feed of nothing; after one round of sizes the rest comes whole.
		 */
		chunk = input_copy(&input, i < sizes ? chunks[i] : input.left, false, &n);
		at = chunk;
		do {
			struct mrpc_part *part;

			r = mrpc_deframer_feed(&deframer, &at, &n, &part);
			hold(r == 0 || part == NULL);
			if (part != NULL)
				check_message(&expected, part);
			else if (r == 0)
				hold(n == 0);
		} while (r == 0 && n > 0);
		if (deframer.part != NULL)
			hold(deframer.part->capacity <=
			     (2 * deframer.part->len > 4096 ? 2 * deframer.part->len : 4096));
		free(chunk);
	}

	hold(!next_message(&expected, &(const uint8_t *){ NULL }, &(size_t){ 0 }, &(bool){ 0 }));
	hold(r == expected.error);
	hold(mrpc_deframer_is_partial(&deframer) == (expected.left > 0));
	mrpc_deframer_clear(&deframer);
	return 0;
}

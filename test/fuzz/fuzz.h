/* SPDX-License-Identifier: MIT */
/* A fuzz target is one function over bytes; what must hold for all bytes it says with `hold`.
 *
 * The same function is driven by libFuzzer (libfuzzer.c, in `test/run --all`) and by replay.c,
 * which runs the seeds and every input that once found a bug (test/fuzz/corpus/TARGET). */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns 0. */
int fuzz_one(const uint8_t *data, size_t len);

/* As assert, in every kind of build. */
#define hold(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
				#condition);                                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* For places that are not reached. */
#define never(why)                                                                                 \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, why);                           \
		abort();                                                                           \
	} while (0)

/* The bytes of the input, handed out from the front; past the end there are zeros. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline uint8_t input_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

static inline uint32_t input_u32(struct input *input)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 8 | input_byte(input);
	return value;
}

/* The next n bytes, fewer at the end, in an allocation of just their size, so that a sanitizer sees
 * each step beyond it. NUL-terminated when `text`. To be freed. */
static inline void *input_copy(struct input *input, size_t n, bool text, size_t *ret_len)
{
	size_t len = n < input->left ? n : input->left;
	uint8_t *copy = malloc(len + (text ? 1 : 0) + (len == 0 && !text ? 1 : 0));

	hold(copy != NULL);
	if (len > 0)
		memcpy(copy, input->at, len);
	if (text)
		copy[len] = '\0';
	input->at += len;
	input->left -= len;
	*ret_len = len;
	return copy;
}

#endif

/* SPDX-License-Identifier: MIT */
/* The driver by libFuzzer: clang -fsanitize=fuzzer brings its main. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_one(data, len);
}

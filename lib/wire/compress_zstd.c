/* SPDX-License-Identifier: MIT */
/* The compressors that a build may have; none yet. */
#include <minirpc/compress.h>

const struct minirpc_compressor *minirpc_compressor_zstd(void)
{
	return NULL;
}

const struct minirpc_compressor *minirpc_compressor_brotli(void)
{
	return NULL;
}

const struct minirpc_compressor *minirpc_compressor_snappy(void)
{
	return NULL;
}

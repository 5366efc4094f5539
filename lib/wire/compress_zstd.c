/* SPDX-License-Identifier: MIT */
/* zstd (RFC 8878), where the build has libzstd. The only user of it.
 *
 * A frame says which window it needs, up to 128 MiB and more: we grant the 8 MiB that the RFC asks of
 * every decoder, which is what the highest ordinary levels use. libzstd has no stable way to bring an
 * allocator; it gives NULL when malloc does. */
#include "wire/have.h" /* made by meson */

#include <errno.h>

#include <minirpc/compress.h>

#ifdef MRPC_HAVE_ZSTD
#include <zstd.h>

#define PIECE 8192u
#define WINDOW_BITS 23

typedef int put_fn(void *sink, const void *bytes, size_t len);

static int compress_all(ZSTD_CCtx *context, ZSTD_inBuffer *in, put_fn *put, void *sink)
{
	uint8_t piece[PIECE];
	size_t left;
	int r;

	/* Knowing the size it takes no more memory than that needs. */
	if (ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, in->size)))
		return -EIO;
	do {
		ZSTD_outBuffer out = { .dst = piece, .size = sizeof piece };

		left = ZSTD_compressStream2(context, &out, in, ZSTD_e_end);
		if (ZSTD_isError(left))
			return -ENOMEM; /* nothing else can fail */
		r = put(sink, piece, out.pos);
	} while (r == 0 && left > 0);
	return r;
}

static int compress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	ZSTD_inBuffer in = { .src = data, .size = len };
	ZSTD_CCtx *context = ZSTD_createCCtx();
	int r;

	(void)user;
	if (context == NULL)
		return -ENOMEM;
	r = compress_all(context, &in, put, sink);
	ZSTD_freeCCtx(context);
	return r;
}

/* Frames may follow one another (RFC 8878, 3.1). */
static int decompress_all(ZSTD_DCtx *context, ZSTD_inBuffer *in, put_fn *put, void *sink)
{
	uint8_t piece[PIECE];
	size_t left;
	int r;

	if (ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, WINDOW_BITS)))
		return -EIO;
	for (;;) {
		ZSTD_outBuffer out = { .dst = piece, .size = sizeof piece };

		left = ZSTD_decompressStream(context, &out, in);
		if (ZSTD_isError(left))
			return -EBADMSG;
		r = put(sink, piece, out.pos);
		if (r != 0)
			return r;
		if (in->pos < in->size)
			continue;
		if (left == 0) /* all in, all out */
			return 0;
		if (out.pos < out.size) /* it wants more: truncated */
			return -EBADMSG;
	}
}

static int decompress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	ZSTD_inBuffer in = { .src = data, .size = len };
	ZSTD_DCtx *context;
	int r;

	(void)user;
	if (len == 0)
		return -EBADMSG;
	context = ZSTD_createDCtx();
	if (context == NULL)
		return -ENOMEM;
	r = decompress_all(context, &in, put, sink);
	ZSTD_freeDCtx(context);
	return r;
}
#endif

const struct minirpc_compressor *minirpc_compressor_zstd(void)
{
#ifdef MRPC_HAVE_ZSTD
	static const struct minirpc_compressor table = {
		.name = "zstd",
		.compress = compress_bytes,
		.decompress = decompress_bytes,
	};

	return &table;
#else
	return NULL;
#endif
}

/* SPDX-License-Identifier: MIT */
/* gzip (RFC 1952) and deflate, by which gRPC means the zlib format of RFC 1950 [C-1]. The only user of
 * zlib.
 *
 * zlib's contexts are made for long streams: a quarter of a megabyte to deflate. Ours see one message,
 * so window, hash table and buffers are as large as it asks for, and no larger. */
#include "base/alloc.h"

#include <errno.h>
#include <limits.h>

#include <minirpc/compress.h>
#include <zlib.h>

#define PIECE 8192u
#define GZIP 16 /* added to the bits of the window */

static void *allocate(void *user, unsigned items, unsigned size)
{
	size_t bytes;

	(void)user;
	return mrpc_mul(items, size, &bytes) ? mrpc_alloc(bytes) : NULL;
}

static void release(void *user, void *p)
{
	(void)user;
	mrpc_free(p);
}

/* NULL is said by user; any other pointer is gzip. */
static const char gzip_mark;

static int format_bits(const void *user)
{
	return user == &gzip_mark ? GZIP : 0;
}

static z_stream stream_of(const void *data, size_t len)
{
	return (z_stream){
		.zalloc = allocate,
		.zfree = release,
		.next_in = (Bytef *)(uintptr_t)data,
		.avail_in = (uInt)len,
	};
}

/* So many bits count to len. */
static int bits_of(size_t len)
{
	int bits = 0;

	while (bits < 15 && ((size_t)1 << bits) < len)
		bits++;
	return bits;
}

static int within(int value, int low, int high)
{
	return value < low ? low : value > high ? high : value;
}

typedef int put_fn(void *sink, const void *bytes, size_t len);

static int compress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	z_stream z = stream_of(data, len);
	/* 262: what zlib keeps of a window for its look-ahead */
	int window = within(bits_of(len + 262), 9, 15);
	int memory = within(bits_of(len) - 6, 1, 8);
	uint8_t piece[PIECE];
	int r, end;

	if (len > UINT_MAX)
		return -EMSGSIZE;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window + format_bits(user), memory,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	do {
		z.next_out = piece;
		z.avail_out = sizeof piece;
		end = deflate(&z, Z_FINISH);
		r = put(sink, piece, sizeof piece - z.avail_out);
	} while (r == 0 && end == Z_OK);
	deflateEnd(&z);
	return r != 0 ? r : end == Z_STREAM_END ? 0 : -EIO;
}

/* One more piece of output, or what it ends with: 0 at the end of all input. */
enum { MORE = 1 };

static int next_step(z_stream *z, int end, bool is_gzip)
{
	switch (end) {
	case Z_STREAM_END:
		if (z->avail_in == 0)
			return 0;
		/* RFC 1952, 2.2: members may follow one another; nothing else may. */
		return is_gzip && inflateReset(z) == Z_OK ? MORE : -EBADMSG;
	case Z_OK:
	case Z_BUF_ERROR: /* no room, or no input: truncated */
		return z->avail_out == 0 ? MORE : -EBADMSG;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default: /* Z_DATA_ERROR, Z_NEED_DICT */
		return -EBADMSG;
	}
}

static int decompress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	z_stream z = stream_of(data, len);
	uint8_t piece[PIECE];
	int r, end;

	if (len > UINT_MAX)
		return -EBADMSG;
	if (inflateInit2(&z, 15 + format_bits(user)) != Z_OK)
		return -ENOMEM;
	do {
		z.next_out = piece;
		z.avail_out = sizeof piece;
		/* Z_FINISH: a message that fits one piece needs no window, 32 KiB less */
		end = inflate(&z, Z_FINISH);
		r = put(sink, piece, sizeof piece - z.avail_out);
		if (r == 0)
			r = next_step(&z, end, format_bits(user) == GZIP);
	} while (r == MORE);
	inflateEnd(&z);
	return r;
}

const struct minirpc_compressor *minirpc_compressor_gzip(void)
{
	static const struct minirpc_compressor table = {
		.name = "gzip",
		.user = (void *)(uintptr_t)&gzip_mark,
		.compress = compress_bytes,
		.decompress = decompress_bytes,
	};

	return &table;
}

const struct minirpc_compressor *minirpc_compressor_deflate(void)
{
	static const struct minirpc_compressor table = {
		.name = "deflate",
		.compress = compress_bytes,
		.decompress = decompress_bytes,
	};

	return &table;
}

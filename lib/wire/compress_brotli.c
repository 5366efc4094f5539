/* SPDX-License-Identifier: MIT */
/* br (RFC 7932), where the build has libbrotli. The only user of it.
 *
 * While it inflates, brotli keeps a window of at most 16 MiB beside what it makes.
 *
 * Its encoder, as it is usually built, ends the process when its allocator gives it NULL. Ours does not
 * give it NULL: it jumps back to where the encoder was called. What the encoder had is all in one list,
 * the encoder itself included, and is freed there. */
#include "base/alloc.h"
#include "base/list.h"
#include "wire/have.h" /* made by meson */

#include <errno.h>
#include <setjmp.h>

#include <minirpc/compress.h>

#ifdef MRPC_HAVE_BROTLI
#include <brotli/decode.h>
#include <brotli/encode.h>

#define PIECE 8192u
#define QUALITY 5 /* 11, the default, takes a hundred times as long */

typedef int put_fn(void *sink, const void *bytes, size_t len);

static void *allocate(void *user, size_t size)
{
	(void)user;
	return mrpc_alloc(size);
}

static void release(void *user, void *p)
{
	(void)user;
	mrpc_free(p);
}

/* ---- The encoder ---- */

struct block {
	_Alignas(max_align_t) struct mrpc_list node;
};

/* One encoder's memory. */
struct hoard {
	struct mrpc_list blocks;
	jmp_buf no_memory;
};

static void *allocate_or_jump(void *user, size_t size)
{
	struct hoard *hoard = user;
	struct block *block = NULL;

	if (mrpc_add(size, sizeof *block, &size))
		block = mrpc_alloc(size);
	if (block == NULL)
		longjmp(hoard->no_memory, 1);
	block->node = (struct mrpc_list){ 0 };
	mrpc_list_push(&hoard->blocks, &block->node);
	return block + 1;
}

static void release_block(struct block *block)
{
	mrpc_list_remove(&block->node);
	mrpc_free(block);
}

static void release_one(void *user, void *p)
{
	(void)user;
	if (p != NULL)
		release_block((struct block *)p - 1);
}

static void release_all(struct hoard *hoard)
{
	while (!mrpc_list_is_empty(&hoard->blocks))
		release_block(mrpc_container(hoard->blocks.next, struct block, node));
}

/* A window as large as the message. */
static uint32_t window_bits(size_t len)
{
	uint32_t bits = BROTLI_MIN_WINDOW_BITS;

	while (bits < BROTLI_DEFAULT_WINDOW && ((size_t)1 << bits) - 16 < len)
		bits++;
	return bits;
}

/* Where the jump would come from. */
static int compress_all(struct hoard *hoard, const void *data, size_t len, put_fn *put, void *sink)
{
	BrotliEncoderState *state =
		BrotliEncoderCreateInstance(allocate_or_jump, release_one, hoard);
	const uint8_t *in = data;
	size_t in_left = len, out_left = 0, n;
	const uint8_t *piece;
	int r = 0;

	if (state == NULL)
		return -ENOMEM;
	BrotliEncoderSetParameter(state, BROTLI_PARAM_QUALITY, QUALITY);
	BrotliEncoderSetParameter(state, BROTLI_PARAM_LGWIN, window_bits(len));
	BrotliEncoderSetParameter(state, BROTLI_PARAM_SIZE_HINT, (uint32_t)len);
	while (r == 0 && !BrotliEncoderIsFinished(state)) {
		if (!BrotliEncoderCompressStream(state, BROTLI_OPERATION_FINISH, &in_left, &in,
						 &out_left, NULL, NULL)) {
			r = -ENOMEM; /* nothing else can fail */
			break;
		}
		n = 0; /* all there is */
		piece = BrotliEncoderTakeOutput(state, &n);
		r = put(sink, piece, n);
	}
	BrotliEncoderDestroyInstance(state);
	return r;
}

static int compress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	struct hoard hoard;
	int r;

	(void)user;
	mrpc_list_init(&hoard.blocks);
	if (setjmp(hoard.no_memory) != 0) {
		release_all(&hoard);
		return -ENOMEM;
	}
	r = compress_all(&hoard, data, len, put, sink);
	release_all(&hoard); /* nothing is left, unless brotli forgets */
	return r;
}

/* ---- The decoder ---- */

static int error_of(const BrotliDecoderState *state)
{
	BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(state);

	return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
			       code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
		       ? -ENOMEM
		       : -EBADMSG;
}

static int decompress_all(BrotliDecoderState *state, const uint8_t *in, size_t in_left, put_fn *put,
			  void *sink)
{
	uint8_t piece[PIECE];

	for (;;) {
		uint8_t *out = piece;
		size_t out_left = sizeof piece;
		BrotliDecoderResult result =
			BrotliDecoderDecompressStream(state, &in_left, &in, &out_left, &out, NULL);
		int r = put(sink, piece, sizeof piece - out_left);

		if (r != 0)
			return r;
		switch (result) {
		case BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT:
			break;
		case BROTLI_DECODER_RESULT_SUCCESS:
			return in_left == 0 ? 0 : -EBADMSG;
		case BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT:
			return -EBADMSG;
		default:
			return error_of(state);
		}
	}
}

static int decompress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	BrotliDecoderState *state = BrotliDecoderCreateInstance(allocate, release, NULL);
	int r;

	(void)user;
	if (state == NULL)
		return -ENOMEM;
	r = decompress_all(state, data, len, put, sink);
	BrotliDecoderDestroyInstance(state);
	return r;
}
#endif

const struct minirpc_compressor *minirpc_compressor_brotli(void)
{
#ifdef MRPC_HAVE_BROTLI
	static const struct minirpc_compressor table = {
		.name = "br",
		.compress = compress_bytes,
		.decompress = decompress_bytes,
	};

	return &table;
#else
	return NULL;
#endif
}

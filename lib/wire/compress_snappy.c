/* SPDX-License-Identifier: MIT */
/* snappy, where the build has libsnappy. The only user of it. gRPC's peers mean the framing format
 * (google/snappy, framing_format.txt), and so do we:
 *
 *	ff 06 00 00 s N a P p Y     then chunks:  type  length (3, le)  body
 *
 *	type 00  checksum (4, le), a block of snappy, of at most 64 KiB when it is inflated
 *	type 01  checksum, at most 64 KiB as they are
 *	type 80 to fe  to be skipped; others are errors; ff is the head again
 *
 * A stream may end after any chunk, and an empty one is an empty message: Go's encoder writes nothing
 * for it. libsnappy is C++, and asks `new` for the table it compresses with. */
#include "base/alloc.h"
#include "wire/have.h" /* made by meson */

#include <errno.h>
#include <string.h>

#include <minirpc/compress.h>

#ifdef MRPC_HAVE_SNAPPY
#include <snappy-c.h>

#define BLOCK 65536u
#define CHUNK_HEAD 4u
#define CHECKSUM 4u

enum { COMPRESSED = 0, PLAIN = 1, FIRST_SKIPPED = 0x80, STREAM_HEAD = 0xff };

static const uint8_t stream_head[] = { 0xff, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y' };

typedef int put_fn(void *sink, const void *bytes, size_t len);

/* CRC-32C (RFC 3720, B.4), four bits at a time, masked as the format wants it. */
static uint32_t checksum(const uint8_t *data, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	crc = ~crc;
	return (crc >> 15 | crc << 17) + 0xa282ead8;
}

static uint32_t read_le(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = bytes; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

static void write_le(uint8_t *at, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* ---- Out ---- */

static int put_chunk(uint8_t type, const uint8_t *block, size_t block_len, const void *body,
		     size_t len, put_fn *put, void *sink)
{
	uint8_t head[CHUNK_HEAD + CHECKSUM];
	int r;

	head[0] = type;
	write_le(head + 1, (uint32_t)(CHECKSUM + len), 3);
	write_le(head + CHUNK_HEAD, checksum(block, block_len), CHECKSUM);
	r = put(sink, head, sizeof head);
	return r != 0 ? r : put(sink, body, len);
}

static int compress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	const uint8_t *at = data;
	size_t room = snappy_max_compressed_length(len < BLOCK ? len : BLOCK);
	char *body = mrpc_alloc(room);
	int r;

	(void)user;
	if (body == NULL)
		return -ENOMEM;
	r = put(sink, stream_head, sizeof stream_head);
	while (r == 0 && len > 0) {
		size_t n = len < BLOCK ? len : BLOCK, body_len = room;

		if (snappy_compress((const char *)at, n, body, &body_len) == SNAPPY_OK &&
		    body_len < n - n / 8)
			r = put_chunk(COMPRESSED, at, n, body, body_len, put, sink);
		else /* not worth it */
			r = put_chunk(PLAIN, at, n, at, n, put, sink);
		at += n;
		len -= n;
	}
	mrpc_free(body);
	return r;
}

/* ---- In ---- */

static int put_block(const uint8_t *body, const uint8_t *block, size_t block_len, put_fn *put,
		     void *sink)
{
	if (block_len > BLOCK || checksum(block, block_len) != read_le(body, CHECKSUM))
		return -EBADMSG;
	return put(sink, block, block_len);
}

/* block: room for BLOCK bytes. */
static int take_chunk(uint8_t type, const uint8_t *body, size_t len, char *block, put_fn *put,
		      void *sink)
{
	size_t n = BLOCK, announced;

	if (type == STREAM_HEAD)
		return len == 6 && memcmp(body, stream_head + CHUNK_HEAD, 6) == 0 ? 0 : -EBADMSG;
	if (type >= FIRST_SKIPPED)
		return 0;
	if (type > PLAIN || len < CHECKSUM)
		return -EBADMSG;
	if (type == PLAIN)
		return put_block(body, body + CHECKSUM, len - CHECKSUM, put, sink);

	if (snappy_uncompressed_length((const char *)body + CHECKSUM, len - CHECKSUM, &announced) !=
		    SNAPPY_OK ||
	    announced > BLOCK ||
	    snappy_uncompress((const char *)body + CHECKSUM, len - CHECKSUM, block, &n) !=
		    SNAPPY_OK)
		return -EBADMSG;
	return put_block(body, (const uint8_t *)block, n, put, sink);
}

static int decompress_bytes(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	const uint8_t *at = data;
	char *block;
	int r = 0;

	(void)user;
	if (len == 0)
		return 0;
	if (at[0] != STREAM_HEAD)
		return -EBADMSG;
	block = mrpc_alloc(BLOCK);
	if (block == NULL)
		return -ENOMEM;
	while (r == 0 && len > 0) {
		size_t body = len < CHUNK_HEAD ? len : read_le(at + 1, 3);

		if (len < CHUNK_HEAD || body > len - CHUNK_HEAD) { /* truncated */
			r = -EBADMSG;
			break;
		}
		r = take_chunk(at[0], at + CHUNK_HEAD, body, block, put, sink);
		at += CHUNK_HEAD + body;
		len -= CHUNK_HEAD + body;
	}
	mrpc_free(block);
	return r;
}
#endif

const struct minirpc_compressor *minirpc_compressor_snappy(void)
{
#ifdef MRPC_HAVE_SNAPPY
	static const struct minirpc_compressor table = {
		.name = "snappy",
		.compress = compress_bytes,
		.decompress = decompress_bytes,
	};

	return &table;
#else
	return NULL;
#endif
}

/* SPDX-License-Identifier: MIT */
/* Compression of messages. gzip and deflate are always understood; nothing is sent compressed
 * unless you say so, for a channel, a call, a server, or a single message:
 *
 *	minirpc_channel_new(&channel, loop, target,
 *			    &(struct minirpc_channel_options){ .compression = "gzip" });
 *	r = rpc_cache_store(channel, &req, &(struct minirpc_call_options){ .compression = "gzip" }, ...);
 *	r = minirpc_call_set_compression(rpc_cache_get_call(callee), "gzip");  // a handler's answer
 *	minirpc_call_compress(call, false);   // the next message holds a secret [C-5]
 *
 * Compress nothing that mixes a secret with what others may choose: the size tells (CRIME, BREACH).
 *
 * Each message is compressed by itself, with a fresh context. What arrives is inflated when its
 * reader takes it, at most to the limit of the call (max_receive_message), beyond which nothing
 * is inflated: the call then ends with RESOURCE_EXHAUSTED, and with INTERNAL when the bytes are
 * corrupt. */
#ifndef MINIRPC_COMPRESS_H
#define MINIRPC_COMPRESS_H

#include <minirpc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A way to compress; a const table of yours, valid as long as the channels and servers that were
 * given it. Both functions hand what they make to put(sink, bytes, len), in as many pieces as
 * they like. When put answers other than 0 (-EMSGSIZE: more than the limit, -ENOMEM) they stop at
 * once and return that. They return 0 when all is done; -EBADMSG for bytes that are not what they
 * should be, a truncated message and bytes behind its end included; -ENOMEM. They keep nothing
 * between messages. */
struct minirpc_compressor {
	const char *name; /* as in grpc-encoding: 1 to 32 of a-z 0-9 - _ . + */
	void *user;       /* handed to both */
	int (*compress)(void *user, const void *data, size_t len,
			int (*put)(void *sink, const void *bytes, size_t len), void *sink);
	int (*decompress)(void *user, const void *data, size_t len,
			  int (*put)(void *sink, const void *bytes, size_t len), void *sink);
	void *reserved[4]; /* leave 0 */
};

/* The built-in ones. Every channel and server accepts gzip and deflate, unless .only_compressors
 * says otherwise: for who wants no zlib on what strangers send, or one field less in each request
 * (some 3 % of the instructions of a small call). */
MINIRPC_API const struct minirpc_compressor *minirpc_compressor_gzip(void);
MINIRPC_API const struct minirpc_compressor *minirpc_compressor_deflate(void); /* RFC 1950 [C-1] */

/* What a build may have; NULL when this one does not. They are accepted, and can be chosen, where
 * .compressors of the channel or server names them. */
MINIRPC_API const struct minirpc_compressor *minirpc_compressor_zstd(void);
MINIRPC_API const struct minirpc_compressor *minirpc_compressor_brotli(void); /* "br" */
MINIRPC_API const struct minirpc_compressor *minirpc_compressor_snappy(void); /* framed */

#ifdef __cplusplus
}
#endif

#endif

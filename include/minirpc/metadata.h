/* SPDX-License-Identifier: MIT */
/* Metadata: the key-value pairs that travel beside the messages of a call.
 *
 * To send metadata, write an array that ends with an empty field; the library copies it:
 *
 *	.metadata = (const struct minirpc_field[]){
 *		{ "dry-run", "true" },
 *		{ "trace-bin", bytes, sizeof bytes },
 *		{ 0 },
 *	}
 *
 * To read metadata that came in, ask the struct minirpc_metadata that an event hands you. Keys
 * are lower case (0-9 a-z _ - .); a key that ends in "-bin" carries any bytes (base64 on the
 * wire, plain bytes here), any other key carries printable ASCII without a space at either end. A
 * key may repeat; order is kept. Names that gRPC or HTTP/2 keep for themselves are refused:
 * "grpc-...", ":...", te, content-type, content-length, user-agent, host, connection, keep-alive,
 * transfer-encoding, upgrade, trailer, proxy-connection. [M-1 to M-4] */
#ifndef MINIRPC_METADATA_H
#define MINIRPC_METADATA_H

#include <minirpc/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct minirpc_field {
	const char *key;   /* NULL ends an array */
	const void *value; /* in what the library hands out: followed by a NUL byte that len does
			      not count */
	size_t len; /* bytes in value; 0 in a field that you write means "up to the first NUL" */
};

/* Metadata that came in, read-only. Lives as long as its call's handle, or the event that showed it
 * if earlier. */
struct minirpc_metadata;

/* The number of fields; 0 for NULL. */
MINIRPC_API size_t minirpc_metadata_count(const struct minirpc_metadata *metadata);

/* The field at index, in the order of arrival; NULL past the end. */
MINIRPC_API const struct minirpc_field *minirpc_metadata_at(const struct minirpc_metadata *metadata,
							    size_t index);

/* The value of the first field with this key (lower case), NUL-terminated, or NULL. For a "-bin"
 * key that may hold NUL bytes use minirpc_metadata_find. */
MINIRPC_API const char *minirpc_metadata_get(const struct minirpc_metadata *metadata,
					     const char *key);

/* The first field with this key after `after` (NULL: from the start), or NULL: walks over repeated
 * keys. */
MINIRPC_API const struct minirpc_field *
minirpc_metadata_find(const struct minirpc_metadata *metadata, const char *key,
		      const struct minirpc_field *after);

#ifdef __cplusplus
}
#endif

#endif

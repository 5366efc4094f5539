/* SPDX-License-Identifier: MIT */
/* Header: which names gRPC keeps for itself, content types, and the tables from HTTP to gRPC
 * status. */
#ifndef MRPC_WIRE_HEADER_H
#define MRPC_WIRE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <minirpc/status.h>

/* What a header field is to us. */
enum mrpc_header {
	MRPC_HEADER_CUSTOM, /* the application's */
	MRPC_HEADER_METHOD, /* :method */
	MRPC_HEADER_SCHEME,
	MRPC_HEADER_PATH,
	MRPC_HEADER_AUTHORITY,
	MRPC_HEADER_STATUS, /* :status */
	MRPC_HEADER_PSEUDO, /* any other :name */
	MRPC_HEADER_HOST,
	MRPC_HEADER_TE,
	MRPC_HEADER_CONTENT_TYPE,
	MRPC_HEADER_CONTENT_LENGTH,
	MRPC_HEADER_CONNECTION, /* and the other hop-by-hop ones that HTTP/2 forbids */
	MRPC_HEADER_USER_AGENT,
	MRPC_HEADER_GRPC_TIMEOUT,
	MRPC_HEADER_GRPC_STATUS,
	MRPC_HEADER_GRPC_MESSAGE,
	MRPC_HEADER_GRPC_MESSAGE_TYPE,
	MRPC_HEADER_GRPC_ENCODING,
	MRPC_HEADER_GRPC_ACCEPT_ENCODING,
	MRPC_HEADER_GRPC_STATUS_DETAILS, /* grpc-status-details-bin: to the status, and shown as
					    metadata */
	MRPC_HEADER_GRPC_VISIBLE, /* grpc-previous-rpc-attempts, grpc-retry-pushback-ms: shown as
				     metadata [M-4] */
	MRPC_HEADER_GRPC_OTHER    /* any other grpc-...: reserved, hidden */
};

/* One comparison by length and first differing letter; on the hot path. */
enum mrpc_header mrpc_header_classify(const char *name, size_t len);

/* What a content type without a subtype means: *ret_subtype is this very pointer then. */
extern const char mrpc_subtype_proto[];

/* W-4: exactly "application/grpc", or that followed by '+' or ';'. *ret_subtype / len is what
 * stands after '+', mrpc_subtype_proto when there is none. */
bool mrpc_content_type_is_grpc(const char *value, size_t len, const char **ret_subtype,
			       size_t *ret_subtype_len);

/* RFC 6838, 4.2: letters, digits and some signs, 127 of them behind "application/". Writes the lower
 * case and a NUL to `to`, of MRPC_SUBTYPE_SIZE; false: it is none. */
#define MRPC_SUBTYPE_SIZE (127 - sizeof "grpc+" + 2)
bool mrpc_subtype_lower(char *to, const char *subtype, size_t len);

/* The same for one of ours, which is lower case already. */
bool mrpc_subtype_is_valid(const char *subtype);

/* W-2, W-8: "/service/method", both not empty. */
bool mrpc_path_is_valid(const char *path, size_t len);

/* S-1: one or two decimal digits without leading zero, 0 to 16 -> code. Anything else:
 * MINIRPC_UNKNOWN and false. */
bool mrpc_status_parse(const char *text, size_t len, enum minirpc_code *ret_code);

/* S-3 */
enum minirpc_code mrpc_status_from_http(unsigned http_status);

/* S-4, section 6: the code for a RST_STREAM error code, at a client. */
enum minirpc_code mrpc_status_from_reset(uint32_t error_code);

/* The name of an HTTP/2 error code, "CANCEL"; "?" for an unknown one. */
const char *mrpc_reset_name(uint32_t error_code);

#endif

/* SPDX-License-Identifier: MIT */
/* Header: what the names and values of gRPC's header fields mean.
 *
 * Each field of each call passes mrpc_header_classify, so it looks at the length first: at most
 * four names share one, and each comparison has a length that the compiler knows. */
#include "wire/header.h"

#include <string.h>

/* Only for names of the same length: the literal's. */
#define IS(name, literal) (memcmp(name, literal, sizeof literal - 1) == 0)

static enum mrpc_header classify_rest(const char *name, size_t len)
{
	if (len > 0 && name[0] == ':')
		return MRPC_HEADER_PSEUDO;
	if (len >= sizeof "grpc-" - 1 && IS(name, "grpc-"))
		return MRPC_HEADER_GRPC_OTHER; /* M-4: reserved */
	return MRPC_HEADER_CUSTOM;
}

/* The names that share a length with others. */
static enum mrpc_header classify_7(const char *name)
{
	if (IS(name, ":method"))
		return MRPC_HEADER_METHOD;
	if (IS(name, ":scheme"))
		return MRPC_HEADER_SCHEME;
	if (IS(name, ":status"))
		return MRPC_HEADER_STATUS;
	if (IS(name, "upgrade"))
		return MRPC_HEADER_CONNECTION; /* RFC 9113, 8.2.2, also those below */
	return classify_rest(name, 7);
}

static enum mrpc_header classify_10(const char *name)
{
	if (IS(name, ":authority"))
		return MRPC_HEADER_AUTHORITY;
	if (IS(name, "user-agent"))
		return MRPC_HEADER_USER_AGENT;
	if (IS(name, "connection") || IS(name, "keep-alive"))
		return MRPC_HEADER_CONNECTION;
	return classify_rest(name, 10);
}

static enum mrpc_header classify_12(const char *name)
{
	if (IS(name, "content-type"))
		return MRPC_HEADER_CONTENT_TYPE;
	if (IS(name, "grpc-timeout"))
		return MRPC_HEADER_GRPC_TIMEOUT;
	if (IS(name, "grpc-message"))
		return MRPC_HEADER_GRPC_MESSAGE;
	return classify_rest(name, 12);
}

static enum mrpc_header classify_17(const char *name)
{
	if (IS(name, "grpc-message-type"))
		return MRPC_HEADER_GRPC_MESSAGE_TYPE;
	if (IS(name, "transfer-encoding"))
		return MRPC_HEADER_CONNECTION;
	return classify_rest(name, 17);
}

enum mrpc_header mrpc_header_classify(const char *name, size_t len)
{
	switch (len) {
	case 2:
		return IS(name, "te") ? MRPC_HEADER_TE : MRPC_HEADER_CUSTOM;
	case 4:
		if (IS(name, "host"))
			return MRPC_HEADER_HOST;
		break;
	case 5:
		if (IS(name, ":path"))
			return MRPC_HEADER_PATH;
		break;
	case 7:
		return classify_7(name);
	case 10:
		return classify_10(name);
	case 11:
		if (IS(name, "grpc-status"))
			return MRPC_HEADER_GRPC_STATUS;
		break;
	case 12:
		return classify_12(name);
	case 13:
		if (IS(name, "grpc-encoding"))
			return MRPC_HEADER_GRPC_ENCODING;
		break;
	case 14:
		if (IS(name, "content-length"))
			return MRPC_HEADER_CONTENT_LENGTH;
		break;
	case 16:
		if (IS(name, "proxy-connection"))
			return MRPC_HEADER_CONNECTION;
		break;
	case 17:
		return classify_17(name);
	case 20:
		if (IS(name, "grpc-accept-encoding"))
			return MRPC_HEADER_GRPC_ACCEPT_ENCODING;
		break;
	case 22:
		if (IS(name, "grpc-retry-pushback-ms"))
			return MRPC_HEADER_GRPC_VISIBLE;
		break;
	case 23:
		if (IS(name, "grpc-status-details-bin"))
			return MRPC_HEADER_GRPC_STATUS_DETAILS;
		break;
	case 26:
		if (IS(name, "grpc-previous-rpc-attempts"))
			return MRPC_HEADER_GRPC_VISIBLE;
		break;
	default:
		break;
	}
	return classify_rest(name, len);
}

const char mrpc_subtype_proto[] = "proto";

bool mrpc_content_type_is_grpc(const char *value, size_t len, const char **ret_subtype,
			       size_t *ret_subtype_len)
{
	const size_t base = sizeof "application/grpc" - 1;
	const char *end;

	if (len < base || !IS(value, "application/grpc"))
		return false;
	if (len > base && value[base] != '+' && value[base] != ';')
		return false;

	*ret_subtype = mrpc_subtype_proto;
	*ret_subtype_len = sizeof mrpc_subtype_proto - 1;
	if (len > base && value[base] == '+') {
		value += base + 1;
		len -= base + 1;
		end = memchr(value, ';', len); /* parameters say nothing to us */
		if (end != NULL)
			len = (size_t)(end - value);
		while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
			len--;
		if (len > 0) {
			*ret_subtype = value;
			*ret_subtype_len = len;
		}
	}
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool mrpc_subtype_lower(char *to, const char *subtype, size_t len)
{
	if (len == 0 || len >= MRPC_SUBTYPE_SIZE)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = lower(subtype[i]);
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!plain && (i == 0 || c == '\0' || strchr("!#$&-^_.+", c) == NULL))
			return false;
		to[i] = c;
	}
	to[len] = '\0';
	return true;
}

bool mrpc_subtype_is_valid(const char *subtype)
{
	char text[MRPC_SUBTYPE_SIZE];

	return mrpc_subtype_lower(text, subtype, strlen(subtype)) && strcmp(text, subtype) == 0;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Not 0: one of the eight bytes is not between '!' and '~'. Below, the difference borrows into the top bit;
 * above, it is set, or 1 more sets it. Neither reaches a neighbour unless one is odd already. */
static uint64_t odd_bytes(uint64_t eight)
{
	return ((eight - EACH('!')) | (eight + EACH(1)) | eight) & EACH(0x80);
}

bool mrpc_path_is_valid(const char *path, size_t len)
{
	const char *last_slash;
	uint64_t odd = 0, eight;
	size_t i;

	if (len == 0 || path[0] != '/')
		return false;
	for (i = 0; i + sizeof eight <= len; i += sizeof eight) {
		memcpy(&eight, path + i, sizeof eight);
		odd |= odd_bytes(eight);
	}
	eight = EACH('/');
	if (len < sizeof eight)
		memcpy(&eight, path, len);
	else /* what is left, and some once more */
		memcpy(&eight, path + len - sizeof eight, sizeof eight);
	odd |= odd_bytes(eight);
	last_slash = memrchr(path, '/', len);
	return odd == 0 && last_slash - path > 1 && last_slash < path + len - 1;
}

bool mrpc_status_parse(const char *text, size_t len, enum minirpc_code *ret_code)
{
	int code = -1;

	if (len == 1 && text[0] >= '0' && text[0] <= '9')
		code = text[0] - '0';
	else if (len == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '6')
		code = 10 + text[1] - '0';

	*ret_code = code >= 0 ? (enum minirpc_code)code : MINIRPC_UNKNOWN;
	return code >= 0;
}

enum minirpc_code mrpc_status_from_http(unsigned http_status)
{
	switch (http_status) {
	case 400:
		return MINIRPC_INTERNAL;
	case 401:
		return MINIRPC_UNAUTHENTICATED;
	case 403:
		return MINIRPC_PERMISSION_DENIED;
	case 404:
		return MINIRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return MINIRPC_UNAVAILABLE;
	default:
		return MINIRPC_UNKNOWN;
	}
}

/* RFC 9113, 7: the error codes, and what each means for a call [S-4]. STREAM_CLOSED and
 * HTTP_1_1_REQUIRED are not in gRPC's table; INTERNAL as in grpc-go. */
static const struct reset {
	const char *name;
	enum minirpc_code code;
} resets[] = {
	{ "NO_ERROR", MINIRPC_INTERNAL },
	{ "PROTOCOL_ERROR", MINIRPC_INTERNAL },
	{ "INTERNAL_ERROR", MINIRPC_INTERNAL },
	{ "FLOW_CONTROL_ERROR", MINIRPC_INTERNAL },
	{ "SETTINGS_TIMEOUT", MINIRPC_INTERNAL },
	{ "STREAM_CLOSED", MINIRPC_INTERNAL },
	{ "FRAME_SIZE_ERROR", MINIRPC_INTERNAL },
	{ "REFUSED_STREAM", MINIRPC_UNAVAILABLE },
	{ "CANCEL", MINIRPC_CANCELLED },
	{ "COMPRESSION_ERROR", MINIRPC_INTERNAL },
	{ "CONNECT_ERROR", MINIRPC_INTERNAL },
	{ "ENHANCE_YOUR_CALM", MINIRPC_RESOURCE_EXHAUSTED },
	{ "INADEQUATE_SECURITY", MINIRPC_PERMISSION_DENIED },
	{ "HTTP_1_1_REQUIRED", MINIRPC_INTERNAL },
};

#define RESETS (sizeof resets / sizeof resets[0])

enum minirpc_code mrpc_status_from_reset(uint32_t error_code)
{
	/* RFC 9113, 7: unknown codes may be treated as INTERNAL_ERROR. */
	return error_code < RESETS ? resets[error_code].code : MINIRPC_INTERNAL;
}

const char *mrpc_reset_name(uint32_t error_code)
{
	return error_code < RESETS ? resets[error_code].name : "?";
}

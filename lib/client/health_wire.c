/* SPDX-License-Identifier: MIT */
/* Health, on the wire: the one field of a grpc.health.v1.HealthCheckResponse, by hand, since protobuf-c is not
 * for us. The message has a few bytes and one field that we know; what else is in it is skipped. */
#include "client/health.h"

#include <errno.h>

enum { VARINT, FIXED64, BYTES, FIXED32 = 5 }; /* wire types; the groups between are of proto2 */

struct reader {
	const uint8_t *at, *end;
};

static bool read_varint(struct reader *reader, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 70 && reader->at < reader->end; shift += 7) {
		uint8_t byte = *reader->at++;

		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7F) << shift;
		if (byte < 0x80) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct reader *reader, uint64_t count)
{
	if (count > (uint64_t)(reader->end - reader->at))
		return false;
	reader->at += count;
	return true;
}

static bool skip_field(struct reader *reader, unsigned type)
{
	uint64_t value;

	switch (type) {
	case VARINT:
		return read_varint(reader, &value);
	case FIXED64:
		return skip(reader, 8);
	case BYTES:
		return read_varint(reader, &value) && skip(reader, value);
	case FIXED32:
		return skip(reader, 4);
	default:
		return false;
	}
}

int mrpc_health_read(const void *data, size_t len, int32_t *ret_status)
{
	struct reader reader = { data, (const uint8_t *)data + len };
	uint64_t tag, value;

	*ret_status = 0; /* proto3: what is not there is UNKNOWN */
	while (reader.at < reader.end) {
		if (!read_varint(&reader, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
			return -EINVAL;
		if (tag != (1 << 3 | VARINT)) {
			if (!skip_field(&reader, tag & 7))
				return -EINVAL;
			continue;
		}
		if (!read_varint(&reader, &value))
			return -EINVAL;
		*ret_status = (int32_t)(uint32_t)value; /* the last one counts */
	}
	return 0;
}

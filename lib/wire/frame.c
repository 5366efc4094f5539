/* SPDX-License-Identifier: MIT */
/* Frame: messages cut out of the bytes of DATA frames, and the prefix that does the opposite.
 *
 *	+------+-------------+---------------- - -
 *	| flag | length (be) | length bytes           [W-13]
 *	+------+-------------+---------------- - -
 *	   1          4
 *
 * What a peer announces costs nothing: room is made for what has arrived, at first 4 KiB, then
 * doubling, and exactly as much as needed once the rest of the message is at hand. So a message
 * never holds more than twice its bytes that are here, and the whole one wastes nothing. */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

#define FIRST_ROOM 4096u

void mrpc_frame_prefix(uint8_t prefix[5], bool compressed, uint32_t len)
{
	prefix[0] = compressed ? 1 : 0;
	prefix[1] = (uint8_t)(len >> 24);
	prefix[2] = (uint8_t)(len >> 16);
	prefix[3] = (uint8_t)(len >> 8);
	prefix[4] = (uint8_t)len;
}

void mrpc_deframer_init(struct mrpc_deframer *deframer, size_t limit)
{
	*deframer = (struct mrpc_deframer){ .limit = limit };
}

void mrpc_deframer_clear(struct mrpc_deframer *deframer)
{
	mrpc_part_free(deframer->part);
	mrpc_deframer_init(deframer, deframer->limit);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Moves up to n bytes of the input to out; returns how many. */
static size_t take(uint8_t *out, size_t n, const uint8_t **data, size_t *len)
{
	n = smaller(n, *len);
	if (n == 0)
		return 0; /* *data may be NULL */
	memcpy(out, *data, n);
	*data += n;
	*len -= n;
	return n;
}

/* The prefix is complete: judges it and makes the part. available: bytes that are here behind it.
 */
static int begin(struct mrpc_deframer *deframer, size_t available)
{
	const uint8_t *prefix = deframer->prefix;
	uint32_t announced = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
			     (uint32_t)prefix[3] << 8 | (uint32_t)prefix[4];
	size_t room = available > FIRST_ROOM ? available : FIRST_ROOM;
	struct mrpc_part *part;

	if (prefix[0] > 1)
		return -EPROTO; /* W-13 */
	if (announced > deframer->limit)
		return -EMSGSIZE; /* S-7: exactly the limit passes */

	part = mrpc_part_new(smaller(announced, room));
	if (part == NULL)
		return -ENOMEM;
	part->len = 0;
	part->compressed = prefix[0] == 1;
	deframer->announced = announced;
	deframer->part = part;
	return 0;
}

/* Makes room for `need` bytes in all, of which part->len are there. */
static int grow(struct mrpc_deframer *deframer, size_t need)
{
	struct mrpc_part *part = deframer->part;
	size_t announced = deframer->announced;
	size_t room = part->capacity > announced / 2 ? announced : part->capacity * 2;

	if (need <= part->capacity)
		return 0;
	if (need == announced || room < need)
		room = need;
	return mrpc_part_grow(&deframer->part, room);
}

int mrpc_deframer_feed(struct mrpc_deframer *deframer, const uint8_t **data, size_t *len,
		       struct mrpc_part **ret_part)
{
	struct mrpc_part *part;
	size_t have, more;
	int r;

	*ret_part = NULL;
	deframer->prefix_len += take(deframer->prefix + deframer->prefix_len,
				     MRPC_PREFIX - deframer->prefix_len, data, len);
	if (deframer->prefix_len < MRPC_PREFIX)
		return 0;
	if (deframer->part == NULL) { /* also after an error: the same prefix, the same answer */
		r = begin(deframer, *len);
		if (r < 0)
			return r;
	}

	have = deframer->part->len;
	more = smaller(deframer->announced - have, *len);
	r = grow(deframer, have + more);
	if (r < 0)
		return r;
	part = deframer->part;
	part->len = have + take(mrpc_part_data(part) + have, more, data, len);
	if (part->len < deframer->announced)
		return 0;

	*ret_part = part;
	deframer->part = NULL;
	deframer->prefix_len = 0;
	return 0;
}

bool mrpc_deframer_is_partial(const struct mrpc_deframer *deframer)
{
	return deframer->prefix_len > 0;
}

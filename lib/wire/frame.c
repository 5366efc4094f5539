/* SPDX-License-Identifier: MIT */
/* Frame: messages cut out of the bytes of DATA frames, and the prefix that does the opposite.
 *
 *	+------+-------------+---------------- - -
 *	| flag | length (be) | length bytes           [W-13]
 *	+------+-------------+---------------- - -
 *	   1          4
 *
 * What a peer announces costs nothing: room is made for four times what has arrived (at first 4 KiB),
 * but never for more than was announced. So a message of some frames moves once at most while it
 * grows, one that is at hand never, and the whole one wastes nothing. */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

#define FIRST_ROOM 4096u
#define GENEROUS 4u

void mrpc_frame_prefix(uint8_t prefix[5], bool compressed, uint32_t len)
{
	prefix[0] = compressed ? 1 : 0;
	prefix[1] = (uint8_t)(len >> 24);
	prefix[2] = (uint8_t)(len >> 16);
	prefix[3] = (uint8_t)(len >> 8);
	prefix[4] = (uint8_t)len;
}

void mrpc_deframer_init(struct mrpc_deframer *deframer, struct mrpc_pool *pool, size_t limit)
{
	*deframer = (struct mrpc_deframer){ .pool = pool, .limit = limit, .ahead = SIZE_MAX };
}

void mrpc_deframer_clear(struct mrpc_deframer *deframer)
{
	mrpc_part_free(deframer->part);
	deframer->part = NULL;
	deframer->prefix_len = 0;
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

/* Room for a message of which `here` bytes have arrived. */
static size_t room_for(const struct mrpc_deframer *deframer, size_t here)
{
	size_t announced = deframer->announced;
	size_t room = here > FIRST_ROOM / GENEROUS ? here * GENEROUS : FIRST_ROOM;

	if (here >= announced / GENEROUS)
		room = announced;
	if (room > deframer->ahead)
		room = here > deframer->ahead ? here : deframer->ahead;
	return smaller(announced, room);
}

/* The prefix is complete: judges it and makes the part. available: bytes that are here behind it. */
static int begin(struct mrpc_deframer *deframer, size_t available)
{
	const uint8_t *prefix = deframer->prefix;
	uint32_t announced = (uint32_t)prefix[1] << 24 | (uint32_t)prefix[2] << 16 |
			     (uint32_t)prefix[3] << 8 | (uint32_t)prefix[4];
	struct mrpc_part *part;

	if (prefix[0] > 1)
		return -EPROTO; /* W-13 */
	if (announced > deframer->limit)
		return -EMSGSIZE; /* S-7: exactly the limit passes */

	deframer->announced = announced;
	part = mrpc_part_new(deframer->pool, room_for(deframer, available));
	if (part == NULL)
		return -ENOMEM;
	part->len = 0;
	part->compressed = prefix[0] == 1;
	deframer->part = part;
	return 0;
}

/* Makes room for `need` bytes in all. */
static int grow(struct mrpc_deframer *deframer, size_t need)
{
	if (need <= deframer->part->capacity)
		return 0;
	return mrpc_part_grow(&deframer->part, room_for(deframer, need));
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

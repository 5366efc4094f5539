/* SPDX-License-Identifier: MIT */
/* Frame: gRPC's message prefix, one flag byte and four bytes of length [W-13], and the decoder that
 * makes parts of it. */
#ifndef MRPC_WIRE_FRAME_H
#define MRPC_WIRE_FRAME_H

#include "call/part.h"

/* Writes the five bytes. */
void mrpc_frame_prefix(uint8_t prefix[5], bool compressed, uint32_t len);

/* Takes the bytes of DATA frames, whose boundaries mean nothing [W-10], and gives whole messages.
 * Memory grows with the bytes that really arrived, never with the length that was announced. */
struct mrpc_deframer {
	struct mrpc_pool *pool; /* for the parts; may be NULL */
	size_t limit; /* a longer message is refused, judged from its prefix [S-7] */
	size_t ahead; /* no room beyond this for what has not arrived; SIZE_MAX at first */
	uint8_t prefix[5];
	size_t prefix_len;      /* bytes of the prefix that have arrived */
	uint32_t announced;     /* length in the prefix */
	struct mrpc_part *part; /* under assembly; part->len is what has arrived */
};

void mrpc_deframer_init(struct mrpc_deframer *deframer, struct mrpc_pool *pool, size_t limit);
void mrpc_deframer_clear(struct mrpc_deframer *deframer);

/* Consumes from *data / *len up to the end of one message at most. *ret_part is that message (the
 * caller's) or NULL when more bytes are needed; call again while *len > 0. A zero-length message is
 * a message [W-14]. Returns 0, -EPROTO (a flag other than 0 and 1), -EMSGSIZE (above the limit),
 * -ENOMEM. */
int mrpc_deframer_feed(struct mrpc_deframer *deframer, const uint8_t **data, size_t *len,
		       struct mrpc_part **ret_part);

/* True in the middle of a message: the stream must not end here [W-14]. */
bool mrpc_deframer_is_partial(const struct mrpc_deframer *deframer);

#endif

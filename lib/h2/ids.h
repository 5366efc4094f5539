/* SPDX-License-Identifier: MIT */
/* Ids: which streams a client has opened, and which of them it has ended, by END_STREAM or by
 * RST_STREAM. Of the last 256 ids; what is older is forgotten.
 *
 * Two bits an id, in a ring:
 *
 *	id    ... 263   265   267   269   271
 *	          ended open  (skipped)   open = last
 */
#ifndef MRPC_H2_IDS_H
#define MRPC_H2_IDS_H

#include <stdint.h>

#define MRPC_IDS 256u

enum mrpc_id_state {
	MRPC_ID_IDLE,    /* above all that were opened, or no client's */
	MRPC_ID_OPEN,    /* the client may send more */
	MRPC_ID_ENDED,   /* it said that it will not */
	MRPC_ID_SKIPPED, /* never opened, and a higher one was: it never will be (RFC 9113, 5.1.1) */
	MRPC_ID_FORGOTTEN /* too long ago */
};

struct mrpc_ids {
	uint32_t last; /* the highest that was opened */
	uint64_t opened[MRPC_IDS / 64], ended[MRPC_IDS / 64];
};

enum mrpc_id_state mrpc_ids_state(const struct mrpc_ids *ids, uint32_t id);

/* id must be IDLE, and odd. */
void mrpc_ids_open(struct mrpc_ids *ids, uint32_t id);

/* Harmless for an id that is not open. */
void mrpc_ids_end(struct mrpc_ids *ids, uint32_t id);

#endif

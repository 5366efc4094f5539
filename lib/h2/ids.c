/* SPDX-License-Identifier: MIT */
#include "h2/ids.h"

#include <stdbool.h>
#include <string.h>

/* Clients' ids are odd: 1, 3, 5 ... take places 0, 1, 2 ... of the ring. */
static uint32_t place(uint32_t id)
{
	return id / 2 % MRPC_IDS;
}

static bool is_set(const uint64_t *bits, uint32_t id)
{
	return (bits[place(id) / 64] >> place(id) % 64 & 1) != 0;
}

static void set(uint64_t *bits, uint32_t id)
{
	bits[place(id) / 64] |= (uint64_t)1 << place(id) % 64;
}

static void clear(uint64_t *bits, uint32_t id)
{
	bits[place(id) / 64] &= ~((uint64_t)1 << place(id) % 64);
}

enum mrpc_id_state mrpc_ids_state(const struct mrpc_ids *ids, uint32_t id)
{
	if (id % 2 == 0 || id > ids->last)
		return MRPC_ID_IDLE;
	if ((ids->last - id) / 2 >= MRPC_IDS)
		return MRPC_ID_FORGOTTEN;
	if (!is_set(ids->opened, id))
		return MRPC_ID_SKIPPED;
	return is_set(ids->ended, id) ? MRPC_ID_ENDED : MRPC_ID_OPEN;
}

void mrpc_ids_open(struct mrpc_ids *ids, uint32_t id)
{
	if (id / 2 - ids->last / 2 >= MRPC_IDS) {
		memset(ids->opened, 0, sizeof ids->opened);
	} else {
		for (uint32_t skipped = ids->last + 2; skipped < id; skipped += 2)
			clear(ids->opened, skipped);
	}
	set(ids->opened, id);
	clear(ids->ended, id);
	ids->last = id;
}

void mrpc_ids_end(struct mrpc_ids *ids, uint32_t id)
{
	if (mrpc_ids_state(ids, id) == MRPC_ID_OPEN)
		set(ids->ended, id);
}

/* SPDX-License-Identifier: MIT */
/* Bucket: so many in a second, and so many at once. */
#ifndef MRPC_INTERCEPTORS_BUCKET_H
#define MRPC_INTERCEPTORS_BUCKET_H

#include <minirpc/base.h>

struct mrpc_bucket {
	minirpc_time interval; /* between two; 0: no limit */
	minirpc_time slack; /* how far ahead of its time the next may come: burst - 1 intervals */
	minirpc_time next;  /* when the next would be due if all came evenly */
};

/* per_second: from 1 to 10^9, 0: no limit. burst 0 counts as 1. It begins full. */
void mrpc_bucket_init(struct mrpc_bucket *bucket, uint32_t per_second, uint32_t burst);

/* How long until one may be taken; 0: now. */
minirpc_time mrpc_bucket_wait(const struct mrpc_bucket *bucket, minirpc_time now);

/* Takes one, whether it may or not. */
void mrpc_bucket_take(struct mrpc_bucket *bucket, minirpc_time now);

#endif

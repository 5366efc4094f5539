/* SPDX-License-Identifier: MIT */
/* Bucket: a token bucket kept as the one time at which the next token is due (GCRA): nothing has to drip, and
 * whole numbers do.
 *
 *	        <---- slack ---->
 *	--------+---------------+------> time
 *	     may pass         next
 *	     from here
 */
#include "interceptors/bucket.h"

#include "base/timers.h"

#define LONG_AGO (INT64_MIN / 2)

void mrpc_bucket_init(struct mrpc_bucket *bucket, uint32_t per_second, uint32_t burst)
{
	minirpc_time interval = per_second == 0 ? 0 : MINIRPC_S(1) / per_second;

	/* 2^32 bursts of a second: a hundredth of what fits. */
	*bucket = (struct mrpc_bucket){
		.interval = interval,
		.slack = burst > 1 ? (minirpc_time)(burst - 1) * interval : 0,
		.next = LONG_AGO,
	};
}

minirpc_time mrpc_bucket_wait(const struct mrpc_bucket *bucket, minirpc_time now)
{
	minirpc_time ahead = bucket->next > now ? bucket->next - now : 0;

	return ahead > bucket->slack ? ahead - bucket->slack : 0;
}

void mrpc_bucket_take(struct mrpc_bucket *bucket, minirpc_time now)
{
	if (bucket->interval == 0)
		return;
	bucket->next = mrpc_time_add(bucket->next > now ? bucket->next : now, bucket->interval);
}

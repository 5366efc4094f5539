/* SPDX-License-Identifier: MIT */
/* What stands before the handlers of a daemon: a tap that lets in so many calls a second, and, for trying
 * out retries, an interceptor that fails most calls. */
#ifndef CACHE_GUARDS_H
#define CACHE_GUARDS_H

#include <minirpc/minirpc.h>

struct guards {
	minirpc_loop *loop;
	unsigned max_rate; /* calls a second, and as many at once; 0: no limit */
	double tokens;
	minirpc_time filled;
	unsigned flaky, calls; /* of so many calls all but the last fail; 0: none */
};

/* The admission hook; user is a struct guards. */
enum minirpc_code guards_admit(struct minirpc_admission *request, void *user);

/* user is a struct guards. */
extern const struct minirpc_interceptor guards_flaky;

#endif

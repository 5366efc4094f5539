/* SPDX-License-Identifier: MIT */
/* Flaky: methods that fail as they are told, for tests of retries and hedging. */
#ifndef TEST_CLIENT_FLAKY_H
#define TEST_CLIENT_FLAKY_H

#include "client/pair.h"

#include <minirpc/service_config.h>

/* What the handler does with one attempt. */
struct flaky_step {
	enum minirpc_code code; /* OK: echoes what it got, joined by commas */
	const char *pushback;   /* grpc-retry-pushback-ms as it goes onto the wire; NULL: none */
	const char *second_pushback; /* one more field of it */
	bool headers;                /* sends response headers first */
	bool message;                /* sends a message first */
	bool hangs;                  /* says nothing, until flaky_finish */
	bool at_once; /* when the headers are in; otherwise when the client has ended its side */
};

enum { FLAKY_ATTEMPTS = 64 };

struct flaky {
	const struct flaky_step *steps; /* the last one, of code OK, is for all that follow */
	unsigned count;                 /* attempts that came in */
	struct flaky_attempt {
		const void *server; /* which one it came to */
		minirpc_call *call; /* NULL once it was ended */
		minirpc_time at;
		char previous[16]; /* grpc-previous-rpc-attempts, "" when there is none */
		char got[256];     /* messages, joined by commas */
		char compression[16];
		minirpc_time left; /* of its deadline */
		bool half_closed, cancelled;
	} attempts[FLAKY_ATTEMPTS];
};

extern struct flaky flaky;
extern const struct minirpc_method flaky_unary, flaky_stream, flaky_safe;

/* Steps of a list: fails so often as there are entries before the OK. */
#define FAILURE                                                                                    \
	{                                                                                          \
		.code = MINIRPC_UNAVAILABLE                                                        \
	}
#define SUCCESS                                                                                    \
	{                                                                                          \
		.code = MINIRPC_OK                                                                 \
	}

/* Four attempts, 100 ms to 1 s between them, for UNAVAILABLE and ABORTED. */
extern const struct minirpc_retry_policy flaky_policy;

/* A pair, connected, in place of the one that was. Its channel has one of the policies (the other is NULL) for
 * "/t.F/...", and this throttle (max_tokens 0: none; its ratio is 0.5). `more` may be NULL. */
void flaky_open(struct pair *pair, const struct minirpc_retry_policy *retry,
		const struct minirpc_hedging_policy *hedging, double max_tokens,
		const struct minirpc_channel_options *more);

/* Zeroes what was seen; `steps` are for the next attempts, in their order. */
void flaky_begin(const struct flaky_step *steps);
void flaky_serve(minirpc_server *server); /* on "/t.F/..." */
int flaky_try_serve(minirpc_server *server);

/* Ends an attempt that hangs. */
void flaky_finish(unsigned attempt, const struct flaky_step *step);

#endif

/* SPDX-License-Identifier: MIT */
/* Hedge: what carries a call whose attempts are calls of their own: because there may be several at once
 * (hedging ), or because interceptors want to see each of them (.per_attempt). See hedge.c. */
#ifndef MRPC_CLIENT_HEDGE_H
#define MRPC_CLIENT_HEDGE_H

#include "call/call.h"
#include "client/retry.h"

#include <minirpc/interceptor.h>

/* While the call is being made: looks whether any interceptor, the channel's or the call's own (may be NULL),
 * is for each attempt, and keeps those. Returns 0 or -ENOMEM. */
int mrpc_hedge_look(minirpc_channel *channel, minirpc_call *call, const struct minirpc_use *own);

/* Takes a call on, as a connection would, and makes its first attempt. Returns 0 or -ENOMEM. */
int mrpc_hedge_start(minirpc_channel *channel, minirpc_call *call);

/* For the balancer: whether another attempt of this call, or of the one that it is an attempt of, goes or went
 * to that peer. */
bool mrpc_hedge_has_tried(const minirpc_call *call, const char *peer);

/* ---- What hedge.c, hedge_out.c and hedge_plan.c share ---- */

struct mrpc_hedge;

struct mrpc_hedge_attempt {
	struct mrpc_hedge *hedge;
	minirpc_call *call; /* a reference; NULL: none under way */
	unsigned previous;  /* attempts before it that count */
	minirpc_time started;
	struct mrpc_part
		*next; /* of the messages kept the first that it has not; NULL: it has them all */
	size_t given;  /* messages */
	bool ended;    /* it has the end of the requests */
};

struct mrpc_hedge {
	minirpc_channel *channel;
	minirpc_call *call;      /* whom all this is for; NULL: it has let go */
	struct mrpc_task task;   /* STREAM: reader of its out lane, writer of its in lane */
	struct mrpc_timer timer; /* the next attempt */

	/* Its requests, until one attempt is chosen. */
	struct mrpc_part *kept, *last_kept;
	size_t kept_bytes;
	bool ended; /* and their end was read */

	struct mrpc_hedge_attempt *winner; /* the one that was chosen; NULL: none yet */
	bool no_more;                      /* attempts */
	bool refused_once; /* the one transparent retry after a refusal is used up */
	struct mrpc_retry_plan plan; /* one attempt after the other */
	unsigned begun;              /* hedging: attempts made */
	struct minirpc_status last;  /* how the last attempt failed that others followed */

	unsigned count;
	struct mrpc_hedge_attempt attempts[];
};

/* Makes an attempt. Returns 0 or -ENOMEM. */
int mrpc_hedge_begin(struct mrpc_hedge_attempt *attempt);

/* An attempt has ended and another one takes its place, now or later, or may still win. */
void mrpc_hedge_note(struct mrpc_hedge_attempt *attempt, const struct minirpc_status *status,
		     bool transparent);

/* The call ends as this attempt did (NULL: as the last one that was noted). The hedge is gone. */
void mrpc_hedge_finish(struct mrpc_hedge *hedge, struct mrpc_hedge_attempt *attempt,
		       const struct minirpc_status *status);

/* No memory for an attempt, and no other one is under way. The hedge is gone. */
void mrpc_hedge_fail(struct mrpc_hedge *hedge);

unsigned mrpc_hedge_under_way(const struct mrpc_hedge *hedge);

/* This attempt it is, and no other. */
void mrpc_hedge_choose(struct mrpc_hedge_attempt *attempt);

/* ---- hedge_out.c: the requests ---- */

/* Takes from the call and gives to the attempts what they have room for. Returns 0 or -ENOMEM. */
int mrpc_hedge_feed(struct mrpc_hedge *hedge);

/* Up to a message, which stays; NULL: all. */
void mrpc_hedge_drop_kept(struct mrpc_hedge *hedge, const struct mrpc_part *until);

/* ---- hedge_plan.c: which attempt, and when ---- */

/* The first one, or all at once. Returns 0 or -ENOMEM. */
int mrpc_hedge_plan_begin(struct mrpc_hedge *hedge);

/* An attempt has ended. The hedge may be gone. */
void mrpc_hedge_plan_ended(struct mrpc_hedge_attempt *attempt, const struct minirpc_status *status);

/* The timer. The hedge may be gone. */
void mrpc_hedge_plan_ring(struct mrpc_hedge *hedge);

#endif

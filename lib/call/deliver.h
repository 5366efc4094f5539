/* SPDX-License-Identifier: MIT */
/* What call.c, deliver.c and verbs.c share. */
#ifndef MRPC_CALL_DELIVER_H
#define MRPC_CALL_DELIVER_H

#include "call/call.h"

/* The call's task: tells the user what is due. */
void mrpc_call_deliver(struct mrpc_task *task);

/* A method with one message in this direction [W-15]. */
bool mrpc_call_receives_one(const struct minirpc_call *call);
bool mrpc_call_sends_one(const struct minirpc_call *call);

void mrpc_call_kill_with(struct minirpc_call *call, const struct minirpc_status *status);

/* Server: answers in the handler's place, which hears of it by on_end. Returns 0 or -EPIPE. */
int mrpc_call_answer_early(struct minirpc_call *call, const struct minirpc_status *status);

/* The answer of a server's handler, made into one that its method allows. */
void mrpc_call_set_answer(struct minirpc_call *call, const struct minirpc_status *status);

/* For another attempt; where there is no room for it, there is none. */
void mrpc_call_keep_part(struct minirpc_call *call, const struct mrpc_part *part);

/* Pushes a message into the out lane, after headers. Takes ownership unless it fails with -EPIPE. */
static inline int mrpc_call_push_out(struct minirpc_call *call, struct mrpc_part *part)
{
	if (call->out.state == MRPC_LANE_IDLE)
		mrpc_lane_push_headers(&call->out);
	if (call->out.retained)
		mrpc_call_keep_part(call, part);
	return mrpc_lane_push(&call->out, part);
}

/* Nothing is told to the user but headers, and an end that came early. */
bool mrpc_call_is_paused(const struct minirpc_call *call);

/* Server: ends what is sent behind what has passed the interceptors; the rest is dropped. */
void mrpc_call_end_out(struct minirpc_call *call);

void mrpc_call_kill_children(struct minirpc_call *call);

/* A message was refused by more than its prefix. */
void mrpc_call_count_refused(struct minirpc_call *call, enum mrpc_refused what);

/* Copies into the call's arena; without memory only the code. */
void mrpc_call_keep_status(struct minirpc_call *call, struct minirpc_status *kept,
			   const struct minirpc_status *status);

/* The handle is given back: no events any more. The call may be gone when this returns. */
void mrpc_call_release(struct minirpc_call *call);

#endif

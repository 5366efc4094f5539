/* SPDX-License-Identifier: MIT */
/* A script: the responses that a stream is still to be sent, each with a size and perhaps a pause
 * before it. */
#ifndef INTEROP_SCRIPT_H
#define INTEROP_SCRIPT_H

#include "orca.h"

#define BODY_MAX (16 << 20) /* bytes in one response */

/* Zeros for every body. */
extern const uint8_t zeros[BODY_MAX];

/* Who may tell the server's load: one call at a time, until it ends. The others wait. */
struct stage {
	struct report report;
	struct script *owner, *waiting;
};

struct step {
	int32_t size, interval_us;
	bool is_compressed;
};

struct script {
	minirpc_call *call;
	struct stage *stage;
	minirpc_timer *timer;
	struct step *steps; /* free() */
	size_t count, next;
	bool waited;          /* the pause before the next step is over */
	bool is_last;         /* nothing will be added */
	struct report report; /* to be told from the next run on */
	struct script *next_waiting;
};

/* In memory of the call; NULL: there was none, and the call was ended. */
struct script *script_new(minirpc_call *call, struct stage *stage);

/* Adds what a request asks for. False: it cannot be, and the call was ended. */
bool script_add(struct script *script, const Grpc__Testing__StreamingOutputCallRequest *request);

/* Sends what can be sent now; goes on by itself. When all is sent the call is ended or, before
 * is_last, resumed. */
void script_run(struct script *script);

void script_end(struct script *script, const struct minirpc_status *status);

/* The response that asks for this type and size, or why there is none: a status, else NULL. */
const struct minirpc_status *body_refusal(int type, int32_t size);

#endif

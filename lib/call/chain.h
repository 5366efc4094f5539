/* SPDX-License-Identifier: MIT */
/* Chain: the interceptors of one call, and the parts that are on their way through them. See chain.c.
 *
 *	user --verbs--> outbox --> hooks --> out lane --> transport
 *	user <-events-- hooks <-- in lane <-- transport
 *
 * A call without interceptors has none (call->chain is NULL). */
#ifndef MRPC_CALL_CHAIN_H
#define MRPC_CALL_CHAIN_H

#include "base/list.h"
#include "call/call.h"

#include <minirpc/interceptor.h>

/* What a channel or a server knows of interceptors: its own list, and every chain that still owes
 * an on_close to somebody. */
struct mrpc_interceptors {
	struct minirpc_use *uses; /* NULL: none */
	size_t count;
	size_t chain_size, data_at; /* of a call's chain of all of them, and the hooks' data in it */
	struct mrpc_list chains;
};

/* Copies the list (ended by an empty entry, may be NULL). Returns 0 or -ENOMEM. */
int mrpc_interceptors_init(struct mrpc_interceptors *interceptors, const struct minirpc_use *uses);

/* The owner is being freed: tells every on_close that is due, now, so that what the uses point to may
 * go. The calls have been dropped before, and their transports are gone. Harmless when zeroed. */
void mrpc_interceptors_clear(struct mrpc_interceptors *interceptors);

/* One direction of a chain, and the part in it that is at hand. */
struct mrpc_passage {
	struct minirpc_part view; /* of the part, for the hooks */
	bool sent;                /* which direction */
	bool busy;                /* a part is at hand ... */
	struct mrpc_part *part;   /* ... MESSAGE: and is ours */
	struct minirpc_hook *at;  /* whose turn it is, if there are ... */
	size_t left;              /* ... so many that have not let it pass */
	struct minirpc_hook *first;
	ptrdiff_t step; /* from one hook to the next: 1 or -1 */
	/* Something below has changed, or the direction may be cut: one test for a hook that just lets its
	 * part pass. */
	bool disturbed;
	bool waited;  /* the part is, or was, held */
	bool held;    /* the hook at `at` holds it */
	bool resumed; /* ... but has been resumed before it said so */
	bool stopped; /* ... or stopped the call */
	bool has_stop;
	struct minirpc_status stop; /* what STOP ends the call with */
};

struct minirpc_hook {
	struct mrpc_chain *chain;
	const struct minirpc_interceptor *interceptor;
	void *user;
	void *data;
	bool seen; /* a part was: on_close is owed */
};

/* What the user has sent and the hooks have not let pass: a lane without a reader's half. */
struct mrpc_outbox {
	enum mrpc_lane_state state; /* what the user has pushed */
	bool has_headers, has_end;  /* they are in here */
	bool was_cut;
	unsigned messages; /* pushed, saturating at 2 */
	struct mrpc_part *first, *last;
	size_t bytes; /* of messages, prefixes included, that of the one at hand too */
};

struct mrpc_chain {
	struct minirpc_call *call; /* referenced until on_close is told */
	struct mrpc_list node;     /* in mrpc_interceptors.chains */
	struct mrpc_task task;     /* DELIVER: moves what is sent, tells on_close */
	struct mrpc_outbox outbox;
	struct mrpc_passage sent, received;
	size_t weight;              /* of the message at hand that is sent, as it was pushed */
	struct mrpc_passage *shown; /* whose part a hook looks at just now; NULL: none does */
	struct mrpc_passage *last;  /* held last */
	bool told_message;          /* the user has been told of a message */
	bool due;                   /* the owner goes: close when the hook on the stack returns */
	bool closed;
	size_t closers;             /* hooks that have an on_close */
	size_t count;
	struct minirpc_hook hooks[]; /* in the order of the lists; then their data */
};

/* Gives a server's call its chain, of all the owner's uses, of which there are some; before anything was
 * received. Returns 0 or -ENOMEM. */
int mrpc_call_intercept_all(struct minirpc_call *call, struct mrpc_interceptors *owner);

/* Gives a client's call its chain, of the owner's uses and then its own (ended by an empty entry, may be NULL),
 * those of them whose per_attempt is the argument. Before anything was sent. Its HEADERS go back to before the hooks: owner_ops->ready is called when
 * they have passed, and before that the call must not be attached. Returns 0 (also when there is
 * nothing to take) or -ENOMEM. */
int mrpc_call_intercept(struct minirpc_call *call, struct mrpc_interceptors *owner,
			const struct minirpc_use *own, bool per_attempt);

/* ---- For the verbs ---- */

/* How far the user's side has come, and how many messages it had (2: or more). */
static inline enum mrpc_lane_state mrpc_call_sending(const struct minirpc_call *call)
{
	return call->chain == NULL ? call->out.state : call->chain->outbox.state;
}

static inline unsigned mrpc_call_sent(const struct minirpc_call *call)
{
	return call->chain == NULL ? call->out.messages : call->chain->outbox.messages;
}

/* The send rule, for all that waits in the call. */
bool mrpc_chain_has_room(struct mrpc_chain *chain);
bool mrpc_chain_has_much_room(struct mrpc_chain *chain); /* half of the limit: on_writable is due */

/* Into the outbox, whose state allows it. A message brings headers along, and becomes the chain's. */
void mrpc_chain_push_headers(struct mrpc_chain *chain);
void mrpc_chain_push(struct mrpc_chain *chain, struct mrpc_part *part);
void mrpc_chain_push_end(struct mrpc_chain *chain);

/* What has not passed outward never will. */
void mrpc_chain_cut(struct mrpc_chain *chain);

/* ---- For deliver.c ---- */

/* A part is in the hooks' hands already. */
static inline bool mrpc_chain_is_busy(const struct minirpc_call *call)
{
	return call->chain != NULL && call->chain->received.busy;
}

/* Begin with a part; a message is the chain's from here on. */
void mrpc_chain_begin_headers(struct mrpc_chain *chain);
void mrpc_chain_begin_message(struct mrpc_chain *chain, struct mrpc_part *part);
void mrpc_chain_begin_end(struct mrpc_chain *chain);

/* Shows what is at hand to the hooks that have not let it pass yet. True: it has passed all of them.
 * False: it is held, or the call is over. */
bool mrpc_chain_receive(struct mrpc_chain *chain);

/* The message that has passed. */
struct mrpc_part *mrpc_chain_take(struct mrpc_chain *chain);

/* ---- For hook.c ---- */

/* The hook that the part at hand is with; NULL: it has passed all of them. */
struct minirpc_hook *mrpc_chain_hook(const struct mrpc_passage *passage);

/* It has let the part pass. */
static inline void mrpc_passage_next(struct mrpc_passage *passage)
{
	if (--passage->left > 0)
		passage->at += passage->step;
}

/* Nothing goes on in this direction any more. */
bool mrpc_chain_is_cut(const struct mrpc_chain *chain, const struct mrpc_passage *passage);

/* ---- For call.c ---- */

/* Somebody waits for on_close. */
bool mrpc_chain_owes(const struct mrpc_chain *chain);

/* The handle or the transport has let go: when both have, on_close is due. */
void mrpc_chain_look(struct mrpc_chain *chain);

#endif

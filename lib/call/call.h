/* SPDX-License-Identifier: MIT */
/* Call: two lanes, a deadline and a status; the same object for client and server. See call.c.
 *
 *	user --verbs--> out lane --> transport (an HTTP/2 stream)
 *	user <-events-- in lane  <-- transport
 */
#ifndef MRPC_CALL_CALL_H
#define MRPC_CALL_CALL_H

#include "base/arena.h"
#include "base/log.h"
#include "base/timers.h"
#include "base/turn.h"
#include "call/lane.h"
#include "call/limits.h"
#include "call/metadata.h"
#include "wire/compress.h"

#include <minirpc/call.h>

struct minirpc_retry_policy; /* service_config.h */
struct minirpc_hedging_policy;
struct mrpc_config; /* client/config.h */
struct mrpc_chain;
struct mrpc_interceptors;
struct mrpc_retry;  /* client/retry.c */
struct mrpc_attempt;

#define MRPC_QUOTA_TEXT "the server's memory quota is used up"
#define MRPC_CONTENT_TYPE "application/grpc" /* and "+subtype" */

enum mrpc_role { MRPC_CLIENT, MRPC_SERVER };

/* What a call needs of the loop that it lives on. */
struct mrpc_place {
	struct mrpc_turn *turn;
	const minirpc_time *now; /* the time of the current turn */
	const struct mrpc_log *log;
	struct mrpc_pool *pool; /* memory for calls and messages; may be NULL */
	struct minirpc_loop *loop; /* for minirpc_call_loop */
};

/* Who connects a client's call to a transport, and may connect it again: the channel. */
struct mrpc_call_owner_ops {
	/* The attempt ended before it was committed. unprocessed: the server certainly did not see
	 * it. True: the owner will attach the call again (out lane rewound by the caller of
	 * this); false: the status is final. */
	bool (*attempt_failed)(struct minirpc_call *call, const struct minirpc_status *status,
			       bool unprocessed);
	/* The call is over and may be freed once this returns; it was taken off the transport
	 * before. */
	void (*over)(struct minirpc_call *call);
	/* May be NULL. The HEADERS of a call with interceptors have passed them: from now on it may be
	 * attached. Not called for a call without. */
	void (*ready)(struct minirpc_call *call);
	/* Runs the loop until *done, and keeps the call meanwhile. The owner may be gone when it
	 * returns. */
	int (*wait)(struct minirpc_call *call, const bool *done);
};

/* What a message was refused for. */
enum mrpc_refused {
	MRPC_REFUSED_MESSAGE, /* larger than the limit, once it was inflated */
	MRPC_REFUSED_MEMORY,  /* the quota has no room for what it is, inflated or decoded */
	MRPC_REFUSED_DECODE   /* its codec's reasons */
};

/* Which one of the counts that is. */
uint64_t *mrpc_call_refused_counter(struct minirpc_conn_counts *counts, enum mrpc_refused what);

/* The transport's side of a call, an HTTP/2 stream. */
struct mrpc_call_transport_ops {
	/* The call has been cut (cancel, deadline, abort): let go of it and reset the stream.
	 * Called from call verbs and timers, never by the transport itself. After it returns the
	 * call no longer knows the transport. */
	void (*detach)(void *transport, struct minirpc_call *call);
	/* Optional: where to count for the connection, and its owner. */
	void (*count_refused)(void *transport, enum mrpc_refused what);
	/* Optional: the peer's certificate, where call->certificate does not say it. */
	const void *(*certificate)(void *transport, size_t *ret_len);
};

struct minirpc_call {
	enum mrpc_role role;
	unsigned refs; /* handle, transport, delivery in progress */
	struct mrpc_place place;
	const struct minirpc_call_events *events;
	void *user;
	const struct minirpc_method *method; /* server: NULL until routed */
	unsigned flags; /* method flags in force; server: set by mrpc_call_route */

	struct mrpc_task task; /* reader of in, writer of out */
	struct mrpc_timer deadline_timer;
	minirpc_time deadline; /* MINIRPC_NEVER: none */
	minirpc_time started;

	bool has_handle; /* the user owns the handle */
	bool told_end;   /* on_end was delivered, or never will be */
	bool paused;
	bool want_room;   /* -EAGAIN was answered, on_writable is owed */
	bool answered;    /* server: the answer is on its way, on_end is owed */
	bool half_closed; /* server: on_half_close was delivered */
	bool wait_for_ready;
	bool committed; /* response headers arrived, or the replay buffer overflowed */
	bool headers_told;
	bool secure;        /* it goes, or came, over TLS */
	bool own_authority; /* client: authority is not the channel's, the certificate must be good for it [N-4] */
	bool has_pushback;
	bool is_ours; /* client: not a user's, and not counted among calls */
	bool resting; /* client: between two attempts; the end that comes now is no attempt's */
	bool gone; /* killed, or the peer left: on_end is due at once, whatever the lane holds */

	char *path, *authority;  /* in the arena */
	const char *content_type; /* ours; a server's is its client's. NULL: MRPC_CONTENT_TYPE [W-4] */
	const char *peer;        /* the transport's; "" when there is none */
	const void *certificate; /* the transport's */
	size_t certificate_len;
	const char *principal; /* server: in the arena; NULL: nobody said */
	minirpc_time pushback; /* server: if has_pushback; below 0: no other attempt */

	struct minirpc_status
		in_status; /* at a client: how the call ended; at a server: why the peer left */
	struct minirpc_status out_status; /* server: what we answer */

	const struct mrpc_call_transport_ops *transport_ops;
	void *transport;
	struct mrpc_task *watcher; /* woken when the handle is given back; NULL: nobody waits for that */
	const struct mrpc_call_owner_ops *owner_ops;
	void *owner; /* client: the channel. server: the server (for minirpc_call_server) */
	struct mrpc_list owner_node; /* in the owner's list of calls */
	void *picked; /* client, the channel's: whom to tell when the attempt is over */
	unsigned char verdict; /* client, the channel's: what the policy said inside minirpc_call_open, and
				  is done in a turn; 0: nothing */
	struct minirpc_call *parent;
	struct mrpc_list parent_node;
	struct mrpc_list children;
	unsigned attempts; /* attached so many times */
	bool never_left;   /* client: the transport sets this before an unprocessed end when it sent
			      nothing of this attempt */
	bool unprocessed; /* client: the last attempt was certainly not seen by the server */
	bool started_over; /* client: the one transparent retry after a refusal is used up */

	/* Client: the policies for further attempts; NULL: none. They live as long as config, or as
	 * the owner where that is NULL; config is the owner's affair. */
	const struct minirpc_retry_policy *retry;
	const struct minirpc_hedging_policy *hedging;
	struct mrpc_config *config;
	struct mrpc_retry *retrying; /* the owner's; NULL until a first attempt failed that a policy is for */
	unsigned previous_attempts;  /* that a policy repeated, or joined, by this one */
	minirpc_time attempt_started, ended;
	struct mrpc_attempt *past; /* attempts that others followed, see attempts.c */
	unsigned past_count, past_transparent;
	const char *kept_peer; /* a copy of the last transport's */
	struct mrpc_replay *replay; /* the owner's; NULL: none */
	size_t replay_held;         /* of it, by this call */

	/* Client: each attempt is a call of its own, and this one's transport is what joins them, see
	 * client/hedge.c. */
	bool carried;
	bool dropped; /* by the balancer: not to be repeated [L-4] */
	const struct minirpc_use *attempt_uses; /* of its own interceptors those that are for each attempt; NULL: none */
	/* An attempt of such a call: takes the messages that come in, as they are, in place of on_message. */
	void (*relay)(struct minirpc_call *call, struct mrpc_part *part);

	size_t max_receive_message, max_send_message, max_replay;
	const struct minirpc_conn_limits *limits;
	struct minirpc_conn_counts *counts; /* the owner's, NULL: none */
	const char *const *hand_down;       /* server: keys that children inherit [D-5]; ended by NULL */

	const struct mrpc_compressors *compressors;          /* the owner's */
	const struct minirpc_compressor *in_compressor;      /* what grpc-encoding said; NULL: none */
	const struct minirpc_compressor *out_compressor;     /* what grpc-encoding says; NULL: none */
	uint32_t accepts;            /* server: bits of compressors->all that the client accepts */
	struct mrpc_chain *chain;    /* its interceptors; NULL: none */
	int left;                    /* events before others get their turn */
	bool was_compressed;         /* the message delivered last */
	bool late_compression;       /* client: what is sent is compressed by its attempts, behind their interceptors */
	bool plain;                  /* the next messages are not compressed [C-5] */

	/* These are cleared by their own init. */
	struct mrpc_lane in, out;
	struct minirpc_metadata in_headers, in_trailers, out_headers, out_trailers;
	struct mrpc_arena arena;
	/* The arena's first block: an ordinary call allocates nothing more. As much as the pool's block of
	 * 3 KiB has left. */
	uint8_t room[1872];
};

/* What all calls of an owner together keep for another attempt. */
struct mrpc_replay {
	size_t held, max;
};

struct mrpc_call_config {
	struct mrpc_place place;
	struct mrpc_timers *timers; /* where the deadline runs */
	size_t send_queue;          /* 0: 64 KiB */
	size_t max_receive_message; /* 0: 4 MiB */
	size_t max_send_message;    /* 0: 2^32-1 */
	size_t max_replay;          /* client; 0: 256 KiB */
	struct mrpc_replay *replay; /* client: the owner's; NULL: no limit for all together */
	bool secure;                /* over TLS */
	/* The owner's: complete, and live as long as the handle. NULL: the defaults; no counts. */
	const struct minirpc_conn_limits *limits;
	struct minirpc_conn_counts *counts;
	const char *const *hand_down; /* server: of the same life; NULL: what server.h says */
	struct mrpc_interceptors *interceptors;       /* server: the owner's; NULL: none */
	const struct mrpc_compressors *compressors;   /* must outlive the calls; NULL: none */
	const struct minirpc_compressor *compression; /* client: of requests. server: of responses,
							 where the client accepts it. NULL: none */
};

/* ---- Making calls: the channel, and h2 for a call that came in ---- */

/* The new call has one reference, the handle's. A client's has its headers in the out lane already
 * (fill out_headers before it is attached), and that lane is retained until the call commits.
 * Returns 0 or -ENOMEM. */
int mrpc_call_new(struct minirpc_call **ret_call, enum mrpc_role role,
		  const struct mrpc_call_config *config);

/* Server: as new, after the headers of a request that was refused. */
void mrpc_call_reset(struct minirpc_call *call);

/* Server: its headers are good. From now on its memory counts in full, and interceptors (may be NULL) watch
 * it. Returns 0 or -ENOMEM. */
int mrpc_call_admitted(struct minirpc_call *call, struct mrpc_interceptors *interceptors);

int mrpc_call_set_path(struct minirpc_call *call, const char *path, size_t len);
int mrpc_call_set_authority(struct minirpc_call *call, const char *authority, size_t len);
int mrpc_call_set_subtype(struct minirpc_call *call, const char *subtype); /* lower case; W-9 */

/* Sets the deadline and starts its timer; a time in the past fires in the next run of the timers.
 */
void mrpc_call_set_deadline(struct minirpc_call *call, minirpc_time at);

/* Server: the client can read messages compressed so [C-4]. */
bool mrpc_call_accepts(const struct minirpc_call *call,
		       const struct minirpc_compressor *compressor);

/* Ties a client's call to a server's: deadline cut down, cancelled with it. */
void mrpc_call_set_parent(struct minirpc_call *call, struct minirpc_call *parent);

/* Adds to a client's out_headers what its parent hands down of the metadata that came in [D-5].
 * Returns 0 or -ENOMEM. */
int mrpc_call_inherit_metadata(struct minirpc_call *call, const struct minirpc_call *parent);

struct minirpc_call *mrpc_call_ref(struct minirpc_call *call);
void mrpc_call_unref(struct minirpc_call *call);

/* ---- The transport's verbs ---- */

/* Takes the call on: sets the transport and one reference for it, and the stream's task as reader
 * of out and writer of in. */
void mrpc_call_attach(struct minirpc_call *call, const struct mrpc_call_transport_ops *ops,
		      void *transport, struct mrpc_task *task);

/* Lets go: no more parts will come. Gives the reference back; the call may be gone when this
 * returns. */
void mrpc_call_detach(struct minirpc_call *call);

/* The headers in call->in_headers are complete. Client: commits the call. Returns 0 or -EPROTO. */
int mrpc_call_received_headers(struct minirpc_call *call);

/* One whole message. Takes ownership unless it fails with -EPIPE. */
int mrpc_call_received_message(struct minirpc_call *call, struct mrpc_part *part);

/* Server: END_STREAM of the requests. */
void mrpc_call_received_half_close(struct minirpc_call *call);

/* The end. Client: the status to tell; in_trailers are complete. Server: the peer left (status says
 * why). `abrupt` drops messages that were not delivered yet; otherwise they come first. The status
 * is copied. `unprocessed` as in attempt_failed. The transport detaches after this. */
void mrpc_call_received_end(struct minirpc_call *call, const struct minirpc_status *status,
			    bool abrupt, bool unprocessed);

/* ---- Whoever carries a call by others ---- */

/* The send rule; what is refused is followed by on_writable. */
bool mrpc_call_has_room(struct minirpc_call *call);

/* Sends a message that was made for another call: compressed as it says, or to be compressed behind the
 * interceptors. Takes ownership unless it fails. Returns 0 or -EPIPE. */
int mrpc_call_give(struct minirpc_call *call, struct mrpc_part *part);

/* ---- The owner's verbs ---- */

/* Ends the call from our side with this status, whatever its state: resets the stream if there is
 * one, on_end follows in the next turn. For deadlines, lost parents, shutdown. Harmless when it is
 * over. */
void mrpc_call_kill(struct minirpc_call *call, enum minirpc_code code, const char *text);

/* An attempt failed that had no transport yet. Ends the call unless its owner repeats it; as
 * mrpc_call_kill otherwise. */
void mrpc_call_fail_attempt(struct minirpc_call *call, const struct minirpc_status *status);

/* No other attempt any more: what is kept for one is let go of. */
void mrpc_call_commit(struct minirpc_call *call);

/* Another attempt follows the one that ended so, by the owner's policy or transparently. Before it
 * begins. */
void mrpc_call_note_attempt(struct minirpc_call *call, const struct minirpc_status *status,
			    bool transparent);
bool mrpc_call_has_tried(const struct minirpc_call *call, const char *peer); /* an attempt that was noted */
const char *mrpc_call_keep_peer(struct minirpc_call *call); /* the transport's, in the arena */

/* Takes the handle away without an event: minirpc_call_cancel, and channel or server being freed.
 */
void mrpc_call_drop(struct minirpc_call *call);

/* The owner goes, and somebody looks at the call still: nothing of the owner's is left in it. Dropped before. */
void mrpc_call_orphan(struct minirpc_call *call);

/* Server: names the method (its flags give the cardinality) and the events, before on_headers goes
 * to the user. */
void mrpc_call_route(struct minirpc_call *call, const struct minirpc_method *method,
		     const struct minirpc_call_events *events, void *user);

bool mrpc_call_is_over(const struct minirpc_call *call); /* told_end, or the handle is gone */

#endif

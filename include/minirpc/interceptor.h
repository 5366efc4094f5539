/* SPDX-License-Identifier: MIT */
/* Interceptors: code that stands between the application and the wire, for every call of a
 * channel or of a server, or for one call: logs, credentials, limits, anything that is nobody's
 * business in particular.
 *
 * An interceptor sees the parts of a call in either direction, headers? message* end, and lets each
 * pass, holds it, or stops the call:
 *
 *	static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part,
 *					    void *user)
 *	{
 *		if (part->kind == MINIRPC_PART_HEADERS)
 *			minirpc_hook_set_metadata(hook,
 *						  &(struct minirpc_field){ "tenant", user });
 *		return MINIRPC_PASS;
 *	}
 *
 *	static const struct minirpc_interceptor tenant = { .name = "tenant", .on_send = on_send };
 *
 *	minirpc_channel_new(&channel, loop, target, &(struct minirpc_channel_options){
 *		.interceptors = (const struct minirpc_use[]){ { &tenant, "blue" }, { NULL } },
 *	});
 *
 * The order: what a call sends passes the channel's interceptors as they are listed, then those
 * of the call's own options; what it receives passes them in the opposite order. So the first of
 * a channel's list is next to the application, the last of the call's own list next to the wire.
 * A server's list is the mirror of it: what it receives passes the first one first, which is next
 * to the wire; what it sends passes the first one last.
 *
 *	client:  application -> channel[0] -> channel[1] -> call[0] -> wire
 *	server:  wire -> server[0] -> server[1] -> handler
 *
 * Messages are seen as the application has them: before they are compressed, after they are
 * inflated. A part is never shown to an interceptor again once it has said MINIRPC_PASS. With
 * .per_attempt (on a channel, or a call's options) it stands behind the retries: each attempt is
 * a new life for it, with data of its own. Without interceptors a call pays for none of this.
 *
 * What waits before an interceptor counts for the send rule of minirpc_call_send, and what it
 * holds of the peer's is not given back as credit: a hold costs no more memory than a slow peer.
 * A server's handler has given its call back with minirpc_call_end; the answer still passes the
 * interceptors.
 *
 * What ends a call without a word of the peer is no part and is told by on_close alone: the
 * deadline, cancellation, no connection, a stop, minirpc_call_abort, what the library answers by
 * itself (too many requests, a message that cannot be inflated). Nor is a response shown that its
 * status takes back: a method with one response has one when the status is OK. */
#ifndef MINIRPC_INTERCEPTOR_H
#define MINIRPC_INTERCEPTOR_H

#include <minirpc/call.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One interceptor in one call. Lives until its on_close has returned. */
typedef struct minirpc_hook minirpc_hook;

enum minirpc_part_kind { MINIRPC_PART_HEADERS, MINIRPC_PART_MESSAGE, MINIRPC_PART_END };

struct minirpc_part {
	enum minirpc_part_kind kind;
	/* HEADERS: initial metadata. END with a status: trailing metadata. Otherwise NULL. */
	const struct minirpc_metadata *metadata;
	const void *data; /* MESSAGE */
	size_t len;
	/* END of the server's side. NULL: the client's, "no more requests". */
	const struct minirpc_status *status;
};

enum minirpc_verdict {
	MINIRPC_PASS, /* go on to the next one */
	/* This part waits, and all behind it in this direction, until minirpc_hook_resume. Nothing
	 * else waits: the loop turns, the deadline runs and ends the call. */
	MINIRPC_HOLD,
	/* The call ends, with the status that was set by minirpc_hook_set_status (INTERNAL
	 * without one, or with OK): a client's on_end tells it and the server sees a
	 * cancellation; a server's client is answered with it, and the handler, if it knows of
	 * the call already, hears of it by on_end. */
	MINIRPC_STOP
};

struct minirpc_interceptor {
	const char *name; /* for log lines */
	size_t data_size; /* bytes of minirpc_hook_data, zeroed, for each call */
	bool per_attempt; /* client: once for each attempt, not once for each call */
	/* A part on its way from here to the peer, or from the peer to here. The part is valid
	 * during the function. NULL: all pass. Verbs of call.h may be used on the call, but for
	 * minirpc_call_end of a server and minirpc_call_cancel (stop it instead). */
	enum minirpc_verdict (*on_send)(minirpc_hook *hook, const struct minirpc_part *part,
					void *user);
	enum minirpc_verdict (*on_receive)(minirpc_hook *hook, const struct minirpc_part *part,
					   void *user);
	/* The call is over, in whatever way: exactly once for each hook of which a part was seen
	 * (and not for others), and last, in the order of the lists. status is what the
	 * application was told (client; CANCELLED when it cancelled), what the client was
	 * answered or why it left (server; CANCELLED when the handler cancelled). A server's
	 * comes when the handler has ended the call and the answer has been handed to the
	 * connection, or cannot be any more. Never inside a verb, but for one:
	 * minirpc_channel_free and minirpc_server_free call what is due before they return, so
	 * that what `user` points to may go. (When they are called from inside an interceptor,
	 * the call that it looks at is closed as soon as it returns, and minirpc_call_server and
	 * what else belonged to the owner is gone from it.) May be NULL. */
	void (*on_close)(minirpc_hook *hook, const struct minirpc_status *status, void *user);
};

/* An interceptor in a list, and what it is called with. Lists end with an empty entry and are
 * copied; the interceptor and what user points to must outlive the channel, the server, or the
 * call. */
struct minirpc_use {
	const struct minirpc_interceptor *interceptor;
	void *user;
};

/* ---- In an event, and while a part is held ---- */

MINIRPC_API minirpc_call *minirpc_hook_call(const minirpc_hook *hook);
MINIRPC_API void *minirpc_hook_data(const minirpc_hook *hook);

/* Lets a held part go on to the next one; or, with a status, stops the call as MINIRPC_STOP does.
 * From anywhere on the loop's thread, also from inside on_send and on_receive before they return
 * MINIRPC_HOLD. `sent` tells the direction: true for a part of on_send. Harmless when nothing is
 * held, and after the call has ended until on_close. What follows happens in the next turn. */
MINIRPC_API void minirpc_hook_resume(minirpc_hook *hook, bool sent,
				     const struct minirpc_status *stop);

/* The rest changes the part that this hook is shown, or else the one that it holds; of two, one
 * in each direction, the one held last of those that have what is to be changed. */

/* Changes metadata (HEADERS, or END with a status): adds one field, replaces all fields of its
 * key by it, or removes them. The library's own names are refused, as in metadata.h. Returns 0,
 * -EINVAL (bad field, or no part that has metadata), -E2BIG (what is sent would be above
 * limits.max_header_bytes), -ENOMEM. */
MINIRPC_API int minirpc_hook_add_metadata(minirpc_hook *hook, const struct minirpc_field *field);
MINIRPC_API int minirpc_hook_set_metadata(minirpc_hook *hook, const struct minirpc_field *field);
MINIRPC_API int minirpc_hook_remove_metadata(minirpc_hook *hook, const char *key);

/* Replaces the message; copied, and the part that is shown shows it from now on: what its data
 * was before is gone. It travels compressed as the one before would have. Returns 0, -EINVAL (no
 * message), -EMSGSIZE (above the limit of its direction), -ENOMEM. */
MINIRPC_API int minirpc_hook_set_message(minirpc_hook *hook, const void *data, size_t len);

/* Replaces the status of an END that has one, or says what MINIRPC_STOP ends the call with;
 * copied. Without memory the code goes without its text. OK goes without a text, and where the
 * method has one response and none was there OK becomes an error. */
MINIRPC_API void minirpc_hook_set_status(minirpc_hook *hook, const struct minirpc_status *status);

#ifdef __cplusplus
}
#endif

#endif

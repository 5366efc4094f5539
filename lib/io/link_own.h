/* SPDX-License-Identifier: MIT */
/* What the files of a link share: link.c (life, receiving), link_send.c, link_end.c. See link.c. */
#ifndef MRPC_IO_LINK_OWN_H
#define MRPC_IO_LINK_OWN_H

#include "io/link.h"

/* Best for bulk: 64 KiB costs 1.2 times as much, 256 KiB falls out of the cache (speed.md, 5). */
#define LINK_WRITE_LIMIT 131072u

#define LINK_REASON_SIZE 192

enum link_state { LINK_OPEN, LINK_CLOSING, LINK_LINGER, LINK_OVER, LINK_TOLD };

struct mrpc_link {
	minirpc_loop *loop;
	struct mrpc_machine *machine; /* NULL once it was told that the transport broke */
	struct mrpc_tls_session *tls;
	struct mrpc_link_options options;
	struct minirpc_watch watch;
	struct mrpc_task task;
	struct mrpc_timer timer;
	int fd;
	enum link_state state;
	bool blocked; /* the socket is full: wait until it is writable */
	bool mute; /* the peer has closed its receiving end: send no more, read what it said last */
	bool deaf; /* the machine has ended: read no more, send what is pending */
	struct mrpc_buf unsent; /* taken from the machine or from TLS, but not by the socket */
	size_t handed;          /* bytes of the machine that it has not been told `sent` of */
	size_t lingered;
	minirpc_time close_by; /* once it is coming to an end; MINIRPC_NEVER before */
	int error;
	char reason[LINK_REASON_SIZE];
	bool *ret_freed; /* on the stack of on_ready: mrpc_link_free was called meanwhile */
};

static inline void mrpc_link_wake(struct mrpc_link *link)
{
	mrpc_turn_wake(&link->loop->turn, &link->task);
}

/* While OPEN: nothing will be received any more. */
static inline bool mrpc_link_is_handshaking(const struct mrpc_link *link)
{
	return link->tls != NULL && mrpc_tls_session_state(link->tls) == MRPC_TLS_HANDSHAKE;
}

/* In a handshake the machine's last words would wait for the peer, which may never finish it. */
static inline bool mrpc_link_is_ended(const struct mrpc_link *link)
{
	const struct mrpc_machine_ops *ops = link->machine->ops;

	return link->deaf || ops->is_finished(link->machine) ||
	       (mrpc_link_is_handshaking(link) && ops->is_closed(link->machine));
}

/* ---- link_send.c ---- */

/* The link's task: gathers and writes, once a turn. */
void mrpc_link_flush(struct mrpc_task *task);

/* Forgets what the socket has not taken; its memory may become the loop's spare buffer. */
void mrpc_link_drop_unsent(struct mrpc_link *link);

/* ---- link_end.c ---- */

/* Nothing can be sent or received any more. The second: "what: Connection refused", error above 0. */
void mrpc_link_finish(struct mrpc_link *link, int error, const char *reason);
void mrpc_link_finish_errno(struct mrpc_link *link, const char *what, int error);

/* We end it; what is unsent still leaves. */
void mrpc_link_close_down(struct mrpc_link *link, int error, const char *reason);

/* TLS gave up; the alert still leaves. */
void mrpc_link_tls_failed(struct mrpc_link *link, int error);

/* All of ours has left: FIN, and wait for the peer to close. */
void mrpc_link_linger(struct mrpc_link *link);

/* Tells the owner; the link may be gone after. */
void mrpc_link_tell_closed(struct mrpc_link *link);

/* After anything that happened: which events to wait for, and until when. */
void mrpc_link_settle(struct mrpc_link *link);
void mrpc_link_on_timer(struct mrpc_timer *timer, minirpc_time now);

#endif

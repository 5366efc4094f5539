/* SPDX-License-Identifier: MIT */
/* One connection of ours that a hostile peer talks to, over minirpc/conn.h and a clock turned by
 * hand.
 *
 * The input is a script of steps, each begun by one byte:
 *
 *	0            the next two bytes (big endian) say how many bytes arrive, those follow
 *	1 ... 0xEF   so many bytes arrive, they follow
 *	0xF0         a millisecond passes       0xF1  ten seconds    0xF2  ten minutes
 *	0xF3         the peer stops reading     0xF4  it reads again
 *	0xFD n       the n-th allocation from now fails
 *	0xFE n       that one and all after it, until the next 0xFD or 0xFE (n = 0: none)
 *	0xFF         interceptors let go what they hold
 *	others       what the target makes of it
 *
 * What we send is read frame by frame: whatever the peer does, we speak HTTP/2. Memory is counted:
 * a short input never makes us hold much, and in the end nothing is left. */
#ifndef TEST_FUZZ_SESSION_H
#define TEST_FUZZ_SESSION_H

#include "fuzz.h"

#include <minirpc/interceptor.h>
#include <minirpc/minirpc.h>

enum { SESSION_HELD = 64 };

struct session {
	minirpc_loop *loop;
	minirpc_conn *conn; /* NULL once closed */
	minirpc_time now;
	bool stalled, finished;
	size_t preface_left; /* of the client's preface that we still have to send */
	uint8_t header[9];   /* of the frame that we are sending */
	size_t header_len, payload_left;
	uint32_t block; /* stream of the header block that is open; 0: none */
	size_t most;    /* bytes that we may hold */

	/* Of the interceptor. */
	uint32_t parts;
	size_t opens, closes, held_count;
	struct session_held {
		minirpc_hook *hook;
		bool sent;
	} held[SESSION_HELD];
};

/* An interceptor that passes, changes, holds and stops, the same for the same parts; its `user` is the session.
 * session_let_go resumes what it holds. */
extern const struct minirpc_interceptor session_interceptor, session_attempt_interceptor;
void session_let_go(struct session *session);

/* Makes the loop, for an input of len bytes; conn is for the target to attach with these options.
 */
void session_init(struct session *session, bool is_client, size_t len);
struct minirpc_attach_options session_attach(struct session *session);

/* So many bytes arrive, then turns follow until nothing is left to do. */
void session_receive(struct session *session, const void *data, size_t len);
void session_settle(struct session *session);

/* Runs the script; steps that it does not know go to `step`. */
void session_run(struct session *session, struct input *input,
		 void (*step)(struct session *session, uint8_t step));

/* Before the server or the channel is freed. */
void session_close(struct session *session);
void session_clear(struct session *session);

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define SETTINGS "\0\0\0\4\0\0\0\0\0"
#define SETTINGS_ACK "\0\0\0\4\1\0\0\0\0"

#endif

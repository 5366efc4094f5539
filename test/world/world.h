/* SPDX-License-Identifier: MIT */
/* The world: a client and a server in one process, a pipe between them and a clock that is turned
 * by hand.
 *
 *	struct world *w = world_new();
 *	struct probe probe = { 0 };
 *	minirpc_call *call = world_call(w, &echo, MINIRPC_MS(50), &probe);
 *
 *	minirpc_call_end(call, NULL);
 *	world_settle(w);                        // until nothing moves any more
 *	world_advance(w, MINIRPC_MS(50));       // and time passes
 *	ck_assert_int_eq(probe.status.code, MINIRPC_DEADLINE_EXCEEDED);
 *	world_free(w);                          // checks that nothing is left over
 *
 * The server answers in kind: compressed when the request is. It has a handler that the test drives: each call that comes in lands in w->served (see
 * struct served), and unless the test says otherwise answers as its method does (WORLD_ECHO ...). */
#ifndef TEST_WORLD_WORLD_H
#define TEST_WORLD_WORLD_H

#include <minirpc/minirpc.h>

#include <check.h>
#include <errno.h>

/* One direction of the connection. Bytes become visible to the reader `delay` after they were
 * written, at most `chop` at a time; nothing moves while it is stalled; after `cut_after` bytes the
 * whole connection is gone. */
struct world_pipe {
	size_t chop; /* 0: as they come */
	minirpc_time delay;
	bool stalled;
	size_t cut_after; /* SIZE_MAX: never */
	size_t moved;     /* bytes that the reader got */
	bool is_last;     /* the writer has finished: what is in here, then the connection is cut */
	struct world_piece *first, *last;
};

/* A connection: two ends and what is between them. */
struct world_link {
	minirpc_conn *client_end, *server_end; /* NULL: closed, or never there */
	struct world_pipe up, down;            /* requests, responses */
};

/* What a client's call saw. */
struct probe {
	minirpc_call *call; /* NULL once it is over */
	int headers, messages, rooms, ends;
	int compressed; /* messages that travelled so */
	size_t bytes;
	char last[64]; /* text of the last message, cut */
	enum minirpc_code code;
	char text[256];
	char trailer[64]; /* "x-trailer", if it came */
	struct world *w;  /* set by world_call */
	bool bad_order;   /* an event came after the end, or messages before headers */
};

/* What the server's handler saw of a call, and what it shall do. The last WORLD_SERVED calls are
 * remembered. */
struct served {
	minirpc_call *call; /* NULL once the handler has ended it */
	int messages, half_closes, rooms, ends;
	int compressed; /* messages that travelled so */
	size_t bytes;
	char last[64];
	enum minirpc_code left; /* why the peer left, if it did */
};

#define WORLD_SERVED 16

struct world {
	minirpc_loop *loop;
	minirpc_server *server;
	minirpc_channel *channel;
	union { /* w->up is w->link.up, and so on */
		struct world_link link;
		struct {
			minirpc_conn *client_end, *server_end;
			struct world_pipe up, down;
		};
	};
	struct world_link *more; /* of others, which are moved as well; see net.h */
	size_t more_count;
	size_t most_moved[2]; /* of those: bytes of the longest one; [true]: up */
	minirpc_time now;
	bool is_faulty; /* a sweep makes things fail: stories expect nothing but the rules */
	bool is_drained; /* the story stopped the server: nothing more can be asked of it */
	struct served served[WORLD_SERVED];
	unsigned served_count;
	bool stirred;     /* set by every event; for whoever waits for one */
};

/* Methods of the world's server. */
extern const struct minirpc_method world_echo; /* unary: the request comes back */
extern const struct minirpc_method
	world_fail; /* unary: NOT_FOUND with the request as text, and a trailer */
extern const struct minirpc_method
	world_ask; /* unary: nothing but what the test does with w->served */
extern const struct minirpc_method
	world_hold; /* bidi: nothing but what the test does with w->served */
extern const struct minirpc_method
	world_count; /* server stream: request "N SIZE": N messages of SIZE bytes */
extern const struct minirpc_method
	world_sum; /* client stream: answers with the sum of lengths, as text */
extern const struct minirpc_method
	world_chat; /* bidi: echoes each message at once, ends when the client has */
extern const struct minirpc_method world_missing; /* not registered */

struct world_options {
	struct minirpc_server_options server;
	struct minirpc_channel_options channel;
	bool faulty;
};

/* NULL only when faulty and there was no memory. */
struct world *world_new(void);
struct world *world_new_with(const struct world_options *options);
void world_free(struct world *w); /* NULL is fine */

/* Gives w->server the methods above; for servers made elsewhere. Returns 0 or -errno. */
int world_serve(struct world *w);
int world_serve_on(struct world *w, minirpc_server *server); /* the same for another one */

/* Connects (again). Returns 0 or -errno (faulty only). */
int world_connect(struct world *w);

/* Cuts the connection now. */
void world_cut(struct world *w);

/* For those who keep links of their own: connects a server (NULL: silence) with whatever `attach` attaches `to`
 * at the client's side; cuts; moves what can move, true when something did; when the next piece arrives. */
int world_link_connect(struct world_link *link, minirpc_server *server,
		       int (*attach)(void *to, const struct minirpc_attach_options *options,
				     minirpc_conn **ret_conn),
		       void *to, const char *peer);
void world_link_cut(struct world_link *link);
bool world_link_move(struct world_link *link, minirpc_time now);
minirpc_time world_link_next(const struct world_link *link, minirpc_time now);

/* Opens a call to a method, with a timeout (0: none), told to probe. NULL only when faulty. */
minirpc_call *world_call(struct world *w, const struct minirpc_method *method, minirpc_time timeout,
			 struct probe *probe);
minirpc_call *world_call_with(struct world *w, const struct minirpc_method *method,
			      const struct minirpc_call_options *options, struct probe *probe);

/* Sends one text and ends our side; a whole request. */
void world_request(minirpc_call *call, const char *text);

/* The newest call that the server got, or NULL. */
struct served *world_served(struct world *w);

/* Moves bytes and takes turns until nothing happens at this point in time. */
void world_settle(struct world *w);

/* Lets time pass, event by event. */
void world_advance(struct world *w, minirpc_time span);

/* A unary echo works, over a new connection if need be. Asserts. */
void world_check_usable(struct world *w);

/* An assertion of a story that faults may break. */
#define world_expect(w, condition) ck_assert((w)->is_faulty || (condition))

#endif

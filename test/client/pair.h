/* SPDX-License-Identifier: MIT */
/* Pair: a server and a channel on one manual loop, with a pipe in between that the test holds, drops
 * or cuts; and probes that note what a call was told. For test/client and test/server. */
#ifndef TEST_CLIENT_PAIR_H
#define TEST_CLIENT_PAIR_H

#include <minirpc/conn.h>

struct pair {
	minirpc_loop *loop;
	minirpc_server *server;
	minirpc_channel *channel;
	struct end {
		struct pair *pair;
		struct end *other;
		minirpc_conn *conn; /* NULL: closed */
		bool held;          /* bytes from this end stay where they are */
		unsigned finished;
	} client, server_end;
	minirpc_time now;
	bool secure; /* before pair_connect: the pipe is as good as TLS */
};

/* Server and channel, not connected. NULL options are all defaults. The server has /t/echo (unary),
 * /t/hang (never answers), /t/list (answers a..e), /t/sum (client stream), /t/chat (echoes). */
void pair_open(struct pair *pair, const struct minirpc_server_options *server,
	       const struct minirpc_channel_options *channel);
/* The same on a manual loop with other options than that: its log. */
void pair_open_on(struct pair *pair, const struct minirpc_loop_options *loop,
		  const struct minirpc_server_options *server,
		  const struct minirpc_channel_options *channel);
int pair_try_open(struct pair *pair, const struct minirpc_server_options *server,
		  const struct minirpc_channel_options *channel); /* -errno: close what there is */
void pair_close(struct pair *pair);                               /* whatever is left of it */

/* A pipe between them, or another one when the last is gone. */
void pair_connect(struct pair *pair);
int pair_try_connect(struct pair *pair); /* -errno: nothing is connected */

void pair_cut(struct pair *pair);     /* both ends see the transport closed */
void pair_release(struct pair *pair); /* lets held bytes go, both ways */
void pair_settle(struct pair *pair);  /* until nothing is due */
void pair_advance(struct pair *pair, minirpc_time span);

/* Gives a server the methods of the pair's. */
void pair_serve(minirpc_server *server);
int pair_try_serve(minirpc_server *server);

/* What the server's handlers saw, on the server's user pointer. */
struct seen {
	unsigned calls, ends, drops;
	enum minirpc_code end_code;
	minirpc_time deadline;
	minirpc_call *last; /* the last call that came in, also when it is over */
};

extern struct seen seen; /* of all servers; pair_open zeroes it */

/* What a client's call was told. */
struct probe {
	unsigned headers, messages, ends;
	enum minirpc_code code;
	char text[256], last[64], peer[64];
	minirpc_call *call;
	void (*on_end)(struct probe *probe); /* may be NULL */
	void *user;
};

extern const struct minirpc_call_events probe_events;
extern const struct minirpc_method echo, hang, letters, sum, chat;

/* Opens a call; for a method with one request sends "hello" and ends. Asserts that it works. */
void probe_call(struct probe *probe, minirpc_channel *channel, const struct minirpc_method *method,
		const struct minirpc_call_options *options);

#endif

/* SPDX-License-Identifier: MIT */
/* Pair: a client's and a server's conn, two pipes and a clock turned by hand. Either end may be
 * left out, and played by the test with raw frames (raw.h). */
#ifndef TEST_H2_PAIR_H
#define TEST_H2_PAIR_H

#include "h2/inside.h"

#include <check.h>

/* What a call told its user. */
struct probe {
	struct pair *pair;
	minirpc_call *call; /* NULL once the handle is gone */
	int headers, messages, half_closes, writables, ends;
	size_t bytes;
	int compressed; /* messages that travelled so */
	char last[64]; /* the last message, cut */
	enum minirpc_code code;
	char text[256];
	char details[64];
	size_t details_len;
	char meta[64];    /* header "x-meta" */
	char trailer[64]; /* trailer "x-trailer" */
	bool hold;        /* server: leaves the answer to the test */
	int failed_attempts, unprocessed;
	bool retry; /* client: keeps the call when an attempt fails */
};

#define PROBES 512

struct wire {
	struct mrpc_buf bytes;
	struct mrpc_task flush;
	struct mrpc_conn *from;
	bool stalled; /* nothing arrives, nothing counts as sent */
	uint64_t total, flushes;
};

struct pair {
	struct mrpc_turn turn;
	minirpc_time now;
	struct mrpc_place place;
	struct mrpc_timers timers; /* the client's calls */
	struct mrpc_conn *client, *server;
	struct wire to_server, to_client;
	size_t chop; /* bytes delivered at once; 0: all */
	struct probe calls[PROBES], served[PROBES];
	int called, accepted;
	bool hold; /* handlers leave the answer to the test; otherwise they echo the last message */
	bool forget; /* handlers do not end their call when the peer leaves */
	struct mrpc_task client_owner, server_owner;
	int client_woken, server_woken;
	struct mrpc_compressors compressors; /* both ends know gzip and deflate */
	struct mrpc_call_config call_config; /* of the client's calls */
	struct minirpc_keepalive client_keepalive, server_keepalive;
};

struct pair *pair_new(void);
struct pair *pair_new_with(const struct minirpc_conn_limits *client,
			   const struct minirpc_conn_limits *server);
struct pair *pair_server_only(const struct minirpc_conn_limits *limits);
struct pair *pair_client_only(const struct minirpc_conn_limits *limits);
/* NULL: the defaults, which for PINGs are stricter than those of the others here: they take any. */
struct pair *pair_new_keepalive(const struct minirpc_keepalive *client,
				const struct minirpc_keepalive *server);
/* One of them, and the other played by the test. */
struct pair *pair_server_keepalive(const struct minirpc_keepalive *keepalive);
struct pair *pair_client_keepalive(const struct minirpc_keepalive *keepalive);
/* As pair_new; NULL when there is no memory. */
struct pair *pair_try(void);
void pair_free(struct pair *pair);

/* Runs turns and moves bytes until nothing moves any more. */
void pair_settle(struct pair *pair);

/* Only the turn: what comes of it stays in the pipes. */
void pair_turn(struct pair *pair);

void pair_advance(struct pair *pair, minirpc_time span);

/* A client's call, opened on the conn. flags as in struct minirpc_method. */
struct probe *pair_call(struct pair *pair, const char *path, unsigned flags, minirpc_time timeout);
struct probe *pair_call_with(struct pair *pair, const char *path, unsigned flags,
			     minirpc_time timeout, const struct minirpc_field *metadata);

/* Ties a client's call to a probe; nothing can fail. */
void pair_probe(struct probe *probe, struct pair *pair, minirpc_call *call, unsigned flags);

/* A unary call to the end of its request. */
struct probe *pair_unary(struct pair *pair, const char *message);

/* Bytes from or to an end that the test plays. */
int pair_give(struct pair *pair, struct mrpc_conn *conn, const void *data, size_t len);

#define MS MINIRPC_MS
#define STREAMS (MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING)

#endif

/* SPDX-License-Identifier: MIT */
/* A client and a server of typedtest.Talk, joined by nothing but memory, on a loop turned by hand.
 */
#ifndef TEST_TYPED_PAIR_H
#define TEST_TYPED_PAIR_H

#include <minirpc/conn.h>
#include <minirpc/typed.h>

#include "three.pb-c.h"

struct pair {
	minirpc_loop *loop;
	minirpc_server *server;
	minirpc_channel *channel;
	minirpc_conn *conns[2]; /* the channel's, the server's */
	minirpc_time now;
	bool own_loop; /* the loop is the channel's own, a real one */
};

/* Returns 0 or -errno, for lack of memory; then nothing is left. */
int pair_open(struct pair *pair);
int pair_open_with(struct pair *pair, const struct minirpc_conn_limits *limits); /* at both ends */
int pair_open_waiting(struct pair *pair); /* for _wait calls: a loop that can run */
void pair_close(struct pair *pair);

/* Turns the loop and moves bytes until nothing happens any more. */
void pair_settle(struct pair *pair);
void pair_advance(struct pair *pair, minirpc_time span);

/* ---- The service, as a generator would write it, with one type for all messages ---- */

extern const struct minirpc_typed_method talk_ask, talk_count, talk_sum, talk_chat;

struct talk_handlers {
	void (*ask)(minirpc_call *call, const Typedtest__Small *request, void *user);
	void (*count)(minirpc_call *call, const Typedtest__Small *request, void *user);
	void (*sum)(minirpc_call *call, void *user);
	void (*chat)(minirpc_call *call, void *user);
};

int talk_serve(minirpc_server *server, const struct talk_handlers *handlers, void *user);

struct talk_events {
	void (*on_message)(minirpc_call *call, const Typedtest__Small *message, void *user);
	void (*on_half_close)(minirpc_call *call, void *user);
	void (*on_writable)(minirpc_call *call, void *user);
	void (*on_end)(minirpc_call *call, const struct minirpc_status *status, void *user);
};

int talk_listen(minirpc_call *call, const struct minirpc_typed_method *method,
		const struct talk_events *events, void *user);
int talk_open(minirpc_call **ret_call, minirpc_channel *channel,
	      const struct minirpc_typed_method *method, const Typedtest__Small *request,
	      const struct minirpc_call_options *options, const struct talk_events *events,
	      void *user);

typedef void (*talk_done)(const struct minirpc_status *status, const Typedtest__Small *response,
			  void *user);
int talk_ask_async(minirpc_channel *channel, const Typedtest__Small *request,
		   const struct minirpc_call_options *options, talk_done on_done, void *user);

/* A message on the stack. */
#define SMALL(name_, count_)                                                                       \
	(&(Typedtest__Small){ PROTOBUF_C_MESSAGE_INIT(&typedtest__small__descriptor),              \
			      .name = (char *)(name_), .count = (count_) })

#endif

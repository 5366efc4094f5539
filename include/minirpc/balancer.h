/* SPDX-License-Identifier: MIT */
/* Balancers: how a channel spreads its calls over the servers that its resolver names. Built in:
 *
 *	pick_first     one server, the first that answers [L-5]; the default. With
 *	               {"shuffleAddressList": true} the list is shuffled first, so that a
 *	               thousand clients do not all choose the same
 *	round_robin    every server in turn
 *	least_request  of a few servers chosen by chance ({"choiceCount": 2} to 10), the one
 *	               with the fewest calls open [L-6]
 *
 * Choose one by .load_balancing of the channel, or by the service config, which goes first [L-3].
 *
 * This header is for a policy of your own; the three are written on it, too. It keeps
 * subchannels, each of them one server, and answers one question: which of
 * them takes this call. It never sees a message. docs/load-balancing.md says how a channel uses
 * it.
 *
 * Everything is called from a turn of the loop, never from inside a function of yours, but for
 * two: `pick` is called from inside minirpc_call_open, and only looks and answers; `stop` is
 * called from inside whatever ends the policy, minirpc_channel_free among others. The channel may
 * be used in any of them, and freed from any of them but `pick` and `stop`; it is the policy's
 * business then that its self is gone when it goes on. */
#ifndef MINIRPC_BALANCER_H
#define MINIRPC_BALANCER_H

#include <minirpc/channel.h>
#include <minirpc/resolver.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct minirpc_subchannel minirpc_subchannel;

/* A channel, as its balancer sees it. Gone when `stop` has been called. */
typedef struct minirpc_balancing minirpc_balancing;

enum minirpc_pick {
	MINIRPC_PICK_COMPLETE, /* *ret_subchannel takes the call */
	MINIRPC_PICK_QUEUE,    /* the call waits for the next minirpc_balancing_update */
	/* UNAVAILABLE with the reason of the last update, an attempt that a retry policy may
	 * repeat; waits, if the call waits for ready [L-4]. */
	MINIRPC_PICK_FAIL,
	MINIRPC_PICK_DROP /* the call fails even then, and is not repeated [L-4] */
};

struct minirpc_pick_args {
	const minirpc_call *call;                /* path, authority, deadline */
	const struct minirpc_metadata *metadata; /* that it sends */
};

struct minirpc_balancer {
	const char *name; /* "round_robin" */
	/* Begins for one channel. config is the JSON object of the service config ("{}" without
	 * one). Returns 0; -EINVAL (config): the policy in force stays; -ENOMEM: asked again
	 * after a backoff. */
	int (*start)(minirpc_balancing *to, const char *config, void *user, void **ret_self);
	void (*stop)(void *self); /* give back your subchannels; nothing is called any more */

	/* A new list, also a first one; it may be empty. Make its subchannels, then free those of
	 * the list before: what is in both keeps its connection. Returns 0, or -errno: what you
	 * had goes on, and the list is pushed again after a backoff. */
	int (*on_endpoints)(void *self, const struct minirpc_endpoint *endpoints, size_t count);
	/* Resolving failed, and you have had no list yet, or want to know. May be NULL. */
	void (*on_resolver_error)(void *self, const char *reason);
	/* The state of a subchannel is another one than you saw (minirpc_subchannel_state tells
	 * the first). Answer by minirpc_balancing_update. A subchannel that was lost is IDLE:
	 * connect it, or not; at once CONNECTING or in TRANSIENT_FAILURE when another connection
	 * to it was on its way, or had failed [B-5]. */
	void (*on_state)(void *self, minirpc_subchannel *subchannel,
			 enum minirpc_channel_state state);
	/* Which one takes this call; called often, be quick. A subchannel that is not READY is no
	 * mistake: the call then waits for the next update. For a call's second attempt and those
	 * behind it you may be asked several times, until you name a server where none of them
	 * went, unless you have on_call_over: then each pick of yours that is taken is told to
	 * it, and no other is made. */
	enum minirpc_pick (*pick)(void *self, const struct minirpc_pick_args *args,
				  minirpc_subchannel **ret_subchannel);
	/* The channel was IDLE and has a call now, or minirpc_channel_connect. May be NULL. */
	void (*exit_idle)(void *self);
	/* An attempt that you picked `subchannel` for is over; status has its code, not its text.
	 * Not told when the subchannel has been given back. May be NULL: then calls cost less. */
	void (*on_call_over)(void *self, minirpc_subchannel *subchannel,
			     const struct minirpc_status *status);
};

struct minirpc_balancer_use {
	const struct minirpc_balancer *balancer;
	void *user;
};

/* ---- For balancers ---- */

/* A server to connect to; with these addresses, tried in turn. Subchannels of one channel with
 * the same addresses are one and the same underneath: give each back once. Returns 0, -EINVAL,
 * -ENOMEM. */
MINIRPC_API int minirpc_subchannel_new(minirpc_subchannel **ret_subchannel, minirpc_balancing *to,
				       const struct minirpc_endpoint *endpoint);
/* Gives it back: calls on it run to their end. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_subchannel *minirpc_subchannel_free(minirpc_subchannel *subchannel);

/* Connects, unless it is connected or about to be. In TRANSIENT_FAILURE it waits for its backoff
 * and becomes IDLE by itself then. */
MINIRPC_API void minirpc_subchannel_connect(minirpc_subchannel *subchannel);

MINIRPC_API enum minirpc_channel_state
minirpc_subchannel_state(const minirpc_subchannel *subchannel);
MINIRPC_API size_t minirpc_subchannel_open_calls(const minirpc_subchannel *subchannel);
/* "ipv4:10.0.0.1:5051": the connected one, or the first; valid until its state changes. Through a
 * proxy the first, or "host:port" of the target when the proxy resolves it: never the proxy. */
MINIRPC_API const char *minirpc_subchannel_address(const minirpc_subchannel *subchannel);
/* Why it could not be reached, with address and number of the attempt: "" before it was tried, and
 * once it is READY, unless another connection to it cannot be made [B-5]. */
MINIRPC_API const char *minirpc_subchannel_failure(const minirpc_subchannel *subchannel);
/* Yours; NULL at first. */
MINIRPC_API void minirpc_subchannel_set_user(minirpc_subchannel *subchannel, void *user);
MINIRPC_API void *minirpc_subchannel_user(const minirpc_subchannel *subchannel);

/* What the channel is now, as users see it; calls that wait are picked again. reason: for the
 * UNAVAILABLE of calls in TRANSIENT_FAILURE; NULL otherwise. */
MINIRPC_API void minirpc_balancing_update(minirpc_balancing *to, enum minirpc_channel_state state,
					  const char *reason);

/* Asks the resolver for a fresh list. */
MINIRPC_API void minirpc_balancing_resolve_again(minirpc_balancing *to);

MINIRPC_API minirpc_loop *minirpc_balancing_loop(const minirpc_balancing *to);
MINIRPC_API uint64_t minirpc_balancing_random(minirpc_balancing *to); /* replays in tests */

#ifdef __cplusplus
}
#endif

#endif

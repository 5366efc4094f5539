/* SPDX-License-Identifier: MIT */
/* Scaling: several connections of one subchannel, when the peer's MAX_CONCURRENT_STREAMS is reached [B-5, A105].
 *
 *	open --> the oldest connection with room --------------------------> conn
 *	     \-> none has: queue --+-- a call ends, SETTINGS, one more ------> conn
 *	             |             +-- the last connection is lost ----------> on_returned: picked again
 *	             +--> below the maximum: one more attempt, one at a time, spaced by the backoff
 *
 * Calls wait here, and not inside a conn [W-12], so that they go to whichever connection has room first, in the
 * order in which they came. Those that follow wait behind them although there may be room already. A connection
 * is never closed for being idle: that is what max_connection_idle of servers is for [G-3].
 *
 * With a maximum of 1 nothing of this runs; once it was higher, a subchannel goes on like this. */
#include "client/authority.h"
#include "client/subchannel.h"

#include <errno.h>

/* Each that has none will wake its task when it has. */
static struct mrpc_connection *find_room(struct mrpc_subchannel *subchannel)
{
	for (struct mrpc_list *node = subchannel->connections.next;
	     node != &subchannel->connections; node = node->next) {
		struct mrpc_connection *connection =
			mrpc_container(node, struct mrpc_connection, node);

		if (connection->is_ready && !connection->is_over &&
		    mrpc_conn_wants_another(connection->conn))
			return connection;
	}
	return NULL;
}

static int put(struct mrpc_subchannel *subchannel, minirpc_call *call)
{
	struct mrpc_connection *connection;
	int r;

	do {
		connection = find_room(subchannel);
		if (connection == NULL)
			return -EAGAIN;
		if (mrpc_authority_forbids(connection, call))
			return 0;
		r = mrpc_conn_open(connection->conn, call);
	} while (r ==
		 -ESHUTDOWN); /* out of stream ids [G-4]: it has begun to drain, and has no room */
	return r;
}

int mrpc_scaling_open(struct mrpc_subchannel *subchannel, minirpc_call *call)
{
	return mrpc_list_is_empty(&subchannel->queue) ? put(subchannel, call) : -EAGAIN;
}

bool mrpc_subchannel_wants_another(struct mrpc_subchannel *subchannel)
{
	return !mrpc_list_is_empty(&subchannel->queue) &&
	       subchannel->ready_count < subchannel->config->max_connections &&
	       find_room(subchannel) == NULL;
}

static void scale(struct mrpc_subchannel *subchannel)
{
	if (subchannel->attempt == MINIRPC_IDLE && mrpc_subchannel_wants_another(subchannel))
		mrpc_subchannel_begin(subchannel);
}

void mrpc_subchannel_queue(struct mrpc_subchannel *subchannel, struct mrpc_waiter *waiter,
			   minirpc_call *call)
{
	*waiter = (struct mrpc_waiter){ .subchannel = subchannel, .call = call };
	mrpc_list_push(&subchannel->queue, &waiter->node);
	subchannel->queued++;
	scale(subchannel);
}

void mrpc_waiter_leave(struct mrpc_waiter *waiter)
{
	if (!mrpc_list_is_linked(&waiter->node))
		return;
	mrpc_list_remove(&waiter->node);
	waiter->subchannel->queued--;
}

/* One that has left the queue, as there is room. */
static void place(struct mrpc_subchannel *subchannel, struct mrpc_waiter *waiter)
{
	minirpc_call *call = waiter->call;
	int r = put(subchannel, call); /* which may end the call, and the waiter with it */

	if (r == -EAGAIN)
		subchannel->config->on_returned(waiter, subchannel->config->user);
	else if (r < 0)
		mrpc_call_kill(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

void mrpc_subchannel_serve(struct mrpc_subchannel *subchannel)
{
	struct mrpc_list *node;

	while ((node = subchannel->queue.next) != &subchannel->queue) {
		struct mrpc_waiter *waiter = mrpc_container(node, struct mrpc_waiter, node);
		/* One that is over is about to be told its end. */
		bool is_over = waiter->call->gone || mrpc_call_is_over(waiter->call);

		if (!is_over && find_room(subchannel) == NULL)
			break;
		mrpc_waiter_leave(waiter);
		if (!is_over)
			place(subchannel, waiter);
	}
	scale(subchannel);
}

void mrpc_subchannel_return_all(struct mrpc_subchannel *subchannel)
{
	struct mrpc_list *node;

	while ((node = subchannel->queue.next) != &subchannel->queue) {
		struct mrpc_waiter *waiter = mrpc_container(node, struct mrpc_waiter, node);

		mrpc_waiter_leave(waiter);
		subchannel->config->on_returned(waiter, subchannel->config->user);
	}
}

void mrpc_subchannel_scale(struct mrpc_subchannel *subchannel)
{
	if (subchannel->address_count == 0)
		return; /* the host brings the connection */
	if (subchannel->config->max_connections > 1)
		subchannel->scales = true;
	mrpc_subchannel_serve(subchannel);
}

/* SPDX-License-Identifier: MIT */
/* Channel: calls on one side, servers on the other.
 *
 *	                +-- fresh <--+--------- update ---------+
 *	                |            |                          |
 *	minirpc_call_open            +--> pick says QUEUE ---> waiting
 *	                |            |
 *	                +------------+--> COMPLETE ----------> running (on a connection) --> over
 *	                ^                                       |
 *	                +-------------- starts over ------------+  
 *
 * Which servers: servers.c (resolving, policy, idle), balancing.c (a policy at work), subchannel.c (a server and
 * its connection). The state that users see is what the policy says. TRANSIENT_FAILURE stays until READY [A62]:
 * calls that do not wait for ready fail at once as long as the server cannot be reached [B-3].
 *
 * minirpc_channel_free may come from any callback. Whatever delivers an event holds a reference on
 * the call and on nothing of ours, and connections end in tasks of their own, so everything may be
 * freed at once; only a loop of our own that is running waits until it has returned. */
#include "client/channel.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

#define REPLAY_TOTAL (16u << 20)                     /* */
#define USER_AGENT "grpc-c-minirpc/" MINIRPC_VERSION /* [W-11] */

static void tell_watcher(struct mrpc_task *task)
{
	minirpc_channel *channel = mrpc_container(task, minirpc_channel, watch_task);
	void (*fn)(minirpc_channel * channel, void *user) = channel->watch_fn;

	if (fn == NULL || channel->state == channel->watch_last)
		return;
	channel->watch_fn = NULL;
	fn(channel, channel->watch_user); /* which may free the channel */
}

/* What goes into a header as it is: printable ASCII, and something. */
static bool is_header_text(const char *text)
{
	if (text[0] == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7E)
			return false;
	return true;
}

/* The texts of a channel: target, authority, user agent. */
static int set_texts(minirpc_channel *channel, const char *target,
		     const struct minirpc_channel_options *options)
{
	const char *authority = options->authority, *agent = options->user_agent;
	int r;

	if (authority != NULL && (!is_header_text(authority) || strchr(authority, ' ') != NULL))
		return -EINVAL;
	if (agent != NULL && !is_header_text(agent))
		return -EINVAL;
	r = mrpc_resolving_parse(&channel->target, target, options->resolvers);
	if (r < 0)
		return r;

	channel->authority = mrpc_strdup(authority != NULL ? authority : channel->target.authority);
	channel->user_agent = mrpc_format("%s%s%s", agent != NULL ? agent : "",
					  agent != NULL ? " " : "", USER_AGENT);
	return channel->authority == NULL || channel->user_agent == NULL ? -ENOMEM : 0;
}

static void clear_texts(minirpc_channel *channel)
{
	mrpc_free(channel->authority);
	mrpc_free(channel->user_agent);
	mrpc_target_clear(&channel->target);
}

static int configure_calls(minirpc_channel *channel, const struct minirpc_channel_options *options)
{
	minirpc_loop *loop = channel->loop;
	const struct minirpc_compressor *compression;
	int r;

	r = mrpc_compressors_init(&channel->compressors, options->compressors,
				  options->only_compressors);
	if (r == 0)
		r = mrpc_compressors_choose(&channel->compressors, options->compression,
					    &compression);
	if (r < 0)
		return r;
	channel->random = mrpc_backoff_seed();
	channel->replay.max =
		options->max_replay_total > 0 ? options->max_replay_total : REPLAY_TOTAL;
	channel->call = (struct mrpc_call_config){
		.place = { &loop->turn, &loop->now, &loop->log, &loop->pool, loop },
		.timers = &loop->timers,
		.send_queue = options->send_queue,
		.max_receive_message = options->max_receive_message,
		.max_send_message = options->max_send_message,
		.max_replay = options->max_replay,
		.replay = &channel->replay,
		.secure = channel->tls != NULL,
		.limits = &channel->limits,
		.counts = &channel->counts,
		.compressors = &channel->compressors,
		.compression = compression,
	};
	return 0;
}

int minirpc_channel_new(minirpc_channel **ret_channel, minirpc_loop *loop, const char *target,
			const struct minirpc_channel_options *options)
{
	static const struct minirpc_channel_options none;
	minirpc_channel *channel;
	int r;

	if (target == NULL)
		return -EINVAL;
	if (options == NULL)
		options = &none;
	if (options->backoff_initial < 0 || options->backoff_max < 0 ||
	    options->connect_timeout < 0 || options->idle_timeout < 0 ||
	    options->min_resolution_interval < 0)
		return -EINVAL;

	channel = mrpc_alloc(sizeof *channel);
	if (channel == NULL)
		return -ENOMEM;
	*channel = (minirpc_channel){
		.loop = loop,
		.limits = options->limits,
		.keepalive = options->keepalive,
		.state = MINIRPC_IDLE,
		.task = { .phase = MRPC_STREAM, .run = mrpc_channel_serve },
		.watch_task = { .phase = MRPC_DELIVER, .run = tell_watcher },
	};
	mrpc_list_init(&channel->subchannels);
	mrpc_list_init(&channel->fresh);
	mrpc_list_init(&channel->waiting);
	mrpc_list_init(&channel->running);
	mrpc_list_init(&channel->resting);

	r = mrpc_limits_complete(&channel->limits);
	if (r == 0)
		r = mrpc_keepalive_complete(&channel->keepalive, MRPC_CLIENT);
	if (r < 0)
		goto err_channel;
	r = set_texts(channel, target, options);
	if (r < 0)
		goto err_texts;
	if (loop == NULL) {
		r = minirpc_loop_new(&channel->loop, NULL);
		if (r < 0)
			goto err_texts;
		channel->owns_loop = true;
	}
	r = mrpc_interceptors_init(&channel->interceptors, options->interceptors);
	if (r < 0)
		goto err_own_loop;
	if (options->tls != NULL)
		channel->tls = minirpc_tls_ref(options->tls);
	r = mrpc_channel_take_balancers(channel, options);
	if (r == 0)
		r = mrpc_channel_configure(channel, options);
	if (r == 0)
		r = configure_calls(channel, options);
	if (r == 0)
		r = mrpc_channel_begin_servers(channel, target, options);
	if (r < 0)
		goto err_loop;

	*ret_channel = channel;
	return 0;

err_loop:
	mrpc_channel_end_servers(channel);
	mrpc_channel_forget_config(channel);
	minirpc_tls_unref(channel->tls);
	mrpc_interceptors_clear(&channel->interceptors);
err_own_loop:
	if (channel->owns_loop)
		minirpc_loop_free(channel->loop);
err_texts:
	clear_texts(channel);
err_channel:
	mrpc_free(channel);
	return r;
}

minirpc_channel *minirpc_channel_free(minirpc_channel *channel)
{
	/* A host may try once more from inside its on_finished. */
	if (channel == NULL || channel->freeing)
		return NULL;
	channel->freeing = true;
	channel->state = MINIRPC_SHUTDOWN;
	channel->watch_fn = NULL;
	mrpc_loop_refresh(channel->loop);

	mrpc_channel_drop_calls(channel);
	mrpc_channel_end_servers(channel);
	mrpc_interceptors_clear(&channel->interceptors);
	mrpc_task_sleep(&channel->task);
	mrpc_task_sleep(&channel->watch_task);
	mrpc_channel_forget_config(channel);
	clear_texts(channel);
	minirpc_tls_unref(channel->tls);
	if (channel->owns_loop)
		mrpc_loop_free_later(channel->loop);
	mrpc_free(channel);
	return NULL;
}

minirpc_loop *minirpc_channel_loop(const minirpc_channel *channel)
{
	return channel->loop;
}

enum minirpc_channel_state minirpc_channel_state(const minirpc_channel *channel)
{
	return channel->state;
}

void minirpc_channel_connect(minirpc_channel *channel)
{
	if (channel->freeing)
		return;
	mrpc_loop_refresh(channel->loop);
	mrpc_channel_leave_idle(channel);
}

void minirpc_channel_watch(minirpc_channel *channel, enum minirpc_channel_state last,
			   void (*fn)(minirpc_channel *channel, void *user), void *user)
{
	channel->watch_last = last;
	channel->watch_fn = fn;
	channel->watch_user = user;
	if (fn != NULL)
		mrpc_channel_set_state(channel, channel->state);
}

void minirpc_channel_counts(const minirpc_channel *channel, struct minirpc_conn_counts *ret_counts)
{
	*ret_counts = channel->counts;
}

void mrpc_channel_seed(minirpc_channel *channel, uint64_t seed)
{
	channel->random = channel->chance = seed;
}

void mrpc_channel_set_dialer(minirpc_channel *channel,
			     void (*dialer)(struct mrpc_subchannel *subchannel, void *user),
			     void *user)
{
	channel->subchannel.dialer = dialer;
	channel->subchannel.dialer_user = user;
}

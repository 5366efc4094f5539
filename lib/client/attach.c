/* SPDX-License-Identifier: MIT */
/* A channel's connection whose bytes the host moves. Calls wait for the next one when it is gone. */
#include "client/channel.h"

#include <errno.h>

static struct mrpc_subchannel *the_only(const minirpc_channel *channel)
{
	return mrpc_container(channel->subchannels.next, struct mrpc_subchannel, node);
}

int minirpc_channel_attach(minirpc_channel *channel, const struct minirpc_attach_options *options,
			   minirpc_conn **ret_conn)
{
	static const struct minirpc_attach_options none;

	if (channel->target.kind != MRPC_TARGET_ATTACHED)
		return -EINVAL;
	if (channel->freeing)
		return -EINVAL;
	if (options == NULL)
		options = &none;
	if (channel->tls != NULL && !options->secure) /* [N-4] */
		return -EINVAL;
	mrpc_loop_refresh(channel->loop);
	return mrpc_subchannel_attach(the_only(channel), options, ret_conn);
}

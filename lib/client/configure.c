/* SPDX-License-Identifier: MIT */
/* Configure: which service config is in force in a channel, and what it says to a call.
 *
 *	the application's: .service_config, .service_config_json, minirpc_channel_set_service_config
 *	the resolver's:    with each of its results; goes first, when it has one and is listened to [L-8]
 *
 * A call looks its method up once, when it is opened: what it found there stays, whatever config comes
 * next; it has a reference of its own where it needs the config. */
#include "base/log.h"
#include "client/channel.h"
#include "client/config.h"
#include "client/policy_config.h"

#include <errno.h>
#include <stdio.h>

#define SENTENCE 256
#define CONNECTIONS_CAP 10u /* [B-5] */

static void complain(const minirpc_channel *channel, const char *whose, const char *sentence)
{
	mrpc_log(&channel->loop->log, MINIRPC_LOG_WARNING, "channel %s: %s refused: %s",
		 channel->authority, whose, sentence);
}

unsigned mrpc_channel_max_connections(const minirpc_channel *channel)
{
	unsigned cap = channel->connections_cap > 0 ? channel->connections_cap : CONNECTIONS_CAP;
	unsigned max = channel->config == NULL
			       ? 0
			       : mrpc_config_rest(channel->config)->max_connections_per_subchannel;

	if (max == 0)
		return 1;
	return max < cap ? max : cap;
}

/* Those that there are follow [B-5]. */
static void scale(minirpc_channel *channel)
{
	unsigned max = mrpc_channel_max_connections(channel);

	if (channel->subchannel.max_connections == max)
		return;
	channel->subchannel.max_connections = max;
	for (struct mrpc_list *node = channel->subchannels.next; node != &channel->subchannels;
	     node = node->next)
		mrpc_subchannel_scale(mrpc_container(node, struct mrpc_subchannel, node));
}

static void choose(minirpc_channel *channel)
{
	const struct minirpc_service_config *rest;

	channel->config =
		channel->resolved_config != NULL ? channel->resolved_config : channel->own_config;
	channel->is_configured = channel->config != NULL || channel->retry_safe.max_attempts > 0;
	rest = channel->config == NULL ? NULL : mrpc_config_rest(channel->config);
	mrpc_throttle_set(&channel->throttle, rest == NULL ? 0 : rest->max_tokens,
			  rest == NULL ? 0 : rest->token_ratio);
	scale(channel);
}

void mrpc_channel_check_health(minirpc_channel *channel)
{
	channel->subchannel.health_service =
		channel->config == NULL ? NULL : mrpc_config_rest(channel->config)->health_service;
	for (struct mrpc_list *node = channel->subchannels.next; node != &channel->subchannels;
	     node = node->next)
		mrpc_health_look(mrpc_container(node, struct mrpc_subchannel, node));
}

/* [L-3] The first policy that is known counts, and must like its config; a list of strangers is a mistake. */
static int check_policies(const struct mrpc_config *config, const char *name,
			  const struct minirpc_balancer_use *own, char *error, size_t error_size)
{
	const struct mrpc_config_policy *policies;
	const char *sentence = "no such policy is known";
	size_t count, at = 0;
	int r = -EINVAL;

	policies = mrpc_config_policies(config, &count);
	if (count == 0)
		return 0;
	while (at < count && mrpc_balancer_find(own, policies[at].name) == NULL)
		at++;
	if (at < count)
		r = mrpc_policy_config_check(policies[at].name, policies[at].config, &sentence);
	if (r == -EINVAL && error != NULL && error_size > 0)
		snprintf(error, error_size, "%s%s%.60s: %s", name, at < count ? "." : "",
			 at < count ? policies[at].name : "", sentence);
	return r;
}

static int read_json(struct mrpc_config **ret_config, const char *json, unsigned max_attempts,
		     const struct minirpc_balancer_use *own, char *error, size_t error_size)
{
	int r = mrpc_config_from_json(ret_config, json, max_attempts, error, error_size);

	if (r < 0)
		return r;
	r = check_policies(*ret_config, "loadBalancingConfig", own, error, error_size);
	if (r < 0) {
		mrpc_config_unref(*ret_config);
		*ret_config = NULL;
	}
	return r;
}

/* ---- The application's ---- */

static int read_own(minirpc_channel *channel, const struct minirpc_channel_options *options)
{
	char sentence[SENTENCE];
	int r = 0;

	if (options->service_config != NULL && options->service_config_json != NULL) {
		complain(channel, "service config",
			 "there is .service_config and .service_config_json");
		return -EINVAL;
	}
	if (options->service_config_json != NULL)
		r = read_json(&channel->own_config, options->service_config_json,
			      options->max_attempts, options->balancers, sentence, sizeof sentence);
	else if (options->service_config != NULL)
		r = mrpc_config_from_structs(&channel->own_config, options->service_config,
					     options->max_attempts, sentence, sizeof sentence);
	if (r == 0 && options->service_config != NULL)
		r = check_policies(channel->own_config, "load_balancing", options->balancers,
				   sentence, sizeof sentence);
	if (r == -EINVAL || r == -E2BIG)
		complain(channel, "service config", sentence);
	return r == -E2BIG ? -EINVAL : r;
}

static int read_retry_safe(minirpc_channel *channel, const struct minirpc_channel_options *options)
{
	char sentence[SENTENCE];
	int r;

	if (options->retry_safe == NULL)
		return 0;
	channel->retry_safe = *options->retry_safe;
	r = mrpc_config_check_retry(&channel->retry_safe, options->max_attempts, sentence,
				    sizeof sentence);
	if (r < 0)
		complain(channel, "retry_safe", sentence);
	else if (options->no_retry)
		channel->retry_safe = (struct minirpc_retry_policy){ 0 };
	return r;
}

int mrpc_channel_configure(minirpc_channel *channel, const struct minirpc_channel_options *options)
{
	int r;

	channel->no_resolver_config = options->no_resolver_config;
	channel->no_retry = options->no_retry;
	channel->max_attempts = options->max_attempts;
	channel->connections_cap = options->max_connections_per_subchannel;
	r = read_own(channel, options);
	if (r == 0)
		r = read_retry_safe(channel, options);
	choose(channel);
	return r;
}

void mrpc_channel_forget_config(minirpc_channel *channel)
{
	mrpc_config_unref(channel->own_config);
	mrpc_config_unref(channel->resolved_config);
	channel->own_config = channel->resolved_config = channel->config = NULL;
}

int minirpc_channel_set_service_config(minirpc_channel *channel, const char *json, char *error,
				       size_t error_size)
{
	struct mrpc_config *config = NULL, *before;
	int r = 0;

	if (error != NULL && error_size > 0)
		error[0] = '\0';
	if (json != NULL)
		r = read_json(&config, json, channel->max_attempts, channel->balancers, error,
			      error_size);
	if (r < 0)
		return r;
	before = channel->own_config;
	channel->own_config = config;
	choose(channel);
	r = mrpc_channel_choose_again(channel);
	if (r < 0) {
		channel->own_config = before;
		choose(channel);
	} else {
		mrpc_channel_check_health(channel);
	}
	mrpc_config_unref(r < 0 ? config : before);
	return r;
}

/* ---- The resolver's ---- */

int mrpc_channel_set_resolved_config(minirpc_channel *channel, const char *json)
{
	struct mrpc_config *config = NULL, *before;
	char sentence[SENTENCE];
	int r = 0;

	if (channel->no_resolver_config)
		return 0;
	if (json != NULL)
		r = read_json(&config, json, channel->max_attempts, channel->balancers, sentence,
			      sizeof sentence);
	if (r == -EINVAL || r == -E2BIG) {
		complain(channel, "resolver's service config", sentence);
		return channel->has_resolved_config ? -EINVAL : -ENODATA;
	}
	if (r < 0)
		return r;
	before = channel->resolved_config;
	channel->has_resolved_config = true;
	channel->resolved_config = config;
	choose(channel);
	mrpc_channel_check_health(channel);
	mrpc_config_unref(before);
	return 0;
}

/* ---- What it says to a call ---- */

static void lower_limits(minirpc_call *call, const struct minirpc_method_config *entry)
{
	if (entry->has_max_request && entry->max_request_bytes < call->max_send_message)
		call->max_send_message = entry->max_request_bytes;
	if (entry->has_max_response && entry->max_response_bytes < call->max_receive_message)
		call->max_receive_message = entry->max_response_bytes;
}

minirpc_time mrpc_channel_configure_call(minirpc_channel *channel, minirpc_call *call,
					 minirpc_time timeout)
{
	const struct minirpc_method_config *entry = NULL;

	if (channel->config != NULL)
		entry = mrpc_config_find(channel->config, call->path);
	if (entry != NULL) {
		lower_limits(call, entry); /* [L-8] */
		if (entry->wait_for_ready)
			call->wait_for_ready = true;
		if (entry->timeout > 0 && (timeout == 0 || entry->timeout < timeout)) /* [D-7] */
			timeout = entry->timeout;
		if (!channel->no_retry) {
			call->retry = entry->retry;
			call->hedging = entry->hedging;
			if (call->hedging != NULL)
				call->carried = true;
		}
	}
	if (call->retry != NULL || call->hedging != NULL)
		call->config = channel->config;
	else if (channel->retry_safe.max_attempts > 0 &&
		 (call->flags & (MINIRPC_IDEMPOTENT | MINIRPC_NO_SIDE_EFFECTS)) != 0)
		call->retry = &channel->retry_safe;
	return timeout;
}

/* SPDX-License-Identifier: MIT */
/* A registry of one's own instead of DNS: a resolver that pushes a list of servers whenever it changes. Type
 *
 *	resolver
 *
 * and see
 *
 *	registry: alpha serves
 *	answered by alpha
 *	registry: alpha and beta serve
 *	answered by alpha and beta
 *	registry: that is no address (refused)
 *	answered by alpha and beta
 *	registry: beta serves
 *	answered by beta
 *	registry: nobody serves
 *	answered by nobody: UNAVAILABLE
 */
#include "demo.minirpc.h"

#include <minirpc/balancer.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- The registry, and the resolver that makes channels see it ---- */

struct registry {
	char addresses[2][32];
	size_t count;
	minirpc_resolving *to; /* the channel that listens; NULL: none */
};

static int publish(struct registry *registry)
{
	const char *const first[] = { registry->addresses[0], NULL };
	const char *const second[] = { registry->addresses[1], NULL };
	const struct minirpc_endpoint endpoints[] = { { .addresses = first },
						      { .addresses = second } };

	if (registry->to == NULL)
		return 0;
	return minirpc_resolving_push(
		registry->to, &(struct minirpc_resolver_result){ .endpoints = endpoints,
								 .endpoint_count = registry->count,
								 .note = "says the registry" });
}

static void publish_later(void *user)
{
	publish(user);
}

/* The channel has left IDLE, and listens from now on. What is known is not pushed from in here. */
static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	struct registry *registry = user;

	if (strcmp(target, "///cache") != 0)
		return -ENOENT; /* is told to its calls, and tried again */
	registry->to = to;
	*ret_self = registry;
	return minirpc_loop_post(minirpc_resolving_loop(to), publish_later, registry);
}

static void stop(void *self)
{
	struct registry *registry = self;

	registry->to = NULL;
}

static const struct minirpc_resolver resolver = { "registry", start, NULL, stop };

/* ---- Servers, which answer by their name ---- */

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	(void)req;
	demo_kinds_echo_reply(call, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = user });
}

static int serve(minirpc_server **ret_server, minirpc_loop *loop, char *name, char address[32])
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	uint16_t port = 0;
	int r;

	r = minirpc_server_new(ret_server, loop, NULL);
	if (r == 0)
		r = demo_kinds_serve(*ret_server, &handlers, name);
	if (r == 0)
		r = minirpc_server_listen(*ret_server, "127.0.0.1:0",
					  &(struct minirpc_listen_options){ .ret_port = &port });
	snprintf(address, 32, "127.0.0.1:%u", port);
	return r;
}

/* ---- Calls ---- */

/* Returns the first letter of who answered; 0: nobody, and the code is in *ret_code. */
static char ask(minirpc_channel *channel, enum minirpc_code *ret_code)
{
	static char question[] = "who are you?";
	const Demo__Text req = { DEMO__TEXT__FIELDS, .text = question };
	struct minirpc_status status = { .code = MINIRPC_UNKNOWN };
	Demo__Text *resp = NULL;
	char letter = 0;

	demo_kinds_echo_wait(channel, &req,
			     &(struct minirpc_call_options){ .timeout = MINIRPC_S(5) }, &resp,
			     &status);
	if (resp != NULL) {
		letter = resp->text[0];
		demo__text__free_unpacked(resp, NULL);
	}
	*ret_code = status.code;
	minirpc_status_clear(&status);
	return letter;
}

/* Calls until the answers are those that the list makes one expect: a list that was pushed is taken when its
 * servers are connected. */
static int expect(minirpc_channel *channel, bool alpha, bool beta)
{
	for (int tries = 0; tries < 1000; tries++) {
		bool a = false, b = false, none = false;
		enum minirpc_code code = MINIRPC_OK;

		for (int i = 0; i < 4; i++) {
			char letter = ask(channel, &code);

			a = a || letter == 'a';
			b = b || letter == 'b';
			none = none || letter == 0;
		}
		if (a != alpha || b != beta || none != (!alpha && !beta))
			continue;
		if (none)
			printf("answered by nobody: %s\n", minirpc_code_name(code));
		else
			printf("answered by %s%s%s\n", a ? "alpha" : "", a && b ? " and " : "",
			       b ? "beta" : "");
		return 0;
	}
	fprintf(stderr, "resolver: the list does not count\n");
	return 1;
}

static int play(minirpc_channel *channel, struct registry *registry, char addresses[2][32])
{
	int r;

	puts("registry: alpha serves");
	memcpy(registry->addresses, addresses, sizeof registry->addresses);
	registry->count = 1;
	r = expect(channel, true, false); /* the first call starts the resolver, which publishes */

	puts("registry: alpha and beta serve");
	registry->count = 2;
	if (r != 0 || publish(registry) != 0 || expect(channel, true, true) != 0)
		return 1;

	snprintf(registry->addresses[1], 32, "beta.example.org:80");
	printf("registry: that is no address (%s)\n",
	       publish(registry) == -EINVAL ? "refused" : "taken");
	if (expect(channel, true, true) != 0)
		return 1;

	puts("registry: beta serves");
	memcpy(registry->addresses[0], addresses[1], 32);
	registry->count = 1;
	if (publish(registry) != 0 || expect(channel, false, true) != 0)
		return 1;

	puts("registry: nobody serves");
	registry->count = 0;
	return publish(registry) != 0 || expect(channel, false, false) != 0;
}

int main(void)
{
	static char alpha[] = "alpha", beta[] = "beta";
	minirpc_server *servers[2] = { NULL, NULL };
	minirpc_channel *channel = NULL;
	struct registry registry = { .count = 0 };
	char addresses[2][32];
	minirpc_loop *loop = NULL;
	int r = 1;

	if (minirpc_loop_new(&loop, NULL) == 0 &&
	    serve(&servers[0], loop, alpha, addresses[0]) == 0 &&
	    serve(&servers[1], loop, beta, addresses[1]) == 0 &&
	    minirpc_channel_new(&channel, loop, "registry:///cache",
				&(struct minirpc_channel_options){
					.load_balancing = "round_robin",
					.resolvers =
						(const struct minirpc_resolver_use[]){
							{ &resolver, &registry }, { NULL, NULL } },
				}) == 0)
		r = play(channel, &registry, addresses);
	minirpc_channel_free(channel);
	minirpc_server_free(servers[0]);
	minirpc_server_free(servers[1]);
	minirpc_loop_free(loop);
	return r;
}

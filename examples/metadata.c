/* SPDX-License-Identifier: MIT */
/* What travels beside the messages, in both directions. Type
 *
 *	metadata
 *
 *	server: dry-run: true
 *	server: tag: a
 *	server: tag: b
 *	server: trace-bin: 00 ff
 *	client: cached: yes                     (initial: before the first response)
 *	client: took-bin: 07 00                 (trailing: with the status)
 *
 * A key that ends in "-bin" carries any bytes, any other printable ASCII. Keys may repeat. */
#include "demo.minirpc.h"

#include <stdio.h>
#include <string.h>

struct both {
	minirpc_call *call; /* the client's */
	enum minirpc_code code;
	bool done;
};

static void show(const char *who, const struct minirpc_metadata *metadata, const char *key)
{
	const struct minirpc_field *field = NULL;
	const size_t key_len = strlen(key);

	while ((field = minirpc_metadata_find(metadata, key, field)) != NULL) {
		const unsigned char *bytes = field->value;
		bool is_binary = key_len > 4 && strcmp(key + key_len - 4, "-bin") == 0;

		printf("%s: %s:", who, key);
		if (!is_binary)
			printf(" %s", (const char *)field->value);
		for (size_t i = 0; is_binary && i < field->len; i++)
			printf(" %02x", bytes[i]);
		printf("\n");
	}
}

/* ---- Server ---- */

static void on_echo(demo_kinds_echo_callee *callee, const Demo__Text *req, void *user)
{
	static const struct minirpc_field initial[] = { { "cached", "yes" }, { 0 } };
	static const struct minirpc_field trailing[] = { { "took-bin", "\x07\x00", 2 }, { 0 } };
	minirpc_call *call = demo_kinds_echo_call(callee);
	const struct minirpc_metadata *headers = minirpc_call_headers(call);

	(void)user;
	show("server", headers, "dry-run");
	show("server", headers, "tag");
	show("server", headers, "trace-bin");
	if (minirpc_call_send_headers(call, initial) < 0 ||
	    minirpc_call_set_trailers(call, trailing) < 0)
		demo_kinds_echo_fail(callee, MINIRPC_RESOURCE_EXHAUSTED, "no metadata");
	else
		demo_kinds_echo_reply(callee, req);
}

/* ---- Client ---- */

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	struct both *both = user;

	(void)resp;
	show("client", minirpc_call_headers(both->call), "cached");
	show("client", minirpc_call_trailers(both->call), "took-bin");
	both->code = status->code;
	both->done = true;
}

static int call(minirpc_channel *channel, struct both *both)
{
	const struct minirpc_call_options options = {
		.timeout = MINIRPC_S(5),
		.ret_call = &both->call,
		.metadata = (const struct minirpc_field[]){ { "dry-run", "true" },
							    { "tag", "a" },
							    { "tag", "b" },
							    { "trace-bin", "\x00\xff", 2 },
							    { 0 } },
	};
	int r = demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = (char *)"hi" },
				&options, on_done, both);

	return r < 0 ? r : minirpc_loop_run_until(minirpc_channel_loop(channel), &both->done);
}

int main(void)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	struct both both = { .code = MINIRPC_UNKNOWN };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	char target[32];
	uint16_t port;

	if (minirpc_loop_new(&loop, NULL) == 0 && minirpc_server_new(&server, loop, NULL) == 0 &&
	    demo_kinds_serve(server, &handlers, NULL) == 0 &&
	    minirpc_server_listen(server, "localhost:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) == 0) {
		snprintf(target, sizeof target, "localhost:%u", port);
		if (minirpc_channel_new(&channel, loop, target, NULL) == 0)
			call(channel, &both);
	}
	if (both.code != MINIRPC_OK)
		fprintf(stderr, "metadata: %s\n", minirpc_code_name(both.code));
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return both.code != MINIRPC_OK;
}

/* SPDX-License-Identifier: MIT */
/* Messages that travel compressed, and one that must not. Type
 *
 *	compress
 *
 *	plain: 196 KiB on the wire
 *	gzip: 1 KiB on the wire
 *	gzip, but the answer is a secret: 98 KiB on the wire
 *
 * Each call sends 100,000 letters, and gets them back. */
#include "demo.minirpc.h"

#include <stdio.h>
#include <string.h>

#define LETTERS 100000

/* ---- Server ---- */

static void on_echo(demo_kinds_echo_callee *callee, const Demo__Text *req, void *user)
{
	minirpc_call *call = demo_kinds_echo_call(callee);

	(void)user;
	/* In kind: compressed if the request was. It fails when the client would not understand. */
	minirpc_call_set_compression(call, minirpc_call_peer_compression(call));
	if (strncmp(req->text, "secret", 6) == 0)
		minirpc_call_compress(call, false); /* its size would tell what is in it */
	demo_kinds_echo_reply(callee, req);
}

/* ---- Client ---- */

static uint64_t bytes_of(const minirpc_channel *channel)
{
	struct minirpc_conn_counts counts;

	minirpc_channel_counts(channel, &counts);
	return counts.bytes_sent + counts.bytes_received;
}

static int ask(minirpc_channel *channel, const char *what, const char *begin, const char *name)
{
	static char text[LETTERS + 1];
	const Demo__Text req = { DEMO__TEXT__FIELDS, .text = text };
	struct minirpc_call_options options = { .timeout = MINIRPC_S(5), .compression = name };
	struct minirpc_status status = { .code = MINIRPC_UNKNOWN };
	uint64_t before = bytes_of(channel);
	Demo__Text *resp = NULL;
	int r;

	memset(text, 'a', LETTERS);
	memcpy(text, begin, strlen(begin));
	r = demo_kinds_echo_wait(channel, &req, &options, &resp, &status);
	if (resp != NULL && strcmp(resp->text, text) == 0)
		printf("%s: %d KiB on the wire\n", what,
		       (int)((bytes_of(channel) - before + 1023) / 1024));
	else
		fprintf(stderr, "compress: %s\n",
			r < 0 ? strerror(-r) : minirpc_code_name(status.code));
	r = resp == NULL ? 1 : 0;
	if (resp != NULL)
		demo__text__free_unpacked(resp, NULL);
	minirpc_status_clear(&status);
	return r;
}

int main(void)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	char target[32];
	uint16_t port;
	int r = 1;

	if (minirpc_loop_new(&loop, NULL) == 0 && minirpc_server_new(&server, loop, NULL) == 0 &&
	    demo_kinds_serve(server, &handlers, NULL) == 0 &&
	    minirpc_server_listen(server, "localhost:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) == 0) {
		snprintf(target, sizeof target, "localhost:%u", port);
		if (minirpc_channel_new(&channel, loop, target, NULL) == 0)
			r = ask(channel, "plain", "", NULL) | ask(channel, "gzip", "", "gzip") |
			    ask(channel, "gzip, but the answer is a secret", "secret", "gzip");
	}
	minirpc_channel_free(channel);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return r;
}

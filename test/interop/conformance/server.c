/* SPDX-License-Identifier: MIT */
/* The server under test of connectconformance (protocol.md, 2.3).
 *
 *	conformance_server [--verdict FILE]
 *
 * The runner's stdin says what kind of server it wants, stdout tells where it listens, SIGTERM ends
 * it, with a look back at the suite (aftermath.h). What it answers is in script.c. */
#include "aftermath.h"
#include "script.h"
#include "talk.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server {
	struct ev_loop *ev;
	minirpc_loop *loop;
	minirpc_server *server;
};

static void on_term(struct ev_loop *ev, ev_signal *watcher, int events)
{
	(void)events;
	ev_signal_stop(ev, watcher);
	aftermath_begin(watcher->data);
}

/* ---- The beginning ---- */

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "conformance_server: %s\n", line);
}

static char *pem_text(const ProtobufCBinaryData *data)
{
	char *text = must_alloc(data->len + 1, 1);

	if (data->len > 0)
		memcpy(text, data->data, data->len);
	return text;
}

static minirpc_tls *make_tls(const MSG(ServerCompatRequest) * wish)
{
	struct minirpc_tls_options options = { 0 };
	char *cert = pem_text(&wish->server_creds->cert), *key = pem_text(&wish->server_creds->key);
	char *ca = pem_text(&wish->client_tls_cert), error[256] = "out of memory";
	minirpc_tls *tls = NULL;

	options.cert_pem = cert;
	options.key_pem = key;
	if (ca[0] != '\0')
		options.ca_pem = ca;
	if (minirpc_tls_new_explained(&tls, &options, error, sizeof error) < 0)
		die("conformance_server: %s", error);
	free(cert);
	free(key);
	free(ca);
	return tls;
}

static MSG(ServerCompatRequest) * read_wish(void)
{
	ProtobufCMessage *message = NULL;
	struct talk talk = { 0 };

	while (message == NULL) {
		if (talk_fill(&talk, STDIN_FILENO) <= 0)
			die("conformance_server: the runner says nothing");
		message = talk_take(
			&talk, &connectrpc__conformance__v1__server_compat_request__descriptor);
	}
	free(talk.data);
	return (MSG(ServerCompatRequest) *)message;
}

static void start(struct server *server)
{
	MSG(ServerCompatRequest) *wish = read_wish();
	MSG(ServerCompatResponse)
	where = { FIELDS(SERVER_COMPAT_RESPONSE), .host = (char *)"127.0.0.1" };
	struct minirpc_server_options options = { .max_receive_message =
							  wish->message_receive_limit };
	const struct minirpc_compressor *compressors[COMPRESSORS];
	char error[256] = "out of memory";
	uint16_t port = 0;

	compressors_fill(compressors);
	options.compressors = compressors;
	if (wish->use_tls) {
		if (wish->server_creds == NULL)
			die("conformance_server: TLS without a certificate");
		options.tls = make_tls(wish);
		where.pem_cert = wish->server_creds->cert;
	}
	if (minirpc_loop_new(&server->loop, &(struct minirpc_loop_options){ .ev = server->ev,
									    .log = on_log }) < 0 ||
	    minirpc_server_new(&server->server, server->loop, &options) < 0 ||
	    script_serve(server->server) < 0 ||
	    minirpc_server_listen(
		    server->server, "127.0.0.1:0",
		    &(struct minirpc_listen_options){
			    .ret_port = &port, .error = error, .error_size = sizeof error }) < 0)
		die("conformance_server: %s", error);
	minirpc_tls_unref(options.tls);
	where.port = port;
	talk_say(STDOUT_FILENO, &where.base);
	connectrpc__conformance__v1__server_compat_request__free_unpacked(wish, NULL);
}

int main(int argc, char **argv)
{
	struct server server = { .ev = ev_default_loop(EVFLAG_AUTO) };
	bool has_verdict = argc == 3 && strcmp(argv[1], "--verdict") == 0, is_good;
	struct aftermath *aftermath;
	ev_signal term;

	if (argc != 1 && !has_verdict)
		die("usage: conformance_server [--verdict FILE]");
	if (server.ev == NULL)
		die("conformance_server: no loop");
	start(&server);
	aftermath = aftermath_new(server.server, &RPC(service).methods[0].method,
				  has_verdict ? argv[2] : NULL);
	if (aftermath == NULL)
		die("out of memory");
	ev_signal_init(&term, on_term, SIGTERM);
	term.data = aftermath;
	ev_signal_start(server.ev, &term);
	minirpc_loop_run(server.loop);

	is_good = aftermath_free(aftermath);
	minirpc_server_free(server.server);
	minirpc_loop_free(server.loop);
	ev_loop_destroy(server.ev);
	return is_good ? 0 : 1;
}

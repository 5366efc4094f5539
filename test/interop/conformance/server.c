/* SPDX-License-Identifier: MIT */
/* The server under test of connectconformance (protocol.md, 2.3).
 *
 *	conformance_server [--verdict FILE]
 *
 * The runner's stdin says what kind of server it wants, stdout tells where it listens, SIGTERM ends
 * it. Before it ends it calls itself once, as an ordinary client would, and looks whether a call of
 * the suite has been left open; FILE gets one line about that, "good" or what is wrong.
 *
 * Every call is an `answer`: the requests noted so far, and the script that the first of them holds.
 * Unary, client stream and half duplex play the script when the last request is there, a full duplex
 * stream plays one line of it for each request.
 *
 *	request --> note --> [requests] --play--> response* --> end
 */
#include "script.h"
#include "selfcall.h"
#include "talk.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRACE MINIRPC_S(2) /* the runner kills after five seconds */

struct server {
	struct ev_loop *ev;
	minirpc_loop *loop;
	minirpc_server *server;
	const char *verdict;
	minirpc_time give_up;
	struct selfcall *selfcall;
	int code;
};

/* ---- The end, with a look back ---- */

static void on_drained(minirpc_server *server, void *user)
{
	(void)user;
	minirpc_loop_stop(minirpc_server_loop(server));
}

static void conclude(struct server *server, const char *line)
{
	FILE *file = server->verdict != NULL ? fopen(server->verdict, "a") : NULL;

	if (file != NULL) {
		fprintf(file, "%s\n", line);
		fclose(file);
	}
	fprintf(stderr, "conformance_server: %s\n", line);
	server->code = strcmp(line, "good") != 0;
	minirpc_server_drain(server->server, MINIRPC_MS(500), on_drained, NULL);
}

static void on_answered(const char *wrong, void *user)
{
	struct server *server = user;
	char line[200] = "good";

	if (wrong != NULL)
		snprintf(line, sizeof line, "an ordinary call failed: %s", wrong);
	else if (minirpc_server_open_calls(server->server) > 0)
		snprintf(line, sizeof line, "%zu calls are open after the last",
			 minirpc_server_open_calls(server->server));
	conclude(server, line);
}

/* What the runner has cancelled just now may still be on its way out: some patience. */
static void look(void *user)
{
	struct server *server = user;

	if (minirpc_server_open_calls(server->server) > 0 &&
	    minirpc_loop_now(server->loop) < server->give_up) {
		if (minirpc_timer_start(NULL, server->loop, MINIRPC_MS(10), look, server) < 0)
			die("out of memory");
		return;
	}
	server->selfcall = selfcall_start(server->server, on_answered, server);
}

static void on_term(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct server *server = watcher->data;

	(void)events;
	ev_signal_stop(ev, watcher);
	server->give_up = minirpc_loop_now(server->loop) + GRACE;
	look(server);
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
	char error[256] = "out of memory";
	uint16_t port = 0;

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
	ev_signal term;

	if (argc == 3 && strcmp(argv[1], "--verdict") == 0)
		server.verdict = argv[2];
	else if (argc != 1)
		die("usage: conformance_server [--verdict FILE]");
	if (server.ev == NULL)
		die("conformance_server: no loop");
	start(&server);
	ev_signal_init(&term, on_term, SIGTERM);
	term.data = &server;
	ev_signal_start(server.ev, &term);
	minirpc_loop_run(server.loop);

	selfcall_free(server.selfcall);
	minirpc_server_free(server.server);
	minirpc_loop_free(server.loop);
	ev_loop_destroy(server.ev);
	return server.code;
}

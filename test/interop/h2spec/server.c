/* SPDX-License-Identifier: MIT */
/* A greeter for h2spec to look at: examples/hello_server.c with TLS, an end, and a look back at it.
 *
 *	h2spec_server [--tls CERT KEY] [--verdict FILE]        listening on 127.0.0.1:PORT
 */
#include "hello.minirpc.h"

#include "aftermath.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

static void on_say_hello(hello_greeter_say_hello_callee *call, const Hello__HelloRequest *req,
			 void *user)
{
	char text[256];

	(void)user;
	snprintf(text, sizeof text, "Hello %.200s", req->name);
	hello_greeter_say_hello_reply(
		call, &(Hello__HelloReply){ HELLO__HELLO_REPLY__FIELDS, .message = text });
}

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "h2spec_server: %s\n", line);
}

static void on_term(struct ev_loop *ev, ev_signal *watcher, int events)
{
	(void)events;
	ev_signal_stop(ev, watcher);
	aftermath_begin(watcher->data);
}

int main(int argc, char **argv)
{
	static const struct hello_greeter_handlers handlers = { .say_hello = on_say_hello };
	struct ev_loop *ev = ev_default_loop(EVFLAG_AUTO);
	struct minirpc_server_options options = { 0 };
	char error[256] = "out of memory";
	struct aftermath *aftermath = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	const char *verdict = NULL;
	uint16_t port = 0;
	bool is_good = false;
	ev_signal term;
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++) {
		if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
			r = minirpc_tls_new_explained(
				&options.tls,
				&(struct minirpc_tls_options){ .cert_file = argv[i + 1],
							       .key_file = argv[i + 2] },
				error, sizeof error);
			i += 2;
		} else if (strcmp(argv[i], "--verdict") == 0 && i + 1 < argc) {
			verdict = argv[++i];
		} else {
			fprintf(stderr, "usage: h2spec_server [--tls CERT KEY] [--verdict FILE]\n");
			return 2;
		}
	}
	if (r == 0)
		r = minirpc_loop_new(&loop,
				     &(struct minirpc_loop_options){ .ev = ev, .log = on_log });
	if (r == 0)
		r = minirpc_server_new(&server, loop, &options);
	minirpc_tls_unref(options.tls);
	if (r == 0)
		r = hello_greeter_serve(server, &handlers, NULL);
	if (r == 0)
		aftermath =
			aftermath_new(server, &hello_greeter_service.methods[0].method, verdict);
	if (r == 0 && aftermath != NULL)
		r = minirpc_server_listen(
			server, "127.0.0.1:0",
			&(struct minirpc_listen_options){
				.ret_port = &port, .error = error, .error_size = sizeof error });
	if (r == 0 && aftermath != NULL) {
		ev_signal_init(&term, on_term, SIGTERM);
		term.data = aftermath;
		ev_signal_start(ev, &term);
		printf("listening on 127.0.0.1:%u\n", port);
		fflush(stdout);
		minirpc_loop_run(loop);
	} else {
		fprintf(stderr, "h2spec_server: %s\n", error);
	}
	if (aftermath != NULL)
		is_good = aftermath_free(aftermath);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	ev_loop_destroy(ev);
	return is_good ? 0 : 1;
}

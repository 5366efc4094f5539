/* SPDX-License-Identifier: MIT */
/* The server of gRPC's interop suite. Type
 *
 *	interop_server --port=10000                        listening on localhost:10000
 *	interop_server --port=0 --use_tls --tls_cert_file=server.pem --tls_key_file=server.key
 *
 * Port 0 picks a free one. SIGTERM ends it: calls in flight may still end within a second, and the
 * last line says how many there were, and what is left of them. */
#include "options.h"
#include "service.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void on_drained(minirpc_server *server, void *user)
{
	(void)user;
	minirpc_loop_stop(minirpc_server_loop(server));
}

static void count_and_drain(void *user)
{
	minirpc_server *server = user;
	struct minirpc_conn_counts counts;

	minirpc_server_counts(server, &counts);
	printf("%llu calls; open: %zu calls, %zu connections; forgotten: %llu calls\n",
	       (unsigned long long)counts.calls_started, minirpc_server_open_calls(server),
	       minirpc_server_open_connections(server), (unsigned long long)counts.forgotten_calls);
	fflush(stdout);
	minirpc_server_drain(server, MINIRPC_S(1), on_drained, NULL);
}

/* What clients did just before is still to be read. */
static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
	(void)events;
	ev_signal_stop(ev, watcher);
	if (minirpc_timer_start(NULL, minirpc_server_loop(watcher->data), MINIRPC_MS(200),
				count_and_drain, watcher->data) < 0)
		count_and_drain(watcher->data);
}

static void log_line(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "interop_server: %s\n", line);
}

struct flags {
	long port;
	bool use_tls;
	const char *host, *cert, *key, *ca;
};

static int serve(minirpc_server **ret_server, minirpc_loop *loop, struct service *service,
		 const struct flags *flags, uint16_t *ret_port, char error[256])
{
	minirpc_tls *tls = NULL;
	char address[300];
	int r = 0;

	snprintf(error, 256, "out of memory");
	if (flags->use_tls)
		r = minirpc_tls_new_explained(
			&tls,
			&(struct minirpc_tls_options){ .cert_file = flags->cert,
						       .key_file = flags->key,
						       .ca_file = flags->ca },
			error, 256);
	if (r == 0)
		r = minirpc_server_new(ret_server, loop,
				       &(struct minirpc_server_options){
					       .tls = tls, .max_receive_message = 64 << 20 });
	minirpc_tls_unref(tls);
	if (r == 0)
		r = service_serve(service, *ret_server);
	if (r < 0)
		return r;
	snprintf(address, sizeof address, "%s:%ld", flags->host, flags->port);
	return minirpc_server_listen(*ret_server, address,
				     &(struct minirpc_listen_options){ .ret_port = ret_port,
								       .error = error,
								       .error_size = 256 });
}

int main(int argc, char **argv)
{
	struct flags flags = { .port = 10000, .host = "localhost" };
	const struct option_of table[] = {
		{ "port", .number = &flags.port },
		{ "host", .text = &flags.host },
		{ "use_tls", .flag = &flags.use_tls },
		{ "tls_cert_file", .text = &flags.cert },
		{ "tls_key_file", .text = &flags.key },
		{ "ca_file", .text = &flags.ca }, /* mutual */
		{ 0 },
	};
	struct ev_loop *ev = ev_default_loop(EVFLAG_AUTO);
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	struct service *service;
	ev_signal term, interrupt;
	char id[32], error[256] = "out of memory";
	uint16_t port;

	if (!options_read(table, argc, argv))
		return 2;
	snprintf(id, sizeof id, "minirpc-%ld", (long)getpid());
	service = service_new(id);
	if (service == NULL || ev == NULL ||
	    minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .ev = ev, .log = log_line }) <
		    0 ||
	    serve(&server, loop, service, &flags, &port, error) < 0) {
		fprintf(stderr, "interop_server: %s\n", error);
		return 1;
	}
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&interrupt, on_signal, SIGINT);
	term.data = interrupt.data = server;
	ev_signal_start(ev, &term);
	ev_signal_start(ev, &interrupt);

	printf("listening on %s:%u\n", flags.host, port);
	fflush(stdout);
	minirpc_loop_run(loop);

	ev_signal_stop(ev, &term);
	ev_signal_stop(ev, &interrupt);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	service_free(service);
	ev_loop_destroy(ev);
	return 0;
}

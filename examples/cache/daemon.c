/* SPDX-License-Identifier: MIT */
/* A server program around a libev loop of its own: the library adds its watchers to it, signals are
 * ours. */
#include "daemon.h"

#include <ev.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRAIN_TIME MINIRPC_S(10)

_Noreturn void daemon_usage(const char *name, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry --help.\n");
	exit(2);
}

static _Noreturn void fail(const struct daemon *daemon, const char *what, const char *why)
{
	fprintf(stderr, "%s: %s: %s\n", daemon->name, what, why);
	exit(1);
}

void daemon_option(struct daemon *daemon, int option, const char *usage)
{
	switch (option) {
	case DAEMON_LISTEN:
		if (daemon->listen_count == DAEMON_LISTEN_MAX)
			daemon_usage(daemon->name, "at most %d --listen", DAEMON_LISTEN_MAX);
		daemon->listen[daemon->listen_count++] = optarg;
		break;
	case DAEMON_TLS_CERT:
		daemon->tls_options.cert_file = optarg;
		break;
	case DAEMON_TLS_KEY:
		daemon->tls_options.key_file = optarg;
		break;
	case DAEMON_TLS_CA:
		daemon->tls_options.ca_file = optarg;
		break;
	case DAEMON_LOG_CALLS:
		daemon->log_calls = true;
		break;
	case DAEMON_MAX_STREAMS:
		daemon->max_streams =
			(uint32_t)daemon_number(daemon->name, "--max-streams", optarg, 1u << 20);
		break;
	case DAEMON_MAX_CALLS:
		daemon->max_calls = daemon_number(daemon->name, "--max-calls", optarg, 1u << 30);
		break;
	case DAEMON_MAX_CALL_MEMORY:
		daemon->max_call_memory = daemon_bytes(daemon->name, "--max-call-memory", optarg);
		break;
	case DAEMON_MAX_RATE:
		daemon->guards.max_rate =
			(unsigned)daemon_number(daemon->name, "--max-rate", optarg, 1u << 30);
		break;
	case DAEMON_FLAKY:
		daemon->guards.flaky =
			(unsigned)daemon_number(daemon->name, "--flaky", optarg, 1u << 30);
		break;
	case DAEMON_HELP:
		fputs(usage, stdout);
		exit(0);
	case DAEMON_VERSION:
		printf("%s %s\n", daemon->name, minirpc_version());
		exit(0);
	default:
		fputs("Try --help.\n", stderr); /* getopt has said what is wrong */
		exit(2);
	}
}

size_t daemon_number(const char *name, const char *option, const char *text, size_t max)
{
	char *end;
	unsigned long long n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n == 0 || n > max)
		daemon_usage(name, "%s takes a number from 1 to %zu, not '%s'", option, max, text);
	return (size_t)n;
}

size_t daemon_bytes(const char *name, const char *option, const char *text)
{
	char *end;
	unsigned long long n;
	unsigned shift = 0;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end == 'K' || *end == 'M' || *end == 'G')
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
	if (shift != 0)
		end++;
	if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || n == 0 ||
	    n > SIZE_MAX >> shift)
		daemon_usage(name, "%s takes a number of bytes, as 1000, 64K, 256M or 2G, not '%s'",
			     option, text);
	return (size_t)n << shift;
}

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	const struct daemon *daemon = user;

	(void)level;
	fprintf(stderr, "%s: %s\n", daemon->name, line);
}

static int make_server(struct daemon *daemon)
{
	struct guards *guards = &daemon->guards;
	struct minirpc_use uses[3] = { 0 };
	int count = 0, r;

	if (daemon->log_calls) {
		r = minirpc_call_log_new(
			&daemon->call_log,
			&(struct minirpc_call_log_options){ .log = on_log, .log_user = daemon });
		if (r < 0)
			return r;
		uses[count++] = minirpc_call_log_use(daemon->call_log);
	}
	guards->loop = daemon->loop;
	guards->filled = minirpc_loop_now(daemon->loop);
	guards->tokens = guards->max_rate;
	if (guards->flaky > 0)
		uses[count++] = (struct minirpc_use){ &guards_flaky, guards };
	return minirpc_server_new(&daemon->server, daemon->loop,
				  &(struct minirpc_server_options){
					  .tls = daemon->tls,
					  .max_receive_message = daemon->max_receive_message,
					  .compression = daemon->compression,
					  .limits.max_streams = daemon->max_streams,
					  .interceptors = uses,
					  .admit = guards->max_rate > 0 ? guards_admit : NULL,
					  .admit_user = guards,
					  .max_calls = daemon->max_calls,
					  .max_memory = daemon->max_call_memory,
				  });
}

void daemon_open(struct daemon *daemon, const char *default_listen)
{
	const struct minirpc_tls_options *tls = &daemon->tls_options;
	char error[256];
	int r;

	if (daemon->listen_count == 0)
		daemon->listen[daemon->listen_count++] = default_listen;
	if ((tls->cert_file == NULL) != (tls->key_file == NULL))
		daemon_usage(daemon->name, "--tls-cert and --tls-key go together");
	if (tls->ca_file != NULL && tls->cert_file == NULL)
		daemon_usage(daemon->name, "--tls-ca needs --tls-cert and --tls-key");
	if (tls->cert_file != NULL &&
	    minirpc_tls_new_explained(&daemon->tls, tls, error, sizeof error) < 0)
		fail(daemon, "TLS", error);

	daemon->ev = ev_loop_new(EVFLAG_AUTO);
	if (daemon->ev == NULL)
		fail(daemon, "event loop", "cannot be made");
	r = minirpc_loop_new(&daemon->loop, &(struct minirpc_loop_options){
						    .ev = daemon->ev,
						    .log = on_log,
						    .log_user = daemon,
						    .log_level = MINIRPC_LOG_WARNING,
					    });
	if (r == 0)
		r = make_server(daemon);
	if (r < 0)
		fail(daemon, "server", strerror(-r));
}

/* The port of "host:port" is what was bound; the rest is as it was given. */
static void announce(const char *address, uint16_t port)
{
	const char *colon = strrchr(address, ':');

	if (strncmp(address, "unix:", 5) == 0)
		printf("listening on %s\n", address);
	else
		printf("listening on %.*s:%u\n", (int)(colon - address), address, (unsigned)port);
	fflush(stdout);
}

static int listen_all(struct daemon *daemon)
{
	for (int i = 0; i < daemon->listen_count; i++) {
		char error[256] = "";
		uint16_t port = 0;
		int r = minirpc_server_listen(daemon->server, daemon->listen[i],
					      &(struct minirpc_listen_options){
						      .ret_port = &port,
						      .error = error,
						      .error_size = sizeof error,
					      });

		if (r < 0) {
			fprintf(stderr, "%s: cannot listen on %s: %s\n", daemon->name,
				daemon->listen[i], error[0] != '\0' ? error : strerror(-r));
			return r;
		}
		announce(daemon->listen[i], port);
	}
	return 0;
}

static void on_drained(minirpc_server *server, void *user)
{
	struct daemon *daemon = user;

	(void)server;
	minirpc_loop_stop(daemon->loop);
}

static void on_signal(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct daemon *daemon = watcher->data;

	(void)ev;
	(void)events;
	if (daemon->draining) {
		minirpc_server_stop(daemon->server);
		minirpc_loop_stop(daemon->loop);
		return;
	}
	daemon->draining = true;
	minirpc_server_drain(daemon->server, DRAIN_TIME, on_drained, daemon);
}

int daemon_run(struct daemon *daemon)
{
	ev_signal term, interrupt;
	int r;

	signal(SIGPIPE, SIG_IGN); /* our own stdout; the library never raises it */
	if (listen_all(daemon) < 0)
		return 1;

	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&interrupt, on_signal, SIGINT);
	term.data = interrupt.data = daemon;
	ev_signal_start(daemon->ev, &term);
	ev_signal_start(daemon->ev, &interrupt);
	r = minirpc_loop_run(daemon->loop);
	ev_signal_stop(daemon->ev, &term);
	ev_signal_stop(daemon->ev, &interrupt);
	return r < 0 ? 1 : 0;
}

void daemon_close_server(struct daemon *daemon)
{
	daemon->server = minirpc_server_free(daemon->server);
	daemon->call_log = minirpc_call_log_free(daemon->call_log);
	daemon->tls = minirpc_tls_unref(daemon->tls);
}

void daemon_close_loop(struct daemon *daemon)
{
	daemon->loop = minirpc_loop_free(daemon->loop);
	ev_loop_destroy(daemon->ev);
}

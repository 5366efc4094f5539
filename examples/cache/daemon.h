/* SPDX-License-Identifier: MIT */
/* What cached and accountsd share: flags for TLS and addresses, the loop, signals, and a clean end.
 */
#ifndef CACHE_DAEMON_H
#define CACHE_DAEMON_H

#include "guards.h"

#include <minirpc/minirpc.h>

#include <getopt.h>

#define DAEMON_LISTEN_MAX 8

struct daemon {
	const char *name;
	const char *listen[DAEMON_LISTEN_MAX];
	int listen_count;
	struct minirpc_tls_options tls_options;
	size_t max_receive_message; /* 0: the library's 4 MiB */
	const char *compression;    /* of answers, for clients that accept it; NULL: none */
	bool log_calls;
	minirpc_call_log *call_log;
	uint32_t max_streams;              /* of one connection; 0: the library's 100 */
	size_t max_calls, max_call_memory; /* of all; 0: no limit */
	struct guards guards;
	struct ev_loop *ev;
	minirpc_loop *loop;
	minirpc_tls *tls;
	minirpc_server *server;
	bool draining;
};

/* The long options that every server takes; a program's own follow with values from DAEMON_OWN on.
 */
enum {
	DAEMON_LISTEN = 256,
	DAEMON_TLS_CERT,
	DAEMON_TLS_KEY,
	DAEMON_TLS_CA,
	DAEMON_LOG_CALLS,
	DAEMON_MAX_STREAMS,
	DAEMON_MAX_CALLS,
	DAEMON_MAX_CALL_MEMORY,
	DAEMON_MAX_RATE,
	DAEMON_FLAKY,
	DAEMON_HELP,
	DAEMON_VERSION,
	DAEMON_OWN
};

/* clang-format off */
#define DAEMON_OPTIONS \
	{ "listen", required_argument, NULL, DAEMON_LISTEN }, \
	{ "tls-cert", required_argument, NULL, DAEMON_TLS_CERT }, \
	{ "tls-key", required_argument, NULL, DAEMON_TLS_KEY }, \
	{ "tls-ca", required_argument, NULL, DAEMON_TLS_CA }, \
	{ "log-calls", no_argument, NULL, DAEMON_LOG_CALLS }, \
	{ "max-streams", required_argument, NULL, DAEMON_MAX_STREAMS }, \
	{ "max-calls", required_argument, NULL, DAEMON_MAX_CALLS }, \
	{ "max-call-memory", required_argument, NULL, DAEMON_MAX_CALL_MEMORY }, \
	{ "max-rate", required_argument, NULL, DAEMON_MAX_RATE }, \
	{ "flaky", required_argument, NULL, DAEMON_FLAKY }, \
	{ "help", no_argument, NULL, DAEMON_HELP }, \
	{ "version", no_argument, NULL, DAEMON_VERSION }
/* clang-format on */

/* clang-format off */
#define DAEMON_USAGE \
	"  --tls-cert FILE               serve TLS with this certificate chain (PEM) ...\n" \
	"  --tls-key FILE                ... and its key\n" \
	"  --tls-ca FILE                 ask clients for a certificate signed by one of these\n" \
	"  --log-calls                   a line on stderr for each call, at most 100 a second\n" \
	"  --max-streams N               calls at once on one connection; default 100\n" \
	"  --max-calls N                 calls at once, of all connections\n" \
	"  --max-call-memory BYTES       held by calls, their queues and messages (K, M, G may follow)\n" \
	"  --max-rate N                  calls a second; more are turned away at the door\n" \
	"  --flaky N                     for trying out retries: of N calls all but the last fail UNAVAILABLE\n"
/* clang-format on */

/* Takes one of DAEMON_OPTIONS; help and version print and exit, anything else (getopt's '?') is a
 * usage error, which exits with 2. */
void daemon_option(struct daemon *daemon, int option, const char *usage);

/* Prints "NAME: text" and exits with 2: the command line is wrong. */
_Noreturn void daemon_usage(const char *name, const char *format, ...) MINIRPC_PRINTF(2, 3);

/* Makes loop, TLS and server. Exits with 1 and a message when that cannot be. */
void daemon_open(struct daemon *daemon, const char *default_listen);

/* Listens, prints a line "listening on HOST:PORT" for each address, and serves until SIGTERM or
 * SIGINT: then drains (calls in flight get 10 s) and returns 0; a second signal stops at once.
 * Returns 1 when it cannot listen. */
int daemon_run(struct daemon *daemon);

/* Frees the server and the rest, except for the loop: channels on it are freed in between. */
void daemon_close_server(struct daemon *daemon);
void daemon_close_loop(struct daemon *daemon);

/* A whole number from 1 to max; usage error when it is none. */
size_t daemon_number(const char *name, const char *option, const char *text, size_t max);

/* Whole numbers with an optional K, M or G; usage error when it is none. */
size_t daemon_bytes(const char *name, const char *option, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/* What cached and accountsd share: flags for TLS and addresses, the loop, signals, and a clean end.
 */
#ifndef CACHE_DAEMON_H
#define CACHE_DAEMON_H

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
	{ "help", no_argument, NULL, DAEMON_HELP }, \
	{ "version", no_argument, NULL, DAEMON_VERSION }
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

/* Whole numbers with an optional K, M or G; usage error when it is none. */
size_t daemon_bytes(const char *name, const char *option, const char *text);

#endif

/* SPDX-License-Identifier: MIT */
/* Ours in the fights of run.py; go/keepalive and python/keepalive.py are its twins.
 *
 *	keepalive_peer server [OPTION MS]...            listening on 127.0.0.1:PORT
 *	keepalive_peer client ADDRESS [OPTION MS]...    one call of k.Keep/Hang, then one of k.Keep/Echo
 *
 * Options: --time, --timeout; for the server --min-interval. Prints `log: LINE` for what is logged by
 * default (a server: for whatever there is to know), and a client `hang: CODE: TEXT` and `echo: CODE: TEXT`. */
#include <minirpc/minirpc.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct minirpc_method hang = { .path = "/k.Keep/Hang" };
static const struct minirpc_method echo = { .path = "/k.Keep/Echo" };

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	printf("log: %s\n", line);
}

/* ---- Server ---- */

static void on_came(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)call;
	(void)metadata;
	(void)user;
	printf("came: a call that hangs\n");
}

static void on_gone(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)user;
	printf("gone: %s: %s\n", minirpc_code_name(status->code), status->message);
	minirpc_call_end(call, NULL);
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)user;
	if (minirpc_call_send(call, message->data, message->len) < 0)
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static void on_half_close(minirpc_call *call, void *user)
{
	(void)user;
	minirpc_call_end(call, NULL);
}

static void on_term(struct ev_loop *ev, ev_signal *watcher, int events)
{
	(void)ev;
	(void)events;
	minirpc_loop_stop(watcher->data);
}

static int serve(minirpc_loop *loop, struct ev_loop *ev, const struct minirpc_keepalive *keepalive)
{
	static const struct minirpc_call_events hang_events = { .on_headers = on_came,
								.on_end = on_gone };
	static const struct minirpc_call_events echo_events = { .on_message = on_message,
								.on_half_close = on_half_close,
								.on_end = on_gone };
	minirpc_server *server;
	ev_signal term;
	uint16_t port;
	int r;

	r = minirpc_server_new(&server, loop,
			       &(struct minirpc_server_options){ .keepalive = *keepalive });
	if (r < 0)
		return r;
	r = minirpc_server_add(server, &hang, &hang_events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_add(server, &echo, &echo_events, NULL, NULL);
	if (r == 0)
		r = minirpc_server_listen(server, "127.0.0.1:0",
					  &(struct minirpc_listen_options){ .ret_port = &port });
	if (r == 0) {
		printf("listening on 127.0.0.1:%u\n", port);
		ev_signal_init(&term, on_term, SIGTERM);
		term.data = loop;
		ev_signal_start(ev, &term);
		r = minirpc_loop_run(loop);
		ev_signal_stop(ev, &term);
	}
	minirpc_server_free(server);
	return r;
}

/* ---- Client ---- */

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)call;
	printf("%s: %s: %s\n", (const char *)user, minirpc_code_name(status->code),
	       status->message);
}

static int call_one(minirpc_channel *channel, const struct minirpc_method *method, char *name)
{
	static const struct minirpc_call_events events = { .on_end = on_end };
	minirpc_call *call;
	int r;

	r = minirpc_call_open(&call, channel, method,
			      &(struct minirpc_call_options){ .timeout = MINIRPC_S(120) }, &events,
			      name);
	if (r < 0)
		return r;
	minirpc_call_send(call, "hello", 5);
	minirpc_call_end(call, NULL);
	return minirpc_call_wait(call);
}

static int call_both(minirpc_loop *loop, const char *address,
		     const struct minirpc_keepalive *keepalive)
{
	static char hang_name[] = "hang", echo_name[] = "echo";
	minirpc_channel *channel;
	int r;

	r = minirpc_channel_new(&channel, loop, address,
				&(struct minirpc_channel_options){ .keepalive = *keepalive });
	if (r < 0)
		return r;
	r = call_one(channel, &hang, hang_name);
	if (r >= 0)
		r = call_one(channel, &echo, echo_name);
	minirpc_channel_free(channel);
	return r;
}

int main(int argc, char **argv)
{
	bool is_server = argc > 1 && strcmp(argv[1], "server") == 0;
	struct minirpc_keepalive keepalive = { 0 };
	struct ev_loop *ev = ev_default_loop(EVFLAG_AUTO);
	minirpc_loop *loop;
	int r, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < (is_server ? 2 : 3))
		return 2;
	for (i = is_server ? 2 : 3; i + 1 < argc; i += 2) {
		minirpc_time value = MINIRPC_MS(atoi(argv[i + 1]));

		if (strcmp(argv[i], "--time") == 0)
			keepalive.time = value;
		else if (strcmp(argv[i], "--timeout") == 0)
			keepalive.timeout = value;
		else if (strcmp(argv[i], "--min-interval") == 0)
			keepalive.min_interval = value;
		else
			return 2;
	}
	if (minirpc_loop_new(&loop, &(struct minirpc_loop_options){
					    .ev = ev,
					    .log = on_log,
					    .log_level = is_server ? MINIRPC_LOG_INFO
								   : MINIRPC_LOG_ERROR }) < 0)
		return 1;
	r = is_server ? serve(loop, ev, &keepalive) : call_both(loop, argv[2], &keepalive);
	minirpc_loop_free(loop);
	return r < 0 ? 1 : 0;
}

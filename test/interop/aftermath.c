/* SPDX-License-Identifier: MIT */
#include "aftermath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the suite has cancelled just now may still be on its way out: some patience. Runners kill
 * after five seconds. */
#define PATIENCE MINIRPC_S(2)
#define LOOK_AGAIN MINIRPC_MS(10)
#define GRACE MINIRPC_MS(500)

struct end {
	minirpc_conn *conn;
	struct end *other;
};

struct aftermath {
	minirpc_server *server;
	minirpc_loop *loop;
	const struct minirpc_method *method;
	const char *verdict;
	minirpc_time give_up;
	struct end client_end, server_end;
	minirpc_channel *channel;
	int messages;
	bool is_good;
};

/* ---- The last word ---- */

static void on_drained(minirpc_server *server, void *user)
{
	(void)user;
	minirpc_loop_stop(minirpc_server_loop(server));
}

static void conclude(struct aftermath *aftermath, const char *line)
{
	FILE *file = aftermath->verdict != NULL ? fopen(aftermath->verdict, "a") : NULL;

	if (file != NULL) {
		fprintf(file, "%s\n", line);
		fclose(file);
	}
	fprintf(stderr, "after the suite: %s\n", line);
	aftermath->is_good = strcmp(line, "good") == 0;
	if (minirpc_server_drain(aftermath->server, GRACE, on_drained, NULL) < 0)
		minirpc_loop_stop(aftermath->loop);
}

/* ---- The ordinary call ---- */

static void move_bytes(minirpc_conn *conn, void *user)
{
	const struct end *end = user;
	const void *data;
	size_t len;

	while ((len = minirpc_conn_pending(conn, &data)) > 0) {
		if (end->other->conn != NULL)
			minirpc_conn_receive(end->other->conn, data, len);
		minirpc_conn_sent(conn, len);
	}
}

static void on_finished(minirpc_conn *conn, void *user)
{
	struct end *end = user;

	end->conn = NULL;
	minirpc_conn_close(conn);
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct aftermath *aftermath = user;

	(void)call;
	(void)message;
	aftermath->messages++;
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct aftermath *aftermath = user;
	size_t open = minirpc_server_open_calls(aftermath->server);
	char line[200] = "good";

	(void)call;
	if (status->code != MINIRPC_OK || aftermath->messages != 1)
		snprintf(line, sizeof line, "an ordinary call ended with %s, %.100s",
			 minirpc_code_name(status->code), status->message);
	else if (open > 0)
		snprintf(line, sizeof line, "%zu calls are open after the last", open);
	conclude(aftermath, line);
}

static int connect_ends(struct aftermath *aftermath)
{
	struct minirpc_attach_options options = { .on_pending = move_bytes,
						  .on_finished = on_finished };
	int r;

	aftermath->client_end.other = &aftermath->server_end;
	aftermath->server_end.other = &aftermath->client_end;
	r = minirpc_channel_new(&aftermath->channel, aftermath->loop, "attached:self", NULL);
	if (r < 0)
		return r;
	options.user = &aftermath->server_end;
	r = minirpc_server_attach(aftermath->server, &options, &aftermath->server_end.conn);
	if (r < 0)
		return r;
	options.user = &aftermath->client_end;
	return minirpc_channel_attach(aftermath->channel, &options, &aftermath->client_end.conn);
}

static void call_self(struct aftermath *aftermath)
{
	static const struct minirpc_call_events events = { .on_message = on_message,
							   .on_end = on_end };
	minirpc_call *call = NULL;
	int r = connect_ends(aftermath);

	if (r == 0)
		r = minirpc_call_open(&call, aftermath->channel, aftermath->method,
				      &(struct minirpc_call_options){ .timeout = PATIENCE },
				      &events, aftermath);
	if (r == 0)
		r = minirpc_call_send(call, "", 0);
	if (r == 0)
		r = minirpc_call_end(call, NULL);
	if (r < 0) {
		minirpc_call_cancel(call);
		conclude(aftermath, "an ordinary call cannot be made");
	}
}

static void look(void *user)
{
	struct aftermath *aftermath = user;
	size_t open = minirpc_server_open_calls(aftermath->server);
	char line[100];

	if (open == 0) {
		call_self(aftermath);
	} else if (minirpc_loop_now(aftermath->loop) >= aftermath->give_up ||
		   minirpc_timer_start(NULL, aftermath->loop, LOOK_AGAIN, look, aftermath) < 0) {
		snprintf(line, sizeof line, "%zu calls of the suite are still open", open);
		conclude(aftermath, line);
	}
}

/* ---- Life ---- */

struct aftermath *aftermath_new(minirpc_server *server, const struct minirpc_method *method,
				const char *verdict)
{
	struct aftermath *aftermath = malloc(sizeof *aftermath);

	if (aftermath != NULL)
		*aftermath = (struct aftermath){ .server = server,
						 .loop = minirpc_server_loop(server),
						 .method = method,
						 .verdict = verdict };
	return aftermath;
}

void aftermath_begin(struct aftermath *aftermath)
{
	aftermath->give_up = minirpc_loop_now(aftermath->loop) + PATIENCE;
	look(aftermath);
}

bool aftermath_free(struct aftermath *aftermath)
{
	bool is_good = aftermath->is_good;

	minirpc_channel_free(aftermath->channel);
	minirpc_conn_close(aftermath->server_end.conn);
	free(aftermath);
	return is_good;
}

/* SPDX-License-Identifier: MIT */
/* Our server that fails as it is told, for others' clients that retry; go/judge and python/judge.py are its twins,
 * run.py tells how scripts look. */
#include <minirpc/minirpc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES_MAX 512

/* What is known of a case: how many attempts have come in, and what each said of those before it. */
struct record {
	char name[64], previous[512];
	int attempts;
};

struct judge {
	struct record records[CASES_MAX];
	int count;
};

static struct record *record_of(struct judge *judge, const char *name)
{
	for (int i = 0; i < judge->count; i++)
		if (strcmp(judge->records[i].name, name) == 0)
			return &judge->records[i];
	if (judge->count == CASES_MAX)
		exit(1);
	snprintf(judge->records[judge->count].name, sizeof judge->records->name, "%s", name);
	return &judge->records[judge->count++];
}

/* The step of the script that is this attempt's; the last one goes on for ever. */
static const char *next_step(struct record *record, const char *script, const char *previous)
{
	size_t len = strlen(record->previous);
	const char *semicolon;

	snprintf(record->previous + len, sizeof record->previous - len, "%s%s", len > 0 ? " " : "",
		 previous == NULL ? "-" : previous);
	for (int i = 0; i < record->attempts && (semicolon = strchr(script, ';')) != NULL; i++)
		script = semicolon + 1;
	record->attempts++;
	return script;
}

static void follow(minirpc_call *call, const char *step)
{
	char *end;
	long code = strtol(step, &end, 10);

	if (*end == 'h') {
		minirpc_call_send_headers(call, NULL);
		end++;
	}
	if (*end == ':') {
		long pushback = strtol(end + 1, NULL, 10);

		minirpc_call_set_pushback(call, pushback < 0 ? -1 : MINIRPC_MS(pushback));
	}
	if (code == 0)
		minirpc_call_send(call, "hi", 2);
	minirpc_call_end(call, &(struct minirpc_status){ .code = (enum minirpc_code)code,
							 .message = "as told" });
}

static void on_half_close(minirpc_call *call, void *user)
{
	const struct minirpc_metadata *metadata = minirpc_call_headers(call);
	const char *name = minirpc_metadata_get(metadata, "case");
	const char *script = minirpc_metadata_get(metadata, "script");
	struct record *record = record_of(user, name == NULL ? "" : name);

	if (strcmp(minirpc_call_path(call), "/judge.Retry/Report") == 0) {
		minirpc_call_send(call, record->previous, strlen(record->previous));
		minirpc_call_end(call, NULL);
		return;
	}
	follow(call, next_step(record, script == NULL ? "0" : script,
			       minirpc_metadata_get(metadata, "grpc-previous-rpc-attempts")));
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)status;
	(void)user;
	minirpc_call_cancel(call); /* the client has left */
}

int main(void)
{
	static const struct minirpc_call_events events = { .on_half_close = on_half_close,
							   .on_end = on_end };
	static struct judge judge;
	minirpc_server *server;
	minirpc_loop *loop;
	uint16_t port;

	if (minirpc_loop_new(&loop, NULL) < 0 || minirpc_server_new(&server, loop, NULL) < 0 ||
	    minirpc_server_add_fallback(server, &events, &judge, NULL) < 0 ||
	    minirpc_server_listen(server, "127.0.0.1:0",
				  &(struct minirpc_listen_options){ .ret_port = &port }) < 0)
		return 1;
	printf("listening on 127.0.0.1:%u\n", (unsigned)port);
	fflush(stdout);
	minirpc_loop_run(loop); /* until SIGTERM */
	return 0;
}

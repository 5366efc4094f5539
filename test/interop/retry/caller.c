/* SPDX-License-Identifier: MIT */
/* Our client that retries: reads cases from stdin, one JSON object a line, and answers each with a line.
 * go/caller and python/caller.py are its twins. */
#include <minirpc/minirpc.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
	int code;
	char text[4096];
};

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct outcome *outcome = user;

	(void)call;
	snprintf(outcome->text, sizeof outcome->text, "%.*s", (int)message->len,
		 (const char *)message->data);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct outcome *outcome = user;

	(void)call;
	outcome->code = (int)status->code;
}

static void make_call(minirpc_channel *channel, const struct minirpc_method *method, int messages,
		      const struct minirpc_call_options *options, struct outcome *outcome)
{
	static const struct minirpc_call_events events = { .on_message = on_message,
							   .on_end = on_end };
	minirpc_call *call;
	int r;

	*outcome = (struct outcome){ .code = -1 };
	r = minirpc_call_open(&call, channel, method, options, &events, outcome);
	if (r < 0)
		return;
	for (int i = 0; i < messages && r == 0; i++)
		r = minirpc_call_send(call, "hi", 2);
	minirpc_call_end(call, NULL);
	minirpc_call_wait(call);
}

static void run_case(json_t *json)
{
	static const struct minirpc_method unary = { .path = "/judge.Retry/Call" };
	static const struct minirpc_method many = { .path = "/judge.Retry/Many",
						    .flags = MINIRPC_CLIENT_STREAMING };
	static const struct minirpc_method report = { .path = "/judge.Retry/Report" };
	const char *config = json_string_value(json_object_get(json, "config"));
	const struct minirpc_field metadata[] = {
		{ "case", json_string_value(json_object_get(json, "case")) },
		{ "script", json_string_value(json_object_get(json, "script")) },
		{ 0 },
	};
	const struct minirpc_call_options options = {
		.metadata = metadata,
		.timeout = MINIRPC_MS(json_integer_value(json_object_get(json, "timeout"))),
	};
	bool is_many = strcmp(json_string_value(json_object_get(json, "method")), "Many") == 0;
	json_int_t count = json_integer_value(json_object_get(json, "count"));
	minirpc_channel *channel;
	struct outcome outcome;
	int r;

	r = minirpc_channel_new(&channel, NULL, json_string_value(json_object_get(json, "target")),
				&(struct minirpc_channel_options){
					.service_config_json = config[0] != '\0' ? config : NULL });
	if (r < 0) {
		printf("{\"error\": \"%s\"}\n", strerror(-r));
		return;
	}
	printf("{\"codes\": [");
	for (json_int_t i = 0; i < count; i++) {
		make_call(channel, is_many ? &many : &unary, is_many ? 3 : 1, &options, &outcome);
		printf("%s%d", i > 0 ? ", " : "", outcome.code);
	}
	make_call(channel, &report, 1, &(struct minirpc_call_options){ .metadata = metadata },
		  &outcome);
	printf("], \"previous\": \"%s\"}\n", outcome.text);
	minirpc_channel_free(channel);
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, stdin) >= 0) {
		json_error_t error;
		json_t *json = json_loads(line, 0, &error);

		if (json == NULL) {
			fprintf(stderr, "caller: %s\n", error.text);
			return 1;
		}
		run_case(json);
		fflush(stdout);
		json_decref(json);
	}
	free(line);
	return 0;
}

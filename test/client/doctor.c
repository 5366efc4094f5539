/* SPDX-License-Identifier: MIT */
#include "client/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct doctor doctors[FLEET_MAX + 1];

static void finish(struct doctor *doctor, enum minirpc_code code)
{
	minirpc_call *call = doctor->call;

	doctor->call = NULL;
	minirpc_call_end(call,
			 &(struct minirpc_status){ .code = code, .message = "the doctor is out" });
}

static void say(struct doctor *doctor, const void *data, size_t len)
{
	if (minirpc_call_send(doctor->call, data, len) == -ENOMEM)
		finish(doctor, MINIRPC_RESOURCE_EXHAUSTED);
}

static void say_status(struct doctor *doctor, int status)
{
	const char bytes[] = { 0x08, (char)status };

	say(doctor, bytes, status == UNKNOWN ? 0 : sizeof bytes);
}

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct doctor *doctor = user;

	(void)metadata;
	doctor->at[doctor->asked++ % 64] = minirpc_loop_now(minirpc_call_loop(call));
	doctor->call = call;
	doctor->request_len = 0;
	doctor->has_deadline = minirpc_call_deadline(call) != MINIRPC_NEVER;
	snprintf(doctor->authority, sizeof doctor->authority, "%s", minirpc_call_authority(call));
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct doctor *doctor = user;

	(void)call;
	doctor->request_len = message->len;
	memcpy(doctor->request, message->data,
	       message->len < sizeof doctor->request ? message->len : sizeof doctor->request);
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct doctor *doctor = user;

	(void)call;
	if (doctor->says >= 0)
		say_status(doctor, doctor->says);
	else if (doctor->says == BABBLES)
		say(doctor, doctor->babble, doctor->babble_len);
	if ((doctor->says == FAILS || doctor->and_ends) && doctor->call != NULL)
		finish(doctor, doctor->code);
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct doctor *doctor = user;

	(void)status;
	doctor->left++;
	if (doctor->call == call)
		doctor->call = NULL;
	minirpc_call_end(call, NULL);
}

static int serve(minirpc_server *server, struct doctor *doctor)
{
	static const struct minirpc_method watch = { .path = "/grpc.health.v1.Health/Watch",
						     .flags = MINIRPC_SERVER_STREAMING };
	static const struct minirpc_call_events events = { .on_headers = on_headers,
							   .on_message = on_message,
							   .on_half_close = on_half_close,
							   .on_end = on_end };

	return minirpc_server_add(server, &watch, &events, doctor, NULL);
}

int doctors_try_open(struct fleet *fleet, const char *list, const char *without,
		     const struct minirpc_channel_options *options)
{
	return doctors_try_open_on(fleet, list, without, NULL, options);
}

int doctors_try_open_on(struct fleet *fleet, const char *list, const char *without,
			const struct minirpc_server_options *server,
			const struct minirpc_channel_options *options)
{
	int r = fleet_try_open_on(fleet, list, server, options);

	memset(doctors, 0, sizeof doctors);
	for (unsigned i = 1; r == 0 && i <= FLEET_MAX; i++) {
		doctors[i].says = SERVING;
		if (strchr(without, (int)('0' + i)) == NULL)
			r = serve(fleet->servers[i].server, &doctors[i]);
	}
	return r;
}

void doctor_says(unsigned number, int status)
{
	if (doctors[number].call != NULL)
		say_status(&doctors[number], status);
}

void doctor_ends(unsigned number, enum minirpc_code code)
{
	if (doctors[number].call != NULL)
		finish(&doctors[number], code);
}

/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <errno.h>
#include <stdlib.h>

#define STEPS_MAX 100000

const uint8_t zeros[BODY_MAX];

static const struct minirpc_status no_memory = { .code = MINIRPC_RESOURCE_EXHAUSTED,
						 .message = "no memory" };

const struct minirpc_status *body_refusal(int type, int32_t size)
{
	static const struct minirpc_status bad_type = { .code = MINIRPC_INVALID_ARGUMENT,
							.message = "unknown payload type" };
	static const struct minirpc_status bad_size = { .code = MINIRPC_INVALID_ARGUMENT,
							.message = "response size out of range" };

	if (type != GRPC__TESTING__PAYLOAD_TYPE__COMPRESSABLE)
		return &bad_type;
	return size < 0 || size > BODY_MAX ? &bad_size : NULL;
}

/* ---- The stage ---- */

static void leave_stage(struct script *script)
{
	struct stage *stage = script->stage;
	struct script **link = &stage->waiting;

	while (*link != NULL && *link != script)
		link = &(*link)->next_waiting;
	if (*link == script)
		*link = script->next_waiting;
	if (stage->owner != script)
		return;

	stage->owner = NULL;
	script = stage->waiting;
	if (script != NULL) {
		stage->waiting = script->next_waiting;
		script_run(script);
	}
}

/* False: another call is telling; the script runs once that has ended. */
static bool enter_stage(struct script *script)
{
	struct stage *stage = script->stage;
	struct script **link = &stage->waiting;

	if (stage->owner != NULL && stage->owner != script) {
		while (*link != NULL && *link != script)
			link = &(*link)->next_waiting;
		*link = script;
		return false;
	}
	stage->owner = script;
	report_clear(&stage->report);
	stage->report = script->report;
	script->report = (struct report){ 0 };
	return true;
}

/* ---- A script ---- */

struct script *script_new(minirpc_call *call, struct stage *stage)
{
	struct script *script = minirpc_call_alloc(call, sizeof *script);

	if (script == NULL)
		minirpc_call_end(call, &no_memory);
	else
		*script = (struct script){ .call = call, .stage = stage };
	return script;
}

void script_end(struct script *script, const struct minirpc_status *status)
{
	minirpc_timer_cancel(script->timer);
	free(script->steps);
	report_clear(&script->report);
	leave_stage(script);
	minirpc_call_end(script->call, status);
}

static const struct minirpc_status *add(struct script *script,
					const Grpc__Testing__StreamingOutputCallRequest *request)
{
	static const struct minirpc_status too_many = { .code = MINIRPC_RESOURCE_EXHAUSTED,
							.message = "too many responses" };
	size_t count = request->n_response_parameters;
	struct step *steps;

	if (count > STEPS_MAX || script->count + count > STEPS_MAX)
		return &too_many;
	steps = realloc(script->steps, (script->count + count + 1) * sizeof *steps);
	if (steps == NULL)
		return &no_memory;
	script->steps = steps;
	for (size_t i = 0; i < count; i++) {
		const Grpc__Testing__ResponseParameters *want = request->response_parameters[i];
		const struct minirpc_status *refusal =
			body_refusal((int)request->response_type, want->size);

		if (refusal != NULL)
			return refusal;
		/* Once headers are out it is too late; the client has then been told of none. */
		if (want->compressed != NULL && want->compressed->value)
			minirpc_call_set_compression(script->call, "gzip");
		steps[script->count++] = (struct step){
			.size = want->size,
			.interval_us = want->interval_us,
			.is_compressed = want->compressed != NULL && want->compressed->value,
		};
	}
	return NULL;
}

bool script_add(struct script *script, const Grpc__Testing__StreamingOutputCallRequest *request)
{
	const Grpc__Testing__EchoStatus *echo = request->response_status;
	const struct minirpc_status *refusal = NULL;
	struct minirpc_status status;

	if (echo != NULL && echo->code != 0) {
		status = (struct minirpc_status){ (enum minirpc_code)echo->code, echo->message };
		refusal = &status;
	} else if (request->orca_oob_report != NULL) {
		report_clear(&script->report);
		if (report_make(&script->report, request->orca_oob_report) < 0)
			refusal = &no_memory;
	}
	if (refusal == NULL)
		refusal = add(script, request);
	if (refusal != NULL)
		script_end(script, refusal);
	return refusal == NULL;
}

static void pause_is_over(void *user)
{
	struct script *script = user;

	script->timer = NULL;
	script->waited = true;
	script_run(script);
}

static int send_step(struct script *script, const struct step *step)
{
	Grpc__Testing__Payload payload = {
		GRPC__TESTING__PAYLOAD__FIELDS,
		.body = { (size_t)step->size, (uint8_t *)(uintptr_t)zeros },
	};

	minirpc_call_compress(script->call, step->is_compressed);
	return minirpc_typed_send(script->call,
				  &(Grpc__Testing__StreamingOutputCallResponse){
					  GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__FIELDS,
					  .payload = &payload,
				  }
					   .base);
}

/* 0, -EAGAIN: later, by itself; anything else is the end. */
static int run_step(struct script *script)
{
	const struct step *step = &script->steps[script->next];
	int r;

	if (step->interval_us > 0 && !script->waited) {
		r = minirpc_timer_start(&script->timer,
					minirpc_server_loop(minirpc_call_server(script->call)),
					MINIRPC_US(step->interval_us), pause_is_over, script);
		return r < 0 ? r : -EAGAIN;
	}
	r = send_step(script, step);
	if (r == 0)
		script->waited = false;
	return r;
}

void script_run(struct script *script)
{
	int r;

	if (script->timer != NULL || (script->report.data != NULL && !enter_stage(script)))
		return;
	for (; script->next < script->count; script->next++) {
		r = run_step(script);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			script_end(script, &no_memory);
			return;
		}
	}
	script->next = script->count = 0;
	if (script->is_last)
		script_end(script, NULL);
	else
		minirpc_call_resume(script->call);
}

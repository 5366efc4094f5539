/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

char script_log[4096];

/* In each call. Aligned for anything, and zeroed. */
struct data {
	long double aligned;
	unsigned parts;
	bool closed;
};

static void note(const struct script *script, const char *what)
{
	size_t len = strlen(script_log);

	snprintf(script_log + len, sizeof script_log - len, "%s%s ", script->name, what);
}

static enum minirpc_verdict see(minirpc_hook *hook, const struct minirpc_part *part, bool sent,
				struct script *script)
{
	struct data *data = minirpc_hook_data(hook);
	enum minirpc_verdict verdict =
		sent ? script->send[part->kind] : script->receive[part->kind];
	const char what[] = { "HME"[part->kind], sent ? '>' : '<', '\0' };

	note(script, what);
	ck_assert_int_eq((uintptr_t)data % _Alignof(long double), 0);
	ck_assert(data->aligned == 0);
	if (data->parts++ == 0)
		script->opens++;
	script->bad_order |= data->closed;
	script->parts++;
	script->hook = hook;
	ck_assert((part->data != NULL) == (part->kind == MINIRPC_PART_MESSAGE));
	ck_assert((part->status != NULL) ==
		  (part->kind == MINIRPC_PART_END &&
		   minirpc_call_is_server(minirpc_hook_call(hook)) == sent));
	ck_assert((part->metadata != NULL) ==
		  (part->kind == MINIRPC_PART_HEADERS || part->status != NULL));
	if (script->at != NULL)
		script->at(script, part, sent);
	if (verdict == MINIRPC_STOP && script->stop != NULL)
		minirpc_hook_set_status(hook, script->stop);
	if (verdict == MINIRPC_HOLD && script->resumes)
		minirpc_hook_resume(hook, sent, script->stop);
	return verdict;
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	return see(hook, part, true, user);
}

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	return see(hook, part, false, user);
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct data *data = minirpc_hook_data(hook);
	struct script *script = user;

	note(script, ".");
	script->bad_order |= data->closed || data->parts == 0;
	data->closed = true;
	script->closes++;
	script->code = status->code;
	snprintf(script->text, sizeof script->text, "%s", status->message);
	/* Harmless until we return. */
	minirpc_hook_resume(hook, true, NULL);
	minirpc_hook_resume(hook, false, status);
	minirpc_hook_set_status(hook, status);
	ck_assert_int_lt(minirpc_hook_set_message(hook, "late", 4), 0);
	ck_assert_ptr_nonnull(minirpc_call_path(minirpc_hook_call(hook)));
	if (script->at_close != NULL)
		script->at_close(script);
}

const struct minirpc_interceptor scripted = {
	.name = "scripted",
	.data_size = sizeof(struct data),
	.on_send = on_send,
	.on_receive = on_receive,
	.on_close = on_close,
};

/* SPDX-License-Identifier: MIT */
/* Both sides send, in turn: each answer makes us say the next thing. With demo_server running type
 *
 *	chat localhost:50052 hello "how are you"
 *
 *	> hello
 *	< hello
 *	> how are you
 *	< how are you
 */
#include "demo.minirpc.h"

#include <stdio.h>
#include <string.h>

struct chat {
	char **next; /* the next thing to say; NULL ends them */
	bool failed;
};

/* One text is on its way at any time, so the call's queue is empty and takes it: no -EAGAIN here;
 * client_stream shows what to do where there can be. */
static void say_next(demo_kinds_chat_caller *call, struct chat *chat)
{
	Demo__Text text = { DEMO__TEXT__FIELDS, .text = *chat->next };
	int r;

	if (text.text == NULL) {
		demo_kinds_chat_end(call);
		return;
	}
	chat->next++;
	printf("> %s\n", text.text);
	r = demo_kinds_chat_send(call, &text);
	if (r < 0)
		minirpc_call_abort(demo_kinds_chat_caller_call(call),
				   &(struct minirpc_status){ MINIRPC_INTERNAL, strerror(-r) });
}

static void on_answer(demo_kinds_chat_caller *call, const Demo__Text *text, void *user)
{
	printf("< %s\n", text->text);
	say_next(call, user);
}

static void on_end(demo_kinds_chat_caller *call, const struct minirpc_status *status, void *user)
{
	struct chat *chat = user;

	(void)call;
	chat->failed = status->code != MINIRPC_OK;
	if (chat->failed)
		fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_chat_events events = { .on_message = on_answer,
							      .on_end = on_end };
	struct chat chat = { .next = argv + (argc > 1 ? 2 : 1) };
	minirpc_channel *channel = NULL;
	demo_kinds_chat_caller *call;
	int r;

	r = minirpc_channel_new(&channel, NULL, argc > 1 ? argv[1] : "localhost:50052", NULL);
	if (r == 0)
		r = demo_kinds_chat_open(&call, channel, NULL, &events, &chat);
	if (r == 0) {
		say_next(call, &chat);
		r = minirpc_call_wait(demo_kinds_chat_caller_call(call));
	}
	if (r < 0)
		fprintf(stderr, "chat: %s\n", strerror(-r));
	minirpc_channel_free(channel);
	return r < 0 || chat.failed;
}

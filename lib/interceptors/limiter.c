/* SPDX-License-Identifier: MIT */
/* Limiter: so many calls at once, so many in a second; the others wait their turn, or are refused.
 *
 *	headers --> room, and nobody waits? --> runs --> over: makes room
 *	               |no                       ^              |
 *	               +--> waits, in order -----+--------------+
 *	               |queue full               ^ timer: the bucket has one
 *	               v
 *	            RESOURCE_EXHAUSTED
 *
 * A call's place in the queue is its hook's own memory: waiting allocates nothing but, once, the timer. */
#include "interceptors/bucket.h"

#include "base/alloc.h"
#include "base/list.h"

#include <minirpc/interceptors.h>
#include <minirpc/loop.h>

#include <errno.h>

#define CLIENT_QUEUE 1000u
#define PUSHBACK MINIRPC_S(1)
#define PER_SECOND_MAX 1000000000u

struct minirpc_limiter {
	struct minirpc_limiter_options options;
	struct mrpc_bucket bucket;
	struct mrpc_list waiting; /* of struct guest */
	minirpc_timer *timer;     /* runs while the first who waits waits for the bucket */
	struct minirpc_limiter_counts counts;
};

/* A call's. */
struct guest {
	struct mrpc_list node;
	minirpc_hook *hook;
	bool asked, running;
};

static bool is_server(const struct guest *guest)
{
	return minirpc_call_is_server(minirpc_hook_call(guest->hook));
}

static minirpc_time now_of(const struct guest *guest)
{
	return minirpc_loop_now(minirpc_call_loop(minirpc_hook_call(guest->hook)));
}

static bool is_full(const minirpc_limiter *limiter)
{
	return limiter->options.max_calls > 0 &&
	       limiter->counts.running >= limiter->options.max_calls;
}

static void let_in(minirpc_limiter *limiter, struct guest *guest)
{
	guest->running = true;
	limiter->counts.running++;
	limiter->counts.passed++;
	mrpc_bucket_take(&limiter->bucket, now_of(guest));
}

static void leave_queue(minirpc_limiter *limiter, struct guest *guest)
{
	mrpc_list_remove(&guest->node);
	limiter->counts.waiting--;
}

static struct guest *first_of(const minirpc_limiter *limiter)
{
	if (mrpc_list_is_empty(&limiter->waiting))
		return NULL;
	return mrpc_container(limiter->waiting.next, struct guest, node);
}

/* ---- Waiting ---- */

static const struct minirpc_status no_memory = { .code = MINIRPC_RESOURCE_EXHAUSTED,
						 .message = "out of memory" };

static void serve(minirpc_limiter *limiter);

static void on_timer(void *user)
{
	minirpc_limiter *limiter = user;

	limiter->timer = NULL;
	serve(limiter);
}

/* Returns 0 or -ENOMEM. */
static int wait_for_bucket(minirpc_limiter *limiter, const struct guest *guest, minirpc_time span)
{
	if (limiter->timer != NULL)
		return 0;
	return minirpc_timer_start(&limiter->timer,
				   minirpc_call_loop(minirpc_hook_call(guest->hook)), span,
				   on_timer, limiter);
}

/* Lets in who may come in. What follows for them happens in the next turn, never in here. */
static void serve(minirpc_limiter *limiter)
{
	struct guest *guest;

	while ((guest = first_of(limiter)) != NULL && !is_full(limiter)) {
		minirpc_time span = mrpc_bucket_wait(&limiter->bucket, now_of(guest));

		if (span > 0 && wait_for_bucket(limiter, guest, span) == 0)
			return;
		leave_queue(limiter, guest);
		if (span > 0) {
			limiter->counts.refused++;
			minirpc_hook_resume(guest->hook, !is_server(guest), &no_memory);
			continue;
		}
		let_in(limiter, guest);
		minirpc_hook_resume(guest->hook, !is_server(guest), NULL);
	}
	/* With nobody waiting nothing of ours may be left on a loop that may be freed next. */
	if (guest == NULL || is_full(limiter))
		limiter->timer = minirpc_timer_cancel(limiter->timer);
}

static uint32_t queue_of(const minirpc_limiter *limiter, bool server)
{
	if (limiter->options.queue == 0)
		return server ? 0 : CLIENT_QUEUE;
	return limiter->options.queue == UINT32_MAX ? 0 : limiter->options.queue;
}

static enum minirpc_verdict refuse(minirpc_limiter *limiter, struct guest *guest, minirpc_time span)
{
	struct minirpc_status status = { .code = MINIRPC_RESOURCE_EXHAUSTED,
					 .message = "too many calls at once" };
	minirpc_time pushback = limiter->options.pushback;

	limiter->counts.refused++;
	if (pushback == 0)
		pushback = PUSHBACK;
	if (!is_full(limiter)) {
		status.message = "too many calls in a second";
		pushback = span;
	}
	if (is_server(guest) && pushback > 0)
		minirpc_call_set_pushback(minirpc_hook_call(guest->hook), pushback); /* */
	minirpc_hook_set_status(guest->hook, &status);
	return MINIRPC_STOP;
}

static enum minirpc_verdict ask(minirpc_limiter *limiter, minirpc_hook *hook)
{
	struct guest *guest = minirpc_hook_data(hook);
	minirpc_time span;

	guest->hook = hook;
	guest->asked = true;
	span = mrpc_bucket_wait(&limiter->bucket, now_of(guest));
	if (mrpc_list_is_empty(&limiter->waiting) && !is_full(limiter) && span == 0) {
		let_in(limiter, guest);
		return MINIRPC_PASS;
	}
	if (limiter->counts.waiting >= queue_of(limiter, is_server(guest)))
		return refuse(limiter, guest, span);
	if (!is_full(limiter) && span > 0 && wait_for_bucket(limiter, guest, span) < 0) {
		limiter->counts.refused++;
		minirpc_hook_set_status(hook, &no_memory);
		return MINIRPC_STOP;
	}
	mrpc_list_push(&limiter->waiting, &guest->node);
	limiter->counts.waiting++;
	limiter->counts.waited++;
	return MINIRPC_HOLD;
}

static enum minirpc_verdict on_part(minirpc_hook *hook, const struct minirpc_part *part, void *user,
				    bool server)
{
	const struct guest *guest = minirpc_hook_data(hook);

	if (part->kind != MINIRPC_PART_HEADERS || guest->asked ||
	    minirpc_call_is_server(minirpc_hook_call(hook)) != server)
		return MINIRPC_PASS;
	return ask(user, hook);
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	return on_part(hook, part, user, false);
}

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	return on_part(hook, part, user, true);
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	minirpc_limiter *limiter = user;
	struct guest *guest = minirpc_hook_data(hook);

	(void)status;
	if (mrpc_list_is_linked(&guest->node))
		leave_queue(limiter, guest);
	if (guest->running)
		limiter->counts.running--;
	guest->running = false;
	serve(limiter);
}

static const struct minirpc_interceptor interceptor = {
	.name = "limiter",
	.data_size = sizeof(struct guest),
	.on_send = on_send,
	.on_receive = on_receive,
	.on_close = on_close,
};

int minirpc_limiter_new(minirpc_limiter **ret_limiter,
			const struct minirpc_limiter_options *options)
{
	minirpc_limiter *limiter;

	if (options == NULL || (options->max_calls == 0 && options->per_second == 0) ||
	    options->per_second > PER_SECOND_MAX)
		return -EINVAL;
	limiter = mrpc_alloc(sizeof *limiter);
	if (limiter == NULL)
		return -ENOMEM;
	*limiter = (minirpc_limiter){ .options = *options };
	mrpc_bucket_init(&limiter->bucket, options->per_second, options->burst);
	mrpc_list_init(&limiter->waiting);
	*ret_limiter = limiter;
	return 0;
}

minirpc_limiter *minirpc_limiter_free(minirpc_limiter *limiter)
{
	if (limiter != NULL)
		minirpc_timer_cancel(limiter->timer);
	return mrpc_free(limiter);
}

struct minirpc_use minirpc_limiter_use(minirpc_limiter *limiter)
{
	return (struct minirpc_use){ &interceptor, limiter };
}

void minirpc_limiter_counts(const minirpc_limiter *limiter,
			    struct minirpc_limiter_counts *ret_counts)
{
	*ret_counts = limiter->counts;
}

/* SPDX-License-Identifier: MIT */
/* Chain: the interceptors of one call, and the parts that are on their way through them.
 *
 *	sent      verbs --> outbox --> [ at hand: hook, hook, ... ] --> out lane --> transport
 *	received  user  <-------- [ ..., hook, hook :at hand ] <-- in lane <-- transport
 *
 * In each direction one part is at hand, and `at` counts the hooks that have let it pass; a hook that
 * holds it stops that direction and nothing else. What is received is shown by the call's own task
 * just before the user would hear of it (deliver.c), so the in lane is all the queue it needs. What is
 * sent waits in the outbox, since the verbs must not run user code: the chain's task takes it from
 * there. A message at hand is in neither queue, so that nobody's verb can free it while a hook looks.
 *
 * Compression comes after the hooks, and what is kept for another attempt lies behind them.
 *
 * The chain keeps the call until its on_close has been told: when the handle is given back and the
 * transport has let go, so that what a server says about the call is true. That happens in the
 * chain's own task, unless the owner (channel or server) is freed: then at once, since what the
 * uses point to may go with it. */
#include "call/chain.h"

#include "base/alloc.h"
#include "call/deliver.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>

/* So many parts in one go; then others get their turn. */
#define BATCH 256

/* ---- Lists ---- */

static size_t count_uses(const struct minirpc_use *uses)
{
	size_t count = 0;

	while (uses != NULL && uses[count].interceptor != NULL)
		count++;
	return count;
}

int mrpc_interceptors_init(struct mrpc_interceptors *interceptors, const struct minirpc_use *uses)
{
	size_t count = count_uses(uses), size;

	*interceptors = (struct mrpc_interceptors){ 0 };
	mrpc_list_init(&interceptors->chains);
	if (count == 0)
		return 0;
	if (!mrpc_mul(count, sizeof *uses, &size))
		return -ENOMEM;
	interceptors->uses = mrpc_alloc(size);
	if (interceptors->uses == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		interceptors->uses[i] = uses[i];
	interceptors->count = count;
	return 0;
}

static void close_chain(struct mrpc_chain *chain);

void mrpc_interceptors_clear(struct mrpc_interceptors *interceptors)
{
	struct mrpc_list *node;

	while (interceptors->chains.next != NULL &&
	       (node = mrpc_list_pop(&interceptors->chains)) != NULL) {
		struct mrpc_chain *chain = mrpc_container(node, struct mrpc_chain, node);

		if (chain->shown == NULL && !chain->closed) {
			close_chain(chain);
			continue;
		}
		chain->due = true; /* one of its hooks frees us, and will be told the end, or is */
		mrpc_call_orphan(chain->call);
	}
	mrpc_free(interceptors->uses);
	interceptors->uses = NULL;
	interceptors->count = 0;
}

/* ---- Making one ---- */

static size_t round_up(size_t size)
{
	const size_t unit = alignof(max_align_t);

	return size > SIZE_MAX - unit ? SIZE_MAX : (size + unit - 1) / unit * unit;
}

/* Which of the uses a call takes. */
struct choice {
	bool all, per_attempt;
};

static bool takes(struct choice choice, const struct minirpc_use *use)
{
	return choice.all || use->interceptor->per_attempt == choice.per_attempt;
}

/* Adds up what is taken: hooks, and bytes of their data. False: it would wrap. */
static bool add_up(struct choice choice, const struct minirpc_use *uses, size_t count,
		   size_t *hooks, size_t *bytes)
{
	for (size_t i = 0; i < count; i++) {
		if (!takes(choice, &uses[i]))
			continue;
		(*hooks)++;
		if (!mrpc_add(*bytes, round_up(uses[i].interceptor->data_size), bytes))
			return false;
	}
	return true;
}

static void add_hooks(struct mrpc_chain *chain, struct choice choice,
		      const struct minirpc_use *uses, size_t count, uint8_t **data)
{
	for (size_t i = 0; i < count; i++) {
		struct minirpc_hook *hook = &chain->hooks[chain->count];

		if (!takes(choice, &uses[i]))
			continue;
		hook->chain = chain;
		hook->interceptor = uses[i].interceptor;
		hook->user = uses[i].user;
		hook->data = *data;
		*data += round_up(hook->interceptor->data_size);
		chain->count++;
	}
}

static void run(struct mrpc_task *task);

int mrpc_call_intercept(struct minirpc_call *call, struct mrpc_interceptors *owner,
			const struct minirpc_use *own, bool per_attempt)
{
	struct choice choice = { .all = call->role == MRPC_SERVER, .per_attempt = per_attempt };
	size_t own_count = count_uses(own), hooks = 0, bytes = 0, size;
	struct mrpc_chain *chain;
	uint8_t *data;

	assert(call->chain == NULL);
	if (!add_up(choice, owner->uses, owner->count, &hooks, &bytes) ||
	    !add_up(choice, own, own_count, &hooks, &bytes))
		return -ENOMEM;
	if (hooks == 0)
		return 0;
	if (!mrpc_mul(hooks, sizeof *chain->hooks, &size) || !mrpc_add(size, sizeof *chain, &size))
		return -ENOMEM;
	size = round_up(size);
	if (!mrpc_add(size, bytes, &bytes))
		return -ENOMEM;
	chain = mrpc_arena_alloc(&call->arena, bytes); /* zeroed */
	if (chain == NULL)
		return -ENOMEM;

	chain->call = mrpc_call_ref(call);
	chain->task.phase = MRPC_DELIVER;
	chain->task.run = run;
	chain->sent.sent = true;
	mrpc_list_push(&owner->chains, &chain->node);
	call->out.writer = &chain->task;
	data = (uint8_t *)chain + size;
	add_hooks(chain, choice, owner->uses, owner->count, &data);
	add_hooks(chain, choice, own, own_count, &data);

	call->chain = chain;
	if (call->role == MRPC_CLIENT) {
		mrpc_lane_clear(&call->out);
		call->out.state = MRPC_LANE_IDLE;
		mrpc_chain_push_headers(chain);
	}
	return 0;
}

/* ---- The end of one ---- */

static void forget_part(struct mrpc_passage *passage)
{
	mrpc_part_free(passage->part);
	passage->part = NULL;
	passage->busy = passage->held = false;
}

/* What a server's client was answered, or why it left; what a client's user was told. */
static const struct minirpc_status *last_status(const struct minirpc_call *call)
{
	if (call->role == MRPC_SERVER && call->out.over && !call->out.was_cut)
		return &call->out_status;
	return &call->in_status;
}

static void drop_outbox(struct mrpc_chain *chain)
{
	struct mrpc_outbox *outbox = &chain->outbox;
	struct mrpc_part *part = outbox->first, *next;

	for (; part != NULL; part = next) {
		next = part->next;
		mrpc_part_free(part);
	}
	outbox->first = outbox->last = NULL;
	outbox->bytes = 0;
	outbox->has_headers = outbox->has_end = false;
	outbox->was_cut = true;
	outbox->state = MRPC_LANE_ENDED;
}

static void close_chain(struct mrpc_chain *chain)
{
	struct minirpc_call *call = chain->call;

	if (chain->closed)
		return;
	chain->closed = true;
	mrpc_task_sleep(&chain->task);
	forget_part(&chain->sent);
	forget_part(&chain->received);
	drop_outbox(chain);
	for (size_t i = 0; i < chain->count; i++) {
		struct minirpc_hook *hook = &chain->hooks[i];

		if (hook->seen && hook->interceptor->on_close != NULL)
			hook->interceptor->on_close(hook, last_status(call), hook->user);
	}
	mrpc_list_remove(&chain->node);
	mrpc_call_unref(call);
}

bool mrpc_chain_owes(const struct mrpc_chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		if (chain->hooks[i].seen && chain->hooks[i].interceptor->on_close != NULL)
			return true;
	return false;
}

void mrpc_chain_look(struct mrpc_chain *chain)
{
	if (chain->closed || chain->call->has_handle || chain->call->transport != NULL)
		return;
	if (mrpc_chain_owes(chain) || chain->shown != NULL)
		mrpc_turn_wake(chain->call->place.turn, &chain->task);
	else
		close_chain(chain); /* nobody to tell */
}

void mrpc_chain_cut(struct mrpc_chain *chain)
{
	drop_outbox(chain);
	if (chain->shown != &chain->sent)
		forget_part(&chain->sent);
}

/* ---- Through the hooks ---- */

struct minirpc_hook *mrpc_chain_hook(struct mrpc_chain *chain, const struct mrpc_passage *passage)
{
	bool forward = (chain->call->role == MRPC_CLIENT) == passage->sent;

	if (passage->at >= chain->count)
		return NULL;
	return &chain->hooks[forward ? passage->at : chain->count - 1 - passage->at];
}

bool mrpc_chain_is_cut(const struct mrpc_chain *chain, const struct mrpc_passage *passage)
{
	const struct minirpc_call *call = chain->call;

	if (chain->closed)
		return true;
	if (passage->sent)
		return chain->outbox.was_cut;
	return call->gone || call->answered || mrpc_call_is_over(call);
}

struct minirpc_metadata *mrpc_chain_metadata(const struct mrpc_chain *chain,
					     const struct mrpc_passage *passage)
{
	struct minirpc_call *call = chain->call;

	if (passage->kind == MRPC_HEADERS)
		return passage->sent ? &call->out_headers : &call->in_headers;
	if (passage->kind == MRPC_END && (call->role == MRPC_SERVER) == passage->sent)
		return passage->sent ? &call->out_trailers : &call->in_trailers;
	return NULL;
}

/* The metadata and the status are the call's own, so that a change shows in them by itself. */
static void describe(const struct mrpc_chain *chain, const struct mrpc_passage *passage,
		     struct minirpc_part *view)
{
	const struct minirpc_call *call = chain->call;

	view->kind = (enum minirpc_part_kind)passage->kind;
	view->metadata = mrpc_chain_metadata(chain, passage);
	view->data = passage->part == NULL ? NULL : mrpc_part_data(passage->part);
	view->len = passage->part == NULL ? 0 : passage->part->len;
	view->status = NULL;
	if (passage->kind == MRPC_END && view->metadata != NULL)
		view->status = passage->sent ? &call->out_status : &call->in_status;
}

/* OK ends no call early: a response might be missing that it promises. */
static void stop(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	static const struct minirpc_status none = { .code = MINIRPC_INTERNAL,
						    .message = "stopped by an interceptor" };
	struct minirpc_call *call = chain->call;
	struct minirpc_status status = none;

	if (passage->has_stop && passage->stop.code != MINIRPC_OK)
		status = passage->stop;
	forget_part(passage);
	if (call->role == MRPC_CLIENT)
		mrpc_call_kill_with(call, &status);
	else if (mrpc_call_answer_early(call, &status) == 0 && !call->headers_told)
		mrpc_call_release(call); /* nobody has heard of it */
}

/* A hook has ended the call or freed its owner. */
static bool end_of_pass(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	if (chain->due)
		close_chain(chain);
	forget_part(passage);
	return false;
}

/* HOLD or STOP. True: it has been resumed already. */
static bool must_wait(struct mrpc_chain *chain, struct mrpc_passage *passage,
		      enum minirpc_verdict verdict)
{
	if (verdict != MINIRPC_HOLD || (passage->resumed && passage->stopped)) {
		stop(chain, passage);
		return true;
	}
	chain->last = passage;
	passage->held = !passage->resumed;
	return passage->held;
}

/* True: all have let it pass. False: it is held, or the call is over in this direction. */
static bool pass(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	struct minirpc_part view __attribute__((uninitialized));

	if (passage->held)
		return false;
	if (passage->stopped) {
		stop(chain, passage);
		return false;
	}
	describe(chain, passage, &view);
	for (; passage->at < chain->count; passage->at++) {
		struct minirpc_hook *hook = mrpc_chain_hook(chain, passage);
		const struct minirpc_interceptor *interceptor = hook->interceptor;
		enum minirpc_verdict (*fn)(minirpc_hook *, const struct minirpc_part *, void *) =
			passage->sent ? interceptor->on_send : interceptor->on_receive;
		enum minirpc_verdict verdict;

		hook->seen = true;
		if (fn == NULL)
			continue;
		passage->resumed = passage->stopped = passage->has_stop = false;
		chain->shown = passage;
		chain->view = &view;
		verdict = fn(hook, &view, hook->user);
		chain->shown = NULL;
		if (chain->due || mrpc_chain_is_cut(chain, passage))
			return end_of_pass(chain, passage);
		if (verdict != MINIRPC_PASS && must_wait(chain, passage, verdict))
			return false;
	}
	passage->stopped = false;
	return true;
}

static void begin(struct mrpc_passage *passage, enum mrpc_part_kind kind, struct mrpc_part *part)
{
	passage->busy = true;
	passage->held = passage->stopped = false;
	passage->at = 0;
	passage->kind = kind;
	passage->part = part;
}

/* ---- Received ---- */

void mrpc_chain_begin(struct mrpc_chain *chain, enum mrpc_part_kind kind, struct mrpc_part *part)
{
	begin(&chain->received, kind, part);
}

bool mrpc_chain_receive(struct mrpc_chain *chain)
{
	struct mrpc_passage *passage = &chain->received;

	if (!pass(chain, passage))
		return false;
	if (mrpc_call_is_paused(chain->call) && passage->kind != MRPC_HEADERS)
		return false;
	passage->busy = false;
	return true;
}

struct mrpc_part *mrpc_chain_take(struct mrpc_chain *chain)
{
	struct mrpc_part *part = chain->received.part;

	chain->received.part = NULL;
	chain->told_message = true;
	return part;
}

/* ---- Sent ---- */

static size_t weight(const struct mrpc_part *part)
{
	return MRPC_PREFIX + part->len;
}

static bool has_room(struct mrpc_chain *chain, size_t limit)
{
	struct mrpc_lane *out = &chain->call->out;

	if (chain->outbox.bytes + out->unread < limit)
		return true;
	out->refused = true; /* our task hears of room in it */
	return false;
}

bool mrpc_chain_has_room(struct mrpc_chain *chain)
{
	return has_room(chain, chain->call->out.limit);
}

bool mrpc_chain_has_much_room(struct mrpc_chain *chain)
{
	return has_room(chain, chain->call->out.limit / 2 + 1);
}

static void wake(struct mrpc_chain *chain)
{
	mrpc_turn_wake(chain->call->place.turn, &chain->task);
}

void mrpc_chain_push_headers(struct mrpc_chain *chain)
{
	chain->outbox.state = MRPC_LANE_OPEN;
	chain->outbox.has_headers = true;
	wake(chain);
}

void mrpc_chain_push(struct mrpc_chain *chain, struct mrpc_part *part)
{
	const struct minirpc_call *call = chain->call;
	struct mrpc_outbox *outbox = &chain->outbox;

	if (outbox->state == MRPC_LANE_IDLE)
		mrpc_chain_push_headers(chain);
	part->compressed = call->out_compressor != NULL && !call->plain;
	part->next = NULL;
	if (outbox->first == NULL)
		outbox->first = part;
	else
		outbox->last->next = part;
	outbox->last = part;
	outbox->bytes += weight(part);
	outbox->messages += outbox->messages < 2;
	wake(chain);
}

void mrpc_chain_push_end(struct mrpc_chain *chain)
{
	chain->outbox.state = MRPC_LANE_ENDED;
	chain->outbox.has_end = true;
	wake(chain);
}

/* False: there is nothing, or no room for it behind the hooks. */
static bool begin_next(struct mrpc_chain *chain)
{
	struct mrpc_outbox *outbox = &chain->outbox;
	struct mrpc_part *part = outbox->first;

	if (outbox->has_headers) {
		outbox->has_headers = false;
		begin(&chain->sent, MRPC_HEADERS, NULL);
	} else if (part != NULL) {
		if (!mrpc_lane_has_room(&chain->call->out))
			return false;
		outbox->first = part->next;
		chain->weight = weight(part);
		begin(&chain->sent, MRPC_MESSAGE, part);
	} else if (outbox->has_end) {
		outbox->has_end = false;
		begin(&chain->sent, MRPC_END, NULL);
	} else {
		return false;
	}
	return true;
}

static void fail_message(struct minirpc_call *call, int error)
{
	struct minirpc_status status = { .code = MINIRPC_INTERNAL,
					 .message = "the message could not be compressed" };

	if (error == -ENOMEM)
		status = (struct minirpc_status){ .code = MINIRPC_RESOURCE_EXHAUSTED,
						  .message = "out of memory" };
	if (call->role == MRPC_CLIENT)
		mrpc_call_kill_with(call, &status);
	else
		mrpc_call_answer_early(call, &status);
}

static void push_message(struct mrpc_chain *chain)
{
	struct minirpc_call *call = chain->call;
	struct mrpc_part *part = chain->sent.part, *whole = part;
	int r;

	chain->sent.part = NULL;
	chain->outbox.bytes -= chain->weight;
	if (part->compressed && part->len > 0 && call->out_compressor != NULL &&
	    !call->late_compression) { /* which keeps its mark */
		r = mrpc_part_compress(&part, call->out_compressor, call->place.pool,
				       mrpc_part_data(whole), whole->len);
		mrpc_part_free(whole);
		if (r < 0) {
			fail_message(call, r);
			return;
		}
	} else if (!call->late_compression) {
		part->compressed = false;
	}
	if (mrpc_call_push_out(call, part) < 0)
		mrpc_part_free(part);
}

/* One part through the hooks and into the out lane. True: there may be more. */
static bool move_one(struct mrpc_chain *chain)
{
	struct minirpc_call *call = chain->call;

	if (chain->closed || (!chain->sent.busy && !begin_next(chain)))
		return false;
	if (!pass(chain, &chain->sent))
		return false;
	chain->sent.busy = false;
	switch (chain->sent.kind) {
	case MRPC_HEADERS:
		mrpc_lane_push_headers(&call->out);
		if (call->owner_ops != NULL && call->owner_ops->ready != NULL)
			call->owner_ops->ready(call);
		break;
	case MRPC_MESSAGE:
		push_message(chain);
		break;
	case MRPC_END:
		mrpc_lane_end(&call->out);
		break;
	}
	return true;
}

static void run(struct mrpc_task *task)
{
	struct mrpc_chain *chain = mrpc_container(task, struct mrpc_chain, task);
	struct minirpc_call *call = mrpc_call_ref(chain->call);
	int left = BATCH;

	while (left > 0 && move_one(chain))
		left--;
	if (!chain->closed) {
		if (left == 0)
			mrpc_turn_wake(call->place.turn, &chain->task);
		if (call->want_room)
			mrpc_turn_wake(call->place.turn, &call->task);
		if (!call->has_handle && call->transport == NULL)
			close_chain(chain);
	}
	mrpc_call_unref(call);
}

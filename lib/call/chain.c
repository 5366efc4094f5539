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
#include "base/cold.h"
#include "call/deliver.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stddef.h>

/* So many parts in one go; then others get their turn. */
#define BATCH 256

/* Whoever lets a part pass just now must look whether it still goes on. */
static void disturb(struct mrpc_chain *chain)
{
	chain->sent.disturbed = chain->received.disturbed = true;
}

/* ---- Lists ---- */

static size_t count_uses(const struct minirpc_use *uses)
{
	size_t count = 0;

	while (uses != NULL && uses[count].interceptor != NULL)
		count++;
	return count;
}

static size_t round_up(size_t size)
{
	const size_t unit = alignof(max_align_t);

	return size > SIZE_MAX - unit ? SIZE_MAX : (size + unit - 1) / unit * unit;
}

/* Where the hooks' data begins in a chain of so many. False: it would wrap. */
static bool find_data(size_t hooks, size_t *ret_at)
{
	if (!mrpc_mul(hooks, sizeof(struct minirpc_hook), ret_at) ||
	    !mrpc_add(*ret_at, sizeof(struct mrpc_chain), ret_at))
		return false;
	*ret_at = round_up(*ret_at);
	return true;
}

/* Every call of a server takes all of the list: it is added up once. */
static bool measure(struct mrpc_interceptors *all)
{
	if (!find_data(all->count, &all->data_at))
		return false;
	all->chain_size = all->data_at;
	for (size_t i = 0; i < all->count; i++)
		if (!mrpc_add(all->chain_size, round_up(all->uses[i].interceptor->data_size),
			      &all->chain_size))
			return false;
	return true;
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
	if (!measure(interceptors)) {
		mrpc_interceptors_clear(interceptors);
		return -ENOMEM;
	}
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
		disturb(chain);
		mrpc_call_orphan(chain->call);
	}
	mrpc_free(interceptors->uses);
	interceptors->uses = NULL;
	interceptors->count = 0;
}

/* ---- Making one ---- */

/* forward: its way leads through the list from the first to the last. */
static void point(struct mrpc_passage *passage, struct mrpc_chain *chain, bool forward)
{
	passage->first = &chain->hooks[forward ? 0 : chain->count - 1];
	passage->step = forward ? 1 : -1;
}

static void run(struct mrpc_task *task);

static struct mrpc_chain *new_chain(struct minirpc_call *call, struct mrpc_interceptors *owner,
				    size_t size)
{
	struct mrpc_chain *chain = mrpc_arena_alloc(&call->arena, size); /* zeroed */

	assert(call->chain == NULL);
	if (chain == NULL)
		return NULL;
	chain->call = mrpc_call_ref(call);
	chain->task.phase = MRPC_DELIVER;
	chain->task.run = run;
	chain->sent.sent = true;
	mrpc_list_push(&owner->chains, &chain->node);
	call->out.writer = &chain->task;
	call->chain = chain;
	return chain;
}

static void add_hook(struct mrpc_chain *chain, const struct minirpc_use *use, uint8_t **data)
{
	struct minirpc_hook *hook = &chain->hooks[chain->count++];

	hook->chain = chain;
	hook->interceptor = use->interceptor;
	hook->user = use->user;
	hook->data = *data;
	*data += round_up(use->interceptor->data_size);
	chain->closers += use->interceptor->on_close != NULL;
}

int mrpc_call_intercept_all(struct minirpc_call *call, struct mrpc_interceptors *owner)
{
	struct mrpc_chain *chain = new_chain(call, owner, owner->chain_size);
	uint8_t *data;

	if (chain == NULL)
		return -ENOMEM;
	data = (uint8_t *)chain + owner->data_at;
	for (size_t i = 0; i < owner->count; i++)
		add_hook(chain, &owner->uses[i], &data);
	point(&chain->sent, chain, false);
	point(&chain->received, chain, true);
	return 0;
}

/* Adds up those that a client's call takes: hooks, and bytes of their data. False: it would wrap. */
static bool add_up(const struct minirpc_use *uses, size_t count, bool per_attempt, size_t *hooks,
		   size_t *bytes)
{
	for (size_t i = 0; i < count; i++) {
		if (uses[i].interceptor->per_attempt != per_attempt)
			continue;
		(*hooks)++;
		if (!mrpc_add(*bytes, round_up(uses[i].interceptor->data_size), bytes))
			return false;
	}
	return true;
}

static void add_hooks(struct mrpc_chain *chain, const struct minirpc_use *uses, size_t count,
		      bool per_attempt, uint8_t **data)
{
	for (size_t i = 0; i < count; i++)
		if (uses[i].interceptor->per_attempt == per_attempt)
			add_hook(chain, &uses[i], data);
}

int mrpc_call_intercept(struct minirpc_call *call, struct mrpc_interceptors *owner,
			const struct minirpc_use *own, bool per_attempt)
{
	size_t own_count = count_uses(own), hooks = 0, bytes = 0, data_at;
	struct mrpc_chain *chain;
	uint8_t *data;

	if (!add_up(owner->uses, owner->count, per_attempt, &hooks, &bytes) ||
	    !add_up(own, own_count, per_attempt, &hooks, &bytes))
		return -ENOMEM;
	if (hooks == 0)
		return 0;
	if (!find_data(hooks, &data_at) || !mrpc_add(data_at, bytes, &bytes))
		return -ENOMEM;
	chain = new_chain(call, owner, bytes);
	if (chain == NULL)
		return -ENOMEM;
	data = (uint8_t *)chain + data_at;
	add_hooks(chain, owner->uses, owner->count, per_attempt, &data);
	add_hooks(chain, own, own_count, per_attempt, &data);
	point(&chain->sent, chain, true);
	point(&chain->received, chain, false);

	mrpc_lane_clear(&call->out);
	call->out.state = MRPC_LANE_IDLE;
	mrpc_chain_push_headers(chain);
	return 0;
}

/* ---- The end of one ---- */

static void forget_part(struct mrpc_passage *passage)
{
	mrpc_part_free(passage->part);
	passage->part = NULL;
	passage->busy = false;
	passage->waited = passage->held = passage->resumed = false;
	passage->stopped = passage->has_stop = false;
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
	disturb(chain);
	mrpc_task_sleep(&chain->task);
	if (chain->sent.busy)
		forget_part(&chain->sent);
	if (chain->received.busy)
		forget_part(&chain->received);
	drop_outbox(chain);
	for (size_t i = 0; chain->closers > 0 && i < chain->count; i++) {
		struct minirpc_hook *hook = &chain->hooks[i];

		if (hook->seen && hook->interceptor->on_close != NULL)
			hook->interceptor->on_close(hook, last_status(call), hook->user);
	}
	mrpc_list_remove(&chain->node);
	mrpc_call_unref(call);
}

bool mrpc_chain_owes(const struct mrpc_chain *chain)
{
	for (size_t i = 0; chain->closers > 0 && i < chain->count; i++)
		if (chain->hooks[i].seen && chain->hooks[i].interceptor->on_close != NULL)
			return true;
	return false;
}

void mrpc_chain_look(struct mrpc_chain *chain)
{
	chain->received.disturbed = true; /* the call may be over */
	if (chain->call->transport != NULL || chain->call->has_handle || chain->closed)
		return;
	if (mrpc_chain_owes(chain) || chain->shown != NULL)
		mrpc_turn_wake(chain->call->place.turn, &chain->task);
	else
		close_chain(chain); /* nobody to tell */
}

void mrpc_chain_cut(struct mrpc_chain *chain)
{
	disturb(chain);
	drop_outbox(chain);
	if (chain->shown != &chain->sent)
		forget_part(&chain->sent);
}

/* ---- Through the hooks ---- */

struct minirpc_hook *mrpc_chain_hook(const struct mrpc_passage *passage)
{
	return passage->left == 0 ? NULL : passage->at;
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
MRPC_COLD static bool end_of_pass(struct mrpc_chain *chain, struct mrpc_passage *passage)
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
	passage->waited = passage->held = !passage->resumed;
	return passage->held;
}

/* What a hook has done with its part but let it pass. True: on to the next one. */
MRPC_COLD static bool goes_on(struct mrpc_chain *chain, struct mrpc_passage *passage,
			      enum minirpc_verdict verdict)
{
	if (chain->due || mrpc_chain_is_cut(chain, passage))
		return end_of_pass(chain, passage);
	passage->disturbed = false;
	if (verdict != MINIRPC_PASS && must_wait(chain, passage, verdict))
		return false;
	passage->resumed = passage->stopped = passage->has_stop = false;
	return true;
}

/* It was held by the hook before `at`, or is by the one that is. */
MRPC_COLD static bool is_let_go(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	if (passage->held)
		return false;
	if (passage->stopped) {
		stop(chain, passage);
		return false;
	}
	passage->waited = passage->resumed = passage->has_stop = false;
	return true;
}

/* True: all have let it pass. False: it is held, or the call is over in this direction. Most hooks let most
 * parts pass, and so that is what is written out here: a part costs each of them one call and two tests. */
static bool pass(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	if (passage->waited && !is_let_go(chain, passage))
		return false;
	for (; passage->left > 0; mrpc_passage_next(passage)) {
		struct minirpc_hook *hook = passage->at;
		const struct minirpc_interceptor *interceptor = hook->interceptor;
		enum minirpc_verdict (*fn)(minirpc_hook *, const struct minirpc_part *, void *) =
			passage->sent ? interceptor->on_send : interceptor->on_receive;
		enum minirpc_verdict verdict;

		hook->seen = true;
		if (fn == NULL)
			continue;
		chain->shown = passage;
		verdict = fn(hook, &passage->view, hook->user);
		chain->shown = NULL;
		if ((verdict != MINIRPC_PASS || passage->disturbed) &&
		    !goes_on(chain, passage, verdict))
			return false;
	}
	return true;
}

/* The metadata and the status are the call's own, so that a change shows in them by itself. */
static void begin(struct mrpc_chain *chain, struct mrpc_passage *passage,
		  const struct minirpc_part *view)
{
	passage->view = *view;
	passage->busy = true;
	passage->at = passage->first;
	passage->left = chain->count;
}

static void begin_headers(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	struct minirpc_call *call = chain->call;

	begin(chain, passage,
	      &(struct minirpc_part){
		      .kind = MINIRPC_PART_HEADERS,
		      .metadata = passage->sent ? &call->out_headers : &call->in_headers,
	      });
}

static void begin_message(struct mrpc_chain *chain, struct mrpc_passage *passage,
			  struct mrpc_part *part)
{
	passage->part = part;
	begin(chain, passage,
	      &(struct minirpc_part){
		      .kind = MINIRPC_PART_MESSAGE,
		      .data = mrpc_part_data(part),
		      .len = part->len,
	      });
}

/* The server's end has a status, the client's none. */
static void begin_end(struct mrpc_chain *chain, struct mrpc_passage *passage)
{
	struct minirpc_call *call = chain->call;
	struct minirpc_part view = { .kind = MINIRPC_PART_END };

	if ((call->role == MRPC_SERVER) == passage->sent) {
		view.metadata = passage->sent ? &call->out_trailers : &call->in_trailers;
		view.status = passage->sent ? &call->out_status : &call->in_status;
	}
	begin(chain, passage, &view);
}

/* ---- Received ---- */

void mrpc_chain_begin_headers(struct mrpc_chain *chain)
{
	begin_headers(chain, &chain->received);
}

void mrpc_chain_begin_message(struct mrpc_chain *chain, struct mrpc_part *part)
{
	begin_message(chain, &chain->received, part);
}

void mrpc_chain_begin_end(struct mrpc_chain *chain)
{
	begin_end(chain, &chain->received);
}

bool mrpc_chain_receive(struct mrpc_chain *chain)
{
	struct mrpc_passage *passage = &chain->received;

	if (!pass(chain, passage))
		return false;
	if (mrpc_call_is_paused(chain->call) && passage->view.kind != MINIRPC_PART_HEADERS)
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
	if (outbox->messages < 2)
		outbox->messages++;
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
		begin_headers(chain, &chain->sent);
	} else if (part != NULL) {
		if (!mrpc_lane_has_room(&chain->call->out))
			return false;
		outbox->first = part->next;
		chain->weight = weight(part);
		begin_message(chain, &chain->sent, part);
	} else if (outbox->has_end) {
		outbox->has_end = false;
		begin_end(chain, &chain->sent);
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

	/* One that is closed has nothing at hand, and nothing in its outbox. */
	if (!chain->sent.busy && !begin_next(chain))
		return false;
	if (!pass(chain, &chain->sent))
		return false;
	chain->sent.busy = false;
	switch (chain->sent.view.kind) {
	case MINIRPC_PART_HEADERS:
		mrpc_lane_push_headers(&call->out);
		if (call->owner_ops != NULL && call->owner_ops->ready != NULL)
			call->owner_ops->ready(call);
		break;
	case MINIRPC_PART_MESSAGE:
		push_message(chain);
		break;
	case MINIRPC_PART_END:
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

/* SPDX-License-Identifier: MIT */
/* Hook: what an interceptor may do with the part that it is shown, or that it holds. See chain.c. */
#include "call/chain.h"
#include "call/deliver.h"

#include <errno.h>
#include <string.h>

minirpc_call *minirpc_hook_call(const minirpc_hook *hook)
{
	return hook->chain->call;
}

void *minirpc_hook_data(const minirpc_hook *hook)
{
	return hook->data;
}

static bool is_mine(const struct minirpc_hook *hook, const struct mrpc_passage *passage)
{
	struct mrpc_chain *chain = hook->chain;

	return passage->busy && (chain->shown == passage || passage->held) &&
	       mrpc_chain_hook(passage) == hook && !mrpc_chain_is_cut(chain, passage);
}

/* The part that is meant: the one that the hook is shown, else the one that it holds; of two that are
 * held the one that came last and is of a kind that fits. */
static struct mrpc_passage *find(const struct minirpc_hook *hook,
				 bool (*fits)(const struct mrpc_passage *passage))
{
	struct mrpc_chain *chain = hook->chain;
	struct mrpc_passage *first = chain->last;
	struct mrpc_passage *second = first == &chain->sent ? &chain->received : &chain->sent;

	if (chain->shown != NULL && is_mine(hook, chain->shown))
		return fits(chain->shown) ? chain->shown : NULL;
	if (first != NULL && is_mine(hook, first) && fits(first))
		return first;
	return is_mine(hook, second) && fits(second) ? second : NULL;
}

static bool has_metadata(const struct mrpc_passage *passage)
{
	return passage->view.metadata != NULL;
}

static bool has_message(const struct mrpc_passage *passage)
{
	return passage->part != NULL;
}

static bool has_anything(const struct mrpc_passage *passage)
{
	(void)passage;
	return true;
}

/* What the view says of it is only to be looked at. */
static struct minirpc_metadata *metadata_of(struct minirpc_call *call,
					    const struct mrpc_passage *passage)
{
	if (passage->view.kind == MINIRPC_PART_HEADERS)
		return passage->sent ? &call->out_headers : &call->in_headers;
	return passage->sent ? &call->out_trailers : &call->in_trailers;
}

void minirpc_hook_resume(minirpc_hook *hook, bool sent, const struct minirpc_status *stop)
{
	struct mrpc_chain *chain = hook->chain;
	struct minirpc_call *call = chain->call;
	struct mrpc_passage *passage = sent ? &chain->sent : &chain->received;

	if (chain->closed || !is_mine(hook, passage))
		return;
	passage->disturbed = true;
	if (stop != NULL) {
		passage->stopped = passage->has_stop = true;
		mrpc_call_keep_status(call, &passage->stop, stop);
	}
	if (!passage->held) { /* inside on_send, on_receive */
		passage->resumed = true;
		return;
	}
	passage->held = false;
	if (stop == NULL)
		mrpc_passage_next(passage);
	mrpc_turn_wake(call->place.turn, sent ? &chain->task : &call->task);
}

/* The metadata that is meant, and whether what is sent may still grow [M-5]. */
static int add(minirpc_hook *hook, const struct minirpc_field *field, bool replace)
{
	const struct minirpc_field fields[] = { *field, { NULL } };
	const struct mrpc_passage *passage = find(hook, has_metadata);
	struct minirpc_metadata *metadata, before;
	size_t replaced = 0;
	int r;

	if (passage == NULL || field->key == NULL)
		return -EINVAL;
	metadata = metadata_of(hook->chain->call, passage);
	before = *metadata;
	r = mrpc_metadata_add_all(metadata, fields);
	if (r < 0)
		return r;
	if (replace)
		replaced = mrpc_metadata_bytes(&before, field->key);
	if (passage->sent &&
	    metadata->bytes - replaced > hook->chain->call->limits->max_header_bytes) {
		*metadata = before;
		return -E2BIG;
	}
	if (replace)
		mrpc_metadata_remove(metadata, field->key, before.count);
	return 0;
}

int minirpc_hook_add_metadata(minirpc_hook *hook, const struct minirpc_field *field)
{
	return add(hook, field, false);
}

int minirpc_hook_set_metadata(minirpc_hook *hook, const struct minirpc_field *field)
{
	return add(hook, field, true);
}

int minirpc_hook_remove_metadata(minirpc_hook *hook, const char *key)
{
	const struct mrpc_passage *passage = find(hook, has_metadata);
	struct minirpc_metadata *metadata;
	size_t len = strlen(key);

	if (passage == NULL || !mrpc_metadata_key_is_valid(key, len) ||
	    mrpc_metadata_key_is_reserved(key, len))
		return -EINVAL;
	metadata = metadata_of(hook->chain->call, passage);
	mrpc_metadata_remove(metadata, key, metadata->count);
	return 0;
}

int minirpc_hook_set_message(minirpc_hook *hook, const void *data, size_t len)
{
	struct mrpc_passage *passage = find(hook, has_message);
	struct minirpc_call *call = hook->chain->call;
	struct mrpc_part *part;

	if (passage == NULL)
		return -EINVAL;
	if (len > (passage->sent ? call->max_send_message : call->max_receive_message))
		return -EMSGSIZE;
	part = mrpc_part_new(call->place.pool, len);
	if (part == NULL)
		return -ENOMEM;
	if (len > 0)
		memcpy(mrpc_part_data(part), data, len);
	part->compressed = passage->part->compressed;
	part->inflated = passage->part->inflated;
	part->credit = passage->part->credit;
	mrpc_part_free(passage->part);
	passage->part = part;
	passage->view.data = mrpc_part_data(part);
	passage->view.len = len;
	return 0;
}

void minirpc_hook_set_status(minirpc_hook *hook, const struct minirpc_status *status)
{
	struct mrpc_passage *passage = find(hook, has_anything);
	struct minirpc_call *call = hook->chain->call;

	if (passage == NULL)
		return;
	passage->has_stop = passage->disturbed = true;
	mrpc_call_keep_status(call, &passage->stop, status);
	if (passage->view.status == NULL)
		return;
	if (passage->sent)
		mrpc_call_set_answer(call, &passage->stop);
	else if (status->code == MINIRPC_OK)
		call->in_status = (struct minirpc_status){ .message = "" }; /* S-2 */
	else
		call->in_status = passage->stop;
}

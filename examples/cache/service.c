/* SPDX-License-Identifier: MIT */
/* The cache service.
 *
 * Store asks Accounts first whether the caller may have another key. No thread waits for that: the
 * handler makes a child call and returns; the answer comes as an event and ends the Store. The
 * child inherits what is left of the caller's deadline, and is cancelled when the caller goes away.
 *
 * Dump sends a view of the store (store.h) as fast as the caller reads and no faster: when the
 * call's queue is full it waits for on_writable. So its memory does not depend on the size of the
 * store. */
#include "service.h"

#include "cache.minirpc.h"
#include "errors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define KEY_MAX 1024u
#define ACCOUNTS_TIME MINIRPC_S(2)

/* How many keys an account has stored. */
struct usage {
	UT_hash_handle hh;
	int64_t keys;
	char token[];
};

struct service {
	struct store *store;
	struct service_options options;
	struct usage *usage;
};

struct service *service_new(const struct service_options *options)
{
	struct service *service = calloc(1, sizeof *service);

	if (service == NULL)
		return NULL;
	service->options = *options;
	service->store = store_new(options->max_memory);
	if (service->store == NULL) {
		free(service);
		return NULL;
	}
	return service;
}

void service_free(struct service *service)
{
	struct usage *usage, *next;

	if (service == NULL)
		return;
	HASH_ITER(hh, service->usage, usage, next)
	{
		HASH_DEL(service->usage, usage);
		free(usage);
	}
	store_free(service->store);
	free(service);
}

int service_load(struct service *service, const char *path)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int r = 0;

	if (file == NULL)
		return -errno;
	while (r == 0 && (len = getline(&line, &size, file)) > 0) {
		char *arrow = strstr(line, " => ");

		if (line[len - 1] == '\n')
			line[--len] = '\0';
		if (arrow == NULL) {
			r = -EBADMSG;
			break;
		}
		*arrow = '\0';
		r = store_put(service->store, line, arrow + 4, strlen(arrow + 4), NULL);
	}
	free(line);
	fclose(file);
	return r;
}

/* ---- Store ---- */

/* The account's counter, made on first use; NULL: no memory. */
static struct usage *usage_of(struct service *service, const char *token)
{
	struct usage *usage;

	HASH_FIND_STR(service->usage, token, usage);
	if (usage != NULL)
		return usage;
	usage = calloc(1, sizeof *usage + strlen(token) + 1);
	if (usage == NULL)
		return NULL;
	strcpy(usage->token, token);
	HASH_ADD_STR(service->usage, token, usage);
	if (usage->hh.tbl == NULL) {
		free(usage);
		return NULL;
	}
	return usage;
}

/* What an answer has to say beside itself: how long Accounts took, when "server-timing" asked (W3C Server
 * Timing; began 0: it was not asked), and what a dry run would have done (NULL: it was none). */
static void tell_beside(minirpc_call *call, minirpc_time began, const char *result)
{
	minirpc_loop *loop = minirpc_server_loop(minirpc_call_server(call));
	struct minirpc_field trailers[3] = { 0 };
	char timing[48];
	int count = 0;

	if (began > 0 &&
	    minirpc_metadata_get(minirpc_call_headers(call), "server-timing") != NULL) {
		snprintf(timing, sizeof timing, "accounts;dur=%.3f",
			 (double)(minirpc_loop_now(loop) - began) / 1e6);
		trailers[count++] = (struct minirpc_field){ "server-timing", timing };
	}
	if (result != NULL)
		trailers[count++] = (struct minirpc_field){ "dry-run-result", result };
	if (count > 0)
		minirpc_call_set_trailers(call, trailers);
}

/* "dry-run: true" asks what a Store would do. The same metadata goes with the question to Accounts: calls
 * with a parent hand it down. */
static bool is_dry_run(const minirpc_call *call)
{
	const char *value = minirpc_metadata_get(minirpc_call_headers(call), "dry-run");

	return value != NULL && strcmp(value, "true") == 0;
}

static void fail_put(const struct service *service, rpc_cache_store_callee *call, const char *why)
{
	fail_full(rpc_cache_store_call(call), why, store_bytes(service->store),
		  service->options.max_memory);
}

/* Answers a dry run: nothing has happened, and this is what would. */
static void say_what_would_be(const struct service *service, rpc_cache_store_callee *call,
			      const Rpc__StoreReq *req, minirpc_time began)
{
	char text[96];
	struct blob old;

	if (!store_has_room(service->store, req->key, req->val.len)) {
		fail_put(service, call, "The cache is full");
		return;
	}
	if (store_get(service->store, req->key, &old) == 0)
		snprintf(text, sizeof text, "would replace %zu bytes by %zu", old.len,
			 req->val.len);
	else
		snprintf(text, sizeof text, "would store %zu bytes under a new key", req->val.len);
	tell_beside(rpc_cache_store_call(call), began, text);
	rpc_cache_store_reply(call, &(Rpc__StoreResp){ RPC__STORE_RESP__FIELDS });
}

/* Puts the value in and answers. usage: whose key it is if it is a new one; NULL: nobody's.
 * began: when Accounts was asked; 0: it was not. */
static void put(struct service *service, rpc_cache_store_callee *call, const Rpc__StoreReq *req,
		struct usage *usage, minirpc_time began)
{
	int is_new = 0;
	int r;

	if (is_dry_run(rpc_cache_store_call(call))) {
		say_what_would_be(service, call, req, began);
		return;
	}
	r = store_put(service->store, req->key, req->val.data, req->val.len, &is_new);
	if (r < 0) {
		fail_put(service, call, r == -ENOSPC ? "The cache is full" : "Out of memory");
		return;
	}
	if (is_new && usage != NULL)
		usage->keys++;
	tell_beside(rpc_cache_store_call(call), began, NULL);
	rpc_cache_store_reply(call, &(Rpc__StoreResp){ RPC__STORE_RESP__FIELDS });
}

/* A Store that waits for its account. Lives, as its request does, until the call is ended. */
struct pending {
	struct service *service;
	rpc_cache_store_callee *call;
	const Rpc__StoreReq *req;
	minirpc_time began;
};

static void on_account(const struct minirpc_status *status, const Rpc__GetByTokenResp *resp,
		       void *user)
{
	const struct pending *pending = user;
	struct service *service = pending->service;
	const Rpc__StoreReq *req = pending->req;
	struct usage *usage;
	struct blob old;

	if (status->code != MINIRPC_OK) {
		tell_beside(rpc_cache_store_call(pending->call), pending->began, NULL);
		fail_by_accounts(rpc_cache_store_call(pending->call), status);
		return;
	}
	usage = usage_of(service, req->account_token);
	if (usage == NULL) {
		rpc_cache_store_fail(pending->call, MINIRPC_RESOURCE_EXHAUSTED, "Out of memory");
		return;
	}
	if (resp->account == NULL || (store_get(service->store, req->key, &old) == -ENOENT &&
				      usage->keys >= resp->account->max_cache_keys)) {
		fail_over_quota(rpc_cache_store_call(pending->call), req->account_token,
				resp->account == NULL ? 0 : resp->account->max_cache_keys);
		return;
	}
	put(service, pending->call, req, usage, pending->began);
}

static void ask_accounts(struct service *service, rpc_cache_store_callee *call,
			 const Rpc__StoreReq *req)
{
	struct pending *pending = minirpc_call_alloc(rpc_cache_store_call(call), sizeof *pending);
	Rpc__GetByTokenReq lookup = { RPC__GET_BY_TOKEN_REQ__FIELDS, .token = req->account_token };
	int r = -ENOMEM;

	if (pending != NULL) {
		*pending = (struct pending){ service, call, req,
					     minirpc_loop_now(minirpc_channel_loop(
						     service->options.accounts)) };
		r = rpc_accounts_get_by_token(service->options.accounts, &lookup,
					      &(struct minirpc_call_options){
						      .parent = rpc_cache_store_call(call),
						      .timeout = ACCOUNTS_TIME,
					      },
					      on_account, pending);
	}
	if (r < 0)
		rpc_cache_store_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "accounts: %s",
				     strerror(-r));
}

static void on_store(rpc_cache_store_callee *call, const Rpc__StoreReq *req, void *user)
{
	struct service *service = user;
	size_t key_len = strlen(req->key);

	if (key_len == 0 || key_len > KEY_MAX)
		rpc_cache_store_fail(call, MINIRPC_INVALID_ARGUMENT,
				     "A key has 1 to %u bytes of UTF-8, not %zu", KEY_MAX, key_len);
	else if (req->val.len > service->options.max_value)
		rpc_cache_store_fail(call, MINIRPC_RESOURCE_EXHAUSTED,
				     "A value has at most %zu bytes, not %zu",
				     service->options.max_value, req->val.len);
	else if (service->options.accounts == NULL)
		put(service, call, req, NULL, 0);
	else
		ask_accounts(service, call, req);
}

/* ---- Get ---- */

static void on_get(rpc_cache_get_callee *call, const Rpc__GetReq *req, void *user)
{
	const struct service *service = user;
	struct blob value;

	if (store_get(service->store, req->key, &value) < 0)
		fail_not_found(rpc_cache_get_call(call), req->key);
	else
		rpc_cache_get_reply(call,
				    &(Rpc__GetResp){ RPC__GET_RESP__FIELDS,
						     .val = { value.len, (uint8_t *)value.data } });
}

/* ---- Dump ---- */

static void dump_end(rpc_cache_dump_callee *call, const struct minirpc_status *status, void *view)
{
	(void)status;
	store_view_close(view);
	rpc_cache_dump_finish(call); /* the caller has left; gives the call back */
}

static void dump_more(rpc_cache_dump_callee *call, void *view)
{
	struct store_item item;
	int r = 0;

	while (store_view_peek(view, &item) == 0) {
		r = rpc_cache_dump_reply(
			call,
			&(Rpc__DumpItem){ RPC__DUMP_ITEM__FIELDS, .key = (char *)item.key,
					  .val = { item.value.len, (uint8_t *)item.value.data } });
		if (r == -EAGAIN)
			return; /* on_writable comes when there is room */
		if (r < 0)
			break;
		store_view_next(view);
	}
	store_view_close(view);
	if (r < 0)
		rpc_cache_dump_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "Dump: %s", strerror(-r));
	else
		rpc_cache_dump_finish(call);
}

static void on_dump(rpc_cache_dump_callee *call, const Rpc__DumpReq *req, void *user)
{
	static const struct rpc_cache_dump_callee_events events = { .on_writable = dump_more,
								    .on_end = dump_end };
	struct service *service = user;
	struct store_view *view = store_view_open(service->store);

	(void)req;
	if (view == NULL || rpc_cache_dump_listen(call, &events, view) < 0) {
		store_view_close(view);
		rpc_cache_dump_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "Out of memory");
		return;
	}
	dump_more(call, view);
}

static const struct rpc_cache_handlers handlers = { .store = on_store,
						    .get = on_get,
						    .dump = on_dump };

int service_serve(struct service *service, minirpc_server *server)
{
	return rpc_cache_serve(server, &handlers, service);
}

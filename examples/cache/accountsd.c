/* SPDX-License-Identifier: MIT */
/* accountsd: who may store how many keys. Type
 *
 *	accountsd --account inconshreveable=100 --account gopher=5
 *
 * and it answers rpc.Accounts/GetByToken on localhost:5052. */
#include "cache.minirpc.h"
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: accountsd [--listen HOST:PORT]... [--account TOKEN=MAX_CACHE_KEYS]...\n"
	"\n"
	"Answers which account a token belongs to (rpc.Accounts).\n"
	"\n"
	"  --listen HOST:PORT            default localhost:5052; port 0 picks one; unix:PATH works "
	"too\n"
	"  --account TOKEN=N             an account that may store N keys; default "
	"inconshreveable=100\n"
	"  --slow TOKEN=SECONDS          answers for this account after so long: the hop that "
	"hangs\n" DAEMON_USAGE "  --help, --version\n";

#define ACCOUNTS_MAX 1024

struct account {
	char token[256];
	int64_t max_cache_keys;
	minirpc_time slow; /* answers so much later */
};

struct accounts {
	struct account list[ACCOUNTS_MAX];
	int count;
};

static void add_account(struct accounts *accounts, const char *text)
{
	const char *equals = strrchr(text, '=');
	struct account *account = &accounts->list[accounts->count];
	char *end;

	if (accounts->count == ACCOUNTS_MAX)
		daemon_usage("accountsd", "at most %d accounts", ACCOUNTS_MAX);
	if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof account->token)
		daemon_usage("accountsd", "--account takes TOKEN=MAX_CACHE_KEYS, not '%s'", text);
	errno = 0;
	account->max_cache_keys = strtoll(equals + 1, &end, 10);
	if (errno != 0 || end == equals + 1 || *end != '\0' || account->max_cache_keys < 0)
		daemon_usage("accountsd", "'%s' is no number of keys", equals + 1);
	memcpy(account->token, text, (size_t)(equals - text));
	accounts->count++;
}

static struct account *find_account(struct accounts *accounts, const char *token)
{
	for (int i = 0; i < accounts->count; i++)
		if (strcmp(accounts->list[i].token, token) == 0)
			return &accounts->list[i];
	return NULL;
}

static void add_slow(struct accounts *accounts, const char *text)
{
	const char *equals = strrchr(text, '=');
	struct account *account;
	char token[256], *end;
	double seconds;

	snprintf(token, sizeof token, "%.*s", equals == NULL ? 0 : (int)(equals - text), text);
	account = find_account(accounts, token);
	if (account == NULL)
		daemon_usage("accountsd",
			     "--slow takes TOKEN=SECONDS of an --account before it, not '%s'",
			     text);
	seconds = strtod(equals + 1, &end);
	if (end == equals + 1 || *end != '\0' || !(seconds > 0) || seconds > 1e6)
		daemon_usage("accountsd", "'%s' is no number of seconds", equals + 1);
	account->slow = (minirpc_time)(seconds * 1e9);
}

static void answer(rpc_accounts_get_by_token_callee *call, const struct account *account)
{
	Rpc__Account message = { RPC__ACCOUNT__FIELDS, .max_cache_keys = account->max_cache_keys };

	rpc_accounts_get_by_token_reply(
		call,
		&(Rpc__GetByTokenResp){ RPC__GET_BY_TOKEN_RESP__FIELDS, .account = &message });
}

/* An answer that takes its time. Lives, as its timer does, no longer than the call. */
struct slow {
	rpc_accounts_get_by_token_callee *call;
	const struct account *account;
	minirpc_timer *timer;
};

static void on_time(void *user)
{
	struct slow *slow = user;

	answer(slow->call, slow->account);
}

/* The caller left: gave up, or its own caller did. */
static void on_left(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct slow *slow = user;

	fprintf(stderr, "accountsd: the caller left: %s\n", minirpc_code_name(status->code));
	minirpc_timer_cancel(slow->timer);
	minirpc_call_cancel(call);
}

static void answer_later(rpc_accounts_get_by_token_callee *callee, const struct account *account)
{
	static const struct minirpc_call_events events = { .on_end = on_left };
	minirpc_call *call = rpc_accounts_get_by_token_call(callee);
	struct slow *slow = minirpc_call_alloc(call, sizeof *slow);
	minirpc_loop *loop = minirpc_server_loop(minirpc_call_server(call));

	if (slow != NULL) {
		*slow = (struct slow){ callee, account };
		if (minirpc_timer_start(&slow->timer, loop, account->slow, on_time, slow) == 0) {
			minirpc_call_listen(call, &events, slow);
			return;
		}
	}
	rpc_accounts_get_by_token_fail(callee, MINIRPC_RESOURCE_EXHAUSTED, "Out of memory");
}

static void on_get_by_token(rpc_accounts_get_by_token_callee *call, const Rpc__GetByTokenReq *req,
			    void *user)
{
	const struct minirpc_metadata *metadata =
		minirpc_call_headers(rpc_accounts_get_by_token_call(call));
	const struct account *account = find_account(user, req->token);

	if (minirpc_metadata_get(metadata, "dry-run") != NULL)
		fputs("accountsd: dry run: a question for a call that will have no effect\n",
		      stderr);
	if (account == NULL)
		rpc_accounts_get_by_token_fail(call, MINIRPC_NOT_FOUND, "Account not found %s",
					       req->token);
	else if (account->slow > 0)
		answer_later(call, account);
	else
		answer(call, account);
}

static const struct rpc_accounts_handlers handlers = { .get_by_token = on_get_by_token };

int main(int argc, char **argv)
{
	enum { ACCOUNT = DAEMON_OWN, SLOW };
	static const struct option options[] = {
		DAEMON_OPTIONS,
		{ "account", required_argument, NULL, ACCOUNT },
		{ "slow", required_argument, NULL, SLOW },
		{ 0 },
	};
	static struct accounts accounts;
	struct daemon daemon = { .name = "accountsd" };
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == ACCOUNT)
			add_account(&accounts, optarg);
		else if (option == SLOW)
			add_slow(&accounts, optarg);
		else
			daemon_option(&daemon, option, usage);
	}
	if (optind < argc)
		daemon_usage("accountsd", "what is '%s'?", argv[optind]);
	if (accounts.count == 0)
		add_account(&accounts, "inconshreveable=100");

	daemon_open(&daemon, "localhost:5052");
	if (rpc_accounts_serve(daemon.server, &handlers, &accounts) < 0)
		return 1;
	r = daemon_run(&daemon);
	daemon_close_server(&daemon);
	daemon_close_loop(&daemon);
	return r;
}

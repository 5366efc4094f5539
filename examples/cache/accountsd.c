/* SPDX-License-Identifier: MIT */
/* accountsd: who may store how many keys. Type
 *
 *	accountsd --account inconshreveable=100 --account gopher=5
 *
 * and it answers rpc.Accounts/GetByToken on localhost:5052. */
#include "cache.minirpc.h"
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: accountsd [--listen HOST:PORT]... [--account TOKEN=MAX_CACHE_KEYS]...\n"
	"\n"
	"Answers which account a token belongs to (rpc.Accounts).\n"
	"\n"
	"  --listen HOST:PORT   default localhost:5052; port 0 picks one; unix:PATH works too\n"
	"  --account TOKEN=N    an account that may store N keys; default inconshreveable=100\n"
	"  --tls-cert FILE      serve TLS with this certificate chain (PEM) ...\n"
	"  --tls-key FILE       ... and its key\n"
	"  --tls-ca FILE        ask clients for a certificate signed by one of these\n"
	"  --help, --version\n";

#define ACCOUNTS_MAX 1024

struct account {
	char token[256];
	int64_t max_cache_keys;
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

static void on_get_by_token(rpc_accounts_get_by_token_callee *call, const Rpc__GetByTokenReq *req,
			    void *user)
{
	const struct accounts *accounts = user;

	for (int i = 0; i < accounts->count; i++) {
		Rpc__Account account = { RPC__ACCOUNT__FIELDS,
					 .max_cache_keys = accounts->list[i].max_cache_keys };

		if (strcmp(accounts->list[i].token, req->token) != 0)
			continue;
		rpc_accounts_get_by_token_reply(
			call, &(Rpc__GetByTokenResp){ RPC__GET_BY_TOKEN_RESP__FIELDS,
						      .account = &account });
		return;
	}
	rpc_accounts_get_by_token_fail(call, MINIRPC_NOT_FOUND, "Account not found %s", req->token);
}

static const struct rpc_accounts_handlers handlers = { .get_by_token = on_get_by_token };

int main(int argc, char **argv)
{
	enum { ACCOUNT = DAEMON_OWN };
	static const struct option options[] = {
		DAEMON_OPTIONS,
		{ "account", required_argument, NULL, ACCOUNT },
		{ 0 },
	};
	static struct accounts accounts;
	struct daemon daemon = { .name = "accountsd" };
	int option, r;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == ACCOUNT)
			add_account(&accounts, optarg);
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

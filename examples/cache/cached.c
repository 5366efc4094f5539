/* SPDX-License-Identifier: MIT */
/* cached: the cache of the talk "gRPC in Production". Type
 *
 *	cached                                    (no quotas, as in the talk's first half)
 *	cached --accounts localhost:5052          (every Store asks accountsd first)
 *
 * and it serves rpc.Cache on localhost:5051; cachectl talks to it, and so does any gRPC client. */
#include "daemon.h"
#include "service.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"Usage: cached [--listen HOST:PORT]... [--accounts TARGET] [--max-memory BYTES] ...\n"
	"\n"
	"A cache with the methods Store, Get and Dump (rpc.Cache).\n"
	"\n"
	"  --listen HOST:PORT            default localhost:5051; port 0 picks one; unix:PATH works "
	"too\n"
	"  --max-memory BYTES            of keys and values (K, M, G may follow); default 256M\n"
	"  --max-value BYTES             of one value; default 4000000, so that it fits into "
	"everybody's\n"
	"                                limit of 4 MiB for a message\n"
	"  --load FILE                   begin with what it says, a line KEY => VALUE for each\n"
	"  --compress NAME               answer compressed (gzip or deflate) those who accept "
	"it\n" DAEMON_USAGE
	"  --accounts TARGET             ask this accountsd before storing; default: no quotas\n"
	"  --accounts-tls                reach it over TLS; our own certificate, if any, is shown\n"
	"  --accounts-ca FILE            whom to trust for that; default: --tls-ca, else the "
	"system's\n"
	"  --accounts-server-name NAME   the name its certificate must have; default: the target's "
	"host\n"
	"  --help, --version\n";

#define VALUE_MAX 4000000u
#define KEY_ROOM 8192u /* what a message holds beside the value */

struct accounts_flags {
	const char *target, *ca, *server_name;
	bool tls;
};

static minirpc_channel *accounts_channel(const struct daemon *daemon,
					 const struct accounts_flags *flags)
{
	minirpc_channel *channel;
	minirpc_tls *tls = NULL;
	char error[256];
	int r;

	if (flags->tls) {
		const struct minirpc_tls_options options = {
			.cert_file = daemon->tls_options.cert_file,
			.key_file = daemon->tls_options.key_file,
			.ca_file = flags->ca != NULL ? flags->ca : daemon->tls_options.ca_file,
			.server_name = flags->server_name,
		};

		if (minirpc_tls_new_explained(&tls, &options, error, sizeof error) < 0) {
			fprintf(stderr, "cached: TLS to accounts: %s\n", error);
			return NULL;
		}
	}
	r = minirpc_channel_new(&channel, daemon->loop, flags->target,
				&(struct minirpc_channel_options){ .tls = tls });
	minirpc_tls_unref(tls);
	if (r < 0)
		daemon_usage("cached", "--accounts %s: %s", flags->target, strerror(-r));
	return channel;
}

static void parse(int argc, char **argv, struct daemon *daemon, struct accounts_flags *accounts,
		  struct service_options *service, const char **load)
{
	enum {
		MAX_MEMORY = DAEMON_OWN,
		MAX_VALUE,
		LOAD,
		COMPRESS,
		ACCOUNTS,
		ACCOUNTS_TLS,
		ACCOUNTS_CA,
		ACCOUNTS_NAME
	};
	static const struct option options[] = {
		DAEMON_OPTIONS,
		{ "max-memory", required_argument, NULL, MAX_MEMORY },
		{ "max-value", required_argument, NULL, MAX_VALUE },
		{ "load", required_argument, NULL, LOAD },
		{ "compress", required_argument, NULL, COMPRESS },
		{ "accounts", required_argument, NULL, ACCOUNTS },
		{ "accounts-tls", no_argument, NULL, ACCOUNTS_TLS },
		{ "accounts-ca", required_argument, NULL, ACCOUNTS_CA },
		{ "accounts-server-name", required_argument, NULL, ACCOUNTS_NAME },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case MAX_MEMORY:
			service->max_memory = daemon_bytes("cached", "--max-memory", optarg);
			break;
		case MAX_VALUE:
			service->max_value = daemon_bytes("cached", "--max-value", optarg);
			if (service->max_value > 1u << 30)
				daemon_usage("cached", "--max-value is at most 1G");
			break;
		case LOAD:
			*load = optarg;
			break;
		case COMPRESS:
			if (strcmp(optarg, "gzip") != 0 && strcmp(optarg, "deflate") != 0)
				daemon_usage("cached", "--compress takes gzip or deflate, not '%s'",
					     optarg);
			daemon->compression = optarg;
			break;
		case ACCOUNTS:
			accounts->target = optarg;
			break;
		case ACCOUNTS_TLS:
			accounts->tls = true;
			break;
		case ACCOUNTS_CA:
			accounts->ca = optarg;
			break;
		case ACCOUNTS_NAME:
			accounts->server_name = optarg;
			break;
		default:
			daemon_option(daemon, option, usage);
		}
	}
	if (optind < argc)
		daemon_usage("cached", "what is '%s'?", argv[optind]);
	if (accounts->target == NULL &&
	    (accounts->tls || accounts->ca != NULL || accounts->server_name != NULL))
		daemon_usage("cached", "--accounts-... needs --accounts");
	if (!accounts->tls && (accounts->ca != NULL || accounts->server_name != NULL))
		daemon_usage("cached",
			     "--accounts-ca and --accounts-server-name need --accounts-tls");
}

int main(int argc, char **argv)
{
	struct service_options options = { .max_memory = (size_t)256 << 20,
					   .max_value = VALUE_MAX };
	struct daemon daemon = { .name = "cached" };
	struct accounts_flags accounts = { 0 };
	const char *load = NULL;
	struct service *service;
	int r = 1;

	parse(argc, argv, &daemon, &accounts, &options, &load);
	if (options.max_value > VALUE_MAX)
		daemon.max_receive_message = options.max_value + KEY_ROOM;
	daemon_open(&daemon, "localhost:5051");
	if (accounts.target != NULL) {
		options.accounts = accounts_channel(&daemon, &accounts);
		if (options.accounts == NULL)
			return 1;
	}
	service = service_new(&options);
	if (service == NULL || service_serve(service, daemon.server) < 0)
		fprintf(stderr, "cached: out of memory\n");
	else if (load != NULL && (r = service_load(service, load)) < 0)
		fprintf(stderr, "cached: %s: %s\n", load, strerror(-r));
	else
		r = daemon_run(&daemon);

	daemon_close_server(&daemon);
	minirpc_channel_free(options.accounts);
	service_free(service);
	daemon_close_loop(&daemon);
	return r != 0;
}

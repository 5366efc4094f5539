/* SPDX-License-Identifier: MIT */
/* cachectl's command line, and the channel that it describes. */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: cachectl [OPTION]... store KEY VALUE   store a value\n"
	"       cachectl [OPTION]... store KEY -       ... that comes from stdin\n"
	"       cachectl [OPTION]... get KEY           write a value, as it is, to stdout\n"
	"       cachectl [OPTION]... dump              write KEY => VALUE, a line for each\n"
	"       cachectl [OPTION]... load              store such lines from stdin, many at once\n"
	"       cachectl [OPTION]... hammer KEY SECS   get it 500 times a second, say who answers\n"
	"\n"
	"  --server TARGET          default localhost:5051; also ipv4:, ipv6:, unix:, dns:///; "
	"given again: several\n"
	"                           servers, each HOST:PORT with an IP address, or unix:PATH\n"
	"  --balance NAME           how calls are spread over them: pick_first (default), "
	"round_robin, least_request\n"
	"  --service-config JSON    timeouts, retries, hedging, load balancing; @FILE reads a "
	"file\n"
	"  --retry                  repeat what is marked safe (get, dump) when the server is "
	"away, up to 4 times\n"
	"  --dry-run                store nothing, say what would happen\n"
	"  -v, --verbose            show connections, attempts and times\n"
	"  --timeout SECONDS        give up after so long (0.05 is fine); default: never\n"
	"  --account-token TOKEN    who stores\n"
	"  --wait-for-ready         wait for the server instead of failing at once when it is "
	"away\n"
	"  --compress NAME          send messages compressed: gzip or deflate\n"
	"  --progress               show progress also when stderr is no terminal\n"
	"  --json                   one JSON object a line; base64 where a value is not UTF-8\n"
	"  --tls                    encrypt; implied by the next five\n"
	"  --tls-ca FILE            whom to trust; default: the system's certificates\n"
	"  --tls-server-name NAME   the name the certificate must have; default: the target's "
	"host\n"
	"  --tls-cert FILE --tls-key FILE   our own certificate\n"
	"  --insecure-skip-verify   trust anybody: whoever is in between reads and changes "
	"everything\n"
	"  --help, --version\n"
	"\n"
	"A failed call says \"CODE: text\" on stderr and exits with 64 + the number of the status "
	"(NOT_FOUND: 69).\n"
	"A wrong command line exits with 2, trouble with files or memory with 1.\n";

#define EXIT_USAGE 2
#define CONFIG_MAX (64u << 10)

_Noreturn void ctl_wrong_usage(const char *format, ...)
{
	va_list args;

	fputs("cachectl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry --help.\n", stderr);
	exit(EXIT_USAGE);
}

int ctl_fail(const char *what, int error)
{
	fprintf(stderr, "cachectl: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

/* What stands in the file, which lives as long as the program. */
static const char *read_config(const char *path)
{
	static char text[CONFIG_MAX + 1];
	FILE *file = fopen(path, "r");
	size_t len;

	if (file == NULL)
		exit(ctl_fail(path, -errno));
	len = fread(text, 1, CONFIG_MAX, file);
	fclose(file);
	text[len] = '\0';
	return text;
}

static minirpc_time parse_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds > 0) || seconds > 1e9)
		ctl_wrong_usage("--timeout takes a number of seconds above 0, not '%s'", text);
	return (minirpc_time)(seconds * 1e9) < 1 ? 1 : (minirpc_time)(seconds * 1e9);
}

/* The options of TLS; false when it is none of them. */
static bool parse_tls(struct ctl *ctl, const char *name)
{
	struct minirpc_tls_options *tls = &ctl->tls_options;

	if (strcmp(name, "tls-ca") == 0)
		tls->ca_file = optarg;
	else if (strcmp(name, "tls-cert") == 0)
		tls->cert_file = optarg;
	else if (strcmp(name, "tls-key") == 0)
		tls->key_file = optarg;
	else if (strcmp(name, "tls-server-name") == 0)
		tls->server_name = optarg;
	else if (strcmp(name, "insecure-skip-verify") == 0)
		tls->insecure_skip_verify = true;
	else if (strcmp(name, "tls") != 0)
		return false;
	ctl->use_tls = true;
	return true;
}

static const char *parse_compression(const char *name)
{
	if (strcmp(name, "gzip") != 0 && strcmp(name, "deflate") != 0)
		ctl_wrong_usage("--compress takes gzip or deflate, not '%s'", name);
	return name;
}

static void add_server(struct ctl *ctl, const char *target)
{
	if (ctl->server_count == CTL_SERVERS_MAX)
		ctl_wrong_usage("at most %d --server", CTL_SERVERS_MAX);
	ctl->servers[ctl->server_count++] = target;
}

static void add_metadata(struct ctl *ctl, const char *key, const char *value)
{
	for (int i = 0; i < ctl->metadata_count; i++)
		if (strcmp(ctl->metadata[i].key, key) == 0)
			return;
	ctl->metadata[ctl->metadata_count++] = (struct minirpc_field){ key, value };
	ctl->call.metadata = ctl->metadata;
}

static void parse_option(struct ctl *ctl, const char *name)
{
	if (parse_tls(ctl, name))
		return;
	if (strcmp(name, "server") == 0)
		add_server(ctl, optarg);
	else if (strcmp(name, "balance") == 0)
		ctl->load_balancing = optarg;
	else if (strcmp(name, "service-config") == 0)
		ctl->service_config = optarg[0] == '@' ? read_config(optarg + 1) : optarg;
	else if (strcmp(name, "retry") == 0)
		ctl->retry_safe = true;
	else if (strcmp(name, "dry-run") == 0)
		add_metadata(ctl, "dry-run", "true");
	else if (strcmp(name, "timeout") == 0)
		ctl->call.timeout = parse_seconds(optarg);
	else if (strcmp(name, "account-token") == 0)
		ctl->account_token = optarg;
	else if (strcmp(name, "wait-for-ready") == 0)
		ctl->call.wait_for_ready = true;
	else if (strcmp(name, "json") == 0)
		ctl->json = true;
	else if (strcmp(name, "progress") == 0)
		ctl->progress = true;
	else if (strcmp(name, "compress") == 0)
		ctl->call.compression = parse_compression(optarg);
}

void ctl_parse(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 0 },
		{ "balance", required_argument, NULL, 0 },
		{ "service-config", required_argument, NULL, 0 },
		{ "retry", no_argument, NULL, 0 },
		{ "dry-run", no_argument, NULL, 0 },
		{ "verbose", no_argument, NULL, 'v' },
		{ "timeout", required_argument, NULL, 0 },
		{ "account-token", required_argument, NULL, 0 },
		{ "wait-for-ready", no_argument, NULL, 0 },
		{ "compress", required_argument, NULL, 0 },
		{ "json", no_argument, NULL, 0 },
		{ "progress", no_argument, NULL, 0 },
		{ "tls", no_argument, NULL, 0 },
		{ "tls-ca", required_argument, NULL, 0 },
		{ "tls-cert", required_argument, NULL, 0 },
		{ "tls-key", required_argument, NULL, 0 },
		{ "tls-server-name", required_argument, NULL, 0 },
		{ "insecure-skip-verify", no_argument, NULL, 0 },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int option, index;

	while ((option = getopt_long(argc, argv, "v", options, &index)) != -1) {
		switch (option) {
		case 0:
			parse_option(ctl, options[index].name);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'v':
			ctl->verbose = true;
			add_metadata(ctl, "server-timing", "true");
			break;
		case 'V':
			printf("cachectl %s\n", minirpc_version());
			exit(EXIT_SUCCESS);
		default:
			fputs("Try --help.\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if ((ctl->tls_options.cert_file == NULL) != (ctl->tls_options.key_file == NULL))
		ctl_wrong_usage("--tls-cert and --tls-key go together");
}

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "cachectl: %s\n", line);
}

/* Several servers stand in the program, and not in a name: a list. */
static int list_servers(struct ctl *ctl)
{
	struct minirpc_endpoint endpoints[CTL_SERVERS_MAX];
	const char *addresses[CTL_SERVERS_MAX][2];

	for (int i = 0; i < ctl->server_count; i++) {
		addresses[i][0] = ctl->servers[i];
		addresses[i][1] = NULL;
		endpoints[i] = (struct minirpc_endpoint){ .addresses = addresses[i] };
	}
	return minirpc_channel_set_addresses(ctl->channel, endpoints, (size_t)ctl->server_count);
}

static minirpc_tls *make_tls(const struct ctl *ctl)
{
	minirpc_tls *tls;
	char error[256];

	if (!ctl->use_tls)
		return NULL;
	if (ctl->tls_options.insecure_skip_verify)
		fputs("cachectl: WARNING: --insecure-skip-verify: the server's certificate is not "
		      "checked; whoever is in between can read and change everything\n",
		      stderr);
	if (minirpc_tls_new_explained(&tls, &ctl->tls_options, error, sizeof error) < 0) {
		fprintf(stderr, "cachectl: TLS: %s\n", error);
		exit(EXIT_FAILURE);
	}
	return tls;
}

static int make_channel(struct ctl *ctl, minirpc_tls *tls)
{
	static const struct minirpc_retry_policy retry = {
		.max_attempts = 4,
		.initial_backoff = MINIRPC_MS(100),
		.max_backoff = MINIRPC_S(1),
		.backoff_multiplier = 2,
		.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
	};
	bool several = ctl->server_count > 1;
	int r;

	r = minirpc_channel_new(&ctl->channel, ctl->loop, several ? "list:cache" : ctl->servers[0],
				&(struct minirpc_channel_options){
					.tls = tls,
					.max_receive_message = CTL_INPUT_MAX,
					.service_config_json = ctl->service_config,
					.load_balancing = ctl->load_balancing,
					.retry_safe = ctl->retry_safe ? &retry : NULL,
				});
	return r == 0 && several ? list_servers(ctl) : r;
}

/* Says what is wrong where the channel only says that something is. */
static void check_command_line(const struct ctl *ctl)
{
	char error[256];

	if (ctl->service_config != NULL &&
	    minirpc_service_config_check(ctl->service_config, error, sizeof error) < 0)
		ctl_wrong_usage("--service-config: %s", error);
}

void ctl_open(struct ctl *ctl)
{
	minirpc_tls *tls;
	int r;

	if (ctl->server_count == 0)
		ctl->servers[ctl->server_count++] = "localhost:5051";
	check_command_line(ctl);
	tls = make_tls(ctl);
	r = minirpc_loop_new(&ctl->loop, &(struct minirpc_loop_options){ .log = on_log });
	if (r == 0)
		r = make_channel(ctl, tls);
	minirpc_tls_unref(tls);
	if (r == -EINVAL)
		ctl_wrong_usage("--server '%s' is no target, or --balance knows no '%s'",
				ctl->servers[0],
				ctl->load_balancing != NULL ? ctl->load_balancing : "pick_first");
	if (r < 0)
		exit(ctl_fail("channel", r));
	ctl->began = minirpc_loop_now(ctl->loop);
	if (ctl->verbose)
		ctl_verbose_watch(ctl);
}

void ctl_close(struct ctl *ctl)
{
	minirpc_channel_free(ctl->channel);
	minirpc_loop_free(ctl->loop);
}

/* SPDX-License-Identifier: MIT */
/* cachectl: talks to cached. Type
 *
 *	cachectl store gopher con
 *	cachectl get gopher                       con
 *	cachectl get marmot                       NOT_FOUND: Key not found marmot      (exit status 69)
 *	cachectl dump                             gopher => con
 */
#include "cache.minirpc.h"
#include "load.h"
#include "print.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"Usage: cachectl [OPTION]... store KEY VALUE   store a value\n"
	"       cachectl [OPTION]... store KEY -       ... that comes from stdin\n"
	"       cachectl [OPTION]... get KEY           write a value, as it is, to stdout\n"
	"       cachectl [OPTION]... dump              write KEY => VALUE, a line for each\n"
	"       cachectl [OPTION]... load              store such lines from stdin, many at once\n"
	"\n"
	"  --server TARGET          default localhost:5051; also ipv4:, ipv6:, unix:, dns:///\n"
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

#define EXIT_STATUS 64 /* plus the code, as grpcurl does */
#define EXIT_USAGE 2
#define INPUT_MAX (1u << 30)

struct ctl {
	const char *server, *account_token;
	struct minirpc_call_options call;
	struct minirpc_tls_options tls_options;
	bool use_tls, json, progress;
	minirpc_loop *loop;
	minirpc_channel *channel;
};

static _Noreturn MINIRPC_PRINTF(1, 2) void wrong_usage(const char *format, ...)
{
	va_list args;

	fputs("cachectl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry --help.\n", stderr);
	exit(EXIT_USAGE);
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "cachectl: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

/* What the program exits with after a call that took place. */
static int tell(const struct minirpc_status *status)
{
	if (status->code == MINIRPC_OK)
		return EXIT_SUCCESS;
	fprintf(stderr, "%s: %s\n", minirpc_code_name(status->code), status->message);
	return EXIT_STATUS + (int)status->code;
}

static int finish_output(int exit_status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && exit_status == EXIT_SUCCESS)
		return fail("stdout", -errno);
	return exit_status;
}

/* ---- store ---- */

/* All of stdin; NULL with errno set when it cannot be had. */
static uint8_t *read_input(size_t *ret_len)
{
	size_t len = 0, room = 65536;
	uint8_t *data = malloc(room), *bigger;

	while (data != NULL) {
		len += fread(data + len, 1, room - len, stdin);
		if (ferror(stdin))
			break;
		if (len < room) {
			*ret_len = len;
			return data;
		}
		if (room >= INPUT_MAX) {
			errno = EFBIG;
			break;
		}
		room *= 2;
		bigger = realloc(data, room);
		if (bigger == NULL)
			break;
		data = bigger;
	}
	free(data);
	return NULL;
}

static int run_store(struct ctl *ctl, char **args)
{
	Rpc__StoreReq req = { RPC__STORE_REQ__FIELDS, .key = args[0],
			      .account_token = (char *)ctl->account_token };
	struct minirpc_status status;
	Rpc__StoreResp *resp;
	uint8_t *input = NULL;
	int r;

	if (strcmp(args[1], "-") == 0) {
		input = read_input(&req.val.len);
		if (input == NULL)
			return fail("stdin", -errno);
		req.val.data = input;
	} else {
		req.val.data = (uint8_t *)args[1];
		req.val.len = strlen(args[1]);
	}

	r = rpc_cache_store_wait(ctl->channel, &req, &ctl->call, &resp, &status);
	free(input);
	if (r < 0)
		return fail("store", r);
	if (resp != NULL)
		rpc__store_resp__free_unpacked(resp, NULL);
	r = tell(&status);
	minirpc_status_clear(&status);
	return r;
}

/* ---- get ---- */

static int run_get(struct ctl *ctl, char **args)
{
	Rpc__GetReq req = { RPC__GET_REQ__FIELDS, .key = args[0] };
	struct minirpc_status status;
	Rpc__GetResp *resp;
	int r;

	r = rpc_cache_get_wait(ctl->channel, &req, &ctl->call, &resp, &status);
	if (r < 0)
		return fail("get", r);
	if (resp != NULL) {
		if (ctl->json)
			print_json_item(stdout, args[0], resp->val.data, resp->val.len);
		else
			fwrite(resp->val.data, 1, resp->val.len, stdout);
		rpc__get_resp__free_unpacked(resp, NULL);
	}
	r = finish_output(tell(&status));
	minirpc_status_clear(&status);
	return r;
}

/* ---- dump ---- */

struct dump {
	bool json, show_progress;
	size_t items, bytes;
	int exit_status;
};

static void show_progress(const struct dump *dump, bool last)
{
	if (dump->show_progress && (last || dump->items % 256 == 0))
		fprintf(stderr, "\r%zu items, %zu bytes%s", dump->items, dump->bytes,
			last ? "\n" : "");
}

static void on_item(rpc_cache_dump_caller *call, const Rpc__DumpItem *item, void *user)
{
	struct dump *dump = user;

	dump->items++;
	dump->bytes += strlen(item->key) + item->val.len;
	if (dump->json) {
		print_json_item(stdout, item->key, item->val.data, item->val.len);
	} else {
		printf("%s => ", item->key);
		fwrite(item->val.data, 1, item->val.len, stdout);
		putchar('\n');
	}
	show_progress(dump, false);
	if (ferror(stdout)) /* nobody reads us any more */
		minirpc_call_abort(rpc_cache_dump_caller_call(call),
				   &(struct minirpc_status){ MINIRPC_CANCELLED,
							     .message = "stdout is closed" });
}

static void on_dumped(rpc_cache_dump_caller *call, const struct minirpc_status *status, void *user)
{
	struct dump *dump = user;

	(void)call;
	show_progress(dump, true);
	dump->exit_status = tell(status);
}

static int run_dump(struct ctl *ctl, char **args)
{
	static const struct rpc_cache_dump_events events = { .on_message = on_item,
							     .on_end = on_dumped };
	struct dump dump = { .json = ctl->json,
			     .show_progress = ctl->progress || isatty(STDERR_FILENO) };
	rpc_cache_dump_caller *call;
	int r;

	(void)args;
	r = rpc_cache_dump_open(&call, ctl->channel, &(Rpc__DumpReq){ RPC__DUMP_REQ__FIELDS },
				&ctl->call, &events, &dump);
	if (r == 0)
		r = minirpc_call_wait(rpc_cache_dump_caller_call(call));
	return r < 0 ? fail("dump", r) : finish_output(dump.exit_status);
}

/* ---- load ---- */

static int run_load(struct ctl *ctl, char **args)
{
	struct minirpc_status status;
	size_t count;
	int r;

	(void)args;
	r = load_lines(ctl->channel, stdin, ctl->account_token, &ctl->call, &count, &status);
	fprintf(stderr, "%zu stored\n", count);
	r = r < 0 ? fail("load", r) : tell(&status);
	minirpc_status_clear(&status);
	return r;
}

/* ---- The command line ---- */

static const struct command {
	const char *name;
	int arguments;
	int (*run)(struct ctl *ctl, char **args);
} commands[] = { { "store", 2, run_store },
		 { "get", 1, run_get },
		 { "dump", 0, run_dump },
		 { "load", 0, run_load } };

static const struct command *find_command(int count, char **args)
{
	if (count == 0)
		wrong_usage("store, get, dump or load?");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, args[0]) != 0)
			continue;
		if (count - 1 != commands[i].arguments)
			wrong_usage("%s takes %d arguments, not %d", args[0], commands[i].arguments,
				    count - 1);
		return &commands[i];
	}
	wrong_usage("what is '%s'?", args[0]);
}

static minirpc_time parse_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds > 0) || seconds > 1e9)
		wrong_usage("--timeout takes a number of seconds above 0, not '%s'", text);
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
		wrong_usage("--compress takes gzip or deflate, not '%s'", name);
	return name;
}

static void parse_option(struct ctl *ctl, const char *name)
{
	if (parse_tls(ctl, name))
		return;
	if (strcmp(name, "server") == 0)
		ctl->server = optarg;
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

static void parse(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "server", required_argument, NULL, 0 },
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
		{ "version", no_argument, NULL, 'v' },
		{ 0 },
	};
	int option, index;

	while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
		switch (option) {
		case 0:
			parse_option(ctl, options[index].name);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		case 'v':
			printf("cachectl %s\n", minirpc_version());
			exit(EXIT_SUCCESS);
		default:
			fputs("Try --help.\n", stderr);
			exit(EXIT_USAGE);
		}
	}
	if ((ctl->tls_options.cert_file == NULL) != (ctl->tls_options.key_file == NULL))
		wrong_usage("--tls-cert and --tls-key go together");
}

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "cachectl: %s\n", line);
}

/* Exits when there can be no channel: that is the command line's fault. */
static void open_channel(struct ctl *ctl)
{
	minirpc_tls *tls = NULL;
	char error[256];
	int r;

	if (ctl->tls_options.insecure_skip_verify)
		fputs("cachectl: WARNING: --insecure-skip-verify: the server's certificate is not "
		      "checked; whoever is "
		      "in between can read and change everything\n",
		      stderr);
	if (ctl->use_tls &&
	    minirpc_tls_new_explained(&tls, &ctl->tls_options, error, sizeof error) < 0) {
		fprintf(stderr, "cachectl: TLS: %s\n", error);
		exit(EXIT_FAILURE);
	}
	r = minirpc_loop_new(&ctl->loop, &(struct minirpc_loop_options){ .log = on_log });
	if (r == 0)
		r = minirpc_channel_new(&ctl->channel, ctl->loop, ctl->server,
					&(struct minirpc_channel_options){
						.tls = tls, .max_receive_message = INPUT_MAX });
	minirpc_tls_unref(tls);
	if (r == -EINVAL)
		wrong_usage("--server '%s' is no target", ctl->server);
	if (r < 0)
		exit(fail("channel", r));
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .server = "localhost:5051", .account_token = "" };
	const struct command *command;
	int exit_status;

	signal(SIGPIPE, SIG_IGN);
	parse(&ctl, argc, argv);
	command = find_command(argc - optind, argv + optind);
	open_channel(&ctl);
	exit_status = command->run(&ctl, argv + optind + 1);
	minirpc_channel_free(ctl.channel);
	minirpc_loop_free(ctl.loop);
	return exit_status;
}

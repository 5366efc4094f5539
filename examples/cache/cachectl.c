/* SPDX-License-Identifier: MIT */
/* cachectl: talks to cached. Type
 *
 *	cachectl store gopher con
 *	cachectl get gopher                       con
 *	cachectl get marmot                       NOT_FOUND: Key not found marmot      (exit status 69)
 *	                                            key marmot: was never stored
 *	cachectl dump                             gopher => con
 *	cachectl --dry-run store gopher con       dry run: would store ...
 *
 * and -v before any of them to see what lies behind a call: connections, attempts, times. */
#include "cache.minirpc.h"
#include "ctl.h"
#include "errors.h"
#include "load.h"
#include "print.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_STATUS 64 /* plus the code, as grpcurl does */

/* What the program exits with after a call that took place. */
static int tell(const struct minirpc_status *status)
{
	if (status->code == MINIRPC_OK)
		return EXIT_SUCCESS;
	explain_status(status);
	return EXIT_STATUS + (int)status->code;
}

/* A call has ended: what there is to say of it, in its on_end. */
static int finish_call(const struct ctl *ctl, const minirpc_call *call,
		       const struct minirpc_status *status)
{
	const char *result = minirpc_metadata_get(minirpc_call_trailers(call), "dry-run-result");

	if (ctl->verbose)
		ctl_verbose_call(ctl, call, status);
	if (result != NULL)
		fprintf(stderr, "dry run: %s\n", result);
	return tell(status);
}

/* A unary call on its way. */
struct outcome {
	struct ctl *ctl;
	minirpc_call *call;
	const char *key;
	int exit_status;
};

static struct minirpc_call_options options_for(struct outcome *outcome)
{
	struct minirpc_call_options options = outcome->ctl->call;

	options.ret_call = &outcome->call;
	return options;
}

static int finish_output(int exit_status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && exit_status == EXIT_SUCCESS)
		return ctl_fail("stdout", -errno);
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
		if (room >= CTL_INPUT_MAX) {
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

static void on_stored(const struct minirpc_status *status, const Rpc__StoreResp *resp, void *user)
{
	struct outcome *outcome = user;

	(void)resp;
	outcome->exit_status = finish_call(outcome->ctl, outcome->call, status);
}

static int run_store(struct ctl *ctl, char **args)
{
	struct outcome outcome = { .ctl = ctl };
	const struct minirpc_call_options options = options_for(&outcome);
	Rpc__StoreReq req = { RPC__STORE_REQ__FIELDS, .key = args[0],
			      .account_token = (char *)ctl->account_token };
	uint8_t *input = NULL;
	int r;

	if (strcmp(args[1], "-") == 0) {
		input = read_input(&req.val.len);
		if (input == NULL)
			return ctl_fail("stdin", -errno);
		req.val.data = input;
	} else {
		req.val.data = (uint8_t *)args[1];
		req.val.len = strlen(args[1]);
	}

	r = rpc_cache_store(ctl->channel, &req, &options, on_stored, &outcome);
	free(input);
	if (r == 0)
		r = minirpc_call_wait(outcome.call);
	return r < 0 ? ctl_fail("store", r) : outcome.exit_status;
}

/* ---- get ---- */

static void on_got(const struct minirpc_status *status, const Rpc__GetResp *resp, void *user)
{
	struct outcome *outcome = user;

	outcome->exit_status = finish_call(outcome->ctl, outcome->call, status);
	if (resp != NULL && outcome->ctl->json)
		print_json_item(stdout, outcome->key, resp->val.data, resp->val.len);
	else if (resp != NULL)
		fwrite(resp->val.data, 1, resp->val.len, stdout);
}

static int run_get(struct ctl *ctl, char **args)
{
	struct outcome outcome = { .ctl = ctl, .key = args[0] };
	const struct minirpc_call_options options = options_for(&outcome);
	Rpc__GetReq req = { RPC__GET_REQ__FIELDS, .key = args[0] };
	int r;

	r = rpc_cache_get(ctl->channel, &req, &options, on_got, &outcome);
	if (r == 0)
		r = minirpc_call_wait(outcome.call);
	return r < 0 ? ctl_fail("get", r) : finish_output(outcome.exit_status);
}

/* ---- dump ---- */

struct dump {
	const struct ctl *ctl;
	bool show_progress;
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
	if (dump->ctl->json) {
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

	show_progress(dump, true);
	dump->exit_status = finish_call(dump->ctl, rpc_cache_dump_caller_call(call), status);
}

static int run_dump(struct ctl *ctl, char **args)
{
	static const struct rpc_cache_dump_events events = { .on_message = on_item,
							     .on_end = on_dumped };
	struct dump dump = { .ctl = ctl, .show_progress = ctl->progress || isatty(STDERR_FILENO) };
	rpc_cache_dump_caller *call;
	int r;

	(void)args;
	r = rpc_cache_dump_open(&call, ctl->channel, &(Rpc__DumpReq){ RPC__DUMP_REQ__FIELDS },
				&ctl->call, &events, &dump);
	if (r == 0)
		r = minirpc_call_wait(rpc_cache_dump_caller_call(call));
	return r < 0 ? ctl_fail("dump", r) : finish_output(dump.exit_status);
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
	r = r < 0 ? ctl_fail("load", r) : tell(&status);
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
		 { "load", 0, run_load },
		 { "hammer", 2, ctl_hammer } };

static const struct command *find_command(int count, char **args)
{
	if (count == 0)
		ctl_wrong_usage("store, get, dump, load or hammer?");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, args[0]) != 0)
			continue;
		if (count - 1 != commands[i].arguments)
			ctl_wrong_usage("%s takes %d arguments, not %d", args[0],
					commands[i].arguments, count - 1);
		return &commands[i];
	}
	ctl_wrong_usage("what is '%s'?", args[0]);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .account_token = "" };
	const struct command *command;
	int exit_status;

	signal(SIGPIPE, SIG_IGN);
	ctl_parse(&ctl, argc, argv);
	command = find_command(argc - optind, argv + optind);
	ctl_open(&ctl);
	exit_status = command->run(&ctl, argv + optind + 1);
	ctl_close(&ctl);
	return exit_status;
}

/* SPDX-License-Identifier: MIT */
/* What the files of cachectl share: cachectl.c has the commands, ctl_options.c the command line and the
 * channel, ctl_verbose.c what -v shows. */
#ifndef CACHE_CTL_H
#define CACHE_CTL_H

#include <minirpc/minirpc.h>

#define CTL_INPUT_MAX (1u << 30)
#define CTL_SERVERS_MAX 16

struct ctl {
	const char *servers[CTL_SERVERS_MAX];
	int server_count;
	const char *account_token, *service_config, *load_balancing;
	struct minirpc_call_options call;
	struct minirpc_field metadata[3]; /* that goes with every call, ended by an empty one */
	int metadata_count;
	struct minirpc_tls_options tls_options;
	bool use_tls, json, progress, verbose, retry_safe;
	minirpc_time began;
	minirpc_loop *loop;
	minirpc_channel *channel;
};

/* ---- ctl_options.c ---- */

/* Fills ctl; exits when the command line is wrong or only asks for help. What is not an option begins at
 * argv[optind]. */
void ctl_parse(struct ctl *ctl, int argc, char **argv);

/* Makes loop and channel; exits when there can be none. */
void ctl_open(struct ctl *ctl);
void ctl_close(struct ctl *ctl);

_Noreturn void ctl_wrong_usage(const char *format, ...) MINIRPC_PRINTF(1, 2);

/* "cachectl: what: why" on stderr; returns what to exit with. */
int ctl_fail(const char *what, int error);

/* ---- ctl_hammer.c ---- */

/* args: key, seconds. Returns what to exit with. */
int ctl_hammer(struct ctl *ctl, char **args);

/* ---- ctl_verbose.c ---- */

/* Tells of the channel's states from now on. */
void ctl_verbose_watch(struct ctl *ctl);

/* Where a call went, how often, and how long it took; in its on_end. */
void ctl_verbose_call(const struct ctl *ctl, const minirpc_call *call,
		      const struct minirpc_status *status);

#endif

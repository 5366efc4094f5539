/* SPDX-License-Identifier: MIT */
/* Shows asynchronous calls without a program built around a loop: start calls while there is room,
 * run the loop when there is none. */
#include "load.h"

#include "cache.minirpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IN_FLIGHT_MAX 64

struct load {
	unsigned in_flight;
	bool has_room, is_empty; /* what the loop is run until */
	size_t stored;
	struct minirpc_status status; /* the first failure */
};

static void on_stored(const struct minirpc_status *status, const Rpc__StoreResp *resp, void *user)
{
	struct load *load = user;

	(void)resp;
	load->in_flight--;
	load->has_room = true;
	load->is_empty = load->in_flight == 0;
	if (status->code == MINIRPC_OK)
		load->stored++;
	else if (load->status.code == MINIRPC_OK)
		minirpc_status_copy(&load->status, status);
}

static int start(struct load *load, minirpc_channel *channel, char *line, const char *account_token,
		 const struct minirpc_call_options *options)
{
	char *arrow = strstr(line, " => ");
	Rpc__StoreReq req = { RPC__STORE_REQ__FIELDS, .key = line,
			      .account_token = (char *)account_token };
	int r;

	if (arrow == NULL)
		return -EBADMSG;
	*arrow = '\0';
	req.val.data = (uint8_t *)arrow + 4;
	req.val.len = strlen(arrow + 4);
	r = rpc_cache_store(channel, &req, options, on_stored, load);
	if (r < 0)
		return r;
	load->in_flight++;
	load->has_room = load->in_flight < IN_FLIGHT_MAX;
	load->is_empty = false;
	return 0;
}

int load_lines(minirpc_channel *channel, FILE *in, const char *account_token,
	       const struct minirpc_call_options *options, size_t *ret_count,
	       struct minirpc_status *ret_status)
{
	struct load load = { .has_room = true, .is_empty = true, .status = { .message = "" } };
	minirpc_loop *loop = minirpc_channel_loop(channel);
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int r = 0, waited;

	while (r == 0 && load.status.code == MINIRPC_OK && (len = getline(&line, &size, in)) >= 0) {
		if (len > 0 && line[len - 1] == '\n')
			line[len - 1] = '\0';
		r = start(&load, channel, line, account_token, options);
		if (r == 0 && !load.has_room)
			r = minirpc_loop_run_until(loop, &load.has_room);
	}
	if (r == 0 && ferror(in))
		r = -EIO;
	waited = load.is_empty ? 0 : minirpc_loop_run_until(loop, &load.is_empty);
	free(line);
	*ret_count = load.stored;
	*ret_status = load.status;
	return r < 0 ? r : waited;
}

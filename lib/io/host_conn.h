/* SPDX-License-Identifier: MIT */
/* Host conn: drives a machine (a connection) whose bytes the host moves; the counterpart of link.
 * It is the minirpc_conn of minirpc/conn.h. See host_conn.c. */
#ifndef MRPC_IO_HOST_CONN_H
#define MRPC_IO_HOST_CONN_H

#include "base/machine.h"
#include "io/loop.h"

#include <minirpc/conn.h>

struct mrpc_host_conn_options {
	struct mrpc_machine *machine;
	const struct minirpc_attach_options
		*host; /* copied, but for peer, which is not used here */
	/* The host called minirpc_conn_close: the machine was told (broke) before, and the handle
	 * is gone once this returns. Called from inside the host's verb: the owner only notes it.
	 */
	void (*on_closed)(minirpc_conn *conn, void *user);
	void *user;
};

/* Returns 0 or -ENOMEM. */
int mrpc_host_conn_new(minirpc_conn **ret_conn, minirpc_loop *loop,
		       const struct mrpc_host_conn_options *options);

/* The owner is going away: tells on_finished unless that was done, then the handle is gone. The
 * host may fetch the last bytes from inside on_finished. No on_closed follows. NULL is fine. */
void mrpc_host_conn_free(minirpc_conn *conn);

/* True once the machine has finished and the host was told. */
bool mrpc_host_conn_is_finished(const minirpc_conn *conn);

#endif

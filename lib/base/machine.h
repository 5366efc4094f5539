/* SPDX-License-Identifier: MIT */
/* Machine: bytes and time in, bytes and a deadline out. What h2/conn is to io/link, without either
 * knowing the other.
 *
 * The driver (a link with a socket, a host with a pipe) sets `flush` to a task of its own; the
 * machine wakes it whenever it may have bytes, has ended, or wants its deadline looked at. */
#ifndef MRPC_BASE_MACHINE_H
#define MRPC_BASE_MACHINE_H

#include "base/buf.h"
#include "base/turn.h"

#include <minirpc/base.h>

struct mrpc_machine;

struct mrpc_machine_ops {
	/* Bytes arrived; all are taken. 0, or -errno: the machine has ended, what is pending should
	 * still be sent. */
	int (*receive)(struct mrpc_machine *machine, const uint8_t *data, size_t len,
		       minirpc_time now);
	/* Appends bytes to send to out, about `limit` at most. Bytes handed over count as unsent
	 * until `sent`. 0, or -ENOMEM: the machine has ended. */
	int (*pending)(struct mrpc_machine *machine, struct mrpc_buf *out, size_t limit,
		       minirpc_time now);
	/* So many of the bytes handed over have left. */
	void (*sent)(struct mrpc_machine *machine, size_t len, minirpc_time now);
	/* When tick wants to be called, or MINIRPC_NEVER. */
	minirpc_time (*deadline)(const struct mrpc_machine *machine);
	void (*tick)(struct mrpc_machine *machine, minirpc_time now);
	/* False: do not read from the peer now. Becomes true again only in `sent` or `pending`. */
	bool (*wants_receive)(const struct mrpc_machine *machine);
	/* True: nothing will be received any more, nor be of use to a peer that has not heard us yet.
	 * There may be last words for others. */
	bool (*is_closed)(const struct mrpc_machine *machine);
	/* True: nothing will be received or produced any more; close the transport once all
	 * handed-over bytes have left. */
	bool (*is_finished)(const struct mrpc_machine *machine);
	/* The transport broke or was closed: -errno, or 0 for an orderly end. reason is a sentence
	 * for the status. */
	void (*broke)(struct mrpc_machine *machine, int error, const char *reason,
		      minirpc_time now);
};

struct mrpc_machine {
	const struct mrpc_machine_ops *ops;
	struct mrpc_task *flush; /* the driver's task; NULL when there is none */
};

#endif

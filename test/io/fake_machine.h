/* SPDX-License-Identifier: MIT */
/* Fake machine: sends a pattern, counts what it is told. */
#ifndef TEST_IO_FAKE_MACHINE_H
#define TEST_IO_FAKE_MACHINE_H

#include "base/machine.h"

struct fake_machine {
	struct mrpc_machine machine;
	char letter;    /* the bytes it sends */
	size_t to_send; /* how many it still has */
	size_t handed, sent;
	unsigned pendings, receives, ticks, brokes;
	size_t received, most_received; /* in all, and at once */
	char in[64];                    /* the first bytes that came */
	minirpc_time deadline, ticked_at;
	bool wants_receive, finished;
	int receive_error, pending_error; /* what the next one returns */
	int error;                        /* of broke */
	char reason[128];
};

void fake_machine_init(struct fake_machine *fake, char letter, size_t to_send);

#endif

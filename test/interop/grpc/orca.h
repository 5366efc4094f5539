/* SPDX-License-Identifier: MIT */
/* Load reports [O-1]: what a client of the interop suite asks to be told, per call and beside the
 * calls. */
#ifndef INTEROP_ORCA_H
#define INTEROP_ORCA_H

#include "testing.minirpc.h"

#include <minirpc/minirpc.h>

struct report {
	void *data; /* a serialized OrcaLoadReport; free() it */
	size_t len;
};

/* Returns 0 or -ENOMEM. */
int report_make(struct report *ret_report, const Grpc__Testing__TestOrcaReport *wanted);
void report_clear(struct report *report);

/* Serves xds.service.orca.v3.OpenRcaService, which tells *report again and again. */
int orca_serve(minirpc_server *server, const struct report *report);

#endif

/* SPDX-License-Identifier: MIT */
/* The ConformanceService: each call plays the script that its first request holds. */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <minirpc/minirpc.h>

/* Adds the service; Unimplemented and IdempotentUnary stay unimplemented, as the runner wants it. */
int script_serve(minirpc_server *server);

#endif

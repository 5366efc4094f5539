/* SPDX-License-Identifier: MIT */
/* One ordinary call of a server to itself, over a pipe of bytes in memory, so that it needs neither
 * the certificate of a client nor a port. */
#ifndef SELFCALL_H
#define SELFCALL_H

#include <minirpc/minirpc.h>

struct selfcall;

/* Makes the call; then tells what was wrong with it, NULL when nothing was. Ends the program when
 * there is no memory. */
struct selfcall *selfcall_start(minirpc_server *server, void (*tell)(const char *wrong, void *user),
				void *user);

/* NULL is fine. Before the server is freed. */
void selfcall_free(struct selfcall *selfcall);

#endif

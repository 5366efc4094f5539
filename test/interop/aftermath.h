/* SPDX-License-Identifier: MIT */
/* What a server under test does when its suite is over: looks whether a call of the suite is still
 * open, answers one ordinary call, looks again, says what it found, and drains.
 *
 * The call comes from the server itself, over a pipe of bytes in memory, so that it needs neither
 * the certificate of a client nor a port. */
#ifndef AFTERMATH_H
#define AFTERMATH_H

#include <minirpc/minirpc.h>

struct aftermath;

/* method: a unary one that answers an empty request with OK. verdict: a file that gets one line,
 * "good" or what is wrong; stderr gets it, too. NULL when there is no memory. */
struct aftermath *aftermath_new(minirpc_server *server, const struct minirpc_method *method,
				const char *verdict);

/* The suite is over: once, on the loop. The server's loop is stopped when all is said. */
void aftermath_begin(struct aftermath *aftermath);

/* After the loop, before the server is freed. True: all was good. */
bool aftermath_free(struct aftermath *aftermath);

#endif

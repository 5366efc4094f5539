/* SPDX-License-Identifier: MIT */
/* grpc.testing.TestService, with the duties that the interop suite gives a server. */
#ifndef INTEROP_SERVICE_H
#define INTEROP_SERVICE_H

#include <minirpc/minirpc.h>

struct service;

struct service *service_new(const char *server_id); /* NULL: no memory */
struct service *service_free(struct service *service);

/* Registers it, and the load reports. Returns 0 or -errno. */
int service_serve(struct service *service, minirpc_server *server);

#endif

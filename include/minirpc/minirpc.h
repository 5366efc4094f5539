/* SPDX-License-Identifier: MIT */
/* libminirpc: gRPC for C, client and server. This header includes the others; read them in this
 * order:
 *
 *	base.h            times, log levels, versions
 *	status.h          how a call ended
 *	metadata.h        key-value pairs beside the messages
 *	loop.h            where events come from: libev, your own loop, or none
 *	tls.h             who we are, whom we trust
 *	channel.h         a client's way to its servers
 *	server.h          listeners, methods, admission
 *	typed.h           what generated stubs are made of (needs protobuf-c)
 *	error_details.h   what a status says for programs (needs protobuf-c)
 *
 * and these when you need them:
 *
 *	call.h            calls as bytes, and what stubs leave out: peer, pause, attempts
 *	compress.h        messages that travel compressed
 *	interceptors.h    ready to use around every call: log, credentials, authentication, limits
 *	interceptor.h     ... and how to write your own
 *	service_config.h  timeouts, retries, hedging, load balancing, as the service's owner wants
 *	resolver.h        where the addresses come from
 *	balancer.h        which server takes a call
 *	limits.h          what a connection may cost; keepalive; what was counted
 *	conn.h            move the bytes yourself
 *
 * The usual start is a .proto file: `protoc --minirpc_out=. hello.proto` writes hello.pb-c.[ch] and
 * hello.minirpc.[ch]; examples/hello_server.c and examples/hello_client.c are a server and a client
 * of a few lines each; docs/tour.md explains them. */
#ifndef MINIRPC_MINIRPC_H
#define MINIRPC_MINIRPC_H

#include <minirpc/balancer.h>
#include <minirpc/base.h>
#include <minirpc/call.h>
#include <minirpc/channel.h>
#include <minirpc/compress.h>
#include <minirpc/conn.h>
#include <minirpc/error_details.h>
#include <minirpc/interceptor.h>
#include <minirpc/interceptors.h>
#include <minirpc/limits.h>
#include <minirpc/loop.h>
#include <minirpc/metadata.h>
#include <minirpc/resolver.h>
#include <minirpc/server.h>
#include <minirpc/service_config.h>
#include <minirpc/status.h>
#include <minirpc/tls.h>
#include <minirpc/typed.h>

#endif

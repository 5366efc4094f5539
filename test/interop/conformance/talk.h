/* SPDX-License-Identifier: MIT */
/* What both programs share: how they talk with the runner, and headers as the runner writes them.
 *
 * Each message on stdin and stdout is protobuf behind its length, four bytes, big-endian. These are
 * test programs: when memory or the pipe is gone they end. */
#ifndef TALK_H
#define TALK_H

#include "connectrpc/conformance/v1/client_compat.minirpc.h"
#include "connectrpc/conformance/v1/server_compat.minirpc.h"
#include "connectrpc/conformance/v1/service.minirpc.h"

#include <google/rpc/status.minirpc.h>
#include <minirpc/minirpc.h>

#include <sys/types.h>

/* The generated names, which are eighty columns long without this. */
#define MSG(name) Connectrpc__Conformance__V1__##name
#define FIELDS(name) CONNECTRPC__CONFORMANCE__V1__##name##__FIELDS
#define RPC(name) connectrpc_conformance_v1_conformance_service_##name

/* Memory, or the end of the program with a line on stderr. */
void *must_alloc(size_t count, size_t size);
char *must_copy(const char *text);
void die(const char *format, ...) MINIRPC_PRINTF(1, 2) __attribute__((noreturn));

/* The compressions that the library brings and does not offer by itself, ended by NULL: as many as
 * this build has of zstd, br and snappy. */
#define COMPRESSORS 4
void compressors_fill(const struct minirpc_compressor *list[COMPRESSORS]);

/* What has been read and not been looked at yet. */
struct talk {
	uint8_t *data;
	size_t len, size;
};

/* Reads once. Returns what read() returns. */
ssize_t talk_fill(struct talk *talk, int fd);

/* Takes the first whole message out, decoded; NULL when there is none yet. Free it with
 * protobuf_c_message_free_unpacked. */
ProtobufCMessage *talk_take(struct talk *talk, const ProtobufCMessageDescriptor *descriptor);

/* Says a message, whole. */
void talk_say(int fd, const ProtobufCMessage *message);

/* A message in an Any, as both ends echo them. free_any gives it back. */
Google__Protobuf__Any *any_new(const ProtobufCMessage *message);
void any_free(Google__Protobuf__Any *any);

/* The runner's headers as metadata to send, and metadata that came in as the runner wants to see it:
 * values of "-bin" keys are base64 there, and equal keys are one header with several values. */
struct minirpc_field *fields_new(MSG(Header) *const *headers, size_t count);
void fields_free(struct minirpc_field *fields);
MSG(Header) * *headers_new(const struct minirpc_metadata *metadata, size_t *ret_count);
void headers_free(MSG(Header) * *headers, size_t count);

#endif

/* SPDX-License-Identifier: MIT */
/* Send: packs a message straight into the call's queue. */
#include <assert.h>
#include <errno.h>

#include <minirpc/typed.h>

struct packing {
	const ProtobufCMessage *message;
	size_t len;
};

static void pack(void *user, uint8_t *data)
{
	const struct packing *packing = user;
	size_t len = protobuf_c_message_pack(packing->message, data);

	assert(len == packing->len);
	(void)len;
}

/* A struct that was zeroed but never given its X__INIT would end in an assertion of protobuf-c. */
static bool is_initialised(const ProtobufCMessage *message)
{
	return message != NULL && message->descriptor != NULL &&
	       message->descriptor->magic == PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC;
}

int minirpc_typed_send(minirpc_call *call, const ProtobufCMessage *message)
{
	struct packing packing = { .message = message };

	if (!is_initialised(message))
		return -EINVAL;
	packing.len = protobuf_c_message_get_packed_size(message);
	return minirpc_call_send_with(call, packing.len, pack, &packing);
}

/* How a call ends whose response was not taken. Static: an ending needs no memory. */
static const struct minirpc_status *refusal(int error)
{
	static const struct minirpc_status no_memory = {
		.code = MINIRPC_RESOURCE_EXHAUSTED,
		.message = "no memory for the response",
	};
	static const struct minirpc_status too_large = {
		.code = MINIRPC_RESOURCE_EXHAUSTED,
		.message = "response is too large",
	};
	static const struct minirpc_status no_room = {
		.code = MINIRPC_RESOURCE_EXHAUSTED,
		.message = "no room for the response behind the messages sent before",
	};
	static const struct minirpc_status not_compressed = {
		.code = MINIRPC_INTERNAL,
		.message = "response could not be compressed",
	};
	static const struct minirpc_status wrong = {
		.code = MINIRPC_INTERNAL,
		.message = "the handler's response is not a message",
	};

	switch (error) {
	case 0:
	case -EPIPE: /* nobody is left to see it */
	case -EPROTO:
		return NULL; /* the one response was sent before */
	case -ENOMEM:
		return &no_memory;
	case -EMSGSIZE:
		return &too_large;
	case -EAGAIN:
		return &no_room;
	case -EIO:
		return &not_compressed;
	default:
		return &wrong;
	}
}

int minirpc_typed_reply(minirpc_call *call, const ProtobufCMessage *response)
{
	int r = minirpc_typed_send(call, response);

	minirpc_call_end(call, refusal(r));
	return r;
}

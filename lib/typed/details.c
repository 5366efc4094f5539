/* SPDX-License-Identifier: MIT */
/* Details: google.rpc.Status, written and read [S-8].
 *
 * Writing needs one block: the whole message is measured first, then laid out in it, every detail
 * packed in its place, with nothing copied in between.
 *
 *	Status   08 code | 12 len text | 1a len Any | 1a len Any ...
 *	Any      0a len "type.googleapis.com/" name | 12 len packed
 *
 * The block of minirpc_status_make also holds the text, as minirpc_status_copy has it:
 *
 *	[text][NUL][Status] */
#include <minirpc/error_details.h>

#include <google/protobuf/any.pb-c.h>
#include <google/rpc/status.pb-c.h>

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "decode.h"

static const char prefix[] = "type.googleapis.com/";
#define PREFIX_LEN (sizeof prefix - 1)

/* ---- Write: protobuf's wire format, of which this needs three tags ---- */

enum { TAG_CODE = 0x08, TAG_TEXT = 0x12, TAG_DETAIL = 0x1a, TAG_TYPE = 0x0a, TAG_VALUE = 0x12 };

static size_t varint_len(size_t value)
{
	size_t len = 1;

	while ((value >>= 7) > 0)
		len++;
	return len;
}

static uint8_t *put_head(uint8_t *p, uint8_t tag, size_t value)
{
	*p++ = tag;
	for (; value > 0x7f; value >>= 7)
		*p++ = (uint8_t)(value | 0x80);
	*p++ = (uint8_t)value;
	return p;
}

static uint8_t *put_bytes(uint8_t *p, const char *bytes, size_t len)
{
	if (len > 0)
		memcpy(p, bytes, len);
	return p + len;
}

static size_t field_len(size_t len)
{
	return 1 + varint_len(len) + len;
}

/* Packed sizes come from messages that are in memory, and so do not wrap when three heads and a
 * name are added; their sum does not either, unless one message is named many times. */
static size_t any_len(const ProtobufCMessage *detail)
{
	return field_len(PREFIX_LEN + strlen(detail->descriptor->name)) +
	       field_len(protobuf_c_message_get_packed_size(detail));
}

static uint8_t *put_detail(uint8_t *p, const ProtobufCMessage *detail)
{
	const char *name = detail->descriptor->name;
	size_t name_len = strlen(name);

	p = put_head(p, TAG_DETAIL, any_len(detail));
	p = put_head(p, TAG_TYPE, PREFIX_LEN + name_len);
	p = put_bytes(p, prefix, PREFIX_LEN);
	p = put_bytes(p, name, name_len);
	p = put_head(p, TAG_VALUE, protobuf_c_message_get_packed_size(detail));
	return p + protobuf_c_message_pack(detail, p);
}

static bool is_initialised(const ProtobufCMessage *message)
{
	return message != NULL && message->descriptor != NULL &&
	       message->descriptor->magic == PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC;
}

/* The size of the Status; 0 or -errno. */
static int measure(enum minirpc_code code, const char *text, size_t text_len,
		   const ProtobufCMessage *const *details, size_t count, size_t *ret_len)
{
	if (!mrpc_utf8_is_valid(text, text_len))
		return -EINVAL;
	*ret_len = 1 + varint_len(code) + field_len(text_len);
	for (size_t i = 0; i < count; i++) {
		if (!is_initialised(details[i]))
			return -EINVAL;
		if (!mrpc_add(*ret_len, field_len(any_len(details[i])), ret_len))
			return -ENOMEM;
	}
	return 0;
}

int minirpc_status_make(struct minirpc_status *ret_status, enum minirpc_code code,
			const char *message, const ProtobufCMessage *const *details, size_t count)
{
	const char *text = message == NULL ? "" : message;
	size_t text_len = strlen(text), len, size;
	char *owned;
	uint8_t *p;
	int r;

	if ((unsigned)code > MINIRPC_UNAUTHENTICATED)
		code = MINIRPC_UNKNOWN; /* as the trailers say it */
	*ret_status = (struct minirpc_status){ .code = code, .message = "" };
	if (code == MINIRPC_OK)
		return 0;
	if (count == 0)
		return minirpc_status_copy(
			ret_status, &(struct minirpc_status){ .code = code, .message = text });

	r = measure(code, text, text_len, details, count, &len);
	if (r < 0)
		return r;
	if (!mrpc_add(text_len + 1, len, &size))
		return -ENOMEM;
	owned = mrpc_alloc(size);
	if (owned == NULL)
		return -ENOMEM;

	memcpy(owned, text, text_len + 1);
	p = put_head((uint8_t *)owned + text_len + 1, TAG_CODE, code);
	p = put_head(p, TAG_TEXT, text_len);
	p = put_bytes(p, text, text_len);
	for (size_t i = 0; i < count; i++)
		p = put_detail(p, details[i]);

	ret_status->message = owned;
	ret_status->details = owned + text_len + 1;
	ret_status->details_len = len;
	ret_status->owned = owned;
	return 0;
}

int minirpc_call_fail_with(minirpc_call *call, enum minirpc_code code, const char *message,
			   const ProtobufCMessage *const *details, size_t count)
{
	struct minirpc_status status;
	int r;

	r = minirpc_status_make(&status, code, message, details, count);
	if (r < 0)
		status.message = message;
	minirpc_call_end(call, &status);
	if (r == 0)
		minirpc_status_clear(&status);
	return r;
}

/* ---- Read ---- */

int minirpc_status_details(const struct minirpc_status *status, Google__Rpc__Status **ret_details)
{
	Google__Rpc__Status *details;
	ProtobufCMessage *message;
	int r;

	if (status->details_len == 0 || status->code == MINIRPC_OK)
		return -ENOENT;
	r = minirpc_decode(&google__rpc__status__descriptor, status->details, status->details_len,
			   &message);
	if (r < 0)
		return r;
	details = (Google__Rpc__Status *)message;
	if (details->code != (int32_t)status->code) { /* S-8 */
		mrpc_typed_free(&details->base);
		return -EBADMSG;
	}
	*ret_details = details;
	return 0;
}

/* "type.googleapis.com/google.rpc.Help": what counts is behind the last slash. */
static bool has_type(const Google__Protobuf__Any *any, const char *name)
{
	const char *slash = strrchr(any->type_url, '/');

	return slash != NULL && strcmp(slash + 1, name) == 0;
}

int minirpc_status_find(const struct minirpc_status *status,
			const ProtobufCMessageDescriptor *descriptor,
			ProtobufCMessage **ret_message)
{
	Google__Rpc__Status *details;
	int r;

	r = minirpc_status_details(status, &details);
	if (r < 0)
		return r;

	r = -ENOENT;
	for (size_t i = 0; i < details->n_details && r == -ENOENT; i++) {
		const Google__Protobuf__Any *any = details->details[i];

		if (has_type(any, descriptor->name))
			r = minirpc_decode(descriptor, any->value.data, any->value.len,
					   ret_message);
	}
	mrpc_typed_free(&details->base);
	return r;
}

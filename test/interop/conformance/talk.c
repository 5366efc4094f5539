/* SPDX-License-Identifier: MIT */
#include "talk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

void *must_alloc(size_t count, size_t size)
{
	void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

char *must_copy(const char *text)
{
	return strcpy(must_alloc(strlen(text) + 1, 1), text);
}

void compressors_fill(const struct minirpc_compressor *list[COMPRESSORS])
{
	const struct minirpc_compressor *const all[] = { minirpc_compressor_zstd(),
							 minirpc_compressor_brotli(),
							 minirpc_compressor_snappy() };
	size_t n = 0;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (all[i] != NULL)
			list[n++] = all[i];
	list[n] = NULL;
}

/* ---- The runner ---- */

ssize_t talk_fill(struct talk *talk, int fd)
{
	ssize_t n;

	if (talk->size - talk->len < 65536) {
		talk->size = talk->size * 2 + 65536;
		talk->data = realloc(talk->data, talk->size);
		if (talk->data == NULL)
			die("out of memory");
	}
	do {
		n = read(fd, talk->data + talk->len, talk->size - talk->len);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		talk->len += (size_t)n;
	return n;
}

ProtobufCMessage *talk_take(struct talk *talk, const ProtobufCMessageDescriptor *descriptor)
{
	const uint8_t *p = talk->data;
	ProtobufCMessage *message;
	size_t len;

	if (talk->len < 4)
		return NULL;
	len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (talk->len - 4 < len)
		return NULL;
	message = protobuf_c_message_unpack(descriptor, NULL, len, p + 4);
	if (message == NULL)
		die("the runner says something else than %s", descriptor->name);
	talk->len -= 4 + len;
	memmove(talk->data, talk->data + 4 + len, talk->len);
	return message;
}

void talk_say(int fd, const ProtobufCMessage *message)
{
	size_t len = protobuf_c_message_get_packed_size(message), done = 0;
	uint8_t *data = must_alloc(4 + len, 1);

	for (int i = 0; i < 4; i++)
		data[i] = (uint8_t)(len >> (24 - 8 * i));
	protobuf_c_message_pack(message, data + 4);
	while (done < 4 + len) {
		ssize_t n = write(fd, data + done, 4 + len - done);

		if (n < 0 && errno != EINTR)
			die("the runner is gone: %s", strerror(errno));
		if (n > 0)
			done += (size_t)n;
	}
	free(data);
}

/* ---- Any ---- */

Google__Protobuf__Any *any_new(const ProtobufCMessage *message)
{
	static const char prefix[] = "type.googleapis.com/";
	const char *name = message->descriptor->name;
	Google__Protobuf__Any *any = must_alloc(1, sizeof *any);

	google__protobuf__any__init(any);
	any->type_url = must_alloc(sizeof prefix + strlen(name), 1);
	strcpy(stpcpy(any->type_url, prefix), name);
	any->value.len = protobuf_c_message_get_packed_size(message);
	any->value.data = must_alloc(any->value.len, 1);
	protobuf_c_message_pack(message, any->value.data);
	return any;
}

void any_free(Google__Protobuf__Any *any)
{
	if (any == NULL)
		return;
	free(any->type_url);
	free(any->value.data);
	free(any);
}

/* ---- Headers ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_binary(const char *key)
{
	size_t len = strlen(key);

	return len >= 4 && strcmp(key + len - 4, "-bin") == 0;
}

static char *base64_encode(const uint8_t *data, size_t len)
{
	char *text = must_alloc((len + 2) / 3 * 4 + 1, 1), *out = text;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t group = (uint32_t)data[i] << 16;

		group |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
		group |= i + 2 < len ? data[i + 2] : 0;
		for (size_t k = 0; k < 4 && i + k <= len; k++)
			*out++ = alphabet[group >> (18 - 6 * k) & 63];
	}
	return text;
}

/* NULL: that is no base64. */
static uint8_t *base64_decode(const char *text, size_t *ret_len)
{
	uint8_t *data = must_alloc(strlen(text) + 1, 1);
	size_t bits = 0, len = 0;
	uint32_t group = 0;

	for (; *text != '\0' && *text != '='; text++) {
		const char *at = strchr(alphabet, *text);

		if (at == NULL) {
			free(data);
			return NULL;
		}
		group = group << 6 | (uint32_t)(at - alphabet);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			data[len++] = (uint8_t)(group >> bits);
		}
	}
	*ret_len = len;
	return data;
}

struct minirpc_field *fields_new(MSG(Header) *const *headers, size_t count)
{
	struct minirpc_field *fields;
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += headers[i]->n_value;
	fields = must_alloc(n + 1, sizeof *fields);
	n = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < headers[i]->n_value; k++) {
			struct minirpc_field *field = &fields[n++];
			char *key = must_copy(headers[i]->name);

			for (char *c = key; *c != '\0'; c++)
				*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
			field->key = key;
			if (is_binary(key))
				field->value = base64_decode(headers[i]->value[k], &field->len);
			if (field->value == NULL)
				field->value = must_copy(headers[i]->value[k]);
		}
	}
	return fields;
}

void fields_free(struct minirpc_field *fields)
{
	for (struct minirpc_field *field = fields; field != NULL && field->key != NULL; field++) {
		free((char *)field->key);
		free((void *)field->value);
	}
	free(fields);
}

static MSG(Header) * header_of(MSG(Header) * *headers, size_t *count, const char *key)
{
	for (size_t i = 0; i < *count; i++)
		if (strcmp(headers[i]->name, key) == 0)
			return headers[i];
	headers[*count] = must_alloc(1, sizeof **headers);
	connectrpc__conformance__v1__header__init(headers[*count]);
	headers[*count]->name = must_copy(key);
	return headers[(*count)++];
}

MSG(Header) * *headers_new(const struct minirpc_metadata *metadata, size_t *ret_count)
{
	size_t n = minirpc_metadata_count(metadata);
	MSG(Header) **headers = must_alloc(n, sizeof *headers);

	*ret_count = 0;
	for (size_t i = 0; i < n; i++) {
		const struct minirpc_field *field = minirpc_metadata_at(metadata, i);
		MSG(Header) *header = header_of(headers, ret_count, field->key);

		if (header->value == NULL) /* room for all that may follow */
			header->value = must_alloc(n, sizeof *header->value);
		header->value[header->n_value++] = is_binary(field->key)
							   ? base64_encode(field->value, field->len)
							   : must_copy(field->value);
	}
	return headers;
}

void headers_free(MSG(Header) * *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < headers[i]->n_value; k++)
			free(headers[i]->value[k]);
		free(headers[i]->value);
		free(headers[i]->name);
		free(headers[i]);
	}
	free(headers);
}

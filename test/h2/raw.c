/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static struct raw *make(struct pair *pair, struct mrpc_conn *conn, struct wire *wire)
{
	struct raw *raw = calloc(1, sizeof *raw);

	raw->pair = pair;
	raw->conn = conn;
	raw->wire = wire;
	raw->seen = calloc(SEEN, sizeof *raw->seen);
	raw->magic = conn->role == MRPC_SERVER;
	nghttp2_hd_inflate_new(&raw->inflater);
	return raw;
}

struct raw *raw_client_silent(const struct minirpc_conn_limits *limits)
{
	struct pair *pair = pair_server_only(limits);

	return make(pair, pair->server, &pair->to_client);
}

static struct raw *greet(struct raw *raw)
{
	raw_preface(raw);
	raw_frame(raw, SETTINGS, ACK, 0, NULL, 0);
	raw_send(raw);
	return raw;
}

struct raw *raw_client(const struct minirpc_conn_limits *limits)
{
	return greet(raw_client_silent(limits));
}

struct raw *raw_client_keepalive(const struct minirpc_keepalive *keepalive)
{
	struct pair *pair = pair_server_keepalive(keepalive);

	return greet(make(pair, pair->server, &pair->to_client));
}

static struct raw *answer_greeting(struct pair *pair)
{
	struct raw *raw = make(pair, pair->client, &pair->to_server);

	raw_frame(raw, SETTINGS, 0, 0, NULL, 0);
	raw_frame(raw, SETTINGS, ACK, 0, NULL, 0);
	raw_send(raw);
	return raw;
}

struct raw *raw_server(const struct minirpc_conn_limits *limits)
{
	return answer_greeting(pair_client_only(limits));
}

struct raw *raw_server_keepalive(const struct minirpc_keepalive *keepalive)
{
	return answer_greeting(pair_client_keepalive(keepalive));
}

void raw_free(struct raw *raw)
{
	pair_free(raw->pair);
	nghttp2_hd_inflate_del(raw->inflater);
	mrpc_buf_clear(&raw->out);
	free(raw->seen);
	free(raw);
}

/* ---- Writing ---- */

void raw_bytes(struct raw *raw, const void *data, size_t len)
{
	ck_assert_int_eq(mrpc_buf_append(&raw->out, data, len), 0);
}

void raw_frame(struct raw *raw, int type, int flags, uint32_t id, const void *payload, size_t len)
{
	const uint8_t head[9] = { (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
				  (uint8_t)type,        (uint8_t)flags,      (uint8_t)(id >> 24),
				  (uint8_t)(id >> 16),  (uint8_t)(id >> 8),  (uint8_t)id };

	raw_bytes(raw, head, sizeof head);
	if (len > 0)
		raw_bytes(raw, payload, len);
}

void raw_preface(struct raw *raw)
{
	raw_bytes(raw, magic, sizeof magic - 1);
	raw_frame(raw, SETTINGS, 0, 0, NULL, 0);
}

static void put_text(struct mrpc_buf *buf, const char *text)
{
	size_t len = strlen(text), rest;
	uint8_t byte;

	if (len < 127) {
		byte = (uint8_t)len;
		mrpc_buf_append(buf, &byte, 1);
	} else { /* RFC 7541, 5.1 */
		byte = 127;
		mrpc_buf_append(buf, &byte, 1);
		for (rest = len - 127; rest >= 128; rest /= 128) {
			byte = (uint8_t)(rest % 128 | 128);
			mrpc_buf_append(buf, &byte, 1);
		}
		byte = (uint8_t)rest;
		mrpc_buf_append(buf, &byte, 1);
	}
	mrpc_buf_append(buf, text, len);
}

void raw_block(struct mrpc_buf *buf, const char *const *fields)
{
	static const uint8_t literal = 0; /* without indexing, new name */

	for (; fields != NULL && fields[0] != NULL; fields += 2) {
		mrpc_buf_append(buf, &literal, 1);
		put_text(buf, fields[0]);
		put_text(buf, fields[1]);
	}
}

void raw_headers(struct raw *raw, uint32_t id, int flags, const char *const *fields)
{
	struct mrpc_buf block = { 0 };

	raw_block(&block, fields);
	raw_frame(raw, HEADERS, flags | END_HEADERS, id, mrpc_buf_bytes(&block),
		  mrpc_buf_len(&block));
	mrpc_buf_clear(&block);
}

void raw_request(struct raw *raw, uint32_t id, int flags, const char *path, const char *const *more)
{
	struct mrpc_buf block = { 0 };

	raw_block(&block, RAW(":method", "POST", ":scheme", "http", ":path", path, ":authority",
			      "here", "te", "trailers", "content-type", "application/grpc"));
	raw_block(&block, more);
	raw_frame(raw, HEADERS, flags | END_HEADERS, id, mrpc_buf_bytes(&block),
		  mrpc_buf_len(&block));
	mrpc_buf_clear(&block);
}

void raw_message(struct raw *raw, uint32_t id, int flags, const char *text)
{
	uint8_t bytes[1024];
	size_t len = strlen(text);

	mrpc_frame_prefix(bytes, false, (uint32_t)len);
	memcpy(bytes + 5, text, len);
	raw_frame(raw, DATA, flags, id, bytes, len + 5);
}

static void put32(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 24);
	to[1] = (uint8_t)(value >> 16);
	to[2] = (uint8_t)(value >> 8);
	to[3] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

void raw_reset(struct raw *raw, uint32_t id, uint32_t code)
{
	uint8_t bytes[4];

	put32(bytes, code);
	raw_frame(raw, RST_STREAM, 0, id, bytes, 4);
}

void raw_window(struct raw *raw, uint32_t id, uint32_t increment)
{
	uint8_t bytes[4];

	put32(bytes, increment);
	raw_frame(raw, WINDOW_UPDATE, 0, id, bytes, 4);
}

void raw_ping(struct raw *raw)
{
	raw_frame(raw, PING, 0, 0, "12345678", 8);
}

void raw_goaway(struct raw *raw, uint32_t last, uint32_t code, const char *text)
{
	uint8_t bytes[256];

	put32(bytes, last);
	put32(bytes + 4, code);
	memcpy(bytes + 8, text, strlen(text));
	raw_frame(raw, GOAWAY, 0, 0, bytes, 8 + strlen(text));
}

/* ---- Reading ---- */

static void inflate(struct raw *raw, struct seen *seen, const uint8_t *data, size_t len)
{
	size_t used = 0;

	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(raw->inflater, &nv, &flags, data, len, 1);

		ck_assert_int_ge(n, 0);
		data += n;
		len -= (size_t)n;
		if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 &&
		    used + nv.namelen + nv.valuelen + 8 < sizeof seen->headers)
			used += (size_t)sprintf(seen->headers + used, "%.*s: %.*s\n",
						(int)nv.namelen, nv.name, (int)nv.valuelen,
						nv.value);
		if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0)
			break;
	}
	nghttp2_hd_inflate_end_headers(raw->inflater);
}

static void note(struct raw *raw, const uint8_t *head, const uint8_t *payload, size_t len)
{
	struct seen *seen = &raw->seen[raw->seen_count++];

	ck_assert_int_lt(raw->seen_count, SEEN);
	*seen = (struct seen){
		.type = head[3], .flags = head[4], .id = get32(head + 5), .len = len
	};
	memcpy(seen->bytes, payload, len < sizeof seen->bytes ? len : sizeof seen->bytes);
	if (seen->type == HEADERS) {
		size_t skip = (seen->flags & 0x20) != 0 ? 5 : 0; /* priority */

		ck_assert_int_ne(seen->flags & END_HEADERS, 0);
		inflate(raw, seen, payload + skip, len - skip);
	}
	if (seen->type == RST_STREAM || seen->type == WINDOW_UPDATE)
		seen->code = get32(payload);
	if (seen->type == GOAWAY) {
		seen->last = get32(payload);
		seen->code = get32(payload + 4);
	}
}

void raw_read(struct raw *raw)
{
	struct mrpc_machine *machine = mrpc_conn_machine(raw->conn);
	struct mrpc_buf *in = &raw->wire->bytes;

	if (!raw->magic && mrpc_buf_len(in) >= sizeof magic - 1) {
		mrpc_buf_consume(in, sizeof magic - 1);
		machine->ops->sent(machine, sizeof magic - 1, raw->pair->now);
		raw->magic = true;
	}
	while (mrpc_buf_len(in) >= 9) {
		const uint8_t *at = mrpc_buf_bytes(in);
		size_t len = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];

		ck_assert_uint_ge(mrpc_buf_len(in), 9 + len);
		note(raw, at, at + 9, len);
		mrpc_buf_consume(in, 9 + len);
		machine->ops->sent(machine, 9 + len, raw->pair->now);
	}
}

void raw_send(struct raw *raw)
{
	size_t len = mrpc_buf_len(&raw->out);

	if (len > 0)
		raw->result = pair_give(raw->pair, raw->conn, mrpc_buf_bytes(&raw->out), len);
	mrpc_buf_empty(&raw->out);
	pair_turn(raw->pair);
	if (!raw->wire->stalled)
		raw_read(raw);
}

const struct seen *raw_find(const struct raw *raw, int type, uint32_t id)
{
	for (int i = raw->seen_count; i-- > 0;)
		if (raw->seen[i].type == type && (id == ANY || raw->seen[i].id == id))
			return &raw->seen[i];
	return NULL;
}

int raw_count(const struct raw *raw, int type, uint32_t id)
{
	int count = 0;

	for (int i = 0; i < raw->seen_count; i++)
		if (raw->seen[i].type == type && (id == ANY || raw->seen[i].id == id))
			count++;
	return count;
}

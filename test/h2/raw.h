/* SPDX-License-Identifier: MIT */
/* Raw: a peer made of frames by hand, for what no honest library sends. */
#ifndef TEST_H2_RAW_H
#define TEST_H2_RAW_H

#include "pair.h"

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS,
	PUSH,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };

/* A frame that our conn sent. */
struct seen {
	int type, flags;
	uint32_t id;
	size_t len;
	uint32_t code;      /* RST_STREAM, GOAWAY: error; WINDOW_UPDATE: increment */
	uint32_t last;      /* GOAWAY: last stream id */
	uint8_t bytes[64];  /* the payload's beginning */
	char headers[2048]; /* "name: value\n" of each field */
};

#define SEEN 4096

struct raw {
	struct pair *pair;
	struct mrpc_conn *conn;
	struct wire *wire; /* what the conn sends */
	struct mrpc_buf out;
	nghttp2_hd_inflater *inflater;
	bool magic; /* the client's preface was skipped */
	struct seen *seen;
	int seen_count;
	int result; /* of the last receive */
};

/* A raw client to a server; its preface and SETTINGS were exchanged. */
struct raw *raw_client(const struct minirpc_conn_limits *limits);
/* To a server that judges PINGs; NULL: by the defaults. */
struct raw *raw_client_keepalive(const struct minirpc_keepalive *keepalive);
/* The same before anything was sent. */
struct raw *raw_client_silent(const struct minirpc_conn_limits *limits);
/* A raw server to a client. */
struct raw *raw_server_keepalive(const struct minirpc_keepalive *keepalive);
struct raw *raw_server(const struct minirpc_conn_limits *limits);
void raw_free(struct raw *raw);

void raw_bytes(struct raw *raw, const void *data, size_t len);
void raw_frame(struct raw *raw, int type, int flags, uint32_t id, const void *payload, size_t len);
void raw_preface(struct raw *raw);

/* Literal fields, not Huffman-coded; "name", "value", ... NULL. */
void raw_block(struct mrpc_buf *buf, const char *const *fields);
void raw_headers(struct raw *raw, uint32_t id, int flags, const char *const *fields);
/* The usual request, with more fields (may be NULL) behind. */
void raw_request(struct raw *raw, uint32_t id, int flags, const char *path,
		 const char *const *more);
void raw_message(struct raw *raw, uint32_t id, int flags, const char *text);
void raw_reset(struct raw *raw, uint32_t id, uint32_t code);
void raw_window(struct raw *raw, uint32_t id, uint32_t increment);
void raw_ping(struct raw *raw);
void raw_goaway(struct raw *raw, uint32_t last, uint32_t code, const char *text);

/* Hands everything over, lets the conn work, and reads what it says. */
void raw_send(struct raw *raw);
void raw_read(struct raw *raw);

/* The last frame of this type that was seen for this stream; NULL: none. */
const struct seen *raw_find(const struct raw *raw, int type, uint32_t id);
int raw_count(const struct raw *raw, int type, uint32_t id); /* id UINT32_MAX: any */
#define ANY UINT32_MAX

#define RAW(...) ((const char *const[]){ __VA_ARGS__, NULL })

#define ck_has(seen, text)                                                                         \
	ck_assert_msg((seen) != NULL && strstr((seen)->headers, text) != NULL,                     \
		      "no \"%s\" in:\n%s", text, (seen) == NULL ? "(no frame)" : (seen)->headers)
#define ck_has_not(seen, text)                                                                     \
	ck_assert_msg((seen) != NULL && strstr((seen)->headers, text) == NULL, "\"%s\" in:\n%s",   \
		      text, (seen) == NULL ? "(no frame)" : (seen)->headers)

#endif

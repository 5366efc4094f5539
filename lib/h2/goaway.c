/* SPDX-License-Identifier: MIT */
/* Goaway: a GOAWAY with words of ours, written past nghttp2.
 *
 * nghttp2 sends debug data only with a GOAWAY that ends the taking of new streams, and ends a session
 * only with a GOAWAY without debug data. gRPC wants both with: the first of the two steps says why the
 * connection ends [A9], and the last word to a client that pings too much is what its people will
 * search for [A8]. Neither changes anything that nghttp2 has to know. */
#include "h2/inside.h"

#include <errno.h>
#include <string.h>

#define FRAME_HEAD 9u

void mrpc_goaway_say(struct mrpc_conn *conn, uint32_t stream, uint32_t code, const char *text,
		     bool last)
{
	conn->goaway.due = true;
	conn->goaway.last = last;
	conn->goaway.stream = stream;
	conn->goaway.code = code;
	conn->goaway.text = text;
	mrpc_conn_touch(conn);
}

static void put_u32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

/* RFC 9113, 6.8 */
int mrpc_goaway_write(struct mrpc_conn *conn)
{
	size_t len = strlen(conn->goaway.text);
	uint8_t bytes[FRAME_HEAD + 8] = { 0, 0, (uint8_t)(8 + len), NGHTTP2_GOAWAY };

	conn->goaway.due = false;
	put_u32(bytes + FRAME_HEAD, conn->goaway.stream);
	put_u32(bytes + FRAME_HEAD + 4, conn->goaway.code);
	if (mrpc_buf_append(conn->out, bytes, sizeof bytes) < 0 ||
	    mrpc_buf_append(conn->out, conn->goaway.text, len) < 0)
		return -ENOMEM;
	conn->dead = conn->dead || conn->goaway.last;
	return 0;
}

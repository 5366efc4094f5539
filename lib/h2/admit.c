/* SPDX-License-Identifier: MIT */
/* Admit: requests that are turned away at the door.
 *
 * The headers of a request are read into a call of its own, so that those that are let in cost nothing more.
 * One that is refused leaves it blank for the next: however many are refused, no call is made or freed, and
 * what is left of each is a stream with an answer. Its body, should one come, finds no call and is dropped
 * as it arrives (stream_in.c); the connection's credit for it goes back at once, the stream's never does, and
 * behind the answer goes RST_STREAM(NO_ERROR) [W-22]. */
#include "h2/inside.h"

#include "base/cold.h"
#include "wire/percent.h"

#include <string.h>

struct minirpc_call *mrpc_blank_take(struct mrpc_conn *conn)
{
	struct minirpc_call *call = conn->blank;

	if (call != NULL) {
		conn->blank = NULL;
		call->started = *conn->place.now;
		mrpc_pool_charge_anyway(conn->place.pool, sizeof *call);
		return call;
	}
	if (mrpc_call_new(&call, MRPC_SERVER, &conn->call_config) < 0)
		return NULL;
	call->events = conn->accept;
	call->user = conn->accept_user;
	return call;
}

/* The answer says its content type; one that lies in the call's memory keeps the call. */
static bool is_needed(const struct minirpc_call *call)
{
	return call->content_type != NULL && strcmp(minirpc_call_subtype(call), "proto") != 0;
}

static void keep_blank(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	struct minirpc_call *call = stream->pin;

	if (conn->blank != NULL || is_needed(call))
		return;
	stream->pin = NULL;
	mrpc_call_unref(call);
	mrpc_call_reset(call);
	mrpc_pool_discharge(conn->place.pool, sizeof *call);
	conn->blank = call;
}

void mrpc_blank_free(struct mrpc_conn *conn)
{
	struct minirpc_call *call = conn->blank;

	if (call == NULL)
		return;
	mrpc_pool_charge_anyway(conn->place.pool, sizeof *call);
	mrpc_timer_unbind(&call->deadline_timer);
	mrpc_call_drop(call);
}

void mrpc_request_refuse(struct mrpc_stream *stream, const struct mrpc_answer *answer)
{
	mrpc_stream_fail_http(stream, answer);
	stream->answer.content_type = stream->pin->content_type;
	keep_blank(stream);
}

/* As it goes onto the wire. The zone has such blocks at hand. Without memory the code goes alone. */
static const char *keep_words(struct mrpc_stream *stream, const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);

	if (len == 0)
		return "";
	stream->words =
		mrpc_zone_alloc(&stream->conn->zone, mrpc_percent_encoded_len(text, len) + 1);
	if (stream->words == NULL)
		return "";
	stream->words[mrpc_percent_encode(stream->words, text, len)] = '\0';
	return stream->words;
}

MRPC_COLD static void turn_away(struct mrpc_stream *stream, const struct mrpc_refusal *refusal)
{
	struct mrpc_answer answer = {
		.http_status = 200,
		.code = refusal->code,
		.text = keep_words(stream, refusal->text),
	};

	if (refusal->pushback != 0) {
		mrpc_pushback_format(stream->pushback, refusal->pushback);
		answer.pushback = stream->pushback;
	}
	mrpc_request_refuse(stream, &answer);
}

bool mrpc_request_is_admitted(struct mrpc_stream *stream)
{
	struct mrpc_conn *conn = stream->conn;
	struct mrpc_refusal refusal = { 0 };

	if (conn->admit == NULL)
		return true;
	stream->pin->peer = conn->peer == NULL ? "" : conn->peer;
	if (conn->admit(conn->accept_user, stream->pin, conn->block.timeout, &refusal))
		return true;
	turn_away(stream, &refusal);
	return false;
}

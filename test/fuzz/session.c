/* SPDX-License-Identifier: MIT */
#include "session.h"

#include "world/alloc_fail.h"

enum {
	DATA,
	HEADERS,
	PRIORITY,
	RST_STREAM,
	SETTINGS_FRAME,
	PUSH_PROMISE,
	PING,
	GOAWAY,
	WINDOW_UPDATE,
	CONTINUATION
};

static void on_log(enum minirpc_log_level level, const char *line, void *user)
{
	(void)user;
	hold(level <= MINIRPC_LOG_DEBUG);
	for (; *line != '\0'; line++)
		hold(*line >= 0x20 && *line <= 0x7E); /* a peer's text is escaped */
}

/* What a hundred calls with full headers, the session and the loop take; more only for bytes. */
#define MOST_MEMORY ((size_t)4 << 20)

void session_init(struct session *session, bool is_client, size_t len)
{
	*session = (struct session){ .preface_left = is_client ? strlen(PREFACE) : 0,
				     .most = MOST_MEMORY + 16 * len };
	alloc_fail_at(0, false);
	alloc_reset_peak();
	hold(minirpc_loop_new(
		     &session->loop,
		     &(struct minirpc_loop_options){
			     .manual = true, .log = on_log, .log_level = MINIRPC_LOG_DEBUG }) == 0);
}

static void on_pending(minirpc_conn *conn, void *user)
{
	(void)conn; /* fetched in settle, where stalling is decided */
	(void)user;
}

static void on_finished(minirpc_conn *conn, void *user)
{
	struct session *session = user;

	(void)conn;
	hold(!session->finished);
	session->finished = true;
}

struct minirpc_attach_options session_attach(struct session *session)
{
	return (struct minirpc_attach_options){ .peer = "fuzz",
						.on_pending = on_pending,
						.on_finished = on_finished,
						.user = session };
}

/* A frame header of ours is complete: RFC 9113, 4 and 6. */
static void check_frame(struct session *session)
{
	const uint8_t *h = session->header;
	size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
	uint32_t stream = (uint32_t)h[5] << 24 | (uint32_t)h[6] << 16 | (uint32_t)h[7] << 8 | h[8];

	hold(h[3] <= CONTINUATION && h[3] != PRIORITY && h[3] != PUSH_PROMISE);
	hold(stream < 0x80000000);
	hold((session->block != 0) == (h[3] == CONTINUATION)); /* a block is not interrupted */
	if (h[3] == CONTINUATION)
		hold(stream == session->block);
	if (h[3] == DATA || h[3] == HEADERS || h[3] == RST_STREAM)
		hold(stream != 0);
	if (h[3] == SETTINGS_FRAME || h[3] == PING || h[3] == GOAWAY)
		hold(stream == 0);
	if (h[3] == PING)
		hold(len == 8);
	if (h[3] == RST_STREAM || h[3] == WINDOW_UPDATE)
		hold(len == 4);
	if (h[3] == HEADERS || h[3] == CONTINUATION)
		session->block = (h[4] & 4) != 0 ? 0 : stream;
	session->payload_left = len;
	session->header_len = 0;
}

static void check_output(struct session *session, const uint8_t *data, size_t len)
{
	size_t n;

	while (len > 0) {
		if (session->preface_left > 0) {
			hold(*data == (uint8_t)PREFACE[strlen(PREFACE) - session->preface_left]);
			session->preface_left--;
			n = 1;
		} else if (session->payload_left > 0) {
			n = len < session->payload_left ? len : session->payload_left;
			session->payload_left -= n;
		} else {
			session->header[session->header_len++] = *data;
			if (session->header_len == sizeof session->header)
				check_frame(session);
			n = 1;
		}
		data += n;
		len -= n;
	}
}

static void take_output(struct session *session)
{
	const void *data;
	size_t len;

	while (session->conn != NULL && !session->stalled &&
	       (len = minirpc_conn_pending(session->conn, &data)) > 0) {
		check_output(session, data, len);
		minirpc_conn_sent(session->conn, len);
	}
}

void session_settle(struct session *session)
{
	/* Enough for every call to be told of everything, many times over. */
	for (int turns = 0; turns < 1000; turns++) {
		minirpc_loop_advance(session->loop, session->now);
		take_output(session);
		hold(alloc_peak_bytes() <= session->most);
		if (minirpc_loop_next(session->loop) > session->now)
			return;
	}
	never("the loop finds something to do for ever");
}

void session_receive(struct session *session, const void *data, size_t len)
{
	if (session->conn == NULL)
		return;
	minirpc_conn_receive(session->conn, data, len);
	session_settle(session);
}

static void pass(struct session *session, minirpc_time span)
{
	session->now += span;
	session_settle(session);
}

static void receive_from(struct session *session, struct input *input, size_t len)
{
	uint8_t *data = input_copy(input, len, false, &len);

	session_receive(session, data, len);
	free(data);
}

void session_run(struct session *session, struct input *input,
		 void (*step)(struct session *session, uint8_t step))
{
	session_settle(session);
	while (input->left > 0) {
		uint8_t op = input_byte(input);
		size_t len;

		switch (op) {
		case 0:
			len = (size_t)input_byte(input) << 8;
			receive_from(session, input, len | input_byte(input));
			break;
		case 0xF0:
			pass(session, MINIRPC_MS(1));
			break;
		case 0xF1:
			pass(session, MINIRPC_S(10));
			break;
		case 0xF2:
			pass(session, MINIRPC_S(600));
			break;
		case 0xF3:
			session->stalled = true;
			break;
		case 0xF4:
			session->stalled = false;
			session_settle(session);
			break;
		case 0xFF:
			session_let_go(session);
			session_settle(session);
			break;
		case 0xFD:
		case 0xFE:
			alloc_fail_at(input_byte(input), op == 0xFE);
			break;
		default:
			if (op < 0xF0)
				receive_from(session, input, op);
			else
				step(session, op);
			break;
		}
	}
}

/* ---- An interceptor ---- */

struct life {
	bool opened, is_held[2];
	unsigned parts[2];
};

static void change(minirpc_hook *hook, const struct minirpc_part *part)
{
	if (part->metadata != NULL)
		minirpc_hook_set_metadata(hook, &(struct minirpc_field){ "x-seen", "yes", 0 });
	if (part->kind == MINIRPC_PART_MESSAGE)
		minirpc_hook_set_message(hook, "changed", 7);
	if (part->status != NULL)
		minirpc_hook_set_status(hook,
					&(struct minirpc_status){ part->status->code, "changed" });
}

static enum minirpc_verdict look(minirpc_hook *hook, const struct minirpc_part *part,
				 struct session *session, bool sent)
{
	struct life *life = minirpc_hook_data(hook);

	hold(!life->is_held[sent]);
	hold(part->kind != MINIRPC_PART_HEADERS || life->parts[sent] == 0);
	hold(part->kind != MINIRPC_PART_MESSAGE || part->data != NULL);
	life->parts[sent]++;
	session->opens += !life->opened;
	life->opened = true;
	switch (session->parts++ * 7 % 23) {
	case 3:
	case 11:
		change(hook, part);
		return MINIRPC_PASS;
	case 5:
	case 17:
		if (session->held_count == SESSION_HELD)
			return MINIRPC_PASS;
		session->held[session->held_count++] = (struct session_held){ hook, sent };
		life->is_held[sent] = true;
		return MINIRPC_HOLD;
	case 19:
		return MINIRPC_STOP;
	default:
		return MINIRPC_PASS;
	}
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	return look(hook, part, user, true);
}

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	return look(hook, part, user, false);
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct session *session = user;

	hold(status->message != NULL);
	session->closes++;
	for (size_t i = 0; i < session->held_count;)
		if (session->held[i].hook == hook)
			session->held[i] = session->held[--session->held_count];
		else
			i++;
}

const struct minirpc_interceptor session_interceptor = { .name = "fuzz",
							 .data_size = sizeof(struct life),
							 .on_send = on_send,
							 .on_receive = on_receive,
							 .on_close = on_close };
const struct minirpc_interceptor session_attempt_interceptor = { .name = "fuzz of attempts",
								 .data_size = sizeof(struct life),
								 .per_attempt = true,
								 .on_send = on_send,
								 .on_receive = on_receive,
								 .on_close = on_close };

void session_let_go(struct session *session)
{
	while (session->held_count > 0) {
		struct session_held held = session->held[--session->held_count];
		struct life *life = minirpc_hook_data(held.hook);

		life->is_held[held.sent] = false;
		minirpc_hook_resume(held.hook, held.sent, NULL);
	}
}

void session_close(struct session *session)
{
	minirpc_conn_close(session->conn);
	session->conn = NULL;
}

void session_clear(struct session *session)
{
	minirpc_loop_free(session->loop);
	hold(session->opens == session->closes && session->held_count == 0);
	hold(alloc_live() == 0);
}

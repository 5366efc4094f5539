/* SPDX-License-Identifier: MIT */
/* Guard: the rules of limits.md, sections 2 and 3, that frames alone can break.
 *
 * nghttp2 takes hundreds of thousands of lawful and useless frames without a word, and does not
 * show us the ones it ignores. So the guard walks over the frame heads itself, before nghttp2 sees
 * the bytes: 9 bytes each, no allocation, no look at the payload but for the length of padding.
 *
 *	preface(24, at a server) | head(9) payload | head(9) payload | ...
 *
 * What is spent and what pays for it:
 *
 *	RST_STREAM received     resets     time, and each call that ran to its end
 *	RST_STREAM for errors   errors     time
 *	PRIORITY                -          requests
 *	WINDOW_UPDATE           -          requests, DATA that we send
 *	control frames, streams control    time, requests, DATA either way
 *	 refused
 *	empty DATA in a row     -          DATA with bytes in it
 *	tiny DATA on average    -          bytes, and messages that end
 *	1xx blocks, at a client control    as above
 *	PING, besides, early    strikes    HEADERS and DATA that we send
 *
 * At a server it also finds what nghttp2 could only find if it kept streams that are closed, and
 * what is wrong with PRIORITY, which nghttp2 skips as RFC 7540's priorities are off: frames behind
 * the end of a stream (RFC 9113, 5.1), ids that were passed over (5.1.1). What we sent plays no part
 * in that: a client that goes on until it has seen our RST_STREAM makes no error. */
#include "h2/guard.h"

#include <string.h>

#define THOUSAND 1000 /* thousandths in a token */
#define HOUR MINIRPC_S(3600)

/* RFC 9113, 6 */
enum {
	TYPE_DATA = 0,
	TYPE_HEADERS = 1,
	TYPE_PRIORITY = 2,
	TYPE_RST_STREAM = 3,
	TYPE_WINDOW_UPDATE = 8,
	TYPE_CONTINUATION = 9,
};
enum { FLAG_END_STREAM = 0x1, FLAG_END_HEADERS = 0x4, FLAG_PADDED = 0x8 };

#define PREFACE 24u
#define PRIORITY_LEN 5u
#define CONTROL_PER_SECOND 10 /* an idle connection may ping for years */
#define CONTROL_PER_REQUEST 10
#define CONTROL_PER_DATA_SENT 10 /* as Envoy */
#define CONTROL_PER_DATA_RECEIVED 1
#define LONELY_INTERVAL MINIRPC_S(7200) /* [K-3] as of TCP's keepalive */
#define MAX_STRIKES 2u

static struct mrpc_bucket bucket(uint32_t burst, uint32_t per_second, minirpc_time now)
{
	return (struct mrpc_bucket){
		.tokens = (int64_t)burst * THOUSAND,
		.burst = (int64_t)burst * THOUSAND,
		.per_second = per_second,
		.at = now,
	};
}

static void pay(struct mrpc_bucket *bucket, int64_t tokens)
{
	bucket->tokens += tokens * THOUSAND;
	if (bucket->tokens > bucket->burst)
		bucket->tokens = bucket->burst;
}

/* `at` advances only by the time that was paid out, so that fractions are not lost. */
static void refill(struct mrpc_bucket *bucket, minirpc_time now)
{
	minirpc_time span = now - bucket->at;
	int64_t gain;

	if (span <= 0 || bucket->per_second == 0)
		return;
	if (span > HOUR)
		span = HOUR;
	gain = span / 1000 * bucket->per_second / (MINIRPC_S(1) / 1000 / THOUSAND);
	if (gain == 0)
		return;
	bucket->at += gain * (MINIRPC_S(1) / THOUSAND) / bucket->per_second;
	bucket->tokens += gain;
	if (bucket->tokens >= bucket->burst) {
		bucket->tokens = bucket->burst;
		bucket->at = now;
	}
}

static bool spend(struct mrpc_bucket *bucket, minirpc_time now)
{
	if (bucket->tokens < bucket->burst)
		refill(bucket, now);
	else
		bucket->at = now;
	if (bucket->tokens < THOUSAND)
		return false;
	bucket->tokens -= THOUSAND;
	return true;
}

void mrpc_guard_init(struct mrpc_guard *guard, const struct minirpc_conn_limits *limits,
		     bool server, minirpc_time now)
{
	*guard = (struct mrpc_guard){
		.limits = limits,
		.server = server,
		.preface_left = server ? PREFACE : 0,
		.resets = bucket(limits->resets_burst, limits->resets_per_second, now),
		.errors = bucket(limits->errors_burst, limits->errors_per_second, now),
		.control = bucket(limits->control_burst, CONTROL_PER_SECOND, now),
		.priority_left = limits->priority_per_stream,
		.updates_left = limits->updates_per_data,
	};
}

/* ---- One frame ---- */

static enum mrpc_breach spend_control(struct mrpc_guard *guard, minirpc_time now)
{
	return spend(&guard->control, now) ? MRPC_BREACH_NONE : MRPC_BREACH_CONTROL;
}

/* PRIORITY and WINDOW_UPDATE have, beside the budget of all control frames, one of their own that no
 * time refills: what they are for explains them. As Envoy counts them. */
static enum mrpc_breach spend_own(struct mrpc_guard *guard, uint64_t *left, enum mrpc_breach breach,
				  minirpc_time now)
{
	if (*left == 0)
		return breach;
	(*left)--;
	return spend_control(guard, now);
}

void mrpc_guard_opened(struct mrpc_guard *guard)
{
	guard->priority_left += guard->limits->priority_per_stream;
	guard->updates_left += guard->limits->updates_per_data;
}

/* A frame for a stream that exists, or does so no more. */
static enum mrpc_breach check_stream(const struct mrpc_guard *guard)
{
	if (!guard->server)
		return MRPC_BREACH_NONE;
	switch (mrpc_ids_state(&guard->ids, guard->stream)) {
	case MRPC_ID_ENDED:
		return MRPC_BREACH_STREAM_CLOSED;
	case MRPC_ID_SKIPPED:
		return MRPC_BREACH_STREAM_ID;
	default: /* nghttp2 knows what to say of those that are idle */
		return MRPC_BREACH_NONE;
	}
}

static void note_end(struct mrpc_guard *guard)
{
	if ((guard->flags & FLAG_END_STREAM) != 0)
		mrpc_ids_end(&guard->ids, guard->stream);
}

static enum mrpc_breach on_headers(struct mrpc_guard *guard, uint32_t len, minirpc_time now)
{
	enum mrpc_breach breach = check_stream(guard);
	bool opens = guard->stream > guard->ids.last;

	if (breach != MRPC_BREACH_NONE)
		return breach;
	guard->in_block = true;
	guard->continuations = 0;
	guard->block_wire = len;
	if (len > guard->limits->max_header_wire)
		return MRPC_BREACH_HEADER_WIRE;
	if (!guard->server)
		return MRPC_BREACH_NONE;
	if (opens && guard->stream % 2 == 1)
		mrpc_ids_open(&guard->ids, guard->stream);
	note_end(guard);
	if (!opens) /* trailers, or for a stream that is long gone */
		return spend_control(guard, now);
	mrpc_guard_opened(guard);
	pay(&guard->control, CONTROL_PER_REQUEST);
	return MRPC_BREACH_NONE;
}

static enum mrpc_breach on_continuation(struct mrpc_guard *guard, uint32_t len)
{
	if (++guard->continuations > guard->limits->max_continuations)
		return MRPC_BREACH_CONTINUATIONS;
	if (len > guard->limits->max_header_wire - guard->block_wire)
		return MRPC_BREACH_HEADER_WIRE;
	guard->block_wire += len;
	return MRPC_BREACH_NONE;
}

/* The end of a request with nothing left to send is an empty DATA frame too, and lawful [W-10]. */
static enum mrpc_breach on_data(struct mrpc_guard *guard, uint32_t useful)
{
	guard->data_frames++;
	guard->data_useful += useful;
	if (useful > 0) {
		guard->empty_row = 0;
		pay(&guard->control, CONTROL_PER_DATA_RECEIVED);
		return MRPC_BREACH_NONE;
	}
	if ((guard->flags & FLAG_END_STREAM) != 0)
		return MRPC_BREACH_NONE;
	guard->empty_row++;
	return guard->empty_row > guard->limits->empty_data ? MRPC_BREACH_EMPTY_DATA
							    : MRPC_BREACH_NONE;
}

static enum mrpc_breach on_frame(struct mrpc_guard *guard, const uint8_t *head, minirpc_time now)
{
	uint32_t len = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
	enum mrpc_breach breach;

	guard->type = head[3];
	guard->flags = head[4];
	guard->stream = (uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
			(uint32_t)head[7] << 8 | head[8];
	guard->depends_left = 0;
	guard->payload_left = len;
	guard->pad_due = false;

	switch (guard->type) {
	case TYPE_DATA:
		breach = check_stream(guard);
		if (breach != MRPC_BREACH_NONE)
			return breach;
		note_end(guard);
		guard->pad_due = (guard->flags & FLAG_PADDED) != 0 && len > 0;
		return guard->pad_due ? MRPC_BREACH_NONE : on_data(guard, len);
	case TYPE_HEADERS:
		return on_headers(guard, len, now);
	case TYPE_CONTINUATION:
		return on_continuation(guard, len);
	case TYPE_RST_STREAM:
		if (!guard->server) /* each cost the server a call of ours */
			return MRPC_BREACH_NONE;
		mrpc_ids_end(&guard->ids, guard->stream);
		return spend(&guard->resets, now) ? MRPC_BREACH_NONE : MRPC_BREACH_RESETS;
	case TYPE_PRIORITY:
		if (!guard->server)
			return spend_control(guard, now);
		if (guard->stream == 0) /* RFC 9113, 6.3 */
			return MRPC_BREACH_PRIORITY_ID;
		guard->depends_on = 0;
		guard->depends_left = len == PRIORITY_LEN ? 4 : 0;
		return spend_own(guard, &guard->priority_left, MRPC_BREACH_PRIORITY, now);
	case TYPE_WINDOW_UPDATE:
		return spend_own(guard, &guard->updates_left, MRPC_BREACH_UPDATES, now);
	default:
		return spend_control(guard, now);
	}
}

/* ---- The bytes ---- */

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void end_payload(struct mrpc_guard *guard)
{
	guard->head_len = 0;
	if (guard->type == TYPE_HEADERS || guard->type == TYPE_CONTINUATION)
		guard->in_block = (guard->flags & FLAG_END_HEADERS) == 0;
	else
		guard->in_block = false;
}

/* RFC 7540, 5.3.1: a stream cannot depend on itself. */
static enum mrpc_breach read_dependency(struct mrpc_guard *guard, const uint8_t *data, size_t n)
{
	for (; n > 0 && guard->depends_left > 0; n--, guard->depends_left--)
		guard->depends_on = guard->depends_on << 8 | *data++;
	return guard->depends_left == 0 && (guard->depends_on & 0x7fffffff) == guard->stream
		       ? MRPC_BREACH_PRIORITY_ID
		       : MRPC_BREACH_NONE;
}

static enum mrpc_breach read_payload(struct mrpc_guard *guard, const uint8_t *data, size_t n)
{
	enum mrpc_breach breach = MRPC_BREACH_NONE;

	if (guard->pad_due && n > 0) {
		uint32_t around = 1u + data[0];

		guard->pad_due = false;
		breach = on_data(guard,
				 guard->payload_left > around ? guard->payload_left - around : 0);
	}
	if (guard->depends_left > 0 && n > 0)
		breach = read_dependency(guard, data, n);
	guard->payload_left -= (uint32_t)n;
	if (guard->payload_left == 0)
		end_payload(guard);
	return breach;
}

/* Moves *at over the head of a frame, as far as it is here. Returns all of it, or NULL. */
static const uint8_t *find_head(struct mrpc_guard *guard, const uint8_t *data, size_t len,
				size_t *at)
{
	const uint8_t *start = data + *at;
	size_t n;

	if (guard->head_len == 0 && len - *at >= sizeof guard->head) { /* nearly always */
		guard->head_len = sizeof guard->head;
		*at += sizeof guard->head;
		return start;
	}
	n = smaller(sizeof guard->head - guard->head_len, len - *at);
	memcpy(guard->head + guard->head_len, start, n);
	guard->head_len += (unsigned)n;
	*at += n;
	return guard->head_len < sizeof guard->head ? NULL : guard->head;
}

size_t mrpc_guard_scan(struct mrpc_guard *guard, const uint8_t *data, size_t len, minirpc_time now,
		       enum mrpc_breach *ret_breach)
{
	size_t at = smaller(guard->preface_left, len);

	*ret_breach = MRPC_BREACH_NONE;
	guard->preface_left -= (unsigned)at;
	while (at < len) {
		size_t start = at, n;

		if (guard->head_len < sizeof guard->head) {
			const uint8_t *head = find_head(guard, data, len, &at);

			if (head == NULL)
				break;
			*ret_breach = on_frame(guard, head, now);
			if (*ret_breach != MRPC_BREACH_NONE)
				return start;
		}
		n = smaller(guard->payload_left, len - at);
		*ret_breach = read_payload(guard, data + at, n);
		if (*ret_breach != MRPC_BREACH_NONE)
			return start;
		at += n;
	}
	return len;
}

/* A message of two bytes is seven on the wire: a chat of small messages is no abuse, however many
 * frames it takes. Frames that end no message are.
 *
 * Not at a client: a server that wants to be slow needs no trick, and one that cuts its answers
 * into frames of five bytes is a case of the interop tests. */
enum mrpc_breach mrpc_guard_judge(struct mrpc_guard *guard)
{
	const struct minirpc_conn_limits *limits = guard->limits;
	bool tiny;

	if (guard->data_frames < limits->tiny_data_frames)
		return MRPC_BREACH_NONE;
	tiny = guard->server && guard->data_useful / guard->data_frames < limits->tiny_data_average;
	guard->data_frames = 0;
	guard->data_useful = 0;
	return tiny ? MRPC_BREACH_TINY_DATA : MRPC_BREACH_NONE;
}

void mrpc_guard_message(struct mrpc_guard *guard)
{
	guard->data_useful += guard->limits->tiny_data_average;
}

void mrpc_guard_sent_data(struct mrpc_guard *guard)
{
	guard->updates_left += guard->limits->updates_per_data;
	pay(&guard->control, CONTROL_PER_DATA_SENT);
}

void mrpc_guard_completed(struct mrpc_guard *guard)
{
	pay(&guard->resets, 1);
}

enum mrpc_breach mrpc_guard_caused_reset(struct mrpc_guard *guard, minirpc_time now)
{
	return spend(&guard->errors, now) ? MRPC_BREACH_NONE : MRPC_BREACH_ERRORS;
}

/* A peer that has not seen our SETTINGS may open many streams in good faith, and a busy one meets
 * handlers that have not ended: not an error, but not free. */
enum mrpc_breach mrpc_guard_refused(struct mrpc_guard *guard, minirpc_time now)
{
	return spend_control(guard, now);
}

enum mrpc_breach mrpc_guard_informational(struct mrpc_guard *guard, minirpc_time now)
{
	return spend_control(guard, now);
}

void mrpc_guard_pings(struct mrpc_guard *guard, const struct minirpc_keepalive *keepalive)
{
	minirpc_time interval = guard->server ? keepalive->min_interval : -1;

	guard->pings.interval = interval;
	guard->pings.lonely_interval =
		keepalive->permit_without_calls || interval < 0 ? interval : LONELY_INTERVAL;
	guard->pings.pardon = true;
}

/* PINGs have other uses than keepalive, all of them around DATA: what we have sent since the last one
 * pardons it, and those before. */
enum mrpc_breach mrpc_guard_ping(struct mrpc_guard *guard, bool has_calls, minirpc_time now)
{
	minirpc_time interval = has_calls ? guard->pings.interval : guard->pings.lonely_interval;

	if (guard->pings.pardon)
		guard->pings.strikes = 0;
	if (guard->pings.pardon || now - guard->pings.valid_at >= interval) {
		guard->pings.pardon = false;
		guard->pings.valid_at = now;
		return MRPC_BREACH_NONE;
	}
	return ++guard->pings.strikes > MAX_STRIKES ? MRPC_BREACH_PINGS : MRPC_BREACH_NONE;
}

const char *mrpc_breach_text(enum mrpc_breach breach)
{
	static const char *const texts[] = {
		[MRPC_BREACH_NONE] = "",
		[MRPC_BREACH_RESETS] = "too many streams reset by the peer",
		[MRPC_BREACH_ERRORS] = "too many streams in error",
		[MRPC_BREACH_CONTROL] = "too many control frames",
		[MRPC_BREACH_PRIORITY] = "too many PRIORITY frames",
		[MRPC_BREACH_UPDATES] = "too many WINDOW_UPDATE frames",
		[MRPC_BREACH_EMPTY_DATA] = "too many empty DATA frames",
		[MRPC_BREACH_TINY_DATA] = "too many tiny DATA frames",
		[MRPC_BREACH_CONTINUATIONS] = "too many CONTINUATION frames",
		[MRPC_BREACH_HEADER_WIRE] = "header block too large",
		[MRPC_BREACH_HEADER_LIST] = "header list far too large",
		[MRPC_BREACH_HEADER_TIME] = "header block not finished in time",
		[MRPC_BREACH_PINGS] = "too many PINGs",
		[MRPC_BREACH_STREAM_CLOSED] = "a frame behind the end of its stream",
		[MRPC_BREACH_STREAM_ID] = "a stream that can be opened no more",
		[MRPC_BREACH_PRIORITY_ID] = "PRIORITY for no stream, or on itself",
	};

	return texts[breach];
}

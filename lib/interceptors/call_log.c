/* SPDX-License-Identifier: MIT */
/* Call log: counts what passes, and says in the end what became of the call.
 *
 * It looks at lengths, never at bytes, and never at metadata: what it does not have it cannot tell. */
#include "interceptors/bucket.h"

#include "base/alloc.h"

#include <minirpc/interceptors.h>
#include <minirpc/loop.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINE 512
#define NAME 100 /* characters of one, before they are escaped */
#define PER_SECOND 100u
#define PER_SECOND_MAX 1000000000u

struct minirpc_call_log {
	struct minirpc_call_log_options options;
	bool has_lines;
	struct mrpc_bucket bucket;
	uint64_t left_out;
};

/* What is known of one call. */
struct entry {
	bool begun;
	minirpc_time started;
	uint64_t messages_sent, messages_received, bytes_sent, bytes_received;
};

static struct entry *begin(minirpc_hook *hook)
{
	struct entry *entry = minirpc_hook_data(hook);

	if (!entry->begun) {
		entry->begun = true;
		entry->started = minirpc_loop_now(minirpc_call_loop(minirpc_hook_call(hook)));
	}
	return entry;
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	struct entry *entry = begin(hook);

	(void)user;
	if (part->kind == MINIRPC_PART_MESSAGE) {
		entry->messages_sent++;
		entry->bytes_sent += part->len;
	}
	return MINIRPC_PASS;
}

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	struct entry *entry = begin(hook);

	(void)user;
	if (part->kind == MINIRPC_PART_MESSAGE) {
		entry->messages_received++;
		entry->bytes_received += part->len;
	}
	return MINIRPC_PASS;
}

/* ---- The line ---- */

struct line {
	char text[LINE];
	size_t len;
};

static MINIRPC_PRINTF(2, 3) void put(struct line *line, const char *format, ...)
{
	size_t room = LINE - line->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->len, room, format, args);
	va_end(args);
	if (n > 0)
		line->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void put_char(struct line *line, unsigned char c, bool escape)
{
	if (escape)
		put(line, "\\x%02X", c);
	else
		put(line, "%c", c);
}

/* What a peer wrote: nothing in it may end the line or move a cursor. A backslash is escaped too, so that an
 * escape is one. */
static void put_text(struct line *line, const char *text)
{
	for (; *text != '\0' && line->len + 5 < LINE; text++) {
		unsigned char c = (unsigned char)*text;

		put_char(line, c, c < 0x20 || c > 0x7E || c == '\\');
	}
}

/* A name among ours: nor may it look like a part of the line, or leave no room for the others. */
static void put_name(struct line *line, const char *name)
{
	for (size_t i = 0; name[i] != '\0'; i++) {
		unsigned char c = (unsigned char)name[i];

		if (i == NAME) {
			put(line, "...");
			break;
		}
		put_char(line, c, c <= 0x20 || c > 0x7E || c == '\\' || c == ',');
	}
}

static void put_ms(struct line *line, const char *before, minirpc_time span)
{
	minirpc_time us = span / MINIRPC_US(1);

	put(line, "%s%" PRId64 ".%03d ms", before, us / 1000, (int)(us % 1000));
}

static void write_line(struct line *line, const struct minirpc_call_record *record,
		       uint64_t left_out)
{
	const struct minirpc_status *status = record->status;

	line->len = 0;
	put(line, "call %s ", record->server ? "server" : "client");
	put_name(line, record->method);
	put(line, " %s", minirpc_code_name(status->code));
	put_ms(line, " in ", record->duration);
	put(line, ", peer ");
	put_name(line, record->peer[0] == '\0' ? "none" : record->peer);
	if (record->authority[0] != '\0') {
		put(line, ", authority ");
		put_name(line, record->authority);
	}
	put(line,
	    ", sent %" PRIu64 " messages %" PRIu64 " bytes, received %" PRIu64 " messages %" PRIu64
	    " bytes",
	    record->messages_sent, record->bytes_sent, record->messages_received,
	    record->bytes_received);
	if (!record->server)
		put(line, ", attempts %u", record->attempts);
	if (record->time_left != MINIRPC_NEVER)
		put_ms(line, ", left ", record->time_left);
	if (left_out > 0)
		put(line, " (%" PRIu64 " left out)", left_out);
	if (status->code != MINIRPC_OK && status->message[0] != '\0') {
		put(line, ": ");
		put_text(line, status->message);
	}
}

static void log_line(minirpc_call_log *log, minirpc_call *call,
		     const struct minirpc_call_record *record)
{
	const struct minirpc_call_log_options *options = &log->options;
	minirpc_time now = record->started + record->duration;
	struct line line;

	if (mrpc_bucket_wait(&log->bucket, now) > 0) {
		log->left_out++;
		return;
	}
	mrpc_bucket_take(&log->bucket, now);
	write_line(&line, record, log->left_out);
	log->left_out = 0;
	if (options->log != NULL)
		options->log(options->level, line.text, options->log_user);
	else
		minirpc_loop_log(minirpc_call_loop(call), options->level, line.text);
}

/* ---- The end ---- */

static bool is_wanted(const struct minirpc_call_log_options *options, minirpc_time duration,
		      enum minirpc_code code)
{
	if (options->slower_than == 0 && !options->only_failed)
		return true;
	return (options->only_failed && code != MINIRPC_OK) ||
	       (options->slower_than > 0 && duration >= options->slower_than);
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	minirpc_call_log *log = user;
	minirpc_call *call = minirpc_hook_call(hook);
	const struct entry *entry = minirpc_hook_data(hook);
	minirpc_time now = minirpc_loop_now(minirpc_call_loop(call));
	struct minirpc_call_record record = {
		.server = minirpc_call_is_server(call),
		.method = minirpc_call_path(call),
		.peer = minirpc_call_peer(call),
		.authority = minirpc_call_authority(call),
		.status = status,
		.started = entry->started,
		.duration = now - entry->started,
		.time_left = minirpc_call_time_left(call),
		.messages_sent = entry->messages_sent,
		.messages_received = entry->messages_received,
		.bytes_sent = entry->bytes_sent,
		.bytes_received = entry->bytes_received,
	};

	if (!is_wanted(&log->options, record.duration, status->code))
		return;
	if (!record.server)
		record.attempts = minirpc_call_attempt_count(call);
	if (log->options.on_record != NULL)
		log->options.on_record(&record, log->options.user);
	if (log->has_lines)
		log_line(log, call, &record);
}

static const struct minirpc_interceptor interceptor = {
	.name = "call log",
	.data_size = sizeof(struct entry),
	.on_send = on_send,
	.on_receive = on_receive,
	.on_close = on_close,
};

int minirpc_call_log_new(minirpc_call_log **ret_log, const struct minirpc_call_log_options *options)
{
	static const struct minirpc_call_log_options none;
	minirpc_call_log *log;
	uint32_t rate;

	if (options == NULL)
		options = &none;
	if (options->slower_than < 0)
		return -EINVAL;
	log = mrpc_alloc(sizeof *log);
	if (log == NULL)
		return -ENOMEM;
	*log = (minirpc_call_log){
		.options = *options,
		.has_lines = options->on_record == NULL || options->log != NULL,
	};
	if (log->options.level == MINIRPC_LOG_ERROR)
		log->options.level = MINIRPC_LOG_INFO;
	rate = options->per_second == 0 ? PER_SECOND : options->per_second;
	mrpc_bucket_init(&log->bucket, rate > PER_SECOND_MAX ? 0 : rate,
			 options->burst > 0 ? options->burst : rate);
	*ret_log = log;
	return 0;
}

minirpc_call_log *minirpc_call_log_free(minirpc_call_log *log)
{
	return mrpc_free(log);
}

struct minirpc_use minirpc_call_log_use(minirpc_call_log *log)
{
	return (struct minirpc_use){ &interceptor, log };
}

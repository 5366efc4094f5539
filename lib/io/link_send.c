/* SPDX-License-Identifier: MIT */
/* Link, sending: one gathered write a turn. See link.c. */
#include "io/link_own.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

void mrpc_link_drop_unsent(struct mrpc_link *link)
{
	minirpc_loop *loop = link->loop;

	/* A big buffer was the loop's; the next link with a full socket will want one. */
	if (loop->spare.data == NULL && link->unsent.capacity >= LINK_WRITE_LIMIT) {
		mrpc_buf_empty(&link->unsent);
		loop->spare = link->unsent;
		link->unsent = (struct mrpc_buf){ 0 };
	} else {
		mrpc_buf_clear(&link->unsent);
	}
}

/* The buffer that is written next: the link's own rest, else the loop's. */
static struct mrpc_buf *outgoing(struct mrpc_link *link)
{
	return mrpc_buf_len(&link->unsent) > 0 ? &link->unsent : &link->loop->out;
}

/* The socket did not take all of the loop's buffer: it becomes the link's, and the loop goes on
 * with a spare one. A small rest is copied instead, so that a slow peer does not hold 128 KiB. */
static void keep_rest(struct mrpc_link *link)
{
	minirpc_loop *loop = link->loop;
	size_t rest = mrpc_buf_len(&loop->out);

	if (rest <= loop->out.capacity / 8 &&
	    mrpc_buf_append(&link->unsent, mrpc_buf_bytes(&loop->out), rest) == 0) {
		mrpc_buf_empty(&loop->out);
		return;
	}
	mrpc_buf_clear(&link->unsent);
	link->unsent = loop->out;
	loop->out = loop->spare;
	loop->spare = (struct mrpc_buf){ 0 };
}

static void on_write_error(struct mrpc_link *link, int error)
{
	bool closed = error == EPIPE || error == ECONNRESET;

	mrpc_buf_empty(&link->loop->out);
	if (!closed || link->state != LINK_OPEN || mrpc_link_is_ended(link) ||
	    mrpc_link_is_handshaking(link)) {
		mrpc_link_finish_errno(link, "cannot send", error);
		return;
	}
	/* What the peer said before it left, maybe the answer or a GOAWAY, is still to be read. */
	link->mute = true;
	link->blocked = false;
	mrpc_link_drop_unsent(link);
}

/* The rest is at most what the machine handed over last; as TLS only adds bytes, this never says
 * too much, and is exact for clear text. */
static void tell_sent(struct mrpc_link *link)
{
	size_t rest = mrpc_buf_len(&link->unsent), sent;

	if (link->handed <= rest)
		return;
	sent = link->handed - rest;
	link->handed = rest;
	link->machine->ops->sent(link->machine, sent, link->loop->now);
}

/* One write. */
static void write_some(struct mrpc_link *link)
{
	struct mrpc_buf *buf = outgoing(link);
	size_t len = mrpc_buf_len(buf);
	ssize_t n;

	if (len == 0)
		return;
	do
		n = send(link->fd, mrpc_buf_bytes(buf), len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
		on_write_error(link, errno);
		return;
	}

	mrpc_buf_consume(buf, n > 0 ? (size_t)n : 0);
	link->blocked = mrpc_buf_len(buf) > 0;
	if (!link->blocked)
		mrpc_link_drop_unsent(link);
	else if (buf != &link->unsent)
		keep_rest(link);
	tell_sent(link);
}

/* Asks the machine, by way of `to`, for as much as one write takes. Returns the bytes that came. */
static size_t ask(struct mrpc_link *link, struct mrpc_buf *to)
{
	size_t before = mrpc_buf_len(to);
	int r = link->machine->ops->pending(link->machine, to, LINK_WRITE_LIMIT, link->loop->now);

	if (r < 0)
		link->deaf = true;
	return mrpc_buf_len(to) - before;
}

/* Gathers what is to be written. Returns true when the machine may have more. */
static bool gather(struct mrpc_link *link)
{
	struct mrpc_buf *plain = &link->loop->plain, *buf = outgoing(link);
	size_t len = 0;
	int r = 0;

	if (link->mute)
		return false;
	if (link->handed > 0)
		return true; /* the rest of the last write goes first */
	if (link->tls == NULL) {
		len = ask(link, buf);
	} else if (mrpc_link_is_handshaking(link)) {
		r = mrpc_tls_session_send(link->tls, NULL, 0, buf);
	} else {
		mrpc_buf_empty(plain);
		len = ask(link, plain);
		if (len > 0)
			r = mrpc_tls_session_send(link->tls, mrpc_buf_bytes(plain), len, buf);
		mrpc_buf_empty(plain);
	}
	if (r < 0) {
		mrpc_link_tls_failed(link, r);
		return false;
	}
	link->handed = len;
	return len >= LINK_WRITE_LIMIT / 2;
}

static void flush_open(struct mrpc_link *link)
{
	bool more = gather(link);

	if (link->state != LINK_OPEN)
		return;
	write_some(link);
	if (link->state != LINK_OPEN || link->blocked)
		return;
	if (more && !link->mute)
		mrpc_loop_again(link->loop, &link->task);
	else if (mrpc_link_is_ended(link))
		mrpc_link_close_down(link, 0, "");
}

void mrpc_link_flush(struct mrpc_task *task)
{
	struct mrpc_link *link = mrpc_container(task, struct mrpc_link, task);
	minirpc_loop *loop = link->loop;

	assert(mrpc_buf_len(&loop->out) == 0);
	if (link->state == LINK_OPEN && !link->blocked)
		flush_open(link);
	if (link->state == LINK_CLOSING && !link->blocked) {
		write_some(link);
		if (link->state == LINK_CLOSING && !link->blocked)
			mrpc_link_linger(link);
	}
	mrpc_buf_empty(&loop->out);

	mrpc_link_settle(link);
	if (link->state == LINK_OVER)
		mrpc_link_tell_closed(link);
}

/* SPDX-License-Identifier: MIT */
/* Link: drives a machine (a connection) over a socket, with or without TLS in between.
 *
 *	socket --recv--> loop->in --------------------------> machine.receive
 *	                    \--> TLS --> loop->plain --------^
 *
 *	machine.pending --> loop->out -----------------------> send --> socket
 *	       \--> loop->plain --> TLS --> loop->out ------^    \
 *	                                                          what did not fit: link->unsent
 *
 * Level-triggered and lazy: one read a wake-up (never until EAGAIN), one write a turn. The buffers
 * are the loop's, so an idle link owns none; a link whose socket is full takes the loop's buffer
 * over and asks the machine for nothing more until that has left. The shared buffers are empty
 * whenever no link is at work: the bytes of a dead peer must never reach the next one.
 *
 * The life of a link:
 *
 *	OPEN ------> CLOSING ------> LINGER ------> OVER --> on_closed
 *	  |   we end it: the rest    we said FIN:    ^
 *	  |   of our bytes leaves    read and drop   |
 *	  \------------- the transport is gone -----/
 *
 * LINGER is there because closing a socket with unread bytes sends a reset, and a reset destroys
 * what we said last (GOAWAY, an alert) on its way to the peer. The machine is told `broke` when
 *OPEN ends, and is not touched any more after that.
 *
 * on_closed comes from the link's own task, hence never from inside mrpc_link_new. */
#include "io/link.h"

#include "base/alloc.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Best for bulk: 64 KiB costs 1.2 times as much, 256 KiB falls out of the cache (speed.md, 5). */
#define WRITE_LIMIT 131072u

#define CLOSE_TIME MINIRPC_S(30) /* for our last bytes to leave */
#define LINGER_TIME MINIRPC_S(1) /* for the peer to close after our FIN */
#define LINGER_BYTES 1048576u

#define REASON_SIZE 192

enum link_state { LINK_OPEN, LINK_CLOSING, LINK_LINGER, LINK_OVER, LINK_TOLD };

struct mrpc_link {
	minirpc_loop *loop;
	struct mrpc_machine *machine; /* NULL once it was told that the transport broke */
	struct mrpc_tls_session *tls;
	struct mrpc_link_options options;
	struct minirpc_watch watch;
	struct mrpc_task task;
	struct mrpc_timer timer;
	int fd;
	enum link_state state;
	bool blocked; /* the socket is full: wait until it is writable */
	bool mute; /* the peer has closed its receiving end: send no more, read what it said last */
	bool deaf; /* the machine has ended: read no more, send what is pending */
	struct mrpc_buf unsent; /* taken from the machine or from TLS, but not by the socket */
	size_t handed;          /* bytes of the machine that it has not been told `sent` of */
	size_t lingered;
	minirpc_time close_by; /* once it is coming to an end; MINIRPC_NEVER before */
	int error;
	char reason[REASON_SIZE];
	bool *ret_freed; /* on the stack of on_ready: mrpc_link_free was called meanwhile */
};

static void wake(struct mrpc_link *link)
{
	mrpc_turn_wake(&link->loop->turn, &link->task);
}

/* ---- ends ---- */

static void drop_unsent(struct mrpc_link *link)
{
	minirpc_loop *loop = link->loop;

	/* A big buffer was the loop's; the next link with a full socket will want one. */
	if (loop->spare.data == NULL && link->unsent.capacity >= WRITE_LIMIT) {
		mrpc_buf_empty(&link->unsent);
		loop->spare = link->unsent;
		link->unsent = (struct mrpc_buf){ 0 };
	} else {
		mrpc_buf_clear(&link->unsent);
	}
}

static void tell_broke(struct mrpc_link *link, int error, const char *reason)
{
	struct mrpc_machine *machine = link->machine;

	link->error = error;
	snprintf(link->reason, sizeof link->reason, "%s", reason);
	link->handed = 0;
	link->machine = NULL;
	machine->ops->broke(machine, error, link->reason, link->loop->now);
	if (machine->flush == &link->task)
		machine->flush = NULL;
}

/* Nothing can be sent or received any more. */
static void finish(struct mrpc_link *link, int error, const char *reason)
{
	if (link->state >= LINK_OVER)
		return;
	link->state = LINK_OVER;
	if (link->machine != NULL)
		tell_broke(link, error, reason);
	drop_unsent(link);
	mrpc_timer_stop(&link->timer);
	mrpc_loop_unwatch(&link->watch);
	wake(link);
}

static void finish_errno(struct mrpc_link *link, const char *what, int error)
{
	char reason[REASON_SIZE];

	snprintf(reason, sizeof reason, "%s: %s", what, mrpc_error_text(error));
	finish(link, -error, reason);
}

/* We end it; what is unsent still leaves. */
static void close_down(struct mrpc_link *link, int error, const char *reason)
{
	link->state = LINK_CLOSING;
	if (link->close_by == MINIRPC_NEVER)
		link->close_by = mrpc_time_add(link->loop->now, CLOSE_TIME);
	tell_broke(link, error, reason);
	if (link->mute) {
		finish(link, error, reason);
		return;
	}
	if (link->tls != NULL && mrpc_tls_session_state(link->tls) == MRPC_TLS_OPEN)
		mrpc_tls_session_close(link->tls, &link->unsent);
	wake(link);
}

static void linger(struct mrpc_link *link)
{
	drop_unsent(link);
	if (shutdown(link->fd, SHUT_WR) < 0) {
		finish(link, 0, "");
		return;
	}
	link->state = LINK_LINGER;
	link->close_by = mrpc_time_add(link->loop->now, LINGER_TIME);
}

/* The owner may free the link in it; false when it did. */
static bool tell_secured(struct mrpc_link *link)
{
	const bool *freed = link->ret_freed;

	if (link->options.on_secured != NULL)
		link->options.on_secured(link, link->options.user);
	return !*freed;
}

static void tell_closed(struct mrpc_link *link)
{
	char reason[REASON_SIZE];

	link->state = LINK_TOLD;
	memcpy(reason, link->reason, sizeof reason);
	if (link->options.on_closed != NULL)
		link->options.on_closed(link, link->error, reason, link->options.user);
	/* It may be gone now. */
}

/* ---- what the link waits for ---- */

static bool is_ended(const struct mrpc_link *link)
{
	return link->deaf || link->machine->ops->is_finished(link->machine);
}

static bool is_handshaking(const struct mrpc_link *link)
{
	return link->tls != NULL && mrpc_tls_session_state(link->tls) == MRPC_TLS_HANDSHAKE;
}

static unsigned wanted_events(const struct mrpc_link *link)
{
	unsigned events = link->blocked ? MINIRPC_WRITE : 0;

	switch (link->state) {
	case LINK_OPEN:
		if (!is_ended(link) && (is_handshaking(link) || link->mute ||
					link->machine->ops->wants_receive(link->machine)))
			events |= MINIRPC_READ;
		return events;
	case LINK_CLOSING:
		return events;
	case LINK_LINGER:
		return MINIRPC_READ;
	case LINK_OVER:
	case LINK_TOLD:
		break;
	}
	return 0;
}

/* After anything that happened: which events, and until when. */
static void settle(struct mrpc_link *link)
{
	minirpc_time at;
	int r;

	if (link->state >= LINK_OVER)
		return;
	if (link->state == LINK_OPEN && is_ended(link) && link->close_by == MINIRPC_NEVER)
		link->close_by = mrpc_time_add(link->loop->now, CLOSE_TIME);

	at = link->close_by;
	if (link->state == LINK_OPEN) {
		minirpc_time deadline = link->machine->ops->deadline(link->machine);

		if (deadline < at)
			at = deadline;
	}
	if (at != link->timer.at)
		mrpc_timer_set(&link->timer, at);

	r = mrpc_loop_change(&link->watch, wanted_events(link));
	if (r < 0)
		finish_errno(link, "cannot watch the connection", -r);
}

static void on_timer(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_link *link = mrpc_container(timer, struct mrpc_link, timer);

	if (now >= link->close_by) {
		if (link->state == LINK_LINGER)
			finish(link, link->error, link->reason);
		else
			finish(link, -ETIMEDOUT, "the peer does not take our last bytes");
		return;
	}
	if (link->state == LINK_OPEN)
		link->machine->ops->tick(link->machine, now);
	/* The task looks at the next deadline. */
	wake(link);
}

/* ---- receiving ---- */

static void on_end_of_stream(struct mrpc_link *link)
{
	if (is_handshaking(link))
		finish(link, -ECONNRESET, "the peer closed the connection in the TLS handshake");
	else
		finish(link, 0, "the peer closed the connection");
}

static void give(struct mrpc_link *link, const uint8_t *data, size_t len)
{
	if (is_ended(link))
		return;
	if (link->machine->ops->receive(link->machine, data, len, link->loop->now) < 0) {
		link->deaf = true;
		wake(link);
	}
}

static void on_tls_failed(struct mrpc_link *link, int error)
{
	const char *reason = mrpc_tls_session_error(link->tls);

	if (error == -ENOMEM)
		finish_errno(link, "TLS", ENOMEM);
	else
		close_down(link, error, *reason != '\0' ? reason : "TLS failed");
}

/* May free the link. */
static void take_tls(struct mrpc_link *link, const uint8_t *data, size_t len)
{
	struct mrpc_buf *plain = &link->loop->plain;
	bool was_handshaking = is_handshaking(link);
	int r;

	mrpc_buf_empty(plain);
	r = mrpc_tls_session_receive(link->tls, data, len, plain, &link->unsent);
	if (mrpc_buf_len(&link->unsent) > 0)
		wake(link);

	if (was_handshaking && r == 0 && !is_handshaking(link)) {
		wake(link); /* the machine's first bytes may leave now */
		if (!tell_secured(link)) {
			mrpc_buf_empty(plain);
			return;
		}
		was_handshaking = false;
	}
	if (!was_handshaking && mrpc_buf_len(plain) > 0)
		give(link, mrpc_buf_bytes(plain), mrpc_buf_len(plain));
	mrpc_buf_empty(plain);

	if (r < 0)
		on_tls_failed(link, r);
	else if (mrpc_tls_session_state(link->tls) == MRPC_TLS_CLOSED)
		on_end_of_stream(link);
}

static ssize_t read_some(struct mrpc_link *link)
{
	ssize_t n;

	do
		n = recv(link->fd, link->loop->in, MRPC_LOOP_IN, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

/* One read, whatever it brings. May free the link. */
static void receive(struct mrpc_link *link)
{
	ssize_t n = read_some(link);

	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			finish_errno(link, "cannot receive", errno);
		return;
	}
	if (link->state == LINK_LINGER) {
		link->lingered += (size_t)n;
		if (n == 0 || link->lingered > LINGER_BYTES)
			finish(link, link->error, link->reason);
		return;
	}
	if (n == 0)
		on_end_of_stream(link);
	else if (link->tls != NULL)
		take_tls(link, link->loop->in, (size_t)n);
	else
		give(link, link->loop->in, (size_t)n);
}

static void on_ready(struct minirpc_watch *watch, unsigned events)
{
	struct mrpc_link *link = mrpc_container(watch, struct mrpc_link, watch);
	bool freed = false;

	if (events & MINIRPC_WRITE) {
		link->blocked = false;
		wake(link);
	}
	if ((events & MINIRPC_READ) == 0 || link->state == LINK_CLOSING ||
	    (link->state == LINK_OPEN && is_ended(link)))
		return;

	link->ret_freed = &freed;
	receive(link);
	if (freed)
		return;
	link->ret_freed = NULL;
	if (events & MRPC_WATCH_LOST)
		finish(link, -EIO, "the event loop cannot watch the connection");
	settle(link);
}

/* ---- sending ---- */

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
	if (!closed || link->state != LINK_OPEN || is_ended(link) || is_handshaking(link)) {
		finish_errno(link, "cannot send", error);
		return;
	}
	/* What the peer said before it left, maybe the answer or a GOAWAY, is still to be read. */
	link->mute = true;
	link->blocked = false;
	drop_unsent(link);
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
		drop_unsent(link);
	else if (buf != &link->unsent)
		keep_rest(link);
	tell_sent(link);
}

/* Asks the machine, by way of `to`, for as much as one write takes. Returns the bytes that came. */
static size_t ask(struct mrpc_link *link, struct mrpc_buf *to)
{
	size_t before = mrpc_buf_len(to);
	int r = link->machine->ops->pending(link->machine, to, WRITE_LIMIT, link->loop->now);

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
	} else if (is_handshaking(link)) {
		r = mrpc_tls_session_send(link->tls, NULL, 0, buf);
	} else {
		mrpc_buf_empty(plain);
		len = ask(link, plain);
		if (len > 0)
			r = mrpc_tls_session_send(link->tls, mrpc_buf_bytes(plain), len, buf);
		mrpc_buf_empty(plain);
	}
	if (r < 0) {
		on_tls_failed(link, r);
		return false;
	}
	link->handed = len;
	return len >= WRITE_LIMIT / 2;
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
	else if (is_ended(link))
		close_down(link, 0, "");
}

static void flush(struct mrpc_task *task)
{
	struct mrpc_link *link = mrpc_container(task, struct mrpc_link, task);
	minirpc_loop *loop = link->loop;

	assert(mrpc_buf_len(&loop->out) == 0);
	if (link->state == LINK_OPEN && !link->blocked)
		flush_open(link);
	if (link->state == LINK_CLOSING && !link->blocked) {
		write_some(link);
		if (link->state == LINK_CLOSING && !link->blocked)
			linger(link);
	}
	mrpc_buf_empty(&loop->out);

	settle(link);
	if (link->state == LINK_OVER)
		tell_closed(link);
}

/* ---- making and freeing ---- */

int mrpc_link_new(struct mrpc_link **ret_link, minirpc_loop *loop, int fd,
		  const struct mrpc_link_options *options)
{
	struct mrpc_link *link;
	int r;

	r = -ENOMEM;
	link = mrpc_alloc(sizeof *link);
	if (link == NULL)
		goto err_fd;
	*link = (struct mrpc_link){
		.loop = loop,
		.machine = options->machine,
		.tls = options->tls,
		.options = *options,
		.task = { .phase = MRPC_FLUSH, .run = flush },
		.fd = fd,
		.close_by = MINIRPC_NEVER,
	};
	r = mrpc_timer_bind(&link->timer, &loop->timers, on_timer);
	if (r < 0)
		goto err_link;
	r = mrpc_loop_watch(loop, &link->watch, fd, MINIRPC_READ, on_ready);
	if (r < 0)
		goto err_timer;

	link->machine->flush = &link->task;
	wake(link);
	*ret_link = link;
	return 0;

err_timer:
	mrpc_timer_unbind(&link->timer);
err_link:
	mrpc_free(link);
err_fd:
	mrpc_tls_session_free(options->tls);
	close(fd);
	return r;
}

void mrpc_link_free(struct mrpc_link *link)
{
	if (link == NULL)
		return;
	if (link->ret_freed != NULL)
		*link->ret_freed = true;
	if (link->machine != NULL && link->machine->flush == &link->task)
		link->machine->flush = NULL;
	mrpc_task_sleep(&link->task);
	mrpc_timer_unbind(&link->timer);
	mrpc_loop_unwatch(&link->watch);
	close(link->fd);
	drop_unsent(link);
	mrpc_tls_session_free(link->tls);
	mrpc_free(link);
}

struct mrpc_tls_session *mrpc_link_tls(struct mrpc_link *link)
{
	return link->tls;
}

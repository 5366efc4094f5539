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
 * OPEN ends, and is not touched any more after that.
 *
 * link.c has the life of a link and receiving, link_send.c the one write, link_end.c the ends.
 *
 * on_closed comes from the link's own task, hence never from inside mrpc_link_new. */
#include "io/link_own.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_BYTES 1048576u /* that we drop after our FIN */

/* ---- receiving ---- */

/* The owner may free the link in it; false when it did. */
static bool tell_secured(struct mrpc_link *link)
{
	const bool *freed = link->ret_freed;

	if (link->options.on_secured != NULL)
		link->options.on_secured(link, link->options.user);
	return !*freed;
}

static void on_end_of_stream(struct mrpc_link *link)
{
	if (mrpc_link_is_handshaking(link))
		mrpc_link_finish(link, -ECONNRESET,
				 "the peer closed the connection in the TLS handshake");
	else
		mrpc_link_finish(link, 0, "the peer closed the connection");
}

static void give(struct mrpc_link *link, const uint8_t *data, size_t len)
{
	if (mrpc_link_is_ended(link))
		return;
	if (link->machine->ops->receive(link->machine, data, len, link->loop->now) < 0) {
		link->deaf = true;
		mrpc_link_wake(link);
	}
}

/* May free the link. */
static void take_tls(struct mrpc_link *link, const uint8_t *data, size_t len)
{
	struct mrpc_buf *plain = &link->loop->plain;
	bool was_handshaking = mrpc_link_is_handshaking(link);
	int r;

	mrpc_buf_empty(plain);
	r = mrpc_tls_session_receive(link->tls, data, len, plain, &link->unsent);
	if (mrpc_buf_len(&link->unsent) > 0)
		mrpc_link_wake(link);

	if (was_handshaking && r == 0 && !mrpc_link_is_handshaking(link)) {
		mrpc_link_wake(link); /* the machine's first bytes may leave now */
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
		mrpc_link_tls_failed(link, r);
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
			mrpc_link_finish_errno(link, "cannot receive", errno);
		return;
	}
	if (link->state == LINK_LINGER) {
		link->lingered += (size_t)n;
		if (n == 0 || link->lingered > LINGER_BYTES)
			mrpc_link_finish(link, link->error, link->reason);
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
		mrpc_link_wake(link);
	}
	if ((events & MINIRPC_READ) == 0 || link->state == LINK_CLOSING ||
	    (link->state == LINK_OPEN && mrpc_link_is_ended(link)))
		return;

	link->ret_freed = &freed;
	receive(link);
	if (freed)
		return;
	link->ret_freed = NULL;
	if (events & MRPC_WATCH_LOST)
		mrpc_link_finish(link, -EIO, "the event loop cannot watch the connection");
	mrpc_link_settle(link);
}

/* ---- making and freeing ---- */

/* Where there is no such thing (a unix socket, another system) we do without. */
static void set_user_timeout(int fd, minirpc_time timeout)
{
#ifdef TCP_USER_TIMEOUT
	minirpc_time ms = timeout / MINIRPC_MS(1) + (timeout % MINIRPC_MS(1) != 0);
	unsigned value = ms > INT_MAX ? INT_MAX : (unsigned)ms;

	if (timeout > 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof value);
#else
	(void)fd;
	(void)timeout;
#endif
}

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
		.task = { .phase = MRPC_FLUSH, .run = mrpc_link_flush },
		.fd = fd,
		.close_by = MINIRPC_NEVER,
	};
	r = mrpc_timer_bind(&link->timer, &loop->timers, mrpc_link_on_timer);
	if (r < 0)
		goto err_link;
	r = mrpc_loop_watch(loop, &link->watch, fd, MINIRPC_READ, on_ready);
	if (r < 0)
		goto err_timer;

	set_user_timeout(fd, options->user_timeout);
	link->machine->flush = &link->task;
	mrpc_link_wake(link);
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
	mrpc_link_drop_unsent(link);
	mrpc_tls_session_free(link->tls);
	mrpc_free(link);
}

struct mrpc_tls_session *mrpc_link_tls(struct mrpc_link *link)
{
	return link->tls;
}

/* SPDX-License-Identifier: MIT */
/* Dial: a race of connects (happy eyeballs: B-4, RFC 8305, 5).
 *
 *	address 0   |---- connecting ----------------------|  wins: the others are closed
 *	address 1         |-- refused|
 *	address 2                    |-- connecting -------|
 *	            0 ms  250        at once
 *
 * The next address is tried 250 ms after the last one began, or at once when one fails and nothing
 * is to be gained by waiting. All memory is taken at the beginning; the result is told by a task.
 */
#include "io/dial.h"

#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ATTEMPT_DELAY MINIRPC_MS(250)
#define REASON_SIZE 512

struct attempt {
	struct minirpc_watch watch;
	struct mrpc_dial *dial;
	struct mrpc_address address;
	int fd; /* -1: not begun, or over */
};

struct mrpc_dial {
	minirpc_loop *loop;
	struct mrpc_timer next_timer, deadline_timer;
	struct mrpc_task tell;
	void (*on_done)(void *user, int fd, const struct mrpc_address *address, int error,
			const char *reason);
	void *user;
	bool finished;
	struct attempt *winner;
	int error;
	char reason[REASON_SIZE]; /* "ADDRESS: why; ADDRESS: why" */
	size_t reason_len;
	size_t begun, running, count;
	struct attempt attempts[];
};

static void close_attempt(struct attempt *attempt)
{
	if (attempt->fd < 0)
		return;
	mrpc_loop_unwatch(&attempt->watch);
	close(attempt->fd);
	attempt->fd = -1;
	attempt->dial->running--;
}

static void finish(struct mrpc_dial *dial, struct attempt *winner)
{
	if (dial->finished)
		return;
	dial->finished = true;
	dial->winner = winner;
	if (winner != NULL)
		mrpc_loop_unwatch(&winner->watch);
	for (size_t i = 0; i < dial->begun; i++)
		if (&dial->attempts[i] != winner)
			close_attempt(&dial->attempts[i]);
	mrpc_timer_stop(&dial->next_timer);
	mrpc_timer_stop(&dial->deadline_timer);
	mrpc_turn_wake(&dial->loop->turn, &dial->tell);
}

/* Notes why an address is out, as far as there is room. */
static void note(struct mrpc_dial *dial, const struct mrpc_address *address, int error)
{
	char text[MRPC_ADDRESS_TEXT];
	int len;

	dial->error = error;
	mrpc_address_format(address, text);
	len = snprintf(dial->reason + dial->reason_len, REASON_SIZE - dial->reason_len, "%s%s: %s",
		       dial->reason_len == 0 ? "" : "; ", text, mrpc_error_text(-error));
	if (len > 0 && (size_t)len < REASON_SIZE - dial->reason_len)
		dial->reason_len += (size_t)len;
	else
		dial->reason[dial->reason_len] = '\0'; /* no half addresses */
}

/* A socket that connects to its own port (TCP lets two connects meet, RFC 9293, 3.5, and the
 * kernel may choose the very port that is called) talks to itself: nobody listens there. */
static bool is_self(int fd, const struct mrpc_address *peer)
{
	struct mrpc_address own = { .len = sizeof own.storage };

	return peer->any.sa_family != AF_UNIX && getsockname(fd, &own.any, &own.len) == 0 &&
	       mrpc_address_equals(&own, peer);
}

/* 0: connected; -EINPROGRESS: not yet; or why not. */
static int result_of(const struct attempt *attempt)
{
	struct mrpc_address peer = { .len = sizeof peer.storage };
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	if (error != 0)
		return -error;
	if (getpeername(attempt->fd, &peer.any, &peer.len) < 0)
		return errno == ENOTCONN ? -EINPROGRESS : -errno;
	return is_self(attempt->fd, &peer) ? -ECONNREFUSED : 0;
}

static void begin_next(struct mrpc_dial *dial);

static void on_ready(struct minirpc_watch *watch, unsigned events)
{
	struct attempt *attempt = mrpc_container(watch, struct attempt, watch);
	struct mrpc_dial *dial = attempt->dial;
	int r = result_of(attempt);

	if (r == -EINPROGRESS && (events & MRPC_WATCH_LOST) != 0)
		r = -EIO;
	if (r == -EINPROGRESS)
		return;
	if (r == 0) {
		finish(dial, attempt);
		return;
	}
	note(dial, &attempt->address, r);
	close_attempt(attempt);
	begin_next(dial);
}

/* 0: connected at once; -EINPROGRESS: watched; or why not. */
static int begin(struct attempt *attempt)
{
	int family = attempt->address.any.sa_family, on = 1, r;

	attempt->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (attempt->fd < 0)
		return -errno;
	attempt->dial->running++;
	if (family == AF_INET || family == AF_INET6)
		(void)setsockopt(attempt->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);

	if (connect(attempt->fd, &attempt->address.any, attempt->address.len) == 0) {
		r = result_of(attempt);
		if (r != -EINPROGRESS)
			return r;
	} else if (errno != EINPROGRESS && errno != EINTR) {
		return -errno; /* of a unix socket also EAGAIN: its queue is full */
	}
	r = mrpc_loop_watch(attempt->dial->loop, &attempt->watch, attempt->fd, MINIRPC_WRITE,
			    on_ready);
	return r < 0 ? r : -EINPROGRESS;
}

/* Begins the next address that does not fail at once; ends the dial when there is none left. */
static void begin_next(struct mrpc_dial *dial)
{
	while (dial->begun < dial->count) {
		struct attempt *attempt = &dial->attempts[dial->begun++];
		int r = begin(attempt);

		if (r == 0) {
			finish(dial, attempt);
			return;
		}
		if (r == -EINPROGRESS) {
			if (dial->begun < dial->count)
				mrpc_timer_set(&dial->next_timer,
					       mrpc_time_add(dial->loop->now, ATTEMPT_DELAY));
			return;
		}
		note(dial, &attempt->address, r);
		close_attempt(attempt);
	}
	mrpc_timer_stop(&dial->next_timer);
	if (dial->running == 0)
		finish(dial, NULL);
}

static void on_next(struct mrpc_timer *timer, minirpc_time now)
{
	(void)now;
	begin_next(mrpc_container(timer, struct mrpc_dial, next_timer));
}

static void on_deadline(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_dial *dial = mrpc_container(timer, struct mrpc_dial, deadline_timer);

	(void)now;
	for (size_t i = 0; i < dial->begun; i++)
		if (dial->attempts[i].fd >= 0)
			note(dial, &dial->attempts[i].address, -ETIMEDOUT);
	dial->error = -ETIMEDOUT;
	finish(dial, NULL);
}

static void tell(struct mrpc_task *task)
{
	struct mrpc_dial *dial = mrpc_container(task, struct mrpc_dial, tell);
	char reason[REASON_SIZE];

	/* on_done may free the dial: what it is given must not live in it. */
	if (dial->winner != NULL) {
		struct mrpc_address address = dial->winner->address;
		int fd = dial->winner->fd;

		dial->winner->fd = -1; /* the caller's from here on */
		dial->on_done(dial->user, fd, &address, 0, "");
		return;
	}
	memcpy(reason, dial->reason, sizeof reason);
	dial->on_done(dial->user, -1, NULL, dial->error, reason);
}

int mrpc_dial(struct mrpc_dial **ret_dial, minirpc_loop *loop, const struct mrpc_address *addresses,
	      size_t count, minirpc_time deadline,
	      void (*on_done)(void *user, int fd, const struct mrpc_address *address, int error,
			      const char *reason),
	      void *user)
{
	struct mrpc_dial *dial;
	size_t size;
	int r;

	if (!mrpc_mul(count, sizeof dial->attempts[0], &size) ||
	    !mrpc_add(size, sizeof *dial, &size))
		return -ENOMEM;
	dial = mrpc_zalloc(size);
	if (dial == NULL)
		return -ENOMEM;
	dial->loop = loop;
	dial->tell = (struct mrpc_task){ .phase = MRPC_STREAM, .run = tell };
	dial->on_done = on_done;
	dial->user = user;
	dial->count = count;
	for (size_t i = 0; i < count; i++) {
		dial->attempts[i].dial = dial;
		dial->attempts[i].address = addresses[i];
		dial->attempts[i].fd = dial->attempts[i].watch.fd = -1;
	}

	r = mrpc_timer_bind(&dial->next_timer, &loop->timers, on_next);
	if (r < 0)
		goto err_dial;
	r = mrpc_timer_bind(&dial->deadline_timer, &loop->timers, on_deadline);
	if (r < 0)
		goto err_next;

	*ret_dial = dial;
	if (count == 0) {
		dial->error = -EADDRNOTAVAIL;
		snprintf(dial->reason, REASON_SIZE, "there is no address to connect to");
		finish(dial, NULL);
	} else if (deadline <= loop->now) {
		note(dial, &dial->attempts[0].address, -ETIMEDOUT);
		finish(dial, NULL);
	} else {
		mrpc_timer_set(&dial->deadline_timer, deadline);
		begin_next(dial);
	}
	return 0;

err_next:
	mrpc_timer_unbind(&dial->next_timer);
err_dial:
	mrpc_free(dial);
	return r;
}

void mrpc_dial_free(struct mrpc_dial *dial)
{
	if (dial == NULL)
		return;
	mrpc_task_sleep(&dial->tell);
	for (size_t i = 0; i < dial->begun; i++)
		close_attempt(&dial->attempts[i]);
	mrpc_timer_unbind(&dial->next_timer);
	mrpc_timer_unbind(&dial->deadline_timer);
	mrpc_free(dial);
}

/* SPDX-License-Identifier: MIT */
/* Listen: sockets that accept, each with a watch on the loop.
 *
 * A process without descriptors left cannot accept, and the peer that waits keeps the socket
 * readable: a loop that only tried again would spin. So one descriptor is kept in reserve; it is
 * given up to accept one peer and close it at once (better told than left hanging), and then
 * accepting pauses for a while. */
#include "io/listen.h"

#include "base/alloc.h"
#include "base/text.h"
#include "io/listen_bind.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ACCEPTS_A_TURN 64
#define PAUSE MINIRPC_MS(100)

struct listen_socket {
	struct minirpc_watch watch;
	struct mrpc_listener *listener;
	int fd;
};

struct mrpc_listener {
	minirpc_loop *loop;
	struct mrpc_timer pause;
	minirpc_time pause_time;
	unsigned accepts_a_turn;
	const struct mrpc_listener_events *events;
	void *user;
	int reserve;     /* a descriptor to give up when there is no other; -1 while given up */
	bool complained; /* of the shortage that lasts */
	bool *ret_freed; /* while in on_accept: told when the listener is freed there */
	struct mrpc_bound bound; /* for the file of a unix socket */
	size_t count;
	struct listen_socket sockets[];
};

static int open_reserve(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* One that the loop has lost stays so. */
static int set_events(struct listen_socket *socket, unsigned events)
{
	return socket->watch.fd < 0 ? 0 : mrpc_loop_change(&socket->watch, events);
}

static void pause_accepting(struct mrpc_listener *listener, int error)
{
	if (!listener->complained)
		mrpc_log(&listener->loop->log, MINIRPC_LOG_ERROR,
			 "cannot accept connections: %s; trying again every %lld ms",
			 mrpc_error_text(error), (long long)(listener->pause_time / 1000000));
	listener->complained = true;
	for (size_t i = 0; i < listener->count; i++)
		(void)set_events(&listener->sockets[i], 0);
	mrpc_timer_set(&listener->pause, mrpc_time_add(listener->loop->now, listener->pause_time));
	if (listener->events->on_pause != NULL)
		listener->events->on_pause(listener->user);
}

static void on_pause_over(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_listener *listener = mrpc_container(timer, struct mrpc_listener, pause);
	bool changed = true;

	if (listener->reserve < 0)
		listener->reserve = open_reserve();
	for (size_t i = 0; i < listener->count; i++)
		changed =
			mrpc_loop_change(&listener->sockets[i].watch, MINIRPC_READ) == 0 && changed;
	if (!changed)
		mrpc_timer_set(timer, mrpc_time_add(now, listener->pause_time));
}

/* Lets one waiting peer know, by an end, that there is no place for it. */
static void turn_one_away(struct mrpc_listener *listener, int fd)
{
	int peer;

	if (listener->reserve < 0)
		return;
	close(listener->reserve);
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer >= 0)
		close(peer);
	listener->reserve = open_reserve();
}

/* False: nothing more to accept for now. */
static bool go_on_after(struct mrpc_listener *listener, int fd, int error)
{
	switch (error) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
		turn_one_away(listener, fd);
		pause_accepting(listener, error);
		return false;
	case ENOBUFS:
	case ENOMEM:
		pause_accepting(listener, error);
		return false;
	/* The peer has gone, or the network told of an error of its connection: accept(2),
	 * "Error handling". The next one may be fine. */
	case EINTR:
	case ECONNABORTED:
	case EPERM:
	case EPROTO:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return true;
	default:
		pause_accepting(listener, error);
		return false;
	}
}

static void on_ready(struct minirpc_watch *watch, unsigned events)
{
	struct listen_socket *socket = mrpc_container(watch, struct listen_socket, watch);
	struct mrpc_listener *listener = socket->listener;
	bool freed = false;

	if ((events & MRPC_WATCH_LOST) != 0) {
		mrpc_log(&listener->loop->log, MINIRPC_LOG_ERROR,
			 "the event loop cannot watch a listening socket; it is given up");
		mrpc_loop_unwatch(watch);
		return;
	}
	listener->ret_freed = &freed;
	for (unsigned i = 0; !freed && i < listener->accepts_a_turn; i++) {
		struct mrpc_address peer = { .len = sizeof peer.storage };
		int on = 1, fd;

		fd = accept4(socket->fd, &peer.any, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (!go_on_after(listener, socket->fd, errno))
				break;
			continue;
		}
		listener->complained = false;
		if (peer.any.sa_family != AF_UNIX)
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		mrpc_address_unmap(&peer);
		listener->events->on_accept(listener->user, fd, &peer);
	}
	if (!freed)
		listener->ret_freed = NULL;
}

/* A listener for count descriptors, which stay the caller's when this fails. */
static int new_listener(struct mrpc_listener **ret_listener, minirpc_loop *loop, const int *fds,
			size_t count, const struct minirpc_listen_options *options,
			const struct mrpc_listener_events *events, void *user)
{
	static const struct minirpc_listen_options none;
	struct mrpc_listener *listener;
	int r;

	if (options == NULL)
		options = &none;

	listener = mrpc_zalloc(sizeof *listener + count * sizeof listener->sockets[0]);
	if (listener == NULL)
		return -ENOMEM;
	listener->loop = loop;
	listener->events = events;
	listener->user = user;
	listener->pause_time = options->accept_pause > 0 ? options->accept_pause : PAUSE;
	listener->accepts_a_turn =
		options->accepts_per_turn > 0 ? options->accepts_per_turn : ACCEPTS_A_TURN;

	listener->reserve = r = open_reserve();
	if (r < 0)
		goto err_listener;
	r = mrpc_timer_bind(&listener->pause, &loop->timers, on_pause_over);
	if (r < 0)
		goto err_reserve;
	while (listener->count < count) {
		struct listen_socket *socket = &listener->sockets[listener->count];

		socket->listener = listener;
		socket->fd = fds[listener->count];
		r = mrpc_loop_watch(loop, &socket->watch, socket->fd, MINIRPC_READ, on_ready);
		if (r < 0)
			goto err_watches;
		listener->count++;
	}

	*ret_listener = listener;
	return 0;

err_watches:
	while (listener->count > 0)
		mrpc_loop_unwatch(&listener->sockets[--listener->count].watch);
	mrpc_timer_unbind(&listener->pause);
err_reserve:
	close(listener->reserve);
err_listener:
	mrpc_free(listener);
	return r;
}

int mrpc_listener_new(struct mrpc_listener **ret_listener, minirpc_loop *loop, const char *address,
		      const struct minirpc_listen_options *options,
		      const struct mrpc_listener_events *events, void *user)
{
	struct mrpc_bound bound;
	const char *why;
	int r;

	if (options != NULL && options->accept_pause < 0)
		return -EINVAL;
	r = mrpc_bind(&bound, address, options, &why);
	if (r == 0) {
		r = new_listener(ret_listener, loop, bound.fds, bound.count, options, events, user);
		if (r < 0) {
			mrpc_bound_unlink(&bound);
			while (bound.count > 0)
				close(bound.fds[--bound.count]);
		}
	}
	if (r < 0) {
		if (options != NULL && options->error != NULL && options->error_size > 0)
			snprintf(options->error, options->error_size, "%s: %s", address,
				 why != NULL ? why : mrpc_error_text(-r));
		return r;
	}

	(*ret_listener)->bound = bound;
	if (options != NULL && options->ret_port != NULL)
		*options->ret_port = bound.port;
	return 0;
}

int mrpc_listener_adopt(struct mrpc_listener **ret_listener, minirpc_loop *loop, int fd,
			const struct mrpc_listener_events *events, void *user)
{
	socklen_t size = sizeof(int);
	int listening = 0, type = 0, flags;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
		return -EINVAL;
	size = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
		return -EINVAL;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -EINVAL;
	return new_listener(ret_listener, loop, &fd, 1, NULL, events, user);
}

void mrpc_listener_free(struct mrpc_listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->ret_freed != NULL)
		*listener->ret_freed = true;
	mrpc_bound_unlink(&listener->bound);
	for (size_t i = 0; i < listener->count; i++) {
		mrpc_loop_unwatch(&listener->sockets[i].watch);
		close(listener->sockets[i].fd);
	}
	mrpc_timer_unbind(&listener->pause);
	if (listener->reserve >= 0)
		close(listener->reserve);
	mrpc_free(listener);
}

/* SPDX-License-Identifier: MIT */
/* A host's own transport: both ends of a socketpair(2), moved by hand through conn.h, or by watchers of
 * the host's struct ev_loop. */
#include "transport/ground.h"

#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct socket_end {
	struct ground *g;
	struct socket_end **place;
	minirpc_conn *conn;
	int fd;
	bool is_finished; /* the connection has ended: close when all has left */
	ev_io readable, writable;
};

static void end_free(struct socket_end *end)
{
	*end->place = NULL;
	minirpc_conn_close(end->conn);
	if (end->g->ev != NULL) {
		ev_io_stop(end->g->ev, &end->readable);
		ev_io_stop(end->g->ev, &end->writable);
	}
	close(end->fd);
	free(end);
}

static void watch(struct socket_end *end, bool is_full)
{
	struct ev_loop *ev = end->g->ev;

	if (ev == NULL)
		return;
	if (minirpc_conn_wants_receive(end->conn))
		ev_io_start(ev, &end->readable);
	else
		ev_io_stop(ev, &end->readable);
	if (is_full)
		ev_io_start(ev, &end->writable);
	else
		ev_io_stop(ev, &end->writable);
}

/* May free the end. */
static bool move_out(struct socket_end *end)
{
	const void *data;
	size_t len;
	ssize_t n = 0;
	bool moved = false;

	while ((len = minirpc_conn_pending(end->conn, &data)) > 0) {
		n = send(end->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			break;
		minirpc_conn_sent(end->conn, (size_t)n);
		moved = true;
	}
	if ((len == 0 && end->is_finished) || (n < 0 && errno != EAGAIN)) {
		end_free(end);
		return true;
	}
	watch(end, len > 0);
	return moved;
}

static bool move_in(struct socket_end *end)
{
	char bytes[50000];
	ssize_t n;

	if (!minirpc_conn_wants_receive(end->conn) && !end->is_finished) {
		watch(end, false);
		return false;
	}
	n = recv(end->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n <= 0)
		end_free(end);
	else
		minirpc_conn_receive(end->conn, bytes, (size_t)n);
	return true;
}

static void on_pending(minirpc_conn *conn, void *user)
{
	(void)conn;
	move_out(user);
}

static void on_finished(minirpc_conn *conn, void *user)
{
	struct socket_end *end = user;

	(void)conn;
	end->is_finished = true;
	move_out(end);
}

static void on_readable(struct ev_loop *ev, ev_io *io, int events)
{
	(void)ev;
	(void)events;
	move_in(io->data);
}

static void on_writable(struct ev_loop *ev, ev_io *io, int events)
{
	(void)ev;
	(void)events;
	move_out(io->data);
}

static struct socket_end *end_new(struct ground *g, struct socket_end **place, int fd)
{
	struct socket_end *end = calloc(1, sizeof *end);

	*end = (struct socket_end){ .g = g, .place = place, .fd = fd };
	ev_io_init(&end->readable, on_readable, fd, EV_READ);
	ev_io_init(&end->writable, on_writable, fd, EV_WRITE);
	end->readable.data = end->writable.data = end;
	return *place = end;
}

void socketpair_close(struct ground *g)
{
	if (g->client_end != NULL)
		end_free(g->client_end);
	if (g->server_end != NULL)
		end_free(g->server_end);
}

void socketpair_connect(struct ground *g)
{
	struct minirpc_attach_options options = { .on_pending = on_pending,
						  .on_finished = on_finished };
	int fds[2];

	socketpair_close(g);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	options.user = end_new(g, &g->server_end, fds[1]);
	options.peer = "pair:client";
	ck_assert_int_eq(minirpc_server_attach(g->w->server, &options, &g->server_end->conn), 0);
	options.user = end_new(g, &g->client_end, fds[0]);
	options.peer = "pair:server";
	ck_assert_int_eq(minirpc_channel_attach(g->w->channel, &options, &g->client_end->conn), 0);
	watch(g->client_end, false);
	watch(g->server_end, false);
}

bool socketpair_move(struct ground *g)
{
	bool moved = false;

	if (g->client_end != NULL)
		moved |= move_out(g->client_end);
	if (g->server_end != NULL)
		moved |= move_out(g->server_end);
	if (g->client_end != NULL)
		moved |= move_in(g->client_end);
	if (g->server_end != NULL)
		moved |= move_in(g->server_end);
	return moved;
}

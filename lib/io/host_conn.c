/* SPDX-License-Identifier: MIT */
/* Host conn: bytes come in by minirpc_conn_receive, which gives them to the machine at once (it
 * only parses and marks readers as ready); bytes go out through one buffer:
 *
 *	machine --pending--> out --minirpc_conn_pending / _sent--> the host
 *
 * The machine wakes `task` in the FLUSH phase when it may have bytes, has ended, or wants another
 * deadline. So the host hears on_pending once a turn, with everything that the turn produced. Bytes
 * in `out` count as unsent at the machine until the host says that they left, which is what holds a
 * peer off that does not read.
 *
 * The host may do anything from on_pending and on_finished, closing this connection and freeing its
 * owner included; `refs` keeps the memory until the functions of this file are done with it. */
#include "io/host_conn.h"

#include "base/alloc.h"

#include <errno.h>

/* About as much as the machine is asked for at once. */
#define OUT_SIZE 65536u

struct minirpc_conn {
	minirpc_loop *loop;
	struct mrpc_machine *machine; /* NULL: let go */
	struct mrpc_task task;
	struct mrpc_timer timer;
	struct mrpc_buf out;
	void (*on_pending)(minirpc_conn *conn, void *user);
	void (*on_finished)(minirpc_conn *conn, void *user);
	void *host_user;
	void (*on_closed)(minirpc_conn *conn, void *user);
	void *user;
	unsigned refs; /* the handle, and each of our functions that may call the host */
	bool told_finished;
};

static void unref(minirpc_conn *conn)
{
	if (--conn->refs > 0)
		return;
	mrpc_buf_clear(&conn->out);
	mrpc_free(conn);
}

/* The machine is no longer ours: nothing wakes us any more. */
static void let_go(minirpc_conn *conn)
{
	conn->machine->flush = NULL;
	conn->machine = NULL;
	mrpc_task_sleep(&conn->task);
	mrpc_timer_unbind(&conn->timer);
}

static void look_at_deadline(minirpc_conn *conn)
{
	mrpc_timer_set(&conn->timer, conn->machine->ops->deadline(conn->machine));
}

/* Asks the machine once everything from before has left; until then what is new waits there, where
 * it counts against the machine's own limits. A failure has ended the machine; that shows in
 * is_finished. True: there are bytes that were not there before. */
static bool pull(minirpc_conn *conn)
{
	if (mrpc_buf_len(&conn->out) > 0)
		return false;
	(void)conn->machine->ops->pending(conn->machine, &conn->out, OUT_SIZE, conn->loop->now);
	return mrpc_buf_len(&conn->out) > 0;
}

static void tell_finished(minirpc_conn *conn)
{
	conn->told_finished = true;
	if (conn->on_finished != NULL)
		conn->on_finished(conn, conn->host_user);
}

static void flush(struct mrpc_task *task)
{
	minirpc_conn *conn = mrpc_container(task, minirpc_conn, task);
	bool more;

	conn->refs++;
	more = pull(conn);
	look_at_deadline(conn);
	if (more && conn->on_pending != NULL)
		conn->on_pending(conn, conn->host_user);
	if (conn->machine != NULL && !conn->told_finished &&
	    conn->machine->ops->is_finished(conn->machine))
		tell_finished(conn);
	unref(conn);
}

static void tick(struct mrpc_timer *timer, minirpc_time now)
{
	minirpc_conn *conn = mrpc_container(timer, minirpc_conn, timer);

	conn->machine->ops->tick(conn->machine, now);
	look_at_deadline(conn);
	mrpc_turn_wake(&conn->loop->turn, &conn->task);
}

int mrpc_host_conn_new(minirpc_conn **ret_conn, minirpc_loop *loop,
		       const struct mrpc_host_conn_options *options)
{
	minirpc_conn *conn;
	int r;

	conn = mrpc_alloc(sizeof *conn);
	if (conn == NULL)
		return -ENOMEM;
	*conn = (minirpc_conn){
		.loop = loop,
		.machine = options->machine,
		.task = { .phase = MRPC_FLUSH, .run = flush },
		.on_pending = options->host->on_pending,
		.on_finished = options->host->on_finished,
		.host_user = options->host->user,
		.on_closed = options->on_closed,
		.user = options->user,
		.refs = 1,
	};

	r = mrpc_timer_bind(&conn->timer, &loop->timers, tick);
	if (r < 0) {
		mrpc_free(conn);
		return r;
	}
	conn->machine->flush = &conn->task;
	look_at_deadline(conn);
	mrpc_turn_wake(&loop->turn, &conn->task);

	*ret_conn = conn;
	return 0;
}

void mrpc_host_conn_free(minirpc_conn *conn)
{
	if (conn == NULL)
		return;

	/* From here on minirpc_conn_close has nobody to tell, and does not take the handle. */
	conn->on_closed = NULL;
	conn->refs++;
	if (!conn->told_finished)
		tell_finished(conn);
	if (conn->machine != NULL) {
		let_go(conn);
		unref(conn);
	}
	unref(conn);
}

bool mrpc_host_conn_is_finished(const minirpc_conn *conn)
{
	return conn->told_finished;
}

int minirpc_conn_receive(minirpc_conn *conn, const void *data, size_t len)
{
	int r;

	if (conn->machine == NULL || conn->machine->ops->is_finished(conn->machine))
		return -EPIPE;
	mrpc_loop_refresh(conn->loop);
	r = conn->machine->ops->receive(conn->machine, data, len, conn->loop->now);
	mrpc_turn_wake(&conn->loop->turn, &conn->task);
	return r < 0 ? -EPIPE : 0;
}

bool minirpc_conn_wants_receive(const minirpc_conn *conn)
{
	return conn->machine != NULL && conn->machine->ops->wants_receive(conn->machine);
}

size_t minirpc_conn_pending(minirpc_conn *conn, const void **ret_data)
{
	if (conn->machine != NULL) {
		mrpc_loop_refresh(conn->loop);
		pull(conn);
	}
	*ret_data = mrpc_buf_len(&conn->out) > 0 ? mrpc_buf_bytes(&conn->out) : NULL;
	return mrpc_buf_len(&conn->out);
}

void minirpc_conn_sent(minirpc_conn *conn, size_t len)
{
	if (len > mrpc_buf_len(&conn->out))
		len = mrpc_buf_len(&conn->out);
	if (len == 0)
		return;
	mrpc_buf_consume(&conn->out, len);
	if (conn->machine == NULL)
		return;
	mrpc_loop_refresh(conn->loop);
	conn->machine->ops->sent(conn->machine, len, conn->loop->now);
	/* There may be more behind it, and the deadline of the write moves. */
	look_at_deadline(conn);
	if (mrpc_buf_len(&conn->out) == 0)
		mrpc_turn_wake(&conn->loop->turn, &conn->task);
}

void minirpc_conn_close(minirpc_conn *conn)
{
	struct mrpc_machine *machine;

	if (conn == NULL || conn->machine == NULL)
		return;

	machine = conn->machine;
	conn->told_finished = true;
	let_go(conn);
	mrpc_loop_refresh(conn->loop);
	machine->ops->broke(machine, 0, "the connection was closed", conn->loop->now);
	if (conn->on_closed != NULL)
		conn->on_closed(conn, conn->user);
	unref(conn);
}

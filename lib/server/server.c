/* SPDX-License-Identifier: MIT */
/* Server: listeners make connections, connections make calls, the router gives each call its
 * handler.
 *
 *	io/listen --accept--> connection [ io/link <-> h2/conn ] --call--> router --> handler
 *
 * The files: server.c makes, frees and listens; connection.c is one connection; calls.c routes calls
 * and remembers them; drain.c ends it all; attach.c is for hosts that move the bytes.
 *
 * minirpc_server_free may come from any callback. Whatever delivers an event holds a reference on the
 * call and on nothing of ours, and connections end in tasks of their own, so everything may be freed
 * at once. */
#include "server/server.h"

#include "base/alloc.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define MAX_CONNECTIONS 10000u

struct listener {
	struct mrpc_list node;
	struct mrpc_listener *listener;
};

/* Finds out now, and not at each accept, that a server has no certificate. */
static int check_tls(minirpc_tls *tls, const struct mrpc_log *log)
{
	struct mrpc_tls_session *session;
	int r;

	r = mrpc_tls_session_new(&session, tls, true, NULL, log);
	if (r < 0)
		return r;
	mrpc_tls_session_free(session);
	return 0;
}

static minirpc_time or_never(minirpc_time limit)
{
	return limit > 0 ? limit : MINIRPC_NEVER;
}

static bool are_times(const struct minirpc_server_options *options)
{
	return options->max_connection_idle >= 0 && options->max_connection_age >= 0 &&
	       options->max_connection_age_grace >= 0;
}

/* What options say, unchecked. */
static void init(minirpc_server *server, minirpc_loop *loop, struct mrpc_pool *memory,
		 const struct minirpc_server_options *options)
{
	uint64_t seed;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
		seed = (uint64_t)(uintptr_t)&seed;
	*server = (minirpc_server){
		.loop = loop,
		.call = {
			.limits = &server->limits,
			.counts = &server->counts,
			.place = { &loop->turn, &loop->now, &loop->log, memory, loop },
			.timers = &loop->timers,
			.send_queue = options->send_queue,
			.max_receive_message = options->max_receive_message,
			.max_send_message = options->max_send_message,
			.compressors = &server->compressors,
			.interceptors = &server->interceptors,
		},
		.limits = options->limits,
		.memory = memory,
		.admit = options->admit,
		.admit_user = options->admit_user,
		.max_calls = options->max_calls,
		.shed_pushback = mrpc_server_shed_pushback(options),
		.max_connections =
			options->max_connections > 0 ? options->max_connections : MAX_CONNECTIONS,
		.keepalive = options->keepalive,
		.max_idle = or_never(options->max_connection_idle),
		.max_age = or_never(options->max_connection_age),
		.max_age_grace = or_never(options->max_connection_age_grace),
		.age_random = seed,
		.grace_at = MINIRPC_NEVER,
		.done_task = { .phase = MRPC_DELIVER, .run = mrpc_server_tell_done },
	};
	mrpc_router_init(&server->router, seed);
	mrpc_list_init(&server->listeners);
	mrpc_list_init(&server->connections);
	mrpc_list_init(&server->calls);
	mrpc_list_init(&server->left);
	mrpc_list_init(&server->forgotten);
}

/* Checks what can be wrong in the options, and copies what they point to. On failure what there is of it
 * stays with the server. */
static int take_options(minirpc_server *server, const struct minirpc_server_options *options)
{
	int r;

	r = mrpc_limits_complete(&server->limits);
	if (r == 0)
		r = mrpc_keepalive_complete(&server->keepalive, MRPC_SERVER);
	if (r == 0)
		r = mrpc_compressors_init(&server->compressors, options->compressors,
					  options->only_compressors);
	if (r == 0)
		r = mrpc_compressors_choose(&server->compressors, options->compression,
					    &server->call.compression);
	if (r == 0)
		r = mrpc_interceptors_init(&server->interceptors, options->interceptors);
	if (r == 0 && options->hand_down != NULL)
		r = mrpc_server_copy_hand_down(&server->hand_down, options->hand_down);
	server->call.hand_down = (const char *const *)server->hand_down;
	if (r == 0 && options->tls != NULL) {
		r = check_tls(options->tls, &server->loop->log);
		if (r == 0)
			server->tls = minirpc_tls_ref(options->tls);
	}
	return r;
}

static int bind_timers(minirpc_server *server)
{
	int r = mrpc_timer_bind(&server->sweep, &server->loop->timers, mrpc_server_sweep);

	if (r < 0)
		return r;
	r = mrpc_timer_bind(&server->grace, &server->loop->timers, mrpc_server_grace_is_over);
	if (r < 0)
		mrpc_timer_unbind(&server->sweep);
	return r;
}

/* The memory of a server without listeners, connections, calls and timers. */
static void free_rest(minirpc_server *server)
{
	mrpc_interceptors_clear(&server->interceptors);
	minirpc_tls_unref(server->tls);
	mrpc_pool_close(server->memory);
	mrpc_free(server->hand_down);
	mrpc_free(server);
}

int minirpc_server_new(minirpc_server **ret_server, minirpc_loop *loop,
		       const struct minirpc_server_options *options)
{
	static const struct minirpc_server_options none;
	minirpc_server *server;
	struct mrpc_pool *memory;
	int r;

	if (options == NULL)
		options = &none;
	if (loop == NULL || !are_times(options))
		return -EINVAL;
	server = mrpc_alloc(sizeof *server);
	if (server == NULL)
		return -ENOMEM;
	memory = mrpc_pool_open(&loop->pool,
				options->max_memory > 0 ? options->max_memory : SIZE_MAX);
	if (memory == NULL) {
		mrpc_free(server);
		return -ENOMEM;
	}

	init(server, loop, memory, options);
	r = take_options(server, options);
	if (r == 0)
		r = bind_timers(server);
	if (r < 0) {
		free_rest(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

minirpc_server *minirpc_server_free(minirpc_server *server)
{
	struct mrpc_list *node;

	/* A host may try once more from inside its on_finished. */
	if (server == NULL || server->freeing)
		return NULL;
	server->freeing = true;
	server->state = MRPC_SERVER_STOPPED;
	mrpc_loop_refresh(server->loop);

	mrpc_server_close_listeners(server);
	mrpc_server_drop_calls(server);
	while ((node = server->connections.next) != &server->connections) {
		struct mrpc_server_connection *connection =
			mrpc_container(node, struct mrpc_server_connection, node);

		/* A host can still fetch the GOAWAY, when it is told that we finish. */
		if (connection->host != NULL)
			mrpc_conn_abort(connection->conn, MINIRPC_UNAVAILABLE,
					"the server is shutting down");
		mrpc_server_connection_free(connection);
	}
	mrpc_interceptors_clear(&server->interceptors);
	mrpc_router_clear(&server->router);
	mrpc_timer_unbind(&server->grace);
	mrpc_timer_unbind(&server->sweep);
	mrpc_task_sleep(&server->done_task);
	free_rest(server);
	return NULL;
}

int minirpc_server_add(minirpc_server *server, const struct minirpc_method *method,
		       const struct minirpc_call_events *events, void *user,
		       void (*drop)(void *user))
{
	return mrpc_router_add(&server->router, method, events, user, drop);
}

int minirpc_server_add_fallback(minirpc_server *server, const struct minirpc_call_events *events,
				void *user, void (*drop)(void *user))
{
	return mrpc_router_add_fallback(&server->router, events, user, drop);
}

void minirpc_server_remove(minirpc_server *server, const char *path)
{
	mrpc_router_remove(&server->router, path);
}

/* ---- Listening ---- */

static void on_accept(void *user, int fd, const struct mrpc_address *peer)
{
	minirpc_server *server = user;
	int r;

	if (server->connection_count >= server->max_connections) {
		close(fd);
		server->counts.refused_connections++;
		mrpc_log(&server->loop->log, MINIRPC_LOG_WARNING,
			 "a connection was closed at once: %u are open already",
			 server->max_connections);
		return;
	}
	r = mrpc_server_connection_accept(server, fd, peer);
	if (r < 0)
		mrpc_log(&server->loop->log, MINIRPC_LOG_WARNING,
			 "a connection was closed at once: %s", mrpc_error_text(r));
}

static void on_pause(void *user)
{
	minirpc_server *server = user;

	server->counts.accept_pauses++;
}

static const struct mrpc_listener_events listener_events = { .on_accept = on_accept,
							     .on_pause = on_pause };

/* Either an address, or (NULL) a socket that listens already. */
static int add_listener(minirpc_server *server, const char *address, int fd,
			const struct minirpc_listen_options *options)
{
	struct listener *listener;
	int r;

	if (server->state != MRPC_SERVER_OPEN)
		return -ESHUTDOWN;
	listener = mrpc_alloc(sizeof *listener);
	if (listener == NULL)
		return -ENOMEM;
	*listener = (struct listener){ 0 };

	if (address != NULL)
		r = mrpc_listener_new(&listener->listener, server->loop, address, options,
				      &listener_events, server);
	else
		r = mrpc_listener_adopt(&listener->listener, server->loop, fd, &listener_events,
					server);
	if (r < 0) {
		mrpc_free(listener);
		return r;
	}
	mrpc_list_push(&server->listeners, &listener->node);
	return 0;
}

int minirpc_server_listen(minirpc_server *server, const char *address,
			  const struct minirpc_listen_options *options)
{
	return address == NULL ? -EINVAL : add_listener(server, address, -1, options);
}

int minirpc_server_listen_fd(minirpc_server *server, int fd)
{
	return fd < 0 ? -EINVAL : add_listener(server, NULL, fd, NULL);
}

void mrpc_server_close_listeners(minirpc_server *server)
{
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(&server->listeners)) != NULL) {
		struct listener *listener = mrpc_container(node, struct listener, node);

		mrpc_listener_free(listener->listener);
		mrpc_free(listener);
	}
}

/* ---- To look at ---- */

minirpc_loop *minirpc_server_loop(const minirpc_server *server)
{
	return server->loop;
}

void minirpc_server_counts(const minirpc_server *server, struct minirpc_conn_counts *ret_counts)
{
	*ret_counts = server->counts;
}

size_t minirpc_server_open_calls(const minirpc_server *server)
{
	return server->call_count;
}

size_t minirpc_server_open_connections(const minirpc_server *server)
{
	return server->connection_count;
}

minirpc_server *minirpc_call_server(const minirpc_call *call)
{
	return call->role == MRPC_SERVER ? call->owner : NULL;
}

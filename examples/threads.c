/* SPDX-License-Identifier: MIT */
/* A greeter on several cores: a loop and a server for each thread, all listening on one port; the
 * kernel deals the connections out. Type
 *
 *	threads localhost:50051 4               listening on localhost:50051, 4 threads
 *
 * then hello_client, a few times          Hello gopher from thread 2
 *
 * The threads share nothing, so there is not one lock here. SIGTERM or ^C let calls end first. */
#include "hello.minirpc.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64

struct worker {
	pthread_t thread;
	int number;
	minirpc_loop *loop;
	minirpc_server *server;
};

static void on_say_hello(hello_greeter_say_hello_callee *call, const Hello__HelloRequest *req,
			 void *user)
{
	const struct worker *worker = user;
	char text[256];

	snprintf(text, sizeof text, "Hello %.200s from thread %d", req->name, worker->number);
	hello_greeter_say_hello_reply(
		call, &(Hello__HelloReply){ HELLO__HELLO_REPLY__FIELDS, .message = text });
}

static void *serve(void *user)
{
	struct worker *worker = user;

	minirpc_loop_run(worker->loop);
	return NULL;
}

/* ---- The end: the one function that reaches into another thread is minirpc_loop_post ---- */

static void on_drained(minirpc_server *server, void *user)
{
	(void)user;
	minirpc_loop_stop(minirpc_server_loop(server));
}

static void drain(void *user)
{
	struct worker *worker = user;

	minirpc_server_drain(worker->server, MINIRPC_S(10), on_drained, NULL);
}

/* ---- The beginning ---- */

/* Makes all that a thread will use, then starts it. */
static int start(struct worker *worker, const char *address, uint16_t *ret_port)
{
	static const struct hello_greeter_handlers handlers = { .say_hello = on_say_hello };
	struct minirpc_listen_options options = { .reuse_port = true, .ret_port = ret_port };
	int r;

	r = minirpc_loop_new(&worker->loop, NULL);
	if (r == 0)
		r = minirpc_server_new(&worker->server, worker->loop, NULL);
	if (r == 0)
		r = hello_greeter_serve(worker->server, &handlers, worker);
	if (r == 0)
		r = minirpc_server_listen(worker->server, address, &options);
	return r < 0 ? r : -pthread_create(&worker->thread, NULL, serve, worker);
}

int main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX];
	const char *address = argc > 1 ? argv[1] : "localhost:50051";
	const char *colon = strrchr(address, ':');
	const int threads = argc > 2 ? atoi(argv[2]) : 2;
	char same_port[256];
	int started = 0, r = 0, got;
	uint16_t port = 0;
	sigset_t signals;

	if (threads < 1 || threads > THREADS_MAX || colon == NULL) {
		fprintf(stderr, "Usage: threads HOST:PORT THREADS\n");
		return 2;
	}
	sigemptyset(&signals); /* threads inherit this: signals are for the main thread alone */
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);

	for (; r == 0 && started < threads; started += r == 0) {
		workers[started].number = started + 1;
		r = start(&workers[started], started == 0 ? address : same_port, &port);
		snprintf(same_port, sizeof same_port, "%.*s:%u", (int)(colon - address), address,
			 port);
	}
	if (r == 0) {
		printf("listening on %s, %d threads\n", same_port, started);
		fflush(stdout);
		sigwait(&signals, &got);
	} else {
		fprintf(stderr, "threads: %s\n", strerror(-r));
	}

	for (int i = 0; i < started; i++) {
		minirpc_loop_post(workers[i].loop, drain, &workers[i]);
		pthread_join(workers[i].thread, NULL);
	}
	for (int i = 0; i < started + (r < 0); i++) {
		minirpc_server_free(workers[i].server);
		minirpc_loop_free(workers[i].loop);
	}
	return r < 0;
}

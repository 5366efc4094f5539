/* SPDX-License-Identifier: MIT */
/* Several loops on several threads. Each object stays on its loop's thread; minirpc_loop_post is the
 * only door. Run under -fsanitize=thread by test/run --all. */
#include "run_suite.h"
#include "transport/ground.h"

#include "io/hand_loop.h"
#include "world/pki.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVERS 4
#define CLIENTS 4
#define ROUNDS 5
#define CALLS 20
#define POSTS 2000

/* ---- Servers that share a port ---- */

struct server_thread {
	pthread_t thread;
	struct world w;
	uint16_t port;
	bool drained;
};

static void on_drained(minirpc_server *server, void *user)
{
	struct server_thread *self = user;

	self->drained = true;
	self->w.server = minirpc_server_free(server);
}

/* On the server's own thread. */
static void drain(void *user)
{
	struct server_thread *self = user;

	minirpc_server_drain(self->w.server, MINIRPC_S(10), on_drained, self);
}

static void server_listen(struct server_thread *self, uint16_t port)
{
	char address[32];

	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	ck_assert_int_eq(minirpc_loop_new(&self->w.loop, NULL), 0);
	ck_assert_int_eq(minirpc_server_new(&self->w.server, self->w.loop, NULL), 0);
	ck_assert_int_eq(world_serve(&self->w), 0);
	ck_assert_int_eq(
		minirpc_server_listen(self->w.server, address,
				      &(struct minirpc_listen_options){ .reuse_port = true,
									.ret_port = &self->port }),
		0);
}

static void *server_run(void *user)
{
	struct server_thread *self = user;

	ck_assert_int_eq(minirpc_loop_run_until(self->w.loop, &self->drained), 0);
	minirpc_loop_free(self->w.loop);
	return NULL;
}

/* ---- Clients without a loop ---- */

struct client_thread {
	pthread_t thread;
	const char *target;
	unsigned answered;
};

/* One call that blocks. */
static void call_wait(struct world *w, const struct minirpc_method *method, const char *text,
		      minirpc_time timeout, struct probe *probe)
{
	minirpc_call *call = world_call(w, method, timeout, probe);

	world_request(call, text);
	ck_assert_int_eq(minirpc_call_wait(call), 0);
	ck_assert_int_eq(probe->ends, 1);
}

static void *client_run(void *user)
{
	struct client_thread *self = user;

	for (int round = 0; round < ROUNDS; round++) {
		struct world w = { 0 };

		ck_assert_int_eq(minirpc_channel_new(&w.channel, NULL, self->target, NULL), 0);
		for (int i = 0; i < CALLS; i++) {
			struct probe probe = { 0 };

			call_wait(&w, &world_echo, "hello", MINIRPC_S(20), &probe);
			ck_assert_msg(probe.code == MINIRPC_OK, "%s", probe.text);
			self->answered++;
		}
		minirpc_channel_free(w.channel);
	}
	return NULL;
}

START_TEST(servers_on_their_own_threads_share_a_port)
{
	static struct server_thread servers[SERVERS];
	struct client_thread clients[CLIENTS] = { 0 };
	unsigned served = 0, answered = 0;
	char target[32];

	for (int i = 0; i < SERVERS; i++)
		server_listen(&servers[i], servers[0].port);
	for (int i = 0; i < SERVERS; i++)
		ck_assert_int_eq(
			pthread_create(&servers[i].thread, NULL, server_run, &servers[i]), 0);
	snprintf(target, sizeof target, "ipv4:127.0.0.1:%u", servers[0].port);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i].target = target;
		ck_assert_int_eq(
			pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
	}
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(clients[i].thread, NULL);
		answered += clients[i].answered;
	}
	for (int i = 0; i < SERVERS; i++)
		ck_assert_int_eq(minirpc_loop_post(servers[i].w.loop, drain, &servers[i]), 0);
	for (int i = 0; i < SERVERS; i++) {
		pthread_join(servers[i].thread, NULL);
		served += servers[i].w.served_count;
	}
	ck_assert_uint_eq(answered, CLIENTS * ROUNDS * CALLS);
	ck_assert_uint_eq(served, answered);
}
END_TEST

/* ---- Posts ---- */

/* Two loops throw a ball to each other. */
struct player {
	pthread_t thread;
	minirpc_loop *loop;
	struct player *other;
	unsigned caught;
	bool done;
};

static void catch_ball(void *user)
{
	struct player *player = user;

	player->caught++;
	player->done = player->caught >= POSTS;
	ck_assert_int_eq(minirpc_loop_post(player->other->loop, catch_ball, player->other), 0);
}

static void *play(void *user)
{
	struct player *player = user;

	ck_assert_int_eq(minirpc_loop_run_until(player->loop, &player->done), 0);
	return NULL;
}

START_TEST(loops_post_to_each_other)
{
	struct player players[2] = { { .other = &players[1] }, { .other = &players[0] } };

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(minirpc_loop_new(&players[i].loop, NULL), 0);
	ck_assert_int_eq(minirpc_loop_post(players[0].loop, catch_ball, &players[0]), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&players[i].thread, NULL, play, &players[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(players[i].thread, NULL);
	for (int i = 0; i < 2; i++) /* the last ball lies in one of them */
		minirpc_loop_free(players[i].loop);
	ck_assert_uint_ge(players[0].caught, POSTS);
	ck_assert_uint_ge(players[1].caught, POSTS);
}
END_TEST

struct poster {
	pthread_t thread;
	struct collector *collector;
	unsigned seen; /* the collector's: how many of ours came, in order */
	struct letter {
		struct poster *poster;
		unsigned number;
	} letters[POSTS];
};

struct collector {
	minirpc_loop *loop;
	unsigned left;
	bool done, in_order;
};

static void collect(void *user)
{
	const struct letter *letter = user;
	struct collector *collector = letter->poster->collector;

	collector->in_order &= letter->number == letter->poster->seen;
	letter->poster->seen++;
	collector->done = --collector->left == 0;
}

static void *post_all(void *user)
{
	struct poster *poster = user;

	for (unsigned i = 0; i < POSTS; i++) {
		poster->letters[i] = (struct letter){ poster, i };
		ck_assert_int_eq(minirpc_loop_post(poster->collector->loop, collect,
						   &poster->letters[i]),
				 0);
	}
	return NULL;
}

START_TEST(posts_of_many_threads_all_come_and_each_threads_in_order)
{
	static struct poster posters[4];
	struct collector collector = { .left = 4 * POSTS, .in_order = true };

	ck_assert_int_eq(minirpc_loop_new(&collector.loop, NULL), 0);
	for (int i = 0; i < 4; i++) {
		posters[i].collector = &collector;
		ck_assert_int_eq(
			pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
	}
	ck_assert_int_eq(minirpc_loop_run_until(collector.loop, &collector.done), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(posters[i].thread, NULL);
	ck_assert(collector.in_order);
	minirpc_loop_free(collector.loop);
}
END_TEST

/* ---- Calls that block, against a server on another thread ---- */

struct ground_thread {
	pthread_t thread;
	int index;
	struct ground *g;
	pthread_barrier_t is_ready;
	bool done;
};

static void set_done(void *user)
{
	*(bool *)user = true;
}

static void *ground_run(void *user)
{
	struct ground_thread *self = user;

	self->g = ground_new(self->index, NULL);
	pthread_barrier_wait(&self->is_ready);
	ck_assert_int_eq(minirpc_loop_run_until(self->g->w->loop, &self->done), 0);
	ground_free(self->g);
	return NULL;
}

static minirpc_channel *new_channel(const struct ground *g)
{
	minirpc_channel *channel;
	minirpc_tls *tls = NULL;

	if (g->ca != NULL)
		ck_assert_int_eq(
			minirpc_tls_new(&tls, &(struct minirpc_tls_options){
						      .ca_pem = g->ca->cert_pem,
						      .cert_pem = g->client_id->cert_pem,
						      .key_pem = g->client_id->key_pem,
						      .server_name = "localhost" }),
			0);
	ck_assert_int_eq(minirpc_channel_new(&channel, NULL, g->target,
					     &(struct minirpc_channel_options){ .tls = tls }),
			 0);
	minirpc_tls_unref(tls);
	return channel;
}

START_TEST(calls_block_while_the_server_works_on_another_thread)
{
	struct ground_thread server = { .index = _i };
	struct world w = { 0 };
	struct probe echo = { 0 }, fail = { 0 }, late = { 0 }, stream = { 0 };

	pthread_barrier_init(&server.is_ready, NULL, 2);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, ground_run, &server), 0);
	pthread_barrier_wait(&server.is_ready);

	w.channel = new_channel(server.g);
	call_wait(&w, &world_echo, "hello", 0, &echo);
	ck_assert_msg(echo.code == MINIRPC_OK, "%s", echo.text);
	ck_assert_str_eq(echo.last, "hello");
	call_wait(&w, &world_fail, "no", 0, &fail);
	ck_assert_int_eq(fail.code, MINIRPC_NOT_FOUND);
	call_wait(&w, &world_hold, "?", MINIRPC_MS(30), &late);
	ck_assert_int_eq(late.code, MINIRPC_DEADLINE_EXCEEDED);
	call_wait(&w, &world_count, "200 20000", 0, &stream);
	ck_assert_int_eq(stream.code, MINIRPC_OK);
	ck_assert_uint_eq(stream.bytes, 4000000);
	minirpc_channel_free(w.channel);

	ck_assert_int_eq(minirpc_loop_post(server.g->w->loop, set_done, &server.done), 0);
	pthread_join(server.thread, NULL);
	pthread_barrier_destroy(&server.is_ready);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("transport/threads");
	TCase *c = tcase_create("threads");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, servers_on_their_own_threads_share_a_port);
	tcase_add_test(c, loops_post_to_each_other);
	tcase_add_test(c, posts_of_many_threads_all_come_and_each_threads_in_order);
	for (int i = 0; i < ground_count; i++)
		if ((ground_has(i) & GROUND_LISTENS) && (ground_has(i) & GROUND_OWN_LOOP) &&
		    (strchr(ground_kinds[i].transport->target, '[') == NULL || has_ipv6()))
			tcase_add_loop_test(c, calls_block_while_the_server_works_on_another_thread,
					    i, i + 1);
	suite_add_tcase(s, c);
	return s;
}

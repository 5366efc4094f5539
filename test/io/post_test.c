/* SPDX-License-Identifier: MIT */
/* lib/io/post.c: the only door between threads. Also run under -fsanitize=thread. */
#include "run_suite.h"

#include "io/loop.h"
#include "io/poll_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

enum { THREADS = 2, POSTS = 20000 };

struct poster {
	minirpc_loop *loop;
	int posted;   /* by its own thread */
	int received; /* by the loop's */
	int *open;    /* posters that are not through, the loop's */
};

struct letter {
	struct poster *from;
	int number;
};

static struct letter letters[THREADS][POSTS];

static void receive(void *user)
{
	const struct letter *letter = user;
	struct poster *from = letter->from;

	ck_assert_int_eq(letter->number, from->received);
	from->received++;
	if (from->received == POSTS && --*from->open == 0)
		minirpc_loop_stop(from->loop);
}

struct start {
	struct poster *poster;
	struct letter *letters;
};

static void *post_all(void *user)
{
	const struct start *start = user;

	for (int i = 0; i < POSTS; i++) {
		start->letters[i] = (struct letter){ .from = start->poster, .number = i };
		if (minirpc_loop_post(start->poster->loop, receive, &start->letters[i]) < 0)
			break;
		start->poster->posted++;
	}
	return NULL;
}

static void run_own(minirpc_loop *loop, struct poll_loop *poll, const int *open)
{
	if (poll == NULL) {
		ck_assert_int_eq(minirpc_loop_run(loop), 0);
		return;
	}
	while (*open > 0)
		ck_assert(poll_loop_once(poll, loop));
}

static void two_threads_post(minirpc_loop *loop, struct poll_loop *poll)
{
	struct poster posters[THREADS] = { 0 };
	struct start starts[THREADS];
	pthread_t threads[THREADS];
	int open = THREADS;

	for (int i = 0; i < THREADS; i++) {
		posters[i] = (struct poster){ .loop = loop, .open = &open };
		starts[i] = (struct start){ .poster = &posters[i], .letters = letters[i] };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, post_all, &starts[i]), 0);
	}
	run_own(loop, poll, &open);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_int_eq(posters[i].posted, POSTS);
		ck_assert_int_eq(posters[i].received, POSTS);
	}
}

START_TEST(every_post_of_every_thread_runs_once_and_in_its_order)
{
	minirpc_loop *loop;

	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
	two_threads_post(loop, NULL);
	minirpc_loop_free(loop);
}
END_TEST

START_TEST(a_foreign_loop_is_woken_too)
{
	struct poll_loop poll;
	minirpc_loop *loop;

	poll_loop_init(&poll);
	ck_assert_int_eq(
		minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .hooks = &poll_loop_hooks,
									.hooks_user = &poll }),
		0);
	two_threads_post(loop, &poll);
	minirpc_loop_free(loop);
}
END_TEST

static void *post_to_manual(void *user)
{
	struct start *start = user;

	start->poster->posted = minirpc_loop_post(start->poster->loop, receive, NULL);
	return NULL;
}

START_TEST(a_manual_loop_refuses_posts_of_other_threads)
{
	struct poster poster = { 0 };
	struct start start = { .poster = &poster };
	pthread_t thread;

	ck_assert_int_eq(
		minirpc_loop_new(&poster.loop, &(struct minirpc_loop_options){ .manual = true }),
		0);
	ck_assert_int_eq(pthread_create(&thread, NULL, post_to_manual, &start), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_eq(poster.posted, -EINVAL);
	minirpc_loop_free(poster.loop);
}
END_TEST

static int runs;

static void post_again(void *loop)
{
	if (++runs < 3)
		ck_assert_int_eq(minirpc_loop_post(loop, post_again, loop), 0);
	else
		minirpc_loop_stop(loop);
}

START_TEST(a_post_from_a_post_has_the_next_turn)
{
	minirpc_loop *loop;

	runs = 0;
	ck_assert_int_eq(minirpc_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(minirpc_loop_post(loop, post_again, loop), 0);
	minirpc_loop_turn(loop);
	ck_assert_int_eq(runs, 1);
	ck_assert_int_eq(minirpc_loop_run(loop), 0);
	ck_assert_int_eq(runs, 3);
	minirpc_loop_free(loop);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("io/post");
	TCase *t = tcase_create("post");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, every_post_of_every_thread_runs_once_and_in_its_order);
	tcase_add_test(t, a_foreign_loop_is_woken_too);
	tcase_add_test(t, a_manual_loop_refuses_posts_of_other_threads);
	tcase_add_test(t, a_post_from_a_post_has_the_next_turn);
	suite_add_tcase(s, t);
	return s;
}

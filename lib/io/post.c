/* SPDX-License-Identifier: MIT */
/* Post: the only door between threads.
 *
 *	other threads --> [list under one mutex] --> a turn of the loop
 *	            \---> eventfd, written when the list was empty
 *
 * So a batch of posts costs one write at most. A turn takes the whole list out and runs it without
 * holding the mutex; what is posted meanwhile finds an empty list, writes, and has the next turn.
 *
 * A manual loop has no descriptor to be woken by, hence only the thread that turns it may post. */
#include "io/backend.h"

#include "base/alloc.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mrpc_loop_post {
	pthread_mutex_t mutex;
	struct mrpc_list list; /* under the mutex */
	pthread_t owner;       /* under the mutex: who took the last turn */
	int fd;                /* -1: a manual loop */
	struct minirpc_watch watch;
};

/* The turn takes the posts out anyway; here the descriptor only falls silent. */
static void on_ready(struct minirpc_watch *watch, unsigned events)
{
	uint64_t count;

	(void)events;
	while (read(watch->fd, &count, sizeof count) < 0 && errno == EINTR)
		;
}

static int open_door(struct mrpc_loop_post *post, minirpc_loop *loop)
{
	int r;

	post->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (post->fd < 0)
		return -errno;
	r = mrpc_loop_watch(loop, &post->watch, post->fd, MINIRPC_READ, on_ready);
	if (r < 0)
		close(post->fd);
	return r;
}

int mrpc_post_new(struct mrpc_loop_post **ret_post, minirpc_loop *loop, bool wakes)
{
	struct mrpc_loop_post *post = mrpc_zalloc(sizeof *post);
	int r;

	if (post == NULL)
		return -ENOMEM;
	post->fd = -1;
	post->owner = pthread_self();
	mrpc_list_init(&post->list);
	r = -pthread_mutex_init(&post->mutex, NULL);
	if (r < 0)
		goto err_post;
	if (wakes) {
		r = open_door(post, loop);
		if (r < 0)
			goto err_mutex;
	}
	*ret_post = post;
	return 0;

err_mutex:
	pthread_mutex_destroy(&post->mutex);
err_post:
	mrpc_free(post);
	return r;
}

static void free_posted(struct mrpc_posted *posted)
{
	if (posted->is_allocated)
		mrpc_free(posted);
}

void mrpc_post_free(struct mrpc_loop_post *post)
{
	struct mrpc_list *node;

	if (post->fd >= 0) {
		mrpc_loop_unwatch(&post->watch);
		close(post->fd);
	}
	while ((node = mrpc_list_pop(&post->list)) != NULL)
		free_posted(mrpc_container(node, struct mrpc_posted, node));
	pthread_mutex_destroy(&post->mutex);
	mrpc_free(post);
}

struct minirpc_watch *mrpc_post_watch(struct mrpc_loop_post *post)
{
	return post->fd >= 0 ? &post->watch : NULL;
}

bool mrpc_post_is_waiting(struct mrpc_loop_post *post)
{
	bool waiting;

	pthread_mutex_lock(&post->mutex);
	waiting = !mrpc_list_is_empty(&post->list);
	pthread_mutex_unlock(&post->mutex);
	return waiting;
}

void mrpc_post_run(struct mrpc_loop_post *post)
{
	struct mrpc_list batch, *node;

	mrpc_list_init(&batch);
	pthread_mutex_lock(&post->mutex);
	post->owner = pthread_self();
	while ((node = mrpc_list_pop(&post->list)) != NULL)
		mrpc_list_push(&batch, node);
	pthread_mutex_unlock(&post->mutex);

	while ((node = mrpc_list_pop(&batch)) != NULL) {
		struct mrpc_posted *posted = mrpc_container(node, struct mrpc_posted, node);
		void (*fn)(void *user) = posted->fn;
		void *user = posted->user;

		free_posted(posted);
		fn(user);
	}
}

/* Under the mutex. Written under it, too: once the last post has run, no poster touches the descriptor any more, and
 * the loop may be freed by what it posted. It cannot block, and fails only when the counter is full, hence
 * readable. */
static void put(struct mrpc_loop_post *post, struct mrpc_posted *posted)
{
	bool first = mrpc_list_is_empty(&post->list);
	const uint64_t one = 1;

	mrpc_list_push(&post->list, &posted->node);
	if (first && post->fd >= 0)
		while (write(post->fd, &one, sizeof one) < 0 && errno == EINTR)
			;
}

void mrpc_post_put(struct mrpc_loop_post *post, struct mrpc_posted *posted)
{
	pthread_mutex_lock(&post->mutex);
	put(post, posted);
	pthread_mutex_unlock(&post->mutex);
}

void mrpc_post_take_out(struct mrpc_loop_post *post, struct mrpc_posted *posted)
{
	pthread_mutex_lock(&post->mutex);
	mrpc_list_remove(&posted->node); /* from the list, or from the batch of mrpc_post_run */
	pthread_mutex_unlock(&post->mutex);
}

int minirpc_loop_post(minirpc_loop *loop, void (*fn)(void *user), void *user)
{
	struct mrpc_loop_post *post = loop->post;
	struct mrpc_posted *posted = mrpc_alloc(sizeof *posted);
	bool refused;

	if (posted == NULL)
		return -ENOMEM;
	*posted = (struct mrpc_posted){ .fn = fn, .user = user, .is_allocated = true };

	pthread_mutex_lock(&post->mutex);
	refused = post->fd < 0 && !pthread_equal(post->owner, pthread_self());
	if (!refused)
		put(post, posted);
	pthread_mutex_unlock(&post->mutex);

	if (refused) {
		mrpc_free(posted);
		return -EINVAL;
	}
	return 0;
}

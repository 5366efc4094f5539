/* SPDX-License-Identifier: MIT */
/* Resolve without c-ares: getaddrinfo, which blocks, on a helper thread for each look-up. The one case in which this
 * library starts threads.
 *
 *	the loop's thread                                a helper
 *	look_up_new --> queue --> at most 8 at once ---> getaddrinfo
 *	     on_found <-- on_done <----- the post door --- `done`, told once for all that are in it
 *
 * getaddrinfo cannot be called off, so a helper may outlive its look-up and its loop. Therefore it owns the look-up
 * from its start until it has put it into `done`, and reaches the loop only through `helpers`, which is counted (the
 * loop, and each thread) and says under its mutex whether there still is a loop:
 *
 *	look_up_free   while the helper asks: it is marked as not wanted, and freed when it comes back
 *	loop_free      helpers->loop is NULL from then on; whoever comes back frees what he has
 *
 * A look-up that is not wanted counts until its helper is back: names that hang do not become more threads.
 *
 * What c-ares knows and getaddrinfo does not: TTLs, TXT, other servers than the system's, files alone. */
#include "io/look_up.h"

#include "base/alloc.h"
#include "base/text.h"
#include "io/backend.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#define THREADS_MAX 8u
/* NSS modules are others' code, with an appetite of theirs; musl gives a thread half of this. */
#define STACK_SIZE (256u << 10)
#define ADDRESSES_MAX 64u /* of one answer; nobody connects to more */

struct mrpc_helpers {
	pthread_mutex_t mutex;
	minirpc_loop *loop;    /* under the mutex; NULL: gone */
	unsigned refs;         /* under the mutex: the loop's, and one of each thread */
	struct mrpc_list done; /* under the mutex: look-ups that are back */
	bool told;             /* under the mutex: the loop has been told of them */
	struct mrpc_posted posted;

	/* The loop's thread alone looks at these. */
	unsigned running;
	struct mrpc_list queue; /* look-ups whose turn has not come */
};

struct mrpc_look_up {
	struct mrpc_helpers *helpers;
	struct mrpc_list node; /* in queue, or in done */

	/* The loop's thread alone looks at these. */
	enum { QUEUED, RUNNING, OVER } state;
	void (*on_found)(void *user, const struct mrpc_address *addresses, size_t count,
			 minirpc_time ttl, int error, const char *reason); /* NULL: not wanted */
	void *user;

	/* The helper's, while it runs. */
	int status, system_error; /* EAI_..., and errno of EAI_SYSTEM */
	size_t count;
	struct mrpc_address found[ADDRESSES_MAX];
	char host[];
};

bool mrpc_resolve_asks_servers(void)
{
	return false;
}

/* ---- On the helper ---- */

static void ask(struct mrpc_look_up *look_up)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *info = NULL;

	look_up->status = getaddrinfo(look_up->host, NULL, &hints, &info);
	if (look_up->status != 0) {
		look_up->system_error = look_up->status == EAI_SYSTEM ? errno : 0;
		return;
	}
	for (const struct addrinfo *at = info; at != NULL && look_up->count < ADDRESSES_MAX;
	     at = at->ai_next) {
		struct mrpc_address *found = &look_up->found[look_up->count];

		if ((at->ai_family != AF_INET && at->ai_family != AF_INET6) ||
		    at->ai_addrlen > sizeof found->storage)
			continue;
		*found = (struct mrpc_address){ .len = at->ai_addrlen };
		memcpy(&found->any, at->ai_addr, at->ai_addrlen);
		look_up->count++;
	}
	freeaddrinfo(info);
	if (look_up->count == 0)
		look_up->status = EAI_NODATA;
}

/* Unlocks. */
static void unref(struct mrpc_helpers *helpers)
{
	bool is_last = --helpers->refs == 0;

	pthread_mutex_unlock(&helpers->mutex);
	if (!is_last)
		return;
	pthread_mutex_destroy(&helpers->mutex);
	mrpc_free(helpers);
}

static void *help(void *user)
{
	struct mrpc_look_up *look_up = user;
	struct mrpc_helpers *helpers = look_up->helpers;

	ask(look_up);
	pthread_mutex_lock(&helpers->mutex);
	if (helpers->loop == NULL) {
		mrpc_free(look_up);
	} else {
		mrpc_list_push(&helpers->done, &look_up->node);
		if (!helpers->told)
			mrpc_post_put(helpers->loop->post, &helpers->posted);
		helpers->told = true;
	}
	unref(helpers);
	return NULL;
}

/* ---- On the loop's thread ---- */

static void finish(struct mrpc_look_up *look_up, int error, const char *reason)
{
	look_up->state = OVER;
	if (look_up->on_found == NULL)
		mrpc_free(look_up);
	else if (error < 0)
		look_up->on_found(look_up->user, NULL, 0, MINIRPC_NEVER, error, reason);
	else
		look_up->on_found(look_up->user, look_up->found, look_up->count, MINIRPC_NEVER, 0,
				  "");
}

static void finish_asked(struct mrpc_look_up *look_up)
{
	int error = look_up->system_error;

	switch (look_up->status) {
	case 0:
		finish(look_up, 0, "");
		break;
	case EAI_NONAME:
		finish(look_up, -ENOENT, "no such host");
		break;
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		finish(look_up, -ENOENT, "the name has no address");
		break;
	case EAI_AGAIN:
		finish(look_up, -EAGAIN, "the DNS servers do not answer, or fail");
		break;
	case EAI_MEMORY:
		finish(look_up, -ENOMEM, mrpc_error_text(ENOMEM));
		break;
	case EAI_SYSTEM:
		finish(look_up, error > 0 ? -error : -EIO,
		       mrpc_error_text(error > 0 ? error : EIO));
		break;
	default:
		finish(look_up, -EIO, gai_strerror(look_up->status));
	}
}

/* Of its own, with a small stack, and deaf: the host's signals are handled on the host's threads. */
static int create(struct mrpc_look_up *look_up)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE); /* too small here: the default it is */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attr, help, look_up);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -r;
}

static int start(struct mrpc_look_up *look_up)
{
	struct mrpc_helpers *helpers = look_up->helpers;
	int r;

	pthread_mutex_lock(&helpers->mutex);
	helpers->refs++;
	pthread_mutex_unlock(&helpers->mutex);
	look_up->state = RUNNING;
	r = create(look_up);
	if (r < 0) {
		pthread_mutex_lock(&helpers->mutex);
		unref(helpers); /* never the last: the loop has one */
		return r;
	}
	helpers->running++;
	return 0;
}

/* Those whose turn has come. */
static void go_on(struct mrpc_helpers *helpers)
{
	struct mrpc_list *node;

	while (helpers->running < THREADS_MAX && (node = mrpc_list_pop(&helpers->queue)) != NULL) {
		struct mrpc_look_up *look_up = mrpc_container(node, struct mrpc_look_up, node);
		int r = start(look_up);

		if (r < 0)
			finish(look_up, r, "no thread to ask for it");
	}
}

static void on_done(void *user)
{
	struct mrpc_helpers *helpers = user;
	struct mrpc_list done, *node;

	mrpc_list_init(&done);
	pthread_mutex_lock(&helpers->mutex);
	helpers->told = false;
	mrpc_list_move_all(&done, &helpers->done);
	pthread_mutex_unlock(&helpers->mutex);

	while ((node = mrpc_list_pop(&done)) != NULL) {
		helpers->running--;
		finish_asked(mrpc_container(node, struct mrpc_look_up, node));
	}
	go_on(helpers);
}

static int have_helpers(minirpc_loop *loop)
{
	struct mrpc_helpers *helpers;
	int r;

	if (loop->helpers != NULL)
		return 0;
	helpers = mrpc_zalloc(sizeof *helpers);
	if (helpers == NULL)
		return -ENOMEM;
	r = pthread_mutex_init(&helpers->mutex, NULL);
	if (r != 0) {
		mrpc_free(helpers);
		return -r;
	}
	helpers->loop = loop;
	helpers->refs = 1;
	helpers->posted = (struct mrpc_posted){ .fn = on_done, .user = helpers };
	mrpc_list_init(&helpers->done);
	mrpc_list_init(&helpers->queue);
	loop->helpers = helpers;
	return 0;
}

int mrpc_look_up_new(struct mrpc_look_up **ret_look_up, minirpc_loop *loop, const char *host,
		     const struct mrpc_look_up_options *options,
		     void (*on_found)(void *user, const struct mrpc_address *addresses,
				      size_t count, minirpc_time ttl, int error,
				      const char *reason),
		     void *user)
{
	struct mrpc_look_up *look_up;
	size_t len = strlen(host), size;
	int r;

	/* A manual loop cannot be woken. */
	if (options->servers != NULL || options->only_files || mrpc_post_watch(loop->post) == NULL)
		return -ENOTSUP;
	r = have_helpers(loop);
	if (r < 0)
		return r;
	if (!mrpc_add(sizeof *look_up, len, &size) || !mrpc_add(size, 1, &size))
		return -ENOMEM;
	look_up = mrpc_zalloc(size);
	if (look_up == NULL)
		return -ENOMEM;
	look_up->helpers = loop->helpers;
	look_up->on_found = on_found;
	look_up->user = user;
	memcpy(look_up->host, host, len + 1);
	*ret_look_up = look_up;
	mrpc_list_push(&loop->helpers->queue, &look_up->node);
	go_on(loop->helpers);
	return 0;
}

int mrpc_look_up_txt_new(struct mrpc_look_up **ret_look_up, minirpc_loop *loop, const char *name,
			 const char *prefix, const struct mrpc_look_up_options *options,
			 void (*on_text)(void *user, const char *text, size_t len, int error),
			 void *user)
{
	(void)ret_look_up;
	(void)loop;
	(void)name;
	(void)prefix;
	(void)options;
	(void)on_text;
	(void)user;
	return -ENOTSUP;
}

void mrpc_look_up_free(struct mrpc_look_up *look_up)
{
	if (look_up == NULL)
		return;
	if (look_up->state == RUNNING) {
		look_up->on_found = NULL;
		return;
	}
	mrpc_list_remove(&look_up->node);
	mrpc_free(look_up);
}

void mrpc_look_ups_close(minirpc_loop *loop)
{
	struct mrpc_helpers *helpers = loop->helpers;
	struct mrpc_list *node;

	if (helpers == NULL)
		return;
	assert(mrpc_list_is_empty(&helpers->queue));
	loop->helpers = NULL;
	pthread_mutex_lock(&helpers->mutex);
	helpers->loop = NULL;
	mrpc_post_take_out(loop->post, &helpers->posted);
	while ((node = mrpc_list_pop(&helpers->done)) != NULL)
		mrpc_free(mrpc_container(node, struct mrpc_look_up, node));
	unref(helpers);
}

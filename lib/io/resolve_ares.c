/* SPDX-License-Identifier: MIT */
/* Resolve by c-ares: one channel for each look-up, its sockets and its timer on our loop.
 *
 *	mrpc_look_up ---- ares_channel ---- socket ---- watch    (c-ares opens and closes sockets as it
 *	    |                               socket ---- watch     likes, and tells on_socket before)
 *	  timer
 *
 * A channel costs a few reads of small files (resolv.conf, nsswitch.conf, hosts): about as much as
 * opening the connection that follows, and then nothing stays behind between look-ups: no state
 * that outlives a changed resolv.conf, and no socket. See docs/decisions/001-c-ares.md.
 *
 * ares_library_init is not called on purpose. It is not safe between threads (it counts in a plain
 * global), and outside Windows and Android there is nothing that it would set up. */
#include "io/look_up.h"

#include "base/alloc.h"

#define CARES_NO_DEPRECATED /* what is newer than Debian 12's */
#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/time.h>

#define CLASS_IN 1
#define TYPE_TXT 16
#define ADDRESSES_MAX 64u /* of one answer; nobody connects to more */

struct ares_watch {
	struct minirpc_watch watch;
	struct mrpc_list node;
	struct mrpc_look_up *ares;
};

struct mrpc_look_up {
	minirpc_loop *loop;
	ares_channel channel;
	struct mrpc_list watches;
	struct mrpc_timer timer;
	bool finished; /* on_found was called, or must not be any more */
	bool sent;     /* a packet, or it was about to */
	void (*on_found)(void *user, const struct mrpc_address *addresses, size_t count,
			 minirpc_time ttl, int error, const char *reason);
	void (*on_text)(void *user, const char *text, size_t len, int error); /* or this one */
	const char *prefix;
	void *user;
};

bool mrpc_resolve_asks_servers(void)
{
	return true;
}

static void finish(struct mrpc_look_up *ares, const struct mrpc_address *addresses, size_t count,
		   minirpc_time ttl, int error, const char *reason)
{
	if (ares->finished)
		return;
	ares->finished = true;
	mrpc_timer_stop(&ares->timer);
	if (ares->on_text != NULL) {
		ares->on_text(ares->user, NULL, 0, error);
		return;
	}
	ares->on_found(ares->user, addresses, count, ttl, error, reason);
}

/* When c-ares wants to look at its own time-outs again; a millisecond late rather than early. */
static void set_timer(struct mrpc_look_up *ares)
{
	struct timeval tv;

	if (ares->finished)
		return;
	if (ares_timeout(ares->channel, NULL, &tv) == NULL)
		mrpc_timer_stop(&ares->timer);
	else
		mrpc_timer_set(&ares->timer,
			       mrpc_time_add(ares->loop->now, MINIRPC_S(tv.tv_sec) +
								      MINIRPC_US(tv.tv_usec) +
								      MINIRPC_MS(1)));
}

static void on_time(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_look_up *ares = mrpc_container(timer, struct mrpc_look_up, timer);

	(void)now;
	ares_process_fd(ares->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer(ares);
}

static void on_ready(struct minirpc_watch *watch, unsigned events)
{
	struct mrpc_look_up *ares = mrpc_container(watch, struct ares_watch, watch)->ares;
	int fd = watch->fd;

	if ((events & MRPC_WATCH_LOST) != 0) {
		finish(ares, NULL, 0, MINIRPC_NEVER, -EIO,
		       "cannot watch the socket of the DNS query");
		return;
	}
	/* c-ares may close the socket in there, and watch is gone then. */
	ares_process_fd(ares->channel, (events & MINIRPC_READ) != 0 ? fd : ARES_SOCKET_BAD,
			(events & MINIRPC_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
	set_timer(ares);
}

static struct ares_watch *find_watch(struct mrpc_look_up *ares, int fd)
{
	for (struct mrpc_list *at = ares->watches.next; at != &ares->watches; at = at->next) {
		struct ares_watch *found = mrpc_container(at, struct ares_watch, node);

		if (found->watch.fd == fd)
			return found;
	}
	return NULL;
}

static void drop_watch(struct ares_watch *watch)
{
	mrpc_loop_unwatch(&watch->watch);
	mrpc_list_remove(&watch->node);
	mrpc_free(watch);
}

static int add_watch(struct mrpc_look_up *ares, int fd, unsigned events)
{
	struct ares_watch *watch = mrpc_zalloc(sizeof *watch);
	int r;

	if (watch == NULL)
		return -ENOMEM;
	watch->ares = ares;
	r = mrpc_loop_watch(ares->loop, &watch->watch, fd, events, on_ready);
	if (r < 0) {
		mrpc_free(watch);
		return r;
	}
	mrpc_list_push(&ares->watches, &watch->node);
	return 0;
}

/* c-ares tells what it waits for; both false just before it closes the socket. */
static void on_socket(void *user, ares_socket_t fd, int readable, int writable)
{
	struct mrpc_look_up *ares = user;
	unsigned events =
		(readable ? (unsigned)MINIRPC_READ : 0) | (writable ? (unsigned)MINIRPC_WRITE : 0);
	struct ares_watch *watch = find_watch(ares, fd);
	int r = 0;

	ares->sent = true;
	if (events == 0) {
		if (watch != NULL)
			drop_watch(watch);
		return;
	}
	if (watch == NULL)
		r = add_watch(ares, fd, events);
	else
		r = mrpc_loop_change(&watch->watch, events);
	if (r < 0)
		finish(ares, NULL, 0, MINIRPC_NEVER, r, "cannot watch the socket of the DNS query");
}

static int error_of(int status)
{
	switch (status) {
	case ARES_ENODATA:
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
	case ARES_EBADNAME:
		return -ENOENT;
	case ARES_ETIMEOUT:
		return -ETIMEDOUT;
	case ARES_ECONNREFUSED:
		return -ECONNREFUSED;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

static const char *sentence_of(int status)
{
	switch (status) {
	case ARES_ENODATA:
		return "the name has no address";
	case ARES_ENOTFOUND:
	case ARES_ENONAME:
	case ARES_EBADNAME:
		return "no such host";
	case ARES_ETIMEOUT:
		return "the DNS servers do not answer";
	case ARES_ECONNREFUSED:
		return "cannot reach the DNS servers";
	default:
		return ares_strerror(status);
	}
}

/* RFC 2181, 8: a TTL with its highest bit set is 0. */
static minirpc_time least_ttl(minirpc_time least, int ttl)
{
	minirpc_time span = ttl > 0 ? MINIRPC_S(ttl) : 0;

	return span < least ? span : least;
}

static void on_answer(void *user, int status, int timeouts, struct ares_addrinfo *info)
{
	struct mrpc_look_up *ares = user;
	struct mrpc_address found[ADDRESSES_MAX];
	minirpc_time ttl = MINIRPC_NEVER;
	size_t count = 0;

	(void)timeouts;
	if (status == ARES_SUCCESS && info != NULL) {
		for (const struct ares_addrinfo_node *at = info->nodes;
		     at != NULL && count < ADDRESSES_MAX; at = at->ai_next) {
			if ((at->ai_family != AF_INET && at->ai_family != AF_INET6) ||
			    at->ai_addrlen > sizeof found[count].storage)
				continue;
			found[count] = (struct mrpc_address){ .len = at->ai_addrlen };
			memcpy(&found[count].any, at->ai_addr, at->ai_addrlen);
			ttl = least_ttl(ttl, at->ai_ttl);
			count++;
		}
		for (const struct ares_addrinfo_cname *at = info->cnames; at != NULL; at = at->next)
			ttl = least_ttl(ttl, at->ttl);
		if (count == 0)
			status = ARES_ENODATA;
	}
	if (info != NULL)
		ares_freeaddrinfo(info);

	if (status == ARES_SUCCESS)
		finish(ares, found, count, ares->sent ? ttl : MINIRPC_NEVER, 0, "");
	else
		finish(ares, NULL, 0, MINIRPC_NEVER, error_of(status), sentence_of(status));
}

static int open_channel(struct mrpc_look_up *ares, const struct mrpc_look_up_options *options)
{
	char files[] = "f", files_then_dns[] = "fb";
	struct ares_options ares_options = {
		.flags = ARES_FLAG_NOALIASES, /* $HOSTALIASES is not ours to read */
		.sock_state_cb = on_socket,
		.sock_state_cb_data = ares,
		.lookups = options->only_files ? files : files_then_dns,
	};
	int status;

	status = ares_init_options(&ares->channel, &ares_options,
				   ARES_OPT_FLAGS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS);
	if (status != ARES_SUCCESS)
		return status == ARES_ENOMEM ? -ENOMEM : -EIO;
	if (options->servers == NULL)
		return 0;

	status = ares_set_servers_ports_csv(ares->channel, options->servers);
	if (status == ARES_SUCCESS)
		return 0;
	ares_destroy(ares->channel);
	return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

static int new_ares(struct mrpc_look_up **ret_ares, minirpc_loop *loop,
		    const struct mrpc_look_up_options *options)
{
	struct mrpc_look_up *ares = mrpc_zalloc(sizeof *ares);
	int r;

	if (ares == NULL)
		return -ENOMEM;
	ares->loop = loop;
	mrpc_list_init(&ares->watches);
	r = mrpc_timer_bind(&ares->timer, &loop->timers, on_time);
	if (r < 0)
		goto err_ares;
	r = open_channel(ares, options);
	if (r < 0)
		goto err_timer;
	*ret_ares = ares;
	return 0;

err_timer:
	mrpc_timer_unbind(&ares->timer);
err_ares:
	mrpc_free(ares);
	return r;
}

int mrpc_look_up_new(struct mrpc_look_up **ret_ares, minirpc_loop *loop, const char *host,
		  const struct mrpc_look_up_options *options,
		  void (*on_found)(void *user, const struct mrpc_address *addresses, size_t count,
				   minirpc_time ttl, int error, const char *reason),
		  void *user)
{
	const struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
						   .ai_socktype = SOCK_STREAM };
	struct mrpc_look_up *ares;
	int r;

	r = new_ares(&ares, loop, options);
	if (r < 0)
		return r;
	ares->on_found = on_found;
	ares->user = user;
	*ret_ares = ares;
	ares_getaddrinfo(ares->channel, host, NULL, &hints, on_answer, ares);
	set_timer(ares);
	return 0;
}

/* The record that begins with the prefix, its strings joined. Returns 0, -ENOENT, -ENOMEM. */
static int find_text(const struct ares_txt_ext *records, const char *prefix, struct mrpc_buf *text)
{
	size_t prefix_len = strlen(prefix);
	bool inside = false;
	int r;

	for (const struct ares_txt_ext *at = records; at != NULL; at = at->next) {
		size_t skip = 0;

		if (at->record_start) {
			if (inside)
				return 0;
			inside = at->length >= prefix_len &&
				 memcmp(at->txt, prefix, prefix_len) == 0;
			skip = prefix_len;
		}
		if (!inside)
			continue;
		r = mrpc_buf_append(text, at->txt + skip, at->length - skip);
		if (r < 0)
			return r;
	}
	return inside ? 0 : -ENOENT;
}

static void on_txt_answer(void *user, int status, int timeouts, unsigned char *packet, int len)
{
	struct mrpc_look_up *ares = user;
	struct ares_txt_ext *records = NULL;
	struct mrpc_buf text = { 0 };
	int r;

	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_txt_reply_ext(packet, len, &records);
	r = status == ARES_SUCCESS ? find_text(records, ares->prefix, &text) : error_of(status);
	ares_free_data(records);
	if (!ares->finished) {
		ares->finished = true;
		mrpc_timer_stop(&ares->timer);
		ares->on_text(ares->user, r == 0 ? (const char *)mrpc_buf_bytes(&text) : NULL,
			      mrpc_buf_len(&text), r);
	}
	mrpc_buf_clear(&text);
}

int mrpc_look_up_txt_new(struct mrpc_look_up **ret_ares, minirpc_loop *loop, const char *name,
		      const char *prefix, const struct mrpc_look_up_options *options,
		      void (*on_text)(void *user, const char *text, size_t len, int error),
		      void *user)
{
	struct mrpc_look_up *ares;
	int r;

	r = new_ares(&ares, loop, options);
	if (r < 0)
		return r;
	ares->on_text = on_text;
	ares->prefix = prefix;
	ares->user = user;
	*ret_ares = ares;
	ares_query(ares->channel, name, CLASS_IN, TYPE_TXT, on_txt_answer, ares);
	set_timer(ares);
	return 0;
}

void mrpc_look_up_free(struct mrpc_look_up *ares)
{
	if (ares == NULL)
		return;
	ares->finished = true;
	ares_destroy(ares->channel); /* closes its sockets, by way of on_socket */
	while (!mrpc_list_is_empty(&ares->watches))
		drop_watch(mrpc_container(ares->watches.next, struct ares_watch, node));
	mrpc_timer_unbind(&ares->timer);
	mrpc_free(ares);
}

void mrpc_look_ups_close(minirpc_loop *loop)
{
	(void)loop; /* nothing outlives a look-up */
}

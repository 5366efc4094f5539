/* SPDX-License-Identifier: MIT */
/* Proxy dial: from a proxy's name to a socket that ends at the server [L-9].
 *
 *	resolve the proxy --> dial it --> CONNECT server:port --> 2xx: the socket is the caller's
 *	                       ^                     |
 *	                       +--- next address ----+  (only when the server is given by addresses)
 *
 * The answer's header is read to its last byte and no further, because the server may already speak behind it
 * (HTTP/2 servers do): bytes are peeked at, and taken when it is known that they are the header's. At most
 * HEADER_MAX of them. What the proxy says reaches error texts escaped, and our password never does. */
#include "io/proxy.h"

#include "base/alloc.h"
#include "base/text.h"
#include "io/dial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADER_MAX 8192u
#define SERVER_SIZE 272u  /* a name of 253, a port, brackets */
#define REASON_SIZE 1100u /* two names, and what dial says */
#define STATUS_LINE_MAX 100u
#define INTERIM_MAX 16u /* 1xx answers; one who never stops would have the loop for himself */

struct mrpc_proxy_dial {
	minirpc_loop *loop;
	struct mrpc_proxy *proxy;
	struct mrpc_resolution *resolution;
	struct mrpc_dial *dial;
	int fd; /* -1: not connected */
	struct minirpc_watch watch;
	struct mrpc_timer timer;
	struct mrpc_task tell;
	minirpc_time deadline;
	struct mrpc_address peer;   /* the proxy, when connected */
	struct mrpc_address *found; /* the proxy's addresses */
	size_t found_count;
	char server[SERVER_SIZE]; /* as CONNECT says it */
	char *request;
	size_t request_len, request_sent;
	size_t header_len;
	unsigned interim; /* answers before the one that counts */
	bool finished;
	int error;
	char reason[REASON_SIZE];
	void (*on_done)(void *user, int fd, const struct mrpc_address *address, int error,
			const char *reason);
	void *user;
	size_t at, count;
	char header[HEADER_MAX];
	struct mrpc_address addresses[]; /* the server's; none: by name */
};

static void close_socket(struct mrpc_proxy_dial *dial)
{
	if (dial->fd < 0)
		return;
	mrpc_loop_unwatch(&dial->watch);
	close(dial->fd);
	dial->fd = -1;
}

static void stop(struct mrpc_proxy_dial *dial)
{
	mrpc_timer_stop(&dial->timer);
	mrpc_resolution_free(dial->resolution);
	mrpc_dial_free(dial->dial);
	dial->resolution = NULL;
	dial->dial = NULL;
}

/* ---- The proxy's addresses ---- */

/* For their TTL, as names are [L-2]. Without memory the next dial asks. */
static void keep_addresses(struct mrpc_proxy *proxy, const struct mrpc_address *addresses,
			   size_t count, minirpc_time ttl, minirpc_time now)
{
	minirpc_time span = proxy->min_interval;

	if (ttl != MINIRPC_NEVER && ttl > span)
		span = ttl;
	proxy->addresses = mrpc_free(proxy->addresses);
	proxy->address_count = 0;
	if (span <= 0)
		return;
	proxy->addresses = mrpc_alloc(count * sizeof *addresses);
	if (proxy->addresses == NULL)
		return;
	memcpy(proxy->addresses, addresses, count * sizeof *addresses);
	proxy->address_count = count;
	proxy->asked = now;
	proxy->good_until = mrpc_time_add(now, span);
}

/* The proxy may have moved: asked for again at the minimum interval. */
static void distrust_addresses(struct mrpc_proxy *proxy)
{
	minirpc_time at = mrpc_time_add(proxy->asked, proxy->min_interval);

	if (proxy->good_until > at)
		proxy->good_until = at;
}

static int copy_addresses(struct mrpc_proxy_dial *dial, const struct mrpc_address *addresses,
			  size_t count)
{
	dial->found = mrpc_alloc(count * sizeof *addresses);
	if (dial->found == NULL)
		return -ENOMEM;
	memcpy(dial->found, addresses, count * sizeof *addresses);
	dial->found_count = count;
	return 0;
}

static void finish(struct mrpc_proxy_dial *dial, int error, const char *why)
{
	if (dial->finished)
		return;
	dial->finished = true;
	dial->error = error;
	stop(dial);
	if (error < 0) {
		snprintf(dial->reason, REASON_SIZE, "proxy %.253s:%u for %.253s: %s",
			 dial->proxy->host, (unsigned)dial->proxy->port, dial->server, why);
		distrust_addresses(dial->proxy);
		close_socket(dial);
	} else {
		mrpc_loop_unwatch(&dial->watch);
	}
	mrpc_turn_wake(&dial->loop->turn, &dial->tell);
}

/* ---- CONNECT ---- */

static void forget_request(struct mrpc_proxy_dial *dial)
{
	if (dial->request != NULL)
		explicit_bzero(dial->request, dial->request_len); /* it has the password */
	dial->request = mrpc_free(dial->request);
}

static int make_request(struct mrpc_proxy_dial *dial)
{
	const char *authorization = dial->proxy->authorization;

	if (dial->at < dial->count) { /* "ipv4:1.2.3.4:5" */
		char text[MRPC_ADDRESS_TEXT];

		mrpc_address_format(&dial->addresses[dial->at], text);
		snprintf(dial->server, SERVER_SIZE, "%s", text + 5);
	}
	forget_request(dial);
	dial->request = mrpc_format(
		"CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s%s%s\r\n", dial->server, dial->server,
		authorization != NULL ? "Proxy-Authorization: " : "",
		authorization != NULL ? authorization : "", authorization != NULL ? "\r\n" : "");
	dial->request_len = dial->request != NULL ? strlen(dial->request) : 0;
	dial->request_sent = dial->header_len = 0;
	dial->interim = 0;
	return dial->request == NULL ? -ENOMEM : 0;
}

static void begin(struct mrpc_proxy_dial *dial);

/* This server's address is out; the next, if there is one. */
static void refused(struct mrpc_proxy_dial *dial, int error, const char *why)
{
	if (dial->at + 1 >= dial->count) {
		finish(dial, error, why);
		return;
	}
	dial->at++;
	close_socket(dial);
	begin(dial);
}

/* The status line, for people. */
static void copy_status_line(char text[4 * STATUS_LINE_MAX + 1], const char *header, size_t len)
{
	char *to = text;

	for (size_t i = 0; i < len && i < STATUS_LINE_MAX; i++) {
		if (header[i] == '\r' || header[i] == '\n')
			break;
		if (header[i] >= 0x20 && header[i] < 0x7F) {
			*to++ = header[i];
			continue;
		}
		snprintf(to, 5, "\\x%02X", (unsigned)(unsigned char)header[i]);
		to += 4;
	}
	*to = '\0';
}

/* "HTTP/1.1 200 Fine": 200; -1 when it is no such thing. */
static int status_of(const char *header, size_t len)
{
	const char *digits = header + 9;

	if (len < 12 || memcmp(header, "HTTP/1.", 7) != 0 || header[8] != ' ')
		return -1;
	for (int i = 0; i < 3; i++)
		if (digits[i] < '0' || digits[i] > '9')
			return -1;
	if (len > 12 && digits[3] != ' ' && digits[3] != '\r' && digits[3] != '\n')
		return -1;
	return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

/* How long the header is, with the empty line that ends it; 0: not all here. A bare LF ends a line too (RFC
 * 9112, 2.2). */
static size_t header_end(const char *header, size_t len)
{
	for (const char *at = header;
	     (at = memchr(at, '\n', len - (size_t)(at - header))) != NULL;) {
		at++;
		if (at < header + len && *at == '\n')
			return (size_t)(at - header) + 1;
		if (at + 1 < header + len && at[0] == '\r' && at[1] == '\n')
			return (size_t)(at - header) + 2;
	}
	return 0;
}

static void judge(struct mrpc_proxy_dial *dial)
{
	char line[4 * STATUS_LINE_MAX + 1];
	int status = status_of(dial->header, dial->header_len);

	if (status >= 100 && status < 200 && status != 101 && dial->interim < INTERIM_MAX) {
		dial->interim++;
		dial->header_len = 0; /* another one follows */
		return;
	}
	if (status >= 200 && status < 300) { /* RFC 9110, 9.3.6: any of them */
		finish(dial, 0, "");
		return;
	}
	copy_status_line(line, dial->header, dial->header_len);
	refused(dial, status < 0 ? -EPROTO : -ECONNREFUSED,
		status < 0 && line[0] == '\0' ? "no HTTP answer" : line);
}

/* Reads what is there, but nothing of what follows the header. False: enough for now. */
static bool read_some(struct mrpc_proxy_dial *dial)
{
	char *at = dial->header + dial->header_len;
	size_t end, take;
	ssize_t len;

	len = recv(dial->fd, at, HEADER_MAX - dial->header_len, MSG_PEEK);
	if (len < 0) {
		if (errno != EAGAIN && errno != EINTR)
			refused(dial, -errno, mrpc_error_text(errno));
		return false;
	}
	if (len == 0) {
		refused(dial, -ECONNRESET, "it closed the connection without an answer");
		return false;
	}
	end = header_end(dial->header, dial->header_len + (size_t)len);
	take = end > 0 ? end - dial->header_len : (size_t)len;
	len = recv(dial->fd, at, take, 0); /* these very bytes */
	if (len != (ssize_t)take) {
		refused(dial, -EIO, "the answer cannot be read");
		return false;
	}
	dial->header_len += take;
	if (end > 0) {
		judge(dial);
		return !dial->finished && dial->fd >= 0 && dial->header_len == 0;
	}
	if (dial->header_len == HEADER_MAX) {
		refused(dial, -EPROTO, "the header of its answer is longer than 8 KiB");
		return false;
	}
	return true;
}

static void on_ready(struct minirpc_watch *watch, unsigned events)
{
	struct mrpc_proxy_dial *dial = mrpc_container(watch, struct mrpc_proxy_dial, watch);

	if ((events & MRPC_WATCH_LOST) != 0) {
		finish(dial, -EIO, "cannot watch the socket");
		return;
	}
	while (dial->request_sent < dial->request_len) {
		ssize_t len = send(dial->fd, dial->request + dial->request_sent,
				   dial->request_len - dial->request_sent, MSG_NOSIGNAL);

		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0) {
			refused(dial, -errno, mrpc_error_text(errno));
			return;
		}
		dial->request_sent += (size_t)len;
		if (dial->request_sent == dial->request_len &&
		    mrpc_loop_change(&dial->watch, MINIRPC_READ) < 0) {
			finish(dial, -EIO, "cannot watch the socket");
			return;
		}
	}
	if ((events & MINIRPC_READ) != 0)
		while (read_some(dial))
			;
}

/* ---- To the proxy ---- */

static void on_dialed(void *user, int fd, const struct mrpc_address *address, int error,
		      const char *reason)
{
	struct mrpc_proxy_dial *dial = user;
	int r;

	mrpc_dial_free(dial->dial);
	dial->dial = NULL;
	if (fd < 0) {
		finish(dial, error, reason);
		return;
	}
	dial->fd = fd;
	dial->peer = *address;
	r = mrpc_loop_watch(dial->loop, &dial->watch, fd, MINIRPC_READ | MINIRPC_WRITE, on_ready);
	if (r < 0)
		finish(dial, r, mrpc_error_text(r));
}

static void begin(struct mrpc_proxy_dial *dial)
{
	int r = make_request(dial);

	if (r == 0)
		r = mrpc_dial(&dial->dial, dial->loop, dial->found, dial->found_count,
			      dial->deadline, on_dialed, dial);
	if (r < 0)
		finish(dial, r, mrpc_error_text(r));
}

static void on_resolved(void *user, const struct mrpc_address *addresses, size_t count, int error,
			const char *reason)
{
	struct mrpc_proxy_dial *dial = user;
	minirpc_time ttl = mrpc_resolution_ttl(dial->resolution);

	mrpc_resolution_free(dial->resolution); /* what it told lives on */
	dial->resolution = NULL;
	if (error < 0) {
		finish(dial, error, reason);
		return;
	}
	keep_addresses(dial->proxy, addresses, count, ttl, dial->loop->now);
	if (copy_addresses(dial, addresses, count) < 0)
		finish(dial, -ENOMEM, mrpc_error_text(ENOMEM));
	else
		begin(dial);
}

static void on_deadline(struct mrpc_timer *timer, minirpc_time now)
{
	struct mrpc_proxy_dial *dial = mrpc_container(timer, struct mrpc_proxy_dial, timer);

	(void)now;
	finish(dial, -ETIMEDOUT,
	       dial->fd >= 0 ? "no answer to CONNECT in time" : mrpc_error_text(ETIMEDOUT));
}

static void tell(struct mrpc_task *task)
{
	struct mrpc_proxy_dial *dial = mrpc_container(task, struct mrpc_proxy_dial, tell);
	struct mrpc_address peer = dial->peer;
	char reason[REASON_SIZE];
	int fd = dial->fd;

	/* on_done may free the dial: what it is given must not live in it. */
	memcpy(reason, dial->reason, sizeof reason);
	dial->fd = -1; /* the caller's from here on */
	dial->on_done(dial->user, fd, fd >= 0 ? &peer : NULL, dial->error, reason);
}

/* Asks for the proxy's name, or goes on with what is known of it. */
static int find(struct mrpc_proxy_dial *dial)
{
	struct mrpc_proxy *proxy = dial->proxy;
	int r;

	if (proxy->address_count == 0 || dial->loop->now >= proxy->good_until)
		return mrpc_resolve_by(&dial->resolution, dial->loop, proxy->dns_servers,
				       proxy->host, proxy->port, on_resolved, dial);
	r = copy_addresses(dial, proxy->addresses, proxy->address_count);
	if (r == 0)
		begin(dial); /* a failure is told in a turn */
	return r;
}

int mrpc_proxy_dial(struct mrpc_proxy_dial **ret_dial, minirpc_loop *loop, struct mrpc_proxy *proxy,
		    const char *host, uint16_t port, const struct mrpc_address *addresses,
		    size_t count, minirpc_time deadline,
		    void (*on_done)(void *user, int fd, const struct mrpc_address *address,
				    int error, const char *reason),
		    void *user)
{
	struct mrpc_proxy_dial *dial;
	size_t size;
	int r;

	if (host != NULL)
		count = 0;
	if (!mrpc_mul(count, sizeof *addresses, &size) || !mrpc_add(size, sizeof *dial, &size))
		return -ENOMEM;
	dial = mrpc_zalloc(size);
	if (dial == NULL)
		return -ENOMEM;
	dial->loop = loop;
	dial->proxy = proxy;
	dial->fd = dial->watch.fd = -1;
	dial->tell = (struct mrpc_task){ .phase = MRPC_STREAM, .run = tell };
	dial->deadline = deadline;
	dial->on_done = on_done;
	dial->user = user;
	dial->count = count;
	for (size_t i = 0; i < count; i++)
		dial->addresses[i] = addresses[i];
	if (host != NULL)
		snprintf(dial->server, SERVER_SIZE, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u",
			 host, (unsigned)port);
	r = mrpc_timer_bind(&dial->timer, &loop->timers, on_deadline);
	if (r < 0)
		goto err_dial;
	mrpc_timer_set(&dial->timer, deadline);
	r = find(dial);
	if (r < 0)
		goto err_timer;
	*ret_dial = dial;
	return 0;

err_timer:
	mrpc_timer_unbind(&dial->timer);
err_dial:
	mrpc_free(dial);
	return r;
}

size_t mrpc_proxy_dial_at(const struct mrpc_proxy_dial *dial)
{
	return dial->at;
}

void mrpc_proxy_dial_free(struct mrpc_proxy_dial *dial)
{
	if (dial == NULL)
		return;
	mrpc_task_sleep(&dial->tell);
	stop(dial);
	close_socket(dial);
	mrpc_timer_unbind(&dial->timer);
	mrpc_free(dial->found);
	forget_request(dial);
	mrpc_free(dial);
}

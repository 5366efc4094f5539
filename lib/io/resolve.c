/* SPDX-License-Identifier: MIT */
/* Resolve: from a host name to addresses.
 *
 *	IP literal      nothing to ask
 *	*.localhost     /etc/hosts, else loopback; never the network (RFC 6761, 6.3)
 *	other names     look_up.h: /etc/hosts, then DNS
 *
 * Whatever the source, the answer is told by a task, so on_done never runs inside mrpc_resolve. */
#include "io/resolve.h"

#include "base/alloc.h"
#include "base/text.h"
#include "io/look_up.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct mrpc_resolution {
	minirpc_loop *loop;
	struct mrpc_task tell;
	struct mrpc_look_up *look_up; /* while asking, and until the answer is told */
	bool local;             /* a name that means this machine */
	uint16_t port;
	minirpc_time ttl;
	struct mrpc_address *addresses;
	size_t count;
	int error;
	char reason[400]; /* a name of 255 bytes and a sentence */
	void (*on_done)(void *user, const struct mrpc_address *addresses, size_t count, int error,
			const char *reason);
	void (*on_text)(void *user, const char *text, int error); /* or this one, with text */
	char *text;
	void *user;
	char host[]; /* as asked */
};

static void tell_text(struct mrpc_resolution *resolution)
{
	char *text = resolution->text;

	resolution->text = NULL;
	resolution->on_text(resolution->user, text, resolution->error);
	mrpc_free(text);
}

static void tell(struct mrpc_task *task)
{
	struct mrpc_resolution *resolution = mrpc_container(task, struct mrpc_resolution, tell);
	struct mrpc_address *addresses = resolution->addresses;
	char reason[sizeof resolution->reason];

	mrpc_look_up_free(resolution->look_up);
	resolution->look_up = NULL;
	if (resolution->on_text != NULL) {
		tell_text(resolution);
		return;
	}
	/* on_done may free the resolution; what it was given stays until it returns. */
	resolution->addresses = NULL;
	memcpy(reason, resolution->reason, sizeof reason);
	resolution->on_done(resolution->user, addresses, resolution->count, resolution->error,
			    reason);
	mrpc_free(addresses);
}

static void fail(struct mrpc_resolution *resolution, int error, const char *reason)
{
	resolution->error = error;
	snprintf(resolution->reason, sizeof resolution->reason, "%s: %s", resolution->host, reason);
	mrpc_turn_wake(&resolution->loop->turn, &resolution->tell);
}

/* The next address at or after *at that is (or is not) of the family; NULL at the end. */
static const struct mrpc_address *next_of(const struct mrpc_address *addresses, size_t count,
					  size_t *at, int family, bool same)
{
	while (*at < count) {
		const struct mrpc_address *address = &addresses[(*at)++];

		if ((address->any.sa_family == family) == same)
			return address;
	}
	return NULL;
}

static void add(struct mrpc_resolution *resolution, const struct mrpc_address *address)
{
	struct mrpc_address copy;

	if (address == NULL)
		return;
	copy = *address;
	mrpc_address_set_port(&copy, resolution->port);
	for (size_t i = 0; i < resolution->count; i++) /* /etc/hosts likes to repeat itself */
		if (mrpc_address_equals(&resolution->addresses[i], &copy))
			return;
	resolution->addresses[resolution->count++] = copy;
}

/* Takes the addresses over, the two families by turns (RFC 8305, 4): if one does not work, the
 * next attempt is not more of the same. */
static void succeed(struct mrpc_resolution *resolution, const struct mrpc_address *addresses,
		    size_t count)
{
	int first = addresses[0].any.sa_family;
	const struct mrpc_address *a, *b;
	size_t at_a = 0, at_b = 0, size;

	if (mrpc_mul(count, sizeof *addresses, &size))
		resolution->addresses = mrpc_alloc(size);
	if (resolution->addresses == NULL) {
		fail(resolution, -ENOMEM, mrpc_error_text(ENOMEM));
		return;
	}
	do {
		a = next_of(addresses, count, &at_a, first, true);
		b = next_of(addresses, count, &at_b, first, false);
		add(resolution, a);
		add(resolution, b);
	} while (a != NULL || b != NULL);
	mrpc_turn_wake(&resolution->loop->turn, &resolution->tell);
}

static void succeed_with_loopback(struct mrpc_resolution *resolution)
{
	struct mrpc_address loopback[2];

	(void)mrpc_address_from_ip(&loopback[0], AF_INET6, "::1", 3, resolution->port);
	(void)mrpc_address_from_ip(&loopback[1], AF_INET, "127.0.0.1", 9, resolution->port);
	succeed(resolution, loopback, 2);
}

static void on_found(void *user, const struct mrpc_address *addresses, size_t count,
		     minirpc_time ttl, int error, const char *reason)
{
	struct mrpc_resolution *resolution = user;

	resolution->ttl = ttl;
	if (error == 0)
		succeed(resolution, addresses, count);
	else if (resolution->local && error != -ENOMEM)
		succeed_with_loopback(resolution);
	else
		fail(resolution, error, reason);
}

/* RFC 6761, 6.3: "localhost" and all names below it, with or without the root's dot. */
static bool is_local(const char *host, size_t len)
{
	static const char localhost[] = "localhost";
	size_t own = sizeof localhost - 1;

	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len < own || strncasecmp(host + len - own, localhost, own) != 0)
		return false;
	return len == own || host[len - own - 1] == '.';
}

static int ask(struct mrpc_resolution *resolution, const char *servers)
{
	struct mrpc_look_up_options options = { .servers = servers, .only_files = resolution->local };
	int r;

	r = mrpc_look_up_new(&resolution->look_up, resolution->loop, resolution->host, &options, on_found,
			  resolution);
	if ((r == -EIO || r == -ENOTSUP) && resolution->local) {
		succeed_with_loopback(resolution);
		return 0;
	}
	return r;
}

static int new_resolution(struct mrpc_resolution **ret_resolution, minirpc_loop *loop,
			  const char *host, void *user)
{
	struct mrpc_resolution *resolution;
	size_t len = strlen(host), size;

	if (!mrpc_add(sizeof *resolution, len, &size) || !mrpc_add(size, 1, &size))
		return -ENOMEM;
	resolution = mrpc_zalloc(size);
	if (resolution == NULL)
		return -ENOMEM;
	resolution->loop = loop;
	resolution->tell = (struct mrpc_task){ .phase = MRPC_STREAM, .run = tell };
	resolution->ttl = MINIRPC_NEVER;
	resolution->user = user;
	memcpy(resolution->host, host, len + 1);
	*ret_resolution = resolution;
	return 0;
}

int mrpc_resolve_by(struct mrpc_resolution **ret_resolution, minirpc_loop *loop,
		    const char *servers, const char *host, uint16_t port,
		    void (*on_done)(void *user, const struct mrpc_address *addresses, size_t count,
				    int error, const char *reason),
		    void *user)
{
	struct mrpc_resolution *resolution;
	struct mrpc_address literal;
	size_t len = strlen(host);
	int r;

	r = new_resolution(&resolution, loop, host, user);
	if (r < 0)
		return r;
	resolution->port = port;
	resolution->on_done = on_done;
	resolution->local = is_local(host, len);

	if (mrpc_address_from_ip(&literal, AF_UNSPEC, host, len, port) == 0)
		succeed(resolution, &literal, 1);
	else
		r = ask(resolution, servers);
	if (r < 0) {
		mrpc_free(resolution);
		return r;
	}
	*ret_resolution = resolution;
	return 0;
}

int mrpc_resolve(struct mrpc_resolution **ret_resolution, minirpc_loop *loop, const char *host,
		 uint16_t port,
		 void (*on_done)(void *user, const struct mrpc_address *addresses, size_t count,
				 int error, const char *reason),
		 void *user)
{
	return mrpc_resolve_by(ret_resolution, loop, NULL, host, port, on_done, user);
}

static void on_text_found(void *user, const char *text, size_t len, int error)
{
	struct mrpc_resolution *resolution = user;

	if (text != NULL) {
		resolution->text = mrpc_strndup(text, len);
		if (resolution->text == NULL)
			error = -ENOMEM;
	}
	resolution->error = error;
	mrpc_turn_wake(&resolution->loop->turn, &resolution->tell);
}

int mrpc_resolve_txt(struct mrpc_resolution **ret_resolution, minirpc_loop *loop,
		     const char *servers, const char *name, const char *prefix,
		     void (*on_text)(void *user, const char *text, int error), void *user)
{
	const struct mrpc_look_up_options options = { .servers = servers };
	struct mrpc_resolution *resolution;
	int r;

	r = new_resolution(&resolution, loop, name, user);
	if (r < 0)
		return r;
	resolution->on_text = on_text;
	r = mrpc_look_up_txt_new(&resolution->look_up, loop, resolution->host, prefix, &options,
			      on_text_found, resolution);
	if (r < 0) {
		mrpc_free(resolution);
		return r;
	}
	*ret_resolution = resolution;
	return 0;
}

bool mrpc_resolution_is_asking(const struct mrpc_resolution *resolution)
{
	return resolution->look_up != NULL && !mrpc_list_is_linked(&resolution->tell.node);
}

minirpc_time mrpc_resolution_ttl(const struct mrpc_resolution *resolution)
{
	return resolution->ttl;
}

void mrpc_resolution_free(struct mrpc_resolution *resolution)
{
	if (resolution == NULL)
		return;
	mrpc_task_sleep(&resolution->tell);
	mrpc_look_up_free(resolution->look_up);
	mrpc_free(resolution->addresses);
	mrpc_free(resolution->text);
	mrpc_free(resolution);
}

/* SPDX-License-Identifier: MIT */
#include "transport/ground.h"

#include "io/hand_loop.h"
#include "world/alloc_fail.h"
#include "world/pki.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct transport pipe_ = { "a pipe", NULL, "attached:world", "world:client", NULL, 0 };
static const struct transport pair = { "a socketpair", NULL, "attached:world",
				       "pair:client",  NULL, 0 };
static const struct transport tcp4 = { "TCP over IPv4",   "127.0.0.1:0",        "ipv4:127.0.0.1:%",
				       "ipv4:127.0.0.1:", "Connection refused", GROUND_LISTENS };
static const struct transport tcp6 = { "TCP over IPv6",      "[::1]:0",
				       "ipv6:[::1]:%",       "ipv6:[::1]:",
				       "Connection refused", GROUND_LISTENS };
static const struct transport unix_ = {
	"a unix socket", "unix:%/socket", "unix:%/socket", "unix:", "No such file or directory",
	GROUND_LISTENS
};
static const struct transport abstract = { "an abstract unix socket", "unix-abstract:%",
					   "unix-abstract:%",         "unix:",
					   "Connection refused",      GROUND_LISTENS };
static const struct transport tls = { "TLS over TCP",       "127.0.0.1:0",
				      "ipv4:127.0.0.1:%",   "ipv4:127.0.0.1:",
				      "Connection refused", GROUND_LISTENS | GROUND_TLS };
static const struct transport mtls = {
	"mutual TLS over TCP", "localhost:0",
	"localhost:%",         "ipv",
	"Connection refused",  GROUND_LISTENS | GROUND_TLS | GROUND_MUTUAL
};
static const struct transport tls_unix = { "TLS over a unix socket",
					   "unix:%/socket",
					   "unix:%/socket",
					   "unix:",
					   "No such file or directory",
					   GROUND_LISTENS | GROUND_TLS };

const struct ground_kind ground_kinds[] = {
	{ &pipe_, LOOP_MANUAL }, { &pair, LOOP_MANUAL }, { &pair, LOOP_EV },
	{ &tcp4, LOOP_OWN },     { &tcp4, LOOP_EV },     { &tcp4, LOOP_POLL },
	{ &tcp6, LOOP_OWN },     { &tcp6, LOOP_EV },     { &tcp6, LOOP_POLL },
	{ &unix_, LOOP_OWN },    { &unix_, LOOP_EV },    { &unix_, LOOP_POLL },
	{ &abstract, LOOP_OWN }, { &abstract, LOOP_EV }, { &abstract, LOOP_POLL },
	{ &tls, LOOP_OWN },      { &tls, LOOP_EV },      { &tls, LOOP_POLL },
	{ &mtls, LOOP_OWN },     { &mtls, LOOP_EV },     { &mtls, LOOP_POLL },
	{ &tls_unix, LOOP_OWN }, { &tls_unix, LOOP_EV }, { &tls_unix, LOOP_POLL },
};
const int ground_count = sizeof ground_kinds / sizeof *ground_kinds;

const char *ground_name(int index, char text[64])
{
	static const char *const loops[] = { "our loop", "the host's libev", "poll(2)",
					     "a clock by hand" };

	snprintf(text, 64, "%s, %s", ground_kinds[index].transport->name,
		 loops[ground_kinds[index].loop]);
	return text;
}

unsigned ground_has(int index)
{
	return ground_kinds[index].transport->has |
	       (ground_kinds[index].loop == LOOP_OWN ? GROUND_OWN_LOOP : 0);
}

/* The pattern with `what` in place of its '%'. */
static void expand(char text[128], const char *pattern, const char *what)
{
	const char *at = strchr(pattern, '%');

	if (at == NULL)
		snprintf(text, 128, "%s", pattern);
	else
		snprintf(text, 128, "%.*s%s%s", (int)(at - pattern), pattern, what, at + 1);
}

/* ---- What is needed ---- */

/* Before the loop sleeps; it was started before the library's own, so that it runs after it. */
static void on_prepare(struct ev_loop *ev, ev_prepare *prepare, int events)
{
	const struct ground *g = prepare->data;

	(void)events;
	if (g->is_turning && g->w->stirred)
		ev_break(ev, EVBREAK_ONE);
}

static minirpc_tls *new_tls(const struct minirpc_tls_options *options)
{
	minirpc_tls *made;
	char error[200] = "";

	ck_assert_msg(minirpc_tls_new_explained(&made, options, error, sizeof error) == 0, "%s",
		      error);
	return made;
}

static void make_tls(struct ground *g)
{
	bool is_mutual = (g->transport->has & GROUND_MUTUAL) != 0;

	g->ca = pki_ca("the test's CA");
	g->server_id = pki_leaf(g->ca, &(struct pki_leaf){ .cn = "server" });
	g->client_id = pki_leaf(g->ca, &(struct pki_leaf){ .cn = "client", .eku = "clientAuth" });
	g->server_tls = new_tls(
		&(struct minirpc_tls_options){ .cert_pem = g->server_id->cert_pem,
					       .key_pem = g->server_id->key_pem,
					       .ca_pem = is_mutual ? g->ca->cert_pem : NULL });
	g->client_tls = new_tls(&(struct minirpc_tls_options){
		.ca_pem = g->ca->cert_pem,
		.cert_pem = is_mutual ? g->client_id->cert_pem : NULL,
		.key_pem = is_mutual ? g->client_id->key_pem : NULL,
		.server_name = strncmp(g->transport->target, "unix", 4) == 0 ? "localhost" : NULL,
	});
	g->server_options.tls = g->server_tls;
	g->channel_options.tls = g->client_tls;
}

static void make_loop(struct ground *g)
{
	struct minirpc_loop_options options = { 0 };

	switch (g->kind) {
	case LOOP_EV:
		options.ev = g->ev = ev_loop_new(0);
		ev_prepare_init(&g->prepare, on_prepare);
		ev_set_priority(&g->prepare, EV_MINPRI);
		g->prepare.data = g;
		ev_prepare_start(g->ev, &g->prepare);
		break;
	case LOOP_POLL:
		poll_loop_init(&g->poll);
		options.hooks = &poll_loop_hooks;
		options.hooks_user = &g->poll;
		break;
	case LOOP_MANUAL:
		options.manual = true;
		break;
	case LOOP_OWN:
		break;
	}
	ck_assert_int_eq(minirpc_loop_new(&g->w->loop, &options), 0);
}

static bool is_pipe(const struct ground *g)
{
	return g->transport == &pipe_;
}

/* ---- Server and channel ---- */

void ground_start_server(struct ground *g)
{
	struct minirpc_listen_options options = { 0 };
	uint16_t port = 0;
	char text[200] = "", number[8];

	ck_assert_int_eq(minirpc_server_new(&g->w->server, g->w->loop, &g->server_options), 0);
	ck_assert_int_eq(world_serve(g->w), 0);
	if (g->transport->address == NULL)
		return;
	options.ret_port = &port;
	options.error = text;
	options.error_size = sizeof text;
	ck_assert_msg(minirpc_server_listen(g->w->server, g->address, &options) == 0, "%s: %s",
		      g->address, text);
	if (g->address[0] == 'u') {
		expand(g->target, g->transport->target, g->folder);
		return;
	}
	snprintf(number, sizeof number, "%u", port);
	expand(g->target, g->transport->target, number);
	/* The next one listens on the same port. */
	snprintf(strrchr(g->address, ':') + 1, sizeof number, "%s", number);
}

void ground_kill_server(struct ground *g)
{
	if (is_pipe(g))
		g->w->server_end = NULL; /* goes with its server */
	g->w->server = minirpc_server_free(g->w->server);
	if (is_pipe(g))
		world_cut(g->w);
}

void ground_new_channel(struct ground *g)
{
	if (is_pipe(g))
		g->w->client_end = NULL;
	minirpc_channel_free(g->w->channel);
	ck_assert_int_eq(
		minirpc_channel_new(&g->w->channel, g->w->loop, g->target, &g->channel_options), 0);
}

void ground_connect(struct ground *g)
{
	if (is_pipe(g))
		ck_assert_int_eq(world_connect(g->w), 0);
	else if (g->transport->address == NULL)
		socketpair_connect(g);
}

struct ground *ground_new(int index, const struct world_options *options)
{
	struct ground *g = calloc(1, sizeof *g);

	g->transport = ground_kinds[index].transport;
	g->kind = ground_kinds[index].loop;
	g->w = calloc(1, sizeof *g->w);
	g->w->up.cut_after = g->w->down.cut_after = SIZE_MAX;
	if (options != NULL) {
		g->server_options = options->server;
		g->channel_options = options->channel;
	}
	if (g->channel_options.backoff_initial == 0) {
		g->channel_options.backoff_initial = MINIRPC_MS(5);
		g->channel_options.backoff_max = MINIRPC_MS(20);
	}
	snprintf(g->folder, sizeof g->folder, "/tmp/minirpc-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(g->folder));
	snprintf(g->target, sizeof g->target, "%s", g->transport->target);
	if (g->transport->address != NULL)
		expand(g->address, g->transport->address, g->folder);

	if (g->transport->has & GROUND_TLS)
		make_tls(g);
	make_loop(g);
	ground_start_server(g);
	ground_new_channel(g);
	ground_connect(g);
	return g;
}

void ground_free(struct ground *g)
{
	socketpair_close(g);
	if (is_pipe(g))
		world_cut(g->w);
	minirpc_channel_free(g->w->channel);
	minirpc_server_free(g->w->server);
	if (g->w->loop != NULL && g->kind == LOOP_MANUAL)
		minirpc_loop_turn(g->w->loop);
	minirpc_loop_free(g->w->loop);
	if (g->ev != NULL)
		ev_loop_destroy(g->ev);
	minirpc_tls_unref(g->server_tls);
	minirpc_tls_unref(g->client_tls);
	pki_free(g->ca);
	pki_free(g->server_id);
	pki_free(g->client_id);
	ck_assert_msg(rmdir(g->folder) == 0, "a socket is left in %s", g->folder);
	free(g->w);
	free(g);
	ck_assert_uint_eq(alloc_live(), 0);
}

/* ---- Time ---- */

static void on_lost(minirpc_channel *channel, void *user)
{
	struct ground *g = user;

	(void)channel;
	g->w->stirred = true;
}

void ground_until_lost(struct ground *g)
{
	minirpc_channel_watch(g->w->channel, MINIRPC_READY, on_lost, g);
	ground_until(g, minirpc_channel_state(g->w->channel) != MINIRPC_READY);
}

static void turn_by_hand(struct ground *g)
{
	if (is_pipe(g)) {
		world_advance(g->w, MINIRPC_MS(1));
		return;
	}
	minirpc_loop_advance(g->w->loop, g->w->now);
	if (!socketpair_move(g) && minirpc_loop_next(g->w->loop) > g->w->now)
		g->w->now += MINIRPC_MS(1);
}

void ground_turn(struct ground *g)
{
	switch (g->kind) {
	case LOOP_OWN:
		g->w->stirred = false;
		ck_assert_int_eq(minirpc_loop_run_until(g->w->loop, &g->w->stirred), 0);
		break;
	case LOOP_EV:
		g->w->stirred = false;
		g->is_turning = true;
		ev_run(g->ev, 0);
		g->is_turning = false;
		break;
	case LOOP_POLL:
		poll_loop_once(&g->poll, g->w->loop);
		break;
	case LOOP_MANUAL:
		turn_by_hand(g);
		break;
	}
}

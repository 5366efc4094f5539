/* SPDX-License-Identifier: MIT */
/* Deeds: whatever a user may do, done in each event in turn.
 *
 * Calls in both directions of a small scene: three clients talk to a handler that opens a child call
 * of its own. The n-th event of the scene does the deed: cancels, ends, frees either end, closes the
 * transport, moves bytes from inside the callback. The rules hold: no event after a handle is gone,
 * one end for each call, and everything can be freed at once. Sanitizers and valgrind see the rest. */
#include "run_suite.h"

#include <minirpc/conn.h>

#include <check.h>
#include <errno.h>
#include <string.h>

#define TALKS 64
#define EVENTS 45 /* the scene has fewer */

enum deed {
	NOTHING,
	CANCEL,
	END,
	ABORT,
	PAUSE,
	CANCEL_CLIENTS,
	END_SERVERS,
	FREE_CHANNEL,
	FREE_SERVER,
	FREE_BOTH,
	CLOSE_CLIENT,
	CLOSE_SERVER,
	PUMP,
	CANCEL_PUMP_FREE,
	END_PUMP_FREE,
	CLIENTS_PUMP_FREE,
	CLOSE_AND_CONNECT,
	OPEN_MORE,
	STOP,
	DRAIN,
	DEEDS
};

struct talk {
	minirpc_call *call; /* NULL: the handle is gone */
	bool is_server;
	int ends;
};

static struct scene {
	minirpc_loop *loop;
	minirpc_server *server;
	minirpc_channel *channel;
	minirpc_conn *client_end, *server_end;
	minirpc_time now;
	struct talk talks[TALKS];
	int count, event, at;
	enum deed deed;
} scene;

static const struct minirpc_method chat = {
	.path = "/t.T/chat",
	.flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING,
};
static const struct minirpc_method leaf = { .path = "/t.T/leaf" };

/* ---- The transport ---- */

static bool move(minirpc_conn **from, minirpc_conn **to)
{
	const void *data;
	size_t len;
	char copy[512];

	if (*from == NULL || *to == NULL)
		return false;
	len = minirpc_conn_pending(*from, &data);
	if (len == 0)
		return false;
	if (len > sizeof copy)
		len = sizeof copy;
	memcpy(copy, data, len);
	minirpc_conn_sent(*from, len);
	(void)minirpc_conn_receive(*to, copy, len);
	return true;
}

static void pump(void)
{
	for (int i = 0; i < 50; i++)
		if (!move(&scene.client_end, &scene.server_end) &&
		    !move(&scene.server_end, &scene.client_end))
			break;
}

static void close_end(minirpc_conn **end)
{
	minirpc_conn *conn = *end;

	*end = NULL;
	minirpc_conn_close(conn);
}

static void on_finished(minirpc_conn *conn, void *user)
{
	minirpc_conn **end = user;

	ck_assert_ptr_eq(*end, conn);
	pump();
	if (*end != NULL)
		close_end(end);
}

static void connect_ends(void)
{
	if (scene.server == NULL || scene.channel == NULL)
		return;
	if (scene.client_end == NULL)
		(void)minirpc_channel_attach(
			scene.channel,
			&(struct minirpc_attach_options){ .on_finished = on_finished,
							  .user = &scene.client_end },
			&scene.client_end);
	if (scene.server_end == NULL)
		(void)minirpc_server_attach(
			scene.server,
			&(struct minirpc_attach_options){ .on_finished = on_finished,
							  .user = &scene.server_end },
			&scene.server_end);
}

/* ---- Deeds ---- */

static void forget(bool servers)
{
	for (int i = 0; i < scene.count; i++)
		if (scene.talks[i].is_server == servers)
			scene.talks[i].call = NULL;
}

static void free_channel(void)
{
	minirpc_channel *channel = scene.channel;

	forget(false);
	scene.channel = NULL;
	minirpc_channel_free(channel);
}

static void free_server(void)
{
	minirpc_server *server = scene.server;

	forget(true);
	scene.server = NULL;
	minirpc_server_free(server);
}

static void on_drained(minirpc_server *server, void *user)
{
	(void)user;
	ck_assert_ptr_eq(server, scene.server);
	free_server();
}

static void end_talk(struct talk *talk)
{
	minirpc_call *call = talk->call;

	if (call == NULL)
		return;
	if (talk->is_server)
		talk->call = NULL;
	(void)minirpc_call_end(call, NULL);
}

static void cancel_talk(struct talk *talk)
{
	minirpc_call *call = talk->call;

	if (talk->ends > 0 && !talk->is_server)
		return; /* its handle goes with on_end */
	talk->call = NULL;
	minirpc_call_cancel(call);
}

static void cancel_clients(void)
{
	for (int i = 0; i < scene.count; i++)
		if (!scene.talks[i].is_server)
			cancel_talk(&scene.talks[i]);
}

static void end_servers(void)
{
	for (int i = 0; i < scene.count; i++)
		if (scene.talks[i].is_server)
			end_talk(&scene.talks[i]);
}

static void open_talk(const struct minirpc_method *method, minirpc_call *parent);

static void act(struct talk *talk)
{
	if (scene.event++ != scene.at)
		return;
	switch (scene.deed) {
	case CANCEL:
		cancel_talk(talk);
		break;
	case END:
		end_talk(talk);
		break;
	case ABORT:
		if (talk->call != NULL)
			(void)minirpc_call_abort(
				talk->call, &(struct minirpc_status){ .code = MINIRPC_ABORTED });
		break;
	case PAUSE:
		if (talk->call != NULL)
			minirpc_call_pause(talk->call);
		break;
	case CANCEL_CLIENTS:
		cancel_clients();
		break;
	case END_SERVERS:
		end_servers();
		break;
	case FREE_CHANNEL:
		free_channel();
		break;
	case FREE_SERVER:
		free_server();
		break;
	case FREE_BOTH:
		free_channel();
		free_server();
		break;
	case CLOSE_CLIENT:
		close_end(&scene.client_end);
		break;
	case CLOSE_SERVER:
		close_end(&scene.server_end);
		break;
	case PUMP:
		pump();
		break;
	case CANCEL_PUMP_FREE:
		cancel_talk(talk);
		pump();
		free_server();
		free_channel();
		break;
	case END_PUMP_FREE:
		end_talk(talk);
		pump();
		free_server();
		pump();
		free_channel();
		break;
	case CLIENTS_PUMP_FREE:
		end_talk(talk);
		cancel_clients();
		pump();
		close_end(&scene.client_end);
		pump();
		free_server();
		break;
	case CLOSE_AND_CONNECT:
		close_end(&scene.client_end);
		close_end(&scene.server_end);
		connect_ends();
		pump();
		break;
	case OPEN_MORE:
		open_talk(&leaf, NULL);
		cancel_talk(talk);
		open_talk(&chat, NULL);
		break;
	case STOP:
		if (scene.server != NULL)
			minirpc_server_stop(scene.server);
		break;
	case DRAIN:
		if (scene.server != NULL)
			(void)minirpc_server_drain(scene.server, MINIRPC_S(1), on_drained, NULL);
		break;
	default:
		break;
	}
}

/* ---- Events ---- */

static struct talk *talk_of(minirpc_call *call, void *user)
{
	struct talk *talk = user;

	ck_assert_ptr_eq(talk->call, call); /* no event after the handle is gone */
	ck_assert_int_eq(talk->ends, 0);
	return talk;
}

static void on_client_headers(minirpc_call *call, const struct minirpc_metadata *m, void *user)
{
	(void)m;
	act(talk_of(call, user));
}

static void on_client_message(minirpc_call *call, const struct minirpc_message *m, void *user)
{
	ck_assert_uint_gt(m->len, 0);
	act(talk_of(call, user));
}

static void on_room(minirpc_call *call, void *user)
{
	act(talk_of(call, user));
}

static void on_client_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct talk *talk = talk_of(call, user);

	(void)status;
	talk->ends++;
	act(talk);
	talk->call = NULL;
}

static const struct minirpc_call_events client_events = {
	.on_headers = on_client_headers,
	.on_message = on_client_message,
	.on_writable = on_room,
	.on_end = on_client_end,
};

static void open_talk(const struct minirpc_method *method, minirpc_call *parent)
{
	static const char text[70000] = "hello"; /* more than the queue takes twice */
	struct talk *talk = &scene.talks[scene.count];

	if (scene.channel == NULL)
		return;
	ck_assert_int_lt(scene.count++, TALKS);
	*talk = (struct talk){ 0 };
	ck_assert_int_eq(minirpc_call_open(&talk->call, scene.channel, method,
					   &(struct minirpc_call_options){ .timeout = MINIRPC_S(9),
									   .parent = parent },
					   &client_events, talk),
			 0);
	ck_assert_int_eq(minirpc_call_send(talk->call, text, 100), 0);
	if (method == &chat) {
		ck_assert_int_eq(minirpc_call_send(talk->call, text, sizeof text), 0);
		ck_assert_int_eq(minirpc_call_send(talk->call, text, 1), -EAGAIN);
	}
	ck_assert_int_eq(minirpc_call_end(talk->call, NULL), 0);
}

static void on_server_message(minirpc_call *call, const struct minirpc_message *m, void *user)
{
	struct talk *talk = talk_of(call, user);

	act(talk);
	if (talk->call != NULL)
		(void)minirpc_call_send(call, m->data, m->len); /* it may have ended, or be full */
}

static void on_half_close(minirpc_call *call, void *user)
{
	struct talk *talk = talk_of(call, user);

	act(talk);
	end_talk(talk);
}

static void on_server_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct talk *talk = talk_of(call, user);

	(void)status;
	talk->ends++;
	act(talk);
	end_talk(talk);
}

static const struct minirpc_call_events server_events = {
	.on_message = on_server_message,
	.on_half_close = on_half_close,
	.on_writable = on_room,
	.on_end = on_server_end,
};

static void on_call(minirpc_call *call, const struct minirpc_metadata *m, void *user)
{
	struct talk *talk = &scene.talks[scene.count];

	(void)m;
	(void)user;
	ck_assert_int_lt(scene.count++, TALKS);
	*talk = (struct talk){ .call = call, .is_server = true };
	minirpc_call_listen(call, &server_events, talk);
	if (strcmp(minirpc_call_path(call), chat.path) == 0)
		open_talk(&leaf, call);
	act(talk);
}

/* ---- The scene ---- */

static void settle(void)
{
	for (int i = 0; i < 60; i++) {
		minirpc_loop_advance(scene.loop, scene.now);
		pump();
		if (i % 20 == 19)
			connect_ends();
	}
}

static void play(int at, enum deed deed)
{
	static const struct minirpc_call_events accept = { .on_headers = on_call };

	memset(&scene, 0, sizeof scene);
	scene.at = at;
	scene.deed = deed;
	ck_assert_int_eq(
		minirpc_loop_new(&scene.loop, &(struct minirpc_loop_options){ .manual = true }), 0);
	ck_assert_int_eq(minirpc_server_new(&scene.server, scene.loop, NULL), 0);
	ck_assert_int_eq(minirpc_server_add(scene.server, &chat, &accept, NULL, NULL), 0);
	ck_assert_int_eq(minirpc_server_add(scene.server, &leaf, &accept, NULL, NULL), 0);
	ck_assert_int_eq(minirpc_channel_new(&scene.channel, scene.loop, "attached:x", NULL), 0);
	connect_ends();
	for (int i = 0; i < 3; i++)
		open_talk(&chat, NULL);
	settle();
	if (at % 2 == 0) { /* or else what is under way is freed as it is */
		scene.now += MINIRPC_S(10);
		settle();
		for (int i = 0; i < scene.count; i++)
			ck_assert(scene.talks[i].is_server || scene.talks[i].call == NULL);
	}
	if (scene.server != NULL)
		free_server();
	if (scene.channel != NULL)
		free_channel();
	minirpc_loop_free(scene.loop);
}

START_TEST(any_deed_may_be_done_in_any_event)
{
	for (int at = 0; at < EVENTS; at++)
		play(at, (enum deed)_i);
	if (_i == NOTHING)
		ck_assert_int_lt(scene.event, EVENTS);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("scenario/deeds");
	TCase *c = tcase_create("deeds");

	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, any_deed_may_be_done_in_any_event, 0, DEEDS);
	suite_add_tcase(s, c);
	return s;
}

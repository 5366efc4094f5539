/* SPDX-License-Identifier: MIT */
/* The call object against a transport that is played by hand. */
#include "call/call.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct mrpc_turn turn;
static struct mrpc_timers timers;
static minirpc_time now;
static const struct minirpc_method unary = { "/t/Unary", 0 };
static const struct minirpc_method bidi = { "/t/Bidi",
					    MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING };

/* What the user saw, and what it does about it. */
struct probe {
	int headers, messages, half_closes, rooms, ends;
	char last[64];
	struct minirpc_status status;
	char text[64];
	void (*on_message)(minirpc_call *call);
	void (*on_end)(minirpc_call *call);
};

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)call;
	(void)metadata;
	((struct probe *)user)->headers++;
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	struct probe *probe = user;

	probe->messages++;
	snprintf(probe->last, sizeof probe->last, "%.*s", (int)message->len,
		 (const char *)message->data);
	if (probe->on_message != NULL)
		probe->on_message(call);
}

static void on_half_close(minirpc_call *call, void *user)
{
	(void)call;
	((struct probe *)user)->half_closes++;
}

static void on_writable(minirpc_call *call, void *user)
{
	(void)call;
	((struct probe *)user)->rooms++;
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct probe *probe = user;

	probe->ends++;
	probe->status = *status;
	snprintf(probe->text, sizeof probe->text, "%s", status->message);
	if (probe->on_end != NULL)
		probe->on_end(call);
}

static const struct minirpc_call_events events = { on_headers, on_message, on_half_close,
						   on_writable, on_end };

/* The stream: reads the out lane when told, notes resets. */
static struct {
	struct mrpc_task task;
	int resets, runs, attempts_failed;
	bool retry;
} stream;

static void on_stream(struct mrpc_task *task)
{
	(void)task;
	stream.runs++;
}

static void on_detach(void *transport, struct minirpc_call *call)
{
	(void)transport;
	(void)call;
	stream.resets++;
}

static const struct mrpc_call_transport_ops transport_ops = { on_detach };

static bool on_attempt_failed(struct minirpc_call *call, const struct minirpc_status *status,
			      bool unprocessed)
{
	(void)call;
	(void)status;
	stream.attempts_failed++;
	return stream.retry && unprocessed;
}

static void on_over(struct minirpc_call *call)
{
	(void)call;
}

static const struct mrpc_call_owner_ops owner_ops = { on_attempt_failed, on_over, NULL };

static void settle(void)
{
	mrpc_turn_run(&turn, 10000);
}

static void advance(minirpc_time span)
{
	now += span;
	mrpc_timers_run(&timers, now);
	settle();
}

static minirpc_call *make(enum mrpc_role role, const struct minirpc_method *method,
			  struct probe *probe)
{
	const struct mrpc_call_config config = { .place = { &turn, &now, NULL },
						 .timers = &timers,
						 .send_queue = 100 };
	minirpc_call *call;

	ck_assert_int_eq(mrpc_call_new(&call, role, &config), 0);
	mrpc_call_route(call, method, &events, probe);
	if (role == MRPC_CLIENT)
		call->owner_ops = &owner_ops;
	mrpc_call_attach(call, &transport_ops, &stream, &stream.task);
	return call;
}

static void arrive(minirpc_call *call, const char *text)
{
	struct mrpc_part *part = mrpc_part_new(NULL, strlen(text));

	memcpy(mrpc_part_data(part), text, strlen(text));
	if (mrpc_call_received_message(call, part) < 0)
		mrpc_part_free(part);
}

static void status_arrives(minirpc_call *call, enum minirpc_code code, const char *text,
			   bool unprocessed)
{
	mrpc_call_received_end(call, &(struct minirpc_status){ .code = code, .message = text },
			       false, unprocessed);
	mrpc_call_detach(call);
}

static void begin(void)
{
	mrpc_turn_init(&turn);
	mrpc_timers_init(&timers);
	memset(&stream, 0, sizeof stream);
	stream.task = (struct mrpc_task){ .phase = MRPC_STREAM, .run = on_stream };
	now = 1000;
}

static void finish(void)
{
	mrpc_timers_clear(&timers);
	ck_assert_uint_eq(alloc_live(), 0);
}

START_TEST(a_unary_response_is_told_with_its_status)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &unary, &probe);

	ck_assert_int_eq(minirpc_call_send(call, "hi", 2), 0);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	ck_assert_int_eq(minirpc_call_end(call, NULL), -EPIPE);
	mrpc_call_received_headers(call);
	arrive(call, "answer");
	settle();
	ck_assert_int_eq(probe.headers, 1);
	ck_assert_int_eq(probe.messages, 0);
	status_arrives(call, MINIRPC_OK, "", false);
	ck_assert_int_eq(probe.ends, 0);
	settle();
	ck_assert_str_eq(probe.last, "answer");
	ck_assert_int_eq(probe.ends, 1);
	ck_assert_int_eq(probe.status.code, MINIRPC_OK);
}
END_TEST

START_TEST(several_or_no_responses_to_a_unary_call_are_unimplemented) /* [W-15] */
{
	struct probe two = { 0 }, none = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &unary, &two);

	mrpc_call_received_headers(call);
	arrive(call, "a");
	arrive(call, "b");
	settle();
	ck_assert_int_eq(two.messages, 0);
	ck_assert_int_eq(two.ends, 1);
	ck_assert_int_eq(two.status.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_int_eq(stream.resets, 1);

	call = make(MRPC_CLIENT, &unary, &none);
	mrpc_call_received_headers(call);
	status_arrives(call, MINIRPC_OK, "", false);
	settle();
	ck_assert_int_eq(none.ends, 1);
	ck_assert_int_eq(none.status.code, MINIRPC_UNIMPLEMENTED);
}
END_TEST

START_TEST(several_or_no_requests_of_a_unary_method_are_unimplemented) /* [W-15] */
{
	for (int count = 0; count < 3; count += 2) {
		struct probe probe = { 0 };
		minirpc_call *call = make(MRPC_SERVER, &unary, &probe);

		mrpc_call_received_headers(call);
		for (int i = 0; i < count; i++)
			arrive(call, "x");
		mrpc_call_received_half_close(call);
		settle();
		ck_assert_int_eq(probe.messages, 0);
		ck_assert_int_eq(probe.ends, 1);
		ck_assert_int_eq(call->out_status.code, MINIRPC_UNIMPLEMENTED);
		ck_assert_int_eq(mrpc_lane_peek(&call->out)->kind, MRPC_END);
		ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
		mrpc_call_detach(call);
	}
}
END_TEST

START_TEST(a_response_that_an_error_follows_is_not_shown)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &unary, &probe);

	mrpc_call_received_headers(call);
	arrive(call, "taken back");
	status_arrives(call, MINIRPC_ABORTED, "no", false);
	settle();
	ck_assert_int_eq(probe.messages, 0);
	ck_assert_int_eq(probe.status.code, MINIRPC_ABORTED);
	ck_assert_str_eq(probe.text, "no");
}
END_TEST

START_TEST(a_server_call_is_headers_messages_half_close_and_lives_until_its_handler_ends_it)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);

	mrpc_call_received_headers(call);
	arrive(call, "a");
	arrive(call, "b");
	mrpc_call_received_half_close(call);
	settle();
	ck_assert_int_eq(probe.headers, 1);
	ck_assert_int_eq(probe.messages, 2);
	ck_assert_int_eq(probe.half_closes, 1);
	ck_assert_int_eq(probe.ends, 0);
	ck_assert_int_eq(minirpc_call_send(call, "r", 1), 0);
	ck_assert_int_eq(mrpc_lane_peek(&call->out)->kind, MRPC_HEADERS);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
	mrpc_call_detach(call);
}
END_TEST

START_TEST(the_peer_leaving_is_told_once_and_the_handle_stays_until_end)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);

	mrpc_call_received_headers(call);
	mrpc_call_received_half_close(call);
	settle();
	mrpc_call_received_end(call, &(struct minirpc_status){ .code = MINIRPC_CANCELLED }, true,
			       false);
	mrpc_call_detach(call);
	settle();
	settle();
	ck_assert_int_eq(probe.ends, 1);
	ck_assert_int_eq(probe.status.code, MINIRPC_CANCELLED);
	ck_assert_int_eq(minirpc_call_send(call, "x", 1), -EPIPE);
	ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
}
END_TEST

START_TEST(a_deadline_ends_a_client_call_and_resets_its_stream) /* [D-2] */
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &unary, &probe);

	mrpc_call_set_deadline(call, now + MINIRPC_MS(50));
	ck_assert_int_eq(minirpc_call_time_left(call), MINIRPC_MS(50));
	advance(MINIRPC_MS(50) - 1);
	ck_assert_int_eq(probe.ends, 0);
	advance(1);
	ck_assert_int_eq(probe.ends, 1);
	ck_assert_int_eq(probe.status.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(stream.resets, 1);
}
END_TEST

START_TEST(a_deadline_ends_a_server_call_and_its_handler_hears_of_it) /* [D-3] */
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);

	mrpc_call_received_headers(call);
	mrpc_call_set_deadline(call, now + 10);
	settle();
	advance(10);
	ck_assert_int_eq(probe.ends, 1);
	ck_assert_int_eq(probe.status.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(mrpc_lane_peek(&call->out)->kind, MRPC_END);
	ck_assert(!call->out.was_cut);
	ck_assert_int_eq(call->out_status.code, MINIRPC_DEADLINE_EXCEEDED);
	ck_assert_int_eq(stream.resets, 0);
	minirpc_call_end(call, NULL);
	mrpc_call_detach(call);
}
END_TEST

START_TEST(what_has_not_left_a_second_after_the_deadline_is_reset) /* [D-3] */
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);

	mrpc_call_received_headers(call);
	mrpc_call_set_deadline(call, now + 10);
	settle();
	minirpc_call_send(call, "not taken", 9);
	advance(10);
	ck_assert_int_eq(probe.ends, 1);
	advance(MINIRPC_S(1) - 1);
	ck_assert_int_eq(stream.resets, 0);
	advance(1);
	ck_assert_int_eq(stream.resets, 1);
	ck_assert_int_eq(probe.ends, 1);
	minirpc_call_end(call, NULL);
}
END_TEST

START_TEST(a_deadline_also_ends_what_a_handler_left_in_the_queue)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);

	mrpc_call_received_headers(call);
	mrpc_call_set_deadline(call, now + 10);
	settle();
	minirpc_call_send(call, "never read", 10);
	minirpc_call_end(call, NULL);
	advance(10);
	ck_assert_int_eq(probe.ends, 0);
	ck_assert_int_eq(stream.resets, 1);
}
END_TEST

START_TEST(a_server_that_aborts_answers_and_its_handler_hears_of_it)
{
	const struct minirpc_status status = { .code = MINIRPC_INTERNAL, .message = "no sense" };

	for (int stalled = 0; stalled < 2; stalled++) {
		struct probe probe = { 0 };
		minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);

		stream.resets = 0;
		mrpc_call_received_headers(call);
		mrpc_call_set_deadline(call, now + 10);
		settle();
		minirpc_call_send(call, "before", 6);
		arrive(call, "not told any more");
		ck_assert_int_eq(minirpc_call_abort(call, &status), 0);
		ck_assert_int_eq(minirpc_call_abort(call, &status), -EPIPE);
		ck_assert_int_eq(minirpc_call_send(call, "late", 4), -EPIPE);
		ck_assert_int_eq(probe.ends, 0);
		settle();
		ck_assert_int_eq(probe.messages, 0);
		ck_assert_int_eq(probe.ends, 1);
		ck_assert_int_eq(probe.status.code, MINIRPC_INTERNAL);
		ck_assert_str_eq(probe.text, "no sense");
		ck_assert_int_eq(stream.resets, 0);

		mrpc_lane_next(&call->out); /* headers */
		mrpc_lane_next(&call->out); /* "before" */
		ck_assert_int_eq(mrpc_lane_peek(&call->out)->kind, MRPC_END);
		ck_assert(!call->out.was_cut);
		ck_assert_int_eq(call->out_status.code, MINIRPC_INTERNAL);
		ck_assert_int_eq(minirpc_call_end(call, NULL), 0);
		if (stalled)
			advance(10);
		else
			mrpc_call_detach(call);
		ck_assert_int_eq(stream.resets, stalled);
		ck_assert_int_eq(probe.ends, 1);
	}
}
END_TEST

START_TEST(cancel_says_nothing_more_and_resets)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &bidi, &probe);

	mrpc_call_received_headers(call);
	arrive(call, "queued");
	minirpc_call_cancel(call);
	settle();
	ck_assert_int_eq(probe.headers + probe.messages + probe.ends, 0);
	ck_assert_int_eq(stream.resets, 1);
}
END_TEST

START_TEST(a_call_may_be_cancelled_in_its_own_event)
{
	struct probe probe = { .on_message = minirpc_call_cancel };
	minirpc_call *call = make(MRPC_CLIENT, &bidi, &probe);

	mrpc_call_received_headers(call);
	arrive(call, "a");
	arrive(call, "b");
	settle();
	ck_assert_int_eq(probe.messages, 1);
	ck_assert_int_eq(probe.ends, 0);
}
END_TEST

START_TEST(cancelling_in_on_end_is_harmless)
{
	struct probe probe = { .on_end = minirpc_call_cancel };
	minirpc_call *call = make(MRPC_CLIENT, &bidi, &probe);

	status_arrives(call, MINIRPC_OK, "", false);
	settle();
	ck_assert_int_eq(probe.ends, 1);
}
END_TEST

START_TEST(a_full_queue_answers_eagain_and_tells_of_room_once)
{
	static char big[100];
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &bidi, &probe);

	ck_assert_int_eq(minirpc_call_send(call, big, 100), 0);
	ck_assert_int_eq(minirpc_call_send(call, big, 1), -EAGAIN);
	ck_assert_int_eq(minirpc_call_send(call, big, 1), -EAGAIN);
	mrpc_lane_next(&call->out);
	settle();
	ck_assert_int_eq(probe.rooms, 0);
	mrpc_lane_next(&call->out);
	settle();
	ck_assert_int_eq(probe.rooms, 1);
	ck_assert_int_eq(minirpc_call_send(call, big, 1), 0);
	minirpc_call_cancel(call);
}
END_TEST

START_TEST(a_unary_call_sends_one_message)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &unary, &probe);

	ck_assert_int_eq(minirpc_call_send(call, "a", 1), 0);
	ck_assert_int_eq(minirpc_call_send(call, "b", 1), -EPROTO);
	call->max_send_message = 5;
	minirpc_call_cancel(call);
	call = make(MRPC_CLIENT, &unary, &probe);
	call->max_send_message = 5;
	ck_assert_int_eq(minirpc_call_send(call, "123456", 6), -EMSGSIZE);
	ck_assert_int_eq(minirpc_call_send(call, "12345", 5), 0);
	minirpc_call_cancel(call);
}
END_TEST

START_TEST(pause_holds_messages_back_and_lets_a_deadline_through)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &bidi, &probe);

	minirpc_call_pause(call);
	mrpc_call_set_deadline(call, now + 10);
	mrpc_call_received_headers(call);
	arrive(call, "a");
	settle();
	ck_assert_int_eq(probe.headers, 1);
	ck_assert_int_eq(probe.messages, 0);
	minirpc_call_resume(call);
	settle();
	ck_assert_int_eq(probe.messages, 1);
	minirpc_call_pause(call);
	arrive(call, "b");
	advance(10);
	ck_assert_int_eq(probe.messages, 1);
	ck_assert_int_eq(probe.ends, 1);
	ck_assert_int_eq(probe.status.code, MINIRPC_DEADLINE_EXCEEDED);
}
END_TEST

START_TEST(a_child_takes_its_parents_deadline_and_ends_with_it) /* [D-5] */
{
	struct probe parents = { 0 }, childs = { 0 };
	minirpc_call *parent = make(MRPC_SERVER, &bidi, &parents);
	minirpc_call *child = make(MRPC_CLIENT, &unary, &childs);

	mrpc_call_received_headers(parent);
	settle();
	mrpc_call_set_deadline(parent, now + 100);
	mrpc_call_set_deadline(child, now + 500);
	mrpc_call_set_parent(child, parent);
	ck_assert_int_eq(minirpc_call_deadline(child), now + 100);
	minirpc_call_end(parent, NULL);
	ck_assert_int_eq(childs.ends, 0);
	settle();
	ck_assert_int_eq(childs.ends, 1);
	ck_assert_int_eq(childs.status.code, MINIRPC_CANCELLED);
	mrpc_call_detach(parent);
}
END_TEST

START_TEST(a_parent_that_lost_its_peer_cancels_children_and_refuses_new_ones)
{
	struct probe parents = { 0 }, childs = { 0 }, lates = { 0 };
	minirpc_call *parent = make(MRPC_SERVER, &bidi, &parents);
	minirpc_call *child = make(MRPC_CLIENT, &unary, &childs);
	minirpc_call *late;

	mrpc_call_set_parent(child, parent);
	mrpc_call_received_end(parent, &(struct minirpc_status){ .code = MINIRPC_CANCELLED }, true,
			       false);
	mrpc_call_detach(parent);
	late = make(MRPC_CLIENT, &unary, &lates);
	mrpc_call_set_parent(late, parent);
	settle();
	ck_assert_int_eq(childs.status.code, MINIRPC_CANCELLED);
	ck_assert_int_eq(lates.ends, 1);
	minirpc_call_end(parent, NULL);
}
END_TEST

START_TEST(a_parent_that_was_asked_wrongly_cancels_its_children) /* [W-15] */
{
	struct probe parents = { 0 }, childs = { 0 };
	minirpc_call *parent = make(MRPC_SERVER, &unary, &parents);
	minirpc_call *child = make(MRPC_CLIENT, &bidi, &childs);

	mrpc_call_received_headers(parent);
	mrpc_call_set_parent(child, parent);
	mrpc_call_received_half_close(parent);
	settle();
	ck_assert_int_eq(parents.status.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_int_eq(childs.ends, 1);
	ck_assert_int_eq(childs.status.code, MINIRPC_CANCELLED);
	minirpc_call_end(parent, NULL);
	mrpc_call_detach(parent);
}
END_TEST

START_TEST(an_unprocessed_attempt_starts_over_with_all_it_had_sent) /* */
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &unary, &probe);

	stream.retry = true;
	minirpc_call_send(call, "again", 5);
	minirpc_call_end(call, NULL);
	mrpc_lane_next(&call->out);
	mrpc_lane_next(&call->out);
	status_arrives(call, MINIRPC_UNAVAILABLE, "refused", true);
	settle();
	ck_assert_int_eq(probe.ends, 0);
	mrpc_call_attach(call, &transport_ops, &stream, &stream.task);
	ck_assert_int_eq(mrpc_lane_peek(&call->out)->kind, MRPC_HEADERS);
	mrpc_lane_next(&call->out);
	ck_assert_mem_eq(mrpc_part_data(mrpc_lane_peek(&call->out)), "again", 5);
	mrpc_call_received_headers(call);
	ck_assert(call->committed);
	status_arrives(call, MINIRPC_UNAVAILABLE, "broke", true);
	settle();
	ck_assert_int_eq(stream.attempts_failed, 1);
	ck_assert_int_eq(probe.ends, 1);
}
END_TEST

START_TEST(a_call_that_sent_more_than_the_replay_buffer_is_committed) /* */
{
	static char big[257 << 10];
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_CLIENT, &bidi, &probe);

	stream.retry = true;
	ck_assert_int_eq(minirpc_call_send(call, big, sizeof big), 0);
	ck_assert(call->committed);
	status_arrives(call, MINIRPC_UNAVAILABLE, "refused", true);
	settle();
	ck_assert_int_eq(probe.ends, 1);
}
END_TEST

START_TEST(ending_works_without_memory)
{
	struct probe probe = { 0 }, client = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &unary, &probe);
	minirpc_call *other = make(MRPC_CLIENT, &unary, &client);

	/* The arenas are full and nothing can be had. */
	while (minirpc_call_alloc(call, 64) != NULL && alloc_live() < 5)
		;
	alloc_fail_at(1, true);
	while (minirpc_call_alloc(call, 16) != NULL)
		;
	while (minirpc_call_alloc(other, 16) != NULL)
		;
	minirpc_call_fail(call, MINIRPC_NOT_FOUND, "no room for %s", "this");
	ck_assert_int_eq(call->out_status.code, MINIRPC_NOT_FOUND);
	mrpc_call_kill(other, MINIRPC_UNAVAILABLE, "gone");
	settle();
	ck_assert_int_eq(client.ends, 1);
	ck_assert_int_eq(client.status.code, MINIRPC_UNAVAILABLE);
	alloc_fail_at(0, false);
	mrpc_call_detach(call);
}
END_TEST

START_TEST(a_unary_handler_that_answers_ok_without_a_response_is_an_internal_error)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &unary, &probe);

	mrpc_call_received_headers(call);
	settle();
	minirpc_call_end(call, NULL);
	ck_assert_int_eq(call->out_status.code, MINIRPC_INTERNAL);
	mrpc_call_detach(call);
}
END_TEST

START_TEST(headers_and_trailers_are_checked_and_sent_in_time)
{
	struct probe probe = { 0 };
	minirpc_call *call = make(MRPC_SERVER, &bidi, &probe);
	const struct minirpc_field good[] = { { "a", "1", 0 }, { 0 } };
	const struct minirpc_field bad[] = { { "grpc-status", "0", 0 }, { 0 } };

	ck_assert_int_eq(minirpc_call_send_headers(call, bad), -EINVAL);
	ck_assert_int_eq(minirpc_call_send_headers(call, good), 0);
	ck_assert_int_eq(minirpc_call_send_headers(call, good), -EPIPE);
	ck_assert_int_eq(minirpc_call_set_trailers(call, bad), -EINVAL);
	ck_assert_int_eq(minirpc_call_set_trailers(call, good), 0);
	ck_assert_int_eq(minirpc_call_set_trailers(call, good), 0);
	ck_assert_uint_eq(call->out_trailers.count, 1);
	minirpc_call_end(call, NULL);
	mrpc_call_detach(call);
}
END_TEST

static void add_tests(TCase *c)
{
	tcase_add_test(c, a_unary_response_is_told_with_its_status);
	tcase_add_test(c, several_or_no_responses_to_a_unary_call_are_unimplemented);
	tcase_add_test(c, several_or_no_requests_of_a_unary_method_are_unimplemented);
	tcase_add_test(c, a_response_that_an_error_follows_is_not_shown);
	tcase_add_test(
		c,
		a_server_call_is_headers_messages_half_close_and_lives_until_its_handler_ends_it);
	tcase_add_test(c, the_peer_leaving_is_told_once_and_the_handle_stays_until_end);
	tcase_add_test(c, a_deadline_ends_a_client_call_and_resets_its_stream);
	tcase_add_test(c, a_deadline_ends_a_server_call_and_its_handler_hears_of_it);
	tcase_add_test(c, what_has_not_left_a_second_after_the_deadline_is_reset);
	tcase_add_test(c, a_deadline_also_ends_what_a_handler_left_in_the_queue);
	tcase_add_test(c, a_server_that_aborts_answers_and_its_handler_hears_of_it);
	tcase_add_test(c, cancel_says_nothing_more_and_resets);
	tcase_add_test(c, a_call_may_be_cancelled_in_its_own_event);
	tcase_add_test(c, cancelling_in_on_end_is_harmless);
	tcase_add_test(c, a_full_queue_answers_eagain_and_tells_of_room_once);
	tcase_add_test(c, a_unary_call_sends_one_message);
	tcase_add_test(c, pause_holds_messages_back_and_lets_a_deadline_through);
	tcase_add_test(c, a_child_takes_its_parents_deadline_and_ends_with_it);
	tcase_add_test(c, a_parent_that_lost_its_peer_cancels_children_and_refuses_new_ones);
	tcase_add_test(c, a_parent_that_was_asked_wrongly_cancels_its_children);
	tcase_add_test(c, an_unprocessed_attempt_starts_over_with_all_it_had_sent);
	tcase_add_test(c, a_call_that_sent_more_than_the_replay_buffer_is_committed);
	tcase_add_test(c, ending_works_without_memory);
	tcase_add_test(c, a_unary_handler_that_answers_ok_without_a_response_is_an_internal_error);
	tcase_add_test(c, headers_and_trailers_are_checked_and_sent_in_time);
}

Suite *suite(void)
{
	Suite *s = suite_create("call/call");
	TCase *c = tcase_create("call");

	tcase_add_checked_fixture(c, begin, finish);
	add_tests(c);
	suite_add_tcase(s, c);
	return s;
}

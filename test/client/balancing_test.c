/* SPDX-License-Identifier: MIT */
/* Which policy a channel has, how one follows another [L-3], what pickers may answer [L-4], and policies that are the
 * user's: nonsense from them costs the call that they were asked about its time, and nothing else. */
#include "client/fleet.h"
#include "run_suite.h"

#include "client/channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LB(policy) "{\"loadBalancingConfig\":[{\"" policy "\":{}}]}"

static struct fleet fleet;

static void teardown(void)
{
	fleet_close(&fleet);
}

static void connect_all(void)
{
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
}

static void set_config(const char *json)
{
	ck_assert_int_eq(minirpc_channel_set_service_config(fleet.channel, json, NULL, 0), 0);
	fleet_settle(&fleet);
}

/* ---- A policy of the test's: keeps one subchannel for each endpoint, answers what it is told to ---- */

static struct own {
	minirpc_balancing *to;
	minirpc_subchannel *subchannels[8];
	size_t count;
	enum minirpc_pick answer;
	minirpc_subchannel *chosen; /* when `answer` is COMPLETE */
	int start_error, endpoints_error;
	unsigned starts, stops, lists, picks, overs, errors, exits;
	enum minirpc_code over_code;
	minirpc_subchannel *over_subchannel;
	char path[64], config[128], error[128], value[32];
	bool forgets; /* to give its subchannels back */
	bool frees;   /* the channel, as soon as a subchannel is ready */
	bool hasty;   /* says that it is ready inside start */
	void (*on_stop)(void);
} own;

static int own_start(minirpc_balancing *to, const char *config, void *user, void **ret_self)
{
	ck_assert_ptr_eq(user, &own);
	own.starts++;
	if (own.hasty)
		minirpc_balancing_update(to, MINIRPC_READY, NULL);
	if (own.start_error < 0)
		return own.start_error;
	snprintf(own.config, sizeof own.config, "%s", config);
	own.to = to;
	own.count = 0;
	*ret_self = &own;
	return 0;
}

static void own_stop(void *self)
{
	ck_assert_ptr_eq(self, &own);
	own.stops++;
	if (own.on_stop != NULL)
		own.on_stop();
	for (size_t i = 0; i < own.count && !own.forgets; i++)
		minirpc_subchannel_free(own.subchannels[i]);
	own.to = NULL;
}

static int own_endpoints(void *self, const struct minirpc_endpoint *endpoints, size_t count)
{
	(void)self;
	own.lists++;
	if (own.endpoints_error < 0)
		return own.endpoints_error;
	for (size_t i = 0; i < own.count; i++)
		minirpc_subchannel_free(own.subchannels[i]);
	for (own.count = 0; own.count < count; own.count++) {
		ck_assert_int_eq(minirpc_subchannel_new(&own.subchannels[own.count], own.to,
							&endpoints[own.count]),
				 0);
		minirpc_subchannel_connect(own.subchannels[own.count]);
	}
	minirpc_balancing_update(own.to, MINIRPC_CONNECTING, NULL);
	return 0;
}

static void own_state(void *self, minirpc_subchannel *subchannel, enum minirpc_channel_state state)
{
	(void)self;
	ck_assert_int_eq(state, minirpc_subchannel_state(subchannel));
	if (own.frees && state == MINIRPC_READY)
		fleet.channel = minirpc_channel_free(fleet.channel);
	else if (state == MINIRPC_READY)
		minirpc_balancing_update(own.to, MINIRPC_READY, NULL);
}

static void own_error(void *self, const char *reason)
{
	(void)self;
	own.errors++;
	snprintf(own.error, sizeof own.error, "%s", reason);
}

static enum minirpc_pick own_pick(void *self, const struct minirpc_pick_args *args,
				  minirpc_subchannel **ret_subchannel)
{
	const char *value = minirpc_metadata_get(args->metadata, "route");

	ck_assert_ptr_eq(self, &own);
	own.picks++;
	snprintf(own.path, sizeof own.path, "%s", minirpc_call_path(args->call));
	snprintf(own.value, sizeof own.value, "%s", value != NULL ? value : "");
	*ret_subchannel = own.chosen;
	return own.answer;
}

static void own_exit_idle(void *self)
{
	(void)self;
	own.exits++;
}

static void own_over(void *self, minirpc_subchannel *subchannel,
		     const struct minirpc_status *status)
{
	(void)self;
	own.overs++;
	own.over_code = status->code;
	own.over_subchannel = subchannel;
}

static const struct minirpc_balancer own_policy = {
	.name = "own",
	.start = own_start,
	.stop = own_stop,
	.on_endpoints = own_endpoints,
	.on_resolver_error = own_error,
	.on_state = own_state,
	.pick = own_pick,
	.exit_idle = own_exit_idle,
	.on_call_over = own_over,
};

static void open_own_with(const char *list, struct minirpc_channel_options options)
{
	memset(&own, 0, sizeof own);
	options.balancers =
		(const struct minirpc_balancer_use[]){ { &own_policy, &own }, { NULL } };
	options.load_balancing = "own";
	fleet_open(&fleet, list, &options);
}

static void open_own(const char *list)
{
	open_own_with(list, (struct minirpc_channel_options){ 0 });
	connect_all();
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	own.answer = MINIRPC_PICK_COMPLETE;
}

/* ---- Which one ---- */

START_TEST(without_a_word_it_is_pick_first)
{
	fleet_open(&fleet, "123", NULL);
	connect_all();
	ck_assert_uint_eq(fleet.dials, 1);
}
END_TEST

START_TEST(the_channels_option_counts_when_no_config_says_anything)
{
	fleet_open(&fleet, "123",
		   &(struct minirpc_channel_options){ .load_balancing = "round_robin",
						      .service_config_json = "{}" });
	connect_all();
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(load_balancing_policy_counts_before_the_option)
{
	fleet_open(&fleet, "123",
		   &(struct minirpc_channel_options){
			   .load_balancing = "pick_first",
			   .service_config_json = "{\"loadBalancingPolicy\":\"round_robin\"}" });
	connect_all();
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(the_first_policy_of_the_list_that_is_known_counts)
{
	fleet_open(
		&fleet, "123",
		&(struct minirpc_channel_options){
			.load_balancing = "pick_first",
			.service_config_json =
				"{\"loadBalancingPolicy\":\"pick_first\",\"loadBalancingConfig\":["
				"{\"xds_cluster\":{}},{\"round_robin\":{}},{\"pick_first\":{}}]"
				"}" });
	connect_all();
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(the_resolvers_config_goes_before_the_applications)
{
	fleet_open(&fleet, NULL,
		   &(struct minirpc_channel_options){ .service_config_json = LB("pick_first") });
	minirpc_channel_connect(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_push(&fleet, "123", LB("round_robin"), NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet.dials, 3);
}
END_TEST

START_TEST(a_policy_that_nobody_knows_is_refused)
{
	minirpc_channel *channel;

	fleet_open(&fleet, "1", NULL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, fleet.loop, "ipv4:10.0.0.1:1",
				    &(struct minirpc_channel_options){ .load_balancing = "magic" }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(
			&channel, fleet.loop, "ipv4:10.0.0.1:1",
			&(struct minirpc_channel_options){
				.balancers =
					(const struct minirpc_balancer_use[]){
						{ &(struct minirpc_balancer){ .name = "x" }, NULL },
						{ NULL } } }),
		-EINVAL);
}
END_TEST

/* ---- One follows the other ---- */

START_TEST(another_policy_takes_over_when_it_is_ready)
{
	struct probe probe = { 0 };

	fleet_open(&fleet, "123", NULL);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet.servers[2].mode = fleet.servers[3].mode = FLEET_SILENT;
	set_config(LB("round_robin"));
	/* The connection is shared: round_robin is READY with it at once, without a second dial. */
	ck_assert_str_eq(fleet.order, "123");
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	fleet_revive(&fleet, 2);
	fleet_advance(&fleet, MINIRPC_S(21)); /* the silent attempts are given up [B-1] */
	ck_assert_uint_eq(fleet_call(&fleet) + fleet_call(&fleet), 3);
	set_config(LB("pick_first"));
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(fleet_connections(&fleet, 2), 0);
}
END_TEST

START_TEST(the_old_policy_serves_until_the_new_one_knows_what_it_is)
{
	open_own_with("1",
		      (struct minirpc_channel_options){ .service_config_json = LB("pick_first") });
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	set_config(LB("own")); /* which says CONNECTING, shares the connection, hears of nothing */
	ck_assert_uint_eq(own.lists, 1);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_uint_eq(own.picks, 0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);

	own.answer = MINIRPC_PICK_COMPLETE;
	own.chosen = own.subchannels[0];
	minirpc_balancing_update(own.to, MINIRPC_READY, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_uint_eq(own.picks, 1);
	ck_assert_uint_eq(fleet.dials, 1);
}
END_TEST

START_TEST(a_new_policy_that_fails_takes_over_too)
{
	open_own_with("1",
		      (struct minirpc_channel_options){ .service_config_json = LB("pick_first") });
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	set_config(LB("own"));
	minirpc_balancing_update(own.to, MINIRPC_TRANSIENT_FAILURE, "not today");
	fleet_settle(&fleet);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
}
END_TEST

START_TEST(a_new_policy_takes_over_when_the_old_one_is_ready_no_more)
{
	open_own_with("1",
		      (struct minirpc_channel_options){ .service_config_json = LB("pick_first") });
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	set_config(LB("own"));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	fleet_kill(&fleet, 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_CONNECTING);
}
END_TEST

START_TEST(a_policy_that_never_began_is_dropped_for_the_next)
{
	open_own_with("123",
		      (struct minirpc_channel_options){ .service_config_json = LB("pick_first") });
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	set_config(LB("own"));
	ck_assert_uint_eq(own.starts, 1);
	set_config(LB("pick_first")); /* the old one is the new one */
	ck_assert_uint_eq(own.stops, 1);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	set_config(LB("own"));
	set_config(LB("round_robin"));
	ck_assert_uint_eq(own.stops, 2);
	/* 2 and 3 for own, and again, when it came back; round_robin has those. */
	ck_assert_str_eq(fleet.order, "12323");
}
END_TEST

START_TEST(a_policy_that_refuses_its_config_changes_nothing)
{
	open_own_with("1",
		      (struct minirpc_channel_options){ .service_config_json = LB("pick_first") });
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	own.start_error = -EINVAL;
	set_config(LB("own"));
	ck_assert_uint_eq(own.starts, 1);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
	ck_assert_ptr_nonnull(strstr(fleet.log, "own refuses its config; pick_first goes on"));

	/* Nothing to the addresses either, also when they come with that config [L-8]. */
	ck_assert_int_eq(fleet_push(&fleet, "2", LB("own"), NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_call(&fleet), 2);
}
END_TEST

START_TEST(a_policy_hears_its_config)
{
	open_own_with("1", (struct minirpc_channel_options){
				   .service_config_json =
					   "{\"loadBalancingConfig\":[{\"own\":{\"a\":[1,2]}}]}" });
	connect_all();
	ck_assert_str_eq(own.config, "{\"a\":[1,2]}");
}
END_TEST

/* ---- What a picker answers [L-4] ---- */

START_TEST(a_picker_sees_path_and_metadata)
{
	static const struct minirpc_field fields[] = { { "route", "blue" }, { NULL } };
	struct probe probe = { 0 };

	open_own("12");
	own.chosen = own.subchannels[1];
	probe_call(&probe, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .metadata = fields });
	fleet_settle(&fleet);
	ck_assert_str_eq(own.path, "/t.T/echo");
	ck_assert_str_eq(own.value, "blue");
	ck_assert_str_eq(probe.peer, "server:2");
}
END_TEST

START_TEST(queue_waits_for_the_next_update)
{
	struct probe probe = { 0 };

	open_own("1");
	own.answer = MINIRPC_PICK_QUEUE;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_advance(&fleet, MINIRPC_S(100));
	ck_assert_uint_eq(probe.ends, 0);
	ck_assert_uint_eq(own.picks, 1); /* and is not asked about all the time */
	own.answer = MINIRPC_PICK_COMPLETE;
	own.chosen = own.subchannels[0];
	minirpc_balancing_update(own.to, MINIRPC_READY, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

/* [S-5]: whatever goes wrong in a policy is UNAVAILABLE. */
START_TEST(fail_is_unavailable_unless_the_call_waits_for_ready)
{
	struct probe fails = { 0 }, waits = { 0 };

	open_own("1");
	own.answer = MINIRPC_PICK_FAIL;
	minirpc_balancing_update(own.to, MINIRPC_TRANSIENT_FAILURE, "the moon is in the way");
	probe_call(&fails, fleet.channel, &echo, NULL);
	probe_call(&waits, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	fleet_settle(&fleet);
	ck_assert_uint_eq(fails.ends, 1);
	ck_assert_int_eq(fails.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(fails.text, "the moon is in the way");
	ck_assert_uint_eq(waits.ends, 0);
}
END_TEST

#define RETRY                                                                                      \
	"{\"methodConfig\":[{\"name\":[{}],\"retryPolicy\":{\"maxAttempts\":3,\"initialBackoff\":" \
	"\"1s\","                                                                                  \
	"\"maxBackoff\":\"1s\",\"backoffMultiplier\":1,\"retryableStatusCodes\":[\"UNAVAILABLE\"]" \
	"}}]}"

/* Its answer holds for the moment in which it was asked. */
START_TEST(a_failed_pick_that_waits_hears_of_an_update_in_the_same_turn)
{
	struct probe waits = { 0 };

	open_own("1");
	own.answer = MINIRPC_PICK_FAIL;
	own.chosen = own.subchannels[0];
	probe_call(&waits, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	own.answer = MINIRPC_PICK_COMPLETE;
	minirpc_balancing_update(own.to, MINIRPC_READY, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(waits.ends, 1);
	ck_assert_int_eq(waits.code, MINIRPC_OK);
}
END_TEST

START_TEST(drop_fails_even_a_call_that_waits_and_is_never_repeated)
{
	struct probe probe = { 0 };

	open_own_with("1", (struct minirpc_channel_options){ .service_config_json = RETRY });
	connect_all();
	own.answer = MINIRPC_PICK_DROP;
	probe_call(&probe, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .wait_for_ready = true });
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe.text, "refused by the load balancing policy");
	ck_assert_uint_eq(own.picks, 1);
	fleet_advance(&fleet, MINIRPC_S(10));
	ck_assert_uint_eq(own.picks, 1);
}
END_TEST

START_TEST(a_failed_pick_is_an_attempt_that_a_retry_policy_repeats)
{
	struct probe probe = { 0 };

	open_own_with("1", (struct minirpc_channel_options){ .service_config_json = RETRY });
	connect_all();
	own.answer = MINIRPC_PICK_FAIL;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 0);
	own.answer = MINIRPC_PICK_COMPLETE;
	own.chosen = own.subchannels[0];
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_uint_eq(probe.ends, 1);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
}
END_TEST

/* ---- Nonsense ---- */

static void nonsense_costs_only_time(minirpc_subchannel *answer)
{
	struct probe lost = { 0 }, good = { 0 };

	own.chosen = answer;
	probe_call(&lost, fleet.channel, &echo,
		   &(struct minirpc_call_options){ .timeout = MINIRPC_S(5) });
	fleet_settle(&fleet);
	ck_assert_uint_eq(lost.ends, 0);
	own.chosen = own.subchannels[own.count - 1];
	probe_call(&good, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_int_eq(good.code, MINIRPC_OK);
	ck_assert_uint_eq(good.ends, 1);
	own.chosen = answer;
	fleet_advance(&fleet, MINIRPC_S(5));
	ck_assert_uint_eq(lost.ends, 1);
	ck_assert_int_eq(lost.code, MINIRPC_DEADLINE_EXCEEDED);
}

START_TEST(a_picker_that_answers_nothing_makes_its_call_wait)
{
	open_own("1");
	nonsense_costs_only_time(NULL);
}
END_TEST

START_TEST(a_picker_that_answers_one_given_back_makes_its_call_wait)
{
	minirpc_subchannel *dead;

	open_own("12");
	dead = own.subchannels[0];
	minirpc_subchannel_free(dead);
	minirpc_subchannel_free(dead); /* once more than it has */
	own.subchannels[0] = own.subchannels[1];
	own.count = 1;
	fleet_settle(&fleet);
	ck_assert_int_eq(minirpc_subchannel_state(dead), MINIRPC_SHUTDOWN);
	ck_assert_uint_eq(minirpc_subchannel_open_calls(dead), 0);
	ck_assert_str_eq(minirpc_subchannel_address(dead), "");
	minirpc_subchannel_connect(dead);
	nonsense_costs_only_time(dead);
}
END_TEST

START_TEST(a_picker_that_answers_one_of_another_channel_makes_its_call_wait)
{
	static struct fleet other;
	minirpc_subchannel *foreign;

	open_own("1");
	foreign = own.subchannels[0];
	other = fleet;
	open_own("2");
	nonsense_costs_only_time(foreign);
	fleet_close(&fleet);
	fleet = other;
	own.count = 1; /* the first channel's is stopped by teardown */
	own.subchannels[0] = foreign;
}
END_TEST

START_TEST(a_picker_that_answers_one_that_is_lost_makes_its_call_wait)
{
	open_own("12");
	fleet_kill(&fleet, 1);
	ck_assert_int_eq(minirpc_subchannel_state(own.subchannels[0]), MINIRPC_IDLE);
	nonsense_costs_only_time(own.subchannels[0]);
}
END_TEST

START_TEST(an_answer_that_is_none_makes_its_call_wait)
{
	struct probe probe = { 0 };

	open_own("1");
	own.answer = (enum minirpc_pick)77;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(probe.ends, 0);
	minirpc_balancing_update(own.to, (enum minirpc_channel_state)9, NULL);
	minirpc_balancing_update(own.to, MINIRPC_SHUTDOWN, NULL);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

START_TEST(a_policy_that_speaks_and_does_not_start_is_not_asked)
{
	open_own_with("1", (struct minirpc_channel_options){ 0 });
	own.start_error = -ENOMEM;
	own.hasty = true;
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	ck_assert_uint_eq(own.picks, 0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	own.start_error = 0;
	own.answer = MINIRPC_PICK_QUEUE;
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

static struct probe last_words;

static void does_everything(void)
{
	own.on_stop = NULL;
	(void)minirpc_channel_set_service_config(fleet.channel, LB("own"), NULL, 0);
	(void)minirpc_channel_set_service_config(fleet.channel, LB("round_robin"), NULL, 0);
	(void)minirpc_call_open(&last_words.call, fleet.channel, &hang, NULL, &probe_events,
				&last_words);
	minirpc_balancing_update(own.to, MINIRPC_READY, NULL);
	minirpc_balancing_resolve_again(own.to);
	minirpc_channel_connect(fleet.channel);
	minirpc_channel_enter_idle(fleet.channel);
	minirpc_channel_watch(fleet.channel, MINIRPC_IDLE, NULL, NULL);
}

/* [stop] may be called from inside minirpc_channel_free, and is the policy's last chance to speak. */
START_TEST(a_policy_that_uses_the_channel_while_it_is_stopped_does_no_harm)
{
	memset(&last_words, 0, sizeof last_words);
	open_own("1");
	own.on_stop = does_everything;
	minirpc_channel_enter_idle(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_uint_eq(last_words.ends, 0);
	ck_assert_uint_eq(minirpc_server_open_calls(fleet.servers[1].server), 1);
	own.on_stop = does_everything;
	set_config(LB("pick_first"));
	set_config(LB("own"));
	own.on_stop = does_everything;
	fleet.channel = minirpc_channel_free(fleet.channel);
	fleet_settle(&fleet);
}
END_TEST

START_TEST(what_a_policy_forgets_to_give_back_is_given_back_for_it)
{
	open_own("12");
	own.forgets = true;
	minirpc_channel_enter_idle(fleet.channel);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_connections(&fleet, 1) + fleet_connections(&fleet, 2), 0);
}
END_TEST

START_TEST(a_list_that_a_policy_does_not_take_is_pushed_again)
{
	struct probe probe = { 0 };

	open_own_with("1", (struct minirpc_channel_options){ 0 });
	own.endpoints_error = -ENOMEM;
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.lists, 1);
	ck_assert_int_eq(probe.code, MINIRPC_UNAVAILABLE);
	ck_assert_str_eq(probe.text,
			 "load balancing policy own: the list of servers: Cannot allocate memory");
	own.endpoints_error = 0;
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_uint_eq(own.lists, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);

	/* Later the one it has goes on. */
	own.answer = MINIRPC_PICK_COMPLETE;
	own.chosen = own.subchannels[0];
	own.endpoints_error = -ENOMEM;
	ck_assert_int_eq(fleet_push(&fleet, "2", NULL, NULL), 0);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	own.endpoints_error = 0;
	fleet_advance(&fleet, MINIRPC_S(3));
	own.chosen = own.subchannels[0];
	ck_assert_uint_eq(fleet_call(&fleet), 2);
}
END_TEST

START_TEST(a_policy_that_cannot_start_is_started_again)
{
	open_own_with("1", (struct minirpc_channel_options){ 0 });
	own.start_error = -ENOMEM;
	ck_assert_uint_eq(fleet_call(&fleet), 0);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_TRANSIENT_FAILURE);
	own.start_error = 0;
	fleet_advance(&fleet, MINIRPC_S(2));
	ck_assert_uint_eq(own.starts, 2);
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

START_TEST(a_policy_hears_of_calls_that_are_over)
{
	struct probe probe = { 0 };

	open_own("12");
	own.chosen = own.subchannels[1];
	ck_assert_uint_eq(fleet_call(&fleet), 2);
	ck_assert_uint_eq(own.overs, 1);
	ck_assert_int_eq(own.over_code, MINIRPC_OK);
	ck_assert_ptr_eq(own.over_subchannel, own.subchannels[1]);

	probe_call(&probe, fleet.channel, &hang, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(minirpc_subchannel_open_calls(own.chosen), 1);
	minirpc_call_cancel(probe.call);
	ck_assert_uint_eq(own.overs, 1); /* not from inside the verb */
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.overs, 2);
	ck_assert_int_eq(own.over_code, MINIRPC_CANCELLED);
	ck_assert_uint_eq(minirpc_subchannel_open_calls(own.chosen), 0);

	/* Not of calls on one that it has given back, and not when it is stopped. */
	probe_call(&probe, fleet.channel, &hang, NULL);
	fleet_settle(&fleet);
	own.chosen = minirpc_subchannel_free(own.subchannels[1]);
	own.count = 1;
	minirpc_call_cancel(probe.call);
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.overs, 2);
	own.chosen = own.subchannels[0];
	probe_call(&probe, fleet.channel, &hang, NULL);
	fleet_settle(&fleet);
	fleet.channel = minirpc_channel_free(fleet.channel);
	ck_assert_uint_eq(own.overs, 2);
}
END_TEST

/* Else what it counts in its picker would never come down again. */
START_TEST(a_policy_that_counts_its_calls_is_asked_once_for_each_attempt)
{
	struct probe probe = { 0 };

	open_own_with("1", (struct minirpc_channel_options){ .service_config_json = RETRY });
	connect_all();
	own.answer = MINIRPC_PICK_COMPLETE;
	own.chosen = own.subchannels[0];
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	probe_call(&probe, fleet.channel, &hang, NULL);
	fleet_settle(&fleet);
	fleet_kill(&fleet, 1);
	fleet_revive(&fleet, 1);
	minirpc_subchannel_connect(own.subchannels[0]);
	fleet_advance(&fleet, MINIRPC_S(5));
	ck_assert_uint_eq(minirpc_server_open_calls(fleet.servers[1].server), 1);
	minirpc_call_cancel(probe.call);
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.picks, 3); /* with that of the first call */
	ck_assert_uint_eq(own.overs, 3);
}
END_TEST

START_TEST(a_policy_hears_when_resolving_fails)
{
	open_own("1");
	minirpc_resolving_fail(fleet.resolving, "the registry is away");
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.errors, 1);
	ck_assert_str_eq(own.error, "the registry is away");
	ck_assert_int_eq(fleet_state(&fleet), MINIRPC_READY);
}
END_TEST

START_TEST(a_policy_may_free_the_channel)
{
	open_own_with("12", (struct minirpc_channel_options){ 0 });
	own.frees = true;
	connect_all();
	ck_assert_ptr_null(fleet.channel);
	ck_assert_uint_eq(own.stops, 1);
}
END_TEST

START_TEST(an_idle_policy_is_woken_by_a_call)
{
	struct probe probe = { 0 };

	open_own("1");
	minirpc_balancing_update(own.to, MINIRPC_IDLE, NULL);
	own.answer = MINIRPC_PICK_QUEUE;
	ck_assert_uint_eq(own.exits, 0);
	probe_call(&probe, fleet.channel, &echo, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.exits, 1);
}
END_TEST

/* Subchannels of one channel with the same addresses share their connection. */
START_TEST(equal_subchannels_share_a_connection)
{
	const char *addresses[] = { "10.0.0.1:1", NULL };
	struct minirpc_endpoint endpoint = { .addresses = addresses };
	minirpc_subchannel *twin, *namesake;

	open_own("1");
	ck_assert_int_eq(minirpc_subchannel_new(&twin, own.to, &endpoint), 0);
	ck_assert_int_eq(minirpc_subchannel_state(twin), MINIRPC_READY);
	ck_assert_str_eq(minirpc_subchannel_address(twin), "server:1");
	ck_assert_ptr_null(minirpc_subchannel_user(twin));
	minirpc_subchannel_set_user(twin, &own);
	ck_assert_ptr_eq(minirpc_subchannel_user(twin), &own);
	own.chosen = twin;
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	/* Another certificate is wanted: another connection. */
	endpoint.server_name = "other.example";
	ck_assert_int_eq(minirpc_subchannel_new(&namesake, own.to, &endpoint), 0);
	ck_assert_int_eq(minirpc_subchannel_state(namesake), MINIRPC_IDLE);
	minirpc_subchannel_free(namesake);
	/* One gives its handle back, the other keeps the connection. */
	minirpc_subchannel_free(twin);
	fleet_settle(&fleet);
	ck_assert_uint_eq(fleet_connections(&fleet, 1), 1);
	own.chosen = own.subchannels[0];
	ck_assert_uint_eq(fleet_call(&fleet), 1);
	ck_assert_uint_eq(fleet.dials, 1);

	addresses[0] = "example.org:1";
	ck_assert_int_eq(minirpc_subchannel_new(&twin, own.to, &endpoint), -EINVAL);
	addresses[0] = NULL;
	ck_assert_int_eq(minirpc_subchannel_new(&twin, own.to, &endpoint), -EINVAL);
}
END_TEST

/* ---- Several connections to one server ---- */

START_TEST(B_5_a_policy_hears_of_calls_that_waited)
{
	struct probe probes[4] = { { 0 } };

	memset(&own, 0, sizeof own);
	ck_assert_int_eq(
		fleet_try_open_on(
			&fleet, "1", &(struct minirpc_server_options){ .limits.max_streams = 1 },
			&(struct minirpc_channel_options){
				.service_config_json =
					"{\"connectionScaling\":{\"maxConnectionsPerSubchannel\":"
					"2}}",
				.balancers =
					(const struct minirpc_balancer_use[]){
						{ &own_policy, &own }, { NULL } },
				.load_balancing = "own" }),
		0);
	connect_all();
	own.answer = MINIRPC_PICK_COMPLETE;
	own.chosen = own.subchannels[0];
	for (int i = 0; i < 4; i++)
		probe_call(&probes[i], fleet.channel, &hang, NULL);
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.picks, 4);
	ck_assert_uint_eq(seen.calls, 2);
	ck_assert_uint_eq(minirpc_subchannel_open_calls(own.chosen), 4);
	minirpc_call_cancel(probes[2].call);
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.overs, 1);
	ck_assert_int_eq(own.over_code, MINIRPC_CANCELLED);
	ck_assert_ptr_eq(own.over_subchannel, own.chosen);
	minirpc_call_cancel(probes[0].call); /* the last one is on its connection now */
	fleet_settle(&fleet);
	ck_assert_uint_eq(own.overs, 2);
	ck_assert_uint_eq(seen.calls, 3);
	fleet_kill(&fleet, 1);
	ck_assert_uint_eq(own.overs, 4);
	ck_assert_int_eq(probes[3].code, MINIRPC_UNAVAILABLE);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/balancing");
	TCase *t = tcase_create("balancing");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, without_a_word_it_is_pick_first);
	tcase_add_test(t, the_channels_option_counts_when_no_config_says_anything);
	tcase_add_test(t, load_balancing_policy_counts_before_the_option);
	tcase_add_test(t, the_first_policy_of_the_list_that_is_known_counts);
	tcase_add_test(t, the_resolvers_config_goes_before_the_applications);
	tcase_add_test(t, a_policy_that_nobody_knows_is_refused);
	tcase_add_test(t, another_policy_takes_over_when_it_is_ready);
	tcase_add_test(t, the_old_policy_serves_until_the_new_one_knows_what_it_is);
	tcase_add_test(t, a_new_policy_that_fails_takes_over_too);
	tcase_add_test(t, a_new_policy_takes_over_when_the_old_one_is_ready_no_more);
	tcase_add_test(t, a_policy_that_never_began_is_dropped_for_the_next);
	tcase_add_test(t, a_policy_that_refuses_its_config_changes_nothing);
	tcase_add_test(t, a_policy_hears_its_config);
	tcase_add_test(t, a_picker_sees_path_and_metadata);
	tcase_add_test(t, queue_waits_for_the_next_update);
	tcase_add_test(t, fail_is_unavailable_unless_the_call_waits_for_ready);
	tcase_add_test(t, a_failed_pick_that_waits_hears_of_an_update_in_the_same_turn);
	tcase_add_test(t, drop_fails_even_a_call_that_waits_and_is_never_repeated);
	tcase_add_test(t, a_failed_pick_is_an_attempt_that_a_retry_policy_repeats);
	tcase_add_test(t, a_picker_that_answers_nothing_makes_its_call_wait);
	tcase_add_test(t, a_picker_that_answers_one_given_back_makes_its_call_wait);
	tcase_add_test(t, a_picker_that_answers_one_of_another_channel_makes_its_call_wait);
	tcase_add_test(t, a_picker_that_answers_one_that_is_lost_makes_its_call_wait);
	tcase_add_test(t, an_answer_that_is_none_makes_its_call_wait);
	tcase_add_test(t, a_policy_that_speaks_and_does_not_start_is_not_asked);
	tcase_add_test(t, a_policy_that_uses_the_channel_while_it_is_stopped_does_no_harm);
	tcase_add_test(t, what_a_policy_forgets_to_give_back_is_given_back_for_it);
	tcase_add_test(t, a_list_that_a_policy_does_not_take_is_pushed_again);
	tcase_add_test(t, a_policy_that_cannot_start_is_started_again);
	tcase_add_test(t, a_policy_hears_of_calls_that_are_over);
	tcase_add_test(t, a_policy_that_counts_its_calls_is_asked_once_for_each_attempt);
	tcase_add_test(t, a_policy_hears_when_resolving_fails);
	tcase_add_test(t, a_policy_may_free_the_channel);
	tcase_add_test(t, an_idle_policy_is_woken_by_a_call);
	tcase_add_test(t, equal_subchannels_share_a_connection);
	tcase_add_test(t, B_5_a_policy_hears_of_calls_that_waited);
	suite_add_tcase(s, t);
	return s;
}

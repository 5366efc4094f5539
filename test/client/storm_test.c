/* SPDX-License-Identifier: MIT */
/* Storm: a channel whose user does, inside every callback there is, whatever comes to his mind: opens and cancels
 * calls, changes the service config and the list of servers, enters IDLE, frees the channel; over a policy of his own
 * that picks by chance, and servers that come and go and answer as they like. Each storm follows from its number.
 * Nothing is expected but the rules: when all is calm again every call that was not cancelled has ended once, no call
 * without a policy has reached a handler twice, and nothing is left. */
#include "client/fleet.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include "client/channel.h"

#include <errno.h>
#include <minirpc/interceptor.h>
#include <minirpc/minirpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORMS 1000
#define FORKS 10

enum { CALLS = 24, HANDLED = 256, SERVERS = 3, DEPTH = 3 };

static struct fleet fleet;

struct
try {
	minirpc_call *call; /* NULL: it has ended, or was cancelled */
	bool once, cancelled;
	unsigned ends, handled;
};

static struct storm {
	uint64_t random;
	bool calm, may_free, stopping;
	unsigned depth; /* of deeds inside deeds */
	struct try tries[CALLS];
	unsigned tried;
	minirpc_call *handled[HANDLED]; /* by servers, and not answered */
	unsigned watches;
} storm;

static unsigned dice(unsigned sides)
{
	uint64_t z = (storm.random += UINT64_C(0x9E3779B97F4A7C15)); /* splitmix64 */

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (unsigned)((z ^ (z >> 31)) % sides);
}

/* ---- Servers ---- */

static void answer(minirpc_call *call)
{
	static const enum minirpc_code codes[] = { MINIRPC_UNAVAILABLE, MINIRPC_ABORTED,
						   MINIRPC_INTERNAL, MINIRPC_RESOURCE_EXHAUSTED };

	if (dice(3) == 0)
		minirpc_call_send_headers(call, NULL);
	if (dice(4) == 0)
		minirpc_call_set_pushback(call, dice(3) == 0 ? -1 : MINIRPC_MS(dice(2000)));
	if (storm.calm || dice(2) == 0) {
		minirpc_call_send(call, "hello", 5);
		minirpc_call_end(call, NULL);
	} else {
		minirpc_call_fail(call, codes[dice(4)], "moody");
	}
}

static void on_request(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	struct try *try = &storm.tries[atoi(minirpc_metadata_get(metadata, "x-try"))];

	(void)user;
	try->handled++;
	ck_assert(!try->once || try->handled == 1);
	for (unsigned i = 0; dice(3) > 0 && i < HANDLED; i++)
		if (storm.handled[i] == NULL) {
			storm.handled[i] = call;
			return;
		}
	answer(call);
}

static void on_client_gone(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	(void)status;
	(void)user;
	for (unsigned i = 0; i < HANDLED; i++)
		if (storm.handled[i] == call)
			storm.handled[i] = NULL;
	minirpc_call_end(call, NULL);
}

static const struct minirpc_call_events server_events = { .on_headers = on_request,
							  .on_end = on_client_gone };

static void answer_one(unsigned i)
{
	minirpc_call *call = storm.handled[i];

	storm.handled[i] = NULL;
	if (call != NULL)
		answer(call);
}

/* ---- Deeds of the user ---- */

static void deeds(void);

static const struct minirpc_method once = { .path = "/t.M/once",
					    .flags = MINIRPC_CLIENT_STREAMING };
static const struct minirpc_method many = { .path = "/t.M/many",
					    .flags = MINIRPC_CLIENT_STREAMING };

static void on_headers(minirpc_call *call, const struct minirpc_metadata *metadata, void *user)
{
	(void)call;
	(void)metadata;
	(void)user;
	deeds();
}

static void on_message(minirpc_call *call, const struct minirpc_message *message, void *user)
{
	(void)call;
	(void)message;
	(void)user;
	deeds();
}

static void on_writable(minirpc_call *call, void *user)
{
	(void)call;
	(void)user;
	deeds();
}

static void on_end(minirpc_call *call, const struct minirpc_status *status, void *user)
{
	struct try *try = user;

	(void)call;
	ck_assert(!try->cancelled);
	ck_assert_uint_eq(++try->ends, 1);
	ck_assert_uint_le(status->code, MINIRPC_UNAUTHENTICATED);
	try->call = NULL;
	deeds();
}

static const struct minirpc_call_events client_events = { .on_headers = on_headers,
							  .on_message = on_message,
							  .on_writable = on_writable,
							  .on_end = on_end };

/* For each attempt. */
static enum minirpc_verdict on_part(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	(void)hook;
	(void)part;
	(void)user;
	deeds();
	return !storm.calm && dice(40) == 0 ? MINIRPC_STOP : MINIRPC_PASS;
}

static const struct minirpc_interceptor nosy = {
	.name = "nosy", .per_attempt = true, .on_send = on_part, .on_receive = on_part
};

static void open_one(void)
{
	static const struct minirpc_use uses[] = { { &nosy, NULL }, { NULL } };
	char number[16];
	const struct minirpc_field fields[] = { { "x-try", number, 0 }, { NULL } };
	struct minirpc_call_options options = { .metadata = fields };
	struct try *try = &storm.tries[storm.tried];

	if (storm.tried == CALLS || fleet.channel == NULL)
		return;
	snprintf(number, sizeof number, "%u", storm.tried++);
	options.wait_for_ready = dice(2) == 0;
	options.timeout = dice(2) == 0 ? 0 : MINIRPC_MS(1 + dice(20000));
	options.interceptors = dice(3) == 0 ? uses : NULL;
	options.compression = dice(4) == 0 ? "gzip" : NULL;
	try->once = dice(2) == 0;
	if (minirpc_call_open(&try->call, fleet.channel, try->once ? &once : &many, &options,
			      &client_events, try) < 0)
		*try = (struct try){ .cancelled = true }; /* the channel is being freed */
}

static void use_one(struct try *try)
{
	char text[200] = "";

	if (try->call == NULL || fleet.channel == NULL)
		return;
	switch (dice(5)) {
	case 0:
	case 1:
		minirpc_call_send(try->call, text, dice(sizeof text));
		break;
	case 2:
		minirpc_call_end(try->call, NULL);
		break;
	case 3:
		if (dice(2) == 0)
			minirpc_call_pause(try->call);
		else
			minirpc_call_resume(try->call);
		break;
	default:
		if (dice(3) > 0)
			break;
		try->cancelled = true;
		minirpc_call_cancel(try->call);
		try->call = NULL;
	}
}

#define FOR_MANY(policy, rest)                                                                     \
	"{\"methodConfig\":[{\"name\":[{\"service\":\"t.M\",\"method\":\"many\"}]," policy         \
	"}]" rest "}"
#define RETRY                                                                                      \
	"\"retryPolicy\":{\"maxAttempts\":4,\"initialBackoff\":\"0.1s\",\"maxBackoff\":\"3s\","    \
	"\"backoffMultiplier\":2,\"retryableStatusCodes\":[\"UNAVAILABLE\",\"ABORTED\"]}"
#define HEDGE(delay)                                                                               \
	"\"hedgingPolicy\":{\"maxAttempts\":3,\"hedgingDelay\":\"" delay                           \
	"\",\"nonFatalStatusCodes\":[\"UNAVAILABLE\",\"INTERNAL\"]}"
#define THROTTLE ",\"retryThrottling\":{\"maxTokens\":5,\"tokenRatio\":0.5}"
#define LB(policy) ",\"loadBalancingConfig\":[{\"" policy "\":{}}]"

static const char *some_config(void)
{
	static const char *const configs[] = {
		NULL,
		FOR_MANY(RETRY, ""),
		FOR_MANY(RETRY, THROTTLE LB("storm")),
		FOR_MANY(HEDGE("0s"), LB("round_robin")),
		FOR_MANY(HEDGE("0.3s"), THROTTLE LB("storm")),
		FOR_MANY(HEDGE("1s"), LB("pick_first")),
		FOR_MANY("\"waitForReady\":true", LB("least_request")),
		FOR_MANY("\"timeout\":\"2s\"", LB("storm")),
		"{\"methodConfig\":7}",
	};

	return configs[dice(sizeof configs / sizeof configs[0])];
}

static const char *some_list(void)
{
	static const char *const lists[] = { "", "1", "2", "123", "321", "1122", "1C2B", "12,3" };

	return lists[dice(sizeof lists / sizeof lists[0])];
}

static void on_watch(minirpc_channel *channel, void *user)
{
	(void)channel;
	(void)user;
	storm.watches++;
	deeds();
}

static void change_servers(void)
{
	unsigned number = 1 + dice(SERVERS);

	switch (dice(4)) {
	case 0:
		fleet_kill(&fleet, number);
		break;
	case 1:
		fleet.servers[number].mode = FLEET_SILENT;
		break;
	default:
		fleet_revive(&fleet, number);
	}
}

static void resolve_something(void)
{
	if (fleet.resolving == NULL)
		return;
	if (dice(4) == 0)
		minirpc_resolving_fail(fleet.resolving, "no such storm");
	else
		(void)fleet_push(&fleet, some_list(), dice(2) == 0 ? some_config() : NULL,
				 "a note");
}

/* Calls go with it; what is called inside must not use them any more, but may use the channel. */
static void free_channel(void)
{
	minirpc_channel *channel = fleet.channel;

	storm.may_free = false;
	for (unsigned i = 0; i < CALLS; i++)
		storm.tries[i].call = NULL;
	minirpc_channel_free(channel);
	fleet.channel = NULL;
	fleet.resolving = NULL; /* inside its start it is not stopped yet */
}

static void change_channel(void)
{
	if (fleet.channel == NULL)
		return;
	switch (dice(6)) {
	case 0:
		minirpc_channel_enter_idle(fleet.channel);
		break;
	case 1:
		minirpc_channel_connect(fleet.channel);
		break;
	case 2:
		minirpc_channel_watch(fleet.channel, dice(5), on_watch, NULL);
		break;
	case 3:
		if (storm.may_free && !storm.stopping && dice(20) == 0)
			free_channel();
		break;
	default:
		(void)minirpc_channel_set_service_config(fleet.channel, some_config(), NULL, 0);
	}
}

static void do_something(void)
{
	switch (dice(8)) {
	case 0:
	case 1:
		open_one();
		break;
	case 2:
	case 3:
		use_one(&storm.tries[dice(CALLS)]);
		break;
	case 4:
		change_servers();
		break;
	case 5:
		resolve_something();
		break;
	case 6:
		change_channel();
		break;
	default:
		answer_one(dice(HANDLED) % 16);
	}
}

/* What a callback of the user does on its way. */
static void deeds(void)
{
	if (storm.calm || storm.depth >= DEPTH)
		return;
	storm.depth++;
	for (unsigned n = dice(3); n > 0; n--)
		do_something();
	storm.depth--;
}

/* ---- The policy of the user ---- */

struct policy {
	minirpc_balancing *to;
	minirpc_subchannel *subchannels[8];
	size_t count, next;
};

static struct policy *alive[4]; /* the one in force, and the next */

static bool is_alive(const struct policy *policy)
{
	for (unsigned i = 0; i < 4; i++)
		if (alive[i] == policy)
			return true;
	return false;
}

static void say(struct policy *policy)
{
	enum minirpc_channel_state state = MINIRPC_CONNECTING;

	for (size_t i = 0; i < policy->count; i++)
		if (minirpc_subchannel_state(policy->subchannels[i]) == MINIRPC_READY)
			state = MINIRPC_READY;
	if (!storm.calm && dice(4) == 0)
		state = (enum minirpc_channel_state)dice(5);
	minirpc_balancing_update(policy->to, state, dice(2) == 0 ? "a reason" : NULL);
}

static void connect_all(struct policy *policy)
{
	for (size_t i = 0; i < policy->count; i++)
		minirpc_subchannel_connect(policy->subchannels[i]);
}

static int policy_start(minirpc_balancing *to, const char *config, void *user, void **ret_self)
{
	struct policy *policy;
	unsigned at = 0;

	(void)config;
	(void)user;
	if (dice(3) == 0)
		minirpc_balancing_update(to, MINIRPC_READY, NULL);
	if (!storm.calm && dice(5) == 0)
		return dice(2) == 0 ? -ENOMEM : -EINVAL;
	policy = calloc(1, sizeof *policy);
	policy->to = to;
	while (alive[at] != NULL)
		at++;
	ck_assert_uint_lt(at, 4);
	alive[at] = policy;
	*ret_self = policy;
	deeds();
	return 0;
}

static void give_back(struct policy *policy)
{
	for (size_t i = 0; i < policy->count; i++)
		minirpc_subchannel_free(policy->subchannels[i]);
	policy->count = 0;
}

static void policy_stop(void *self)
{
	struct policy *policy = self;
	bool outer = storm.stopping;

	storm.stopping = true; /* no freeing in here */
	deeds();
	storm.stopping = outer;
	give_back(policy);
	for (unsigned i = 0; i < 4; i++)
		if (alive[i] == policy)
			alive[i] = NULL;
	free(policy);
}

static int policy_endpoints(void *self, const struct minirpc_endpoint *endpoints, size_t count)
{
	struct policy *policy = self;
	struct policy before = *policy;

	if (!storm.calm && dice(5) == 0)
		return -ENOMEM;
	policy->count = 0;
	for (size_t i = 0; i < count && i < 8; i++)
		ck_assert_int_eq(minirpc_subchannel_new(&policy->subchannels[policy->count++],
							policy->to, &endpoints[i]),
				 0);
	give_back(&before);
	connect_all(policy);
	say(policy);
	deeds();
	return 0;
}

static void policy_state(void *self, minirpc_subchannel *subchannel,
			 enum minirpc_channel_state state)
{
	struct policy *policy = self;

	if (state == MINIRPC_IDLE)
		minirpc_subchannel_connect(subchannel);
	say(policy);
	deeds();
	if (is_alive(policy) && dice(4) == 0)
		minirpc_balancing_resolve_again(policy->to);
}

static void policy_error(void *self, const char *reason)
{
	(void)self;
	(void)reason;
	deeds();
}

static enum minirpc_pick policy_pick(void *self, const struct minirpc_pick_args *args,
				     minirpc_subchannel **ret_subchannel)
{
	struct policy *policy = self;

	ck_assert(is_alive(policy));
	ck_assert_int_eq(strncmp(minirpc_call_path(args->call), "/t.M/", 5), 0);
	for (size_t i = 0; i < policy->count; i++) {
		*ret_subchannel = policy->subchannels[policy->next++ % policy->count];
		if (minirpc_subchannel_state(*ret_subchannel) == MINIRPC_READY)
			break;
	}
	return storm.calm || dice(2) == 0 ? MINIRPC_PICK_COMPLETE : (enum minirpc_pick)dice(4);
}

static void policy_exit_idle(void *self)
{
	connect_all(self);
	say(self);
	deeds();
}

static void policy_over(void *self, minirpc_subchannel *subchannel,
			const struct minirpc_status *status)
{
	(void)self;
	(void)subchannel;
	(void)status;
	deeds();
}

static const struct minirpc_balancer storm_policy = {
	.name = "storm",
	.start = policy_start,
	.stop = policy_stop,
	.on_endpoints = policy_endpoints,
	.on_resolver_error = policy_error,
	.on_state = policy_state,
	.pick = policy_pick,
	.exit_idle = policy_exit_idle,
	.on_call_over = policy_over,
};

/* ---- A storm ---- */

static void on_resolver(bool stops)
{
	bool outer = storm.stopping;

	storm.stopping = outer || stops;
	deeds();
	storm.stopping = outer;
}

static void begin(unsigned number)
{
	const struct minirpc_balancer_use uses[] = { { &storm_policy, NULL }, { NULL } };

	storm = (struct storm){ .random = number, .may_free = number % 3 == 0 };
	fleet_open(&fleet, some_list(),
		   &(struct minirpc_channel_options){
			   .balancers = uses,
			   .load_balancing = number % 2 == 0 ? "storm" : NULL,
			   .service_config_json = FOR_MANY(RETRY, ""),
			   .max_replay_total = 2000,
			   .send_queue = 300,
			   .idle_timeout = number % 5 == 0 ? MINIRPC_S(3) : 0,
			   .min_resolution_interval = MINIRPC_S(1),
		   });
	fleet.on_resolver = on_resolver;
	for (unsigned i = 1; i <= SERVERS; i++) {
		ck_assert_int_eq(minirpc_server_add(fleet.servers[i].server, &once, &server_events,
						    NULL, NULL),
				 0);
		ck_assert_int_eq(minirpc_server_add(fleet.servers[i].server, &many, &server_events,
						    NULL, NULL),
				 0);
	}
}

static void be_calm(void)
{
	storm.calm = true;
	for (unsigned i = 1; i <= SERVERS; i++) {
		if (fleet.servers[i].mode == FLEET_SILENT)
			fleet_kill(&fleet, i);
		fleet_revive(&fleet, i);
	}
	fleet.list = "123";
	if (fleet.resolving != NULL)
		(void)fleet_push(&fleet, "123", NULL, NULL);
	for (unsigned i = 0; i < CALLS; i++)
		if (fleet.channel != NULL && storm.tries[i].call != NULL) {
			minirpc_call_resume(storm.tries[i].call);
			minirpc_call_end(storm.tries[i].call, NULL);
		}
	for (unsigned i = 0; i < 4; i++)
		if (alive[i] != NULL)
			say(alive[i]);
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < HANDLED; i++)
			answer_one(i);
		fleet_advance(&fleet, MINIRPC_S(10));
	}
}

static void check(unsigned number)
{
	for (unsigned i = 0; i < storm.tried && fleet.channel != NULL; i++) {
		const struct try *try = &storm.tries[i];

		if (try->ends + try->cancelled != 1)
			ck_abort_msg("storm %u: call %u ended %u times", number, i, try->ends);
	}
	if (fleet.channel == NULL)
		return;
	ck_assert_uint_eq(fleet.channel->replay.held, 0);
	ck_assert(mrpc_list_is_empty(&fleet.channel->fresh));
	ck_assert(mrpc_list_is_empty(&fleet.channel->waiting));
	ck_assert(mrpc_list_is_empty(&fleet.channel->running));
	ck_assert(mrpc_list_is_empty(&fleet.channel->resting));
}

static void rage(unsigned number)
{
	begin(number);
	for (int i = 0; i < 60; i++) {
		storm.depth = 0;
		do_something();
		if (dice(2) == 0)
			fleet_settle(&fleet);
		if (dice(3) == 0)
			fleet_advance(&fleet, MINIRPC_MS(dice(1500)));
	}
	be_calm();
	check(number);
	fleet_close(&fleet);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_ptr_null(alive[i]);
	ck_assert_int_eq(alloc_live(), 0);
}

START_TEST(whatever_the_user_does_each_call_ends_once_and_nothing_is_left)
{
	const char *one = getenv("STORM"); /* that failed */

	for (unsigned i = 0; i < STORMS / FORKS && one == NULL; i++)
		rage((unsigned)_i + i * FORKS);
	if (one != NULL)
		rage((unsigned)atoi(one));
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("client/storm");
	TCase *tc = tcase_create("storm");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, whatever_the_user_does_each_call_ends_once_and_nothing_is_left, 0,
			    FORKS);
	suite_add_tcase(suite, tc);
	return suite;
}

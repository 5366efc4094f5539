/* SPDX-License-Identifier: MIT */
/* lib/client/resolving.c, endpoints.c, resolver_list.c: with a resolver of the test's and a clock turned by
 * hand. */
#include "client/resolving.h"

#include "base/alloc.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL MINIRPC_S(30)

/* What the channel was told. */
struct told {
	struct minirpc_resolving resolving;
	struct mrpc_target target;
	unsigned results, failures;
	size_t endpoints;
	char addresses[400], reason[600], note[600], config[100];
	int answer;        /* of on_result */
	bool free_on_push; /* the channel is freed from inside on_result */
};

/* What the resolver was told. */
struct own {
	unsigned starts, agains, stops;
	minirpc_resolving *to;
	int start_result;
	int inside; /* what start does: 1 pushes, 2 fails, 3 frees the channel, 4 stops, 5 stops and starts */
	struct told *told;
};

static minirpc_loop *loop;
static minirpc_time now;
static struct own own;
static struct told told;

static int push(minirpc_resolving *to, const char *address)
{
	const char *const addresses[] = { address, NULL };
	const struct minirpc_endpoint endpoint = { .addresses = addresses };

	return minirpc_resolving_push(to, &(struct minirpc_resolver_result){ .endpoints = &endpoint,
									     .endpoint_count = 1 });
}

static int own_start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	ck_assert_ptr_eq(user, &own);
	ck_assert_str_eq(target, "///cache%20one");
	own.starts++;
	own.to = to;
	*ret_self = &own;
	switch (own.inside) {
	case 1:
		ck_assert_int_eq(push(to, "10.0.0.1:1"), 0);
		break;
	case 2:
		minirpc_resolving_fail(to, "inside");
		break;
	case 3:
		mrpc_resolving_clear(to);
		break;
	case 4:
		mrpc_resolving_stop(to);
		break;
	case 5:
		own.inside = 0;
		mrpc_resolving_stop(to);
		mrpc_resolving_start(to);
		break;
	}
	return own.start_result;
}

static void own_again(void *self)
{
	ck_assert_ptr_eq(self, &own);
	own.agains++;
}

static void own_stop(void *self)
{
	ck_assert_ptr_eq(self, &own);
	own.stops++;
}

static const struct minirpc_resolver own_resolver = { "own", own_start, own_again, own_stop };
static const struct minirpc_resolver_use owns[] = { { &own_resolver, &own }, { NULL, NULL } };

static int on_result(const struct minirpc_resolver_result *result, void *user)
{
	struct told *to = user;

	to->results++;
	to->endpoints = result->endpoint_count;
	to->addresses[0] = '\0';
	for (size_t i = 0; i < result->endpoint_count; i++)
		for (const char *const *at = result->endpoints[i].addresses; *at != NULL; at++)
			if (strlen(to->addresses) + strlen(*at) + 2 <= sizeof to->addresses)
				strcat(strcat(to->addresses, *at), " ");
	snprintf(to->note, sizeof to->note, "%s", result->note != NULL ? result->note : "-");
	snprintf(to->config, sizeof to->config, "%s",
		 result->service_config_json != NULL ? result->service_config_json : "-");
	if (to->free_on_push)
		mrpc_resolving_clear(&to->resolving);
	return to->answer;
}

static void on_failure(const char *reason, void *user)
{
	struct told *to = user;

	to->failures++;
	snprintf(to->reason, sizeof to->reason, "%s", reason);
}

static void settle(void)
{
	minirpc_loop_advance(loop, now);
}

static void advance(minirpc_time span)
{
	now += span;
	settle();
}

static int try_open(const char *target)
{
	int r;

	told = (struct told){ 0 };
	r = mrpc_resolving_parse(&told.target, target, owns);
	if (r < 0)
		return r;
	r = mrpc_resolving_init(&told.resolving, &(struct mrpc_resolving_config){
							 .loop = loop,
							 .target = target,
							 .parsed = &told.target,
							 .own = owns,
							 .seed = 7,
							 .on_result = on_result,
							 .on_failure = on_failure,
							 .user = &told,
						 });
	if (r < 0)
		mrpc_target_clear(&told.target);
	return r;
}

static void open_own(void)
{
	ck_assert_int_eq(try_open("own:///cache%20one"), 0);
	mrpc_resolving_start(&told.resolving);
	ck_assert_uint_eq(own.starts, 0); /* in a turn */
	settle();
	ck_assert_uint_eq(own.starts, 1);
}

static void set_up(void)
{
	ck_assert_int_eq(minirpc_loop_new(&loop, &(struct minirpc_loop_options){ .manual = true }),
			 0);
	now = MINIRPC_S(1000);
	settle();
	own = (struct own){ 0 };
	told = (struct told){ 0 };
}

static void tear_down(void)
{
	mrpc_resolving_clear(&told.resolving);
	mrpc_target_clear(&told.target);
	ck_assert_uint_eq(own.stops + (own.start_result < 0 ? own.starts : 0), own.starts);
	minirpc_loop_free(loop);
	ck_assert_uint_eq(alloc_live(), 0);
}

/* ---- Which resolver ---- */

START_TEST(a_scheme_of_the_users_goes_before_ours)
{
	static const struct minirpc_resolver dns = { "dns", own_start, NULL, NULL };
	static const struct minirpc_resolver_use uses[] = { { &dns, NULL }, { NULL, NULL } };
	struct mrpc_target target;

	ck_assert_int_eq(mrpc_resolving_parse(&target, "DNS:///a b.org:5", uses), 0);
	ck_assert_int_eq(target.kind, MRPC_TARGET_OWN);
	ck_assert_str_eq(target.authority, "a%20b.org:5");
	ck_assert_str_eq(target.verify_name, "a b.org");
	mrpc_target_clear(&target);
	ck_assert_int_eq(mrpc_resolving_parse(&target, "own://reg.org/x/y", owns), 0);
	ck_assert_str_eq(target.authority, "x%2Fy");
	mrpc_target_clear(&target);
	ck_assert_int_eq(mrpc_resolving_parse(&target, "own:", owns), -EINVAL);
	ck_assert_int_eq(mrpc_resolving_parse(&target, "own:///", owns), -EINVAL);
	ck_assert_int_eq(mrpc_resolving_parse(&target, "own:%00", owns), -EINVAL);
}
END_TEST

START_TEST(L_1_an_unknown_scheme_is_a_name)
{
	struct mrpc_target target;

	/* "nobody:80" is host and port; what else has a colon is no name. */
	ck_assert_int_eq(mrpc_resolving_parse(&target, "nobody:80", owns), 0);
	ck_assert_int_eq(target.kind, MRPC_TARGET_DNS);
	ck_assert_str_eq(target.host, "nobody");
	mrpc_target_clear(&target);
	ck_assert_int_eq(mrpc_resolving_parse(&target, "nobody:///x", owns), -EINVAL);
}
END_TEST

START_TEST(a_scheme_is_a_short_lower_case_word)
{
	static const char *const schemes[] = {
		"", "Own", "o:", "o n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL
	};
	struct mrpc_target target;

	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		const struct minirpc_resolver bad = { schemes[i], own_start, NULL, NULL };
		const struct minirpc_resolver_use uses[] = { { &bad, NULL }, { NULL, NULL } };

		ck_assert_int_eq(mrpc_resolving_parse(&target, "a.org", uses), -EINVAL);
	}
}
END_TEST

START_TEST(dns_servers_are_addresses)
{
	static const struct {
		const char *servers;
		int result;
	} rows[] = {
		{ "10.0.0.1", 0 },         { "10.0.0.1:53,[::1]:5353,::1", 0 },
		{ "", -EINVAL },           { "10.0.0.1,", -EINVAL },
		{ "ns.org", -EINVAL },     { "10.0.0.1:0", -EINVAL },
		{ "10.0.0.1:x", -EINVAL },
	};

	ck_assert_int_eq(mrpc_target_parse(&told.target, "a.org"), 0);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct minirpc_resolving resolving = { 0 };
		const struct mrpc_resolving_config config = {
			.loop = loop,
			.target = "a.org",
			.parsed = &told.target,
			.dns_servers = rows[i].servers,
			.on_result = on_result,
			.on_failure = on_failure,
		};

		int expected = rows[i].result;

		if (expected == 0 && !mrpc_resolve_asks_servers())
			expected = -ENOTSUP; /* built without c-ares */
		ck_assert_msg(mrpc_resolving_init(&resolving, &config) == expected, "%s",
			      rows[i].servers);
		mrpc_resolving_clear(&resolving);
	}
}
END_TEST

START_TEST(L_1_a_server_in_the_target_needs_c_ares)
{
	minirpc_channel *channel = NULL;

	ck_assert_int_eq(minirpc_channel_new(&channel, loop, "dns://10.0.0.1/a.org", NULL),
			 mrpc_resolve_asks_servers() ? 0 : -ENOTSUP);
	minirpc_channel_free(channel);
}
END_TEST

/* ---- What a user's resolver may do ---- */

START_TEST(L_2_a_list_may_be_pushed_at_any_time)
{
	open_own();
	ck_assert_uint_eq(told.results + told.failures, 0);
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
	ck_assert_str_eq(told.addresses, "10.0.0.1:1 ");
	advance(MINIRPC_S(3600));
	ck_assert_int_eq(push(own.to, "[::1]:2"), 0);
	ck_assert_str_eq(told.addresses, "[::1]:2 ");
	ck_assert_int_eq(push(own.to, "vsock:2:5051"), 0);
	ck_assert_int_eq(push(own.to, "unix:/run/x"), 0);
	ck_assert_int_eq(push(own.to, "unix-abstract:x"), 0);
	ck_assert_int_eq(push(own.to, "ipv4:10.0.0.1:1"), 0);
	ck_assert_uint_eq(told.results, 6);
	ck_assert_uint_eq(own.agains, 0);
	ck_assert_ptr_eq(minirpc_resolving_loop(own.to), loop);
}
END_TEST

START_TEST(nonsense_is_refused_whole)
{
	static const char *const bad[] = {
		"",        "a.org:1",      "10.0.0.1:0",      "10.0.0.1:x",   "unix:",
		"vsock:1", "ipv4:[::1]:1", "ipv6:10.0.0.1:1", "[10.0.0.1]:1", "10.0.0.1:65536"
	};
	const char *many[MRPC_ENDPOINT_ADDRESSES_MAX + 2] = { NULL }, *const one[] = { "10.0.0.2:1",
										       NULL };
	static struct minirpc_endpoint endpoints[MRPC_ENDPOINTS_MAX + 1];
	struct minirpc_resolver_result result = { .endpoints = endpoints };

	open_own();
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(push(own.to, bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(push(own.to, NULL), -EINVAL); /* no address at all */
	ck_assert_int_eq(minirpc_resolving_push(own.to, NULL), -EINVAL);
	ck_assert_int_eq(minirpc_resolving_push(
				 own.to, &(struct minirpc_resolver_result){ .endpoint_count = 1 }),
			 -EINVAL);
	ck_assert_uint_eq(told.results, 1);

	for (size_t i = 0; i < MRPC_ENDPOINT_ADDRESSES_MAX; i++)
		many[i] = "10.0.0.1:1";
	for (size_t i = 0; i < MRPC_ENDPOINTS_MAX + 1; i++)
		endpoints[i].addresses = i == 0 ? many : one;
	result.endpoint_count = MRPC_ENDPOINTS_MAX;
	ck_assert_int_eq(minirpc_resolving_push(own.to, &result), 0);
	ck_assert_uint_eq(told.endpoints, MRPC_ENDPOINTS_MAX);
	result.endpoint_count = MRPC_ENDPOINTS_MAX + 1;
	ck_assert_int_eq(minirpc_resolving_push(own.to, &result), -EINVAL);
	many[MRPC_ENDPOINT_ADDRESSES_MAX] = "10.0.0.1:1";
	result.endpoint_count = 1;
	ck_assert_int_eq(minirpc_resolving_push(own.to, &result), -EINVAL);
	many[1] = NULL;
	endpoints[0].server_name = "";
	ck_assert_int_eq(minirpc_resolving_push(own.to, &result), -EINVAL);
	endpoints[0].server_name = "a b";
	ck_assert_int_eq(minirpc_resolving_push(own.to, &result), -EINVAL);
	endpoints[0].server_name = "a.org";
	ck_assert_int_eq(minirpc_resolving_push(own.to, &result), 0);
	ck_assert_uint_eq(told.results, 3);
	endpoints[0].server_name = NULL;
}
END_TEST

START_TEST(an_empty_list_with_a_note_is_a_result)
{
	char note[1000];

	open_own();
	memset(note, 'n', sizeof note - 1);
	note[sizeof note - 1] = '\0';
	ck_assert_int_eq(
		minirpc_resolving_push(own.to, &(struct minirpc_resolver_result){ .note = note }),
		0);
	ck_assert_uint_eq(told.endpoints, 0);
	ck_assert_uint_eq(strlen(told.note), 399); /* cut, not refused */
}
END_TEST

START_TEST(a_push_inside_start_is_taken)
{
	own.inside = 1;
	open_own();
	ck_assert_uint_eq(told.results, 1);
	mrpc_resolving_stop(&told.resolving);
	ck_assert_uint_eq(own.stops, 1);
}
END_TEST

START_TEST(a_push_after_stop_is_refused_and_nothing_follows)
{
	open_own();
	mrpc_resolving_stop(&told.resolving);
	ck_assert_uint_eq(own.stops, 1);
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), -EINVAL);
	minirpc_resolving_fail(own.to, "late");
	advance(MINIRPC_S(3600));
	ck_assert_uint_eq(told.results + told.failures + own.agains, 0);

	mrpc_resolving_start(&told.resolving); /* and begins anew */
	mrpc_resolving_start(&told.resolving);
	settle();
	ck_assert_uint_eq(own.starts, 2);
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
}
END_TEST

START_TEST(one_that_never_pushes_waits_and_ends_quietly)
{
	open_own();
	advance(MINIRPC_S(86400));
	ck_assert_uint_eq(told.results + told.failures + own.agains, 0);
}
END_TEST

START_TEST(a_start_that_ends_its_channel_gets_its_stop)
{
	for (own.inside = 3; own.inside <= 4; own.inside++) {
		ck_assert_int_eq(try_open("own:///cache%20one"), 0);
		mrpc_resolving_start(&told.resolving);
		settle();
		ck_assert_uint_eq(own.starts, own.stops);
		mrpc_resolving_clear(&told.resolving);
		mrpc_target_clear(&told.target);
	}
	own.inside = 5; /* stopped and wanted again, from inside */
	ck_assert_int_eq(try_open("own:///cache%20one"), 0);
	mrpc_resolving_start(&told.resolving);
	settle();
	ck_assert_uint_eq(own.starts, 4);
	ck_assert_uint_eq(own.stops, 3);
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
}
END_TEST

START_TEST(the_channel_may_be_freed_from_inside_a_push)
{
	open_own();
	told.free_on_push = true;
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
	ck_assert_uint_eq(own.stops, 1);
	own.inside = 1;
	mrpc_target_clear(&told.target);
	ck_assert_int_eq(try_open("own:///cache%20one"), 0);
	told.free_on_push = true;
	mrpc_resolving_start(&told.resolving);
	settle(); /* a push, inside start, frees */
	ck_assert_uint_eq(own.starts, 2);
	ck_assert_uint_eq(own.stops, 2);
}
END_TEST

/* ---- When it is asked ---- */

START_TEST(L_2_asking_again_keeps_the_minimum_interval)
{
	open_own();
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
	advance(INTERVAL - 1);
	mrpc_resolving_again(&told.resolving);
	mrpc_resolving_again(&told.resolving);
	settle();
	ck_assert_uint_eq(own.agains, 0);
	advance(1);
	ck_assert_uint_eq(own.agains, 1);
	advance(MINIRPC_S(600)); /* once asked, once told */
	ck_assert_uint_eq(own.agains, 1);
	mrpc_resolving_again(&told.resolving);
	settle();
	ck_assert_uint_eq(own.agains, 2);
	mrpc_resolving_again(&told.resolving);
	mrpc_resolving_stop(&told.resolving);
	advance(INTERVAL);
	ck_assert_uint_eq(own.agains, 2);
}
END_TEST

/* 1 s, 1.6 s, 2.56 s ... each 20 % shorter or longer, from failure to question. */
START_TEST(a_failure_is_followed_by_a_question_after_a_growing_backoff)
{
	minirpc_time span = MINIRPC_S(1);

	open_own();
	for (unsigned i = 1; i <= 5; i++) {
		minirpc_resolving_fail(own.to, "no registry");
		minirpc_resolving_fail(own.to, "no registry at all"); /* does not make it longer */
		mrpc_resolving_again(&told.resolving);                /* nor shorter */
		ck_assert_uint_eq(told.failures, 2 * i);
		ck_assert_str_eq(told.reason, "no registry at all");
		advance(span / 5 * 4 - 1);
		ck_assert_uint_eq(own.agains, i - 1);
		advance(span / 5 * 2 + 1);
		ck_assert_uint_eq(own.agains, i);
		span = span / 5 * 8;
	}
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0); /* success starts over */
	minirpc_resolving_fail(own.to, NULL);
	ck_assert_str_eq(told.reason, "name resolution failed");
	advance(MINIRPC_MS(1200));
	ck_assert_uint_eq(own.agains, 6);
	minirpc_resolving_fail(own.to, "");
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0); /* by itself: nothing left to ask */
	advance(MINIRPC_S(600));
	ck_assert_uint_eq(own.agains, 6);
}
END_TEST

START_TEST(a_start_that_fails_is_tried_again)
{
	own.start_result = -EACCES;
	open_own();
	ck_assert_str_eq(told.reason,
			 "the resolver for own:///cache%20one cannot start: Permission denied");
	advance(MINIRPC_MS(1200));
	ck_assert_uint_eq(own.starts, 2);
	ck_assert_uint_eq(told.failures, 2);
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), -EINVAL);
	own.start_result = 0;
	own.starts = 0;
	advance(MINIRPC_MS(1920));
	ck_assert_uint_eq(own.starts, 1);
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), 0);
}
END_TEST

START_TEST(what_start_says_inside_it_may_say)
{
	own.inside = 2;
	open_own();
	ck_assert_uint_eq(told.failures, 1);
	ck_assert_str_eq(told.reason, "inside");
	advance(MINIRPC_MS(1200));
	ck_assert_uint_eq(own.agains, 1);
	ck_assert_uint_eq(own.starts, 1);
}
END_TEST

START_TEST(a_list_that_found_no_memory_is_asked_for_again)
{
	open_own();
	told.answer = -ENOMEM;
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), -ENOMEM);
	advance(MINIRPC_MS(1200));
	ck_assert_uint_eq(own.agains, 1);
	told.answer = -EINVAL; /* a service config */
	ck_assert_int_eq(push(own.to, "10.0.0.1:1"), -EINVAL);
	told.answer = 0;
}
END_TEST

/* ---- Lists ---- */

START_TEST(each_address_of_a_target_is_an_endpoint)
{
	static const char *const rows[][2] = {
		{ "ipv4:10.0.0.1:5,10.0.0.2", "ipv4:10.0.0.1:5 ipv4:10.0.0.2:443 " },
		{ "ipv6:[::1]:5,[::2]:6", "ipv6:[::1]:5 ipv6:[::2]:6 " },
		{ "unix:/run/\x01\xC3", "unix:/run/\x01\xC3 " },
		{ "unix-abstract:x", "unix-abstract:x " },
		{ "vsock:2:5051", "vsock:2:5051 " },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ck_assert_int_eq(try_open(rows[i][0]), 0);
		mrpc_resolving_start(&told.resolving);
		settle();
		ck_assert_uint_eq(told.results, 1);
		ck_assert_uint_eq(told.endpoints, told.target.address_count);
		ck_assert_str_eq(told.addresses, rows[i][1]);
		mrpc_resolving_again(&told.resolving); /* nothing new to say */
		advance(INTERVAL);
		ck_assert_uint_eq(told.results, 1);
		mrpc_resolving_clear(&told.resolving);
		mrpc_target_clear(&told.target);
	}
}
END_TEST

START_TEST(a_list_of_a_thousand_is_taken_and_one_more_is_not)
{
	size_t size = 5 + 1001 * 9;
	char *text = malloc(size + 1);
	struct mrpc_target target;

	strcpy(text, "ipv4:");
	for (size_t i = 0; i < 1000; i++)
		strcat(text, i == 0 ? "1.2.3.4" : ",1.2.3.4");
	ck_assert_int_eq(try_open(text), 0);
	mrpc_resolving_start(&told.resolving);
	settle();
	ck_assert_uint_eq(told.endpoints, 1000);
	strcat(text, ",1.2.3.4");
	ck_assert_int_eq(mrpc_target_parse(&target, text), -EINVAL);
	mrpc_resolving_clear(&told.resolving); /* before the text is gone */
	free(text);
}
END_TEST

START_TEST(lists_of_4096_addresses_are_taken_and_one_more_is_not)
{
	const char *addresses[33] = { NULL }, *const one[] = { "1.2.3.4:5", NULL };
	struct minirpc_endpoint endpoints[129];

	for (size_t i = 0; i < 32; i++)
		addresses[i] = "1.2.3.4:5";
	for (size_t i = 0; i < 128; i++)
		endpoints[i] = (struct minirpc_endpoint){ .addresses = addresses };
	endpoints[128] = (struct minirpc_endpoint){ .addresses = one };
	ck_assert_int_eq(try_open("list:cache"), 0);
	mrpc_resolving_start(&told.resolving);
	settle();
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, endpoints, 128), 0);
	ck_assert_uint_eq(told.endpoints, 128);
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, endpoints, 129), -EINVAL);
	ck_assert_uint_eq(told.endpoints, 128);
}
END_TEST

START_TEST(a_list_is_what_the_program_sets)
{
	const char *const one[] = { "10.0.0.1:1", "[::1]:1", NULL }, *const two[] = { "10.0.0.2:1",
										      NULL };
	const char *const bad[] = { "a.org:1", NULL };
	const struct minirpc_endpoint first[] = { { .addresses = one },
						  { .addresses = two, .server_name = "b.org" } };
	const struct minirpc_endpoint second = { .addresses = two }, third = { .addresses = bad };

	ck_assert_int_eq(try_open("list:cache"), 0);
	mrpc_resolving_start(&told.resolving);
	settle();
	ck_assert_uint_eq(told.results, 1);
	ck_assert_uint_eq(told.endpoints, 0);
	ck_assert_ptr_nonnull(strstr(told.note, "list:cache has no addresses yet"));
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, first, 2), 0);
	ck_assert_str_eq(told.addresses, "10.0.0.1:1 [::1]:1 10.0.0.2:1 ");
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, &third, 1), -EINVAL);
	told.answer = -ENOMEM;
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, &second, 1), -ENOMEM);
	told.answer = 0;
	advance(MINIRPC_MS(1200)); /* the one before, once more: what did not fit may have hurt */
	ck_assert_str_eq(told.addresses, "10.0.0.1:1 [::1]:1 10.0.0.2:1 ");

	mrpc_resolving_stop(&told.resolving);
	told.results = 0;
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, &second, 1), 0); /* kept */
	ck_assert_uint_eq(told.results, 0);
	mrpc_resolving_start(&told.resolving);
	settle();
	ck_assert_str_eq(told.addresses, "10.0.0.2:1 ");
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, NULL, 0), 0);
	ck_assert_uint_eq(told.endpoints, 0);
}
END_TEST

START_TEST(other_targets_have_no_list_to_set)
{
	const char *const one[] = { "10.0.0.1:1", NULL };
	const struct minirpc_endpoint endpoint = { .addresses = one };

	ck_assert_int_eq(try_open("ipv4:10.0.0.1:5"), 0);
	ck_assert_int_eq(mrpc_resolving_set_list(&told.resolving, &endpoint, 1), -EINVAL);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	static const char *const targets[] = { "ipv4:10.0.0.1:5,10.0.0.2:5", "list:x",
					       "own:///cache%20one" };
	const char *const one[] = { "10.0.0.1:1", NULL };
	const struct minirpc_endpoint endpoint = { .addresses = one };

	for (size_t i = 0; i < 3; i++) {
		int r = -1;

		for (size_t n = 1; r != 0; n++) {
			alloc_fail_at(n, false);
			r = try_open(targets[i]);
			if (r == 0) {
				mrpc_resolving_start(&told.resolving);
				settle();
				if (i == 1)
					r = mrpc_resolving_set_list(&told.resolving, &endpoint, 1);
				if (i == 0 && told.results == 0) {
					ck_assert_str_eq(told.reason,
							 "no memory for the addresses");
					advance(MINIRPC_MS(1200));
					ck_assert_uint_eq(told.results, 1);
					r = -ENOMEM;
				}
			}
			alloc_fail_at(0, false);
			ck_assert(r == 0 || r == -ENOMEM);
			mrpc_resolving_clear(&told.resolving);
			mrpc_target_clear(&told.target);
		}
	}
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("client/resolving");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_scheme_of_the_users_goes_before_ours);
	tcase_add_test(all, L_1_an_unknown_scheme_is_a_name);
	tcase_add_test(all, a_scheme_is_a_short_lower_case_word);
	tcase_add_test(all, dns_servers_are_addresses);
	tcase_add_test(all, L_1_a_server_in_the_target_needs_c_ares);
	tcase_add_test(all, L_2_a_list_may_be_pushed_at_any_time);
	tcase_add_test(all, nonsense_is_refused_whole);
	tcase_add_test(all, an_empty_list_with_a_note_is_a_result);
	tcase_add_test(all, a_push_inside_start_is_taken);
	tcase_add_test(all, a_push_after_stop_is_refused_and_nothing_follows);
	tcase_add_test(all, one_that_never_pushes_waits_and_ends_quietly);
	tcase_add_test(all, a_start_that_ends_its_channel_gets_its_stop);
	tcase_add_test(all, the_channel_may_be_freed_from_inside_a_push);
	tcase_add_test(all, L_2_asking_again_keeps_the_minimum_interval);
	tcase_add_test(all, a_failure_is_followed_by_a_question_after_a_growing_backoff);
	tcase_add_test(all, a_start_that_fails_is_tried_again);
	tcase_add_test(all, what_start_says_inside_it_may_say);
	tcase_add_test(all, a_list_that_found_no_memory_is_asked_for_again);
	tcase_add_test(all, each_address_of_a_target_is_an_endpoint);
	tcase_add_test(all, a_list_of_a_thousand_is_taken_and_one_more_is_not);
	tcase_add_test(all, lists_of_4096_addresses_are_taken_and_one_more_is_not);
	tcase_add_test(all, a_list_is_what_the_program_sets);
	tcase_add_test(all, other_targets_have_no_list_to_set);
	tcase_add_test(all, every_allocation_may_fail);
	suite_add_tcase(suite, all);
	return suite;
}

/* SPDX-License-Identifier: MIT */
/* What options say of compression, for channels, calls and servers. */
#include "client/pair.h"
#include "run_suite.h"

#include <errno.h>
#include <string.h>

static struct pair pair;

static void setup(void)
{
	pair = (struct pair){ 0 };
}

static void teardown(void)
{
	pair_close(&pair);
}

/* A compressor of the application's: every byte is turned around. It counts. */
static unsigned turned;

typedef int put_fn(void *sink, const void *bytes, size_t len);

static int turn(void *user, const void *data, size_t len, put_fn *put, void *sink)
{
	const uint8_t *bytes = data;

	ck_assert_str_eq(user, "mine");
	turned++;
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)~bytes[i];
		int r = put(sink, &byte, 1);

		if (r != 0)
			return r;
	}
	return 0;
}

static const struct minirpc_compressor mine = {
	.name = "x-turned",
	.user = (void *)(uintptr_t) "mine",
	.compress = turn,
	.decompress = turn,
};

static const struct minirpc_compressor *const list[] = { &mine, NULL };

/* The encoding in which a request with these options comes to the server. */
static const char *encoding_of(const char *call, minirpc_channel *channel)
{
	static struct probe probes[8];
	static unsigned used;
	struct probe *probe = &probes[used++ % 8];

	*probe = (struct probe){ 0 };
	probe_call(probe, channel, &hang, &(struct minirpc_call_options){ .compression = call });
	pair_settle(&pair);
	return minirpc_call_peer_compression(seen.last);
}

START_TEST(C_5_a_call_chooses_before_its_channel)
{
	pair_open(&pair, NULL, &(struct minirpc_channel_options){ .compression = "gzip" });
	pair_connect(&pair);
	ck_assert_str_eq(encoding_of(NULL, pair.channel), "gzip");
	ck_assert_str_eq(encoding_of("deflate", pair.channel), "deflate");
	ck_assert_str_eq(encoding_of("identity", pair.channel), "identity");
	ck_assert_str_eq(encoding_of(NULL, pair.channel), "gzip");
}
END_TEST

START_TEST(nothing_is_compressed_unless_it_is_asked_for)
{
	pair_open(&pair, NULL, NULL);
	pair_connect(&pair);
	ck_assert_str_eq(encoding_of(NULL, pair.channel), "identity");
	ck_assert_str_eq(encoding_of("gzip", pair.channel), "gzip");
}
END_TEST

START_TEST(what_is_unknown_is_refused_by_channel_server_and_call)
{
	static const struct minirpc_compressor bad = { .name = "Bad",
						       .compress = turn,
						       .decompress = turn };
	static const struct minirpc_compressor *const bad_list[] = { &bad, NULL };
	minirpc_channel *channel;
	minirpc_server *server;
	minirpc_call *call;

	pair_open(&pair, NULL, NULL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, pair.loop, "attached:a",
				    &(struct minirpc_channel_options){ .compression = "x-turned" }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_channel_new(&channel, NULL, "attached:a",
				    &(struct minirpc_channel_options){ .compressors = bad_list }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_server_new(&server, pair.loop,
				   &(struct minirpc_server_options){ .compression = "GZIP" }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_server_new(&server, pair.loop,
				   &(struct minirpc_server_options){ .compressors = bad_list }),
		-EINVAL);
	ck_assert_int_eq(
		minirpc_call_open(&call, pair.channel, &echo,
				  &(struct minirpc_call_options){ .compression = "x-turned" }, NULL,
				  NULL),
		-EINVAL);
}
END_TEST

START_TEST(an_application_brings_its_own)
{
	struct probe probe = { 0 };

	turned = 0;
	pair_open(
		&pair,
		&(struct minirpc_server_options){ .compressors = list, .compression = "x-turned" },
		&(struct minirpc_channel_options){ .compressors = list,
						   .compression = "x-turned" });
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_uint_eq(turned, 4);
}
END_TEST

START_TEST(C_3_what_the_server_does_not_know_is_unimplemented)
{
	struct probe probe = { 0 };

	pair_open(&pair, NULL,
		  &(struct minirpc_channel_options){ .compressors = list,
						     .compression = "x-turned" });
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED);
	ck_assert_uint_eq(seen.calls, 0);
}
END_TEST

START_TEST(C_4_what_the_client_does_not_know_is_not_used)
{
	struct probe probe = { 0 };

	turned = 0;
	pair_open(
		&pair,
		&(struct minirpc_server_options){ .compressors = list, .compression = "x-turned" },
		NULL);
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_uint_eq(turned, 0);
}
END_TEST

START_TEST(whoever_wants_none_of_ours_neither_says_nor_takes_them)
{
	struct probe probe = { 0 };
	minirpc_call *call;

	pair_open(&pair, NULL, &(struct minirpc_channel_options){ .only_compressors = true });
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(minirpc_call_set_compression(seen.last, "gzip"), -ENOTSUP);
	ck_assert_int_eq(minirpc_call_open(&call, pair.channel, &echo,
					   &(struct minirpc_call_options){ .compression = "gzip" },
					   NULL, NULL),
			 -EINVAL);
	pair_close(&pair);

	probe = (struct probe){ 0 };
	pair_open(&pair,
		  &(struct minirpc_server_options){ .only_compressors = true, .compressors = list },
		  &(struct minirpc_channel_options){ .compression = "gzip" });
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_UNIMPLEMENTED); /* C-3 */
}
END_TEST

/* What was kept for another attempt is compressed already, and goes as it is. */
START_TEST(a_call_that_starts_over_is_compressed_once)
{
	struct probe probe = { 0 };

	turned = 0;
	pair_open(&pair, &(struct minirpc_server_options){ .compressors = list },
		  &(struct minirpc_channel_options){ .compressors = list,
						     .compression = "x-turned" });
	probe_call(&probe, pair.channel, &echo, NULL);
	pair_connect(&pair);
	pair_cut(&pair); /* it never left */
	ck_assert_uint_eq(probe.ends, 0);
	pair_settle(&pair);
	pair_connect(&pair);
	pair_settle(&pair);
	ck_assert_int_eq(probe.code, MINIRPC_OK);
	ck_assert_str_eq(probe.last, "hello");
	ck_assert_uint_eq(turned, 2);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("client/compress");
	TCase *t = tcase_create("compress");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, C_5_a_call_chooses_before_its_channel);
	tcase_add_test(t, nothing_is_compressed_unless_it_is_asked_for);
	tcase_add_test(t, what_is_unknown_is_refused_by_channel_server_and_call);
	tcase_add_test(t, an_application_brings_its_own);
	tcase_add_test(t, C_3_what_the_server_does_not_know_is_unimplemented);
	tcase_add_test(t, C_4_what_the_client_does_not_know_is_not_used);
	tcase_add_test(t, whoever_wants_none_of_ours_neither_says_nor_takes_them);
	tcase_add_test(t, a_call_that_starts_over_is_compressed_once);
	suite_add_tcase(s, t);
	return s;
}

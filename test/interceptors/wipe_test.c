/* SPDX-License-Identifier: MIT */
/* Tokens are wiped before their memory is given back: an allocator of the test's own, in place of
 * lib/base/alloc.c, looks into each block that is freed. What a call holds is the call's until it is over, and
 * is not looked at. */
#include "client/pair.h"
#include "run_suite.h"

#include "base/alloc.h"

#include <minirpc/interceptors.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "s3cr3t-token"

static bool looking;
static unsigned found, freed;

static void look(void *block)
{
	if (block == NULL || !looking)
		return;
	freed++;
	if (memmem(block, malloc_usable_size(block), SECRET, sizeof SECRET - 1) != NULL)
		found++;
}

void *mrpc_alloc(size_t size)
{
	return calloc(1, size == 0 ? 1 : size);
}

void *mrpc_zalloc(size_t size)
{
	return calloc(1, size == 0 ? 1 : size);
}

void *mrpc_realloc(void *p, size_t size)
{
	return realloc(p, size == 0 ? 1 : size);
}

void *mrpc_free(void *p)
{
	look(p);
	free(p);
	return NULL;
}

bool mrpc_alloc_is_watched(void)
{
	return false;
}

static void begin_to_look(void)
{
	looking = true;
	found = freed = 0;
}

static minirpc_credentials_request *asked;

static void get(minirpc_credentials_request *request, void *user)
{
	(void)user;
	asked = request;
}

START_TEST(the_test_would_see_it)
{
	char *block = mrpc_alloc(100);

	strcpy(block, "x" SECRET);
	begin_to_look();
	mrpc_free(block);
	ck_assert_uint_eq(found, 1);
}
END_TEST

START_TEST(a_bearer_token_is_wiped_when_it_is_freed)
{
	minirpc_credentials *credentials;

	begin_to_look(); /* on the way in as well */
	ck_assert_int_eq(minirpc_credentials_new_bearer(&credentials, SECRET, false), 0);
	minirpc_credentials_free(credentials);
	ck_assert_uint_ge(freed, 3);
	ck_assert_uint_eq(found, 0);
}
END_TEST

START_TEST(a_shared_token_is_wiped_when_another_one_takes_its_place)
{
	const struct minirpc_credentials_options options = { .get = get,
							     .shared = true,
							     .allow_plaintext = true };
	struct minirpc_use uses[2] = { { NULL } };
	minirpc_credentials *credentials;
	struct probe probe = { 0 };
	struct pair pair;

	ck_assert_int_eq(minirpc_credentials_new(&credentials, &options), 0);
	uses[0] = minirpc_credentials_use(credentials);
	pair_open(&pair, NULL, &(struct minirpc_channel_options){ .interceptors = uses });
	pair_connect(&pair);
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair);
	begin_to_look();
	minirpc_credentials_answer_bearer(asked, SECRET, MINIRPC_S(100));
	looking = false;
	ck_assert_uint_ge(freed, 2);
	ck_assert_uint_eq(found, 0);
	pair_settle(&pair);
	pair_advance(&pair, MINIRPC_S(90));
	probe = (struct probe){ 0 };
	probe_call(&probe, pair.channel, &hang, NULL);
	pair_settle(&pair); /* asks for the next one */
	begin_to_look();
	minirpc_credentials_answer_bearer(asked, "another", MINIRPC_S(100));
	looking = false;
	ck_assert_uint_ge(freed, 3);
	ck_assert_uint_eq(found, 0);
	pair_close(&pair);
	minirpc_credentials_free(credentials);
}
END_TEST

Suite *suite(void)
{
	Suite *s = suite_create("interceptors/wipe");
	TCase *t = tcase_create("wipe");

	tcase_add_test(t, the_test_would_see_it);
	tcase_add_test(t, a_bearer_token_is_wiped_when_it_is_freed);
	tcase_add_test(t, a_shared_token_is_wiped_when_another_one_takes_its_place);
	suite_add_tcase(s, t);
	return s;
}

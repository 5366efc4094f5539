/* SPDX-License-Identifier: MIT */
/* lib/io/resolve_gai.c, which is compiled into this test in every build, with resolve.c over it. getaddrinfo and
 * pthread_create are the test's (ld --wrap): names that hang as long as the test likes, and a count of threads that
 * have really ended. Also run under -fsanitize=thread. */
#include "io/resolve.h"

#include "base/alloc.h"
#include "io/hand_loop.h"
#include "run_suite.h"
#include "world/alloc_fail.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 8 };

/* ---- The system, as the test has it ---- */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool held; /* names that begin with "held" */
	unsigned asked, asking, most, started, ended;
	unsigned refused; /* so many of the next threads cannot be started */
	int detached;
	size_t stack;
	sigset_t blocked; /* on the last helper */
	char last[300];
} os = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **ret_info);
void __wrap_freeaddrinfo(struct addrinfo *info);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *user);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *user);

static struct addrinfo *record(struct addrinfo *next, int family, uint8_t last)
{
	struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in6));
	struct sockaddr_in *v4;
	struct sockaddr_in6 *v6;

	*info = (struct addrinfo){ .ai_family = family,
				   .ai_addr = (struct sockaddr *)(info + 1),
				   .ai_next = next };
	if (family == AF_INET) {
		v4 = (struct sockaddr_in *)(void *)info->ai_addr;
		v4->sin_family = AF_INET;
		v4->sin_addr.s_addr = htonl(0x7F000000u + last);
		info->ai_addrlen = sizeof *v4;
	} else {
		v6 = (struct sockaddr_in6 *)(void *)info->ai_addr;
		v6->sin6_family = AF_INET6;
		v6->sin6_addr.s6_addr[15] = last;
		info->ai_addrlen = sizeof *v6;
	}
	return info;
}

static struct addrinfo *records(const char *host)
{
	struct addrinfo *info = NULL;
	unsigned count = strncmp(host, "many", 4) == 0 ? 200 : 2;

	for (unsigned i = count; i > 0; i--)
		info = record(info, AF_INET6, (uint8_t)i);
	for (unsigned i = count; i > 0; i--)
		info = record(info, AF_INET, (uint8_t)i);
	return info;
}

static const struct {
	const char *host;
	int status, error;
	const char *reason;
} failures[] = {
	{ "nx.test", EAI_NONAME, -ENOENT, "nx.test: no such host" },
	{ "none.test", EAI_NODATA, -ENOENT, "none.test: the name has no address" },
	{ "other.test", EAI_ADDRFAMILY, -ENOENT, "other.test: the name has no address" },
	{ "again.test", EAI_AGAIN, -EAGAIN, "again.test: the DNS servers do not answer, or fail" },
	{ "memory.test", EAI_MEMORY, -ENOMEM, "memory.test: Cannot allocate memory" },
	{ "system.test", EAI_SYSTEM, -EMFILE, "system.test: Too many open files" },
	{ "fail.test", EAI_FAIL, -EIO, "fail.test: Non-recoverable failure in name resolution" },
};

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **ret_info)
{
	int status = 0;

	(void)service;
	pthread_mutex_lock(&os.mutex);
	os.asked++;
	if (++os.asking > os.most)
		os.most = os.asking;
	pthread_sigmask(SIG_SETMASK, NULL, &os.blocked);
	snprintf(os.last, sizeof os.last, "%s", host);
	pthread_cond_broadcast(&os.changed);
	while (os.held && strncmp(host, "held", 4) == 0)
		pthread_cond_wait(&os.changed, &os.mutex);
	os.asking--;
	pthread_mutex_unlock(&os.mutex);

	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
		if (strcmp(host, failures[i].host) == 0)
			status = failures[i].status;
	if (strncmp(host, "both", 4) == 0 && hints->ai_family != AF_UNSPEC)
		status = EAI_FAIL;
	errno = EMFILE;
	if (status == 0)
		*ret_info =
			strcmp(host, "empty.test") == 0 ? record(NULL, AF_UNIX, 0) : records(host);
	return status;
}

void __wrap_freeaddrinfo(struct addrinfo *info)
{
	while (info != NULL) {
		struct addrinfo *next = info->ai_next;

		free(info);
		info = next;
	}
}

struct thread {
	void *(*run)(void *user);
	void *user;
};

static void *run_thread(void *user)
{
	struct thread thread = *(struct thread *)user;

	free(user);
	thread.run(thread.user);
	pthread_mutex_lock(&os.mutex);
	os.ended++;
	pthread_cond_broadcast(&os.changed);
	pthread_mutex_unlock(&os.mutex);
	return NULL;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
			  void *user)
{
	struct thread *own;
	int r;

	pthread_mutex_lock(&os.mutex);
	if (os.refused > 0) {
		os.refused--;
		pthread_mutex_unlock(&os.mutex);
		return EAGAIN;
	}
	os.started++;
	pthread_attr_getdetachstate(attr, &os.detached);
	pthread_attr_getstacksize(attr, &os.stack);
	pthread_mutex_unlock(&os.mutex);
	own = malloc(sizeof *own);
	*own = (struct thread){ run, user };
	r = __real_pthread_create(thread, attr, run_thread, own);
	ck_assert_int_eq(r, 0);
	return r;
}

/* Each of these waits as long as it takes; Check ends a test that waits for ever. */
static void until_asked(unsigned count)
{
	pthread_mutex_lock(&os.mutex);
	while (os.asked < count)
		pthread_cond_wait(&os.changed, &os.mutex);
	pthread_mutex_unlock(&os.mutex);
}

static void until_ended(unsigned count)
{
	pthread_mutex_lock(&os.mutex);
	while (os.ended < count)
		pthread_cond_wait(&os.changed, &os.mutex);
	ck_assert_uint_eq(os.ended, count);
	pthread_mutex_unlock(&os.mutex);
}

static void hold(bool held)
{
	pthread_mutex_lock(&os.mutex);
	os.held = held;
	pthread_cond_broadcast(&os.changed);
	pthread_mutex_unlock(&os.mutex);
}

/* ---- Those who ask ---- */

static struct hand_loop hand;

static struct answer {
	bool done;
	int calls, error;
	size_t count;
	struct mrpc_address addresses[64];
	char reason[400];
	minirpc_time ttl;
	struct mrpc_resolution *resolution;
} answers[20];

static void on_done(void *user, const struct mrpc_address *addresses, size_t count, int error,
		    const char *reason)
{
	struct answer *answer = user;

	answer->ttl = mrpc_resolution_ttl(answer->resolution);
	mrpc_resolution_free(answer->resolution);
	answer->resolution = NULL;
	answer->done = true;
	answer->calls++;
	answer->error = error;
	answer->count = count;
	for (size_t i = 0; i < count; i++)
		answer->addresses[i] = addresses[i];
	snprintf(answer->reason, sizeof answer->reason, "%s", reason);
}

static int begin(struct answer *answer, const char *host)
{
	*answer = (struct answer){ 0 };
	return mrpc_resolve(&answer->resolution, hand.loop, host, 77, on_done, answer);
}

static void resolve(struct answer *answer, const char *host)
{
	ck_assert_int_eq(begin(answer, host), 0);
	ck_assert_int_eq(answer->calls, 0); /* never from inside */
	hand_until(&hand, &answer->done);
	hand_settle(&hand);
	ck_assert_int_eq(answer->calls, 1);
}

static void set_up(void)
{
	hand_init(&hand, NULL);
}

static void tear_down(void)
{
	hold(false);
	until_ended(os.started);
	if (hand.loop != NULL)
		hand_clear(&hand);
	ck_assert_uint_eq(alloc_live(), 0);
}

static void free_loop(void)
{
	hand_clear(&hand);
	hand.loop = NULL;
}

/* ---- The facts ---- */

START_TEST(a_helper_asks_and_the_answer_comes_in_a_turn)
{
	struct answer *answer = &answers[0];

	resolve(answer, "both.test");
	ck_assert_int_eq(answer->error, 0);
	ck_assert_str_eq(answer->reason, "");
	ck_assert_str_eq(os.last, "both.test");
	ck_assert_uint_eq(answer->count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_uint_eq(mrpc_address_port(&answer->addresses[i]), 77);
		ck_assert_int_eq(answer->addresses[i].any.sa_family,
				 i % 2 == 0 ? AF_INET : AF_INET6);
	}
	ck_assert(answer->ttl == MINIRPC_NEVER); /* getaddrinfo does not say */
	ck_assert_uint_eq(os.started, 1);
	ck_assert_int_eq(os.detached, PTHREAD_CREATE_DETACHED);
	ck_assert_uint_eq(os.stack, 256 * 1024);
}
END_TEST

START_TEST(an_endless_answer_is_cut)
{
	resolve(&answers[0], "many.test");
	ck_assert_uint_eq(answers[0].count, 64);
}
END_TEST

START_TEST(what_getaddrinfo_says_is_said)
{
	for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
		resolve(&answers[0], failures[i].host);
		ck_assert_int_eq(answers[0].error, failures[i].error);
		ck_assert_str_eq(answers[0].reason, failures[i].reason);
		ck_assert_uint_eq(answers[0].count, 0);
	}
	resolve(&answers[0], "empty.test");
	ck_assert_int_eq(answers[0].error, -ENOENT);
}
END_TEST

START_TEST(literals_and_localhost_need_no_thread)
{
	static const char *const hosts[] = { "127.0.0.1", "::1", "localhost", "a.localhost." };

	for (size_t i = 0; i < 4; i++) {
		resolve(&answers[0], hosts[i]);
		ck_assert_int_eq(answers[0].error, 0);
		ck_assert_uint_eq(answers[0].count, i < 2 ? 1 : 2);
	}
	ck_assert_uint_eq(os.started, 0);
	ck_assert_uint_eq(os.asked, 0);
}
END_TEST

START_TEST(what_getaddrinfo_cannot_do_is_refused)
{
	struct mrpc_resolution *resolution;
	minirpc_loop *manual;

	ck_assert(!mrpc_resolve_asks_servers());
	ck_assert_int_eq(mrpc_resolve_by(&resolution, hand.loop, "127.0.0.1:53", "both.test", 1,
					 on_done, NULL),
			 -ENOTSUP);
	ck_assert_int_eq(
		mrpc_resolve_txt(&resolution, hand.loop, NULL, "both.test", "a=", NULL, NULL),
		-ENOTSUP);
	/* Nothing could wake it. */
	ck_assert_int_eq(
		minirpc_loop_new(&manual, &(struct minirpc_loop_options){ .manual = true }), 0);
	ck_assert_int_eq(mrpc_resolve(&resolution, manual, "both.test", 1, on_done, NULL),
			 -ENOTSUP);
	minirpc_loop_free(manual);
	ck_assert_uint_eq(os.asked, 0);
}
END_TEST

START_TEST(eight_ask_at_once_and_the_others_have_their_turn)
{
	hold(true);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(begin(&answers[i], "held.test"), 0);
	until_asked(AT_ONCE);
	hand_settle(&hand);
	ck_assert_uint_eq(os.started, AT_ONCE);
	hold(false);
	for (int i = 0; i < 20; i++) {
		hand_until(&hand, &answers[i].done);
		ck_assert_int_eq(answers[i].error, 0);
		ck_assert_int_eq(answers[i].calls, 1);
	}
	ck_assert_uint_eq(os.started, 20);
	ck_assert_uint_le(os.most, AT_ONCE);
}
END_TEST

START_TEST(one_that_waits_for_its_turn_and_is_freed_is_never_asked_for)
{
	hold(true);
	for (int i = 0; i < AT_ONCE + 2; i++)
		ck_assert_int_eq(begin(&answers[i], "held.test"), 0);
	mrpc_resolution_free(answers[AT_ONCE].resolution);
	hold(false);
	for (int i = 0; i < AT_ONCE + 2; i++)
		if (i != AT_ONCE)
			hand_until(&hand, &answers[i].done);
	ck_assert_int_eq(answers[AT_ONCE].calls, 0);
	ck_assert_uint_eq(os.started, AT_ONCE + 1);
}
END_TEST

START_TEST(one_that_is_freed_while_its_helper_asks_says_nothing)
{
	hold(true);
	for (int i = 0; i < AT_ONCE; i++)
		ck_assert_int_eq(begin(&answers[i], "held.test"), 0);
	until_asked(AT_ONCE);
	for (int i = 0; i < AT_ONCE; i++)
		mrpc_resolution_free(answers[i].resolution);

	/* Its helper still counts: what hangs does not become more threads. */
	ck_assert_int_eq(begin(&answers[AT_ONCE], "both.test"), 0);
	hand_settle(&hand);
	ck_assert_uint_eq(os.started, AT_ONCE);
	hold(false);
	hand_until(&hand, &answers[AT_ONCE].done);
	ck_assert_int_eq(answers[AT_ONCE].error, 0);
	until_ended(AT_ONCE + 1);
	hand_settle(&hand);
	for (int i = 0; i < AT_ONCE; i++)
		ck_assert_int_eq(answers[i].calls, 0);
}
END_TEST

START_TEST(a_loop_may_be_freed_while_helpers_ask)
{
	hold(true);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(begin(&answers[i], "held.test"), 0);
	until_asked(3);
	for (int i = 0; i < 3; i++)
		mrpc_resolution_free(answers[i].resolution);
	free_loop();
	hold(false);
	until_ended(3); /* and what they held is gone: tear_down looks */
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(answers[i].calls, 0);
}
END_TEST

START_TEST(an_answer_that_nobody_has_heard_goes_with_its_loop)
{
	hold(true);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(begin(&answers[i], i == 0 ? "held.test" : "both.test"), 0);
	until_ended(2);
	for (int i = 0; i < 3; i++)
		mrpc_resolution_free(answers[i].resolution);
	free_loop();
}
END_TEST

START_TEST(helpers_hear_no_signals_and_the_hosts_mask_stays)
{
	sigset_t before, after;
	struct answer *answer = &answers[0];

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	resolve(answer, "both.test");
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < 32; number++) {
		ck_assert_int_eq(sigismember(&after, number), sigismember(&before, number));
		if (number != SIGKILL && number != SIGSTOP)
			ck_assert_int_eq(sigismember(&os.blocked, number), 1);
	}
}
END_TEST

START_TEST(a_thread_that_cannot_be_started_fails_its_look_up_alone)
{
	os.refused = 1;
	resolve(&answers[0], "both.test");
	ck_assert_int_eq(answers[0].error, -EAGAIN);
	ck_assert_str_eq(answers[0].reason, "both.test: no thread to ask for it");
	resolve(&answers[0], "both.test");
	ck_assert_int_eq(answers[0].error, 0);

	/* The same when its turn comes later. */
	hold(true);
	for (int i = 0; i < AT_ONCE + 2; i++)
		ck_assert_int_eq(begin(&answers[i], "held.test"), 0);
	pthread_mutex_lock(&os.mutex);
	os.refused = 1;
	pthread_mutex_unlock(&os.mutex);
	hold(false);
	for (int i = 0; i < AT_ONCE + 2; i++) {
		hand_until(&hand, &answers[i].done);
		ck_assert_int_eq(answers[i].error, i == AT_ONCE ? -EAGAIN : 0);
	}
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	bool fine = false;

	for (size_t n = 1; !fine; n++) {
		int r;

		alloc_fail_at(n, false);
		r = begin(&answers[0], "both.test");
		if (r == 0)
			hand_until(&hand, &answers[0].done);
		else
			ck_assert_int_eq(r, -ENOMEM);
		fine = r == 0 && answers[0].error == 0;
		if (r == 0 && answers[0].error != 0)
			ck_assert_int_eq(answers[0].error, -ENOMEM);
		alloc_fail_at(0, false);
	}
}
END_TEST

Suite *suite(void)
{
	Suite *suite = suite_create("io/resolve_gai");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, a_helper_asks_and_the_answer_comes_in_a_turn);
	tcase_add_test(all, an_endless_answer_is_cut);
	tcase_add_test(all, what_getaddrinfo_says_is_said);
	tcase_add_test(all, literals_and_localhost_need_no_thread);
	tcase_add_test(all, what_getaddrinfo_cannot_do_is_refused);
	tcase_add_test(all, eight_ask_at_once_and_the_others_have_their_turn);
	tcase_add_test(all, one_that_waits_for_its_turn_and_is_freed_is_never_asked_for);
	tcase_add_test(all, one_that_is_freed_while_its_helper_asks_says_nothing);
	tcase_add_test(all, a_loop_may_be_freed_while_helpers_ask);
	tcase_add_test(all, an_answer_that_nobody_has_heard_goes_with_its_loop);
	tcase_add_test(all, helpers_hear_no_signals_and_the_hosts_mask_stays);
	tcase_add_test(all, a_thread_that_cannot_be_started_fails_its_look_up_alone);
	tcase_add_test(all, every_allocation_may_fail);
	tcase_set_timeout(all, 60);
	suite_add_tcase(suite, all);
	return suite;
}

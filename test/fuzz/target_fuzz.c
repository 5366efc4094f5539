/* SPDX-License-Identifier: MIT */
/* Targets, addresses, proxies and no_proxy lists: the bytes as a text. */
#include "fuzz.h"

#include "client/resolving.h"
#include "io/proxy.h"

static int start(minirpc_resolving *to, const char *target, void *user, void **ret_self)
{
	(void)to;
	(void)target;
	(void)user;
	(void)ret_self;
	return 0;
}

/* An address that was read is written as a text that reads as the same address. */
static void an_address_round_trips(const char *text)
{
	struct mrpc_address address, back;
	char written[MRPC_ADDRESS_TEXT];

	if (mrpc_address_parse(&address, text) < 0)
		return;
	mrpc_address_write(&address, written);
	hold(mrpc_address_parse(&back, written) == 0);
	hold(mrpc_address_equals(&address, &back));
	mrpc_address_format(&address, written);
	for (const char *at = written; *at != '\0'; at++)
		hold(*at >= 0x20 && *at < 0x7F);
}

static bool is_in_authority(char c)
{
	return c > 0x20 && c < 0x7F && strchr("\"<>\\^`{|}/?#@", c) == NULL;
}

static void a_target_is_taken_apart_or_refused(const char *text)
{
	static const struct minirpc_resolver own = { "own", start, NULL, NULL };
	static const struct minirpc_resolver_use uses[] = { { &own, NULL }, { NULL, NULL } };
	struct mrpc_target target;
	int r = mrpc_resolving_parse(&target, text, uses);

	hold(r == 0 || r == -22 /* EINVAL */);
	if (r < 0)
		return;
	hold(target.authority != NULL && target.authority[0] != '\0');
	for (const char *at = target.authority; *at != '\0'; at++)
		hold(is_in_authority(*at));
	hold(target.verify_name != NULL);
	hold((target.kind == MRPC_TARGET_DNS) == (target.host != NULL && target.port > 0));
	hold((target.kind == MRPC_TARGET_ADDRESSES) == (target.address_count > 0));
	hold(target.address_count <= MRPC_ENDPOINTS_MAX);
	hold(target.server == NULL || target.kind == MRPC_TARGET_DNS);
	for (size_t i = 0; i < target.address_count; i++) {
		char written[MRPC_ADDRESS_TEXT];

		mrpc_address_write(&target.addresses[i], written);
		an_address_round_trips(written);
	}
	mrpc_target_clear(&target);
}

static void a_proxy_is_taken_or_refused(const char *text, const char *no_proxy)
{
	struct mrpc_proxy proxy;

	if (mrpc_proxy_init(&proxy, text, NULL, NULL) == 0) {
		hold(proxy.host != NULL && proxy.port > 0);
		if (proxy.authorization != NULL)
			for (const char *at = proxy.authorization; *at != '\0'; at++)
				hold(*at >= 0x20 && *at < 0x7F);
		mrpc_proxy_clear(&proxy);
	}
	if (mrpc_proxy_init(&proxy, "squid", no_proxy, NULL) == 0) {
		(void)mrpc_proxy_is_for(&proxy, "b.a.org", 80);
		(void)mrpc_proxy_is_for(&proxy, "10.0.0.1", 80);
		(void)mrpc_proxy_is_for(&proxy, "fd00::1", 80);
		(void)mrpc_proxy_is_for(&proxy, text, 80); /* whatever that is */
		mrpc_proxy_clear(&proxy);
	}
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct input input = { data, len };
	char *text = input_copy(&input, len, true, &len);

	a_target_is_taken_apart_or_refused(text);
	an_address_round_trips(text);
	a_proxy_is_taken_or_refused(text, text);
	free(text);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/* Endpoints: what a resolver names. Checked before anybody sees them, since they come from user code, and
 * copied into one block. */
#include "client/resolving.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SERVER_NAME_MAX 255u

static int check_addresses(const struct minirpc_endpoint *endpoint, size_t at, size_t *total,
			   char error[MRPC_ENDPOINTS_ERROR])
{
	struct mrpc_address address;
	size_t count = 0;

	if (endpoint->addresses != NULL)
		for (; endpoint->addresses[count] != NULL; count++) {
			if (count == MRPC_ENDPOINT_ADDRESSES_MAX) {
				snprintf(error, MRPC_ENDPOINTS_ERROR,
					 "endpoint %zu has more than %u addresses", at,
					 MRPC_ENDPOINT_ADDRESSES_MAX);
				return -EINVAL;
			}
			if (mrpc_address_parse(&address, endpoint->addresses[count]) < 0) {
				snprintf(error, MRPC_ENDPOINTS_ERROR,
					 "endpoint %zu: \"%.100s\" is no address", at,
					 endpoint->addresses[count]);
				return -EINVAL;
			}
		}
	*total += count;
	if (count > 0 && *total <= MRPC_ADDRESSES_MAX)
		return 0;
	if (count > 0)
		snprintf(error, MRPC_ENDPOINTS_ERROR, "more than %u addresses", MRPC_ADDRESSES_MAX);
	else
		snprintf(error, MRPC_ENDPOINTS_ERROR, "endpoint %zu has no address", at);
	return -EINVAL;
}

static bool is_server_name(const char *name)
{
	size_t len = strnlen(name, SERVER_NAME_MAX + 1);

	for (size_t i = 0; i < len; i++)
		if (name[i] <= 0x20 || name[i] > 0x7E)
			return false;
	return len > 0 && len <= SERVER_NAME_MAX;
}

int mrpc_endpoints_check(const struct minirpc_endpoint *endpoints, size_t count,
			 char error[MRPC_ENDPOINTS_ERROR])
{
	size_t total = 0;
	int r;

	if (count > MRPC_ENDPOINTS_MAX) {
		snprintf(error, MRPC_ENDPOINTS_ERROR, "%zu endpoints, %u are the most", count,
			 MRPC_ENDPOINTS_MAX);
		return -EINVAL;
	}
	if (count > 0 && endpoints == NULL) {
		snprintf(error, MRPC_ENDPOINTS_ERROR, "%zu endpoints at NULL", count);
		return -EINVAL;
	}
	for (size_t i = 0; i < count; i++) {
		r = check_addresses(&endpoints[i], i, &total, error);
		if (r < 0)
			return r;
		if (endpoints[i].server_name != NULL && !is_server_name(endpoints[i].server_name)) {
			snprintf(error, MRPC_ENDPOINTS_ERROR,
				 "endpoint %zu: a server name is 1 to %u printable characters", i,
				 SERVER_NAME_MAX);
			return -EINVAL;
		}
	}
	return 0;
}

/* Sizes are bounded by mrpc_endpoints_check; the longest address is a few hundred bytes. */
static void measure(const struct minirpc_endpoint *endpoints, size_t count, size_t *ret_pointers,
		    size_t *ret_text)
{
	*ret_pointers = *ret_text = 0;
	for (size_t i = 0; i < count; i++) {
		const char *const *at = endpoints[i].addresses;

		for (; *at != NULL; at++, ++*ret_pointers)
			*ret_text += strlen(*at) + 1;
		++*ret_pointers; /* the NULL */
		if (endpoints[i].server_name != NULL)
			*ret_text += strlen(endpoints[i].server_name) + 1;
	}
}

static const char *put(char **at, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = memcpy(*at, text, size);

	*at += size;
	return copy;
}

/*	| struct | endpoint, endpoint ... | address *, address *, NULL ... | texts |	*/
struct mrpc_endpoints *mrpc_endpoints_copy(const struct minirpc_endpoint *endpoints, size_t count)
{
	struct mrpc_endpoints *copy;
	const char **pointer;
	size_t pointers, text_size;
	char *text;

	measure(endpoints, count, &pointers, &text_size);
	copy = mrpc_alloc(sizeof *copy + count * sizeof *endpoints + pointers * sizeof *pointer +
			  text_size);
	if (copy == NULL)
		return NULL;
	copy->count = count;
	copy->endpoints = (struct minirpc_endpoint *)(void *)(copy + 1);
	pointer = (const char **)(void *)(copy->endpoints + count);
	text = (char *)(pointer + pointers);
	for (size_t i = 0; i < count; i++) {
		copy->endpoints[i] = endpoints[i];
		copy->endpoints[i].addresses = pointer;
		for (const char *const *at = endpoints[i].addresses; *at != NULL; at++)
			*pointer++ = put(&text, *at);
		*pointer++ = NULL;
		if (endpoints[i].server_name != NULL)
			copy->endpoints[i].server_name = put(&text, endpoints[i].server_name);
	}
	return copy;
}

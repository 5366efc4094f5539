/* SPDX-License-Identifier: MIT */
/* The client of gRPC's interop suite. Type
 *
 *	interop_client --server_port=10000 --test_case=large_unary         ok large_unary
 *	interop_client --server_port=10000 --use_tls --ca_file=ca.pem --test_case=ping_pong,empty_unary
 *
 * Several cases may be named; each says `ok NAME`, or FAILED with the reason on stderr. Exits 0 when
 * all are ok, 1 otherwise (--list prints all names), 2 for what it does not understand. With --server_port=0, --server_host is
 * a whole target ("ipv4:127.0.0.1:1,127.0.0.1:2"). */
#include "cases.h"
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flags {
	const char *host, *host_override, *test_case, *ca, *cert, *key, *metadata, *service_config;
	bool use_tls, use_test_ca, list, version;
	long port;
};

static const struct test_case *const all_cases[] = { basic_cases, compressed_cases, soak_cases,
						     orca_cases, http2_cases };

static const struct test_case *find_case(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof all_cases / sizeof *all_cases; i++)
		for (const struct test_case *c = all_cases[i]; c->name != NULL; c++)
			if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
				return c;
	return NULL;
}

/* ---- The channel ---- */

static int open_channel(struct client *client)
{
	const struct flags *flags = client->user;
	bool overridden = *flags->host_override != '\0';
	minirpc_tls *tls = NULL;
	char target[512], authority[512], error[256] = "";
	minirpc_channel *channel;
	int r = 0;

	if (flags->port == 0)
		snprintf(target, sizeof target, "%s", flags->host);
	else
		snprintf(target, sizeof target,
			 strchr(flags->host, ':') == NULL ? "%s:%ld" : "[%s]:%ld", flags->host,
			 flags->port);
	snprintf(authority, sizeof authority, "%s", flags->host_override);

	if (flags->use_tls)
		r = minirpc_tls_new_explained(
			&tls,
			&(struct minirpc_tls_options){
				.ca_file = flags->ca,
				.cert_file = flags->cert,
				.key_file = flags->key,
				.server_name = overridden ? flags->host_override : NULL,
			},
			error, sizeof error);
	if (r < 0) {
		fail_case("%s", error);
		return r;
	}
	r = minirpc_channel_new(&channel, client->loop, target,
				&(struct minirpc_channel_options){
					.tls = tls, .authority = overridden ? authority : NULL });
	minirpc_tls_unref(tls);
	if (r < 0)
		return r;
	minirpc_channel_free(client->channel);
	client->channel = channel;
	return 0;
}

/* "key:value;key:value" becomes an array that ends with an empty field; NULL: it is no such text. */
static struct minirpc_field *read_metadata(char *text)
{
	struct minirpc_field *fields = calloc(strlen(text) + 1, sizeof *fields);
	size_t count = 0;

	while (fields != NULL && *text != '\0') {
		char *colon = strchr(text, ':'), *end = colon;

		if (colon == NULL) {
			free(fields);
			return NULL;
		}
		end += strcspn(colon, ";");
		*colon = '\0';
		fields[count++] = (struct minirpc_field){ text, colon + 1 };
		text = *end == '\0' ? end : end + 1;
		*end = '\0';
	}
	return fields;
}

/* ---- The cases ---- */

static bool run_cases(struct client *client, const char *names)
{
	bool ok = true;

	while (*names != '\0') {
		size_t len = strcspn(names, ",");
		const struct test_case *c = find_case(names, len);
		bool passed = c->run(client);

		printf("%s %s\n", passed ? "ok" : "FAILED", c->name);
		fflush(stdout);
		ok = ok && passed;
		names += len;
		names += *names == ',';
	}
	return ok;
}

static void list_cases(void)
{
	for (size_t i = 0; i < sizeof all_cases / sizeof *all_cases; i++)
		for (const struct test_case *c = all_cases[i]; c->name != NULL; c++)
			printf("%s\n", c->name);
}

static bool are_known(const char *names)
{
	for (size_t len; *names != '\0'; names += len + (names[len] == ',')) {
		len = strcspn(names, ",");
		if (find_case(names, len) == NULL) {
			fail_case("unknown test case %.*s", (int)len, names);
			return false;
		}
	}
	return true;
}

static void log_line(enum minirpc_log_level level, const char *line, void *user)
{
	(void)level;
	(void)user;
	fprintf(stderr, "interop_client: %s\n", line);
}

int main(int argc, char **argv)
{
	struct flags flags = { .host = "localhost",
			       .port = 10000,
			       .test_case = "large_unary",
			       .host_override = "",
			       .metadata = "",
			       .service_config = "" };
	struct client client = {
		.soak = { .iterations = 10,
			  .per_iteration_ms = 1000,
			  .overall_s = 10,
			  .request_size = 271828,
			  .response_size = 314159,
			  .threads = 1 },
		.open_channel = open_channel,
		.user = &flags,
	};
	struct soak *soak = &client.soak;
	const struct option_of table[] = {
		{ "server_host", .text = &flags.host },
		{ "server_port", .number = &flags.port },
		{ "server_host_override", .text = &flags.host_override },
		{ "test_case", .text = &flags.test_case },
		{ "use_tls", .flag = &flags.use_tls },
		{ "use_test_ca", .flag = &flags.use_test_ca },
		{ "list", .flag = &flags.list },
		{ "version", .flag = &flags.version },
		{ "ca_file", .text = &flags.ca },
		{ "tls_cert_file", .text = &flags.cert },
		{ "tls_key_file", .text = &flags.key },
		{ "additional_metadata", .text = &flags.metadata },
		{ "service_config_json", .text = &flags.service_config },
		{ "soak_iterations", .number = &soak->iterations },
		{ "soak_max_failures", .number = &soak->max_failures },
		{ "soak_per_iteration_max_acceptable_latency_ms",
		  .number = &soak->per_iteration_ms },
		{ "soak_overall_timeout_seconds", .number = &soak->overall_s },
		{ "soak_min_time_ms_between_rpcs", .number = &soak->min_ms_between },
		{ "soak_request_size", .number = &soak->request_size },
		{ "soak_response_size", .number = &soak->response_size },
		{ "soak_num_threads", .number = &soak->threads },
		{ 0 },
	};
	struct minirpc_field *metadata = NULL;
	char *text = NULL;
	bool ok = false;

	if (!options_read(table, argc, argv) || !are_known(flags.test_case))
		return 2;
	if (flags.list)
		list_cases();
	if (flags.version)
		printf("%s\n", minirpc_version());
	if (flags.list || flags.version)
		return 0;
	if (*flags.service_config != '\0') {
		fail_case("--service_config_json: there is no service config yet");
		return 2;
	}
	if (flags.use_tls && flags.use_test_ca && flags.ca == NULL) {
		fail_case("--use_test_ca needs --ca_file: this program brings no certificate");
		return 2;
	}
	text = strdup(flags.metadata);
	metadata = text == NULL ? NULL : read_metadata(text);
	if (metadata == NULL) {
		fail_case("--additional_metadata is key:value;key:value");
	} else if (minirpc_loop_new(&client.loop,
				    &(struct minirpc_loop_options){ .log = log_line }) == 0 &&
		   open_channel(&client) == 0) {
		client.metadata = metadata->key == NULL ? NULL : metadata;
		ok = run_cases(&client, flags.test_case);
	}
	minirpc_channel_free(client.channel);
	minirpc_loop_free(client.loop);
	free(metadata);
	free(text);
	return !ok;
}

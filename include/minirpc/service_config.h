/* SPDX-License-Identifier: MIT */
/* Service config: what the owner of a service tells its clients about calling it: how long a
 * method may take, whether and how it is repeated, how calls are spread. As JSON, the same that
 * every gRPC library reads, or as C structs:
 *
 *	.service_config_json =
 *		"{ \"methodConfig\": [ {"
 *		"  \"name\": [ { \"service\": \"rpc.Cache\", \"method\": \"Get\" } ],"
 *		"  \"timeout\": \"0.5s\","
 *		"  \"retryPolicy\": {"
 *		"    \"maxAttempts\": 4, \"initialBackoff\": \"0.1s\", \"maxBackoff\": \"1s\","
 *		"    \"backoffMultiplier\": 2, \"retryableStatusCodes\": [ \"UNAVAILABLE\" ] } } ] }"
 *
 *	.service_config = &(struct minirpc_service_config){
 *		.methods = (const struct minirpc_method_config[]){ {
 *			.service = "rpc.Cache", .method = "Get",
 *			.timeout = MINIRPC_MS(500),
 *			.retry = &(struct minirpc_retry_policy){
 *				.max_attempts = 4,
 *				.initial_backoff = MINIRPC_MS(100), .max_backoff = MINIRPC_S(1),
 *				.backoff_multiplier = 2,
 *				.codes = MINIRPC_CODE(MINIRPC_UNAVAILABLE),
 *			},
 *		} },
 *		.method_count = 1,
 *	}
 *
 * The config that a resolver brings goes before the application's. A config with a mistake is
 * refused as a whole, with the path of the mistake, and the one before stays in force [L-8]. */
#ifndef MINIRPC_SERVICE_CONFIG_H
#define MINIRPC_SERVICE_CONFIG_H

#include <minirpc/base.h>
#include <minirpc/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A set of status codes: MINIRPC_CODE(MINIRPC_UNAVAILABLE) | MINIRPC_CODE(MINIRPC_ABORTED). */
#define MINIRPC_CODE(code) (UINT32_C(1) << (code))

/* Another attempt after a failure. */
struct minirpc_retry_policy {
	/* With the first one; at least 2; above 5, or the channel's max_attempts, counts as
	 * that. */
	unsigned max_attempts;
	minirpc_time initial_backoff; /* above 0 */
	minirpc_time max_backoff;     /* above 0 */
	double backoff_multiplier;    /* above 0 */
	uint32_t codes;               /* which statuses are worth another attempt; not empty */
};

/* Several attempts at once; the first good answer wins. */
struct minirpc_hedging_policy {
	unsigned max_attempts; /* as above */
	minirpc_time delay;    /* between them; 0: all at once */
	uint32_t codes; /* statuses that do not end the call: the next attempt goes out at once */
};

/* What goes for some methods. A method takes its config from the entry that names it, else from
 * the one that names its service, else from the one that names nothing. */
struct minirpc_method_config {
	const char *service;  /* "rpc.Cache"; NULL: every service */
	const char *method;   /* "Get"; NULL: every method of the service */
	minirpc_time timeout; /* the earlier of this and the call's own counts [D-7]; 0: none */
	bool has_wait_for_ready, wait_for_ready; /* for calls that do not ask for it themselves */
	bool has_max_request, has_max_response;  /* whether the two below are set: 0 is a limit */
	uint32_t max_request_bytes;              /* the smaller of this and the channel's counts */
	uint32_t max_response_bytes;
	const struct minirpc_retry_policy *retry;     /* NULL: none */
	const struct minirpc_hedging_policy *hedging; /* NULL: none; not with retry */
};

struct minirpc_service_config {
	const struct minirpc_method_config *methods;
	size_t method_count;
	/* retryThrottling; 0: none. */
	double max_tokens;                 /* above 0, at most 1000 */
	double token_ratio;                /* above 0; three decimals count */
	const char *load_balancing;        /* "round_robin", see balancer.h; NULL: pick_first */
	const char *load_balancing_config; /* its JSON object; NULL: {} */
	/* healthCheckConfig.serviceName: servers are asked whether it serves, but not under
	 * pick_first [H-4]; "": the server as a whole; NULL: nobody asks. */
	const char *health_service;
	/* connectionScaling: when a server allows no more calls on the connections to it, another
	 * one is made, up to this number [B-5] and the channel's option of that name; 0: 1. */
	unsigned max_connections_per_subchannel;
};

/* Reads JSON and says what is wrong with it, without a channel: for tools and tests. Returns 0;
 * -EINVAL and a sentence in error, "methodConfig[0].retryPolicy.maxAttempts: must be at least 2"
 * (error may be NULL); -E2BIG (over 64 KiB, or nested deeper than 32; with a sentence); -ENOMEM. */
MINIRPC_API int minirpc_service_config_check(const char *json, char *error, size_t error_size);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* Interceptors that come ready with the library: a log of calls, credentials, authentication,
 * limits.
 *
 * Each is an object that you make once, put in the list of interceptors of as many channels,
 * servers or calls of one loop as you like, and free after them:
 *
 *	r = minirpc_call_log_new(&log, NULL);
 *	r = minirpc_credentials_new_bearer(&credentials, token, false);
 *	r = minirpc_channel_new(&channel, loop, target, &(struct minirpc_channel_options){
 *		.tls = tls,
 *		.interceptors = (const struct minirpc_use[]){
 *			minirpc_call_log_use(log), minirpc_credentials_use(credentials), { NULL } },
 *	});
 *
 * Whoever is asked for something here (a token, whether somebody may come in) answers at once or
 * later, from anywhere on the loop's thread; only that call waits meanwhile, and its deadline
 * still ends it. A request that was handed out is answered exactly once, also when its call is
 * over by then: the answer is what frees it.
 *
 * Write your own with interceptor.h; these are written on it too. */
#ifndef MINIRPC_INTERCEPTORS_H
#define MINIRPC_INTERCEPTORS_H

#include <minirpc/interceptor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Call log: what became of each call. Both sides ---- */

typedef struct minirpc_call_log minirpc_call_log;

/* One call that is over. Valid during the function it is given to. */
struct minirpc_call_record {
	bool server;
	const char *method;    /* "/rpc.Cache/Get" */
	const char *peer;      /* as minirpc_call_peer */
	const char *authority; /* "" : none */
	const struct minirpc_status *status;
	minirpc_time started, duration; /* on the loop's clock */
	minirpc_time time_left;         /* of the deadline; MINIRPC_NEVER: there is none */
	uint64_t messages_sent, messages_received;
	uint64_t bytes_sent, bytes_received; /* of messages, as the application has them */
	unsigned attempts;                   /* client: how many were made; server: 0 */
};

struct minirpc_call_log_options {
	/* Hears of each call that is over (and of those only which the next two let through).
	 * Must not call back into the library, but for what looks. NULL: nobody. */
	void (*on_record)(const struct minirpc_call_record *record, void *user);
	void *user;
	minirpc_time slower_than; /* only calls that took at least so long ... 0: all */
	bool only_failed;         /* ... or did not end OK. With both: either of them */
	/* Lines: one for each such call, unless there is on_record and no log. */
	minirpc_log_fn log; /* NULL: the log of the call's loop */
	void *log_user;
	enum minirpc_log_level level; /* of the lines; 0: MINIRPC_LOG_INFO */
	/* Lines; the next one says how many were left out; 0: 100; UINT32_MAX: all. */
	uint32_t per_second;
	uint32_t burst;    /* lines at once; 0: as many as in a second */
	void *reserved[4]; /* leave 0 */
};

/* A line is
 *
 *	call server /rpc.Cache/Get NOT_FOUND in 1.204 ms, peer ipv4:127.0.0.1:40112, authority localhost:5051,
 *	sent 0 messages 0 bytes, received 1 messages 7 bytes, left 48.796 ms: no such key
 *
 * in one, with "attempts 2" at a client and "(12 left out)" when there were too many. What came
 * from a peer is escaped. Payloads, metadata and credentials are not in it.
 *
 * Returns 0, -EINVAL (a time below 0), -ENOMEM. options may be NULL. */
MINIRPC_API int minirpc_call_log_new(minirpc_call_log **ret_log,
				     const struct minirpc_call_log_options *options);
MINIRPC_API minirpc_call_log *minirpc_call_log_free(minirpc_call_log *log);
MINIRPC_API struct minirpc_use minirpc_call_log_use(minirpc_call_log *log);

/* ---- Call credentials: metadata that says who calls. Client [N-4] ---- */

typedef struct minirpc_credentials minirpc_credentials;
typedef struct minirpc_credentials_request minirpc_credentials_request;

struct minirpc_credentials_options {
	/* Asked for each call, when its headers are about to leave. */
	void (*get)(minirpc_credentials_request *request, void *user);
	void *user;
	/* One answer serves all calls while its lifetime lasts: asked when there is none (calls
	 * that come meanwhile wait for the same answer), and again by a call that comes `early`
	 * before its end, while the old one still serves. */
	bool shared;
	minirpc_time early; /* shared; 0: 60 s, but at most half of the lifetime */
	/* shared; after a failure calls that need an answer fail in the same way for so long, and
	 * nobody is asked; 0: 1 s. */
	minirpc_time retry_after;
	/* Credentials go over TLS only: a call over clear text ends UNAUTHENTICATED and nothing
	 * is sent, unless you mean this. Whoever is in between can then be you; a warning in the
	 * log says so. */
	bool allow_plaintext;
	/* Asked for each attempt of a call: another attempt has credentials of its own, and a
	 * failure to get them may be repeated by the retry policy, after the rule of S-5.
	 * Otherwise once for each call. */
	bool per_attempt;
	void *reserved[4]; /* leave 0 */
};

/* Returns 0, -EINVAL (no get, a time below 0), -ENOMEM. */
MINIRPC_API int minirpc_credentials_new(minirpc_credentials **ret_credentials,
					const struct minirpc_credentials_options *options);

/* One bearer token for ever; copied, and wiped when it is freed. Returns 0, -EINVAL (empty, or
 * anything but printable ASCII without spaces), -ENOMEM. */
MINIRPC_API int minirpc_credentials_new_bearer(minirpc_credentials **ret_credentials,
					       const char *token, bool allow_plaintext);

/* After what uses it. Requests not answered yet still have to be. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_credentials *minirpc_credentials_free(minirpc_credentials *credentials);
MINIRPC_API struct minirpc_use minirpc_credentials_use(minirpc_credentials *credentials);

/* The call that asks, for its path and authority; NULL once it is over, and when the answer is
 * for all (.shared). */
MINIRPC_API minirpc_call *minirpc_credentials_call(const minirpc_credentials_request *request);

/* The answer: fields, copied, each in place of what the call had of its key; what the library
 * copies for later is wiped when it is done with. lifetime (.shared): from when it was asked for;
 * 0: only for the calls that wait; MINIRPC_NEVER: for ever. Fields that are no metadata end the
 * call INTERNAL. */
MINIRPC_API void minirpc_credentials_answer(minirpc_credentials_request *request,
					    const struct minirpc_field *fields,
					    minirpc_time lifetime);

/* The same with "authorization: Bearer TOKEN". */
MINIRPC_API void minirpc_credentials_answer_bearer(minirpc_credentials_request *request,
						   const char *token, minirpc_time lifetime);

/* There are none: the call ends with this status, NULL: UNAUTHENTICATED. A code that only
 * applications may mean (NOT_FOUND from a token server is not the call's NOT_FOUND), or OK,
 * becomes INTERNAL with the code and the text in the text [S-5]. */
MINIRPC_API void minirpc_credentials_refuse(minirpc_credentials_request *request,
					    const struct minirpc_status *status);

/* ---- Authentication: who is calling, before the handler hears of it. Server ---- */

typedef struct minirpc_auth minirpc_auth;
typedef struct minirpc_auth_request minirpc_auth_request;

struct minirpc_auth_options {
	/* Asked once for each call, when its headers are in. */
	void (*check)(minirpc_auth_request *request, void *user);
	void *user;
	void *reserved[4]; /* leave 0 */
};

/* Returns 0, -EINVAL (no check), -ENOMEM. */
MINIRPC_API int minirpc_auth_new(minirpc_auth **ret_auth,
				 const struct minirpc_auth_options *options);

/* After what uses it. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_auth *minirpc_auth_free(minirpc_auth *auth);
MINIRPC_API struct minirpc_use minirpc_auth_use(minirpc_auth *auth);

/* The call: path, peer, minirpc_call_peer_certificate, minirpc_call_is_secure. NULL once it is
 * over. */
MINIRPC_API minirpc_call *minirpc_auth_call(const minirpc_auth_request *request);

/* What the client sent; only inside of check, NULL later: copy what you need. */
MINIRPC_API const struct minirpc_metadata *
minirpc_auth_metadata(const minirpc_auth_request *request);

/* Lets the call in. Handlers see principal (copied; may be NULL) by minirpc_call_principal. */
MINIRPC_API void minirpc_auth_accept(minirpc_auth_request *request, const char *principal);

/* Answers the call with this status, NULL or OK: UNAUTHENTICATED; no handler hears of it. */
MINIRPC_API void minirpc_auth_refuse(minirpc_auth_request *request,
				     const struct minirpc_status *status);

/* The token of "authorization: Bearer TOKEN" (the word in any case), or NULL: none, another
 * scheme, or several fields of that key. Lives as long as the metadata. */
MINIRPC_API const char *minirpc_bearer_token(const struct minirpc_metadata *metadata);

/* Whether two secrets are the same, in a time that tells nothing of `secret` but, at most, its
 * length. NULL is equal to nothing. */
MINIRPC_API bool minirpc_secret_equals(const char *given, const char *secret);

/* ---- Limits: so many calls at once, so many in a second. Both sides ---- */

typedef struct minirpc_limiter minirpc_limiter;

struct minirpc_limiter_options {
	uint32_t max_calls;  /* at once; 0: no limit */
	uint32_t per_second; /* calls that begin; 0: no limit; at most 10^9 */
	uint32_t burst;      /* of those, at once; 0: 1 */
	/* Calls above a limit wait their turn, so many of them; those above that, and at a server
	 * those that do not wait, end RESOURCE_EXHAUSTED. 0: a server's do not wait, of a
	 * client's 1000 do; UINT32_MAX: none waits. */
	uint32_t queue;
	/* Server: what a refused client is told with grpc-retry-pushback-ms when max_calls
	 * was met (of per_second it is told when its turn would be): 0: 1 s; below 0: nothing. */
	minirpc_time pushback;
	void *reserved[4]; /* leave 0 */
};

struct minirpc_limiter_counts {
	uint64_t passed, waited, refused; /* so far; who waited and then passed is both */
	uint32_t running, waiting;        /* now */
};

/* Returns 0, -EINVAL (no limit at all, per_second above 10^9), -ENOMEM. */
MINIRPC_API int minirpc_limiter_new(minirpc_limiter **ret_limiter,
				    const struct minirpc_limiter_options *options);

/* After what uses it. NULL is fine. Returns NULL. */
MINIRPC_API minirpc_limiter *minirpc_limiter_free(minirpc_limiter *limiter);
MINIRPC_API struct minirpc_use minirpc_limiter_use(minirpc_limiter *limiter);
MINIRPC_API void minirpc_limiter_counts(const minirpc_limiter *limiter,
					struct minirpc_limiter_counts *ret_counts);

#ifdef __cplusplus
}
#endif

#endif

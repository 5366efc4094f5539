/* SPDX-License-Identifier: MIT */
/* Authentication: a server's calls wait until somebody has said who they are from.
 *
 * The call's headers are held meanwhile, and with them all that comes behind: no handler hears of a call that
 * is not let in. A request may outlive its call, since whoever was asked may be asking others; its answer, then
 * for nobody, frees it. */
#include "base/alloc.h"

#include <minirpc/interceptors.h>

#include <errno.h>
#include <string.h>
#include <strings.h>

struct minirpc_auth {
	struct minirpc_auth_options options;
};

struct minirpc_auth_request {
	minirpc_hook *hook;                      /* NULL: its call is over */
	const struct minirpc_metadata *metadata; /* while check runs */
	bool inside;                             /* check runs */
	bool answered;                           /* ... and has answered */
	enum minirpc_verdict verdict;
};

/* A call's. */
struct guest {
	minirpc_auth_request *request; /* NULL: answered */
};

static const struct minirpc_status no_memory = { .code = MINIRPC_RESOURCE_EXHAUSTED,
						 .message = "out of memory" };

static enum minirpc_verdict on_receive(minirpc_hook *hook, const struct minirpc_part *part,
				       void *user)
{
	const minirpc_auth *auth = user;
	struct guest *guest = minirpc_hook_data(hook);
	minirpc_auth_request *request;
	enum minirpc_verdict verdict;

	if (part->kind != MINIRPC_PART_HEADERS || !minirpc_call_is_server(minirpc_hook_call(hook)))
		return MINIRPC_PASS;
	request = mrpc_alloc(sizeof *request);
	if (request == NULL) {
		minirpc_hook_set_status(hook, &no_memory);
		return MINIRPC_STOP;
	}
	*request = (minirpc_auth_request){
		.hook = hook,
		.metadata = part->metadata,
		.inside = true,
	};
	guest->request = request;

	auth->options.check(request, auth->options.user);
	request->inside = false;
	request->metadata = NULL;
	if (!request->answered)
		return MINIRPC_HOLD;
	verdict = request->verdict;
	guest->request = NULL;
	mrpc_free(request);
	return verdict;
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct guest *guest = minirpc_hook_data(hook);

	(void)status;
	(void)user;
	if (guest->request != NULL)
		guest->request->hook = NULL;
	guest->request = NULL;
}

/* The answer: NULL lets it in. */
static void answer(minirpc_auth_request *request, const struct minirpc_status *stop)
{
	minirpc_hook *hook = request->hook;
	struct guest *guest;

	if (request->inside) {
		request->answered = true;
		request->verdict = stop == NULL ? MINIRPC_PASS : MINIRPC_STOP;
		if (stop != NULL)
			minirpc_hook_set_status(hook, stop);
		return;
	}
	mrpc_free(request);
	if (hook == NULL)
		return;
	guest = minirpc_hook_data(hook);
	guest->request = NULL;
	minirpc_hook_resume(hook, false, stop);
}

minirpc_call *minirpc_auth_call(const minirpc_auth_request *request)
{
	return request->hook == NULL ? NULL : minirpc_hook_call(request->hook);
}

const struct minirpc_metadata *minirpc_auth_metadata(const minirpc_auth_request *request)
{
	return request->metadata;
}

/* A handler that looks at the principal must not take somebody for nobody. */
void minirpc_auth_accept(minirpc_auth_request *request, const char *principal)
{
	minirpc_call *call = minirpc_auth_call(request);
	bool failed = call != NULL && minirpc_call_set_principal(call, principal) < 0;

	answer(request, failed ? &no_memory : NULL);
}

void minirpc_auth_refuse(minirpc_auth_request *request, const struct minirpc_status *status)
{
	static const struct minirpc_status unknown = { .code = MINIRPC_UNAUTHENTICATED,
						       .message = "not authenticated" };

	answer(request, status == NULL || status->code == MINIRPC_OK ? &unknown : status);
}

static const struct minirpc_interceptor interceptor = {
	.name = "auth",
	.data_size = sizeof(struct guest),
	.on_receive = on_receive,
	.on_close = on_close,
};

int minirpc_auth_new(minirpc_auth **ret_auth, const struct minirpc_auth_options *options)
{
	minirpc_auth *auth;

	if (options == NULL || options->check == NULL)
		return -EINVAL;
	auth = mrpc_alloc(sizeof *auth);
	if (auth == NULL)
		return -ENOMEM;
	auth->options = *options;
	*ret_auth = auth;
	return 0;
}

minirpc_auth *minirpc_auth_free(minirpc_auth *auth)
{
	return mrpc_free(auth);
}

struct minirpc_use minirpc_auth_use(minirpc_auth *auth)
{
	return (struct minirpc_use){ &interceptor, auth };
}

/* ---- What a check is made of ---- */

const char *minirpc_bearer_token(const struct minirpc_metadata *metadata)
{
	static const char scheme[] = "Bearer "; /* RFC 9110, 11.1: in any case */
	const struct minirpc_field *field = minirpc_metadata_find(metadata, "authorization", NULL);
	const char *value;

	/* Which of several would be the one? Whoever checked before us may have taken the other. */
	if (field == NULL || minirpc_metadata_find(metadata, "authorization", field) != NULL)
		return NULL;
	value = field->value;
	if (strncasecmp(value, scheme, sizeof scheme - 1) != 0)
		return NULL;
	value += sizeof scheme - 1;
	while (*value == ' ')
		value++;
	return *value == '\0' ? NULL : value;
}

bool minirpc_secret_equals(const char *given, const char *secret)
{
	volatile unsigned char different = 0;
	size_t len, secret_len;

	if (given == NULL || secret == NULL)
		return false;
	len = strlen(given);
	secret_len = strlen(secret);
	/* As long as what was given, whatever the secret is. */
	for (size_t i = 0, at = 0; i < len; i++) {
		different |= (unsigned char)((unsigned char)given[i] ^ (unsigned char)secret[at]);
		at = at < secret_len ? at + 1 : 0;
	}
	return different == 0 && len == secret_len;
}

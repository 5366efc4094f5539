/* SPDX-License-Identifier: MIT */
/* Call credentials: metadata that says who calls, asked for when a call's headers are about to leave.
 *
 *	headers --> clear text? --> UNAUTHENTICATED                                    [N-4]
 *	        --> kept and good? --> with them on their way
 *	        --> get: held until the answer; a shared one serves all that wait for it
 *
 * A request may outlive its call, since whoever was asked may be asking others; its answer, then for nobody,
 * frees it. What is kept of tokens is wiped before its memory is given back. */
#include "base/alloc.h"
#include "base/list.h"
#include "base/timers.h"
#include "call/metadata.h"
#include "call/status.h"

#include <minirpc/interceptors.h>
#include <minirpc/loop.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EARLY MINIRPC_S(60)
#define RETRY_AFTER MINIRPC_S(1)
#define TEXT 320

/* Fields in one block with their texts. */
struct kept {
	size_t size;
	struct minirpc_field fields[]; /* ended by an empty one */
};

struct minirpc_credentials {
	struct minirpc_credentials_options options;
	bool warned;
	struct kept *kept;                 /* NULL: none */
	minirpc_time good_until, renew_at; /* of what is kept */
	minirpc_time asked_at;
	minirpc_credentials_request *asked; /* shared: not answered yet */
	struct mrpc_list waiting;           /* shared: of struct guest */
	minirpc_time quiet_until;           /* shared: it failed, and is not asked before */
	enum minirpc_code failure;
	char failure_text[TEXT];
};

/* A call's. */
struct guest {
	struct mrpc_list node; /* among those that wait for a shared answer */
	minirpc_hook *hook;
	minirpc_credentials_request *request; /* its own; NULL: answered, or none */
	bool inside;                          /* of on_send: the verdict is its to give */
	bool answered;
	enum minirpc_verdict verdict;
};

struct minirpc_credentials_request {
	struct guest *guest;        /* for a call; NULL: it is over, or the answer is for all */
	minirpc_credentials *owner; /* for all; NULL: it was freed */
};

/* ---- What is kept ---- */

static void wipe(struct kept *kept)
{
	if (kept == NULL)
		return;
	explicit_bzero(kept, kept->size);
	mrpc_free(kept);
}

static size_t value_len(const struct minirpc_field *field)
{
	if (field->len > 0 || field->value == NULL)
		return field->value == NULL ? 0 : field->len;
	return strlen(field->value);
}

/* NULL: no memory. */
static struct kept *keep(const struct minirpc_field *fields)
{
	size_t size = sizeof(struct kept) + sizeof *fields, count = 0;
	struct kept *kept;
	char *text;

	for (; fields[count].key != NULL; count++)
		if (!mrpc_add(size, strlen(fields[count].key) + 2 + sizeof *fields, &size) ||
		    !mrpc_add(size, value_len(&fields[count]), &size))
			return NULL;
	kept = mrpc_zalloc(size); /* so that each text ends with a NUL */
	if (kept == NULL)
		return NULL;
	kept->size = size;
	text = (char *)&kept->fields[count + 1];
	for (size_t i = 0; i < count; i++) {
		size_t key_len = strlen(fields[i].key), len = value_len(&fields[i]);
		char *value = text + key_len + 1;

		memcpy(text, fields[i].key, key_len);
		if (len > 0)
			memcpy(value, fields[i].value, len);
		kept->fields[i] = (struct minirpc_field){ .key = text, .value = value, .len = len };
		text = value + len + 1;
	}
	return kept;
}

static void forget(minirpc_credentials *credentials)
{
	wipe(credentials->kept);
	credentials->kept = NULL;
}

/* ---- One call ---- */

static const struct minirpc_status no_memory = { .code = MINIRPC_RESOURCE_EXHAUSTED,
						 .message = "out of memory" };

/* Lets the call go on, or ends it. */
static void settle(struct guest *guest, const struct minirpc_status *stop)
{
	if (guest->inside) {
		guest->answered = true;
		guest->verdict = stop == NULL ? MINIRPC_PASS : MINIRPC_STOP;
		if (stop != NULL)
			minirpc_hook_set_status(guest->hook, stop);
		return;
	}
	minirpc_hook_resume(guest->hook, true, stop);
}

/* In place of what the call had of these keys. Returns 0 or -errno. */
static int set_fields(minirpc_hook *hook, const struct minirpc_field *fields)
{
	const struct minirpc_field *field;
	int r = 0;

	for (field = fields; r == 0 && field->key != NULL; field++)
		r = minirpc_hook_remove_metadata(hook, field->key);
	for (field = fields; r == 0 && field->key != NULL; field++)
		r = minirpc_hook_add_metadata(hook, field);
	return r;
}

static void give(struct guest *guest, const struct minirpc_field *fields)
{
	struct minirpc_status status = { .code = MINIRPC_INTERNAL };
	int r = set_fields(guest->hook, fields);

	if (r == -ENOMEM)
		status = no_memory;
	else if (r == -E2BIG)
		status.message = "the call's credentials are larger than its headers may be";
	else
		status.message = "the call's credentials are no metadata";
	settle(guest, r < 0 ? &status : NULL);
}

/* ---- Requests ---- */

/* Those that wait for the shared answer. */
static void give_all(minirpc_credentials *credentials, const struct minirpc_field *fields)
{
	struct mrpc_list *node;

	while ((node = mrpc_list_pop(&credentials->waiting)) != NULL)
		give(mrpc_container(node, struct guest, node), fields);
}

static bool are_metadata(const struct minirpc_field *fields)
{
	while (fields->key != NULL && mrpc_metadata_field_is_valid(fields))
		fields++;
	return fields->key == NULL;
}

/* Spans count from when it was asked for: whoever made the token out counted no later. */
static void answer_all(minirpc_credentials *credentials, const struct minirpc_field *fields,
		       minirpc_time lifetime)
{
	minirpc_time asked_at = credentials->asked_at, early = credentials->options.early;

	forget(credentials);
	if (lifetime > 0 && are_metadata(fields)) {
		if (early > lifetime / 2)
			early = lifetime / 2;
		credentials->kept = keep(fields); /* without memory the next call asks again */
		credentials->good_until = mrpc_time_add(asked_at, lifetime);
		credentials->renew_at = mrpc_time_add(credentials->good_until, -early);
	}
	give_all(credentials, fields);
}

/* What is kept serves on, for as long as it is good. */
static void refuse_all(minirpc_credentials *credentials, const struct minirpc_status *status)
{
	struct mrpc_list *node;

	credentials->quiet_until =
		mrpc_time_add(credentials->asked_at, credentials->options.retry_after);
	credentials->failure = status->code;
	snprintf(credentials->failure_text, sizeof credentials->failure_text, "%s",
		 status->message);
	while ((node = mrpc_list_pop(&credentials->waiting)) != NULL)
		settle(mrpc_container(node, struct guest, node), status);
}

/* The request is answered; what it was for. Both NULL: nobody any more. */
static void take(minirpc_credentials_request *request, struct guest **ret_guest,
		 minirpc_credentials **ret_owner)
{
	*ret_guest = request->guest;
	*ret_owner = request->owner;
	if (request->guest != NULL)
		request->guest->request = NULL;
	if (request->owner != NULL)
		request->owner->asked = NULL;
	mrpc_free(request);
}

minirpc_call *minirpc_credentials_call(const minirpc_credentials_request *request)
{
	return request->guest == NULL ? NULL : minirpc_hook_call(request->guest->hook);
}

void minirpc_credentials_answer(minirpc_credentials_request *request,
				const struct minirpc_field *fields, minirpc_time lifetime)
{
	static const struct minirpc_field none = { NULL };
	minirpc_credentials *owner;
	struct guest *guest;

	if (fields == NULL)
		fields = &none;
	take(request, &guest, &owner);
	if (guest != NULL)
		give(guest, fields);
	if (owner != NULL)
		answer_all(owner, fields, lifetime);
}

/* "Bearer TOKEN", to be wiped and freed; NULL: no memory. */
static char *bearer(const char *token, size_t *ret_len)
{
	char *value;

	if (!mrpc_add(strlen(token), sizeof "Bearer ", ret_len))
		return NULL;
	value = mrpc_alloc(*ret_len);
	if (value != NULL)
		snprintf(value, *ret_len, "Bearer %s", token);
	return value;
}

static void drop_bearer(char *value, size_t len)
{
	explicit_bzero(value, len);
	mrpc_free(value);
}

void minirpc_credentials_answer_bearer(minirpc_credentials_request *request, const char *token,
				       minirpc_time lifetime)
{
	size_t len;
	char *value = bearer(token, &len);

	if (value == NULL) {
		minirpc_credentials_refuse(request, &no_memory);
		return;
	}
	minirpc_credentials_answer(
		request, (const struct minirpc_field[]){ { "authorization", value, 0 }, { NULL } },
		lifetime);
	drop_bearer(value, len);
}

void minirpc_credentials_refuse(minirpc_credentials_request *request,
				const struct minirpc_status *status)
{
	static const struct minirpc_status none = { .code = MINIRPC_UNAUTHENTICATED,
						    .message = "no credentials for the call" };
	struct minirpc_status said;
	minirpc_credentials *owner;
	struct guest *guest;
	char text[TEXT];

	said = mrpc_status_of_control_plane(status == NULL ? &none : status, text, sizeof text);
	take(request, &guest, &owner);
	if (guest != NULL)
		settle(guest, &said);
	if (owner != NULL)
		refuse_all(owner, &said);
}

/* ---- Asking ---- */

/* Returns 0 or -ENOMEM. The answer may be there when this returns. */
static int ask(minirpc_credentials *credentials, struct guest *guest)
{
	minirpc_credentials_request *request = mrpc_alloc(sizeof *request);

	if (request == NULL)
		return -ENOMEM;
	*request = (minirpc_credentials_request){ 0 };
	if (credentials->options.shared) {
		request->owner = credentials;
		credentials->asked = request;
		credentials->asked_at =
			minirpc_loop_now(minirpc_call_loop(minirpc_hook_call(guest->hook)));
	} else {
		request->guest = guest;
		guest->request = request;
	}
	credentials->options.get(request, credentials->options.user);
	return 0;
}

static void stop(struct guest *guest, enum minirpc_code code, const char *text)
{
	settle(guest, &(struct minirpc_status){ .code = code, .message = text });
}

static void use_shared(minirpc_credentials *credentials, struct guest *guest, minirpc_time now)
{
	bool is_quiet = now < credentials->quiet_until || credentials->asked != NULL;

	if (credentials->kept != NULL && now >= credentials->good_until)
		forget(credentials);
	if (credentials->kept != NULL && now >= credentials->renew_at && !is_quiet)
		(void)ask(credentials, guest); /* without memory the next call may */
	if (credentials->kept != NULL) {
		give(guest, credentials->kept->fields);
		return;
	}
	if (credentials->asked == NULL && now < credentials->quiet_until) {
		stop(guest, credentials->failure, credentials->failure_text);
		return;
	}
	mrpc_list_push(&credentials->waiting, &guest->node);
	if (credentials->asked == NULL && ask(credentials, guest) < 0) {
		mrpc_list_remove(&guest->node);
		settle(guest, &no_memory);
	}
}

static void warn(minirpc_credentials *credentials, const minirpc_call *call)
{
	if (credentials->warned)
		return;
	credentials->warned = true;
	minirpc_loop_log(minirpc_call_loop(call), MINIRPC_LOG_WARNING,
			 "credentials are sent in CLEAR TEXT (allow_plaintext): whoever is in "
			 "between reads them and can call in the same name");
}

static enum minirpc_verdict on_send(minirpc_hook *hook, const struct minirpc_part *part, void *user)
{
	minirpc_credentials *credentials = user;
	struct guest *guest = minirpc_hook_data(hook);
	const minirpc_call *call = minirpc_hook_call(hook);

	if (part->kind != MINIRPC_PART_HEADERS || minirpc_call_is_server(call))
		return MINIRPC_PASS;
	guest->hook = hook;
	guest->inside = true;
	if (!minirpc_call_is_secure(call) && !credentials->options.allow_plaintext) { /* N-4 */
		stop(guest, MINIRPC_UNAUTHENTICATED,
		     "the call's credentials go over TLS only, and this is clear text");
	} else {
		if (!minirpc_call_is_secure(call))
			warn(credentials, call);
		if (credentials->options.shared)
			use_shared(credentials, guest, minirpc_loop_now(minirpc_call_loop(call)));
		else if (ask(credentials, guest) < 0)
			settle(guest, &no_memory);
	}
	guest->inside = false;
	return guest->answered ? guest->verdict : MINIRPC_HOLD;
}

static void on_close(minirpc_hook *hook, const struct minirpc_status *status, void *user)
{
	struct guest *guest = minirpc_hook_data(hook);

	(void)status;
	(void)user;
	mrpc_list_remove(&guest->node);
	if (guest->request != NULL)
		guest->request->guest = NULL;
	guest->request = NULL;
}

static const struct minirpc_interceptor interceptor = {
	.name = "credentials",
	.data_size = sizeof(struct guest),
	.on_send = on_send,
	.on_close = on_close,
};

static const struct minirpc_interceptor interceptor_per_attempt = {
	.name = "credentials",
	.data_size = sizeof(struct guest),
	.per_attempt = true,
	.on_send = on_send,
	.on_close = on_close,
};

/* ---- The object ---- */

int minirpc_credentials_new(minirpc_credentials **ret_credentials,
			    const struct minirpc_credentials_options *options)
{
	minirpc_credentials *credentials;

	if (options == NULL || options->get == NULL || options->early < 0 ||
	    options->retry_after < 0)
		return -EINVAL;
	credentials = mrpc_alloc(sizeof *credentials);
	if (credentials == NULL)
		return -ENOMEM;
	*credentials = (minirpc_credentials){ .options = *options, .quiet_until = INT64_MIN };
	if (options->early == 0)
		credentials->options.early = EARLY;
	if (options->retry_after == 0)
		credentials->options.retry_after = RETRY_AFTER;
	mrpc_list_init(&credentials->waiting);
	*ret_credentials = credentials;
	return 0;
}

static bool is_token(const char *token)
{
	const char *at = token;

	while (*at > 0x20 && *at < 0x7F)
		at++;
	return at > token && *at == '\0';
}

/* Never asked: what is kept is good for ever. */
static void get_nothing(minirpc_credentials_request *request, void *user)
{
	(void)user;
	minirpc_credentials_refuse(request, NULL);
}

int minirpc_credentials_new_bearer(minirpc_credentials **ret_credentials, const char *token,
				   bool allow_plaintext)
{
	const struct minirpc_credentials_options options = {
		.get = get_nothing,
		.shared = true,
		.allow_plaintext = allow_plaintext,
	};
	minirpc_credentials *credentials;
	struct minirpc_field fields[2] = { { .key = "authorization" }, { NULL } };
	char *value;
	size_t len;
	int r;

	if (token == NULL || !is_token(token))
		return -EINVAL;
	r = minirpc_credentials_new(&credentials, &options);
	if (r < 0)
		return r;
	value = bearer(token, &len);
	if (value != NULL) {
		fields[0].value = value;
		credentials->kept = keep(fields);
		drop_bearer(value, len);
	}
	if (credentials->kept == NULL) {
		minirpc_credentials_free(credentials);
		return -ENOMEM;
	}
	credentials->good_until = credentials->renew_at = MINIRPC_NEVER;
	*ret_credentials = credentials;
	return 0;
}

minirpc_credentials *minirpc_credentials_free(minirpc_credentials *credentials)
{
	if (credentials == NULL)
		return NULL;
	if (credentials->asked != NULL)
		credentials->asked->owner = NULL;
	forget(credentials);
	return mrpc_free(credentials);
}

struct minirpc_use minirpc_credentials_use(minirpc_credentials *credentials)
{
	return (struct minirpc_use){ credentials->options.per_attempt ? &interceptor_per_attempt
								      : &interceptor,
				     credentials };
}

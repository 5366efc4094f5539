/* SPDX-License-Identifier: MIT */
/* Who calls? A client whose calls carry a token that it has to ask for, and a server that lets only those in whose
 * token it knows. Make a certificate, type
 *
 *	openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=gopher \
 *		-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
 *	credentials cert.pem key.pem
 *
 * and see
 *
 *	client: a token, please
 *	server: alice says hello
 *	with a token: OK
 *	server: alice says hello
 *	with the same token: OK
 *	without one: UNAUTHENTICATED
 *	in clear text, where nothing is sent: UNAUTHENTICATED
 */
#include "demo.minirpc.h"

#include <minirpc/interceptors.h>

#include <stdio.h>

/* ---- Server ---- */

/* Before any handler hears of the call. It may answer later too, when it has to ask others. */
static void check(minirpc_auth_request *request, void *user)
{
	const char *token = minirpc_bearer_token(minirpc_auth_metadata(request));

	(void)user;
	if (minirpc_secret_equals(token, "opensesame"))
		minirpc_auth_accept(request, "alice");
	else
		minirpc_auth_refuse(request, NULL); /* UNAUTHENTICATED */
}

static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	(void)user;
	printf("server: %s says %s\n", minirpc_call_principal(demo_kinds_echo_call(call)),
	       req->text);
	demo_kinds_echo_reply(call, req);
}

/* ---- Client ---- */

/* The token server, which takes its time. */
static void on_token(void *user)
{
	minirpc_credentials_answer_bearer(user, "opensesame", MINIRPC_S(3600));
}

/* Asked by the first call, and again a minute before the hour is over. */
static void get(minirpc_credentials_request *request, void *user)
{
	minirpc_loop *loop = user;

	printf("client: a token, please\n");
	if (minirpc_timer_start(NULL, loop, MINIRPC_MS(10), on_token, request) < 0)
		minirpc_credentials_refuse(request, NULL);
}

struct outcome {
	enum minirpc_code code;
	bool done;
};

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	(void)resp;
	*(struct outcome *)user = (struct outcome){ status->code, true };
}

static void call(const char *how, minirpc_loop *loop, minirpc_channel *channel)
{
	struct outcome outcome = { .code = MINIRPC_UNKNOWN };

	if (demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = (char *)"hello" },
			    &(struct minirpc_call_options){ .timeout = MINIRPC_S(5) }, on_done,
			    &outcome) == 0)
		minirpc_loop_run_until(loop, &outcome.done);
	printf("%s: %s\n", how, minirpc_code_name(outcome.code));
}

/* Three channels to one server: as it should be, without credentials, and without TLS. */
static int call_all(minirpc_loop *loop, const char *target, minirpc_tls *tls,
		    minirpc_credentials *credentials)
{
	const struct minirpc_use uses[] = { minirpc_credentials_use(credentials), { NULL } };
	minirpc_channel *good = NULL, *nobody = NULL, *clear = NULL;
	int r;

	r = minirpc_channel_new(
		&good, loop, target,
		&(struct minirpc_channel_options){ .tls = tls, .interceptors = uses });
	if (r == 0)
		r = minirpc_channel_new(&nobody, loop, target,
					&(struct minirpc_channel_options){ .tls = tls });
	if (r == 0)
		r = minirpc_channel_new(&clear, loop, target,
					&(struct minirpc_channel_options){ .interceptors = uses });
	if (r == 0) {
		call("with a token", loop, good);
		call("with the same token", loop, good);
		call("without one", loop, nobody);
		call("in clear text, where nothing is sent", loop, clear);
	}
	minirpc_channel_free(good);
	minirpc_channel_free(nobody);
	minirpc_channel_free(clear);
	return r;
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	minirpc_tls *server_tls = NULL, *client_tls = NULL;
	char target[32], error[256] = "out of memory";
	minirpc_credentials *credentials = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	minirpc_auth *auth = NULL;
	uint16_t port;
	int r = -1;

	if (argc != 3) {
		fprintf(stderr, "Usage: credentials CERTIFICATE KEY\n");
		return 2;
	}
	if (minirpc_tls_new_explained(&server_tls,
				      &(struct minirpc_tls_options){ argv[1], argv[2] }, error,
				      sizeof error) < 0 ||
	    minirpc_tls_new_explained(&client_tls,
				      &(struct minirpc_tls_options){ .ca_file = argv[1] }, error,
				      sizeof error) < 0 ||
	    minirpc_loop_new(&loop, NULL) < 0 ||
	    minirpc_auth_new(&auth, &(struct minirpc_auth_options){ .check = check }) < 0 ||
	    minirpc_credentials_new(&credentials,
				    &(struct minirpc_credentials_options){
					    .get = get, .user = loop, .shared = true }) < 0 ||
	    minirpc_server_new(
		    &server, loop,
		    &(struct minirpc_server_options){
			    .tls = server_tls,
			    .interceptors = (const struct minirpc_use[]){ minirpc_auth_use(auth),
									  { NULL } } }) < 0 ||
	    demo_kinds_serve(server, &handlers, NULL) < 0 ||
	    minirpc_server_listen(
		    server, "localhost:0",
		    &(struct minirpc_listen_options){
			    .ret_port = &port, .error = error, .error_size = sizeof error }) < 0) {
		fprintf(stderr, "credentials: %s\n", error);
	} else {
		snprintf(target, sizeof target, "localhost:%u", port);
		r = call_all(loop, target, client_tls, credentials);
	}
	minirpc_server_free(server);
	minirpc_auth_free(auth); /* after what uses it */
	minirpc_credentials_free(credentials);
	minirpc_tls_unref(server_tls);
	minirpc_tls_unref(client_tls);
	minirpc_loop_free(loop);
	return r < 0;
}

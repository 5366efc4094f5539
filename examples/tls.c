/* SPDX-License-Identifier: MIT */
/* TLS on both sides: each shows a certificate, each verifies the other's. Make one for both, type
 *
 *	openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=gopher \
 *		-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
 *	tls cert.pem key.pem cert.pem
 *
 * (certificate, its key, whom to trust) and see
 *
 *	server: hello from CN=gopher
 *	client: hello
 *	a client without a certificate: UNAVAILABLE
 */
#include "demo.minirpc.h"

#include <openssl/x509.h>
#include <stdio.h>

/* Who calls? The certificate has been verified before the handler sees the call. */
static void on_echo(demo_kinds_echo_callee *call, const Demo__Text *req, void *user)
{
	size_t len;
	const unsigned char *der = minirpc_call_peer_certificate(demo_kinds_echo_call(call), &len);
	X509 *certificate = der != NULL ? d2i_X509(NULL, &der, (long)len) : NULL;

	(void)user;
	if (certificate == NULL) {
		demo_kinds_echo_fail(call, MINIRPC_UNAUTHENTICATED, "who are you?");
		return;
	}
	printf("server: %s from ", req->text);
	fflush(stdout);
	X509_NAME_print_ex_fp(stdout, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
	printf("\n");
	X509_free(certificate);
	demo_kinds_echo_reply(call, req);
}

struct outcome {
	enum minirpc_code code;
	bool done;
};

static void on_done(const struct minirpc_status *status, const Demo__Text *resp, void *user)
{
	struct outcome *outcome = user;

	if (resp != NULL)
		printf("client: %s\n", resp->text);
	*outcome = (struct outcome){ status->code, true };
}

/* One call over a channel of its own. The name in the target is the name that the server's
 * certificate must have. */
static enum minirpc_code call(minirpc_loop *loop, const char *target,
			      const struct minirpc_tls_options *options)
{
	struct outcome outcome = { .code = MINIRPC_UNKNOWN };
	minirpc_channel *channel = NULL;
	minirpc_tls *tls = NULL;
	char error[256] = "out of memory";

	if (minirpc_tls_new_explained(&tls, options, error, sizeof error) < 0 ||
	    minirpc_channel_new(&channel, loop, target,
				&(struct minirpc_channel_options){ .tls = tls }) < 0 ||
	    demo_kinds_echo(channel, &(Demo__Text){ DEMO__TEXT__FIELDS, .text = (char *)"hello" },
			    &(struct minirpc_call_options){ .timeout = MINIRPC_S(5) }, on_done,
			    &outcome) < 0)
		fprintf(stderr, "tls: client: %s\n", error);
	else
		minirpc_loop_run_until(loop, &outcome.done);
	minirpc_tls_unref(tls); /* the channel has a reference of its own */
	minirpc_channel_free(channel);
	return outcome.code;
}

int main(int argc, char **argv)
{
	static const struct demo_kinds_handlers handlers = { .echo = on_echo };
	struct minirpc_tls_options options = { 0 };
	enum minirpc_code known = MINIRPC_UNKNOWN, unknown = MINIRPC_UNKNOWN;
	char target[32], error[256] = "out of memory";
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	minirpc_tls *tls = NULL;
	uint16_t port;

	if (argc != 4) {
		fprintf(stderr, "Usage: tls CERTIFICATE KEY CA\n");
		return 2;
	}
	options = (struct minirpc_tls_options){ argv[1], argv[2], argv[3] };
	if (minirpc_tls_new_explained(&tls, &options, error, sizeof error) < 0 ||
	    minirpc_loop_new(&loop, NULL) < 0 ||
	    minirpc_server_new(&server, loop, &(struct minirpc_server_options){ .tls = tls }) < 0 ||
	    demo_kinds_serve(server, &handlers, NULL) < 0 ||
	    minirpc_server_listen(
		    server, "localhost:0",
		    &(struct minirpc_listen_options){
			    .ret_port = &port, .error = error, .error_size = sizeof error }) < 0) {
		fprintf(stderr, "tls: server: %s\n", error);
	} else {
		snprintf(target, sizeof target, "localhost:%u", port);
		known = call(loop, target, &options);
		unknown = call(loop, target, &(struct minirpc_tls_options){ .ca_file = argv[3] });
		printf("a client without a certificate: %s\n", minirpc_code_name(unknown));
	}
	minirpc_tls_unref(tls);
	minirpc_server_free(server);
	minirpc_loop_free(loop);
	return known != MINIRPC_OK || unknown == MINIRPC_OK;
}

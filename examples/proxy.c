/* SPDX-License-Identifier: MIT */
/* A proxy for any gRPC service, whatever its methods, its messages and how they are written. Type
 *
 *	proxy localhost:50050 localhost:50051   listening on localhost:50050
 *
 * in front of hello_server (localhost:50051), and in another window:
 * hello_client localhost:50050 gopher. Port 0 picks a free one.
 *
 * Each call that comes in (front) gets one that goes on (back):
 *
 *	client --messages--> front ==> back --messages--> server
 *	client <--messages-- front <== back <--messages-- server
 *
 * Nobody keeps a message: when one side has no room the other is paused, and then flow control holds off
 * whoever sends. The deadline and a cancellation go with .parent. */
#include <minirpc/minirpc.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct relay {
	minirpc_call *front, *back; /* back: NULL once it is over */
};

static const struct minirpc_status no_memory = { MINIRPC_RESOURCE_EXHAUSTED,
						 "the proxy has no memory", NULL, 0 };

/* One message on its way. What it cannot take ends the call at both ends. */
static void pass(struct relay *relay, minirpc_call *from, minirpc_call *to,
		 const struct minirpc_message *message)
{
	int r;

	minirpc_call_compress(to, message->compressed);
	r = minirpc_call_send(to, message->data, message->len);
	if (r < 0 && r != -EPIPE) /* -EPIPE: over, we shall hear of it */
		minirpc_call_abort(relay->back, &no_memory);
	else if (!minirpc_call_has_room(to))
		minirpc_call_pause(from);
}

/* ---- back: what the server says ---- */

static void back_headers(minirpc_call *back, const struct minirpc_metadata *metadata, void *user)
{
	struct relay *relay = user;
	const struct minirpc_field *fields = minirpc_call_forward(back, metadata);

	minirpc_call_set_compression(relay->front, minirpc_call_peer_compression(back));
	if (fields == NULL || minirpc_call_send_headers(relay->front, fields) == -ENOMEM)
		minirpc_call_abort(back, &no_memory);
}

static void back_message(minirpc_call *back, const struct minirpc_message *message, void *user)
{
	struct relay *relay = user;

	pass(relay, back, relay->front, message);
}

static void back_writable(minirpc_call *back, void *user)
{
	struct relay *relay = user;

	(void)back;
	minirpc_call_resume(relay->front);
}

static void back_end(minirpc_call *back, const struct minirpc_status *status, void *user)
{
	struct relay *relay = user; /* in the front's memory */

	minirpc_call_set_trailers(relay->front,
				  minirpc_call_forward(back, minirpc_call_trailers(back)));
	minirpc_call_end(relay->front, status);
}

static const struct minirpc_call_events back_events = { .on_headers = back_headers,
							.on_message = back_message,
							.on_writable = back_writable,
							.on_end = back_end };

/* ---- front: what the client says ---- */

static void front_message(minirpc_call *front, const struct minirpc_message *message, void *user)
{
	struct relay *relay = user;

	pass(relay, front, relay->back, message);
}

static void front_half_close(minirpc_call *front, void *user)
{
	struct relay *relay = user;

	(void)front;
	minirpc_call_end(relay->back, NULL);
}

static void front_writable(minirpc_call *front, void *user)
{
	struct relay *relay = user;

	(void)front;
	minirpc_call_resume(relay->back);
}

/* The client has left: the back ends with its parent, and back_end gives the front back. */
static const struct minirpc_call_events front_events = { .on_message = front_message,
							 .on_half_close = front_half_close,
							 .on_writable = front_writable };

static void on_call(minirpc_call *front, const struct minirpc_metadata *metadata, void *user)
{
	const struct minirpc_method method = {
		.path = minirpc_call_path(front),
		.subtype = minirpc_call_subtype(front),
		.flags = MINIRPC_CLIENT_STREAMING | MINIRPC_SERVER_STREAMING,
	};
	const struct minirpc_call_options options = {
		.parent = front,
		.metadata = minirpc_call_forward(front, metadata),
		.compression = minirpc_call_peer_compression(front),
	};
	struct relay *relay = minirpc_call_alloc(front, sizeof *relay);
	int r = -ENOMEM;

	if (relay != NULL && options.metadata != NULL) {
		relay->front = front;
		minirpc_call_listen(front, &front_events, relay);
		r = minirpc_call_open(&relay->back, user, &method, &options, &back_events, relay);
	}
	if (r < 0)
		minirpc_call_fail(front, MINIRPC_UNAVAILABLE, "the proxy: %s", strerror(-r));
}

/* ---- */

int main(int argc, char **argv)
{
	static const struct minirpc_call_events any = { .on_headers = on_call };
	const char *address = argc > 1 ? argv[1] : "localhost:50050";
	const char *target = argc > 2 ? argv[2] : "localhost:50051";
	char why[128] = "out of memory";
	minirpc_channel *channel = NULL;
	minirpc_server *server = NULL;
	minirpc_loop *loop = NULL;
	uint16_t port = 0;
	struct minirpc_listen_options at = { .ret_port = &port, .error = why, .error_size = sizeof why };
	int r = -1;

	if (minirpc_loop_new(&loop, NULL) < 0 ||
	    minirpc_channel_new(&channel, loop, target, NULL) < 0 ||
	    minirpc_server_new(&server, loop, NULL) < 0 ||
	    minirpc_server_add_fallback(server, &any, channel, NULL) < 0 ||
	    minirpc_server_listen(server, address, &at) < 0) {
		fprintf(stderr, "proxy: %s\n", why);
	} else {
		printf("listening on %.*s:%u\n", (int)(strrchr(address, ':') - address), address, port);
		fflush(stdout);
		r = minirpc_loop_run(loop);
	}
	minirpc_server_free(server);
	minirpc_channel_free(channel);
	minirpc_loop_free(loop);
	return r != 0;
}

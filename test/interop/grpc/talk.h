/* SPDX-License-Identifier: MIT */
/* A talk: one call of any kind, told as a straight line. Sends, waits, and keeps what was said.
 *
 *	talk_open(&talk, client, &full_duplex, NULL);
 *	talk_send(&talk, &request.base);
 *	talk_hear(&talk, 1);                     // waits for one message in all, or for the end
 *	talk_close(&talk);
 *	talk_end(&talk);                         // waits for the end
 *	... talk.code, talk.count, talk.heard[0].body
 *	talk_clear(&talk);
 *
 * What goes wrong underneath (no memory, a message that cannot be decoded) ends a talk with a note in
 * talk.wrong, which every check looks at. */
#ifndef INTEROP_TALK_H
#define INTEROP_TALK_H

#include "orca_data.minirpc.h"
#include "testing.minirpc.h"

#include <minirpc/minirpc.h>

struct soak {
	long iterations, max_failures, per_iteration_ms, overall_s, min_ms_between;
	long request_size, response_size, threads;
};

struct client {
	minirpc_channel *channel;
	minirpc_loop *loop;
	const struct minirpc_field *metadata; /* on every call; NULL: none */
	struct soak soak;
	int (*open_channel)(struct client *client); /* a new one in place of the old; 0 or -errno */
	void *user;
};

/* A method, and what it answers with. */
struct method {
	struct minirpc_method method;
	const ProtobufCMessageDescriptor *response;
};

extern const struct method empty_call, unary_call, input_call, output_call, full_duplex_call,
	half_duplex_call, unimplemented_method, unimplemented_service, core_metrics;

#define HEARD_MAX 16

struct talk {
	struct client *client;
	const struct method *method;
	minirpc_call *call; /* NULL when it is over */
	bool moved;         /* something was heard since */

	struct heard {
		size_t len;  /* of the message */
		size_t body; /* of the payload in it */
		bool has_payload, compressed;
	} heard[HEARD_MAX]; /* the first ones */
	size_t count;
	ProtobufCMessage *last;

	enum minirpc_code code; /* when it is over */
	char *text;             /* free() */
	char *echo;             /* initial metadata; free() */
	uint8_t echo_bin[16];
	size_t echo_bin_len;
	Xds__Data__Orca__V3__OrcaLoadReport *load;
	const char *wrong;
};

/* options may be NULL; its metadata is the client's unless it brings some. */
void talk_open(struct talk *talk, struct client *client, const struct method *method,
	       const struct minirpc_call_options *options);
void talk_send(struct talk *talk, const ProtobufCMessage *message);
void talk_close(struct talk *talk);
void talk_hear(struct talk *talk, size_t count);
void talk_end(struct talk *talk);
void talk_clear(struct talk *talk);

/* One request and its answer: open, send, close, end. */
void talk_unary(struct talk *talk, struct client *client, const struct method *method,
		const ProtobufCMessage *request, const struct minirpc_call_options *options);

/* Lets the loop run for a while. */
void client_rest(struct client *client, minirpc_time span);

#endif

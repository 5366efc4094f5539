/* SPDX-License-Identifier: MIT */
/* The negative cases: what a client does with a server that misbehaves in HTTP/2 (rude.py). The
 * server judges too: goaway, ping, max_streams and data_frame_padding. */
#include "cases.h"

static bool goaway(struct client *client)
{
	if (!large_unary(client))
		return false;
	client_rest(client, MINIRPC_MS(200)); /* the GOAWAY arrives */
	return large_unary(client);           /* on a new connection */
}

static bool large_fails(struct client *client, enum minirpc_code code)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = ended_with(&talk, code);
	if (ok && talk.count != 0)
		ok = fail_case("a response came out of a reset stream");
	talk_clear(&talk);
	return ok;
}

/* RST_STREAM(NO_ERROR) without a status is INTERNAL [S-4]. */
static bool reset_is_internal(struct client *client)
{
	return large_fails(client, MINIRPC_INTERNAL);
}

/* The whole message arrived, its status did not: that it is not handed out is not required. */
static bool rst_after_data(struct client *client)
{
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_INTERNAL);
	talk_clear(&talk);
	return ok;
}

static bool max_streams(struct client *client)
{
	enum { CALLS = 15 };
	Grpc__Testing__Payload payload = { GRPC__TESTING__PAYLOAD__FIELDS, .body = BODY(271828) };
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .response_size = 314159, .payload = &payload };
	struct talk talks[CALLS];
	bool ok = large_unary(client);

	for (int i = 0; i < CALLS; i++) {
		talk_open(&talks[i], client, &unary_call, NULL);
		talk_send(&talks[i], &request.base);
		talk_close(&talks[i]);
	}
	for (int i = 0; i < CALLS; i++) {
		talk_end(&talks[i]);
		ok = ended_with(&talks[i], MINIRPC_OK) &&
		     brought(&talks[i], (const int[]){ 314159 }, 1) && ok;
		talk_clear(&talks[i]);
	}
	return ok;
}

const struct test_case http2_cases[] = {
	{ "goaway", goaway },
	{ "rst_after_header", reset_is_internal },
	{ "rst_during_data", reset_is_internal },
	{ "rst_after_data", rst_after_data },
	{ "ping", large_unary },
	{ "max_streams", max_streams },
	{ "data_frame_padding", large_unary },
	{ "no_df_padding_sanity_test", large_unary },
	{ 0 },
};

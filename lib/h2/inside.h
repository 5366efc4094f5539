/* SPDX-License-Identifier: MIT */
/* What the files of h2 share: the conn, its streams, and who does what.
 *
 *	conn.c      life of a connection, the machine's verbs, GOAWAY
 *	session.c   nghttp2: options, memory, SETTINGS
 *	conn_in.c   nghttp2's callbacks for what comes in
 *	request.c   a server's header blocks      response.c  a client's
 *	conn_out.c  headers, data and trailers that go out
 *	stream.c    life of a stream, what is due
 *	stream_in.c messages and credit
 *	zone.c      the session's memory
 *	late.c      answers that wait
 *	admit.c     requests that are turned away at the door
 *	ping.c      PING, and the two-step GOAWAY that needs one
 *	keepalive.c when to ask whether the peer is still there
 *	goaway.c    a GOAWAY with words of ours
 *	guard.c     what a peer may do
 *
 * Rule of the house: a callback of nghttp2 records, pushes parts and wakes tasks. Whatever it finds
 * that nghttp2 should be told, it marks as due; mrpc_conn_settle does that, outside of any
 * callback. */
#ifndef MRPC_H2_INSIDE_H
#define MRPC_H2_INSIDE_H

#include "h2/conn.h"

#include "base/list.h"
#include "call/call.h"
#include "h2/guard.h"
#include "h2/zone.h"
#include "wire/frame.h"
#include "wire/header.h"
#include "wire/timeout.h"

#include <nghttp2/nghttp2.h>

/* Points in time at which a conn has something to do. */
enum mrpc_alarm {
	MRPC_ALARM_HANDSHAKE,
	MRPC_ALARM_HEADERS,
	MRPC_ALARM_STALL,
	MRPC_ALARM_PING, /* one for each kind of PING, in their order */
	MRPC_ALARM_PING_KEEPALIVE,
	MRPC_ALARM_KEEPALIVE,
	MRPC_ALARM_LATE,
	MRPC_ALARMS
};

/* What PINGs are for. Each kind has one of its own under way at most. */
enum mrpc_ping_kind { MRPC_PING_DRAIN, MRPC_PING_KEEPALIVE, MRPC_PINGS };

struct mrpc_ping {
	uint64_t number;
	bool out, answered;
	void (*on_ping)(struct mrpc_conn *conn, bool answered);
};

/* What is due for a stream; done by mrpc_stream_settle, in this order. */
enum {
	MRPC_DUE_END = 1,      /* client: stream->status is how the call ended */
	MRPC_DUE_FAIL = 2,     /* the peer's error: stream->answer (server), stream->status */
	MRPC_DUE_TRAILERS = 4, /* all data was handed over */
	MRPC_DUE_RESET = 8,    /* RST_STREAM with stream->reset_code */
	MRPC_DUE_CLOSED = 16   /* nghttp2 has closed it */
};

/* What a server says without, or in place of, a handler. The text is static and needs no escapes.
 */
struct mrpc_answer {
	unsigned http_status;
	bool bare;            /* no grpc-status [W-5] */
	bool late;            /* it waits, see late.c */
	const char *body;     /* bare: a line for people; NULL: none */
	bool accept_encoding; /* say which encodings we take [C-3] */
	enum minirpc_code code;
	const char *text;
	const char *pushback;     /* NULL: nothing is said of it */
	const char *content_type; /* once the call is gone; NULL: that of most */
};

struct mrpc_stream {
	struct mrpc_list node;      /* conn->streams, or conn->lingering */
	struct mrpc_list due_node;  /* conn->due */
	struct mrpc_list wait_node; /* conn->waiting, conn->late, or conn->crowd */
	struct mrpc_conn *conn;
	struct minirpc_call *call; /* attached; NULL once either side let go */
	/* Keeps the call's memory, to which headers in flight point, until the stream is gone; and
	 * at a server tells whether the handler has ended. */
	struct minirpc_call *pin;
	struct mrpc_task task; /* reader of the call's out lane, writer of its in lane */
	int32_t id;            /* 0: not submitted */

	unsigned due;
	uint32_t reset_code, close_code;
	bool routed;        /* server: the call was attached */
	bool headers_out;   /* our headers were submitted */
	bool deferred;      /* nghttp2 waits for mrpc_stream_resume */
	bool fair;          /* takes turns with other streams */
	bool peer_done;     /* END_STREAM received */
	bool data_done;     /* the data source said EOF */
	bool we_done;       /* END_STREAM sent */
	bool closed;        /* nghttp2 knows it no more; not counted in conn->open */
	bool lingering;     /* server: in conn->lingering */
	bool answered;      /* server: answer replaces the handler's */
	bool final_headers; /* client: response headers that are not 1xx arrived */
	bool too_large;     /* our header block did not fit */
	bool not_sent;      /* client: nghttp2 dropped our headers */

	unsigned http_status; /* client */
	size_t offset;   /* bytes of the out lane's first part, prefix included, that were sent */
	size_t advanced; /* bytes of the message under assembly whose credit went back already */
	size_t held;     /* credit of whole messages that is too little to bother */
	size_t credit;   /* credit to give back */
	size_t assembly; /* its part of conn->assembly: the message under assembly may come in whole */
	unsigned row;    /* messages pushed since the in lane was empty */
	struct mrpc_buf backlog; /* bytes that wait for the reader to catch up */
	bool end_waits;          /* the peer's end stands behind the backlog */
	struct mrpc_deframer deframer;
	struct minirpc_status status;
	struct mrpc_answer answer;
	const char *body;       /* server: what is left of answer.body; NULL: there is none */
	char *words;            /* server: the text of a refusal */
	char pushback[MRPC_PUSHBACK_SIZE];
	minirpc_time answer_at; /* server: while in conn->late */
	char timeout[MRPC_TIMEOUT_SIZE]; /* client: text of grpc-timeout */
};

/* The header block that is coming in; there is only ever one on a connection. */
struct mrpc_block {
	struct mrpc_stream *stream;    /* NULL: nobody wants it */
	struct minirpc_metadata *into; /* NULL: keep nothing */
	size_t bytes;
	unsigned fields;
	bool too_large, no_memory, bad_metadata, bad_encoding;
	const struct minirpc_compressor *compressor; /* grpc-encoding; NULL: identity */
	bool content_type, grpc_type;
	bool subtype_ok; /* request: it is one; response: the call's */
	/* request */
	bool post, head, te, bad_authority, bad_timeout;
	minirpc_time timeout; /* MINIRPC_NEVER: none */
	/* response */
	bool informational;
	bool has_status; /* grpc-status */
	struct minirpc_status status;
};

struct mrpc_conn {
	struct mrpc_machine machine;
	enum mrpc_role role;
	enum mrpc_conn_state state;
	bool dead; /* the session is not to be touched any more */
	bool settling;
	bool drain_begun; /* by us */
	bool drain_said;  /* client: with a GOAWAY */
	struct mrpc_place place;
	struct minirpc_conn_limits limits;
	struct mrpc_call_config call_config;
	const struct mrpc_compressors *compressors; /* the owner's, never NULL */
	/* Server: the last grpc-accept-encoding, and what it comes to: a client says it in every call. */
	char accept_text[48];
	size_t accept_len;
	uint32_t accepts;
	const struct minirpc_call_events *accept;
	void *accept_user;
	bool (*admit)(void *user, struct minirpc_call *call, minirpc_time timeout,
		      struct mrpc_refusal *ret_refusal);
	struct minirpc_call *blank; /* server: for the next request; NULL: none at hand */
	struct mrpc_task *owner;
	struct minirpc_conn_counts counts, *also;
	char *user_agent;
	size_t user_agent_len;
	const char *scheme;
	char *peer;
	const void *certificate;
	size_t certificate_len;
	char reason[160];

	nghttp2_session *session;
	struct mrpc_zone zone; /* its memory */
	bool no_memory;        /* it met the end of memory, and must not even clean up */
	struct mrpc_guard guard;
	struct mrpc_timers timers;
	minirpc_time alarms[MRPC_ALARMS];
	minirpc_time now;

	struct mrpc_list streams;   /* all that nghttp2 or a call still knows */
	struct mrpc_list lingering; /* server: closed, but the handler has not ended */
	struct mrpc_list waiting;   /* client: calls over the peer's limit [W-12] */
	struct mrpc_list late;      /* server: answers that wait, in order */
	struct mrpc_list due;
	struct mrpc_list crowd; /* large messages that wait for room in assembly */
	size_t assembly;        /* bytes of large messages that are coming in */
	size_t open;  /* streams that are open at nghttp2 */
	size_t calls; /* calls attached */
	size_t unsubmitted; /* client: streams that nghttp2 does not know yet */
	bool room_wanted;   /* client: the owner waits until there is room */
	size_t ours;  /* of them: not a user's */
	size_t lingerers;

	struct mrpc_block block;
	struct mrpc_buf scratch; /* for decoding */

	/* recorded by callbacks, settled later */
	enum mrpc_breach breach;
	bool settings_received;
	bool greeted; /* they have been settled */
	bool goaway_received, goaway_due;
	int32_t goaway_last;
	int32_t last_taken; /* server: the last stream that our final GOAWAY names, once it is queued */
	uint32_t arrived; /* DATA bytes whose connection credit is to go back */

	/* while pending runs */
	struct mrpc_buf *out;
	size_t out_limit;
	size_t unsent; /* handed over, not sent */
	bool held_off; /* the peer, as wants_receive said last */

	/* ping.c */
	uint64_t ping_number;
	bool ping_answered; /* one of them */
	struct mrpc_ping pings[MRPC_PINGS];
	const char *drain_text; /* debug data of the two GOAWAYs; static */

	/* keepalive.c */
	struct minirpc_keepalive keepalive, *keepalive_owner; /* the latter NULL, or the channel's */
	minirpc_time read_at;  /* the last byte */
	minirpc_time asked_at; /* the last PING of the keepalive */
	bool keepalive_asleep; /* client: no call for so long that we stopped asking */
	bool too_many_pings;   /* client: the server says so */

	/* goaway.c */
	struct {
		bool due;
		bool last; /* nothing is sent after it */
		uint32_t stream, code;
		const char *text; /* static */
	} goaway;
	bool hello_out; /* SETTINGS have left, which go before everything */

	/* Server: streams for which there was no memory, and to say so [S-4]. */
	int32_t unrecorded[4];
	unsigned unrecorded_count;
	minirpc_time idle_at; /* server: since when no stream is open, when none is */
};

#define MRPC_COUNT(conn, what, n)                                                                  \
	do {                                                                                       \
		(conn)->counts.what += (n);                                                        \
		if ((conn)->also != NULL)                                                          \
			(conn)->also->what += (n);                                                 \
	} while (0)

/* ---- conn.c ---- */

/* The driver should fetch bytes, or look at the deadline. */
void mrpc_conn_touch(struct mrpc_conn *conn);

/* Does what callbacks found due. Never inside a callback. */
void mrpc_conn_settle(struct mrpc_conn *conn);

/* GOAWAY with this HTTP/2 code, all calls end, nothing is received any more. */
void mrpc_conn_terminate(struct mrpc_conn *conn, uint32_t error_code, enum minirpc_code code,
			 const char *reason);

/* nghttp2 returned an error that it cannot go on from. Returns the -errno for the verb. */
int mrpc_conn_fatal(struct mrpc_conn *conn, int nghttp2_error);

/* The peer is not there any more: all calls end, nothing is sent or received. */
void mrpc_conn_lose(struct mrpc_conn *conn, const char *reason);

/* As terminate, with debug data (static) in the GOAWAY, and without a word after it. */
void mrpc_conn_dismiss(struct mrpc_conn *conn, uint32_t error_code, const char *debug,
		       const char *reason);

/* As terminate, and counts it. */
void mrpc_conn_breach(struct mrpc_conn *conn, enum mrpc_breach breach);

void mrpc_conn_set_state(struct mrpc_conn *conn, enum mrpc_conn_state state, const char *reason);

/* ---- session.c ---- */

int mrpc_session_new(struct mrpc_conn *conn);
void mrpc_session_free(struct mrpc_conn *conn); /* also when new failed */

/* ---- conn_in.c ---- */

void mrpc_conn_in_callbacks(nghttp2_session_callbacks *callbacks);

/* A field of any header block: counts it, decodes "-bin", adds it to block->into. */
void mrpc_block_add(struct mrpc_conn *conn, const char *name, size_t name_len, const char *value,
		    size_t value_len);

/* What grpc-encoding says [C-3]. */
void mrpc_block_encoding(struct mrpc_conn *conn, const char *value, size_t len);

/* Decodes base64 into conn->scratch. Returns 0, -EINVAL, -ENOMEM. */
int mrpc_block_decode(struct mrpc_conn *conn, const char *text, size_t len, size_t *ret_len);

/* ---- request.c, response.c ---- */

int mrpc_request_begin(struct mrpc_conn *conn, int32_t id);
void mrpc_request_field(struct mrpc_conn *conn, enum mrpc_header header, const char *name,
			size_t name_len, const char *value, size_t value_len);
void mrpc_request_end(struct mrpc_conn *conn, struct mrpc_stream *stream);
void mrpc_request_half_close(struct mrpc_stream *stream);

void mrpc_response_begin(struct mrpc_conn *conn, struct mrpc_stream *stream, bool end_stream);
void mrpc_response_field(struct mrpc_conn *conn, enum mrpc_header header, const char *name,
			 size_t name_len, const char *value, size_t value_len);
void mrpc_response_end(struct mrpc_conn *conn, struct mrpc_stream *stream, bool end_stream);
void mrpc_response_without_trailers(struct mrpc_stream *stream);

/* ---- conn_out.c ---- */

void mrpc_conn_out_callbacks(nghttp2_session_callbacks *callbacks);

/* Submits what the out lane holds: headers, or the news that there is more data. */
void mrpc_stream_pull(struct mrpc_stream *stream);

void mrpc_stream_submit_trailers(struct mrpc_stream *stream);
void mrpc_stream_submit_answer(struct mrpc_stream *stream);
void mrpc_stream_resume(struct mrpc_stream *stream);

/* ---- stream.c ---- */

/* NULL when there is no memory. */
struct mrpc_stream *mrpc_stream_new(struct mrpc_conn *conn);
void mrpc_stream_free(struct mrpc_stream *stream);

void mrpc_stream_attach(struct mrpc_stream *stream, struct minirpc_call *call);

/* Marks something for mrpc_stream_settle. */
void mrpc_stream_due(struct mrpc_stream *stream, unsigned what);
void mrpc_stream_due_reset(struct mrpc_stream *stream, uint32_t error_code);

/* The peer, or the want of memory, spoilt this stream. code and text (static) are for the client of
 * a server's stream, or for our own call. */
void mrpc_stream_fail(struct mrpc_stream *stream, enum minirpc_code code, const char *text);
void mrpc_stream_fail_http(struct mrpc_stream *stream, const struct mrpc_answer *answer);

void mrpc_stream_settle(struct mrpc_stream *stream);

/* Tells the call, if there is still one, and lets go of it. */
void mrpc_stream_end_call(struct mrpc_stream *stream, const struct minirpc_status *status,
			  bool unprocessed);

/* Server: the handler's answer is on its way; lets go of the call. */
void mrpc_stream_completed(struct mrpc_stream *stream);

/* Client: starts calls that wait, while there is room. */
void mrpc_conn_start_waiting(struct mrpc_conn *conn);
bool mrpc_conn_has_room(const struct mrpc_conn *conn);
/* Wakes the owner when it waits for room and there is some. */
void mrpc_conn_look_for_room(struct mrpc_conn *conn);

/* Server: streams that are open, and handlers that still run though they know that the peer left.
 */
size_t mrpc_conn_running(struct mrpc_conn *conn);

/* ---- stream_in.c ---- */

/* DATA arrived. */
void mrpc_stream_receive(struct mrpc_stream *stream, const uint8_t *data, size_t len);

/* The peer's END_STREAM arrived: true when it has to wait until all messages are in the lane. At a
 * client stream->status is told then. */
bool mrpc_stream_end_must_wait(struct mrpc_stream *stream);

/* Client: all messages into the lane, and stream->status is final: nothing will come any more. */
void mrpc_stream_drain_all(struct mrpc_stream *stream);

/* Forgets what came in and is not in the lane. */
void mrpc_stream_clear_input(struct mrpc_stream *stream);

/* The reader took something: more messages, and credit back. */
void mrpc_stream_reader_moved(struct mrpc_stream *stream);

/* ---- admit.c ---- */

/* A call for the headers of a request that begins; NULL: no memory. */
struct minirpc_call *mrpc_blank_take(struct mrpc_conn *conn);

/* The request is answered without a call, which is kept for the next. */
void mrpc_request_refuse(struct mrpc_stream *stream, const struct mrpc_answer *answer);

/* Asks the owner; false: the request is refused. */
bool mrpc_request_is_admitted(struct mrpc_stream *stream);

void mrpc_blank_free(struct mrpc_conn *conn);

/* ---- late.c ---- */

/* Answers after a while. */
void mrpc_late_answer(struct mrpc_stream *stream);
void mrpc_late_ring(struct mrpc_conn *conn);

/* ---- ping.c ---- */

/* One of a kind at a time. Tells whether an answer came within `patience`. */
void mrpc_ping_send(struct mrpc_conn *conn, enum mrpc_ping_kind kind, minirpc_time patience,
		    void (*on_ping)(struct mrpc_conn *conn, bool answered));
void mrpc_ping_received_ack(struct mrpc_conn *conn, const uint8_t opaque[8]);
void mrpc_ping_settle(struct mrpc_conn *conn);
void mrpc_ping_timed_out(struct mrpc_conn *conn, enum mrpc_ping_kind kind);

/* GOAWAY(2^31-1), PING, and on its answer or after 5 s GOAWAY(last) [G-2]. */
void mrpc_drain_begin(struct mrpc_conn *conn);
void mrpc_drain_go_on(struct mrpc_conn *conn);

/* ---- keepalive.c ---- */

/* The conn is ready. */
void mrpc_keepalive_begin(struct mrpc_conn *conn);
void mrpc_keepalive_ring(struct mrpc_conn *conn);

/* Client: a call was opened while we were asleep. */
void mrpc_keepalive_wake(struct mrpc_conn *conn);

/* Client: the server said GOAWAY with too_many_pings. */
void mrpc_keepalive_rebuked(struct mrpc_conn *conn);

/* ---- goaway.c ---- */

/* A GOAWAY with debug data (static, may be ""), which nghttp2 knows nothing of. `last`: the conn is
 * dead behind it. */
void mrpc_goaway_say(struct mrpc_conn *conn, uint32_t stream, uint32_t code, const char *text,
		     bool last);

/* To conn->out, between two frames and never within a header block. Returns 0 or -ENOMEM. */
int mrpc_goaway_write(struct mrpc_conn *conn);

#endif

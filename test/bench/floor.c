/* SPDX-License-Identifier: MIT */
/* The yardstick: the least that a gRPC answer over nghttp2 can cost. nghttp2 and epoll, nothing
 * else.
 *
 * It answers every POST with fixed bytes: /bench.Bench/Unary with one message, /bench.Bench/Stream
 * with `count` of them, then with OK. It reads no protobuf and checks nothing; it is no server to
 * learn from, but all that it does a gRPC server has to do as well.
 *
 *	floor [--listen 127.0.0.1:PORT] [--answer BYTES] [--count N] [--size BYTES] [--split]
 *
 * --split sends one DATA frame per message in place of packing several into one.
 * It is tuned as we know how: one send() for each connection and turn, mem_recv and mem_send, a
 * slab for nghttp2's memory, static names and values, closed streams forgotten, no RFC 7540
 * priorities. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nghttp2/nghttp2.h>

enum {
	OUT_SIZE = 128 * 1024,      /* bytes gathered before a write */
	FRAME_SIZE = 9 + 16 * 1024, /* the most that one mem_send brings, about */
	IN_SIZE = 64 * 1024,
	PATTERN_LEAST = 64 * 1024,
	WINDOW = 64 * 1024 * 1024
};

/* One kind of answer: `count` messages of `len` bytes, prefix included, from a repeated pattern. */
struct answer {
	uint8_t *
		pattern; /* messages end to end, long enough for a frame from any message's start */
	size_t pattern_len;
	size_t len;
	uint64_t total; /* len * count */
};

struct stream {
	const struct answer *answer;
	uint64_t sent;
	struct stream *next; /* when free */
};

struct conn {
	int fd;
	bool blocked; /* the socket took less than we had; `rest` waits for EPOLLOUT */
	nghttp2_session *session;
	uint8_t *rest;
	size_t rest_len;
	struct conn *next_touched;
};

static struct answer unary_answer, stream_answer;
static bool split;
static struct stream *free_streams;
static uint8_t out[OUT_SIZE + FRAME_SIZE];
static uint8_t in[IN_SIZE];
static int epoll_fd, listener, signals;

/* ---- nghttp2's memory: free lists by size ---- */

struct piece {
	size_t class; /* 0: malloc's own */
	struct piece *next;
};

static struct piece *free_pieces[65]; /* class n: 64 * n bytes */

static void *slab_malloc(size_t size, void *user)
{
	size_t class = (size + 63) / 64;
	struct piece *piece;

	(void)user;
	if (class > 64)
		class = 0;
	piece = free_pieces[class];
	if (class != 0 && piece != NULL)
		free_pieces[class] = piece->next;
	else
		piece = malloc(sizeof *piece + (class != 0 ? class * 64 : size));
	if (piece == NULL)
		return NULL;
	piece->class = class;
	return piece + 1;
}

static void slab_free(void *memory, void *user)
{
	struct piece *piece = memory;

	(void)user;
	if (memory == NULL)
		return;
	piece--;
	if (piece->class == 0) {
		free(piece);
		return;
	}
	piece->next = free_pieces[piece->class];
	free_pieces[piece->class] = piece;
}

static void *slab_calloc(size_t count, size_t size, void *user)
{
	void *memory = slab_malloc(count * size, user);

	return memory == NULL ? NULL : memset(memory, 0, count * size);
}

static void *slab_realloc(void *memory, size_t size, void *user)
{
	struct piece *piece = memory;
	void *larger;

	if (memory == NULL)
		return slab_malloc(size, user);
	piece--;
	if (piece->class == 0) {
		piece = realloc(piece, sizeof *piece + size);
		return piece == NULL ? NULL : piece + 1;
	}
	if (size <= piece->class * 64)
		return memory;
	larger = slab_malloc(size, user);
	if (larger != NULL) {
		memcpy(larger, memory, piece->class * 64);
		slab_free(memory, user);
	}
	return larger;
}

static nghttp2_mem slab = { NULL, slab_malloc, slab_free, slab_calloc, slab_realloc };

/* ---- HTTP/2 ---- */

#define FIELD(n, v)                                                                                \
	{                                                                                          \
		(uint8_t *)(n), (uint8_t *)(v), sizeof(n) - 1, sizeof(v) - 1,                      \
			NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE               \
	}

static const nghttp2_nv headers[] = { FIELD(":status", "200"),
				      FIELD("content-type", "application/grpc") };
static const nghttp2_nv trailers[] = { FIELD("grpc-status", "0") };

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *data, size_t size,
		       uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct stream *stream = source->ptr;
	const struct answer *answer = stream->answer;
	uint64_t left = answer->total - stream->sent;
	size_t at = stream->sent % answer->len;
	size_t most = split ? answer->len - at : answer->pattern_len - at;
	size_t len = size < left ? size : left;

	(void)user;
	if (len > most)
		len = most;
	memcpy(data, answer->pattern + at, len);
	stream->sent += len;
	if (stream->sent == answer->total) {
		*flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		nghttp2_submit_trailer(session, id, trailers, 1);
	}
	return (ssize_t)len;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct stream *stream = free_streams;

	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	if (stream != NULL)
		free_streams = stream->next;
	else
		stream = malloc(sizeof *stream);
	if (stream == NULL)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	*stream = (struct stream){ .answer = &unary_answer };
	return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
	static const char path[] = "/bench.Bench/Stream";
	struct stream *stream;

	(void)flags, (void)user;
	if (name_len == 5 && memcmp(name, ":path", 5) == 0 && len == sizeof path - 1 &&
	    memcmp(value, path, len) == 0) {
		stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
		stream->answer = &stream_answer;
	}
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	nghttp2_data_provider provider = { .read_callback = on_read };

	(void)user;
	if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0 ||
	    (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
		return 0;
	provider.source.ptr = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &provider);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);

	(void)error, (void)user;
	if (stream != NULL) {
		stream->next = free_streams;
		free_streams = stream;
	}
	return 0;
}

static int start_session(struct conn *conn)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	int r;

	if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0)
		return -1;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_option_set_no_closed_streams(option, 1);
	r = nghttp2_session_server_new3(&conn->session, callbacks, conn, option, &slab);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	if (r != 0)
		return r;
	nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings, 3);
	return nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

/* ---- Sockets ---- */

static void close_conn(struct conn *conn)
{
	close(conn->fd);
	nghttp2_session_del(conn->session);
	free(conn->rest);
	free(conn);
}

/* Sends len bytes of `data`; what the socket does not take waits in `rest`. False: it is dead. */
static bool put(struct conn *conn, const uint8_t *data, size_t len)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT, .data.ptr = conn };
	ssize_t n = send(conn->fd, data, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	if (n < 0)
		n = 0;
	if ((size_t)n == len)
		return true;
	if (conn->rest == NULL && (conn->rest = malloc(sizeof out)) == NULL)
		return false;
	conn->rest_len = len - (size_t)n;
	memmove(conn->rest, data + n, conn->rest_len);
	if (!conn->blocked)
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
	conn->blocked = true;
	return true;
}

/* One send() for all that the session has to say, or one for each 128 KiB of it. */
static bool flush(struct conn *conn)
{
	const uint8_t *data;
	ssize_t n;
	size_t len;

	while (!conn->blocked) {
		for (len = 0; len < OUT_SIZE; len += (size_t)n) {
			n = nghttp2_session_mem_send(conn->session, &data);
			if (n < 0 || (size_t)n > sizeof out - len)
				return false;
			if (n == 0)
				break;
			memcpy(out + len, data, (size_t)n);
		}
		if (len == 0)
			break;
		if (!put(conn, out, len))
			return false;
	}
	return nghttp2_session_want_read(conn->session) ||
	       nghttp2_session_want_write(conn->session);
}

static bool on_readable(struct conn *conn)
{
	ssize_t n = recv(conn->fd, in, sizeof in, 0);

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	return nghttp2_session_mem_recv(conn->session, in, (size_t)n) == n;
}

static bool on_writable(struct conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = conn };
	size_t len = conn->rest_len;

	conn->rest_len = 0;
	if (!put(conn, conn->rest, len))
		return false;
	if (conn->rest_len == 0) {
		conn->blocked = false;
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
	}
	return true;
}

static void accept_conn(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct conn *conn;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return;
	conn = calloc(1, sizeof *conn);
	if (conn == NULL) {
		close(fd);
		return;
	}
	conn->fd = fd;
	event.data.ptr = conn;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (start_session(conn) != 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 ||
	    !flush(conn))
		close_conn(conn);
}

/* ---- Start ---- */

/* The protobuf message Msg{payload} of `size` bytes behind a gRPC prefix, repeated. */
static void make_answer(struct answer *answer, size_t size, uint64_t count)
{
	uint8_t head[16];
	size_t n = 5, body, length = size;

	head[n++] = 1 << 3 | 2;
	for (; length >= 128; length >>= 7)
		head[n++] = (uint8_t)(length | 128);
	head[n++] = (uint8_t)length;
	body = n - 5 + size;
	head[0] = 0;
	head[1] = (uint8_t)(body >> 24), head[2] = (uint8_t)(body >> 16);
	head[3] = (uint8_t)(body >> 8), head[4] = (uint8_t)body;

	answer->len = n + size;
	answer->total = answer->len * count;
	answer->pattern_len = (PATTERN_LEAST / answer->len + 2) * answer->len;
	answer->pattern = malloc(answer->pattern_len);
	if (answer->pattern == NULL)
		exit(1);
	memset(answer->pattern, 'x', answer->pattern_len);
	for (size_t at = 0; at < answer->pattern_len; at += answer->len)
		memcpy(answer->pattern + at, head, n);
}

static int listen_on(const char *address)
{
	const char *colon = strrchr(address, ':');
	struct sockaddr_in where = { .sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof where;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	where.sin_port = htons((uint16_t)atoi(colon == NULL ? address : colon + 1));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(fd, (struct sockaddr *)&where, sizeof where) != 0 || listen(fd, 1024) != 0 ||
	    getsockname(fd, (struct sockaddr *)&where, &len) != 0) {
		perror("floor: listen");
		exit(1);
	}
	printf("listening on 127.0.0.1:%d\n", ntohs(where.sin_port));
	fflush(stdout);
	return fd;
}

/* One turn: what came in first, then one flush for each connection that it touched. */
static bool turn(void)
{
	struct epoll_event events[256];
	struct conn *touched = NULL, *next;
	int n = epoll_wait(epoll_fd, events, 256, -1);

	for (int i = 0; i < n; i++) {
		struct conn *conn = events[i].data.ptr;
		bool alive = true;

		if (events[i].data.ptr == &signals)
			return false;
		if (events[i].data.ptr == &listener) {
			accept_conn();
			continue;
		}
		if (events[i].events & EPOLLOUT)
			alive = on_writable(conn);
		if (alive && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
			alive = on_readable(conn);
		if (!alive) {
			close_conn(conn);
			continue;
		}
		conn->next_touched = touched;
		touched = conn;
	}
	for (; touched != NULL; touched = next) {
		next = touched->next_touched;
		if (!flush(touched))
			close_conn(touched);
	}
	return true;
}

int main(int argc, char **argv)
{
	const char *address = "127.0.0.1:0";
	size_t answer = 16, size = 1024;
	uint64_t count = 1000;
	sigset_t mask;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--split") == 0)
			split = true;
		else if (i + 1 == argc)
			return 2;
		else if (strcmp(argv[i], "--listen") == 0)
			address = argv[++i];
		else if (strcmp(argv[i], "--answer") == 0)
			answer = strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--count") == 0)
			count = strtoull(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--size") == 0)
			size = strtoul(argv[++i], NULL, 10);
		else
			return 2;
	}
	make_answer(&unary_answer, answer, 1);
	make_answer(&stream_answer, size, count);

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signals = signalfd(-1, &mask, SFD_CLOEXEC);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on(address);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener,
		  &(struct epoll_event){ .events = EPOLLIN, .data.ptr = &listener });
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, signals,
		  &(struct epoll_event){ .events = EPOLLIN, .data.ptr = &signals });
	for (;;)
		if (!turn())
			return 0;
}

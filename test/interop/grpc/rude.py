#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server that misbehaves in HTTP/2, for the negative cases of gRPC's interop suite.

    test/interop/grpc/rude.py --test_case=goaway [--port=0]        listening on localhost:PORT

Answers every request on every path with a large SimpleResponse, in its own way:

    goaway             GOAWAY once the first answer is out; the second call must come on another connection
    rst_after_header   headers, then RST_STREAM(NO_ERROR)
    rst_during_data    headers, half of the answer, then RST_STREAM(NO_ERROR)
    rst_after_data     headers, the whole answer, then RST_STREAM(NO_ERROR), and no trailers
    ping               a PING around every frame; each must be acknowledged
    max_streams        SETTINGS_MAX_CONCURRENT_STREAMS 1; there must never be two
    data_frame_padding five bytes of the answer in each frame, with 255 of padding; all of it is flow-controlled
    no_df_padding_sanity_test   the same without padding

Frames are written by hand; requests are not looked into, so there is no HPACK here beyond a few literals. On SIGTERM it
says `ok`, or what the client did wrong, and exits 0 or 1.
"""
import argparse
import signal
import socket
import struct
import sys
import threading

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS = 4, 3
SIZE = 314159


def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def answer():
    """A framed SimpleResponse with SIZE zeros."""
    payload = b'\x12' + varint(SIZE) + bytes(SIZE)
    message = b'\x0a' + varint(len(payload)) + payload
    return b'\0' + struct.pack('>I', len(message)) + message


def literal(name, value):
    """RFC 7541, 6.2.2: a literal field without indexing, with a new name; no Huffman."""
    return b'\0' + bytes([len(name)]) + name + bytes([len(value)]) + value


INITIAL = b'\x88' + literal(b'content-type', b'application/grpc')  # :status 200
TRAILERS = literal(b'grpc-status', b'0')


class Gone(Exception):
    """The peer closed the connection, or reset the stream."""


class Connection:
    def __init__(self, server, sock):
        self.server, self.sock, self.case = server, sock, server.case
        self.open, self.ended, self.answered = set(), [], 0
        self.initial_window, self.connection_window, self.windows = 65535, 65535, {}
        self.pings = self.acked = 0

    # ---- Frames ----

    def read(self, n):
        data = b''
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise Gone()
            data += piece
        return data

    def write(self, kind, flags, stream, payload=b''):
        self.sock.sendall(struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload)

    def send(self, kind, flags, stream, payload=b''):
        """A frame of an answer, with a PING before it where that is the case."""
        if self.case == 'ping':
            self.ping()
        self.write(kind, flags, stream, payload)

    def ping(self):
        self.pings += 1
        self.write(PING, 0, 0, struct.pack('>Q', self.pings))

    def handle_one(self):
        head = self.read(9)
        length, kind, flags = int.from_bytes(head[:3], 'big'), head[3], head[4]
        stream = int.from_bytes(head[5:], 'big') & 0x7fffffff
        payload = self.read(length)
        if kind == SETTINGS and not flags & ACK:
            self.settings(payload)
        elif kind == PING:
            self.pong(flags, payload)
        elif kind == HEADERS:
            self.open.add(stream)
            self.windows[stream] = self.initial_window
            self.server.judge(self.case != 'max_streams' or len(self.open) == 1, f'{len(self.open)} streams at once')
            if not flags & END_HEADERS:
                while not self.continued():
                    pass
        elif kind == DATA and length:
            for credit in (0, stream):
                self.write(WINDOW_UPDATE, 0, credit, struct.pack('>I', length))
        elif kind == WINDOW_UPDATE:
            self.credit(stream, int.from_bytes(payload, 'big'))
        elif kind == RST_STREAM:
            self.open.discard(stream)
            self.windows.pop(stream, None)
        elif kind == GOAWAY:
            raise Gone()
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.ended.append(stream)

    def continued(self):
        head = self.read(9)
        self.read(int.from_bytes(head[:3], 'big'))
        return head[4] & END_HEADERS

    def settings(self, payload):
        for at in range(0, len(payload), 6):
            key, value = struct.unpack('>HI', payload[at:at + 6])
            if key == INITIAL_WINDOW_SIZE:
                for stream in self.windows:
                    self.windows[stream] += value - self.initial_window
                self.initial_window = value
        self.write(SETTINGS, ACK, 0)

    def pong(self, flags, payload):
        if not flags & ACK:
            self.write(PING, ACK, 0, payload)
            return
        self.acked += 1
        self.server.judge(payload == struct.pack('>Q', self.acked), 'PING acknowledged out of order, or with other bytes')

    def credit(self, stream, n):
        if stream == 0:
            self.connection_window += n
        elif stream in self.windows:
            self.windows[stream] += n

    # ---- Answers ----

    def send_data(self, stream, data, chunk=16384, pad=None):
        at = 0
        while at < len(data):
            if stream not in self.windows:
                raise Gone()
            room = min(self.connection_window, self.windows[stream])
            overhead = 0 if pad is None else 1 + pad
            n = min(chunk, len(data) - at, room - overhead)
            if n <= 0:
                self.handle_one()
                continue
            piece = data[at:at + n]
            if pad is None:
                self.send(DATA, 0, stream, piece)
            else:
                self.send(DATA, PADDED, stream, bytes([pad]) + piece + bytes(pad))
            self.connection_window -= n + overhead
            self.windows[stream] -= n + overhead
            at += n

    def answer(self, stream):
        data = answer()
        self.send(HEADERS, END_HEADERS, stream, INITIAL)
        if self.case == 'rst_during_data':
            data = data[:len(data) // 2]
        if self.case == 'data_frame_padding':
            self.send_data(stream, data, 5, 255)
        elif self.case == 'no_df_padding_sanity_test':
            self.send_data(stream, data, 5)
        elif self.case != 'rst_after_header':
            self.send_data(stream, data)

        if self.case.startswith('rst_'):
            self.write(RST_STREAM, 0, stream, struct.pack('>I', 0))
        else:
            self.send(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS)
        self.open.discard(stream)
        self.windows.pop(stream, None)
        self.answered += 1
        if self.case == 'goaway':
            self.server.judge(self.answered == 1, 'a second call on a connection that was told to go away')
            self.write(GOAWAY, 0, 0, struct.pack('>II', stream, 0))

    def serve(self):
        try:
            if self.read(len(PREFACE)) != PREFACE:
                raise Gone()
            limit = struct.pack('>HI', MAX_CONCURRENT_STREAMS, 1) if self.case == 'max_streams' else b''
            self.write(SETTINGS, 0, 0, limit)
            while True:
                while self.ended:
                    self.answer(self.ended.pop(0))
                while self.case == 'ping' and self.acked < self.pings:
                    self.handle_one()
                self.handle_one()
        except (Gone, OSError):
            pass
        finally:
            self.sock.close()
            self.server.done(self)


class Server:
    def __init__(self, case):
        self.case, self.wrong, self.connections, self.calls = case, [], 0, 0
        self.lock = threading.Lock()

    def judge(self, good, what):
        if not good:
            with self.lock:
                self.wrong.append(what)

    def done(self, connection):
        with self.lock:
            self.calls += connection.answered
            if self.case == 'ping' and connection.acked < connection.pings:
                self.wrong.append(f'{connection.pings - connection.acked} of {connection.pings} PINGs were not acknowledged')

    def verdict(self):
        if self.calls == 0:
            self.wrong.append('no call was made')
        print(self.wrong[0] if self.wrong else 'ok', flush=True)
        return 1 if self.wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--port', type=int, default=0)
    parser.add_argument('--test_case', required=True)
    options = parser.parse_args()
    server = Server(options.test_case)
    listener = socket.create_server(('127.0.0.1', options.port))

    def stop(*_):
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    print(f'listening on localhost:{listener.getsockname()[1]}', flush=True)
    threads = []
    try:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threads.append(threading.Thread(target=Connection(server, sock).serve, daemon=True))
            threads[-1].start()
    except SystemExit:
        for thread in threads:  # the client has left, so they end
            thread.join(5)
        sys.exit(server.verdict())


if __name__ == '__main__':
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The interop suite on Python's grpcio, which has no interop programs on PyPI: today's C core, as client and as server.

    grpcio_peer.py client --server_port=P --test_case=C [--use_tls --ca_file=F --server_host_override=N]
    grpcio_peer.py server --port=P [--use_tls --tls_cert_file=F --tls_key_file=F]

Stubs of testing.proto are made by run.py and found by PYTHONPATH.
"""
import argparse
from concurrent import futures
import queue
import signal
import sys
import threading
import time

import grpc
import testing_pb2 as pb
import testing_pb2_grpc as rpc

REQUESTS, RESPONSES = [27182, 8, 1828, 45904], [31415, 9, 2653, 58979]
INITIAL, TRAILING = 'x-grpc-test-echo-initial', 'x-grpc-test-echo-trailing-bin'
MAX = 16 << 20


# ---- Server ----

def body(kind, size):
    return pb.Payload(type=kind, body=bytes(size))


class Service(rpc.TestServiceServicer):
    def echo(self, context):
        for key, value in context.invocation_metadata():
            if key == INITIAL:
                context.send_initial_metadata(((key, value),))
            elif key == TRAILING:
                context.set_trailing_metadata(((key, value),))

    def check(self, request, sizes, context):
        if request.HasField('response_status') and request.response_status.code:
            code = next(code for code in grpc.StatusCode if code.value[0] == request.response_status.code)
            context.abort(code, request.response_status.message)
        if request.response_type != pb.COMPRESSABLE or any(not 0 <= size <= MAX for size in sizes):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, 'no such payload')

    def EmptyCall(self, request, context):
        return pb.Empty()

    def UnaryCall(self, request, context):
        self.echo(context)
        self.check(request, [request.response_size], context)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        return pb.SimpleResponse(payload=body(request.response_type, request.response_size))

    def StreamingInputCall(self, requests, context):
        return pb.StreamingInputCallResponse(aggregated_payload_size=sum(len(request.payload.body) for request in requests))

    def answer(self, request, context):
        self.check(request, [want.size for want in request.response_parameters], context)
        for want in request.response_parameters:
            time.sleep(want.interval_us / 1e6)
            if not want.compressed.value:
                context.disable_next_message_compression()
            yield pb.StreamingOutputCallResponse(payload=body(request.response_type, want.size))

    def StreamingOutputCall(self, request, context):
        if any(want.compressed.value for want in request.response_parameters):
            context.set_compression(grpc.Compression.Gzip)
        yield from self.answer(request, context)

    def FullDuplexCall(self, requests, context):
        self.echo(context)
        for request in requests:
            yield from self.answer(request, context)

    def HalfDuplexCall(self, requests, context):
        for request in list(requests):
            yield from self.answer(request, context)


def serve(options):
    server = grpc.server(futures.ThreadPoolExecutor(16), options=[('grpc.max_receive_message_length', 64 << 20), ('grpc.so_reuseport', 0)])
    rpc.add_TestServiceServicer_to_server(Service(), server)
    address = f'localhost:{options.port}'
    if options.use_tls:
        with open(options.tls_key_file, 'rb') as key, open(options.tls_cert_file, 'rb') as cert:
            port = server.add_secure_port(address, grpc.ssl_server_credentials([(key.read(), cert.read())]))
    else:
        port = server.add_insecure_port(address)
    server.start()
    print(f'listening on localhost:{port}', flush=True)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    server.stop(1).wait()


# ---- Client ----

def same(got, wanted):
    if got != wanted:
        raise AssertionError(f'got {got!r}, wanted {wanted!r}')


def fails(code, call, text=None):
    try:
        call()
    except grpc.RpcError as error:
        same(error.code(), code)
        if text is not None:
            same(error.details(), text)
        return
    raise AssertionError(f'no {code}')


def large(**fields):
    return pb.SimpleRequest(response_size=314159, payload=body(pb.COMPRESSABLE, 271828), **fields)


def output(request_size, *sizes, **fields):
    return pb.StreamingOutputCallRequest(payload=body(pb.COMPRESSABLE, request_size),
                                         response_parameters=[pb.ResponseParameters(size=size) for size in sizes], **fields)


def sizes(responses):
    return [len(response.payload.body) for response in responses]


class Cases:
    def __init__(self, channel):
        self.stub, self.unimplemented = rpc.TestServiceStub(channel), rpc.UnimplementedServiceStub(channel)

    def empty_unary(self):
        same(self.stub.EmptyCall(pb.Empty()).SerializeToString(), b'')

    def large_unary(self):
        same(self.stub.UnaryCall(large()).payload.body, bytes(314159))

    def client_compressed_unary(self):
        no, yes = pb.BoolValue(value=False), pb.BoolValue(value=True)
        fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: self.stub.UnaryCall(large(expect_compressed=yes)))
        same(sizes([self.stub.UnaryCall(large(expect_compressed=yes), compression=grpc.Compression.Gzip)]), [314159])
        same(sizes([self.stub.UnaryCall(large(expect_compressed=yes), compression=grpc.Compression.Deflate)]), [314159])
        same(sizes([self.stub.UnaryCall(large(expect_compressed=no))]), [314159])

    def server_compressed_unary(self):  # grpcio does not show how a response came; that it can be read is something
        for value in True, False:
            same(sizes([self.stub.UnaryCall(large(response_compressed=pb.BoolValue(value=value)))]), [314159])

    def server_compressed_streaming(self):
        wanted = [pb.ResponseParameters(size=size, compressed=pb.BoolValue(value=value)) for size, value in ((31415, True), (92653, False))]
        same(sizes(self.stub.StreamingOutputCall(pb.StreamingOutputCallRequest(response_parameters=wanted))), [31415, 92653])

    def client_streaming(self):
        requests = (pb.StreamingInputCallRequest(payload=body(pb.COMPRESSABLE, size)) for size in REQUESTS)
        same(self.stub.StreamingInputCall(requests).aggregated_payload_size, 74922)

    def server_streaming(self):
        same(sizes(self.stub.StreamingOutputCall(output(0, *RESPONSES))), RESPONSES)

    def ping_pong(self):
        requests = queue.Queue()
        responses = self.stub.FullDuplexCall(iter(requests.get, None))
        for request, response in zip(REQUESTS, RESPONSES):
            requests.put(output(request, response))
            same(sizes([next(responses)]), [response])
        requests.put(None)
        same(list(responses), [])

    def empty_stream(self):
        same(list(self.stub.FullDuplexCall(iter(()))), [])

    def half_duplex(self):
        same(sizes(self.stub.HalfDuplexCall(output(*pair) for pair in zip(REQUESTS, RESPONSES))), RESPONSES)

    def custom_metadata(self):
        sent = ((INITIAL, 'test_initial_metadata_value'), (TRAILING, b'\xab\xab\xab'))
        _, call = self.stub.UnaryCall.with_call(large(), metadata=sent)
        duplex = self.stub.FullDuplexCall(iter([output(271828, 314159)]), metadata=sent)
        same(sizes(duplex), [314159])
        for seen in call, duplex:
            same(dict(seen.initial_metadata()).get(INITIAL), sent[0][1])
            same(dict(seen.trailing_metadata()).get(TRAILING), sent[1][1])

    def status_code_and_message(self, text='test status message'):
        status = pb.EchoStatus(code=2, message=text)
        fails(grpc.StatusCode.UNKNOWN, lambda: self.stub.UnaryCall(pb.SimpleRequest(response_status=status)), text)
        fails(grpc.StatusCode.UNKNOWN, lambda: list(self.stub.FullDuplexCall(iter([output(0, response_status=status)]))), text)

    def special_status_message(self):
        self.status_code_and_message('\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n')

    def unimplemented_method(self):
        fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.stub.UnimplementedCall(pb.Empty()))

    def unimplemented_service(self):
        fails(grpc.StatusCode.UNIMPLEMENTED, lambda: self.unimplemented.UnimplementedCall(pb.Empty()))

    def cancel_after_begin(self):
        requests = queue.Queue()
        call = self.stub.StreamingInputCall.future(iter(requests.get, None))
        call.cancel()
        requests.put(None)
        same(call.code(), grpc.StatusCode.CANCELLED)

    def cancel_after_first_response(self):
        requests = queue.Queue()
        responses = self.stub.FullDuplexCall(iter(requests.get, None))
        requests.put(output(REQUESTS[0], RESPONSES[0]))
        same(sizes([next(responses)]), RESPONSES[:1])
        responses.cancel()
        fails(grpc.StatusCode.CANCELLED, lambda: next(responses))
        requests.put(None)

    def timeout_on_sleeping_server(self):
        self.empty_unary()
        requests = queue.Queue()
        requests.put(output(27182))
        fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(self.stub.FullDuplexCall(iter(requests.get, None), timeout=0.001)))
        requests.put(None)


def call(options):
    address = f'localhost:{options.server_port}'
    if options.use_tls:
        with open(options.ca_file, 'rb') as ca:
            credentials = grpc.ssl_channel_credentials(ca.read())
        channel = grpc.secure_channel(address, credentials, [('grpc.ssl_target_name_override', options.server_host_override)])
    else:
        channel = grpc.insecure_channel(address)
    with channel:
        getattr(Cases(channel), options.test_case)()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('role', choices=['client', 'server', 'cases'])
    for name in 'port', 'server_port', 'test_case', 'ca_file', 'server_host_override', 'tls_cert_file', 'tls_key_file':
        parser.add_argument(f'--{name}')
    parser.add_argument('--use_tls', action='store_true')
    options = parser.parse_args()
    if options.role == 'cases':
        print(*[name for name in vars(Cases) if not name.startswith('_')])
    else:
        (serve if options.role == 'server' else call)(options)


if __name__ == '__main__':
    sys.exit(main())

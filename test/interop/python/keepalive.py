# SPDX-License-Identifier: MIT
"""Python's own gRPC (C core) in the fights of keepalive/run.py; keepalive/peer.c is its twin and tells what each option means."""
import argparse
import sys
import threading

import grpc

NEVER = 2 ** 31 - 1


def serve(options):
    from concurrent import futures

    def hang(request, context):
        ended = threading.Event()
        context.add_callback(ended.set)
        print('came: a call that hangs', flush=True)
        ended.wait()
        print('gone: cancelled', flush=True)
        return b''

    server = grpc.server(futures.ThreadPoolExecutor(4), options=[
        ('grpc.keepalive_time_ms', options.time or NEVER), ('grpc.keepalive_timeout_ms', options.timeout), ('grpc.http2.ping_timeout_ms', options.timeout),
        ('grpc.http2.max_pings_without_data', 0), ('grpc.http2.min_ping_interval_without_data_ms', options.min_interval)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('k.Keep', {
        'Hang': grpc.unary_unary_rpc_method_handler(hang),
        'Echo': grpc.unary_unary_rpc_method_handler(lambda request, context: request)}),))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    print(f'listening on 127.0.0.1:{port}', flush=True)
    server.wait_for_termination()


def call(options):
    channel = grpc.insecure_channel(options.address, options=[
        ('grpc.keepalive_time_ms', options.time or NEVER), ('grpc.keepalive_timeout_ms', options.timeout), ('grpc.http2.ping_timeout_ms', options.timeout),
        ('grpc.http2.max_pings_without_data', 0), ('grpc.enable_retries', 0)])
    for name in ('Hang', 'Echo'):
        code, text = 'OK', ''
        try:
            channel.unary_unary(f'/k.Keep/{name}')(b'hello', timeout=120)
        except grpc.RpcError as error:
            code, text = error.code().name, error.details()
        print(f'{name.lower()}: {code}: {text}', flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('mode', choices=['server', 'client'])
    parser.add_argument('address', nargs='?')
    parser.add_argument('--time', type=int, default=0)
    parser.add_argument('--timeout', type=int, default=20000)
    parser.add_argument('--min-interval', type=int, default=300000)
    options = parser.parse_args()
    serve(options) if options.mode == 'server' else call(options)


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: MIT
"""grpcio as a server that fails as it is told; go/judge is its twin, retry/run.py tells how scripts look."""
import concurrent.futures
import signal
import threading

import grpc

records, lock = {}, threading.Lock()


def next_step(metadata):
    with lock:
        past = records.setdefault(metadata['case'], [])
        past.append(metadata.get('grpc-previous-rpc-attempts', '-'))
        steps = metadata['script'].split(';')
        return steps[min(len(past), len(steps)) - 1]


def handle(requests, context):
    metadata = dict(context.invocation_metadata())
    step, _, pushback = next_step(metadata).partition(':')
    got = b''.join(requests)
    if step.endswith('h'):
        context.send_initial_metadata(())
    if pushback:
        context.set_trailing_metadata((('grpc-retry-pushback-ms', pushback),))
    code = int(step.rstrip('h'))
    if code:
        context.abort([c for c in grpc.StatusCode if c.value[0] == code][0], 'as told')
    yield got


def report(_requests, context):
    with lock:
        yield ' '.join(records.get(dict(context.invocation_metadata())['case'], [])).encode()


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.stream_stream_rpc_method_handler(report if details.method.endswith('/Report') else handle)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=(Handler(),))
print(f'listening on 127.0.0.1:{server.add_insecure_port("127.0.0.1:0")}', flush=True)
signal.signal(signal.SIGTERM, lambda *_: server.stop(0))
server.start()
server.wait_for_termination()

# SPDX-License-Identifier: MIT
"""Python's own gRPC as a server of rpc.Cache and rpc.Accounts, for our clients to call. The Go server is its twin.

    server.py [--listen HOST:PORT] [--tls-cert FILE --tls-key FILE [--tls-ca FILE]] [--account TOKEN=MAX]...

Prints `listening on HOST:PORT`. What is unusual, for tests:
  Store or Get of a key that begins with `slow` takes 10 s, or until the caller leaves;
  Get of `peek:user-agent`, `peek:deadline` (seconds left, or `none`), `peek:token` (account_token of the last Store)
  or `peek:dumps` (how many have begun) tells what the server saw;
  once the key `poison` is stored, Dump sends everything and ends with DATA_LOSS;
  once the key `molasses` is stored, Dump sends one item and then is slow;
  GetByToken of a token that begins with `slow` is slow too.
Initial and trailing metadata are sent with every answer, binary ones too.
"""
import argparse
import signal
import sys
import threading
import time
from concurrent import futures

import grpc

import cache_pb2 as pb
import cache_pb2_grpc as rpc


def decorate(context):
    context.send_initial_metadata((('x-served-by', 'python'), ('x-raw-bin', bytes(range(256)))))
    context.set_trailing_metadata((('x-trailer', 'one'), ('x-trailer', 'two'), ('x-last-bin', b'\0\xff,')))


def linger(key, context):
    if key.startswith('slow'):
        end = time.monotonic() + 10
        while context.is_active() and time.monotonic() < end:
            time.sleep(0.02)


class Cache(rpc.CacheServicer):
    def __init__(self, accounts):
        self.lock = threading.Lock()
        self.values = {}
        self.owners = {}
        self.accounts = accounts
        self.token = ''
        self.dumps = 0

    def Store(self, request, context):
        decorate(context)
        linger(request.key, context)
        if not 1 <= len(request.key.encode()) <= 1024:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, 'a key has 1 to 1024 bytes')
        token = request.account_token
        with self.lock:
            self.token = token
            if token:
                limit = self.accounts.get(token)
                if limit is None:
                    context.abort(grpc.StatusCode.NOT_FOUND, f'Account not found {token}')
                if request.key not in self.values and list(self.owners.values()).count(token) >= limit:
                    context.abort(grpc.StatusCode.FAILED_PRECONDITION, f'Account {token} exceeds max key limit {limit}')
            self.values[request.key] = request.val
            self.owners.setdefault(request.key, token)
        return pb.StoreResp()

    def Get(self, request, context):
        decorate(context)
        linger(request.key, context)
        if request.key == 'peek:user-agent':
            return pb.GetResp(val=dict(context.invocation_metadata()).get('user-agent', '').encode())
        if request.key == 'peek:deadline':
            left = context.time_remaining()  # a very long time when there is no deadline
            return pb.GetResp(val=b'none' if left is None or left > 1e6 else f'{left:.3f}'.encode())
        if request.key == 'peek:token':
            return pb.GetResp(val=self.token.encode())
        if request.key == 'peek:dumps':
            return pb.GetResp(val=b'%d' % self.dumps)
        with self.lock:
            if request.key not in self.values:
                context.abort(grpc.StatusCode.NOT_FOUND, f'Key not found {request.key}')
            return pb.GetResp(val=self.values[request.key])

    def Dump(self, request, context):
        decorate(context)
        with self.lock:
            self.dumps += 1
            items = sorted(self.values.items())
        for key, val in items:
            yield pb.DumpItem(key=key, val=val)
            if 'molasses' in dict(items):
                linger('slow', context)
        if 'poison' in dict(items):
            context.abort(grpc.StatusCode.DATA_LOSS, 'the rest was eaten')


class Accounts(rpc.AccountsServicer):
    def __init__(self, accounts):
        self.accounts = accounts

    def GetByToken(self, request, context):
        decorate(context)
        linger(request.token, context)
        if request.token not in self.accounts:
            context.abort(grpc.StatusCode.NOT_FOUND, f'Account not found {request.token}')
        return pb.GetByTokenResp(account=pb.Account(max_cache_keys=self.accounts[request.token]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--listen', default='localhost:5051')
    parser.add_argument('--account', action='append', default=[])
    for name in ('tls-ca', 'tls-cert', 'tls-key'):
        parser.add_argument(f'--{name}')
    options = parser.parse_args()
    accounts = {'inconshreveable': 100, 'tiny': 2}
    for account in options.account:
        token, limit = account.split('=')
        accounts[token] = int(limit)

    server = grpc.server(futures.ThreadPoolExecutor(32))
    rpc.add_CacheServicer_to_server(Cache(accounts), server)
    rpc.add_AccountsServicer_to_server(Accounts(accounts), server)
    if options.tls_cert:
        read = lambda path: open(path, 'rb').read()  # noqa: E731
        ca = read(options.tls_ca) if options.tls_ca else None
        credentials = grpc.ssl_server_credentials([(read(options.tls_key), read(options.tls_cert))], ca, ca is not None)
        port = server.add_secure_port(options.listen, credentials)
    else:
        port = server.add_insecure_port(options.listen)
    server.start()
    print(f'listening on {options.listen.rsplit(":", 1)[0]}:{port}', flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(0))
    server.wait_for_termination()
    return 0


if __name__ == '__main__':
    sys.exit(main())

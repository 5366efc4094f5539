# SPDX-License-Identifier: MIT
"""Python's own gRPC as a client of rpc.Cache and rpc.Accounts; the Go client beside it tries the same things.

    client.py ADDRESS [--tls-ca FILE [--tls-cert FILE --tls-key FILE] [--tls-server-name NAME]]
              [--slow ADDRESS] [--quota ADDRESS] [--accounts ADDRESS] [--only NAME,NAME]

Prints `ok NAME` or `FAILED NAME: why` for each case; exits 1 if one failed.
  --slow      a cache whose Store takes longer than any deadline here
  --quota     a fresh cache where the account `tiny` may have 2 keys
  --accounts  a server of rpc.Accounts that knows `inconshreveable` (100 keys) and no `stranger`
"""
import argparse
import os
import sys
import threading
import time
import uuid

import grpc

import cache_pb2 as pb
import cache_pb2_grpc as rpc

PATIENCE = 20  # seconds for calls that should work
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def fails(code, call, *arguments, **options):
    """Makes a call that must end with this code; the error."""
    options.setdefault('timeout', PATIENCE)
    try:
        call(*arguments, **options)
    except grpc.RpcError as error:
        expect(error.code() == code, f'ended with {error.code()} ({error.details()}), expected {code}')
        return error
    raise AssertionError(f'succeeded, expected {code}')


class Peer:
    def __init__(self, options):
        self.options = options
        self.run = uuid.uuid4().hex[:8]  # keys of this run, so that one server may be used twice
        self.channel = self.connect(options.address)
        self.cache = rpc.CacheStub(self.channel)

    def connect(self, address):
        o = self.options
        settings = [('grpc.enable_retries', 0)]
        if not o.tls_ca:
            return grpc.insecure_channel(address, settings)
        read = lambda path: open(path, 'rb').read() if path else None  # noqa: E731
        if o.tls_server_name:
            settings.append(('grpc.ssl_target_name_override', o.tls_server_name))
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(read(o.tls_ca), read(o.tls_key), read(o.tls_cert)), settings)

    def key(self, name):
        return f'{name}-{self.run}'

    def store(self, name, val, **options):
        options.setdefault('timeout', PATIENCE)
        self.cache.Store(pb.StoreReq(key=self.key(name), val=val), **options)

    def get(self, name, **options):
        options.setdefault('timeout', PATIENCE)
        return self.cache.Get(pb.GetReq(key=self.key(name)), **options).val

    def works(self):
        self.store('works', b'still')
        expect(self.get('works') == b'still', 'the channel does not work any more')


@case
def store_and_get(peer):
    peer.store('gopher', b'con')
    expect(peer.get('gopher') == b'con', 'another value came back')
    peer.store('gopher', b'2014')
    expect(peer.get('gopher') == b'2014', 'a value cannot be replaced')


@case
def a_missing_key_is_not_found(peer):
    error = fails(grpc.StatusCode.NOT_FOUND, peer.cache.Get, pb.GetReq(key='no such gopher'))
    expect('no such gopher' in error.details(), f'the text lacks the key: {error.details()!r}')


@case
def text_of_a_status_survives(peer):
    key = 'schlüssel ☃ 100% %41 "a\\b"'
    error = fails(grpc.StatusCode.NOT_FOUND, peer.cache.Get, pb.GetReq(key=key))
    expect(key in error.details(), f'the text lacks the key: {error.details()!r}')


@case
def empty_values(peer):
    peer.store('empty', b'')
    expect(peer.get('empty') == b'', 'another value came back')


@case
def every_byte(peer):
    val = bytes(range(256)) * 3
    peer.store('bytes', val)
    expect(peer.get('bytes') == val, 'another value came back')


@case
def big_values(peer):
    val = os.urandom(1_000_000)
    peer.store('big', val)
    expect(peer.get('big') == val, 'another value came back')


@case
def too_big_a_message(peer):
    fails(grpc.StatusCode.RESOURCE_EXHAUSTED, peer.store, 'huge', b'x' * (5 << 20))
    peer.works()


@case
def bad_keys(peer):
    fails(grpc.StatusCode.INVALID_ARGUMENT, peer.cache.Store, pb.StoreReq(val=b'x'))
    fails(grpc.StatusCode.INVALID_ARGUMENT, peer.cache.Store, pb.StoreReq(key='k' * 1025, val=b'x'))
    peer.cache.Store(pb.StoreReq(key='k' * 1024, val=b'x'), timeout=PATIENCE)


@case
def dump_to_the_end(peer):
    wanted = {peer.key(f'item-{i}'): b'%d' % i * (i % 50) for i in range(300)}
    for key, val in wanted.items():
        peer.cache.Store(pb.StoreReq(key=key, val=val), timeout=PATIENCE)
    stream = peer.cache.Dump(pb.DumpReq(), timeout=PATIENCE)
    keys, found = [], {}
    for item in stream:
        keys.append(item.key)
        found[item.key] = item.val
    expect(stream.code() == grpc.StatusCode.OK, f'ended with {stream.code()}')
    expect(len(keys) == len(set(keys)), 'a key came twice')
    expect(wanted.items() <= found.items(), f'{len(wanted.items() - found.items())} of {len(wanted)} items are missing')


@case
def dump_larger_than_the_windows(peer):
    for i in range(100):
        peer.store(f'wide-{i}', b'w' * 100_000)
    count = 0
    for item in peer.cache.Dump(pb.DumpReq(), timeout=PATIENCE):
        if count % 20 == 0:
            time.sleep(0.01)  # a slow reader
        count += item.key.startswith('wide-') and item.key.endswith(peer.run) and len(item.val) == 100_000
    expect(count == 100, f'{count} of 100 items came')


@case
def dump_cancelled(peer):
    for i in range(30):
        peer.store(f'some-{i}', b's' * 100_000)
    stream = peer.cache.Dump(pb.DumpReq(), timeout=PATIENCE)
    next(stream)
    stream.cancel()
    try:
        for _ in stream:
            pass
    except grpc.RpcError:
        pass
    expect(stream.code() == grpc.StatusCode.CANCELLED, f'ended with {stream.code()}')
    peer.works()


@case
def a_deadline(peer):
    with peer.connect(peer.options.slow) as channel:
        slow = rpc.CacheStub(channel)
        began = time.monotonic()
        fails(grpc.StatusCode.DEADLINE_EXCEEDED, slow.Store, pb.StoreReq(key='slow', val=b'x', account_token='inconshreveable'), timeout=0.3)
        took = time.monotonic() - began
        expect(0.25 < took < 1.5, f'ended after {took:.2f} s')
        fails(grpc.StatusCode.NOT_FOUND, slow.Get, pb.GetReq(key='not there'))


@case
def a_deadline_that_has_passed(peer):
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, peer.get, 'gopher', timeout=-1)
    peer.works()


@case
def metadata(peer):
    values = (('x-plain', 'one'), ('x-plain', 'two'), ('x-long', 'l' * 4000), ('x-raw-bin', bytes(range(256))), ('x-empty', ''))
    peer.store('meta', b'data', metadata=values)
    expect(peer.get('meta', metadata=values) == b'data', 'another value came back')


@case
def far_too_much_metadata(peer):
    try:
        peer.get('gopher', metadata=(('x-huge', 'h' * 100_000),))
    except grpc.RpcError as error:
        expect(error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.CANCELLED),
               f'ended with {error.code()} ({error.details()})')
    peer.works()


@case
def unknown_methods(peer):
    for path in ('/rpc.Cache/Nope', '/rpc.Nope/Get'):
        error = fails(grpc.StatusCode.UNIMPLEMENTED, peer.channel.unary_unary(path), b'')
        expect(error.details(), 'without a text')


@case
def garbage_is_an_error(peer):
    try:
        peer.channel.unary_unary('/rpc.Cache/Get')(b'\xff\xff\xff', timeout=PATIENCE)
        raise AssertionError('succeeded')
    except grpc.RpcError as error:
        expect(error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNKNOWN), f'ended with {error.code()}')
    peer.works()


@case
def a_compressed_request(peer):
    """A server without gzip says UNIMPLEMENTED; one with it just answers."""
    try:
        peer.store('gzip', b'z' * 10_000, compression=grpc.Compression.Gzip)
    except grpc.RpcError as error:
        expect(error.code() == grpc.StatusCode.UNIMPLEMENTED, f'ended with {error.code()} ({error.details()})')
    peer.works()


@case
def many_calls_at_once(peer):
    futures = [peer.cache.Store.future(pb.StoreReq(key=peer.key(f'many-{i}'), val=b'%d' % i), timeout=PATIENCE) for i in range(500)]
    for future in futures:
        future.result()
    futures = [peer.cache.Get.future(pb.GetReq(key=peer.key(f'many-{i}')), timeout=PATIENCE) for i in range(500)]
    expect([f.result().val for f in futures] == [b'%d' % i for i in range(500)], 'answers are mixed up')


@case
def many_dumps_at_once(peer):
    counts = []

    def dump():
        counts.append(sum(1 for _ in peer.cache.Dump(pb.DumpReq(), timeout=PATIENCE)))

    peer.works()
    threads = [threading.Thread(target=dump) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(len(counts) == 10 and len(set(counts)) == 1 and counts[0] > 0, f'counts {counts}')


@case
def quota(peer):
    with peer.connect(peer.options.quota) as channel:
        cache = rpc.CacheStub(channel)
        store = lambda name: cache.Store(pb.StoreReq(key=peer.key(name), val=b'x', account_token='tiny'), timeout=PATIENCE)  # noqa: E731
        store('q1')
        store('q2')
        error = fails(grpc.StatusCode.FAILED_PRECONDITION, lambda timeout: store('q3'))
        expect(error.details() == 'Account tiny exceeds max key limit 2', f'text {error.details()!r}')
        store('q1')
        fails(grpc.StatusCode.NOT_FOUND, cache.Get, pb.GetReq(key=peer.key('q3')))


@case
def accounts(peer):
    with peer.connect(peer.options.accounts) as channel:
        stub = rpc.AccountsStub(channel)
        answer = stub.GetByToken(pb.GetByTokenReq(token='inconshreveable'), timeout=PATIENCE)
        expect(answer.account.max_cache_keys == 100, f'max_cache_keys {answer.account.max_cache_keys}')
        fails(grpc.StatusCode.NOT_FOUND, stub.GetByToken, pb.GetByTokenReq(token='stranger'))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('address')
    for name in ('tls-ca', 'tls-cert', 'tls-key', 'tls-server-name', 'slow', 'quota', 'accounts', 'only'):
        parser.add_argument(f'--{name}')
    options = parser.parse_args()
    without = {'a_deadline': options.slow, 'quota': options.quota, 'accounts': options.accounts}
    failed = 0

    peer = Peer(options)
    for name, function in CASES.items():
        if options.only and name not in options.only.split(',') or name in without and not without[name]:
            continue
        try:
            function(peer)
            print(f'ok {name}', flush=True)
        except grpc.RpcError as error:
            failed += 1
            print(f'FAILED {name}: {error.code()}: {error.details()}', flush=True)
        except AssertionError as error:
            failed += 1
            print(f'FAILED {name}: {error}', flush=True)
    peer.channel.close()
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

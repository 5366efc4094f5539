#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples as a reader would run them: what the comment at their head says to type, and what it says will appear.
And the cache as an operator would treat it: killed, stopped, filled up, read slowly, called wrongly.

    test/examples.py [BUILD_FOLDER] [--all]     (default build-test; --all: a dump of 2 GB, otherwise of 256 MB)

A case is a function below CASES; it raises Wrong when something is not as it should be.
"""
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)

# What cachectl exits with: 64 + the number of the status.
(OK, CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNAVAILABLE) = (
    0, 65, 67, 68, 69, 72, 73, 78)
USAGE = 2
MIB = 1 << 20
VALUE_MAX = 4000000  # cached's default


class Wrong(Exception):
    """Something is not as it should be; says what."""


class Skip(Exception):
    """This cannot run here; says why."""


def same(got, wanted):
    if got != wanted:
        raise Wrong(f'got {got[:200]!r}, expected {wanted[:200]!r}' if isinstance(got, (str, bytes)) else f'got {got!r}, expected {wanted!r}')


def contains(text, *words):
    for word in words:
        if word not in text:
            raise Wrong(f'{text[-300:]!r} lacks {word!r}')


def until(what, condition, seconds=20):
    """Waits for something that another process does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Wrong(f'never: {what}')
        time.sleep(0.005)


class Process(subprocess.Popen):
    """A program of ours; whatever happens, it is gone at the end of the block."""

    def __init__(self, *command, **options):
        super().__init__(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **options)

    def __exit__(self, *_):
        self.kill()
        self.stdout.close()
        self.stderr.close()

    def kill(self):
        super().kill()
        self.wait()

    def end(self, seconds=30):
        """Waits for its end; (exit status, the rest of stdout, stderr as text)."""
        try:
            out, errors = self.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Wrong(f'{os.path.basename(self.args[0])} does not end within {seconds} s')
        return self.returncode, out, errors.decode(errors='replace')

    def rss(self):
        """Bytes of memory it has; 0 once it has ended."""
        with open(f'/proc/{self.pid}/status') as status:
            return sum(int(kilobytes) for kilobytes in re.findall(r'^VmRSS:\s+(\d+) kB', status.read(), re.M)) * 1024


class Server(Process):
    """... that says `listening on HOST:PORT`, once for each address."""

    def __init__(self, *command, addresses=1):
        super().__init__(*command)
        timer = threading.Timer(30, self.kill)  # one that says nothing
        timer.start()
        lines = [self.stdout.readline().decode() for _ in range(addresses)]
        timer.cancel()
        self.addresses = [line[len('listening on '):].strip().split(',')[0] for line in lines if line.startswith('listening on ')]
        if len(self.addresses) != addresses:
            self.kill()
            raise Wrong(f'{os.path.basename(command[0])} does not listen; it said {lines} and {self.end()[2]!r}')
        self.address = self.addresses[0]

    def stop(self, seconds=5):
        """SIGTERM ends it cleanly, and soon."""
        self.terminate()
        status, _, errors = self.end(seconds)
        if status != 0 or 'Sanitizer' in errors:
            raise Wrong(f'{os.path.basename(self.args[0])} exits {status} on SIGTERM: {errors[-2000:]}')

    def __exit__(self, kind, *rest):
        """The end of every case is a clean stop, unless it failed already or ended the server itself."""
        try:
            if kind is None and self.poll() is None:
                self.stop()
        finally:
            super().__exit__(kind, *rest)


class Silence:
    """Lets everybody connect and never says a word: what a hung server looks like."""

    def __enter__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()


def unread_bytes(port):
    """Bytes that have arrived at connections of this port and were not read yet (proc_net_tcp(5))."""
    total = 0
    for name in ('tcp', 'tcp6'):
        try:
            with open(f'/proc/net/{name}') as table:
                rows = [line.split() for line in list(table)[1:]]
        except OSError:
            continue
        total += sum(int(row[4].split(':')[1], 16) for row in rows
                     if row[3] == '01' and int(row[1].split(':')[1], 16) == port)
    return total


class Bench:
    """What every case has: the programs, and a folder of its own."""

    def __init__(self, build, scratch, everything):
        self.build, self.scratch, self.everything = build, scratch, everything
        self.examples = f'{build}/examples'
        with open(self.program('cached'), 'rb') as program:
            self.has_asan = b'__asan_init' in program.read()

    def program(self, name):
        folder = 'cache/' if name in ('cached', 'accountsd', 'cachectl') else ''
        return f'{self.examples}/{folder}{name}'

    def server(self, name, *options, **more):
        return Server(self.program(name), *options, **more)

    def cached(self, *options, **more):
        return self.server('cached', '--listen', 'localhost:0', *options, **more)

    def run(self, name, *arguments, expect=0, stdin=b'', cwd=None):
        """Runs a program that must exit as expected; (stdout, stderr as text)."""
        done = subprocess.run([self.program(name), *arguments], input=stdin, capture_output=True, timeout=120, cwd=cwd)
        errors = done.stderr.decode(errors='replace')
        if done.returncode != expect or 'Sanitizer' in errors:
            words = ' '.join(str(word) for word in (name, *arguments))
            raise Wrong(f'`{words[:120]}` exits {done.returncode}, not {expect}: {errors.strip()[-2000:]}')
        return done.stdout, errors

    def ctl(self, server, *arguments, **more):
        return self.run('cachectl', '--server', server.address, *arguments, **more)

    def store(self, server, key, value):
        self.ctl(server, 'store', key, '-', stdin=value)

    def listens_no_more(self, server):
        until('it listens no more', lambda: subprocess.run([self.program('cachectl'), '--server', server.address, 'get', 'x'],
                                                           capture_output=True).returncode == UNAVAILABLE)

    def dump(self, server, *options):
        """A dump that goes no further than its reader: its first bytes are there already."""
        process = Process(self.program('cachectl'), '--server', server.address, *options, 'dump')
        process.first = process.stdout.read(1)
        return process


# ---- The small programs ----

def head(name):
    """What the comment at the head of an example says: [(what to type, what appears)].

    The lines that are indented: a command, its output behind it in a second column or on lines of their own; what
    stands in parentheses far to the right is a remark."""
    with open(f'{TOP}/examples/{name}.c') as file:
        text = file.read().split('*/')[1]
    pairs = []
    joins = False
    for line in re.findall(r'^ \*\t(.*)$', text, re.M):
        line = re.sub(r'\s{3,}\(.*\)$', '', line)
        words = re.split(r'\s{3,}', line.strip(), maxsplit=1)
        if joins:
            pairs[-1][0] += ' ' + line.strip().rstrip('\\')
        elif words[0].split()[0] in (name, 'openssl'):
            pairs.append([words[0].rstrip('\\'), words[1:]])
        else:
            pairs[-1][1].append(line.strip())
        joins = line.endswith('\\')
    if not pairs:
        raise Wrong(f'{name}.c does not say what to type')
    return pairs


def as_its_head_says(bench, name, address=None, in_any_order=False, race=None):
    """Types what is said there and compares what appears. race: (a, b), where one line b may turn out to be a."""
    env = dict(os.environ, PATH=f'{bench.examples}:{os.environ["PATH"]}')
    for command, wanted in head(name):
        if address is not None:
            command = re.sub(r'localhost:\d+', address, command)
        done = subprocess.run(['sh', '-c', command], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, cwd=bench.scratch, timeout=60)
        if done.returncode != 0:
            raise Wrong(f'`{command}` exits {done.returncode}: {done.stderr[-2000:]}')
        got = done.stdout.splitlines()
        if race is not None and race[1] not in got and race[0] in got:
            got[got.index(race[0])] = race[1]
        same(sorted(got) if in_any_order else got, sorted(wanted) if in_any_order else wanted)


def code_lines(name):
    """Lines that are neither blank nor comment."""
    with open(f'{TOP}/examples/{name}.c') as file:
        text = re.sub(r'/\*.*?\*/', '', file.read(), flags=re.S)
    return sum(1 for line in text.splitlines() if line.strip())


def hello_is_short(bench):
    for name, most in (('hello_server', 35), ('hello_client', 28)):
        if code_lines(name) > most:
            raise Wrong(f'{name} has {code_lines(name)} lines of code, not at most {most}')


def hello(bench):
    with bench.server('hello_server', 'localhost:0') as server:
        as_its_head_says(bench, 'hello_client', server.address)
        as_its_head_says(bench, 'foreign_loop', server.address)
        server.kill()
    for name in ('hello_client', 'foreign_loop'):
        contains(bench.run(name, server.address, expect=1)[1], 'UNAVAILABLE: ')
    contains(bench.run('hello_server', 'localhost:notaport', expect=1)[1], 'hello_server: ')


def streams_of_each_kind(bench):
    with bench.server('demo_server', 'localhost:0') as server:
        for name in ('server_stream', 'client_stream', 'chat'):
            as_its_head_says(bench, name, server.address)


def streams_at_their_edges(bench):
    with bench.server('demo_server', 'localhost:0') as server:
        address = server.address
        same(bench.run('server_stream', address, '-1', '0')[0], b'-1\n0\n')
        contains(bench.run('server_stream', address, '2', '1', expect=1)[1], 'INVALID_ARGUMENT: ')
        same(bench.run('client_stream', address)[0], b'0\n')
        numbers = [str(n) for n in range(1, 20001)]  # more than the queue of a call holds
        same(bench.run('client_stream', address, *numbers)[0], b'200010000\n')
        contains(bench.run('client_stream', address, str(2 ** 63 - 1), '1', expect=1)[1], 'OUT_OF_RANGE: ')
        same(bench.run('chat', address)[0], b'')
        long = 'x' * 100000
        same(bench.run('chat', address, long)[0].decode(), f'> {long}\n< {long}\n')
        contains(bench.run('chat', address, b'\xff', expect=1)[1], 'INTERNAL: ')  # no UTF-8
    for name in ('server_stream', 'client_stream', 'chat'):
        contains(bench.run(name, address, expect=1)[1], 'UNAVAILABLE: ')


def demo_server_lets_calls_end(bench):
    with bench.server('demo_server', 'localhost:0') as server:
        with Process(bench.program('server_stream'), server.address, '1', '30') as client:
            client.stdout.read(2)  # it has begun, and takes 10 ms a number
            server.stop()
            status, out, errors = client.end()
            same((status, out.split()[-1]), (0, b'30'))


def deadline_cancel(bench):
    # The client's reset at its deadline may reach the server before the server's own timer rings.
    left = 'server: the client has left, '
    as_its_head_says(bench, 'deadline_cancel', in_any_order=True, race=(left + 'CANCELLED', left + 'DEADLINE_EXCEEDED'))


def metadata(bench):
    as_its_head_says(bench, 'metadata')


def interceptor(bench):
    as_its_head_says(bench, 'interceptor')


def rich_errors(bench):
    as_its_head_says(bench, 'rich_errors')


def compress(bench):
    as_its_head_says(bench, 'compress')


def service_config(bench):
    as_its_head_says(bench, 'service_config')


def resolver(bench):
    as_its_head_says(bench, 'resolver')


def tls(bench):
    as_its_head_says(bench, 'tls')
    contains(bench.run('tls', 'cert.pem', 'nothing.pem', 'cert.pem', expect=1, cwd=bench.scratch)[1], 'nothing.pem')


def credentials(bench):
    as_its_head_says(bench, 'credentials')
    contains(bench.run('credentials', 'cert.pem', 'nothing.pem', expect=1, cwd=bench.scratch)[1], 'nothing.pem')


def json_service(bench):
    as_its_head_says(bench, 'json_service')


def proxy(bench):
    if code_lines('proxy') > 125:
        raise Wrong(f'proxy has {code_lines("proxy")} lines of code')
    with bench.server('hello_server', 'localhost:0') as behind, bench.server('proxy', 'localhost:0', behind.address) as front:
        as_its_head_says(bench, 'hello_client', front.address)
        behind.kill()
        contains(bench.run('hello_client', front.address, expect=1)[1], 'UNAVAILABLE: ')
        front.kill()
    with bench.server('demo_server', 'localhost:0') as behind, bench.server('proxy', 'localhost:0', behind.address) as front:
        for name in ('server_stream', 'client_stream', 'chat'):
            as_its_head_says(bench, name, front.address)
        contains(bench.run('server_stream', front.address, '2', '1', expect=1)[1], 'INVALID_ARGUMENT: ')
        numbers = [str(n) for n in range(1, 20001)]  # more than the queue of a call holds
        same(bench.run('client_stream', front.address, *numbers)[0], b'200010000\n')
        front.kill()
    with bench.cached() as behind, bench.server('proxy', 'localhost:0', behind.address) as front:
        bench.store(front, 'key', b'x' * 3 * MIB)
        same(bench.ctl(front, 'get', 'key')[0], b'x' * 3 * MIB)
        for n in range(30):
            bench.store(behind, f'key {n}', b'y' * MIB)
        # A reader that stops holds off the cache behind the proxy, which keeps next to nothing.
        with bench.dump(front) as reader:
            time.sleep(0.5)
            if not bench.has_asan and front.rss() > 24 * MIB:
                raise Wrong(f'the proxy has {front.rss() >> 20} MiB')
            status, out, _ = reader.end()
            same((status, len(out) > 30 * MIB), (0, True))
        front.kill()


def pipe(bench):
    as_its_head_says(bench, 'pipe')


def threads(bench):
    with bench.server('threads', 'localhost:0', '3') as server:
        replies = {bench.run('hello_client', server.address, 'gopher')[0].decode().strip() for _ in range(30)}
        if not replies <= {f'Hello gopher from thread {n}' for n in (1, 2, 3)}:
            raise Wrong(f'got {replies}')
        if len(replies) < 2:  # 30 connections on one of three: 1 in 10^14
            raise Wrong('all connections went to one thread')


# ---- cachectl and the command line ----

def a_wrong_command_line_exits_with_2(bench):
    for arguments in ((), ('get',), ('get', 'a', 'b'), ('store', 'a'), ('what',), ('dump', 'x'), ('--what', 'dump'), ('--timeout', 'x', 'dump'),
                      ('--timeout', '0', 'dump'), ('--timeout', '-1', 'dump'), ('--timeout', 'nan', 'dump'), ('--server', '', 'dump'),
                      ('--tls-cert', 'x', 'dump'), ('--compress', 'lzma', 'dump'), ('--server',)):
        contains(bench.run('cachectl', *arguments, expect=USAGE)[1], '--help')
    for name in ('cached', 'accountsd'):
        for arguments in (('what',), ('--what',), ('--listen',), ('--tls-cert', 'x'), ('--tls-ca', 'x')):
            contains(bench.run(name, *arguments, expect=USAGE)[1], '--help')
    for arguments in (('--max-memory', '0'), ('--max-memory', '1T'), ('--max-memory', '-1'), ('--max-memory', '99999999999999999999'),
                      ('--max-value', '2G'), ('--compress', 'GZIP'), ('--accounts-tls',), ('--accounts', ''), ('--accounts', 'localhost:1', '--accounts-ca', 'x')):
        contains(bench.run('cached', *arguments, expect=USAGE)[1], '--help')
    for account in ('x', '=1', 'x=', 'x=-1', 'x=1y', 'x' * 256 + '=1'):
        contains(bench.run('accountsd', '--account', account, expect=USAGE)[1], '--help')


def help_and_version(bench):
    for name in ('cachectl', 'cached', 'accountsd'):
        contains(bench.run(name, '--help')[0].decode(), f'Usage: {name}', '--tls-cert', '--version')
        if not re.fullmatch(rf'{name} \d+\.\d+\.\d+\n', bench.run(name, '--version')[0].decode()):
            raise Wrong(f'{name} --version')


def what_cannot_be_exits_with_1(bench):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        address = '127.0.0.1:%d' % taken.getsockname()[1]
        for name in ('cached', 'accountsd'):
            contains(bench.run(name, '--listen', address, expect=1)[1], f'cannot listen on {address}: ')
            contains(bench.run(name, '--listen', 'no.such.name.invalid:0', expect=1)[1], 'no.such.name.invalid')
    for name, words in (('cached', ()), ('cachectl', ('dump',))):
        contains(bench.run(name, '--tls-cert', '/none', '--tls-key', '/none', *words, expect=1)[1], '/none')


def as_in_the_talk(bench):
    with bench.cached() as server:
        bench.ctl(server, 'store', 'gopher', 'con')
        same(bench.ctl(server, 'get', 'gopher')[0], b'con')
        same(bench.ctl(server, 'dump')[0], b'gopher => con\n')
        same(bench.ctl(server, 'get', 'marmot', expect=NOT_FOUND), (b'', 'NOT_FOUND: Key not found marmot\n  key marmot: was never stored\n'))


def values_are_any_bytes(bench):
    with bench.cached() as server:
        for value in (b'', b'\0', bytes(range(256)) * 300, b'ends in a newline\n', 'schlüssel ☃'.encode()):
            bench.store(server, 'key', value)
            same(bench.ctl(server, 'get', 'key')[0], value)
        bench.ctl(server, 'store', 'empty', '')
        same(bench.ctl(server, 'get', 'empty')[0], b'')


def json_for_machines(bench):
    values = {'plain': b'con', 'quote"\\\n\x7f': b'"\\\n\t\x01', 'bytes': b'\xff\x00', 'surrogate': b'\xed\xa0\x80', 'utf8': 'é☃😀'.encode(), 'empty': b''}
    for n in range(1, 5):
        values[f'base64 {n}'] = b'\xfe' * n
    with bench.cached() as server:
        for key, value in values.items():
            bench.store(server, key, value)
            got = json.loads(bench.ctl(server, '--json', 'get', key)[0])
            same(got['key'], key)
        got = {}
        for line in bench.ctl(server, '--json', 'dump')[0].splitlines():
            item = json.loads(line)
            got[item['key']] = item['value'].encode() if 'value' in item else base64.b64decode(item['value_base64'], validate=True)
        same(got, values)
        same(list(got), list(values))  # in the order in which the keys were first stored


def keys_have_1_to_1024_bytes(bench):
    with bench.cached() as server:
        for key in ('k', 'k' * 1024, 'é' * 512):
            bench.ctl(server, 'store', key, 'x')
            same(bench.ctl(server, 'get', key)[0], b'x')
        for key in ('', 'k' * 1025, 'é' * 512 + 'k'):
            same(bench.ctl(server, 'store', key, 'x', expect=INVALID_ARGUMENT)[1],
                 f'INVALID_ARGUMENT: A key has 1 to 1024 bytes of UTF-8, not {len(key.encode())}\n')
        contains(bench.ctl(server, 'store', b'\xff', 'x', expect=77)[1], 'INTERNAL: ')  # refused by whoever decodes it
        same(len(bench.ctl(server, 'dump')[0].splitlines()), 3)


def values_have_a_limit(bench):
    with bench.cached() as server:
        bench.store(server, 'most', b'x' * VALUE_MAX)
        same(bench.ctl(server, 'get', 'most')[0], b'x' * VALUE_MAX)
        same(bench.ctl(server, 'store', 'more', '-', stdin=b'x' * (VALUE_MAX + 1), expect=RESOURCE_EXHAUSTED)[1],
             f'RESOURCE_EXHAUSTED: A value has at most {VALUE_MAX} bytes, not {VALUE_MAX + 1}\n')
        contains(bench.ctl(server, 'store', 'more', '-', stdin=b'x' * 5 * MIB, expect=RESOURCE_EXHAUSTED)[1], 'RESOURCE_EXHAUSTED: ')
        bench.ctl(server, 'get', 'more', expect=NOT_FOUND)
    with bench.cached('--max-value', '10M') as server:
        bench.store(server, 'big', b'x' * 10 * MIB)
        same(bench.ctl(server, 'get', 'big')[0], b'x' * 10 * MIB)
        bench.ctl(server, 'store', 'more', '-', stdin=b'x' * (10 * MIB + 1), expect=RESOURCE_EXHAUSTED)
    with bench.cached('--max-value', '3') as server:
        bench.ctl(server, 'store', 'k', '123')
        bench.ctl(server, 'store', 'k', '1234', expect=RESOURCE_EXHAUSTED)


def the_store_has_a_memory_quota(bench):
    with bench.cached('--max-memory', '1M') as server:
        bench.store(server, 'a', b'x' * 600000)
        contains(bench.ctl(server, 'store', 'b', '-', stdin=b'x' * 600000, expect=RESOURCE_EXHAUSTED)[1],
                 'RESOURCE_EXHAUSTED: The cache is full: ', ' of 1048576 bytes are in use', '  try again in 5 s\n')
        bench.ctl(server, 'get', 'b', expect=NOT_FOUND)
        bench.store(server, 'a', b'y' * 700000)  # what it replaces makes room
        bench.store(server, 'b', b'x' * 300000)
        same(bench.ctl(server, 'get', 'a')[0], b'y' * 700000)


def accounts_have_a_quota_of_keys(bench):
    with bench.server('accountsd', '--listen', 'localhost:0', '--account', 'inconshreveable=100', '--account', 'none=0') as accounts, \
            bench.cached('--accounts', accounts.address) as server:
        lines = ''.join(f'key {n} => {n}\n' for n in range(100)).encode()
        same(bench.ctl(server, '--account-token', 'inconshreveable', 'load', stdin=lines)[1], '100 stored\n')
        same(bench.ctl(server, '--account-token', 'inconshreveable', 'store', 'another', 'x', expect=FAILED_PRECONDITION)[1],
             'FAILED_PRECONDITION: Account inconshreveable exceeds max key limit 100\n'
             '  quota of account:inconshreveable: Account inconshreveable exceeds max key limit 100\n')
        bench.ctl(server, '--account-token', 'inconshreveable', 'store', 'key 7', 'again')  # no new key
        same(bench.ctl(server, 'get', 'key 7')[0], b'again')
        contains(bench.ctl(server, '--account-token', 'none', 'store', 'another', 'x', expect=FAILED_PRECONDITION)[1],
                 'FAILED_PRECONDITION: Account none exceeds max key limit 0\n', '  quota of account:none: ')
        contains(bench.ctl(server, '--account-token', 'nobody', 'store', 'another', 'x', expect=NOT_FOUND)[1], 'Account not found nobody')
        same(bench.ctl(server, 'store', 'another', 'x', expect=NOT_FOUND)[1], 'NOT_FOUND: accounts: Account not found \n  reason ACCOUNTS_FAILED (rpc.Accounts)\n')
        bench.ctl(server, 'get', 'another', expect=NOT_FOUND)


def a_dry_run_has_no_effect(bench):
    with bench.server('accountsd', '--listen', 'localhost:0', '--account', 'one=1') as accounts, \
            bench.cached('--accounts', accounts.address, '--max-memory', '1000') as server:
        dry = ('--account-token', 'one', '--dry-run', 'store')
        same(bench.ctl(server, *dry, 'a', '12345')[1], 'dry run: would store 5 bytes under a new key\n')
        bench.ctl(server, 'get', 'a', expect=NOT_FOUND)
        contains(bench.ctl(server, *dry, 'a', 'x' * 1000, expect=RESOURCE_EXHAUSTED)[1], 'The cache is full')
        bench.ctl(server, '--account-token', 'one', 'store', 'a', '123')
        same(bench.ctl(server, *dry, 'a', '12345')[1], 'dry run: would replace 3 bytes by 5\n')
        same(bench.ctl(server, 'get', 'a')[0], b'123')
        contains(bench.ctl(server, *dry, 'b', 'x', expect=FAILED_PRECONDITION)[1], 'exceeds max key limit 1')
        accounts.terminate()
        contains(accounts.end(10)[2], 'accountsd: dry run: ')  # the flag was handed down


def calls_are_logged_without_what_is_in_them(bench):
    secret = 'sesame-7315'
    with bench.server('accountsd', '--listen', 'localhost:0', '--account', f'{secret}=5', '--log-calls') as accounts, \
            bench.cached('--accounts', accounts.address, '--log-calls') as server:
        bench.ctl(server, '--account-token', secret, 'store', f'key-{secret}', secret)
        bench.ctl(server, 'get', 'nothing', expect=NOT_FOUND)
        for end, words in ((server, ('/rpc.Cache/Store OK', '/rpc.Cache/Get NOT_FOUND')), (accounts, ('/rpc.Accounts/GetByToken OK',))):
            end.terminate()
            errors = end.end(10)[2]
            contains(errors, *words)
            if secret in errors:
                raise Wrong(f'a secret is in the log: {errors}')


def safe_calls_are_repeated_and_others_are_not(bench):
    with bench.cached('--flaky', '3') as server:
        errors = bench.ctl(server, '--retry', '-v', 'get', 'k', expect=NOT_FOUND)[1]
        same(len(re.findall(r'attempt \d: ', errors)), 3)
        errors = bench.ctl(server, '--retry', '-v', 'store', 'k', 'v', expect=UNAVAILABLE)[1]
        same(len(re.findall(r'attempt \d: ', errors)), 1)


def a_service_config_of_ones_own(bench):
    policy = ('{"methodConfig":[{"name":[{"service":"rpc.Cache"}],"retryPolicy":{"maxAttempts":%s,"initialBackoff":"0.01s",'
              '"maxBackoff":"0.1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}')
    path = f'{bench.scratch}/config.json'
    with open(path, 'w') as file:
        file.write(policy % 4)
    with bench.cached('--flaky', '3') as server:
        bench.ctl(server, '--service-config', f'@{path}', 'store', 'k', 'v')
        bench.ctl(server, '--service-config', policy % 2, 'get', 'k', expect=UNAVAILABLE)
        contains(bench.ctl(server, '--service-config', policy % 1, 'get', 'k', expect=USAGE)[1],
                 'methodConfig[0].retryPolicy.maxAttempts')


def the_tap_turns_away_who_comes_too_often(bench):
    with bench.cached('--max-rate', '1') as server:
        bench.ctl(server, 'store', 'k', 'v')
        contains(bench.ctl(server, 'get', 'k', expect=RESOURCE_EXHAUSTED)[1], 'too many calls a second')


def what_hangs_is_told_that_nobody_waits(bench):
    with bench.server('accountsd', '--listen', 'localhost:0', '--account', 'slow=5', '--slow', 'slow=60') as accounts, \
            bench.cached('--accounts', accounts.address) as server:
        bench.ctl(server, '--timeout', '0.1', '--account-token', 'slow', 'store', 'k', 'v', expect=DEADLINE_EXCEEDED)
        accounts.terminate()
        contains(accounts.end(10)[2], 'the caller left: ')  # cancelled, or its own deadline came first


def the_talk(bench):
    if bench.has_asan:
        raise Skip('the sanitizer keeps what is freed, and one step looks at memory')
    done = subprocess.run([f'{TOP}/examples/run', '--talk'], capture_output=True, timeout=600, env=dict(os.environ, BUILD=bench.build))
    if done.returncode != 0:
        raise Wrong(done.stdout.decode(errors='replace')[-3000:])
    contains(done.stdout.decode(), '-- all of it worked', ' 0 failed, ')


def compressed_values_are_the_same(bench):
    value = bytes(range(256)) * 4000
    with bench.cached('--compress', 'gzip') as server:
        for name in ('gzip', 'deflate'):
            bench.ctl(server, '--compress', name, 'store', name, '-', stdin=value)
            for options in ((), ('--compress', 'deflate')):
                same(bench.ctl(server, *options, 'get', name)[0], value)


def addresses_of_every_kind(bench):
    path = f'{bench.scratch}/cached.socket'
    with bench.server('cached', '--listen', '[::1]:0', '--listen', '127.0.0.1:0', '--listen', f'unix:{path}', '--listen', 'localhost:0', addresses=4) as server:
        v6, v4, unix, name = server.addresses
        same((v6.rsplit(':', 1)[0], v4.rsplit(':', 1)[0], unix, name.rsplit(':', 1)[0]), ('[::1]', '127.0.0.1', f'unix:{path}', 'localhost'))
        bench.run('cachectl', '--server', unix, 'store', 'gopher', 'con')
        port = name.rsplit(':', 1)[1]
        hosts = {found[4][0] for found in socket.getaddrinfo('localhost', None)}  # all that a name means, on one port
        for target in (v6, v4, unix, name, f'dns:///{name}', f'ipv4:{v4}', f'ipv6:{v6}', f'unix://{path}', *[f'[{host}]:{port}' if ':' in host else f'{host}:{port}' for host in hosts]):
            same(bench.run('cachectl', '--server', target, 'get', 'gopher')[0], b'con')


def a_deadline_ends_the_call_on_time(bench):
    with Silence() as silence, bench.cached('--accounts', silence.address) as server:
        for options, arguments, seconds in ((('--timeout', '0.3'), ('store', 'k', 'v'), 0.3), ((), ('store', 'k', 'v'), 2.0)):
            began = time.monotonic()
            contains(bench.ctl(server, *options, *arguments, expect=DEADLINE_EXCEEDED)[1], 'DEADLINE_EXCEEDED: ')
            took = time.monotonic() - began
            if not seconds - 0.05 <= took <= seconds + 1:
                raise Wrong(f'after {took:.2f} s, not {seconds}')
        bench.run('cachectl', '--server', silence.address, '--timeout', '0.2', 'get', 'k', expect=DEADLINE_EXCEEDED)


def a_server_that_is_away(bench):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        address = '127.0.0.1:%d' % taken.getsockname()[1]
    began = time.monotonic()
    contains(bench.run('cachectl', '--server', address, 'get', 'k', expect=UNAVAILABLE)[1], 'UNAVAILABLE: ')
    if time.monotonic() - began > 2:
        raise Wrong('UNAVAILABLE did not come at once')
    bench.run('cachectl', '--server', address, '--wait-for-ready', '--timeout', '0.3', 'get', 'k', expect=DEADLINE_EXCEEDED)
    with Process(bench.program('cachectl'), '--server', address, '--wait-for-ready', '--timeout', '20', 'store', 'k', 'v') as waiting:
        with bench.server('cached', '--listen', address) as server:
            same(waiting.end()[0], 0)
            same(bench.ctl(server, 'get', 'k')[0], b'v')


def progress_when_asked(bench):
    with bench.cached() as server:
        bench.ctl(server, 'load', stdin=b''.join(b'%d => x\n' % n for n in range(600)))
        out, errors = bench.ctl(server, '--progress', 'dump')
        same(len(out.splitlines()), 600)
        same(errors.split('\r')[1:], ['256 items, 914 bytes', '512 items, 1938 bytes', '600 items, 2290 bytes\n'])
        same(bench.ctl(server, 'dump')[1], '')


def load_refuses_what_is_no_line(bench):
    with bench.cached() as server:
        contains(bench.ctl(server, 'load', stdin=b'a => 1\nnothing\n', expect=1)[1], '1 stored', 'cachectl: load: ')
        same(bench.ctl(server, 'load', stdin=b'')[1], '0 stored\n')
        contains(bench.ctl(server, 'load', stdin=b'b => 2\n => 3\n', expect=INVALID_ARGUMENT)[1], 'INVALID_ARGUMENT: ')


# ---- Ends ----

def fill(bench, server, count, size, key='key {}'):
    for n in range(count):
        bench.store(server, key.format(n), b'%d' % (n % 10) * size)


def accountsd_is_killed_in_a_store(bench):
    with bench.server('accountsd', '--listen', '127.0.0.1:0') as accounts, bench.cached('--accounts', accounts.address) as server:
        token = ('--account-token', 'inconshreveable')
        bench.ctl(server, *token, 'store', 'connected', 'x')
        port = int(accounts.address.rsplit(':', 1)[1])
        accounts.send_signal(signal.SIGSTOP)
        until('accountsd has read', lambda: unread_bytes(port) == 0)
        with Process(bench.program('cachectl'), '--server', server.address, '--timeout', '10', *token, 'store', 'k', 'v') as client:
            until('the question has arrived', lambda: unread_bytes(port) > 0)
            accounts.kill()
            began = time.monotonic()
            status, _, errors = client.end()
            same(status, UNAVAILABLE)
            contains(errors, 'UNAVAILABLE: ')
            if time.monotonic() - began > 1.5:
                raise Wrong('UNAVAILABLE came late')
        bench.ctl(server, 'get', 'k', expect=NOT_FOUND)


def accountsd_comes_back(bench):
    token = ('--account-token', 'inconshreveable')
    with bench.server('accountsd', '--listen', '127.0.0.1:0') as accounts, bench.cached('--accounts', accounts.address) as server:
        bench.ctl(server, *token, 'store', 'a', 'x')
        accounts.kill()
        bench.ctl(server, *token, 'store', 'b', 'x', expect=UNAVAILABLE)
        with bench.server('accountsd', '--listen', accounts.address):
            def stored():
                return subprocess.run([bench.program('cachectl'), '--server', server.address, *token, 'store', 'b', 'x'], capture_output=True).returncode == 0
            until('accountsd is found again', stored)


def cached_is_killed_in_a_dump(bench):
    with bench.cached() as server:
        fill(bench, server, 10, VALUE_MAX)
        with bench.dump(server) as dump:
            server.kill()
            status, out, errors = dump.end()
            same(status, UNAVAILABLE)
            contains(errors, 'UNAVAILABLE: ')
            if len(out) > 9 * VALUE_MAX:
                raise Wrong('all of it had arrived; so nothing was seen')


def nobody_reads_a_dump(bench):
    with bench.cached() as server:
        fill(bench, server, 10, VALUE_MAX)
        with bench.dump(server) as dump:
            dump.stdout.close()
            same(dump.wait(30), CANCELLED)
        bench.ctl(server, 'get', 'key 0')


def sigterm_lets_calls_end(bench):
    with bench.cached() as server:
        fill(bench, server, 10, VALUE_MAX)
        with bench.dump(server) as dump:
            server.terminate()
            bench.listens_no_more(server)
            same(server.poll(), None)
            status, out, errors = dump.end()
            same((status, len(out)), (0, 10 * (VALUE_MAX + len('key 0 => \n')) - 1))
        same(server.end(5)[0], 0)


def a_second_signal_stops_at_once(bench):
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)):
        with bench.cached() as server:
            fill(bench, server, 10, VALUE_MAX)
            with bench.dump(server) as dump:
                server.send_signal(first)
                bench.listens_no_more(server)
                began = time.monotonic()
                server.send_signal(second)
                status, _, errors = server.end(5)
                same(status, 0)
                if 'Sanitizer' in errors:
                    raise Wrong(errors[-2000:])
                if time.monotonic() - began > 1:
                    raise Wrong('not at once')
                same(dump.end()[0], UNAVAILABLE)


def a_second_signal_ends_a_store_that_waits(bench):
    with Silence() as silence, bench.cached('--accounts', silence.address) as server:
        with Process(bench.program('cachectl'), '--server', server.address, 'store', 'k', 'v') as client:
            with silence.socket.accept()[0]:  # cached asks
                server.terminate()
                bench.listens_no_more(server)
                server.terminate()
                status, _, errors = server.end(5)
            same(status, 0)
            if 'Sanitizer' in errors:
                raise Wrong(errors[-2000:])
            same(client.end()[0], UNAVAILABLE)


# ---- Dumps ----

def a_dump_shows_the_store_as_it_was(bench):
    with bench.cached() as server:
        fill(bench, server, 20, MIB)
        with bench.dump(server, '--json') as dump:
            bench.ctl(server, 'store', 'key 0', 'replaced behind it')
            bench.ctl(server, 'store', 'key 19', 'replaced before it')
            bench.ctl(server, 'store', 'key 19', 'and again')
            bench.ctl(server, 'store', 'new', 'too young')
            same(bench.ctl(server, 'get', 'key 19')[0], b'and again')
            status, out, _ = dump.end()
            same(status, 0)
            got = {item['key']: item['value'] for item in map(json.loads, (dump.first + out).splitlines())}
            same(list(got), [f'key {n}' for n in range(20)])
            for n in range(20):
                same(got[f'key {n}'], str(n % 10) * MIB)
        got = bench.ctl(server, '--json', 'dump')[0].splitlines()
        same((len(got), json.loads(got[19]), json.loads(got[20])),
             (21, {'key': 'key 19', 'value': 'and again'}, {'key': 'new', 'value': 'too young'}))


def a_slow_reader_costs_the_server_nothing(bench):
    """The store's own memory apart, a dump takes what a call's queue and the socket hold; so does its client."""
    if bench.has_asan:
        raise Skip('the sanitizer keeps what is freed')
    count = 512 if bench.everything else 64
    with bench.cached('--max-memory', '3G') as server:
        fill(bench, server, count, VALUE_MAX)
        before = server.rss()
        if before > count * VALUE_MAX + 64 * MIB:
            raise Wrong(f'the store of {count * VALUE_MAX / MIB:.0f} MiB takes {before / MIB:.0f} MiB')
        server_most, client_most, read, looked = before, 0, 1, 0
        with bench.dump(server) as dump:
            while True:
                if read - looked > (MIB if read < 20 * MIB else 4 * MIB):
                    looked = read
                    time.sleep(0.05 if read < 20 * MIB else 0.01)
                    server_most, client_most = max(server_most, server.rss()), max(client_most, dump.rss())
                chunk = dump.stdout.read(MIB)
                if not chunk:
                    break
                read += len(chunk)
            same(dump.end()[0], 0)
        if read < count * VALUE_MAX:
            raise Wrong(f'{read} bytes of {count * VALUE_MAX}')
        print(f'  a dump of {read / MIB:.0f} MiB: server {before / MIB:.1f} MiB before it, {server_most / MIB:.1f} MiB at most; client {client_most / MIB:.1f} MiB')
        if server_most > before + 16 * MIB:
            raise Wrong(f'the server grew from {before / MIB:.1f} to {server_most / MIB:.1f} MiB')
        if client_most > 64 * MIB:
            raise Wrong(f'the client grew to {client_most / MIB:.1f} MiB')


CASES = [hello_is_short, hello, streams_of_each_kind, streams_at_their_edges, demo_server_lets_calls_end, deadline_cancel, metadata, interceptor, rich_errors, compress, service_config, resolver, tls, credentials, pipe,
         threads, a_wrong_command_line_exits_with_2, help_and_version, what_cannot_be_exits_with_1, as_in_the_talk, values_are_any_bytes,
         json_for_machines, keys_have_1_to_1024_bytes, values_have_a_limit, the_store_has_a_memory_quota, accounts_have_a_quota_of_keys,
         a_dry_run_has_no_effect, calls_are_logged_without_what_is_in_them, safe_calls_are_repeated_and_others_are_not,
         a_service_config_of_ones_own, the_tap_turns_away_who_comes_too_often, what_hangs_is_told_that_nobody_waits, the_talk,
         compressed_values_are_the_same, addresses_of_every_kind, a_deadline_ends_the_call_on_time, a_server_that_is_away, progress_when_asked, load_refuses_what_is_no_line,
         accountsd_is_killed_in_a_store, accountsd_comes_back, cached_is_killed_in_a_dump, nobody_reads_a_dump, sigterm_lets_calls_end,
         a_second_signal_stops_at_once, a_second_signal_ends_a_store_that_waits, a_dump_shows_the_store_as_it_was,
         a_slow_reader_costs_the_server_nothing, json_service, proxy]


def run(build='build-test', everything=False, only=()):
    """(passed, failed, skipped)"""
    passed = failed = skipped = 0
    for case in CASES:
        if only and case.__name__ not in only:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            began = time.monotonic()
            try:
                case(Bench(os.path.abspath(build), scratch, everything))
                passed += 1
                if time.monotonic() - began > 5:
                    print(f'  {case.__name__} took {time.monotonic() - began:.1f} s', flush=True)
            except Skip as reason:
                skipped += 1
                print(f'  skipped: {case.__name__}: {reason}', flush=True)
            except Exception as error:  # a case that goes wrong in any way has failed
                failed += 1
                line = traceback.extract_tb(error.__traceback__)[1].lineno
                print(f'FAILED: examples {case.__name__} (line {line}): {type(error).__name__}: {error}', flush=True)
    return passed, failed, skipped


def main():
    words = [word for word in sys.argv[1:] if word != '--all']
    counts = run(words[0] if words else 'build-test', '--all' in sys.argv, words[1:])
    print('%d passed, %d failed, %d skipped' % counts)
    return 1 if counts[1] else 0


if __name__ == '__main__':
    sys.exit(main())

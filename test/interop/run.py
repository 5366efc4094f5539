#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Other people's gRPC against our programs: Python's grpcio and grpc-go, as clients and as servers.

    test/interop/run.py [--build build-test]     all that can run here; ./test/run calls it too
    test/interop/run.py --self                   Python and Go against each other: is the test itself sound?

Their clients try everything in python/client.py and go/client against `cached`; `cachectl` calls python/server.py and
go/server; clear text, TLS and mutual TLS; and the clients of the talk, as it showed them. nghttp and h2load look over
the shoulder of `cached`. Stubs, certificates and the Python environment are made under build-interop/, ports are the
system's choice. What is missing here (pip, go, network) is skipped, with a line that says so.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(TOP, 'build-interop')
PROTO = os.path.join(TOP, 'proto', 'cache.proto')
GRPCIO = '1.85'

# grpc's codes, as cachectl's exit says them: 64 + number.
DEADLINE_EXCEEDED, NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE, DATA_LOSS = 68, 69, 73, 78, 79


class Skip(Exception):
    """Cannot run here; says why."""


class Wrong(Exception):
    """A case failed; says how."""


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def ok(self, name):
        self.passed += 1
        print(f'  ok {name}', flush=True)

    def fail(self, name, why):
        self.failed += 1
        print(f'  FAILED: interop {name}: {why}', flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f'  skipped {name}: {why}', flush=True)

    def counts(self):
        return self.passed, self.failed, self.skipped


# ---- What is made at run time ----

def run(*command, **options):
    """Runs a command that must succeed; its output."""
    done = subprocess.run(command, text=True, capture_output=True, **options)
    if done.returncode != 0:
        raise Skip(f'{os.path.basename(command[0])} failed: {((done.stderr or done.stdout).strip().splitlines() or ["?"])[-1]}')
    return done.stdout


def prepare_python():
    """A virtual environment with grpcio and stubs of our .proto; [python, environment]."""
    python = f'{WORK}/venv/bin/python'
    if subprocess.run([python, '-c', 'import grpc, grpc_tools'], capture_output=True).returncode != 0 if os.path.exists(python) else True:
        shutil.rmtree(f'{WORK}/venv', ignore_errors=True)
        run(sys.executable, '-m', 'venv', f'{WORK}/venv')
        pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
        try:
            run(*pip, f'grpcio=={GRPCIO}.*', f'grpcio-tools=={GRPCIO}.*', timeout=300)
        except Skip:
            run(*pip, 'grpcio', 'grpcio-tools', timeout=300)
    version = run(python, '-c', 'import grpc; print(grpc.__version__)').strip()
    print(f'  grpcio {version}' + ('' if version.startswith(GRPCIO + '.') else f' (wanted: {GRPCIO})'), flush=True)
    stubs = f'{WORK}/python'
    os.makedirs(stubs, exist_ok=True)
    run(python, '-m', 'grpc_tools.protoc', f'-I{os.path.dirname(PROTO)}', f'--python_out={stubs}', f'--grpc_python_out={stubs}', PROTO)
    return python, dict(os.environ, PYTHONPATH=stubs, PYTHONDONTWRITEBYTECODE='1', GRPC_VERBOSITY='NONE')


def prepare_go():
    """The Go programs, built in a copy of our sources beside the generated stubs; the folder of the programs."""
    if shutil.which('go') is None:
        raise Skip('go is not installed')
    source, binaries = f'{WORK}/go', f'{WORK}/bin'
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(f'{HERE}/go', source)
    os.makedirs(f'{source}/rpc')
    env = dict(os.environ, GOBIN=binaries, PATH=f'{binaries}:{os.environ["PATH"]}', GOFLAGS='-mod=readonly', GOTOOLCHAIN='local')
    run('go', 'install', 'tool', cwd=source, env=env, timeout=600)
    options = ['paths=source_relative', 'Mcache.proto=interop/rpc']
    run('protoc', f'-I{os.path.dirname(PROTO)}', f'--go_out={source}/rpc', f'--go-grpc_out={source}/rpc',
        *[f'--{lang}_opt={option}' for lang in ('go', 'go-grpc') for option in options], PROTO, env=env)
    run('go', 'install', './client', './server', './talk', './judge', './caller', './keepalive', cwd=source, env=env, timeout=600)
    version = run('go', 'list', '-m', 'google.golang.org/grpc', cwd=source, env=env).split()[-1]
    print(f'  grpc-go {version}', flush=True)
    return binaries


class Certificates:
    """A throw-away authority, a server of localhost, a client, and an authority that nobody asked for."""

    def __init__(self, folder):
        self.folder = folder
        for ca in ('ca', 'other-ca'):
            self.openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                         '-subj', f'/CN=interop {ca}', '-keyout', f'{ca}.key', '-out', f'{ca}.pem')
        self.issue('server', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nextendedKeyUsage=serverAuth,clientAuth\n')  # cached is a client of accounts, too
        self.issue('client', 'subjectAltName=DNS:client\nextendedKeyUsage=clientAuth\n')

    def openssl(self, *arguments):
        run('openssl', *arguments, cwd=self.folder)

    def issue(self, name, extensions):
        with open(f'{self.folder}/{name}.ext', 'w') as out:
            out.write(extensions)
        self.openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', f'/CN={name}',
                     '-keyout', f'{name}.key', '-out', f'{name}.csr')
        self.openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
                     '-extfile', f'{name}.ext', '-out', f'{name}.pem')

    def path(self, name):
        return f'{self.folder}/{name}'

    def server(self, transport):
        """Options of every server here for `clear`, `tls` or `mtls`."""
        if transport == 'clear':
            return []
        options = ['--tls-cert', self.path('server.pem'), '--tls-key', self.path('server.key')]
        return options + (['--tls-ca', self.path('ca.pem')] if transport == 'mtls' else [])

    def client(self, transport, ca='ca'):
        """Options of every client here; cachectl needs --tls besides."""
        if transport == 'clear':
            return []
        options = ['--tls-ca', self.path(f'{ca}.pem')]
        return options + (['--tls-cert', self.path('client.pem'), '--tls-key', self.path('client.key')] if transport == 'mtls' else [])

    def accounts(self, transport):
        """Options of cached that let it reach its accounts server the same way."""
        return [] if transport == 'clear' else ['--accounts-tls', '--accounts-ca', self.path('ca.pem')]


# ---- Processes ----

class Server:
    """A process that says `listening on HOST:PORT`; ended by SIGTERM at the end of the block."""

    def __init__(self, *command, env=None):
        self.name = os.path.basename(command[0])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        timer = threading.Timer(30, self.process.kill)  # one that says nothing
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line.startswith('listening on '):
            self.stop()
            raise Wrong(f'{self.name} does not listen; it said {line!r}')
        self.address = line.split()[-1]
        self.port = int(self.address.rsplit(':', 1)[1])

    def stop(self):
        """Ends it as a service manager would; its exit code."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


class Silence:
    """A listener that lets everybody connect and never says a word: what a hung server looks like."""

    def __enter__(self):
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()


class Peers:
    """Python and Go, as far as they are here."""

    def __init__(self, report):
        self.clients, self.servers, self.talks = {}, {}, {}
        try:
            python, env = prepare_python()
            self.clients['python'] = ([python, f'{HERE}/python/client.py'], env)
            self.servers['python'] = ([python, f'{HERE}/python/server.py'], env)
            self.talks['python'] = ([python, f'{HERE}/python/talk.py'], env)
        except (Skip, OSError, subprocess.TimeoutExpired) as error:
            report.skip('python', str(error))
        try:
            binaries = prepare_go()
            self.clients['go'] = ([f'{binaries}/client'], None)
            self.servers['go'] = ([f'{binaries}/server'], None)
            self.talks['go'] = ([f'{binaries}/talk'], None)
        except (Skip, OSError, subprocess.TimeoutExpired) as error:
            report.skip('go', str(error))

    def server(self, language, *options):
        command, env = self.servers[language]
        return Server(*command, '--listen', '127.0.0.1:0', *options, env=env)


# ---- Their clients ----

def their_client(report, peers, language, label, address, *options):
    """Runs all cases of a client; one line each."""
    command, env = peers.clients[language]
    try:
        done = subprocess.run([*command, address, *options], text=True, capture_output=True, env=env, timeout=240)
    except subprocess.TimeoutExpired as error:
        report.fail(label, f'no end after {error.timeout} s')
        return
    cases = re.findall(r'^(ok|FAILED) ([^:\n]+)(?:: (.*))?$', done.stdout, re.M)
    for kind, name, why in cases:
        if kind == 'ok':
            report.ok(f'{label} {name}')
        else:
            report.fail(f'{label} {name}', why)
    if not cases or done.returncode not in (0, 1):
        report.fail(label, f'exit {done.returncode}: {done.stderr.strip()[-500:]}')


def their_client_is_refused(report, peers, language, label, address, *options):
    """The client must not get through, and see UNAVAILABLE."""
    command, env = peers.clients[language]
    done = subprocess.run([*command, address, '--only', 'store_and_get', *options], text=True, capture_output=True, env=env, timeout=120)
    if done.returncode == 1 and re.search('unavailable', done.stdout, re.I):
        report.ok(label)
    else:
        report.fail(label, f'exit {done.returncode}: {done.stdout.strip()}')


def talk(report, peers, language, label, address):
    command, env = peers.talks[language]
    done = subprocess.run([*command, address], text=True, capture_output=True, env=env, timeout=60)
    if done.returncode == 0 and done.stdout == 'Got cached value con\ngopher => con\n':
        report.ok(label)
    else:
        report.fail(label, f'exit {done.returncode}: {done.stdout}{done.stderr}')


def with_refusals(report, peers, certificates, language, label, transport, address):
    if transport != 'clear':
        their_client_is_refused(report, peers, language, f'{label} other authority is refused', address,
                                *certificates.client(transport, 'other-ca'))
        their_client_is_refused(report, peers, language, f'{label} other name is refused', address,
                                *certificates.client(transport), '--tls-server-name', 'example.org')
    if transport == 'mtls':
        their_client_is_refused(report, peers, language, f'{label} no client certificate is refused', address,
                                *certificates.client('tls'))


# ---- cachectl ----

class Cachectl:
    def __init__(self, program, address, *options):
        self.command = [program, '--server', address, *options]

    def __call__(self, *arguments, expect=0, options=(), stdin=None):
        """Runs it; (stdout as bytes, stderr as text). Raises unless it exits as expected."""
        done = subprocess.run([*self.command, *options, *arguments], input=stdin if stdin is not None else b'', capture_output=True, timeout=60)
        errors = done.stderr.decode(errors='replace')
        if done.returncode != expect:
            raise Wrong(f'`{" ".join(arguments)[:80]}` exited {done.returncode}, expected {expect}: {errors.strip()[-300:]}')
        return done.stdout, errors


def same(got, wanted):
    if got != wanted:
        raise Wrong(f'got {got[:100]!r}, expected {wanted[:100]!r}')


def contains(text, *words):
    for word in words:
        if word not in text:
            raise Wrong(f'{text[-300:]!r} lacks {word!r}')


def ctl_store_and_get(ctl):
    ctl('store', 'gopher', 'con')
    same(ctl('get', 'gopher')[0], b'con')


def ctl_missing_key(ctl):
    out, errors = ctl('get', 'no gopher', expect=NOT_FOUND)
    same(out, b'')
    same(errors.strip().splitlines()[-1], 'NOT_FOUND: Key not found no gopher')


def ctl_text_of_a_status_survives(ctl):
    contains(ctl('get', 'schlüssel ☃ 100% %41', expect=NOT_FOUND)[1], 'Key not found schlüssel ☃ 100% %41')


def ctl_empty_value(ctl):
    ctl('store', 'empty', '')
    same(ctl('get', 'empty')[0], b'')


def ctl_every_byte_from_stdin(ctl):
    val = bytes(range(256)) * 3
    ctl('store', 'bytes', '-', stdin=val)
    same(ctl('get', 'bytes')[0], val)


def ctl_big_value(ctl):
    val = os.urandom(1_000_000)
    ctl('store', 'big', '-', stdin=val)
    same(ctl('get', 'big')[0], val)


def ctl_deadline(ctl):
    began = time.monotonic()
    ctl('get', 'slow', expect=DEADLINE_EXCEEDED, options=['--timeout', '0.3'])
    took = time.monotonic() - began
    if not 0.25 < took < 3:
        raise Wrong(f'took {took:.2f} s')


def ctl_deadline_is_sent(ctl):
    left = float(ctl('get', 'peek:deadline', options=['--timeout', '7'])[0])
    if not 5 < left <= 7:
        raise Wrong(f'the server saw {left} s')


def ctl_user_agent_is_sent(ctl):
    contains(ctl('get', 'peek:user-agent')[0].decode(), 'grpc-c-minirpc/')


def ctl_account_token_is_sent(ctl):
    ctl('store', 'owned', 'x', options=['--account-token', 'inconshreveable'])
    same(ctl('get', 'peek:token')[0], b'inconshreveable')


def ctl_quota(ctl):
    tiny = ['--account-token', 'tiny']
    ctl('store', 'q1', 'x', options=tiny)
    ctl('store', 'q2', 'x', options=tiny)
    contains(ctl('store', 'q3', 'x', options=tiny, expect=FAILED_PRECONDITION)[1], 'FAILED_PRECONDITION: Account tiny exceeds max key limit 2')
    ctl('store', 'q1', 'x', options=tiny)
    ctl('get', 'q3', expect=NOT_FOUND)


def ctl_dump(ctl):
    for i in range(20):
        ctl('store', f'item-{i}', f'value {i}')
    lines = ctl('dump')[0].splitlines()
    for i in range(20):
        if b'item-%d => value %d' % (i, i) not in lines:
            raise Wrong(f'item-{i} is missing in {lines}')


def ctl_dump_as_json(ctl):
    ctl('store', 'text', 'plain')
    ctl('store', 'raw', '-', stdin=b'\xff\0')
    for line in ctl('dump', options=['--json'])[0].splitlines():
        json.loads(line)


def ctl_dump_that_fails(ctl):
    ctl('store', 'before', 'x')
    ctl('store', 'poison', 'x')
    out, errors = ctl('dump', expect=DATA_LOSS)
    contains(out.decode(errors='replace'), 'before => x')
    contains(errors, 'DATA_LOSS: the rest was eaten')


CTL_CASES = {name[4:]: function for name, function in list(globals().items()) if name.startswith('ctl_')}


def ctl_case(report, label, function, *arguments):
    try:
        function(*arguments)
        report.ok(label)
    except Wrong as error:
        report.fail(label, str(error))
    except subprocess.TimeoutExpired as error:
        report.fail(label, f'no end after {error.timeout} s')


def server_dies_in_a_dump(program, peers, language):
    with peers.server(language) as server:
        ctl = Cachectl(program, server.address)
        ctl('store', 'molasses', 'x')
        ctl('store', 'more', 'x')
        dump = subprocess.Popen([*ctl.command, 'dump'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 10
        while ctl('get', 'peek:dumps')[0] != b'1' and time.monotonic() < end:
            pass
        server.process.kill()
        _, errors = dump.communicate(timeout=30)
        if dump.returncode != UNAVAILABLE:
            raise Wrong(f'exit {dump.returncode}: {errors}')
        contains(errors, 'UNAVAILABLE')


# ---- Our programs against theirs ----

class Ours:
    def __init__(self, build):
        folder = os.path.join(build, 'examples', 'cache')
        self.cached, self.accountsd, self.cachectl = (os.path.join(folder, n) for n in ('cached', 'accountsd', 'cachectl'))

    def missing(self):
        return [p for p in (self.cached, self.accountsd, self.cachectl) if not os.path.exists(p)]


def cached_is_called(report, peers, certificates, ours, language, transport):
    label = f'{language} -> cached, {transport}'
    server_options, client_options = certificates.server(transport), certificates.client(transport)
    with Server(ours.cached, '--listen', '127.0.0.1:0', *server_options) as cached, \
            Server(ours.accountsd, '--listen', '127.0.0.1:0', *server_options, '--account', 'tiny=2', '--account', 'inconshreveable=100') as accountsd:
        with Silence() as silence, peers.server(language, *server_options) as their_accounts, \
                Server(ours.cached, '--listen', '127.0.0.1:0', *server_options, '--accounts', silence.address) as slow, \
                Server(ours.cached, '--listen', '127.0.0.1:0', *server_options, '--accounts', their_accounts.address,
                       *certificates.accounts(transport)) as quota:
            their_client(report, peers, language, label, cached.address, *client_options,
                         '--accounts', accountsd.address, '--slow', slow.address, '--quota', quota.address)
        with_refusals(report, peers, certificates, language, label, transport, cached.address)
        if transport == 'clear':
            with Server(ours.cached, '--listen', 'localhost:0') as fresh:
                talk(report, peers, language, f'{language} -> cached, the client of the talk', fresh.address)
        for server in (accountsd, cached):
            code = server.stop()
            if code == 0:
                report.ok(f'{label} {server.name} ends with 0 on SIGTERM')
            else:
                report.fail(f'{label} {server.name} ends with 0 on SIGTERM', f'exit {code}')


def cachectl_calls(report, peers, certificates, ours, language, transport):
    label = f'cachectl -> {language}, {transport}'
    tls = ['--tls'] if transport != 'clear' else []
    with peers.server(language, *certificates.server(transport)) as server:
        ctl = Cachectl(ours.cachectl, server.address, *tls, *certificates.client(transport))
        for name, function in CTL_CASES.items():
            ctl_case(report, f'{label} {name}', function, ctl)
        if transport != 'clear':
            def refused(*options):
                Cachectl(ours.cachectl, server.address, *options)('get', 'gopher', expect=UNAVAILABLE, options=['--timeout', '10'])

            def loudly_insecure():
                options = ['--tls', '--insecure-skip-verify', *certificates.client(transport, 'other-ca')[2:]]
                out, errors = Cachectl(ours.cachectl, server.address, *options)('get', 'gopher')
                same(out, b'con')
                contains(errors.lower(), 'verif')

            ctl_case(report, f'{label} other authority is refused', refused, '--tls', *certificates.client(transport, 'other-ca'))
            ctl_case(report, f'{label} other name is refused', refused, '--tls', *certificates.client(transport), '--tls-server-name', 'example.org')
            ctl_case(report, f'{label} insecure skip verify', loudly_insecure)
            if transport == 'mtls':
                ctl_case(report, f'{label} no client certificate is refused', refused, '--tls', *certificates.client('tls'))
    if transport == 'clear':
        ctl_case(report, f'{label} the server dies in a dump', server_dies_in_a_dump, ours.cachectl, peers, language)
        ctl_case(report, f'{label} their accounts server dies in a store', accounts_die_in_a_store, ours, peers, language)


def accounts_die_in_a_store(ours, peers, language):
    with peers.server(language) as accounts, Server(ours.cached, '--listen', '127.0.0.1:0', '--accounts', accounts.address) as cached:
        ctl = Cachectl(ours.cachectl, cached.address)
        ctl('store', 'a', 'x', options=['--account-token', 'inconshreveable'])  # connected
        timer = threading.Timer(0.5, accounts.process.kill)
        timer.start()
        began = time.monotonic()
        contains(ctl('store', 'b', 'x', options=['--account-token', 'slow', '--timeout', '10'], expect=UNAVAILABLE)[1], 'UNAVAILABLE')
        timer.join()
        if time.monotonic() - began > 1.9:
            raise Wrong(f'only after {time.monotonic() - began:.2f} s')


# ---- nghttp and h2load as judges ----

def framed(message):
    return b'\0' + len(message).to_bytes(4, 'big') + message


def judged_by_nghttp(report, ours, scratch):
    label = 'nghttp -> cached'
    if shutil.which('nghttp') is None or shutil.which('h2load') is None:
        report.skip(label, 'nghttp2-client is not installed')
        return
    get, store = f'{scratch}/get', f'{scratch}/store'
    with open(get, 'wb') as out:
        out.write(framed(b'\x0a\x06gopher'))
    with open(store, 'wb') as out:
        out.write(framed(b'\x0a\x06gopher\x12\x03con\x1a\x01t'))
    headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers']

    def nghttp(address, path, *options):
        return subprocess.run(['nghttp', '-v', '--no-dep', '-t', '20', *options, f'http://{address}{path}'], text=True, errors='replace', capture_output=True, timeout=60).stdout

    def answers_not_found(address):
        contains(nghttp(address, '/rpc.Cache/Get', '-d', get, *headers), ':status: 200', 'content-type: application/grpc', 'grpc-status: 5', 'grpc-message: Key not found gopher')

    def refuses_what_is_not_grpc(address):
        contains(nghttp(address, '/rpc.Cache/Get', '-d', get, '-H', 'content-type: text/plain'), ':status: 415')
        contains(nghttp(address, '/rpc.Cache/Get', *headers), ':status: 405')

    def ends_at_the_deadline_by_itself(address):
        began = time.monotonic()
        contains(nghttp(address, '/rpc.Cache/Store', '-d', store, *headers, '-H', 'grpc-timeout: 300m'), 'grpc-status: 4')
        if time.monotonic() - began > 1.5:
            raise Wrong(f'after {time.monotonic() - began:.2f} s')

    def bears_load(address):
        done = subprocess.run(['h2load', '-n', '20000', '-c', '10', '-m', '50', '-d', store, *headers, f'http://{address}/rpc.Cache/Store'], text=True, capture_output=True, timeout=120)
        contains(done.stdout, '20000 succeeded, 0 failed, 0 errored', 'status codes: 20000 2xx')

    with Silence() as silence, Server(ours.cached, '--listen', '127.0.0.1:0') as cached, \
            Server(ours.cached, '--listen', '127.0.0.1:0', '--accounts', silence.address) as slow:
        ctl_case(report, f'{label} answers not found', answers_not_found, cached.address)
        ctl_case(report, f'{label} refuses what is not gRPC', refuses_what_is_not_grpc, cached.address)
        ctl_case(report, f'{label} ends at the deadline by itself', ends_at_the_deadline_by_itself, slow.address)
        ctl_case(report, f'{label} bears load', bears_load, cached.address)


# ---- The two runs ----

def against_ours(build):
    """The whole suite; (passed, failed, skipped)."""
    report, ours = Report(), Ours(os.path.abspath(build))
    if ours.missing() or not os.path.exists(PROTO):
        report.skip('interop', f'{", ".join(ours.missing()) or PROTO} is not there')
        return report.counts()
    os.makedirs(WORK, exist_ok=True)
    peers = Peers(report)
    with tempfile.TemporaryDirectory() as scratch:
        certificates = Certificates(scratch)
        for language in peers.clients:
            for transport in ('clear', 'tls', 'mtls'):
                try:
                    cached_is_called(report, peers, certificates, ours, language, transport)
                    cachectl_calls(report, peers, certificates, ours, language, transport)
                except (Wrong, subprocess.TimeoutExpired, OSError) as error:
                    report.fail(f'{language}, {transport}', str(error))
        try:
            judged_by_nghttp(report, ours, scratch)
        except (Wrong, subprocess.TimeoutExpired, OSError) as error:
            report.fail('nghttp', str(error))
    return report.counts()


def against_each_other():
    """Python and Go call each other and themselves: every case must hold without us."""
    report = Report()
    os.makedirs(WORK, exist_ok=True)
    peers = Peers(report)
    with tempfile.TemporaryDirectory() as scratch:
        certificates = Certificates(scratch)
        for server_language in peers.servers:
            for language in peers.clients:
                for transport in ('clear', 'tls', 'mtls'):
                    with peers.server(server_language, *certificates.server(transport)) as server:
                        label, address = f'{language} -> {server_language}, {transport}', server.address
                        if transport == 'clear':
                            talk(report, peers, language, f'{label}, the client of the talk', address)
                        their_client(report, peers, language, label, address, *certificates.client(transport),
                                     '--slow', address, '--quota', address, '--accounts', address)
                        with_refusals(report, peers, certificates, language, label, transport, address)
    return report.counts()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--self', action='store_true')
    parser.add_argument('--build', default=os.path.join(TOP, 'build-test'))
    options = parser.parse_args()
    counts = against_each_other() if options.self else against_ours(os.path.abspath(options.build))
    print('%d passed, %d failed, %d skipped' % counts)
    return 1 if counts[1] else 0


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())

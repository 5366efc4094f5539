#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gRPC's own interop suite: our client and server against the programs of other families, and against each other.

    test/interop/grpc/run.py [--build build-test] [--all] [--write] [NAME...]

Without --all: ours against ours, grpc-go, and Python's grpcio (with programs of our own on it). With it also the Ruby programs that Debian ships (C core) and grpc-java's
from Maven Central. NAMEs (ours go grpcio ruby java rude) choose some. Clear text and TLS, theirs with the official test
certificates (they come with the grpc-go module), ours with a pair that is made here. The negative HTTP/2 cases run our
client, and grpc-go's as a cross-check, against rude.py. A matrix is printed; --write puts it into docs/interop.md.

What cannot be had is skipped, with a line that says so. Everything is made under build-interop/grpc.
"""
import argparse
from concurrent.futures import ThreadPoolExecutor
import datetime
import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WORK = os.path.join(TOP, 'build-interop', 'grpc')
DOCUMENT = os.path.join(TOP, 'docs', 'interop.md')
GO, JAVA = 'v1.85.0', '1.79.0'
BEGIN, END = '<!-- grpc interop: written by test/interop/grpc/run.py --write -->', '<!-- grpc interop: end -->'
OFFICIAL_NAME = 'foo.test.google.fr'

BASIC = ['empty_unary', 'large_unary', 'client_streaming', 'server_streaming', 'ping_pong', 'empty_stream', 'custom_metadata',
         'status_code_and_message', 'special_status_message', 'unimplemented_method', 'unimplemented_service', 'cancel_after_begin',
         'cancel_after_first_response', 'timeout_on_sleeping_server']
COMPRESSED_UP = ['client_compressed_unary', 'client_compressed_streaming']
COMPRESSED_DOWN = ['server_compressed_unary', 'server_compressed_streaming']
SOAK = ['rpc_soak', 'channel_soak']
OWN = ['long_lived_channel', 'concurrent_large_unary', 'half_duplex', 'response_intervals', 'unsupported_type']  # only our client has them
ORCA = ['orca_per_rpc', 'orca_oob']
ALL = [*BASIC, *COMPRESSED_UP, *COMPRESSED_DOWN, *SOAK, *OWN, 'pick_first_unary', *ORCA]
RUDE = ['goaway', 'rst_after_header', 'rst_during_data', 'rst_after_data', 'ping', 'max_streams', 'data_frame_padding',
        'no_df_padding_sanity_test']
ORCA_CONFIG = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'


class Skip(Exception):
    """Cannot run here; says why."""


def run_or_skip(*command, **options):
    try:
        done = subprocess.run(command, text=True, capture_output=True, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Skip(str(error))
    if done.returncode != 0:
        raise Skip(f'{os.path.basename(command[0])} failed: {((done.stderr or done.stdout).strip().splitlines() or ["?"])[-1]}')
    return done.stdout.strip()


# ---- Processes ----

def free_port():
    """For servers that cannot pick one. Somebody else may take it before they do; then the run says so."""
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """A server process: up when its port answers, ended by SIGTERM at the end of the block."""

    def __init__(self, command, port=None, env=None):
        self.log = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, env=env)
        self.port = port
        for _ in range(600):
            if self.process.poll() is not None:
                break
            if self.is_up():
                return
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        raise Skip(f'{os.path.basename(command[0])} does not listen: {self.output()[-200:]!r}')

    def is_up(self):
        if self.port is None:
            said = re.search(r'^listening on \S+:(\d+)$', self.output(), re.M)
            self.port = int(said.group(1)) if said else None
            return said is not None
        try:
            socket.create_connection(('localhost', self.port), 1).close()
            return True
        except OSError:
            return False

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        """Its exit status and what it said."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode, self.output()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.log.close()


# ---- Families ----

class Family:
    """Somebody's client and server."""
    one_case_a_run = True  # the client takes one case at a time
    version = ''
    env = None
    name_override = OFFICIAL_NAME
    client_cases, server_cases = ALL, ALL

    def __init__(self, build, certificates):
        self.build, self.certificates = build, certificates
        self.prepare()

    def prepare(self):
        """Makes it ready, or raises Skip."""

    def start(self, tls):
        port = free_port()
        return Server(self.server(port, tls), port, self.env)


class Ours(Family):
    title, one_case_a_run = 'libminirpc', False

    def prepare(self):
        self.programs = os.path.join(self.build, 'test', 'interop', 'grpc')
        self.version = run_or_skip(os.path.join(self.programs, 'interop_client'), '--version')
        known = run_or_skip(os.path.join(self.programs, 'interop_client'), '--list').split()
        self.client_cases = [case for case in ALL if case in known]
        self.server_cases = [case for case in ALL if case in known or case not in COMPRESSED_UP + COMPRESSED_DOWN]

    def client(self, port, tls, cases, host='localhost'):
        command = [os.path.join(self.programs, 'interop_client'), f'--server_host={host}', f'--server_port={port}', '--test_case=' + ','.join(cases),
                   '--soak_per_iteration_max_acceptable_latency_ms=5000', '--soak_overall_timeout_seconds=60', '--soak_min_time_ms_between_rpcs=20']
        return command + (['--use_tls', '--use_test_ca', f'--ca_file={tls["ca"]}', f'--server_host_override={tls["name"]}'] if tls else [])

    def start(self, tls):
        command = [os.path.join(self.programs, 'interop_server'), '--port=0']
        return Server(command + (['--use_tls', f'--tls_cert_file={tls["cert"]}', f'--tls_key_file={tls["key"]}'] if tls else []))


class Behind(Ours):
    """Our server with examples/proxy.c in front of it; the proxy speaks clear text."""
    title = 'proxy > libminirpc'
    server_cases = [case for case in ALL if case not in ORCA + ['pick_first_unary']]  # reports come from whoever is asked

    def prepare(self):
        super().prepare()
        self.server_cases = Behind.server_cases
        self.proxy = os.path.join(self.build, 'examples', 'proxy')
        if not os.path.exists(self.proxy):
            raise Skip('the examples are not built')

    def start(self, tls):
        behind = super().start(None)
        try:
            front = Server([self.proxy, 'localhost:0', f'localhost:{behind.port}'])
        except Skip:
            behind.__exit__()
            raise
        front.behind = behind
        return front

    @staticmethod
    def stop(front):
        """Both: the proxy knows no goodbye. What the server said."""
        front.process.kill()
        front.process.wait()
        return front.behind.stop()


def go_install(program, folder):
    """Builds a program of the grpc-go module."""
    if shutil.which('go') is None:
        raise Skip('go is not installed')
    target = os.path.join(WORK, 'go', folder)
    binary = os.path.join(target, os.path.basename(program))
    if not os.path.exists(f'{binary}-{GO}'):
        run_or_skip('go', 'install', f'google.golang.org/grpc/{program}@{GO}', env=dict(os.environ, GOBIN=target, GOTOOLCHAIN='local'), timeout=900)
        os.replace(binary, f'{binary}-{GO}')
    return f'{binary}-{GO}'


def official_certificates():
    """The test certificates of gRPC, as the grpc-go module has them."""
    folder = os.path.join(run_or_skip('go', 'env', 'GOMODCACHE'), f'google.golang.org/grpc@{GO}', 'testdata')
    files = {'ca': f'{folder}/ca.pem', 'cert': f'{folder}/server1.pem', 'key': f'{folder}/server1.key', 'name': OFFICIAL_NAME}
    if not os.path.exists(files['ca']):
        raise Skip('the grpc-go module has no test certificates')
    return files


class Go(Family):
    title = 'grpc-go'
    client_cases = [*BASIC, *SOAK, 'pick_first_unary', *ORCA]
    server_cases = [case for case in ALL if case not in COMPRESSED_UP + COMPRESSED_DOWN + ['pick_first_unary', 'unsupported_type']]

    def prepare(self):
        self.programs = go_install('interop/client', 'client'), go_install('interop/server', 'server')
        self.version = GO

    def client(self, port, tls, cases):
        command = [self.programs[0], '--server_host=localhost', f'--server_port={port}', f'--test_case={cases[0]}',
                   '--soak_per_iteration_max_acceptable_latency_ms=5000', '--soak_overall_timeout_seconds=60']
        command += [f'--service_config_json={ORCA_CONFIG}'] if cases[0] in ORCA else []
        return command + (['--use_tls', '--use_test_ca', f'--ca_file={tls["ca"]}', f'--server_host_override={tls["name"]}'] if tls else [])

    def server(self, port, tls):
        return [self.programs[1], f'--port={port}'] + (['--use_tls', f'--tls_cert_file={tls["cert"]}', f'--tls_key_file={tls["key"]}'] if tls else [])


class Grpcio(Family):
    """Python's grpcio, with programs of our own on it; the environment is the one of test/interop/run.py."""
    title = 'grpcio (C core)'
    # Its server does not see how a request came, and reports no loads; 1000 calls at once are too many for its threads.
    server_cases = [case for case in ALL if case not in COMPRESSED_UP + ORCA + ['pick_first_unary', 'concurrent_large_unary']]

    def prepare(self):
        sys.path.insert(0, os.path.join(TOP, 'test'))
        from interop import run as cache
        stubs = os.path.join(WORK, 'python')
        os.makedirs(stubs, exist_ok=True)
        try:
            self.python, _ = cache.prepare_python()
        except (cache.Skip, OSError, subprocess.TimeoutExpired) as why:
            raise Skip(str(why))
        run_or_skip(self.python, '-m', 'grpc_tools.protoc', f'-I{HERE}', f'--python_out={stubs}', f'--grpc_python_out={stubs}', f'{HERE}/testing.proto')
        self.version = run_or_skip(self.python, '-c', 'import grpc; print(grpc.__version__)')
        self.env = dict(os.environ, PYTHONPATH=stubs, PYTHONDONTWRITEBYTECODE='1', GRPC_VERBOSITY='NONE')
        self.command = [self.python, f'{HERE}/grpcio_peer.py']
        self.client_cases = run_or_skip(*self.command, 'cases', env=self.env).split()

    def client(self, port, tls, cases):
        return [*self.command, 'client', f'--server_port={port}', f'--test_case={cases[0]}'] + (
            ['--use_tls', f'--ca_file={tls["ca"]}', f'--server_host_override={tls["name"]}'] if tls else [])

    def start(self, tls):
        return Server([*self.command, 'server', '--port=0'] +
                      (['--use_tls', f'--tls_cert_file={tls["cert"]}', f'--tls_key_file={tls["key"]}'] if tls else []), None, self.env)


class Ruby(Family):
    """Debian's ruby-grpc: C core. It brings the official certificates itself."""
    title = 'grpc ruby (C core)'
    client_cases = [case for case in BASIC if case != 'special_status_message'] + COMPRESSED_UP
    # Its server has 30 threads, and neither compresses as asked nor reports loads.
    server_cases = [*BASIC, *SOAK, 'long_lived_channel']

    def prepare(self):
        if shutil.which('ruby') is None:
            raise Skip('ruby is not installed')
        found = glob.glob('/usr/lib/*/rubygems-integration/*/gems/grpc-*/src/ruby/pb/test/client.rb')
        if not found:
            raise Skip('ruby-grpc is not installed')
        self.folder = os.path.dirname(found[0])
        self.version = re.search(r'/gems/grpc-([\d.]+)/', found[0]).group(1)

    def client(self, port, tls, cases):
        command = ['ruby', f'{self.folder}/client.rb', '--server_host', 'localhost', '--server_port', str(port), '--test_case', cases[0],
                   '--use_tls', 'true' if tls else 'false']
        return command + (['--use_test_ca', 'true', '--server_host_override', tls['name']] if tls else [])

    def server(self, port, tls):
        return ['ruby', f'{self.folder}/server.rb', '--port', str(port), '--use_tls', 'true' if tls else 'false']


class Java(Family):
    """grpc-java's interop programs, from Maven Central. They bring the official certificates themselves."""
    title = 'grpc-java'
    client_cases = [*BASIC, *COMPRESSED_UP, *COMPRESSED_DOWN, *SOAK, 'pick_first_unary', *ORCA]
    # Its server neither looks how a request came (its own client fails there too), nor compresses a stream's responses.
    server_cases = [case for case in ALL if case not in COMPRESSED_UP + ['server_compressed_streaming', 'pick_first_unary', 'unsupported_type']]
    version = JAVA

    def prepare(self):
        if shutil.which('java') is None or shutil.which('mvn') is None:
            raise Skip('java or maven is not installed')
        folder = os.path.join(WORK, f'java-{JAVA}')
        if not glob.glob(f'{folder}/lib/grpc-interop-testing-*.jar'):
            os.makedirs(folder, exist_ok=True)
            with open(f'{folder}/pom.xml', 'w') as pom:
                pom.write('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>minirpc</groupId>'
                          '<artifactId>interop</artifactId><version>1</version><dependencies><dependency><groupId>io.grpc</groupId>'
                          f'<artifactId>grpc-interop-testing</artifactId><version>{JAVA}</version></dependency></dependencies></project>\n')
            run_or_skip('mvn', '-q', '-B', 'dependency:copy-dependencies', f'-DoutputDirectory={folder}/lib', cwd=folder, timeout=900)
        self.command = ['java', '-Xmx512m', '-XX:TieredStopAtLevel=1', '-cp', f'{folder}/lib/*']

    def client(self, port, tls, cases):
        command = [*self.command, 'io.grpc.testing.integration.TestServiceClient', '--server_host=localhost', f'--server_port={port}',
                   f'--test_case={cases[0]}', '--soak_per_iteration_max_acceptable_latency_ms=5000', '--soak_overall_timeout_seconds=60']
        command += [f'--service_config_json={ORCA_CONFIG}'] if cases[0] in ORCA else []
        return command + (['--use_tls=true', '--use_test_ca=true', f'--server_host_override={tls["name"]}'] if tls else ['--use_tls=false'])

    def server(self, port, tls):
        return [*self.command, 'io.grpc.testing.integration.TestServiceServer', f'--port={port}', f'--use_tls={"true" if tls else "false"}']


FAMILIES = {'ours': Ours, 'go': Go, 'grpcio': Grpcio, 'ruby': Ruby, 'java': Java}


# ---- Running ----

class Report:
    def __init__(self):
        self.columns = {}  # "client > server" -> case -> {'clear': ok, 'tls': ok}
        self.versions = {}
        self.passed = self.failed = self.skipped = 0

    def note(self, column, transport, case, why):
        """why: None when all is well."""
        self.columns.setdefault(column, {}).setdefault(case, {})[transport] = why is None
        if why is None:
            self.passed += 1
        else:
            self.failed += 1
            print(f'  FAILED: grpc interop, {column}, {transport}, {case}: {why}', flush=True)

    def skip(self, what, why):
        self.skipped += 1
        print(f'  skipped grpc interop, {what}: {why}', flush=True)


def ask(command, env, cases):
    """Runs a client; {case: None or why not}."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', env=env, timeout=120 if len(cases) == 1 else 400)
    except subprocess.TimeoutExpired as error:
        return {case: f'no end after {error.timeout:.0f} s' for case in cases}
    said = [line for line in (done.stderr if len(cases) > 1 else done.stderr + done.stdout).strip().splitlines() if not line.startswith('soak ')]
    words = ' / '.join(said[-4:])[-500:]
    if len(cases) == 1:
        return {cases[0]: None if done.returncode == 0 else f'exit {done.returncode}: {words}'}
    ok = set(re.findall(r'^ok (\w+)$', done.stdout, re.M))
    return {case: None if case in ok else words for case in cases}


def pair(report, client, server, transport, tls):
    column = f'{client.title} > {server.title}'
    cases = [case for case in client.client_cases if case in server.server_cases and case != 'pick_first_unary']
    try:
        with server.start(tls) as running:
            # Some cases mostly wait, so several run at once.
            batches = [[case] for case in cases] if client.one_case_a_run else [['orca_oob'], [case for case in cases if case != 'orca_oob']]
            with ThreadPoolExecutor(4) as pool:
                for results in pool.map(lambda batch: ask(client.client(running.port, tls, batch), client.env, batch),
                                        [batch for batch in batches if set(batch) <= set(cases)]):
                    for case, why in results.items():
                        report.note(column, transport, case, why)
            if isinstance(server, Behind):
                status, said = server.stop(running)
                good = status == 0 and re.search(r'; open: 0 calls, 0 connections; forgotten: 0 calls$', said, re.M)
                report.note(column, transport, 'nothing is left', None if good else f'exit {status}: {said[-300:]!r}')
            elif isinstance(server, Ours):
                nothing_is_left(report, column, transport, tls, server, running)
    except Skip as why:
        report.skip(f'{column}, {transport}', str(why))
        return
    if isinstance(server, Ours) and not isinstance(server, Behind) and 'pick_first_unary' in client.client_cases:
        pick_first(report, column, client, server, transport, tls)


def proxied(report, build, family):
    """A family's client through our transparent proxy."""
    try:
        pair(report, family, Behind(build, None), 'clear', None)
    except Skip as why:
        report.skip(f'{family.title} through the proxy', str(why))


def nothing_is_left(report, column, transport, tls, ours, server):
    """After all that the server answers an ordinary call, none is open or forgotten, and it ends as it should."""
    why = ask(ours.client(server.port, tls, ['empty_unary']), None, ['empty_unary'])['empty_unary']
    if why is None:
        status, said = server.stop()
        good = status == 0 and re.search(r'; open: 0 calls, 0 connections; forgotten: 0 calls$', said, re.M)
        why = None if good else f'exit {status}: {said[-300:]!r}'
    report.note(column, transport, 'nothing is left', why)


def pick_first(report, column, client, server, transport, tls):
    """Two servers are there. Ours is told of both; another family's client has one name, and so one server."""
    with server.start(tls) as one, server.start(tls) as two:
        if isinstance(client, Ours):
            command = client.client(0, tls, ['pick_first_unary'], f'ipv4:127.0.0.1:{one.port},127.0.0.1:{two.port}')
        else:
            command = client.client(one.port, tls, ['pick_first_unary'])
        report.note(column, transport, 'pick_first_unary', ask(command, client.env, ['pick_first_unary'])['pick_first_unary'])


def rude(report, ours):
    """The misbehaving server judges, and so does the client."""
    clients = [(ours.title, lambda port, case: ours.client(port, None, [case]))]
    try:
        negative, plain = go_install('interop/http2', 'http2'), go_install('interop/client', 'client')
        clients.append(('grpc-go', lambda port, case: [plain if 'padding' in case else negative, '--server_host=localhost', f'--server_port={port}',
                                                       f'--test_case={"large_unary" if "padding" in case else case}']))
    except Skip as why:
        report.skip('grpc-go against rude.py', str(why))
    for title, command in clients:
        for case in RUDE:
            with Server([sys.executable, f'{HERE}/rude.py', f'--test_case={case}']) as server:
                why = ask(command(server.port, case), None, [case])[case]
                status, said = server.stop()
            if why is None and status != 0:
                why = f'the server says: {said.strip().splitlines()[-1]}'
            if title == 'grpc-go' and case == 'rst_during_data' and why is not None and 'Internal, want _, Unknown' in why:
                why = None  # it wants UNKNOWN of itself, and has INTERNAL as protocol.md's section 6 does
            report.note(f'{title} > rude.py', 'clear', case, why)


# ---- The matrix ----

def cell(results):
    if not results:
        return ''
    if all(results.values()):
        return 'ok' if len(results) == 2 else f'ok ({next(iter(results))})'
    return ', '.join(f'{transport} {"ok" if good else "**fails**"}' for transport, good in results.items())


def matrix(report, columns, cases):
    rows = [['case', *columns], ['---'] * (len(columns) + 1)]
    rows += [[case, *[cell(report.columns[column].get(case, {})) for column in columns]]
             for case in cases if any(case in report.columns[column] for column in columns)]
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def as_text(report):
    columns = [column for column in report.columns if not column.endswith('rude.py')]
    negative = [column for column in report.columns if column.endswith('rude.py')]
    parts = ['`client > server`; "ok" is clear text and TLS, an empty cell a case that one of the two does not have. '
             'Versions: ' + ', '.join(f'{title} {version}' for title, version in report.versions.items()) +
             f'. Last run on {datetime.date.today()}: {report.passed} passed, {report.failed} failed, {report.skipped} skipped.']
    if columns:
        parts.append(matrix(report, columns, [*ALL, 'nothing is left']))
    if negative:
        parts += ['Against a server that misbehaves in HTTP/2 (`test/interop/grpc/rude.py`), clear text:', matrix(report, negative, RUDE)]
    return '\n\n'.join(parts)


ABOUT = """## gRPC's own interop suite

`test/interop/grpc/run.py` runs `interop_client` and `interop_server`, which are written on the public API and take the flags of the
suite, against the programs of other families and against each other, with the official test certificates against others and with our own
against ourselves. `./test/run` does so with grpc-go and grpcio in CI and with all with `--all`; on grpcio, which has no interop
programs on PyPI, they are ours (`grpcio_peer.py`). "nothing is left" means that after all cases our
server answered an ordinary call, had no call or connection open and none forgotten, and ended cleanly. half_duplex, response_intervals
and unsupported_type are ours: duties of a server that no case of the suite asks for. "> proxy > libminirpc" is our server with the
transparent proxy of `examples/proxy.c` in front of it, clear text.

Not run: cacheable_unary (a proxy that caches GET; no client has it any more), the cases with cloud credentials (compute_engine_creds,
service_account_creds, jwt_token_creds, oauth2_auth_token, per_rpc_creds, google_default_credentials: their servers fill in a user name
that only Google's do), xDS, ALTS and grpclb."""


def write_document(report):
    text = ''
    if os.path.exists(DOCUMENT):
        with open(DOCUMENT) as document:
            text = document.read()
    section = f'{BEGIN}\n\n{ABOUT}\n\n{as_text(report)}\n\n{END}\n'
    if BEGIN in text:
        text = text[:text.index(BEGIN)] + section + text[text.index(END) + len(END) + 1:]
    else:
        text = (text.rstrip() + '\n\n' if text else '# Interop\n\n') + section
    with open(DOCUMENT, 'w') as document:
        document.write(text)


# ---- All of it ----

def own_certificates(folder):
    """A pair for ours against ours, with the names that the suite uses."""
    def openssl(*arguments):
        run_or_skip('openssl', *arguments, cwd=folder)

    curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl('req', '-x509', *curve, '-days', '2', '-subj', '/CN=interop ca', '-keyout', 'ca.key', '-out', 'ca.pem')
    openssl('req', *curve, '-subj', '/CN=interop server', '-keyout', 'server.key', '-out', 'server.csr')
    with open(f'{folder}/ext', 'w') as ext:
        ext.write('subjectAltName=DNS:*.test.minirpc.example\nextendedKeyUsage=serverAuth\n')
    openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', 'server.pem')
    return {'ca': f'{folder}/ca.pem', 'cert': f'{folder}/server.pem', 'key': f'{folder}/server.key', 'name': 'foo.test.minirpc.example'}


def run(build, everything=False, names=(), write=False):
    """(passed, failed, skipped)."""
    report = Report()
    wanted = list(names) or (['ours', 'go', 'grpcio', 'ruby', 'java', 'rude'] if everything else ['ours', 'go', 'grpcio', 'rude'])
    os.makedirs(WORK, exist_ok=True)
    try:
        ours = Ours(build, None)
    except Skip as why:
        report.skip('everything', str(why))
        return 0, 0, 1
    report.versions[ours.title] = ours.version

    with tempfile.TemporaryDirectory() as folder:
        for name in [name for name in wanted if name != 'rude']:
            try:
                family = ours if name == 'ours' else FAMILIES[name](build, None)
                certificates = own_certificates(folder) if name == 'ours' else official_certificates()
            except Skip as why:
                report.skip(FAMILIES[name].title, str(why))
                continue
            report.versions[family.title] = family.version
            for transport, tls in (('clear', None), ('tls', certificates)):
                pair(report, family, ours, transport, tls)
                if family is not ours:
                    pair(report, ours, family, transport, tls)
            if name in ('ours', 'go', 'grpcio'):
                proxied(report, build, family)
    if 'rude' in wanted:
        rude(report, ours)
    print(as_text(report), flush=True)
    if write:
        write_document(report)
    return report.passed, report.failed, report.skipped


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--build', default=os.path.join(TOP, 'build-test'))
    parser.add_argument('--all', action='store_true', dest='everything')
    parser.add_argument('--write', action='store_true')
    parser.add_argument('names', nargs='*', choices=[[], *FAMILIES, 'rude'])
    options = parser.parse_args()
    passed, failed, skipped = run(os.path.abspath(options.build), options.everything, options.names, options.write)
    print(f'grpc interop: {passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Server CPU per call of libminirpc, of a bare nghttp2 server (the floor) and of other people's gRPC.

    test/bench/run                  unary at 10 connections x 10 streams, and a stream of 1 KiB messages
    test/bench/run --full           more shapes: 1x1, 1x100, 50x20 (connections x streams); 16 B and 64 KiB messages
    test/bench/run --callgrind      user instructions per unary call instead (floor and ours), which noise cannot touch
    test/bench/run --footprint      memory of a connection with one call behind it that stays open, time to start, size
    --json FILE, --rounds N, --only floor,ours,grpc-c++,tonic

Each server runs on core 0, h2load on core 1, the servers take turns in every round; the figure is the median over the
rounds of (CPU time that the server's process used) / calls, or / messages for streams. A ratio compares two servers of
one run on one machine; microseconds do not travel to another. A run whose answers are not all there is an error.
"""
import argparse
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, 'build-bench')  # the library in release mode; our own things under bench/
WORK = os.path.join(BUILD, 'bench')
ANSWER = 16  # bytes of a unary payload
ROUND_SECONDS = 0.5  # one measurement


# ---- Building: each returns the command that starts the server, or raises Missing ----

class Missing(Exception):
    """A peer that cannot be built here; says why."""


class Failed(Exception):
    pass


def run(*command, **options):
    try:
        done = subprocess.run(command, text=True, capture_output=True, **options)
    except subprocess.TimeoutExpired as error:
        raise Failed(str(error)) from None
    if done.returncode != 0:
        raise Failed(f'{" ".join(command)}\n{done.stdout}{done.stderr}')
    return done.stdout


def newer(target, *sources):
    """True when target is there and newer than its sources."""
    return os.path.exists(target) and all(os.path.getmtime(target) >= os.path.getmtime(s) for s in sources)


def pkg_config(*names):
    try:
        return run('pkg-config', '--cflags', '--libs', *names).split()
    except (Failed, OSError):
        raise Missing(f'{" ".join(names)} not installed') from None


def build_floor():
    source, target = f'{HERE}/floor.c', f'{WORK}/floor'
    if not newer(target, source):
        run(os.environ.get('CC', 'cc'), '-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra', source, '-o', target,
            *pkg_config('libnghttp2'))
    return [target]


def build_ours():
    if not os.path.exists(f'{BUILD}/build.ninja'):
        run('meson', 'setup', BUILD, TOP, '--buildtype=release', '-Db_lto=true')  # as docs/performance.md advises
    names = re.findall(r'^(\S*(?:protoc-gen-minirpc|libminirpc\.so(?:\.[0-9]+)*)):', run('ninja', '-C', BUILD, '-t', 'targets', 'all'), re.M)
    plugin = next((n for n in names if n.endswith('protoc-gen-minirpc')), None)
    library = next((n for n in names if 'libminirpc.so' in n), None)
    if plugin is None or library is None:
        raise Missing('protoc-gen-minirpc or libminirpc.so is no target of the build yet')
    run('ninja', '-C', BUILD, '-j2', '--quiet', plugin, library)
    plugin, library = f'{BUILD}/{plugin}', f'{BUILD}/{library}'
    source, target = f'{HERE}/ours.c', f'{WORK}/ours'
    if not newer(target, source, f'{HERE}/bench.proto', plugin, library):
        gen = f'{WORK}/ours-gen'
        os.makedirs(gen, exist_ok=True)
        run('protoc', f'--plugin=protoc-gen-minirpc={plugin}', f'-I{HERE}', f'--minirpc_out={gen}', 'bench.proto')
        run(os.environ.get('CC', 'cc'), '-std=c11', '-D_GNU_SOURCE', '-O2', f'-I{TOP}/include', f'-I{gen}', source,
            f'{gen}/bench.pb-c.c', f'{gen}/bench.minirpc.c', '-o', target, library,
            f'-Wl,-rpath,{os.path.dirname(library)}', *pkg_config('libprotobuf-c'))
    return [target]


def build_grpcpp():
    plugin = shutil.which('grpc_cpp_plugin')
    if plugin is None or shutil.which('g++') is None:
        raise Missing('g++ or grpc_cpp_plugin (protobuf-compiler-grpc) not installed')
    flags = pkg_config('grpc++', 'protobuf')
    source, target = f'{HERE}/grpcpp.cc', f'{WORK}/grpcpp'
    if not newer(target, source, f'{HERE}/bench.proto'):
        gen = f'{WORK}/grpcpp-gen'
        os.makedirs(gen, exist_ok=True)
        run('protoc', f'-I{HERE}', f'--plugin=protoc-gen-grpc={plugin}', f'--cpp_out={gen}', f'--grpc_out={gen}', 'bench.proto')
        run('g++', '-O2', '-std=c++17', f'-I{gen}', source, f'{gen}/bench.pb.cc', f'{gen}/bench.grpc.pb.cc', '-o', target, *flags)
    return [target]


def build_tonic():
    if shutil.which('cargo') is None:
        raise Missing('cargo not installed')
    target = f'{WORK}/tonic/release/bench-tonic'
    sources = [f'{HERE}/tonic/{n}' for n in ('Cargo.toml', 'Cargo.lock', 'build.rs', 'src/main.rs')]
    if not newer(target, f'{HERE}/bench.proto', *sources):
        try:
            run('cargo', 'build', '--release', '--locked', cwd=f'{HERE}/tonic', env=dict(os.environ, CARGO_TARGET_DIR=f'{WORK}/tonic'))
        except Failed as error:
            raise Missing('cargo build: ' + str(error).strip().splitlines()[-1]) from None
        os.utime(target)
    return [target]


SERVERS = {'floor': build_floor, 'ours': build_ours, 'grpc-c++': build_grpcpp, 'tonic': build_tonic}


# ---- Requests ----

def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def framed(message):
    return b'\0' + len(message).to_bytes(4, 'big') + message


def msg(size):
    """Msg{payload of size bytes}, with its gRPC prefix."""
    return framed(b'\x0a' + varint(size) + b'x' * size)


class Load:
    """One shape of load: a method, connections x streams, and what every answer must weigh."""

    def __init__(self, name, connections, streams, size=ANSWER, count=0):
        self.name, self.connections, self.streams, self.size, self.count = name, connections, streams, size, count
        if count:
            self.path, self.unit = 'Stream', count
            request, self.answer = framed(b'\x08' + varint(count) + b'\x10' + varint(size)), len(msg(size)) * count
        else:
            self.path, self.unit = 'Unary', 1
            request, self.answer = msg(size), len(msg(size))
        self.file = f'{WORK}/request-{self.path.lower()}-{size}-{count}'
        with open(self.file, 'wb') as out:
            out.write(request)

    def floor_options(self):
        return ['--count', str(self.count), '--size', str(self.size)] if self.count else ['--answer', str(self.size)]


def loads(full):
    some = [Load('unary 10x10', 10, 10), Load('stream 1 KiB', 1, 1, 1024, 10000)]
    if full:
        some[1:1] = [Load('unary 1x1', 1, 1), Load('unary 1x100', 1, 100), Load('unary 50x20', 50, 20), Load('unary 64 KiB 10x10', 10, 10, 65536)]
        some += [Load('stream 16 B', 1, 1, 16, 50000), Load('stream 64 KiB', 1, 1, 65536, 500)]
    return some


# ---- Measuring ----

class Server:
    def __init__(self, command, *, core='0'):
        self.process = subprocess.Popen(['taskset', '-c', core, *command], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith('listening on '):
            self.stop()
            raise Failed(f'{command[0]} does not listen: {line!r}')
        self.port = int(line.rsplit(':', 1)[1])
        # The clock of another process's CPU time, all threads, in nanoseconds: CPUCLOCK_SCHED of clock_getcpuclockid(3).
        self.clock = (~self.process.pid << 3) | 2

    def cpu(self):
        return time.clock_gettime(self.clock)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def h2load(server, load, requests, core='1'):
    """Runs the load; seconds that it took. Raises unless every answer came, whole and with 2xx."""
    out = run('taskset', '-c', core, 'h2load', '-n', str(requests), '-c', str(load.connections), '-m', str(load.streams),
              '-d', load.file, '-H', 'content-type: application/grpc', '-H', 'te: trailers',
              f'http://127.0.0.1:{server.port}/bench.Bench/{load.path}', timeout=120)
    succeeded = int(re.search(r'(\d+) succeeded', out)[1])
    ok = int(re.search(r'status codes: (\d+) 2xx', out)[1])
    data = int(re.search(r'\((\d+)\) data', out)[1])
    if succeeded != requests or ok != requests or data != requests * load.answer:
        raise Failed(f'{load.name}: {succeeded} succeeded, {ok} with 2xx of {requests}; {data} bytes of {requests * load.answer}')
    took, unit = re.search(r'finished in ([\d.]+)(us|ms|s)', out).groups()
    return float(took) * {'us': 1e-6, 'ms': 1e-3, 's': 1}[unit]


def measure(load, commands, rounds):
    """{server: median microseconds of CPU for each call or message}, and the spread (max - min) / median."""
    servers, figures, requests = {}, {name: [] for name in commands}, {}
    least = load.connections * load.streams
    try:
        for name, command in commands.items():
            servers[name] = Server(command + (load.floor_options() if name.startswith('floor') else []))
            some = max(least, 10 if load.count else 2000)
            h2load(servers[name], load, some)
            took = h2load(servers[name], load, some)
            requests[name] = max(least, min(200_000, int(some * ROUND_SECONDS / max(took, 1e-3))))
        for _ in range(rounds):
            for name, server in servers.items():
                before = server.cpu()
                h2load(server, load, requests[name])
                figures[name].append((server.cpu() - before) / requests[name] / load.unit * 1e6)
    finally:
        for server in servers.values():
            server.stop()
    return {name: {'us': statistics.median(f), 'spread': (max(f) - min(f)) / statistics.median(f)} for name, f in figures.items()}


def instructions(load, command, requests):
    """User instructions of one whole run of the server under callgrind."""
    file = f'{WORK}/callgrind.out'
    if os.path.exists(file):
        os.remove(file)
    server = Server(['valgrind', '--tool=callgrind', '--quiet', f'--callgrind-out-file={file}', *command])
    try:
        h2load(server, load, requests)
    finally:
        server.stop()
    with open(file) as out:
        return int(re.search(r'^(?:totals|summary): (\d+)', out.read(), re.M)[1])


CLIENT = {'plain': 'client', 'retry': 'client, retry policy', 'hedging': 'client, hedging',
          'attempts': 'client, per_attempt', 'round_robin': 'client, round_robin of 3'}


def client_instructions(command, kind, calls):
    """The same of a client that makes so many calls; the servers beside it are not looked at."""
    file = f'{WORK}/callgrind.out'
    if os.path.exists(file):
        os.remove(file)
    servers = []
    try:
        for _ in range(3 if kind == 'round_robin' else 1):
            servers.append(Server(command))
        target = 'ipv4:' + ','.join(f'127.0.0.1:{server.port}' for server in servers)
        run('valgrind', '--tool=callgrind', '--quiet', f'--callgrind-out-file={file}', command[0],
            '--client', target, str(calls), kind)
    finally:
        for server in servers:
            server.stop()
    with open(file) as out:
        return int(re.search(r'^(?:totals|summary): (\d+)', out.read(), re.M)[1])


def callgrind(commands):
    load, turned_away = Load('unary 10x10', 10, 10), Load('unary 10x10', 10, 10)
    turned_away.answer = 0
    result = {}
    if 'ours' in commands:
        commands['ours, one interceptor'] = commands['ours'] + ['--interceptor']
        commands['ours, refused'] = commands['ours'] + ['--refuse']
    for name in ('floor', 'ours', 'ours, one interceptor', 'ours, refused'):
        if name in commands:
            few, many = 2000, 12000
            command = commands[name]
            these = turned_away if name == 'ours, refused' else load
            result[name] = (instructions(these, command, many) - instructions(these, command, few)) / (many - few)
    if 'ours' in commands:
        for kind, name in CLIENT.items():
            few, many = 2000, 12000
            result[name] = (client_instructions(commands['ours'], kind, many) -
                            client_instructions(commands['ours'], kind, few)) / (many - few)
    print('user instructions per call')
    for name, figure in result.items():
        plain = name.split(',')[0]  # what a feature is compared with
        ratio = f'   {figure / result["floor"]:.2f} x floor' if name == 'ours' and 'floor' in result else ''
        if name != plain:
            ratio = f'   {figure / result[plain] * 100 - 100:+.1f} % of {plain}'
        print(f'{name:>26} {figure:8,.0f}{ratio}')
    return result


# ---- Footprint ----

def literal(name, value):
    """A header field as HPACK writes it without its table and without Huffman (RFC 7541, 6.2.2)."""
    return b'\0' + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def one_call(connection):
    """A unary call by hand; leaves the connection open when its trailers have come."""
    def frame(kind, flags, stream, payload):
        return len(payload).to_bytes(3, 'big') + bytes([kind, flags]) + stream.to_bytes(4, 'big') + payload

    fields = {':method': 'POST', ':scheme': 'http', ':path': '/bench.Bench/Unary', ':authority': 'x',
              'te': 'trailers', 'content-type': 'application/grpc'}
    connection.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b'') +
                       frame(1, 4, 1, b''.join(literal(*f) for f in fields.items())) + frame(0, 1, 1, msg(ANSWER)))
    came = b''
    while True:
        some = connection.recv(65536)
        if not some:
            raise Failed('the server closed the connection')
        came, at = came + some, 0
        while at + 9 <= len(came):
            head = came[at:at + 9]
            if head[3] == 1 and head[4] & 1 and int.from_bytes(head[5:9], 'big') == 1:
                return
            at += 9 + int.from_bytes(head[:3], 'big')


def memory(pid):
    """Resident and private dirty bytes."""
    with open(f'/proc/{pid}/smaps_rollup') as rollup:
        sizes = {line.split()[0]: int(line.split()[1]) << 10 for line in rollup.readlines()[1:]}
    return sizes['Rss:'], sizes['Private_Dirty:']


def start_time(command):
    took = []
    for _ in range(11):
        before = time.monotonic()
        server = Server(command)
        took.append(time.monotonic() - before)
        server.stop()
    return statistics.median(took)


def footprint(commands, count=1000):
    """What a server weighs. The figure of a connection has the first 100 ones taken off, which fill pools."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    result = {}
    for name, command in commands.items():
        server, open_ones = Server(command), []
        try:
            at_start = memory(server.process.pid)
            for i in range(count + 100):
                open_ones.append(socket.create_connection(('127.0.0.1', server.port)))
                one_call(open_ones[-1])
                if i == 99:
                    before = memory(server.process.pid)[0]
            each = (memory(server.process.pid)[0] - before) / count
        finally:
            for one in open_ones:
                one.close()
            server.stop()
        result[name] = {'rss': at_start[0], 'dirty': at_start[1], 'connection': each, 'start': start_time(command)}
        print(f'{name:>12}: at start {at_start[0] / 1e6:5.1f} MB resident, {at_start[1] / 1e6:4.1f} MB private and dirty; '
              f'{each / 1e3:5.1f} KB a connection; listens after {result[name]["start"] * 1e3:4.1f} ms', flush=True)
    return result


# ---- Report ----

def table(load, figures):
    print(f'\n{load.name}: server CPU per {"message" if load.count else "call"}')
    ours = figures.get('ours')
    for name, figure in figures.items():
        line = f'{name:>12} {figure["us"]:9.3f} us  +-{figure["spread"] * 50:3.0f} %  {figure["us"] / figures["floor"]["us"]:6.2f} x floor' \
            if 'floor' in figures else f'{name:>12} {figure["us"]:9.3f} us'
        if ours is not None and name != 'ours':
            line += f'   ours is {ours["us"] / figure["us"]:5.2f} x this'
        print(line, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--full', action='store_true')
    parser.add_argument('--callgrind', action='store_true')
    parser.add_argument('--footprint', action='store_true')
    parser.add_argument('--json')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--loads', default='', help='only those whose name has this in it')
    parser.add_argument('--only', default=','.join(SERVERS))
    options = parser.parse_args()

    os.makedirs(WORK, exist_ok=True)
    needed = ['h2load', 'taskset'] + (['valgrind'] if options.callgrind else [])
    for tool in needed:
        if shutil.which(tool) is None:
            print(f'bench: {tool} not installed (test/install build bench)')
            return 1
    commands = {}
    for name in options.only.split(','):
        try:
            commands[name] = SERVERS[name]()
        except Missing as error:
            print(f'bench: without {name}: {error}', flush=True)
    if 'floor' in commands and not options.callgrind and not options.footprint:
        commands['floor split'] = commands['floor'] + ['--split']

    if options.callgrind:
        result = {'instructions per call': callgrind(commands)}
    elif options.footprint:
        result = footprint(commands)
    else:
        result = {}
        for load in loads(options.full):
            if options.loads not in load.name:
                continue
            those = {name: command for name, command in commands.items() if load.count or name != 'floor split'}
            result[load.name] = measure(load, those, options.rounds)
            table(load, result[load.name])
    if options.json:
        with open(options.json, 'w') as out:
            json.dump(result, out, indent=2)
            out.write('\n')
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except Failed as error:
        print(f'bench: {error}', file=sys.stderr)
        sys.exit(1)

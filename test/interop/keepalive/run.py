#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keepalive fights between our peer and grpc-go's and grpcio's: who asks too often, who is told, who notices that the other is gone.

    test/interop/keepalive/run.py [--build build-test] [--all]

Without --all what takes a few seconds: grpcio asks every second, and servers notice a client that was stopped. With it
also the clients that cannot ask more often than every 10 s (grpc-go's and ours): three quarters of a minute, all at once.
"""
import argparse
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
if __name__ == '__main__':
    sys.path.insert(0, os.path.join(TOP, 'test'))
from interop import run as interop  # noqa: E402


class Peer:
    """A process whose lines can be waited for."""

    def __init__(self, command, *arguments, env=None):
        self.name = ' '.join([os.path.basename(command[-1]), *arguments])
        self.process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        self.lines, self.said = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def expect(self, *words, within):
        """The next line with all these words in it."""
        end = time.monotonic() + within
        while True:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise interop.Wrong(f'{self.name} did not say {words} within {within} s, but: {self.said[-6:]}')
            self.said.append(line)
            if all(word.lower() in line.lower() for word in words):
                return line

    def stop(self):
        """As a process that hangs, or a machine that is gone but for its kernel."""
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()  # also one that was stopped
        self.process.wait()


class Stand:
    """Who can be called upon: ours, and theirs as far as they are here."""

    def __init__(self, build, peers):
        self.commands = {'ours': ([os.path.join(build, 'test/interop/keepalive/keepalive_peer')], None)}
        if 'python' in peers.clients:
            (python, *_), env = peers.clients['python']
            self.commands['grpcio'] = ([python, f'{interop.HERE}/python/keepalive.py'], env)
        if 'go' in peers.clients:
            (client, *_), env = peers.clients['go']
            self.commands['grpc-go'] = ([os.path.join(os.path.dirname(client), 'keepalive')], env)

    def server(self, who, *options):
        command, env = self.commands[who]
        server = Peer(command, 'server', *options, env=env)
        try:
            server.address = server.expect('listening on', within=30).split()[-1]
        except BaseException:
            server.__exit__()
            raise
        return server

    def client(self, who, server, *options):
        command, env = self.commands[who]
        return Peer(command, 'client', server.address, *options, env=env)


# What a client says of a call whose connection was closed for its PINGs; of one whose server does not answer them.
GONE = {'ours': 'keepalive: the peer did not answer', 'grpc-go': 'keepalive ping failed', 'grpcio': 'ping timeout'}


def too_eager(stand, client, server, every, within):
    """The client asks, the server forgives two, and the third ends the call; those after that work."""
    with stand.server(server) as there, stand.client(client, there, '--time', str(every)) as here:
        began = time.monotonic()
        if client == 'ours':
            here.expect('log:', 'too_many_pings: keepalive is 20 s from now on', within=within)
        here.expect('hang: unavailable', 'too', 'many', 'pings', within=within)  # grpcio tells the call, too, in its words
        took = time.monotonic() - began
        if took < 3 * every / 1000:
            raise interop.Wrong(f'after {took:.1f} s already')
        here.expect('echo: ok', within=10)
        if server == 'ours':
            there.expect('log:', 'too many pings', within=5)


def allowed(stand, client, server, every):
    """A client that keeps to what the server allows is left in peace."""
    with stand.server(server, '--min-interval', str(every // 2)) as there, stand.client(client, there, '--time', str(every)) as here:
        try:
            line = here.expect('hang:', within=6 * every / 1000)
        except interop.Wrong:
            return
        raise interop.Wrong(f'the call ended: {line}')


def server_hangs(stand, client, server, every):
    with stand.server(server) as there, stand.client(client, there, '--time', str(every), '--timeout', '1000') as here:
        there.expect('came:', within=30)
        there.stop()
        here.expect('hang: unavailable', GONE[client], within=every / 1000 + 10)


def client_hangs(stand, client, server, every):
    with stand.server(server, '--time', str(every), '--timeout', '1000') as there, stand.client(client, there) as here:
        there.expect('came:', within=30)
        here.stop()
        there.expect('gone:', within=every / 1000 + 10)
        if server == 'ours':
            there.expect('log:', 'closed', 'keepalive', within=5)


def fights(stand, everything):
    """(name, function, arguments) of each."""
    theirs = [who for who in ('grpcio', 'grpc-go') if who in stand.commands]
    for who in theirs:
        yield f'ours notices that {who} client hangs', client_hangs, (who, 'ours', 1000)
        yield f'{who} notices that our client hangs', client_hangs, ('ours', who, 1000)
    if 'grpcio' in theirs:
        yield 'grpcio asks ours too often', too_eager, ('grpcio', 'ours', 1000, 30)
        yield 'grpcio asks ours as often as allowed', allowed, ('grpcio', 'ours', 1000)
        yield 'grpcio notices that our server hangs', server_hangs, ('grpcio', 'ours', 1000)
    if not everything:
        return
    if 'grpc-go' in theirs:
        yield 'grpc-go asks ours too often', too_eager, ('grpc-go', 'ours', 10000, 70)
        yield 'grpc-go notices that our server hangs', server_hangs, ('grpc-go', 'ours', 10000)
    for who in theirs:
        yield f'ours asks {who} too often', too_eager, ('ours', who, 10000, 70)
        yield f'ours notices that {who} server hangs', server_hangs, ('ours', who, 10000)


def run(build, everything):
    """(passed, failed, skipped). All at once: they do nothing but wait."""
    report, build = interop.Report(), os.path.abspath(build)
    if not os.path.exists(os.path.join(build, 'test/interop/keepalive/keepalive_peer')):
        report.skip('keepalive', 'keepalive_peer is not built')
        return report.counts()
    os.makedirs(interop.WORK, exist_ok=True)
    stand = Stand(build, interop.Peers(report))
    with ThreadPoolExecutor(16) as pool:
        running = [(name, pool.submit(function, stand, *arguments)) for name, function, arguments in fights(stand, everything)]
        for name, fight in running:
            try:
                fight.result()
                report.ok(f'keepalive: {name}')
            except (interop.Wrong, OSError) as error:
                report.fail(f'keepalive: {name}', str(error))
    return report.counts()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(TOP, 'build-test'))
    parser.add_argument('--all', action='store_true')
    options = parser.parse_args()
    counts = run(options.build, options.all)
    print('%d passed, %d failed, %d skipped' % counts)
    return 1 if counts[1] else 0


if __name__ == '__main__':
    sys.exit(main())

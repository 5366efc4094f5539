#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Debian's nginx (grpc_pass) and haproxy between our client and our server, clear text.

    test/interop/proxies/run.py [--build build-test]     ./test/run calls it too

A proxy has manners of its own: it answers with HTTP statuses when nobody is behind it, keeps connections open, resets
streams, buffers. Each case goes through each proxy.
"""
import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

if __name__ == '__main__':
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from interop import run as interop

UNAVAILABLE, NOT_FOUND, DEADLINE_EXCEEDED = 78, 69, 68

NGINX = '''daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
events {{ worker_connections 256; }}
http {{
	access_log off; client_body_temp_path {folder}/body; client_max_body_size 0;
	proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2; uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
	server {{
		listen 127.0.0.1:{port} http2;
		location / {{ grpc_pass grpc://127.0.0.1:{behind}; grpc_read_timeout 60s; grpc_connect_timeout 2s; }}
	}}
}}
'''

HAPROXY = '''global
	maxconn 256
defaults
	mode http
	timeout connect 2s
	timeout client 60s
	timeout server 60s
	option http-use-htx
frontend front
	bind 127.0.0.1:{port} proto h2
	default_backend back
backend back
	server one 127.0.0.1:{behind} proto h2
'''.replace('\toption http-use-htx\n', '')


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def until(what, test, seconds=10):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise interop.Wrong(f'not within {seconds} s: {what}')
        time.sleep(0.02)


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


class Process:
    def __init__(self, *command, folder, name):
        self.log = open(f'{folder}/{name}.out', 'w+')
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)

    def said(self, pattern):
        self.log.flush()
        with open(self.log.name) as text:
            return re.search(pattern, text.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Ground:
    """cached, and a proxy in front of it."""

    def __init__(self, build, kind, folder):
        self.programs, self.kind, self.folder = f'{build}/examples/cache', kind, folder

    def cached(self, port=0, *options):
        server = Process(f'{self.programs}/cached', '--listen', f'127.0.0.1:{port}', *options, folder=self.folder, name='cached')
        until('cached listens', lambda: server.said(r'listening on 127.0.0.1:(\d+)'))
        server.port = int(server.said(r'listening on 127.0.0.1:(\d+)')[1])
        return server

    def proxy(self, behind):
        port = free_port()
        path = f'{self.folder}/{self.kind}.conf'
        with open(path, 'w') as out:
            out.write((NGINX if self.kind == 'nginx' else HAPROXY).format(folder=self.folder, port=port, behind=behind))
        command = ['nginx', '-p', self.folder, '-c', path] if self.kind == 'nginx' else ['haproxy', '-db', '-f', path]
        proxy = Process(*command, folder=self.folder, name=self.kind)
        until(f'{self.kind} listens', lambda: listens(port))
        proxy.port = port
        return proxy

    def ctl(self, proxy, *arguments, expect=0, stdin=b''):
        done = subprocess.run([f'{self.programs}/cachectl', '--server', f'ipv4:127.0.0.1:{proxy.port}', *arguments],
                              input=stdin, capture_output=True, timeout=60)
        if done.returncode != expect:
            raise interop.Wrong(f'{arguments}: exit {done.returncode}, not {expect}: {done.stderr[-300:]}')
        return done.stdout, done.stderr.decode()


def same(got, want):
    if got != want:
        raise interop.Wrong(f'{got!r} and not {want!r}')


def store_and_get(ground):
    with ground.cached() as server, ground.proxy(server.port) as proxy:
        ground.ctl(proxy, 'store', 'gopher', 'con')
        same(ground.ctl(proxy, 'get', 'gopher')[0], b'con')
        big = os.urandom(3_000_000)
        ground.ctl(proxy, 'store', 'big', '-', stdin=big)
        same(ground.ctl(proxy, 'get', 'big')[0], big)


def error_with_details(ground):
    with ground.cached() as server, ground.proxy(server.port) as proxy:
        text = ground.ctl(proxy, 'get', 'marmot', expect=NOT_FOUND)[1]
        if 'Key not found marmot' not in text or 'key marmot' not in text:
            raise interop.Wrong(text)


def many_calls_and_a_stream(ground):
    lines = ''.join(f'key-{i} => {"v" * 500} {i}\n' for i in range(2000)).encode()
    with ground.cached() as server, ground.proxy(server.port) as proxy:
        ground.ctl(proxy, 'load', stdin=lines)
        same(sorted(ground.ctl(proxy, 'dump')[0].splitlines()), sorted(lines.splitlines()))


def a_deadline(ground):
    with ground.cached() as server, ground.proxy(server.port) as proxy:
        server.process.send_signal(19)  # SIGSTOP
        began = time.monotonic()
        ground.ctl(proxy, '--timeout', '0.3', 'get', 'x', expect=DEADLINE_EXCEEDED)
        server.process.send_signal(18)  # SIGCONT
        if time.monotonic() - began > 3:
            raise interop.Wrong('it took too long')


def nobody_behind(ground):
    """502 or 503 from the proxy itself: UNAVAILABLE [S-3]; and a retry finds the server that has come back."""
    with ground.proxy(free_port()) as proxy:
        ground.ctl(proxy, 'get', 'x', expect=UNAVAILABLE)


def retries_through_it(ground):
    with ground.cached(0, '--flaky', '3') as server, ground.proxy(server.port) as proxy:
        text = ground.ctl(proxy, '--retry', '-v', 'get', 'x', expect=NOT_FOUND)[1]
        same(len(re.findall(r'attempt \d', text)), 3)


def the_server_restarts(ground):
    with ground.cached() as server, ground.proxy(server.port) as proxy:
        ground.ctl(proxy, 'store', 'k', 'v')
        port = server.port
        server.process.terminate()
        server.process.wait(10)
        ground.ctl(proxy, 'get', 'k', expect=UNAVAILABLE)
        with ground.cached(port):
            ground.ctl(proxy, '--retry', 'get', 'k', expect=NOT_FOUND)


CASES = [store_and_get, error_with_details, many_calls_and_a_stream, a_deadline, nobody_behind, retries_through_it,
         the_server_restarts]


def run(build):
    report = interop.Report()
    for kind in 'nginx', 'haproxy':
        path = shutil.which(kind, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
        if path is None:
            report.skip(f'proxies: {kind}', 'it is not installed')
            continue
        for case in CASES:
            name = f'proxies: {kind}, {case.__name__.replace("_", " ")}'
            with tempfile.TemporaryDirectory() as folder:
                try:
                    case(Ground(os.path.abspath(build), kind, folder))
                    report.ok(name)
                except (interop.Wrong, subprocess.TimeoutExpired, OSError) as why:
                    report.fail(name, why)
    return report.counts()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', default='build-test')
    counts = run(parser.parse_args().build)
    print('%d passed, %d failed, %d skipped' % counts)
    return 1 if counts[1] else 0


if __name__ == '__main__':
    sys.exit(main())

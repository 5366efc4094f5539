#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""h2spec, the judge of HTTP/2 servers, over clear text and TLS; ./test/run calls it too.

    test/interop/h2spec/run.py [--build build-test] [--strict]

It is built by go under build-interop/; what it counts is what counts here. A case that h2spec skips is a failure: it
found nothing to test. After it the server has answered an ordinary call and has no call open.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WORK = os.path.join(TOP, 'build-interop')
PACKAGE = 'github.com/summerwind/h2spec/cmd/h2spec@latest'  # v2.2.1; the proxy has no other name for it


class Skip(Exception):
    """Cannot run here; says why."""


def prepare():
    """The path of h2spec."""
    path = os.path.join(WORK, 'bin', 'h2spec')
    if os.path.exists(path):
        return path
    if shutil.which('go') is None:
        raise Skip('go is not installed')
    done = subprocess.run(['go', 'install', PACKAGE], text=True, capture_output=True, timeout=900,
                          env=dict(os.environ, GOBIN=os.path.join(WORK, 'bin'), GOTOOLCHAIN='local'))
    if done.returncode != 0:
        raise Skip(f'go install {PACKAGE}: {(done.stderr.strip().splitlines() or ["failed"])[-1]}')
    return path


def version(path):
    done = subprocess.run(['go', 'version', '-m', path], text=True, capture_output=True)
    found = re.search(r'\smod\s+\S+\s+(\S+)', done.stdout)
    return found[1] if found else 'of unknown version'


def judge(h2spec, build, tls, strict, folder):
    """Runs h2spec once; (passed, failed)."""
    verdict = os.path.join(folder, 'verdict')
    command, options = [f'{build}/test/interop/h2spec/h2spec_server', '--verdict', verdict], []
    if tls:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                        '-subj', '/CN=localhost', '-keyout', 'key.pem', '-out', 'cert.pem'],
                       cwd=folder, check=True, capture_output=True)
        command += ['--tls', f'{folder}/cert.pem', f'{folder}/key.pem']
        options = ['-t', '-k']
    name = 'tls' if tls else 'clear text'
    server = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        line = server.stdout.readline()
        if not line.startswith('listening on '):
            print(f'FAILED: h2spec {name}: the server does not listen')
            return 0, 1
        done = subprocess.run([h2spec, '-h', '127.0.0.1', '-p', line.rsplit(':', 1)[1].strip(), *options,
                               *(['--strict'] if strict else [])], text=True, capture_output=True, errors='replace')
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()
    last = (done.stdout.strip().splitlines() or ['nothing'])[-1]
    print(f'  {name}{", strict" if strict else ""}: {last}', flush=True)
    found = re.match(r'(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed', last)
    passed, failed = (int(found[2]), int(found[3]) + int(found[4])) if found else (0, 1)
    if failed or done.returncode != 0:
        print(f'FAILED: h2spec {name}\n' + done.stdout[-8000:])
        failed = max(failed, 1)
    found = open(verdict).read().strip() if os.path.exists(verdict) else 'the server did not come to its end'
    if found != 'good':
        print(f'FAILED: h2spec {name}: the server after it: {found}')
        failed += 1
    return passed, failed


def run(build, everything=False):
    """(passed, failed, skipped)"""
    passed = failed = 0
    try:
        h2spec = prepare()
    except Skip as why:
        print(f'skipped: h2spec: {why}')
        return 0, 0, 1
    print(f'  h2spec {version(h2spec)}')
    for strict in (False, True) if everything else (False,):
        for tls in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                counts = judge(h2spec, os.path.abspath(build), tls, strict, folder)
            passed += counts[0]
            failed += counts[1]
    return passed, failed, 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(TOP, 'build-test'))
    parser.add_argument('--strict', action='store_true', help='again, with the cases that h2spec calls strict')
    options = parser.parse_args()
    passed, failed, skipped = run(options.build, options.strict)
    print(f'h2spec: {passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

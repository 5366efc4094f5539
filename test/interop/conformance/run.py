#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The connectrpc conformance suite against libminirpc, as client and as server; ./test/run calls it too.

    test/interop/conformance/run.py [--build build-test] [--all] [--mode client|server] [ARGUMENT OF THE RUNNER]...

It runs with identity and gzip; with --all also deflate, zstd, br and snappy, where the build has them.

connectconformance is built by go, and the two programs under test from client.c and server.c beside this file, with
stubs made from the .proto files in the Go module: all of it under build-interop/. What the runner counts is what counts
here; no case is excluded, and none is known to fail. After its suite each server has answered an ordinary call and has
no call open, or else that is a failure, too.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WORK = os.path.join(TOP, 'build-interop')
MODULE, VERSION = 'connectrpc.com/conformance', 'v1.0.7'
RUNNER = os.path.join(WORK, 'bin', 'connectconformance')

WARNINGS = ['-Wall', '-Wextra', '-Werror', '-Wconversion', '-Wno-sign-conversion', '-Wformat=2', '-Wshadow',
            '-Wstrict-prototypes', '-Wmissing-prototypes', '-Wwrite-strings', '-Wundef', '-Wvla']
SOURCES = {'conformance_client': ['client.c', 'talk.c'],
           'conformance_server': ['server.c', 'script.c', 'talk.c', '../aftermath.c']}


class Skip(Exception):
    """Cannot run here; says why."""


class Wrong(Exception):
    """Something that must work does not; says what."""


def must(error, *command, **options):
    """Runs a command; its output. `error` is raised, with the last line, when it fails."""
    done = subprocess.run(command, text=True, capture_output=True, **options)
    if done.returncode != 0:
        raise error(f'{os.path.basename(command[0])}: {(done.stderr or done.stdout).strip()[-4000:] or "failed"}')
    return done.stdout


# ---- What is made at run time ----

def go_install(package, name):
    """A program that go builds, under build-interop/bin; its path."""
    path = os.path.join(WORK, 'bin', name)
    if shutil.which('go') is None:
        raise Skip('go is not installed')
    stamp = path + '.version'
    if not os.path.exists(path) or not os.path.exists(stamp) or open(stamp).read() != package:
        must(Skip, 'go', 'install', package, env=dict(os.environ, GOBIN=os.path.join(WORK, 'bin')), timeout=900)
        with open(stamp, 'w') as file:
            file.write(package)
    return path


def module_folder():
    """Where go keeps the module, with its .proto files; it was fetched to build the runner."""
    text = must(Skip, 'go', 'mod', 'download', '-json', f'{MODULE}@{VERSION}', cwd='/', timeout=300)
    return json.loads(text)['Dir']


def make_stubs(build, out):
    proto = os.path.join(module_folder(), 'proto')
    os.makedirs(out, exist_ok=True)
    names = [f'connectrpc/conformance/v1/{name}.proto' for name in ('config', 'service', 'client_compat', 'server_compat')]
    must(Wrong, 'protoc', f'--plugin=protoc-gen-minirpc={build}/proto/gen/protoc-gen-minirpc', f'-I{proto}',
         f'--minirpc_out={out}', *names)


def make_programs(build, folder):
    """Builds both programs, as a user of the shared library would; warnings are errors in what is ours."""
    stubs = os.path.join(folder, 'stubs')
    make_stubs(build, stubs)
    common = [os.environ.get('CC', 'cc'), *os.environ.get('CFLAGS', '').split(), '-std=c11', '-D_GNU_SOURCE', '-O1', '-g',
              *[f'-I{folder}' for folder in (stubs, os.path.dirname(HERE), f'{TOP}/include', f'{build}/proto')]]
    objects = []
    for source in sorted(glob.glob(f'{stubs}/**/*.c', recursive=True)):
        objects.append(source[:-2] + '.o')
        theirs = ['-w'] if source.endswith('.pb-c.c') else WARNINGS
        must(Wrong, *common, *theirs, '-c', source, '-o', objects[-1])
    for name, sources in SOURCES.items():
        must(Wrong, *common, *WARNINGS, '-o', f'{folder}/{name}', *[os.path.join(HERE, source) for source in sources], *objects,
             f'-L{build}/lib', f'-Wl,-rpath,{build}/lib', '-lminirpc', '-lprotobuf-c', '-lev')


# ---- The suite ----

def totals(text):
    """(passed, failed) as the runner prints them at its end."""
    found = re.search(r'^(\d+) passed, (\d+) failed', text, re.M)
    return (int(found[1]), int(found[2])) if found else (0, 1)


def features(build, everything):
    """The features file, and what cannot be judged with this build."""
    if not everything:
        return os.path.join(HERE, 'features.yaml'), []
    with open(f'{build}/lib/wire/have.h') as file:
        text = file.read()
    lacks = [name for name in ('zstd', 'brotli', 'snappy') if f'#define MRPC_HAVE_{name.upper()}' not in text]
    return os.path.join(HERE, 'features.yaml' if lacks else 'features-all.yaml'), lacks


def suite(mode, folder, conf, arguments=()):
    """Runs one mode; (passed, failed)."""
    verdict = os.path.join(folder, 'verdict')
    if os.path.exists(verdict):
        os.remove(verdict)
    program = [os.path.join(folder, f'conformance_{mode}')] + (['--verdict', verdict] if mode == 'server' else [])
    done = subprocess.run([RUNNER, '--mode', mode, '--conf', conf, *arguments, '--', *program], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors='replace')
    passed, failed = totals(done.stdout)
    if failed or done.returncode != 0:
        print(done.stdout[-20000:])
        failed = max(failed, 1)
    for line in done.stdout.splitlines():
        if re.match(r'Total cases|\d+ passed', line):
            print(f'  {mode}: {line}', flush=True)
    if mode == 'server':
        lines = open(verdict).read().splitlines() if os.path.exists(verdict) else []
        wrong = [line for line in lines if line != 'good']
        print(f'  server: {len(lines)} servers, {len(lines) - len(wrong)} of them whole after their suite', flush=True)
        for line in wrong or ([] if lines else ['no server came to its end']):
            print(f'FAILED: conformance: server after the suite: {line}')
            failed += 1
    return passed, failed


def run(build, everything=False, modes=('client', 'server'), arguments=()):
    """(passed, failed, skipped)"""
    folder = os.path.join(WORK, 'conformance')
    build = os.path.abspath(build)
    passed = failed = skipped = 0
    try:
        go_install(f'{MODULE}/cmd/connectconformance@{VERSION}', 'connectconformance')
        make_programs(build, folder)
    except Skip as why:
        print(f'skipped: conformance: {why}')
        return 0, 0, 1
    except Wrong as why:
        print(f'FAILED: conformance: {why}')
        return 0, 1, 0
    conf, lacks = features(build, everything)
    if lacks:
        print(f'skipped: conformance with every compression: {build} lacks {", ".join(lacks)}')
        skipped = 1
    for mode in modes:
        counts = suite(mode, folder, conf, arguments)
        passed += counts[0]
        failed += counts[1]
    return passed, failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', default=os.path.join(TOP, 'build-test'))
    parser.add_argument('--all', action='store_true')
    parser.add_argument('--mode', choices=['client', 'server'])
    options, arguments = parser.parse_known_args()
    modes = (options.mode,) if options.mode else ('client', 'server')
    passed, failed, skipped = run(options.build, options.all, modes, arguments)
    print(f'conformance: {passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

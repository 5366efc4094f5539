#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ./test/run does once the packages are there: builds, runs each kind of test, adds up, prints one last line.

A kind of test is a function that returns (passed, failed, skipped) counts; names of what failed are printed as they come.
"""
from concurrent.futures import ThreadPoolExecutor
import json
import os
import shutil
import subprocess
import sys

from consumers import run as consumers
import examples
from interop import run as interop
from interop.conformance import run as conformance
from interop.grpc import run as grpc_interop
from interop.h2spec import run as h2spec
from interop.proxies import run as proxies
from interop.retry import run as retry
from interop.keepalive import run as keepalive
import docs
import spec_map
import walls

BUILD = 'build-test'


def sh(*command, **options):
    return subprocess.run(command, text=True, **options)


def build(folder, *options, env=None, targets=()):
    """Sets a build folder up and builds it (all of it, or targets); False when anything warns or fails."""
    env = dict(os.environ, **(env or {}))
    if not os.path.exists(f'{folder}/build.ninja'):
        if sh('meson', 'setup', folder, '--werror', *options, env=env).returncode != 0:
            return False
    return sh('ninja', '-C', folder, '--quiet', *targets, env=env).returncode == 0


def meson_tests(folder, label, *arguments, env=None):
    """Runs the tests that meson knows, one at a time for each core; counts what meson's own log says."""
    sh('meson', 'test', '-C', folder, '--no-rebuild', '--print-errorlogs', *arguments, env=dict(os.environ, **(env or {})))
    counts = [0, 0, 0]
    try:
        with open(f'{folder}/meson-logs/testlog.json') as log:
            results = [json.loads(line) for line in log]
    except OSError:
        return 0, 1, 0
    for result in results:
        kind = {'OK': 0, 'EXPECTEDFAIL': 0, 'SKIP': 2}.get(result['result'], 1)
        counts[kind] += 1
        if kind == 1:
            print(f'FAILED: {label} {result["name"]}')
    return tuple(counts)


def clang_build(folder):
    """The other compiler has nothing to say either."""
    if shutil.which('clang') is None:
        print('skipped: build with clang: there is none')
        return 0, 0, 1
    return (1, 0, 0) if build(folder, env={'CC': 'clang'}) else (0, 1, 0)


def sanitized_tests(folder, everything):
    """The suite under AddressSanitizer and UndefinedBehaviorSanitizer; the sweep tries fewer places unless --all."""
    if shutil.which('clang') is None:
        print('skipped: sanitized tests: no clang')
        return 0, 0, 1
    if not build(folder, '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Doptimization=1', env={'CC': 'clang'}):
        return 0, 1, 0
    return meson_tests(folder, 'sanitized', '--timeout-multiplier=10', env={
        'SWEEP_STEP': '7' if everything else '101', 'SIM_SEEDS': '2000' if everything else '500',
        'ASAN_OPTIONS': 'detect_stack_use_after_return=1', 'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'})


def thread_sanitizer(folder):
    """The tests with several threads, under ThreadSanitizer; a race in a test's own process ends it with 66."""
    names = ['transport/threads', 'io/post', 'io/resolve', 'io/resolve_gai']
    if not build(folder, '-Db_sanitize=thread', '-Db_lundef=false', '-Doptimization=1',
                 targets=[f'test/{name.replace("/", "_")}_test' for name in names]):
        return 0, 1, 0
    return meson_tests(folder, 'threads', '--timeout-multiplier=10', *names)


def without_cares(folder):
    """The library that asks for names on helper threads: what changes with that."""
    suites = ['--suite=io', '--suite=client']
    if not build(folder, '-Dcares=disabled', targets=['lib/libminirpc.a']):
        return 0, 1, 0
    listed = sh('meson', 'test', '-C', folder, '--list', *suites, stdout=subprocess.PIPE).stdout
    names = [line.split(' / ')[1] for line in listed.split('\n') if ' / ' in line]
    if not names or not build(folder, targets=[f'test/{name.replace("/", "_")}_test' for name in names]):
        return 0, 1, 0
    return meson_tests(folder, 'without c-ares', *suites)


def valgrind_tests(folder):
    """The unit tests and stories under valgrind, which follows each test into its process and looks for leaks there."""
    if shutil.which('valgrind') is None:
        print('skipped: valgrind: there is none')
        return 0, 0, 1
    print('skipped: valgrind: io/listen without descriptors: valgrind keeps that limit itself')
    suites = ['base', 'call', 'wire', 'h2', 'io', 'client', 'server', 'typed', 'proto', 'scenario', 'examples']
    passed, failed, skipped = meson_tests(
        folder, 'valgrind', '--timeout-multiplier=100', *[f'--suite={s}' for s in suites],
        '--wrapper=valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite',
        env={'CK_TIMEOUT_MULTIPLIER': '100', 'CK_EXCLUDE_TAGS': 'descriptors', 'SIM_SEEDS': '300'})
    return passed, failed, skipped + 1


def fuzz(folder, seconds):
    """Searches with libFuzzer from the seeds of each target, as many at once as there are cores.

    What it finds lies in folder/found; name it bug-... and move it to test/fuzz/corpus, where every run replays it."""
    if shutil.which('clang') is None:
        print('skipped: fuzz: no clang')
        return 0, 0, 1
    targets = sorted(os.listdir('test/fuzz/corpus'))
    if not build(folder, '-Db_sanitize=address,undefined', '-Db_lundef=false', '-Dc_args=-fsanitize=fuzzer-no-link',
                 '-Dc_link_args=-fsanitize=address,undefined', env={'CC': 'clang'},
                 targets=[f'test/fuzz/fuzz_{target}' for target in targets]):
        return 0, 1, 0

    def search(target):
        corpus = f'{folder}/corpus/{target}'
        os.makedirs(corpus, exist_ok=True)
        os.makedirs(f'{folder}/found', exist_ok=True)
        return sh(f'{folder}/test/fuzz/fuzz_{target}', f'-max_total_time={seconds}', '-timeout=10', '-rss_limit_mb=2048',
                  '-max_len=4096', f'-artifact_prefix={folder}/found/{target}-', corpus, f'test/fuzz/corpus/{target}',
                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors='replace')

    failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for target, result in zip(targets, pool.map(search, targets)):
            if result.returncode != 0:
                failed += 1
                print(f'FAILED: fuzz {target}\n' + result.stdout[-4000:])
    return len(targets) - failed, failed, 0


def interop_tests(folder):
    """Other people's gRPC against our programs; skipped while the cache is not built."""
    if not os.path.exists(f'{folder}/examples/cache/cached'):
        print('skipped interop: the cache is not built')
        return 0, 0, 1
    if sh('test/install', 'peers').returncode != 0:
        print('skipped interop: its packages are missing')
        return 0, 0, 1
    return interop.against_ours(folder)


def main():
    everything = '--all' in sys.argv[1:]
    total = [0, 0, 0]

    def add(name, counts):
        print(f'-- {name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped', flush=True)
        for i in range(3):
            total[i] += counts[i]

    if everything:
        sh('test/install', 'all')  # before the build, which takes the compressors that it finds
    if not build(BUILD):
        add('build with gcc', (0, 1, 0))
    else:
        add('build with gcc', (1, 0, 0))
        add('tests', meson_tests(BUILD, 'plain'))
        add('examples', examples.run(BUILD, everything))
        add('consumers', consumers.run(BUILD))
    add('walls', walls.run(BUILD))
    add('docs', tuple(map(sum, zip(docs.run(), spec_map.run()))))
    add('build with clang', clang_build('build-clang'))
    if everything or os.environ.get('CI'):
        add('sanitized tests', sanitized_tests('build-asan', everything))
        if os.path.exists('build-asan/examples/cache/cached'):
            add('sanitized examples', examples.run('build-asan'))
        add('interop', interop_tests(BUILD))
        add('grpc interop', grpc_interop.run(os.path.abspath(BUILD), everything))
        add('conformance', conformance.run(BUILD, everything))
        add('h2spec', h2spec.run(BUILD, everything))
        add('retries', retry.run(os.path.abspath(BUILD)))
        sh('test/install', 'proxies')
        add('proxies', proxies.run(BUILD))
        add('keepalive', keepalive.run(BUILD, everything))
    if everything:
        add('every place of the sweep', meson_tests(BUILD, 'sweep', '--suite=sweep', '--timeout-multiplier=20',
                                                    env={'SWEEP_STEP': '1'}))
        add('many seeds of the simulation', meson_tests(BUILD, 'simulation', 'scenario/simulation', '--timeout-multiplier=20',
                                                        env={'SIM_SEEDS': '20000'}))
        add('threads', thread_sanitizer('build-tsan'))
        add('without c-ares', without_cares('build-nocares'))
        add('valgrind', valgrind_tests(BUILD))
        add('fuzz', fuzz('build-fuzz', 60))

    line = f'{total[0]} passed, {total[1]} failed'
    if total[2]:
        line += f', {total[2]} skipped'
    print(line)
    return 1 if total[1] or not total[0] else 0


if __name__ == '__main__':
    sys.exit(main())

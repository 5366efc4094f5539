#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What ./test/run does once the packages are there: builds, runs each kind of test, adds up, prints one last line.

A kind of test is a function that returns (passed, failed, skipped) counts; names of what failed are printed as they come.
"""
import json
import os
import subprocess
import sys

import walls

BUILD = 'build-test'


def sh(*command, **options):
    return subprocess.run(command, text=True, **options)


def build(folder, *options, env=None):
    """Sets a build folder up and builds it; False when anything warns or fails."""
    env = dict(os.environ, **(env or {}))
    if not os.path.exists(f'{folder}/build.ninja'):
        if sh('meson', 'setup', folder, '--werror', *options, env=env).returncode != 0:
            return False
    return sh('ninja', '-C', folder, '--quiet', env=env).returncode == 0


def meson_tests(folder, label, *arguments):
    """Runs the tests that meson knows, one at a time for each core; counts what meson's own log says."""
    sh('meson', 'test', '-C', folder, '--no-rebuild', '--print-errorlogs', *arguments)
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


def main():
    everything = '--all' in sys.argv[1:]
    total = [0, 0, 0]

    def add(name, counts):
        print(f'-- {name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped', flush=True)
        for i in range(3):
            total[i] += counts[i]

    if not build(BUILD):
        add('build with gcc', (0, 1, 0))
    else:
        add('build with gcc', (1, 0, 0))
        add('tests', meson_tests(BUILD, 'plain'))
    add('walls', walls.run(BUILD))

    line = f'{total[0]} passed, {total[1]} failed'
    if total[2]:
        line += f', {total[2]} skipped'
    print(line)
    return 1 if total[1] or not total[0] else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Users outside this build: installs into a temporary prefix, then builds and runs a program with meson and with make,
linked with the shared and with the static library.

  python3 test/consumers/run.py [BUILD_FOLDER]      (default build-test)
"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ['greeter.c', 'greeter.proto', 'words.proto']


class Counts:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, good, name, text=''):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print(f'FAILED: consumers: {name}\n{text[-4000:]}', flush=True)
        return good


def sh(*command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def install(build, folder, counts):
    """Installs under folder; the environment in which pkg-config finds it, or None.

    DESTDIR puts the tree below folder while pkg-config still names the configured prefix; the one line that says so is
    rewritten, which is all that a package for another place would do."""
    result = sh('meson', 'install', '-C', build, '--no-rebuild', '--destdir', folder)
    if not counts.check(result.returncode == 0, 'meson install', result.stdout):
        return None
    pc = None
    for where, _, files in os.walk(folder):
        if 'libminirpc.pc' in files:
            pc = os.path.join(where, 'libminirpc.pc')
    if not counts.check(pc is not None, 'libminirpc.pc is installed', result.stdout):
        return None
    with open(pc) as file:
        text = file.read()
    prefix = text.split('\n', 1)[0].split('=', 1)[1]
    with open(pc, 'w') as file:
        file.write(text.replace(f'prefix={prefix}\n', f'prefix={folder}{prefix}\n', 1))
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc), LD_LIBRARY_PATH=os.path.dirname(os.path.dirname(pc)))
    env['PROTODIR'] = sh('pkg-config', '--variable=protodir', 'libminirpc', env=env).stdout.strip()
    return env


def copy(folder, kind):
    shutil.copytree(os.path.join(HERE, kind), folder)
    for name in SOURCES:
        shutil.copy(os.path.join(HERE, name), folder)


def run_program(path, kind, env, counts):
    result = sh(path, env=env, timeout=60)
    counts.check(result.returncode == 0 and result.stdout == 'Hello gopher, who is 9\n', f'{kind} runs', result.stdout)


def is_dynamic(path):
    return 'libminirpc.so.0' in sh('readelf', '-dW', path).stdout


def with_meson(folder, env, counts):
    copy(folder, 'meson')
    build = os.path.join(folder, 'build')
    result = sh('meson', 'setup', build, folder, env=env)
    if not counts.check(result.returncode == 0, 'meson setup', result.stdout):
        return
    result = sh('ninja', '-C', build, env=env)
    if not counts.check(result.returncode == 0, 'meson: ninja', result.stdout):
        return
    run_program(os.path.join(build, 'greeter'), 'meson, shared', env, counts)
    run_program(os.path.join(build, 'greeter_static'), 'meson, static', env, counts)
    counts.check(is_dynamic(os.path.join(build, 'greeter')), 'meson: the shared program uses libminirpc.so.0')
    counts.check(not is_dynamic(os.path.join(build, 'greeter_static')), 'meson: the static program does not')
    counts.check('no work to do' in sh('ninja', '-C', build, env=env).stdout, 'meson: nothing is built twice')
    os.utime(os.path.join(env['PROTODIR'], 'google/rpc/status.proto'))
    plan = sh('ninja', '-C', build, '-n', env=env).stdout
    counts.check('greeter.pb-c.c' in plan, 'meson: an import that changes makes stubs anew', plan)


def with_make(folder, env, counts):
    copy(folder, 'make')
    result = sh('make', '-C', folder, env=env)
    if not counts.check(result.returncode == 0, 'make', result.stdout):
        return
    run_program(os.path.join(folder, 'greeter'), 'make, shared', env, counts)
    run_program(os.path.join(folder, 'greeter_static'), 'make, static', env, counts)
    counts.check(sh('make', '-q', '-C', folder, env=env).returncode == 0, 'make: nothing is built twice')
    os.utime(os.path.join(env['PROTODIR'], 'google/rpc/status.proto'))
    plan = sh('make', '-C', folder, env=env).stdout
    counts.check('--minirpc_out=gen' in plan and '-o greeter ' in plan, 'make: an import that changes makes stubs anew', plan)


def headers_are_there(env, counts):
    """Generated code of others says #include "google/protobuf/timestamp.pb-c.h"."""
    flags = sh('pkg-config', '--cflags', 'libminirpc', env=env).stdout.split()
    for name in ('minirpc/minirpc.h', 'google/protobuf/timestamp.pb-c.h', 'google/protobuf/struct.minirpc.h',
                 'google/protobuf/descriptor.pb-c.h', 'google/rpc/status.pb-c.h', 'google/rpc/error_details.minirpc.h'):
        for compiler, language in (('gcc', 'c'), ('g++', 'c++')):
            if shutil.which(compiler) is None:
                continue
            result = sh(compiler, '-x', language, '-fsyntax-only', '-Wall', '-Wextra', '-Werror', *flags, '-', env=env,
                        input=f'#include <{name}>\nextern int at_least_one;\n')
            counts.check(result.returncode == 0, f'{name} with {compiler}', result.stdout)


def run(build='build-test'):
    """(passed, failed, skipped)"""
    counts = Counts()
    for tool in ('pkg-config', 'make', 'meson', 'protoc'):
        if shutil.which(tool) is None:
            print(f'skipped: consumers: no {tool}')
            return 0, 0, 1
    with tempfile.TemporaryDirectory() as folder:
        env = install(os.path.abspath(build), os.path.join(folder, 'installed'), counts)
        if env is not None:
            headers_are_there(env, counts)
            with_make(os.path.join(folder, 'make'), env, counts)
            with_meson(os.path.join(folder, 'meson'), env, counts)
    return counts.passed, counts.failed, 0


def main():
    passed, failed, skipped = run(*sys.argv[1:2])
    print(f'consumers: {passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What protoc-gen-minirpc writes, byte for byte, and what it says to what it cannot write.

  python3 test/proto/golden.py PLUGIN INCLUDE_FOLDERS... [--update]

Golden files are golden/*.minirpc.[ch]; --update writes them anew, to be read with `git diff`. The messages (*.pb-c.[ch])
are protoc-gen-c's own and change with its version: they are only compiled. Prints TAP, for meson.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROTO = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'proto')
FILES = ['keywords.proto', 'optional.proto', 'plain.proto', 'empty.proto', 'bare.proto', 'imports.proto',
         'nested/deep_file.v2.proto', 'nested/public.proto', 'streams.proto', 'comments.proto', 'proto2.proto']


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def check(self, good, name, text=''):
        self.count += 1
        self.failed += not good
        print(f'{"ok" if good else "not ok"} {self.count} - {name}', flush=True)
        if not good:
            print('\n'.join('# ' + line for line in str(text).split('\n')[:60]), flush=True)

    def skip(self, name, why):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {why}', flush=True)


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def protoc(plugin, out, *arguments):
    return run('protoc', '--plugin=protoc-gen-minirpc=' + plugin, '-I' + HERE, '-I' + PROTO, '-I/usr/include',
               '--minirpc_out=' + out, *arguments)


def tree(folder):
    """{path: bytes} of all files below."""
    result = {}
    for where, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(where, name)
            with open(path, 'rb') as file:
                result[os.path.relpath(path, folder)] = file.read()
    return result


def check_golden(tap, plugin, out, update):
    result = protoc(plugin, out, *FILES)
    tap.check(result.returncode == 0, 'all files are generated', result.stderr.decode())
    made = tree(out)
    golden = os.path.join(HERE, 'golden')
    stems = [name[:-len('.proto')] for name in FILES]
    for stem in stems:
        for suffix in ('.minirpc.h', '.minirpc.c'):
            path = os.path.join(golden, stem + suffix)
            text = made.get(stem + suffix, b'')
            if update:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, 'wb') as file:
                    file.write(text)
            difference = run('diff', '-u', path, '-', input=text)
            tap.check(difference.returncode == 0, f'{stem}{suffix} is the golden one', difference.stdout.decode())
    tap.check(set(made) == {stem + suffix for stem in stems
                            for suffix in ('.pb-c.h', '.pb-c.c', '.minirpc.h', '.minirpc.c')}, 'no other files', sorted(made))

    with tempfile.TemporaryDirectory() as again:
        protoc(plugin, again, *FILES)
        tap.check(tree(again) == made, 'twice the same bytes')
    for name in FILES:
        with tempfile.TemporaryDirectory() as alone:
            protoc(plugin, alone, name)
            one = tree(alone)
            tap.check(bool(one) and all(made.get(path) == text for path, text in one.items()),
                      f'{name} alone gives the same bytes')


def check_compiles(tap, out, includes):
    strict = ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only', '-I' + out] + ['-I' + i for i in includes]
    for name in FILES:
        stem = name[:-len('.proto')]
        for compiler in ('gcc', 'clang', 'g++', 'clang++'):
            if shutil.which(compiler) is None:
                tap.skip(f'{stem} with {compiler}', 'not there')
                continue
            if compiler in ('g++', 'clang++'):
                header = f'#include "{stem}.minirpc.h"\nextern int at_least_one;\n'.encode()
                # protoc-gen-c's own field names are not in our hands (proto2: a member named super is fine)
                result = run(compiler, '-x', 'c++', '-std=c++17', *strict, '-', input=header)
            else:
                result = run(compiler, '-std=c11', *strict, f'{out}/{stem}.minirpc.c', f'{out}/{stem}.pb-c.c')
            tap.check(result.returncode == 0, f'{stem} compiles with {compiler}', result.stderr.decode())


def check_errors(tap, plugin, out):
    for name, words in (
            ('bad/wait.proto', ['bad/wait.proto', 'bad.S.Get', 'bad.S.GetWait', 'bad_s_get_wait']),
            ('bad/case.proto', ['bad/case.proto', 'bad.S.GetIt', 'bad.S.Get_it', 'bad_s_get_it']),
            ('bad/services.proto', ['bad/services.proto', 'bad.A.B_get', 'bad.A_b.Get', 'bad_a_b_get']),
            ('bad/messages.proto', ['bad/messages.proto', 'bad.GetReq', 'bad.Get_req'])):
        result = protoc(plugin, out, name)
        text = result.stderr.decode()
        tap.check(result.returncode != 0 and all(word in text for word in words), f'{name} is refused by name', text)

    for option, words in (('depfil=x', 'unknown parameter depfil'), ('depfile', 'depfile needs a value'),
                          ('protoc_gen_c=/nowhere/protoc-gen-c', '/nowhere/protoc-gen-c: No such file'),
                          ('protoc_gen_c=/bin/false', '/bin/false failed with exit code 1'),
                          ('protoc_gen_c=/bin/echo', 'did not answer as a plugin'),
                          ('depfile=/nowhere/x.d', 'depfile /nowhere/x.d: No such file')):
        result = protoc(plugin, out, '--minirpc_opt=' + option, 'bare.proto')
        text = result.stderr.decode()
        tap.check(result.returncode != 0 and words in text, f'{option} is refused', text)


def check_depfile(tap, plugin, out):
    path = os.path.join(out, 'all.d')
    result = protoc(plugin, out, f'--minirpc_opt=depfile={path},out=gen dir,root={HERE},root={PROTO}',
                    'imports.proto', 'bare.proto')
    tap.check(result.returncode == 0, 'a depfile is written', result.stderr.decode())
    with open(path) as file:
        text = file.read()
    expected = '''gen\\ dir/imports.pb-c.h \\
gen\\ dir/imports.pb-c.c \\
gen\\ dir/imports.minirpc.h \\
gen\\ dir/imports.minirpc.c: \\
  HERE/imports.proto \\
  PROTO/google/rpc/status.proto \\
  HERE/nested/deep_file.v2.proto \\
  HERE/nested/public.proto \\
  HERE/optional.proto \\
  HERE/plain.proto
gen\\ dir/bare.pb-c.h \\
gen\\ dir/bare.pb-c.c \\
gen\\ dir/bare.minirpc.h \\
gen\\ dir/bare.minirpc.c: \\
  HERE/bare.proto
'''.replace('HERE', HERE).replace('PROTO', PROTO)
    tap.check(text == expected, 'it names outputs and inputs', text)


def check_garbage(tap, plugin, folder):
    """protoc is friendly; what if it is not protoc? Anything but an answer or an exit code of 1 is a bug."""
    request = os.path.join(folder, 'request')
    script = os.path.join(folder, 'protoc-gen-minirpc')
    with open(script, 'w') as file:
        file.write(f'#!/bin/sh\ncat > {request}\n')
    os.chmod(script, 0o755)
    protoc(script, folder, 'streams.proto', 'optional.proto')
    with open(request, 'rb') as file:
        good = file.read()

    def field(number, data):
        length, prefix = len(data), b''
        while True:
            prefix += bytes([length & 127 | (128 if length > 127 else 0)])
            length >>= 7
            if length == 0:
                return bytes([number << 3 | 2]) + prefix + data

    nested = b''
    for _ in range(20000):
        nested = field(3, nested)
    cases = {
        'nothing': b'',
        'text': b'hello, world\n',
        'zeros': bytes(1000),
        'ones': b'\xff' * 1000,
        'no files': field(2, b'x=y'),
        'a file that was not given': field(1, b'x.proto'),
        'a file without a name': field(1, b'x.proto') + field(15, b''),
        'a file with nothing in it': field(1, b'x.proto') + field(15, field(1, b'x.proto')),
        'a length beyond the end': field(1, b'x.proto') + b'\x7a\xff\xff\xff\xff\x0f',
        '20,000 levels': field(1, b'x') + field(15, field(1, b'x') + field(4, field(1, b'M') + nested)),
    }
    chance = random.Random(4)
    for i in range(60):
        cases[f'cut at {i}/60'] = good[:len(good) * i // 60]
    for i in range(150):
        bad = bytearray(good)
        for _ in range(1 + i // 30):
            bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        cases[f'damaged, {i}'] = bytes(bad)
    wrong = []
    for name, data in cases.items():
        result = run(plugin, input=data)
        answered = result.returncode == 0 and len(result.stdout) > 0 and b'runtime error' not in result.stderr
        refused = result.returncode == 1 and result.stdout == b'' and result.stderr.startswith(b'protoc-gen-minirpc: ')
        if not answered and not refused:
            wrong.append(f'{name}: {result.returncode} {result.stderr.decode(errors="replace")[:300]}')
    tap.check(not wrong, f'{len(cases)} bad requests end in an answer or an error', '\n'.join(wrong))


def main():
    update = '--update' in sys.argv
    plugin, *includes = [os.path.abspath(a) for a in sys.argv[1:] if a != '--update']
    tap = Tap()
    with tempfile.TemporaryDirectory() as out:
        check_golden(tap, plugin, out, update)
        check_compiles(tap, out, includes)
    for check in (check_errors, check_depfile, check_garbage):
        with tempfile.TemporaryDirectory() as folder:
            check(tap, plugin, folder)
    print(f'1..{tap.count}')
    return 1 if tap.failed else 0


if __name__ == '__main__':
    sys.exit(main())

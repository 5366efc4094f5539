#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The walls of the house: who may include whom, what may not be written at all, and what the built library shows.

  python3 test/walls.py [BUILD_FOLDER]     (default build-test, else build; without one the checks of it are skipped)

Every check that fails is one line with file:line; the last line says how many passed and failed. The rules are the
tables below, from design.md section 3, house-style "Folders are walls" and limits.md section 5. Before they judge the
tree they judge a small one of known crossings: a wall that nobody can hit holds nothing.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

# ---- Walls ----

# Folder of lib -> what its quoted includes may begin with. A file may be named where the folder may not.
BELOW = {
    'base': ['base/'],
    'call': ['base/', 'call/', 'wire/compress.h'],
    'wire': ['base/', 'wire/', 'call/part.h'],
    'h2': ['base/', 'call/', 'wire/', 'h2/'],
    'io': ['base/', 'io/'],
    'client': ['base/', 'call/', 'wire/', 'h2/', 'io/', 'client/'],
    'server': ['base/', 'call/', 'wire/', 'h2/', 'io/', 'server/'],
    'typed': ['base/', 'typed/'],
    'service': ['service/'],
    'interceptors': ['base/', 'interceptors/', 'call/metadata.h', 'call/status.h'],
}

# Others' libraries -> the files that keep them.
KEEPERS = {
    r'nghttp2/': r'lib/h2/',
    r'openssl/': r'lib/io/tls[^/]*\.[ch]$',
    r'ev\.h$': r'lib/io/loop_ev\.c$',
    r'zlib\.h$': r'lib/wire/compress_zlib\.c$',
    r'zstd\.h$': r'lib/wire/compress_zstd\.c$',
    r'brotli/': r'lib/wire/compress_brotli\.c$',
    r'snappy-c\.h$': r'lib/wire/compress_snappy\.c$',
    r'ares[^/]*\.h$': r'lib/io/resolve[^/]*\.c$',
    r'jansson\.h$': r'lib/client/json\.h$',
    r'(google/)?protobuf-c/': r'lib/typed/|lib/service/|include/minirpc/typed\.h$',
    r'google/(protobuf|rpc)/': r'lib/typed/|lib/service/',
    r'minirpc/(typed|minirpc)\.h$': r'lib/typed/|lib/service/|include/minirpc/(minirpc|error_details)\.h$',
}

LANGUAGE = {'assert.h', 'ctype.h', 'errno.h', 'float.h', 'inttypes.h', 'limits.h', 'math.h', 'setjmp.h', 'stdalign.h', 'stdarg.h',
            'stdatomic.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdio.h', 'stdlib.h', 'string.h', 'strings.h'}

# The rest of the system: sockets, clocks, threads. Closed to these folders, to which time is an argument.
SYSTEM = re.compile(r'(sys|net|netinet|arpa|linux)/[a-z0-9_]+\.h$|'
                    r'(dirent|fcntl|ifaddrs|netdb|poll|pthread|sched|signal|threads|time|unistd)\.h$')
PURE = {'base', 'call', 'wire', 'h2', 'typed', 'service', 'interceptors'}

# ---- Words ----

# Not in lib: it does not print, end the process, read the environment, or keep hidden state.
WORDS = ('printf vprintf fprintf vfprintf dprintf puts fputs fputc putc putchar fwrite perror psignal syslog '
         'abort exit _exit _Exit quick_exit atexit getenv secure_getenv setenv putenv system popen '
         'signal sigaction raise setlocale strtok rand srand random srandom localtime gmtime ctime asctime '
         'sleep usleep nanosleep gethostbyname alloca gets strcpy strcat sprintf vsprintf').split()
# Only in these files: memory comes from base/alloc.h, and the loop of the host is the host's.
MEMORY = 'malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc posix_memalign'.split()
MEMORY_FILE = 'lib/base/alloc.c'

# What only an application may mean [S-5]: no code in lib gives a call one of these.
OTHERS_CODES = re.compile(r'\bMINIRPC_(INVALID_ARGUMENT|NOT_FOUND|ALREADY_EXISTS|FAILED_PRECONDITION|ABORTED|OUT_OF_RANGE|DATA_LOSS)\b')
# ... but for a service, which is an application, and for the file that keeps others from saying them.
MAY_SAY_CODES = ('lib/service/', 'lib/call/status.c')

LONGEST = 1000
FOLDERS = {'lib', 'include', 'examples', 'proto', 'test', 'docs'}
SOURCE = re.compile(r'\.([ch]|py|map|proto)$|(^|/)meson\.build$|(^|/)(run|install)$')
UNSIGNED = re.compile(r'/(golden|corpus)/')  # what a generator wrote, and fuzz inputs

# ---- Symbols ----

OURS = re.compile(r'(minirpc_|google__protobuf__|google__rpc__)')
IMPORTS = re.compile(r'(__)?(v?f?printf|puts|perror|abort|_?exit|getenv|secure_getenv)(_chk)?$')


class Checks:
    """Counts, and prints what fails."""

    def __init__(self, quiet=False):
        self.passed, self.skipped, self.failures, self.quiet = 0, 0, [], quiet

    def check(self, good, text):
        if good:
            self.passed += 1
        else:
            self.failures.append(text)
            if not self.quiet:
                print(f'FAILED: wall: {text}', flush=True)

    def skip(self, text):
        self.skipped += 1
        if not self.quiet:
            print(f'skipped: wall: {text}', flush=True)


def run_command(*command):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def sources(root, *folders):
    for folder in folders:
        for where, folders_here, files in os.walk(os.path.join(root, folder)):
            folders_here[:] = sorted(f for f in folders_here if not f.startswith(('.', 'build', '__pycache__')))
            for name in sorted(files):
                yield os.path.relpath(os.path.join(where, name), root)


def text_of(root, path):
    with open(os.path.join(root, path), encoding='utf-8', errors='replace') as file:
        return file.read()


def bare(text):
    """C without the insides of comments, strings and characters; lines stay where they are."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: ' ' + '\n' * m.group().count('\n'), text, flags=re.S)


def includes(text):
    """(line, '"' or '<', name) for each include that is not inside a comment."""
    text = re.sub(r'/\*.*?\*/', lambda m: '\n' * m.group().count('\n'), text, flags=re.S)
    for number, line in enumerate(text.split('\n'), 1):
        found = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if found:
            yield number, found.group(1), found.group(2)
        elif re.match(r'\s*#\s*(include|import)\b', line):
            yield number, '?', line.strip()


def judge_include(path, kind, name):
    """Why path may not include name; None when it may."""
    part = path.split('/')
    if kind == '?' or '..' in name.split('/'):
        return 'no computed include, no way out by ..'

    if kind == '"':
        if part[0] == 'include':
            return 'a public header includes <minirpc/...> only'
        if part[0] == 'lib':
            if '/' not in name:
                return None  # beside it
            if not any(name == way or way.endswith('/') and name.startswith(way) for way in BELOW.get(part[1], [])):
                return f'lib/{part[1]} may not look into it'
        elif part[0] == 'examples' and name.split('/')[0] in BELOW:
            return 'an example uses public headers only'
        return None

    if part[0] not in ('lib', 'include'):
        return None
    for library, keeper in KEEPERS.items():
        if re.match(library, name):
            return None if re.match(keeper, path) else 'has another keeper'
    if name.startswith('minirpc/') or name in LANGUAGE:
        return None
    if SYSTEM.match(name):
        if part[0] == 'include' or part[1] in PURE:
            return 'no sockets, clocks or threads here'
        return None
    return 'unknown to test/walls.py: a new library needs a keeper there'


def check_tree(root, checks):
    """Everything that can be read off the sources."""
    for name in sorted(os.listdir(root)):
        if os.path.isdir(os.path.join(root, name)) and not name.startswith(('.', 'build')):
            checks.check(name in FOLDERS, f'{name}/: the top level has {", ".join(sorted(FOLDERS))} only')

    for path in sources(root, *sorted(FOLDERS)):
        if not SOURCE.search(path) or UNSIGNED.search(path):
            continue
        text = text_of(root, path)
        lines = text.count('\n')
        checks.check(lines <= LONGEST, f'{path}:{lines}: longer than {LONGEST} lines')
        checks.check('SPDX-License-Identifier: MIT' in '\n'.join(text.split('\n', 2)[:2]),
                     f'{path}:1: no SPDX line in the first two lines')
        if not path.endswith(('.c', '.h')):
            continue
        if path.startswith('lib/'):
            checks.check(path.split('/')[1] in BELOW, f'{path}:1: a folder of lib that test/walls.py does not know')
        for number, kind, name in includes(text):
            why = judge_include(path, kind, name)
            checks.check(why is None, f'{path}:{number}: includes {name}: {why}')
        if path.startswith('lib/'):
            check_words(path, bare(text), checks)


def check_words(path, text, checks):
    banned = WORDS if path == MEMORY_FILE else WORDS + MEMORY
    pattern = re.compile(r'(?<![\w.>])(' + '|'.join(banned) + r')\s*\(|\b(stdout|stderr|environ)\b')
    bad = False
    for number, line in enumerate(text.split('\n'), 1):
        for found in pattern.finditer(line):
            bad = True
            checks.check(False, f'{path}:{number}: {found.group(1) or found.group(2)} has no place in lib')
        for found in () if path.startswith(MAY_SAY_CODES) else OTHERS_CODES.finditer(line):
            bad = True
            checks.check(False, f'{path}:{number}: {found.group()} is for applications, S-5')
    if not bad:
        checks.check(True, '')


def check_headers(root, checks):
    """Each header alone, and twice: lib's as C11, public ones as C11 and C++17, by every compiler there is."""
    public = [p for p in sources(root, 'include') if p.endswith('.h')]
    inner = [p for p in sources(root, 'lib') if p.endswith('.h')]
    strict = ['-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-pedantic', '-I' + os.path.join(root, 'include')]
    for compiler, language, headers in (
            ('gcc', 'c', public), ('clang', 'c', public), ('g++', 'c++', public), ('clang++', 'c++', public),
            ('gcc', 'inner', inner), ('clang', 'inner', inner)):
        if shutil.which(compiler) is None:
            checks.skip(f'headers with {compiler}: it is not there')
            continue
        options = list(strict)
        if language == 'inner':
            options = [o for o in options if o != '-pedantic'] + ['-D_GNU_SOURCE', '-I' + os.path.join(root, 'lib')]
        options += ['-std=c++17'] if language == 'c++' else ['-std=c11', '-Wstrict-prototypes']
        for header in headers:
            checks.check(*compiles_alone(compiler, options, header))

    installed = text_of(root, 'include/minirpc/meson.build')
    for path in public:
        checks.check(f"'{os.path.basename(path)}'" in installed, f'{path}: not installed by include/minirpc/meson.build')


def compiles_alone(compiler, options, header):
    name = header.split('/', 1)[1]  # as it is included
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, 'alone.cc' if '++' in compiler else 'alone.c')
        with open(source, 'w') as file:
            file.write(f'#include "{name}"\n#include "{name}"\nextern int at_least_one;\n')
        result = run_command(compiler, *options, source)
    return result.returncode == 0, f'{header}: does not compile alone with {compiler}:\n{result.stdout}'


# ---- The built library ----

def declared_functions(root):
    names = set()
    for path in sources(root, 'include'):
        if path.endswith('.h'):
            text = bare(text_of(root, path))
            for found in re.finditer(r'MINIRPC_API\b([^;{]*?)\b(minirpc_\w+)\s*\(', text):
                names.add(found.group(2))
    return names


def check_symbols(root, library, checks):
    exported = set()
    for line in run_command('nm', '-D', '--defined-only', library).stdout.split('\n'):
        fields = line.split()
        if len(fields) == 3 and fields[1] != 'A':
            exported.add(fields[2].split('@')[0])
    checks.check(bool(exported), f'{library}: nothing exported')
    for name in sorted(exported):
        checks.check(bool(OURS.match(name)), f'{library}: exports {name}')

    declared = declared_functions(root)
    for name in sorted(declared):
        checks.check(name in exported, f'{library}: {name} is declared but not exported')
    # minirpc_file_...: .proto files as data, declared by generated headers
    for name in sorted(n for n in exported if n.startswith('minirpc_') and not n.startswith('minirpc_file_google__')):
        checks.check(name in declared, f'{library}: {name} is exported but not declared')

    imported = {line.split()[-1].split('@')[0]
                for line in run_command('nm', '-D', '--undefined-only', library).stdout.split('\n') if line.strip()}
    for name in sorted(imported):
        checks.check(not IMPORTS.match(name), f'{library}: imports {name}')
    return imported


def check_hardening(library, imported, checks):
    """limits.md, section 5."""
    dynamic = run_command('readelf', '-dW', library).stdout
    segments = run_command('readelf', '-lW', library).stdout
    checks.check('BIND_NOW' in dynamic or re.search(r'FLAGS_1.*NOW', dynamic) is not None, f'{library}: no BIND_NOW')
    checks.check('GNU_RELRO' in segments, f'{library}: no RELRO')
    stack = re.search(r'GNU_STACK.*', segments)
    checks.check(stack is not None and ' RWE ' not in stack.group(), f'{library}: executable stack')
    checks.check('TEXTREL' not in dynamic, f'{library}: text relocations')
    checks.check('RPATH' not in dynamic and 'RUNPATH' not in dynamic, f'{library}: a search path of its own')
    checks.check('[libminirpc.so.0]' in dynamic, f'{library}: soname is not libminirpc.so.0')
    checks.check('__stack_chk_fail' in imported, f'{library}: no stack protector')
    checks.check(any(name.endswith('_chk') for name in imported), f'{library}: not fortified')
    if 'X86-64' not in run_command('readelf', '-hW', library).stdout:
        checks.skip('CET: x86-64 only')
        return
    # IBT is in all our objects, but Debian's crti.o has no endbr64, so that the linker may not say so of the whole.
    checks.check('SHSTK' in run_command('readelf', '-nW', library).stdout, f'{library}: no note of a shadow stack')
    starts = run_command('objdump', '-d', '--no-show-raw-insn', library).stdout
    for found in re.finditer(r'<(minirpc_\w+)>:\n\s*[0-9a-f]+:\s*(\S+)', starts):
        checks.check(found.group(2) == 'endbr64', f'{library}: {found.group(1)} begins without endbr64')


def check_no_globals(archive, checks):
    """No object of ours has writable data: state belongs to a loop."""
    member = archive
    for line in run_command('readelf', '-SW', archive).stdout.split('\n'):
        if line.startswith('File: '):
            member = line[6:]
        found = re.search(r'\]\s+(\.(?:data|bss|tdata|tbss)(?!\.rel\.ro)\S*)\s+\S+\s+\S+\s+\S+\s+([0-9a-f]+)', line)
        if found:
            checks.check(int(found.group(2), 16) == 0, f'{member}: {found.group(2)} (hex) bytes of globals in {found.group(1)}')


def check_build(root, build, checks):
    library = os.path.relpath(os.path.join(build or '', 'lib', 'libminirpc.so'))
    if build is None or not os.path.exists(library):
        checks.skip('the built library: there is none')
        return
    if shutil.which('readelf') is None or shutil.which('nm') is None:
        checks.skip('the built library: no binutils')
        return
    imported = check_symbols(root, library, checks)
    if any(name.startswith(('__asan', '__ubsan', '__tsan')) for name in imported):
        checks.skip('hardening: this is a sanitizer build')
        return
    check_hardening(library, imported, checks)
    check_no_globals(os.path.join(build, 'lib', 'libminirpc.a'), checks)


# ---- The self-test ----

SPDX = '/* SPDX-License-Identifier: MIT */\n'

# path, text behind the SPDX line, and what must be said of it: None, or a piece of the one failure.
CASES = [
    ('lib/base/good.c', '#include "base/good.h"\n#include <minirpc/base.h>\n#include <string.h>\n', None),
    ('lib/base/words.c', '/* printf( */ static const char *s = "abort(";\n// exit(1)\nint x(void) { return snprintf(); }\n', None),
    ('lib/h2/good.c', '#include <nghttp2/nghttp2.h>\n#include "call/call.h"\n', None),
    ('lib/io/tls.c', '#include <openssl/ssl.h>\n#include <sys/socket.h>\n', None),
    ('lib/io/tls_names.c', '#include <openssl/x509.h>\n', None),
    ('lib/io/loop_ev.c', '#include <ev.h>\n', None),
    ('lib/io/resolve.c', '#include <ares.h>\n#include <time.h>\n', None),
    ('lib/client/json.h', '#include <jansson.h>\n', None),
    ('lib/typed/good.c', '#include <protobuf-c/protobuf-c.h>\n#include <minirpc/typed.h>\n#include "base/alloc.h"\n', None),
    ('lib/wire/good.c', '#include "call/part.h"\n', None),
    ('include/minirpc/typed.h', '#include <protobuf-c/protobuf-c.h>\n', None),
    ('lib/base/alloc.c', 'void *a(void) { return malloc(1); }\n', None),
    ('lib/base/member.c', 'void a(struct b *b) { b->free(b); b->ops.exit(1); }\n', None),
    ('test/anything.c', '#include <nghttp2/nghttp2.h>\n#include "h2/conn.h"\nint main(void) { exit(printf("x")); }\n', None),

    ('lib/base/a.c', '#include "call/call.h"\n', 'lib/base/a.c:2: includes call/call.h'),
    ('lib/call/b.c', '\n#include "h2/conn.h"\n', 'lib/call/b.c:3: includes h2/conn.h'),
    ('lib/wire/c.c', '#include "call/call.h"\n', 'lib/wire/c.c:2: includes call/call.h'),
    ('lib/h2/d.c', '#include "io/link.h"\n', 'lib/h2/d.c:2: includes io/link.h'),
    ('lib/io/e.c', '  #  include "h2/conn.h"\n', 'lib/io/e.c:2: includes h2/conn.h'),
    ('lib/client/f.c', '#include "server/server.h"\n', 'lib/client/f.c:2: includes server/server.h'),
    ('lib/server/g.c', '#include "client/channel.h"\n', 'lib/server/g.c:2: includes client/channel.h'),
    ('lib/typed/h.c', '#include "call/call.h"\n', 'lib/typed/h.c:2: includes call/call.h'),
    ('lib/service/i.c', '#include "base/alloc.h"\n', 'lib/service/i.c:2: includes base/alloc.h'),
    ('lib/base/j.c', '#include "../call/call.h"\n', 'lib/base/j.c:2: includes ../call/call.h'),
    ('lib/call/k.c', '#include <nghttp2/nghttp2.h>\n', 'lib/call/k.c:2: includes nghttp2/nghttp2.h'),
    ('lib/io/link.c', '#include <openssl/ssl.h>\n', 'lib/io/link.c:2: includes openssl/ssl.h'),
    ('lib/io/loop.c', '#include <ev.h>\n', 'lib/io/loop.c:2: includes ev.h'),
    ('lib/io/dial.c', '#include <ares.h>\n', 'lib/io/dial.c:2: includes ares.h'),
    ('lib/client/config.c', '#include <jansson.h>\n', 'lib/client/config.c:2: includes jansson.h'),
    ('lib/server/l.c', '#include <protobuf-c/protobuf-c.h>\n', 'lib/server/l.c:2: includes protobuf-c/'),
    ('lib/server/m.c', '#include <minirpc/typed.h>\n', 'lib/server/m.c:2: includes minirpc/typed.h'),
    ('lib/call/n.c', '#include <minirpc/minirpc.h>\n', 'lib/call/n.c:2: includes minirpc/minirpc.h'),
    ('lib/h2/o.c', '#include <time.h>\n', 'lib/h2/o.c:2: includes time.h'),
    ('lib/call/p.c', '#include <sys/socket.h>\n', 'lib/call/p.c:2: includes sys/socket.h'),
    ('lib/io/q.c', '#include <curl/curl.h>\n', 'lib/io/q.c:2: includes curl/curl.h: unknown'),
    ('lib/io/r.c', '#define X <ev.h>\n#include X\n', 'lib/io/r.c:3: includes #include X'),
    ('include/minirpc/s.h', '#include "base/buf.h"\n', 'include/minirpc/s.h:2: includes base/buf.h'),
    ('include/minirpc/t.h', '#include <sys/socket.h>\n', 'include/minirpc/t.h:2: includes sys/socket.h'),
    ('examples/u.c', '#include "h2/conn.h"\n', 'examples/u.c:2: includes h2/conn.h'),
    ('lib/extra/v.c', '', 'lib/extra/v.c:1: a folder of lib'),
    ('lib/base/w.c', '/* a\n * b */\nvoid f(void) { printf("x"); }\n', 'lib/base/w.c:4: printf'),
    ('lib/base/x.c', 'void f(void) { abort (); }\n', 'lib/base/x.c:2: abort'),
    ('lib/base/y.c', 'void f(void) { exit(1); }\n', 'lib/base/y.c:2: exit'),
    ('lib/base/z.c', 'char *f(void) { return getenv("X"); }\n', 'lib/base/z.c:2: getenv'),
    ('lib/base/aa.c', 'void *f(void) { return malloc(1); }\n', 'lib/base/aa.c:2: malloc'),
    ('lib/base/ab.c', 'void f(void) { fflush(stderr); }\n', 'lib/base/ab.c:2: stderr'),
    ('lib/h2/ad.c', 'int f(void) { return MINIRPC_NOT_FOUND; }\n', 'lib/h2/ad.c:2: MINIRPC_NOT_FOUND'),
    ('lib/service/ae.c', 'int f(void) { return MINIRPC_NOT_FOUND; }\n', None),
    ('lib/call/status.c', 'int f(void) { return MINIRPC_NOT_FOUND; }\n', None),
    ('lib/interceptors/af.c', 'int f(void) { return MINIRPC_NOT_FOUND; }\n', 'lib/interceptors/af.c:2: MINIRPC_NOT_FOUND'),
    ('lib/interceptors/ag.c', '#include "call/call.h"\n', 'lib/interceptors/ag.c:2: includes call/call.h'),
    ('lib/interceptors/ah.c', '#include "call/status.h"\n#include "base/alloc.h"\n#include <minirpc/interceptors.h>\n', None),
    ('lib/base/long.c', '\n' * 1000, 'lib/base/long.c:1001: longer than 1000'),
    ('other/ac.c', '', 'other/: the top level'),
]


def self_test(checks):
    """One tree for each case: exactly the expected failure, or none."""
    for path, text, expected in CASES:
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, os.path.dirname(path)))
            with open(os.path.join(root, path), 'w') as file:
                file.write(SPDX + text)
            found = Checks(quiet=True)
            check_tree(root, found)
        good = found.failures == [] if expected is None else \
            len(found.failures) == 1 and found.failures[0].startswith(expected)
        checks.check(good, f'self-test: {path}: expected {expected}, found {found.failures}')

    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, 'lib', 'base'))
        with open(os.path.join(root, 'lib', 'base', 'unsigned.c'), 'w') as file:
            file.write('int x(void);\n')
        found = Checks(quiet=True)
        check_tree(root, found)
        checks.check(len(found.failures) == 1 and 'no SPDX' in found.failures[0], 'self-test: a missing SPDX line')

    with tempfile.TemporaryDirectory() as root:
        header = os.path.join(root, 'include', 'minirpc', 'bad.h')
        os.makedirs(os.path.dirname(header))
        with open(header, 'w') as file:
            file.write('size_t minirpc_bad(void);\n')
        good, _ = compiles_alone('gcc', ['-fsyntax-only', '-I' + os.path.join(root, 'include')], 'include/minirpc/bad.h')
        checks.check(not good, 'self-test: a header that lacks an include')


def run(build='build-test'):
    """(passed, failed, skipped); failures are printed as they come."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if build is not None:
        build = os.path.join(root, build)
    checks = Checks()
    self_test(checks)
    check_tree(root, checks)
    check_headers(root, checks)
    check_build(root, build, checks)
    return checks.passed, len(checks.failures), checks.skipped


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    there = [b for b in sys.argv[1:2] or ['build-test', 'build'] if os.path.exists(os.path.join(root, b))]
    passed, failed, skipped = run(there[0] if there else None)
    print(f'walls: {passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

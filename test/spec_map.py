#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds docs/spec-map.md, and every reference to code and tests in docs/, to what is there.

  python3 test/spec_map.py

- A reference in backticks must exist: `h2/request.c:judge` is that name in lib/h2/request.c, `h2:W_5_what_is_not_grpc`
  is a test of that name in a file of test/h2, `test/interop/run.py:name` and `include/minirpc/call.h` are paths.
- A fact id cited in lib/ or include/ (W-13, M-2 ...) has a row in a table of docs/spec-map.md.
- Each fact of reference/protocol.md is named in docs/spec-map.md in one place: a row, or the section "Not yet".
"""
import os
import re
import sys

MAP = 'docs/spec-map.md'
NOT_YET = '## Not yet'
# How many facts the reference has of each letter.
FACTS = {'W': 23, 'M': 5, 'S': 8, 'D': 7, 'C': 5, 'G': 4, 'K': 3, 'B': 5, 'L': 9, 'R': 8, 'H': 4, 'F': 1, 'Z': 2, 'O': 1,
         'T': 2, 'N': 5, 'X': 4}
ID = re.compile(r'\b([A-Z])-(\d{1,2})\b')
FOLDERS = {'base', 'call', 'wire', 'h2', 'io', 'client', 'server', 'typed', 'service', 'interceptors'}

# `lib/a.c`, `h2/a.c:name`, `test/a.py:name`
CODE = re.compile(r'^((?:[\w.-]+/)+[\w.-]+\.(?:c|h|py|proto|map|md))(?::(\w+))?$')
TEST = re.compile(r'^([a-z0-9]+):([A-Za-z]\w{6,})$')


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def files(folder, *ends):
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(ends):
                yield os.path.join(where, name)


def is_fact(letter, number):
    return 1 <= int(number) <= FACTS.get(letter, 0)


def tests():
    """(folder, name) of each test."""
    found = set()
    for path in files('test', '.c'):
        folder = path.split('/')[1]
        for match in re.finditer(r'\bSTART_TEST\((\w+)\)', read(path)):
            found.add((folder, match.group(1)))
    return found


def references(text):
    """(line, what is in backticks) outside of code blocks."""
    in_block = False
    for number, line in enumerate(text.split('\n'), 1):
        if line.lstrip().startswith('```'):
            in_block = not in_block
        if not in_block:
            for match in re.finditer(r'`([^`]+)`', line):
                yield number, match.group(1)


def check_reference(what, known, check, place):
    code = CODE.match(what)
    if code:
        path, name = code.groups()
        top = path.split('/')[0]
        if top in FOLDERS or top == 'minirpc':
            path = ('lib/' if top in FOLDERS else 'include/') + path
        if not check(os.path.exists(path), f'{place}: there is no {path}') or name is None:
            return
        text = read(path)
        check(re.search(rf'\b{re.escape(name)}\b', text) is not None, f'{place}: {path} has no {name}')
        return
    test = TEST.match(what)
    if test and os.path.isdir(f'test/{test.group(1)}'):
        check((test.group(1), test.group(2)) in known, f'{place}: test/{test.group(1)} has no test {test.group(2)}')


def run():
    """(passed, failed, skipped); failures are printed as they come. Runs at the top of the tree."""
    counts = [0, 0, 0]

    def check(good, text):
        counts[0 if good else 1] += 1
        if not good:
            print(f'FAILED: spec-map: {text}', flush=True)
        return good

    known = tests()
    for path in [*files('docs', '.md'), 'README.md', 'SECURITY.md', 'CHANGELOG.md']:
        for line, what in references(read(path)):
            check_reference(what, known, check, f'{path}:{line}')

    done, _, later = read(MAP).partition(NOT_YET)
    rows = {}
    for line in done.split('\n'):
        match = re.match(r'\| *([A-Z]-\d+)\b', line)
        if match:
            rows[match.group(1)] = rows.get(match.group(1), 0) + 1
            check('`' in line, f'{MAP}: {match.group(1)} names no code')
    waiting = {match.group() for match in ID.finditer(later)}

    cited = {}
    for folder in ('lib', 'include'):
        for path in files(folder, '.c', '.h'):
            for match in ID.finditer(read(path)):
                if is_fact(*match.groups()):
                    cited.setdefault(match.group(), path)
    for fact, path in sorted(cited.items()):
        check(fact in rows, f'{fact}, cited in {path}, has no row in {MAP}')

    for letter, last in FACTS.items():
        for number in range(1, last + 1):
            fact = f'{letter}-{number}'
            times = rows.get(fact, 0) + (fact in waiting)
            check(times == 1, f'{MAP}: {fact} is there {times} times')
    for fact in sorted({*rows, *waiting}):
        check(is_fact(*fact.split('-')), f'{MAP}: {fact} is no fact')
    return tuple(counts)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    passed, failed, _ = run()
    print(f'spec-map: {passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

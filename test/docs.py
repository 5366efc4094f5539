#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The code that README.md and docs/ show is code that is built: each block comes from a file.

  python3 test/docs.py

- A block ```c or ```proto stands, white space aside, in one file of examples/, test/, include/ or proto/. A line `...`
  in it leaves something out. A block that cannot come from a file has a line before it:
  <!-- not from a file: why -->
- A link to a file of the tree leads somewhere.
"""
import os
import re
import sys

FOLDERS = ('examples', 'test', 'include', 'proto')
MARK = '<!-- not from a file:'
LANGUAGES = {'c': ('.c', '.h'), 'proto': ('.proto',)}


def pages():
    yield from (name for name in ('README.md', 'SECURITY.md', 'CHANGELOG.md') if os.path.exists(name))
    for where, folders, names in os.walk('docs'):
        folders.sort()
        yield from (os.path.join(where, name) for name in sorted(names) if name.endswith('.md'))


def squeeze(text):
    return re.sub(r'\s+', '', text)


def sources():
    """suffix -> squeezed texts."""
    texts = {}
    for folder in FOLDERS:
        for where, _, names in os.walk(folder):
            for name in names:
                suffix = os.path.splitext(name)[1]
                if suffix in ('.c', '.h', '.proto'):
                    with open(os.path.join(where, name), encoding='utf-8') as file:
                        texts.setdefault(suffix, []).append(squeeze(file.read()))
    return texts


def blocks(text):
    """(line, language, the line before, text) of each block."""
    lines = text.split('\n')
    at = 0
    while at < len(lines):
        start = re.match(r'```(\w*)\s*$', lines[at])
        if start:
            end = at + 1
            while end < len(lines) and lines[end].strip() != '```':
                end += 1
            yield at + 1, start.group(1), lines[at - 1].strip() if at > 0 else '', '\n'.join(lines[at + 1:end])
            at = end
        at += 1


def pieces(block):
    return [squeeze(piece) for piece in re.split(r'(?m)^\s*(?:\.\.\.|/\* \.\.\. \*/)\s*$', block) if piece.strip()]


def has_all(text, wanted):
    """All pieces, in their order."""
    at = 0
    for piece in wanted:
        at = text.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


def run():
    """(passed, failed, skipped); failures are printed as they come. Runs at the top of the tree."""
    counts = [0, 0, 0]
    texts = sources()

    def check(good, message):
        counts[0 if good else 1] += 1
        if not good:
            print(f'FAILED: docs: {message}', flush=True)

    # The check itself: what is in a file is found, with and without a gap, and what is not is not.
    sample = squeeze('int a(void)\n{\n\treturn 1;\n}\nint b;\n')
    check(has_all(sample, pieces('int a(void) {\nreturn 1;\n}')), 'self-test: white space does not matter')
    check(has_all(sample, pieces('int a(void)\n{\n\t...\n}\nint b;')), 'self-test: a gap')
    check(not has_all(sample, pieces('int b;\n...\nint a(void)')), 'self-test: order matters')
    check(not has_all(sample, pieces('return 2;')), 'self-test: what is not there')

    for path in pages():
        with open(path, encoding='utf-8') as file:
            text = file.read()
        for line, language, before, block in blocks(text):
            if language not in LANGUAGES or before.startswith(MARK):
                continue
            wanted = pieces(block)
            check(wanted and any(has_all(source, wanted) for suffix in LANGUAGES[language] for source in texts.get(suffix, [])),
                  f'{path}:{line}: this block is in no file of {", ".join(FOLDERS)}')
        for match in re.finditer(r'\]\(([^)#\s]+)(#[^)]*)?\)', text):
            link = match.group(1)
            if not re.match(r'[a-z]+:', link):
                check(os.path.exists(os.path.join(os.path.dirname(path), link)), f'{path}: {link} leads nowhere')
    return tuple(counts)


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    passed, failed, _ = run()
    print(f'docs: {passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The code that README.md and docs/ show is code that is built: each block comes from a file.

  python3 test/docs.py

- A block ```c or ```proto stands, white space aside, in one file of examples/, test/, include/ or proto/. A line `...`
  in it leaves something out. A block that cannot come from a file has a line before it:
  <!-- not from a file: why -->
- A link to a file of the tree leads somewhere.
- A test that is named (`folder:name`) is in test/folder.
- docs/errors.md has a row for each public function that returns int, and in it each error that the function's comment
  in include/minirpc names; and no row for what does not exist.
"""
import glob
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


def words_of_tests():
    """folder of test/ -> the words in its files."""
    words = {}
    for folder in os.listdir('test'):
        for where, _, names in os.walk(os.path.join('test', folder)):
            for name in names:
                if name.endswith(('.c', '.h', '.py')):
                    with open(os.path.join(where, name), encoding='utf-8') as file:
                        words.setdefault(folder, set()).update(re.findall(r'\w+', file.read()))
    return words


def public_functions(text):
    """name -> the errors that the comment above it names, of each function of a header that returns int. Of several
    under one comment each has all of them."""
    found, comment = {}, ''
    for match in re.finditer(r'/\*.*?\*/|MINIRPC_API\s+int\s+(minirpc_\w+)\s*\(', text, re.DOTALL):
        if match.group(1):
            found[match.group(1)] = set(re.findall(r'-E[A-Z0-9]+', comment))
        else:
            comment = match.group(0)
    return found


def rows(text):
    """name -> what is in the row of the table of return values that begins with it."""
    table = text.split('## Return values', 1)[1].split('\n## ', 1)[0].split('Generated functions', 1)[0]
    return {name: line for line in table.split('\n') if line.startswith('| `')
            for name in re.findall(r'`(minirpc_\w+)`', line.split('|')[1])}


def errors_table(check):
    with open('docs/errors.md', encoding='utf-8') as file:
        table = rows(file.read())
    functions = {}
    for path in sorted(glob.glob('include/minirpc/*.h')):
        with open(path, encoding='utf-8') as file:
            functions.update(public_functions(file.read()))
    for name, errors in functions.items():
        check(name in table, f'docs/errors.md: no row for {name}')
        missing = sorted(error for error in errors if error not in table.get(name, ''))
        check(name not in table or not missing, f'docs/errors.md: the row of {name} lacks {", ".join(missing)}')
    for name in table:
        check(name in functions, f'docs/errors.md: a row for {name}, which is no public function that returns int')


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

    sample = '/* Returns 0, -EINVAL. */\nMINIRPC_API int minirpc_a(void);\nMINIRPC_API int minirpc_b(int x);\n'
    check(public_functions(sample) == {'minirpc_a': {'-EINVAL'}, 'minirpc_b': {'-EINVAL'}}, 'self-test: functions')
    sample = '## Return values\n| `minirpc_a`, `minirpc_b` | -EIO |\nas `minirpc_c`\n## Statuses\n| `minirpc_d` |\n'
    check(sorted(rows(sample)) == ['minirpc_a', 'minirpc_b'], 'self-test: rows')
    errors_table(check)

    tests = words_of_tests()
    for path in pages():
        with open(path, encoding='utf-8') as file:
            text = file.read()
        for line, language, before, block in blocks(text):
            if language not in LANGUAGES or before.startswith(MARK):
                continue
            wanted = pieces(block)
            check(wanted and any(has_all(source, wanted) for suffix in LANGUAGES[language] for source in texts.get(suffix, [])),
                  f'{path}:{line}: this block is in no file of {", ".join(FOLDERS)}')
        for folder, name in re.findall(r'`([a-z0-9]+):(\w+)`', text):
            check(folder not in tests or name in tests[folder], f'{path}: there is no test {folder}:{name}')
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

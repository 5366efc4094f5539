#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of test/fuzz/corpus, one file for each idea; run it after a change here and commit what it wrote.

Files that it does not know (bug-..., found by a fuzzer) are left alone.
"""
import os
import struct

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'corpus')


def seed(target, name, data):
    os.makedirs(os.path.join(CORPUS, target), exist_ok=True)
    with open(os.path.join(CORPUS, target, name), 'wb') as file:
        file.write(data)


# ---- Pure targets ----

def message(data, flag=0, length=None):
    return struct.pack('>BI', flag, len(data) if length is None else length) + data


def frames():
    def frame(name, limit, chunks, data):
        seed('frame', name, bytes([limit, len(chunks), *chunks]) + data)

    three = message(b'one') + message(b'') + message(b'three', flag=1)
    frame('three-whole', 15, [], three)
    frame('three-byte-by-byte', 15, [1] * 15, three)
    frame('three-odd-chunks', 15, [4, 1, 5, 0, 2, 7], three)
    frame('empty', 15, [], b'')
    frame('zero-length', 15, [], message(b'') * 3)
    frame('bad-flag', 15, [], message(b'x') + message(b'y', flag=2))
    frame('at-limit', 3, [], message(b'1234567'))
    frame('over-limit', 3, [], message(b'12345678'))
    frame('huge-announced', 15, [5, 10], message(b'0123456789', length=0xFFFFFFFF))
    frame('truncated', 15, [], message(b'abc', length=10))
    frame('cut-prefix', 15, [], message(b'abc') + b'\0\0\0')
    frame('grows', 15, [200, 255, 255, 255, 255, 255, 255, 255, 255, 255], message(bytes(range(256)) * 40))


def headers():
    values = {
        'empty': b'', 'plain': b'Key not found gopher', 'percent': b'100%25 caf%C3%A9 %e2%98%ba', 'broken': b'%4 %G0 %% %',
        'interop': b'%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A',
        'not-utf8': b'%80%FF%ED%A0%80%C0%80%F4%90%80%80', 'nul': b'a%00b', 'raw-utf8': 'tsch\u00fc\u00df \U0001f608'.encode(),
        'base64-0': b'', 'base64-1': b'Zg', 'base64-1-padded': b'Zg==', 'base64-2': b'Zm8', 'base64-2-padded': b'Zm8=',
        'base64-3': b'Zm9v', 'base64-left-over': b'Zh==', 'base64-bad': b'Zm9*', 'base64-all': bytes(range(43, 123)),
        'type': b'application/grpc', 'type-proto': b'application/grpc+proto', 'type-parameter': b'application/grpc+json ; charset=utf-8',
        'type-empty': b'application/grpc+', 'type-web': b'application/grpc-web+proto', 'path': b'/rpc.Cache/Get',
        'path-short': b'/a', 'path-slashes': b'/a/b/c', 'status-0': b'0', 'status-16': b'16', 'status-17': b'17', 'status-00': b'00',
        'name-timeout': b'grpc-timeout', 'name-method': b':method', 'name-other': b'grpc-trace-bin', 'name-te': b'te',
        'bytes': bytes(range(256)),
    }
    for name, value in values.items():
        seed('header', name, value)


def timeouts():
    texts = ['0n', '1n', '50m', '99999999n', '99999999u', '99999999H', '1281023H', '1281024H', '123456789S', 'S', '1', '-1S',
             '1s', '00000001S', '1 S', '2S ']
    for text in texts:
        seed('timeout', 'text-' + text.replace(' ', '_'), text.encode())
    for span in (0, 1, 99999999, 10 ** 8, 99999999000, 99999999001, 10 ** 11, 2 ** 62, 2 ** 62 + 1, 2 ** 63 - 1, 2 ** 63, 2 ** 64 - 1):
        seed('timeout', f'span-{span}', struct.pack('>Q', span))


def metadata():
    def fields(name, *pairs):
        seed('metadata', name, b''.join(bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in pairs))

    fields('one', (b'dry-run', b'true'))
    fields('repeated', (b'a', b'1'), (b'b', b'2'), (b'a', b'3'))
    fields('binary', (b'trace-bin', bytes(range(20))), (b'x-bin', b''))
    fields('reserved', (b'grpc-timeout', b'1S'))
    fields('http', (b'connection', b'close'))
    fields('pseudo', (b':path', b'/'))
    fields('upper', (b'Dry-Run', b'true'))
    fields('no-key', (b'', b'x'))
    fields('space', (b'a', b' x'))
    fields('newline', (b'a', b'x\r\nb: c'))
    fields('many', *[(b'k%d' % i, b'v' * i) for i in range(32)])


if __name__ == '__main__':
    frames()
    headers()
    timeouts()
    metadata()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of test/fuzz/corpus, one file for each idea; run it after a change here and commit what it wrote.

Files that it does not know (bug-..., found by a fuzzer) are left alone.
"""
import os
import struct
import zlib

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


def compress():
    # What other libraries make of these is written out, so that this script needs none of them.
    def inflate(name, which, data, limit=22):
        seed('compress', name, bytes([which, limit]) + data)

    def packed(data, bits, level=9):
        packer = zlib.compressobj(level, zlib.DEFLATED, bits)
        return packer.compress(data) + packer.flush()

    for which, (name, bits) in enumerate((('gzip', 31), ('deflate', 15))):
        inflate(f'{name}-hello', which, packed(b'hello hello hello', bits))
        inflate(f'{name}-empty', which, packed(b'', bits))
        inflate(f'{name}-stored', which, packed(bytes(range(256)), bits, 0))
        inflate(f'{name}-bomb', which, packed(bytes(8 << 20), bits))
        inflate(f'{name}-at-limit', which, packed(bytes(4 << 20), bits))
        inflate(f'{name}-over-limit', which, packed(bytes((4 << 20) + 1), bits))
        inflate(f'{name}-small-limit', which, packed(b'x' * 17, bits), 4)
        inflate(f'{name}-garbage', which, packed(b'hello', bits) + b'garbage')
        inflate(f'{name}-nothing', which, b'')
    inflate('gzip-members', 0, packed(b'hello ', 31) + packed(b'world', 31))
    inflate('gzip-many-members', 0, packed(b'', 31) * 150)
    inflate('gzip-name', 0, b'\x1f\x8b\x08\x1e\0\0\0\0\0\xff\2\0abname\0comment\0\0\0' + packed(b'x', -15))
    inflate('deflate-dictionary', 1, b'\x78\xbb\0\0\0\1' + packed(b'x', -15))
    inflate('deflate-raw', 1, packed(b'hello', -15))
    inflate('zstd-hello', 2, bytes.fromhex('28b52ffd20116500003068656c6c6f200100314a11'))
    inflate('zstd-large-window', 2, bytes.fromhex('28b52ffd00880100007800'))
    inflate('zstd-skippable', 2, bytes.fromhex('502a4d180300000061626328b52ffd20116500003068656c6c6f200100314a11'))
    inflate('zstd-run', 2, bytes.fromhex('28b52ffd0058' + '020010' + '78' + '030010' + '78'))
    inflate('br-hello', 3, bytes.fromhex('1b1000f88d946ede445586966c206f014f1c601c'))
    inflate('br-empty', 3, b';')
    inflate('br-window-24', 3, b'\x0f\xff\xff\xff\xff')
    hello = bytes.fromhex('01150000ab04b51d68656c6c6f2068656c6c6f2068656c6c6f')
    head = b'\xff\6\0\0sNaPpY'
    inflate('snappy-hello', 4, head + hello)
    inflate('snappy-padding', 4, head + b'\xfe\3\0\0\0\0\0' + hello + head)
    inflate('snappy-unknown', 4, head + b'\x40\0\0\0' + hello)
    inflate('snappy-block-too-large', 4, head + b'\0\x08\0\0\0\0\0\0\xff\xff\xff\x0f')


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


def configs():
    retry = ('{"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"1s","backoffMultiplier":1.5,'
             '"retryableStatusCodes":["UNAVAILABLE",10]}')
    for name, text in {
            'empty': '{}',
            'retry': '{"methodConfig":[{"name":[{"service":"rpc.Cache","method":"Get"},{"service":"a"}],"timeout":"0.5s",'
                     '"waitForReady":true,"maxRequestMessageBytes":1000,"maxResponseMessageBytes":"2000",'
                     f'"retryPolicy":{retry}}}]}}',
            'hedging': '{"methodConfig":[{"name":[{}],"hedgingPolicy":{"maxAttempts":"9","hedgingDelay":"0.02s",'
                       '"nonFatalStatusCodes":["aborted"]}}]}',
            'both': f'{{"methodConfig":[{{"name":[{{}}],"retryPolicy":{retry},"hedgingPolicy":{{"maxAttempts":2}}}}]}}',
            'rest': '{"retryThrottling":{"maxTokens":10,"tokenRatio":0.1},"loadBalancingPolicy":"ROUND_ROBIN",'
                    '"healthCheckConfig":{"serviceName":"a"}}',
            'policies': '{"loadBalancingConfig":[{"xds":{"a":[1,2.5,"\\u00e9\\ud83d\\ude00",null,true]}},{"round_robin":{}}]}',
            'twice': '{"methodConfig":[{"name":[{"service":"a"},{"service":"a"}]}]}',
            'long-time': '{"methodConfig":[{"name":[{}],"timeout":"315576000000.000000000s"}]}',
            'bad-time': '{"methodConfig":[{"name":[{}],"timeout":"-1.0000000001s"}]}',
            'unknown': '{"x":[{"y":"z"}],"methodConfig":null}',
            'syntax': '{"a":\n[1,}',
            'nul': '{"a":"\\u0000"}',
            'deep': '[' * 33 + ']' * 33,
            'deepest': '{"loadBalancingConfig":[{"a":' + '{"b":' * 28 + '{}' + '}' * 28 + '}]}',
            'choices': '[{"clientLanguage":["go"],"serviceConfig":{}},{"percentage":50,"clientHostname":["h"],'
                       '"serviceConfig":{"a":1}},{"serviceConfig":{"b":[]}}]',
    }.items():
        seed('config', name, text.encode())


# ---- Protobuf ----

def varint(value):
    value &= 2 ** 64 - 1
    out = b''
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """An int becomes a varint, bytes a length-delimited field, a float a fixed64."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack('<d', value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def typed():
    types, tree, outer, wide, structure, descriptor = range(6)

    def one(name, kind, data):
        seed('typed', name, bytes([kind]) + data)

    def nested(depth, number):
        data = b''
        for _ in range(depth):
            data = field(number, data)
        return data

    one('empty', types, b'')
    one('scalars', types, b''.join(field(n, -1) for n in (1, 2, 4, 5, 7, 9, 13, 14)) + field(12, 1.5))
    one('fixed', types, b'\x1d\1\2\3\4' + b'\x31' + b'\xff' * 8 + b'\x5d\0\0\x80\x7f')
    one('texts', types, field(15, 'caf\u00e9'.encode()) + field(16, b'\0\xff') + field(17, field(1, b'x') + field(2, 7)))
    one('packed', types, field(21, varint(1) + varint(2 ** 64 - 1)) + field(28, b'\1\0\0\0' * 3) + field(33, b'\1\0\x85\0'))
    one('unpacked', types, field(21, 1) + field(21, 2) + field(33, 1))
    one('repeated', types, field(35, b'a') * 5 + field(36, b'') * 3 + field(37, field(1, b'n')) * 4)
    one('oneof-changes', types, field(101, 1) + field(103, b'x') + field(105, field(1, b'y')) + field(105, field(2, 3)))
    one('twice-merged', types, field(17, field(1, b'a')) + field(17, field(2, 5)))
    one('not-utf8', types, field(15, b'\xff'))
    one('nul-in-text', types, field(15, b'a\0b'))
    one('unknown-fields', types, field(600, 1) + field(601, b'xyz') + field(602, 2.5))
    one('large-numbers', types, field(1000, field(1, 3)) + field(536870911, b''))
    one('group', types, varint(1 << 3 | 3) + varint(1 << 3 | 4))
    one('field-zero', types, b'\0\1')
    one('long-varint', types, b'\x08' + b'\xff' * 10 + b'\1')
    one('cut', types, b'\x7a\x10abc')
    one('length-wraps', types, b'\x7a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1')
    one('depth-100', tree, nested(100, 1))
    one('depth-101', tree, nested(101, 1))
    one('depth-list', tree, nested(60, 2))
    one('many-empty', tree, field(2, b'') * 500)
    one('required', outer, field(1, b'k') + field(2, field(1, 1)))
    one('required-missing', outer, field(1, b'k'))
    one('required-inner-missing', outer, field(1, b'k') + field(2, b''))
    one('defaults', outer, field(1, b'k') + field(2, field(1, 1) + field(2, b'n') + field(3, b'd')) + field(8, 0) + field(10, b''))
    one('wide', wide, field(70, 1) + field(147, 2) + field(3, field(1, 4)))
    one('wide-missing', wide, field(70, 1))
    one('struct', structure, field(1, field(1, b'key') + field(2, field(2, 1.25))) +
        field(1, field(1, b'list') + field(2, field(6, field(1, field(3, b'x')) + field(1, field(4, 1))))) +
        field(1, field(1, b'null') + field(2, field(1, 0))))
    one('descriptor', descriptor, field(1, b'a.proto') + field(2, b'p') +
        field(4, field(1, b'M') + field(2, field(1, b'f') + field(3, 1) + field(4, 1) + field(5, 5))) + field(12, b'proto3'))


# ---- HTTP/2 ----

def frame(kind, flags=0, stream=0, data=b''):
    return struct.pack('>I', len(data))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + data


def block(*fields):
    """A header block of literals that are not indexed: RFC 7541, 6.2.2."""
    def text(s):
        return (bytes([len(s)]) if len(s) < 127 else b'\x7f' + varint(len(s) - 127)) + s
    return b''.join(b'\0' + text(name) + text(value) for name, value in fields)


END_STREAM, END_HEADERS = 1, 4
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = range(10)
PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'


def arrives(*frames):
    """A step of the script: these bytes arrive at once."""
    data = b''.join(frames)
    return bytes([0]) + struct.pack('>H', len(data)) + data


def request(path=b'/t.T/Unary', *more, method=b'POST', type=b'application/grpc', te=True):
    return block((b':method', method), (b':scheme', b'http'), (b':path', path), (b':authority', b'fuzz'),
                 *([(b'te', b'trailers')] if te else []), (b'content-type', type), *more)


def call(stream=1, path=b'/t.T/Unary', *more, data=message(b'hello'), **options):
    return frame(HEADERS, END_HEADERS, stream, request(path, *more, **options)) + frame(DATA, END_STREAM, stream, data)


def server():
    def script(name, *steps, flags=1):
        seed('server', name, bytes([flags]) + b''.join(steps))

    later = 3
    script('preface', arrives(PREFACE, frame(SETTINGS), call()), flags=0)
    script('preface-bytes', *[bytes([1, b]) for b in PREFACE + frame(SETTINGS) + call()], flags=0)
    script('http1', arrives(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), flags=0)
    script('unary', arrives(call()))
    script('unary-closed', arrives(call()), b'\xfa')
    script('two-calls', arrives(call(1), call(3)))
    script('chat', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), frame(DATA, 0, 1, message(b'a') + message(b'b')[:3])),
           arrives(frame(DATA, END_STREAM, 1, message(b'b')[3:])))
    script('metadata', arrives(call(1, b'/t.T/Unary', (b'x-bin', b'AAEC,Zg=='), (b'x', b'y'), (b'x', b'z'), (b'user-agent', b'fuzz/1'))))
    script('metadata-bad-bin', arrives(call(1, b'/t.T/Unary', (b'x-bin', b'*'))))
    script('timeout', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat', (b'grpc-timeout', b'5S')))), b'\xf1', flags=later)
    script('timeout-over', arrives(call(1, b'/t.T/Unary', (b'grpc-timeout', b'0n'))))
    script('timeout-bad', arrives(call(1, b'/t.T/Unary', (b'grpc-timeout', b'123456789S'))))
    script('unknown-method', arrives(call(1, b'/t.T/Other')))
    script('bad-path', arrives(call(1, b'unary')))
    script('get', arrives(call(method=b'GET')))
    script('web', arrives(call(type=b'application/grpc-web')))
    script('no-te', arrives(call(te=False)))
    script('no-message', arrives(call(data=b'')))
    script('two-messages', arrives(call(data=message(b'a') * 2)))
    script('empty-message', arrives(call(data=message(b''))))
    script('truncated', arrives(call(data=message(b'abc', length=9))))
    script('bad-flag', arrives(call(data=message(b'abc', flag=7))))
    script('compressed', arrives(call(data=message(b'abc', flag=1))))
    script('compressed-named', arrives(call(1, b'/t.T/Unary', (b'grpc-encoding', b'gzip'), data=message(b'abc', flag=1))))
    script('too-large', arrives(call(data=message(b'abc', length=4194305))))
    script('reset', arrives(frame(HEADERS, END_HEADERS, 1, request()), frame(RST_STREAM, 0, 1, b'\0\0\0\x08')), flags=later)
    script('reset-flood', *[arrives(frame(HEADERS, END_HEADERS, 2 * i + 1, request()), frame(RST_STREAM, 0, 2 * i + 1, b'\0\0\0\x08'))
                            for i in range(260)])
    script('ping-flood', *[arrives(frame(PING, 0, 0, b'12345678') * 100) for _ in range(12)])
    script('settings-flood', *[arrives(frame(SETTINGS) * 100) for _ in range(12)])
    script('settings-flood-stalled', b'\xf3', *[arrives(frame(SETTINGS) * 100) for _ in range(12)], b'\xf4')
    script('empty-data', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), frame(DATA, 0, 1) * 120))
    script('streams-101', *[arrives(frame(HEADERS, END_HEADERS, 2 * i + 1, request(b'/t.T/Chat'))) for i in range(102)], b'\xf5', flags=later)
    script('window-overflow', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), frame(WINDOW_UPDATE, 0, 1, b'\x7f\xff\xff\xff')))
    script('window-zero', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), frame(WINDOW_UPDATE, 0, 1, b'\0\0\0\0')))
    script('window-small', arrives(frame(SETTINGS, 0, 0, b'\0\4\0\0\0\3'), call()), arrives(frame(WINDOW_UPDATE, 0, 1, b'\0\0\0\x80')))
    script('continuations', arrives(frame(HEADERS, 0, 1, request()[:9]), frame(CONTINUATION, 0, 1, request()[9:30]),
                                    frame(CONTINUATION, END_HEADERS, 1, request()[30:]), frame(DATA, END_STREAM, 1, message(b'x'))))
    script('continuation-flood', arrives(frame(HEADERS, 0, 1, request()), *[frame(CONTINUATION, 0, 1)] * 20))
    script('block-open', arrives(frame(HEADERS, 0, 1, request())), b'\xf1\xf1')
    script('header-list-17k', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Unary', (b'x', b'y' * 16000))[:16000]),))
    script('fields-130', arrives(call(1, b'/t.T/Unary', *[(b'k%d' % i, b'v') for i in range(130)])))
    script('hpack-bomb', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Unary') + b'\x40\1x\x7f\x81\x1e' + b'y' * 4000 + b'\xbe' * 60)))
    script('hpack-bad', arrives(frame(HEADERS, END_HEADERS, 1, b'\xff\xff\xff\xff\xff\xff')))
    script('trailers', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), frame(HEADERS, 5, 1, block((b'x', b'y')))))
    script('goaway', arrives(frame(GOAWAY, 0, 0, b'\0\0\0\0\0\0\0\0'), call()))
    script('push', arrives(frame(PUSH_PROMISE, END_HEADERS, 1, b'\0\0\0\2' + request())))
    script('even-stream', arrives(call(2)))
    script('data-on-idle', arrives(frame(DATA, 0, 5, b'x')))
    script('data-after-end', arrives(call()), arrives(frame(DATA, 0, 1, message(b'x'))))
    script('frame-too-large', arrives(b'\0\x40\1\0\0\0\0\0\1' + b'x' * 100))
    script('padding', arrives(frame(HEADERS, END_HEADERS, 1, request()), frame(DATA, 9, 1, b'\5' + message(b'hi') + b'\0' * 5)))
    script('priority-flood', *[arrives(frame(PRIORITY, 0, 1, b'\0\0\0\0\0') * 100) for _ in range(12)])
    script('unknown-frames', *[arrives(frame(0xFA, 0, 1, b'x') * 100) for _ in range(12)])
    script('stalled', b'\xf3', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), *[frame(DATA, 0, 1, message(b'm' * 1000))] * 20),
           b'\xf1\xf1\xf1\xf1')
    script('later-answered', arrives(call(1), call(3)), b'\xf5', flags=later)
    script('later-failed', arrives(call(1), call(3)), b'\xf6', flags=later)
    script('later-cancelled', arrives(call(1), call(3)), b'\xf7', flags=later)
    script('later-left', arrives(call(1)), b'\xfa\xf5', flags=later)
    script('later-freed', arrives(call(1)), flags=later)
    script('drain', arrives(call(1)), b'\xf8', arrives(call(3)), arrives(frame(PING, 1, 0, b'\0' * 8)), b'\xf1\xf2', flags=later)
    script('stop', arrives(call(1)), b'\xf9\xf5', flags=later)
    script('pause', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat'))), b'\xfb', arrives(frame(DATA, END_STREAM, 1, message(b'a') * 3)),
           b'\xfc')
    for n in (1, 2, 3, 5, 8, 13, 21):
        script(f'no-memory-once-{n}', bytes([0xFD, n]), arrives(call(1, b'/t.T/Unary', (b'x', b'y'))), arrives(call(3)))
        script(f'no-memory-{n}', bytes([0xFE, n]), arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat')), frame(DATA, 0, 1, message(b'a' * 100))),
               arrives(call(3)), b'\xf1')
    script('no-handshake', b'\xf1\xf1', flags=0)
    script('no-settings', arrives(PREFACE, call()), b'\xf1\xf1', flags=0)
    # 8 a door with quotas, 16 interceptors, 32 a fallback, 64 a connection that ages
    for name, flags in (('door', 9), ('hooks', 17), ('hooks-later', 19), ('fallback', 33), ('ages', 67), ('everything', 123)):
        script(f'{name}-calls', *[arrives(call(2 * i + 1, path)) for i, path in enumerate((b'/t.T/Unary', b'/t.T/Chat', b'/t.T/Other') * 4)],
               b'\xff\xf5\xff\xf0\xf0\xf0\xf0\xff', arrives(call(25)), b'\xf1\xff\xf1\xf1\xf1', flags=flags)
        script(f'{name}-upload', arrives(frame(HEADERS, END_HEADERS, 1, request(b'/t.T/Chat'))), b'\xfb',
               *[arrives(frame(DATA, 0, 1, message(b'm' * 9000))) for _ in range(9)], b'\xfc\xff', arrives(frame(DATA, END_STREAM, 1)), b'\xf5\xff', flags=flags)
        script(f'{name}-stopped', arrives(call(1), call(3)), b'\xff\xf9\xff\xf5\xff', flags=flags)


def client():
    def script(name, *steps, flags=1):
        seed('client', name, bytes([flags]) + b''.join(steps))

    ok = (b':status', b'200'), (b'content-type', b'application/grpc')

    def headers(stream, *fields, flags=END_HEADERS):
        return frame(HEADERS, flags, stream, block(*fields))

    def answer(stream, data=message(b'hello'), status=b'0', *more, start=ok):
        return headers(stream, *start) + frame(DATA, 0, stream, data) + headers(stream, (b'grpc-status', status), *more, flags=5)

    script('settings', arrives(frame(SETTINGS), frame(SETTINGS, 1)), flags=0)
    script('unary', arrives(answer(1)))
    script('both', arrives(answer(1), answer(3)))
    script('stream', arrives(headers(3, *ok), frame(DATA, 0, 3, message(b'a') * 4)), arrives(headers(3, (b'grpc-status', b'0'), flags=5)))
    script('trailers-only', arrives(headers(1, *ok, (b'grpc-status', b'5'), (b'grpc-message', b'no %E2%98%BA key%'), (b'x', b'y'), flags=5)))
    script('details', arrives(answer(1, b'', b'9', (b'grpc-status-details-bin', b'CAkSAng'), (b'x-bin', b'AAE,AA=='))))
    script('details-bad', arrives(answer(1, b'', b'9', (b'grpc-status-details-bin', b'*'))))
    script('status-bad', arrives(answer(1, message(b'x'), b'seven')))
    script('status-missing', arrives(headers(1, *ok), frame(DATA, 0, 1, message(b'x')), headers(1, (b'x', b'y'), flags=5)))
    script('no-message', arrives(answer(1, b'')))
    script('two-messages', arrives(answer(1, message(b'x') * 2)))
    script('body-no-trailers', arrives(headers(1, *ok), frame(DATA, END_STREAM, 1, message(b'x'))))
    script('truncated', arrives(answer(1, message(b'x', length=9))))
    script('bad-flag', arrives(answer(1, message(b'x', flag=3))))
    script('compressed', arrives(answer(1, message(b'x', flag=1))))
    script('too-large', arrives(answer(1, message(b'x', length=4194305))))
    for code in (100, 204, 400, 401, 403, 404, 429, 503, 302, 999):
        script(f'http-{code}', arrives(headers(1, (b':status', b'%d' % code), (b'content-type', b'text/html'), flags=5 if code > 199 else 4)))
    script('continue', arrives(headers(1, (b':status', b'100')), answer(1)))
    script('html', arrives(answer(1, b'<html>', start=((b':status', b'200'), (b'content-type', b'text/html')))))
    script('no-status', arrives(headers(1, (b'content-type', b'application/grpc'))))
    for code in range(15):
        script(f'reset-{code}', arrives(frame(RST_STREAM, 0, 1, struct.pack('>I', code))))
    script('reset-after', arrives(headers(3, *ok), frame(DATA, 0, 3, message(b'a')), frame(RST_STREAM, 0, 3, b'\0\0\0\0')))
    script('goaway', arrives(frame(GOAWAY, 0, 0, b'\0\0\0\1\0\0\0\0')), arrives(answer(1)))
    script('goaway-twice', arrives(frame(GOAWAY, 0, 0, b'\x7f\xff\xff\xff\0\0\0\0')), arrives(frame(GOAWAY, 0, 0, b'\0\0\0\0\0\0\0\0')))
    script('too-many-pings', arrives(frame(GOAWAY, 0, 0, b'\0\0\0\0\0\0\0\x0btoo_many_pings')))
    script('ping', arrives(frame(PING, 0, 0, b'12345678')))
    script('ping-flood', *[arrives(frame(PING, 0, 0, b'12345678') * 100) for _ in range(12)])
    script('one-stream', arrives(frame(SETTINGS, 0, 0, b'\0\3\0\0\0\1')), b'\xf5\xf5\xf6', arrives(answer(1), answer(3)), arrives(answer(5)))
    script('no-streams', arrives(frame(SETTINGS, 0, 0, b'\0\3\0\0\0\0')), b'\xf5', b'\xf2')
    script('window-0', arrives(frame(SETTINGS, 0, 0, b'\0\4\0\0\0\0')), b'\xf7\xf7\xf8', arrives(frame(SETTINGS, 0, 0, b'\0\4\0\1\0\0')))
    script('window-overflow', arrives(frame(WINDOW_UPDATE, 0, 0, b'\x7f\xff\xff\xff')))
    script('push', arrives(frame(PUSH_PROMISE, END_HEADERS, 1, b'\0\0\0\2' + request())))
    script('hpack-bomb', arrives(frame(HEADERS, END_HEADERS, 1, block(*ok) + b'\x40\1x\x7f\x81\x1e' + b'y' * 4000 + b'\xbe' * 60)))
    script('fields-130', arrives(headers(1, *ok, *[(b'k%d' % i, b'v') for i in range(130)])))
    for n in (1, 2, 3, 5, 8, 13, 21):
        script(f'no-memory-once-{n}', bytes([0xFD, n]), b'\xf5\xf6', arrives(answer(1), answer(3)), arrives(answer(5)))
        script(f'no-memory-{n}', bytes([0xFE, n]), b'\xf5\xf7\xf8', arrives(answer(1), answer(3)))
    script('cancel', b'\xf9', arrives(answer(1), answer(3)))
    script('closed', arrives(headers(3, *ok), frame(DATA, 0, 3, message(b'a'))), b'\xfa')
    script('closed-at-once', b'\xfa\xf5\xf1', flags=0)
    script('deadline', b'\xf2', arrives(answer(1)))
    script('silence', b'\xf1\xf1', flags=0)
    script('http1', arrives(b'HTTP/1.1 400 Bad Request\r\n\r\n'), flags=0)
    script('pause', b'\xfb', arrives(answer(1), answer(3)), b'\xfc')
    script('pause-deadline', b'\xfb', arrives(answer(1), answer(3)), b'\xf2\xfc')
    script('stream-unknown', arrives(answer(9)))
    script('even-stream', arrives(answer(2)))
    script('data-first', arrives(frame(DATA, 0, 1, message(b'x'))))
    script('data-after-end', arrives(answer(1), frame(DATA, 0, 1, message(b'x'))))
    # 4 retries, 8 hedging, 16 interceptors of calls, 32 of attempts, 64 keepalive
    for name, flags in (('retry', 5), ('hedging', 9), ('hooks', 17), ('attempts', 49), ('retry-hooks', 53), ('hedging-hooks', 57), ('keepalive', 65)):
        refused = b''.join(headers(stream, *ok, (b'grpc-status', b'14'), flags=5) for stream in (1, 3))
        pushed = b''.join(headers(stream, *ok, (b'grpc-status', b'14'), (b'grpc-retry-pushback-ms', b'2'), flags=5) for stream in (5, 7))
        script(f'{name}-refused', arrives(refused), b'\xf0\xf0\xff', arrives(pushed), b'\xf0\xf0\xf0\xff', arrives(answer(9), answer(11)), b'\xff\xff', flags=flags)
        script(f'{name}-answered', b'\xff\xff\xff\xf0\xf0', arrives(answer(1), answer(5)), b'\xff\xf7\xf8\xff', arrives(answer(3), answer(7)), b'\xff\xff', flags=flags)
        script(f'{name}-cancelled', b'\xf0\xf0\xf0', arrives(refused), b'\xf9\xff', flags=flags)
        script(f'{name}-goaway', b'\xf0', arrives(frame(GOAWAY, 0, 0, b'\0\0\0\1\0\0\0\0')), b'\xff\xf0', arrives(answer(1)), b'\xff\xfa', flags=flags)


if __name__ == '__main__':
    frames()
    compress()
    headers()
    timeouts()
    metadata()
    configs()
    typed()
    server()
    client()

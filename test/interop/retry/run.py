#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Retries as others make them: the same service config and the same failing server for our client, grpc-go's and
grpcio's; the servers are grpc-go's, grpcio's, ours (judge.c) and a bare HTTP/2 one. The codes of the calls, the number
of attempts and what each of them says in grpc-previous-rpc-attempts must be the same.

    test/interop/retry/run.py [--build build-test]     ./test/run calls it too

A script tells the server what to do with each attempt of a case, the last step again and again: "14" a status,
"14:100" with grpc-retry-pushback-ms, "14h" behind response headers, "0" the answer; at the bare HTTP/2 server also "R"
(REFUSED_STREAM) and "G" (GOAWAY below the stream). Where grpc-go and grpcio differ from each other, ours has to agree
with one of them, and a line says so.
"""
import argparse
import json
import os
import subprocess
import sys
import threading

if __name__ == '__main__':
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from interop import run as interop

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def policy(attempts=4, codes=('UNAVAILABLE',), initial='0.01s', most='0.05s', multiplier=2, **more):
    retry = {'maxAttempts': attempts, 'initialBackoff': initial, 'maxBackoff': most, 'backoffMultiplier': multiplier,
             'retryableStatusCodes': list(codes)}
    return {'methodConfig': [{'name': [{'service': 'judge.Retry'}], 'retryPolicy': retry}], **more}


def throttling(tokens, ratio, **more):
    return policy(retryThrottling={'maxTokens': tokens, 'tokenRatio': ratio}, **more)


def only_call(**more):
    config = policy(**more)
    config['methodConfig'][0]['name'] = [{'service': 'judge.Retry', 'method': 'Call'}]
    return config


# name: (config, script, further things)
CASES = {
    'no config, no retry': (None, '14'),
    'no config, good': (None, '0'),
    'good at once': (policy(), '0'),
    'one failure': (policy(), '14;0'),
    'two failures': (policy(), '14;14;0'),
    'three failures': (policy(), '14;14;14;0'),
    'as many as are allowed': (policy(), '14'),
    'two attempts': (policy(attempts=2), '14'),
    'two attempts, good at last': (policy(attempts=2), '14;0'),
    'three attempts': (policy(attempts=3), '14'),
    'five attempts': (policy(attempts=5), '14'),
    'more than five are five': (policy(attempts=9), '14'),
    'another code is not repeated': (policy(), '13'),
    'a code that is, then one that is not': (policy(), '14;5'),
    'OK is not a failure': (policy(codes=('UNAVAILABLE', 'INTERNAL')), '0'),
    'two codes': (policy(codes=('UNAVAILABLE', 'INTERNAL')), '13;14;0'),
    'two codes to the end': (policy(codes=('UNAVAILABLE', 'INTERNAL')), '13;14;13;14'),
    'codes as numbers': (policy(codes=(14, 8)), '8;14;0', {'without': 'grpcio'}),  # which refuses them
    'ABORTED': (policy(codes=('ABORTED',)), '10;10;0'),
    'DEADLINE_EXCEEDED from the server': (policy(codes=('DEADLINE_EXCEEDED',)), '4;0'),
    'CANCELLED from the server': (policy(codes=('CANCELLED',)), '1;0'),
    'UNKNOWN': (policy(codes=('UNKNOWN',)), '2;2;2;2'),
    'RESOURCE_EXHAUSTED': (policy(codes=('RESOURCE_EXHAUSTED',)), '8;0'),
    'headers commit': (policy(), '14h;0'),
    'headers commit the second attempt': (policy(), '14;14h;0'),
    'pushback': (policy(), '14:20;0'),
    'pushback of nothing': (policy(), '14:0;0', {'without': 'grpcio'}),  # whose call then hangs
    'pushback twice': (policy(), '14:10;14:10;0'),
    'pushback to the end': (policy(), '14:5'),
    'pushback forbids': (policy(), '14:-1;0'),
    'pushback forbids the third': (policy(), '14;14:-1;0'),
    'pushback that is no number': (policy(), '14:soon;0'),
    'pushback that is empty space': (policy(), '14: ;0'),
    'pushback with a status that is not repeated': (policy(), '13:10;0'),
    'pushback instead of a long backoff': (policy(initial='30s', most='60s'), '14:10;0', {'timeout': 3000}),
    'pushback, then the backoff again': (policy(), '14:10;14;0'),
    'a stream of requests, one failure': (policy(), '14;0', {'method': 'Many'}),
    'a stream of requests, to the end': (policy(), '14', {'method': 'Many'}),
    'a stream of requests, headers commit': (policy(), '14h;0', {'method': 'Many'}),
    'a stream of requests, pushback': (policy(), '14:10;0', {'method': 'Many'}),
    'the config names another method': (only_call(), '14;0', {'method': 'Many'}),
    'the config names the method': (only_call(), '14;0'),
    'the deadline ends the backoff': (policy(initial='5s', most='5s'), '14;0', {'timeout': 150}),
    'the deadline ends a pushback': (policy(), '14:5000;0', {'timeout': 150}),
    'throttled after four failures': (throttling(4, 0.1), '14', {'count': 6}),
    'throttled at ten': (throttling(10, 0.1), '14', {'count': 8}),
    'good calls fill the bucket': (throttling(4, 1), '14;14;0;0;0;0;0;14;14;0', {'count': 8}),
    'a ratio in thousandths': (throttling(2, 0.001), '14;0', {'count': 4}),
    'one token': (throttling(1, 0.5), '14;0', {'count': 3}),
    'codes that are not repeated cost nothing': (throttling(4, 0.1), '13;13;13;13;14;0', {'count': 6}),
    'pushback that forbids costs a token': (throttling(2, 0.1), '13:-1;14;0', {'count': 3}),
}

# At the bare server: what the server never saw is not counted.
BARE = {
    'bare: one failure': (policy(), '14;0'),
    'bare: refused once': (None, 'R;0'),
    'bare: refused twice': (None, 'R;R;0'),
    'bare: refused once, with a policy': (policy(), 'R;14;0'),
    'bare: refused, then all attempts': (policy(), 'R;14'),
    'bare: refused twice, with a policy': (policy(), 'R;R;0'),
    'bare: refused, a stream of requests': (None, 'R;0', {'method': 'Many'}),
    'bare: refused is not throttled': (throttling(1, 0.5), 'R;0', {'count': 2}),
    'bare: gone away once': (None, 'G;0'),
    'bare: gone away, with a policy': (policy(), 'G;14;0'),
    'bare: pushback': (policy(), '14:10;0'),
}


# Our server cannot be made to say these.
NOT_OURS = ('pushback that is no number', 'pushback that is empty space')


class Caller:
    """A client, and one line of answer for each line of question."""

    def __init__(self, name, command, env=None):
        self.name = name
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, question):
        watch = threading.Timer(20, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(json.dumps(question) + '\n')
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            return json.loads(line) if line else {'error': 'no answer'}
        except (OSError, ValueError) as error:
            return {'error': str(error)}
        finally:
            watch.cancel()

    def close(self):
        try:
            self.process.communicate(timeout=10)  # closes its stdin
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Server:
    def __init__(self, name, command, env=None):
        self.name = name
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        self.address = self.process.stdout.readline().strip().removeprefix('listening on ')

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def judge(report, name, server, callers, number):
    config, script, *more = {**CASES, **BARE}[name]
    more = more[0] if more else {}
    answers = {}
    for caller in callers:
        if caller.name == more.get('without'):
            continue
        question = {'target': server.address, 'config': json.dumps(config) if config else '', 'method': more.get('method', 'Call'),
                    'case': f'{number}-{caller.name}', 'script': script, 'count': more.get('count', 1),
                    'timeout': more.get('timeout', 0)}
        answers[caller.name] = caller.ask(question)
    title = f'{name}, {server.name}'
    ours = answers.pop('ours')
    others = list(answers.values())
    if 'error' in ours or ours not in others:
        report.fail(f'retry: {title}', f'ours {ours}, ' + ', '.join(f'{n} {a}' for n, a in answers.items()))
    else:
        report.ok(f'retry: {title}')
        for peer, answer in answers.items():
            if answer != ours:
                print(f'     {peer} differs: {answer}, ours {ours}', flush=True)


def run(build):
    report = interop.Report()
    caller = os.path.join(build, 'test', 'interop', 'retry', 'retry_caller')
    if not os.path.exists(caller):
        report.fail('retry', 'retry_caller is not built')
        return report.counts()
    try:
        binaries = interop.prepare_go()
        python, env = interop.prepare_python()
    except interop.Skip as why:
        report.skip('retry', why)
        return report.counts()
    scripts = os.path.join(TOP, 'test', 'interop', 'python')
    callers = [Caller('ours', [caller]), Caller('grpc-go', [f'{binaries}/caller']),
               Caller('grpcio', [python, f'{scripts}/caller.py'], env)]
    servers = [Server('grpc-go', [f'{binaries}/judge']), Server('grpcio', [python, f'{scripts}/judge.py'], env),
               Server('ours', [caller.replace('retry_caller', 'retry_judge')]), Server('bare', [f'{binaries}/judge', '-bare'])]
    try:
        for server in servers:
            for number, name in enumerate(BARE if server.name == 'bare' else CASES):
                if server.name == 'ours' and name in NOT_OURS:
                    continue
                judge(report, name, server, callers, number)
    finally:
        for end in callers + servers:
            end.close()
    return report.counts()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', default='build-test')
    counts = run(os.path.abspath(parser.parse_args().build))
    print('%d passed, %d failed, %d skipped' % counts)
    return 1 if counts[1] else 0


if __name__ == '__main__':
    sys.exit(main())

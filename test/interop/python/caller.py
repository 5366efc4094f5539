# SPDX-License-Identifier: MIT
"""grpcio as a client that retries: reads cases from stdin, one JSON object a line, and answers each with a line;
go/caller and retry/ours.c are its twins."""
import json
import sys

import grpc


def call(channel, case, metadata):
    timeout = case['timeout'] / 1000 if case['timeout'] else None
    try:
        if case['method'] == 'Many':
            channel.stream_unary('/judge.Retry/Many')(iter([b'hi'] * 3), metadata=metadata, timeout=timeout)
        else:
            channel.unary_unary('/judge.Retry/Call')(b'hi', metadata=metadata, timeout=timeout)
    except grpc.RpcError as error:
        return error.code().value[0]
    return 0


def answer(case):
    metadata = (('case', case['case']), ('script', case['script']))
    options = [('grpc.enable_retries', 1), ('grpc.use_local_subchannel_pool', 1)]
    if case['config']:
        options.append(('grpc.service_config', case['config']))
    with grpc.insecure_channel(case['target'], options=options) as channel:
        codes = [call(channel, case, metadata) for _ in range(case['count'])]
        try:
            previous = channel.unary_unary('/judge.Retry/Report')(b'', metadata=metadata[:1]).decode()
        except grpc.RpcError as error:
            return {'error': error.details()}
    return {'codes': codes, 'previous': previous}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)

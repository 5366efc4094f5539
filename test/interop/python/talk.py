# SPDX-License-Identifier: MIT
"""The talk's client in Python: python talk.py [ADDRESS]"""
import sys

import grpc

import cache_pb2
import cache_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else 'localhost:5051')
cache = cache_pb2_grpc.CacheStub(channel)

cache.Store(cache_pb2.StoreReq(key='gopher', val=b'con'))
response = cache.Get(cache_pb2.GetReq(key='gopher'))
print(f'Got cached value {response.val.decode()}')
for item in cache.Dump(cache_pb2.DumpReq()):
    print(f'{item.key} => {item.val.decode()}')
